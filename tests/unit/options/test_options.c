/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "options/options.h"
#include "support/bytes.h"
#include "support/fault.h"

static yomo_options *make(int32_t scope)
{
    yomo_options *options;

    assert_int_equal(yomo_options_create(&options, scope), YOMO_OK);
    return options;
}

static void set(yomo_options *options, const char *name, const char *value)
{
    if (yomo_options_set(options, name, value) != YOMO_OK) {
        fail_msg("%s = %s: %s", name, value, yomo_options_error(options));
    }
}

static void a_fresh_set_has_the_defaults(void **state)
{
    yomo_options *options = make(YOMO_SCOPE_SERVER);

    (void)state;
    assert_string_equal(yomo_options_get(options, "port"), "8443");
    assert_int_equal(yo_options_number(options, "port"), 8443);
    assert_int_equal(yo_options_ms(options, "drain-timeout"), 8000);
    assert_false(yo_options_switch(options, "insecure-open"));
    assert_null(yomo_options_get(options, "tls-cert"));
    assert_null(yo_options_text(options, "tls-cert"));
    assert_false(yo_options_is_set(options, "port"));
    assert_string_equal(yomo_options_error(options), "");
    yomo_options_free(options);
}

static void a_value_is_read_as_it_was_set(void **state)
{
    yomo_options *options = make(YOMO_SCOPE_CLIENT);

    (void)state;
    set(options, "transport", "websocket");
    set(options, "message-size-max", "1m");
    set(options, "race-delay", "0");
    set(options, "id", "");
    assert_int_equal(yo_options_choice(options, "transport"), 2);
    assert_int_equal(yo_options_number(options, "message-size-max"), 1 << 20);
    assert_int_equal(yo_options_ms(options, "race-delay"), 0);
    assert_string_equal(yo_options_text(options, "id"), "");
    assert_string_equal(yomo_options_get(options, "message-size-max"), "1m");
    assert_true(yo_options_is_set(options, "id"));
    yomo_options_free(options);
}

static void the_later_value_wins_and_null_is_the_default_again(void **state)
{
    yomo_options *options = make(YOMO_SCOPE_SERVER);

    (void)state;
    set(options, "port", "1");
    set(options, "port", "2");
    assert_int_equal(yo_options_number(options, "port"), 2);
    assert_int_equal(yomo_options_set(options, "port", NULL), YOMO_OK);
    assert_int_equal(yo_options_number(options, "port"), 8443);
    assert_int_equal(yomo_options_set(options, "prt", NULL), YOMO_ERR_OPTION);
    yomo_options_free(options);
}

static void a_list_grows_from_nothing_not_from_its_default(void **state)
{
    yomo_options *options = make(YOMO_SCOPE_SERVER);

    (void)state;
    assert_text(yo_options_item(options, "bind", 0), "localhost");
    assert_null(yo_options_item(options, "bind", 1).data);
    assert_null(yo_options_item(options, "keys", 0).data);
    set(options, "bind", "192.0.2.1, ::1");
    set(options, "bind", "192.0.2.2");
    assert_text(yo_options_item(options, "bind", 0), "192.0.2.1");
    assert_text(yo_options_item(options, "bind", 1), "::1");
    assert_text(yo_options_item(options, "bind", 2), "192.0.2.2");
    assert_null(yo_options_item(options, "bind", 3).data);
    assert_string_equal(yomo_options_get(options, "bind"), "192.0.2.1,::1,192.0.2.2");
    yomo_options_free(options);
}

static void check_complaint(yomo_options *options, const char *name, const char *value,
                            const char *sentence)
{
    assert_int_equal(yomo_options_set(options, name, value), YOMO_ERR_OPTION);
    assert_string_equal(yomo_options_error(options), sentence);
}

