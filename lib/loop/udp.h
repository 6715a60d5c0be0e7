/* SPDX-License-Identifier: MIT */
/* udp.h - one UDP socket: batches in, batches out.
 *
 * A raw socket with uv_poll, since libuv gives no control messages: ECN marks, the local
 * address of each packet, UDP_SEGMENT (GSO) and UDP_GRO where the kernel has them, and
 * recvmmsg/sendmmsg. What the kernel has not is done without; nothing above notices. */
#ifndef YO_LOOP_UDP_H
#define YO_LOOP_UDP_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/span.h"
#include "loop/loop.h"

struct yo_udp;

union yo_address {
    struct sockaddr sa;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

socklen_t yo_address_size(const union yo_address *address);
/* "192.0.2.1:443", "[::1]:443"; `out` has 64 bytes. IPv4-mapped ones are shown as IPv4. */
void yo_address_print(const union yo_address *address, char out[64]);
bool yo_address_loopback(const union yo_address *address);
bool yo_address_equal(const union yo_address *a, const union yo_address *b);
/* From a literal, no name look-up. YOMO_ERR_INVALID. */
int yo_address_parse(union yo_address *address, const char *literal, uint16_t port);
uint16_t yo_address_port(const union yo_address *address);

struct yo_packet {
    const union yo_address *local; /* where it arrived */
    const union yo_address *remote;
    uint8_t ecn; /* the two bits of RFC 3168 */
    struct yo_span bytes;
};

struct yo_udp_events {
    /* Once for each packet of a batch; then on_batch_end once. */
    void (*on_packet)(void *user, const struct yo_packet *packet, yo_time now);
    void (*on_batch_end)(void *user, yo_time now);
    /* After yo_udp_send said YOMO_ERR_AGAIN: there is room again. */
    void (*on_writable)(void *user, yo_time now);
    /* ICMP said that the peer is unreachable (connected sockets only). */
    void (*on_error)(void *user, int error, yo_time now);
};

struct yo_udp_options {
    bool reuse_port;      /* SO_REUSEPORT: several workers on one address */
    bool connected;       /* connect() to `remote`: a client */
    int buffer_size;      /* SO_RCVBUF and SO_SNDBUF; 0: the system's */
};

/* Bind to `local` (port 0: any) or take over `fd` when it is not -1.
 * YOMO_ERR_IN_USE, YOMO_ERR_SYSTEM, YOMO_ERR_NOMEM. */
int yo_udp_open(struct yo_udp **out, struct yo_loop *loop, int fd,
                const union yo_address *local, const union yo_address *remote,
                const struct yo_udp_options *options, const struct yo_udp_events *events,
                void *user);

const union yo_address *yo_udp_local(const struct yo_udp *udp);

/* Queue `bytes` for sending: one packet, or several of `segment` bytes each (the last
 * may be shorter) when segment is smaller than bytes.size. The bytes are copied into the
 * batch. Sends when the batch is full; yo_udp_flush sends the rest.
 * YOMO_ERR_AGAIN: the kernel takes no more now, nothing was queued, on_writable follows. */
int yo_udp_send(struct yo_udp *udp, const union yo_address *local,
                const union yo_address *remote, uint8_t ecn, struct yo_span bytes,
                size_t segment);

/* Where the next packets may be written in place: at least `size` bytes in the batch, or
 * NULL when the batch is full and the kernel takes no more (YOMO_ERR_AGAIN). After
 * writing, yo_udp_commit queues them without a copy. */
uint8_t *yo_udp_space(struct yo_udp *udp, size_t size);
void yo_udp_commit(struct yo_udp *udp, const union yo_address *local,
                   const union yo_address *remote, uint8_t ecn, size_t size, size_t segment);

void yo_udp_flush(struct yo_udp *udp);

/* Sends what is queued, as far as the kernel takes it, and closes. No callback comes
 * after this; the memory goes when libuv is done with it. */
void yo_udp_close(struct yo_udp *udp);

#endif
