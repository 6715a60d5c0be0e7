/* SPDX-License-Identifier: MIT */
/* A client of a backend that speaks presencejs only: no hello, no sessions, no answers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "client/udp_blocked.h"
#include "stage.h"

#define WT YOMO_TRANSPORT_WEBTRANSPORT
#define WS YOMO_TRANSPORT_WEBSOCKET

static const struct stage_member bob = {0, "bob", "{\"x\":1}"};

static void say_peer(struct stage *s, struct fake_conn *conn, enum yo_op op,
                     const struct stage_member *member)
{
    struct yo_buf state;
    yo_buf_init(&state, &yo_mem_libc);
    assert_int_equal(
        yo_state_from_json(&state, yo_span_of(member->id), yo_span_of(member->state)),
        YOMO_OK);
    const struct yo_message message = {
        .op = op,
        .channel = yo_span_of("r"),
        .peer = yo_span_of(member->id),
        .payload = op == YO_OP_PEER_STATE ? yo_buf_span(&state) : YO_SPAN_NONE};
    stage_say(s, conn, YO_LANE_DATAGRAM, &message);
    yo_buf_finish(&state);
}

static struct fake_conn *let_in(struct stage *s, enum yomo_transport_kind kind)
{
    const struct yo_message ack = {.op = YO_OP_CHANNEL_JOIN,
                                   .channel = yo_span_of("r"),
                                   .peer = yo_span("", 0),
                                   .mesh = yo_span_of("dev")};
    for (int i = 0; i < 100 && s->client->phase != YO_PHASE_RACING; i++) {
        stage_pass(s, 10 * YO_MS);
    }
    struct fake_conn *conn = fake_last(&s->fake, kind);
    fake_open(conn, s->now);
    stage_pass(s, 1100 * YO_MS); /* no hello comes */
    (void)stage_take(s, conn, YO_OP_CHANNEL_JOIN, NULL);
    stage_say(s, conn, YO_LANE_DATAGRAM, &ack);
    return conn;
}

static struct fake_conn *begin_in_room(struct stage *s, enum yomo_transport_kind kind,
                                       yomo_room **room)
{
    static const char *const websocket[] = {"transport", "websocket", NULL};
    yo_udp_blocked_clear(yo_span_of("stage"), 443);
    stage_begin(s, kind == WS ? websocket : NULL);
    assert_int_equal(yomo_client_join(s->client, "r", "{}", room), YOMO_OK);
    assert_int_equal(yomo_client_connect(s->client), YOMO_OK);
    stage_run(s);
    struct fake_conn *conn = let_in(s, kind);
    return conn;
}

static void it_joins_announces_itself_and_sees_the_others(void **state)
{
    struct stage s;
    yomo_room *room;
    uint32_t lane;
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, WT, &room);
    stage_story(&s, "connecting\nopen webtransport presencejs\njoined r\n");
    (void)stage_take(&s, conn, YO_OP_PEER_ONLINE, &lane);
    assert_int_equal(lane, YO_LANE_DATAGRAM);
    (void)stage_take(&s, conn, YO_OP_PEER_STATE, &lane);
    say_peer(&s, conn, YO_OP_PEER_STATE, &bob);
    stage_story(&s, "came r bob {\"id\":\"bob\",\"x\":1}\n");
    say_peer(&s, conn, YO_OP_PEER_STATE, &(struct stage_member){0, "me", "{}"});
    stage_story(&s, ""); /* itself, on another device */
    say_peer(&s, conn, YO_OP_PEER_OFFLINE, &bob);
    stage_story(&s, "went r bob {\"id\":\"bob\",\"x\":1}\n");
    stage_end(&s);
}

