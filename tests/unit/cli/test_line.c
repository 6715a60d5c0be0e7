/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <string.h>

#include "line.h"

/* Type `keys` into a fresh line; `|` in `wanted` is where the cursor is. */
static void check(const char *keys, const char *wanted)
{
    static struct line line;
    char shown[LINE_SIZE_MAX + 2];

    memset(&line, 0, sizeof(line));
    for (; *keys; keys++) {
        assert_int_equal(line_feed(&line, *keys), LINE_NONE);
    }
    memcpy(shown, line.text, line.cursor);
    shown[line.cursor] = '|';
    strcpy(shown + line.cursor + 1, line.text + line.cursor);
    assert_string_equal(shown, wanted);
}

static void what_is_typed_stands_there(void **state)
{
    (void)state;
    check("abc", "abc|");
    check("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
          "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80|");
    check("", "|");
}

static void keys_move_and_erase_whole_characters(void **state)
{
    (void)state;
    check("a\xc3\xa4\x7f", "a|");
    check("a\xc3\xa4\x1b[D", "a|\xc3\xa4");
    check("a\xc3\xa4\x1b[D\x1b[D\x1b[C", "a|\xc3\xa4");
    check("a\xc3\xa4\x1b[D\x1b[3~", "a|");
    check("a\xc3\xa4\x1b[D\x04", "a|");
    check("\x7f\x1b[D\x1b[C\x1b[3~", "|");
}

static void keys_of_a_shell_work(void **state)
{
    (void)state;
    check("one two\x17", "one |");
    check("one two  \x17", "one |");
    check("one two\x17\x17\x17", "|");
    check("abc\x01x", "x|abc");
    check("abc\x01\x05x", "abcx|");
    check("abc\x1b[D\x15", "|c");
    check("abc\x1b[D\x0b", "ab|");
    check("abc\x1b[Hx\x1b[Fy", "xabcy|");
    check("abc\x1bOHx\x1bOFy", "xabcy|");
    check("abc\x1b[1~x\x1b[4~y", "xabcy|");
}

static void sequences_that_mean_nothing_here_leave_nothing_behind(void **state)
{
    (void)state;
    check("a\x1b[15~b\x1b[1;5Cc\x1b[200~d\x1b[99999999999999999999ZeX", "abcdeX|");
    check("a\x01\x02\x07\tb", "b|a");
}

static void bytes_that_are_no_characters_leave_nothing_behind(void **state)
{
    (void)state;
    check("a\xff\xfe\xc3xb", "axb|");
    check("\xed\xa0\x80z", "z|");
    check("\xc3\xc3\xa4", "\xc3\xa4|");
}

static void enter_gives_the_line_and_up_calls_it_back(void **state)
{
    static struct line line;

    (void)state;
    memset(&line, 0, sizeof(line));
    line_feed(&line, 'h');
    line_feed(&line, 'i');
    assert_int_equal(line_feed(&line, '\r'), LINE_ENTERED);
    assert_string_equal(line.text, "hi");
    line_clear(&line);
    assert_string_equal(line.text, "");
    assert_int_equal(line_feed(&line, '\n'), LINE_ENTERED);
    line_clear(&line);
    line_feed(&line, '\x1b');
    line_feed(&line, '[');
    line_feed(&line, 'A');
    assert_string_equal(line.text, "hi");
}

static void control_d_ends_an_empty_line_only(void **state)
{
    static struct line line;

    (void)state;
    memset(&line, 0, sizeof(line));
    line_feed(&line, 'x');
    assert_int_equal(line_feed(&line, 4), LINE_NONE);
    line_feed(&line, 0x7f);
    assert_int_equal(line_feed(&line, 4), LINE_ENDED);
}

static void a_full_line_takes_nothing_more(void **state)
{
    static struct line line;

    (void)state;
    memset(&line, 0, sizeof(line));
    for (size_t i = 0; i < 3 * LINE_SIZE_MAX; i++) {
        line_feed(&line, "\xe2\x82\xac"[i % 3]);
    }
    assert_int_equal(line.size, LINE_SIZE_MAX / 3 * 3);
    assert_int_equal(line.text[line.size], '\0');
    for (size_t i = 0; i < LINE_SIZE_MAX; i++) {
        line_feed(&line, 'x');
    }
    assert_int_equal(line.size, LINE_SIZE_MAX);
}

static void any_bytes_at_all_are_harmless(void **state)
{
    static struct line line;
    uint32_t random = 1;

    (void)state;
    memset(&line, 0, sizeof(line));
    for (size_t i = 0; i < 200000; i++) {
        random = random * 1664525 + 1013904223;
        if (line_feed(&line, (char)(random >> 24)) == LINE_ENTERED) {
            line_clear(&line);
        }
        assert_true(line.cursor <= line.size && line.size <= LINE_SIZE_MAX);
        assert_int_equal(strlen(line.text), line.size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_typed_stands_there),
        cmocka_unit_test(keys_move_and_erase_whole_characters),
        cmocka_unit_test(keys_of_a_shell_work),
        cmocka_unit_test(sequences_that_mean_nothing_here_leave_nothing_behind),
        cmocka_unit_test(bytes_that_are_no_characters_leave_nothing_behind),
        cmocka_unit_test(enter_gives_the_line_and_up_calls_it_back),
        cmocka_unit_test(control_d_ends_an_empty_line_only),
        cmocka_unit_test(a_full_line_takes_nothing_more),
        cmocka_unit_test(any_bytes_at_all_are_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
