/* SPDX-License-Identifier: MIT */
/* fuzz_msgpack.c - the ways over a value agree, and none of them reads too far. */
#include <stdlib.h>

#include "wire/msgpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* Read head by head, as many as there are. */
static size_t read_all(struct yo_span bytes)
{
    struct yo_mp_reader reader;
    size_t heads = 0;

    yo_mp_reader_init(&reader, bytes);
    while (reader.rest.size > 0) {
        struct yo_mp_value value = yo_mp_read(&reader);
        require(value.bytes.size <= bytes.size && value.count <= bytes.size);
        for (size_t i = 0; i < value.bytes.size; i++) {
            heads += value.bytes.data[i] & 1; /* touch what is lent */
        }
        heads++;
    }
    return heads;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct yo_span bytes = yo_span(data, size);
    int kind = yo_mp_check(bytes);
    int portable = yo_mp_check_portable(bytes);
    struct yo_mp_reader reader;
    struct yo_span skipped;

    require(kind == portable || portable < 0);
    yo_mp_reader_init(&reader, bytes);
    skipped = yo_mp_skip(&reader);
    require(skipped.size + reader.rest.size == (reader.error ? 0 : size));
    if (kind >= 0) {
        require(skipped.size == size);
    }
    if (yo_mp_map_get(bytes, "id").data) {
        require(!reader.error && skipped.size == size);
    }
    (void)yo_mp_as_str(bytes);
    require(read_all(bytes) <= 2 * size);
    return 0;
}
