/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/list.h"
#include "base/mem.h"

struct item {
    int number;
    struct yo_link link;
};

static int number_of(struct yo_link *link)
{
    return YO_CONTAINER(link, struct item, link)->number;
}

static void a_list_is_first_in_first_out(void **state)
{
    struct item items[3] = {{1, {0}}, {2, {0}}, {3, {0}}};
    struct yo_link head;

    (void)state;
    yo_list_init(&head);
    assert_true(yo_list_empty(&head));
    assert_null(yo_list_pop_front(&head));
    yo_list_push_back(&head, &items[1].link);
    yo_list_push_back(&head, &items[2].link);
    yo_list_push_front(&head, &items[0].link);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(number_of(yo_list_pop_front(&head)), i);
    }
    assert_true(yo_list_empty(&head));
}

static void a_walk_may_remove_what_it_meets(void **state)
{
    struct item items[4] = {{1, {0}}, {2, {0}}, {3, {0}}, {4, {0}}};
    struct yo_link head;
    int sum = 0;

    (void)state;
    yo_list_init(&head);
    for (int i = 0; i < 4; i++) {
        yo_list_push_back(&head, &items[i].link);
    }
    YO_LIST_EACH(link, next, &head)
    {
        sum += number_of(link);
        if (number_of(link) % 2 == 0) {
            yo_list_remove(link);
            yo_list_remove(link);
        }
    }
    assert_int_equal(sum, 10);
    assert_int_equal(number_of(yo_list_pop_front(&head)), 1);
    assert_int_equal(number_of(yo_list_pop_front(&head)), 3);
    assert_true(yo_list_empty(&head));
}

static void splicing_moves_all_to_the_end(void **state)
{
    struct item items[3] = {{1, {0}}, {2, {0}}, {3, {0}}};
    struct yo_link a, b;

    (void)state;
    yo_list_init(&a);
    yo_list_init(&b);
    yo_list_splice(&a, &b);
    assert_true(yo_list_empty(&a));
    yo_list_push_back(&a, &items[0].link);
    yo_list_push_back(&b, &items[1].link);
    yo_list_push_back(&b, &items[2].link);
    yo_list_splice(&a, &b);
    assert_true(yo_list_empty(&b));
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(number_of(yo_list_pop_front(&a)), i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_first_in_first_out),
        cmocka_unit_test(a_walk_may_remove_what_it_meets),
        cmocka_unit_test(splicing_moves_all_to_the_end),
    };

    return cmocka_run_group_tests_name("base/list", tests, NULL, NULL);
}
