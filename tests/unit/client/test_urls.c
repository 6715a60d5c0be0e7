/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <yomo/error.h>

#include "client/urls.h"
#include "support/fault.h"

static int init(struct yo_target *target, const char *url,
                enum yo_transport_choice choice)
{
    const struct yo_credentials who = {.id = yo_span_of("a b")};
    return yo_target_init(target, &yo_mem_libc, yo_span_of(url), choice, &who);
}

static void check(const char *url, bool webtransport, bool websocket, bool secure,
                  const char *host, uint16_t port, const char *path)
{
    struct yo_target target;
    assert_int_equal(init(&target, url, YO_CHOOSE_AUTO), YOMO_OK);
    assert_int_equal(target.webtransport, webtransport);
    assert_int_equal(target.websocket, websocket);
    assert_int_equal(target.secure, secure);
    assert_string_equal(target.host, host);
    assert_int_equal(target.port, port);
    assert_string_equal(target.path, path);
    yo_target_finish(&target);
}

static void the_scheme_chooses_the_transports(void **state)
{
    (void)state;
    check("https://h", true, true, true, "h", 443, "/v1?yomo=1&id=a%20b");
    check("HTTPS://h:8443", true, true, true, "h", 8443, "/v1?yomo=1&id=a%20b");
    check("wss://h/v1", false, true, true, "h", 443, "/v1?yomo=1&id=a%20b");
    check("http://h", false, true, false, "h", 80, "/v1?yomo=1&id=a%20b");
    check("ws://[::1]:8080/", false, true, false, "::1", 8080, "/v1?yomo=1&id=a%20b");
}

static void the_path_and_the_query_of_the_url_stay(void **state)
{
    (void)state;
    check("https://h/a/b?x=1&y=%41", true, true, true, "h", 443,
          "/a/b?x=1&y=%41&yomo=1&id=a%20b");
    check("https://h/v1?&&x&", true, true, true, "h", 443, "/v1?x&yomo=1&id=a%20b");
}

static void what_is_written_anew_is_taken_out_of_the_query(void **state)
{
    (void)state;
    check("https://h/v1?id=other&yomo=0&identity=1&publickey=k", true, true, true, "h",
          443, "/v1?identity=1&publickey=k&yomo=1&id=a%20b");
}

static void credentials_are_percent_encoded(void **state)
{
    (void)state;
    struct yo_target target;
    const struct yo_credentials who = {.id = yo_span_of("\xc3\xa4+&="),
                                       .public_key = yo_span_of("k/1"),
                                       .token = yo_span_of("a.b-c_d")};
    assert_int_equal(yo_target_init(&target, &yo_mem_libc,
                                    yo_span_of("https://h/v1?token=old&publickey=old"),
                                    YO_CHOOSE_AUTO, &who),
                     YOMO_OK);
    assert_string_equal(target.path,
                        "/v1?yomo=1&id=%C3%A4%2B%26%3D&publickey=k%2F1&token=a.b-c_d");
    yo_target_finish(&target);
}

static void a_choice_narrows_or_is_refused(void **state)
{
    (void)state;
    struct yo_target target;
    assert_int_equal(init(&target, "https://h", YO_CHOOSE_WEBSOCKET), YOMO_OK);
    assert_false(target.webtransport);
    assert_true(target.websocket);
    yo_target_finish(&target);
    assert_int_equal(init(&target, "https://h", YO_CHOOSE_WEBTRANSPORT), YOMO_OK);
    assert_true(target.webtransport);
    assert_false(target.websocket);
    yo_target_finish(&target);
    assert_int_equal(init(&target, "wss://h", YO_CHOOSE_WEBTRANSPORT), YOMO_ERR_OPTION);
    assert_null(target.mem);
    assert_int_equal(init(&target, "ws://h", YO_CHOOSE_WEBTRANSPORT), YOMO_ERR_OPTION);
}

static void another_scheme_names_a_transport_inside_the_process(void **state)
{
    (void)state;
    struct yo_target target;
    assert_int_equal(init(&target, "Pipe://one/two?x=1", YO_CHOOSE_AUTO), YOMO_OK);
    assert_true(target.other);
    assert_false(target.webtransport || target.websocket || target.secure);
    assert_string_equal(target.scheme, "pipe");
    assert_string_equal(target.host, "one");
    assert_string_equal(target.url, "pipe://one/two?x=1&yomo=1&id=a%20b");
    yo_target_finish(&target);
}

static void what_is_no_url_is_refused(void **state)
{
    (void)state;
    static const char *const urls[] = {"",
                                       "h",
                                       "/v1",
                                       "https://",
                                       "https://h:99999",
                                       "https://h/ x",
                                       "https://u@h/",
                                       "https://h/#f"};
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        struct yo_target target;
        assert_int_equal(init(&target, urls[i], YO_CHOOSE_AUTO), YOMO_ERR_URL);
        assert_null(target.mem);
    }
}

static void loopback_is_known_by_name(void **state)
{
    (void)state;
    assert_true(yo_host_loopback("localhost"));
    assert_true(yo_host_loopback("a.LocalHost"));
    assert_true(yo_host_loopback("127.0.0.1"));
    assert_true(yo_host_loopback("127.8.9.10"));
    assert_true(yo_host_loopback("::1"));
    assert_false(yo_host_loopback("notlocalhost"));
    assert_false(yo_host_loopback("127.0.0.1.example.com"));
    assert_false(yo_host_loopback("example.com"));
    assert_false(yo_host_loopback(""));
}

static void no_proxy_covers_names_and_what_is_below_them(void **state)
{
    (void)state;
    assert_true(yo_host_listed("a.example.com", yo_span_of("x, example.com")));
    assert_true(yo_host_listed("example.com", yo_span_of(".example.com")));
    assert_true(yo_host_listed("anything", yo_span_of("*")));
    assert_false(yo_host_listed("badexample.com", yo_span_of("example.com")));
    assert_false(yo_host_listed("h", yo_span_of(",,")));
    assert_false(yo_host_listed("h", YO_SPAN_NONE));
}

static void make_one(struct fault *fault, void *user)
{
    struct yo_target target;
    const struct yo_credentials who = {.id = yo_span_of("alice"),
                                       .token = yo_span_of("secret")};
    (void)user;
    int rv = yo_target_init(&target, &fault->mem, yo_span_of("https://h/v1?x=1"),
                            YO_CHOOSE_AUTO, &who);
    if (rv != YOMO_OK) {
        assert_int_equal(rv, YOMO_ERR_NOMEM);
        assert_true(fault->failed);
        return;
    }
    yo_target_finish(&target);
}

static void memory_that_runs_out_is_an_error(void **state)
{
    (void)state;
    fault_each(make_one, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_scheme_chooses_the_transports),
        cmocka_unit_test(the_path_and_the_query_of_the_url_stay),
        cmocka_unit_test(what_is_written_anew_is_taken_out_of_the_query),
        cmocka_unit_test(credentials_are_percent_encoded),
        cmocka_unit_test(a_choice_narrows_or_is_refused),
        cmocka_unit_test(another_scheme_names_a_transport_inside_the_process),
        cmocka_unit_test(what_is_no_url_is_refused),
        cmocka_unit_test(loopback_is_known_by_name),
        cmocka_unit_test(no_proxy_covers_names_and_what_is_below_them),
        cmocka_unit_test(memory_that_runs_out_is_an_error),
    };
    return cmocka_run_group_tests_name("client/urls", tests, NULL, NULL);
}
