/* SPDX-License-Identifier: MIT */
/* test_values.c - what a room shares, as its home and workers have it: with observers,
 * over moves and breaks, at the bounds, and when memory ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

#include "comeback.h"
#include "support/fault.h"
#include "wire/decode.h"

/* {"event": "", "data": <one digit>} */
static struct yo_span digit(int value)
{
    static const uint8_t digits[10][14] = {
#define ONE(n) {0x82, 0xa5, 'e', 'v', 'e', 'n', 't', 0xa0, 0xa4, 'd', 'a', 't', 'a', n}
        ONE(0), ONE(1), ONE(2), ONE(3), ONE(4), ONE(5), ONE(6), ONE(7), ONE(8), ONE(9),
    };
    return yo_span(digits[value], sizeof(digits[value]));
}

static struct yo_message value(const char *key, int data)
{
    return (struct yo_message){.op = YO_OP_VALUE,
                               .channel = yo_span_of("r"),
                               .key = yo_span_of(key),
                               .payload = digit(data),
                               .number = 1};
}

static struct yo_message lock(const char *key, uint64_t ms, bool wait)
{
    return (struct yo_message){.op = YO_OP_LOCK,
                               .channel = yo_span_of("r"),
                               .key = yo_span_of(key),
                               .timestamp = ms,
                               .wait = wait,
                               .number = 1};
}

static struct yo_message unlock(const char *key)
{
    return (struct yo_message){.op = YO_OP_UNLOCK,
                               .channel = yo_span_of("r"),
                               .key = yo_span_of(key),
                               .number = 1};
}

/* The answer to what was just asked; what is told before it is passed over. */
static int answer(struct client *client, const struct yo_message *message)
{
    struct heard *heard;

    client_forget(client);
    client_send(client, message);
    while ((heard = client_next(client)) != NULL) {
        if (heard->message.op == YO_OP_ACK || heard->message.op == YO_OP_ERROR) {
            return (int)heard->message.code;
        }
    }
    return -1;
}

#define ANSWER(client, ...) answer(client, &(struct yo_message[]){__VA_ARGS__}[0])

/* The next change of a value or a lock that it hears of. */
static struct heard *change(struct client *client, enum yo_op op, const char *key)
{
    struct heard *heard;

    while ((heard = client_next(client)) != NULL) {
        if (heard->message.op == YO_OP_VALUE || heard->message.op == YO_OP_LOCK) {
            assert_int_equal(heard->message.op, op);
            assert_true(yo_span_is(heard->message.key, key));
            return heard;
        }
    }
    fail_msg("it does not hear of %s", key);
    return NULL;
}

static bool hears_of_any(struct client *client)
{
    struct heard *heard;
    bool any = false;

    while ((heard = client_next(client)) != NULL) {
        any |= heard->message.op == YO_OP_VALUE || heard->message.op == YO_OP_LOCK;
    }
    return any;
}

static struct client *come(struct rig *rig, uint32_t worker, const char *id,
                           bool observe)
{
    struct client *client = knock(rig, worker, WS, id, NULL);

    client_send(client, &(struct yo_message){.op = YO_OP_CHANNEL_JOIN,
                                             .channel = yo_span_of("r"),
                                             .observe = observe});
    return client;
}

/* How many entries the pages of `values` have that it was shown. */
static unsigned shown(struct client *client)
{
    unsigned sum = 0;
    struct heard *heard;

    while ((heard = client_next(client)) != NULL) {
        struct yo_mp_reader reader;
        if (heard->message.op == YO_OP_VALUES) {
            yo_mp_reader_init(&reader, heard->message.members);
            sum += yo_mp_read_array(&reader);
            assert_false(reader.error);
        }
    }
    return sum;
}

static void observers_hear_and_may_change(void **unused)
{
    struct rig rig;
    struct client *a, *o, *late;

    (void)unused;
    rig_open(&rig, 2, NULL, NULL);
    a = come(&rig, 0, "a", false);
    o = come(&rig, 1, "o", true);
    client_forget(o);
    assert_int_equal(ANSWER(a, value("k", 1)), 0);
    assert_true(yo_span_is(change(o, YO_OP_VALUE, "k")->message.peer, "a"));
    assert_int_equal(ANSWER(o, value("l", 2)), 0);
    assert_true(yo_span_is(change(a, YO_OP_VALUE, "l")->message.peer, "o"));
    assert_int_equal(ANSWER(o, lock("x", 60000, false)), 0);
    (void)change(a, YO_OP_LOCK, "x");
    late = come(&rig, 0, "late", true);
    assert_int_equal(shown(late), 3);
    /* It goes: nobody ever saw it, and all see that its lock is free. */
    client_forget(a);
    client_close(o);
    rig_settle(&rig);
    assert_int_equal(change(a, YO_OP_LOCK, "x")->message.session, 0);
    rig_close(&rig);
}

