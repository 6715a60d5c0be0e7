/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <yomo/error.h>

#include "base/pairs.h"
#include "support/bytes.h"
#include "support/fault.h"

static void pairs_come_back_in_their_order(void **state)
{
    struct yo_span rest, name, value;
    struct yo_buf pairs;

    (void)state;
    yo_buf_init(&pairs, &yo_mem_libc);
    assert_int_equal(yo_pairs_append(&pairs, yo_span_of("a"), yo_span_of("1")),
                     YOMO_OK);
    assert_int_equal(yo_pairs_append(&pairs, yo_span_of(""), yo_span_of("")), YOMO_OK);
    assert_int_equal(yo_pairs_append(&pairs, yo_span_of("a"), yo_span_of("22")),
                     YOMO_OK);
    rest = bytes_copy(yo_buf_span(&pairs));
    assert_true(yo_span_is(yo_pairs_get(rest, "a"), "1"));
    assert_null(yo_pairs_get(rest, "b").data);
    assert_true(yo_pairs_next(&rest, &name, &value));
    assert_true(yo_span_is(name, "a") && yo_span_is(value, "1"));
    assert_true(yo_pairs_next(&rest, &name, &value));
    assert_non_null(name.data);
    assert_int_equal(name.size + value.size, 0);
    assert_true(yo_pairs_next(&rest, &name, &value));
    assert_true(yo_span_is(value, "22"));
    assert_false(yo_pairs_next(&rest, &name, &value));
    yo_buf_finish(&pairs);
}

static void what_is_too_big_is_refused(void **state)
{
    static const uint8_t big[UINT16_MAX + 1];
    struct yo_buf pairs;

    (void)state;
    yo_buf_init(&pairs, &yo_mem_libc);
    assert_int_equal(
        yo_pairs_append(&pairs, yo_span_of("a"), yo_span(big, sizeof(big))),
        YOMO_ERR_TOO_BIG);
    assert_int_equal(pairs.size, 0);
    assert_int_equal(
        yo_pairs_append(&pairs, yo_span_of("a"), yo_span(big, sizeof(big) - 1)),
        YOMO_OK);
    yo_buf_finish(&pairs);
}

static void with_memory_running_out(struct fault *fault, void *user)
{
    struct yo_buf pairs;

    (void)user;
    yo_buf_init(&pairs, &fault->mem);
    if (yo_pairs_append(&pairs, yo_span_of("name"), yo_span_of("value")) != YOMO_OK) {
        assert_true(fault->failed);
        assert_int_equal(pairs.size, 0);
    }
    yo_buf_finish(&pairs);
}

static void memory_may_run_out(void **state)
{
    (void)state;
    fault_each(with_memory_running_out, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_come_back_in_their_order),
        cmocka_unit_test(what_is_too_big_is_refused),
        cmocka_unit_test(memory_may_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
