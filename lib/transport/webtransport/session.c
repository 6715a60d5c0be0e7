/* SPDX-License-Identifier: MIT */
/* session.c - one session, as its owner sees it.
 *
 * It is open when CONNECT was answered with 2xx. Its end is decided once
 * (yo_wt_session_note_end) and told once, from a turn (sessions.c). */
#include <assert.h>
#include <yomo/error.h>

#include "base/prefetch.h"
#include "base/text.h"
#include "base/varint.h"
#include "transport/webtransport/codes.h"
#include "transport/webtransport/conn.h"
#include "transport/webtransport/inside.h"

#define LEAVE_MAX YO_SECOND /* a browser that was told may never acknowledge it */
#define QUIC_OVERHEAD \
    27 /* flags, packet number, AEAD tag, frame header, room for an ACK */

static const struct yomo_mem *mem_of(const struct yo_wt_session *session)
{
    return session->datagrams.mem;
}

/* What is left once its end was told. */
void yo_wt_session_forget(struct yo_wt_session *session)
{
    yo_wt_asked_free(session);
    yo_wt_ask_free(session);
    yo_capsules_finish(&session->capsules);
    yo_buf_finish(&session->offered);
    yo_buf_finish(&session->answered);
    yo_free(mem_of(session), session->protocol);
    session->protocol = NULL;
    yo_free(mem_of(session), session->flow);
    session->flow = NULL;
}

void yo_wt_session_listen(struct yo_wt_session *session,
                          const struct yo_wt_session_events *events, void *user)
{
    session->events = events;
    session->user = user;
}

struct yo_span yo_wt_session_fields(const struct yo_wt_session *session)
{
    return yo_buf_span(&session->answered);
}

const char *yo_wt_session_protocol(const struct yo_wt_session *session)
{
    return session->protocol ? session->protocol : "";
}

/* --- Opening ---------------------------------------------------------------------- */

/* The largest datagram in packets of `path` bytes to a connection ID of `id_size`. */
static size_t datagram_max(const struct yo_wt_session *session, size_t path,
                           size_t id_size)
{
    ngtcp2_conn *quic = session->conn->quic;
    const ngtcp2_transport_params *peer = ngtcp2_conn_get_remote_transport_params(quic);
    if (!peer || peer->max_datagram_frame_size < 4) {
        return 0;
    }
    size_t head = yo_varint_size((uint64_t)session->id / 4);
    size_t overhead = QUIC_OVERHEAD + id_size + head;
    size_t by_path = path > overhead ? path - overhead : 0;
    uint64_t frame = peer->max_datagram_frame_size - 3; /* type and length */
    size_t by_peer = frame > head ? (size_t)(frame < 65536 ? frame : 65536) - head : 0;
    return by_path < by_peer ? by_path : by_peer;
}

int yo_wt_session_begin(struct yo_wt_session *session)
{
    struct yo_quic_conn *conn = session->conn;
    if (yo_quic_conn_several(conn)) {
        session->flow = yo_malloc(conn->mem, sizeof(*session->flow));
        if (!session->flow) {
            return YOMO_ERR_NOMEM;
        }
        yo_flow_init(session->flow, &yo_wt_own_limits, &yo_h3_peer(conn->h3)->limits);
        yo_window_init(&session->window, YO_WT_CONN_WINDOW);
        session->capsules.flow_control = true;
    } else { /* what came for others is nobody's */
        YO_LIST_EACH(link, next, &conn->sessions)
        {
            struct yo_wt_session *other =
                YO_CONTAINER(link, struct yo_wt_session, link);
            if (other->phase == YO_WT_EXPECTED) {
                yo_wt_session_over(other);
            }
        }
    }
    session->phase = YO_WT_OPEN;
    session->open = true;
    session->datagram_safe = datagram_max(session, NGTCP2_MAX_UDP_PAYLOAD_SIZE,
                                          NGTCP2_MAX_CIDLEN); /* it may change */
    conn->state = YO_QUIC_SESSION;
    conn->give_up = YO_NEVER;
    return YOMO_OK;
}

