/* SPDX-License-Identifier: MIT */
/* decode.c - one straight walk over the map of a message.
 *
 * A key is looked up in the table below; its field is read as the type that the table
 * names, or the message is malformed. What is read goes into a message of our own
 * first, so that the caller's is untouched by an error. */
#include "wire/decode.h"

#include "base/check.h"
#include "base/text.h"

enum key {
    KEY_T,
    KEY_OP,
    KEY_C,
    KEY_P,
    KEY_PL,
    KEY_MESH,
    KEY_SID,
    KEY_APP,
    KEY_D,
    KEY_K,
    KEY_V,
    KEY_N,
    KEY_Q,
    KEY_TS,
    KEY_CODE,
    KEY_MSG,
    KEY_VER,
    KEY_EPOCH,
    KEY_LIM,
    KEY_TOK,
    KEY_M,
    KEY_MORE,
    KEY_OB,
    KEY_DT,
    KEY_TO,
    KEY_ME,
    KEY_DM,
    KEY_RQ,
    KEY_RE,
    KEY_TTL,
    KEY_PR,
    KEY_PC,
    KEY_SINCE,
    KEY_HIST,
    KEY_MAX,
    KEY_FROM,
    KEY_QU,
    KEY_QB,
    KEY_RD,
    KEY_WT,
    KEY_COUNT /* of the keys we know: what any other key is */
};

_Static_assert(KEY_COUNT <= 64, "a bit for each in is_repeated");

static const struct {
    const char *name;
    size_t size;
} keys[KEY_COUNT] = {
    [KEY_T] = {"t", 1},       [KEY_OP] = {"op", 2},       [KEY_C] = {"c", 1},
    [KEY_P] = {"p", 1},       [KEY_PL] = {"pl", 2},       [KEY_MESH] = {"mesh", 4},
    [KEY_SID] = {"sid", 3},   [KEY_APP] = {"app", 3},     [KEY_D] = {"d", 1},
    [KEY_K] = {"k", 1},       [KEY_V] = {"v", 1},         [KEY_N] = {"n", 1},
    [KEY_Q] = {"q", 1},       [KEY_TS] = {"ts", 2},       [KEY_CODE] = {"code", 4},
    [KEY_MSG] = {"msg", 3},   [KEY_VER] = {"ver", 3},     [KEY_EPOCH] = {"epoch", 5},
    [KEY_LIM] = {"lim", 3},   [KEY_TOK] = {"tok", 3},     [KEY_M] = {"m", 1},
    [KEY_MORE] = {"more", 4}, [KEY_OB] = {"ob", 2}, [KEY_DT] = {"dt", 2},       [KEY_TO] = {"to", 2},
    [KEY_ME] = {"me", 2},     [KEY_DM] = {"dm", 2},       [KEY_RQ] = {"rq", 2},
    [KEY_RE] = {"re", 2},     [KEY_TTL] = {"ttl", 3},     [KEY_PR] = {"pr", 2},
    [KEY_PC] = {"pc", 2},     [KEY_SINCE] = {"since", 5}, [KEY_HIST] = {"hist", 4},
    [KEY_MAX] = {"max", 3},   [KEY_FROM] = {"from", 4},   [KEY_QU] = {"qu", 2},
    [KEY_QB] = {"qb", 2},     [KEY_RD] = {"rd", 2},     [KEY_WT] = {"wt", 2},
};

static const char *const op_names[] = {
    [YO_OP_DATA] = "data",
    [YO_OP_CHANNEL_JOIN] = "channel_join",
    [YO_OP_PEER_ONLINE] = "peer_online",
    [YO_OP_PEER_STATE] = "peer_state",
    [YO_OP_PEER_OFFLINE] = "peer_offline",
    [YO_OP_HELLO] = "hello",
    [YO_OP_SNAPSHOT] = "snapshot",
    [YO_OP_CHANGES] = "changes",
    [YO_OP_CHANNEL_LEAVE] = "channel_leave",
    [YO_OP_ACK] = "ack",
    [YO_OP_ERROR] = "error",
    [YO_OP_PING] = "ping",
    [YO_OP_PONG] = "pong",
    [YO_OP_MOVE] = "move",
    [YO_OP_MOVED] = "moved",
    [YO_OP_TOKEN] = "token",
    [YO_OP_GOAWAY] = "goaway",
    [YO_OP_HISTORY] = "history",
    [YO_OP_KICK] = "kick",
    [YO_OP_BAN] = "ban",
    [YO_OP_CLOSE] = "close",
    [YO_OP_GAP] = "gap",
    [YO_OP_PEER_STALE] = "peer_stale",
    [YO_OP_PEER_BACK] = "peer_back",
    [YO_OP_RESUME] = "resume",
    [YO_OP_RESUMED] = "resumed",
    [YO_OP_VALUE] = "value",
    [YO_OP_VALUES] = "values",
    [YO_OP_LOCK] = "lock",
    [YO_OP_UNLOCK] = "unlock",
    [YO_OP_UNKNOWN] = "unknown",
};

