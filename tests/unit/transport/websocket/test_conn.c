/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/bytes.h"
#include "support/fault.h"
#include "transport/websocket/conn.h"

#define MESSAGE_MAX 70000
#define QUEUE_MAX 100000
#define KEEPALIVE (10 * YO_SECOND)
#define SILENCE (30 * YO_SECOND)

/* One engine, its surroundings, and what it did. */
struct side {
    struct fault fault;
    struct yo_websocket_kit *kit;
    struct yo_websocket *ws;
    struct yo_conn *conn;
    struct yo_buf out; /* what it has sent and nobody has taken */
    size_t below;
    int opened, closed, writable, wakes;
    size_t messages;
    struct yo_buf heard; /* messages, each followed by '|' */
    struct yo_close why;
    char text[128];
    yo_time now;
};

static void on_wake(void *user)
{
    ((struct side *)user)->wakes++;
}

static void turn(struct side *side);

static void on_flush(void *user, yo_time now)
{
    (void)now;
    turn(user);
}

static size_t below(const void *user)
{
    return ((const struct side *)user)->below;
}

static const struct yo_websocket_hooks hooks = {on_wake, on_flush, below};

static void on_open(void *user, struct yo_conn *conn, yo_time now)
{
    (void)conn;
    (void)now;
    ((struct side *)user)->opened++;
}

static void on_message(void *user, struct yo_conn *conn, uint32_t lane,
                       struct yo_span message, yo_time now)
{
    struct side *side = user;
    (void)conn;
    (void)now;
    assert_int_equal(lane, YO_LANE_CONTROL);
    side->messages++;
    yo_buf_append_span(&side->heard, message);
    yo_buf_append_byte(&side->heard, '|');
}

static void on_writable(void *user, struct yo_conn *conn, yo_time now)
{
    (void)conn;
    (void)now;
    ((struct side *)user)->writable++;
}

static void on_closed(void *user, struct yo_conn *conn, const struct yo_close *why,
                      yo_time now)
{
    struct side *side = user;
    (void)conn;
    (void)now;
    side->closed++;
    side->why = *why;
    snprintf(side->text, sizeof(side->text), "%.*s", (int)why->text.size,
             why->text.data ? (const char *)why->text.data : "");
}

static const struct yo_conn_events events = {on_open, on_message, on_writable, NULL,
                                             on_closed};

static void side_init(struct side *side, bool client)
{
    struct yo_websocket_options options = {.client = client,
                                           .message_size_max = MESSAGE_MAX,
                                           .queue_size_max = QUEUE_MAX,
                                           .keepalive = KEEPALIVE,
                                           .silence = SILENCE};
    memset(side, 0, sizeof(*side));
    fault_init(&side->fault, 0, FAULT_ONCE);
    yo_buf_init(&side->out, &yo_mem_libc);
    yo_buf_init(&side->heard, &yo_mem_libc);
    side->now = YO_SECOND;
    assert_int_equal(yo_websocket_kit_create(&side->kit, &side->fault.mem), YOMO_OK);
    assert_int_equal(yo_websocket_create(&side->ws, &side->fault.mem, side->kit,
                                         &options, &hooks, side, &events, side,
                                         side->now),
                     YOMO_OK);
    side->conn = yo_websocket_conn(side->ws);
    if (client) {
        yo_websocket_opened(side->ws, side->now);
        assert_int_equal(side->opened, 1);
    }
}

static void side_finish(struct side *side)
{
    yo_websocket_destroy(side->ws);
    yo_websocket_kit_destroy(side->kit);
    yo_buf_finish(&side->out);
    yo_buf_finish(&side->heard);
    fault_assert_no_leak(&side->fault);
}

static void turn(struct side *side)
{
    side->wakes = 0;
    (void)yo_websocket_output(side->ws, &side->out, 1 << 20);
    yo_websocket_turn(side->ws, side->now);
    (void)yo_websocket_output(side->ws, &side->out, 1 << 20);
    if (yo_websocket_over(side->ws) != YO_WEBSOCKET_GOES_ON && !side->closed) {
        yo_websocket_report(side->ws, side->now);
    }
}

static void feed(struct side *side, struct yo_span bytes)
{
    yo_websocket_feed(side->ws, bytes_copy(bytes), side->now);
}

static void feed_hex(struct side *side, const char *digits)
{
    feed(side, bytes_hex(digits));
}

