/* SPDX-License-Identifier: MIT */
#include "sim/program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <yomo/client.h>

#include "base/check.h"
#include "session/numbers.h"
#include "wire/decode.h"
#include "wire/json.h"

static uint64_t next_id; /* of messages; id % 3 is the class */

void sim_program_init(struct sim_program *program, struct sim_backend *backend,
                      const char *user, const char *name, bool presencejs,
                      enum sim_transport transport)
{
    memset(program, 0, sizeof(*program));
    program->sim = backend->sim;
    program->backend = backend;
    program->user = user;
    program->presencejs = presencejs;
    program->transport = transport;
    snprintf(program->name, sizeof(program->name), "%s", name);
    yo_effects_init(&program->effects, program->sim->mem);
    next_id = 0;
}

static void disconnect(struct sim_program *program)
{
    if (program->session) {
        yo_client_session_destroy(program->session);
        program->session = NULL;
        yo_outbox_finish(&program->outbox);
    }
    program->connected = false;
}

void sim_program_finish(struct sim_program *program)
{
    disconnect(program);
    yo_effects_finish(&program->effects);
}

/* --- out --- */

static void flush(struct sim_program *program)
{
    struct yo_outbox_next next;

    while (program->connected && yo_outbox_peek(&program->outbox, &next)) {
        bool datagram = program->transport == SIM_WEBTRANSPORT &&
                        (program->presencejs || next.delivery != YOMO_RELIABLE);
        if (!sim_link_send(program->link, 0, datagram ? LANE_DATAGRAM : next.lane,
                           next.message, datagram ? next.token : 0)) {
            return;
        }
        yo_outbox_sent(&program->outbox, datagram && next.token != 0);
    }
}

static void put(struct sim_program *program, struct yo_span bytes,
                struct yo_outgoing out)
{
    out.message = yo_blob_create(program->sim->mem, bytes);
    assert_non_null(out.message);
    assert_int_equal(yo_outbox_put(&program->outbox, &out), YOMO_OK);
    yo_blob_unref(out.message);
    flush(program);
}

/* --- in: who is there --- */

static struct sim_seen *roster_find(struct sim_attendance *room,
                                    const struct yo_effect *effect)
{
    for (size_t i = 0; i < room->roster_count; i++) {
        struct sim_seen *seen = &room->roster[i];
        if (effect->session ? seen->session == effect->session
                            : yo_span_is(effect->peer, seen->peer)) {
            return seen;
        }
    }
    return NULL;
}

static void copy_json(char *out, size_t size, struct yo_span payload)
{
    struct yo_buf json;

    yo_buf_init(&json, &yo_mem_libc);
    if (payload.data) {
        assert_int_equal(yo_mp_to_json(&json, payload), YOMO_OK);
    }
    snprintf(out, size, "%.*s", (int)json.size,
             json.data ? (const char *)json.data : "");
    yo_buf_finish(&json);
}

/* What the extension tells may be known: a snapshot may be ahead of the changes. */
static void check_change(const struct sim_program *program,
                         const struct sim_attendance *room, const struct sim_seen *seen,
                         const struct yo_effect *effect)
{
    bool ahead = effect->change == YOMO_PEER_STATE;

    SIM_ASSERT(program->sim,
               (effect->change == YOMO_PEER_PRESENT) == (room->phase == SIM_ASKED),
               "%s: snapshot and changes are mixed", program->name);
    SIM_ASSERT(program->sim, effect->session != program->peer->id,
               "%s is told of itself", program->name);
    SIM_ASSERT(program->sim, !ahead || seen, "%s is told the state of nobody",
               program->name);
    SIM_ASSERT(program->sim,
               effect->change == YOMO_PEER_LEFT || !seen ||
                   effect->version >= seen->version,
               "%s is told an old state", program->name);
}

