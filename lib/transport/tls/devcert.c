/* SPDX-License-Identifier: MIT */
/* devcert.c
 *
 * The happy path: the folder is there and private, under its lock the stored pair is
 * read and still good. Otherwise a pair is made, written beside the old one and renamed
 * over it, key first. Failure modes: the folder is not ours or open to others (refused,
 * with the reason), and so is a key that others may read; a stored file that is not
 * what we wrote (made anew). */
#include "transport/tls/devcert.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yomo/error.h>

#include "base/rand.h"
#include "transport/tls/setup.h"

#define DAY_S 86400
#define VALID_S (13 * DAY_S)
#define RENEW_S (2 * DAY_S)
#define BACKDATE_S 3600 /* for clocks that are a little behind */

/* --- The folder ------------------------------------------------------------------- */

static int terminate(struct yo_buf *buf)
{
    int rv = yo_buf_append_byte(buf, 0);
    if (rv == YOMO_OK) {
        buf->size--;
    }
    return rv;
}

int yo_state_dir_default(struct yo_buf *out)
{
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    const char *tail = "/yomo";
    if (!state || state[0] != '/') { /* relative ones are to be ignored */
        state = home;
        tail = "/.local/state/yomo";
    }
    if (!state || state[0] != '/') {
        return YOMO_ERR_FILE;
    }
    int rv = yo_buf_append_text(out, state);
    if (rv == YOMO_OK) {
        rv = yo_buf_append_text(out, tail);
    }
    return rv == YOMO_OK ? terminate(out) : rv;
}

/* mkdir -p, 0700 for what is missing. */
static int make_dirs(const char *dir, struct yo_buf *why)
{
    char path[4096];
    size_t length = strlen(dir);
    if (length == 0 || length >= sizeof(path)) {
        return yo_tls_file_error(why, dir, "not a usable path");
    }
    memcpy(path, dir, length + 1);
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != 0) {
            continue;
        }
        path[i] = 0;
        if (mkdir(path, 0700) < 0 && errno != EEXIST) {
            int number = errno;
            struct stat st;
            if (stat(path, &st) < 0) { /* a read-only parent that exists is fine */
                return yo_tls_file_error(why, path, strerror(number));
            }
        }
        path[i] = i < length ? '/' : 0;
    }
    return YOMO_OK;
}

bool yo_state_dir_private(const char *dir)
{
    struct stat st;
    return stat(dir, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
           (st.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

int yo_state_dir_ready(const char *dir, struct yo_buf *why)
{
    int rv = make_dirs(dir, why);
    if (rv != YOMO_OK) {
        return rv;
    }
    if (!yo_state_dir_private(dir)) {
        return yo_tls_file_error(
            why, dir, "must be a folder of this user that others cannot write");
    }
    return YOMO_OK;
}

/* --- The certificate -------------------------------------------------------------- */

/* YOMO_ERR_FILE when others may read the key. */
static int look(const char *cert_path, const char *key_path, const struct yomo_mem *mem,
                uint64_t wall_ms, bool *good, struct yo_buf *why)
{
    struct yo_buf text;
    struct stat st;
    int rv = YOMO_OK;
    *good = false;
    yo_buf_init(&text, mem);
    X509 *cert = NULL;
    EVP_PKEY *key = NULL;
    time_t wall = (time_t)(wall_ms / 1000);
    if (yo_tls_read_file(&text, cert_path, NULL) == YOMO_OK) {
        BIO *bio = BIO_new_mem_buf(text.data, (int)text.size);
        cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
        BIO_free(bio);
    }
    yo_buf_clear(&text);
    if (lstat(key_path, &st) == 0) {
        rv = yo_tls_read_private_file(&text, key_path, why);
    }
    if (cert && text.size > 0) {
        BIO *bio = BIO_new_mem_buf(text.data, (int)text.size);
        key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)"") : NULL;
        BIO_free(bio);
    }
    if (cert && key && X509_check_private_key(cert, key) == 1) {
        *good = ASN1_TIME_cmp_time_t(X509_get0_notBefore(cert), wall) <= 0 &&
                ASN1_TIME_cmp_time_t(X509_get0_notAfter(cert), wall + RENEW_S) > 0;
    }
    if (text.data) {
        OPENSSL_cleanse(text.data, text.capacity);
    }
    yo_buf_finish(&text);
    X509_free(cert);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return rv;
}

static bool add_extension(X509 *cert, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool ok = extension && X509_add_ext(cert, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return ok;
}

static bool set_serial(X509 *cert)
{
    uint8_t bytes[16];
    yo_rand_bytes(bytes, sizeof(bytes));
    bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40); /* positive, and never zero */
    BIGNUM *number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    bool ok = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL;
    BN_free(number);
    return ok;
}

static X509 *make_cert(EVP_PKEY *key, time_t wall)
{
    X509 *cert = X509_new();
    if (!cert) {
        return NULL;
    }
    X509_NAME *name = X509_get_subject_name(cert);
    bool ok = X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) &&
              ASN1_TIME_set(X509_getm_notBefore(cert), wall - BACKDATE_S) &&
              ASN1_TIME_set(X509_getm_notAfter(cert), wall - BACKDATE_S + VALID_S) &&
              X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                         (const unsigned char *)"localhost", -1, -1,
                                         0) == 1 &&
              X509_set_issuer_name(cert, name) == 1 &&
              X509_set_pubkey(cert, key) == 1 &&
              add_extension(cert, NID_subject_alt_name,
                            "DNS:localhost,IP:127.0.0.1,IP:0:0:0:0:0:0:0:1") &&
              add_extension(cert, NID_basic_constraints, "critical,CA:FALSE") &&
              add_extension(cert, NID_key_usage, "critical,digitalSignature") &&
              add_extension(cert, NID_ext_key_usage, "serverAuth") &&
              X509_sign(cert, key, EVP_sha256()) > 0;
    if (!ok) {
        X509_free(cert);
        return NULL;
    }
    return cert;
}

