/* SPDX-License-Identifier: MIT */
/* sessions.c - the sessions of one connection: from the first thing that comes for one
 * to the last that QUIC knows of it.
 *
 * Without flow control of sessions (draft-ietf-webtrans-http3-16 5.1) there is one, and
 * its end is the connection's. With it each ends alone; the connection ends when none
 * is left: a client's at once, a server's when no new one was asked for after a while.
 *
 * Streams and datagrams may come before the request whose session they are for (4.6),
 * and for a session that was just left. For the first a session is there that is
 * expected, and holds them, a bounded number for the connection; of the others the last
 * few are known.
 *
 * QUIC points into a stream's bytes until it has forgotten it, so a session stays until
 * that is true of all its streams, and counts as long. */
#include <assert.h>
#include <yomo/error.h>

#include "base/text.h"
#include "base/varint.h"
#include "transport/webtransport/codes.h"
#include "transport/webtransport/conn.h"
#include "transport/webtransport/inside.h"

const struct yo_wt_limits yo_wt_own_limits = {.data = YO_WT_CONN_WINDOW,
                                              .bidirectional = YO_WT_STREAMS_MAX,
                                              .unidirectional = YO_WT_STREAMS_MAX};

struct early_datagram {
    struct yo_link link;
    size_t size;
    uint8_t bytes[]; /* without the quarter stream ID */
};

static struct yo_wt_session *session_of(struct yo_link *link)
{
    return YO_CONTAINER(link, struct yo_wt_session, link);
}

/* --- Which ones there are --------------------------------------------------------- */

bool yo_quic_conn_several(const struct yo_quic_conn *conn)
{
    return conn->endpoint->options.sessions > 1 && conn->h3 &&
           yo_h3_peer(conn->h3)->seen && yo_h3_peer(conn->h3)->flow_control;
}

struct yo_wt_session *yo_wt_session_create(struct yo_quic_conn *conn, int64_t id)
{
    struct yo_wt_session *session = yo_calloc(conn->mem, 1, sizeof(*session));
    if (!session) {
        return NULL;
    }
    session->conn = conn;
    session->id = id;
    session->alarm = session->give_up = YO_NEVER;
    yo_datagrams_init(&session->datagrams, conn->mem);
    yo_list_init(&session->sending);
    yo_list_init(&session->streams);
    yo_turns_init(&session->turns);
    yo_list_init(&session->unopened);
    yo_list_init(&session->early);
    yo_list_init(&session->early_datagrams);
    yo_capsules_init(&session->capsules, conn->mem);
    yo_buf_init(&session->offered, conn->mem);
    yo_buf_init(&session->answered, conn->mem);
    yo_list_push_back(&conn->sessions, &session->link);
    return session;
}

struct yo_wt_session *yo_wt_session_find(const struct yo_quic_conn *conn, int64_t id)
{
    for (struct yo_link *link = conn->sessions.next; link != &conn->sessions;
         link = link->next) {
        if (session_of(link)->id == id && id >= 0) {
            return session_of(link);
        }
    }
    return NULL;
}

size_t yo_wt_sessions_live(const struct yo_quic_conn *conn)
{
    size_t count = 0;
    for (struct yo_link *link = conn->sessions.next; link != &conn->sessions;
         link = link->next) {
        count += session_of(link)->phase != YO_WT_EXPECTED;
    }
    return count;
}

int yo_wt_sessions_room(const struct yo_quic_conn *conn, bool counted)
{
    const struct yo_peer_settings *peer = yo_h3_peer(conn->h3);
    uint64_t max = yo_quic_conn_several(conn) ? conn->endpoint->options.sessions : 1;
    uint64_t count = 0;
    for (struct yo_link *link = conn->sessions.next; link != &conn->sessions;
         link = link->next) {
        enum yo_wt_phase phase = session_of(link)->phase;
        count += phase > YO_WT_WANTED || (!counted && phase == YO_WT_WANTED);
    }
    max = peer->sessions > 0 && peer->sessions < max ? peer->sessions : max;
    if (count < max) {
        return YOMO_OK;
    }
    return yo_quic_conn_several(conn) ? YOMO_ERR_FULL : YOMO_ERR_VERSION;
}