static int send_span(struct side *side, struct yo_span message)
{
    struct yo_blob *blob = yo_blob_create(&yo_mem_libc, message);
    int rv = yo_conn_send(side->conn, YO_LANE_CONTROL, blob, 0);
    yo_blob_unref(blob);
    return rv;
}

static int send_text(struct side *side, const char *text)
{
    return send_span(side, yo_span_of(text));
}

/* The mask 00000000 leaves a payload readable. */
#define MASK "00000000"

static void a_masked_binary_frame_is_a_message(void **state)
{
    (void)state;
    struct side side;
    side_init(&side, false);
    feed_hex(&side, "8285 01020304 6967 6f68 6e"); /* "hello", masked */
    assert_text(yo_buf_span(&side.heard), "hello|");
    feed_hex(&side, "8280" MASK); /* an empty one */
    assert_text(yo_buf_span(&side.heard), "hello||");
    feed_hex(&side, "8281" MASK "61 8281" MASK "62 8281" MASK "63");
    assert_text(yo_buf_span(&side.heard), "hello||a|b|c|");
    side_finish(&side);
}

static void frames_may_come_a_byte_at_a_time(void **state)
{
    (void)state;
    struct side side;
    struct yo_span bytes = bytes_hex("0283" MASK "616263 8902" /* a server's ping */);
    side_init(&side, false);
    bytes = bytes_hex("0283" MASK "616263 8982" MASK "7879 0081" MASK "64 8082" MASK
                      "6566 82fe007e" MASK);
    for (size_t i = 0; i < bytes.size; i++) {
        feed(&side, yo_span(bytes.data + i, 1));
    }
    for (size_t i = 0; i < 126; i++) {
        feed(&side, yo_span_of("y"));
    }
    turn(&side);
    assert_hex(yo_buf_span(&side.out), "8a02 7879");
    assert_int_equal(side.messages, 2);
    assert_memory_equal(side.heard.data, "abcdef|yyy", 10);
    assert_int_equal(side.heard.size, 7 + 127);
    side_finish(&side);
}

static void feed_cut(struct yo_span cut, void *user)
{
    struct side side;
    (void)user;
    side_init(&side, false);
    feed(&side, cut);
    turn(&side);
    assert_true(side.messages == 0);
    assert_int_equal(side.closed, 0);
    yo_websocket_lost(side.ws, YOMO_ERR_CLOSED, YO_SPAN_NONE);
    turn(&side);
    assert_int_equal(side.closed, 1);
    assert_int_equal(side.why.kind, YO_CLOSE_RETRY);
    side_finish(&side);
}

static void what_is_cut_short_is_no_message(void **state)
{
    (void)state;
    bytes_each_cut(bytes_hex("0283" MASK "616263 8982" MASK "7879 0081" MASK
                             "64 8082" MASK "6566"),
                   feed_cut, NULL);
}

/* What breaks the protocol is answered with a close frame and ends the connection. */
static void expect_failure(bool client, const char *digits, uint32_t code)
{
    struct side side;
    side_init(&side, client);
    feed_hex(&side, digits);
    feed_hex(&side,
             client ? "820161" : "8281" MASK "61"); /* nothing is heard after it */
    turn(&side);
    if (side.closed != 1 || side.why.code != code) {
        fail_msg("closed %d with %u instead of %u: %s", side.closed, side.why.code,
                 code, digits);
    }
    assert_int_equal(side.messages, 0);
    assert_false(side.why.remote);
    assert_int_equal(side.why.error, yo_close_error_of(code));
    assert_int_equal(yo_websocket_over(side.ws), YO_WEBSOCKET_ENDS);
    assert_int_equal(side.out.data[0], 0x88);
    if (!client) {
        assert_int_equal(side.out.data[2] << 8 | side.out.data[3], code);
    }
    side_finish(&side);
}

