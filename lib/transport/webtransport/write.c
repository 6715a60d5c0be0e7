/* SPDX-License-Identifier: MIT */
/* write.c - packets out: everything that is due on one connection, in one pass.
 *
 * The happy path: ngtcp2 asks for one packet after the other until a train for one GSO
 * send is full; each packet is filled with HTTP/3's bytes first, then datagrams and
 * streams in turn, until it is full or nothing is left. Only the last packet of a train
 * may be shorter than the others, so a packet that is followed by another is padded.
 *
 * While a packet is being filled nothing but ngtcp2's write calls may be made
 * (NGTCP2_ERR_WRITE_MORE), so what they say is noted and acted upon afterwards.
 *
 * Each of these calls costs about as much as encrypting a small packet, so there are as
 * few as can be: what is the last of all ends its packet in the same call, and a train
 * after which ngtcp2 had nothing to say is the last one. */
#include <assert.h>
#include <yomo/error.h>

#include "base/varint.h"
#include "transport/webtransport/codes.h"
#include "transport/webtransport/conn.h"
#include "transport/webtransport/inside.h"

#define SPANS_MAX 16
#define FRAMES_MAX 256 /* in one packet: more of them are not worth a packet's time */
#define TRAIN_SMALL (12 * 1452)
#define TRAIN_LARGE 64000

#define ROOMY 800 /* of 1,200 that any packet may have */

#define STUCK_MAX 16 /* no use asking more of them for one packet */

#define NOTHING ((ngtcp2_ssize)1 << 40) /* there was nothing to offer */

struct pass {
    struct yo_quic_conn *conn;
    ngtcp2_path *path;
    ngtcp2_pkt_info *pi;
    uint8_t *dest;
    size_t dest_size;
    ngtcp2_tstamp now;
    uint64_t left; /* of the connection's window */
};

static struct yo_wt_session *sending_of(struct yo_link *link)
{
    return YO_CONTAINER(link, struct yo_wt_session, sending);
}

static bool has_some(const struct yo_wt_session *session)
{
    return session->open &&
           (session->datagrams.count > 0 || !yo_turns_empty(&session->turns));
}

/* The session whose turn it is; NULL when none has anything to send. */
static struct yo_wt_session *first_sender(struct yo_quic_conn *conn)
{
    struct yo_link *link;
    while ((link = conn->sending.next) != &conn->sending) {
        if (has_some(sending_of(link))) {
            return sending_of(link);
        }
        yo_list_remove(link);
    }
    return NULL;
}

/* Does another session want to send than `session`, which is the first? */
static bool others(const struct yo_wt_session *session)
{
    const struct yo_link *end = &session->conn->sending;
    for (struct yo_link *link = end->next; link != end; link = link->next) {
        if (link != &session->sending && has_some(sending_of(link))) {
            return true;
        }
    }
    return false;
}

/* The others' turn. */
static void pass_on(struct yo_wt_session *session)
{
    struct yo_link *end = &session->conn->sending;
    if (end->next->next != end) {
        yo_list_remove(&session->sending);
        yo_list_push_back(end, &session->sending);
    }
}

/* Is there anything to send besides `stream` (may be NULL: no matter which) and
 * `datagrams` of them? */
static bool more_than(const struct yo_wt_session *session,
                      const struct yo_wt_stream *stream, size_t datagrams)
{
    bool streams = stream ? yo_turns_more(&session->turns) /* it is the first one */
                          : !yo_turns_empty(&session->turns);
    return streams || session->datagrams.count > datagrams || others(session);
}

static ngtcp2_ssize write_spans(struct pass *p, int64_t id, const struct yo_span *spans,
                                size_t count, bool end, bool more, ngtcp2_ssize *taken)
{
    ngtcp2_vec vecs[SPANS_MAX];
    uint32_t flags = NGTCP2_WRITE_STREAM_FLAG_NONE;
    if (more) {
        flags = NGTCP2_WRITE_STREAM_FLAG_MORE | NGTCP2_WRITE_STREAM_FLAG_PADDING;
    }
    for (size_t i = 0; i < count; i++) {
        vecs[i].base = (uint8_t *)(uintptr_t)spans[i].data;
        vecs[i].len = spans[i].size;
    }
    if (end) {
        flags |= NGTCP2_WRITE_STREAM_FLAG_FIN;
    }
    *taken = -1;
    ngtcp2_ssize n =
        ngtcp2_conn_writev_stream(p->conn->quic, p->path, p->pi, p->dest, p->dest_size,
                                  taken, flags, id, vecs, count, p->now);
    if (*taken > 0) {
        p->left -= (uint64_t)*taken < p->left ? (uint64_t)*taken : p->left;
    }
    return n;
}

