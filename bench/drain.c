/* SPDX-License-Identifier: MIT */
/* drain - a backend that ends, with a thousand clients that say RELIABLE messages:
 * drain YOMO TRANSPORT restart|move [--clients N] [--room N] [--rate N] [--threads N]
 * [--serve WORDS]. Prints one JSON object.
 *
 * The clients of crowd.h. Then the backend gets SIGTERM. With `restart` it is started
 * again at the same port as soon as it has ended, with its stored history, and all must
 * have each message once. With `move` it sends its clients to another backend that
 * stands already; that one knows nothing of what was said before, and tells so with a
 * gap. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crowd.h"

#define SETTLE_MS 1000
#define PATIENCE_NS 60000000000u
#define QUIET_MS 500 /* nothing came for so long: nothing more will */

static struct bench_server other; /* of `move` */
static bool restarts;
static char folder[] = "/tmp/yomo-drain-XXXXXX", words[1024];

static double ms_since(uint64_t began)
{
    return (double)(bench_now() - began) / 1e6;
}

/* Everybody has its last message, or it is known that it will not come. */
static void wait_until_quiet(void)
{
    uint64_t before = crowd_on_the_way(), since = bench_now();

    while (crowd_on_the_way() > 0 && bench_now() - since < QUIET_MS * 1000000ull) {
        crowd_sleep(10);
        if (crowd_on_the_way() != before) {
            before = crowd_on_the_way();
            since = bench_now();
        }
    }
    crowd_sleep(200); /* should any come twice, it has come by now */
}

static bool all_back(void)
{
    return atomic_load(&crowd.back) == crowd.clients &&
           atomic_load(&crowd.witnesses_back) == crowd.rooms;
}

/* Until the backend has ended, and where it does not come back, all have left it. */
static double watch_the_end(const struct bench_plan *backend, uint64_t began)
{
    double ended = 0;

    while (ended == 0 || !all_back()) {
        if (bench_now() - began > PATIENCE_NS) {
            crowd_give_up("coming back", "did not happen");
        }
        if (ended == 0 && bench_server_ended(&crowd.server)) {
            ended = ms_since(began);
            if (restarts && bench_server_restart(&crowd.server, backend, words) != 0) {
                crowd_give_up("backend", "cannot be started again");
            }
        }
        if (ended != 0 && restarts && !bench_server_read(&crowd.server)) {
            crowd_give_up("backend", "has ended");
        }
        if (!restarts && !bench_server_read(&other)) {
            crowd_give_up("the other backend", "has ended");
        }
        crowd_sleep(1);
    }
    return ended;
}

/* The most that came back within a tenth of a second. */
static uint32_t densest(const uint64_t *sorted, uint32_t count)
{
    uint32_t most = 0;

    for (uint32_t first = 0, last = 0; last < count; last++) {
        while (sorted[last] - sorted[first] > 100000000u) {
            first++;
        }
        most = last - first + 1 > most ? last - first + 1 : most;
    }
    return most;
}

