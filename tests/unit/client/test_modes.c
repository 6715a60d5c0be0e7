/* SPDX-License-Identifier: MIT */
/* The three ways to run a client, on real loops and threads, with a transport of the
 * host's own behind which a small server answers at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <uv.h>
#include <yomo/client.h>
#include <yomo/error.h>
#include <yomo/transport.h>

#include "base/mem.h"
#include "wire/decode.h"
#include "wire/encode.h"

#define WAIT_MS 20000 /* after which the test fails */

/* The server: says hello, lets everybody in, confirms what is numbered. It is called on
 * the client's thread. */

static void say(yomo_carrier *carrier, const struct yo_message *message)
{
    struct yo_buf bytes;
    yo_buf_init(&bytes, &yo_mem_libc);
    assert_int_equal(yo_encode(&bytes, YO_DIALECT_YOMO, message), YOMO_OK);
    yomo_carrier_message(carrier, bytes.data, bytes.size, 1);
    yo_buf_finish(&bytes);
}

static int32_t on_server_send(void *connection, const void *data, size_t size,
                              int32_t reliable)
{
    yomo_carrier *carrier = connection;
    struct yo_message message;
    (void)reliable;
    assert_int_equal(yo_decode(yo_span(data, size), &message), YOMO_OK);
    if (message.op == YO_OP_CHANNEL_JOIN) {
        static const uint8_t nobody[] = {0x90};
        const struct yo_message ack = {.op = YO_OP_CHANNEL_JOIN,
                                       .channel = message.channel,
                                       .peer = yo_span("", 0)};
        const struct yo_message snapshot = {.op = YO_OP_SNAPSHOT,
                                            .channel = message.channel,
                                            .members = yo_span(nobody, 1)};
        say(carrier, &ack);
        say(carrier, &snapshot);
    } else if (message.op == YO_OP_PEER_OFFLINE) {
        const struct yo_message left = {.op = YO_OP_CHANNEL_LEAVE,
                                        .channel = message.channel};
        say(carrier, &left);
    } else if (message.number) {
        const struct yo_message ack = {.op = YO_OP_ACK,
                                       .channel = message.channel,
                                       .number = message.number,
                                       .sequence = 1};
        say(carrier, &ack);
    }
    return YOMO_OK;
}

static void on_server_close(void *connection, uint32_t code, const char *reason)
{
    (void)code, (void)reason;
    yomo_carrier_closed(connection, 1000, "");
}

static int32_t on_server_connect(void *user, const char *url, yomo_carrier *carrier,
                                 void **connection)
{
    const struct yo_message hello = {.op = YO_OP_HELLO, .protocol = 1, .session = 5};
    (void)user;
    assert_non_null(strstr(url, "yomo=1&id=me"));
    *connection = carrier;
    yomo_carrier_opened(carrier);
    say(carrier, &hello);
    return YOMO_OK;
}

/* The program. */

struct program {
    yomo_client *client;
    yomo_room *room;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int joined, sent, unsent, left, closed, status;
    bool free_when_joined, free_when_closed, poll_when_joined;
    pthread_t thread; /* of the callbacks */
};

static void count(struct program *program, int *counter)
{
    pthread_mutex_lock(&program->lock);
    (*counter)++;
    pthread_cond_broadcast(&program->changed);
    pthread_mutex_unlock(&program->lock);
}

static void on_status(void *user, yomo_client *client, const yomo_status *status)
{
    struct program *program = user;
    (void)status;
    program->thread = pthread_self();
    if (yomo_status_state(status) == YOMO_CLIENT_OPEN) {
        assert_int_equal(yomo_client_transport(client), YOMO_TRANSPORT_CUSTOM);
    }
    count(program, &program->status);
}

static void on_joined(void *user, yomo_room *room)
{
    struct program *program = user;
    (void)room;
    count(program, &program->joined);
    if (program->poll_when_joined) {
        assert_int_equal(yomo_client_poll(program->client), YOMO_ERR_STATE);
    }
    if (program->free_when_joined) {
        yomo_client_free(program->client);
    }
}

static void on_sent(void *user, yomo_room *room, uint64_t id, int32_t error)
{
    struct program *program = user;
    (void)room, (void)id;
    count(program, error == YOMO_OK ? &program->sent : &program->unsent);
}

static void on_left(void *user, yomo_room *room, int32_t error, const char *text)
{
    struct program *program = user;
    (void)room, (void)error, (void)text;
    assert_int_equal(program->closed, 0);
    count(program, &program->left);
}

static void on_closed(void *user, yomo_client *client)
{
    struct program *program = user;
    if (program->free_when_closed) {
        yomo_client_free(client);
    }
    count(program, &program->closed);
}

