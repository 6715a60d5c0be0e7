/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "session/quota.h"

static int take_all(struct yo_quota *quota, yo_time now)
{
    int taken = 0;

    while (taken < 1000 && yo_quota_take(quota, now)) {
        taken++;
    }
    return taken;
}

static void without_a_rate_there_is_no_limit(void **state)
{
    struct yo_quota quota;

    (void)state;
    yo_quota_init(&quota, 0, 5);
    assert_int_equal(take_all(&quota, 0), 1000);
}

static void a_burst_and_then_the_rate(void **state)
{
    struct yo_quota quota;

    (void)state;
    yo_quota_init(&quota, 10, 5);
    assert_int_equal(take_all(&quota, 7), 5);
    assert_int_equal(take_all(&quota, 7 + 99 * YO_MS), 0);
    assert_int_equal(take_all(&quota, 7 + 100 * YO_MS), 1);
    assert_int_equal(take_all(&quota, 7 + 350 * YO_MS), 2);
    assert_int_equal(take_all(&quota, 60 * YO_SECOND), 5);
}

static void a_burst_of_none_is_one(void **state)
{
    struct yo_quota quota;

    (void)state;
    yo_quota_init(&quota, 10, 0);
    assert_int_equal(take_all(&quota, 0), 1);
    assert_int_equal(take_all(&quota, 100 * YO_MS), 1);
}

static void what_is_refused_costs_nothing(void **state)
{
    struct yo_quota quota;
    int taken = 0;

    (void)state;
    yo_quota_init(&quota, 10, 1);
    for (yo_time now = 0; now < 10 * YO_SECOND; now += YO_MS) {
        taken += yo_quota_take(&quota, now);
    }
    assert_int_equal(taken, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_rate_there_is_no_limit),
        cmocka_unit_test(a_burst_and_then_the_rate),
        cmocka_unit_test(a_burst_of_none_is_one),
        cmocka_unit_test(what_is_refused_costs_nothing),
    };

    return cmocka_run_group_tests_name("session/quota", tests, NULL, NULL);
}