static void on_peer(struct sim_program *program, struct sim_attendance *room,
                    const struct yo_effect *effect)
{
    struct sim_seen *seen = roster_find(room, effect);
    bool comes =
        effect->change == YOMO_PEER_PRESENT || effect->change == YOMO_PEER_JOINED;

    SIM_ASSERT(program->sim, room->phase == SIM_ASKED || room->phase == SIM_IN,
               "%s is told of members of a room it is not in", program->name);
    if (program->presencejs) {
        SIM_ASSERT(program->sim, comes == (seen == NULL),
                   "%s is told of a member that came twice, or that never came",
                   program->name);
    } else {
        check_change(program, room, seen, effect);
    }
    if (effect->change == YOMO_PEER_LEFT) {
        if (seen) {
            *seen = room->roster[--room->roster_count];
        }
        return;
    }
    if (!seen) {
        assert_true(room->roster_count < SIM_ROSTER_MAX);
        seen = &room->roster[room->roster_count++];
        seen->session = effect->session;
        snprintf(seen->peer, sizeof(seen->peer), "%.*s", (int)effect->peer.size,
                 (const char *)effect->peer.data);
    }
    seen->version = effect->version;
    copy_json(seen->state, sizeof(seen->state), effect->payload);
}

/* --- in: messages --- */

static uint64_t id_of(struct yo_span payload)
{
    struct yo_content content;
    char text[32];

    assert_int_equal(yo_content_read(payload, &content), YOMO_OK);
    assert_true(content.bytes.size < sizeof(text));
    memcpy(text, content.bytes.data, content.bytes.size);
    text[content.bytes.size] = 0;
    return strtoull(text, NULL, 10);
}

/* The room's next RELIABLE message that is for us: what must come next. */
static const struct sim_placed *next_placed(struct sim_program *program, size_t index)
{
    struct sim_attendance *room = &program->rooms[index];
    const struct sim_room *home = &program->backend->rooms[index];

    for (; room->placed_next < home->placed_count; room->placed_next++) {
        const struct sim_placed *placed = &home->placed[room->placed_next];
        bool after = program->presencejs ? placed->order > room->order
                                         : placed->sequence > room->sequence;
        if (placed->delivery == YOMO_RELIABLE && after &&
            placed->session != program->peer->id) {
            return placed;
        }
    }
    return NULL;
}

static void on_reliable(struct sim_program *program, size_t index, uint64_t id)
{
    const struct sim_placed *placed = next_placed(program, index);

    SIM_ASSERT(program->sim, placed && placed->id == id,
               "%s: message %u of room %s is not the next one, which is %u",
               program->name, (unsigned)id, sim_room_names[index],
               placed ? (unsigned)placed->id : 0);
    program->rooms[index].placed_next++;
}

static size_t value_of(struct yo_span event, struct yo_span key)
{
    return (size_t)(event.data[1] - '0') * 3 + (size_t)(key.data[1] - '0');
}

static void on_message(struct sim_program *program, size_t index,
                       const struct yo_effect *effect)
{
    struct sim_attendance *room = &program->rooms[index];
    uint64_t id = id_of(effect->payload);
    uint8_t bit = (uint8_t)(1 << (id % 8));
    bool repeats = program->presencejs && program->transport == SIM_WEBTRANSPORT;

    SIM_ASSERT(program->sim, room->phase == SIM_IN, "%s hears a room it is not in",
               program->name);
    SIM_ASSERT(program->sim,
               program->presencejs || effect->session != program->peer->id,
               "%s hears itself", program->name);
    SIM_ASSERT(program->sim, repeats || !(program->heard[id / 8] & bit),
               "%s hears message %u twice", program->name, (unsigned)id);
    program->heard[id / 8] |= bit;
    if (id % 3 == YOMO_RELIABLE &&
        !(program->presencejs && program->transport == SIM_WEBTRANSPORT)) {
        on_reliable(program, index, id);
        SIM_ASSERT(program->sim, program->presencejs || roster_find(room, effect),
                   "%s hears [%u], who is not there", program->name,
                   (unsigned)effect->session);
    }
    if (id % 3 == YOMO_LATEST && !program->presencejs) {
        uint64_t *seen =
            &room->latest_seen[effect->session][value_of(effect->event, effect->key)];
        SIM_ASSERT(program->sim, effect->version > *seen, "%s hears an old value",
                   program->name);
        *seen = effect->version;
    }
}

/* --- effects --- */

static void after(struct sim_program *program);

