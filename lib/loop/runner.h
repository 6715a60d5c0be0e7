/* SPDX-License-Identifier: MIT */
/* runner.h - the three ways to run what lives on one loop: on a thread of its own, in
 * the host's loop, or whenever the host polls.
 *
 * The owner embeds a runner and gives it its lock. Letters to the owner are posted from
 * the first moment on and are opened once it runs. At the end of each turn in which
 * something happened, `turn` does what is due; when it says that all is over, the loop
 * is closed, and `on_closed` is told from the place where turns came from. An owner
 * that never ran is told by yo_runner_free. */
#ifndef YO_LOOP_RUNNER_H
#define YO_LOOP_RUNNER_H

#include <pthread.h>

#include "loop/mailbox.h"

enum yo_run_mode { YO_RUN_NONE, YO_RUN_THREAD, YO_RUN_HOST, YO_RUN_POLL };

struct yo_runner_ops {
    const char *thread_name; /* at most 15 characters */
    /* The loop stands. On the starting thread; the loop's own may run already. NULL:
     * need not be told. */
    void (*begun)(void *user, struct yo_loop *loop, struct yo_mailbox *box);
    /* On the loop's thread, without the lock. False: over, nothing of it is left on the
     * loop. */
    bool (*turn)(void *user, yo_time now);
    yo_time (*deadline)(void *user); /* when `turn` is due if nothing happens before */
    void (*hurry)(void *user);       /* wait for nothing any more */
    /* It never ran and never will: tell its program what is to be told but on_closed.
     * Letters from before were discarded. */
    void (*end_now)(void *user);
    void (*on_closed)(void *user); /* once, last; may give the owner back */
    void (*close)(void *user);     /* what the program's own close call does */
    void (*ref)(void *user);
    void (*unref)(void *user);
};

struct yo_runner {
    const struct yo_runner_ops *ops;
    void *user;
    const struct yomo_mem *mem;
    const struct yo_log *log;
    pthread_mutex_t *lock;

    /* With the lock. */
    enum yo_run_mode mode;
    struct yo_mailbox *box; /* NULL: not started, or over */
    struct yo_link early;   /* letters from before the start */
    bool polling;           /* inside yo_runner_poll */
    bool freed, gone;       /* given back; on_closed has come */

    /* The loop's. */
    struct yo_loop *loop;
    struct yo_task task;
    struct yo_timer timer;
    bool closing;
};

/* `mem`, `log` and `lock` are the owner's and outlive it. */
void yo_runner_init(struct yo_runner *runner, const struct yo_runner_ops *ops,
                    void *user, const struct yomo_mem *mem, const struct yo_log *log,
                    pthread_mutex_t *lock);

/* Thread: any, with the lock. */
void yo_runner_post(struct yo_runner *runner, struct yo_letter *letter);

/* A turn's end is due. Thread: the loop's, or nobody's before it runs. */
void yo_runner_wake(struct yo_runner *runner);

/* The public calls of the owner, whose manners they have (client.h). */
int yo_runner_start(struct yo_runner *runner); /* STATE, NOMEM, SYSTEM */
int yo_runner_start_on(struct yo_runner *runner, struct uv_loop_s *host);
int yo_runner_poll(struct yo_runner *runner); /* 0, CLOSED, STATE, ... */
int yo_runner_fd(struct yo_runner *runner);
int yo_runner_timeout_ms(struct yo_runner *runner);
/* Gives the program's reference back. Once. */
void yo_runner_free(struct yo_runner *runner);

#endif
