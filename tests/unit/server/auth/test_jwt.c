/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/check.h"
#include "base/text.h"
#include "server/auth/jwt.h"
#include "sign.h"
#include "support/bytes.h"
#include "support/fault.h"
#include "wire/limits.h"

/* RFC 7515, Appendix A: header and payload are those of the RFC, CRLF and all. */
#define CLAIMS_JOE                                                                     \
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19y" \
    "b2"                                                                               \
    "90Ijp0cnVlfQ"
#define EXPIRY_JOE 1300819380u
static const char hs256_jwk[] =
    "{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-"
    "1qS0gZH75aKtM"
    "N3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"}";
static const char hs256_token[] = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." CLAIMS_JOE
                                  ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
static const char rs256_jwk[] =
    "{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_"
    "wWJcyQoTbji9k0l8W26mPddxH"
    "mfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_"
    "YpRPEwOWvG6b32690r2jZ47"
    "soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-"
    "UTo7WTBEMa2R2CapHg665x"
    "smtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_"
    "h9iaGNj8q2ethFk"
    "MLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\",\"e\":\"AQAB\"}";
static const char rs256_token[] =
    "eyJhbGciOiJSUzI1NiJ9." CLAIMS_JOE
    ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_"
    "lF5YK"
    "t_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_"
    "nZLgrnbyTyWzO75vRK5h6xBAr"
    "LIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-"
    "eOkHWEsqtFZESc6BfI7n"
    "oOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_"
    "IoypGlUP"
    "QGe77Rw";
static const char es256_jwk[] =
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":"
    "\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVE"
    "U\",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}";
static const char es256_token[] = "eyJhbGciOiJFUzI1NiJ9." CLAIMS_JOE
                                  ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-"
                                  "F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6N"
                                  "U1Q";
/* RFC 8037, Appendix A.4, whose payload is no JSON. */
static const char ed25519_jwk[] = "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":"
                                  "\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPc"
                                  "HURo\"}";
static const char ed25519_signed[] =
    "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
static const char ed25519_signature[] =
    "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_"
    "MuM0K"
    "Ag";

static const char secret[] = "0123456789abcdef0123456789abcdef";

/* --- Helpers ---------------------------------------------------------------------- */

static struct yo_auth_keys *keys_of(const char *file)
{
    struct yo_auth_keys *keys = NULL;
    struct yo_buf why;

    yo_buf_init(&why, &yo_mem_libc);
    if (yo_auth_keys_parse(&keys, &yo_mem_libc, bytes_copy(yo_span_of(file)), &why) !=
        YOMO_OK) {
        fail_msg("refused: %.*s", (int)why.size, (const char *)why.data);
    }
    yo_buf_finish(&why);
    return keys;
}

static int verify_with(struct yo_auth_keys *keys, const struct yo_jwt_rules *rules,
                       struct yo_span token, uint64_t now_s)
{
    const char *why;
    struct yo_buf claims;
    int rv;

    yo_buf_init(&claims, &yo_mem_libc);
    rv = yo_jwt_verify(&claims, keys, rules, token, now_s, &why);
    if (rv == YOMO_OK) {
        assert_true(claims.size > 0);
    } else {
        assert_int_equal(claims.size, 0);
        assert_true(why[0] != '\0');
    }
    yo_buf_finish(&claims);
    return rv;
}

static int verify(const char *file, struct yo_span token, uint64_t now_s)
{
    static const struct yo_jwt_rules rules = {0};
    struct yo_auth_keys *keys = keys_of(file);
    int rv = verify_with(keys, &rules, token, now_s);

    yo_auth_keys_unref(keys);
    return rv;
}

/* Verify what sign_hs256() makes of it, with the secret, at the time 1000. */
static int check(const char *header, const char *payload)
{
    struct yo_buf token;
    int rv = verify(secret, sign_hs256(&token, header, payload, secret), 1000);

    yo_buf_finish(&token);
    return rv;
}

#define HS256 "{\"alg\":\"HS256\"}"
#define GOOD "{\"exp\":2000}"

/* --- Tests ------------------------------------------------------------------------ */

