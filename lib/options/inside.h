/* SPDX-License-Identifier: MIT */
/* inside.h - what the files of this folder share. */
#ifndef YO_OPTIONS_INSIDE_H
#define YO_OPTIONS_INSIDE_H

#include "options/options.h"

/* Note one sentence for yomo_options_error; returns `error`. */
int yo_options_complain(yomo_options *options, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Set `name` to `value`, as yomo_options_set does. */
int yo_options_assign(yomo_options *options, struct yo_span name, struct yo_span value);

#endif
