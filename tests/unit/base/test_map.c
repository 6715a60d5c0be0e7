/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/map.h"
#include "base/rand.h"
#include "support/fault.h"

#define ITEMS 2000

struct item {
    struct yo_map_node node;
    char name[24];
    bool in;
};

static struct yo_span name_of(struct item *item)
{
    return yo_span_of(item->name);
}

static void make_items(struct item *items)
{
    for (int i = 0; i < ITEMS; i++) {
        memset(&items[i], 0, sizeof(items[i]));
        snprintf(items[i].name, sizeof(items[i].name), "item-%d", i);
    }
}

static void an_empty_map_has_nothing(void **state)
{
    struct yo_map map;

    (void)state;
    yo_map_init(&map, &yo_mem_libc);
    assert_null(yo_map_get(&map, yo_span_of("x")));
    assert_null(yo_map_next(&map, NULL));
    yo_map_finish(&map);
    yo_map_finish(&map);
    yo_map_finish(NULL);
}

static void what_is_put_is_found_until_it_is_removed(void **state)
{
    static struct item items[ITEMS];
    struct yo_map map;
    struct yo_rand rand;

    (void)state;
    yo_rand_seed(&rand, 1);
    make_items(items);
    yo_map_init(&map, &yo_mem_libc);
    for (int step = 0; step < 50000; step++) {
        struct item *item = &items[yo_rand_below(&rand, ITEMS)];
        struct yo_map_node *found = yo_map_get(&map, name_of(item));
        assert_ptr_equal(found, item->in ? &item->node : NULL);
        if (item->in) {
            yo_map_remove(&map, &item->node);
        } else {
            assert_int_equal(yo_map_put(&map, &item->node, name_of(item)), YOMO_OK);
        }
        item->in = !item->in;
    }
    yo_map_finish(&map);
}

static void a_taken_key_is_refused(void **state)
{
    struct yo_map_node a, b;
    struct yo_map map;

    (void)state;
    yo_map_init(&map, &yo_mem_libc);
    assert_int_equal(yo_map_put(&map, &a, yo_span_of("key")), YOMO_OK);
    assert_int_equal(yo_map_put(&map, &b, yo_span_of("key")), YOMO_ERR_EXISTS);
    assert_ptr_equal(yo_map_get(&map, yo_span_of("key")), &a);
    assert_int_equal(map.count, 1);
    yo_map_finish(&map);
}

static void keys_may_be_empty_or_have_zeros(void **state)
{
    struct yo_map_node a, b, c;
    struct yo_map map;

    (void)state;
    yo_map_init(&map, &yo_mem_libc);
    assert_int_equal(yo_map_put(&map, &a, YO_SPAN_NONE), YOMO_OK);
    assert_int_equal(yo_map_put(&map, &b, yo_span("\0", 1)), YOMO_OK);
    assert_int_equal(yo_map_put(&map, &c, yo_span("\0\0", 2)), YOMO_OK);
    assert_ptr_equal(yo_map_get(&map, yo_span_of("")), &a);
    assert_ptr_equal(yo_map_get(&map, yo_span("\0", 1)), &b);
    assert_ptr_equal(yo_map_get(&map, yo_span("\0\0", 2)), &c);
    yo_map_finish(&map);
}

static void a_walk_meets_each_node_once(void **state)
{
    static struct item items[ITEMS];
    struct yo_map_node *node = NULL;
    struct yo_map map;
    size_t met = 0;

    (void)state;
    make_items(items);
    yo_map_init(&map, &yo_mem_libc);
    for (int i = 0; i < ITEMS; i++) {
        assert_int_equal(yo_map_put(&map, &items[i].node, name_of(&items[i])), YOMO_OK);
    }
    while ((node = yo_map_next(&map, node)) != NULL) {
        struct item *item = YO_CONTAINER(node, struct item, node);
        assert_false(item->in);
        item->in = true;
        met++;
    }
    assert_int_equal(met, ITEMS);
    node = yo_map_next(&map, NULL);
    while (node) { /* removing on the way */
        struct yo_map_node *next = yo_map_next(&map, node);
        yo_map_remove(&map, node);
        node = next;
    }
    assert_int_equal(map.count, 0);
    yo_map_finish(&map);
}

