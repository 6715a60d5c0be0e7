/* SPDX-License-Identifier: MIT */
/* loop.h - one thread's event loop: the clock, timers, and the end of the turn.
 *
 * The only folder that includes uv.h is this one. A yo_loop either owns its uv_loop_t or
 * lives in the host's. One turn: packets and bytes are read and handed up; at the end of
 * the turn the deferred tasks run once each, which is where everything that is due is
 * sent; then the loop sleeps. A task that is deferred while deferred tasks run waits for
 * the next turn, which then does not sleep.
 *
 * Thread: the loop's own, but for what says "Thread: any". */
#ifndef YO_LOOP_LOOP_H
#define YO_LOOP_LOOP_H

#include <stdbool.h>

#include "base/heap.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/time.h"

struct uv_loop_s;
struct yo_loop;

/* `host` NULL: a loop of its own. YOMO_ERR_NOMEM, YOMO_ERR_SYSTEM. */
int yo_loop_create(struct yo_loop **out, const struct yomo_mem *mem, struct uv_loop_s *host,
                   const struct yo_log *log);

/* Begin to close; every timer, socket and mailbox must have been closed before.
 * `on_closed` comes from the loop, when nothing of it is left in libuv; it may be NULL.
 * The memory is freed after that; in a loop of its own, by yo_loop_run's return. */
void yo_loop_close(struct yo_loop *loop, void (*on_closed)(void *user), void *user);

/* Run until yo_loop_close has finished (own loops). Returns after that. */
void yo_loop_run(struct yo_loop *loop);

/* One turn that does not sleep (own loops). Returns false when nothing is left to do. */
bool yo_loop_turn(struct yo_loop *loop);

int yo_loop_fd(const struct yo_loop *loop);         /* readable when a turn is due */
int yo_loop_timeout_ms(const struct yo_loop *loop); /* -1: none */

/* The time at which this turn began to be handled; cheap. */
yo_time yo_loop_now(const struct yo_loop *loop);

/* Read the clock again, for after long work. */
yo_time yo_loop_update(struct yo_loop *loop);

/* Is this thread inside a turn of `loop`, the end of which is still to come?
 * Thread: any; `loop` must be alive. */
bool yo_loop_inside(const struct yo_loop *loop);

/* Wall clock, milliseconds since 1970. Thread: any. */
uint64_t yo_wall_ms(void);

/* Milliseconds of a clock that nobody sets: it counts on while the machine sleeps, where
 * there is such a one, and means nothing after the next start. Thread: any. */
uint64_t yo_steady_ms(void);

const struct yomo_mem *yo_loop_mem(const struct yo_loop *loop);
const struct yo_log *yo_loop_log(const struct yo_loop *loop);
struct uv_loop_s *yo_loop_uv(const struct yo_loop *loop);

/* Run once at the end of this turn. */
struct yo_task {
    struct yo_link link;
    void (*run)(struct yo_task *task, yo_time now);
};

void yo_task_init(struct yo_task *task, void (*run)(struct yo_task *, yo_time));
void yo_loop_defer(struct yo_loop *loop, struct yo_task *task); /* again: no effect */
void yo_task_cancel(struct yo_task *task);

/* Timers are kept in one heap for each loop and cost no system call; they fire in the
 * order of their time, and one that is set inside a timer's callback to a moment that is
 * past waits for the next turn. */
struct yo_timer {
    struct yo_heap_node node;
    struct yo_loop *loop;
    void (*fire)(struct yo_timer *timer, yo_time now);
};

void yo_timer_init(struct yo_timer *timer, struct yo_loop *loop,
                   void (*fire)(struct yo_timer *, yo_time));

/* Due at `when`, instead of whenever it was due; YO_NEVER stops it. YOMO_ERR_NOMEM only
 * for a timer that was stopped: reserve with yo_loop_reserve_timers to rule it out. */
int yo_timer_set(struct yo_timer *timer, yo_time when);
void yo_timer_stop(struct yo_timer *timer);

/* Make room for one more timer that will not fail to be set; undone by _release_. */
int yo_loop_reserve_timer(struct yo_loop *loop);
void yo_loop_release_timer(struct yo_loop *loop);

#endif
