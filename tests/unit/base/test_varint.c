/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/varint.h"
#include "support/bytes.h"

static void check_one(uint64_t number, const char *digits)
{
    uint8_t out[YO_VARINT_SIZE_MAX];
    size_t size = yo_varint_write(out, number);
    struct yo_span bytes = bytes_copy(yo_span(out, size));
    uint64_t value = 99;

    assert_hex(bytes, digits);
    assert_int_equal(yo_varint_size(number), size);
    assert_int_equal(yo_varint_size_from(bytes.data[0]), size);
    for (size_t cut = 0; cut < size; cut++) {
        assert_int_equal(yo_varint_read(bytes_copy(yo_span(out, cut)), &value), 0);
        assert_true(value == 99);
    }
    assert_int_equal(yo_varint_read(bytes, &value), size);
    assert_true(value == number);
}

static void the_examples_of_the_rfc_are_met(void **state)
{
    (void)state; /* RFC 9000 A.1 */
    check_one(UINT64_C(151288809941952652), "c2197c5eff14e88c");
    check_one(494878333, "9d7f3e7d");
    check_one(15293, "7bbd");
    check_one(37, "25");
}

static void each_length_begins_where_the_one_before_ends(void **state)
{
    (void)state;
    check_one(0, "00");
    check_one(63, "3f");
    check_one(64, "4040");
    check_one(16383, "7fff");
    check_one(16384, "80004000");
    check_one(1073741823, "bfffffff");
    check_one(1073741824, "c000000040000000");
    check_one(YO_VARINT_MAX, "ffffffffffffffff");
    assert_int_equal(yo_varint_size(YO_VARINT_MAX + 1), 0);
    assert_int_equal(yo_varint_size(UINT64_MAX), 0);
}

static void longer_forms_than_needed_are_read(void **state)
{
    uint64_t value;

    (void)state;
    assert_int_equal(yo_varint_read(bytes_hex("4025"), &value), 2);
    assert_true(value == 37);
    assert_int_equal(yo_varint_read(bytes_hex("c000000000000025ff"), &value), 8);
    assert_true(value == 37);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_the_rfc_are_met),
        cmocka_unit_test(each_length_begins_where_the_one_before_ends),
        cmocka_unit_test(longer_forms_than_needed_are_read),
    };

    return cmocka_run_group_tests_name("base/varint", tests, NULL, NULL);
}
