/* SPDX-License-Identifier: MIT */
/* Whole messages between two ends, and what happens to a peer that breaks the rules: it
 * is played by a bare session, which can say anything. */
#include "unit/transport/webtransport/world.h"

#include <stdlib.h>
#include <yomo/error.h>

#include "base/varint.h"
#include "transport/webtransport/conn.h"

static struct world world;
static struct node *server, *client;
static struct side at_server, at_client;
static struct peer rogue;

static int begin(void **state)
{
    (void)state;
    world_init(&world, 4);
    side_init(&at_server, &world);
    side_init(&at_client, &world);
    peer_init(&rogue, &world);
    server = world_server(&world, NULL);
    client = world_client(&world, NULL);
    return 0;
}

static int begin_extension(void **state)
{
    begin(state);
    side_pair(&at_client, client, &at_server, server, true);
    return 0;
}

static int begin_presencejs(void **state)
{
    begin(state);
    side_pair(&at_client, client, &at_server, server, false);
    return 0;
}

static int end(void **state)
{
    (void)state;
    world_finish(&world);
    side_finish(&at_server);
    side_finish(&at_client);
    peer_finish(&rogue);
    return 0;
}

/* The server has messages, the client is a bare session. */
static void begin_rogue(bool extension)
{
    struct yo_response yes = {
        .status = 200, .extension = extension, .datagram_size_max = 1000};
    peer_connect(&rogue, client, server);
    UNTIL(&world, server->request);
    assert_true(side_accept(&at_server, server, &yes));
    UNTIL(&world, rogue.opened);
}

static uint64_t bad(void)
{
    struct yo_endpoint_stats stats;
    yo_endpoint_stats(server->endpoint, &stats);
    return stats.messages_bad + server->messages_bad;
}

/* --- With the extension ----------------------------------------------------------- */

static void every_lane_carries_messages_both_ways(void **state)
{
    (void)state;
    for (uint32_t lane = YO_LANE_DATAGRAM; lane <= 5; lane++) {
        assert_int_equal(side_send_numbered(&at_client, lane, 0, 50), YOMO_OK);
        assert_int_equal(side_send_numbered(&at_server, lane, 0, 60), YOMO_OK);
    }
    UNTIL(&world,
          at_client.heard[YO_LANE_ROOMS] == 4 && at_server.heard[YO_LANE_ROOMS] == 4);
    for (int lane = YO_LANE_DATAGRAM; lane <= YO_LANE_CONTROL; lane++) {
        UNTIL(&world, at_client.heard[lane] == 1 && at_server.heard[lane] == 1);
    }
}

static void the_first_word_may_be_the_servers(void **state)
{
    struct yo_response yes = {.status = 200, .extension = true};
    (void)state;
    side_connect(&at_client, client, server, true);
    UNTIL(&world, server->request);
    assert_true(side_accept(&at_server, server, &yes));
    for (uint32_t i = 0; i < 10; i++) { /* before the client has opened its stream */
        assert_int_equal(side_send_numbered(&at_server, YO_LANE_CONTROL, i, 100),
                         YOMO_OK);
    }
    assert_int_equal(yo_conn_queued(at_server.conn), 1000);
    UNTIL(&world, at_client.next[YO_LANE_CONTROL] == 10);
    UNTIL(&world, yo_conn_queued(at_server.conn) == 0);
}

static void a_message_larger_than_every_window_passes(void **state)
{
    (void)state;
    assert_int_equal(side_send_numbered(&at_client, 2, 0, MESSAGE_MAX - 1000), YOMO_OK);
    assert_int_equal(side_send_numbered(&at_client, 3, 0, 10), YOMO_OK);
    assert_int_equal(side_send_numbered(&at_client, 2, 1, MESSAGE_MAX), YOMO_ERR_AGAIN);
    UNTIL(&world, at_server.next[3] == 1);
    assert_int_equal(at_server.next[2], 0); /* it did not wait for the large one */
    UNTIL(&world, at_server.next[2] == 1);
    UNTIL(&world, at_client.writable > 0);
}

