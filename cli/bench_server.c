/* SPDX-License-Identifier: MIT */
/* bench_server.c - the happy path: a folder for its state, fork, `yomo serve` from this
 * very file, the line that says where it listens; then numbers from /proc and /metrics;
 * SIGTERM, and SIGKILL if that was not enough.
 *
 * It is told to end with this process, however this one ends. */
#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/prctl.h>
#endif

#define WORDS_MAX 64

uint64_t bench_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* --- starting ----------------------------------------------------------------------- */

static void add_words(const char **words, size_t *count, char *text)
{
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " ")) {
        if (*count < WORDS_MAX - 1) {
            words[(*count)++] = word;
        }
    }
}

/* In the child. Limits that would be in the way are wide; what is idle stays so for the
 * time that docs/benchmarks.md names. */
static void become_server(const struct bench_server *server, const struct bench_plan *plan,
                          char *extra, pid_t parent)
{
    char workers[16];
    char usual[] = "--bind 127.0.0.1 --port 0 --http-port 0 --log warn --message-rate 0 "
                   "--connections-max 1m --connections-per-address-max 1m "
                   "--handshakes-max 100k --members-max 1m --drain-timeout 0";
    char idle[] = "--keep-alive 25s --silence-timeout 60s --idle-timeout 90s";
    const char *words[WORDS_MAX] = {"yomo", "serve", "--state-dir", server->folder,
                                    "--workers", workers};
    size_t count = 6;

    snprintf(workers, sizeof(workers), "%u", plan->workers);
    add_words(words, &count, usual);
    if (plan->idle) {
        add_words(words, &count, idle);
    }
    if (extra) {
        add_words(words, &count, extra);
    }
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
    if (getppid() == parent) { /* it did not end just now */
        execv(plan->program ? plan->program : "/proc/self/exe",
              (char *const *)(uintptr_t)words);
    }
    _exit(127);
}

static bool make_folder(struct bench_server *server)
{
    const char *base = getenv("TMPDIR");

    snprintf(server->folder, sizeof(server->folder), "%s/yomo-bench-XXXXXX",
             base && *base && strlen(base) < 200 ? base : "/tmp");
    return mkdtemp(server->folder) != NULL;
}

static int launch(struct bench_server *server, const struct bench_plan *plan,
                  const char *extra)
{
    pid_t parent = getpid();
    int ends[2];
    char *words = extra ? strdup(extra) : NULL;

    if (pipe(ends) != 0) {
        free(words);
        return -1;
    }
    server->pid = fork();
    if (server->pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        become_server(server, plan, words, parent);
    }
    free(words);
    close(ends[1]);
    server->errors = ends[0];
    fcntl(server->errors, F_SETFL, O_NONBLOCK);
    fcntl(server->errors, F_SETFD, FD_CLOEXEC);
    return server->pid > 0 ? 0 : -1;
}

int bench_server_start(struct bench_server *server, const struct bench_plan *plan,
                       const char *extra)
{
    memset(server, 0, sizeof(*server));
    server->errors = -1;
    return make_folder(server) ? launch(server, plan, extra) : -1;
}

void bench_server_signal(struct bench_server *server)
{
    server->ending = true; /* that all its clients go is no news */
    kill(server->pid, SIGTERM);
}

bool bench_server_ended(struct bench_server *server)
{
    (void)bench_server_read(server);
    if (server->pid > 0 && waitpid(server->pid, NULL, WNOHANG) == server->pid) {
        server->pid = 0;
        close(server->errors);
        server->errors = -1;
    }
    return server->pid == 0;
}

int bench_server_restart(struct bench_server *server, const struct bench_plan *plan,
                         const char *extra)
{
    char words[1024];

    snprintf(words, sizeof(words), "--port %u %s", server->port, extra ? extra : "");
    server->listening = server->ending = false;
    server->line_size = 0;
    return launch(server, plan, words);
}

/* --- what it writes ----------------------------------------------------------------- */

static uint32_t number_in(const char *json, const char *name)
{
    const char *at = strstr(json, name);

    return at ? (uint32_t)strtoul(at + strlen(name), NULL, 10) : 0;
}

static void take_line(struct bench_server *server, const char *line)
{
    static const char known[] = "listening {", hash[] = "\"certificate_sha256\":\"";
    const char *at;

    if (strncmp(line, known, sizeof(known) - 1) == 0) {
        server->port = number_in(line, "\"port\":");
        server->http_port = number_in(line, "\"http_port\":");
        at = strstr(line, hash);
        if (at) {
            snprintf(server->certificate, sizeof(server->certificate), "%.64s",
                     at + sizeof(hash) - 1);
        }
        server->listening = true;
    } else if (strncmp(line, "open http://", 12) != 0 && !server->ending) {
        fprintf(stderr, "server: %s\n", line);
    }
}

bool bench_server_read(struct bench_server *server)
{
    if (server->errors < 0) {
        return server->pid == 0;
    }
    for (;;) {
        ssize_t got = read(server->errors, server->line + server->line_size,
                           sizeof(server->line) - 1 - server->line_size);
        if (got <= 0) {
            return got < 0 && (errno == EAGAIN || errno == EINTR);
        }
        server->line_size += (size_t)got;
        server->line[server->line_size] = '\0';
        char *begin = server->line;
        for (char *end; (end = strchr(begin, '\n')) != NULL; begin = end + 1) {
            *end = '\0';
            take_line(server, begin);
        }
        server->line_size -= (size_t)(begin - server->line);
        memmove(server->line, begin, server->line_size + 1);
        if (server->line_size == sizeof(server->line) - 1) {
            server->line_size = 0; /* no line of ours is so long */
        }
    }
}

