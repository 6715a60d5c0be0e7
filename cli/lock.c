/* SPDX-License-Identifier: MIT */
/* lock.c - a command that runs while a lock of a room is held.
 *
 * The happy path: join, get the lock, run the command in a process group of its own,
 * give the lock back with the end of the session. Possible failures: somebody else has
 * it; it is lost, or a signal comes, while the command runs, which is then ended: first
 * asked to, then not. The lock is given back once it has ended. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "args.h"
#include "log.h"
#include "session.h"

#define LOOK_MS 20    /* how often the command is looked at */
#define PATIENCE 2000 /* milliseconds after SIGTERM, then SIGKILL */

extern char **environ;

struct lock {
    uint64_t lease_ms, wait_ms, id;
    pid_t command; /* 0: does not run */
};

static void on_joined(struct session *session)
{
    struct lock *lock = session->user;
    int32_t rv;

    if (lock->id != 0) {
        return; /* joined again */
    }
    rv = yomo_room_lock(session->room, session->args->arguments[2], lock->lease_ms,
                        lock->wait_ms, &lock->id);
    if (rv != YOMO_OK) {
        session_fail(session, rv, NULL);
    }
}

/* In a group of its own, with signals as a new program expects them. */
static int start(pid_t *command, const char *text)
{
    static char shell[] = "sh", flag[] = "-c";
    posix_spawnattr_t how;
    sigset_t none, ours;
    char *copy = strdup(text);
    char *argv[] = {shell, flag, copy, NULL};
    int error;

    if (!copy) {
        return ENOMEM;
    }
    sigemptyset(&none);
    sigemptyset(&ours);
    sigaddset(&ours, SIGPIPE);
    posix_spawnattr_init(&how);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                       POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&how, 0);
    posix_spawnattr_setsigmask(&how, &none);
    posix_spawnattr_setsigdefault(&how, &ours);
    error = posix_spawn(command, "/bin/sh", NULL, &how, argv, environ);
    posix_spawnattr_destroy(&how);
    free(copy);
    return error;
}

static void on_lock(struct session *session, const char *key, int32_t held,
                    uint64_t version)
{
    struct lock *lock = session->user;
    char text[32];
    int error;

    (void)key;
    if (!held) {
        session_fail(session, YOMO_ERR_CONFLICT, "the lock was lost");
        return;
    }
    if (lock->command != 0) {
        return;
    }
    snprintf(text, sizeof(text), "%" PRIu64, version);
    setenv("YOMO_LOCK_VERSION", text, 1);
    error = start(&lock->command, session->args->arguments[3]);
    if (error != 0) {
        lock->command = 0;
        session_fail(session, YOMO_ERR_SYSTEM, strerror(error));
    }
}

static void on_sent(struct session *session, uint64_t id, int32_t error)
{
    const struct lock *lock = session->user;

    if (id == lock->id && error != YOMO_OK) {
        session_fail(session, error, NULL);
    }
}

static void ended(struct session *session, int status)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        session_end(session, EXIT_DONE);
        return;
    }
    if (WIFEXITED(status)) {
        fprintf(stderr, "yomo lock: the command ended with %d\n", WEXITSTATUS(status));
    } else {
        fprintf(stderr, "yomo lock: the command was ended by signal %d\n",
                WTERMSIG(status));
    }
    session_end(session, EXIT_FAILED);
}

static uint64_t on_tick(struct session *session, uint64_t now)
{
    struct lock *lock = session->user;
    int status;

    if (lock->command != 0 && waitpid(lock->command, &status, WNOHANG) > 0) {
        lock->command = 0;
        ended(session, status);
    }
    return lock->command != 0 ? now + LOOK_MS : UINT64_MAX;
}

/* The lock is held until the command has ended. */
static void on_ending(struct session *session)
{
    struct lock *lock = session->user;
    const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000};
    int number = SIGTERM;

    for (int ms = 0; lock->command != 0; ms += LOOK_MS) {
        if (ms == 0 || ms == PATIENCE) {
            kill(-lock->command, number);
            number = SIGKILL;
        }
        if (waitpid(lock->command, NULL, WNOHANG) != 0) {
            lock->command = 0;
        } else {
            nanosleep(&pause, NULL);
        }
    }
}

static int run(struct args *args)
{
    static const struct session_events events = {
        .on_joined = on_joined,
        .on_lock = on_lock,
        .on_sent = on_sent,
        .on_tick = on_tick,
        .on_ending = on_ending,
    };
    struct lock lock = {
        .lease_ms = args_ms(args, "lease"),
        .wait_ms = args_ms(args, "wait"),
    };
    struct session session = {
        .args = args,
        .events = &events,
        .user = &lock,
        .signal_code = EXIT_FAILED,
    };

    if (lock.lease_ms == 0) {
        fprintf(stderr, "yomo lock: --lease must be more than 0\n");
        return EXIT_USAGE;
    }
    return session_run(&session, args->arguments[1], NULL);
}

static const struct flag flags[] = {
    {"lease", YOMO_TYPE_DURATION, "15s", NULL, NULL,
     "How long the lock stays taken when this program is not heard of any more; the "
     "backend's lease-max at most."},
    {"wait", YOMO_TYPE_DURATION, "0", NULL, NULL,
     "How long to wait in line while somebody else has it. 0: not at all."},
    SESSION_FLAGS,
    LOG_FLAG("warn"),
    {0},
};

const struct command lock_command = {
    .name = "lock",
    .arguments = "URL ROOM KEY COMMAND",
    .summary = "Run a command while holding a lock of a room.",
    .text =
        "URL is where the backend is, such as https://localhost:8443; ROOM is the "
        "name of a room, which is joined meanwhile; KEY names the lock; COMMAND is "
        "run by /bin/sh, in a process group of its own. In its environment "
        "YOMO_LOCK_VERSION is the lock's version, which grows from holder to holder: "
        "hand it to what you write to, which can then refuse those from before.\n"
        "\n"
        "When the lock is lost, or a signal comes, the command gets SIGTERM, and "
        "SIGKILL two seconds later. The exit code is 0 when the command ended with 0, "
        "1 when it did not, when the lock was lost, or somebody else had it, and 5 "
        "when --wait was over.",
    .scope = YOMO_SCOPE_CLIENT,
    .flags = flags,
    .run = run,
};
