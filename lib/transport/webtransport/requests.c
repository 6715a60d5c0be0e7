/* SPDX-License-Identifier: MIT */
/* requests.c - CONNECT and what is said on its stream.
 *
 * A server hands a request up when it is whole and the client's SETTINGS have been seen
 * (draft-ietf-webtrans-http3-16 7.1); a client asks when it has the server's. A CONNECT
 * too many is rejected, and any other request gets a short page that says so. */
#include <assert.h>
#include <stdio.h>
#include <yomo/error.h>

#include "base/pairs.h"
#include "transport/webtransport/codes.h"
#include "transport/webtransport/conn.h"
#include "transport/webtransport/inside.h"
#include "transport/webtransport/subprotocol.h"

static void out_of_memory(struct yo_quic_conn *conn)
{
    yo_quic_conn_fail(conn, YO_H3_INTERNAL_ERROR, "out of memory");
}

/* --- A server's side -------------------------------------------------------------- */

void yo_wt_asked_free(struct yo_wt_session *session)
{
    const struct yomo_mem *mem = session->conn->mem;
    if (session->asked) {
        yo_buf_finish(&session->asked->fields);
        yo_buf_finish(&session->asked->capsules);
        yo_free(mem, session->asked);
        session->asked = NULL;
    }
}

static int keep_request(struct yo_wt_session *session, const struct yo_h3_head *head)
{
    const struct yomo_mem *mem = session->conn->mem;
    struct yo_wt_asked *asked = yo_calloc(mem, 1, sizeof(*asked));
    if (!asked) {
        return YOMO_ERR_NOMEM;
    }
    session->asked = asked;
    yo_buf_init(&asked->fields, mem);
    yo_buf_init(&asked->capsules, mem);
    return yo_buf_append_span(&asked->fields, head->fields);
}

/* One session more than there may be; without flow control that is the second (5.1). As
 * long as the client's SETTINGS are not known it may be that there is. */
static bool too_many(const struct yo_quic_conn *conn)
{
    uint32_t max = conn->endpoint->options.sessions;
    bool several =
        max > 1 && (yo_quic_conn_several(conn) || !yo_h3_peer(conn->h3)->seen);
    return conn->ended || yo_wt_sessions_live(conn) >= (several ? max : 1);
}

static void on_request_head(struct yo_quic_conn *conn, int64_t id,
                            const struct yo_h3_head *head)
{
    struct yo_wt_session *session = yo_wt_session_find(conn, id);
    int status = 0;
    const char *text = "";

    if (!yo_span_is(head->method, "CONNECT") || !head->protocol.data) {
        status = 404;
        text = "This is a WebTransport server; pages are served over HTTP/1.1.\n";
    } else if (!yo_span_is(head->protocol, "webtransport") &&
               !yo_span_is(head->protocol, "webtransport-h3")) {
        status = 501; /* RFC 9220 3 */
    }
    if (status != 0) {
        if (yo_h3_answer(conn->h3, id, status, NULL, yo_span_of(text)) ==
            YOMO_ERR_NOMEM) {
            out_of_memory(conn);
        }
        return;
    }
    if (too_many(conn)) {
        ngtcp2_conn_shutdown_stream(conn->quic, 0, id, YO_H3_REQUEST_REJECTED);
        if (session) {
            yo_wt_session_over(session);
        }
        return;
    }
    session = session ? session : yo_wt_session_create(conn, id);
    if (!session || keep_request(session, head) != YOMO_OK) {
        out_of_memory(conn);
        return;
    }
    session->phase = YO_WT_REQUESTED;
}

static void hand_up_request(struct yo_wt_session *session)
{
    struct yo_quic_conn *conn = session->conn;
    struct yo_span fields = yo_buf_span(&session->asked->fields);
    struct yo_span target = yo_pairs_get(fields, ":path");
    const uint8_t *mark =
        target.size > 0 ? memchr(target.data, '?', target.size) : NULL;
    size_t path = mark ? (size_t)(mark - target.data) : target.size;
    struct yo_request request = {
        .transport = YOMO_TRANSPORT_WEBTRANSPORT,
        .secure = true,
        .authority = yo_pairs_get(fields, ":authority"),
        .path = yo_span(target.data, path),
        .query = mark ? yo_span_skip(target, path + 1) : YO_SPAN_NONE,
        .origin = yo_pairs_get(fields, "origin"),
        .address = yo_span_of(conn->address),
        .fields = fields,
    };
    if (conn->state == YO_QUIC_READY) {
        conn->state = YO_QUIC_ASKED;
    }
    session->phase = YO_WT_ASKED;
    conn->give_up = YO_NEVER;
    yo_endpoint_hand_up(session, &request);
}

