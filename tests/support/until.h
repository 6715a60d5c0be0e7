/* SPDX-License-Identifier: MIT */
/* until.h - turn a loop until something has happened, or fail after ten seconds.
 *
 * The loop is waited for as a host program with its own poll() does it: yo_loop_fd,
 * yo_loop_timeout_ms and yo_loop_turn. */
#ifndef TESTS_SUPPORT_UNTIL_H
#define TESTS_SUPPORT_UNTIL_H

#include <poll.h>
#include <string.h>
#include <yomo/error.h>

#include "loop/loop.h"

#define UNTIL_MS 10000

/* One turn of `loop`, after a sleep of at most `limit_ms`. */
static inline void until_turn(struct yo_loop *loop, int limit_ms)
{
    struct pollfd pollfd = {.fd = yo_loop_fd(loop), .events = POLLIN};
    int timeout = yo_loop_timeout_ms(loop);
    if (timeout < 0 || timeout > limit_ms) {
        timeout = limit_ms;
    }
    (void)poll(&pollfd, 1, timeout);
    (void)yo_loop_turn(loop);
}

#define UNTIL(loop, condition)                             \
    do {                                                   \
        uint64_t until_end = yo_wall_ms() + UNTIL_MS;      \
        while (!(condition)) {                             \
            if (yo_wall_ms() > until_end) {                \
                fail_msg("%s did not happen", #condition); \
            }                                              \
            until_turn((loop), 50);                        \
        }                                                  \
    } while (0)

/* Close a loop of its own and run it to its end. */
static inline void until_closed(struct yo_loop *loop)
{
    yo_loop_close(loop, NULL, NULL);
    yo_loop_run(loop);
}

#endif
