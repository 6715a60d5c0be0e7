/* SPDX-License-Identifier: MIT */
/* client.c - a client's two contexts, and what it keeps of a server for the next time.
 *
 * A wish goes with each SSL: whom it wants to reach. Under that a ticket is kept when
 * the server sends one, and looked for when another connection begins. A context's
 * rules of trust never change, so a ticket from one is good under the same; what may
 * change by itself (dates, the development certificate) is asked again, since a resumed
 * handshake shows no certificate. */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>
#include <yomo/error.h>

#include "transport/tls/inside.h"

static int wish_index; /* where an SSL keeps its wish */

static void free_wish(void *parent, void *data, CRYPTO_EX_DATA *all, int index,
                      long number, void *user)
{
    struct yo_tls_wish *wish = data;
    (void)parent, (void)all, (void)index, (void)number, (void)user;
    if (wish) {
        struct yo_tls_client *tls = wish->tls;
        yo_free(tls->base.mem, wish);
        yo_tls_client_unref(tls);
    }
}

void yo_tls_client_once(void)
{
    wish_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_wish);
}

struct yo_tls_wish *yo_tls_wish_of(const SSL *ssl)
{
    return ssl ? SSL_get_ex_data(ssl, wish_index) : NULL;
}

static struct yo_span key_of(const struct yo_tls_wish *wish)
{
    return yo_span(wish->key, wish->key_size);
}

/* --- Tickets and tokens ----------------------------------------------------------- */

static int on_ticket(SSL *ssl, SSL_SESSION *session)
{
    struct yo_tls_wish *wish = yo_tls_wish_of(ssl);
    if (wish && SSL_SESSION_is_resumable(session)) {
        yo_sessions_put_ticket(wish->tls->sessions, key_of(wish), session,
                               wish->development);
    }
    return 0; /* a copy was made */
}

static bool in_time(const SSL_SESSION *session)
{
    time_t now = time(NULL), made = SSL_SESSION_get_time_ex(session);
    /* time() may be a tick behind the clock by which OpenSSL dates what it makes. */
    return made <= now + 1 && now - made < SSL_SESSION_get_timeout(session);
}

static void resume(struct yo_tls_wish *wish, SSL *ssl)
{
    bool development = false;
    SSL_SESSION *session = yo_sessions_ticket(wish->tls->sessions, key_of(wish),
                                              &development, &wish->ticket);
    if (!session) {
        return;
    }
    if (in_time(session) &&
        yo_tls_trust_again(&wish->tls->trust, SSL_SESSION_get0_peer(session),
                           development) &&
        SSL_set_session(ssl, session) == 1) {
        wish->development = development;
    } else {
        ERR_clear_error();
        yo_sessions_spent(wish->tls->sessions, key_of(wish), wish->ticket);
        wish->ticket = 0;
    }
    SSL_SESSION_free(session);
}

void yo_tls_client_done(struct ssl_st *ssl)
{
    struct yo_tls_wish *wish = yo_tls_wish_of(ssl);
    if (wish) {
        yo_sessions_spent(wish->tls->sessions, key_of(wish), wish->ticket);
        yo_sessions_spent(wish->tls->sessions, key_of(wish), wish->token);
        wish->ticket = wish->token = 0;
    }
}

size_t yo_tls_client_token(struct ssl_st *ssl, uint8_t out[YO_TLS_TOKEN_MAX])
{
    struct yo_tls_wish *wish = yo_tls_wish_of(ssl);
    return yo_sessions_token(wish->tls->sessions, key_of(wish), out, &wish->token);
}

void yo_tls_client_keep_token(struct ssl_st *ssl, struct yo_span token)
{
    struct yo_tls_wish *wish = yo_tls_wish_of(ssl);
    yo_sessions_put_token(wish->tls->sessions, key_of(wish), token);
}

/* --- Life ------------------------------------------------------------------------- */

