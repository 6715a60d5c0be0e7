/* SPDX-License-Identifier: MIT */
#include "transport/websocket/kit.h"

#include <assert.h>
#include <yomo/error.h>

#include "base/rand.h"

#define HEADER_MAX 14

static ssize_t read_some(uint8_t *data, size_t size, int flags, void *user)
{
    struct yo_websocket_kit *kit = user;
    (void)flags;
    if (size > kit->in.size) {
        size = kit->in.size;
    }
    if (size == 0) {
        return -1; /* wslay asks again later */
    }
    memcpy(data, kit->in.data, size);
    kit->in = yo_span_skip(kit->in, size);
    kit->taken += size;
    return (ssize_t)size;
}

static ssize_t write_all(const uint8_t *data, size_t size, int flags, void *user)
{
    struct yo_websocket_kit *kit = user;
    (void)flags;
    /* Room was made before. */
    return yo_buf_append(kit->out, data, size) == YOMO_OK ? (ssize_t)size : -1;
}

static int make_mask(uint8_t *mask, size_t size, void *user)
{
    struct yo_websocket_kit *kit = user;
    assert(size <= sizeof(kit->masks));
    if (kit->masks_left < size) {
        yo_rand_bytes(kit->masks, sizeof(kit->masks));
        kit->masks_left = sizeof(kit->masks);
    }
    kit->masks_left -= size;
    memcpy(mask, kit->masks + kit->masks_left, size);
    return 0;
}

static const struct wslay_frame_callbacks callbacks = {write_all, read_some, make_mask};

int yo_websocket_kit_create(struct yo_websocket_kit **out, const struct yomo_mem *mem)
{
    struct yo_websocket_kit *kit = yo_calloc(mem, 1, sizeof(*kit));
    if (!kit || wslay_frame_context_init(&kit->writer, &callbacks, kit) != 0) {
        yo_free(mem, kit);
        return YOMO_ERR_NOMEM;
    }
    kit->mem = mem;
    *out = kit;
    return YOMO_OK;
}

void yo_websocket_kit_destroy(struct yo_websocket_kit *kit)
{
    if (kit) {
        wslay_frame_context_free(kit->writer);
        if (kit->spare) {
            wslay_frame_context_free(kit->spare);
        }
        yo_free(kit->mem, kit);
    }
}

wslay_frame_context_ptr yo_websocket_kit_reader(struct yo_websocket_kit *kit)
{
    wslay_frame_context_ptr reader = kit->spare;
    kit->spare = NULL;
    if (!reader && wslay_frame_context_init(&reader, &callbacks, kit) != 0) {
        return NULL;
    }
    return reader;
}

void yo_websocket_kit_return(struct yo_websocket_kit *kit,
                             wslay_frame_context_ptr reader, bool idle)
{
    if (idle && !kit->spare) {
        kit->spare = reader;
    } else {
        wslay_frame_context_free(reader);
    }
}

int yo_websocket_kit_write(struct yo_websocket_kit *kit, struct yo_buf *out, bool mask,
                           uint8_t opcode, struct yo_span payload)
{
    int rv = yo_buf_reserve(out, payload.size + HEADER_MAX);
    if (rv != YOMO_OK) {
        return rv;
    }
    struct wslay_frame_iocb frame = {
        .fin = 1,
        .opcode = opcode,
        .payload_length = payload.size,
        .mask = mask,
        .data = payload.data,
        .data_length = payload.size,
    };
    kit->out = out;
    do {
        ssize_t n = wslay_frame_send(kit->writer, &frame);
        assert(n >= 0); /* it can only fail for want of room */
        frame.data = frame.data ? frame.data + n : NULL;
        frame.data_length -= (size_t)n;
    } while (frame.data_length > 0);
    kit->out = NULL;
    return YOMO_OK;
}
