/* SPDX-License-Identifier: MIT */
/* post.c
 *
 * The happy path: a connection is there or is made (resolve, judge, race, TLS), the
 * request goes out, the head of the answer comes. That settles it; the body is thrown
 * away while the connection waits for the next request.
 *
 * Possible failures: each step, and the time for all of them. A connection that was
 * kept and turns out to be closed is replaced once, without a word. One whose answer is
 * odd in any way (no length, too long a body, bytes that nobody asked for) is not kept.
 */
#include "server/webhooks/post.h"

#include <stdio.h>
#include <yomo/error.h>
#include <yomo/version.h>

#include "base/check.h"
#include "base/text.h"
#include "loop/tcp.h"
#include "server/webhooks/address.h"
#include "transport/http/reader.h"
#include "transport/pipe.h"
#include "transport/race.h"

#define HINTS_MAX 8 /* answers before the answer: 100, 103 */

struct yo_post {
    struct yo_loop *loop;
    struct yo_post_options options;
    char *host, *target;
    void (*done)(void *user, const struct yo_posted *posted, yo_time now);
    void *user;

    bool busy;          /* a request is under way */
    bool reused, fresh; /* on a connection that was kept; on one instead of that */
    bool answered;      /* something of an answer came */
    bool denied;        /* an address was not allowed */
    unsigned hints;
    struct yo_buf request;
    struct yo_posted posted; /* until `done` is told */
    struct yo_buf text;

    struct yo_pipe_yard yard;
    struct yo_race race;
    struct yo_tcp *attempts[YO_RACE_MAX];
    struct yo_pipe *pipe;
    bool stands; /* it is kept and waits for a request */
    size_t left; /* of the last answer's body */
    struct yo_http_reader *reader;
    struct yo_timer timer; /* busy: the time for it; else of the idle connection */
    struct yo_task task;   /* `done` is due */
};

static void drop_attempts(struct yo_post *post)
{
    yo_race_stop(&post->race);
    for (size_t i = 0; i < YO_RACE_MAX; i++) {
        yo_tcp_close(post->attempts[i]);
        post->attempts[i] = NULL;
    }
}

static void hang_up(struct yo_post *post)
{
    struct yo_pipe *pipe = post->pipe;

    drop_attempts(post);
    post->pipe = NULL;
    post->stands = false;
    yo_pipe_close(pipe);
}

static void on_done(struct yo_task *task, yo_time now)
{
    struct yo_post *post = YO_CONTAINER(task, struct yo_post, task);

    post->busy = false;
    post->posted.text = post->text.size > 0 ? yo_buf_span(&post->text) : YO_SPAN_NONE;
    yo_buf_clear(&post->request);
    yo_buf_shrink(&post->request, 0);
    post->done(post->user, &post->posted, now);
}

static bool settled(const struct yo_post *post)
{
    return post->posted.status != 0 || post->posted.error != YOMO_OK;
}

static void settle(struct yo_post *post, int error, struct yo_span text)
{
    if (!post->busy || settled(post)) {
        return;
    }
    post->posted.error = error;
    yo_buf_clear(&post->text);
    (void)yo_buf_append_span(&post->text, text);
    if (post->stands) {
        (void)yo_timer_set(&post->timer, /* its room was reserved */
                           yo_time_after(yo_loop_now(post->loop), YO_POST_IDLE_TIME));
    } else {
        yo_timer_stop(&post->timer);
        hang_up(post);
    }
    yo_loop_defer(post->loop, &post->task);
}

static void fail(struct yo_post *post, int error, struct yo_span text)
{
    post->stands = false;
    settle(post, error, text);
}

static void on_timer(struct yo_timer *timer, yo_time now)
{
    struct yo_post *post = YO_CONTAINER(timer, struct yo_post, timer);

    (void)now;
    if (post->busy && !settled(post)) {
        fail(post, YOMO_ERR_TIMEOUT, YO_SPAN_NONE);
    } else {
        hang_up(post);
    }
}

/* --- the answer ------------------------------------------------------------------ */

