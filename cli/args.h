/* SPDX-License-Identifier: MIT */
/* args.h - a command line taken apart.
 *
 * `--name value` and `--name=value`; switches are `--name` and `--no-name`; `--` ends
 * the flags. A negative number is an argument, not a flag. */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include <stdbool.h>

#include "command.h"

#define ARGUMENTS_MAX 4
#define FLAGS_MAX 24

struct args {
    const struct command *command;
    int argc; /* what was taken apart, to do it again */
    char *const *argv;
    yomo_options *options; /* NULL when the command has no scope */
    const char *arguments[ARGUMENTS_MAX];
    size_t argument_count;
    const char *values[FLAGS_MAX]; /* of the command's own flags; NULL: not given */
    bool help;                     /* --help stands in it; the rest was not looked at */
    char error[700];               /* why parsing failed, in one sentence */
};

/* Take `argv` apart (without program and command). EXIT_DONE; EXIT_USAGE with a
 * sentence that says what would be right; EXIT_FAILED for a file that cannot be read
 * and without memory. The texts of `argv` are kept. */
int args_parse(struct args *args, const struct command *command, int argc,
               char *const *argv);
void args_finish(struct args *args);

/* The value of one of the command's own flags, or its default. */
const char *args_text(const struct args *args, const char *name);
uint64_t args_number(const struct args *args, const char *name);
uint64_t args_ms(const struct args *args, const char *name);
bool args_switch(const struct args *args, const char *name);
bool args_given(const struct args *args, const char *name);

/* The name that is closest to `word` among those that `next` gives from 0 until NULL,
 * or NULL when none is close. */
const char *nearest(const char *word,
                    const char *(*next)(const void *from, size_t index),
                    const void *from);

/* Readers of single values; false when `text` is none. */
bool read_number(const char *text, uint64_t *number); /* with k, m, g */
bool read_ms(const char *text, uint64_t *ms);         /* 250ms, 10s, 5m, 1h, 3 */
bool read_switch(const char *text, bool *on);

#endif