static void the_examples_of_the_rfcs_are_good(void **state)
{
    static const struct {
        const char *key, *token;
    } cases[] = {
        {hs256_jwk, hs256_token}, {rs256_jwk, rs256_token}, {es256_jwk, es256_token}};
    struct yo_auth_keys *keys = keys_of(ed25519_jwk);
    struct yo_buf signature;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct yo_span token = bytes_copy(yo_span_of(cases[i].token));
        assert_int_equal(verify(cases[i].key, token, EXPIRY_JOE - 1), YOMO_OK);
        assert_int_equal(verify(cases[i].key, token, EXPIRY_JOE), YOMO_ERR_AUTH);
    }
    yo_buf_init(&signature, &yo_mem_libc);
    assert_int_equal(yo_base64_decode(&signature, yo_span_of(ed25519_signature)),
                     YOMO_OK);
    assert_int_equal(yo_auth_keys_verify(keys, YO_JWT_EDDSA, YO_SPAN_NONE,
                                         yo_span_of(ed25519_signed),
                                         yo_buf_span(&signature)),
                     YOMO_OK);
    signature.data[5] ^= 1;
    assert_int_equal(yo_auth_keys_verify(keys, YO_JWT_EDDSA, YO_SPAN_NONE,
                                         yo_span_of(ed25519_signed),
                                         yo_buf_span(&signature)),
                     YOMO_ERR_AUTH);
    yo_buf_finish(&signature);
    yo_auth_keys_unref(keys);
}

static void every_changed_byte_is_noticed(void **state)
{
    static const char *const tokens[] = {hs256_token, es256_token};
    static const char *const keys[] = {hs256_jwk, es256_jwk};

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        size_t size = strlen(tokens[k]);
        for (size_t i = 0; i < size; i++) {
            char changed[512];
            memcpy(changed, tokens[k], size);
            changed[i] = changed[i] == 'A' ? 'B' : 'A';
            assert_int_equal(
                verify(keys[k], bytes_copy(yo_span(changed, size)), EXPIRY_JOE - 1),
                YOMO_ERR_AUTH);
        }
    }
}

static void a_token_that_is_cut_anywhere_is_refused(void **state)
{
    (void)state;
    for (size_t size = 0; size < strlen(hs256_token); size++) {
        assert_int_equal(verify(hs256_jwk, bytes_copy(yo_span(hs256_token, size)), 1),
                         YOMO_ERR_AUTH);
    }
}

static void no_token_chooses_its_algorithm(void **state)
{
    struct yo_buf token;
    (void)state;
    assert_int_equal(check(HS256, GOOD), YOMO_OK);
    assert_int_equal(check("{\"alg\":\"none\"}", GOOD), YOMO_ERR_AUTH);
    assert_int_equal(check("{\"alg\":\"None\"}", GOOD), YOMO_ERR_AUTH);
    assert_int_equal(check("{\"alg\":\"HS384\"}", GOOD), YOMO_ERR_AUTH);
    assert_int_equal(check("{\"alg\":\"RS256\"}", GOOD), YOMO_ERR_AUTH);
    assert_int_equal(check("{}", GOOD), YOMO_ERR_AUTH);
    assert_int_equal(check("{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", GOOD),
                     YOMO_ERR_AUTH);
    assert_int_equal(check("{\"alg\":\"none\",\"alg\":\"HS256\"}", GOOD),
                     YOMO_ERR_AUTH);
    /* The public key as an HMAC secret: the trick of RFC 8725 2.1. */
    sign_hs256(&token, HS256, GOOD, rs256_jwk);
    assert_int_equal(verify(rs256_jwk, yo_buf_span(&token), 1000), YOMO_ERR_AUTH);
    yo_buf_finish(&token);
}

static void an_unsigned_token_is_refused(void **state)
{
    struct yo_buf token;
    (void)state;
    yo_buf_init(&token, &yo_mem_libc);
    sign_append_base64url(&token, yo_span_of("{\"alg\":\"none\"}"));
    yo_buf_append_byte(&token, '.');
    sign_append_base64url(&token, yo_span_of(GOOD));
    yo_buf_append_byte(&token, '.');
    assert_int_equal(verify(secret, yo_buf_span(&token), 1000), YOMO_ERR_AUTH);
    yo_buf_finish(&token);
}

