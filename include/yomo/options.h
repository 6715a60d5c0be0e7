/* SPDX-License-Identifier: MIT */
#ifndef YOMO_OPTIONS_H
#define YOMO_OPTIONS_H

/** @file options.h
 * Names and values. The same names serve the C API, the program's flags, its
 * configuration file and every binding; docs/options.md is made from the same table. */

#include <yomo/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Which options a name may come from. */
enum yomo_option_scope { YOMO_SCOPE_CLIENT = 0, YOMO_SCOPE_SERVER = 1 };

/** How a value is written. */
enum yomo_option_type {
    YOMO_TYPE_TEXT = 0,     /**< any UTF-8 text */
    YOMO_TYPE_NUMBER = 1,   /**< decimal, or with a suffix k, m, g (powers of 1024) */
    YOMO_TYPE_DURATION = 2, /**< 250ms, 10s, 5m, 1h; a bare number is seconds */
    YOMO_TYPE_SWITCH = 3,   /**< true/false, yes/no, on/off, 1/0 */
    YOMO_TYPE_CHOICE = 4,   /**< one of the words in its choices */
    YOMO_TYPE_LIST = 5      /**< words separated by commas; setting it again appends */
};

/** An empty set of options for one kind of handle.
 *
 * Ownership: `*out` is the caller's, for yomo_options_free. One set may serve any number
 *            of handles: creating one copies what it needs.
 * Thread:    any, one at a time for each set.
 * Errors:    INVALID, NOMEM. */
YOMO_API int32_t yomo_options_create(yomo_options **out, int32_t scope);

/** Give it back. Accepts NULL. */
YOMO_API void yomo_options_free(yomo_options *options);

/** Set `name` to `value`. NULL puts the default back.
 *
 * Ownership: both are copied.
 * Errors:    OPTION for an unknown name or a value that it does not take:
 *            yomo_options_error says what would be right; NOMEM. Nothing was set. */
YOMO_API int32_t yomo_options_set(yomo_options *options, const char *name,
                                  const char *value);

/** The value of `name` as it would be used, or NULL for an unknown name or an option
 * that has no value. Valid until the set changes. */
YOMO_API const char *yomo_options_get(const yomo_options *options, const char *name);

/** One sentence about the last yomo_options_set that failed on this set; "" when none
 * did. Valid until the next call that changes the set. */
YOMO_API const char *yomo_options_error(const yomo_options *options);

/** Read `name = value` lines from the file at `path`: `#` begins a comment, blank lines
 * are passed over, later lines win, a list grows.
 *
 * Errors: FILE, OPTION (yomo_options_error names the line), NOMEM. The lines before the
 *         wrong one were set. */
YOMO_API int32_t yomo_options_load(yomo_options *options, const char *path);

/** Take memory from `mem` instead of the C library. `mem` is copied. */
YOMO_API int32_t yomo_options_set_mem(yomo_options *options, const yomo_mem *mem);

/** Where log lines go (nowhere by default), and up to which level. */
YOMO_API int32_t yomo_options_set_log(yomo_options *options, yomo_log_fn fn, void *user,
                                      int32_t level);

/** The same in parts (yomo_log_record), for a host that keeps them apart. Whichever of the two
 * was set last counts. Errors: INVALID. */
YOMO_API int32_t yomo_options_set_log_record(yomo_options *options, yomo_log_record_fn fn,
                                             void *user, int32_t level);

/** The table itself, for programs and bindings that show it: `index` from 0 until the
 * call returns NULL. All strings are static. Thread: any. */
YOMO_API const char *yomo_option_name(int32_t scope, uint32_t index);
YOMO_API int32_t yomo_option_type(int32_t scope, uint32_t index);
YOMO_API const char *yomo_option_default(int32_t scope, uint32_t index); /* may be NULL */
YOMO_API const char *yomo_option_choices(int32_t scope, uint32_t index); /* "a|b", NULL */
YOMO_API const char *yomo_option_help(int32_t scope, uint32_t index);
/** 1 when a server may take another value while it runs (yomo_server_reload_options). */
YOMO_API int32_t yomo_option_is_live(int32_t scope, uint32_t index);

#ifdef __cplusplus
}
#endif

#endif
