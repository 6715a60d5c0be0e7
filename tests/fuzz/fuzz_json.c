/* SPDX-License-Identifier: MIT */
/* fuzz_json.c - JSON that is accepted becomes well-formed MessagePack, that becomes
 * JSON, and from there on both stay as they are. The same input is also read as
 * MessagePack. */
#include <stdlib.h>

#include "wire/json.h"
#include "wire/msgpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void from_json(struct yo_span text)
{
    struct yo_buf mp, json, again;
    int rv;

    yo_buf_init(&mp, &yo_mem_libc);
    yo_buf_init(&json, &yo_mem_libc);
    yo_buf_init(&again, &yo_mem_libc);
    rv = yo_json_to_mp(&mp, text);
    require(rv == yo_json_check(text));
    if (rv == 0) {
        require(yo_mp_check(yo_buf_span(&mp)) >= 0);
        require(yo_mp_to_json(&json, yo_buf_span(&mp)) == 0);
        yo_buf_clear(&mp); /* an infinity is null from here on */
        require(yo_json_to_mp(&mp, yo_buf_span(&json)) == 0);
        require(yo_mp_to_json(&again, yo_buf_span(&mp)) == 0);
        require(yo_span_equal(yo_buf_span(&json), yo_buf_span(&again)));
    } else {
        require(mp.size == 0);
    }
    yo_buf_finish(&mp);
    yo_buf_finish(&json);
    yo_buf_finish(&again);
}

static void from_mp(struct yo_span value)
{
    struct yo_buf json;

    yo_buf_init(&json, &yo_mem_libc);
    if (yo_mp_to_json(&json, value) == 0) {
        require(yo_mp_check(value) >= 0);
        require(json.size <= 64 * value.size);
        /* {"base64":...} may stand at the deepest level of all, one deeper than allowed
         */
        if (yo_json_check(yo_buf_span(&json)) == 0) {
            from_json(yo_buf_span(&json));
        }
    }
    yo_buf_finish(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    from_json(yo_span(data, size));
    from_mp(yo_span(data, size));
    return 0;
}
