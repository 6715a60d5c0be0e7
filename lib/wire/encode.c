/* SPDX-License-Identifier: MIT */
/* encode.c - first count the keys, then write them in the order of the golden bytes.
 *
 * Writers stop at the first failed append; one check at the end undoes everything. */
#include "wire/encode.h"

#include "base/check.h"
#include "wire/decode.h"
#include "wire/json.h"
#include "wire/msgpack.h"

/* More than all keys, heads and numbers of a message take together; texts, payload and
 * members come on top. */
#define OVERHEAD_MAX 576

static void put_key_text(struct yo_buf *out, const char *key, struct yo_span text)
{
    yo_mp_put_cstr(out, key);
    yo_mp_put_str(out, text);
}

static void put_key_uint(struct yo_buf *out, const char *key, uint64_t value)
{
    if (value != 0) {
        yo_mp_put_cstr(out, key);
        yo_mp_put_uint(out, value);
    }
}

static void put_key_true(struct yo_buf *out, const char *key, bool value)
{
    if (value) {
        yo_mp_put_cstr(out, key);
        yo_mp_put_bool(out, true);
    }
}

static bool is_presencejs_op(enum yo_op op)
{
    return op == YO_OP_DATA || op == YO_OP_CHANNEL_JOIN || op == YO_OP_PEER_ONLINE ||
           op == YO_OP_PEER_STATE || op == YO_OP_PEER_OFFLINE;
}

static bool has_limits(const struct yo_wire_limits *limits)
{
    return limits->message_size || limits->rooms || limits->silence_ms ||
           limits->grace_ms;
}

/* --- the keys of psig --- */

static uint32_t count_base(const struct yo_message *message)
{
    return 1u + (message->op != YO_OP_DATA) + (message->channel.data != NULL) +
           (message->payload.data != NULL) + (message->peer.data != NULL) +
           (message->mesh.data != NULL);
}

static void put_base(struct yo_buf *out, const struct yo_message *message)
{
    if (message->op == YO_OP_DATA) {
        put_key_text(out, "t", yo_span_of("data"));
    } else {
        put_key_text(out, "t", yo_span_of("control"));
        put_key_text(out, "op", yo_span_of(yo_op_name(message->op)));
    }
    if (message->channel.data) {
        put_key_text(out, "c", message->channel);
    }
    if (message->payload.data) {
        yo_mp_put_cstr(out, "pl");
        yo_mp_put_bin(out, message->payload);
    }
    if (message->peer.data) {
        put_key_text(out, "p", message->peer);
    }
    if (message->mesh.data) {
        put_key_text(out, "mesh", message->mesh);
    }
}

/* --- the keys of the extension --- */

static uint32_t count_extension(const struct yo_message *message)
{
    return 0u + (message->session != 0) + (message->delivery != YOMO_RELIABLE) +
           (message->key.size > 0) + (message->version != 0 || message->versioned) +
           (message->number != 0) +
           (message->sequence != 0) + (message->timestamp != 0) + (message->code != 0) +
           (message->text.size > 0) + (message->protocol != 0) + (message->epoch != 0) +
           has_limits(&message->limits) + (message->token.size > 0) +
           (message->members.data != NULL) + message->more + message->observe +
           (message->data.data != NULL) +
           (message->targets.data != NULL) + message->echo + message->direct +
           (message->request != 0) + (message->reply != 0) + (message->ttl_ms != 0) +
           (message->priority != YOMO_NORMAL) + (message->pace_ms != 0) +
           (message->since != 0) + (message->hist != 0) + (message->max != 0) +
           (message->from != 0) + (message->urgent != 0) + (message->bulk != 0) +
           (message->read != 0) + message->wait;
}

static void put_limits(struct yo_buf *out, const struct yo_wire_limits *limits)
{
    if (!has_limits(limits)) {
        return;
    }
    yo_mp_put_cstr(out, "lim");
    yo_mp_put_map(out, 0u + (limits->message_size != 0) + (limits->rooms != 0) +
                           (limits->silence_ms != 0) + (limits->grace_ms != 0));
    put_key_uint(out, "msg", limits->message_size);
    put_key_uint(out, "rooms", limits->rooms);
    put_key_uint(out, "silence", limits->silence_ms);
    put_key_uint(out, "grace", limits->grace_ms);
}

