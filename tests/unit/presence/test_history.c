/* SPDX-License-Identifier: MIT */
/* What is kept of a room, and what is said about what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <string.h>

#include "base/check.h"
#include "presence/history.h"
#include "support/fault.h"

#define BIG ((size_t)1 << 20)

static struct yo_past message(const struct yomo_mem *mem, uint64_t place, size_t size)
{
    struct yo_past past = {.place = place,
                           .session = 7,
                           .at_ms = 1000 + place,
                           .until = YO_NEVER,
                           .message = yo_blob_alloc(mem, size)};

    if (past.message) {
        memset(past.message->data, (int)(place & 0xff), size);
    }
    return past;
}

static void say(struct fault *fault, struct yo_history *history, uint64_t place,
                size_t size, yo_time now)
{
    struct yo_past past = message(&fault->mem, place, size);

    yo_history_put(history, &past, now);
    yo_blob_unref(past.message);
    yo_record_check(&history->shown);
    yo_record_check(&history->recent);
}

static void start(struct fault *fault, struct yo_history *history, size_t messages,
                  size_t bytes, yo_time age)
{
    const struct yo_record_bounds shown = {messages, bytes, age};
    const struct yo_record_bounds recent = {0, BIG, 10 * YO_SECOND};

    fault_init(fault, 0, FAULT_ONCE);
    yo_history_init(history, &fault->mem, &shown, &recent);
}

static void finish(struct fault *fault, struct yo_history *history)
{
    yo_history_finish(history);
    yo_history_finish(history);
    fault_assert_no_leak(fault);
}

static void note_for(void *user, const struct yo_past *past)
{
    struct yo_position *of_nine = user;

    for (uint32_t i = 0; i < past->to_count; i++) {
        if (past->to[i] == 9) {
            of_nine->place[past->priority] = past->place;
        }
    }
}

static void what_was_for_others_or_for_nobody_any_more_is_not_missed(void **state)
{
    const struct yo_record_bounds bounds = {0, 4096, 20};
    const struct yo_position position = yo_position_at(4);
    struct yo_position of_nine = {{0}};
    struct yo_history history;
    struct fault fault;
    uint64_t first, last, nine = 9;

    (void)state;
    fault_init(&fault, 0, FAULT_ONCE);
    yo_history_init(&history, &fault.mem, &bounds, &bounds);
    history.recent.on_gone = note_for;
    history.recent.user = &of_nine;

    struct yo_past past = message(&fault.mem, 5, 4);
    past.to = &nine;
    past.to_count = 1;
    yo_history_put(&history, &past, 0);
    yo_blob_unref(past.message);
    past = message(&fault.mem, 6, 4);
    past.until = 10;
    yo_history_put(&history, &past, 0);
    yo_blob_unref(past.message);
    assert_int_equal(history.recent.count, 2);

    yo_history_expire(&history, 30); /* both are gone */
    assert_int_equal(history.recent.count, 0);
    assert_false(
        yo_record_gap_for(&history.recent, &position, 8, NULL, &first, &last));
    assert_int_equal(of_nine.place[0], 5);
    assert_true(
        yo_record_gap_for(&history.recent, &position, 9, &of_nine, &first, &last));
    assert_int_equal(first, 5);
    assert_int_equal(last, 5);
    finish(&fault, &history);
}

