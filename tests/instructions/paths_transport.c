/* SPDX-License-Identifier: MIT */
/* Messages through the transports, out at one end and in at the other: WebTransport
 * between endpoints of a virtual network, both directions of each packet and its
 * acknowledgements in one count; WebSocket without a socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "path.h"
#include "transport/websocket/conn.h"
#include "webtransport/world.h"

#define MESSAGES 100
#define SIZE 192 /* 100 bytes of data, with what is around them */

/* --- WebTransport ----------------------------------------------------------------- */

static void send_all(struct side *from, struct side *to, uint32_t lane)
{
    static const uint8_t bytes[SIZE];
    size_t heard = to->heard[lane < YO_LANE_ROOMS ? lane : YO_LANE_ROOMS];

    for (int i = 0; i < MESSAGES; i++) {
        assert_int_equal(side_send(from, lane, bytes, sizeof(bytes), 0), YOMO_OK);
        world_for(from->world, 20 * YO_MS);
    }
    assert_int_equal(to->heard[lane < YO_LANE_ROOMS ? lane : YO_LANE_ROOMS],
                     heard + MESSAGES);
}

static void webtransport(void **unused)
{
    struct world world;
    struct side here, there;

    (void)unused;
    world_init(&world, 1);
    struct node *server = world_server(&world, NULL);
    struct node *client = world_client(&world, NULL);
    side_init(&here, &world);
    side_init(&there, &world);
    here.unchecked = there.unchecked = true;
    side_pair(&here, client, &there, server, true);
    send_all(&there, &here, YO_LANE_DATAGRAM); /* windows have opened */
    send_all(&there, &here, YO_LANE_ROOMS);
    PATH("webtransport_datagrams", send_all(&there, &here, YO_LANE_DATAGRAM));
    PATH("webtransport_stream", send_all(&there, &here, YO_LANE_ROOMS));
    side_finish(&here);
    side_finish(&there);
    world_finish(&world);
}

/* --- WebSocket -------------------------------------------------------------------- */

static size_t heard;

static void nothing(void *user)
{
    (void)user;
}

static void no_flush(void *user, yo_time now)
{
    (void)user, (void)now;
}

static size_t none_below(const void *user)
{
    (void)user;
    return 0;
}

static void on_message(void *user, struct yo_conn *conn, uint32_t lane,
                       struct yo_span message, yo_time now)
{
    (void)user, (void)conn, (void)lane, (void)message, (void)now;
    heard++;
}

static void all_out(struct yo_websocket *ws, struct yo_blob *blob, struct yo_buf *out)
{
    for (int i = 0; i < MESSAGES; i++) {
        assert_int_equal(yo_conn_send(yo_websocket_conn(ws), YO_LANE_CONTROL, blob, 0),
                         YOMO_OK);
        yo_websocket_turn(ws, YO_SECOND);
        assert_true(yo_websocket_output(ws, out, SIZE_MAX));
    }
}

static void all_in(struct yo_websocket *ws, struct yo_span bytes)
{
    size_t each = bytes.size / MESSAGES;
    for (size_t i = 0; i < MESSAGES; i++) {
        yo_websocket_feed(ws, yo_span(bytes.data + i * each, each), YO_SECOND);
    }
}

static void websocket(void **unused)
{
    static const struct yo_websocket_hooks hooks = {nothing, no_flush, none_below};
    static const struct yo_conn_events events = {.on_message = on_message};
    static const uint8_t bytes[SIZE];
    struct yo_websocket_options options = {.message_size_max = 65536,
                                           .queue_size_max = 65536};
    struct yo_websocket_kit *kit;
    struct yo_websocket *server, *client;
    struct yo_blob *blob = yo_blob_create(&yo_mem_libc, yo_span(bytes, sizeof(bytes)));
    struct yo_buf out;

    (void)unused;
    assert_int_equal(yo_websocket_kit_create(&kit, &yo_mem_libc), YOMO_OK);
    assert_int_equal(yo_websocket_create(&server, &yo_mem_libc, kit, &options, &hooks,
                                         NULL, &events, NULL, YO_SECOND),
                     YOMO_OK);
    options.client = true;
    assert_int_equal(yo_websocket_create(&client, &yo_mem_libc, kit, &options, &hooks,
                                         NULL, &events, NULL, YO_SECOND),
                     YOMO_OK);
    yo_websocket_opened(client, YO_SECOND);
    yo_buf_init(&out, &yo_mem_libc);
    PATH("websocket_out",
         all_out(server, blob, &out)); /* unmasked, as a server's are */
    yo_buf_clear(&out);
    for (int i = 0; i < MESSAGES; i++) { /* masked ones for the server to read */
        assert_int_equal(
            yo_conn_send(yo_websocket_conn(client), YO_LANE_CONTROL, blob, 0), YOMO_OK);
    }
    yo_websocket_turn(client, YO_SECOND);
    assert_true(yo_websocket_output(client, &out, SIZE_MAX));
    PATH("websocket_in", all_in(server, yo_buf_span(&out)));
    assert_int_equal(heard, MESSAGES);
    yo_buf_finish(&out);
    yo_blob_unref(blob);
    yo_websocket_destroy(server);
    yo_websocket_destroy(client);
    yo_websocket_kit_destroy(kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(webtransport),
                                       cmocka_unit_test(websocket)};
    return cmocka_run_group_tests(tests, world_begin_tls, world_end_tls);
}
