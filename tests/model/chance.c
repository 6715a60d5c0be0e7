/* SPDX-License-Identifier: MIT */
#include "chance.h"

#include <string.h>

#define BEGIN (1000 * YO_SECOND)
#define WALL_BEGIN UINT64_C(1700000000000)

uint64_t __wrap_uv_hrtime(void);
uint64_t __wrap_yo_wall_ms(void);
void __wrap_yo_rand_bytes(void *bytes, size_t size);
uint64_t __wrap_yo_rand_session(void);

yo_time model_now = BEGIN;

/* The program's chance, and the library's: what one uses up is not missing to the
 * other, so that a change in the library does not change what the program does. */
static struct yo_rand ours, theirs;

void chance_seed(uint64_t seed)
{
    model_now = BEGIN;
    yo_rand_seed(&ours, seed);
    yo_rand_seed(&theirs, ~seed);
}

uint64_t chance_below(uint64_t limit)
{
    return yo_rand_below(&ours, limit);
}

bool chance_of(unsigned percent)
{
    return yo_rand_below(&ours, 100) < percent;
}

uint64_t __wrap_uv_hrtime(void)
{
    return model_now;
}

uint64_t __wrap_yo_wall_ms(void)
{
    return WALL_BEGIN + (model_now - BEGIN) / YO_MS;
}

void __wrap_yo_rand_bytes(void *bytes, size_t size)
{
    uint8_t *out = bytes;
    for (size_t i = 0; i < size; i++) {
        out[i] = (uint8_t)yo_rand_next(&theirs);
    }
}

uint64_t __wrap_yo_rand_session(void)
{
    return 1 + (yo_rand_next(&theirs) >> 12);
}
