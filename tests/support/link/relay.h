/* SPDX-License-Identifier: MIT */
/* relay.h - UDP and TCP from one port to another, over two paths.
 *
 * Each client address has a socket of its own towards the target, as behind a NAT;
 * rebinding gives each of them a new one, so that the target sees new addresses. */
#ifndef TESTS_SUPPORT_LINK_RELAY_H
#define TESTS_SUPPORT_LINK_RELAY_H

#include <sys/socket.h>

#include "path.h"

enum { RELAY_UP, RELAY_DOWN, RELAY_WAYS }; /* towards the target, and back */

#define RELAY_FLOWS_MAX 64 /* UDP client addresses, and TCP connections; each */

struct relay;

struct relay_options {
    const char *host; /* numeric, to listen on */
    uint16_t port;    /* 0: any that is free for both */
    const char *target_host;
    uint16_t target_port;
    uint64_t seed;
};

/* NULL, and `why` says why. */
struct relay *relay_create(const struct relay_options *options, const char **why);
void relay_destroy(struct relay *relay);

uint16_t relay_port(const struct relay *relay);
struct path *relay_path(struct relay *relay, int way); /* what happens to UDP */
struct path *relay_tcp_path(struct relay *relay, int way);
void relay_rebind(struct relay *relay);
void relay_stall(struct relay *relay, bool stalled); /* TCP: nothing moves */
void relay_cut(struct relay *relay);                 /* TCP: reset what stands */

/* Wait for the network, for time, or for `fd` to be readable; do what is due. Returns
 * whether `fd` is readable. */
bool relay_turn(struct relay *relay, int fd);

#endif
