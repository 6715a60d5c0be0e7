/* SPDX-License-Identifier: MIT */
/* dispatch.c - what the session wants done: sent, or told to the program.
 *
 * Nothing here calls the session again: what follows from an effect is left for the end
 * of the turn. Program code that runs inside can only post letters. */
#include "client/inside.h"

static void send_control(struct yomo_client *client, const struct yo_effect *effect)
{
    struct yo_blob *blob = yo_blob_create(&client->mem, effect->bytes);
    int rv = YOMO_ERR_NOMEM;
    if (blob) {
        bool datagram = effect->lane == YO_LANE_DATAGRAM;
        const struct yo_outgoing out = {
            .message = blob,
            .delivery = datagram ? YOMO_UNRELIABLE : YOMO_RELIABLE,
            .lane = datagram ? YO_LANE_CONTROL : effect->lane,
            .insist = datagram,
        };
        rv = yo_outbox_put(&client->control, &out);
        yo_blob_unref(blob);
    }
    if (rv != YOMO_OK) {
        yo_link_drop(client, rv, "");
    }
}

static void ready(struct yomo_client *client, const struct yo_effect *effect,
                  yo_time now)
{
    int rv = yo_client_adopt_id(client, effect->peer);
    if (rv != YOMO_OK) {
        yo_link_drop(client, rv, "the server changes this client's id again and again");
        return;
    }
    yo_link_ready(client, effect);
    yo_token_holds(client, effect->after_ms, now);
    if (!client->resume_due) {
        yo_engine_open(client, false, now);
    }
}

static void joined(struct yomo_room *room, const struct yo_effect *effect, yo_time now)
{
    struct yomo_client *client = room->client;
    if (room->state != YO_ROOM_ASKED) {
        return;
    }
    room->state = YO_ROOM_JOINED;
    if (effect->resumed) {
        room->resumable = false;
        yo_sending_resumed(room, effect->number);
        /* The server may not have read the last state. The same again changes nothing. */
        room->state_dirty = room->own_state != NULL;
    } else {
        (void)yo_keep_clear(room); /* which counts from the join */
        yo_client_count(client, YOMO_COUNT_REJOINED, room->known);
    }
    yo_history_joined(room, effect);
    if (client->extension) {
        yo_mirror_sweep(room); /* the snapshot was complete */
        if (!effect->resumed) {
            yo_shared_sweep(room, effect->sequence);
        }
        yo_claim_joined(room);
    } else {
        yo_room_due(room, room->sweep_at = yo_time_after(now, YO_ROOM_SWEEP));
    }
    room->known = true;
    yo_client_lock(client);
    room->observer = effect->observe;
    yo_client_unlock(client);
    yo_room_push(room);
    if (client->on.on_joined) {
        client->on.on_joined(client->user, room);
    }
}

static void close_link(struct yomo_client *client, const struct yo_effect *effect)
{
    int error = effect->error ? effect->error : YOMO_ERR_PROTO;
    yo_reason_set(&client->drop, YO_CLOSE_RETRY, error, effect->text);
    client->dropped = true;
    yo_link_close(client, yo_close_kind_of(effect->code), effect->code);
}

static void log_drop(struct yomo_client *client, const struct yo_effect *effect)
{
    YO_LOG(&client->log, YOMO_LOG_WARN, "client", "a message was refused: %s%s%.*s",
           yomo_error_name(effect->error), effect->text.size ? ": " : "",
           (int)effect->text.size,
           effect->text.data ? (const char *)effect->text.data : "");
}

static void read(struct yomo_client *client, const struct yo_effect *effect)
{
    struct yomo_room *room = yo_client_room(client, effect->room);
    if (room && room->state != YO_ROOM_OVER) {
        yo_keep_read(room, effect->number);
        room->unread = room->resumable && effect->error != YOMO_OK;
    }
}

