/* SPDX-License-Identifier: MIT */
/* test_limits.c - what is bounded, what happens there, and that nobody else notices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rand.h"
#include "rig.h"

#define WS YOMO_TRANSPORT_WEBSOCKET
#define WT YOMO_TRANSPORT_WEBTRANSPORT

static struct client *member(struct rig *rig, enum yomo_transport_kind kind,
                             const char *id, bool extension)
{
    char query[64];
    struct client *client;

    snprintf(query, sizeof(query), "%sid=%s", extension ? "yomo=1&" : "", id);
    client = rig_connect(rig, 0, kind, query);
    client_join(client, "r", NULL);
    client_forget(client);
    return client;
}

static size_t count_data(struct client *client)
{
    size_t count = 0;
    struct heard *heard;

    while ((heard = client_next(client)) != NULL) {
        count += heard->message.op == YO_OP_DATA;
    }
    return count;
}

/* Its credit is gone and does not come back, though it pings: a browser's fault. */
static void a_receiver_that_takes_nothing_for_too_long_is_closed(void **unused)
{
    struct rig rig;
    struct client *sender, *stalled;
    uint64_t until = yo_wall_ms() + 10000;

    (void)unused;
    rig_open(&rig, 1, NULL, "silence-timeout", "200ms", "keep-alive", "100ms", NULL);
    sender = member(&rig, WT, "sender", true);
    stalled = member(&rig, WT, "stalled", true);
    client_forget(sender);
    client_forget(stalled);
    stalled->room = 0;
    client_data(sender, "r", "e", "1", YOMO_RELIABLE);
    while (!stalled->closing && yo_wall_ms() < until) {
        client_send(stalled, &(struct yo_message){.op = YO_OP_PING, .timestamp = 1});
        client_send(sender, &(struct yo_message){.op = YO_OP_PING, .timestamp = 1});
        rig_settle(&rig);
    }
    assert_true(stalled->closing);
    assert_int_equal(stalled->why.code, YO_CODE_SLOW);
    assert_false(sender->closing);
    rig_close(&rig);
}

static void a_receiver_that_never_reads_is_closed_and_nobody_else_notices(void **unused)
{
    struct rig rig;
    struct client *sender, *slow, *other;
    int sent = 0;

    (void)unused;
    rig_open(&rig, 1, NULL, "queue-size", "4k", NULL);
    sender = member(&rig, WS, "sender", true);
    slow = member(&rig, WS, "slow", true);
    other = member(&rig, WS, "other", true);
    client_forget(sender);
    client_forget(slow);
    slow->room = 0;
    while (!slow->closing && sent < 1000) {
        client_data(sender, "r", "e", "\"some bytes of a message\"", YOMO_RELIABLE);
        sent++;
    }
    assert_true(slow->closing && sent > 10 && sent < 1000);
    assert_int_equal(slow->why.code, YO_CODE_SLOW);
    assert_int_equal(slow->why.kind, YO_CLOSE_RETRY);
    assert_int_equal(rig_count(&rig, closed_slow), 1);
    assert_int_equal(count_data(other), sent);
    expect_from(sender, YO_OP_PEER_STALE, "slow"); /* at once */
    rig_close(&rig);
}

static void a_slow_receiver_misses_what_may_be_missed(void **unused)
{
    struct rig rig;
    struct client *sender, *slow;
    struct heard *heard;

    (void)unused;
    rig_open(&rig, 1, NULL, "unreliable-queue", "1k", NULL);
    sender = member(&rig, WT, "sender", true);
    slow = member(&rig, WT, "slow", true);
    client_forget(slow);
    slow->room = 0;
    for (int i = 0; i < 100; i++) {
        client_data(sender, "r", "u", "1", YOMO_UNRELIABLE);
        client_data(sender, "r", "l", "1", YOMO_LATEST);
    }
    client_data(sender, "r", "end", "1", YOMO_RELIABLE);
    client_unblock(slow, SIZE_MAX);
    assert_false(slow->closing);
    heard = expect_from(slow, YO_OP_DATA, "sender"); /* reliable first */
    assert_int_equal(heard->message.delivery, YOMO_RELIABLE);
    heard = expect_from(slow, YO_OP_DATA, "sender"); /* then one, the newest */
    assert_int_equal(heard->message.delivery, YOMO_LATEST);
    assert_true(count_data(slow) < 40);
    assert_true(rig_count(&rig, dropped_unreliable) > 60);
    assert_int_equal(rig_count(&rig, replaced_latest), 99);
    rig_close(&rig);
}

/* What came in datagrams is known to have come. */
static void acknowledge_all(struct client *client)
{
    struct heard *heard;

    while ((heard = client_next(client)) != NULL) {
        if (heard->token != 0) {
            client->conn.events->on_fate(client->conn.user, &client->conn, heard->token,
                                         YO_FATE_ACKED, 0);
        }
    }
}

