/* SPDX-License-Identifier: MIT */
/* fault.h - an allocator that fails when it is told to, and counts what is not freed.
 *
 *     static void body(struct fault *fault, void *user)
 *     {
 *         struct thing *thing;
 *         if (thing_create(&thing, &fault->mem) != YOMO_OK) {
 *             assert_true(fault->failed);
 *             return;
 *         }
 *         thing_destroy(thing);
 *     }
 *     ...
 *     fault_each(body, NULL);
 *
 * Fresh memory is filled with 0xa5 and freed memory with 0xdd; realloc always moves.
 * Counters are atomic: the allocator may be used from several threads. */
#ifndef TESTS_SUPPORT_FAULT_H
#define TESTS_SUPPORT_FAULT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <yomo/types.h>

enum fault_mode {
    FAULT_ONCE, /* the n-th allocation fails, later ones do not */
    FAULT_FROM  /* the n-th and all later ones fail */
};

struct fault {
    struct yomo_mem mem; /* hand this to the code under test */
    size_t nth;          /* which allocation fails, from 1; 0: none */
    enum fault_mode mode;
    atomic_size_t calls;  /* allocations asked for so far, failed ones included */
    atomic_size_t blocks; /* not freed yet */
    atomic_size_t bytes;  /* not freed yet */
    atomic_size_t bytes_peak;
    atomic_bool failed; /* an allocation has failed */
};

/* `nth` 0: an allocator that only counts. */
void fault_init(struct fault *fault, size_t nth, enum fault_mode mode);

/* Let the `nth` allocation from now on fail (0: none). */
void fault_arm(struct fault *fault, size_t nth, enum fault_mode mode);

/* Fail the test when something is not freed. */
void fault_assert_no_leak(const struct fault *fault);

/* Run `body` with the first allocation failing, then with the second, and so on, in
 * both modes, until a run in which none failed. Each run must free what it allocated.
 * Returns how many allocations a run without failure makes. */
size_t fault_each(void (*body)(struct fault *fault, void *user), void *user);

#endif
