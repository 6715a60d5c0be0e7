/* SPDX-License-Identifier: MIT */
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "rig_listener.h"
#include "server/tokens.h"
#include "wire/decode.h"
#include "wire/json.h"
#include "wire/msgpack.h"

static const uint8_t secret[YO_SECRET_SIZE];

static void on_log(void *user, int32_t level, const char *module, const char *text)
{
    struct rig *rig = user;
    size_t used = strlen(rig->log);

    (void)level;
    (void)module;
    snprintf(rig->log + used, sizeof(rig->log) - used, "%s\n", text);
}

static void make_workers(struct rig *rig)
{
    yomo_server *server = rig->server;
    const struct yomo_mem *mem = server->config.mem;
    struct yo_worker_options options = {.server = server,
                                        .config = &server->config,
                                        .count = rig->workers,
                                        .epoch = 7,
                                        .seed = server->seed,
                                        .secret = secret};

    server->workers = yo_calloc(mem, rig->workers, sizeof(struct yo_worker *));
    server->threads = yo_calloc(mem, rig->workers, sizeof(*server->threads));
    server->desks = yo_calloc(mem, rig->workers, sizeof(*server->desks));
    server->metrics = yo_calloc(mem, rig->workers, sizeof(*server->metrics));
    assert_true(server->workers && server->threads && server->desks && server->metrics);
    server->worker_count = rig->workers;
    options.desks = server->desks;
    for (uint32_t i = 0; i < rig->workers; i++) {
        options.index = i;
        options.metrics = &server->metrics[i];
        assert_int_equal(yo_worker_create(&server->workers[i], &options), YOMO_OK);
    }
}

void rig_open_with(struct rig *rig, const struct yomo_mem *mem, uint32_t workers,
                   const yomo_server_callbacks *hooks, void *user,
                   const char *const *settings)
{
    yomo_options *options;
    struct yo_buf why;
    char count[16];

    memset(rig, 0, sizeof(*rig));
    yo_list_init(&rig->clients);
    rig->workers = workers;
    rig->mem = yo_mem_libc;
    assert_int_equal(yomo_options_create(&options, YOMO_SCOPE_SERVER), YOMO_OK);
    yomo_options_set_log(options, on_log, rig, YOMO_LOG_INFO);
    if (mem) {
        yomo_options_set_mem(options, mem);
    }
    snprintf(count, sizeof(count), "%u", workers);
    assert_int_equal(yomo_options_set(options, "workers", count), YOMO_OK);
    /* A turn is not the time for it; test_changes.c is about batches. */
    yomo_options_set(options, "presence-interval", "0");
    for (size_t i = 0; settings && settings[i]; i += 2) {
        if (yomo_options_set(options, settings[i], settings[i + 1]) != YOMO_OK) {
            fail_msg("%s", yomo_options_error(options));
        }
    }
    assert_int_equal(yomo_server_create(&rig->server, options, hooks, user), YOMO_OK);
    yomo_options_free(options);
    yo_buf_init(&why, &yo_mem_libc);
    if (yo_config_read(&rig->server->config, &why) != YOMO_OK) {
        fail_msg("%.*s", (int)why.size, (const char *)why.data);
    }
    if (yo_server_read_tokens(rig->server, &why) != YOMO_OK) {
        fail_msg("%.*s", (int)why.size, (const char *)why.data);
    }
    assert_int_equal(yo_server_read_apps(rig->server, &why), YOMO_OK);
    yo_buf_finish(&why);
    make_workers(rig);
}

void rig_open(struct rig *rig, uint32_t workers, const yomo_server_callbacks *hooks,
              ...)
{
    const char *settings[32] = {NULL};
    va_list args;

    va_start(args, hooks);
    for (size_t i = 0; i < 31; i++) {
        settings[i] = va_arg(args, const char *);
        if (!settings[i]) {
            break;
        }
    }
    va_end(args);
    rig_open_with(rig, NULL, workers, hooks, rig, settings);
}

struct yo_worker *rig_worker(struct rig *rig, uint32_t index)
{
    return rig->server->workers[index];
}

