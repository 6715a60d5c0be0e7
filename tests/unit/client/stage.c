/* SPDX-License-Identifier: MIT */
#include "stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "wire/decode.h"
#include "wire/encode.h"

#define ROUNDS_MAX 1000 /* of letters and turns, until the client must be quiet */

/* The program: it writes down what it is told. */

__attribute__((format(printf, 2, 3))) static void tell(struct stage *stage,
                                                       const char *format, ...)
{
    size_t size = strlen(stage->story);
    va_list arguments;
    va_start(arguments, format);
    int length =
        vsnprintf(stage->story + size, sizeof(stage->story) - size, format, arguments);
    va_end(arguments);
    assert_true(length >= 0 && (size_t)length + size < sizeof(stage->story));
    if (stage->on_story) {
        stage->on_story(stage, stage->story + size);
    }
}

static void on_status(void *user, yomo_client *client, const yomo_status *status)
{
    static const char *const names[] = {"idle", "connecting", "open", "waiting",
                                        "closed"};
    (void)client;
    int32_t error = yomo_status_error(status);
    const char *how = "";
    if (yomo_status_state(status) == YOMO_CLIENT_OPEN) {
        how = yomo_status_resumed(status)     ? " resumed"
              : yomo_status_extension(status) ? " extension"
                                              : " presencejs";
    }
    tell(user, "%s%s%s%s%s%s%s\n", names[yomo_status_state(status)], how[0] ? " " : "",
         how[0] ? yomo_transport_name(yomo_status_transport(status)) : "", how,
         error ? " " : "", error ? yomo_error_name(error) : "",
         yomo_status_text(status));
}

static void on_joined(void *user, yomo_room *room)
{
    tell(user, "joined %s\n", yomo_room_name(room));
}

static void on_message(void *user, yomo_room *room, const yomo_message *message)
{
    size_t size;
    const char *json = yomo_message_json(message, &size);
    assert_int_equal(strlen(json), size);
    tell(user, "%s %s %s %s %s\n", yomo_message_past(message) ? "past" : "message",
         yomo_room_name(room), yomo_message_from(message), yomo_message_event(message),
         json);
}

static void on_history(void *user, yomo_room *room, yomo_history *history)
{
    char line[512] = "";
    size_t used = 0;
    for (size_t i = 0; i < yomo_history_count(history); i++) {
        const yomo_message *message = yomo_history_at(history, i);
        if (!message) {
            used += (size_t)snprintf(line + used, sizeof(line) - used, " no memory");
            continue;
        }
        assert_int_equal(yomo_message_past(message), 1);
        used += (size_t)snprintf(line + used, sizeof(line) - used, " %s/%u@%u=%s",
                                 yomo_message_from(message),
                                 (unsigned)yomo_message_sequence(message),
                                 (unsigned)yomo_message_at_ms(message),
                                 yomo_message_json(message, NULL));
        assert_true(used < sizeof(line));
    }
    assert_null(yomo_history_at(history, yomo_history_count(history)));
    tell(user, "history %s %u %s before=%u%s\n", yomo_room_name(room),
         (unsigned)yomo_history_id(history),
         yomo_error_name(yomo_history_error(history)),
         (unsigned)yomo_history_before(history), line);
}

static void on_gap(void *user, yomo_room *room, const yomo_gap *gap)
{
    tell(user, "gap %s %u-%u\n", yomo_room_name(room), (unsigned)yomo_gap_first(gap),
         (unsigned)yomo_gap_last(gap));
}

static void on_peer(void *user, yomo_room *room, const yomo_peer *peer, int32_t change)
{
    static const char *const names[] = {"present", "came",  "state",
                                        "went",    "stale", "back"};
    tell(user, "%s %s %s %s\n", names[change], yomo_room_name(room), yomo_peer_id(peer),
         yomo_peer_state(peer, NULL));
}

static void on_sent(void *user, yomo_room *room, uint64_t id, int32_t error)
{
    (void)room;
    tell(user, "sent %u %s\n", (unsigned)id, yomo_error_name(error));
}

static void on_left(void *user, yomo_room *room, int32_t error, const char *text)
{
    tell(user, "left %s %s%s%s\n", yomo_room_name(room), yomo_error_name(error),
         *text ? " " : "", text);
}

static void on_closed(void *user, yomo_client *client)
{
    struct stage *stage = user;
    assert_ptr_equal(client, stage->client);
    assert_false(stage->closed);
    stage->closed = true;
    tell(stage, "over\n");
}

static void on_token(void *user, yomo_client *client, uint64_t left_ms, int32_t error)
{
    (void)client;
    tell(user, "token %llu %s\n", (unsigned long long)left_ms, yomo_error_name(error));
}

