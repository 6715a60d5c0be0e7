/* SPDX-License-Identifier: MIT */
/* Who may send next, told as the names of those whose turn it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <yomo/error.h>

#include "base/rand.h"
#include "support/fault.h"
#include "transport/webtransport/priority.h"

struct named {
    struct yo_place place;
    char name;
};

static struct yo_turns turns;
static struct named streams[8];

static int begin(void **state)
{
    (void)state;
    yo_turns_init(&turns);
    for (int i = 0; i < 8; i++) {
        yo_place_init(&streams[i].place);
        streams[i].name = (char)('a' + i);
    }
    return 0;
}

static int end(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        yo_turns_forget(&turns, &streams[i].place, &yo_mem_libc);
    }
    assert_true(yo_list_empty(&turns.groups) && yo_turns_empty(&turns));
    return 0;
}

static void order(int i, uint64_t group, int64_t value)
{
    assert_int_equal(
        yo_turns_order(&turns, &streams[i].place, group, value, &yo_mem_libc), YOMO_OK);
}

static void add(int i)
{
    yo_turns_add(&turns, &streams[i].place);
}

/* `count` turns, each of which leaves something to be sent. */
static void expect(const char *names)
{
    for (; *names; names++) {
        struct yo_place *place = yo_turns_first(&turns);
        assert_non_null(place);
        assert_int_equal(((struct named *)(void *)place)->name, *names);
        yo_turns_pop(&turns);
        yo_turns_add(&turns, place);
    }
}

static void without_an_order_all_take_turns(void **state)
{
    (void)state;
    assert_null(yo_turns_first(&turns));
    add(0);
    assert_false(yo_turns_more(&turns));
    add(1);
    add(2);
    assert_true(yo_turns_more(&turns));
    expect("abcabc");
}

static void in_a_group_the_greatest_order_goes_first(void **state)
{
    (void)state;
    order(0, 0, -5);
    order(1, 0, INT64_MAX);
    order(2, 0, INT64_MIN);
    for (int i = 0; i < 3; i++) {
        add(i);
    }
    assert_true(yo_turns_more(&turns));
    expect("bbb");
    yo_turns_remove(&turns, &streams[1].place);
    expect("aa");
    yo_turns_remove(&turns, &streams[0].place);
    assert_false(yo_turns_more(&turns));
    expect("cc");
}

static void equals_take_turns(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        order(i, 7, 3);
        add(i);
    }
    expect("abcabc");
}

static void groups_and_the_unordered_share(void **state)
{
    (void)state;
    order(0, 1, 1);
    order(1, 1, 2); /* a, b: one group */
    order(2, 2, 1);
    order(3, 2, 1); /* c, d: another */
    for (int i = 0; i < 6; i++) {
        add(i);
    }
    expect("bcefbdefbcefbdef");
}

static void an_order_may_change_at_any_time(void **state)
{
    (void)state;
    order(0, 0, 1);
    order(1, 0, 2);
    add(0);
    add(1);
    expect("b");
    order(0, 0, 3); /* while it waits */
    expect("aa");
    order(0, 9, 3); /* to another group */
    expect("baba");
    yo_turns_remove(&turns, &streams[0].place);
    order(0, 0, 9); /* while it does not */
    expect("bb");
    add(0);
    expect("aa");
}

static void whoever_goes_is_not_asked_any_more(void **state)
{
    (void)state;
    order(0, 0, 1);
    order(1, 0, 2);
    add(0);
    add(1);
    add(2);
    yo_turns_forget(&turns, &streams[1].place, &yo_mem_libc);
    expect("ac");
    yo_turns_forget(&turns, &streams[0].place, &yo_mem_libc);
    expect("cc");
    assert_true(yo_list_empty(&turns.groups));
}

/* Whatever is done, nobody in a group goes before one with a greater order. */
static void at_random_the_order_holds(void **state)
{
    struct yo_rand rand;
    (void)state;
    yo_rand_seed(&rand, 5);
    for (int step = 0; step < 20000; step++) {
        int i = (int)yo_rand_below(&rand, 8);
        struct yo_place *place = &streams[i].place;
        switch (yo_rand_below(&rand, 5)) {
        case 0:
            order(i, yo_rand_below(&rand, 2), (int64_t)yo_rand_below(&rand, 4));
            break;
        case 1:
            yo_turns_remove(&turns, place);
            break;
        case 2:
            yo_turns_forget(&turns, place, &yo_mem_libc);
            break;
        case 3:
            if (!yo_place_waits(place)) {
                yo_turns_add(&turns, place);
            }
            break;
        default:
            if (yo_turns_first(&turns)) {
                yo_turns_pop(&turns);
            }
        }
        struct yo_place *first = yo_turns_first(&turns);
        size_t waiting = 0;
        for (int j = 0; j < 8; j++) {
            struct yo_place *other = &streams[j].place;
            waiting += yo_place_waits(other);
            if (first && first->group && yo_place_waits(other) &&
                other->group == first->group) {
                assert_true(other->order <= first->order);
            }
        }
        assert_int_equal(first != NULL, waiting > 0);
        assert_int_equal(yo_turns_more(&turns), waiting > 1);
    }
}

static void without_memory_it_stays_as_it_was(void **state)
{
    struct fault fault;
    (void)state;
    add(0);
    add(1);
    fault_init(&fault, 1, FAULT_FROM);
    assert_int_equal(yo_turns_order(&turns, &streams[0].place, 1, 1, &fault.mem),
                     YOMO_ERR_NOMEM);
    expect("abab");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_an_order_all_take_turns),
        TEST(in_a_group_the_greatest_order_goes_first),
        TEST(equals_take_turns),
        TEST(groups_and_the_unordered_share),
        TEST(an_order_may_change_at_any_time),
        TEST(whoever_goes_is_not_asked_any_more),
        TEST(at_random_the_order_holds),
        TEST(without_memory_it_stays_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
