/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <yomo/error.h>

#include <string.h>

#include "base/log.h"
#include "base/span.h"
#include "base/text.h"
#include "support/bytes.h"

static struct {
    int calls;
    int level;
    char module[32];
    char text[9000];
    char names[200]; /* of a record's fields, each with a blank behind it */
    char values[16][400];
    uint64_t numbers[16];
    uint32_t count;
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

static const struct yo_log log_to_test = {
    .fn = hear, .user = &heard, .level = YOMO_LOG_INFO};

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
    const struct yo_log silent = {.level = YOMO_LOG_TRACE};

    (void)state;
    YO_LOG(&log_to_test, YOMO_LOG_DEBUG, "x", "%d", must_not_run());
    YO_LOG(&silent, YOMO_LOG_ERROR, "x", "%d", must_not_run());
    yo_log_write(&silent, YOMO_LOG_ERROR, "x", NULL, "y");
    yo_log_write(&log_to_test, YOMO_LOG_DEBUG, "x", NULL, "y");
    assert_int_equal(heard.calls, 0);
}

static void control_characters_are_escaped(void **state)
{
    (void)state;
    yo_log_write(&log_to_test, 0, "x", NULL, "%s",
                 "a\nb\r\t\x1b[2J\x7f\xc2\x9bz\xff\xc3");
    assert_string_equal(heard.text, "a\\nb\\r\\t\\x1b[2J\\x7f\\xc2\\x9bz\\xff\\xc3");
}

static void a_long_line_is_cut_at_a_thousand_bytes(void **state)
{
    (void)state;
    yo_log_write(&log_to_test, 0, "x", NULL, "%.*s", 5000,
                 (const char *)bytes_repeat("x", 5000).data);
    assert_int_equal(strlen(heard.text), 1000);
    yo_log_write(&log_to_test, 0, "x", NULL, "%.*s", 5000,
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
            yo_log_write(&log_to_test, 0, "x", NULL, "%.*s%.1200s", pad, "xxxxxxxx",
                         text);
            assert_true(yo_utf8_valid(yo_span_of(heard.text)));
            assert_in_range(strlen(heard.text), 997, 1000);
            assert_null(strchr(heard.text, '\\'));
        }
    }
}

static void hear_record(void *user, const yomo_log_record *record)
{
    hear(user, record->level, record->module, record->message);
    assert_true(record->size >= sizeof(*record));
    heard.count = record->field_count;
    assert_true(heard.count <= 16);
    for (uint32_t i = 0; i < record->field_count; i++) {
        strcat(strcat(heard.names, record->fields[i].name), " ");
        heard.numbers[i] = record->fields[i].number;
        strcpy(heard.values[i], record->fields[i].text ? record->fields[i].text : "#");
    }
}

static const struct yo_log records = {
    .record = hear_record, .user = &heard, .level = YOMO_LOG_INFO};

static struct yo_log_fields *some(struct yo_log_fields *fields)
{
    (void)yo_log_number(fields, "connection", 7);
    (void)yo_log_text(fields, "address", yo_span_of("[2001:db8::1]:5"));
    (void)yo_log_text(fields, "room", YO_SPAN_NONE);
    return yo_log_error(yo_log_error(fields, YOMO_OK), YOMO_ERR_RATE);
}

static void fields_are_apart_or_behind_the_text(void **state)
{
    (void)state;
    YO_LOG_WITH(&records, YOMO_LOG_WARN, "server", some(YO_LOG_NONE), "%d of them", 3);
    assert_string_equal(heard.text, "3 of them");
    assert_string_equal(heard.names, "connection address error ");
    assert_int_equal(heard.numbers[0], 7);
    assert_string_equal(heard.values[0], "#");
    assert_string_equal(heard.values[1], "[2001:db8::1]:5");
    assert_string_equal(heard.values[2], "RATE");
    YO_LOG_WITH(&log_to_test, YOMO_LOG_WARN, "server", some(YO_LOG_NONE), "them");
    assert_string_equal(heard.text,
                        "them connection=7 address=[2001:db8::1]:5 error=RATE");
    YO_LOG(&records, YOMO_LOG_WARN, "server", "none");
    assert_int_equal(heard.count, 0);
}

static struct yo_log_fields *not_looked_at(void)
{
    fail_msg("the fields of a silent line were looked at");
    return NULL;
}

