/* SPDX-License-Identifier: MIT */
/* frames.h - messages on a stream: a QUIC varint with the length, then the message.
 *
 * What lies whole in the bytes that came in is handed on where it lies; only a message
 * that is cut by the edge of a packet is put together in a buffer, which grows with
 * what has arrived and not with what was announced. */
#ifndef YO_MESSAGES_FRAMES_H
#define YO_MESSAGES_FRAMES_H

#include "base/buf.h"

struct yo_frames {
    struct yo_buf partial; /* of the message at hand */
    uint64_t length;       /* of it; 0: not known yet */
    uint8_t head[8];
    uint8_t head_size;
};

void yo_frames_init(struct yo_frames *frames, const struct yomo_mem *mem);
void yo_frames_finish(struct yo_frames *frames);

/* Take the next message from the front of `bytes`, which is moved on. Returns 1 when
 * `message` is set (good until the next call), 0 when more bytes are needed, or
 * YOMO_ERR_PROTO (a length of 0), YOMO_ERR_TOO_BIG (past `size_max`), YOMO_ERR_NOMEM.
 */
int yo_frames_next(struct yo_frames *frames, struct yo_span *bytes, size_t size_max,
                   struct yo_span *message);

/* Is a message cut short, should the stream end here? */
bool yo_frames_partial(const struct yo_frames *frames);

/* Bytes that are kept for it. */
size_t yo_frames_kept(const struct yo_frames *frames);

#endif
