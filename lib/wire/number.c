/* SPDX-License-Identifier: MIT */
/* number.c - a decimal is a row of digits and a power of ten behind it. */
#include "wire/number.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"

/* No double, and no point half way between two, has more significant digits than 768:
 * of what follows it matters only whether it is zero. */
#define PARSE_DIGITS_MAX 800

/* An exponent with more digits than this is held here: far past any double. */
#define EXPONENT_MAX 100000000

#define PRINT_DIGITS_MAX 17

struct decimal {
    bool negative;
    size_t count;
    int64_t exponent;
    char digits[PARSE_DIGITS_MAX + 1];
};

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

/* strtod sees "-123e-4": no decimal point, hence no locale. */
static double to_double(const struct decimal *decimal)
{
    char text[PARSE_DIGITS_MAX + 40];

    snprintf(text, sizeof(text), "%s%.*se%lld", decimal->negative ? "-" : "",
             (int)decimal->count, decimal->digits, (long long)decimal->exponent);
    return strtod(text, NULL);
}

static int64_t parse_exponent(struct yo_span text)
{
    bool negative = text.size > 0 && text.data[0] == '-';
    int64_t exponent = 0;

    for (size_t i = 0; i < text.size; i++) {
        if (is_digit(text.data[i]) && exponent < EXPONENT_MAX) {
            exponent = 10 * exponent + (text.data[i] - '0');
        }
    }
    return negative ? -exponent : exponent;
}

double yo_number_parse(struct yo_span text)
{
    struct decimal decimal;
    bool behind_point = false;
    bool more = false;
    size_t i = 0;

    decimal.negative = text.size > 0 && text.data[0] == '-';
    decimal.count = 0;
    decimal.exponent = 0;
    for (; i < text.size && text.data[i] != 'e' && text.data[i] != 'E'; i++) {
        uint8_t c = text.data[i];
        if (c == '.') {
            behind_point = true;
        } else if (!is_digit(c)) {
            continue; /* the sign */
        } else if (decimal.count < PARSE_DIGITS_MAX) {
            if (decimal.count > 0 || c != '0') {
                decimal.digits[decimal.count++] = (char)c;
            }
            decimal.exponent -= behind_point;
        } else {
            more = more || c != '0';
            decimal.exponent += !behind_point;
        }
    }
    if (i < text.size) {
        decimal.exponent += parse_exponent(yo_span_skip(text, i + 1));
    }
    if (decimal.count == 0) {
        return decimal.negative ? -0.0 : 0.0;
    }
    if (more) { /* on which side of half way the number lies */
        decimal.digits[decimal.count++] = '1';
        decimal.exponent--;
    }
    return to_double(&decimal);
}

/* `value` rounded to `count` significant digits. */
static void round_to(struct decimal *decimal, double value, int count)
{
    char text[PRINT_DIGITS_MAX + 24]; /* the point may be some bytes in some locales */
    const char *at = text;

    snprintf(text, sizeof(text), "%.*e", count - 1, value);
    decimal->negative = *at == '-';
    decimal->count = 0;
    for (; *at != '\0' && *at != 'e'; at++) {
        if (is_digit((uint8_t)*at) && decimal->count < PRINT_DIGITS_MAX) {
            decimal->digits[decimal->count++] = *at;
        }
    }
    decimal->exponent = (*at == 'e' ? strtol(at + 1, NULL, 10) : 0) + 1 - count;
}

static void drop_zeros(struct decimal *decimal)
{
    while (decimal->count > 1 && decimal->digits[decimal->count - 1] == '0') {
        decimal->count--;
        decimal->exponent++;
    }
}

/* The next larger number with as many digits. */
static void step_up(struct decimal *decimal)
{
    size_t i = decimal->count;

    while (i > 0 && decimal->digits[i - 1] == '9') {
        i--;
    }
    if (i == 0) { /* 99.9 becomes 100 */
        decimal->exponent += (int64_t)decimal->count;
        decimal->count = 1;
        decimal->digits[0] = '1';
        return;
    }
    decimal->exponent += (int64_t)(decimal->count - i);
    decimal->count = i;
    decimal->digits[i - 1]++;
}

/* Any decimal of up to 15 digits survives being a double, so of a normal double no form
 * shorter than 15 digits can be missed. Below a power of two doubles lie closer
 * together than above it: there the nearest 16 digits may belong to the neighbour
 * below, while the next ones up still read back. */
static void find_shortest(struct decimal *decimal, double value)
{
    int exponent;
    bool power_of_two = fabs(frexp(value, &exponent)) == 0.5;

    for (int count = fabs(value) < DBL_MIN ? 1 : DBL_DIG; count < PRINT_DIGITS_MAX;
         count++) {
        round_to(decimal, value, count);
        if (to_double(decimal) == value) {
            return;
        }
        if (power_of_two) {
            step_up(decimal);
            if (to_double(decimal) == value) {
                return;
            }
        }
    }
    round_to(decimal, value, PRINT_DIGITS_MAX);
}

static char *put(char *out, const char *from, size_t count)
{
    memcpy(out, from, count);
    return out + count;
}

static char *put_zeros(char *out, int64_t count)
{
    for (; count > 0; count--) {
        *out++ = '0';
    }
    return out;
}

size_t yo_number_print(char out[YO_NUMBER_SIZE_MAX], double value)
{
    struct decimal decimal;
    const char *digits = decimal.digits;
    char *at = out;
    int64_t point; /* how many digits stand in front of the decimal point */
    bool exact = fabs(value) < 9007199254740992.0;

    assert(isfinite(value));
    find_shortest(&decimal, value);
    drop_zeros(&decimal);
    point = decimal.exponent + (int64_t)decimal.count;
    if (decimal.negative) {
        *at++ = '-';
    }
    if (decimal.exponent >= 0 && exact) {
        at = put(at, digits, decimal.count);
        at = put_zeros(at, decimal.exponent);
    } else if (decimal.exponent < 0 && point > 0) {
        at = put(at, digits, (size_t)point);
        *at++ = '.';
        at = put(at, digits + point, decimal.count - (size_t)point);
    } else if (point <= 0 && point > -6) {
        at = put(at, "0.", 2);
        at = put_zeros(at, -point);
        at = put(at, digits, decimal.count);
    } else {
        *at++ = digits[0];
        if (decimal.count > 1) {
            *at++ = '.';
            at = put(at, digits + 1, decimal.count - 1);
        }
        at += snprintf(at, 8, "e%s%d", point > 0 ? "+" : "-",
                       (int)(point > 0 ? point - 1 : 1 - point));
    }
    *at = '\0';
    return (size_t)(at - out);
}
