/* SPDX-License-Identifier: MIT */
/* echo.h - /echo: everything goes back the way it came, over WebTransport by streams
 * and datagrams (echo_session.h), over WebSocket by messages. For tests of clients,
 * networks and proxies. */
#ifndef YO_SERVER_ECHO_H
#define YO_SERVER_ECHO_H

#include "transport/listen.h"

struct yo_worker;

/* Of the subprotocols that a WebTransport client offers the first one is agreed to. */
void yo_echo_accept(struct yo_worker *worker, struct yo_incoming *incoming,
                    const struct yo_request *request);
void yo_echo_drain_all(struct yo_worker *worker); /* tell them to leave soon */
void yo_echo_end_all(struct yo_worker *worker);   /* and their ends follow */
void yo_echo_abort_all(struct yo_worker *worker); /* those that did not */

#endif