void yo_wt_session_announce(struct yo_wt_session *session, struct yo_wt_stream *stream,
                            yo_time now)
{
    session->counts.accepted++;
    session->counts.stream_in += stream->in.size;
    if (session->events && session->events->on_stream) {
        session->events->on_stream(session->user, stream, now);
    }
    yo_wt_stream_offer(stream, now);
}

/* A datagram of its own. */
void yo_wt_session_datagram(struct yo_wt_session *session, struct yo_span bytes,
                            yo_time now)
{
    session->counts.received++;
    session->counts.datagram_in += bytes.size;
    if (session->events && session->events->on_datagram) {
        session->events->on_datagram(session->user, bytes, now);
    }
}

/* What left the queue because of its limits. */
void yo_wt_session_tell_unsent(struct yo_wt_session *session, yo_time now)
{
    uint64_t token;
    while ((token = yo_datagrams_untold(&session->datagrams)) != 0) {
        session->progress = true;
        if (session->open && session->events && session->events->on_fate) {
            session->events->on_fate(session->user, token, YO_FATE_UNSENT, now);
        }
    }
}

/* --- Events that were put off to the turn ----------------------------------------- */

void yo_wt_session_run(struct yo_wt_session *session, yo_time now)
{
    if (session->wake) {
        session->wake = false;
        if (session->events && session->events->on_turn) {
            session->events->on_turn(session->user, now);
        }
    }
    if (session->drain_due && session->open && session->events) {
        session->drain_due = false;
        if (session->events->on_drain) {
            session->events->on_drain(session->user, now);
        }
    }
    if (session->open) {
        yo_wt_session_adopt_early(session, now);
    }
    yo_wt_session_tell_unsent(session, now);
    if (session->resume && session->open) {
        session->resume = false;
        YO_LIST_EACH(link, next, &session->streams)
        {
            struct yo_wt_stream *stream = YO_CONTAINER(link, struct yo_wt_stream, link);
            if (stream->resume && session->open) {
                yo_wt_stream_offer(stream, now);
            }
        }
    }
    if (session->progress && session->want_progress && session->open) {
        session->want_progress = false;
        if (session->events && session->events->on_progress) {
            session->events->on_progress(session->user, now);
        }
    }
    if (session->alarm <= now) {
        session->alarm = YO_NEVER;
        if (session->events && session->events->on_alarm) {
            session->events->on_alarm(session->user, now);
        }
    }
}

bool yo_wt_session_deferred(const struct yo_wt_session *session, yo_time now)
{
    uint64_t id;
    const struct yo_blob *datagram = yo_datagrams_peek(&session->datagrams, &id);
    return session->wake || session->resume || session->shut || session->leave_for ||
           (session->progress && session->want_progress) ||
           (session->open && (!yo_list_empty(&session->early) ||
                              !yo_list_empty(&session->early_datagrams))) ||
           session->alarm <= now || (session->flow && session->flow->due != 0) ||
           !yo_list_empty(&session->datagrams.untold) ||
           (datagram && session->datagrams.limits.age > 0) || /* may have to be told */
           (datagram && datagram->size > session->datagram_safe); /* may be dropped */
}

void yo_wt_session_flush(struct yo_wt_session *session, yo_time now)
{
    yo_quic_conn_flush(session->conn, now);
}

void yo_wt_session_wake(struct yo_wt_session *session)
{
    session->wake = true;
    yo_quic_conn_touch(session->conn);
}

void yo_wt_session_want_progress(struct yo_wt_session *session)
{
    session->want_progress = true;
    session->progress = false;
}

void yo_wt_session_alarm(struct yo_wt_session *session, yo_time when)
{
    session->alarm = when;
    yo_wt_sessions_alarm(session->conn);
    yo_quic_conn_touch(session->conn);
}

void yo_wt_session_sends(struct yo_wt_session *session)
{
    struct yo_quic_conn *conn = session->conn;
    if (session->sending.next == &session->sending) {
        yo_list_push_back(&conn->sending, &session->sending);
    }
    yo_quic_conn_touch(conn);
}

/* --- Datagrams -------------------------------------------------------------------- */

size_t yo_wt_session_datagram_max(const struct yo_wt_session *session)
{
    ngtcp2_conn *quic = session->conn->quic;
    if (!session->open) {
        return 0;
    }
    return datagram_max(session, ngtcp2_conn_get_path_max_tx_udp_payload_size(quic),
                        ngtcp2_conn_get_dcid(quic)->datalen);
}

