/* SPDX-License-Identifier: MIT */
#include "transport/webtransport/stub.h"

#include <yomo/error.h>

void yo_stubs_init(struct yo_stubs *stubs, const struct yomo_mem *mem,
                   struct yo_cid_map *ids)
{
    stubs->mem = mem;
    stubs->ids = ids;
    yo_heap_init(&stubs->timers, mem);
}

static void drop(struct yo_stubs *stubs, struct yo_stub *stub)
{
    yo_heap_remove(&stubs->timers, &stub->timer);
    yo_cid_map_forget(stubs->ids, &stub->owner);
    yo_free(stubs->mem, stub);
}

static struct yo_stub *first_of(const struct yo_stubs *stubs)
{
    struct yo_heap_node *node = yo_heap_first(&stubs->timers);
    return node ? YO_CONTAINER(node, struct yo_stub, timer) : NULL;
}

void yo_stubs_finish(struct yo_stubs *stubs)
{
    struct yo_stub *stub;
    while ((stub = first_of(stubs))) {
        drop(stubs, stub);
    }
    yo_heap_finish(&stubs->timers);
}

void yo_stubs_add(struct yo_stubs *stubs, struct yo_cid_owner *owner,
                  struct yo_span close, yo_time until)
{
    struct yo_stub *stub = NULL;
    if (stubs->timers.count < YO_STUBS_MAX) {
        stub = yo_calloc(stubs->mem, 1, sizeof(*stub) + close.size);
    }
    if (!stub || yo_heap_set(&stubs->timers, &stub->timer, until) != YOMO_OK) {
        yo_free(stubs->mem, stub);
        yo_cid_map_forget(stubs->ids, owner);
        return;
    }
    stub->owner.stub = true;
    yo_list_init(&stub->owner.ids);
    yo_cid_map_hand_over(owner, &stub->owner);
    stub->answer_at = 1;
    stub->size = close.size;
    if (close.size > 0) {
        memcpy(stub->close, close.data, close.size);
    }
}

struct yo_span yo_stub_packet(struct yo_stub *stub, size_t size)
{
    /* Whoever sent it may have another's address (RFC 9000 8.1, 10.2.1). */
    if (stub->size == 0 || stub->size > YO_AMPLIFY_MAX * size ||
        ++stub->packets < stub->answer_at) {
        return YO_SPAN_NONE;
    }
    stub->answer_at *= 2;
    return yo_span(stub->close, stub->size);
}

void yo_stubs_tick(struct yo_stubs *stubs, yo_time now)
{
    struct yo_stub *stub;
    while ((stub = first_of(stubs)) && stub->timer.when <= now) {
        drop(stubs, stub);
    }
}

yo_time yo_stubs_deadline(const struct yo_stubs *stubs)
{
    struct yo_stub *stub = first_of(stubs);
    return stub ? stub->timer.when : YO_NEVER;
}
