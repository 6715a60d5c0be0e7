/* SPDX-License-Identifier: MIT */
/* keys.c - JWK and PEM to OpenSSL's keys, and a signature against them.
 *
 * The happy path: the file's JSON becomes MessagePack, the only tree there is here;
 * each JWK in it becomes an EVP_PKEY or a secret. Verifying tries the few keys that can
 * have signed.
 *
 * Failure modes: what is wrong with a file is a sentence for the operator; what is
 * wrong with a signature is one bit, and OpenSSL's queue of errors is left empty. */
#include "server/auth/keys.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdatomic.h>

#include "base/check.h"
#include "base/text.h"
#include "wire/json.h"
#include "wire/msgpack.h"

#define RSA_BITS_MIN 2048 /* RFC 7518 3.3 */
#define RSA_BITS_MAX 8192 /* more is only work */
#define P256_SIZE 32
#define HMAC_SIZE 32

struct key {
    enum yo_jwt_algorithm algorithm;
    EVP_PKEY *public; /* or: */
    struct yo_buf secret;
    char *kid; /* NULL: it has none */
};

struct yo_auth_keys {
    const struct yomo_mem *mem;
    atomic_uint refs;
    size_t count;
    struct key list[YO_AUTH_KEYS_MAX];
};

static int complain(struct yo_buf *why, const char *text)
{
    (void)yo_buf_append_text(why, text);
    ERR_clear_error();
    return YOMO_ERR_FILE;
}

enum yo_jwt_algorithm yo_jwt_algorithm_of(struct yo_span name)
{
    static const char *const names[] = {"HS256", "RS256", "ES256", "EdDSA"};
    for (int i = 0; i < YO_JWT_UNKNOWN; i++) {
        if (yo_span_is(name, names[i])) {
            return (enum yo_jwt_algorithm)i;
        }
    }
    return yo_span_is(name, "Ed25519") ? YO_JWT_EDDSA : YO_JWT_UNKNOWN; /* RFC 9864 */
}

/* --- One key ---------------------------------------------------------------------- */

static void finish_key(const struct yomo_mem *mem, struct key *key)
{
    EVP_PKEY_free(key->public);
    if (key->secret.data) {
        OPENSSL_cleanse(key->secret.data, key->secret.size);
    }
    yo_buf_finish(&key->secret);
    yo_free(mem, key->kid);
}

/* What a public key is good for; YO_JWT_UNKNOWN: nothing here. */
static enum yo_jwt_algorithm algorithm_of_key(const EVP_PKEY *public)
{
    char group[32] = "";
    int bits = EVP_PKEY_get_bits(public);

    if (EVP_PKEY_is_a(public, "RSA")) {
        return bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX ? YO_JWT_RS256
                                                            : YO_JWT_UNKNOWN;
    }
    if (EVP_PKEY_is_a(public, "EC")) {
        EVP_PKEY_get_group_name(public, group, sizeof(group), NULL);
        return strcmp(group, "prime256v1") == 0 ? YO_JWT_ES256 : YO_JWT_UNKNOWN;
    }
    return EVP_PKEY_is_a(public, "ED25519") ? YO_JWT_EDDSA : YO_JWT_UNKNOWN;
}

static struct key *next_key(struct yo_auth_keys *keys)
{
    struct key *key = &keys->list[keys->count];

    memset(key, 0, sizeof(*key));
    yo_buf_init(&key->secret, keys->mem);
    return key;
}

/* --- JWK -------------------------------------------------------------------------- */

/* The bytes of a base64url member; YOMO_ERR_INVALID when it is not there or not that.
 */
static int read_bytes(struct yo_buf *out, struct yo_span jwk, const char *name)
{
    struct yo_span text = yo_mp_as_str(yo_mp_map_get(jwk, name));

    yo_buf_clear(out);
    return text.size > 0 ? yo_base64_decode(out, text) : YOMO_ERR_INVALID;
}

static EVP_PKEY *from_params(const char *type, OSSL_PARAM_BLD *build)
{
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *public = NULL;

    if (!params || !context || EVP_PKEY_fromdata_init(context) <= 0 ||
        EVP_PKEY_fromdata(context, &public, EVP_PKEY_PUBLIC_KEY, params) <= 0) {
        public = NULL;
    }
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    return public;
}

