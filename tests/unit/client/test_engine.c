/* SPDX-License-Identifier: MIT */
/* Connecting, losing, coming back: a client on a virtual clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "client/udp_blocked.h"
#include "stage.h"
#include "wire/msgpack.h"

#define WT YOMO_TRANSPORT_WEBTRANSPORT
#define WS YOMO_TRANSPORT_WEBSOCKET

static int forget_udp(void **state)
{
    (void)state;
    yo_udp_blocked_clear(yo_span_of("stage"), 443);
    return 0;
}

static void it_connects_and_tells_how(void **state)
{
    struct stage s;
    (void)state;
    stage_begin(&s, NULL);
    stage_run(&s);
    stage_story(&s, "");
    stage_connect(&s, WT, 77);
    stage_story(&s, "connecting\nopen webtransport extension\n");
    assert_int_equal(yomo_client_transport(s.client), WT);
    assert_int_equal(yomo_client_session(s.client), 77);
    assert_string_equal(yomo_client_id(s.client), "me");
    stage_end(&s);
    stage_story(&s, "closed\nover\n");
}

static void an_empty_id_is_replaced_by_a_random_one(void **state)
{
    static const char *const options[] = {"id", "", NULL};
    struct stage a, b;
    (void)state;
    stage_begin(&a, options);
    stage_begin(&b, options);
    assert_int_equal(strlen(yomo_client_id(a.client)), 20);
    assert_string_not_equal(yomo_client_id(a.client), yomo_client_id(b.client));
    stage_end(&a);
    stage_end(&b);
}

static void websocket_joins_the_race_and_may_win(void **state)
{
    struct stage s;
    (void)state;
    stage_begin(&s, NULL);
    stage_connect(&s, WS, 1);
    stage_story(&s, "connecting\nopen websocket extension\n");
    assert_true(s.fake.conns[0]->ended); /* WebTransport's */
    stage_end(&s);
}

static void where_udp_failed_websocket_starts_at_once_next_time(void **state)
{
    struct stage s;
    (void)state;
    stage_begin(&s, NULL);
    assert_int_equal(yomo_client_connect(s.client), YOMO_OK);
    stage_run(&s);
    fake_closed(fake_last(&s.fake, WT), YO_CLOSE_RETRY, YOMO_ERR_UNREACHABLE, "",
                s.now);
    struct fake_conn *conn = stage_accept(&s, WS, 1);
    size_t before = s.fake.count;
    fake_closed(conn, YO_CLOSE_RETRY, YOMO_ERR_CLOSED, "", s.now);
    stage_pass(&s, 250 * YO_MS);
    assert_int_equal(s.fake.count, before + 2); /* both at once */
    stage_end(&s);
    /* Another client in the same process knows as well. */
    stage_begin(&s, NULL);
    assert_int_equal(yomo_client_connect(s.client), YOMO_OK);
    stage_run(&s);
    assert_int_equal(s.fake.count, 2);
    stage_end(&s);
}

static void a_server_without_hello_is_presencejs(void **state)
{
    struct stage s;
    (void)state;
    stage_begin(&s, NULL);
    assert_int_equal(yomo_client_connect(s.client), YOMO_OK);
    stage_run(&s);
    fake_open(fake_last(&s.fake, WT), s.now);
    stage_pass(&s, YO_SECOND);
    stage_story(&s, "connecting\nopen webtransport presencejs\n");
    assert_int_equal(yomo_client_session(s.client), 0);
    stage_end(&s);
}

static void a_loss_is_followed_by_a_quick_attempt(void **state)
{
    struct stage s;
    (void)state;
    stage_begin(&s, NULL);
    struct fake_conn *conn = stage_connect(&s, WT, 1);
    stage_story(&s, "connecting\nopen webtransport extension\n");
    fake_closed(conn, YO_CLOSE_RETRY, YOMO_ERR_CLOSED, "", s.now);
    stage_run(&s);
    stage_story(&s, "waiting CLOSED\n");
    assert_int_equal(yomo_client_transport(s.client), YOMO_TRANSPORT_NONE);
    stage_pass(&s, 250 * YO_MS);
    stage_accept(&s, WT, 2);
    stage_story(&s, "connecting\nopen webtransport extension\n");
    assert_int_equal(yomo_client_session(s.client), 2);
    stage_end(&s);
}

static void a_close_without_a_reason_is_no_reason_to_stay_away(void **state)
{
    struct stage s;
    (void)state;
    stage_begin(&s, NULL);
    struct fake_conn *conn = stage_connect(&s, WT, 1);
    fake_closed(conn, YO_CLOSE_DONE, YOMO_OK, "", s.now);
    stage_run(&s);
    stage_story(&s, "connecting\nopen webtransport extension\nwaiting CLOSED\n");
    stage_end(&s);
}

