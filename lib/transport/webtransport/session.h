/* SPDX-License-Identifier: MIT */
/* session.h - one WebTransport session: datagrams, streams, an end with a reason.
 *
 * The shape is W3C WebTransport's: both sides may open unidirectional and bidirectional
 * streams and send datagrams; each stream is reset or stopped alone, with a code; the
 * session ends with a code and a text. There is one session for each connection.
 *
 * Events come from the endpoint's packet, tick and turn, never from inside a call that
 * is listed here. Any call is allowed inside any event. */
#ifndef YO_WEBTRANSPORT_SESSION_H
#define YO_WEBTRANSPORT_SESSION_H

#include "base/blob.h"
#include "base/time.h"
#include "transport/transport.h"
#include "transport/webtransport/codes.h"
#include "transport/webtransport/datagram.h"

struct yo_wt_session;
struct yo_wt_stream;

#define YO_WT_STREAM_WINDOW 65536 /* bytes that a peer may send ahead on one stream, \
                                   */
#define YO_WT_CONN_WINDOW 262144  /* and on all of them */
/* The same where they are read as fast as they come, ... */
#define YO_WT_STREAM_WINDOW_MAX 1048576
#define YO_WT_CONN_WINDOW_MAX 2097152
/* ... but all windows of a connection, and of an endpoint, grow by this at most. */
#define YO_WT_CONN_GROWTH_MAX 4194304
#define YO_WT_GROWTH_MAX 67108864
#define YO_WT_STREAMS_MAX 100      /* that a peer may have open of each kind */
#define YO_WT_EARLY_STREAMS_MAX 16 /* before the session is open */
#define YO_WT_EARLY_DATAGRAMS_MAX 16
#define YO_WT_UNOPENED_MAX 1024 /* own streams that wait for the peer's permission */

struct yo_wt_end {
    bool clean;    /* the peer said so: a CLOSE capsule or FIN */
    bool remote;   /* not our doing */
    bool parted;   /* the peer said CONNECTION_CLOSE, and no error */
    int error;     /* YOMO_ERR_..., 0 for a clean end */
    int status;    /* HTTP status when the server refused, else 0 */
    uint32_t code; /* of a CLOSE capsule */
    struct yo_span text;
};

struct yo_wt_session_events {
    void (*on_open)(void *user, yo_time now); /* clients: the server said yes */
    void (*on_stream)(void *user, struct yo_wt_stream *stream, yo_time now);
    void (*on_datagram)(void *user, struct yo_span bytes, yo_time now);
    void (*on_fate)(void *user, uint64_t token, enum yo_fate fate, yo_time now);
    /* After yo_wt_session_want_progress, once: datagrams left the queue, or stream
     * bytes were acknowledged. */
    void (*on_progress)(void *user, yo_time now);
    void (*on_drain)(void *user, yo_time now); /* the peer would like to end it soon */
    void (*on_alarm)(void *user, yo_time now);
    void (*on_turn)(void *user, yo_time now); /* after yo_wt_session_wake */
    /* Exactly once, last; streams have had their on_gone. */
    void (*on_end)(void *user, const struct yo_wt_end *end, yo_time now);
};

struct yo_wt_stream_events {
    /* `end`: nothing follows `bytes`. Returns how many were taken; what was not is kept
     * and offered again after yo_wt_stream_resume, and the peer is held back. */
    size_t (*on_data)(void *user, struct yo_wt_stream *stream, struct yo_span bytes,
                      bool end, yo_time now);
    /* The peer will send nothing more: `code` if it gave one, else NULL. */
    void (*on_reset)(void *user, struct yo_wt_stream *stream, const uint32_t *code,
                     yo_time now);
    /* The peer reads nothing more (`code` as above); what is sent now is thrown away.
     */
    void (*on_stop)(void *user, struct yo_wt_stream *stream, const uint32_t *code,
                    yo_time now);
    /* `size` bytes were acknowledged; 0 when it was FIN alone. */
    void (*on_acked)(void *user, struct yo_wt_stream *stream, size_t size, yo_time now);
    void (*on_gone)(void *user, struct yo_wt_stream *stream, yo_time now); /* last */
};

void yo_wt_session_listen(struct yo_wt_session *session,
                          const struct yo_wt_session_events *events, void *user);

/* A client's, from on_open on: the headers of the answer (base/pairs.h), and the agreed
 * subprotocol, "" for none; a server knows both. */
struct yo_span yo_wt_session_fields(const struct yo_wt_session *session);
const char *yo_wt_session_protocol(const struct yo_wt_session *session);

/* How many datagrams may wait and for how long; without it there are no limits. Those
 * that leave for that reason are told as YO_FATE_UNSENT, in the turn. */
void yo_wt_session_limit_datagrams(struct yo_wt_session *session,
                                   const struct yo_datagram_limits *limits);

/* Queue a datagram; takes a reference. YOMO_ERR_TOO_BIG, YOMO_ERR_CLOSED,
 * YOMO_ERR_NOMEM, YOMO_ERR_AGAIN (no room, and none is made; or too many with a token
 * are flying): on_progress tells when there may be room. */
int yo_wt_session_send(struct yo_wt_session *session, struct yo_blob *blob,
                       uint64_t token);
/* A datagram will be sent in a moment (base/prefetch.h). */
void yo_wt_session_prefetch(const struct yo_wt_session *session);
size_t yo_wt_session_datagram_max(const struct yo_wt_session *session); /* 0: none */
bool yo_wt_session_fits(const struct yo_wt_session *session, size_t size);
size_t yo_wt_session_datagrams_queued(const struct yo_wt_session *session); /* bytes */

