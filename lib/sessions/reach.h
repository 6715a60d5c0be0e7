/* SPDX-License-Identifier: MIT */
/* reach.h - from a server's name to a session that is open: the name's addresses are
 * raced (transport/race.h), each attempt asks for the session, and the first that is
 * let in wins. */
#ifndef YO_SESSIONS_REACH_H
#define YO_SESSIONS_REACH_H

#include "transport/dial.h"
#include "transport/dial_quic.h"
#include "transport/webtransport/session.h"

struct yo_reach;

struct yo_reach_events {
    /* The server has said yes. `session` is open, and whose it is now is to be said
     * with yo_wt_session_listen, as whose the connection is with yo_dialed_listen. */
    void (*on_open)(void *user, struct yo_wt_session *session, struct yo_dialed *dialed,
                    yo_time now);
    /* It has come to nothing. `fields` are the headers of a refusal (base/pairs.h). */
    void (*on_failed)(void *user, const struct yo_wt_end *end, struct yo_span fields,
                      yo_time now);
    /* Nothing of it is left on the loop; after either of these, or yo_reach_cancel. */
    void (*on_gone)(void *owner);
};

/* Strings and fields are copied, `tls` gets a reference. `user` is for the first two
 * events, `owner` for the last. YOMO_ERR_NOMEM. */
int yo_reach_begin(struct yo_reach **out, struct yo_loop *loop,
                   const struct yo_dial_options *options,
                   const struct yo_reach_events *events, void *user, void *owner);

/* Neither on_open nor on_failed comes after this. */
void yo_reach_cancel(struct yo_reach *reach);

#endif
