/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <stdlib.h>
#include <yomo/client.h>
#include <yomo/error.h>

#include "client/settings.h"
#include "support/fault.h"

static int init(struct yo_settings *settings, const char *const *pairs)
{
    yomo_options *options;
    assert_int_equal(yomo_options_create(&options, YOMO_SCOPE_CLIENT), YOMO_OK);
    for (size_t i = 0; pairs[i]; i += 2) {
        assert_int_equal(yomo_options_set(options, pairs[i], pairs[i + 1]), YOMO_OK);
    }
    int rv = yo_settings_init(settings, &yo_mem_libc, options);
    yomo_options_free(options);
    return rv;
}

static void the_defaults_are_those_of_the_table(void **state)
{
    static const char *const pairs[] = {"url", "https://h", NULL};
    struct yo_settings settings;
    (void)state;
    assert_int_equal(init(&settings, pairs), YOMO_OK);
    assert_int_equal(settings.message_size_max, 65536);
    assert_int_equal(settings.queue_size, 1 << 20);
    assert_int_equal(settings.race_delay_ms, 250);
    assert_int_equal(settings.reconnect_min_ms, 250);
    assert_int_equal(settings.reconnect_max_ms, 30000);
    assert_int_equal(settings.reconnect_attempts, 0);
    assert_int_equal(settings.keep_alive_ms, 5000);
    assert_int_equal(settings.silence_ms, 15000);
    assert_int_equal(settings.linger_ms, 1000);
    assert_null(settings.token);
    assert_null(settings.proxy);
    yo_settings_finish(&settings);
}

static void a_url_may_name_the_id(void **state)
{
    static const char *const pairs[] = {"url", "https://h/v1?id=a%20b", NULL};
    static const char *const both[] = {"url", "https://h/v1?id=a", "id", "b", NULL};
    static const char *const nul[] = {"url", "https://h/v1?id=a%00b", NULL};
    static const char *const broken[] = {"url", "https://h/v1?id=a%2", NULL};
    struct yo_settings settings;
    (void)state;
    assert_int_equal(init(&settings, pairs), YOMO_OK);
    assert_string_equal(settings.id, "a b");
    assert_string_equal(settings.target.path, "/v1?yomo=1&id=a%20b");
    yo_settings_finish(&settings);
    assert_int_equal(init(&settings, both), YOMO_OK);
    assert_string_equal(settings.id, "b");
    yo_settings_finish(&settings);
    assert_int_equal(init(&settings, nul), YOMO_ERR_URL);
    assert_int_equal(init(&settings, broken), YOMO_ERR_URL);
}

static void an_id_must_be_one(void **state)
{
    char id[300];
    const char *pairs[] = {"url", "https://h", "id", id, NULL};
    struct yo_settings settings;
    (void)state;
    memset(id, 'x', sizeof(id));
    id[256] = '\0';
    assert_int_equal(init(&settings, pairs), YOMO_ERR_OPTION);
    id[255] = '\0';
    assert_int_equal(init(&settings, pairs), YOMO_OK);
    yo_settings_finish(&settings);
}

static char *proxy_for(const char *url, const char *option)
{
    const char *pairs[] = {"url", url, option ? "proxy" : NULL, option, NULL};
    struct yo_settings settings;
    assert_int_equal(init(&settings, pairs), YOMO_OK);
    char *proxy = settings.proxy ? strdup(settings.proxy) : NULL;
    yo_settings_finish(&settings);
    return proxy;
}

static void check_proxy(const char *url, const char *option, const char *expected)
{
    char *proxy = proxy_for(url, option);
    if (expected) {
        assert_string_equal(proxy, expected);
    } else {
        assert_null(proxy);
    }
    free(proxy);
}

