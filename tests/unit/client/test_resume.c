/* SPDX-License-Identifier: MIT */
/* A client whose connection broke comes back to its session: what it asks for, what goes
 * out again, what its program is told; and when it has to begin anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "stage.h"
#include "support/fault.h"
#include "wire/decode.h"
#include "wire/encode.h"

#define WS YOMO_TRANSPORT_WEBSOCKET
#define WT YOMO_TRANSPORT_WEBTRANSPORT

static const struct stage_member bob = {11, "bob", "{\"x\":1}"};
static struct stage stage;
static yomo_room *room;

static int begin(void **state)
{
    static const char *const options[] = {
        "transport", "webtransport", "reconnect-max", "100ms", "reconnect-min",
        "100ms",     "queue-size",   "4k",            NULL};
    (void)state;
    memset(&stage, 0, sizeof(stage));
    stage_begin(&stage, options);
    stage.grace_ms = 15000;
    stage.place = 5;
    assert_int_equal(yomo_client_join(stage.client, "r", NULL, &room), YOMO_OK);
    return 0;
}

static int end(void **state)
{
    (void)state;
    stage_end(&stage);
    return 0;
}

static struct fake_conn *in_the_room(void)
{
    struct fake_conn *conn = stage_connect(&stage, WT, 10);
    stage_admit(&stage, conn, "r", &bob, 1);
    stage.story[0] = '\0';
    return conn;
}

static void lose(struct fake_conn *conn)
{
    fake_closed(conn, YO_CLOSE_RETRY, YOMO_ERR_CLOSED, "", stage.now);
    stage_run(&stage);
}

/* The next attempt, and a hello that gives `session`. */
static struct fake_conn *back(uint64_t session)
{
    stage_pass(&stage, 100 * YO_MS);
    return stage_accept(&stage, WT, session);
}

static uint64_t say(const char *json)
{
    uint64_t id;
    assert_int_equal(yomo_room_send(room, "e", json, strlen(json), YOMO_JSON,
                                    YOMO_RELIABLE, NULL, &id),
                     YOMO_OK);
    return id;
}

/* The data that it sent and nobody has looked at yet. */
static void expect_said(struct fake_conn *conn, const char *expected)
{
    char text[256] = "";
    stage_run(&stage);
    while (!stage_none(&stage, conn, YO_OP_DATA)) {
        struct yo_message message = stage_take(&stage, conn, YO_OP_DATA, NULL);
        struct yo_content content;
        size_t used = strlen(text);
        assert_int_equal(yo_content_read(message.payload, &content), YOMO_OK);
        snprintf(text + used, sizeof(text) - used, "%s%.*s%s", used ? " " : "",
                 (int)content.bytes.size, (const char *)content.bytes.data,
                 message.delivery == YOMO_LATEST ? "!" : "");
    }
    assert_string_equal(text, expected);
}

static void ack(struct fake_conn *conn, uint64_t number, uint64_t place)
{
    stage_say(&stage, conn, YO_LANE_CONTROL,
              &(struct yo_message){.op = YO_OP_ACK,
                                   .channel = yo_span_of("r"),
                                   .number = number,
                                   .sequence = place});
}

static void tell(struct fake_conn *conn, const char *json, uint64_t place)
{
    struct yo_buf payload;
    yo_buf_init(&payload, &yo_mem_libc);
    assert_int_equal(yo_content_write(&payload, yo_span_of("e"), YOMO_JSON,
                                      yo_span_of(json)),
                     YOMO_OK);
    stage_say(&stage, conn, YO_LANE_ROOMS,
              &(struct yo_message){.op = YO_OP_DATA,
                                   .channel = yo_span_of("r"),
                                   .peer = yo_span_of("bob"),
                                   .session = 11,
                                   .payload = yo_buf_span(&payload),
                                   .sequence = place});
    yo_buf_finish(&payload);
}

static void say_resumed_room(struct fake_conn *conn, uint64_t read)
{
    stage_say(&stage, conn, YO_LANE_CONTROL,
              &(struct yo_message){.op = YO_OP_RESUMED,
                                   .channel = yo_span_of("r"),
                                   .number = read});
}

