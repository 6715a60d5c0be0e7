/* SPDX-License-Identifier: MIT */
/* server.c - a server's certificate, key and tickets.
 *
 * One certificate for both contexts. Tickets are sealed here and not by OpenSSL's own
 * keys, so that they outlive the process (tickets.c); early data is not offered: a
 * WebTransport CONNECT may not travel in it. */
#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>
#include <yomo/error.h>

#include "transport/tls/inside.h"
#include "transport/tls/tickets.h"

struct yo_tls_server {
    struct yo_tls_base base; /* first */
    uint8_t hash[32];
};

/* Where an SSL_CTX keeps its tickets' keys (a reference: a connection may outlive
 * whoever made the context), and for which use. */
static int tickets_index, use_index;

static void drop_keys(void *parent, void *keys, CRYPTO_EX_DATA *all, int index,
                      long number, void *user)
{
    (void)parent, (void)all, (void)index, (void)number, (void)user;
    yo_ticket_keys_close(keys);
}

void yo_tls_server_once(void)
{
    tickets_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, drop_keys);
    use_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

/* --- Protocols -------------------------------------------------------------------- */

/* `arg` is the one protocol that is spoken here. A client that names others only is
 * told so (RFC 7301 3.2). */
static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                       const unsigned char *in, unsigned in_size, void *arg)
{
    const unsigned char *ours = arg;
    (void)ssl;
    for (unsigned at = 0; at + 1 + in[at] <= in_size; at += 1u + in[at]) {
        if (in[at] == ours[0] && memcmp(in + at + 1, ours + 1, ours[0]) == 0) {
            *out = in + at + 1;
            *out_size = in[at];
            return SSL_TLSEXT_ERR_OK;
        }
        if (at + 1u + in[at] >= in_size) {
            break;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* RFC 9001 8.1: over QUIC, no ALPN is an error too. */
static int require_alpn(SSL *ssl, int *alert, void *arg)
{
    const unsigned char *data;
    size_t size;
    (void)arg;
    if (SSL_client_hello_get0_ext(ssl,
                                  TLSEXT_TYPE_application_layer_protocol_negotiation,
                                  &data, &size) == 1) {
        return SSL_CLIENT_HELLO_SUCCESS;
    }
    *alert = SSL_AD_NO_APPLICATION_PROTOCOL;
    return SSL_CLIENT_HELLO_ERROR;
}

/* --- Certificate and key ---------------------------------------------------------- */

static int use_chain(SSL_CTX *ctx, struct yo_span pem, const char *file,
                     struct yo_buf *why)
{
    int rv = YOMO_OK;
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.size);
    X509 *cert =
        bio ? PEM_read_bio_X509_AUX(bio, NULL, yo_tls_no_passphrase, NULL) : NULL;
    if (!cert || SSL_CTX_use_certificate(ctx, cert) != 1) {
        rv = yo_tls_failed(why, file);
    }
    X509_free(cert);
    while (rv == YOMO_OK &&
           (cert = PEM_read_bio_X509(bio, NULL, yo_tls_no_passphrase, NULL))) {
        if (SSL_CTX_add0_chain_cert(ctx, cert) != 1) {
            X509_free(cert);
            rv = yo_tls_failed(why, file);
        }
    }
    ERR_clear_error(); /* the end of the file counts as one */
    BIO_free(bio);
    return rv;
}

static int use_key(SSL_CTX *ctx, struct yo_span pem, const char *file,
                   struct yo_buf *why)
{
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.size);
    EVP_PKEY *key =
        bio ? PEM_read_bio_PrivateKey(bio, NULL, yo_tls_no_passphrase, NULL) : NULL;
    int rv = YOMO_OK;
    if (!key || SSL_CTX_use_PrivateKey(ctx, key) != 1 ||
        SSL_CTX_check_private_key(ctx) != 1) {
        rv = yo_tls_failed(why, file);
    }
    EVP_PKEY_free(key);
    BIO_free(bio);
    return rv;
}

static int load_identity(struct yo_tls_server *tls,
                         const struct yo_tls_server_options *options,
                         struct yo_buf *why)
{
    struct yo_buf cert, key;
    yo_buf_init(&cert, tls->base.mem);
    yo_buf_init(&key, tls->base.mem);
    int rv = yo_tls_read_file(&cert, options->cert_file, why);
    if (rv == YOMO_OK) {
        rv = yo_tls_read_file(&key, options->key_file, why);
    }
    SSL_CTX *both[2] = {tls->base.tcp, tls->base.quic};
    for (size_t i = 0; i < 2 && rv == YOMO_OK; i++) {
        rv = use_chain(both[i], yo_buf_span(&cert), options->cert_file, why);
        if (rv == YOMO_OK) {
            rv = use_key(both[i], yo_buf_span(&key), options->key_file, why);
        }
    }
    if (rv == YOMO_OK && X509_digest(SSL_CTX_get0_certificate(tls->base.tcp),
                                     EVP_sha256(), tls->hash, NULL) != 1) {
        rv = yo_tls_failed(why, options->cert_file);
    }
    if (key.data) {
        OPENSSL_cleanse(key.data, key.capacity);
    }
    yo_buf_finish(&key);
    yo_buf_finish(&cert);
    return rv;
}

/* --- Tickets ---------------------------------------------------------------------- */

static bool set_mac(EVP_MAC_CTX *mac, struct yo_ticket_seal *seal)
{
    char name[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, seal->mac,
                                          sizeof(seal->mac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
        OSSL_PARAM_construct_end()};
    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* OpenSSL asks: 1 is use it, 2 is use it and send a new ticket, 0 is a ticket that
 * nobody knows, so that the handshake is a full one. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv,
                     EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int seal_it)
{
    SSL_CTX *ctx = SSL_get_SSL_CTX(ssl);
    struct yo_ticket_keys *keys = SSL_CTX_get_ex_data(ctx, tickets_index);
    enum yo_ticket_use use =
        (enum yo_ticket_use)(intptr_t)SSL_CTX_get_ex_data(ctx, use_index);
    uint64_t now_s = (uint64_t)time(NULL);
    struct yo_ticket_seal seal;
    bool renew = false;
    int rv = 1;

    if (seal_it) {
        yo_ticket_keys_newest(keys, use, now_s, &seal);
        memcpy(name, seal.name, sizeof(seal.name));
        if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1 ||
            EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, seal.cipher, iv) != 1) {
            rv = -1;
        }
    } else if (!yo_ticket_keys_find(keys, use, name, now_s, &seal, &renew)) {
        return 0;
    } else if (EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, seal.cipher, iv) !=
               1) {
        rv = -1;
    }
    if (!set_mac(mac, &seal)) {
        rv = -1;
    }
    OPENSSL_cleanse(&seal, sizeof(seal));
    /* Of TLS 1.3 each ticket is used once, so another one is due (RFC 8446 C.4). */
    renew = renew || (!seal_it && SSL_version(ssl) == TLS1_3_VERSION);
    return rv == 1 && renew ? 2 : rv;
}

