/* SPDX-License-Identifier: MIT */
/* log.h - one line to whoever listens; silent when nobody does. */
#ifndef YO_BASE_LOG_H
#define YO_BASE_LOG_H

#include <yomo/types.h>

struct yo_log {
    yomo_log_fn fn; /* NULL: silent */
    void *user;
    int level; /* lines above this level are not even formatted */
};

/* One line; control characters in it are escaped, and it is cut at 1,000 bytes. */
void yo_log_write(const struct yo_log *log, int level, const char *module,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));

#define YO_LOG(log, lvl, module, ...)                                                    \
    do {                                                                                 \
        if ((log)->fn && (lvl) <= (log)->level) {                                        \
            yo_log_write(log, lvl, module, __VA_ARGS__);                                 \
        }                                                                                \
    } while (0)

#endif
