/* SPDX-License-Identifier: MIT */
/* fuzz_url.c - the parts of a URL lie inside it, in order. */
#include <stdlib.h>

#include "base/text.h"
#include "base/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct yo_span text = yo_span(data, size);
    struct yo_span value = yo_query_get(text, "id");
    struct yo_url url;

    require(!value.data ||
            (value.data >= data && value.data + value.size <= data + size));
    if (yo_url_parse(&url, text) != 0) {
        return 0;
    }
    require(url.scheme.data == data && url.scheme.size > 0 && url.host.size > 0);
    require(url.host.data >= data + url.scheme.size + 3);
    require(url.host.data + url.host.size <= data + size);
    if (url.path.data) {
        require(url.path.data > url.host.data && url.path.data[0] == '/');
    }
    if (url.query.data) {
        require(url.query.data + url.query.size == data + size);
    } else if (url.path.data) {
        require(url.path.data + url.path.size == data + size);
    }
    return 0;
}
