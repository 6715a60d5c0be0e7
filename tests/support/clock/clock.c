/* SPDX-License-Identifier: MIT */
/* clock.c - a wall clock that a test sets, for a process that is started with this in
 * LD_PRELOAD: the file that YOMO_CLOCK_FILE names holds milliseconds (int64_t, this
 * machine's order), which are added to what the kernel says the time is. Other clocks
 * stay as they are. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SHOWN __attribute__((visibility("default")))

static const volatile int64_t *offset;

__attribute__((constructor)) static void open_file(void)
{
    const char *path = getenv("YOMO_CLOCK_FILE");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *map = fd >= 0 ? mmap(NULL, sizeof(*offset), PROT_READ, MAP_SHARED, fd, 0)
                        : MAP_FAILED;

    if (fd >= 0) {
        (void)close(fd);
    }
    if (map == MAP_FAILED) {
        abort(); /* a test that sets nothing proves nothing */
    }
    offset = map;
}

SHOWN int clock_gettime(clockid_t clock, struct timespec *out)
{
    int rv = (int)syscall(SYS_clock_gettime, clock, out);

    if (rv == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) &&
        offset) {
        int64_t ms = *offset;
        out->tv_sec += (time_t)(ms / 1000);
        out->tv_nsec += (long)(ms % 1000) * 1000000;
        if (out->tv_nsec < 0) {
            out->tv_sec--;
            out->tv_nsec += 1000000000;
        } else if (out->tv_nsec >= 1000000000) {
            out->tv_sec++;
            out->tv_nsec -= 1000000000;
        }
    }
    return rv;
}

SHOWN time_t time(time_t *out)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (out) {
        *out = now.tv_sec;
    }
    return now.tv_sec;
}

SHOWN int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    struct timespec now;

    (void)zone;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    out->tv_sec = now.tv_sec;
    out->tv_usec = now.tv_nsec / 1000;
    return 0;
}
