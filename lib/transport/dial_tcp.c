/* SPDX-License-Identifier: MIT */
/* dial_tcp.c
 *
 * The happy path: the addresses are raced until TCP connects; a proxy is asked for a
 * tunnel; TLS shakes hands; the upgrade is asked for and answered; the link takes over,
 * and the dial stays only to hold what the link borrows. Failure modes: every step can
 * fail or take too long; the first failure is on_closed's reason. The application may
 * give up at any time through the connection that it has.
 *
 * Invariant: before the link has the pipe, a failure is told to the link, and the
 * link's end (on_given_up, on_gone) is what frees everything. */
#include "transport/dial_tcp.h"

#include <stdio.h>
#include <yomo/error.h>

#include "loop/tcp.h"
#include "transport/http/reader.h"
#include "transport/http/writer.h"
#include "transport/race.h"
#include "transport/websocket/handshake.h"
#include "transport/ws_link.h"

enum step {
    STEP_CONNECT, /* TCP */
    STEP_TUNNEL,  /* the proxy's answer */
    STEP_TLS,
    STEP_UPGRADE, /* the server's answer */
    STEP_OPEN,    /* the link has the pipe */
    STEP_OVER     /* failed or given up; the link is told */
};

struct dial {
    struct yo_loop *loop;
    char *host, *path, *origin, *proxy_host;
    uint16_t port, proxy_port;
    bool secure, loopback;
    struct yo_tls_client *tls;
    struct yo_ws_shared shared;
    struct yo_ws_link *link;
    struct yo_race race;
    struct yo_tcp *attempts[YO_RACE_MAX];
    struct yo_pipe *pipe;
    struct yo_http_reader *reader;
    struct yo_timer timer; /* for all of it */
    enum step step;
    char key[YO_WEBSOCKET_KEY_SIZE + 1];
};

/* --- The end ---------------------------------------------------------------------- */

/* Let go of what a handshake needs. */
static void drop_attempts(struct dial *dial)
{
    yo_race_stop(&dial->race);
    for (size_t i = 0; i < YO_RACE_MAX; i++) {
        yo_tcp_close(dial->attempts[i]);
        dial->attempts[i] = NULL;
    }
}

static void drop_handshake(struct dial *dial)
{
    drop_attempts(dial);
    yo_timer_stop(&dial->timer);
    yo_pipe_close(dial->pipe);
    dial->pipe = NULL;
    yo_http_reader_destroy(dial->reader);
    dial->reader = NULL;
}

static void fail(struct dial *dial, int error, struct yo_span text)
{
    if (dial->step < STEP_OPEN) {
        dial->step = STEP_OVER;
        yo_ws_link_failed(dial->link, error, text);
        drop_handshake(dial);
    }
}

static void on_given_up(void *user)
{
    struct dial *dial = user;
    dial->step = STEP_OVER;
    drop_handshake(dial);
}

static void free_dial(struct dial *dial)
{
    const struct yomo_mem *mem = yo_loop_mem(dial->loop);
    drop_handshake(dial);
    yo_loop_release_timer(dial->loop);
    yo_ws_shared_finish(&dial->shared);
    yo_tls_client_unref(dial->tls);
    yo_free(mem, dial->host);
    yo_free(mem, dial->path);
    yo_free(mem, dial->origin);
    yo_free(mem, dial->proxy_host);
    yo_free(mem, dial);
}

static void on_gone(void *user)
{
    free_dial(user);
}

static void on_timer(struct yo_timer *timer, yo_time now)
{
    struct dial *dial = YO_CONTAINER(timer, struct dial, timer);
    (void)now;
    fail(dial, YOMO_ERR_TIMEOUT, YO_SPAN_NONE);
}

/* --- The upgrade ------------------------------------------------------------------ */

static void write_or_fail(struct dial *dial, struct yo_buf *out, int rv)
{
    if (rv == YOMO_OK) {
        rv = yo_pipe_write(dial->pipe, yo_buf_span(out));
    }
    yo_buf_finish(out);
    if (rv != YOMO_OK) {
        fail(dial, rv, YO_SPAN_NONE);
    }
}

static void ask_upgrade(struct dial *dial)
{
    struct yo_websocket_ask ask = {dial->host, dial->port, dial->secure, dial->path,
                                   dial->origin};
    struct yo_buf out;
    dial->step = STEP_UPGRADE;
    yo_buf_init(&out, yo_loop_mem(dial->loop));
    write_or_fail(dial, &out, yo_websocket_write_request(&out, &ask, dial->key));
}

