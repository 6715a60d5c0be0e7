/* SPDX-License-Identifier: MIT */
/* fake.h - connections without a network, and the dialer that makes them.
 *
 * Nothing happens to one by itself: the test opens it, lets messages arrive, and ends
 * it; what the code under test sends is kept. A close or abort is carried out by
 * fake_settle, as a loop would. */
#ifndef TESTS_CLIENT_FAKE_H
#define TESTS_CLIENT_FAKE_H

#include "base/list.h"
#include "client/connect.h"

#define FAKE_SENT_MAX 256
#define FAKE_CONNS_MAX 16

struct fake_sent {
    uint32_t lane;
    uint64_t token;
    struct yo_blob *message;
};

struct fake_dialer;

struct fake_conn {
    struct yo_conn conn; /* first */
    struct fake_dialer *dialer;
    enum yomo_transport_kind kind;
    bool closing, aborted, ended;
    struct yo_close how;      /* of the close that was asked for */
    size_t datagram_size_max; /* 0: no datagrams */
    int send_result;          /* what `send` says */
    uint32_t ended_lane;
    size_t sent_count;
    struct fake_sent sent[FAKE_SENT_MAX];
};

struct fake_dialer {
    struct yo_dialer dialer; /* hand this to the code under test */
    const struct yomo_mem *mem;
    int dial_result; /* other than 0: dialling fails at once */
    size_t count;    /* dialled so far */
    struct fake_conn *conns[FAKE_CONNS_MAX];
};

void fake_init(struct fake_dialer *dialer, const struct yomo_mem *mem);
void fake_finish(struct fake_dialer *dialer); /* asserts that all have ended */

/* The last one dialled over `kind`, which must be there and not have ended. */
struct fake_conn *fake_last(struct fake_dialer *dialer, enum yomo_transport_kind kind);

void fake_open(struct fake_conn *fake, yo_time now);
void fake_message(struct fake_conn *fake, uint32_t lane, struct yo_span message,
                  yo_time now);
void fake_fate(struct fake_conn *fake, uint64_t token, enum yo_fate fate, yo_time now);
void fake_writable(struct fake_conn *fake, yo_time now);
/* The other side ends it. */
void fake_closed(struct fake_conn *fake, enum yo_close_kind kind, int error,
                 const char *text, yo_time now);
/* Carry out the closes that were asked for. */
void fake_settle(struct fake_dialer *dialer, yo_time now);

#endif
