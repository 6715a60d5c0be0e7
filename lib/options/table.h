/* SPDX-License-Identifier: MIT */
/* table.h - every option there is, one row each.
 *
 * The C API, the program's flags, its configuration file, docs/options.md and bindings
 * all come from these rows: a new option is a new row and nothing else. */
#ifndef YO_OPTIONS_TABLE_H
#define YO_OPTIONS_TABLE_H

#include <stdbool.h>
#include <yomo/options.h>

#include "base/span.h"

/* What the words of a TEXT or LIST must look like, beyond being UTF-8. */
enum yo_option_form {
    YO_FORM_ANY,
    YO_FORM_PORT,     /* a port number or "none" */
    YO_FORM_HASH,     /* SHA-256: 64 hexadecimal digits, ':' between bytes allowed */
    YO_FORM_ORIGIN,   /* scheme://host[:port], or "*" */
    YO_FORM_PAIR,     /* name=value, neither empty */
    YO_FORM_APP_LIMIT /* application:limit=number (value.h) */
};

struct yo_option {
    const char *name;
    enum yomo_option_type type;
    const char *value;   /* the default; NULL: none */
    const char *choices; /* CHOICE: "a|b" */
    uint64_t min, max;   /* NUMBER; DURATION in milliseconds */
    enum yo_option_form form;
    const char *help; /* sentences, the first one short */
};

#define YO_OPTIONS_MAX 128 /* rows of one scope */

/* May a server that runs take another value of that row? (yomo_server_reload_options)
 */
bool yo_option_is_live(int32_t scope, size_t index);

/* The row of that number; NULL past the last, and for a scope that does not exist. */
const struct yo_option *yo_option_at(int32_t scope, size_t index);

/* The index of `name`, or -1. */
int yo_option_find(int32_t scope, struct yo_span name);

#endif