static void everything_goes_into_datagrams(void **state)
{
    struct stage s;
    yomo_room *room;
    uint32_t lane;
    uint64_t id;
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, WT, &room);
    assert_int_equal(
        yomo_room_send(room, "a", "1", 1, YOMO_JSON, YOMO_RELIABLE, NULL, &id),
        YOMO_OK);
    stage_run(&s);
    struct yo_message data = stage_take(&s, conn, YO_OP_DATA, &lane);
    assert_int_equal(lane, YO_LANE_DATAGRAM);
    assert_int_equal(data.number, 0); /* no key that presencejs does not know */
    assert_int_equal(data.version, 0);
    s.story[0] = '\0';
    fake_fate(conn, conn->sent[conn->sent_count - 1].token, YO_FATE_ACKED, s.now);
    stage_story(&s, "sent 1 OK\n");
    assert_int_equal(
        yomo_room_send(room, "a", "1", 1, YOMO_JSON, YOMO_LATEST, NULL, &id), YOMO_OK);
    stage_run(&s);
    fake_fate(conn, conn->sent[conn->sent_count - 1].token, YO_FATE_ACKED, s.now);
    stage_story(&s, "sent 2 OK\n");
    stage_end(&s);
}

static void what_no_datagram_takes_is_refused_by_the_call(void **state)
{
    struct stage s;
    yomo_room *room;
    char data[1200];
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, WT, &room);
    memset(data, 'x', sizeof(data));
    size_t most = yomo_room_limit(room, YOMO_RELIABLE);
    assert_in_range(most, 500, 1200);
    assert_int_equal(yomo_room_broadcast_bytes(room, "a", data, most, YOMO_RELIABLE),
                     YOMO_OK);
    stage_run(&s);
    (void)stage_take(&s, conn, YO_OP_DATA, NULL);
    assert_int_equal(
        yomo_room_broadcast_bytes(room, "a", data, sizeof(data), YOMO_RELIABLE),
        YOMO_ERR_TOO_BIG);
    stage_end(&s);
}

static void over_websocket_what_the_transport_took_was_sent(void **state)
{
    struct stage s;
    yomo_room *room;
    uint64_t id;
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, WS, &room);
    s.story[0] = '\0';
    assert_int_equal(
        yomo_room_send(room, "a", "1", 1, YOMO_JSON, YOMO_RELIABLE, NULL, &id),
        YOMO_OK);
    stage_run(&s);
    (void)stage_take(&s, conn, YO_OP_DATA, NULL);
    stage_story(&s, "sent 1 OK\n");
    stage_end(&s);
}

static void after_a_loss_the_others_get_time_to_show_themselves(void **state)
{
    struct stage s;
    yomo_room *room;
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, WT, &room);
    say_peer(&s, conn, YO_OP_PEER_STATE, &bob);
    say_peer(&s, conn, YO_OP_PEER_STATE, &(struct stage_member){0, "eve", "{}"});
    s.story[0] = '\0';
    fake_closed(conn, YO_CLOSE_RETRY, YOMO_ERR_CLOSED, "", s.now);
    conn = let_in(&s, WT);
    stage_story(&s,
                "waiting CLOSED\nconnecting\nopen webtransport presencejs\njoined r\n");
    say_peer(&s, conn, YO_OP_PEER_STATE, &bob);
    stage_story(&s, "");
    stage_pass(&s, 4 * YO_SECOND);
    stage_story(&s, "went r eve {\"id\":\"eve\"}\n");
    stage_end(&s);
}

static void a_late_hello_turns_it_into_the_extension(void **state)
{
    struct stage s;
    yomo_room *room;
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, WT, &room);
    say_peer(&s, conn, YO_OP_PEER_STATE, &bob);
    s.story[0] = '\0';
    const struct yo_message hello = {.op = YO_OP_HELLO, .protocol = 1, .session = 9};
    stage_say(&s, conn, YO_LANE_CONTROL, &hello);
    const struct stage_member same = {33, "bob", "{\"x\":1}"};
    stage_admit(&s, conn, "r", &same, 1);
    stage_story(&s, "open webtransport extension\ncame r bob {\"id\":\"bob\",\"x\":1}\n"
                    "went r bob {\"id\":\"bob\",\"x\":1}\njoined r\n");
    stage_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_joins_announces_itself_and_sees_the_others),
        cmocka_unit_test(everything_goes_into_datagrams),
        cmocka_unit_test(what_no_datagram_takes_is_refused_by_the_call),
        cmocka_unit_test(over_websocket_what_the_transport_took_was_sent),
        cmocka_unit_test(after_a_loss_the_others_get_time_to_show_themselves),
        cmocka_unit_test(a_late_hello_turns_it_into_the_extension),
    };
    return cmocka_run_group_tests_name("client/presencejs", tests, NULL, NULL);
}
