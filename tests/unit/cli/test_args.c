/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <string.h>

#include "args.h"

static int never_run(struct args *args)
{
    (void)args;
    return EXIT_FAILED;
}

static const struct flag flags[] = {
    {"config", YOMO_TYPE_TEXT, NULL, NULL, "FILE", "."},
    {"count", YOMO_TYPE_NUMBER, "3", NULL, NULL, "."},
    {"timeout", YOMO_TYPE_DURATION, "10s", NULL, NULL, "."},
    {"presence", YOMO_TYPE_SWITCH, "false", NULL, NULL, "."},
    {"class", YOMO_TYPE_CHOICE, "reliable", "reliable|unreliable|latest", NULL, "."},
    {0},
};

static const struct command server = {"serve",           "",    ".",      NULL,
                                      YOMO_SCOPE_SERVER, flags, never_run};
static const struct command client = {"sub", "URL ROOM", ".", NULL, YOMO_SCOPE_CLIENT,
                                      flags, never_run};
static const struct command bare = {"bare", "", ".", NULL, NO_SCOPE, flags, never_run};

/* Parse words until NULL. */
static int parse(struct args *args, const struct command *command, ...)
{
    char *argv[16];
    int argc = 0;
    va_list list;

    va_start(list, command);
    while ((argv[argc] = va_arg(list, char *)) != NULL) {
        argc++;
    }
    va_end(list);
    return args_parse(args, command, argc, argv);
}

static void nothing_given_means_the_defaults(void **state)
{
    struct args args;

    (void)state;
    assert_int_equal(parse(&args, &server, NULL), EXIT_DONE);
    assert_int_equal(args_number(&args, "count"), 3);
    assert_int_equal(args_ms(&args, "timeout"), 10000);
    assert_false(args_switch(&args, "presence"));
    assert_string_equal(args_text(&args, "class"), "reliable");
    assert_null(args_text(&args, "config"));
    assert_false(args_given(&args, "count"));
    assert_string_equal(yomo_options_get(args.options, "port"), "8443");
    args_finish(&args);
}

static void a_value_stands_behind_the_flag_or_its_sign(void **state)
{
    struct args args;

    (void)state;
    assert_int_equal(parse(&args, &server, "--port", "1", "--mesh=a=b", "--count=5",
                           "--timeout", "250ms", NULL),
                     EXIT_DONE);
    assert_string_equal(yomo_options_get(args.options, "port"), "1");
    assert_string_equal(yomo_options_get(args.options, "mesh"), "a=b");
    assert_int_equal(args_number(&args, "count"), 5);
    assert_int_equal(args_ms(&args, "timeout"), 250);
    args_finish(&args);
}

static void switches_are_on_off_or_spelled_out(void **state)
{
    struct args args;

    (void)state;
    assert_int_equal(parse(&args, &server, "--presence", "--echo", "--no-metrics",
                           "--insecure-open=no", NULL),
                     EXIT_DONE);
    assert_true(args_switch(&args, "presence"));
    assert_string_equal(yomo_options_get(args.options, "echo"), "true");
    assert_string_equal(yomo_options_get(args.options, "metrics"), "false");
    assert_string_equal(yomo_options_get(args.options, "insecure-open"), "no");
    args_finish(&args);
}

static void a_switch_takes_no_word_behind_it(void **state)
{
    struct args args;

    (void)state;
    assert_int_equal(parse(&args, &client, "--presence", "url", "room", NULL),
                     EXIT_DONE);
    assert_int_equal(args.argument_count, 2);
    assert_string_equal(args.arguments[0], "url");
    assert_string_equal(args.arguments[1], "room");
    args_finish(&args);
}

static void flags_stand_before_between_and_behind_arguments(void **state)
{
    struct args args;

    (void)state;
    assert_int_equal(parse(&args, &client, "--id", "a", "url", "--count", "2", "room",
                           "--token=t", NULL),
                     EXIT_DONE);
    assert_string_equal(args.arguments[0], "url");
    assert_string_equal(args.arguments[1], "room");
    assert_string_equal(yomo_options_get(args.options, "token"), "t");
    args_finish(&args);
}

static void two_dashes_end_the_flags_and_negative_numbers_are_arguments(void **state)
{
    struct args args;

    (void)state;
    assert_int_equal(parse(&args, &client, "-5", "--", "--count", NULL), EXIT_DONE);
    assert_string_equal(args.arguments[0], "-5");
    assert_string_equal(args.arguments[1], "--count");
    args_finish(&args);
    assert_int_equal(parse(&args, &client, "-", "x", NULL), EXIT_DONE);
    args_finish(&args);
}

static void a_list_is_given_several_times(void **state)
{
    struct args args;

    (void)state;
    assert_int_equal(parse(&args, &server, "--keys", "a=1,b=2", "--keys=c=3", NULL),
                     EXIT_DONE);
    assert_string_equal(yomo_options_get(args.options, "keys"), "a=1,b=2,c=3");
    args_finish(&args);
}

static void help_is_seen_before_anything_is_missing(void **state)
{
    struct args args;

    (void)state;
    assert_int_equal(parse(&args, &client, "--help", "--nonsense", NULL), EXIT_DONE);
    assert_true(args.help);
    args_finish(&args);
    assert_int_equal(parse(&args, &client, "url", "-h", NULL), EXIT_DONE);
    assert_true(args.help);
    args_finish(&args);
}

