/* SPDX-License-Identifier: MIT */
/* versions.c - invariants:
 *  1. each entry is in `by_name` and in `by_use` once; there are at most `max`;
 *  2. the version of an entry only grows. */
#include "session/versions.h"

#include "base/check.h"
#include "base/mem.h"

struct entry {
    struct yo_map_node by_name;
    struct yo_link by_use;
    uint64_t version;
    size_t size;
    uint8_t name[];
};

void yo_versions_init(struct yo_versions *versions, const struct yomo_mem *mem,
                      size_t max)
{
    *versions = (struct yo_versions){.mem = mem, .max = max};
    yo_map_init(&versions->by_name, mem);
    yo_list_init(&versions->by_use);
}

static void entry_drop(struct yo_versions *versions, struct entry *entry)
{
    yo_map_remove(&versions->by_name, &entry->by_name);
    yo_list_remove(&entry->by_use);
    yo_free(versions->mem, entry);
}

void yo_versions_finish(struct yo_versions *versions)
{
    if (!versions || !versions->mem) {
        return;
    }
    YO_LIST_EACH(link, next_link, &versions->by_use)
    {
        entry_drop(versions, YO_CONTAINER(link, struct entry, by_use));
    }
    yo_map_finish(&versions->by_name);
    *versions = (struct yo_versions){0};
}

static int entry_add(struct yo_versions *versions, struct yo_span name,
                     uint64_t version)
{
    struct entry *entry;

    if (yo_map_reserve(&versions->by_name, 1) != YOMO_OK) {
        return YOMO_ERR_NOMEM;
    }
    entry = yo_malloc(versions->mem, sizeof(*entry) + name.size);
    if (!entry) {
        return YOMO_ERR_NOMEM;
    }
    entry->version = version;
    entry->size = name.size;
    memcpy(entry->name, name.data, name.size);
    if (versions->by_name.count >= versions->max) {
        entry_drop(versions, YO_CONTAINER(versions->by_use.next, struct entry, by_use));
    }
    yo_map_put(&versions->by_name, &entry->by_name, yo_span(entry->name, entry->size));
    yo_list_push_back(&versions->by_use, &entry->by_use);
    return 1;
}

int yo_versions_admit(struct yo_versions *versions, struct yo_span name,
                      uint64_t version)
{
    struct yo_map_node *node = yo_map_get(&versions->by_name, name);
    struct entry *entry;

    if (!node) {
        return entry_add(versions, name, version);
    }
    entry = YO_CONTAINER(node, struct entry, by_name);
    if (version <= entry->version) {
        return 0;
    }
    entry->version = version;
    yo_list_remove(&entry->by_use);
    yo_list_push_back(&versions->by_use, &entry->by_use);
    return 1;
}
