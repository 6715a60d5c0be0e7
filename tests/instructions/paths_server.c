/* SPDX-License-Identifier: MIT */
/* What the backend does with messages and joins, between the transports: the rig of the
 * server's unit tests, one worker, connections that take everything and look at
 * nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "path.h"
#include "server/rig.h"
#include "wire/decode.h"

#define WS YOMO_TRANSPORT_WEBSOCKET
#define WT YOMO_TRANSPORT_WEBTRANSPORT
#define MEMBERS 50
#define MESSAGES 20

static size_t sent;

static int take(struct yo_conn *conn, uint32_t lane, struct yo_blob *blob,
                uint64_t token)
{
    (void)conn, (void)lane, (void)blob, (void)token;
    sent++;
    return YOMO_OK;
}

static struct yo_conn_ops taking;

static void keep_nothing(struct client *client)
{
    client_forget(client);
    taking = *client->conn.ops;
    taking.send = take;
    client->conn.ops = &taking;
}

/* In room "room", whose `count` members they become. */
static void fill(struct rig *rig, struct client **members, size_t count,
                 enum yomo_transport_kind kind, bool extension)
{
    char query[64], state[64];

    for (size_t i = 0; i < count; i++) {
        snprintf(query, sizeof(query), "%sid=member-%zu", extension ? "yomo=1&" : "",
                 i);
        snprintf(state, sizeof(state), "{\"id\":\"member-%zu\",\"x\":%zu}", i, i);
        members[i] = rig_connect(rig, 0, kind, query);
        client_join(members[i], "room", state);
    }
    for (size_t i = 0; i < count; i++) {
        keep_nothing(members[i]);
    }
}

static void encode(struct yo_buf *out, const struct client *client,
                   const struct yo_message *message)
{
    yo_buf_init(out, &yo_mem_libc);
    assert_int_equal(
        yo_encode(out, client->extension ? YO_DIALECT_YOMO : YO_DIALECT_PRESENCEJS,
                  message),
        YOMO_OK);
}

/* A broadcast of 100 bytes of data. */
static void encode_data(struct yo_buf *out, const struct client *client,
                        enum yomo_delivery delivery)
{
    struct yo_message message = {.op = YO_OP_DATA, .channel = yo_span_of("room")};
    struct yo_buf payload;
    char json[101];

    snprintf(json, sizeof(json), "\"%098d\"", 1);
    yo_buf_init(&payload, &yo_mem_libc);
    yo_content_write(&payload, yo_span_of("cursor"), YOMO_JSON, yo_span_of(json));
    message.payload = yo_buf_span(&payload);
    message.delivery = client->extension ? delivery : YOMO_RELIABLE;
    encode(out, client, &message);
    yo_buf_finish(&payload);
}

static void say_all(struct client *client, uint32_t lane, struct yo_span message)
{
    for (int i = 0; i < MESSAGES; i++) {
        client_say(client, lane, message);
        rig_settle(client->rig);
    }
}

static void fan_out(enum yomo_transport_kind kind, bool extension, size_t count,
                    enum yomo_delivery delivery, const char *name)
{
    struct client *members[MEMBERS];
    struct rig rig;
    struct yo_buf message;

    rig_open(&rig, 1, NULL, "message-rate", "0", NULL);
    fill(&rig, members, count, kind, extension);
    encode_data(&message, members[0], delivery);
    uint32_t lane = kind == WS                                  ? YO_LANE_CONTROL
                    : !extension || delivery == YOMO_UNRELIABLE ? YO_LANE_DATAGRAM
                                                                : YO_LANE_ROOMS;
    say_all(members[0], lane, yo_buf_span(&message)); /* lists have grown */
    sent = 0;
    PATH(name, say_all(members[0], lane, yo_buf_span(&message)));
    assert_int_equal(sent, MESSAGES * (count - 1));
    yo_buf_finish(&message);
    rig_close(&rig);
}

static void join(void)
{
    struct yo_message message = {.op = YO_OP_CHANNEL_JOIN,
                                 .channel = yo_span_of("room")};
    struct client *members[MEMBERS];
    struct rig rig;
    struct yo_buf state, bytes;

    rig_open(&rig, 1, NULL, NULL);
    fill(&rig, members, MEMBERS, WT, true);
    struct client *late = rig_connect(&rig, 0, WT, "yomo=1&id=late");
    keep_nothing(late);
    yo_buf_init(&state, &yo_mem_libc);
    yo_state_from_json(&state, yo_span_of("late"), yo_span_of("{\"x\":1}"));
    message.payload = yo_buf_span(&state);
    encode(&bytes, late, &message);
    sent = 0;
    PATH("join", {
        client_say(late, YO_LANE_CONTROL, yo_buf_span(&bytes));
        rig_settle(&rig);
    });
    assert_int_equal(sent, MEMBERS + 2); /* to each; an ACK and a snapshot */
    yo_buf_finish(&bytes);
    yo_buf_finish(&state);
    rig_close(&rig);
}

static void decode_all(struct yo_span bytes)
{
    struct yo_message message;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(yo_decode(bytes, &message), YOMO_OK);
    }
}

static void decode(void)
{
    struct client reader = {.extension = true};
    struct yo_buf bytes;

    encode_data(&bytes, &reader, YOMO_UNRELIABLE);
    PATH("decode", decode_all(yo_buf_span(&bytes)));
    yo_buf_finish(&bytes);
}

static void all(void **unused)
{
    (void)unused;
    decode();
    fan_out(WT, true, 1, YOMO_UNRELIABLE, "message_in");
    fan_out(WT, true, MEMBERS, YOMO_UNRELIABLE, "fanout_webtransport_unreliable");
    fan_out(WT, true, MEMBERS, YOMO_RELIABLE, "fanout_webtransport_reliable");
    fan_out(WS, true, MEMBERS, YOMO_UNRELIABLE, "fanout_websocket_unreliable");
    fan_out(WS, true, MEMBERS, YOMO_RELIABLE, "fanout_websocket_reliable");
    fan_out(WT, false, MEMBERS, YOMO_UNRELIABLE, "fanout_presencejs");
    join();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