static void dates_are_kept(void **state)
{
    (void)state;
    assert_int_equal(check(HS256, "{}"), YOMO_ERR_AUTH);
    assert_int_equal(check(HS256, "{\"exp\":\"2000\"}"), YOMO_ERR_AUTH);
    assert_int_equal(check(HS256, "{\"exp\":1000}"), YOMO_ERR_AUTH);
    assert_int_equal(check(HS256, "{\"exp\":1001}"), YOMO_OK);
    assert_int_equal(check(HS256, "{\"exp\":1001.5}"), YOMO_OK);
    assert_int_equal(check(HS256, "{\"exp\":-5}"), YOMO_ERR_AUTH);
    assert_int_equal(check(HS256, "{\"exp\":1e300}"), YOMO_ERR_AUTH);
    assert_int_equal(check(HS256, "{\"exp\":18446744073709551615}"), YOMO_OK);
    assert_int_equal(check(HS256, "{\"exp\":2000,\"nbf\":1000}"), YOMO_OK);
    assert_int_equal(check(HS256, "{\"exp\":2000,\"nbf\":1001}"), YOMO_ERR_AUTH);
    assert_int_equal(check(HS256, "{\"exp\":2000,\"nbf\":true}"), YOMO_ERR_AUTH);
}

static void clocks_may_be_a_little_apart(void **state)
{
    const struct yo_jwt_rules rules = {.leeway_s = 30};
    struct yo_auth_keys *keys = keys_of(secret);
    struct yo_buf token;
    struct yo_span text =
        sign_hs256(&token, HS256, "{\"exp\":2000,\"nbf\":1000}", secret);

    (void)state;
    assert_int_equal(verify_with(keys, &rules, text, 2029), YOMO_OK);
    assert_int_equal(verify_with(keys, &rules, text, 2030), YOMO_ERR_AUTH);
    assert_int_equal(verify_with(keys, &rules, text, 970), YOMO_OK);
    assert_int_equal(verify_with(keys, &rules, text, 969), YOMO_ERR_AUTH);
    yo_buf_finish(&token);
    yo_auth_keys_unref(keys);
}

static void audience_and_issuer_are_checked(void **state)
{
    const struct yo_jwt_rules rules = {.audience = yo_span_of("us"),
                                       .issuer = yo_span_of("idp")};
    static const struct {
        const char *payload;
        int rv;
    } cases[] = {
        {"{\"exp\":9,\"aud\":\"us\",\"iss\":\"idp\"}", YOMO_OK},
        {"{\"exp\":9,\"aud\":[\"them\",\"us\"],\"iss\":\"idp\"}", YOMO_OK},
        {"{\"exp\":9,\"aud\":\"them\",\"iss\":\"idp\"}", YOMO_ERR_AUTH},
        {"{\"exp\":9,\"aud\":[],\"iss\":\"idp\"}", YOMO_ERR_AUTH},
        {"{\"exp\":9,\"aud\":5,\"iss\":\"idp\"}", YOMO_ERR_AUTH},
        {"{\"exp\":9,\"iss\":\"idp\"}", YOMO_ERR_AUTH},
        {"{\"exp\":9,\"aud\":\"us\"}", YOMO_ERR_AUTH},
        {"{\"exp\":9,\"aud\":\"us\",\"iss\":\"other\"}", YOMO_ERR_AUTH},
    };
    struct yo_auth_keys *keys = keys_of(secret);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct yo_buf token;
        struct yo_span text = sign_hs256(&token, HS256, cases[i].payload, secret);
        assert_int_equal(verify_with(keys, &rules, text, 1), cases[i].rv);
        yo_buf_finish(&token);
    }
    yo_auth_keys_unref(keys);
    /* RFC 7519 4.1.3: who has no name is in nobody's audience. */
    assert_int_equal(check(HS256, "{\"exp\":2000,\"aud\":\"us\"}"), YOMO_ERR_AUTH);
}

static void broken_parts_are_refused(void **state)
{
    (void)state;
    assert_int_equal(check("[]", GOOD), YOMO_ERR_AUTH);
    assert_int_equal(check("{", GOOD), YOMO_ERR_AUTH);
    assert_int_equal(check(HS256, "[]"), YOMO_ERR_AUTH);
    assert_int_equal(check(HS256, ""), YOMO_ERR_AUTH);
    assert_int_equal(check(HS256, "{\"exp\":1,\"exp\":2000}"), YOMO_ERR_AUTH);
    assert_int_equal(check(HS256, "{\"exp\":2000} x"), YOMO_ERR_AUTH);
    assert_int_equal(verify(secret, yo_span_of("a.b.c.d"), 1), YOMO_ERR_AUTH);
    assert_int_equal(verify(secret, yo_span_of(".."), 1), YOMO_ERR_AUTH);
}

