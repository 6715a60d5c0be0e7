/* SPDX-License-Identifier: MIT */
/* server_side.c - the way of a message: its size, its form, what kind it is, whether
 * the client may, and only then an effect.
 *
 * Failure modes: a message that is not well-formed counts towards errors_max, past
 * which the connection is closed; one that is well-formed but not allowed is dropped,
 * and the client of the extension is told why if it can know which one it was; when
 * memory runs out the rooms are as before and there are no effects. */
#include "session/server_side.h"

#include <stdio.h>

#include "base/check.h"
#include "base/mem.h"
#include "session/outbox.h"
#include "session/server_inside.h"
#include "wire/decode.h"

#define TOKEN_PAUSE YO_SECOND /* between two tokens of one client */
#define ASKED_MAX 4           /* sessions that one connection may ask for */
#define VERSIONS_MAX 256      /* LATEST values of one client that are told apart */

/* --- life --- */

static char *copy(const struct yomo_mem *mem, struct yo_span *span)
{
    char *text = yo_strndup(mem, span->data, span->size);

    if (text && span->data) {
        span->data = (const uint8_t *)text;
    }
    return text;
}

static void say_hello(struct yo_server_session *session, struct yo_effects *effects)
{
    const struct yo_message hello = {
        .op = YO_OP_HELLO,
        .peer = session->identity.id,
        .session = session->identity.session,
        .protocol = YO_PROTOCOL_VERSION,
        .epoch = session->identity.epoch,
        .timestamp = session->identity.expires_ms,
        .limits = {.message_size = session->limits.message_size,
                   .rooms = session->limits.rooms,
                   .silence_ms = session->limits.silence_ms,
                   .grace_ms = session->limits.grace_ms},
        .token = session->identity.token,
    };

    yo_server_send(session, effects, &hello);
}

int yo_server_session_create(struct yo_server_session **out, const struct yomo_mem *mem,
                             const struct yo_server_identity *identity,
                             const struct yo_server_limits *limits, yo_time now,
                             struct yo_effects *effects)
{
    struct yo_server_session *session = yo_calloc(mem, 1, sizeof(*session));
    int rv;

    if (!session) {
        return YOMO_ERR_NOMEM;
    }
    session->mem = mem;
    session->identity = *identity;
    session->limits = *limits;
    session->next_lane = LANE_ROOMS;
    session->heard = now;
    yo_map_init(&session->rooms, mem);
    yo_quota_init(&session->quota, limits->messages_per_second, limits->messages_burst);
    yo_versions_init(&session->versions, mem, VERSIONS_MAX);
    session->id = copy(mem, &session->identity.id);
    session->mesh = copy(mem, &session->identity.mesh);
    if (identity->extension) {
        say_hello(session, effects);
    }
    session->identity.token = YO_SPAN_NONE; /* was lent */
    rv = yo_server_done(effects);
    if (!session->id || !session->mesh) {
        rv = YOMO_ERR_NOMEM;
    }
    if (rv != YOMO_OK) {
        yo_effects_clear(effects);
        yo_server_session_destroy(session);
        return rv;
    }
    *out = session;
    return YOMO_OK;
}

void yo_server_session_destroy(struct yo_server_session *session)
{
    if (!session) {
        return;
    }
    yo_server_rooms_finish(session);
    yo_versions_finish(&session->versions);
    yo_free(session->mem, session->id);
    yo_free(session->mem, session->mesh);
    yo_free(session->mem, session);
}

enum yo_dialect yo_server_session_dialect(const struct yo_server_session *session)
{
    return session->identity.extension ? YO_DIALECT_YOMO : YO_DIALECT_PRESENCEJS;
}

/* --- what both files use --- */

bool yo_server_over(size_t size, size_t limit)
{
    return limit > 0 && size > limit;
}

void yo_server_send(struct yo_server_session *session, struct yo_effects *effects,
                    const struct yo_message *message)
{
    uint32_t lane = session->identity.datagrams_only ? LANE_DATAGRAM : LANE_CONTROL;

    yo_effects_send(effects, lane, yo_server_session_dialect(session), message);
}

