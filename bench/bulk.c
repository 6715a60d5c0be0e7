/* SPDX-License-Identifier: MIT */
/* bulk - how much goes through one connection, and what a session costs:
 *
 *   bulk quic|webtransport STREAMS SECONDS   bytes on that many streams
 *   bulk datagrams SIZE SECONDS              datagrams of a session
 *   bulk handshakes full|resumed COUNT       sessions, one after the other
 *   bulk memory SESSIONS STREAMS             bytes asked for, for each of them
 *
 * Prints one JSON object. CPU times are those of the one thread of the server and the
 * one of the client. */
#include "bulk.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "transport/tls/devcert.h"

#define WARM 0.3 /* seconds, for the congestion window */
#define LOOK_EVERY (5 * YO_MS)

/* --- Counting ----------------------------------------------------------------------
 */

union head { /* in front of each piece */
    size_t size;
    max_align_t align;
};

static atomic_size_t held;

static void *count_realloc(void *user, void *old, size_t size)
{
    union head *head = old ? (union head *)old - 1 : NULL;
    size_t before = head ? head->size : 0;
    (void)user;
    head = realloc(head, sizeof(*head) + size);
    if (!head) {
        return NULL;
    }
    head->size = size;
    atomic_fetch_add(&held, size - before);
    return head + 1;
}

static void *count_malloc(void *user, size_t size)
{
    return count_realloc(user, NULL, size);
}

static void count_free(void *user, void *memory)
{
    (void)user;
    if (memory) {
        union head *head = (union head *)memory - 1;
        atomic_fetch_sub(&held, head->size);
        free(head);
    }
}

static const struct yomo_mem counting = {NULL, count_malloc, count_realloc, count_free};

static size_t held_now(void)
{
    return atomic_load(&held);
}

/* --- What both ways share ----------------------------------------------------------
 */