static EVP_PKEY *rsa_key(const struct yo_buf *n, const struct yo_buf *e)
{
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    BIGNUM *modulus = BN_bin2bn(n->data, (int)n->size, NULL);
    BIGNUM *exponent = BN_bin2bn(e->data, (int)e->size, NULL);
    EVP_PKEY *public = NULL;

    if (build && modulus && exponent &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, modulus) &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, exponent)) {
        public = from_params("RSA", build);
    }
    BN_free(modulus);
    BN_free(exponent);
    OSSL_PARAM_BLD_free(build);
    return public;
}

static EVP_PKEY *p256_key(const struct yo_buf *x, const struct yo_buf *y)
{
    uint8_t point[1 + 2 * P256_SIZE] = {POINT_CONVERSION_UNCOMPRESSED};
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    EVP_PKEY *public = NULL;

    if (x->size != P256_SIZE || y->size != P256_SIZE) { /* RFC 7518 6.2.1.2 */
        OSSL_PARAM_BLD_free(build);
        return NULL;
    }
    memcpy(point + 1, x->data, P256_SIZE);
    memcpy(point + 1 + P256_SIZE, y->data, P256_SIZE);
    if (build &&
        OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1",
                                        0) &&
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point,
                                         sizeof(point))) {
        public = from_params("EC", build);
    }
    OSSL_PARAM_BLD_free(build);
    return public;
}

static bool member_is(struct yo_span jwk, const char *name, const char *text)
{
    return yo_span_is(yo_mp_as_str(yo_mp_map_get(jwk, name)), text);
}

/* Its `use` and `key_ops` (RFC 7517 4.2, 4.3) do not forbid to verify signatures. */
static bool may_verify(struct yo_span jwk)
{
    struct yo_span ops = yo_mp_map_get(jwk, "key_ops");
    struct yo_mp_reader reader;
    bool found = !ops.data;

    if (yo_mp_map_get(jwk, "use").data && !member_is(jwk, "use", "sig")) {
        return false;
    }
    yo_mp_reader_init(&reader, ops);
    for (uint32_t i = found ? 0 : yo_mp_read_array(&reader); i > 0 && !found; i--) {
        struct yo_span op = yo_mp_as_str(yo_mp_skip(&reader));
        found = yo_span_is(op, "verify");
    }
    return found;
}

/* The material of a JWK into `key`; algorithm YO_JWT_UNKNOWN when it is not for us. */
static int read_material(struct key *key, struct yo_span jwk, struct yo_buf *a,
                         struct yo_buf *b)
{
    int rv = YOMO_OK;

    key->algorithm = YO_JWT_UNKNOWN;
    if (member_is(jwk, "kty", "oct")) {
        rv = read_bytes(&key->secret, jwk, "k");
        key->algorithm = YO_JWT_HS256;
        return rv == YOMO_OK && key->secret.size < YO_AUTH_SECRET_MIN ? YOMO_ERR_INVALID
                                                                      : rv;
    }
    if (member_is(jwk, "kty", "RSA")) {
        rv = read_bytes(a, jwk, "n");
        rv = rv == YOMO_OK ? read_bytes(b, jwk, "e") : rv;
        key->public = rv == YOMO_OK ? rsa_key(a, b) : NULL;
    } else if (member_is(jwk, "kty", "EC") && member_is(jwk, "crv", "P-256")) {
        rv = read_bytes(a, jwk, "x");
        rv = rv == YOMO_OK ? read_bytes(b, jwk, "y") : rv;
        key->public = rv == YOMO_OK ? p256_key(a, b) : NULL;
    } else if (member_is(jwk, "kty", "OKP") && member_is(jwk, "crv", "Ed25519")) {
        rv = read_bytes(a, jwk, "x");
        key->public = rv == YOMO_OK ? EVP_PKEY_new_raw_public_key_ex(
                                          NULL, "ED25519", NULL, a->data, a->size)
                                    : NULL;
    } else {
        return YOMO_OK;
    }
    if (rv == YOMO_OK && !key->public) {
        rv = YOMO_ERR_INVALID;
    }
    if (rv == YOMO_OK) {
        key->algorithm = algorithm_of_key(key->public);
        rv = key->algorithm == YO_JWT_UNKNOWN ? YOMO_ERR_INVALID : YOMO_OK;
    }
    return rv;
}

