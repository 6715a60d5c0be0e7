/* SPDX-License-Identifier: MIT */
/* streams.c - whose stream is it? And datagrams.
 *
 * A stream that the peer opens begins with a varint: 0x54 (unidirectional) or 0x41
 * (bidirectional, client) mean WebTransport and are followed by the session's ID; all
 * else is HTTP/3's, which then gets every byte from the first on. A bidirectional
 * stream that a server opens can only be WebTransport's. The few bytes that decide may
 * come in pieces; they are held until they are all there. */
#include <assert.h>
#include <yomo/error.h>

#include "base/varint.h"
#include "transport/webtransport/codes.h"
#include "transport/webtransport/conn.h"
#include "transport/webtransport/stops.h"

#define SIGNAL_BIDI 0x41
#define SIGNAL_UNI 0x54

struct held { /* a stream that has not said what it is */
    struct yo_stream base;
    struct yo_link link; /* in conn->held */
    uint8_t size;
    uint8_t bytes[2 * YO_VARINT_SIZE_MAX];
};

struct yo_stream yo_stream_http = {YO_STREAM_HTTP};
struct yo_stream yo_stream_discard = {YO_STREAM_DISCARD};

static bool is_uni(int64_t id)
{
    return (id & 2) != 0;
}

static void mark(struct yo_quic_conn *conn, int64_t id, struct yo_stream *stream)
{
    ngtcp2_conn_set_stream_user_data(conn->quic, id, stream);
}

/* Give the credit that is due. */
static void pay(struct yo_quic_conn *conn)
{
    uint32_t due = yo_window_due(&conn->window);
    if (due > 0) {
        ngtcp2_conn_extend_max_offset(conn->quic, due);
        yo_quic_conn_touch(conn);
    }
}

void yo_quic_give_credit(struct yo_quic_conn *conn, size_t size)
{
    yo_window_clear(&conn->window, size);
    pay(conn);
}

/* The peer may send `size` bytes more, on this stream too. */
static void give_credit(struct yo_quic_conn *conn, int64_t id, size_t size)
{
    if (size > 0) {
        ngtcp2_conn_extend_max_stream_offset(conn->quic, id, size);
        yo_quic_give_credit(conn, size);
    }
}

static int callback_failed(struct yo_quic_conn *conn, int rv)
{
    if (rv == YOMO_ERR_PROTO && yo_h3_error(conn->h3) != 0) {
        yo_quic_conn_fail(conn, yo_h3_error(conn->h3), "");
    } else {
        yo_quic_conn_fail(conn, YO_H3_INTERNAL_ERROR, "");
    }
    return NGTCP2_ERR_CALLBACK_FAILURE;
}

static void free_held(struct yo_quic_conn *conn, struct held *held)
{
    yo_list_remove(&held->link);
    yo_free(conn->mem, held);
}

void yo_quic_free_held(struct yo_quic_conn *conn)
{
    while (!yo_list_empty(&conn->held)) {
        free_held(conn, YO_CONTAINER(conn->held.next, struct held, link));
    }
}

/* --- HTTP/3 ----------------------------------------------------------------------- */

int yo_quic_bind_http(struct yo_quic_conn *conn)
{
    int64_t id[3];
    for (int i = 0; i < 3; i++) {
        if (ngtcp2_conn_open_uni_stream(conn->quic, &id[i], &yo_stream_http) != 0) {
            return YOMO_ERR_PROTO; /* RFC 9114 6.2: the peer must allow them */
        }
    }
    conn->bound = true;
    return yo_h3_bind(conn->h3, id[0], id[1], id[2]);
}

static int feed_http(struct yo_quic_conn *conn, int64_t id, struct yo_span bytes,
                     bool end)
{
    size_t consumed;
    int rv = yo_h3_read(conn->h3, id, bytes, end, conn->now, &consumed);
    if (rv != YOMO_OK) {
        return callback_failed(conn, rv);
    }
    give_credit(conn, id, consumed);
    return 0;
}

/* --- Classification --------------------------------------------------------------- */

/* The session of a stream of the peer's; NULL: it is to be refused with `code`. */
static struct yo_wt_session *session_for(struct yo_quic_conn *conn, int64_t session_id,
                                         uint64_t *code)
{
    struct yo_wt_session *session = yo_wt_session_find(conn, session_id);
    if (session && session->open) {
        return session;
    }
    if (conn->early_streams >= YO_WT_EARLY_STREAMS_MAX) {
        *code = YO_WT_BUFFERED_STREAM_REJECTED;
        return NULL;
    }
    return yo_wt_session_expect(conn, session_id, code);
}

