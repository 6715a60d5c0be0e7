/* SPDX-License-Identifier: MIT */
/* shell.c - the three ways to run a client, and its loop.
 *
 * The happy path: a start makes the loop and the mailbox, and posts what was called
 * before it; at the end of each turn in which something happened the engine does what
 * is due. When the engine is over the loop is closed, and when nothing of it is left
 * on_closed is told: after yo_loop_run on a thread of our own, after the last turn when
 * polled, from the loop's last callback in a host's loop. A client that never ran is
 * told by yomo_client_free.
 *
 * Invariants:
 *  1. the runner holds a reference from the start until on_closed has returned;
 *  2. `mode` is set once, `box` from the start until the engine is over. */
#include <poll.h>
#include <signal.h>

#include "base/check.h"
#include "client/inside.h"

void yo_client_wake(struct yomo_client *client)
{
    client->woken = true;
    if (client->loop && !client->loop_closing) {
        yo_loop_defer(client->loop, &client->task);
    }
}

/* The last thing that happens to a client. */
static void end(struct yomo_client *client)
{
    client->loop = NULL;
    yo_client_lock(client);
    client->gone = true;
    yo_client_unlock(client);
    if (client->on.on_closed) {
        client->on.on_closed(client->user, client);
    }
    yo_client_unref(client);
}

static void on_loop_closed(void *user)
{
    struct yomo_client *client = user;
    client->loop_gone = true;
    if (client->mode == YO_MODE_HOST) {
        end(client);
    }
}

static void close_loop(struct yomo_client *client)
{
    yo_client_lock(client);
    struct yo_mailbox *box = client->box;
    client->box = NULL;
    yo_client_unlock(client);
    yo_mailbox_close(box);
    yo_mailbox_unref(box);
    yo_task_cancel(&client->task);
    yo_timer_stop(&client->timer);
    yo_loop_release_timer(client->loop);
    client->loop_closing = true;
    yo_loop_close(client->loop, on_loop_closed, client);
}

static void run_task(struct yo_task *task, yo_time now)
{
    struct yomo_client *client = YO_CONTAINER(task, struct yomo_client, task);
    yo_engine_turn(client, now);
    if (client->phase == YO_PHASE_OVER) {
        close_loop(client);
        return;
    }
    int rv = yo_timer_set(&client->timer, yo_engine_deadline(client));
    assert(rv == YOMO_OK); /* its place was reserved */
    (void)rv;
}

static void fire(struct yo_timer *timer, yo_time now)
{
    (void)now;
    yo_client_wake(YO_CONTAINER(timer, struct yomo_client, timer));
}

/* Undo open_loop, before anything ran. */
static void discard_loop(struct yo_loop *loop, bool owned)
{
    yo_loop_close(loop, NULL, NULL);
    if (owned) {
        yo_loop_run(loop);
    }
}

/* Make the loop and its mailbox, which calls do not use yet. */
static int open_loop(struct yomo_client *client, struct uv_loop_s *host,
                     struct yo_mailbox **box)
{
    struct yo_loop *loop;
    int rv = yo_loop_create(&loop, &client->mem, host, &client->log);
    if (rv != YOMO_OK) {
        return rv;
    }
    rv = yo_loop_reserve_timer(loop);
    if (rv == YOMO_OK) {
        rv = yo_mailbox_open(box, loop, client);
    }
    if (rv != YOMO_OK) {
        discard_loop(loop, host == NULL);
        return rv;
    }
    client->loop = loop;
    yo_task_init(&client->task, run_task);
    yo_timer_init(&client->timer, loop, fire);
    return YOMO_OK;
}

/* Nobody else may choose a way to run from here on. */
static int choose(struct yomo_client *client, enum yo_client_mode mode)
{
    yo_client_lock(client);
    int rv = client->mode == YO_MODE_NONE ? YOMO_OK : YOMO_ERR_STATE;
    if (rv == YOMO_OK) {
        client->mode = mode;
    }
    yo_client_unlock(client);
    return rv;
}

static void unchoose(struct yomo_client *client)
{
    yo_client_lock(client);
    client->mode = YO_MODE_NONE;
    yo_client_unlock(client);
}

static void *run_thread(void *user)
{
    struct yomo_client *client = user;
#ifdef __linux__
    pthread_setname_np(pthread_self(), "yomo-client");
#endif
    yo_loop_run(client->loop);
    end(client);
    return NULL;
}

/* Detached: on_closed tells when it is over, and nobody has to wait for it. All signals
 * are blocked in it, so that the host's handlers run on the host's threads. */
static int spawn(struct yomo_client *client)
{
    sigset_t all, before;
    pthread_attr_t attributes;
    pthread_t thread;
    if (pthread_attr_init(&attributes) != 0) {
        return YOMO_ERR_NOMEM;
    }
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&thread, &attributes, run_thread, client);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return failed ? YOMO_ERR_SYSTEM : YOMO_OK;
}

