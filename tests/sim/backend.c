/* SPDX-License-Identifier: MIT */
#include "sim/backend.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "session/numbers.h"
#include "session/pages.h"
#include "wire/decode.h"
#include "wire/encode.h"

#define HOME_DELAY (200 * YO_US)

const char *const sim_room_names[SIM_ROOMS] = {"a", "b"};

static const struct yo_server_limits limits = {
    .message_size = 4096,
    .datagram_size = 1000,
    .rooms = SIM_ROOMS,
    .silence_ms = 15000,
    .errors_max = 10,
};

size_t sim_room_index(struct yo_span name)
{
    size_t i = 0;

    while (i < SIM_ROOMS - 1 && !yo_span_is(name, sim_room_names[i])) {
        i++;
    }
    return i;
}

void sim_backend_init(struct sim_backend *backend, struct sim *sim)
{
    memset(backend, 0, sizeof(*backend));
    backend->sim = sim;
    yo_effects_init(&backend->effects, sim->mem);
    for (size_t i = 0; i < SIM_ROOMS; i++) {
        assert_int_equal(yo_room_init(&backend->rooms[i].room, sim->mem, yo_span_of(""),
                                      yo_span_of(sim_room_names[i]), 0),
                         YOMO_OK);
        backend->rooms[i].backend = backend;
        backend->rooms[i].index = i;
    }
}

static void peer_close(struct sim_peer *peer)
{
    peer->gone = true;
    yo_server_session_destroy(peer->session);
    peer->session = NULL;
    yo_outbox_finish(&peer->outbox);
}

void sim_backend_finish(struct sim_backend *backend)
{
    for (size_t i = 0; i < backend->peer_count; i++) {
        struct sim_peer *peer = backend->peers[i];
        peer_close(peer);
        sim_link_destroy(peer->link);
        yo_free(backend->sim->mem, peer);
    }
    for (size_t i = 0; i < SIM_ROOMS; i++) {
        yo_room_finish(&backend->rooms[i].room);
        yo_free(backend->sim->mem, backend->rooms[i].placed);
    }
    yo_effects_finish(&backend->effects);
}

struct sim_peer *sim_backend_find(const struct sim_backend *backend, uint64_t session)
{
    return session > 0 && session <= backend->peer_count ? backend->peers[session - 1]
                                                         : NULL;
}

/* --- out to a peer --- */

static void flush(struct sim_peer *peer)
{
    struct yo_outbox_next next;

    while (!peer->gone && yo_outbox_peek(&peer->outbox, &next)) {
        bool datagram =
            peer->datagrams && (peer->presencejs || next.delivery != YOMO_RELIABLE);
        if (!sim_link_send(peer->link, 1, datagram ? LANE_DATAGRAM : next.lane,
                           next.message, datagram ? next.token : 0)) {
            return;
        }
        yo_outbox_sent(&peer->outbox, datagram && next.token != 0);
    }
}

static void put(struct sim_peer *peer, struct yo_outgoing out)
{
    if (peer->presencejs && peer->datagrams && out.delivery == YOMO_RELIABLE) {
        out.delivery = YOMO_UNRELIABLE;
    }
    assert_int_equal(yo_outbox_put(&peer->outbox, &out), YOMO_OK);
    flush(peer);
}

/* --- notes, which keep their order --- */

enum note_kind {
    NOTE_JOIN,
    NOTE_LEAVE,
    NOTE_STATE,
    NOTE_PUBLISH,
    NOTE_GONE,
    NOTE_JOINED,
    NOTE_LEFT,
    NOTE_DELIVER,
    NOTE_CONFIRM,
    NOTE_PUT_OUT
};

struct note {
    enum note_kind kind;
    struct sim_backend *backend;
    struct sim_peer *peer;
    size_t room;
    struct yo_blob *payload;
    char label[64], event[32], key[32];
    enum yomo_delivery delivery;
    uint64_t version, number, sequence, session;
    struct yo_blob *parcels[64];
    size_t parcel_count;
    bool presence;
    int error;
};