static void a_final_close_ends_the_client(void **state)
{
    struct stage s;
    (void)state;
    stage_begin(&s, NULL);
    struct fake_conn *conn = stage_connect(&s, WT, 1);
    fake_closed(conn, YO_CLOSE_FINAL, YOMO_ERR_KICKED, "by an operator", s.now);
    stage_run(&s);
    stage_story(&s, "connecting\nopen webtransport extension\n"
                    "closed KICKEDby an operator\nover\n");
    assert_int_equal(yomo_client_connect(s.client), YOMO_ERR_CLOSED);
    assert_int_equal(yomo_client_join(s.client, "r", NULL, NULL), YOMO_ERR_CLOSED);
    stage_end(&s);
}

static void attempts_may_be_bounded(void **state)
{
    static const char *const options[] = {"reconnect-attempts", "2", "url",
                                          "wss://stage", NULL};
    struct stage s;
    (void)state;
    stage_begin(&s, options);
    assert_int_equal(yomo_client_connect(s.client), YOMO_OK);
    for (int i = 0; i < 3; i++) {
        stage_pass(&s, 2 * YO_SECOND);
        fake_closed(fake_last(&s.fake, WS), YO_CLOSE_RETRY, YOMO_ERR_UNREACHABLE, "",
                    s.now);
    }
    stage_run(&s);
    stage_story(&s, "connecting\nwaiting UNREACHABLE\nconnecting\nwaiting UNREACHABLE\n"
                    "connecting\nclosed UNREACHABLE\nover\n");
    stage_end(&s);
}

static struct fake_conn *next_attempt(struct stage *s)
{
    for (int i = 0; i < 400 && s->client->phase != YO_PHASE_RACING; i++) {
        stage_pass(s, 100 * YO_MS);
    }
    return fake_last(&s->fake, WS);
}

static void waits_grow_until_the_client_was_open_for_a_while(void **state)
{
    static const char *const options[] = {"url", "wss://stage", NULL};
    struct stage s;
    (void)state;
    stage_begin(&s, options);
    assert_int_equal(yomo_client_connect(s.client), YOMO_OK);
    for (unsigned i = 0; i < 6; i++) {
        fake_closed(next_attempt(&s), YO_CLOSE_RETRY, YOMO_ERR_UNREACHABLE, "", s.now);
        assert_int_equal(s.client->backoff.attempt, i + 1);
    }
    next_attempt(&s);
    struct fake_conn *conn = stage_accept(&s, WS, 1);
    fake_closed(conn, YO_CLOSE_RETRY, YOMO_ERR_CLOSED, "", s.now);
    assert_int_equal(s.client->backoff.attempt, 7); /* it was open too shortly */
    next_attempt(&s);
    conn = stage_accept(&s, WS, 1);
    stage_pass(&s, 11 * YO_SECOND);
    fake_closed(conn, YO_CLOSE_RETRY, YOMO_ERR_CLOSED, "", s.now);
    assert_int_equal(s.client->backoff.attempt, 1);
    stage_end(&s);
}

static void a_silent_server_is_left(void **state)
{
    struct stage s;
    (void)state;
    stage_begin(&s, NULL);
    struct fake_conn *conn = stage_connect(&s, WT, 1);
    stage_pass(&s, 14 * YO_SECOND);
    assert_false(stage_none(&s, conn, YO_OP_PING));
    assert_false(conn->ended);
    stage_pass(&s, 2 * YO_SECOND);
    assert_true(conn->ended);
    assert_non_null(strstr(s.story, "waiting TIMEOUT"));
    stage_end(&s);
}

static void pongs_keep_it_and_give_the_round_trip_time(void **state)
{
    struct stage s;
    (void)state;
    stage_begin(&s, NULL);
    struct fake_conn *conn = stage_connect(&s, WT, 1);
    for (int i = 0; i < 10; i++) {
        struct yo_message pong = {.op = YO_OP_PONG};
        stage_pass(&s, 20 * YO_MS);
        while (!stage_none(&s, conn, YO_OP_PING)) {
            pong.timestamp = stage_take(&s, conn, YO_OP_PING, NULL).timestamp;
        }
        stage_say(&s, conn, YO_LANE_CONTROL, &pong);
        stage_pass(&s, 4980 * YO_MS);
    }
    assert_false(conn->ended);
    assert_int_equal(yomo_client_rtt_us(s.client), 20000);
    stage_end(&s);
}