const char *yo_op_name(enum yo_op op)
{
    unsigned i = (unsigned)op;

    return op_names[i < YO_OP_UNKNOWN ? i : YO_OP_UNKNOWN];
}

static enum key key_of(struct yo_span name)
{
    unsigned i = 0;

    while (i < KEY_COUNT && !(keys[i].size == name.size &&
                              memcmp(keys[i].name, name.data, name.size) == 0)) {
        i++;
    }
    return (enum key)i;
}

/* A reader's error is all that these need: it sticks, and the walk ends at it. */
static void refuse(struct yo_mp_reader *reader)
{
    reader->error = YOMO_ERR_MALFORMED;
    reader->rest = YO_SPAN_NONE;
}

static struct yo_span read_text(struct yo_mp_reader *reader, size_t size_max)
{
    struct yo_span text = yo_mp_read_str(reader);

    if (text.size > size_max || !yo_utf8_valid(text)) {
        refuse(reader);
        return YO_SPAN_NONE;
    }
    return text;
}

static struct yo_span read_payload(struct yo_mp_reader *reader)
{
    struct yo_mp_value value = yo_mp_read(reader);

    if (value.kind != YO_MP_BIN && value.kind != YO_MP_NIL) {
        refuse(reader);
    }
    return value.kind == YO_MP_BIN ? value.bytes : YO_SPAN_NONE;
}

/* Ours is a number; psig's, a string, is its backend's affair. */
static uint64_t read_session(struct yo_mp_reader *reader)
{
    struct yo_mp_value value = yo_mp_read(reader);

    if (value.kind != YO_MP_UINT &&
        !(value.kind == YO_MP_STR && yo_utf8_valid(value.bytes))) {
        refuse(reader);
    }
    return value.kind == YO_MP_UINT ? value.uint : 0;
}

static enum yomo_delivery read_delivery(struct yo_mp_reader *reader)
{
    uint64_t number = yo_mp_read_uint(reader);

    if (number > YOMO_LATEST) {
        refuse(reader);
        return YOMO_RELIABLE;
    }
    return (enum yomo_delivery)number;
}

static enum yomo_priority read_priority(struct yo_mp_reader *reader)
{
    uint64_t number = yo_mp_read_uint(reader);

    if (number > YOMO_BULK) {
        refuse(reader);
        return YOMO_NORMAL;
    }
    return (enum yomo_priority)number;
}

static int64_t read_code(struct yo_mp_reader *reader)
{
    struct yo_mp_value value = yo_mp_read(reader);

    if (value.kind == YO_MP_INT) {
        return value.sint;
    }
    if (value.kind != YO_MP_UINT || value.uint > INT64_MAX) {
        refuse(reader);
        return 0;
    }
    return (int64_t)value.uint;
}

static bool read_bool(struct yo_mp_reader *reader)
{
    struct yo_mp_value value = yo_mp_read(reader);

    if (value.kind != YO_MP_BOOL) {
        refuse(reader);
    }
    return value.boolean;
}

/* A whole array, whose elements yo_members_next looks at. */
static struct yo_span read_members(struct yo_mp_reader *reader)
{
    struct yo_span array = yo_mp_skip(reader);
    struct yo_mp_reader inside;

    yo_mp_reader_init(&inside, array);
    yo_mp_read_array(&inside);
    if (inside.error) {
        refuse(reader);
        return YO_SPAN_NONE;
    }
    return array;
}

/* A session that can be one, or a user id. */
static void read_target(struct yo_mp_reader *reader, struct yo_wire_target *target)
{
    struct yo_mp_value value = yo_mp_read(reader);
    bool user = value.kind == YO_MP_STR && value.bytes.size > 0 &&
                value.bytes.size <= YO_ID_SIZE_MAX && yo_utf8_valid(value.bytes);

    if (!user && !(value.kind == YO_MP_UINT && value.uint != 0)) {
        refuse(reader);
    }
    target->session = user ? 0 : value.uint;
    target->user = user ? value.bytes : YO_SPAN_NONE;
}

