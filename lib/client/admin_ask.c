/* SPDX-License-Identifier: MIT */
/* admin_ask.c - a request to a server's admin API (<yomo/admin.h>), on a thread of its
 * own that ends with the answer. */
#include <yomo/admin.h>

#include <pthread.h>
#include <signal.h>

#include "base/check.h"
#include "base/url.h"
#include "options/options.h"
#include "sessions/trust.h"
#include "transport/http_ask.h"

struct admin_ask {
    yomo_options *options;
    const struct yomo_mem *mem; /* of `options` */
    struct yo_tls_client *tls;
    char *host;
    uint16_t port;
    struct yo_buf request;
    struct yo_loop *loop;
    yomo_answer_fn on_answer;
    void *user;
    int32_t error, status;
    struct yo_buf body, text; /* with a NUL behind each */
};

static void ask_free(struct admin_ask *ask)
{
    struct yomo_mem mem = *ask->mem; /* it is the options' */
    yomo_options *options = ask->options;

    yo_tls_client_unref(ask->tls);
    yo_free(&mem, ask->host);
    yo_buf_finish(&ask->request);
    yo_buf_finish(&ask->body);
    yo_buf_finish(&ask->text);
    yo_free(&mem, ask);
    yomo_options_free(options);
}

static void keep(struct yo_buf *out, struct yo_span bytes)
{
    (void)yo_buf_append_span(out, bytes);
    (void)yo_buf_append_byte(out, 0);
}

static void on_told(void *user, const struct yo_http_told *told)
{
    struct admin_ask *ask = user;

    ask->error = told->error;
    ask->status = told->status;
    keep(&ask->body, told->body);
    keep(&ask->text, told->text);
    if (ask->body.failed || ask->text.failed) {
        ask->error = YOMO_ERR_NOMEM;
        yo_buf_clear(&ask->text); /* it may have no NUL */
    }
    yo_loop_close(ask->loop, NULL, NULL);
}

static void *run(void *argument)
{
    struct admin_ask *ask = argument;
    const struct yo_http_ask_options options = {
        .host = ask->host,
        .port = ask->port,
        .tls = ask->tls,
        .request = yo_buf_span(&ask->request),
        .timeout_ms = yo_options_ms(ask->options, "connect-timeout"),
    };
    bool good;

    ask->error = yo_http_ask(ask->loop, &options, on_told, ask);
    if (ask->error != YOMO_OK) {
        yo_loop_close(ask->loop, NULL, NULL);
    }
    yo_loop_run(ask->loop);
    good = ask->error == YOMO_OK;
    ask->on_answer(ask->user, ask->error, good ? ask->status : 0,
                   good ? (const char *)ask->body.data : "",
                   good ? ask->body.size - 1 : 0,
                   ask->text.size > 0 ? (const char *)ask->text.data : "");
    ask_free(ask);
    return NULL;
}

/* What goes into the request's lines must not end them. */
static bool visible(const char *text)
{
    for (; text && *text; text++) {
        if (*text <= ' ' || *text > '~') {
            return false;
        }
    }
    return true;
}

static int write_request(struct admin_ask *ask, const char *call, const char *body)
{
    const char *token = yo_options_text(ask->options, "token");
    bool literal = strchr(ask->host, ':') != NULL;
    struct yo_buf *out = &ask->request;

    if (!visible(token) || !visible(call) || !visible(ask->host)) {
        return YOMO_ERR_INVALID;
    }
    (void)yo_buf_printf(out, "%s /admin/v1/%s HTTP/1.1\r\nHost: %s%s%s:%u\r\n",
                        body ? "POST" : "GET", call, literal ? "[" : "", ask->host,
                        literal ? "]" : "", ask->port);
    if (token) {
        (void)yo_buf_printf(out, "Authorization: Bearer %s\r\n", token);
    }
    if (body) {
        (void)yo_buf_printf(out,
                            "Content-Type: application/json\r\nContent-Length: %zu\r\n",
                            strlen(body));
    }
    (void)yo_buf_append_text(out, "Connection: close\r\n\r\n");
    (void)yo_buf_append_text(out, body ? body : "");
    return out->failed ? YOMO_ERR_NOMEM : YOMO_OK;
}

static int prepare(struct admin_ask *ask, const char *call, const char *body)
{
    const char *text = yo_options_text(ask->options, "url");
    struct yo_url url;
    bool secure;

    if (!text || yo_url_parse(&url, yo_span_of(text)) != YOMO_OK ||
        url.host.size == 0) {
        return YOMO_ERR_URL;
    }
    secure = yo_span_is(url.scheme, "https");
    if ((!secure && !yo_span_is(url.scheme, "http")) || url.path.size > 1 ||
        url.query.data) {
        return YOMO_ERR_URL;
    }
    ask->host = yo_strndup(ask->mem, url.host.data, url.host.size);
    ask->port = url.port ? url.port : secure ? 443 : 80;
    if (!ask->host) {
        return YOMO_ERR_NOMEM;
    }
    if (secure) {
        int rv = yo_trust_create(&ask->tls, ask->mem, ask->options);
        if (rv != YOMO_OK) {
            return rv;
        }
    }
    return write_request(ask, call, body);
}

/* With every signal blocked: those are for the host's own threads. */
static int start(struct admin_ask *ask)
{
    sigset_t all, old;
    pthread_t thread;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    error = pthread_create(&thread, NULL, run, ask);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (error != 0) {
        return YOMO_ERR_SYSTEM;
    }
    pthread_detach(thread);
    return YOMO_OK;
}

int32_t yomo_admin_ask(const yomo_options *options, const char *call, const char *body,
                       yomo_answer_fn on_answer, void *user)
{
    struct admin_ask *ask;
    yomo_options *copy;
    int rv;

    YO_REQUIRE(options && yo_options_scope(options) == YOMO_SCOPE_CLIENT);
    YO_REQUIRE(call && on_answer);
    copy = yo_options_copy(options);
    ask = copy ? yo_calloc(yo_options_mem(copy), 1, sizeof(*ask)) : NULL;
    if (!ask) {
        yomo_options_free(copy);
        return YOMO_ERR_NOMEM;
    }
    ask->options = copy;
    ask->mem = yo_options_mem(copy);
    ask->on_answer = on_answer;
    ask->user = user;
    yo_buf_init(&ask->request, ask->mem);
    yo_buf_init(&ask->body, ask->mem);
    yo_buf_init(&ask->text, ask->mem);
    rv = prepare(ask, call, body);
    rv = rv == YOMO_OK
             ? yo_loop_create(&ask->loop, ask->mem, NULL, yo_options_log(copy))
             : rv;
    if (rv == YOMO_OK) {
        rv = start(ask);
        if (rv != YOMO_OK) {
            yo_loop_close(ask->loop, NULL, NULL);
            yo_loop_run(ask->loop);
        }
    }
    if (rv != YOMO_OK) {
        ask_free(ask);
    }
    return rv;
}
