/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "client/udp_blocked.h"

static struct yo_span name(const char *text)
{
    return yo_span_of(text);
}

static void a_failure_is_remembered_for_some_minutes(void **state)
{
    (void)state;
    yo_time now = 1000 * YO_SECOND;
    assert_false(yo_udp_blocked(name("a"), 443, now));
    yo_udp_blocked_note(name("a"), 443, now + YO_UDP_BLOCKED_FOR);
    assert_true(yo_udp_blocked(name("a"), 443, now));
    assert_false(yo_udp_blocked(name("a"), 444, now));
    assert_false(yo_udp_blocked(name("b"), 443, now));
    assert_true(yo_udp_blocked(name("a"), 443, now + YO_UDP_BLOCKED_FOR - 1));
    assert_false(yo_udp_blocked(name("a"), 443, now + YO_UDP_BLOCKED_FOR));
}

static void a_shorter_note_does_not_shorten_a_longer_one(void **state)
{
    (void)state;
    yo_udp_blocked_note(name("c"), 1, 500 * YO_SECOND);
    yo_udp_blocked_note(name("c"), 1, 100 * YO_SECOND);
    assert_true(yo_udp_blocked(name("c"), 1, 400 * YO_SECOND));
}

static void getting_through_clears_it(void **state)
{
    (void)state;
    yo_udp_blocked_note(name("d"), 1, 500 * YO_SECOND);
    yo_udp_blocked_clear(name("d"), 1);
    assert_false(yo_udp_blocked(name("d"), 1, 0));
    yo_udp_blocked_clear(name("never seen"), 1);
}

static void a_full_table_forgets_the_oldest(void **state)
{
    (void)state;
    char host[16];
    for (int i = 0; i < YO_UDP_BLOCKED_MAX + 1; i++) {
        snprintf(host, sizeof(host), "full-%d", i);
        yo_udp_blocked_note(name(host), 1, (yo_time)(5000 + i) * YO_SECOND);
    }
    assert_false(yo_udp_blocked(name("full-0"), 1, 0));
    assert_true(yo_udp_blocked(name("full-1"), 1, 0));
    assert_true(yo_udp_blocked(name(host), 1, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_is_remembered_for_some_minutes),
        cmocka_unit_test(a_shorter_note_does_not_shorten_a_longer_one),
        cmocka_unit_test(getting_through_clears_it),
        cmocka_unit_test(a_full_table_forgets_the_oldest),
    };
    return cmocka_run_group_tests_name("client/udp_blocked", tests, NULL, NULL);
}
