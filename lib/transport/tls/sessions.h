/* SPDX-License-Identifier: MIT */
/* sessions.h - what a client keeps of a server for the next time: a session ticket
 * (RFC 8446 4.6.1) and, of QUIC, a token that proves its address (RFC 9000 8.1.3).
 *
 * In memory only, for the YO_SESSIONS_MAX servers that were used last, one ticket and
 * one token each. They are used once: whoever sees two connections with the same ticket
 * knows that they are one client's. That is why reading hands out a mark, and a
 * handshake that succeeds drops what has it; an attempt that nobody answered leaves
 * them for the next one.
 *
 * Thread: any. */
#ifndef YO_TLS_SESSIONS_H
#define YO_TLS_SESSIONS_H

#include <openssl/ssl.h>

#include "base/mem.h"
#include "base/span.h"
#include "transport/tls/context.h"

#define YO_SESSIONS_MAX 32

struct yo_sessions;

/* YOMO_ERR_NOMEM, YOMO_ERR_SYSTEM. */
int yo_sessions_create(struct yo_sessions **out, const struct yomo_mem *mem);
void yo_sessions_destroy(struct yo_sessions *sessions); /* accepts NULL */

/* Keep a copy of `session` under `key`, in place of an older one. `development` is kept
 * with it. Without memory nothing is kept. */
void yo_sessions_put_ticket(struct yo_sessions *sessions, struct yo_span key,
                            SSL_SESSION *session, bool development);
/* A copy, which is the caller's to free; NULL: none. */
SSL_SESSION *yo_sessions_ticket(struct yo_sessions *sessions, struct yo_span key,
                                bool *development, uint64_t *mark);

void yo_sessions_put_token(struct yo_sessions *sessions, struct yo_span key,
                           struct yo_span token);
/* Bytes of the token, copied to `out`; 0: none. */
size_t yo_sessions_token(struct yo_sessions *sessions, struct yo_span key,
                         uint8_t out[YO_TLS_TOKEN_MAX], uint64_t *mark);

/* Drop the ticket or token with that mark, if it is still there. 0: nothing. */
void yo_sessions_spent(struct yo_sessions *sessions, struct yo_span key, uint64_t mark);

#endif
