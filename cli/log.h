/* SPDX-License-Identifier: MIT */
/* log.h - the library's log lines on stderr: text, or one JSON object a line. */
#ifndef CLI_LOG_H
#define CLI_LOG_H

#include "args.h"

enum log_format { LOG_TEXT, LOG_JSON };

/* The flag --log, with the default `level`: one line of a command's flags. */
/* clang-format off */
#define LOG_FLAG(level)                                                          \
    {"log", YOMO_TYPE_CHOICE, level, "error|warn|info|debug|trace", NULL,        \
     "How much to tell on stderr."}
/* clang-format on */

/* Let the library of this command write its log as --log says. */
void log_begin(const struct args *args);

/* The same for a backend, by its options log-level and log-format; --log, when given,
 * wins. May be called again: the format counts for all lines from then on. */
void log_begin_serve(const struct args *args);

enum log_format log_format(void);
void log_set_format(enum log_format wanted);

/* A line of the backend's own program, in the format that was chosen. */
void log_say(int32_t level, const char *text, ...)
    __attribute__((format(printf, 2, 3)));

/* The line that says where it listens; `json` is an object. */
void log_listening(const char *json);

#endif
