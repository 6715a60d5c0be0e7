/* SPDX-License-Identifier: MIT */
/* log.c - a line is put together in fixed room and leaves in one write, so that lines
 * of several threads do not mix.
 *
 * What strangers said is in these texts. The library has escaped its control characters
 * already; JSON escapes what it must, and those once more should there be any. */
#include "log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Twice 1,000 bytes of text and sixteen fields of 300, and what is around them. */
#define LINE_SIZE_MAX 13000

static const char *const levels[] = {"error", "warn", "info", "debug", "trace"};
static atomic_int format; /* enum log_format: lines come from several threads */

struct line {
    char text[LINE_SIZE_MAX];
    size_t size;
};

static void add(struct line *line, const char *bytes, size_t size)
{
    size_t room = sizeof(line->text) - 8 - line->size; /* 8: what closes it */

    size = size < room ? size : room;
    memcpy(line->text + line->size, bytes, size);
    line->size += size;
}

static void add_text(struct line *line, const char *text)
{
    add(line, text, strlen(text));
}

/* Whole characters or nothing, in quotes. */
static void add_quoted(struct line *line, const char *text)
{
    static const size_t spare = 16; /* an escape, the quote, and what closes the line */

    add_text(line, "\"");
    while (*text && line->size + spare < sizeof(line->text)) {
        unsigned char c = (unsigned char)*text;
        size_t size = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
        char escaped[8];
        if (c == '"' || c == '\\') {
            snprintf(escaped, sizeof(escaped), "\\%c", c);
            add_text(line, escaped);
        } else if (c < 0x20 || c == 0x7f) {
            snprintf(escaped, sizeof(escaped), "\\u%04x", c);
            add_text(line, escaped);
        } else {
            add(line, text, strnlen(text, size));
        }
        text += strnlen(text, size);
    }
    add_text(line, "\"");
}

static void add_time(struct line *line)
{
    struct timespec now;
    struct tm tm;
    char text[40];
    size_t size;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    size = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + size, sizeof(text) - size, ".%03ldZ", now.tv_nsec / 1000000);
    add_text(line, text);
}

static void begin_line(struct line *line, int32_t level, const char *module,
                       const char *text)
{
    char padded[8];

    line->size = 0;
    if (atomic_load_explicit(&format, memory_order_relaxed) == LOG_JSON) {
        add_text(line, "{\"time\":\"");
        add_time(line);
        add_text(line, "\",\"level\":\"");
        add_text(line, levels[level]);
        add_text(line, "\",\"module\":");
        add_quoted(line, module);
        add_text(line, ",\"message\":");
        add_quoted(line, text);
        return;
    }
    add_time(line);
    snprintf(padded, sizeof(padded), " %-5s ", levels[level]);
    add_text(line, padded);
    add_text(line, module);
    add_text(line, ": ");
    add_text(line, text);
}

static void write_out(struct line *line)
{
    ssize_t written;

    if (line->text[0] == '{') {
        add_text(line, "}");
    }
    line->text[line->size++] = '\n';
    written = write(STDERR_FILENO, line->text, line->size);
    (void)written; /* there is nobody left to tell */
}

/* As text a value stands in quotes where it would not end otherwise; the library has
 * escaped backslashes in it. */
static void add_value(struct line *line, const char *text)
{
    bool quoted = text[0] == '\0' || strpbrk(text, " \"=") != NULL;

    add_text(line, quoted ? "\"" : "");
    for (; *text; text++) {
        add(line, *text == '"' ? "\\\"" : text, *text == '"' ? 2 : 1);
    }
    add_text(line, quoted ? "\"" : "");
}

/* A member of the object, or name=value. */
static void add_field(struct line *line, const yomo_log_field *field)
{
    bool json = line->text[0] == '{';
    char number[24];

    add_text(line, json ? ",\"" : " ");
    add_text(line, field->name);
    add_text(line, json ? "\":" : "=");
    if (!field->text) {
        snprintf(number, sizeof(number), "%" PRIu64, field->number);
        add_text(line, number);
    } else if (json) {
        add_quoted(line, field->text);
    } else {
        add_value(line, field->text);
    }
}

static void write_record(void *user, const yomo_log_record *record)
{
    struct line line;

    (void)user;
    begin_line(&line, record->level, record->module, record->message);
    for (uint32_t i = 0; i < record->field_count; i++) {
        add_field(&line, &record->fields[i]);
    }
    write_out(&line);
}

static void write_line(int32_t level, const char *module, const char *text)
{
    struct line line;

    begin_line(&line, level, module, text);
    write_out(&line);
}

static int32_t level_of(const char *name)
{
    int32_t level = 0;

    while (strcmp(levels[level], name) != 0) {
        level++;
    }
    return level;
}

void log_begin(const struct args *args)
{
    const char *name = args_text(args, "log");

    yomo_options_set_log_record(args->options, write_record, NULL, level_of(name));
}

void log_begin_serve(const struct args *args)
{
    const char *name = args_given(args, "log")
                           ? args_text(args, "log")
                           : yomo_options_get(args->options, "log-level");
    const char *wanted = yomo_options_get(args->options, "log-format");

    yomo_options_set_log_record(args->options, write_record, NULL, level_of(name));
    atomic_store_explicit(&format, strcmp(wanted, "json") == 0 ? LOG_JSON : LOG_TEXT,
                          memory_order_relaxed);
}

enum log_format log_format(void)
{
    return (enum log_format)atomic_load_explicit(&format, memory_order_relaxed);
}

void log_set_format(enum log_format wanted)
{
    atomic_store_explicit(&format, wanted, memory_order_relaxed);
}

void log_say(int32_t level, const char *text, ...)
{
    char said[1000];
    va_list list;

    va_start(list, text);
    vsnprintf(said, sizeof(said), text, list);
    va_end(list);
    if (log_format() == LOG_JSON) {
        write_line(level, "serve", said);
    } else {
        fprintf(stderr, "yomo serve: %s\n", said);
    }
}

void log_listening(const char *json)
{
    char line[4096];
    struct line head;
    ssize_t written;
    int size;

    if (log_format() != LOG_JSON) {
        fprintf(stderr, "listening %s\n", json);
        return;
    }
    begin_line(&head, YOMO_LOG_INFO, "serve", "listening");
    size = snprintf(line, sizeof(line), "%.*s,\"listening\":%s}\n", (int)head.size,
                    head.text, json);
    if (size > 0 && (size_t)size < sizeof(line)) {
        written = write(STDERR_FILENO, line, (size_t)size);
        (void)written;
    }
}
