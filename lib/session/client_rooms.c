/* SPDX-License-Identifier: MIT */
/* client_rooms.c - rooms: from the join to JOINED, what comes then, and the end.
 *
 * Happy path (extension): join, ACK, the pages of the snapshot (a PEER for each
 * member), JOINED, what was held, then changes and messages. The pieces may come in
 * another order, since they travel on different streams.
 *
 * Invariants:
 *  1. a room holds messages only while JOINING; held_bytes is the size of all of them
 * and never passes YO_CLIENT_HELD_MAX;
 *  2. JOINED goes out exactly when both the ACK and the last page have come;
 *  3. what has a sequence number that is not after the snapshot's is not delivered. */
#include <yomo/client.h>

#include "base/check.h"
#include "base/mem.h"
#include "session/client_inside.h"
#include "session/outbox.h"

/* --- rooms --- */

struct yo_span yo_client_room_name(const struct yo_client_room *room)
{
    return yo_span(room->name, room->size);
}

struct yo_client_room *yo_client_find(const struct yo_client_session *session,
                                      struct yo_span name)
{
    struct yo_map_node *node = yo_map_get(&session->rooms, name);

    return node ? YO_CONTAINER(node, struct yo_client_room, by_name) : NULL;
}

static struct yo_held *of_link(struct yo_link *link)
{
    return YO_CONTAINER(link, struct yo_held, link);
}

static void held_free(struct yo_client_session *session, struct yo_link *list)
{
    struct yo_link *link;

    while ((link = yo_list_pop_front(list))) {
        yo_free(session->mem, of_link(link));
    }
}

void yo_client_spent_free(struct yo_client_session *session)
{
    held_free(session, &session->spent);
}

static size_t held_size(const struct yo_held *held)
{
    return sizeof(*held) + held->size;
}

/* What the room holds is its no more; the memory is good until the next call. */
void yo_client_release_held(struct yo_client_session *session,
                            struct yo_client_room *room)
{
    YO_LIST_EACH(link, next_link, &room->held)
    {
        session->held_bytes -= held_size(of_link(link));
    }
    yo_list_splice(&session->spent, &room->held);
    room->held_count = 0;
}

void yo_client_forget(struct yo_client_session *session, struct yo_client_room *room)
{
    yo_client_release_held(session, room);
    yo_presencejs_forget_peers(session, room);
    yo_map_remove(&session->rooms, &room->by_name);
    yo_map_finish(&room->peers);
    yo_buf_finish(&room->state);
    yo_free(session->mem, room);
}

void yo_client_rooms_finish(struct yo_client_session *session)
{
    struct yo_map_node *node;

    while ((node = yo_map_next(&session->rooms, NULL))) {
        yo_client_forget(session, YO_CONTAINER(node, struct yo_client_room, by_name));
    }
    yo_map_finish(&session->rooms);
}

static struct yo_span payload_of(const struct yo_buf *state)
{
    return state->size > 0 ? yo_buf_span(state) : YO_SPAN_NONE;
}

/* 0: the same as of what is normal. */
static uint64_t other_place(const uint64_t since[3], enum yomo_priority priority)
{
    return since[priority] != since[YOMO_NORMAL] ? since[priority] : 0;
}

void yo_client_send_join(struct yo_client_session *session, struct yo_client_room *room,
                         yo_time now, struct yo_effects *effects)
{
    const uint64_t *since = room->wishes.since;
    const struct yo_message join = {
        .op = YO_OP_CHANNEL_JOIN,
        .channel = yo_client_room_name(room),
        .payload = room->wishes.observe ? YO_SPAN_NONE : payload_of(&room->state),
        .session = since[YOMO_NORMAL] ? room->wishes.former : 0,
        .since = since[YOMO_NORMAL],
        .urgent = other_place(since, YOMO_URGENT),
        .bulk = other_place(since, YOMO_BULK),
        .epoch = since[YOMO_NORMAL] ? room->wishes.epoch : 0,
        .hist = room->wishes.hist,
        .pace_ms = room->wishes.pace_ms,
        .observe = room->wishes.observe};

    yo_client_send(session, effects, LANE_CONTROL, &join);
    if (session->mode == CLIENT_PRESENCEJS && session->datagrams) {
        room->join_tries = 1;
        room->join_due = yo_time_after(now, YO_SECOND);
    }
}

