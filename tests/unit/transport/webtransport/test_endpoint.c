/* SPDX-License-Identifier: MIT */
/* What an endpoint does with packets that are not an open connection's, and with
 * connections that move, crowd or end. */
#include "world.h"

#include <stdlib.h>
#include <yomo/error.h>

#include "support/fault.h"
#include "transport/webtransport/conn.h"

static struct world world;
static struct node *server, *client;
static struct side at_server, at_client;
static struct side waiting, late, same, other_side, next; /* of further clients */

static int begin(void **state)
{
    (void)state;
    world_init(&world, 2);
    side_init(&at_server, &world);
    side_init(&at_client, &world);
    side_init(&waiting, &world);
    side_init(&late, &world);
    side_init(&same, &world);
    side_init(&other_side, &world);
    side_init(&next, &world);
    server = world_server(&world, NULL);
    client = world_client(&world, NULL);
    return 0;
}

static int end(void **state)
{
    (void)state;
    world_finish(&world);
    side_finish(&at_server);
    side_finish(&at_client);
    side_finish(&waiting);
    side_finish(&late);
    side_finish(&same);
    side_finish(&other_side);
    side_finish(&next);
    return 0;
}

/* Another server in place of the usual one. */
static void server_with(const struct yo_endpoint_options *options)
{
    struct sockaddr_in address = server->outside;
    server->outside.sin_port = 0;
    server = world_server(&world, options);
    server->outside = server->inside = address;
}

static struct yo_endpoint_stats stats(void)
{
    struct yo_endpoint_stats out;
    yo_endpoint_stats(server->endpoint, &out);
    return out;
}

static void talk(void)
{
    size_t before = at_server.heard[YO_LANE_CONTROL],
           back = at_client.heard[YO_LANE_ROOMS];
    assert_int_equal(side_send(&at_client, YO_LANE_CONTROL, "hello", 5, 0), YOMO_OK);
    UNTIL(&world, at_server.heard[YO_LANE_CONTROL] > before);
    assert_int_equal(side_send(&at_server, YO_LANE_ROOMS, "hi", 2, 0), YOMO_OK);
    UNTIL(&world, at_client.heard[YO_LANE_ROOMS] > back);
}

static size_t long_packet(uint8_t *out, uint32_t version, size_t size)
{
    memset(out, 0, size);
    out[0] = 0xc0;
    for (int i = 0; i < 4; i++) {
        out[1 + i] = (uint8_t)(version >> (24 - 8 * i));
    }
    out[5] = 8; /* destination ID */
    memset(out + 6, 'd', 8);
    out[14] = 4; /* source ID */
    memset(out + 15, 's', 4);
    return size;
}

/* --- Without a connection --------------------------------------------------------- */

static void an_unknown_version_is_told_the_known_ones(void **state)
{
    uint8_t packet[1200];
    (void)state;
    world_inject(server, client,
                 yo_span(packet, long_packet(packet, 0xfafafafa, sizeof(packet))));
    UNTIL(&world, client->last.size > 0);
    const uint8_t *p = client->last.data;
    assert_memory_equal(p + 1, "\0\0\0\0", 4);
    assert_memory_equal(p + 5,
                        "\x04ssss\x08"
                        "dddddddd",
                        14);
    assert_memory_equal(p + 19, "\0\0\0\1", 4);
    assert_int_equal(stats().version_negotiations, 1);
}

static void a_small_packet_of_an_unknown_version_gets_no_answer(void **state)
{
    uint8_t packet[100];
    (void)state;
    world_inject(server, client,
                 yo_span(packet, long_packet(packet, 0xfafafafa, sizeof(packet))));
    world_for(&world, YO_SECOND);
    assert_int_equal(client->last.size, 0);
}

static void noise_is_counted_and_forgotten(void **state)
{
    uint8_t packet[1500];
    (void)state;
    for (size_t size = 0; size < sizeof(packet); size += 7) {
        for (size_t i = 0; i < size; i++) {
            packet[i] = (uint8_t)yo_rand_next(&world.rand);
        }
        world_inject(server, client, yo_span(packet, size));
        size_t n = size < 20 ? size : long_packet(packet, 1, size);
        world_inject(server, client, yo_span(packet, n));
    }
    world_for(&world, 60 * YO_SECOND);
    assert_true(yo_endpoint_empty(server->endpoint));
    assert_true(stats().packets_bad > 200);
    side_pair(&at_client, client, &at_server, server, true);
    talk();
}

