/* SPDX-License-Identifier: MIT */
/* What is shared, against a naive record of it; locks and their lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <string.h>
#include <yomo/error.h>

#include "base/check.h"
#include "presence/values.h"
#include "support/fault.h"

static const struct yo_values_bounds usual = {
    .count = 100, .value_size = 1000, .bytes = 1 << 20, .line = 3};

static struct yo_blob *blob(const struct yomo_mem *mem, const char *text)
{
    return text ? yo_blob_create(mem, yo_span_of(text)) : NULL;
}

/* `expected` < 0: whatever it is. */
static int set(struct yo_values *values, const char *key, const char *data,
               int64_t expected, uint64_t version, uint64_t *current)
{
    struct yo_value_wish wish = {.key = yo_span_of(key),
                                 .data = blob(values->mem, data),
                                 .conditional = expected >= 0,
                                 .expected = (uint64_t)expected,
                                 .session = 7,
                                 .who = blob(values->mem, "ada")};
    int rv = (data && !wish.data) || !wish.who
                 ? YOMO_ERR_NOMEM
                 : yo_values_set(values, &wish, version, current);

    yo_blob_unref(wish.data);
    yo_blob_unref(wish.who);
    yo_values_check(values);
    return rv;
}

static int lock(struct yo_values *values, const char *key, uint64_t session, bool wait,
                uint64_t place, yo_time now, enum yo_lock_outcome *outcome)
{
    const struct yo_lock_wish wish = {
        .key = yo_span_of(key), .session = session, .lease = 100, .wait = wait};
    uint64_t version;
    int rv = yo_values_lock(values, &wish, place, now, outcome, &version);

    yo_values_check(values);
    return rv;
}

static void a_version_is_compared_and_set(void **state)
{
    struct yo_values values;
    struct fault fault;
    uint64_t now = 9;

    (void)state;
    fault_init(&fault, 0, FAULT_ONCE);
    yo_values_init(&values, &fault.mem, &usual);
    assert_int_equal(set(&values, "k", "1", 5, 10, &now), YOMO_ERR_CONFLICT);
    assert_int_equal(now, 0);
    assert_int_equal(set(&values, "k", "1", 0, 10, &now), YOMO_OK);
    assert_int_equal(set(&values, "k", "2", 0, 11, &now), YOMO_ERR_CONFLICT);
    assert_int_equal(now, 10);
    assert_int_equal(set(&values, "k", "2", 10, 11, &now), YOMO_OK);
    assert_int_equal(set(&values, "k", "3", -1, 12, &now), YOMO_OK);
    assert_int_equal(yo_values_get(&values, yo_span_of("k"))->version, 12);
    assert_int_equal(set(&values, "k", NULL, 11, 13, &now), YOMO_ERR_CONFLICT);
    assert_int_equal(set(&values, "k", NULL, 12, 13, &now), YOMO_OK);
    assert_int_equal(set(&values, "k", NULL, -1, 14, &now), YOMO_ERR_NOT_FOUND);
    assert_int_equal(set(&values, "k", NULL, 0, 14, &now), YOMO_ERR_NOT_FOUND);
    assert_int_equal(set(&values, "", "1", -1, 14, &now), YOMO_ERR_INVALID);
    assert_int_equal(values.bytes, 0);
    yo_values_finish(&values);
    fault_assert_no_leak(&fault);
}

