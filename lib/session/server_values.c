/* SPDX-License-Identifier: MIT */
/* server_values.c - a client asks for a change of what its room shares, or for a lock:
 * whether it may be asked. What comes of it the room's home knows. */
#include <yomo/error.h>

#include "session/server_inside.h"
#include "wire/decode.h"

static bool is_name(struct yo_span key)
{
    return key.size > 0 && memchr(key.data, 0, key.size) == NULL;
}

/* What all three have in common; false: it was refused. */
static bool may_ask(struct yo_server_session *session, const struct yo_incoming *in)
{
    const struct yo_message *message = in->message;
    const struct yo_attendance *room = yo_server_find(session, message->channel);

    if (message->channel.size == 0) {
        yo_server_broken(session, in, "a shared value without a room");
    } else if (!room || room->phase != ATTENDANCE_IN) {
        yo_server_refuse(session, in, YOMO_ERR_NOT_FOUND, "not in this room");
    } else if (in->limited) {
        yo_server_refuse_limited(session, in);
    } else if (!is_name(message->key)) {
        yo_server_refuse(session, in, YOMO_ERR_INVALID,
                         "not a name for what is shared");
    } else {
        return true;
    }
    return false;
}

void yo_server_on_value(struct yo_server_session *session, const struct yo_incoming *in)
{
    const struct yo_message *message = in->message;
    struct yo_effect *effect;
    struct yo_span event;

    if (!may_ask(session, in)) {
        return;
    }
    if (message->payload.data && yo_check_data(message->payload, &event) != YOMO_OK) {
        yo_server_broken(session, in, "a shared value that is not data");
        return;
    }
    effect = yo_effects_add(in->effects, YO_EFFECT_VALUE);
    if (effect) {
        effect->room = message->channel;
        effect->key = message->key;
        effect->payload = message->payload;
        effect->version = message->version;
        effect->versioned = message->versioned;
        effect->number = message->number;
    }
}

void yo_server_on_lock(struct yo_server_session *session, const struct yo_incoming *in)
{
    const struct yo_message *message = in->message;
    struct yo_effect *effect;

    if (!may_ask(session, in)) {
        return;
    }
    if (message->op == YO_OP_LOCK && message->timestamp == 0) {
        yo_server_refuse(session, in, YOMO_ERR_INVALID, "a lock without a lease");
        return;
    }
    effect = yo_effects_add(in->effects, YO_EFFECT_LOCK);
    if (effect) {
        effect->room = message->channel;
        effect->key = message->key;
        effect->after_ms = message->op == YO_OP_LOCK ? message->timestamp : 0;
        effect->wait = message->wait;
        effect->number = message->number;
    }
}
