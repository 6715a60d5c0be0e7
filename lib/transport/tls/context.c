/* SPDX-License-Identifier: MIT */
/* context.c
 *
 * One certificate, two SSL_CTX: TCP and QUIC differ in versions and ALPN. A client's
 * decision about a certificate is made in one place, verify(): pins, else the
 * development certificate on loopback, else the roots, which are read when they are
 * first needed. */
#include "transport/tls/context.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yomo/error.h>

#include "base/rand.h"
#include "transport/tls/devcert.h"
#include "transport/tls/setup.h"

#define TICKET_FILE_SIZE 48
#define TICKET_KEYS_SIZE \
    80 /* what OpenSSL wants: a name, an HMAC key, an AES-256 key */
#define CIPHERS_TLS12                                            \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:" \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:" \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
/* AES-128 first: QUIC is bound to it anyway (RFC 9001 5.2), and it costs less. Clients
 * without instructions for AES put ChaCha20 first, and get it. */
#define CIPHERS_TLS13 \
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

static const unsigned char alpn_http1[] = "\x08http/1.1";
static const unsigned char alpn_h3[] = "\x02h3";

/* Where an SSL keeps what yo_tls_client_expect was told, and an SSL_CTX its key log. */
static int loopback_index, keylog_index;

static void make_indexes(void)
{
    loopback_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    keylog_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

static void set_up(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    yo_tls_setup();
    pthread_once(&once, make_indexes);
}

static int explain(struct yo_buf *why, const char *what)
{
    if (why) {
        yo_buf_printf(why, "%s: ", what);
    }
    yo_tls_explain(why);
    return YOMO_ERR_TLS_SETUP;
}

/* --- Key log: by option only ------------------------------------------------------ */

static void log_key(const SSL *ssl, const char *line)
{
    /* The descriptor is kept plus one, so that NULL means none. */
    void *kept = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), keylog_index);
    if (!kept) {
        return;
    }
    int fd = (int)(intptr_t)kept - 1;
    char text[512];
    size_t size = strlen(line);
    if (size + 1 > sizeof(text)) {
        return;
    }
    memcpy(text, line, size);
    text[size] = '\n';
    ssize_t n = write(fd, text, size + 1); /* one write: lines of threads do not mix */
    (void)n;
}

static int open_keylog(const char *path, int *fd, struct yo_buf *why)
{
    *fd = -1;
    if (!path) {
        return YOMO_OK;
    }
    *fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
    if (*fd < 0) {
        if (why) {
            yo_buf_printf(why, "%s: %s", path, strerror(errno));
        }
        return YOMO_ERR_FILE;
    }
    return YOMO_OK;
}

/* Also without a file: then OpenSSL sets no callback of its own. */
static void use_keylog(SSL_CTX *ctx, int fd)
{
    SSL_CTX_set_ex_data(ctx, keylog_index, (void *)(intptr_t)(fd + 1));
    SSL_CTX_set_keylog_callback(ctx, log_key);
}

/* --- Both sides ------------------------------------------------------------------- */

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

/* --- Server ----------------------------------------------------------------------- */

struct yo_tls_server {
    const struct yomo_mem *mem;
    atomic_uint refs;
    SSL_CTX *tcp, *quic;
    int keylog;
    uint8_t hash[32];
};

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

static int no_passphrase(char *buffer, int size, int writing, void *user)
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)user;
    return -1; /* never ask on a terminal */
}

