/* SPDX-License-Identifier: MIT */
/* pump.c - the end of a turn: everything that is due goes to the transport.
 *
 * What the session has to say goes first (joins come before what is sent in the room);
 * then the rooms that need something, in turn, a few messages each, until all is sent
 * or the transport has no room, after which on_writable starts the pump again.
 *
 * A room's messages wait until it is joined under this connection. They are encoded
 * here, in the server's dialect. */
#include <yomo/error.h>

#include "client/inside.h"

#define BATCH 16 /* messages of one room before the next room's turn */

enum result { RESULT_SENT, RESULT_DROPPED, RESULT_STOP };

struct route {
    uint32_t lane;
    uint64_t token;
};

/* What the transport said of one message. STOP: no more now. */
static enum result judge(struct yomo_client *client, int rv)
{
    switch (rv) {
    case YOMO_OK:
        return RESULT_SENT;
    case YOMO_ERR_AGAIN:
    case YOMO_ERR_CLOSED: /* on_closed follows */
        client->blocked = true;
        return RESULT_STOP;
    case YOMO_ERR_NOMEM:
        yo_link_drop(client, rv, "");
        return RESULT_STOP;
    default:
        return RESULT_DROPPED;
    }
}

static void pump_control(struct yomo_client *client, const struct yo_conn_info *info)
{
    struct yo_outbox_next next;
    while (yo_outbox_peek(&client->control, &next)) {
        bool datagram = next.delivery == YOMO_UNRELIABLE;
        uint32_t lane = datagram ? (uint32_t)YO_LANE_DATAGRAM : next.lane;
        uint64_t token = datagram && info->datagrams ? next.token : 0;
        int rv = yo_conn_send(client->conn, lane, next.message, token);
        switch (judge(client, rv)) {
        case RESULT_SENT:
            yo_outbox_sent(&client->control, token != 0);
            break;
        case RESULT_DROPPED:
            YO_LOG(&client->log, YOMO_LOG_WARN, "client",
                   "a control message was refused: %s", yomo_error_name(rv));
            yo_outbox_drop(&client->control);
            break;
        case RESULT_STOP:
            return;
        }
    }
}

/* The room's lane on this connection. */
static uint32_t lane_of(struct yomo_room *room)
{
    room->lane = yo_client_lane(room->client->session, room->name);
    return room->lane;
}

/* Which way a message of `size` bytes goes. */
static int choose_route(struct yomo_room *room, const struct yo_outbox_next *next,
                        uint64_t number, size_t size, const struct yo_conn_info *info,
                        struct route *route)
{
    struct yomo_client *client = room->client;
    bool datagram =
        client->extension ? next->delivery != YOMO_RELIABLE : client->datagrams_only;
    *route = (struct route){.lane = YO_LANE_DATAGRAM};
    if (!datagram || size > info->datagram_size_max) {
        if (!client->extension && client->datagrams_only) {
            return YOMO_ERR_TOO_BIG; /* there is no other way */
        }
        route->lane = lane_of(room);
    } else if (info->datagrams) {
        route->token = next->delivery == YOMO_LATEST ? next->token
                       : number                      ? number | YO_TOKEN_NUMBER
                                                     : 0;
    }
    return YOMO_OK;
}

static int send_encoded(struct yomo_room *room, const struct yo_outbox_next *next,
                        uint64_t number, const struct yo_conn_info *info,
                        struct route *route)
{
    struct yomo_client *client = room->client;
    struct yo_span bytes = yo_buf_span(&client->scratch);
    int rv = choose_route(room, next, number, bytes.size, info, route);
    if (rv != YOMO_OK) {
        return rv;
    }
    struct yo_blob *blob = yo_blob_create(&client->mem, bytes);
    if (!blob) {
        return YOMO_ERR_NOMEM;
    }
    rv = yo_conn_send(client->conn, route->lane, blob, route->token);
    if (rv == YOMO_ERR_TOO_BIG && route->lane == YO_LANE_DATAGRAM &&
        client->extension) {
        /* The path takes less than it did a moment ago. */
        *route = (struct route){.lane = lane_of(room)};
        rv = yo_conn_send(client->conn, route->lane, blob, 0);
    }
    yo_blob_unref(blob);
    return rv;
}

static int send_packed(struct yomo_room *room, const struct yo_outbox_next *next,
                       struct yo_packed *packed, const struct yo_conn_info *info,
                       struct route *route, yo_time now)
{
    struct yomo_client *client = room->client;
    struct yo_message data;
    yo_sending_unpack(next->message, packed, &data);
    data.channel = room->name;
    data.delivery = next->delivery;
    if (packed->expires != YO_NEVER) { /* what is left of it, not less than it is */
        data.ttl_ms = packed->expires > now ? (packed->expires - now) / YO_MS + 1 : 1;
    }
    yo_buf_clear(&client->scratch);
    int rv = yo_client_encode(client->session, &client->scratch, &data);
    return rv == YOMO_OK ? send_encoded(room, next, packed->number, info, route) : rv;
}

