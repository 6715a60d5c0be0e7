/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <yomo/error.h>

#include "loop/network.h"
#include "support/bytes.h"

static struct yo_ip ip_of(const char *text)
{
    struct yo_ip ip;

    assert_int_equal(yo_ip_parse(&ip, yo_span_of(text), false), YOMO_OK);
    return ip;
}

static const char *printed(const char *text)
{
    static char out[YO_IP_TEXT_SIZE];
    struct yo_ip ip;

    if (yo_ip_parse(&ip, yo_span_of(text), true) != YOMO_OK) {
        return "none";
    }
    yo_ip_print(&ip, out);
    return out;
}

static bool has(const char *network, const char *ip)
{
    struct yo_network parsed;
    struct yo_ip address = ip_of(ip);

    assert_int_equal(yo_network_parse(&parsed, yo_span_of(network)), YOMO_OK);
    return yo_network_has(&parsed, &address);
}

/* Who is a peer behind 192.0.2.0/24 and 2001:db8::/32? "+": an earlier line counts. */
static const char *from(const char *peer, const char *line)
{
    static char out[YO_IP_TEXT_SIZE + 1];
    struct yo_network items[2];
    struct yo_networks trusted = {items, 2};
    struct yo_ip ip = ip_of(peer);
    bool more;

    assert_int_equal(yo_network_parse(&items[0], yo_span_of("192.0.2.0/24")), YOMO_OK);
    assert_int_equal(yo_network_parse(&items[1], yo_span_of("2001:db8::/32")), YOMO_OK);
    more = yo_forwarded_follow(&trusted, bytes_copy(yo_span_of(line)), &ip);
    yo_ip_print(&ip, out);
    if (more) {
        strcat(out, "+");
    }
    return out;
}

static void addresses_are_read_in_every_spelling(void **unused)
{
    (void)unused;
    assert_string_equal(printed("192.0.2.1"), "192.0.2.1");
    assert_string_equal(printed("192.0.2.1:443"), "192.0.2.1");
    assert_string_equal(printed("2001:DB8:0::1"), "[2001:db8::1]");
    assert_string_equal(printed("[2001:db8::1]"), "[2001:db8::1]");
    assert_string_equal(printed("[2001:db8::1]:65535"), "[2001:db8::1]");
    assert_string_equal(printed("::ffff:192.0.2.1"), "192.0.2.1");
    assert_string_equal(printed("::1"), "[::1]");
}

static void what_is_no_address_is_refused(void **unused)
{
    static const char *const bad[] = {
        "",           " ",           "unknown",     "_hidden",        "192.0.2",
        "192.0.2.01", "192.0.2.256", "192.0.2.1:",  "192.0.2.1:65536", "192.0.2.1:x",
        "[",          "[]",          "[::1",        "[::1]x",         "[192.0.2.1]",
        "::1%eth0",   "[::1]:",      "1.2.3.4,::1", "192.0.2.1 ",     "-1.2.3.4",
        "2001:db8::1:2:3:4:5:6:7:8", "192.0.2.1/24"};
    struct yo_ip ip = ip_of("::1"), before = ip;

    (void)unused;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct yo_span text = bytes_copy(yo_span_of(bad[i]));
        assert_int_equal(yo_ip_parse(&ip, text, true), YOMO_ERR_INVALID);
    }
    assert_int_equal(yo_ip_parse(&ip, YO_SPAN_NONE, true), YOMO_ERR_INVALID);
    assert_int_equal(yo_ip_parse(&ip, yo_span("::1\0", 4), true), YOMO_ERR_INVALID);
    assert_int_equal(yo_ip_parse(&ip, yo_span_of("192.0.2.1:1"), false),
                     YOMO_ERR_INVALID);
    assert_memory_equal(&ip, &before, sizeof(ip));
}

static void a_network_is_its_first_bits(void **unused)
{
    (void)unused;
    assert_true(has("192.0.2.0/24", "192.0.2.255"));
    assert_false(has("192.0.2.0/24", "192.0.3.0"));
    assert_true(has("192.0.2.128/25", "192.0.2.129"));
    assert_false(has("192.0.2.128/25", "192.0.2.127"));
    assert_true(has("192.0.2.7", "192.0.2.7"));
    assert_false(has("192.0.2.7", "192.0.2.6"));
    assert_true(has("10.9.8.7/8", "10.0.0.1")); /* what stands behind does not count */
    assert_true(has("2001:db8::/32", "2001:db8:ffff::1"));
    assert_false(has("2001:db8::/32", "2001:db9::1"));
    assert_true(has("[2001:db8::1]", "2001:db8::1"));
    assert_true(has("::1/128", "::1"));
}