/* Those that still want something. */
static size_t wanted(const struct yo_quic_conn *conn)
{
    size_t count = 0;
    for (struct yo_link *link = conn->sessions.next; link != &conn->sessions;
         link = link->next) {
        count += session_of(link)->phase != YO_WT_EXPECTED &&
                 session_of(link)->phase != YO_WT_OVER;
    }
    return count;
}

static bool is_dead(const struct yo_quic_conn *conn, int64_t id)
{
    bool dead = false;
    for (size_t i = 0; conn->dead && i < YO_WT_DEAD_MAX && i < conn->dead->count; i++) {
        dead = dead || conn->dead->ids[i] == id;
    }
    return dead;
}

static void remember_dead(struct yo_quic_conn *conn, int64_t id)
{
    if (!conn->dead) { /* without it streams that come late are held for a while */
        conn->dead = yo_calloc(conn->mem, 1, sizeof(*conn->dead));
    }
    if (conn->dead && id >= 0) {
        conn->dead->ids[conn->dead->count++ % YO_WT_DEAD_MAX] = id;
    }
}

struct yo_wt_session *yo_wt_session_expect(struct yo_quic_conn *conn, int64_t id,
                                           uint64_t *code)
{
    struct yo_wt_session *session = yo_wt_session_find(conn, id);
    bool one = conn->endpoint->options.sessions <= 1 ||
               (conn->h3 && yo_h3_peer(conn->h3)->seen && !yo_quic_conn_several(conn));
    *code = YO_WT_SESSION_GONE;
    if (session ? session->phase > YO_WT_OPEN : conn->ended || is_dead(conn, id)) {
        return NULL;
    }
    if (session) {
        return session;
    }
    *code = YO_WT_BUFFERED_STREAM_REJECTED;
    if (!conn->server || (one && yo_wt_sessions_live(conn) > 0)) {
        return NULL;
    }
    return yo_wt_session_create(conn, id);
}

/* --- What comes before a session is open ------------------------------------------ */

static void drop_early_datagrams(struct yo_wt_session *session)
{
    struct yo_link *link;
    while ((link = yo_list_pop_front(&session->early_datagrams))) {
        yo_free(session->conn->mem, YO_CONTAINER(link, struct early_datagram, link));
        session->conn->early_datagrams--;
    }
}

int yo_wt_session_hold_datagram(struct yo_wt_session *session, struct yo_span bytes)
{
    struct yo_quic_conn *conn = session->conn;
    if (conn->early_datagrams >= YO_WT_EARLY_DATAGRAMS_MAX) {
        return YOMO_ERR_FULL;
    }
    struct early_datagram *early = yo_malloc(conn->mem, sizeof(*early) + bytes.size);
    if (!early) {
        return YOMO_ERR_NOMEM;
    }
    early->size = bytes.size;
    if (bytes.size > 0) {
        memcpy(early->bytes, bytes.data, bytes.size);
    }
    yo_list_push_back(&session->early_datagrams, &early->link);
    conn->early_datagrams++;
    return YOMO_OK;
}

/* Take the first early stream; its bytes count from now on. */
static struct yo_wt_stream *take_early(struct yo_wt_session *session)
{
    struct yo_link *link = yo_list_pop_front(&session->early);
    if (!link) {
        return NULL;
    }
    struct yo_wt_stream *stream = YO_CONTAINER(link, struct yo_wt_stream, link);
    stream->early = false;
    session->conn->early_streams--;
    yo_list_push_back(&session->streams, &stream->link);
    yo_quic_give_credit(session->conn, stream->in.size);
    return stream;
}

