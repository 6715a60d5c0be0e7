/* SPDX-License-Identifier: MIT */
/* test_address.c - which addresses are the public Internet's, in all their spellings.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <yomo/error.h>

#include "server/webhooks/address.h"

static struct yo_ip ip_of(const char *text)
{
    struct yo_ip ip;

    if (yo_ip_parse(&ip, yo_span_of(text), false) != YOMO_OK) {
        fail_msg("%s is not an address", text);
    }
    return ip;
}

static void check(const char *const *list, bool expected)
{
    for (; *list; list++) {
        struct yo_ip ip = ip_of(*list);
        if (yo_ip_public(&ip) != expected) {
            fail_msg("%s", *list);
        }
    }
}

static void public_addresses_are_public(void **unused)
{
    static const char *const list[] = {"1.1.1.1",
                                       "8.8.8.8",
                                       "9.255.255.255",
                                       "11.0.0.0",
                                       "100.63.255.255",
                                       "100.128.0.0",
                                       "126.255.255.255",
                                       "128.0.0.0",
                                       "169.253.255.255",
                                       "169.255.0.0",
                                       "172.15.255.255",
                                       "172.32.0.0",
                                       "191.255.255.255",
                                       "192.0.1.0",
                                       "192.0.3.0",
                                       "192.167.255.255",
                                       "192.169.0.0",
                                       "198.17.255.255",
                                       "198.20.0.0",
                                       "198.51.99.255",
                                       "198.51.101.0",
                                       "203.0.112.255",
                                       "203.0.114.0",
                                       "223.255.255.255",
                                       "2606:4700::1111",
                                       "2a00:1450:4001:800::200e",
                                       "2001:200::1",
                                       "2001:db7::1",
                                       "2001:db9::1",
                                       "2003::1",
                                       "::ffff:8.8.8.8",
                                       "64:ff9b::8.8.8.8",
                                       "3ffe::1",
                                       "2600::5efe:1",
                                       NULL};

    (void)unused;
    check(list, true);
}

static void special_addresses_are_not(void **unused)
{
    static const char *const list[] = {
        "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.0",
        "100.127.255.255", "127.0.0.1", "127.255.255.255", "169.254.169.254",
        "172.16.0.0", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1",
        "192.168.1.1", "198.18.0.0", "198.19.255.255", "198.51.100.7", "203.0.113.9",
        "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
        /* of IPv6 */
        "::", "::1", "fe80::1", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1",
        "100::1", "2001:db8::1", "3fff::1", "5f00::1", "4000::1", "fdff::1",
        /* others in disguise */
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "::127.0.0.1",
        "::ffff:0:127.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::10.1.2.3",
        "64:ff9b::a9fe:a9fe", "64:ff9b:1::8.8.8.8", "2002:7f00:1::1", "2002:808:808::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:10::1", "2001:20::1",
        "2600::5efe:127.0.0.1", "2600::200:5efe:10.0.0.1", NULL};

    (void)unused;
    check(list, false);
}

static void only_what_is_listed_is_listed(void **unused)
{
    static const char *const networks[] = {"127.0.0.0/8", "10.1.0.0/16", "fd00::/8"};
    static const struct {
        const char *ip;
        bool listed;
    } cases[] = {
        {"127.0.0.1", true},
        {"::ffff:127.0.0.1", true},
        {"10.1.255.255", true},
        {"10.2.0.0", false},
        {"fd12::1", true},
        {"fc12::1", false},
        {"64:ff9b::10.1.2.3", true},
        {"64:ff9b::10.2.2.3", false},
        {"::1", false},
        {"8.8.8.8", false},
        {"2002:7f00:1::", false},
        {"::127.0.0.1", false},
    };
    struct yo_network items[3];
    struct yo_networks list = {items, 3};

    (void)unused;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(yo_network_parse(&items[i], yo_span_of(networks[i])), YOMO_OK);
    }
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct yo_ip ip = ip_of(cases[i].ip);
        if (yo_ip_listed(&ip, &list) != cases[i].listed) {
            fail_msg("%s", cases[i].ip);
        }
    }
    assert_false(yo_ip_listed(&items[0].ip, &(struct yo_networks){NULL, 0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(public_addresses_are_public),
        cmocka_unit_test(special_addresses_are_not),
        cmocka_unit_test(only_what_is_listed_is_listed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