/* What concerns one room. */
static void for_room(struct yomo_client *client, const struct yo_effect *effect,
                     yo_time now)
{
    struct yomo_room *room = yo_client_room(client, effect->room);
    if (!room || room->state == YO_ROOM_OVER || room->state == YO_ROOM_WAITING) {
        return; /* of a room that we do not want (any more) */
    }
    yo_resume_told(client, now);
    switch (effect->kind) {
    case YO_EFFECT_JOINED:
        joined(room, effect, now);
        break;
    case YO_EFFECT_PEER:
        if (room->state != YO_ROOM_LEAVING) {
            yo_mirror_peer(room, effect);
        }
        break;
    case YO_EFFECT_REPLY:
        yo_asking_reply(room, effect);
        break;
    case YO_EFFECT_MESSAGE:
        if (room->state != YO_ROOM_LEAVING && !yo_history_had(room, effect)) {
            yo_message_tell(room, effect);
        }
        break;
    case YO_EFFECT_HISTORY:
        yo_history_page(room, effect);
        break;
    case YO_EFFECT_GAP:
        yo_history_gap(room, effect);
        break;
    case YO_EFFECT_LOCK:
    case YO_EFFECT_VALUE:
        if (room->state != YO_ROOM_LEAVING) {
            yo_shared_told(room, effect);
            if (effect->kind == YO_EFFECT_LOCK) {
                yo_claim_told(room, effect);
            }
            yo_share_settle(room);
        }
        break;
    case YO_EFFECT_VALUES:
        if (effect->more) {
            yo_shared_begin(room);
        } else {
            yo_shared_sweep(room, effect->sequence);
            yo_share_settle(room);
        }
        break;
    case YO_EFFECT_CONFIRMED:
        if (effect->error) {
            yo_history_refused(room, effect->number, effect->error);
        }
        yo_order_confirmed(room, effect->number, effect->error);
        yo_claim_confirmed(room, effect, now);
        yo_share_confirmed(room, effect);
        break;
    case YO_EFFECT_REFUSED:
    case YO_EFFECT_LEFT:
    default:
        yo_room_over(room, effect->error, effect->text);
        break;
    }
}

static void carry_out(struct yomo_client *client, const struct yo_effect *effect,
                      yo_time now)
{
    switch (effect->kind) {
    case YO_EFFECT_SEND:
        send_control(client, effect);
        break;
    case YO_EFFECT_CLOSE:
        close_link(client, effect);
        break;
    case YO_EFFECT_DROP:
        log_drop(client, effect);
        break;
    case YO_EFFECT_READY:
        ready(client, effect, now);
        break;
    case YO_EFFECT_JOINED:
    case YO_EFFECT_REFUSED:
    case YO_EFFECT_LEFT:
    case YO_EFFECT_PEER:
    case YO_EFFECT_MESSAGE:
    case YO_EFFECT_HISTORY:
    case YO_EFFECT_GAP:
    case YO_EFFECT_VALUE:
    case YO_EFFECT_LOCK:
    case YO_EFFECT_VALUES:
    case YO_EFFECT_REPLY:
        for_room(client, effect, now);
        break;
    case YO_EFFECT_CONFIRMED:
        if (effect->room.data) {
            for_room(client, effect, now); /* an order, or a question that was refused */
        }
        yo_sending_confirmed(client, effect->number, effect->error);
        break;
    case YO_EFFECT_GOAWAY:
        yo_goaway_told(client, effect, now);
        break;
    case YO_EFFECT_PONG:
        yo_link_pong(client, effect->rtt, now);
        break;
    case YO_EFFECT_TOKEN:
        yo_token_answer(client, effect, now);
        break;
    case YO_EFFECT_MOVED:
        yo_move_fence_came(client);
        break;
    case YO_EFFECT_READ:
        read(client, effect);
        break;
    case YO_EFFECT_RESUMED:
        yo_resume_answer(client, effect, now);
        break;
    case YO_EFFECT_MOVE:
    case YO_EFFECT_FENCE:
    case YO_EFFECT_ORDER:
    case YO_EFFECT_CLAIM:
    case YO_EFFECT_RESUME:
    case YO_EFFECT_JOIN:
    case YO_EFFECT_LEAVE:
    case YO_EFFECT_STATE:
    case YO_EFFECT_PUBLISH:
        break; /* a server's */
    }
}

void yo_dispatch(struct yomo_client *client, yo_time now)
{
    const struct yo_effects *effects = &client->effects;
    for (size_t i = 0; i < effects->count && !client->ending; i++) {
        carry_out(client, &effects->list[i], now);
    }
    if (effects->failed) {
        yo_link_drop(client, YOMO_ERR_NOMEM, "");
    }
}
