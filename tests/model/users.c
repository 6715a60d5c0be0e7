/* SPDX-License-Identifier: MIT */
/* users.c - persons: told of with their first device and with their last, in between
 * never; and they are those whose devices are there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "model.h"

static size_t devices(const struct seat *seat, const char *id)
{
    size_t count = 0;
    for (size_t i = 0; i < seat->seen_count; i++) {
        count += strcmp(seat->seen[i].id, id) == 0;
    }
    return count;
}

void users_told(struct member *member, yomo_room *room, const yomo_user *who,
                int32_t change)
{
    struct model *model = member->model;
    struct seat *seat = &member->seats[room_of(room)];
    const char *id = yomo_user_id(who);
    bool comes = change != YOMO_PEER_LEFT;
    size_t i = 0;
    model_tell(model, "%s sees in %s: person %s %s, %llu devices", member->name,
               yomo_room_name(room), id,
               change == YOMO_PEER_LEFT     ? "went"
               : change == YOMO_PEER_JOINED ? "came"
                                            : "is there",
               (unsigned long long)yomo_user_devices(who));
    while (i < seat->user_count && strcmp(seat->users[i], id) != 0) {
        i++;
    }
    if (comes != (i == seat->user_count)) {
        model_fail(model, comes ? "the person was there" : "the person was not there");
    }
    if (comes != (devices(seat, id) > 0)) {
        model_fail(model, comes ? "no device of it is" : "a device of it still is");
    }
    if (comes) {
        assert_true(i < MEMBERS_MAX);
        snprintf(seat->users[seat->user_count++], sizeof(seat->users[0]), "%s", id);
    } else {
        memmove(seat->users[i], seat->users[--seat->user_count],
                sizeof(seat->users[0]));
    }
}

/* What the client has of it is what it told. */
void users_check(const struct member *member, uint32_t room)
{
    struct model *model = member->model;
    const struct seat *seat = &member->seats[room];
    yomo_users *users;
    size_t all = 0;
    assert_int_equal(yomo_room_users(seat->room, &users), YOMO_OK);
    if (yomo_users_count(users) != seat->user_count) {
        model_fail(model, "%s was told of %zu persons in %s, its client has %zu",
                   member->name, seat->user_count, room_name(room),
                   yomo_users_count(users));
    }
    for (size_t i = 0; i < seat->user_count; i++) {
        const yomo_user *user = yomo_users_at(users, i);
        size_t count = devices(seat, yomo_user_id(user));
        all += count;
        if (count == 0 || count != yomo_user_devices(user)) {
            model_fail(model, "%s sees %zu devices of %s in %s, its client %llu",
                       member->name, count, yomo_user_id(user), room_name(room),
                       (unsigned long long)yomo_user_devices(user));
        }
    }
    if (all != seat->seen_count) {
        model_fail(model, "%s sees devices of nobody", member->name);
    }
    yomo_users_free(users);
}
