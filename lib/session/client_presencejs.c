/* SPDX-License-Identifier: MIT */
/* client_presencejs.c - the client towards a backend that speaks presencejs only.
 *
 * There the members do presence among themselves: whoever has its ACK says peer_online
 * and peer_state; whoever hears a peer_online answers with its own peer_state. Members
 * are told apart by `p`, which the backend sets.
 *
 * Failure modes: a join whose datagram, or whose ACK, is lost is sent again a few
 * times. A lost peer_offline leaves a member behind, as it does in presencejs itself.
 *
 * Invariant: `peers` of a room are those for whom a PEER went out that was not LEFT;
 * past YO_CLIENT_PEERS_MAX nobody new is told of. */
#include <yomo/client.h>

#include "base/check.h"
#include "base/mem.h"
#include "session/client_inside.h"

#define JOIN_TRIES_MAX 4 /* after 1, 2, 4 and 8 seconds */

struct peer {
    struct yo_map_node by_id;
    size_t size;
    uint8_t id[];
};

static void peer_drop(struct yo_client_session *session, struct yo_client_room *room,
                      struct yo_map_node *node)
{
    yo_map_remove(&room->peers, node);
    yo_free(session->mem, YO_CONTAINER(node, struct peer, by_id));
}

void yo_presencejs_forget_peers(struct yo_client_session *session,
                                struct yo_client_room *room)
{
    struct yo_map_node *node;

    while ((node = yo_map_next(&room->peers, NULL))) {
        peer_drop(session, room, node);
    }
}

/* --- what it says --- */

static void say(struct yo_client_session *session, const struct yo_client_room *room,
                enum yo_op op, struct yo_effects *effects)
{
    struct yo_message message = {.op = op, .channel = yo_client_room_name(room)};

    if (room->wishes.observe) {
        return; /* that would show it to the others */
    }
    if (op == YO_OP_PEER_STATE) {
        if (room->state.size == 0) {
            return;
        }
        message.payload = yo_buf_span(&room->state);
    }
    yo_client_send(session, effects, LANE_CONTROL, &message);
}

void yo_presencejs_on_ack(struct yo_client_session *session,
                          struct yo_client_room *room, const struct yo_arrival *in)
{
    if (room->phase != ROOM_JOINING) {
        return; /* of a join that was sent again */
    }
    say(session, room, YO_OP_PEER_ONLINE, in->effects);
    say(session, room, YO_OP_PEER_STATE, in->effects);
    if (in->effects->failed ||
        yo_client_reserve_joined(room, 0, in->effects) != YOMO_OK) {
        return;
    }
    room->state_waits = false;
    room->observer = room->wishes.observe;
    yo_client_joined(session, room, in->effects);
}

/* --- what it hears --- */

static void tell(const struct yo_arrival *in, int change, struct yo_span payload)
{
    struct yo_effect *effect = yo_effects_add(in->effects, YO_EFFECT_PEER);

    if (effect) {
        effect->room = in->message->channel;
        effect->peer = in->message->peer;
        effect->payload = payload;
        effect->change = change;
    }
}

static void meet(struct yo_client_session *session, struct yo_client_room *room,
                 const struct yo_arrival *in, int change, struct yo_span payload)
{
    struct yo_span id = in->message->peer;
    struct peer *peer;

    if (room->peers.count >= YO_CLIENT_PEERS_MAX) {
        yo_client_drop(in, YOMO_ERR_FULL, "too many peers in a room");
        return;
    }
    peer = yo_malloc(session->mem, sizeof(*peer) + id.size);
    if (!peer || yo_map_reserve(&room->peers, 1) != YOMO_OK) {
        yo_free(session->mem, peer);
        in->effects->failed = true;
        return;
    }
    tell(in, change, payload);
    if (in->effects->failed) {
        yo_free(session->mem, peer);
        return;
    }
    peer->size = id.size;
    memcpy(peer->id, id.data, id.size);
    yo_map_put(&room->peers, &peer->by_id, yo_span(peer->id, peer->size));
}

static void on_online(struct yo_client_session *session, struct yo_client_room *room,
                      const struct yo_arrival *in, bool known)
{
    if (room->phase == ROOM_IN) {
        say(session, room, YO_OP_PEER_STATE, in->effects);
    }
    if (!known && !in->effects->failed) {
        meet(session, room, in, YOMO_PEER_JOINED, YO_SPAN_NONE);
    }
}

/* Who is heard of by a state first was there before. */
static void on_state(struct yo_client_session *session, struct yo_client_room *room,
                     const struct yo_arrival *in, bool known)
{
    struct yo_span payload = in->message->payload;

    if (yo_check_state(payload) != YOMO_OK) {
        yo_client_broken(session, in, "a payload that is not a state");
    } else if (known) {
        tell(in, YOMO_PEER_STATE, payload);
    } else {
        meet(session, room, in, YOMO_PEER_PRESENT, payload);
    }
}

void yo_presencejs_on_peer(struct yo_client_session *session,
                           struct yo_client_room *room, const struct yo_arrival *in)
{
    struct yo_map_node *node = yo_map_get(&room->peers, in->message->peer);

    if (in->message->peer.size == 0) {
        yo_client_drop(in, YOMO_ERR_PROTO, "a peer without an id");
    } else if (in->message->op == YO_OP_PEER_ONLINE) {
        on_online(session, room, in, node != NULL);
    } else if (in->message->op == YO_OP_PEER_STATE) {
        on_state(session, room, in, node != NULL);
    } else if (node) {
        tell(in, YOMO_PEER_LEFT, YO_SPAN_NONE);
        if (!in->effects->failed) {
            peer_drop(session, room, node);
        }
    }
}

/* --- time --- */

static struct yo_client_room *of_name(struct yo_map_node *node)
{
    return YO_CONTAINER(node, struct yo_client_room, by_name);
}

void yo_presencejs_tick(struct yo_client_session *session, yo_time now,
                        struct yo_effects *effects)
{
    for (struct yo_map_node *node = yo_map_next(&session->rooms, NULL); node;
         node = yo_map_next(&session->rooms, node)) {
        struct yo_client_room *room = of_name(node);
        uint32_t tries = room->join_tries;
        if (room->join_due > now) {
            continue;
        }
        yo_client_send_join(session, room, now, effects);
        if (effects->failed) {
            return;
        }
        room->join_tries = tries + 1;
        room->join_due = tries + 1 > JOIN_TRIES_MAX
                             ? YO_NEVER
                             : yo_time_after(now, YO_SECOND << tries);
    }
}

yo_time yo_presencejs_deadline(const struct yo_client_session *session)
{
    yo_time deadline = YO_NEVER;

    for (struct yo_map_node *node = yo_map_next(&session->rooms, NULL); node;
         node = yo_map_next(&session->rooms, node)) {
        deadline = yo_time_min(deadline, of_name(node)->join_due);
    }
    return deadline;
}