/* --- data --- */

static enum yomo_delivery delivery_of(const struct yo_client_session *session,
                                      const struct yo_message *message, uint32_t lane)
{
    if (session->mode == CLIENT_YOMO && message->delivery != YOMO_RELIABLE) {
        return message->delivery;
    }
    return lane == LANE_DATAGRAM ? YOMO_UNRELIABLE : YOMO_RELIABLE;
}

/* 1: the newest of its value so far; 0: it is not; YOMO_ERR_NOMEM. */
static int admit_version(struct yo_client_session *session,
                         const struct yo_message *message, struct yo_span event)
{
    struct yo_buf name;
    int rv;

    if (session->mode != CLIENT_YOMO || message->delivery != YOMO_LATEST ||
        message->version == 0) {
        return 1;
    }
    yo_buf_init(&name, session->mem);
    rv = yo_outbox_slot(&name, message->session, message->channel, event, message->key);
    if (rv == YOMO_OK) {
        rv =
            yo_versions_admit(&session->versions, yo_buf_span(&name), message->version);
    }
    yo_buf_finish(&name);
    return rv;
}

static bool is_before_snapshot(const struct yo_client_room *room,
                               const struct yo_message *message)
{
    return message->sequence != 0 && message->sequence <= room->sequence;
}

/* Was it told before? After a move it may come again. Data come in the room's order,
 * and so do changes. */
static bool is_told(const struct yo_client_room *room, const struct yo_message *message)
{
    uint64_t last =
        message->op == YO_OP_DATA ? room->heard[message->priority] : room->seen;

    return message->sequence != 0 && message->sequence <= last;
}

bool yo_client_is_news(const struct yo_client_room *room,
                       const struct yo_message *message)
{
    return !is_before_snapshot(room, message) && !is_told(room, message);
}

void yo_client_tell_once(struct yo_client_room *room, const struct yo_message *message)
{
    if (message->sequence != 0) {
        *(message->op == YO_OP_DATA ? &room->heard[message->priority] : &room->seen) =
            message->sequence;
    }
}

static void deliver(const struct yo_client_session *session,
                    const struct yo_message *message, uint32_t lane,
                    struct yo_span event, struct yo_effects *effects)
{
    bool reply = session->mode == CLIENT_YOMO && message->reply != 0;
    struct yo_effect *effect =
        yo_effects_add(effects, reply ? YO_EFFECT_REPLY : YO_EFFECT_MESSAGE);

    if (!effect) {
        return;
    }
    effect->lane = lane;
    effect->room = message->channel;
    effect->peer = message->peer;
    effect->payload = message->payload;
    effect->event = event;
    effect->delivery = delivery_of(session, message, lane);
    if (session->mode == CLIENT_YOMO) {
        effect->session = message->session;
        effect->key = message->key;
        effect->version = message->version;
        effect->sequence = message->sequence;
        effect->priority = message->priority;
        effect->direct = message->direct;
        effect->request = message->request;
        effect->reply = message->reply;
    }
    if (reply) {
        effect->error = message->code == 0 ? YOMO_OK : yo_client_error_of(message);
        effect->text = message->text;
    }
}

static struct yo_held *held_create(struct yo_client_session *session,
                                   const struct yo_arrival *in)
{
    struct yo_held *held = yo_malloc(session->mem, sizeof(*held) + in->bytes.size);

    if (!held) {
        in->effects->failed = true;
        return NULL;
    }
    yo_list_init(&held->link);
    held->lane = in->lane;
    held->size = in->bytes.size;
    memcpy(held->bytes, in->bytes.data, in->bytes.size);
    return held;
}

/* `effects`: so many will come of it. */
static void hold(struct yo_client_session *session, struct yo_client_room *room,
                 struct yo_held *held, size_t effects)
{
    yo_list_push_back(&room->held, &held->link);
    room->held_count += effects;
    session->held_bytes += held_size(held);
}

/* Is there room to hold it? If not, LATEST is dropped; anything else was promised. */
static bool may_hold(struct yo_client_session *session, const struct yo_arrival *in,
                     bool promised)
{
    if (sizeof(struct yo_held) + in->bytes.size <=
        YO_CLIENT_HELD_MAX - session->held_bytes) {
        return true;
    }
    if (promised) {
        yo_client_want_close(session, in->effects, CODE_SLOW, YOMO_ERR_FULL,
                             "too much to hold until a room is joined");
    } else {
        yo_client_drop(in, YOMO_ERR_FULL, "too much to hold until the room is joined");
    }
    return false;
}

