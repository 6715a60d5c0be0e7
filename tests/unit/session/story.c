/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <inttypes.h>
#include <yomo/error.h>

#include "support/bytes.h"
#include "unit/session/story.h"
#include "wire/decode.h"
#include "wire/encode.h"
#include "wire/json.h"

static void put_text(struct yo_buf *out, const char *key, struct yo_span text)
{
    if (text.data) {
        yo_buf_printf(out, " %s=", key);
        yo_buf_append_span(out, text);
    }
}

static void put_number(struct yo_buf *out, const char *key, uint64_t number)
{
    if (number != 0) {
        yo_buf_printf(out, " %s=%" PRIu64, key, number);
    }
}

static void put_payload(struct yo_buf *out, struct yo_span payload)
{
    if (!payload.data) {
        return;
    }
    yo_buf_append_text(out, " pl=");
    if (yo_mp_to_json(out, payload) != YOMO_OK) {
        yo_buf_append_text(out, "?");
    }
}

static void put_data(struct yo_buf *out, struct yo_span data)
{
    if (data.data) {
        yo_buf_append_text(out, " dt=");
        if (yo_mp_to_json(out, data) != YOMO_OK) {
            yo_buf_append_text(out, "?");
        }
    }
}

static void put_error(struct yo_buf *out, int64_t code)
{
    if (code != 0) {
        yo_buf_printf(out, " code=%s", yomo_error_name((int32_t)code));
    }
}

static void put_past(struct yo_buf *out, struct yo_span messages)
{
    struct yo_mp_reader reader;
    struct yo_wire_past past;
    struct yo_span event;
    uint32_t count;

    if (!messages.data) {
        return;
    }
    assert_int_equal(yo_members_init(&reader, messages, &count), YOMO_OK);
    yo_buf_append_text(out, " m=[");
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(yo_past_next(&reader, &past, &event), YOMO_OK);
        yo_buf_append_text(out, i ? ", " : "");
        yo_buf_append_span(out, past.peer);
        yo_buf_printf(out, "/%" PRIu64 " q=%" PRIu64, past.session, past.sequence);
        put_number(out, "pr", (uint64_t)past.priority);
        put_payload(out, past.payload);
    }
    yo_buf_append_text(out, "]");
}

static void put_values(struct yo_buf *out, struct yo_span values)
{
    struct yo_mp_reader reader;
    struct yo_wire_value value;
    uint32_t count;

    assert_int_equal(yo_members_init(&reader, values, &count), YOMO_OK);
    yo_buf_append_text(out, " m=[");
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(yo_values_next(&reader, &value), YOMO_OK);
        yo_buf_append_text(out, i ? ", " : "");
        yo_buf_append_span(out, value.key);
        yo_buf_printf(out, " v=%" PRIu64 " ", value.version);
        yo_buf_append_span(out, value.peer);
        yo_buf_printf(out, "/%" PRIu64, value.session);
        put_payload(out, value.payload);
        yo_buf_append_text(out, value.lock ? " lk" : "");
    }
    yo_buf_append_text(out, "]");
}

static void put_members(struct yo_buf *out, const struct yo_message *message)
{
    static const char *const changes[] = {"came", "state", "left", "stale", "back"};
    struct yo_span members = message->members;
    struct yo_wire_member member;
    struct yo_mp_reader reader;
    uint32_t count;

    if (!members.data) {
        return;
    }
    assert_int_equal(yo_members_init(&reader, members, &count), YOMO_OK);
    yo_buf_append_text(out, " m=[");
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(yo_members_next(&reader, &member), YOMO_OK);
        yo_buf_append_text(out, i ? ", " : "");
        if (message->op == YO_OP_CHANGES && member.change < 5) {
            yo_buf_printf(out, "%s ", changes[member.change]);
        }
        yo_buf_append_span(out, member.peer);
        yo_buf_printf(out, "/%" PRIu64, member.session);
        put_payload(out, member.state);
        put_data(out, member.data);
        yo_buf_append_text(out, member.stale ? " stale" : "");
    }
    yo_buf_append_text(out, "]");
}