uint64_t rig_sum(struct rig *rig, size_t offset)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < rig->workers; i++) {
        const char *metrics = (const char *)&rig->server->metrics[i];
        sum += yo_metric_get((const yo_metric *)(const void *)(metrics + offset));
    }
    return sum;
}

/* --- turning --------------------------------------------------------------------- */

static bool tell_closed(struct rig *rig)
{
    bool any = false;

    YO_LIST_EACH(link, next, &rig->clients)
    {
        struct client *client = YO_CONTAINER(link, struct client, link);
        if (client->closing && !client->closed) {
            client->closed = any = true;
            client->conn.events->on_closed(
                client->conn.user, &client->conn, &client->why,
                yo_loop_now(rig_worker(rig, client->worker)->loop));
        }
    }
    return any;
}

void rig_settle(struct rig *rig)
{
    bool again = true;

    /* Letters that cross between workers and back need a few turns of each. */
    for (int quiet = 0; quiet < 4; quiet = again ? 0 : quiet + 1) {
        again = tell_closed(rig);
        for (uint32_t i = 0; i < rig->workers; i++) {
            struct yo_worker *worker = rig_worker(rig, i);
            uint64_t turns = yo_metric_get(&worker->metrics->turns);
            if (worker->loop && !yo_loop_turn(worker->loop)) {
                worker->loop = NULL;
            }
            again |= yo_metric_get(&worker->metrics->turns) != turns;
        }
    }
}

static void client_free(struct client *client)
{
    client_forget(client);
    yo_list_remove(&client->link);
    rig_listener_forget(client->incoming);
    yo_free(&client->rig->mem, client);
}

void rig_close(struct rig *rig)
{
    for (uint32_t i = 0; i < rig->workers; i++) {
        struct yo_worker *worker = rig_worker(rig, i);
        yo_worker_close(worker, yo_loop_now(worker->loop));
    }
    for (int i = 0; i < 100; i++) {
        rig_settle(rig);
    }
    rig_free(rig);
}

void rig_free(struct rig *rig)
{
    for (uint32_t i = 0; i < rig->workers; i++) {
        assert_null(rig_worker(rig, i)->loop);
    }
    YO_LIST_EACH(link, next, &rig->clients)
    {
        client_free(YO_CONTAINER(link, struct client, link));
    }
    yomo_server_free(rig->server);
}

/* --- a client's connection ------------------------------------------------------- */

static int conn_send(struct yo_conn *conn, uint32_t lane, struct yo_blob *blob,
                     uint64_t token)
{
    struct client *client = (struct client *)conn;
    struct heard *heard;

    if (client->closing) {
        return YOMO_ERR_CLOSED;
    }
    if (lane == YO_LANE_DATAGRAM && blob->size > client->datagram_max) {
        return YOMO_ERR_TOO_BIG;
    }
    if (blob->size > client->room) {
        client->was_full = true;
        return YOMO_ERR_AGAIN;
    }
    client->room -= client->room == SIZE_MAX ? 0 : blob->size;
    heard = yo_calloc(&client->rig->mem, 1, sizeof(*heard));
    assert_non_null(heard);
    heard->lane = lane;
    heard->token = token;
    heard->blob = yo_blob_ref(blob);
    (void)yo_decode(yo_blob_span(blob), &heard->message); /* an echo may be anything */
    yo_list_push_back(&client->heard, &heard->link);
    client->bytes += blob->size;
    return YOMO_OK;
}

static void conn_flush(struct yo_conn *conn, yo_time now)
{
    (void)conn;
    (void)now;
}

static void conn_end_lane(struct yo_conn *conn, uint32_t lane)
{
    (void)lane;
    ((struct client *)conn)->lanes_ended++;
}

static size_t conn_queued(const struct yo_conn *conn)
{
    (void)conn;
    return 0;
}

static void conn_info(const struct yo_conn *conn, struct yo_conn_info *info)
{
    const struct client *client = (const struct client *)conn;

    memset(info, 0, sizeof(*info));
    info->transport = client->transport;
    info->secure = true;
    info->datagrams = client->datagram_max > 0;
    info->datagram_size_max = client->datagram_max;
    strcpy(info->address, "192.0.2.1:50000");
}

