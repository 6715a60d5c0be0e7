/* SPDX-License-Identifier: MIT */
/* The rules of the relay's paths: repeatable, and as often as they say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "path.h"

#define PACKETS 10000 /* and so 200 are 2 % of them */

static const struct path_rules rough = {
    .loss = 0.02, .duplicate = 0.01, .reorder = 0.05, .delay_ms = 50, .jitter_ms = 10};

static void the_same_seed_gives_the_same_fate(void **state)
{
    struct path a = {.seed = 7, .rules = rough}, b = a, other = a;
    int differences = 0;
    (void)state;
    other.seed = 8;
    for (int i = 0; i < PACKETS; i++) {
        uint64_t at_a[2] = {0}, at_b[2] = {0}, at_other[2] = {0};
        uint64_t now = (uint64_t)i * 1000;
        int n = path_take(&a, 1200, now, false, at_a);
        /* Another clock, and another size of packet, change nothing but the clock. */
        assert_int_equal(path_take(&b, 100, now + 5, false, at_b), n);
        for (int k = 0; k < n; k++) {
            assert_int_equal(at_a[k] + 5, at_b[k]);
        }
        differences += path_take(&other, 1200, now, false, at_other) != n;
    }
    assert_true(differences > 0);
}

static void as_often_as_the_rules_say(void **state)
{
    struct path path = {.seed = 1, .rules = rough};
    uint64_t at[2], last = 0, overtaken = 0;
    (void)state;
    for (int i = 0; i < PACKETS; i++) {
        uint64_t now = (uint64_t)i * 100000;
        if (path_take(&path, 1200, now, false, at) > 0) {
            assert_true(at[0] - now >= 50000000);
            assert_true(at[0] - now <= 50000000 + 10000000 + 27000000);
            overtaken += at[0] < last;
            last = at[0];
        }
    }
    assert_in_range(path.counts.lost, 150, 250);
    assert_in_range(path.counts.duplicated, 60, 140);
    assert_in_range(path.counts.reordered, 400, 600);
    assert_true(overtaken > 500);
}

static void what_keeps_its_turn_is_late_and_never_lost(void **state)
{
    struct path path = {.seed = 3, .rules = rough};
    uint64_t at[2], last = 0;
    (void)state;
    for (int i = 0; i < PACKETS; i++) {
        assert_int_equal(path_take(&path, 1200, (uint64_t)i * 1000, true, at), 1);
        assert_true(at[0] >= last);
        last = at[0];
    }
    assert_true(path.counts.lost > 0);
}

static void a_narrow_path_takes_its_time_and_drops_the_tail(void **state)
{
    struct path path = {.seed = 3, .rules = {.rate = 125000}}; /* 1 Mbit/s */
    uint64_t at[2];
    (void)state;
    assert_int_equal(path_take(&path, 1250, 0, false, at), 1);
    assert_int_equal(at[0], 10000000);
    assert_int_equal(path_take(&path, 1250, 0, false, at), 1);
    assert_int_equal(at[0], 20000000);
    for (int i = 0; i < 1000; i++) {
        (void)path_take(&path, 1250, 0, false, at);
    }
    assert_true(path.counts.overflowed > 700);
}

static void a_blocked_path_passes_nothing(void **state)
{
    struct path path = {.seed = 3, .rules = {.blocked = true}};
    uint64_t at[2];
    (void)state;
    assert_int_equal(path_take(&path, 1250, 0, false, at), 0);
    assert_int_equal(path.counts.blocked, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_seed_gives_the_same_fate),
        cmocka_unit_test(as_often_as_the_rules_say),
        cmocka_unit_test(what_keeps_its_turn_is_late_and_never_lost),
        cmocka_unit_test(a_narrow_path_takes_its_time_and_drops_the_tail),
        cmocka_unit_test(a_blocked_path_passes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
