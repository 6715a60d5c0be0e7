/* SPDX-License-Identifier: MIT */
/* command.h - what every command of the program is.
 *
 * A command is one file with one `const struct command`, and its line in the table of
 * main.c. Its flags are the options of its scope (from the library's own table) and
 * those in `flags`; its help is made from both. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <yomo/yomo.h>

enum exit_code {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_UNREACHABLE = 3,
    EXIT_REFUSED = 4,
    EXIT_TIMEOUT = 5
};

#define NO_SCOPE (-1)

/* A flag that is no option of the library. */
struct flag {
    const char *name;
    enum yomo_option_type type; /* LIST is not used here */
    const char *value;          /* the default; NULL: none */
    const char *choices;        /* CHOICE: "a|b" */
    const char *shown;          /* what stands for the value in help: "JSON" */
    const char *help;
};

struct args;

struct command {
    const char *name;
    const char *arguments;    /* "URL ROOM": all of them are needed */
    const char *summary;      /* one line */
    const char *text;         /* what more there is to say, in paragraphs */
    int32_t scope;            /* whose options are flags; NO_SCOPE for none */
    const struct flag *flags; /* closed by one without a name */
    int (*run)(struct args *args);
};

extern const struct command *const commands[]; /* main.c, closed by NULL */

extern const struct command serve_command;
extern const struct command sub_command;
extern const struct command pub_command;
extern const struct command chat_command;
extern const struct command request_command;
extern const struct command history_command;
extern const struct command value_command;
extern const struct command values_command;
extern const struct command lock_command;
extern const struct command ping_command;
extern const struct command bench_command;
extern const struct command admin_command;

/* The exit code that tells of `error`. */
int exit_code_of(int32_t error);

#endif