bool yo_wt_session_fits(const struct yo_wt_session *session, size_t size)
{
    return session->open && (size <= session->datagram_safe ||
                             size <= yo_wt_session_datagram_max(session));
}

void yo_wt_session_limit_datagrams(struct yo_wt_session *session,
                                   const struct yo_datagram_limits *limits)
{
    session->datagrams.limits = *limits;
}

/* Not ngtcp2's memory, of which a packet goes through some sixty lines: to fetch those
 * takes as long as to wait for them. */
void yo_wt_session_prefetch(const struct yo_wt_session *session)
{
    yo_prefetch(session, offsetof(struct yo_wt_session, ended));
    yo_prefetch(session->conn, offsetof(struct yo_quic_conn, farewell));
}

int yo_wt_session_send(struct yo_wt_session *session, struct yo_blob *blob,
                       uint64_t token)
{
    if (!session->open) {
        return YOMO_ERR_CLOSED;
    }
    if (!yo_wt_session_fits(session, blob->size)) {
        return YOMO_ERR_TOO_BIG;
    }
    int rv = yo_datagrams_push(&session->datagrams, blob, token);
    if (rv == YOMO_OK) {
        yo_wt_session_sends(session);
    }
    return rv;
}

size_t yo_wt_session_datagrams_queued(const struct yo_wt_session *session)
{
    return session->datagrams.size;
}

/* --- Streams ---------------------------------------------------------------------- */

int yo_wt_session_open(struct yo_wt_session *session, bool bidirectional,
                       const struct yo_wt_stream_events *events, void *user,
                       struct yo_wt_stream **out)
{
    if (!session->open) {
        return YOMO_ERR_CLOSED;
    }
    if (session->unopened_count >= YO_WT_UNOPENED_MAX) {
        return YOMO_ERR_FULL;
    }
    struct yo_wt_stream *stream = yo_wt_stream_new(session, -1, bidirectional, true);
    if (!stream) {
        return YOMO_ERR_NOMEM;
    }
    yo_wt_stream_listen(stream, events, user);
    yo_list_push_back(&session->unopened, &stream->link);
    session->unopened_count++;
    yo_quic_conn_touch(session->conn);
    *out = stream;
    return YOMO_OK;
}

/* --- The end ---------------------------------------------------------------------- */

/* Its end is decided, and it takes part in nothing any more. */
static void leave(struct yo_wt_session *session, const struct yo_wt_end *end)
{
    yo_wt_session_note_end(session, end);
    session->open = false;
}

void yo_wt_session_close(struct yo_wt_session *session, uint32_t code,
                         struct yo_span text)
{
    struct yo_quic_conn *conn = session->conn;
    uint8_t capsule[YO_CAPSULE_SIZE_MAX];

    if (session->ended) {
        return;
    }
    if (text.size > YO_CLOSE_TEXT_MAX) {
        text.size = YO_CLOSE_TEXT_MAX;
    }
    while (text.size > 0 && !yo_utf8_valid(text)) { /* cut between characters */
        text.size--;
    }
    bool told = false;
    if (session->open) {
        size_t n = yo_capsule_write_close(capsule, code, text);
        struct yo_span bytes = yo_span(capsule, n);
        told = yo_h3_capsules(conn->h3, session->id, bytes, false) == YOMO_OK &&
               yo_h3_end(conn->h3, session->id) == YOMO_OK;
    }
    leave(session, &(struct yo_wt_end){.clean = true, .code = code, .text = text});
    if (!told) {
        yo_wt_session_fail(session, YO_H3_NO_ERROR, "");
        return;
    }
    yo_wt_session_drop_streams(session, YO_WT_SESSION_GONE);
    session->phase = YO_WT_LEAVING;
    yo_wt_session_leave(session,
                        yo_time_min(3 * ngtcp2_conn_get_pto(conn->quic), LEAVE_MAX));
}

void yo_wt_session_break(struct yo_wt_session *session, uint64_t h3_code,
                         struct yo_span text)
{
    char reason[124];
    size_t n = text.size < sizeof(reason) - 1 ? text.size : sizeof(reason) - 1;
    if (n > 0) {
        memcpy(reason, text.data, n);
    }
    reason[n] = '\0';
    leave(session, &(struct yo_wt_end){.text = yo_span(reason, n)});
    yo_wt_session_fail(session, h3_code, reason);
}