/* --- A client's side -------------------------------------------------------------- */

/* There will be no session, and the server was not even asked. */
static void in_vain(struct yo_wt_session *session, int error, const char *text)
{
    yo_wt_session_note_end(
        session,
        &(struct yo_wt_end){.remote = true, .error = error, .text = yo_span_of(text)});
    yo_wt_session_fail(session, YO_H3_NO_ERROR, "");
}

void yo_wt_ask_free(struct yo_wt_session *session)
{
    const struct yomo_mem *mem = session->conn->mem;
    if (session->ask) {
        yo_free(mem, session->ask->authority);
        yo_free(mem, session->ask->path);
        yo_buf_finish(&session->ask->fields);
        yo_free(mem, session->ask);
        session->ask = NULL;
    }
}

static void ask_for_session(struct yo_wt_session *session)
{
    struct yo_quic_conn *conn = session->conn;
    const struct yo_wt_ask *ask = session->ask;
    int64_t id;

    if (yo_h3_peer(conn->h3)->webtransport == 0) {
        in_vain(session, YOMO_ERR_VERSION, "the server does not offer WebTransport");
        return;
    }
    if (conn->going_away) {
        in_vain(session, YOMO_ERR_DRAINING, "the server is going away");
        return;
    }
    int rv = yo_wt_sessions_room(conn, true);
    if (rv != YOMO_OK) {
        in_vain(session, rv,
                rv == YOMO_ERR_VERSION
                    ? "the server allows one session on a connection"
                    : "the server allows no more sessions on this connection");
        return;
    }
    if (ngtcp2_conn_open_bidi_stream(conn->quic, &id, &yo_stream_http) != 0) {
        return; /* the server allows none now; perhaps later */
    }
    struct yo_h3_ask head = {.authority = yo_span_of(ask->authority),
                             .path = yo_span_of(ask->path),
                             .fields = yo_buf_span(&ask->fields)};
    if (yo_h3_connect(conn->h3, id, &head) != YOMO_OK) {
        out_of_memory(conn);
        return;
    }
    session->id = id;
    session->phase = YO_WT_ASKED;
    if (conn->state == YO_QUIC_READY) {
        conn->state = YO_QUIC_ASKED;
    }
    yo_wt_ask_free(session);
}

/* What an HTTP status that is not 2xx means. */
static int error_of_status(int status)
{
    if (status == 401) {
        return YOMO_ERR_AUTH;
    }
    if (status == 429 || status == 503) {
        return YOMO_ERR_FULL;
    }
    return status >= 400 && status < 500 ? YOMO_ERR_DENIED : YOMO_ERR_PROTO;
}

/* Which subprotocol the server chose. Drafts before 15 ignore a field that makes no
 * sense, later ones end the session (3.3): YOMO_ERR_PROTO. YOMO_ERR_NOMEM. */
static int read_protocol(struct yo_wt_session *session, struct yo_span fields)
{
    struct yo_quic_conn *conn = session->conn;
    bool strict = yo_h3_peer(conn->h3)->webtransport == YO_WT_DRAFT15;
    struct yo_span value = yo_pairs_get(fields, "wt-protocol");
    struct yo_buf text;

    if (!value.data) {
        return YOMO_OK;
    }
    yo_buf_init(&text, conn->mem);
    int rv = yo_subprotocol_read(&text, value);
    if (rv == YOMO_OK && yo_subprotocols_has(yo_buf_span(&session->offered),
                                             yo_span(text.data, text.size - 1))) {
        session->protocol = (char *)text.data; /* the buffer's memory is ours now */
        return YOMO_OK;
    }
    yo_buf_finish(&text);
    return rv == YOMO_ERR_NOMEM ? rv : strict ? YOMO_ERR_PROTO : YOMO_OK;
}

