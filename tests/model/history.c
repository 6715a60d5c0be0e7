/* SPDX-License-Identifier: MIT */
/* history.c - what was said before: what is told of it was said, at those places, in
 * their order and without a hole; and who comes again with a position misses nothing
 * that was said since, or is told so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "chance.h"
#include "model.h"

/* How a room is joined: with what of the past. */
void history_wish(struct member *member, uint32_t room, yomo_join *join,
                  const struct seat *before)
{
    struct model *model = member->model;
    struct seat *seat = &member->seats[room];
    if (before->told != 0 && chance_of(40)) {
        seat->since = before->told;
        seat->since_order = before->told_order;
        yomo_join_set_since(join, seat->since, seat->since_order);
        model_tell(model, "  with what came since %llu",
                   (unsigned long long)seat->since);
    } else if (chance_of(40)) {
        seat->last_max = 1 + (uint32_t)chance_below(20);
        yomo_join_set_history(join, seat->last_max);
        model_tell(model, "  with the last %u", seat->last_max);
    }
}

void history_ask(struct member *member, uint32_t room)
{
    struct seat *seat = &member->seats[room];
    uint64_t before = seat->order != 0 && chance_of(50)
                          ? 1 + chance_below(seat->place[YOMO_NORMAL] + 1)
                          : 0;
    uint32_t max = (uint32_t)chance_below(30);
    uint64_t id;
    int32_t rv = yomo_room_history(seat->room, before, max, &id);
    model_tell(member->model, "%s asks for %u messages of %s before %llu, as %llu%s%s",
               member->name, max, room_name(room), (unsigned long long)before,
               (unsigned long long)id, rv ? ": " : "", rv ? yomo_error_name(rv) : "");
    if (rv == YOMO_OK) {
        seat->asked_before = before;
        seat->asked_max = max;
        seat->asked = id;
    }
}

/* Is there one that must be between two that were told one after the other? */
static void check_hole(struct model *model, uint32_t room, uint64_t order,
                       uint64_t after, uint64_t before)
{
    for (uint32_t i = 0; i < model->said_count; i++) {
        const struct said *said = &model->said[i];
        if (said->what == SAID_MESSAGE && said->delivery == YOMO_RELIABLE &&
            said->room == room && said->only < 0 && said->ttl == 0 &&
            said->order == order && after < said->place && said->place < before) {
            model_fail(model, "%s's %u, at %llu, is not among them",
                       model->members[said->author]->name, said->serial,
                       (unsigned long long)said->place);
        }
    }
}

void history_told(struct member *member, yomo_room *room, yomo_history *history)
{
    struct model *model = member->model;
    uint32_t r = room_of(room);
    const struct seat *seat = &member->seats[r];
    uint64_t order, last = 0;
    size_t count = yomo_history_count(history);
    (void)yomo_room_position(room, &order);
    model_tell(model, "%s is told %zu messages of %s, as %llu: %s; before %llu",
               member->name, count, room_name(r),
               (unsigned long long)yomo_history_id(history),
               yomo_error_name(yomo_history_error(history)),
               (unsigned long long)yomo_history_before(history));
    if (yomo_history_id(history) != seat->asked) {
        return; /* of another question since */
    }
    if (seat->asked_max > 0 && count > seat->asked_max) {
        model_fail(model, "that is too many");
    }
    for (size_t i = 0; i < count; i++) {
        const yomo_message *message = yomo_history_at(history, i);
        struct said *said = say_find(model, message);
        uint64_t place = yomo_message_sequence(message);
        if (said->room != r || said->only >= 0 || said->delivery != YOMO_RELIABLE ||
            !yomo_message_past(message) || place <= last ||
            (seat->asked_before > 0 && place >= seat->asked_before) ||
            (said->place != 0 && said->order == order && said->place != place)) {
            model_fail(model, "%s's %u does not belong there, at %llu",
                       model->members[said->author]->name, said->serial,
                       (unsigned long long)place);
        }
        if (i > 0) {
            check_hole(model, r, order, last, place);
        }
        last = place;
    }
}

/* A message of the past, at a joining or after it. */
void history_heard(struct member *member, uint32_t room, uint64_t place)
{
    struct seat *seat = &member->seats[room];
    if (seat->last_max == 0 || seat->heard_now) {
        return;
    }
    if (++seat->last_count > seat->last_max) {
        model_fail(member->model, "that is more than it asked for");
    }
    if (seat->last_place > 0) {
        check_hole(member->model, room, seat->order, seat->last_place, place);
    }
    seat->last_place = place;
}

/* One who came with a position has heard what was said since, of others. */
bool history_owes(const struct seat *seat, const struct said *said)
{
    return seat->since_order != 0 && said->order == seat->since_order &&
           said->place > seat->since;
}
