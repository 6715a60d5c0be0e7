/* SPDX-License-Identifier: MIT */
/* rand.c - the one place in base/ that asks the operating system for anything. */
#include "base/rand.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/check.h"

#define CHUNK_SIZE 256 /* what both kernels give whole, once they give at all */

/* How many of `size` bytes the kernel gave, or -1 with errno. */
static ptrdiff_t ask_kernel(uint8_t *bytes, size_t size)
{
#if defined(__APPLE__)
    return getentropy(bytes, size) == 0 ? (ptrdiff_t)size : -1;
#else
    return getrandom(bytes, size, 0);
#endif
}

void yo_rand_bytes(void *bytes, size_t size)
{
    uint8_t *at = bytes;

    while (size > 0) {
        ptrdiff_t got = ask_kernel(at, size < CHUNK_SIZE ? size : CHUNK_SIZE);
        if (got > 0) {
            at += got;
            size -= (size_t)got;
        } else if (got == 0 || errno != EINTR) {
            fputs("yomo: the system has no random numbers to give\n", stderr);
            abort();
        }
    }
}

uint64_t yo_rand_session(void)
{
    uint64_t id = 0;

    while (id == 0) {
        yo_rand_bytes(&id, sizeof(id));
        id >>= 11;
    }
    return id;
}

/* splitmix64 spreads a small seed over the whole state, which must not be all zeros. */
void yo_rand_seed(struct yo_rand *rand, uint64_t seed)
{
    for (size_t i = 0; i < 4; i++) {
        uint64_t z = (seed += UINT64_C(0x9e3779b97f4a7c15));
        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        rand->s[i] = z ^ (z >> 31);
    }
}

static uint64_t rotate(uint64_t x, unsigned bits)
{
    return (x << bits) | (x >> (64 - bits));
}

/* xoshiro256** (Blackman, Vigna 2018). */
uint64_t yo_rand_next(struct yo_rand *rand)
{
    uint64_t *s = rand->s;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

/* The lowest 2^64 mod limit results are drawn again, so that no value is favoured. */
uint64_t yo_rand_below(struct yo_rand *rand, uint64_t limit)
{
    uint64_t x;

    assert(limit > 0);
    do {
        x = yo_rand_next(rand);
    } while (x < (0 - limit) % limit);
    return x % limit;
}