void yo_wt_session_abort(struct yo_wt_session *session)
{
    leave(session, &(struct yo_wt_end){.error = YOMO_ERR_CLOSED});
    if (yo_wt_session_alone(session)) {
        yo_quic_conn_over(session->conn, YO_QUIC_SILENT);
    } else {
        yo_wt_session_fail(session, YO_H3_REQUEST_CANCELLED, "");
    }
}

void yo_wt_session_overrun(struct yo_wt_session *session)
{
    yo_wt_session_fail(session, YO_WT_FLOW_CONTROL_ERROR, "flow control");
}

bool yo_wt_session_say_flow(struct yo_wt_session *session)
{
    uint8_t capsule[YO_CAPSULE_FLOW_SIZE_MAX];
    uint64_t type, number;
    bool some = false;
    while (session->open && session->flow &&
           yo_flow_say(session->flow, &type, &number)) {
        size_t n = yo_capsule_write_flow(capsule, type, number);
        if (yo_h3_capsules(session->conn->h3, session->id, yo_span(capsule, n), true) !=
            YOMO_OK) {
            break; /* the next turn may have room */
        }
        yo_flow_said(session->flow, type);
        some = true;
    }
    return some;
}

int yo_wt_session_drain(struct yo_wt_session *session)
{
    uint8_t capsule[8];
    if (!session->open) {
        return YOMO_ERR_CLOSED;
    }
    size_t n = yo_capsule_write_drain(capsule);
    int rv = yo_h3_capsules(session->conn->h3, session->id, yo_span(capsule, n), false);
    /* GOAWAY speaks of all its sessions, and of those that are to come; after it
     * Chromium opens no streams either. */
    if (rv == YOMO_OK && session->conn->endpoint->draining) {
        rv = yo_h3_goaway(session->conn->h3);
    }
    yo_quic_conn_touch(session->conn);
    return rv;
}

void yo_wt_session_stats(const struct yo_wt_session *session, struct yo_wt_stats *stats)
{
    ngtcp2_conn *quic = session->conn->quic;
    ngtcp2_conn_info info;
    ngtcp2_conn_get_conn_info(quic, &info);
    bool measured = info.min_rtt != UINT64_MAX;
    *stats = (struct yo_wt_stats){
        .rtt_smoothed = measured ? info.smoothed_rtt : 0,
        .rtt_variation = measured ? info.rttvar : 0,
        .rtt_min = measured ? info.min_rtt : 0,
        .rtt_latest = measured ? info.latest_rtt : 0,
        .bytes_sent = info.bytes_sent,
        .bytes_received = info.bytes_recv,
        .packets_sent = info.pkt_sent,
        .packets_received = info.pkt_recv,
        .packets_lost = info.pkt_lost,
        .congestion_window = info.cwnd,
        .bytes_in_flight = info.bytes_in_flight,
        .path_mtu = ngtcp2_conn_get_path_max_tx_udp_payload_size(quic),
        .stream_bytes_sent = session->counts.stream_out,
        .stream_bytes_received = session->counts.stream_in,
        .datagram_bytes_sent = session->counts.datagram_out,
        .datagram_bytes_received = session->counts.datagram_in,
        .streams_opened = session->counts.opened,
        .streams_accepted = session->counts.accepted,
        .datagrams_sent = session->datagrams.sent,
        .datagrams_received = session->counts.received,
        .datagrams_acked = session->counts.acked,
        .datagrams_lost = session->counts.lost,
        .datagrams_dropped = session->datagrams.dropped,
        .datagrams_expired = session->datagrams.expired,
    };
}

yo_time yo_wt_session_rtt(const struct yo_wt_session *session)
{
    ngtcp2_conn_info info;
    ngtcp2_conn_get_conn_info(session->conn->quic, &info);
    return info.smoothed_rtt == NGTCP2_DEFAULT_INITIAL_RTT ? 0 : info.smoothed_rtt;
}

void yo_wt_session_address(const struct yo_wt_session *session, char out[64])
{
    memcpy(out, session->conn->address, 64);
}
