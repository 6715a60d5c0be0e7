/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <string.h>

#include "base/rand.h"

static void random_bytes_fill_any_size(void **state)
{
    static uint8_t bytes[5000];

    (void)state;
    yo_rand_bytes(bytes, 0);
    assert_int_equal(bytes[0], 0);
    for (size_t size = 20; size < sizeof(bytes) - 16; size = 3 * size + 1) {
        uint8_t zeros[16] = {0};
        memset(bytes, 0, sizeof(bytes));
        yo_rand_bytes(bytes, size);
        assert_memory_not_equal(bytes, zeros, sizeof(zeros));
        assert_memory_not_equal(bytes + size - 16, zeros, sizeof(zeros));
        assert_memory_equal(bytes + size, zeros, sizeof(zeros));
    }
}

static void a_session_id_fits_a_double_and_is_never_zero(void **state)
{
    uint64_t seen = 0;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        uint64_t id = yo_rand_session();
        assert_true(id > 0 && id < UINT64_C(1) << 53);
        seen |= id;
    }
    assert_true(seen == (UINT64_C(1) << 53) - 1);
}

static void the_same_seed_gives_the_same_numbers(void **state)
{
    struct yo_rand a, b, c;

    (void)state;
    yo_rand_seed(&a, 42);
    yo_rand_seed(&b, 42);
    yo_rand_seed(&c, 43);
    for (int i = 0; i < 100; i++) {
        uint64_t number = yo_rand_next(&a);
        assert_true(number == yo_rand_next(&b));
        assert_true(number != yo_rand_next(&c));
    }
}

/* Worked out by hand from the published algorithm for the state 1, 2, 3, 4. */
static void the_generator_is_xoshiro256_starstar(void **state)
{
    struct yo_rand rand = {{1, 2, 3, 4}};

    (void)state;
    assert_true(yo_rand_next(&rand) == 11520);
    assert_true(yo_rand_next(&rand) == 0);
    assert_true(yo_rand_next(&rand) == 1509978240);
}

static void numbers_below_a_limit_are_spread_evenly(void **state)
{
    unsigned counts[7] = {0};
    struct yo_rand rand;

    (void)state;
    yo_rand_seed(&rand, 3);
    for (int i = 0; i < 70000; i++) {
        counts[yo_rand_below(&rand, 7)]++;
    }
    for (int i = 0; i < 7; i++) {
        assert_in_range(counts[i], 9500, 10500);
    }
    for (int i = 0; i < 100; i++) {
        assert_int_equal(yo_rand_below(&rand, 1), 0);
        assert_true(yo_rand_below(&rand, (UINT64_C(1) << 63) + 1) <= UINT64_C(1) << 63);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_bytes_fill_any_size),
        cmocka_unit_test(a_session_id_fits_a_double_and_is_never_zero),
        cmocka_unit_test(the_same_seed_gives_the_same_numbers),
        cmocka_unit_test(the_generator_is_xoshiro256_starstar),
        cmocka_unit_test(numbers_below_a_limit_are_spread_evenly),
    };

    return cmocka_run_group_tests_name("base/rand", tests, NULL, NULL);
}
