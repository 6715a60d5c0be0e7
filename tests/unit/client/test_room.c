/* SPDX-License-Identifier: MIT */
/* Rooms: joining, who is there, messages in and out, own state, leaving. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "client/udp_blocked.h"
#include "stage.h"
#include "wire/decode.h"
#include "wire/json.h"

#define WT YOMO_TRANSPORT_WEBTRANSPORT
#define WS YOMO_TRANSPORT_WEBSOCKET

static const struct stage_member bob = {11, "bob", "{\"x\":1}"};
static const struct stage_member eve = {12, "eve", "{}"};

/* Connected over WebTransport and in room "r" with bob. */
static struct fake_conn *begin_in_room(struct stage *s, const char *const *options,
                                       yomo_room **room)
{
    yo_udp_blocked_clear(yo_span_of("stage"), 443);
    stage_begin(s, options);
    struct fake_conn *conn = stage_connect(s, WT, 10);
    assert_int_equal(yomo_client_join(s->client, "r", "{\"me\":true}", room), YOMO_OK);
    stage_run(s);
    stage_admit(s, conn, "r", &bob, 1);
    s->story[0] = '\0';
    return conn;
}

/* The connection is lost, another comes, and the client joins again with `members`. */
static struct fake_conn *come_back(struct stage *s, struct fake_conn *conn,
                                   const struct stage_member *members, size_t count)
{
    fake_closed(conn, YO_CLOSE_RETRY, YOMO_ERR_CLOSED, "", s->now);
    for (int i = 0; i < 100 && s->client->phase != YO_PHASE_RACING; i++) {
        stage_pass(s, 10 * YO_MS);
    }
    conn = stage_accept(s, WT, 20);
    stage_admit(s, conn, "r", members, count);
    return conn;
}

static void change(struct stage *s, struct fake_conn *conn, enum yo_op op,
                   const struct stage_member *member, uint64_t version)
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
        .session = member->session,
        .version = version,
        .sequence = 100 + version,
        .payload = op == YO_OP_PEER_OFFLINE ? YO_SPAN_NONE : yo_buf_span(&state)};
    stage_say(s, conn, YO_LANE_CONTROL, &message);
    yo_buf_finish(&state);
}

static void a_join_before_the_connection_waits_for_it(void **state)
{
    struct stage s;
    yomo_room *room;
    (void)state;
    stage_begin(&s, NULL);
    assert_int_equal(yomo_client_join(s.client, "r", NULL, &room), YOMO_OK);
    struct fake_conn *conn = stage_connect(&s, WT, 10);
    stage_admit(&s, conn, "r", &bob, 1);
    stage_story(&s, "connecting\nopen webtransport extension\n"
                    "present r bob {\"id\":\"bob\",\"x\":1}\njoined r\n");
    assert_string_equal(yomo_room_name(room), "r");
    assert_ptr_equal(yomo_room_client(room), s.client);
    stage_end(&s);
    stage_story(&s, "left r OK\nclosed\nover\n");
}

static void the_own_state_carries_the_id(void **state)
{
    struct stage s;
    (void)state;
    stage_begin(&s, NULL);
    struct fake_conn *conn = stage_connect(&s, WT, 10);
    assert_int_equal(yomo_client_join(s.client, "r", NULL, NULL), YOMO_OK);
    stage_run(&s);
    struct yo_message join = stage_take(&s, conn, YO_OP_CHANNEL_JOIN, NULL);
    assert_true(yo_span_is(yo_mp_as_str(yo_mp_map_get(join.payload, "id")), "me"));
    stage_end(&s);
}

/* A room in which nothing but the state was set has a lane too: what was sent there and not
 * acknowledged is found by it when the session moves. */
static void a_state_goes_on_the_lane_that_the_room_has(void **state)
{
    struct stage s;
    yomo_room *room;
    uint32_t lane = 0;
    (void)state;
    stage_begin(&s, NULL);
    struct fake_conn *conn = stage_connect(&s, WT, 10);
    assert_int_equal(yomo_client_join(s.client, "r", NULL, &room), YOMO_OK);
    stage_run(&s);
    stage_admit(&s, conn, "r", NULL, 0);
    assert_int_equal(yomo_room_set_state(room, "{\"x\":1}"), YOMO_OK);
    stage_run(&s);
    (void)stage_take(&s, conn, YO_OP_PEER_STATE, &lane);
    assert_true(lane >= YO_LANE_ROOMS);
    assert_int_equal(room->lane, lane);
    stage_end(&s);
}

