/* SPDX-License-Identifier: MIT */
/* bygone.h - what is remembered of sessions whose seats were given up while their
 * clients were away: how many of their messages were read in each room. A client that
 * comes too late is told, and sends again exactly what was not (docs/protocol.md,
 * "Resuming").
 *
 * They are small, and bounded for each worker: by `parked-max`, and by an eighth of
 * `parked-size`. The oldest give way. */
#ifndef YO_SERVER_BYGONE_H
#define YO_SERVER_BYGONE_H

#include "base/buf.h"
#include "base/map.h"
#include "server/peer.h"

struct yo_worker;
struct yo_transfer;

/* Those of one worker. */
struct yo_bygones {
    struct yo_map sessions;
    struct yo_link list; /* the oldest first */
    size_t bytes;
};

void yo_bygones_init(struct yo_bygones *bygones, const struct yomo_mem *mem);
void yo_bygones_finish(struct yo_bygones *bygones, const struct yomo_mem *mem);

/* `peer` gives up its seats. Without memory it is forgotten. */
void yo_bygone_keep(struct yo_peer *peer);

/* Is the session that `transfer` asks for one of these, and may it have it? What is
 * known of it then goes into `transfer->known`. Without memory there is less of it. */
bool yo_bygone_find(const struct yo_worker *worker, struct yo_transfer *transfer);

#endif
