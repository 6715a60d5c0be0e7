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
#include "base/rand.h"
#include "session/outbox.h"
#include "support/bytes.h"
#include "support/fault.h"

static struct fault fault;
static struct yo_outbox box;

static int setup(void **state)
{
    const struct yo_outbox_limits limits = {
        .reliable_bytes = 100, .unreliable_bytes = 50, .latest_slots = 3};

    (void)state;
    fault_init(&fault, 0, FAULT_ONCE);
    yo_outbox_init(&box, &fault.mem, &limits);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    yo_outbox_finish(&box);
    yo_outbox_finish(&box);
    fault_assert_no_leak(&fault);
    return 0;
}

static int put_out(const char *text, struct yo_outgoing out)
{
    struct yo_blob *message = yo_blob_create(&fault.mem, yo_span_of(text));
    int rv;

    assert_non_null(message);
    out.message = message;
    rv = yo_outbox_put(&box, &out);
    yo_blob_unref(message);
    return rv;
}

static int put(const char *text, enum yomo_delivery delivery)
{
    return put_out(text, (struct yo_outgoing){.delivery = delivery, .lane = 2});
}

static int put_latest(const char *text, const char *slot, uint64_t version)
{
    return put_out(text, (struct yo_outgoing){.delivery = YOMO_LATEST,
                                              .lane = 2,
                                              .slot = yo_span_of(slot),
                                              .version = version});
}

static int put_insisted(const char *text, const char *slot)
{
    return put_out(text, (struct yo_outgoing){.delivery = YOMO_UNRELIABLE,
                                              .insist = true,
                                              .slot = yo_span_of(slot)});
}

static uint64_t expect(const char *text)
{
    struct yo_outbox_next next;

    assert_true(yo_outbox_peek(&box, &next));
    assert_text(yo_blob_span(next.message), text);
    return next.token;
}

/* The next one is `text`; it is sent as a datagram whose fate follows. */
static uint64_t fly(const char *text)
{
    uint64_t token = expect(text);

    assert_int_not_equal(token, 0);
    yo_outbox_sent(&box, true);
    return token;
}

static void send(const char *text)
{
    expect(text);
    yo_outbox_sent(&box, false);
}

static void expect_nothing(void)
{
    struct yo_outbox_next next;

    assert_false(yo_outbox_peek(&box, &next));
    assert_true(yo_outbox_empty(&box));
}

static void an_empty_box_has_nothing(void **state)
{
    (void)state;
    expect_nothing();
    assert_int_equal(yo_outbox_bytes(&box), 0);
    assert_false(yo_outbox_fate(&box, 1, false));
    yo_outbox_rewind(&box);
}

static void reliable_goes_first_then_latest_then_unreliable(void **state)
{
    (void)state;
    put("u1", YOMO_UNRELIABLE);
    put_latest("l1", "a", 1);
    put("r1", YOMO_RELIABLE);
    put("r2", YOMO_RELIABLE);
    put("u2", YOMO_UNRELIABLE);
    assert_int_equal(yo_outbox_bytes(&box), 10);
    send("r1");
    send("r2");
    send("l1");
    send("u1");
    send("u2");
    expect_nothing();
    assert_int_equal(yo_outbox_bytes(&box), 0);
}

static void a_peek_says_how_it_goes(void **state)
{
    struct yo_outbox_next next;

    (void)state;
    put_out("r", (struct yo_outgoing){.delivery = YOMO_RELIABLE, .lane = 7});
    assert_true(yo_outbox_peek(&box, &next));
    assert_int_equal(next.lane, 7);
    assert_int_equal(next.delivery, YOMO_RELIABLE);
    assert_int_equal(next.token, 0);
    yo_outbox_sent(&box, true); /* nothing of RELIABLE flies */
    assert_int_equal(yo_outbox_bytes(&box), 0);
    put_insisted("i", NULL);
    assert_true(yo_outbox_peek(&box, &next));
    assert_int_equal(next.delivery, YOMO_UNRELIABLE);
    assert_int_not_equal(next.token, 0);
}

static void peeking_twice_is_the_same(void **state)
{
    (void)state;
    put_latest("l", "a", 1);
    assert_int_equal(expect("l"), expect("l"));
}

