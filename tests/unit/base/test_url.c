/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/url.h"
#include "support/bytes.h"

static struct yo_url parsed(const char *text)
{
    struct yo_url url;

    if (yo_url_parse(&url, bytes_copy(yo_span_of(text))) != YOMO_OK) {
        fail_msg("%s was refused", text);
    }
    return url;
}

static void check_refused(const char *text)
{
    struct yo_url url = {.port = 77};

    if (yo_url_parse(&url, bytes_copy(yo_span_of(text))) != YOMO_ERR_URL) {
        fail_msg("%s was accepted", text);
    }
    assert_int_equal(url.port, 77);
}

static void a_whole_url_comes_apart(void **state)
{
    struct yo_url url = parsed("https://rt.example.com:8443/v1?publickey=k&id=a%20b");

    (void)state;
    assert_text(url.scheme, "https");
    assert_text(url.host, "rt.example.com");
    assert_int_equal(url.port, 8443);
    assert_text(url.path, "/v1");
    assert_text(url.query, "publickey=k&id=a%20b");
}

static void what_is_not_there_is_absent(void **state)
{
    struct yo_url url = parsed("wss://host");

    (void)state;
    assert_int_equal(url.port, 0);
    assert_null(url.path.data);
    assert_null(url.query.data);
    url = parsed("https://host/");
    assert_text(url.path, "/");
    assert_null(url.query.data);
    url = parsed("https://host?");
    assert_null(url.path.data);
    assert_non_null(url.query.data);
    assert_int_equal(url.query.size, 0);
    url = parsed("https://host?a=/b?c");
    assert_text(url.query, "a=/b?c");
    url = parsed("https://host:/x");
    assert_int_equal(url.port, 0);
}

static void an_ipv6_literal_loses_its_brackets(void **state)
{
    struct yo_url url = parsed("https://[2001:db8::1]:443/v1");

    (void)state;
    assert_text(url.host, "2001:db8::1");
    assert_int_equal(url.port, 443);
    url = parsed("https://[::1]");
    assert_text(url.host, "::1");
    assert_int_equal(url.port, 0);
}

static void what_is_no_url_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "https",
        "https:",
        "https:/host",
        "https:host",
        "//host",
        "://host",
        "1ttps://host",
        "ht tps://host",
        "https://",
        "https:///v1",
        "https://?x",
        "https://:443",
        "https://host:0",
        "https://host:65536",
        "https://host:99999999999999999999",
        "https://host:-1",
        "https://host: 443",
        "https://host:44a",
        "https://user@host",
        "https://user:pass@host",
        "https://host/#fragment",
        "https://host#fragment",
        "https://host/a b",
        "https://ho st/",
        "https://host/\x01",
        "https://host/\x7f",
        "https://host\r\n",
        "https://host/x\r\nHost: evil",
        "https://h\xc3\xb6st/",
        "https://host/\xc3\xb6",
        "https://host\\evil/",
        "https://[::1",
        "https://[]",
        "https://[::1]x",
        "https://[::g]",
        "https://[host]",
        "https://::1",
        "https://[fe80::1%25eth0]",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        check_refused(texts[i]);
    }
    assert_int_equal(yo_url_parse(&(struct yo_url){.port = 0},
                                  bytes_copy(yo_span("https://h/\0x", 12))),
                     YOMO_ERR_URL);
}

static void parse_any(struct yo_span text, void *user)
{
    struct yo_url url;

    (void)user;
    (void)yo_url_parse(&url, text);
}

static void every_cut_and_flip_is_survived(void **state)
{
    struct yo_span text = yo_span_of("https://[2001:db8::1]:8443/v1?a=b&c=d%20e");

    (void)state;
    bytes_each_cut(text, parse_any, NULL);
    bytes_each_flip(text, parse_any, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_url_comes_apart),
        cmocka_unit_test(what_is_not_there_is_absent),
        cmocka_unit_test(an_ipv6_literal_loses_its_brackets),
        cmocka_unit_test(what_is_no_url_is_refused),
        cmocka_unit_test(every_cut_and_flip_is_survived),
    };

    return cmocka_run_group_tests_name("base/url", tests, NULL, NULL);
}