static void begin(struct program *program)
{
    static const yomo_transport transport = {
        .size = sizeof(transport), .send = on_server_send, .close = on_server_close};
    static const yomo_client_callbacks callbacks = {
        .size = sizeof(callbacks),
        .on_status = on_status,
        .on_joined = on_joined,
        .on_sent = on_sent,
        .on_left = on_left,
        .on_closed = on_closed,
    };
    yomo_options *options;
    *program = (struct program){.client = NULL};
    pthread_mutex_init(&program->lock, NULL);
    pthread_cond_init(&program->changed, NULL);
    assert_int_equal(yomo_options_create(&options, YOMO_SCOPE_CLIENT), YOMO_OK);
    assert_int_equal(yomo_options_set_transport(options, "test", &transport,
                                                on_server_connect, NULL),
                     YOMO_OK);
    assert_int_equal(yomo_options_set(options, "url", "test://here"), YOMO_OK);
    assert_int_equal(yomo_options_set(options, "id", "me"), YOMO_OK);
    assert_int_equal(yomo_client_create(&program->client, options, &callbacks, program),
                     YOMO_OK);
    yomo_options_free(options);
}

static void connect_and_join(struct program *program)
{
    assert_int_equal(yomo_client_join(program->client, "r", NULL, &program->room),
                     YOMO_OK);
    assert_int_equal(yomo_client_connect(program->client), YOMO_OK);
}

static void finish(struct program *program)
{
    assert_int_equal(program->closed, 1);
    pthread_mutex_destroy(&program->lock);
    pthread_cond_destroy(&program->changed);
}

/* From another thread than the client's. */
static void wait_for(struct program *program, const int *counter, int value)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_MS / 1000;
    pthread_mutex_lock(&program->lock);
    while (*counter < value) {
        assert_int_equal(
            pthread_cond_timedwait(&program->changed, &program->lock, &until), 0);
    }
    pthread_mutex_unlock(&program->lock);
}

/* As a host program with its own poll() does it. */
static void poll_until(struct program *program, const int *counter, int value)
{
    for (int i = 0; i < 1000 && *counter < value; i++) {
        struct pollfd fd = {.fd = yomo_client_fd(program->client), .events = POLLIN};
        int timeout = yomo_client_timeout_ms(program->client);
        poll(&fd, 1, timeout < 0 || timeout > 100 ? 100 : timeout);
        yomo_client_poll(program->client);
    }
    assert_true(*counter >= value);
}

/* A thread of the library's own. */

static void on_a_thread_of_its_own(void **state)
{
    struct program program;
    (void)state;
    begin(&program);
    assert_int_equal(yomo_client_start(program.client), YOMO_OK);
    assert_int_equal(yomo_client_start(program.client), YOMO_ERR_STATE);
    assert_int_equal(yomo_client_poll(program.client), YOMO_ERR_STATE);
    assert_int_equal(yomo_client_fd(program.client), YOMO_ERR_STATE);
    connect_and_join(&program);
    wait_for(&program, &program.joined, 1);
    assert_int_equal(yomo_client_session(program.client), 5);
    yomo_client_close(program.client);
    wait_for(&program, &program.closed, 1);
    assert_false(pthread_equal(program.thread, pthread_self()));
    yomo_client_free(program.client);
    finish(&program);
}

static void calls_from_before_the_start_are_done_after_it(void **state)
{
    struct program program;
    (void)state;
    begin(&program);
    connect_and_join(&program);
    assert_int_equal(yomo_client_start(program.client), YOMO_OK);
    wait_for(&program, &program.joined, 1);
    yomo_client_free(program.client);
    wait_for(&program, &program.closed, 1);
    finish(&program);
}

static void free_inside_on_closed(void **state)
{
    struct program program;
    (void)state;
    begin(&program);
    program.free_when_closed = true;
    assert_int_equal(yomo_client_start(program.client), YOMO_OK);
    connect_and_join(&program);
    wait_for(&program, &program.joined, 1);
    yomo_client_close(program.client);
    wait_for(&program, &program.closed, 1);
    finish(&program);
}

static void free_inside_another_callback(void **state)
{
    struct program program;
    (void)state;
    begin(&program);
    program.free_when_joined = true;
    assert_int_equal(yomo_client_start(program.client), YOMO_OK);
    connect_and_join(&program);
    wait_for(&program, &program.closed, 1);
    assert_int_equal(program.left, 1);
    finish(&program);
}

#define SENDERS 4
#define EACH 100

static atomic_int keys;