static void reliable_past_its_bytes_is_full(void **state)
{
    char text[101];

    (void)state;
    memset(text, 'x', 100);
    text[100] = 0;
    assert_int_equal(put(text, YOMO_RELIABLE), YOMO_OK);
    assert_int_equal(put("y", YOMO_RELIABLE), YOMO_ERR_FULL);
    assert_int_equal(put_insisted("y", NULL), YOMO_ERR_FULL);
    assert_int_equal(yo_outbox_bytes(&box), 100);
    send(text);
    assert_int_equal(put("y", YOMO_RELIABLE), YOMO_OK);
    send("y");
    expect_nothing();
}

static void the_oldest_unreliable_gives_way(void **state)
{
    char text[] = "0123456789012345678-";

    (void)state;
    for (char c = 'a'; c < 'd'; c++) {
        text[19] = c;
        assert_int_equal(put(text, YOMO_UNRELIABLE), YOMO_OK);
    }
    assert_int_equal(box.dropped_unreliable, 1);
    text[19] = 'b';
    send(text);
    text[19] = 'c';
    send(text);
    expect_nothing();
}

static void an_unreliable_one_that_never_fits_drives_nobody_out(void **state)
{
    char text[52];

    (void)state;
    memset(text, 'x', 51);
    text[51] = 0;
    put("u", YOMO_UNRELIABLE);
    assert_int_equal(put(text, YOMO_UNRELIABLE), YOMO_OK);
    assert_int_equal(box.dropped_unreliable, 1);
    send("u");
    expect_nothing();
}

static void a_newer_value_takes_the_turn_of_an_older(void **state)
{
    (void)state;
    put_latest("a1", "a", 1);
    put_latest("b1", "b", 1);
    put_latest("a2", "a", 2);
    assert_int_equal(box.replaced, 1);
    send("a2");
    send("b1");
    expect_nothing();
}

static void an_older_value_changes_nothing(void **state)
{
    (void)state;
    put_latest("a5", "a", 5);
    assert_int_equal(put_latest("a4", "a", 4), YOMO_OK);
    assert_int_equal(box.replaced, 0);
    send("a5");
    expect_nothing();
}

static void past_the_slots_the_oldest_gives_way(void **state)
{
    (void)state;
    put_latest("a", "a", 1);
    put_latest("b", "b", 1);
    put_latest("c", "c", 1);
    put_latest("d", "d", 1);
    assert_int_equal(box.dropped_latest, 1);
    send("b");
    send("c");
    send("d");
    expect_nothing();
}

static void one_that_flies_gives_way_before_one_that_waits(void **state)
{
    uint64_t token;

    (void)state;
    put_latest("a", "a", 1);
    put_latest("b", "b", 1);
    put_latest("c", "c", 1);
    fly("a");
    token = fly("b");
    put_latest("d", "d", 1);
    assert_true(yo_outbox_fate(&box, token, false));
    send("b");
    send("c");
    send("d");
    expect_nothing();
}

static void a_lost_value_goes_out_again(void **state)
{
    uint64_t first, second;

    (void)state;
    put_latest("a1", "a", 1);
    first = fly("a1");
    expect_nothing();
    assert_int_equal(yo_outbox_bytes(&box), 2);
    assert_true(yo_outbox_fate(&box, first, false));
    second = fly("a1");
    assert_int_not_equal(first, second);
    assert_false(yo_outbox_fate(&box, first, false));
    assert_false(yo_outbox_fate(&box, second, true));
    expect_nothing();
    assert_int_equal(yo_outbox_bytes(&box), 0);
    assert_int_equal(box.latest_count, 0);
}

static void a_lost_value_stays_lost_when_a_newer_one_went(void **state)
{
    uint64_t old, newer;

    (void)state;
    put_latest("a1", "a", 1);
    old = fly("a1");
    put_latest("a2", "a", 2);
    newer = fly("a2");
    assert_false(yo_outbox_fate(&box, old, false));
    expect_nothing();
    assert_true(yo_outbox_fate(&box, newer, false));
    send("a2");
}

