/* SPDX-License-Identifier: MIT */
/* main.c - the conductor of a run: all connect, join, stand still or send at one rate
 * after another; between them the server's processes are looked at. What came out goes
 * to stdout as JSON.
 *
 *     load DIALECT --port N --ca FILE [--webtransport] [--rooms N] [--members N]
 *          [--senders N] [--size N] [--threads N] [--pid N]... [--seconds S] [--probe
 * S]
 *          [--rates R,R,... [--also R] | --search R --shares S,S,...] [--storm] [--idle
 * S]
 *          [--opening N] [--unordered] [--announce] [--fresh] [--within S]
 *
 * --rates: the highest of these (messages a second of each sender) that candidate and
 * generator keep up with is measured for --seconds, and then --also. --search: that
 * limit is looked for from R on, and then each share of it measured. The exit code is 0
 * when JSON was printed. */
#include "load.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

/* When a rate is kept up with. */
#define KEPT_SHARE \
    0.99              /* of the deliveries came, 99 % of them soon enough (--within), */
#define KEPT_OWN 0.97 /* and the generator's busiest thread had time left */

#define QUIET_NS 300000000u  /* nothing comes for so long: nothing will */
#define DRAIN_NS 5000000000u /* and for so long it is waited for at most */

struct stage {
    unsigned index;
    double rate, seconds;
    struct sums sums;
    uint64_t in_time;        /* deliveries while it was sent */
    double drain;            /* seconds until the last one was there */
    double own_busiest, own; /* CPU seconds a second: of our busiest thread, of all */
    double server_busy;      /* the server's, while it was sent */
    struct sight before, after;
    bool kept;
    bool own_limit; /* it is not, for want of time of the generator's */
};

static struct fleet *fleet;
static struct plan plan = {
    .threads = 1,
    .members = 10,
    .senders = 1,
    .rooms = 1,
    .opening = 64,
    .size = 100,
    .seconds = 2,
    .probe = 1,
    .within = 0.25,
};
static unsigned stage_count;
static const char *limit = "none"; /* of the rates: whose it was */
static bool comma;

/* --- JSON ------------------------------------------------------------------------- */

static void name(const char *key)
{
    printf("%s\"%s\":", comma ? "," : "", key);
    comma = true;
}

static void put_number(const char *key, double value)
{
    name(key);
    printf("%.9g", value);
}

static void put_bool(const char *key, bool value)
{
    name(key);
    fputs(value ? "true" : "false", stdout);
}

static void put_string(const char *key, const char *value)
{
    name(key);
    putchar('"');
    for (; *value; value++) {
        if (*value == '"' || *value == '\\') {
            putchar('\\');
        }
        putchar((unsigned char)*value < 32 ? ' ' : *value);
    }
    putchar('"');
}

static void begin(const char *key)
{
    if (key) {
        name(key);
    } else if (comma) {
        putchar(',');
    }
    putchar('{');
    comma = false;
}

static void end(void)
{
    putchar('}');
    comma = true;
}

static void put_times(const char *key, const struct bench_histogram *histogram)
{
    begin(key);
    put_number("count", (double)histogram->count);
    put_number("p50", (double)bench_histogram_at(histogram, 0.5) / 1e3);
    put_number("p90", (double)bench_histogram_at(histogram, 0.9) / 1e3);
    put_number("p99", (double)bench_histogram_at(histogram, 0.99) / 1e3);
    put_number("p99_9", (double)bench_histogram_at(histogram, 0.999) / 1e3);
    put_number("max", (double)histogram->max / 1e3);
    end();
}

/* CPU time between two looks. The split of user and system is the kernel's coarser one.
 */
static void put_cpu(const struct sight *from, const struct sight *to)
{
    double cpu = to->cpu - from->cpu, user = to->user - from->user;
    double kernel = to->system - from->system, both = user + kernel;

    put_number("cpu_seconds", cpu);
    put_number("user_seconds", both > 0 ? cpu * user / both : cpu);
    put_number("system_seconds", both > 0 ? cpu * kernel / both : 0);
}

