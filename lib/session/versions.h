/* SPDX-License-Identifier: MIT */
/* versions.h - the newest version seen of each LATEST value, in bounded memory.
 *
 * Datagrams overtake each other and are repeated; what is not newer than what was seen
 * is old. When the table is full the value that was silent for longest is forgotten: an
 * old message of that one could then pass once. */
#ifndef YO_SESSION_VERSIONS_H
#define YO_SESSION_VERSIONS_H

#include "base/list.h"
#include "base/map.h"

struct yo_versions {
    const struct yomo_mem *mem;
    struct yo_map by_name;
    struct yo_link by_use; /* the one silent for longest first */
    size_t max;
};

void yo_versions_init(struct yo_versions *versions, const struct yomo_mem *mem,
                      size_t max);
void yo_versions_finish(struct yo_versions *versions);

/* Is `version` of `name` newer than all seen? Then it is the one seen last now: returns
 * 1, else 0. Copies `name`. YOMO_ERR_NOMEM; the table is then as it was. */
int yo_versions_admit(struct yo_versions *versions, struct yo_span name,
                      uint64_t version);

#endif
