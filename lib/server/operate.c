/* SPDX-License-Identifier: MIT */
/* operate.c - what an act does on one worker: to those who are connected here, and to
 * the rooms that live here. */
#include "base/check.h"
#include "server/act.h"
#include "server/move.h"
#include "server/worker.h"

#define ROOMS_AT_ONCE 2000 /* in one turn, and what is left of a bucket */

/* --- putting out ----------------------------------------------------------------- */

static bool means(const struct yo_act *act, const struct yo_peer *peer)
{
    struct yo_ip ip;

    if ((peer->closing && !peer->parked) || !yo_span_is(act->app, peer->app)) {
        return false;
    }
    if (act->kind == YO_ACT_CLOSE) {
        return true;
    }
    return (act->session != 0 &&
            (peer->session_id == act->session || peer->moving == act->session)) ||
           (act->id.data && yo_span_is(act->id, peer->id)) ||
           (act->by_network &&
            yo_ip_parse(&ip, yo_span_of(peer->address), true) == YOMO_OK &&
            yo_network_has(&act->network, &ip));
}

static void put_out(struct yo_act *act, struct yo_local_room *room,
                    struct yo_peer *peer, yo_time now)
{
    struct yo_seat *seat = room ? yo_seat_find(peer, room) : NULL;
    struct yo_span why =
        act->reason.size > 0 ? act->reason : yo_span_of(yomo_strerror(YOMO_ERR_KICKED));
    char text[124];
    size_t size = why.size < sizeof(text) - 1 ? why.size : sizeof(text) - 1;

    if (act->room.data && !seat) {
        return;
    }
    act->count++;
    if (seat && !peer->presencejs && !peer->departing && !peer->parked &&
        peer->moving == 0) {
        yo_local_put_out(&peer->worker->local, seat, YOMO_ERR_KICKED, why, now);
        return;
    }
    memcpy(text, why.data, size);
    text[size] = '\0';
    if (peer->departing) {
        yo_move_kick(peer);
    } else {
        yo_peer_end(peer, YO_CODE_KICKED, YOMO_ERR_KICKED, text);
    }
}

static void put_out_all(struct yo_act *act, struct yo_worker *worker, yo_time now)
{
    uint8_t bytes[YO_ROOM_KEY_MAX];
    struct yo_local_room *room = NULL;
    struct yo_link *lists[] = {&worker->peers, &worker->due};

    if (act->room.data) {
        room = yo_local_room_find(&worker->local,
                                  yo_room_key_write(bytes, act->app, act->room));
        if (!room) {
            return;
        }
        room->count++; /* until the walk is over */
    }
    for (size_t i = 0; i < 2; i++) {
        YO_LIST_EACH(link, next, lists[i])
        {
            struct yo_peer *peer = YO_CONTAINER(link, struct yo_peer, in_worker);
            if (means(act, peer)) {
                put_out(act, room, peer, now);
            }
        }
    }
    if (room) {
        yo_local_room_release(&worker->local, room);
    }
}

static void close_room(struct yo_act *act, struct yo_worker *worker, yo_time now)
{
    uint8_t bytes[YO_ROOM_KEY_MAX];
    struct yo_span key = yo_room_key_write(bytes, act->app, act->room);

    if (act->at < worker->count && yo_worker_home(worker, key) == worker->index) {
        yo_home_close(&worker->home, key);
    }
    put_out_all(act, worker, now);
}

/* --- looking --------------------------------------------------------------------- */

static bool begins(struct yo_span text, struct yo_span prefix)
{
    return prefix.size == 0 || (text.size >= prefix.size &&
                                memcmp(text.data, prefix.data, prefix.size) == 0);
}

/* Some buckets in each turn: if the map has more of them in the next one, rooms of
 * those that were walked are met again, and none is passed over. */
static void list_rooms(struct yo_act *act, const struct yo_worker *worker)
{
    const struct yo_map *rooms = &worker->home.rooms;
    struct yo_map_node *node = NULL;

    for (size_t seen = 0;; seen++) {
        while (!node && act->cursor < rooms->bucket_count) {
            if (seen >= ROOMS_AT_ONCE) {
                act->again = true;
                return;
            }
            node = rooms->buckets[act->cursor++];
        }
        if (!node) {
            return;
        }
        const struct yo_home_room *hr = YO_CONTAINER(node, struct yo_home_room, node);
        struct yo_row row = {.key = yo_blob_span(hr->key),
                             .app = yo_room_key_app(hr->key),
                             .room = yo_room_key_name(hr->key),
                             .members = hr->room.count,
                             .observers = hr->room.count_observers};
        if (yo_listing_wants(&act->page, row.key) && begins(row.room, act->prefix) &&
            (!act->app.data || yo_span_equal(act->app, row.app)) &&
            (!act->end.sees || act->end.sees(act->end.user, row.app, row.room))) {
            yo_listing_add(&act->page, &row);
        }
        node = node->next;
    }
}

