/* SPDX-License-Identifier: MIT */
/* endpoint.h - QUIC on a set of UDP sockets: packets and time in, packets and events
 * out.
 *
 * A server's endpoint takes new connections; a client's has one that it made. Nothing
 * in this folder owns a socket or reads a clock: loop/ is above (listen_quic.c,
 * dial_quic.c) and a table of arrays is as good (the tests).
 *
 * What is due to be sent goes out in yo_endpoint_turn only. `on_wake` asks for one; it
 * may be called from anywhere, and once is enough until the turn begins. */
#ifndef YO_WEBTRANSPORT_ENDPOINT_H
#define YO_WEBTRANSPORT_ENDPOINT_H

#include <sys/socket.h>

#include "base/log.h"
#include "base/mem.h"
#include "transport/crowd/crowd.h"
#include "transport/tls/context.h"
#include "transport/transport.h"
#include "transport/webtransport/cid.h"

struct yo_endpoint;
struct yo_quic_conn;

struct yo_quic_packet {
    void *socket; /* which one; the owner's own mark */
    const struct sockaddr *local, *remote;
    uint8_t ecn;
    struct yo_span bytes;
};

struct yo_wt_session;

struct yo_endpoint_events {
    /* Room for `size` bytes of packets towards `socket`, or NULL when it takes no more
     * now: then nothing is sent until yo_endpoint_writable. */
    uint8_t *(*space)(void *user, void *socket, size_t size);
    /* What was written there: one packet, or several of `segment` bytes. */
    void (*commit)(void *user, void *socket, const struct sockaddr *local,
                   const struct sockaddr *remote, uint8_t ecn, size_t size,
                   size_t segment);
    /* One packet that may be lost. */
    void (*send)(void *user, const struct yo_quic_packet *packet);
    void (*on_wake)(void *user);

    /* Servers only. A request that waits for yo_quic_accept_session, _refuse or
     * _dismiss; spans are lent for the call. */
    void (*on_request)(void *user, struct yo_wt_session *session,
                       const struct yo_request *request, yo_time now);
    void (*on_gone)(void *user, struct yo_wt_session *session, yo_time now);
    /* A packet for another worker. */
    void (*on_foreign)(void *user, uint16_t worker, const struct yo_quic_packet *packet,
                       yo_time now);
    /* As in listen.h. Servers only. */
    void (*on_fault)(void *user, const char *address, const char *text, yo_time now);
    void (*on_empty)(void *user); /* after yo_endpoint_close: nothing is left */
    /* Bytes of a qlog (JSON text sequences), if asked for; of the connection `id`. */
    void (*on_qlog)(void *user, struct yo_span id, struct yo_span bytes, bool last);
};

struct yo_endpoint_options {
    const struct yomo_mem *mem; /* must outlive the endpoint */
    const struct yo_log *log;   /* the same */
    bool server;
    bool qlog;
    uint16_t worker, workers;
    const uint8_t *secret; /* YO_SECRET_SIZE bytes */
    /* Spans of time; 0: none. `idle` is QUIC's, which begins anew with the first packet
     * that is sent after one was received; `silence` counts from the last one received,
     * and is heeded where `keepalive` is shorter. */
    yo_time handshake, idle, keepalive, silence;
    enum yo_congestion congestion;
    uint64_t key_update_packets; /* new keys after so many sent packets; 0: only when
                                    the cipher's limit is near */
    uint32_t sessions;       /* of WebTransport on one connection; with more than 1 flow
                                control       of sessions is declared, and they are possible
                                where       the peer       declares it too. 0 is 1 */
    uint32_t handshakes_max; /* with more, new ones must prove their address */
    struct yo_crowd *crowd;  /* counts connections; NULL: the endpoint's own, with: */
    uint32_t connections_max, connections_per_address_max; /* 0: no limit */
};

struct yo_endpoint_stats {
    uint64_t accepted, refused, handshakes_failed, connections_now, handshakes_now;
    uint64_t packets_in, packets_out, packets_bad, bytes_in, bytes_out;
    uint64_t handshakes_full, handshakes_resumed; /* that succeeded */
    uint64_t retries, proven_retry, proven_token; /* addresses, by what proved them */
    uint64_t stateless_resets, version_negotiations, foreign, key_updates;
    uint64_t datagrams_lost, messages_bad;
};

