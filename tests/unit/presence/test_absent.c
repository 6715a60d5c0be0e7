/* SPDX-License-Identifier: MIT */
/* Who lost a seat while away, and up to where it may have missed what was said to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "presence/absent.h"
#include "support/fault.h"

static struct yo_position at(uint64_t normal, uint64_t urgent, uint64_t bulk)
{
    return (struct yo_position){.place = {normal, urgent, bulk}};
}

static bool gap(const struct yo_absent *absent, uint64_t session, const char *id,
                struct yo_position position, uint64_t *first, uint64_t *last)
{
    return yo_absent_gap(absent, session, yo_span_of(id), &position, first, last);
}

static void each_priority_counts(void **state)
{
    struct yo_absent absent;
    struct yo_position named = at(20, 0, 30);
    uint64_t first, last;
    (void)state;
    yo_absent_init(&absent, &yo_mem_libc);
    yo_absent_put(&absent, 7, "ada", &named);
    assert_true(gap(&absent, 7, "ada", at(10, 15, 12), &first, &last));
    assert_true(first == 11 && last == 30);
    assert_true(gap(&absent, 7, "ada", at(20, 15, 12), &first, &last));
    assert_true(first == 13 && last == 30);
    assert_false(gap(&absent, 7, "ada", at(20, 15, 30), &first, &last));
    assert_false(gap(&absent, 7, "bob", at(10, 10, 10), &first, &last));
    assert_false(gap(&absent, 8, "ada", at(10, 10, 10), &first, &last));
    yo_absent_finish(&absent);
}

static void of_the_oldest_it_is_known_together(void **state)
{
    struct yo_absent absent;
    uint64_t first, last;
    (void)state;
    yo_absent_init(&absent, &yo_mem_libc);
    for (uint64_t i = 1; i <= YO_ABSENT_MAX + 2; i++) {
        struct yo_position named = at(i * 10, 0, 0);
        yo_absent_put(&absent, i, "ada", &named);
        assert_true(absent.count <= YO_ABSENT_MAX);
    }
    assert_true(gap(&absent, 1, "ada", at(5, 5, 5), &first, &last));
    assert_true(first == 6 && last == 20); /* of two: one may have missed that much */
    assert_false(gap(&absent, 1, "ada", at(20, 20, 20), &first, &last));
    assert_true(gap(&absent, 3, "ada", at(5, 5, 5), &first, &last));
    assert_true(first == 6 && last == 30);
    yo_absent_finish(&absent);
}

static void without_memory_too(void **state)
{
    struct yo_absent absent;
    struct yo_position named = at(20, 0, 0);
    struct fault fault;
    uint64_t first, last;
    (void)state;
    fault_init(&fault, 1, FAULT_ONCE);
    yo_absent_init(&absent, &fault.mem);
    yo_absent_put(&absent, 7, "ada", &named);
    assert_true(gap(&absent, 7, "ada", at(5, 5, 5), &first, &last));
    assert_true(first == 6 && last == 20);
    yo_absent_finish(&absent);
    fault_assert_no_leak(&fault);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_priority_counts),
        cmocka_unit_test(of_the_oldest_it_is_known_together),
        cmocka_unit_test(without_memory_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
