/* SPDX-License-Identifier: MIT */
/* log.h - one line to whoever listens; silent when nobody does. */
#ifndef YO_BASE_LOG_H
#define YO_BASE_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <yomo/types.h>

#include "base/span.h"
#include "base/time.h"

struct yo_log {
    yomo_log_fn fn; /* NULL: `record`, if there is one */
    void *user;
    atomic_int level; /* lines above this level are not even formatted; a server's may
                         change while its workers read it */
    yomo_log_record_fn record; /* NULL: `fn`; at most one of the two is there */
};

static inline bool yo_log_wants(const struct yo_log *log, int level)
{
    return level <= atomic_load_explicit(&log->level, memory_order_relaxed) &&
           (log->fn || log->record);
}

/* What a line is about (<yomo/types.h> has the names). Zeroed memory is none; each adds
 * one and returns `fields`, so that they can stand in a call. An absent text, and what
 * there is no room for, is left out. Names are literals, texts lent until the line is
 * written. */
#define YO_LOG_FIELDS_MAX 12
struct yo_log_fields {
    struct {
        const char *name;
        struct yo_span text; /* absent: it is the number */
        uint64_t number;
    } list[YO_LOG_FIELDS_MAX];
    size_t count;
};
struct yo_log_fields *yo_log_text(struct yo_log_fields *fields, const char *name,
                                  struct yo_span text);
struct yo_log_fields *yo_log_number(struct yo_log_fields *fields, const char *name,
                                    uint64_t number);
/* Of an error of ours, but for YOMO_OK. */
struct yo_log_fields *yo_log_error(struct yo_log_fields *fields, int error);

/* One line; control characters in it are escaped, and the message is cut at 1,000
 * bytes, texts of fields at 300. `fields` may be NULL. */
void yo_log_write(const struct yo_log *log, int level, const char *module,
                  const struct yo_log_fields *fields, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* For lines that strangers can cause as often as they like: one a second. Zeroed memory
 * is a beginning. */
struct yo_log_pace {
    yo_time next;      /* before that no line is due */
    uint32_t left_out; /* lines since the last one */
};

/* May a line be written now? Then `*left_out` tells how many were not since the last.
 */
bool yo_log_may(struct yo_log_pace *pace, uint32_t *left_out, yo_time now);

#define YO_LOG(log, lvl, module, ...)                          \
    do {                                                       \
        if (yo_log_wants(log, lvl)) {                          \
            yo_log_write(log, lvl, module, NULL, __VA_ARGS__); \
        }                                                      \
    } while (0)

/* The same with fields, an expression that is looked at only when the line is wanted:
 *     YO_LOG_WITH(log, YOMO_LOG_INFO, "server",
 *                 yo_log_text(YO_LOG_NONE, "room", name), "closed"); */
#define YO_LOG_NONE (&(struct yo_log_fields){.count = 0})
#define YO_LOG_WITH(log, lvl, module, fields, ...)               \
    do {                                                         \
        if (yo_log_wants(log, lvl)) {                            \
            yo_log_write(log, lvl, module, fields, __VA_ARGS__); \
        }                                                        \
    } while (0)

#endif