/* --- Waiting ---------------------------------------------------------------------- */

static void nap(double seconds)
{
    struct timespec time = {.tv_sec = (time_t)seconds,
                            .tv_nsec =
                                (long)((seconds - (double)(time_t)seconds) * 1e9)};

    while (nanosleep(&time, &time) != 0 && errno == EINTR) {
    }
}

static double since(uint64_t then)
{
    return (double)(bench_now() - then) / 1e9;
}

/* Until as many as there are have come that far, or are broken. */
static double await(enum member_state least, double patience)
{
    uint64_t began = bench_now();

    while (fleet_count(fleet, least) + fleet_broken(fleet) < plan.connections &&
           since(began) < patience) {
        nap(0.002);
    }
    return since(began);
}

static void settle(double patience)
{
    uint64_t began = bench_now();

    while (bench_now() - fleet_active(fleet) < QUIET_NS && since(began) < patience) {
        nap(0.02);
    }
}

/* Those that broke in an overload come back before the next one. */
static void revive(void)
{
    if (fleet_broken(fleet) > 0) {
        fleet_open(fleet);
        await(plan.storm ? MEMBER_CONNECTED : MEMBER_JOINED, 20);
        settle(5);
    }
}

/* --- Stages ----------------------------------------------------------------------- */

static void own_cpu(double *busiest, double *all, double *marks, bool start)
{
    double now[THREADS_MAX];

    fleet_cpu(fleet, now);
    *busiest = *all = 0;
    for (uint32_t i = 0; i < plan.threads; i++) {
        double spent = start ? 0 : now[i] - marks[i];
        *busiest = spent > *busiest ? spent : *busiest;
        *all += spent;
        if (start) {
            marks[i] = now[i];
        }
    }
}

static double drain(unsigned index)
{
    uint64_t began = bench_now();
    uint64_t quiet =
        plan.webtransport ? QUIET_NS : 4 * QUIET_NS; /* what is reliable comes */

    while (fleet_received(fleet, index) < fleet_expected(fleet, index) &&
           bench_now() - began < DRAIN_NS) {
        if (bench_now() - began > quiet && bench_now() - fleet_active(fleet) > quiet) {
            break;
        }
        nap(0.005);
    }
    return since(began);
}

static struct stage run_stage(double rate, double seconds)
{
    struct stage stage = {
        .index = stage_count++ % STAGES_MAX, .rate = rate, .seconds = seconds};
    double marks[THREADS_MAX];
    struct sight full;

    watch_look(&plan, &stage.before);
    own_cpu(&stage.own_busiest, &stage.own, marks, true);
    fleet_send(fleet, stage.index, rate);
    nap(seconds);
    stage.in_time = fleet_received(fleet, stage.index);
    own_cpu(&stage.own_busiest, &stage.own, marks, false);
    watch_look(&plan, &full);
    fleet_quiet(fleet);
    stage.drain = drain(stage.index);
    watch_look(&plan, &stage.after);

    double wall = (double)(full.at - stage.before.at) / 1e9;
    stage.own_busiest /= wall;
    stage.own /= wall;
    stage.server_busy = (full.cpu - stage.before.cpu) / wall;
    fleet_sum(fleet, stage.index, &stage.sums);
    stage.kept =
        stage.sums.refused == 0 && fleet_broken(fleet) == 0 &&
        (double)stage.sums.received >= KEPT_SHARE * (double)stage.sums.expected &&
        (double)bench_histogram_at(&stage.sums.latency, 0.99) < plan.within * 1e9 &&
        stage.own_busiest < KEPT_OWN;
    stage.own_limit = stage.own_busiest >= KEPT_OWN;
    if (!stage.kept) {
        settle(5); /* what is still in queues */
    }
    revive();
    return stage;
}

