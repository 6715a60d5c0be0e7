/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <string.h>
#include <yomo/error.h>

static void each_error_has_a_name_and_a_sentence(void **state)
{
    (void)state;
#define CHECK_ONE(name, number, text)                    \
    assert_int_equal(YOMO_ERR_##name, number);           \
    assert_string_equal(yomo_error_name(number), #name); \
    assert_string_equal(yomo_strerror(number), text);
    YOMO_ERROR_MAP(CHECK_ONE)
#undef CHECK_ONE
    assert_string_equal(yomo_error_name(0), "OK");
    assert_true(strlen(yomo_strerror(0)) > 0);
}

static void a_number_that_is_no_error_has_texts_too(void **state)
{
    const int32_t numbers[] = {1, -99, -1000, INT32_MAX, INT32_MIN};

    (void)state;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        assert_string_equal(yomo_error_name(numbers[i]), "UNKNOWN");
        assert_string_equal(yomo_strerror(numbers[i]), "unknown error");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_error_has_a_name_and_a_sentence),
        cmocka_unit_test(a_number_that_is_no_error_has_texts_too),
    };

    return cmocka_run_group_tests_name("base/error", tests, NULL, NULL);
}
