/* SPDX-License-Identifier: MIT */
/* move.c - the session goes on over another connection, and nobody notices
 * (docs/protocol.md, "Moving").
 *
 * The happy path: a second connection is dialled beside the one that stands, and
 * greeted. Over it the server is asked for the session. From then on nothing is sent
 * on the old one: over WebTransport what may not have arrived is taken back and the old
 * connection is dropped; over TCP, where nobody can tell, a fence goes out behind
 * everything, and the server's own is waited for. The server says what it has taken;
 * what it has not goes out again, and then everything is as before.
 *
 * Possible failure modes: the second connection does not open or is not the same
 * server's: nothing has happened, the old one stays. The server knows the session no
 * more, or either connection dies in the middle: both are given up, and the client
 * comes back as after any loss.
 *
 * Invariants:
 *  1. `conn` is set from the dial until it stands in client->conn, or has closed;
 *  2. from ASKED on nothing is pumped;
 *  3. what arrives on `conn` from ASKED on is held, in its order, until all of the old
 *     connection has arrived. */
#include "client/move.h"

#include "base/check.h"
#include "client/inside.h"
#include "wire/decode.h"
#include "wire/encode.h"

#define TAKE_TIME (5 * YO_SECOND) /* for the server to hand the session over */
#define HELD_MAX (4u << 20)       /* past it the move is given up */

struct held { /* arrived on the new connection */
    struct yo_link link;
    uint32_t lane;
    size_t size;
    uint8_t bytes[];
};

struct back { /* taken back from the old one */
    struct yo_link link;
    uint32_t lane;
    uint64_t number;
    struct yo_blob *message;
};

struct taken { /* how much of a room's stream the server had */
    struct yo_link link;
    uint64_t count;
    size_t size;
    uint8_t room[];
};

static void fail(struct yomo_client *client, const char *text, yo_time now);

void yo_move_init(struct yomo_client *client)
{
    struct yo_move *move = &client->move;
    yo_list_init(&move->held);
    yo_list_init(&move->back);
    yo_list_init(&move->taken);
    yo_buf_init(&move->token, &client->mem);
}

static void clear(struct yomo_client *client)
{
    struct yo_move *move = &client->move;
    YO_LIST_EACH(link, next, &move->held)
    {
        yo_list_remove(link);
        yo_free(&client->mem, YO_CONTAINER(link, struct held, link));
    }
    YO_LIST_EACH(link, next, &move->taken)
    {
        yo_list_remove(link);
        yo_free(&client->mem, YO_CONTAINER(link, struct taken, link));
    }
    move->held_bytes = 0;
    move->fence = YO_FENCE_NONE;
    move->ready = false;
}

static void drop_back(struct yomo_client *client, struct back *back)
{
    yo_list_remove(&back->link);
    yo_blob_unref(back->message);
    yo_free(&client->mem, back);
}

static void clear_back(struct yomo_client *client)
{
    YO_LIST_EACH(link, next, &client->move.back)
    {
        drop_back(client, YO_CONTAINER(link, struct back, link));
    }
}

void yo_move_finish(struct yomo_client *client)
{
    clear(client);
    clear_back(client);
    yo_buf_finish(&client->move.token);
}

bool yo_move_idle(const struct yomo_client *client)
{
    return client->move.step == YO_MOVE_NONE && client->move.old == 0;
}

bool yo_move_asked(const struct yomo_client *client)
{
    return client->move.step == YO_MOVE_ASKED;
}

/* --- Connections whose time is over ----------------------------------------------- */

static void old_message(void *user, struct yo_conn *conn, uint32_t lane,
                        struct yo_span message, yo_time now)
{
    (void)user, (void)conn, (void)lane, (void)message, (void)now;
}

static void old_event(void *user, struct yo_conn *conn, yo_time now)
{
    (void)user, (void)conn, (void)now;
}

static void old_fate(void *user, struct yo_conn *conn, uint64_t token,
                     enum yo_fate fate, yo_time now)
{
    (void)user, (void)conn, (void)token, (void)fate, (void)now;
}

static void old_closed(void *user, struct yo_conn *conn, const struct yo_close *why,
                       yo_time now)
{
    struct yomo_client *client = user;
    (void)conn, (void)why, (void)now;
    client->move.old--;
    yo_client_wake(client);
}

static const struct yo_conn_events old_events = {
    .on_open = old_event,
    .on_message = old_message,
    .on_writable = old_event,
    .on_fate = old_fate,
    .on_closed = old_closed,
};

static void let_go(struct yomo_client *client, struct yo_conn *conn)
{
    client->move.old++;
    yo_conn_listen(conn, &old_events, client);
}

