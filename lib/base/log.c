/* SPDX-License-Identifier: MIT */
/* log.c - a line is formatted into fixed room, made harmless, and handed on.
 *
 * Names and texts from peers reach the log. What could move a terminal's cursor or fake
 * a second line is escaped: control characters, also those of Latin-1 (U+0080 to
 * U+009F), and bytes that are not UTF-8. */
#include "base/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <yomo/error.h>

#include "base/text.h"

#define LINE_SIZE_MAX 1000
#define FIELD_SIZE_MAX 300
#define CUT "..."
#define NAME_SIZE_MAX 32
/* Each may double where every byte is a quote. */
#define FIELDS_SIZE_MAX \
    (YO_LOG_FIELDS_MAX * (NAME_SIZE_MAX + 2 * (FIELD_SIZE_MAX + sizeof(CUT)) + 4))

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
    if (byte == '\n' || byte == '\r' || byte == '\t' || byte == '\\') {
        out[1] = byte == '\n' ? 'n' : byte == '\r' ? 'r' : byte == '\t' ? 't' : '\\';
        return 2;
    }
    out[1] = 'x';
    out[2] = digits[byte >> 4];
    out[3] = digits[byte & 15];
    return 4;
}

/* `out` has room for `max` bytes and a NUL; nothing is cut in its middle. `exact`: no
 * two texts become the same, unless one is cut. Returns how much there is, and whether
 * that is all. */
static size_t make_harmless(char *out, size_t max, struct yo_span text, bool exact,
                            bool *all)
{
    size_t used = 0;

    while (text.size > 0) {
        char escaped[5];
        size_t taken = exact && text.data[0] == '\\' ? 0 : harmless(text);
        size_t size = taken;
        const void *from = text.data;
        if (taken == 0) {
            taken = 1;
            size = escape(escaped, text.data[0]);
            from = escaped;
        }
        if (size > max - used) {
            break;
        }
        memcpy(out + used, from, size);
        used += size;
        text = yo_span_skip(text, taken);
    }
    out[used] = '\0';
    *all = text.size == 0;
    return used;
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

/* --- fields ---------------------------------------------------------------------- */

static struct yo_log_fields *add(struct yo_log_fields *fields, const char *name,
                                 struct yo_span text, uint64_t number)
{
    if (fields->count < YO_LOG_FIELDS_MAX) {
        fields->list[fields->count].name = name;
        fields->list[fields->count].text = text;
        fields->list[fields->count].number = number;
        fields->count++;
    }
    return fields;
}

struct yo_log_fields *yo_log_text(struct yo_log_fields *fields, const char *name,
                                  struct yo_span text)
{
    return text.data ? add(fields, name, text, 0) : fields;
}

struct yo_log_fields *yo_log_number(struct yo_log_fields *fields, const char *name,
                                    uint64_t number)
{
    return add(fields, name, YO_SPAN_NONE, number);
}

struct yo_log_fields *yo_log_error(struct yo_log_fields *fields, int error)
{
    return error != YOMO_OK
               ? add(fields, "error", yo_span_of(yomo_error_name(error)), 0)
               : fields;
}

/* Their harmless texts, and what the host is shown of them. */
struct shown {
    char texts[YO_LOG_FIELDS_MAX][FIELD_SIZE_MAX + sizeof(CUT)];
    struct yomo_log_field list[YO_LOG_FIELDS_MAX];
    uint32_t count;
};

static void show(struct shown *shown, const struct yo_log_fields *fields)
{
    shown->count = fields ? (uint32_t)fields->count : 0;
    for (uint32_t i = 0; i < shown->count; i++) {
        struct yo_span text = fields->list[i].text;
        struct yomo_log_field *to = &shown->list[i];
        char *room = shown->texts[i];
        bool all;
        *to = (struct yomo_log_field){.name = fields->list[i].name,
                                      .number = fields->list[i].number};
        if (text.data) {
            size_t used = make_harmless(room, FIELD_SIZE_MAX, text, true, &all);
            if (!all) {
                memcpy(room + used, CUT, sizeof(CUT));
            }
            to->text = room;
        }
    }
}

/* --- a line ---------------------------------------------------------------------- */

struct line {
    char text[LINE_SIZE_MAX + FIELDS_SIZE_MAX + 1];
    size_t size;
};

static void put(struct line *line, const char *text, size_t size)
{
    if (size < sizeof(line->text) - line->size) { /* always: FIELDS_SIZE_MAX */
        memcpy(line->text + line->size, text, size);
        line->size += size;
        line->text[line->size] = '\0';
    }
}

static bool needs_quotes(const char *text)
{
    return text[0] == '\0' || strpbrk(text, " \"=") != NULL;
}

static void put_value(struct line *line, const struct yomo_log_field *field)
{
    char number[24];
    const char *quote = field->text && needs_quotes(field->text) ? "\"" : "";

    if (!field->text) {
        put(line, number,
            (size_t)snprintf(number, sizeof(number), "%" PRIu64, field->number));
        return;
    }
    put(line, quote, strlen(quote));
    for (const char *at = field->text; *at;
         at++) { /* backslashes are escaped already */
        put(line, *at == '"' ? "\\\"" : at, *at == '"' ? 2 : 1);
    }
    put(line, quote, strlen(quote));
}

static void write_text(const struct yo_log *log, int level, const char *module,
                       const char *message, const struct shown *shown)
{
    struct line line;

    line.size = 0;
    put(&line, message, strlen(message));
    for (uint32_t i = 0; i < shown->count; i++) {
        put(&line, " ", 1);
        put(&line, shown->list[i].name, strlen(shown->list[i].name));
        put(&line, "=", 1);
        put_value(&line, &shown->list[i]);
    }
    log->fn(log->user, level, module, line.text);
}

void yo_log_write(const struct yo_log *log, int level, const char *module,
                  const struct yo_log_fields *fields, const char *format, ...)
{
    char line[LINE_SIZE_MAX + 1];
    char text[LINE_SIZE_MAX + 1];
    struct shown shown;
    size_t size;
    va_list args;
    int length;
    bool all;

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
    (void)make_harmless(text, LINE_SIZE_MAX, yo_span(line, size), false, &all);
    show(&shown, fields);
    if (log->record) {
        const struct yomo_log_record record = {.size = sizeof(record),
                                               .level = level,
                                               .module = module,
                                               .message = text,
                                               .fields = shown.list,
                                               .field_count = shown.count};
        log->record(log->user, &record);
    } else {
        write_text(log, level, module, text, &shown);
    }
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