static void put_stage(const struct stage *stage, double share)
{
    const struct sums *sums = &stage->sums;

    begin(NULL);
    put_number("rate", stage->rate);
    if (share > 0) {
        put_number("share", share);
    }
    put_bool("kept", stage->kept);
    put_number("seconds", stage->seconds);
    put_number("sent", (double)sums->sent);
    put_number("refused", (double)sums->refused);
    put_number("expected", (double)sums->expected);
    put_number("received", (double)sums->received);
    put_number("per_second", (double)stage->in_time / stage->seconds);
    put_number("duplicate", (double)sums->duplicate);
    put_number("disordered", (double)sums->disordered);
    put_number("damaged", (double)sums->damaged);
    put_number("foreign", (double)sums->foreign);
    put_number("drain_seconds", stage->drain);
    put_times("latency_us", &sums->latency);
    put_times("sending_late_us", &sums->late);
    begin("server");
    put_cpu(&stage->before, &stage->after);
    put_number("busy", stage->server_busy);
    put_number("rss", (double)stage->after.rss);
    end();
    begin("generator");
    put_number("busiest_thread", stage->own_busiest);
    put_number("all_threads", stage->own);
    end();
    end();
}

static bool keeps(double rate)
{
    struct stage probe = run_stage(rate, plan.probe);

    if (!probe.kept) {
        limit = probe.own_limit ? "generator" : "server";
    }
    return probe.kept;
}

/* The stages of a ladder of rates: up as long as it keeps up, then the highest such. */
static void climb(void)
{
    double best = 0;

    for (size_t i = 0; i < plan.rate_count; i++) {
        if (plan.rate_count > 1) {
            if (!keeps(plan.rates[i]) && i > 0) {
                break;
            }
        }
        best = plan.rates[i];
    }
    struct stage stage = run_stage(best, plan.seconds);
    put_stage(&stage, 0);
    if (plan.also > 0) { /* a rate that all candidates have in common */
        stage = run_stage(plan.also, plan.seconds);
        put_stage(&stage, 0);
    }
}