static void a_slow_page_over_datagrams_is_told_the_newest_state_only(void **unused)
{
    struct rig rig;
    struct client *a, *page;
    char state[32];

    (void)unused;
    rig_open(&rig, 1, NULL, NULL);
    a = member(&rig, WS, "a", false);
    page = rig_connect(&rig, 0, WT, "id=page");
    client_join(page, "r", NULL);
    acknowledge_all(page);
    page->room = 0;
    for (int i = 0; i < 5; i++) {
        snprintf(state, sizeof(state), "{\"id\":\"a\",\"n\":%d}", i);
        client_state(a, "r", state);
    }
    client_unblock(page, SIZE_MAX);
    expect_from(page, YO_OP_PEER_STATE, "a");
    expect_nothing(page);
    rig_close(&rig);
}

static void more_than_the_rate_is_refused_and_counted(void **unused)
{
    struct rig rig;
    struct client *a, *b;
    size_t heard;

    (void)unused;
    rig_open(&rig, 1, NULL, "message-rate", "1", "message-burst", "10", NULL);
    a = member(&rig, WS, "a", false);
    b = member(&rig, WS, "b", false);
    client_forget(b);
    for (int i = 0; i < 30; i++) {
        client_data(a, "r", "e", "1", YOMO_RELIABLE);
    }
    heard = count_data(b);
    assert_true(heard >= 9 && heard < 25);
    assert_int_equal(rig_count(&rig, dropped_rate), 30 - heard);
    assert_false(a->closing);
    rig_close(&rig);
}

/* Members have rates of their own, and pass that of the room together; with one worker,
 * and with the room's home elsewhere. */
static void the_rates_of_a_room_count_all_its_members(void **unused)
{
    (void)unused;
    for (unsigned workers = 1; workers <= 2; workers++) {
        struct rig rig;
        struct client *a, *b, *late;
        size_t heard;

        rig_open(&rig, workers, NULL, "room-message-rate", "10", "room-join-rate", "1",
                 NULL);
        a = member(&rig, WS, "a",
                   true); /* with twice as many joins at once as a second */
        b = member(&rig, WT, "b", true);
        client_forget(a);
        for (int i = 0; i < 30; i++) {
            client_data(i % 2 ? a : b, "r", "e", "1", YOMO_RELIABLE);
        }
        heard = count_data(a) + count_data(b);
        assert_true(heard >= 10 &&
                    heard < 25); /* it goes by the clock of the machine */
        assert_int_equal(rig_count(&rig, dropped_rate), 30 - heard);
        assert_false(a->closing || b->closing);
        late = NULL;
        /* All but those whom the time since then lets in. */
        for (int i = 0; i < 8 && rig_count(&rig, joins_refused) == 0; i++) {
            late = rig_connect(&rig, 0, WS, "yomo=1&id=late");
            client_forget(late);
            client_join(late, "r", NULL);
            rig_settle(&rig);
        }
        assert_int_equal(rig_count(&rig, joins_refused), 1);
        assert_non_null(late);
        assert_int_equal(expect_op(late, YO_OP_ERROR)->message.code, YOMO_ERR_RATE);
        client_forget(late);
        client_join(late, "another room", NULL); /* does not notice */
        expect_op(late, YO_OP_CHANNEL_JOIN);
        assert_false(late->closing);
        rig_close(&rig);
    }
}

static void too_many_broken_messages_end_a_connection_and_only_that(void **unused)
{
    struct rig rig;
    struct client *a, *b;

    (void)unused;
    rig_open(&rig, 1, NULL, "errors-max", "5", NULL);
    a = member(&rig, WS, "a", true);
    b = member(&rig, WS, "b", true);
    for (int i = 0; i < 5; i++) {
        assert_false(a->closing);
        client_say(a, YO_LANE_CONTROL, yo_span("\xc1", 1));
        rig_settle(&rig);
    }
    assert_true(a->closing);
    assert_int_equal(a->why.code, YO_CODE_PROTOCOL);
    assert_false(b->closing);
    assert_int_equal(rig_count(&rig, closed_protocol), 1);
    assert_int_equal(rig_count(&rig, dropped_malformed), 5);
    rig_close(&rig);
}

static void random_bytes_do_no_harm_and_the_log_stays_short(void **unused)
{
    struct rig rig;
    struct client *a, *b;
    struct yo_rand rand;
    size_t lines = 0;

    (void)unused;
    rig_open(&rig, 2, NULL, "errors-max", "100000", NULL);
    a = member(&rig, WS, "a", true);
    b = member(&rig, WT, "b", false);
    client_forget(b);
    yo_rand_seed(&rand, 1);
    for (int i = 0; i < 5000; i++) {
        uint8_t bytes[64];
        size_t size = yo_rand_below(&rand, sizeof(bytes));
        for (size_t j = 0; j < size; j++) {
            bytes[j] = (uint8_t)yo_rand_next(&rand);
        }
        client_say(a, i % 3 == 0 ? YO_LANE_DATAGRAM : YO_LANE_CONTROL,
                   yo_span(bytes, size));
    }
    rig_settle(&rig);
    expect_nothing(b);
    client_data(a, "r", "e", "1", YOMO_RELIABLE);
    expect_from(b, YO_OP_DATA, "a");
    for (const char *at = rig.log; (at = strchr(at, '\n')) != NULL; at++) {
        lines++;
    }
    assert_true(lines < 40); /* 5,000 of them in a few seconds at most */
    rig_close(&rig);
}