static void a_peer_that_breaks_the_protocol_is_told_and_left(void **state)
{
    (void)state;
    expect_failure(false, "820161", 1002);         /* not masked */
    expect_failure(true, "8281" MASK "61", 1002);  /* masked by a server */
    expect_failure(false, "8181" MASK "61", 1003); /* text */
    expect_failure(false, "0181" MASK "61", 1003); /* the start of one */
    expect_failure(true, "810161", 1003);          /* from a server too */
    expect_failure(false, "c281" MASK "61", 1002); /* compressed: never agreed on */
    expect_failure(false, "a281" MASK "61", 1002); /* reserved bits */
    expect_failure(false, "9281" MASK "61", 1002);
    expect_failure(false, "8381" MASK "61", 1002); /* reserved opcodes */
    expect_failure(false, "8b81" MASK "61", 1002);
    expect_failure(false, "8f80" MASK, 1002);
    expect_failure(false, "8081" MASK "61", 1002); /* goes on with nothing */
    expect_failure(false, "0281" MASK "61 8281" MASK "62", 1002); /* begins twice */
    expect_failure(false, "0281" MASK "61 8181" MASK "62", 1002);
    expect_failure(false, "0981" MASK "61", 1002);     /* a ping in pieces */
    expect_failure(false, "89fe0080" MASK "61", 1002); /* a long one */
    expect_failure(false, "82fe0005" MASK "61", 1002); /* a length longer than needed */
    expect_failure(false, "82ff0000000000000100" MASK "61", 1002);
    expect_failure(false, "82ff8000000000000000" MASK "61", 1002);
    expect_failure(false, "8881" MASK "03", 1002);   /* half a code */
    expect_failure(false, "8882" MASK "03ed", 1002); /* 1005, not to be sent */
    expect_failure(false, "8882" MASK "0000", 1002);
    expect_failure(false, "8882" MASK "0bb7", 1002); /* 2999 */
    expect_failure(false, "8883" MASK "03e8 ff", 1007);
    expect_failure(false, "82ff0000000000011171" MASK "61", 1009); /* 70,001 */
    expect_failure(false, "82ff7fffffffffffffff" MASK "61", 1009);
}

static void a_message_too_big_by_its_pieces_is_refused(void **state)
{
    (void)state;
    struct side side;
    struct yo_buf piece;
    side_init(&side, false);
    yo_buf_init(&piece, &yo_mem_libc);
    yo_buf_append_span(&piece, bytes_hex("02fea000" MASK)); /* 40,960 */
    yo_buf_append_span(&piece, bytes_repeat("x", 40960));
    feed(&side, yo_buf_span(&piece));
    turn(&side);
    assert_int_equal(side.closed, 0);
    piece.data[0] = 0x80;
    feed(&side, yo_buf_span(&piece));
    turn(&side);
    assert_int_equal(side.why.code, 1009);
    assert_int_equal(side.messages, 0);
    yo_buf_finish(&piece);
    side_finish(&side);
}

static void a_message_of_the_largest_size_is_taken(void **state)
{
    (void)state;
    struct side side;
    side_init(&side, false);
    feed_hex(&side, "82ff0000000000011170" MASK);
    struct yo_span payload = bytes_repeat("0123456789", MESSAGE_MAX / 10);
    for (size_t at = 0; at < payload.size; at += 1460) {
        size_t size = payload.size - at < 1460 ? payload.size - at : 1460;
        feed(&side, yo_span(payload.data + at, size));
    }
    assert_int_equal(side.messages, 1);
    assert_int_equal(side.heard.size, MESSAGE_MAX + 1);
    assert_memory_equal(side.heard.data, payload.data, payload.size);
    side_finish(&side);
}

static void a_large_length_alone_costs_nothing(void **state)
{
    (void)state;
    struct side side;
    side_init(&side, false);
    size_t before = side.fault.bytes;
    feed_hex(&side, "02ff0000000000011170" MASK "61");
    assert_true(side.fault.bytes - before < 1000);
    side_finish(&side);
}

static void only_the_last_of_many_pings_is_answered(void **state)
{
    (void)state;
    struct side side;
    side_init(&side, false);
    for (int i = 0; i < 1000; i++) {
        feed_hex(&side, "8981" MASK "61 8980" MASK "8982" MASK "6263");
    }
    turn(&side);
    assert_hex(yo_buf_span(&side.out), "8a02 6263");
    side_finish(&side);
}

static void pongs_that_nobody_asked_for_are_harmless(void **state)
{
    (void)state;
    struct side side;
    struct yo_conn_info info;
    side_init(&side, false);
    feed_hex(&side, "8a80" MASK "8a81" MASK "00 8a84" MASK "00000000"
                    "8a88" MASK "0000000000000000 8a89" MASK "000000000000000000");
    turn(&side);
    assert_int_equal(side.closed, 0);
    yo_conn_info(side.conn, &info);
    assert_true(info.rtt == 0);
    assert_int_equal(side.out.size, 0);
    side_finish(&side);
}

