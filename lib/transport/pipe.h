/* SPDX-License-Identifier: MIT */
/* pipe.h - a TCP connection with or without TLS: plain bytes for whoever sits on top.
 *
 * Buffers are shared by all pipes of a yard: a pipe that is idle holds none. */
#ifndef YO_TRANSPORT_PIPE_H
#define YO_TRANSPORT_PIPE_H

#include "base/buf.h"
#include "loop/loop.h"
#include "loop/tcp.h"
#include "transport/tls/context.h"

struct yo_pipe;

struct yo_pipe_events {
    void (*on_ready)(void *user, yo_time now);                       /* TLS stands */
    void (*on_bytes)(void *user, struct yo_span bytes, yo_time now); /* lent */
    void (*on_drain)(void *user,
                     yo_time now); /* all that was written is the kernel's */
    /* Nothing more will come: YOMO_ERR_CLOSED for a FIN or a reset, YOMO_ERR_TLS,
     * YOMO_ERR_CERT, ...; `text` is a sentence or absent. What was written before may
     * still be on its way. Once. */
    void (*on_end)(void *user, int error, struct yo_span text, yo_time now);
};

/* What the pipes of one listener or one client share. */
struct yo_pipe_yard {
    struct yo_loop *loop;
    struct yo_buf plain, sealed; /* scratch */
    size_t keep;                 /* how much of them stays when nobody uses them */
    struct yo_link lingering;    /* pipes that nobody owns any more */
    uint64_t bytes_in, bytes_out; /* TLS included; counters, only grow */
    uint64_t handshakes, resumed; /* of TLS that succeeded; with a ticket among them */
    void (*on_gone)(void *user); /* one of these is gone; may be NULL */
    void *user;
};

void yo_pipe_yard_init(struct yo_pipe_yard *yard, struct yo_loop *loop, size_t keep);
void yo_pipe_yard_finish(struct yo_pipe_yard *yard); /* closes those that linger */

/* Takes `tcp`, which is connected, also after an error. YOMO_ERR_NOMEM. */
int yo_pipe_open(struct yo_pipe **out, struct yo_pipe_yard *yard, struct yo_tcp *tcp,
                 const struct yo_pipe_events *events, void *user);

/* Speak TLS from here on; on_ready follows. Before anything was read or written, or
 * between two bytes that both sides know of (CONNECT). YOMO_ERR_NOMEM,
 * YOMO_ERR_TLS_SETUP. */
int yo_pipe_accept_tls(struct yo_pipe *pipe, struct yo_tls_server *tls);
int yo_pipe_connect_tls(struct yo_pipe *pipe, struct yo_tls_client *tls,
                        const struct yo_tls_peer *peer);

/* Another one sits on top from here on. */
void yo_pipe_listen(struct yo_pipe *pipe, const struct yo_pipe_events *events,
                    void *user);

/* YOMO_ERR_NOMEM, YOMO_ERR_CLOSED, YOMO_ERR_TLS; the pipe is then of no more use. */
int yo_pipe_write(struct yo_pipe *pipe, struct yo_span bytes);
size_t yo_pipe_queued(const struct yo_pipe *pipe);
void yo_pipe_pause(struct yo_pipe *pipe, bool paused);
const union yo_address *yo_pipe_remote(const struct yo_pipe *pipe);

/* The three ends; no callback comes after any of them.
 * linger: what is written still goes out, then FIN; what comes is thrown away until the
 * peer's FIN, for at most `time`, or YO_PIPE_LINGER_MAX as long as the peer takes at
 * least YO_PIPE_PROGRESS bytes in each `time`. close: at once. reset: at once, with
 * RST. */
#define YO_PIPE_PROGRESS 4096
#define YO_PIPE_LINGER_MAX (60 * YO_SECOND)

void yo_pipe_linger(struct yo_pipe *pipe, yo_time time);
void yo_pipe_close(struct yo_pipe *pipe);
void yo_pipe_reset(struct yo_pipe *pipe);

#endif
