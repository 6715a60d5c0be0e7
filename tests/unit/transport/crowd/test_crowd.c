/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <yomo/error.h>

#include "support/fault.h"
#include "transport/crowd/crowd.h"

static struct yo_crowd *crowd;

static struct yo_guest *enter(const char *key)
{
    struct yo_guest *guest = NULL;
    assert_int_equal(yo_crowd_enter(crowd, yo_span_of(key), &guest), YOMO_OK);
    return guest;
}

static void expect_full(const char *key)
{
    struct yo_guest *guest;
    assert_int_equal(yo_crowd_enter(crowd, yo_span_of(key), &guest), YOMO_ERR_FULL);
}

static void open_crowd(uint32_t max, uint32_t max_of_one)
{
    assert_int_equal(yo_crowd_create(&crowd, &yo_mem_libc, max, max_of_one), YOMO_OK);
}

static void all_are_counted_and_each(void **state)
{
    (void)state;
    open_crowd(3, 2);
    struct yo_guest *a = enter("a"), *same = enter("a");
    assert_ptr_equal(a, same);
    expect_full("a");
    struct yo_guest *b = enter("b");
    expect_full("c");
    expect_full(NULL);
    yo_crowd_leave(crowd, a);
    yo_crowd_leave(crowd, NULL);
    struct yo_guest *c = enter("c");
    yo_crowd_leave(crowd, same);
    yo_crowd_leave(crowd, b);
    yo_crowd_leave(crowd, c);
    yo_crowd_destroy(crowd);
}

static void who_has_no_name_counts_for_all_only(void **state)
{
    struct yo_guest *guests[3];
    (void)state;
    open_crowd(3, 1);
    for (int i = 0; i < 3; i++) {
        guests[i] = enter(NULL);
    }
    expect_full(NULL);
    assert_int_equal(yo_crowd_rename(crowd, &guests[0], yo_span_of("a")), YOMO_OK);
    assert_int_equal(yo_crowd_rename(crowd, &guests[0], yo_span_of("a")), YOMO_OK);
    assert_int_equal(yo_crowd_rename(crowd, &guests[1], yo_span_of("a")),
                     YOMO_ERR_FULL);
    assert_int_equal(yo_crowd_rename(crowd, &guests[0], yo_span_of("b")), YOMO_OK);
    assert_int_equal(yo_crowd_rename(crowd, &guests[1], yo_span_of("a")), YOMO_OK);
    for (int i = 0; i < 3; i++) {
        yo_crowd_leave(crowd, guests[i]);
    }
    yo_crowd_destroy(crowd);
}

static void without_limits_all_may_enter(void **state)
{
    struct yo_guest *guests[1000];
    (void)state;
    open_crowd(0, 0);
    for (int i = 0; i < 1000; i++) {
        guests[i] = enter("a");
    }
    for (int i = 0; i < 1000; i++) {
        yo_crowd_leave(crowd, guests[i]);
    }
    yo_crowd_destroy(crowd);
    yo_crowd_destroy(NULL);
}

#define ROUNDS 2000

static void *come_and_go(void *user)
{
    struct yo_guest *guest;
    size_t *in = user;
    while (*in < ROUNDS) {
        if (yo_crowd_enter(crowd, yo_span_of(*in % 2 ? "a" : "b"), &guest) == YOMO_OK) {
            (void)yo_crowd_rename(crowd, &guest, yo_span_of("c"));
            yo_crowd_leave(crowd, guest);
            (*in)++;
        } else {
            sched_yield(); /* the others are inside */
        }
    }
    return NULL;
}

static void threads_share_it(void **state)
{
    pthread_t threads[4];
    size_t in[4] = {0};
    (void)state;
    open_crowd(3, 2);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, &in[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(in[i], ROUNDS);
    }
    yo_crowd_destroy(crowd); /* asserts that nobody is left */
}

static void come_go_and_rename(struct fault *fault, void *user)
{
    struct yo_guest *guest;
    (void)user;
    if (yo_crowd_create(&crowd, &fault->mem, 2, 1) != YOMO_OK) {
        return;
    }
    if (yo_crowd_enter(crowd, yo_span_of("a"), &guest) == YOMO_OK) {
        (void)yo_crowd_rename(crowd, &guest, yo_span_of("b"));
        yo_crowd_leave(crowd, guest);
    }
    yo_crowd_destroy(crowd);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    fault_each(come_go_and_rename, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_are_counted_and_each),
        cmocka_unit_test(who_has_no_name_counts_for_all_only),
        cmocka_unit_test(without_limits_all_may_enter),
        cmocka_unit_test(threads_share_it),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