static void a_join_may_bring_its_state_as_json_or_bytes(void **state)
{
    struct stage s;
    yomo_join *join = NULL;
    yomo_room *room;
    (void)state;
    stage_begin(&s, NULL);
    struct fake_conn *conn = stage_connect(&s, WT, 10);
    assert_int_equal(yomo_join_create(&join, s.client), YOMO_OK);
    assert_int_equal(yomo_client_join_with(s.client, "none", join, NULL), YOMO_OK);
    assert_int_equal(yomo_join_set_state(join, "{\"x\":1}"), YOMO_OK);
    assert_int_equal(yomo_join_set_state(join, "[1]"), YOMO_ERR_JSON);
    assert_int_equal(yomo_client_join_with(s.client, "json", join, &room), YOMO_OK);
    assert_int_equal(yomo_client_join_with(s.client, "json", join, &room),
                     YOMO_ERR_EXISTS);
    assert_int_equal(yomo_client_join_with(s.client, "", join, &room),
                     YOMO_ERR_INVALID);
    assert_int_equal(yomo_join_set_state_bytes(join, NULL, 0), YOMO_OK);
    assert_int_equal(yomo_client_join_with(s.client, "empty", join, NULL), YOMO_OK);
    assert_int_equal(yomo_join_set_state_bytes(join, "\1\2", 2), YOMO_OK);
    assert_int_equal(yomo_client_join_with(s.client, "bytes", join, NULL), YOMO_OK);
    assert_int_equal(yomo_client_join_with(s.client, "null", NULL, NULL), YOMO_OK);
    yomo_join_free(join);
    yomo_join_free(NULL);
    stage_run(&s);

    static const char *const expected[][2] = {
        {"none", "{\"id\":\"me\"}"},
        {"json", "{\"id\":\"me\",\"x\":1}"},
        {"empty", "{\"id\":\"me\",\"bytes\":{\"base64\":\"\"}}"},
        {"bytes", "{\"id\":\"me\",\"bytes\":{\"base64\":\"AQI=\"}}"},
        {"null", "{\"id\":\"me\"}"}};
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        struct yo_message asked = stage_take(&s, conn, YO_OP_CHANNEL_JOIN, NULL);
        struct yo_buf text;
        yo_buf_init(&text, &yo_mem_libc);
        assert_true(yo_span_is(asked.channel, expected[i][0]));
        assert_int_equal(yo_mp_to_json(&text, asked.payload), YOMO_OK);
        assert_true(yo_span_is(yo_buf_span(&text), expected[i][1]));
        assert_false(asked.observe);
        yo_buf_finish(&text);
    }
    stage_end(&s);
}

static void an_observer_is_not_seen(void **state)
{
    struct stage s;
    yomo_join *join;
    yomo_room *room;
    (void)state;
    stage_begin(&s, NULL);
    struct fake_conn *conn = stage_connect(&s, WT, 10);
    assert_int_equal(yomo_join_create(&join, s.client), YOMO_OK);
    assert_int_equal(yomo_join_set_state(join, "{}"), YOMO_OK);
    assert_int_equal(yomo_join_set_observe(join, 1), YOMO_OK);
    assert_int_equal(yomo_client_join_with(s.client, "r", join, &room), YOMO_OK);
    yomo_join_free(join);
    stage_run(&s);
    for (int i = 0; i < 2; i++) { /* again after a loss */
        struct yo_message asked = stage_take(&s, conn, YO_OP_CHANNEL_JOIN, NULL);
        assert_true(asked.observe);
        assert_null(asked.payload.data);
        assert_int_equal(yomo_room_observes(room), i);
        const struct yo_message ack = {.op = YO_OP_CHANNEL_JOIN,
                                       .channel = yo_span_of("r"),
                                       .peer = yo_span("", 0),
                                       .sequence = 3,
                                       .observe = true};
        const struct yo_message page = {.op = YO_OP_SNAPSHOT,
                                        .channel = yo_span_of("r"),
                                        .sequence = 3,
                                        .members = yo_span("\x90", 1)};
        stage_say(&s, conn, YO_LANE_CONTROL, &ack);
        stage_say(&s, conn, YO_LANE_CONTROL, &page);
        assert_int_equal(yomo_room_observes(room), 1);
        assert_int_equal(yomo_room_set_state(room, "{}"), YOMO_ERR_DENIED);
        stage_run(&s);
        assert_true(stage_none(&s, conn, YO_OP_PEER_STATE));
        if (i == 0) {
            fake_closed(conn, YO_CLOSE_RETRY, YOMO_ERR_CLOSED, "", s.now);
            for (int t = 0; t < 100 && s.client->phase != YO_PHASE_RACING; t++) {
                stage_pass(&s, 10 * YO_MS);
            }
            conn = stage_accept(&s, WT, 20);
        }
    }
    stage_end(&s);
}

/* What the newest roster says of eve. */
static void expect_data(yomo_room *room, const char *data)
{
    yomo_peers *peers;
    assert_int_equal(yomo_room_peers(room, &peers), YOMO_OK);
    assert_string_equal(yomo_peer_data(yomo_peers_at(peers, 1), NULL), data);
    yomo_peers_free(peers);
}

static void what_a_token_says_of_a_peer_is_kept(void **state)
{
    struct stage s;
    yomo_room *room;
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, NULL, &room);
    struct yo_message message = {.op = YO_OP_PEER_ONLINE,
                                 .channel = yo_span_of("r"),
                                 .peer = yo_span_of("eve"),
                                 .session = 12,
                                 .sequence = 100,
                                 .data = yo_span("\x81\xa1r\x01", 4)};
    stage_say(&s, conn, 2, &message);
    stage_story(&s, "came r eve {}\n");
    expect_data(room, "{\"r\":1}");
    change(&s, conn, YO_OP_PEER_STATE, &eve, 2); /* another state: the data stay */
    stage_story(&s, "state r eve {\"id\":\"eve\"}\n");
    expect_data(room, "{\"r\":1}");
    message.op = YO_OP_PEER_STATE;
    message.sequence = 103;
    message.payload = yo_span("\x81\xa2id\xa3"
                              "eve",
                              8);
    message.data = yo_span("\x80", 1);
    stage_say(&s, conn, 2, &message);
    stage_story(&s, "state r eve {\"id\":\"eve\"}\n");
    expect_data(room, "{}");
    message.sequence = 104; /* no map: it is not used */
    message.data = yo_span("\xc0", 1);
    stage_say(&s, conn, 2, &message);
    stage_story(&s, "");
    assert_string_equal(yomo_peer_data(NULL, NULL), "{}");
    stage_end(&s);
}

