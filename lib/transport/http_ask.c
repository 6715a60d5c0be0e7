/* SPDX-License-Identifier: MIT */
/* http_ask.c
 *
 * The happy path: the addresses are raced, TLS shakes hands, the request goes out, head
 * and body of the answer come, the server closes. Possible failures: each step can
 * fail, and all together may take too long; an answer that is cut short, or too big, is
 * none.
 */
#include "transport/http_ask.h"

#include <stdio.h>
#include <yomo/error.h>

#include "base/text.h"
#include "loop/tcp.h"
#include "transport/http/reader.h"
#include "transport/pipe.h"
#include "transport/race.h"

struct yo_http_ask {
    struct yo_loop *loop;
    char *host;
    uint16_t port;
    bool loopback;
    struct yo_tls_client *tls;
    struct yo_buf request, body;
    struct yo_pipe_yard yard;
    struct yo_race race;
    struct yo_tcp *attempts[YO_RACE_MAX];
    struct yo_pipe *pipe;
    struct yo_http_reader *reader;
    struct yo_timer timer;
    struct yo_task task; /* it is over */
    bool over, head;     /* the answer's head is here */
    int error;
    struct yo_buf text;
    void (*done)(void *user, const struct yo_http_told *told);
    void *user;
};

static void drop_attempts(struct yo_http_ask *ask)
{
    yo_race_stop(&ask->race);
    for (size_t i = 0; i < YO_RACE_MAX; i++) {
        yo_tcp_close(ask->attempts[i]);
        ask->attempts[i] = NULL;
    }
}

static void ask_free(struct yo_http_ask *ask)
{
    const struct yomo_mem *mem = yo_loop_mem(ask->loop);

    drop_attempts(ask);
    yo_timer_stop(&ask->timer);
    yo_task_cancel(&ask->task);
    yo_loop_release_timer(ask->loop);
    yo_pipe_close(ask->pipe);
    yo_pipe_yard_finish(&ask->yard);
    yo_http_reader_destroy(ask->reader);
    yo_tls_client_unref(ask->tls);
    yo_buf_finish(&ask->request);
    yo_buf_finish(&ask->body);
    yo_buf_finish(&ask->text);
    yo_free(mem, ask->host);
    yo_free(mem, ask);
}

/* Told at the end of the turn, when nobody is inside what is to be freed. */
static void on_over(struct yo_task *task, yo_time now)
{
    struct yo_http_ask *ask = YO_CONTAINER(task, struct yo_http_ask, task);
    struct yo_buf body = ask->body, text = ask->text;
    struct yo_http_told told = {.error = ask->error,
                                .status =
                                    ask->head ? yo_http_reader_status(ask->reader) : 0,
                                .body = yo_buf_span(&body),
                                .text = yo_buf_span(&text)};
    void (*done)(void *, const struct yo_http_told *) = ask->done;
    void *user = ask->user;

    (void)now;
    yo_buf_init(&ask->body, body.mem);
    yo_buf_init(&ask->text, text.mem);
    ask_free(ask);
    done(user, &told);
    yo_buf_finish(&body);
    yo_buf_finish(&text);
}

static void end(struct yo_http_ask *ask, int error, struct yo_span text)
{
    if (ask->over) {
        return;
    }
    ask->over = true;
    ask->error = error;
    (void)yo_buf_append_span(&ask->text, text);
    drop_attempts(ask);
    yo_loop_defer(ask->loop, &ask->task);
}

static void on_timer(struct yo_timer *timer, yo_time now)
{
    (void)now;
    end(YO_CONTAINER(timer, struct yo_http_ask, timer), YOMO_ERR_TIMEOUT, YO_SPAN_NONE);
}

/* --- the answer ------------------------------------------------------------------ */

static void say(struct yo_http_ask *ask)
{
    int rv = yo_pipe_write(ask->pipe, yo_buf_span(&ask->request));

    if (rv != YOMO_OK) {
        end(ask, rv, YO_SPAN_NONE);
    }
}

/* All of it is here: by its own word, or because the server closes. */
static bool whole(const struct yo_http_ask *ask, bool closed)
{
    struct yo_span length = yo_http_reader_header(ask->reader, "Content-Length");
    uint64_t size;

    return length.data
               ? yo_parse_u64(length, &size) == YOMO_OK && ask->body.size == size
               : closed;
}

static void on_ready(void *user, yo_time now)
{
    (void)now;
    say(user);
}

