/* SPDX-License-Identifier: MIT */
/* park.h - sessions without a connection: it broke, their seats are kept for the grace
 * time, and their clients may come back to them (docs/protocol.md, "Resuming"). */
#ifndef YO_SERVER_PARK_H
#define YO_SERVER_PARK_H

#include "server/peer.h"

struct yo_worker;

/* Those of one worker. */
struct yo_park {
    struct yo_link peers; /* by in_park, the one parked first, first */
    size_t count, bytes;
};

void yo_park_init(struct yo_park *park);

/* May `peer`, whose connection breaks, be parked: is there a seat that could be kept?
 */
bool yo_park_may(const struct yo_peer *peer);

/* Keep its seats and its session. The peer is `closing` from here on and nothing but
 * LATEST values is queued for it; its connection may be there still, and is closed or
 * aborted by the caller. With `tell` the others in its rooms hear that it is stale. At
 * the end of the turn others may have to give way for it. */
void yo_park(struct yo_peer *peer, bool tell, yo_time now);

/* To the end of its grace time, or of its token. */
void yo_park_set_timer(struct yo_peer *peer);

/* It waits no more: it is resumed, or ends. Its seats are the caller's to give back. */
void yo_park_leave(struct yo_peer *peer);

/* Are there too many? Then, at the end of the turn, the oldest give way. */
bool yo_park_full(const struct yo_worker *worker);
void yo_park_trim(struct yo_worker *worker);

/* Give its seats back, and it up: `why` is what others are told outside (events.h). */
void yo_park_end(struct yo_peer *peer, int why);
void yo_park_end_all(struct yo_worker *worker);

/* A message for one who is parked, or on its way to be resumed: LATEST values wait. */
void yo_park_put(struct yo_peer *peer, const struct yo_outgoing *out);

#endif