static void an_older_value_does_not_replace_one_that_flies(void **state)
{
    uint64_t token;

    (void)state;
    put_latest("a2", "a", 2);
    token = fly("a2");
    put_latest("a1", "a", 1);
    expect_nothing();
    assert_false(yo_outbox_fate(&box, token, true));
}

static void insisted_comes_back_until_it_is_acknowledged(void **state)
{
    uint64_t token;

    (void)state;
    put_insisted("ack", NULL);
    put("r", YOMO_RELIABLE);
    token = fly("ack");
    assert_int_equal(box.reliable_bytes, 4);
    assert_true(yo_outbox_fate(&box, token, false));
    token = fly("ack");
    send("r");
    assert_false(yo_outbox_fate(&box, token, true));
    assert_int_equal(yo_outbox_bytes(&box), 0);
    assert_int_equal(box.insisted_count, 0);
}

/* Whatever became of the state, it cannot arrive after the goodbye. */
static void a_goodbye_waits_for_the_fate_of_the_state(void **state)
{
    (void)state;
    for (int acked = 0; acked < 2; acked++) {
        uint64_t first, second;
        put_insisted("state", "alice");
        first = fly("state");
        put_insisted("state 2", "alice");
        put_insisted("offline", "alice");
        expect_nothing();
        assert_int_equal(yo_outbox_bytes(&box), 5 + 7);
        assert_true(yo_outbox_fate(&box, first, acked));
        second = fly("offline");
        assert_int_equal(yo_outbox_bytes(&box), 7);
        assert_false(yo_outbox_fate(&box, second, true));
        assert_int_equal(yo_outbox_bytes(&box), 0);
    }
}

static void what_waits_for_a_fate_counts_as_reliable(void **state)
{
    char text[100];

    (void)state;
    memset(text, 'x', 99);
    text[99] = 0;
    put_insisted("a", "alice");
    fly("a");
    assert_int_equal(put_insisted(text, "alice"), YOMO_OK);
    assert_int_equal(put_insisted("b", "bob"), YOMO_ERR_FULL);
    assert_int_equal(put_insisted("b", "alice"), YOMO_OK);
    assert_int_equal(put_insisted(text, "bob"), YOMO_ERR_FULL);
    yo_outbox_rewind(&box);
    send("b");
    expect_nothing();
    assert_int_equal(yo_outbox_bytes(&box), 0);
}

static void a_slot_of_an_insisted_one_is_no_slot_of_latest(void **state)
{
    (void)state;
    put_insisted("i", "a");
    put_latest("l", "a", 1);
    send("i");
    send("l");
    expect_nothing();
}

static void what_cannot_be_sent_is_forgotten(void **state)
{
    (void)state;
    put("u", YOMO_UNRELIABLE);
    put_latest("l", "a", 1);
    put_insisted("i", NULL);
    expect("i");
    yo_outbox_drop(&box);
    expect("l");
    yo_outbox_drop(&box);
    expect("u");
    yo_outbox_drop(&box);
    expect_nothing();
    assert_int_equal(box.dropped_latest, 1);
    assert_int_equal(box.dropped_unreliable, 1);
    assert_int_equal(yo_outbox_bytes(&box), 0);
}

static void a_rewind_keeps_what_was_promised(void **state)
{
    uint64_t token;

    (void)state;
    put_latest("a", "a", 1);
    put_latest("b", "b", 1);
    put_latest("c", "c", 1);
    token = fly("a");
    fly("b");
    put("u", YOMO_UNRELIABLE);
    put("r", YOMO_RELIABLE);
    yo_outbox_rewind(&box);
    assert_false(yo_outbox_fate(&box, token, true));
    send("r");
    send("a");
    send("b");
    send("c");
    expect_nothing();
}

static void different_triples_have_different_slots(void **state)
{
    static const char *const triples[][3] = {
        {"room", "event", "key"}, {"roome", "vent", "key"}, {"room", "eventk", "ey"},
        {"room", "event", ""},    {"", "room", "event"},    {"room", "", "event"},
    };
    struct yo_buf names[6];

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        yo_buf_init(&names[i], &fault.mem);
        assert_int_equal(yo_outbox_slot(&names[i], 1, yo_span_of(triples[i][0]),
                                        yo_span_of(triples[i][1]),
                                        yo_span_of(triples[i][2])),
                         YOMO_OK);
        for (size_t j = 0; j < i; j++) {
            assert_false(yo_span_equal(yo_buf_span(&names[i]), yo_buf_span(&names[j])));
        }
    }
    for (size_t i = 0; i < 6; i++) {
        yo_buf_finish(&names[i]);
    }
}

