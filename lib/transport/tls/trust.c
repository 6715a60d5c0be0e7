/* SPDX-License-Identifier: MIT */
/* trust.c - a client's decision about a certificate, made in one place: pins, else the
 * development certificate on loopback, else the roots, which are read when they are
 * first needed. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yomo/error.h>

#include "base/text.h"
#include "transport/tls/devcert.h"
#include "transport/tls/inside.h"

/* Our OpenSSL is built by a distribution that may not be this machine's, so its own
 * idea of where certificates lie comes last. */
static void read_system_roots(X509_STORE *store)
{
    static const char *const files[] = {
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/cert.pem",
        "/usr/local/share/certs/ca-root-nss.crt",
    };
    const char *file = getenv("SSL_CERT_FILE");
    const char *dir = getenv("SSL_CERT_DIR");
    bool found = false;
    if (file) {
        found = X509_STORE_load_file(store, file) == 1;
    }
    if (dir) {
        found = X509_STORE_load_path(store, dir) == 1 || found;
    }
    for (size_t i = 0; !file && !dir && !found && i < sizeof(files) / sizeof(*files);
         i++) {
        found =
            access(files[i], R_OK) == 0 && X509_STORE_load_file(store, files[i]) == 1;
    }
    if (!found) {
        X509_STORE_set_default_paths(store);
    }
    ERR_clear_error();
}

static void need_roots(struct yo_tls_trust *trust)
{
    pthread_mutex_lock(&trust->lock);
    if (trust->roots_wanted) {
        read_system_roots(trust->roots);
        trust->roots_wanted = false;
    }
    pthread_mutex_unlock(&trust->lock);
}

/* X509_V_OK, or what is wrong. */
static int dates(X509 *cert)
{
    if (X509_cmp_current_time(X509_get0_notBefore(cert)) >= 0) {
        return X509_V_ERR_CERT_NOT_YET_VALID;
    }
    return X509_cmp_current_time(X509_get0_notAfter(cert)) <= 0
               ? X509_V_ERR_CERT_HAS_EXPIRED
               : X509_V_OK;
}

static int in_date(X509 *cert, X509_STORE_CTX *ctx)
{
    int verdict = dates(cert);
    X509_STORE_CTX_set_error(ctx, verdict);
    return verdict == X509_V_OK;
}

static bool is_pinned(const struct yo_tls_trust *trust, X509 *leaf)
{
    uint8_t hash[32];
    if (X509_digest(leaf, EVP_sha256(), hash, NULL) != 1) {
        return false;
    }
    for (size_t i = 0; i < trust->pin_count; i++) {
        if (memcmp(hash, trust->pins[i], sizeof(hash)) == 0) {
            return true;
        }
    }
    return false;
}

/* The server of this user on this machine: its certificate lies in our own folder. It
 * is read each time, since a server that starts after us may have made a new one. */
static bool is_development(const struct yo_tls_trust *trust, X509 *leaf)
{
    struct stat st;
    if (!trust->dev_cert || !yo_state_dir_private(trust->dev_dir) ||
        lstat(trust->dev_cert, &st) < 0 || !S_ISREG(st.st_mode) ||
        st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return false;
    }
    struct yo_buf text;
    yo_buf_init(&text, trust->mem);
    X509 *cert = NULL;
    if (yo_tls_read_file(&text, trust->dev_cert, NULL) == YOMO_OK) {
        BIO *bio = BIO_new_mem_buf(text.data, (int)text.size);
        cert = bio ? PEM_read_bio_X509(bio, NULL, yo_tls_no_passphrase, NULL) : NULL;
        BIO_free(bio);
    }
    bool same = cert && X509_cmp(cert, leaf) == 0;
    X509_free(cert);
    yo_buf_finish(&text);
    ERR_clear_error();
    return same;
}

