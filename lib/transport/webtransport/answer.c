/* SPDX-License-Identifier: MIT */
/* answer.c - what becomes of a request, and how a client's connection is made. */
#include <yomo/error.h>

#include "base/pairs.h"
#include "transport/webtransport/codes.h"
#include "transport/webtransport/conn.h"
#include "transport/webtransport/inside.h"
#include "transport/webtransport/subprotocol.h"

#define REFUSED_STAYS (2 * YO_SECOND) /* for the client to read the answer */

void yo_endpoint_hand_up(struct yo_wt_session *session,
                         const struct yo_request *request)
{
    struct yo_endpoint *endpoint = session->conn->endpoint;
    endpoint->events->on_request(endpoint->user, session, request, session->conn->now);
}

void yo_quic_set_user(struct yo_wt_session *session, void *user)
{
    if (session->asked) {
        session->asked->user = user;
    }
}

void *yo_quic_user(const struct yo_wt_session *session)
{
    return session->asked ? session->asked->user : NULL;
}

static bool waits(const struct yo_wt_session *session)
{
    return session->asked && session->phase == YO_WT_ASKED &&
           session->conn->state != YO_QUIC_OVER;
}

static bool says_yes(int status)
{
    return status >= 200 && status <= 299;
}

#define ANSWER_HEADERS_MAX 40 /* of names and values */

/* Yes, with the headers of `response` and the subprotocol it names. */
static int say_yes(struct yo_wt_session *session, const struct yo_response *response)
{
    struct yo_quic_conn *conn = session->conn;
    const char *headers[ANSWER_HEADERS_MAX + 3];
    struct yo_buf value;
    size_t n = 0;
    int rv = YOMO_OK;

    for (; response->headers && response->headers[n]; n++) {
        if (n == ANSWER_HEADERS_MAX) {
            return YOMO_ERR_INVALID;
        }
        headers[n] = response->headers[n];
    }
    yo_buf_init(&value, conn->mem);
    if (response->protocol) {
        struct yo_span protocol = yo_span_of(response->protocol);
        rv = yo_subprotocol_write(&value, protocol);
        headers[n++] = "wt-protocol";
        headers[n++] = (const char *)value.data;
        session->protocol = yo_strndup(conn->mem, protocol.data, protocol.size);
        rv = session->protocol ? rv : YOMO_ERR_NOMEM;
    }
    headers[n] = NULL;
    if (rv == YOMO_OK) {
        int status = says_yes(response->status) ? response->status : 200;
        rv = yo_h3_answer(conn->h3, session->id, status, headers, YO_SPAN_NONE);
    }
    yo_buf_finish(&value);
    return rv;
}

struct yo_wt_session *yo_quic_accept_session(struct yo_wt_session *session,
                                             const struct yo_response *response)
{
    struct yo_quic_conn *conn = session->conn;
    struct yo_buf capsules;
    if (!waits(session)) {
        yo_quic_set_user(session, NULL);
        return NULL;
    }
    int rv = say_yes(session, response);
    if (rv == YOMO_OK) {
        rv = yo_wt_session_begin(session);
    }
    if (rv != YOMO_OK) {
        yo_wt_asked_free(session); /* on_gone does not follow any more */
        yo_wt_session_fail(session, YO_H3_INTERNAL_ERROR, "");
        return NULL;
    }
    yo_buf_init(&capsules, conn->mem);
    yo_buf_swap(&capsules, &session->asked->capsules);
    yo_wt_asked_free(session);
    conn->endpoint->stats.accepted++;
    yo_quic_conn_touch(conn);
    /* What was said before the answer counts from now on; what events it makes, a DRAIN
     * or the end, come from the turn. */
    yo_wt_read_capsules(session, yo_buf_span(&capsules));
    yo_buf_finish(&capsules);
    return session;
}

void yo_quic_refuse(struct yo_wt_session *session, const struct yo_response *response)
{
    struct yo_quic_conn *conn = session->conn;
    bool waiting = waits(session);
    conn->endpoint->stats.refused++;
    yo_wt_asked_free(session);
    if (!waiting) {
        return;
    }
    int status =
        says_yes(response->status) ? 500 : response->status; /* never by mistake */
    int rv =
        yo_h3_answer(conn->h3, session->id, status, response->headers, response->text);
    yo_wt_session_note_end(session, &(struct yo_wt_end){.error = YOMO_ERR_DENIED});
    if (rv != YOMO_OK) {
        yo_wt_session_fail(session, YO_H3_INTERNAL_ERROR, "");
        return;
    }
    yo_wt_session_reject_early(session, YO_WT_BUFFERED_STREAM_REJECTED);
    session->phase = YO_WT_LEAVING;
    yo_wt_session_leave(session, REFUSED_STAYS);
}

