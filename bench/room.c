/* SPDX-License-Identifier: MIT */
/* room - one room with thousands of real connections: room YOMO TRANSPORT [--members N]
 * [--within TIME] [--updates HZ] [--seconds S] [--threads N] [--leave S] [--serve
 * WORDS]. Prints one JSON object.
 *
 * A backend in a process of its own. The members come evenly within some seconds, stay
 * for a while in which some of them change their states, so many in a second
 * altogether, and leave evenly. They are no clients of the library but connections that
 * speak just enough of the protocol: each would else mirror all the others. Sixteen of
 * them, the watchers, read all that they are told and must know exactly who is there;
 * the others count it. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "../cli/bench.h"
#include "base/check.h"
#include "loop/loop.h"
#include "transport/dial.h"
#include "wire/decode.h"
#include "wire/encode.h"

#define ROOM "room"
#define WATCHERS 16
#define KNOWN 65536u /* slots of a watcher's table; members are at most half of it */
#define MEMBERS_MAX (KNOWN / 2)
#define TICK (2 * YO_MS)
#define PING_TIME (5 * YO_SECOND)
#define PATIENCE_NS 300000000000u
#define SETTLE_MS 1000

enum phase { COME, CALM, UPDATE, LEAVE, END };
enum { DIALING = 1, GREETED, ASKED, IN, LEAVING, GONE };

struct known {
    uint64_t session;
    bool here;
};

struct member {
    struct thread *thread;
    struct yo_conn *conn;
    uint32_t number;
    int step;
    bool lost;
    uint64_t asked_at, in_at;
    uint64_t snapshot_messages, snapshot_bytes; /* what its own coming brought */
    struct known *known;                        /* a watcher's */
    uint32_t knows;
    uint64_t session;
};

struct thread {
    pthread_t id;
    struct yo_loop *loop;
    struct yo_timer tick;
    struct member **mine;
    uint32_t count, came, left, gone, pinged, updated;
    yo_time began, phase_began;
    int obeyed;
    _Atomic uint64_t messages, bytes, entries; /* what its members were told */
};

static struct {
    const char *transport, *serve;
    uint32_t members, threads;
    double within, updates, seconds, leave;
} plan = {.members = 10000,
          .threads = 1,
          .within = 10,
          .updates = 20,
          .seconds = 10,
          .leave = 10};

static struct bench_server server;
static struct member *members;
static struct thread threads[BENCH_THREADS_MAX];
static struct yo_tls_client *tls;
static struct yo_blob *ping_blob, *leave_blob;
static _Atomic int phase;
static _Atomic uint32_t in, gone, lost, ended;
static _Atomic uint64_t updates;

static void give_up(const char *what, const char *why)
{
    fprintf(stderr, "room: %s: %s\n", what, why);
    bench_server_stop(&server);
    _exit(1); /* threads are still about */
}

static void check(const char *what, int rv)
{
    if (rv < 0) {
        give_up(what, yomo_strerror(rv));
    }
}

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static void count(_Atomic uint64_t *counter, uint64_t more)
{
    atomic_store_explicit(counter,
                          atomic_load_explicit(counter, memory_order_relaxed) + more,
                          memory_order_relaxed);
}

/* --- what a member says ------------------------------------------------------------
 */

static struct yo_blob *spell(const struct yo_message *message)
{
    struct yo_blob *blob;

    check("message", yo_encode_blob(&blob, &yo_mem_libc, YO_DIALECT_YOMO, message));
    return blob;
}

static void say(struct member *member, uint32_t lane, struct yo_blob *blob)
{
    int rv = yo_conn_send(member->conn, lane, blob, 0);

    if (rv != YOMO_OK && rv != YOMO_ERR_CLOSED) {
        give_up("a message", yomo_strerror(rv));
    }
}

