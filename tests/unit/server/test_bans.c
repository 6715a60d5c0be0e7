/* SPDX-License-Identifier: MIT */
/* test_bans.c - the table of bans: who is in it, until when, how many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>
#include <yomo/error.h>

#include "base/mem.h"
#include "server/bans.h"
#include "support/fault.h"

static struct yo_ban user_ban(const char *app, const char *room, const char *user,
                              uint64_t until)
{
    return (struct yo_ban){.who = {.app = yo_span_of(app),
                                   .room = yo_span_of(room),
                                   .user = yo_span_of(user)},
                           .until_ms = until};
}

static struct yo_ban network_ban(const char *app, const char *network, uint64_t until)
{
    struct yo_ban ban = {.who = {.app = yo_span_of(app)}, .until_ms = until};

    assert_int_equal(yo_network_parse(&ban.who.network, yo_span_of(network)), YOMO_OK);
    return ban;
}

static bool have(struct yo_bans *bans, const char *app, const char *room,
                 const char *user, const char *address, uint64_t now)
{
    struct yo_ip ip;

    if (address) {
        assert_int_equal(yo_ip_parse(&ip, yo_span_of(address), true), YOMO_OK);
    }
    return yo_bans_have(bans, yo_span_of(app), yo_span_of(room), yo_span_of(user),
                        address ? &ip : NULL, now);
}

static void a_ban_counts_until_its_time(void **unused)
{
    struct yo_bans *bans;
    struct yo_ban ban = user_ban("app", NULL, "mallory", 1000);

    (void)unused;
    assert_int_equal(yo_bans_create(&bans, &yo_mem_libc, 10), YOMO_OK);
    assert_false(have(bans, "app", NULL, "mallory", NULL, 0));
    assert_int_equal(yo_bans_put(bans, &ban, 0), YOMO_OK);
    assert_true(have(bans, "app", NULL, "mallory", "192.0.2.1:5", 999));
    assert_false(have(bans, "other", NULL, "mallory", NULL, 999));
    assert_false(have(bans, "app", "room", "mallory", NULL, 999));
    assert_false(have(bans, "app", NULL, "mallor", NULL, 999));
    ban.until_ms = 500; /* the later word counts */
    assert_int_equal(yo_bans_put(bans, &ban, 0), YOMO_OK);
    assert_int_equal(yo_bans_count(bans, 499), 1);
    assert_false(have(bans, "app", NULL, "mallory", NULL, 500));
    assert_int_equal(yo_bans_count(bans, 500), 0);
    yo_bans_free(bans);
}

static void names_do_not_run_into_each_other(void **unused)
{
    struct yo_bans *bans;
    struct yo_ban ban = user_ban("a", "bc", "d", 1000);

    (void)unused;
    assert_int_equal(yo_bans_create(&bans, &yo_mem_libc, 10), YOMO_OK);
    assert_int_equal(yo_bans_put(bans, &ban, 0), YOMO_OK);
    assert_true(have(bans, "a", "bc", "d", NULL, 0));
    assert_false(have(bans, "ab", "c", "d", NULL, 0));
    assert_false(have(bans, "a", "b", "cd", NULL, 0));
    yo_bans_free(bans);
}

static void networks_of_both_families(void **unused)
{
    static const struct {
        const char *network, *inside, *outside;
    } cases[] = {
        {"192.0.2.77", "192.0.2.77:1", "192.0.2.78:1"},
        {"192.0.2.77/24", "192.0.2.1:1", "192.0.3.1:1"},
        {"10.0.0.0/9", "10.127.255.255:1", "10.128.0.0:1"},
        {"0.0.0.0/0", "203.0.113.9:1", "[2001:db8::1]:1"},
        {"2001:db8::/64", "[2001:db8::ffff]:1", "[2001:db8:0:1::1]:1"},
        {"2001:db8::5", "[2001:db8::5]:1", "[2001:db8::6]:1"},
        {"::/0", "[2001:db8::5]:1", "192.0.2.1:1"},
    };

    (void)unused;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct yo_bans *bans;
        struct yo_ban ban = network_ban("app", cases[i].network, 1000);
        assert_int_equal(yo_bans_create(&bans, &yo_mem_libc, 10), YOMO_OK);
        assert_int_equal(yo_bans_put(bans, &ban, 0), YOMO_OK);
        assert_true(have(bans, "app", NULL, "u", cases[i].inside, 0));
        assert_false(have(bans, "app", NULL, "u", cases[i].outside, 0));
        assert_int_equal(yo_bans_remove(bans, &ban.who, 0), YOMO_OK);
        assert_false(have(bans, "app", NULL, "u", cases[i].inside, 0));
        yo_bans_free(bans);
    }
}

static void a_full_table_refuses_and_forgets_what_is_over(void **unused)
{
    struct yo_bans *bans;
    struct yo_ban a = user_ban("app", NULL, "a", 100),
                  b = user_ban("app", NULL, "b", 200);
    struct yo_ban c = user_ban("app", NULL, "c", 300);

    (void)unused;
    assert_int_equal(yo_bans_create(&bans, &yo_mem_libc, 2), YOMO_OK);
    assert_int_equal(yo_bans_put(bans, &a, 0), YOMO_OK);
    assert_int_equal(yo_bans_put(bans, &b, 0), YOMO_OK);
    assert_int_equal(yo_bans_put(bans, &c, 0), YOMO_ERR_FULL);
    assert_int_equal(yo_bans_put(bans, &b, 0), YOMO_OK); /* no new one */
    assert_int_equal(yo_bans_put(bans, &c, 100), YOMO_OK);
    assert_int_equal(yo_bans_count(bans, 100), 2);
    yo_bans_free(bans);
}

static void after_a_failure_the_table_is_as_it_was(struct fault *fault, void *unused)
{
    struct yo_bans *bans;
    struct yo_ban ban = user_ban("app", "room", "a", 1000);
    int rv;

    (void)unused;
    if (yo_bans_create(&bans, &fault->mem, 4) != YOMO_OK) {
        return;
    }
    if (yo_bans_put(bans, &ban, 0) == YOMO_OK) {
        ban.until_ms = 2000;
        rv = yo_bans_put(bans, &ban, 0);
        assert_true(have(bans, "app", "room", "a", NULL, 999));
        assert_int_equal(have(bans, "app", "room", "a", NULL, 1999), rv == YOMO_OK);
    }
    yo_bans_free(bans);
}

static void every_allocation_may_fail(void **unused)
{
    (void)unused;
    assert_true(fault_each(after_a_failure_the_table_is_as_it_was, NULL) > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ban_counts_until_its_time),
        cmocka_unit_test(names_do_not_run_into_each_other),
        cmocka_unit_test(networks_of_both_families),
        cmocka_unit_test(a_full_table_refuses_and_forgets_what_is_over),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
