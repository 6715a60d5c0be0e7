/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "loop/resolve.h"
#include "support/until.h"

struct answer {
    int calls, error;
    size_t count;
    char text[YO_RESOLVE_MAX][64];
};

static void on_answer(void *user, int error, const union yo_address *addresses,
                      size_t count, yo_time now)
{
    struct answer *answer = user;
    (void)now;
    answer->calls++;
    answer->error = error;
    answer->count = count;
    for (size_t i = 0; i < count; i++) {
        yo_address_print(&addresses[i], answer->text[i]);
    }
}

static struct yo_loop *loop;

static int start(void **state)
{
    (void)state;
    return yo_loop_create(&loop, &yo_mem_libc, NULL, NULL);
}

static int stop(void **state)
{
    (void)state;
    until_closed(loop);
    return 0;
}

static void ask(const char *host, struct answer *answer)
{
    struct yo_resolve *resolve;
    memset(answer, 0, sizeof(*answer));
    assert_int_equal(yo_resolve_start(&resolve, loop, host, 4433, on_answer, answer),
                     YOMO_OK);
    assert_int_equal(answer->calls, 0);
    UNTIL(loop, answer->calls > 0);
    assert_int_equal(answer->calls, 1);
}

static void localhost_is_loopback_of_both_families(void **state)
{
    (void)state;
    static const char *const names[] = {"localhost", "LocalHost.", "room.localhost"};
    for (size_t i = 0; i < 3; i++) {
        struct answer answer;
        ask(names[i], &answer);
        assert_int_equal(answer.error, YOMO_OK);
        assert_int_equal(answer.count, 2);
        assert_string_equal(answer.text[0], "[::1]:4433");
        assert_string_equal(answer.text[1], "127.0.0.1:4433");
    }
}

static void a_literal_is_itself(void **state)
{
    (void)state;
    struct answer answer;
    ask("192.0.2.7", &answer);
    assert_int_equal(answer.count, 1);
    assert_string_equal(answer.text[0], "192.0.2.7:4433");
    ask("2001:db8::7", &answer);
    assert_string_equal(answer.text[0], "[2001:db8::7]:4433");
}

static void a_name_that_cannot_be_is_an_answer_too(void **state)
{
    (void)state;
    struct answer answer;
    ask("no-such-name.invalid", &answer); /* RFC 6761 6.4 */
    assert_int_equal(answer.error, YOMO_ERR_RESOLVE);
    assert_int_equal(answer.count, 0);
    char long_name[400];
    memset(long_name, 'a', sizeof(long_name));
    long_name[sizeof(long_name) - 1] = 0;
    ask(long_name, &answer);
    assert_int_equal(answer.error, YOMO_ERR_RESOLVE);
}

static void no_answer_comes_after_a_cancel(void **state)
{
    (void)state;
    struct answer answer = {0};
    struct yo_resolve *resolve;
    yo_resolve_start(&resolve, loop, "localhost", 1, on_answer, &answer);
    yo_resolve_cancel(resolve);
    yo_resolve_start(&resolve, loop, "no-such-name.invalid", 1, on_answer, &answer);
    yo_resolve_cancel(resolve);
    until_turn(loop, 10);
    until_turn(loop, 10);
    assert_int_equal(answer.calls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(localhost_is_loopback_of_both_families, start,
                                        stop),
        cmocka_unit_test_setup_teardown(a_literal_is_itself, start, stop),
        cmocka_unit_test_setup_teardown(a_name_that_cannot_be_is_an_answer_too, start,
                                        stop),
        cmocka_unit_test_setup_teardown(no_answer_comes_after_a_cancel, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