static void goaway_is_obeyed(void **state)
{
    struct stage s;
    (void)state;
    stage_begin(&s, NULL);
    struct fake_conn *conn = stage_connect(&s, WT, 1);
    const struct yo_message goaway = {.op = YO_OP_GOAWAY, .timestamp = 3000};
    stage_say(&s, conn, YO_LANE_CONTROL, &goaway);
    stage_story(&s, "connecting\nopen webtransport extension\nwaiting DRAINING\n");
    assert_true(conn->ended);
    assert_false(conn->aborted);
    stage_pass(&s, 2999 * YO_MS);
    stage_story(&s, "");
    stage_pass(&s, 1502 * YO_MS);
    stage_story(&s, "connecting\n");
    stage_end(&s);
}

static void goaway_to_another_url_of_the_same_scheme(void **state)
{
    struct stage s;
    (void)state;
    stage_begin(&s, NULL);
    struct fake_conn *conn = stage_connect(&s, WT, 1);
    const struct yo_message goaway = {
        .op = YO_OP_GOAWAY, .timestamp = 1, .text = yo_span_of("https://other:9443")};
    stage_say(&s, conn, YO_LANE_CONTROL, &goaway);
    stage_pass(&s, YO_SECOND);
    assert_string_equal(yo_client_target(s.client)->host, "other");
    assert_int_equal(yo_client_target(s.client)->port, 9443);
    /* Where it leads nowhere, the client goes back. */
    fake_closed(fake_last(&s.fake, WT), YO_CLOSE_RETRY, YOMO_ERR_UNREACHABLE, "",
                s.now);
    fake_closed(fake_last(&s.fake, WS), YO_CLOSE_RETRY, YOMO_ERR_UNREACHABLE, "",
                s.now);
    stage_run(&s);
    assert_string_equal(yo_client_target(s.client)->host, "stage");
    stage_end(&s);
}

static void goaway_to_a_weaker_scheme_is_not_followed(void **state)
{
    struct stage s;
    (void)state;
    stage_begin(&s, NULL);
    struct fake_conn *conn = stage_connect(&s, WT, 1);
    const struct yo_message goaway = {
        .op = YO_OP_GOAWAY, .timestamp = 1, .text = yo_span_of("http://other")};
    stage_say(&s, conn, YO_LANE_CONTROL, &goaway);
    stage_pass(&s, YO_SECOND);
    assert_string_equal(yo_client_target(s.client)->host, "stage");
    stage_end(&s);
}

static void closing_while_connecting_ends_at_once(void **state)
{
    struct stage s;
    (void)state;
    stage_begin(&s, NULL);
    assert_int_equal(yomo_client_connect(s.client), YOMO_OK);
    assert_int_equal(yomo_client_connect(s.client), YOMO_ERR_STATE);
    stage_run(&s);
    yomo_client_close(s.client);
    yomo_client_close(s.client);
    stage_run(&s);
    stage_story(&s, "connecting\nclosed\nover\n");
    stage_end(&s);
}

static void close_on_status(struct stage *s, const char *line)
{
    if (strncmp(line, "open", 4) == 0) {
        yomo_client_close(s->client);
    }
}

static void closing_inside_a_callback_is_fine(void **state)
{
    struct stage s;
    (void)state;
    stage_begin(&s, NULL);
    s.on_story = close_on_status;
    stage_connect(&s, WT, 1);
    stage_story(&s, "connecting\nopen webtransport extension\nclosed\nover\n");
    stage_end(&s);
}

static void a_late_hello_is_told_too(void **state)
{
    struct stage s;
    (void)state;
    stage_begin(&s, NULL);
    assert_int_equal(yomo_client_connect(s.client), YOMO_OK);
    stage_run(&s);
    struct fake_conn *conn = fake_last(&s.fake, WT);
    fake_open(conn, s.now);
    stage_pass(&s, 1500 * YO_MS);
    const struct yo_message hello = {.op = YO_OP_HELLO, .protocol = 1, .session = 9};
    stage_say(&s, conn, YO_LANE_CONTROL, &hello);
    stage_story(&s, "connecting\nopen webtransport presencejs\n"
                    "open webtransport extension\n");
    assert_int_equal(yomo_client_session(s.client), 9);
    stage_end(&s);
}

#define TEST(name) cmocka_unit_test_setup(name, forget_udp)

