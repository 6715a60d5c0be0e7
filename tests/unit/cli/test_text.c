/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <string.h>

#include "text.h"

static void check(struct text *text, const char *wanted)
{
    assert_false(text->failed);
    assert_string_equal(text->data ? text->data : "", wanted);
    text_finish(text);
}

static void strings_are_escaped_for_json(void **state)
{
    struct text text = {0};

    (void)state;
    text_put_string(&text, "a\"b\\c\n\t\x01 \xc3\xa4");
    check(&text, "\"a\\\"b\\\\c\\n\\t\\u0001 \xc3\xa4\"");
    text_put_string(&text, "");
    check(&text, "\"\"");
}

static void check_one_line(const char *json, const char *wanted)
{
    struct text text = {0};

    text_put_json(&text, json, strlen(json));
    check(&text, wanted);
}

static void json_becomes_one_line_and_means_the_same(void **state)
{
    (void)state;
    check_one_line("{}", "{}");
    check_one_line(" {\n  \"a b\" : [ 1,\t2 ]\r\n}\n", "{\"a b\":[1,2]}");
    check_one_line("\"a \\\" b\\\\\" ", "\"a \\\" b\\\\\"");
    check_one_line("[\" \",\" \\n \"]", "[\" \",\" \\n \"]");
    check_one_line("\"\n\"", "\"\\n\""); /* not JSON, and still one line */
    check_one_line("\"\\", "\"\\");
    check_one_line("", "");
}

static void check_member(const char *json, const char *name, const char *wanted)
{
    struct text text = {0};

    if (text_put_member(&text, json, name) != (wanted != NULL)) {
        fail_msg("%s in %s", name ? name : "(itself)", json);
    }
    check(&text, wanted ? wanted : "");
}

static void a_member_is_found_wherever_it_stands(void **state)
{
    (void)state;
    check_member("{\"name\":\"Ada\"}", "name", "Ada");
    check_member(" { \"x\" : {\"name\":\"no\"} , \"name\" : \"Ada\" } ", "name", "Ada");
    check_member("{\"a\":[1,{\"b\":\"}\"},\"]\"],\"name\":\"Ada\"}", "name", "Ada");
    check_member("{\"nam\":\"x\",\"names\":\"y\",\"name\":\"Ada\"}", "name", "Ada");
    check_member("\"hello\"", NULL, "hello");
    check_member("{\"name\":\"\"}", "name", "");
}

static void what_is_no_string_is_no_member(void **state)
{
    static const char *const none[] = {"{}",
                                       "[]",
                                       "1",
                                       "\"name\"",
                                       "{\"name\":1}",
                                       "{\"name\":null}",
                                       "{\"name\":{\"name\":\"x\"}}",
                                       "",
                                       "{",
                                       "{\"",
                                       "{\"name",
                                       "{\"name\"",
                                       "{\"name\":",
                                       "{\"x\":1",
                                       "{\"x\":\"",
                                       "{\"x\":1,",
                                       "{\"x\" 1}",
                                       "null"};

    (void)state;
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        check_member(none[i], "name", NULL);
    }
    check_member("{}", NULL, NULL);
    check_member("", NULL, NULL);
}

static void escapes_are_decoded(void **state)
{
    (void)state;
    check_member("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", NULL, "\"\\/\b\f\n\r\t");
    check_member("\"\\u0041\\u00e4\\u20AC\"", NULL, "A\xc3\xa4\xe2\x82\xac");
    check_member("\"\\ud83d\\ude00\"", NULL, "\xf0\x9f\x98\x80");
    check_member("\"\\ud83d\"", NULL, "\xef\xbf\xbd");
    check_member("\"\\ud83dx\"", NULL, "\xef\xbf\xbdx");
    check_member("\"\\udc00\"", NULL, "\xef\xbf\xbd");
    check_member("\"\\uzzzz\"", NULL, "\xef\xbf\xbd");
}

static void json_that_ends_anywhere_is_harmless(void **state)
{
    static const char whole[] =
        "{\"x\":[{\"y\":\"\\ud83d\\ude00\"}],\"name\":\"\\u0041b\"}";

    (void)state;
    for (size_t size = 0; size < sizeof(whole); size++) {
        char *cut = malloc(size + 1);
        struct text text = {0};
        assert_non_null(cut);
        memcpy(cut, whole, size);
        cut[size] = '\0';
        (void)text_put_member(&text, cut, "name");
        (void)text_put_member(&text, cut, "x");
        text_put_json(&text, cut, size);
        text_finish(&text);
        free(cut);
    }
}

static void a_terminal_is_shown_nothing_that_moves_it(void **state)
{
    struct text text = {0};

    (void)state;
    text_put_harmless(&text, "a\x1b[2J\n\x7f\xc2\x9b\xff\xe2\x80\xae\xc3\xa4");
    check(&text, "a [2J   ? \xc3\xa4");
}

static void characters_are_whole_or_nothing(void **state)
{
    static const char *const broken[] = {
        "\x80",         "\xc0\x80",         "\xc3",     "\xe0\x80\x80",
        "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\xf5\x80\x80\x80"};
    unsigned long point = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        assert_int_equal(utf8_next(broken[i], strlen(broken[i]), &point), 0);
    }
    assert_int_equal(utf8_next("\xf0\x9f\x98\x80", 4, &point), 4);
    assert_int_equal(point, 0x1f600);
    assert_int_equal(utf8_next("\xf0\x9f\x98\x80", 3, &point), 0);
}

static void wide_and_combining_characters_have_their_columns(void **state)
{
    static const char wide[] = "a\xe6\x97\xa5\xe6\x9c\xac"; /* a, two ideographs */

    (void)state;
    assert_int_equal(text_columns(wide, strlen(wide)), 5);
    assert_int_equal(text_columns("e\xcc\x81", 3), 1);
    assert_int_equal(text_fit(wide, strlen(wide), 4), 4); /* not half of the second */
    assert_int_equal(text_fit(wide, strlen(wide), 5), 7);
    assert_int_equal(text_fit(wide, strlen(wide), 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_are_escaped_for_json),
        cmocka_unit_test(json_becomes_one_line_and_means_the_same),
        cmocka_unit_test(a_member_is_found_wherever_it_stands),
        cmocka_unit_test(what_is_no_string_is_no_member),
        cmocka_unit_test(escapes_are_decoded),
        cmocka_unit_test(json_that_ends_anywhere_is_harmless),
        cmocka_unit_test(a_terminal_is_shown_nothing_that_moves_it),
        cmocka_unit_test(characters_are_whole_or_nothing),
        cmocka_unit_test(wide_and_combining_characters_have_their_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
