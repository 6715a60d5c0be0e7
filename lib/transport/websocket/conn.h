/* SPDX-License-Identifier: MIT */
/* conn.h - a WebSocket as a yo_conn: an engine, no socket and no clock inside.
 *
 * Whoever has the bytes feeds them in, and takes out what has to be sent: on `wake`, at
 * the end of the turn, yo_websocket_turn and yo_websocket_output, until there is no
 * more. All messages that are due then leave in one piece of bytes. When
 * yo_websocket_over says so, the stream below is ended, yo_websocket_report tells the
 * application, and the connection is destroyed. */
#ifndef YO_WEBSOCKET_CONN_H
#define YO_WEBSOCKET_CONN_H

#include "base/buf.h"
#include "base/mem.h"
#include "transport/transport.h"

/* What the connections of one loop share: wslay's frame parsers (4 KiB each), which a
 * connection needs only while it is in the middle of a frame. */
struct yo_websocket_kit;
int yo_websocket_kit_create(struct yo_websocket_kit **out, const struct yomo_mem *mem);
void yo_websocket_kit_destroy(struct yo_websocket_kit *kit); /* accepts NULL */

struct yo_websocket_options {
    bool client; /* frames are masked, and the connection begins before its handshake */
    bool secure;
    size_t message_size_max;
    size_t queue_size_max;
    yo_time keepalive; /* ping after this much silence; 0: never */
    yo_time silence;   /* over after this much; 0: never */
};

struct yo_websocket_hooks {
    /* Something is due: make a turn at the end of this one. */
    void (*wake)(void *user);
    /* Send what is queued, now. */
    void (*flush)(void *user, yo_time now);
    /* Bytes that were taken out and that the kernel has not got yet. */
    size_t (*below)(const void *user);
};

struct yo_websocket;

/* A server's connection is open, a client's is not yet. `kit`, `hooks` and the rest are
 * borrowed for the connection's life. YOMO_ERR_NOMEM. */
int yo_websocket_create(struct yo_websocket **out, const struct yomo_mem *mem,
                        struct yo_websocket_kit *kit,
                        const struct yo_websocket_options *options,
                        const struct yo_websocket_hooks *hooks, void *hooks_user,
                        const struct yo_conn_events *events, void *user, yo_time now);
void yo_websocket_destroy(struct yo_websocket *ws); /* accepts NULL; tells nobody */

struct yo_conn *yo_websocket_conn(struct yo_websocket *ws);
void yo_websocket_set_address(struct yo_websocket *ws, const char *address);

/* The client's handshake is done: on_open. */
void yo_websocket_opened(struct yo_websocket *ws, yo_time now);

/* Bytes from the peer; on_message for each message in them. */
void yo_websocket_feed(struct yo_websocket *ws, struct yo_span bytes, yo_time now);

/* The stream below has ended or failed: `error` and a sentence (may be absent). */
void yo_websocket_lost(struct yo_websocket *ws, int error, struct yo_span text);

/* on_writable, if it is due. */
void yo_websocket_turn(struct yo_websocket *ws, yo_time now);

/* Append frames to `out` until it has `limit` bytes or nothing is left. Returns false
 * when memory is short; the connection is then lost. */
bool yo_websocket_output(struct yo_websocket *ws, struct yo_buf *out, size_t limit);

/* There is something for yo_websocket_output. */
bool yo_websocket_due(const struct yo_websocket *ws);

enum yo_websocket_end {
    YO_WEBSOCKET_GOES_ON,
    YO_WEBSOCKET_ENDS,  /* send what is queued below, then FIN */
    YO_WEBSOCKET_BREAKS /* nothing more is sent; abort */
};
enum yo_websocket_end yo_websocket_over(const struct yo_websocket *ws);

yo_time yo_websocket_deadline(const struct yo_websocket *ws); /* when tick is due */
void yo_websocket_tick(struct yo_websocket *ws, yo_time now);

/* on_closed, once; only after yo_websocket_over. */
void yo_websocket_report(struct yo_websocket *ws, yo_time now);

#endif