/* YOMO_ERR_NOMEM, YOMO_ERR_TLS_SETUP. */
int yo_endpoint_create(struct yo_endpoint **out,
                       const struct yo_endpoint_options *options,
                       const struct yo_endpoint_events *events, void *user);
void yo_endpoint_set_tls(struct yo_endpoint *endpoint, struct yo_tls_server *tls);

/* One packet. `handed_over`: another worker gave it to us, it goes nowhere else. */
void yo_endpoint_packet(struct yo_endpoint *endpoint,
                        const struct yo_quic_packet *packet, bool handed_over,
                        yo_time now);
/* What time brings; yo_endpoint_deadline tells when. A turn is due after it. */
void yo_endpoint_tick(struct yo_endpoint *endpoint, yo_time now);
yo_time yo_endpoint_deadline(const struct yo_endpoint *endpoint);
/* Events that were put off, and all that is to be sent. */
void yo_endpoint_turn(struct yo_endpoint *endpoint, yo_time now);
void yo_endpoint_writable(struct yo_endpoint *endpoint);
bool yo_endpoint_empty(const struct yo_endpoint *endpoint); /* no connection is left */
/* A client's: ICMP says that nobody is there. Believed during the handshake only. */
void yo_endpoint_unreachable(struct yo_endpoint *endpoint, int error);
/* A client's: go on from `local`, by `socket`. `gone`: the address so far is there no
 * more, so the way is changed at once; else when the new one has been validated (RFC 9000
 * 9). YOMO_ERR_STATE: the handshake is not confirmed, the server wants none of it, or
 * has given no connection ID for it yet. */
int yo_endpoint_migrate(struct yo_endpoint *endpoint, void *socket,
                        const struct sockaddr *local, bool gone, yo_time now);
/* By which socket its connection goes now; NULL: there is none. */
void *yo_endpoint_socket(const struct yo_endpoint *endpoint);
void yo_endpoint_stats(const struct yo_endpoint *endpoint,
                       struct yo_endpoint_stats *stats);

void yo_endpoint_drain(struct yo_endpoint *endpoint); /* no new connections */
/* Abort everything; on_empty follows from a turn. Then it may be destroyed. */
void yo_endpoint_close(struct yo_endpoint *endpoint);
void yo_endpoint_destroy(struct yo_endpoint *endpoint); /* accepts NULL */

/* --- Requests (server) ------------------------------------------------------------ */

/* As in listen.h, for the session that on_request named. Listen to an accepted one with
 * yo_wt_session_listen; its events come from the turns that follow. NULL: it has gone,
 * or the answer could not be made. */
struct yo_wt_session *yo_quic_accept_session(struct yo_wt_session *session,
                                             const struct yo_response *response);
void yo_quic_refuse(struct yo_wt_session *session, const struct yo_response *response);
void yo_quic_dismiss(struct yo_wt_session *session, const struct yo_close *how);
/* The mark of who answers a request; without one on_gone does not come. */
void yo_quic_set_user(struct yo_wt_session *session, void *user);
void *yo_quic_user(const struct yo_wt_session *session);

/* --- Clients ---------------------------------------------------------------------- */

struct yo_endpoint_connect {
    void *socket;
    const struct sockaddr *local, *remote;
    struct yo_tls_client *tls;
    struct yo_tls_peer peer;
    const char *authority, *path, *origin; /* origin may be NULL; all are copied */
    struct yo_span fields;                 /* more headers: base/pairs.h; copied */
    struct yo_span protocols; /* offered, best first: subprotocol.h; copied */
};

/* A session that is not open yet: listen with yo_wt_session_listen. YOMO_ERR_NOMEM,
 * YOMO_ERR_TLS_SETUP, YOMO_ERR_INVALID. On an endpoint that has a connection it is
 * another session of that one, for which only the path and what follows it in `options`
 * matter: YOMO_ERR_VERSION when the server, or `sessions`, does
 * not allow several, YOMO_ERR_FULL when there are as many as either allows,
 * YOMO_ERR_CLOSED when the connection is about to end. As long as the server's SETTINGS
 * are not known these errors come with on_end. */
int yo_endpoint_connect_session(struct yo_endpoint *endpoint,
                                const struct yo_endpoint_connect *options,
                                struct yo_wt_session **out, yo_time now);

#endif
