/* SPDX-License-Identifier: MIT */
/* sendqueue.h - the bytes of one QUIC stream on their way out.
 *
 * Chunks wait in order; what has been handed to QUIC stays until it is acknowledged,
 * because QUIC keeps pointers into it. A chunk is a few bytes of its own (a header) and
 * a counted blob. */
#ifndef YO_WEBTRANSPORT_SENDQUEUE_H
#define YO_WEBTRANSPORT_SENDQUEUE_H

#include "base/blob.h"
#include "base/list.h"

#define YO_CHUNK_HEAD_MAX 16

struct yo_sendqueue {
    const struct yomo_mem *mem;
    struct yo_link chunks;  /* of struct chunk: acknowledged in part, ..., not sent */
    struct yo_link *unsent; /* the first that has not been sent to its end; else head */
    size_t unsent_offset;   /* sent bytes of that one */
    size_t acked_offset;    /* acknowledged bytes of the first chunk */
    size_t size;            /* bytes not acknowledged */
    size_t unsent_size;     /* bytes not sent */
    bool end;               /* FIN follows the last byte */
    bool end_sent;
};

void yo_sendqueue_init(struct yo_sendqueue *queue, const struct yomo_mem *mem);
void yo_sendqueue_finish(
    struct yo_sendqueue *queue); /* QUIC has forgotten the stream */

/* Append at most YO_CHUNK_HEAD_MAX bytes (copied) and, if not NULL, `blob` (a reference
 * is taken). YOMO_ERR_NOMEM. */
int yo_sendqueue_push(struct yo_sendqueue *queue, struct yo_span head,
                      struct yo_blob *blob);

/* Append a copy of `bytes`. YOMO_ERR_NOMEM. */
int yo_sendqueue_push_bytes(struct yo_sendqueue *queue, struct yo_span bytes);

/* Is there anything to send, FIN included? */
bool yo_sendqueue_ready(const struct yo_sendqueue *queue);

/* Up to `count` spans of what is to be sent next, with `enough` bytes if there are as
 * many: to look further costs, and QUIC keeps room for each span. `last` tells that
 * they are all there is. Returns their number. */
size_t yo_sendqueue_peek(const struct yo_sendqueue *queue, struct yo_span *spans,
                         size_t count, size_t enough, bool *last);

void yo_sendqueue_sent(struct yo_sendqueue *queue, size_t size);
void yo_sendqueue_acked(struct yo_sendqueue *queue, size_t size);

/* Each blob that is not acknowledged to its last byte, in order. */
void yo_sendqueue_each(const struct yo_sendqueue *queue,
                       void (*fn)(void *user, struct yo_blob *blob), void *user);

/* Put everything of `from`, none of which has been sent, behind what `to` has. */
void yo_sendqueue_move(struct yo_sendqueue *to, struct yo_sendqueue *from);

#endif
