/* SPDX-License-Identifier: MIT */
/* still.c - clocks that stand and random numbers that repeat, in the place of the
 * system's. The linker puts the clocks there (--wrap); getrandom is found here first.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/random.h>

#include "base/time.h"

#define NOW_MS UINT64_C(1700000000000)

uint64_t __wrap_yo_wall_ms(void);
uint64_t __wrap_yo_steady_ms(void);
uint64_t __wrap_uv_hrtime(void);

uint64_t __wrap_yo_wall_ms(void)
{
    return NOW_MS;
}

uint64_t __wrap_yo_steady_ms(void)
{
    return NOW_MS;
}

uint64_t __wrap_uv_hrtime(void)
{
    return NOW_MS * YO_MS;
}

ssize_t getrandom(void *bytes, size_t size, unsigned flags)
{
    static uint64_t state = 1;
    uint8_t *out = bytes;

    (void)flags;
    for (size_t i = 0; i < size; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        out[i] = (uint8_t)(state >> 56);
    }
    return (ssize_t)size;
}