static void a_wrong_name_or_value_says_what_would_be_right(void **state)
{
    yomo_options *options = make(YOMO_SCOPE_SERVER);

    (void)state;
    check_complaint(options, "prot", "1",
                    "there is no option 'prot'; did you mean 'port'?");
    check_complaint(options, "xylophone", "1", "there is no option 'xylophone'");
    check_complaint(options, "transport", "auto",
                    "'transport' is an option of clients, not of servers");
    check_complaint(options, "port", "70000",
                    "'port' does not take '70000': it takes a number from 0 to 65535");
    check_complaint(
        options, "http-port", "maybe",
        "'http-port' does not take 'maybe': it takes a port from 0 to 65535, "
        "or none");
    check_complaint(options, "echo", "perhaps",
                    "'echo' does not take 'perhaps': it takes true or false");
    assert_false(yo_options_is_set(options, "port"));
    yomo_options_free(options);
}

static void a_complaint_is_one_short_line_whatever_was_said(void **state)
{
    yomo_options *options = make(YOMO_SCOPE_SERVER);
    char name[5001];
    const char *error;

    (void)state;
    memset(name, 'x', sizeof(name));
    name[5000] = '\0';
    assert_int_equal(yomo_options_set(options, name, "1"), YOMO_ERR_OPTION);
    assert_true(strlen(yomo_options_error(options)) < 200);
    assert_int_equal(yomo_options_set(options, "port", "\n\x1b[2J"), YOMO_ERR_OPTION);
    for (error = yomo_options_error(options); *error; error++) {
        assert_true((unsigned char)*error >= 0x20);
    }
    yomo_options_free(options);
}

static void a_complaint_does_not_cut_a_character(void **state)
{
    yomo_options *options = make(YOMO_SCOPE_SERVER);
    struct yo_span error;

    (void)state;
    for (size_t before = 0; before < 4; before++) {
        char value[256] = "";
        for (size_t i = 0; i < before; i++) {
            strcat(value, "x");
        }
        for (size_t i = 0; i < 30; i++) {
            strcat(value, "\xe2\x82\xac");
        }
        assert_int_equal(yomo_options_set(options, "port", value), YOMO_ERR_OPTION);
        error = yo_span_of(yomo_options_error(options));
        for (size_t i = 0; i < error.size; i++) { /* each euro sign is whole */
            if (error.data[i] == 0xe2) {
                assert_true(error.data[i + 1] == 0x82 && error.data[i + 2] == 0xac);
            }
        }
    }
    yomo_options_free(options);
}

static void texts_are_utf8(void **state)
{
    yomo_options *options = make(YOMO_SCOPE_CLIENT);

    (void)state;
    assert_int_equal(yomo_options_set(options, "id", "\xc3\xa4"), YOMO_OK);
    assert_int_equal(yomo_options_set(options, "id", "\xc3"), YOMO_ERR_OPTION);
    assert_string_equal(yomo_options_get(options, "id"), "\xc3\xa4");
    yomo_options_free(options);
}

static int32_t connect_nowhere(void *user, const char *url, yomo_carrier *carrier,
                               void **connection)
{
    (void)user, (void)url, (void)carrier, (void)connection;
    return YOMO_ERR_UNREACHABLE;
}

static int32_t send_nothing(void *connection, const void *data, size_t size,
                            int32_t reliable)
{
    (void)connection, (void)data, (void)size, (void)reliable;
    return YOMO_ERR_AGAIN;
}

static void close_nothing(void *connection, uint32_t code, const char *reason)
{
    (void)connection, (void)code, (void)reason;
}

static const yomo_transport nowhere = {sizeof(nowhere), send_nothing, close_nothing};

static void a_transport_is_found_by_its_scheme(void **state)
{
    yomo_options *options = make(YOMO_SCOPE_CLIENT);
    const struct yo_custom_transport *found;
    int user;

    (void)state;
    assert_int_equal(
        yomo_options_set_transport(options, "pipe", &nowhere, connect_nowhere, &user),
        YOMO_OK);
    found = yo_options_transport(options, yo_span_of("PIPE"));
    assert_non_null(found);
    assert_ptr_equal(found->user, &user);
    assert_ptr_equal(found->transport.send, send_nothing);
    assert_null(yo_options_transport(options, yo_span_of("radio")));
    yomo_options_free(options);
}