static char users_story[256];

static void on_user(void *user, yomo_room *room, const yomo_user *who, int32_t change)
{
    size_t used = strlen(users_story);
    (void)user, (void)room;
    snprintf(users_story + used, sizeof(users_story) - used, "%s%s%u ",
             change == YOMO_PEER_LEFT      ? "-"
             : change == YOMO_PEER_PRESENT ? "="
                                           : "+",
             yomo_user_id(who), (unsigned)yomo_user_devices(who));
}

static void expect_users(const char *expected)
{
    assert_string_equal(users_story, expected);
    users_story[0] = '\0';
}

static void one_on_several_devices_is_one_user(void **state)
{
    struct stage s;
    yomo_room *room;
    yomo_users *users;
    (void)state;
    static const struct stage_member phone = {21, "eve", "{\"on\":\"phone\"}"};
    const struct stage_member there[] = {{11, "bob", "{\"x\":1}"}, {12, "eve", "{}"}};
    yo_udp_blocked_clear(yo_span_of("stage"), 443);
    stage_begin(&s, NULL);
    s.client->on.on_user = on_user;
    struct fake_conn *conn = stage_connect(&s, WT, 10);
    assert_int_equal(yomo_client_join(s.client, "r", NULL, &room), YOMO_OK);
    stage_run(&s);
    stage_admit(&s, conn, "r", there, 2);
    expect_users("=bob1 =eve1 ");
    change(&s, conn, YO_OP_PEER_ONLINE, &phone, 1);
    expect_users("");
    assert_int_equal(yomo_room_users(room, &users), YOMO_OK);
    assert_int_equal(yomo_users_count(users), 2);
    assert_string_equal(yomo_user_id(yomo_users_at(users, 1)), "eve");
    assert_int_equal(yomo_user_devices(yomo_users_at(users, 1)), 2);
    assert_string_equal(yomo_user_state(yomo_users_at(users, 1), NULL),
                        "{\"id\":\"eve\",\"on\":\"phone\"}");
    assert_null(yomo_users_at(users, 2));
    yomo_users_free(users);
    change(&s, conn, YO_OP_PEER_STALE, &phone, 2);
    change(&s, conn, YO_OP_PEER_BACK, &phone, 3);
    change(&s, conn, YO_OP_PEER_OFFLINE, &eve, 4);
    expect_users(""); /* the phone is left */
    /* After a loss it is there with another session. */
    const struct stage_member back[] = {{31, "bob", "{}"}, {32, "zoe", "{}"}};
    conn = come_back(&s, conn, back, 2);
    expect_users("+zoe1 -eve0 ");
    change(&s, conn, YO_OP_PEER_OFFLINE, &back[0], 4);
    expect_users("-bob0 ");
    stage_end(&s);
}

static void peers_come_change_and_go(void **state)
{
    struct stage s;
    yomo_room *room;
    yomo_peers *peers;
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, NULL, &room);
    const struct stage_member changed = {12, "eve", "{\"y\":2}"};
    change(&s, conn, YO_OP_PEER_ONLINE, &eve, 1);
    change(&s, conn, YO_OP_PEER_STATE, &changed, 2);
    stage_story(&s,
                "came r eve {\"id\":\"eve\"}\nstate r eve {\"id\":\"eve\",\"y\":2}\n");
    assert_int_equal(yomo_room_peers(room, &peers), YOMO_OK);
    assert_int_equal(yomo_peers_count(peers), 2);
    assert_string_equal(yomo_peer_id(yomo_peers_at(peers, 0)), "bob");
    assert_string_equal(yomo_peer_id(yomo_peers_at(peers, 1)), "eve");
    change(&s, conn, YO_OP_PEER_OFFLINE, &bob, 3);
    stage_story(&s, "went r bob {\"id\":\"bob\",\"x\":1}\n");
    stage_end(&s);
    assert_int_equal(yomo_peers_count(peers), 2); /* outlives the client */
    yomo_peers_free(peers);
}

static void after_a_loss_only_the_differences_are_told(void **state)
{
    struct stage s;
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, NULL, NULL);
    const struct stage_member back[] = {{11, "bob", "{\"x\":2}"}, {12, "eve", "{}"}};
    change(&s, conn, YO_OP_PEER_ONLINE, &(struct stage_member){13, "zoe", "{}"}, 1);
    s.story[0] = '\0';
    conn = come_back(&s, conn, back, 2);
    stage_story(&s,
                "waiting CLOSED\nconnecting\nopen webtransport extension\n"
                "state r bob {\"id\":\"bob\",\"x\":2}\ncame r eve {\"id\":\"eve\"}\n"
                "went r zoe {\"id\":\"zoe\"}\njoined r\n");
    come_back(&s, conn, back, 2);
    stage_story(&s,
                "waiting CLOSED\nconnecting\nopen webtransport extension\njoined r\n");
    stage_end(&s);
}