static void forget(struct yomo_room *room, const struct yo_outbox_next *next)
{
    if (next->delivery == YOMO_RELIABLE) {
        room->held -= next->message->size;
        room->held_count--;
        yo_client_release(room->client, next->message->size, 1);
    }
}

/* After a break: what the server had not read. Returns whether all of it has gone. */
static bool pump_again(struct yomo_room *room, const struct yo_conn_info *info,
                       yo_time now)
{
    struct yomo_client *client = room->client;
    struct yo_outbox_next next = {.delivery = YOMO_RELIABLE};
    struct yo_packed packed;
    struct route route;
    while ((next.message = yo_keep_next(room)) != NULL) {
        memcpy(&packed, next.message->data, sizeof(packed));
        if (packed.expires <= now) { /* it has waited too long for another connection */
            yo_keep_skip(room);
            yo_sending_refused(client, packed.number, YOMO_ERR_TIMEOUT);
            continue;
        }
        int rv = send_packed(room, &next, &packed, info, &route, now);
        switch (judge(client, rv)) {
        case RESULT_SENT:
            yo_sending_took(client, packed.number, 0);
            break;
        case RESULT_DROPPED:
            YO_LOG(&client->log, YOMO_LOG_WARN, "client",
                   "a message was not sent again: %s", yomo_error_name(rv));
            break;
        case RESULT_STOP:
            return false;
        }
        yo_keep_went(room);
    }
    return true;
}

/* Send some of what waits. Returns whether there is more that could be sent. */
static bool pump_box(struct yomo_room *room, const struct yo_conn_info *info,
                     yo_time now)
{
    struct yomo_client *client = room->client;
    struct yo_outbox_next next;
    struct yo_packed packed;
    struct route route;
    if (!pump_again(room, info, now)) {
        return true;
    }
    for (int i = 0; i < BATCH; i++) {
        if (!yo_outbox_peek(&room->box, &next)) {
            return false;
        }
        struct yo_kept *kept = NULL;
        if (yo_keep_wanted(client, next.delivery) &&
            !(kept = yo_keep_make(client, next.message))) {
            (void)judge(client, YOMO_ERR_NOMEM);
            return true;
        }
        int rv = send_packed(room, &next, &packed, info, &route, now);
        enum result result = judge(client, rv);
        if (result != RESULT_SENT) {
            yo_keep_free(client, kept);
            kept = NULL;
        }
        switch (result) {
        case RESULT_SENT:
            if (kept) {
                room->held_count--;
                yo_keep_add(room, kept);
            } else {
                forget(room, &next);
            }
            yo_outbox_sent(&room->box, route.token != 0 && route.token == next.token);
            yo_sending_took(client, packed.number, route.token);
            break;
        case RESULT_DROPPED:
            YO_LOG(&client->log, YOMO_LOG_WARN, "client", "a message was not sent: %s",
                   yomo_error_name(rv));
            forget(room, &next);
            yo_outbox_drop(&room->box);
            yo_sending_refused(client, packed.number, rv);
            break;
        case RESULT_STOP:
            return true;
        }
    }
    return true;
}

/* Calls of the session, and what comes of them. */

/* The room's own state, with the id under which the server knows this client. NULL: no
 * memory. The caller's to give back. */
static struct yo_blob *own_state(struct yomo_room *room)
{
    struct yomo_client *client = room->client;
    struct yo_buf state;
    if (client->id_count == 0) { /* changed by this thread only */
        return yo_blob_ref(room->own_state);
    }
    yo_buf_init(&state, &client->mem);
    struct yo_blob *blob = NULL;
    if (yo_state_rename(&state, yo_blob_span(room->own_state),
                        yo_span_of(client->settings.id),
                        yo_span_of(yo_client_own_id(client))) == YOMO_OK) {
        blob = yo_blob_create(&client->mem, yo_buf_span(&state));
    }
    yo_buf_finish(&state);
    return blob;
}

