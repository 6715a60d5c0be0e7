/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/heap.h"
#include "base/rand.h"
#include "support/fault.h"

#define NODES 300

static void check_order(const struct yo_heap *heap)
{
    for (size_t i = 0; i < heap->count; i++) {
        assert_int_equal(heap->slots[i].node->place, i + 1);
        assert_int_equal(heap->slots[i].node->when, heap->slots[i].when);
        if (i > 0) {
            assert_true(heap->slots[(i - 1) / 2].when <= heap->slots[i].when);
        }
    }
}

static void the_first_node_is_the_one_due_soonest(void **state)
{
    struct yo_heap_node a = {0}, b = {0}, c = {0};
    struct yo_heap heap;

    (void)state;
    yo_heap_init(&heap, &yo_mem_libc);
    assert_null(yo_heap_first(&heap));
    yo_heap_set(&heap, &a, 20);
    yo_heap_set(&heap, &b, 10);
    yo_heap_set(&heap, &c, YO_NEVER);
    assert_ptr_equal(yo_heap_first(&heap), &b);
    yo_heap_set(&heap, &b, 30);
    assert_ptr_equal(yo_heap_first(&heap), &a);
    yo_heap_set(&heap, &c, 0);
    assert_ptr_equal(yo_heap_first(&heap), &c);
    yo_heap_finish(&heap);
    assert_int_equal(a.place, 0);
}

static void removing_twice_is_harmless(void **state)
{
    struct yo_heap_node a = {0}, b = {0};
    struct yo_heap heap;

    (void)state;
    yo_heap_init(&heap, &yo_mem_libc);
    yo_heap_remove(&heap, &a);
    yo_heap_set(&heap, &a, 1);
    yo_heap_set(&heap, &b, 2);
    yo_heap_remove(&heap, &a);
    yo_heap_remove(&heap, &a);
    assert_ptr_equal(yo_heap_first(&heap), &b);
    yo_heap_remove(&heap, &b);
    assert_null(yo_heap_first(&heap));
    yo_heap_finish(&heap);
    yo_heap_finish(NULL);
}

static void any_order_of_calls_keeps_the_order_of_deadlines(void **state)
{
    static struct yo_heap_node nodes[NODES];
    struct yo_heap heap;
    struct yo_rand rand;
    yo_time last = 0;

    (void)state;
    yo_rand_seed(&rand, 7);
    yo_heap_init(&heap, &yo_mem_libc);
    for (int step = 0; step < 20000; step++) {
        struct yo_heap_node *node = &nodes[yo_rand_below(&rand, NODES)];
        if (yo_rand_below(&rand, 3) == 0) {
            yo_heap_remove(&heap, node);
        } else {
            assert_int_equal(yo_heap_set(&heap, node, yo_rand_below(&rand, 1000)),
                             YOMO_OK);
        }
        if (step % 50 == 0) {
            check_order(&heap);
        }
    }
    while (yo_heap_first(&heap)) {
        assert_true(yo_heap_first(&heap)->when >= last);
        last = yo_heap_first(&heap)->when;
        yo_heap_remove(&heap, yo_heap_first(&heap));
    }
    yo_heap_finish(&heap);
}

static void set_all(struct fault *fault, void *user)
{
    struct yo_heap_node nodes[100] = {{0, 0}};
    struct yo_heap heap;
    size_t count = 0;

    (void)user;
    yo_heap_init(&heap, &fault->mem);
    for (size_t i = 0; i < 100; i++) {
        int rv = yo_heap_set(&heap, &nodes[i], 100 - i);
        if (rv == YOMO_OK) {
            count++;
            assert_int_equal(yo_heap_set(&heap, &nodes[i], 200 - i), YOMO_OK);
        } else {
            assert_int_equal(rv, YOMO_ERR_NOMEM);
            assert_true(fault->failed);
            assert_int_equal(nodes[i].place, 0);
        }
        assert_int_equal(heap.count, count);
        check_order(&heap);
    }
    yo_heap_finish(&heap);
}

static void each_failing_allocation_is_survived(void **state)
{
    (void)state;
    assert_true(fault_each(set_all, NULL) > 2);
}

static void a_reserved_heap_does_not_allocate(void **state)
{
    struct yo_heap_node nodes[40] = {{0, 0}};
    struct yo_heap heap;
    struct fault fault;

    (void)state;
    fault_init(&fault, 0, FAULT_ONCE);
    yo_heap_init(&heap, &fault.mem);
    assert_int_equal(yo_heap_reserve(&heap, 40), YOMO_OK);
    fault_arm(&fault, 1, FAULT_FROM);
    for (size_t i = 0; i < 40; i++) {
        assert_int_equal(yo_heap_set(&heap, &nodes[i], i), YOMO_OK);
    }
    assert_int_equal(yo_heap_reserve(&heap, SIZE_MAX), YOMO_ERR_NOMEM);
    yo_heap_finish(&heap);
    fault_assert_no_leak(&fault);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_node_is_the_one_due_soonest),
        cmocka_unit_test(removing_twice_is_harmless),
        cmocka_unit_test(any_order_of_calls_keeps_the_order_of_deadlines),
        cmocka_unit_test(each_failing_allocation_is_survived),
        cmocka_unit_test(a_reserved_heap_does_not_allocate),
    };

    return cmocka_run_group_tests_name("base/heap", tests, NULL, NULL);
}