static struct yo_span field(const struct yo_post *post, const char *name)
{
    return yo_http_reader_header(post->reader, name);
}

/* Will the connection be of use again? Then `left` is what is to be thrown away. */
static bool may_stand(struct yo_post *post, size_t had)
{
    struct yo_span length = field(post, "Content-Length");
    uint64_t size = 0;

    if (field(post, "Transfer-Encoding").data || yo_pipe_queued(post->pipe) > 0 ||
        yo_span_equal_nocase(field(post, "Connection"), yo_span_of("close"))) {
        return false;
    }
    if (length.data) {
        if (yo_parse_u64(length, &size) != YOMO_OK || size > YO_POST_ANSWER_MAX) {
            return false;
        }
    } else if (yo_http_reader_status(post->reader) != 204) {
        return false; /* until it closes (RFC 9112 6.3) */
    }
    post->left = (size_t)size;
    return had <= post->left;
}

static void take_head(struct yo_post *post, struct yo_span rest)
{
    struct yo_span after = field(post, "Retry-After"); /* a date is not heeded */
    uint64_t seconds;

    if (after.data && yo_parse_u64(after, &seconds) == YOMO_OK) {
        seconds = seconds < 3600 ? seconds : 3600;
        post->posted.retry_after = seconds * YO_SECOND;
    }
    post->stands = may_stand(post, rest.size);
    if (post->stands) {
        post->left -= rest.size;
    }
    post->posted.status = yo_http_reader_status(post->reader);
    post->posted.error = YOMO_OK;
    yo_http_reader_next(post->reader);
    if (!post->stands) {
        yo_timer_stop(&post->timer);
        hang_up(post);
    } else {
        (void)yo_timer_set(&post->timer,
                           yo_time_after(yo_loop_now(post->loop), YO_POST_IDLE_TIME));
    }
    yo_loop_defer(post->loop, &post->task);
}

static void take(struct yo_post *post, struct yo_span bytes)
{
    while (bytes.size > 0) {
        int status;
        switch (yo_http_reader_feed(post->reader, &bytes)) {
        case YO_HTTP_MORE:
            return;
        case YO_HTTP_BAD:
            fail(post, YOMO_ERR_PROTO,
                 yo_span_of("the answer is not HTTP, or too long"));
            return;
        case YO_HTTP_DONE:
            break;
        }
        status = yo_http_reader_status(post->reader);
        if (status >= 200) {
            take_head(post, bytes);
            return;
        }
        if (status < 100 || status == 101 || ++post->hints > HINTS_MAX) {
            fail(post, YOMO_ERR_PROTO, yo_span_of("an answer that nobody asked for"));
            return;
        }
        yo_http_reader_next(post->reader);
    }
}

static void on_bytes(void *user, struct yo_span bytes, yo_time now)
{
    struct yo_post *post = user;

    (void)now;
    if (post->busy && !settled(post)) {
        post->answered = true;
        take(post, bytes);
    } else if (bytes.size > post->left) {
        hang_up(post); /* nobody asked for that */
    } else {
        post->left -= bytes.size;
    }
}

/* --- connecting ------------------------------------------------------------------ */

static void dial(struct yo_post *post);

/* A connection that was kept may have been closed while nobody looked. */
static bool may_redial(const struct yo_post *post)
{
    return post->reused && !post->answered && !post->fresh;
}

static void redial(struct yo_post *post)
{
    post->fresh = true;
    hang_up(post);
    dial(post);
}

static void say(struct yo_post *post)
{
    int rv = yo_pipe_write(post->pipe, yo_buf_span(&post->request));

    if (rv != YOMO_OK && rv != YOMO_ERR_NOMEM && may_redial(post)) {
        redial(post);
    } else if (rv != YOMO_OK) {
        fail(post, rv, YO_SPAN_NONE);
    }
}

static void on_ready(void *user, yo_time now)
{
    (void)now;
    say(user);
}

