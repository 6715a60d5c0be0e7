/* SPDX-License-Identifier: MIT */
/* args.c - two walks over the command line: the first takes help, the command's own
 * flags and the arguments; then the configuration file is read, if one is named; the
 * second sets the library's options, so that a flag wins over the file. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "args.h"

/* One flag as it stands on the command line. */
struct spelled {
    char name[64];
    const char *value; /* behind '=', or the next word; NULL: none */
    bool attached;     /* behind '=' */
    bool off;          /* "--no-name" of a switch */
};

static int complain(struct args *args, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int complain(struct args *args, int code, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    vsnprintf(args->error, sizeof(args->error), format, list);
    va_end(list);
    return code;
}

static int find_flag(const struct command *command, const char *name)
{
    for (int i = 0; command->flags && command->flags[i].name; i++) {
        if (strcmp(command->flags[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

/* `url` is the first argument of each client command, not a flag. */
static bool is_flag(const char *option)
{
    return strcmp(option, "url") != 0;
}

static int find_option(const struct command *command, const char *name)
{
    const char *option;

    if (command->scope == NO_SCOPE) {
        return -1;
    }
    for (uint32_t i = 0; (option = yomo_option_name(command->scope, i)); i++) {
        if (strcmp(option, name) == 0) {
            return is_flag(option) ? (int)i : -1;
        }
    }
    return -1;
}

/* Every name that could have been meant: own flags, options, help. */
static const char *candidate(const void *from, size_t index)
{
    const struct command *command = from;
    size_t own = 0;
    const char *name;

    while (command->flags && command->flags[own].name) {
        own++;
    }
    if (index < own) {
        return command->flags[index].name;
    }
    if (index == own) {
        return "help";
    }
    if (command->scope == NO_SCOPE) {
        return NULL;
    }
    name = yomo_option_name(command->scope, (uint32_t)(index - own - 1));
    return name && !is_flag(name) ? "help" : name;
}

static int unknown_flag(struct args *args, const char *name)
{
    const char *meant = nearest(name, candidate, args->command);

    if (meant) {
        return complain(args, EXIT_USAGE,
                        "there is no flag --%.40s; did you mean --%s?", name, meant);
    }
    return complain(
        args, EXIT_USAGE,
        "there is no flag --%.40s; yomo %s --help shows those that there are", name,
        args->command->name);
}

static bool fits(const struct flag *flag, const char *value)
{
    uint64_t number;
    bool on;

    switch (flag->type) {
    case YOMO_TYPE_NUMBER:
        return read_number(value, &number);
    case YOMO_TYPE_DURATION:
        return read_ms(value, &number);
    case YOMO_TYPE_SWITCH:
        return read_switch(value, &on);
    case YOMO_TYPE_CHOICE: {
        size_t size = strlen(value);
        for (const char *at = flag->choices; at; at = strchr(at, '|')) {
            at += *at == '|';
            if (strncmp(at, value, size) == 0 && size > 0 &&
                (at[size] == '|' || at[size] == '\0')) {
                return true;
            }
        }
        return false;
    }
    case YOMO_TYPE_TEXT:
    case YOMO_TYPE_LIST:
        return true;
    }
    return false;
}

static const char *wanted(enum yomo_option_type type, const char *choices)
{
    switch (type) {
    case YOMO_TYPE_NUMBER:
        return "a number";
    case YOMO_TYPE_DURATION:
        return "a time such as 250ms, 10s or 5m";
    case YOMO_TYPE_SWITCH:
        return "true or false";
    case YOMO_TYPE_CHOICE:
        return choices;
    case YOMO_TYPE_TEXT:
    case YOMO_TYPE_LIST:
        break;
    }
    return "a value";
}

static int take_flag(struct args *args, int index, const struct spelled *spelled)
{
    const struct flag *flag = &args->command->flags[index];

    if (!fits(flag, spelled->value)) {
        return complain(args, EXIT_USAGE, "--%s does not take '%.60s': it takes %s",
                        flag->name, spelled->value, wanted(flag->type, flag->choices));
    }
    args->values[index] = spelled->value;
    return EXIT_DONE;
}

/* The words of a list on the command line stand instead of those of a file. */
static int take_option(struct args *args, int index, const struct spelled *spelled,
                       bool *began)
{
    const char *name = yomo_option_name(args->command->scope, (uint32_t)index);
    int32_t rv = YOMO_OK;

    if (!*began) {
        rv = yomo_options_set(args->options, name, NULL);
        *began = true;
    }
    if (rv == YOMO_OK) {
        rv = yomo_options_set(args->options, name, spelled->value);
    }
    if (rv == YOMO_OK) {
        return EXIT_DONE;
    }
    if (rv == YOMO_ERR_OPTION) { /* begins with the name in quotes: a flag has dashes */
        const char *text = yomo_options_error(args->options);
        size_t size = strlen(name) + 2;
        return complain(args, EXIT_USAGE, "--%s%s", name,
                        strlen(text) > size ? text + size : ": not taken");
    }
    return complain(args, EXIT_FAILED, "%s", yomo_strerror(rv));
}

/* Split "--name=value". False when the name is longer than any could be. */
static bool spell(struct spelled *spelled, const char *word)
{
    const char *sign = strchr(word, '=');
    size_t size = sign ? (size_t)(sign - word) : strlen(word);

    memset(spelled, 0, sizeof(*spelled));
    if (size >= sizeof(spelled->name)) {
        return false;
    }
    memcpy(spelled->name, word, size);
    spelled->value = sign ? sign + 1 : NULL;
    spelled->attached = sign != NULL;
    return true;
}

/* What kind of flag is it? Finds "--no-name" too, and notes it. */
static bool look_up(const struct command *command, struct spelled *spelled, int *flag,
                    int *option, enum yomo_option_type *type)
{
    for (int round = 0; round < 2; round++) {
        *flag = find_flag(command, spelled->name);
        *option = *flag < 0 ? find_option(command, spelled->name) : -1;
        if (*flag >= 0 || *option >= 0) {
            *type = *flag >= 0 ? command->flags[*flag].type
                               : (enum yomo_option_type)yomo_option_type(
                                     command->scope, (uint32_t)*option);
            return round == 0 || *type == YOMO_TYPE_SWITCH;
        }
        if (round == 0 && strncmp(spelled->name, "no-", 3) == 0) {
            memmove(spelled->name, spelled->name + 3, strlen(spelled->name + 3) + 1);
            spelled->off = true;
        }
    }
    return false;
}

/* Is there something that a value could be? A word that begins with two dashes is a
 * flag whose value was forgotten before it. */
static bool find_value(struct args *args, struct spelled *spelled, int flag, int option,
                       enum yomo_option_type type, const char *next, int *taken)
{
    const char *choices;

    if (type == YOMO_TYPE_SWITCH) {
        if (spelled->off && spelled->attached) {
            complain(args, EXIT_USAGE, "--no-%s takes no value", spelled->name);
            return false;
        }
        if (!spelled->attached) {
            spelled->value = spelled->off ? "false" : "true";
        }
        return true;
    }
    if (spelled->attached) {
        return true;
    }
    if (next && strncmp(next, "--", 2) != 0) {
        spelled->value = next;
        *taken = 2;
        return true;
    }
    choices = flag >= 0 ? args->command->flags[flag].choices
                        : yomo_option_choices(args->command->scope, (uint32_t)option);
    complain(args, EXIT_USAGE, "--%s wants %s behind it", spelled->name,
             wanted(type, choices));
    return false;
}

/* One flag of `argv`; `*taken` is how many words it was. `began` is NULL in the walk
 * that takes the command's own flags. */
static int take_word(struct args *args, const char *word, const char *next, bool *began,
                     int *taken)
{
    struct spelled spelled;
    enum yomo_option_type type;
    int flag, option;

    *taken = 1;
    if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0) {
        args->help = true;
        return EXIT_DONE;
    }
    if (word[1] != '-') {
        return complain(args, EXIT_USAGE,
                        "'%.40s' is no flag: flags are written with two dashes", word);
    }
    if (!spell(&spelled, word + 2)) {
        return unknown_flag(args, word + 2);
    }
    if (!look_up(args->command, &spelled, &flag, &option, &type)) {
        spell(&spelled, word + 2);
        return unknown_flag(args, spelled.name);
    }
    if (!find_value(args, &spelled, flag, option, type, next, taken)) {
        return EXIT_USAGE;
    }
    if (flag >= 0) {
        return began ? EXIT_DONE : take_flag(args, flag, &spelled);
    }
    return began ? take_option(args, option, &spelled, &began[option]) : EXIT_DONE;
}

static int take_argument(struct args *args, const char *word)
{
    if (args->argument_count == ARGUMENTS_MAX) {
        return complain(args, EXIT_USAGE, "'%.40s' is too much", word);
    }
    args->arguments[args->argument_count++] = word;
    return EXIT_DONE;
}

static int walk(struct args *args, int argc, char *const *argv, bool *began)
{
    bool flags = true;
    int code = EXIT_DONE;

    for (int i = 0; i < argc && code == EXIT_DONE && !args->help;) {
        const char *word = argv[i];
        bool negative = word[0] == '-' && word[1] >= '0' && word[1] <= '9';
        int taken = 1;
        if (flags && strcmp(word, "--") == 0) {
            flags = false;
        } else if (flags && word[0] == '-' && word[1] != '\0' && !negative) {
            code =
                take_word(args, word, i + 1 < argc ? argv[i + 1] : NULL, began, &taken);
        } else if (!began) {
            code = take_argument(args, word);
        }
        i += taken;
    }
    return code;
}

/* The word of "URL ROOM EVENT" with that number. */
static bool argument_name(const struct command *command, size_t index, char out[32])
{
    const char *at = command->arguments;

    for (; index > 0 && *at; index--) {
        at += strcspn(at, " ");
        at += *at == ' ';
    }
    snprintf(out, 32, "%.*s", (int)strcspn(at, " "), at);
    return *at != '\0';
}

static int check_arguments(struct args *args)
{
    char name[32];
    size_t wanted_count = 0;

    while (argument_name(args->command, wanted_count, name)) {
        wanted_count++;
    }
    if (args->argument_count < wanted_count) {
        argument_name(args->command, args->argument_count, name);
        return complain(args, EXIT_USAGE, "%s is missing: yomo %s %s", name,
                        args->command->name, args->command->arguments);
    }
    if (args->argument_count > wanted_count) {
        return complain(args, EXIT_USAGE, "'%.60s' is too much: yomo %s %s",
                        args->arguments[wanted_count], args->command->name,
                        args->command->arguments);
    }
    return EXIT_DONE;
}

static int load(struct args *args, const char *path)
{
    int32_t rv = yomo_options_load(args->options, path);

    if (rv == YOMO_OK) {
        return EXIT_DONE;
    }
    return complain(args, rv == YOMO_ERR_OPTION ? EXIT_USAGE : EXIT_FAILED, "%s",
                    rv == YOMO_ERR_NOMEM ? yomo_strerror(rv)
                                         : yomo_options_error(args->options));
}

int args_parse(struct args *args, const struct command *command, int argc,
               char *const *argv)
{
    bool began[128] = {false};
    int code;

    memset(args, 0, sizeof(*args));
    args->command = command;
    args->argc = argc;
    args->argv = argv;
    if (command->scope != NO_SCOPE &&
        yomo_options_create(&args->options, command->scope) != YOMO_OK) {
        return complain(args, EXIT_FAILED, "out of memory");
    }
    code = walk(args, argc, argv, NULL);
    if (code != EXIT_DONE || args->help) {
        return code;
    }
    code = check_arguments(args);
    if (code == EXIT_DONE && find_flag(command, "config") >= 0 &&
        args_given(args, "config")) {
        code = load(args, args_text(args, "config"));
    }
    return code == EXIT_DONE ? walk(args, argc, argv, began) : code;
}

void args_finish(struct args *args)
{
    yomo_options_free(args->options);
    args->options = NULL;
}

const char *args_text(const struct args *args, const char *name)
{
    int index = find_flag(args->command, name);

    if (index < 0) {
        return NULL;
    }
    return args->values[index] ? args->values[index]
                               : args->command->flags[index].value;
}

bool args_given(const struct args *args, const char *name)
{
    int index = find_flag(args->command, name);

    return index >= 0 && args->values[index];
}

uint64_t args_number(const struct args *args, const char *name)
{
    const char *text = args_text(args, name);
    uint64_t number = 0;

    return text && read_number(text, &number) ? number : 0;
}

uint64_t args_ms(const struct args *args, const char *name)
{
    const char *text = args_text(args, name);
    uint64_t ms = 0;

    return text && read_ms(text, &ms) ? ms : 0;
}

bool args_switch(const struct args *args, const char *name)
{
    const char *text = args_text(args, name);
    bool on = false;

    return text && read_switch(text, &on) && on;
}
