/* SPDX-License-Identifier: MIT */
/* log.h - one line to whoever listens; silent when nobody does. */
#ifndef YO_BASE_LOG_H
#define YO_BASE_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <yomo/types.h>

#include "base/time.h"

struct yo_log {
    yomo_log_fn fn; /* NULL: silent */
    void *user;
    atomic_int level; /* lines above this level are not even formatted; a server's may
                         change while its workers read it */
};

static inline bool yo_log_wants(const struct yo_log *log, int level)
{
    return log->fn && level <= atomic_load_explicit(&log->level, memory_order_relaxed);
}

/* One line; control characters in it are escaped, and it is cut at 1,000 bytes. */
void yo_log_write(const struct yo_log *log, int level, const char *module,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));

/* For lines that strangers can cause as often as they like: one a second. Zeroed memory
 * is a beginning. */
struct yo_log_pace {
    yo_time next;      /* before that no line is due */
    uint32_t left_out; /* lines since the last one */
};

/* May a line be written now? Then `*left_out` tells how many were not since the last.
 */
bool yo_log_may(struct yo_log_pace *pace, uint32_t *left_out, yo_time now);

#define YO_LOG(log, lvl, module, ...)                    \
    do {                                                 \
        if (yo_log_wants(log, lvl)) {                    \
            yo_log_write(log, lvl, module, __VA_ARGS__); \
        }                                                \
    } while (0)

#endif
