/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "options/value.h"
#include "support/bytes.h"

static struct yo_span text(const char *from)
{
    return bytes_copy(yo_span_of(from));
}

static void check_number(const char *from, uint64_t wanted)
{
    uint64_t number = 0;

    if (yo_value_number(text(from), &number) != YOMO_OK || number != wanted) {
        fail_msg("%s was read as %llu", from, (unsigned long long)number);
    }
}

static void check_ms(const char *from, uint64_t wanted)
{
    uint64_t ms = 0;

    if (yo_value_ms(text(from), &ms) != YOMO_OK || ms != wanted) {
        fail_msg("%s was read as %llu ms", from, (unsigned long long)ms);
    }
}

static void numbers_may_end_in_powers_of_1024(void **state)
{
    (void)state;
    check_number("0", 0);
    check_number("8443", 8443);
    check_number("64k", 65536);
    check_number("64K", 65536);
    check_number("1m", 1 << 20);
    check_number("2g", UINT64_C(2) << 30);
    check_number("18446744073709551615", UINT64_MAX);
}

static void times_have_units_and_a_bare_number_is_seconds(void **state)
{
    (void)state;
    check_ms("250ms", 250);
    check_ms("10s", 10000);
    check_ms("10", 10000);
    check_ms("5m", 300000);
    check_ms("1h", 3600000);
    check_ms("0", 0);
}

static void what_is_no_number_is_refused(void **state)
{
    static const char *const wrong[] = {"",
                                        "k",
                                        "-1",
                                        "+1",
                                        " 1",
                                        "1 ",
                                        "1.5",
                                        "0x10",
                                        "1kk",
                                        "64kb",
                                        "1t",
                                        "18446744073709551616",
                                        "18014398509481984k",
                                        "99999999999999999999g"};
    uint64_t value = 77;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        if (yo_value_number(text(wrong[i]), &value) == YOMO_OK) {
            fail_msg("'%s' was accepted", wrong[i]);
        }
    }
    assert_int_equal(yo_value_ms(text("10x"), &value), YOMO_ERR_INVALID);
    assert_int_equal(yo_value_ms(text("ms"), &value), YOMO_ERR_INVALID);
    assert_int_equal(yo_value_ms(text("5124095576030432h"), &value), YOMO_ERR_INVALID);
    assert_int_equal(value, 77);
}

static void switches_have_four_words_for_each_side(void **state)
{
    static const char *const on[] = {"true", "yes", "on", "1", "TRUE"};
    static const char *const off[] = {"false", "no", "off", "0", "No"};
    bool value;

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        value = false;
        assert_int_equal(yo_value_switch(text(on[i]), &value), YOMO_OK);
        assert_true(value);
        assert_int_equal(yo_value_switch(text(off[i]), &value), YOMO_OK);
        assert_false(value);
    }
    assert_int_equal(yo_value_switch(text(""), &value), YOMO_ERR_INVALID);
    assert_int_equal(yo_value_switch(text("2"), &value), YOMO_ERR_INVALID);
    assert_int_equal(yo_value_switch(text("truex"), &value), YOMO_ERR_INVALID);
}

static void a_choice_is_the_number_of_its_word(void **state)
{
    static const char choices[] = "auto|webtransport|websocket";

    (void)state;
    assert_int_equal(yo_value_choice(choices, text("auto")), 0);
    assert_int_equal(yo_value_choice(choices, text("webtransport")), 1);
    assert_int_equal(yo_value_choice(choices, text("websocket")), 2);
    assert_int_equal(yo_value_choice(choices, text("web")), -1);
    assert_int_equal(yo_value_choice(choices, text("")), -1);
    assert_int_equal(yo_value_choice(choices, text("auto|webtransport")), -1);
}

static void a_list_gives_its_words_without_blanks(void **state)
{
    struct yo_span rest = text(" a ,b,\tc d"), word;

    (void)state;
    assert_true(yo_value_word(&rest, &word));
    assert_text(word, "a");
    assert_true(yo_value_word(&rest, &word));
    assert_text(word, "b");
    assert_true(yo_value_word(&rest, &word));
    assert_text(word, "c d");
    assert_false(yo_value_word(&rest, &word));
}

static void a_comma_at_the_end_is_followed_by_an_empty_word(void **state)
{
    struct yo_span rest = text("a,"), word;

    (void)state;
    assert_true(yo_value_word(&rest, &word));
    assert_true(yo_value_word(&rest, &word));
    assert_int_equal(word.size, 0);
    assert_false(yo_value_word(&rest, &word));
}

