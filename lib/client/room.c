/* SPDX-License-Identifier: MIT */
/* room.c - one room handle: counted, joined, left.
 *
 * The happy path: WAITING until there is a connection, ASKED, JOINED, and after each
 * loss the same again; LEAVING, OVER with on_left. Possible failure modes: the server
 * refuses, or puts the member out: OVER with its error.
 *
 * Invariants:
 *  1. a room is in the client's `rooms` from the join call until on_left is told, and
 * in `room_list` and `serials` from its first letter on;
 *  2. the engine's reference is dropped after on_left has returned. */
#include "base/check.h"
#include "client/inside.h"

static void on_join_letter(struct yo_letter *letter, void *user, yo_time now);
static void on_leave_letter(struct yo_letter *letter, void *user, yo_time now);
static void on_state_letter(struct yo_letter *letter, void *user, yo_time now);
static void discard_join(struct yo_letter *letter);
static void discard_leave(struct yo_letter *letter);
static void discard_state(struct yo_letter *letter);

int yo_room_create(struct yomo_room **out, struct yomo_client *client,
                   struct yo_span name)
{
    struct yomo_room *room = yo_calloc(&client->mem, 1, sizeof(*room) + name.size + 1);
    if (!room) {
        return YOMO_ERR_NOMEM;
    }
    char *text = (char *)(room + 1);
    memcpy(text, name.data, name.size);
    room->name = yo_span(text, name.size);
    room->client = client;
    room->sweep_at = room->leave_until = YO_NEVER;
    atomic_init(&room->refs, 1);
    yo_list_init(&room->subscriptions);
    yo_list_init(&room->askings);
    yo_list_init(&room->room_link);
    yo_list_init(&room->pump_link);
    yo_list_init(&room->pending);
    yo_list_init(&room->kept);
    yo_list_init(&room->questions);
    yo_list_init(&room->orders);
    yo_list_init(&room->shares);
    yo_list_init(&room->claims);
    yo_map_init(&room->shared, &client->mem);
    yo_roster_init(&room->roster, &client->mem);
    room->join_letter =
        (struct yo_letter){.open = on_join_letter, .discard = discard_join};
    room->leave_letter =
        (struct yo_letter){.open = on_leave_letter, .discard = discard_leave};
    room->state_letter =
        (struct yo_letter){.open = on_state_letter, .discard = discard_state};
    const struct yo_outbox_limits limits = {
        .reliable_bytes = SIZE_MAX, /* bounded by the client's `held` */
        .unreliable_bytes = client->settings.unreliable_queue,
        .latest_slots = client->settings.latest_slots_max,
    };
    yo_outbox_init(&room->box, &client->mem, &limits);
    yo_client_ref(client);
    *out = room;
    return YOMO_OK;
}

static void destroy(struct yomo_room *room)
{
    struct yomo_client *client = room->client;
    YO_LIST_EACH(link, next, &room->subscriptions) {
        yo_free(&client->mem, YO_CONTAINER(link, struct yo_subscription, link));
    }
    yo_blob_unref(room->next_state);
    yo_blob_unref(room->own_state);
    yo_outbox_finish(&room->box);
    yo_roster_finish(&room->roster);
    yo_shared_finish(room);
    yo_free(&client->mem, room);
    yo_client_unref(client);
}

yomo_room *yomo_room_ref(yomo_room *room)
{
    if (room) {
        atomic_fetch_add_explicit(&room->refs, 1, memory_order_relaxed);
    }
    return room;
}

void yomo_room_unref(yomo_room *room)
{
    if (room && atomic_fetch_sub_explicit(&room->refs, 1, memory_order_acq_rel) == 1) {
        destroy(room);
    }
}

struct yomo_room *yo_client_room(const struct yomo_client *client, struct yo_span name)
{
    yo_client_lock(client);
    struct yo_map_node *node = yo_map_get(&client->rooms, name);
    yo_client_unlock(client);
    return node ? YO_CONTAINER(node, struct yomo_room, by_name) : NULL;
}

void yo_room_push(struct yomo_room *room)
{
    struct yomo_client *client = room->client;
    if (yo_list_empty(&room->pump_link) && room->state != YO_ROOM_OVER) {
        yo_list_push_back(&client->pump, &room->pump_link);
    }
    yo_client_wake(client);
}

void yo_room_due(struct yomo_room *room, yo_time when)
{
    struct yomo_client *client = room->client;
    client->rooms_due = yo_time_min(client->rooms_due, when);
}

/* The newest own state that was set becomes the engine's. */
static void take_state(struct yomo_room *room)
{
    yo_client_lock(room->client);
    struct yo_blob *state = room->next_state;
    room->next_state = NULL;
    room->state_posted = false;
    yo_client_unlock(room->client);
    if (state) {
        yo_blob_unref(room->own_state);
        room->own_state = state;
        room->state_dirty = true;
    }
}

