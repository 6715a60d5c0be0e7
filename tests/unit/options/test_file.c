/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "options/options.h"

static char path[] = "options-test-XXXXXX"; /* in the folder the tests run in */

static int make_path(void **state)
{
    char name[] = "options-test-XXXXXX";
    int fd;

    (void)state;
    memcpy(path, name, sizeof(name));
    fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_path(void **state)
{
    (void)state;
    return remove(path);
}

static void write_file(const void *bytes, size_t size)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* What loading the bytes as a server's file gives. */
static int32_t load_bytes(yomo_options **options, const void *bytes, size_t size)
{
    write_file(bytes, size);
    assert_int_equal(yomo_options_create(options, YOMO_SCOPE_SERVER), YOMO_OK);
    return yomo_options_load(*options, path);
}

static int32_t load(yomo_options **options, const char *text)
{
    return load_bytes(options, text, strlen(text));
}

static void lines_are_names_and_values(void **state)
{
    yomo_options *options;

    (void)state;
    assert_int_equal(load(&options, "# a comment\n"
                                    "\n"
                                    "port = 9000\n"
                                    "  workers=2  \r\n"
                                    "\tmesh\t=\tnorth 1\t\n"
                                    "port = 9001 # the later one\n"
                                    "web-root = /srv/a#b"),
                     YOMO_OK);
    assert_int_equal(yo_options_number(options, "port"), 9001);
    assert_int_equal(yo_options_number(options, "workers"), 2);
    assert_string_equal(yo_options_text(options, "mesh"), "north 1");
    assert_string_equal(yo_options_text(options, "web-root"), "/srv/a#b");
    yomo_options_free(options);
}

static void a_list_grows_line_by_line(void **state)
{
    yomo_options *options;

    (void)state;
    assert_int_equal(load(&options, "keys = a=1\nkeys = b=2, c=3\n"), YOMO_OK);
    assert_string_equal(yomo_options_get(options, "keys"), "a=1,b=2,c=3");
    yomo_options_free(options);
}

static void an_empty_file_sets_nothing(void **state)
{
    yomo_options *options;

    (void)state;
    assert_int_equal(load(&options, ""), YOMO_OK);
    assert_false(yo_options_is_set(options, "port"));
    yomo_options_free(options);
}

static void check_wrong(const void *bytes, size_t size, const char *line,
                        const char *why)
{
    yomo_options *options;

    assert_int_equal(load_bytes(&options, bytes, size), YOMO_ERR_OPTION);
    if (!strstr(yomo_options_error(options), line) ||
        !strstr(yomo_options_error(options), why) ||
        !strstr(yomo_options_error(options), path)) {
        fail_msg("not %s and %s: %s", line, why, yomo_options_error(options));
    }
    yomo_options_free(options);
}

static void a_wrong_line_is_named(void **state)
{
    static const char nul[] = "port = 1\nmesh = a\0b\n";

    (void)state;
    check_wrong("port = 1\nprot = 2\n", 18, "line 2", "did you mean 'port'?");
    check_wrong("\n\nport = x\n", 11, "line 3", "a number from 0 to 65535");
    check_wrong("port 1\n", 7, "line 1", "expected name = value");
    check_wrong("= 1\n", 4, "line 1", "there is no option ''");
    check_wrong(nul, sizeof(nul) - 1, "line 2", "NUL");
}

static void the_lines_before_the_wrong_one_were_set(void **state)
{
    yomo_options *options;

    (void)state;
    assert_int_equal(load(&options, "port = 1\nnothing = 2\nworkers = 3\n"),
                     YOMO_ERR_OPTION);
    assert_int_equal(yo_options_number(options, "port"), 1);
    assert_false(yo_options_is_set(options, "workers"));
    yomo_options_free(options);
}

static void a_line_without_end_is_refused(void **state)
{
    static char line[100000];

    (void)state;
    memset(line, '#', sizeof(line));
    check_wrong(line, sizeof(line), "line 1", "longer than");
}

static void the_longest_line_is_taken(void **state)
{
    static char line[8191];
    yomo_options *options;

    (void)state;
    memset(line, ' ', sizeof(line));
    memcpy(line, "port = 77", 9);
    line[sizeof(line) - 1] = '\n';
    assert_int_equal(load_bytes(&options, line, sizeof(line)), YOMO_OK);
    assert_int_equal(yo_options_number(options, "port"), 77);
    yomo_options_free(options);
}

static void a_file_that_cannot_be_read_is_named(void **state)
{
    yomo_options *options;

    (void)state;
    assert_int_equal(yomo_options_create(&options, YOMO_SCOPE_CLIENT), YOMO_OK);
    assert_int_equal(yomo_options_load(options, "no-such-folder/file"), YOMO_ERR_FILE);
    assert_non_null(strstr(yomo_options_error(options), "no-such-folder/file"));
    assert_int_equal(yomo_options_load(options, "."), YOMO_ERR_FILE);
    assert_int_equal(yomo_options_load(options, NULL), YOMO_ERR_INVALID);
    yomo_options_free(options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_names_and_values),
        cmocka_unit_test(a_list_grows_line_by_line),
        cmocka_unit_test(an_empty_file_sets_nothing),
        cmocka_unit_test(a_wrong_line_is_named),
        cmocka_unit_test(the_lines_before_the_wrong_one_were_set),
        cmocka_unit_test(a_line_without_end_is_refused),
        cmocka_unit_test(the_longest_line_is_taken),
        cmocka_unit_test(a_file_that_cannot_be_read_is_named),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
