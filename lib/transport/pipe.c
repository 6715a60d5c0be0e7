/* SPDX-License-Identifier: MIT */
/* pipe.c
 *
 * The happy path: bytes from TCP go through TLS into the yard's `plain` and up; bytes
 * from above go through TLS into `sealed` and to TCP in one write. Failure modes: TLS
 * fails, and its alert is sent before on_end comes; the peer ends or resets, and on_end
 * comes. A pipe may be ended inside each of its callbacks: it is then marked and freed
 * when the callback has returned.
 *
 * Invariant: `depth` is above 0 only inside a callback from TCP; memory goes at 0. */
#include "transport/pipe.h"

#include <assert.h>
#include <yomo/error.h>

#include "transport/tls/stream.h"

struct yo_pipe {
    struct yo_pipe_yard *yard;
    struct yo_link link; /* in yard->lingering */
    struct yo_tcp *tcp;
    struct yo_tls_stream *tls;
    const struct yo_pipe_events *events; /* NULL: nobody listens */
    void *user;
    struct yo_timer timer; /* for the linger */
    yo_time linger, linger_end;
    size_t behind; /* not taken by the kernel when the timer last looked */
    unsigned depth;
    bool ready; /* on_ready has come */
    bool ended; /* on_end has come */
    bool gone;
};

/* --- The yard --------------------------------------------------------------------- */

void yo_pipe_yard_init(struct yo_pipe_yard *yard, struct yo_loop *loop, size_t keep)
{
    memset(yard, 0, sizeof(*yard));
    yard->loop = loop;
    yard->keep = keep;
    yo_buf_init(&yard->plain, yo_loop_mem(loop));
    yo_buf_init(&yard->sealed, yo_loop_mem(loop));
    yo_list_init(&yard->lingering);
}

void yo_pipe_yard_finish(struct yo_pipe_yard *yard)
{
    yard->on_gone = NULL;
    YO_LIST_EACH(link, next, &yard->lingering)
    {
        yo_pipe_close(YO_CONTAINER(link, struct yo_pipe, link));
    }
    yo_buf_finish(&yard->plain);
    yo_buf_finish(&yard->sealed);
}

static void tidy(struct yo_buf *buf, size_t keep)
{
    yo_buf_clear(buf);
    yo_buf_shrink(buf, keep);
}

/* --- Life ------------------------------------------------------------------------- */

static void destroy(struct yo_pipe *pipe)
{
    struct yo_pipe_yard *yard = pipe->yard;
    bool lingered = !yo_list_empty(&pipe->link);
    yo_list_remove(&pipe->link);
    yo_loop_release_timer(yard->loop);
    yo_tls_stream_destroy(pipe->tls);
    yo_free(yo_loop_mem(yard->loop), pipe);
    if (lingered && yard->on_gone) {
        yard->on_gone(yard->user);
    }
}

static void enter(struct yo_pipe *pipe)
{
    pipe->depth++;
}

/* Returns false when the pipe is no more. */
static bool leave(struct yo_pipe *pipe)
{
    assert(pipe->depth > 0);
    if (--pipe->depth == 0 && pipe->gone) {
        destroy(pipe);
        return false;
    }
    return true;
}

static void go(struct yo_pipe *pipe)
{
    assert(!pipe->gone);
    pipe->gone = true;
    pipe->events = NULL;
    pipe->tcp = NULL;
    yo_timer_stop(&pipe->timer);
    if (pipe->depth == 0) {
        destroy(pipe);
    }
}

void yo_pipe_close(struct yo_pipe *pipe)
{
    if (pipe && !pipe->gone) {
        yo_tcp_close(pipe->tcp);
        go(pipe);
    }
}

void yo_pipe_reset(struct yo_pipe *pipe)
{
    if (pipe && !pipe->gone) {
        yo_tcp_reset(pipe->tcp);
        go(pipe);
    }
}

static void on_linger_timer(struct yo_timer *timer, yo_time now)
{
    struct yo_pipe *pipe = YO_CONTAINER(timer, struct yo_pipe, timer);
    size_t behind = yo_tcp_queued(pipe->tcp);
    bool takes = behind > 0 && behind + YO_PIPE_PROGRESS <= pipe->behind;
    if (takes && now < pipe->linger_end) {
        pipe->behind = behind;
        (void)yo_timer_set(timer, yo_time_after(now, pipe->linger));
    } else {
        yo_pipe_close(pipe);
    }
}

