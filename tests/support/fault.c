/* SPDX-License-Identifier: MIT */
/* fault.c - each block has its size in front of it. */
#include "support/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RUNS_MAX 100000 /* a body that never gets through is a test that never ends */

union header {
    size_t size;
    max_align_t align;
};

static bool must_fail(struct fault *fault)
{
    size_t call = atomic_fetch_add(&fault->calls, 1) + 1;

    if (fault->nth == 0 || call < fault->nth ||
        (fault->mode == FAULT_ONCE && call > fault->nth)) {
        return false;
    }
    atomic_store(&fault->failed, true);
    return true;
}

static void count_peak(struct fault *fault, size_t bytes)
{
    size_t peak = atomic_load(&fault->bytes_peak);

    while (bytes > peak &&
           !atomic_compare_exchange_weak(&fault->bytes_peak, &peak, bytes)) {
    }
}

static void *allocate(void *user, size_t size)
{
    struct fault *fault = user;
    union header *header;

    if (must_fail(fault) || size > SIZE_MAX / 2) {
        return NULL;
    }
    header = malloc(sizeof(*header) + size);
    if (!header) {
        return NULL;
    }
    header->size = size;
    memset(header + 1, 0xa5, size);
    atomic_fetch_add(&fault->blocks, 1);
    count_peak(fault, atomic_fetch_add(&fault->bytes, size) + size);
    return header + 1;
}

static void release(void *user, void *memory)
{
    struct fault *fault = user;
    union header *header = memory;

    if (!memory) {
        return;
    }
    header--;
    atomic_fetch_sub(&fault->blocks, 1);
    atomic_fetch_sub(&fault->bytes, header->size);
    memset(header + 1, 0xdd, header->size);
    free(header);
}

static void *reallocate(void *user, void *old, size_t size)
{
    void *memory = allocate(user, size);

    if (memory && old) {
        size_t old_size = ((union header *)old - 1)->size;
        memcpy(memory, old, old_size < size ? old_size : size);
        release(user, old);
    }
    return memory;
}

void fault_init(struct fault *fault, size_t nth, enum fault_mode mode)
{
    memset(fault, 0, sizeof(*fault));
    fault->mem = (struct yomo_mem){fault, allocate, reallocate, release};
    fault_arm(fault, nth, mode);
}

void fault_arm(struct fault *fault, size_t nth, enum fault_mode mode)
{
    fault->nth = nth > 0 ? atomic_load(&fault->calls) + nth : 0;
    fault->mode = mode;
    atomic_store(&fault->failed, false);
}

void fault_assert_no_leak(const struct fault *fault)
{
    size_t blocks = atomic_load(&fault->blocks);

    if (blocks > 0) {
        fail_msg("%zu blocks (%zu bytes) were not freed; allocation %zu was to fail",
                 blocks, atomic_load(&fault->bytes), fault->nth);
    }
}

static size_t each(void (*body)(struct fault *fault, void *user), void *user,
                   enum fault_mode mode)
{
    for (size_t nth = 1; nth <= RUNS_MAX; nth++) {
        struct fault fault;
        fault_init(&fault, nth, mode);
        body(&fault, user);
        fault_assert_no_leak(&fault);
        if (!atomic_load(&fault.failed)) {
            return nth - 1;
        }
    }
    fail_msg("still failing after %d runs", RUNS_MAX);
    return 0;
}

size_t fault_each(void (*body)(struct fault *fault, void *user), void *user)
{
    size_t allocations = each(body, user, FAULT_ONCE);

    each(body, user, FAULT_FROM);
    return allocations;
}
