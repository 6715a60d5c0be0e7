/* SPDX-License-Identifier: MIT */
/* main.c - the relay as a program: `link --target HOST:PORT [...]`.
 *
 * Tells {"port":...,"seed":...} in one line on stdout once it listens. Then takes
 * orders from stdin, one a line, and answers each with a line: `ok`, `error ...`, or
 * the counts. It ends at the end of stdin. Orders may be given at the start too, with
 * --do. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "relay.h"

static const char usage[] =
    "link --target HOST:PORT [--listen HOST:PORT] [--seed N] [--do ORDER]...\n"
    "\n"
    "Passes UDP and TCP on from one port to another, as a bad network would. What\n"
    "becomes of each packet is decided by the seed and the packet's number. Hosts are\n"
    "numeric addresses, IPv6 ones without brackets.\n"
    "\n"
    "Orders, from --do and then from stdin:\n"
    "  loss P          UDP: lose with probability P; TCP: as late as if sent again\n"
    "  duplicate P     UDP: send twice with probability P\n"
    "  reorder P       UDP: delay further, behind others, with probability P\n"
    "  delay MS        one way\n"
    "  jitter MS       up to that much more, by chance: reorders UDP\n"
    "  rate KBPS       kilobits a second; 0: any\n"
    "  block [up|down] UDP vanishes, both ways or one\n"
    "  unblock\n"
    "  rebind          UDP: from new ports towards the target\n"
    "  stall, unstall  TCP: nothing moves\n"
    "  cut             TCP: reset what stands\n"
    "  counts          what became of UDP, as JSON\n";

static void each(struct relay *relay, bool tcp_too, size_t offset, double value)
{
    for (int way = 0; way < RELAY_WAYS; way++) {
        memcpy((char *)&relay_path(relay, way)->rules + offset, &value, sizeof(value));
        if (tcp_too) {
            memcpy((char *)&relay_tcp_path(relay, way)->rules + offset, &value,
                   sizeof(value));
        }
    }
}

static void block(struct relay *relay, bool up, bool down)
{
    relay_path(relay, RELAY_UP)->rules.blocked = up;
    relay_path(relay, RELAY_DOWN)->rules.blocked = down;
}

static void print_counts(struct relay *relay)
{
    static const char *const names[] = {"up", "down"};
    printf("{");
    for (int way = 0; way < RELAY_WAYS; way++) {
        const struct path_counts *c = &relay_path(relay, way)->counts;
        printf("%s\"%s\":{\"seen\":%llu,\"lost\":%llu,\"duplicated\":%llu,"
               "\"reordered\":%llu,\"overflowed\":%llu,\"blocked\":%llu}",
               way ? "," : "", names[way], (unsigned long long)c->seen,
               (unsigned long long)c->lost, (unsigned long long)c->duplicated,
               (unsigned long long)c->reordered, (unsigned long long)c->overflowed,
               (unsigned long long)c->blocked);
    }
    printf("}\n");
}

struct knob {
    const char *name;
    size_t offset;
    double scale, max;
    bool tcp_too;
};

static const struct knob knobs[] = {
    {"loss", offsetof(struct path_rules, loss), 1, 1, true},
    {"duplicate", offsetof(struct path_rules, duplicate), 1, 1, false},
    {"reorder", offsetof(struct path_rules, reorder), 1, 1, false},
    {"delay", offsetof(struct path_rules, delay_ms), 1, 60000, true},
    {"jitter", offsetof(struct path_rules, jitter_ms), 1, 60000, true},
    {"rate", offsetof(struct path_rules, rate), 125, 1e9, true},
};

static bool turn_knob(struct relay *relay, const char *name, const char *value)
{
    for (size_t i = 0; i < sizeof(knobs) / sizeof(knobs[0]); i++) {
        char *end = NULL;
        if (strcmp(name, knobs[i].name) != 0) {
            continue;
        }
        double number = strtod(value, &end);
        if (*value == '\0' || *end != '\0' || !(number >= 0) || number > knobs[i].max) {
            return false;
        }
        each(relay, knobs[i].tcp_too, knobs[i].offset, number * knobs[i].scale);
        return true;
    }
    return false;
}

/* False: no such order. */
static bool obey(struct relay *relay, char *order)
{
    char *name = strtok(order, " \t\r\n");
    char *rest = strtok(NULL, " \t\r\n");
    const char *value = rest ? rest : "";
    if (!name) {
        return false;
    }
    if (strcmp(name, "block") == 0) {
        block(relay, strcmp(value, "down") != 0, strcmp(value, "up") != 0);
    } else if (strcmp(name, "unblock") == 0) {
        block(relay, false, false);
    } else if (strcmp(name, "rebind") == 0) {
        relay_rebind(relay);
    } else if (strcmp(name, "stall") == 0 || strcmp(name, "unstall") == 0) {
        relay_stall(relay, name[0] == 's');
    } else if (strcmp(name, "cut") == 0) {
        relay_cut(relay);
    } else {
        return turn_knob(relay, name, value);
    }
    return true;
}

