/* SPDX-License-Identifier: MIT */
#include "server/webhooks/sign.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <yomo/error.h>

#include "base/text.h"

static const char prefix[] = "whsec_";

void yo_webhook_secrets_forget(struct yo_webhook_secrets *secrets)
{
    OPENSSL_cleanse(secrets, sizeof(*secrets));
}

static bool blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static int add(struct yo_webhook_secrets *secrets, struct yo_span line,
               const struct yomo_mem *mem, const char **why)
{
    struct yo_buf bytes;
    size_t size = strlen(prefix);
    int rv;

    if (secrets->count == YO_WEBHOOK_SECRETS_MAX) {
        *why = "there are more than 8 secrets";
        return YOMO_ERR_INVALID;
    }
    if (line.size <= size || memcmp(line.data, prefix, size) != 0) {
        *why = "a secret is written whsec_ and base64, one in each line";
        return YOMO_ERR_INVALID;
    }
    yo_buf_init(&bytes, mem);
    rv = yo_base64_decode(&bytes, yo_span_skip(line, size));
    if (rv == YOMO_ERR_INVALID) {
        *why = "what follows whsec_ is not base64";
    } else if (rv == YOMO_OK && (bytes.size < YO_WEBHOOK_SECRET_MIN ||
                                 bytes.size > YO_WEBHOOK_SECRET_MAX)) {
        *why = "a secret has 24 to 64 bytes";
        rv = YOMO_ERR_INVALID;
    }
    if (rv == YOMO_OK) {
        memcpy(secrets->list[secrets->count].bytes, bytes.data, bytes.size);
        secrets->list[secrets->count++].size = bytes.size;
    }
    if (bytes.data) {
        OPENSSL_cleanse(bytes.data, bytes.capacity);
    }
    yo_buf_finish(&bytes);
    return rv;
}

int yo_webhook_secrets_read(struct yo_webhook_secrets *secrets, struct yo_span text,
                            const struct yomo_mem *mem, const char **why)
{
    int rv = YOMO_OK;

    memset(secrets, 0, sizeof(*secrets));
    while (rv == YOMO_OK && text.size > 0) {
        const uint8_t *end = memchr(text.data, '\n', text.size);
        struct yo_span line =
            yo_span(text.data, end ? (size_t)(end - text.data) : text.size);
        text = yo_span_skip(text, line.size + 1);
        while (line.size > 0 && blank(line.data[0])) {
            line = yo_span_skip(line, 1);
        }
        while (line.size > 0 && blank(line.data[line.size - 1])) {
            line.size--;
        }
        if (line.size > 0 && line.data[0] != '#') {
            rv = add(secrets, line, mem, why);
        }
    }
    if (rv == YOMO_OK && secrets->count == 0) {
        *why = "there is no secret in it";
        rv = YOMO_ERR_INVALID;
    }
    if (rv != YOMO_OK) {
        yo_webhook_secrets_forget(secrets);
    }
    return rv;
}

/* "ID.SECONDS.BODY" */
static int said(struct yo_buf *out, struct yo_span id, uint64_t seconds,
                struct yo_span body)
{
    (void)yo_buf_append_span(out, id);
    (void)yo_buf_printf(out, ".%" PRIu64 ".", seconds);
    (void)yo_buf_append_span(out, body);
    return out->failed ? YOMO_ERR_NOMEM : YOMO_OK;
}

int yo_webhook_sign(struct yo_buf *out, const struct yo_webhook_secrets *secrets,
                    struct yo_span id, uint64_t seconds, struct yo_span body)
{
    struct yo_buf text;
    int rv;

    yo_buf_init(&text, out->mem);
    rv = said(&text, id, seconds, body);
    for (size_t i = 0; i < secrets->count && rv == YOMO_OK; i++) {
        uint8_t mac[32];
        unsigned size = sizeof(mac);
        if (!HMAC(EVP_sha256(), secrets->list[i].bytes, (int)secrets->list[i].size,
                  text.data, text.size, mac, &size)) {
            rv = YOMO_ERR_NOMEM; /* nothing else is possible */
            break;
        }
        (void)yo_buf_append_text(out, i == 0 ? "v1," : " v1,");
        (void)yo_base64_encode(out, yo_span(mac, size));
    }
    yo_buf_finish(&text);
    return rv == YOMO_OK && out->failed ? YOMO_ERR_NOMEM : rv;
}