static void a_scheme_that_has_a_transport_is_not_taken_twice(void **state)
{
    yomo_options *options = make(YOMO_SCOPE_CLIENT);
    static const char *const taken[] = {"pipe", "Pipe", "https", "WSS", "ws", "http"};

    (void)state;
    assert_int_equal(
        yomo_options_set_transport(options, "pipe", &nowhere, connect_nowhere, NULL),
        YOMO_OK);
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        assert_int_equal(yomo_options_set_transport(options, taken[i], &nowhere,
                                                    connect_nowhere, NULL),
                         YOMO_ERR_EXISTS);
    }
    assert_int_equal(
        yomo_options_set_transport(options, "1x", &nowhere, connect_nowhere, NULL),
        YOMO_ERR_INVALID);
    assert_int_equal(
        yomo_options_set_transport(options, "", &nowhere, connect_nowhere, NULL),
        YOMO_ERR_INVALID);
    yomo_options_free(options);
}

static void wrong_arguments_are_refused(void **state)
{
    yomo_options *options = make(YOMO_SCOPE_CLIENT);
    yomo_options *none;
    yomo_mem mem = {0};

    (void)state;
    assert_int_equal(yomo_options_create(NULL, 0), YOMO_ERR_INVALID);
    assert_int_equal(yomo_options_create(&none, 2), YOMO_ERR_INVALID);
    assert_int_equal(yomo_options_set(NULL, "id", "x"), YOMO_ERR_INVALID);
    assert_int_equal(yomo_options_set(options, NULL, "x"), YOMO_ERR_INVALID);
    assert_int_equal(yomo_options_set_mem(options, &mem), YOMO_ERR_INVALID);
    assert_int_equal(yomo_options_set_log(options, NULL, NULL, 5), YOMO_ERR_INVALID);
    assert_null(yomo_options_get(NULL, "id"));
    assert_null(yomo_options_get(options, "nothing"));
    assert_string_equal(yomo_options_error(NULL), "");
    yomo_options_free(options);
    yomo_options_free(NULL);
}

static void hear_line(void *user, int32_t level, const char *module, const char *text)
{
    (void)user, (void)level, (void)module, (void)text;
}

static void hear_record(void *user, const yomo_log_record *record)
{
    (void)user, (void)record;
}

static void lines_go_to_whoever_was_set_last(void **state)
{
    yomo_options *options = make(YOMO_SCOPE_CLIENT), *copy;

    (void)state;
    assert_int_equal(yomo_options_set_log_record(options, hear_record, NULL, 5),
                     YOMO_ERR_INVALID);
    assert_int_equal(yomo_options_set_log_record(options, hear_record, NULL, 1),
                     YOMO_OK);
    copy = yo_options_copy(options);
    assert_non_null(copy);
    assert_true(yo_options_log(copy)->record == hear_record);
    assert_null(yo_options_log(copy)->fn);
    assert_int_equal(yomo_options_set_log(copy, hear_line, NULL, 1), YOMO_OK);
    assert_true(yo_options_log(copy)->fn == hear_line);
    assert_null(yo_options_log(copy)->record);
    assert_int_equal(yomo_options_set_log_record(copy, hear_record, NULL, 1), YOMO_OK);
    assert_null(yo_options_log(copy)->fn);
    yomo_options_free(copy);
    yomo_options_free(options);
}

static void a_log_is_kept_with_its_level(void **state)
{
    yomo_options *options = make(YOMO_SCOPE_CLIENT);
    int user;

    (void)state;
    assert_null(yo_options_log(options)->fn);
    assert_int_equal(yomo_options_set_log(options, NULL, &user, YOMO_LOG_DEBUG),
                     YOMO_OK);
    assert_int_equal(yo_options_log(options)->level, YOMO_LOG_DEBUG);
    assert_ptr_equal(yo_options_log(options)->user, &user);
    yomo_options_free(options);
}

