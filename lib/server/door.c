/* SPDX-License-Identifier: MIT */
/* door.c
 *
 * The happy path: a request for /v1 is taken apart (auth.c), the host's hook says yes
 * or there is none, a peer is made and gets the connection. The hook may answer later
 * and from any thread: the answer is a letter to the worker, which the hook's own
 * thread cannot overtake.
 *
 * Possible failures: the client goes away while the host thinks. Then the auth stays
 * with the host, and its answer changes nothing. */
#include "server/door.h"

#include "base/check.h"
#include "base/text.h"
#include "server/claims.h"
#include "server/echo.h"
#include "server/handle.h"
#include "server/log.h"
#include "server/worker.h"
#include "transport/custom.h"

uint32_t yo_door_code(int error)
{
    switch (error) {
    case YOMO_ERR_AUTH:
        return YO_CODE_AUTH;
    case YOMO_ERR_KICKED:
        return YO_CODE_KICKED;
    case YOMO_ERR_DRAINING:
        return YO_CODE_GOING_AWAY;
    case YOMO_ERR_FULL:
    case YOMO_ERR_RATE:
    case YOMO_ERR_NOMEM:
        return YO_CODE_TRY_LATER;
    default:
        return YO_CODE_DENIED;
    }
}

static void refuse_status(struct yo_incoming *incoming, int status, const char *text)
{
    struct yo_response response = {.status = status, .text = yo_span_of(text)};

    yo_incoming_refuse(incoming, &response);
}

static void dismiss(struct yo_incoming *incoming, int error, const char *text)
{
    uint32_t code = yo_door_code(error);
    struct yo_close how = {.kind = yo_close_kind_of(code),
                           .error = error,
                           .code = code,
                           .text = yo_span_of(text)};

    yo_incoming_dismiss(incoming, &how);
}

/* --- letting in and refusing ----------------------------------------------------- */

static void let_in(struct yo_worker *worker, struct yomo_auth *auth, yo_time now)
{
    const struct yo_config *config = worker->config;
    const char *headers[] = {"X-Prscd-Version", "v2.0.0-alpha", "X-Prscd-MESHID",
                             config->mesh, NULL};
    struct yo_response response = {
        .status = 200,
        .headers = headers,
        .extension = auth->extension,
        .datagram_size_max = auth->extension ? 0 : config->limits.datagram_size};
    struct yo_admission admission = {.id = auth->id,
                                     .app = auth->app,
                                     .extension = auth->extension,
                                     .proven = auth->proven,
                                     .grants = auth->grants,
                                     .data = auth->data};
    struct yo_conn *conn = auth->conn;
    struct yo_peer *peer = NULL;

    auth->error = yo_apps_more(worker->server->apps, yo_span_of(auth->app),
                               YO_APP_CONNECTIONS, &admission.entry);
    if (auth->error == YOMO_OK) {
        peer = yo_peer_create(worker, &admission, auth->transport);
        if (!peer) {
            yo_apps_less(worker->server->apps, admission.entry, YO_APP_CONNECTIONS);
            yo_apps_unref(worker->server->apps, admission.entry);
            auth->error = YOMO_ERR_NOMEM;
        }
    } else if (auth->error == YOMO_ERR_FULL) {
        auth->told = yo_app_limit_text(YO_APP_CONNECTIONS);
    }
    if (!peer) {
        yo_door_refuse(worker, auth, now);
        return;
    }
    auth->grants = NULL; /* the peer's now */
    yo_list_remove(&auth->link);
    if (conn) {
        yo_conn_listen(conn, &yo_peer_events, peer);
        yo_carrier_hold(conn, false);
    } else {
        yo_incoming_set_user(auth->incoming, NULL);
        conn = yo_incoming_accept(auth->incoming, &response, &yo_peer_events, peer);
    }
    yo_auth_free(auth);
    if (conn) {
        yo_peer_start(peer, conn, now);
    } else {
        yo_peer_destroy(peer);
    }
}

