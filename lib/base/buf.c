/* SPDX-License-Identifier: MIT */
/* buf.c - invariants:
 *  1. size <= capacity; `data` is NULL exactly when capacity is 0;
 *  2. capacity at least doubles when it grows, so appending byte by byte is linear;
 *  3. a call that fails changes `failed` and nothing else. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"

#define CAPACITY_MIN 64

void yo_buf_init(struct yo_buf *buf, const struct yomo_mem *mem)
{
    *buf = (struct yo_buf){.mem = mem};
}

void yo_buf_finish(struct yo_buf *buf)
{
    if (!buf) {
        return;
    }
    yo_free(buf->mem, buf->data);
    yo_buf_init(buf, buf->mem);
}

void yo_buf_clear(struct yo_buf *buf)
{
    buf->size = 0;
    buf->failed = false;
}

int yo_buf_reserve(struct yo_buf *buf, size_t extra)
{
    size_t capacity;
    uint8_t *data;

    assert(buf->size <= buf->capacity);
    if (extra <= buf->capacity - buf->size) {
        return YOMO_OK;
    }
    if (extra > SIZE_MAX / 2 - buf->size) {
        return YOMO_ERR_NOMEM;
    }
    capacity = 2 * buf->capacity;
    if (capacity < buf->size + extra) {
        capacity = buf->size + extra;
    }
    if (capacity < CAPACITY_MIN) {
        capacity = CAPACITY_MIN;
    }
    data = yo_realloc(buf->mem, buf->data, capacity);
    if (!data) {
        return YOMO_ERR_NOMEM;
    }
    buf->data = data;
    buf->capacity = capacity;
    return YOMO_OK;
}

int yo_buf_append(struct yo_buf *buf, const void *bytes, size_t size)
{
    if (size == 0) {
        return YOMO_OK;
    }
    if (yo_buf_reserve(buf, size) != YOMO_OK) {
        buf->failed = true;
        return YOMO_ERR_NOMEM;
    }
    memcpy(buf->data + buf->size, bytes, size);
    buf->size += size;
    return YOMO_OK;
}

int yo_buf_append_span(struct yo_buf *buf, struct yo_span span)
{
    return yo_buf_append(buf, span.data, span.size);
}

int yo_buf_append_byte(struct yo_buf *buf, uint8_t byte)
{
    return yo_buf_append(buf, &byte, 1);
}

int yo_buf_append_text(struct yo_buf *buf, const char *text)
{
    return yo_buf_append(buf, text, strlen(text));
}

/* The text and its NUL go into the free room; only the text counts. */
__attribute__((format(printf, 2, 0))) static int
print_into(struct yo_buf *buf, const char *format, va_list args)
{
    size_t room = buf->capacity - buf->size;
    char *end = room > 0 ? (char *)buf->data + buf->size : NULL;

    return vsnprintf(end, room, format, args);
}

int yo_buf_printf(struct yo_buf *buf, const char *format, ...)
{
    va_list args;
    int length;

    va_start(args, format);
    length = print_into(buf, format, args);
    va_end(args);
    if (length < 0) {
        goto fail;
    }
    if ((size_t)length >= buf->capacity - buf->size) {
        if (yo_buf_reserve(buf, (size_t)length + 1) != YOMO_OK) {
            goto fail;
        }
        va_start(args, format);
        length = print_into(buf, format, args);
        va_end(args);
        if (length < 0 || (size_t)length >= buf->capacity - buf->size) {
            goto fail;
        }
    }
    buf->size += (size_t)length;
    return YOMO_OK;

fail:
    buf->failed = true;
    return YOMO_ERR_NOMEM;
}

void yo_buf_consume(struct yo_buf *buf, size_t count)
{
    if (count >= buf->size) {
        buf->size = 0;
        return;
    }
    if (count > 0) {
        memmove(buf->data, buf->data + count, buf->size - count);
        buf->size -= count;
    }
}

void yo_buf_shrink(struct yo_buf *buf, size_t keep)
{
    if (buf->size == 0 && buf->capacity > keep) {
        yo_free(buf->mem, buf->data);
        buf->data = NULL;
        buf->capacity = 0;
    }
}

void yo_buf_swap(struct yo_buf *a, struct yo_buf *b)
{
    struct yo_buf other = *a;

    *a = *b;
    *b = other;
}