static void messages_reach_the_program_and_its_subscribers(void **state)
{
    struct stage s;
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, NULL, NULL);
    stage_data(&s, conn, "r", &bob, "cur", "{\"x\":1}");
    stage_data(&s, conn, "unknown", &bob, "cur", "{\"x\":1}");
    stage_story(&s, "message r bob cur {\"x\":1}\n");
    stage_data(&s, conn, "r", &bob, "cur",
               "{x"); /* a peer that sends what is no JSON */
    stage_story(&s, "");
    stage_end(&s);
}

struct heard {
    char text[256];
    yomo_room *room;
    uint64_t first, second;
};

static void hear(void *user, yomo_room *room, const yomo_message *message)
{
    struct heard *heard = user;
    (void)room;
    strcat(heard->text, yomo_message_event(message));
    strcat(heard->text, " ");
}

static void hear_once(void *user, yomo_room *room, const yomo_message *message)
{
    struct heard *heard = user;
    (void)message;
    strcat(heard->text, "once ");
    assert_int_equal(yomo_room_unsubscribe(room, heard->first), YOMO_OK);
    assert_int_equal(yomo_room_unsubscribe(room, heard->first), YOMO_ERR_NOT_FOUND);
    assert_int_equal(yomo_room_unsubscribe(room, heard->second), YOMO_OK);
    assert_int_equal(yomo_room_subscribe(room, NULL, hear, heard, NULL), YOMO_OK);
}

static void subscriptions_may_change_while_they_are_told(void **state)
{
    struct stage s;
    struct heard heard = {.text = ""};
    yomo_room *room;
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, NULL, &room);
    assert_int_equal(yomo_room_subscribe(room, "a", hear, &heard, NULL), YOMO_OK);
    assert_int_equal(yomo_room_subscribe(room, "b", hear_once, &heard, &heard.first),
                     YOMO_OK);
    assert_int_equal(yomo_room_subscribe(room, NULL, hear, &heard, &heard.second),
                     YOMO_OK);
    stage_data(&s, conn, "r", &bob, "a", "1");
    assert_string_equal(heard.text, "a a ");
    stage_data(&s, conn, "r", &bob, "b", "1");
    assert_string_equal(heard.text,
                        "a a once "); /* the later one was cancelled in time */
    stage_data(&s, conn, "r", &bob, "b", "1");
    assert_string_equal(heard.text, "a a once b ");
    assert_int_equal(yomo_room_subscribe(room, "", hear, NULL, NULL), YOMO_ERR_INVALID);
    assert_int_equal(yomo_room_unsubscribe(room, 9999), YOMO_ERR_NOT_FOUND);
    stage_end(&s);
}

static void each_delivery_takes_its_way(void **state)
{
    struct stage s;
    yomo_room *room;
    uint32_t lane;
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, NULL, &room);
    assert_int_equal(yomo_room_broadcast(room, "a", "1", YOMO_RELIABLE), YOMO_OK);
    assert_int_equal(yomo_room_broadcast(room, "b", "2", YOMO_UNRELIABLE), YOMO_OK);
    assert_int_equal(yomo_room_broadcast(room, "c", "3", YOMO_LATEST), YOMO_OK);
    stage_run(&s);
    struct yo_message data = stage_take(&s, conn, YO_OP_DATA, &lane);
    assert_true(lane >= YO_LANE_ROOMS);
    assert_int_equal(data.delivery, YOMO_RELIABLE);
    data = stage_take(&s, conn, YO_OP_DATA, &lane);
    assert_int_equal(lane, YO_LANE_DATAGRAM);
    assert_int_equal(data.delivery, YOMO_LATEST);
    assert_int_equal(data.version, 1);
    data = stage_take(&s, conn, YO_OP_DATA, &lane);
    assert_int_equal(lane, YO_LANE_DATAGRAM);
    assert_int_equal(data.delivery, YOMO_UNRELIABLE);
    stage_end(&s);
}

static void what_is_too_big_for_a_datagram_goes_by_stream(void **state)
{
    struct stage s;
    yomo_room *room;
    uint32_t lane;
    char data[3000];
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, NULL, &room);
    memset(data, 'x', sizeof(data));
    assert_int_equal(
        yomo_room_broadcast_bytes(room, "a", data, sizeof(data), YOMO_UNRELIABLE),
        YOMO_OK);
    stage_run(&s);
    (void)stage_take(&s, conn, YO_OP_DATA, &lane);
    assert_true(lane >= YO_LANE_ROOMS);
    stage_end(&s);
}

static void a_latest_value_is_replaced_while_it_waits(void **state)
{
    struct stage s;
    yomo_room *room;
    uint64_t first, second;
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, NULL, &room);
    conn->send_result = YOMO_ERR_AGAIN;
    assert_int_equal(
        yomo_room_send(room, "c", "1", 1, YOMO_JSON, YOMO_LATEST, "k", &first),
        YOMO_OK);
    assert_int_equal(
        yomo_room_send(room, "c", "2", 1, YOMO_JSON, YOMO_LATEST, "k", &second),
        YOMO_OK);
    stage_run(&s);
    stage_story(&s, "sent 1 EXISTS\n");
    fake_writable(conn, s.now);
    stage_run(&s);
    struct yo_message data = stage_take(&s, conn, YO_OP_DATA, NULL);
    assert_int_equal(data.version, 2);
    assert_int_equal(data.number, second);
    assert_true(yo_span_is(data.key, "k"));
    assert_true(stage_none(&s, conn, YO_OP_DATA));
    stage_end(&s);
    (void)first;
}