int yo_server_done(struct yo_effects *effects)
{
    if (effects->failed) {
        yo_effects_cut(effects, 0);
        return YOMO_ERR_NOMEM;
    }
    yo_effects_seal(effects);
    return YOMO_OK;
}

/* Can the client know which message was refused? By its number; a join or a state by
 * its room alone. */
static bool wants_error(const struct yo_server_session *session,
                        const struct yo_message *message)
{
    if (!session->identity.extension) {
        return false;
    }
    switch (message->op) {
    case YO_OP_CHANNEL_JOIN:
    case YO_OP_PEER_STATE:
        return message->channel.size > 0;
    case YO_OP_DATA:
    case YO_OP_HISTORY:
    case YO_OP_KICK:
    case YO_OP_BAN:
    case YO_OP_CLOSE:
    case YO_OP_VALUE:
    case YO_OP_LOCK:
    case YO_OP_UNLOCK:
        return message->number != 0;
    default:
        return false;
    }
}

void yo_server_drop(const struct yo_incoming *in, int error, const char *text)
{
    struct yo_effect *drop = yo_effects_add(in->effects, YO_EFFECT_DROP);

    if (drop) {
        drop->room = in->message->channel;
        drop->number = in->message->number;
        drop->error = error;
        drop->text = yo_span_of(text);
        drop->limited = error == YOMO_ERR_RATE ? (int)in->limited : YO_LIMITED_NOT;
    }
}

void yo_server_refuse(struct yo_server_session *session, const struct yo_incoming *in,
                      int error, const char *text)
{
    const struct yo_message *message = in->message;

    if (wants_error(session, message)) {
        const struct yo_message answer = {.op = YO_OP_ERROR,
                                          .channel = message->channel,
                                          .number = message->number,
                                          .code = error,
                                          .text = yo_span_of(text)};
        yo_server_send(session, in->effects, &answer);
    }
    yo_server_drop(in, error, text);
}

void yo_server_refuse_limited(struct yo_server_session *session,
                              const struct yo_incoming *in)
{
    static const char *const why[] = {
        [YO_LIMITED_NOT] = "too many tokens", /* TOKEN_PAUSE */
        [YO_LIMITED_CONNECTION] = "too many messages (message-rate)",
        [YO_LIMITED_APP_MESSAGES] =
            "too many messages of the application (app-message-rate)",
        [YO_LIMITED_APP_BYTES] = "too many bytes of the application (app-byte-rate)"};

    yo_server_refuse(session, in, YOMO_ERR_RATE, why[in->limited]);
}

void yo_server_broken(struct yo_server_session *session, const struct yo_incoming *in,
                      const char *text)
{
    struct yo_effect *close;

    session->errors++;
    yo_server_refuse(session, in, YOMO_ERR_MALFORMED, text);
    if (session->limits.errors_max == 0 ||
        session->errors < session->limits.errors_max) {
        return;
    }
    close = yo_effects_add(in->effects, YO_EFFECT_CLOSE);
    if (close) {
        close->code = CODE_PROTOCOL;
        close->error = YOMO_ERR_PROTO;
        close->text = yo_span_of("too many broken messages");
        session->closed = true;
    }
}

/* --- the size of what is relayed (MessagePack's str and bin heads) --- */

static size_t str_size(size_t size)
{
    return size + (size < 32            ? 1u
                   : size <= UINT8_MAX  ? 2u
                   : size <= UINT16_MAX ? 3u
                                        : 5u);
}

static size_t bin_size(size_t size)
{
    return size + (size <= UINT8_MAX ? 2u : size <= UINT16_MAX ? 3u : 5u);
}