static int use_chain(SSL_CTX *ctx, struct yo_span pem, const char *file,
                     struct yo_buf *why)
{
    int rv = YOMO_OK;
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.size);
    X509 *cert = bio ? PEM_read_bio_X509_AUX(bio, NULL, no_passphrase, NULL) : NULL;
    if (!cert || SSL_CTX_use_certificate(ctx, cert) != 1) {
        rv = explain(why, file);
    }
    X509_free(cert);
    while (rv == YOMO_OK &&
           (cert = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL))) {
        if (SSL_CTX_add0_chain_cert(ctx, cert) != 1) {
            X509_free(cert);
            rv = explain(why, file);
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
        bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    int rv = YOMO_OK;
    if (!key || SSL_CTX_use_PrivateKey(ctx, key) != 1 ||
        SSL_CTX_check_private_key(ctx) != 1) {
        rv = explain(why, file);
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
    yo_buf_init(&cert, tls->mem);
    yo_buf_init(&key, tls->mem);
    int rv = yo_tls_read_file(&cert, options->cert_file, why);
    if (rv == YOMO_OK) {
        rv = yo_tls_read_file(&key, options->key_file, why);
    }
    SSL_CTX *both[2] = {tls->tcp, tls->quic};
    for (size_t i = 0; i < 2 && rv == YOMO_OK; i++) {
        rv = use_chain(both[i], yo_buf_span(&cert), options->cert_file, why);
        if (rv == YOMO_OK) {
            rv = use_key(both[i], yo_buf_span(&key), options->key_file, why);
        }
    }
    if (rv == YOMO_OK && X509_digest(SSL_CTX_get0_certificate(tls->tcp), EVP_sha256(),
                                     tls->hash, NULL) != 1) {
        rv = explain(why, options->cert_file);
    }
    if (key.data) {
        OPENSSL_cleanse(key.data, key.capacity);
    }
    yo_buf_finish(&key);
    yo_buf_finish(&cert);
    return rv;
}

static int file_error(struct yo_buf *why, const char *path, const char *reason)
{
    if (why) {
        yo_buf_printf(why, "%s: %s", path, reason);
    }
    return YOMO_ERR_FILE;
}

/* Read the 48 bytes, or make them; several workers and processes may do so at once. */
static int load_ticket_secret(uint8_t secret[TICKET_FILE_SIZE], const char *path,
                              const struct yomo_mem *mem, struct yo_buf *why)
{
    if (!path) {
        yo_rand_bytes(secret, TICKET_FILE_SIZE);
        return YOMO_OK;
    }
    struct yo_buf text;
    yo_buf_init(&text, mem);
    yo_rand_bytes(secret, TICKET_FILE_SIZE);
    /* Made under a name of its own and linked, so that nobody reads half of it. */
    char beside[4096];
    int length = snprintf(beside, sizeof(beside), "%s.%016llx.new", path,
                          (unsigned long long)yo_rand_session());
    int rv = YOMO_OK;
    if (length < 0 || (size_t)length >= sizeof(beside)) {
        rv = file_error(why, path, "name too long");
    } else if (access(path, F_OK) < 0 && errno == ENOENT) {
        int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0 || write(fd, secret, TICKET_FILE_SIZE) != TICKET_FILE_SIZE ||
            (link(beside, path) < 0 && errno != EEXIST && rename(beside, path) < 0)) {
            rv = file_error(why, path, strerror(errno));
        }
        if (fd >= 0) {
            close(fd);
            (void)unlink(beside);
        }
    }
    if (rv == YOMO_OK) {
        rv = yo_tls_read_file(&text, path, why);
    }
    if (rv == YOMO_OK && text.size != TICKET_FILE_SIZE) {
        rv = file_error(why, path, "not 48 bytes");
    }
    if (rv == YOMO_OK) {
        memcpy(secret, text.data, TICKET_FILE_SIZE);
    }
    if (text.data) {
        OPENSSL_cleanse(text.data, text.capacity);
    }
    yo_buf_finish(&text);
    return rv;
}

/* Stretch the secret: TCP and QUIC do not take each other's tickets. */
static int use_tickets(SSL_CTX *ctx, const uint8_t secret[TICKET_FILE_SIZE],
                       const char *label)
{
    uint8_t keys[96], text[16 + TICKET_FILE_SIZE] = {0};
    strncpy((char *)text, label, 15);
    memcpy(text + 16, secret, TICKET_FILE_SIZE);
    for (uint8_t i = 0; i < 3; i++) {
        text[15] = i;
        yo_sha256(keys + 32 * i, yo_span(text, sizeof(text)));
    }
    long ok = SSL_CTX_set_tlsext_ticket_keys(ctx, keys, TICKET_KEYS_SIZE);
    OPENSSL_cleanse(keys, sizeof(keys));
    OPENSSL_cleanse(text, sizeof(text));
    /* One for each handshake: it is enough, and the second costs. */
    return ok == 1 && SSL_CTX_set_num_tickets(ctx, 1) == 1 &&
                   SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"yomo",
                                                  4) == 1
               ? YOMO_OK
               : YOMO_ERR_TLS_SETUP;
}

