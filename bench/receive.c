/* SPDX-License-Identifier: MIT */
/* receive.c - what a message costs the client library: one client on a thread of its
 * own receives as many a second as another one, on another thread, can be told to send.
 *
 *     receive TRANSPORT CLASS PORT CA RATE SECONDS
 *
 * The server runs already. The receiver's CPU time is all of its thread's: the kernel's
 * part, TLS or QUIC, the protocol, and a callback that checks size, order and contents.
 * Prints JSON. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

#include <yomo/yomo.h>

enum { SIZE = 100, TICK_MS = 1, JOIN_MS = 10000, REST_MS = 2000 };

struct side {
    yomo_client *client;
    yomo_room *room;
    uv_loop_t loop;
    uv_async_t wake;
    uv_timer_t tick;
    pthread_t thread;
    _Atomic bool joined, end;
};

static struct side sender, receiver;
static int32_t class;
static double rate;
static uint8_t contents[SIZE];
static _Atomic bool sending;
static uint64_t began, number, refused;      /* the sender's */
static uint64_t next, lost, wrong, rejoined; /* the receiver's */
static _Atomic uint64_t sent, received;

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void fail(const char *what)
{
    fprintf(stderr, "receive: %s\n", what);
    exit(1);
}

static void on_joined(void *user, yomo_room *room)
{
    struct side *side = user;

    (void)room;
    rejoined += atomic_exchange(&side->joined, true) && side == &receiver;
}