static struct note *note_create(enum note_kind kind, struct sim_peer *peer, size_t room)
{
    struct note *note = yo_calloc(peer->backend->sim->mem, 1, sizeof(*note));

    assert_non_null(note);
    note->kind = kind;
    note->backend = peer->backend;
    note->peer = peer;
    note->room = room;
    return note;
}

static void note_free(void *user)
{
    struct note *note = user;

    yo_blob_unref(note->payload);
    for (size_t i = 0; i < note->parcel_count; i++) {
        yo_blob_unref(note->parcels[i]);
    }
    yo_free(note->backend->sim->mem, note);
}

static void text_copy(char *out, size_t size, struct yo_span from)
{
    assert_true(from.size < size);
    memcpy(out, from.data ? (const char *)from.data : "", from.size);
    out[from.size] = 0;
}

static void at_home(void *user);
static void at_peer(void *user);

static yo_time in_order(struct sim *sim, yo_time *last)
{
    yo_time when = sim->now + 1 + sim_below(sim, HOME_DELAY);

    if (when <= *last) {
        when = *last + 1;
    }
    *last = when;
    return when;
}

static void to_home(struct note *note)
{
    struct sim_backend *backend = note->backend;

    sim_at_or(backend->sim, in_order(backend->sim, &backend->home_last), at_home,
              note_free, note);
}

static void to_peer(struct note *note)
{
    struct sim *sim = note->backend->sim;

    sim_at_or(sim, in_order(sim, &note->peer->notes_last), at_peer, note_free, note);
}

/* --- at the home --- */

static struct yo_blob *encode(struct sim_backend *backend, bool presencejs,
                              const struct yo_message *message)
{
    struct yo_blob *blob;

    assert_int_equal(
        yo_encode_blob(&blob, backend->sim->mem,
                       presencejs ? YO_DIALECT_PRESENCEJS : YO_DIALECT_YOMO, message),
        YOMO_OK);
    return blob;
}

static struct yo_blob *encode_state(struct sim_backend *backend, size_t room,
                                    const char *label, const struct yo_blob *state)
{
    struct yo_message message = {.op = YO_OP_PEER_STATE,
                                 .channel = yo_span_of(sim_room_names[room]),
                                 .peer = yo_span_of(label)};
    struct yo_buf bare;
    struct yo_blob *blob;

    yo_buf_init(&bare, backend->sim->mem);
    yo_state_from_json(&bare, yo_span_of(label), YO_SPAN_NONE);
    message.payload = state ? yo_blob_span(state) : yo_buf_span(&bare);
    blob = encode(backend, true, &message);
    yo_buf_finish(&bare);
    return blob;
}

/* For presencejs. */
static struct yo_blob *encode_shown(struct sim_backend *backend, size_t room,
                                    const struct yo_change *change)
{
    const struct yo_message gone = {.op = YO_OP_PEER_OFFLINE,
                                    .channel = yo_span_of(sim_room_names[room]),
                                    .peer = yo_span_of(change->peer)};

    return change->kind == YO_CHANGE_OFFLINE
               ? encode(backend, true, &gone)
               : encode_state(backend, room, change->peer, change->state);
}

/* To all members of one kind but `session`. */
static void tell(struct sim_backend *backend, size_t room, bool presencejs,
                 uint64_t session, struct yo_blob *message, const struct note *like)
{
    for (size_t i = 0; i < backend->peer_count; i++) {
        struct sim_peer *peer = backend->peers[i];
        struct note *note;
        if (!peer->seats[room].in || peer->presencejs != presencejs ||
            peer->id == session) {
            continue;
        }
        note = note_create(NOTE_DELIVER, peer, room);
        if (like) {
            note->delivery = like->delivery;
            note->version = like->version;
            memcpy(note->event, like->event, sizeof(note->event));
            memcpy(note->key, like->key, sizeof(note->key));
        }
        note->presence = !like;
        note->session = session;
        note->payload = yo_blob_ref(message);
        to_peer(note);
    }
}

