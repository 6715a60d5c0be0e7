/* SPDX-License-Identifier: MIT */
/* sendqueue.c - invariants:
 *  1. no chunk is empty;
 *  2. `unsent` is the list's head exactly when `unsent_size` is 0;
 *  3. size >= unsent_size. */
#include "transport/webtransport/sendqueue.h"

#include <assert.h>
#include <yomo/error.h>

struct chunk {
    struct yo_link link;
    struct yo_blob *blob; /* may be NULL */
    uint8_t head_size;
    uint8_t head[YO_CHUNK_HEAD_MAX];
};

static struct chunk *chunk_of(struct yo_link *link)
{
    return YO_CONTAINER(link, struct chunk, link);
}

static size_t chunk_size(const struct chunk *chunk)
{
    return chunk->head_size + (chunk->blob ? chunk->blob->size : 0);
}

void yo_sendqueue_init(struct yo_sendqueue *queue, const struct yomo_mem *mem)
{
    memset(queue, 0, sizeof(*queue));
    queue->mem = mem;
    yo_list_init(&queue->chunks);
    queue->unsent = &queue->chunks;
}

static void free_chunk(struct yo_sendqueue *queue, struct chunk *chunk)
{
    yo_list_remove(&chunk->link);
    yo_blob_unref(chunk->blob);
    yo_free(queue->mem, chunk);
}

void yo_sendqueue_finish(struct yo_sendqueue *queue)
{
    if (!queue->mem) {
        return;
    }
    YO_LIST_EACH(link, next, &queue->chunks)
    {
        free_chunk(queue, chunk_of(link));
    }
    yo_sendqueue_init(queue, queue->mem);
}

int yo_sendqueue_push(struct yo_sendqueue *queue, struct yo_span head,
                      struct yo_blob *blob)
{
    assert(head.size <= YO_CHUNK_HEAD_MAX && !queue->end);
    size_t size = head.size + (blob ? blob->size : 0);
    if (size == 0) {
        return YOMO_OK;
    }
    struct chunk *chunk = yo_malloc(queue->mem, sizeof(*chunk));
    if (!chunk) {
        return YOMO_ERR_NOMEM;
    }
    chunk->head_size = (uint8_t)head.size;
    if (head.size > 0) {
        memcpy(chunk->head, head.data, head.size);
    }
    chunk->blob = blob ? yo_blob_ref(blob) : NULL;
    yo_list_push_back(&queue->chunks, &chunk->link);
    if (queue->unsent == &queue->chunks) {
        queue->unsent = &chunk->link;
        queue->unsent_offset = 0;
    }
    queue->size += size;
    queue->unsent_size += size;
    return YOMO_OK;
}

int yo_sendqueue_push_bytes(struct yo_sendqueue *queue, struct yo_span bytes)
{
    if (bytes.size <= YO_CHUNK_HEAD_MAX) {
        return yo_sendqueue_push(queue, bytes, NULL);
    }
    struct yo_blob *blob = yo_blob_create(queue->mem, bytes);
    if (!blob) {
        return YOMO_ERR_NOMEM;
    }
    int rv = yo_sendqueue_push(queue, YO_SPAN_NONE, blob);
    yo_blob_unref(blob);
    return rv;
}

bool yo_sendqueue_ready(const struct yo_sendqueue *queue)
{
    return queue->unsent_size > 0 || (queue->end && !queue->end_sent);
}

size_t yo_sendqueue_peek(const struct yo_sendqueue *queue, struct yo_span *spans,
                         size_t count, size_t enough, bool *last)
{
    struct yo_link *link = queue->unsent;
    size_t offset = queue->unsent_offset;
    size_t n = 0, size = 0;

    *last = false;
    for (; link != &queue->chunks; link = link->next, offset = 0) {
        struct chunk *chunk = chunk_of(link);
        if (size >= enough) {
            return n;
        }
        size += chunk_size(chunk) - offset;
        if (offset < chunk->head_size) {
            if (n == count) {
                return n;
            }
            spans[n++] = yo_span(chunk->head + offset, chunk->head_size - offset);
            offset = chunk->head_size;
        }
        if (chunk->blob && offset < chunk_size(chunk)) {
            if (n == count) {
                return n;
            }
            spans[n++] =
                yo_span_skip(yo_blob_span(chunk->blob), offset - chunk->head_size);
        }
    }
    *last = true;
    return n;
}

void yo_sendqueue_sent(struct yo_sendqueue *queue, size_t size)
{
    assert(size <= queue->unsent_size);
    queue->unsent_size -= size;
    while (size > 0) {
        size_t left = chunk_size(chunk_of(queue->unsent)) - queue->unsent_offset;
        if (size < left) {
            queue->unsent_offset += size;
            return;
        }
        size -= left;
        queue->unsent = queue->unsent->next;
        queue->unsent_offset = 0;
    }
}

void yo_sendqueue_acked(struct yo_sendqueue *queue, size_t size)
{
    assert(size <= queue->size - queue->unsent_size);
    queue->size -= size;
    queue->acked_offset += size;
    while (!yo_list_empty(&queue->chunks)) {
        struct chunk *chunk = chunk_of(queue->chunks.next);
        size_t whole = chunk_size(chunk);
        if (queue->acked_offset < whole) {
            return;
        }
        queue->acked_offset -= whole;
        free_chunk(queue, chunk);
    }
}

void yo_sendqueue_each(const struct yo_sendqueue *queue,
                       void (*fn)(void *user, struct yo_blob *blob), void *user)
{
    YO_LIST_EACH(link, next, &queue->chunks)
    {
        struct chunk *chunk = chunk_of(link);
        if (chunk->blob) {
            fn(user, chunk->blob);
        }
    }
}

void yo_sendqueue_move(struct yo_sendqueue *to, struct yo_sendqueue *from)
{
    assert(from->size == from->unsent_size && !to->end);
    if (from->size > 0) {
        struct yo_link *first = from->chunks.next;
        yo_list_splice(&to->chunks, &from->chunks);
        if (to->unsent == &to->chunks) {
            to->unsent = first;
            to->unsent_offset = 0;
        }
    }
    to->size += from->size;
    to->unsent_size += from->size;
    to->end = from->end;
    yo_sendqueue_init(from, from->mem);
}