/* --- The new connection ----------------------------------------------------------- */

static void on_open(void *user, struct yo_conn *conn, yo_time now)
{
    struct yomo_client *client = user;
    (void)conn, (void)now;
    if (client->move.step == YO_MOVE_DIALLING) {
        client->move.step = YO_MOVE_GREETING;
    }
}

static bool hold(struct yomo_client *client, uint32_t lane, struct yo_span message)
{
    struct yo_move *move = &client->move;
    struct held *held = NULL;
    if (move->held_bytes + message.size <= HELD_MAX) {
        held = yo_malloc(&client->mem, sizeof(*held) + message.size);
    }
    if (!held) {
        return false;
    }
    held->lane = lane;
    held->size = message.size;
    memcpy(held->bytes, message.data, message.size);
    yo_list_push_back(&move->held, &held->link);
    move->held_bytes += message.size;
    return true;
}

static void take_back(void *user, uint32_t lane, uint64_t number,
                      struct yo_blob *message)
{
    struct yomo_client *client = user;
    struct back *back = yo_malloc(&client->mem, sizeof(*back));
    if (!back) {
        client->move.failed = true;
        return;
    }
    back->lane = lane;
    back->number = number;
    back->message = yo_blob_ref(message);
    yo_list_push_back(&client->move.back, &back->link);
}

static int send(struct yomo_client *client, struct yo_conn *conn, struct yo_span token)
{
    const struct yo_message message = {.op = YO_OP_MOVE, .token = token};
    struct yo_blob *blob;
    int rv = yo_encode_blob(&blob, &client->mem, YO_DIALECT_YOMO, &message);
    if (rv == YOMO_OK) {
        rv = yo_conn_send(conn, YO_LANE_CONTROL, blob, 0);
        yo_blob_unref(blob);
    }
    return rv;
}

/* The last word on an old connection over TCP, when it takes it. */
static void send_fence(struct yomo_client *client, yo_time now)
{
    int rv = send(client, client->conn, YO_SPAN_NONE);
    if (rv == YOMO_OK) {
        client->move.fence = YO_FENCE_SENT;
        yo_conn_flush(client->conn, now);
    } else if (rv != YOMO_ERR_AGAIN) {
        fail(client, "the old connection takes nothing more", now);
    }
}

/* There is no way back from here. */
static void ask(struct yomo_client *client, yo_time now)
{
    struct yo_move *move = &client->move;
    int rv = send(client, move->conn, yo_buf_span(&client->token));
    if (rv != YOMO_OK) {
        yo_move_stop(client);
        return;
    }
    yo_conn_flush(move->conn, now);
    move->step = YO_MOVE_ASKED;
    move->give_up_at = yo_time_after(now, TAKE_TIME);
    move->failed = false;
    if (client->conn->ops->reclaim) {
        (void)yo_conn_reclaim(client->conn, take_back, client);
        let_go(client, client->conn);
        yo_conn_abort(client->conn);
        client->conn = NULL;
        move->came = client->control_came;
    } else {
        move->fence = YO_FENCE_DUE;
        send_fence(client, now);
    }
    if (move->failed) {
        fail(client, "out of memory", now);
    }
}

static void on_hello(struct yomo_client *client, const struct yo_message *hello,
                     yo_time now)
{
    if (hello->op != YO_OP_HELLO || hello->epoch != client->epoch) {
        YO_LOG(&client->log, YOMO_LOG_DEBUG, "client",
               "not the server that has the session: no move");
        yo_move_stop(client);
        return;
    }
    ask(client, now);
}

/* One for each room, then one for all. */
static void on_moved(struct yomo_client *client, const struct yo_message *moved,
                     yo_time now)
{
    struct yo_move *move = &client->move;
    if (moved->code != 0) {
        fail(client, "the server does not have the session any more", now);
        return;
    }
    if (!moved->channel.data) {
        move->ready = true;
        move->again = moved->number;
        move->control_taken = moved->sequence;
        yo_buf_clear(&move->token);
        move->failed = yo_buf_append_span(&move->token, moved->token) != YOMO_OK;
        yo_client_wake(client);
        return;
    }
    struct taken *taken = yo_malloc(&client->mem, sizeof(*taken) + moved->channel.size);
    if (!taken) {
        fail(client, "out of memory", now);
        return;
    }
    taken->count = moved->number;
    taken->size = moved->channel.size;
    memcpy(taken->room, moved->channel.data, taken->size);
    yo_list_push_back(&move->taken, &taken->link);
}

