/* SPDX-License-Identifier: MIT */
/* locks.c - a lock is held by one at most, by everybody's own account; its version
 * grows from holder to holder; and it does not stay with one who is gone.
 *
 * A server that died knows of none: who held one believes so until its lease is over,
 * and is told no later than when it is back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "chance.h"
#include "model.h"

#define KEY "door"

void locks_told(struct member *member, yomo_room *room, bool held, uint64_t version)
{
    struct model *model = member->model;
    uint32_t r = room_of(room);
    struct seat *seat = &member->seats[r];
    struct lock *lock = &model->locks[r];
    model_tell(model, "%s %s the lock of %s, version %llu", member->name,
               held ? "has" : "has lost", room_name(r), (unsigned long long)version);
    if (seat->holds == held) {
        model_fail(model, "that was so before");
    }
    seat->holds = held;
    seat->holds_crashes = model->crashes;
    if (!held) {
        return;
    }
    for (uint32_t i = 0; i < model->member_count; i++) {
        const struct member *other = model->members[i];
        if (other != member && !other->dead && other->seats[r].holds &&
            other->seats[r].holds_crashes == model->crashes) {
            model_fail(model, "%s has it", other->name);
        }
    }
    if (lock->crashes == model->crashes && version <= lock->version) {
        model_fail(model, "it had version %llu before",
                   (unsigned long long)lock->version);
    }
    *lock = (struct lock){.version = version, .crashes = model->crashes};
    model->tally.locks++;
}

/* It is told whose it is. */
void locks_seen(struct member *member, yomo_room *room, const yomo_value *value)
{
    model_tell(member->model, "%s sees the lock of %s: %s (%llu), version %llu",
               member->name, yomo_room_name(room),
               yomo_value_gone(value) ? "free" : yomo_value_from(value),
               (unsigned long long)yomo_value_session(value),
               (unsigned long long)yomo_value_version(value));
}

static void lock(struct member *member, uint32_t room, uint64_t lease_ms,
                 uint64_t wait_ms)
{
    struct model *model = member->model;
    struct said *said = say_new(member, room);
    if (!said) {
        return;
    }
    said->what = SAID_LOCK;
    int32_t rv =
        yomo_room_lock(member->seats[room].room, KEY, lease_ms, wait_ms, &said->number);
    model_tell(model, "%s wants the lock of %s for %llu ms, in %llu ms%s%s",
               member->name, room_name(room), (unsigned long long)lease_ms,
               (unsigned long long)wait_ms, rv ? ": " : "",
               rv ? yomo_error_name(rv) : "");
    model->said_count += rv == YOMO_OK;
}

static void unlock(struct member *member, uint32_t room)
{
    member->seats[room].holds = false;
    model_tell(member->model, "%s gives the lock of %s back", member->name,
               room_name(room));
    assert_int_equal(yomo_room_unlock(member->seats[room].room, KEY, NULL), YOMO_OK);
}

void locks_want(struct member *member, uint32_t room)
{
    static const uint64_t leases[] = {300, 2000, 10000}, waits[] = {0, 1000, 20000};
    if (member->seats[room].holds && chance_of(50)) {
        unlock(member, room);
    } else {
        lock(member, room, leases[chance_below(3)], waits[chance_below(3)]);
    }
}

/* What became of the wish. */
void locks_sent(struct member *member, const struct said *said)
{
    if (said->outcome == YOMO_OK && member->seats[said->room].room &&
        !member->seats[said->room].holds) {
        model_fail(member->model, "it was not told that it has the lock");
    }
}

/* All give it back; then somebody gets it. */
void locks_settle(struct model *model)
{
    struct member *first[ROOMS] = {NULL};
    for (uint32_t r = 0; r < ROOMS; r++) {
        for (uint32_t i = 0; i < model->member_count; i++) {
            struct member *member = model->members[i];
            if (!member_is_there(member, r)) {
                continue;
            }
            first[r] = member;
            if (member->seats[r].holds) {
                unlock(member, r);
            }
        }
        if (first[r]) {
            lock(first[r], r, 20000, 20000);
        }
    }
    model_pass(model, 15 * YO_SECOND);
    for (uint32_t r = 0; r < ROOMS; r++) {
        if (first[r] && !first[r]->seats[r].holds) {
            model_fail(model, "%s does not get the lock of %s", first[r]->name,
                       room_name(r));
        }
    }
}