/* --- priorities and ends --- */

static int put_ranked(const char *text, enum yomo_delivery delivery,
                      enum yomo_priority priority, yo_time expires)
{
    return put_out(text, (struct yo_outgoing){.delivery = delivery,
                                              .lane = 2,
                                              .slot = yo_span_of(text),
                                              .priority = priority,
                                              .expires = expires});
}

static void urgent_goes_before_a_full_bulk_queue(void **state)
{
    (void)state;
    put_ranked("b1", YOMO_RELIABLE, YOMO_BULK, 0);
    put_ranked("b2", YOMO_RELIABLE, YOMO_BULK, 0);
    put_ranked("b3", YOMO_LATEST, YOMO_BULK, 0);
    put_ranked("n1", YOMO_UNRELIABLE, YOMO_NORMAL, 0);
    put_ranked("n2", YOMO_RELIABLE, YOMO_NORMAL, 0);
    put_ranked("u1", YOMO_UNRELIABLE, YOMO_URGENT, 0);
    put_ranked("u2", YOMO_RELIABLE, YOMO_URGENT, 0);
    put_ranked("u3", YOMO_RELIABLE, YOMO_URGENT, 0);
    put_ranked("b4", YOMO_RELIABLE, YOMO_BULK, 0);
    send("u2");
    send("u3");
    send("u1");
    send("n2");
    send("n1");
    send("b1");
    send("b2");
    send("b4"); /* each priority has its order */
    send("b3");
    expect_nothing();
}

static void the_least_urgent_gives_way(void **state)
{
    (void)state;
    put_ranked("0123456789012345678", YOMO_UNRELIABLE, YOMO_URGENT, 0);
    put_ranked("bulk", YOMO_UNRELIABLE, YOMO_BULK, 0);
    put_ranked("normal of twenty-six bytes", YOMO_UNRELIABLE, YOMO_NORMAL, 0);
    put_ranked("more", YOMO_UNRELIABLE, YOMO_NORMAL, 0);     /* bulk goes */
    put_ranked("bulk again", YOMO_UNRELIABLE, YOMO_BULK, 0); /* has no room */
    assert_int_equal(box.dropped_unreliable, 2);
    send("0123456789012345678");
    send("normal of twenty-six bytes");
    send("more");
    put_ranked("a", YOMO_LATEST, YOMO_URGENT, 0);
    put_ranked("b", YOMO_LATEST, YOMO_BULK, 0);
    put_ranked("c", YOMO_LATEST, YOMO_URGENT, 0);
    put_ranked("d", YOMO_LATEST, YOMO_NORMAL, 0);
    put_ranked("e", YOMO_LATEST, YOMO_URGENT, 0);
    put_ranked("f", YOMO_LATEST, YOMO_BULK, 0);
    assert_int_equal(box.dropped_latest, 3);
    send("a");
    send("c");
    send("e");
    expect_nothing();
}

static void a_value_that_becomes_urgent_goes_first(void **state)
{
    struct yo_outgoing out = {
        .delivery = YOMO_LATEST, .slot = yo_span_of("v"), .version = 1};

    (void)state;
    put("r", YOMO_RELIABLE);
    assert_int_equal(put_out("old", out), YOMO_OK);
    out.version = 2;
    out.priority = YOMO_URGENT;
    assert_int_equal(put_out("new", out), YOMO_OK);
    send("new");
    send("r");
    expect_nothing();
}

