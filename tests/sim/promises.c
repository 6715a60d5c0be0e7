/* SPDX-License-Identifier: MIT */
/* promises.c - what must be true once nothing is on its way any more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "sim/program.h"
#include "wire/json.h"

static void copy_state(char *out, size_t size, const struct yo_member *member,
                       bool page)
{
    struct yo_buf json;

    yo_buf_init(&json, &yo_mem_libc);
    if (member->state) {
        assert_int_equal(yo_mp_to_json(&json, yo_blob_span(member->state)), YOMO_OK);
    } else if (page) {
        yo_buf_printf(&json, "{\"id\":\"%s\"}", member->label);
    }
    snprintf(out, size, "%.*s", (int)json.size,
             json.data ? (const char *)json.data : "");
    yo_buf_finish(&json);
}

static const struct sim_seen *find(const struct sim_attendance *room, uint64_t session,
                                   const char *peer)
{
    for (size_t i = 0; i < room->roster_count; i++) {
        if (room->roster[i].session == session && !strcmp(room->roster[i].peer, peer)) {
            return &room->roster[i];
        }
    }
    return NULL;
}

static void check_seen(const struct sim_program *program, size_t index,
                       const struct yo_member *member)
{
    const struct sim_attendance *room = &program->rooms[index];
    bool page = program->presencejs;
    const char *peer = page ? member->label : member->id;
    const struct sim_seen *seen = find(room, page ? 0 : member->session, peer);
    char state[128];

    SIM_ASSERT(program->sim, seen, "%s does not see %s/%u in room %s", program->name,
               peer, (unsigned)member->session, sim_room_names[index]);
    copy_state(state, sizeof(state), member, page);
    SIM_ASSERT(program->sim, !strcmp(seen->state, state),
               "%s sees %s in room %s with %s instead of %s", program->name, peer,
               sim_room_names[index], seen->state, state);
    SIM_ASSERT(program->sim, page || seen->version == member->version,
               "%s has another version of %s", program->name, peer);
}

/* The extension sees sessions, presencejs labels; nobody itself. */
static void check_roster(const struct sim_program *program, size_t index)
{
    const struct yo_room *home = &program->backend->rooms[index].room;
    const struct sim_attendance *room = &program->rooms[index];
    size_t count = 0;

    if (program->presencejs) {
        struct yo_member *member = NULL;
        while ((member = yo_room_next_label(home, member, program->peer->id))) {
            check_seen(program, index, member);
            count++;
        }
        count +=
            find(room, 0, room->label) != NULL; /* its own; pages do not look at it */
    } else {
        YO_LIST_EACH(link, next, &home->by_age)
        {
            struct yo_member *member = YO_CONTAINER(link, struct yo_member, by_age);
            if (member->session != program->peer->id) {
                check_seen(program, index, member);
                count++;
            }
        }
    }
    SIM_ASSERT(program->sim, count == room->roster_count,
               "%s sees %u members in room %s, where %u are", program->name,
               (unsigned)room->roster_count, sim_room_names[index], (unsigned)count);
}

/* All that it sent and was to be RELIABLE has its place, once and in order. */
static void check_sent(const struct sim_program *program, size_t index)
{
    const struct sim_attendance *room = &program->rooms[index];
    const struct sim_room *home = &program->backend->rooms[index];
    size_t next = 0;

    for (size_t i = 0; i < home->placed_count; i++) {
        const struct sim_placed *placed = &home->placed[i];
        if (placed->session == program->peer->id && placed->id % 3 == YOMO_RELIABLE) {
            SIM_ASSERT(program->sim,
                       next < room->sent_count && room->sent[next] == placed->id,
                       "message %u of %s has its place out of order",
                       (unsigned)placed->id, program->name);
            next++;
        }
    }
    SIM_ASSERT(program->sim, next == room->sent_count,
               "%u messages of %s in room %s never came",
               (unsigned)(room->sent_count - next), program->name,
               sim_room_names[index]);
}

/* It has heard all that was RELIABLE since it came. */
static void check_heard(const struct sim_program *program, size_t index)
{
    const struct sim_attendance *room = &program->rooms[index];
    const struct sim_room *home = &program->backend->rooms[index];

    for (size_t i = room->placed_next; i < home->placed_count; i++) {
        const struct sim_placed *placed = &home->placed[i];
        bool after = program->presencejs ? placed->order > room->order
                                         : placed->sequence > room->sequence;
        SIM_ASSERT(program->sim,
                   placed->delivery != YOMO_RELIABLE || !after ||
                       placed->session == program->peer->id,
                   "%s never heard message %u of room %s", program->name,
                   (unsigned)placed->id, sim_room_names[index]);
    }
}

static size_t value_index(const char *value)
{
    return (size_t)(value[1] - '0') * 3 + (size_t)(value[4] - '0');
}

/* The newest of each value is at the home, and at all who were in. */
static void check_latest(const struct sim_program *program, size_t index)
{
    static uint64_t newest[SIM_PEERS_MAX + 1][SIM_VALUES];
    static uint64_t order[SIM_PEERS_MAX + 1][SIM_VALUES];
    const struct sim_attendance *room = &program->rooms[index];
    const struct sim_room *home = &program->backend->rooms[index];

    memset(newest, 0, sizeof(newest));
    for (size_t i = 0; i < home->placed_count; i++) {
        const struct sim_placed *placed = &home->placed[i];
        if (placed->delivery == YOMO_LATEST) {
            newest[placed->session][value_index(placed->value)] = placed->version;
            order[placed->session][value_index(placed->value)] = placed->order;
        }
    }
    for (size_t s = 1; s <= program->backend->peer_count; s++) {
        for (size_t v = 0; v < SIM_VALUES; v++) {
            if (s == program->peer->id) {
                SIM_ASSERT(
                    program->sim,
                    room->latest_sent[v] == 0 || newest[s][v] == room->latest_sent[v],
                    "the newest value %u of %s never came", (unsigned)v, program->name);
            } else if (newest[s][v] &&
                       order[s][v] > program->peer->seats[index].order) {
                SIM_ASSERT(program->sim, room->latest_seen[s][v] == newest[s][v],
                           "%s never heard the newest value %u of [%u]", program->name,
                           (unsigned)v, (unsigned)s);
            }
        }
    }
}

void sim_promises_check(struct sim_program *program)
{
    bool lossy = program->presencejs && program->transport == SIM_WEBTRANSPORT;

    SIM_ASSERT(program->sim, program->connected, "%s is not connected", program->name);
    for (size_t i = 0; i < SIM_ROOMS; i++) {
        struct sim_attendance *room = &program->rooms[i];
        bool in = program->peer->seats[i].in;
        SIM_ASSERT(program->sim, room->phase == SIM_OUT || room->phase == SIM_IN,
                   "%s still waits for an answer about room %s", program->name,
                   sim_room_names[i]);
        SIM_ASSERT(program->sim, lossy || in == (room->phase == SIM_IN),
                   "%s and the home do not agree on room %s", program->name,
                   sim_room_names[i]);
        if (room->phase == SIM_IN && in) {
            check_roster(program, i);
            if (!lossy) {
                check_heard(program, i);
            }
            if (!program->presencejs) {
                check_latest(program, i);
            }
        }
        if (!lossy && !program->peer->put_out[i]) {
            check_sent(program, i);
        }
    }
    SIM_ASSERT(program->sim,
               program->presencejs || program->numbered == program->confirmed,
               "%s asked %u times and was answered %u times", program->name,
               (unsigned)program->numbered, (unsigned)program->confirmed);
}
