/* SPDX-License-Identifier: MIT */
/* sign.h - tokens for tests: header and payload as they are given, signed with HMAC. */
#ifndef TESTS_UNIT_SERVER_AUTH_SIGN_H
#define TESTS_UNIT_SERVER_AUTH_SIGN_H

#include "base/buf.h"

/* Append without padding (RFC 7515 2). */
void sign_append_base64url(struct yo_buf *out, struct yo_span bytes);

/* A token with `header` and `payload`, for `secret`; `out` is set up here and is the
 * caller's to finish. */
struct yo_span sign_hs256(struct yo_buf *out, const char *header, const char *payload,
                          const char *secret);

#endif