static void on_end(void *user, int error, struct yo_span text, yo_time now)
{
    struct yo_post *post = user;

    (void)now;
    if (!post->busy || settled(post)) {
        hang_up(post);
    } else if (may_redial(post)) {
        redial(post);
    } else if (error == YOMO_ERR_CLOSED) {
        fail(post, error, yo_span_of("closed before the answer"));
    } else {
        fail(post, error, text);
    }
}

static const struct yo_pipe_events pipe_events = {on_ready, on_bytes, NULL, on_end};

static void on_connect(void *user, struct yo_tcp *tcp, int error, yo_time now)
{
    struct yo_post *post = user;
    int rv;

    for (size_t i = 0; i < YO_RACE_MAX; i++) {
        if (post->attempts[i] == tcp) {
            post->attempts[i] = NULL;
        }
    }
    if (error != YOMO_OK || !post->busy || settled(post)) {
        yo_tcp_close(tcp);
        if (post->busy && !settled(post)) {
            yo_race_failed(&post->race, error, now);
        }
        return;
    }
    drop_attempts(post);
    rv = yo_pipe_open(&post->pipe, &post->yard, tcp, &pipe_events, post);
    if (rv == YOMO_OK && post->options.tls) {
        /* Not as loopback: a certificate for development is none here. */
        struct yo_tls_peer peer = {post->host, post->options.port, false};
        rv = yo_pipe_connect_tls(post->pipe, post->options.tls, &peer);
    } else if (rv == YOMO_OK) {
        say(post);
    }
    if (rv != YOMO_OK) {
        fail(post, rv, YO_SPAN_NONE);
    }
}

static const struct yo_tcp_events tcp_events = {.on_connect = on_connect};

static int start_attempt(void *user, size_t index, const union yo_address *address,
                         yo_time now)
{
    struct yo_post *post = user;
    struct yo_ip ip = yo_ip_of(address);
    bool listed = yo_ip_listed(&ip, &post->options.listed);

    (void)now;
    if (!listed && (!post->options.tls || !yo_ip_public(&ip))) {
        if (!post->denied) {
            char text[YO_IP_TEXT_SIZE];
            yo_ip_print(&ip, text);
            yo_buf_clear(&post->text);
            (void)yo_buf_printf(&post->text, "%s is not in webhook-allow", text);
        }
        post->denied = true;
        return YOMO_ERR_DENIED;
    }
    return yo_tcp_connect(&post->attempts[index], post->loop, address, &tcp_events,
                          post);
}

static void on_lost(void *user, int error, yo_time now)
{
    struct yo_post *post = user;
    char text[YO_IP_TEXT_SIZE + 64];
    size_t size = 0;

    (void)now;
    if (error == YOMO_ERR_DENIED && post->text.size < sizeof(text)) {
        size = post->text.size;
        if (size > 0) {
            memcpy(text, post->text.data, size);
        }
    }
    fail(post, error, size > 0 ? yo_span(text, size) : YO_SPAN_NONE);
}

static void dial(struct yo_post *post)
{
    int rv;

    yo_http_reader_next(post->reader);
    post->denied = false;
    post->race = (struct yo_race){
        .loop = post->loop, .start = start_attempt, .lost = on_lost, .user = post};
    rv = yo_race_begin(&post->race, post->host, post->options.port);
    if (rv != YOMO_OK) {
        fail(post, rv, YO_SPAN_NONE);
    }
}

/* --- life ------------------------------------------------------------------------ */