void yo_door_refuse(struct yo_worker *worker, struct yomo_auth *auth, yo_time now)
{
    uint32_t code = yo_door_code(auth->error);
    const char *told = auth->told ? auth->told : yomo_strerror(auth->error);
    struct yo_close how = {.kind = yo_close_kind_of(code),
                           .error = auth->error,
                           .code = code,
                           .text = yo_span_of(told)};

    yo_metric_add(auth->error == YOMO_ERR_DRAINING ? &worker->metrics->refused_draining
                  : auth->told                     ? &worker->metrics->refused_app
                  : auth->error == YOMO_ERR_FULL   ? &worker->metrics->refused_full
                                                   : &worker->metrics->refused_auth,
                  1);
    YO_COMPLAIN(worker, YO_COMPLAINT_CONNECTION, now,
                yo_log_close(yo_log_auth(YO_LOG_NONE, auth), code, auth->error),
                "not let in: %s", told);
    if (auth->conn) { /* freed when its end has come */
        auth->refused = true;
        yo_conn_close(auth->conn, &how);
        return;
    }
    yo_list_remove(&auth->link);
    yo_incoming_set_user(auth->incoming, NULL);
    yo_incoming_dismiss(auth->incoming, &how);
    yo_auth_free(auth);
}

static void settle(struct yo_worker *worker, struct yomo_auth *auth, yo_time now)
{
    if (!auth->incoming && !auth->conn) { /* gone meanwhile */
        yo_auth_free(auth);
        return;
    }
    if (worker->state != YO_WORKER_SERVING) {
        auth->error = YOMO_ERR_DRAINING;
    } else if (auth->error == YOMO_OK &&
               yo_server_banned(worker->server, auth->app, YO_SPAN_NONE, auth->id,
                                auth->address)) {
        auth->error = YOMO_ERR_KICKED;
    }
    if (auth->error == YOMO_OK) {
        let_in(worker, auth, now);
    } else {
        yo_door_refuse(worker, auth, now);
    }
}

void yo_door_ask(struct yo_worker *worker, struct yomo_auth *auth, yo_time now)
{
    const struct yo_config *config = worker->config;
    int rv = YOMO_OK;

    auth->worker = worker;
    yo_list_push_back(&worker->waiting, &auth->link);
    if (auth->incoming) {
        yo_incoming_set_user(auth->incoming, auth);
    }
    if (config->hooks.authenticate) {
        rv = config->hooks.authenticate(config->hooks_user, auth);
        if (rv == YOMO_LATER) { /* the host's until it answers, perhaps already */
            return;
        }
    }
    auth->error = rv > 0 ? YOMO_ERR_DENIED : rv;
    settle(worker, auth, now);
}

/* --- the host's answer ----------------------------------------------------------- */

static void open_answer(struct yo_letter *letter, void *box_user, yo_time now)
{
    settle(box_user, YO_CONTAINER(letter, struct yomo_auth, answer), now);
}

static void discard_answer(struct yo_letter *letter)
{
    yo_auth_free(YO_CONTAINER(letter, struct yomo_auth, answer));
}

static void post_answer(struct yomo_auth *auth, int error)
{
    yomo_server *server = auth->server;
    uint32_t index = auth->worker->index;

    auth->error = error;
    auth->answer.open = open_answer;
    auth->answer.discard = discard_answer;
    yo_list_init(&auth->answer.link);
    yo_server_ref(server); /* the letter's own may be the last, and the box is its */
    yo_mailbox_post(server->desks[index].box, &auth->answer);
    yo_server_unref(server);
}

void yomo_auth_accept(yomo_auth *auth)
{
    if (auth) {
        post_answer(auth, YOMO_OK);
    }
}

void yomo_auth_refuse(yomo_auth *auth, int32_t error)
{
    if (auth) {
        post_answer(auth, error < 0 ? error : YOMO_ERR_DENIED);
    }
}

/* --- waiting --------------------------------------------------------------------- */

void yo_door_gone(struct yo_worker *worker, struct yo_incoming *incoming)
{
    struct yomo_auth *auth = yo_incoming_user(incoming);

    if (auth) {
        auth->incoming = NULL;
        yo_list_remove(&auth->link);
        yo_worker_gone(worker);
    }
}

static void on_waiting_closed(void *user, struct yo_conn *conn,
                              const struct yo_close *why, yo_time now)
{
    struct yomo_auth *auth = user;
    struct yo_worker *worker = auth->worker;

    (void)conn;
    (void)why;
    (void)now;
    auth->conn = NULL;
    yo_list_remove(&auth->link);
    if (auth->refused) {
        yo_auth_free(auth);
    }
    yo_worker_gone(worker);
}

