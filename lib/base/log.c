/* SPDX-License-Identifier: MIT */
/* log.c - a line is formatted into fixed room, made harmless, and handed on.
 *
 * Names and texts from peers reach the log. What could move a terminal's cursor or fake
 * a second line is escaped: control characters, also those of Latin-1 (U+0080 to
 * U+009F), and bytes that are not UTF-8. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define LINE_SIZE_MAX 1000

/* The length of the character at `text`, 0 when it is to be escaped. */
static size_t harmless(struct yo_span text)
{
    uint8_t first = text.data[0];
    size_t size = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

    if (size == 1) {
        return first >= 0x20 && first != 0x7f ? 1 : 0;
    }
    if (size > text.size || !yo_utf8_valid(yo_span(text.data, size)) ||
        (first == 0xc2 && text.data[1] < 0xa0)) {
        return 0;
    }
    return size;
}

static size_t escape(char out[5], uint8_t byte)
{
    static const char digits[] = "0123456789abcdef";

    out[0] = '\\';
    if (byte == '\n' || byte == '\r' || byte == '\t') {
        out[1] = byte == '\n' ? 'n' : byte == '\r' ? 'r' : 't';
        return 2;
    }
    out[1] = 'x';
    out[2] = digits[byte >> 4];
    out[3] = digits[byte & 15];
    return 4;
}

/* `out` has room for LINE_SIZE_MAX bytes and a NUL; nothing is cut in its middle. */
static void make_harmless(char *out, struct yo_span text)
{
    size_t used = 0;

    while (text.size > 0) {
        char escaped[5];
        size_t taken = harmless(text);
        size_t size = taken;
        const void *from = text.data;
        if (taken == 0) {
            taken = 1;
            size = escape(escaped, text.data[0]);
            from = escaped;
        }
        if (size > LINE_SIZE_MAX - used) {
            break;
        }
        memcpy(out + used, from, size);
        used += size;
        text = yo_span_skip(text, taken);
    }
    out[used] = '\0';
}

/* Was the last character of a line that did not fit cut in its middle? Drop it. */
static size_t whole_characters(const char *line, size_t size)
{
    size_t end = size;
    size_t back = 0;

    while (end > 0 && back < 3 && ((uint8_t)line[end - 1] & 0xc0) == 0x80) {
        end--;
        back++;
    }
    if (end > 0 && (uint8_t)line[end - 1] >= 0xc0) {
        uint8_t first = (uint8_t)line[end - 1];
        size_t whole = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
        if (back + 1 < whole) {
            return end - 1;
        }
    }
    return size;
}

void yo_log_write(const struct yo_log *log, int level, const char *module,
                  const char *format, ...)
{
    char line[LINE_SIZE_MAX + 1];
    char text[LINE_SIZE_MAX + 1];
    size_t size;
    va_list args;
    int length;

    if (!yo_log_wants(log, level)) {
        return;
    }
    va_start(args, format);
    length = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (length < 0) {
        return;
    }
    size = (size_t)length;
    if (size > LINE_SIZE_MAX) {
        size = whole_characters(line, LINE_SIZE_MAX);
    }
    make_harmless(text, yo_span(line, size));
    log->fn(log->user, level, module, text);
}

bool yo_log_may(struct yo_log_pace *pace, uint32_t *left_out, yo_time now)
{
    if (now < pace->next) {
        pace->left_out += pace->left_out < UINT32_MAX;
        return false;
    }
    *left_out = pace->left_out;
    pace->left_out = 0;
    pace->next = yo_time_after(now, YO_SECOND);
    return true;
}
