/* SPDX-License-Identifier: MIT */
/* inside.h - the endpoint's inside; for the files of this folder. */
#ifndef YO_WEBTRANSPORT_INSIDE_H
#define YO_WEBTRANSPORT_INSIDE_H

#include "transport/webtransport/address.h"
#include "transport/webtransport/cid_map.h"
#include "transport/webtransport/conn.h"
#include "transport/webtransport/endpoint.h"
#include "transport/webtransport/memory.h"
#include "transport/webtransport/stub.h"

struct yo_endpoint {
    struct yo_endpoint_options options; /* `secret` is not kept */
    const struct yomo_mem *mem;
    const struct yo_log *log;
    const struct yo_endpoint_events *events;
    void *user;
    struct yo_quic_mem quic_mem;
    struct yo_secrets secrets;
    struct yo_tls_server *tls;

    struct yo_link conns, dirty;
    struct yo_heap timers; /* of connections */
    struct yo_cid_map ids;
    struct yo_budget growth;            /* of all connections' windows */
    struct yo_crowd *crowd, *own_crowd; /* the server's, or else `own_crowd` */
    struct yo_stubs stubs;
    struct yo_quic_conn *only; /* a client's connection: its packets carry no ID */

    bool draining, closing, told_empty;
    bool blocked; /* the socket takes no more */
    bool woken;   /* on_wake was called, the turn has not begun */
    struct yo_endpoint_stats stats;
    double reset_tokens; /* stateless resets that may be sent now */
    yo_time reset_time;
    struct yo_log_pace failures;
};

/* endpoint.c */
void yo_endpoint_wake(struct yo_endpoint *endpoint);
uint8_t *yo_endpoint_space(struct yo_endpoint *endpoint, void *socket, size_t size);
/* `size` bytes at `out`, which is where yo_endpoint_space said. */
void yo_endpoint_sent(struct yo_quic_conn *conn, uint8_t *out, const ngtcp2_path *path,
                      uint8_t ecn, size_t size, size_t segment);
/* One packet by the way. */
void yo_endpoint_send(struct yo_endpoint *endpoint, const ngtcp2_path *path,
                      uint8_t ecn, struct yo_span bytes);

/* accept.c */
void yo_endpoint_unknown(struct yo_endpoint *endpoint,
                         const struct yo_quic_packet *packet, struct yo_span dcid,
                         bool long_header, bool handed_over, yo_time now);
void yo_endpoint_version_negotiation(struct yo_endpoint *endpoint,
                                     const struct yo_quic_packet *packet,
                                     const ngtcp2_version_cid *version);

/* Count it and, not too often, say why. */
void yo_endpoint_handshake_failed(const struct yo_quic_conn *conn);

/* requests: from requests.c to whoever has the endpoint */
void yo_endpoint_hand_up(struct yo_wt_session *session,
                         const struct yo_request *request);

#endif