static void what_waits_past_its_time_is_forgotten(void **state)
{
    (void)state;
    put_ranked("late", YOMO_RELIABLE, YOMO_NORMAL, 100);
    put_ranked("early", YOMO_RELIABLE, YOMO_NORMAL, 50);
    put("ever", YOMO_RELIABLE);
    put_ranked("lost", YOMO_LATEST, YOMO_NORMAL, 60);
    put_ranked("gone", YOMO_UNRELIABLE, YOMO_URGENT, 50);
    assert_true(yo_outbox_deadline(&box) == 50);
    assert_int_equal(yo_outbox_expire(&box, 49), 0);
    assert_int_equal(yo_outbox_expire(&box, 50), 2);
    assert_true(yo_outbox_deadline(&box) == 60);
    assert_int_equal(yo_outbox_expire(&box, 1000), 2);
    assert_true(yo_outbox_deadline(&box) == YO_NEVER);
    assert_int_equal(box.expired, 4);
    send("ever");
    expect_nothing();
    assert_int_equal(box.mortal_count, 0);
}

static void room_that_the_dead_took_is_free(void **state)
{
    char text[101];

    (void)state;
    memset(text, 'x', 100);
    text[100] = 0;
    assert_int_equal(put_ranked(text, YOMO_RELIABLE, YOMO_BULK, 10), YOMO_OK);
    assert_int_equal(put("r", YOMO_RELIABLE), YOMO_ERR_FULL);
    yo_outbox_expire(&box, 10);
    assert_int_equal(put("r", YOMO_RELIABLE), YOMO_OK);
    send("r");
}

static void one_that_flies_has_been_sent_and_is_not_sent_again(void **state)
{
    uint64_t token;

    (void)state;
    put_ranked("v", YOMO_LATEST, YOMO_NORMAL, 10);
    token = fly("v");
    assert_int_equal(yo_outbox_expire(&box, 10), 0); /* its fate is awaited */
    assert_true(yo_outbox_fate(&box, token, false));
    assert_int_equal(yo_outbox_expire(&box, 10), 1);
    expect_nothing();
    put_ranked("v", YOMO_LATEST, YOMO_NORMAL, 10);
    token = fly("v");
    assert_false(yo_outbox_fate(&box, token, true));
    assert_int_equal(box.mortal_count, 0);
}

static void a_newer_value_has_its_own_end(void **state)
{
    struct yo_outgoing out = {
        .delivery = YOMO_LATEST, .slot = yo_span_of("v"), .version = 1, .expires = 10};

    (void)state;
    assert_int_equal(put_out("old", out), YOMO_OK);
    out.version = 2;
    out.expires = 0;
    assert_int_equal(put_out("new", out), YOMO_OK);
    assert_int_equal(yo_outbox_expire(&box, 1000), 0);
    out.version = 3;
    out.expires = 20;
    assert_int_equal(put_out("newest", out), YOMO_OK);
    assert_true(yo_outbox_deadline(&box) == 20);
    send("newest");
    assert_true(yo_outbox_deadline(&box) == YO_NEVER);
}

static void an_appended_box_keeps_priorities_and_ends(void **state)
{
    const struct yo_outbox_limits limits = {100, 50, 3};
    struct yo_outbox whole;

    (void)state;
    put_ranked("b", YOMO_RELIABLE, YOMO_BULK, 0);
    put_ranked("u", YOMO_RELIABLE, YOMO_URGENT, 30);
    put_ranked("n", YOMO_RELIABLE, YOMO_NORMAL, 10);
    yo_outbox_init(&whole, &fault.mem, &limits);
    assert_int_equal(yo_outbox_append(&whole, &box), YOMO_OK);
    assert_true(yo_outbox_deadline(&whole) == 10);
    assert_int_equal(yo_outbox_expire(&whole, 10), 1);
    assert_int_equal(yo_outbox_append(&box, &whole), YOMO_OK);
    yo_outbox_finish(&whole);
    send("u");
    send("b");
    expect_nothing();
}

/* --- all in any order --- */

static void random_put(struct yo_rand *rand, yo_time now)
{
    char slot[] = {(char)('a' + yo_rand_below(rand, 5)), 0};
    char text[] = "0123456789abcdef";

    struct yo_outgoing out = {
        .lane = 2,
        .priority = (enum yomo_priority)yo_rand_below(rand, 3),
        .expires = yo_rand_below(rand, 2) ? 0 : now + 1 + yo_rand_below(rand, 50),
    };

    text[1 + yo_rand_below(rand, 15)] = 0;
    switch (yo_rand_below(rand, 5)) {
    case 0:
        break;
    case 1:
        out.delivery = YOMO_UNRELIABLE;
        break;
    case 2:
        out.delivery = YOMO_UNRELIABLE;
        out.insist = true;
        out.slot = yo_span_of(yo_rand_below(rand, 2) ? slot : NULL);
        break;
    default:
        out.delivery = YOMO_LATEST;
        out.slot = yo_span_of(slot);
        out.version = yo_rand_below(rand, 10);
        break;
    }
    put_out(text, out);
}

