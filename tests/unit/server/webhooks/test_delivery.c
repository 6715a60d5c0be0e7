/* SPDX-License-Identifier: MIT */
/* test_delivery.c - batches, attempts and bounds on a virtual clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <yomo/error.h>

#include "server/webhooks/delivery.h"
#include "support/fault.h"

#define SEED 7

static const struct yo_delivery_limits limits = {
    .queue = 5, .batch = 3, .gather = YO_SECOND, .retry_for = 100 * YO_SECOND};

static void put(struct yo_delivery *d, unsigned n, yo_time now)
{
    char text[16];

    (void)snprintf(text, sizeof(text), "%u", n);
    yo_delivery_put(d, yo_span_of(text), now);
}

/* What is under way: "LOST:[EVENTS]". */
static const char *told(const struct yo_delivery *d)
{
    static char out[200];
    char body[400];
    const char *lost, *events;

    assert_true(d->body.size < sizeof(body));
    memcpy(body, d->body.data, d->body.size);
    body[d->body.size] = '\0';
    assert_memory_equal(body, "{\"id\":\"msg_", 11);
    assert_memory_equal(body + 7, d->id, strlen(d->id));
    lost = strstr(body, "\"lost\":");
    events = strstr(body, "\"events\":");
    assert_true(lost && events && body[d->body.size - 1] == '}');
    body[d->body.size - 1] = '\0';
    (void)snprintf(out, sizeof(out), "%lu:%s", strtoul(lost + 7, NULL, 10), events + 9);
    return out;
}

static void begin(struct yo_delivery *d, yo_time now)
{
    assert_true(yo_delivery_deadline(d) <= now);
    assert_int_equal(yo_delivery_begin(d, 1000, now), YOMO_OK);
}

static void a_batch_waits_for_company(void **unused)
{
    struct yo_delivery d;

    (void)unused;
    yo_delivery_init(&d, &yo_mem_libc, &limits, SEED);
    assert_int_equal(yo_delivery_deadline(&d), YO_NEVER);
    put(&d, 1, 10 * YO_SECOND);
    put(&d, 2, 10 * YO_SECOND + 5);
    assert_int_equal(yo_delivery_deadline(&d), 11 * YO_SECOND);
    put(&d, 3, 10 * YO_SECOND + 6); /* full */
    put(&d, 4, 10 * YO_SECOND + 7);
    begin(&d, 10 * YO_SECOND + 7);
    assert_string_equal(told(&d), "0:[1,2,3]");
    assert_int_equal(d.numbers.waiting, 4);
    assert_true(yo_delivery_done(&d, YO_DELIVERY_TAKEN, 0, 10 * YO_SECOND + 8));
    assert_int_equal(yo_delivery_deadline(&d), 11 * YO_SECOND + 7);
    yo_delivery_flush(&d);
    begin(&d, 10 * YO_SECOND + 9);
    assert_string_equal(told(&d), "0:[4]");
    assert_true(yo_delivery_done(&d, YO_DELIVERY_TAKEN, 0, 10 * YO_SECOND + 9));
    assert_int_equal(d.numbers.delivered, 4);
    assert_int_equal(d.numbers.waiting, 0);
    yo_delivery_finish(&d);
}

static void the_oldest_give_way_and_that_is_said(void **unused)
{
    struct yo_delivery d;

    (void)unused;
    yo_delivery_init(&d, &yo_mem_libc, &limits, SEED);
    for (unsigned i = 1; i <= 8; i++) {
        put(&d, i, 0);
    }
    yo_delivery_lose(&d);
    begin(&d, 0);
    assert_string_equal(told(&d), "4:[4,5,6]");
    for (unsigned i = 9; i <= 12; i++) {
        put(&d, i, 0); /* 7 gives way; what is under way does not */
    }
    assert_true(yo_delivery_done(&d, YO_DELIVERY_TAKEN, 0, 0));
    begin(&d, 0);
    assert_string_equal(told(&d), "1:[8,9,10]");
    assert_int_equal(d.numbers.dropped, 5);
    yo_delivery_finish(&d);
}