static void conn_close(struct yo_conn *conn, const struct yo_close *how)
{
    struct client *client = (struct client *)conn;

    if (client->closing) {
        return;
    }
    client->closing = true;
    client->why = *how;
    snprintf(client->text, sizeof(client->text), "%.*s", (int)how->text.size,
             how->text.size > 0 ? (const char *)how->text.data : "");
    client->why.text = yo_span_of(client->text);
}

static void conn_abort(struct yo_conn *conn)
{
    struct yo_close how = {.kind = YO_CLOSE_RETRY, .error = YOMO_ERR_CLOSED};

    conn_close(conn, &how);
}

static const struct yo_conn_ops ops = {
    .send = conn_send,
    .flush = conn_flush,
    .end_lane = conn_end_lane,
    .queued = conn_queued,
    .info = conn_info,
    .close = conn_close,
    .abort = conn_abort,
};

/* What the test has not looked at was not acknowledged: of the rooms' lanes, since the
 * numbers of control's are counted. */
static void conn_reclaim(struct yo_conn *conn, yo_reclaimed_fn fn, void *user)
{
    uint64_t number = 1;

    YO_LIST_EACH(link, next, &((struct client *)conn)->heard)
    {
        struct heard *heard = YO_CONTAINER(link, struct heard, link);
        if (heard->lane >= YO_LANE_ROOMS) {
            fn(user, heard->lane, number++, heard->blob);
        }
    }
}

static const struct yo_conn_ops reclaiming_ops = {
    .send = conn_send,
    .flush = conn_flush,
    .end_lane = conn_end_lane,
    .queued = conn_queued,
    .info = conn_info,
    .close = conn_close,
    .abort = conn_abort,
    .reclaim = conn_reclaim,
};

void client_reclaims(struct client *client)
{
    client->conn.ops = &reclaiming_ops;
}

struct client *rig_knock(struct rig *rig, uint32_t worker,
                         enum yomo_transport_kind kind, const char *path,
                         const char *query, const char *origin)
{
    struct client *client = yo_calloc(&rig->mem, 1, sizeof(*client));
    struct yo_request request = {
        .transport = kind,
        .secure = true,
        .authority = yo_span_of("localhost:8443"),
        .path = yo_span_of(path),
        .query = yo_span_of(query),
        .origin = yo_span_of(origin),
        .address = yo_span_of("192.0.2.1:50000"),
    };

    assert_non_null(client);
    client->conn.ops = &ops;
    client->rig = rig;
    client->worker = worker;
    client->transport = kind;
    client->datagram_max = kind == YOMO_TRANSPORT_WEBTRANSPORT ? 1200 : 0;
    client->room = SIZE_MAX;
    client->extension = yo_span_is(yo_query_get(request.query, "yomo"), "1");
    yo_list_init(&client->heard);
    yo_list_push_back(&rig->clients, &client->link);
    client->incoming =
        rig_listener_knock(rig_worker(rig, worker)->listener, client, &request);
    rig_settle(rig);
    return client;
}

struct client *rig_connect(struct rig *rig, uint32_t worker,
                           enum yomo_transport_kind kind, const char *query)
{
    struct client *client = rig_knock(rig, worker, kind, "/v1", query, NULL);

    assert_int_equal(client->status, 200);
    assert_false(client->closing);
    return client;
}

/* --- what a client says ---------------------------------------------------------- */

void client_say(struct client *client, uint32_t lane, struct yo_span bytes)
{
    struct yo_worker *worker = rig_worker(client->rig, client->worker);

    assert_false(client->closed);
    client->conn.events->on_message(client->conn.user, &client->conn, lane, bytes,
                                    yo_loop_now(worker->loop));
}

void client_send(struct client *client, const struct yo_message *message)
{
    bool datagram = !client->extension && client->datagram_max > 0;
    bool room = client->extension && message->op == YO_OP_DATA;
    struct yo_buf out;

    yo_buf_init(&out, &client->rig->mem);
    assert_int_equal(
        yo_encode(&out, client->extension ? YO_DIALECT_YOMO : YO_DIALECT_PRESENCEJS,
                  message),
        YOMO_OK);
    client_say(client,
               datagram ? YO_LANE_DATAGRAM
               : room   ? YO_LANE_ROOMS
                        : YO_LANE_CONTROL,
               yo_buf_span(&out));
    yo_buf_finish(&out);
    rig_settle(client->rig);
}

