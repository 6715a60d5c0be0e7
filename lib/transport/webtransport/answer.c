/* SPDX-License-Identifier: MIT */
/* answer.c - what becomes of a request, and how a client's connection is made. */
#include <yomo/error.h>

#include "transport/webtransport/codes.h"
#include "transport/webtransport/conn.h"
#include "transport/webtransport/inside.h"
#include "transport/webtransport/messages.h"

#define REFUSED_STAYS (2 * YO_SECOND) /* for the client to read the answer */

void yo_endpoint_hand_up(struct yo_quic_conn *conn, const struct yo_request *request)
{
    struct yo_endpoint *endpoint = conn->endpoint;
    endpoint->events->on_request(endpoint->user, conn, request, conn->now);
}

void yo_quic_set_user(struct yo_quic_conn *conn, void *user)
{
    conn->user = user;
}

void *yo_quic_user(const struct yo_quic_conn *conn)
{
    return conn->user;
}

static void give_back(struct yo_quic_conn *conn)
{
    conn->user = NULL; /* on_gone does not follow any more */
    yo_wt_asked_free(conn);
}

struct yo_wt_session *yo_quic_accept_session(struct yo_quic_conn *conn,
                                             const struct yo_response *response)
{
    struct yo_buf capsules;
    if (conn->state != YO_QUIC_ASKED || !conn->asked) {
        conn->user = NULL;
        return NULL;
    }
    int rv =
        yo_h3_answer(conn->h3, conn->session.id, 200, response->headers, YO_SPAN_NONE);
    if (rv != YOMO_OK) {
        give_back(conn);
        yo_quic_conn_fail(conn, YO_H3_INTERNAL_ERROR, "");
        return NULL;
    }
    yo_buf_init(&capsules, conn->mem);
    yo_buf_swap(&capsules, &conn->asked->capsules);
    give_back(conn);
    yo_wt_session_begin(&conn->session);
    conn->endpoint->stats.accepted++;
    yo_quic_conn_touch(conn);
    /* What was said before the answer counts from now on; it makes no event but the
     * end, and that comes from the turn. */
    yo_wt_read_capsules(conn, yo_buf_span(&capsules));
    yo_buf_finish(&capsules);
    return &conn->session;
}

static struct yo_messages_options messages_options(const struct yo_quic_conn *conn,
                                                   bool extension, size_t datagram_max)
{
    struct yo_endpoint *endpoint = conn->endpoint;
    return (struct yo_messages_options){
        .mem = conn->mem,
        .server = conn->server,
        .extension = extension,
        .message_size_max = endpoint->options.message_size_max,
        .datagram_size_max = datagram_max,
        .queue_size_max = endpoint->options.queue_size_max,
        .messages_bad = &endpoint->stats.messages_bad,
    };
}

struct yo_conn *yo_quic_accept(struct yo_quic_conn *conn,
                               const struct yo_response *response,
                               const struct yo_conn_events *events, void *user)
{
    struct yo_messages_options options =
        messages_options(conn, response->extension, response->datagram_size_max);
    struct yo_wt_session *session = yo_quic_accept_session(conn, response);
    if (!session) {
        return NULL;
    }
    struct yo_conn *messages = yo_messages_create(session, &options, events, user);
    if (!messages) {
        yo_quic_conn_fail(conn, YO_H3_INTERNAL_ERROR, "out of memory");
    }
    return messages;
}

void yo_quic_refuse(struct yo_quic_conn *conn, const struct yo_response *response)
{
    conn->endpoint->stats.refused++;
    bool waits = conn->state == YO_QUIC_ASKED && conn->asked;
    give_back(conn);
    if (!waits) {
        return;
    }
    int status =
        response->status == 200 ? 500 : response->status; /* never by mistake */
    int rv = yo_h3_answer(conn->h3, conn->session.id, status, response->headers,
                          response->text);
    yo_quic_conn_note_end(conn, &(struct yo_wt_end){.error = YOMO_ERR_DENIED});
    if (rv != YOMO_OK) {
        yo_quic_conn_fail(conn, YO_H3_INTERNAL_ERROR, "");
        return;
    }
    conn->state = YO_QUIC_LEAVING;
    conn->give_up = yo_time_after(conn->now, REFUSED_STAYS);
    yo_quic_conn_touch(conn);
}

void yo_quic_dismiss(struct yo_quic_conn *conn, const struct yo_close *how)
{
    struct yo_response response = {.status = 200};
    struct yo_wt_session *session = yo_quic_accept_session(conn, &response);
    if (session) {
        yo_wt_session_close(session, how->code, how->text);
    }
}

/* --- Clients ---------------------------------------------------------------------- */

static int keep_ask(struct yo_quic_conn *conn,
                    const struct yo_endpoint_connect *options)
{
    struct yo_buf ask;
    yo_buf_init(&ask, conn->mem);
    conn->has_origin = options->origin != NULL;
    yo_buf_append(&ask, options->authority, strlen(options->authority) + 1);
    yo_buf_append(&ask, options->path, strlen(options->path) + 1);
    if (conn->has_origin) {
        yo_buf_append(&ask, options->origin, strlen(options->origin) + 1);
    }
    if (ask.failed) {
        yo_buf_finish(&ask);
        return YOMO_ERR_NOMEM;
    }
    conn->ask = (char *)ask.data; /* the buffer's memory is ours now */
    return YOMO_OK;
}

static int connect_conn(struct yo_endpoint *endpoint,
                        const struct yo_endpoint_connect *options,
                        struct yo_quic_conn **out, yo_time now)
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
    rv = keep_ask(conn, options);
    if (rv == YOMO_OK) {
        rv = yo_quic_setup_client(conn, options, now);
    }
    if (rv != YOMO_OK) {
        yo_quic_conn_destroy(conn);
        return rv;
    }
    endpoint->only = conn;
    yo_quic_conn_touch(conn);
    *out = conn;
    return YOMO_OK;
}

int yo_endpoint_connect(struct yo_endpoint *endpoint,
                        const struct yo_endpoint_connect *options, bool extension,
                        const struct yo_conn_events *events, void *user,
                        struct yo_conn **out, yo_time now)
{
    struct yo_quic_conn *conn;
    int rv = connect_conn(endpoint, options, &conn, now);
    if (rv != YOMO_OK) {
        return rv;
    }
    struct yo_messages_options messages = messages_options(conn, extension, 0);
    *out = yo_messages_create(&conn->session, &messages, events, user);
    if (!*out) {
        yo_quic_conn_destroy(conn);
        return YOMO_ERR_NOMEM;
    }
    return YOMO_OK;
}

int yo_endpoint_connect_session(struct yo_endpoint *endpoint,
                                const struct yo_endpoint_connect *options,
                                struct yo_wt_session **out, yo_time now)
{
    struct yo_quic_conn *conn;
    int rv = connect_conn(endpoint, options, &conn, now);
    if (rv == YOMO_OK) {
        *out = &conn->session;
    }
    return rv;
}