static void messages_of_a_turn_leave_together_and_whole(void **state)
{
    (void)state;
    struct side side;
    side_init(&side, false);
    assert_int_equal(send_text(&side, "one"), YOMO_OK);
    assert_int_equal(send_text(&side, ""), YOMO_OK);
    assert_int_equal(send_text(&side, "three"), YOMO_OK);
    assert_int_equal(side.wakes, 1); /* one turn for all of them */
    assert_int_equal(side.out.size, 0);
    feed_hex(&side, "8981" MASK "70");
    turn(&side);
    assert_hex(yo_buf_span(&side.out), "8a01 70 8203 6f6e65 8200 8205 7468726565");
    side_finish(&side);
}

static void output_stops_at_its_limit_between_frames(void **state)
{
    (void)state;
    struct side side;
    struct yo_buf out;
    side_init(&side, false);
    yo_buf_init(&out, &yo_mem_libc);
    for (int i = 0; i < 10; i++) {
        send_span(&side, bytes_repeat("x", 1000));
    }
    assert_true(yo_websocket_output(side.ws, &out, 2500));
    assert_int_equal(out.size, 3 * 1004);
    assert_true(yo_websocket_due(side.ws));
    yo_buf_clear(&out);
    assert_true(yo_websocket_output(side.ws, &out, 1 << 20));
    assert_int_equal(out.size, 7 * 1004);
    assert_false(yo_websocket_due(side.ws));
    yo_buf_finish(&out);
    side_finish(&side);
}

static void a_client_masks_with_fresh_masks(void **state)
{
    (void)state;
    struct side client, server;
    side_init(&client, true);
    side_init(&server, false);
    for (int i = 0; i < 50; i++) {
        send_text(&client, "abcdefgh");
    }
    turn(&client);
    assert_int_equal(client.out.size, 50 * 14);
    int same = 0;
    for (size_t i = 0; i < 50; i++) {
        assert_int_equal(client.out.data[i * 14 + 1], 0x88);
        same += memcmp(client.out.data + 2, client.out.data + i * 14 + 2, 4) == 0;
    }
    assert_int_equal(same, 1);
    feed(&server, yo_buf_span(&client.out));
    assert_int_equal(server.messages, 50);
    assert_memory_equal(server.heard.data, "abcdefgh|abcdefgh|", 18);
    side_finish(&client);
    side_finish(&server);
}

static void silence_is_asked_and_then_the_end(void **state)
{
    (void)state;
    struct side side;
    struct yo_conn_info info;
    side_init(&side, false);
    yo_time start = side.now;
    assert_true(yo_websocket_deadline(side.ws) == start + KEEPALIVE);
    side.now = start + KEEPALIVE - 1;
    yo_websocket_tick(side.ws, side.now);
    turn(&side);
    assert_int_equal(side.out.size, 0);

    side.now = start + KEEPALIVE;
    yo_websocket_tick(side.ws, side.now);
    turn(&side);
    assert_int_equal(side.out.size, 10);
    assert_int_equal(side.out.data[0], 0x89);
    assert_true(yo_websocket_deadline(side.ws) == side.now + KEEPALIVE);

    /* The pong tells the round trip. */
    struct yo_buf pong;
    yo_buf_init(&pong, &yo_mem_libc);
    yo_buf_append_span(&pong, bytes_hex("8a88" MASK));
    yo_buf_append(&pong, side.out.data + 2, 8);
    side.now += 40 * YO_MS;
    feed(&side, yo_buf_span(&pong));
    yo_conn_info(side.conn, &info);
    assert_true(info.rtt == 40 * YO_MS);
    feed(&side, yo_buf_span(&pong)); /* once more: too late */
    yo_buf_finish(&pong);
    yo_buf_clear(&side.out);

    start = side.now;
    for (; side.now < start + SILENCE; side.now += YO_SECOND) {
        yo_websocket_tick(side.ws, side.now);
        turn(&side);
        assert_int_equal(side.closed, 0);
    }
    assert_int_equal(side.out.size, 2 * 10); /* asked twice more */
    yo_buf_clear(&side.out);
    yo_websocket_tick(side.ws, side.now);
    turn(&side);
    assert_int_equal(side.closed, 1);
    assert_int_equal(side.why.code, YO_CODE_SILENT);
    assert_int_equal(side.why.error, YOMO_ERR_TIMEOUT);
    assert_int_equal(side.why.kind, YO_CLOSE_RETRY);
    assert_false(side.why.remote);
    assert_memory_equal(side.out.data + 2, "\x0b\xba", 2);
    side_finish(&side);
}

static void half_a_frame_is_a_sign_of_life(void **state)
{
    (void)state;
    struct side side;
    side_init(&side, false);
    side.now += SILENCE - YO_SECOND;
    feed_hex(&side, "82");
    assert_true(yo_websocket_deadline(side.ws) == side.now + KEEPALIVE);
    side_finish(&side);
}