/* A whole array of targets, not too many. */
static struct yo_span read_targets(struct yo_mp_reader *reader)
{
    struct yo_span array = yo_mp_skip(reader);
    struct yo_wire_target target;
    struct yo_mp_reader inside;
    uint32_t count = yo_targets_init(&inside, array);

    for (uint32_t i = 0; i < count && count <= YO_TARGETS_MAX && !inside.error; i++) {
        read_target(&inside, &target);
    }
    if (inside.error || count > YO_TARGETS_MAX) {
        refuse(reader);
        return YO_SPAN_NONE;
    }
    return array;
}

uint32_t yo_targets_init(struct yo_mp_reader *reader, struct yo_span targets)
{
    yo_mp_reader_init(reader, targets);
    return yo_mp_read_array(reader);
}

bool yo_targets_next(struct yo_mp_reader *reader, struct yo_wire_target *target)
{
    if (reader->rest.size == 0) {
        return false;
    }
    read_target(reader, target);
    return reader->error == 0;
}

/* Has this key been before? `seen` holds a bit for each. */
static bool is_repeated(uint64_t *seen, unsigned key)
{
    uint64_t bit = UINT64_C(1) << key;
    bool repeated = (*seen & bit) != 0;

    *seen |= bit;
    return repeated;
}

static struct yo_wire_limits read_limits(struct yo_mp_reader *reader)
{
    static const char *const names[] = {"msg", "rooms", "silence", "grace"};
    const unsigned known = sizeof(names) / sizeof(names[0]);
    struct yo_wire_limits limits = {0, 0, 0, 0};
    uint64_t *const fields[] = {&limits.message_size, &limits.rooms, &limits.silence_ms,
                                &limits.grace_ms};
    uint64_t seen = 0;
    uint32_t count = yo_mp_read_map(reader);

    for (uint32_t i = 0; i < count && !reader->error; i++) {
        struct yo_span name = yo_mp_read_str(reader);
        unsigned key = 0;
        while (key < known && !yo_span_is(name, names[key])) {
            key++;
        }
        if (key == known) {
            yo_mp_skip(reader);
        } else if (is_repeated(&seen, key)) {
            refuse(reader);
        } else {
            *fields[key] = yo_mp_read_uint(reader);
        }
    }
    return limits;
}

/* What `t` and `op` say, kept until both are there. */
struct names {
    struct yo_span t, op;
};

