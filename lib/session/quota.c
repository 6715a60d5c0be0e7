/* SPDX-License-Identifier: MIT */
/* quota.c - invariant: `full` is never further ahead than `depth` and one interval. */
#include "session/quota.h"

void yo_quota_init(struct yo_quota *quota, uint32_t per_second, uint32_t burst)
{
    *quota = (struct yo_quota){0};
    if (per_second > 0) {
        quota->interval = YO_SECOND / per_second;
        quota->depth = quota->interval * (burst > 1 ? burst - 1 : 0);
    }
}

bool yo_quota_take(struct yo_quota *quota, yo_time now)
{
    yo_time from = quota->full > now ? quota->full : now;

    if (quota->interval == 0) {
        return true;
    }
    if (from - now > quota->depth) {
        return false;
    }
    quota->full = yo_time_after(from, quota->interval);
    return true;
}
