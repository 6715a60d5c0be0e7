/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/check.h"
#include "support/bytes.h"
#include "support/fault.h"

static void appended_bytes_stand_one_after_another(void **state)
{
    struct yo_buf buf;

    (void)state;
    yo_buf_init(&buf, &yo_mem_libc);
    assert_int_equal(yo_buf_append(&buf, "ab", 2), YOMO_OK);
    assert_int_equal(yo_buf_append_span(&buf, yo_span_of("cd")), YOMO_OK);
    assert_int_equal(yo_buf_append_byte(&buf, 'e'), YOMO_OK);
    assert_int_equal(yo_buf_append_text(&buf, "fg"), YOMO_OK);
    assert_int_equal(yo_buf_append_span(&buf, YO_SPAN_NONE), YOMO_OK);
    assert_int_equal(yo_buf_printf(&buf, "-%d-%s", 42, "x"), YOMO_OK);
    assert_text(yo_buf_span(&buf), "abcdefg-42-x");
    assert_false(buf.failed);
    yo_buf_finish(&buf);
}

static void appending_a_byte_at_a_time_grows_seldom(void **state)
{
    struct fault fault;
    struct yo_buf buf;

    (void)state;
    fault_init(&fault, 0, FAULT_ONCE);
    yo_buf_init(&buf, &fault.mem);
    for (int i = 0; i < 100000; i++) {
        assert_int_equal(yo_buf_append_byte(&buf, (uint8_t)i), YOMO_OK);
    }
    for (int i = 0; i < 100000; i++) {
        assert_int_equal(buf.data[i], (uint8_t)i);
    }
    assert_true(fault.calls < 20);
    yo_buf_finish(&buf);
    fault_assert_no_leak(&fault);
}

static void a_reserved_append_does_not_allocate(void **state)
{
    struct fault fault;
    struct yo_buf buf;

    (void)state;
    fault_init(&fault, 0, FAULT_ONCE);
    yo_buf_init(&buf, &fault.mem);
    assert_int_equal(yo_buf_reserve(&buf, 500), YOMO_OK);
    fault_arm(&fault, 1, FAULT_FROM);
    for (int i = 0; i < 500; i++) {
        assert_int_equal(yo_buf_append_byte(&buf, 'x'), YOMO_OK);
    }
    yo_buf_finish(&buf);
    fault_assert_no_leak(&fault);
}

static void a_failed_append_changes_nothing_and_is_remembered(void **state)
{
    struct fault fault;
    struct yo_buf buf;

    (void)state;
    fault_init(&fault, 0, FAULT_ONCE);
    yo_buf_init(&buf, &fault.mem);
    assert_int_equal(yo_buf_append_text(&buf, "kept"), YOMO_OK);
    fault_arm(&fault, 1, FAULT_ONCE);
    assert_int_equal(yo_buf_append_span(&buf, bytes_repeat("x", 1000)), YOMO_ERR_NOMEM);
    assert_text(yo_buf_span(&buf), "kept");
    assert_true(buf.failed);
    assert_int_equal(yo_buf_append_text(&buf, "!"), YOMO_OK);
    assert_true(buf.failed);
    yo_buf_clear(&buf);
    assert_false(buf.failed);
    yo_buf_finish(&buf);
    fault_assert_no_leak(&fault);
}

static void a_size_past_all_memory_is_refused(void **state)
{
    struct yo_buf buf;

    (void)state;
    yo_buf_init(&buf, &yo_mem_libc);
    assert_int_equal(yo_buf_append_text(&buf, "kept"), YOMO_OK);
    assert_int_equal(yo_buf_reserve(&buf, SIZE_MAX), YOMO_ERR_NOMEM);
    assert_int_equal(yo_buf_reserve(&buf, SIZE_MAX / 2), YOMO_ERR_NOMEM);
    assert_text(yo_buf_span(&buf), "kept");
    yo_buf_finish(&buf);
}

static void printf_grows_to_any_length(void **state)
{
    struct yo_span text = bytes_repeat("0123456789", 500);
    struct yo_buf buf;

    (void)state;
    yo_buf_init(&buf, &yo_mem_libc);
    assert_int_equal(yo_buf_printf(&buf, "%s", ""), YOMO_OK);
    assert_int_equal(buf.size, 0);
    for (int length = 1; length < 200; length++) { /* also exactly the free room */
        yo_buf_clear(&buf);
        yo_buf_shrink(&buf, 0);
        assert_int_equal(yo_buf_printf(&buf, "%.*s", length, (const char *)text.data),
                         YOMO_OK);
        assert_true(
            yo_span_equal(yo_buf_span(&buf), yo_span(text.data, (size_t)length)));
    }
    assert_int_equal(yo_buf_printf(&buf, "%.*s", 5000, (const char *)text.data),
                     YOMO_OK);
    assert_int_equal(buf.size, 199 + 5000);
    yo_buf_finish(&buf);
}

