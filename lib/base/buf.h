/* SPDX-License-Identifier: MIT */
/* buf.h - bytes that are kept and may grow.
 *
 * Appending reserves first: after an error the buffer is as it was. The first error
 * sticks in `failed` for writers that check once at the end (yo_buf_put_* below). */
#ifndef YO_BASE_BUF_H
#define YO_BASE_BUF_H

#include "base/mem.h"
#include "base/span.h"

struct yo_buf {
    const struct yomo_mem *mem;
    uint8_t *data;
    size_t size;     /* bytes in use */
    size_t capacity; /* bytes allocated; size <= capacity */
    bool failed;     /* an append failed since the last clear */
};

void yo_buf_init(struct yo_buf *buf, const struct yomo_mem *mem);
void yo_buf_finish(struct yo_buf *buf); /* accepts zeroed memory */

/* Forget the bytes, keep the memory. */
void yo_buf_clear(struct yo_buf *buf);

/* Make room for `extra` more bytes. YOMO_ERR_NOMEM. */
int yo_buf_reserve(struct yo_buf *buf, size_t extra);

/* Append. YOMO_ERR_NOMEM, and `failed` is set. */
int yo_buf_append(struct yo_buf *buf, const void *bytes, size_t size);
int yo_buf_append_span(struct yo_buf *buf, struct yo_span span);
int yo_buf_append_byte(struct yo_buf *buf, uint8_t byte);
int yo_buf_append_text(struct yo_buf *buf, const char *text);
int yo_buf_printf(struct yo_buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Drop the first `count` bytes, moving the rest down. */
void yo_buf_consume(struct yo_buf *buf, size_t count);

/* Give memory back when it is more than `keep` bytes and nothing is in it. */
void yo_buf_shrink(struct yo_buf *buf, size_t keep);

void yo_buf_swap(struct yo_buf *a, struct yo_buf *b);

static inline struct yo_span yo_buf_span(const struct yo_buf *buf)
{
    return yo_span(buf->data, buf->size);
}

#endif