static void hold_data(struct yo_client_session *session, struct yo_client_room *room,
                      const struct yo_arrival *in, struct yo_span event)
{
    enum yomo_delivery delivery = delivery_of(session, in->message, in->lane);
    struct yo_held *held;
    int rv;

    if (delivery == YOMO_UNRELIABLE ||
        !may_hold(session, in, delivery == YOMO_RELIABLE)) {
        return;
    }
    held = held_create(session, in);
    if (!held) {
        return;
    }
    rv = admit_version(session, in->message, event);
    if (rv != 1) {
        in->effects->failed = in->effects->failed || rv < 0;
        yo_free(session->mem, held);
        return;
    }
    hold(session, room, held, 1);
}

static void on_data(struct yo_client_session *session, struct yo_client_room *room,
                    const struct yo_arrival *in)
{
    struct yo_span event;
    int rv;

    if (yo_check_data(in->message->payload, &event) != YOMO_OK) {
        yo_client_broken(session, in, "a payload that is not data");
        return;
    }
    if (room->phase == ROOM_JOINING) {
        hold_data(session, room, in, event);
        return;
    }
    if (is_before_snapshot(room, in->message) || is_told(room, in->message) ||
        yo_effects_reserve(in->effects, 1) != YOMO_OK) {
        return;
    }
    rv = admit_version(session, in->message, event);
    if (rv < 0) {
        in->effects->failed = true;
    } else if (rv == 1) {
        deliver(session, in->message, in->lane, event, in->effects);
        yo_client_tell_once(room, in->message);
    }
}

/* --- changes --- */

struct yo_effect *yo_client_tell_peer(const struct yo_message *message, int change,
                                      struct yo_effects *effects)
{
    struct yo_effect *peer = yo_effects_add(effects, YO_EFFECT_PEER);

    if (peer) {
        peer->room = message->channel;
        peer->session = message->session;
        peer->peer = message->peer;
        peer->payload = message->payload;
        peer->data = message->data;
        peer->version = message->version;
        peer->sequence = message->sequence;
        peer->since_ms = message->timestamp;
        peer->change = change;
    }
    return peer;
}

static int change_of(enum yo_op op)
{
    switch (op) {
    case YO_OP_PEER_ONLINE:
        return YOMO_PEER_JOINED;
    case YO_OP_PEER_STATE:
        return YOMO_PEER_STATE;
    case YO_OP_PEER_STALE:
        return YOMO_PEER_STALE;
    case YO_OP_PEER_BACK:
        return YOMO_PEER_BACK;
    default:
        return YOMO_PEER_LEFT;
    }
}

void yo_client_hold_promised(struct yo_client_session *session,
                             struct yo_client_room *room, const struct yo_arrival *in,
                             size_t tellings)
{
    struct yo_held *held =
        may_hold(session, in, true) ? held_create(session, in) : NULL;

    if (held) {
        hold(session, room, held, tellings);
    }
}

static void on_change(struct yo_client_session *session, struct yo_client_room *room,
                      const struct yo_arrival *in)
{
    const struct yo_message *message = in->message;

    if (message->session == session->session) {
        return;
    }
    if (message->session == 0 ||
        (message->payload.data && yo_check_state(message->payload) != YOMO_OK) ||
        (message->data.data && yo_check_state(message->data) != YOMO_OK)) {
        yo_client_broken(session, in, "a change without a session, or a broken state");
        return;
    }
    if (room->phase == ROOM_JOINING) {
        yo_client_hold_promised(session, room, in, 1);
    } else if (yo_client_is_news(room, message)) {
        yo_client_tell_peer(message, change_of(message->op), in->effects);
        yo_client_tell_once(room, message);
    }
}

/* --- what was said before --- */

/* How many messages; YOMO_ERR_MALFORMED unless each can be read. */
static int check_past(struct yo_span messages, uint32_t *count)
{
    struct yo_mp_reader reader;
    struct yo_wire_past past;
    struct yo_span event;
    int rv =
        messages.data ? yo_members_init(&reader, messages, count) : YOMO_ERR_MALFORMED;

    for (uint32_t i = 0; rv == YOMO_OK && i < *count; i++) {
        rv = yo_past_next(&reader, &past, &event);
    }
    return rv;
}

