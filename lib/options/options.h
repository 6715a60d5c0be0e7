/* SPDX-License-Identifier: MIT */
/* options.h - typed access to a set of options, for client/ and server/.
 *
 * The table (table.c) has one row for each option: name, scope, type, default, choices,
 * help. A getter asked for a name that is not in the set's scope, or of another type,
 * is our own mistake and asserts: values were checked when they were set. */
#ifndef YO_OPTIONS_OPTIONS_H
#define YO_OPTIONS_OPTIONS_H

#include <yomo/options.h>
#include <yomo/transport.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/span.h"

int32_t yo_options_scope(const yomo_options *options);

/* A deep copy, so that a handle keeps its own. NULL when out of memory. */
yomo_options *yo_options_copy(const yomo_options *options);

const char *yo_options_text(const yomo_options *options,
                            const char *name); /* or NULL */
uint64_t yo_options_number(const yomo_options *options, const char *name);
uint64_t yo_options_ms(const yomo_options *options, const char *name); /* DURATION */
bool yo_options_switch(const yomo_options *options, const char *name);
int yo_options_choice(const yomo_options *options, const char *name);  /* index */
bool yo_options_is_set(const yomo_options *options, const char *name); /* not default */

/* The words of a LIST, one after the other; absent past the last. */
struct yo_span yo_options_item(const yomo_options *options, const char *name,
                               size_t index);

const struct yomo_mem *yo_options_mem(const yomo_options *options);
const struct yo_log *yo_options_log(const yomo_options *options);
/* Other lines from now on. Thread: any, also while others write lines. */
void yo_options_set_log_level(yomo_options *options, int level);

/* The host's transport for `scheme`, or NULL. */
struct yo_custom_transport {
    yomo_transport transport;
    yomo_transport_connect_fn connect;
    void *user;
};
const struct yo_custom_transport *yo_options_transport(const yomo_options *options,
                                                       struct yo_span scheme);

#endif