/* bob, or nobody any more. */
static void say_snapshot(struct fake_conn *conn, bool anybody)
{
    struct yo_buf page;
    yo_buf_init(&page, &yo_mem_libc);
    yo_mp_put_array(&page, anybody ? 1 : 0);
    if (anybody) {
        const struct yo_wire_member member = {.session = 11, .peer = yo_span_of("bob")};
        assert_int_equal(yo_member_write(&page, &member), YOMO_OK);
    }
    stage_say(&stage, conn, YO_LANE_CONTROL,
              &(struct yo_message){.op = YO_OP_SNAPSHOT,
                                   .channel = yo_span_of("r"),
                                   .sequence = 50,
                                   .members = yo_buf_span(&page)});
    yo_buf_finish(&page);
}

static void say_resumed(struct fake_conn *conn, const char *token)
{
    stage_say(&stage, conn, YO_LANE_CONTROL,
              &(struct yo_message){.op = YO_OP_RESUMED,
                                   .session = 10,
                                   .token = yo_span_of(token)});
}

static void refuse(struct fake_conn *conn)
{
    stage_say(&stage, conn, YO_LANE_CONTROL,
              &(struct yo_message){.op = YO_OP_RESUMED, .code = YOMO_ERR_NOT_FOUND});
}

static void expect_asked(struct fake_conn *conn, uint64_t place, const char *token)
{
    struct yo_message claim = stage_take(&stage, conn, YO_OP_RESUME, NULL);
    assert_true(yo_span_is(claim.channel, "r"));
    assert_int_equal(claim.sequence, place);
    struct yo_message ask = stage_take(&stage, conn, YO_OP_RESUME, NULL);
    assert_true(yo_span_is(ask.token, token));
    assert_true(stage_none(&stage, conn, YO_OP_RESUME));
    assert_true(stage_none(&stage, conn, YO_OP_CHANNEL_JOIN));
}

static void what_was_not_read_goes_again_and_what_was_missed_is_told(void **state)
{
    size_t messages, bytes;
    uint64_t id;
    (void)state;
    struct fake_conn *conn = in_the_room();
    tell(conn, "\"a\"", 6);
    for (int i = 1; i <= 3; i++) {
        char json[4];
        snprintf(json, sizeof(json), "%d", i);
        assert_int_equal(say(json), i);
    }
    expect_said(conn, "1 2 3");
    ack(conn, 1, 7);
    stage_story(&stage, "message r bob e \"a\"\nsent 1 OK\n");
    lose(conn);
    stage_story(&stage, "waiting CLOSED\n");
    say("4");
    assert_int_equal(yomo_room_broadcast(room, "u", "1", YOMO_UNRELIABLE), YOMO_OK);
    for (int i = 5; i < 7; i++) {
        char json[4];
        snprintf(json, sizeof(json), "%d", i);
        assert_int_equal(yomo_room_send(room, "l", json, 1, YOMO_JSON, YOMO_LATEST, "k",
                                        &id),
                         YOMO_OK);
    }
    stage_run(&stage);
    stage_story(&stage, "sent 5 EXISTS\n");
    yomo_client_waiting(stage.client, &messages, &bytes);
    assert_int_equal(messages, 3); /* 2, 3 and 4 */
    assert_true(bytes > 0);
    assert_int_equal(yomo_client_counter(stage.client, YOMO_COUNT_UNRELIABLE_AWAY), 1);
    assert_int_equal(yomo_client_counter(stage.client, YOMO_COUNT_LATEST_REPLACED), 1);

    conn = back(20);
    stage_run(&stage);
    stage_story(&stage, "connecting\n");
    expect_asked(conn, 6, "t10");
    expect_said(conn, "");
    tell(conn, "\"b\"", 12); /* on another stream, before the rest */
    say_resumed_room(conn, 2);
    ack(conn, 2, 8);
    expect_said(conn, "");
    say_snapshot(conn, false);
    tell(conn, "\"b\"", 12); /* again */
    tell(conn, "\"c\"", 13);
    say_resumed(conn, "t11");
    expect_said(conn, "3 4 6!");
    stage_story(&stage, "open webtransport resumed\n"
                        "sent 2 OK\n"
                        "went r bob {\"id\":\"bob\",\"x\":1}\n"
                        "joined r\n"
                        "message r bob e \"b\"\n"
                        "message r bob e \"c\"\n");
    assert_int_equal(yomo_client_session(stage.client), 10);
    assert_int_equal(yomo_client_counter(stage.client, YOMO_COUNT_RESUMED), 1);
    assert_int_equal(yomo_client_counter(stage.client, YOMO_COUNT_REJOINED), 0);
    ack(conn, 3, 14);
    ack(conn, 4, 15);
    stage_story(&stage, "sent 3 OK\nsent 4 OK\n");
    yomo_client_waiting(stage.client, &messages, NULL);
    assert_int_equal(messages, 0);

    lose(conn); /* with the token that the answer brought */
    expect_asked(back(30), 13, "t11");
}