static void a_restarted_server_resets_what_it_does_not_know(void **state)
{
    (void)state;
    side_pair(&at_client, client, &at_server, server, true);
    world_for(&world, YO_SECOND);
    struct yo_conn *old_conn = at_server.conn;
    struct yo_endpoint *old = server->endpoint;
    server->endpoint = NULL;
    server_with(NULL);
    server->outside = server->inside;
    assert_int_equal(side_send(&at_client, YO_LANE_CONTROL, "anybody there?", 14, 0),
                     YOMO_OK);
    yo_time start = world.now;
    UNTIL(&world, at_client.closed);
    assert_true(world.now - start < YO_SECOND);
    assert_int_equal(at_client.why.kind, YO_CLOSE_RETRY);
    assert_non_null(strstr(at_client.text, "does not know"));
    assert_int_equal(stats().stateless_resets, 1);
    at_server.conn = old_conn; /* which dies with its endpoint */
    world.nodes[0]->endpoint = old;
}

static void resets_are_rationed(void **state)
{
    struct yo_secrets secrets;
    uint8_t packet[100];
    struct yo_endpoint_options options = world_options(&world, true);
    (void)state;
    assert_int_equal(yo_secrets_init(&secrets, options.secret), YOMO_OK);
    for (int i = 0; i < 1000; i++) {
        memset(packet, 'x', sizeof(packet));
        packet[0] = 0x40;
        assert_int_equal(yo_cid_make(&secrets, 0, packet + 1), YOMO_OK);
        world_inject(server, client, yo_span(packet, sizeof(packet)));
    }
    yo_secrets_finish(&secrets);
    world_for(&world, 100 * YO_MS);
    assert_true(stats().stateless_resets >= 100 && stats().stateless_resets <= 210);
    assert_true(client->last.size < sizeof(packet));
}

/* --- Retry ------------------------------------------------------------------------ */

static void a_busy_server_asks_for_a_proof_of_the_address(void **state)
{
    struct yo_endpoint_options options = world_options(&world, true);
    options.handshakes_max = 1;
    (void)state;
    server_with(&options);
    struct node *other = world_client(&world, NULL);
    side_connect(&waiting, other, server, true);
    UNTIL(&world, stats().handshakes_now == 1);
    other->cut = true; /* half a handshake */
    side_connect(&at_client, client, server, true);
    UNTIL(&world, server->request);
    assert_in_range(stats().retries, 1, 2); /* one for each packet of the ClientHello */
    yo_conn_abort(waiting.conn);
    UNTIL(&world, waiting.closed);
    UNTIL(&world, stats().handshakes_now == 0); /* the half one is given up */
    assert_int_equal(stats().handshakes_failed, 1);
}

static void a_proof_of_another_address_is_none(void **state)
{
    struct yo_endpoint_options options = world_options(&world, true);
    options.handshakes_max = 1;
    (void)state;
    server_with(&options);
    struct node *other = world_client(&world, NULL);
    side_connect(&waiting, other, server, true);
    UNTIL(&world, stats().handshakes_now == 1);
    other->cut = true;
    side_connect(&at_client, client, server, true);
    UNTIL(&world, stats().retries == 1);
    client->heard_at = client->outside; /* the Retry still gets there */
    client->outside.sin_addr.s_addr = htonl(0xc6336401); /* what it sends has another */
    UNTIL(&world, stats().refused > 0);
    assert_int_equal(stats().handshakes_now, 1);
    yo_conn_abort(waiting.conn);
    yo_conn_abort(at_client.conn);
    UNTIL(&world, waiting.closed && at_client.closed);
}