static size_t count(const struct yo_link *head, size_t *bytes)
{
    size_t n = 0;

    (void)bytes;
    YO_LIST_EACH(link, next_link, head)
    {
        n++;
    }
    return n;
}

static void any_order_keeps_the_bounds(void **state)
{
    uint64_t tokens[16] = {0};
    struct yo_outbox_next next;
    struct yo_rand rand;

    (void)state;
    yo_rand_seed(&rand, 5);
    for (int i = 0; i < 50000; i++) {
        uint64_t *token = &tokens[yo_rand_below(&rand, 16)];
        switch (yo_rand_below(&rand, 4)) {
        case 0:
            if (yo_outbox_peek(&box, &next)) {
                *token = next.token;
                yo_outbox_sent(&box, yo_rand_below(&rand, 3) > 0);
            }
            break;
        case 1:
            yo_outbox_fate(&box, *token, yo_rand_below(&rand, 2));
            break;
        case 2:
            if (yo_rand_below(&rand, 50) == 0) {
                yo_outbox_rewind(&box);
            } else if (yo_rand_below(&rand, 5) == 0 && yo_outbox_peek(&box, &next)) {
                yo_outbox_drop(&box);
            }
            break;
        default:
            random_put(&rand, (yo_time)i);
            break;
        }
        if (i % 7 == 0) {
            yo_outbox_expire(&box, (yo_time)i);
            assert_true(yo_outbox_deadline(&box) > (yo_time)i);
        }
        assert_true(box.expiring.count <= box.mortal_count &&
                    box.mortal_count <= box.expiring.capacity);
        assert_true(box.reliable_bytes <= 100 && box.unreliable_bytes <= 50);
        assert_true(box.latest_count <= 3);
        assert_int_equal(box.tokens.count, count(&box.flying, NULL));
    }
    while (yo_outbox_peek(&box, &next)) {
        yo_outbox_sent(&box, false);
    }
    yo_outbox_rewind(&box);
    while (yo_outbox_peek(&box, &next)) {
        yo_outbox_sent(&box, false);
    }
    assert_int_equal(yo_outbox_bytes(&box), 0);
    assert_int_equal(box.slots.count, 0);
    assert_int_equal(box.mortal_count, 0);
    assert_true(box.expired > 100);
}

/* --- memory --- */

static void fill_a_box(struct fault *memory, void *user)
{
    const struct yo_outbox_limits limits = {100, 50, 3};
    struct yo_blob *message = yo_blob_create(&memory->mem, yo_span_of("message"));
    const struct yo_outgoing all[] = {
        {.message = message, .delivery = YOMO_RELIABLE, .lane = 2},
        {.message = message, .delivery = YOMO_UNRELIABLE},
        {.message = message,
         .delivery = YOMO_UNRELIABLE,
         .priority = YOMO_URGENT,
         .expires = 5},
        {.message = message, .delivery = YOMO_UNRELIABLE, .insist = true},
        {.message = message,
         .delivery = YOMO_UNRELIABLE,
         .insist = true,
         .slot = yo_span_of("a")},
        {.message = message, .delivery = YOMO_LATEST, .slot = yo_span_of("a")},
        {.message = message,
         .delivery = YOMO_LATEST,
         .slot = yo_span_of("b"),
         .expires = 7},
        {.message = message,
         .delivery = YOMO_LATEST,
         .slot = yo_span_of("b"),
         .version = 2},
    };
    struct yo_outbox filled;
    struct yo_outbox_next next;

    (void)user;
    if (!message) {
        return;
    }
    yo_outbox_init(&filled, &memory->mem, &limits);
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        size_t before = yo_outbox_bytes(&filled);
        size_t slots = filled.slots.count;
        int rv = yo_outbox_put(&filled, &all[i]);
        if (rv != YOMO_OK) {
            assert_int_equal(rv, YOMO_ERR_NOMEM);
            assert_int_equal(yo_outbox_bytes(&filled), before);
            assert_int_equal(filled.slots.count, slots);
        }
    }
    while (yo_outbox_peek(&filled, &next)) {
        yo_outbox_sent(&filled, true);
    }
    yo_outbox_finish(&filled);
    assert_int_equal(message->refs, 1);
    yo_blob_unref(message);
}