void yo_wt_session_adopt_early(struct yo_wt_session *session, yo_time now)
{
    struct yo_wt_stream *stream;
    struct yo_link *link;
    while (session->open && (stream = take_early(session))) {
        enum yo_flow_kind kind = stream->bidirectional ? YO_FLOW_BIDI : YO_FLOW_UNI;
        if (session->flow) {
            stream->counted = true;
            if (yo_flow_take(session->flow, kind, 1) != YOMO_OK ||
                yo_flow_take(session->flow, YO_FLOW_DATA, stream->received) !=
                    YOMO_OK) {
                stream->counted = false;
                yo_wt_session_overrun(session);
                return;
            }
            yo_flow_done(session->flow, YO_FLOW_DATA, stream->done);
        }
        yo_wt_session_announce(session, stream, now);
    }
    while (session->open && (link = yo_list_pop_front(&session->early_datagrams))) {
        struct early_datagram *early = YO_CONTAINER(link, struct early_datagram, link);
        session->conn->early_datagrams--;
        yo_wt_session_datagram(session, yo_span(early->bytes, early->size), now);
        yo_free(session->conn->mem, early);
    }
}

void yo_wt_session_reject_early(struct yo_wt_session *session, uint64_t code)
{
    struct yo_wt_stream *stream;
    while ((stream = take_early(session))) {
        stream->readable = stream->writable = false;
        yo_buf_finish(&stream->in);
        if (stream->closed) {
            yo_wt_stream_free(stream, session->conn->now);
        } else {
            ngtcp2_conn_shutdown_stream(session->conn->quic, 0, stream->id, code);
        }
    }
    drop_early_datagrams(session);
    yo_quic_conn_touch(session->conn);
}

/* --- Ends ------------------------------------------------------------------------- */

void yo_wt_session_note_end(struct yo_wt_session *session, const struct yo_wt_end *end)
{
    const uint8_t *capsule = session->capsules.value;
    if (session->ended) {
        return;
    }
    session->ended = true;
    session->end = *end;
    if (!end->text.data || (capsule && end->text.data == capsule + 4)) {
        return;
    }
    struct yo_span text = end->text;
    if (text.size > sizeof(session->end_text)) {
        text.size = sizeof(session->end_text);
    }
    while (text.size > 0 && !yo_utf8_valid(text)) {
        text.size--;
    }
    memcpy(session->end_text, text.data, text.size);
    session->end.text = yo_span(session->end_text, text.size);
}

void yo_wt_session_drop_streams(struct yo_wt_session *session, uint64_t code)
{
    YO_LIST_EACH(link, next, &session->streams)
    {
        struct yo_wt_stream *stream = YO_CONTAINER(link, struct yo_wt_stream, link);
        stream->readable = stream->writable = false;
        yo_turns_remove(&session->turns, &stream->place);
        if (!stream->closed) {
            ngtcp2_conn_shutdown_stream(session->conn->quic, 0, stream->id, code);
        }
    }
}

void yo_wt_session_over(struct yo_wt_session *session)
{
    yo_wt_session_note_end(
        session, &(struct yo_wt_end){.remote = true, .error = YOMO_ERR_CLOSED});
    session->open = false;
    session->phase = YO_WT_OVER;
    session->alarm = session->give_up = YO_NEVER;
    yo_wt_session_drop_streams(session, YO_WT_SESSION_GONE);
    yo_wt_session_reject_early(session, YO_WT_BUFFERED_STREAM_REJECTED);
    yo_quic_conn_touch(session->conn);
}

bool yo_wt_session_alone(const struct yo_wt_session *session)
{
    const struct yo_quic_conn *conn = session->conn;
    size_t others = wanted(conn) -
                    (session->phase != YO_WT_EXPECTED && session->phase != YO_WT_OVER);
    return !yo_quic_conn_several(conn) && others == 0;
}

