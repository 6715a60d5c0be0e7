/* SPDX-License-Identifier: MIT */
/* follow.h - a client's QUIC connection goes where this machine's addresses go (RFC
 * 9000 9: connection migration). */
#ifndef YO_TRANSPORT_FOLLOW_H
#define YO_TRANSPORT_FOLLOW_H

#include "loop/routes.h"
#include "transport/quic_link.h"

struct yo_follow { /* zeroed: nothing is followed */
    struct yo_quic_link *link;
    union yo_address remote;
    struct yo_routes_watch watch;
    struct yo_timer again;
    struct yo_quic_socket *next; /* of the way that is being validated; may be stale */
    int tries;                   /* left */
};

/* From now on; not towards this machine itself. What fails here is done without. */
void yo_follow_begin(struct yo_follow *follow, struct yo_quic_link *link,
                     const union yo_address *remote);
void yo_follow_end(struct yo_follow *follow); /* accepts a zeroed one */

#endif
