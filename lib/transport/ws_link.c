/* SPDX-License-Identifier: MIT */
/* ws_link.c
 *
 * The happy path: bytes from the pipe are fed to the engine; whatever it wants to say
 * is said in one turn at the end of the loop's, in pieces of up to PIECE bytes, so that
 * many messages share a TLS record and a system call. While the kernel does not take
 * more, the messages wait in the engine, where they are counted. Failure modes: the
 * pipe ends or memory is short; the engine then says that it is over, and the turn ends
 * the link.
 *
 * Invariant: on_closed and the end of the link come from turn() only. */
#include "transport/ws_link.h"

#include <assert.h>
#include <yomo/error.h>

#define PIECE 65536 /* handed to the pipe at once */
#define TURN_MAX                                                                       \
    1048576               /* bytes for one connection, then the others have their turn \
                           */
#define FRAMES_KEEP 65536 /* capacity of the scratch buffer that a server keeps */

struct yo_ws_link {
    struct yo_ws_shared *shared;
    yo_time linger; /* these as in yo_ws_link_options */
    void (*on_gone)(void *user);
    void (*on_given_up)(void *user);
    void *user;
    struct yo_websocket *ws;
    struct yo_pipe *pipe; /* NULL before the handshake is over */
    struct yo_task task;
    struct yo_timer timer;
    struct yo_buf early;
    bool client, in_turn;
};

int yo_ws_shared_init(struct yo_ws_shared *shared, struct yo_loop *loop, size_t keep)
{
    memset(shared, 0, sizeof(*shared));
    yo_pipe_yard_init(&shared->yard, loop, keep);
    yo_buf_init(&shared->frames, yo_loop_mem(loop));
    return yo_websocket_kit_create(&shared->kit, yo_loop_mem(loop));
}

void yo_ws_shared_finish(struct yo_ws_shared *shared)
{
    yo_websocket_kit_destroy(shared->kit);
    yo_buf_finish(&shared->frames);
    yo_pipe_yard_finish(&shared->yard);
}

/* --- Turns ------------------------------------------------------------------------ */

static void send_due(struct yo_ws_link *link)
{
    struct yo_buf *frames = &link->shared->frames;
    size_t sent = 0;
    while (link->pipe && yo_websocket_due(link->ws) &&
           yo_pipe_queued(link->pipe) == 0 && sent < TURN_MAX) {
        yo_buf_clear(frames);
        if (!yo_websocket_output(link->ws, frames, PIECE)) {
            break;
        }
        sent += frames->size;
        int rv = yo_pipe_write(link->pipe, yo_buf_span(frames));
        if (rv != YOMO_OK) {
            yo_websocket_lost(link->ws, rv, YO_SPAN_NONE);
            break;
        }
    }
    yo_buf_clear(frames);
    yo_buf_shrink(frames, link->shared->yard.keep ? FRAMES_KEEP : 0);
    if (link->pipe && yo_websocket_due(link->ws) && yo_pipe_queued(link->pipe) == 0) {
        yo_loop_defer(link->shared->yard.loop, &link->task);
    }
}

static void set_timer(struct yo_ws_link *link)
{
    yo_time due = yo_websocket_deadline(link->ws);
    /* One that comes too early looks again; moving it with each message would cost. */
    if (due != YO_NEVER && (!link->timer.node.place || due < link->timer.node.when)) {
        (void)yo_timer_set(&link->timer, due); /* its place was reserved */
    }
}

static void free_link(struct yo_ws_link *link)
{
    struct yo_loop *loop = link->shared->yard.loop;
    yo_task_cancel(&link->task);
    yo_timer_stop(&link->timer);
    yo_loop_release_timer(loop);
    yo_websocket_destroy(link->ws);
    yo_buf_finish(&link->early);
    yo_free(yo_loop_mem(loop), link);
}

static void end(struct yo_ws_link *link, enum yo_websocket_end how, yo_time now)
{
    void (*on_gone)(void *) = link->on_gone;
    void *user = link->user;
    if (!link->pipe) {
        if (link->on_given_up) {
            link->on_given_up(user);
        }
    } else if (how == YO_WEBSOCKET_BREAKS) {
        yo_pipe_reset(link->pipe);
    } else if (link->linger > 0) {
        yo_pipe_linger(link->pipe, link->linger);
    } else {
        yo_pipe_close(link->pipe);
    }
    link->pipe = NULL;
    yo_websocket_report(link->ws, now);
    free_link(link);
    if (on_gone) {
        on_gone(user);
    }
}

static void turn(struct yo_ws_link *link, yo_time now)
{
    link->in_turn = true;
    if (link->early.size > 0 && link->pipe) {
        struct yo_buf early = link->early;
        yo_buf_init(&link->early, early.mem);
        yo_websocket_feed(link->ws, yo_buf_span(&early), now);
        yo_buf_finish(&early);
    }
    send_due(link);
    yo_websocket_turn(link->ws, now);
    send_due(link);
    link->in_turn = false;
    enum yo_websocket_end over = yo_websocket_over(link->ws);
    if (over != YO_WEBSOCKET_GOES_ON) {
        end(link, over, now);
    } else {
        set_timer(link);
    }
}

