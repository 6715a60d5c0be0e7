/* SPDX-License-Identifier: MIT */
#include "base/pairs.h"

#include <yomo/error.h>

struct sizes {
    uint16_t name, value;
};

int yo_pairs_append(struct yo_buf *pairs, struct yo_span name, struct yo_span value)
{
    struct sizes sizes = {(uint16_t)name.size, (uint16_t)value.size};

    if (name.size > UINT16_MAX || value.size > UINT16_MAX) {
        return YOMO_ERR_TOO_BIG;
    }
    if (yo_buf_reserve(pairs, sizeof(sizes) + name.size + value.size) != YOMO_OK) {
        return YOMO_ERR_NOMEM;
    }
    yo_buf_append(pairs, &sizes, sizeof(sizes));
    yo_buf_append_span(pairs, name);
    return yo_buf_append_span(pairs, value);
}

bool yo_pairs_next(struct yo_span *pairs, struct yo_span *name, struct yo_span *value)
{
    struct sizes sizes;

    if (pairs->size < sizeof(sizes)) {
        return false;
    }
    memcpy(&sizes, pairs->data, sizeof(sizes));
    *pairs = yo_span_skip(*pairs, sizeof(sizes));
    *name = yo_span(pairs->data, sizes.name);
    *value = yo_span(pairs->data + sizes.name, sizes.value);
    *pairs = yo_span_skip(*pairs, (size_t)sizes.name + sizes.value);
    return true;
}

struct yo_span yo_pairs_get(struct yo_span pairs, const char *name)
{
    struct yo_span wanted = yo_span_of(name), at, value;

    while (yo_pairs_next(&pairs, &at, &value)) {
        if (yo_span_equal(at, wanted)) {
            return value;
        }
    }
    return YO_SPAN_NONE;
}
