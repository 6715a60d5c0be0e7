/* SPDX-License-Identifier: MIT */
/* fuzz_websocket.c - a WebSocket that is fed anything, in pieces of any size.
 *
 * The first byte of the input chooses the side and the size of the pieces. What comes
 * whole and what comes in pieces must mean the same; what the engine sends must be
 * frames that its own other side takes; on_closed comes at most once, and nothing after
 * it. */
#include <stdlib.h>

#include "transport/websocket/conn.h"

#define MESSAGE_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

struct side {
    struct yo_websocket *ws;
    size_t messages, bytes, sum;
    int closed;
    uint32_t code;
    bool echo;
};

static void on_message(void *user, struct yo_conn *conn, uint32_t lane,
                       struct yo_span message, yo_time now)
{
    struct side *side = user;
    (void)lane;
    (void)now;
    require(!side->closed && message.size <= MESSAGE_MAX);
    side->messages++;
    side->bytes += message.size;
    for (size_t i = 0; i < message.size; i++) {
        side->sum = side->sum * 31 + message.data[i];
    }
    if (side->echo) {
        struct yo_blob *blob = yo_blob_create(&yo_mem_libc, message);
        (void)yo_conn_send(conn, YO_LANE_CONTROL, blob, 0);
        yo_blob_unref(blob);
    }
}

static void on_closed(void *user, struct yo_conn *conn, const struct yo_close *why,
                      yo_time now)
{
    struct side *side = user;
    (void)conn;
    (void)now;
    require(!side->closed++ && why->text.size <= 123);
    side->code = why->code;
}

static const struct yo_conn_events events = {.on_message = on_message,
                                             .on_closed = on_closed};

static void nothing(void *user)
{
    (void)user;
}

static void flush(void *user, yo_time now)
{
    (void)user;
    (void)now;
}

static size_t below(const void *user)
{
    (void)user;
    return 0;
}

static const struct yo_websocket_hooks hooks = {nothing, flush, below};

static void create(struct side *side, struct yo_websocket_kit *kit, bool client,
                   bool echo)
{
    struct yo_websocket_options options = {
        .client = client, .message_size_max = MESSAGE_MAX, .queue_size_max = 65536};
    *side = (struct side){.echo = echo};
    require(yo_websocket_create(&side->ws, &yo_mem_libc, kit, &options, &hooks, NULL,
                                &events, side, 1) == YOMO_OK);
    if (client) {
        yo_websocket_opened(side->ws, 1);
    }
}

static void run(struct side *side, struct yo_websocket_kit *kit, struct yo_span input,
                size_t piece, bool client, struct yo_buf *out)
{
    create(side, kit, client, true);
    while (input.size > 0) {
        size_t size = input.size < piece ? input.size : piece;
        yo_websocket_feed(side->ws, yo_span(input.data, size), 1);
        input = yo_span_skip(input, size);
        require(yo_websocket_output(side->ws, out, SIZE_MAX));
    }
    yo_websocket_turn(side->ws, 1);
    if (yo_websocket_over(side->ws) != YO_WEBSOCKET_GOES_ON) {
        yo_websocket_report(side->ws, 1);
    }
    yo_websocket_destroy(side->ws);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct yo_websocket_kit *kit;
    struct side whole, pieces, other;
    struct yo_buf out, unused;
    if (size == 0 || yo_websocket_kit_create(&kit, &yo_mem_libc) != YOMO_OK) {
        return 0;
    }
    bool client = (data[0] & 0x80) != 0;
    size_t piece = (data[0] & 0x7f) + 1u;
    struct yo_span input = yo_span(data + 1, size - 1);
    yo_buf_init(&out, &yo_mem_libc);
    yo_buf_init(&unused, &yo_mem_libc);

    run(&whole, kit, input, SIZE_MAX, client, &out);
    run(&pieces, kit, input, piece, client, &unused);
    require(whole.messages == pieces.messages && whole.bytes == pieces.bytes &&
            whole.sum == pieces.sum && whole.closed == pieces.closed &&
            whole.code == pieces.code);

    /* What it said is right, whatever it was told. */
    create(&other, kit, !client, false);
    yo_websocket_feed(other.ws, yo_buf_span(&out), 1);
    require(yo_websocket_output(other.ws, &unused, SIZE_MAX));
    require(other.messages == whole.messages || whole.closed);
    if (yo_websocket_over(other.ws) != YO_WEBSOCKET_GOES_ON) {
        yo_websocket_report(other.ws, 1);
        require(whole.closed);
    }
    yo_websocket_destroy(other.ws);
    yo_buf_finish(&out);
    yo_buf_finish(&unused);
    yo_websocket_kit_destroy(kit);
    return 0;
}
