/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "loop/udp.h"
#include "support/until.h"

struct heard {
    size_t packets, bytes, batches, writable, errors;
    size_t sizes[4096];
    uint8_t ecn, first_byte[4096];
    union yo_address remote, local;
    int error;
};

static void on_packet(void *user, const struct yo_packet *packet, yo_time now)
{
    struct heard *heard = user;
    (void)now;
    assert_true(heard->packets < 4096);
    heard->first_byte[heard->packets] = packet->bytes.size ? packet->bytes.data[0] : 0;
    heard->sizes[heard->packets++] = packet->bytes.size;
    heard->bytes += packet->bytes.size;
    heard->ecn = packet->ecn;
    heard->remote = *packet->remote;
    heard->local = *packet->local;
}

static void on_batch_end(void *user, yo_time now)
{
    (void)now;
    ((struct heard *)user)->batches++;
}

static void on_writable(void *user, yo_time now)
{
    (void)now;
    ((struct heard *)user)->writable++;
}

static void on_error(void *user, int error, yo_time now)
{
    (void)now;
    ((struct heard *)user)->errors++;
    ((struct heard *)user)->error = error;
}

static const struct yo_udp_events events = {on_packet, on_batch_end, on_writable,
                                            on_error};

static struct yo_loop *loop;

static int start(void **state)
{
    (void)state;
    return yo_loop_create(&loop, &yo_mem_libc, NULL, NULL);
}

static int stop(void **state)
{
    (void)state;
    until_closed(loop);
    return 0;
}

static struct yo_udp *open_on(const char *literal, struct heard *heard)
{
    struct yo_udp *udp = NULL;
    union yo_address local;
    struct yo_udp_options options = {0};
    assert_int_equal(yo_address_parse(&local, literal, 0), YOMO_OK);
    assert_int_equal(
        yo_udp_open(&udp, loop, -1, &local, NULL, &options, &events, heard), YOMO_OK);
    return udp;
}

static struct yo_udp *open_to(const union yo_address *remote, struct heard *heard)
{
    struct yo_udp *udp = NULL;
    struct yo_udp_options options = {.connected = true};
    assert_int_equal(
        yo_udp_open(&udp, loop, -1, NULL, remote, &options, &events, heard), YOMO_OK);
    return udp;
}

static void a_packet_arrives_with_its_addresses_and_mark(const char *literal)
{
    struct heard at_server = {0}, at_client = {0};
    struct yo_udp *server = open_on(literal, &at_server);
    struct yo_udp *client = open_to(yo_udp_local(server), &at_client);
    assert_int_equal(yo_udp_send(client, NULL, NULL, 2, yo_span_of("hello"), 0),
                     YOMO_OK);
    yo_udp_flush(client);
    UNTIL(loop, at_server.packets == 1);
    assert_int_equal(at_server.sizes[0], 5);
    assert_int_equal(at_server.ecn, 2);
    assert_true(yo_address_equal(&at_server.remote, yo_udp_local(client)));
    assert_true(yo_address_equal(&at_server.local, yo_udp_local(server)));
    assert_int_equal(at_server.batches, 1);

    /* And back, from the address at which it arrived, with another mark. */
    assert_int_equal(yo_udp_send(server, &at_server.local, &at_server.remote, 1,
                                 yo_span_of("hello back"), 0),
                     YOMO_OK);
    yo_udp_flush(server);
    UNTIL(loop, at_client.packets == 1);
    assert_int_equal(at_client.sizes[0], 10);
    assert_int_equal(at_client.ecn, 1);
    yo_udp_close(client);
    yo_udp_close(server);
}

static void a_packet_arrives_over_ipv4(void **state)
{
    (void)state;
    a_packet_arrives_with_its_addresses_and_mark("127.0.0.1");
}

static void a_packet_arrives_over_ipv6(void **state)
{
    (void)state;
    a_packet_arrives_with_its_addresses_and_mark("::1");
}

