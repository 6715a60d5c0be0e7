/* SPDX-License-Identifier: MIT */
/* bench.c - the happy path: start a backend, let all clients connect and join, wait until
 * it is quiet, look at the backend, send for a while, wait for the last delivery, look at
 * it again, close everything, say what came out.
 *
 * Every wait has an end. When one is over, or a signal comes, what was started is ended
 * and the exit code tells. */
#include "bench.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "args.h"
#include "log.h"
#include "signals.h"

#define SECOND 1000000000u
#define TURN_MS 5
#define START_NS (20ull * SECOND)     /* for a backend to listen */
#define CONNECT_NS (30ull * SECOND)   /* for all clients, and as much again for each 1000 */
#define QUIET_NS (SECOND / 2)         /* nothing came for so long: all have come */
#define SETTLE_NS (3ull * SECOND)     /* for a backend to give memory of handshakes back */
#define LATE_NS (5ull * SECOND)       /* for the last deliveries */
#define CLOSE_NS (20ull * SECOND)

struct bench {
    struct bench_plan plan;
    struct bench_server server;
    struct bench_load *load;
    struct bench_result result;
    int signals;
    bool json;
};

/* --- what is asked for -------------------------------------------------------------- */

static int wrong(const char *flag, const char *sentence)
{
    fprintf(stderr, "yomo bench: --%s %s\n", flag, sentence);
    return EXIT_USAGE;
}

static bool number_between(const struct args *args, const char *name, uint64_t min,
                           uint64_t max, uint32_t *out)
{
    uint64_t value = args_number(args, name);

    *out = (uint32_t)value;
    return value >= min && value <= max;
}

static uint32_t processors(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);

    return count < 1 ? 1 : (uint32_t)count;
}

/* How many connections, and who is in which room. */
static int read_crowd(struct bench_plan *plan, const struct args *args)
{
    plan->idle = args_switch(args, "idle");
    if (!number_between(args, "rooms", 1, 1000000, &plan->rooms)) {
        return wrong("rooms", "takes a number from 1 to 1000000");
    }
    if (!number_between(args, "members", plan->idle ? 0 : 2, 1000000, &plan->members)) {
        return wrong("members", plan->idle ? "takes a number from 0 to 1000000"
                                           : "takes a number from 2 to 1000000");
    }
    if (!number_between(args, "connections", plan->idle ? 1 : 0, 1000000,
                        &plan->connections)) {
        return wrong("connections", "takes a number from 1 to 1000000");
    }
    if (!plan->idle && args_given(args, "connections")) {
        return wrong("connections", "goes with --idle: else they follow from --rooms and "
                                    "--members");
    }
    if (plan->idle) {
        plan->rooms = plan->members == 0
                          ? 0
                          : (plan->connections + plan->members - 1) / plan->members;
    } else if ((uint64_t)plan->rooms * plan->members > 1000000) {
        return wrong("rooms", "and --members make more than 1000000 connections");
    } else {
        plan->connections = plan->rooms * plan->members;
    }
    if (!number_between(args, "senders", 1, plan->idle ? 1000000 : plan->members,
                        &plan->senders)) {
        return wrong("senders", "takes a number from 1 to --members");
    }
    return EXIT_DONE;
}

static int read_messages(struct bench_plan *plan, const struct args *args)
{
    const char *name = args_text(args, "class"), *rate = args_text(args, "rate");
    uint64_t size = args_number(args, "size");
    char *end;

    plan->delivery = strcmp(name, "latest") == 0       ? YOMO_LATEST
                     : strcmp(name, "unreliable") == 0 ? YOMO_UNRELIABLE
                                                       : YOMO_RELIABLE;
    plan->rate = strtod(rate, &end);
    if (end == rate || *end != '\0' || !(plan->rate >= 0 && plan->rate <= 1e6)) {
        return wrong("rate", "takes messages a second, such as 20 or 0.5; 0 is as fast as "
                             "it goes");
    }
    if (size < 24 || size > 60000) {
        return wrong("size", "takes bytes from 24 to 60000");
    }
    plan->size = (size_t)size;
    plan->run_ns = args_ms(args, "seconds") * 1000000;
    return plan->run_ns > 0 ? EXIT_DONE : wrong("seconds", "takes a time above 0");
}

