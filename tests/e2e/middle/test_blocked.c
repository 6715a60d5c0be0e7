/* SPDX-License-Identifier: MIT */
/* UDP does not get through, or dies, or comes back: the relay's blackhole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "guest.h"
#include "link.h"

static struct host host;
static struct link_child link_child;

static int begin(void **state)
{
    (void)state;
    host_begin(&host, NULL);
    link_begin(&link_child, host.port, NULL);
    return 0;
}

static int end(void **state)
{
    (void)state;
    link_end(&link_child);
    host_end(&host);
    return 0;
}

/* guests[0] is "a", who goes through the relay; guests[1] is "b", who does not. */
static void two_guests(struct guest *guests, const char *interval)
{
    guest_begin(&guests[0], &host, "a", "127.0.0.1", link_child.port);
    guest_begin(&guests[1], &host, "b", "127.0.0.1", host.port);
    guest_set(&guests[0], "upgrade-interval", interval);
    guest_join(&guests[1], "room");
    GUESTS_UNTIL(&guests[1], 1, guests[1].joined == 1);
    guest_join(&guests[0], "room");
    GUESTS_UNTIL(guests, 2, guests[0].joined == 1);
    GUESTS_UNTIL(guests, 2, guests[1].came == 1);
}

/* Everything has arrived, once, in order; nobody came or went or noticed anything. */
static void nobody_noticed(struct guest *guests, int opens)
{
    GUESTS_UNTIL(guests, 2,
                 guest_has_all(&guests[1], &guests[0]) &&
                     guest_has_all(&guests[0], &guests[1]));
    GUESTS_UNTIL(guests, 2,
                 guests[0].confirmed == guests[0].said &&
                     guests[1].confirmed == guests[1].said);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(guests[i].disorder, 0);
        assert_int_equal(guests[i].refused, 0);
        assert_int_equal(guests[i].waits, 0);
        assert_int_equal(guests[i].joined, 1);
        assert_int_equal(guests[i].left, 0);
        assert_int_equal(guests[i].went, 0);
    }
    assert_int_equal(guests[0].came, 0);
    assert_int_equal(guests[1].came, 1);
    assert_int_equal(guests[0].opens, opens);
    assert_int_equal(guests[1].opens, 1);
}

static void say_now_and_then(struct guest *guests)
{
    static uint64_t next;
    if (guest_clock_ms() >= next) {
        guest_say(&guests[0]);
        guest_say(&guests[1]);
        next = guest_clock_ms() + 5;
    }
}

static void within_a_second_in_the_room_and_up_again(void **state)
{
    struct guest guests[2];
    (void)state;
    link_do(&link_child, "block");
    uint64_t began = guest_clock_ms();
    two_guests(guests, "300ms");
    assert_true(guest_clock_ms() - began < 1000);
    assert_int_equal(guests[0].transport, YOMO_TRANSPORT_WEBSOCKET);
    link_do(&link_child, "unblock");
    GUESTS_UNTIL(
        guests, 2,
        (say_now_and_then(guests), guests[0].transport == YOMO_TRANSPORT_WEBTRANSPORT));
    for (int i = 0; i < 50; i++) {
        say_now_and_then(guests);
        guests_turn(guests, 2, 5);
    }
    nobody_noticed(guests, 2);
    assert_int_equal(yomo_client_transport(guests[0].client),
                     YOMO_TRANSPORT_WEBTRANSPORT);
    assert_int_equal(host_metric(&host, "yomo_moved_total"), 1);
    guests_end(guests, 2);
}

static void udp_dies_in_the_middle_and_the_room_goes_on(void **state)
{
    struct guest guests[2];
    (void)state;
    two_guests(guests, "300ms");
    assert_int_equal(guests[0].transport, YOMO_TRANSPORT_WEBTRANSPORT);
    for (int round = 1; round <= 2; round++) {
        long before = guests[0].said;
        GUESTS_UNTIL(guests, 2,
                     (say_now_and_then(guests), guests[0].said > before + 20));
        link_do(&link_child, "block");
        GUESTS_UNTIL(guests, 2,
                     (say_now_and_then(guests),
                      guests[0].transport == YOMO_TRANSPORT_WEBSOCKET));
        nobody_noticed(guests, 2 * round);
        link_do(&link_child, "unblock");
        GUESTS_UNTIL(guests, 2,
                     (say_now_and_then(guests),
                      guests[0].transport == YOMO_TRANSPORT_WEBTRANSPORT));
        nobody_noticed(guests, 2 * round + 1);
    }
    guests_end(guests, 2);
}

/* Packets still come from the server, and nothing of what the client says arrives. */
static void one_way_only(void **state, const char *order)
{
    struct guest guests[2];
    (void)state;
    two_guests(guests, "1h");
    long before = guests[0].said;
    GUESTS_UNTIL(guests, 2, (say_now_and_then(guests), guests[0].said > before + 20));
    link_do(&link_child, order);
    GUESTS_UNTIL(
        guests, 2,
        (say_now_and_then(guests), guests[0].transport == YOMO_TRANSPORT_WEBSOCKET));
    nobody_noticed(guests, 2);
    guests_end(guests, 2);
}

static void nothing_of_the_client_arrives(void **state)
{
    one_way_only(state, "block up");
}

static void nothing_of_the_server_arrives(void **state)
{
    one_way_only(state, "block down");
}

/* Nobody says anything: the ping alone finds out, far before the silence timeout. */
static void an_idle_client_notices_too(void **state)
{
    struct guest guests[2];
    (void)state;
    two_guests(guests, "1h");
    link_do(&link_child, "block");
    uint64_t began = guest_clock_ms();
    GUESTS_UNTIL(guests, 2, guests[0].transport == YOMO_TRANSPORT_WEBSOCKET);
    assert_true(guest_clock_ms() - began < 12000); /* the silence timeout is 15 s */
    guest_say(&guests[0]);
    guest_say(&guests[1]);
    nobody_noticed(guests, 2);
    guests_end(guests, 2);
}

static void by_option_it_stays_where_it_is(void **state)
{
    struct guest guests[2];
    (void)state;
    link_do(&link_child, "block");
    guest_begin(&guests[0], &host, "a", "127.0.0.1", link_child.port);
    guest_set(&guests[0], "upgrade", "false");
    guest_set(&guests[0], "upgrade-interval", "100ms");
    guest_join(&guests[0], "room");
    GUESTS_UNTIL(guests, 1, guests[0].joined == 1);
    link_do(&link_child, "unblock");
    uint64_t began = guest_clock_ms();
    while (guest_clock_ms() - began < 500) {
        guests_turn(guests, 1, 50);
    }
    assert_int_equal(guests[0].opens, 1);
    assert_int_equal(guests[0].transport, YOMO_TRANSPORT_WEBSOCKET);
    guests_end(guests, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(within_a_second_in_the_room_and_up_again, begin,
                                        end),
        cmocka_unit_test_setup_teardown(udp_dies_in_the_middle_and_the_room_goes_on,
                                        begin, end),
        cmocka_unit_test_setup_teardown(nothing_of_the_client_arrives, begin, end),
        cmocka_unit_test_setup_teardown(nothing_of_the_server_arrives, begin, end),
        cmocka_unit_test_setup_teardown(an_idle_client_notices_too, begin, end),
        cmocka_unit_test_setup_teardown(by_option_it_stays_where_it_is, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