static void tell_one(struct sim_backend *backend, size_t index,
                     const struct yo_change *change)
{
    static const enum yo_op ops[] = {YO_OP_PEER_ONLINE, YO_OP_PEER_STATE,
                                     YO_OP_PEER_OFFLINE};
    const struct yo_message message = {
        .op = ops[change->kind],
        .channel = yo_span_of(sim_room_names[index]),
        .peer = yo_span_of(change->peer),
        .payload = change->state ? yo_blob_span(change->state) : YO_SPAN_NONE,
        .session = change->session,
        .version = change->version,
        .sequence = backend->rooms[index].room.sequence + 1,
    };
    struct yo_blob *blob = encode(backend, false, &message);

    tell(backend, index, false, change->session, blob, NULL);
    yo_blob_unref(blob);
}

static void tell_many(struct sim_backend *backend, size_t index,
                      const struct yo_change *list, size_t count)
{
    struct yo_pages pages;

    yo_pages_begin_changes(&pages, backend->sim->mem, yo_span_of(sim_room_names[index]),
                           backend->rooms[index].room.sequence);
    for (size_t i = 0; i < count; i++) {
        const struct yo_wire_member entry = {
            .change = (uint64_t)list[i].kind, /* as on the wire */
            .session = list[i].session,
            .peer = yo_span_of(list[i].peer),
            .state = list[i].state ? yo_blob_span(list[i].state) : YO_SPAN_NONE,
            .version = list[i].version};
        assert_int_equal(yo_pages_add(&pages, &entry), YOMO_OK);
    }
    assert_int_equal(yo_pages_end(&pages), YOMO_OK);
    for (size_t i = 0; i < pages.count; i++) {
        tell(backend, index, false, 0, pages.list[i], NULL);
    }
    yo_pages_finish(&pages);
}

/* All that waits in the room. */
static void tell_untold(struct sim_backend *backend, size_t index)
{
    struct yo_room *room = &backend->rooms[index].room;
    struct yo_change list[YO_UNTOLD_MAX * SIM_PEERS_MAX];
    size_t count = 0;

    for (struct yo_member *m = yo_room_untold(room, NULL); m;
         m = yo_room_untold(room, m)) {
        assert_true(count + YO_UNTOLD_MAX <= YO_UNTOLD_MAX * SIM_PEERS_MAX);
        count += yo_member_untold(m, &list[count]);
    }
    if (count == 1) {
        tell_one(backend, index, &list[0]);
    } else if (count > 1) {
        tell_many(backend, index, list, count);
    }
    yo_room_told(room, count);
}

static void on_told(void *user)
{
    struct sim_room *room = user;

    room->told_later = false;
    tell_untold(room->backend, room->index);
}

/* In a storm what the extension is to be told often waits. */
static void changed(struct sim_backend *backend, size_t index)
{
    struct sim *sim = backend->sim;
    struct sim_room *room = &backend->rooms[index];

    if (room->told_later) {
        return;
    }
    if (sim->storming && sim_chance(sim, 70)) {
        room->told_later = true;
        sim_at(sim, sim->now + sim_below(sim, 200 * YO_MS), on_told, room);
    } else {
        tell_untold(backend, index);
    }
}

static void tell_changes(struct sim_backend *backend, size_t room,
                         const struct yo_changes *changes)
{
    for (size_t i = 0; i < changes->count; i++) {
        const struct yo_change *change = &changes->list[i];
        struct yo_blob *message = encode_shown(backend, room, change);
        tell(backend, room, true, change->session, message, NULL);
        yo_blob_unref(message);
    }
    changed(backend, room);
}

static void snapshot_presencejs(struct note *answer, const struct yo_room *room,
                                const struct yo_member *self)
{
    const struct yo_member *member = NULL;

    while ((member = yo_room_next_label(room, member, self->session))) {
        answer->parcels[answer->parcel_count++] =
            encode_state(answer->backend, answer->room, member->label, member->state);
    }
}