static void a_box_survives_every_failing_allocation(void **state)
{
    (void)state;
    assert_true(fault_each(fill_a_box, NULL) > 8);
}

static void a_snapshot_takes_no_room_from_others(void **state)
{
    struct yo_blob *blob = yo_blob_create(&fault.mem, bytes_repeat("s", 90));
    const struct yo_outgoing page = {
        .message = blob, .delivery = YOMO_RELIABLE, .lane = 1, .snapshot = true};
    const struct yo_outgoing data = {
        .message = blob, .delivery = YOMO_RELIABLE, .lane = 1};
    struct yo_outbox other;
    struct yo_outbox_next next;

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(yo_outbox_put(&box, &page), YOMO_OK);
    }
    assert_int_equal(box.snapshot_bytes, 270);
    assert_int_equal(yo_outbox_put(&box, &data), YOMO_OK);
    assert_int_equal(yo_outbox_put(&box, &data), YOMO_ERR_FULL);
    assert_int_equal(yo_outbox_bytes(&box), 360);
    yo_outbox_init(&other, &fault.mem,
                   &(struct yo_outbox_limits){.reliable_bytes = 100});
    assert_int_equal(yo_outbox_append(&other, &box), YOMO_OK);
    assert_int_equal(other.snapshot_bytes, 270);
    for (int i = 0; i < 4; i++) { /* in their order */
        assert_int_equal(other.snapshot_bytes, 270 - 90 * i);
        assert_true(yo_outbox_peek(&other, &next));
        yo_outbox_sent(&other, false);
    }
    assert_int_equal(yo_outbox_bytes(&other), 0);
    yo_outbox_finish(&other);
    yo_blob_unref(blob);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(an_empty_box_has_nothing),
        TEST(reliable_goes_first_then_latest_then_unreliable),
        TEST(a_peek_says_how_it_goes),
        TEST(peeking_twice_is_the_same),
        TEST(reliable_past_its_bytes_is_full),
        TEST(the_oldest_unreliable_gives_way),
        TEST(an_unreliable_one_that_never_fits_drives_nobody_out),
        TEST(a_newer_value_takes_the_turn_of_an_older),
        TEST(an_older_value_changes_nothing),
        TEST(past_the_slots_the_oldest_gives_way),
        TEST(one_that_flies_gives_way_before_one_that_waits),
        TEST(a_lost_value_goes_out_again),
        TEST(a_lost_value_stays_lost_when_a_newer_one_went),
        TEST(an_older_value_does_not_replace_one_that_flies),
        TEST(insisted_comes_back_until_it_is_acknowledged),
        TEST(a_goodbye_waits_for_the_fate_of_the_state),
        TEST(what_waits_for_a_fate_counts_as_reliable),
        TEST(a_slot_of_an_insisted_one_is_no_slot_of_latest),
        TEST(what_cannot_be_sent_is_forgotten),
        TEST(a_rewind_keeps_what_was_promised),
        TEST(different_triples_have_different_slots),
        TEST(urgent_goes_before_a_full_bulk_queue),
        TEST(the_least_urgent_gives_way),
        TEST(a_value_that_becomes_urgent_goes_first),
        TEST(what_waits_past_its_time_is_forgotten),
        TEST(room_that_the_dead_took_is_free),
        TEST(one_that_flies_has_been_sent_and_is_not_sent_again),
        TEST(a_newer_value_has_its_own_end),
        TEST(an_appended_box_keeps_priorities_and_ends),
        TEST(any_order_keeps_the_bounds),
        TEST(a_box_survives_every_failing_allocation),
        TEST(a_snapshot_takes_no_room_from_others),
    };

    return cmocka_run_group_tests_name("session/outbox", tests, NULL, NULL);
}
