/* SPDX-License-Identifier: MIT */
/* rand.h - numbers nobody can guess, and numbers that can be repeated.
 *
 * yo_rand_bytes is the operating system's generator: session ids, secrets, hash seeds.
 * struct yo_rand is a small seeded generator (xoshiro256**) for jitter and simulations. */
#ifndef YO_BASE_RAND_H
#define YO_BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

/* Fill `bytes`. Aborts when the kernel has no entropy to give: there is no safe way on. */
void yo_rand_bytes(void *bytes, size_t size);

/* A session id: 53 random bits, never 0, so that every language holds it exactly. */
uint64_t yo_rand_session(void);

struct yo_rand {
    uint64_t s[4];
};

void yo_rand_seed(struct yo_rand *rand, uint64_t seed);
uint64_t yo_rand_next(struct yo_rand *rand);
uint64_t yo_rand_below(struct yo_rand *rand, uint64_t limit); /* 0 .. limit-1; limit > 0 */

#endif