static void snapshot_yomo(struct note *answer, struct yo_room *room,
                          const struct yo_member *self)
{
    struct yo_pages pages;

    yo_pages_begin(&pages, answer->backend->sim->mem, yo_span_of(room->name),
                   room->sequence);
    YO_LIST_EACH(link, next_link, &room->by_age)
    {
        const struct yo_member *member = YO_CONTAINER(link, struct yo_member, by_age);
        const struct yo_wire_member entry = {
            .session = member->session,
            .peer = yo_span_of(member->id),
            .state = member->state ? yo_blob_span(member->state) : YO_SPAN_NONE,
            .version = member->version};
        if (member != self) {
            assert_int_equal(yo_pages_add(&pages, &entry), YOMO_OK);
        }
    }
    assert_int_equal(yo_pages_end(&pages), YOMO_OK);
    yo_room_show(room);
    for (size_t i = 0; i < pages.count; i++) {
        answer->parcels[answer->parcel_count++] = yo_blob_ref(pages.list[i]);
    }
    yo_pages_finish(&pages);
}

static void home_join(struct note *note)
{
    struct sim_backend *backend = note->backend;
    struct yo_room *room = &backend->rooms[note->room].room;
    struct sim_seat *seat = &note->peer->seats[note->room];
    const struct yo_room_entry entry = {.session = note->peer->id,
                                        .id = yo_span_of(note->peer->user),
                                        .label = yo_span_of(note->label),
                                        .state = note->payload,
                                        .presencejs = note->peer->presencejs};
    struct note *answer = note_create(NOTE_JOINED, note->peer, note->room);
    struct yo_changes changes;
    struct yo_member *member;

    SIM_ASSERT(backend->sim, yo_room_join(room, &entry, &member, &changes) == YOMO_OK,
               "%s joins room %s twice", note->peer->name, room->name);
    tell_changes(backend, note->room, &changes);
    yo_changes_finish(&changes);
    *seat = (struct sim_seat){
        .in = true, .sequence = room->sequence, .order = backend->order};
    answer->sequence = room->sequence;
    if (note->peer->presencejs) {
        snapshot_presencejs(answer, room, member);
    } else {
        snapshot_yomo(answer, room, member);
    }
    to_peer(answer);
}

static bool home_remove(struct sim_backend *backend, struct sim_peer *peer,
                        size_t index)
{
    struct yo_changes changes;

    if (!peer->seats[index].in) {
        return false;
    }
    peer->seats[index].in = false;
    assert_int_equal(yo_room_leave(&backend->rooms[index].room, peer->id, &changes),
                     YOMO_OK);
    tell_changes(backend, index, &changes);
    yo_changes_finish(&changes);
    return true;
}

static void home_state(struct note *note)
{
    struct yo_changes changes;

    if (!note->peer->seats[note->room].in) {
        return;
    }
    assert_int_equal(yo_room_set_state(&note->backend->rooms[note->room].room,
                                       note->peer->id, note->payload,
                                       yo_span_of(note->label), &changes),
                     YOMO_OK);
    tell_changes(note->backend, note->room, &changes);
    yo_changes_finish(&changes);
}

/* The number in a payload {event, data: "17"}. */
static uint64_t id_of(struct yo_span payload)
{
    struct yo_content content;
    char text[32];

    assert_int_equal(yo_content_read(payload, &content), YOMO_OK);
    text_copy(text, sizeof(text), content.bytes);
    return strtoull(text, NULL, 10);
}

static void remember(struct sim_room *room, const struct note *note, uint64_t sequence)
{
    struct sim_placed *placed;

    if (room->placed_count == room->placed_capacity) {
        room->placed_capacity = 2 * room->placed_capacity + 64;
        room->placed = yo_realloc(note->backend->sim->mem, room->placed,
                                  room->placed_capacity * sizeof(*placed));
        assert_non_null(room->placed);
    }
    placed = &room->placed[room->placed_count++];
    *placed = (struct sim_placed){.order = note->backend->order,
                                  .sequence = sequence,
                                  .session = note->peer->id,
                                  .id = id_of(yo_blob_span(note->payload)),
                                  .delivery = note->delivery,
                                  .version = note->version};
    snprintf(placed->value, sizeof(placed->value), "%.15s/%.15s", note->event,
             note->key);
}

