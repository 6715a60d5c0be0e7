/* SPDX-License-Identifier: MIT */
/* context.c - what both sides have: two SSL_CTX, since TCP and QUIC differ in versions
 * and ALPN, a count, and what a failed handshake means. server.c and client.c are the
 * sides. */
#include "transport/tls/context.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <yomo/error.h>

#include "transport/tls/inside.h"

#define CIPHERS_TLS12                                            \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:" \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:" \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
/* AES-128 first: QUIC is bound to it anyway (RFC 9001 5.2), and it costs less. Clients
 * without instructions for AES put ChaCha20 first, and get it. */
#define CIPHERS_TLS13 \
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

const unsigned char yo_alpn_http1[] = "\x08http/1.1";
const unsigned char yo_alpn_h3[] = "\x02h3";

static void begin(void)
{
    yo_tls_setup();
    yo_tls_keylog_once();
    yo_tls_server_once();
    yo_tls_client_once();
}

void yo_tls_begin(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, begin);
}

int yo_tls_failed(struct yo_buf *why, const char *what)
{
    if (why) {
        yo_buf_printf(why, "%s: ", what);
    }
    yo_tls_explain(why);
    return YOMO_ERR_TLS_SETUP;
}

int yo_tls_no_passphrase(char *buffer, int size, int writing, void *user)
{
    (void)buffer, (void)size, (void)writing, (void)user;
    return -1;
}

static SSL_CTX *new_ctx(const SSL_METHOD *method, bool quic)
{
    SSL_CTX *ctx = SSL_CTX_new(method);
    if (!ctx) {
        return NULL;
    }
    int lowest = quic ? TLS1_3_VERSION : TLS1_2_VERSION;
    if (SSL_CTX_set_min_proto_version(ctx, lowest) != 1 ||
        SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(ctx, CIPHERS_TLS12) != 1 ||
        SSL_CTX_set_ciphersuites(ctx, CIPHERS_TLS13) != 1) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE |
                                 SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(ctx,
                     SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    return ctx;
}

int yo_tls_base_init(struct yo_tls_base *base, const struct yomo_mem *mem,
                     const SSL_METHOD *method, struct yo_buf *why)
{
    base->mem = mem;
    atomic_init(&base->refs, 1);
    base->tcp = new_ctx(method, false);
    base->quic = new_ctx(method, true);
    return base->tcp && base->quic ? YOMO_OK : yo_tls_failed(why, "TLS");
}

void yo_tls_base_ref(struct yo_tls_base *base)
{
    atomic_fetch_add_explicit(&base->refs, 1, memory_order_relaxed);
}

bool yo_tls_base_unref(struct yo_tls_base *base)
{
    return atomic_fetch_sub_explicit(&base->refs, 1, memory_order_acq_rel) == 1;
}

void yo_tls_base_finish(struct yo_tls_base *base)
{
    SSL_CTX_free(base->tcp);
    SSL_CTX_free(base->quic);
}

int yo_tls_failure(const struct ssl_st *ssl, struct yo_buf *why)
{
    long verdict = SSL_get_verify_result(ssl);
    if (!SSL_is_server(ssl) && verdict != X509_V_OK) {
        const char *text = verdict == X509_V_ERR_APPLICATION_VERIFICATION
                               ? "the certificate is not the pinned one"
                               : X509_verify_cert_error_string(verdict);
        if (why) {
            yo_buf_append_text(why, text);
        }
        ERR_clear_error();
        return YOMO_ERR_CERT;
    }
    yo_tls_explain(why);
    return YOMO_ERR_TLS;
}
