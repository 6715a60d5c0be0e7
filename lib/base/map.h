/* SPDX-License-Identifier: MIT */
/* map.h - an intrusive hash map from bytes to the struct around a node.
 *
 * Keys come from the network, so the hash is keyed (SipHash-1-3 with a random key for
 * each map): nobody can choose names that collide. The node's owner keeps the key bytes
 * alive and unchanged while the node is in the map. Growing happens in yo_map_reserve
 * or yo_map_put only and is the only thing that can fail. */
#ifndef YO_BASE_MAP_H
#define YO_BASE_MAP_H

#include "base/mem.h"
#include "base/span.h"

struct yo_map_node {
    struct yo_map_node *next; /* in the same bucket */
    struct yo_span key;
    uint64_t hash;
};

struct yo_map {
    const struct yomo_mem *mem;
    struct yo_map_node **buckets;
    size_t bucket_count; /* 0 or a power of two */
    size_t count;
    uint64_t seed[2];
};

void yo_map_init(struct yo_map *map, const struct yomo_mem *mem);
void yo_map_finish(struct yo_map *map); /* frees the buckets; nodes are the caller's */

/* Make sure that `extra` puts cannot fail. YOMO_ERR_NOMEM. */
int yo_map_reserve(struct yo_map *map, size_t extra);

/* Add `node` under `key`. YOMO_ERR_EXISTS when the key is taken, YOMO_ERR_NOMEM. */
int yo_map_put(struct yo_map *map, struct yo_map_node *node, struct yo_span key);

struct yo_map_node *yo_map_get(const struct yo_map *map, struct yo_span key);

/* Take a node out that is in the map. */
void yo_map_remove(struct yo_map *map, struct yo_map_node *node);

/* Walk in no particular order: yo_map_next(map, NULL) is the first node, NULL the end.
 * The node given must still be in the map; to remove while walking, fetch the next one
 * first. */
struct yo_map_node *yo_map_next(const struct yo_map *map, const struct yo_map_node *node);

uint64_t yo_siphash(const uint64_t seed[2], struct yo_span bytes);

#endif
