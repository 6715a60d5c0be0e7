/* SPDX-License-Identifier: MIT */
/* path.h - what a network does to packets: loses, delays, reorders, doubles, narrows.
 *
 * One direction of a path. Every decision about a packet is a function of the seed, the
 * direction and the packet's number in that direction, and of nothing else: the same
 * seed and the same packets give the same fate, whatever the clock says. */
#ifndef TESTS_SUPPORT_LINK_PATH_H
#define TESTS_SUPPORT_LINK_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PATH_QUEUE_MAX                                               \
    (256u << 10) /* bytes that wait for a narrow path; then the tail \
                    is dropped */

struct path_rules {
    double loss, duplicate, reorder; /* probabilities */
    double delay_ms, jitter_ms;      /* one way; jitter is added, 0 to that much */
    double rate;                     /* bytes a second; 0: any */
    bool blocked;
};

struct path_counts {
    uint64_t seen, lost, duplicated, reordered, overflowed, blocked;
};

struct path {
    uint64_t seed;
    uint64_t number; /* of the next packet */
    struct path_rules rules;
    struct path_counts counts;
    uint64_t free_at; /* when a narrow path has sent what it has */
    uint64_t last_at; /* when the last packet that keeps its turn arrives */
};

/* When the packet that came at `now` (nanoseconds) arrives: as many times as returned
 * (0, 1 or 2), at `at`. `in_order`: it may not overtake (TCP). */
int path_take(struct path *path, size_t size, uint64_t now, bool in_order,
              uint64_t at[2]);

#endif