/* A WebTransport stream whose header is complete. */
static int begin_wt(struct yo_quic_conn *conn, int64_t id, uint64_t session_id,
                    uint8_t header, struct yo_stream **out)
{
    uint64_t code = YO_WT_SESSION_GONE;
    *out = &yo_stream_discard;
    if (session_id % 4 != 0) { /* draft-ietf-webtrans-http3-16 4: not a CONNECT's ID */
        yo_quic_conn_fail(conn, YO_H3_ID_ERROR, "not a session ID");
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    struct yo_wt_session *session = session_for(conn, (int64_t)session_id, &code);
    bool over = session && session->open && session->flow &&
                yo_flow_take(session->flow, is_uni(id) ? YO_FLOW_UNI : YO_FLOW_BIDI,
                             1) != YOMO_OK;
    if (over) {
        yo_wt_session_overrun(session);
    }
    if (!session || over) {
        mark(conn, id, &yo_stream_discard);
        ngtcp2_conn_shutdown_stream(conn->quic, 0, id, code);
        return 0;
    }
    struct yo_wt_stream *stream = yo_wt_stream_new(session, id, !is_uni(id), false);
    if (!stream) {
        return callback_failed(conn, YOMO_ERR_NOMEM);
    }
    bool early = !session->open;
    stream->header_in = header;
    stream->counted = !early && session->flow != NULL;
    mark(conn, id, &stream->base);
    yo_list_push_back(early ? &session->early : &session->streams, &stream->link);
    stream->early = early;
    conn->early_streams += early;
    session->counts.accepted += !early;
    *out = &stream->base;
    if (!early && session->events && session->events->on_stream) {
        session->events->on_stream(session->user, stream, conn->now);
    }
    return 0;
}

static int feed_wt(struct yo_quic_conn *conn, struct yo_stream *base,
                   struct yo_span bytes, bool end)
{
    struct yo_wt_stream *stream = (struct yo_wt_stream *)base;
    struct yo_wt_session *session = stream->session;
    if (bytes.size == 0 && !end) {
        return 0;
    }
    if (!stream->early) {
        yo_window_clear(&conn->window, bytes.size);
        session->counts.stream_in += bytes.size;
    } /* else when it opens: what comes too early is bounded by the connection's window
       */
    if (stream->counted &&
        yo_flow_take(session->flow, YO_FLOW_DATA, bytes.size) != YOMO_OK) {
        yo_wt_session_overrun(session);
        return 0;
    }
    stream->received += bytes.size;
    yo_wt_stream_receive(stream, bytes, end, conn->now);
    pay(conn);
    if (!stream->readable) { /* it was stopped, or all was taken */
        yo_wt_stream_settle(stream);
    }
    return 0;
}

static int feed(struct yo_quic_conn *conn, int64_t id, struct yo_stream *stream,
                struct yo_span bytes, bool end)
{
    switch (stream->kind) {
    case YO_STREAM_HTTP:
        return feed_http(conn, id, bytes, end);
    case YO_STREAM_WT:
        return feed_wt(conn, stream, bytes, end);
    default:
        yo_quic_give_credit(conn, bytes.size);
        return 0;
    }
}

/* How many of the first bytes are a WebTransport header. 0: it is HTTP/3's; -1: more
 * bytes are needed. */
static int read_header(int64_t id, struct yo_span bytes, uint64_t *session_id)
{
    uint64_t type;
    size_t n = yo_varint_read(bytes, &type);
    if (n == 0) {
        return -1;
    }
    if (type != (is_uni(id) ? SIGNAL_UNI : SIGNAL_BIDI)) {
        return 0;
    }
    size_t m = yo_varint_read(yo_span_skip(bytes, n), session_id);
    return m == 0 ? -1 : (int)(n + m);
}

/* Bytes of a stream that is new, or held. */
static int classify(struct yo_quic_conn *conn, int64_t id, struct held *held,
                    struct yo_span bytes, bool end)
{
    struct held local = {.base = {YO_STREAM_HELD}};
    struct held *h = held ? held : &local;
    struct yo_stream *stream = &yo_stream_http;
    uint64_t session_id = 0;
    int header = -1;
    size_t before = h->size;

    /* One byte more may be enough: look at as many as there is room for. */
    size_t n = sizeof(h->bytes) - h->size;
    n = bytes.size < n ? bytes.size : n;
    if (n > 0) {
        memcpy(h->bytes + h->size, bytes.data, n);
    }
    h->size = (uint8_t)(h->size + n);
    header = read_header(id, yo_span(h->bytes, h->size), &session_id);
    if (header < 0 && !end) {
        if (!held) {
            held = yo_malloc(conn->mem, sizeof(*held));
            if (!held) {
                return callback_failed(conn, YOMO_ERR_NOMEM);
            }
            *held = local;
            yo_list_push_back(&conn->held, &held->link);
            mark(conn, id, &held->base);
        }
        return 0; /* all of it is held: two varints always fit */
    }
    bool server_bidi = !is_uni(id) && (id & 1) != 0;
    int rv = 0;
    if (header > 0) {
        rv = begin_wt(conn, id, session_id, (uint8_t)header, &stream);
        if (rv == 0) { /* the header is not the stream's content */
            give_credit(conn, id, (size_t)header);
            bytes = yo_span_skip(bytes, (size_t)header - before);
            rv = feed(conn, id, stream, bytes, end);
        }
    } else if (header < 0 && is_uni(id)) { /* RFC 9114 6.2: it is tolerated */
        mark(conn, id, &yo_stream_discard);
        give_credit(conn, id, before + bytes.size);
    } else if (server_bidi) {
        yo_quic_conn_fail(conn, YO_H3_GENERAL_PROTOCOL_ERROR, "a server's stream");
        rv = NGTCP2_ERR_CALLBACK_FAILURE;
    } else {
        mark(conn, id, &yo_stream_http);
        if (before > 0) {
            rv = feed_http(conn, id, yo_span(h->bytes, before), end && bytes.size == 0);
        }
        if (rv == 0 && (bytes.size > 0 || before == 0)) {
            rv = feed_http(conn, id, bytes, end);
        }
    }
    if (held) {
        if (rv != 0 && ngtcp2_conn_get_stream_user_data(conn->quic, id) == held) {
            mark(conn, id, &yo_stream_discard);
        }
        free_held(conn, held);
    }
    return rv;
}

void yo_quic_allow_stream(struct yo_quic_conn *conn, int64_t id)
{
    if (conn->state == YO_QUIC_OVER || ngtcp2_conn_is_local_stream(conn->quic, id)) {
        return;
    }
    conn->wanting = true; /* MAX_STREAMS: a mere acknowledgement may have led here */
    if (is_uni(id)) {
        ngtcp2_conn_extend_max_streams_uni(conn->quic, 1);
    } else {
        ngtcp2_conn_extend_max_streams_bidi(conn->quic, 1);
    }
}

/* --- QUIC's callbacks ------------------------------------------------------------- */

int yo_quic_on_stream_data(struct yo_quic_conn *conn, int64_t id,
                           struct yo_stream *stream, struct yo_span bytes, bool end)
{
    if (conn->state == YO_QUIC_OVER || !conn->h3) {
        return 0;
    }
    if (!stream || stream->kind == YO_STREAM_HELD) {
        return classify(conn, id, (struct held *)stream, bytes, end);
    }
    return feed(conn, id, stream, bytes, end);
}

/* Nobody waits for an answer any more, or has asked for one: a stream of which only one
 * half ends would stay, and count among those that the peer may have. */
static void end_answer(struct yo_quic_conn *conn, int64_t id)
{
    if (!is_uni(id)) {
        ngtcp2_conn_shutdown_stream_write(conn->quic, 0, id, YO_H3_REQUEST_CANCELLED);
    }
}

/* What a stream had sent counts as if it had come (draft-ietf-webtrans-http3-16 5.4).
 */
static void count_reset(struct yo_wt_stream *stream, uint64_t final_size)
{
    uint64_t content = final_size - stream->header_in;
    if (final_size < stream->header_in || content < stream->received) {
        return; /* which QUIC would not let pass */
    }
    if (stream->counted && yo_flow_take(stream->session->flow, YO_FLOW_DATA,
                                        content - stream->received) != YOMO_OK) {
        yo_wt_session_overrun(stream->session);
        return;
    }
    stream->received = content;
    yo_wt_stream_settle(stream);
}

int yo_quic_on_stream_reset(struct yo_quic_conn *conn, int64_t id,
                            struct yo_stream *stream, uint64_t final_size,
                            uint64_t code)
{
    if (stream == &yo_stream_http) {
        struct yo_wt_session *session = yo_wt_session_find(conn, id);
        yo_h3_peer_reset(conn->h3, id);
        if (session) { /* its end, without a word */
            yo_wt_session_left(
                session, &(struct yo_wt_end){.remote = true, .error = YOMO_ERR_CLOSED});
        } else {
            end_answer(conn, id);
        }
    } else if (!stream || stream->kind == YO_STREAM_HELD) {
        end_answer(conn, id);
    } else if (stream->kind == YO_STREAM_WT) {
        struct yo_wt_stream *wt = (struct yo_wt_stream *)stream;
        uint32_t app = 0;
        bool given = yo_wt_code_from_h3(code, &app);
        bool tell = wt->readable;
        wt->readable = false;
        if (wt->early) { /* nobody has given that credit back */
            yo_quic_give_credit(conn, wt->in.size);
        }
        yo_buf_finish(&wt->in);
        count_reset(wt, final_size);
        if (tell && wt->events && wt->events->on_reset) {
            wt->events->on_reset(wt->user, wt, given ? &app : NULL, conn->now);
        }
    }
    return 0;
}

/* ngtcp2 has read such a frame, or a packet that it had read before brought it again.
 */
void yo_quic_on_stopped(struct yo_quic_conn *conn, const struct yo_stop *stop)
{
    struct yo_stream *stream =
        ngtcp2_conn_get_stream_user_data(conn->quic, stop->stream);
    uint32_t code = 0;
    if (conn->state == YO_QUIC_OVER || !stream || stream->kind != YO_STREAM_WT) {
        return;
    }
    struct yo_wt_stream *wt = (struct yo_wt_stream *)stream;
    bool given = yo_wt_code_from_h3(stop->code, &code);
    if (wt->session->open && wt->writable && !yo_wt_stream_finished(wt)) {
        yo_wt_stream_shut_write(wt, given ? &code : NULL, conn->now);
    }
}

/* A request's stream: both sides have said it all. */
static void http_closed(struct yo_quic_conn *conn, struct yo_wt_session *session)
{
    if (!session) {
        return;
    }
    if (conn->state == YO_QUIC_LEAVING) {
        yo_quic_conn_part(conn);
    } else if (session->phase == YO_WT_LEAVING) {
        yo_wt_session_over(session);
    } else {
        yo_wt_session_left(
            session, &(struct yo_wt_end){.remote = true, .error = YOMO_ERR_CLOSED});
    }
}

int yo_quic_on_stream_close(struct yo_quic_conn *conn, int64_t id,
                            struct yo_stream *stream, const uint64_t *code)
{
    if (!stream || stream->kind != YO_STREAM_WT) {
        yo_quic_allow_stream(conn, id);
    }
    if (!stream) {
        return 0;
    }
    switch (stream->kind) {
    case YO_STREAM_HELD:
        free_held(conn, (struct held *)stream);
        break;
    case YO_STREAM_WT:
        yo_wt_stream_closed((struct yo_wt_stream *)stream, conn->now);
        break;
    case YO_STREAM_HTTP:
        if (conn->h3 && conn->state != YO_QUIC_OVER) {
            int rv = yo_h3_closed(conn->h3, id, code ? *code : YO_H3_NO_ERROR);
            if (rv != YOMO_OK) {
                return callback_failed(conn, rv);
            }
        }
        http_closed(conn, yo_wt_session_find(conn, id));
        break;
    case YO_STREAM_DISCARD:
        break;
    }
    return 0;
}

void yo_quic_on_acked(struct yo_quic_conn *conn, int64_t id, struct yo_stream *stream,
                      uint64_t size)
{
    if (stream && stream->kind == YO_STREAM_WT) {
        yo_wt_stream_acked((struct yo_wt_stream *)stream, (size_t)size, conn->now);
    } else if (stream == &yo_stream_http && conn->h3) {
        yo_h3_acked(conn->h3, id, size);
    }
}

void yo_quic_on_unblocked(struct yo_quic_conn *conn, int64_t id,
                          struct yo_stream *stream)
{
    if (stream && stream->kind == YO_STREAM_WT) {
        struct yo_wt_stream *wt = (struct yo_wt_stream *)stream;
        wt->blocked = false;
        yo_wt_stream_ready(wt);
    } else if (stream == &yo_stream_http && conn->h3) {
        yo_h3_unblock(conn->h3, id);
    }
}

/* RFC 9297 2.1 */
int yo_quic_on_datagram(struct yo_quic_conn *conn, struct yo_span bytes)
{
    uint64_t quarter, code;
    size_t n = yo_varint_read(bytes, &quarter);
    if (n == 0 || quarter > YO_VARINT_MAX / 4) {
        yo_quic_conn_fail(conn, YO_H3_DATAGRAM_ERROR, "no quarter stream ID");
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    if (conn->ended) {
        return 0;
    }
    struct yo_wt_session *session = yo_wt_session_find(conn, (int64_t)quarter * 4);
    bytes = yo_span_skip(bytes, n);
    if (session && session->open) {
        yo_wt_session_datagram(session, bytes, conn->now);
    } else if (conn->early_datagrams < YO_WT_EARLY_DATAGRAMS_MAX) { /* or it is lost */
        session = yo_wt_session_expect(conn, (int64_t)quarter * 4, &code);
        if (session) {
            yo_wt_session_hold_datagram(session, bytes);
        }
    }
    return 0;
}