static uint64_t last_token(const struct fake_conn *conn)
{
    return conn->sent[conn->sent_count - 1].token;
}

static void a_lost_latest_value_goes_out_again(void **state)
{
    struct stage s;
    yomo_room *room;
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, NULL, &room);
    assert_int_equal(yomo_room_broadcast(room, "c", "1", YOMO_LATEST), YOMO_OK);
    stage_run(&s);
    struct yo_message data = stage_take(&s, conn, YO_OP_DATA, NULL);
    assert_true(last_token(conn) != 0);
    fake_fate(conn, last_token(conn), YO_FATE_LOST, s.now);
    stage_run(&s);
    data = stage_take(&s, conn, YO_OP_DATA, NULL);
    assert_int_equal(data.version, 1);
    fake_fate(conn, last_token(conn), YO_FATE_ACKED, s.now);
    stage_run(&s);
    assert_true(stage_none(&s, conn, YO_OP_DATA));
    stage_end(&s);
}

static void the_server_confirms_what_was_numbered(void **state)
{
    struct stage s;
    yomo_room *room;
    uint64_t id;
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, NULL, &room);
    assert_int_equal(
        yomo_room_send(room, "a", "1", 1, YOMO_JSON, YOMO_RELIABLE, NULL, &id),
        YOMO_OK);
    stage_run(&s);
    struct yo_message data = stage_take(&s, conn, YO_OP_DATA, NULL);
    assert_int_equal(data.number, id);
    stage_story(&s, "");
    const struct yo_message ack = {
        .op = YO_OP_ACK, .channel = yo_span_of("r"), .number = id, .sequence = 5};
    stage_say(&s, conn, YO_LANE_CONTROL, &ack);
    stage_story(&s, "sent 1 OK\n");
    assert_int_equal(
        yomo_room_send(room, "a", "1", 1, YOMO_JSON, YOMO_RELIABLE, NULL, &id),
        YOMO_OK);
    stage_run(&s);
    const struct yo_message error = {.op = YO_OP_ERROR,
                                     .channel = yo_span_of("r"),
                                     .number = id,
                                     .code = YOMO_ERR_RATE};
    stage_say(&s, conn, YO_LANE_CONTROL, &error);
    stage_story(&s, "sent 2 RATE\n");
    stage_end(&s);
}

/* Answers to what was never said, or was answered before, are passed over. */
static void confirmations_of_nothing_are_passed_over(void **state)
{
    static const uint64_t numbers[] = {0, 1, 2, 3, 77, UINT64_MAX};
    struct stage s;
    yomo_room *room;
    uint64_t id;
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, NULL, &room);
    assert_int_equal(
        yomo_room_send(room, "a", "1", 1, YOMO_JSON, YOMO_RELIABLE, NULL, &id),
        YOMO_OK);
    stage_run(&s);
    stage_take(&s, conn, YO_OP_DATA, NULL);
    struct yo_message ack = {
        .op = YO_OP_ACK, .channel = yo_span_of("r"), .number = id, .sequence = 5};
    stage_say(&s, conn, YO_LANE_CONTROL, &ack);
    stage_story(&s, "sent 1 OK\n");
    for (int op = 0; op < 2; op++) {
        for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
            ack.op = op == 0 ? YO_OP_ACK : YO_OP_ERROR;
            ack.code = op == 0 ? 0 : YOMO_ERR_RATE;
            ack.number = op == 1 && numbers[i] == 0 ? 9 : numbers[i];
            ack.channel = yo_span_of(i % 2 ? "r" : "elsewhere");
            stage_say(&s, conn, YO_LANE_CONTROL, &ack);
            ack.read = numbers[i]; /* "so many were read" */
            ack.number = 0;
            if (op == 0) {
                stage_say(&s, conn, YO_LANE_CONTROL, &ack);
            }
            ack.read = 0;
        }
    }
    stage_story(&s, "");
    assert_int_equal(
        yomo_room_send(room, "a", "1", 1, YOMO_JSON, YOMO_RELIABLE, NULL, &id),
        YOMO_OK);
    stage_run(&s);
    ack = (struct yo_message){
        .op = YO_OP_ACK, .channel = yo_span_of("r"), .number = id, .sequence = 6};
    stage_take(&s, conn, YO_OP_DATA, NULL);
    stage_say(&s, conn, YO_LANE_CONTROL, &ack);
    stage_story(&s, "sent 2 OK\n");
    stage_end(&s);
}

static void a_lost_unreliable_message_is_told_when_asked_for(void **state)
{
    struct stage s;
    yomo_room *room;
    uint64_t id;
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, NULL, &room);
    assert_int_equal(
        yomo_room_send(room, "a", "1", 1, YOMO_JSON, YOMO_UNRELIABLE, NULL, &id),
        YOMO_OK);
    stage_run(&s);
    fake_fate(conn, last_token(conn), YO_FATE_LOST, s.now);
    stage_story(&s, "sent 1 TIMEOUT\n");
    stage_end(&s);
}

