/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/check.h"
#include "session/versions.h"
#include "support/fault.h"

static int admit(struct yo_versions *versions, const char *name, uint64_t version)
{
    return yo_versions_admit(versions, yo_span_of(name), version);
}

static void only_what_is_newer_is_let_in(void **state)
{
    struct yo_versions versions;

    (void)state;
    yo_versions_init(&versions, &yo_mem_libc, 10);
    assert_int_equal(admit(&versions, "a", 5), 1);
    assert_int_equal(admit(&versions, "a", 5), 0);
    assert_int_equal(admit(&versions, "a", 4), 0);
    assert_int_equal(admit(&versions, "b", 4), 1);
    assert_int_equal(admit(&versions, "a", 6), 1);
    assert_int_equal(admit(&versions, "", 1), 1);
    assert_int_equal(admit(&versions, "", 1), 0);
    yo_versions_finish(&versions);
    yo_versions_finish(&versions);
    yo_versions_finish(NULL);
}

static void the_one_silent_for_longest_is_forgotten(void **state)
{
    struct yo_versions versions;

    (void)state;
    yo_versions_init(&versions, &yo_mem_libc, 2);
    admit(&versions, "a", 5);
    admit(&versions, "b", 5);
    admit(&versions, "a", 6);
    admit(&versions, "c", 5);
    assert_int_equal(versions.by_name.count, 2);
    assert_int_equal(admit(&versions, "a", 6), 0);
    assert_int_equal(admit(&versions, "b", 1), 1);
    yo_versions_finish(&versions);
}

static void a_flood_of_names_stays_within_the_bound(void **state)
{
    struct yo_versions versions;
    char name[16];

    (void)state;
    yo_versions_init(&versions, &yo_mem_libc, 100);
    for (int i = 0; i < 10000; i++) {
        snprintf(name, sizeof(name), "%d", i);
        assert_int_equal(admit(&versions, name, 1), 1);
        assert_true(versions.by_name.count <= 100);
    }
    yo_versions_finish(&versions);
}

static void fill(struct fault *fault, void *user)
{
    struct yo_versions versions;

    (void)user;
    yo_versions_init(&versions, &fault->mem, 1);
    if (admit(&versions, "a", 5) == 1) {
        if (admit(&versions, "b", 5) == YOMO_ERR_NOMEM) {
            assert_int_equal(admit(&versions, "a", 5), 0);
        }
    }
    yo_versions_finish(&versions);
}

static void it_survives_every_failing_allocation(void **state)
{
    (void)state;
    assert_true(fault_each(fill, NULL) >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_is_newer_is_let_in),
        cmocka_unit_test(the_one_silent_for_longest_is_forgotten),
        cmocka_unit_test(a_flood_of_names_stays_within_the_bound),
        cmocka_unit_test(it_survives_every_failing_allocation),
    };

    return cmocka_run_group_tests_name("session/versions", tests, NULL, NULL);
}
