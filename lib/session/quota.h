/* SPDX-License-Identifier: MIT */
/* quota.h - a token bucket: so many in a second, so many at once.
 *
 * Kept as one moment (the generic cell rate algorithm of ITU-T I.371): when the bucket
 * will be full again. Nothing runs when nothing happens. */
#ifndef YO_SESSION_QUOTA_H
#define YO_SESSION_QUOTA_H

#include <stdbool.h>

#include "base/time.h"

struct yo_quota {
    yo_time interval; /* between two tokens; 0: no limit */
    yo_time depth;    /* how far `full` may lie ahead */
    yo_time full;     /* when all tokens will be there again */
};

/* `per_second` 0: no limit. A `burst` of 0 is one of 1. */
void yo_quota_init(struct yo_quota *quota, uint32_t per_second, uint32_t burst);

/* Take one token, if there is one. */
bool yo_quota_take(struct yo_quota *quota, yo_time now);

#endif