static void put_targeting(struct yo_buf *out, const struct yo_message *message)
{
    if (message->targets.data) {
        yo_mp_put_cstr(out, "to");
        yo_mp_put_raw(out, message->targets);
    }
    put_key_true(out, "me", message->echo);
    put_key_true(out, "dm", message->direct);
    put_key_uint(out, "rq", message->request);
    put_key_uint(out, "re", message->reply);
    put_key_uint(out, "ttl", message->ttl_ms);
    put_key_uint(out, "pr", (uint64_t)message->priority);
    put_key_uint(out, "pc", message->pace_ms);
}

static void put_past(struct yo_buf *out, const struct yo_message *message)
{
    put_key_uint(out, "since", message->since);
    put_key_uint(out, "hist", message->hist);
    put_key_uint(out, "max", message->max);
    put_key_uint(out, "from", message->from);
}

static void put_extension(struct yo_buf *out, const struct yo_message *message)
{
    put_key_uint(out, "sid", message->session);
    put_key_uint(out, "d", (uint64_t)message->delivery);
    if (message->key.size > 0) {
        put_key_text(out, "k", message->key);
    }
    if (message->versioned && message->version == 0) {
        yo_mp_put_cstr(out, "v");
        yo_mp_put_uint(out, 0);
    }
    put_key_uint(out, "v", message->version);
    put_key_uint(out, "n", message->number);
    put_key_uint(out, "q", message->sequence);
    put_key_uint(out, "ts", message->timestamp);
    if (message->code != 0) {
        yo_mp_put_cstr(out, "code");
        yo_mp_put_int(out, message->code);
    }
    if (message->text.size > 0) {
        put_key_text(out, "msg", message->text);
    }
    put_key_uint(out, "ver", message->protocol);
    put_key_uint(out, "epoch", message->epoch);
    put_limits(out, &message->limits);
    if (message->token.size > 0) {
        put_key_text(out, "tok", message->token);
    }
    if (message->members.data) {
        yo_mp_put_cstr(out, "m");
        yo_mp_put_raw(out, message->members);
    }
    put_key_true(out, "more", message->more);
    put_key_true(out, "ob", message->observe);
    if (message->data.data) {
        yo_mp_put_cstr(out, "dt");
        yo_mp_put_bin(out, message->data);
    }
    put_targeting(out, message);
    put_past(out, message);
    put_key_uint(out, "qu", message->urgent);
    put_key_uint(out, "qb", message->bulk);
    put_key_uint(out, "rd", message->read);
    put_key_true(out, "wt", message->wait);
}

/* --- whole messages --- */

static int check_op(enum yo_dialect dialect, enum yo_op op)
{
    if (op == YO_OP_UNKNOWN ||
        (dialect == YO_DIALECT_PRESENCEJS && !is_presencejs_op(op))) {
        return YOMO_ERR_INVALID;
    }
    return YOMO_OK;
}

/* At least as many bytes as the message takes; 0 when it is far too big. */
static size_t size_bound(const struct yo_message *message)
{
    const struct yo_span parts[] = {
        message->channel, message->payload, message->peer,
        message->mesh,    message->key,     message->text,
        message->members, message->token,   message->targets,
        message->data};
    size_t size = OVERHEAD_MAX;

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (parts[i].size > YO_MESSAGE_SIZE_MAX) {
            return 0;
        }
        size += parts[i].size;
    }
    return size;
}

static int write_message(struct yo_buf *out, enum yo_dialect dialect,
                         const struct yo_message *message)
{
    bool extended = dialect != YO_DIALECT_PRESENCEJS;
    size_t start = out->size;

    yo_mp_put_map(out, count_base(message) + (extended ? count_extension(message) : 0));
    put_base(out, message);
    if (extended) {
        put_extension(out, message);
    }
    if (out->failed) {
        return YOMO_ERR_NOMEM;
    }
    return out->size - start <= YO_MESSAGE_SIZE_MAX ? YOMO_OK : YOMO_ERR_TOO_BIG;
}

int yo_encode(struct yo_buf *out, enum yo_dialect dialect,
              const struct yo_message *message)
{
    size_t start = out->size;
    int rv = check_op(dialect, message->op);

    if (rv != YOMO_OK) {
        return rv;
    }
    if (out->failed) {
        return YOMO_ERR_NOMEM;
    }
    if (size_bound(message) == 0) {
        return YOMO_ERR_TOO_BIG;
    }
    rv = write_message(out, dialect, message);
    if (rv != YOMO_OK) {
        out->size = start;
        out->failed = false;
    }
    return rv;
}