static void rooms_of_one_connection_and_of_all_are_bounded(void **unused)
{
    struct rig rig;
    struct client *a, *b;
    struct heard *heard;

    (void)unused;
    rig_open(&rig, 1, NULL, "rooms-max", "2", "rooms-total-max", "2", NULL);
    a = rig_connect(&rig, 0, WS, "yomo=1&id=a");
    client_join(a, "1", NULL);
    client_join(a, "2", NULL);
    client_forget(a);
    client_join(a, "3", NULL);
    heard = expect_op(a, YO_OP_ERROR);
    assert_int_equal(heard->message.code, YOMO_ERR_FULL);
    b = rig_connect(&rig, 0, WS, "yomo=1&id=b");
    client_join(b, "4", NULL);
    client_forget(b);
    client_join(b, "5", NULL);
    heard = expect_op(b, YO_OP_ERROR);
    assert_int_equal(heard->message.code, YOMO_ERR_FULL);
    client_leave(a, "1");
    client_join(b, "5", NULL);
    expect_op(b, YO_OP_CHANNEL_JOIN);
    rig_close(&rig);
}

static void an_overloaded_worker_takes_no_more_broadcasts(void **unused)
{
    struct rig rig;
    struct client *a, *b;

    (void)unused;
    rig_open(&rig, 1, NULL, NULL);
    a = member(&rig, WS, "a", true);
    b = member(&rig, WS, "b", true);
    client_forget(b);
    atomic_store(&rig.server->desks[0].weight, YO_DESK_WEIGHT_MAX + 1);
    client_data(a, "r", "e", "1", YOMO_UNRELIABLE);
    expect_nothing(b);
    assert_false(a->closing);
    assert_int_equal(rig_count(&rig, dropped_overload), 1);
    client_data(a, "r", "e", "1", YOMO_RELIABLE); /* a promise that cannot be kept */
    assert_true(a->closing);
    assert_int_equal(a->why.code, YO_CODE_TRY_LATER);
    atomic_store(&rig.server->desks[0].weight, 0);
    assert_false(b->closing);
    rig_close(&rig);
}

/* However much it is to be told of those who are there, it is not closed for that. */
static void a_large_snapshot_closes_nobody(void **unused)
{
    char state[1200] = "{\"x\":\"";
    struct rig rig;
    struct client *slow;

    (void)unused;
    memset(state + 6, 'x', 1000);
    strcpy(state + 1006, "\"}");
    rig_open(&rig, 1, NULL, "queue-size", "4k", NULL);
    for (int i = 0; i < 20; i++) {
        client_join(rig_connect(&rig, 0, YOMO_TRANSPORT_WEBSOCKET, "yomo=1"), "r",
                    state);
    }
    slow = rig_connect(&rig, 0, YOMO_TRANSPORT_WEBSOCKET, "yomo=1");
    expect_op(slow, YO_OP_HELLO);
    slow->room = 0;
    client_join(slow, "r", NULL);
    assert_false(slow->closing);
    client_unblock(slow, SIZE_MAX);
    expect_op(slow, YO_OP_CHANNEL_JOIN);
    for (bool more = true; more;) {
        more = expect_op(slow, YO_OP_SNAPSHOT)->message.more;
    }
    /* But not one after the other, unread. */
    slow->room = 0;
    for (int i = 0; i < 5 && !slow->closing; i++) {
        client_leave(slow, "r");
        client_join(slow, "r", NULL);
    }
    assert_true(slow->closing);
    assert_int_equal(slow->why.code, YO_CODE_SLOW);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_large_snapshot_closes_nobody),
        cmocka_unit_test(a_receiver_that_takes_nothing_for_too_long_is_closed),
        cmocka_unit_test(a_receiver_that_never_reads_is_closed_and_nobody_else_notices),
        cmocka_unit_test(a_slow_receiver_misses_what_may_be_missed),
        cmocka_unit_test(a_slow_page_over_datagrams_is_told_the_newest_state_only),
        cmocka_unit_test(more_than_the_rate_is_refused_and_counted),
        cmocka_unit_test(the_rates_of_a_room_count_all_its_members),
        cmocka_unit_test(too_many_broken_messages_end_a_connection_and_only_that),
        cmocka_unit_test(random_bytes_do_no_harm_and_the_log_stays_short),
        cmocka_unit_test(rooms_of_one_connection_and_of_all_are_bounded),
        cmocka_unit_test(an_overloaded_worker_takes_no_more_broadcasts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