static void on_joined(struct sim_program *program, size_t index,
                      const struct yo_effect *effect)
{
    struct sim_attendance *room = &program->rooms[index];

    SIM_ASSERT(program->sim, room->phase == SIM_ASKED, "%s is let in unasked",
               program->name);
    room->phase = SIM_IN;
    room->sequence = effect->sequence;
    room->order = program->peer->seats[index].order;
    room->placed_next = 0;
    memset(room->latest_sent, 0, sizeof(room->latest_sent));
}

static void on_left(struct sim_program *program, size_t index)
{
    struct sim_attendance *room = &program->rooms[index];

    SIM_ASSERT(program->sim, room->phase != SIM_OUT, "%s left what it was not in",
               program->name);
    room->phase = SIM_OUT;
    room->left_at = program->sim->now;
    room->roster_count = 0;
}

static void carry_out(struct sim_program *program, const struct yo_effect *effect)
{
    size_t index = sim_room_index(effect->room);

    switch (effect->kind) {
    case YO_EFFECT_SEND:
        put(program, effect->bytes,
            (struct yo_outgoing){.delivery = effect->lane == LANE_DATAGRAM
                                                 ? YOMO_UNRELIABLE
                                                 : YOMO_RELIABLE,
                                 .lane = effect->lane});
        break;
    case YO_EFFECT_READY:
        SIM_ASSERT(program->sim, effect->extension != program->presencejs,
                   "%s takes the server for another kind", program->name);
        break;
    case YO_EFFECT_JOINED:
        on_joined(program, index, effect);
        break;
    case YO_EFFECT_LEFT:
        on_left(program, index);
        break;
    case YO_EFFECT_PEER:
        on_peer(program, &program->rooms[index], effect);
        break;
    case YO_EFFECT_MESSAGE:
        on_message(program, index, effect);
        break;
    case YO_EFFECT_CONFIRMED:
        program->confirmed++;
        break;
    case YO_EFFECT_READ:
    case YO_EFFECT_PONG:
        break;
    default:
        sim_fail(program->sim, "%s: effect %d", program->name, (int)effect->kind);
    }
}

static void tick(void *user)
{
    struct sim_program *program = user;

    if (program->session &&
        yo_client_session_deadline(program->session) <= program->sim->now) {
        yo_effects_clear(&program->effects);
        yo_client_session_tick(program->session, program->sim->now, &program->effects);
        after(program);
    }
}

static void rejoin_wanted(struct sim_program *program);

/* After each call of the session. */
static void after(struct sim_program *program)
{
    bool was_ready = false;

    SIM_ASSERT(program->sim, !program->effects.failed, "%s: out of memory",
               program->name);
    sim_say_effects(program->sim, program->name, &program->effects);
    for (size_t i = 0; i < program->effects.count; i++) {
        carry_out(program, &program->effects.list[i]);
        was_ready |= program->effects.list[i].kind == YO_EFFECT_READY;
    }
    if (yo_client_session_deadline(program->session) != YO_NEVER) {
        sim_at(program->sim, yo_client_session_deadline(program->session), tick,
               program);
    }
    if (was_ready) {
        rejoin_wanted(program);
    }
}

/* --- the link --- */

static void link_message(void *user, uint32_t lane, struct yo_span message)
{
    struct sim_program *program = user;

    if (program->session) {
        yo_effects_clear(&program->effects);
        assert_int_equal(yo_client_session_recv(program->session, lane, message,
                                                program->sim->now, &program->effects),
                         YOMO_OK);
        after(program);
    }
}

static void link_fate(void *user, uint64_t token, bool acked)
{
    struct sim_program *program = user;

    if (program->session && yo_outbox_fate(&program->outbox, token, acked)) {
        flush(program);
    }
}

static void link_writable(void *user)
{
    flush(user);
}

static void connect_again(void *user)
{
    sim_program_connect(user);
}

static void link_cut(void *user)
{
    struct sim_program *program = user;

    disconnect(program);
    for (size_t i = 0; i < SIM_ROOMS; i++) {
        struct sim_attendance *room = &program->rooms[i];
        bool wanted = room->phase == SIM_ASKED || room->phase == SIM_IN;
        memset(room, 0, sizeof(*room));
        room->wanted = wanted;
    }
    memset(program->heard, 0, sizeof(program->heard));
    program->numbered = program->confirmed = 0;
    sim_say(program->sim, "%s lost its connection", program->name);
    sim_at(program->sim, program->sim->now + (1 + sim_below(program->sim, 100)) * YO_MS,
           connect_again, program);
}

