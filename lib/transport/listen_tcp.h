/* SPDX-License-Identifier: MIT */
/* listen_tcp.h - the TCP half of a listener: HTTPS and plain HTTP, pages and
 * WebSockets.
 *
 * One yo_tcp_door for each listener. Nothing that one client does or leaves undone
 * delays another: TLS and HTTP are taken byte by byte as they come, and a connection
 * that has not asked for anything after `handshake_ms` is closed. */
#ifndef YO_TRANSPORT_LISTEN_TCP_H
#define YO_TRANSPORT_LISTEN_TCP_H

#include "transport/incoming.h"
#include "transport/listen.h"

struct yo_tcp_door;

/* `options` and `events` are the listener's own; on_request, on_gone and on_http are
 * called with `user`, the others never. YOMO_ERR_NOMEM. */
int yo_tcp_door_create(struct yo_tcp_door **out, struct yo_loop *loop,
                       const struct yo_listener_options *options,
                       const struct yo_listener_events *events, void *user);

/* Owns `fd`, also after an error. YOMO_ERR_NOMEM, YOMO_ERR_SYSTEM, YOMO_ERR_FULL. */
int yo_tcp_door_add(struct yo_tcp_door *door, int fd, bool secure);
int yo_tcp_door_add_admin(struct yo_tcp_door *door, int fd, bool secure);
#define YO_TCP_DOOR_SOCKETS_MAX 24

void yo_tcp_door_set_tls(struct yo_tcp_door *door, struct yo_tls_server *tls);

/* Add our numbers to `stats`. */
void yo_tcp_door_stats(const struct yo_tcp_door *door, struct yo_listener_stats *stats);

/* No new connections; those that stand go on. */
void yo_tcp_door_drain(struct yo_tcp_door *door);

/* Close the sockets and abort what is left: waiting requests get on_gone and open
 * connections on_closed, from the loop; then `on_closed` comes, and the door is gone.
 */
void yo_tcp_door_close(struct yo_tcp_door *door, void (*on_closed)(void *user),
                       void *user);

#endif