static void a_token_is_asked_for_in_time_and_shown_at_once(void **state)
{
    const char *options[] = {"token", "old", NULL};
    struct yo_message taken = {.op = YO_OP_TOKEN, .timestamp = 1000000};
    struct yo_message refused = {.op = YO_OP_TOKEN, .code = YOMO_ERR_AUTH};
    struct stage s;
    (void)state;
    stage_begin(&s, options);
    s.hello_ms = 100000;
    struct fake_conn *conn = stage_connect(&s, WT, 1);
    stage_story(&s, "connecting\nopen webtransport extension\n");
    assert_non_null(strstr(s.client->settings.target.path, "token=old"));
    for (int i = 0; i < 10; i++) { /* the server is there all the time */
        stage_pass(&s, 7400 * YO_MS);
        stage_say(&s, conn, YO_LANE_CONTROL,
                  &(struct yo_message){.op = YO_OP_PING, .timestamp = 1});
    }
    stage_story(&s, "");
    stage_pass(&s, YO_SECOND);
    stage_story(&s, "token 25000 OK\n");
    assert_int_equal(yomo_client_set_token(s.client, "new"), YOMO_OK);
    stage_run(&s);
    assert_true(yo_span_is(stage_take(&s, conn, YO_OP_TOKEN, NULL).token, "new"));
    stage_say(&s, conn, YO_LANE_CONTROL, &refused);
    stage_story(&s, "token 25000 AUTH\n");
    assert_int_equal(yomo_client_set_token(s.client, "newer"), YOMO_OK);
    stage_run(&s);
    assert_true(yo_span_is(stage_take(&s, conn, YO_OP_TOKEN, NULL).token, "newer"));
    stage_say(&s, conn, YO_LANE_CONTROL, &taken);
    stage_story(&s, "");
    /* And it is the one for the next connection. */
    fake_closed(conn, YO_CLOSE_RETRY, YOMO_ERR_CLOSED, "", s.now);
    stage_pass(&s, YO_SECOND);
    assert_non_null(strstr(s.client->settings.target.path, "token=newer"));
    stage_end(&s);
}

static void a_token_from_before_the_connection_is_used_for_it(void **state)
{
    const char *options[] = {"token", "old", NULL};
    struct stage s;
    (void)state;
    stage_begin(&s, options);
    assert_int_equal(yomo_client_set_token(s.client, ""), YOMO_ERR_INVALID);
    assert_int_equal(yomo_client_set_token(s.client, "n w"), YOMO_OK);
    struct fake_conn *conn = stage_connect(&s, WT, 1);
    assert_non_null(strstr(s.client->settings.target.path, "token=n%20w"));
    assert_true(stage_none(&s, conn, YO_OP_TOKEN));
    stage_end(&s);
}

static void the_id_that_a_server_prescribes_is_taken_over(void **state)
{
    const char *options[] = {"id", "me", NULL};
    struct stage s;
    struct yo_message join;
    yomo_room *room;
    (void)state;
    stage_begin(&s, options);
    s.hello_id = "alice";
    struct fake_conn *conn = stage_connect(&s, WT, 1);
    assert_string_equal(yomo_client_id(s.client), "alice");
    assert_int_equal(yomo_client_join(s.client, "r", "{\"x\":1}", &room), YOMO_OK);
    stage_run(&s);
    join = stage_take(&s, conn, YO_OP_CHANNEL_JOIN, NULL);
    assert_true(yo_span_is(yo_mp_as_str(yo_mp_map_get(join.payload, "id")), "alice"));
    stage_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_connects_and_tells_how),
        TEST(an_empty_id_is_replaced_by_a_random_one),
        TEST(websocket_joins_the_race_and_may_win),
        TEST(where_udp_failed_websocket_starts_at_once_next_time),
        TEST(a_server_without_hello_is_presencejs),
        TEST(a_loss_is_followed_by_a_quick_attempt),
        TEST(a_close_without_a_reason_is_no_reason_to_stay_away),
        TEST(a_final_close_ends_the_client),
        TEST(attempts_may_be_bounded),
        TEST(waits_grow_until_the_client_was_open_for_a_while),
        TEST(a_silent_server_is_left),
        TEST(pongs_keep_it_and_give_the_round_trip_time),
        TEST(goaway_is_obeyed),
        TEST(goaway_to_another_url_of_the_same_scheme),
        TEST(goaway_to_a_weaker_scheme_is_not_followed),
        TEST(closing_while_connecting_ends_at_once),
        TEST(closing_inside_a_callback_is_fine),
        TEST(a_late_hello_is_told_too),
        TEST(a_token_is_asked_for_in_time_and_shown_at_once),
        TEST(a_token_from_before_the_connection_is_used_for_it),
        TEST(the_id_that_a_server_prescribes_is_taken_over),
    };
    return cmocka_run_group_tests_name("client/engine", tests, NULL, NULL);
}