static int read_plan(struct bench_plan *plan, const struct args *args)
{
    int code = read_crowd(plan, args);

    if (code == EXIT_DONE) {
        code = read_messages(plan, args);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    if (!number_between(args, "workers", 1, 256, &plan->workers)) {
        return wrong("workers", "takes a number from 1 to 256");
    }
    if (!number_between(args, "threads", 0, BENCH_THREADS_MAX, &plan->threads)) {
        return wrong("threads", "takes a number from 0 to 64");
    }
    if (plan->threads == 0) { /* what the backend leaves */
        uint32_t all = processors();
        plan->threads = all > plan->workers ? all - plan->workers : 1;
        plan->threads = plan->threads > BENCH_THREADS_MAX ? BENCH_THREADS_MAX
                                                          : plan->threads;
    }
    if (plan->threads > plan->connections) {
        plan->threads = plan->connections;
    }
    return EXIT_DONE;
}

/* Each connection is a descriptor here and one in the backend, which inherits this. */
static int raise_limits(uint32_t connections)
{
    struct rlimit files;
    rlim_t wanted = (rlim_t)connections + 1000;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur >= wanted) {
        return EXIT_DONE;
    }
    if (files.rlim_max < wanted) {
        struct rlimit higher = {.rlim_cur = wanted, .rlim_max = wanted};
        if (setrlimit(RLIMIT_NOFILE, &higher) == 0) {
            return EXIT_DONE;
        }
        fprintf(stderr, "yomo bench: %u connections want %llu descriptors, and the limit "
                        "is %llu (ulimit -Hn)\n",
                connections, (unsigned long long)wanted,
                (unsigned long long)files.rlim_max);
        return EXIT_FAILED;
    }
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    return EXIT_DONE;
}

/* --- waiting ------------------------------------------------------------------------ */

/* A moment: signals and the backend's words are taken. EXIT_DONE to go on. */
static int moment(struct bench *bench)
{
    struct pollfd watch[] = {
        {.fd = bench->signals, .events = POLLIN},
        {.fd = bench->server.errors, .events = POLLIN},
    };

    if (bench->server.pid == 0) {
        watch[1].fd = -1;
    }
    poll(watch, 2, TURN_MS);
    if (signals_take() != 0) {
        fputs("yomo bench: interrupted\n", stderr);
        return EXIT_FAILED;
    }
    if (bench->server.pid > 0 && !bench_server_read(&bench->server)) {
        fputs("yomo bench: the backend has ended\n", stderr);
        return EXIT_FAILED;
    }
    return EXIT_DONE;
}

/* Wait until `done`, which may be NULL, for at most `patience`. EXIT_TIMEOUT: it did not
 * come to that. */
static int wait_for(struct bench *bench, bool (*done)(const struct bench *bench),
                    uint64_t patience)
{
    uint64_t end = bench_now() + patience;
    int code = EXIT_DONE;

    while (code == EXIT_DONE && !(done && done(bench))) {
        if (bench_now() >= end) {
            return EXIT_TIMEOUT;
        }
        code = moment(bench);
    }
    return code;
}

static int pass(struct bench *bench, uint64_t time)
{
    int code = wait_for(bench, NULL, time);

    return code == EXIT_TIMEOUT ? EXIT_DONE : code;
}

static bool is_listening(const struct bench *bench)
{
    return bench->server.listening;
}

static bool all_there(const struct bench *bench)
{
    return bench_load_ready(bench->load) + bench_load_failed(bench->load) >=
           bench->plan.connections;
}

static bool is_quiet(const struct bench *bench)
{
    return bench_now() - bench_load_active(bench->load) > QUIET_NS;
}

/* What may be lost is not waited for long. */
static bool all_came(const struct bench *bench)
{
    return bench_load_awaited(bench->load) == 0 ||
           (bench->plan.delivery != YOMO_RELIABLE && is_quiet(bench));
}

static bool all_closed(const struct bench *bench)
{
    return bench_load_closed(bench->load);
}

/* --- the phases --------------------------------------------------------------------- */

