/* SPDX-License-Identifier: MIT */
/* json.h - JSON text (RFC 8259) to MessagePack and back, without a tree between them.
 *
 * One pass each, bounded by YO_NESTING_MAX. Numbers without fraction or exponent that
 * fit in 64 bits become integers, others doubles; a double is written with the fewest
 * digits that read back the same. NaN and infinities become null, as JSON.stringify has
 * it. Lone surrogates in escapes are refused. */
#ifndef YO_WIRE_JSON_H
#define YO_WIRE_JSON_H

#include "base/buf.h"
#include "base/span.h"

/* Exactly one JSON value with nothing but white space around it. YOMO_ERR_JSON. */
int yo_json_check(struct yo_span text);

/* Append the MessagePack of `text` to `out`. YOMO_ERR_JSON, YOMO_ERR_NOMEM; `out` is
 * then as it was. */
int yo_json_to_mp(struct yo_buf *out, struct yo_span text);

/* Append the JSON of one MessagePack value. BIN becomes {"base64":"..."}, EXT null, a
 * map key that is no string its JSON text as a string. YOMO_ERR_MALFORMED, also for a map
 * or array as a key inside such a key; YOMO_ERR_NOMEM; `out` is then as it was. */
int yo_mp_to_json(struct yo_buf *out, struct yo_span value);

/* Append `text` as a JSON string with its quotes. YOMO_ERR_INVALID when it is not UTF-8:
 * there is no JSON for that. YOMO_ERR_NOMEM, and out->failed is set. */
int yo_json_put_string(struct yo_buf *out, struct yo_span text);

#endif
