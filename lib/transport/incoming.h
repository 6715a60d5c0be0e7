/* SPDX-License-Identifier: MIT */
/* incoming.h - what every request that waits for its answer looks like inside.
 *
 * A WebSocket upgrade and a WebTransport CONNECT both embed a yo_incoming as their
 * first member; listen.c's yo_incoming_* calls go through `ops`. The struct is gone
 * when one of the three has returned, or when on_gone has. */
#ifndef YO_TRANSPORT_INCOMING_H
#define YO_TRANSPORT_INCOMING_H

#include "transport/transport.h"

struct yo_incoming;
struct yo_wt_session;

struct yo_incoming_ops { /* each as in listen.h */
    struct yo_conn *(*accept)(struct yo_incoming *incoming,
                              const struct yo_response *response,
                              const struct yo_conn_events *events, void *user);
    void (*refuse)(struct yo_incoming *incoming, const struct yo_response *response);
    void (*dismiss)(struct yo_incoming *incoming, const struct yo_close *how);
    /* NULL where there is no such thing. */
    struct yo_wt_session *(*accept_session)(struct yo_incoming *incoming,
                                            const struct yo_response *response);
};

struct yo_incoming {
    const struct yo_incoming_ops *ops;
    void *user; /* yo_incoming_set_user */
    void (*gone)(void *user);
    void *gone_user; /* yo_incoming_set_gone */
};

#endif
