/* SPDX-License-Identifier: MIT */
/* heap.h - an intrusive binary min-heap of deadlines.
 *
 * A node knows its place, so removing any node is O(log n). The times lie in the heap
 * too: nodes are parts of large things, and looking for the next one must not touch
 * them all. */
#ifndef YO_BASE_HEAP_H
#define YO_BASE_HEAP_H

#include "base/mem.h"
#include "base/time.h"

struct yo_heap_node {
    yo_time when;
    size_t place; /* 1 + index in the heap, 0 when in none */
};

struct yo_heap_slot {
    yo_time when; /* the node's */
    struct yo_heap_node *node;
};

struct yo_heap {
    const struct yomo_mem *mem;
    struct yo_heap_slot *slots;
    size_t count, capacity;
};

void yo_heap_init(struct yo_heap *heap, const struct yomo_mem *mem);
void yo_heap_finish(struct yo_heap *heap);

/* Make sure that the heap can hold `count` nodes in all. YOMO_ERR_NOMEM. */
int yo_heap_reserve(struct yo_heap *heap, size_t count);

/* Put `node` in, or move it, so that it is due at `when`. YOMO_ERR_NOMEM only when it
 * was not in the heap. */
int yo_heap_set(struct yo_heap *heap, struct yo_heap_node *node, yo_time when);

void yo_heap_remove(struct yo_heap *heap, struct yo_heap_node *node); /* harmless if out */

struct yo_heap_node *yo_heap_first(const struct yo_heap *heap); /* NULL when empty */

#endif