/* An allocator for a buffer that must never grow. */
static void *give_nothing(void *user, void *old, size_t size)
{
    (void)user;
    (void)old;
    (void)size;
    return NULL;
}

static const struct yomo_mem fixed = {.realloc = give_nothing};

/* Write into memory of the size of a bound; returns how much the message took. */
static size_t write_fixed(uint8_t *data, size_t bound, enum yo_dialect dialect,
                          const struct yo_message *message)
{
    struct yo_buf into = {.mem = &fixed, .data = data, .capacity = bound};

    write_message(&into, dialect, message);
    assert(!into.failed);
    return into.size;
}

/* A small message waits in many queues: its blob has no byte too many. For a big one
 * the bytes that the bound has too many do not matter, but a second copy would. */
int yo_encode_blob(struct yo_blob **out, const struct yomo_mem *mem,
                   enum yo_dialect dialect, const struct yo_message *message)
{
    int rv = check_op(dialect, message->op);
    size_t bound = size_bound(message);
    uint8_t scratch[2048];
    struct yo_blob *blob;

    if (rv != YOMO_OK) {
        return rv;
    }
    if (bound == 0) {
        return YOMO_ERR_TOO_BIG;
    }
    if (bound <= sizeof(scratch)) {
        size_t size = write_fixed(scratch, bound, dialect, message);
        blob = yo_blob_create(mem, yo_span(scratch, size));
    } else {
        blob = yo_blob_alloc(mem, bound);
        if (blob) {
            blob->size = write_fixed(blob->data, bound, dialect, message);
        }
    }
    if (!blob) {
        return YOMO_ERR_NOMEM;
    }
    if (blob->size > YO_MESSAGE_SIZE_MAX) {
        yo_blob_unref(blob);
        return YOMO_ERR_TOO_BIG;
    }
    *out = blob;
    return YOMO_OK;
}

/* --- payloads --- */

/* Undo what was appended since `start` if any of it failed. */
static int finish(struct yo_buf *out, size_t start)
{
    if (!out->failed) {
        return YOMO_OK;
    }
    out->size = start;
    out->failed = false;
    return YOMO_ERR_NOMEM;
}

int yo_content_write(struct yo_buf *out, struct yo_span event,
                     enum yomo_encoding encoding, struct yo_span bytes)
{
    size_t start = out->size;

    if (out->failed) {
        return YOMO_ERR_NOMEM;
    }
    yo_mp_put_map(out, 2);
    put_key_text(out, "event", event);
    yo_mp_put_cstr(out, "data");
    if (encoding == YOMO_BYTES) {
        yo_mp_put_bin(out, bytes);
    } else {
        yo_mp_put_str(out, bytes);
    }
    return finish(out, start);
}

/* `object` is the MessagePack of a JSON text: its members, and the id unless it has
 * one. What a server would refuse to relay ("__proto__", two ids) is refused here. */
static int put_state(struct yo_buf *out, struct yo_span id, struct yo_span object)
{
    size_t start = out->size;
    struct yo_mp_reader reader;
    struct yo_mp_value head;

    yo_mp_reader_init(&reader, object);
    head = yo_mp_read(&reader);
    if (head.kind != YO_MP_MAP || yo_check_state(object) != YOMO_OK) {
        return YOMO_ERR_JSON;
    }
    if (yo_mp_map_get(object, "id").data) {
        yo_mp_put_raw(out, object);
    } else {
        yo_mp_put_map(out, head.count + 1);
        put_key_text(out, "id", id);
        yo_mp_put_raw(out, reader.rest);
    }
    return finish(out, start);
}

int yo_state_from_json(struct yo_buf *out, struct yo_span id, struct yo_span json)
{
    struct yo_buf object;
    int rv;

    if (out->failed) {
        return YOMO_ERR_NOMEM;
    }
    yo_buf_init(&object, out->mem);
    rv = yo_json_to_mp(&object, json.data ? json : yo_span_of("{}"));
    if (rv == YOMO_OK) {
        rv = put_state(out, id, yo_buf_span(&object));
    }
    yo_buf_finish(&object);
    return rv;
}

int yo_state_rename(struct yo_buf *out, struct yo_span state, struct yo_span from,
                    struct yo_span to)
{
    size_t start = out->size;
    struct yo_mp_reader reader;
    uint32_t count;

