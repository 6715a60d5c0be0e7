/* SPDX-License-Identifier: MIT */
/* blob.h - bytes for many: immutable and counted.
 *
 * A broadcast is encoded once into a blob and then queued for each receiver by
 * reference. The count is atomic, so that a blob may travel between workers; the bytes
 * never change after yo_blob_create returned. */
#ifndef YO_BASE_BLOB_H
#define YO_BASE_BLOB_H

#include <stdatomic.h>

#include "base/mem.h"
#include "base/span.h"

struct yo_blob {
    const struct yomo_mem *mem;
    atomic_uint refs;
    size_t size;
    uint8_t data[];
};

/* A blob with a copy of `bytes` and one reference, or NULL. */
struct yo_blob *yo_blob_create(const struct yomo_mem *mem, struct yo_span bytes);

/* A blob of `size` bytes to be filled by the caller before it is shared, or NULL. */
struct yo_blob *yo_blob_alloc(const struct yomo_mem *mem, size_t size);

struct yo_blob *yo_blob_ref(struct yo_blob *blob); /* returns its argument */
void yo_blob_unref(struct yo_blob *blob);          /* accepts NULL */

static inline struct yo_span yo_blob_span(const struct yo_blob *blob)
{
    return yo_span(blob->data, blob->size);
}

#endif