static void a_close_is_answered_with_its_code(void **state)
{
    (void)state;
    struct side side;
    side_init(&side, false);
    send_text(&side, "too late");
    feed_hex(&side, "8885" MASK "0fa1 627965"); /* 4001 "bye" */
    turn(&side);
    assert_hex(yo_buf_span(&side.out), "8802 0fa1");
    assert_int_equal(side.closed, 1);
    assert_true(side.why.remote);
    assert_int_equal(side.why.code, 4001);
    assert_int_equal(side.why.kind, YO_CLOSE_FINAL);
    assert_string_equal(side.text, "bye");
    assert_int_equal(yo_websocket_over(side.ws), YO_WEBSOCKET_ENDS);
    side_finish(&side);
}

static void a_close_without_a_code_is_a_regular_end(void **state)
{
    (void)state;
    struct side side;
    side_init(&side, false);
    feed_hex(&side, "8880" MASK);
    yo_websocket_lost(side.ws, YOMO_ERR_CLOSED, YO_SPAN_NONE); /* FIN right behind it */
    turn(&side);
    assert_hex(yo_buf_span(&side.out), "8802 03e8");
    assert_int_equal(side.why.code, 0);
    assert_int_equal(side.why.kind, YO_CLOSE_DONE);
    assert_int_equal(side.why.error, YOMO_OK);
    side_finish(&side);
}

static void close_conn(struct side *side, enum yo_close_kind kind, uint32_t code,
                       const char *text)
{
    struct yo_close how = {.kind = kind, .code = code, .text = yo_span_of(text)};
    yo_conn_close(side->conn, &how);
}

static void a_regular_close_comes_behind_what_is_queued(void **state)
{
    (void)state;
    struct side side;
    side_init(&side, false);
    send_text(&side, "a");
    close_conn(&side, YO_CLOSE_DONE, 1000, "ok");
    assert_int_equal(send_text(&side, "b"), YOMO_ERR_CLOSED);
    turn(&side);
    assert_hex(yo_buf_span(&side.out), "820161 8804 03e8 6f6b");
    assert_int_equal(side.closed, 0);
    feed_hex(&side, "8281" MASK "61"); /* said before it knew: not heard */
    feed_hex(&side, "8882" MASK "03e8");
    turn(&side);
    assert_int_equal(side.closed, 1);
    assert_int_equal(side.messages, 0);
    assert_false(side.why.remote);
    assert_int_equal(yo_websocket_over(side.ws), YO_WEBSOCKET_ENDS);
    side_finish(&side);
}

static void a_close_to_come_back_drops_what_is_queued(void **state)
{
    (void)state;
    struct side side;
    side_init(&side, false);
    send_text(&side, "a");
    close_conn(&side, YO_CLOSE_RETRY, YO_CODE_SLOW, NULL);
    turn(&side);
    assert_hex(yo_buf_span(&side.out), "8802 0bb9");
    side_finish(&side);
}

static void a_peer_that_does_not_answer_a_close_is_cut_off(void **state)
{
    (void)state;
    struct side side;
    side_init(&side, false);
    close_conn(&side, YO_CLOSE_FINAL, YO_CODE_KICKED, "out");
    turn(&side);
    yo_time deadline = yo_websocket_deadline(side.ws);
    assert_true(deadline == side.now + YO_SECOND);
    side.now = deadline - 1;
    yo_websocket_tick(side.ws, side.now);
    turn(&side);
    assert_int_equal(side.closed, 0);
    side.now = deadline;
    yo_websocket_tick(side.ws, side.now);
    turn(&side);
    assert_int_equal(side.closed, 1);
    assert_int_equal(side.why.code, YO_CODE_KICKED);
    assert_int_equal(yo_websocket_over(side.ws), YO_WEBSOCKET_BREAKS);
    side_finish(&side);
}

static void what_waits_below_counts_as_queued(void **state)
{
    (void)state;
    struct side side;
    side_init(&side, false);
    side.below = QUEUE_MAX - 1000;
    assert_int_equal(yo_conn_queued(side.conn), QUEUE_MAX - 1000);
    assert_int_equal(send_span(&side, bytes_repeat("x", 2000)), YOMO_ERR_AGAIN);
    side.below = QUEUE_MAX / 2 + 1;
    turn(&side);
    assert_int_equal(side.writable, 0);
    side.below = QUEUE_MAX / 2;
    turn(&side);
    assert_int_equal(side.writable, 1);
    turn(&side);
    assert_int_equal(side.writable, 1); /* once for each AGAIN */
    assert_int_equal(send_span(&side, bytes_repeat("x", 2000)), YOMO_OK);
    turn(&side);
    side_finish(&side);
}

