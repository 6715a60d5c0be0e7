/* SPDX-License-Identifier: MIT */
#include "sign.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/text.h"
#include "support/bytes.h"

void sign_append_base64url(struct yo_buf *out, struct yo_span bytes)
{
    size_t from = out->size;

    assert_int_equal(yo_base64_encode(out, bytes), 0);
    while (out->size > from && out->data[out->size - 1] == '=') {
        out->size--;
    }
    for (size_t i = from; i < out->size; i++) {
        out->data[i] = out->data[i] == '+'   ? '-'
                       : out->data[i] == '/' ? '_'
                                             : out->data[i];
    }
}

struct yo_span sign_hs256(struct yo_buf *out, const char *header, const char *payload,
                          const char *secret)
{
    uint8_t mac[32];

    yo_buf_init(out, &yo_mem_libc);
    sign_append_base64url(out, yo_span_of(header));
    yo_buf_append_byte(out, '.');
    sign_append_base64url(out, yo_span_of(payload));
    assert_non_null(HMAC(EVP_sha256(), secret, (int)strlen(secret), out->data,
                         out->size, mac, NULL));
    yo_buf_append_byte(out, '.');
    sign_append_base64url(out, yo_span(mac, sizeof(mac)));
    return bytes_copy(yo_buf_span(out));
}