static int read_jwk(struct yo_auth_keys *keys, struct yo_span jwk)
{
    struct key *key = next_key(keys);
    struct yo_span kid = yo_mp_as_str(yo_mp_map_get(jwk, "kid"));
    struct yo_span alg = yo_mp_as_str(yo_mp_map_get(jwk, "alg"));
    struct yo_buf a, b;
    int rv;

    yo_buf_init(&a, keys->mem);
    yo_buf_init(&b, keys->mem);
    rv = may_verify(jwk) ? read_material(key, jwk, &a, &b) : YOMO_ERR_NOT_FOUND;
    yo_buf_finish(&a);
    yo_buf_finish(&b);
    if (rv == YOMO_OK && (key->algorithm == YO_JWT_UNKNOWN ||
                          (alg.data && yo_jwt_algorithm_of(alg) != key->algorithm))) {
        rv = YOMO_ERR_NOT_FOUND; /* for something else than we do */
    }
    if (rv == YOMO_OK && kid.data) {
        key->kid = yo_strndup(keys->mem, kid.data, kid.size);
        rv = key->kid ? YOMO_OK : YOMO_ERR_NOMEM;
    }
    if (rv != YOMO_OK) {
        finish_key(keys->mem, key);
        ERR_clear_error();
        return rv == YOMO_ERR_NOT_FOUND ? YOMO_OK : rv;
    }
    keys->count++;
    return YOMO_OK;
}

static int read_jwks(struct yo_auth_keys *keys, struct yo_span set, struct yo_buf *why)
{
    struct yo_mp_reader reader;
    uint32_t count;

    yo_mp_reader_init(&reader, set);
    count = yo_mp_read_array(&reader);
    if (reader.error) {
        return complain(why, "\"keys\" is not an array of keys (RFC 7517 5)");
    }
    if (count > YO_AUTH_KEYS_MAX) {
        return complain(why, "it has more than 256 keys");
    }
    for (uint32_t i = 0; i < count; i++) {
        int rv = read_jwk(keys, yo_mp_skip(&reader));
        if (rv == YOMO_ERR_NOMEM) {
            return rv;
        }
        if (rv != YOMO_OK) {
            yo_buf_printf(why,
                          "its key number %u is broken, or too weak (RSA 2048 to "
                          "8192 bits, secrets at least 32 bytes)",
                          i + 1);
            return YOMO_ERR_FILE;
        }
    }
    return YOMO_OK;
}

static int read_json(struct yo_auth_keys *keys, struct yo_span file, struct yo_buf *why)
{
    struct yo_buf tree;
    struct yo_span set;
    int rv;

    yo_buf_init(&tree, keys->mem);
    rv = yo_json_to_mp(&tree, file);
    if (rv == YOMO_ERR_JSON) {
        rv = complain(why, "it begins like JSON and is not");
    }
    if (rv == YOMO_OK) {
        set = yo_mp_map_get(yo_buf_span(&tree), "keys");
        if (set.data) {
            rv = read_jwks(keys, set, why);
        } else {
            rv = read_jwk(keys, yo_buf_span(&tree));
            rv = rv == YOMO_ERR_INVALID ? complain(why, "it is a broken or weak JWK")
                                        : rv;
        }
    }
    if (tree.data) {
        OPENSSL_cleanse(tree.data, tree.size); /* it may hold a secret */
    }
    yo_buf_finish(&tree);
    return rv;
}

/* --- PEM and secrets -------------------------------------------------------------- */

/* The next public key or certificate of `bio`; NULL at its end. */
static EVP_PKEY *next_pem(BIO *bio, bool *private)
{
    char *name = NULL, *header = NULL;
    unsigned char *data = NULL;
    EVP_PKEY *public = NULL;
    long size;

    *private = false;
    while (!public && !*private && PEM_read_bio(bio, &name, &header, &data, &size)) {
        const unsigned char *at = data;
        if (strstr(name, "PRIVATE KEY")) {
            *private = true;
            OPENSSL_cleanse(data, (size_t)size);
        } else if (strcmp(name, PEM_STRING_PUBLIC) == 0) {
            public = d2i_PUBKEY(NULL, &at, size);
        } else if (strcmp(name, PEM_STRING_RSA_PUBLIC) == 0) {
            public = d2i_PublicKey(EVP_PKEY_RSA, NULL, &at, size);
        } else if (strcmp(name, PEM_STRING_X509) == 0) {
            X509 *certificate = d2i_X509(NULL, &at, size);
            public = certificate ? X509_get_pubkey(certificate) : NULL;
            X509_free(certificate);
        }
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(data);
    }
    return public;
}