static int push(struct yo_pipe *pipe, struct yo_span bytes)
{
    int rv = yo_tcp_write(pipe->tcp, bytes);
    pipe->yard->bytes_out += rv == YOMO_OK ? bytes.size : 0;
    return rv;
}

void yo_pipe_linger(struct yo_pipe *pipe, yo_time time)
{
    struct yo_pipe_yard *yard = pipe->yard;
    if (pipe->gone) {
        return;
    }
    pipe->events = NULL;
    if (pipe->tls) {
        tidy(&yard->sealed, yard->keep);
        yo_tls_stream_end(pipe->tls, &yard->sealed);
        (void)push(pipe, yo_buf_span(&yard->sealed));
        tidy(&yard->sealed, yard->keep);
    }
    yo_tcp_end(pipe->tcp);
    if (pipe->ended && yo_tcp_queued(pipe->tcp) == 0) {
        yo_pipe_close(pipe); /* both directions have ended */
        return;
    }
    yo_list_push_back(&yard->lingering, &pipe->link);
    yo_tcp_pause(pipe->tcp, false);
    yo_time now = yo_loop_now(yard->loop);
    pipe->behind = yo_tcp_queued(pipe->tcp);
    pipe->linger = time;
    pipe->linger_end = yo_time_after(now, YO_PIPE_LINGER_MAX);
    /* The timer's place was reserved. */
    (void)yo_timer_set(&pipe->timer, yo_time_after(now, time));
}

/* --- From below ------------------------------------------------------------------- */

static void end(struct yo_pipe *pipe, int error, struct yo_span text, yo_time now)
{
    if (pipe->ended) {
        return;
    }
    pipe->ended = true;
    if (pipe->events && pipe->events->on_end) {
        pipe->events->on_end(pipe->user, error, text, now);
    } else if (!pipe->events && !pipe->gone && yo_tcp_queued(pipe->tcp) == 0) {
        yo_pipe_close(pipe); /* lingering, and that was what it waited for */
    }
}

static void tls_failed(struct yo_pipe *pipe, yo_time now)
{
    struct yo_buf why;
    yo_buf_init(&why, yo_loop_mem(pipe->yard->loop));
    int error = yo_tls_stream_failure(pipe->tls, &why);
    end(pipe, error, yo_buf_span(&why), now);
    yo_buf_finish(&why);
}

static void hand_up(struct yo_pipe *pipe, struct yo_span bytes, yo_time now)
{
    if (bytes.size > 0 && pipe->events && pipe->events->on_bytes) {
        pipe->events->on_bytes(pipe->user, bytes, now);
    }
}

static void read_tls(struct yo_pipe *pipe, struct yo_span bytes, yo_time now)
{
    struct yo_pipe_yard *yard = pipe->yard;
    yo_buf_clear(&yard->plain);
    yo_buf_clear(&yard->sealed);
    int rv = yo_tls_stream_feed(pipe->tls, bytes, &yard->plain, &yard->sealed);
    if (yard->sealed.size > 0) { /* the handshake, or an alert */
        (void)push(pipe, yo_buf_span(&yard->sealed));
    }
    tidy(&yard->sealed, yard->keep);
    if (rv == YOMO_OK && !pipe->ready && yo_tls_stream_open(pipe->tls)) {
        pipe->ready = true;
        yard->handshakes++;
        yard->resumed += yo_tls_stream_resumed(pipe->tls);
        if (pipe->events && pipe->events->on_ready) {
            pipe->events->on_ready(pipe->user, now);
        }
    }
    hand_up(pipe, yo_buf_span(&yard->plain), now);
    if (!pipe->gone) {
        if (rv != YOMO_OK) {
            tls_failed(pipe, now);
        } else if (yo_tls_stream_ended(pipe->tls)) {
            end(pipe, YOMO_ERR_CLOSED, YO_SPAN_NONE, now);
        }
    }
    tidy(&yard->plain, yard->keep);
}

static void on_read(void *user, struct yo_tcp *tcp, struct yo_span bytes, yo_time now)
{
    struct yo_pipe *pipe = user;
    (void)tcp;
    pipe->yard->bytes_in += bytes.size;
    if (!pipe->events) {
        return; /* lingering */
    }
    enter(pipe);
    if (pipe->tls) {
        read_tls(pipe, bytes, now);
    } else {
        hand_up(pipe, bytes, now);
    }
    (void)leave(pipe);
}