static void fields_of_a_silent_line_are_not_looked_at(void **state)
{
    const struct yo_log silent = {.level = YOMO_LOG_TRACE};

    (void)state;
    YO_LOG_WITH(&records, YOMO_LOG_DEBUG, "x", not_looked_at(), "y");
    YO_LOG_WITH(&silent, YOMO_LOG_ERROR, "x", not_looked_at(), "y");
    assert_int_equal(heard.calls, 0);
}

/* What somebody calls himself cannot make a second line, a further field, or move a
 * cursor, and no two names look alike. */
static void a_hostile_id_is_escaped(void **state)
{
    static const struct {
        struct yo_span id;
        const char *value, *text;
    } cases[] = {
        {{(const uint8_t *)"a\nerror server: b", 17},
         "a\\nerror server: b",
         "x id=\"a\\nerror server: b\""},
        {{(const uint8_t *)"a\\n", 3}, "a\\\\n", "x id=a\\\\n"},
        {{(const uint8_t *)"a\" code=1 b=\"", 13},
         "a\" code=1 b=\"",
         "x id=\"a\\\" code=1 b=\\\"\""},
        {{(const uint8_t *)"\xff\xc3\x00\x1b[2J\x7f\xc2\x9b", 10},
         "\\xff\\xc3\\x00\\x1b[2J\\x7f\\xc2\\x9b",
         "x id=\\xff\\xc3\\x00\\x1b[2J\\x7f\\xc2\\x9b"},
        {{(const uint8_t *)"Zo\xc3\xab", 4}, "Zo\xc3\xab", "x id=Zo\xc3\xab"},
        {{(const uint8_t *)"", 0}, "", "x id=\"\""},
        {{(const uint8_t *)"\\\"", 2}, "\\\\\"", "x id=\"\\\\\\\"\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        yo_log_write(&records, 0, "m", yo_log_text(YO_LOG_NONE, "id", cases[i].id),
                     "x");
        assert_string_equal(heard.values[0], cases[i].value);
        yo_log_write(&log_to_test, 0, "m", yo_log_text(YO_LOG_NONE, "id", cases[i].id),
                     "x");
        assert_string_equal(heard.text, cases[i].text);
    }
}

static void fields_are_bounded(void **state)
{
    struct yo_log_fields fields = {.count = 0};

    (void)state;
    for (int i = 0; i < 40; i++) {
        (void)yo_log_text(&fields, "a_name_of_some_length_and_a_bit",
                          bytes_repeat("\"", 5000));
    }
    memset(&heard, 0, sizeof(heard));
    yo_log_write(&log_to_test, 0, "m", &fields, "x");
    assert_string_equal(heard.text + strlen(heard.text) - 4, "...\"");
    assert_in_range(strlen(heard.text), 12 * 600, 12 * 650);
    fields.count = 1;
    yo_log_write(&records, 0, "m", &fields, "x");
    assert_int_equal(strlen(heard.values[0]), 303);
    fields.list[0].text = bytes_repeat("\n", 300); /* nothing is cut in its middle */
    yo_log_write(&records, 0, "m", &fields, "x");
    assert_int_equal(strlen(heard.values[0]), 303);
    fields.list[0].text = bytes_repeat("\n", 150);
    yo_log_write(&records, 0, "m", &fields, "x");
    assert_int_equal(strlen(heard.values[0]), 300);
    assert_null(strstr(heard.values[0], "..."));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_line_arrives_as_it_was_formatted, forget),
        cmocka_unit_test_setup(what_nobody_hears_is_not_formatted, forget),
        cmocka_unit_test_setup(control_characters_are_escaped, forget),
        cmocka_unit_test_setup(a_long_line_is_cut_at_a_thousand_bytes, forget),
        cmocka_unit_test_setup(no_character_is_cut_in_its_middle, forget),
        cmocka_unit_test_setup(fields_are_apart_or_behind_the_text, forget),
        cmocka_unit_test_setup(fields_of_a_silent_line_are_not_looked_at, forget),
        cmocka_unit_test_setup(a_hostile_id_is_escaped, forget),
        cmocka_unit_test_setup(fields_are_bounded, forget),
    };

    return cmocka_run_group_tests_name("base/log", tests, NULL, NULL);
}
