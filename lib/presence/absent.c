/* SPDX-License-Identifier: MIT */
/* absent.c - invariant: `count` is the length of the list, at most YO_ABSENT_MAX. */
#include "presence/absent.h"

#include <string.h>

#include "base/check.h"

struct one {
    struct yo_link link;
    uint64_t session;
    struct yo_position named;
    char id[];
};

static struct one *of_link(const struct yo_link *link)
{
    return YO_CONTAINER(link, struct one, link);
}

void yo_absent_init(struct yo_absent *absent, const struct yomo_mem *mem)
{
    *absent = (struct yo_absent){.mem = mem};
    yo_list_init(&absent->list);
}

static void raise_to(struct yo_position *position, const struct yo_position *other)
{
    for (int p = 0; p < YO_PRIORITIES; p++) {
        if (other->place[p] > position->place[p]) {
            position->place[p] = other->place[p];
        }
    }
}

static void forget_first(struct yo_absent *absent)
{
    struct one *one = of_link(absent->list.next);

    raise_to(&absent->forgotten, &one->named);
    yo_list_remove(&one->link);
    yo_free(absent->mem, one);
    absent->count--;
}

void yo_absent_finish(struct yo_absent *absent)
{
    while (absent && absent->count > 0) {
        forget_first(absent);
    }
}

void yo_absent_put(struct yo_absent *absent, uint64_t session, const char *id,
                   const struct yo_position *named)
{
    size_t size = strlen(id) + 1;
    struct one *one = yo_malloc(absent->mem, sizeof(*one) + size);

    if (!one) {
        raise_to(&absent->forgotten, named);
        return;
    }
    *one = (struct one){.session = session, .named = *named};
    memcpy(one->id, id, size);
    if (absent->count == YO_ABSENT_MAX) {
        forget_first(absent);
    }
    yo_list_init(&one->link);
    yo_list_push_back(&absent->list, &one->link);
    absent->count++;
}

/* NULL: it is not remembered that anything was said to it. */
static const struct yo_position *named_of(const struct yo_absent *absent,
                                          uint64_t session, struct yo_span id)
{
    YO_LIST_EACH(link, next, &absent->list)
    {
        const struct one *one = of_link(link);
        if (one->session == session) {
            return yo_span_is(id, one->id) ? &one->named : NULL;
        }
    }
    return &absent->forgotten;
}

bool yo_absent_gap(const struct yo_absent *absent, uint64_t session, struct yo_span id,
                   const struct yo_position *position, uint64_t *first, uint64_t *last)
{
    const struct yo_position *named = named_of(absent, session, id);
    bool gap = false;

    for (int p = 0; named && p < YO_PRIORITIES; p++) {
        uint64_t from = position->place[p] + 1, to = named->place[p];
        if (to >= from) {
            *first = !gap || from < *first ? from : *first;
            *last = !gap || to > *last ? to : *last;
            gap = true;
        }
    }
    return gap;
}
