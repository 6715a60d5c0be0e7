/* SPDX-License-Identifier: MIT */
/* runner.c
 *
 * The happy path: a start makes the loop and the mailbox, and posts what was called
 * before it; at the end of each turn in which something happened the owner does what
 * is due. When the owner is over the loop is closed, and when nothing of it is left
 * on_closed is told: after yo_loop_run on a thread of our own, after the last turn when
 * polled, from the loop's last callback in a host's loop.
 *
 * Invariants:
 *  1. the runner holds a reference from the start until on_closed has returned;
 *  2. `mode` is set once, `box` from the start until the owner is over. */
#include "loop/runner.h"

#include <assert.h>
#include <poll.h>
#include <signal.h>
#include <yomo/error.h>

static void lock(struct yo_runner *runner)
{
    pthread_mutex_lock(runner->lock);
}

static void unlock(struct yo_runner *runner)
{
    pthread_mutex_unlock(runner->lock);
}

void yo_runner_init(struct yo_runner *runner, const struct yo_runner_ops *ops,
                    void *user, const struct yomo_mem *mem, const struct yo_log *log,
                    pthread_mutex_t *owners_lock)
{
    *runner = (struct yo_runner){
        .ops = ops, .user = user, .mem = mem, .log = log, .lock = owners_lock};
    yo_list_init(&runner->early);
}

void yo_runner_post(struct yo_runner *runner, struct yo_letter *letter)
{
    if (runner->box) {
        yo_mailbox_post(runner->box, letter);
    } else {
        yo_list_push_back(&runner->early, &letter->link);
    }
}

void yo_runner_wake(struct yo_runner *runner)
{
    if (runner->loop && !runner->closing) {
        yo_loop_defer(runner->loop, &runner->task);
    }
}

/* The last thing that happens. */
static void end(struct yo_runner *runner)
{
    runner->loop = NULL;
    lock(runner);
    runner->gone = true;
    unlock(runner);
    runner->ops->on_closed(runner->user);
    runner->ops->unref(runner->user);
}

static void on_loop_closed(void *user)
{
    struct yo_runner *runner = user;
    if (runner->mode == YO_RUN_HOST) {
        end(runner);
    }
}

static void close_loop(struct yo_runner *runner)
{
    lock(runner);
    struct yo_mailbox *box = runner->box;
    runner->box = NULL;
    unlock(runner);
    yo_mailbox_close(box);
    yo_mailbox_unref(box);
    yo_task_cancel(&runner->task);
    yo_timer_stop(&runner->timer);
    yo_loop_release_timer(runner->loop);
    runner->closing = true;
    yo_loop_close(runner->loop, on_loop_closed, runner);
}

static void run_task(struct yo_task *task, yo_time now)
{
    struct yo_runner *runner = YO_CONTAINER(task, struct yo_runner, task);
    if (!runner->ops->turn(runner->user, now)) {
        close_loop(runner);
        return;
    }
    int rv = yo_timer_set(&runner->timer, runner->ops->deadline(runner->user));
    assert(rv == YOMO_OK); /* its place was reserved */
    (void)rv;
}

static void fire(struct yo_timer *timer, yo_time now)
{
    (void)now;
    yo_runner_wake(YO_CONTAINER(timer, struct yo_runner, timer));
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
static int open_loop(struct yo_runner *runner, struct uv_loop_s *host,
                     struct yo_mailbox **box)
{
    struct yo_loop *loop;
    int rv = yo_loop_create(&loop, runner->mem, host, runner->log);
    if (rv != YOMO_OK) {
        return rv;
    }
    rv = yo_loop_reserve_timer(loop);
    if (rv == YOMO_OK) {
        rv = yo_mailbox_open(box, loop, runner->user);
    }
    if (rv != YOMO_OK) {
        discard_loop(loop, host == NULL);
        return rv;
    }
    runner->loop = loop;
    yo_task_init(&runner->task, run_task);
    yo_timer_init(&runner->timer, loop, fire);
    return YOMO_OK;
}

/* Nobody else may choose a way to run from here on. */
static int choose(struct yo_runner *runner, enum yo_run_mode mode)
{
    lock(runner);
    int rv = runner->mode == YO_RUN_NONE ? YOMO_OK : YOMO_ERR_STATE;
    if (rv == YOMO_OK) {
        runner->mode = mode;
    }
    unlock(runner);
    return rv;
}

static void unchoose(struct yo_runner *runner)
{
    lock(runner);
    runner->mode = YO_RUN_NONE;
    unlock(runner);
}

static void *run_thread(void *user)
{
    struct yo_runner *runner = user;
#ifdef __linux__
    pthread_setname_np(pthread_self(), runner->ops->thread_name);
#endif
    yo_loop_run(runner->loop);
    end(runner);
    return NULL;
}

/* Detached: on_closed tells when it is over, and nobody has to wait for it. All signals
 * are blocked in it, so that the host's handlers run on the host's threads. */
static int spawn(struct yo_runner *runner)
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
    int failed = pthread_create(&thread, &attributes, run_thread, runner);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return failed ? YOMO_ERR_SYSTEM : YOMO_OK;
}