/* It was sent and not read; nobody wants it any more. What follows keeps its number in the
 * server's count. */
static void what_was_not_read_and_is_too_old_does_not_go_again(void **state)
{
    yomo_send *how;
    uint64_t id;
    (void)state;
    struct fake_conn *conn = in_the_room();
    say("1");
    assert_int_equal(yomo_send_create(&how, stage.client), YOMO_OK);
    assert_int_equal(yomo_send_set_ttl(how, 50), YOMO_OK);
    assert_int_equal(yomo_room_send_with(room, how, "e", "2", 1, YOMO_JSON, &id),
                     YOMO_OK);
    yomo_send_free(how);
    say("3");
    expect_said(conn, "1 2 3");
    lose(conn);
    stage.story[0] = '\0';

    conn = back(20);
    stage_run(&stage);
    expect_asked(conn, 5, "t10");
    say_resumed_room(conn, 1);
    say_snapshot(conn, true);
    say_resumed(conn, "t11");
    expect_said(conn, "3");
    assert_non_null(strstr(stage.story, "sent 2 TIMEOUT\n"));
    lose(conn);

    conn = back(30);
    stage_run(&stage);
    expect_asked(conn, 5, "t11");
    say_resumed_room(conn, 2); /* 1 and 3 */
    say_snapshot(conn, true);
    say_resumed(conn, "t12");
    expect_said(conn, "");
}

static void one_that_is_refused_begins_anew(void **state)
{
    size_t messages;
    (void)state;
    struct fake_conn *conn = in_the_room();
    say("1");
    expect_said(conn, "1");
    lose(conn);
    say("2");
    conn = back(20);
    expect_asked(conn, 5, "t10");
    refuse(conn);
    struct yo_message join = stage_take(&stage, conn, YO_OP_CHANNEL_JOIN, NULL);
    assert_true(yo_span_is(join.channel, "r"));
    stage_story(&stage, "waiting CLOSED\n"
                        "connecting\n"
                        "sent 1 UNSURE\n" /* it may have arrived */
                        "open webtransport extension\n");
    assert_int_equal(yomo_client_session(stage.client), 20);
    assert_int_equal(yomo_client_counter(stage.client, YOMO_COUNT_UNSURE), 1);
    yomo_client_waiting(stage.client, &messages, NULL);
    assert_int_equal(messages, 1);
}

/* Too late, but the server knows what it had read: what it had not goes out once more,
 * in front of what was said later; of what it had read nobody knows what became. */