static void on_message(void *user, yomo_room *room, const yomo_message *message)
{
    uint64_t got;
    size_t size;
    const uint8_t *data = yomo_message_data(message, &size);

    (void)user;
    (void)room;
    if (size != SIZE ||
        memcmp(data + sizeof(got), contents + sizeof(got), SIZE - sizeof(got)) != 0) {
        wrong++;
        return;
    }
    memcpy(&got, data, sizeof(got));
    if (got < next) {
        wrong += class == YOMO_RELIABLE;
    } else {
        lost += got - next;
        next = got + 1;
    }
    atomic_store_explicit(&received,
                          atomic_load_explicit(&received, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

static void on_tick(uv_timer_t *tick)
{
    uint64_t due;

    (void)tick;
    if (!atomic_load(&sending)) {
        return;
    }
    if (began == 0) {
        began = clock_ns(CLOCK_MONOTONIC);
    }
    due = (uint64_t)((double)(clock_ns(CLOCK_MONOTONIC) - began) / 1e9 * rate);
    for (; number + refused < due;) {
        memcpy(contents, &number, sizeof(number));
        if (yomo_room_broadcast_bytes(sender.room, "m", contents, SIZE, class) !=
            YOMO_OK) {
            refused = due - number; /* it is as fast as it goes */
            break;
        }
        number++;
    }
    atomic_store(&sent, number);
}

static void on_wake(uv_async_t *wake)
{
    struct side *side = wake->data;

    if (atomic_load(&side->end) && !uv_is_closing((uv_handle_t *)wake)) {
        yomo_client_free(side->client);
        uv_close((uv_handle_t *)wake, NULL);
        uv_close((uv_handle_t *)&side->tick, NULL);
    }
}

static void *run(void *user)
{
    struct side *side = user;

    uv_run(&side->loop, UV_RUN_DEFAULT);
    uv_loop_close(&side->loop);
    return NULL;
}

static void start(struct side *side, const yomo_options *options)
{
    static const yomo_client_callbacks hears = {
        .size = sizeof(hears), .on_joined = on_joined, .on_message = on_message};
    static const yomo_client_callbacks sends = {.size = sizeof(sends),
                                                .on_joined = on_joined};

    uv_loop_init(&side->loop);
    uv_async_init(&side->loop, &side->wake, on_wake);
    uv_timer_init(&side->loop, &side->tick);
    side->wake.data = side;
    if (yomo_client_create(&side->client, options, side == &sender ? &sends : &hears,
                           side) != YOMO_OK ||
        yomo_client_start_on(side->client, &side->loop) != YOMO_OK ||
        yomo_client_join(side->client, "receive", NULL, &side->room) != YOMO_OK ||
        yomo_client_connect(side->client) != YOMO_OK) {
        fail("no client");
    }
    if (side == &sender) {
        uv_timer_start(&side->tick, on_tick, TICK_MS, TICK_MS);
    }
    if (pthread_create(&side->thread, NULL, run, side) != 0) {
        fail("no thread");
    }
    for (int waited = 0; !atomic_load(&side->joined); waited++) {
        if (waited > JOIN_MS) {
            fail("it did not join");
        }
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

static void stop(struct side *side)
{
    atomic_store(&side->end, true);
    uv_async_send(&side->wake);
    pthread_join(side->thread, NULL);
}

static double cpu_of(const struct side *side)
{
    clockid_t clock;

    return pthread_getcpuclockid(side->thread, &clock) == 0
               ? (double)clock_ns(clock) / 1e9
               : 0;
}

/* Between two moments in the middle of it, so that beginning and end are not in it. */
static void measure(double seconds)
{
    struct timespec warm = {.tv_nsec = 300000000};
    struct timespec time = {.tv_sec = (time_t)seconds,
                            .tv_nsec =
                                (long)((seconds - (double)(time_t)seconds) * 1e9)};
    double cpu, own, wall;
    uint64_t count, out;

    atomic_store(&sending, true);
    nanosleep(&warm, NULL);
    count = atomic_load(&received);
    out = atomic_load(&sent);
    cpu = cpu_of(&receiver);
    own = cpu_of(&sender);
    wall = (double)clock_ns(CLOCK_MONOTONIC) / 1e9;
    nanosleep(&time, NULL);
    count = atomic_load(&received) - count;
    out = atomic_load(&sent) - out;
    cpu = cpu_of(&receiver) - cpu;
    own = cpu_of(&sender) - own;
    wall = (double)clock_ns(CLOCK_MONOTONIC) / 1e9 - wall;
    atomic_store(&sending, false);
    printf("{\"per_second\":%.0f,\"cpu_us\":%.4f,\"busy\":%.4f,\"sender_cpu_us\":%.4f",
           (double)count / wall, count > 0 ? cpu / (double)count * 1e6 : 0, cpu / wall,
           out > 0 ? own / (double)out * 1e6 : 0);
}

/* What is still on its way: until all is there, or nothing comes any more. */
static void await_rest(void)
{
    uint64_t before = 0;

    for (int waited = 0; waited < REST_MS; waited += 10) {
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        if (atomic_load(&received) >= atomic_load(&sent)) {
            return;
        }
        if (atomic_load(&received) != before) {
            before = atomic_load(&received);
            waited = 0;
        }
    }
}

int main(int argc, char **argv)
{
    yomo_options *options;
    char url[64];

    if (argc != 7) {
        fail("usage: TRANSPORT CLASS PORT CA RATE SECONDS");
    }
    class = strcmp(argv[2], "reliable") == 0 ? YOMO_RELIABLE : YOMO_UNRELIABLE;
    rate = strtod(argv[5], NULL);
    for (size_t i = 0; i < SIZE; i++) {
        contents[i] = (uint8_t)(i * 37);
    }
    snprintf(url, sizeof(url), "https://127.0.0.1:%s", argv[3]);
    if (yomo_options_create(&options, YOMO_SCOPE_CLIENT) != YOMO_OK ||
        yomo_options_set(options, "url", url) != YOMO_OK ||
        yomo_options_set(options, "transport", argv[1]) != YOMO_OK ||
        yomo_options_set(options, "ca", argv[4]) != YOMO_OK) {
        fail("an option is refused");
    }
    start(&receiver, options);
    start(&sender, options);
    measure(strtod(argv[6], NULL));
    await_rest();
    stop(&sender);
    stop(&receiver);
    yomo_options_free(options);
    printf(",\"sent\":%llu,\"received\":%llu,\"lost\":%llu,\"wrong\":%llu,"
           "\"rejoined\":%llu}\n",
           (unsigned long long)number, (unsigned long long)atomic_load(&received),
           (unsigned long long)(lost + (number - next)), (unsigned long long)wrong,
           (unsigned long long)rejoined);
    return 0;
}
