/* SPDX-License-Identifier: MIT */
/* cid_map.h - which connection a packet's destination connection ID belongs to.
 *
 * An owner has many IDs: the one the client made up for its first packet, and all that
 * were issued and not retired. When a connection dies its IDs can go over to the stub
 * that stays behind. */
#ifndef YO_WEBTRANSPORT_CID_MAP_H
#define YO_WEBTRANSPORT_CID_MAP_H

#include "base/list.h"
#include "base/map.h"

struct yo_cid_owner { /* the first member of a connection and of a stub */
    bool stub;
    struct yo_link ids; /* of the map's entries */
};

struct yo_cid_map {
    const struct yomo_mem *mem;
    struct yo_map map;
    struct yo_map_node
        *last; /* that was found: packets of one connection come together */
};

void yo_cid_map_init(struct yo_cid_map *map, const struct yomo_mem *mem);
void yo_cid_map_finish(struct yo_cid_map *map); /* no owner may be left */

/* YOMO_ERR_EXISTS, YOMO_ERR_NOMEM. */
int yo_cid_map_add(struct yo_cid_map *map, struct yo_cid_owner *owner,
                   struct yo_span cid);
void yo_cid_map_remove(struct yo_cid_map *map, struct yo_cid_owner *owner,
                       struct yo_span cid);
struct yo_cid_owner *yo_cid_map_find(struct yo_cid_map *map, struct yo_span cid);

void yo_cid_map_forget(struct yo_cid_map *map,
                       struct yo_cid_owner *owner); /* all of it */
void yo_cid_map_hand_over(struct yo_cid_owner *from, struct yo_cid_owner *to);

#endif