static void large_messages_on_all_lanes_at_once_do_not_wait_for_each_other(void **state)
{
    (void)state;
    for (uint32_t lane = 1; lane < 8; lane++) {
        assert_int_equal(side_send_numbered(&at_client, lane, 0, QUEUE_MAX / 8),
                         YOMO_OK);
    }
    for (uint32_t lane = 1; lane < 8; lane++) {
        UNTIL(&world, at_server.next[lane] == 1);
    }
}

static void many_cut_messages_are_held_back_and_all_arrive(void **state)
{
    enum { COUNT = 20, SIZE = 900000 }; /* far more than may be kept of cut messages */
    (void)state;
    begin_rogue(true);
    uint8_t *bytes = malloc(SIZE);
    memset(bytes, 'm', SIZE);
    for (int i = 0; i < COUNT; i++) {
        struct heard *stream = peer_open(&rogue, false);
        uint8_t head[8];
        size_t taken, n = yo_varint_write(head, SIZE);
        yo_wt_stream_write(stream->stream, yo_span(head, n), SIZE_MAX, &taken);
        yo_wt_stream_write(stream->stream, yo_span(bytes, SIZE), SIZE_MAX, &taken);
        assert_int_equal(taken, SIZE);
    }
    free(bytes);
    UNTIL(&world, at_server.heard[YO_LANE_ROOMS] == COUNT);
    assert_int_equal(at_server.bytes.size, (size_t)COUNT * SIZE);
}

static void a_lane_that_ended_may_begin_anew(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(side_send_numbered(&at_client, 2, i, 2000), YOMO_OK);
        yo_conn_end_lane(at_client.conn, 2);
        UNTIL(&world, at_server.next[2] == i + 1);
    }
    world_for(&world, YO_SECOND);
    assert_int_equal(yo_conn_queued(at_client.conn), 0);
}

static void more_lanes_than_streams_wait_their_turn(void **state)
{
    (void)state;
    for (uint32_t lane = 2; lane < 2 + 2 * YO_WT_STREAMS_MAX; lane++) {
        assert_int_equal(side_send(&at_client, lane, "x", 1, 0), YOMO_OK);
    }
    world_for(&world, YO_SECOND);
    assert_int_equal(at_server.heard[YO_LANE_ROOMS], YO_WT_STREAMS_MAX);
    for (uint32_t lane = 2; lane < 2 + YO_WT_STREAMS_MAX; lane++) {
        yo_conn_end_lane(at_client.conn, lane);
    }
    UNTIL(&world, at_server.heard[YO_LANE_ROOMS] == 2 * YO_WT_STREAMS_MAX);
}

static void what_was_queued_is_flushed_before_a_regular_end(void **state)
{
    struct yo_close how = {.kind = YO_CLOSE_DONE, .code = YO_CODE_NORMAL};
    (void)state;
    assert_int_equal(side_send_numbered(&at_client, 2, 0, 500000), YOMO_OK);
    yo_conn_close(at_client.conn, &how);
    UNTIL(&world, at_client.closed);
    assert_int_equal(at_server.next[2], 1);
    assert_int_equal(at_server.closed, 1);
    assert_int_equal(at_server.why.kind, YO_CLOSE_DONE);
    assert_int_equal(at_server.why.code, YO_CODE_NORMAL);
    assert_true(at_server.why.remote && !at_client.why.remote);
}

static void nobody_is_flushed_to_for_ever(void **state)
{
    struct yo_close how = {.kind = YO_CLOSE_FINAL, .code = YO_CODE_KICKED};
    (void)state;
    client->cut = true;
    assert_int_equal(side_send_numbered(&at_server, 2, 0, 500000), YOMO_OK);
    yo_time start = world.now;
    yo_conn_close(at_server.conn, &how);
    UNTIL(&world, at_server.closed);
    assert_true(world.now - start <= 3 * YO_SECOND);
    assert_int_equal(at_server.why.error, how.error);
}

