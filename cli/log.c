/* SPDX-License-Identifier: MIT */
#include "log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const levels[] = {"error", "warn", "info", "debug", "trace"};

/* Lines come from several threads: each is one write, so that they do not mix. */
static void write_line(void *user, int32_t level, const char *module, const char *text)
{
    struct timespec now;
    struct tm tm;
    char line[1200];
    size_t size;
    ssize_t written;

    (void)user;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    size = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &tm);
    size += (size_t)snprintf(line + size, sizeof(line) - size, ".%03ldZ %-5s %s: %s\n",
                             now.tv_nsec / 1000000, levels[level], module, text);
    if (size >= sizeof(line)) {
        size = sizeof(line) - 1;
        line[size - 1] = '\n';
    }
    written = write(STDERR_FILENO, line, size);
    (void)written; /* there is nobody left to tell */
}

void log_begin(const struct args *args)
{
    const char *name = args_text(args, "log");
    int32_t level = 0;

    while (strcmp(levels[level], name) != 0) {
        level++;
    }
    yomo_options_set_log(args->options, write_line, NULL, level);
}
