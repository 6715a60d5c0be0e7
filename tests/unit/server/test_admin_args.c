/* SPDX-License-Identifier: MIT */
/* test_admin_args.c - what an operator says, read from JSON and from a query. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <yomo/error.h>

#include "base/mem.h"
#include "server/admin_args.h"
#include "support/fault.h"

#define ALL ((1u << YO_ARGS) - 1)

static const char whole[] =
    "{\"app\":\"a\",\"room\":\"r\\u00e9\",\"id\":\"m\",\"session\":"
    "\"18446744073709551615\","
    "\"address\":\"::1\",\"reason\":\"\",\"seconds\":60,\"from\":\"f\",\"event\":\"e\","
    "\"data\":{\"x\":[1e300]},\"delivery\":\"latest\"}";

static void an_object_is_read(void **unused)
{
    struct yo_admin_args args;

    (void)unused;
    yo_admin_args_init(&args, &yo_mem_libc);
    assert_int_equal(yo_admin_args_json(&args, yo_span_of(whole), ALL, 0), YOMO_OK);
    assert_string_equal(args.texts[YO_ARG_APP], "a");
    assert_string_equal(args.texts[YO_ARG_ROOM], "r\xc3\xa9");
    assert_string_equal(args.texts[YO_ARG_REASON], "");
    assert_string_equal(args.texts[YO_ARG_DELIVERY], "latest");
    assert_true(args.numbers[YO_ARG_SESSION] == UINT64_MAX);
    assert_int_equal(args.numbers[YO_ARG_SECONDS], 60);
    assert_true(yo_span_is(args.data, "{\"x\":[1e+300]}") ||
                yo_span_is(args.data, "{\"x\":[1e300]}"));
    assert_null(args.texts[YO_ARG_PREFIX]);
    /* A name that was given counts, one that was not is the token's. */
    assert_int_equal(yo_admin_args_default_app(&args, yo_span_of("b")), YOMO_OK);
    assert_string_equal(args.texts[YO_ARG_APP], "a");
    yo_admin_args_finish(&args);
}

static void a_query_is_read(void **unused)
{
    struct yo_admin_args args;

    (void)unused;
    yo_admin_args_init(&args, &yo_mem_libc);
    assert_int_equal(yo_admin_args_query(&args,
                                         yo_span_of("room=a%2Fb+c&&max=7&prefix="), ALL,
                                         YO_ARG_BIT(YO_ARG_ROOM)),
                     YOMO_OK);
    assert_string_equal(args.texts[YO_ARG_ROOM], "a/b+c");
    assert_string_equal(args.texts[YO_ARG_PREFIX], "");
    assert_int_equal(args.numbers[YO_ARG_MAX], 7);
    assert_int_equal(yo_admin_args_default_app(&args, yo_span_of("b")), YOMO_OK);
    assert_string_equal(args.texts[YO_ARG_APP], "b");
    assert_string_equal(args.texts[YO_ARG_ROOM], "a/b+c");
    yo_admin_args_finish(&args);
}

static void nothing_is_passed_over(void **unused)
{
    static const struct {
        bool json;
        const char *text, *why;
    } cases[] = {
        {true, "", "JSON"},
        {true, "[]", "object"},
        {true, "{\"room\":1}", "room: "},
        {true, "{\"room\":null}", "room: "},
        {true, "{\"room\":\"a\\u0000b\"}", "room: "},
        {true, "{\"room\":\"a\",\"room\":\"a\"}", "twice"},
        {true, "{\"rooom\":\"a\"}", "does not take"},
        {true, "{\"id\":\"a\"}", "id: is not for this"},
        {true, "{\"room\":\"a\",\"seconds\":-1}", "seconds: "},
        {true, "{\"room\":\"a\",\"seconds\":1.5}", "seconds: "},
        {true, "{\"room\":\"a\",\"seconds\":\"1\"}", "seconds: "},
        {true, "{\"room\":\"a\",\"session\":\"-1\"}", "session: "},
        {true, "{\"room\":\"a\",\"session\":true}", "session: "},
        {true, "{\"room\":\"a\",\"base64\":\"*\"}", "base64: "},
        {true, "{\"room\":\"a\",\"base64\":1}", "base64: "},
        {true, "{\"room\":\"a\",\"base64\":\"\",\"data\":1}", "data: "},
        {true, "{\"seconds\":1}", "room: is missing"},
        {false, "room=%zz", "room: "},
        {false, "room=%ff", "room: "},
        {false, "room=%00", "room: "},
        {false, "room=a&room=b", "twice"},
        {false, "room=a&x", "does not take"},
        {false, "room=a&seconds=", "seconds: "},
        {false, "room=a&seconds=18446744073709551616", "seconds: "},
        {false, "", "room: is missing"},
    };

    (void)unused;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const unsigned takes = ALL & ~YO_ARG_BIT(YO_ARG_ID);
        const unsigned needs = YO_ARG_BIT(YO_ARG_ROOM);
        struct yo_admin_args args;
        int rv;
        yo_admin_args_init(&args, &yo_mem_libc);
        rv = cases[i].json
                 ? yo_admin_args_json(&args, yo_span_of(cases[i].text), takes, needs)
                 : yo_admin_args_query(&args, yo_span_of(cases[i].text), takes, needs);
        assert_true(rv == YOMO_ERR_INVALID || rv == YOMO_ERR_JSON);
        if (!strstr(args.why, cases[i].why)) {
            fail_msg("%s: %s", cases[i].text, args.why);
        }
        yo_admin_args_finish(&args);
    }
}

static void read_both(struct fault *fault, void *unused)
{
    struct yo_admin_args args;
    int rv;

    (void)unused;
    yo_admin_args_init(&args, &fault->mem);
    rv = yo_admin_args_json(&args, yo_span_of(whole), ALL, 0);
    assert_true(rv == YOMO_OK || rv == YOMO_ERR_NOMEM);
    yo_admin_args_finish(&args);
    yo_admin_args_init(&args, &fault->mem);
    rv = yo_admin_args_query(&args, yo_span_of("room=a%2Fb&max=7"), ALL, 0);
    assert_true(rv == YOMO_OK || rv == YOMO_ERR_NOMEM);
    yo_admin_args_finish(&args);
}

static void every_allocation_may_fail(void **unused)
{
    (void)unused;
    assert_true(fault_each(read_both, NULL) > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_object_is_read),
        cmocka_unit_test(a_query_is_read),
        cmocka_unit_test(nothing_is_passed_over),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