static void put_targets(struct yo_buf *out, struct yo_span targets)
{
    struct yo_wire_target target;
    struct yo_mp_reader reader;
    const char *between = "";

    if (!targets.data) {
        return;
    }
    yo_targets_init(&reader, targets);
    yo_buf_append_text(out, " to=[");
    while (yo_targets_next(&reader, &target)) {
        yo_buf_append_text(out, between);
        between = ",";
        if (target.session) {
            yo_buf_printf(out, "%" PRIu64, target.session);
        } else {
            yo_buf_append_span(out, target.user);
        }
    }
    yo_buf_append_text(out, "]");
}

void story_message(struct yo_buf *out, const struct yo_message *message)
{
    yo_buf_append_text(out, yo_op_name(message->op));
    put_text(out, "c", message->channel);
    put_payload(out, message->payload);
    put_text(out, "p", message->peer);
    put_text(out, "mesh", message->mesh);
    put_number(out, "sid", message->session);
    put_number(out, "d", (uint64_t)message->delivery);
    put_text(out, "k", message->key);
    if (message->versioned && message->version == 0) {
        yo_buf_append_text(out, " v=0");
    }
    put_number(out, "v", message->version);
    put_number(out, "n", message->number);
    put_number(out, "q", message->sequence);
    put_number(out, "ts", message->timestamp);
    put_error(out, message->code);
    put_text(out, "msg", message->text);
    put_number(out, "ver", message->protocol);
    put_number(out, "epoch", message->epoch);
    put_number(out, "lim.msg", message->limits.message_size);
    put_number(out, "lim.rooms", message->limits.rooms);
    put_number(out, "lim.silence", message->limits.silence_ms);
    put_number(out, "lim.grace", message->limits.grace_ms);
    put_text(out, "tok", message->token);
    if (message->op == YO_OP_HISTORY) {
        put_past(out, message->members);
    } else if (message->op == YO_OP_VALUES) {
        put_values(out, message->members);
    } else {
        put_members(out, message);
    }
    yo_buf_append_text(out, message->more ? " more" : "");
    yo_buf_append_text(out, message->observe ? " ob" : "");
    put_data(out, message->data);
    put_targets(out, message->targets);
    yo_buf_append_text(out, message->echo ? " me" : "");
    yo_buf_append_text(out, message->direct ? " dm" : "");
    put_number(out, "rq", message->request);
    put_number(out, "re", message->reply);
    put_number(out, "ttl", message->ttl_ms);
    put_number(out, "pr", (uint64_t)message->priority);
    put_number(out, "pc", message->pace_ms);
    put_number(out, "since", message->since);
    put_number(out, "hist", message->hist);
    put_number(out, "max", message->max);
    put_number(out, "from", message->from);
    put_number(out, "qu", message->urgent);
    put_number(out, "qb", message->bulk);
    yo_buf_append_text(out, message->wait ? " wt" : "");
    put_number(out, "rd", message->read);
}

static const char *const kinds[] = {
    [YO_EFFECT_SEND] = "send",       [YO_EFFECT_CLOSE] = "close",
    [YO_EFFECT_DROP] = "drop",       [YO_EFFECT_JOIN] = "join",
    [YO_EFFECT_LEAVE] = "leave",     [YO_EFFECT_STATE] = "state",
    [YO_EFFECT_REPLY] = "reply",     [YO_EFFECT_PUBLISH] = "publish", [YO_EFFECT_READY] = "ready",
    [YO_EFFECT_JOINED] = "joined",   [YO_EFFECT_REFUSED] = "refused",
    [YO_EFFECT_LEFT] = "left",       [YO_EFFECT_PEER] = "peer",
    [YO_EFFECT_MESSAGE] = "message", [YO_EFFECT_CONFIRMED] = "confirmed",
    [YO_EFFECT_GOAWAY] = "goaway",   [YO_EFFECT_PONG] = "pong",
    [YO_EFFECT_TOKEN] = "token",     [YO_EFFECT_MOVE] = "move",
    [YO_EFFECT_FENCE] = "fence",     [YO_EFFECT_MOVED] = "moved",
    [YO_EFFECT_HISTORY] = "history", [YO_EFFECT_GAP] = "gap",
    [YO_EFFECT_VALUE] = "value",     [YO_EFFECT_LOCK] = "lock",
    [YO_EFFECT_VALUES] = "values",
    [YO_EFFECT_CLAIM] = "claim",     [YO_EFFECT_RESUME] = "resume",
    [YO_EFFECT_READ] = "read",       [YO_EFFECT_RESUMED] = "resumed",
};