/* What is to be said on its CONNECT stream was not said, and will not be. */
static void cut(struct yo_wt_session *session, uint64_t code)
{
    if (session->id >= 0) {
        ngtcp2_conn_shutdown_stream(session->conn->quic, 0, session->id, code);
    }
    yo_wt_session_over(session);
}

void yo_wt_session_fail(struct yo_wt_session *session, uint64_t code,
                        const char *reason)
{
    if (session->phase == YO_WT_OVER) {
        return;
    }
    yo_wt_session_note_end(session, &(struct yo_wt_end){.remote = true,
                                                        .error = YOMO_ERR_PROTO,
                                                        .text = yo_span_of(reason)});
    session->open = false;
    if (yo_wt_session_alone(session)) {
        yo_quic_conn_fail(session->conn, code, reason);
    } else {
        cut(session, code);
    }
}

void yo_wt_session_left(struct yo_wt_session *session, const struct yo_wt_end *end)
{
    struct yo_quic_conn *conn = session->conn;
    if (session->phase == YO_WT_OVER) {
        return;
    }
    yo_wt_session_note_end(session, end);
    session->open = false;
    if (yo_wt_session_alone(
            session)) { /* which also tells the peer that its last words arrived */
        yo_quic_conn_part(conn);
    } else if (end->clean && yo_h3_end(conn->h3, session->id) == YOMO_OK) {
        yo_wt_session_over(session);
    } else {
        cut(session, YO_H3_REQUEST_CANCELLED);
    }
}

/* The streams that QUIC still knows are nobody's any more. */
static void part(struct yo_wt_session *session, yo_time now)
{
    YO_LIST_EACH(link, next, &session->streams)
    {
        struct yo_wt_stream *stream = YO_CONTAINER(link, struct yo_wt_stream, link);
        if (stream->closed) {
            yo_wt_stream_free(stream, now);
            continue;
        }
        const struct yo_wt_stream_events *events = stream->events;
        stream->events = NULL;
        stream->readable = stream->writable = stream->held = false;
        yo_turns_forget(&session->turns, &stream->place, stream->out.mem);
        yo_wt_stream_settle(stream);
        if (events && events->on_gone) {
            events->on_gone(stream->user, stream, now);
        }
    }
}

static void free_streams(struct yo_link *list, yo_time now)
{
    while (!yo_list_empty(list)) { /* on_gone may do anything but open new ones */
        yo_wt_stream_free(YO_CONTAINER(list->next, struct yo_wt_stream, link), now);
    }
}

static void tell_end(struct yo_wt_session *session, yo_time now)
{
    struct yo_quic_conn *conn = session->conn;
    struct yo_endpoint *endpoint = conn->endpoint;
    const struct yo_wt_session_events *events = session->events;
    session->told = true;
    session->events = NULL;
    if (events) {
        if (events->on_end) {
            events->on_end(session->user, &session->end, now);
        }
    } else if (session->asked && session->asked->user && endpoint->events->on_gone) {
        endpoint->events->on_gone(endpoint->user, session, now);
    }
}

static void free_session(struct yo_wt_session *session)
{
    yo_wt_session_forget(session);
    yo_list_remove(&session->link);
    yo_list_remove(&session->sending);
    yo_free(session->conn->mem, session);
}

void yo_wt_session_discard(struct yo_wt_session *session)
{
    free_session(session);
}

void yo_wt_sessions_reap(struct yo_quic_conn *conn, yo_time now)
{
    bool some = false;
    YO_LIST_EACH(link, next, &conn->sessions)
    {
        struct yo_wt_session *session = session_of(link);
        if (session->phase == YO_WT_EXPECTED && yo_list_empty(&session->early) &&
            yo_list_empty(&session->early_datagrams)) {
            free_session(session); /* what it was expected for has gone */
            continue;
        }
        if (session->phase != YO_WT_OVER) {
            continue;
        }
        some = true;
        if (!session->told) {
            remember_dead(conn, session->id);
            free_streams(&session->unopened, now);
            part(session, now);
            yo_datagrams_finish(&session->datagrams);
            tell_end(session, now);
        }
        if (yo_list_empty(&session->streams)) {
            free_session(session);
        }
    }
    if (!some || conn->state == YO_QUIC_OVER || wanted(conn) > 0) {
        return;
    }
    if (!conn->server) {
        yo_quic_conn_fail(conn, YO_H3_NO_ERROR, "");
    } else if (conn->give_up == YO_NEVER) { /* it may want another */
        conn->give_up = yo_time_after(now, conn->endpoint->options.handshake);
    }
}

