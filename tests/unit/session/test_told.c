/* SPDX-License-Identifier: MIT */
/* The pages of history: nothing is left out, nothing comes twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>

#include <yomo/error.h>

#include "session/told.h"
#include "support/bytes.h"
#include "support/fault.h"
#include "unit/session/story.h"
#include "wire/decode.h"

static struct yo_span data_of(int size)
{
    static char json[70000];

    snprintf(json, sizeof(json), "{\"event\":\"e\",\"data\":\"%0*d\"}", size, 0);
    return story_payload(json);
}

static int add(struct yo_told *told, uint64_t place, struct yo_span data)
{
    const struct yo_wire_past past = {.sequence = place,
                                      .session = 12,
                                      .peer = yo_span_of("bob"),
                                      .payload = data,
                                      .at_ms = 1000 + place};

    return yo_told_add(told, &past);
}

static void check(const struct yo_told *told, uint64_t number, uint64_t messages,
                  uint64_t older)
{
    uint64_t next = 1;

    for (size_t i = 0; i < told->count; i++) {
        bool last = i + 1 == told->count;
        struct yo_message message;
        struct yo_wire_past past;
        struct yo_mp_reader reader;
        struct yo_span event;
        uint32_t count;
        assert_int_equal(yo_decode(yo_blob_span(told->list[i]), &message), YOMO_OK);
        assert_int_equal(message.op, YO_OP_HISTORY);
        assert_text(message.channel, "r");
        assert_int_equal(message.number, number);
        assert_int_equal(message.more, number != 0 && !last);
        assert_int_equal(message.sequence, last && number != 0 ? older : 0);
        assert_int_equal(yo_members_init(&reader, message.members, &count), YOMO_OK);
        assert_true(count <= YO_TOLD_MESSAGES_MAX);
        assert_true(count <= 1 || message.members.size <= YO_TOLD_SIZE_MAX + 8);
        for (uint32_t m = 0; m < count; m++) {
            assert_int_equal(yo_past_next(&reader, &past, &event), YOMO_OK);
            assert_int_equal(past.sequence, next++);
            assert_int_equal(past.at_ms, 1000 + past.sequence);
        }
    }
    assert_int_equal(next, messages + 1);
}

static void pages_of(uint64_t number, int messages, int size, size_t expected)
{
    struct yo_told told;
    struct yo_span data = data_of(size);

    yo_told_begin(&told, &yo_mem_libc, yo_span_of("r"), number);
    for (int i = 1; i <= messages; i++) {
        assert_int_equal(add(&told, (uint64_t)i, data), YOMO_OK);
    }
    assert_int_equal(yo_told_end(&told, 77), YOMO_OK);
    assert_int_equal(told.count, expected);
    check(&told, number, (uint64_t)messages, 77);
    yo_told_finish(&told);
    yo_told_finish(&told);
}

static void a_question_has_an_answer_though_nothing_was_said(void **state)
{
    (void)state;
    pages_of(5, 0, 1, 1);
}

static void nobody_asked_and_nothing_was_said_is_no_page(void **state)
{
    (void)state;
    pages_of(0, 0, 1, 0);
}

static void a_page_has_a_hundred_messages(void **state)
{
    (void)state;
    pages_of(5, 100, 1, 1);
    pages_of(5, 101, 1, 2);
    pages_of(0, 250, 1, 3);
}

static void a_page_has_so_many_bytes(void **state)
{
    (void)state;
    pages_of(5, 30, 1000, 2);
    pages_of(0, 3, 60000, 3);
}

static void another_message_may_stand_in_front(void **state)
{
    struct yo_blob *blob = yo_blob_create(&yo_mem_libc, yo_span_of("x"));
    struct yo_told told;

    (void)state;
    yo_told_begin(&told, &yo_mem_libc, yo_span_of("r"), 0);
    assert_int_equal(yo_told_add_other(&told, blob), YOMO_OK);
    yo_blob_unref(blob);
    assert_int_equal(add(&told, 1, data_of(1)), YOMO_OK);
    assert_int_equal(yo_told_end(&told, 0), YOMO_OK);
    assert_int_equal(told.count, 2);
    assert_text(yo_blob_span(told.list[0]), "x");
    yo_told_finish(&told);
}

static void make(struct fault *fault, void *user)
{
    struct yo_told told;
    struct yo_span data = data_of(6000);

    (void)user;
    yo_told_begin(&told, &fault->mem, yo_span_of("r"), 3);
    for (uint64_t i = 1; i <= 20; i++) {
        if (add(&told, i, data) != YOMO_OK && add(&told, i, data) != YOMO_OK) {
            yo_told_finish(&told);
            return;
        }
    }
    if (yo_told_end(&told, 9) == YOMO_OK || yo_told_end(&told, 9) == YOMO_OK) {
        check(&told, 3, 20, 9);
    }
    yo_told_finish(&told);
}

static void pages_survive_every_failing_allocation(void **state)
{
    (void)state;
    assert_true(fault_each(make, NULL) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_question_has_an_answer_though_nothing_was_said),
        cmocka_unit_test(nobody_asked_and_nothing_was_said_is_no_page),
        cmocka_unit_test(a_page_has_a_hundred_messages),
        cmocka_unit_test(a_page_has_so_many_bytes),
        cmocka_unit_test(another_message_may_stand_in_front),
        cmocka_unit_test(pages_survive_every_failing_allocation),
    };

    return cmocka_run_group_tests_name("session/told", tests, NULL, NULL);
}
