/* SPDX-License-Identifier: MIT */
/* prefetch.h - what will be needed in a moment, told to the processor.
 *
 * A hint: nothing is read or written, and any address will do. It is worth it where many
 * things are gone through whose memory fits into no near cache. */
#ifndef YO_BASE_PREFETCH_H
#define YO_BASE_PREFETCH_H

#include <stddef.h>

static inline void yo_prefetch(const void *memory, size_t size)
{
    for (size_t at = 0; at < size; at += 64) { /* a line, of most processors */
        __builtin_prefetch((const char *)memory + at, 1);
    }
}

#endif
