/* SPDX-License-Identifier: MIT */
/* kit.h - frames in and out through wslay; for the files of websocket/ only. */
#ifndef YO_WEBSOCKET_KIT_H
#define YO_WEBSOCKET_KIT_H

#include <wslay/wslay.h>

#include "base/buf.h"
#include "transport/websocket/conn.h"

struct yo_websocket_kit {
    const struct yomo_mem *mem;
    wslay_frame_context_ptr writer; /* has no state between frames */
    wslay_frame_context_ptr spare;  /* a reader between frames, or NULL */
    struct yo_span in;              /* what readers read */
    size_t taken;       /* bytes that readers took since it was last set to 0 */
    struct yo_buf *out; /* where the writer writes */
    uint8_t masks[64];  /* random bytes, from `masks_left` down to 0 */
    size_t masks_left;
};

/* A reader that stands between frames, or NULL. */
wslay_frame_context_ptr yo_websocket_kit_reader(struct yo_websocket_kit *kit);
/* Give a reader back; `idle`: it stands between frames again. */
void yo_websocket_kit_return(struct yo_websocket_kit *kit,
                             wslay_frame_context_ptr reader, bool idle);

/* Append one whole frame. YOMO_ERR_NOMEM: nothing was appended. */
int yo_websocket_kit_write(struct yo_websocket_kit *kit, struct yo_buf *out, bool mask,
                           uint8_t opcode, struct yo_span payload);

#endif
