/* SPDX-License-Identifier: MIT */
/* tcp.h - listening and connected TCP sockets, on libuv. */
#ifndef YO_LOOP_TCP_H
#define YO_LOOP_TCP_H

#include "loop/loop.h"
#include "loop/udp.h" /* union yo_address */

struct yo_tcp;
struct yo_tcp_listener;

struct yo_tcp_events {
    void (*on_connect)(void *user, struct yo_tcp *tcp, int error, yo_time now); /* clients */
    /* `bytes` is lent for the call. */
    void (*on_read)(void *user, struct yo_tcp *tcp, struct yo_span bytes, yo_time now);
    void (*on_end)(void *user, struct yo_tcp *tcp, yo_time now); /* FIN from the peer */
    /* All that was written has left for the kernel. */
    void (*on_drain)(void *user, struct yo_tcp *tcp, yo_time now);
    /* Reset, or a write failed. Close it. */
    void (*on_error)(void *user, struct yo_tcp *tcp, int error, yo_time now);
};

/* `fd` -1: bind to `local`. YOMO_ERR_IN_USE, YOMO_ERR_SYSTEM, YOMO_ERR_NOMEM. */
int yo_tcp_listen(struct yo_tcp_listener **out, struct yo_loop *loop, int fd,
                  const union yo_address *local, bool reuse_port,
                  void (*on_accept)(void *user, struct yo_tcp *tcp, yo_time now), void *user);
const union yo_address *yo_tcp_listener_local(const struct yo_tcp_listener *listener);
void yo_tcp_listener_close(struct yo_tcp_listener *listener);

int yo_tcp_connect(struct yo_tcp **out, struct yo_loop *loop, const union yo_address *remote,
                   const struct yo_tcp_events *events, void *user);

/* For an accepted one: who hears of it. Reading starts with this call. */
void yo_tcp_start(struct yo_tcp *tcp, const struct yo_tcp_events *events, void *user);

const union yo_address *yo_tcp_remote(const struct yo_tcp *tcp);

/* Take `bytes` (copied as far as the kernel does not take them at once).
 * YOMO_ERR_NOMEM, YOMO_ERR_CLOSED. */
int yo_tcp_write(struct yo_tcp *tcp, struct yo_span bytes);

/* Bytes that the kernel has not taken yet. */
size_t yo_tcp_queued(const struct yo_tcp *tcp);

/* Stop and start reading: backpressure towards the peer. */
void yo_tcp_pause(struct yo_tcp *tcp, bool paused);

void yo_tcp_end(struct yo_tcp *tcp);   /* FIN after what is queued */
void yo_tcp_close(struct yo_tcp *tcp); /* no callback after this */
void yo_tcp_reset(struct yo_tcp *tcp); /* the same with RST */

#endif
