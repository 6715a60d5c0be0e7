/* SPDX-License-Identifier: MIT */
/* jwt.h - is this JSON Web Token (RFC 7519, RFC 8725) good now, and what does it claim?
 *
 * Compact serialisation only (RFC 7515 7.1), signed with HS256, RS256, ES256 or EdDSA.
 */
#ifndef YO_SERVER_AUTH_JWT_H
#define YO_SERVER_AUTH_JWT_H

#include "server/auth/keys.h"

#define YO_JWT_SIZE_MAX 8192 /* bytes of a token: it travels in a URL */

struct yo_jwt_rules {
    struct yo_span audience; /* absent: a token with an `aud` is not for us */
    struct yo_span issuer;   /* absent: any, or none */
    uint64_t leeway_s;       /* how far apart clocks may be */
};

/* YOMO_OK, and `claims` has the payload as one MessagePack map, without two members of
 * one name, with an `exp` that is still to come. YOMO_ERR_AUTH, and `why` is a sentence
 * for the operator's log, which never has anything of the token in it but the names of
 * algorithms; YOMO_ERR_NOMEM. `now_s` is the wall clock. */
int yo_jwt_verify(struct yo_buf *claims, const struct yo_auth_keys *keys,
                  const struct yo_jwt_rules *rules, struct yo_span token,
                  uint64_t now_s, const char **why);

#endif
