/* SPDX-License-Identifier: MIT */
/* text.c - JSON is read here only as far as finding a string in it. It comes from the
 * library, which has checked it, but nothing here relies on that. */
#include "text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_finish(struct text *text)
{
    free(text->data);
    memset(text, 0, sizeof(*text));
}

void text_clear(struct text *text)
{
    text->size = 0;
    text->failed = false;
    if (text->data) {
        text->data[0] = '\0';
    }
}

void text_add(struct text *text, const char *bytes, size_t size)
{
    if (size >= SIZE_MAX / 2 - text->size) {
        text->failed = true;
        return;
    }
    if (text->size + size + 1 > text->capacity) {
        size_t capacity = (text->size + size + 1) * 2;
        char *data = realloc(text->data, capacity);
        if (!data) {
            text->failed = true;
            return;
        }
        text->data = data;
        text->capacity = capacity;
    }
    memcpy(text->data + text->size, bytes, size);
    text->size += size;
    text->data[text->size] = '\0';
}

void text_put(struct text *text, const char *string)
{
    text_add(text, string, strlen(string));
}

void text_format(struct text *text, const char *format, ...)
{
    char short_text[256];
    va_list args;
    int size;

    va_start(args, format);
    size = vsnprintf(short_text, sizeof(short_text), format, args);
    va_end(args);
    if (size < 0) {
        text->failed = true;
        return;
    }
    text_add(text, short_text,
             (size_t)size < sizeof(short_text) ? (size_t)size : sizeof(short_text) - 1);
}

static void put_escaped(struct text *text, unsigned char c)
{
    switch (c) {
    case '"':
        text_put(text, "\\\"");
        break;
    case '\\':
        text_put(text, "\\\\");
        break;
    case '\n':
        text_put(text, "\\n");
        break;
    case '\r':
        text_put(text, "\\r");
        break;
    case '\t':
        text_put(text, "\\t");
        break;
    default:
        text_format(text, "\\u%04x", c);
    }
}

static bool must_escape(unsigned char c)
{
    return c < 0x20 || c == '"' || c == '\\';
}

void text_put_string(struct text *text, const char *string)
{
    text_put(text, "\"");
    while (*string) {
        const char *end = string;
        while (*end && !must_escape((unsigned char)*end)) {
            end++;
        }
        text_add(text, string, (size_t)(end - string));
        string = end;
        if (*string) {
            put_escaped(text, (unsigned char)*string++);
        }
    }
    text_put(text, "\"");
}

static bool is_white(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

void text_put_json(struct text *text, const char *json, size_t size)
{
    bool inside = false; /* a string */
    size_t kept = 0;     /* up to here it was added */

    for (size_t i = 0; i < size; i++) {
        if (inside && json[i] == '\\') {
            i++;
        } else if (json[i] == '"') {
            inside = !inside;
        } else if (inside ? (unsigned char)json[i] < 0x20 : is_white(json[i])) {
            text_add(text, json + kept, i - kept);
            kept = i + 1;
            if (inside) {
                put_escaped(text, (unsigned char)json[i]);
            }
        }
    }
    text_add(text, json + kept, size - kept);
}

static const char *skip_white(const char *at)
{
    while (is_white(*at)) {
        at++;
    }
    return at;
}

/* Behind the string that begins at `at`, or NULL. */
static const char *skip_string(const char *at)
{
    for (at++; *at; at++) {
        if (*at == '"') {
            return at + 1;
        }
        if (*at == '\\' && *++at == '\0') {
            break;
        }
    }
    return NULL;
}

/* Behind the value that begins at `at`: at the ',' or the bracket that ends it. */
static const char *skip_value(const char *at)
{
    size_t depth = 0;

    while (at && *at) {
        if (*at == '"') {
            at = skip_string(at);
            continue;
        }
        if (*at == '{' || *at == '[') {
            depth++;
        } else if (*at == '}' || *at == ']') {
            if (depth == 0) {
                return at;
            }
            depth--;
        } else if (*at == ',' && depth == 0) {
            return at;
        }
        at++;
    }
    return at;
}

static unsigned long read_hex(const char *at)
{
    unsigned long value = 0;

    for (int i = 0; i < 4; i++) {
        char c = at[i];
        unsigned long digit = c >= '0' && c <= '9'   ? (unsigned long)(c - '0')
                              : c >= 'a' && c <= 'f' ? (unsigned long)(c - 'a' + 10)
                              : c >= 'A' && c <= 'F' ? (unsigned long)(c - 'A' + 10)
                                                     : 16;
        if (digit == 16) {
            return 0xfffd;
        }
        value = value << 4 | digit;
    }
    return value;
}

static void put_point(struct text *text, unsigned long point)
{
    char bytes[4];
    size_t size = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;

    if (size == 1) {
        bytes[0] = (char)point;
    } else {
        for (size_t i = size - 1; i > 0; i--) {
            bytes[i] = (char)(0x80 | (point & 0x3f));
            point >>= 6;
        }
        bytes[0] = (char)((0xf00u >> size & 0xf0u) | point);
    }
    text_add(text, bytes, size);
}

/* The escape behind the '\' at `at`; returns its last character. */
static const char *put_unescaped(struct text *text, const char *at)
{
    static const char names[] = "bfnrt", values[] = "\b\f\n\r\t";
    const char *name = strchr(names, *at);
    unsigned long point;

    if (*at != 'u') {
        text_add(text, name && *name ? &values[name - names] : at, 1);
        return at;
    }
    for (int i = 1; i <= 4; i++) {
        if (!at[i]) {
            return at + i - 1;
        }
    }
    point = read_hex(at + 1);
    at += 4;
    if (point >= 0xd800 && point < 0xdc00 && at[1] == '\\' && at[2] == 'u' && at[3] &&
        at[4] && at[5] && at[6]) {
        unsigned long low = read_hex(at + 3);
        if (low >= 0xdc00 && low < 0xe000) {
            point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
            at += 6;
        }
    }
    put_point(text, point >= 0xd800 && point < 0xe000 ? 0xfffd : point);
    return at;
}

/* The string that begins at `at`, decoded. */
static bool put_decoded(struct text *text, const char *at)
{
    if (*at != '"') {
        return false;
    }
    for (at++; *at && *at != '"'; at++) {
        if (*at != '\\') {
            text_add(text, at, 1);
        } else if (*++at == '\0') {
            break;
        } else {
            at = put_unescaped(text, at);
        }
    }
    return true;
}

bool text_put_member(struct text *text, const char *json, const char *name)
{
    const char *at = skip_white(json);
    size_t size = name ? strlen(name) : 0;

    if (!name) {
        return put_decoded(text, at);
    }
    if (*at != '{') {
        return false;
    }
    at = skip_white(at + 1);
    while (*at == '"') {
        bool found = strncmp(at + 1, name, size) == 0 && at[1 + size] == '"';
        at = skip_string(at);
        at = at ? skip_white(at) : "";
        if (*at != ':') {
            return false;
        }
        at = skip_white(at + 1);
        if (found) {
            return put_decoded(text, at);
        }
        at = skip_value(at);
        at = at && *at == ',' ? skip_white(at + 1) : "";
    }
    return false;
}

size_t utf8_next(const char *at, size_t size, unsigned long *point)
{
    const unsigned char *bytes = (const unsigned char *)at;
    size_t length = bytes[0] < 0x80   ? 1
                    : bytes[0] < 0xc2 ? 0
                    : bytes[0] < 0xe0 ? 2
                    : bytes[0] < 0xf0 ? 3
                    : bytes[0] < 0xf5 ? 4
                                      : 0;

    if (length == 0 || length > size) {
        return 0;
    }
    *point = length == 1 ? bytes[0] : bytes[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80) {
            return 0;
        }
        *point = *point << 6 | (bytes[i] & 0x3f);
    }
    if ((length == 3 && *point < 0x800) || (length == 4 && *point < 0x10000) ||
        *point > 0x10ffff || (*point >= 0xd800 && *point < 0xe000)) {
        return 0;
    }
    return length;
}