/* Open a stream. It exists at once and takes bytes; its header goes out, also with no
 * bytes behind it, when the peer's limit allows. YOMO_ERR_CLOSED, YOMO_ERR_FULL,
 * YOMO_ERR_NOMEM. */
int yo_wt_session_open(struct yo_wt_session *session, bool bidirectional,
                       const struct yo_wt_stream_events *events, void *user,
                       struct yo_wt_stream **out);

/* End it with a CLOSE capsule; on_end follows when the peer has acknowledged it, or
 * soon after when it does not. Its streams are reset. `text` is cut at 1024 bytes. */
void yo_wt_session_close(struct yo_wt_session *session, uint32_t code,
                         struct yo_span text);
/* End the connection under it with an error (codes.h), without a CLOSE capsule. */
void yo_wt_session_break(struct yo_wt_session *session, uint64_t h3_code,
                         struct yo_span text);
/* End it as if the process had died. */
void yo_wt_session_abort(struct yo_wt_session *session);

/* DRAIN capsule; and GOAWAY where the endpoint drains. */
int yo_wt_session_drain(struct yo_wt_session *session);

/* Write what is queued now rather than at the end of the turn. No event comes of it. */
void yo_wt_session_flush(struct yo_wt_session *session, yo_time now);

void yo_wt_session_wake(struct yo_wt_session *session);
void yo_wt_session_want_progress(struct yo_wt_session *session);
void yo_wt_session_alarm(struct yo_wt_session *session,
                         yo_time when);                         /* YO_NEVER: none */
yo_time yo_wt_session_rtt(const struct yo_wt_session *session); /* 0: unknown */
/* How it goes. What is not known is 0. */
struct yo_wt_stats {
    /* Of the connection. */
    yo_time rtt_smoothed, rtt_variation, rtt_min, rtt_latest; /* RFC 9002 5 */
    uint64_t bytes_sent, bytes_received;                      /* of QUIC packets */
    uint64_t packets_sent, packets_received, packets_lost;
    uint64_t congestion_window, bytes_in_flight;
    size_t path_mtu; /* the largest UDP payload that is known to pass */
    /* Of the session; bytes are those of streams and datagrams, without their headers.
     */
    uint64_t stream_bytes_sent, stream_bytes_received;
    uint64_t datagram_bytes_sent, datagram_bytes_received;
    uint64_t streams_opened, streams_accepted; /* by us; by the peer */
    uint64_t datagrams_sent, datagrams_received, datagrams_acked, datagrams_lost;
    uint64_t datagrams_dropped, datagrams_expired; /* by the limits, before they went */
};
void yo_wt_session_stats(const struct yo_wt_session *session,
                         struct yo_wt_stats *stats);

void yo_wt_session_address(const struct yo_wt_session *session, char out[64]);

/* --- Streams ---------------------------------------------------------------------- */

/* For a stream that on_stream announced, inside that event: who hears of it. */
void yo_wt_stream_listen(struct yo_wt_stream *stream,
                         const struct yo_wt_stream_events *events, void *user);
void *yo_wt_stream_user(const struct yo_wt_stream *stream);

int64_t yo_wt_stream_id(const struct yo_wt_stream *stream); /* -1: not opened yet */
bool yo_wt_stream_bidirectional(const struct yo_wt_stream *stream);
bool yo_wt_stream_local(const struct yo_wt_stream *stream); /* opened here */

/* Queue `head` (at most 8 bytes, copied) and `blob` (may be NULL; a reference is
 * taken). YOMO_ERR_CLOSED, YOMO_ERR_NOMEM. */
int yo_wt_stream_push(struct yo_wt_stream *stream, struct yo_span head,
                      struct yo_blob *blob);

/* Queue as much of `bytes` as fits into `room` bytes of queue. `taken` may be 0.
 * YOMO_ERR_CLOSED, YOMO_ERR_NOMEM. */
int yo_wt_stream_write(struct yo_wt_stream *stream, struct yo_span bytes, size_t room,
                       size_t *taken);
/* Each blob of yo_wt_stream_push that the peer has not acknowledged whole, in order. */
void yo_wt_stream_each(const struct yo_wt_stream *stream,
                       void (*fn)(void *user, struct yo_blob *blob), void *user);
void yo_wt_stream_end(struct yo_wt_stream *stream);            /* FIN */
size_t yo_wt_stream_queued(const struct yo_wt_stream *stream); /* not acknowledged */
bool yo_wt_stream_finished(const struct yo_wt_stream *stream); /* all is, FIN too */

/* W3C's sendOrder and sendGroup: of the streams of one group that have an order the
 * greatest goes first, groups and streams without order share what there is fairly.
 * YOMO_ERR_NOMEM. */
int yo_wt_stream_order(struct yo_wt_stream *stream, uint64_t group, int64_t order);
void yo_wt_stream_unorder(struct yo_wt_stream *stream); /* as it was made */

void yo_wt_stream_reset(struct yo_wt_stream *stream, uint32_t code); /* our side */
void yo_wt_stream_stop(struct yo_wt_stream *stream, uint32_t code);  /* the peer's */
void yo_wt_stream_resume(struct yo_wt_stream *stream);

/* For a stream of the peer's: when it has ended, keep it, and with it its place among
 * those that the peer may have, until it is released: so whoever answers a stream on
 * another one never has more of them than the peer may have open. on_gone comes, from
 * the turn, once both is true. */
void yo_wt_stream_hold(struct yo_wt_stream *stream);
void yo_wt_stream_release(struct yo_wt_stream *stream);

#endif
