/* SPDX-License-Identifier: MIT */
/* server_rooms.c - which rooms one client asked for, is in, and leaves.
 *
 * ASKED -joined-> IN -leave-> LEAVING -left-> gone. A client may leave before its join
 * is answered, and join again before its leave is: the answers that are then still to
 * come are counted, and pass without a word.
 *
 * Invariants:
 *  1. rooms_held is how many attendances are not LEAVING; it never passes limits.rooms,
 *     and all together never twice that and a few;
 *  2. ack_due is set for presencejs in datagrams only, while IN, until anything shows
 *     that the ACK came. */
#include "base/check.h"
#include "base/mem.h"
#include "session/server_inside.h"
#include "wire/decode.h"

#define LEAVING_MAX 8 /* on top of as many as may be held */
#define ACK_TRIES_MAX 4
#define PACE_MS_MAX 60000
#define ACK_WAIT (250 * YO_MS) /* before the second; then doubled each time */

static struct yo_attendance *of_name(struct yo_map_node *node)
{
    return YO_CONTAINER(node, struct yo_attendance, by_name);
}

static struct yo_span name_of(const struct yo_attendance *room)
{
    return yo_span(room->name, room->size);
}

struct yo_attendance *yo_server_find(const struct yo_server_session *session,
                                     struct yo_span room)
{
    struct yo_map_node *node = yo_map_get(&session->rooms, room);

    return node ? of_name(node) : NULL;
}

static void forget(struct yo_server_session *session, struct yo_attendance *room)
{
    session->rooms_held -= room->phase != ATTENDANCE_LEAVING;
    yo_map_remove(&session->rooms, &room->by_name);
    yo_free(session->mem, room);
}

void yo_server_rooms_finish(struct yo_server_session *session)
{
    struct yo_map_node *node;

    while ((node = yo_map_next(&session->rooms, NULL))) {
        forget(session, of_name(node));
    }
    yo_map_finish(&session->rooms);
}

uint32_t yo_server_session_lane(const struct yo_server_session *session,
                                struct yo_span room)
{
    const struct yo_attendance *found = yo_server_find(session, room);

    return found && found->phase == ATTENDANCE_IN ? found->lane : 0;
}

uint32_t yo_server_session_asked_lane(const struct yo_server_session *session,
                                      struct yo_span room)
{
    const struct yo_attendance *found = yo_server_find(session, room);

    return found && found->phase != ATTENDANCE_LEAVING ? found->lane : 0;
}

/* The client is out of the room as far as it knows. */
static void set_leaving(struct yo_server_session *session, struct yo_attendance *room)
{
    assert(room->phase != ATTENDANCE_LEAVING);
    room->stale_joins += room->phase == ATTENDANCE_ASKED;
    room->phase = ATTENDANCE_LEAVING;
    room->ack_due = YO_NEVER;
    session->rooms_held--;
}

/* --- states and labels --- */

/* By which presencejs knows the sender of this state. */
static struct yo_span label_of(const struct yo_server_session *session,
                               const struct yo_message *message)
{
    struct yo_span label = YO_SPAN_NONE;

    if (message->payload.data) {
        label = yo_mp_as_str(yo_mp_map_get(message->payload, "id"));
    }
    if (label.size == 0 && !session->identity.extension &&
        !session->identity.id_proven) {
        label = message->peer; /* 2.2.0 names itself here */
    }
    return label.size > 0 ? label : session->identity.id;
}

static bool has_nul(struct yo_span text)
{
    return text.size > 0 && memchr(text.data, 0, text.size) != NULL;
}

/* 0, or why a state is not let in: MALFORMED, TOO_BIG, DENIED. An absent one is. */
static int check_state(const struct yo_server_session *session,
                       const struct yo_message *message, const char **text)
{
    struct yo_span label;

    if (message->payload.data && yo_check_state(message->payload) != YOMO_OK) {
        *text = "a payload that is not a state";
        return YOMO_ERR_MALFORMED;
    }
    label = label_of(session, message);
    if (label.size > YO_ID_SIZE_MAX || has_nul(label)) {
        *text = "an id in the state that cannot be one";
        return YOMO_ERR_MALFORMED;
    }
    if (yo_server_over(message->payload.size, session->limits.state_size)) {
        *text = "the state is too big";
        return YOMO_ERR_TOO_BIG;
    }
    if (session->identity.datagrams_only &&
        yo_server_over(yo_server_relayed_size(session, YO_OP_PEER_STATE,
                                              message->channel, message->payload,
                                              label.size),
                       session->limits.datagram_size)) {
        *text = "the state is too big for a datagram";
        return YOMO_ERR_TOO_BIG;
    }
    if (session->identity.id_proven && !yo_span_equal(label, session->identity.id)) {
        *text = "the id in the state is not the proven one";
        return YOMO_ERR_DENIED;
    }
    return YOMO_OK;
}

