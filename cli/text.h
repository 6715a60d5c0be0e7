/* SPDX-License-Identifier: MIT */
/* text.h - a text that grows, JSON as far as the program needs it, and what a terminal
 * may be shown. */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Zeroed memory is an empty one. Without memory `failed` is set and what was added
 * since is missing. */
struct text {
    char *data; /* with a NUL behind it, NULL when nothing was ever added */
    size_t size, capacity;
    bool failed;
};

void text_finish(struct text *text);
void text_clear(struct text *text);
void text_add(struct text *text, const char *bytes, size_t size);
void text_put(struct text *text, const char *string);
/* At most 255 bytes of it. */
void text_format(struct text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Add `string` as a JSON string with its quotes. */
void text_put_string(struct text *text, const char *string);

/* Add the JSON `json` without the white space between its parts: it is one line then,
 * whoever wrote it. */
void text_put_json(struct text *text, const char *json, size_t size);

/* Add the value of the member `name` of the JSON object `json` if it is a string, or
 * `json` itself if that is a string and `name` is NULL. False when there is none. */
bool text_put_member(struct text *text, const char *json, const char *name);

/* Add `string` as a terminal may be shown it: no control characters, which could move
 * its cursor, and no bytes that are not UTF-8. */
void text_put_harmless(struct text *text, const char *string);

/* The length of the UTF-8 character at `at` (`size` > 0 bytes are there): 0 when it is
 * not well-formed. `*point` is its code point. */
size_t utf8_next(const char *at, size_t size, unsigned long *point);

/* Columns that a terminal gives to a character: 0, 1 or 2. */
int columns_of(unsigned long point);

/* Columns of `string`, and how many of its bytes fit into `columns`. */
int text_columns(const char *string, size_t size);
size_t text_fit(const char *string, size_t size, int columns);

#endif
