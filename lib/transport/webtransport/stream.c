/* SPDX-License-Identifier: MIT */
/* stream.c - one stream of a session.
 *
 * The happy path out: bytes are queued, the stream joins session->turns, write.c takes
 * from the queue, acknowledgements empty it. In: bytes go to on_data where they lie;
 * what is not taken is kept, at most a stream window of it, and credit is given back
 * for what was taken only.
 *
 * A reset must not overtake the stream's header, or the peer could not tell whose
 * stream it was (facts: no RESET_STREAM_AT in QUIC as released): it waits until the
 * header is acknowledged, and nothing else is sent meanwhile.
 *
 * Memory: QUIC points into `out` until it closes the stream, so a stream lives until
 * then, or until the connection dies. QUIC closes a stream that has ended both ways as
 * soon as it has handed us the last byte; what of it was not taken keeps the stream,
 * and its place among those that the peer may have. */
#include <assert.h>
#include <yomo/error.h>

#include "base/varint.h"
#include "transport/webtransport/codes.h"
#include "transport/webtransport/conn.h"

#define SIGNAL_BIDI 0x41 /* draft-ietf-webtrans-http3-16 4.2, 4.3 */
#define SIGNAL_UNI 0x54

struct yo_wt_stream *yo_wt_stream_new(struct yo_wt_session *session, int64_t id,
                                      bool bidirectional, bool local)
{
    const struct yomo_mem *mem = session->datagrams.mem;
    struct yo_wt_stream *stream = yo_calloc(mem, 1, sizeof(*stream));
    if (!stream) {
        return NULL;
    }
    stream->base.kind = YO_STREAM_WT;
    stream->session = session;
    stream->id = id;
    stream->bidirectional = bidirectional;
    stream->local = local;
    stream->writable = local || bidirectional;
    stream->readable = !local || bidirectional;
    yo_list_init(&stream->link);
    yo_place_init(&stream->place);
    yo_sendqueue_init(&stream->out, mem);
    yo_buf_init(&stream->in, mem);
    yo_window_init(&stream->window, YO_WT_STREAM_WINDOW);
    if (local) {
        uint8_t head[2 + YO_VARINT_SIZE_MAX];
        size_t n = yo_varint_write(head, bidirectional ? SIGNAL_BIDI : SIGNAL_UNI);
        n += yo_varint_write(head + n, (uint64_t)session->id);
        if (yo_sendqueue_push(&stream->out, yo_span(head, n), NULL) != YOMO_OK) {
            yo_free(mem, stream);
            return NULL;
        }
        stream->header_unsent = stream->header_unacked = (uint8_t)n;
    }
    return stream;
}

/* Flow control of the session: `size` bytes are done with. */
static void done_with(struct yo_wt_stream *stream, uint64_t size)
{
    stream->done += size;
    if (stream->counted && size > 0) {
        yo_flow_done(stream->session->flow, YO_FLOW_DATA, size);
    }
}

void yo_wt_stream_settle(struct yo_wt_stream *stream)
{
    done_with(stream, stream->received - stream->done);
}

void yo_wt_stream_free(struct yo_wt_stream *stream, yo_time now)
{
    const struct yomo_mem *mem = stream->out.mem;
    if (stream->events && stream->events->on_gone) {
        stream->events->on_gone(stream->user, stream, now);
    }
    struct yo_wt_session *session = stream->session;
    if (stream->id >= 0 && !stream->local) {
        yo_quic_allow_stream(session->conn, stream->id);
    }
    yo_wt_stream_settle(stream);
    if (stream->counted) {
        yo_flow_done(session->flow, stream->bidirectional ? YO_FLOW_BIDI : YO_FLOW_UNI,
                     1);
    }
    session->conn->early_streams -= stream->early;
    if (session->phase == YO_WT_OVER || session->phase == YO_WT_EXPECTED) {
        yo_quic_conn_touch(session->conn); /* it may have been its last */
    }
    yo_list_remove(&stream->link);
    yo_turns_forget(&stream->session->turns, &stream->place, mem);
    yo_sendqueue_finish(&stream->out);
    yo_buf_finish(&stream->in);
    yo_window_finish(&stream->window, &session->conn->growth);
    yo_free(mem, stream);
}

