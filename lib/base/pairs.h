/* SPDX-License-Identifier: MIT */
/* pairs.h - names and values in a row of bytes, in their order: header fields that are
 * kept. Each is two sizes (16 bits, host order) and the bytes of both. */
#ifndef YO_BASE_PAIRS_H
#define YO_BASE_PAIRS_H

#include "base/buf.h"

/* Append. YOMO_ERR_TOO_BIG past 65535 bytes of either; YOMO_ERR_NOMEM. */
int yo_pairs_append(struct yo_buf *pairs, struct yo_span name, struct yo_span value);

/* Take the first off `pairs`; false when there is none. The spans point into it and are
 * never absent. */
bool yo_pairs_next(struct yo_span *pairs, struct yo_span *name, struct yo_span *value);

/* The value of the first that has this name; absent when none has. */
struct yo_span yo_pairs_get(struct yo_span pairs, const char *name);

#endif