void yo_wt_sessions_finish(struct yo_quic_conn *conn)
{
    yo_time now = conn->now;
    struct yo_wt_end end = {.remote = true, .error = YOMO_ERR_CLOSED};
    YO_LIST_EACH(link, next, &conn->sessions)
    {
        struct yo_wt_session *session = session_of(link);
        session->open = false;
        yo_wt_session_note_end(session, &end);
        free_streams(&session->streams, now);
        free_streams(&session->unopened, now);
        free_streams(&session->early, now);
        drop_early_datagrams(session);
        yo_datagrams_finish(&session->datagrams);
        if (!session->told) {
            tell_end(session, now);
        }
        session->phase = YO_WT_OVER;
    }
    while (!yo_list_empty(&conn->sessions)) {
        free_session(session_of(conn->sessions.next));
    }
    yo_free(conn->mem, conn->dead);
    conn->dead = NULL;
}

/* --- Time, and what was put off ----------------------------------------------------
 */

void yo_wt_sessions_alarm(struct yo_quic_conn *conn)
{
    yo_time first = YO_NEVER;
    for (struct yo_link *link = conn->sessions.next; link != &conn->sessions;
         link = link->next) {
        first = yo_time_min(first, session_of(link)->alarm);
        first = yo_time_min(first, session_of(link)->give_up);
    }
    conn->alarm = first;
}

void yo_wt_session_leave(struct yo_wt_session *session, yo_time span)
{
    session->leave_for = span > 0 ? span : 1;
    if (!yo_quic_conn_several(session->conn)) {
        session->conn->state = YO_QUIC_LEAVING;
    }
    yo_quic_conn_touch(session->conn);
}

/* The time counts from the turn in which it is told: a call comes from outside of turns
 * too, long after the last thing that happened here. */
static void begin_to_leave(struct yo_wt_session *session, yo_time now)
{
    struct yo_quic_conn *conn = session->conn;
    yo_time until = yo_time_after(now, session->leave_for);
    if (session->leave_for == 0) {
        return;
    }
    session->leave_for = 0;
    if (yo_quic_conn_several(conn)) {
        session->give_up = until;
        yo_wt_sessions_alarm(conn);
    } else {
        conn->give_up = until;
    }
}

void yo_wt_sessions_run(struct yo_quic_conn *conn, yo_time now)
{
    bool rang = conn->alarm <= now;
    YO_LIST_EACH(link, next, &conn->sessions)
    {
        struct yo_wt_session *session = session_of(link);
        yo_wt_session_run(session, now);
        begin_to_leave(session, now);
        if (session->give_up <= now && session->phase == YO_WT_LEAVING) {
            cut(session, YO_H3_NO_ERROR);
        }
        if (conn->state == YO_QUIC_OVER) {
            return;
        }
    }
    if (rang) {
        yo_wt_sessions_alarm(conn);
    }
    yo_wt_sessions_reap(conn, now);
}

bool yo_wt_sessions_deferred(const struct yo_quic_conn *conn, yo_time now)
{
    for (struct yo_link *link = conn->sessions.next; link != &conn->sessions;
         link = link->next) {
        const struct yo_wt_session *session = session_of(link);
        bool over = session->phase == YO_WT_OVER &&
                    (!session->told || yo_list_empty(&session->streams));
        if (over || yo_wt_session_deferred(session, now)) {
            return true;
        }
    }
    return false;
}