static void nobody_misses_what_he_said_himself(void **state)
{
    const struct yo_record_bounds none = {0, 0, 0};
    struct yo_position position = yo_position_at(4);
    struct yo_history history;
    struct fault fault;
    uint64_t first, last;
    static const uint64_t authors[] = {7, 8, 7, 7}; /* at 5 to 8 */

    (void)state;
    fault_init(&fault, 0, FAULT_ONCE);
    yo_history_init(&history, &fault.mem, &none, &none);
    for (uint64_t i = 0; i < 4; i++) {
        struct yo_past past = {
            .place = 5 + i, .session = authors[i], .until = YO_NEVER};
        yo_history_put(&history, &past, 0);
    }
    assert_true(yo_record_gap_for(&history.recent, &position, 7, NULL, &first, &last));
    assert_int_equal(last, 6); /* what 8 said */
    assert_true(yo_record_gap_for(&history.recent, &position, 8, NULL, &first, &last));
    assert_int_equal(last, 8);
    position = yo_position_at(6);
    assert_false(yo_record_gap_for(&history.recent, &position, 7, NULL, &first, &last));
    assert_true(yo_record_gap(&history.recent, &position, &first, &last));
    struct yo_past echo = {
        .place = 9, .session = 7, .until = YO_NEVER, .author_too = true};
    yo_history_put(&history, &echo, 0);
    assert_true(yo_record_gap_for(&history.recent, &position, 7, NULL, &first, &last));
    assert_int_equal(last, 9);
    finish(&fault, &history);
}

static void nothing_kept_takes_no_memory(void **state)
{
    const struct yo_record_bounds none = {0, 0, 0};
    struct yo_position position = yo_position_at(0);
    struct yo_history history;
    struct fault fault;
    uint64_t first, last;

    (void)state;
    fault_init(&fault, 0, FAULT_ONCE);
    yo_history_init(&history, &fault.mem, &none, &none);
    assert_false(yo_history_wants(&history, false));
    assert_false(yo_record_gap(&history.shown, &position, &first, &last));
    say(&fault, &history, 5, 100, 0);
    say(&fault, &history, 9, 100, 0);
    assert_int_equal(fault.blocks, 0);
    assert_int_equal(history.shown.count, 0);
    assert_true(yo_record_gap(&history.shown, &position, &first, &last));
    assert_int_equal(first, 1);
    assert_int_equal(last, 9);
    position = yo_position_at(9);
    assert_false(yo_record_gap(&history.shown, &position, &first, &last));
    finish(&fault, &history);
}

static void the_newest_stay(void **state)
{
    struct yo_position position = yo_position_at(0);
    struct yo_history history;
    struct fault fault;
    uint64_t first, last;
    size_t i = 0;

    (void)state;
    start(&fault, &history, 3, BIG, 0);
    for (uint64_t place = 10; place <= 60; place += 10) {
        say(&fault, &history, place, 4, 0);
    }
    assert_int_equal(history.shown.count, 3);
    assert_int_equal(history.recent.count, 6);
    assert_int_equal(yo_record_at(&history.shown, 0)->place, 40);
    assert_int_equal(yo_record_at(&history.shown, 2)->place, 60);
    assert_true(yo_record_gap(&history.shown, &position, &first, &last));
    assert_int_equal(first, 1);
    assert_int_equal(last, 30);
    position = yo_position_at(30);
    assert_false(yo_record_gap(&history.shown, &position, &first, &last));
    position = yo_position_at(29);
    assert_true(yo_record_gap(&history.shown, &position, &first, &last));
    assert_int_equal(first, 30);
    assert_int_equal(last, 30);
    position = yo_position_at(45);
    assert_int_equal(yo_record_next(&history.shown, &position, &i)->place, 50);
    assert_int_equal(yo_record_next(&history.shown, &position, &i)->place, 60);
    assert_null(yo_record_next(&history.shown, &position, &i));
    assert_int_equal(yo_record_after(&history.shown, 39), 0);
    assert_int_equal(yo_record_after(&history.shown, 40), 1);
    assert_int_equal(yo_record_after(&history.shown, 60), 3);
    finish(&fault, &history);
}

static void bytes_are_bounded(void **state)
{
    const size_t each = YO_PAST_SIZE + 100;
    struct yo_history history;
    struct fault fault;

    (void)state;
    start(&fault, &history, 0, 4 * each + each / 2, 0);
    for (uint64_t place = 1; place <= 20; place++) {
        say(&fault, &history, place, 100, 0);
    }
    assert_int_equal(history.shown.count, 4);
    assert_int_equal(history.shown.bytes, 4 * each);
    /* One that takes the place of three. */
    say(&fault, &history, 21, 100 + 2 * each, 0);
    assert_int_equal(history.shown.count, 2);
    assert_int_equal(yo_record_at(&history.shown, 0)->place, 20);
    /* One that does not fit at all: what came before it would have a hole behind it. */
    say(&fault, &history, 22, 10 * each, 0);
    assert_int_equal(history.shown.count, 0);
    assert_int_equal(history.shown.gone[0], 22);
    assert_int_equal(history.recent.count, 22);
    finish(&fault, &history);
}

