/* SPDX-License-Identifier: MIT */
#include "help.h"

#include <stdbool.h>
#include <string.h>

#define WIDTH 80

/* Print `text` in lines of at most WIDTH characters that begin with `indent` blanks. A
 * newline in the text is kept, and so are the blanks behind it. */
static void print_wrapped(FILE *out, const char *text, int indent)
{
    int column = 0;

    while (*text) {
        size_t size = strcspn(text, " \n");
        if (size == 0 && *text == ' ' && column == 0) {
            size_t blanks = strspn(text, " ");
            fprintf(out, "%*s", indent + (int)blanks - 1, "");
            column = indent + (int)blanks - 1;
            text += blanks;
            continue;
        }
        if (column > 0 && column + 1 + (int)size > WIDTH) {
            fputc('\n', out);
            column = 0;
        }
        if (size > 0) {
            fprintf(out, "%*s%.*s", column > 0 ? 1 : indent, "", (int)size, text);
            column += (column > 0 ? 1 : indent) + (int)size;
        }
        text += size;
        if (*text == '\n') {
            fputc('\n', out);
            column = 0;
        }
        text += *text != '\0';
    }
    fputc('\n', out);
}

static const char *value_name(enum yomo_option_type type, const char *choices)
{
    switch (type) {
    case YOMO_TYPE_TEXT:
        return "TEXT";
    case YOMO_TYPE_NUMBER:
        return "NUMBER";
    case YOMO_TYPE_DURATION:
        return "TIME";
    case YOMO_TYPE_SWITCH:
        return NULL;
    case YOMO_TYPE_CHOICE:
        return choices;
    case YOMO_TYPE_LIST:
        return "LIST";
    }
    return "TEXT";
}

static void print_flag(FILE *out, const char *name, const char *shown,
                       const char *value, const char *help)
{
    fprintf(out, "  --%s", name);
    if (shown) {
        fprintf(out, " %s", shown);
    }
    if (value && shown) {
        fprintf(out, "   (%s)", value);
    }
    fputc('\n', out);
    print_wrapped(out, help, 6);
}

static void print_own_flags(FILE *out, const struct command *command)
{
    fputs("\nFlags:\n", out);
    for (const struct flag *flag = command->flags; flag && flag->name; flag++) {
        print_flag(out, flag->name,
                   flag->shown ? flag->shown : value_name(flag->type, flag->choices),
                   flag->value, flag->help);
    }
    fputs("  --help\n      This page.\n", out);
}

static void print_options(FILE *out, int32_t scope)
{
    const char *name;

    fprintf(out, "\n%s (docs/options.md):\n",
            scope == YOMO_SCOPE_SERVER ? "Options of the backend"
                                       : "Options of the client");
    for (uint32_t i = 0; (name = yomo_option_name(scope, i)); i++) {
        if (strcmp(name, "url") != 0) {
            print_flag(out, name,
                       value_name((enum yomo_option_type)yomo_option_type(scope, i),
                                  yomo_option_choices(scope, i)),
                       yomo_option_default(scope, i), yomo_option_help(scope, i));
        }
    }
    print_wrapped(
        out,
        "\nNUMBER may end in k, m or g (powers of 1024). TIME is 250ms, 10s, 5m, "
        "1h; a bare number is seconds. A LIST is words separated by commas, and "
        "the flag may stand several times. Switches are --name and --no-name.",
        0);
}

static void print_exit_codes(FILE *out)
{
    fputs("\nExit codes:\n"
          "  0  done\n"
          "  1  failed\n"
          "  2  wrong usage: a flag, an argument, a value\n"
          "  3  the server cannot be reached, or not be trusted\n"
          "  4  refused by the server\n"
          "  5  timed out\n",
          out);
}

void help_program(FILE *out)
{
    fputs("yomo - realtime presence over WebTransport and WebSocket\n"
          "\nUsage: yomo COMMAND ARGUMENTS [FLAGS]\n"
          "\nCommands:\n",
          out);
    for (size_t i = 0; commands[i]; i++) {
        char usage[64];
        snprintf(usage, sizeof(usage), "%s %s", commands[i]->name,
                 commands[i]->arguments);
        fprintf(out, "  %-28s %s\n", usage, commands[i]->summary);
    }
    fputs("  help COMMAND                 All about one command; the same as COMMAND "
          "--help\n"
          "  --version                    Which version this is\n"
          "\nAll options on one page: yomo help --markdown\n",
          out);
    print_exit_codes(out);
}