static int set_up_server(struct yo_tls_server *tls,
                         const struct yo_tls_server_options *options,
                         struct yo_buf *why)
{
    tls->tcp = new_ctx(TLS_server_method(), false);
    tls->quic = new_ctx(TLS_server_method(), true);
    if (!tls->tcp || !tls->quic) {
        return explain(why, "TLS");
    }
    SSL_CTX_set_alpn_select_cb(tls->tcp, select_alpn, (void *)(uintptr_t)alpn_http1);
    SSL_CTX_set_alpn_select_cb(tls->quic, select_alpn, (void *)(uintptr_t)alpn_h3);
    SSL_CTX_set_client_hello_cb(tls->quic, require_alpn, NULL);
    if (options->groups && (SSL_CTX_set1_groups_list(tls->tcp, options->groups) != 1 ||
                            SSL_CTX_set1_groups_list(tls->quic, options->groups) != 1)) {
        return explain(why, options->groups);
    }
    int rv = load_identity(tls, options, why);
    uint8_t secret[TICKET_FILE_SIZE];
    if (rv == YOMO_OK) {
        rv = load_ticket_secret(secret, options->ticket_key_file, tls->mem, why);
    }
    if (rv == YOMO_OK && (use_tickets(tls->tcp, secret, "yomo tcp") != YOMO_OK ||
                          use_tickets(tls->quic, secret, "yomo quic") != YOMO_OK)) {
        rv = explain(why, "session tickets");
    }
    OPENSSL_cleanse(secret, sizeof(secret));
    if (rv == YOMO_OK) {
        rv = open_keylog(options->keylog_file, &tls->keylog, why);
    }
    if (rv == YOMO_OK) {
        use_keylog(tls->tcp, tls->keylog);
        use_keylog(tls->quic, tls->keylog);
    }
    return rv;
}

int yo_tls_server_create(struct yo_tls_server **out, const struct yomo_mem *mem,
                         const struct yo_tls_server_options *options,
                         struct yo_buf *why)
{
    set_up();
    struct yo_tls_server *tls = yo_calloc(mem, 1, sizeof(*tls));
    if (!tls) {
        return YOMO_ERR_NOMEM;
    }
    tls->mem = mem;
    tls->keylog = -1;
    atomic_init(&tls->refs, 1);
    int rv = set_up_server(tls, options, why);
    if (rv != YOMO_OK) {
        yo_tls_server_unref(tls);
        return rv;
    }
    *out = tls;
    return YOMO_OK;
}

struct yo_tls_server *yo_tls_server_ref(struct yo_tls_server *tls)
{
    atomic_fetch_add_explicit(&tls->refs, 1, memory_order_relaxed);
    return tls;
}