static void ask(struct yomo_room *room, yo_time now)
{
    struct yomo_client *client = room->client;
    yo_effects_clear(&client->effects);
    room->state = YO_ROOM_ASKED;
    room->state_dirty = false;
    yo_shared_begin(room);
    room->value_place = 0;
    struct yo_join_wishes wishes = room->wishes;
    yo_history_wish(room, &wishes);
    struct yo_blob *state = own_state(room);
    int rv = state ? yo_client_join(client->session, room->name, yo_blob_span(state),
                                    &wishes, now, &client->effects)
                   : YOMO_ERR_NOMEM;
    yo_blob_unref(state);
    if (rv == YOMO_OK) {
        yo_dispatch(client, now);
    } else if (rv == YOMO_ERR_NOMEM) {
        yo_link_drop(client, rv, "");
    } else {
        yo_room_over(room, rv, YO_SPAN_NONE);
    }
}

static void restate(struct yomo_room *room, yo_time now)
{
    struct yomo_client *client = room->client;
    (void)lane_of(room); /* it goes there, and is found there when the session moves */
    yo_effects_clear(&client->effects);
    room->state_dirty = false;
    struct yo_blob *state = own_state(room);
    int rv = state ? yo_client_state(client->session, room->name, yo_blob_span(state),
                                     now, &client->effects)
                   : YOMO_ERR_NOMEM;
    yo_blob_unref(state);
    if (rv == YOMO_OK) {
        yo_dispatch(client, now);
    } else if (rv == YOMO_ERR_NOMEM) {
        yo_link_drop(client, rv, "");
    }
}

static void leave(struct yomo_room *room, yo_time now)
{
    struct yomo_client *client = room->client;
    (void)lane_of(room); /* the leave goes there too */
    yo_effects_clear(&client->effects);
    room->state = YO_ROOM_LEAVING;
    room->leave_until = YO_NEVER;
    int rv = yo_client_leave(client->session, room->name, now, &client->effects);
    if (rv == YOMO_OK) {
        yo_dispatch(client, now);
    } else {
        yo_link_drop(client, rv, "");
    }
}

/* May the room be left now? What is RELIABLE goes out first. */
static bool may_leave(const struct yomo_room *room, yo_time now)
{
    if (!room->leaving || room->state == YO_ROOM_LEAVING) {
        return false;
    }
    return room->leave_until <= now ||
           (room->state == YO_ROOM_JOINED && room->held == 0 && !room->again);
}

/* Do what the room needs. Returns whether it stays on the list. The room may be over,
 * and so gone, once its state is looked at for the last time. */
static bool pump_room(struct yomo_room *room, const struct yo_conn_info *info,
                      yo_time now)
{
    struct yomo_client *client = room->client;
    bool more = false;
    if (room->state == YO_ROOM_WAITING) {
        ask(room, now);
    }
    if (room->state == YO_ROOM_JOINED && room->state_dirty) {
        restate(room, now);
    }
    if (room->state == YO_ROOM_JOINED && !yo_list_empty(&room->questions)) {
        yo_history_ask(room, now);
    }
    if (room->state == YO_ROOM_JOINED && !yo_list_empty(&room->orders)) {
        yo_order_give(room, now);
    }
    if (room->state == YO_ROOM_JOINED && !yo_list_empty(&room->shares)) {
        yo_share_give(room, now);
    }
    if (room->state == YO_ROOM_JOINED && !yo_list_empty(&room->claims)) {
        yo_claim_give(room, now);
    }
    if (room->sweep_at <= now) {
        yo_mirror_sweep(room);
    }
    if (room->state == YO_ROOM_JOINED && !client->blocked && !client->ending) {
        more = pump_box(room, info, now);
    }
    if (may_leave(room, now)) {
        leave(room, now);
    }
    return more && room->state != YO_ROOM_OVER;
}

static void set_due(struct yomo_room *room)
{
    yo_room_due(room, yo_time_min(room->sweep_at, room->leave_until));
}

void yo_pump(struct yomo_client *client, yo_time now)
{
    struct yo_conn_info info;
    struct yo_link *link;
    if (client->blocked || !yo_client_session_ready(client->session)) {
        return;
    }
    yo_conn_info(client->conn, &info);
    if (!yo_move_resend(client)) {
        return;
    }
    pump_control(client, &info);
    if (client->resume_due || client->resuming || client->parting) {
        /* Nothing else until it is answered, or on the next connection. */
        yo_conn_flush(client->conn, now);
        return;
    }
    while (!client->blocked && !client->ending &&
           (link = yo_list_pop_front(&client->pump)) != NULL) {
        struct yomo_room *room =
            yomo_room_ref(YO_CONTAINER(link, struct yomo_room, pump_link));
        bool more = pump_room(room, &info, now);
        if (room->state != YO_ROOM_OVER) {
            set_due(room);
        }
        if (more) {
            yo_room_push(room);
        }
        yomo_room_unref(room);
        pump_control(client, &info);
    }
    if (!client->ending) {
        yo_conn_flush(client->conn, now);
    }
}