size_t yo_server_relayed_size(const struct yo_server_session *session, enum yo_op op,
                              struct yo_span room, struct yo_span payload,
                              size_t peer_size)
{
    size_t size = 1; /* the map's head: less than 16 keys */

    if (op == YO_OP_DATA) {
        size += str_size(1) + str_size(4);
    } else {
        size +=
            str_size(1) + str_size(7) + str_size(2) + str_size(strlen(yo_op_name(op)));
    }
    size += str_size(1) + str_size(room.size);
    size += payload.data ? str_size(2) + bin_size(payload.size) : 0;
    size += str_size(1) + str_size(peer_size);
    if (session->identity.mesh.data) {
        size += str_size(4) + str_size(session->identity.mesh.size);
    }
    return size;
}

/* --- data --- */

/* Is it the newest of its value? 1, 0, or YOMO_ERR_NOMEM. Without a version nobody can
 * tell, and it passes. */
static int admit_version(struct yo_server_session *session,
                         const struct yo_message *message, struct yo_span event)
{
    struct yo_buf name;
    int rv;

    if (message->delivery != YOMO_LATEST || message->version == 0) {
        return 1;
    }
    yo_buf_init(&name, session->mem);
    rv = yo_outbox_slot(&name, yo_outbox_audience(message->targets), message->channel,
                        event, message->key);
    if (rv == YOMO_OK) {
        rv =
            yo_versions_admit(&session->versions, yo_buf_span(&name), message->version);
    }
    yo_buf_finish(&name);
    return rv;
}

static void fill_publish(const struct yo_server_session *session,
                         const struct yo_incoming *in, struct yo_span event,
                         struct yo_effect *publish)
{
    const struct yo_message *message = in->message;

    publish->room = message->channel;
    publish->payload = message->payload;
    publish->event = event;
    publish->lane = in->lane;
    if (!session->identity.extension) {
        publish->delivery = in->lane == LANE_DATAGRAM ? YOMO_UNRELIABLE : YOMO_RELIABLE;
        return;
    }
    publish->delivery = message->delivery;
    if (message->delivery == YOMO_RELIABLE && in->lane == LANE_DATAGRAM) {
        publish->delivery = YOMO_UNRELIABLE; /* no datagram is more than that */
    }
    if (message->delivery == YOMO_LATEST) {
        publish->key = message->key;
        publish->version = message->version;
    }
    publish->number = message->number;
    publish->targets = message->targets;
    publish->echo = message->echo;
    publish->request = message->request;
    publish->reply = message->reply;
    publish->ttl_ms = message->ttl_ms;
    publish->priority = message->priority;
    if (message->reply != 0) {
        publish->error = (int)message->code; /* looked at by check_targets */
        publish->text = message->text;
    }
}

/* All is well with it: let it through, unless a newer one came before. */
static void publish(struct yo_server_session *session, const struct yo_incoming *in,
                    struct yo_span event)
{
    struct yo_effect *effect;
    int rv;

    if (yo_effects_reserve(in->effects, 1) != YOMO_OK) {
        return;
    }
    rv = session->identity.extension ? admit_version(session, in->message, event) : 1;
    if (rv < 0) {
        in->effects->failed = true;
        return;
    }
    if (rv == 0) {
        if (in->message->number != 0) {
            const struct yo_message ack = {.op = YO_OP_ACK,
                                           .channel = in->message->channel,
                                           .number = in->message->number};
            yo_server_send(session, in->effects, &ack);
        }
        return;
    }
    effect = yo_effects_add(in->effects, YO_EFFECT_PUBLISH);
    assert(effect);
    fill_publish(session, in, event, effect);
}

/* A request has one addressee, a reply exactly the session that asked. NULL: all is
 * well. */
static const char *check_targets(const struct yo_message *message)
{
    struct yo_wire_target target = {0};
    struct yo_mp_reader reader;
    uint32_t count = 0;

    if (message->request == 0 && message->reply == 0) {
        return NULL;
    }
    if (message->targets.data) {
        count = yo_targets_init(&reader, message->targets);
        (void)yo_targets_next(&reader, &target);
    }
    if (message->reply != 0 && message->request != 0) {
        return "a request that is a reply";
    }
    if (message->echo) {
        return "a request or a reply to oneself too";
    }
    if (message->request != 0 && (!message->targets.data || count > 1)) {
        return "a request to more than one, or to nobody";
    }
    if (message->reply != 0 && (count != 1 || target.session == 0)) {
        return "a reply that is not to one session";
    }
    if (message->reply != 0 && (message->code > 0 || message->code <= -1000)) {
        return "a reply with a code that is none";
    }
    return NULL;
}

