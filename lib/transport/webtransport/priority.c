/* SPDX-License-Identifier: MIT */
/* priority.c - invariants:
 *  1. a group is in `waiting` exactly when one of its members can send;
 *  2. its `members` are sorted, the greatest order first;
 *  3. it exists as long as `count` streams have an order in it, and then has one. */
#include "transport/webtransport/priority.h"

#include <assert.h>
#include <yomo/error.h>

struct yo_turn_group {
    struct yo_place place;  /* first */
    struct yo_link link;    /* in turns->groups */
    struct yo_link members; /* that can send: struct yo_place */
    uint64_t id;
    size_t count;
};

static struct yo_place *place_of(struct yo_link *link)
{
    return YO_CONTAINER(link, struct yo_place, link);
}

void yo_turns_init(struct yo_turns *turns)
{
    yo_list_init(&turns->waiting);
    yo_list_init(&turns->groups);
}

void yo_place_init(struct yo_place *place)
{
    *place = (struct yo_place){.group = NULL};
    yo_list_init(&place->link);
}

static struct yo_turn_group *group_of(struct yo_turns *turns, uint64_t id)
{
    YO_LIST_EACH(link, next, &turns->groups)
    {
        struct yo_turn_group *group = YO_CONTAINER(link, struct yo_turn_group, link);
        if (group->id == id) {
            return group;
        }
    }
    return NULL;
}

static void leave_group(struct yo_place *place, const struct yomo_mem *mem)
{
    struct yo_turn_group *group = place->group;
    place->group = NULL;
    if (group && --group->count == 0) {
        assert(yo_list_empty(&group->members));
        yo_list_remove(&group->place.link);
        yo_list_remove(&group->link);
        yo_free(mem, group);
    }
}

int yo_turns_order(struct yo_turns *turns, struct yo_place *place, uint64_t id,
                   int64_t order, const struct yomo_mem *mem)
{
    struct yo_turn_group *group = group_of(turns, id);
    bool waits = yo_place_waits(place);
    if (!group) {
        group = yo_calloc(mem, 1, sizeof(*group));
        if (!group) {
            return YOMO_ERR_NOMEM;
        }
        yo_place_init(&group->place);
        group->place.is_group = true;
        group->id = id;
        yo_list_init(&group->members);
        yo_list_push_back(&turns->groups, &group->link);
    }
    group->count++; /* first, since it may be the one that it leaves */
    yo_turns_remove(turns, place);
    leave_group(place, mem);
    place->group = group;
    place->order = order;
    if (waits) {
        yo_turns_add(turns, place);
    }
    return YOMO_OK;
}

void yo_turns_forget(struct yo_turns *turns, struct yo_place *place,
                     const struct yomo_mem *mem)
{
    yo_turns_remove(turns, place);
    leave_group(place, mem);
}

void yo_turns_add(struct yo_turns *turns, struct yo_place *place)
{
    struct yo_turn_group *group = place->group;
    assert(!yo_place_waits(place));
    if (!group) {
        yo_list_push_back(&turns->waiting, &place->link);
        return;
    }
    struct yo_link *at = group->members.prev;
    while (at != &group->members && place_of(at)->order < place->order) {
        at = at->prev;
    }
    yo_list_push_front(at, &place->link);
    if (!yo_place_waits(&group->place)) {
        yo_list_push_back(&turns->waiting, &group->place.link);
    }
}

void yo_turns_remove(struct yo_turns *turns, struct yo_place *place)
{
    (void)turns;
    if (!yo_place_waits(place)) {
        return;
    }
    yo_list_remove(&place->link);
    if (place->group && yo_list_empty(&place->group->members)) {
        yo_list_remove(&place->group->place.link);
    }
}

struct yo_place *yo_turns_first(const struct yo_turns *turns)
{
    if (yo_turns_empty(turns)) {
        return NULL;
    }
    struct yo_place *place = place_of(turns->waiting.next);
    return place->is_group
               ? place_of(((struct yo_turn_group *)(void *)place)->members.next)
               : place;
}

void yo_turns_pop(struct yo_turns *turns)
{
    struct yo_place *place = yo_turns_first(turns);
    struct yo_turn_group *group = place->group;
    yo_turns_remove(turns, place);
    if (group && yo_place_waits(&group->place)) {
        yo_list_remove(&group->place.link);
        yo_list_push_back(&turns->waiting, &group->place.link);
    }
}

bool yo_turns_more(const struct yo_turns *turns)
{
    if (yo_turns_empty(turns)) {
        return false;
    }
    struct yo_link *first = turns->waiting.next;
    if (first->next != &turns->waiting) {
        return true;
    }
    struct yo_place *place = place_of(first);
    struct yo_turn_group *group = (struct yo_turn_group *)(void *)place;
    return place->is_group && group->members.next->next != &group->members;
}
