/* SPDX-License-Identifier: MIT */
/* resume.h - a session whose connection broke goes on over another: same rooms, same
 * seats, and what was missed is made good (docs/protocol.md, "Resuming"). The session
 * travels as in a move (move.h). */
#ifndef YO_SERVER_RESUME_H
#define YO_SERVER_RESUME_H

#include "server/peer.h"

struct yo_transfer;
struct yo_claim;
struct yo_note;

/* `peer` wants to be back in a room. Kept until it names its session. */
void yo_resume_claim(struct yo_peer *peer, const struct yo_effect *effect);

/* Among the claims of a transfer: the one for a room. NULL: none. */
const struct yo_claim *yo_resume_claimed(const struct yo_transfer *transfer,
                                         struct yo_span room);

void yo_resume_free_claims(const struct yomo_mem *mem, struct yo_link *claims);

/* May the transfer have the session of `peer`? */
bool yo_resume_may_take(const struct yo_peer *peer, const struct yo_transfer *transfer);

/* `peer`, parked or not noticed to be broken yet, gives its session away. */
void yo_resume_depart(struct yo_peer *peer, yo_time now);

/* All has come: go on. YOMO_ERR_NOMEM, YOMO_ERR_FULL. */
int yo_resume_take_over(struct yo_peer *peer, struct yo_transfer *transfer,
                        yo_time now);

#endif
