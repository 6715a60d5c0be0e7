/* SPDX-License-Identifier: MIT */
/* Every allocation of a client's life fails in turn: create, connect, join, messages
 * both ways, a loss, coming back, leaving, closing. Whatever fails, calls say so or the
 * client goes on over another connection, on_closed comes once, and nothing leaks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "client/udp_blocked.h"
#include "stage.h"
#include "support/fault.h"

#define WT YOMO_TRANSPORT_WEBTRANSPORT

static const struct stage_member bob = {11, "bob", "{\"x\":1}"};

static bool is_expected(struct fault *fault, int rv)
{
    return rv == YOMO_OK ||
           ((rv == YOMO_ERR_NOMEM || rv == YOMO_ERR_CLOSED) && fault->failed);
}

/* Let time pass until an attempt is under way, and let the server accept it. NULL when
 * the client does not get that far: the session could not be made, ... */
static struct fake_conn *reach(struct stage *s)
{
    for (int i = 0; i < 50; i++) {
        stage_pass(s, 20 * YO_MS);
        if (s->client->phase == YO_PHASE_RACING &&
            !s->fake.conns[s->fake.count - 1]->ended) {
            struct fake_conn *conn = stage_accept(s, WT, 10);
            if (s->client->phase == YO_PHASE_OPEN) {
                return conn;
            }
        }
    }
    return NULL;
}

static void admit(struct stage *s, struct fake_conn *conn)
{
    stage_run(s);
    if (!conn->ended && !stage_none(s, conn, YO_OP_CHANNEL_JOIN)) {
        stage_admit(s, conn, "r", &bob, 1);
    }
}

/* The server tells of values and of the lock, and answers. */
static void share(struct stage *s, struct fake_conn *conn, uint64_t lock)
{
    static const uint8_t payload[] = {0x82, 0xa5, 'e',  'v', 'e', 'n', 't', 0xa0,
                                      0xa4, 'd',  'a',  't', 'a', 0xa1, '1'};
    const struct yo_message told[] = {
        {.op = YO_OP_VALUE,
         .channel = yo_span_of("r"),
         .key = yo_span_of("v"),
         .payload = yo_span(payload, sizeof(payload)),
         .session = 11,
         .peer = yo_span_of("bob"),
         .sequence = 50},
        {.op = YO_OP_LOCK,
         .channel = yo_span_of("r"),
         .key = yo_span_of("l"),
         .session = 10,
         .peer = yo_span_of("alice"),
         .sequence = 51},
        {.op = YO_OP_ACK,
         .channel = yo_span_of("r"),
         .number = lock,
         .sequence = 51},
        {.op = YO_OP_VALUE,
         .channel = yo_span_of("r"),
         .key = yo_span_of("v"),
         .session = 11,
         .peer = yo_span_of("bob"),
         .sequence = 52},
    };
    for (size_t i = 0; i < sizeof(told) / sizeof(told[0]) && !conn->ended; i++) {
        if (told[i].op != YO_OP_ACK || lock != 0) {
            stage_say(s, conn, YO_LANE_CONTROL, &told[i]);
            stage_run(s);
        }
    }
}

