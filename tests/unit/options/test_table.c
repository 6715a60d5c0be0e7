/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <string.h>

#include "base/check.h"
#include "options/table.h"
#include "options/value.h"

static const int32_t scopes[] = {YOMO_SCOPE_CLIENT, YOMO_SCOPE_SERVER};

/* Call `check` with every row. */
static void each_row(void (*check)(const struct yo_option *option))
{
    for (size_t s = 0; s < 2; s++) {
        const struct yo_option *option;
        for (size_t i = 0; (option = yo_option_at(scopes[s], i)); i++) {
            check(option);
        }
    }
}

static void check_default(const struct yo_option *option)
{
    char wanted[200];

    if (option->value && yo_value_check(option, yo_span_of(option->value), wanted,
                                        sizeof(wanted)) != YOMO_OK) {
        fail_msg("%s: its default %s is not taken: %s", option->name, option->value,
                 wanted);
    }
}

static void every_default_is_a_value_that_the_option_takes(void **state)
{
    (void)state;
    each_row(check_default);
}

static void check_readable(const struct yo_option *option)
{
    bool needed = option->type == YOMO_TYPE_NUMBER ||
                  option->type == YOMO_TYPE_DURATION ||
                  option->type == YOMO_TYPE_CHOICE;

    if (needed && !option->value) {
        fail_msg("%s has no default to be read", option->name);
    }
    assert_int_equal(option->choices != NULL, option->type == YOMO_TYPE_CHOICE);
    assert_true(option->min <= option->max);
}

static void what_is_read_as_a_number_always_has_a_default(void **state)
{
    (void)state;
    each_row(check_readable);
}

static void check_spelling(const struct yo_option *option)
{
    size_t size = strlen(option->help);

    assert_int_equal(strspn(option->name, "abcdefghijklmnopqrstuvwxyz-"),
                     strlen(option->name));
    if (strncmp(option->name, "no-", 3) == 0) {
        fail_msg("--%s would read as a switch that is off", option->name);
    }
    if (size < 10 || option->help[size - 1] != '.') {
        fail_msg("%s: the help is no sentence", option->name);
    }
    assert_null(strchr(option->help, '|')); /* it stands in a table */
}

static void names_and_sentences_are_spelled_alike(void **state)
{
    (void)state;
    each_row(check_spelling);
}

static void no_name_stands_twice_in_a_scope(void **state)
{
    (void)state;
    for (size_t s = 0; s < 2; s++) {
        const struct yo_option *option;
        for (size_t i = 0; (option = yo_option_at(scopes[s], i)); i++) {
            assert_int_equal(yo_option_find(scopes[s], yo_span_of(option->name)),
                             (int)i);
        }
    }
}

static void the_table_can_be_walked_from_outside(void **state)
{
    uint32_t count = 0;

    (void)state;
    while (yomo_option_name(YOMO_SCOPE_CLIENT, count)) {
        assert_non_null(yomo_option_help(YOMO_SCOPE_CLIENT, count));
        assert_true(yomo_option_type(YOMO_SCOPE_CLIENT, count) >= 0);
        count++;
    }
    assert_true(count > 10);
    assert_null(yomo_option_help(YOMO_SCOPE_CLIENT, count));
    assert_null(yomo_option_default(YOMO_SCOPE_CLIENT, count));
    assert_null(yomo_option_choices(YOMO_SCOPE_CLIENT, count));
    assert_int_equal(yomo_option_type(YOMO_SCOPE_CLIENT, count), -1);
}

static void a_scope_that_is_none_has_no_rows(void **state)
{
    (void)state;
    assert_null(yomo_option_name(2, 0));
    assert_null(yomo_option_name(-1, 0));
    assert_int_equal(yo_option_find(7, yo_span_of("port")), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_default_is_a_value_that_the_option_takes),
        cmocka_unit_test(what_is_read_as_a_number_always_has_a_default),
        cmocka_unit_test(names_and_sentences_are_spelled_alike),
        cmocka_unit_test(no_name_stands_twice_in_a_scope),
        cmocka_unit_test(the_table_can_be_walked_from_outside),
        cmocka_unit_test(a_scope_that_is_none_has_no_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
