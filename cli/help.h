/* SPDX-License-Identifier: MIT */
/* help.h - what the program says about itself, all of it made from tables. */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include <stdio.h>

#include "command.h"

/* The page of the program: its commands. */
void help_program(FILE *out);

/* The page of one command: arguments, flags, options, exit codes. */
void help_command(FILE *out, const struct command *command);

/* docs/options.md: every option of the library. */
void help_markdown(FILE *out);

#endif