static void what_is_too_old_goes_when_time_comes(void **state)
{
    struct yo_history history;
    struct fault fault;

    (void)state;
    start(&fault, &history, 0, BIG, 3 * YO_SECOND);
    assert_int_equal(yo_history_deadline(&history), YO_NEVER);
    say(&fault, &history, 1, 10, 1 * YO_SECOND);
    say(&fault, &history, 2, 10, 2 * YO_SECOND);
    assert_int_equal(yo_history_deadline(&history), 4 * YO_SECOND);
    yo_history_expire(&history, 4 * YO_SECOND - 1);
    assert_int_equal(history.shown.count, 2);
    yo_history_expire(&history, 4 * YO_SECOND);
    assert_int_equal(history.shown.count, 1);
    assert_int_equal(history.shown.gone[0], 1);
    say(&fault, &history, 3, 10, 5 * YO_SECOND);
    assert_int_equal(history.shown.count, 1);
    assert_int_equal(yo_record_at(&history.shown, 0)->place, 3);
    yo_history_expire(&history, 60 * YO_SECOND);
    assert_int_equal(history.shown.count + history.recent.count, 0);
    assert_int_equal(fault.blocks, 0);
    finish(&fault, &history);
}

static void from_a_store_it_comes_with_its_age(void **state)
{
    struct yo_history history;
    struct fault fault;
    struct yo_past past;

    (void)state;
    start(&fault, &history, 0, BIG, 10 * YO_SECOND);
    yo_record_begin(&history.shown, 40);
    past = message(&fault.mem, 41, 8);
    yo_record_put(&history.shown, &past, 10 * YO_SECOND, YO_SECOND); /* too old */
    assert_int_equal(history.shown.count, 0);
    assert_int_equal(history.shown.gone[0], 41);
    past.place = 42;
    yo_record_put(&history.shown, &past, 9 * YO_SECOND, YO_SECOND);
    past.place = 43; /* the clock went back: it goes with the one before at the latest */
    yo_record_put(&history.shown, &past, 9 * YO_SECOND + YO_MS, YO_SECOND);
    yo_blob_unref(past.message);
    assert_int_equal(history.shown.count, 2);
    yo_record_check(&history.shown);
    yo_history_expire(&history, 2 * YO_SECOND);
    assert_int_equal(history.shown.count, 0);
    finish(&fault, &history);
}

static void a_message_for_some_is_recent_only(void **state)
{
    uint64_t to[] = {3, 4};
    struct yo_history history;
    struct fault fault;
    struct yo_past past;

    (void)state;
    start(&fault, &history, 10, BIG, 0);
    say(&fault, &history, 1, 8, 0);
    past = message(&fault.mem, 2, 8);
    past.to = to;
    past.to_count = 2;
    past.author_too = true;
    yo_history_put(&history, &past, 0);
    yo_blob_unref(past.message);
    to[0] = to[1] = 0; /* it has its own copy */
    say(&fault, &history, 3, 8, 0);
    assert_int_equal(history.shown.count, 2);
    assert_int_equal(history.recent.count, 3);
    assert_int_equal(yo_record_at(&history.recent, 1)->to_count, 2);
    assert_int_equal(yo_record_at(&history.recent, 1)->to[1], 4);
    assert_true(yo_record_at(&history.recent, 1)->author_too);
    assert_int_equal(yo_record_at(&history.shown, 1)->place, 3);
    finish(&fault, &history);
}

