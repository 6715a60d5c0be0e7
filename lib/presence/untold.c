/* SPDX-License-Identifier: MIT */
/* untold.c - invariants, asserted by yo_room_check():
 *  1. a member is in the room's list exactly while `what` is not 0;
 *  2. LEFT stands alone, and a member that has it is not in the room any more;
 *  3. CAME stands beside neither STATE nor DATA: who comes is told with what is newest;
 *     DATA is told as a STATE. */
#include "presence/untold.h"

#include "base/check.h"
#include "presence/room.h"

static void begin(struct yo_room *room, struct yo_member *member, unsigned what)
{
    struct yo_untold *untold = &member->untold;

    if (untold->what == 0) {
        untold->shown = room->shown;
        yo_list_push_back(&room->untold, &untold->link);
        room->untold_count++;
    }
    untold->what = what;
}

static void end(struct yo_room *room, struct yo_member *member)
{
    yo_list_remove(&member->untold.link);
    member->untold.what = 0;
    room->untold_count--;
}

void yo_untold_came(struct yo_room *room, struct yo_member *member)
{
    begin(room, member, YO_UNTOLD_CAME);
}

void yo_untold_state(struct yo_room *room, struct yo_member *member)
{
    if (!(member->untold.what & YO_UNTOLD_CAME)) {
        begin(room, member, member->untold.what | YO_UNTOLD_STATE);
    }
}

void yo_untold_data(struct yo_room *room, struct yo_member *member)
{
    if (!(member->untold.what & YO_UNTOLD_CAME)) {
        begin(room, member, member->untold.what | YO_UNTOLD_DATA);
    }
}

void yo_untold_stale(struct yo_room *room, struct yo_member *member)
{
    begin(room, member, member->untold.what | YO_UNTOLD_STALE);
}

bool yo_untold_left(struct yo_room *room, struct yo_member *member)
{
    bool unknown =
        (member->untold.what & YO_UNTOLD_CAME) && member->untold.shown == room->shown;

    if (unknown) {
        end(room, member);
        return false;
    }
    begin(room, member, YO_UNTOLD_LEFT);
    return true;
}

/* --- for the room's owner --------------------------------------------------------- */

void yo_room_show(struct yo_room *room)
{
    room->shown++;
}

struct yo_member *yo_room_untold(const struct yo_room *room,
                                 const struct yo_member *after)
{
    const struct yo_link *link = after ? after->untold.link.next : room->untold.next;

    return link == &room->untold ? NULL
                                 : YO_CONTAINER(link, struct yo_member, untold.link);
}

/* What is told of its data: that there is none any more is an empty map. */
static struct yo_span data_of(const struct yo_member *member, unsigned what)
{
    static const uint8_t empty[] = {0x80};

    if (member->data && (what & (YO_UNTOLD_CAME | YO_UNTOLD_DATA))) {
        return yo_blob_span(member->data);
    }
    return what & YO_UNTOLD_DATA ? yo_span(empty, sizeof(empty)) : YO_SPAN_NONE;
}

static struct yo_change change_of(const struct yo_member *member,
                                  enum yo_change_kind kind)
{
    return (struct yo_change){.kind = kind,
                              .session = member->session,
                              .peer = member->id,
                              .state = member->state, /* none, when it left */
                              .version = member->version,
                              .since_ms = member->since_ms};
}

size_t yo_member_untold(const struct yo_member *member,
                        struct yo_change out[YO_UNTOLD_MAX])
{
    unsigned what = member->untold.what;
    size_t count = 0;

    if (what & YO_UNTOLD_LEFT) {
        out[count++] = change_of(member, YO_CHANGE_OFFLINE);
    } else if (what & (YO_UNTOLD_CAME | YO_UNTOLD_STATE | YO_UNTOLD_DATA)) {
        out[count] = change_of(member, what & YO_UNTOLD_CAME ? YO_CHANGE_ONLINE
                                                             : YO_CHANGE_STATE);
        out[count++].data = data_of(member, what);
    }
    if (what & YO_UNTOLD_STALE) {
        out[count++] =
            change_of(member, member->stale ? YO_CHANGE_STALE : YO_CHANGE_BACK);
    }
    return count;
}

void yo_room_told(struct yo_room *room, uint64_t numbers)
{
    struct yo_member *member;

    while ((member = yo_room_untold(room, NULL)) != NULL) {
        bool gone = member->untold.what & YO_UNTOLD_LEFT;
        end(room, member);
        if (gone) {
            yo_member_free(room, member);
        }
    }
    room->sequence += numbers;
}
