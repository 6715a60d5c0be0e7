/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "transport/webtransport/window.h"

#define BASE 1000
#define MAX 16000
#define RTT (100 * YO_MS)

static yo_time now;

/* So many bytes have come and were read; what the peer gets for it. */
static uint32_t consume(struct yo_window *window, struct yo_budget *budget,
                        uint32_t size)
{
    yo_window_clear(window, size);
    if (yo_window_read(window, size)) {
        yo_window_adapt(window, MAX, budget, RTT, now);
    }
    return yo_window_due(window);
}

static void credit_is_given_for_more_than_half_a_window(void **state)
{
    struct yo_budget budget = {0, NULL};
    struct yo_window window;
    (void)state;
    yo_window_init(&window, BASE);
    assert_int_equal(consume(&window, &budget, 300), 0);
    assert_int_equal(consume(&window, &budget, 200), 0);
    assert_int_equal(consume(&window, &budget, 1), 501);
    assert_int_equal(consume(&window, &budget, 500), 0);
    assert_int_equal(window.size, BASE);
}

/* A path on which a peer always sends what it may: each round trip a whole window. */
static void it_grows_until_the_path_is_full(void **state)
{
    struct yo_budget budget = {1000000, NULL};
    struct yo_window window;
    uint64_t granted = BASE, came = 0;
    (void)state;
    yo_window_init(&window, BASE);
    now = YO_SECOND;
    for (int i = 0; i < 20; i++, now += RTT) {
        uint64_t may = granted - came;
        uint64_t will = may < 5000 ? may : 5000; /* more does not go through */
        for (uint64_t left = will; left > 0;) {
            uint32_t n = left < 100 ? (uint32_t)left : 100;
            came += n;
            left -= n;
            granted += consume(&window, &budget, n);
        }
        now += RTT * (will == 5000); /* the path's own pace */
    }
    assert_in_range(window.size, 8000, MAX);
    assert_int_equal(granted + window.owed, came + window.size);
    assert_int_equal(budget.left, 1000000 - (window.size - BASE));
    yo_window_finish(&window, &budget);
    assert_int_equal(budget.left, 1000000);
}

static void it_never_grows_past_its_maximum(void **state)
{
    struct yo_budget budget = {1000000, NULL};
    struct yo_window window;
    uint64_t granted = BASE, came = 0;
    (void)state;
    yo_window_init(&window, BASE);
    for (int i = 0; i < 1000; i++) {
        came += 100;
        granted += consume(&window, &budget, 100);
        assert_true(granted - came <= MAX);
    }
    assert_int_equal(window.size, MAX);
}

static void what_nobody_reads_grows_nothing(void **state)
{
    struct yo_window window;
    (void)state;
    yo_window_init(&window, BASE);
    for (int i = 0; i < 1000; i++) {
        yo_window_clear(&window, 100);
        yo_window_due(&window);
    }
    assert_int_equal(window.size, BASE);
}

static void slow_reading_grows_nothing(void **state)
{
    struct yo_budget budget = {1000000, NULL};
    struct yo_window window;
    (void)state;
    now = YO_SECOND;
    yo_window_init(&window, BASE);
    for (int i = 0; i < 1000; i++, now += RTT / 2) {
        consume(&window, &budget, 100);
    }
    assert_int_equal(window.size, BASE);
}

static void a_budget_is_shared_and_given_back(void **state)
{
    struct yo_budget all = {5000, NULL}, one = {4000, &all}, other = {4000, &all};
    struct yo_window first, second;
    (void)state;
    now = YO_SECOND;
    yo_window_init(&first, BASE);
    yo_window_init(&second, BASE);
    for (int i = 0; i < 100; i++) {
        consume(&first, &one, 500);
    }
    assert_int_equal(first.size, BASE + 4000);
    for (int i = 0; i < 100; i++) {
        consume(&second, &other, 500);
    }
    assert_int_equal(second.size, BASE + 1000);
    assert_int_equal(all.left, 0);
    yo_window_finish(&first, &one);
    assert_int_equal(all.left, 4000);
    assert_int_equal(one.left, 4000);
    assert_int_equal(other.left, 3000);
}

static void what_is_rarely_used_is_given_back(void **state)
{
    struct yo_budget budget = {100000, NULL};
    struct yo_window window;
    uint64_t granted = BASE, came = 0;
    (void)state;
    now = YO_SECOND;
    yo_window_init(&window, BASE);
    for (int i = 0; i < 100; i++) {
        came += 1000;
        granted += consume(&window, &budget, 1000);
    }
    assert_int_equal(window.size, MAX);
    for (int i = 0; i < 1000; i++, now += 20 * RTT) {
        came += 100;
        granted += consume(&window, &budget, 100);
        assert_true(granted - came >= window.size / 2);
    }
    assert_int_equal(window.size, BASE);
    assert_int_equal(budget.left, 100000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(credit_is_given_for_more_than_half_a_window),
        cmocka_unit_test(it_grows_until_the_path_is_full),
        cmocka_unit_test(it_never_grows_past_its_maximum),
        cmocka_unit_test(what_nobody_reads_grows_nothing),
        cmocka_unit_test(slow_reading_grows_nothing),
        cmocka_unit_test(a_budget_is_shared_and_given_back),
        cmocka_unit_test(what_is_rarely_used_is_given_back),
    };
    return cmocka_run_group_tests_name("transport/webtransport/window", tests, NULL,
                                       NULL);
}
