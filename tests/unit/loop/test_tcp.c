/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sys/resource.h>
#include <time.h>

#include "loop/tcp.h"
#include "support/until.h"

struct end {
    struct yo_tcp *tcp;
    size_t bytes;
    uint32_t sum;
    int connects, ends, drains, errors, error;
    bool echo;
};

static void on_connect(void *user, struct yo_tcp *tcp, int error, yo_time now)
{
    struct end *end = user;
    (void)now;
    assert_ptr_equal(tcp, end->tcp);
    end->connects++;
    end->error = error;
}

static void on_read(void *user, struct yo_tcp *tcp, struct yo_span bytes, yo_time now)
{
    struct end *end = user;
    (void)now;
    for (size_t i = 0; i < bytes.size; i++) {
        end->sum = end->sum * 31 + bytes.data[i];
    }
    end->bytes += bytes.size;
    if (end->echo) {
        assert_int_equal(yo_tcp_write(tcp, bytes), YOMO_OK);
    }
}

static void on_end(void *user, struct yo_tcp *tcp, yo_time now)
{
    (void)tcp;
    (void)now;
    ((struct end *)user)->ends++;
}

static void on_drain(void *user, struct yo_tcp *tcp, yo_time now)
{
    (void)now;
    assert_int_equal(yo_tcp_queued(tcp), 0);
    ((struct end *)user)->drains++;
}

static void on_error(void *user, struct yo_tcp *tcp, int error, yo_time now)
{
    struct end *end = user;
    (void)tcp;
    (void)now;
    end->errors++;
    end->error = error;
}

static const struct yo_tcp_events events = {on_connect, on_read, on_end, on_drain,
                                            on_error};

static struct yo_loop *loop;
static struct yo_tcp_listener *listener;
static struct end server, client;

static void on_accept(void *user, struct yo_tcp *tcp, yo_time now)
{
    struct end *end = user;
    (void)now;
    assert_null(end->tcp);
    end->tcp = tcp;
    yo_tcp_start(tcp, &events, end);
}

static int start(void **state)
{
    union yo_address local;
    (void)state;
    memset(&server, 0, sizeof(server));
    memset(&client, 0, sizeof(client));
    yo_address_parse(&local, "127.0.0.1", 0);
    return yo_loop_create(&loop, &yo_mem_libc, NULL, NULL) != YOMO_OK ||
           yo_tcp_listen(&listener, loop, -1, &local, false, on_accept, &server) !=
               YOMO_OK;
}

static int stop(void **state)
{
    (void)state;
    yo_tcp_close(server.tcp);
    yo_tcp_close(client.tcp);
    yo_tcp_listener_close(listener);
    until_closed(loop);
    return 0;
}

static void meet(void)
{
    assert_int_equal(yo_tcp_connect(&client.tcp, loop, yo_tcp_listener_local(listener),
                                    &events, &client),
                     YOMO_OK);
    assert_int_equal(client.connects, 0);
    UNTIL(loop, client.connects == 1 && server.tcp != NULL);
    assert_int_equal(client.error, YOMO_OK);
}

static void bytes_go_both_ways(void **state)
{
    (void)state;
    meet();
    server.echo = true;
    assert_int_equal(yo_tcp_write(client.tcp, yo_span_of("hello")), YOMO_OK);
    UNTIL(loop, client.bytes == 5);
    assert_int_equal(client.sum, server.sum);
}

static void what_is_written_before_the_connection_stands_is_sent_after(void **state)
{
    (void)state;
    yo_tcp_connect(&client.tcp, loop, yo_tcp_listener_local(listener), &events,
                   &client);
    assert_int_equal(yo_tcp_write(client.tcp, yo_span_of("early")), YOMO_OK);
    assert_int_equal(yo_tcp_queued(client.tcp), 5);
    UNTIL(loop, server.bytes == 5);
    assert_int_equal(client.drains, 1);
}

static void what_the_kernel_does_not_take_waits_and_arrives_whole(void **state)
{
    enum { SIZE = 16 << 20, PART = 100000 };
    (void)state;
    meet();
    yo_tcp_pause(server.tcp, true);
    uint8_t *bytes = malloc(SIZE);
    uint32_t sum = 0;
    for (size_t i = 0; i < SIZE; i++) {
        bytes[i] = (uint8_t)(i * 7 + i / 1000);
        sum = sum * 31 + bytes[i];
    }
    for (size_t at = 0; at < SIZE; at += PART) {
        size_t size = SIZE - at < PART ? SIZE - at : PART;
        assert_int_equal(yo_tcp_write(client.tcp, yo_span(bytes + at, size)), YOMO_OK);
    }
    free(bytes);
    assert_true(yo_tcp_queued(client.tcp) > 0);
    yo_tcp_end(client.tcp);
    until_turn(loop, 20);
    assert_int_equal(server.bytes, 0); /* paused */
    yo_tcp_pause(server.tcp, false);
    UNTIL(loop, server.ends == 1);
    assert_int_equal(server.bytes, SIZE);
    assert_int_equal(server.sum, sum);
    assert_int_equal(client.drains, 1);
    assert_int_equal(yo_tcp_write(client.tcp, yo_span_of("x")), YOMO_ERR_CLOSED);
}

