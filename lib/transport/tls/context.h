/* SPDX-License-Identifier: MIT */
/* context.h - certificates, keys and trust, for TCP and for QUIC alike.
 *
 * A context is immutable and counted: a reload makes a new one, connections that stand
 * keep the old one. Contexts may be shared between workers. */
#ifndef YO_TLS_CONTEXT_H
#define YO_TLS_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/span.h"

struct ssl_ctx_st; /* OpenSSL's SSL_CTX */
struct ssl_st;     /* OpenSSL's SSL */

struct yo_tls_server;
struct yo_tls_client;

struct yo_tls_server_options {
    const char *cert_file; /* PEM chain */
    const char *key_file;  /* PEM */
    const char *ticket_key_file; /* made (0600) when missing, its keys are changed from
                                    time to time, see tickets.h; NULL: none, and tickets
                                    are good with this very context only */
    const char *groups;          /* for the key exchange, as OpenSSL spells them; NULL:
                                    its own choice */
    const char *keylog_file;     /* NULL: none; never from the environment */
};

/* YOMO_ERR_FILE, YOMO_ERR_TLS_SETUP (key does not match, not PEM, ...), YOMO_ERR_NOMEM;
 * `why` gets one sentence with the file's name. */
int yo_tls_server_create(struct yo_tls_server **out, const struct yomo_mem *mem,
                         const struct yo_tls_server_options *options, struct yo_buf *why);
struct yo_tls_server *yo_tls_server_ref(struct yo_tls_server *tls);
void yo_tls_server_unref(struct yo_tls_server *tls);

/* One for TCP (ALPN http/1.1; TLS 1.2 and 1.3), one for QUIC (ALPN h3; TLS 1.3). */
struct ssl_ctx_st *yo_tls_server_tcp(struct yo_tls_server *tls);
struct ssl_ctx_st *yo_tls_server_quic(struct yo_tls_server *tls);

/* SHA-256 of the leaf certificate's DER. */
void yo_tls_server_hash(const struct yo_tls_server *tls, uint8_t out[32]);

#define YO_TLS_PINS_MAX 8

struct yo_tls_client_options {
    const char *ca_file;                 /* PEM; NULL: the system's roots */
    uint8_t pins[YO_TLS_PINS_MAX][32];   /* SHA-256 of a leaf's DER: then nothing else is
                                            asked of the certificate but its dates */
    size_t pin_count;
    const char *dev_state_dir; /* where a server of this user and machine keeps its
                                  development certificate; NULL: the usual place. Trusted
                                  for loopback addresses only, and only when the folder
                                  and file belong to this user and nobody else may write */
    const char *keylog_file;
    bool insecure_no_verify; /* tests and benchmarks only */
};

int yo_tls_client_create(struct yo_tls_client **out, const struct yomo_mem *mem,
                         const struct yo_tls_client_options *options, struct yo_buf *why);
struct yo_tls_client *yo_tls_client_ref(struct yo_tls_client *tls);
void yo_tls_client_unref(struct yo_tls_client *tls);
struct ssl_ctx_st *yo_tls_client_tcp(struct yo_tls_client *tls);
struct ssl_ctx_st *yo_tls_client_quic(struct yo_tls_client *tls);

/* Whom a client wants to reach. */
struct yo_tls_peer {
    const char *host; /* a name or a literal address, for the certificate and SNI */
    uint16_t port;
    bool loopback; /* the address is one, so the development certificate will do */
};

/* Prepare `ssl` (made from one of the contexts above) to verify `peer`: SNI for names,
 * host name or IP address in the certificate, pins, and the development certificate; and
 * to resume an earlier session with it if there is a ticket. `ssl` keeps a reference.
 * YOMO_ERR_NOMEM, YOMO_ERR_TLS_SETUP. */
int yo_tls_client_expect(struct yo_tls_client *tls, struct ssl_st *ssl,
                         const struct yo_tls_peer *peer);
/* The handshake succeeded: what it used up is not used again. */
void yo_tls_client_done(struct ssl_st *ssl);

/* A token that proves the client's address, from the last connection to the same peer
 * over QUIC (RFC 9000 8.1.3); 0 bytes: none. */
#define YO_TLS_TOKEN_MAX 512
size_t yo_tls_client_token(struct ssl_st *ssl, uint8_t out[YO_TLS_TOKEN_MAX]);
void yo_tls_client_keep_token(struct ssl_st *ssl, struct yo_span token);

/* After a failed handshake: YOMO_ERR_CERT when the certificate was the reason, else
 * YOMO_ERR_TLS; `why` gets one sentence. */
int yo_tls_failure(const struct ssl_st *ssl, struct yo_buf *why);

/* SHA-1 for the WebSocket handshake (RFC 6455 1.3), SHA-256 for hashes. */
void yo_sha1(uint8_t out[20], struct yo_span bytes);
void yo_sha256(uint8_t out[32], struct yo_span bytes);

#endif