static void read_field(struct yo_mp_reader *reader, enum key key, struct names *names,
                       struct yo_message *message)
{
    switch (key) {
    case KEY_T:
        names->t = read_text(reader, YO_TEXT_SIZE_MAX);
        break;
    case KEY_OP:
        names->op = read_text(reader, YO_TEXT_SIZE_MAX);
        break;
    case KEY_C:
        message->channel = read_text(reader, YO_CHANNEL_SIZE_MAX);
        break;
    case KEY_P:
        message->peer = read_text(reader, YO_ID_SIZE_MAX);
        break;
    case KEY_PL:
        message->payload = read_payload(reader);
        break;
    case KEY_MESH:
        message->mesh = read_text(reader, YO_ID_SIZE_MAX);
        break;
    case KEY_SID:
        message->session = read_session(reader);
        break;
    case KEY_APP:
        read_text(reader, YO_TEXT_SIZE_MAX);
        break;
    case KEY_D:
        message->delivery = read_delivery(reader);
        break;
    case KEY_K:
        message->key = read_text(reader, YO_KEY_SIZE_MAX);
        break;
    case KEY_V:
        message->version = yo_mp_read_uint(reader);
        message->versioned = true;
        break;
    case KEY_N:
        message->number = yo_mp_read_uint(reader);
        break;
    case KEY_Q:
        message->sequence = yo_mp_read_uint(reader);
        break;
    case KEY_TS:
        message->timestamp = yo_mp_read_uint(reader);
        break;
    case KEY_CODE:
        message->code = read_code(reader);
        break;
    case KEY_MSG:
        message->text = read_text(reader, YO_TEXT_SIZE_MAX);
        break;
    case KEY_VER:
        message->protocol = yo_mp_read_uint(reader);
        break;
    case KEY_EPOCH:
        message->epoch = yo_mp_read_uint(reader);
        break;
    case KEY_LIM:
        message->limits = read_limits(reader);
        break;
    case KEY_TOK:
        message->token = read_text(reader, YO_TOKEN_SIZE_MAX);
        break;
    case KEY_M:
        message->members = read_members(reader);
        break;
    case KEY_MORE:
        message->more = read_bool(reader);
        break;
    case KEY_DT:
        message->data = read_payload(reader);
        break;
    case KEY_OB:
        message->observe = read_bool(reader);
        break;
    case KEY_TO:
        message->targets = read_targets(reader);
        break;
    case KEY_ME:
        message->echo = read_bool(reader);
        break;
    case KEY_DM:
        message->direct = read_bool(reader);
        break;
    case KEY_RQ:
        message->request = yo_mp_read_uint(reader);
        break;
    case KEY_RE:
        message->reply = yo_mp_read_uint(reader);
        break;
    case KEY_TTL:
        message->ttl_ms = yo_mp_read_uint(reader);
        break;
    case KEY_PR:
        message->priority = read_priority(reader);
        break;
    case KEY_PC:
        message->pace_ms = yo_mp_read_uint(reader);
        break;
    case KEY_SINCE:
        message->since = yo_mp_read_uint(reader);
        break;
    case KEY_HIST:
        message->hist = yo_mp_read_uint(reader);
        break;
    case KEY_MAX:
        message->max = yo_mp_read_uint(reader);
        break;
    case KEY_FROM:
        message->from = yo_mp_read_uint(reader);
        break;
    case KEY_QU:
        message->urgent = yo_mp_read_uint(reader);
        break;
    case KEY_QB:
        message->bulk = yo_mp_read_uint(reader);
        break;
    case KEY_RD:
        message->read = yo_mp_read_uint(reader);
        break;
    case KEY_WT:
        message->wait = read_bool(reader);
        break;
    case KEY_COUNT:
        yo_mp_skip(reader);
        break;
    }
}

/* Control without an op, or neither: the one thing that may not be missing. */
static int find_op(const struct names *names, enum yo_op *op)
{
    if (!names->t.data) {
        return YOMO_ERR_MALFORMED;
    }
    *op = YO_OP_UNKNOWN;
    if (yo_span_is(names->t, "data")) {
        *op = YO_OP_DATA;
    } else if (yo_span_is(names->t, "control")) {
        if (!names->op.data) {
            return YOMO_ERR_MALFORMED;
        }
        for (unsigned i = YO_OP_DATA + 1; i < YO_OP_UNKNOWN; i++) {
            if (yo_span_is(names->op, op_names[i])) {
                *op = (enum yo_op)i;
            }
        }
    }
    return YOMO_OK;
}

int yo_decode(struct yo_span bytes, struct yo_message *message)
{
    struct yo_message fields = {.op = YO_OP_UNKNOWN};
    struct names names = {YO_SPAN_NONE, YO_SPAN_NONE};
    struct yo_mp_reader reader;
    uint64_t seen = 0;
    uint32_t count;

    if (bytes.size > YO_MESSAGE_SIZE_MAX) {
        return YOMO_ERR_MALFORMED;
    }
    yo_mp_reader_init(&reader, bytes);
    count = yo_mp_read_map(&reader);
    for (uint32_t i = 0; i < count && !reader.error; i++) {
        struct yo_span name = yo_mp_read_str(&reader);
        enum key key;
        if (reader.error) {
            break;
        }
        key = key_of(name);
        if (key != KEY_COUNT && is_repeated(&seen, key)) {
            return YOMO_ERR_MALFORMED;
        }
        read_field(&reader, key, &names, &fields);
    }
    if (reader.error || reader.rest.size > 0 ||
        find_op(&names, &fields.op) != YOMO_OK) {
        return YOMO_ERR_MALFORMED;
    }
    *message = fields;
    return YOMO_OK;
}

/* One map of an array: each key once, what is not known is skipped. `field` reads the
 * value of the `key`th name; one past the last is a name that is not among them. */
static void read_entry(struct yo_mp_reader *reader, const char *const *names,
                       unsigned known,
                       void (*field)(struct yo_mp_reader *reader, unsigned key,
                                     void *out),
                       void *out)
{
    uint64_t seen = 0;
    uint32_t count = yo_mp_read_map(reader);

    for (uint32_t i = 0; i < count && !reader->error; i++) {
        struct yo_span name = yo_mp_read_str(reader);
        unsigned key = 0;
        while (key < known && !yo_span_is(name, names[key])) {
            key++;
        }
        if (key < known && is_repeated(&seen, key)) {
            refuse(reader);
        }
        field(reader, key, out);
    }
}

