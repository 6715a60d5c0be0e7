/* SPDX-License-Identifier: MIT */
/* loop.c
 *
 * The happy path of a turn, in libuv's order: the alarm and the host's timers;
 * `prepare`, which ends whatever began since the last turn's end; the sleep; packets
 * and bytes; and `check`, which ends the turn: due timers fire, deferred tasks run, the
 * alarm is set to the next timer. Both ends are needed: a turn that does not sleep
 * (yo_loop_turn) has to send what its own packets caused, and work that the host queues
 * between two turns must not wait for a packet.
 *
 * A host's loop may have thousands of ours in it, so `prepare` and `check` run only where
 * something has begun since the last turn's end: a loop in which nothing happens costs the
 * others' turns nothing.
 *
 * Invariants:
 *  1. `tasks` is not empty outside a turn's end only while `awake` runs;
 *  2. outside a turn the alarm is due no later than the first timer;
 *  3. `armed` is set while a turn is under way, tasks wait, or `touched` is set, and
 *     always in a loop of our own;
 *  4. `handles` counts what libuv still knows of us; the loop is gone after it is 0. */
#include "loop/inside.h"

#include <assert.h>
#include <time.h>
#include <yomo/error.h>

/* A timer that is due sooner than this is not slept for. */
#define SLEEP_MIN (20 * YO_US)

/* The loop whose turn this thread is in. */
static _Thread_local const struct yo_loop *running;

static void end_turn(struct yo_loop *loop);
static void on_prepare(uv_prepare_t *prepare);
static void on_check(uv_check_t *check);

/* A turn has begun: let it end. */
static void arm(struct yo_loop *loop)
{
    if (!loop->armed && !loop->closing) {
        loop->armed = true;
        uv_prepare_start(&loop->prepare, on_prepare);
        uv_check_start(&loop->check, on_check);
    }
}

/* A loop of our own has nobody else in it, and stays as it is. */
static void disarm(struct yo_loop *loop)
{
    if (loop->armed && !loop->owned && !loop->touched && yo_list_empty(&loop->tasks)) {
        loop->armed = false;
        uv_prepare_stop(&loop->prepare);
        uv_check_stop(&loop->check);
    }
}

yo_time yo_loop_enter(struct yo_loop *loop)
{
    running = loop;
    if (!loop->fresh) {
        loop->fresh = true;
        loop->now = uv_hrtime();
        arm(loop);
    }
    return loop->now;
}

bool yo_loop_inside(const struct yo_loop *loop)
{
    return running == loop;
}

void yo_loop_touch(struct yo_loop *loop)
{
    loop->touched = true;
    arm(loop);
}

void yo_loop_hold(struct yo_loop *loop)
{
    loop->handles++;
}

static void finish(struct yo_loop *loop)
{
    void (*on_closed)(void *) = loop->on_closed;
    void *user = loop->user;
    yo_heap_finish(&loop->timers);
    yo_free(loop->mem, loop->read_buffer);
    loop->read_buffer = NULL;
    loop->finished = true;
    if (running == loop) {
        running = NULL;
    }
    if (!loop->owned) {
        yo_free(loop->mem, loop);
    }
    if (on_closed) {
        on_closed(user);
    }
}

void yo_loop_drop(struct yo_loop *loop)
{
    assert(loop->handles > 0);
    if (--loop->handles == 0) {
        assert(loop->closing);
        finish(loop);
    }
}

uint8_t *yo_loop_read_buffer(struct yo_loop *loop)
{
    if (!loop->read_buffer) {
        loop->read_buffer = yo_malloc(loop->mem, YO_LOOP_READ_SIZE);
    }
    return loop->read_buffer;
}

static void on_alarm(uv_timer_t *alarm)
{
    /* Timers fire at the turn's end: `prepare` comes next. */
    struct yo_loop *loop = alarm->data;
    loop->alarm_ms = 0;
    yo_loop_touch(loop);
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct yo_loop *loop = prepare->data;
    end_turn(loop);
    loop->touched = false; /* libuv tells the kernel next */
    disarm(loop);
}

static void on_check(uv_check_t *check)
{
    end_turn(check->data);
}

static void on_awake(uv_idle_t *awake)
{
    (void)awake; /* being active is all it is for */
}