static void who_is_not_in_the_room_changes_nothing(void **unused)
{
    struct rig rig;
    struct client *a, *b;

    (void)unused;
    rig_open(&rig, 2, NULL, NULL);
    a = come(&rig, 0, "a", false);
    b = knock(&rig, 1, WS, "b", NULL);
    client_forget(a);
    assert_int_equal(ANSWER(b, value("k", 1)), YOMO_ERR_NOT_FOUND);
    assert_int_equal(ANSWER(b, lock("k", 1000, true)), YOMO_ERR_NOT_FOUND);
    assert_int_equal(ANSWER(b, unlock("k")), YOMO_ERR_NOT_FOUND);
    assert_false(hears_of_any(a));
    assert_int_equal(ANSWER(a, unlock("k")), YOMO_ERR_NOT_FOUND);
    assert_int_equal(ANSWER(a, lock("k", 0, false)), YOMO_ERR_INVALID);
    assert_int_equal(ANSWER(a, value("", 1)), YOMO_ERR_INVALID);
    assert_false(a->closing || b->closing);
    rig_close(&rig);
}

/* Its connection breaks: what it holds stays its own while its seat is kept, and what
 * changed meanwhile it is shown when it is back, at whatever worker. */
static void a_holder_that_comes_back_has_its_lock(uint32_t to)
{
    struct rig rig;
    struct client *a, *b, *again;
    char token[TOKEN_MAX];
    uint64_t place, session;

    rig_open(&rig, 2, NULL, NULL);
    a = knock(&rig, 0, WS, "a", token);
    place = join(a, "r");
    b = come(&rig, 1, "b", false);
    client_forget(b);
    assert_int_equal(ANSWER(a, lock("x", 60000, false)), 0);
    session = change(b, YO_OP_LOCK, "x")->message.session;
    assert_int_equal(ANSWER(b, lock("x", 60000, false)), YOMO_ERR_CONFLICT);
    assert_int_equal(ANSWER(b, lock("x", 60000, true)), 0);
    client_break(a);
    assert_int_equal(ANSWER(b, value("k", 4)), 0);

    again = knock(&rig, to, WS, "a", NULL);
    claim(again, "r", place);
    ask(again, token);
    assert_int_equal(shown(again), 2);
    client_forget(b);
    assert_int_equal(ANSWER(again, lock("x", 60000, false)), 0); /* renewed */
    assert_false(hears_of_any(b));
    assert_int_equal(ANSWER(again, unlock("x")), 0);
    assert_int_not_equal(change(b, YO_OP_LOCK, "x")->message.session, session);
    rig_close(&rig);
}

static void locks_outlive_a_break(void **unused)
{
    (void)unused;
    a_holder_that_comes_back_has_its_lock(0);
    a_holder_that_comes_back_has_its_lock(1);
}

/* Not before its lease is over: its program may not know yet that its connection broke. */
static void who_does_not_come_back_loses_it_with_its_lease(void **unused)
{
    struct rig rig;
    struct client *a, *b;
    yo_time start = uv_hrtime();

    (void)unused;
    rig_open(&rig, 2, NULL, "grace-time", "0", NULL);
    a = come(&rig, 0, "a", false);
    b = come(&rig, 1, "b", false);
    assert_int_equal(ANSWER(a, lock("x", 200, false)), 0);
    assert_int_equal(ANSWER(b, lock("x", 60000, true)), 0);
    client_forget(b);
    client_break(a);
    while (!hears_of_any(b)) { /* the lock is told of, to b */
        assert_true(uv_hrtime() - start < 10 * YO_SECOND);
        rig_settle(&rig);
    }
    assert_true(uv_hrtime() - start >= 200 * YO_MS);
    assert_int_equal(ANSWER(b, unlock("x")), 0);
    rig_close(&rig);
}

/* A move, and what it holds goes along. */
static void a_holder_that_moves_has_its_lock(void **unused)
{
    struct rig rig;
    struct client *a, *b, *other;
    char token[TOKEN_MAX];

    (void)unused;
    rig_open(&rig, 2, NULL, NULL);
    a = knock(&rig, 0, WS, "a", token);
    (void)join(a, "r");
    b = come(&rig, 1, "b", false);
    assert_int_equal(ANSWER(a, lock("x", 60000, false)), 0);
    client_forget(b);
    other = knock(&rig, 1, WT, "a", NULL);
    client_send(other,
                &(struct yo_message){.op = YO_OP_MOVE, .token = yo_span_of(token)});
    client_send(a, &(struct yo_message){.op = YO_OP_MOVE});
    rig_settle(&rig);
    assert_false(hears_of_any(b));
    assert_int_equal(ANSWER(b, lock("x", 1000, false)), YOMO_ERR_CONFLICT);
    client_forget(b);
    assert_int_equal(ANSWER(other, unlock("x")), 0);
    assert_int_equal(change(b, YO_OP_LOCK, "x")->message.session, 0);
    rig_close(&rig);
}

/* --- the bounds ------------------------------------------------------------------ */

/* Refused with `code`, and the sentence names the option. */
static void expect_limit(struct client *client, const struct yo_message *message,
                         int code, const char *option)
{
    struct heard *heard;
    char text[128] = "";

    client_forget(client);
    client_send(client, message);
    while ((heard = client_next(client)) != NULL) {
        if (heard->message.op == YO_OP_ERROR) {
            snprintf(text, sizeof(text), "%.*s", (int)heard->message.text.size,
                     (const char *)heard->message.text.data);
            assert_int_equal(heard->message.code, code);
        }
    }
    if (!strstr(text, option)) {
        fail_msg("\"%s\" does not name %s", text, option);
    }
}