/* From here on calls go to the loop, and those from before it too. */
static void publish(struct yomo_client *client, struct yo_mailbox *box)
{
    yo_client_lock(client);
    client->box = box;
    yo_mailbox_post_list(box, &client->early);
    yo_client_unlock(client);
}

static int begin(struct yomo_client *client, enum yo_client_mode mode,
                 struct uv_loop_s *host)
{
    struct yo_mailbox *box;
    int rv = choose(client, mode);
    if (rv != YOMO_OK) {
        return rv;
    }
    rv = open_loop(client, host, &box);
    if (rv != YOMO_OK) {
        unchoose(client);
        return rv;
    }
    yo_client_ref(client); /* the runner's */
    if (mode == YO_MODE_THREAD && spawn(client) != YOMO_OK) {
        yo_client_unref(client);
        yo_mailbox_close(box);
        yo_mailbox_unref(box);
        yo_loop_release_timer(client->loop);
        discard_loop(client->loop, true);
        client->loop = NULL;
        unchoose(client);
        return YOMO_ERR_SYSTEM;
    }
    publish(client, box);
    return YOMO_OK;
}

int32_t yomo_client_start(yomo_client *client)
{
    YO_REQUIRE(client);
    return begin(client, YO_MODE_THREAD, NULL);
}

int32_t yomo_client_start_on(yomo_client *client, struct uv_loop_s *loop)
{
    YO_REQUIRE(client && loop);
    return begin(client, YO_MODE_HOST, loop);
}

/* Choose this way if none was chosen yet. YOMO_ERR_STATE, YOMO_ERR_CLOSED, ... */
static int poll_mode(struct yomo_client *client)
{
    yo_client_lock(client);
    enum yo_client_mode mode = client->mode;
    bool gone = client->gone;
    yo_client_unlock(client);
    if (mode == YO_MODE_NONE) {
        return begin(client, YO_MODE_POLL, NULL);
    }
    if (mode != YO_MODE_POLL) {
        return YOMO_ERR_STATE;
    }
    return gone ? YOMO_ERR_CLOSED : YOMO_OK;
}

/* Run what is due. False when the client is over, and `client` with it if it was given
 * back. */
static bool turn(struct yomo_client *client)
{
    if (yo_loop_turn(client->loop)) {
        return true;
    }
    end(client);
    return false;
}

/* Given back while polled: nobody polls it again, so all that is left is done now. */
static void run_out(struct yomo_client *client)
{
    bool more = true;
    yo_engine_hurry(client);
    while (more) {
        struct pollfd fd = {.fd = yo_loop_fd(client->loop), .events = POLLIN};
        int timeout = yo_loop_timeout_ms(client->loop);
        if (timeout != 0) {
            (void)poll(&fd, 1, timeout);
        }
        more = turn(client);
    }
}

int32_t yomo_client_poll(yomo_client *client)
{
    YO_REQUIRE(client);
    int rv = poll_mode(client);
    if (rv != YOMO_OK) {
        return rv;
    }
    yo_client_lock(client);
    bool entered = client->polling;
    client->polling = true;
    yo_client_unlock(client);
    if (entered) {
        return YOMO_ERR_STATE;
    }
    yo_client_ref(client);
    bool more = turn(client);
    yo_client_lock(client);
    bool freed = client->freed;
    client->polling = freed;
    yo_client_unlock(client);
    if (more && freed) {
        run_out(client);
        more = false;
    }
    yo_client_unref(client);
    return more ? YOMO_OK : YOMO_ERR_CLOSED;
}

int32_t yomo_client_fd(yomo_client *client)
{
    YO_REQUIRE(client);
    int rv = poll_mode(client);
    return rv == YOMO_OK ? yo_loop_fd(client->loop) : rv;
}

int32_t yomo_client_timeout_ms(yomo_client *client)
{
    YO_REQUIRE(client);
    int rv = poll_mode(client);
    return rv == YOMO_OK ? yo_loop_timeout_ms(client->loop) : rv;
}

/* It never ran: there is no loop from which to tell. */
static void end_unstarted(struct yomo_client *client)
{
    yo_client_ref(client); /* the runner's */
    yo_engine_end_now(client);
    end(client);
}

void yomo_client_free(yomo_client *client)
{
    if (!client) {
        return;
    }
    yo_client_lock(client);
    bool first = !client->freed;
    client->freed = true;
    bool gone = client->gone;
    bool inside = client->polling;
    enum yo_client_mode mode = client->mode;
    if (mode == YO_MODE_NONE) {
        client->mode = YO_MODE_POLL; /* nobody may start it now */
    }
    yo_client_unlock(client);
    assert(first);
    (void)first;
    yomo_client_close(client);
    if (mode == YO_MODE_NONE) {
        end_unstarted(client);
    } else if (mode == YO_MODE_POLL && !gone && !inside) {
        run_out(client);
    }
    yo_client_unref(client);
}
