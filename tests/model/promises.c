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
            model_fail(model, "%s has not come back", member->name);
        }
        for (uint32_t r = 0; r < ROOMS; r++) {
            if (member->seats[r].room && !member->seats[r].joined) {
                model_fail(model, "%s has not come into room %u", member->name, r);
            }
        }
    }
    for (uint32_t i = 0; i < model->said_count; i++) {
        const struct said *said = &model->said[i];
        if (!said->answered && !model->members[said->author]->dead) {
            model_fail(model, "%s never heard what became of %u",
                       model->members[said->author]->name, said->serial);
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
        if (other == member || !member_is_there(other, room) ||
            other->seats[room].observe) {
            continue;
        }
        there++;
        snprintf(number, sizeof(number), "\"s\":%u}", other->seats[room].state);
        for (size_t j = 0; j <= seat->seen_count; j++) {
            const struct seen *seen = &seat->seen[j];
            if (j == seat->seen_count) {
                model_fail(model, "%s does not see %s in room %u", member->name,
                           other->name, room);
            }
            if (seen->session != other->session) {
                continue;
            }
            if (strcmp(seen->id, other->id) != 0 || seen->stale ||
                !strstr(seen->state, number)) {
                model_fail(model, "%s sees %s in room %u as %s%s, which is %s",
                           member->name, other->name, room, seen->state,
                           seen->stale ? ", stale" : "", number);
            }
            break;
        }
    }
    if (there != seat->seen_count) {
        model_fail(model, "%s sees %zu in room %u where %zu are", member->name,
                   seat->seen_count, room, there);
    }
}

void promises_check(struct model *model)
{
    check_rest(model);
    say_check(model);
    requests_check(model);
    for (uint32_t r = 0; r < ROOMS; r++) {
        values_check(model, r);
        for (uint32_t i = 0; i < model->member_count; i++) {
            if (member_is_there(model->members[i], r)) {
                check_roster(model, model->members[i], r);
                users_check(model->members[i], r);
            }
        }
    }
}
