/* SPDX-License-Identifier: MIT */
/* jwt.h - is this JSON Web Token (RFC 7519, RFC 8725) good now, and what does it claim?
 *
 * Compact serialisation only (RFC 7515 7.1), signed with HS256, RS256, ES256 or EdDSA.
 */
#ifndef YO_SERVER_AUTH_JWT_H
#define YO_SERVER_AUTH_JWT_H

#include "server/auth/keys.h"

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

/* For who reads claims: the NumericDate (RFC 7519 2) under `name`, in whole seconds, 0
 * for one before 1970; false when it is not there or no date. */
bool yo_jwt_date(struct yo_span claims, const char *name, uint64_t *seconds);

/* Is `map` a map of at most 64 members, whose names are strings and all different? */
bool yo_jwt_members_differ(struct yo_span map);

#endif