int yo_members_init(struct yo_mp_reader *reader, struct yo_span members,
                    uint32_t *count)
{
    yo_mp_reader_init(reader, members);
    *count = yo_mp_read_array(reader);
    return reader->error;
}

static void read_member_field(struct yo_mp_reader *reader, unsigned key, void *out)
{
    struct yo_wire_member *member = out;

    switch (key) {
    case 0:
        member->session = yo_mp_read_uint(reader);
        break;
    case 1:
        member->peer = read_text(reader, YO_ID_SIZE_MAX);
        break;
    case 2:
        member->state = read_payload(reader);
        break;
    case 3:
        member->version = yo_mp_read_uint(reader);
        break;
    case 4:
        member->since_ms = yo_mp_read_uint(reader);
        break;
    case 5:
        member->stale = read_bool(reader);
        break;
    case 6:
        member->change = yo_mp_read_uint(reader);
        break;
    case 7:
        member->data = read_payload(reader);
        break;
    default:
        yo_mp_skip(reader);
        break;
    }
}

int yo_members_next(struct yo_mp_reader *reader, struct yo_wire_member *member)
{
    static const char *const names[] = {"sid", "p", "pl", "v", "at", "st", "o", "dt"};
    struct yo_wire_member fields = {.session = 0};

    read_entry(reader, names, sizeof(names) / sizeof(names[0]), read_member_field, &fields);
    if (reader->error) {
        return YOMO_ERR_MALFORMED;
    }
    *member = fields;
    return YOMO_OK;
}

static void read_past_field(struct yo_mp_reader *reader, unsigned key, void *out)
{
    struct yo_wire_past *past = out;

    switch (key) {
    case 0:
        past->sequence = yo_mp_read_uint(reader);
        break;
    case 1:
        past->session = yo_mp_read_uint(reader);
        break;
    case 2:
        past->peer = read_text(reader, YO_ID_SIZE_MAX);
        break;
    case 3:
        past->payload = read_payload(reader);
        break;
    case 4:
        past->at_ms = yo_mp_read_uint(reader);
        break;
    case 5:
        past->priority = read_priority(reader);
        break;
    default:
        yo_mp_skip(reader);
        break;
    }
}

int yo_past_next(struct yo_mp_reader *reader, struct yo_wire_past *past,
                 struct yo_span *event)
{
    static const char *const names[] = {"q", "sid", "p", "pl", "at", "pr"};
    struct yo_wire_past fields = {.sequence = 0};

    read_entry(reader, names, sizeof(names) / sizeof(names[0]), read_past_field, &fields);
    if (reader->error || fields.sequence == 0 || !fields.peer.data ||
        yo_check_data(fields.payload, event) != YOMO_OK) {
        return YOMO_ERR_MALFORMED;
    }
    *past = fields;
    return YOMO_OK;
}

static void read_value_field(struct yo_mp_reader *reader, unsigned key, void *out)
{
    struct yo_wire_value *value = out;

    switch (key) {
    case 0:
        value->key = read_text(reader, YO_VALUE_KEY_MAX);
        break;
    case 1:
        value->payload = read_payload(reader);
        break;
    case 2:
        value->version = yo_mp_read_uint(reader);
        break;
    case 3:
        value->session = yo_mp_read_uint(reader);
        break;
    case 4:
        value->peer = read_text(reader, YO_ID_SIZE_MAX);
        break;
    case 5:
        value->lock = read_bool(reader);
        break;
    default:
        yo_mp_skip(reader);
        break;
    }
}

int yo_values_next(struct yo_mp_reader *reader, struct yo_wire_value *value)
{
    static const char *const names[] = {"k", "pl", "v", "sid", "p", "lk"};
    struct yo_wire_value fields = {.version = 0};
    struct yo_span event;

    read_entry(reader, names, sizeof(names) / sizeof(names[0]), read_value_field, &fields);
    if (reader->error || fields.key.size == 0 || fields.version == 0 ||
        (fields.lock ? fields.session == 0
                     : yo_check_data(fields.payload, &event) != YOMO_OK)) {
        return YOMO_ERR_MALFORMED;
    }
    *value = fields;
    return YOMO_OK;
}
