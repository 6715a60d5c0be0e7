/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rand.h"
#include "support/bytes.h"
#include "support/comma.h"
#include "wire/number.h"

static double parsed(const char *text)
{
    return yo_number_parse(bytes_copy(yo_span_of(text)));
}

static void check_print(double value, const char *wanted)
{
    char text[YO_NUMBER_SIZE_MAX];
    size_t size = yo_number_print(text, value);
    double back = parsed(text);

    assert_string_equal(text, wanted);
    assert_int_equal(size, strlen(text));
    assert_memory_equal(&back, &value, sizeof(value));
}

static void a_number_has_the_fewest_digits_that_read_back(void **state)
{
    (void)state;
    check_print(0.1, "0.1");
    check_print(0.3, "0.3");
    check_print(0.1 + 0.2, "0.30000000000000004");
    check_print(1.0 / 3, "0.3333333333333333");
    check_print(2.0 / 3, "0.6666666666666666");
    check_print(123.456, "123.456");
    check_print(-1.5, "-1.5");
    check_print(9.5367431640625e-7, "9.5367431640625e-7");
    check_print(5e-324, "5e-324");
    check_print(2.2250738585072014e-308, "2.2250738585072014e-308");
    check_print(DBL_MAX, "1.7976931348623157e+308");
    check_print(1e23, "1e+23");
    check_print(ldexp(1, -44),
                "5.684341886080802e-14"); /* where 16 digits round away */
    check_print(ldexp(1, -489), "6.256509672447191e-148");
    check_print(9007199254740993e3, "9.007199254740993e+18");
}

static void its_shape_is_that_of_javascript(void **state)
{
    (void)state;
    check_print(0.0, "0");
    check_print(-0.0, "-0"); /* but for this one, to lose nothing */
    check_print(1, "1");
    check_print(100, "100");
    check_print(1e15, "1000000000000000");
    check_print(9007199254740991.0, "9007199254740991");
    check_print(0.000001, "0.000001");
    check_print(0.0000012, "0.0000012");
    check_print(0.0000001, "1e-7");
    check_print(1.25e-7, "1.25e-7");
    check_print(-1e300, "-1e+300");
}

/* 2^63 has the digits 9223372036854775808, but as few digits as read back are those of
 * another integer. */
static void what_could_pass_for_another_integer_has_an_exponent(void **state)
{
    (void)state;
    check_print(9007199254740992.0, "9.007199254740992e+15");
    check_print(9223372036854775808.0, "9.223372036854776e+18");
    check_print(1e16, "1e+16");
}

static void a_number_is_read_to_the_nearest_double(void **state)
{
    static const char *const texts[] = {
        "0",
        "-0.0",
        "1.5",
        "1e1",
        "1E+1",
        "1e-1",
        "0.00001e5",
        "1e308",
        "1e-320",
        "5e-324",
        "123e0",
        "0.1e1",
        "12.34",
        "1000000e-6",
        "0e5",
        "0.000",
        "1e22",
        "1e23",
        "1.0e0",
        "10.0",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "9007199254740993",
        "9007199254740992.99999999999999",
        "1.7976931348623158e308",
        "8.5e-45",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        double got = parsed(texts[i]);
        double wanted = strtod(texts[i], NULL);
        if (memcmp(&got, &wanted, sizeof(got)) != 0) {
            fail_msg("%s: %.17g, not %.17g", texts[i], got, wanted);
        }
    }
}

static void a_number_past_the_range_is_an_infinity_or_zero(void **state)
{
    (void)state;
    assert_true(isinf(parsed("1e309")) && parsed("1e309") > 0);
    assert_true(isinf(parsed("-1e99999999999999999999")) && parsed("-1e9999") < 0);
    assert_true(parsed("1e-99999999999999999999") == 0);
    assert_true(parsed("0e99999999999999999999") == 0);
    assert_true(signbit(parsed("-1e-999")));
}

