/* SPDX-License-Identifier: MIT */
/* span.h - bytes that somebody else owns.
 *
 * A span is valid as long as the bytes it was made from; a function that keeps them
 * copies them. An absent span has no data; an empty one has data and no size. */
#ifndef YO_BASE_SPAN_H
#define YO_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct yo_span {
    const uint8_t *data;
    size_t size;
};

#define YO_SPAN_NONE ((struct yo_span){NULL, 0})

static inline struct yo_span yo_span(const void *data, size_t size)
{
    return (struct yo_span){(const uint8_t *)data, size};
}

/* The characters of `text` without its NUL; an absent span for NULL. */
static inline struct yo_span yo_span_of(const char *text)
{
    return text ? yo_span(text, strlen(text)) : YO_SPAN_NONE;
}

static inline bool yo_span_equal(struct yo_span a, struct yo_span b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool yo_span_is(struct yo_span span, const char *text)
{
    return yo_span_equal(span, yo_span_of(text));
}

/* What is left of `span` after its first `count` bytes (at most all of them). */
static inline struct yo_span yo_span_skip(struct yo_span span, size_t count)
{
    if (count > span.size) {
        count = span.size;
    }
    return span.data ? yo_span(span.data + count, span.size - count) : YO_SPAN_NONE;
}

#endif