static void talk(struct fault *fault, struct stage *s, yomo_room *room,
                 struct fake_conn *conn)
{
    yomo_peers *peers;
    yomo_users *users;
    yomo_values *values;
    uint64_t id, value = 0, lock = 0;
    assert_true(is_expected(fault, yomo_room_broadcast(room, "a", "1", YOMO_RELIABLE)));
    assert_true(
        is_expected(fault, yomo_room_broadcast(room, "b", "1", YOMO_UNRELIABLE)));
    assert_true(is_expected(
        fault, yomo_room_send(room, "c", "1", 1, YOMO_JSON, YOMO_LATEST, "k", &id)));
    assert_true(is_expected(fault, yomo_room_set_state(room, "{\"y\":1}")));
    assert_true(is_expected(
        fault, yomo_room_set_value_if(room, "v", "1", 1, YOMO_JSON, 0, &value)));
    assert_true(is_expected(fault, yomo_room_delete_value(room, "w", NULL)));
    assert_true(is_expected(fault, yomo_room_lock(room, "l", 3000, 60000, &lock)));
    stage_run(s);
    if (!conn->ended) {
        stage_data(s, conn, "r", &bob, "e", "{\"z\":1}");
    }
    share(s, conn, lock);
    int found = yomo_room_values(room, &values);
    assert_true(is_expected(fault, found));
    if (found == YOMO_OK) {
        yomo_values_free(values);
    }
    found = yomo_room_unlock(room, "l", NULL);
    assert_true(found == YOMO_ERR_NOT_FOUND || found == YOMO_ERR_STATE ||
                is_expected(fault, found));
    stage_run(s);
    int rv = yomo_room_peers(room, &peers);
    assert_true(is_expected(fault, rv));
    if (rv == YOMO_OK) {
        yomo_peers_free(peers);
    }
    rv = yomo_room_users(room, &users);
    assert_true(is_expected(fault, rv));
    if (rv == YOMO_OK) {
        yomo_users_free(users);
    }
}

static int join(struct fault *fault, struct stage *s, yomo_room **room)
{
    yomo_join *join;
    int rv = yomo_join_create(&join, s->client);
    if (rv == YOMO_OK) {
        rv = yomo_join_set_state(join, "{\"x\":1}");
        rv = rv == YOMO_OK ? yomo_client_join_with(s->client, "r", join, room) : rv;
        yomo_join_free(join);
    }
    assert_true(is_expected(fault, rv));
    return rv;
}

static void live(struct fault *fault, struct stage *s)
{
    yomo_room *room;
    assert_int_equal(yomo_client_connect(s->client), YOMO_OK);
    int rv = join(fault, s, &room);
    if (rv != YOMO_OK) {
        return;
    }
    yomo_room_ref(room);
    struct fake_conn *conn = reach(s);
    if (conn) {
        admit(s, conn);
        talk(fault, s, room, conn);
        if (!conn->ended) {
            fake_closed(conn, YO_CLOSE_RETRY, YOMO_ERR_CLOSED, "", s->now);
        }
        conn = reach(s);
    }
    if (conn) {
        admit(s, conn);
    }
    yomo_room_leave(room);
    stage_run(s);
    yomo_room_unref(room);
}

static void one_life(struct fault *fault, void *user)
{
    static const char *const options[] = {"transport", "webtransport",  "reconnect-max",
                                          "100ms",     "reconnect-min", "100ms",
                                          NULL};
    struct stage s;
    (void)user;
    int rv = stage_create(&s, &fault->mem, options);
    if (rv != YOMO_OK) {
        assert_true(is_expected(fault, rv));
        return;
    }
    live(fault, &s);
    stage_end(&s);
    assert_true(s.closed);
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    fault_each(one_life, NULL);
}

/* A loop of its own, made and given back. */
static void one_start(struct fault *fault, void *user)
{
    yomo_options *options;
    yomo_client *client;
    (void)user;
    assert_int_equal(yomo_options_create(&options, YOMO_SCOPE_CLIENT), YOMO_OK);
    int rv = yomo_options_set(options, "url", "ws://localhost:1");
    assert_int_equal(rv, YOMO_OK);
    rv = yomo_options_set_mem(options, &fault->mem);
    if (rv == YOMO_OK) {
        rv = yomo_client_create(&client, options, NULL, NULL);
    }
    yomo_options_free(options);
    assert_true(is_expected(fault, rv));
    if (rv != YOMO_OK) {
        return;
    }
    rv = yomo_client_poll(client);
    assert_true(is_expected(fault, rv));
    yomo_client_free(client);
}

static void a_start_without_memory_can_be_tried_again(void **state)
{
    (void)state;
    fault_each(one_start, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_may_fail),
        cmocka_unit_test(a_start_without_memory_can_be_tried_again),
    };
    return cmocka_run_group_tests_name("client/memory", tests, NULL, NULL);
}