static int use_tickets(SSL_CTX *ctx, struct yo_ticket_keys *keys,
                       enum yo_ticket_use use)
{
    if (SSL_CTX_set_ex_data(ctx, use_index, (void *)(intptr_t)use) != 1 ||
        SSL_CTX_set_ex_data(ctx, tickets_index, keys) != 1) {
        return YOMO_ERR_TLS_SETUP;
    }
    yo_ticket_keys_ref(keys);
    if (SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket) != 1) {
        return YOMO_ERR_TLS_SETUP;
    }
    SSL_CTX_set_timeout(ctx, YO_TICKET_KEY_S);
    /* One for each handshake: it is enough, and the second costs. */
    return SSL_CTX_set_num_tickets(ctx, 1) == 1 &&
                   SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"yomo",
                                                  4) == 1
               ? YOMO_OK
               : YOMO_ERR_TLS_SETUP;
}

/* --- Life ------------------------------------------------------------------------- */

static int set_up(struct yo_tls_server *tls, const struct yomo_mem *mem,
                  const struct yo_tls_server_options *options, struct yo_buf *why)
{
    int rv = yo_tls_base_init(&tls->base, mem, TLS_server_method(), why);
    SSL_CTX *tcp = tls->base.tcp, *quic = tls->base.quic;
    if (rv != YOMO_OK) {
        return rv;
    }
    SSL_CTX_set_alpn_select_cb(tcp, select_alpn, (void *)(uintptr_t)yo_alpn_http1);
    SSL_CTX_set_alpn_select_cb(quic, select_alpn, (void *)(uintptr_t)yo_alpn_h3);
    SSL_CTX_set_client_hello_cb(quic, require_alpn, NULL);
    if (options->groups && (SSL_CTX_set1_groups_list(tcp, options->groups) != 1 ||
                            SSL_CTX_set1_groups_list(quic, options->groups) != 1)) {
        return yo_tls_failed(why, options->groups);
    }
    struct yo_ticket_keys *keys = NULL;
    rv = load_identity(tls, options, why);
    if (rv == YOMO_OK) {
        rv = yo_ticket_keys_open(&keys, mem, options->ticket_key_file,
                                 (uint64_t)time(NULL), why);
    }
    if (rv == YOMO_OK && (use_tickets(tcp, keys, YO_TICKETS_TCP) != YOMO_OK ||
                          use_tickets(quic, keys, YO_TICKETS_QUIC) != YOMO_OK)) {
        rv = yo_tls_failed(why, "session tickets");
    }
    yo_ticket_keys_close(keys);
    return rv == YOMO_OK ? yo_tls_keylog_open(&tls->base, options->keylog_file, why)
                         : rv;
}

int yo_tls_server_create(struct yo_tls_server **out, const struct yomo_mem *mem,
                         const struct yo_tls_server_options *options,
                         struct yo_buf *why)
{
    yo_tls_begin();
    struct yo_tls_server *tls = yo_calloc(mem, 1, sizeof(*tls));
    if (!tls) {
        return YOMO_ERR_NOMEM;
    }
    int rv = set_up(tls, mem, options, why);
    if (rv != YOMO_OK) {
        yo_tls_server_unref(tls);
        return rv;
    }
    *out = tls;
    return YOMO_OK;
}

struct yo_tls_server *yo_tls_server_ref(struct yo_tls_server *tls)
{
    yo_tls_base_ref(&tls->base);
    return tls;
}

void yo_tls_server_unref(struct yo_tls_server *tls)
{
    if (!tls || !yo_tls_base_unref(&tls->base)) {
        return;
    }
    yo_tls_base_finish(&tls->base);
    yo_free(tls->base.mem, tls);
}

struct ssl_ctx_st *yo_tls_server_tcp(struct yo_tls_server *tls)
{
    return tls->base.tcp;
}

struct ssl_ctx_st *yo_tls_server_quic(struct yo_tls_server *tls)
{
    return tls->base.quic;
}

void yo_tls_server_hash(const struct yo_tls_server *tls, uint8_t out[32])
{
    memcpy(out, tls->hash, sizeof(tls->hash));
}
