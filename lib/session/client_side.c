/* SPDX-License-Identifier: MIT */
/* client_side.c - which dialect the server speaks, and what is not about a room.
 *
 * Happy path: hello within a second, READY, then rooms (client_rooms.c). Without hello:
 * READY all the same, and presencejs (client_presencejs.c). Failure modes: a server
 * that sends nonsense or falls silent gives a CLOSE effect, after which nothing has
 * effects. */
#include "session/client_side.h"

#include "base/check.h"
#include "base/mem.h"
#include "session/client_inside.h"

#define VERSIONS_MAX 4096 /* LATEST values of all senders that are told apart */
#define ERRORS_MAX 16     /* broken messages before the connection is given up */
#define PINGS_IN_SILENCE 3

/* --- life --- */

int yo_client_session_create(struct yo_client_session **out, const struct yomo_mem *mem,
                             const struct yo_client_identity *identity, yo_time now)
{
    struct yo_client_session *session = yo_calloc(mem, 1, sizeof(*session));

    if (!session) {
        return YOMO_ERR_NOMEM;
    }
    session->mem = mem;
    session->datagrams = identity->datagrams;
    session->mode = CLIENT_WAITING;
    session->hello_due = yo_time_after(
        now, identity->returning ? YO_HELLO_WAIT_RETURNING : YO_HELLO_WAIT);
    session->next_lane = LANE_ROOMS;
    session->heard = now;
    session->ping_due = YO_NEVER;
    yo_map_init(&session->rooms, mem);
    yo_versions_init(&session->versions, mem, VERSIONS_MAX);
    yo_list_init(&session->spent);
    *out = session;
    return YOMO_OK;
}

void yo_client_session_destroy(struct yo_client_session *session)
{
    if (!session) {
        return;
    }
    yo_client_rooms_finish(session);
    yo_client_spent_free(session);
    yo_versions_finish(&session->versions);
    yo_free(session->mem, session);
}

bool yo_client_session_extension(const struct yo_client_session *session)
{
    return session->mode == CLIENT_YOMO;
}

bool yo_client_session_ready(const struct yo_client_session *session)
{
    return session->mode == CLIENT_YOMO || session->mode == CLIENT_PRESENCEJS;
}

size_t yo_client_session_message_max(const struct yo_client_session *session)
{
    uint64_t size = session->limits.message_size;

    return size > 0 && size < YO_MESSAGE_SIZE_MAX ? (size_t)size : YO_MESSAGE_SIZE_MAX;
}

enum yo_dialect yo_client_dialect(const struct yo_client_session *session)
{
    return session->mode == CLIENT_YOMO ? YO_DIALECT_YOMO : YO_DIALECT_PRESENCEJS;
}

/* --- what the other files use --- */

void yo_client_send(struct yo_client_session *session, struct yo_effects *effects,
                    uint32_t lane, const struct yo_message *message)
{
    if (session->mode != CLIENT_YOMO) {
        lane = session->datagrams ? LANE_DATAGRAM : LANE_CONTROL;
    }
    yo_effects_send(effects, lane, yo_client_dialect(session), message);
}

void yo_client_drop(const struct yo_arrival *in, int error, const char *text)
{
    struct yo_effect *drop = yo_effects_add(in->effects, YO_EFFECT_DROP);

    if (drop) {
        drop->room = in->message->channel;
        drop->error = error;
        drop->text = yo_span_of(text);
    }
}

void yo_client_want_close(struct yo_client_session *session, struct yo_effects *effects,
                          uint32_t code, int error, const char *text)
{
    struct yo_effect *close = yo_effects_add(effects, YO_EFFECT_CLOSE);

    if (close) {
        close->code = code;
        close->error = error;
        close->text = yo_span_of(text);
        session->mode = CLIENT_OVER;
        session->broken = code == CODE_PROTOCOL;
    }
}

void yo_client_broken(struct yo_client_session *session, const struct yo_arrival *in,
                      const char *text)
{
    yo_client_drop(in, YOMO_ERR_MALFORMED, text);
    if (++session->errors >= ERRORS_MAX) {
        yo_client_want_close(session, in->effects, CODE_PROTOCOL, YOMO_ERR_PROTO,
                             "too many broken messages");
    }
}

