/* SPDX-License-Identifier: MIT */
/* log.h - the library's log lines on stderr. */
#ifndef CLI_LOG_H
#define CLI_LOG_H

#include "args.h"

/* The flag --log, with the default `level`: one line of a command's flags. */
/* clang-format off */
#define LOG_FLAG(level)                                                          \
    {"log", YOMO_TYPE_CHOICE, level, "error|warn|info|debug|trace", NULL,        \
     "How much to tell on stderr."}
/* clang-format on */

/* Let the library of this command write its log as --log says. */
void log_begin(const struct args *args);

#endif
