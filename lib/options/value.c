/* SPDX-License-Identifier: MIT */
/* value.c - values are checked when they are set, so reading one cannot fail later. */
#include "options/value.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "base/text.h"

struct unit {
    const char *name;
    uint64_t factor;
};

/* The largest first: that is how a bound is written. */
static const struct unit sizes[] = {{"g", UINT64_C(1) << 30},
                                    {"m", UINT64_C(1) << 20},
                                    {"k", UINT64_C(1) << 10},
                                    {"", 1}};
static const struct unit durations[] = {
    {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {"", 1000}};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Digits, and one of the units behind them. */
static int parse(struct yo_span text, const struct unit *units, size_t count,
                 uint64_t *value)
{
    struct yo_span digits = yo_span(text.data, 0);
    uint64_t number;

    while (digits.size < text.size && text.data[digits.size] >= '0' &&
           text.data[digits.size] <= '9') {
        digits.size++;
    }
    if (digits.size == 0 || yo_parse_u64(digits, &number) != YOMO_OK) {
        return YOMO_ERR_INVALID;
    }
    text = yo_span_skip(text, digits.size);
    for (size_t i = 0; i < count; i++) {
        if (yo_span_equal_nocase(text, yo_span_of(units[i].name))) {
            if (number > UINT64_MAX / units[i].factor) {
                return YOMO_ERR_INVALID;
            }
            *value = number * units[i].factor;
            return YOMO_OK;
        }
    }
    return YOMO_ERR_INVALID;
}

int yo_value_number(struct yo_span text, uint64_t *number)
{
    return parse(text, sizes, COUNT(sizes), number);
}

int yo_value_ms(struct yo_span text, uint64_t *ms)
{
    return parse(text, durations, COUNT(durations), ms);
}

int yo_value_switch(struct yo_span text, bool *on)
{
    static const char *const words[2][4] = {{"false", "no", "off", "0"},
                                            {"true", "yes", "on", "1"}};

    for (size_t value = 0; value < 2; value++) {
        for (size_t i = 0; i < 4; i++) {
            if (yo_span_equal_nocase(text, yo_span_of(words[value][i]))) {
                *on = value == 1;
                return YOMO_OK;
            }
        }
    }
    return YOMO_ERR_INVALID;
}

int yo_value_choice(const char *choices, struct yo_span text)
{
    struct yo_span rest = yo_span_of(choices);

    for (int index = 0;; index++) {
        const uint8_t *end = memchr(rest.data, '|', rest.size);
        size_t size = end ? (size_t)(end - rest.data) : rest.size;
        if (yo_span_equal(yo_span(rest.data, size), text)) {
            return index;
        }
        if (!end) {
            return -1;
        }
        rest = yo_span_skip(rest, size + 1);
    }
}

static struct yo_span trim(struct yo_span text)
{
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text = yo_span_skip(text, 1);
    }
    while (text.size > 0 &&
           (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t')) {
        text.size--;
    }
    return text;
}

bool yo_value_word(struct yo_span *rest, struct yo_span *word)
{
    const uint8_t *comma;

    if (!rest->data) {
        return false;
    }
    comma = memchr(rest->data, ',', rest->size);
    if (!comma) {
        *word = trim(*rest);
        *rest = YO_SPAN_NONE;
        return true;
    }
    *word = trim(yo_span(rest->data, (size_t)(comma - rest->data)));
    *rest = yo_span_skip(*rest, (size_t)(comma - rest->data) + 1);
    return true;
}

static const struct {
    const char *word, *option;
} app_limits[YO_APP_LIMIT_WORDS] = {{"connections", "app-connections-max"},
                                    {"rooms", "app-rooms-max"},
                                    {"messages", "app-message-rate"},
                                    {"bytes", "app-byte-rate"}};

const char *yo_value_app_option(int what)
{
    assert(what >= 0 && what < YO_APP_LIMIT_WORDS);
    return app_limits[what].option;
}

/* The last of `sign` in `text`: an application may have one in its name. */
static const uint8_t *last(struct yo_span text, char sign)
{
    for (size_t i = text.size; i > 0; i--) {
        if (text.data[i - 1] == (uint8_t)sign) {
            return &text.data[i - 1];
        }
    }
    return NULL;
}

int yo_value_app_limit(struct yo_span word, struct yo_span *app, int *what,
                       uint64_t *value)
{
    const uint8_t *equals = last(word, '='), *colon;
    struct yo_span name;

    if (!equals) {
        return YOMO_ERR_INVALID;
    }
    colon = last(yo_span(word.data, (size_t)(equals - word.data)), ':');
    if (!colon || colon == word.data ||
        memchr(word.data, '\0', (size_t)(colon - word.data))) {
        return YOMO_ERR_INVALID;
    }
    *app = yo_span(word.data, (size_t)(colon - word.data));
    name = yo_span(colon + 1, (size_t)(equals - colon - 1));
    for (int i = 0; i < YO_APP_LIMIT_WORDS; i++) {
        const struct yo_option *option;
        if (!yo_span_is(name, app_limits[i].word)) {
            continue;
        }
        option = yo_option_at(YOMO_SCOPE_SERVER,
                              (size_t)yo_option_find(YOMO_SCOPE_SERVER,
                                                     yo_span_of(app_limits[i].option)));
        *what = i;
        return yo_value_number(yo_span_skip(word, (size_t)(equals + 1 - word.data)),
                               value) == YOMO_OK &&
                       *value >= option->min && *value <= option->max
                   ? YOMO_OK
                   : YOMO_ERR_INVALID;
    }
    return YOMO_ERR_INVALID;
}

static int check_form(enum yo_option_form form, struct yo_span word)
{
    uint8_t hash[32];
    uint64_t port;
    const uint8_t *sign;

    switch (form) {
    case YO_FORM_ANY:
        return YOMO_OK;
    case YO_FORM_PORT:
        if (yo_span_is(word, "none")) {
            return YOMO_OK;
        }
        return yo_parse_u64(word, &port) == YOMO_OK && port <= 65535 ? YOMO_OK
                                                                     : YOMO_ERR_OPTION;
    case YO_FORM_HASH:
        return yo_hex_decode(hash, sizeof(hash), word) == YOMO_OK ? YOMO_OK
                                                                  : YOMO_ERR_OPTION;
    case YO_FORM_ORIGIN: { /* RFC 6454 6.2: nothing behind the host and port */
        static const char between[] = "://";
        if (yo_span_is(word, "*")) {
            return YOMO_OK;
        }
        for (size_t i = 1; i + 3 < word.size; i++) {
            if (memcmp(word.data + i, between, 3) == 0) {
                return memchr(word.data + i + 3, '/', word.size - i - 3)
                           ? YOMO_ERR_OPTION
                           : YOMO_OK;
            }
        }
        return YOMO_ERR_OPTION;
    }
    case YO_FORM_PAIR:
        sign = word.size > 0 ? memchr(word.data, '=', word.size) : NULL;
        return sign && sign > word.data && sign + 1 < word.data + word.size
                   ? YOMO_OK
                   : YOMO_ERR_OPTION;
    case YO_FORM_APP_LIMIT: {
        struct yo_span app;
        uint64_t value;
        int what;
        return yo_value_app_limit(word, &app, &what, &value) == YOMO_OK
                   ? YOMO_OK
                   : YOMO_ERR_OPTION;
    }
    }
    return YOMO_ERR_OPTION;
}

static int check_text(const struct yo_option *option, struct yo_span text)
{
    struct yo_span word;

    if (!yo_utf8_valid(text)) {
        return YOMO_ERR_OPTION;
    }
    if (option->type == YOMO_TYPE_TEXT) {
        return check_form(option->form, text);
    }
    while (yo_value_word(&text, &word)) {
        if (word.size == 0 || check_form(option->form, word) != YOMO_OK) {
            return YOMO_ERR_OPTION;
        }
    }
    return YOMO_OK;
}

static bool takes(const struct yo_option *option, struct yo_span text)
{
    uint64_t value;
    bool on;

    switch (option->type) {
    case YOMO_TYPE_NUMBER:
        return yo_value_number(text, &value) == YOMO_OK && value >= option->min &&
               value <= option->max;
    case YOMO_TYPE_DURATION:
        return yo_value_ms(text, &value) == YOMO_OK && value >= option->min &&
               value <= option->max;
    case YOMO_TYPE_SWITCH:
        return yo_value_switch(text, &on) == YOMO_OK;
    case YOMO_TYPE_CHOICE:
        return yo_value_choice(option->choices, text) >= 0;
    case YOMO_TYPE_TEXT:
    case YOMO_TYPE_LIST:
        return check_text(option, text) == YOMO_OK;
    }
    return false;
}

/* A bound as a person would write it: 16m, 10s. */
static void write_bound(char out[32], uint64_t value, const struct unit *units,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (value % units[i].factor == 0 && value >= units[i].factor) {
            snprintf(out, 32, "%" PRIu64 "%s", value / units[i].factor, units[i].name);
            return;
        }
    }
    snprintf(out, 32, "0");
}