static struct yo_span session_key(uint8_t out[8], uint64_t session)
{
    for (int i = 0; i < 8; i++) {
        out[i] = (uint8_t)(session >> (56 - 8 * i));
    }
    return yo_span(out, 8);
}

/* Where its members are connected, addresses are known; the home knows since when. */
static void list_members(struct yo_act *act, const struct yo_worker *worker)
{
    uint8_t bytes[YO_ROOM_KEY_MAX], key[8];
    struct yo_span name = yo_room_key_write(bytes, act->app, act->room);
    const struct yo_map_node *node = yo_map_get(&worker->home.rooms, name);
    const struct yo_map_node *here = yo_map_get(&worker->local.rooms, name);

    if (here) {
        const struct yo_local_room *room =
            YO_CONTAINER(here, struct yo_local_room, node);
        YO_LIST_EACH(link, next, &room->seats)
        {
            const struct yo_seat *seat = YO_CONTAINER(link, struct yo_seat, in_room);
            const struct yo_peer *peer = seat->peer;
            uint64_t session = peer->moving ? peer->moving : peer->session_id;
            yo_listing_add(&act->page,
                           &(struct yo_row){.key = session_key(key, session),
                                            .id = yo_span_of(peer->id),
                                            .address = yo_span_of(peer->address),
                                            .session = session,
                                            .transport = (int32_t)peer->transport,
                                            .presencejs = peer->presencejs,
                                            .observer = seat->observer});
        }
    }
    if (node) {
        const struct yo_home_room *hr = YO_CONTAINER(node, struct yo_home_room, node);
        for (struct yo_map_node *at = yo_map_next(&hr->room.members, NULL); at;
             at = yo_map_next(&hr->room.members, at)) {
            const struct yo_member *member =
                YO_CONTAINER(at, struct yo_member, by_session);
            yo_listing_add(&act->page,
                           &(struct yo_row){.key = session_key(key, member->session),
                                            .id = yo_span_of(member->id),
                                            .session = member->session,
                                            .since_ms = member->since_ms,
                                            .presencejs = member->presencejs,
                                            .observer = member->observer});
        }
    }
}

/* --- what is shared -------------------------------------------------------------- */

static void set_value(struct yo_act *act, struct yo_worker *worker, yo_time now)
{
    uint8_t bytes[YO_ROOM_KEY_MAX];
    struct yo_span room = yo_room_key_write(bytes, act->app, act->room);
    const struct yo_value_wish wish = {.key = act->key,
                                       .data = act->payload,
                                       .conditional = act->conditional,
                                       .expected = act->expected};

    act->error =
        yo_home_host_value(&worker->home, room, &wish, act->id, &act->version, now);
    if (act->error == YOMO_OK && !act->payload) {
        act->version = 0; /* it is gone */
    }
}

static void get_value(struct yo_act *act, const struct yo_worker *worker)
{
    uint8_t bytes[YO_ROOM_KEY_MAX];
    const struct yo_value *value = yo_home_look_up(
        &worker->home, yo_room_key_write(bytes, act->app, act->room), act->key);

    act->error = value ? YOMO_OK : YOMO_ERR_NOT_FOUND;
    if (value) {
        act->version = value->version;
        act->payload = yo_blob_ref(value->data);
    }
}

void yo_operate(struct yo_act *act, struct yo_worker *worker, yo_time now)
{
    switch (act->kind) {
    case YO_ACT_KICK:
        put_out_all(act, worker, now);
        break;
    case YO_ACT_CLOSE:
        close_room(act, worker, now);
        break;
    case YO_ACT_ROOMS:
        list_rooms(act, worker);
        break;
    case YO_ACT_MEMBERS:
        list_members(act, worker);
        break;
    case YO_ACT_SET:
        set_value(act, worker, now);
        break;
    case YO_ACT_GET:
        get_value(act, worker);
        break;
    case YO_ACT_KEEP:
        break;
    }
}