static void *send_many(void *user)
{
    struct program *program = user;
    yomo_room *room = program->room;
    for (int i = 0; i < EACH; i++) {
        static const int32_t deliveries[] = {YOMO_RELIABLE, YOMO_UNRELIABLE,
                                             YOMO_LATEST};
        yomo_peers *peers;
        uint64_t id, subscription;
        char key[16];
        snprintf(key, sizeof(key), "%d",
                 atomic_fetch_add(&keys, 1)); /* nobody else's */
        assert_int_equal(
            yomo_room_send(room, "e", "1", 1, YOMO_JSON, deliveries[i % 3], key, &id),
            YOMO_OK);
        assert_int_equal(yomo_room_set_state(room, "{\"a\":1}"), YOMO_OK);
        assert_int_equal(yomo_room_peers(room, &peers), YOMO_OK);
        yomo_peers_free(peers);
        assert_int_equal(yomo_room_subscribe(room, "x", NULL, NULL, &subscription),
                         YOMO_ERR_INVALID);
        assert_true(yomo_room_limit(room, YOMO_RELIABLE) > 1000);
        yomo_room_set_user(room, program);
        assert_ptr_equal(yomo_room_user(room), program);
        (void)yomo_client_rtt_us(program->client);
    }
    return NULL;
}

static void calls_from_many_threads_are_all_done(void **state)
{
    struct program program;
    pthread_t threads[SENDERS];
    (void)state;
    begin(&program);
    assert_int_equal(yomo_client_start(program.client), YOMO_OK);
    connect_and_join(&program);
    yomo_room_ref(program.room);
    wait_for(&program, &program.joined, 1);
    for (int i = 0; i < SENDERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, send_many, &program), 0);
    }
    for (int i = 0; i < SENDERS; i++) {
        pthread_join(threads[i], NULL);
    }
    wait_for(&program, &program.sent, SENDERS * EACH);
    yomo_client_close(program.client);
    wait_for(&program, &program.closed, 1);
    assert_int_equal(yomo_room_broadcast(program.room, "e", "1", YOMO_RELIABLE),
                     YOMO_ERR_CLOSED);
    yomo_client_free(program.client);
    yomo_room_unref(program.room); /* the last reference to all of it */
    finish(&program);
}

static void *close_it(void *user)
{
    yomo_client_close(((struct program *)user)->client);
    return NULL;
}

static void *leave_it(void *user)
{
    yomo_room_leave(((struct program *)user)->room);
    return NULL;
}

static void closing_and_calling_at_the_same_time(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        struct program program;
        pthread_t threads[2];
        begin(&program);
        assert_int_equal(yomo_client_start(program.client), YOMO_OK);
        connect_and_join(&program);
        yomo_room_ref(program.room);
        pthread_create(&threads[0], NULL, close_it, &program);
        pthread_create(&threads[1], NULL, leave_it, &program);
        for (int i = 0; i < 20; i++) {
            int rv = yomo_room_broadcast(program.room, "e", "1", YOMO_RELIABLE);
            assert_true(rv == YOMO_OK || rv == YOMO_ERR_CLOSED);
        }
        wait_for(&program, &program.closed, 1);
        pthread_join(threads[0], NULL);
        pthread_join(threads[1], NULL);
        assert_int_equal(program.left, 1);
        yomo_room_unref(program.room);
        yomo_client_free(program.client);
        finish(&program);
    }
}

/* In the host's loop. */

static void in_the_loop_of_the_host(void **state)
{
    struct program program;
    uv_loop_t loop;
    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    begin(&program);
    assert_int_equal(yomo_client_start_on(program.client, &loop), YOMO_OK);
    assert_int_equal(yomo_client_start(program.client), YOMO_ERR_STATE);
    connect_and_join(&program);
    while (program.joined == 0) {
        uv_run(&loop, UV_RUN_ONCE);
    }
    assert_true(pthread_equal(program.thread, pthread_self()));
    yomo_client_close(program.client);
    uv_run(&loop, UV_RUN_DEFAULT); /* returns when nothing of the client is left */
    assert_int_equal(program.closed, 1);
    yomo_client_free(program.client);
    assert_int_equal(uv_loop_close(&loop), 0);
    finish(&program);
}

static void free_inside_a_callback_of_the_loop_of_the_host(void **state)
{
    struct program program;
    uv_loop_t loop;
    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    begin(&program);
    program.free_when_joined = true;
    assert_int_equal(yomo_client_start_on(program.client, &loop), YOMO_OK);
    connect_and_join(&program);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    finish(&program);
}

/* Polled. */

static void polled_by_the_host(void **state)
{
    struct program program;
    (void)state;
    begin(&program);
    program.poll_when_joined = true;
    assert_true(yomo_client_fd(program.client) >= 0);
    assert_int_equal(yomo_client_start(program.client), YOMO_ERR_STATE);
    connect_and_join(&program);
    assert_int_equal(program.status, 0); /* nothing happens but in poll */
    poll_until(&program, &program.joined, 1);
    assert_true(pthread_equal(program.thread, pthread_self()));
    yomo_client_close(program.client);
    poll_until(&program, &program.closed, 1);
    assert_int_equal(yomo_client_poll(program.client), YOMO_ERR_CLOSED);
    assert_int_equal(yomo_client_fd(program.client), YOMO_ERR_CLOSED);
    assert_int_equal(yomo_client_timeout_ms(program.client), YOMO_ERR_CLOSED);
    yomo_client_free(program.client);
    finish(&program);
}

