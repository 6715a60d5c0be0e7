/* SPDX-License-Identifier: MIT */
/* pacer.h - LATEST values that one receiver wants less often than they come.
 *
 * In front of an outbox: of each value (a slot's name) one goes through in each interval,
 * and what comes meanwhile waits here, the newest of it, until its time has come; so the
 * last value always arrives. Bounded: where no more values can be told apart a value
 * goes through as it comes.
 *
 * Pure: time comes in as `now`. */
#ifndef YO_SESSION_PACER_H
#define YO_SESSION_PACER_H

#include "base/heap.h"
#include "base/map.h"
#include "session/outbox.h"

struct yo_pacer {
    const struct yomo_mem *mem;
    struct yo_map by_slot;
    struct yo_heap due;
    size_t max;
    size_t waiting;   /* values that wait */
    uint64_t thinned; /* values that a newer one took the place of, or that were too old;
                         only grows */
};

void yo_pacer_init(struct yo_pacer *pacer, const struct yomo_mem *mem, size_t max);
void yo_pacer_finish(struct yo_pacer *pacer); /* accepts zeroed memory */

/* A LATEST value comes, of a room in which the receiver wants one in each `interval`.
 * 1: it goes now, by the caller; 0: it waits here, or an older one than what was seen
 * is dropped. YOMO_ERR_NOMEM: it goes now too, if the caller likes. */
int yo_pacer_put(struct yo_pacer *pacer, const struct yo_outgoing *out, yo_time interval,
                 yo_time now);

/* Take out a value whose time has come: `out->message` is the caller's to unref, the slot
 * is lent until the next call. False: none. With YO_NEVER: any that waits. */
bool yo_pacer_next(struct yo_pacer *pacer, yo_time now, struct yo_outgoing *out);

/* When the next value is due; YO_NEVER: none waits. */
yo_time yo_pacer_deadline(const struct yo_pacer *pacer);

#endif
