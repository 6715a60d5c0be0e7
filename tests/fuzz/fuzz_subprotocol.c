/* SPDX-License-Identifier: MIT */
/* What is read can be written, and reads as the same again. */
#include <stdlib.h>

#include "transport/webtransport/subprotocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
    if (!condition) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct yo_buf list, again, text;

    yo_buf_init(&list, &yo_mem_libc);
    yo_buf_init(&again, &yo_mem_libc);
    yo_buf_init(&text, &yo_mem_libc);
    if (yo_subprotocols_read(&list, yo_span(data, size)) == 0) {
        must(yo_subprotocols_write(&text, yo_buf_span(&list)) == 0);
        must(yo_subprotocols_read(&again, yo_buf_span(&text)) == 0);
        must(yo_span_equal(yo_buf_span(&list), yo_buf_span(&again)));
    } else {
        must(list.size == 0);
    }
    yo_buf_clear(&list);
    if (yo_subprotocol_read(&list, yo_span(data, size)) == 0) {
        must(yo_subprotocol_valid(yo_span(list.data, list.size - 1)));
    }
    yo_buf_finish(&list);
    yo_buf_finish(&again);
    yo_buf_finish(&text);
    return 0;
}
