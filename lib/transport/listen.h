/* SPDX-License-Identifier: MIT */
/* listen.h - one worker's doors: UDP for HTTP/3, TCP for HTTPS, TCP for plain HTTP.
 *
 * The listener takes sockets that are already bound (the server binds them once and
 * shares the port between workers) and turns what comes in into requests, connections
 * (transport.h) and HTTP exchanges (http/exchange.h). */
#ifndef YO_TRANSPORT_LISTEN_H
#define YO_TRANSPORT_LISTEN_H

#include "transport/crowd/crowd.h"
#include "loop/loop.h"
#include "loop/network.h"
#include "loop/tcp.h"
#include "loop/udp.h"
#include "transport/http/exchange.h"
#include "transport/tls/context.h"
#include "transport/transport.h"

struct yo_listener;
struct yo_incoming; /* one request that waits for its answer */

struct yo_listener_events {
    /* Decide with yo_incoming_accept or _refuse, now or later. */
    void (*on_request)(void *user, struct yo_incoming *incoming,
                       const struct yo_request *request, yo_time now);
    /* The client went away before the answer: `incoming` is gone when this returns. Not
     * called once it was accepted or refused. */
    void (*on_gone)(void *user, struct yo_incoming *incoming, yo_time now);
    /* A plain HTTP request (GET or HEAD of a page, ...): answer the exchange, or hold
     * it. */
    void (*on_http)(void *user, struct yo_exchange *exchange, yo_time now);
    /* A client that broke the rules of QUIC or HTTP, or asked for nothing in time, is sent
     * away: why, in a few words. Both texts are lent. Not for failed handshakes, which
     * are logged by their number, nor for what a connection's on_closed tells. */
    void (*on_fault)(void *user, const char *address, const char *text, yo_time now);
    /* A QUIC packet whose connection ID names another worker: hand it over there and
     * give it to that worker's yo_listener_packet. Bytes are lent. */
    void (*on_foreign_packet)(void *user, uint32_t worker, const struct yo_packet *packet,
                              yo_time now);
};

struct yo_listener_options {
    uint32_t worker, workers;     /* which one this is, for connection IDs */
    const uint8_t *secret;        /* 32 bytes, the same for all workers and restarts:
                                     connection IDs, stateless reset, retry, tokens */
    size_t message_size_max;      /* larger messages close their connection */
    size_t queue_size_max;        /* bytes `send` takes before AGAIN, for each connection */
    uint64_t handshake_ms;        /* for TLS, HTTP and CONNECT together */
    uint64_t idle_ms;             /* QUIC idle timeout */
    uint64_t keepalive_ms;        /* QUIC PING, WebSocket ping after this much silence */
    uint64_t silence_ms;          /* WebSocket: closed after this much silence */
    uint32_t handshakes_max;      /* at once; past it QUIC gets Retry, TCP is closed */
    struct yo_crowd *crowd;       /* counts connections, for all doors of all workers;
                                     NULL: each door has its own, with: */
    uint32_t connections_max, connections_per_address_max; /* 0: no limit */
    struct yo_networks trusted_proxies; /* TCP peers whose X-Forwarded-For is believed;
                                           lent for the listener's life */
    enum yo_congestion congestion; /* QUIC's */
    uint32_t webtransport_sessions; /* on one connection; 0: 1 */
    uint64_t key_update_packets;  /* new keys after so many sent packets; 0: QUIC's limit */
    const char *qlog_dir;         /* NULL: none */
    bool allow_host_any;          /* plain listener: do not insist on a loopback Host */
};

/* Which kinds of connection there are now and since the start, for metrics. */
struct yo_listener_stats {
    uint64_t accepted_webtransport, accepted_websocket, refused;
    uint64_t handshakes_failed, connections_now, handshakes_now;
    /* TLS handshakes that succeeded, without a ticket and with one. */
    uint64_t handshakes_tcp_full, handshakes_tcp_resumed;
    uint64_t handshakes_quic_full, handshakes_quic_resumed;
    uint64_t packets_in, packets_out, packets_bad, bytes_in, bytes_out;
    uint64_t retries, proven_retry, proven_token, version_negotiations;
    uint64_t stateless_resets, key_updates, datagrams_lost, messages_bad;
};

int yo_listener_create(struct yo_listener **out, struct yo_loop *loop,
                       const struct yo_listener_options *options,
                       const struct yo_listener_events *events, void *user);

/* Add doors; the listener owns `fd` from here, also after an error. */
int yo_listener_add_udp(struct yo_listener *listener, int fd);
int yo_listener_add_tls(struct yo_listener *listener, int fd);
int yo_listener_add_plain(struct yo_listener *listener, int fd);
/* The operator's: pages only, which know it (yo_exchange_admin). Who comes by it is not
 * counted among connections and gets in when the others are full. Without TLS it is for
 * this machine alone, whatever allow_host_any says. */
int yo_listener_add_admin(struct yo_listener *listener, int fd, bool secure);

/* New connections use `tls` from here on; takes a reference. Needed before the first
 * UDP or TLS door. */
void yo_listener_set_tls(struct yo_listener *listener, struct yo_tls_server *tls);

/* Accept: the connection is open when this returns; its first messages come from the
 * loop. NULL when the client has gone or memory is short: on_gone does not follow. */
struct yo_conn *yo_incoming_accept(struct yo_incoming *incoming,
                                   const struct yo_response *response,
                                   const struct yo_conn_events *events, void *user);

/* Accept what came over WebTransport as a bare session, open; listen to it before this
 * turn ends. NULL as above, or when it came over something else. */
struct yo_wt_session;
struct yo_wt_session *yo_incoming_accept_session(struct yo_incoming *incoming,
                                                 const struct yo_response *response);

/* Refuse with an HTTP status. */
void yo_incoming_refuse(struct yo_incoming *incoming, const struct yo_response *response);

/* Accept and close at once with `how`: for clients that see no HTTP status (a browser's
 * WebSocket) and would come back for ever. */
void yo_incoming_dismiss(struct yo_incoming *incoming, const struct yo_close *how);

/* Who is to be told, instead of the listener's on_gone, that the client went away
 * before the answer. NULL: nobody in particular. */
void yo_incoming_set_gone(struct yo_incoming *incoming, void (*gone)(void *user),
                          void *user);
/* It has gone. False: nobody in particular wanted to know. */
bool yo_incoming_tell_gone(struct yo_incoming *incoming);

/* The caller's mark on a request that waits. */
void yo_incoming_set_user(struct yo_incoming *incoming, void *user);
void *yo_incoming_user(const struct yo_incoming *incoming);

/* A packet that another worker received. */
void yo_listener_packet(struct yo_listener *listener, const struct yo_packet *packet,
                        yo_time now);

void yo_listener_stats(const struct yo_listener *listener, struct yo_listener_stats *stats);

/* No new connections; those that stand go on. */
void yo_listener_drain(struct yo_listener *listener);

/* Close doors and abort what is left (close connections first). `on_closed` comes from
 * the loop when nothing is left. */
void yo_listener_close(struct yo_listener *listener, void (*on_closed)(void *user),
                       void *user);

#endif
