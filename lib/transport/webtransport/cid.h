/* SPDX-License-Identifier: MIT */
/* cid.h - connection IDs that say which worker they belong to, to those who know the
 * key.
 *
 * One AES-128 block: the worker's number, a check value and random bytes, encrypted as
 * one (draft-ietf-quic-load-balancers 5.5 does the same with a whole block). Nobody
 * else can tell two IDs of one connection, or of one worker, from any other two. */
#ifndef YO_WEBTRANSPORT_CID_H
#define YO_WEBTRANSPORT_CID_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

#define YO_CID_SIZE 16 /* of those that servers here make */
#define YO_SECRET_SIZE 32

struct evp_cipher_ctx_st;

/* What is derived from the secret that all workers share (RFC 5869, one label each). */
struct yo_secrets {
    uint8_t reset[32]; /* stateless reset tokens, RFC 9000 10.3.2 */
    uint8_t token[32]; /* Retry and NEW_TOKEN */
    struct evp_cipher_ctx_st *encrypt, *decrypt;
};

/* YOMO_ERR_TLS_SETUP. */
int yo_secrets_init(struct yo_secrets *secrets, const uint8_t secret[YO_SECRET_SIZE]);
void yo_secrets_finish(struct yo_secrets *secrets); /* accepts zeroed memory */

/* A fresh connection ID of `worker`. YOMO_ERR_TLS_SETUP. */
int yo_cid_make(const struct yo_secrets *secrets, uint16_t worker,
                uint8_t out[YO_CID_SIZE]);

/* Was `cid` made by yo_cid_make with the same secret, and for which worker? */
bool yo_cid_read(const struct yo_secrets *secrets, struct yo_span cid,
                 uint16_t *worker);

#endif
