/* SPDX-License-Identifier: MIT */
/* grants.h - what somebody may do: who he is, where he may go, and until when.
 *
 * Made from a token's claims (docs/tokens.md):
 *
 *     {"sub": "alice", "exp": 1790000000,
 *      "yomo": {"app": "canvas",
 *               "rooms": {"doc-*": ["join", "send", "presence"], "lobby": ["join"]},
 *               "data": {"role": "editor"}}}
 *
 * In a pattern `*` stands for any run of bytes, everything else for itself. What
 * several patterns that fit a room allow, counts together. Without `rooms` every room
 * may be joined, sent to and be seen in; `admin` is never given by silence. */
#ifndef YO_SERVER_AUTH_GRANTS_H
#define YO_SERVER_AUTH_GRANTS_H

#include "base/buf.h"
#include "base/span.h"

enum {
    YO_MAY_JOIN = 1,     /* and hear */
    YO_MAY_SEND = 2,     /* messages */
    YO_MAY_PRESENCE = 4, /* be seen, with a state */
    YO_MAY_ADMIN = 8,
    YO_MAY_ALL_BUT_ADMIN = YO_MAY_JOIN | YO_MAY_SEND | YO_MAY_PRESENCE
};

#define YO_GRANTS_PATTERNS_MAX 256

struct yo_grants; /* immutable */

/* From verified claims, a MessagePack map. YOMO_ERR_AUTH with a sentence in `why` when
 * a claim of ours is there and of the wrong form: it must not be taken for absent.
 * YOMO_ERR_NOMEM. */
int yo_grants_from_claims(struct yo_grants **out, const struct yomo_mem *mem,
                          struct yo_span claims, const char **why);

void yo_grants_free(struct yo_grants *grants); /* accepts NULL */

/* Absent where the token says nothing. Valid as long as `grants`. */
struct yo_span yo_grants_id(const struct yo_grants *grants);
struct yo_span yo_grants_app(const struct yo_grants *grants);
struct yo_span yo_grants_data(const struct yo_grants *grants); /* a MessagePack map */
uint64_t yo_grants_expiry_s(const struct yo_grants *grants);   /* wall clock */

/* YO_MAY_ bits; 0: nothing. */
unsigned yo_grants_for_room(const struct yo_grants *grants, struct yo_span room);

/* The same for whatever concerns an application and no room of it: what a pattern that
 * every name fits allows. */
unsigned yo_grants_for_app(const struct yo_grants *grants);

/* Does `pattern` fit `text`? Linear in their sizes but for backtracking over one `*`.
 */
bool yo_pattern_fits(struct yo_span pattern, struct yo_span text);

#endif
