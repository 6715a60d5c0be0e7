/* SPDX-License-Identifier: MIT */
/* dial.h - one attempt to reach a server over one transport.
 *
 * Resolves the name, tries its addresses (the next one 250 ms after the one before, or
 * at once when that failed: RFC 8305), makes TLS or QUIC, and asks for the path. The
 * result is a yo_conn that reports on_open, or on_closed with the reason. */
#ifndef YO_TRANSPORT_DIAL_H
#define YO_TRANSPORT_DIAL_H

#include "base/url.h"
#include "loop/loop.h"
#include "transport/tls/context.h"
#include "transport/transport.h"

struct yo_dial_options {
    enum yomo_transport_kind transport; /* WEBTRANSPORT or WEBSOCKET */
    bool secure;                        /* WEBSOCKET: TLS below. WEBTRANSPORT always */
    const char *host;                   /* name or literal, without brackets */
    uint16_t port;
    const char *path;      /* with its query: "/v1?yomo=1&id=alice" */
    const char *origin;    /* NULL: none is sent */
    const char *proxy;     /* "http://host:port" for WEBSOCKET through CONNECT; NULL: none */
    bool extension;        /* streams are used (yomo=1) */
    struct yo_tls_client *tls;
    size_t message_size_max;
    size_t queue_size_max;
    uint64_t handshake_ms; /* give up after */
    uint64_t idle_ms, keepalive_ms, silence_ms;
    enum yo_congestion congestion; /* as in listen.h */
    uint64_t key_update_packets;
    uint32_t webtransport_sessions; /* on one connection (dial_quic.h); 0: 1 */
    const char *qlog_dir;
    /* Of a bare session (dial_quic.h): more headers (base/pairs.h), and subprotocols that
     * are offered (webtransport/subprotocol.h). */
    struct yo_span fields, protocols;
    bool migrate; /* WEBTRANSPORT: follow this machine's addresses */
};

/* The connection, not open yet. Strings are copied, `tls` gets a reference.
 * YOMO_ERR_NOMEM, YOMO_ERR_INVALID; everything later comes with on_closed. */
int yo_dial(struct yo_conn **out, struct yo_loop *loop, const struct yo_dial_options *options,
            const struct yo_conn_events *events, void *user);

#endif
