/* SPDX-License-Identifier: MIT */
/* tcp_inside.h - the TCP door's inside; for listen_tcp.c (the door, and who is counted
 * at it) and tcp_visitor.c (one client, from its first byte to its WebSocket). */
#ifndef YO_TRANSPORT_TCP_INSIDE_H
#define YO_TRANSPORT_TCP_INSIDE_H

#include "transport/crowd/crowd.h"
#include "transport/http/reader.h"
#include "transport/listen_tcp.h"
#include "transport/websocket/handshake.h"
#include "transport/ws_link.h"

#define YO_TCP_SCRATCH_KEEP 131072

enum yo_tcp_state {
    YO_TCP_SHAKING, /* TLS */
    YO_TCP_READING, /* HTTP requests */
    YO_TCP_ASKING,  /* a WebSocket's request waits for its answer */
    YO_TCP_HOLDING, /* a page's does */
    YO_TCP_LEAVING  /* nothing more from this client is looked at */
};

struct yo_page; /* tcp_visitor.c */

struct yo_tcp_door {
    struct yo_loop *loop;
    struct yo_listener_options options;
    const struct yo_listener_events *events;
    void *user;
    struct yo_tls_server *tls;
    struct yo_ws_shared shared;
    struct yo_tcp_listener *sockets[YO_TCP_DOOR_SOCKETS_MAX];
    bool for_admins[YO_TCP_DOOR_SOCKETS_MAX];
    size_t socket_count;
    struct yo_crowd *crowd, *own_crowd; /* the server's, or else `own_crowd` */
    struct yo_link visitors, linked;
    size_t connections, handshakes; /* all visitors and links; visitors alone */
    size_t admins;                  /* visitors by the operator's door, in neither */
    struct yo_log_pace failures;
    struct yo_listener_stats stats;
    struct yo_task task; /* the end */
    bool draining, closing;
    void (*on_closed)(void *user);
    void *closed_user;
};

struct yo_tcp_visitor {
    struct yo_incoming incoming; /* first: a yo_incoming is its visitor */
    struct yo_link link;         /* in door->visitors */
    struct yo_tcp_door *door;
    struct yo_guest *guest;
    struct yo_pipe *pipe;
    struct yo_http_reader *reader;
    struct yo_timer timer;
    enum yo_tcp_state state;
    bool secure;
    bool admin;          /* by the operator's door: pages only, and not counted */
    struct yo_page *held; /* HOLDING: the page that is not answered yet */
    bool proxied;        /* by one whose word counts */
    struct yo_ip peer;   /* who has connected */
    size_t behind;       /* of our answers, when the timer last looked */
    struct yo_buf ahead; /* what came and is not looked at yet */
    char address[64];    /* the client's */
    char accept[YO_WEBSOCKET_ACCEPT_SIZE + 1];
};

/* One that has become a WebSocket. */
struct yo_tcp_member {
    struct yo_link link; /* in door->linked */
    struct yo_tcp_door *door;
    struct yo_guest *guest;
    struct yo_ws_link *ws;
};

enum yo_tcp_farewell { YO_TCP_LINGER, YO_TCP_RESET };

/* --- listen_tcp.c ----------------------------------------------------------------- */

/* Under what a client is counted: an IPv4 address, or one network of 64 bits. */
struct yo_span yo_tcp_guest_key(uint8_t key[9], const struct yo_ip *ip);
/* One has gone: was it the last that a closing door waits for? */
void yo_tcp_door_check(struct yo_tcp_door *door);

/* --- tcp_visitor.c ---------------------------------------------------------------- */

/* In the door's list, without a pipe and a guest. NULL without memory. */
struct yo_tcp_visitor *yo_tcp_visitor_create(struct yo_tcp_door *door,
                                             struct yo_tcp *tcp, bool secure,
                                             bool admin);
/* Free what is the visitor's own; `pipe` and `guest` must have gone elsewhere. */
void yo_tcp_visitor_free(struct yo_tcp_visitor *visitor);
void yo_tcp_visitor_dismiss(struct yo_tcp_visitor *visitor, enum yo_tcp_farewell how);
extern const struct yo_pipe_events yo_tcp_visitor_events; /* of its pipe */

#endif
