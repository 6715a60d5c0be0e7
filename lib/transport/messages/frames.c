/* SPDX-License-Identifier: MIT */
#include "transport/messages/frames.h"

#include <yomo/error.h>

#include "base/varint.h"

#define KEEP 4096 /* bytes of buffer that a stream between messages may hold on to */

void yo_frames_init(struct yo_frames *frames, const struct yomo_mem *mem)
{
    memset(frames, 0, sizeof(*frames));
    yo_buf_init(&frames->partial, mem);
}

void yo_frames_finish(struct yo_frames *frames)
{
    yo_buf_finish(&frames->partial);
}

bool yo_frames_partial(const struct yo_frames *frames)
{
    return frames->head_size > 0 || frames->length > 0;
}

size_t yo_frames_kept(const struct yo_frames *frames)
{
    return frames->length > 0 ? frames->partial.size : 0;
}

/* The length in front of a message. Returns 1 when it is known. */
static int read_length(struct yo_frames *frames, struct yo_span *bytes, size_t size_max)
{
    while (bytes->size > 0) {
        frames->head[frames->head_size++] = bytes->data[0];
        *bytes = yo_span_skip(*bytes, 1);
        if (yo_varint_read(yo_span(frames->head, frames->head_size), &frames->length) >
            0) {
            frames->head_size = 0;
            if (frames->length == 0) {
                return YOMO_ERR_PROTO;
            }
            return frames->length > size_max ? YOMO_ERR_TOO_BIG : 1;
        }
    }
    return 0;
}

int yo_frames_next(struct yo_frames *frames, struct yo_span *bytes, size_t size_max,
                   struct yo_span *message)
{
    if (frames->length == 0) {
        yo_buf_clear(&frames->partial); /* what was handed out by the last call */
        yo_buf_shrink(&frames->partial, KEEP);
        int rv = read_length(frames, bytes, size_max);
        if (rv <= 0) {
            return rv;
        }
    }
    size_t length = (size_t)frames->length;
    if (frames->partial.size == 0 && bytes->size >= length) {
        *message = yo_span(bytes->data, length);
        *bytes = yo_span_skip(*bytes, length);
        frames->length = 0;
        return 1;
    }
    size_t missing = length - frames->partial.size;
    size_t n = bytes->size < missing ? bytes->size : missing;
    if (n > 0 && yo_buf_append(&frames->partial, bytes->data, n) != YOMO_OK) {
        return YOMO_ERR_NOMEM;
    }
    *bytes = yo_span_skip(*bytes, n);
    if (n < missing) {
        return 0;
    }
    *message = yo_buf_span(&frames->partial);
    frames->length = 0;
    return 1;
}
