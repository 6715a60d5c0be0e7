/* SPDX-License-Identifier: MIT */
#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

/* Of the process, as its signals are. */
static int pipe_ends[2] = {-1, -1};
static volatile sig_atomic_t ending;

/* A full pipe has enough in it already to wake the reader. */
void signals_post(int number)
{
    int saved = errno;
    unsigned char byte = (unsigned char)number;
    ssize_t written = write(pipe_ends[1], &byte, 1);

    (void)written;
    errno = saved;
}

static void caught(int number)
{
    if (number != SIGWINCH && number != SIGHUP) {
        ending = 1;
    }
    signals_post(number);
}

static int set_flags(int fd)
{
    return fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

int signals_catch(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGWINCH};
    struct sigaction action;

    if (pipe(pipe_ends) != 0 || !set_flags(pipe_ends[0]) || !set_flags(pipe_ends[1])) {
        return -1;
    }
    memset(&action, 0, sizeof(action));
    sigemptyset(&action.sa_mask);
    action.sa_handler = caught; /* no SA_RESTART: what waits is to wake up */
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        sigaction(numbers[i], &action, NULL);
    }
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
    return pipe_ends[0];
}

int signals_take(void)
{
    unsigned char byte;

    return read(pipe_ends[0], &byte, 1) == 1 ? byte : 0;
}

bool signals_ending(void)
{
    return ending != 0;
}