static void refuse_state(struct yo_server_session *session,
                         const struct yo_incoming *in, int error, const char *text)
{
    if (error == YOMO_ERR_MALFORMED) {
        yo_server_broken(session, in, text);
    } else {
        yo_server_refuse(session, in, error, text);
    }
}

static struct yo_effect *add_state(struct yo_server_session *session,
                                   const struct yo_incoming *in,
                                   enum yo_effect_kind kind, struct yo_attendance *room,
                                   struct yo_span payload)
{
    const struct yo_message message = {.payload = payload, .peer = in->message->peer};
    struct yo_effect *effect = yo_effects_add(in->effects, kind);

    if (effect) {
        effect->room = name_of(room);
        effect->payload = payload;
        effect->label = label_of(session, &message);
        room->label_size = effect->label.size;
    }
    return effect;
}

/* --- join --- */

static void send_ack(struct yo_server_session *session,
                     const struct yo_attendance *room, uint64_t sequence,
                     uint64_t epoch, struct yo_effects *effects)
{
    const struct yo_message ack = {.op = YO_OP_CHANNEL_JOIN,
                                   .channel = name_of(room),
                                   .peer = yo_span("", 0),
                                   .mesh = session->identity.mesh,
                                   .sequence = sequence,
                                   .epoch = epoch,
                                   .observe = room->observer};

    yo_server_send(session, effects, &ack);
}

/* It is in, or about to be, and asks again. presencejs does not repeat itself: it has
 * left meanwhile, its peer_offline was lost, and it must be told anew who is there. */
static void join_again(struct yo_server_session *session, const struct yo_incoming *in,
                       struct yo_attendance *room, struct yo_span payload)
{
    struct yo_effect *leave;

    if (session->identity.extension) {
        yo_server_refuse(session, in, YOMO_ERR_EXISTS, "in this room already");
        return;
    }
    if (room->phase != ATTENDANCE_IN) {
        return; /* the answer is to come */
    }
    leave = yo_effects_add(in->effects, YO_EFFECT_LEAVE);
    if (leave) {
        leave->room = name_of(room);
    }
    if (leave && add_state(session, in, YO_EFFECT_JOIN, room, payload)) {
        room->stale_leaves++;
        room->phase = ATTENDANCE_ASKED;
        room->lane = session->next_lane++;
        room->ack_due = YO_NEVER;
    }
}

static struct yo_attendance *attendance_create(struct yo_server_session *session,
                                               struct yo_span name)
{
    struct yo_attendance *room;

    if (yo_map_reserve(&session->rooms, 1) != YOMO_OK) {
        return NULL;
    }
    room = yo_calloc(session->mem, 1, sizeof(*room) + name.size);
    if (room) {
        room->phase = ATTENDANCE_LEAVING; /* until it counts */
        room->ack_due = YO_NEVER;
        room->size = name.size;
        memcpy(room->name, name.data, name.size);
    }
    return room;
}

/* `room` is NULL, or one that is being left. */
static void join(struct yo_server_session *session, const struct yo_incoming *in,
                 struct yo_attendance *room, struct yo_span payload)
{
    struct yo_attendance *fresh = NULL;
    struct yo_effect *effect;

    if (!room) {
        room = fresh = attendance_create(session, in->message->channel);
    }
    effect = room ? add_state(session, in, YO_EFFECT_JOIN, room, payload) : NULL;
    if (!effect) {
        yo_free(session->mem, fresh);
        in->effects->failed = true;
        return;
    }
    room->observer = false;
    if (session->identity.extension) {
        effect->pace_ms =
            in->message->pace_ms < PACE_MS_MAX ? in->message->pace_ms : PACE_MS_MAX;
        effect->observe = in->message->observe;
        yo_server_places(in->message, in->message->since, effect);
        effect->hist = in->message->hist;
        effect->epoch = in->message->epoch;
        effect->session = in->message->session;
    }
    if (fresh) {
        yo_map_put(&session->rooms, &fresh->by_name, name_of(fresh));
    } else {
        room->stale_leaves++;
    }
    room->phase = ATTENDANCE_ASKED;
    room->lane = session->next_lane++;
    room->taken = room->read = room->read_told = 0;
    session->rooms_held++;
}

