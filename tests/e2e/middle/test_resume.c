/* SPDX-License-Identifier: MIT */
/* The path breaks for a while, over the transport that the argument names: "a", who goes
 * through the relay, comes back to its seat, and everybody has heard everything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <yomo/error.h>

#include "guest.h"
#include "link.h"

#define COUNT 3 /* "a" is behind the relay; "b" and "c" are not */

static const char *transport;
static struct host host;
static struct link_child link_child;

static bool over_tcp(void)
{
    return strcmp(transport, "websocket") == 0;
}

static void begin(const char *grace, const char *history, const char *queue)
{
    const char *const options[] = {
        "grace-time", grace, "silence-timeout",  "1500ms", "resume-log",     "16m",
        "queue-size", queue, "history-messages", history,  "history-memory", "16m",
        NULL};
    host_begin(&host, options);
    link_begin(&link_child, host.port, NULL);
}

static void end(struct guest *guests)
{
    guests_end(guests, COUNT);
    link_end(&link_child);
    host_end(&host);
}

static void join_all(struct guest *guests)
{
    static const char *const ids[COUNT] = {"a", "b", "c"};
    for (int i = COUNT - 1; i >= 0; i--) {
        guest_begin(&guests[i], &host, ids[i], "127.0.0.1",
                    i == 0 ? link_child.port : host.port);
        guest_set(&guests[i], "transport", i == 1 ? "auto" : transport);
        guest_set(&guests[i], "silence-timeout", "1500ms");
        guest_set(&guests[i], "keep-alive", "300ms");
        guest_set(&guests[i], "reconnect-min", "20ms");
        guest_set(&guests[i], "reconnect-max", "200ms");
        guest_set(&guests[i], "connect-timeout", "1s");
        guest_set(&guests[i], "queue-size", "4m");
        guest_join(&guests[i], "room");
        GUESTS_UNTIL(&guests[i], COUNT - i, guests[i].joined == 1);
    }
    GUESTS_UNTIL(guests, COUNT, guests[2].came == 2);
}

static uint64_t pause_ms = 5;

static void talk(struct guest *guests)
{
    static uint64_t next;
    if (guest_clock_ms() >= next) {
        for (int i = 0; i < COUNT; i++) {
            guest_say(&guests[i]);
            guest_say_latest(&guests[i], 0);
        }
        next = guest_clock_ms() + pause_ms;
    }
}

#define TALK_UNTIL(guests, condition) \
    GUESTS_UNTIL(guests, COUNT, (talk(guests), (condition)))

static void talk_for(struct guest *guests, uint64_t ms)
{
    uint64_t until = guest_clock_ms() + ms;
    TALK_UNTIL(guests, guest_clock_ms() >= until);
}

/* Nothing gets through for so long, however often "a" tries. */
static void away_for(struct guest *guests, uint64_t ms)
{
    uint64_t until = guest_clock_ms() + ms;
    link_do(&link_child, "block");
    link_do(&link_child, "stall");
    link_do(&link_child, "cut");
    while (guest_clock_ms() < until) {
        talk(guests);
        guests_turn(guests, COUNT, 5);
    }
    link_do(&link_child, "unblock");
    link_do(&link_child, "unstall");
}

static bool all_heard(const struct guest *guests)
{
    for (int i = 0; i < COUNT; i++) {
        for (int j = 0; j < COUNT; j++) {
            if (i != j && !guest_has_all(&guests[i], &guests[j])) {
                return false;
            }
        }
        if (guests[i].confirmed + guests[i].refused < guests[i].said) {
            return false;
        }
    }
    return true;
}

/* Whatever happened to the connection: everything once, in order, and each answered. */
static void assert_whole(struct guest *guests)
{
    GUESTS_UNTIL(guests, COUNT, all_heard(guests));
    for (int i = 0; i < COUNT; i++) { /* one that TCP had taken may be lost; not this */
        guest_say_latest(&guests[i], 0);
    }
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(guests[i].disorder, 0);
        assert_int_equal(guests[i].refused, 0);
        assert_int_equal(guests[i].left, 0);
        assert_int_equal(guests[i].went, 0); /* nobody ever left */
        assert_int_equal(guests[i].stale, 0);
        GUESTS_UNTIL(guests, COUNT,
                     guests[i].latest[(i + 1) % COUNT][0] ==
                         guests[(i + 1) % COUNT].latest_said[0]);
    }
}

