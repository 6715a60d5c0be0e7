/* SPDX-License-Identifier: MIT */
/* content.c - what is inside a payload, as far as anyone looks.
 *
 * The server looks to be sure that a payload can be relayed byte for byte to decoders
 * less patient than ours; the client looks to hand it to the host. */
#include "base/check.h"
#include "wire/decode.h"

/* How often the string `key` is a key of `map`, which is well-formed. JavaScript takes
 * the last of several, we take the first: where it matters there must not be two. */
static unsigned count_key(struct yo_span map, const char *key)
{
    struct yo_mp_reader reader;
    uint32_t count;
    unsigned times = 0;

    yo_mp_reader_init(&reader, map);
    count = yo_mp_read_map(&reader);
    for (uint32_t i = 0; i < count && !reader.error; i++) {
        times += yo_span_is(yo_mp_as_str(yo_mp_skip(&reader)), key);
        yo_mp_skip(&reader);
    }
    return times;
}

int yo_check_state(struct yo_span payload)
{
    if (yo_mp_check_portable(payload) != YO_MP_MAP || count_key(payload, "id") > 1) {
        return YOMO_ERR_MALFORMED;
    }
    return YOMO_OK;
}

/* The event of a well-formed data payload. */
static int read_event(struct yo_span payload, struct yo_span *event)
{
    struct yo_span text = yo_mp_as_str(yo_mp_map_get(payload, "event"));

    if (!text.data || text.size > YO_EVENT_SIZE_MAX) {
        return YOMO_ERR_MALFORMED;
    }
    *event = text;
    return YOMO_OK;
}

int yo_check_data(struct yo_span payload, struct yo_span *event)
{
    if (yo_mp_check_portable(payload) != YO_MP_MAP ||
        count_key(payload, "event") != 1) {
        return YOMO_ERR_MALFORMED;
    }
    return read_event(payload, event);
}

/* `data` of 2.2.18, else `payload` of 2.2.0, else nothing: that is null. */
static struct yo_span find_value(struct yo_span payload, bool *is_payload)
{
    static const uint8_t nil[1] = {0xc0};
    struct yo_span value = yo_mp_map_get(payload, "data");

    *is_payload = false;
    if (!value.data) {
        value = yo_mp_map_get(payload, "payload");
        *is_payload = value.data != NULL;
    }
    return value.data ? value : yo_span(nil, sizeof(nil));
}

int yo_content_read(struct yo_span payload, struct yo_content *content)
{
    struct yo_content found = {.encoding = YOMO_JSON};
    struct yo_mp_reader reader;
    struct yo_mp_value value;
    struct yo_span encoded;
    bool is_payload;

    if (yo_mp_check(payload) != YO_MP_MAP ||
        read_event(payload, &found.event) != YOMO_OK) {
        return YOMO_ERR_MALFORMED;
    }
    encoded = find_value(payload, &is_payload);
    yo_mp_reader_init(&reader, encoded);
    value = yo_mp_read(&reader);
    if (!is_payload && (value.kind == YO_MP_STR || value.kind == YO_MP_BIN)) {
        found.encoding = value.kind == YO_MP_BIN ? YOMO_BYTES : YOMO_JSON;
        found.bytes = value.bytes;
    } else {
        found.in_mp = true;
        found.bytes = encoded;
    }
    *content = found;
    return YOMO_OK;
}
