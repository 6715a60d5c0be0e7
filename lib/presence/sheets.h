/* SPDX-License-Identifier: MIT */
/* sheets.h - the members of a room in their order of joining, some on each sheet.
 *
 * A snapshot of a large room is the same for all who join, but for what has changed
 * since the last one. So members lie on sheets, and a sheet that is not the last one
 * can keep its text, as the room's owner spells it, until one of its members changes or
 * goes: a join then costs the text of the last sheet, and references to the others.
 *
 * Sheets that get empty are given up, and neighbours that are half empty become one. */
#ifndef YO_PRESENCE_SHEETS_H
#define YO_PRESENCE_SHEETS_H

#include "base/blob.h"
#include "base/list.h"
#include "base/mem.h"

#define YO_SHEET_MEMBERS_MAX 100u

struct yo_room;
struct yo_member;

struct yo_sheet {
    struct yo_link link;    /* in the room's list, in the order of joining */
    struct yo_link members; /* of yo_member.on_sheet, in the same order */
    size_t count;
    struct yo_blob **text; /* the owner's: [text_count] messages; NULL: none is kept */
    size_t text_count;
};

/* For room.c. Make sure that enter cannot fail: YOMO_ERR_NOMEM. */
int yo_sheets_reserve(struct yo_room *room);
void yo_sheet_enter(struct yo_room *room, struct yo_member *member);
void yo_sheet_leave(struct yo_room *room, struct yo_member *member);
void yo_sheet_changed(struct yo_room *room, struct yo_member *member);
void yo_sheets_finish(struct yo_room *room);

/* For the owner. Start with NULL. */
struct yo_sheet *yo_room_next_sheet(const struct yo_room *room,
                                    const struct yo_sheet *after);
bool yo_sheet_is_last(const struct yo_room *room, const struct yo_sheet *sheet);

/* Keep `text`, an array of `count` references, which is the sheet's from here on. */
void yo_sheet_keep(struct yo_room *room, struct yo_sheet *sheet, struct yo_blob **text,
                   size_t count);

/* Asserts what is said above. */
void yo_sheets_check(const struct yo_room *room);

#endif
