/* SPDX-License-Identifier: MIT */
/* hub.h - one loop's handles, and how calls from other threads reach it.
 *
 * What a call from another thread asks for is noted on its handle, under the hub's
 * lock, and the handle's slip is put into the list of those that the loop must look at;
 * the loop is called once for all of them. A call on the loop's own thread first does
 * what others have asked for, so that nobody is overtaken, and then goes straight to
 * the engine. So there is one lock for each loop, held for a few instructions and never
 * while the engine or the program runs, and nothing that waits is without a bound: a
 * handle is in the list once, whatever was asked of it.
 *
 * A hub lives as long as the last handle; once it is closed calls do nothing. */
#ifndef YO_SESSIONS_HUB_H
#define YO_SESSIONS_HUB_H

#include <pthread.h>
#include <stdatomic.h>

#include "loop/mailbox.h"

/* One handle's place among those that the loop must look at. */
struct yo_slip {
    struct yo_link link;
    /* On the loop's thread, without the lock, never inside an event of the engine that
     * is under way for the same handle's program: makes no event itself. Gives the
     * reference back that yo_hub_post was given. */
    void (*run)(struct yo_slip *slip, yo_time now);
};

struct yo_hub {
    struct yomo_mem mem;
    atomic_uint refs;
    pthread_mutex_t lock;
    /* With the lock. */
    struct yo_loop *loop; /* NULL: does not run yet, or no more */
    struct yo_mailbox *box;
    struct yo_link due; /* slips */
    struct yo_letter letter;
    bool called; /* the letter is under way */
    bool closed;
};

/* YOMO_ERR_NOMEM, YOMO_ERR_SYSTEM. */
int yo_hub_create(struct yo_hub **out, const struct yomo_mem *mem);
struct yo_hub *yo_hub_ref(struct yo_hub *hub);
void yo_hub_unref(struct yo_hub *hub); /* accepts NULL */

/* It runs on `loop` from now on, whose letters come through `box`. Thread: any; once.
 */
void yo_hub_begin(struct yo_hub *hub, struct yo_loop *loop, struct yo_mailbox *box);

/* It runs no more: what is due is dropped, later calls do nothing. All handles are
 * over. Thread: the loop's, or nobody else's. */
void yo_hub_close(struct yo_hub *hub);

/* Take the lock. True on the loop's own thread, inside a turn: what other calls have
 * left to do is then done. */
bool yo_hub_enter(struct yo_hub *hub);
void yo_hub_lock(struct yo_hub *hub); /* without that */
void yo_hub_leave(struct yo_hub *hub);

/* With the lock: the loop must look at `slip`. True: it was not in the list before, and
 * the caller gives it a reference. */
bool yo_hub_post(struct yo_hub *hub, struct yo_slip *slip);

/* The same, and behind all others, also when it was in the list before. */
bool yo_hub_post_last(struct yo_hub *hub, struct yo_slip *slip);

/* Do what is due. Thread: the loop's. */
void yo_hub_run(struct yo_hub *hub, yo_time now);

static inline void yo_slip_init(struct yo_slip *slip,
                                void (*run)(struct yo_slip *slip, yo_time now))
{
    yo_list_init(&slip->link);
    slip->run = run;
}

#endif