static void on_data(struct yo_server_session *session, const struct yo_incoming *in)
{
    const struct yo_server_limits *limits = &session->limits;
    const struct yo_message *message = in->message;
    struct yo_attendance *room = yo_server_find(session, message->channel);
    const char *wrong = session->identity.extension ? check_targets(message) : NULL;
    struct yo_span event;

    if (message->channel.size == 0) {
        yo_server_broken(session, in, "data without a room");
    } else if (!room || room->phase != ATTENDANCE_IN) {
        yo_server_refuse(session, in, YOMO_ERR_NOT_FOUND, "not in this room");
    } else if (in->limited) {
        yo_server_refuse_limited(session, in);
    } else if (yo_check_data(message->payload, &event) != YOMO_OK) {
        yo_server_broken(session, in, "a payload that is not data");
    } else if (wrong) {
        yo_server_refuse(session, in, YOMO_ERR_PROTO, wrong);
    } else if (yo_server_over(event.size, limits->event_size)) {
        yo_server_refuse(session, in, YOMO_ERR_TOO_BIG, "the event's name is too long");
    } else if (session->identity.extension &&
               yo_server_over(message->key.size, limits->key_size)) {
        yo_server_refuse(session, in, YOMO_ERR_TOO_BIG, "the key is too long");
    } else if (session->identity.datagrams_only &&
               yo_server_over(yo_server_relayed_size(session, YO_OP_DATA,
                                                     message->channel, message->payload,
                                                     room->label_size),
                              limits->datagram_size)) {
        yo_server_refuse(session, in, YOMO_ERR_TOO_BIG, "too big for a datagram");
    } else {
        room->ack_due = YO_NEVER; /* only who has the ACK sends data */
        publish(session, in, event);
    }
}

/* --- recv --- */

static void on_ping(struct yo_server_session *session, const struct yo_incoming *in)
{
    const struct yo_message pong = {.op = YO_OP_PONG,
                                    .timestamp = in->message->timestamp};

    if (in->limited) {
        yo_server_refuse_limited(session, in);
        return;
    }
    yo_server_tell_read(session, in->effects);
    yo_server_send(session, in->effects, &pong);
}

void yo_server_places(const struct yo_message *message, uint64_t normal,
                      struct yo_effect *effect)
{
    effect->places[YOMO_NORMAL] = normal;
    effect->places[YOMO_URGENT] = message->urgent ? message->urgent : normal;
    effect->places[YOMO_BULK] = message->bulk ? message->bulk : normal;
}

/* After a break: what it has had of each room, and then the token of the session. */
static void on_resume(struct yo_server_session *session, const struct yo_incoming *in)
{
    const struct yo_message *message = in->message;
    bool claim = message->channel.size > 0;
    struct yo_effect *effect;

    if (!claim && !message->token.data) {
        yo_server_broken(session, in, "a resume without a room or a token");
        return;
    }
    if (!claim && session->asked++ >= ASKED_MAX) { /* it is guessing */
        yo_server_refuse(session, in, YOMO_ERR_FULL, "too many sessions asked for");
        return;
    }
    if (session->rooms.count > 0 ||
        (claim && session->claims >= session->limits.rooms &&
         session->limits.rooms > 0)) {
        yo_server_refuse(session, in, YOMO_ERR_STATE,
                         "a connection that is in rooms cannot go on with others");
        return;
    }
    effect = yo_effects_add(in->effects, claim ? YO_EFFECT_CLAIM : YO_EFFECT_RESUME);
    if (effect) {
        effect->room = message->channel;
        effect->token = message->token;
        yo_server_places(message, message->sequence, effect);
        session->claims += claim;
    }
}

