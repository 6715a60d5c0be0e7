/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <string.h>
#include <yomo/error.h>

#include "base/rand.h"
#include "session/pacer.h"
#include "support/bytes.h"
#include "support/fault.h"

static struct fault fault;
static struct yo_pacer pacer;

static int setup(void **state)
{
    (void)state;
    fault_init(&fault, 0, FAULT_ONCE);
    yo_pacer_init(&pacer, &fault.mem, 3);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    yo_pacer_finish(&pacer);
    yo_pacer_finish(&pacer);
    fault_assert_no_leak(&fault);
    return 0;
}

static int put(const char *text, const char *slot, uint64_t version, yo_time interval,
               yo_time now)
{
    struct yo_blob *message = yo_blob_create(&fault.mem, yo_span_of(text));
    const struct yo_outgoing out = {.message = message,
                                    .delivery = YOMO_LATEST,
                                    .lane = 7,
                                    .slot = yo_span_of(slot),
                                    .version = version,
                                    .expires = version + 1000};
    int rv = yo_pacer_put(&pacer, &out, interval, now);

    yo_blob_unref(message);
    return rv;
}

static void expect(yo_time now, const char *text, const char *slot)
{
    struct yo_outgoing out;

    assert_true(yo_pacer_next(&pacer, now, &out));
    assert_text(yo_blob_span(out.message), text);
    assert_text(out.slot, slot);
    assert_int_equal(out.lane, 7);
    assert_true(out.expires == out.version + 1000);
    yo_blob_unref(out.message);
}

static void expect_none(yo_time now)
{
    struct yo_outgoing out;

    assert_false(yo_pacer_next(&pacer, now, &out));
}

static void the_first_goes_at_once_and_the_newest_when_it_is_time(void **state)
{
    (void)state;
    assert_int_equal(put("1", "a", 1, 100, 10), 1);
    assert_int_equal(put("2", "a", 2, 100, 20), 0);
    assert_int_equal(put("3", "a", 3, 100, 30), 0);
    assert_int_equal(put("x", "b", 1, 100, 35), 1); /* another value */
    expect_none(109);
    assert_true(yo_pacer_deadline(&pacer) == 110);
    expect(110, "3", "a");
    assert_int_equal(pacer.thinned, 1);
    assert_int_equal(put("4", "a", 4, 100, 111), 0); /* its interval began anew */
    expect(210, "4", "a");
    expect_none(309);
    expect_none(310); /* nothing came: it is forgotten */
    assert_int_equal(pacer.by_slot.count, 0);
    assert_true(yo_pacer_deadline(&pacer) == YO_NEVER);
    assert_int_equal(put("5", "a", 5, 100, 311), 1);
}

static void an_older_value_changes_nothing(void **state)
{
    (void)state;
    assert_int_equal(put("5", "a", 5, 100, 0), 1);
    assert_int_equal(put("4", "a", 4, 100, 1), 0);
    expect_none(99);
    assert_int_equal(put("7", "a", 7, 100, 2), 0);
    assert_int_equal(put("6", "a", 6, 100, 3), 0);
    expect(100, "7", "a");
    assert_int_equal(pacer.thinned, 2);
}

static void past_the_values_that_can_be_told_apart_they_go_as_they_come(void **state)
{
    (void)state;
    assert_int_equal(put("1", "a", 1, 100, 0), 1);
    assert_int_equal(put("1", "b", 1, 100, 0), 1);
    assert_int_equal(put("1", "c", 1, 100, 0), 1);
    assert_int_equal(put("1", "d", 1, 100, 0), 1);
    assert_int_equal(put("2", "d", 2, 100, 0), 1);
    assert_int_equal(put("2", "a", 2, 100, 0), 0);
    assert_int_equal(pacer.by_slot.count, 3);
    assert_int_equal(put("3", "d", 3, 100, 100), 1); /* "a" still waits to be taken */
    expect(100, "2", "a");
}

static void all_that_waits_can_be_taken_out(void **state)
{
    (void)state;
    put("1", "a", 1, 100, 0);
    put("2", "a", 2, 100, 0);
    put("1", "b", 1, 200, 0);
    put("2", "b", 2, 200, 0);
    assert_int_equal(pacer.waiting, 2);
    expect(YO_NEVER, "2", "a");
    expect(YO_NEVER, "2", "b");
    expect_none(YO_NEVER);
    assert_int_equal(pacer.waiting, 0);
    assert_int_equal(pacer.by_slot.count, 0);
}

/* One value a millisecond for ten seconds, at a receiver that wants one in 100 ms. */
static void a_fast_sender_is_thinned_and_its_last_value_arrives(void **state)
{
    const yo_time interval = 100 * YO_MS;
    struct yo_outgoing out;
    char text[16] = "", last[16] = "";
    yo_time previous = 0;
    size_t got = 0;

    (void)state;
    for (int i = 1; i <= 10000; i++) {
        yo_time now = (yo_time)i * YO_MS;
        snprintf(text, sizeof(text), "%d", i);
        while (yo_pacer_next(&pacer, now, &out)) {
            assert_true(now - previous >= interval);
            previous = now;
            yo_blob_unref(out.message);
            got++;
        }
        if (put(text, "a", (uint64_t)i, interval, now) == 1) {
            assert_int_equal(got, 0); /* only the first does not wait */
            previous = now;
            got++;
        }
    }
    while (yo_pacer_deadline(&pacer) != YO_NEVER) {
        yo_time now = yo_pacer_deadline(&pacer);
        while (yo_pacer_next(&pacer, now, &out)) {
            assert_true(now - previous >= interval);
            previous = now;
            memcpy(last, out.message->data, out.message->size);
            yo_blob_unref(out.message);
            got++;
        }
    }
    assert_string_equal(last, "10000");
    assert_true(got >= 100 && got <= 102);
    assert_int_equal(pacer.thinned + got, 10000);
}

static void fill(struct fault *memory, void *user)
{
    struct yo_blob *message = yo_blob_create(&memory->mem, yo_span_of("m"));
    struct yo_outgoing out = {
        .message = message, .delivery = YOMO_LATEST, .slot = yo_span_of("a")};
    struct yo_pacer filled;

    (void)user;
    if (!message) {
        return;
    }
    yo_pacer_init(&filled, &memory->mem, 10);
    for (int i = 0; i < 12; i++) {
        char slot[2] = {(char)('a' + i % 6), 0};
        int rv;
        out.slot = yo_span_of(slot);
        rv = yo_pacer_put(&filled, &out, 100, 0);
        assert_true(rv == 0 || rv == 1 || rv == YOMO_ERR_NOMEM);
    }
    for (yo_time now = 100; now < 2000; now += 100) {
        while (yo_pacer_next(&filled, now, &out)) {
            yo_blob_unref(out.message);
        }
    }
    assert_int_equal(filled.waiting, 0);
    yo_pacer_finish(&filled);
    assert_int_equal(message->refs, 1);
    yo_blob_unref(message);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(fault_each(fill, NULL) > 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(the_first_goes_at_once_and_the_newest_when_it_is_time),
        TEST(an_older_value_changes_nothing),
        TEST(past_the_values_that_can_be_told_apart_they_go_as_they_come),
        TEST(all_that_waits_can_be_taken_out),
        TEST(a_fast_sender_is_thinned_and_its_last_value_arrives),
        TEST(every_allocation_may_fail),
    };

    return cmocka_run_group_tests_name("session/pacer", tests, NULL, NULL);
}
