/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <yomo/error.h>

#include "support/bytes.h"
#include "support/fault.h"
#include "transport/webtransport/subprotocol.h"

/* `expected`: the texts with '|' behind each; NULL: the field is invalid. */
static void check_list(const char *value, const char *expected)
{
    struct yo_buf list;
    int rv;

    yo_buf_init(&list, &yo_mem_libc);
    yo_buf_append_byte(&list, 'x');
    rv = yo_subprotocols_read(&list, bytes_copy(yo_span_of(value)));
    for (size_t i = 0; i < list.size; i++) {
        list.data[i] = list.data[i] ? list.data[i] : '|';
    }
    if (rv != (expected ? YOMO_OK : YOMO_ERR_INVALID) ||
        !yo_span_is(yo_span_skip(yo_buf_span(&list), 1), expected ? expected : "")) {
        fail_msg("%s: %d, %.*s", value, rv, (int)list.size, (const char *)list.data);
    }
    yo_buf_finish(&list);
}

static void lists_of_strings_and_tokens_are_read(void **state)
{
    (void)state;
    check_list("", "");
    check_list("  ", "");
    check_list("\"yomo.v1\"", "yomo.v1|");
    check_list("\"a\", \"b\" ,\t\"c d\"", "a|b|c d|");
    check_list("\"q\\\"uote\\\\\"", "q\"uote\\|");
    check_list("moq-00, *x, a/b:c", "moq-00|*x|a/b:c|");
    check_list("\"a\";q=0.5;x;y=?1;z=\"\\\"\";w=:AAAA:;v=tok;u=-12;d=@5, \"b\"",
               "a|b|");
}

static void what_is_not_such_a_list_is_invalid_as_a_whole(void **state)
{
    (void)state;
    check_list("\"a\",", NULL);
    check_list(",\"a\"", NULL);
    check_list("\"a\" \"b\"", NULL);
    check_list("\"a", NULL);
    check_list("\"a\\", NULL);
    check_list("\"a\\n\"", NULL);
    check_list("\"\"", NULL);
    check_list("\"\x7f\"", NULL);
    check_list("\"\xc3\xa4\"", NULL);
    check_list("1", NULL);
    check_list("?1", NULL);
    check_list("(\"a\" \"b\")", NULL);
    check_list("\"a\";", NULL);
    check_list("\"a\";Q=(", NULL);
}

static void no_list_is_longer_than_its_bound(void **state)
{
    char value[YO_SUBPROTOCOLS_MAX * 4 + 8] = "";
    char longest[YO_SUBPROTOCOL_SIZE_MAX + 4];
    struct yo_buf list;

    (void)state;
    for (int i = 0; i < YO_SUBPROTOCOLS_MAX; i++) {
        strcat(value, i ? ", a" : "a");
    }
    yo_buf_init(&list, &yo_mem_libc);
    assert_int_equal(yo_subprotocols_read(&list, yo_span_of(value)), YOMO_OK);
    strcat(value, ", a");
    assert_int_equal(yo_subprotocols_read(&list, yo_span_of(value)), YOMO_ERR_INVALID);
    memset(longest, 'a', sizeof(longest));
    yo_buf_clear(&list);
    assert_int_equal(
        yo_subprotocol_read(&list, yo_span(longest, YO_SUBPROTOCOL_SIZE_MAX)), YOMO_OK);
    assert_int_equal(
        yo_subprotocol_read(&list, yo_span(longest, YO_SUBPROTOCOL_SIZE_MAX + 1)),
        YOMO_ERR_INVALID);
    yo_buf_finish(&list);
}

static void one_is_read_and_written(void **state)
{
    struct yo_buf text, value;

    (void)state;
    yo_buf_init(&text, &yo_mem_libc);
    yo_buf_init(&value, &yo_mem_libc);
    assert_int_equal(
        yo_subprotocol_read(&text, bytes_copy(yo_span_of(" \"a\\\"b\";x "))), YOMO_OK);
    assert_true(yo_span_equal(yo_buf_span(&text), yo_span("a\"b", 4)));
    assert_int_equal(yo_subprotocol_write(&value, yo_span_of("a\"b")), YOMO_OK);
    assert_string_equal((const char *)value.data, "\"a\\\"b\"");
    yo_buf_clear(&text);
    assert_int_equal(yo_subprotocol_read(&text, yo_span_of("a, b")), YOMO_ERR_INVALID);
    assert_int_equal(yo_subprotocol_read(&text, yo_span_of("")), YOMO_ERR_INVALID);
    yo_buf_clear(&value);
    assert_int_equal(yo_subprotocols_write(&value, yo_span("a\0b c", 6)), YOMO_OK);
    assert_string_equal((const char *)value.data, "\"a\", \"b c\"");
    assert_true(yo_subprotocols_has(yo_span("a\0b c", 6), yo_span_of("b c")));
    assert_false(yo_subprotocols_has(yo_span("a\0b c", 6), yo_span_of("b")));
    yo_buf_finish(&text);
    yo_buf_finish(&value);
}

static void with_memory_running_out(struct fault *fault, void *user)
{
    struct yo_buf list;
    int rv;

    (void)user;
    yo_buf_init(&list, &fault->mem);
    rv = yo_subprotocols_read(&list, yo_span_of("\"a\", \"b\""));
    if (rv != YOMO_OK) {
        assert_int_equal(rv, YOMO_ERR_NOMEM);
        assert_true(fault->failed);
        assert_int_equal(list.size, 0);
    }
    yo_buf_finish(&list);
}

static void memory_may_run_out(void **state)
{
    (void)state;
    fault_each(with_memory_running_out, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_of_strings_and_tokens_are_read),
        cmocka_unit_test(what_is_not_such_a_list_is_invalid_as_a_whole),
        cmocka_unit_test(no_list_is_longer_than_its_bound),
        cmocka_unit_test(one_is_read_and_written),
        cmocka_unit_test(memory_may_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
