/* SPDX-License-Identifier: MIT */
/* ws_link.h - a WebSocket engine on a pipe: its turns, its timer, its end.
 *
 * One link for each WebSocket connection of a listener or a client. It is born with the
 * engine, gets its pipe when the handshake is over, and goes after on_closed. */
#ifndef YO_TRANSPORT_WS_LINK_H
#define YO_TRANSPORT_WS_LINK_H

#include "transport/pipe.h"
#include "transport/websocket/conn.h"

struct yo_ws_link;

/* What links share beside the yard: one of each for a listener or a client. */
struct yo_ws_shared {
    struct yo_pipe_yard yard;
    struct yo_websocket_kit *kit;
    struct yo_buf frames; /* scratch: what is due for one connection */
};

int yo_ws_shared_init(struct yo_ws_shared *shared, struct yo_loop *loop, size_t keep);
void yo_ws_shared_finish(struct yo_ws_shared *shared);

struct yo_ws_link_options {
    struct yo_websocket_options websocket;
    yo_time linger; /* how long TCP lingers after the end; 0: it is closed at once */
    /* The link is gone, after on_closed; may be NULL. */
    void (*on_gone)(void *user);
    /* A client's link that has no pipe is over: stop trying. May be NULL. */
    void (*on_given_up)(void *user);
    void *user;
};

/* YOMO_ERR_NOMEM. */
int yo_ws_link_create(struct yo_ws_link **out, struct yo_ws_shared *shared,
                      const struct yo_ws_link_options *options,
                      const struct yo_conn_events *events, void *user);

struct yo_conn *yo_ws_link_conn(struct yo_ws_link *link);

/* Not a connection yet, and never told of: take it back. */
void yo_ws_link_discard(struct yo_ws_link *link);

/* The handshake is over: the link has the pipe from here on. `early` is what the peer
 * sent behind its handshake; it is fed from the loop. A client's on_open comes from
 * this call, which must be from the loop. YOMO_ERR_NOMEM: the pipe is closed, on_closed
 * follows. */
int yo_ws_link_open(struct yo_ws_link *link, struct yo_pipe *pipe, struct yo_span early,
                    yo_time now);

/* The peer is not who the pipe says: a proxy told so. After yo_ws_link_open. */
void yo_ws_link_set_address(struct yo_ws_link *link, const char *address);

/* A client's attempt has failed: on_closed follows. */
void yo_ws_link_failed(struct yo_ws_link *link, int error, struct yo_span text);

#endif
