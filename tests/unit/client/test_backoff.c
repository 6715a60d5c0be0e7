/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/backoff.h"

static void each_wait_stays_below_its_ceiling(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 200; seed++) {
        struct yo_backoff backoff;
        yo_backoff_init(&backoff, 250, 30000, seed);
        uint64_t ceiling = 250;
        for (int i = 0; i < 50; i++) {
            assert_true(yo_backoff_next(&backoff) <= ceiling);
            ceiling = ceiling < 15000 ? ceiling * 2 : 30000;
        }
    }
}

static void waits_are_spread_over_the_whole_range(void **state)
{
    (void)state;
    uint64_t sum = 0, least = UINT64_MAX, most = 0;
    for (uint64_t seed = 1; seed <= 1000; seed++) {
        struct yo_backoff backoff;
        yo_backoff_init(&backoff, 1000, 1000, seed);
        uint64_t ms = yo_backoff_next(&backoff);
        sum += ms;
        least = ms < least ? ms : least;
        most = ms > most ? ms : most;
    }
    assert_in_range(sum / 1000, 450, 550);
    assert_true(least < 50);
    assert_true(most > 950);
}

static void after_a_reset_the_wait_is_short_again(void **state)
{
    (void)state;
    struct yo_backoff backoff;
    yo_backoff_init(&backoff, 250, 30000, 7);
    for (int i = 0; i < 20; i++) {
        (void)yo_backoff_next(&backoff);
    }
    yo_backoff_reset(&backoff);
    assert_true(yo_backoff_next(&backoff) <= 250);
}

static void the_same_seed_waits_the_same(void **state)
{
    (void)state;
    struct yo_backoff a, b;
    yo_backoff_init(&a, 250, 30000, 42);
    yo_backoff_init(&b, 250, 30000, 42);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(yo_backoff_next(&a), yo_backoff_next(&b));
    }
}

static void a_wait_that_was_asked_for_is_never_shorter(void **state)
{
    (void)state;
    struct yo_backoff backoff;
    yo_backoff_init(&backoff, 250, 30000, 3);
    for (int i = 0; i < 100; i++) {
        assert_in_range(yo_backoff_asked(&backoff, 4000), 4000, 6000);
        assert_in_range(yo_backoff_asked(&backoff, 0), 0, 250);
    }
}

static void odd_limits_are_survived(void **state)
{
    (void)state;
    struct yo_backoff backoff;
    yo_backoff_init(&backoff, 0, 0, 1);
    assert_int_equal(yo_backoff_next(&backoff), 0);
    assert_int_equal(yo_backoff_asked(&backoff, 0), 0);
    yo_backoff_init(&backoff, 500, 100, 1); /* max below min */
    assert_true(yo_backoff_next(&backoff) <= 500);
    assert_true(yo_backoff_next(&backoff) <= 500);
    yo_backoff_init(&backoff, UINT64_MAX / 2, UINT64_MAX, 1);
    for (int i = 0; i < 10; i++) {
        (void)yo_backoff_next(&backoff);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_wait_stays_below_its_ceiling),
        cmocka_unit_test(waits_are_spread_over_the_whole_range),
        cmocka_unit_test(after_a_reset_the_wait_is_short_again),
        cmocka_unit_test(the_same_seed_waits_the_same),
        cmocka_unit_test(a_wait_that_was_asked_for_is_never_shorter),
        cmocka_unit_test(odd_limits_are_survived),
    };
    return cmocka_run_group_tests_name("client/backoff", tests, NULL, NULL);
}