static void reserved_puts_do_not_allocate(void **state)
{
    static struct item items[ITEMS];
    struct fault fault;
    struct yo_map map;

    (void)state;
    make_items(items);
    fault_init(&fault, 0, FAULT_ONCE);
    yo_map_init(&map, &fault.mem);
    for (int i = 0; i < ITEMS; i++) {
        if (i % 100 == 0) {
            fault_arm(&fault, 0, FAULT_ONCE);
            assert_int_equal(yo_map_reserve(&map, 100), YOMO_OK);
            fault_arm(&fault, 1, FAULT_FROM);
        }
        assert_int_equal(yo_map_put(&map, &items[i].node, name_of(&items[i])), YOMO_OK);
    }
    assert_int_equal(yo_map_reserve(&map, SIZE_MAX), YOMO_ERR_NOMEM);
    yo_map_finish(&map);
    fault_assert_no_leak(&fault);
}

static void put_all(struct fault *fault, void *user)
{
    struct item *items = user;
    struct yo_map map;
    size_t count = 0;

    make_items(items);
    yo_map_init(&map, &fault->mem);
    for (int i = 0; i < 100; i++) {
        int rv = yo_map_put(&map, &items[i].node, name_of(&items[i]));
        if (rv == YOMO_OK) {
            count++;
        } else {
            assert_int_equal(rv, YOMO_ERR_NOMEM);
            assert_true(fault->failed);
        }
        items[i].in = rv == YOMO_OK;
        assert_int_equal(map.count, count);
    }
    for (int i = 0; i < 100; i++) {
        assert_ptr_equal(yo_map_get(&map, name_of(&items[i])),
                         items[i].in ? &items[i].node : NULL);
    }
    yo_map_finish(&map);
}

static void each_failing_allocation_is_survived(void **state)
{
    static struct item items[ITEMS];

    (void)state;
    assert_true(fault_each(put_all, items) > 3);
}

static void two_maps_hash_the_same_key_differently(void **state)
{
    struct yo_map_node a, b;
    struct yo_map one, other;

    (void)state;
    yo_map_init(&one, &yo_mem_libc);
    yo_map_init(&other, &yo_mem_libc);
    yo_map_put(&one, &a, yo_span_of("key"));
    yo_map_put(&other, &b, yo_span_of("key"));
    assert_true(a.hash != b.hash);
    yo_map_finish(&one);
    yo_map_finish(&other);
}

/* The values of another implementation (CPython 3.11 with PYTHONHASHSEED=0). */
static void the_hash_is_siphash_1_3(void **state)
{
    const uint64_t zero[2] = {0, 0};

    (void)state;
    assert_true(yo_siphash(zero, yo_span_of("a")) == UINT64_C(4644417185603328019));
    assert_true(yo_siphash(zero, yo_span_of("abc")) == UINT64_C(13851880170939887858));
    assert_true(yo_siphash(zero, yo_span_of("abcdefg")) ==
                UINT64_C(7904145750247929094));
    assert_true(yo_siphash(zero, yo_span_of("abcdefgh")) ==
                UINT64_C(4574395652268504554));
    assert_true(yo_siphash(zero, yo_span_of("presence of mind")) ==
                UINT64_C(2884043425852374014));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_map_has_nothing),
        cmocka_unit_test(what_is_put_is_found_until_it_is_removed),
        cmocka_unit_test(a_taken_key_is_refused),
        cmocka_unit_test(keys_may_be_empty_or_have_zeros),
        cmocka_unit_test(a_walk_meets_each_node_once),
        cmocka_unit_test(reserved_puts_do_not_allocate),
        cmocka_unit_test(each_failing_allocation_is_survived),
        cmocka_unit_test(two_maps_hash_the_same_key_differently),
        cmocka_unit_test(the_hash_is_siphash_1_3),
    };

    return cmocka_run_group_tests_name("base/map", tests, NULL, NULL);
}
