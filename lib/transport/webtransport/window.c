/* SPDX-License-Identifier: MIT */
/* window.c - invariants:
 *  1. base <= size, and size - base is what was taken from the budget;
 *  2. what the peer may send, what it has sent and was not cleared, and `owed` are
 * `size` together: so it may send half a window at least when everything was cleared.
 */
#include "transport/webtransport/window.h"

#include <assert.h>

/* Round trips for half a window. Who may not send more sends at least that half in each
 * (the other one may wait for its credit), with what it takes to say so. */
#define SOON 2
#define RARE 16 /* it is wider than it need be */

static uint32_t at_most(uint64_t value, uint32_t limit)
{
    return value < limit ? (uint32_t)value : limit;
}

static uint32_t take(struct yo_budget *budget, uint32_t size)
{
    for (struct yo_budget *b = budget; b; b = b->of) {
        size = at_most(b->left, size);
    }
    for (struct yo_budget *b = budget; b; b = b->of) {
        b->left -= size;
    }
    return size;
}

static void give_back(struct yo_budget *budget, uint32_t size)
{
    for (struct yo_budget *b = budget; b; b = b->of) {
        b->left += size;
    }
}

void yo_window_init(struct yo_window *window, uint32_t base)
{
    *window = (struct yo_window){.base = base, .size = base};
}

void yo_window_finish(struct yo_window *window, struct yo_budget *budget)
{
    give_back(budget, window->size - window->base);
    window->size = window->base;
}

void yo_window_clear(struct yo_window *window, size_t size)
{
    window->owed += (uint32_t)size;
}

bool yo_window_read(struct yo_window *window, size_t size)
{
    window->read += at_most(size, window->size);
    return window->read >= window->size / 2;
}

uint32_t yo_window_adapt(struct yo_window *window, uint32_t max,
                         struct yo_budget *budget, yo_time rtt, yo_time now)
{
    yo_time since = window->since;
    uint32_t more = 0;

    assert(window->size <= max);
    window->read = 0;
    window->since = now;
    rtt = yo_time_min(rtt, YO_NEVER / RARE);
    if (now <= yo_time_after(since, SOON * rtt)) {
        more = take(budget, at_most(max - window->size, window->size));
        window->size += more;
        window->owed += more;
    } else if (now > yo_time_after(since, RARE * rtt)) {
        uint32_t less = at_most(window->size - window->base, window->size / 2);
        less = at_most(window->owed, less); /* what was granted cannot be taken back */
        window->size -= less;
        window->owed -= less;
        give_back(budget, less);
    }
    return more;
}

uint32_t yo_window_due(struct yo_window *window)
{
    uint32_t owed = window->owed;
    if (owed <= window->size / 2) {
        return 0;
    }
    window->owed = 0;
    return owed;
}