static void every_kind_of_end_reads_as_it_was_meant(void **state)
{
    static const struct {
        struct yo_close how;
        bool extension;
        enum yo_close_kind read;
        int error;
        uint32_t code;
    } ends[] = {
        {{.kind = YO_CLOSE_RETRY, .code = YO_CODE_GOING_AWAY},
         true,
         YO_CLOSE_RETRY,
         YOMO_ERR_DRAINING,
         YO_CODE_GOING_AWAY},
        {{.kind = YO_CLOSE_RETRY, .code = YO_CODE_SLOW},
         true,
         YO_CLOSE_RETRY,
         YOMO_ERR_SLOW,
         YO_CODE_SLOW},
        {{.kind = YO_CLOSE_FINAL, .code = YO_CODE_KICKED},
         true,
         YO_CLOSE_FINAL,
         YOMO_ERR_KICKED,
         YO_CODE_KICKED},
        {{.kind = YO_CLOSE_DONE}, true, YO_CLOSE_DONE, YOMO_OK, YO_CODE_NORMAL},
        /* presencejs: an error means that it comes back, a CLOSE that it stays away. */
        {{.kind = YO_CLOSE_RETRY, .code = YO_CODE_GOING_AWAY},
         false,
         YO_CLOSE_RETRY,
         YOMO_ERR_CLOSED,
         0},
        {{.kind = YO_CLOSE_FINAL, .code = YO_CODE_AUTH},
         false,
         YO_CLOSE_FINAL,
         YOMO_ERR_AUTH,
         YO_CODE_AUTH},
        {{.kind = YO_CLOSE_DONE}, false, YO_CLOSE_DONE, YOMO_OK, 0},
    };
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        begin(state);
        side_pair(&at_client, client, &at_server, server, ends[i].extension);
        yo_conn_close(at_server.conn, &ends[i].how);
        yo_conn_close(at_server.conn, &ends[i].how);
        UNTIL(&world, at_server.closed && at_client.closed);
        assert_int_equal(at_client.why.kind, ends[i].read);
        assert_int_equal(at_client.why.error, ends[i].error);
        assert_int_equal(at_client.why.code, ends[i].code);
        assert_true(at_client.why.remote);
        end(state);
    }
    begin(state);
}

static void a_client_may_be_ended_before_it_is_open(void **state)
{
    struct yo_close how = {.kind = YO_CLOSE_DONE};
    (void)state;
    side_connect(&at_client, client, server, true);
    assert_int_equal(side_send(&at_client, 1, "x", 1, 0), YOMO_ERR_AGAIN);
    yo_conn_close(at_client.conn, &how);
    assert_int_equal(at_client.closed, 0);
    UNTIL(&world, at_client.closed);
    assert_int_equal(at_client.opened, 0);
}

/* --- presencejs ------------------------------------------------------------------- */

static void presencejs_gets_datagrams_on_every_lane(void **state)
{
    (void)state;
    for (uint32_t lane = 0; lane < 4; lane++) {
        assert_int_equal(side_send(&at_server, lane, "state", 5, lane + 1), YOMO_OK);
        assert_int_equal(side_send(&at_client, lane, "state", 5, 0), YOMO_OK);
    }
    UNTIL(&world, at_client.heard[YO_LANE_DATAGRAM] == 4 &&
                      at_server.heard[YO_LANE_DATAGRAM] == 4);
    UNTIL(&world, at_server.acked == 4);
    char large[2000] = {0};
    assert_int_equal(side_send(&at_server, YO_LANE_CONTROL, large, sizeof(large), 0),
                     YOMO_ERR_TOO_BIG);
}

static void presencejs_may_not_say_too_much_at_once(void **state)
{
    char large[1001] = {0};
    (void)state;
    assert_int_equal(side_send(&at_client, 0, large, 1001, 0), YOMO_OK);
    assert_int_equal(side_send(&at_client, 0, large, 1000, 0), YOMO_OK);
    world_for(&world, YO_SECOND);
    assert_int_equal(at_server.heard[YO_LANE_DATAGRAM], 1);
    assert_int_equal(bad(), 1);
    assert_int_equal(at_server.closed, 0);
}

static void streams_of_presencejs_are_refused_and_nothing_else(void **state)
{
    (void)state;
    begin_rogue(false);
    peer_write(peer_open(&rogue, true), "hello", false);
    peer_write(peer_open(&rogue, false), "hello", false);
    UNTIL(&world, bad() == 2);
    peer_datagram(&rogue, "still here", 0);
    UNTIL(&world, at_server.heard[YO_LANE_DATAGRAM] == 1);
    UNTIL(&world, rogue.streams[0].gone && rogue.streams[1].gone);
    assert_true(rogue.streams[0].was_reset);
}