static void say_state(struct member *member, enum yo_op op, uint32_t lane,
                      uint64_t value)
{
    char id[32], json[96];
    struct yo_message message = {.op = op, .channel = yo_span_of(ROOM)};
    struct yo_buf state;
    struct yo_blob *blob;

    snprintf(id, sizeof(id), "member-%06u", member->number);
    snprintf(json, sizeof(json), "{\"name\":\"Somebody\",\"x\":%llu}",
             (unsigned long long)value);
    yo_buf_init(&state, &yo_mem_libc);
    check("state", yo_state_from_json(&state, yo_span_of(id), yo_span_of(json)));
    message.payload = yo_buf_span(&state);
    blob = spell(&message);
    say(member, lane, blob);
    yo_blob_unref(blob);
    yo_buf_finish(&state);
}

/* --- what it is told ---------------------------------------------------------------
 */

static bool find(struct yo_span bytes, const char *text)
{
    size_t size = strlen(text);

    return memmem(bytes.data, bytes.size, text, size) != NULL;
}

/* The op, which libyomo's encoder puts into the first bytes; the rest is not looked at.
 */
static enum yo_op op_of(struct yo_span message)
{
    static const struct {
        const char *text;
        enum yo_op op;
    } ops[] = {{"\xa2op\xa7"
                "changes",
                YO_OP_CHANGES},
               {"\xa2op\xa8"
                "snapshot",
                YO_OP_SNAPSHOT},
               {"\xa2op\xaa"
                "peer_state",
                YO_OP_PEER_STATE},
               {"\xa2op\xab"
                "peer_online",
                YO_OP_PEER_ONLINE},
               {"\xa2op\xac"
                "peer_offline",
                YO_OP_PEER_OFFLINE},
               {"\xa2op\xa5"
                "hello",
                YO_OP_HELLO},
               {"\xa2op\xad"
                "channel_leave",
                YO_OP_CHANNEL_LEAVE},
               {"\xa2op\xa5"
                "error",
                YO_OP_ERROR}};
    struct yo_span head = yo_span(message.data, message.size < 40 ? message.size : 40);

    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        if (find(head, ops[i].text)) {
            return ops[i].op;
        }
    }
    return YO_OP_UNKNOWN;
}

static bool is_last_page(struct yo_span message)
{
    struct yo_span tail =
        yo_span(message.data + message.size - (message.size < 6 ? 0 : 6),
                message.size < 6 ? 0 : 6);

    return !find(tail, "\xa4more\xc3");
}

static void know(struct member *member, uint64_t session, bool here)
{
    if (session == member->session) {
        return; /* what is told to all has its own, too */
    }
    uint32_t at = (uint32_t)((session * 0x9e3779b97f4a7c15u) >> 48) % KNOWN;

    while (member->known[at].session != session && member->known[at].session != 0) {
        at = (at + 1) % KNOWN;
    }
    if (member->known[at].here != here) {
        member->known[at] = (struct known){session, here};
        member->knows = here ? member->knows + 1 : member->knows - 1;
    }
}

static void watch(struct member *member, struct yo_span bytes)
{
    struct yo_message message;
    struct yo_mp_reader reader;
    struct yo_wire_member entry;
    uint32_t number;

    check("what a watcher is told", yo_decode(bytes, &message));
    switch (message.op) {
    case YO_OP_HELLO:
        member->session = message.session;
        break;
    case YO_OP_PEER_ONLINE:
    case YO_OP_PEER_STATE:
        know(member, message.session, true);
        break;
    case YO_OP_PEER_OFFLINE:
        know(member, message.session, false);
        break;
    case YO_OP_SNAPSHOT:
    case YO_OP_CHANGES:
        check("what a watcher is told",
              yo_members_init(&reader, message.members, &number));
        count(&member->thread->entries, number);
        while (number-- > 0) {
            check("an entry", yo_members_next(&reader, &entry));
            know(member, entry.session, entry.change != YO_WIRE_LEFT);
        }
        break;
    default:
        break;
    }
}

static void is_in(struct member *member)
{
    member->step = IN;
    member->in_at = bench_now();
    atomic_fetch_add(&in, 1);
}

static void on_message(void *user, struct yo_conn *conn, uint32_t lane,
                       struct yo_span message, yo_time now)
{
    struct member *member = user;
    enum yo_op op = op_of(message);

