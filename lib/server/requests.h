/* SPDX-License-Identifier: MIT */
/* requests.h - what members ask of the host program, and its answers. */
#ifndef YO_SERVER_REQUESTS_H
#define YO_SERVER_REQUESTS_H

#include <yomo/server.h>

#include "server/local.h"

/* How many requests of one connection the host has not answered. Counted, since an answer
 * may come when the connection is gone. With the server's lock. */
struct yo_tally {
    unsigned refs;
    size_t waiting;
};

/* Ask the host. YOMO_OK: it has it, or has answered; YOMO_ERR_NOT_FOUND: it hears no
 * requests; YOMO_ERR_FULL: too many of this connection wait; YOMO_ERR_NOMEM. */
int yo_request_ask(struct yo_local *local, const struct yo_seat *seat,
                   const struct yo_effect *effect);

/* The connection's share of it; accepts NULL. */
void yo_tally_unref(yomo_server *server, struct yo_tally *tally);

#endif
