/* SPDX-License-Identifier: MIT */
/* crowd.c - see crowd.h. Only its own thread writes what stands in a thread or a
 * member; what others read meanwhile is atomic. */
#include "crowd.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define OPENING_MAX 64
#define PATIENCE_NS 60000000000u
#define DATA_SIZE 100

struct crowd crowd = {.clients = 1000, .room = 10, .threads = 2, .rate = 10};

void crowd_give_up(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s: %s\n", crowd.name, what, why);
    bench_server_stop(&crowd.server);
    _exit(1); /* threads of clients are still about */
}

void crowd_check(const char *what, int32_t rv)
{
    if (rv < 0) {
        crowd_give_up(what, yomo_strerror(rv));
    }
}

void crowd_sleep(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* --- Members ------------------------------------------------------------------ */

static void on_message(void *user, yomo_room *room, const yomo_message *message)
{
    struct member *member = user;
    uint64_t head[2]; /* sender, number */
    size_t size;
    const uint8_t *data = yomo_message_data(message, &size);

    (void)room;
    if (size != DATA_SIZE) {
        crowd_give_up("message", "has another size");
    }
    memcpy(head, data, sizeof(head));
    if (head[0] >= CROWD_SENDERS || head[0] == member->place) {
        crowd_give_up("message", "is from nobody");
    }
    uint64_t *next = &member->next[head[0]];
    if (head[1] < *next) {
        member->twice++;
        return;
    }
    member->skipped += head[1] - *next;
    *next = head[1] + 1;
    atomic_fetch_add_explicit(&member->thread->received, 1, memory_order_relaxed);
}

static void on_gap(void *user, yomo_room *room, const yomo_gap *gap)
{
    struct member *member = user;

    (void)room;
    member->gaps++;
    if (yomo_gap_first(gap) == 0) {
        member->boundless = true;
    } else {
        member->gap_places += yomo_gap_last(gap) - yomo_gap_first(gap) + 1;
    }
}

static void open_more(struct thread *thread);

static void on_joined(void *user, yomo_room *room)
{
    struct member *member = user;

    (void)room;
    if (!member->there) {
        member->there = true;
        member->thread->opening--;
        atomic_fetch_add(&crowd.there, 1);
        open_more(member->thread);
    } else if (member->noticed_at != 0 && member->back_at == 0) {
        member->back_at = bench_now();
        /* In resume a witness may have lost its own, by overload. */
        atomic_fetch_add(member->place != 0 ? &crowd.back : &crowd.witnesses_back, 1);
    }
}

static void on_status(void *user, yomo_client *client, const yomo_status *status)
{
    struct member *member = user;
    int32_t state = yomo_status_state(status);

    (void)client;
    if (member->thread->obeyed == CLOSE) {
        return;
    }
    if (state == YOMO_CLIENT_CLOSED) {
        crowd_give_up("client", yomo_strerror(yomo_status_error(status)));
    } else if (state == YOMO_CLIENT_WAITING && atomic_load(&crowd.broken_at) != 0) {
        atomic_fetch_add(&crowd.attempts, 1);
        if (member->noticed_at == 0) {
            member->noticed_at = bench_now();
            member->error = yomo_status_error(status);
        }
    } else if (state == YOMO_CLIENT_OPEN && member->noticed_at != 0 &&
               member->back_at == 0) {
        member->resumed = yomo_status_resumed(status) == 1;
    }
}

static void on_left(void *user, yomo_room *room, int32_t error, const char *text)
{
    struct member *member = user;

    (void)room;
    member->room = NULL;
    if (member->thread->obeyed != CLOSE) {
        crowd_give_up("room", *text ? text : yomo_strerror(error));
    }
}

static void on_closed(void *user, yomo_client *client)
{
    struct member *member = user;
    struct thread *thread = member->thread;

    (void)client;
    if (++thread->over == thread->count) {
        uv_close((uv_handle_t *)&thread->wake, NULL);
        uv_close((uv_handle_t *)&thread->tick, NULL);
    }
}

static void open_one(struct member *member)
{
    static const yomo_client_callbacks callbacks = {.size = sizeof(callbacks),
                                                    .on_status = on_status,
                                                    .on_joined = on_joined,
                                                    .on_message = on_message,
                                                    .on_left = on_left,
                                                    .on_closed = on_closed,
                                                    .on_gap = on_gap};
    char name[32];

    snprintf(name, sizeof(name), "crowd-%u", member->room_number);
    crowd_check("client",
                yomo_client_create(&member->client, crowd.options, &callbacks, member));
    crowd_check("client", yomo_client_start_on(member->client, &member->thread->loop));
    crowd_check("room", yomo_client_join(member->client, name, NULL, &member->room));
    crowd_check("client", yomo_client_connect(member->client));
}

/* --- Threads
 * -------------------------------------------------------------------------- */

static void open_more(struct thread *thread)
{
    while (thread->opened < thread->count &&
           thread->opening < 1 + OPENING_MAX / crowd.threads) {
        struct member *member = thread->mine[thread->opened];
        if (member->place != 0 && thread->obeyed < OTHERS) {
            return; /* witnesses come first */
        }
        thread->opened++;
        thread->opening++;
        open_one(member);
    }
}

static void on_tick(uv_timer_t *tick)
{
    struct thread *thread = tick->data;
    uint64_t now = bench_now();
    uint8_t data[DATA_SIZE] = {0};

    for (uint32_t i = 0; i < thread->count; i++) {
        struct member *member = thread->mine[i];
        if (member->place >= CROWD_SENDERS || member->due > now) {
            continue;
        }
        uint64_t head[2] = {member->place, member->sent};
        memcpy(data, head, sizeof(head));
        member->due += (uint64_t)(1e9 / crowd.rate);
        if (yomo_room_broadcast_bytes(member->room, "crowd", data, sizeof(data),
                                      YOMO_RELIABLE) == YOMO_OK) {
            member->sent++;
            atomic_fetch_add_explicit(&thread->due_to_come, crowd.room,
                                      memory_order_relaxed);
        } else {
            atomic_fetch_add(&crowd.refused, 1);
        }
    }
}

static void begin_sending(struct thread *thread)
{
    uint64_t now = bench_now();

    for (uint32_t i = 0; i < thread->count; i++) {
        struct member *member = thread->mine[i];
        uint32_t turn = member->room_number * CROWD_SENDERS + member->place;
        member->due =
            now + (uint64_t)(1e9 / crowd.rate * turn / (crowd.rooms * CROWD_SENDERS));
    }
    uv_timer_start(&thread->tick, on_tick, 0, 2);
}

static void close_all(struct thread *thread)
{
    for (uint32_t i = 0; i < thread->count; i++) {
        struct member *member = thread->mine[i];
        member->unsure = yomo_client_counter(member->client, YOMO_COUNT_UNSURE);
        yomo_client_free(member->client);
    }
}

static void on_wake(uv_async_t *wake)
{
    struct thread *thread = wake->data;
    int now = atomic_load(&crowd.order);

    while (thread->obeyed < now) {
        thread->obeyed++;
        if (thread->obeyed <= OTHERS) {
            open_more(thread);
        } else if (thread->obeyed == SEND) {
            begin_sending(thread);
        } else if (thread->obeyed == QUIET) {
            uv_timer_stop(&thread->tick);
        } else {
            close_all(thread);
        }
    }
}

static void *run(void *user)
{
    struct thread *thread = user;

    uv_run(&thread->loop, UV_RUN_DEFAULT);
    uv_loop_close(&thread->loop);
    atomic_fetch_add(&crowd.over, 1);
    return NULL;
}

void crowd_start(void)
{
    for (uint32_t t = 0; t < crowd.threads; t++) {
        struct thread *thread = &crowd.all[t];
        thread->mine = calloc(crowd.member_count, sizeof(struct member *));
        if (!thread->mine || uv_loop_init(&thread->loop) != 0) {
            crowd_give_up("threads", "out of memory");
        }
        for (uint32_t i = t; i < crowd.member_count; i += crowd.threads) {
            crowd.members[i].thread = thread;
            thread->mine[thread->count++] = &crowd.members[i];
        }
        uv_async_init(&thread->loop, &thread->wake, on_wake);
        uv_timer_init(&thread->loop, &thread->tick);
        thread->wake.data = thread->tick.data = thread;
        if (pthread_create(&thread->id, NULL, run, thread) != 0) {
            crowd_give_up("threads", "cannot be made");
        }
    }
}

void crowd_tell(enum order what)
{
    atomic_store(&crowd.order, what);
    for (uint32_t t = 0; t < crowd.threads; t++) {
        uv_async_send(&crowd.all[t].wake);
    }
}

void crowd_wait(_Atomic uint32_t *counter, uint32_t value, const char *what)
{
    uint64_t end = bench_now() + PATIENCE_NS;

    while (atomic_load(counter) < value) {
        if (bench_now() > end || !bench_server_read(&crowd.server)) {
            crowd_give_up(what, "did not happen");
        }
        crowd_sleep(1);
    }
}

double crowd_cpu(double *busiest)
{
    double sum = 0;

    for (uint32_t t = 0; t < crowd.threads; t++) {
        struct timespec spent = {0};
        clockid_t clock;
        if (pthread_getcpuclockid(crowd.all[t].id, &clock) == 0) {
            clock_gettime(clock, &spent);
        }
        busiest[t] = (double)spent.tv_sec + (double)spent.tv_nsec * 1e-9;
        sum += busiest[t];
    }
    return sum;
}

void crowd_listens(struct bench_server *server)
{
    for (uint64_t end = bench_now() + PATIENCE_NS; !server->listening; crowd_sleep(5)) {
        if (!bench_server_read(server) || bench_now() > end) {
            crowd_give_up("backend", "does not listen");
        }
    }
}

void crowd_set(const char *name, const char *value)
{
    crowd_check(name, yomo_options_set(crowd.options, name, value));
}

void crowd_prepare(uint32_t port, const char *certificates)
{
    char url[64];

    crowd.rooms = crowd.clients / crowd.room;
    crowd.member_count = crowd.rooms + crowd.clients;
    crowd.members = calloc(crowd.member_count, sizeof(*crowd.members));
    if (!crowd.members) {
        crowd_give_up("memory", "is out");
    }
    for (uint32_t i = 0; i < crowd.member_count; i++) {
        crowd.members[i].room_number = i % crowd.rooms;
        crowd.members[i].place = i / crowd.rooms;
    }
    snprintf(url, sizeof(url), "https://127.0.0.1:%u", port);
    crowd_check("options", yomo_options_create(&crowd.options, YOMO_SCOPE_CLIENT));
    crowd_set("url", url);
    crowd_set("cert-hash", certificates);
    crowd_set("transport", crowd.transport);
}

void crowd_finish(void)
{
    yomo_options_free(crowd.options);
    for (uint32_t t = 0; t < crowd.threads; t++) {
        pthread_join(crowd.all[t].id, NULL);
        free(crowd.all[t].mine);
    }
    free(crowd.members);
}

bool crowd_argument(const char *name, const char *value)
{
    if (strcmp(name, "--clients") == 0) {
        crowd.clients = (uint32_t)strtoul(value, NULL, 10);
    } else if (strcmp(name, "--room") == 0) {
        crowd.room = (uint32_t)strtoul(value, NULL, 10);
    } else if (strcmp(name, "--threads") == 0) {
        crowd.threads = (uint32_t)strtoul(value, NULL, 10);
    } else if (strcmp(name, "--rate") == 0) {
        crowd.rate = strtod(value, NULL);
    } else if (strcmp(name, "--silence") == 0 && crowd.silence) {
        crowd.silence = value;
    } else if (strcmp(name, "--serve") == 0) {
        crowd.serve = value;
    } else {
        return false;
    }
    return true;
}

bool crowd_arguments_are_good(void)
{
    return crowd.room > 0 && crowd.clients > 0 && crowd.clients % crowd.room == 0 &&
           crowd.clients <= 20000 && crowd.rate > 0 && crowd.threads > 0 &&
           crowd.threads <= BENCH_THREADS_MAX;
}

/* --- What came out
 * -------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

void crowd_print_times(const char *name, uint64_t *times, size_t count)
{
    qsort(times, count, sizeof(*times), by_size);
    printf(",\"%s\":{\"p50\":%.1f,\"p99\":%.1f,\"all\":%.1f}", name,
           (double)times[(count - 1) / 2] / 1e6,
           (double)times[(count - 1) * 99 / 100] / 1e6, (double)times[count - 1] / 1e6);
}

/* Each message once, or in a gap, or in doubt for its sender: else it is lost. */
bool crowd_print_messages(void)
{
    uint64_t sent = 0, heard = 0, lost = 0, in_gaps = 0, twice = 0, gaps = 0,
             unsure = 0;

    for (uint32_t i = 0; i < crowd.member_count; i++) {
        struct member *member = &crowd.members[i];
        uint64_t missing = member->skipped, excused = member->gap_places;
        for (uint32_t s = 0; s < CROWD_SENDERS; s++) {
            /* The witnesses are the first members, the other senders follow. */
            const struct member *sender =
                &crowd.members[s * crowd.rooms + member->room_number];
            if (s != member->place) {
                missing += sender->sent - member->next[s];
                heard += member->next[s];
                excused += sender->unsure;
            }
        }
        heard -= member->skipped;
        excused = member->boundless || excused > missing ? missing : excused;
        lost += missing - excused;
        in_gaps += excused;
        twice += member->twice;
        gaps += member->gaps;
        unsure += member->unsure;
        sent += member->sent;
    }
    printf(",\"sent\":%llu,\"refused\":%llu,\"delivered\":%llu,\"in_gaps\":%llu,"
           "\"gaps\":%llu,\"unsure\":%llu,\"lost\":%llu,\"twice\":%llu",
           (unsigned long long)sent, (unsigned long long)atomic_load(&crowd.refused),
           (unsigned long long)heard, (unsigned long long)in_gaps,
           (unsigned long long)gaps, (unsigned long long)unsure,
           (unsigned long long)lost, (unsigned long long)twice);
    return lost == 0 && twice == 0;
}

uint64_t crowd_on_the_way(void)
{
    uint64_t due = 0, received = 0;

    for (uint32_t t = 0; t < crowd.threads; t++) {
        received += atomic_load(&crowd.all[t].received);
        due += atomic_load(&crowd.all[t].due_to_come);
    }
    return due > received ? due - received : 0;
}
