/* SPDX-License-Identifier: MIT */
/* Packets from anybody to a server: each has its size in two bytes in front. With the
 * top bit of the size set, the bytes are put into a real client's stream instead: what
 * follows is one byte of what (capsules, a stream of either kind, a datagram), and what
 * is said there. That costs a handshake, so it happens once for each input. */
#include <stdlib.h>
#include <yomo/error.h>

/* The endpoints that hand each other packets, of the unit tests. */
#include "unit/transport/webtransport/world.c"
#include "unit/transport/webtransport/world_ends.c"

#include "transport/webtransport/conn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct world world;
static struct node *server, *client;
static struct peer rogue;
static struct side good;

static void accept_any(struct node *node, struct yo_wt_session *session)
{
    struct yo_response yes = {.status = 200, .extension = true};
    node->request = session;
    side_accept(&good, node, &yes);
}

/* A stream that begins as `bytes` say, without our header. */
static void raw_stream(struct yo_span bytes, bool bidirectional)
{
    struct yo_wt_stream *stream = peer_open(&rogue, bidirectional)->stream;
    yo_sendqueue_finish(&stream->out);
    stream->header_unsent = stream->header_unacked = 0;
    yo_sendqueue_push_bytes(&stream->out, bytes);
    yo_wt_stream_end(stream);
}

static void say(uint8_t what, struct yo_span bytes)
{
    struct yo_quic_conn *conn = rogue.session->conn;
    size_t taken;
    switch (what % 6) {
    case 0:
        yo_h3_capsules(conn->h3, rogue.session->id, bytes, false);
        break;
    case 1:
    case 2:
        raw_stream(bytes, what % 6 == 1);
        break;
    case 3:
    case 4: {
        struct heard *stream = peer_open(&rogue, what % 6 == 3);
        yo_wt_stream_write(stream->stream, bytes, SIZE_MAX, &taken);
        break;
    }
    default: {
        struct yo_blob *blob = yo_blob_create(&yo_mem_libc, bytes);
        yo_wt_session_send(rogue.session, blob, 0);
        yo_blob_unref(blob);
        break;
    }
    }
    yo_quic_conn_touch(conn);
}

static bool ready(void)
{
    if (!client) {
        client = world_client(&world, NULL);
        peer_connect(&rogue, client, server);
        UNTIL(&world, rogue.opened || rogue.ended);
    }
    return rogue.session && rogue.opened;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct yo_span bytes = yo_span(data, size);
    if (!world_server_tls) {
        world_begin_tls(NULL);
        atexit((void (*)(void))world_end_tls);
    }
    world_init(&world, 1);
    peer_init(&rogue, &world);
    side_init(&good, &world);
    good.unchecked = true;
    client = NULL;
    server = world_server(&world, NULL);
    struct node *anybody = world_client(&world, NULL);
    server->on_request = accept_any;
    while (bytes.size > 2 && rogue.stream_count < STREAMS_MAX) {
        size_t n = (size_t)(bytes.data[0] & 0x7f) << 8 | bytes.data[1];
        bool inside = (bytes.data[0] & 0x80) != 0;
        bytes = yo_span_skip(bytes, 2);
        n = n < bytes.size ? n : bytes.size;
        if (!inside) {
            world_inject(server, anybody, yo_span(bytes.data, n));
        } else if (n > 0 && ready()) {
            say(bytes.data[0], yo_span(bytes.data + 1, n - 1));
        }
        bytes = yo_span_skip(bytes, n);
        world_for(&world, 50 * YO_MS);
    }
    world_for(&world, 120 * YO_SECOND);
    if (!yo_endpoint_empty(server->endpoint)) {
        abort(); /* nothing lives for ever */
    }
    world_finish(&world);
    peer_finish(&rogue);
    side_finish(&good);
    return 0;
}