void sim_program_connect(struct sim_program *program)
{
    static const struct yo_outbox_limits limits = {1 << 20, 1 << 20, 64};
    struct sim *sim = program->sim;
    const struct yo_client_identity identity = {.id = yo_span_of(program->user),
                                                .datagrams = program->transport ==
                                                             SIM_WEBTRANSPORT};
    struct sim_end ends[2] = {
        {link_message, link_fate, link_writable, link_cut, program}};

    program->peer = sim_backend_accept(program->backend, program->user,
                                       program->presencejs, program->transport);
    ends[1] = sim_peer_end(program->peer);
    program->link = sim_link_create(sim, program->transport, program->presencejs, ends);
    program->peer->link = program->link;
    assert_int_equal(
        yo_client_session_create(&program->session, sim->mem, &identity, sim->now),
        YOMO_OK);
    yo_outbox_init(&program->outbox, sim->mem, &limits);
    program->connected = true;
    sim_say(sim, "%s connects as %s", program->name, program->peer->name);
    sim_peer_start(program->peer);
    sim_at(sim, yo_client_session_deadline(program->session), tick, program);
}

/* --- acts --- */

static size_t make_state(struct sim_program *program, const char *label,
                         struct yo_buf *out)
{
    char json[64];

    snprintf(json, sizeof(json), "{\"id\":\"%s\",\"s\":%u}", label, ++program->states);
    yo_buf_init(out, program->sim->mem);
    assert_int_equal(yo_json_to_mp(out, yo_span_of(json)), YOMO_OK);
    return out->size;
}

void sim_program_join(struct sim_program *program, size_t index, const char *label)
{
    struct sim_attendance *room = &program->rooms[index];
    struct yo_buf state;

    make_state(program, label, &state);
    yo_effects_clear(&program->effects);
    assert_int_equal(yo_client_join(program->session, yo_span_of(sim_room_names[index]),
                                    yo_buf_span(&state), NULL, program->sim->now,
                                    &program->effects),
                     YOMO_OK);
    yo_buf_finish(&state);
    snprintf(room->label, sizeof(room->label), "%s", label);
    room->phase = SIM_ASKED;
    room->roster_count = 0;
    room->wanted = false;
    after(program);
}

static void rejoin_wanted(struct sim_program *program)
{
    for (size_t i = 0; i < SIM_ROOMS; i++) {
        if (program->rooms[i].wanted) {
            sim_program_join(program, i, program->user);
        }
    }
}

void sim_program_leave(struct sim_program *program, size_t index)
{
    struct sim_attendance *room = &program->rooms[index];

    room->phase = SIM_LEAVING;
    room->roster_count = 0;
    yo_effects_clear(&program->effects);
    assert_int_equal(yo_client_leave(program->session,
                                     yo_span_of(sim_room_names[index]),
                                     program->sim->now, &program->effects),
                     YOMO_OK);
    after(program);
}

void sim_program_state(struct sim_program *program, size_t index, const char *label)
{
    struct yo_buf state;

    make_state(program, label, &state);
    yo_effects_clear(&program->effects);
    assert_int_equal(
        yo_client_state(program->session, yo_span_of(sim_room_names[index]),
                        yo_buf_span(&state), program->sim->now, &program->effects),
        YOMO_OK);
    yo_buf_finish(&state);
    after(program);
}

void sim_program_send(struct sim_program *program, size_t index,
                      enum yomo_delivery delivery, size_t value, bool numbered)
{
    struct sim_attendance *room = &program->rooms[index];
    struct yo_span name = yo_span_of(sim_room_names[index]);
    char event[] = {'e', (char)('0' + value / 3), 0};
    char key[] = {'k', (char)('0' + value % 3), 0};
    struct yo_buf payload, message, slot;
    char text[16];
    uint64_t id;