/* Either end of a move: of the new connection with the old one's token, or, behind
 * everything that was sent on the old one, without. */
static void on_move(struct yo_server_session *session, const struct yo_incoming *in)
{
    struct yo_span token = in->message->token;
    struct yo_effect *effect;

    if (token.data && session->rooms.count > 0) {
        yo_server_refuse(session, in, YOMO_ERR_STATE,
                         "a connection that is in rooms cannot go on with others");
        return;
    }
    effect = yo_effects_add(in->effects, token.data ? YO_EFFECT_MOVE : YO_EFFECT_FENCE);
    if (effect) {
        effect->token = token;
        session->fenced = !token.data;
    }
}

/* Checking one costs far more than sending it. */
static void on_token(struct yo_server_session *session, const struct yo_incoming *in)
{
    struct yo_effect *effect;

    if (!in->message->token.data) {
        yo_server_broken(session, in, "a token without a token");
    } else if (in->limited || in->now < session->token_due) {
        const struct yo_message answer = {.op = YO_OP_TOKEN,
                                          .code = YOMO_ERR_RATE,
                                          .text =
                                              yo_span_of(yomo_strerror(YOMO_ERR_RATE))};
        yo_server_send(session, in->effects, &answer);
        yo_server_refuse_limited(session, in);
    } else {
        effect = yo_effects_add(in->effects, YO_EFFECT_TOKEN);
        if (effect) {
            effect->token = in->message->token;
            session->token_due = yo_time_after(in->now, TOKEN_PAUSE);
        }
    }
}

/* What a member with the right to it does to others: whether he has it his seat knows.
 */
static void on_order(struct yo_server_session *session, const struct yo_incoming *in)
{
    const struct yo_message *message = in->message;
    const struct yo_attendance *room = yo_server_find(session, message->channel);
    bool whom = message->peer.size > 0 || message->session != 0;
    struct yo_effect *order;

    if (message->channel.size == 0) {
        yo_server_broken(session, in, "an order without a room");
    } else if (!room || room->phase != ATTENDANCE_IN) {
        yo_server_refuse(session, in, YOMO_ERR_NOT_FOUND, "not in this room");
    } else if (in->limited) {
        yo_server_refuse_limited(session, in);
    } else if (message->op == YO_OP_KICK ? !whom
               : message->op == YO_OP_BAN
                   ? message->peer.size == 0 || message->timestamp == 0
                   : whom) {
        yo_server_refuse(session, in, YOMO_ERR_INVALID, "whom, and for how long?");
    } else {
        order = yo_effects_add(in->effects, YO_EFFECT_ORDER);
        if (order) {
            order->op = message->op;
            order->room = message->channel;
            order->peer = message->peer;
            order->session = message->session;
            order->text = message->text;
            order->after_ms = message->timestamp;
            order->number = message->number;
        }
    }
}

/* Ops that both dialects have; then those of the extension, which to presencejs are as
 * unknown as any other. */