static void a_server_that_is_too_busy_says_nothing(void **state)
{
    struct yo_endpoint_options options = world_options(&world, true);
    options.handshakes_max = 0;
    (void)state;
    server_with(&options);
    side_connect(&at_client, client, server, true);
    UNTIL(&world, at_client.closed);
    assert_int_equal(at_client.why.error, YOMO_ERR_TIMEOUT);
    assert_true(stats().refused > 0);
    assert_true(yo_endpoint_empty(server->endpoint));
}

/* --- Limits ----------------------------------------------------------------------- */

static void past_the_limit_new_ones_are_refused(void **state)
{
    struct yo_endpoint_options options = world_options(&world, true);
    options.connections_max = 1;
    (void)state;
    server_with(&options);
    side_pair(&at_client, client, &at_server, server, true);
    side_connect(&late, world_client(&world, NULL), server, true);
    UNTIL(&world, late.closed);
    assert_int_equal(late.why.error, YOMO_ERR_FULL);
    assert_int_equal(late.why.kind, YO_CLOSE_RETRY);
    talk();
}

static void one_address_cannot_have_all_places(void **state)
{
    struct yo_endpoint_options options = world_options(&world, true);
    options.connections_per_address_max = 1;
    (void)state;
    server_with(&options);
    side_pair(&at_client, client, &at_server, server, true);
    side_connect(&same, world_client(&world, NULL), server, true);
    UNTIL(&world, same.closed);
    assert_int_equal(same.why.error, YOMO_ERR_FULL);
    struct node *elsewhere = world_client(&world, NULL);
    elsewhere->outside.sin_addr.s_addr = htonl(0xc6336401);
    side_connect(&other_side, elsewhere, server, true);
    UNTIL(&world, server->request);
    struct yo_close how = {.kind =
                               YO_CLOSE_DONE}; /* and a place that was left is free */
    yo_conn_close(at_client.conn, &how);
    UNTIL(&world, at_client.closed && at_server.closed);
    server->request = NULL;
    side_connect(&next, world_client(&world, NULL), server, true);
    UNTIL(&world, server->request);
}

static void a_draining_server_keeps_what_stands(void **state)
{
    (void)state;
    side_pair(&at_client, client, &at_server, server, true);
    yo_endpoint_drain(server->endpoint);
    side_connect(&late, world_client(&world, NULL), server, true);
    UNTIL(&world, late.closed);
    assert_int_equal(late.why.error, YOMO_ERR_FULL);
    talk();
}

/* --- Moving ----------------------------------------------------------------------- */

static void a_client_whose_address_changes_goes_on(void **state)
{
    (void)state;
    side_pair(&at_client, client, &at_server, server, true);
    talk();
    for (uint16_t i = 1; i <= 3; i++) {
        client->outside.sin_port = htons((uint16_t)(5000 + i));
        talk();
        world_for(&world, YO_SECOND);
        struct yo_conn_info info;
        char expected[64];
        snprintf(expected, sizeof(expected), "192.0.2.1:%d", 5000 + i);
        yo_conn_info(at_server.conn, &info);
        assert_string_equal(info.address, expected);
    }
    assert_int_equal(at_client.closed + at_server.closed, 0);
}

static void a_client_that_moves_in_the_middle_of_much_loses_nothing(void **state)
{
    uint32_t number = 0;
    struct yo_endpoint_options options = world_options(&world, false);
    options.keepalive =
        YO_SECOND; /* or a client that only listens is never found again */
    (void)state;
    world.loss = 50;
    client = world_client(&world, &options);
    side_pair(&at_client, client, &at_server, server, true);
    for (uint16_t i = 0; i < 5; i++) {
        for (int n = 0; n < 40; n++, number++) {
            UNTIL(&world, side_send_numbered(&at_server, 2, number, 5000) == YOMO_OK);
            assert_int_equal(side_send_numbered(&at_client, 3, number, 100), YOMO_OK);
        }
        world_for(&world, 30 * YO_MS);
        client->outside.sin_port = htons((uint16_t)(6000 + i));
    }
    UNTIL(&world, at_client.next[2] == number && at_server.next[3] == number);
}