static void lost_datagrams_are_told(void **state)
{
    (void)state;
    world_for(&world, YO_SECOND);
    world.loss = 500;
    for (uint64_t i = 1; i <= 50; i++) {
        assert_int_equal(side_send(&at_server, 0, "x", 1, i), YOMO_OK);
        world_for(&world, 20 * YO_MS);
    }
    world.loss = 0;
    UNTIL(&world, at_server.acked + at_server.lost == 50);
    assert_true(at_server.lost > 5 && at_server.acked > 5);
    assert_true(at_server.acked <= at_client.heard[YO_LANE_DATAGRAM]);
}

/* --- Peers that break the rules --------------------------------------------------- */

static void expect_rejected(uint32_t code, int error)
{
    UNTIL(&world, rogue.ended && at_server.closed);
    assert_true(rogue.end.clean);
    assert_int_equal(rogue.end.code, code);
    assert_true(rogue.end.text.size > 0);
    assert_int_equal(at_server.why.error, error);
    assert_int_equal(at_server.why.kind, YO_CLOSE_FINAL);
    assert_int_equal(bad(), 1);
}

static void raw(struct heard *stream, const char *bytes, size_t size, bool fin)
{
    size_t taken;
    assert_int_equal(
        yo_wt_stream_write(stream->stream, yo_span(bytes, size), SIZE_MAX, &taken),
        YOMO_OK);
    if (fin) {
        yo_wt_stream_end(stream->stream);
    }
}

static void a_length_of_nothing_is_the_end(void **state)
{
    (void)state;
    begin_rogue(true);
    raw(peer_open(&rogue, true), "\x01x\x00", 3, false);
    expect_rejected(YO_CODE_PROTOCOL, YOMO_ERR_PROTO);
    assert_int_equal(at_server.heard[YO_LANE_CONTROL], 1); /* what was right counted */
}

static void a_message_past_the_limit_is_the_end(void **state)
{
    uint8_t head[8];
    (void)state;
    begin_rogue(true);
    size_t n = yo_varint_write(head, MESSAGE_MAX + 1);
    raw(peer_open(&rogue, false), (const char *)head, n, false);
    expect_rejected(YO_CODE_TOO_BIG, YOMO_ERR_TOO_BIG);
}

static void a_stream_that_ends_inside_a_message_is_the_end(void **state)
{
    (void)state;
    begin_rogue(true);
    raw(peer_open(&rogue, false), "\x05half", 5, true);
    expect_rejected(YO_CODE_PROTOCOL, YOMO_ERR_PROTO);
}

static void a_second_control_stream_is_the_end(void **state)
{
    (void)state;
    begin_rogue(true);
    raw(peer_open(&rogue, true), "\x01x", 2, false);
    raw(peer_open(&rogue, true), "\x01x", 2, false);
    expect_rejected(YO_CODE_PROTOCOL, YOMO_ERR_PROTO);
}

static void a_reader_that_stops_a_lane_is_the_end(void **state)
{
    (void)state;
    begin_rogue(true);
    assert_int_equal(side_send(&at_server, 2, "room", 4, 0), YOMO_OK);
    UNTIL(&world, rogue.stream_count == 1);
    yo_wt_stream_stop(rogue.streams[0].stream, 0);
    expect_rejected(YO_CODE_PROTOCOL, YOMO_ERR_PROTO);
}

static void messages_come_out_whatever_the_pieces(void **state)
{
    static const char bytes[] = "\x05hello\x40\x05world\x01!";
    (void)state;
    begin_rogue(true);
    struct heard *stream = peer_open(&rogue, true);
    for (size_t i = 0; i < sizeof(bytes) - 1; i++) {
        raw(stream, bytes + i, 1, false);
        world_for(&world, 50 * YO_MS);
    }
    assert_int_equal(at_server.heard[YO_LANE_CONTROL], 3);
    assert_true(yo_span_is(yo_buf_span(&at_server.bytes), "helloworld!"));
}