static void put_send(struct yo_buf *out, const struct yo_effect *effect)
{
    struct yo_message message;

    yo_buf_printf(out, " %u: ", (unsigned)effect->lane);
    assert_int_equal(yo_decode(effect->bytes, &message), YOMO_OK);
    story_message(out, &message);
}

static void put_fields(struct yo_buf *out, const struct yo_effect *effect)
{
    static const char *const changes[] = {"present", "joined", "state",
                                          "left",    "stale",  "back"};
    static const char *const deliveries[] = {"", " unreliable", " latest"};

    if (effect->room.data) {
        yo_buf_append_text(out, " ");
        yo_buf_append_span(out, effect->room);
    }
    if (effect->kind == YO_EFFECT_PEER) {
        yo_buf_printf(out, " %s%s", changes[effect->change],
                      effect->stale ? " stale" : "");
    }
    if (effect->kind == YO_EFFECT_CLAIM ||
        (effect->kind == YO_EFFECT_JOIN && effect->places[0] != 0)) {
        yo_buf_printf(out, " places=%" PRIu64 ",%" PRIu64 ",%" PRIu64,
                      effect->places[0], effect->places[1], effect->places[2]);
    }
    yo_buf_append_text(out, deliveries[effect->delivery]);
    put_text(out, "p", effect->peer);
    put_number(out, "sid", effect->session);
    if (effect->kind == YO_EFFECT_HISTORY) {
        put_past(out, effect->payload);
    } else {
        put_payload(out, effect->payload);
    }
    put_data(out, effect->data);
    put_text(out, "event", effect->event);
    put_text(out, "k", effect->key);
    put_text(out, "label", effect->label);
    put_number(out, "v", effect->version);
    put_number(out, "n", effect->number);
    put_number(out, "q", effect->sequence);
    put_number(out, "at", effect->since_ms);
    put_number(out, "epoch", effect->epoch);
    put_number(out, "after", effect->after_ms);
    put_number(out, "rtt", effect->rtt);
    put_number(out, "hist", effect->hist);
    put_number(out, "max", effect->max);
    put_number(out, "from", effect->from);
    yo_buf_append_text(out, effect->versioned && effect->version == 0 ? " v=0" : "");
    yo_buf_append_text(out, effect->wait ? " wait" : "");
    yo_buf_append_text(out, effect->past ? " past" : "");
    yo_buf_append_text(out, effect->more ? " more" : "");
    put_text(out, "tok", effect->token);
    put_number(out, "close", effect->code);
    put_error(out, effect->error);
    if (effect->kind != YO_EFFECT_DROP && effect->text.size > 0) {
        put_text(out, "text", effect->text);
    }
    yo_buf_append_text(out, effect->extension ? " extension" : "");
    yo_buf_append_text(out, effect->observe ? " observer" : "");
}

void story_effects(struct yo_buf *out, const char *prefix,
                   const struct yo_effects *effects)
{
    for (size_t i = 0; i < effects->count; i++) {
        const struct yo_effect *effect = &effects->list[i];
        yo_buf_printf(out, "%s%s", prefix, kinds[effect->kind]);
        if (effect->kind == YO_EFFECT_SEND) {
            put_send(out, effect);
        } else {
            put_fields(out, effect);
        }
        yo_buf_append_text(out, "\n");
    }
    assert_false(out->failed);
}

void assert_effects(const struct yo_effects *effects, const char *lines)
{
    struct yo_buf out;

    yo_buf_init(&out, &yo_mem_libc);
    story_effects(&out, "", effects);
    yo_buf_append_byte(&out, 0);
    assert_string_equal((const char *)out.data, lines);
    yo_buf_finish(&out);
}

static struct yo_span keep(struct yo_buf *buf)
{
    struct yo_span kept = bytes_copy(yo_buf_span(buf));

    yo_buf_finish(buf);
    return kept;
}

struct yo_span story_encode(const struct yo_message *message)
{
    struct yo_buf buf;

    yo_buf_init(&buf, &yo_mem_libc);
    assert_int_equal(yo_encode(&buf, YO_DIALECT_YOMO, message), YOMO_OK);
    return keep(&buf);
}

struct yo_span story_payload(const char *json)
{
    struct yo_buf buf;

    if (!json) {
        return YO_SPAN_NONE;
    }
    yo_buf_init(&buf, &yo_mem_libc);
    assert_int_equal(yo_json_to_mp(&buf, yo_span_of(json)), YOMO_OK);
    return keep(&buf);
}