static void a_socket_on_all_addresses_tells_which_one_was_meant(void **state)
{
    (void)state;
    struct heard at_server = {0}, at_client = {0};
    struct yo_udp *server = open_on("0.0.0.0", &at_server);
    union yo_address to, expected;
    yo_address_parse(&to, "127.0.0.2", yo_address_port(yo_udp_local(server)));
    expected = to;
    struct yo_udp *client = open_to(&to, &at_client);
    yo_udp_send(client, NULL, NULL, 0, yo_span_of("x"), 0);
    yo_udp_flush(client);
    UNTIL(loop, at_server.packets == 1);
    assert_true(yo_address_equal(&at_server.local, &expected));
    yo_udp_send(server, &at_server.local, &at_server.remote, 0, yo_span_of("y"), 0);
    yo_udp_flush(server);
    UNTIL(loop, at_client.packets == 1); /* a connected one takes nothing else */
    yo_udp_close(client);
    yo_udp_close(server);
}

static void trains_arrive_packet_by_packet(void **state)
{
    (void)state;
    struct heard at_server = {0}, at_client = {0};
    struct yo_udp *server = open_on("127.0.0.1", &at_server);
    struct yo_udp *client = open_to(yo_udp_local(server), &at_client);
    static uint8_t bytes[10 * 1200 + 7];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(i / 1200);
    }
    assert_int_equal(
        yo_udp_send(client, NULL, NULL, 0, yo_span(bytes, sizeof(bytes)), 1200),
        YOMO_OK);
    yo_udp_flush(client);
    UNTIL(loop, at_server.packets == 11);
    for (size_t i = 0; i < 11; i++) {
        assert_int_equal(at_server.sizes[i], i < 10 ? 1200 : 7);
        assert_int_equal(at_server.first_byte[i], i);
    }
    yo_udp_close(client);
    yo_udp_close(server);
}

static void packets_written_in_place_keep_their_borders_and_order(void **state)
{
    (void)state;
    struct heard at_server = {0}, at_client = {0};
    struct yo_udp *server = open_on("127.0.0.1", &at_server);
    struct yo_udp *client = open_to(yo_udp_local(server), &at_client);
    size_t wanted[200];
    srand(7);
    for (size_t i = 0; i < 200; i++) {
        wanted[i] = i % 3 ? 1000 : (size_t)(1 + rand() % 1300);
        uint8_t *space = yo_udp_space(client, wanted[i]);
        assert_non_null(space);
        memset(space, (int)(i & 0xff), wanted[i]);
        yo_udp_commit(client, NULL, NULL, 0, wanted[i], 0);
        if (i % 40 == 39) { /* more would not fit the receiver's buffer */
            yo_udp_flush(client);
            UNTIL(loop, at_server.packets == i + 1);
        }
    }
    for (size_t i = 0; i < 200; i++) {
        assert_int_equal(at_server.sizes[i], wanted[i]);
        assert_int_equal(at_server.first_byte[i], i & 0xff);
    }
    yo_udp_close(client);
    yo_udp_close(server);
}

static void one_batch_serves_many_peers(void **state)
{
    (void)state;
    struct heard at_server = {0}, at_client[5];
    memset(at_client, 0, sizeof(at_client));
    struct yo_udp *server = open_on("127.0.0.1", &at_server);
    struct yo_udp *clients[5];
    for (int i = 0; i < 5; i++) {
        clients[i] = open_to(yo_udp_local(server), &at_client[i]);
    }
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 5; i++) {
            assert_int_equal(yo_udp_send(server, NULL, yo_udp_local(clients[i]), 0,
                                         yo_span_of("message"), 0),
                             YOMO_OK);
        }
    }
    yo_udp_flush(server);
    for (int i = 0; i < 5; i++) {
        UNTIL(loop, at_client[i].packets == 20);
        yo_udp_close(clients[i]);
    }
    yo_udp_close(server);
}

static void an_unreachable_peer_is_told_from_the_loop(void **state)
{
    (void)state;
    struct heard at_client = {0}, unused = {0};
    struct yo_udp *server = open_on("127.0.0.1", &unused);
    union yo_address gone = *yo_udp_local(server);
    yo_udp_close(server);
    struct yo_udp *client = open_to(&gone, &at_client);
    yo_udp_send(client, NULL, NULL, 0, yo_span_of("x"), 0);
    yo_udp_flush(client);
    yo_udp_send(client, NULL, NULL, 0, yo_span_of("y"), 0);
    yo_udp_flush(client);
    assert_int_equal(at_client.errors, 0);
    UNTIL(loop, at_client.errors > 0);
    assert_int_equal(at_client.error, YOMO_ERR_UNREACHABLE);
    yo_udp_close(client);
}