static void dispatch(struct yo_server_session *session, const struct yo_incoming *in)
{
    enum yo_op op = in->message->op;

    if (op == YO_OP_DATA) {
        on_data(session, in);
    } else if (op == YO_OP_CHANNEL_JOIN) {
        yo_server_on_join(session, in);
    } else if (op == YO_OP_PEER_STATE) {
        yo_server_on_state(session, in);
    } else if (op == YO_OP_PEER_OFFLINE) {
        yo_server_on_leave(session, in);
    } else if (op == YO_OP_PEER_ONLINE && !session->identity.extension) {
        yo_server_on_online(session, in);
    } else if (op == YO_OP_HISTORY && session->identity.extension) {
        yo_server_on_history(session, in);
    } else if (op == YO_OP_PING && session->identity.extension) {
        on_ping(session, in);
    } else if (op == YO_OP_PONG && session->identity.extension) {
        return; /* that it came is all */
    } else if (op == YO_OP_TOKEN && session->identity.extension) {
        on_token(session, in);
    } else if (op == YO_OP_MOVE && session->identity.extension) {
        on_move(session, in);
    } else if ((op == YO_OP_KICK || op == YO_OP_BAN || op == YO_OP_CLOSE) &&
               session->identity.extension) {
        on_order(session, in);
    } else if (op == YO_OP_VALUE && session->identity.extension) {
        yo_server_on_value(session, in);
    } else if ((op == YO_OP_LOCK || op == YO_OP_UNLOCK) &&
               session->identity.extension) {
        yo_server_on_lock(session, in);
    } else if (op == YO_OP_RESUME && session->identity.extension) {
        on_resume(session, in);
    } else if (op == YO_OP_UNKNOWN) {
        yo_server_refuse(session, in, YOMO_ERR_PROTO,
                         "an op this server does not know");
    } else {
        yo_server_refuse(session, in, YOMO_ERR_PROTO, "an op that is not the client's");
    }
}

/* What members say and ask counts for their application. What keeps connections, seats
 * and locks does not: nobody is to lose his because of others. */
static bool counts_for_application(enum yo_op op)
{
    return op == YO_OP_DATA || op == YO_OP_PEER_STATE || op == YO_OP_VALUE ||
           op == YO_OP_HISTORY;
}

/* Is it too much? */
static enum yo_limited judge(struct yo_server_session *session,
                             const struct yo_message *message, size_t size, yo_time now)
{
    struct yo_rates *rates = session->identity.rates;

    if (message->op == YO_OP_PEER_OFFLINE) {
        return YO_LIMITED_NOT;
    }
    if (!yo_quota_take(&session->quota, now)) {
        return YO_LIMITED_CONNECTION;
    }
    if (!rates || !counts_for_application(message->op)) {
        return YO_LIMITED_NOT;
    }
    if (!yo_allowance_take(&rates->messages, 1, now)) {
        return YO_LIMITED_APP_MESSAGES;
    }
    if (!yo_allowance_take(&rates->bytes, size, now)) {
        yo_allowance_give_back(&rates->messages, 1);
        return YO_LIMITED_APP_BYTES;
    }
    return YO_LIMITED_NOT;
}

int yo_server_session_recv(struct yo_server_session *session, uint32_t lane,
                           struct yo_span bytes, yo_time now,
                           struct yo_effects *effects)
{
    struct yo_message message = {.op = YO_OP_UNKNOWN};
    struct yo_incoming in = {
        .message = &message, .lane = lane, .now = now, .effects = effects};
    int rv;

    if (session->closed || session->fenced) {
        return YOMO_OK;
    }
    session->heard = now;
    session->taken += lane == LANE_CONTROL;
    rv = yo_decode(bytes, &message);
    if (rv == YOMO_OK && lane != LANE_DATAGRAM) {
        yo_server_count(session, &message, lane);
    }
    if (rv != YOMO_OK) {
        message = (struct yo_message){.op = YO_OP_UNKNOWN};
        yo_server_broken(session, &in, "not a message");
    } else if (yo_server_over(bytes.size, session->limits.message_size)) {
        yo_server_refuse(session, &in, YOMO_ERR_TOO_BIG, "the message is too big");
    } else {
        in.limited = judge(session, &message, bytes.size, now);
        dispatch(session, &in);
    }
    return yo_server_done(effects);
}

/* --- what the owner says --- */

int yo_server_confirm(struct yo_server_session *session, struct yo_span room,
                      uint64_t number, uint64_t sequence, int error,
                      struct yo_effects *effects)
{
    struct yo_message message = {.op = error ? YO_OP_ERROR : YO_OP_ACK,
                                 .channel = room,
                                 .number = number,
                                 .sequence = error ? 0 : sequence,
                                 .code = error};

    if (error) {
        message.text = yo_span_of(yomo_strerror(error));
    }
    if (error == YOMO_ERR_CONFLICT) { /* the version that is there; 0: none */
        message.version = sequence;
        message.versioned = true;
    }
    if (session->identity.extension && number != 0) {
        yo_server_send(session, effects, &message);
    }
    return yo_server_done(effects);
}

