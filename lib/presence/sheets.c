/* SPDX-License-Identifier: MIT */
/* sheets.c - invariants, asserted by yo_sheets_check():
 *  1. each member that is seen lies on one sheet; none is empty or has more than
 *     YO_SHEET_MEMBERS_MAX;
 *  2. the members of all sheets, one after the other, are `by_age`;
 *  3. two neighbours have more than half of that together: there are at most
 *     4 * members / YO_SHEET_MEMBERS_MAX + 1 sheets. */
#include "presence/sheets.h"

#include <yomo/error.h>

#include "base/check.h"
#include "presence/room.h"

static struct yo_sheet *of_link(const struct yo_link *link)
{
    return YO_CONTAINER(link, struct yo_sheet, link);
}

static struct yo_sheet *last_of(const struct yo_room *room)
{
    return yo_list_empty(&room->sheets) ? NULL : of_link(room->sheets.prev);
}

static void drop_text(struct yo_room *room, struct yo_sheet *sheet)
{
    for (size_t i = 0; i < sheet->text_count; i++) {
        yo_blob_unref(sheet->text[i]);
    }
    yo_free(room->mem, sheet->text);
    sheet->text = NULL;
    sheet->text_count = 0;
}

static void sheet_free(struct yo_room *room, struct yo_sheet *sheet)
{
    drop_text(room, sheet);
    yo_list_remove(&sheet->link);
    yo_free(room->mem, sheet);
}

int yo_sheets_reserve(struct yo_room *room)
{
    struct yo_sheet *last = last_of(room);

    if (room->spare_sheet || (last && last->count < YO_SHEET_MEMBERS_MAX)) {
        return YOMO_OK;
    }
    room->spare_sheet = yo_calloc(room->mem, 1, sizeof(struct yo_sheet));
    return room->spare_sheet ? YOMO_OK : YOMO_ERR_NOMEM;
}

void yo_sheet_enter(struct yo_room *room, struct yo_member *member)
{
    struct yo_sheet *sheet = last_of(room);

    if (!sheet || sheet->count == YO_SHEET_MEMBERS_MAX) {
        sheet = room->spare_sheet;
        room->spare_sheet = NULL;
        yo_list_init(&sheet->members);
        yo_list_init(&sheet->link);
        yo_list_push_back(&room->sheets, &sheet->link);
    }
    yo_list_push_back(&sheet->members, &member->on_sheet);
    member->sheet = sheet;
    sheet->count++;
    drop_text(room, sheet);
}

/* What is on `from`, which stands behind `to`, goes there if that leaves room. */
static void join_sheets(struct yo_room *room, struct yo_sheet *to,
                        struct yo_sheet *from)
{
    if (to->count + from->count > YO_SHEET_MEMBERS_MAX / 2) {
        return;
    }
    YO_LIST_EACH(link, next, &from->members)
    {
        YO_CONTAINER(link, struct yo_member, on_sheet)->sheet = to;
    }
    yo_list_splice(&to->members, &from->members);
    to->count += from->count;
    drop_text(room, to);
    sheet_free(room, from);
}

void yo_sheet_leave(struct yo_room *room, struct yo_member *member)
{
    struct yo_sheet *sheet = member->sheet;

    yo_list_remove(&member->on_sheet);
    member->sheet = NULL;
    sheet->count--;
    drop_text(room, sheet);
    if (sheet->count == 0) {
        struct yo_link *before = sheet->link.prev, *behind = sheet->link.next;
        sheet_free(room, sheet);
        if (before != &room->sheets && behind != &room->sheets) {
            join_sheets(room, of_link(before), of_link(behind));
        }
        return;
    }
    if (sheet->link.next != &room->sheets) {
        join_sheets(room, sheet, of_link(sheet->link.next));
    }
    if (sheet->link.prev != &room->sheets) {
        join_sheets(room, of_link(sheet->link.prev), sheet);
    }
}

void yo_sheet_changed(struct yo_room *room, struct yo_member *member)
{
    drop_text(room, member->sheet);
}

void yo_sheets_finish(struct yo_room *room)
{
    while (!yo_list_empty(&room->sheets)) {
        sheet_free(room, of_link(room->sheets.next));
    }
    yo_free(room->mem, room->spare_sheet);
    room->spare_sheet = NULL;
}

/* --- for the room's owner ----------------------------------------------------------
 */

struct yo_sheet *yo_room_next_sheet(const struct yo_room *room,
                                    const struct yo_sheet *after)
{
    const struct yo_link *link = after ? after->link.next : room->sheets.next;

    return link == &room->sheets ? NULL : of_link(link);
}

bool yo_sheet_is_last(const struct yo_room *room, const struct yo_sheet *sheet)
{
    return sheet->link.next == &room->sheets;
}

void yo_sheet_keep(struct yo_room *room, struct yo_sheet *sheet, struct yo_blob **text,
                   size_t count)
{
    drop_text(room, sheet);
    sheet->text = text;
    sheet->text_count = count;
}

void yo_sheets_check(const struct yo_room *room)
{
    const struct yo_link *age = room->by_age.next;
    size_t before = YO_SHEET_MEMBERS_MAX;

    for (struct yo_sheet *sheet = yo_room_next_sheet(room, NULL); sheet;
         sheet = yo_room_next_sheet(room, sheet)) {
        size_t count = 0;
        YO_LIST_EACH(link, next, &sheet->members)
        {
            const struct yo_member *member =
                YO_CONTAINER(link, struct yo_member, on_sheet);
            assert(member->sheet == sheet && age == &member->by_age);
            age = age->next;
            count++;
        }
        assert(count > 0 && count == sheet->count && count <= YO_SHEET_MEMBERS_MAX);
        assert(before + count > YO_SHEET_MEMBERS_MAX / 2);
        before = count;
    }
    assert(age == &room->by_age);
    (void)before;
    (void)age;
}
