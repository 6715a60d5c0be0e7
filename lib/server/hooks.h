/* SPDX-License-Identifier: MIT */
/* hooks.h - what a hook of the host's is shown of a member: lent for the call. */
#ifndef YO_SERVER_HOOKS_H
#define YO_SERVER_HOOKS_H

#include <yomo/server.h>

struct yomo_member {
    const char *id, *app, *address, *room;
    uint64_t session;
};

#endif
