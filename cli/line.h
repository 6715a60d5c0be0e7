/* SPDX-License-Identifier: MIT */
/* line.h - a line being typed: keys in, a line out.
 *
 * Pure: takes the bytes that a terminal sends in raw mode, in whatever pieces they
 * come, and knows nothing of the terminal itself. */
#ifndef CLI_LINE_H
#define CLI_LINE_H

#include <stdbool.h>
#include <stddef.h>

#define LINE_SIZE_MAX 2000

/* Zeroed memory is an empty line. */
struct line {
    char text[LINE_SIZE_MAX + 1]; /* UTF-8, whole characters */
    size_t size;
    size_t cursor; /* on a character's first byte, or at the end */
    char part[16]; /* a character or an escape sequence that is not whole yet */
    size_t part_size;
    char last[LINE_SIZE_MAX + 1]; /* the line before this one */
};

enum line_event {
    LINE_NONE,
    LINE_ENTERED, /* `text` is to be taken, then line_clear */
    LINE_ENDED    /* Ctrl-D on an empty line */
};

/* Take one byte. */
enum line_event line_feed(struct line *line, char byte);

/* Begin the next one; this one can be called back with the up key. */
void line_clear(struct line *line);

#endif
