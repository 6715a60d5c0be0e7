/* SPDX-License-Identifier: MIT */
/* priority.h - whose turn it is to send: W3C WebTransport's sendOrder and sendGroup.
 *
 * Streams that can send take turns. One without an order has a turn of its own; those
 * of a group that have one share a turn, which goes to the greatest order that can
 * send, and among equals to the one that has waited longest. */
#ifndef YO_WEBTRANSPORT_PRIORITY_H
#define YO_WEBTRANSPORT_PRIORITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/mem.h"

struct yo_turns {           /* of one session */
    struct yo_link waiting; /* of struct yo_place: streams without order, and groups */
    struct yo_link groups;
};

struct yo_turn_group;

struct yo_place {        /* a stream's, or a group's */
    struct yo_link link; /* in turns->waiting, or in its group; alone: it cannot send */
    struct yo_turn_group *group; /* a stream's with an order; a group's own is NULL */
    bool is_group;
    int64_t order;
};

void yo_turns_init(struct yo_turns *turns);
void yo_place_init(struct yo_place *place);

/* Give a stream its order in `group`, which is made for its first member.
 * YOMO_ERR_NOMEM: it is as it was. */
int yo_turns_order(struct yo_turns *turns, struct yo_place *place, uint64_t group,
                   int64_t order, const struct yomo_mem *mem);
/* It has none any more: to be called before it is freed. */
void yo_turns_forget(struct yo_turns *turns, struct yo_place *place,
                     const struct yomo_mem *mem);

static inline bool yo_turns_empty(const struct yo_turns *turns)
{
    return turns->waiting.next == &turns->waiting;
}

static inline bool yo_place_waits(const struct yo_place *place)
{
    return place->link.next != &place->link;
}

/* It can send now; it cannot. */
void yo_turns_add(struct yo_turns *turns, struct yo_place *place);
void yo_turns_remove(struct yo_turns *turns, struct yo_place *place);

/* Whose turn it is; NULL when nobody waits. */
struct yo_place *yo_turns_first(const struct yo_turns *turns);
/* The first one has had it: it is out, and the turn of its group comes after all the
 * others. */
void yo_turns_pop(struct yo_turns *turns);
/* Does another wait besides the first? */
bool yo_turns_more(const struct yo_turns *turns);

#endif