static void attempts_are_the_same_and_further_and_further_apart(void **unused)
{
    struct yo_delivery d;
    char id[YO_DELIVERY_ID_SIZE];
    char first[200];
    yo_time now = 1000 * YO_SECOND, began = now, most = YO_SECOND;
    unsigned attempts = 1;

    (void)unused;
    yo_delivery_init(&d, &yo_mem_libc, &limits, SEED);
    put(&d, 1, now - YO_SECOND);
    begin(&d, now);
    memcpy(id, d.id, sizeof(id));
    (void)snprintf(first, sizeof(first), "%.*s", (int)d.body.size, (char *)d.body.data);
    while (!yo_delivery_done(&d, YO_DELIVERY_AGAIN, 0, now)) {
        yo_time due = yo_delivery_deadline(&d);
        most *= 2;
        assert_true(due >= now + YO_SECOND || due == began + limits.retry_for);
        assert_true(due <= now + most && due <= began + limits.retry_for);
        now = due;
        assert_int_equal(yo_delivery_begin(&d, 5000 + now, now), YOMO_OK);
        assert_string_equal(d.id, id);
        assert_int_equal(d.body.size, strlen(first));
        assert_memory_equal(d.body.data, first, d.body.size);
        attempts++;
    }
    assert_int_equal(now, began + limits.retry_for); /* once more, at the end */
    assert_true(attempts > 5 && attempts < 60);
    assert_int_equal(d.numbers.retries, attempts - 1);
    assert_int_equal(d.numbers.failed, 1);
    put(&d, 2, now);
    assert_true(yo_delivery_deadline(&d) >= now + YO_SECOND); /* it still fails */
    begin(&d, now + YO_DELIVERY_WAIT_MAX);
    assert_string_equal(told(&d), "1:[2]");
    assert_true(strcmp(d.id, id) != 0);
    assert_true(yo_delivery_done(&d, YO_DELIVERY_TAKEN, 0, now));
    put(&d, 3, now);
    assert_int_equal(yo_delivery_deadline(&d), now + limits.gather);
    yo_delivery_finish(&d);
}

static void waits_never_pass_five_minutes(void **unused)
{
    struct yo_delivery_limits patient = limits;
    struct yo_delivery d;
    yo_time now = 0, longest = 0;

    (void)unused;
    patient.retry_for = 100 * 3600 * YO_SECOND;
    yo_delivery_init(&d, &yo_mem_libc, &patient, SEED);
    put(&d, 1, 0);
    now = YO_SECOND;
    begin(&d, now);
    for (int i = 0; i < 500; i++) {
        assert_false(yo_delivery_done(&d, YO_DELIVERY_AGAIN, 0, now));
        yo_time wait = yo_delivery_deadline(&d) - now;
        assert_true(wait >= YO_DELIVERY_WAIT_MIN && wait <= YO_DELIVERY_WAIT_MAX);
        longest = wait > longest ? wait : longest;
        now += wait;
        begin(&d, now);
    }
    assert_true(longest > 280 * YO_SECOND);
    yo_delivery_finish(&d);
}

static void what_the_other_side_asks_is_heeded_within_bounds(void **unused)
{
    struct yo_delivery_limits patient = limits;
    struct yo_delivery d;
    yo_time now = YO_SECOND;

    (void)unused;
    patient.retry_for = 3600 * YO_SECOND;
    yo_delivery_init(&d, &yo_mem_libc, &patient, SEED);
    put(&d, 1, 0);
    begin(&d, now);
    assert_false(yo_delivery_done(&d, YO_DELIVERY_AGAIN, 120 * YO_SECOND, now));
    assert_int_equal(yo_delivery_deadline(&d), now + 120 * YO_SECOND);
    now += 120 * YO_SECOND;
    begin(&d, now);
    assert_false(yo_delivery_done(&d, YO_DELIVERY_AGAIN, YO_NEVER, now));
    assert_int_equal(yo_delivery_deadline(&d), now + YO_DELIVERY_WAIT_MAX);
    now += YO_DELIVERY_WAIT_MAX;
    begin(&d, now);
    assert_false(yo_delivery_done(&d, YO_DELIVERY_AGAIN, 1, now));
    assert_true(yo_delivery_deadline(&d) >= now + YO_DELIVERY_WAIT_MIN);
    yo_delivery_finish(&d);
}

static void what_is_refused_is_over(void **unused)
{
    struct yo_delivery d;

    (void)unused;
    yo_delivery_init(&d, &yo_mem_libc, &limits, SEED);
    for (unsigned i = 1; i <= 4; i++) {
        put(&d, i, 0);
    }
    begin(&d, 0);
    assert_true(yo_delivery_done(&d, YO_DELIVERY_REFUSED, 0, 0));
    assert_int_equal(d.numbers.failed, 3);
    begin(&d, 2 * YO_SECOND);
    assert_string_equal(told(&d), "3:[4]");
    assert_true(yo_delivery_done(&d, YO_DELIVERY_TAKEN, 0, 0));
    assert_int_equal(yo_delivery_deadline(&d), YO_NEVER);
    yo_delivery_finish(&d);
}