static void on_task(struct yo_task *task, yo_time now)
{
    turn(YO_CONTAINER(task, struct yo_ws_link, task), now);
}

static void on_timer(struct yo_timer *timer, yo_time now)
{
    struct yo_ws_link *link = YO_CONTAINER(timer, struct yo_ws_link, timer);
    if (now >= yo_websocket_deadline(link->ws)) {
        yo_websocket_tick(link->ws, now);
    }
    set_timer(link);
}

/* --- The engine's hooks ----------------------------------------------------------- */

static void on_wake(void *user)
{
    struct yo_ws_link *link = user;
    yo_loop_defer(link->shared->yard.loop, &link->task);
}

static void on_flush(void *user, yo_time now)
{
    struct yo_ws_link *link = user;
    (void)now;
    if (!link->in_turn) {
        send_due(link);
    }
}

static size_t below(const void *user)
{
    const struct yo_ws_link *link = user;
    return link->pipe ? yo_pipe_queued(link->pipe) : 0;
}

static const struct yo_websocket_hooks hooks = {on_wake, on_flush, below};

/* --- The pipe's events ------------------------------------------------------------ */

static void on_bytes(void *user, struct yo_span bytes, yo_time now)
{
    struct yo_ws_link *link = user;
    if (link->early.size > 0) { /* these come first, at the end of the turn */
        if (yo_buf_append_span(&link->early, bytes) != YOMO_OK) {
            yo_websocket_lost(link->ws, YOMO_ERR_NOMEM, YO_SPAN_NONE);
        }
        return;
    }
    yo_websocket_feed(link->ws, bytes, now);
}

static void on_drain(void *user, yo_time now)
{
    (void)now;
    on_wake(user);
}

static void on_end(void *user, int error, struct yo_span text, yo_time now)
{
    struct yo_ws_link *link = user;
    (void)now;
    yo_websocket_lost(link->ws, error, text);
    on_wake(link);
}

static const struct yo_pipe_events pipe_events = {NULL, on_bytes, on_drain, on_end};

/* --- Life ------------------------------------------------------------------------- */

int yo_ws_link_create(struct yo_ws_link **out, struct yo_ws_shared *shared,
                      const struct yo_ws_link_options *options,
                      const struct yo_conn_events *events, void *user)
{
    struct yo_loop *loop = shared->yard.loop;
    struct yo_ws_link *link = yo_calloc(yo_loop_mem(loop), 1, sizeof(*link));
    if (!link || yo_loop_reserve_timer(loop) != YOMO_OK) {
        yo_free(yo_loop_mem(loop), link);
        return YOMO_ERR_NOMEM;
    }
    link->shared = shared;
    link->linger = options->linger;
    link->on_gone = options->on_gone;
    link->on_given_up = options->on_given_up;
    link->user = options->user;
    link->client = options->websocket.client;
    yo_task_init(&link->task, on_task);
    yo_timer_init(&link->timer, loop, on_timer);
    yo_buf_init(&link->early, yo_loop_mem(loop));
    int rv = yo_websocket_create(&link->ws, yo_loop_mem(loop), shared->kit,
                                 &options->websocket, &hooks, link, events, user,
                                 yo_loop_now(loop));
    if (rv != YOMO_OK) {
        free_link(link);
        return rv;
    }
    *out = link;
    return YOMO_OK;
}

struct yo_conn *yo_ws_link_conn(struct yo_ws_link *link)
{
    return yo_websocket_conn(link->ws);
}

void yo_ws_link_discard(struct yo_ws_link *link)
{
    if (link) {
        assert(!link->pipe);
        free_link(link);
    }
}

int yo_ws_link_open(struct yo_ws_link *link, struct yo_pipe *pipe, struct yo_span early,
                    yo_time now)
{
    char address[64];
    yo_address_print(yo_pipe_remote(pipe), address);
    yo_websocket_set_address(link->ws, address);
    link->pipe = pipe;
    yo_pipe_listen(pipe, &pipe_events, link);
    yo_pipe_pause(pipe, false);
    if (yo_buf_append_span(&link->early, early) != YOMO_OK) {
        yo_websocket_lost(link->ws, YOMO_ERR_NOMEM, YO_SPAN_NONE);
        return YOMO_ERR_NOMEM;
    }
    on_wake(link);
    if (link->client) {
        yo_websocket_opened(link->ws, now);
    }
    return YOMO_OK;
}

void yo_ws_link_set_address(struct yo_ws_link *link, const char *address)
{
    yo_websocket_set_address(link->ws, address);
}

void yo_ws_link_failed(struct yo_ws_link *link, int error, struct yo_span text)
{
    yo_websocket_lost(link->ws, error, text);
}