static int start_server(struct bench *bench, const struct args *args)
{
    const char *url = args_text(args, "url");
    yomo_options *options = bench->plan.options;
    char own[64];
    int32_t rv;

    if (!url) {
        if (bench_server_start(&bench->server, &bench->plan, args_text(args, "serve")) != 0) {
            fprintf(stderr, "yomo bench: %s\n", strerror(errno));
            return EXIT_FAILED;
        }
        int code = wait_for(bench, is_listening, START_NS);
        if (code != EXIT_DONE) {
            return code;
        }
        snprintf(own, sizeof(own), "https://127.0.0.1:%u", bench->server.port);
        url = own;
        yomo_options_set(options, "cert-hash", bench->server.certificate);
    }
    rv = yomo_options_set(options, "url", url);
    if (rv != YOMO_OK) {
        fprintf(stderr, "yomo bench: %s: %s\n", url, yomo_strerror(rv));
        return exit_code_of(rv);
    }
    return EXIT_DONE;
}

static int connect_all(struct bench *bench)
{
    struct bench_result *result = &bench->result;
    uint64_t patience = CONNECT_NS + CONNECT_NS * bench->plan.connections / 1000;
    uint64_t began = bench_now();
    int code;

    bench_server_sample(&bench->server, &result->born);
    bench->load = bench_load_start(&bench->plan);
    if (!bench->load) {
        fputs("yomo bench: out of memory\n", stderr);
        return EXIT_FAILED;
    }
    code = wait_for(bench, all_there, patience);
    result->connect_seconds = (double)(bench_now() - began) / SECOND;
    result->connected = bench_load_ready(bench->load);
    if (code == EXIT_DONE) {
        code = wait_for(bench, is_quiet, patience);
    }
    if (code == EXIT_TIMEOUT) {
        fprintf(stderr, "yomo bench: %u of %u clients were there in time\n",
                result->connected, bench->plan.connections);
    }
    return code == EXIT_DONE && bench->plan.idle ? pass(bench, SETTLE_NS) : code;
}

/* CPU seconds of this program, and of its busiest thread, into `sums` with `sign`. */
static void own_cpu(struct bench *bench, double before[BENCH_THREADS_MAX], bool first)
{
    double now[BENCH_THREADS_MAX] = {0};

    bench_load_cpu(bench->load, now);
    for (uint32_t i = 0; i < bench->plan.threads && !first; i++) {
        double spent = now[i] - before[i];
        bench->result.own_cpu += spent;
        if (spent > bench->result.busiest) {
            bench->result.busiest = spent;
        }
    }
    memcpy(before, now, sizeof(now));
}

static int measure(struct bench *bench)
{
    struct bench_result *result = &bench->result;
    double cpu[BENCH_THREADS_MAX];
    uint64_t began;
    int code;

    bench_server_sample(&bench->server, &result->before);
    own_cpu(bench, cpu, true);
    began = bench_now();
    if (!bench->plan.idle) {
        bench_load_send(bench->load);
    }
    code = pass(bench, bench->plan.run_ns);
    result->sending_seconds = (double)(bench_now() - began) / SECOND;
    if (!bench->plan.idle && code == EXIT_DONE) {
        bench_load_quiet(bench->load);
        code = pass(bench, SECOND / 10); /* the last ones are sent by now */
        code = code == EXIT_DONE ? wait_for(bench, all_came, LATE_NS) : code;
        code = code == EXIT_TIMEOUT ? EXIT_DONE : code;
    }
    own_cpu(bench, cpu, false);
    bench_server_sample(&bench->server, &result->after);
    return code;
}

/* The backend first: nobody is then told of all who leave. */
static int close_all(struct bench *bench)
{
    int code = EXIT_DONE;

    if (bench->load) {
        bench_load_close(bench->load);
    }
    bench_server_stop(&bench->server);
    if (!bench->load) {
        return EXIT_DONE;
    }
    code = wait_for(bench, all_closed, CLOSE_NS);
    if (code == EXIT_DONE) {
        bench_load_sum(bench->load, &bench->result.sums);
        bench_load_free(bench->load);
    } else { /* its threads still run; the process ends soon */
        fputs("yomo bench: not all clients closed in time\n", stderr);
    }
    return code;
}

static void report(const struct bench *bench)
{
    if (bench->json) {
        bench_report_json(stdout, &bench->plan, &bench->result);
    } else {
        bench_report_table(stdout, &bench->plan, &bench->result);
    }
    fflush(stdout);
}

