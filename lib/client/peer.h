/* SPDX-License-Identifier: MIT */
/* peer.h - the members of a room at one moment, as a copy of the program's own. */
#ifndef YO_CLIENT_PEER_H
#define YO_CLIENT_PEER_H

#include "client/roster.h"

struct yomo_peers {
    struct yomo_mem mem; /* a copy: it may outlive the client */
    size_t count;
    struct yomo_peer list[]; /* and the text that they point to */
};

#endif