static void what_was_certainly_not_read_goes_again(void **state)
{
    size_t messages, bytes;
    (void)state;
    struct fake_conn *conn = in_the_room();
    (void)say("1");
    (void)say("2");
    (void)say("3");
    expect_said(conn, "1 2 3");
    lose(conn);
    (void)say("4");
    stage_story(&stage, "waiting CLOSED\n");
    conn = back(20);
    expect_asked(conn, 5, "t10");
    stage_say(&stage, conn, YO_LANE_CONTROL,
              &(struct yo_message){.op = YO_OP_RESUMED,
                                   .channel = yo_span_of("r"),
                                   .number = 1,
                                   .code = YOMO_ERR_NOT_FOUND});
    stage_say(&stage, conn, YO_LANE_CONTROL, /* of a room that it is not in */
              &(struct yo_message){.op = YO_OP_RESUMED,
                                   .channel = yo_span_of("x"),
                                   .number = 9,
                                   .code = YOMO_ERR_NOT_FOUND});
    refuse(conn);
    stage_story(&stage, "connecting\nsent 1 UNSURE\nopen webtransport extension\n");
    yomo_client_waiting(stage.client, &messages, &bytes);
    assert_int_equal(messages, 3);
    lose(conn); /* and once more before they have gone */
    stage_story(&stage, "waiting CLOSED\n");
    conn = back(21);
    stage_admit(&stage, conn, "r", &bob, 1);
    expect_said(conn, "2 3 4");
    stage.story[0] = '\0';
    ack(conn, 2, 60);
    ack(conn, 3, 61);
    ack(conn, 4, 62);
    stage_story(&stage, "sent 2 OK\nsent 3 OK\nsent 4 OK\n");
    yomo_client_waiting(stage.client, &messages, &bytes);
    assert_int_equal(messages, 0);
    assert_int_equal(bytes, 0);
    assert_int_equal(yomo_client_counter(stage.client, YOMO_COUNT_UNSURE), 0);
    lose(conn); /* all of it is counted from the new join on */
    conn = back(22);
    expect_asked(conn, 5, "t21");
}

static void another_run_of_the_server_is_not_asked(void **state)
{
    (void)state;
    struct fake_conn *conn = in_the_room();
    say("1");
    expect_said(conn, "1");
    lose(conn);
    stage.run = 2;
    conn = back(20);
    stage_run(&stage);
    assert_true(stage_none(&stage, conn, YO_OP_RESUME));
    (void)stage_take(&stage, conn, YO_OP_CHANNEL_JOIN, NULL);
    stage_story(&stage, "waiting CLOSED\n"
                        "connecting\n"
                        "sent 1 UNSURE\n"
                        "open webtransport extension\n");
}

static void a_server_without_grace_is_not_asked(void **state)
{
    size_t messages;
    (void)state;
    stage.grace_ms = 0;
    struct fake_conn *conn = in_the_room();
    say("1");
    expect_said(conn, "1");
    yomo_client_waiting(stage.client, &messages, NULL);
    assert_int_equal(messages, 0); /* nothing is kept */
    lose(conn);
    stage_story(&stage, "sent 1 UNSURE\nwaiting CLOSED\n");
    conn = back(20);
    stage_run(&stage);
    assert_true(stage_none(&stage, conn, YO_OP_RESUME));
}

/* The answer is lost, in whole or in part: the same token again. */
static void a_break_in_the_middle_of_coming_back(void **state)
{
    (void)state;
    struct fake_conn *conn = in_the_room();
    say("1");
    say("2");
    expect_said(conn, "1 2");
    lose(conn);
    conn = back(20);
    expect_asked(conn, 5, "t10");
    lose(conn);
    conn = back(30);
    expect_asked(conn, 5, "t10");
    say_resumed_room(conn, 1);
    say_snapshot(conn, true);
    tell(conn, "\"a\"", 12);
    lose(conn); /* before the end of it */
    conn = back(40);
    expect_asked(conn, 12, "t10");
    say_resumed_room(conn, 1);
    say_snapshot(conn, true);
    say_resumed(conn, "t11");
    expect_said(conn, "2");
    ack(conn, 1, 3); /* its answer was not lost after all */
    ack(conn, 2, 14);
    assert_non_null(strstr(stage.story, "sent 2 OK\n"));
    assert_int_equal(yomo_client_counter(stage.client, YOMO_COUNT_UNSURE), 0);
}

/* The new connection of a move dies in the moment of the hand-over: the session is
 * asked for with the same token, and what was not read goes again. */
