/* SPDX-License-Identifier: MIT */
/* inside.h - what a server's and a client's context share; for the files of tls/. */
#ifndef YO_TLS_INSIDE_H
#define YO_TLS_INSIDE_H

#include <openssl/x509.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "transport/tls/context.h"
#include "transport/tls/sessions.h"
#include "transport/tls/setup.h"

/* The first member of either. */
struct yo_tls_base {
    const struct yomo_mem *mem;
    atomic_uint refs;
    SSL_CTX *tcp, *quic;
};

/* ALPN's way of spelling: a length, then the name (RFC 7301 3.1). */
extern const unsigned char yo_alpn_http1[], yo_alpn_h3[];

/* Once for the process; everything here begins with it. Thread: any. */
void yo_tls_begin(void);

/* context.c. `base` is zeroed memory; one reference. After a failure as well as after
 * the last reference _finish frees what is there. YOMO_ERR_TLS_SETUP. */
int yo_tls_base_init(struct yo_tls_base *base, const struct yomo_mem *mem,
                     const SSL_METHOD *method, struct yo_buf *why);
void yo_tls_base_ref(struct yo_tls_base *base);
bool yo_tls_base_unref(struct yo_tls_base *base); /* was that the last one? */
void yo_tls_base_finish(struct yo_tls_base *base);

/* "WHAT: what OpenSSL says"; YOMO_ERR_TLS_SETUP. */
int yo_tls_failed(struct yo_buf *why, const char *what);

/* For OpenSSL, which would ask on a terminal otherwise. */
int yo_tls_no_passphrase(char *buffer, int size, int writing, void *user);

/* keylog.c. Write secrets to `path`; NULL: nowhere, whatever the environment says.
 * YOMO_ERR_FILE. */
int yo_tls_keylog_open(struct yo_tls_base *base, const char *path, struct yo_buf *why);

/* Each file's part of yo_tls_begin. */
void yo_tls_keylog_once(void);
void yo_tls_server_once(void);
void yo_tls_client_once(void);

/* --- Clients ---------------------------------------------------------------------- */

/* What a client's SSL carries with it: whom it wants to reach. */
struct yo_tls_wish {
    struct yo_tls_client *tls; /* a reference */
    bool loopback;
    bool development; /* it was the development certificate that was trusted */
    uint64_t ticket, token; /* marks of what was used, see sessions.h */
    size_t key_size;
    uint8_t key[]; /* in the cache of sessions */
};

struct yo_tls_wish *yo_tls_wish_of(const SSL *ssl); /* NULL: none was made */

/* trust.c: which certificates a client takes. */
struct yo_tls_trust {
    const struct yomo_mem *mem;
    X509_STORE *roots; /* shared by both contexts */
    pthread_mutex_t lock;
    bool roots_wanted; /* the system's roots are not read yet; under `lock` */
    bool insecure, locked;
    size_t pin_count;
    uint8_t pins[YO_TLS_PINS_MAX][32];
    char *dev_cert; /* NULL: none is trusted */
    char *dev_dir;
};

int yo_tls_trust_init(struct yo_tls_trust *trust, const struct yomo_mem *mem,
                      const struct yo_tls_client_options *options, struct yo_buf *why);
void yo_tls_trust_finish(struct yo_tls_trust *trust); /* accepts zeroed memory */
/* Decide about the certificate; for SSL_CTX_set_cert_verify_callback. */
int yo_tls_trust_verify(X509_STORE_CTX *ctx, void *trust);
/* Is what was trusted once to be trusted still? The chain is not built again. */
bool yo_tls_trust_again(const struct yo_tls_trust *trust, X509 *leaf, bool development);

struct yo_tls_client {
    struct yo_tls_base base; /* first */
    struct yo_tls_trust trust;
    struct yo_sessions *sessions;
};

#endif
