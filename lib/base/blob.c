/* SPDX-License-Identifier: MIT */
/* blob.c - taking a reference needs no order, since whoever takes one already has one.
 * Dropping the last one does: all uses by other threads come before the memory goes. */
#include "base/blob.h"

#include <limits.h>

#include "base/check.h"

struct yo_blob *yo_blob_alloc(const struct yomo_mem *mem, size_t size)
{
    struct yo_blob *blob;

    if (size > SIZE_MAX - sizeof(*blob)) {
        return NULL;
    }
    blob = yo_malloc(mem, sizeof(*blob) + size);
    if (!blob) {
        return NULL;
    }
    blob->mem = mem;
    blob->size = size;
    atomic_init(&blob->refs, 1);
    return blob;
}

struct yo_blob *yo_blob_create(const struct yomo_mem *mem, struct yo_span bytes)
{
    struct yo_blob *blob = yo_blob_alloc(mem, bytes.size);

    if (blob && bytes.size > 0) {
        memcpy(blob->data, bytes.data, bytes.size);
    }
    return blob;
}

struct yo_blob *yo_blob_ref(struct yo_blob *blob)
{
    unsigned before = atomic_fetch_add_explicit(&blob->refs, 1, memory_order_relaxed);

    assert(before > 0 && before < UINT_MAX);
    (void)before;
    return blob;
}

void yo_blob_unref(struct yo_blob *blob)
{
    unsigned before;

    if (!blob) {
        return;
    }
    before = atomic_fetch_sub_explicit(&blob->refs, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before == 1) {
        yo_free(blob->mem, blob);
    }
}
