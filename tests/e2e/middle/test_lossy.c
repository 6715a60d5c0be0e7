/* SPDX-License-Identifier: MIT */
/* A path that loses 2 % of all packets each way, delays each by 50 ms (100 ms for the
 * round trip) and up to 10 ms more by chance, so that packets overtake each other, and
 * sends some twice: argument 1 is the transport.
 *
 * What is promised there: RELIABLE messages all arrive, once, in order; of each LATEST
 * value the newest arrives, none comes after a newer one, and what arrives is fresh.
 * Fresh is counted, not timed: how many newer values of that key its sender had made
 * when a value arrived. A value is made each VALUE_MS; without loss one that arrives is
 * 55 ms / VALUE_MS values old. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "guest.h"
#include "link.h"

#define VALUE_MS 10
#define VALUES 300
#define ROUND_TRIP_MS 100
#define MESSAGES 400

static struct host host;
static struct link_child link_child;
static const char *transport;

static int begin(void **state)
{
    static const char *const orders[] = {"loss 0.02", "delay 50", "jitter 10",
                                         "duplicate 0.01", NULL};
    (void)state;
    host_begin(&host, NULL);
    link_begin(&link_child, host.port, orders);
    return 0;
}

static int end(void **state)
{
    char counts[512];
    (void)state;
    link_counts(&link_child, counts, sizeof(counts));
    fprintf(stderr, "%s\n", counts);
    link_end(&link_child);
    host_end(&host);
    return 0;
}

static void three_guests(struct guest guests[3])
{
    static const char *const ids[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++) {
        guest_begin(&guests[i], &host, ids[i], "127.0.0.1", link_child.port);
        guest_set(&guests[i], "transport", transport);
        guest_join(&guests[i], "room");
    }
    for (int i = 0; i < 3; i++) {
        GUESTS_UNTIL(guests, 3, guests[i].joined == 1);
    }
}

static void reliable_messages_all_arrive_in_order(void **state)
{
    struct guest guests[3];
    uint64_t next = 0;
    (void)state;
    three_guests(guests);
    GUESTS_UNTIL(guests, 3,
                 (guest_clock_ms() < next
                      ? (void)0
                      : (guest_say(&guests[0]), guest_say(&guests[1]),
                         guest_say(&guests[2]), (void)(next = guest_clock_ms() + 5)),
                  guests[0].said == MESSAGES));
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 3; k++) {
            GUESTS_UNTIL(guests, 3, i == k || guest_has_all(&guests[i], &guests[k]));
        }
    }
    for (int i = 0; i < 3; i++) {
        GUESTS_UNTIL(guests, 3, guests[i].confirmed == MESSAGES);
        assert_int_equal(guests[i].disorder, 0);
        assert_int_equal(guests[i].refused, 0);
        assert_int_equal(guests[i].waits, 0);
        assert_int_equal(guests[i].opens, 1);
        assert_int_equal(guests[i].went, 0);
    }
    guests_end(guests, 3);
}

/* How far behind what arrives is, in values; the worst that may be, in round trips. */
struct freshness {
    long count, behind, worst;
};

static void look(struct guest *listener, const struct guest *speaker,
                 long seen[GUEST_KEYS], struct freshness *freshness)
{
    for (int key = 0; key < GUEST_KEYS; key++) {
        long value = listener->latest[speaker->id[0] - 'a'][key];
        if (value > seen[key]) {
            long behind = speaker->latest_said[key] - value;
            seen[key] = value;
            freshness->count++;
            freshness->behind += behind;
            freshness->worst = behind > freshness->worst ? behind : freshness->worst;
        }
    }
}

static void latest_values_are_fresh(void **state)
{
    struct guest guests[3];
    struct freshness freshness = {0};
    long seen[2][GUEST_KEYS] = {{0}};
    uint64_t next = 0;
    (void)state;
    three_guests(guests);
    while (guests[0].latest_said[0] < VALUES) {
        if (guest_clock_ms() >= next) {
            for (int key = 0; key < GUEST_KEYS; key++) {
                guest_say_latest(&guests[0], key);
            }
            next = guest_clock_ms() + VALUE_MS;
        }
        guests_turn(guests, 3, 1);
        for (int i = 1; i < 3; i++) {
            look(&guests[i], &guests[0], seen[i - 1], &freshness);
        }
    }
    for (int i = 1; i < 3; i++) {
        for (int key = 0; key < GUEST_KEYS; key++) {
            GUESTS_UNTIL(guests, 3, guests[i].latest[0][key] == VALUES);
        }
        assert_int_equal(guests[i].stale, 0);
    }
    fprintf(stderr, "%s: %ld values arrived, %.1f behind on average, %ld at worst\n",
            transport, freshness.count,
            (double)freshness.behind / (double)freshness.count, freshness.worst);
    assert_true(freshness.count > 0);
    if (strcmp(transport, "webtransport") == 0) {
        /* A lost value is not waited for: the next one takes its place. So on average
         * they are no older than two round trips. */
        assert_true(freshness.behind <= freshness.count * 2 * ROUND_TRIP_MS / VALUE_MS);
        /* Most of them arrive. */
        assert_true(freshness.count > 2L * GUEST_KEYS * VALUES / 2);
    }
    guests_end(guests, 3);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reliable_messages_all_arrive_in_order, begin,
                                        end),
        cmocka_unit_test_setup_teardown(latest_values_are_fresh, begin, end),
    };
    transport = argc > 1 ? argv[1] : "webtransport";
    return cmocka_run_group_tests(tests, NULL, NULL);
}