static const yomo_client_callbacks callbacks = {
    .size = sizeof(callbacks),
    .on_status = on_status,
    .on_joined = on_joined,
    .on_message = on_message,
    .on_peer = on_peer,
    .on_sent = on_sent,
    .on_left = on_left,
    .on_closed = on_closed,
    .on_token = on_token,
    .on_history = on_history,
    .on_gap = on_gap,
};

static int set_all(yomo_options *options, const char *const *pairs)
{
    int rv = yomo_options_set(options, "url", "https://stage");
    if (rv == YOMO_OK) {
        rv = yomo_options_set(options, "id", "me");
    }
    for (size_t i = 0; rv == YOMO_OK && pairs && pairs[i]; i += 2) {
        rv = yomo_options_set(options, pairs[i], pairs[i + 1]);
    }
    return rv;
}

int stage_create(struct stage *stage, const struct yomo_mem *mem,
                 const char *const *pairs)
{
    yomo_options *options;
    memset(stage, 0, sizeof(*stage));
    stage->now = 1000 * YO_SECOND;
    fake_init(&stage->fake, &yo_mem_libc);
    int rv = yomo_options_create(&options, YOMO_SCOPE_CLIENT);
    if (rv != YOMO_OK) {
        return rv;
    }
    rv = yomo_options_set_mem(options, mem);
    if (rv == YOMO_OK) {
        rv = set_all(options, pairs);
    }
    if (rv == YOMO_OK) {
        rv = yomo_client_create(&stage->client, options, &callbacks, stage);
    }
    yomo_options_free(options);
    if (rv != YOMO_OK) {
        return rv;
    }
    /* As a start would, but without a loop. */
    stage->client->runner.mode = YO_RUN_HOST;
    yo_client_ref(stage->client);
    stage->client->race.dialer = stage->client->dialer = stage->fake.dialer;
    yo_rand_seed(&stage->client->backoff.rand, 1);
    return YOMO_OK;
}

void stage_begin(struct stage *stage, const char *const *options)
{
    assert_int_equal(stage_create(stage, &yo_mem_libc, options), YOMO_OK);
}

static struct yo_letter *next_letter(yomo_client *client)
{
    yo_client_lock(client);
    struct yo_link *link = yo_list_pop_front(&client->runner.early);
    yo_client_unlock(client);
    return link ? YO_CONTAINER(link, struct yo_letter, link) : NULL;
}

static void finish(struct stage *stage)
{
    yomo_client *client = stage->client;
    struct yo_letter *letter;
    while ((letter = next_letter(client)) != NULL) {
        letter->discard(letter);
    }
    on_closed(stage, client);
    yo_client_unref(client);
}

void stage_run(struct stage *stage)
{
    yomo_client *client = stage->client;
    struct yo_letter *letter;
    for (int round = 0; round < ROUNDS_MAX && !stage->closed; round++) {
        while ((letter = next_letter(client)) != NULL) {
            letter->open(letter, client, stage->now);
        }
        yo_engine_turn(client, stage->now);
        fake_settle(&stage->fake, stage->now);
        if (client->phase == YO_PHASE_OVER) {
            finish(stage);
        } else if (yo_list_empty(&client->runner.early) &&
                   yo_engine_deadline(client) > stage->now) {
            return;
        }
    }
    assert_true(stage->closed);
}

void stage_pass(struct stage *stage, yo_time span)
{
    yo_time until = stage->now + span;
    stage_run(stage);
    while (!stage->closed && yo_engine_deadline(stage->client) <= until) {
        stage->now = yo_engine_deadline(stage->client);
        stage_run(stage);
    }
    stage->now = until;
}

void stage_story(struct stage *stage, const char *expected)
{
    assert_string_equal(stage->story, expected);
    stage->story[0] = '\0';
}

void stage_end(struct stage *stage)
{
    if (!stage->closed) {
        yomo_client_close(stage->client);
        stage_pass(stage, 10 * YO_SECOND);
        assert_true(stage->closed);
    }
    yomo_client_free(stage->client);
    fake_finish(&stage->fake);
}

/* The server. */

void stage_say(struct stage *stage, struct fake_conn *conn, uint32_t lane,
               const struct yo_message *message)
{
    struct yo_buf bytes;
    yo_buf_init(&bytes, &yo_mem_libc);
    assert_int_equal(yo_encode(&bytes, YO_DIALECT_YOMO, message), YOMO_OK);
    fake_message(conn, lane, yo_buf_span(&bytes), stage->now);
    yo_buf_finish(&bytes);
    stage_run(stage);
}