    (void)conn, (void)lane, (void)now;
    if (op == YO_OP_HELLO && member->step == DIALING) {
        member->step = ASKED;
        member->asked_at = bench_now();
        say_state(member, YO_OP_CHANNEL_JOIN, YO_LANE_CONTROL, 0);
    } else if (op == YO_OP_SNAPSHOT) {
        member->snapshot_messages++;
        member->snapshot_bytes += message.size;
        if (member->step == ASKED && is_last_page(message)) {
            is_in(member);
        }
    } else if (op == YO_OP_CHANGES || op == YO_OP_PEER_ONLINE ||
               op == YO_OP_PEER_STATE || op == YO_OP_PEER_OFFLINE) {
        count(&member->thread->messages, 1);
        count(&member->thread->bytes, message.size);
    } else if (op == YO_OP_ERROR) {
        give_up("a member", "was refused");
    } else if (op == YO_OP_CHANNEL_LEAVE && member->step == LEAVING) {
        yo_conn_close(member->conn, &(struct yo_close){.kind = YO_CLOSE_DONE,
                                                       .code = YO_CODE_NORMAL});
    }
    if (member->known &&
        (op == YO_OP_HELLO || op == YO_OP_SNAPSHOT || op == YO_OP_CHANGES ||
         op == YO_OP_PEER_ONLINE || op == YO_OP_PEER_OFFLINE)) {
        watch(member, message);
    }
}

static void on_open(void *user, struct yo_conn *conn, yo_time now)
{
    (void)user, (void)conn, (void)now;
}

static void on_writable(void *user, struct yo_conn *conn, yo_time now)
{
    (void)user, (void)conn, (void)now;
}

static void on_fate(void *user, struct yo_conn *conn, uint64_t token, enum yo_fate fate,
                    yo_time now)
{
    (void)user, (void)conn, (void)token, (void)fate, (void)now;
}

static void on_closed(void *user, struct yo_conn *conn, const struct yo_close *why,
                      yo_time now)
{
    struct member *member = user;

    (void)conn, (void)now;
    if (member->step != LEAVING) {
        member->lost = true;
        if (atomic_fetch_add(&lost, 1) < 5) {
            fprintf(stderr, "room: member %u is lost in step %d: %s, %.*s (%u)\n",
                    member->number, member->step, yomo_strerror(why->error),
                    (int)why->text.size, (const char *)why->text.data, why->code);
        }
        if (member->step < IN) {
            atomic_fetch_add(&in,
                             1); /* so that the others are not waited for in vain */
        }
    }
    member->step = GONE;
    member->conn = NULL;
    member->thread->gone++;
    atomic_fetch_add(&gone, 1);
}

static const struct yo_conn_events events = {.on_open = on_open,
                                             .on_message = on_message,
                                             .on_writable = on_writable,
                                             .on_fate = on_fate,
                                             .on_closed = on_closed};

/* --- when --------------------------------------------------------------------------
 */

static void come(struct member *member)
{
    char path[64];
    struct yo_dial_options options = {
        .transport = strcmp(plan.transport, "websocket") == 0
                         ? YOMO_TRANSPORT_WEBSOCKET
                         : YOMO_TRANSPORT_WEBTRANSPORT,
        .secure = true,
        .host = "127.0.0.1",
        .port = (uint16_t)server.port,
        .path = path,
        .extension = true,
        .tls = tls,
        .message_size_max = 65536,
        .queue_size_max = 262144,
        .handshake_ms = 120000,
        .idle_ms = 120000,
        .keepalive_ms = 10000,
    };

    snprintf(path, sizeof(path), "/v1?yomo=1&id=member-%06u", member->number);
    member->step = DIALING;
    check("connection",
          yo_dial(&member->conn, member->thread->loop, &options, &events, member));
}

/* How many of `all` are due. */
static uint32_t share(const struct thread *thread, double time, yo_time now)
{
    double part = time > 0 ? (double)(now - thread->phase_began) / 1e9 / time : 1;

    return part >= 1 ? thread->count : (uint32_t)(part * thread->count);
}