struct form_case {
    enum yo_option_form form;
    const char *good[5], *bad[6];
};

static void check_form(const struct form_case *c)
{
    const struct yo_option option = {
        .name = "x", .type = YOMO_TYPE_LIST, .form = c->form, .help = "."};
    char wanted[200];

    for (size_t i = 0; c->good[i]; i++) {
        if (yo_value_check(&option, text(c->good[i]), wanted, sizeof(wanted)) !=
            YOMO_OK) {
            fail_msg("%s was refused: %s", c->good[i], wanted);
        }
    }
    for (size_t i = 0; c->bad[i]; i++) {
        if (yo_value_check(&option, text(c->bad[i]), wanted, sizeof(wanted)) !=
            YOMO_ERR_OPTION) {
            fail_msg("%s was accepted", c->bad[i]);
        }
        assert_true(strlen(wanted) > 5);
    }
}

#define HASH "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"

static void words_have_the_form_that_their_option_asks_for(void **state)
{
    static const struct form_case cases[] = {
        {YO_FORM_PORT, {"none", "0", "65535"}, {"65536", "8k", "None", "", "-1"}},
        {YO_FORM_HASH, {HASH, HASH "," HASH}, {"0011", HASH "0", "", HASH ","}},
        {YO_FORM_ORIGIN,
         {"https://example.com", "http://localhost:8080", "*", "app://x"},
         {"example.com", "https://example.com/", "https://", "://x", ""}},
        {YO_FORM_PAIR,
         {"app=key", "a=b=c", "a=b,c=d"},
         {"app", "=key", "app=", ",a=b"}},
        {YO_FORM_ANY, {"x", "x,y"}, {"", "x,,y", "\xff"}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        check_form(&cases[i]);
    }
}

static void check_wanted(enum yomo_option_type type, const char *choices, uint64_t min,
                         uint64_t max, const char *sentence)
{
    const struct yo_option option = {
        .name = "x", .type = type, .choices = choices, .min = min, .max = max};
    char wanted[200];

    assert_int_equal(yo_value_check(&option, text("?!"), wanted, sizeof(wanted)),
                     YOMO_ERR_OPTION);
    assert_string_equal(wanted, sentence);
}

static void what_would_be_right_is_said_in_words(void **state)
{
    (void)state;
    check_wanted(YOMO_TYPE_NUMBER, NULL, 0, 65535, "a number from 0 to 65535");
    check_wanted(YOMO_TYPE_NUMBER, NULL, 1024, 16 << 20, "a number from 1k to 16m");
    check_wanted(YOMO_TYPE_DURATION, NULL, 100, 3600000,
                 "a time from 100ms to 1h, such as 250ms, 10s or 5m");
    check_wanted(YOMO_TYPE_SWITCH, NULL, 0, 0, "true or false");
    check_wanted(YOMO_TYPE_CHOICE, "a|b|c", 0, 0, "a, b or c");
}

static void bounds_are_part_of_what_may_be(void **state)
{
    const struct yo_option option = {
        .name = "x", .type = YOMO_TYPE_NUMBER, .min = 5, .max = 10};
    char wanted[200];

    (void)state;
    assert_int_equal(yo_value_check(&option, text("4"), wanted, 200), YOMO_ERR_OPTION);
    assert_int_equal(yo_value_check(&option, text("5"), wanted, 200), YOMO_OK);
    assert_int_equal(yo_value_check(&option, text("10"), wanted, 200), YOMO_OK);
    assert_int_equal(yo_value_check(&option, text("11"), wanted, 200), YOMO_ERR_OPTION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_may_end_in_powers_of_1024),
        cmocka_unit_test(times_have_units_and_a_bare_number_is_seconds),
        cmocka_unit_test(what_is_no_number_is_refused),
        cmocka_unit_test(switches_have_four_words_for_each_side),
        cmocka_unit_test(a_choice_is_the_number_of_its_word),
        cmocka_unit_test(a_list_gives_its_words_without_blanks),
        cmocka_unit_test(a_comma_at_the_end_is_followed_by_an_empty_word),
        cmocka_unit_test(words_have_the_form_that_their_option_asks_for),
        cmocka_unit_test(what_would_be_right_is_said_in_words),
        cmocka_unit_test(bounds_are_part_of_what_may_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
