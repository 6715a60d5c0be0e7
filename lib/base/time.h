/* SPDX-License-Identifier: MIT */
/* time.h - moments and spans of time.
 *
 * Monotonic nanoseconds, passed last as `now`. Only loop/ reads a clock. */
#ifndef YO_BASE_TIME_H
#define YO_BASE_TIME_H

#include <stdint.h>

typedef uint64_t yo_time;

#define YO_NEVER UINT64_MAX /* a deadline that does not come */
#define YO_US ((yo_time)1000)
#define YO_MS ((yo_time)1000000)
#define YO_SECOND ((yo_time)1000000000)

static inline yo_time yo_time_min(yo_time a, yo_time b)
{
    return a < b ? a : b;
}

/* `now + span` without wrapping: past the end of time is YO_NEVER. */
static inline yo_time yo_time_after(yo_time now, yo_time span)
{
    return span > YO_NEVER - now ? YO_NEVER : now + span;
}

#endif