static void ping_some(struct thread *thread, yo_time now)
{
    uint64_t due =
        (uint64_t)((double)(now - thread->began) / (double)PING_TIME * thread->count);

    for (; thread->pinged < due; thread->pinged++) {
        struct member *member = thread->mine[thread->pinged % thread->count];
        if (member->step == ASKED || member->step == IN) {
            say(member, YO_LANE_CONTROL, ping_blob);
        }
    }
}

static void update_some(struct thread *thread, yo_time now)
{
    double due =
        (double)(now - thread->phase_began) / 1e9 * plan.updates / plan.threads;

    for (; thread->updated < due; thread->updated++) {
        struct member *member = thread->mine[thread->updated * 7919ull % thread->count];
        if (member->step == IN) {
            say_state(member, YO_OP_PEER_STATE, YO_LANE_ROOMS, 1 + thread->updated);
            atomic_fetch_add(&updates, 1);
        }
    }
}

static void leave_some(struct thread *thread, yo_time now)
{
    uint32_t due = share(thread, plan.leave, now);

    for (; thread->left < due; thread->left++) {
        /* The watchers are the last. */
        struct member *member = thread->mine[thread->count - 1 - thread->left];
        if (member->step == IN) {
            member->step = LEAVING;
            say(member, YO_LANE_ROOMS, leave_blob);
        }
    }
}

static void on_tick(struct yo_timer *tick, yo_time now)
{
    struct thread *thread = YO_CONTAINER(tick, struct thread, tick);
    int wanted = atomic_load(&phase);

    if (thread->obeyed < wanted) {
        thread->obeyed = wanted;
        thread->phase_began = now;
    }
    if (wanted == COME) {
        for (uint32_t due = share(thread, plan.within, now); thread->came < due;
             thread->came++) {
            come(thread->mine[thread->came]);
        }
    }
    ping_some(thread, now);
    if (wanted == UPDATE) {
        update_some(thread, now);
    } else if (wanted >= LEAVE) {
        leave_some(thread, now);
    }
    if (wanted == END && thread->gone == thread->count) {
        yo_timer_stop(&thread->tick);
        yo_loop_close(thread->loop, NULL, NULL);
    } else {
        (void)yo_timer_set(&thread->tick, now + TICK);
    }
}

static void *run(void *user)
{
    struct thread *thread = user;

    yo_loop_run(thread->loop);
    atomic_fetch_add(&ended, 1);
    return NULL;
}