void yo_tls_server_unref(struct yo_tls_server *tls)
{
    if (!tls || atomic_fetch_sub_explicit(&tls->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    SSL_CTX_free(tls->tcp);
    SSL_CTX_free(tls->quic);
    if (tls->keylog >= 0) {
        close(tls->keylog);
    }
    yo_free(tls->mem, tls);
}

struct ssl_ctx_st *yo_tls_server_tcp(struct yo_tls_server *tls)
{
    return tls->tcp;
}

struct ssl_ctx_st *yo_tls_server_quic(struct yo_tls_server *tls)
{
    return tls->quic;
}

void yo_tls_server_hash(const struct yo_tls_server *tls, uint8_t out[32])
{
    memcpy(out, tls->hash, sizeof(tls->hash));
}

/* --- Client ----------------------------------------------------------------------- */

struct yo_tls_client {
    const struct yomo_mem *mem;
    atomic_uint refs;
    SSL_CTX *tcp, *quic;
    X509_STORE *roots; /* shared by both */
    pthread_mutex_t lock;
    bool roots_wanted; /* the system's roots are not read yet; under `lock` */
    bool insecure;
    int keylog;
    size_t pin_count;
    uint8_t pins[YO_TLS_PINS_MAX][32];
    char *dev_cert; /* NULL: none is trusted */
    char *dev_dir;
};

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

static void need_roots(struct yo_tls_client *tls)
{
    pthread_mutex_lock(&tls->lock);
    if (tls->roots_wanted) {
        read_system_roots(tls->roots);
        tls->roots_wanted = false;
    }
    pthread_mutex_unlock(&tls->lock);
}

static bool in_date(X509 *cert, X509_STORE_CTX *ctx)
{
    if (X509_cmp_current_time(X509_get0_notBefore(cert)) >= 0) {
        X509_STORE_CTX_set_error(ctx, X509_V_ERR_CERT_NOT_YET_VALID);
        return false;
    }
    if (X509_cmp_current_time(X509_get0_notAfter(cert)) <= 0) {
        X509_STORE_CTX_set_error(ctx, X509_V_ERR_CERT_HAS_EXPIRED);
        return false;
    }
    return true;
}

static bool is_pinned(const struct yo_tls_client *tls, X509 *leaf)
{
    uint8_t hash[32];
    if (X509_digest(leaf, EVP_sha256(), hash, NULL) != 1) {
        return false;
    }
    for (size_t i = 0; i < tls->pin_count; i++) {
        if (memcmp(hash, tls->pins[i], sizeof(hash)) == 0) {
            return true;
        }
    }
    return false;
}

/* The server of this user on this machine: its certificate lies in our own folder. It
 * is read each time, since a server that starts after us may have made a new one. */
static bool is_development(const struct yo_tls_client *tls, X509 *leaf)
{
    struct stat st;
    if (!tls->dev_cert || !yo_state_dir_private(tls->dev_dir) ||
        lstat(tls->dev_cert, &st) < 0 || !S_ISREG(st.st_mode) ||
        st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return false;
    }
    struct yo_buf text;
    yo_buf_init(&text, tls->mem);
    X509 *cert = NULL;
    if (yo_tls_read_file(&text, tls->dev_cert, NULL) == YOMO_OK) {
        BIO *bio = BIO_new_mem_buf(text.data, (int)text.size);
        cert = bio ? PEM_read_bio_X509(bio, NULL, no_passphrase, NULL) : NULL;
        BIO_free(bio);
    }
    bool same = cert && X509_cmp(cert, leaf) == 0;
    X509_free(cert);
    yo_buf_finish(&text);
    ERR_clear_error();
    return same;
}

static int verify(X509_STORE_CTX *ctx, void *arg)
{
    struct yo_tls_client *tls = arg;
    X509 *leaf = X509_STORE_CTX_get0_cert(ctx);
    const SSL *ssl =
        X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
    X509_STORE_CTX_set_error(ctx, X509_V_OK);
    if (tls->insecure) {
        return 1;
    }
    if (!leaf) {
        X509_STORE_CTX_set_error(ctx, X509_V_ERR_UNSPECIFIED);
        return 0;
    }
    if (tls->pin_count > 0) {
        if (is_pinned(tls, leaf)) {
            return in_date(leaf, ctx);
        }
        X509_STORE_CTX_set_error(ctx, X509_V_ERR_APPLICATION_VERIFICATION);
        return 0;
    }
    if (SSL_get_ex_data(ssl, loopback_index) && is_development(tls, leaf)) {
        return in_date(leaf, ctx);
    }
    need_roots(tls);
    return X509_verify_cert(ctx) == 1;
}

static int find_dev_cert(struct yo_tls_client *tls,
                         const struct yo_tls_client_options *options)
{
    struct yo_buf path;
    int rv;
    yo_buf_init(&path, tls->mem);
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
        tls->dev_dir = yo_strndup(tls->mem, path.data, path.size);
        rv = yo_buf_append_text(&path, "/dev-cert.pem");
    }
    if (rv == YOMO_OK) {
        tls->dev_cert = yo_strndup(tls->mem, path.data, path.size);
    }
    yo_buf_finish(&path);
    return tls->dev_dir && tls->dev_cert ? YOMO_OK : YOMO_ERR_NOMEM;
}

static int set_up_client(struct yo_tls_client *tls,
                         const struct yo_tls_client_options *options,
                         struct yo_buf *why)
{
    tls->tcp = new_ctx(TLS_client_method(), false);
    tls->quic = new_ctx(TLS_client_method(), true);
    tls->roots = X509_STORE_new();
    if (!tls->tcp || !tls->quic || !tls->roots) {
        return explain(why, "TLS");
    }
    SSL_CTX *both[2] = {tls->tcp, tls->quic};
    for (size_t i = 0; i < 2; i++) {
        SSL_CTX_set_verify(both[i], SSL_VERIFY_PEER, NULL);
        SSL_CTX_set_cert_verify_callback(both[i], verify, tls);
        SSL_CTX_set1_cert_store(both[i], tls->roots);
        const unsigned char *alpn = i == 0 ? alpn_http1 : alpn_h3;
        if (SSL_CTX_set_alpn_protos(both[i], alpn, alpn[0] + 1u) != 0) {
            return explain(why, "ALPN");
        }
    }
    if (options->ca_file) {
        struct yo_buf text; /* for a good error when it cannot be read */
        yo_buf_init(&text, tls->mem);
        int rv = yo_tls_read_file(&text, options->ca_file, why);
        yo_buf_finish(&text);
        if (rv != YOMO_OK) {
            return rv;
        }
        if (X509_STORE_load_file(tls->roots, options->ca_file) != 1) {
            return explain(why, options->ca_file);
        }
    } else {
        tls->roots_wanted = true;
    }
    int rv = find_dev_cert(tls, options);
    if (rv == YOMO_OK) {
        rv = open_keylog(options->keylog_file, &tls->keylog, why);
    }
    if (rv == YOMO_OK) {
        use_keylog(tls->tcp, tls->keylog);
        use_keylog(tls->quic, tls->keylog);
    }
    return rv;
}

int yo_tls_client_create(struct yo_tls_client **out, const struct yomo_mem *mem,
                         const struct yo_tls_client_options *options,
                         struct yo_buf *why)
{
    set_up();
    if (options->pin_count > YO_TLS_PINS_MAX) {
        return YOMO_ERR_INVALID;
    }
    struct yo_tls_client *tls = yo_calloc(mem, 1, sizeof(*tls));
    if (!tls) {
        return YOMO_ERR_NOMEM;
    }
    tls->mem = mem;
    tls->keylog = -1;
    tls->insecure = options->insecure_no_verify;
    tls->pin_count = options->pin_count;
    memcpy(tls->pins, options->pins, sizeof(tls->pins));
    atomic_init(&tls->refs, 1);
    if (pthread_mutex_init(&tls->lock, NULL) != 0) {
        yo_free(mem, tls);
        return YOMO_ERR_SYSTEM;
    }
    int rv = set_up_client(tls, options, why);
    if (rv != YOMO_OK) {
        yo_tls_client_unref(tls);
        return rv;
    }
    *out = tls;
    return YOMO_OK;
}

struct yo_tls_client *yo_tls_client_ref(struct yo_tls_client *tls)
{
    atomic_fetch_add_explicit(&tls->refs, 1, memory_order_relaxed);
    return tls;
}

void yo_tls_client_unref(struct yo_tls_client *tls)
{
    if (!tls || atomic_fetch_sub_explicit(&tls->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    SSL_CTX_free(tls->tcp);
    SSL_CTX_free(tls->quic);
    X509_STORE_free(tls->roots);
    pthread_mutex_destroy(&tls->lock);
    if (tls->keylog >= 0) {
        close(tls->keylog);
    }
    yo_free(tls->mem, tls->dev_cert);
    yo_free(tls->mem, tls->dev_dir);
    yo_free(tls->mem, tls);
}

struct ssl_ctx_st *yo_tls_client_tcp(struct yo_tls_client *tls)
{
    return tls->tcp;
}

struct ssl_ctx_st *yo_tls_client_quic(struct yo_tls_client *tls)
{
    return tls->quic;
}

int yo_tls_client_expect(struct yo_tls_client *tls, struct ssl_st *ssl,
                         const char *host, bool loopback)
{
    (void)tls;
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (X509_VERIFY_PARAM_set1_ip_asc(param, host) != 1) { /* not an IP address */
        ERR_clear_error();
        if (SSL_set_tlsext_host_name(ssl, host) != 1 ||
            X509_VERIFY_PARAM_set1_host(param, host, 0) != 1) {
            ERR_clear_error();
            return YOMO_ERR_TLS_SETUP;
        }
    }
    static char yes;
    if (SSL_set_ex_data(ssl, loopback_index, loopback ? &yes : NULL) != 1) {
        return YOMO_ERR_NOMEM;
    }
    return YOMO_OK;
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

/* --- Hashes ----------------------------------------------------------------------- */

static void digest(uint8_t *out, struct yo_span bytes, const EVP_MD *kind)
{
    set_up();
    int ok = EVP_Digest(bytes.data, bytes.size, out, NULL, kind, NULL);
    assert(ok == 1);
    (void)ok;
}

void yo_sha1(uint8_t out[20], struct yo_span bytes)
{
    digest(out, bytes, EVP_sha1());
}

void yo_sha256(uint8_t out[32], struct yo_span bytes)
{
    digest(out, bytes, EVP_sha256());
}