static void on_message(void *user, struct yo_conn *conn, uint32_t lane,
                       struct yo_span bytes, yo_time now)
{
    struct yomo_client *client = user;
    struct yo_move *move = &client->move;
    struct yo_message message;
    (void)conn;
    move->control_came += lane == YO_LANE_CONTROL;
    if (move->step == YO_MOVE_GREETING && lane == YO_LANE_CONTROL) {
        if (yo_decode(bytes, &message) == YOMO_OK) {
            on_hello(client, &message, now);
        } else {
            yo_move_stop(client);
        }
        return;
    }
    if (move->step != YO_MOVE_ASKED) {
        return;
    }
    if (lane == YO_LANE_CONTROL && !move->ready &&
        yo_decode(bytes, &message) == YOMO_OK && message.op == YO_OP_MOVED) {
        on_moved(client, &message, now);
    } else if (!hold(client, lane, bytes)) {
        fail(client, "too much to hold until the move is done", now);
    }
}

static void on_writable(void *user, struct yo_conn *conn, yo_time now)
{
    (void)user, (void)conn, (void)now;
}

static void on_fate(void *user, struct yo_conn *conn, uint64_t token, enum yo_fate fate,
                    yo_time now)
{
    (void)user, (void)conn, (void)token, (void)fate, (void)now;
}

static void on_closed(void *user, struct yo_conn *conn, const struct yo_close *why,
                      yo_time now)
{
    struct yomo_client *client = user;
    struct yo_move *move = &client->move;
    enum yo_move_step step = move->step;
    (void)conn;
    YO_LOG(&client->log, YOMO_LOG_DEBUG, "client", "no move to %s: %s%s%.*s",
           yomo_transport_name(move->kind), yomo_error_name(why->error),
           why->text.size ? ": " : "", (int)why->text.size,
           why->text.size ? (const char *)why->text.data : "");
    move->conn = NULL;
    if (step == YO_MOVE_ASKED) {
        fail(client, "the new connection ended", now);
        return;
    }
    move->step = YO_MOVE_NONE;
    yo_paths_failed(client, move->kind, now);
    yo_client_wake(client);
}

static const struct yo_conn_events move_events = {
    .on_open = on_open,
    .on_message = on_message,
    .on_writable = on_writable,
    .on_fate = on_fate,
    .on_closed = on_closed,
};

/* --- From outside ----------------------------------------------------------------- */

bool yo_move_possible(const struct yomo_client *client)
{
    return client->phase == YO_PHASE_OPEN && client->conn && !client->ending &&
           !client->resuming &&
           client->extension && client->token.size > 0 && !client->goaway &&
           !client->lingering && client->move.step == YO_MOVE_NONE;
}

void yo_move_begin(struct yomo_client *client, enum yomo_transport_kind kind,
                   yo_time now)
{
    struct yo_move *move = &client->move;
    assert(move->step == YO_MOVE_NONE && !move->conn);
    yo_token_apply(client);
    move->kind = kind;
    move->control_came = 0;
    move->give_up_at = yo_time_after(now, client->settings.connect_timeout_ms * YO_MS);
    if (client->dialer.dial(client->dialer.user, &move->conn, kind, &move_events,
                            client) != YOMO_OK) {
        move->conn = NULL;
        yo_paths_failed(client, kind, now);
        return;
    }
    move->step = YO_MOVE_DIALLING;
    YO_LOG(&client->log, YOMO_LOG_DEBUG, "client", "trying %s",
           yomo_transport_name(kind));
}

void yo_move_stop(struct yomo_client *client)
{
    struct yo_move *move = &client->move;
    clear(client);
    clear_back(client);
    move->step = YO_MOVE_NONE;
    if (move->conn) {
        struct yo_conn *conn = move->conn;
        move->conn = NULL;
        let_go(client, conn);
        yo_conn_abort(conn);
    }
}

/* The session is at neither end any more: as after a loss. */
static void fail(struct yomo_client *client, const char *text, yo_time now)
{
    struct yo_reason why;
    yo_reason_set(&why, YO_CLOSE_RETRY, YOMO_ERR_CLOSED, yo_span_of(text));
    YO_LOG(&client->log, YOMO_LOG_WARN, "client", "the move failed: %s", text);
    yo_move_stop(client);
    if (client->conn) {
        yo_link_drop(client, YOMO_ERR_CLOSED, text); /* which leads to the same */
    } else {
        yo_engine_lost(client, &why, now);
    }
}

void yo_move_fence_came(struct yomo_client *client)
{
    if (client->move.fence == YO_FENCE_SENT) {
        client->move.fence = YO_FENCE_CAME;
        yo_client_wake(client);
    }
}

