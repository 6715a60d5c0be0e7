/* SPDX-License-Identifier: MIT */
/* settled.c */
#include "server/history/settled.h"

#define LEAP_MS 1000 /* less is a clock that is being sped up */

static bool leaps(int64_t from, int64_t to)
{
    return to - from >= LEAP_MS;
}

uint64_t yo_settled_ms(struct yo_settled *settled, uint64_t wall_ms, uint64_t steady_ms)
{
    int64_t offset = (int64_t)wall_ms - (int64_t)steady_ms;

    if (!settled->known || !leaps(settled->offset, offset)) {
        settled->known = true;
        settled->offset = offset;
        settled->since = 0;
        return wall_ms;
    }
    if (settled->since == 0 || leaps(settled->claimed, offset) ||
        leaps(offset, settled->claimed)) { /* another one */
        settled->claimed = offset;
        settled->since = steady_ms;
    }
    if (steady_ms - settled->since >= YO_SETTLE_MS) {
        settled->offset = offset;
        settled->since = 0;
        return wall_ms;
    }
    return (uint64_t)((int64_t)steady_ms + settled->offset);
}
