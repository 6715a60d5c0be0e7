/* SPDX-License-Identifier: MIT */
/* main.c - the table of commands, and which one is meant. */
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "help.h"

const struct command *const commands[] = {
    &serve_command,   &sub_command,  &pub_command,   &request_command, &chat_command,
    &history_command, &ping_command, &bench_command, &admin_command,
    &value_command,   &values_command, &lock_command, NULL,
};

int exit_code_of(int32_t error)
{
    switch (error) {
    case YOMO_OK:
        return EXIT_DONE;
    case YOMO_ERR_INVALID:
    case YOMO_ERR_OPTION:
    case YOMO_ERR_JSON:
    case YOMO_ERR_URL:
        return EXIT_USAGE;
    case YOMO_ERR_CLOSED:
    case YOMO_ERR_UNSURE:
    case YOMO_ERR_UNREACHABLE:
    case YOMO_ERR_RESOLVE:
    case YOMO_ERR_TLS:
    case YOMO_ERR_CERT:
        return EXIT_UNREACHABLE;
    case YOMO_ERR_FULL:
    case YOMO_ERR_DENIED:
    case YOMO_ERR_AUTH:
    case YOMO_ERR_KICKED:
    case YOMO_ERR_RATE:
    case YOMO_ERR_DRAINING:
        return EXIT_REFUSED;
    case YOMO_ERR_TIMEOUT:
        return EXIT_TIMEOUT;
    default:
        return EXIT_FAILED;
    }
}

static const struct command *find(const char *name)
{
    for (size_t i = 0; commands[i]; i++) {
        if (strcmp(commands[i]->name, name) == 0) {
            return commands[i];
        }
    }
    return NULL;
}

static const char *command_name(const void *from, size_t index)
{
    (void)from;
    return commands[index] ? commands[index]->name : NULL;
}

static int unknown(const char *name)
{
    const char *meant = nearest(name, command_name, NULL);

    fprintf(stderr, "yomo: there is no command '%.40s'", name);
    if (meant) {
        fprintf(stderr, "; did you mean '%s'?\n", meant);
    } else {
        fputs("; yomo --help shows those that there are\n", stderr);
    }
    return EXIT_USAGE;
}

/* What is written for a reader must have arrived. */
static int printed(void)
{
    return fflush(stdout) == 0 && !ferror(stdout) ? EXIT_DONE : EXIT_FAILED;
}

static int help(int argc, char **argv)
{
    const struct command *command;

    if (argc == 0) {
        help_program(stdout);
        return printed();
    }
    if (strcmp(argv[0], "--markdown") == 0) {
        help_markdown(stdout);
        return printed();
    }
    command = find(argv[0]);
    if (!command) {
        return unknown(argv[0]);
    }
    help_command(stdout, command);
    return printed();
}

static int run(const struct command *command, int argc, char **argv)
{
    struct args args;
    int code = args_parse(&args, command, argc, argv);

    if (code != EXIT_DONE) {
        fprintf(stderr, "yomo %s: %s\n", command->name, args.error);
    } else if (args.help) {
        help_command(stdout, command);
        code = printed();
    } else {
        code = command->run(&args);
    }
    args_finish(&args);
    return code;
}

int main(int argc, char **argv)
{
    const struct command *command;
    const char *first = argc > 1 ? argv[1] : "";

    if (argc < 2) {
        help_program(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(first, "--version") == 0 || strcmp(first, "-V") == 0) {
        printf("yomo %s\n", yomo_version_string());
        return printed();
    }
    if (strcmp(first, "help") == 0 || strcmp(first, "--help") == 0 ||
        strcmp(first, "-h") == 0) {
        return help(argc - 2, argv + 2);
    }
    command = find(first);
    return command ? run(command, argc - 2, argv + 2) : unknown(first);
}