static void a_fin_comes_once_and_the_other_way_stays_open(void **state)
{
    (void)state;
    meet();
    yo_tcp_end(client.tcp);
    UNTIL(loop, server.ends == 1);
    assert_int_equal(yo_tcp_write(server.tcp, yo_span_of("still here")), YOMO_OK);
    UNTIL(loop, client.bytes == 10);
    assert_int_equal(server.ends, 1);
}

static void a_reset_is_an_error_and_no_signal(void **state)
{
    (void)state;
    struct sigaction before;
    sigaction(SIGPIPE, NULL, &before);
    assert_true(before.sa_handler == SIG_DFL);
    meet();
    yo_tcp_reset(server.tcp);
    server.tcp = NULL;
    UNTIL(loop, client.errors == 1);
    assert_int_equal(client.error, YOMO_ERR_CLOSED);
    /* Writing into it would raise SIGPIPE by default, and end this program. */
    assert_int_equal(yo_tcp_write(client.tcp, yo_span_of("x")), YOMO_ERR_CLOSED);
    until_turn(loop, 0);
    assert_int_equal(client.errors, 1);
}

static void a_write_into_a_reset_fails_in_the_loop(void **state)
{
    (void)state;
    meet();
    yo_tcp_pause(client.tcp, true); /* so that reading does not find out */
    yo_tcp_reset(server.tcp);
    server.tcp = NULL;
    uint64_t deadline = yo_wall_ms() + UNTIL_MS;
    while (yo_tcp_write(client.tcp, yo_span_of("x")) == YOMO_OK) {
        assert_true(yo_wall_ms() < deadline);
    }
    assert_int_equal(client.errors, 0);
    UNTIL(loop, client.errors == 1);
}

static void nobody_at_home_is_unreachable(void **state)
{
    (void)state;
    union yo_address gone = *yo_tcp_listener_local(listener);
    yo_tcp_listener_close(listener);
    listener = NULL;
    assert_int_equal(yo_tcp_connect(&client.tcp, loop, &gone, &events, &client),
                     YOMO_OK);
    UNTIL(loop, client.connects == 1);
    assert_int_equal(client.error, YOMO_ERR_UNREACHABLE);
}

static void a_listener_takes_a_bound_socket_and_many_clients(void **state)
{
    (void)state;
    /* Also: those accepted are closed without ever being started. */
    struct end ends[20];
    memset(ends, 0, sizeof(ends));
    yo_tcp_listener_close(listener);
    listener = NULL;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    union yo_address local;
    socklen_t size = sizeof(local);
    yo_address_parse(&local, "127.0.0.1", 0);
    assert_int_equal(bind(fd, &local.sa, sizeof(local.in)), 0);
    assert_int_equal(getsockname(fd, &local.sa, &size), 0);
    assert_int_equal(
        yo_tcp_listen(&listener, loop, fd, NULL, false, on_accept, &server), YOMO_OK);
    assert_true(yo_address_equal(yo_tcp_listener_local(listener), &local));
    for (size_t i = 0; i < 20; i++) {
        server.tcp = NULL;
        yo_tcp_connect(&ends[i].tcp, loop, &local, &events, &ends[i]);
        UNTIL(loop, ends[i].connects == 1 && server.tcp);
        yo_tcp_close(ends[i].tcp);
        yo_tcp_close(server.tcp);
    }
    server.tcp = NULL;
}

static void without_descriptors_clients_wait_until_there_are_some(void **state)
{
    (void)state;
    struct rlimit before, none;
    yo_tcp_connect(&client.tcp, loop, yo_tcp_listener_local(listener), &events,
                   &client);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 3; /* less than there are: no new one */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    UNTIL(loop, client.connects == 1);
    clock_t start = clock();
    for (int i = 0; i < 10; i++) {
        until_turn(loop, 5);
    }
    /* The listener rests meanwhile instead of asking again and again. */
    assert_true(clock() - start < CLOCKS_PER_SEC / 20);
    assert_null(server.tcp);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    UNTIL(loop, server.tcp != NULL);
}

static void a_port_in_use_is_an_error(void **state)
{
    (void)state;
    struct yo_tcp_listener *second;
    assert_int_equal(yo_tcp_listen(&second, loop, -1, yo_tcp_listener_local(listener),
                                   false, on_accept, &server),
                     YOMO_ERR_IN_USE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bytes_go_both_ways, start, stop),
        cmocka_unit_test_setup_teardown(
            what_is_written_before_the_connection_stands_is_sent_after, start, stop),
        cmocka_unit_test_setup_teardown(
            what_the_kernel_does_not_take_waits_and_arrives_whole, start, stop),
        cmocka_unit_test_setup_teardown(a_fin_comes_once_and_the_other_way_stays_open,
                                        start, stop),
        cmocka_unit_test_setup_teardown(a_reset_is_an_error_and_no_signal, start, stop),
        cmocka_unit_test_setup_teardown(a_write_into_a_reset_fails_in_the_loop, start,
                                        stop),
        cmocka_unit_test_setup_teardown(nobody_at_home_is_unreachable, start, stop),
        cmocka_unit_test_setup_teardown(
            a_listener_takes_a_bound_socket_and_many_clients, start, stop),
        cmocka_unit_test_setup_teardown(
            without_descriptors_clients_wait_until_there_are_some, start, stop),
        cmocka_unit_test_setup_teardown(a_port_in_use_is_an_error, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