static bool split(char *text, char **host, uint16_t *port)
{
    char *colon = strrchr(text, ':');
    long number = colon ? strtol(colon + 1, NULL, 10) : -1;
    if (number < 0 || number > 65535) {
        return false;
    }
    *colon = '\0';
    *host = text;
    *port = (uint16_t)number;
    return true;
}

/* What stdin has: whole lines are orders. False: it has ended. */
static bool read_orders(struct relay *relay)
{
    static char line[256];
    static size_t used;
    ssize_t size = read(STDIN_FILENO, line + used, sizeof(line) - 1 - used);
    if (size <= 0) {
        return size < 0 && errno == EINTR;
    }
    used += (size_t)size;
    line[used] = '\0';
    for (char *end; (end = strchr(line, '\n'));) {
        *end = '\0';
        if (strcmp(line, "counts") == 0) {
            print_counts(relay);
        } else {
            puts(obey(relay, line) ? "ok" : "error no such order");
        }
        fflush(stdout);
        used -= (size_t)(end + 1 - line);
        memmove(line, end + 1, used + 1);
    }
    return used < sizeof(line) - 1;
}

static int misused(const char *text)
{
    fprintf(stderr, "link: %s\n%s", text, usage);
    return 2;
}

int main(int argc, char **argv)
{
    char any[] = "127.0.0.1:0";
    struct relay_options options = {.host = any};
    char *host = NULL;
    struct timespec ts;
    const char *why = "";
    clock_gettime(CLOCK_REALTIME, &ts);
    options.seed = (uint64_t)ts.tv_nsec ^ (uint64_t)ts.tv_sec << 20;
    (void)split(any, &host, &options.port);
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return 0;
    }
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc) {
            return misused("an option without a value");
        }
        if (strcmp(argv[i], "--target") == 0) {
            if (!split(argv[i + 1], &host, &options.target_port)) {
                return misused("no port in --target");
            }
            options.target_host = host;
        } else if (strcmp(argv[i], "--listen") == 0) {
            if (!split(argv[i + 1], &host, &options.port)) {
                return misused("no port in --listen");
            }
            options.host = host;
        } else if (strcmp(argv[i], "--seed") == 0) {
            options.seed = strtoull(argv[i + 1], NULL, 0);
        } else if (strcmp(argv[i], "--do") != 0) {
            return misused("no such option");
        }
    }
    if (!options.target_host) {
        return misused("--target is missing");
    }
    signal(SIGPIPE, SIG_IGN);
    struct relay *relay = relay_create(&options, &why);
    if (!relay) {
        fprintf(stderr, "link: %s\n", why);
        return 1;
    }
    for (int i = 1; i < argc; i += 2) {
        if (strcmp(argv[i], "--do") == 0 && !obey(relay, argv[i + 1])) {
            relay_destroy(relay);
            return misused("no such order");
        }
    }
    printf("{\"port\":%u,\"seed\":%llu}\n", relay_port(relay),
           (unsigned long long)options.seed);
    fflush(stdout);
    while (!relay_turn(relay, STDIN_FILENO) || read_orders(relay)) {
    }
    relay_destroy(relay);
    return 0;
}