static size_t total(const struct yo_span *spans, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        size += spans[i].size;
    }
    return size;
}

/* Did QUIC only say that this stream cannot be written to now? */
static bool stream_only(ngtcp2_ssize n)
{
    return n == NGTCP2_ERR_STREAM_DATA_BLOCKED || n == NGTCP2_ERR_STREAM_SHUT_WR ||
           n == NGTCP2_ERR_STREAM_NOT_FOUND;
}

static ngtcp2_ssize write_http(struct pass *p)
{
    struct yo_h3 *h3 = p->conn->h3;
    struct yo_span spans[SPANS_MAX];
    int64_t id;
    bool end;
    ngtcp2_ssize taken;

    if (!h3 || !p->conn->bound) {
        return NOTHING;
    }
    int count = yo_h3_pull(h3, &id, &end, spans, SPANS_MAX);
    if (count < 0) {
        yo_quic_conn_fail(p->conn, YO_H3_INTERNAL_ERROR, "HTTP/3");
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    if (id < 0 || (p->left == 0 && total(spans, (size_t)count) > 0)) {
        return NOTHING;
    }
    ngtcp2_ssize n = write_spans(p, id, spans, (size_t)count, end, true, &taken);
    if (taken >= 0 && yo_h3_took(h3, id, (size_t)taken) != YOMO_OK) {
        yo_quic_conn_fail(p->conn, YO_H3_INTERNAL_ERROR, "HTTP/3");
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    if (n == NGTCP2_ERR_STREAM_DATA_BLOCKED) {
        yo_h3_block(h3, id);
    } else if (stream_only(n)) {
        yo_h3_peer_stopped(h3, id);
    }
    return n;
}

static ngtcp2_ssize write_datagram(struct pass *p, struct yo_wt_session *session)
{
    uint8_t head[YO_VARINT_SIZE_MAX];
    uint64_t id;
    int accepted = 0;
    struct yo_blob *blob =
        session->open ? yo_datagrams_peek(&session->datagrams, &id) : NULL;

    if (!blob) {
        return NOTHING;
    }
    uint32_t flags = NGTCP2_WRITE_DATAGRAM_FLAG_NONE;
    if (more_than(session, NULL, 1)) {
        flags = NGTCP2_WRITE_DATAGRAM_FLAG_MORE | NGTCP2_WRITE_DATAGRAM_FLAG_PADDING;
    }
    ngtcp2_vec vecs[2] = {{head, yo_varint_write(head, (uint64_t)session->id / 4)},
                          {(uint8_t *)(uintptr_t)blob->data, blob->size}};
    ngtcp2_ssize n = ngtcp2_conn_writev_datagram(
        p->conn->quic, p->path, p->pi, p->dest, p->dest_size, &accepted, flags,
        yo_datagram_id(session->id, id), vecs, 2, p->now);
    if (accepted) {
        session->counts.datagram_out += blob->size;
        yo_datagrams_sent(&session->datagrams);
        session->progress = true;
    }
    return n;
}

/* Cut what `stream` would send to what flow control of its session allows. False: that
 * is nothing. */
static bool clip(const struct yo_wt_stream *stream, struct yo_span *spans,
                 size_t *count, bool *last)
{
    const struct yo_wt_session *session = stream->session;
    if (!session->flow) {
        return true;
    }
    size_t size = total(spans, *count);
    if (size == 0) { /* FIN costs nothing */
        return true;
    }
    uint64_t room = yo_flow_left(session->flow, YO_FLOW_DATA) + stream->header_unsent;
    if (size <= room) {
        return true;
    }
    yo_flow_blocked(session->flow, YO_FLOW_DATA);
    *last = false;
    for (size_t i = 0; i < *count; i++) {
        if (spans[i].size >= room) {
            spans[i].size = (size_t)room;
            *count = i + (room > 0);
            break;
        }
        room -= spans[i].size;
    }
    return *count > 0;
}

static ngtcp2_ssize write_stream(struct pass *p, struct yo_wt_session *session)
{
    struct yo_place *place = yo_turns_first(&session->turns);
    struct yo_span spans[SPANS_MAX];
    bool last = false;
    ngtcp2_ssize taken;

    if (!place || p->left == 0) {
        return NOTHING;
    }
    struct yo_wt_stream *stream = YO_CONTAINER(place, struct yo_wt_stream, place);
    size_t count =
        yo_sendqueue_peek(&stream->out, spans, SPANS_MAX, p->dest_size, &last);
    if (stream->reset_due) { /* only its header, which is a chunk of its own */
        count = 1;
        last = false;
    }
    if (!clip(stream, spans, &count, &last)) {
        yo_turns_pop(&session->turns); /* until the peer's limit grows */
        return NGTCP2_ERR_STREAM_DATA_BLOCKED;
    }
    bool end = last && stream->out.end;
    bool more = !last || more_than(session, stream, 0);
    ngtcp2_ssize n = write_spans(p, stream->id, spans, count, end, more, &taken);
    if (taken >= 0) {
        size_t header = stream->header_unsent;
        header = (size_t)taken < header ? (size_t)taken : header;
        stream->header_unsent = (uint8_t)(stream->header_unsent - header);
        session->counts.stream_out += (size_t)taken - header;
        if (session->flow) {
            yo_flow_use(session->flow, YO_FLOW_DATA, (size_t)taken - header);
        }
        bool whole = end && (size_t)taken == total(spans, count);
        yo_sendqueue_sent(&stream->out, (size_t)taken);
        stream->out.end_sent = stream->out.end_sent || whole;
        stream->end_alone = stream->end_alone || (whole && taken == 0);
    }
    bool again =
        !stream_only(n) && (stream->reset_due ? stream->header_unsent > 0
                                              : yo_sendqueue_ready(&stream->out));
    if (again && !yo_turns_more(&session->turns)) {
        return n; /* nobody else waits for a turn */
    }
    /* The next stream's turn; this one comes back if it has more. */
    yo_turns_pop(&session->turns);
    if (again) {
        yo_turns_add(&session->turns, &stream->place);
    } else if (n == NGTCP2_ERR_STREAM_DATA_BLOCKED) {
        stream->blocked = true;
    } else if (stream_only(n)) {
        stream->writable = false;
        session->shut = true;
    }
    return n;
}

/* ngtcp2_write_pkt: one packet. */
static ngtcp2_ssize write_packet(ngtcp2_conn *quic, ngtcp2_path *path,
                                 ngtcp2_pkt_info *pi, uint8_t *dest, size_t dest_size,
                                 ngtcp2_tstamp now, void *user)
{
    struct yo_quic_conn *conn = user;
    struct pass p = {
        conn, path, pi, dest, dest_size, now, ngtcp2_conn_get_max_data_left(quic)};
    bool http = true;
    size_t stuck = 0; /* sessions that could not send what they have */

    for (int frames = 0; frames < FRAMES_MAX; frames++) {
        ngtcp2_ssize n = http ? write_http(&p) : NOTHING;
        struct yo_wt_session *session = NULL;
        if (n == NOTHING) {
            http = false;
            session = first_sender(conn);
            if (!session) {
                break;
            }
            n = session->streams_first ? write_stream(&p, session)
                                       : write_datagram(&p, session);
        }
        if (n == NOTHING) {
            n = session->streams_first ? write_datagram(&p, session)
                                       : write_stream(&p, session);
        }
        if (n == NOTHING) {
            if (!others(session) || ++stuck > STUCK_MAX) {
                break;
            }
        } else if (n != NGTCP2_ERR_WRITE_MORE && !stream_only(n)) {
            if (session) {
                session->streams_first =
                    !session->streams_first; /* neither starves the other */
                pass_on(session);
            }
            return n;
        }
        if (session) {
            pass_on(session);
        }
    }
    ngtcp2_ssize n =
        ngtcp2_conn_writev_stream(quic, path, pi, dest, dest_size, NULL,
                                  NGTCP2_WRITE_STREAM_FLAG_NONE, -1, NULL, 0, now);
    conn->drained = n == 0;
    return n;
}

/* Datagrams that have become too big because the path did would block the queue. */
static void drop_oversize(struct yo_wt_session *session)
{
    uint64_t id;
    struct yo_blob *blob;
    blob = yo_datagrams_peek(&session->datagrams, &id);
    if (!blob || blob->size <= session->datagram_safe) {
        return;
    }
    size_t max = yo_wt_session_datagram_max(session);
    while ((blob = yo_datagrams_peek(&session->datagrams, &id)) && blob->size > max) {
        uint64_t token = yo_datagrams_drop(&session->datagrams);
        session->progress = true;
        if (token && session->events && session->events->on_fate) {
            session->events->on_fate(session->user, token, YO_FATE_LOST,
                                     session->conn->now);
        }
    }
}

/* Streams that wait for an ID, as far as the peer allows. */
static void open_streams(struct yo_wt_session *session)
{
    YO_LIST_EACH(link, next, &session->unopened)
    {
        struct yo_wt_stream *stream = YO_CONTAINER(link, struct yo_wt_stream, link);
        ngtcp2_conn *quic = session->conn->quic;
        enum yo_flow_kind kind = stream->bidirectional ? YO_FLOW_BIDI : YO_FLOW_UNI;
        if (session->flow && yo_flow_left(session->flow, kind) == 0) {
            yo_flow_blocked(session->flow, kind);
            continue;
        }
        int rv = stream->bidirectional
                     ? ngtcp2_conn_open_bidi_stream(quic, &stream->id, &stream->base)
                     : ngtcp2_conn_open_uni_stream(quic, &stream->id, &stream->base);
        if (rv != 0) {
            stream->id = -1;
            continue; /* the other kind may be allowed */
        }
        if (session->flow) {
            yo_flow_use(session->flow, kind, 1);
        }
        yo_list_remove(&stream->link);
        yo_list_push_back(&session->streams, &stream->link);
        session->unopened_count--;
        session->counts.opened++;
        session->progress = true;
        if (stream->stop_due) {
            stream->stop_due = false;
            ngtcp2_conn_shutdown_stream_read(quic, 0, stream->id,
                                             yo_wt_code_to_h3(stream->stop_code));
        }
        yo_wt_stream_ready(stream);
    }
}

static void tell_stopped(struct yo_wt_session *session, yo_time now)
{
    session->shut = false;
    YO_LIST_EACH(link, next, &session->streams)
    {
        struct yo_wt_stream *stream = YO_CONTAINER(link, struct yo_wt_stream, link);
        bool can = stream->local || stream->bidirectional;
        if (can && !stream->writable && !stream->stopped && session->open) {
            yo_wt_stream_shut_write(stream, NULL, now);
        }
    }
}

static size_t train_size(struct yo_quic_conn *conn, size_t quantum)
{
    const struct yo_wt_session *session = first_sender(conn);
    /* A long train only where there is a lot to send: room that is asked for and not
     * used may cut the socket's batch short. */
    bool much = session && (session->datagrams.size > TRAIN_SMALL ||
                            !yo_turns_empty(&session->turns) || others(session));
    return much && quantum > TRAIN_SMALL ? TRAIN_LARGE : TRAIN_SMALL;
}

/* Was a packet of `size` bytes the last one? ngtcp2's own frames go into the next packet
 * that has room; what it sends in packets of their own (probes) follows from something
 * that came or rang. To ask it would cost half as much as the packet did. */
static bool was_last(struct yo_quic_conn *conn, size_t size)
{
    return conn->calm && size < ROOMY && !first_sender(conn);
}

/* Trains of packets, until there is nothing more, or as much was sent as may go in one
 * go. The bytes sent, and whether more waits; YOMO_ERR_AGAIN: the socket is full. */
static int write_trains(struct yo_quic_conn *conn, size_t *sent, bool *more, yo_time now)
{
    size_t quantum = ngtcp2_conn_get_send_quantum(conn->quic);
    *sent = 0;
    *more = false;
    conn->drained = false;
    while (conn->state != YO_QUIC_OVER && !*more) {
        size_t size = train_size(conn, quantum);
        uint8_t *out = yo_endpoint_space(conn->endpoint, conn->socket, size);
        if (!out) {
            *more = true;
            return YOMO_ERR_AGAIN;
        }
        ngtcp2_path_storage ps;
        ngtcp2_pkt_info pi = {0};
        size_t segment = 0;
        ngtcp2_path_storage_zero(&ps);
        conn->drained = false;
        ngtcp2_ssize n = ngtcp2_conn_write_aggregate_pkt2(
            conn->quic, &ps.path, &pi, out, size < quantum ? size : quantum, &segment,
            write_packet, 0, now);
        if (n < 0) {
            yo_quic_conn_fail_quic(conn, (int)n);
            break;
        }
        if (n > 0) {
            yo_endpoint_sent(conn, out, &ps.path, pi.ecn, (size_t)n,
                             segment ? segment : (size_t)n);
            *sent += (size_t)n;
            if (was_last(conn, (size_t)n)) {
                break;
            }
        }
        if (n == 0 || conn->drained) {
            *more = !conn->drained || first_sender(conn);
            break;
        }
        *more = *sent >= quantum;
    }
    return YOMO_OK;
}

/* Pacing (RFC 9002 7.7) names a time for the next packet whether there is one or not. If
 * there is none that time is not waited for, else each message would cost a timer and an
 * empty pass: once it is past, ngtcp2 takes it away when the next packet is written. */
static void pace(struct yo_quic_conn *conn, size_t sent, bool more, yo_time now)
{
    if (sent > 0) {
        ngtcp2_conn_update_pkt_tx_time(conn->quic, now);
    }
    if (more) {
        conn->due = ngtcp2_conn_get_expiry(conn->quic);
    }
}

/* What ngtcp2 waits for after the pass. After packets that were nothing special it can
 * only be that they are not acknowledged, and too early does no harm. */
static void note_due(struct yo_quic_conn *conn, size_t sent, yo_time now)
{
    if (conn->drained || sent == 0 || conn->unacked != YO_NEVER) {
        conn->due = ngtcp2_conn_get_expiry(conn->quic);
    } else {
        yo_time probe = yo_time_after(now, ngtcp2_conn_get_pto(conn->quic));
        conn->due = yo_time_min(conn->due, probe);
    }
}

/* What is to be done before a pass ... */
static void prepare(struct yo_wt_session *session, yo_time now)
{
    if (!session->open) {
        return;
    }
    open_streams(session);
    drop_oversize(session);
    if (yo_datagrams_expire(&session->datagrams, now)) {
        yo_wt_session_tell_unsent(session, now);
    }
    yo_wt_session_say_flow(session);
}

/* ... and after it. */
static void follow_up(struct yo_wt_session *session, yo_time now)
{
    struct yo_quic_conn *conn = session->conn;
    if (session->shut && !conn->busy) {
        yo_quic_conn_touch(conn); /* it is told in the turn */
    } else if (session->shut) {
        tell_stopped(session, now);
    }
    if ((session->progress && session->want_progress) ||
        yo_wt_session_say_flow(session)) {
        yo_quic_conn_touch(conn);
    }
}

int yo_quic_conn_write(struct yo_quic_conn *conn, yo_time now)
{
    size_t sent;
    bool more;

    conn->now = now;
    YO_LIST_EACH(link, next, &conn->sessions)
    {
        prepare(YO_CONTAINER(link, struct yo_wt_session, link), now);
    }
    int rv = write_trains(conn, &sent, &more, now);
    if (conn->state == YO_QUIC_OVER) {
        return YOMO_OK;
    }
    conn->calm = conn->calm || conn->drained;
    note_due(conn, sent, now);
    pace(conn, sent, more, now);
    yo_quic_conn_passed(conn, sent, more, now);
    (void)first_sender(conn); /* takes those off the list that have sent it all */
    YO_LIST_EACH(link, next, &conn->sessions)
    {
        follow_up(YO_CONTAINER(link, struct yo_wt_session, link), now);
    }
    return rv;
}

size_t yo_quic_write_close(struct yo_quic_conn *conn, uint8_t *out, size_t size,
                           ngtcp2_path *path, yo_time now)
{
    ngtcp2_pkt_info pi = {0};
    ngtcp2_ssize n = ngtcp2_conn_write_connection_close(conn->quic, path, &pi, out,
                                                        size, &conn->error, now);
    return n > 0 ? (size_t)n : 0;
}