/* From here on calls go to the loop, and those from before it too. */
static void publish(struct yo_runner *runner, struct yo_loop *loop,
                    struct yo_mailbox *box)
{
    if (runner->ops->begun) {
        runner->ops->begun(runner->user, loop, box);
    }
    lock(runner);
    runner->box = box;
    yo_mailbox_post_list(box, &runner->early);
    unlock(runner);
}

static int begin(struct yo_runner *runner, enum yo_run_mode mode,
                 struct uv_loop_s *host)
{
    struct yo_mailbox *box;
    int rv = choose(runner, mode);
    if (rv != YOMO_OK) {
        return rv;
    }
    rv = open_loop(runner, host, &box);
    if (rv != YOMO_OK) {
        unchoose(runner);
        return rv;
    }
    struct yo_loop *loop = runner->loop;
    runner->ops->ref(runner->user); /* the runner's */
    if (mode == YO_RUN_THREAD && spawn(runner) != YOMO_OK) {
        runner->ops->unref(runner->user);
        yo_mailbox_close(box);
        yo_mailbox_unref(box);
        yo_loop_release_timer(runner->loop);
        discard_loop(runner->loop, true);
        runner->loop = NULL;
        unchoose(runner);
        return YOMO_ERR_SYSTEM;
    }
    publish(runner, loop, box);
    return YOMO_OK;
}

int yo_runner_start(struct yo_runner *runner)
{
    return begin(runner, YO_RUN_THREAD, NULL);
}

int yo_runner_start_on(struct yo_runner *runner, struct uv_loop_s *host)
{
    return begin(runner, YO_RUN_HOST, host);
}

/* Choose this way if none was chosen yet. YOMO_ERR_STATE, YOMO_ERR_CLOSED, ... */
static int poll_mode(struct yo_runner *runner)
{
    lock(runner);
    enum yo_run_mode mode = runner->mode;
    bool gone = runner->gone;
    unlock(runner);
    if (mode == YO_RUN_NONE) {
        return begin(runner, YO_RUN_POLL, NULL);
    }
    if (mode != YO_RUN_POLL) {
        return YOMO_ERR_STATE;
    }
    return gone ? YOMO_ERR_CLOSED : YOMO_OK;
}

/* Run what is due. False when the owner is over, and the runner with it if it was given
 * back. */
static bool turn(struct yo_runner *runner)
{
    if (yo_loop_turn(runner->loop)) {
        return true;
    }
    end(runner);
    return false;
}

/* Given back while polled: nobody polls it again, so all that is left is done now. */
static void run_out(struct yo_runner *runner)
{
    bool more = true;
    runner->ops->hurry(runner->user);
    while (more) {
        struct pollfd fd = {.fd = yo_loop_fd(runner->loop), .events = POLLIN};
        int timeout = yo_loop_timeout_ms(runner->loop);
        if (timeout != 0) {
            (void)poll(&fd, 1, timeout);
        }
        more = turn(runner);
    }
}

int yo_runner_poll(struct yo_runner *runner)
{
    int rv = poll_mode(runner);
    if (rv != YOMO_OK) {
        return rv;
    }
    lock(runner);
    bool entered = runner->polling;
    runner->polling = true;
    unlock(runner);
    if (entered) {
        return YOMO_ERR_STATE;
    }
    void *user = runner->user;
    runner->ops->ref(user);
    bool more = turn(runner);
    lock(runner);
    bool freed = runner->freed;
    runner->polling = freed;
    unlock(runner);
    if (more && freed) {
        run_out(runner);
        more = false;
    }
    runner->ops->unref(runner->user);
    return more ? YOMO_OK : YOMO_ERR_CLOSED;
}

int yo_runner_fd(struct yo_runner *runner)
{
    int rv = poll_mode(runner);
    return rv == YOMO_OK ? yo_loop_fd(runner->loop) : rv;
}

int yo_runner_timeout_ms(struct yo_runner *runner)
{
    int rv = poll_mode(runner);
    return rv == YOMO_OK ? yo_loop_timeout_ms(runner->loop) : rv;
}

/* It never ran: there is no loop from which to tell. */
static void end_unstarted(struct yo_runner *runner)
{
    struct yo_link letters, *link;
    yo_list_init(&letters);
    lock(runner);
    yo_list_splice(&letters, &runner->early);
    unlock(runner);
    while ((link = yo_list_pop_front(&letters)) != NULL) {
        struct yo_letter *letter = YO_CONTAINER(link, struct yo_letter, link);
        letter->discard(letter);
    }
    runner->ops->ref(runner->user); /* the runner's */
    runner->ops->end_now(runner->user);
    end(runner);
}

void yo_runner_free(struct yo_runner *runner)
{
    lock(runner);
    bool first = !runner->freed;
    runner->freed = true;
    bool gone = runner->gone;
    bool inside = runner->polling;
    enum yo_run_mode mode = runner->mode;
    if (mode == YO_RUN_NONE) {
        runner->mode = YO_RUN_POLL; /* nobody may start it now */
    }
    unlock(runner);
    assert(first);
    (void)first;
    runner->ops->close(runner->user);
    if (mode == YO_RUN_NONE) {
        end_unstarted(runner);
    } else if (mode == YO_RUN_POLL && !gone && !inside) {
        run_out(runner);
    }
    runner->ops->unref(runner->user);
}
