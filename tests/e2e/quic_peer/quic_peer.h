/* SPDX-License-Identifier: MIT */
/* quic_peer.h - a QUIC client that does whatever it is told: for tests of servers.
 *
 * It shakes hands and knows nothing more: no HTTP/3, no WebTransport, no rule about
 * what goes on which stream. What it sends are bytes that a test has made; what happens
 * to it is told in lines of JSON. It aborts where the machine fails it: a test is then
 * broken, not the server. */
#ifndef QUIC_PEER_H
#define QUIC_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct quic_peer;

struct quic_peer_options {
    uint16_t port;     /* on 127.0.0.1 */
    uint64_t window;   /* credit at the start, for each stream */
    uint64_t all;      /* and for all of them; 0: 4 windows */
    uint64_t streams;  /* of each kind that the server may open */
    bool hold;         /* never give credit back but when told to */
    bool no_datagrams; /* take none */
    bool stop_halfway; /* say nothing more after the first flight */
};

/* Begins the handshake. */
struct quic_peer *quic_peer_create(const struct quic_peer_options *options);
void quic_peer_destroy(struct quic_peer *peer);

/* What is sent goes out with quic_peer_run. Bytes are copied. */

/* A new stream under `name`, as soon as the server allows one: "opened" is told. One at
 * a time. */
void quic_peer_open(struct quic_peer *peer, const char *name, bool bidirectional);
/* False: there was never a stream of that name. Nothing happens to one that is over. A
 * number is the ID of one of the server's. */
bool quic_peer_write(struct quic_peer *peer, const char *name, const uint8_t *bytes,
                     size_t size, bool end);
bool quic_peer_reset(struct quic_peer *peer, const char *name, uint64_t code);
bool quic_peer_stop(struct quic_peer *peer, const char *name, uint64_t code);
bool quic_peer_credit(struct quic_peer *peer, const char *name, uint64_t size);
void quic_peer_datagram(struct quic_peer *peer, const uint8_t *bytes, size_t size);

enum quic_peer_last { QUIC_PEER_GO_ON, QUIC_PEER_END, QUIC_PEER_RESET };

/* `count` streams one after the other, as fast as the server allows them, each with
 * these bytes and then left open, ended or reset. "flooded" is told when all of them
 * have said it. */
void quic_peer_flood(struct quic_peer *peer, uint64_t count, bool bidirectional,
                     const uint8_t *bytes, size_t size, enum quic_peer_last last);

/* These frames in a packet of their own, past all that QUIC lets a client do; ngtcp2
 * takes them for a datagram. */
void quic_peer_frames(struct quic_peer *peer, const uint8_t *bytes, size_t size);

/* Bytes past QUIC, from the same address. */
void quic_peer_raw(struct quic_peer *peer, const uint8_t *bytes, size_t size);
/* The next `count` packets go out with one bit turned. */
void quic_peer_garble(struct quic_peer *peer, uint64_t count);
/* Hear and say nothing any more. */
void quic_peer_hang(struct quic_peer *peer);
void quic_peer_close(struct quic_peer *peer, uint64_t code);

int quic_peer_fd(const struct quic_peer *peer);         /* readable: run it */
int quic_peer_timeout_ms(const struct quic_peer *peer); /* -1: for ever */

/* Take what came, send what is due. False: it is over. */
bool quic_peer_run(struct quic_peer *peer);

/* The first packet of a client that has never been and will never be, a line of
 * hexadecimal on stdout. */
void quic_peer_print_first(const struct quic_peer_options *options);

#endif