static void the_families_are_two(void **unused)
{
    (void)unused;
    assert_true(has("0.0.0.0/0", "203.0.113.9"));
    assert_false(has("0.0.0.0/0", "2001:db8::1"));
    assert_true(has("::/0", "2001:db8::1"));
    assert_false(has("::/0", "203.0.113.9"));
    assert_true(has("::ffff:192.0.2.0/120", "192.0.2.9"));
    assert_true(has("192.0.2.0/24", "::ffff:192.0.2.9"));
}

static void what_is_no_network_is_refused(void **unused)
{
    static const char *const bad[] = {"",          "/8",        "192.0.2.0/",
                                      "10.0.0.0/33", "::/129",  "10.0.0.0/-1",
                                      "10.0.0.0/8/8", "10/8",   "example.com",
                                      "10.0.0.1:80", "::/ 8",   "10.0.0.0/8 "};
    struct yo_network network;

    (void)unused;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct yo_span text = bytes_copy(yo_span_of(bad[i]));
        assert_int_equal(yo_network_parse(&network, text), YOMO_ERR_INVALID);
    }
    assert_int_equal(yo_network_parse(&network, YO_SPAN_NONE), YOMO_ERR_INVALID);
}

static void the_last_that_is_no_proxy_is_the_client(void **unused)
{
    (void)unused;
    assert_string_equal(from("192.0.2.1", "203.0.113.7"), "203.0.113.7");
    assert_string_equal(from("192.0.2.1", "203.0.113.7:4711"), "203.0.113.7");
    assert_string_equal(from("192.0.2.1", "10.6.6.6, 203.0.113.7"), "203.0.113.7");
    assert_string_equal(from("192.0.2.1", "203.0.113.7,192.0.2.9 , 2001:db8::5"),
                        "203.0.113.7");
    assert_string_equal(from("2001:db8::1", "\t[2001:db9::1]:80 "), "[2001:db9::1]");
}

static void who_is_not_trusted_has_no_say(void **unused)
{
    (void)unused;
    assert_string_equal(from("203.0.113.7", "10.0.0.1"), "203.0.113.7");
    assert_string_equal(from("203.0.113.7", "192.0.2.1"), "203.0.113.7");
}

static void where_nothing_is_told_the_last_proxy_stands(void **unused)
{
    (void)unused;
    assert_string_equal(from("192.0.2.1", ""), "192.0.2.1+");
    assert_string_equal(from("192.0.2.1", " , ,"), "192.0.2.1+");
    assert_string_equal(from("192.0.2.1", "192.0.2.2"), "192.0.2.2+");
    assert_string_equal(from("192.0.2.1", "203.0.113.7, unknown"), "192.0.2.1");
    assert_string_equal(from("192.0.2.1", "203.0.113.7, x, 192.0.2.2"), "192.0.2.2");
    assert_string_equal(from("192.0.2.1", "203.0.113.7 10.0.0.1"), "192.0.2.1");
}

static void try_all(struct yo_span text, void *user)
{
    struct yo_network item;
    struct yo_networks trusted = {&item, 1};
    struct yo_ip ip = ip_of("192.0.2.1");

    (void)user;
    if (yo_network_parse(&item, text) != YOMO_OK) {
        (void)yo_network_parse(&item, yo_span_of("0.0.0.0/0"));
    }
    (void)yo_forwarded_follow(&trusted, text, &ip);
}

static void every_cut_and_flip_is_survived(void **unused)
{
    struct yo_span lines = yo_span_of("203.0.113.7, [2001:db8::1]:443 ,10.0.0.0/8");

    (void)unused;
    bytes_each_cut(lines, try_all, NULL);
    bytes_each_flip(lines, try_all, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_in_every_spelling),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(a_network_is_its_first_bits),
        cmocka_unit_test(the_families_are_two),
        cmocka_unit_test(what_is_no_network_is_refused),
        cmocka_unit_test(the_last_that_is_no_proxy_is_the_client),
        cmocka_unit_test(who_is_not_trusted_has_no_say),
        cmocka_unit_test(where_nothing_is_told_the_last_proxy_stands),
        cmocka_unit_test(every_cut_and_flip_is_survived),
    };

    return cmocka_run_group_tests_name("loop/network", tests, NULL, NULL);
}
