/* SPDX-License-Identifier: MIT */
/* fresh.c - how old the newest value is that a receiver has, on a path that loses
 * packets.
 *
 *     fresh TRANSPORT PORT CA MEMBERS RATE SECONDS
 *
 * The server runs already, and a relay that loses (tests/support/link) listens at PORT.
 * One member says a new LATEST value RATE times a second; every 5 ms each of the others
 * is asked how old the newest one is that it has: from when that was sent until now.
 * Without loss that is the way's delay and up to an interval more. Prints JSON. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "../cli/bench.h"

enum { MEMBERS_MAX = 30, SIZE = 100, ASK_MS = 5, JOIN_MS = 20000 };

static struct member {
    yomo_client *client;
    yomo_room *room;
    bool joined;
    uint64_t newest; /* when it was sent; 0: none came */
} members[MEMBERS_MAX];

static uv_loop_t loop;
static uv_timer_t asking, saying, ending;
static unsigned count, there;
static double rate, seconds;
static uint64_t began, said, came, reconnects;
static struct bench_histogram ages, delays;

uint64_t bench_now(void)
{
    return uv_hrtime();
}

static void fail(const char *what)
{
    fprintf(stderr, "fresh: %s\n", what);
    exit(1);
}

static void ask(uv_timer_t *timer)
{
    uint64_t now = bench_now();

    (void)timer;
    for (unsigned i = 1; i < count; i++) {
        if (members[i].newest > 0) {
            bench_histogram_add(&ages, now - members[i].newest);
        }
    }
}

static void say(uv_timer_t *timer)
{
    uint8_t bytes[SIZE] = {0};
    uint64_t now = bench_now();

    (void)timer;
    while ((double)said < (double)(now - began) / 1e9 * rate) {
        memcpy(bytes, &now, sizeof(now));
        (void)yomo_room_broadcast_bytes(members[0].room, "cursor", bytes, SIZE,
                                        YOMO_LATEST);
        said++;
    }
}

static void end(uv_timer_t *timer)
{
    (void)timer;
    uv_close((uv_handle_t *)&asking, NULL);
    uv_close((uv_handle_t *)&saying, NULL);
    uv_close((uv_handle_t *)&ending, NULL);
    for (unsigned i = 0; i < count; i++) {
        yomo_client_free(members[i].client);
    }
}

static void not_joined(uv_timer_t *timer)
{
    (void)timer;
    fail("not all have joined");
}

static void on_joined(void *user, yomo_room *room)
{
    struct member *member = user;

    (void)room;
    if (!member->joined) {
        member->joined = true;
        if (++there == count) {
            began = bench_now();
            uv_timer_start(&asking, ask, 500, ASK_MS);
            uv_timer_start(&saying, say, 0, 1);
            uv_timer_start(&ending, end, (uint64_t)(seconds * 1000) + 500, 0);
        }
    } else {
        reconnects++;
    }
}

static void on_message(void *user, yomo_room *room, const yomo_message *message)
{
    struct member *member = user;
    uint64_t at;
    size_t size;
    const uint8_t *data = yomo_message_data(message, &size);

    (void)room;
    if (size != SIZE) {
        fail("a message of another size");
    }
    memcpy(&at, data, sizeof(at));
    came++;
    bench_histogram_add(&delays, bench_now() - at);
    if (at < member->newest) {
        fail("an older value came after a newer one");
    }
    member->newest = at;
}

static void put(const char *name, const struct bench_histogram *h)
{
    printf("\"%s\":{\"p50\":%.3f,\"p90\":%.3f,\"p99\":%.3f,\"p99_9\":%.3f,\"max\":%.3f,"
           "\"mean\":%.3f},",
           name, (double)bench_histogram_at(h, 0.5) / 1e6,
           (double)bench_histogram_at(h, 0.9) / 1e6,
           (double)bench_histogram_at(h, 0.99) / 1e6,
           (double)bench_histogram_at(h, 0.999) / 1e6, (double)h->max / 1e6,
           h->count > 0 ? (double)h->sum / (double)h->count / 1e6 : 0);
}

int main(int argc, char **argv)
{
    static const yomo_client_callbacks callbacks = {
        .size = sizeof(callbacks), .on_joined = on_joined, .on_message = on_message};
    yomo_options *options;
    char url[64];

    count = argc == 7 ? (unsigned)strtoul(argv[4], NULL, 10) : 0;
    if (count < 2 || count > MEMBERS_MAX) {
        fail("usage: TRANSPORT PORT CA MEMBERS RATE SECONDS, with 2 to 30 members");
    }
    rate = strtod(argv[5], NULL);
    seconds = strtod(argv[6], NULL);
    snprintf(url, sizeof(url), "https://127.0.0.1:%s", argv[2]);
    if (yomo_options_create(&options, YOMO_SCOPE_CLIENT) != YOMO_OK ||
        yomo_options_set(options, "url", url) != YOMO_OK ||
        yomo_options_set(options, "transport", argv[1]) != YOMO_OK ||
        yomo_options_set(options, "ca", argv[3]) != YOMO_OK) {
        fail("an option is refused");
    }
    uv_loop_init(&loop);
    uv_timer_init(&loop, &asking);
    uv_timer_init(&loop, &saying);
    uv_timer_init(&loop, &ending);
    uv_timer_start(&ending, not_joined, JOIN_MS, 0);
    for (unsigned i = 0; i < count; i++) {
        if (yomo_client_create(&members[i].client, options, &callbacks, &members[i]) !=
                YOMO_OK ||
            yomo_client_start_on(members[i].client, &loop) != YOMO_OK ||
            yomo_client_join(members[i].client, "fresh", NULL, &members[i].room) !=
                YOMO_OK ||
            yomo_client_connect(members[i].client) != YOMO_OK) {
            fail("no client");
        }
    }
    yomo_options_free(options);
    uv_run(&loop, UV_RUN_DEFAULT);
    printf("{");
    put("age_ms", &ages);
    put("delay_ms", &delays);
    printf("\"said\":%llu,\"came\":%llu,\"wanted\":%llu,\"reconnects\":%llu}\n",
           (unsigned long long)said, (unsigned long long)came,
           (unsigned long long)said * (count - 1), (unsigned long long)reconnects);
    return 0;
}
