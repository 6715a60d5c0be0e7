/* SPDX-License-Identifier: MIT */
/* floor_handshake.c - what a server's half of a TLS handshake costs.
 *
 * Both halves in one thread and in memory: TLS 1.3, a certificate of the kind that a
 * backend makes for itself (ECDSA P-256), one session ticket as the backend sends it,
 * nothing resumed. Only the server's steps are on the clock, its SSL_new and SSL_free
 * included. There is no socket, no HTTP and no QUIC in it. */
#include "floor.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdbool.h>

static SSL_CTX *server_context(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    FLOOR_CHECK(ctx && key && cert);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), 0);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    FLOOR_CHECK(X509_sign(cert, key, EVP_sha256()) > 0);
    FLOOR_CHECK(SSL_CTX_use_certificate(ctx, cert) == 1);
    FLOOR_CHECK(SSL_CTX_use_PrivateKey(ctx, key) == 1);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ctx, 1);
    X509_free(cert);
    EVP_PKEY_free(key);
    return ctx;
}

static void set_up(SSL_CTX *ctx, const char *groups)
{
    SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
    FLOOR_CHECK(SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256") == 1);
    FLOOR_CHECK(!groups || SSL_CTX_set1_groups_list(ctx, groups) == 1);
}

/* One handshake; the CPU seconds of the server's half. */
static double shake_hands(SSL_CTX *server_ctx, SSL_CTX *client_ctx)
{
    SSL *client = SSL_new(client_ctx);
    BIO *up = BIO_new(BIO_s_mem()), *down = BIO_new(BIO_s_mem());
    FLOOR_CHECK(client && up && down && BIO_up_ref(up) && BIO_up_ref(down));
    SSL_set_bio(client, down, up);
    SSL_set_connect_state(client);

    double began = floor_clock(CLOCK_THREAD_CPUTIME_ID);
    SSL *server = SSL_new(server_ctx);
    FLOOR_CHECK(server);
    SSL_set_bio(server, up, down);
    SSL_set_accept_state(server);
    double spent = floor_clock(CLOCK_THREAD_CPUTIME_ID) - began;

    while (!SSL_is_init_finished(client) || !SSL_is_init_finished(server)) {
        int rv = SSL_do_handshake(client);
        FLOOR_CHECK(rv == 1 || SSL_get_error(client, rv) == SSL_ERROR_WANT_READ);
        began = floor_clock(CLOCK_THREAD_CPUTIME_ID);
        rv = SSL_do_handshake(server);
        spent += floor_clock(CLOCK_THREAD_CPUTIME_ID) - began;
        FLOOR_CHECK(rv == 1 || SSL_get_error(server, rv) == SSL_ERROR_WANT_READ);
    }
    began = floor_clock(CLOCK_THREAD_CPUTIME_ID);
    SSL_free(server);
    spent += floor_clock(CLOCK_THREAD_CPUTIME_ID) - began;
    SSL_free(client);
    return spent;
}

void floor_handshake(const char *groups, double seconds, struct floor_result *result)
{
    SSL_CTX *server = server_context(), *client = SSL_CTX_new(TLS_client_method());
    FLOOR_CHECK(client);
    set_up(server, groups);
    set_up(client, groups);
    shake_hands(server, client); /* what is fetched and made once */

    double began = floor_clock(CLOCK_MONOTONIC);
    do {
        result->cpu_seconds += shake_hands(server, client);
        result->deliveries++;
        result->wall_seconds = floor_clock(CLOCK_MONOTONIC) - began;
    } while (result->wall_seconds < seconds);
    SSL_CTX_free(server);
    SSL_CTX_free(client);
}