static void consuming_moves_the_rest_down(void **state)
{
    struct yo_buf buf;

    (void)state;
    yo_buf_init(&buf, &yo_mem_libc);
    yo_buf_consume(&buf, 3);
    yo_buf_append_text(&buf, "abcdef");
    yo_buf_consume(&buf, 0);
    assert_text(yo_buf_span(&buf), "abcdef");
    yo_buf_consume(&buf, 2);
    assert_text(yo_buf_span(&buf), "cdef");
    yo_buf_consume(&buf, 100);
    assert_int_equal(buf.size, 0);
    yo_buf_finish(&buf);
}

static void shrinking_gives_back_what_is_empty_and_large(void **state)
{
    struct fault fault;
    struct yo_buf buf;

    (void)state;
    fault_init(&fault, 0, FAULT_ONCE);
    yo_buf_init(&buf, &fault.mem);
    yo_buf_append_span(&buf, bytes_repeat("x", 1000));
    yo_buf_shrink(&buf, 100);
    assert_int_equal(buf.size, 1000);
    yo_buf_clear(&buf);
    yo_buf_shrink(&buf, 4096);
    assert_int_equal(fault.blocks, 1);
    yo_buf_shrink(&buf, 100);
    assert_int_equal(fault.blocks, 0);
    assert_int_equal(yo_buf_append_text(&buf, "again"), YOMO_OK);
    yo_buf_finish(&buf);
    fault_assert_no_leak(&fault);
}

static void two_buffers_change_places(void **state)
{
    struct yo_buf a, b;

    (void)state;
    yo_buf_init(&a, &yo_mem_libc);
    yo_buf_init(&b, &yo_mem_libc);
    yo_buf_append_text(&a, "a");
    yo_buf_append_text(&b, "bb");
    yo_buf_swap(&a, &b);
    assert_text(yo_buf_span(&a), "bb");
    assert_text(yo_buf_span(&b), "a");
    yo_buf_finish(&a);
    yo_buf_finish(&b);
}

static void finishing_zeroed_memory_or_nothing_is_harmless(void **state)
{
    struct yo_buf buf = {0};

    (void)state;
    yo_buf_finish(&buf);
    yo_buf_finish(&buf);
    yo_buf_finish(NULL);
}

static void append_much(struct fault *fault, void *user)
{
    struct yo_buf buf;
    size_t size = 0;

    (void)user;
    yo_buf_init(&buf, &fault->mem);
    for (int i = 0; i < 300; i++) {
        int rv = i % 2 ? yo_buf_append_text(&buf, "0123456789")
                       : yo_buf_printf(&buf, "%s", "0123456789");
        if (rv == YOMO_OK) {
            size += 10;
        } else {
            assert_int_equal(rv, YOMO_ERR_NOMEM);
            assert_true(fault->failed);
        }
        assert_int_equal(buf.size, size);
        assert_true(buf.failed == fault->failed);
    }
    yo_buf_finish(&buf);
}

static void each_failing_allocation_is_survived(void **state)
{
    (void)state;
    assert_true(fault_each(append_much, NULL) > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appended_bytes_stand_one_after_another),
        cmocka_unit_test(appending_a_byte_at_a_time_grows_seldom),
        cmocka_unit_test(a_reserved_append_does_not_allocate),
        cmocka_unit_test(a_failed_append_changes_nothing_and_is_remembered),
        cmocka_unit_test(a_size_past_all_memory_is_refused),
        cmocka_unit_test(printf_grows_to_any_length),
        cmocka_unit_test(consuming_moves_the_rest_down),
        cmocka_unit_test(shrinking_gives_back_what_is_empty_and_large),
        cmocka_unit_test(two_buffers_change_places),
        cmocka_unit_test(finishing_zeroed_memory_or_nothing_is_harmless),
        cmocka_unit_test(each_failing_allocation_is_survived),
    };

    return cmocka_run_group_tests_name("base/buf", tests, NULL, NULL);
}
