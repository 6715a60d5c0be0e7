/* SPDX-License-Identifier: MIT */
/* stub.h - what stays of a connection for a while after its end (RFC 9000 10.2).
 *
 * Packets that are still on their way must not look like those of an unknown
 * connection. A stub swallows them; one that closed itself answers with its
 * CONNECTION_CLOSE, to every first, second, fourth, ... packet. */
#ifndef YO_WEBTRANSPORT_STUB_H
#define YO_WEBTRANSPORT_STUB_H

#include "base/heap.h"
#include "transport/webtransport/cid_map.h"

#define YO_AMPLIFY_MAX 3 /* times the bytes received, before an address is proven */
#define YO_STUBS_MAX 4096 /* then a connection goes without one */

struct yo_stub {
    struct yo_cid_owner owner; /* first */
    struct yo_heap_node timer;
    uint32_t packets, answer_at;
    size_t size;
    uint8_t close[]; /* the packet; none if size is 0 */
};

struct yo_stubs {
    const struct yomo_mem *mem;
    struct yo_cid_map *ids;
    struct yo_heap timers;
};

void yo_stubs_init(struct yo_stubs *stubs, const struct yomo_mem *mem,
                   struct yo_cid_map *ids);
void yo_stubs_finish(struct yo_stubs *stubs);

/* Take the IDs of `owner` over until `until`; without memory they are forgotten. */
void yo_stubs_add(struct yo_stubs *stubs, struct yo_cid_owner *owner,
                  struct yo_span close, yo_time until);

/* A packet of `size` bytes came for it: what to answer, perhaps nothing. */
struct yo_span yo_stub_packet(struct yo_stub *stub, size_t size);

void yo_stubs_tick(struct yo_stubs *stubs, yo_time now);
yo_time yo_stubs_deadline(const struct yo_stubs *stubs);

#endif