static int read_pem(struct yo_auth_keys *keys, struct yo_span file, struct yo_buf *why)
{
    BIO *bio = BIO_new_mem_buf(file.data, (int)file.size);
    EVP_PKEY *public;
    bool private = false;
    int rv = bio ? YOMO_OK : YOMO_ERR_NOMEM;

    while (rv == YOMO_OK && (public = next_pem(bio, &private))) {
        struct key *key = next_key(keys);
        key->public = public;
        key->algorithm = algorithm_of_key(public);
        if (key->algorithm == YO_JWT_UNKNOWN || keys->count + 1 == YO_AUTH_KEYS_MAX) {
            finish_key(keys->mem, key);
            rv = complain(why, "it has a key that is none of RSA (2048 to 8192 bits), "
                               "EC P-256, Ed25519, or more than 255 keys");
        } else {
            keys->count++;
        }
    }
    if (rv == YOMO_OK && private) {
        rv = complain(why,
                      "it is a private key, which a server that only checks tokens "
                      "must not have: give it the public one (openssl pkey -pubout)");
    }
    BIO_free(bio);
    ERR_clear_error();
    return rv;
}

static int read_secret(struct yo_auth_keys *keys, struct yo_span file,
                       struct yo_buf *why)
{
    struct key *key = next_key(keys);

    if (file.size > 0 && file.data[file.size - 1] == '\n') {
        file.size -= file.size > 1 && file.data[file.size - 2] == '\r' ? 2 : 1;
    }
    if (file.size < YO_AUTH_SECRET_MIN) {
        return complain(why,
                        "a secret has at least 32 bytes (head -c 48 /dev/urandom | "
                        "base64)");
    }
    if (yo_buf_append_span(&key->secret, file) != YOMO_OK) {
        finish_key(keys->mem, key);
        return YOMO_ERR_NOMEM;
    }
    key->algorithm = YO_JWT_HS256;
    keys->count++;
    return YOMO_OK;
}

static struct yo_span skip_white(struct yo_span text)
{
    while (text.size > 0 && strchr(" \t\r\n", text.data[0])) {
        text = yo_span_skip(text, 1);
    }
    return text;
}

static bool begins(struct yo_span text, const char *with)
{
    size_t size = strlen(with);
    return text.size >= size && memcmp(text.data, with, size) == 0;
}

int yo_auth_keys_parse(struct yo_auth_keys **out, const struct yomo_mem *mem,
                       struct yo_span file, struct yo_buf *why)
{
    struct yo_auth_keys *keys = yo_malloc(mem, sizeof(*keys));
    struct yo_span text = skip_white(file);
    int rv;

    if (!keys) {
        return YOMO_ERR_NOMEM;
    }
    keys->mem = mem;
    keys->count = 0;
    atomic_init(&keys->refs, 1);
    if (file.size > INT32_MAX) {
        rv = complain(why, "it is too big");
    } else if (begins(text, "{")) {
        rv = read_json(keys, text, why);
    } else if (begins(text, "-----BEGIN ")) {
        rv = read_pem(keys, file, why);
    } else {
        rv = read_secret(keys, file, why);
    }
    if (rv == YOMO_OK && keys->count == 0) {
        rv = complain(why, "there is no key in it that verifies HS256, RS256, ES256 or "
                           "EdDSA");
    }
    if (rv != YOMO_OK) {
        yo_auth_keys_unref(keys);
        return rv;
    }
    *out = keys;
    return YOMO_OK;
}

struct yo_auth_keys *yo_auth_keys_ref(struct yo_auth_keys *keys)
{
    atomic_fetch_add_explicit(&keys->refs, 1, memory_order_relaxed);
    return keys;
}

