/* SPDX-License-Identifier: MIT */
/* UDP does not get through, or dies, or comes back: the relay's blackhole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "company.h"
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
    company_join(guests);
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
    COMPANY_UNTIL(guests, guests[0].transport == YOMO_TRANSPORT_WEBTRANSPORT);
    company_talk_more(guests, 50);
    company_unmoved(guests, 2);
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
        company_talk_more(guests, 20);
        link_do(&link_child, "block");
        COMPANY_UNTIL(guests, guests[0].transport == YOMO_TRANSPORT_WEBSOCKET);
        company_unmoved(guests, 2 * round);
        link_do(&link_child, "unblock");
        COMPANY_UNTIL(guests, guests[0].transport == YOMO_TRANSPORT_WEBTRANSPORT);
        company_unmoved(guests, 2 * round + 1);
    }
    guests_end(guests, 2);
}

/* To and fro, in the midst of everything, on a path that takes its time. */
static void however_often_it_moves(void **state)
{
    struct guest guests[2];
    (void)state;
    link_do(&link_child, "delay 5");
    link_do(&link_child, "jitter 5");
    guest_begin(&guests[0], &host, "a", "127.0.0.1", link_child.port);
    guest_begin(&guests[1], &host, "b", "127.0.0.1", host.port);
    guest_set(&guests[0], "upgrade-interval", "100ms");
    guest_set(&guests[0], "stall-timeout", "100ms");
    guest_set(&guests[0], "keep-alive", "100ms");
    company_join(guests);
    for (int round = 0; round < 6; round++) {
        link_do(&link_child, round % 3 == 0   ? "block"
                             : round % 3 == 1 ? "block up"
                                              : "block down");
        COMPANY_UNTIL(guests, guests[0].transport == YOMO_TRANSPORT_WEBSOCKET);
        link_do(&link_child, "unblock");
        COMPANY_UNTIL(guests, guests[0].transport == YOMO_TRANSPORT_WEBTRANSPORT);
    }
    /* It may have moved more often: 100 ms are soon over where many tests run. */
    company_unmoved(guests, guests[0].opens);
    assert_true(guests[0].opens >= 13);
    guests_end(guests, 2);
}

/* Packets still come from the server, and nothing of what the client says arrives. */
static void one_way_only(void **state, const char *order)
{
    struct guest guests[2];
    (void)state;
    two_guests(guests, "1h");
    company_talk_more(guests, 20);
    link_do(&link_child, order);
    COMPANY_UNTIL(guests, guests[0].transport == YOMO_TRANSPORT_WEBSOCKET);
    company_unmoved(guests, 2);
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
    company_unmoved(guests, 2);
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

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(within_a_second_in_the_room_and_up_again, begin,
                                        end),
        cmocka_unit_test_setup_teardown(udp_dies_in_the_middle_and_the_room_goes_on,
                                        begin, end),
        cmocka_unit_test_setup_teardown(however_often_it_moves, begin, end),
        cmocka_unit_test_setup_teardown(nothing_of_the_client_arrives, begin, end),
        cmocka_unit_test_setup_teardown(nothing_of_the_server_arrives, begin, end),
        cmocka_unit_test_setup_teardown(an_idle_client_notices_too, begin, end),
        cmocka_unit_test_setup_teardown(by_option_it_stays_where_it_is, begin, end),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
