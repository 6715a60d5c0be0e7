/* SPDX-License-Identifier: MIT */
/* hash.c - SHA-1 for the WebSocket handshake (RFC 6455 1.3), SHA-256 for all else. */
#include <assert.h>
#include <openssl/evp.h>

#include "transport/tls/inside.h"

static void digest(uint8_t *out, struct yo_span bytes, const EVP_MD *kind)
{
    yo_tls_begin();
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