/* The alarm rings when the first timer is due, rounded up to libuv's milliseconds. */
static void set_alarm(struct yo_loop *loop)
{
    const struct yo_heap_node *first = yo_heap_first(&loop->timers);
    if (!first) {
        if (loop->alarm_ms) {
            uv_timer_stop(&loop->alarm);
            loop->alarm_ms = 0;
        }
        return;
    }
    uint64_t now_ms = uv_now(loop->uv);
    uint64_t due_ms = first->when / YO_MS + (first->when % YO_MS != 0);
    if (first->when <= loop->now + SLEEP_MIN || due_ms <= now_ms) {
        due_ms = now_ms;
    }
    if (due_ms == loop->alarm_ms) {
        return;
    }
    uv_timer_start(&loop->alarm, on_alarm, due_ms > now_ms ? due_ms - now_ms : 0, 0);
    loop->alarm_ms = due_ms;
}

static void fire_timers(struct yo_loop *loop)
{
    const struct yo_heap_node *first = yo_heap_first(&loop->timers);
    if (!first) {
        return;
    }
    yo_loop_update(loop);
    loop->firing = true;
    struct yo_heap_node *node;
    while ((node = yo_heap_first(&loop->timers)) != NULL && node->when <= loop->now) {
        struct yo_timer *timer = YO_CONTAINER(node, struct yo_timer, node);
        yo_heap_remove(&loop->timers, node);
        timer->fire(timer, loop->now);
    }
    loop->firing = false;
}

static void run_tasks(struct yo_loop *loop)
{
    struct yo_link due;
    yo_list_init(&due);
    yo_list_splice(&due, &loop->tasks);
    struct yo_link *link;
    while ((link = yo_list_pop_front(&due)) != NULL) {
        struct yo_task *task = YO_CONTAINER(link, struct yo_task, link);
        task->run(task, loop->now);
    }
    if (yo_list_empty(&loop->tasks)) {
        uv_idle_stop(&loop->awake); /* no effect when it does not run */
    }
}

static void end_turn(struct yo_loop *loop)
{
    yo_loop_enter(loop);
    fire_timers(loop);
    run_tasks(loop);
    if (!loop->closing) {
        set_alarm(loop);
    }
    loop->fresh = false;
    running = NULL;
    disarm(loop);
}

int yo_loop_create(struct yo_loop **out, const struct yomo_mem *mem,
                   struct uv_loop_s *host, const struct yo_log *log)
{
    struct yo_loop *loop = yo_calloc(mem, 1, sizeof(*loop));
    if (!loop) {
        return YOMO_ERR_NOMEM;
    }
    loop->mem = mem;
    if (log) {
        loop->log = *log;
    }
    loop->owned = host == NULL;
    loop->uv = host ? host : &loop->own;
    if (loop->owned) {
        int rv = uv_loop_init(&loop->own);
        if (rv != 0) {
            yo_free(mem, loop);
            return rv == UV_ENOMEM ? YOMO_ERR_NOMEM : YOMO_ERR_SYSTEM;
        }
    }
    yo_heap_init(&loop->timers, mem);
    yo_list_init(&loop->tasks);
    /* None of these can fail: they touch no descriptor. */
    uv_timer_init(loop->uv, &loop->alarm);
    uv_prepare_init(loop->uv, &loop->prepare);
    uv_check_init(loop->uv, &loop->check);
    uv_idle_init(loop->uv, &loop->awake);
    loop->alarm.data = loop->prepare.data = loop->check.data = loop->awake.data = loop;
    loop->handles = 4;
    arm(loop);
    *out = loop;
    return YOMO_OK;
}

static void on_handle_closed(uv_handle_t *handle)
{
    yo_loop_drop(handle->data);
}

void yo_loop_close(struct yo_loop *loop, void (*on_closed)(void *user), void *user)
{
    assert(!loop->closing);
    loop->closing = true;
    loop->on_closed = on_closed;
    loop->user = user;
    uv_close((uv_handle_t *)&loop->alarm, on_handle_closed);
    uv_close((uv_handle_t *)&loop->prepare, on_handle_closed);
    uv_close((uv_handle_t *)&loop->check, on_handle_closed);
    uv_close((uv_handle_t *)&loop->awake, on_handle_closed);
}

static void dispose(struct yo_loop *loop)
{
    int rv = uv_loop_close(&loop->own);
    assert(rv == 0);
    (void)rv;
    yo_free(loop->mem, loop);
}