static void a_packet_of_another_worker_is_handed_over(void **state)
{
    struct yo_endpoint_options options = world_options(&world, true);
    options.worker = 1;
    (void)state;
    struct node *second = world_server(&world, &options);
    side_pair(&at_client, client, &at_server, second, true);
    talk();
    /* From now on the kernel gives the client's packets to the first worker. */
    server->outside = second->outside;
    server->other = second;
    size_t seen = second->sent;
    talk();
    assert_true(server->foreign > 0);
    assert_int_equal(server->sent, 0);
    assert_true(second->sent > seen);
    client->outside.sin_port = htons(7000); /* that is why it did */
    talk();
    assert_int_equal(server->sent, 0);
}

static void a_packet_for_a_worker_that_forgot_it_goes_no_further(void **state)
{
    struct yo_endpoint_options options = world_options(&world, true);
    options.worker = 1;
    (void)state;
    struct node *second = world_server(&world, &options);
    side_pair(&at_client, client, &at_server, second, true);
    world_for(&world, YO_SECOND);
    server->outside = second->outside;
    server->other = second;
    struct yo_close how = {.kind = YO_CLOSE_RETRY};
    client->cut = true;
    yo_conn_close(at_server.conn, &how);
    UNTIL(&world, at_server.closed);
    world_for(&world, 5 * YO_SECOND); /* the stub is gone, too */
    client->cut = false;
    assert_int_equal(side_send(&at_client, YO_LANE_CONTROL, "hello?", 6, 0), YOMO_OK);
    UNTIL(&world, at_client.closed);
    struct yo_endpoint_stats numbers;
    yo_endpoint_stats(second->endpoint, &numbers);
    assert_int_equal(numbers.stateless_resets, 1);
    assert_int_equal(numbers.foreign, 0);
}

/* --- Sockets ---------------------------------------------------------------------- */

static void a_socket_that_takes_no_more_is_waited_for(void **state)
{
    (void)state;
    side_pair(&at_client, client, &at_server, server, true);
    world_for(&world, YO_SECOND);
    server->blocked = true;
    assert_int_equal(side_send(&at_server, YO_LANE_CONTROL, "wait", 4, 0), YOMO_OK);
    size_t sent = server->sent;
    world_for(&world, 100 * YO_MS);
    assert_int_equal(server->sent, sent);
    server->blocked = false;
    yo_endpoint_writable(server->endpoint);
    UNTIL(&world, at_client.heard[YO_LANE_CONTROL] == 1);
}

static void late_packets_of_a_closed_connection_are_told_again(void **state)
{
    (void)state;
    side_pair(&at_client, client, &at_server, server, false);
    world_for(&world, YO_SECOND);
    struct yo_close how = {.kind = YO_CLOSE_RETRY, .code = YO_CODE_GOING_AWAY};
    client->cut = true; /* CONNECTION_CLOSE is lost */
    yo_conn_close(at_server.conn, &how);
    UNTIL(&world, at_server.closed);
    client->cut = false;
    assert_int_equal(side_send(&at_client, YO_LANE_DATAGRAM, "late", 4, 0), YOMO_OK);
    UNTIL(&world, at_client.closed);
    assert_non_null(strstr(at_client.text, "1001"));
    assert_int_equal(stats().stateless_resets, 0);
}

static void closing_an_endpoint_tells_everybody_once(void **state)
{
    (void)state;
    side_pair(&at_client, client, &at_server, server, true);
    side_connect(&waiting, world_client(&world, NULL), server, true);
    UNTIL(&world, server->request);
    yo_endpoint_close(server->endpoint);
    assert_int_equal(at_server.closed + server->gone, 0); /* from the loop only */
    UNTIL(&world, server->empty);
    assert_int_equal(at_server.closed, 1);
    assert_int_equal(server->gone, 1);
}