static void a_move_that_breaks(void **state)
{
    (void)state;
    struct fake_conn *old = in_the_room();
    tell(old, "\"a\"", 6);
    stage_story(&stage, "message r bob e \"a\"\n");
    (void)say("1");
    expect_said(old, "1");
    assert_true(yo_move_possible(stage.client));
    yo_move_begin(stage.client, WS, stage.now);
    struct fake_conn *new = stage_accept(&stage, WS, 15);
    struct yo_message ask = stage_take(&stage, new, YO_OP_MOVE, NULL);
    assert_true(yo_span_is(ask.token, "t10"));
    (void)say("2"); /* waits for the end of it */
    expect_said(old, "");
    lose(new);
    struct fake_conn *conn = back(20);
    expect_asked(conn, 6, "t10");
    say_resumed_room(conn, 0);
    say_snapshot(conn, true);
    say_resumed(conn, "t11");
    expect_said(conn, "1 2");
}

static void a_room_that_was_left_meanwhile_is_not_claimed(void **state)
{
    (void)state;
    yomo_room *other;
    assert_int_equal(yomo_client_join(stage.client, "s", NULL, &other), YOMO_OK);
    struct fake_conn *conn = stage_connect(&stage, WT, 10);
    stage_admit(&stage, conn, "r", &bob, 1);
    stage_admit(&stage, conn, "s", &bob, 1);
    lose(conn);
    yomo_room_leave(other);
    stage_run(&stage);
    conn = back(20);
    expect_asked(conn, 5, "t10");
}

/* A room that the server does not give back is joined anew, the others go on. */
static void a_room_without_a_seat_is_joined_anew(void **state)
{
    (void)state;
    yomo_room *other;
    assert_int_equal(yomo_client_join(stage.client, "s", NULL, &other), YOMO_OK);
    struct fake_conn *conn = stage_connect(&stage, WT, 10);
    stage_admit(&stage, conn, "r", &bob, 1);
    stage_admit(&stage, conn, "s", &bob, 1);
    lose(conn);
    conn = back(20);
    stage_run(&stage);
    say_resumed_room(conn, 0);
    say_snapshot(conn, true);
    assert_true(stage_none(&stage, conn, YO_OP_CHANNEL_JOIN));
    say_resumed(conn, "t11");
    struct yo_message join = stage_take(&stage, conn, YO_OP_CHANNEL_JOIN, NULL);
    assert_true(yo_span_is(join.channel, "s"));
    assert_true(stage_none(&stage, conn, YO_OP_CHANNEL_JOIN));
}

static void what_was_read_is_kept_no_longer(void **state)
{
    size_t messages, bytes;
    char json[1500];
    (void)state;
    struct fake_conn *conn = in_the_room();
    stage_pass(&stage, YO_SECOND); /* the first ping is over */
    while (!stage_none(&stage, conn, YO_OP_PING)) {
        (void)stage_take(&stage, conn, YO_OP_PING, NULL);
    }
    memset(json, '1', sizeof(json));
    json[sizeof(json) - 1] = '\0';
    say("1");
    stage_run(&stage);
    assert_true(stage_none(&stage, conn, YO_OP_PING));
    say(json); /* more than a quarter of what may wait */
    stage_run(&stage);
    (void)stage_take(&stage, conn, YO_OP_PING, NULL);
    say(json);
    stage_run(&stage);
    assert_true(stage_none(&stage, conn, YO_OP_PING)); /* one at a time */
    assert_int_equal(yomo_room_broadcast(room, "e", json, YOMO_RELIABLE), YOMO_ERR_FULL);
    stage_say(&stage, conn, YO_LANE_CONTROL,
              &(struct yo_message){
                  .op = YO_OP_ACK, .channel = yo_span_of("r"), .read = 2});
    yomo_client_waiting(stage.client, &messages, &bytes);
    assert_int_equal(messages, 1);
    assert_true(bytes > 1500 && bytes < 2000);
    assert_int_equal(yomo_room_broadcast(room, "e", json, YOMO_RELIABLE), YOMO_OK);
    stage_run(&stage);
    stage_say(&stage, conn, YO_LANE_CONTROL, /* a lie */
              &(struct yo_message){
                  .op = YO_OP_ACK, .channel = yo_span_of("r"), .read = 1000});
    yomo_client_waiting(stage.client, &messages, NULL);
    assert_int_equal(messages, 0);
}

