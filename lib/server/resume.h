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

/* The connection of `peer`, which takes a session (resumed, or moved), has broken too.
 * What is on its way to it comes, and is parked then. False: it takes none, and ends as
 * any other. */
bool yo_resume_lost(struct yo_peer *peer);

/* One that is lost does not get it, or is to end: its seats are given back. */
void yo_resume_drop(struct yo_peer *peer, int why);

/* All has come for one that is lost. */
void yo_resume_park(struct yo_peer *peer, struct yo_transfer *transfer, yo_time now);

/* All has come: go on. YOMO_ERR_NOMEM, YOMO_ERR_FULL. */
int yo_resume_take_over(struct yo_peer *peer, struct yo_transfer *transfer,
                        yo_time now);

#endif
