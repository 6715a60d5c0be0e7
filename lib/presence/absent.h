/* SPDX-License-Identifier: MIT */
/* absent.h - members who lost their seats while they were away, and up to which place
 * something was said to them by name: whoever of them joins anew is told of a gap.
 *
 * Pure. The newest YO_ABSENT_MAX of a room; of those before them it is only known
 * together up to where they may have missed something. Only the same user is told. */
#ifndef YO_PRESENCE_ABSENT_H
#define YO_PRESENCE_ABSENT_H

#include "base/list.h"
#include "base/mem.h"
#include "base/span.h"
#include "presence/history.h"

#define YO_ABSENT_MAX 16

struct yo_absent {
    const struct yomo_mem *mem;
    struct yo_link list; /* the oldest first */
    size_t count;
    struct yo_position forgotten;
};

void yo_absent_init(struct yo_absent *absent, const struct yomo_mem *mem);
void yo_absent_finish(struct yo_absent *absent); /* accepts zeroed memory */

/* `session` of the user `id` is out; the last places of what was said to it by name.
 * Never fails: what cannot be kept is forgotten. */
void yo_absent_put(struct yo_absent *absent, uint64_t session, const char *id,
                   const struct yo_position *named);

/* May something that was said by name to the one who was `session`, and is `id`, be
 * missing after the position? Then it lies within `*first` to `*last`. */
bool yo_absent_gap(const struct yo_absent *absent, uint64_t session, struct yo_span id,
                   const struct yo_position *position, uint64_t *first, uint64_t *last);

#endif
