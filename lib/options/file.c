/* SPDX-License-Identifier: MIT */
/* file.c - `name = value` lines from a file.
 *
 * A '#' begins a comment at the start of a line or behind a blank, so that a value may
 * have one inside. Lines are read one at a time into fixed room: a file of any size is
 * harmless. */
#include <errno.h>
#include <stdio.h>

#include "base/check.h"
#include "options/inside.h"

#define LINE_SIZE_MAX 8192

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct yo_span trim(struct yo_span text)
{
    while (text.size > 0 && is_blank(text.data[0])) {
        text = yo_span_skip(text, 1);
    }
    while (text.size > 0 && is_blank(text.data[text.size - 1])) {
        text.size--;
    }
    return text;
}

static struct yo_span without_comment(struct yo_span line)
{
    for (size_t i = 0; i < line.size; i++) {
        if (line.data[i] == '#' && (i == 0 || is_blank(line.data[i - 1]))) {
            return yo_span(line.data, i);
        }
    }
    return line;
}

static int take_line(yomo_options *options, struct yo_span line)
{
    const uint8_t *sign;
    size_t size;

    if (memchr(line.data, '\0', line.size)) {
        return yo_options_complain(options, YOMO_ERR_OPTION, "there is a NUL in it");
    }
    line = trim(without_comment(line));
    if (line.size == 0) {
        return YOMO_OK;
    }
    sign = memchr(line.data, '=', line.size);
    if (!sign) {
        return yo_options_complain(options, YOMO_ERR_OPTION, "expected name = value");
    }
    size = (size_t)(sign - line.data);
    return yo_options_assign(options, trim(yo_span(line.data, size)),
                             trim(yo_span_skip(line, size + 1)));
}

/* The next line with its newline, without end when it is longer than there is room.
 * 0 at the end of the file. NULs inside are kept. */
static size_t read_line(FILE *file, char *line, size_t room)
{
    size_t size = 0;
    int c;

    while (size < room && (c = getc(file)) != EOF) {
        line[size++] = (char)c;
        if (c == '\n') {
            break;
        }
    }
    return size;
}

static int read_lines(yomo_options *options, const char *path, FILE *file)
{
    char line[LINE_SIZE_MAX];
    unsigned long number = 0;
    size_t size;

    while ((size = read_line(file, line, sizeof(line))) > 0) {
        int rv;
        number++;
        if (size == sizeof(line)) {
            return yo_options_complain(options, YOMO_ERR_OPTION,
                                       "%.200s, line %lu: longer than %d bytes", path,
                                       number, LINE_SIZE_MAX - 1);
        }
        rv = take_line(options, yo_span(line, size));
        if (rv == YOMO_ERR_OPTION) {
            char why[512];
            snprintf(why, sizeof(why), "%s", yomo_options_error(options));
            return yo_options_complain(options, rv, "%.200s, line %lu: %s", path,
                                       number, why);
        }
        if (rv != YOMO_OK) {
            return rv;
        }
    }
    return YOMO_OK;
}

int32_t yomo_options_load(yomo_options *options, const char *path)
{
    FILE *file;
    int rv;

    YO_REQUIRE(options && path);
    file = fopen(path, "re"); /* e: close-on-exec */
    if (!file) {
        return yo_options_complain(options, YOMO_ERR_FILE, "%.200s: %s", path,
                                   strerror(errno));
    }
    rv = read_lines(options, path, file);
    if (rv == YOMO_OK && ferror(file)) {
        rv =
            yo_options_complain(options, YOMO_ERR_FILE, "%.200s: cannot be read", path);
    }
    fclose(file);
    return rv;
}