    if (out->failed) {
        return YOMO_ERR_NOMEM;
    }
    yo_mp_reader_init(&reader, state);
    count = yo_mp_read_map(&reader);
    yo_mp_put_map(out, count);
    for (uint32_t i = 0; i < count && !reader.error; i++) {
        struct yo_span name = yo_mp_skip(&reader);
        struct yo_span value = yo_mp_skip(&reader);
        bool ours = yo_span_is(yo_mp_as_str(name), "id") &&
                    yo_span_equal(yo_mp_as_str(value), from);
        yo_mp_put_raw(out, name);
        if (ours) {
            yo_mp_put_str(out, to);
        } else {
            yo_mp_put_raw(out, value);
        }
    }
    return finish(out, start);
}

int yo_state_from_bytes(struct yo_buf *out, struct yo_span id, struct yo_span bytes)
{
    size_t start = out->size;

    if (out->failed) {
        return YOMO_ERR_NOMEM;
    }
    yo_mp_put_map(out, 2);
    put_key_text(out, "id", id);
    yo_mp_put_cstr(out, "bytes");
    yo_mp_put_bin(out, bytes);
    return finish(out, start);
}

void yo_target_write(struct yo_buf *out, const struct yo_wire_target *target)
{
    if (target->session != 0) {
        yo_mp_put_uint(out, target->session);
    } else {
        yo_mp_put_str(out, target->user);
    }
}

struct yo_span yo_target_one(uint8_t out[YO_TARGET_SIZE_MAX], uint64_t session)
{
    struct yo_buf into = {.mem = &fixed, .data = out, .capacity = YO_TARGET_SIZE_MAX};

    yo_mp_put_array(&into, 1);
    yo_mp_put_uint(&into, session);
    assert(!into.failed);
    return yo_buf_span(&into);
}

int yo_member_write(struct yo_buf *out, const struct yo_wire_member *member)
{
    size_t start = out->size;

    if (out->failed) {
        return YOMO_ERR_NOMEM;
    }
    yo_mp_put_map(out, 2u + (member->state.data != NULL) + (member->version != 0) +
                           (member->since_ms != 0) + member->stale +
                           (member->change != 0) +
                           (member->data.data != NULL));
    put_key_uint(out, "o", member->change);
    yo_mp_put_cstr(out, "sid");
    yo_mp_put_uint(out, member->session);
    put_key_text(out, "p", member->peer);
    if (member->state.data) {
        yo_mp_put_cstr(out, "pl");
        yo_mp_put_bin(out, member->state);
    }
    put_key_uint(out, "v", member->version);
    put_key_uint(out, "at", member->since_ms);
    if (member->stale) {
        yo_mp_put_cstr(out, "st");
        yo_mp_put_bool(out, true);
    }
    if (member->data.data) {
        yo_mp_put_cstr(out, "dt");
        yo_mp_put_bin(out, member->data);
    }
    return finish(out, start);
}

int yo_past_write(struct yo_buf *out, const struct yo_wire_past *past)
{
    size_t start = out->size;

    if (out->failed) {
        return YOMO_ERR_NOMEM;
    }
    yo_mp_put_map(out, 3u + (past->session != 0) + (past->at_ms != 0) +
                           (past->priority != YOMO_NORMAL));
    yo_mp_put_cstr(out, "q");
    yo_mp_put_uint(out, past->sequence);
    put_key_uint(out, "sid", past->session);
    put_key_text(out, "p", past->peer);
    yo_mp_put_cstr(out, "pl");
    yo_mp_put_bin(out, past->payload);
    put_key_uint(out, "at", past->at_ms);
    put_key_uint(out, "pr", (uint64_t)past->priority);
    return finish(out, start);
}

int yo_value_write(struct yo_buf *out, const struct yo_wire_value *value)
{
    size_t start = out->size;

    if (out->failed) {
        return YOMO_ERR_NOMEM;
    }
    yo_mp_put_map(out, 2u + (value->payload.data != NULL) + (value->session != 0) +
                           (value->peer.data != NULL) + value->lock);
    put_key_text(out, "k", value->key);
    if (value->payload.data) {
        yo_mp_put_cstr(out, "pl");
        yo_mp_put_bin(out, value->payload);
    }
    yo_mp_put_cstr(out, "v");
    yo_mp_put_uint(out, value->version);
    put_key_uint(out, "sid", value->session);
    if (value->peer.data) {
        put_key_text(out, "p", value->peer);
    }
    put_key_true(out, "lk", value->lock);
    return finish(out, start);
}