/* The capacity, by doubling and three halvings; then the shares of it. */
static void search(void)
{
    double low = 0, high = plan.rates[0];
    unsigned steps = 0;

    while (steps++ < 16 && keeps(high)) {
        low = high;
        high *= 2;
    }
    for (int i = 0; i < 3 && low > 0; i++) {
        double middle = (low + high) / 2;
        if (keeps(middle)) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low = low > 0 ? low : high / 2;
    for (size_t i = 0; i < plan.share_count; i++) {
        struct stage stage = run_stage(low * plan.shares[i], plan.seconds);
        put_stage(&stage, plan.shares[i]);
    }
}

static void run_stages(void)
{
    name("stages");
    putchar('[');
    comma = false;
    if (plan.share_count > 0) {
        search();
    } else if (plan.rate_count > 0) {
        climb();
    }
    putchar(']');
    comma = true;
    put_string("limit", limit);
}

/* --- Connecting, joining, standing still ------------------------------------------ */

static void connect_all(struct sight *born, struct sight *there)
{
    struct bench_histogram handshakes;
    double seconds;

    watch_look(&plan, born);
    uint64_t began = bench_now();
    fleet_open(fleet);
    /* Where they join as they connect, this is until the last has joined. */
    await(plan.storm ? MEMBER_CONNECTED : MEMBER_JOINED, 30 + plan.connections / 100.0);
    seconds = since(began);
    watch_look(&plan, there);
    if (!plan.storm) {
        revive(); /* a machine that is busy may have kept some from answering in time */
    }
    fleet_handshakes(fleet, &handshakes);
    begin("connect");
    put_number("wanted", plan.connections);
    put_number("connected", fleet_count(fleet, MEMBER_CONNECTED));
    put_number("joined", fleet_count(fleet, MEMBER_JOINED));
    put_number("broken", fleet_broken(fleet));
    put_string("why", fleet_why(fleet));
    put_number("seconds", seconds);
    put_times("handshake_us", &handshakes);
    put_cpu(born, there);
    end();
}

static void join_all(void)
{
    struct sight before, after;
    double seconds;

    settle(5);
    watch_look(&plan, &before);
    uint64_t began = bench_now();
    fleet_join(fleet);
    await(MEMBER_JOINED, 60);
    seconds = (double)(fleet_active(fleet) - began) / 1e9;
    settle(20); /* and all that follows from joining */
    watch_look(&plan, &after);
    begin("joins");
    put_number("joined", fleet_count(fleet, MEMBER_JOINED));
    put_number("seconds", seconds);
    put_number("settled_seconds", (double)(fleet_active(fleet) - began) / 1e9);
    put_cpu(&before, &after);
    end();
}

static void stand_still(const struct sight *born)
{
    struct sight before, after;

    nap(3); /* what was needed to connect is given back */
    watch_look(&plan, &before);
    nap(plan.idle);
    watch_look(&plan, &after);
    begin("idle");
    put_number("seconds", plan.idle);
    put_number("connections", fleet_count(fleet, MEMBER_CONNECTED));
    put_number("rss_before", (double)born->rss);
    put_number("rss", (double)after.rss);
    put_number("kernel_before", (double)born->kernel);
    put_number("kernel", (double)after.kernel);
    put_cpu(&before, &after);
    end();
}

/* --- Arguments -------------------------------------------------------------------- */

static const struct dialect *const dialects[] = {&dialect_presencejs, &dialect_raw,
                                                 &dialect_centrifugo, &dialect_socketio,
                                                 &dialect_nats,       &dialect_mqtt};

static void usage(const char *what)
{
    fprintf(stderr, "load: %s; see the head of bench/load/main.c\n", what);
    exit(2);
}

static size_t numbers(char *text, double *out, size_t most)
{
    size_t count = 0;

    for (char *word = strtok(text, ","); word && count < most;
         word = strtok(NULL, ",")) {
        out[count++] = strtod(word, NULL);
    }
    return count;
}

enum {
    PORT = 256,
    CA,
    WEBTRANSPORT,
    ROOMS,
    MEMBERS,
    SENDERS,
    SIZE,
    THREADS,
    PID,
    SECONDS,
    PROBE,
    RATES,
    SEARCH,
    SHARES,
    STORM,
    IDLE,
    OPENING,
    UNORDERED,
    ANNOUNCE,
    FRESH,
    WITHIN,
    ALSO
};

static const struct option options[] = {
    {"port", 1, NULL, PORT},
    {"ca", 1, NULL, CA},
    {"webtransport", 0, NULL, WEBTRANSPORT},
    {"rooms", 1, NULL, ROOMS},
    {"members", 1, NULL, MEMBERS},
    {"senders", 1, NULL, SENDERS},
    {"size", 1, NULL, SIZE},
    {"threads", 1, NULL, THREADS},
    {"pid", 1, NULL, PID},
    {"seconds", 1, NULL, SECONDS},
    {"probe", 1, NULL, PROBE},
    {"rates", 1, NULL, RATES},
    {"search", 1, NULL, SEARCH},
    {"shares", 1, NULL, SHARES},
    {"storm", 0, NULL, STORM},
    {"idle", 1, NULL, IDLE},
    {"opening", 1, NULL, OPENING},
    {"unordered", 0, NULL, UNORDERED},
    {"announce", 0, NULL, ANNOUNCE},
    {"fresh", 0, NULL, FRESH},
    {"within", 1, NULL, WITHIN},
    {"also", 1, NULL, ALSO},
    {NULL, 0, NULL, 0},
};

static uint32_t count_of(const char *text)
{
    unsigned long value = strtoul(text, NULL, 10);

    if (value > 1000000) {
        usage("too many");
    }
    return (uint32_t)value;
}

static void take_option(int option)
{
    switch (option) {
    case PORT:
        plan.port = (uint16_t)count_of(optarg);
        break;
    case CA:
        plan.ca = optarg;
        break;
    case WEBTRANSPORT:
        plan.webtransport = true;
        break;
    case ROOMS:
        plan.rooms = count_of(optarg);
        break;
    case MEMBERS:
        plan.members = count_of(optarg);
        break;
    case SENDERS:
        plan.senders = count_of(optarg);
        break;
    case SIZE:
        plan.size = count_of(optarg);
        break;
    case THREADS:
        plan.threads = count_of(optarg);
        break;
    case PID:
        if (plan.pid_count < PIDS_MAX) {
            plan.pids[plan.pid_count++] = (pid_t)strtol(optarg, NULL, 10);
        }
        break;
    case SECONDS:
        plan.seconds = strtod(optarg, NULL);
        break;
    case PROBE:
        plan.probe = strtod(optarg, NULL);
        break;
    case RATES:
    case SEARCH:
        plan.rate_count = numbers(optarg, plan.rates, STAGES_MAX / 2);
        break;
    case SHARES:
        plan.share_count = numbers(optarg, plan.shares, 8);
        break;
    case STORM:
        plan.storm = true;
        break;
    case IDLE:
        plan.idle = strtod(optarg, NULL);
        break;
    case OPENING:
        plan.opening = count_of(optarg);
        break;
    case UNORDERED:
        plan.unordered = true;
        break;
    case ANNOUNCE:
        plan.announce = true;
        break;
    case FRESH:
        plan.fresh = true;
        break;
    case WITHIN:
        plan.within = strtod(optarg, NULL);
        break;
    case ALSO:
        plan.also = strtod(optarg, NULL);
        break;
    default:
        usage("unknown argument");
    }
}

static void take_arguments(int argc, char **argv)
{
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        take_option(option);
    }
    for (size_t i = 0; optind < argc && i < sizeof(dialects) / sizeof(*dialects); i++) {
        if (strcmp(argv[optind], dialects[i]->name) == 0) {
            plan.dialect = dialects[i];
        }
    }
    plan.connections = plan.rooms * plan.members;
    if (!plan.dialect || !plan.port || !plan.ca || plan.connections == 0 ||
        plan.connections > 1000000 || plan.size < PAYLOAD_HEAD + 1 ||
        plan.size > PAYLOAD_MAX || plan.threads == 0 || plan.threads > THREADS_MAX ||
        plan.senders > plan.members || (plan.share_count > 0 && plan.rate_count != 1) ||
        plan.opening == 0) {
        usage("a dialect, a port, a CA and sensible numbers are wanted");
    }
    for (size_t i = 0; i < plan.rate_count; i++) {
        if (!(plan.rates[i] > 0)) {
            usage("a rate is above 0");
        }
    }
}

int main(int argc, char **argv)
{
    struct sight born, there;
    struct rlimit files;

    prctl(PR_SET_PDEATHSIG, SIGTERM); /* it ends with who started it */
    signal(SIGPIPE, SIG_IGN);
    take_arguments(argc, argv);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    fleet = fleet_start(&plan);
    putchar('{');
    put_string("dialect", plan.dialect->name);
    put_string("transport", plan.webtransport ? "webtransport" : "websocket");
    put_number("rooms", plan.rooms);
    put_number("members", plan.members);
    put_number("senders", plan.senders);
    put_number("size", (double)plan.size);
    put_number("threads", plan.threads);
    connect_all(&born, &there);
    if (plan.storm && plan.idle <= 0 && !plan.fresh) {
        join_all();
    }
    settle(15);
    if (plan.idle > 0) {
        stand_still(&born);
    }
    run_stages();
    put_number("alive", watch_alive(&plan));
    puts("}");
    fflush(stdout);
    fleet_stop(fleet);
    return 0;
}