static void a_token_that_is_too_long_is_not_looked_at(void **state)
{
    struct yo_buf token;
    char *payload = malloc(YO_TOKEN_SIZE_MAX);

    (void)state;
    assert_non_null(payload);
    memset(payload, ' ', YO_TOKEN_SIZE_MAX);
    memcpy(payload, GOOD, strlen(GOOD));
    payload[YO_TOKEN_SIZE_MAX - 1] = '\0';
    assert_int_equal(verify(secret, sign_hs256(&token, HS256, payload, secret), 1000),
                     YOMO_ERR_AUTH);
    yo_buf_finish(&token);
    free(payload);
}

static void the_key_is_found_by_its_name(void **state)
{
    static const char set[] = "{\"keys\":["
                              "{\"kty\":\"oct\",\"kid\":\"old\",\"k\":"
                              "\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNk"
                              "ZWY\"},"
                              "{\"kty\":\"oct\",\"kid\":\"new\",\"k\":"
                              "\"enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6"
                              "eno\"}]}";
    static const char *const headers[] = {
        "{\"alg\":\"HS256\",\"kid\":\"old\"}", "{\"alg\":\"HS256\",\"kid\":\"new\"}",
        "{\"alg\":\"HS256\",\"kid\":\"other\"}", HS256};
    static const int expected[] = {YOMO_OK, YOMO_ERR_AUTH, YOMO_ERR_AUTH, YOMO_OK};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct yo_buf token;
        struct yo_span text =
            sign_hs256(&token, headers[i], GOOD, secret); /* is `old` */
        assert_int_equal(verify(set, text, 1000), expected[i]);
        yo_buf_finish(&token);
    }
}

static void keys_of_other_kinds_are_passed_over(void **state)
{
    struct yo_auth_keys *keys;
    (void)state;
    keys = keys_of("{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"AA\"},"
                   "{\"kty\":\"dilithium\"},"
                   "{\"kty\":\"oct\",\"use\":\"enc\",\"k\":\"AA\"},"
                   "{\"kty\":\"oct\",\"key_ops\":[\"sign\"],\"k\":\"AA\"},"
                   "{\"kty\":\"oct\",\"alg\":\"A128GCM\",\"k\":"
                   "\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY\"},"
                   "{\"kty\":\"oct\",\"alg\":\"HS256\",\"use\":\"sig\",\"k\":"
                   "\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY\"}]}");
    assert_int_equal(yo_auth_keys_count(keys), 1);
    yo_auth_keys_unref(keys);
}

static void check_bad_file(const char *file, const char *says)
{
    struct yo_auth_keys *keys;
    struct yo_buf why;

    yo_buf_init(&why, &yo_mem_libc);
    assert_int_equal(
        yo_auth_keys_parse(&keys, &yo_mem_libc, bytes_copy(yo_span_of(file)), &why),
        YOMO_ERR_FILE);
    yo_buf_append_byte(&why, 0);
    if (!strstr((const char *)why.data, says)) {
        fail_msg("\"%s\" does not say \"%s\"", (const char *)why.data, says);
    }
    yo_buf_finish(&why);
}

static void files_that_are_no_keys_say_what_is_wrong(void **state)
{
    (void)state;
    check_bad_file("", "32 bytes");
    check_bad_file("short\n", "32 bytes");
    check_bad_file("{\"keys\":[]}", "no key");
    check_bad_file("{\"keys\":5}", "not an array");
    check_bad_file("{\"keys\":[", "begins like JSON");
    check_bad_file("{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}", "number 1");
    check_bad_file("{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}", "weak");
    check_bad_file("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAA\",\"y\":\"AAAA\"}",
                   "broken");
    check_bad_file("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
                   "no key");
}

/* What `write` puts into a PEM file. */
static char *pem_of(EVP_PKEY *key, bool private)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *data;
    long size;

    assert_int_equal(private
                         ? PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL)
                         : PEM_write_bio_PUBKEY(bio, key),
                     1);
    size = BIO_get_mem_data(bio, &data);
    data = yo_strndup(&yo_mem_libc, data, (size_t)size);
    BIO_free(bio);
    return data;
}