static void confirm_note(const struct note *note, uint64_t sequence, int error)
{
    if (note->number) {
        struct note *confirm = note_create(NOTE_CONFIRM, note->peer, note->room);
        confirm->number = note->number;
        confirm->sequence = sequence;
        confirm->error = error;
        to_peer(confirm);
    }
}

static void home_publish(struct note *note)
{
    struct sim_backend *backend = note->backend;
    struct sim_room *room = &backend->rooms[note->room];
    const struct yo_member *author = yo_room_find(&room->room, note->peer->id);
    uint64_t sequence;

    if (!author) { /* put out meanwhile */
        confirm_note(note, 0, YOMO_ERR_NOT_FOUND);
        return;
    }
    if (note->delivery == YOMO_RELIABLE && author->untold.what) {
        tell_untold(backend, note->room);
    }
    sequence =
        yo_room_place(&room->room, note->peer->id, note->delivery == YOMO_RELIABLE);
    remember(room, note, sequence);
    for (int presencejs = 0; presencejs < 2; presencejs++) {
        const struct yo_message message = {
            .op = YO_OP_DATA,
            .channel = yo_span_of(room->room.name),
            .payload = yo_blob_span(note->payload),
            .peer = yo_span_of(presencejs ? author->label : author->id),
            .session = note->peer->id,
            .delivery = note->delivery,
            .key = yo_span_of(note->key),
            .version = note->version,
            .sequence = sequence};
        struct yo_blob *blob = encode(backend, presencejs, &message);
        tell(backend, note->room, presencejs, note->peer->id, blob, note);
        yo_blob_unref(blob);
    }
    confirm_note(note, sequence, 0);
}

static void at_home(void *user)
{
    struct note *note = user;
    struct sim_backend *backend = note->backend;

    backend->order++;
    switch (note->kind) {
    case NOTE_JOIN:
        home_join(note);
        break;
    case NOTE_LEAVE:
        home_remove(backend, note->peer, note->room);
        to_peer(note_create(NOTE_LEFT, note->peer, note->room));
        break;
    case NOTE_STATE:
        home_state(note);
        break;
    case NOTE_PUBLISH:
        home_publish(note);
        break;
    case NOTE_PUT_OUT:
        if (home_remove(backend, note->peer, note->room)) {
            note->peer->put_out[note->room] = true;
            to_peer(note_create(NOTE_PUT_OUT, note->peer, note->room));
        }
        break;
    default:
        for (size_t i = 0; i < SIM_ROOMS; i++) {
            home_remove(backend, note->peer, i);
        }
        break;
    }
    for (size_t i = 0; i < SIM_ROOMS; i++) {
        yo_room_check(&backend->rooms[i].room);
    }
    note_free(note);
}

/* --- what the home says, at the peer --- */

static void carry_out(struct sim_peer *peer, struct yo_effects *effects);

static void put_presence(struct sim_peer *peer, struct yo_blob *message)
{
    struct yo_message decoded;
    struct yo_buf slot;

    yo_buf_init(&slot, peer->backend->sim->mem);
    assert_int_equal(yo_decode(yo_blob_span(message), &decoded), YOMO_OK);
    if (peer->presencejs) {
        yo_outbox_slot(&slot, 0, decoded.channel, decoded.peer, YO_SPAN_NONE);
    }
    put(peer, (struct yo_outgoing){.message = message,
                                   .delivery = YOMO_RELIABLE,
                                   .insist = peer->presencejs && peer->datagrams,
                                   .slot = peer->datagrams ? yo_buf_span(&slot)
                                                           : YO_SPAN_NONE,
                                   .lane = LANE_CONTROL});
    yo_buf_finish(&slot);
}

