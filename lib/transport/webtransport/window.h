/* SPDX-License-Identifier: MIT */
/* window.h - how much a peer may send ahead (RFC 9000 4): a window that grows while
 * what comes is read at once, so that a long path is filled, and shrinks when that has
 * become rare. Pure.
 *
 * Growing is judged by what was read, not by what came: a peer to whom nobody listens
 * gets no more than the base. And it costs of a budget that others share: when that is
 * used up windows stay as they are, which is slower and nothing worse. */
#ifndef YO_WEBTRANSPORT_WINDOW_H
#define YO_WEBTRANSPORT_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/time.h"

struct yo_budget {
    uint64_t left;        /* bytes by which windows may still grow */
    struct yo_budget *of; /* which it is a part of; may be NULL */
};

struct yo_window {
    uint32_t base, size;
    uint32_t owed; /* credit that the peer is to get, together with some more */
    uint32_t read; /* since ... */
    yo_time since; /* ... this time */
};

void yo_window_init(struct yo_window *window, uint32_t base);
/* What it has grown by goes back to the budget. */
void yo_window_finish(struct yo_window *window, struct yo_budget *budget);

/* So many bytes stand in nobody's way any more. */
void yo_window_clear(struct yo_window *window, size_t size);
/* So many bytes, of those that were cleared, were read. True: half a window since it
 * was looked at, so call yo_window_adapt with the smoothed round-trip time. */
bool yo_window_read(struct yo_window *window, size_t size);
/* By how much it has grown; 0: it has not, or has become smaller. */
uint32_t yo_window_adapt(struct yo_window *window, uint32_t max,
                         struct yo_budget *budget, yo_time rtt, yo_time now);

/* The credit that is to be given now; 0: it can wait until it is more than half a
 * window. */
uint32_t yo_window_due(struct yo_window *window);

#endif
