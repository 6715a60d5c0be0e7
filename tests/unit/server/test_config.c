/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <yomo/error.h>

#include "server/config.h"
#include "support/bytes.h"

static int32_t authenticate(void *user, yomo_auth *auth)
{
    (void)user;
    (void)auth;
    return YOMO_OK;
}

static const yomo_server_callbacks hooks = {.size = sizeof(hooks),
                                            .authenticate = authenticate};

static struct yo_config config;
static struct yo_buf why;

/* Names and values follow, then NULL. The config and `why` are good until the next. */
static int read_config(const yomo_server_callbacks *callbacks, ...)
{
    yomo_options *options;
    const char *name;
    va_list args;
    int rv;

    yo_config_finish(&config);
    yo_buf_finish(&why);
    yo_buf_init(&why, &yo_mem_libc);
    assert_int_equal(yomo_options_create(&options, YOMO_SCOPE_SERVER), YOMO_OK);
    va_start(args, callbacks);
    while ((name = va_arg(args, const char *)) != NULL) {
        const char *value = va_arg(args, const char *);
        if (yomo_options_set(options, name, value) != YOMO_OK) {
            fail_msg("%s", yomo_options_error(options));
        }
    }
    va_end(args);
    assert_int_equal(yo_config_init(&config, options, callbacks, NULL), YOMO_OK);
    yomo_options_free(options);
    rv = yo_config_read(&config, &why);
    assert_true((rv == YOMO_OK) == (why.size == 0)); /* a sentence for each error */
    return rv;
}

static void development_is_loopback_and_nobody_asked(void **unused)
{
    (void)unused;
    assert_int_equal(read_config(NULL, NULL), YOMO_OK);
    assert_true(config.development && config.http && config.echo && config.metrics);
    assert_int_equal(config.bind_count, 2);
    assert_int_equal(config.port, 8443);
    assert_int_equal(config.http_port, 8080);
    assert_int_equal(read_config(NULL, "bind", "127.0.0.1,[::1]", NULL), YOMO_OK);
    assert_true(config.development);
    assert_int_equal(read_config(NULL, "keys", "a=k", NULL), YOMO_OK);
    assert_false(config.development || config.http || config.echo || config.metrics);
    assert_int_equal(read_config(&hooks, NULL), YOMO_OK);
    assert_false(config.development);
    assert_int_equal(read_config(&hooks, "http-port", "9000", NULL), YOMO_OK);
    assert_true(config.http && !config.echo);
    assert_int_equal(read_config(NULL, "http-port", "none", NULL), YOMO_OK);
    assert_false(config.http);
}

static void outside_development_metrics_need_a_token(void **unused)
{
    (void)unused;
    assert_int_equal(read_config(&hooks, "metrics", "on", NULL), YOMO_ERR_OPTION);
    assert_int_equal(read_config(&hooks, "metrics", "on", "metrics-token", "t", NULL),
                     YOMO_OK);
    assert_true(config.metrics);
    assert_int_equal(read_config(&hooks, "metrics-token", "t", NULL), YOMO_OK);
    assert_true(config.metrics);
    assert_int_equal(read_config(&hooks, "metrics", "off", "metrics-token", "t", NULL),
                     YOMO_OK);
    assert_false(config.metrics);
    assert_int_equal(read_config(NULL, "metrics", "off", NULL), YOMO_OK);
    assert_false(config.metrics);
    assert_int_equal(read_config(NULL, "metrics-token", "s e", NULL), YOMO_ERR_OPTION);
    assert_int_equal(read_config(NULL, "metrics-token", "\xc3\xbc", NULL),
                     YOMO_ERR_OPTION);
    assert_int_equal(read_config(NULL, "metrics-token", "", NULL), YOMO_ERR_OPTION);
}

static void where_clients_are_sent_is_a_url(void **unused)
{
    char longest[1100];

    (void)unused;
    assert_int_equal(read_config(NULL, "port", "0", NULL), YOMO_OK);
    assert_null(config.drain_url.data);
    assert_int_equal(read_config(NULL, "drain-url", "https://b.example:9443/v1", NULL),
                     YOMO_OK);
    assert_true(yo_span_is(config.drain_url, "https://b.example:9443/v1"));
    for (const char *const *bad =
             (const char *const[]){"b.example", "https://", "https://b c", "", NULL};
         *bad; bad++) {
        assert_int_equal(read_config(NULL, "drain-url", *bad, NULL), YOMO_ERR_OPTION);
        assert_int_equal(yo_buf_append_byte(&why, 0), YOMO_OK);
        assert_non_null(strstr((const char *)why.data, "drain-url"));
    }
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    memcpy(longest, "https://b/", 10);
    assert_int_equal(read_config(NULL, "drain-url", longest, NULL), YOMO_ERR_OPTION);
}

