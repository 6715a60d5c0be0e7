/* SPDX-License-Identifier: MIT */
/* What is put off when there is no hurry, and what never is. A network of 1 ms each
 * way, where ngtcp2 left alone would acknowledge after 1 ms. */
#include "world.h"

#include <yomo/error.h>

#include "transport/webtransport/conn.h"

#define DELAY YO_MS
#define PROMISE YO_QUIC_ACK_DELAY /* max_ack_delay */

static struct world world;
static struct node *server, *client;
static struct peer at_server, at_client;

static int begin(void **state)
{
    (void)state;
    world_init(&world, 7);
    world.delay = DELAY;
    server = world_server(&world, NULL);
    client = world_client(&world, NULL);
    peer_init(&at_server, &world);
    peer_init(&at_client, &world);
    peer_pair(&at_client, client, &at_server, server);
    world_for(&world, YO_SECOND); /* all that belongs to the beginning is over */
    return 0;
}

static int end(void **state)
{
    (void)state;
    world_finish(&world);
    peer_finish(&at_server);
    peer_finish(&at_client);
    return 0;
}

/* A round that leaves nothing under way, on either side. */
static void settle(void)
{
    world_for(&world, 5 * YO_SECOND);
    server->sent = client->sent = 0;
    at_server.acked = at_client.acked = 0;
}

static yo_time acked_after(size_t count)
{
    yo_time start = world.now;
    UNTIL(&world, at_server.acked >= count);
    return world.now - start;
}

/* The server sends `text`, and `after` later the client has said nothing. Now and then
 * ngtcp2 leaves out a packet number, so that who acknowledges what it has not seen is
 * found out (RFC 9000 21.4): that looks like a loss, is answered at once, and not meant
 * here. */
static void ask_quietly(const char *text, yo_time after)
{
    yo_time start;
    for (int i = 0; i < 4; i++) {
        settle();
        start = world.now;
        peer_datagram(&at_server, text, 1);
        world_for(&world, after);
        if (client->sent == 0) {
            return;
        }
    }
    fail_msg("the client does not wait: %llu", (unsigned long long)(world.now - start));
}

static void the_acknowledgement_of_a_lone_datagram_waits(void **state)
{
    (void)state;
    ask_quietly("alone", 70 * YO_MS);
    yo_time took = 70 * YO_MS + acked_after(1);
    assert_true(took <= 2 * DELAY + PROMISE);
    assert_int_equal(client->sent, 1);
    assert_int_equal(server->sent, 1);
}

static void others_wait_with_it(void **state)
{
    (void)state;
    ask_quietly("one", 10 * YO_MS);
    peer_datagram(&at_server, "two", 2);
    world_for(&world, 10 * YO_MS);
    peer_datagram(&at_server, "three", 3);
    world_for(&world, 10 * YO_MS);
    assert_int_equal(client->sent, 0);
    assert_true(acked_after(3) <= 2 * DELAY + PROMISE - 30 * YO_MS);
    assert_int_equal(client->sent, 1);
}

static void datagrams_that_would_fill_a_window_do_not_wait(void **state)
{
    static char large[901];
    (void)state;
    memset(large, 'x', sizeof(large) - 1);
    ask_quietly(large, 10 * YO_MS);
    peer_datagram(&at_server, large, 2);
    assert_true(acked_after(2) <= 3 * DELAY);
}

static void ten_packets_are_enough(void **state)
{
    (void)state;
    ask_quietly("one", 5 * YO_MS);
    for (int i = 0; i < 9; i++) {
        peer_datagram(&at_server, "another", 2);
        world_for(&world, YO_MS);
    }
    assert_true(acked_after(10) <= 2 * DELAY);
    assert_int_equal(client->sent, 1);
}

static void a_stream_s_bytes_are_not_kept_waiting_by_datagrams(void **state)
{
    (void)state;
    struct heard *out = peer_open(&at_server, false);
    peer_write(out, "begin ", false);
    UNTIL(&world, at_client.stream_count == 1);
    ask_quietly("a datagram", 10 * YO_MS);
    client->sent = 0;
    peer_write(out, "more", false);
    world_for(&world, 3 * DELAY);
    assert_int_equal(client->sent, 1);
    settle();
    peer_write(out, "and more", false); /* but alone it may, for less time */
    yo_time start = world.now;
    UNTIL(&world, client->sent == 1);
    assert_true(world.now - start <= DELAY + 25 * YO_MS);
}

