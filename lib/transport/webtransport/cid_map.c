/* SPDX-License-Identifier: MIT */
#include "transport/webtransport/cid_map.h"

#include <assert.h>
#include <yomo/error.h>

#define CID_SIZE_MAX 20 /* RFC 9000 17.2 */

struct entry {
    struct yo_map_node node;
    struct yo_link link; /* in the owner's */
    struct yo_cid_owner *owner;
    uint8_t bytes[CID_SIZE_MAX];
};

static struct entry *entry_of(struct yo_link *link)
{
    return YO_CONTAINER(link, struct entry, link);
}

static struct entry *find(struct yo_cid_map *map, struct yo_span cid)
{
    struct yo_map_node *node = map->last;
    if (!node || !yo_span_equal(node->key, cid)) {
        node = yo_map_get(&map->map, cid);
        map->last = node;
    }
    return node ? YO_CONTAINER(node, struct entry, node) : NULL;
}

void yo_cid_map_init(struct yo_cid_map *map, const struct yomo_mem *mem)
{
    map->mem = mem;
    map->last = NULL;
    yo_map_init(&map->map, mem);
}

void yo_cid_map_finish(struct yo_cid_map *map)
{
    assert(map->map.count == 0);
    yo_map_finish(&map->map);
}

int yo_cid_map_add(struct yo_cid_map *map, struct yo_cid_owner *owner,
                   struct yo_span cid)
{
    assert(cid.size <= CID_SIZE_MAX);
    struct entry *entry = yo_calloc(map->mem, 1, sizeof(*entry));
    if (!entry) {
        return YOMO_ERR_NOMEM;
    }
    if (cid.size > 0) {
        memcpy(entry->bytes, cid.data, cid.size);
    }
    entry->owner = owner;
    int rv = yo_map_put(&map->map, &entry->node, yo_span(entry->bytes, cid.size));
    if (rv != YOMO_OK) {
        yo_free(map->mem, entry);
        return rv;
    }
    yo_list_push_back(&owner->ids, &entry->link);
    return YOMO_OK;
}

static void drop(struct yo_cid_map *map, struct entry *entry)
{
    if (map->last == &entry->node) {
        map->last = NULL;
    }
    yo_map_remove(&map->map, &entry->node);
    yo_list_remove(&entry->link);
    yo_free(map->mem, entry);
}

void yo_cid_map_remove(struct yo_cid_map *map, struct yo_cid_owner *owner,
                       struct yo_span cid)
{
    struct entry *entry = find(map, cid);
    if (entry && entry->owner == owner) {
        drop(map, entry);
    }
}

struct yo_cid_owner *yo_cid_map_find(struct yo_cid_map *map, struct yo_span cid)
{
    struct entry *entry = find(map, cid);
    return entry ? entry->owner : NULL;
}

void yo_cid_map_forget(struct yo_cid_map *map, struct yo_cid_owner *owner)
{
    YO_LIST_EACH(link, next, &owner->ids)
    {
        drop(map, entry_of(link));
    }
}

void yo_cid_map_hand_over(struct yo_cid_owner *from, struct yo_cid_owner *to)
{
    YO_LIST_EACH(link, next, &from->ids)
    {
        entry_of(link)->owner = to;
    }
    yo_list_splice(&to->ids, &from->ids);
}