static bool is_full(const struct yo_server_session *session,
                    const struct yo_attendance *room)
{
    size_t max = session->limits.rooms;

    return max > 0 && (session->rooms_held >= max ||
                       (!room && session->rooms.count >= 2 * max + LEAVING_MAX));
}

void yo_server_on_join(struct yo_server_session *session, const struct yo_incoming *in)
{
    const struct yo_message *message = in->message;
    struct yo_attendance *room = yo_server_find(session, message->channel);
    struct yo_span payload = message->payload;
    const char *text = NULL;
    int error;

    if (session->identity.extension && in->lane == LANE_DATAGRAM) {
        /* Our hello is on its way, and late: the client asks as presencejs would. It
         * asks again when it has it, and this one may come after that. */
        yo_server_drop(in, YOMO_ERR_STATE, "a join in a datagram, from before hello");
        return;
    }
    if (message->channel.size == 0) {
        yo_server_broken(session, in, "a join without a room");
        return;
    }
    if (yo_server_over(message->channel.size, session->limits.room_name_size) ||
        has_nul(message->channel)) {
        yo_server_refuse(session, in, YOMO_ERR_INVALID, "not a name for a room");
        return;
    }
    if (in->limited) {
        yo_server_refuse_limited(session, in);
        return;
    }
    error = check_state(session, message, &text);
    if (error == YOMO_ERR_MALFORMED || (error && session->identity.extension)) {
        refuse_state(session, in, error, text);
        return;
    }
    if (error) { /* presencejs would wait for ever: let it in, without that state */
        yo_server_refuse(session, in, error, text);
        payload = YO_SPAN_NONE;
    }
    if (room && room->phase != ATTENDANCE_LEAVING) {
        join_again(session, in, room, payload);
    } else if (is_full(session, room)) {
        yo_server_refuse(session, in, YOMO_ERR_FULL, "too many rooms");
    } else {
        join(session, in, room, payload);
    }
}

/* --- leave, state, online --- */

static void send_left(struct yo_server_session *session, struct yo_span room, int error,
                      struct yo_span text, struct yo_effects *effects)
{
    const struct yo_message message = {
        .op = YO_OP_CHANNEL_LEAVE, .channel = room, .code = error, .text = text};

    if (session->identity.extension) {
        yo_server_send(session, effects, &message);
    }
}

void yo_server_on_leave(struct yo_server_session *session, const struct yo_incoming *in)
{
    struct yo_attendance *room = yo_server_find(session, in->message->channel);
    struct yo_effect *leave;

    if (in->message->channel.size == 0) {
        yo_server_broken(session, in, "a leave without a room");
        return;
    }
    if (!room) {
        /* Refused or put out meanwhile; whoever leaves waits for an answer. */
        send_left(session, in->message->channel, 0, YO_SPAN_NONE, in->effects);
        return;
    }
    if (room->phase == ATTENDANCE_LEAVING) {
        return;
    }
    leave = yo_effects_add(in->effects, YO_EFFECT_LEAVE);
    if (leave) {
        leave->room = name_of(room);
        set_leaving(session, room);
    }
}

void yo_server_on_state(struct yo_server_session *session, const struct yo_incoming *in)
{
    const struct yo_message *message = in->message;
    struct yo_attendance *room = yo_server_find(session, message->channel);
    const char *text = NULL;
    int error;

    if (!message->payload.data || message->channel.size == 0) {
        yo_server_broken(session, in, "a state without a payload or a room");
        return;
    }
    if (!room || room->phase != ATTENDANCE_IN) {
        /* Named by its room alone, an error would read as one of a join. */
        struct yo_message silent = {.op = YO_OP_UNKNOWN, .channel = message->channel};
        struct yo_incoming quiet = *in;
        quiet.message = &silent;
        yo_server_refuse(session, &quiet, YOMO_ERR_NOT_FOUND, "not in this room");
        return;
    }
    room->ack_due = YO_NEVER;
    if (in->limited) {
        yo_server_refuse_limited(session, in);
        return;
    }
    error = room->observer ? YOMO_ERR_DENIED : check_state(session, message, &text);
    if (error) {
        refuse_state(session, in, error,
                     room->observer ? "an observer has no state" : text);
        return;
    }
    add_state(session, in, YO_EFFECT_STATE, room, message->payload);
}

