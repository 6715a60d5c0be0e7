/* SPDX-License-Identifier: MIT */
/* contract.h - one suite for every transport: the five promises of transport.h.
 *
 * A transport brings a `struct contract` that makes a pair of connected ends; the suite
 * talks to nothing else. Both ends write down what happens to them, and check while
 * they do it that no callback comes inside a call, and none after on_closed. */
#ifndef TESTS_CONTRACT_H
#define TESTS_CONTRACT_H

#include "base/buf.h"
#include "loop/loop.h"
#include "transport/transport.h"

#define CONTRACT_MESSAGE_MAX (1 << 20)
#define CONTRACT_QUEUE_MAX (1 << 20)
#define CONTRACT_KINDS 3 /* YO_LANE_DATAGRAM, _CONTROL, _ROOMS */

struct contract_end {
    struct yo_conn *conn; /* NULL once closed */
    struct yo_loop *loop;
    int opened, closed, writable;
    struct yo_close why; /* `text` points to `text` */
    char text[128];
    size_t messages[CONTRACT_KINDS], bytes; /* heard, by kind of lane */
    struct yo_buf heard[CONTRACT_KINDS];    /* their bytes, one behind the other */
    uint32_t expect_seq[8]; /* numbered messages: the next one by lane */
    size_t acked, lost;
    uint64_t fates; /* a bit for each token below 64 */
    void (*on_message)(struct contract_end *end,
                       struct yo_span message);    /* may be NULL */
    void (*on_writable)(struct contract_end *end); /* may be NULL */
    void (*on_closed)(struct contract_end *end);   /* may be NULL */
    void *user;
};

struct contract_world {
    struct yo_loop *loops[2]; /* may be the same one: the server's, the client's */
    struct contract_end server, client;
    uint64_t silence_ms;
    void *inside; /* the transport's own */
};

struct contract {
    const char *name;
    enum yomo_transport_kind kind;
    bool secure;
    bool sockets; /* a peer can fall silent */
    /* Fill in the loops; they are the suite's to close. */
    void (*start)(struct contract_world *world);
    /* Connect world->client and world->server; both are open on return. */
    void (*connect)(struct contract_world *world);
    /* Let go of everything but the loops; the connections are closed. */
    void (*stop)(struct contract_world *world);
};

extern const struct yo_conn_events contract_events; /* user: a contract_end */

/* One turn of each loop. */
void contract_turn(struct contract_world *world);

#define CONTRACT_UNTIL(world, condition)                   \
    do {                                                   \
        uint64_t contract_end_ms = yo_wall_ms() + 20000;   \
        while (!(condition)) {                             \
            if (yo_wall_ms() > contract_end_ms) {          \
                fail_msg("%s did not happen", #condition); \
            }                                              \
            contract_turn(world);                          \
        }                                                  \
    } while (0)

/* Run the whole suite. Returns how many tests failed. */
int contract_run(const struct contract *contract);

#endif