int yo_client_done(struct yo_effects *effects)
{
    if (effects->failed) {
        yo_effects_cut(effects, 0);
        return YOMO_ERR_NOMEM;
    }
    yo_effects_seal(effects);
    return YOMO_OK;
}

/* --- the dialect --- */

/* `hello`: what was said in it; NULL: there was none. */
static void become_ready(struct yo_client_session *session, enum yo_client_mode mode,
                         const struct yo_message *hello, struct yo_effects *effects)
{
    struct yo_effect *ready = yo_effects_add(effects, YO_EFFECT_READY);

    if (ready) {
        ready->extension = mode == CLIENT_YOMO;
        ready->session = session->session;
        ready->epoch = session->epoch;
        ready->peer = hello ? hello->peer : YO_SPAN_NONE;
        ready->token = hello ? hello->token : YO_SPAN_NONE;
        ready->after_ms = hello ? hello->timestamp : 0;
        session->mode = mode;
        session->hello_due = YO_NEVER;
    }
}

static yo_time silence_of(const struct yo_client_session *session)
{
    uint64_t silence = session->limits.silence_ms;

    return silence == 0 || silence > YO_NEVER / YO_MS ? YO_NEVER : silence * YO_MS;
}

static void set_ping_due(struct yo_client_session *session, yo_time now)
{
    session->ping_due = yo_time_after(now, silence_of(session) / PINGS_IN_SILENCE);
    if (silence_of(session) == YO_NEVER) {
        session->ping_due = YO_NEVER;
    }
}

/* More than a join can say in presencejs's words? */
static bool wishes_more(const struct yo_join_wishes *wishes)
{
    return wishes->since[YOMO_NORMAL] || wishes->hist || wishes->pace_ms ||
           wishes->observe;
}

/* hello after a second: what was asked for is asked again, in the better dialect. The
 * server may have let it in by what it was asked in the other, and does not do so twice:
 * who wants more than that leaves first, and joins with the answer. */
static void start_anew(struct yo_client_session *session, yo_time now,
                       struct yo_effects *effects)
{
    for (struct yo_map_node *node = yo_map_next(&session->rooms, NULL); node;
         node = yo_map_next(&session->rooms, node)) {
        struct yo_client_room *room =
            YO_CONTAINER(node, struct yo_client_room, by_name);
        yo_presencejs_forget_peers(session, room);
        room->phase = ROOM_JOINING;
        room->acked = room->complete = room->state_waits = false;
        room->join_due = YO_NEVER;
        if (wishes_more(&room->wishes)) {
            yo_client_send(session, effects, LANE_CONTROL,
                           &(struct yo_message){.op = YO_OP_PEER_OFFLINE,
                                                .channel = yo_client_room_name(room)});
            room->phase = ROOM_LEAVING;
            room->rejoin = true;
        } else {
            yo_client_send_join(session, room, now, effects);
        }
    }
}

static void on_hello(struct yo_client_session *session, const struct yo_arrival *in)
{
    const struct yo_message *hello = in->message;
    bool late = session->mode == CLIENT_PRESENCEJS;

    if (session->mode == CLIENT_YOMO) {
        yo_client_drop(in, YOMO_ERR_PROTO, "a second hello");
        return;
    }
    if (hello->protocol != YO_PROTOCOL_VERSION || hello->session == 0) {
        yo_client_want_close(session, in->effects, CODE_PROTOCOL, YOMO_ERR_VERSION,
                             yomo_strerror(YOMO_ERR_VERSION));
        return;
    }
    session->session = hello->session;
    session->epoch = hello->epoch;
    session->limits = hello->limits;
    set_ping_due(session, in->now);
    become_ready(session, CLIENT_YOMO, hello, in->effects);
    if (late && session->mode == CLIENT_YOMO) {
        start_anew(session, in->now, in->effects);
    }
}

/* --- recv --- */

/* What the server's number says in our terms; one from a later version is a refusal. */
int yo_client_error_of(const struct yo_message *message)
{
    int64_t code = message->code;

    return code < 0 && code > -1000 ? (int)code : YOMO_ERR_DENIED;
}