static void say_wanted(const struct yo_option *option, char *wanted, size_t size)
{
    static const char *const forms[] = {
        [YO_FORM_ANY] = "text in UTF-8",
        [YO_FORM_PORT] = "a port from 0 to 65535, or none",
        [YO_FORM_HASH] = "64 hexadecimal digits",
        [YO_FORM_ORIGIN] =
            "origins such as https://example.com with nothing behind, or *",
        [YO_FORM_PAIR] = "app=publickey",
        [YO_FORM_APP_LIMIT] = "app:connections=number, or rooms, messages, bytes",
    };
    char min[32], max[32];
    size_t used;

    switch (option->type) {
    case YOMO_TYPE_NUMBER:
        write_bound(min, option->min, sizes, COUNT(sizes));
        write_bound(max, option->max, sizes, COUNT(sizes));
        snprintf(wanted, size, "a number from %s to %s", min, max);
        return;
    case YOMO_TYPE_DURATION:
        write_bound(min, option->min, durations, COUNT(durations));
        write_bound(max, option->max, durations, COUNT(durations));
        snprintf(wanted, size, "a time from %s to %s, such as 250ms, 10s or 5m", min,
                 max);
        return;
    case YOMO_TYPE_SWITCH:
        snprintf(wanted, size, "true or false");
        return;
    case YOMO_TYPE_CHOICE:
        used = 0;
        for (const char *at = option->choices; *at && used + 6 < size; at++) {
            if (*at == '|') {
                used += (size_t)snprintf(wanted + used, size - used,
                                         strchr(at + 1, '|') ? ", " : " or ");
            } else {
                wanted[used++] = *at;
            }
        }
        wanted[used] = '\0';
        return;
    case YOMO_TYPE_TEXT:
        snprintf(wanted, size, "%s", forms[option->form]);
        return;
    case YOMO_TYPE_LIST:
        snprintf(wanted, size, "%s, several separated by commas",
                 option->form == YO_FORM_ANY ? "a word" : forms[option->form]);
        return;
    }
}

int yo_value_check(const struct yo_option *option, struct yo_span text, char *wanted,
                   size_t size)
{
    if (takes(option, text)) {
        return YOMO_OK;
    }
    say_wanted(option, wanted, size);
    return YOMO_ERR_OPTION;
}
