/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "session/allowance.h"

static uint64_t take_all(struct yo_allowance *a, uint64_t count, yo_time now)
{
    uint64_t taken = 0;

    while (taken < 100000 && yo_allowance_take(a, count, now)) {
        taken++;
    }
    return taken;
}

static void none_is_no_limit(void **unused)
{
    struct yo_allowance a = {0};

    (void)unused;
    assert_int_equal(take_all(&a, UINT64_MAX, 7), 100000);
    yo_allowance_give_back(&a, 5);
    assert_int_equal(a.full, 0);
}

static void a_second_s_worth_goes_at_once_and_then_as_time_passes(void **unused)
{
    struct yo_allowance a = {0};
    yo_time now = 5 * YO_SECOND;

    (void)unused;
    yo_allowance_set(&a, 10);
    assert_int_equal(take_all(&a, 1, now), 10);
    assert_int_equal(take_all(&a, 1, now + 99 * YO_MS), 0);
    assert_int_equal(take_all(&a, 1, now + 100 * YO_MS), 1);
    assert_int_equal(take_all(&a, 1, now + 600 * YO_MS), 5);
    assert_int_equal(take_all(&a, 1, now + 3600 * YO_SECOND), 10); /* and no more */
    yo_allowance_give_back(&a, 1);
    assert_int_equal(take_all(&a, 1, now + 3600 * YO_SECOND), 1);
}

/* It is given when nothing was taken, and then nothing is until it is paid. */
static void more_than_a_second_s_worth_is_owed(void **unused)
{
    struct yo_allowance a = {0};

    (void)unused;
    yo_allowance_set(&a, 1000);
    assert_true(yo_allowance_take(&a, 5000, YO_SECOND));
    assert_false(yo_allowance_take(&a, 1, 5 * YO_SECOND));
    assert_true(yo_allowance_take(&a, 1, 5 * YO_SECOND + YO_MS));
    assert_false(yo_allowance_take(&a, 5000, 5 * YO_SECOND + 2 * YO_MS - 1));
    assert_true(yo_allowance_take(&a, UINT64_MAX, 3600 * YO_SECOND)); /* no wrapping */
    assert_false(yo_allowance_take(&a, 1, 7200 * YO_SECOND));
    yo_allowance_set(&a, 1000); /* the same as before: owed as before */
    assert_false(yo_allowance_take(&a, 1, 7200 * YO_SECOND));
    yo_allowance_set(&a, 2000);
    assert_true(yo_allowance_take(&a, 1, 7200 * YO_SECOND));
}

static void even_the_fastest_is_bounded(void **unused)
{
    struct yo_allowance a = {0};

    (void)unused;
    yo_allowance_set(&a, UINT64_MAX);
    assert_true(yo_allowance_take(&a, 1, 1));
    assert_true(a.full > 1);
}

#define THREADS 4

static void *taker(void *user)
{
    return (void *)(uintptr_t)take_all(user, 1, YO_SECOND);
}

static void threads_share_it_exactly(void **unused)
{
    struct yo_allowance a = {0};
    pthread_t threads[THREADS];
    uintptr_t sum = 0;

    (void)unused;
    yo_allowance_set(&a, 20000);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, taker, &a), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *taken;
        pthread_join(threads[i], &taken);
        sum += (uintptr_t)taken;
    }
    assert_int_equal(sum, 20000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_is_no_limit),
        cmocka_unit_test(a_second_s_worth_goes_at_once_and_then_as_time_passes),
        cmocka_unit_test(more_than_a_second_s_worth_is_owed),
        cmocka_unit_test(even_the_fastest_is_bounded),
        cmocka_unit_test(threads_share_it_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