int yo_post_open(struct yo_post **out, struct yo_loop *loop,
                 const struct yo_post_options *options,
                 void (*done)(void *user, const struct yo_posted *posted, yo_time now),
                 void *user)
{
    const struct yomo_mem *mem = yo_loop_mem(loop);
    struct yo_post *post = yo_calloc(mem, 1, sizeof(*post));
    int rv;

    if (!post || yo_loop_reserve_timer(loop) != YOMO_OK) {
        yo_free(mem, post);
        return YOMO_ERR_NOMEM;
    }
    post->loop = loop;
    post->options = *options;
    post->options.tls = options->tls ? yo_tls_client_ref(options->tls) : NULL;
    post->done = done;
    post->user = user;
    yo_buf_init(&post->request, mem);
    yo_buf_init(&post->text, mem);
    yo_pipe_yard_init(&post->yard, loop, 0);
    yo_timer_init(&post->timer, loop, on_timer);
    yo_task_init(&post->task, on_done);
    post->host = yo_strndup(mem, options->host, strlen(options->host));
    post->target = yo_strndup(mem, options->target, strlen(options->target));
    rv = post->host && post->target ? yo_http_reader_create(&post->reader, mem, true)
                                    : YOMO_ERR_NOMEM;
    if (rv != YOMO_OK) {
        yo_post_close(post);
        return rv;
    }
    *out = post;
    return YOMO_OK;
}

void yo_post_aim(struct yo_post *post, const struct yo_post_options *options,
                 char *host, char *target)
{
    const struct yomo_mem *mem = yo_loop_mem(post->loop);

    assert(!post->busy);
    hang_up(post);
    yo_timer_stop(&post->timer);
    yo_tls_client_unref(post->options.tls);
    yo_free(mem, post->host);
    yo_free(mem, post->target);
    post->options = *options;
    post->options.tls = options->tls ? yo_tls_client_ref(options->tls) : NULL;
    post->host = host;
    post->target = target;
}

void yo_post_close(struct yo_post *post)
{
    const struct yomo_mem *mem;

    if (!post) {
        return;
    }
    mem = yo_loop_mem(post->loop);
    hang_up(post);
    yo_timer_stop(&post->timer);
    yo_task_cancel(&post->task);
    yo_loop_release_timer(post->loop);
    yo_pipe_yard_finish(&post->yard);
    yo_http_reader_destroy(post->reader);
    yo_tls_client_unref(post->options.tls);
    yo_buf_finish(&post->request);
    yo_buf_finish(&post->text);
    yo_free(mem, post->host);
    yo_free(mem, post->target);
    yo_free(mem, post);
}

static int write_request(struct yo_post *post, struct yo_span fields,
                         struct yo_span body)
{
    struct yo_buf *out = &post->request;
    bool literal = strchr(post->host, ':') != NULL;
    bool usual = post->options.port == (post->options.tls ? 443 : 80);

    yo_buf_clear(out);
    (void)yo_buf_reserve(out, fields.size + body.size + 512);
    (void)yo_buf_printf(out, "POST %s HTTP/1.1\r\nHost: %s%s%s", post->target,
                        literal ? "[" : "", post->host, literal ? "]" : "");
    if (!usual) {
        (void)yo_buf_printf(out, ":%u", post->options.port);
    }
    (void)yo_buf_printf(out,
                        "\r\nUser-Agent: yomo/%s\r\nContent-Type: application/json\r\n"
                        "Content-Length: %zu\r\n",
                        YOMO_VERSION_STRING, body.size);
    (void)yo_buf_append_span(out, fields);
    (void)yo_buf_append_text(out, "\r\n");
    (void)yo_buf_append_span(out, body);
    return out->failed ? YOMO_ERR_NOMEM : YOMO_OK;
}

int yo_post_send(struct yo_post *post, struct yo_span fields, struct yo_span body,
                 yo_time now)
{
    assert(!post->busy);
    if (write_request(post, fields, body) != YOMO_OK) {
        yo_buf_clear(&post->request);
        yo_buf_shrink(&post->request, 0);
        return YOMO_ERR_NOMEM;
    }
    post->busy = true;
    post->fresh = post->answered = false;
    post->hints = 0;
    post->posted = (struct yo_posted){.error = YOMO_OK};
    yo_buf_clear(&post->text);
    (void)yo_timer_set(&post->timer, yo_time_after(now, post->options.timeout));
    post->reused = post->stands && post->left == 0;
    if (post->reused) {
        post->stands = false;
        yo_http_reader_next(post->reader);
        say(post);
    } else {
        hang_up(post);
        dial(post);
    }
    return YOMO_OK;
}
