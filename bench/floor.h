/* SPDX-License-Identifier: MIT */
/* floor.h - the least that a fan-out, or a handshake, can cost on this machine.
 *
 * A floor does what no server can leave out, and nothing else: it encrypts each delivery
 * for its receiver and gives it to the kernel. There are no rooms, no protocol state, no
 * timers and no loss. A server's deliveries per CPU-second are shown beside it, measured
 * in the same run. */
#ifndef YOMO_BENCH_FLOOR_H
#define YOMO_BENCH_FLOOR_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct floor_options {
    unsigned peers;   /* receivers, each with a socket of its own */
    unsigned size;    /* bytes of one delivery: the message with its envelope */
    double seconds;   /* how long to send */
};

struct floor_result {
    uint64_t deliveries;
    double cpu_seconds;  /* of the sending thread, user and system */
    double wall_seconds;
};

/* WebTransport datagrams: sendmmsg, one packet for each delivery under AES-128-GCM with
 * header protection, and for every two packets one acknowledgement that is received with
 * recvmmsg and decrypted. */
void floor_quic(const struct floor_options *options, struct floor_result *result);

/* WebSocket: one TLS 1.3 record for each delivery, written to as many TCP sockets. */
void floor_tls(const struct floor_options *options, struct floor_result *result);

/* The server's half of TLS handshakes in memory, with `groups` as OpenSSL names them
 * (NULL: its own choice). `deliveries` are handshakes. */
void floor_handshake(const char *groups, double seconds, struct floor_result *result);

static inline double floor_clock(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* A benchmark that cannot be set up has nothing to say. */
#define FLOOR_CHECK(condition)                                                           \
    do {                                                                                 \
        if (!(condition)) {                                                              \
            perror("floor: " #condition);                                                \
            exit(1);                                                                     \
        }                                                                                \
    } while (0)

#endif