static void on_end(void *user, struct yo_tcp *tcp, yo_time now)
{
    struct yo_pipe *pipe = user;
    (void)tcp;
    enter(pipe);
    end(pipe, YOMO_ERR_CLOSED, YO_SPAN_NONE, now);
    (void)leave(pipe);
}

static void on_drain(void *user, struct yo_tcp *tcp, yo_time now)
{
    struct yo_pipe *pipe = user;
    (void)tcp;
    enter(pipe);
    if (!pipe->events) {
        if (pipe->ended) {
            yo_pipe_close(pipe); /* lingering, and now both directions have ended */
        }
    } else if (pipe->events->on_drain) {
        pipe->events->on_drain(pipe->user, now);
    }
    (void)leave(pipe);
}

static void on_error(void *user, struct yo_tcp *tcp, int error, yo_time now)
{
    struct yo_pipe *pipe = user;
    (void)tcp;
    enter(pipe);
    if (!pipe->events) {
        yo_pipe_close(pipe);
    } else {
        end(pipe, error == YOMO_ERR_NOMEM ? error : YOMO_ERR_CLOSED, YO_SPAN_NONE, now);
    }
    (void)leave(pipe);
}

static const struct yo_tcp_events tcp_events = {NULL, on_read, on_end, on_drain,
                                                on_error};

int yo_pipe_open(struct yo_pipe **out, struct yo_pipe_yard *yard, struct yo_tcp *tcp,
                 const struct yo_pipe_events *events, void *user)
{
    struct yo_pipe *pipe = yo_calloc(yo_loop_mem(yard->loop), 1, sizeof(*pipe));
    if (!pipe || yo_loop_reserve_timer(yard->loop) != YOMO_OK) {
        yo_free(yo_loop_mem(yard->loop), pipe);
        yo_tcp_close(tcp);
        return YOMO_ERR_NOMEM;
    }
    pipe->yard = yard;
    pipe->tcp = tcp;
    pipe->events = events;
    pipe->user = user;
    yo_list_init(&pipe->link);
    yo_timer_init(&pipe->timer, yard->loop, on_linger_timer);
    yo_tcp_start(tcp, &tcp_events, pipe);
    *out = pipe;
    return YOMO_OK;
}

int yo_pipe_accept_tls(struct yo_pipe *pipe, struct yo_tls_server *tls)
{
    return yo_tls_stream_accept(&pipe->tls, yo_loop_mem(pipe->yard->loop), tls);
}

int yo_pipe_connect_tls(struct yo_pipe *pipe, struct yo_tls_client *tls,
                        const struct yo_tls_peer *peer)
{
    struct yo_pipe_yard *yard = pipe->yard;
    int rv = yo_tls_stream_connect(&pipe->tls, yo_loop_mem(yard->loop), tls, peer);
    if (rv != YOMO_OK) {
        return rv;
    }
    yo_buf_clear(&yard->sealed);
    rv = yo_tls_stream_feed(pipe->tls, YO_SPAN_NONE, &yard->sealed, &yard->sealed);
    if (rv == YOMO_OK) {
        rv = push(pipe, yo_buf_span(&yard->sealed));
    }
    tidy(&yard->sealed, yard->keep);
    return rv;
}

void yo_pipe_listen(struct yo_pipe *pipe, const struct yo_pipe_events *events,
                    void *user)
{
    pipe->events = events;
    pipe->user = user;
}

int yo_pipe_write(struct yo_pipe *pipe, struct yo_span bytes)
{
    struct yo_pipe_yard *yard = pipe->yard;
    if (pipe->gone) {
        return YOMO_ERR_CLOSED;
    }
    if (!pipe->tls) {
        return push(pipe, bytes);
    }
    yo_buf_clear(&yard->sealed);
    int rv = yo_tls_stream_write(pipe->tls, bytes, &yard->sealed);
    if (rv == YOMO_OK) {
        rv = push(pipe, yo_buf_span(&yard->sealed));
    }
    tidy(&yard->sealed, yard->keep);
    return rv;
}

size_t yo_pipe_queued(const struct yo_pipe *pipe)
{
    return pipe->tcp ? yo_tcp_queued(pipe->tcp) : 0;
}

void yo_pipe_pause(struct yo_pipe *pipe, bool paused)
{
    if (!pipe->gone) {
        yo_tcp_pause(pipe->tcp, paused);
    }
}

const union yo_address *yo_pipe_remote(const struct yo_pipe *pipe)
{
    return yo_tcp_remote(pipe->tcp);
}
