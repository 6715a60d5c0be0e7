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

static void a_full_queue_refuses_or_drops_the_oldest(void **state)
{
    struct yo_datagrams datagrams;
    uint64_t id;
    (void)state;
    yo_datagrams_init(&datagrams, &yo_mem_libc);
    datagrams.limits = (struct yo_datagram_limits){.count = 3};
    for (uint64_t i = 1; i <= 3; i++) {
        assert_int_equal(push(&datagrams, "x", i), YOMO_OK);
    }
    assert_int_equal(push(&datagrams, "new", 4), YOMO_ERR_AGAIN);
    assert_int_equal(datagrams.count, 3);
    datagrams.limits.drop_oldest = true;
    assert_int_equal(push(&datagrams, "new", 4), YOMO_OK);
    assert_int_equal(datagrams.count, 3);
    assert_int_equal(datagrams.dropped, 1);
    assert_int_equal(yo_datagrams_untold(&datagrams), 1);
    assert_int_equal(yo_datagrams_untold(&datagrams), 0);
    yo_datagrams_peek(&datagrams, &id);
    assert_int_equal(id, 2);
    assert_int_equal(push(&datagrams, "newer", 5),
                     YOMO_OK); /* one that nobody asks for */
    yo_datagrams_finish(&datagrams);
}

static void bytes_are_bounded_but_one_always_has_room(void **state)
{
    struct yo_datagrams datagrams;
    (void)state;
    yo_datagrams_init(&datagrams, &yo_mem_libc);
    datagrams.limits = (struct yo_datagram_limits){.size = 8};
    assert_int_equal(push(&datagrams, "more than eight", 0), YOMO_OK);
    assert_int_equal(push(&datagrams, "x", 0), YOMO_ERR_AGAIN);
    datagrams.limits.drop_oldest = true;
    assert_int_equal(push(&datagrams, "four", 0), YOMO_OK);
    assert_int_equal(push(&datagrams, "five", 0), YOMO_OK);
    assert_int_equal(datagrams.count, 2);
    assert_int_equal(push(&datagrams, "seven..", 0), YOMO_OK);
    assert_int_equal(datagrams.count, 1);
    assert_int_equal(datagrams.size, 7);
    assert_int_equal(datagrams.dropped, 3);
    yo_datagrams_finish(&datagrams);
}

static void the_old_leave_from_their_first_turn_on(void **state)
{
    struct yo_datagrams datagrams;
    (void)state;
    yo_datagrams_init(&datagrams, &yo_mem_libc);
    push(&datagrams, "a", 1);
    assert_false(yo_datagrams_expire(&datagrams, 1000 * YO_SECOND)); /* no limit */
    datagrams.limits.age = 10 * YO_MS;
    assert_false(yo_datagrams_expire(&datagrams, 1 * YO_MS));
    push(&datagrams, "b", 0);
    assert_false(yo_datagrams_expire(&datagrams, 10 * YO_MS));
    assert_true(yo_datagrams_expire(&datagrams, 11 * YO_MS));
    assert_int_equal(datagrams.count, 1);
    assert_int_equal(yo_datagrams_untold(&datagrams), 1);
    assert_true(yo_datagrams_expire(&datagrams, 20 * YO_MS));
    assert_int_equal(yo_datagrams_untold(&datagrams), 0); /* without a token */
    assert_int_equal(datagrams.count + datagrams.size, 0);
    assert_int_equal(datagrams.expired, 2);
    yo_datagrams_finish(&datagrams);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_leave_in_order),
        cmocka_unit_test(a_token_is_told_once),
        cmocka_unit_test(too_many_that_fly_must_land_first),
        cmocka_unit_test(a_full_queue_refuses_or_drops_the_oldest),
        cmocka_unit_test(bytes_are_bounded_but_one_always_has_room),
        cmocka_unit_test(the_old_leave_from_their_first_turn_on),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("transport/webtransport/datagram", tests, NULL,
                                       NULL);
}