/* Write what `bio` holds as `path`, all or nothing. */
static int write_file(const char *path, BIO *bio, const struct yomo_mem *mem,
                      struct yo_buf *why)
{
    char *data;
    long size = BIO_get_mem_data(bio, &data);
    return yo_tls_write_private_file(path, yo_span(data, (size_t)size), mem, why);
}

static int make_pair(const char *cert_path, const char *key_path,
                     const struct yomo_mem *mem, uint64_t wall_ms, struct yo_buf *why)
{
    int rv = YOMO_ERR_TLS_SETUP;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = key ? make_cert(key, (time_t)(wall_ms / 1000)) : NULL;
    BIO *cert_text = BIO_new(BIO_s_mem());
    BIO *key_text = BIO_new(BIO_s_secmem());
    if (!cert || !cert_text || !key_text || PEM_write_bio_X509(cert_text, cert) != 1 ||
        PEM_write_bio_PrivateKey(key_text, key, NULL, NULL, 0, NULL, NULL) != 1) {
        yo_tls_explain(why);
        goto out;
    }
    rv = write_file(key_path, key_text, mem, why);
    if (rv == YOMO_OK) {
        rv = write_file(cert_path, cert_text, mem, why);
    }
out:
    BIO_free(key_text);
    BIO_free(cert_text);
    X509_free(cert);
    EVP_PKEY_free(key);
    return rv;
}

static int put_path(struct yo_buf *out, const char *dir, const char *name)
{
    int rv = yo_buf_append_text(out, dir);
    if (rv == YOMO_OK) {
        rv = yo_buf_append_text(out, name);
    }
    return rv == YOMO_OK ? terminate(out) : rv;
}

static int lock_dir(const char *dir, const struct yomo_mem *mem, struct yo_buf *why)
{
    struct yo_buf path;
    yo_buf_init(&path, mem);
    int fd = -1;
    if (put_path(&path, dir, "/dev.lock") == YOMO_OK) {
        fd = yo_tls_lock((const char *)path.data, why);
    }
    yo_buf_finish(&path);
    return fd;
}

int yo_devcert_ready(const char *dir, uint64_t wall_ms, struct yo_buf *cert_path,
                     struct yo_buf *key_path, bool *fresh, struct yo_buf *why)
{
    size_t cert_at = cert_path->size, key_at = key_path->size;
    yo_tls_setup();
    *fresh = false;
    int rv = yo_state_dir_ready(dir, why);
    if (rv != YOMO_OK) {
        return rv;
    }
    if (put_path(cert_path, dir, "/dev-cert.pem") != YOMO_OK ||
        put_path(key_path, dir, "/dev-key.pem") != YOMO_OK) {
        return YOMO_ERR_NOMEM;
    }
    const char *cert = (const char *)cert_path->data + cert_at;
    const char *key = (const char *)key_path->data + key_at;
    int lock = lock_dir(dir, cert_path->mem, why);
    if (lock < 0) {
        return YOMO_ERR_FILE;
    }
    bool good;
    rv = look(cert, key, cert_path->mem, wall_ms, &good, why);
    if (rv == YOMO_OK && !good) {
        rv = make_pair(cert, key, cert_path->mem, wall_ms, why);
        *fresh = rv == YOMO_OK;
    }
    close(lock);
    return rv;
}