static void peer_deliver(struct note *note)
{
    struct sim_peer *peer = note->peer;
    struct yo_span room = yo_span_of(sim_room_names[note->room]);
    uint32_t lane = yo_server_session_lane(peer->session, room);
    struct yo_buf slot;

    if (lane == 0) {
        return;
    }
    if (note->presence && peer->presencejs) {
        put_presence(peer, note->payload);
        return;
    }
    if (note->presence) { /* with the data, so that nobody speaks before it came */
        put(peer, (struct yo_outgoing){.message = note->payload,
                                       .delivery = YOMO_RELIABLE,
                                       .lane = lane});
        return;
    }
    yo_buf_init(&slot, peer->backend->sim->mem);
    yo_outbox_slot(&slot, note->session, room, yo_span_of(note->event),
                   yo_span_of(note->key));
    put(peer,
        (struct yo_outgoing){.message = note->payload,
                             .delivery = note->delivery,
                             .lane = lane,
                             .slot = note->delivery == YOMO_LATEST ? yo_buf_span(&slot)
                                                                   : YO_SPAN_NONE,
                             .version = note->version});
    yo_buf_finish(&slot);
}

static void at_peer(void *user)
{
    struct note *note = user;
    struct sim_peer *peer = note->peer;
    struct yo_effects *effects = &note->backend->effects;
    struct yo_span room = yo_span_of(sim_room_names[note->room]);
    yo_time now = note->backend->sim->now;

    yo_effects_clear(effects);
    if (peer->gone) {
        note_free(note);
        return;
    }
    switch (note->kind) {
    case NOTE_JOINED:
        yo_server_joined(peer->session, room, note->sequence, 0, now, effects);
        carry_out(peer, effects);
        for (size_t i = 0; i < note->parcel_count; i++) {
            if (yo_server_session_lane(peer->session, room)) {
                put_presence(peer, note->parcels[i]);
            }
        }
        break;
    case NOTE_LEFT:
        yo_server_left(peer->session, room, 0, YO_SPAN_NONE, effects);
        carry_out(peer, effects);
        break;
    case NOTE_PUT_OUT:
        yo_server_left(peer->session, room, YOMO_ERR_KICKED, YO_SPAN_NONE, effects);
        carry_out(peer, effects);
        break;
    case NOTE_CONFIRM:
        yo_server_confirm(peer->session, room, note->number, note->sequence,
                          note->error, effects);
        carry_out(peer, effects);
        break;
    default:
        peer_deliver(note);
        break;
    }
    note_free(note);
}

/* --- what the session wants --- */

static struct note *note_of(struct sim_peer *peer, enum note_kind kind,
                            const struct yo_effect *effect)
{
    struct note *note = note_create(kind, peer, sim_room_index(effect->room));

    if (effect->payload.data) {
        note->payload = yo_blob_create(peer->backend->sim->mem, effect->payload);
    }
    text_copy(note->label, sizeof(note->label), effect->label);
    text_copy(note->event, sizeof(note->event), effect->event);
    text_copy(note->key, sizeof(note->key), effect->key);
    note->delivery = effect->delivery;
    note->version = effect->version;
    note->number = effect->number;
    return note;
}

static void tick(void *user)
{
    struct sim_peer *peer = user;
    struct sim_backend *backend = peer->backend;

    if (!peer->gone && yo_server_session_deadline(peer->session) <= backend->sim->now) {
        yo_effects_clear(&backend->effects);
        yo_server_session_tick(peer->session, backend->sim->now, &backend->effects);
        carry_out(peer, &backend->effects);
    }
}

static void send_effect(struct sim_peer *peer, const struct yo_effect *effect)
{
    struct yo_blob *message = yo_blob_create(peer->backend->sim->mem, effect->bytes);

    assert_non_null(message);
    put(peer, (struct yo_outgoing){
                  .message = message, .delivery = YOMO_RELIABLE, .lane = effect->lane});
    yo_blob_unref(message);
}