/* What was said before? Only who is in may ask. */
void yo_server_on_history(struct yo_server_session *session,
                          const struct yo_incoming *in)
{
    const struct yo_message *message = in->message;
    struct yo_attendance *room = yo_server_find(session, message->channel);
    struct yo_effect *ask;

    if (message->channel.size == 0 || message->number == 0) {
        yo_server_broken(session, in, "a question without a room or a number");
    } else if (!room || room->phase != ATTENDANCE_IN) {
        yo_server_refuse(session, in, YOMO_ERR_NOT_FOUND, "not in this room");
    } else if (in->limited) {
        yo_server_refuse_limited(session, in);
    } else {
        ask = yo_effects_add(in->effects, YO_EFFECT_HISTORY);
        if (ask) {
            ask->room = name_of(room);
            ask->number = message->number;
            ask->sequence = message->sequence;
            ask->max = message->max;
        }
    }
}

/* presencejs says that it has the ACK. Nobody is told: the server does presence. */
void yo_server_on_online(struct yo_server_session *session,
                         const struct yo_incoming *in)
{
    struct yo_attendance *room = yo_server_find(session, in->message->channel);

    if (room) {
        room->ack_due = YO_NEVER;
    }
}

/* --- what the owner says --- */

void yo_server_set_observer(struct yo_server_session *session, struct yo_span name)
{
    struct yo_attendance *room = yo_server_find(session, name);

    if (room && room->phase == ATTENDANCE_ASKED && room->stale_joins == 0) {
        room->observer = true;
    }
}

int yo_server_joined(struct yo_server_session *session, struct yo_span name,
                     uint64_t sequence, uint64_t epoch, yo_time now,
                     struct yo_effects *effects)
{
    struct yo_attendance *room = yo_server_find(session, name);
    int rv;

    if (!room) {
        return yo_server_done(effects);
    }
    if (room->stale_joins > 0) {
        room->stale_joins--;
        return yo_server_done(effects);
    }
    if (room->phase != ATTENDANCE_ASKED) {
        return yo_server_done(effects);
    }
    send_ack(session, room, sequence, epoch, effects);
    rv = yo_server_done(effects);
    if (rv != YOMO_OK) {
        return rv;
    }
    room->phase = ATTENDANCE_IN;
    if (session->identity.datagrams_only) {
        room->ack_tries = 1;
        room->ack_due = yo_time_after(now, ACK_WAIT);
    }
    return YOMO_OK;
}

int yo_server_refused(struct yo_server_session *session, struct yo_span name, int error,
                      struct yo_span text, struct yo_effects *effects)
{
    struct yo_attendance *room = yo_server_find(session, name);
    const struct yo_message message = {
        .op = YO_OP_ERROR, .channel = name, .code = error, .text = text};
    int rv;

    if (room && room->stale_joins > 0) {
        room->stale_joins--;
        room = NULL;
    }
    if (!room || room->phase != ATTENDANCE_ASKED) {
        return yo_server_done(effects);
    }
    if (session->identity.extension) {
        yo_server_send(session, effects, &message);
    }
    rv = yo_server_done(effects);
    if (rv == YOMO_OK) {
        forget(session, room);
    }
    return rv;
}

int yo_server_left(struct yo_server_session *session, struct yo_span name, int error,
                   struct yo_span text, struct yo_effects *effects)
{
    struct yo_attendance *room = yo_server_find(session, name);
    int rv;

    if (!room) {
        return yo_server_done(effects);
    }
    if (room->phase == ATTENDANCE_LEAVING && error != 0) {
        return yo_server_done(effects); /* the leave has an answer to come */
    }
    if (room->stale_leaves > 0 && error == 0) {
        room->stale_leaves--;
        return yo_server_done(effects);
    }
    if (room->phase != ATTENDANCE_LEAVING && error == 0) {
        error = YOMO_ERR_DENIED; /* put out: only an answer has no error */
    }
    send_left(session, name, error, text, effects);
    rv = yo_server_done(effects);
    if (rv == YOMO_OK) {
        forget(session, room);
    }
    return rv;
}

/* --- a move --- */

/* A message has come about a room: whatever becomes of it, it was taken. */
void yo_server_count(struct yo_server_session *session,
                     const struct yo_message *message, uint32_t lane)
{
    struct yo_attendance *room = yo_server_find(session, message->channel);

    if (room) {
        room->taken += lane >= LANE_ROOMS;
        room->read += lane != LANE_DATAGRAM && message->op == YO_OP_DATA &&
                      message->delivery == YOMO_RELIABLE &&
                      room->phase == ATTENDANCE_IN;
    }
}

