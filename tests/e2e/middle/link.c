/* SPDX-License-Identifier: MIT */
#include "link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define ORDERS_MAX 8

static void answer(struct link_child *link, char *out, size_t size)
{
    if (!fgets(out, (int)size, link->answers)) {
        fail_msg("the relay has died");
    }
    out[strcspn(out, "\n")] = '\0';
}

void link_begin(struct link_child *link, uint16_t port, const char *const *orders)
{
    const char *program = getenv("YOMO_LINK");
    const char *seed = getenv("YOMO_SEED");
    char target[32], line[128];
    const char *args[6 + 2 * ORDERS_MAX] = {program, "--target", target, "--seed",
                                            seed ? seed : "1"};
    int in[2], out[2], count = 5;
    posix_spawn_file_actions_t actions;
    assert_non_null(program);
    snprintf(target, sizeof(target), "127.0.0.1:%u", port);
    for (; orders && *orders; orders++) {
        assert_true(count + 2 < (int)(sizeof(args) / sizeof(args[0])));
        args[count++] = "--do";
        args[count++] = *orders;
    }
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, in[1]);
    posix_spawn_file_actions_addclose(&actions, out[0]);
    assert_int_equal(posix_spawn(&link->pid, program, &actions, NULL,
                                 (char *const *)(uintptr_t)args, environ),
                     0);
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    link->orders = fdopen(in[1], "w");
    link->answers = fdopen(out[0], "r");
    answer(link, line, sizeof(line));
    const char *at = strstr(line, "\"port\":");
    assert_non_null(at);
    link->port = (uint16_t)strtoul(at + 7, NULL, 10);
    fprintf(stderr, "relay %s\n", line);
}

static void say(struct link_child *link, const char *order)
{
    fprintf(link->orders, "%s\n", order);
    fflush(link->orders);
}

void link_do(struct link_child *link, const char *order)
{
    char line[128];
    say(link, order);
    answer(link, line, sizeof(line));
    assert_string_equal(line, "ok");
}

void link_counts(struct link_child *link, char *out, size_t size)
{
    say(link, "counts");
    answer(link, out, size);
}

void link_end(struct link_child *link)
{
    int status;
    fclose(link->orders);
    fclose(link->answers);
    assert_int_equal(waitpid(link->pid, &status, 0), link->pid);
    assert_int_equal(status, 0);
}