static void a_proxy_comes_from_the_option_or_the_environment(void **state)
{
    (void)state;
    setenv("https_proxy", "http://p:3128", 1);
    unsetenv("no_proxy");
    unsetenv("NO_PROXY");
    check_proxy("https://example.com", NULL, "http://p:3128");
    check_proxy("https://example.com", "http://q:1", "http://q:1");
    check_proxy("https://example.com", "none", NULL);
    check_proxy("https://localhost", NULL, NULL);
    check_proxy("https://127.0.0.1", "http://q:1", "http://q:1");
    check_proxy("ws://example.com", NULL, NULL);
    setenv("no_proxy", "example.com", 1);
    check_proxy("https://a.example.com", NULL, NULL);
    unsetenv("https_proxy");
    unsetenv("no_proxy");
    setenv("HTTPS_PROXY", "http://r:1", 1);
    check_proxy("https://example.com", NULL, "http://r:1");
    unsetenv("HTTPS_PROXY");
}

static void a_server_may_send_it_to_a_url_of_the_same_scheme_only(void **state)
{
    static const char *const pairs[] = {"url", "https://h", "transport", "websocket",
                                        "id",  "me",        NULL};
    struct yo_settings settings;
    struct yo_target target;
    (void)state;
    assert_int_equal(init(&settings, pairs), YOMO_OK);
    assert_int_equal(
        yo_settings_retarget(&settings, &target, yo_span_of("HTTPS://other/x")),
        YOMO_OK);
    assert_string_equal(target.host, "other");
    assert_string_equal(target.path, "/x?yomo=1&id=me");
    assert_false(target.webtransport);
    yo_target_finish(&target);
    assert_int_equal(
        yo_settings_retarget(&settings, &target, yo_span_of("http://other")),
        YOMO_ERR_URL);
    assert_null(target.mem);
    assert_int_equal(
        yo_settings_retarget(&settings, &target, yo_span_of("wss://other")),
        YOMO_ERR_URL);
    assert_int_equal(yo_settings_retarget(&settings, &target, yo_span_of("what")),
                     YOMO_ERR_URL);
    yo_settings_finish(&settings);
}

static int create(yomo_client **client, int32_t scope, const char *const *pairs)
{
    yomo_options *options;
    assert_int_equal(yomo_options_create(&options, scope), YOMO_OK);
    for (size_t i = 0; pairs[i]; i += 2) {
        assert_int_equal(yomo_options_set(options, pairs[i], pairs[i + 1]), YOMO_OK);
    }
    int rv = yomo_client_create(client, options, NULL, NULL);
    yomo_options_free(options);
    return rv;
}

static void what_create_refuses(void **state)
{
    static const char *const nothing[] = {NULL};
    static const char *const bad[] = {"url", "nonsense", NULL};
    static const char *const unknown[] = {"url", "carrier-pigeon://h", NULL};
    static const char *const contrary[] = {"url", "wss://h", "transport",
                                           "webtransport", NULL};
    static const char *const file[] = {"url", "https://h", "ca", "/nonexistent/ca.pem",
                                       NULL};
    yomo_client *client;
    (void)state;
    assert_int_equal(create(&client, YOMO_SCOPE_CLIENT, nothing), YOMO_ERR_OPTION);
    assert_int_equal(create(&client, YOMO_SCOPE_SERVER, nothing), YOMO_ERR_OPTION);
    assert_int_equal(create(&client, YOMO_SCOPE_CLIENT, bad), YOMO_ERR_URL);
    assert_int_equal(create(&client, YOMO_SCOPE_CLIENT, unknown), YOMO_ERR_URL);
    assert_int_equal(create(&client, YOMO_SCOPE_CLIENT, contrary), YOMO_ERR_OPTION);
    assert_int_equal(create(&client, YOMO_SCOPE_CLIENT, file), YOMO_ERR_FILE);
    assert_int_equal(yomo_client_create(NULL, NULL, NULL, NULL), YOMO_ERR_INVALID);
    assert_int_equal(yomo_client_connect(NULL), YOMO_ERR_INVALID);
    assert_string_equal(yomo_client_id(NULL), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_defaults_are_those_of_the_table),
        cmocka_unit_test(a_url_may_name_the_id),
        cmocka_unit_test(an_id_must_be_one),
        cmocka_unit_test(a_proxy_comes_from_the_option_or_the_environment),
        cmocka_unit_test(a_server_may_send_it_to_a_url_of_the_same_scheme_only),
        cmocka_unit_test(what_create_refuses),
    };
    return cmocka_run_group_tests_name("client/settings", tests, NULL, NULL);
}
