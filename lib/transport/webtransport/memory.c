/* SPDX-License-Identifier: MIT */
#include "transport/webtransport/memory.h"

static void *on_malloc(size_t size, void *user)
{
    return yo_malloc(user, size);
}

static void on_free(void *memory, void *user)
{
    yo_free(user, memory);
}

static void *on_calloc(size_t count, size_t size, void *user)
{
    return yo_calloc(user, count, size);
}

static void *on_realloc(void *old, size_t size, void *user)
{
    return yo_realloc(user, old, size);
}

void yo_quic_mem_init(struct yo_quic_mem *out, const struct yomo_mem *mem)
{
    void *user = (void *)(uintptr_t)mem; /* only handed back to us */
    out->quic = (ngtcp2_mem){user, on_malloc, on_free, on_calloc, on_realloc};
    out->http = (nghttp3_mem){user, on_malloc, on_free, on_calloc, on_realloc};
}
