/* SPDX-License-Identifier: MIT */
/* keys.h - what tokens are checked with: public keys and shared secrets, from one file.
 *
 * The file is a JWK set or one JWK (RFC 7517; RSA, EC P-256, OKP Ed25519, oct), one or
 * more public keys or certificates in PEM, or else a secret for HS256, of which a
 * newline at the end is no part. Each key is good for one algorithm, which follows from
 * what it is: a token cannot choose (RFC 8725 3.1).
 *
 * Immutable and counted: a worker may go on with the old set while a new one is read.
 */
#ifndef YO_SERVER_AUTH_KEYS_H
#define YO_SERVER_AUTH_KEYS_H

#include "base/buf.h"
#include "base/span.h"

struct yo_auth_keys;

enum yo_jwt_algorithm { /* RFC 7518 3.1, RFC 8037 3.1 */
                        YO_JWT_HS256,
                        YO_JWT_RS256,
                        YO_JWT_ES256,
                        YO_JWT_EDDSA,
                        YO_JWT_UNKNOWN
};

#define YO_AUTH_KEYS_MAX 256
#define YO_AUTH_SECRET_MIN 32 /* bytes, RFC 7518 3.2 */

/* Make sense of `file`, the whole of it. Keys of a set that are of a kind we do not
 * have, or not for signatures, are passed over (RFC 7517 5); a set of which none is
 * left is an error. YOMO_ERR_FILE with a sentence in `why`, YOMO_ERR_NOMEM. */
int yo_auth_keys_parse(struct yo_auth_keys **out, const struct yomo_mem *mem,
                       struct yo_span file, struct yo_buf *why);

struct yo_auth_keys *yo_auth_keys_ref(struct yo_auth_keys *keys);
void yo_auth_keys_unref(struct yo_auth_keys *keys); /* accepts NULL */
size_t yo_auth_keys_count(const struct yo_auth_keys *keys);

enum yo_jwt_algorithm yo_jwt_algorithm_of(struct yo_span name);

/* Did a key for `algorithm` sign `bytes`? `kid` (RFC 7515 4.1.4) may be absent. With
 * one, only keys of that name are tried, or, when there is none, those without a name.
 * YOMO_OK; YOMO_ERR_NOT_FOUND when there is no such key; YOMO_ERR_AUTH;
 * YOMO_ERR_NOMEM. Thread: any, several at once. */
int yo_auth_keys_verify(const struct yo_auth_keys *keys,
                        enum yo_jwt_algorithm algorithm, struct yo_span kid,
                        struct yo_span bytes, struct yo_span signature);

#endif
