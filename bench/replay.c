/* SPDX-License-Identifier: MIT */
/* replay - how fast what was said comes back: replay TRANSPORT memory|sqlite MESSAGES.
 * Prints one JSON object.
 *
 * A backend in this process, one room. MESSAGES of 100 bytes are said in it; one who comes
 * later then reads them all, a thousand with each question. With sqlite next to nothing is
 * kept in memory, so that the store answers; and how fast it takes what is said is
 * measured too. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <yomo/yomo.h>

#define ROOM "room"
#define PATIENCE_S 120.0
#define AT_ONCE 1000

static void give_up(const char *what, const char *why)
{
    fprintf(stderr, "replay: %s: %s\n", what, why);
    exit(1);
}

static void check(const char *what, int32_t rv)
{
    if (rv < 0) {
        give_up(what, yomo_strerror(rv));
    }
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6 +
           (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6;
}

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static void wait_for(const atomic_ulong *counter, unsigned long value, const char *what)
{
    double end = seconds() + PATIENCE_S;
    while (atomic_load(counter) < value) {
        if (seconds() > end) {
            give_up(what, "did not happen");
        }
        sleep_ms(1);
    }
}

/* --- The backend ------------------------------------------------------------------ */

static void set(yomo_options *options, const char *name, const char *value)
{
    check(name, yomo_options_set(options, name, value));
}

static yomo_server *start(const char *folder, bool sqlite)
{
    yomo_options *options;
    yomo_server *server;
    char store[128];

    check("options", yomo_options_create(&options, YOMO_SCOPE_SERVER));
    set(options, "state-dir", folder);
    set(options, "bind", "127.0.0.1");
    set(options, "port", "0");
    set(options, "http-port", "none");
    set(options, "workers", "1");
    set(options, "message-rate", "0");
    set(options, "history-messages", "1m");
    set(options, "history-memory", sqlite ? "16k" : "1g");
    if (sqlite) {
        snprintf(store, sizeof(store), "sqlite:%s/history.db", folder);
        set(options, "history-store", store);
    }
    check("server", yomo_server_create(&server, options, NULL, NULL));
    yomo_options_free(options);
    if (yomo_server_listen(server) != YOMO_OK) {
        give_up("server", yomo_server_error(server));
    }
    return server;
}

static unsigned long metric(yomo_server *server, const char *name)
{
    static char text[262144];
    size_t needed;
    check("metrics", yomo_server_metrics(server, text, sizeof(text), &needed));
    const char *at = strstr(text, name);
    return at ? strtoul(at + strlen(name), NULL, 10) : 0;
}

/* --- Two clients: one is there all the time, one comes later ------------------------ */

struct guest {
    yomo_client *client;
    yomo_room *room;
    atomic_ulong joined, heard, closed;
    unsigned long wanted;
};

static void on_joined(void *user, yomo_room *room)
{
    struct guest *guest = user;
    (void)room;
    atomic_fetch_add(&guest->joined, 1);
}

static void on_message(void *user, yomo_room *room, const yomo_message *message)
{
    struct guest *guest = user;
    (void)room, (void)message;
    atomic_fetch_add(&guest->heard, 1);
}

static void on_history(void *user, yomo_room *room, yomo_history *history)
{
    struct guest *guest = user;
    unsigned long count = 0;

    check("history", yomo_history_error(history));
    while (yomo_history_at(history, count)) {
        count++; /* each is looked at, as a program would */
    }
    if (yomo_history_before(history) != 0) {
        check("history",
              yomo_room_history(room, yomo_history_before(history), AT_ONCE, NULL));
    } else if (atomic_load(&guest->heard) + count != guest->wanted) {
        give_up("history", "some of it is missing");
    }
    atomic_fetch_add(&guest->heard, count);
}

static void on_closed(void *user, yomo_client *client)
{
    struct guest *guest = user;
    (void)client;
    atomic_fetch_add(&guest->closed, 1);
}

