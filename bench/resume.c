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
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crowd.h"

#define SETTLE_MS 1000 /* before the break: what everyday traffic costs */
#define FDS_MAX 65536

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
            peer.sin_family != AF_INET || ntohs(peer.sin_port) != crowd.server.port ||
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
        crowd_give_up("socket", "cannot be made");
    }
    return ntohs(at.sin_port);
}

static int measure(void)
{
    struct bench_sample calm, before, after, end;
    double cpu_before[BENCH_THREADS_MAX], cpu_after[BENCH_THREADS_MAX], own,
        busiest = 0;
    uint64_t *noticed = calloc(crowd.clients, sizeof(uint64_t));
    uint64_t *took = calloc(crowd.clients, sizeof(uint64_t));
    uint64_t *since = calloc(crowd.clients, sizeof(uint64_t));
    uint32_t resumed = 0, upset = 0;
    int hole = black_hole();

    if (!noticed || !took || !since) {
        crowd_give_up("memory", "is out");
    }
    crowd_start();
    crowd_tell(WITNESSES);
    crowd_wait(&crowd.there, crowd.rooms, "the witnesses' joining");
    uint32_t kept = each_socket(0);
    crowd_tell(OTHERS);
    crowd_wait(&crowd.there, crowd.member_count, "joining");
    crowd_tell(SEND);
    crowd_sleep(SETTLE_MS);
    bench_server_sample(&crowd.server, &calm);
    crowd_sleep(SETTLE_MS);

    bench_server_sample(&crowd.server, &before);
    own = crowd_cpu(cpu_before);
    uint64_t began = bench_now();
    atomic_store(&crowd.broken_at, began);
    uint32_t broken = each_socket(hole);
    double breaking = (double)(bench_now() - began) / 1e6;
    if (kept < crowd.rooms || broken < crowd.clients) {
        fprintf(stderr, "resume: %u and %u sockets instead of %u and %u\n", kept,
                broken, crowd.rooms, crowd.clients);
        crowd_give_up("sockets", "are not all found");
    }
    crowd_wait(&crowd.back, crowd.clients, "resuming");
    bench_server_sample(&crowd.server, &after);
    own = crowd_cpu(cpu_after) - own;
    double window = (double)(after.at - before.at) / 1e9;
    for (uint32_t t = 0; t < crowd.threads; t++) {
        double share = (cpu_after[t] - cpu_before[t]) / window;
        busiest = share > busiest ? share : busiest;
    }

    crowd_sleep(SETTLE_MS / 2);
    crowd_tell(QUIET);
    crowd_sleep(50);
    for (uint64_t until = bench_now() + 15000000000u;
         crowd_on_the_way() > 0 && bench_now() < until;) {
        crowd_sleep(10);
    }
    crowd_sleep(200); /* should any come twice, it has come by now */
    bench_server_sample(&crowd.server, &end);
    crowd_tell(CLOSE);
    crowd_wait(&crowd.over, crowd.threads, "closing");
    for (uint32_t i = 0; i < crowd.rooms; i++) {
        upset += crowd.members[i].noticed_at != 0;
    }
    for (uint32_t i = crowd.rooms, n = 0; i < crowd.member_count; i++, n++) {
        noticed[n] = crowd.members[i].noticed_at - began;
        took[n] = crowd.members[i].back_at - began;
        since[n] = crowd.members[i].back_at - crowd.members[i].noticed_at;
        resumed += crowd.members[i].resumed;
    }

    /* What is done for each who comes back, everyday traffic apart. */
    double calm_s = (double)(before.at - calm.at) / 1e9;
    double calm_cpu = (before.cpu - calm.cpu) / calm_s;
    double calm_out = (double)(before.bytes_out - calm.bytes_out) / calm_s;
    double cpu = after.cpu - before.cpu,
           out = (double)(after.bytes_out - before.bytes_out);
    printf("{\"transport\":\"%s\",\"clients\":%u,\"room\":%u,\"witnesses\":%u,"
           "\"witnesses_broken\":%u,\"broken_within_ms\":%.2f",
           crowd.transport, crowd.clients, crowd.room, crowd.rooms, upset, breaking);
    crowd_print_times("noticed_ms", noticed, crowd.clients);
    crowd_print_times("back_ms", took, crowd.clients);
    crowd_print_times("back_after_notice_ms", since, crowd.clients);
    printf(",\"resumed\":%u,\"rejoined\":%u,\"waits\":%llu,\"replayed\":%llu", resumed,
           crowd.clients - resumed, (unsigned long long)atomic_load(&crowd.attempts),
           (unsigned long long)(end.replayed - before.replayed));
    bool clean = crowd_print_messages();
    printf(",\"server\":{\"cpu_us_each\":%.0f,\"bytes_out_each\":%.0f,\"busy\":%.3f,"
           "\"calm_busy\":%.3f,\"calm_bytes_out_per_second\":%.0f,"
           "\"longest_turn_us\":%llu},"
           "\"client\":{\"threads\":%u,\"cpu_us_each\":%.0f,\"busiest_thread\":%.3f},"
           "\"clean\":%s}\n",
           cpu * 1e6 / crowd.clients, out / crowd.clients, cpu / window, calm_cpu,
           calm_out, (unsigned long long)after.longest_turn_us, crowd.threads,
           own * 1e6 / crowd.clients, busiest, clean ? "true" : "false");
    free(noticed);
    free(took);
    free(since);
    return clean ? 0 : 1;
}

static void take_arguments(int argc, char **argv)
{
    bool good = argc >= 3 && argc % 2 == 1;

    for (int i = 3; good && i + 1 < argc; i += 2) {
        good = crowd_argument(argv[i], argv[i + 1]);
    }
    if (!good || !crowd_arguments_are_good()) {
        fprintf(stderr,
                "usage: resume YOMO webtransport|websocket [--clients N] [--room N]\n"
                "       [--rate N] [--silence TIME] [--threads N] [--serve WORDS]\n"
                "Clients are a multiple of the room's size.\n");
        exit(2);
    }
}

int main(int argc, char **argv)
{
    crowd.name = "resume";
    crowd.silence = "3s";
    take_arguments(argc, argv);
    crowd.transport = argv[2];
    struct bench_plan backend = {.workers = 1, .program = argv[1]};
    if (bench_server_start(&crowd.server, &backend, crowd.serve) != 0) {
        crowd_give_up("backend", "cannot be started");
    }
    crowd_listens(&crowd.server);
    crowd_prepare(crowd.server.port, crowd.server.certificate);
    if (strcmp(crowd.transport, "webtransport") == 0) {
        crowd_set("keep-alive", "500ms");
        crowd_set("silence-timeout", crowd.silence);
        crowd_set("migrate", "false");
    }
    int status = measure();
    bench_server_stop(&crowd.server);
    crowd_finish();
    return status;
}
