/* SPDX-License-Identifier: MIT */
/* datagram.h - the datagrams of one session: those that wait, and those whose fate is
 * not known yet.
 *
 * QUIC keeps no datagrams, so they wait here until a packet has room. Only those that
 * were given a token are remembered after that; QUIC may tell of one of them twice (a
 * loss that turns out to have been none), the owner hears once. */
#ifndef YO_WEBTRANSPORT_DATAGRAM_H
#define YO_WEBTRANSPORT_DATAGRAM_H

#include "base/blob.h"
#include "base/list.h"
#include "base/map.h"
#include "base/time.h"

#define YO_DATAGRAMS_FLYING_MAX 4096 /* with a token, in one session */

/* Of those that wait. 0: no limit. */
struct yo_datagram_limits {
    uint32_t count;
    size_t size;      /* bytes; one that is larger waits alone */
    yo_time age;      /* they leave when they have waited for so long */
    bool drop_oldest; /* to make room; else a new one is refused */
};

struct datagram;
struct yo_datagrams {
    const struct yomo_mem *mem;
    struct yo_link waiting;
    struct yo_link untold; /* those that left with a token before they were sent */
    struct yo_map flying;  /* by id */
    uint64_t next_id;
    size_t count, size; /* of those that wait */
    struct datagram *spare;
    struct yo_datagram_limits limits;
    uint64_t sent, dropped, expired;
};

void yo_datagrams_init(struct yo_datagrams *datagrams, const struct yomo_mem *mem);
void yo_datagrams_finish(struct yo_datagrams *datagrams);

/* Queue `blob` (a reference is taken), as the limits allow: others may have to leave
 * for it. YOMO_ERR_NOMEM; YOMO_ERR_AGAIN when there is no room, or too many with a
 * token are flying. */
int yo_datagrams_push(struct yo_datagrams *datagrams, struct yo_blob *blob,
                      uint64_t token);

/* The next one, or NULL. `id` is what to tell QUIC: 0 when nobody wants to know. */
struct yo_blob *yo_datagrams_peek(const struct yo_datagrams *datagrams, uint64_t *id);

/* That one was sent; now it flies. */
void yo_datagrams_sent(struct yo_datagrams *datagrams);

/* That one will not be sent; returns its token. */
uint64_t yo_datagrams_drop(struct yo_datagrams *datagrams);

/* Those that are too old leave. One that has just come counts from the first call on,
 * which is that of the turn that follows. True: something left. */
bool yo_datagrams_expire(struct yo_datagrams *datagrams, yo_time now);

/* The token of one that was not sent because of the limits, each once; 0: no more. */
uint64_t yo_datagrams_untold(struct yo_datagrams *datagrams);

/* What QUIC knows a datagram by: its session, and its number there. 24 bits of the one
 * and 40 of the other: neither grows so large while a datagram flies. */
static inline uint64_t yo_datagram_id(int64_t session, uint64_t number)
{
    return ((uint64_t)session / 4 & 0xffffff) << 40 | (number & 0xffffffffff);
}
static inline int64_t yo_datagram_session(uint64_t id)
{
    return (int64_t)(id >> 40) * 4;
}
static inline uint64_t yo_datagram_number(uint64_t id)
{
    return id & 0xffffffffff;
}

/* QUIC told of `id`: its token, or 0 when there was none or it has been told. */
uint64_t yo_datagrams_land(struct yo_datagrams *datagrams, uint64_t id);

#endif
