/* SPDX-License-Identifier: MIT */
/* resume - a thousand clients that lose their connections in one moment: resume YOMO
 * TRANSPORT [--clients N] [--room N] [--rate N] [--silence TIME] [--threads N]
 * [--serve WORDS]. Prints one JSON object.
 *
 * A backend in a process of its own; clients in rooms of so many, and in each room one
 * more, the witness, whose connection stays. The witness and one of the others say
 * RELIABLE messages all the time. Then the sockets of all but the witnesses are broken,
 * with no help of the library and with no rights: a TCP socket is disconnected, which
 * resets it for both sides; a UDP socket is connected to a port where nobody answers or
 * listens to, so that both sides meet silence, which the client takes for a loss after
 * --silence and the backend much later.
 *
 * A message says who sent it and as what number: each member checks that it has each of
 * them once and in order, but for those that it was told are gone. */
#include <arpa/inet.h>
#include <dirent.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "../cli/bench.h"

#define OPENING_MAX 64
#define PATIENCE_NS 60000000000u
#define SETTLE_MS 1000 /* before the break: what everyday traffic costs */
#define DATA_SIZE 100
#define FDS_MAX 65536
#define SENDERS 2 /* of each room: the witness, and the first of the others */

enum order { WITNESSES = 1, OTHERS, SEND, QUIET, CLOSE };

struct member {
    struct thread *thread;
    yomo_client *client;
    yomo_room *room;
    uint32_t room_number, place;  /* 0: the witness */
    uint64_t next[SENDERS], sent; /* the number that should come; its own */
    uint64_t due;
    uint64_t noticed_at, back_at;
    uint64_t skipped, twice, gap_places, gaps, unsure;
    bool opening, there, resumed, boundless;
};

struct thread {
    pthread_t id;
    uv_loop_t loop;
    uv_async_t wake;
    uv_timer_t tick;
    struct member **mine;
    uint32_t count, opened, opening, over;
    int obeyed;
    _Atomic uint64_t received, due_to_come;
};

static struct {
    const char *transport, *serve;
    uint32_t clients, room, rooms, threads;
    double rate;
    const char *silence;
} plan = {.clients = 1000, .room = 10, .threads = 2, .rate = 10, .silence = "3s"};

static yomo_options *options;
static struct member *members;
static struct thread threads[BENCH_THREADS_MAX];
static uint32_t member_count;
static _Atomic int order;
static _Atomic uint32_t there, back, over;
static _Atomic uint64_t broken_at, attempts, refused;
static struct bench_server server;

static void give_up(const char *what, const char *why)
{
    fprintf(stderr, "resume: %s: %s\n", what, why);
    bench_server_stop(&server);
    _exit(1); /* threads of clients are still about */
}

static void check(const char *what, int32_t rv)
{
    if (rv < 0) {
        give_up(what, yomo_strerror(rv));
    }
}

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* --- Members
 * -------------------------------------------------------------------------- */

