/* SPDX-License-Identifier: MIT */
/* test_settled.c - when a wall clock that leapt is believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "server/history/settled.h"

#define HOUR (UINT64_C(3600) * 1000)
#define T0 (UINT64_C(1800000000) * 1000)

static void a_clock_that_goes_on_is_believed(void **unused)
{
    struct yo_settled clock = {0};

    (void)unused;
    assert_int_equal(yo_settled_ms(&clock, T0, 50), T0);
    assert_int_equal(yo_settled_ms(&clock, T0 + 2000, 2050), T0 + 2000);
    /* 500 ms too fast, then put right again, slowly. */
    assert_int_equal(yo_settled_ms(&clock, T0 + 4500, 4050), T0 + 4500);
    assert_int_equal(yo_settled_ms(&clock, T0 + 6100, 6050), T0 + 6100);
}

static void one_that_was_wrong_for_a_moment_ages_nothing(void **unused)
{
    struct yo_settled clock = {0};

    (void)unused;
    (void)yo_settled_ms(&clock, T0, 1);
    assert_int_equal(yo_settled_ms(&clock, T0 + 50 * HOUR, 2001), T0 + 2000);
    assert_int_equal(yo_settled_ms(&clock, T0 + 50 * HOUR + 2000, 4001), T0 + 4000);
    assert_int_equal(yo_settled_ms(&clock, T0 + 6000, 6001), T0 + 6000);
    /* The next leap waits as long as the first. */
    assert_int_equal(yo_settled_ms(&clock, T0 + 9 * HOUR, YO_SETTLE_MS + 2001),
                     T0 + YO_SETTLE_MS + 2000);
}

static void one_that_stays_is_believed(void **unused)
{
    struct yo_settled clock = {0};
    uint64_t end = 2001 + YO_SETTLE_MS;

    (void)unused;
    (void)yo_settled_ms(&clock, T0, 1);
    (void)yo_settled_ms(&clock, T0 + 50 * HOUR, 2001);
    assert_int_equal(yo_settled_ms(&clock, T0 + 50 * HOUR + end - 2002, end - 1),
                     T0 + end - 2);
    assert_int_equal(yo_settled_ms(&clock, T0 + 50 * HOUR + end - 2001, end),
                     T0 + 50 * HOUR + end - 2001);
    assert_int_equal(yo_settled_ms(&clock, T0 + 50 * HOUR + end, end + 2001),
                     T0 + 50 * HOUR + end);
}

static void a_leap_upon_a_leap_begins_anew(void **unused)
{
    struct yo_settled clock = {0};

    (void)unused;
    (void)yo_settled_ms(&clock, T0, 1);
    (void)yo_settled_ms(&clock, T0 + HOUR, 2001);
    assert_int_equal(yo_settled_ms(&clock, T0 + 5 * HOUR, YO_SETTLE_MS),
                     T0 + YO_SETTLE_MS - 1);
    assert_int_equal(yo_settled_ms(&clock, T0 + 5 * HOUR + 3000, YO_SETTLE_MS + 3000),
                     T0 + YO_SETTLE_MS + 2999);
}

static void one_that_is_set_back_is_believed_at_once(void **unused)
{
    struct yo_settled clock = {0};

    (void)unused;
    (void)yo_settled_ms(&clock, T0, 1);
    assert_int_equal(yo_settled_ms(&clock, T0 - 50 * HOUR, 2001), T0 - 50 * HOUR);
    assert_int_equal(yo_settled_ms(&clock, T0 + 4000, 4001), T0 - 50 * HOUR + 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clock_that_goes_on_is_believed),
        cmocka_unit_test(one_that_was_wrong_for_a_moment_ages_nothing),
        cmocka_unit_test(one_that_stays_is_believed),
        cmocka_unit_test(a_leap_upon_a_leap_begins_anew),
        cmocka_unit_test(one_that_is_set_back_is_believed_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