struct fake_conn *stage_accept(struct stage *stage, enum yomo_transport_kind kind,
                               uint64_t session)
{
    struct fake_conn *conn = fake_last(&stage->fake, kind);
    char token[16];
    snprintf(token, sizeof(token), "t%u", (unsigned)session);
    const struct yo_message hello = {
        .op = YO_OP_HELLO,
        .protocol = YO_PROTOCOL_VERSION,
        .session = session,
        .peer = stage->hello_id ? yo_span_of(stage->hello_id) : YO_SPAN_NONE,
        .timestamp = stage->hello_ms,
        .epoch = stage->run ? stage->run : 1,
        .token = stage->grace_ms ? yo_span_of(token) : YO_SPAN_NONE,
        .limits = {.message_size = 65536, .rooms = 100, .silence_ms = 15000,
                   .grace_ms = stage->grace_ms},
    };
    fake_open(conn, stage->now);
    stage_run(stage);
    stage_say(stage, conn, YO_LANE_CONTROL, &hello);
    return conn;
}

struct fake_conn *stage_connect(struct stage *stage, enum yomo_transport_kind kind,
                                uint64_t session)
{
    assert_int_equal(yomo_client_connect(stage->client), YOMO_OK);
    stage_run(stage);
    if (kind == YOMO_TRANSPORT_WEBSOCKET) {
        stage_pass(stage, 250 * YO_MS);
    }
    return stage_accept(stage, kind, session);
}

static struct yo_span state_of(struct yo_buf *out, const struct stage_member *member)
{
    yo_buf_clear(out);
    assert_int_equal(
        yo_state_from_json(out, yo_span_of(member->id), yo_span_of(member->state)),
        YOMO_OK);
    return yo_buf_span(out);
}

void stage_admit(struct stage *stage, struct fake_conn *conn, const char *room,
                 const struct stage_member *members, size_t count)
{
    struct yo_message join = stage_take(stage, conn, YO_OP_CHANNEL_JOIN, NULL);
    assert_true(yo_span_is(join.channel, room));
    const struct yo_message ack = {
        .op = YO_OP_CHANNEL_JOIN,
        .channel = yo_span_of(room),
        .peer = yo_span("", 0),
        .sequence = stage->place,
        .epoch = stage->epoch};
    stage_say(stage, conn, YO_LANE_CONTROL, &ack);
    struct yo_buf page, state;
    yo_buf_init(&page, &yo_mem_libc);
    yo_buf_init(&state, &yo_mem_libc);
    yo_mp_put_array(&page, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        const struct yo_wire_member member = {.session = members[i].session,
                                              .peer = yo_span_of(members[i].id),
                                              .state = state_of(&state, &members[i]),
                                              .version = 1,
                                              .since_ms = 1000 + i};
        assert_int_equal(yo_member_write(&page, &member), YOMO_OK);
    }
    const struct yo_message snapshot = {.op = YO_OP_SNAPSHOT,
                                        .channel = yo_span_of(room),
                                        .sequence = stage->place,
                                        .members = yo_buf_span(&page)};
    stage_say(stage, conn, YO_LANE_CONTROL, &snapshot);
    yo_buf_finish(&page);
    yo_buf_finish(&state);
}

void stage_data(struct stage *stage, struct fake_conn *conn, const char *room,
                const struct stage_member *member, const char *event, const char *json)
{
    struct yo_buf payload;
    yo_buf_init(&payload, &yo_mem_libc);
    assert_int_equal(
        yo_content_write(&payload, yo_span_of(event), YOMO_JSON, yo_span_of(json)),
        YOMO_OK);
    const struct yo_message data = {.op = YO_OP_DATA,
                                    .channel = yo_span_of(room),
                                    .peer = yo_span_of(member->id),
                                    .session = member->session,
                                    .payload = yo_buf_span(&payload)};
    stage_say(stage, conn, YO_LANE_ROOMS, &data);
    yo_buf_finish(&payload);
}

static size_t *taken_of(struct stage *stage, const struct fake_conn *conn)
{
    for (size_t i = 0; i < stage->fake.count; i++) {
        if (stage->fake.conns[i] == conn) {
            return &stage->taken[i];
        }
    }
    fail();
    return NULL;
}

static bool find(struct stage *stage, struct fake_conn *conn, enum yo_op op,
                 size_t *index, struct yo_message *message)
{
    for (size_t i = *taken_of(stage, conn); i < conn->sent_count; i++) {
        assert_int_equal(yo_decode(yo_blob_span(conn->sent[i].message), message),
                         YOMO_OK);
        if (message->op == op) {
            *index = i;
            return true;
        }
    }
    return false;
}

struct yo_message stage_take(struct stage *stage, struct fake_conn *conn, enum yo_op op,
                             uint32_t *lane)
{
    struct yo_message message;
    size_t index;
    if (!find(stage, conn, op, &index, &message)) {
        fail_msg("the client did not send %s", yo_op_name(op));
    }
    *taken_of(stage, conn) = index + 1;
    if (lane) {
        *lane = conn->sent[index].lane;
    }
    return message;
}

bool stage_none(struct stage *stage, struct fake_conn *conn, enum yo_op op)
{
    struct yo_message message;
    size_t index;
    return !find(stage, conn, op, &index, &message);
}