static void on_number(const struct yo_arrival *in, int error)
{
    struct yo_effect *confirmed = yo_effects_add(in->effects, YO_EFFECT_CONFIRMED);

    if (confirmed) {
        confirmed->room = in->message->channel;
        confirmed->number = in->message->number;
        confirmed->sequence = in->message->sequence;
        confirmed->version = in->message->version;
        confirmed->error = error;
        confirmed->text = in->message->text;
    }
}

static void on_read(const struct yo_arrival *in)
{
    struct yo_effect *read = yo_effects_add(in->effects, YO_EFFECT_READ);

    if (read) {
        read->room = in->message->channel;
        read->number = in->message->read;
    }
}

static void on_ping(struct yo_client_session *session, const struct yo_arrival *in)
{
    const struct yo_message pong = {.op = YO_OP_PONG,
                                    .timestamp = in->message->timestamp};

    yo_client_send(session, in->effects, LANE_CONTROL, &pong);
}

static void on_pong(struct yo_client_session *session, const struct yo_arrival *in)
{
    struct yo_effect *pong;

    if (in->message->timestamp == 0 || in->message->timestamp != session->ping_number) {
        return;
    }
    pong = yo_effects_add(in->effects, YO_EFFECT_PONG);
    if (pong) {
        pong->rtt = in->now - session->ping_sent;
    }
}

static void on_token(const struct yo_arrival *in)
{
    struct yo_effect *token = yo_effects_add(in->effects, YO_EFFECT_TOKEN);

    if (token) {
        token->error = in->message->code == 0 ? 0 : yo_client_error_of(in->message);
        token->after_ms = in->message->timestamp;
        token->text = in->message->text;
    }
}

static void on_goaway(const struct yo_arrival *in)
{
    struct yo_effect *goaway = yo_effects_add(in->effects, YO_EFFECT_GOAWAY);

    if (goaway) {
        goaway->after_ms = in->message->timestamp;
        goaway->text = in->message->text;
    }
}

static void on_moved(const struct yo_arrival *in)
{
    if (!in->message->channel.data) {
        (void)yo_effects_add(in->effects, YO_EFFECT_MOVED);
    }
}

static void dispatch(struct yo_client_session *session, const struct yo_arrival *in)
{
    switch (in->message->op) {
    case YO_OP_HELLO:
        on_hello(session, in);
        break;
    case YO_OP_PING:
        on_ping(session, in);
        break;
    case YO_OP_PONG:
        on_pong(session, in);
        break;
    case YO_OP_TOKEN:
        on_token(in);
        break;
    case YO_OP_GOAWAY:
        on_goaway(in);
        break;
    case YO_OP_MOVED:
        on_moved(in);
        break;
    case YO_OP_RESUMED:
        yo_client_on_resumed(session, in);
        break;
    case YO_OP_UNKNOWN:
        yo_client_drop(in, YOMO_ERR_PROTO, "an op this client does not know");
        break;
    case YO_OP_ACK:
        if (in->message->number != 0) {
            on_number(in, 0);
        } else if (in->message->read != 0) {
            on_read(in);
        }
        break;
    case YO_OP_ERROR:
        if (in->message->number != 0) {
            on_number(in, yo_client_error_of(in->message));
            break;
        }
        yo_client_on_room(session, in);
        break;
    default:
        yo_client_on_room(session, in);
        break;
    }
}

static bool is_presencejs(enum yo_op op)
{
    return op == YO_OP_DATA || op == YO_OP_CHANNEL_JOIN || op == YO_OP_PEER_ONLINE ||
           op == YO_OP_PEER_STATE || op == YO_OP_PEER_OFFLINE;
}

/* What a server sends on control, whatever the transport. */
static bool is_control(const struct yo_message *message)
{
    enum yo_op op = message->op;

    if (op == YO_OP_VALUES) { /* those with a place go with the data */
        return message->sequence == 0;
    }
    return op != YO_OP_VALUE && op != YO_OP_LOCK &&
           op != YO_OP_DATA && op != YO_OP_HISTORY && op != YO_OP_GAP &&
           op != YO_OP_PEER_ONLINE && op != YO_OP_PEER_STATE &&
           op != YO_OP_PEER_OFFLINE && op != YO_OP_PEER_STALE && op != YO_OP_PEER_BACK &&
           op != YO_OP_CHANGES;
}