static void fill(yomo_options *options)
{
    (void)yomo_options_set(options, "id", "alice");
    (void)yomo_options_set(options, "cert-hash",
                           "00112233445566778899aabbccddeeff"
                           "00112233445566778899aabbccddeeff");
    (void)yomo_options_set(options, "queue-size", "2m");
    (void)yomo_options_set_transport(options, "pipe", &nowhere, connect_nowhere, NULL);
}

static void a_copy_is_of_its_own(void **state)
{
    yomo_options *options = make(YOMO_SCOPE_CLIENT), *copy;

    (void)state;
    fill(options);
    copy = yo_options_copy(options);
    assert_non_null(copy);
    set(options, "id", "bob");
    yomo_options_free(options);
    assert_int_equal(yo_options_scope(copy), YOMO_SCOPE_CLIENT);
    assert_string_equal(yo_options_text(copy, "id"), "alice");
    assert_int_equal(yo_options_number(copy, "queue-size"), 2 << 20);
    assert_non_null(yo_options_transport(copy, yo_span_of("pipe")));
    yomo_options_free(copy);
}

/* Values move to the host's allocator, new ones come from there, and a copy does
 * altogether. */
static void use_memory(struct fault *fault, void *user)
{
    yomo_options *options = make(YOMO_SCOPE_CLIENT), *copy;

    (void)user;
    set(options, "token", "before");
    if (yomo_options_set_mem(options, &fault->mem) != YOMO_OK) {
        assert_true(fault->failed);
    }
    assert_string_equal(yomo_options_get(options, "token"), "before");
    fill(options);
    copy = yo_options_copy(options);
    assert_true(copy || fault->failed);
    if (copy) {
        assert_string_equal(yo_options_text(copy, "token"), "before");
    }
    yomo_options_free(copy);
    yomo_options_free(options);
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(fault_each(use_memory, NULL) > 5);
}

static void set_twice(struct fault *fault, void *user)
{
    yomo_options *options = make(YOMO_SCOPE_SERVER);

    (void)user;
    if (yomo_options_set_mem(options, &fault->mem) == YOMO_OK) {
        int first = yomo_options_set(options, "bind", "192.0.2.1");
        int second = yomo_options_set(options, "bind", "192.0.2.2");
        const char *wanted = first    ? (second ? "localhost" : "192.0.2.2")
                             : second ? "192.0.2.1"
                                      : "192.0.2.1,192.0.2.2";
        assert_string_equal(yomo_options_get(options, "bind"), wanted);
        assert_true((first == YOMO_OK && second == YOMO_OK) || fault->failed);
    }
    yomo_options_free(options);
}

static void a_list_that_could_not_grow_is_as_it_was(void **state)
{
    (void)state;
    assert_true(fault_each(set_twice, NULL) > 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fresh_set_has_the_defaults),
        cmocka_unit_test(a_value_is_read_as_it_was_set),
        cmocka_unit_test(the_later_value_wins_and_null_is_the_default_again),
        cmocka_unit_test(a_list_grows_from_nothing_not_from_its_default),
        cmocka_unit_test(a_wrong_name_or_value_says_what_would_be_right),
        cmocka_unit_test(a_complaint_is_one_short_line_whatever_was_said),
        cmocka_unit_test(a_complaint_does_not_cut_a_character),
        cmocka_unit_test(texts_are_utf8),
        cmocka_unit_test(a_transport_is_found_by_its_scheme),
        cmocka_unit_test(a_scheme_that_has_a_transport_is_not_taken_twice),
        cmocka_unit_test(wrong_arguments_are_refused),
        cmocka_unit_test(a_log_is_kept_with_its_level),
        cmocka_unit_test(lines_go_to_whoever_was_set_last),
        cmocka_unit_test(a_copy_is_of_its_own),
        cmocka_unit_test(any_allocation_may_fail),
        cmocka_unit_test(a_list_that_could_not_grow_is_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