void help_command(FILE *out, const struct command *command)
{
    fprintf(out, "Usage: yomo %s%s%s [FLAGS]\n\n", command->name,
            *command->arguments ? " " : "", command->arguments);
    print_wrapped(out, command->summary, 0);
    if (command->text) {
        fputc('\n', out);
        print_wrapped(out, command->text, 0);
    }
    print_own_flags(out, command);
    if (command->scope != NO_SCOPE) {
        print_options(out, command->scope);
    }
    print_exit_codes(out);
}

static const char *type_name(enum yomo_option_type type)
{
    switch (type) {
    case YOMO_TYPE_TEXT:
        return "text";
    case YOMO_TYPE_NUMBER:
        return "number";
    case YOMO_TYPE_DURATION:
        return "time";
    case YOMO_TYPE_SWITCH:
        return "switch";
    case YOMO_TYPE_CHOICE:
        return "one of";
    case YOMO_TYPE_LIST:
        return "list";
    }
    return "";
}

/* Table cells may not have a bar in them. */
static void print_choices(FILE *out, const char *choices)
{
    for (const char *at = choices; at && *at; at++) {
        fputs(at == choices ? " `" : "", out);
        fputs(*at == '|' ? "`, `" : (char[]){*at, '\0'}, out);
    }
    fputs(choices ? "`" : "", out);
}

static void print_rows(FILE *out, int32_t scope)
{
    const char *name;

    bool live = scope == YOMO_SCOPE_SERVER;

    fputs(live ? "| option | takes | default | live | what it is |\n"
                 "| --- | --- | --- | --- | --- |\n"
               : "| option | takes | default | what it is |\n| --- | --- | --- | --- |\n",
          out);
    for (uint32_t i = 0; (name = yomo_option_name(scope, i)); i++) {
        const char *value = yomo_option_default(scope, i);
        fprintf(out, "| `%s` | %s", name,
                type_name((enum yomo_option_type)yomo_option_type(scope, i)));
        print_choices(out, yomo_option_choices(scope, i));
        fprintf(out, " | %s%s%s | ", value ? "`" : "", value ? value : "",
                value ? "`" : "");
        fprintf(out, "%s%s |\n",
                !live                           ? ""
                : yomo_option_is_live(scope, i) ? "yes | "
                                                : " | ",
                yomo_option_help(scope, i));
    }
}

void help_markdown(FILE *out)
{
    fputs(
        "# Options\n"
        "\n"
        "Made from the library's table by `yomo help --markdown`; a test compares the "
        "two.\n"
        "\n"
        "The same names and values serve everywhere:\n"
        "\n"
        "- the C API and its bindings: `yomo_options_set(options, \"port\", "
        "\"8443\")`;\n"
        "- the program's flags: `--port 8443` or `--port=8443`, switches `--echo` and\n"
        "  `--no-echo`;\n"
        "- the configuration file of `yomo serve --config FILE`, one `port = 8443` a "
        "line.\n"
        "  A `#` at the start of a line or behind a blank begins a comment; later "
        "lines win;\n"
        "  flags win over the file.\n"
        "\n"
        "How values are written:\n"
        "\n"
        "| takes | is written |\n"
        "| --- | --- |\n"
        "| text | as it is, in UTF-8 |\n"
        "| number | decimal, or with `k`, `m` or `g` behind it (powers of 1024) |\n"
        "| time | `250ms`, `10s`, `5m`, `1h`; a bare number is seconds |\n"
        "| switch | `true` or `false`, `yes` or `no`, `on` or `off`, `1` or `0` |\n"
        "| list | words separated by commas; setting it again appends |\n"
        "\n"
        "A name that does not exist, and a value that the option does not take, is an "
        "error\n"
        "whose text says what would be right.\n"
        "\n"
        "## Clients\n"
        "\n",
        out);
    print_rows(out, YOMO_SCOPE_CLIENT);
    fputs("\n"
          "## Servers\n"
          "\n"
          "\"Development\" means: bound to loopback, with no keys, no token-keys and\n"
          "no hook that authenticates. \"Live\" ones may change while a server runs:\n"
          "see [operating.md](operating.md).\n"
          "\n",
          out);
    print_rows(out, YOMO_SCOPE_SERVER);
}
