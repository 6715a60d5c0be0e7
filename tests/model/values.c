/* SPDX-License-Identifier: MIT */
/* values.c - what a room shares: all see the same, in versions that only grow, and of
 * increments that go by the version as many count as were done. */
#include <stdio.h>
#include <stdlib.h>

#include "model.h"

/* What it sees of the shared value; nothing: 0. */
static void look(const struct member *member, uint32_t room, uint32_t *number,
                 uint64_t *version)
{
    yomo_values *values = NULL;
    *number = 0;
    *version = 0;
    if (yomo_room_value(member->seats[room].room, "n", &values) == YOMO_OK &&
        yomo_values_count(values) == 1) {
        const yomo_value *value = yomo_values_at(values, 0);
        *number = (uint32_t)strtoul(yomo_value_data(value, NULL), NULL, 10);
        *version = yomo_value_version(value);
    }
    yomo_values_free(values);
}

void values_increment(struct member *member, uint32_t room)
{
    struct model *model = member->model;
    struct said *said = say_new(member, room);
    uint32_t number;
    uint64_t version;
    char text[16];
    if (!said) {
        return;
    }
    look(member, room, &number, &version);
    said->what = SAID_VALUE;
    said->serial = number + 1;
    int size = snprintf(text, sizeof(text), "%u", number + 1);
    int32_t rv =
        yomo_room_set_value_if(member->seats[room].room, "n", text, (size_t)size,
                               YOMO_JSON, version, &said->number);
    model_tell(model, "%s wants the value of %s to be %u, if its version is %llu%s%s",
               member->name, room_name(room), number + 1, (unsigned long long)version,
               rv ? ": " : "", rv ? yomo_error_name(rv) : "");
    model->said_count += rv == YOMO_OK;
}

void values_told(struct member *member, yomo_room *room, const yomo_value *value)
{
    struct model *model = member->model;
    struct seat *seat = &member->seats[room_of(room)];
    bool gone = yomo_value_gone(value) != 0;
    model_tell(model, "%s sees the value of %s: %s, version %llu", member->name,
               yomo_room_name(room),
               gone ? "gone" : (const char *)yomo_value_data(value, NULL),
               (unsigned long long)yomo_value_version(value));
    if (seat->crashes == model->crashes && yomo_value_version(value) <= seat->version) {
        model_fail(model, "it has seen version %llu",
                   (unsigned long long)seat->version);
    }
    seat->crashes = model->crashes;
    /* Nobody deletes it: the server that had it has died. */
    seat->version = gone ? 0 : yomo_value_version(value);
}

/* Those whose connection broke may have been done. */
static void count(const struct model *model, uint32_t room, uint32_t *least,
                  uint32_t *most)
{
    *least = *most = 0;
    for (uint32_t i = 0; i < model->said_count; i++) {
        const struct said *said = &model->said[i];
        if (said->what == SAID_VALUE && said->room == room) {
            bool done = said->answered && said->outcome == YOMO_OK;
            *least += done && said->crashes == model->crashes && model->crashes == 0;
            *most += done || !said->answered || said->outcome == YOMO_ERR_UNSURE;
        }
    }
}

void values_check(struct model *model, uint32_t room)
{
    const struct member *first = NULL;
    uint32_t least, most, number = 0, other;
    uint64_t version = 0, other_version;
    count(model, room, &least, &most);
    for (uint32_t i = 0; i < model->member_count; i++) {
        const struct member *member = model->members[i];
        if (!member_is_there(member, room)) {
            continue;
        }
        look(member, room, &other, &other_version);
        if (first && (other != number || other_version != version)) {
            model_fail(model, "in room %u %s sees %u and %s %u", room, first->name,
                       number, member->name, other);
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