/* A page has what was said in the room's order, whatever its priority. */
static void past_up_to(struct yo_client_room *room, uint64_t place)
{
    for (size_t i = 0; i < sizeof(room->past) / sizeof(room->past[0]); i++) {
        room->past[i] = room->past[i] > place ? room->past[i] : place;
    }
}

/* As messages, those that were not told before. Room for the effects is reserved. */
static void tell_past(struct yo_client_room *room, const struct yo_message *page,
                      uint32_t lane, struct yo_effects *effects)
{
    struct yo_mp_reader reader;
    struct yo_wire_past past;
    struct yo_span event;
    uint32_t count;

    yo_members_init(&reader, page->members, &count);
    while (count-- > 0 && yo_past_next(&reader, &past, &event) == YOMO_OK) {
        struct yo_effect *effect;
        if (past.sequence <= room->past[past.priority]) {
            continue;
        }
        effect = yo_effects_add(effects, YO_EFFECT_MESSAGE);
        assert(effect);
        effect->lane = lane;
        effect->room = yo_client_room_name(room);
        effect->session = past.session;
        effect->peer = past.peer;
        effect->payload = past.payload;
        effect->event = event;
        effect->delivery = YOMO_RELIABLE;
        effect->sequence = past.sequence;
        effect->since_ms = past.at_ms;
        effect->past = true;
        effect->priority = past.priority;
        past_up_to(room, past.sequence);
    }
}

static void tell_gap(const struct yo_client_room *room,
                     const struct yo_message *message, struct yo_effects *effects)
{
    struct yo_effect *gap = yo_effects_add(effects, YO_EFFECT_GAP);

    if (gap) {
        gap->room = yo_client_room_name(room);
        gap->from = message->from;
        gap->sequence = message->sequence;
    }
}

/* A page of an answer, or of what a join is told; or a gap. The latter are held until
 * JOINED, with all else that comes on the room's lane. */
static void on_past(struct yo_client_session *session, struct yo_client_room *room,
                    const struct yo_arrival *in)
{
    const struct yo_message *message = in->message;
    struct yo_effect *page;
    uint32_t count = 1;

    if (message->op == YO_OP_HISTORY &&
        check_past(message->members, &count) != YOMO_OK) {
        yo_client_broken(session, in, "a broken page of history");
    } else if (message->op == YO_OP_HISTORY && message->number != 0) {
        page = yo_effects_add(in->effects, YO_EFFECT_HISTORY);
        if (page) {
            page->room = yo_client_room_name(room);
            page->number = message->number;
            page->payload = message->members;
            page->sequence = message->sequence;
            page->more = message->more;
        }
    } else if (room->phase == ROOM_JOINING) {
        yo_client_hold_promised(session, room, in, count);
    } else if (yo_effects_reserve(in->effects, count) == YOMO_OK) {
        if (message->op == YO_OP_GAP) {
            tell_gap(room, message, in->effects);
        } else {
            tell_past(room, message, in->lane, in->effects);
        }
    }
}

/* --- joined --- */

int yo_client_reserve_joined(struct yo_client_room *room, size_t extra,
                             struct yo_effects *effects)
{
    return yo_effects_reserve(effects, extra + 1 + room->held_count);
}

void yo_client_joined(struct yo_client_session *session, struct yo_client_room *room,
                      struct yo_effects *effects)
{
    struct yo_effect *joined = yo_effects_add(effects, YO_EFFECT_JOINED);