static void check_wrong(int code, const struct args *args, const char *sentence)
{
    assert_int_equal(code, EXIT_USAGE);
    assert_string_equal(args->error, sentence);
}

#define CHECK_WRONG(sentence, command, ...)                   \
    do {                                                      \
        struct args wrong;                                    \
        int code = parse(&wrong, command, __VA_ARGS__, NULL); \
        check_wrong(code, &wrong, sentence);                  \
        args_finish(&wrong);                                  \
    } while (0)

static void what_is_wrong_says_what_would_be_right(void **state)
{
    (void)state;
    CHECK_WRONG("there is no flag --prot; did you mean --port?", &server, "--prot",
                "1");
    CHECK_WRONG("there is no flag --cuont; did you mean --count?", &server,
                "--cuont=1");
    CHECK_WRONG("there is no flag --hlep; did you mean --help?", &server, "--hlep");
    CHECK_WRONG(
        "there is no flag --xyzzyx; yomo serve --help shows those that there are",
        &server, "--xyzzyx");
    CHECK_WRONG("--port does not take '70000': it takes a number from 0 to 65535",
                &server, "--port", "70000");
    CHECK_WRONG("--count does not take 'many': it takes a number", &server, "--count",
                "many");
    CHECK_WRONG("--class does not take 'late': it takes reliable|unreliable|latest",
                &server, "--class", "late");
    CHECK_WRONG("--echo does not take 'maybe': it takes true or false", &server,
                "--echo=maybe");
    CHECK_WRONG("--no-echo takes no value", &server, "--no-echo=true");
    CHECK_WRONG("there is no flag --no-port; did you mean --port?", &server,
                "--no-port");
    CHECK_WRONG("'-p' is no flag: flags are written with two dashes", &server, "-p");
}

static void a_value_that_was_forgotten_is_named(void **state)
{
    (void)state;
    CHECK_WRONG("--port wants a number behind it", &server, "--port");
    CHECK_WRONG("--port wants a number behind it", &server, "--port", "--echo");
    CHECK_WRONG("--timeout wants a time such as 250ms, 10s or 5m behind it", &server,
                "--timeout");
    CHECK_WRONG("--transport wants auto|webtransport|websocket behind it", &client,
                "--transport");
}

static void missing_and_surplus_arguments_are_named(void **state)
{
    (void)state;
    CHECK_WRONG("ROOM is missing: yomo sub URL ROOM", &client, "url");
    CHECK_WRONG("'more' is too much: yomo sub URL ROOM", &client, "url", "room",
                "more");
    CHECK_WRONG("'e' is too much", &client, "a", "b", "c", "d", "e");
    CHECK_WRONG("'x' is too much: yomo serve ", &server, "x");
}

static void the_url_is_an_argument_and_no_flag(void **state)
{
    struct args args;

    (void)state;
    assert_int_equal(parse(&args, &client, "--url", "x", "room", NULL), EXIT_USAGE);
    args_finish(&args);
}

static void a_command_without_options_has_its_own_flags(void **state)
{
    struct args args;

    (void)state;
    assert_int_equal(parse(&args, &bare, "--count", "9", NULL), EXIT_DONE);
    assert_int_equal(args_number(&args, "count"), 9);
    assert_null(args.options);
    args_finish(&args);
    CHECK_WRONG("there is no flag --port; yomo bare --help shows those that there are",
                &bare, "--port", "1");
}

static void a_file_that_is_not_there_is_a_failure_not_wrong_usage(void **state)
{
    struct args args;

    (void)state;
    assert_int_equal(parse(&args, &server, "--config", "no-such-folder/file", NULL),
                     EXIT_FAILED);
    assert_non_null(strstr(args.error, "no-such-folder/file"));
    args_finish(&args);
}

static void words_of_any_length_are_harmless(void **state)
{
    static char word[10000];
    struct args args;

    (void)state;
    memset(word, 'x', sizeof(word) - 1);
    memcpy(word, "--", 2);
    assert_int_equal(parse(&args, &server, word, NULL), EXIT_USAGE);
    args_finish(&args);
    memcpy(word, "--port=", 7);
    assert_int_equal(parse(&args, &server, word, NULL), EXIT_USAGE);
    args_finish(&args);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_given_means_the_defaults),
        cmocka_unit_test(a_value_stands_behind_the_flag_or_its_sign),
        cmocka_unit_test(switches_are_on_off_or_spelled_out),
        cmocka_unit_test(a_switch_takes_no_word_behind_it),
        cmocka_unit_test(flags_stand_before_between_and_behind_arguments),
        cmocka_unit_test(two_dashes_end_the_flags_and_negative_numbers_are_arguments),
        cmocka_unit_test(a_list_is_given_several_times),
        cmocka_unit_test(help_is_seen_before_anything_is_missing),
        cmocka_unit_test(what_is_wrong_says_what_would_be_right),
        cmocka_unit_test(a_value_that_was_forgotten_is_named),
        cmocka_unit_test(missing_and_surplus_arguments_are_named),
        cmocka_unit_test(the_url_is_an_argument_and_no_flag),
        cmocka_unit_test(a_command_without_options_has_its_own_flags),
        cmocka_unit_test(a_file_that_is_not_there_is_a_failure_not_wrong_usage),
        cmocka_unit_test(words_of_any_length_are_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