void yo_wt_stream_closed(struct yo_wt_stream *stream, yo_time now)
{
    bool all_sent = stream->out.end_sent && stream->out.size == 0;
    stream->closed = true;
    if (stream->writable && !all_sent && stream->session->open) {
        yo_wt_stream_shut_write(stream, NULL, now); /* QUIC has answered STOP_SENDING */
    }
    stream->writable = false;
    yo_turns_remove(&stream->session->turns, &stream->place);
    if ((!stream->readable && !stream->held) || stream->session->ended) {
        yo_wt_stream_free(stream, now);
    }
}

/* --- In --------------------------------------------------------------------------- */

static uint32_t count_read(struct yo_quic_conn *conn, struct yo_window *window,
                           size_t size, uint32_t max, struct yo_budget *budget)
{
    if (!yo_window_read(window, size)) {
        return 0;
    }
    ngtcp2_conn_info info;
    ngtcp2_conn_get_conn_info(conn->quic, &info);
    return yo_window_adapt(window, max, budget, info.smoothed_rtt, conn->now);
}

/* Somebody has read `size` bytes: wider windows may do good. That of the session's flow
 * control needs no budget: it allows nothing that the others do not. */
static void note_read(struct yo_wt_stream *stream, size_t size)
{
    struct yo_wt_session *session = stream->session;
    struct yo_quic_conn *conn = session->conn;
    count_read(conn, &stream->window, size, YO_WT_STREAM_WINDOW_MAX, &conn->growth);
    count_read(conn, &conn->window, size, YO_WT_CONN_WINDOW_MAX, &conn->growth);
    if (session->flow) {
        uint32_t more =
            count_read(conn, &session->window, size, YO_WT_CONN_WINDOW_MAX, NULL);
        yo_flow_widen(session->flow, YO_FLOW_DATA, more);
    }
}

/* `size` bytes will not be needed any more: the peer may send that many again. The
 * connection's credit is given back when bytes arrive, so that one stream that is held
 * back does not hold back the others. */
static void give_credit(struct yo_wt_stream *stream, size_t size)
{
    struct yo_quic_conn *conn = stream->session->conn;
    if (size <= stream->received - stream->done) { /* else it was settled meanwhile */
        done_with(stream, size);
    }
    if (size == 0) {
        return;
    }
    yo_window_clear(&stream->window, size);
    if (stream->events && stream->events->on_data) {
        note_read(stream, size);
    }
    uint32_t due = yo_window_due(&stream->window);
    if (due > 0 && stream->id >= 0 && !stream->closed) {
        ngtcp2_conn_extend_max_stream_offset(conn->quic, stream->id, due);
        yo_quic_conn_touch(conn);
    }
    if (stream->session->flow && stream->session->flow->due) {
        yo_quic_conn_touch(conn);
    }
}

/* Hand `bytes` up; returns how many were taken. */
static size_t hand_up(struct yo_wt_stream *stream, struct yo_span bytes, yo_time now)
{
    if (!stream->events || !stream->events->on_data) {
        stream->readable = !stream->ended;
        return bytes.size;
    }
    bool end = stream->ended;
    stream->in_event = true;
    size_t taken = stream->events->on_data(stream->user, stream, bytes, end, now);
    stream->in_event = false;
    assert(taken <= bytes.size);
    if (end && taken == bytes.size) {
        stream->readable = false;
    }
    if (!stream->readable) { /* also when it was stopped meanwhile */
        yo_buf_finish(&stream->in);
    }
    return taken;
}

