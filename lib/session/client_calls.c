/* SPDX-License-Identifier: MIT */
/* client_calls.c - what the program wants of its session: join, leave, state, encode.
 *
 * Each call checks first, then copies what is to be kept, then says it; a call that
 * failed changed nothing. A message that the server would not take is refused here. */
#include "base/check.h"
#include "base/mem.h"
#include "session/client_inside.h"

static int check_call(const struct yo_client_session *session)
{
    if (session->mode == CLIENT_OVER) {
        return YOMO_ERR_CLOSED;
    }
    return session->mode == CLIENT_WAITING ? YOMO_ERR_STATE : YOMO_OK;
}

/* The last effect is a message of the program's: the server must take its size. */
static int check_size(const struct yo_client_session *session,
                      const struct yo_effects *effects)
{
    const struct yo_effect *last =
        effects->count > 0 ? &effects->list[effects->count - 1] : NULL;

    if (last && last->kind == YO_EFFECT_SEND &&
        last->bytes.size > yo_client_session_message_max(session)) {
        return YOMO_ERR_TOO_BIG;
    }
    return YOMO_OK;
}

static size_t count_attended(const struct yo_client_session *session)
{
    size_t count = 0;

    for (struct yo_map_node *node = yo_map_next(&session->rooms, NULL); node;
         node = yo_map_next(&session->rooms, node)) {
        const struct yo_client_room *room =
            YO_CONTAINER(node, struct yo_client_room, by_name);
        count += room->phase != ROOM_LEAVING || room->rejoin;
    }
    return count;
}

static int check_join(const struct yo_client_session *session, struct yo_span name)
{
    const struct yo_client_room *room = yo_client_find(session, name);
    int rv = check_call(session);

    if (rv != YOMO_OK) {
        return rv;
    }
    if (name.size == 0 || name.size > YO_CHANNEL_SIZE_MAX) {
        return YOMO_ERR_INVALID;
    }
    if (room && (room->phase != ROOM_LEAVING || room->rejoin)) {
        return YOMO_ERR_EXISTS;
    }
    if (session->limits.rooms > 0 && count_attended(session) >= session->limits.rooms) {
        return YOMO_ERR_FULL;
    }
    return YOMO_OK;
}

/* The room as it will be, not in the map yet. NULL: out of memory. */
static struct yo_client_room *room_create(struct yo_client_session *session,
                                          struct yo_span name)
{
    struct yo_client_room *room;

    if (yo_map_reserve(&session->rooms, 1) != YOMO_OK) {
        return NULL;
    }
    room = yo_calloc(session->mem, 1, sizeof(*room) + name.size);
    if (!room) {
        return NULL;
    }
    yo_buf_init(&room->state, session->mem);
    yo_list_init(&room->held);
    yo_map_init(&room->peers, session->mem);
    room->join_due = YO_NEVER;
    room->size = name.size;
    memcpy(room->name, name.data, name.size);
    return room;
}

/* `state` takes the place of the room's. */
static void keep_state(struct yo_client_room *room, struct yo_buf *state)
{
    yo_buf_swap(&room->state, state);
    yo_buf_finish(state);
}

static int join_fresh(struct yo_client_session *session, struct yo_span name,
                      struct yo_buf *state, const struct yo_join_wishes *wishes,
                      yo_time now, struct yo_effects *effects)
{
    struct yo_client_room *room = room_create(session, name);
    int rv;

    if (!room) {
        return YOMO_ERR_NOMEM;
    }
    yo_buf_swap(&room->state, state);
    room->wishes = *wishes;
    room->lane = session->next_lane;
    yo_client_send_join(session, room, now, effects);
    rv = effects->failed ? YOMO_ERR_NOMEM : check_size(session, effects);
    if (rv != YOMO_OK) {
        yo_buf_finish(&room->state);
        yo_free(session->mem, room);
        return rv;
    }
    session->next_lane++;
    yo_map_put(&session->rooms, &room->by_name, yo_client_room_name(room));
    return YOMO_OK;
}

static int fail(struct yo_effects *effects, int error)
{
    yo_effects_cut(effects, 0);
    return error;
}

int yo_client_join(struct yo_client_session *session, struct yo_span name,
                   struct yo_span state, const struct yo_join_wishes *wishes,
                   yo_time now, struct yo_effects *effects)
{
    static const struct yo_join_wishes none;
    struct yo_client_room *room = yo_client_find(session, name);
    struct yo_buf copy;
    int rv = check_join(session, name);

    yo_client_spent_free(session);
    if (rv != YOMO_OK) {
        return rv;
    }
    yo_buf_init(&copy, session->mem);
    if (yo_buf_append_span(&copy, state) != YOMO_OK) {
        return YOMO_ERR_NOMEM;
    }
    if (room) { /* its leave is to be answered first */
        keep_state(room, &copy);
        room->wishes = wishes ? *wishes : none;
        room->rejoin = true;
        return YOMO_OK;
    }
    rv = join_fresh(session, name, &copy, wishes ? wishes : &none, now, effects);
    yo_buf_finish(&copy);
    return rv == YOMO_OK ? yo_client_done(effects) : fail(effects, rv);
}

/* In the order of what was sent before it: with the room's messages once there may be
 * some, else with the join. */
static int send_leave(struct yo_client_session *session, struct yo_client_room *room,
                      struct yo_effects *effects)
{
    const struct yo_message leave = {.op = YO_OP_PEER_OFFLINE,
                                     .channel = yo_client_room_name(room)};

