/* SPDX-License-Identifier: MIT */
/* dial_tcp.h - one WebSocket attempt: addresses, perhaps a proxy, TLS, upgrade. */
#ifndef YO_TRANSPORT_DIAL_TCP_H
#define YO_TRANSPORT_DIAL_TCP_H

#include "transport/dial.h"

/* As yo_dial, for YOMO_TRANSPORT_WEBSOCKET. */
int yo_dial_tcp(struct yo_conn **out, struct yo_loop *loop,
                const struct yo_dial_options *options,
                const struct yo_conn_events *events, void *user);

#endif
