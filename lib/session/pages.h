/* SPDX-License-Identifier: MIT */
/* pages.h - the snapshot of a room, or changes in it, as messages.
 *
 * A page has at most YO_PAGE_MEMBERS_MAX members and YO_PAGE_SIZE_MAX bytes of them,
 * except that one member who is larger has a page of its own. The last page, also when
 * it is empty, is without `more`, and has the place of all of it.
 *
 *     yo_pages_begin(&pages, mem, room, sequence);
 *     for each member but the one who joins, the oldest first:
 *         rv = yo_pages_add(&pages, &member);
 *     rv = yo_pages_end(&pages);
 *     send pages.list[0 .. pages.count), in this order, behind the ACK
 *     yo_pages_finish(&pages);
 *
 * Changes are the same but that each page is a message for itself, with the place of the
 * last of its changes.
 */
#ifndef YO_SESSION_PAGES_H
#define YO_SESSION_PAGES_H

#include "base/blob.h"
#include "base/buf.h"
#include "wire/message.h"

#define YO_PAGE_MEMBERS_MAX 100u
#define YO_PAGE_SIZE_MAX 16384u

struct yo_pages {
    const struct yomo_mem *mem;
    enum yo_op op;
    bool part;
    struct yo_span room;    /* lent until yo_pages_end */
    uint64_t sequence;      /* the room's, when the snapshot was taken; of the last change
                               that is in a page */
    struct yo_buf members;  /* of the page that is being made */
    uint32_t members_count; /* in it */
    struct yo_blob **list;
    size_t count, capacity;
};

void yo_pages_begin(struct yo_pages *pages, const struct yomo_mem *mem,
                    struct yo_span room, uint64_t sequence);
/* `sequence` is the place of the last thing before the first of them. */
void yo_pages_begin_changes(struct yo_pages *pages, const struct yomo_mem *mem,
                            struct yo_span room, uint64_t sequence);
/* Part of a snapshot, the same whenever it is sent: all its pages have `more`, and no
 * place. */
void yo_pages_begin_part(struct yo_pages *pages, const struct yomo_mem *mem,
                         struct yo_span room);
void yo_pages_finish(struct yo_pages *pages); /* lets go of the blobs */

/* YOMO_ERR_NOMEM; the pages are then as they were. */
int yo_pages_add(struct yo_pages *pages, const struct yo_wire_member *member);
int yo_pages_end(struct yo_pages *pages);

/* Such a part, before any member is added; the pages take their own references.
 * YOMO_ERR_NOMEM. */
int yo_pages_put(struct yo_pages *pages, struct yo_blob *const *list, size_t count);

#endif
