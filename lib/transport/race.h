/* SPDX-License-Identifier: MIT */
/* race.h - a name's addresses, tried one after the other until one answers (RFC 8305).
 *
 * The next one starts 250 ms after the one before, or at once when one has failed. The
 * race knows nothing of what an attempt is. */
#ifndef YO_TRANSPORT_RACE_H
#define YO_TRANSPORT_RACE_H

#include "loop/loop.h"
#include "loop/resolve.h"
#include "loop/udp.h"

#define YO_RACE_MAX YO_RESOLVE_MAX

struct yo_race {
    struct yo_loop *loop;
    /* Begin attempt number `index`. An error counts as an attempt that has failed. */
    int (*start)(void *user, size_t index, const union yo_address *address,
                 yo_time now);
    /* All have failed, or there was no address: the last error. Once; from the loop. */
    void (*lost)(void *user, int error, yo_time now);
    void *user;
    struct yo_resolve *resolve;
    struct yo_timer timer;
    struct yo_task task; /* `lost` is due */
    union yo_address addresses[YO_RACE_MAX];
    size_t count, next, running;
    int error;
    bool over;
};

/* Fill in loop, start, lost and user first. YOMO_ERR_NOMEM. */
int yo_race_begin(struct yo_race *race, const char *host, uint16_t port);

/* An attempt that was started has failed with `error`. */
void yo_race_failed(struct yo_race *race, int error, yo_time now);

/* Nothing more is started, and `lost` does not come: won, or given up. May be called
 * again, and for a zeroed race. */
void yo_race_stop(struct yo_race *race);

#endif
