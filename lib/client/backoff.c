/* SPDX-License-Identifier: MIT */
#include "client/backoff.h"

#define DOUBLINGS_MAX 32u /* past this every ceiling is max_ms anyway */

void yo_backoff_init(struct yo_backoff *backoff, uint64_t min_ms, uint64_t max_ms,
                     uint64_t seed)
{
    backoff->min_ms = min_ms;
    backoff->max_ms = max_ms < min_ms ? min_ms : max_ms;
    backoff->attempt = 0;
    yo_rand_seed(&backoff->rand, seed);
}

static uint64_t ceiling(const struct yo_backoff *backoff)
{
    uint64_t ms = backoff->min_ms;
    for (unsigned i = 0; i < backoff->attempt; i++) {
        if (ms >= backoff->max_ms / 2) {
            return backoff->max_ms;
        }
        ms *= 2;
    }
    return ms;
}

uint64_t yo_backoff_next(struct yo_backoff *backoff)
{
    uint64_t ms = ceiling(backoff);
    if (backoff->attempt < DOUBLINGS_MAX) {
        backoff->attempt++;
    }
    return ms == UINT64_MAX ? ms : yo_rand_below(&backoff->rand, ms + 1);
}

void yo_backoff_reset(struct yo_backoff *backoff)
{
    backoff->attempt = 0;
}

uint64_t yo_backoff_asked(struct yo_backoff *backoff, uint64_t ms)
{
    uint64_t more = ms / 2 > backoff->min_ms ? ms / 2 : backoff->min_ms;
    return ms + (more ? yo_rand_below(&backoff->rand, more) : 0);
}
