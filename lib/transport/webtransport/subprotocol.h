/* SPDX-License-Identifier: MIT */
/* subprotocol.h - wt-available-protocols and wt-protocol: a List and an Item of Strings
 * (draft-ietf-webtrans-http3-16 3.3; RFC 9651 3.1, 3.3.3). Drafts 10 to 12 had Tokens
 * there, which are taken too.
 *
 * A list in memory is texts behind each other, each with a NUL: a String has none. */
#ifndef YO_WEBTRANSPORT_SUBPROTOCOL_H
#define YO_WEBTRANSPORT_SUBPROTOCOL_H

#include "base/buf.h"

#define YO_SUBPROTOCOLS_MAX 32 /* in one list: more of them make the field invalid */
#define YO_SUBPROTOCOL_SIZE_MAX 255

/* Could it be one: 1 to 255 bytes of printable ASCII? */
bool yo_subprotocol_valid(struct yo_span text);

/* Append what a field's value lists to `list`; parameters are passed over (RFC 9651
 * 3.1.2). YOMO_ERR_INVALID: not a list of Strings or Tokens, as a whole to be ignored;
 * YOMO_ERR_NOMEM. `list` is then as it was. */
int yo_subprotocols_read(struct yo_buf *list, struct yo_span value);

/* Append the one that a field's value names, with a NUL. Errors as above. */
int yo_subprotocol_read(struct yo_buf *text, struct yo_span value);

/* Append the field's value, with a NUL behind it that does not count, for a list; for
 * one. YOMO_ERR_NOMEM. */
int yo_subprotocols_write(struct yo_buf *out, struct yo_span list);
int yo_subprotocol_write(struct yo_buf *out, struct yo_span text);

/* Take the first off `list`; absent when there is none. A NUL stands behind it. */
struct yo_span yo_subprotocols_next(struct yo_span *list);

bool yo_subprotocols_has(struct yo_span list, struct yo_span text);

#endif
