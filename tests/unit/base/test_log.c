/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <string.h>

#include "base/log.h"
#include "base/span.h"
#include "base/text.h"
#include "support/bytes.h"

static struct {
    int calls;
    int level;
    char module[32];
    char text[2000];
} heard;

static void hear(void *user, int32_t level, const char *module, const char *text)
{
    assert_ptr_equal(user, &heard);
    heard.calls++;
    heard.level = level;
    strncpy(heard.module, module, sizeof(heard.module) - 1);
    assert_true(strlen(text) < sizeof(heard.text));
    strcpy(heard.text, text);
}

static const struct yo_log log_to_test = {hear, &heard, YOMO_LOG_INFO};

static int forget(void **state)
{
    (void)state;
    memset(&heard, 0, sizeof(heard));
    return 0;
}

static void a_line_arrives_as_it_was_formatted(void **state)
{
    (void)state;
    YO_LOG(&log_to_test, YOMO_LOG_WARN, "server", "%s has %d rooms", "Zo\xc3\xab", 3);
    assert_int_equal(heard.calls, 1);
    assert_int_equal(heard.level, YOMO_LOG_WARN);
    assert_string_equal(heard.module, "server");
    assert_string_equal(heard.text, "Zo\xc3\xab has 3 rooms");
}

static int must_not_run(void)
{
    fail_msg("an argument of a silent line was evaluated");
    return 0;
}

static void what_nobody_hears_is_not_formatted(void **state)
{
    const struct yo_log silent = {NULL, NULL, YOMO_LOG_TRACE};

    (void)state;
    YO_LOG(&log_to_test, YOMO_LOG_DEBUG, "x", "%d", must_not_run());
    YO_LOG(&silent, YOMO_LOG_ERROR, "x", "%d", must_not_run());
    yo_log_write(&silent, YOMO_LOG_ERROR, "x", "y");
    yo_log_write(&log_to_test, YOMO_LOG_DEBUG, "x", "y");
    assert_int_equal(heard.calls, 0);
}

static void control_characters_are_escaped(void **state)
{
    (void)state;
    yo_log_write(&log_to_test, 0, "x", "%s", "a\nb\r\t\x1b[2J\x7f\xc2\x9bz\xff\xc3");
    assert_string_equal(heard.text, "a\\nb\\r\\t\\x1b[2J\\x7f\\xc2\\x9bz\\xff\\xc3");
}

static void a_long_line_is_cut_at_a_thousand_bytes(void **state)
{
    (void)state;
    yo_log_write(&log_to_test, 0, "x", "%.*s", 5000,
                 (const char *)bytes_repeat("x", 5000).data);
    assert_int_equal(strlen(heard.text), 1000);
    yo_log_write(&log_to_test, 0, "x", "%.*s", 5000,
                 (const char *)bytes_repeat("\n", 5000).data);
    assert_int_equal(strlen(heard.text), 1000);
}

static void no_character_is_cut_in_its_middle(void **state)
{
    const char *characters[] = {"\xc3\xab", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};

    (void)state;
    for (int i = 0; i < 3; i++) {
        const char *text = (const char *)bytes_repeat(characters[i], 600).data;
        for (int pad = 0; pad < 8; pad++) {
            yo_log_write(&log_to_test, 0, "x", "%.*s%.1200s", pad, "xxxxxxxx", text);
            assert_true(yo_utf8_valid(yo_span_of(heard.text)));
            assert_in_range(strlen(heard.text), 997, 1000);
            assert_null(strchr(heard.text, '\\'));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_line_arrives_as_it_was_formatted, forget),
        cmocka_unit_test_setup(what_nobody_hears_is_not_formatted, forget),
        cmocka_unit_test_setup(control_characters_are_escaped, forget),
        cmocka_unit_test_setup(a_long_line_is_cut_at_a_thousand_bytes, forget),
        cmocka_unit_test_setup(no_character_is_cut_in_its_middle, forget),
    };

    return cmocka_run_group_tests_name("base/log", tests, NULL, NULL);
}
