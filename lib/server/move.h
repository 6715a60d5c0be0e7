/* SPDX-License-Identifier: MIT */
/* move.h - a session goes on over another connection: same rooms, same seats, nothing
 * lost, and nobody else notices.
 *
 * The client has opened the new connection, which its worker treats as any other, and
 * names the old session there by its token (docs/protocol.md, "Moving"). */
#ifndef YO_SERVER_MOVE_H
#define YO_SERVER_MOVE_H

#include "base/span.h"
#include "base/time.h"
#include "server/peer.h"

struct yo_worker;
struct yo_note;

/* The token that `peer`'s hello, or `moved`, tells. */
#define YO_MOVE_TOKEN_SIZE (16 + 4 + 32)
struct yo_span yo_move_token(const struct yo_peer *peer, char out[YO_MOVE_TOKEN_SIZE]);

/* `peer` is to go on with the session of `token`, whose connection lives, or broke
 * (`resume`). The answer comes later. */
void yo_move_ask(struct yo_peer *peer, struct yo_span token, bool resume, yo_time now);

/* Nothing more comes from `peer`, whose session moves. */
void yo_move_fenced(struct yo_peer *peer, yo_time now);

/* `peer`'s old connection takes messages again. */
void yo_move_writable(struct yo_peer *peer);

/* DEPARTED and ARRIVED; both are freed by the caller unless this returns true. */
void yo_move_departed(struct yo_worker *worker, const struct yo_note *note,
                      yo_time now);
bool yo_move_arrived(struct yo_worker *worker, struct yo_note *note, yo_time now);

/* An answer came to the session of `peer`, which departs: was it the last? */
void yo_move_check(struct yo_peer *peer, yo_time now);

/* What has come for a peer and is not needed any more. */
void yo_move_free_arrived(struct yo_peer *peer);

/* `peer` ends, or is not: what waits for it is told. */
void yo_move_abandon(struct yo_peer *peer);

/* `peer`, whose session departs, is put out: who was to take the session is closed. */
void yo_move_kick(struct yo_peer *peer);

#endif
