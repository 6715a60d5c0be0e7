/* SPDX-License-Identifier: MIT */
/* encode.h - messages to bytes.
 *
 * Keys are written in the order t, op, c, pl, p, mesh and then the extension's, which is
 * what the golden bytes of docs/protocol.md show; decoders do not depend on it. */
#ifndef YO_WIRE_ENCODE_H
#define YO_WIRE_ENCODE_H

#include "base/blob.h"
#include "base/buf.h"
#include "wire/message.h"

/* Which keys a receiver may see. */
enum yo_dialect {
    YO_DIALECT_PRESENCEJS, /* the seven keys of psig, never another */
    YO_DIALECT_YOMO
};

/* Append `message`. `peer` and `mesh` are written when they are not absent (an empty
 * peer is written). Keys of the extension are written when not zero, for
 * YO_DIALECT_YOMO only. YOMO_ERR_NOMEM; YOMO_ERR_TOO_BIG past YO_MESSAGE_SIZE_MAX;
 * YOMO_ERR_INVALID for an op that `dialect` has not. `out` is then as it was. */
int yo_encode(struct yo_buf *out, enum yo_dialect dialect, const struct yo_message *message);

/* The same into a blob of its own. */
int yo_encode_blob(struct yo_blob **out, const struct yomo_mem *mem, enum yo_dialect dialect,
                   const struct yo_message *message);

/* Append the data payload {event, data}: JSON text as a string, bytes as bin. */
int yo_content_write(struct yo_buf *out, struct yo_span event, enum yomo_encoding encoding,
                     struct yo_span bytes);

/* Append the state payload of a client: the members of the JSON object `json`, and "id"
 * with `id` in front unless the object has one. YOMO_ERR_JSON when it is no object, or
 * one that yo_check_state would refuse ("__proto__", two ids). Absent `json` gives {id}. */
int yo_state_from_json(struct yo_buf *out, struct yo_span id, struct yo_span json);

/* Append `state`, an encoded one, with `to` in the place of an `id` that is `from`; with
 * another `id`, the program's own, it stays as it is. YOMO_ERR_NOMEM. */
int yo_state_rename(struct yo_buf *out, struct yo_span state, struct yo_span from,
                    struct yo_span to);

/* The same for bytes: {id, bytes}. */
int yo_state_from_bytes(struct yo_buf *out, struct yo_span id, struct yo_span bytes);

/* Append one entry of the array `to`; a failed append sets out->failed. */
void yo_target_write(struct yo_buf *out, const struct yo_wire_target *target);

/* The array `to` of one session, in `out`. */
#define YO_TARGET_SIZE_MAX 10
struct yo_span yo_target_one(uint8_t out[YO_TARGET_SIZE_MAX], uint64_t session);

/* Append one member map of a snapshot page. */
int yo_member_write(struct yo_buf *out, const struct yo_wire_member *member);

/* Append one message map of a page of history. */
int yo_past_write(struct yo_buf *out, const struct yo_wire_past *past);
int yo_value_write(struct yo_buf *out, const struct yo_wire_value *value);

#endif