static void start_threads(void)
{
    for (uint32_t t = 0; t < plan.threads; t++) {
        struct thread *thread = &threads[t];
        thread->mine = calloc(plan.members, sizeof(struct member *));
        check("loop", thread->mine
                          ? yo_loop_create(&thread->loop, &yo_mem_libc, NULL, NULL)
                          : YOMO_ERR_NOMEM);
        for (uint32_t i = t; i < plan.members; i += plan.threads) {
            members[i].thread = thread;
            members[i].number = i;
            thread->mine[thread->count++] = &members[i];
        }
        yo_timer_init(&thread->tick, thread->loop, on_tick);
        thread->began = thread->phase_began = yo_loop_update(thread->loop);
        check("timer", yo_timer_set(&thread->tick, thread->began));
        if (pthread_create(&thread->id, NULL, run, thread) != 0) {
            give_up("threads", "cannot be made");
        }
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

static void pass(double seconds)
{
    for (uint64_t end = bench_now() + (uint64_t)(seconds * 1e9); bench_now() < end;) {
        if (!bench_server_read(&server)) {
            give_up("the backend", "has ended");
        }
        sleep_ms(5);
    }
}

/* --- what came out ------------------------------------------------------------------
 */

struct look {
    struct bench_sample sample;
    uint64_t messages, bytes, connections;
    double own_cpu;
};

static void look(struct look *out)
{
    struct timespec own;

    *out = (struct look){0};
    bench_server_sample(&server, &out->sample);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
    out->own_cpu = (double)own.tv_sec + (double)own.tv_nsec / 1e9;
    for (uint32_t t = 0; t < plan.threads; t++) {
        out->messages += atomic_load(&threads[t].messages);
        out->bytes += atomic_load(&threads[t].bytes);
    }
}

static void print_phase(const char *name, const struct look *from,
                        const struct look *to)
{
    double seconds = (double)(to->sample.at - from->sample.at) / 1e9;
    double cpu = to->sample.cpu - from->sample.cpu;

    printf(",\"%s\":{\"seconds\":%.2f,\"server_cpu_s\":%.2f,\"own_cpu_s\":%.2f,"
           "\"told_messages_each\":%.1f,\"told_bytes_each\":%.0f,"
           "\"server_bytes_out\":%llu,\"longest_turn_us\":%llu,\"rss_mib\":%.0f}",
           name, seconds, cpu, to->own_cpu - from->own_cpu,
           (double)(to->messages - from->messages) / plan.members,
           (double)(to->bytes - from->bytes) / plan.members,
           (unsigned long long)(to->sample.bytes_out - from->sample.bytes_out),
           (unsigned long long)to->sample.longest_turn_us,
           (double)to->sample.rss / 1048576);
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static void print_times(void)
{
    uint64_t *took = calloc(plan.members, sizeof(*took));
    size_t number = 0;

    for (uint32_t i = 0; took && i < plan.members; i++) {
        if (members[i].in_at != 0) {
            took[number++] = members[i].in_at - members[i].asked_at;
        }
    }
    if (number > 0) {
        qsort(took, number, sizeof(*took), by_size);
        printf(",\"join_ms\":{\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f}",
               (double)took[(number - 1) / 2] / 1e6,
               (double)took[(number - 1) * 99 / 100] / 1e6,
               (double)took[number - 1] / 1e6);
    }
    free(took);
}

/* How many watchers know another number of members than there are. */
static uint32_t mistaken(uint32_t expected)
{
    uint32_t wrong = 0;

    for (uint32_t i = 0; i < WATCHERS && i < plan.members; i++) {
        if (members[i].knows != expected) {
            fprintf(stderr, "room: watcher %u knows %u others instead of %u\n", i,
                    members[i].knows, expected);
            wrong++;
        }
    }
    return wrong;
}

static int measure(void)
{
    struct look before, there, calm, updated, after;
    uint64_t began;

    look(&before);
    start_threads();
    began = bench_now();
    wait_for(&in, plan.members, "joining");
    double all_in = (double)(bench_now() - began) / 1e9;
    atomic_store(&phase, CALM);
    sleep_ms(SETTLE_MS);
    look(&there);
    uint32_t wrong = mistaken(plan.members - 1 - atomic_load(&lost));
    pass(plan.seconds);
    look(&calm);
    atomic_store(&phase, UPDATE);
    pass(plan.seconds);
    look(&updated);
    uint64_t changed = atomic_load(&updates);
    uint32_t lost_before = atomic_load(&lost);
    const struct member *last = &members[plan.members - 1];
    uint64_t last_messages = last->snapshot_messages, last_bytes = last->snapshot_bytes;
    atomic_store(&phase, LEAVE);
    wait_for(&gone, plan.members, "leaving");
    look(&after);
    atomic_store(&phase, END);
    wait_for(&ended, plan.threads, "ending");

    printf("{\"transport\":\"%s\",\"members\":%u,\"within\":%.1f,\"threads\":%u,"
           "\"all_in_s\":%.2f,\"lost\":%u,\"lost_leaving\":%u,\"watchers_mistaken\":%u",
           plan.transport, plan.members, plan.within, plan.threads, all_in, lost_before,
           atomic_load(&lost) - lost_before, wrong);
    print_times();
    printf(",\"last_join\":{\"messages\":%llu,\"bytes\":%llu},\"updates_sent\":%llu",
           (unsigned long long)last_messages, (unsigned long long)last_bytes,
           (unsigned long long)changed);
    print_phase("join", &before, &there);
    print_phase("calm", &there, &calm);
    print_phase("update", &calm, &updated);
    print_phase("leave", &updated, &after);
    bool clean = atomic_load(&lost) == 0 && wrong == 0;
    printf(",\"clean\":%s}\n", clean ? "true" : "false");
    return clean ? 0 : 1;
}

static bool take_argument(const char *name, const char *value)
{
    if (strcmp(name, "--members") == 0) {
        plan.members = (uint32_t)strtoul(value, NULL, 10);
    } else if (strcmp(name, "--threads") == 0) {
        plan.threads = (uint32_t)strtoul(value, NULL, 10);
    } else if (strcmp(name, "--within") == 0) {
        plan.within = strtod(value, NULL);
    } else if (strcmp(name, "--updates") == 0) {
        plan.updates = strtod(value, NULL);
    } else if (strcmp(name, "--seconds") == 0) {
        plan.seconds = strtod(value, NULL);
    } else if (strcmp(name, "--leave") == 0) {
        plan.leave = strtod(value, NULL);
    } else if (strcmp(name, "--serve") == 0) {
        plan.serve = value;
    } else {
        return false;
    }
    return true;
}

static void take_arguments(int argc, char **argv)
{
    bool good = argc >= 3 && argc % 2 == 1;

    for (int i = 3; good && i + 1 < argc; i += 2) {
        good = take_argument(argv[i], argv[i + 1]);
    }
    if (!good || plan.members < 2 || plan.members > MEMBERS_MAX || plan.threads == 0 ||
        plan.threads > BENCH_THREADS_MAX || plan.threads > plan.members ||
        !(plan.within >= 0) || !(plan.updates >= 0) || !(plan.seconds >= 0) ||
        !(plan.leave >= 0)) {
        fprintf(stderr,
                "usage: room YOMO webtransport|websocket [--members N] [--within S]\n"
                "       [--updates HZ] [--seconds S] [--leave S] [--threads N]\n"
                "       [--serve WORDS]\n");
        exit(2);
    }
    plan.transport = argv[2];
}

int main(int argc, char **argv)
{
    const struct yo_tls_client_options trust = {.insecure_no_verify = true};
    const struct yo_message ping = {.op = YO_OP_PING, .timestamp = 1};
    const struct yo_message leave = {.op = YO_OP_PEER_OFFLINE,
                                     .channel = yo_span_of(ROOM)};
    struct rlimit files = {plan.members + 1000, plan.members + 1000};

    take_arguments(argc, argv);
    files.rlim_cur = files.rlim_max = plan.members + 1000;
    struct rlimit have;
    struct yo_buf why;
    if (getrlimit(RLIMIT_NOFILE, &have) == 0 && have.rlim_cur < files.rlim_cur) {
        files.rlim_max =
            have.rlim_max > files.rlim_cur ? have.rlim_max : files.rlim_cur;
        if (setrlimit(RLIMIT_NOFILE, &files) != 0) {
            give_up("descriptors", "are not enough (ulimit -Hn)");
        }
    }
    struct bench_plan backend = {.workers = 1, .program = argv[1]};
    members = calloc(plan.members, sizeof(*members));
    if (!members || bench_server_start(&server, &backend, plan.serve) != 0) {
        give_up("backend", "cannot be started");
    }
    for (uint64_t end = bench_now() + PATIENCE_NS; !server.listening; sleep_ms(5)) {
        if (!bench_server_read(&server) || bench_now() > end) {
            give_up("backend", "does not listen");
        }
    }
    for (uint32_t i = 0; i < WATCHERS && i < plan.members; i++) {
        members[i].known = calloc(KNOWN, sizeof(struct known));
        check("watcher", members[i].known ? YOMO_OK : YOMO_ERR_NOMEM);
    }
    yo_buf_init(&why, &yo_mem_libc);
    check("tls", yo_tls_client_create(&tls, &yo_mem_libc, &trust, &why));
    yo_buf_finish(&why);
    ping_blob = spell(&ping);
    leave_blob = spell(&leave);
    int status = measure();
    bench_server_stop(&server);
    for (uint32_t t = 0; t < plan.threads; t++) {
        pthread_join(threads[t].id, NULL);
        free(threads[t].mine);
    }
    for (uint32_t i = 0; i < WATCHERS && i < plan.members; i++) {
        free(members[i].known);
    }
    yo_blob_unref(ping_blob);
    yo_blob_unref(leave_blob);
    yo_tls_client_unref(tls);
    free(members);
    return status;
}
