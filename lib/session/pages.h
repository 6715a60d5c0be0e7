/* SPDX-License-Identifier: MIT */
/* pages.h - the snapshot of a room, as messages.
 *
 * A page has at most YO_PAGE_MEMBERS_MAX members and YO_PAGE_SIZE_MAX bytes of them,
 * except that one member who is larger has a page of its own. The last page, also when
 * it is empty, is without `more`.
 *
 *     yo_pages_begin(&pages, mem, room, sequence);
 *     for each member but the one who joins, the oldest first:
 *         rv = yo_pages_add(&pages, &member);
 *     rv = yo_pages_end(&pages);
 *     send pages.list[0 .. pages.count), in this order, behind the ACK
 *     yo_pages_finish(&pages);
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
    struct yo_span room;    /* lent until yo_pages_end */
    uint64_t sequence;      /* the room's, when the snapshot was taken */
    struct yo_buf members;  /* of the page that is being made */
    uint32_t members_count; /* in it */
    struct yo_blob **list;
    size_t count, capacity;
};

void yo_pages_begin(struct yo_pages *pages, const struct yomo_mem *mem,
                    struct yo_span room, uint64_t sequence);
void yo_pages_finish(struct yo_pages *pages); /* lets go of the blobs */

/* YOMO_ERR_NOMEM; the pages are then as they were. */
int yo_pages_add(struct yo_pages *pages, const struct yo_wire_member *member);
int yo_pages_end(struct yo_pages *pages);

#endif