static void large_events_make_small_batches(void **unused)
{
    struct yo_delivery d;
    char *large = malloc(YO_DELIVERY_BODY_MAX);

    (void)unused;
    memset(large, '1', YO_DELIVERY_BODY_MAX);
    yo_delivery_init(&d, &yo_mem_libc, &limits, SEED);
    yo_delivery_put(&d, yo_span(large, YO_DELIVERY_BODY_MAX), 0);
    put(&d, 2, 0);
    put(&d, 3, 0);
    begin(&d, 0);
    assert_int_equal(d.events_in, 1);
    assert_true(yo_delivery_done(&d, YO_DELIVERY_TAKEN, 0, 0));
    begin(&d, YO_SECOND);
    assert_string_equal(told(&d), "0:[2,3]");
    yo_delivery_finish(&d);
    free(large);
}

static void body(struct fault *fault, void *user)
{
    struct yo_delivery d;
    yo_time now = 0;
    uint64_t taken = 0;

    (void)user;
    yo_delivery_init(&d, &fault->mem, &limits, SEED);
    for (unsigned i = 0; i < 9; i++) {
        put(&d, i, now);
    }
    for (int i = 0; i < 20 && yo_delivery_deadline(&d) != YO_NEVER; i++) {
        now = yo_delivery_deadline(&d);
        if (yo_delivery_begin(&d, 0, now) == YOMO_OK) {
            taken += d.events_in;
            assert_true(yo_delivery_done(&d, YO_DELIVERY_TAKEN, 0, now));
        } else {
            assert_true(fault->failed);
            assert_true(yo_delivery_deadline(&d) > now); /* no busy loop */
        }
    }
    assert_int_equal(d.numbers.delivered, taken);
    assert_int_equal(d.count + taken + d.numbers.dropped, 9);
    yo_delivery_finish(&d);
}

static void without_memory_every_event_is_accounted_for(void **unused)
{
    (void)unused;
    assert_true(fault_each(body, NULL) > 9);
}

/* What waits goes to the new place at once, the open batch first; a shorter queue lets
 * go of its oldest. */
static void other_limits_count_at_once(void **unused)
{
    struct yo_delivery_limits fewer = limits;
    struct yo_delivery d;

    (void)unused;
    fewer.queue = 2;
    fewer.batch = 1;
    yo_delivery_init(&d, &yo_mem_libc, &limits, SEED);
    for (unsigned i = 1; i <= 8; i++) {
        put(&d, i, 0);
        if (i == 3) {
            begin(&d, 0);
            assert_false(yo_delivery_done(&d, YO_DELIVERY_AGAIN, 60 * YO_SECOND, 1));
        }
    }
    assert_true(yo_delivery_deadline(&d) >= 60 * YO_SECOND);
    yo_delivery_renew(&d, &fewer);
    assert_int_equal(d.numbers.dropped, 3);
    assert_int_equal(d.numbers.waiting, 5);
    begin(&d, 2);
    assert_string_equal(told(&d), "0:[1,2,3]");
    assert_true(yo_delivery_done(&d, YO_DELIVERY_TAKEN, 0, 2));
    begin(&d, 2);
    assert_string_equal(told(&d), "3:[7]");
    assert_true(yo_delivery_done(&d, YO_DELIVERY_TAKEN, 0, 2));
    begin(&d, 2);
    assert_string_equal(told(&d), "0:[8]");
    assert_true(yo_delivery_done(&d, YO_DELIVERY_TAKEN, 0, 2));
    yo_delivery_finish(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_waits_for_company),
        cmocka_unit_test(other_limits_count_at_once),
        cmocka_unit_test(the_oldest_give_way_and_that_is_said),
        cmocka_unit_test(attempts_are_the_same_and_further_and_further_apart),
        cmocka_unit_test(waits_never_pass_five_minutes),
        cmocka_unit_test(what_the_other_side_asks_is_heeded_within_bounds),
        cmocka_unit_test(what_is_refused_is_over),
        cmocka_unit_test(large_events_make_small_batches),
        cmocka_unit_test(without_memory_every_event_is_accounted_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