double bulk_clock(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void bulk_received(struct bulk *bulk, uint64_t bytes, uint64_t units)
{
    int phase = atomic_load_explicit(&bulk->phase, memory_order_relaxed);
    if (bulk->seconds <= 0 || phase == BULK_DONE) {
        return;
    }
    double now = bulk_clock(CLOCK_MONOTONIC);
    bulk->began = bulk->began > 0 ? bulk->began : now;
    if (phase == BULK_WARM && now - bulk->began >= WARM) {
        bulk->began = now;
        bulk->bytes_before = bytes;
        bulk->units_before = units;
        atomic_store(&bulk->phase, BULK_MEASURE);
    } else if (phase == BULK_MEASURE && now - bulk->began >= bulk->seconds) {
        bulk->bytes = bytes - bulk->bytes_before;
        bulk->units = units - bulk->units_before;
        bulk->wall = now - bulk->began;
        atomic_store(&bulk->phase, BULK_DONE);
    }
}

static void look(struct yo_timer *timer, yo_time now)
{
    struct bulk_watch *watch = YO_CONTAINER(timer, struct bulk_watch, timer);
    int phase = atomic_load(&watch->bulk->phase);
    if (phase != (int)watch->seen) {
        double cpu = bulk_clock(CLOCK_THREAD_CPUTIME_ID);
        watch->cpu = watch->seen == BULK_MEASURE ? cpu - watch->cpu : cpu;
        watch->seen = (enum bulk_phase)phase;
    }
    if (phase == BULK_DONE) {
        yo_timer_stop(timer);
        watch->done(watch->user);
    } else {
        yo_timer_set(timer, now + LOOK_EVERY);
    }
}

void bulk_watch(struct bulk_watch *watch, struct bulk *bulk, struct yo_loop *loop,
                void (*done)(void *user), void *user)
{
    *watch = (struct bulk_watch){.bulk = bulk, .done = done, .user = user};
    yo_timer_init(&watch->timer, loop, look);
    BULK_CHECK(yo_timer_set(&watch->timer, yo_loop_update(loop)) == YOMO_OK);
}

int bulk_socket(uint16_t *port)
{
    struct sockaddr_in local = {.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(local);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    BULK_CHECK(fd >= 0);
    BULK_CHECK(bind(fd, (struct sockaddr *)&local, sizeof(local)) == 0);
    BULK_CHECK(getsockname(fd, (struct sockaddr *)&local, &size) == 0);
    *port = ntohs(local.sin_port);
    return fd;
}

struct yo_loop *bulk_loop(const struct yomo_mem *mem)
{
    static const struct yo_log silent;
    struct yo_loop *loop;
    BULK_CHECK(yo_loop_create(&loop, mem, NULL, &silent) == YOMO_OK);
    return loop;
}

static void make_tls(struct bulk *bulk)
{
    char folder[] = "/tmp/yomo-bulk-XXXXXX", remove[64];
    struct yo_tls_client_options client = {.insecure_no_verify = true};
    struct yo_buf cert, key, why;
    bool fresh;

    yo_buf_init(&cert, &yo_mem_libc);
    yo_buf_init(&key, &yo_mem_libc);
    yo_buf_init(&why, &yo_mem_libc);
    BULK_CHECK(mkdtemp(folder));
    BULK_CHECK(yo_devcert_ready(folder, yo_wall_ms(), &cert, &key, &fresh, &why) ==
               YOMO_OK);
    struct yo_tls_server_options server = {.cert_file = (const char *)cert.data,
                                           .key_file = (const char *)key.data};
    BULK_CHECK(yo_tls_server_create(&bulk->server_tls, &yo_mem_libc, &server, &why) ==
               YOMO_OK);
    BULK_CHECK(yo_tls_client_create(&bulk->client_tls, &yo_mem_libc, &client, &why) ==
               YOMO_OK);
    snprintf(remove, sizeof(remove), "rm -r %s", folder);
    BULK_CHECK(system(remove) == 0);
    yo_buf_finish(&cert);
    yo_buf_finish(&key);
    yo_buf_finish(&why);
}

static void start_server(struct bulk *bulk, pthread_t *thread, void *(*server)(void *))
{
    BULK_CHECK(pthread_create(thread, NULL, server, bulk) == 0);
    while (atomic_load(&bulk->port) == 0) {
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
}

/* --- What is measured --------------------------------------------------------------
 */

static void transfer(struct bulk *bulk, void *(*server)(void *),
                     void *(*client)(void *))
{
    pthread_t threads[2];
    start_server(bulk, &threads[0], server);
    BULK_CHECK(pthread_create(&threads[1], NULL, client, bulk) == 0);
    pthread_join(threads[1], NULL);
    pthread_join(threads[0], NULL);
}

static void stream_bytes(struct bulk *bulk, const char *kind)
{
    bool bare = strcmp(kind, "quic") == 0;
    transfer(bulk, bare ? bulk_quic_server : bulk_wt_server,
             bare ? bulk_quic_client : bulk_wt_client);
    double mega = (double)bulk->bytes / 1e6;
    printf("{\"bulk\":\"%s\",\"streams\":%u,\"bytes\":%llu,\"wall_seconds\":%.3f,"
           "\"megabytes_per_second\":%.1f,\"server_cpu_us_per_megabyte\":%.1f,"
           "\"client_cpu_us_per_megabyte\":%.1f}\n",
           kind, bulk->streams, (unsigned long long)bulk->bytes, bulk->wall,
           mega / bulk->wall, bulk->server_cpu / mega * 1e6,
           bulk->client_cpu / mega * 1e6);
}

static void datagrams(struct bulk *bulk)
{
    transfer(bulk, bulk_wt_server, bulk_wt_client);
    double count = (double)bulk->units;
    printf("{\"bulk\":\"datagrams\",\"size\":%u,\"received\":%llu,\"sent\":%llu,"
           "\"wall_seconds\":%.3f,\"per_second\":%.0f,\"server_cpu_us\":%.2f,"
           "\"client_cpu_us\":%.2f}\n",
           bulk->size, (unsigned long long)bulk->units,
           (unsigned long long)atomic_load(&bulk->sent), bulk->wall, count / bulk->wall,
           bulk->server_cpu / count * 1e6, bulk->client_cpu / count * 1e6);
}

static void visit(struct bulk *bulk, struct bulk_visits *visits)
{
    pthread_t server;
    start_server(bulk, &server, bulk_wt_server);
    bulk_wt_visits(bulk, visits);
    pthread_join(server, NULL);
}

static void handshakes(struct bulk *bulk, const char *kind, unsigned count)
{
    struct bulk_visits visits = {.count = count,
                                 .resumed = strcmp(kind, "resumed") == 0};
    visit(bulk, &visits);
    printf("{\"bulk\":\"handshakes\",\"kind\":\"%s\",\"count\":%u,\"resumed\":%llu,"
           "\"per_second\":%.0f,\"server_cpu_us\":%.1f}\n",
           kind, count, (unsigned long long)bulk->resumed, count / visits.wall,
           bulk->server_cpu / count * 1e6);
}

static void memory(struct bulk *bulk, unsigned sessions, unsigned streams)
{
    struct bulk_visits visits = {
        .count = sessions, .streams = streams, .stay = true, .held = held_now};
    bulk->server_mem = &counting;
    visit(bulk, &visits);
    printf("{\"bulk\":\"memory\",\"sessions\":%u,\"streams\":%u,\"session_bytes\":%.0f,"
           "\"stream_bytes\":%.0f}\n",
           sessions, streams, (double)(visits.sessions - visits.nobody) / sessions,
           (double)(visits.streamed - visits.sessions) / sessions / streams);
}

int main(int argc, char **argv)
{
    struct bulk bulk = {.server_mem = &yo_mem_libc};
    const char *what = argc == 4 ? argv[1] : "";
    unsigned number = argc == 4 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    double last = argc == 4 ? strtod(argv[3], NULL) : 0;
    bool bytes = strcmp(what, "quic") == 0 || strcmp(what, "webtransport") == 0;

    if ((bytes && number > 0 && number <= BULK_STREAMS_MAX && last > 0) ||
        (strcmp(what, "datagrams") == 0 && number > 0 && number <= 1200 && last > 0)) {
        bulk.seconds = last;
        bulk.streams = bytes ? number : 0;
        bulk.size = number;
        make_tls(&bulk);
        if (bytes) {
            stream_bytes(&bulk, what);
        } else {
            datagrams(&bulk);
        }
    } else if (strcmp(what, "handshakes") == 0 && last >= 1 && last < 100000) {
        make_tls(&bulk);
        handshakes(&bulk, argv[2], (unsigned)last);
    } else if (strcmp(what, "memory") == 0 && number > 0 && number <= 1000 &&
               last >= 1 && last <= BULK_STREAMS_MAX) {
        make_tls(&bulk);
        memory(&bulk, number, (unsigned)last);
    } else {
        fprintf(stderr, "usage: bulk quic|webtransport STREAMS SECONDS\n"
                        "       bulk datagrams SIZE SECONDS\n"
                        "       bulk handshakes full|resumed COUNT\n"
                        "       bulk memory SESSIONS STREAMS\n");
        return 2;
    }
    yo_tls_server_unref(bulk.server_tls);
    yo_tls_client_unref(bulk.client_tls);
    return 0;
}