static void a_silent_peer_is_given_up_in_time(void **state)
{
    struct yo_endpoint_options options = world_options(&world, true);
    options.keepalive = 5 * YO_SECOND;
    options.silence = 15 * YO_SECOND;
    (void)state;
    server_with(&options);
    side_pair(&at_client, client, &at_server, server, true);
    world_for(&world, 100 * YO_SECOND); /* PINGs keep it */
    assert_int_equal(at_server.closed, 0);
    talk();
    yo_time start = world.now;
    client->cut = true;
    while (!at_server.closed) {
        if (at_server.conn) { /* also while we talk to the dead */
            side_send(&at_server, YO_LANE_DATAGRAM, "x", 1, 0);
        }
        world_for(&world, 500 * YO_MS);
    }
    assert_true(world.now - start > 14 * YO_SECOND);
    assert_true(world.now - start < 16 * YO_SECOND);
    assert_int_equal(at_server.why.error, YOMO_ERR_TIMEOUT);
}

/* --- Memory ----------------------------------------------------------------------- */

/* One run in which the `nth` allocation from the first packet on fails. Returns false
 * when none was left to fail. */
static bool run_short_of_memory(size_t nth, enum fault_mode mode)
{
    struct fault fault;
    struct world w;
    struct side s, c;
    struct yo_response yes = {.status = 200, .extension = true};
    fault_init(&fault, 0, mode);
    world_init(&w, 3);
    w.mem = &fault.mem;
    side_init(&s, &w);
    side_init(&c, &w);
    struct node *sn = world_server(&w, NULL), *cn = world_client(&w, NULL);
    fault_arm(&fault, nth, mode);
    struct yo_endpoint_connect options = {
        .socket = cn,
        .local = (const struct sockaddr *)&cn->inside,
        .remote = (const struct sockaddr *)&sn->outside,
        .tls = world_client_tls,
        .peer = {"localhost", 443, true},
        .authority = "localhost",
        .path = "/v1",
    };
    if (side_ask(&c, cn, &options, true)) {
        bool sent = false;
        while (!c.closed && c.heard[YO_LANE_CONTROL] == 0 && world_step(&w)) {
            if (sn->request && !s.conn && !s.closed) {
                side_accept(&s, sn, &yes);
            }
            if (c.opened && c.conn && !sent) {
                sent = side_send(&c, YO_LANE_ROOMS, "x", 1, 0) == YOMO_OK;
            }
            if (s.conn && s.heard[YO_LANE_ROOMS]) {
                s.heard[YO_LANE_ROOMS] = 0;
                if (side_send(&s, YO_LANE_CONTROL, "y", 1, 0) != YOMO_OK) {
                    yo_conn_abort(s.conn);
                }
            }
        }
    } else {
        assert_true(fault.failed);
    }
    bool failed = fault.failed;
    assert_true(failed || c.heard[YO_LANE_CONTROL] == 1);
    fault_arm(&fault, 0, mode);
    world_finish(&w);
    side_finish(&s);
    side_finish(&c);
    fault_assert_no_leak(&fault);
    return failed;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (int mode = FAULT_ONCE; mode <= FAULT_FROM; mode++) {
        size_t nth = 1;
        while (run_short_of_memory(nth, mode)) {
            nth++;
        }
        assert_true(nth > 100);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_unknown_version_is_told_the_known_ones),
        TEST(a_small_packet_of_an_unknown_version_gets_no_answer),
        TEST(noise_is_counted_and_forgotten),
        TEST(a_restarted_server_resets_what_it_does_not_know),
        TEST(resets_are_rationed),
        TEST(a_busy_server_asks_for_a_proof_of_the_address),
        TEST(a_proof_of_another_address_is_none),
        TEST(a_server_that_is_too_busy_says_nothing),
        TEST(past_the_limit_new_ones_are_refused),
        TEST(one_address_cannot_have_all_places),
        TEST(a_draining_server_keeps_what_stands),
        TEST(a_client_whose_address_changes_goes_on),
        TEST(a_client_that_moves_in_the_middle_of_much_loses_nothing),
        TEST(a_packet_of_another_worker_is_handed_over),
        TEST(a_packet_for_a_worker_that_forgot_it_goes_no_further),
        TEST(a_socket_that_takes_no_more_is_waited_for),
        TEST(late_packets_of_a_closed_connection_are_told_again),
        TEST(closing_an_endpoint_tells_everybody_once),
        TEST(a_silent_peer_is_given_up_in_time),
        TEST(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("transport/webtransport/endpoint", tests,
                                       world_begin_tls, world_end_tls);
}
