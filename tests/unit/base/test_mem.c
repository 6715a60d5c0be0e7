/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "support/fault.h"

static void a_request_for_nothing_is_answered_with_memory(void **state)
{
    void *memory = yo_malloc(&yo_mem_libc, 0);

    (void)state;
    assert_non_null(memory);
    memory = yo_realloc(&yo_mem_libc, memory, 0);
    assert_non_null(memory);
    yo_free(&yo_mem_libc, memory);
}

static void calloc_gives_zeros(void **state)
{
    struct fault fault;
    unsigned char *memory;

    (void)state;
    fault_init(&fault, 0, FAULT_ONCE);
    memory = yo_calloc(&fault.mem, 7, 3);
    assert_non_null(memory);
    for (size_t i = 0; i < 21; i++) {
        assert_int_equal(memory[i], 0);
    }
    yo_free(&fault.mem, memory);
    fault_assert_no_leak(&fault);
}

static void calloc_refuses_a_product_that_overflows(void **state)
{
    (void)state;
    assert_null(yo_calloc(&yo_mem_libc, SIZE_MAX / 2, 3));
    assert_null(yo_calloc(&yo_mem_libc, 3, SIZE_MAX / 2));
}

static void freeing_nothing_never_reaches_the_allocator(void **state)
{
    (void)state;
    yo_free(NULL, NULL);
    yo_free(&yo_mem_libc, NULL);
}

static void strndup_ends_with_a_nul(void **state)
{
    char *copy = yo_strndup(&yo_mem_libc, "presence", 4);
    char *empty = yo_strndup(&yo_mem_libc, NULL, 0);

    (void)state;
    assert_string_equal(copy, "pres");
    assert_string_equal(empty, "");
    yo_free(&yo_mem_libc, copy);
    yo_free(&yo_mem_libc, empty);
    assert_null(yo_strndup(&yo_mem_libc, "x", SIZE_MAX));
}

static void what_fails_gives_null(void **state)
{
    struct fault fault;

    (void)state;
    fault_init(&fault, 1, FAULT_FROM);
    assert_null(yo_malloc(&fault.mem, 1));
    assert_null(yo_calloc(&fault.mem, 1, 1));
    assert_null(yo_realloc(&fault.mem, NULL, 1));
    assert_null(yo_strndup(&fault.mem, "x", 1));
    fault_assert_no_leak(&fault);
}

struct outer {
    int before;
    int member;
};

static void a_container_is_found_from_its_member(void **state)
{
    struct outer outer = {1, 2};

    (void)state;
    assert_ptr_equal(YO_CONTAINER(&outer.member, struct outer, member), &outer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_for_nothing_is_answered_with_memory),
        cmocka_unit_test(calloc_gives_zeros),
        cmocka_unit_test(calloc_refuses_a_product_that_overflows),
        cmocka_unit_test(freeing_nothing_never_reaches_the_allocator),
        cmocka_unit_test(strndup_ends_with_a_nul),
        cmocka_unit_test(what_fails_gives_null),
        cmocka_unit_test(a_container_is_found_from_its_member),
    };

    return cmocka_run_group_tests_name("base/mem", tests, NULL, NULL);
}