    yo_client_send(session, effects, room->phase == ROOM_IN ? room->lane : LANE_CONTROL,
                   &leave);
    return effects->failed ? YOMO_ERR_NOMEM : YOMO_OK;
}

/* Nobody answers a presencejs client's leave. */
static bool tell_left(struct yo_effects *effects, struct yo_span name)
{
    struct yo_effect *left = yo_effects_add(effects, YO_EFFECT_LEFT);

    if (left) {
        left->room = name;
    }
    return left != NULL;
}

int yo_client_leave(struct yo_client_session *session, struct yo_span name, yo_time now,
                    struct yo_effects *effects)
{
    struct yo_client_room *room = yo_client_find(session, name);
    int rv = check_call(session);

    (void)now;
    yo_client_spent_free(session);
    if (rv != YOMO_OK || !room) {
        return rv != YOMO_OK ? rv : YOMO_ERR_NOT_FOUND;
    }
    if (room->phase == ROOM_LEAVING) {
        rv = room->rejoin ? YOMO_OK : YOMO_ERR_NOT_FOUND;
        room->rejoin = false;
        return rv;
    }
    if (send_leave(session, room, effects) != YOMO_OK) {
        return fail(effects, YOMO_ERR_NOMEM);
    }
    if (session->mode == CLIENT_YOMO) {
        room->phase = ROOM_LEAVING;
    } else if (!tell_left(effects, name)) {
        return fail(effects, YOMO_ERR_NOMEM);
    } else {
        yo_client_forget(session, room);
    }
    return yo_client_done(effects);
}

int yo_client_state(struct yo_client_session *session, struct yo_span name,
                    struct yo_span state, yo_time now, struct yo_effects *effects)
{
    struct yo_client_room *room = yo_client_find(session, name);
    const struct yo_message message = {
        .op = YO_OP_PEER_STATE, .channel = name, .payload = state};
    struct yo_buf copy;
    int rv = check_call(session);

    (void)now;
    yo_client_spent_free(session);
    if (rv != YOMO_OK) {
        return rv;
    }
    if (!room || (room->phase == ROOM_LEAVING && !room->rejoin)) {
        return YOMO_ERR_NOT_FOUND;
    }
    if (room->wishes.observe) {
        return YOMO_ERR_DENIED;
    }
    yo_buf_init(&copy, session->mem);
    if (yo_buf_append_span(&copy, state) != YOMO_OK) {
        return YOMO_ERR_NOMEM;
    }
    yo_client_send(session, effects, room->lane, &message);
    rv = effects->failed ? YOMO_ERR_NOMEM : check_size(session, effects);
    if (rv != YOMO_OK) {
        yo_buf_finish(&copy);
        return fail(effects, rv);
    }
    if (room->phase != ROOM_IN) { /* with the join that is to come, or with the ACK */
        yo_effects_cut(effects, 0);
        room->state_waits = room->phase == ROOM_JOINING;
    }
    keep_state(room, &copy);
    return yo_client_done(effects);
}

int yo_client_history(struct yo_client_session *session, struct yo_span name,
                      uint64_t number, uint64_t before, uint64_t max,
                      struct yo_effects *effects)
{
    const struct yo_client_room *room = yo_client_find(session, name);
    const struct yo_message message = {.op = YO_OP_HISTORY,
                                       .channel = name,
                                       .number = number,
                                       .sequence = before,
                                       .max = max};

    yo_client_spent_free(session);
    if (session->mode != CLIENT_YOMO) {
        return YOMO_ERR_STATE;
    }
    if (!room || room->phase != ROOM_IN) {
        return YOMO_ERR_NOT_FOUND;
    }
    yo_client_send(session, effects, LANE_CONTROL, &message);
    return yo_client_done(effects);
}

int yo_client_order(struct yo_client_session *session, const struct yo_message *order,
                    struct yo_effects *effects)
{
    const struct yo_client_room *room = yo_client_find(session, order->channel);

    yo_client_spent_free(session);
    if (session->mode != CLIENT_YOMO) {
        return YOMO_ERR_STATE;
    }
    if (!room || room->phase != ROOM_IN) {
        return YOMO_ERR_NOT_FOUND;
    }
    yo_client_send(session, effects, LANE_CONTROL, order);
    return yo_client_done(effects);
}

int yo_client_encode(struct yo_client_session *session, struct yo_buf *out,
                     const struct yo_message *data)
{
    struct yo_message message = *data;
    size_t start = out->size;
    int rv;

    message.op = YO_OP_DATA;
    if (message.delivery != YOMO_LATEST) {
        message.key = YO_SPAN_NONE;
        message.version = 0;
    }
    if (session->mode != CLIENT_YOMO && (message.targets.data || message.echo ||
                                         message.request != 0 || message.reply != 0)) {
        return YOMO_ERR_STATE; /* it would go to everybody */
    }
    rv = yo_encode(out, yo_client_dialect(session), &message);
    if (rv == YOMO_OK && out->size - start > yo_client_session_message_max(session)) {
        out->size = start;
        return YOMO_ERR_TOO_BIG;
    }
    return rv;
}

uint32_t yo_client_lane(struct yo_client_session *session, struct yo_span name)
{
    const struct yo_client_room *room = yo_client_find(session, name);

    if (session->mode != CLIENT_YOMO) {
        return session->datagrams ? LANE_DATAGRAM : LANE_CONTROL;
    }
    return room ? room->lane : LANE_CONTROL;
}