static void bounds_hold_and_refuse(void **state)
{
    const struct yo_values_bounds small = {.count = 2,
                                           .value_size = 4,
                                           .bytes =
                                               2 * YO_VALUE_SIZE + 2 + 5 + YO_WAIT_SIZE,
                                           .line = 1};
    enum yo_lock_outcome outcome;
    struct yo_values values;
    struct fault fault;
    uint64_t now;
    char long_key[257] = "";

    (void)state;
    fault_init(&fault, 0, FAULT_ONCE);
    yo_values_init(&values, &fault.mem, &small);
    memset(long_key, 'k', 256);
    assert_int_equal(set(&values, long_key, "1", -1, 1, &now), YOMO_ERR_INVALID);
    assert_int_equal(set(&values, "a", "12345", -1, 1, &now), YOMO_ERR_TOO_BIG);
    assert_int_equal(set(&values, "a", "1234", -1, 1, &now), YOMO_OK);
    assert_int_equal(set(&values, "b", "12", -1, 2, &now), YOMO_OK);
    assert_int_equal(set(&values, "c", "", -1, 3, &now), YOMO_ERR_FULL);
    assert_int_equal(lock(&values, "l", 1, true, 3, 0, &outcome), YOMO_ERR_FULL);
    assert_int_equal(set(&values, "b", NULL, -1, 3, &now), YOMO_OK);
    assert_int_equal(lock(&values, "a", 1, true, 4, 0, &outcome), YOMO_OK);
    assert_int_equal(lock(&values, "a", 2, true, 5, 0, &outcome), YOMO_OK);
    assert_int_equal(outcome, YO_LOCK_WAITS);
    assert_int_equal(lock(&values, "a", 3, true, 5, 0, &outcome), YOMO_ERR_FULL);
    assert_int_equal(lock(&values, "a", 3, false, 5, 0, &outcome), YOMO_ERR_CONFLICT);
    yo_values_finish(&values);
    fault_assert_no_leak(&fault);
}

static void a_lock_goes_along_its_line(void **state)
{
    enum yo_lock_outcome outcome;
    struct yo_values values;
    struct yo_value *held;
    struct fault fault;

    (void)state;
    fault_init(&fault, 0, FAULT_ONCE);
    yo_values_init(&values, &fault.mem, &usual);
    assert_int_equal(yo_values_deadline(&values), YO_NEVER);
    assert_int_equal(lock(&values, "l", 1, false, 10, 1000, &outcome), YOMO_OK);
    assert_int_equal(outcome, YO_LOCK_TAKEN);
    assert_int_equal(yo_values_deadline(&values), 1100);
    for (uint64_t s = 2; s <= 4; s++) {
        assert_int_equal(lock(&values, "l", s, true, 11, 1000, &outcome), YOMO_OK);
        assert_int_equal(lock(&values, "l", s, true, 11, 1000, &outcome), YOMO_OK);
        assert_int_equal(outcome, YO_LOCK_WAITS);
    }
    assert_int_equal(lock(&values, "l", 1, false, 12, 1050, &outcome), YOMO_OK);
    assert_int_equal(outcome, YO_LOCK_RENEWED);
    assert_null(yo_values_expired(&values, 1149));
    held = yo_values_expired(&values, 1150);
    assert_non_null(held);
    assert_int_equal(held->version, 10); /* renewing changes no version */
    yo_values_step_out_all(&values, 2);
    assert_int_equal(yo_lock_next(held), 3);
    assert_true(yo_values_pass(&values, held, 13, 1150));
    assert_int_equal(held->session, 3);
    assert_int_equal(held->version, 13);
    assert_ptr_equal(yo_values_held_by(&values, 3), held);
    assert_null(yo_values_held_by(&values, 1));
    assert_false(yo_values_step_out(&values, held, 3));
    assert_true(yo_values_step_out(&values, held, 4));
    assert_false(yo_values_pass(&values, held, 14, 1200));
    assert_null(yo_values_get_lock(&values, yo_span_of("l")));
    assert_int_equal(values.bytes, 0);
    yo_values_finish(&values);
    fault_assert_no_leak(&fault);
}

/* --- random changes, against arrays --- */

#define KEYS 8
#define STEPS 20000

struct naive {
    uint64_t value[KEYS], lock[KEYS], holder[KEYS]; /* versions; 0: none */
    yo_time until[KEYS];
};

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void step_value(struct yo_values *values, struct naive *naive, const char *key,
                       unsigned k, uint32_t r, uint64_t place)
{
    int64_t expected = r % 3 == 0 ? -1 : r % 3 == 1 ? (int64_t)naive->value[k] : 1;
    bool match = expected < 0 || (uint64_t)expected == naive->value[k];
    uint64_t current = 0;
    bool away = (r / 3) % 4 == 0;
    int rv = set(values, key, away ? NULL : "1", expected, place, &current);

    assert_int_equal(rv, !match                         ? YOMO_ERR_CONFLICT
                         : away && naive->value[k] == 0 ? YOMO_ERR_NOT_FOUND
                                                        : YOMO_OK);
    assert_int_equal(current, naive->value[k]);
    if (rv == YOMO_OK) {
        naive->value[k] = away ? 0 : place;
    }
}