static bool is_control(unsigned long point)
{
    return point < 0x20 || (point >= 0x7f && point < 0xa0) ||
           /* what turns the direction of text around */
           (point >= 0x202a && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069);
}

void text_put_harmless(struct text *text, const char *string)
{
    size_t left = strlen(string);

    while (left > 0) {
        unsigned long point = 0;
        size_t size = utf8_next(string, left, &point);
        if (size == 0) {
            text_put(text, "?");
            size = 1;
        } else if (is_control(point)) {
            text_put(text, " ");
        } else {
            text_add(text, string, size);
        }
        string += size;
        left -= size;
    }
}

/* Ranges of characters that take no column, and that take two: as far as scripts and
 * signs in daily use go. */
int columns_of(unsigned long point)
{
    static const struct {
        unsigned long first, last;
        int columns;
    } ranges[] = {
        {0x0300, 0x036f, 0},   {0x0483, 0x0489, 0},   {0x0591, 0x05bd, 0},
        {0x0610, 0x061a, 0},   {0x064b, 0x065f, 0},   {0x093c, 0x093c, 0},
        {0x1100, 0x115f, 2},   {0x1ab0, 0x1aff, 0},   {0x1dc0, 0x1dff, 0},
        {0x200b, 0x200f, 0},   {0x20d0, 0x20ff, 0},   {0x231a, 0x231b, 2},
        {0x2e80, 0x303e, 2},   {0x3041, 0xa4cf, 2},   {0xa960, 0xa97f, 2},
        {0xac00, 0xd7a3, 2},   {0xf900, 0xfaff, 2},   {0xfe00, 0xfe0f, 0},
        {0xfe20, 0xfe2f, 0},   {0xfe30, 0xfe6f, 2},   {0xff00, 0xff60, 2},
        {0xffe0, 0xffe6, 2},   {0x1f300, 0x1f64f, 2}, {0x1f680, 0x1f6ff, 2},
        {0x1f900, 0x1f9ff, 2}, {0x1fa70, 0x1faff, 2}, {0x20000, 0x3fffd, 2},
        {0xe0100, 0xe01ef, 0},
    };

    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        if (point >= ranges[i].first && point <= ranges[i].last) {
            return ranges[i].columns;
        }
    }
    return 1;
}

size_t text_fit(const char *string, size_t size, int columns)
{
    size_t used = 0;

    while (used < size) {
        unsigned long point = 0;
        size_t length = utf8_next(string + used, size - used, &point);
        columns -= length ? columns_of(point) : 1;
        if (columns < 0) {
            break;
        }
        used += length ? length : 1;
    }
    return used;
}

int text_columns(const char *string, size_t size)
{
    int columns = 0;

    for (size_t used = 0; used < size;) {
        unsigned long point = 0;
        size_t length = utf8_next(string + used, size - used, &point);
        columns += length ? columns_of(point) : 1;
        used += length ? length : 1;
    }
    return columns;
}