static int measure(const struct bench_plan *backend)
{
    uint64_t *back = calloc(crowd.member_count, sizeof(uint64_t));
    uint64_t *away = calloc(crowd.member_count, sizeof(uint64_t));
    uint32_t told = 0, gaps = 0;
    uint64_t unsure = 0;

    if (!back || !away) {
        crowd_give_up("memory", "is out");
    }
    crowd_start();
    crowd_tell(WITNESSES);
    crowd_wait(&crowd.there, crowd.rooms, "the witnesses' joining");
    crowd_tell(OTHERS);
    crowd_wait(&crowd.there, crowd.member_count, "joining");
    crowd_tell(SEND);
    crowd_sleep(SETTLE_MS);

    uint64_t began = bench_now();
    atomic_store(&crowd.broken_at, began);
    bench_server_signal(&crowd.server);
    double ended = watch_the_end(backend, began);
    crowd_sleep(SETTLE_MS / 2);
    crowd_tell(QUIET);
    crowd_sleep(50);
    wait_until_quiet();
    crowd_tell(CLOSE);
    while (atomic_load(&crowd.over) < crowd.threads) {
        crowd_sleep(1);
    }

    for (uint32_t i = 0; i < crowd.member_count; i++) {
        const struct member *member = &crowd.members[i];
        back[i] = member->back_at - began;
        away[i] = member->back_at - member->noticed_at;
        told += member->error == YOMO_ERR_DRAINING;
        gaps += member->gaps > 0;
        unsure += member->unsure;
    }
    printf("{\"transport\":\"%s\",\"kind\":\"%s\",\"clients\":%u,\"room\":%u,"
           "\"backend_ended_ms\":%.0f,\"told_to_go\":%u,\"waits\":%llu,"
           "\"with_gaps\":%u",
           crowd.transport, restarts ? "restart" : "move", crowd.member_count,
           crowd.room + 1, ended, told,
           (unsigned long long)atomic_load(&crowd.attempts), gaps);
    crowd_print_times("back_ms", back, crowd.member_count);
    crowd_print_times("away_ms", away, crowd.member_count);
    printf(",\"most_in_100_ms\":%u", densest(back, crowd.member_count));
    /* Whoever is told leaves with nothing in doubt; a store forgets nothing. */
    bool clean = crowd_print_messages() && told == crowd.member_count && unsure == 0 &&
                 (restarts ? gaps == 0 : gaps == crowd.member_count);
    printf(",\"clean\":%s}\n", clean ? "true" : "false");
    free(back);
    free(away);
    return clean ? 0 : 1;
}

static void take_arguments(int argc, char **argv)
{
    bool good = argc >= 4 && argc % 2 == 0 &&
                (strcmp(argv[3], "restart") == 0 || strcmp(argv[3], "move") == 0);

    for (int i = 4; good && i + 1 < argc; i += 2) {
        good = crowd_argument(argv[i], argv[i + 1]);
    }
    if (!good || !crowd_arguments_are_good()) {
        fprintf(stderr,
                "usage: drain YOMO webtransport|websocket restart|move [--clients N]\n"
                "       [--room N] [--rate N] [--threads N] [--serve WORDS]\n"
                "Clients are a multiple of the room's size.\n");
        exit(2);
    }
    crowd.transport = argv[2];
    restarts = strcmp(argv[3], "restart") == 0;
}

int main(int argc, char **argv)
{
    char certificates[140];

    crowd.name = "drain";
    take_arguments(argc, argv);
    struct bench_plan backend = {.workers = 1, .program = argv[1]};
    const char *more = crowd.serve ? crowd.serve : "";
    if (!mkdtemp(folder)) {
        crowd_give_up(folder, "cannot be made");
    }
    if (restarts) {
        snprintf(words, sizeof(words),
                 "--drain-timeout 8s --history-messages 100k --history-store "
                 "sqlite:%s/history.db %s",
                 folder, more);
    } else if (bench_server_start(&other, &backend, more) != 0) {
        crowd_give_up("the other backend", "cannot be started");
    } else {
        crowd_listens(&other);
        snprintf(words, sizeof(words),
                 "--drain-timeout 8s --drain-url https://127.0.0.1:%u %s", other.port,
                 more);
    }
    if (bench_server_start(&crowd.server, &backend, words) != 0) {
        crowd_give_up("backend", "cannot be started");
    }
    crowd_listens(&crowd.server);
    snprintf(certificates, sizeof(certificates), "%s%s%s", crowd.server.certificate,
             restarts ? "" : ",", restarts ? "" : other.certificate);
    crowd_prepare(crowd.server.port, certificates);
    int status = measure(&backend);
    bench_server_stop(&crowd.server);
    if (!restarts) {
        bench_server_stop(&other);
    }
    crowd_finish();
    static const char *const files[] = {"history.db", "history.db-wal",
                                        "history.db-shm", "history.db.lock"};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char path[64];
        snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
        unlink(path);
    }
    rmdir(folder);
    return status;
}