static void trusted_proxies_are_addresses_or_networks(void **unused)
{
    char many[YO_PROXIES_MAX * 10 + 20] = "10.0.0.1";

    (void)unused;
    assert_int_equal(read_config(NULL, "trusted-proxies",
                                 "127.0.0.1,10.0.0.0/8,2001:db8::/32", NULL),
                     YOMO_OK);
    assert_int_equal(config.proxy_count, 3);
    assert_int_equal(config.proxies[1].bits, 104);
    assert_int_equal(read_config(NULL, "trusted-proxies", "10.0.0.0/8,proxy", NULL),
                     YOMO_ERR_OPTION);
    assert_non_null(strstr((const char *)why.data, "\"proxy\""));
    for (size_t i = 1; i < YO_PROXIES_MAX; i++) {
        strcat(many, ",10.0.0.1");
    }
    assert_int_equal(read_config(NULL, "trusted-proxies", many, NULL), YOMO_OK);
    strcat(many, ",10.0.0.1");
    assert_int_equal(read_config(NULL, "trusted-proxies", many, NULL), YOMO_ERR_OPTION);
}

static void beyond_loopback_somebody_must_be_asked(void **unused)
{
    static const char *const wide[] = {"0.0.0.0", "::", "*", "192.0.2.1",
                                       "localhost,192.0.2.1"};

    (void)unused;
    for (size_t i = 0; i < sizeof(wide) / sizeof(wide[0]); i++) {
        assert_int_equal(read_config(NULL, "bind", wide[i], NULL), YOMO_ERR_OPTION);
        assert_int_equal(
            read_config(NULL, "bind", wide[i], "insecure-open", "yes", NULL), YOMO_OK);
        assert_false(config.development);
        assert_int_equal(read_config(NULL, "bind", wide[i], "keys", "a=k", NULL),
                         YOMO_OK);
        assert_int_equal(read_config(&hooks, "bind", wide[i], NULL), YOMO_OK);
    }
}

static void what_makes_no_sense_is_said(void **unused)
{
    (void)unused;
    assert_int_equal(read_config(NULL, "bind", "example.com", NULL), YOMO_ERR_OPTION);
    assert_non_null(strstr((const char *)why.data, "example.com"));
    assert_int_equal(read_config(NULL, "bind",
                                 "1.1.1.1,1.1.1.2,1.1.1.3,1.1.1.4,1.1.1.5,"
                                 "1.1.1.6,1.1.1.7,1.1.1.8,1.1.1.9",
                                 NULL),
                     YOMO_ERR_OPTION);
    assert_int_equal(read_config(NULL, "tls-cert", "c.pem", NULL), YOMO_ERR_OPTION);
    assert_int_equal(read_config(NULL, "tls-key", "k.pem", NULL), YOMO_ERR_OPTION);
    assert_int_equal(read_config(NULL, "tls-cert", "c.pem", "tls-key", "k.pem", NULL),
                     YOMO_OK);
    assert_true(config.development); /* whatever the certificate */
}

static void a_key_opens_its_application(void **unused)
{
    (void)unused;
    assert_int_equal(read_config(NULL, NULL), YOMO_OK);
    assert_text(yo_config_app(&config, yo_span_of("anything")), "default");
    assert_text(yo_config_app(&config, yo_span_of("")), "default");
    assert_int_equal(read_config(NULL, "keys", "one=k1,two=k2=", NULL), YOMO_OK);
    assert_text(yo_config_app(&config, yo_span_of("k1")), "one");
    assert_text(yo_config_app(&config, yo_span_of("k2=")), "two");
    assert_null(yo_config_app(&config, yo_span_of("k2")).data);
    assert_null(yo_config_app(&config, yo_span_of("")).data);
}

static void numbers_are_shared_out(void **unused)
{
    (void)unused;
    assert_int_equal(read_config(NULL, "workers", "4", "rooms-total-max", "100",
                                 "message-size-max", "4k", "silence-timeout", "1s",
                                 NULL),
                     YOMO_OK);
    assert_int_equal(config.workers, 4);
    assert_int_equal(config.rooms_max, 26);
    assert_int_equal(config.limits.message_size, 4096);
    assert_int_equal(config.limits.silence_ms, 1000);
    assert_int_equal(read_config(NULL, NULL), YOMO_OK);
    assert_true(config.workers >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(development_is_loopback_and_nobody_asked),
        cmocka_unit_test(outside_development_metrics_need_a_token),
        cmocka_unit_test(where_clients_are_sent_is_a_url),
        cmocka_unit_test(trusted_proxies_are_addresses_or_networks),
        cmocka_unit_test(beyond_loopback_somebody_must_be_asked),
        cmocka_unit_test(what_makes_no_sense_is_said),
        cmocka_unit_test(a_key_opens_its_application),
        cmocka_unit_test(numbers_are_shared_out),
    };
    int rv = cmocka_run_group_tests(tests, NULL, NULL);

    yo_config_finish(&config);
    yo_buf_finish(&why);
    return rv;
}
