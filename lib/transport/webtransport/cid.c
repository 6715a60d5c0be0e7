/* SPDX-License-Identifier: MIT */
/* cid.c - the block: 2 bytes worker, 4 bytes zero, 10 bytes random. */
#include "transport/webtransport/cid.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <yomo/error.h>

#include "base/rand.h"

#define CHECK_SIZE 4

/* HKDF-Expand with one block of output; the secret is uniformly random already. */
static bool derive(uint8_t out[32], const uint8_t *secret, const char *label)
{
    uint8_t info[64];
    size_t n = strlen(label);
    unsigned size = 0;
    memcpy(info, label, n);
    info[n] = 1;
    return HMAC(EVP_sha256(), secret, YO_SECRET_SIZE, info, n + 1, out, &size) &&
           size == 32;
}

int yo_secrets_init(struct yo_secrets *secrets, const uint8_t secret[YO_SECRET_SIZE])
{
    uint8_t key[32];

    memset(secrets, 0, sizeof(*secrets));
    secrets->encrypt = EVP_CIPHER_CTX_new();
    secrets->decrypt = EVP_CIPHER_CTX_new();
    bool ok =
        secrets->encrypt && secrets->decrypt &&
        derive(secrets->reset, secret, "yomo stateless reset") &&
        derive(secrets->token, secret, "yomo address token") &&
        derive(key, secret, "yomo connection id") &&
        EVP_EncryptInit_ex(secrets->encrypt, EVP_aes_128_ecb(), NULL, key, NULL) &&
        EVP_DecryptInit_ex(secrets->decrypt, EVP_aes_128_ecb(), NULL, key, NULL) &&
        EVP_CIPHER_CTX_set_padding(secrets->encrypt, 0) &&
        EVP_CIPHER_CTX_set_padding(secrets->decrypt, 0);
    OPENSSL_cleanse(key, sizeof(key));
    if (!ok) {
        yo_secrets_finish(secrets);
        return YOMO_ERR_TLS_SETUP;
    }
    return YOMO_OK;
}

void yo_secrets_finish(struct yo_secrets *secrets)
{
    EVP_CIPHER_CTX_free(secrets->encrypt);
    EVP_CIPHER_CTX_free(secrets->decrypt);
    OPENSSL_cleanse(secrets, sizeof(*secrets));
}

int yo_cid_make(const struct yo_secrets *secrets, uint16_t worker,
                uint8_t out[YO_CID_SIZE])
{
    uint8_t plain[YO_CID_SIZE] = {(uint8_t)(worker >> 8), (uint8_t)worker};
    int size = 0;
    yo_rand_bytes(plain + 2 + CHECK_SIZE, sizeof(plain) - 2 - CHECK_SIZE);
    if (!EVP_EncryptUpdate(secrets->encrypt, out, &size, plain, sizeof(plain)) ||
        size != YO_CID_SIZE) {
        return YOMO_ERR_TLS_SETUP;
    }
    return YOMO_OK;
}

bool yo_cid_read(const struct yo_secrets *secrets, struct yo_span cid, uint16_t *worker)
{
    static const uint8_t zero[CHECK_SIZE];
    uint8_t plain[YO_CID_SIZE];
    int size = 0;
    if (cid.size != YO_CID_SIZE ||
        !EVP_DecryptUpdate(secrets->decrypt, plain, &size, cid.data, YO_CID_SIZE) ||
        size != YO_CID_SIZE || memcmp(plain + 2, zero, CHECK_SIZE) != 0) {
        return false;
    }
    *worker = (uint16_t)(plain[0] << 8 | plain[1]);
    return true;
}