static void a_lane_that_is_reset_loses_its_cut_message_only(void **state)
{
    (void)state;
    begin_rogue(true);
    struct heard *stream = peer_open(&rogue, false);
    raw(stream, "\x05hello\x05wor", 10, false);
    world_for(&world, 100 * YO_MS);
    yo_wt_stream_reset(stream->stream, 1);
    raw(peer_open(&rogue, false), "\x05there", 6, true);
    UNTIL(&world, at_server.heard[YO_LANE_ROOMS] == 2);
    assert_true(yo_span_is(yo_buf_span(&at_server.bytes), "hellothere"));
    assert_int_equal(bad(), 0);
}

/* --- A bad network ---------------------------------------------------------------- */

static void reliable_lanes_survive_loss_reordering_and_repetition(void **state)
{
    for (uint64_t seed = 1; seed <= 12; seed++) {
        uint32_t sent[4] = {0};
        begin(state);
        yo_rand_seed(&world.rand, seed);
        world.loss = (unsigned)(seed % 4 + 1) * 50; /* 5 to 20 percent */
        world.jitter = seed % 3 ? 30 * YO_MS : 0;
        world.repeat = seed % 2 ? 100 : 0;
        side_pair(&at_client, client, &at_server, server, true);
        for (int round = 0; round < 300; round++) {
            uint32_t lane = 1 + (uint32_t)yo_rand_below(&world.rand, 3);
            size_t size =
                6 + (size_t)yo_rand_below(&world.rand, round % 50 ? 500 : 100000);
            UNTIL(&world,
                  side_send_numbered(&at_client, lane, sent[lane], size) == YOMO_OK);
            UNTIL(&world,
                  side_send_numbered(&at_server, lane, sent[lane], size) == YOMO_OK);
            sent[lane]++;
            side_send(&at_client, YO_LANE_DATAGRAM, "cursor", 6, 0);
            world_for(&world, 5 * YO_MS);
        }
        for (uint32_t lane = 1; lane < 4; lane++) {
            UNTIL(&world, at_server.next[lane] == sent[lane]);
            UNTIL(&world, at_client.next[lane] == sent[lane]);
        }
        struct yo_close how = {.kind = YO_CLOSE_DONE};
        yo_conn_close(at_client.conn, &how);
        UNTIL(&world, at_client.closed && at_server.closed);
        end(state);
    }
    begin(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
#define EXTENSION(name) cmocka_unit_test_setup_teardown(name, begin_extension, end)
#define PRESENCEJS(name) cmocka_unit_test_setup_teardown(name, begin_presencejs, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EXTENSION(every_lane_carries_messages_both_ways),
        TEST(the_first_word_may_be_the_servers),
        EXTENSION(a_message_larger_than_every_window_passes),
        EXTENSION(large_messages_on_all_lanes_at_once_do_not_wait_for_each_other),
        TEST(many_cut_messages_are_held_back_and_all_arrive),
        EXTENSION(a_lane_that_ended_may_begin_anew),
        EXTENSION(more_lanes_than_streams_wait_their_turn),
        EXTENSION(what_was_queued_is_flushed_before_a_regular_end),
        EXTENSION(nobody_is_flushed_to_for_ever),
        cmocka_unit_test_teardown(every_kind_of_end_reads_as_it_was_meant, end),
        TEST(a_client_may_be_ended_before_it_is_open),
        PRESENCEJS(presencejs_gets_datagrams_on_every_lane),
        PRESENCEJS(presencejs_may_not_say_too_much_at_once),
        TEST(streams_of_presencejs_are_refused_and_nothing_else),
        PRESENCEJS(lost_datagrams_are_told),
        TEST(a_length_of_nothing_is_the_end),
        TEST(a_message_past_the_limit_is_the_end),
        TEST(a_stream_that_ends_inside_a_message_is_the_end),
        TEST(a_second_control_stream_is_the_end),
        TEST(a_reader_that_stops_a_lane_is_the_end),
        TEST(messages_come_out_whatever_the_pieces),
        TEST(a_lane_that_is_reset_loses_its_cut_message_only),
        cmocka_unit_test_teardown(reliable_lanes_survive_loss_reordering_and_repetition,
                                  end),
    };
    return cmocka_run_group_tests_name("transport/webtransport/messages", tests,
                                       world_begin_tls, world_end_tls);
}