static void on_message(void *user, yomo_room *room, const yomo_message *message)
{
    struct member *member = user;
    uint64_t head[2]; /* sender, number */
    size_t size;
    const uint8_t *data = yomo_message_data(message, &size);

    (void)room;
    if (size != DATA_SIZE) {
        give_up("message", "has another size");
    }
    memcpy(head, data, sizeof(head));
    if (head[0] >= SENDERS || head[0] == member->place) {
        give_up("message", "is from nobody");
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
        atomic_fetch_add(&there, 1);
        open_more(member->thread);
    } else if (member->noticed_at != 0 && member->back_at == 0) {
        member->back_at = bench_now();
        if (member->place != 0) { /* a witness may have lost its own, by overload */
            atomic_fetch_add(&back, 1);
        }
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
        give_up("client", yomo_strerror(yomo_status_error(status)));
    } else if (state == YOMO_CLIENT_WAITING && atomic_load(&broken_at) != 0) {
        atomic_fetch_add(&attempts, 1);
        if (member->noticed_at == 0) {
            member->noticed_at = bench_now();
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
        give_up("room", *text ? text : yomo_strerror(error));
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

    snprintf(name, sizeof(name), "resume-%u", member->room_number);
    check("client", yomo_client_create(&member->client, options, &callbacks, member));
    check("client", yomo_client_start_on(member->client, &member->thread->loop));
    check("room", yomo_client_join(member->client, name, NULL, &member->room));
    check("client", yomo_client_connect(member->client));
}

/* --- Threads
 * -------------------------------------------------------------------------- */

static void open_more(struct thread *thread)
{
    while (thread->opened < thread->count &&
           thread->opening < 1 + OPENING_MAX / plan.threads) {
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
        if (member->place >= SENDERS || member->due > now) {
            continue;
        }
        uint64_t head[2] = {member->place, member->sent};
        memcpy(data, head, sizeof(head));
        member->due += (uint64_t)(1e9 / plan.rate);
        if (yomo_room_broadcast_bytes(member->room, "resume", data, sizeof(data),
                                      YOMO_RELIABLE) == YOMO_OK) {
            member->sent++;
            atomic_fetch_add_explicit(&thread->due_to_come, plan.room,
                                      memory_order_relaxed);
        } else {
            atomic_fetch_add(&refused, 1);
        }
    }
}

static void begin_sending(struct thread *thread)
{
    uint64_t now = bench_now();

    for (uint32_t i = 0; i < thread->count; i++) {
        struct member *member = thread->mine[i];
        uint32_t turn = member->room_number * SENDERS + member->place;
        member->due = now + (uint64_t)(1e9 / plan.rate * turn / (plan.rooms * SENDERS));
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
    int now = atomic_load(&order);

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
    atomic_fetch_add(&over, 1);
    return NULL;
}

static void start_threads(void)
{
    for (uint32_t t = 0; t < plan.threads; t++) {
        struct thread *thread = &threads[t];
        thread->mine = calloc(member_count, sizeof(struct member *));
        if (!thread->mine || uv_loop_init(&thread->loop) != 0) {
            give_up("threads", "out of memory");
        }
        for (uint32_t i = t; i < member_count; i += plan.threads) {
            members[i].thread = thread;
            thread->mine[thread->count++] = &members[i];
        }
        uv_async_init(&thread->loop, &thread->wake, on_wake);
        uv_timer_init(&thread->loop, &thread->tick);
        thread->wake.data = thread->tick.data = thread;
        if (pthread_create(&thread->id, NULL, run, thread) != 0) {
            give_up("threads", "cannot be made");
        }
    }
}

static void tell(enum order what)
{
    atomic_store(&order, what);
    for (uint32_t t = 0; t < plan.threads; t++) {
        uv_async_send(&threads[t].wake);
    }
}

static void wait_for(_Atomic uint32_t *counter, uint32_t value, const char *what)
{
    uint64_t end = bench_now() + PATIENCE_NS;

    while (atomic_load(counter) < value) {
        if (bench_now() > end || !bench_server_read(&server)) {
            give_up(what, "did not happen");
        }
        sleep_ms(1);
    }
}

static double own_cpu(double *busiest)
{
    double sum = 0;

    for (uint32_t t = 0; t < plan.threads; t++) {
        struct timespec spent = {0};
        clockid_t clock;
        if (pthread_getcpuclockid(threads[t].id, &clock) == 0) {
            clock_gettime(clock, &spent);
        }
        busiest[t] = (double)spent.tv_sec + (double)spent.tv_nsec * 1e-9;
        sum += busiest[t];
    }
    return sum;
}

/* --- The break
 * ------------------------------------------------------------------------ */

static bool spared[FDS_MAX];

/* Each socket of this process that is connected to the backend: spare it or break it.
 */
static uint32_t each_socket(int hole_port)
{
    DIR *folder = opendir("/proc/self/fd");
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)hole_port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    uint32_t count = 0;

    for (struct dirent *entry; folder && (entry = readdir(folder)) != NULL;) {
        struct sockaddr_in peer = {0};
        socklen_t size = sizeof(peer), type_size = sizeof(int);
        int fd = atoi(entry->d_name), type = 0;
        if (*entry->d_name == '.' || fd >= FDS_MAX || spared[fd] ||
            getpeername(fd, (struct sockaddr *)&peer, &size) != 0 ||
            peer.sin_family != AF_INET || ntohs(peer.sin_port) != server.port ||
            getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_size) != 0) {
            continue;
        }
        count++;
        if (hole_port == 0) {
            spared[fd] = true;
        } else if (type == SOCK_STREAM) {
            connect(fd, &nobody, sizeof(nobody));
        } else {
            connect(fd, (struct sockaddr *)&to, sizeof(to));
        }
    }
    if (folder) {
        closedir(folder);
    }
    return count;
}

/* A UDP port of ours that nobody reads. */
static int black_hole(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &size) != 0) {
        give_up("socket", "cannot be made");
    }
    return ntohs(at.sin_port);
}

