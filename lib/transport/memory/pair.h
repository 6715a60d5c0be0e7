/* SPDX-License-Identifier: MIT */
/* pair.h - two connections that are each other's peer, inside one process.
 *
 * Each end lives on a loop of its own choice, on one thread or on two; what goes
 * between them goes through the loops' mailboxes, by reference. It keeps every promise
 * of transport.h, so that what stands above can be tested without a network, and a host
 * can run server and client in one process without one. */
#ifndef YO_MEMORY_PAIR_H
#define YO_MEMORY_PAIR_H

#include "loop/loop.h"
#include "loop/mailbox.h"
#include "transport/transport.h"

struct yo_memory_options {
    size_t message_size_max;
    size_t queue_size_max; /* of each end: sent and not handled by the other's loop */
    size_t datagram_size_max; /* 0: YO_LANE_DATAGRAM is another name for CONTROL */
};

struct yo_memory_side {
    struct yo_loop *loop;
    struct yo_mailbox *box; /* any mailbox of that loop; gets a reference */
    const struct yo_conn_events *events;
    void *user;
};

/* Make the pair. sides[0] is the server's, born open; sides[1] is the client's, on_open
 * follows. Each connection is then its loop's; the mailboxes stay open until both have
 * had on_closed. Thread: any, as long as neither loop closes meanwhile; `mem` is used
 * from both threads. YOMO_ERR_NOMEM. */
int yo_memory_pair(struct yo_conn *conns[2], const struct yomo_mem *mem,
                   const struct yo_memory_options *options,
                   const struct yo_memory_side sides[2]);

#endif
