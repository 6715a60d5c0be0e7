/* SPDX-License-Identifier: MIT */
/* held - how many bytes an idle connection has asked for: held YOMO TRANSPORT
 * CONNECTIONS [GROUPS]. Prints one JSON object.
 *
 * A backend in this process, whose allocator counts, as does OpenSSL's; YOMO is the
 * program whose `bench --idle` brings the connections, in rooms of 10. What counts is
 * the size that was asked for: what malloc adds and what the kernel keeps is not in it,
 * so that the number is the same on every machine with the same libraries. */
#include <openssl/crypto.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <yomo/yomo.h>

#define SETTLE_MS 3000 /* after the last one was there: handshakes are forgotten */
#define PATIENCE_MS 300000

/* --- Counting --------------------------------------------------------------------- */

union head { /* in front of each piece */
    size_t size;
    max_align_t align;
};

struct counter {
    atomic_size_t bytes;
};

static struct counter library, openssl;

static void *count_realloc(void *user, void *old, size_t size)
{
    struct counter *counter = user;
    union head *head = old ? (union head *)old - 1 : NULL;
    size_t before = head ? head->size : 0;

    if (size > SIZE_MAX - sizeof(*head)) {
        return NULL;
    }
    head = realloc(head, sizeof(*head) + size);
    if (!head) {
        return NULL;
    }
    head->size = size;
    atomic_fetch_add(&counter->bytes, size - before);
    return head + 1;
}

static void *count_malloc(void *user, size_t size)
{
    return count_realloc(user, NULL, size);
}

static void count_free(void *user, void *memory)
{
    struct counter *counter = user;
    if (memory) {
        union head *head = (union head *)memory - 1;
        atomic_fetch_sub(&counter->bytes, head->size);
        free(head);
    }
}

static void *openssl_malloc(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return size > 0 ? count_malloc(&openssl, size) : NULL;
}

static void *openssl_realloc(void *old, size_t size, const char *file, int line)
{
    (void)file, (void)line;
    if (size == 0) {
        count_free(&openssl, old);
        return NULL;
    }
    return count_realloc(&openssl, old, size);
}

static void openssl_free(void *memory, const char *file, int line)
{
    (void)file, (void)line;
    count_free(&openssl, memory);
}

/* --- The backend and its visitors ------------------------------------------------- */

static void give_up(const char *what, const char *why)
{
    fprintf(stderr, "held: %s: %s\n", what, why);
    exit(1);
}

static void set(yomo_options *options, const char *name, const char *value)
{
    int32_t rv = yomo_options_set(options, name, value);
    if (rv != YOMO_OK) {
        give_up(name, yomo_strerror(rv));
    }
}

static yomo_server *start(const char *folder, const char *groups)
{
    static const yomo_mem mem = {&library, count_malloc, count_realloc, count_free};
    static const char *const flags[][2] = {
        {"bind", "127.0.0.1"},      {"port", "0"},
        {"http-port", "0"},         {"workers", "1"},
        {"keep-alive", "25s"},      {"silence-timeout", "60s"},
        {"idle-timeout", "90s"},    {"connections-max", "1m"},
        {"handshakes-max", "100k"}, {"connections-per-address-max", "1m"},
    };
    yomo_options *options;
    yomo_server *server;

    if (yomo_options_create(&options, YOMO_SCOPE_SERVER) != YOMO_OK) {
        give_up("options", "out of memory");
    }
    yomo_options_set_mem(options, &mem);
    set(options, "state-dir", folder);
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        set(options, flags[i][0], flags[i][1]);
    }
    if (groups) {
        set(options, "tls-groups", groups);
    }
    if (yomo_server_create(&server, options, NULL, NULL) != YOMO_OK) {
        give_up("server", "cannot be made");
    }
    yomo_options_free(options);
    if (yomo_server_listen(server) != YOMO_OK) {
        give_up("server", yomo_server_error(server));
    }
    return server;
}

static unsigned members(yomo_server *server)
{
    static char text[262144];
    static const char name[] = "\nyomo_members ";
    size_t needed = 0;

    if (yomo_server_metrics(server, text, sizeof(text), &needed) != YOMO_OK) {
        return 0;
    }
    const char *at = strstr(text, name);
    return at ? (unsigned)strtoul(at + sizeof(name) - 1, NULL, 10) : 0;
}

static pid_t visit(const char *yomo, const char *url, const char *hash,
                   const char *transport, const char *count)
{
    const char *words[] = {
        yomo,     "bench",       "--url",   url,         "--cert-hash",
        hash,     "--transport", transport, "--idle",    "--connections",
        count,    "--members",   "10",      "--seconds", "1h",
        "--json", NULL};
    pid_t pid = fork();
    if (pid == 0) {
        if (!freopen("/dev/null", "w", stdout)) {
            _exit(127);
        }
        execv(yomo, (char *const *)(uintptr_t)words);
        _exit(127);
    }
    return pid;
}

static void sleep_ms(unsigned ms)
{
    nanosleep(&(struct timespec){ms / 1000, (long)(ms % 1000) * 1000000}, NULL);
}

int main(int argc, char **argv)
{
    char folder[] = "/tmp/yomo-held-XXXXXX", url[64], hash[65] = "", remove[64];
    int status;

    if (argc != 4 && argc != 5) {
        fprintf(stderr,
                "usage: held YOMO webtransport|websocket CONNECTIONS [GROUPS]\n");
        return 2;
    }
    unsigned wanted = (unsigned)strtoul(argv[3], NULL, 10);
    if (wanted == 0 ||
        CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) != 1) {
        give_up("OpenSSL", "its allocator cannot be set");
    }
    if (!mkdtemp(folder)) {
        give_up(folder, "cannot be made");
    }
    yomo_server *server = start(folder, argc == 5 ? argv[4] : NULL);
    const char *at = strstr(yomo_server_listening(server), "\"certificate_sha256\":\"");
    if (at) {
        snprintf(hash, sizeof(hash), "%.64s", at + strlen("\"certificate_sha256\":\""));
    }
    snprintf(url, sizeof(url), "https://127.0.0.1:%u", yomo_server_port(server));

    size_t before[2] = {atomic_load(&library.bytes), atomic_load(&openssl.bytes)};
    pid_t visitors = visit(argv[1], url, hash, argv[2], argv[3]);
    unsigned waited = 0;
    while (visitors > 0 && members(server) < wanted && waited < PATIENCE_MS &&
           waitpid(visitors, &status, WNOHANG) == 0) {
        sleep_ms(100);
        waited += 100;
    }
    sleep_ms(SETTLE_MS);
    unsigned there = members(server);
    double each[2] = {
        ((double)atomic_load(&library.bytes) - (double)before[0]) / wanted,
        ((double)atomic_load(&openssl.bytes) - (double)before[1]) / wanted};
    if (visitors > 0) {
        kill(visitors, SIGKILL); /* it has nothing to tidy up */
        waitpid(visitors, &status, 0);
    }
    yomo_server_free(server);
    snprintf(remove, sizeof(remove), "rm -r %s", folder);
    if (system(remove) != 0 || there != wanted) {
        give_up("visitors", "not all of them came");
    }
    printf("{\"transport\":\"%s\",\"connections\":%u,\"library_bytes\":%.0f,"
           "\"openssl_bytes\":%.0f,\"requested_bytes\":%.0f}\n",
           argv[2], wanted, each[0], each[1], each[0] + each[1]);
    return 0;
}