static void thousands_of_digits_are_all_heard(void **state)
{
    static char text[6000];

    (void)state;
    /* 1 + 2^-53 is half way between two doubles; the last digit breaks the tie. */
    strcpy(text, "1.00000000000000011102230246251565404236316680908203125");
    assert_true(parsed(text) == 1.0);
    memset(text + strlen(text), '0', 5000);
    assert_true(parsed(text) == 1.0);
    strcpy(text + 5500, "1");
    memset(text + 5000, '0', 500);
    assert_true(parsed(text) == 1.0 + DBL_EPSILON);
    /* A row of zeros on either side of the point. */
    memset(text, 0, sizeof(text));
    memset(text, '0', 3000);
    text[1] = '.';
    strcpy(text + 3000, "15e3000");
    assert_true(parsed(text) == 15.0);
    memset(text, '0', 3001);
    text[0] = '7';
    strcpy(text + 3001, "e-3000");
    assert_true(parsed(text) == 7.0);
    memset(text, '9', 2000);
    strcpy(text + 2000, "e-2000");
    assert_true(parsed(text) == 1.0);
}

static void check_round_trip(uint64_t bits)
{
    char text[YO_NUMBER_SIZE_MAX], shorter[64];
    double value, back;
    size_t digits = 0;

    memcpy(&value, &bits, sizeof(value));
    if (!isfinite(value)) {
        return;
    }
    assert_true(yo_number_print(text, value) < YO_NUMBER_SIZE_MAX);
    back = parsed(text);
    if (memcmp(&back, &value, sizeof(value)) != 0) {
        fail_msg("%.17g became %s", value, text);
    }
    for (const char *at = text; *at != '\0' && *at != 'e'; at++) {
        digits += *at >= (digits > 0 ? '0' : '1') && *at <= '9';
    }
    if (digits > 2 && fabs(value) < 1e15) { /* zeros at the end are no digits */
        for (size_t at = strlen(text); !strpbrk(text, ".e") && text[at - 1] == '0';
             at--) {
            digits--;
        }
    }
    if (digits > 1) {
        snprintf(shorter, sizeof(shorter), "%.*e", (int)digits - 2, value);
        if (strtod(shorter, NULL) == value) {
            fail_msg("%s would do, not %s", shorter, text);
        }
    }
}

static void any_double_comes_back_and_none_has_a_digit_too_many(void **state)
{
    struct yo_rand rand;

    (void)state;
    yo_rand_seed(&rand, 11);
    for (int i = 0; i < 20000; i++) {
        double value = (double)yo_rand_below(&rand, 1000000) / 1000;
        uint64_t bits;
        memcpy(&bits, &value, sizeof(bits));
        check_round_trip(bits);
        check_round_trip(yo_rand_next(&rand));
    }
    for (uint64_t exponent = 0; exponent < 2047; exponent++) { /* powers of two */
        check_round_trip(exponent << 52);
        check_round_trip((exponent << 52) + 1);
        check_round_trip((exponent << 52) - 1);
    }
    for (unsigned bit = 0; bit < 52; bit++) { /* below the normal range */
        check_round_trip(UINT64_C(1) << bit);
    }
}

static void a_decimal_comma_changes_nothing(void **state)
{
    if (!comma_begin()) {
        skip();
    }
    assert_true(strtod("1,5", NULL) == 1.5);
    check_print(1.5, "1.5");
    check_print(0.1 + 0.2, "0.30000000000000004");
    check_print(-1.25e-7, "-1.25e-7");
    check_print(123456.75, "123456.75");
    assert_true(parsed("1234.5e-1") == 123 + 0.45);
    comma_end();
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_has_the_fewest_digits_that_read_back),
        cmocka_unit_test(its_shape_is_that_of_javascript),
        cmocka_unit_test(what_could_pass_for_another_integer_has_an_exponent),
        cmocka_unit_test(a_number_is_read_to_the_nearest_double),
        cmocka_unit_test(a_number_past_the_range_is_an_infinity_or_zero),
        cmocka_unit_test(thousands_of_digits_are_all_heard),
        cmocka_unit_test(any_double_comes_back_and_none_has_a_digit_too_many),
        cmocka_unit_test(a_decimal_comma_changes_nothing),
    };

    return cmocka_run_group_tests_name("wire/number", tests, NULL, NULL);
}
