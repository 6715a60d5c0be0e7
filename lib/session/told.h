/* SPDX-License-Identifier: MIT */
/* told.h - what was said before, as messages: the pages of `history`.
 *
 * A page has at most YO_TOLD_MESSAGES_MAX messages and YO_TOLD_SIZE_MAX bytes of them,
 * except that one message that is larger has a page of its own.
 *
 *     yo_told_begin(&told, mem, room, number);
 *     for each message, the oldest first:
 *         rv = yo_told_add(&told, &past);
 *     rv = yo_told_end(&told, older);
 *     send told.list[0 .. told.count), in this order, on the room's lane
 *     yo_told_finish(&told);
 */
#ifndef YO_SESSION_TOLD_H
#define YO_SESSION_TOLD_H

#include "base/blob.h"
#include "base/buf.h"
#include "wire/message.h"

#define YO_TOLD_MESSAGES_MAX 100u
#define YO_TOLD_SIZE_MAX 16384u

/* What one answer, or one join, is told at most. */
#define YO_HISTORY_ANSWER_MAX 1000u
#define YO_HISTORY_ANSWER_SIZE (256u << 10)
#define YO_HISTORY_ANSWER_DEFAULT 100u

struct yo_told {
    const struct yomo_mem *mem;
    struct yo_span room;     /* lent until yo_told_end */
    uint64_t number;         /* of the question; 0: nobody asked */
    struct yo_buf messages;  /* of the page that is being made */
    uint32_t messages_count; /* in it */
    struct yo_blob **list;
    size_t count, capacity;
};

void yo_told_begin(struct yo_told *told, const struct yomo_mem *mem,
                   struct yo_span room, uint64_t number);
void yo_told_finish(struct yo_told *told); /* lets go of the blobs */

/* YOMO_ERR_NOMEM; the pages are then as they were. */
int yo_told_add(struct yo_told *told, const struct yo_wire_past *past);

/* Another message between the pages; takes a reference of its own. YOMO_ERR_NOMEM. */
int yo_told_add_other(struct yo_told *told, struct yo_blob *message);

/* `older`: with which place to ask for what is older; 0: nothing is kept. A question
 * always has an answer; when nobody asked and nothing was added there is no page. */
int yo_told_end(struct yo_told *told, uint64_t older);

#endif
