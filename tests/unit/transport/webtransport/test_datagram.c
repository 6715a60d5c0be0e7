/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <yomo/error.h>

#include "support/fault.h"
#include "transport/webtransport/datagram.h"

static int push(struct yo_datagrams *datagrams, const char *text, uint64_t token)
{
    struct yo_blob *blob = yo_blob_create(&yo_mem_libc, yo_span_of(text));
    int rv = yo_datagrams_push(datagrams, blob, token);
    yo_blob_unref(blob);
    return rv;
}

static void they_leave_in_order(void **state)
{
    struct yo_datagrams datagrams;
    uint64_t id;
    (void)state;
    yo_datagrams_init(&datagrams, &yo_mem_libc);
    assert_null(yo_datagrams_peek(&datagrams, &id));
    push(&datagrams, "one", 0);
    push(&datagrams, "three", 0);
    assert_int_equal(datagrams.count, 2);
    assert_int_equal(datagrams.size, 8);
    assert_int_equal(yo_datagrams_peek(&datagrams, &id)->size, 3);
    assert_int_equal(id, 0);
    yo_datagrams_sent(&datagrams);
    assert_int_equal(yo_datagrams_peek(&datagrams, &id)->size, 5);
    assert_int_equal(yo_datagrams_drop(&datagrams), 0);
    assert_int_equal(datagrams.count + datagrams.size, 0);
    yo_datagrams_finish(&datagrams);
}

static void a_token_is_told_once(void **state)
{
    struct yo_datagrams datagrams;
    uint64_t id[2];
    (void)state;
    yo_datagrams_init(&datagrams, &yo_mem_libc);
    push(&datagrams, "a", 77);
    push(&datagrams, "b", 77); /* the owner's numbers need not differ */
    for (int i = 0; i < 2; i++) {
        assert_non_null(yo_datagrams_peek(&datagrams, &id[i]));
        yo_datagrams_sent(&datagrams);
    }
    assert_int_equal(yo_datagrams_land(&datagrams, id[1]), 77);
    assert_int_equal(yo_datagrams_land(&datagrams, id[1]),
                     0); /* a loss that was none */
    assert_int_equal(yo_datagrams_land(&datagrams, 0), 0);
    assert_int_equal(yo_datagrams_land(&datagrams, id[0]), 77);
    yo_datagrams_finish(&datagrams);
}

static void too_many_that_fly_must_land_first(void **state)
{
    struct yo_datagrams datagrams;
    uint64_t id = 0;
    (void)state;
    yo_datagrams_init(&datagrams, &yo_mem_libc);
    for (uint64_t i = 1; i <= YO_DATAGRAMS_FLYING_MAX; i++) {
        assert_int_equal(push(&datagrams, "x", i), YOMO_OK);
        yo_datagrams_peek(&datagrams, &id);
        yo_datagrams_sent(&datagrams);
    }
    assert_int_equal(push(&datagrams, "x", 9999), YOMO_ERR_AGAIN);
    assert_int_equal(push(&datagrams, "x", 0), YOMO_OK);
    assert_int_equal(yo_datagrams_land(&datagrams, id), YO_DATAGRAMS_FLYING_MAX);
    assert_int_equal(push(&datagrams, "x", 9999), YOMO_OK);
    yo_datagrams_finish(&datagrams);
}

static void short_of_memory(struct fault *fault, void *user)
{
    struct yo_datagrams datagrams;
    (void)user;
    yo_datagrams_init(&datagrams, &fault->mem);
    for (uint64_t i = 0; i < 20; i++) {
        size_t before = datagrams.count;
        if (push(&datagrams, "x", i) != YOMO_OK) {
            assert_true(fault->failed);
            assert_int_equal(datagrams.count, before);
        }
    }
    yo_datagrams_finish(&datagrams);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    fault_each(short_of_memory, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_leave_in_order),
        cmocka_unit_test(a_token_is_told_once),
        cmocka_unit_test(too_many_that_fly_must_land_first),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("transport/webtransport/datagram", tests, NULL,
                                       NULL);
}
