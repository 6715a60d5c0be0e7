/* SPDX-License-Identifier: MIT */
/* untold.h - what the members of the extension have not been told yet of each other.
 *
 * Changes wait here until the room's owner tells all of them together (yo_room_told),
 * so of one member only what is newest is told: states take each other's place, and who
 * came and left meanwhile was never there. Unless a snapshot has shown it: who got that
 * one knows a member whose coming nobody was told of, and must hear that it left.
 *
 * What waits lies in the members themselves, so noting it cannot fail; one that left is
 * kept, out of the room, until that was told. Pure, as room.h, whose part this is. */
#ifndef YO_PRESENCE_UNTOLD_H
#define YO_PRESENCE_UNTOLD_H

#include "base/list.h"
#include "base/time.h"

struct yo_room;
struct yo_member;

/* What waits of one member; bits. */
enum {
    YO_UNTOLD_CAME = 1,
    YO_UNTOLD_STATE = 2,
    YO_UNTOLD_LEFT = 4,
    YO_UNTOLD_STALE = 8, /* whether its connection is there now is another */
    YO_UNTOLD_DATA = 16
};

/* Part of yo_member. */
struct yo_untold {
    struct yo_link link; /* in the room's list, in the order in which it began */
    uint64_t shown;      /* the room's count of snapshots when it began */
    unsigned what;       /* 0: nothing, and not in the list */
};

/* For room.c. */
void yo_untold_came(struct yo_room *room, struct yo_member *member);
void yo_untold_state(struct yo_room *room, struct yo_member *member);
void yo_untold_data(struct yo_room *room, struct yo_member *member);
void yo_untold_stale(struct yo_room *room, struct yo_member *member);

/* It is out of the room. Returns whether it is to be kept until that is told. */
bool yo_untold_left(struct yo_room *room, struct yo_member *member);

#endif