static void a_server_that_does_not_answer_is_not_asked_again(void **state)
{
    (void)state;
    struct fake_conn *conn = in_the_room();
    lose(conn);
    conn = back(20);
    expect_asked(conn, 5, "t10");
    stage_pass(&stage, 6 * YO_SECOND);
    assert_true(conn->ended);
    conn = stage_accept(&stage, WT, 30);
    stage_run(&stage);
    assert_true(stage_none(&stage, conn, YO_OP_RESUME));
    (void)stage_take(&stage, conn, YO_OP_CHANNEL_JOIN, NULL);
}

/* --- failing allocations ----------------------------------------------------------- */

static bool expected(struct fault *fault, int rv)
{
    return rv == YOMO_OK || (rv == YOMO_ERR_NOMEM && fault->failed) ||
           (rv == YOMO_ERR_CLOSED && fault->failed);
}

/* Until it is connected, at most so long; NULL: it is not. */
static struct fake_conn *reach(struct stage *s, uint64_t session)
{
    for (int i = 0; i < 50; i++) {
        stage_pass(s, 20 * YO_MS);
        if (s->client->phase == YO_PHASE_RACING &&
            !s->fake.conns[s->fake.count - 1]->ended) {
            struct fake_conn *conn = stage_accept(s, WT, session);
            if (!conn->ended) {
                return conn;
            }
        }
    }
    return NULL;
}

static void say_goaway(struct fake_conn *conn, uint64_t ms, const char *url)
{
    stage_say(&stage, conn, YO_LANE_CONTROL,
              &(struct yo_message){.op = YO_OP_GOAWAY,
                                   .timestamp = ms,
                                   .text = url ? yo_span_of(url) : YO_SPAN_NONE});
}

/* It stays until its moment, parts with nothing in doubt, and is there at once. */
static void a_client_that_is_sent_elsewhere_stays_until_its_moment(void **state)
{
    (void)state;
    struct fake_conn *conn = in_the_room();
    say_goaway(conn, 700, "https://other:9443");
    stage_pass(&stage, 699 * YO_MS);
    assert_false(conn->ended);
    assert_int_equal(say("1"), 1);
    assert_int_equal(yomo_room_broadcast(room, "e", "2", YOMO_RELIABLE), YOMO_OK);
    expect_said(conn, "1 2");
    while (!stage_none(&stage, conn, YO_OP_PING)) {
        (void)stage_take(&stage, conn, YO_OP_PING, NULL);
    }
    stage_pass(&stage, 1 * YO_MS);
    assert_int_equal(say("3"), 2);
    expect_said(conn, ""); /* it goes with the client */
    (void)stage_take(&stage, conn, YO_OP_PING, NULL);
    stage_pass(&stage, 60 * YO_MS);
    (void)stage_take(&stage, conn, YO_OP_PING, NULL); /* it asks until all is read */
    ack(conn, 1, 7);
    stage_run(&stage);
    assert_false(conn->ended);
    stage_say(&stage, conn, YO_LANE_CONTROL,
              &(struct yo_message){
                  .op = YO_OP_ACK, .channel = yo_span_of("r"), .read = 2});
    stage_run(&stage);
    assert_true(conn->ended);
    stage_story(&stage, "sent 1 OK\nwaiting DRAINING\nconnecting\n");
    assert_string_equal(yo_client_target(stage.client)->host, "other");
    conn = stage_accept(&stage, WT, 20);
    stage_admit(&stage, conn, "r", &bob, 1);
    expect_said(conn, "3");
    assert_int_equal(yomo_client_counter(stage.client, YOMO_COUNT_UNSURE), 0);
}

/* Where it is to come back it goes at once, but not with messages that may not be read,
 * unless the server does not say. */