static void a_port_in_use_is_an_error(void **state)
{
    (void)state;
    struct heard heard = {0};
    struct yo_udp *first = open_on("127.0.0.1", &heard), *second;
    struct yo_udp_options options = {0};
    assert_int_equal(yo_udp_open(&second, loop, -1, yo_udp_local(first), NULL, &options,
                                 &events, &heard),
                     YOMO_ERR_IN_USE);
    yo_udp_close(first);
}

static struct yo_udp *victim;

static void close_victim(void *user, const struct yo_packet *packet, yo_time now)
{
    (void)packet;
    (void)now;
    ++*(int *)user;
    yo_udp_close(victim);
}

static void nothing_comes_after_a_close_inside_a_callback(void **state)
{
    (void)state;
    static const struct yo_udp_events closing = {.on_packet = close_victim};
    struct heard at_client = {0};
    struct yo_udp_options options = {0};
    union yo_address local;
    int calls = 0;
    yo_address_parse(&local, "127.0.0.1", 0);
    assert_int_equal(
        yo_udp_open(&victim, loop, -1, &local, NULL, &options, &closing, &calls),
        YOMO_OK);
    struct yo_udp *client = open_to(yo_udp_local(victim), &at_client);
    for (int i = 0; i < 3; i++) {
        yo_udp_send(client, NULL, NULL, 0, yo_span_of("xyz"), 1);
    }
    yo_udp_flush(client);
    UNTIL(loop, calls > 0);
    until_turn(loop, 0);
    assert_int_equal(calls, 1);
    yo_udp_close(client);
}

static void addresses_are_printed_and_parsed(void **state)
{
    (void)state;
    union yo_address address, mapped;
    char text[64];
    assert_int_equal(yo_address_parse(&address, "192.0.2.1", 443), YOMO_OK);
    yo_address_print(&address, text);
    assert_string_equal(text, "192.0.2.1:443");
    assert_false(yo_address_loopback(&address));
    assert_int_equal(yo_address_parse(&address, "2001:db8::1", 4433), YOMO_OK);
    yo_address_print(&address, text);
    assert_string_equal(text, "[2001:db8::1]:4433");
    assert_int_equal(yo_address_parse(&mapped, "::ffff:127.0.0.1", 1), YOMO_OK);
    yo_address_print(&mapped, text);
    assert_string_equal(text, "127.0.0.1:1");
    assert_true(yo_address_loopback(&mapped));
    assert_int_equal(yo_address_parse(&address, "::1", 1), YOMO_OK);
    assert_true(yo_address_loopback(&address));
    assert_int_equal(yo_address_parse(&address, "localhost", 1), YOMO_ERR_INVALID);
    assert_int_equal(yo_address_parse(&address, "", 1), YOMO_ERR_INVALID);
    assert_int_equal(yo_address_parse(&address, "1.2.3", 1), YOMO_ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_packet_arrives_over_ipv4, start, stop),
        cmocka_unit_test_setup_teardown(a_packet_arrives_over_ipv6, start, stop),
        cmocka_unit_test_setup_teardown(
            a_socket_on_all_addresses_tells_which_one_was_meant, start, stop),
        cmocka_unit_test_setup_teardown(trains_arrive_packet_by_packet, start, stop),
        cmocka_unit_test_setup_teardown(
            packets_written_in_place_keep_their_borders_and_order, start, stop),
        cmocka_unit_test_setup_teardown(one_batch_serves_many_peers, start, stop),
        cmocka_unit_test_setup_teardown(an_unreachable_peer_is_told_from_the_loop,
                                        start, stop),
        cmocka_unit_test_setup_teardown(a_port_in_use_is_an_error, start, stop),
        cmocka_unit_test_setup_teardown(nothing_comes_after_a_close_inside_a_callback,
                                        start, stop),
        cmocka_unit_test(addresses_are_printed_and_parsed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