static void on_upgrade_answer(struct dial *dial, struct yo_span early, yo_time now)
{
    struct yo_buf why;
    yo_buf_init(&why, yo_loop_mem(dial->loop));
    int rv = yo_websocket_check_answer(dial->reader, dial->key, &why);
    if (rv != YOMO_OK) {
        fail(dial, rv, yo_buf_span(&why));
        yo_buf_finish(&why);
        return;
    }
    yo_buf_finish(&why);
    struct yo_pipe *pipe = dial->pipe;
    dial->step = STEP_OPEN;
    dial->pipe = NULL; /* the link's */
    drop_handshake(dial);
    (void)yo_ws_link_open(dial->link, pipe, early, now);
}

/* --- The tunnel ------------------------------------------------------------------- */

static void start_tls(struct dial *dial)
{
    dial->step = STEP_TLS;
    struct yo_tls_peer peer = {dial->host, dial->port, dial->loopback};
    int rv = yo_pipe_connect_tls(dial->pipe, dial->tls, &peer);
    if (rv != YOMO_OK) {
        fail(dial, rv, YO_SPAN_NONE);
    }
}

static void on_stream(struct dial *dial)
{
    if (dial->secure) {
        start_tls(dial);
    } else {
        ask_upgrade(dial);
    }
}

static void ask_tunnel(struct dial *dial)
{
    bool literal = strchr(dial->host, ':') != NULL;
    const char *open = literal ? "[" : "", *shut = literal ? "]" : "";
    struct yo_buf out;
    dial->step = STEP_TUNNEL;
    yo_buf_init(&out, yo_loop_mem(dial->loop));
    write_or_fail(dial, &out,
                  yo_buf_printf(&out,
                                "CONNECT %s%s%s:%u HTTP/1.1\r\nHost: %s%s%s:%u\r\n\r\n",
                                open, dial->host, shut, dial->port, open, dial->host,
                                shut, dial->port));
}

static void on_tunnel_answer(struct dial *dial)
{
    int status = yo_http_reader_status(dial->reader);
    if (status < 200 || status > 299) {
        char text[80];
        snprintf(text, sizeof(text), "the proxy answered %d %s", status,
                 yo_http_reason(status));
        fail(dial, YOMO_ERR_UNREACHABLE, yo_span_of(text));
        return;
    }
    yo_http_reader_next(dial->reader);
    on_stream(dial);
}

/* --- The pipe's events ------------------------------------------------------------ */

static void on_ready(void *user, yo_time now)
{
    struct dial *dial = user;
    (void)now;
    if (dial->step == STEP_TLS) {
        ask_upgrade(dial);
    }
}

static void on_bytes(void *user, struct yo_span bytes, yo_time now)
{
    struct dial *dial = user;
    if (dial->step != STEP_TUNNEL && dial->step != STEP_UPGRADE) {
        return;
    }
    switch (yo_http_reader_feed(dial->reader, &bytes)) {
    case YO_HTTP_MORE:
        break;
    case YO_HTTP_BAD:
        fail(dial, YOMO_ERR_PROTO, yo_span_of("the answer is not HTTP"));
        break;
    case YO_HTTP_DONE:
        if (dial->step == STEP_UPGRADE) {
            on_upgrade_answer(dial, bytes, now);
        } else if (bytes.size >
                   0) { /* a server speaks first neither in TLS nor in HTTP */
            fail(dial, YOMO_ERR_PROTO, yo_span_of("the proxy said too much"));
        } else {
            on_tunnel_answer(dial);
        }
        break;
    }
}

static void on_end(void *user, int error, struct yo_span text, yo_time now)
{
    (void)now;
    fail(user, error, text);
}

static const struct yo_pipe_events pipe_events = {on_ready, on_bytes, NULL, on_end};

/* --- Connecting ------------------------------------------------------------------- */

static size_t attempt_of(const struct dial *dial, const struct yo_tcp *tcp)
{
    size_t i = 0;
    while (dial->attempts[i] != tcp) {
        i++;
    }
    return i;
}

static void on_connect(void *user, struct yo_tcp *tcp, int error, yo_time now)
{
    struct dial *dial = user;
    dial->attempts[attempt_of(dial, tcp)] = NULL;
    if (error != YOMO_OK) {
        yo_tcp_close(tcp);
        yo_race_failed(&dial->race, error, now);
        return;
    }
    drop_attempts(dial);
    dial->loopback = !dial->proxy_host && yo_address_loopback(yo_tcp_remote(tcp));
    int rv = yo_pipe_open(&dial->pipe, &dial->shared.yard, tcp, &pipe_events, dial);
    if (rv == YOMO_OK) {
        rv = yo_http_reader_create(&dial->reader, yo_loop_mem(dial->loop), true);
    }
    if (rv != YOMO_OK) {
        fail(dial, rv, YO_SPAN_NONE);
    } else if (dial->proxy_host) {
        ask_tunnel(dial);
    } else {
        on_stream(dial);
    }
}

static const struct yo_tcp_events tcp_events = {.on_connect = on_connect};