static void a_call_from_another_thread_makes_the_descriptor_readable(void **state)
{
    struct program program;
    pthread_t thread;
    (void)state;
    begin(&program);
    connect_and_join(&program);
    poll_until(&program, &program.joined, 1);
    while (yomo_client_timeout_ms(program.client) == 0) {
        yomo_client_poll(program.client);
    }
    struct pollfd fd = {.fd = yomo_client_fd(program.client), .events = POLLIN};
    pthread_create(&thread, NULL, leave_it, &program);
    assert_int_equal(poll(&fd, 1, WAIT_MS), 1);
    pthread_join(thread, NULL);
    poll_until(&program, &program.left, 1);
    yomo_client_free(program.client);
    finish(&program);
}

static void freeing_a_polled_client_tells_the_end_inside_the_call(void **state)
{
    struct program program;
    (void)state;
    begin(&program);
    connect_and_join(&program);
    poll_until(&program, &program.joined, 1);
    yomo_client_free(program.client);
    assert_int_equal(program.left, 1);
    finish(&program);
}

static void freeing_a_polled_client_inside_a_callback(void **state)
{
    struct program program;
    (void)state;
    begin(&program);
    program.free_when_joined = true;
    connect_and_join(&program);
    for (int i = 0; i < 1000 && !program.closed; i++) {
        struct pollfd fd = {.fd = yomo_client_fd(program.client), .events = POLLIN};
        poll(&fd, 1, 100);
        if (yomo_client_poll(program.client) == YOMO_ERR_CLOSED) {
            break;
        }
    }
    finish(&program);
}

static void a_client_that_never_ran_is_told_its_end_by_free(void **state)
{
    struct program program;
    (void)state;
    begin(&program);
    yomo_client_free(program.client);
    finish(&program);
    begin(&program);
    connect_and_join(&program);
    assert_int_equal(yomo_room_broadcast(program.room, "e", "1", YOMO_RELIABLE),
                     YOMO_OK);
    yomo_client_close(program.client);
    assert_int_equal(program.closed, 0);
    yomo_client_free(program.client);
    assert_int_equal(program.left, 1);
    finish(&program);
    yomo_client_free(NULL);
}

/* What the host's program must not notice. */

static void on_signal(int number)
{
    (void)number;
}

static void signals_stay_with_the_threads_of_the_host(void **state)
{
    struct program program;
    struct sigaction mine = {.sa_handler = on_signal}, after;
    sigset_t before, now;
    (void)state;
    sigaction(SIGUSR1, &mine, NULL);
    sigaction(SIGPIPE, &mine, NULL);
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    begin(&program);
    assert_int_equal(yomo_client_start(program.client), YOMO_OK);
    connect_and_join(&program);
    wait_for(&program, &program.joined, 1);
    pthread_sigmask(SIG_SETMASK, NULL, &now);
    for (int number = 1; number < NSIG; number++) {
        assert_int_equal(sigismember(&before, number), sigismember(&now, number));
    }
    sigaction(SIGPIPE, NULL, &after);
    assert_ptr_equal(after.sa_handler, on_signal);
    yomo_client_free(program.client);
    wait_for(&program, &program.closed, 1);
    finish(&program);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_a_thread_of_its_own),
        cmocka_unit_test(calls_from_before_the_start_are_done_after_it),
        cmocka_unit_test(free_inside_on_closed),
        cmocka_unit_test(free_inside_another_callback),
        cmocka_unit_test(calls_from_many_threads_are_all_done),
        cmocka_unit_test(closing_and_calling_at_the_same_time),
        cmocka_unit_test(in_the_loop_of_the_host),
        cmocka_unit_test(free_inside_a_callback_of_the_loop_of_the_host),
        cmocka_unit_test(polled_by_the_host),
        cmocka_unit_test(a_call_from_another_thread_makes_the_descriptor_readable),
        cmocka_unit_test(freeing_a_polled_client_tells_the_end_inside_the_call),
        cmocka_unit_test(freeing_a_polled_client_inside_a_callback),
        cmocka_unit_test(a_client_that_never_ran_is_told_its_end_by_free),
        cmocka_unit_test(signals_stay_with_the_threads_of_the_host),
    };
    return cmocka_run_group_tests_name("client/modes", tests, NULL, NULL);
}
