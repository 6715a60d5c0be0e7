/* SPDX-License-Identifier: MIT */
/* requests.c - CONNECT and what is said on its stream.
 *
 * A server hands a request up when it is whole and the client's SETTINGS have been seen
 * (draft-ietf-webtrans-http3-16 7.1); a client asks when it has the server's. The
 * connection has one session: a second CONNECT is rejected, and any other request gets
 * a short page that says so. */
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

static void on_request_head(struct yo_quic_conn *conn, int64_t id,
                            const struct yo_h3_head *head)
{
    struct yo_wt_session *session = &conn->session;
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
    if (session->id >= 0 || conn->ended) { /* no flow control, so one session: 5.1 */
        ngtcp2_conn_shutdown_stream(conn->quic, 0, id, YO_H3_REQUEST_REJECTED);
        return;
    }
    if (keep_request(session, head) != YOMO_OK) {
        out_of_memory(conn);
        return;
    }
    session->id = id;
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
    conn->state = YO_QUIC_ASKED;
    conn->give_up = YO_NEVER;
    yo_endpoint_hand_up(session, &request);
}

/* --- A client's side -------------------------------------------------------------- */

static void no_webtransport(struct yo_quic_conn *conn)
{
    static const char text[] = "the server does not offer WebTransport";
    yo_quic_conn_note_end(conn, &(struct yo_wt_end){.remote = true,
                                                    .error = YOMO_ERR_VERSION,
                                                    .text = yo_span_of(text)});
    yo_quic_conn_fail(conn, YO_H3_NO_ERROR, "");
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
        no_webtransport(conn);
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
    conn->state = YO_QUIC_ASKED;
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

static void refused(struct yo_quic_conn *conn, int status)
{
    char text[64];
    snprintf(text, sizeof(text), "the server answered with HTTP status %d", status);
    yo_quic_conn_note_end(conn, &(struct yo_wt_end){.remote = true,
                                                    .error = error_of_status(status),
                                                    .status = status,
                                                    .text = yo_span_of(text)});
    yo_quic_conn_fail(conn, YO_H3_NO_ERROR, "");
}

static void on_response_head(struct yo_wt_session *session,
                             const struct yo_h3_head *head)
{
    struct yo_quic_conn *conn = session->conn;
    if (conn->state != YO_QUIC_ASKED) {
        return;
    }
    int rv = yo_buf_append_span(&session->answered, head->fields);
    bool good = head->status >= 200 && head->status < 300;
    if (rv == YOMO_OK && good) {
        rv = read_protocol(session, head->fields);
    }
    if (rv == YOMO_ERR_PROTO) {
        yo_quic_conn_fail(conn, YO_WT_ALPN_ERROR, "wt-protocol is not one of ours");
    } else if (rv != YOMO_OK) {
        out_of_memory(conn);
    } else if (!good) {
        refused(conn, head->status);
    } else {
        yo_wt_session_begin(session);
        if (session->events && session->events->on_open) {
            session->events->on_open(session->user, conn->now);
        }
    }
}

void yo_quic_progress(struct yo_quic_conn *conn)
{
    if (conn->state != YO_QUIC_READY || !conn->h3 || !yo_h3_peer(conn->h3)->seen ||
        !ngtcp2_conn_get_handshake_completed(conn->quic)) {
        return;
    }
    if (conn->session.asked) {
        hand_up_request(&conn->session);
    } else if (conn->session.ask) {
        ask_for_session(&conn->session);
    }
}

/* --- The CONNECT stream ----------------------------------------------------------- */

/* The peer has ended the session: nothing is left to be said on this connection. Its
 * end is also what tells the peer that its last words arrived. */
static void peer_ended(struct yo_quic_conn *conn, const struct yo_wt_end *end)
{
    yo_quic_conn_note_end(conn, end);
    conn->session.open = false;
    yo_quic_conn_fail(conn, YO_H3_NO_ERROR, "");
}

void yo_wt_read_capsules(struct yo_quic_conn *conn, struct yo_span bytes)
{
    struct yo_wt_session *session = &conn->session;
    while (bytes.size > 0 && conn->state != YO_QUIC_OVER) {
        struct yo_capsule capsule;
        int rv = yo_capsules_read(&session->capsules, &bytes, &capsule);
        if (rv == YOMO_ERR_NOMEM) {
            out_of_memory(conn);
            return;
        }
        if (rv != YOMO_OK) {
            yo_quic_conn_note_end(
                conn, &(struct yo_wt_end){.remote = true, .error = YOMO_ERR_PROTO});
            yo_quic_conn_fail(conn, YO_H3_MESSAGE_ERROR, "capsule");
            return;
        }
        if (capsule.event == YO_CAPSULE_IS_CLOSE) {
            peer_ended(conn, &(struct yo_wt_end){.clean = true,
                                                 .remote = true,
                                                 .code = capsule.code,
                                                 .text = capsule.text});
        } else if (capsule.event == YO_CAPSULE_IS_DRAIN && session->open &&
                   session->events && session->events->on_drain) {
            session->events->on_drain(session->user, conn->now);
        }
    }
}

void yo_wt_peer_finished(struct yo_quic_conn *conn)
{
    if (yo_capsules_partial(&conn->session.capsules)) { /* RFC 9297 3.3 */
        yo_quic_conn_note_end(
            conn, &(struct yo_wt_end){.remote = true, .error = YOMO_ERR_PROTO});
        yo_quic_conn_fail(conn, YO_H3_MESSAGE_ERROR, "capsule");
    } else {
        peer_ended(conn, &(struct yo_wt_end){.clean = true, .remote = true});
    }
}

/* --- HTTP/3's events -------------------------------------------------------------- */

static void on_head(void *user, int64_t id, const struct yo_h3_head *head)
{
    struct yo_quic_conn *conn = user;
    if (conn->state == YO_QUIC_OVER) {
        return;
    }
    if (conn->server) {
        on_request_head(conn, id, head);
    } else if (id == conn->session.id) {
        on_response_head(&conn->session, head);
    }
}

static void on_data(void *user, int64_t id, struct yo_span bytes)
{
    struct yo_quic_conn *conn = user;
    struct yo_wt_asked *asked = conn->session.asked;
    if (id != conn->session.id || conn->state == YO_QUIC_OVER) {
        return;
    }
    if (!asked) {
        yo_wt_read_capsules(conn, bytes);
    } else if (bytes.size > YO_EARLY_CAPSULES_MAX - asked->capsules.size) {
        yo_quic_conn_fail(conn, YO_H3_EXCESSIVE_LOAD, "capsules before the answer");
    } else if (yo_buf_append_span(&asked->capsules, bytes) != YOMO_OK) {
        out_of_memory(conn);
    }
}

static void on_end(void *user, int64_t id)
{
    struct yo_quic_conn *conn = user;
    if (id != conn->session.id || conn->state == YO_QUIC_OVER) {
        return;
    }
    if (conn->server || conn->state != YO_QUIC_READY) {
        yo_wt_peer_finished(conn);
    }
}

static void on_goaway(void *user, int64_t id)
{
    struct yo_quic_conn *conn = user;
    struct yo_wt_session *session = &conn->session;
    (void)id;
    if (session->open && session->events && session->events->on_drain) {
        session->events->on_drain(session->user, conn->now);
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