static int run(struct args *args)
{
    static struct bench bench; /* its numbers are larger than a stack should hold */
    int code, closed;

    bench.plan.options = args->options;
    bench.json = args_switch(args, "json");
    bench.server.errors = -1;
    bench.signals = signals_catch();
    log_begin(args);
    code = read_plan(&bench.plan, args);
    if (code == EXIT_DONE) {
        code = raise_limits(bench.plan.connections);
    }
    if (code == EXIT_DONE &&
        strcmp(yomo_options_get(args->options, "transport"), "auto") == 0) {
        yomo_options_set(args->options, "transport", "webtransport");
    }
    if (code == EXIT_DONE && bench.plan.idle) {
        yomo_options_set(args->options, "keep-alive", "25s");
        yomo_options_set(args->options, "silence-timeout", "60s");
        yomo_options_set(args->options, "idle-timeout", "90s");
    }
    if (code != EXIT_DONE) {
        return code;
    }
    code = start_server(&bench, args);
    if (code == EXIT_DONE) {
        code = connect_all(&bench);
    }
    if (code == EXIT_DONE) {
        code = measure(&bench);
    }
    closed = close_all(&bench);
    if (code == EXIT_DONE && closed == EXIT_DONE) {
        report(&bench);
        return bench_report_clean(&bench.plan, &bench.result) ? EXIT_DONE : EXIT_FAILED;
    }
    return code != EXIT_DONE ? code : closed;
}

static const struct flag flags[] = {
    {"url", YOMO_TYPE_TEXT, NULL, NULL, "URL",
     "The backend to load. When not given, one is started on loopback, measured, and ended "
     "with this program."},
    {"rooms", YOMO_TYPE_NUMBER, "1", NULL, NULL, "How many rooms."},
    {"members", YOMO_TYPE_NUMBER, "10", NULL, NULL,
     "Members of each room. With --idle, 0 is: in no room."},
    {"senders", YOMO_TYPE_NUMBER, "1", NULL, NULL, "Members of each room that send."},
    {"rate", YOMO_TYPE_TEXT, "20", NULL, "HZ",
     "Messages a second of each sender. 0: as fast as it goes."},
    {"size", YOMO_TYPE_NUMBER, "100", NULL, NULL, "Bytes of data in each message."},
    {"class", YOMO_TYPE_CHOICE, "unreliable", "reliable|unreliable|latest", NULL,
     "The delivery class."},
    {"seconds", YOMO_TYPE_DURATION, "5", NULL, NULL,
     "How long to send, or to be idle, once all are there."},
    {"idle", YOMO_TYPE_SWITCH, "false", NULL, NULL,
     "Nobody sends: what connections cost that stand."},
    {"connections", YOMO_TYPE_NUMBER, "1000", NULL, NULL, "With --idle: how many."},
    {"workers", YOMO_TYPE_NUMBER, "1", NULL, NULL, "Workers of the backend it starts."},
    {"serve", YOMO_TYPE_TEXT, NULL, NULL, "FLAGS",
     "More flags for the backend it starts, as one text: --serve='--echo --log info'."},
    {"threads", YOMO_TYPE_NUMBER, "0", NULL, NULL,
     "Threads of its own. 0: one for each processor that the backend leaves."},
    {"json", YOMO_TYPE_SWITCH, "false", NULL, NULL, "One JSON object instead of a table."},
    LOG_FLAG("error"),
    {0},
};

const struct command bench_command = {
    .name = "bench",
    .arguments = "",
    .summary = "Load a backend and measure it.",
    .text = "Starts a backend in a process of its own, connects clients over --transport "
            "(webtransport when not given), and lets some of them send. Each message is "
            "checked: how many came, in which order, with which bytes.\n"
            "\n"
            "It prints deliveries a second, the time from sending to receiving, and what "
            "the backend needed: CPU seconds for a million deliveries and for a "
            "connection, resident bytes for a connection. With --url those of the backend "
            "are not known. docs/benchmarks.md says how to read them.\n"
            "\n"
            "Ends with 1 when something happened that the delivery class does not allow, "
            "or a connection was lost.",
    .scope = YOMO_SCOPE_CLIENT,
    .flags = flags,
    .run = run,
};