static int set_up(struct yo_tls_client *tls, const struct yomo_mem *mem,
                  const struct yo_tls_client_options *options, struct yo_buf *why)
{
    int rv = yo_tls_base_init(&tls->base, mem, TLS_client_method(), why);
    if (rv == YOMO_OK) {
        rv = yo_tls_trust_init(&tls->trust, mem, options, why);
    }
    if (rv == YOMO_OK) {
        rv = yo_sessions_create(&tls->sessions, mem);
    }
    SSL_CTX *both[2] = {tls->base.tcp, tls->base.quic};
    for (size_t i = 0; i < 2 && rv == YOMO_OK; i++) {
        SSL_CTX_set_verify(both[i], SSL_VERIFY_PEER, NULL);
        SSL_CTX_set_cert_verify_callback(both[i], yo_tls_trust_verify, &tls->trust);
        SSL_CTX_set1_cert_store(both[i], tls->trust.roots);
        SSL_CTX_set_session_cache_mode(both[i], SSL_SESS_CACHE_CLIENT |
                                                    SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(both[i], on_ticket);
        const unsigned char *alpn = i == 0 ? yo_alpn_http1 : yo_alpn_h3;
        if (SSL_CTX_set_alpn_protos(both[i], alpn, alpn[0] + 1u) != 0) {
            rv = yo_tls_failed(why, "ALPN");
        }
    }
    return rv == YOMO_OK ? yo_tls_keylog_open(&tls->base, options->keylog_file, why)
                         : rv;
}

int yo_tls_client_create(struct yo_tls_client **out, const struct yomo_mem *mem,
                         const struct yo_tls_client_options *options,
                         struct yo_buf *why)
{
    yo_tls_begin();
    if (options->pin_count > YO_TLS_PINS_MAX) {
        return YOMO_ERR_INVALID;
    }
    struct yo_tls_client *tls = yo_calloc(mem, 1, sizeof(*tls));
    if (!tls) {
        return YOMO_ERR_NOMEM;
    }
    int rv = set_up(tls, mem, options, why);
    if (rv != YOMO_OK) {
        yo_tls_client_unref(tls);
        return rv;
    }
    *out = tls;
    return YOMO_OK;
}

struct yo_tls_client *yo_tls_client_ref(struct yo_tls_client *tls)
{
    yo_tls_base_ref(&tls->base);
    return tls;
}

void yo_tls_client_unref(struct yo_tls_client *tls)
{
    if (!tls || !yo_tls_base_unref(&tls->base)) {
        return;
    }
    yo_tls_base_finish(&tls->base);
    yo_tls_trust_finish(&tls->trust);
    yo_sessions_destroy(tls->sessions);
    yo_free(tls->base.mem, tls);
}

struct ssl_ctx_st *yo_tls_client_tcp(struct yo_tls_client *tls)
{
    return tls->base.tcp;
}

struct ssl_ctx_st *yo_tls_client_quic(struct yo_tls_client *tls)
{
    return tls->base.quic;
}

/* --- One connection --------------------------------------------------------------- */

static struct yo_tls_wish *make_wish(struct yo_tls_client *tls, SSL *ssl,
                                     const struct yo_tls_peer *peer)
{
    const struct yomo_mem *mem = tls->base.mem;
    size_t host = strlen(peer->host);
    struct yo_tls_wish *wish = yo_calloc(mem, 1, sizeof(*wish) + host + 4);
    if (!wish) {
        return NULL;
    }
    if (SSL_set_ex_data(ssl, wish_index, wish) != 1) {
        yo_free(mem, wish);
        return NULL;
    }
    wish->tls = yo_tls_client_ref(tls);
    wish->loopback = peer->loopback;
    wish->key[0] = SSL_get_SSL_CTX(ssl) == tls->base.quic;
    wish->key[1] = peer->loopback;
    wish->key[2] = (uint8_t)(peer->port >> 8);
    wish->key[3] = (uint8_t)peer->port;
    memcpy(wish->key + 4, peer->host, host);
    wish->key_size = host + 4;
    return wish;
}

int yo_tls_client_expect(struct yo_tls_client *tls, struct ssl_st *ssl,
                         const struct yo_tls_peer *peer)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (X509_VERIFY_PARAM_set1_ip_asc(param, peer->host) != 1) { /* not an address */
        ERR_clear_error();
        if (SSL_set_tlsext_host_name(ssl, peer->host) != 1 ||
            X509_VERIFY_PARAM_set1_host(param, peer->host, 0) != 1) {
            ERR_clear_error();
            return YOMO_ERR_TLS_SETUP;
        }
    }
    struct yo_tls_wish *wish = make_wish(tls, ssl, peer);
    if (!wish) {
        return YOMO_ERR_NOMEM;
    }
    resume(wish, ssl);
    return YOMO_OK;
}
