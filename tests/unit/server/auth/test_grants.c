/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "server/auth/grants.h"
#include "support/bytes.h"
#include "support/fault.h"
#include "wire/json.h"

static int make(struct yo_grants **out, const struct yomo_mem *mem, const char *json)
{
    struct yo_buf claims;
    const char *why;
    int rv;

    yo_buf_init(&claims, mem);
    rv = yo_json_to_mp(&claims, yo_span_of(json));
    if (rv == YOMO_OK) {
        rv = yo_grants_from_claims(out, mem, bytes_copy(yo_buf_span(&claims)), &why);
        if (rv == YOMO_ERR_AUTH) {
            assert_true(why[0] != '\0');
        }
    }
    yo_buf_finish(&claims);
    return rv;
}

static unsigned may(const char *json, const char *room)
{
    struct yo_grants *grants;
    unsigned bits;

    assert_int_equal(make(&grants, &yo_mem_libc, json), YOMO_OK);
    bits = yo_grants_for_room(grants, yo_span_of(room));
    yo_grants_free(grants);
    return bits;
}

static void check_refused(const char *json)
{
    struct yo_grants *grants;
    if (make(&grants, &yo_mem_libc, json) != YOMO_ERR_AUTH) {
        fail_msg("%s was accepted", json);
    }
}

static void patterns_fit(void **state)
{
    static const struct {
        const char *pattern, *text;
        bool fits;
    } cases[] = {
        {"", "", true},
        {"", "a", false},
        {"*", "", true},
        {"*", "anything", true},
        {"a", "a", true},
        {"a", "b", false},
        {"a*", "a", true},
        {"a*", "abc", true},
        {"a*", "ba", false},
        {"*a", "a", true},
        {"*a", "bca", true},
        {"*a", "ab", false},
        {"a*c", "abbc", true},
        {"a*c", "ac", true},
        {"a*c", "acb", false},
        {"a*b*c", "axbxbc", true},
        {"a*b*c", "axc", false},
        {"**", "x", true},
        {"doc-*", "doc-1", true},
        {"doc-*", "Doc-1", false},
        {"a?c", "abc", false},
        {"*ab*ab*", "abab", true},
        {"*ab*ab*", "aba", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (yo_pattern_fits(bytes_copy(yo_span_of(cases[i].pattern)),
                            bytes_copy(yo_span_of(cases[i].text))) != cases[i].fits) {
            fail_msg("\"%s\" and \"%s\"", cases[i].pattern, cases[i].text);
        }
    }
}

static void a_token_that_says_nothing_allows_all_but_admin(void **state)
{
    (void)state;
    assert_int_equal(may("{\"exp\":1}", "any"), YO_MAY_ALL_BUT_ADMIN);
    assert_int_equal(may("{\"exp\":1,\"yomo\":{}}", "any"), YO_MAY_ALL_BUT_ADMIN);
    assert_int_equal(may("{\"exp\":1,\"yomo\":{\"rooms\":{}}}", "any"), 0);
}

static void rights_of_all_patterns_that_fit_count_together(void **state)
{
    static const char json[] =
        "{\"exp\":1,\"yomo\":{\"rooms\":{\"doc-*\":[\"join\",\"presence\"],"
        "\"doc-1\":[\"send\"],\"*\":[],\"lobby\":[\"join\",\"admin\"]}}}";
    (void)state;
    assert_int_equal(may(json, "doc-2"), YO_MAY_JOIN | YO_MAY_PRESENCE);
    assert_int_equal(may(json, "doc-1"), YO_MAY_ALL_BUT_ADMIN);
    assert_int_equal(may(json, "lobby"), YO_MAY_JOIN | YO_MAY_ADMIN);
    assert_int_equal(may(json, "other"), 0);
}

static void what_the_token_says_is_read(void **state)
{
    struct yo_grants *grants;
    (void)state;
    assert_int_equal(make(&grants, &yo_mem_libc,
                          "{\"sub\":\"alice\",\"exp\":1790000000.75,"
                          "\"yomo\":{\"app\":\"canvas\",\"data\":{\"role\":\"e\"}}}"),
                     YOMO_OK);
    assert_true(yo_span_is(yo_grants_id(grants), "alice"));
    assert_true(yo_span_is(yo_grants_app(grants), "canvas"));
    assert_int_equal(yo_grants_expiry_s(grants), 1790000000);
    assert_hex(yo_grants_data(grants), "81a4726f6c65a165");
    yo_grants_free(grants);

    assert_int_equal(make(&grants, &yo_mem_libc, "{\"exp\":5}"), YOMO_OK);
    assert_null(yo_grants_id(grants).data);
    assert_null(yo_grants_app(grants).data);
    assert_null(yo_grants_data(grants).data);
    yo_grants_free(grants);
}

/* A claim that we do not understand must not read as if it were not there. */
static void claims_of_the_wrong_form_are_refused(void **state)
{
    (void)state;
    check_refused("{\"exp\":1,\"sub\":\"\"}");
    check_refused("{\"exp\":1,\"sub\":7}");
    check_refused("{\"exp\":1,\"sub\":\"a\\u0000b\"}");
    check_refused("{\"exp\":1,\"yomo\":[]}");
    check_refused("{\"exp\":1,\"yomo\":{\"rooms\":{},\"rooms\":{}}}");
    check_refused("{\"exp\":1,\"yomo\":{\"app\":5}}");
    check_refused("{\"exp\":1,\"yomo\":{\"data\":\"x\"}}");
    check_refused("{\"exp\":1,\"yomo\":{\"data\":{\"__proto__\":1}}}");
    check_refused("{\"exp\":1,\"yomo\":{\"rooms\":\"*\"}}");
    check_refused("{\"exp\":1,\"yomo\":{\"rooms\":[\"*\"]}}");
    check_refused("{\"exp\":1,\"yomo\":{\"rooms\":{\"*\":\"join\"}}}");
    check_refused("{\"exp\":1,\"yomo\":{\"rooms\":{\"*\":[\"jion\"]}}}");
    check_refused("{\"exp\":1,\"yomo\":{\"rooms\":{\"*\":[1]}}}");
}

static void with_memory_running_out(struct fault *fault, void *user)
{
    struct yo_grants *grants;
    int rv = make(&grants, &fault->mem, user);

    if (rv != YOMO_OK) {
        assert_int_equal(rv, YOMO_ERR_NOMEM);
        assert_true(fault->failed);
        return;
    }
    yo_grants_free(grants);
}

static void memory_may_run_out(void **state)
{
    char json[] = "{\"sub\":\"a\",\"exp\":1,\"yomo\":{\"rooms\":{\"*\":[\"join\"]}}}";
    (void)state;
    fault_each(with_memory_running_out, json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_fit),
        cmocka_unit_test(a_token_that_says_nothing_allows_all_but_admin),
        cmocka_unit_test(rights_of_all_patterns_that_fit_count_together),
        cmocka_unit_test(what_the_token_says_is_read),
        cmocka_unit_test(claims_of_the_wrong_form_are_refused),
        cmocka_unit_test(memory_may_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
