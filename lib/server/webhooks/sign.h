/* SPDX-License-Identifier: MIT */
/* sign.h - signatures of webhooks, as the Standard Webhooks specification has them:
 * HMAC-SHA256 over id, '.', seconds since 1970, '.' and the body. */
#ifndef YO_WEBHOOKS_SIGN_H
#define YO_WEBHOOKS_SIGN_H

#include "base/buf.h"

#define YO_WEBHOOK_SECRETS_MAX 8
#define YO_WEBHOOK_SECRET_MIN 24 /* bytes, as the specification has it */
#define YO_WEBHOOK_SECRET_MAX 64

struct yo_webhook_secrets {
    size_t count;
    struct {
        uint8_t bytes[YO_WEBHOOK_SECRET_MAX];
        size_t size;
    } list[YO_WEBHOOK_SECRETS_MAX];
};

/* Read a file: one "whsec_" and base64 in each line; empty lines and those that begin
 * with '#' count for nothing. YOMO_ERR_INVALID with a few words in `*why`,
 * YOMO_ERR_NOMEM; `secrets` is then empty. */
int yo_webhook_secrets_read(struct yo_webhook_secrets *secrets, struct yo_span text,
                            const struct yomo_mem *mem, const char **why);
void yo_webhook_secrets_forget(struct yo_webhook_secrets *secrets);

/* Append "v1,BASE64", one for each secret, a space between them. YOMO_ERR_NOMEM. */
int yo_webhook_sign(struct yo_buf *out, const struct yo_webhook_secrets *secrets,
                    struct yo_span id, uint64_t seconds, struct yo_span body);

#endif