/* --- looking at it ------------------------------------------------------------------ */

/* A file of /proc/PID as text. */
static bool read_proc(pid_t pid, const char *name, char *out, size_t size)
{
    char path[64];
    ssize_t got;
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    got = read(fd, out, size - 1);
    close(fd);
    out[got > 0 ? got : 0] = '\0';
    return got > 0;
}

static void sample_cpu(pid_t pid, struct bench_sample *sample)
{
    char text[1024];
    unsigned long user = 0, system = 0;
    double tick = (double)sysconf(_SC_CLK_TCK);
    const char *at;
    struct timespec spent;
    clockid_t clock;

    if (read_proc(pid, "stat", text, sizeof(text)) && (at = strrchr(text, ')')) != NULL) {
        /* Behind the name: state, 10 numbers, user, system. */
        if (sscanf(at + 1, " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %lu %lu", &user,
                   &system) == 2) {
            sample->user = (double)user / tick;
            sample->system = (double)system / tick;
        }
    }
    if (clock_getcpuclockid(pid, &clock) == 0 && clock_gettime(clock, &spent) == 0) {
        sample->cpu = (double)spent.tv_sec + (double)spent.tv_nsec * 1e-9;
    } else {
        sample->cpu = sample->user + sample->system;
    }
}

static void sample_rss(pid_t pid, struct bench_sample *sample)
{
    char text[4096];
    const char *at;

    if (read_proc(pid, "status", text, sizeof(text)) &&
        (at = strstr(text, "VmRSS:")) != NULL) {
        sample->rss = strtoull(at + 6, NULL, 10) * 1024;
    }
}

/* What the plain listener answers to GET /metrics; NULL when nothing, else to be freed. */
static char *get_metrics(uint32_t port)
{
    static const char request[] = "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                                  "Connection: close\r\n\r\n";
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = 2};
    const size_t most = 65536;
    char *text = malloc(most);
    size_t size = 0;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (text && fd >= 0 && port != 0 &&
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0 &&
        connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
        send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) > 0) {
        ssize_t got;
        while (size < most - 1 && (got = recv(fd, text + size, most - 1 - size, 0)) > 0) {
            size += (size_t)got;
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    if (text) {
        text[size] = '\0';
    }
    return text;
}

/* The sum over all rows of one family. */
static uint64_t metric(const char *text, const char *family)
{
    size_t size = strlen(family);
    uint64_t sum = 0;

    for (const char *at = text; (at = strchr(at, '\n')) != NULL;) {
        at++;
        if (strncmp(at, family, size) == 0 && (at[size] == ' ' || at[size] == '{')) {
            const char *value = at + strcspn(at, "\n");
            while (value > at && value[-1] != ' ') {
                value--;
            }
            sum += strtoull(value, NULL, 10);
        }
    }
    return sum;
}

static void sample_metrics(uint32_t port, struct bench_sample *sample)
{
    char *text = get_metrics(port);

    if (text) {
        sample->deliveries = metric(text, "yomo_deliveries_total");
        sample->message_bytes = metric(text, "yomo_message_bytes_out_total");
        sample->packets_in = metric(text, "yomo_udp_packets_in_total");
        sample->packets_out = metric(text, "yomo_udp_packets_out_total");
        sample->bytes_in = metric(text, "yomo_network_bytes_in_total");
        sample->bytes_out = metric(text, "yomo_network_bytes_out_total");
        sample->dropped = metric(text, "yomo_dropped_total");
        sample->lost = metric(text, "yomo_datagrams_lost_total");
        sample->replayed = metric(text, "yomo_resumed_messages_total");
        sample->longest_turn_us = metric(text, "yomo_loop_turn_max_microseconds");
    }
    free(text);
}

void bench_server_sample(const struct bench_server *server, struct bench_sample *sample)
{
    memset(sample, 0, sizeof(*sample));
    sample->at = bench_now();
    if (server->pid > 0) {
        sample_cpu(server->pid, sample);
        sample_rss(server->pid, sample);
        sample_metrics(server->http_port, sample);
    }
}

/* --- ending ------------------------------------------------------------------------- */

static bool wait_ended(pid_t pid, int patience_ms)
{
    for (int waited = 0; waitpid(pid, NULL, WNOHANG) == 0; waited += 10) {
        if (waited >= patience_ms) {
            return false;
        }
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    return true;
}

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *place)
{
    (void)about;
    (void)kind;
    (void)place;
    return remove(path);
}

void bench_server_stop(struct bench_server *server)
{
    if (server->pid > 0) {
        server->ending = true; /* that all its clients go is no news */
        kill(server->pid, SIGTERM);
        if (!wait_ended(server->pid, 5000)) {
            kill(server->pid, SIGKILL);
            waitpid(server->pid, NULL, 0);
        }
        bench_server_read(server);
        server->pid = 0;
    }
    if (server->errors >= 0) {
        close(server->errors);
        server->errors = -1;
    }
    if (*server->folder) { /* certificate, key and secrets */
        nftw(server->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    }
    server->folder[0] = '\0';
}