const struct yo_conn_events yo_door_waiting_events = {
    .on_closed = on_waiting_closed,
};

/* The host still has these auths and may answer them: only their clients are sent away.
 */
void yo_door_refuse_waiting(struct yo_worker *worker)
{
    struct yo_close how = {.kind = YO_CLOSE_RETRY,
                           .error = YOMO_ERR_DRAINING,
                           .code = YO_CODE_GOING_AWAY,
                           .text = yo_span_of("going away")};

    YO_LIST_EACH(link, next, &worker->waiting)
    {
        struct yomo_auth *auth = YO_CONTAINER(link, struct yomo_auth, link);
        if (auth->conn) {
            yo_conn_close(auth->conn, &how);
            continue;
        }
        yo_list_remove(&auth->link);
        yo_incoming_set_user(auth->incoming, NULL);
        refuse_status(auth->incoming, 503, "going away");
        auth->incoming = NULL;
    }
}

/* --- requests -------------------------------------------------------------------- */

static bool echo_wanted(const struct yo_worker *worker,
                        const struct yo_request *request)
{
    return worker->config->echo && yo_span_is(request->path, "/echo");
}

/* What the host has claimed is WebTransport's only. */
static const struct yo_claim *claim_on(const struct yo_worker *worker,
                                       const struct yo_request *request)
{
    return request->transport == YOMO_TRANSPORT_WEBTRANSPORT
               ? yo_claims_find(worker->server, request->path)
               : NULL;
}

static struct yo_log_fields *log_request(struct yo_log_fields *fields,
                                         const struct yo_request *request)
{
    (void)yo_log_text(fields, "address", request->address);
    return yo_log_text(fields, "transport",
                       yo_span_of(yo_transport_name((int32_t)request->transport)));
}

static void take(struct yo_worker *worker, struct yo_incoming *incoming,
                 const struct yo_request *request, yo_time now)
{
    struct yomo_auth *auth;
    const char *why;
    int rv = yo_auth_create(&auth, worker->server, request->query, request->origin,
                            request->address, request->transport, &why);

    if (rv == YOMO_OK) {
        auth->incoming = incoming;
        yo_door_ask(worker, auth, now);
        return;
    }
    yo_metric_add(rv == YOMO_ERR_AUTH ? &worker->metrics->refused_auth
                                      : &worker->metrics->refused_request,
                  1);
    YO_COMPLAIN(worker, YO_COMPLAINT_CONNECTION, now,
                yo_log_close(log_request(YO_LOG_NONE, request), yo_door_code(rv), rv),
                "not let in: %s", why);
    dismiss(incoming, rv, why);
}

void yo_door_knock(struct yo_worker *worker, struct yo_incoming *incoming,
                   const struct yo_request *request, yo_time now)
{
    struct yo_metrics *metrics = worker->metrics;
    const struct yo_claim *claim = claim_on(worker, request);

    if (worker->state != YO_WORKER_SERVING) {
        yo_metric_add(&metrics->refused_draining, 1);
        refuse_status(incoming, 503, "going away");
    } else if (!yo_span_is(request->path, "/v1") && !echo_wanted(worker, request) &&
               !claim) {
        yo_metric_add(&metrics->refused_path, 1);
        refuse_status(incoming, 404, "no such path; rooms are at /v1");
    } else if (!yo_config_origin(worker->config, request->origin)) {
        yo_metric_add(&metrics->refused_origin, 1);
        YO_COMPLAIN(
            worker, YO_COMPLAINT_CONNECTION, now,
            yo_log_text(log_request(YO_LOG_NONE, request), "origin", request->origin),
            "not let in: its origin is not in `origins`");
        dismiss(incoming, YOMO_ERR_DENIED, "origin not allowed");
    } else if (yo_server_connections(worker->server) >=
               worker->config->connections_max) {
        yo_metric_add(&metrics->refused_full, 1);
        refuse_status(incoming, 503, "too many connections");
    } else if (claim) {
        yo_claims_take(worker, claim, incoming, request);
    } else if (echo_wanted(worker, request)) {
        yo_echo_accept(worker, incoming, request);
    } else {
        take(worker, incoming, request, now);
    }
}