static void a_bound_is_named(void **unused)
{
    struct rig rig;
    struct client *a;
    struct yo_message big = value("k", 1);
    uint8_t bytes[300] = {0x82, 0xa5, 'e', 'v', 'e', 'n',  't', 0xa0,
                          0xa4, 'd',  'a', 't', 'a', 0xc4, 200};
    char name[256];

    (void)unused;
    rig_open(&rig, 1, NULL, "values-max", "2", "value-size-max", "64", NULL);
    a = come(&rig, 0, "a", false);
    assert_int_equal(ANSWER(a, value("k", 1)), 0);
    big.payload = yo_span(bytes, 15 + 200);
    expect_limit(a, &big, YOMO_ERR_TOO_BIG, "value-size-max");
    assert_int_equal(ANSWER(a, value("l", 1)), 0);
    big = value("m", 1);
    expect_limit(a, &big, YOMO_ERR_FULL, "values-max");
    big = lock("m", 1000, false);
    expect_limit(a, &big, YOMO_ERR_FULL, "values-max");
    assert_int_equal(ANSWER(a, value("k", 2)), 0); /* no new one */
    rig_close(&rig);

    rig_open(&rig, 1, NULL, "values-memory", "1k", NULL);
    a = come(&rig, 0, "a", false);
    memset(name, 'n', 255);
    name[255] = '\0';
    for (int i = 0; i < 9; i++) {
        struct yo_message more = value(name, 1);
        name[0] = (char)('a' + i);
        if (answer(a, &more) == YOMO_ERR_FULL) {
            expect_limit(a, &more, YOMO_ERR_FULL, "values-memory");
            rig_close(&rig);
            return;
        }
    }
    fail_msg("9 values with long names fit into 1 KiB");
}

/* --- no memory ------------------------------------------------------------------- */

static int try(struct client *client, const struct yo_message *message)
{
    return client->status == 200 && !client->closing ? answer(client, message) : -1;
}

#define TRY(client, ...) try(client, &(struct yo_message[]){__VA_ARGS__}[0])

static void act(struct rig *rig, struct client *a, struct client *b)
{
    struct client *late;

    (void)TRY(a, value("k", 1));
    (void)TRY(b, value("k", 2));
    (void)TRY(b, value("l", 3));
    (void)TRY(a, lock("x", 60000, false));
    (void)TRY(b, lock("x", 60000, true));
    (void)TRY(b, lock("y", 60000, true));
    late = rig_knock(rig, 1, WS, "/v1", "yomo=1&id=late", NULL);
    if (late->status == 200 && !late->closing) {
        client_join(late, "r", NULL);
    }
    (void)TRY(a, unlock("x"));
    if (!b->closing) {
        client_close(b); /* which holds both, if all went well */
    }
    rig_settle(rig);
    (void)TRY(a, (struct yo_message){.op = YO_OP_VALUE,
                                     .channel = yo_span_of("r"),
                                     .key = yo_span_of("k"),
                                     .number = 1});
}

/* Each allocation fails in turn: who is told nothing of a change comes again (its
 * connection ends with a code that means so), and who stays is told the truth. */
static void every_allocation_may_fail(void **unused)
{
    static const char *const options[] = {"grace-time", "0", NULL};
    struct fault fault;
    size_t nth;

    (void)unused;
    for (int mode = FAULT_ONCE; mode <= FAULT_FROM; mode++) {
        bool failed = true;
        for (nth = 1; failed; nth++) {
            struct rig rig;
            struct client *a, *b, *check;
            fault_init(&fault, 0, FAULT_ONCE);
            rig_open_with(&rig, &fault.mem, 2, NULL, NULL, options);
            a = come(&rig, 0, "a", false);
            b = come(&rig, 1, "b", false);
            fault_arm(&fault, nth, (enum fault_mode)mode);
            act(&rig, a, b);
            failed = atomic_load(&fault.failed);
            fault_arm(&fault, 0, FAULT_ONCE);
            rig_settle(&rig);
            if (a->closing) {
                assert_int_equal(a->why.kind, YO_CLOSE_RETRY);
            }
            /* The room goes on: nobody holds a lock for good who is not there. */
            check = come(&rig, 1, "check", false);
            assert_int_equal(ANSWER(check, value("after", 7)), 0);
            assert_int_equal(ANSWER(check, lock("y", 1000, true)), 0);
            rig_close(&rig);
            fault_assert_no_leak(&fault);
        }
        assert_true(nth > 40);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(observers_hear_and_may_change),
        cmocka_unit_test(who_is_not_in_the_room_changes_nothing),
        cmocka_unit_test(locks_outlive_a_break),
        cmocka_unit_test(who_does_not_come_back_loses_it_with_its_lease),
        cmocka_unit_test(a_holder_that_moves_has_its_lock),
        cmocka_unit_test(a_bound_is_named),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