/* --- The end of it ---------------------------------------------------------------- */

static const struct taken *taken_of(const struct yomo_client *client, uint32_t lane)
{
    YO_LIST_EACH(link, next, &client->room_list)
    {
        const struct yomo_room *room = YO_CONTAINER(link, struct yomo_room, room_link);
        if (room->lane != lane) {
            continue;
        }
        YO_LIST_EACH(other, following, &client->move.taken)
        {
            const struct taken *taken = YO_CONTAINER(other, struct taken, link);
            if (yo_span_equal(yo_span(taken->room, taken->size), room->name)) {
                return taken;
            }
        }
    }
    return NULL;
}

/* Keep of what was taken back what the server does not have. False: something is
 * missing that neither side has any more. */
static bool sort_back(struct yomo_client *client)
{
    struct yo_move *move = &client->move;
    uint32_t lane = YO_LANE_DATAGRAM;
    YO_LIST_EACH(link, next, &move->back)
    {
        struct back *back = YO_CONTAINER(link, struct back, link);
        uint64_t has = move->control_taken;
        if (back->lane != YO_LANE_CONTROL) {
            const struct taken *taken = taken_of(client, back->lane);
            if (!taken) { /* a room that was left, or lost */
                drop_back(client, back);
                continue;
            }
            has = taken->count;
        }
        if (back->lane != lane && back->number > has + 1) {
            return false;
        }
        lane = back->lane;
        if (back->number <= has) {
            drop_back(client, back);
        }
    }
    return true;
}

/* The new connection is the one that stands. */
static void stand(struct yomo_client *client, yo_time now)
{
    struct yo_move *move = &client->move;
    if (client->conn) { /* all of it has arrived */
        const struct yo_close how = {.kind = YO_CLOSE_DONE, .code = YO_CODE_NORMAL};
        let_go(client, client->conn);
        yo_conn_close(client->conn, &how);
        client->conn = NULL;
    }
    struct yo_conn *conn = move->conn;
    uint64_t skip = 0;
    bool whole = sort_back(client);
    if (move->again > 0 && move->fence == YO_FENCE_NONE) {
        whole = whole && move->again <= move->came + 1;
        skip = move->came + 1 - move->again;
    }
    move->conn = NULL;
    move->step = YO_MOVE_NONE;
    yo_link_adopt(client, conn, move->kind, skip, now);
    client->control_came = move->control_came;
    yo_buf_swap(&client->token, &move->token);
    if (!whole || move->failed) {
        yo_link_drop(client, whole ? YOMO_ERR_NOMEM : YOMO_ERR_CLOSED,
                     whole ? "" : "messages were lost in a move");
        clear(client);
        clear_back(client);
        return;
    }
    yo_paths_moved(client, now);
    yo_engine_open(client, false, now);
    YO_LIST_EACH(link, next, &move->held)
    {
        struct held *held = YO_CONTAINER(link, struct held, link);
        yo_list_remove(link);
        yo_link_message(client, held->lane, yo_span(held->bytes, held->size), now);
        yo_free(&client->mem, held);
    }
    clear(client);
}

bool yo_move_resend(struct yomo_client *client)
{
    YO_LIST_EACH(link, next, &client->move.back)
    {
        struct back *back = YO_CONTAINER(link, struct back, link);
        int rv = yo_conn_send(client->conn, back->lane, back->message, 0);
        if (rv == YOMO_ERR_AGAIN || rv == YOMO_ERR_CLOSED) {
            client->blocked = true;
            return false;
        }
        if (rv != YOMO_OK) {
            yo_link_drop(client, rv, "a message of before the move");
            return false;
        }
        drop_back(client, back);
    }
    return true;
}

void yo_move_turn(struct yomo_client *client, yo_time now)
{
    struct yo_move *move = &client->move;
    if (move->step == YO_MOVE_NONE) {
        return;
    }
    if (move->give_up_at <= now) {
        if (move->step == YO_MOVE_ASKED) {
            fail(client, "the server did not hand the session over", now);
        } else {
            yo_move_stop(client);
            yo_paths_failed(client, move->kind, now);
        }
        return;
    }
    if (move->fence == YO_FENCE_DUE && client->conn) {
        send_fence(client, now);
    }
    if (move->step == YO_MOVE_ASKED && move->ready &&
        (move->fence == YO_FENCE_NONE || move->fence == YO_FENCE_CAME)) {
        stand(client, now);
    }
}

yo_time yo_move_deadline(const struct yomo_client *client)
{
    return client->move.step == YO_MOVE_NONE ? YO_NEVER : client->move.give_up_at;
}