    assert(joined && room->phase == ROOM_JOINING);
    joined->room = yo_client_room_name(room);
    joined->sequence = room->sequence;
    joined->epoch = room->epoch;
    joined->observe = room->observer;
    joined->resumed = room->resuming;
    joined->number = room->resuming ? room->read : 0;
    room->resuming = false;
    room->phase = ROOM_IN;
    room->join_due = YO_NEVER;
    YO_LIST_EACH(link, next_link, &room->held)
    {
        const struct yo_held *held = of_link(link);
        struct yo_message message;
        struct yo_span event;
        int rv = yo_decode(yo_span(held->bytes, held->size), &message);
        assert(rv == YOMO_OK);
        (void)rv;
        if (message.op == YO_OP_GAP) {
            tell_gap(room, &message, effects);
            continue;
        }
        if (message.op == YO_OP_HISTORY) {
            tell_past(room, &message, held->lane, effects);
            continue;
        }
        if (message.op == YO_OP_VALUES) {
            yo_client_tell_values(room, &message, effects);
            continue;
        }
        if (message.op == YO_OP_VALUE || message.op == YO_OP_LOCK) {
            if (!yo_client_is_valued(room, &message)) {
                yo_client_tell_value(room, &message, effects);
            }
            continue;
        }
        if (!yo_client_is_news(room, &message)) {
            continue;
        }
        if (message.op == YO_OP_CHANGES) {
            yo_client_tell_changes(session, &message, effects);
        } else if (message.op != YO_OP_DATA) {
            yo_client_tell_peer(&message, change_of(message.op), effects);
        } else if (yo_check_data(message.payload, &event) == YOMO_OK) {
            deliver(session, &message, held->lane, event, effects);
        }
        yo_client_tell_once(room, &message);
    }
    yo_client_release_held(session, room);
}

/* A state that was set meanwhile goes out behind the ACK, on the room's lane. */
static void send_waiting_state(struct yo_client_session *session,
                               struct yo_client_room *room, struct yo_effects *effects)
{
    const struct yo_message state = {.op = YO_OP_PEER_STATE,
                                     .channel = yo_client_room_name(room),
                                     .payload = payload_of(&room->state)};

    if (room->state_waits && state.payload.data) {
        yo_client_send(session, effects, room->lane, &state);
    }
}

static void on_ack(struct yo_client_session *session, struct yo_client_room *room,
                   const struct yo_arrival *in)
{
    if (room->phase != ROOM_JOINING || room->acked || room->resuming) {
        return;
    }
    send_waiting_state(session, room, in->effects);
    if (in->effects->failed ||
        (room->complete && yo_client_reserve_joined(room, 0, in->effects) != YOMO_OK)) {
        return;
    }
    room->acked = true;
    room->state_waits = false;
    room->epoch = in->message->epoch;
    room->observer = in->message->observe;
    if (room->epoch != 0 && room->epoch == room->wishes.epoch) {
        memcpy(room->past, room->wishes.since, sizeof(room->past));
    }
    if (in->message->sequence > room->sequence) {
        room->sequence = in->message->sequence;
    }
    if (room->complete) {
        yo_client_joined(session, room, in->effects);
    }
}

static void tell_page(const struct yo_client_session *session,
                      const struct yo_message *page, struct yo_effects *effects)
{
    struct yo_mp_reader reader;
    uint32_t count;

    yo_members_init(&reader, page->members, &count);
    for (uint32_t i = 0; i < count; i++) {
        struct yo_wire_member member = {0};
        yo_members_next(&reader, &member);
        const struct yo_message change = {.channel = page->channel,
                                          .session = member.session,
                                          .peer = member.peer,
                                          .payload = member.state,
                                          .data = member.data,
                                          .version = member.version,
                                          .sequence = page->sequence,
                                          .timestamp = member.since_ms};
        if (member.session != session->session) {
            struct yo_effect *peer =
                yo_client_tell_peer(&change, YOMO_PEER_PRESENT, effects);
            assert(peer); /* its place was reserved */
            peer->stale = member.stale;
        }
    }
}

static void on_page(struct yo_client_session *session, struct yo_client_room *room,
                    const struct yo_arrival *in)
{
    const struct yo_message *page = in->message;
    uint32_t count;

    if (room->phase != ROOM_JOINING || room->complete) {
        return;
    }
    if (yo_client_check_members(page->members, &count) != YOMO_OK) {
        yo_client_broken(session, in, "a broken page of a snapshot");
        return;
    }
    if (yo_client_reserve_joined(room, count, in->effects) != YOMO_OK) {
        return;
    }
    tell_page(session, page, in->effects);
    if (room->resuming) { /* what was said before it is to come */
        room->seen = page->sequence;
    } else if (page->sequence > room->sequence) {
        room->sequence = page->sequence;
    }
    room->complete = !page->more;
    if (room->acked && room->complete) {
        yo_client_joined(session, room, in->effects);
    }
}

/* --- refusals and ends --- */

