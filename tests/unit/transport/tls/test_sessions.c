/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <yomo/error.h>

#include "support/fault.h"
#include "transport/tls/sessions.h"

static struct yo_sessions *sessions;

static int begin(void **state)
{
    (void)state;
    return yo_sessions_create(&sessions, &yo_mem_libc);
}

static int end(void **state)
{
    (void)state;
    yo_sessions_destroy(sessions);
    return 0;
}

/* A session that can be told from others by its time. */
static SSL_SESSION *make(int number)
{
    SSL_SESSION *session = SSL_SESSION_new();
    assert_non_null(session);
    SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION);
    SSL_SESSION_set_time_ex(session, number);
    return session;
}

static void put(const char *key, int number)
{
    SSL_SESSION *session = make(number);
    yo_sessions_put_ticket(sessions, yo_span_of(key), session, number % 2 == 1);
    SSL_SESSION_free(session);
}

/* The number of the ticket there; 0: none. */
static int get(const char *key, uint64_t *mark)
{
    uint64_t unused;
    bool development;
    SSL_SESSION *session = yo_sessions_ticket(sessions, yo_span_of(key), &development,
                                              mark ? mark : &unused);
    if (!session) {
        return 0;
    }
    int number = (int)SSL_SESSION_get_time_ex(session);
    assert_int_equal(development, number % 2 == 1);
    SSL_SESSION_free(session);
    return number;
}

static void the_newest_ticket_of_each_server_is_kept(void **state)
{
    (void)state;
    assert_int_equal(get("a", NULL), 0);
    put("a", 1);
    put("b", 2);
    assert_int_equal(get("a", NULL), 1);
    put("a", 4);
    assert_int_equal(get("a", NULL), 4);
    assert_int_equal(get("a", NULL), 4); /* an attempt that failed may try again */
    assert_int_equal(get("b", NULL), 2);
    assert_int_equal(get("ab", NULL), 0);
}

static void what_was_used_is_dropped_and_nothing_newer(void **state)
{
    uint64_t mark = 0, newer = 0;
    (void)state;
    put("a", 1);
    assert_int_equal(get("a", &mark), 1);
    yo_sessions_spent(sessions, yo_span_of("a"), mark);
    assert_int_equal(get("a", NULL), 0);
    put("a", 2);
    assert_int_equal(get("a", &mark), 2);
    put("a", 3);
    yo_sessions_spent(sessions, yo_span_of("a"), mark);
    assert_int_equal(get("a", &newer), 3);
    assert_true(newer != mark);
    yo_sessions_spent(sessions, yo_span_of("a"), 0);
    yo_sessions_spent(sessions, yo_span_of("nobody"), newer);
    assert_int_equal(get("a", NULL), 3);
}

static void the_servers_used_last_are_remembered(void **state)
{
    char key[16];
    (void)state;
    for (int i = 1; i <= YO_SESSIONS_MAX + 10; i++) {
        snprintf(key, sizeof(key), "server %d", i);
        put(key, i);
        (void)get("server 1", NULL); /* is in use all the time */
    }
    assert_int_equal(get("server 1", NULL), 1);
    for (int i = 2; i <= YO_SESSIONS_MAX + 10; i++) {
        snprintf(key, sizeof(key), "server %d", i);
        assert_int_equal(get(key, NULL), i > 11 ? i : 0);
    }
}

static void tokens_are_kept_beside_tickets(void **state)
{
    uint8_t out[YO_TLS_TOKEN_MAX], large[YO_TLS_TOKEN_MAX + 1] = {1};
    uint64_t mark = 0, ticket = 0;
    (void)state;
    assert_int_equal(yo_sessions_token(sessions, yo_span_of("a"), out, &mark), 0);
    yo_sessions_put_token(sessions, yo_span_of("a"), yo_span_of("token"));
    yo_sessions_put_token(sessions, yo_span_of("a"), YO_SPAN_NONE);
    yo_sessions_put_token(sessions, yo_span_of("a"), yo_span(large, sizeof(large)));
    put("a", 6);
    assert_int_equal(yo_sessions_token(sessions, yo_span_of("a"), out, &mark), 5);
    assert_memory_equal(out, "token", 5);
    assert_int_equal(get("a", &ticket), 6);
    yo_sessions_spent(sessions, yo_span_of("a"), mark);
    assert_int_equal(yo_sessions_token(sessions, yo_span_of("a"), out, &mark), 0);
    assert_int_equal(get("a", NULL), 6);
    yo_sessions_put_token(sessions, yo_span_of("b"), yo_span(large, YO_TLS_TOKEN_MAX));
    assert_int_equal(yo_sessions_token(sessions, yo_span_of("b"), out, &mark),
                     YO_TLS_TOKEN_MAX);
    assert_int_equal(get("b", NULL), 0);
}

static void body(struct fault *fault, void *user)
{
    struct yo_sessions *kept = sessions;
    (void)user;
    if (yo_sessions_create(&sessions, &fault->mem) == YOMO_OK) {
        put("a", 1);
        yo_sessions_put_token(sessions, yo_span_of("b"), yo_span_of("token"));
        (void)get("a", NULL);
        yo_sessions_destroy(sessions);
    } else {
        assert_true(fault->failed);
    }
    sessions = kept;
}

static void without_memory_nothing_is_kept(void **state)
{
    (void)state;
    fault_each(body, NULL);
}

static void *visit(void *user)
{
    const char *key = user;
    uint8_t token[YO_TLS_TOKEN_MAX];
    for (int i = 1; i <= 500; i++) {
        uint64_t mark = 0;
        put(i % 3 == 0 ? "all" : key, 2 * i);
        (void)get(i % 2 == 0 ? "all" : key, &mark);
        yo_sessions_put_token(sessions, yo_span_of(key), yo_span_of("token"));
        (void)yo_sessions_token(sessions, yo_span_of("all"), token, &mark);
        yo_sessions_spent(sessions, yo_span_of("all"), mark);
    }
    return NULL;
}

static void connections_of_several_threads_share_it(void **state)
{
    static char keys[3][2] = {"a", "b", "c"};
    pthread_t threads[3];
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, visit, keys[i]), 0);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(get(keys[i], NULL), 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_newest_ticket_of_each_server_is_kept, begin,
                                        end),
        cmocka_unit_test_setup_teardown(what_was_used_is_dropped_and_nothing_newer,
                                        begin, end),
        cmocka_unit_test_setup_teardown(the_servers_used_last_are_remembered, begin,
                                        end),
        cmocka_unit_test_setup_teardown(tokens_are_kept_beside_tickets, begin, end),
        cmocka_unit_test_setup_teardown(connections_of_several_threads_share_it, begin,
                                        end),
        cmocka_unit_test_setup_teardown(without_memory_nothing_is_kept, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