/* --- What came out
 * -------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static void print_times(const char *name, uint64_t *times, size_t count)
{
    qsort(times, count, sizeof(*times), by_size);
    printf(",\"%s\":{\"p50\":%.1f,\"p99\":%.1f,\"all\":%.1f}", name,
           (double)times[(count - 1) / 2] / 1e6,
           (double)times[(count - 1) * 99 / 100] / 1e6, (double)times[count - 1] / 1e6);
}

/* Each message once, or in a gap, or in doubt for its sender: else it is lost. */
static bool print_messages(void)
{
    uint64_t sent = 0, heard = 0, lost = 0, in_gaps = 0, twice = 0, gaps = 0,
             unsure = 0;

    for (uint32_t i = 0; i < member_count; i++) {
        struct member *member = &members[i];
        uint64_t missing = member->skipped, excused = member->gap_places;
        for (uint32_t s = 0; s < SENDERS; s++) {
            /* The witnesses are the first members, the other senders follow. */
            const struct member *sender =
                &members[s * plan.rooms + member->room_number];
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
           (unsigned long long)sent, (unsigned long long)atomic_load(&refused),
           (unsigned long long)heard, (unsigned long long)in_gaps,
           (unsigned long long)gaps, (unsigned long long)unsure,
           (unsigned long long)lost, (unsigned long long)twice);
    return lost == 0 && twice == 0;
}

static uint64_t on_the_way(void)
{
    uint64_t due = 0, received = 0;

    for (uint32_t t = 0; t < plan.threads; t++) {
        received += atomic_load(&threads[t].received);
        due += atomic_load(&threads[t].due_to_come);
    }
    return due > received ? due - received : 0;
}

static int measure(void)
{
    struct bench_sample calm, before, after, end;
    double cpu_before[BENCH_THREADS_MAX], cpu_after[BENCH_THREADS_MAX], own,
        busiest = 0;
    uint64_t *noticed = calloc(plan.clients, sizeof(uint64_t));
    uint64_t *took = calloc(plan.clients, sizeof(uint64_t));
    uint64_t *since = calloc(plan.clients, sizeof(uint64_t));
    uint32_t resumed = 0, upset = 0;
    int hole = black_hole();

    if (!noticed || !took || !since) {
        give_up("memory", "is out");
    }
    start_threads();
    tell(WITNESSES);
    wait_for(&there, plan.rooms, "the witnesses' joining");
    uint32_t kept = each_socket(0);
    tell(OTHERS);
    wait_for(&there, member_count, "joining");
    tell(SEND);
    sleep_ms(SETTLE_MS);
    bench_server_sample(&server, &calm);
    sleep_ms(SETTLE_MS);

    bench_server_sample(&server, &before);
    own = own_cpu(cpu_before);
    uint64_t began = bench_now();
    atomic_store(&broken_at, began);
    uint32_t broken = each_socket(hole);
    double breaking = (double)(bench_now() - began) / 1e6;
    if (kept < plan.rooms || broken < plan.clients) {
        fprintf(stderr, "resume: %u and %u sockets instead of %u and %u\n", kept,
                broken, plan.rooms, plan.clients);
        give_up("sockets", "are not all found");
    }
    wait_for(&back, plan.clients, "resuming");
    bench_server_sample(&server, &after);
    own = own_cpu(cpu_after) - own;
    double window = (double)(after.at - before.at) / 1e9;
    for (uint32_t t = 0; t < plan.threads; t++) {
        double share = (cpu_after[t] - cpu_before[t]) / window;
        busiest = share > busiest ? share : busiest;
    }

    sleep_ms(SETTLE_MS / 2);
    tell(QUIET);
    sleep_ms(50);
    for (uint64_t until = bench_now() + 15000000000u;
         on_the_way() > 0 && bench_now() < until;) {
        sleep_ms(10);
    }
    sleep_ms(200); /* should any come twice, it has come by now */
    bench_server_sample(&server, &end);
    tell(CLOSE);
    wait_for(&over, plan.threads, "closing");
    for (uint32_t i = 0; i < plan.rooms; i++) {
        upset += members[i].noticed_at != 0;
    }
    for (uint32_t i = plan.rooms, n = 0; i < member_count; i++, n++) {
        noticed[n] = members[i].noticed_at - began;
        took[n] = members[i].back_at - began;
        since[n] = members[i].back_at - members[i].noticed_at;
        resumed += members[i].resumed;
    }

    /* What is done for each who comes back, everyday traffic apart. */
    double calm_s = (double)(before.at - calm.at) / 1e9;
    double calm_cpu = (before.cpu - calm.cpu) / calm_s;
    double calm_out = (double)(before.bytes_out - calm.bytes_out) / calm_s;
    double cpu = after.cpu - before.cpu,
           out = (double)(after.bytes_out - before.bytes_out);
    printf("{\"transport\":\"%s\",\"clients\":%u,\"room\":%u,\"witnesses\":%u,"
           "\"witnesses_broken\":%u,\"broken_within_ms\":%.2f",
           plan.transport, plan.clients, plan.room, plan.rooms, upset, breaking);
    print_times("noticed_ms", noticed, plan.clients);
    print_times("back_ms", took, plan.clients);
    print_times("back_after_notice_ms", since, plan.clients);
    printf(",\"resumed\":%u,\"rejoined\":%u,\"waits\":%llu,\"replayed\":%llu", resumed,
           plan.clients - resumed, (unsigned long long)atomic_load(&attempts),
           (unsigned long long)(end.replayed - before.replayed));
    bool clean = print_messages();
    printf(",\"server\":{\"cpu_us_each\":%.0f,\"bytes_out_each\":%.0f,\"busy\":%.3f,"
           "\"calm_busy\":%.3f,\"calm_bytes_out_per_second\":%.0f,"
           "\"longest_turn_us\":%llu},"
           "\"client\":{\"threads\":%u,\"cpu_us_each\":%.0f,\"busiest_thread\":%.3f},"
           "\"clean\":%s}\n",
           cpu * 1e6 / plan.clients, out / plan.clients, cpu / window, calm_cpu,
           calm_out, (unsigned long long)after.longest_turn_us, plan.threads,
           own * 1e6 / plan.clients, busiest, clean ? "true" : "false");
    free(noticed);
    free(took);
    free(since);
    return clean ? 0 : 1;
}

static void take_arguments(int argc, char **argv)
{
    for (int i = 3; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        if (strcmp(name, "--clients") == 0) {
            plan.clients = (uint32_t)strtoul(value, NULL, 10);
        } else if (strcmp(name, "--room") == 0) {
            plan.room = (uint32_t)strtoul(value, NULL, 10);
        } else if (strcmp(name, "--threads") == 0) {
            plan.threads = (uint32_t)strtoul(value, NULL, 10);
        } else if (strcmp(name, "--rate") == 0) {
            plan.rate = strtod(value, NULL);
        } else if (strcmp(name, "--silence") == 0) {
            plan.silence = value;
        } else if (strcmp(name, "--serve") == 0) {
            plan.serve = value;
        } else {
            argc = 0; /* and the usage is told */
        }
    }
    if (argc < 3 || argc % 2 == 0 || plan.room == 0 || plan.clients == 0 ||
        plan.clients % plan.room != 0 || plan.clients > 20000 || !(plan.rate > 0) ||
        plan.threads == 0 || plan.threads > BENCH_THREADS_MAX) {
        fprintf(stderr,
                "usage: resume YOMO webtransport|websocket [--clients N] [--room N]\n"
                "       [--rate N] [--silence TIME] [--threads N] [--serve WORDS]\n"
                "Clients are a multiple of the room's size.\n");
        exit(2);
    }
    plan.transport = argv[2];
    plan.rooms = plan.clients / plan.room;
}

static void set(const char *name, const char *value)
{
    check(name, yomo_options_set(options, name, value));
}

int main(int argc, char **argv)
{
    char url[64];

    take_arguments(argc, argv);
    struct bench_plan backend = {.workers = 1, .program = argv[1]};
    member_count = plan.rooms + plan.clients;
    members = calloc(member_count, sizeof(*members));
    if (!members || bench_server_start(&server, &backend, plan.serve) != 0) {
        give_up("backend", "cannot be started");
    }
    for (uint64_t end = bench_now() + PATIENCE_NS; !server.listening; sleep_ms(5)) {
        if (!bench_server_read(&server) || bench_now() > end) {
            give_up("backend", "does not listen");
        }
    }
    for (uint32_t i = 0; i < member_count; i++) { /* place by place */
        members[i].room_number = i % plan.rooms;
        members[i].place = i / plan.rooms;
    }

    snprintf(url, sizeof(url), "https://127.0.0.1:%u", server.port);
    check("options", yomo_options_create(&options, YOMO_SCOPE_CLIENT));
    set("url", url);
    set("cert-hash", server.certificate);
    set("transport", plan.transport);
    if (strcmp(plan.transport, "webtransport") == 0) {
        set("keep-alive", "500ms");
        set("silence-timeout", plan.silence);
        set("migrate", "false");
    }
    int status = measure();
    bench_server_stop(&server);
    yomo_options_free(options);
    for (uint32_t t = 0; t < plan.threads; t++) {
        pthread_join(threads[t].id, NULL);
        free(threads[t].mine);
    }
    free(members);
    return status;
}