static void add_end(const struct yo_arrival *in, enum yo_effect_kind kind, int error)
{
    struct yo_effect *effect = yo_effects_add(in->effects, kind);

    if (effect) {
        effect->room = in->message->channel;
        effect->error = error;
        effect->text = in->message->text;
    }
}

/* An error without a number: of the join that is under way, else of a state. */
static void on_error(struct yo_client_session *session, struct yo_client_room *room,
                     const struct yo_arrival *in)
{
    int error = yo_client_error_of(in->message);

    if (room->phase == ROOM_JOINING && error != YOMO_ERR_EXISTS) {
        add_end(in, YO_EFFECT_REFUSED, error);
        if (!in->effects->failed) {
            yo_client_forget(session, room);
        }
    } else if (room->phase == ROOM_IN) {
        add_end(in, YO_EFFECT_DROP, error);
    }
}

/* The leave was answered, and the program wants back in. */
static void join_anew(struct yo_client_session *session, struct yo_client_room *room,
                      const struct yo_arrival *in)
{
    yo_client_send_join(session, room, in->now, in->effects);
    if (in->effects->failed) {
        return;
    }
    yo_client_release_held(session, room);
    room->phase = ROOM_JOINING;
    room->lane = session->next_lane++;
    room->acked = room->complete = room->rejoin = room->state_waits = false;
    room->sequence = room->seen = room->epoch = room->valued = 0;
    room->paging = false;
    memset(room->heard, 0, sizeof(room->heard));
    memset(room->past, 0, sizeof(room->past));
}

static void on_left(struct yo_client_session *session, struct yo_client_room *room,
                    const struct yo_arrival *in)
{
    bool answer = in->message->code == 0;

    if (room->phase == ROOM_LEAVING) {
        if (!answer) {
            return; /* crossed our leave, whose answer is to come */
        }
        if (room->rejoin) {
            join_anew(session, room, in);
            return;
        }
    }
    add_end(in, YO_EFFECT_LEFT,
            room->phase == ROOM_LEAVING ? 0 : yo_client_error_of(in->message));
    if (!in->effects->failed) {
        yo_client_forget(session, room);
    }
}

/* --- all that is about a room --- */

static void on_room_yomo(struct yo_client_session *session, struct yo_client_room *room,
                         const struct yo_arrival *in)
{
    switch (in->message->op) {
    case YO_OP_CHANNEL_JOIN:
        on_ack(session, room, in);
        break;
    case YO_OP_SNAPSHOT:
        on_page(session, room, in);
        break;
    case YO_OP_PEER_ONLINE:
    case YO_OP_PEER_STATE:
    case YO_OP_PEER_OFFLINE:
    case YO_OP_PEER_STALE:
    case YO_OP_PEER_BACK:
        on_change(session, room, in);
        break;
    case YO_OP_CHANGES:
        yo_client_on_changes(session, room, in);
        break;
    case YO_OP_ERROR:
        on_error(session, room, in);
        break;
    case YO_OP_CHANNEL_LEAVE:
        on_left(session, room, in);
        break;
    case YO_OP_HISTORY:
    case YO_OP_GAP:
        on_past(session, room, in);
        break;
    case YO_OP_VALUE:
    case YO_OP_LOCK:
        yo_client_on_value(session, room, in);
        break;
    case YO_OP_VALUES:
        yo_client_on_values(session, room, in);
        break;
    default:
        on_data(session, room, in);
        break;
    }
}

void yo_client_on_room(struct yo_client_session *session, const struct yo_arrival *in)
{
    struct yo_client_room *room = yo_client_find(session, in->message->channel);
    enum yo_op op = in->message->op;

    if (!room || (room->phase == ROOM_LEAVING && op != YO_OP_CHANNEL_LEAVE)) {
        return; /* of a room that was left meanwhile */
    }
    if (session->mode == CLIENT_YOMO) {
        on_room_yomo(session, room, in);
    } else if (room->phase == ROOM_JOINING && in->lane != LANE_DATAGRAM &&
               op != YO_OP_CHANNEL_JOIN) {
        return; /* in order, so it is from before we left and joined again */
    } else if (op == YO_OP_DATA) {
        on_data(session, room, in);
    } else if (op == YO_OP_CHANNEL_JOIN) {
        yo_presencejs_on_ack(session, room, in);
    } else {
        yo_presencejs_on_peer(session, room, in);
    }
}
