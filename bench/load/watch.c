/* SPDX-License-Identifier: MIT */
/* watch.c - CPU time and memory of the server's processes, from /proc.
 *
 * What the kernel keeps for connections is not in any process: it is taken from the
 * whole machine (/proc/meminfo, /proc/net/sockstat), where both ends of each connection
 * are. */
#include "load.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

uint64_t bench_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static size_t read_file(const char *path, char *out, size_t size)
{
    FILE *file = fopen(path, "re");
    size_t got = 0;

    if (file) {
        got = fread(out, 1, size - 1, file);
        fclose(file);
    }
    out[got] = '\0';
    return got;
}

static uint64_t number_after(const char *text, const char *name)
{
    const char *at = strstr(text, name);

    return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

static void look_at(pid_t pid, struct sight *sight)
{
    char path[64], text[4096];
    unsigned long user = 0, kernel = 0;
    struct timespec spent;
    clockid_t clock;
    const char *at;
    double all, tick = (double)sysconf(_SC_CLK_TCK);

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    if (read_file(path, text, sizeof(text)) == 0 || (at = strrchr(text, ')')) == NULL ||
        at[1] == '\0' || at[2] == 'Z' ||
        sscanf(at + 1, " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %lu %lu", &user,
               &kernel) != 2) {
        return;
    }
    sight->alive++;
    all = (double)(user + kernel) / tick;
    if (clock_getcpuclockid(pid, &clock) == 0 && clock_gettime(clock, &spent) == 0) {
        all = (double)spent.tv_sec + (double)spent.tv_nsec * 1e-9;
    }
    sight->cpu += all;
    sight->user += (double)user / tick;
    sight->system += (double)kernel / tick;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    if (read_file(path, text, sizeof(text)) > 0) {
        sight->rss += number_after(text, "VmRSS:") * 1024;
    }
}

static uint64_t kernel_memory(void)
{
    char text[8192];
    uint64_t bytes = 0;
    const char *at;

    if (read_file("/proc/meminfo", text, sizeof(text)) > 0) {
        bytes +=
            (number_after(text, "SUnreclaim:") + number_after(text, "KernelStack:")) *
            1024;
    }
    if (read_file("/proc/net/sockstat", text, sizeof(text)) > 0) {
        uint64_t pages = 0;
        if ((at = strstr(text, "TCP:")) != NULL) {
            pages += number_after(at, " mem ");
        }
        if ((at = strstr(text, "UDP:")) != NULL) {
            pages += number_after(at, " mem ");
        }
        bytes += pages * (uint64_t)sysconf(_SC_PAGESIZE);
    }
    return bytes;
}

void watch_look(const struct plan *plan, struct sight *sight)
{
    memset(sight, 0, sizeof(*sight));
    sight->at = bench_now();
    for (size_t i = 0; i < plan->pid_count; i++) {
        look_at(plan->pids[i], sight);
    }
    sight->kernel = kernel_memory();
}

unsigned watch_alive(const struct plan *plan)
{
    struct sight sight;

    watch_look(plan, &sight);
    return sight.alive;
}