static void carry_out(struct sim_peer *peer, struct yo_effects *effects)
{
    struct sim *sim = peer->backend->sim;

    SIM_ASSERT(sim, !effects->failed, "%s: out of memory", peer->name);
    sim_say_effects(sim, peer->name, effects);
    for (size_t i = 0; i < effects->count; i++) {
        const struct yo_effect *effect = &effects->list[i];
        switch (effect->kind) {
        case YO_EFFECT_SEND:
            send_effect(peer, effect);
            break;
        case YO_EFFECT_JOIN:
            to_home(note_of(peer, NOTE_JOIN, effect));
            break;
        case YO_EFFECT_LEAVE:
            to_home(note_of(peer, NOTE_LEAVE, effect));
            break;
        case YO_EFFECT_STATE:
            to_home(note_of(peer, NOTE_STATE, effect));
            break;
        case YO_EFFECT_PUBLISH:
            to_home(note_of(peer, NOTE_PUBLISH, effect));
            break;
        case YO_EFFECT_DROP:
            SIM_ASSERT(sim, effect->error == YOMO_ERR_NOT_FOUND, "%s: refused: %s",
                       peer->name, yomo_error_name(effect->error));
            break;
        default:
            sim_fail(sim, "%s: effect %d", peer->name, (int)effect->kind);
        }
    }
    if (yo_server_session_deadline(peer->session) != YO_NEVER) {
        sim_at(sim, yo_server_session_deadline(peer->session), tick, peer);
    }
}

/* --- the link's other end --- */

static void on_message(void *user, uint32_t lane, struct yo_span message)
{
    struct sim_peer *peer = user;
    struct sim_backend *backend = peer->backend;

    if (peer->gone) {
        return;
    }
    yo_effects_clear(&backend->effects);
    assert_int_equal(yo_server_session_recv(peer->session, lane, message,
                                            backend->sim->now, &backend->effects),
                     YOMO_OK);
    carry_out(peer, &backend->effects);
}

static void on_fate(void *user, uint64_t token, bool acked)
{
    struct sim_peer *peer = user;

    if (!peer->gone && yo_outbox_fate(&peer->outbox, token, acked)) {
        flush(peer);
    }
}

static void on_writable(void *user)
{
    flush(user);
}

static void on_cut(void *user)
{
    struct sim_peer *peer = user;

    if (!peer->gone) {
        sim_say(peer->backend->sim, "%s is gone", peer->name);
        peer_close(peer);
        to_home(note_create(NOTE_GONE, peer, 0));
    }
}

struct sim_end sim_peer_end(struct sim_peer *peer)
{
    return (struct sim_end){on_message, on_fate, on_writable, on_cut, peer};
}

struct sim_peer *sim_backend_accept(struct sim_backend *backend, const char *user,
                                    bool presencejs, enum sim_transport transport)
{
    static const struct yo_outbox_limits box_limits = {1 << 20, 1 << 20, 256};
    struct sim_peer *peer = yo_calloc(backend->sim->mem, 1, sizeof(*peer));

    assert_non_null(peer);
    assert_true(backend->peer_count < SIM_PEERS_MAX);
    backend->peers[backend->peer_count++] = peer;
    peer->backend = backend;
    peer->id = backend->peer_count;
    peer->presencejs = presencejs;
    peer->datagrams = transport == SIM_WEBTRANSPORT;
    snprintf(peer->user, sizeof(peer->user), "%s", user);
    snprintf(peer->name, sizeof(peer->name), "[%u]", (unsigned)peer->id);
    yo_outbox_init(&peer->outbox, backend->sim->mem, &box_limits);
    return peer;
}

void sim_peer_start(struct sim_peer *peer)
{
    struct sim_backend *backend = peer->backend;
    const struct yo_server_identity identity = {.id = yo_span_of(peer->user),
                                                .session = peer->id,
                                                .epoch = 1,
                                                .extension = !peer->presencejs,
                                                .datagrams_only = peer->presencejs &&
                                                                  peer->datagrams};

    yo_effects_clear(&backend->effects);
    assert_int_equal(yo_server_session_create(&peer->session, backend->sim->mem,
                                              &identity, &limits, backend->sim->now,
                                              &backend->effects),
                     YOMO_OK);
    carry_out(peer, &backend->effects);
}

void sim_backend_kick(struct sim_backend *backend, struct sim_peer *peer, size_t room)
{
    (void)backend;
    to_home(note_create(NOTE_PUT_OUT, peer, room));
}