static void an_idle_connection_is_small(void **state)
{
    (void)state;
    struct side side;
    side_init(&side, false);
    size_t idle = side.fault.bytes;
    for (int i = 0; i < 20; i++) {
        send_text(&side, "message");
    }
    feed_hex(&side, "0283" MASK "616263 8982" MASK "7879 8082" MASK "6566");
    turn(&side);
    assert_int_equal(side.messages, 1);
    assert_int_equal(side.fault.bytes, idle);
    assert_true(idle < 2048); /* the kit included, without wslay's parser in it */
    side_finish(&side);
}

static void run_with_faults(struct fault *fault, void *user)
{
    struct yo_websocket_options options = {.message_size_max = MESSAGE_MAX,
                                           .queue_size_max = QUEUE_MAX};
    struct yo_websocket_kit *kit = NULL;
    struct yo_websocket *ws = NULL;
    struct yo_buf out;
    struct side *side = user;
    memset(side, 0, sizeof(*side));
    yo_buf_init(&side->heard, &yo_mem_libc);
    yo_buf_init(&out, &fault->mem);
    if (yo_websocket_kit_create(&kit, &fault->mem) == YOMO_OK &&
        yo_websocket_create(&ws, &fault->mem, kit, &options, &hooks, side, &events,
                            side, YO_SECOND) == YOMO_OK) {
        struct yo_blob *blob = yo_blob_create(&yo_mem_libc, yo_span_of("message"));
        for (int i = 0; i < 10; i++) {
            int rv = yo_conn_send(yo_websocket_conn(ws), YO_LANE_ROOMS, blob, 0);
            assert_true(rv == YOMO_OK || rv == YOMO_ERR_NOMEM);
        }
        yo_websocket_feed(ws, bytes_hex("0283" MASK "616263 8082" MASK "6566"),
                          YO_SECOND);
        bool fine = yo_websocket_output(ws, &out, 1 << 20);
        assert_true(fine || fault->failed);
        if (yo_websocket_over(ws) != YO_WEBSOCKET_GOES_ON) {
            assert_true(fault->failed);
            yo_websocket_report(ws, YO_SECOND);
            assert_int_equal(side->why.error, YOMO_ERR_NOMEM);
        }
        yo_websocket_destroy(ws);
        assert_int_equal(atomic_load(&blob->refs), 1);
        yo_blob_unref(blob);
    }
    yo_websocket_kit_destroy(kit);
    yo_buf_finish(&out);
    yo_buf_finish(&side->heard);
}

static void it_survives_every_failing_allocation(void **state)
{
    (void)state;
    struct side side;
    fault_each(run_with_faults, &side);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_masked_binary_frame_is_a_message),
        cmocka_unit_test(frames_may_come_a_byte_at_a_time),
        cmocka_unit_test(what_is_cut_short_is_no_message),
        cmocka_unit_test(a_peer_that_breaks_the_protocol_is_told_and_left),
        cmocka_unit_test(a_message_too_big_by_its_pieces_is_refused),
        cmocka_unit_test(a_message_of_the_largest_size_is_taken),
        cmocka_unit_test(a_large_length_alone_costs_nothing),
        cmocka_unit_test(only_the_last_of_many_pings_is_answered),
        cmocka_unit_test(pongs_that_nobody_asked_for_are_harmless),
        cmocka_unit_test(messages_of_a_turn_leave_together_and_whole),
        cmocka_unit_test(output_stops_at_its_limit_between_frames),
        cmocka_unit_test(a_client_masks_with_fresh_masks),
        cmocka_unit_test(silence_is_asked_and_then_the_end),
        cmocka_unit_test(half_a_frame_is_a_sign_of_life),
        cmocka_unit_test(a_close_is_answered_with_its_code),
        cmocka_unit_test(a_close_without_a_code_is_a_regular_end),
        cmocka_unit_test(a_regular_close_comes_behind_what_is_queued),
        cmocka_unit_test(a_close_to_come_back_drops_what_is_queued),
        cmocka_unit_test(a_peer_that_does_not_answer_a_close_is_cut_off),
        cmocka_unit_test(what_waits_below_counts_as_queued),
        cmocka_unit_test(an_idle_connection_is_small),
        cmocka_unit_test(it_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