/* How much was read, where that is more than was told. */
void yo_server_tell_read(struct yo_server_session *session, struct yo_effects *effects)
{
    for (struct yo_map_node *node = yo_map_next(&session->rooms, NULL); node;
         node = yo_map_next(&session->rooms, node)) {
        struct yo_attendance *room = of_name(node);
        const struct yo_message message = {
            .op = YO_OP_ACK, .channel = name_of(room), .read = room->read};
        if (room->read != room->read_told) {
            yo_server_send(session, effects, &message);
            room->read_told = room->read; /* without memory the connection ends */
        }
    }
}

void yo_server_tell_taken(struct yo_server_session *session, struct yo_effects *effects)
{
    for (struct yo_map_node *node = yo_map_next(&session->rooms, NULL); node;
         node = yo_map_next(&session->rooms, node)) {
        const struct yo_attendance *room = of_name(node);
        const struct yo_message message = {
            .op = YO_OP_MOVED, .channel = name_of(room), .number = room->taken};
        yo_server_send(session, effects, &message);
    }
}

void yo_server_count_anew(struct yo_server_session *session)
{
    for (struct yo_map_node *node = yo_map_next(&session->rooms, NULL); node;
         node = yo_map_next(&session->rooms, node)) {
        of_name(node)->taken = 0;
    }
}

void yo_server_session_park(struct yo_server_session *session)
{
    struct yo_map_node *node, *next;

    for (node = yo_map_next(&session->rooms, NULL); node; node = next) {
        next = yo_map_next(&session->rooms, node);
        if (of_name(node)->phase != ATTENDANCE_IN) {
            forget(session, of_name(node));
        }
    }
}

bool yo_server_session_waits(const struct yo_server_session *session)
{
    for (struct yo_map_node *node = yo_map_next(&session->rooms, NULL); node;
         node = yo_map_next(&session->rooms, node)) {
        if (of_name(node)->phase != ATTENDANCE_IN) {
            return true;
        }
    }
    return false;
}

/* --- after a break --- */

int yo_server_resumed_room(struct yo_server_session *session, struct yo_span name,
                           struct yo_effects *effects)
{
    struct yo_attendance *room = yo_server_find(session, name);
    const struct yo_message message = {
        .op = YO_OP_RESUMED, .channel = name, .number = room ? room->read : 0};
    int rv;

    if (!room) {
        return YOMO_ERR_NOT_FOUND;
    }
    yo_server_send(session, effects, &message);
    rv = yo_server_done(effects);
    if (rv == YOMO_OK) {
        room->resumed = true;
        room->read_told = room->read;
    }
    return rv;
}

int yo_server_bygone(struct yo_server_session *session, struct yo_effects *effects)
{
    for (struct yo_map_node *node = yo_map_next(&session->rooms, NULL); node;
         node = yo_map_next(&session->rooms, node)) {
        const struct yo_attendance *room = of_name(node);
        const struct yo_message message = {.op = YO_OP_RESUMED,
                                           .channel = name_of(room),
                                           .number = room->read,
                                           .code = YOMO_ERR_NOT_FOUND};
        if (room->phase == ATTENDANCE_IN) {
            yo_server_send(session, effects, &message);
        }
    }
    return yo_server_done(effects);
}

/* The rooms that did not come along are forgotten. */
void yo_server_keep_resumed(struct yo_server_session *session)
{
    struct yo_map_node *node, *next;

    for (node = yo_map_next(&session->rooms, NULL); node; node = next) {
        struct yo_attendance *room = of_name(node);
        next = yo_map_next(&session->rooms, node);
        if (!room->resumed) {
            forget(session, room);
        } else {
            room->resumed = false;
            room->taken = 0;
        }
    }
}

/* --- time --- */

void yo_server_rooms_tick(struct yo_server_session *session, yo_time now,
                          struct yo_effects *effects)
{
    for (struct yo_map_node *node = yo_map_next(&session->rooms, NULL); node;
         node = yo_map_next(&session->rooms, node)) {
        struct yo_attendance *room = of_name(node);
        if (room->ack_due > now) {
            continue;
        }
        send_ack(session, room, 0, 0, effects);
        if (effects->failed) {
            return;
        }
        room->ack_tries++;
        room->ack_due = room->ack_tries > ACK_TRIES_MAX
                            ? YO_NEVER
                            : yo_time_after(now, ACK_WAIT << (room->ack_tries - 1));
    }
}

yo_time yo_server_rooms_deadline(const struct yo_server_session *session)
{
    yo_time deadline = YO_NEVER;

    if (!session->identity.datagrams_only) {
        return deadline;
    }
    for (struct yo_map_node *node = yo_map_next(&session->rooms, NULL); node;
         node = yo_map_next(&session->rooms, node)) {
        deadline = yo_time_min(deadline, of_name(node)->ack_due);
    }
    return deadline;
}
