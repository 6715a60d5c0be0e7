/* SPDX-License-Identifier: MIT */
/* heap.c - invariants:
 *  1. slots[i] is not due after slots[2i + 1] and slots[2i + 2];
 *  2. slots[i].node->place is i + 1, and a node that is in no heap has place 0;
 *  3. slots[i].when is slots[i].node->when. */
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
        heap->slots[i].node->place = 0;
    }
    yo_free(heap->mem, heap->slots);
    yo_heap_init(heap, heap->mem);
}

int yo_heap_reserve(struct yo_heap *heap, size_t count)
{
    size_t capacity = heap->capacity > 0 ? heap->capacity : CAPACITY_MIN;
    struct yo_heap_slot *slots;

    if (count <= heap->capacity) {
        return YOMO_OK;
    }
    if (count > SIZE_MAX / 4 / sizeof(*slots)) {
        return YOMO_ERR_NOMEM;
    }
    while (capacity < count) {
        capacity *= 2;
    }
    slots = yo_realloc(heap->mem, heap->slots, capacity * sizeof(*slots));
    if (!slots) {
        return YOMO_ERR_NOMEM;
    }
    heap->slots = slots;
    heap->capacity = capacity;
    return YOMO_OK;
}

static void place(struct yo_heap *heap, size_t i, struct yo_heap_slot slot)
{
    heap->slots[i] = slot;
    slot.node->place = i + 1;
}

/* Both sifts move a hole from `i` to where `node` belongs. */
static void sift_up(struct yo_heap *heap, size_t i, struct yo_heap_node *node)
{
    while (i > 0) {
        size_t parent = (i - 1) / 2;
        if (heap->slots[parent].when <= node->when) {
            break;
        }
        place(heap, i, heap->slots[parent]);
        i = parent;
    }
    place(heap, i, (struct yo_heap_slot){node->when, node});
}

static void sift_down(struct yo_heap *heap, size_t i, struct yo_heap_node *node)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child + 1 < heap->count &&
            heap->slots[child + 1].when < heap->slots[child].when) {
            child++;
        }
        if (child >= heap->count || node->when <= heap->slots[child].when) {
            break;
        }
        place(heap, i, heap->slots[child]);
        i = child;
    }
    place(heap, i, (struct yo_heap_slot){node->when, node});
}

static void settle(struct yo_heap *heap, size_t i, struct yo_heap_node *node)
{
    if (i > 0 && node->when < heap->slots[(i - 1) / 2].when) {
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
    assert(node->place <= heap->count && heap->slots[node->place - 1].node == node);
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
    assert(i < heap->count && heap->slots[i].node == node);
    node->place = 0;
    last = heap->slots[--heap->count].node;
    if (last != node) {
        settle(heap, i, last);
    }
}

struct yo_heap_node *yo_heap_first(const struct yo_heap *heap)
{
    return heap->count > 0 ? heap->slots[0].node : NULL;
}
