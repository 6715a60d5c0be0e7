/* SPDX-License-Identifier: MIT */
/* backoff.h - how long to wait before the next attempt to connect.
 *
 * Full jitter: the n-th wait is anything between nothing and min * 2^n, but no more
 * than max. Clients that lost one server at the same moment so come back spread over
 * the whole of that time, and a single short loss is over at once. Pure: random numbers
 * come from a seed. */
#ifndef YO_CLIENT_BACKOFF_H
#define YO_CLIENT_BACKOFF_H

#include <stdint.h>

#include "base/rand.h"

struct yo_backoff {
    uint64_t min_ms, max_ms;
    unsigned attempt; /* waits since the last reset */
    struct yo_rand rand;
};

void yo_backoff_init(struct yo_backoff *backoff, uint64_t min_ms, uint64_t max_ms,
                     uint64_t seed);

/* The next wait, in milliseconds. */
uint64_t yo_backoff_next(struct yo_backoff *backoff);

/* All is well again: the next wait is a short one. */
void yo_backoff_reset(struct yo_backoff *backoff);

/* A wait that a server asked for: never shorter, and up to half of it (at least min)
 * longer, since it asked all its clients. */
uint64_t yo_backoff_asked(struct yo_backoff *backoff, uint64_t ms);

#endif