static void what_was_not_confirmed_when_the_connection_went_is_told(void **state)
{
    struct stage s;
    yomo_room *room;
    uint64_t id;
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, NULL, &room);
    assert_int_equal(
        yomo_room_send(room, "a", "1", 1, YOMO_JSON, YOMO_RELIABLE, NULL, &id),
        YOMO_OK);
    stage_run(&s);
    conn->send_result = YOMO_ERR_AGAIN; /* this one has not gone out */
    assert_int_equal(
        yomo_room_send(room, "b", "1", 1, YOMO_JSON, YOMO_RELIABLE, NULL, &id),
        YOMO_OK);
    stage_run(&s);
    conn = come_back(&s, conn, &bob, 1);
    stage_story(&s, "sent 1 UNSURE\nwaiting CLOSED\nconnecting\n"
                    "open webtransport extension\njoined r\n");
    struct yo_message data = stage_take(&s, conn, YO_OP_DATA, NULL);
    assert_int_equal(data.number, 2);
    assert_true(stage_none(&s, conn, YO_OP_DATA));
    stage_end(&s);
}

static void while_away_reliable_and_latest_wait_and_unreliable_does_not(void **state)
{
    struct stage s;
    yomo_room *room;
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, NULL, &room);
    fake_closed(conn, YO_CLOSE_RETRY, YOMO_ERR_CLOSED, "", s.now);
    stage_run(&s);
    assert_int_equal(yomo_room_broadcast(room, "a", "1", YOMO_RELIABLE), YOMO_OK);
    assert_int_equal(yomo_room_broadcast(room, "b", "2", YOMO_UNRELIABLE), YOMO_OK);
    assert_int_equal(yomo_room_broadcast(room, "c", "3", YOMO_LATEST), YOMO_OK);
    assert_int_equal(yomo_room_broadcast(room, "c", "4", YOMO_LATEST), YOMO_OK);
    stage_pass(&s, 250 * YO_MS);
    conn = stage_accept(&s, WT, 20);
    assert_true(stage_none(&s, conn, YO_OP_DATA)); /* not before the room is joined */
    stage_admit(&s, conn, "r", &bob, 1);
    struct yo_message data = stage_take(&s, conn, YO_OP_DATA, NULL);
    assert_int_equal(data.delivery, YOMO_RELIABLE);
    data = stage_take(&s, conn, YO_OP_DATA, NULL);
    assert_int_equal(data.delivery, YOMO_LATEST);
    assert_int_equal(data.version, 2);
    assert_true(stage_none(&s, conn, YO_OP_DATA));
    stage_end(&s);
}

static void a_room_that_is_not_joined_holds_up_nobody_else(void **state)
{
    struct stage s;
    yomo_room *room, *other;
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, NULL, &room);
    assert_int_equal(yomo_client_join(s.client, "slow", NULL, &other), YOMO_OK);
    assert_int_equal(yomo_room_broadcast(other, "a", "1", YOMO_RELIABLE), YOMO_OK);
    assert_int_equal(yomo_room_broadcast(room, "b", "2", YOMO_RELIABLE), YOMO_OK);
    stage_run(&s);
    struct yo_message data = stage_take(&s, conn, YO_OP_DATA, NULL);
    assert_true(yo_span_is(data.channel, "r"));
    assert_true(stage_none(&s, conn, YO_OP_DATA));
    stage_end(&s);
}

static void several_own_states_in_one_turn_are_told_once(void **state)
{
    struct stage s;
    yomo_room *room;
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, NULL, &room);
    assert_int_equal(yomo_room_set_state(room, "{\"n\":1}"), YOMO_OK);
    assert_int_equal(yomo_room_set_state(room, "{\"n\":2}"), YOMO_OK);
    assert_int_equal(yomo_room_set_state(room, "{\"n\":3}"), YOMO_OK);
    stage_run(&s);
    struct yo_message told = stage_take(&s, conn, YO_OP_PEER_STATE, NULL);
    struct yo_mp_reader reader;
    yo_mp_reader_init(&reader, yo_mp_map_get(told.payload, "n"));
    assert_int_equal(yo_mp_read_uint(&reader), 3);
    assert_true(stage_none(&s, conn, YO_OP_PEER_STATE));
    /* After a loss the room is joined with the last one. */
    fake_closed(conn, YO_CLOSE_RETRY, YOMO_ERR_CLOSED, "", s.now);
    stage_pass(&s, 250 * YO_MS);
    conn = stage_accept(&s, WT, 20);
    struct yo_message join = stage_take(&s, conn, YO_OP_CHANNEL_JOIN, NULL);
    yo_mp_reader_init(&reader, yo_mp_map_get(join.payload, "n"));
    assert_int_equal(yo_mp_read_uint(&reader), 3);
    stage_end(&s);
}

static void a_refused_join_ends_the_room(void **state)
{
    struct stage s;
    yomo_room *room;
    (void)state;
    stage_begin(&s, NULL);
    struct fake_conn *conn = stage_connect(&s, WT, 10);
    assert_int_equal(yomo_client_join(s.client, "r", NULL, &room), YOMO_OK);
    yomo_room_ref(room);
    stage_run(&s);
    s.story[0] = '\0';
    const struct yo_message refusal = {.op = YO_OP_ERROR,
                                       .channel = yo_span_of("r"),
                                       .code = YOMO_ERR_DENIED,
                                       .text = yo_span_of("not for you")};
    stage_say(&s, conn, YO_LANE_CONTROL, &refusal);
    stage_story(&s, "left r DENIED not for you\n");
    assert_int_equal(yomo_room_broadcast(room, "a", "1", YOMO_RELIABLE),
                     YOMO_ERR_CLOSED);
    assert_int_equal(yomo_room_set_state(room, NULL), YOMO_ERR_CLOSED);
    yomo_room_leave(room);
    yomo_room_unref(room);
    assert_int_equal(yomo_client_join(s.client, "r", NULL, NULL), YOMO_OK);
    stage_end(&s);
}