static void a_server_that_ends_and_says_nothing_is_left(void **state)
{
    (void)state;
    struct fake_conn *conn = in_the_room();
    assert_int_equal(say("1"), 1);
    expect_said(conn, "1");
    say_goaway(conn, 3000, NULL);
    stage_pass(&stage, 999 * YO_MS);
    assert_false(conn->ended);
    stage_pass(&stage, 1 * YO_MS);
    assert_true(conn->ended);
    stage_story(&stage, "sent 1 UNSURE\nwaiting DRAINING\n");
    stage_pass(&stage, 1999 * YO_MS); /* since it was told, 3 s, and more by chance */
    stage_story(&stage, "");
    stage_pass(&stage, 1502 * YO_MS);
    stage_story(&stage, "connecting\n");
    assert_int_equal(yomo_client_counter(stage.client, YOMO_COUNT_UNSURE), 1);
}

/* A program that closes meanwhile has sent what it said before. */
static void closing_while_parting_sends_what_waits(void **state)
{
    (void)state;
    struct fake_conn *conn = in_the_room();
    assert_int_equal(say("1"), 1);
    expect_said(conn, "1");
    say_goaway(conn, 3000, NULL);
    assert_int_equal(say("2"), 2);
    expect_said(conn, "");
    yomo_client_close(stage.client);
    expect_said(conn, "2");
    ack(conn, 1, 7);
    ack(conn, 2, 8);
    stage_run(&stage);
    assert_true(conn->ended);
    stage_story(&stage, "sent 1 OK\nsent 2 OK\nleft r OK\nclosed\nover\n");
}

static void one_break(struct fault *fault, void *user)
{
    static const char *const options[] = {"transport", "webtransport",  "reconnect-max",
                                          "100ms",     "reconnect-min", "100ms",
                                          NULL};
    yomo_room *in;
    (void)user;
    memset(&stage, 0, sizeof(stage));
    stage.grace_ms = 15000;
    int rv = stage_create(&stage, &fault->mem, options);
    assert_true(expected(fault, rv));
    if (rv != YOMO_OK) {
        return;
    }
    stage.grace_ms = 15000;
    stage.place = 5;
    assert_int_equal(yomo_client_connect(stage.client), YOMO_OK);
    rv = yomo_client_join(stage.client, "r", NULL, &in);
    assert_true(expected(fault, rv));
    struct fake_conn *conn = rv == YOMO_OK ? reach(&stage, 10) : NULL;
    if (conn && !stage_none(&stage, conn, YO_OP_CHANNEL_JOIN)) {
        stage_admit(&stage, conn, "r", &bob, 1);
        for (int i = 0; i < 3; i++) {
            assert_true(expected(
                fault, yomo_room_broadcast(in, "e", "1", YOMO_RELIABLE)));
        }
        stage_run(&stage);
        if (!conn->ended) {
            lose(conn);
        }
        conn = reach(&stage, 20);
        if (conn && !stage_none(&stage, conn, YO_OP_RESUME)) {
            say_resumed_room(conn, 1);
            if (!conn->ended) {
                say_snapshot(conn, true);
            }
            if (!conn->ended) {
                say_resumed(conn, "t11");
            }
        }
    }
    stage_end(&stage);
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    fault_each(one_break, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_not_read_goes_again_and_what_was_missed_is_told),
        TEST(what_was_not_read_and_is_too_old_does_not_go_again),
        TEST(one_that_is_refused_begins_anew),
        TEST(what_was_certainly_not_read_goes_again),
        TEST(another_run_of_the_server_is_not_asked),
        TEST(a_server_without_grace_is_not_asked),
        TEST(a_break_in_the_middle_of_coming_back),
        TEST(a_move_that_breaks),
        TEST(a_room_that_was_left_meanwhile_is_not_claimed),
        TEST(a_room_without_a_seat_is_joined_anew),
        TEST(what_was_read_is_kept_no_longer),
        TEST(a_server_that_does_not_answer_is_not_asked_again),
        TEST(a_client_that_is_sent_elsewhere_stays_until_its_moment),
        TEST(a_server_that_ends_and_says_nothing_is_left),
        TEST(closing_while_parting_sends_what_waits),
        cmocka_unit_test(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