static void a_steady_trickle_is_acknowledged_now_and_then(void **state)
{
    (void)state;
    settle();
    for (int i = 0; i < 100; i++) {
        peer_datagram(&at_server, "tick", 0);
        world_for(&world, 20 * YO_MS);
    }
    assert_int_equal(at_client.datagram_count, 100);
    assert_in_range(client->sent, 18, 30);
    /* What the client asks to have acknowledged goes along with the next message. */
    assert_in_range(server->sent, 100, 105);
}

static void a_datagram_after_a_gap_is_acknowledged_at_once(void **state)
{
    (void)state;
    settle();
    client->cut = true;
    peer_datagram(&at_server, "lost", 1);
    world_for(&world, 2 * DELAY);
    client->cut = false;
    peer_datagram(&at_server, "after the gap", 2);
    assert_true(acked_after(1) <= 2 * DELAY);
}

static void what_is_sent_anyway_takes_the_acknowledgement_along(void **state)
{
    (void)state;
    ask_quietly("question", 5 * YO_MS);
    peer_datagram(&at_client, "answer", 0);
    assert_true(acked_after(1) <= 2 * DELAY);
    assert_int_equal(client->sent, 1);
}

static void an_acknowledgement_wakes_nobody(void **state)
{
    size_t quiet = 0, patient = 0;
    (void)state;
    for (int i = 0; i < 8; i++) {
        settle();
        peer_datagram(&at_server, "one", 1);
        UNTIL(&world, at_server.acked == 1);
        if (!server->woken) {
            quiet++;
            /* And yet all times are known: the keep-alive is what is waited for, or
             * until when one that asks to be acknowledged itself may be put off. */
            patient +=
                yo_quic_conn_due(at_server.session->conn) > world.now + YO_SECOND;
        }
    }
    assert_in_range(quiet, 7, 8); /* but for a number left out */
    assert_in_range(patient, 3, quiet); /* each other one asks */
}

static void a_lost_tail_is_sent_again_in_time(void **state)
{
    (void)state;
    settle();
    struct heard *out = peer_open(&at_server, false);
    peer_write(out, "first ", false);
    UNTIL(&world, at_client.stream_count == 1);
    settle();
    client->cut = true;
    peer_write(out, "second", true);
    world_for(&world, YO_MS);
    client->cut = false;
    peer_datagram(&at_server, "something else", 0);
    yo_time start = world.now;
    UNTIL(&world, at_client.streams[0].ended);
    assert_true(world.now - start <= 2 * PROMISE);
    assert_memory_equal(at_client.streams[0].bytes.data, "first second", 12);
}

static void a_probe_goes_out_though_only_acknowledgements_come(void **state)
{
    (void)state;
    settle();
    struct heard *out = peer_open(&at_server, false);
    /* A datagram that arrives and is acknowledged, a stream's packet that is not. */
    peer_datagram(&at_server, "one", 1);
    peer_datagram(&at_server, "two", 2);
    world_for(&world, DELAY);
    client->cut = true;
    peer_write(out, "lost", true);
    world_for(&world, YO_US);
    client->cut = false;
    UNTIL(&world, at_client.stream_count == 1 && at_client.streams[0].ended);
    assert_int_equal(at_client.streams[0].bytes.size, 4);
}

static void a_bulk_transfer_has_its_acknowledgements(void **state)
{
    static char much[200001];
    (void)state;
    settle();
    memset(much, 'x', sizeof(much) - 1);
    struct heard *out = peer_open(&at_server, false);
    yo_time start = world.now;
    peer_write(out, much, true);
    UNTIL(&world, at_client.stream_count == 1 && at_client.streams[0].ended);
    assert_true(world.now - start < 100 * YO_MS);
    assert_true(client->sent * 4 >= server->sent); /* trains share one */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_acknowledgement_of_a_lone_datagram_waits),
        TEST(others_wait_with_it),
        TEST(datagrams_that_would_fill_a_window_do_not_wait),
        TEST(ten_packets_are_enough),
        TEST(a_stream_s_bytes_are_not_kept_waiting_by_datagrams),
        TEST(a_steady_trickle_is_acknowledged_now_and_then),
        TEST(a_datagram_after_a_gap_is_acknowledged_at_once),
        TEST(what_is_sent_anyway_takes_the_acknowledgement_along),
        TEST(an_acknowledgement_wakes_nobody),
        TEST(a_lost_tail_is_sent_again_in_time),
        TEST(a_probe_goes_out_though_only_acknowledgements_come),
        TEST(a_bulk_transfer_has_its_acknowledgements),
    };
    return cmocka_run_group_tests_name("transport/webtransport/patience", tests,
                                       world_begin_tls, world_end_tls);
}