    next_id += 3 - next_id % 3;
    id = next_id + delivery;
    assert_true(id < SIM_IDS_MAX);
    snprintf(text, sizeof(text), "%u", (unsigned)id);
    yo_buf_init(&payload, program->sim->mem);
    yo_buf_init(&message, program->sim->mem);
    yo_buf_init(&slot, program->sim->mem);
    yo_content_write(&payload, yo_span_of(event), YOMO_JSON, yo_span_of(text));
    program->version++;
    program->numbered += numbered;
    const struct yo_message data = {.channel = name,
                                    .payload = yo_buf_span(&payload),
                                    .delivery = delivery,
                                    .key = yo_span_of(key),
                                    .version = program->version,
                                    .number = numbered ? id : 0};
    assert_int_equal(yo_client_encode(program->session, &message, &data), YOMO_OK);
    yo_outbox_slot(&slot, 0, name, yo_span_of(event), yo_span_of(key));
    sim_say(program->sim, "%s sends %s %u%s", program->name, sim_room_names[index],
            (unsigned)id,
            delivery == YOMO_RELIABLE     ? ""
            : delivery == YOMO_UNRELIABLE ? " unreliable"
                                          : " latest");
    if (delivery == YOMO_RELIABLE) {
        assert_true(room->sent_count < SIM_SENT_MAX);
        room->sent[room->sent_count++] = id;
    } else if (delivery == YOMO_LATEST) {
        room->latest_sent[value] = program->version;
    }
    put(program, yo_buf_span(&message),
        (struct yo_outgoing){.delivery = delivery,
                             .lane = yo_client_lane(program->session, name),
                             .slot = delivery == YOMO_LATEST ? yo_buf_span(&slot)
                                                             : YO_SPAN_NONE,
                             .version = program->version});
    yo_buf_finish(&payload);
    yo_buf_finish(&message);
    yo_buf_finish(&slot);
}

/* --- a storm --- */

static void act_inside(struct sim_program *program, size_t index)
{
    struct sim *sim = program->sim;
    uint64_t dice = sim_below(sim, 100);
    bool page = program->presencejs; /* cannot change its label */

    if (dice < 5) {
        sim_program_leave(program, index);
    } else if (dice < 8 && !page) {
        sim_program_leave(program, index);
        sim_program_join(program, index, program->user);
    } else if (dice < 22) {
        sim_program_state(program, index,
                          page || sim_chance(sim, 80) ? program->rooms[index].label
                          : sim_chance(sim, 50)       ? "other"
                                                      : program->user);
    } else if (dice < 23 && !page) {
        sim_backend_kick(program->backend, program->peer, index);
    } else {
        enum yomo_delivery delivery = (enum yomo_delivery)sim_below(sim, 3);
        if (page) { /* it cannot choose */
            delivery = program->transport == SIM_WEBTRANSPORT ? YOMO_UNRELIABLE
                                                              : YOMO_RELIABLE;
        }
        sim_program_send(program, index, delivery, sim_below(sim, SIM_VALUES),
                         !page && delivery == YOMO_RELIABLE && sim_chance(sim, 30));
    }
}

static void act(struct sim_program *program)
{
    struct sim *sim = program->sim;
    size_t index = sim_below(sim, SIM_ROOMS);
    struct sim_attendance *room = &program->rooms[index];
    /* presencejs cannot tell the ACK of one join from that of another. */
    bool pause = program->presencejs && sim->now < room->left_at + 1500 * YO_MS;

    if (sim_below(sim, 400) == 0) {
        sim_say(sim, "%s is cut off", program->name);
        sim_link_cut(program->link);
        return;
    }
    switch (room->phase) {
    case SIM_OUT:
        if (sim_chance(sim, 40) && !(room->left_at && pause)) {
            sim_program_join(program, index, program->user);
        }
        break;
    case SIM_ASKED:
        if (sim_chance(sim, 5)) {
            sim_program_leave(program, index);
        } else if (sim_chance(sim, 20)) {
            sim_program_state(program, index, room->label);
        }
        break;
    case SIM_LEAVING:
        if (sim_chance(sim, 20)) {
            sim_program_join(program, index, program->user);
        }
        break;
    case SIM_IN:
        act_inside(program, index);
        break;
    }
}

static void act_again(void *user)
{
    sim_program_storm(user);
}

void sim_program_storm(struct sim_program *program)
{
    struct sim *sim = program->sim;

    if (!sim->storming) {
        return;
    }
    if (program->connected && yo_client_session_ready(program->session)) {
        act(program);
    }
    sim_at(sim, sim->now + (1 + sim_below(sim, 20)) * YO_MS, act_again, program);
}
