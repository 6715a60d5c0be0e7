/* SPDX-License-Identifier: MIT */
/* echo.c - nothing is queued here: what the transport does not take at once is dropped,
 * so that a client that never reads costs nothing. */
#include "server/echo.h"

#include "base/check.h"
#include "server/worker.h"

struct yo_echo {
    struct yo_link link; /* in worker->echoes */
    struct yo_worker *worker;
    struct yo_conn *conn;
};

static void on_message(void *user, struct yo_conn *conn, uint32_t lane,
                       struct yo_span message, yo_time now)
{
    struct yo_echo *echo = user;
    struct yo_blob *blob = yo_blob_create(echo->worker->mem, message);

    (void)now;
    if (blob) {
        (void)yo_conn_send(conn, lane, blob, 0);
        yo_blob_unref(blob);
    }
}

static void on_closed(void *user, struct yo_conn *conn, const struct yo_close *why,
                      yo_time now)
{
    struct yo_echo *echo = user;
    struct yo_worker *worker = echo->worker;

    (void)conn;
    (void)why;
    (void)now;
    yo_list_remove(&echo->link);
    yo_free(worker->mem, echo);
    yo_worker_gone(worker);
}

static const struct yo_conn_events echo_events = {
    .on_message = on_message,
    .on_closed = on_closed,
};

void yo_echo_accept(struct yo_worker *worker, struct yo_incoming *incoming,
                    bool extension)
{
    struct yo_response response = {.status = 200, .extension = extension};
    struct yo_echo *echo = yo_calloc(worker->mem, 1, sizeof(*echo));

    if (!echo) {
        response.status = 503;
        yo_incoming_refuse(incoming, &response);
        return;
    }
    echo->worker = worker;
    echo->conn = yo_incoming_accept(incoming, &response, &echo_events, echo);
    if (!echo->conn) {
        yo_free(worker->mem, echo);
        return;
    }
    yo_list_push_back(&worker->echoes, &echo->link);
}

void yo_echo_end_all(struct yo_worker *worker)
{
    struct yo_close how = {.kind = YO_CLOSE_RETRY,
                           .error = YOMO_ERR_DRAINING,
                           .code = YO_CODE_GOING_AWAY,
                           .text = yo_span_of("going away")};

    YO_LIST_EACH(link, next, &worker->echoes)
    {
        yo_conn_close(YO_CONTAINER(link, struct yo_echo, link)->conn, &how);
    }
}

void yo_echo_abort_all(struct yo_worker *worker)
{
    YO_LIST_EACH(link, next, &worker->echoes)
    {
        yo_conn_abort(YO_CONTAINER(link, struct yo_echo, link)->conn);
    }
}