static void within_the_grace_time_everything_arrives_once_and_in_order(void **state)
{
    struct guest guests[COUNT];
    (void)state;
    begin("20s", "0", "16m");
    join_all(guests);
    for (int round = 0; round < 3; round++) {
        int waits = guests[0].waits, opens = guests[0].opens;
        talk_for(guests, 200);
        away_for(guests, over_tcp() ? 700 : 3500);
        TALK_UNTIL(guests, guests[0].waits > waits && guests[0].opens > opens);
        talk_for(guests, 200);
        assert_whole(guests);
    }
    assert_true(guests[0].resumed >= 3);
    assert_int_equal(guests[0].gaps, 0);
    assert_int_equal(guests[0].came, 0); /* the others were there all the time */
    assert_true(guests[1].went_stale >= 1 && guests[1].went_stale == guests[1].came_back);
    assert_true(guests[2].went_stale >= 1 && guests[2].went_stale == guests[2].came_back);
    assert_int_equal(yomo_client_counter(guests[0].client, YOMO_COUNT_UNSURE), 0);
    size_t messages = 1, bytes = 1;
    uint64_t until = guest_clock_ms() + 5000; /* told with the next pong */
    while (messages > 0 && guest_clock_ms() < until) {
        guests_turn(guests, COUNT, 20);
        yomo_client_waiting(guests[0].client, &messages, &bytes);
    }
    assert_int_equal(messages, 0);
    assert_int_equal(bytes, 0);
    end(guests);
}

/* Often, and briefly: also in the midst of coming back. */
static void however_often_it_breaks(void **state)
{
    struct guest guests[COUNT];
    (void)state;
    if (!over_tcp()) {
        return; /* only TCP breaks at once */
    }
    begin("20s", "0", "16m");
    join_all(guests);
    for (int round = 0; round < 80; round++) {
        talk_for(guests, (uint64_t)(round * 7 % 60));
        link_do(&link_child, "cut");
    }
    talk_for(guests, 300);
    assert_whole(guests);
    assert_true(guests[0].resumed >= 2);
    assert_int_equal(guests[0].gaps, 0);
    end(guests);
}

/* The seat is gone; what the room's history has is told all the same. */
static void after_the_grace_time_history_makes_up_for_it(void **state)
{
    struct guest guests[COUNT];
    (void)state;
    begin("300ms", "100000", "16m");
    pause_ms = 20; /* no more than a joiner is told */
    join_all(guests);
    talk_for(guests, 200);
    away_for(guests, over_tcp() ? 1500 : 5000);
    TALK_UNTIL(guests, guests[0].joined == 2);
    talk_for(guests, 200);
    GUESTS_UNTIL(guests, COUNT,
                 guest_has_all(&guests[0], &guests[1]) &&
                     guest_has_all(&guests[0], &guests[2]) &&
                     guests[0].confirmed + guests[0].refused == guests[0].said);
    assert_int_equal(guests[0].disorder, 0);
    assert_int_equal(guests[0].gaps, 0);
    assert_int_equal(guests[0].resumed, 0);
    assert_int_equal(guests[1].went, 1);
    /* What "a" had sent and nobody knows to have been read is not sent again. */
    assert_int_equal(guests[1].twice, 0);
    assert_true(guests[0].refused <=
                (long)yomo_client_counter(guests[0].client, YOMO_COUNT_UNSURE) + 1000);
    end(guests);
}

/* And without a history it is told that something is missing. */
static void after_the_grace_time_there_is_a_gap(void **state)
{
    struct guest guests[COUNT];
    (void)state;
    begin("300ms", "0", "16m");
    pause_ms = 20;
    join_all(guests);
    talk_for(guests, 200);
    away_for(guests, over_tcp() ? 1500 : 5000);
    TALK_UNTIL(guests, guests[0].joined == 2);
    talk_for(guests, 200);
    assert_int_equal(guests[0].gaps, 1);
    assert_true(guests[0].disorder >= 2); /* a jump for each of the others */
    assert_int_equal(guests[0].twice, 0);
    end(guests);
}

/* Closed as too slow, and back again, until it has everything. */
static void a_slow_receiver_comes_back_and_gets_the_rest(void **state)
{
    struct guest guests[COUNT];
    char data[1200];
    (void)state;
    begin("20s", "0", "64k");
    pause_ms = 5;
    join_all(guests);
    talk_for(guests, 100);
    memset(data, '1', sizeof(data));
    link_do(&link_child, "rate 2000");
    for (int i = 0; i < 1500; i++) {
        /* Big ones that nobody counts between those that are counted. */
        assert_int_equal(yomo_room_send(guests[1].room, "x", data, sizeof(data),
                                        YOMO_BYTES, YOMO_RELIABLE, NULL, NULL),
                         YOMO_OK);
        if (i % 10 == 0) {
            talk(guests);
        }
        guests_turn(guests, COUNT, 1);
    }
    link_do(&link_child, "rate 0");
    GUESTS_UNTIL(guests, COUNT, guests[0].extras == 1500);
    assert_whole(guests);
    assert_true(guests[0].resumed >= 1);
    assert_true(guests[0].waits >= 1);
    assert_int_equal(guests[0].gaps, 0);
    assert_true(host_metric(&host, "yomo_closed_total{reason=\"slow\"}") >= 1);
    end(guests);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(within_the_grace_time_everything_arrives_once_and_in_order),
        cmocka_unit_test(however_often_it_breaks),
        cmocka_unit_test(after_the_grace_time_history_makes_up_for_it),
        cmocka_unit_test(after_the_grace_time_there_is_a_gap),
        cmocka_unit_test(a_slow_receiver_comes_back_and_gets_the_rest),
    };
    transport = argc > 1 ? argv[1] : "websocket";
    cmocka_set_test_filter(argc > 2 ? argv[2] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
