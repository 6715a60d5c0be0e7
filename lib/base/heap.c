/* SPDX-License-Identifier: MIT */
/* heap.c - invariants:
 *  1. nodes[i] is not due after nodes[2i + 1] and nodes[2i + 2];
 *  2. nodes[i]->place is i + 1, and a node that is in no heap has place 0. */
#include "base/heap.h"

#include "base/check.h"

#define CAPACITY_MIN 16

void yo_heap_init(struct yo_heap *heap, const struct yomo_mem *mem)
{
    *heap = (struct yo_heap){.mem = mem};
}

void yo_heap_finish(struct yo_heap *heap)
{
    if (!heap) {
        return;
    }
    for (size_t i = 0; i < heap->count; i++) {
        heap->nodes[i]->place = 0;
    }
    yo_free(heap->mem, heap->nodes);
    yo_heap_init(heap, heap->mem);
}

int yo_heap_reserve(struct yo_heap *heap, size_t count)
{
    size_t capacity = heap->capacity > 0 ? heap->capacity : CAPACITY_MIN;
    struct yo_heap_node **nodes;

    if (count <= heap->capacity) {
        return YOMO_OK;
    }
    if (count > SIZE_MAX / 4 / sizeof(*nodes)) {
        return YOMO_ERR_NOMEM;
    }
    while (capacity < count) {
        capacity *= 2;
    }
    nodes = yo_realloc(heap->mem, heap->nodes, capacity * sizeof(*nodes));
    if (!nodes) {
        return YOMO_ERR_NOMEM;
    }
    heap->nodes = nodes;
    heap->capacity = capacity;
    return YOMO_OK;
}

static void place(struct yo_heap *heap, size_t i, struct yo_heap_node *node)
{
    heap->nodes[i] = node;
    node->place = i + 1;
}

/* Both sifts move a hole from `i` to where `node` belongs. */
static void sift_up(struct yo_heap *heap, size_t i, struct yo_heap_node *node)
{
    while (i > 0) {
        size_t parent = (i - 1) / 2;
        if (heap->nodes[parent]->when <= node->when) {
            break;
        }
        place(heap, i, heap->nodes[parent]);
        i = parent;
    }
    place(heap, i, node);
}

static void sift_down(struct yo_heap *heap, size_t i, struct yo_heap_node *node)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child + 1 < heap->count &&
            heap->nodes[child + 1]->when < heap->nodes[child]->when) {
            child++;
        }
        if (child >= heap->count || node->when <= heap->nodes[child]->when) {
            break;
        }
        place(heap, i, heap->nodes[child]);
        i = child;
    }
    place(heap, i, node);
}

static void settle(struct yo_heap *heap, size_t i, struct yo_heap_node *node)
{
    if (i > 0 && node->when < heap->nodes[(i - 1) / 2]->when) {
        sift_up(heap, i, node);
    } else {
        sift_down(heap, i, node);
    }
}

int yo_heap_set(struct yo_heap *heap, struct yo_heap_node *node, yo_time when)
{
    if (node->place == 0) {
        int rv = yo_heap_reserve(heap, heap->count + 1);
        if (rv != YOMO_OK) {
            return rv;
        }
        node->when = when;
        sift_up(heap, heap->count++, node);
        return YOMO_OK;
    }
    assert(node->place <= heap->count && heap->nodes[node->place - 1] == node);
    node->when = when;
    settle(heap, node->place - 1, node);
    return YOMO_OK;
}

void yo_heap_remove(struct yo_heap *heap, struct yo_heap_node *node)
{
    size_t i;
    struct yo_heap_node *last;

    if (node->place == 0) {
        return;
    }
    i = node->place - 1;
    assert(i < heap->count && heap->nodes[i] == node);
    node->place = 0;
    last = heap->nodes[--heap->count];
    if (last != node) {
        settle(heap, i, last);
    }
}

struct yo_heap_node *yo_heap_first(const struct yo_heap *heap)
{
    return heap->count > 0 ? heap->nodes[0] : NULL;
}