static void refused(struct yo_wt_session *session, int status)
{
    char text[64];
    snprintf(text, sizeof(text), "the server answered with HTTP status %d", status);
    yo_wt_session_note_end(session,
                           &(struct yo_wt_end){.remote = true,
                                               .error = error_of_status(status),
                                               .status = status,
                                               .text = yo_span_of(text)});
    yo_wt_session_fail(session, YO_H3_NO_ERROR, "");
}

static void on_response_head(struct yo_wt_session *session,
                             const struct yo_h3_head *head)
{
    struct yo_quic_conn *conn = session->conn;
    if (session->phase != YO_WT_ASKED) {
        return;
    }
    int rv = yo_buf_append_span(&session->answered, head->fields);
    bool good = head->status >= 200 && head->status < 300;
    if (rv == YOMO_OK && good) {
        rv = read_protocol(session, head->fields);
    }
    if (rv == YOMO_OK && good) {
        rv = yo_wt_session_begin(session);
    }
    if (rv == YOMO_ERR_PROTO) {
        yo_wt_session_fail(session, YO_WT_ALPN_ERROR, "wt-protocol is not one of ours");
    } else if (rv != YOMO_OK) {
        out_of_memory(conn);
    } else if (!good) {
        refused(session, head->status);
    } else if (session->events && session->events->on_open) {
        session->events->on_open(session->user, conn->now);
    }
}

/* Does a session wait for the peer's SETTINGS? */
static bool one_waits(const struct yo_quic_conn *conn)
{
    for (struct yo_link *link = conn->sessions.next; link != &conn->sessions;
         link = link->next) {
        enum yo_wt_phase phase = YO_CONTAINER(link, struct yo_wt_session, link)->phase;
        if (phase == YO_WT_REQUESTED || phase == YO_WT_WANTED) {
            return true;
        }
    }
    return false;
}

void yo_quic_progress(struct yo_quic_conn *conn)
{
    if (conn->state == YO_QUIC_SESSION && !one_waits(conn)) {
        return; /* as with nearly every packet: SETTINGS sufficed for the first */
    }
    if (conn->state < YO_QUIC_READY || conn->state > YO_QUIC_SESSION || !conn->h3 ||
        !yo_h3_peer(conn->h3)->seen ||
        !ngtcp2_conn_get_handshake_completed(conn->quic)) {
        return;
    }
    if (!yo_settings_suffice(yo_h3_peer(conn->h3), !conn->server)) {
        yo_quic_conn_fail(conn, YO_WT_REQUIREMENTS_NOT_MET, "SETTINGS are missing");
        return;
    }
    YO_LIST_EACH(link, next, &conn->sessions)
    {
        struct yo_wt_session *session = YO_CONTAINER(link, struct yo_wt_session, link);
        if (session->phase == YO_WT_REQUESTED) {
            hand_up_request(session);
        } else if (session->phase == YO_WT_WANTED) {
            ask_for_session(session);
        }
    }
}

/* --- The CONNECT stream ----------------------------------------------------------- */

static void broken_capsule(struct yo_wt_session *session)
{
    yo_wt_session_note_end(
        session, &(struct yo_wt_end){.remote = true, .error = YOMO_ERR_PROTO});
    yo_wt_session_fail(session, YO_H3_MESSAGE_ERROR, "capsule");
}

/* The peer's limits have grown: streams that they held back may go on. */
static void go_on(struct yo_wt_session *session)
{
    YO_LIST_EACH(link, next, &session->streams)
    {
        yo_wt_stream_ready(YO_CONTAINER(link, struct yo_wt_stream, link));
    }
    yo_quic_conn_touch(session->conn);
}

static void heed(struct yo_wt_session *session, const struct yo_capsule *capsule)
{
    struct yo_quic_conn *conn = session->conn;
    bool raised;
    switch (capsule->event) {
    case YO_CAPSULE_IS_CLOSE:
        yo_wt_session_left(session, &(struct yo_wt_end){.clean = true,
                                                        .remote = true,
                                                        .code = capsule->code,
                                                        .text = capsule->text});
        break;
    case YO_CAPSULE_IS_DRAIN:
        if (session->open && session->events && session->events->on_drain) {
            session->events->on_drain(session->user, conn->now);
        }
        session->drain_due = session->open && !session->events;
        break;
    case YO_CAPSULE_IS_FLOW:
        if (!session->flow) {
            break;
        }
        if (yo_flow_hear(session->flow, capsule->type, capsule->number, &raised) !=
            YOMO_OK) {
            yo_wt_session_overrun(session);
        } else if (raised) {
            go_on(session);
        }
        break;
    case YO_CAPSULE_IS_FORBIDDEN:
        yo_wt_session_overrun(session);
        break;
    case YO_CAPSULE_NONE:
        break;
    }
}

