/* SPDX-License-Identifier: MIT */
/* text.h - UTF-8, hexadecimal, base64, percent-encoding, numbers. */
#ifndef YO_BASE_TEXT_H
#define YO_BASE_TEXT_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/span.h"

/* Well-formed UTF-8 (RFC 3629): no surrogates, no overlong forms, nothing past U+10FFFF. */
bool yo_utf8_valid(struct yo_span text);

/* `out` has room for 2 * bytes.size characters and a NUL. Lower case. */
void yo_hex_encode(char *out, struct yo_span bytes);

/* Exactly `size` bytes from 2 * size digits of either case, ':' between bytes allowed.
 * YOMO_ERR_INVALID otherwise. */
int yo_hex_decode(uint8_t *out, size_t size, struct yo_span text);

/* Append, with padding (RFC 4648 4); decoding also takes the URL alphabet and text
 * without padding. YOMO_ERR_NOMEM, YOMO_ERR_INVALID. */
int yo_base64_encode(struct yo_buf *out, struct yo_span bytes);
int yo_base64_decode(struct yo_buf *out, struct yo_span text);

/* Append `text` percent-decoded (RFC 3986 2.1); '+' stays '+'. YOMO_ERR_INVALID on a
 * broken escape, YOMO_ERR_NOMEM. */
int yo_percent_decode(struct yo_buf *out, struct yo_span text);

/* Append `text` with everything but unreserved characters escaped. */
int yo_percent_encode(struct yo_buf *out, struct yo_span text);

/* The value of `name` in a query string ("a=b&c=d", no '?'), still encoded; an absent
 * span when it is not there, an empty one for "name=" or "name". The first one counts. */
struct yo_span yo_query_get(struct yo_span query, const char *name);

/* A decimal number without sign, nothing around it. YOMO_ERR_INVALID. */
int yo_parse_u64(struct yo_span text, uint64_t *value);

/* Compare without regard to ASCII case. */
bool yo_span_equal_nocase(struct yo_span a, struct yo_span b);

/* Compare a secret with what somebody says it is: how long that takes tells its length,
 * but not how much of it was right. */
bool yo_span_equal_secret(struct yo_span secret, struct yo_span said);

#endif