static int start_attempt(void *user, size_t index, const union yo_address *address,
                         yo_time now)
{
    struct dial *dial = user;
    (void)now;
    return yo_tcp_connect(&dial->attempts[index], dial->loop, address, &tcp_events,
                          dial);
}

static void on_lost(void *user, int error, yo_time now)
{
    (void)now;
    fail(user, error, YO_SPAN_NONE);
}

/* --- Life ------------------------------------------------------------------------- */

static char *copy(struct dial *dial, const char *text)
{
    return yo_strndup(yo_loop_mem(dial->loop), text, strlen(text));
}

/* "http://host:port" (RFC 9110 9.3.6); names and passwords are not taken yet. */
static int take_proxy(struct dial *dial, const char *proxy)
{
    struct yo_url url;
    if (yo_url_parse(&url, yo_span_of(proxy)) != YOMO_OK ||
        !yo_span_is(url.scheme, "http")) {
        return YOMO_ERR_INVALID;
    }
    dial->proxy_host =
        yo_strndup(yo_loop_mem(dial->loop), url.host.data, url.host.size);
    dial->proxy_port = url.port ? url.port : 80;
    return dial->proxy_host ? YOMO_OK : YOMO_ERR_NOMEM;
}

static int take_options(struct dial *dial, const struct yo_dial_options *options)
{
    dial->port = options->port;
    dial->secure = options->secure;
    dial->tls = options->secure ? yo_tls_client_ref(options->tls) : NULL;
    dial->host = copy(dial, options->host);
    dial->path = copy(dial, options->path);
    dial->origin = options->origin ? copy(dial, options->origin) : NULL;
    if (!dial->host || !dial->path || (options->origin && !dial->origin)) {
        return YOMO_ERR_NOMEM;
    }
    return options->proxy ? take_proxy(dial, options->proxy) : YOMO_OK;
}

/* Would the request be one? Better now than in a callback. */
static int check_request(struct dial *dial)
{
    struct yo_websocket_ask ask = {dial->host, dial->port, dial->secure, dial->path,
                                   dial->origin};
    struct yo_buf out;
    yo_buf_init(&out, yo_loop_mem(dial->loop));
    int rv = yo_websocket_write_request(&out, &ask, dial->key);
    yo_buf_finish(&out);
    return rv;
}

static int begin(struct dial *dial, const struct yo_dial_options *options,
                 const struct yo_conn_events *events, void *user)
{
    struct yo_ws_link_options link_options = {
        .websocket = {.client = true,
                      .secure = options->secure,
                      .message_size_max = options->message_size_max,
                      .queue_size_max = options->queue_size_max,
                      .keepalive = options->keepalive_ms * YO_MS,
                      .silence = options->silence_ms * YO_MS},
        .on_gone = on_gone,
        .on_given_up = on_given_up,
        .user = dial,
    };
    int rv = take_options(dial, options);
    if (rv == YOMO_OK) {
        rv = check_request(dial);
    }
    if (rv == YOMO_OK) {
        rv = yo_ws_link_create(&dial->link, &dial->shared, &link_options, events, user);
    }
    if (rv != YOMO_OK) {
        return rv;
    }
    dial->race.loop = dial->loop;
    dial->race.start = start_attempt;
    dial->race.lost = on_lost;
    dial->race.user = dial;
    rv = dial->proxy_host
             ? yo_race_begin(&dial->race, dial->proxy_host, dial->proxy_port)
             : yo_race_begin(&dial->race, dial->host, dial->port);
    if (rv != YOMO_OK) {
        yo_ws_link_discard(dial->link);
        return rv;
    }
    return yo_timer_set(&dial->timer, yo_time_after(yo_loop_now(dial->loop),
                                                    options->handshake_ms * YO_MS));
}

int yo_dial_tcp(struct yo_conn **out, struct yo_loop *loop,
                const struct yo_dial_options *options,
                const struct yo_conn_events *events, void *user)
{
    if (!options->host || !options->path || (options->secure && !options->tls)) {
        return YOMO_ERR_INVALID;
    }
    struct dial *dial = yo_calloc(yo_loop_mem(loop), 1, sizeof(*dial));
    if (!dial || yo_loop_reserve_timer(loop) != YOMO_OK) {
        yo_free(yo_loop_mem(loop), dial);
        return YOMO_ERR_NOMEM;
    }
    dial->loop = loop;
    yo_timer_init(&dial->timer, loop, on_timer);
    int rv = yo_ws_shared_init(&dial->shared, loop, 0);
    if (rv == YOMO_OK) {
        rv = begin(dial, options, events, user);
    }
    if (rv != YOMO_OK) {
        free_dial(dial);
        return rv;
    }
    *out = yo_ws_link_conn(dial->link);
    return YOMO_OK;
}