void yo_auth_keys_unref(struct yo_auth_keys *keys)
{
    if (!keys || atomic_fetch_sub_explicit(&keys->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (size_t i = 0; i < keys->count; i++) {
        finish_key(keys->mem, &keys->list[i]);
    }
    yo_free(keys->mem, keys);
}

size_t yo_auth_keys_count(const struct yo_auth_keys *keys)
{
    return keys->count;
}

/* --- Signatures ------------------------------------------------------------------- */

static int verify_secret(const struct key *key, struct yo_span bytes,
                         struct yo_span signature)
{
    uint8_t mac[EVP_MAX_MD_SIZE];
    unsigned size = 0;

    if (!HMAC(EVP_sha256(), key->secret.data, (int)key->secret.size, bytes.data,
              bytes.size, mac, &size)) {
        return YOMO_ERR_NOMEM;
    }
    return yo_span_equal_secret(yo_span(mac, size), signature) ? YOMO_OK
                                                               : YOMO_ERR_AUTH;
}

/* RFC 7518 3.4 has R and S side by side, OpenSSL wants them in DER. */
static int der_signature(struct yo_span signature, uint8_t **der, size_t *size)
{
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r, *s;
    int n = -1;

    *der = NULL;
    if (signature.size != 2 * P256_SIZE) {
        ECDSA_SIG_free(pair);
        return YOMO_ERR_AUTH;
    }
    r = BN_bin2bn(signature.data, P256_SIZE, NULL);
    s = BN_bin2bn(signature.data + P256_SIZE, P256_SIZE, NULL);
    if (pair && r && s && ECDSA_SIG_set0(pair, r, s)) {
        n = i2d_ECDSA_SIG(pair, der);
    } else {
        BN_free(r);
        BN_free(s);
    }
    ECDSA_SIG_free(pair);
    *size = n > 0 ? (size_t)n : 0;
    return n > 0 ? YOMO_OK : YOMO_ERR_NOMEM;
}

static int verify_public(const struct key *key, struct yo_span bytes,
                         struct yo_span signature)
{
    const EVP_MD *digest = key->algorithm == YO_JWT_EDDSA ? NULL : EVP_sha256();
    uint8_t *der = NULL;
    EVP_MD_CTX *context;
    int rv = YOMO_OK;

    if (key->algorithm == YO_JWT_ES256) {
        rv = der_signature(signature, &der, &signature.size);
        signature.data = der;
    }
    context = rv == YOMO_OK ? EVP_MD_CTX_new() : NULL;
    if (rv == YOMO_OK && !context) {
        rv = YOMO_ERR_NOMEM;
    }
    if (rv == YOMO_OK &&
        (EVP_DigestVerifyInit(context, NULL, digest, NULL, key->public) != 1 ||
         EVP_DigestVerify(context, signature.data, signature.size, bytes.data,
                          bytes.size) != 1)) {
        rv = YOMO_ERR_AUTH;
    }
    EVP_MD_CTX_free(context);
    OPENSSL_free(der);
    ERR_clear_error();
    return rv;
}

static bool kid_is(const struct key *key, struct yo_span kid)
{
    return key->kid && yo_span_equal(yo_span_of(key->kid), kid);
}

static bool named(const struct yo_auth_keys *keys, enum yo_jwt_algorithm algorithm,
                  struct yo_span kid)
{
    for (size_t i = 0; i < keys->count; i++) {
        if (keys->list[i].algorithm == algorithm && kid_is(&keys->list[i], kid)) {
            return true;
        }
    }
    return false;
}

int yo_auth_keys_verify(const struct yo_auth_keys *keys,
                        enum yo_jwt_algorithm algorithm, struct yo_span kid,
                        struct yo_span bytes, struct yo_span signature)
{
    bool by_name = kid.data && named(keys, algorithm, kid);
    int rv = YOMO_ERR_NOT_FOUND;

    for (size_t i = 0; i < keys->count && rv != YOMO_OK && rv != YOMO_ERR_NOMEM; i++) {
        const struct key *key = &keys->list[i];
        if (key->algorithm != algorithm || (by_name && !kid_is(key, kid)) ||
            (!by_name && kid.data && key->kid)) {
            continue;
        }
        rv = algorithm == YO_JWT_HS256 ? verify_secret(key, bytes, signature)
                                       : verify_public(key, bytes, signature);
    }
    return rv;
}
