/* SPDX-License-Identifier: MIT */
/* h3.h - HTTP/3 as far as WebTransport needs it: SETTINGS, CONNECT, capsules, GOAWAY.
 *
 * Behind this interface stands a framing of our own on nghttp3's QPACK, since nghttp3
 * knows nothing of WebTransport; its own support, once that is released, can take its
 * place by another h3.c. WebTransport's streams and datagrams never come here. No call of QUIC
 * is made from inside: what has to be done to a stream is asked for by an event.
 *
 * After YOMO_ERR_PROTO the connection is to be closed with yo_h3_error. */
#ifndef YO_WEBTRANSPORT_H3_H
#define YO_WEBTRANSPORT_H3_H

#include "base/time.h"
#include "transport/webtransport/memory.h"
#include "transport/webtransport/settings.h"

struct yo_h3;

/* Of a request's or response's headers (RFC 9114 4.2.2): with more it is refused, with
 * much more its connection ends before all of them have come. */
#define YO_H3_HEAD_MAX 16384
#define YO_H3_HEAD_HARD (64 * YO_H3_HEAD_MAX)

/* A request's or response's head; spans are absent for what was not sent. */
struct yo_h3_head {
    int status; /* of a response */
    struct yo_span method, protocol, authority, path;
    struct yo_span fields; /* all of them, pseudo-headers too, in order: base/pairs.h */
};

struct yo_h3_events {
    /* Server: a whole request, to be answered with yo_h3_answer, now or later. Client:
     * the final response. `head` is lent for the call. */
    void (*on_head)(void *user, int64_t id, const struct yo_h3_head *head);
    void (*on_data)(void *user, int64_t id, struct yo_span bytes); /* capsules */
    void (*on_end)(void *user, int64_t id);                        /* FIN */
    void (*on_goaway)(void *user, int64_t id);
    void (*stop_reading)(void *user, int64_t id, uint64_t code); /* STOP_SENDING */
    void (*reset)(void *user, int64_t id, uint64_t code);        /* RESET_STREAM */
};

/* `mem` must outlive it. YOMO_ERR_NOMEM. */
int yo_h3_create(struct yo_h3 **out, const struct yomo_mem *mem,
                 const struct yo_quic_mem *quic_mem, bool server,
                 const struct yo_own_settings *own, const struct yo_h3_events *events,
                 void *user);
void yo_h3_destroy(struct yo_h3 *h3); /* accepts NULL */

/* The three streams that each side opens first. YOMO_ERR_NOMEM. */
int yo_h3_bind(struct yo_h3 *h3, int64_t control, int64_t encoder, int64_t decoder);

/* Bytes of a stream that is not WebTransport's, in order. `consumed` is what flow
 * control may give back now. YOMO_ERR_PROTO, YOMO_ERR_NOMEM. */
int yo_h3_read(struct yo_h3 *h3, int64_t id, struct yo_span bytes, bool end,
               yo_time now, size_t *consumed);

uint64_t yo_h3_error(const struct yo_h3 *h3);
const struct yo_peer_settings *yo_h3_peer(const struct yo_h3 *h3);

/* What QUIC tells of such streams. */
int yo_h3_closed(struct yo_h3 *h3, int64_t id, uint64_t code); /* YOMO_ERR_PROTO */
void yo_h3_peer_reset(struct yo_h3 *h3, int64_t id);
void yo_h3_peer_stopped(struct yo_h3 *h3, int64_t id);
void yo_h3_acked(struct yo_h3 *h3, int64_t id, uint64_t size);
void yo_h3_block(struct yo_h3 *h3, int64_t id);   /* flow control holds it back ... */
void yo_h3_unblock(struct yo_h3 *h3, int64_t id); /* ... and no longer */
void yo_h3_streams_max(struct yo_h3 *h3, uint64_t count);

/* What to send next: up to `count` spans for stream `id`, `end` if FIN goes with them.
 * Returns their number, with `id` -1 when there is nothing, or an error. After QUIC has
 * taken `size` bytes of them (and FIN): yo_h3_took. */
int yo_h3_pull(struct yo_h3 *h3, int64_t *id, bool *end, struct yo_span *spans,
               size_t count);
int yo_h3_took(struct yo_h3 *h3, int64_t id, size_t size);

/* Client: ask for a session on stream `id`, once yo_h3_peer has been seen. `fields` are
 * more headers (base/pairs.h), as they are sent. YOMO_ERR_NOMEM, YOMO_ERR_TOO_BIG. */
struct yo_h3_ask {
    struct yo_span authority, path, fields;
};
#define YO_H3_ASK_FIELDS_MAX 64
int yo_h3_connect(struct yo_h3 *h3, int64_t id, const struct yo_h3_ask *ask);

/* Server: answer a request. With 200 to 299 the stream stays open for capsules, with
 * any other it ends with `text`. `headers` is name, value, ..., NULL, or NULL.
 * YOMO_ERR_NOMEM, YOMO_ERR_NOT_FOUND when the stream is gone, YOMO_ERR_INVALID. */
int yo_h3_answer(struct yo_h3 *h3, int64_t id, int status, const char *const *headers,
                 struct yo_span text);

/* Put capsules on an open CONNECT stream; at most YO_H3_CAPSULES_MAX bytes wait there
 * to be acknowledged, and of those of flow control (`lesser`) fewer, so that the last
 * words always have room. YOMO_ERR_NOT_FOUND, YOMO_ERR_FULL, YOMO_ERR_NOMEM. */
#define YO_H3_CAPSULES_MAX 1200
#define YO_H3_LESSER_MAX 128
int yo_h3_capsules(struct yo_h3 *h3, int64_t id, struct yo_span bytes, bool lesser);
int yo_h3_end(struct yo_h3 *h3, int64_t id); /* FIN behind them */

int yo_h3_goaway(struct yo_h3 *h3); /* YOMO_ERR_NOMEM */

#endif
