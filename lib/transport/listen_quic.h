/* SPDX-License-Identifier: MIT */
/* listen_quic.h - the UDP half of a listener: one QUIC endpoint on all its UDP sockets.
 *
 * One yo_quic_door for each listener, so that the limits, the connection IDs and the
 * timers are shared by its sockets; a client may even move from one socket to another.
 * Packets of a batch are taken in first; what is due goes out at the end of the turn.
 */
#ifndef YO_TRANSPORT_LISTEN_QUIC_H
#define YO_TRANSPORT_LISTEN_QUIC_H

#include "loop/loop.h"
#include "loop/udp.h"
#include "transport/incoming.h"
#include "transport/listen.h"
#include "transport/tls/context.h"

struct yo_quic_door;

/* `options` and `events` are the listener's own; on_request, on_gone and
 * on_foreign_packet are called with `user`, the others never. Requests are
 * YOMO_TRANSPORT_WEBTRANSPORT. Strings and the secret are copied. YOMO_ERR_NOMEM,
 * YOMO_ERR_TLS_SETUP. */
int yo_quic_door_create(struct yo_quic_door **out, struct yo_loop *loop,
                        const struct yo_listener_options *options,
                        const struct yo_listener_events *events, void *user);

/* Owns `fd` from here, also after an error. YOMO_ERR_NOMEM, YOMO_ERR_SYSTEM,
 * YOMO_ERR_FULL past YO_QUIC_DOOR_SOCKETS_MAX. */
int yo_quic_door_add(struct yo_quic_door *door, int fd);
#define YO_QUIC_DOOR_SOCKETS_MAX 8

/* New connections use `tls`; takes a reference. Before the first packet. */
void yo_quic_door_set_tls(struct yo_quic_door *door, struct yo_tls_server *tls);

/* A packet that another worker received. It came to the same address, so that it is
 * taken as if one of our own sockets of its family had received it. */
void yo_quic_door_packet(struct yo_quic_door *door, const struct yo_packet *packet,
                         yo_time now);

/* Add our numbers to `stats`. */
void yo_quic_door_stats(const struct yo_quic_door *door,
                        struct yo_listener_stats *stats);

/* No new connections; those that stand go on. */
void yo_quic_door_drain(struct yo_quic_door *door);

/* Close the sockets and abort what is left: waiting requests get on_gone and open
 * connections on_closed, from the loop, and then `on_closed` comes, once; the door is
 * gone when it returns. */
void yo_quic_door_close(struct yo_quic_door *door, void (*on_closed)(void *user),
                        void *user);

#endif