static void leaving_is_answered(void **state)
{
    struct stage s;
    yomo_room *room;
    uint32_t lane;
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, NULL, &room);
    assert_int_equal(yomo_client_join(s.client, "r", NULL, NULL), YOMO_ERR_EXISTS);
    assert_int_equal(yomo_room_broadcast(room, "a", "1", YOMO_RELIABLE), YOMO_OK);
    yomo_room_leave(room);
    yomo_room_leave(room);
    assert_int_equal(yomo_room_broadcast(room, "a", "1", YOMO_RELIABLE),
                     YOMO_ERR_CLOSED);
    stage_run(&s);
    (void)stage_take(&s, conn, YO_OP_DATA, NULL); /* went out first */
    struct yo_message leave = stage_take(&s, conn, YO_OP_PEER_OFFLINE, &lane);
    assert_true(yo_span_is(leave.channel, "r"));
    assert_true(lane >= YO_LANE_ROOMS);
    assert_int_equal(conn->ended_lane, 0); /* the leave is still to go there */
    stage_story(&s, "");
    const struct yo_message left = {.op = YO_OP_CHANNEL_LEAVE,
                                    .channel = yo_span_of("r")};
    stage_say(&s, conn, YO_LANE_CONTROL, &left);
    stage_story(&s, "left r OK\n");
    assert_int_equal(conn->ended_lane, lane);
    stage_end(&s);
}

static void leaving_while_away_is_done_at_once(void **state)
{
    struct stage s;
    yomo_room *room;
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, NULL, &room);
    fake_closed(conn, YO_CLOSE_RETRY, YOMO_ERR_CLOSED, "", s.now);
    stage_run(&s);
    yomo_room_leave(room);
    stage_run(&s);
    stage_story(&s, "waiting CLOSED\nleft r OK\n");
    stage_end(&s);
}

static void being_put_out_is_told(void **state)
{
    struct stage s;
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, NULL, NULL);
    const struct yo_message out = {
        .op = YO_OP_CHANNEL_LEAVE, .channel = yo_span_of("r"), .code = YOMO_ERR_KICKED};
    stage_say(&s, conn, YO_LANE_CONTROL, &out);
    stage_story(&s, "left r KICKED\n");
    stage_end(&s);
}

static void closing_sends_what_waits_first(void **state)
{
    struct stage s;
    yomo_room *room;
    uint64_t id;
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, NULL, &room);
    assert_int_equal(
        yomo_room_send(room, "a", "1", 1, YOMO_JSON, YOMO_RELIABLE, NULL, &id),
        YOMO_OK);
    yomo_client_close(s.client);
    stage_run(&s);
    (void)stage_take(&s, conn, YO_OP_DATA, NULL);
    assert_false(conn->ended); /* it waits for the server's word */
    const struct yo_message ack = {
        .op = YO_OP_ACK, .channel = yo_span_of("r"), .number = id, .sequence = 5};
    stage_say(&s, conn, YO_LANE_CONTROL, &ack);
    assert_true(conn->ended);
    assert_int_equal(conn->how.kind, YO_CLOSE_DONE);
    stage_story(&s, "sent 1 OK\nleft r OK\nclosed\nover\n");
    stage_end(&s);
}

static void closing_does_not_wait_for_ever(void **state)
{
    static const char *const options[] = {"linger", "500ms", NULL};
    struct stage s;
    yomo_room *room;
    uint64_t id;
    (void)state;
    begin_in_room(&s, options, &room);
    assert_int_equal(
        yomo_room_send(room, "a", "1", 1, YOMO_JSON, YOMO_RELIABLE, NULL, &id),
        YOMO_OK);
    yomo_client_close(s.client);
    stage_pass(&s, 499 * YO_MS);
    stage_story(&s, "");
    stage_pass(&s, 1 * YO_MS);
    stage_story(&s, "sent 1 UNSURE\nleft r OK\nclosed\nover\n");
    stage_end(&s);
}

