/* SPDX-License-Identifier: MIT */
/* outbox.h - what waits to be sent to one peer, by delivery class.
 *
 * RELIABLE waits in order for each lane and is never dropped: past its bytes the box is
 * full, and its owner closes the connection (or, in a client, refuses the call).
 * UNRELIABLE waits in order; the oldest gives way. LATEST waits in one slot for each
 * (sender, event, key): a newer version takes the place of an older one, the slot keeps
 * its turn; the number of slots is bounded, and the oldest gives way. A LATEST message
 * that went out as a datagram stays in its slot until it is acknowledged: lost, it goes
 * out again unless a newer one did.
 *
 * What is insisted on is presencejs's control traffic in datagrams: it waits with
 * RELIABLE, goes out as a datagram, and again when it is lost. With a slot a newer one
 * takes its place; while the older flies the newer waits for its fate, since two
 * datagrams may change places on their way and a peer_state must not come after the
 * peer_offline that followed it. The ACK of a join is not to be insisted on: the session
 * repeats it itself.
 *
 * Three priorities (enum yomo_priority): what waits with a higher one goes first, in all
 * classes; within one RELIABLE goes before LATEST before UNRELIABLE. A message that waits
 * past its time is forgotten, RELIABLE or not; one that flies has been sent, and is only
 * not sent again.
 *
 * Pure: blobs in, blobs out. Between a peek and its sent or drop there is no put. */
#ifndef YO_SESSION_OUTBOX_H
#define YO_SESSION_OUTBOX_H

#include <yomo/types.h>

#include "base/blob.h"
#include "base/list.h"
#include "base/buf.h"
#include "base/heap.h"
#include "base/map.h"

#define YO_RANKS 3

struct yo_outbox {
    const struct yomo_mem *mem;
    struct yo_link reliable[YO_RANKS], unreliable[YO_RANKS],
        latest[YO_RANKS];  /* of struct yo_outbox_item; the most urgent first */
    struct yo_link flying;                       /* sent, fate not known: oldest first */
    struct yo_map slots;                         /* by slot name */
    struct yo_map tokens;                        /* flying ones by token */
    struct yo_heap expiring; /* those that wait and have an end */
    size_t mortal_count;     /* those that have an end, waiting or flying */
    size_t reliable_bytes, unreliable_bytes, latest_bytes;
    size_t snapshot_bytes; /* RELIABLE too, beside reliable_bytes */
    size_t latest_count, insisted_count; /* waiting or flying */
    size_t reliable_max, unreliable_max, latest_max;
    uint64_t next_token;
    uint64_t dropped_unreliable, dropped_latest, replaced, expired; /* only grow */
};

struct yo_outbox_limits {
    size_t reliable_bytes, unreliable_bytes, latest_slots;
};

void yo_outbox_init(struct yo_outbox *box, const struct yomo_mem *mem,
                    const struct yo_outbox_limits *limits);
void yo_outbox_finish(struct yo_outbox *box);

struct yo_outgoing {
    struct yo_blob *message; /* the box takes its own reference */
    enum yomo_delivery delivery;
    uint32_t lane;       /* for RELIABLE, and for what is too big for a datagram */
    bool insist;         /* UNRELIABLE towards presencejs in datagrams, but sent again when
                            it is lost (its control messages): never dropped for room,
                            counts as RELIABLE bytes */
    bool first; /* RELIABLE: in front of what waits with its priority, and whatever
                   room there is */
    bool snapshot;       /* RELIABLE: who is in a room, which many share the memory of; takes
                            no room away from others. The owner bounds how many */
    struct yo_span slot; /* LATEST: the name of its slot, copied; with `insist`: that of
                            what it takes the place of (absent: of nothing) */
    uint64_t version;    /* an older one than the slot's changes nothing */
    enum yomo_priority priority;
    yo_time expires; /* not sent from then on; 0 or YO_NEVER: no end */
    yo_time came;    /* when the server had it from its author; 0: not measured */
    yo_time queued;  /* when it was put here, for who measures */
};

/* YOMO_ERR_FULL: RELIABLE (or insisted) bytes are past their maximum. YOMO_ERR_NOMEM.
 * Nothing was queued then. */
int yo_outbox_put(struct yo_outbox *box, const struct yo_outgoing *out);

/* Forget what waits and whose time is over; before a put, so that it takes no room, and
 * before a peek. Returns how many; they are counted in `expired`. */
size_t yo_outbox_expire(struct yo_outbox *box, yo_time now);

/* When the next of them is due; YO_NEVER. */
yo_time yo_outbox_deadline(const struct yo_outbox *box);

/* What to send next: by priority; then RELIABLE, then LATEST, then UNRELIABLE. */
struct yo_outbox_next {
    struct yo_blob *message; /* lent */
    enum yomo_delivery delivery;
    uint32_t lane;
    uint64_t token; /* to be handed to the transport if it goes as a datagram; 0: none */
    yo_time expires; /* YO_NEVER: no end */
    yo_time came, queued; /* as put; `came` is 0 when it goes out again */
};

bool yo_outbox_peek(struct yo_outbox *box, struct yo_outbox_next *next);

/* What was peeked has been taken by the transport: as a datagram whose fate will be
 * told, or for good. */
void yo_outbox_sent(struct yo_outbox *box, bool fate_follows);

/* What was peeked cannot be sent at all (too big for this transport): forget it. */
void yo_outbox_drop(struct yo_outbox *box);

/* The transport told what became of the datagram with `token`. Returns true when
 * something is waiting to be sent because of that. */
bool yo_outbox_fate(struct yo_outbox *box, uint64_t token, bool acked);

/* The connection is gone and another may come (a client): UNRELIABLE is dropped, flying
 * LATEST wait again, RELIABLE stay. */
void yo_outbox_rewind(struct yo_outbox *box);

/* Nothing but LATEST values is left, and those that fly wait again. */
void yo_outbox_strip(struct yo_outbox *box);

/* Everything that waits in `from`, in its order and with its priority, behind what waits in `to`; of one slot
 * the newer stays. YOMO_ERR_FULL, YOMO_ERR_NOMEM: some of it is left in `from`. */
int yo_outbox_append(struct yo_outbox *to, struct yo_outbox *from);

size_t yo_outbox_reliable(const struct yo_outbox *box); /* how many RELIABLE wait */
bool yo_outbox_empty(const struct yo_outbox *box); /* nothing waits; some may fly */
size_t yo_outbox_bytes(const struct yo_outbox *box);

/* What stands for the members that a LATEST message names, as the `sender` of a slot's
 * name where the sender is no matter: values for different members are different values.
 * Absent targets: 0. */
uint64_t yo_outbox_audience(struct yo_span targets);

/* The slot's name for a LATEST message, appended: lengths in front, so that no two
 * different triples have the same name. */
int yo_outbox_slot(struct yo_buf *out, uint64_t sender, struct yo_span room,
                   struct yo_span event, struct yo_span key);

#endif