int yo_tls_trust_verify(X509_STORE_CTX *ctx, void *arg)
{
    struct yo_tls_trust *trust = arg;
    X509 *leaf = X509_STORE_CTX_get0_cert(ctx);
    const SSL *ssl =
        X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct yo_tls_wish *wish = yo_tls_wish_of(ssl);
    X509_STORE_CTX_set_error(ctx, X509_V_OK);
    if (trust->insecure) {
        return 1;
    }
    if (!leaf) {
        X509_STORE_CTX_set_error(ctx, X509_V_ERR_UNSPECIFIED);
        return 0;
    }
    if (trust->pin_count > 0) {
        if (is_pinned(trust, leaf)) {
            return in_date(leaf, ctx);
        }
        X509_STORE_CTX_set_error(ctx, X509_V_ERR_APPLICATION_VERIFICATION);
        return 0;
    }
    if (wish && wish->loopback && is_development(trust, leaf)) {
        wish->development = true;
        return in_date(leaf, ctx);
    }
    need_roots(trust);
    return X509_verify_cert(ctx) == 1;
}

bool yo_tls_trust_again(const struct yo_tls_trust *trust, X509 *leaf, bool development)
{
    if (trust->insecure) {
        return true;
    }
    return leaf && dates(leaf) == X509_V_OK &&
           (!development || is_development(trust, leaf));
}

static int find_dev_cert(struct yo_tls_trust *trust,
                         const struct yo_tls_client_options *options)
{
    struct yo_buf path;
    int rv;
    yo_buf_init(&path, trust->mem);
    if (options->dev_state_dir) {
        rv = yo_buf_append_text(&path, options->dev_state_dir);
    } else if (options->ca_file) {
        return YOMO_OK; /* who names roots means these */
    } else {
        rv = yo_state_dir_default(&path);
        if (rv == YOMO_ERR_FILE) { /* no home, so none */
            yo_buf_finish(&path);
            return YOMO_OK;
        }
    }
    if (rv == YOMO_OK) {
        trust->dev_dir = yo_strndup(trust->mem, path.data, path.size);
        rv = yo_buf_append_text(&path, "/dev-cert.pem");
    }
    if (rv == YOMO_OK) {
        trust->dev_cert = yo_strndup(trust->mem, path.data, path.size);
    }
    yo_buf_finish(&path);
    return trust->dev_dir && trust->dev_cert ? YOMO_OK : YOMO_ERR_NOMEM;
}

static int read_ca_file(struct yo_tls_trust *trust, const char *file,
                        struct yo_buf *why)
{
    struct yo_buf text; /* for a good error when it cannot be read */
    yo_buf_init(&text, trust->mem);
    int rv = yo_tls_read_file(&text, file, why);
    yo_buf_finish(&text);
    if (rv != YOMO_OK) {
        return rv;
    }
    return X509_STORE_load_file(trust->roots, file) == 1 ? YOMO_OK
                                                         : yo_tls_failed(why, file);
}

int yo_tls_trust_init(struct yo_tls_trust *trust, const struct yomo_mem *mem,
                      const struct yo_tls_client_options *options, struct yo_buf *why)
{
    trust->mem = mem;
    trust->insecure = options->insecure_no_verify;
    trust->pin_count = options->pin_count;
    memcpy(trust->pins, options->pins, sizeof(trust->pins));
    trust->locked = pthread_mutex_init(&trust->lock, NULL) == 0;
    if (!trust->locked) {
        return YOMO_ERR_SYSTEM;
    }
    trust->roots = X509_STORE_new();
    if (!trust->roots) {
        return yo_tls_failed(why, "TLS");
    }
    trust->roots_wanted = !options->ca_file;
    int rv = options->ca_file ? read_ca_file(trust, options->ca_file, why) : YOMO_OK;
    return rv == YOMO_OK ? find_dev_cert(trust, options) : rv;
}

void yo_tls_trust_finish(struct yo_tls_trust *trust)
{
    if (trust->locked) {
        pthread_mutex_destroy(&trust->lock);
    }
    X509_STORE_free(trust->roots);
    yo_free(trust->mem, trust->dev_cert);
    yo_free(trust->mem, trust->dev_dir);
}