void yo_quic_dismiss(struct yo_wt_session *session, const struct yo_close *how)
{
    struct yo_response response = {.status = 200};
    if (yo_quic_accept_session(session, &response)) {
        yo_wt_session_close(session, how->code, how->text);
    }
}

/* --- Clients ---------------------------------------------------------------------- */

static int keep_ask(struct yo_wt_session *session,
                    const struct yo_endpoint_connect *options)
{
    const struct yomo_mem *mem = session->conn->mem;
    struct yo_wt_ask *ask = yo_calloc(mem, 1, sizeof(*ask));
    struct yo_buf value;
    if (!ask) {
        return YOMO_ERR_NOMEM;
    }
    session->ask = ask;
    yo_buf_init(&ask->fields, mem);
    ask->authority = yo_strndup(mem, options->authority, strlen(options->authority));
    ask->path = yo_strndup(mem, options->path, strlen(options->path));
    int rv = ask->authority && ask->path ? YOMO_OK : YOMO_ERR_NOMEM;
    if (rv == YOMO_OK && options->origin) {
        rv = yo_pairs_append(&ask->fields, yo_span_of("origin"),
                             yo_span_of(options->origin));
    }
    if (rv == YOMO_OK && options->fields.size > 0) {
        rv = yo_buf_append_span(&ask->fields, options->fields);
    }
    if (rv != YOMO_OK || options->protocols.size == 0) {
        return rv;
    }
    yo_buf_init(&value, mem);
    rv = yo_subprotocols_write(&value, options->protocols);
    rv = rv == YOMO_OK
             ? yo_pairs_append(&ask->fields, yo_span_of("wt-available-protocols"),
                               yo_buf_span(&value))
             : rv;
    rv = rv == YOMO_OK ? yo_buf_append_span(&session->offered, options->protocols) : rv;
    yo_buf_finish(&value);
    return rv;
}

/* A session that is wanted, on a connection that is there. */
static int want(struct yo_quic_conn *conn, const struct yo_endpoint_connect *options,
                struct yo_wt_session **out)
{
    struct yo_wt_session *session = yo_wt_session_create(conn, -1);
    if (!session) {
        return YOMO_ERR_NOMEM;
    }
    int rv = keep_ask(session, options);
    if (rv != YOMO_OK) {
        yo_wt_session_discard(session);
        return rv;
    }
    session->phase = YO_WT_WANTED;
    *out = session;
    return YOMO_OK;
}

static int connect_conn(struct yo_endpoint *endpoint,
                        const struct yo_endpoint_connect *options,
                        struct yo_wt_session **out, yo_time now)
{
    struct yo_quic_conn *conn;
    if (endpoint->options.server || endpoint->only || endpoint->closing) {
        return YOMO_ERR_INVALID;
    }
    int rv = yo_quic_conn_create(&conn, endpoint, false);
    if (rv != YOMO_OK) {
        return rv;
    }
    conn->now = now;
    conn->socket = options->socket;
    conn->give_up = yo_time_after(now, endpoint->options.handshake);
    conn->counted_handshake = true;
    endpoint->stats.handshakes_now++;
    yo_sockaddr_print(options->remote, conn->address);
    rv = want(conn, options, out);
    if (rv == YOMO_OK) {
        rv = yo_quic_setup_client(conn, options, now);
    }
    if (rv != YOMO_OK) {
        yo_quic_conn_destroy(conn);
        return rv;
    }
    endpoint->only = conn;
    yo_quic_conn_touch(conn);
    return YOMO_OK;
}

/* Another session on the connection that there is. */
static int add_session(struct yo_endpoint *endpoint,
                       const struct yo_endpoint_connect *options,
                       struct yo_wt_session **out, yo_time now)
{
    struct yo_quic_conn *conn = endpoint->only;
    if (endpoint->closing || conn->ended || conn->going_away ||
        conn->state >= YO_QUIC_LEAVING) {
        return YOMO_ERR_CLOSED;
    }
    int rv = YOMO_OK;
    if (conn->h3 && yo_h3_peer(conn->h3)->seen) {
        rv = yo_wt_sessions_room(conn, false);
    } else if (endpoint->options.sessions <= 1) {
        rv = YOMO_ERR_VERSION;
    }
    if (rv == YOMO_OK) {
        rv = want(conn, options, out);
    }
    if (rv == YOMO_OK) {
        conn->now = now;
        yo_quic_conn_touch(conn);
        yo_quic_progress(conn);
    }
    return rv;
}

int yo_endpoint_connect_session(struct yo_endpoint *endpoint,
                                const struct yo_endpoint_connect *options,
                                struct yo_wt_session **out, yo_time now)
{
    return endpoint->only ? add_session(endpoint, options, out, now)
                          : connect_conn(endpoint, options, out, now);
}