int yo_client_session_recv(struct yo_client_session *session, uint32_t lane,
                           struct yo_span bytes, yo_time now,
                           struct yo_effects *effects)
{
    struct yo_message message = {.op = YO_OP_UNKNOWN};
    struct yo_arrival in = {.message = &message,
                            .bytes = bytes,
                            .lane = lane,
                            .now = now,
                            .effects = effects};

    yo_client_spent_free(session);
    if (session->mode == CLIENT_OVER) {
        return YOMO_OK;
    }
    session->heard = now;
    if (yo_decode(bytes, &message) != YOMO_OK) {
        message = (struct yo_message){.op = YO_OP_UNKNOWN};
        yo_client_broken(session, &in, "not a message");
        return yo_client_done(effects);
    }
    if (session->skip > 0 && is_control(&message)) {
        session->skip--;
        return yo_client_done(effects);
    }
    if (session->mode == CLIENT_WAITING && message.op != YO_OP_HELLO) {
        if (lane == LANE_DATAGRAM) {
            return yo_client_done(effects); /* may have overtaken hello */
        }
        become_ready(session, CLIENT_PRESENCEJS, NULL,
                     effects); /* hello would be the first */
    }
    if (session->mode == CLIENT_PRESENCEJS && message.op != YO_OP_HELLO &&
        !is_presencejs(message.op)) {
        yo_client_drop(&in, YOMO_ERR_PROTO, "an op that presencejs has not");
        return yo_client_done(effects);
    }
    dispatch(session, &in);
    return yo_client_done(effects);
}

void yo_client_heard(struct yo_client_session *session, yo_time now)
{
    session->heard = now;
    set_ping_due(session, now);
}

void yo_client_session_moved(struct yo_client_session *session, bool datagrams,
                             uint64_t skip, yo_time now)
{
    session->datagrams = datagrams;
    session->skip = skip;
    yo_client_heard(session, now);
}

/* --- time --- */

static yo_time silent_at(const struct yo_client_session *session)
{
    return session->mode == CLIENT_YOMO
               ? yo_time_after(session->heard, silence_of(session))
               : YO_NEVER;
}

static void ping(struct yo_client_session *session, yo_time now,
                 struct yo_effects *effects)
{
    const struct yo_message message = {.op = YO_OP_PING,
                                       .timestamp = session->ping_number + 1};

    yo_client_send(session, effects, LANE_CONTROL, &message);
    if (!effects->failed) {
        session->ping_number++;
        session->ping_sent = now;
        set_ping_due(session, now);
    }
}

int yo_client_token(struct yo_client_session *session, struct yo_span token,
                    struct yo_effects *effects)
{
    const struct yo_message message = {.op = YO_OP_TOKEN, .token = token};

    if (session->mode != CLIENT_YOMO) {
        return YOMO_ERR_STATE;
    }
    yo_client_spent_free(session);
    yo_client_send(session, effects, LANE_CONTROL, &message);
    return yo_client_done(effects);
}

int yo_client_ping(struct yo_client_session *session, yo_time now,
                   struct yo_effects *effects)
{
    yo_client_spent_free(session);
    if (session->mode == CLIENT_YOMO) {
        ping(session, now, effects);
    }
    return yo_client_done(effects);
}

int yo_client_session_tick(struct yo_client_session *session, yo_time now,
                           struct yo_effects *effects)
{
    yo_client_spent_free(session);
    if (session->mode == CLIENT_WAITING && now >= session->hello_due) {
        become_ready(session, CLIENT_PRESENCEJS, NULL, effects);
    } else if (session->mode == CLIENT_PRESENCEJS) {
        yo_presencejs_tick(session, now, effects);
    } else if (now >= silent_at(session)) {
        yo_client_want_close(session, effects, CODE_SILENT, YOMO_ERR_TIMEOUT,
                             "the server fell silent");
    } else if (session->mode == CLIENT_YOMO && now >= session->ping_due) {
        ping(session, now, effects);
    }
    return yo_client_done(effects);
}

yo_time yo_client_session_deadline(const struct yo_client_session *session)
{
    switch (session->mode) {
    case CLIENT_WAITING:
        return session->hello_due;
    case CLIENT_YOMO:
        return yo_time_min(silent_at(session), session->ping_due);
    case CLIENT_PRESENCEJS:
        return yo_presencejs_deadline(session);
    case CLIENT_OVER:
        break;
    }
    return YO_NEVER;
}