static void step_lock(struct yo_values *values, struct naive *naive, const char *key,
                      unsigned k, uint32_t r, uint64_t place, yo_time now)
{
    uint64_t session = 1 + r % 4;
    enum yo_lock_outcome outcome;
    int rv = lock(values, key, session, (r / 4) % 2, place, now, &outcome);

    if (naive->lock[k] == 0) {
        assert_int_equal(rv, YOMO_OK);
        assert_int_equal(outcome, YO_LOCK_TAKEN);
        naive->lock[k] = place;
        naive->holder[k] = session;
        naive->until[k] = now + 100;
    } else if (naive->holder[k] == session) {
        assert_int_equal(outcome, YO_LOCK_RENEWED);
        naive->until[k] = now + 100;
    } else {
        assert_true(rv == YOMO_ERR_CONFLICT || outcome == YO_LOCK_WAITS);
    }
}

static void step_pass(struct yo_values *values, struct naive *naive, const char *key,
                      unsigned k, uint64_t place, yo_time now)
{
    struct yo_value *held = yo_values_get_lock(values, yo_span_of(key));

    assert_int_equal(held != NULL, naive->lock[k] != 0);
    if (held) {
        uint64_t to = yo_lock_next(held);
        assert_int_equal(yo_values_pass(values, held, place, now), to != 0);
        naive->lock[k] = to ? place : 0;
        naive->holder[k] = to;
        naive->until[k] = now + 100;
    }
}

static void random_changes_end_as_a_naive_record_does(void **state)
{
    struct naive naive = {0};
    struct yo_values values;
    struct fault fault;
    uint32_t seed = 20260101;

    (void)state;
    fault_init(&fault, 0, FAULT_ONCE);
    yo_values_init(&values, &fault.mem, &usual);
    for (uint64_t place = 1; place <= STEPS; place++) {
        unsigned k = next_random(&seed) % KEYS;
        uint32_t r = next_random(&seed);
        char key[2] = {(char)('a' + k), 0};
        yo_time due = YO_NEVER;
        if (r % 5 < 3) {
            step_value(&values, &naive, key, k, r / 5, place);
        } else if (r % 5 == 3) {
            step_lock(&values, &naive, key, k, r / 5, place, place);
        } else {
            step_pass(&values, &naive, key, k, place, place);
        }
        for (unsigned i = 0; i < KEYS; i++) {
            const char name[2] = {(char)('a' + i), 0};
            const struct yo_value *value = yo_values_get(&values, yo_span_of(name));
            const struct yo_value *held = yo_values_get_lock(&values, yo_span_of(name));
            assert_int_equal(value ? value->version : 0, naive.value[i]);
            assert_int_equal(held ? held->version : 0, naive.lock[i]);
            assert_int_equal(held ? held->session : 0,
                             naive.lock[i] ? naive.holder[i] : 0);
            if (naive.lock[i] && naive.until[i] < due) {
                due = naive.until[i];
            }
        }
        assert_int_equal(yo_values_deadline(&values), due);
    }
    yo_values_finish(&values);
    fault_assert_no_leak(&fault);
}

static void without_memory(struct fault *fault, void *user)
{
    static const struct {
        const char *key, *data;
    } sets[] = {{"a", "1"}, {"b", "22"}, {"a", "333"}, {"a", NULL}};
    enum yo_lock_outcome outcome;
    struct yo_values values;
    uint64_t current;

    (void)user;
    yo_values_init(&values, &fault->mem, &usual);
    for (unsigned i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
        size_t bytes = values.bytes, count = values.count;
        int rv = set(&values, sets[i].key, sets[i].data, -1, i + 1, &current);
        if (rv == YOMO_ERR_NOMEM) {
            assert_int_equal(values.bytes, bytes);
            assert_int_equal(values.count, count);
        }
    }
    (void)lock(&values, "l", 1, true, 5, 0, &outcome);
    (void)lock(&values, "l", 2, true, 6, 0, &outcome);
    (void)lock(&values, "m", 2, true, 7, 0, &outcome);
    yo_values_finish(&values);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(fault_each(without_memory, NULL) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_version_is_compared_and_set),
        cmocka_unit_test(bounds_hold_and_refuse),
        cmocka_unit_test(a_lock_goes_along_its_line),
        cmocka_unit_test(random_changes_end_as_a_naive_record_does),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