static void what_the_calls_refuse(void **state)
{
    static const char *const options[] = {"queue-size", "4k", NULL};
    struct stage s;
    yomo_room *room;
    char big[70000], name[300];
    (void)state;
    begin_in_room(&s, options, &room);
    memset(big, '1', sizeof(big));
    memset(name, 'n', sizeof(name));
    name[256] = big[sizeof(big) - 1] = '\0';
    assert_int_equal(yomo_client_join(s.client, "", NULL, NULL), YOMO_ERR_INVALID);
    assert_int_equal(yomo_client_join(s.client, name, NULL, NULL), YOMO_ERR_INVALID);
    assert_int_equal(yomo_client_join(s.client, "\xff", NULL, NULL), YOMO_ERR_INVALID);
    assert_int_equal(yomo_client_join(s.client, "x", "[]", NULL), YOMO_ERR_JSON);
    assert_int_equal(yomo_room_broadcast(room, "", "1", YOMO_RELIABLE),
                     YOMO_ERR_INVALID);
    assert_int_equal(yomo_room_broadcast(room, name, "1", YOMO_RELIABLE),
                     YOMO_ERR_INVALID);
    assert_int_equal(yomo_room_broadcast(room, "a", "1", 3), YOMO_ERR_INVALID);
    assert_int_equal(yomo_room_broadcast(room, "a", NULL, 0), YOMO_ERR_INVALID);
    assert_int_equal(yomo_room_broadcast(room, "a", "{", YOMO_RELIABLE), YOMO_ERR_JSON);
    assert_int_equal(yomo_room_broadcast(room, "a", "", YOMO_RELIABLE), YOMO_ERR_JSON);
    assert_int_equal(yomo_room_set_state(room, "1"), YOMO_ERR_JSON);
    assert_int_equal(
        yomo_room_broadcast_bytes(room, "a", big, sizeof(big), YOMO_RELIABLE),
        YOMO_ERR_TOO_BIG);
    assert_int_equal(yomo_room_set_state_bytes(room, big, sizeof(big)),
                     YOMO_ERR_TOO_BIG);
    assert_int_equal(yomo_room_broadcast_bytes(room, "a", big, 5000, YOMO_RELIABLE),
                     YOMO_ERR_FULL);
    assert_int_equal(yomo_room_broadcast_bytes(room, "a", big, 3000, YOMO_RELIABLE),
                     YOMO_OK);
    assert_int_equal(yomo_room_broadcast_bytes(room, "a", big, 3000, YOMO_RELIABLE),
                     YOMO_ERR_FULL);
    stage_run(&s);
    assert_int_equal(yomo_room_broadcast_bytes(room, "a", big, 3000, YOMO_RELIABLE),
                     YOMO_OK);
    stage_end(&s);
}

static void what_fits_the_limit_is_taken_and_sent(void **state)
{
    static const int32_t deliveries[] = {YOMO_RELIABLE, YOMO_UNRELIABLE, YOMO_LATEST};
    struct stage s;
    yomo_room *room;
    char event[256], *data = calloc(1, 70000); /* not on the stack */
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, NULL, &room);
    memset(event, 'e', 255);
    event[255] = '\0';
    for (size_t i = 0; i < 3; i++) {
        size_t most = yomo_room_limit(room, deliveries[i]);
        assert_in_range(most, 64000, 65536);
        assert_int_equal(yomo_room_send(room, event, data, most, YOMO_BYTES,
                                        deliveries[i], event, NULL),
                         YOMO_OK);
        stage_run(&s);
        (void)stage_take(&s, conn, YO_OP_DATA, NULL);
        assert_true(conn->sent[conn->sent_count - 1].message->size <= 65536);
        assert_int_equal(yomo_room_send(room, event, data, most + 700, YOMO_BYTES,
                                        deliveries[i], event, NULL),
                         YOMO_ERR_TOO_BIG);
    }
    assert_int_equal(yomo_room_limit(room, 7), 0);
    free(data);
    stage_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_join_before_the_connection_waits_for_it),
        cmocka_unit_test(the_own_state_carries_the_id),
        cmocka_unit_test(a_state_goes_on_the_lane_that_the_room_has),
        cmocka_unit_test(a_join_may_bring_its_state_as_json_or_bytes),
        cmocka_unit_test(an_observer_is_not_seen),
        cmocka_unit_test(what_a_token_says_of_a_peer_is_kept),
        cmocka_unit_test(one_on_several_devices_is_one_user),
        cmocka_unit_test(peers_come_change_and_go),
        cmocka_unit_test(after_a_loss_only_the_differences_are_told),
        cmocka_unit_test(messages_reach_the_program_and_its_subscribers),
        cmocka_unit_test(subscriptions_may_change_while_they_are_told),
        cmocka_unit_test(each_delivery_takes_its_way),
        cmocka_unit_test(what_is_too_big_for_a_datagram_goes_by_stream),
        cmocka_unit_test(a_latest_value_is_replaced_while_it_waits),
        cmocka_unit_test(a_lost_latest_value_goes_out_again),
        cmocka_unit_test(the_server_confirms_what_was_numbered),
        cmocka_unit_test(confirmations_of_nothing_are_passed_over),
        cmocka_unit_test(a_lost_unreliable_message_is_told_when_asked_for),
        cmocka_unit_test(what_was_not_confirmed_when_the_connection_went_is_told),
        cmocka_unit_test(while_away_reliable_and_latest_wait_and_unreliable_does_not),
        cmocka_unit_test(a_room_that_is_not_joined_holds_up_nobody_else),
        cmocka_unit_test(several_own_states_in_one_turn_are_told_once),
        cmocka_unit_test(a_refused_join_ends_the_room),
        cmocka_unit_test(leaving_is_answered),
        cmocka_unit_test(leaving_while_away_is_done_at_once),
        cmocka_unit_test(being_put_out_is_told),
        cmocka_unit_test(closing_sends_what_waits_first),
        cmocka_unit_test(closing_does_not_wait_for_ever),
        cmocka_unit_test(what_the_calls_refuse),
        cmocka_unit_test(what_fits_the_limit_is_taken_and_sent),
    };
    return cmocka_run_group_tests_name("client/room", tests, NULL, NULL);
}
