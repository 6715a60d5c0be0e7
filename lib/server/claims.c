/* SPDX-License-Identifier: MIT */
/* claims.c
 *
 * The happy path: a request for a claimed path becomes a handle, which the host is
 * given and answers, now or later; accepted, it is a session of the worker's house.
 *
 * Possible failures: the client goes away, or the worker ends, before the answer. The
 * handle stays with the host, whose answer then changes nothing. */
#include "server/claims.h"

#include "base/check.h"
#include "server/handle.h"
#include "server/worker.h"
#include "sessions/request.h"

struct yo_claim {
    struct yo_link link; /* in server->claims */
    yomo_wt_request_fn fn;
    void *user;
    size_t size;
    bool below; /* all paths that begin with it */
    char path[];
};

/* A request that waits for the host's answer. */
struct claimed {
    struct yo_link link; /* in worker->claimed */
    struct yo_worker *worker;
    struct yo_incoming *incoming;
    yomo_wt_request *request; /* a reference */
};

/* --- claiming -------------------------------------------------------------------- */

static bool is_own(struct yo_span path)
{
    return yo_span_is(path, "/v1") || yo_span_is(path, "/echo");
}

/* RFC 3986 3.3, as it is compared: bytes that may stand in a request's path. */
static bool path_is_valid(const char *path)
{
    for (const char *at = path; *at; at++) {
        if ((unsigned char)*at <= 0x20 || (unsigned char)*at >= 0x7f ||
            strchr("?#\"<>\\^`{|}", *at)) {
            return false;
        }
    }
    return path[0] == '/';
}

static bool is_claimed(const yomo_server *server, struct yo_span path)
{
    YO_LIST_EACH(link, next, &server->claims)
    {
        const struct yo_claim *claim = YO_CONTAINER(link, struct yo_claim, link);
        if (yo_span_equal(yo_span(claim->path, claim->size), path)) {
            return true;
        }
    }
    return false;
}

int32_t yomo_server_claim(yomo_server *server, const char *path,
                          yomo_wt_request_fn on_request, void *user)
{
    struct yo_claim *claim;
    struct yo_span name = yo_span_of(path);
    int rv = YOMO_OK;

    YO_REQUIRE(server && path && on_request);
    YO_REQUIRE(path_is_valid(path) && !is_own(name));
    claim = yo_calloc(&server->mem, 1, sizeof(*claim) + name.size + 1);
    if (!claim) {
        return YOMO_ERR_NOMEM;
    }
    claim->fn = on_request;
    claim->user = user;
    claim->size = name.size;
    claim->below = path[name.size - 1] == '/';
    memcpy(claim->path, path, name.size);
    pthread_mutex_lock(&server->lock);
    if (server->state != YO_SERVER_NEW) {
        rv = YOMO_ERR_STATE;
    } else if (is_claimed(server, name)) {
        rv = YOMO_ERR_EXISTS;
    } else {
        yo_list_push_back(&server->claims, &claim->link);
    }
    pthread_mutex_unlock(&server->lock);
    if (rv != YOMO_OK) {
        yo_free(&server->mem, claim);
    }
    return rv;
}

const struct yo_claim *yo_claims_find(const yomo_server *server, struct yo_span path)
{
    const struct yo_claim *best = NULL;

    if (is_own(path)) {
        return NULL;
    }
    YO_LIST_EACH(link, next, &server->claims)
    {
        const struct yo_claim *claim = YO_CONTAINER(link, struct yo_claim, link);
        bool fits = claim->below ? path.size >= claim->size : path.size == claim->size;
        if (fits && memcmp(path.data, claim->path, claim->size) == 0 &&
            (!best || claim->size > best->size)) {
            best = claim;
        }
    }
    return best;
}

void yo_claims_free(yomo_server *server)
{
    struct yo_link *link;

    while ((link = yo_list_pop_front(&server->claims)) != NULL) {
        yo_free(&server->mem, YO_CONTAINER(link, struct yo_claim, link));
    }
}

/* --- requests -------------------------------------------------------------------- */

/* The incoming is not ours any more, and the request cannot be answered. */
static void done(struct claimed *claimed)
{
    yo_request_done(claimed->request);
    yo_list_remove(&claimed->link);
    yo_free(claimed->worker->mem, claimed);
}

static struct yo_wt_session *let_in(void *user, const struct yo_response *response)
{
    struct claimed *claimed = user;
    struct yo_worker *worker = claimed->worker;
    struct yo_incoming *incoming = claimed->incoming;
    struct yo_wt_session *session;

    done(claimed);
    yo_incoming_set_gone(incoming, NULL, NULL);
    session = yo_incoming_accept_session(incoming, response);
    if (session) {
        yo_metric_add(&worker->metrics->connections_webtransport, 1);
        yo_metric_add(&worker->metrics->accepted_webtransport, 1);
    } else {
        yo_worker_gone(worker);
    }
    return session;
}

static void refuse_with(struct claimed *claimed, const struct yo_response *response)
{
    struct yo_incoming *incoming = claimed->incoming;

    done(claimed);
    yo_incoming_set_gone(incoming, NULL, NULL);
    yo_incoming_refuse(incoming, response);
}

static void refuse(void *user, const struct yo_response *response)
{
    struct claimed *claimed = user;
    struct yo_worker *worker = claimed->worker;

    refuse_with(claimed, response);
    yo_worker_gone(worker);
}

static const struct yo_request_ops request_ops = {let_in, refuse};

static void on_gone(void *user)
{
    struct claimed *claimed = user;
    struct yo_worker *worker = claimed->worker;

    done(claimed);
    yo_worker_gone(worker);
}

void yo_claims_take(struct yo_worker *worker, const struct yo_claim *claim,
                    struct yo_incoming *incoming, const struct yo_request *request)
{
    struct claimed *claimed = yo_calloc(worker->mem, 1, sizeof(*claimed));

    if (!claimed || yo_request_create(&claimed->request, &worker->house, request,
                                      &request_ops, claimed) != YOMO_OK) {
        struct yo_response busy = {.status = 503, .text = yo_span_of("out of memory")};
        yo_free(worker->mem, claimed);
        yo_incoming_refuse(incoming, &busy);
        return;
    }
    claimed->worker = worker;
    claimed->incoming = incoming;
    yo_list_push_back(&worker->claimed, &claimed->link);
    yo_incoming_set_gone(incoming, on_gone, claimed);
    claim->fn(claim->user, claimed->request);
}

/* --- the end --------------------------------------------------------------------- */

static void forgotten(void *user, struct yomo_wt_session *session)
{
    struct yo_worker *worker = user;

    if (session->was_open) {
        yo_metric_less(&worker->metrics->connections_webtransport);
    }
    yo_worker_gone(worker);
}

const struct yo_house_ops yo_claims_house_ops = {NULL, forgotten};

void yo_claims_refuse_waiting(struct yo_worker *worker)
{
    struct yo_response response = {.status = 503, .text = yo_span_of("going away")};

    while (!yo_list_empty(&worker->claimed)) {
        refuse_with(YO_CONTAINER(worker->claimed.next, struct claimed, link),
                    &response);
    }
}

void yo_claims_drain(struct yo_worker *worker)
{
    yo_house_drain_all(&worker->house);
}

void yo_claims_close(struct yo_worker *worker)
{
    yo_house_close_all(&worker->house, 0, yo_span_of("the server is going away"));
}

void yo_claims_abort(struct yo_worker *worker)
{
    yo_house_abort_all(&worker->house);
}

bool yo_claims_empty(const struct yo_worker *worker)
{
    return worker->house.count == 0;
}