static void send_state(struct client *client, enum yo_op op, const char *room,
                       const char *state_json)
{
    struct yo_message message = {.op = op, .channel = yo_span_of(room)};
    struct yo_buf state;

    yo_buf_init(&state, &client->rig->mem);
    if (state_json) {
        assert_int_equal(yo_json_to_mp(&state, yo_span_of(state_json)), YOMO_OK);
        message.payload = yo_buf_span(&state);
    }
    client_send(client, &message);
    yo_buf_finish(&state);
}

void client_join(struct client *client, const char *room, const char *state_json)
{
    send_state(client, YO_OP_CHANNEL_JOIN, room, state_json);
}

void client_state(struct client *client, const char *room, const char *state_json)
{
    send_state(client, YO_OP_PEER_STATE, room, state_json);
}

void client_leave(struct client *client, const char *room)
{
    send_state(client, YO_OP_PEER_OFFLINE, room, NULL);
}

void client_data(struct client *client, const char *room, const char *event,
                 const char *json, enum yomo_delivery delivery)
{
    static uint64_t version;
    struct yo_message message = {.op = YO_OP_DATA, .channel = yo_span_of(room)};
    struct yo_buf payload;

    if (client->extension) {
        message.delivery = delivery;
        message.version = delivery == YOMO_LATEST ? ++version : 0;
    }
    yo_buf_init(&payload, &client->rig->mem);
    assert_int_equal(
        yo_content_write(&payload, yo_span_of(event), YOMO_JSON, yo_span_of(json)),
        YOMO_OK);
    message.payload = yo_buf_span(&payload);
    client_send(client, &message);
    yo_buf_finish(&payload);
}

void client_close(struct client *client)
{
    client->closing = true;
    client->why =
        (struct yo_close){.kind = YO_CLOSE_RETRY, .remote = true, .farewell = true};
    rig_settle(client->rig);
}

void client_break(struct client *client)
{
    client->closing = true;
    client->why = (struct yo_close){
        .kind = YO_CLOSE_RETRY, .error = YOMO_ERR_CLOSED, .remote = true};
    rig_settle(client->rig);
}

void client_unblock(struct client *client, size_t room)
{
    client->room = room;
    if (client->was_full && !client->closed) {
        client->was_full = false;
        client->conn.events->on_writable(
            client->conn.user, &client->conn,
            yo_loop_now(rig_worker(client->rig, client->worker)->loop));
    }
    rig_settle(client->rig);
}

/* --- what it heard --------------------------------------------------------------- */

struct heard *client_next(struct client *client)
{
    static struct heard *last;
    struct yo_link *link = yo_list_pop_front(&client->heard);

    if (last) {
        yo_blob_unref(last->blob);
        yo_free(&yo_mem_libc, last);
    }
    last = link ? YO_CONTAINER(link, struct heard, link) : NULL;
    return last;
}

void client_forget(struct client *client)
{
    while (client_next(client)) {
    }
}

struct heard *expect_op(struct client *client, enum yo_op op)
{
    struct heard *heard = client_next(client);

    if (!heard) {
        fail_msg("%s was expected, nothing came", yo_op_name(op));
    }
    if (heard->message.op != op) {
        fail_msg("%s was expected, %s came", yo_op_name(op),
                 yo_op_name(heard->message.op));
    }
    return heard;
}

struct heard *expect_from(struct client *client, enum yo_op op, const char *peer)
{
    struct heard *heard = expect_op(client, op);

    if (!yo_span_is(heard->message.peer, peer)) {
        fail_msg("%s of \"%s\" was expected, of \"%.*s\" came", yo_op_name(op), peer,
                 (int)heard->message.peer.size, (const char *)heard->message.peer.data);
    }
    return heard;
}

void expect_nothing(struct client *client)
{
    struct heard *heard = client_next(client);

    if (heard) {
        fail_msg("nothing was expected, %s came", yo_op_name(heard->message.op));
    }
}