void yo_wt_stream_offer(struct yo_wt_stream *stream, yo_time now)
{
    stream->resume = false;
    if (stream->readable && (stream->in.size > 0 || stream->ended)) {
        size_t taken = hand_up(stream, yo_buf_span(&stream->in), now);
        if (stream->readable) {
            yo_buf_consume(&stream->in, taken);
            yo_buf_shrink(&stream->in, 0);
        }
        give_credit(stream, taken);
    }
    if (stream->closed && !stream->readable && !stream->held) {
        yo_wt_stream_free(stream, now);
    }
}

void yo_wt_stream_receive(struct yo_wt_stream *stream, struct yo_span bytes, bool end,
                          yo_time now)
{
    if (!stream->readable) {
        return;
    }
    stream->ended = stream->ended || end;
    bool keep = stream->in.size > 0 || stream->in_event || !stream->session->open;
    size_t taken = keep ? 0 : hand_up(stream, bytes, now);
    give_credit(stream, taken);
    if (taken < bytes.size && stream->readable &&
        yo_buf_append_span(&stream->in, yo_span_skip(bytes, taken)) != YOMO_OK) {
        yo_quic_conn_fail(stream->session->conn, YO_H3_INTERNAL_ERROR, "out of memory");
    }
}

void yo_wt_stream_resume(struct yo_wt_stream *stream)
{
    stream->resume = true;
    stream->session->resume = true;
    yo_quic_conn_touch(stream->session->conn);
}

void yo_wt_stream_hold(struct yo_wt_stream *stream)
{
    stream->held = true;
}

void yo_wt_stream_release(struct yo_wt_stream *stream)
{
    stream->held = false;
    if (stream->closed && !stream->readable) {
        yo_wt_stream_resume(stream); /* which frees it */
    }
}

void yo_wt_stream_stop(struct yo_wt_stream *stream, uint32_t code)
{
    if (!stream->readable) {
        return;
    }
    stream->readable = false;
    if (!stream->in_event) {
        yo_buf_finish(&stream->in);
        yo_wt_stream_settle(stream);
    }
    if (stream->closed) {
        yo_wt_stream_resume(stream); /* which frees it */
    } else if (stream->id < 0) {
        stream->stop_due = true;
        stream->stop_code = code;
    } else if (!stream->session->ended) {
        ngtcp2_conn_shutdown_stream_read(stream->session->conn->quic, 0, stream->id,
                                         yo_wt_code_to_h3(code));
        yo_quic_conn_touch(stream->session->conn);
    }
}

/* --- Out -------------------------------------------------------------------------- */

void yo_wt_stream_ready(struct yo_wt_stream *stream)
{
    bool due = stream->reset_due ? stream->header_unsent > 0
                                 : yo_sendqueue_ready(&stream->out);
    if (due && stream->writable && stream->id >= 0 && !stream->blocked &&
        !yo_place_waits(&stream->place)) {
        yo_turns_add(&stream->session->turns, &stream->place);
    }
    yo_wt_session_sends(stream->session);
}

static bool can_queue(const struct yo_wt_stream *stream)
{
    return stream->writable && !stream->out.end && !stream->reset_due &&
           !stream->session->ended;
}

int yo_wt_stream_push(struct yo_wt_stream *stream, struct yo_span head,
                      struct yo_blob *blob)
{
    if (!can_queue(stream)) {
        return YOMO_ERR_CLOSED;
    }
    int rv = yo_sendqueue_push(&stream->out, head, blob);
    if (rv == YOMO_OK) {
        yo_wt_stream_ready(stream);
    }
    return rv;
}

int yo_wt_stream_write(struct yo_wt_stream *stream, struct yo_span bytes, size_t room,
                       size_t *taken)
{
    *taken = 0;
    if (!can_queue(stream)) {
        return YOMO_ERR_CLOSED;
    }
    size_t free_room = stream->out.size < room ? room - stream->out.size : 0;
    if (bytes.size > free_room) {
        bytes.size = free_room;
    }
    if (bytes.size == 0) {
        return YOMO_OK;
    }
    int rv = yo_sendqueue_push_bytes(&stream->out, bytes);
    if (rv == YOMO_OK) {
        *taken = bytes.size;
        yo_wt_stream_ready(stream);
    }
    return rv;
}

