/* SPDX-License-Identifier: MIT */
/* values.c - values of the program's own flags, written as the library's are. */
#include <string.h>
#include <strings.h>

#include "args.h"

struct unit {
    const char *name;
    uint64_t factor;
};

/* Digits, and one of the units behind them; one without a name is for bare digits. */
static bool read_units(const char *text, const struct unit *units, uint64_t *value)
{
    uint64_t number = 0;
    const char *at = text;

    for (; *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (number > (UINT64_MAX - digit) / 10) {
            return false;
        }
        number = number * 10 + digit;
    }
    if (at == text) {
        return false;
    }
    for (; units->name; units++) {
        if (strcasecmp(at, units->name) == 0) {
            *value = number * units->factor;
            return number <= UINT64_MAX / units->factor;
        }
    }
    return false;
}

bool read_number(const char *text, uint64_t *number)
{
    static const struct unit sizes[] = {
        {"", 1}, {"k", 1u << 10}, {"m", 1u << 20}, {"g", 1u << 30}, {NULL, 0}};

    return read_units(text, sizes, number);
}

bool read_ms(const char *text, uint64_t *ms)
{
    static const struct unit durations[] = {{"", 1000},   {"ms", 1},      {"s", 1000},
                                            {"m", 60000}, {"h", 3600000}, {NULL, 0}};

    return read_units(text, durations, ms);
}

bool read_switch(const char *text, bool *on)
{
    static const char *const words[] = {"true",  "yes", "on",  "1",
                                        "false", "no",  "off", "0"};

    for (size_t i = 0; i < 8; i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *on = i < 4;
            return true;
        }
    }
    return false;
}