static void on_bytes(void *user, struct yo_span bytes, yo_time now)
{
    struct yo_http_ask *ask = user;

    (void)now;
    if (ask->over) {
        return;
    }
    if (!ask->head) {
        switch (yo_http_reader_feed(ask->reader, &bytes)) {
        case YO_HTTP_MORE:
            return;
        case YO_HTTP_BAD:
            end(ask, YOMO_ERR_PROTO, yo_span_of("the answer is not HTTP"));
            return;
        case YO_HTTP_DONE:
            ask->head = true;
            break;
        }
        if (yo_http_reader_header(ask->reader, "Transfer-Encoding").data) {
            end(ask, YOMO_ERR_PROTO, yo_span_of("the answer comes in pieces"));
            return;
        }
    }
    if (ask->body.size + bytes.size > YO_HTTP_ANSWER_MAX) {
        end(ask, YOMO_ERR_TOO_BIG, yo_span_of("the answer is too big"));
    } else if (yo_buf_append_span(&ask->body, bytes) != YOMO_OK) {
        end(ask, YOMO_ERR_NOMEM, YO_SPAN_NONE);
    } else if (whole(ask, false)) {
        end(ask, YOMO_OK, YO_SPAN_NONE);
    }
}

static void on_end(void *user, int error, struct yo_span text, yo_time now)
{
    struct yo_http_ask *ask = user;

    (void)now;
    if (!ask->over && error == YOMO_ERR_CLOSED && ask->head && whole(ask, true)) {
        end(ask, YOMO_OK, YO_SPAN_NONE);
    } else {
        end(ask, error, text);
    }
}

static const struct yo_pipe_events pipe_events = {on_ready, on_bytes, NULL, on_end};

/* --- connecting ------------------------------------------------------------------ */

static void on_connect(void *user, struct yo_tcp *tcp, int error, yo_time now)
{
    struct yo_http_ask *ask = user;
    int rv;

    for (size_t i = 0; i < YO_RACE_MAX; i++) {
        if (ask->attempts[i] == tcp) {
            ask->attempts[i] = NULL;
        }
    }
    if (error != YOMO_OK || ask->over) {
        yo_tcp_close(tcp);
        if (!ask->over) {
            yo_race_failed(&ask->race, error, now);
        }
        return;
    }
    drop_attempts(ask);
    ask->loopback = yo_address_loopback(yo_tcp_remote(tcp));
    rv = yo_pipe_open(&ask->pipe, &ask->yard, tcp, &pipe_events, ask);
    if (rv == YOMO_OK && ask->tls) {
        struct yo_tls_peer peer = {ask->host, ask->port, ask->loopback};
        rv = yo_pipe_connect_tls(ask->pipe, ask->tls, &peer);
    } else if (rv == YOMO_OK) {
        say(ask);
    }
    if (rv != YOMO_OK) {
        end(ask, rv, YO_SPAN_NONE);
    }
}

static const struct yo_tcp_events tcp_events = {.on_connect = on_connect};

static int start_attempt(void *user, size_t index, const union yo_address *address,
                         yo_time now)
{
    struct yo_http_ask *ask = user;

    (void)now;
    return yo_tcp_connect(&ask->attempts[index], ask->loop, address, &tcp_events, ask);
}

static void on_lost(void *user, int error, yo_time now)
{
    (void)now;
    end(user, error, YO_SPAN_NONE);
}

int yo_http_ask(struct yo_loop *loop, const struct yo_http_ask_options *options,
                void (*done)(void *user, const struct yo_http_told *told), void *user)
{
    const struct yomo_mem *mem = yo_loop_mem(loop);
    struct yo_http_ask *ask = yo_calloc(mem, 1, sizeof(*ask));
    int rv;

    if (!ask || yo_loop_reserve_timer(loop) != YOMO_OK) {
        yo_free(mem, ask);
        return YOMO_ERR_NOMEM;
    }
    ask->loop = loop;
    ask->port = options->port;
    ask->tls = options->tls ? yo_tls_client_ref(options->tls) : NULL;
    ask->done = done;
    ask->user = user;
    yo_buf_init(&ask->request, mem);
    yo_buf_init(&ask->body, mem);
    yo_buf_init(&ask->text, mem);
    yo_pipe_yard_init(&ask->yard, loop, 0);
    yo_timer_init(&ask->timer, loop, on_timer);
    yo_task_init(&ask->task, on_over);
    ask->host = yo_strndup(mem, options->host, strlen(options->host));
    ask->race = (struct yo_race){
        .loop = loop,
        .start = start_attempt,
        .lost = on_lost,
        .user = ask,
        .over = true}; /* until it has begun there is nothing to stop */
    rv = ask->host ? yo_buf_append_span(&ask->request, options->request)
                   : YOMO_ERR_NOMEM;
    rv = rv == YOMO_OK ? yo_http_reader_create(&ask->reader, mem, true) : rv;
    rv = rv == YOMO_OK
             ? yo_timer_set(&ask->timer, yo_time_after(yo_loop_now(loop),
                                                       options->timeout_ms * YO_MS))
             : rv;
    rv = rv == YOMO_OK ? yo_race_begin(&ask->race, ask->host, ask->port) : rv;
    if (rv != YOMO_OK) {
        ask_free(ask);
    }
    return rv;
}
