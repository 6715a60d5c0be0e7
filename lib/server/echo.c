/* SPDX-License-Identifier: MIT */
/* echo.c - who is served by /echo. Over WebTransport a session of streams and
 * datagrams, whatever dialect of messages the client would speak on them; over
 * WebSocket messages.
 *
 * A WebSocket client that sends and does not read is put out once its queue is full:
 * nothing that it was promised is lost in silence, and nothing grows. */
#include "server/echo.h"

#include "base/check.h"
#include "base/pairs.h"
#include "server/echo_session.h"
#include "server/worker.h"
#include "transport/webtransport/subprotocol.h"

struct yo_echo {
    struct yo_link link; /* in worker->echoes */
    struct yo_worker *worker;
    struct yo_conn *conn;          /* over WebSocket */
    struct yo_wt_session *session; /* over WebTransport */
};

static void let_in(struct yo_echo *echo, yo_metric *now, yo_metric *total)
{
    yo_metric_add(now, 1);
    yo_metric_add(total, 1);
    yo_list_push_back(&echo->worker->echoes, &echo->link);
}

static void forget(struct yo_echo *echo, yo_metric *now)
{
    struct yo_worker *worker = echo->worker;

    yo_metric_less(now);
    yo_list_remove(&echo->link);
    yo_free(worker->mem, echo);
    yo_worker_gone(worker);
}

static void refuse(struct yo_incoming *incoming)
{
    struct yo_response response = {.status = 503};

    yo_incoming_refuse(incoming, &response);
}

/* --- Messages --------------------------------------------------------------------- */

static void on_message(void *user, struct yo_conn *conn, uint32_t lane,
                       struct yo_span message, yo_time now)
{
    static const struct yo_close slow = {.kind = YO_CLOSE_RETRY,
                                         .error = YOMO_ERR_FULL,
                                         .code = YO_CODE_SLOW,
                                         .text = {(const uint8_t *)"too slow", 8}};
    struct yo_echo *echo = user;
    struct yo_blob *blob = yo_blob_create(echo->worker->mem, message);
    int rv = blob ? yo_conn_send(conn, lane, blob, 0) : YOMO_ERR_NOMEM;

    (void)now;
    yo_blob_unref(blob);
    if (rv == YOMO_OK) {
        yo_metric_add(&echo->worker->metrics->echo_message_bytes, message.size);
    } else if (rv != YOMO_ERR_CLOSED) {
        yo_conn_close(conn, &slow);
    }
}

static void on_closed(void *user, struct yo_conn *conn, const struct yo_close *why,
                      yo_time now)
{
    struct yo_echo *echo = user;

    (void)conn;
    (void)why;
    (void)now;
    forget(echo, &echo->worker->metrics->echoes_websocket);
}

static const struct yo_conn_events echo_events = {
    .on_message = on_message,
    .on_closed = on_closed,
};

static void accept_messages(struct yo_echo *echo, struct yo_incoming *incoming)
{
    struct yo_metrics *metrics = echo->worker->metrics;
    struct yo_response response = {.status = 200};

    echo->conn = yo_incoming_accept(incoming, &response, &echo_events, echo);
    if (!echo->conn) {
        yo_free(echo->worker->mem, echo);
        return;
    }
    let_in(echo, &metrics->echoes_websocket, &metrics->echoed_websocket);
}

/* --- Sessions --------------------------------------------------------------------- */

static void on_session_end(void *user)
{
    struct yo_echo *echo = user;

    forget(echo, &echo->worker->metrics->echoes_webtransport);
}

static void accept_session(struct yo_echo *echo, struct yo_incoming *incoming,
                           const struct yo_request *request)
{
    struct yo_metrics *metrics = echo->worker->metrics;
    const struct yomo_mem *mem = echo->worker->mem;
    struct yo_span field = yo_pairs_get(request->fields, "wt-available-protocols");
    struct yo_response response = {.status = 200};
    struct yo_echo_session *session;
    struct yo_buf offered;

    if (yo_echo_session_create(&session, mem, metrics, on_session_end, echo) !=
        YOMO_OK) {
        yo_free(mem, echo);
        refuse(incoming);
        return;
    }
    yo_buf_init(&offered, mem);
    /* A field that makes no sense is ignored as a whole. */
    if (field.data && yo_subprotocols_read(&offered, field) == YOMO_OK) {
        struct yo_span list = yo_buf_span(&offered);
        response.protocol = (const char *)yo_subprotocols_next(&list).data;
    }
    echo->session = yo_incoming_accept_session(incoming, &response);
    yo_buf_finish(&offered);
    yo_echo_session_start(session, echo->session);
    if (!echo->session) {
        yo_free(mem, echo);
        return;
    }
    let_in(echo, &metrics->echoes_webtransport, &metrics->echoed_webtransport);
}

void yo_echo_accept(struct yo_worker *worker, struct yo_incoming *incoming,
                    const struct yo_request *request)
{
    struct yo_echo *echo = yo_calloc(worker->mem, 1, sizeof(*echo));

    if (!echo) {
        refuse(incoming);
        return;
    }
    echo->worker = worker;
    if (request->transport == YOMO_TRANSPORT_WEBTRANSPORT) {
        accept_session(echo, incoming, request);
    } else {
        accept_messages(echo, incoming);
    }
}

/* --- All of them ------------------------------------------------------------------ */

void yo_echo_drain_all(struct yo_worker *worker)
{
    YO_LIST_EACH(link, next, &worker->echoes)
    {
        struct yo_echo *echo = YO_CONTAINER(link, struct yo_echo, link);
        if (echo->session) {
            (void)yo_wt_session_drain(echo->session); /* a courtesy */
        }
    }
}

void yo_echo_end_all(struct yo_worker *worker)
{
    struct yo_close how = {.kind = YO_CLOSE_RETRY,
                           .error = YOMO_ERR_DRAINING,
                           .code = YO_CODE_GOING_AWAY,
                           .text = yo_span_of("going away")};

    YO_LIST_EACH(link, next, &worker->echoes)
    {
        struct yo_echo *echo = YO_CONTAINER(link, struct yo_echo, link);
        if (echo->session) {
            yo_wt_session_close(echo->session, how.code, how.text);
        } else {
            yo_conn_close(echo->conn, &how);
        }
    }
}

void yo_echo_abort_all(struct yo_worker *worker)
{
    YO_LIST_EACH(link, next, &worker->echoes)
    {
        struct yo_echo *echo = YO_CONTAINER(link, struct yo_echo, link);
        if (echo->session) {
            yo_wt_session_abort(echo->session);
        } else {
            yo_conn_abort(echo->conn);
        }
    }
}
