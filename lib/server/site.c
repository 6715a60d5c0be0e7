/* SPDX-License-Identifier: MIT */
/* site.c - a short list of pages; all are read-only, so there is GET and HEAD only. */
#include "server/site.h"

#include "base/text.h"
#include "server/admin_http.h"
#include "server/handle.h"
#include "server/worker.h"

static void answer_text(struct yo_exchange *exchange, int status, const char *text)
{
    static const char *const headers[] = {"Content-Type", "text/plain; charset=utf-8",
                                          "Cache-Control", "no-store", NULL};

    yo_exchange_answer(exchange, status, headers, yo_span_of(text));
}

static void answer_buf(struct yo_exchange *exchange, const char *type,
                       const struct yo_buf *body)
{
    const char *const headers[] = {
        "Content-Type", type, "Cache-Control", "no-cache", "X-Content-Type-Options",
        "nosniff",      NULL};

    if (body->failed) {
        answer_text(exchange, 503, "out of memory\n");
    } else {
        yo_exchange_answer(exchange, 200, headers, yo_buf_span(body));
    }
}

/* "Authorization: Bearer TOKEN" (RFC 6750 2.1). */
static bool may_read_metrics(const struct yo_config *config,
                             const struct yo_exchange *exchange)
{
    struct yo_span said = yo_exchange_header(exchange, "Authorization");
    static const char scheme[] = "Bearer ";
    size_t size = strlen(scheme);

    return !config->metrics_token ||
           (said.size > size &&
            yo_span_equal_nocase(yo_span(said.data, size), yo_span_of(scheme)) &&
            yo_span_equal_secret(yo_span_of(config->metrics_token),
                                 yo_span_skip(said, size)));
}

static void metrics(struct yo_worker *worker, struct yo_exchange *exchange)
{
    static const char *const ask[] = {
        "WWW-Authenticate", "Bearer realm=\"metrics\"", "Cache-Control", "no-store", NULL};
    struct yo_buf body;

    if (!may_read_metrics(worker->config, exchange)) {
        yo_exchange_answer(exchange, 401, ask,
                           yo_span_of("the numbers are for who has the metrics-token\n"));
        return;
    }
    yo_buf_init(&body, worker->mem);
    (void)yo_server_print_metrics(worker->server, &body);
    answer_buf(exchange, "text/plain; version=0.0.4; charset=utf-8", &body);
    yo_buf_finish(&body);
}

/* What a page needs to know to connect: ports, and the certificate to pin. */
static void config_json(struct yo_worker *worker, struct yo_exchange *exchange)
{
    struct yo_buf body;

    yo_buf_init(&body, worker->mem);
    (void)yo_buf_printf(
        &body, "{\"port\":%u,\"http_port\":%u,\"certificate_sha256\":\"%s\"}\n",
        worker->server->ports.port, worker->server->ports.http_port,
        worker->certificate);
    answer_buf(exchange, "application/json", &body);
    yo_buf_finish(&body);
}

void yo_site_answer(struct yo_worker *worker, struct yo_exchange *exchange, yo_time now)
{
    const struct yo_config *config = worker->config;
    struct yo_span path = yo_exchange_path(exchange);
    struct yo_span method = yo_exchange_method(exchange);

    bool admin = yo_exchange_admin(exchange);

    if (config->admin_api && admin == config->admin && yo_admin_is_path(path)) {
        yo_admin_answer(worker, exchange, now);
    } else if (!yo_span_is(method, "GET") && !yo_span_is(method, "HEAD")) {
        static const char *const allow[] = {"Allow", "GET, HEAD", NULL};
        yo_exchange_answer(exchange, 405, allow, yo_span_of("GET and HEAD only\n"));
    } else if (yo_span_is(path, "/healthz")) {
        answer_text(exchange, 200, "ok\n");
    } else if (yo_span_is(path, "/readyz")) {
        bool ready = worker->state == YO_WORKER_SERVING;
        answer_text(exchange, ready ? 200 : 503, ready ? "ready\n" : "draining\n");
    } else if (yo_span_is(path, "/metrics") && config->metrics &&
               admin == config->admin) {
        metrics(worker, exchange);
    } else if (admin) {
        answer_text(exchange, 404, "no such page\n");
    } else if (yo_span_is(path, "/config.json") && config->development) {
        config_json(worker, exchange);
    } else if (yo_span_is(path, "/v1")) {
        static const char *const upgrade[] = {"Upgrade", "websocket", NULL};
        yo_exchange_answer(
            exchange, 426, upgrade,
            yo_span_of("rooms are reached by WebSocket or WebTransport\n"));
    } else if (worker->files) {
        static const char *const headers[] = {"Cache-Control", "no-cache", NULL};
        yo_files_serve(worker->files, exchange, path, headers);
    } else {
        answer_text(exchange, 404, "no such page\n");
    }
}
