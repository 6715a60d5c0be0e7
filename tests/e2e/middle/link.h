/* SPDX-License-Identifier: MIT */
/* link.h - the relay of tests/support/link, as a child of the test. */
#ifndef TESTS_E2E_MIDDLE_LINK_H
#define TESTS_E2E_MIDDLE_LINK_H

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct link_child {
    pid_t pid;
    FILE *orders, *answers;
    uint16_t port;
};

/* To `port` of 127.0.0.1, seeded with $YOMO_SEED or 1 and told on stderr. `orders`:
 * what it is to do from the start, NULL at the end. */
void link_begin(struct link_child *link, uint16_t port, const char *const *orders);
void link_do(struct link_child *link, const char *order);
/* Its counts, as JSON: how many packets it has seen, up or down. */
void link_counts(struct link_child *link, char *out, size_t size);
void link_end(struct link_child *link);

#endif