int yo_server_over_limit(struct yo_server_session *session, struct yo_span room,
                         uint64_t number, int error, const char *limit,
                         struct yo_effects *effects)
{
    char text[96];
    struct yo_message message = {
        .op = YO_OP_ERROR, .channel = room, .number = number, .code = error};

    snprintf(text, sizeof(text), "%s: %s", yomo_strerror(error), limit);
    message.text = yo_span_of(text);
    if (session->identity.extension && number != 0) {
        yo_server_send(session, effects, &message);
    }
    return yo_server_done(effects);
}

int yo_server_token(struct yo_server_session *session, uint64_t expires_ms, int error,
                    struct yo_effects *effects)
{
    struct yo_message message = {
        .op = YO_OP_TOKEN, .timestamp = error ? 0 : expires_ms, .code = error};

    if (error) {
        message.text = yo_span_of(yomo_strerror(error));
    }
    yo_server_send(session, effects, &message);
    return yo_server_done(effects);
}

int yo_server_moved(struct yo_server_session *session,
                    const struct yo_server_session *fresh, struct yo_span token,
                    uint64_t again, yo_time now, struct yo_effects *effects)
{
    const struct yo_message message = {.op = YO_OP_MOVED,
                                       .session = session->identity.session,
                                       .number = again,
                                       .sequence = session->taken,
                                       .token = token};
    int rv;

    yo_server_tell_taken(session, effects);
    yo_server_send(session, effects, &message);
    rv = yo_server_done(effects);
    if (rv == YOMO_OK) {
        yo_server_count_anew(session);
        session->taken = fresh->taken;
        session->fenced = false;
        session->heard = now;
    }
    return rv;
}

int yo_server_resumed(struct yo_server_session *session,
                      const struct yo_server_session *fresh, struct yo_span token,
                      yo_time now, struct yo_effects *effects)
{
    const struct yo_message message = {
        .op = YO_OP_RESUMED, .session = session->identity.session, .token = token};
    int rv;

    yo_server_send(session, effects, &message);
    rv = yo_server_done(effects);
    if (rv == YOMO_OK) {
        yo_server_keep_resumed(session);
        session->taken = fresh->taken;
        session->fenced = session->closed = false;
        session->heard = now;
        session->errors = fresh->errors;
    }
    return rv;
}

int yo_server_goaway(struct yo_server_session *session, uint64_t after_ms,
                     struct yo_span url, struct yo_effects *effects)
{
    const struct yo_message message = {
        .op = YO_OP_GOAWAY, .timestamp = after_ms, .text = url};

    if (session->identity.extension) {
        yo_server_send(session, effects, &message);
    }
    return yo_server_done(effects);
}

/* --- time --- */

static yo_time silent_at(const struct yo_server_session *session)
{
    uint64_t silence = session->limits.silence_ms;

    if (session->closed || !session->identity.extension || silence == 0 ||
        silence > YO_NEVER / YO_MS) {
        return YO_NEVER;
    }
    return yo_time_after(session->heard, silence * YO_MS);
}

int yo_server_session_tick(struct yo_server_session *session, yo_time now,
                           struct yo_effects *effects)
{
    if (now >= silent_at(session)) {
        struct yo_effect *close = yo_effects_add(effects, YO_EFFECT_CLOSE);
        if (close) {
            close->code = CODE_SILENT;
            close->error = YOMO_ERR_TIMEOUT;
            close->text = yo_span_of("nothing was heard for too long");
            session->closed = true;
        }
    } else if (!session->closed) {
        yo_server_rooms_tick(session, now, effects);
    }
    return yo_server_done(effects);
}

yo_time yo_server_session_deadline(const struct yo_server_session *session)
{
    if (session->closed) {
        return YO_NEVER;
    }
    return yo_time_min(silent_at(session), yo_server_rooms_deadline(session));
}