static void append_signature(struct yo_buf *token, EVP_PKEY *key, bool ed)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint8_t raw[512], pair[64];
    const uint8_t *at = raw;
    size_t size = sizeof(raw);

    assert_int_equal(
        EVP_DigestSignInit(context, NULL, ed ? NULL : EVP_sha256(), NULL, key), 1);
    assert_int_equal(EVP_DigestSign(context, raw, &size, token->data, token->size), 1);
    EVP_MD_CTX_free(context);
    yo_buf_append_byte(token, '.');
    if (EVP_PKEY_is_a(key, "EC")) {
        ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &at, (long)size);
        assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(signature), pair, 32), 32);
        assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(signature), pair + 32, 32), 32);
        ECDSA_SIG_free(signature);
        sign_append_base64url(token, yo_span(pair, sizeof(pair)));
    } else {
        sign_append_base64url(token, yo_span(raw, size));
    }
}

static void public_keys_in_pem_are_read_and_private_ones_refused(void **state)
{
    static const char *const headers[] = {"{\"alg\":\"EdDSA\"}", "{\"alg\":\"ES256\"}",
                                          "{\"alg\":\"RS256\"}"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        EVP_PKEY *key = i == 0   ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
                        : i == 1 ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256")
                                 : EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
        char *public = pem_of(key, false);
        char *private = pem_of(key, true);
        struct yo_buf token;

        yo_buf_init(&token, &yo_mem_libc);
        sign_append_base64url(&token, yo_span_of(headers[i]));
        yo_buf_append_byte(&token, '.');
        sign_append_base64url(&token, yo_span_of(GOOD));
        append_signature(&token, key, i == 0);
        assert_int_equal(verify(public, yo_buf_span(&token), 1000), YOMO_OK);
        check_bad_file(private, "private key");
        yo_buf_finish(&token);
        yo_free(&yo_mem_libc, public);
        yo_free(&yo_mem_libc, private);
        EVP_PKEY_free(key);
    }
}

static void keys_that_are_too_weak_are_refused(void **state)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024);
    char *public = pem_of(key, false);
    (void)state;
    check_bad_file(public, "2048");
    yo_free(&yo_mem_libc, public);
    EVP_PKEY_free(key);
}

static void with_memory_running_out(struct fault *fault, void *user)
{
    const struct yo_jwt_rules rules = {0};
    const char *const *both = user;
    struct yo_auth_keys *keys;
    struct yo_buf why, claims;
    const char *reason;
    int rv;

    yo_buf_init(&why, &yo_mem_libc);
    rv = yo_auth_keys_parse(&keys, &fault->mem, yo_span_of(both[0]), &why);
    yo_buf_finish(&why);
    if (rv != YOMO_OK) {
        assert_int_equal(rv, YOMO_ERR_NOMEM);
        assert_true(fault->failed);
        return;
    }
    yo_buf_init(&claims, &fault->mem);
    rv = yo_jwt_verify(&claims, keys, &rules, yo_span_of(both[1]), 1, &reason);
    if (rv != YOMO_OK) {
        assert_int_equal(rv, YOMO_ERR_NOMEM);
        assert_true(fault->failed);
    }
    yo_buf_finish(&claims);
    yo_auth_keys_unref(keys);
}

static void memory_may_run_out(void **state)
{
    const char *cases[][2] = {{hs256_jwk, hs256_token}, {es256_jwk, es256_token}};
    (void)state;
    fault_each(with_memory_running_out, cases[0]);
    fault_each(with_memory_running_out, cases[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_the_rfcs_are_good),
        cmocka_unit_test(every_changed_byte_is_noticed),
        cmocka_unit_test(a_token_that_is_cut_anywhere_is_refused),
        cmocka_unit_test(no_token_chooses_its_algorithm),
        cmocka_unit_test(an_unsigned_token_is_refused),
        cmocka_unit_test(dates_are_kept),
        cmocka_unit_test(clocks_may_be_a_little_apart),
        cmocka_unit_test(audience_and_issuer_are_checked),
        cmocka_unit_test(broken_parts_are_refused),
        cmocka_unit_test(a_token_that_is_too_long_is_not_looked_at),
        cmocka_unit_test(the_key_is_found_by_its_name),
        cmocka_unit_test(keys_of_other_kinds_are_passed_over),
        cmocka_unit_test(files_that_are_no_keys_say_what_is_wrong),
        cmocka_unit_test(public_keys_in_pem_are_read_and_private_ones_refused),
        cmocka_unit_test(keys_that_are_too_weak_are_refused),
        cmocka_unit_test(memory_may_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