static void each_priority_has_its_position(void **state)
{
    static const uint8_t priorities[] = {0, 1, 2, 0, 1, 2};
    struct yo_position position = {{4, 2, 0}};
    struct yo_history history;
    struct fault fault;
    uint64_t first, last;
    size_t i = 0;

    (void)state;
    start(&fault, &history, 5, BIG, 0);
    for (uint64_t place = 1; place <= 6; place++) {
        struct yo_past past = message(&fault.mem, place, 4);
        past.priority = priorities[place - 1];
        yo_history_put(&history, &past, 0);
        yo_blob_unref(past.message);
    }
    /* 1 is gone, which was normal. Of the bulk nothing was had yet. */
    assert_int_equal(yo_record_next(&history.shown, &position, &i)->place, 3);
    assert_int_equal(yo_record_next(&history.shown, &position, &i)->place, 5);
    assert_int_equal(yo_record_next(&history.shown, &position, &i)->place, 6);
    assert_null(yo_record_next(&history.shown, &position, &i));
    assert_false(yo_record_gap(&history.shown, &position, &first, &last));
    position.place[0] = 0;
    assert_true(yo_record_gap(&history.shown, &position, &first, &last));
    assert_int_equal(first, 1);
    assert_int_equal(last, 1);
    finish(&fault, &history);
}

static void without_memory_what_is_lost_is_said(struct fault *fault, void *user)
{
    const struct yo_record_bounds bounds = {20, BIG, 0};
    struct yo_history history;
    struct yo_position position = yo_position_at(0);
    uint64_t expected = 1, to[] = {1};
    size_t i = 0;
    uint64_t first, last;
    const struct yo_past *past;

    (void)user;
    yo_history_init(&history, &fault->mem, &bounds, &bounds);
    for (uint64_t place = 1; place <= 40; place++) {
        struct yo_past one = message(&fault->mem, place, 4);
        one.to = place % 3 == 0 ? to : NULL;
        one.to_count = place % 3 == 0;
        yo_history_put(&history, &one, 0);
        yo_blob_unref(one.message);
        yo_record_check(&history.recent);
    }
    if (yo_record_gap(&history.recent, &position, &first, &last)) {
        expected = last + 1;
    }
    while ((past = yo_record_next(&history.recent, &position, &i))) {
        assert_int_equal(past->place, expected++);
    }
    assert_int_equal(expected, 41);
    yo_history_finish(&history);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(fault_each(without_memory_what_is_lost_is_said, NULL) > 10);
}

/* Any two of: the record, and a plain list that forgets in the same way. */
static void a_long_life_keeps_the_invariants(void **state)
{
    struct yo_history history;
    struct fault fault;
    uint64_t random = 88172645463325252ULL, place = 0;
    yo_time now = 0;

    (void)state;
    start(&fault, &history, 50, 40 * (YO_PAST_SIZE + 64), 5 * YO_SECOND);
    for (int step = 0; step < 20000; step++) {
        struct yo_position position;
        uint64_t first, last;
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        now += random % (step % 1000 < 100 ? 500 * YO_MS : 20 * YO_MS);
        place += 1 + random % 3;
        say(&fault, &history, place, (size_t)(random >> 20) % 200, now);
        position = yo_position_at(place > 30 ? place - 30 : 0);
        if (yo_record_gap(&history.shown, &position, &first, &last)) {
            assert_int_equal(first, position.place[0] + 1);
            assert_true(last <= place);
            assert_true(history.shown.count == 0 ||
                        yo_record_at(&history.shown, 0)->place > last);
        }
    }
    finish(&fault, &history);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_kept_takes_no_memory),
        cmocka_unit_test(what_was_for_others_or_for_nobody_any_more_is_not_missed),
        cmocka_unit_test(nobody_misses_what_he_said_himself),
        cmocka_unit_test(the_newest_stay),
        cmocka_unit_test(bytes_are_bounded),
        cmocka_unit_test(what_is_too_old_goes_when_time_comes),
        cmocka_unit_test(from_a_store_it_comes_with_its_age),
        cmocka_unit_test(a_message_for_some_is_recent_only),
        cmocka_unit_test(each_priority_has_its_position),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(a_long_life_keeps_the_invariants),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