static void on_join_letter(struct yo_letter *letter, void *user, yo_time now)
{
    struct yomo_room *room = YO_CONTAINER(letter, struct yomo_room, join_letter);
    struct yomo_client *client = user;
    (void)now;
    if (room->state != YO_ROOM_OVER) {
        room->serial = client->next_serial++;
        room->box.next_token = (room->serial << YO_TOKEN_SERIAL_SHIFT) + 1;
        take_state(room);
        int rv = yo_map_put(&client->serials, &room->by_serial,
                            yo_span(&room->serial, sizeof(room->serial)));
        if (rv == YOMO_OK) {
            yo_list_push_back(&client->room_list, &room->room_link);
            yo_room_push(room);
        } else {
            room->serial = 0;
            yo_room_over(room, rv, YO_SPAN_NONE);
        }
    }
    yomo_room_unref(room);
}

static void discard_join(struct yo_letter *letter)
{
    yomo_room_unref(YO_CONTAINER(letter, struct yomo_room, join_letter));
}

static void on_state_letter(struct yo_letter *letter, void *user, yo_time now)
{
    struct yomo_room *room = YO_CONTAINER(letter, struct yomo_room, state_letter);
    (void)user, (void)now;
    take_state(room);
    yo_room_push(room);
    yomo_room_unref(room);
}

static void discard_state(struct yo_letter *letter)
{
    yomo_room_unref(YO_CONTAINER(letter, struct yomo_room, state_letter));
}

static void on_leave_letter(struct yo_letter *letter, void *user, yo_time now)
{
    struct yomo_room *room = YO_CONTAINER(letter, struct yomo_room, leave_letter);
    struct yomo_client *client = user;
    if (room->state == YO_ROOM_WAITING) {
        yo_room_over(room, YOMO_OK, YO_SPAN_NONE);
    } else if (room->state != YO_ROOM_OVER) {
        room->leaving = true;
        room->leave_until = yo_time_after(now, client->settings.linger_ms * YO_MS);
        yo_room_due(room, room->leave_until);
        yo_room_push(room);
    }
    yomo_room_unref(room);
}

static void discard_leave(struct yo_letter *letter)
{
    yomo_room_unref(YO_CONTAINER(letter, struct yomo_room, leave_letter));
}

void yo_room_away(struct yomo_room *room)
{
    if (room->leaving) {
        yo_room_over(room, YOMO_OK, YO_SPAN_NONE);
        return;
    }
    room->resumable =
        room->client->kept && (room->resumable || room->state == YO_ROOM_JOINED);
    room->state = YO_ROOM_WAITING;
    room->lane = 0;
    room->sweep_at = YO_NEVER;
    room->again = NULL;
    yo_roster_begin(&room->roster);
    yo_outbox_rewind(&room->box);
    yo_client_count_box(room);
    yo_history_lost(room);
    yo_order_lost(room);
    yo_share_lost(room);
    yo_claim_away(room);
    if (room->resumable) { /* RELIABLE ones are not lost yet */
        yo_sending_moved(room);
    } else {
        yo_client_count(room->client, YOMO_COUNT_UNSURE, yo_keep_clear(room));
        yo_sending_lost(room);
    }
}

void yo_room_moved(struct yomo_room *room)
{
    yo_outbox_rewind(&room->box);
    yo_sending_moved(room);
    yo_order_lost(room);
    yo_room_push(room);
}

/* Nothing more will be sent in it. */
static void end_lane(struct yomo_room *room)
{
    struct yomo_client *client = room->client;
    if (client->conn && !client->ending && room->lane >= YO_LANE_ROOMS) {
        yo_conn_end_lane(client->conn, room->lane);
    }
}

void yo_room_over(struct yomo_room *room, int error, struct yo_span text)
{
    struct yomo_client *client = room->client;
    struct yo_reason why;
    yo_reason_set(&why, YO_CLOSE_DONE, error, text);
    room->state = YO_ROOM_OVER;
    end_lane(room);
    yo_list_remove(&room->room_link);
    yo_list_remove(&room->pump_link);
    if (room->serial) {
        yo_map_remove(&client->serials, &room->by_serial);
    }
    yo_client_lock(client);
    room->over = true;
    yo_map_remove(&client->rooms, &room->by_name);
    yo_client_unlock(client);
    yo_history_end(room);
    yo_order_end(room, error);
    yo_share_end(room);
    yo_claim_end(room);
    yo_sending_end(room);
    if (client->on.on_left) {
        client->on.on_left(client->user, room, error, why.text);
    }
    yomo_room_unref(room); /* the engine's */
}

const char *yomo_room_name(const yomo_room *room)
{
    return room ? (const char *)room->name.data : "";
}

yomo_client *yomo_room_client(const yomo_room *room)
{
    return room ? room->client : NULL;
}

int32_t yomo_room_observes(const yomo_room *room)
{
    if (!room) {
        return 0;
    }
    yo_client_lock(room->client);
    bool observer = room->observer;
    yo_client_unlock(room->client);
    return observer;
}

void yomo_room_set_user(yomo_room *room, void *user)
{
    if (room) {
        yo_client_lock(room->client);
        room->user = user;
        yo_client_unlock(room->client);
    }
}

void *yomo_room_user(const yomo_room *room)
{
    if (!room) {
        return NULL;
    }
    yo_client_lock(room->client);
    void *user = room->user;
    yo_client_unlock(room->client);
    return user;
}
