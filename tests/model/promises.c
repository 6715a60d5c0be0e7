/* SPDX-License-Identifier: MIT */
/* promises.c - what must be true once all is quiet: everybody is there again, and
 * nothing is on its way. */
#include <stdio.h>
#include <string.h>

#include "model.h"

/* Everybody is connected, in the rooms that it wants, and has had all its answers. */
static void check_rest(struct model *model)
{
    for (uint32_t i = 0; i < model->member_count; i++) {
        const struct member *member = model->members[i];
        if (member->dead) {
            continue;
        }
        if (member->state != YOMO_CLIENT_OPEN) {
            model_fail(model, "%s has not come back", member->id);
        }
        for (uint32_t r = 0; r < ROOMS; r++) {
            if (member->seats[r].room && !member->seats[r].joined) {
                model_fail(model, "%s has not come into room %u", member->id, r);
            }
        }
    }
    for (uint32_t i = 0; i < model->said_count; i++) {
        const struct said *said = &model->said[i];
        if (!said->answered && !model->members[said->author]->dead) {
            model_fail(model, "%s never heard what became of %u",
                       model->members[said->author]->id, said->serial);
        }
    }
}

/* A RELIABLE message that got its place was heard by everybody who was there, or they
 * were told that they miss something. What is for one member is for one session of it.
 */
static void check_reliable(struct model *model, const struct said *said)
{
    const struct member *author = model->members[said->author];
    for (uint32_t i = 0; i < model->member_count; i++) {
        const struct member *member = model->members[i];
        const struct seat *seat = &member->seats[said->room];
        if (member == author || member->dead || !seat->joined ||
            seat->event >= said->event || seat->gap >= said->event ||
            (said->only >= 0 &&
             (said->only != (int32_t)i || member->session_event >= said->event))) {
            continue;
        }
        if (!(said->heard & 1u << i)) {
            model_fail(model, "%s never heard %s's %u of room %u, nor of a gap",
                       member->id, author->id, said->serial, said->room);
        }
    }
}

/* Who is in the room is who the others see there, with the state that it has. */
static void check_roster(struct model *model, const struct member *member,
                         uint32_t room)
{
    const struct seat *seat = &member->seats[room];
    size_t there = 0;
    for (uint32_t i = 0; i < model->member_count; i++) {
        const struct member *other = model->members[i];
        char number[32];
        if (other == member || other->dead || !other->seats[room].joined) {
            continue;
        }
        there++;
        snprintf(number, sizeof(number), "\"s\":%u}", other->seats[room].state);
        for (size_t j = 0; j <= seat->seen_count; j++) {
            const struct seen *seen = &seat->seen[j];
            if (j == seat->seen_count) {
                model_fail(model, "%s does not see %s in room %u", member->id,
                           other->id, room);
            }
            if (seen->session != other->session) {
                continue;
            }
            if (strcmp(seen->id, other->id) != 0 || seen->stale ||
                !strstr(seen->state, number)) {
                model_fail(model, "%s sees %s in room %u as %s%s, which is %s",
                           member->id, other->id, room, seen->state,
                           seen->stale ? ", stale" : "", number);
            }
            break;
        }
    }
    if (there != seat->seen_count) {
        model_fail(model, "%s sees %zu in room %u where %zu are", member->id,
                   seat->seen_count, room, there);
    }
}

/* All see the same value, and it is what the increments that were done make of it;
 * those whose connection broke may have been done. */
static void check_value(struct model *model, uint32_t room)
{
    const struct member *first = NULL;
    uint32_t least = 0, most = 0, number = 0, other;
    uint64_t version = 0, other_version;
    for (uint32_t i = 0; i < model->said_count; i++) {
        const struct said *said = &model->said[i];
        if (said->value && said->room == room) {
            bool done = said->answered && said->outcome == YOMO_OK;
            least += done && said->crashes == model->crashes && model->crashes == 0;
            most += done || !said->answered || said->outcome == YOMO_ERR_CLOSED;
        }
    }
    for (uint32_t i = 0; i < model->member_count; i++) {
        const struct member *member = model->members[i];
        if (member->dead || !member->seats[room].joined) {
            continue;
        }
        (void)member_sees_value(member, room, &other, &other_version);
        if (first && (other != number || other_version != version)) {
            model_fail(model, "in room %u %s sees %u and %s %u", room, first->id,
                       number, member->id, other);
        }
        first = member;
        number = other;
        version = other_version;
    }
    if (first && (number < least || number > most)) {
        model_fail(model, "the value of room %u is %u, after %u to %u increments", room,
                   number, least, most);
    }
}

void promises_check(struct model *model)
{
    check_rest(model);
    for (uint32_t i = 0; i < model->said_count; i++) {
        const struct said *said = &model->said[i];
        if (!said->value && said->delivery == YOMO_RELIABLE && said->answered &&
            said->outcome == YOMO_OK) {
            check_reliable(model, said);
        }
    }
    for (uint32_t r = 0; r < ROOMS; r++) {
        check_value(model, r);
    }
    for (uint32_t i = 0; i < model->member_count; i++) {
        for (uint32_t r = 0; r < ROOMS; r++) {
            if (!model->members[i]->dead && model->members[i]->seats[r].joined) {
                check_roster(model, model->members[i], r);
            }
        }
    }
}
