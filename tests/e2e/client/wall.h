/* SPDX-License-Identifier: MIT */
/* wall.h - a firewall in front of a server: TCP gets through, UDP vanishes.
 *
 * It listens on a port of its own, on 127.0.0.1, with both protocols. */
#ifndef TESTS_E2E_WALL_H
#define TESTS_E2E_WALL_H

#include <pthread.h>
#include <stdint.h>

#define WALL_CONNECTIONS_MAX 8

struct wall {
    uint16_t port, behind;
    int tcp, udp, stop[2];
    int count; /* connections, each with two ends */
    int ends[WALL_CONNECTIONS_MAX][2];
    pthread_t thread;
};

void wall_begin(struct wall *wall, uint16_t behind); /* the server's port */
void wall_end(struct wall *wall);

#endif