void yo_wt_stream_end(struct yo_wt_stream *stream)
{
    if (can_queue(stream)) {
        stream->out.end = true;
        yo_wt_stream_ready(stream);
    }
}

int yo_wt_stream_order(struct yo_wt_stream *stream, uint64_t group, int64_t order)
{
    return yo_turns_order(&stream->session->turns, &stream->place, group, order,
                          stream->out.mem);
}

void yo_wt_stream_unorder(struct yo_wt_stream *stream)
{
    bool waits = yo_place_waits(&stream->place);
    yo_turns_forget(&stream->session->turns, &stream->place, stream->out.mem);
    if (waits) {
        yo_turns_add(&stream->session->turns, &stream->place);
    }
}

void yo_wt_stream_each(const struct yo_wt_stream *stream,
                       void (*fn)(void *user, struct yo_blob *blob), void *user)
{
    yo_sendqueue_each(&stream->out, fn, user);
}

static void reset_now(struct yo_wt_stream *stream)
{
    stream->reset_due = false;
    stream->writable = false;
    yo_turns_remove(&stream->session->turns, &stream->place);
    ngtcp2_conn_shutdown_stream_write(stream->session->conn->quic, 0, stream->id,
                                      stream->reset_code);
    yo_quic_conn_touch(stream->session->conn);
}

void yo_wt_stream_reset(struct yo_wt_stream *stream, uint32_t code)
{
    if (!stream->writable || stream->reset_due || stream->session->ended) {
        return;
    }
    stream->reset_code = yo_wt_code_to_h3(code);
    if (stream->header_unacked > 0) {
        stream->reset_due = true;
        yo_turns_remove(&stream->session->turns, &stream->place);
        yo_wt_stream_ready(stream);
    } else {
        reset_now(stream);
    }
}

void yo_wt_stream_acked(struct yo_wt_stream *stream, size_t size, yo_time now)
{
    size_t header = size < stream->header_unacked ? size : stream->header_unacked;
    yo_sendqueue_acked(&stream->out, size);
    stream->header_unacked = (uint8_t)(stream->header_unacked - header);
    if (stream->reset_due && stream->header_unacked == 0) {
        reset_now(stream);
    }
    stream->session->progress = true;
    /* Of a FIN that came alone ngtcp2 tells by a call without bytes. */
    stream->end_acked = stream->end_acked || size == 0;
    bool told = size > header || yo_wt_stream_finished(stream);
    if (told && stream->events && stream->events->on_acked) {
        stream->events->on_acked(stream->user, stream, size - header, now);
    }
}

void yo_wt_stream_shut_write(struct yo_wt_stream *stream, const uint32_t *code,
                             yo_time now)
{
    stream->writable = false;
    yo_turns_remove(&stream->session->turns, &stream->place);
    if (!stream->stopped) {
        stream->stopped = true;
        if (stream->events && stream->events->on_stop) {
            stream->events->on_stop(stream->user, stream, code, now);
        }
    }
}

/* --- What is asked of it ---------------------------------------------------------- */

void yo_wt_stream_listen(struct yo_wt_stream *stream,
                         const struct yo_wt_stream_events *events, void *user)
{
    stream->events = events;
    stream->user = user;
}

void *yo_wt_stream_user(const struct yo_wt_stream *stream)
{
    return stream->user;
}

bool yo_wt_stream_bidirectional(const struct yo_wt_stream *stream)
{
    return stream->bidirectional;
}

bool yo_wt_stream_local(const struct yo_wt_stream *stream)
{
    return stream->local;
}

int64_t yo_wt_stream_id(const struct yo_wt_stream *stream)
{
    return stream->id;
}

bool yo_wt_stream_finished(const struct yo_wt_stream *stream)
{
    return stream->out.end_sent && stream->out.size == 0 &&
           (stream->end_acked || !stream->end_alone);
}

size_t yo_wt_stream_queued(const struct yo_wt_stream *stream)
{
    return stream->out.size - stream->header_unacked;
}
