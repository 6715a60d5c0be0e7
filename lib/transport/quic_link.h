/* SPDX-License-Identifier: MIT */
/* quic_link.h - a QUIC endpoint on a loop: its sockets, its timer, its turn. What
 * listen_quic.c and dial_quic.c have in common. */
#ifndef YO_TRANSPORT_QUIC_LINK_H
#define YO_TRANSPORT_QUIC_LINK_H

#include "loop/loop.h"
#include "loop/udp.h"
#include "transport/webtransport/endpoint.h"

#define YO_QUIC_LINK_SOCKETS_MAX 8

struct yo_quic_link;

struct yo_quic_socket {
    struct yo_quic_link *link;
    struct yo_udp *udp; /* NULL: free, or dropped */
};

struct yo_quic_link {
    struct yo_loop *loop;
    struct yo_endpoint *endpoint;
    struct yo_timer timer;
    struct yo_task task;
    struct yo_quic_socket sockets[YO_QUIC_LINK_SOCKETS_MAX];
    size_t count;
    char *qlog_dir; /* NULL: none */
    /* After each turn of the endpoint; may finish the link. May be NULL. */
    void (*after_turn)(struct yo_quic_link *link, yo_time now);
    /* A socket has no way to its peer any more. May be NULL. */
    void (*on_no_way)(struct yo_quic_link *link, yo_time now);
    void *no_way_user;
};

/* `options`: mem and log are filled in here. `events`: the calls that go to sockets and
 * the loop (yo_quic_link_events) are merged into it. YOMO_ERR_NOMEM,
 * YOMO_ERR_TLS_SETUP. */
int yo_quic_link_init(struct yo_quic_link *link, struct yo_loop *loop,
                      struct yo_endpoint_options *options,
                      const struct yo_endpoint_events *events, const char *qlog_dir);

/* The endpoint must be empty, or its connections die without a word. */
void yo_quic_link_finish(struct yo_quic_link *link);

/* Bind to nothing and connect (client), or take over `fd`. YOMO_ERR_FULL and what
 * yo_udp_open says. `out` is the mark for yo_quic_packet.socket. */
int yo_quic_link_add(struct yo_quic_link *link, int fd, const union yo_address *remote,
                     struct yo_quic_socket **out);

/* Close it. The endpoint may still name it for a while: what it sends there is lost. */
void yo_quic_link_drop(struct yo_quic_socket *socket);

/* For the tables of those who use this: the part of yo_endpoint_events that is ours. */
uint8_t *yo_quic_link_space(void *user, void *socket, size_t size);
void yo_quic_link_commit(void *user, void *socket, const struct sockaddr *local,
                         const struct sockaddr *remote, uint8_t ecn, size_t size,
                         size_t segment);
void yo_quic_link_send(void *user, const struct yo_quic_packet *packet);
void yo_quic_link_wake(void *user);
void yo_quic_link_qlog(void *user, struct yo_span id, struct yo_span bytes, bool last);
#define YO_QUIC_LINK_EVENTS                                     \
    .space = yo_quic_link_space, .commit = yo_quic_link_commit, \
    .send = yo_quic_link_send, .on_wake = yo_quic_link_wake,    \
    .on_qlog = yo_quic_link_qlog

#endif
