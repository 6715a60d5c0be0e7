/* SPDX-License-Identifier: MIT */
/* several.h - a server and a client that may have several sessions on their connection;
 * for the tests of sessions and of their flow control. */
#ifndef TESTS_WEBTRANSPORT_SEVERAL_H
#define TESTS_WEBTRANSPORT_SEVERAL_H

#include "world.h"

#include "transport/webtransport/conn.h"
#include "transport/webtransport/inside.h"

#define COUNT 3 /* that either side allows */

extern struct world world;
extern struct node *server, *client;
extern struct peer at_server[COUNT + 1], at_client[COUNT + 1];

/* Made anew with `mem`, with so many sessions allowed at either side. */
void begin_with(const struct yomo_mem *mem, uint32_t server_sessions,
                uint32_t client_sessions);
int begin(void **state);
int open_two(void **state); /* and two sessions */
int end(void **state);

struct yo_quic_conn *conn_of(struct peer *peer);
size_t sessions_of(struct yo_quic_conn *conn);
void works(int i); /* both ways, by stream and datagram, in session `i` */

/* Bytes on the CONNECT stream of a session. */
void capsules(struct peer *peer, const char *bytes, size_t size);
void flow_capsule(struct peer *peer, uint64_t type, uint64_t number);

#endif
