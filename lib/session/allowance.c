/* SPDX-License-Identifier: MIT */
#include "session/allowance.h"

/* How long it takes until `count` is there again; at least a moment. */
static yo_time cost_of(uint64_t count, uint64_t per_second)
{
    uint64_t whole = count / per_second, rest = count % per_second;

    if (whole >= UINT64_MAX / YO_SECOND - 1 || rest > UINT64_MAX / YO_SECOND - 1) {
        return UINT64_MAX / 2;
    }
    return whole * YO_SECOND + (rest > 0 ? (rest * YO_SECOND - 1) / per_second + 1 : 0);
}

void yo_allowance_set(struct yo_allowance *allowance, uint64_t per_second)
{
    if (atomic_exchange_explicit(&allowance->per_second, per_second,
                                 memory_order_relaxed) != per_second) {
        atomic_store_explicit(&allowance->full, 0, memory_order_relaxed);
    }
}

bool yo_allowance_take(struct yo_allowance *allowance, uint64_t count, yo_time now)
{
    uint64_t per_second =
        atomic_load_explicit(&allowance->per_second, memory_order_relaxed);
    uint64_t full;
    yo_time cost, from;

    if (per_second == 0) {
        return true;
    }
    cost = cost_of(count, per_second);
    full = atomic_load_explicit(&allowance->full, memory_order_relaxed);
    do {
        from = full > now ? full : now;
        if (from > now && (cost > YO_SECOND || from - now > YO_SECOND - cost)) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(
        &allowance->full, &full, yo_time_after(from, cost), memory_order_relaxed,
        memory_order_relaxed));
    return true;
}

void yo_allowance_give_back(struct yo_allowance *allowance, uint64_t count)
{
    uint64_t per_second =
        atomic_load_explicit(&allowance->per_second, memory_order_relaxed);
    uint64_t full;
    yo_time cost;

    if (per_second == 0) {
        return;
    }
    cost = cost_of(count, per_second);
    full = atomic_load_explicit(&allowance->full, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(
        &allowance->full, &full, full > cost ? full - cost : 0, memory_order_relaxed,
        memory_order_relaxed)) {
    }
}
