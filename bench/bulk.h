/* SPDX-License-Identifier: MIT */
/* bulk.h - much data through one connection, over WebTransport and over bare QUIC.
 *
 * A client and a server, each with a loop and a thread of its own, on loopback. Both
 * ways use the same UDP code (GSO, batches), TLS contexts, windows and packet sizes;
 * what they differ in is HTTP/3, WebTransport and the library's streams. The client
 * sends, the server throws away. What is shown is what the server received in the time
 * that it measured. */
#ifndef YOMO_BENCH_BULK_H
#define YOMO_BENCH_BULK_H

#include <stdatomic.h>
#include <stdint.h>
#include <time.h>
#include <yomo/error.h>

#include "loop/udp.h"
#include "transport/tls/context.h"

#define BULK_STREAM_WINDOW 65536 /* as YO_WT_STREAM_WINDOW, and so on */
#define BULK_STREAM_WINDOW_MAX 1048576
#define BULK_CONN_WINDOW 262144
#define BULK_CONN_WINDOW_MAX 2097152
#define BULK_STREAMS_MAX 100
#define BULK_IDLE (30 * YO_SECOND)

enum bulk_phase { BULK_WARM, BULK_MEASURE, BULK_DONE };

struct bulk {
    unsigned streams; /* 0: datagrams */
    unsigned size;    /* of a datagram */
    double seconds;   /* 0: until somebody says BULK_DONE */
    struct yo_tls_server *server_tls;
    struct yo_tls_client *client_tls;
    const struct yomo_mem *server_mem;
    _Atomic(uint16_t) port; /* the server's, once it listens */
    atomic_int phase;
    atomic_ullong
        sent; /* datagrams that the client's session took, since it measures */
    /* The result. */
    uint64_t bytes, units; /* units: datagrams */
    uint64_t resumed;      /* handshakes, of all */
    double wall, server_cpu, client_cpu;
    /* The server thread's. */
    double began;
    uint64_t bytes_before, units_before;
};

/* The server's thread calls this whenever it has received something, with all that it
 * has received so far: it is what makes the phases. */
void bulk_received(struct bulk *bulk, uint64_t bytes, uint64_t units);

/* Looks at the phase from time to time: how much CPU time the thread needed while it
 * was BULK_MEASURE, and that it is BULK_DONE. */
struct bulk_watch {
    struct yo_timer timer;
    struct bulk *bulk;
    double cpu;
    enum bulk_phase seen;
    void (*done)(void *user);
    void *user;
};
void bulk_watch(struct bulk_watch *watch, struct bulk *bulk, struct yo_loop *loop,
                void (*done)(void *user), void *user);

int bulk_socket(uint16_t *port); /* of loopback */
struct yo_loop *bulk_loop(const struct yomo_mem *mem);
double bulk_clock(clockid_t clock);

/* The two threads of each kind: `arg` is the struct bulk. */
void *bulk_quic_server(void *arg);
void *bulk_quic_client(void *arg);
void *bulk_wt_server(void *arg);
void *bulk_wt_client(void *arg);

/* Sessions one after the other or, if they `stay`, side by side; each with `streams` of
 * one byte. `resumed`: with one TLS context, which has tickets after the first. */
struct bulk_visits {
    unsigned count, streams;
    bool resumed, stay;
    size_t (*held)(void); /* what the server's allocator has given out */
    size_t nobody, sessions,
        streamed; /* its value before, with all, with their streams */
    double wall;
};
void bulk_wt_visits(struct bulk *bulk, struct bulk_visits *visits);

/* A benchmark that cannot be set up has nothing to say. */
#define BULK_CHECK(condition)                          \
    do {                                               \
        if (!(condition)) {                            \
            fprintf(stderr, "bulk: %s\n", #condition); \
            exit(1);                                   \
        }                                              \
    } while (0)

#endif