static void come(struct guest *guest, yomo_server *server, const char *transport)
{
    static const yomo_client_callbacks callbacks = {.size = sizeof(callbacks),
                                                    .on_joined = on_joined,
                                                    .on_message = on_message,
                                                    .on_history = on_history,
                                                    .on_closed = on_closed};
    const char *at = strstr(yomo_server_listening(server), "\"certificate_sha256\":\"");
    yomo_options *options;
    char url[64], hash[65] = "";

    snprintf(url, sizeof(url), "https://127.0.0.1:%u", yomo_server_port(server));
    if (at) {
        snprintf(hash, sizeof(hash), "%.64s", at + strlen("\"certificate_sha256\":\""));
    }
    check("options", yomo_options_create(&options, YOMO_SCOPE_CLIENT));
    set(options, "url", url);
    set(options, "cert-hash", hash);
    set(options, "transport", transport);
    check("client", yomo_client_create(&guest->client, options, &callbacks, guest));
    yomo_options_free(options);
    check("client", yomo_client_start(guest->client));
    check("room", yomo_client_join(guest->client, ROOM, NULL, &guest->room));
    check("client", yomo_client_connect(guest->client));
    wait_for(&guest->joined, 1, "joining");
}

static void go(struct guest *guest)
{
    yomo_client_close(guest->client);
    wait_for(&guest->closed, 1, "closing");
    yomo_client_free(guest->client);
}

/* --- The measurement ---------------------------------------------------------------- */

static void say(yomo_server *server, struct guest *ear, unsigned long count)
{
    char data[101];

    memset(data, 'x', sizeof(data) - 1);
    data[0] = data[99] = '"';
    for (unsigned long i = 0; i < count; i++) {
        int32_t rv;
        while ((rv = yomo_server_publish(server, NULL, ROOM, "host", "e", data, 100,
                                         YOMO_JSON, YOMO_RELIABLE)) == YOMO_ERR_FULL) {
            sleep_ms(1);
        }
        check("publish", rv);
        if (i % 500 == 499) { /* not faster than the one who listens */
            wait_for(&ear->heard, i + 1 - 499, "hearing");
        }
    }
    wait_for(&ear->heard, count, "hearing");
}

int main(int argc, char **argv)
{
    char folder[] = "/tmp/yomo-replay-XXXXXX", clean[64];
    static struct guest ear, late;
    unsigned long count = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
    bool sqlite = argc == 4 && strcmp(argv[2], "sqlite") == 0;

    if (count == 0 || (!sqlite && strcmp(argv[2], "memory") != 0)) {
        fprintf(stderr,
                "usage: replay webtransport|websocket memory|sqlite MESSAGES\n");
        return 2;
    }
    if (!mkdtemp(folder)) {
        give_up(folder, "cannot be made");
    }
    yomo_server *server = start(folder, sqlite);
    come(&ear, server, argv[1]);
    double began = seconds();
    say(server, &ear, count);
    double said = seconds() - began;
    while (sqlite && metric(server, "\nyomo_history_stored_total ") < count) {
        if (seconds() - began > PATIENCE_S) {
            give_up("store", "does not take it all");
        }
        sleep_ms(5);
    }
    double stored = seconds() - began;

    late.wanted = count;
    come(&late, server, argv[1]);
    double cpu = cpu_seconds();
    began = seconds();
    check("history", yomo_room_history(late.room, 0, AT_ONCE, NULL));
    wait_for(&late.heard, count, "the replay");
    double took = seconds() - began;
    cpu = cpu_seconds() - cpu;
    go(&late);
    go(&ear);
    yomo_server_free(server);
    snprintf(clean, sizeof(clean), "rm -r %s", folder);
    if (system(clean) != 0) {
        give_up(folder, "is left");
    }
    printf("{\"transport\":\"%s\",\"store\":\"%s\",\"messages\":%lu,\"said_seconds\":%.4f,"
           "\"stored_seconds\":%.4f,\"replay_seconds\":%.4f,"
           "\"replayed_per_second\":%.0f,\"cpu_us\":%.3f}\n",
           argv[1], argv[2], count, said, stored, took, (double)count / took,
           cpu * 1e6 / (double)count);
    return 0;
}
