/* SPDX-License-Identifier: MIT */
/* test_admin_ask.c - a call to the admin API while memory ends: the answer comes once,
 * or the call itself says that it does not. Against a server that says the same to all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <yomo/admin.h>
#include <yomo/error.h>

#include "support/fault.h"

static int listener;
static uint16_t port;

static void *serve(void *unused)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n"
                                 "Connection: close\r\n\r\n{\"rooms\":1}";
    int fd;

    (void)unused;
    while ((fd = accept(listener, NULL, NULL)) >= 0) {
        char request[1024];
        ssize_t got = recv(fd, request, sizeof(request), 0);
        if (got > 0) {
            (void)send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL);
        }
        close(fd);
    }
    return NULL;
}

static struct {
    pthread_mutex_t lock;
    pthread_cond_t came;
    int answers;
    int32_t error, status;
    char body[64];
} told = {.lock = PTHREAD_MUTEX_INITIALIZER, .came = PTHREAD_COND_INITIALIZER};

static void on_answer(void *user, int32_t error, int32_t status, const char *body,
                      uint64_t size, const char *text)
{
    (void)user;
    pthread_mutex_lock(&told.lock);
    told.answers++;
    told.error = error;
    told.status = status;
    assert_int_equal(strlen(body), size);
    assert_true(strlen(text) < 1000); /* there is an end to it */
    snprintf(told.body, sizeof(told.body), "%s", body);
    pthread_cond_signal(&told.came);
    pthread_mutex_unlock(&told.lock);
}

static void wait_for_answer(void)
{
    struct timespec until;
    int rv = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 20;
    pthread_mutex_lock(&told.lock);
    while (told.answers == 0 && rv == 0) {
        rv = pthread_cond_timedwait(&told.came, &told.lock, &until);
    }
    pthread_mutex_unlock(&told.lock);
    assert_int_equal(rv, 0);
}

/* The thread of a call frees what it has after the answer. */
static void wait_for_end(const struct fault *fault)
{
    for (int i = 0; i < 20000 && atomic_load(&fault->blocks) > 0; i++) {
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
}

static void body(struct fault *fault, void *user)
{
    yomo_options *options;
    char url[64];
    int rv;

    (void)user;
    snprintf(url, sizeof(url), "http://127.0.0.1:%u", port);
    assert_int_equal(yomo_options_create(&options, YOMO_SCOPE_CLIENT), YOMO_OK);
    assert_int_equal(yomo_options_set(options, "url", url), YOMO_OK);
    assert_int_equal(yomo_options_set(options, "token", "secret"), YOMO_OK);
    rv = yomo_options_set_mem(options, &fault->mem);
    told.answers = 0;
    rv = rv == YOMO_OK ? yomo_admin_ask(options, "rooms", NULL, on_answer, NULL) : rv;
    yomo_options_free(options);
    if (rv == YOMO_OK) {
        wait_for_answer();
        assert_true(told.error == YOMO_OK || fault->failed);
        if (told.error == YOMO_OK) {
            assert_int_equal(told.status, 200);
            assert_string_equal(told.body, "{\"rooms\":1}");
        }
    } else {
        assert_true(fault->failed);
    }
    wait_for_end(fault);
    assert_int_equal(told.answers, rv == YOMO_OK);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(fault_each(body, NULL) > 5);
}

static int begin(void **state)
{
    static pthread_t thread;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);

    listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0 ||
        listen(listener, 8) != 0 || pthread_create(&thread, NULL, serve, NULL) != 0) {
        return -1;
    }
    port = ntohs(address.sin_port);
    *state = &thread;
    return 0;
}

static int finish(void **state)
{
    shutdown(listener, SHUT_RDWR);
    pthread_join(*(pthread_t *)*state, NULL);
    close(listener);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_may_fail)};

    return cmocka_run_group_tests_name("client/admin_ask", tests, begin, finish);
}