void yo_wt_read_capsules(struct yo_wt_session *session, struct yo_span bytes)
{
    while (bytes.size > 0 && session->phase < YO_WT_OVER &&
           session->conn->state != YO_QUIC_OVER) {
        struct yo_capsule capsule;
        int rv = yo_capsules_read(&session->capsules, &bytes, &capsule);
        if (rv == YOMO_ERR_NOMEM) {
            out_of_memory(session->conn);
        } else if (rv != YOMO_OK) {
            broken_capsule(session);
        } else {
            heed(session, &capsule);
            continue;
        }
        return;
    }
}

void yo_wt_peer_finished(struct yo_wt_session *session)
{
    if (yo_capsules_partial(&session->capsules)) { /* RFC 9297 3.3 */
        broken_capsule(session);
    } else {
        yo_wt_session_left(session, &(struct yo_wt_end){.clean = true, .remote = true});
    }
}

/* --- HTTP/3's events -------------------------------------------------------------- */

/* The session whose CONNECT stream it is, while that says anything. */
static struct yo_wt_session *speaker(struct yo_quic_conn *conn, int64_t id)
{
    struct yo_wt_session *session =
        conn->state == YO_QUIC_OVER ? NULL : yo_wt_session_find(conn, id);
    return session && session->phase > YO_WT_WANTED && session->phase < YO_WT_OVER
               ? session
               : NULL;
}

static void on_head(void *user, int64_t id, const struct yo_h3_head *head)
{
    struct yo_quic_conn *conn = user;
    struct yo_wt_session *session = speaker(conn, id);
    if (conn->state == YO_QUIC_OVER) {
        return;
    }
    if (conn->server) {
        on_request_head(conn, id, head);
    } else if (session) {
        on_response_head(session, head);
    }
}

static void on_data(void *user, int64_t id, struct yo_span bytes)
{
    struct yo_quic_conn *conn = user;
    struct yo_wt_session *session = speaker(conn, id);
    struct yo_wt_asked *asked = session ? session->asked : NULL;
    if (!session) {
        return;
    }
    if (!asked) {
        yo_wt_read_capsules(session, bytes);
    } else if (bytes.size > YO_EARLY_CAPSULES_MAX - asked->capsules.size) {
        yo_wt_session_fail(session, YO_H3_EXCESSIVE_LOAD, "capsules before the answer");
    } else if (yo_buf_append_span(&asked->capsules, bytes) != YOMO_OK) {
        out_of_memory(conn);
    }
}

static void on_end(void *user, int64_t id)
{
    struct yo_wt_session *session = speaker(user, id);
    if (session) {
        yo_wt_peer_finished(session);
    }
}

static void on_goaway(void *user, int64_t id)
{
    struct yo_quic_conn *conn = user;
    (void)id;
    conn->going_away = true;
    YO_LIST_EACH(link, next, &conn->sessions)
    {
        struct yo_wt_session *session = YO_CONTAINER(link, struct yo_wt_session, link);
        if (session->open && session->events && session->events->on_drain) {
            session->events->on_drain(session->user, conn->now);
        }
    }
}

static void stop_reading(void *user, int64_t id, uint64_t code)
{
    struct yo_quic_conn *conn = user;
    ngtcp2_conn_shutdown_stream_read(conn->quic, 0, id, code);
}

static void reset(void *user, int64_t id, uint64_t code)
{
    struct yo_quic_conn *conn = user;
    ngtcp2_conn_shutdown_stream_write(conn->quic, 0, id, code);
}

const struct yo_h3_events yo_quic_h3_events = {
    .on_head = on_head,
    .on_data = on_data,
    .on_end = on_end,
    .on_goaway = on_goaway,
    .stop_reading = stop_reading,
    .reset = reset,
};