void yo_loop_run(struct yo_loop *loop)
{
    assert(loop->owned);
    while (uv_run(loop->uv, UV_RUN_DEFAULT) != 0) {
    }
    assert(loop->finished);
    dispose(loop);
}

bool yo_loop_turn(struct yo_loop *loop)
{
    assert(loop->owned);
    uv_run(loop->uv, UV_RUN_NOWAIT);
    if (!loop->finished) {
        return true;
    }
    dispose(loop);
    return false;
}

int yo_loop_fd(const struct yo_loop *loop)
{
    return uv_backend_fd(loop->uv);
}

int yo_loop_timeout_ms(const struct yo_loop *loop)
{
    if (loop->touched || !yo_list_empty(&loop->tasks)) {
        return 0;
    }
    uv_update_time(loop->uv);
    return uv_backend_timeout(loop->uv);
}

yo_time yo_loop_now(const struct yo_loop *loop)
{
    return loop->fresh ? loop->now : uv_hrtime();
}

yo_time yo_loop_update(struct yo_loop *loop)
{
    yo_time now = uv_hrtime();
    if (loop->fresh) {
        loop->now = now;
    }
    return now;
}

static uint64_t clock_ms(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

uint64_t yo_wall_ms(void)
{
    return clock_ms(CLOCK_REALTIME);
}

uint64_t yo_steady_ms(void)
{
#ifdef CLOCK_BOOTTIME
    return clock_ms(CLOCK_BOOTTIME);
#else
    return clock_ms(CLOCK_MONOTONIC);
#endif
}

const struct yomo_mem *yo_loop_mem(const struct yo_loop *loop)
{
    return loop->mem;
}

const struct yo_log *yo_loop_log(const struct yo_loop *loop)
{
    return &loop->log;
}

struct uv_loop_s *yo_loop_uv(const struct yo_loop *loop)
{
    return loop->uv;
}

void yo_task_init(struct yo_task *task, void (*run)(struct yo_task *, yo_time))
{
    yo_list_init(&task->link);
    task->run = run;
}

void yo_loop_defer(struct yo_loop *loop, struct yo_task *task)
{
    if (!yo_list_empty(&task->link)) {
        return;
    }
    yo_list_push_back(&loop->tasks, &task->link);
    arm(loop);
    if (!loop->closing) {
        uv_idle_start(&loop->awake, on_awake); /* no effect when it runs */
    }
}

void yo_task_cancel(struct yo_task *task)
{
    /* `awake` may now run without need: the turn's end puts that right. */
    yo_list_remove(&task->link);
}

void yo_timer_init(struct yo_timer *timer, struct yo_loop *loop,
                   void (*fire)(struct yo_timer *, yo_time))
{
    timer->node.when = YO_NEVER;
    timer->node.place = 0;
    timer->loop = loop;
    timer->fire = fire;
}

int yo_timer_set(struct yo_timer *timer, yo_time when)
{
    struct yo_loop *loop = timer->loop;
    if (when == YO_NEVER) {
        yo_timer_stop(timer);
        return YOMO_OK;
    }
    if (loop->firing && when <= loop->now) {
        when = loop->now + 1; /* the next turn */
    }
    if (!timer->node.place) {
        /* Keep the room of those that were promised it; do without it in need. */
        (void)yo_heap_reserve(&loop->timers, loop->timers.count + 1 + loop->reserved);
    }
    int rv = yo_heap_set(&loop->timers, &timer->node, when);
    if (rv == YOMO_OK && !loop->fresh && !loop->closing) {
        set_alarm(loop); /* outside a turn: nobody else would */
    }
    return rv;
}

void yo_timer_stop(struct yo_timer *timer)
{
    /* An alarm that rings for nothing is harmless. */
    if (timer->node.place) {
        yo_heap_remove(&timer->loop->timers, &timer->node);
    }
}

int yo_loop_reserve_timer(struct yo_loop *loop)
{
    int rv = yo_heap_reserve(&loop->timers, loop->timers.count + loop->reserved + 1);
    if (rv == YOMO_OK) {
        loop->reserved++;
    }
    return rv;
}

void yo_loop_release_timer(struct yo_loop *loop)
{
    assert(loop->reserved > 0);
    loop->reserved--;
}
