/* SPDX-License-Identifier: MIT */
/* What QUIC itself brings: sessions that are resumed, addresses that are proven, forged
 * and flooding packets, path MTU, ECN, congestion, key updates, timeouts. */
#include "world.h"

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <yomo/error.h>

#include "support/fault.h"
#include "transport/webtransport/conn.h"
#include "transport/webtransport/inside.h"

static struct world world;
static struct node *server, *client;
static struct side at_server, at_client;
static struct side halves[4]; /* of clients that never get further */
static size_t half_count;

static int begin(void **state)
{
    static uint16_t port = 20000;
    (void)state;
    world_init(&world, 7);
    world.port = ++port; /* each test's server is a new one to the clients */
    side_init(&at_server, &world);
    side_init(&at_client, &world);
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
    half_count = 0;
    return 0;
}

static struct yo_endpoint_stats stats(const struct node *node)
{
    struct yo_endpoint_stats out;
    yo_endpoint_stats(node->endpoint, &out);
    return out;
}

static void server_with(const struct yo_endpoint_options *options)
{
    struct sockaddr_in address = server->outside;
    server->outside.sin_port = server->inside.sin_port = 0;
    server = world_server(&world, options);
    server->outside = server->inside = address;
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

static void hang_up(struct side *here, struct side *there)
{
    struct yo_close how = {.kind = YO_CLOSE_DONE};
    yo_conn_close(here->conn, &how);
    UNTIL(&world, here->closed && there->closed);
    side_finish(here);
    side_finish(there);
    side_init(here, &world);
    side_init(there, &world);
}

static ngtcp2_conn *quic_of(struct node *node)
{
    struct yo_link *first = node->endpoint->conns.next;
    assert_true(first != &node->endpoint->conns);
    return YO_CONTAINER(first, struct yo_quic_conn, link)->quic;
}

static ngtcp2_conn_info info_of(struct node *node)
{
    ngtcp2_conn_info info;
    ngtcp2_conn_get_conn_info(quic_of(node), &info);
    return info;
}

/* `count` messages of `size` bytes from the server to the client, in order. */
static void pour(uint32_t *number, unsigned count, size_t size)
{
    uint32_t until = *number + count;
    while (*number < until) {
        UNTIL(&world, side_send_numbered(&at_server, 2, *number, size) == YOMO_OK);
        (*number)++;
    }
    UNTIL(&world, at_client.next[2] == until);
}

/* --- Sessions and tokens ---------------------------------------------------------- */

static void a_client_that_comes_again_resumes_its_session(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        side_pair(&at_client, client, &at_server, server, true);
        talk();
        assert_int_equal(stats(server).handshakes_full, 1);
        assert_int_equal(stats(server).handshakes_resumed, i);
        assert_int_equal(stats(client).handshakes_resumed, i);
        hang_up(&at_client, &at_server);
    }
}

static void nothing_is_sent_before_the_handshake(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        side_connect(&at_client, client, server, true);
        assert_int_equal(stats(client).handshakes_full, 1 * (i > 0));
        UNTIL(&world, server->request); /* which follows the client's Finished */
        ngtcp2_conn *quic = quic_of(server);
        assert_true(ngtcp2_conn_get_handshake_completed(quic));
        assert_false(ngtcp2_conn_get_tls_early_data_rejected(quic));
        struct yo_response yes = {.status = 200, .extension = true};
        assert_true(side_accept(&at_server, server, &yes));
        UNTIL(&world, at_client.opened);
        talk(); /* the ticket has come, and allows none the next time */
        struct yo_quic_conn *ours = client->endpoint->only;
        SSL *ssl = ngtcp2_crypto_ossl_ctx_get_ssl(ours->tls);
        assert_true(SSL_SESSION_has_ticket(SSL_get0_session(ssl)));
        assert_int_equal(SSL_SESSION_get_max_early_data(SSL_get0_session(ssl)), 0);
        hang_up(&at_client, &at_server);
        server->request = NULL;
    }
    assert_int_equal(stats(client).handshakes_resumed, 1);
}

static void another_server_is_not_told_of_the_session(void **state)
{
    (void)state;
    side_pair(&at_client, client, &at_server, server, true);
    talk();
    hang_up(&at_client, &at_server);
    world.port += 30000;
    side_pair(&at_client, client, &at_server, server, true);
    assert_int_equal(stats(server).handshakes_full, 2);
    world.port -= 30000;
}

/* A server that is as busy as one half handshake makes it. */
static void make_busy(void)
{
    struct side *half = &halves[half_count++];
    uint16_t port = world.port;
    struct node *other = world_client(&world, NULL);
    world.port = 0;
    side_init(half, &world);
    side_connect(half, other, server, true);
    UNTIL(&world, stats(server).handshakes_now == 1);
    other->cut = true;
    world.port = port;
}

static void a_token_of_the_last_visit_spares_the_retry(void **state)
{
    struct yo_endpoint_options options = world_options(&world, true);
    options.handshakes_max = 1;
    (void)state;
    server_with(&options);
    side_pair(&at_client, client, &at_server, server, true);
    talk();
    hang_up(&at_client, &at_server);
    make_busy();
    side_pair(&at_client, client, &at_server, server, true);
    assert_int_equal(stats(server).retries, 0);
    assert_int_equal(stats(server).proven_token, 1);
    assert_int_equal(stats(server).proven_retry, 0);
    talk();
    hang_up(&at_client, &at_server);
    /* From another address it is worth nothing. */
    make_busy();
    client->outside.sin_addr.s_addr = htonl(0xc6336401);
    side_pair(&at_client, client, &at_server, server, true);
    assert_true(stats(server).retries > 0);
    assert_int_equal(stats(server).proven_token, 1);
    assert_int_equal(stats(server).proven_retry, 1);
    talk();
}

static void a_token_outlives_a_restart_but_not_its_hour(void **state)
{
    struct yo_endpoint_options options = world_options(&world, true);
    options.handshakes_max = 1;
    (void)state;
    side_pair(&at_client, client, &at_server, server, true);
    talk();
    hang_up(&at_client, &at_server);
    server_with(&options); /* the same secret */
    make_busy();
    side_pair(&at_client, client, &at_server, server, true);
    assert_int_equal(stats(server).retries, 0);
    assert_int_equal(stats(server).proven_token, 1);
    talk();
    hang_up(&at_client, &at_server);
    world_for(&world, 3601 * YO_SECOND);
    make_busy();
    side_pair(&at_client, client, &at_server, server, true);
    assert_true(stats(server).retries > 0);
    assert_int_equal(stats(server).proven_token, 1);
}

/* --- Floods ----------------------------------------------------------------------- */

/* A client that says hello and is never heard of again; what it said is kept. */
struct caller {
    struct world *world;
    uint8_t space[65536];
    struct yo_buf packets;
    size_t sizes[8], count;
};

static uint8_t *caller_space(void *user, void *socket, size_t size)
{
    struct caller *caller = user;
    (void)socket, (void)size;
    return caller->space;
}

static void caller_commit(void *user, void *socket, const struct sockaddr *local,
                          const struct sockaddr *remote, uint8_t ecn, size_t size,
                          size_t segment)
{
    struct caller *caller = user;
    (void)socket, (void)local, (void)remote, (void)ecn;
    for (size_t at = 0; at < size && caller->count < 8; at += segment) {
        size_t n = size - at < segment ? size - at : segment;
        caller->sizes[caller->count++] = n;
        yo_buf_append(&caller->packets, caller->space + at, n);
    }
}

static void caller_send(void *user, const struct yo_quic_packet *packet)
{
    (void)user, (void)packet;
}

static void caller_wake(void *user)
{
    (void)user;
}

static const struct yo_endpoint_events caller_events = {
    .space = caller_space,
    .commit = caller_commit,
    .send = caller_send,
    .on_wake = caller_wake,
};

/* The first flight of a new client, from `address`. */
static size_t call(struct caller *caller, uint32_t address)
{
    struct yo_endpoint_options options = world_options(&world, false);
    struct yo_endpoint *endpoint;
    struct node ghost = {.outside = client->outside};
    struct yo_wt_session *session;
    uint16_t port = world.port;
    size_t total = 0;

    ghost.outside.sin_addr.s_addr = htonl(address);
    yo_buf_clear(&caller->packets);
    caller->count = 0;
    assert_int_equal(yo_endpoint_create(&endpoint, &options, &caller_events, caller),
                     YOMO_OK);
    struct yo_endpoint_connect connect = {
        .socket = caller,
        .local = (const struct sockaddr *)&ghost.outside,
        .remote = (const struct sockaddr *)&server->outside,
        .tls = world_client_tls,
        .peer = {"localhost", 1, true},
        .authority = "localhost",
        .path = "/v1",
    };
    assert_int_equal(
        yo_endpoint_connect_session(endpoint, &connect, &session, world.now), YOMO_OK);
    yo_endpoint_turn(endpoint, world.now);
    yo_endpoint_destroy(endpoint);
    world.port = port;
    assert_true(caller->count > 0);
    for (size_t i = 0; i < caller->count; i++) {
        world_inject(server, &ghost,
                     yo_span(caller->packets.data + total, caller->sizes[i]));
        total += caller->sizes[i];
    }
    return total;
}

#define FLOOD 1500

static void a_flood_of_hellos_from_everywhere_is_bounded(void **state)
{
    struct fault memory;
    struct caller *caller = calloc(1, sizeof(*caller));
    (void)state;
    fault_init(&memory, 0, FAULT_ONCE);
    world.mem = &memory.mem;
    struct yo_endpoint_options options = world_options(&world, true);
    world.mem = &yo_mem_libc;
    options.handshakes_max = 20;
    options.connections_max = 1000;
    server_with(&options);
    yo_buf_init(&caller->packets, &yo_mem_libc);
    side_pair(&at_client, client, &at_server, server, true);
    talk();
    size_t calm = memory.bytes, said = 0;
    struct yo_endpoint_stats before = stats(server);
    for (uint32_t i = 0; i < FLOOD; i++) {
        size_t was = world.stray_bytes;
        size_t size = call(caller, 0x0a000000 + i);
        said += size;
        world_for(&world, YO_US);
        assert_true(world.stray_bytes - was <= 3 * size + 60000); /* others' retries */
        if (i % 100 == 0) {
            talk(); /* undisturbed */
        }
        assert_true(stats(server).handshakes_now <= 21);
        assert_true(stats(server).connections_now <= 22);
    }
    struct yo_endpoint_stats after = stats(server);
    assert_true(after.retries - before.retries >= FLOOD - 50);
    /* Some 100 KiB for each handshake that is let in, nothing for all the others. */
    assert_true(memory.bytes_peak < calm + 40 * (100 << 10));
    assert_true(world.stray_bytes <= 3 * said);
    world_for(&world, 20 * YO_SECOND); /* longer than a handshake, shorter than idle */
    assert_int_equal(stats(server).handshakes_now, 0);
    talk();
    side_init(&halves[0], &world);
    side_connect(&halves[0], world_client(&world, NULL), server, true);
    UNTIL(&world, server->request); /* and others come in again */
    yo_buf_finish(&caller->packets);
    free(caller);
    yo_endpoint_destroy(server->endpoint);
    server->endpoint = NULL;
    yo_endpoint_destroy(client->endpoint);
    client->endpoint = NULL;
    fault_assert_no_leak(&memory);
}

static void an_address_that_never_answers_gets_three_times_what_it_sent(void **state)
{
    struct caller *caller = calloc(1, sizeof(*caller));
    (void)state;
    yo_buf_init(&caller->packets, &yo_mem_libc);
    for (uint32_t i = 0; i < 10; i++) {
        size_t was = world.stray_bytes;
        size_t size = call(caller, 0x0a000000 + i);
        world_for(&world, 30 * YO_SECOND); /* with all that is sent again */
        assert_true(world.stray_bytes - was > size);
        assert_true(world.stray_bytes - was <= 3 * size);
    }
    assert_int_equal(stats(server).connections_now, 0);
    assert_int_equal(stats(server).handshakes_failed, 10);
    yo_buf_finish(&caller->packets);
    free(caller);
}

static void a_close_is_not_told_to_whoever_asks_with_little(void **state)
{
    struct yo_cid_map map;
    struct yo_stubs stubs;
    struct yo_cid_owner owner = {0};
    uint8_t close[100] = {0};
    (void)state;
    yo_cid_map_init(&map, &yo_mem_libc);
    yo_stubs_init(&stubs, &yo_mem_libc, &map);
    yo_list_init(&owner.ids);
    assert_int_equal(yo_cid_map_add(&map, &owner, yo_span_of("id")), YOMO_OK);
    yo_stubs_add(&stubs, &owner, yo_span(close, sizeof(close)), YO_SECOND);
    struct yo_stub *stub = (struct yo_stub *)yo_cid_map_find(&map, yo_span_of("id"));
    for (size_t size = 1; size < 34; size++) {
        assert_int_equal(yo_stub_packet(stub, size).size, 0);
    }
    assert_int_equal(yo_stub_packet(stub, 34).size, sizeof(close));
    yo_stubs_finish(&stubs);
    yo_cid_map_finish(&map);
}

static void answers_without_a_connection_are_smaller_than_their_cause(void **state)
{
    uint8_t packet[1200];
    struct yo_secrets secrets;
    struct yo_endpoint_options options = world_options(&world, true);
    (void)state;
    assert_int_equal(yo_secrets_init(&secrets, options.secret), YOMO_OK);
    for (size_t size = 1; size <= sizeof(packet); size++) {
        for (int kind = 0; kind < 3; kind++) {
            memset(packet, 'x', size);
            packet[0] = kind == 0 ? 0x40 : 0xc0; /* short; unknown version; Initial */
            if (kind > 0 && size > 6) {
                memset(packet + 1, kind == 1 ? 0xfa : 0, 4);
                packet[4] = kind == 1 ? 0xfa : 1;
                packet[5] = 16;
            }
            size_t at = kind == 0 ? 1 : 6;
            if (size >= at + YO_CID_SIZE) {
                assert_int_equal(yo_cid_make(&secrets, 0, packet + at), YOMO_OK);
            }
            yo_buf_clear(&client->last);
            world_inject(server, client, yo_span(packet, size));
            world_for(&world, 20 * YO_MS); /* resets have a rate */
            assert_true(client->last.size < size || client->last.size == 0);
        }
    }
    yo_secrets_finish(&secrets);
    assert_true(stats(server).stateless_resets > 100);
    assert_true(stats(server).version_negotiations > 0);
}

/* --- Forgeries -------------------------------------------------------------------- */

/* Version Negotiation (RFC 8999 6) as one who does not see the packets would guess it.
 */
static size_t forge_versions(uint8_t *out, uint32_t version)
{
    static const uint8_t head[] = {0x80, 0, 0, 0, 0, 0, 16};
    memcpy(out, head, sizeof(head));
    memset(out + 7, 'g', 16);
    for (int i = 0; i < 4; i++) {
        out[23 + i] = (uint8_t)(version >> (24 - 8 * i));
    }
    return 27;
}

/* Retry with a tag that is made up (RFC 9001 5.8). */
static size_t forge_retry(uint8_t *out, const ngtcp2_cid *dcid)
{
    static const uint8_t head[] = {0xf0, 0, 0, 0, 1, 0, 16};
    (void)dcid;
    memcpy(out, head, sizeof(head));
    memset(out + 7, 'g', 16);
    memset(out + 23, 't', 40 + 16);
    return 23 + 40 + 16;
}

static void forged_answers_do_not_keep_a_client_from_its_server(void **state)
{
    uint8_t packet[200];
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        server->cut = kind < 2; /* the forger is first */
        side_connect(&at_client, client, server, true);
        world_for(&world, YO_MS);
        for (int i = 0; i < 50; i++) {
            size_t size = kind % 2 == 0
                              ? forge_versions(packet, 0x0a0a0a0a + (unsigned)i)
                              : forge_retry(packet, NULL);
            world_inject(client, server, yo_span(packet, size));
        }
        world_for(&world, 5 * YO_MS);
        server->cut = false;
        UNTIL(&world, server->request);
        struct yo_response yes = {.status = 200, .extension = true};
        assert_true(side_accept(&at_server, server, &yes));
        UNTIL(&world, at_client.opened);
        talk();
        hang_up(&at_client, &at_server);
    }
}

static void a_server_answers_neither_versions_nor_retries(void **state)
{
    uint8_t packet[1200] = {0};
    (void)state;
    (void)forge_versions(packet, 1);
    world_inject(server, client, yo_span(packet, 27));
    world_inject(server, client, yo_span(packet, sizeof(packet)));
    (void)forge_retry(packet, NULL);
    world_inject(server, client, yo_span(packet, 79));
    world_inject(server, client, yo_span(packet, sizeof(packet)));
    world_for(&world, YO_SECOND);
    assert_int_equal(client->last.size, 0);
    assert_true(yo_endpoint_empty(server->endpoint));
}

static void a_forged_reset_ends_nothing(void **state)
{
    uint8_t packet[64];
    (void)state;
    side_pair(&at_client, client, &at_server, server, true);
    for (int i = 0; i < 1000; i++) {
        for (size_t at = 0; at < sizeof(packet); at++) {
            packet[at] = (uint8_t)yo_rand_next(&world.rand);
        }
        packet[0] = (uint8_t)(0x40 | (packet[0] & 0x3f));
        world_inject(client, server, yo_span(packet, sizeof(packet)));
    }
    world_for(&world, YO_SECOND);
    assert_int_equal(at_client.closed, 0);
    talk();
}

/* --- The path --------------------------------------------------------------------- */

static size_t datagram_max(struct side *side)
{
    struct yo_conn_info info;
    yo_conn_info(side->conn, &info);
    return info.datagram_size_max;
}

static void datagrams_grow_with_the_path(void **state)
{
    (void)state;
    side_pair(&at_client, client, &at_server, server, true);
    size_t first = datagram_max(&at_client);
    assert_in_range(first, 1000, 1200);
    UNTIL(&world, datagram_max(&at_client) > 1380 && datagram_max(&at_server) > 1380);
    uint8_t bytes[1452] = {0};
    size_t size = datagram_max(&at_client);
    assert_int_equal(side_send(&at_client, YO_LANE_DATAGRAM, bytes, size, 0), YOMO_OK);
    UNTIL(&world, at_server.heard[YO_LANE_DATAGRAM] == 1);
    assert_int_equal(side_send(&at_client, YO_LANE_DATAGRAM, bytes, size + 1, 0),
                     YOMO_ERR_TOO_BIG);
}

static void a_narrow_path_keeps_them_small_and_loses_nothing(void **state)
{
    uint32_t number = 0;
    (void)state;
    world.mtu = 1300;
    side_pair(&at_client, client, &at_server, server, true);
    for (int i = 0; i < 20; i++) {
        pour(&number, 20, 5000);
        world_for(&world, 100 * YO_MS);
        assert_true(datagram_max(&at_server) < 1300);
    }
    talk();
}

static void packets_carry_marks_and_their_echo_is_believed(void **state)
{
    (void)state;
    side_pair(&at_client, client, &at_server, server, true);
    for (int i = 0; i < 50; i++) {
        talk();
    }
    size_t marked = world.marked[2];
    assert_true(marked > 100); /* ECT(0), not only while it is tried out */
    assert_int_equal(world.marked[1] + world.marked[3], 0);
    for (int i = 0; i < 50; i++) {
        talk();
    }
    assert_true(world.marked[2] > marked + 80);
    client->outside.sin_port = htons(7777); /* another path, tried out anew */
    for (int i = 0; i < 50; i++) {
        talk();
    }
    marked = world.marked[2];
    for (int i = 0; i < 50; i++) {
        talk();
    }
    assert_true(world.marked[2] > marked + 80);
}

static void marks_that_are_taken_off_are_given_up(void **state)
{
    (void)state;
    world.marks = MARKS_CLEARED;
    side_pair(&at_client, client, &at_server, server, true);
    for (int i = 0; i < 30; i++) {
        talk();
    }
    size_t marked = world.marked[2];
    for (int i = 0; i < 50; i++) {
        talk();
    }
    assert_int_equal(world.marked[2], marked); /* RFC 9000 13.4.2 */
}

static void marks_of_congestion_slow_the_sender_down(void **state)
{
    uint64_t windows[2];
    (void)state;
    for (int i = 0; i < 2; i++) {
        uint32_t number = 0;
        side_pair(&at_client, client, &at_server, server, true);
        world_for(&world, YO_SECOND);
        pour(&number, 200, 1000);
        world.marks = i == 0 ? MARKS_KEPT : MARKS_CONGESTED;
        pour(&number, 800, 1000); /* several round trips, also of wide windows */
        windows[i] = info_of(server).cwnd;
        assert_int_equal(info_of(server).pkt_lost, 0);
        hang_up(&at_client, &at_server);
        world.marks = MARKS_KEPT;
    }
    assert_true(windows[1] < windows[0] / 2);
}

/* --- Congestion ------------------------------------------------------------------- */

static void everything_arrives_under_each_congestion_control(void **state)
{
    (void)state;
    for (int which = YO_CONGESTION_CUBIC; which <= YO_CONGESTION_BBR; which++) {
        struct yo_endpoint_options options = world_options(&world, true);
        struct yo_endpoint_options ours = world_options(&world, false);
        uint32_t number = 0;
        options.congestion = ours.congestion = (enum yo_congestion)which;
        server_with(&options);
        client = world_client(&world, &ours);
        world.loss = 20;
        side_pair(&at_client, client, &at_server, server, true);
        pour(&number, 300, 3000);
        for (uint32_t i = 0; i < 100; i++) {
            UNTIL(&world, side_send_numbered(&at_client, 3, i, 3000) == YOMO_OK);
        }
        UNTIL(&world, at_server.next[3] == 100);
        hang_up(&at_client, &at_server);
    }
}

/* As much as the server's queue takes, on lanes that have a window each. */
static void keep_full(uint32_t numbers[4])
{
    for (uint32_t lane = 0; lane < 4; lane++) {
        while (side_send_numbered(&at_server, 2 + lane, numbers[lane], 1000) ==
               YOMO_OK) {
            numbers[lane]++;
        }
    }
}

#define TURN (200 * YO_US)
#define ROUND_TRIP_TURNS 100 /* of 2 * world.delay */

/* How much of the window one loss leaves, in percent. */
static unsigned after_loss(enum yo_congestion which)
{
    struct yo_endpoint_options options = world_options(&world, true);
    uint32_t numbers[4] = {0};
    options.congestion = which;
    server_with(&options);
    server->queue_size_max = 128 << 10;
    side_pair(&at_client, client, &at_server, server, true);
    at_client.unchecked = true;
    world_for(&world, YO_SECOND);
    for (unsigned turn = 0; info_of(server).cwnd < 60000; turn++) {
        assert_true(turn < 100 * ROUND_TRIP_TURNS);
        keep_full(numbers);
        world_for(&world, TURN);
    }
    uint64_t before = info_of(server).cwnd;
    /* What leaves in one turn is lost; and again, if nobody misses it: it may have been
     * nothing but an acknowledgement. */
    for (unsigned turn = 0; info_of(server).pkt_lost == 0; turn++) {
        size_t sent = server->sent;
        assert_true(turn < 10 * ROUND_TRIP_TURNS);
        before = info_of(server).cwnd;
        world.loss = turn % (3 * ROUND_TRIP_TURNS) == 0 ? 1000 : 0;
        do {
            keep_full(numbers);
            world_for(&world, TURN);
        } while (world.loss > 0 && server->sent == sent);
        world.loss = 0;
    }
    uint64_t after = info_of(server).ssthresh;
    hang_up(&at_client, &at_server);
    return (unsigned)(after * 100 / before);
}

/* Now and then the losses of one turn are found in two round trips, and count twice. */
static void check_loss(enum yo_congestion which, unsigned percent)
{
    unsigned after = 0;
    for (int i = 0; i < 4 && (after + 5 < percent || after > percent + 5); i++) {
        after = after_loss(which);
    }
    assert_in_range(after, percent - 5, percent + 5);
}

static void the_congestion_control_is_the_one_that_was_asked_for(void **state)
{
    (void)state;
    check_loss(YO_CONGESTION_CUBIC, 70); /* RFC 9438 4.6 */
    check_loss(YO_CONGESTION_RENO, 50);  /* RFC 9002 7.3.2 */
}

/* --- Keys ------------------------------------------------------------------------- */

static void change_keys(uint64_t ours, uint64_t theirs)
{
    struct yo_endpoint_options options = world_options(&world, true);
    struct yo_endpoint_options clients = world_options(&world, false);
    uint32_t number = 0;
    options.key_update_packets = theirs;
    clients.key_update_packets = ours;
    server_with(&options);
    client = world_client(&world, &clients);
    world.loss = 10;
    side_pair(&at_client, client, &at_server, server, true);
    /* Between two of them are three probe timeouts (RFC 9001 6.5), with what
     * acknowledgements may be put off in each. */
    yo_time until = world.now + 30 * YO_SECOND;
    while (stats(server).key_updates < 3 || stats(client).key_updates < 3) {
        assert_true(world.now < until);
        pour(&number, 80, 2000);
        talk();
    }
    assert_int_equal(at_client.closed + at_server.closed, 0);
    hang_up(&at_client, &at_server);
}

static void keys_change_whoever_begins_it(void **state)
{
    (void)state;
    change_keys(50, 0);
    change_keys(0, 50);
    change_keys(50, 50);
    change_keys(1, 1); /* as often as RFC 9001 6.1 allows */
}

static void keys_stay_if_nobody_asks(void **state)
{
    uint32_t number = 0;
    (void)state;
    side_pair(&at_client, client, &at_server, server, true);
    pour(&number, 200, 2000);
    assert_int_equal(stats(server).key_updates + stats(client).key_updates, 0);
}

/* --- Silence ---------------------------------------------------------------------- */

static struct yo_endpoint_options idle_options(bool is_server, yo_time idle,
                                               yo_time keepalive)
{
    struct yo_endpoint_options options = world_options(&world, is_server);
    options.idle = idle;
    options.keepalive = keepalive;
    return options;
}

/* Does an idle connection stand after a minute? Else: when did it end, in seconds. */
static unsigned ends_after(yo_time server_idle, yo_time server_alive,
                           yo_time client_idle, yo_time client_alive)
{
    struct yo_endpoint_options theirs = idle_options(true, server_idle, server_alive);
    struct yo_endpoint_options ours = idle_options(false, client_idle, client_alive);
    server_with(&theirs);
    client = world_client(&world, &ours);
    side_pair(&at_client, client, &at_server, server, true);
    world_for(&world, 10 * YO_MS);
    yo_time start = world.now;
    while (!at_client.closed && world.now < start + 60 * YO_SECOND) {
        world_for(&world, 100 * YO_MS);
    }
    unsigned seconds = 0;
    if (at_client.closed) {
        seconds = (unsigned)((world.now - start + YO_SECOND / 2) / YO_SECOND);
        UNTIL(&world, at_server.closed);
        side_finish(&at_client), side_finish(&at_server);
        side_init(&at_client, &world), side_init(&at_server, &world);
    } else {
        hang_up(&at_client, &at_server);
    }
    return seconds;
}

static void either_side_keeps_an_idle_connection_alive(void **state)
{
    yo_time s = YO_SECOND;
    (void)state;
    assert_in_range(ends_after(30 * s, 0, 10 * s, 0), 9,
                    11); /* the smaller one counts */
    assert_in_range(ends_after(5 * s, 0, 30 * s, 0), 4, 6);
    assert_int_equal(ends_after(5 * s, 2 * s, 30 * s, 0), 0);
    assert_int_equal(ends_after(30 * s, 0, 5 * s, 2 * s), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_client_that_comes_again_resumes_its_session),
        TEST(nothing_is_sent_before_the_handshake),
        TEST(another_server_is_not_told_of_the_session),
        TEST(a_token_of_the_last_visit_spares_the_retry),
        TEST(a_token_outlives_a_restart_but_not_its_hour),
        TEST(a_flood_of_hellos_from_everywhere_is_bounded),
        TEST(an_address_that_never_answers_gets_three_times_what_it_sent),
        TEST(a_close_is_not_told_to_whoever_asks_with_little),
        TEST(answers_without_a_connection_are_smaller_than_their_cause),
        TEST(forged_answers_do_not_keep_a_client_from_its_server),
        TEST(a_server_answers_neither_versions_nor_retries),
        TEST(a_forged_reset_ends_nothing),
        TEST(datagrams_grow_with_the_path),
        TEST(a_narrow_path_keeps_them_small_and_loses_nothing),
        TEST(packets_carry_marks_and_their_echo_is_believed),
        TEST(marks_that_are_taken_off_are_given_up),
        TEST(marks_of_congestion_slow_the_sender_down),
        TEST(everything_arrives_under_each_congestion_control),
        TEST(the_congestion_control_is_the_one_that_was_asked_for),
        TEST(keys_change_whoever_begins_it),
        TEST(keys_stay_if_nobody_asks),
        TEST(either_side_keeps_an_idle_connection_alive),
    };
    return cmocka_run_group_tests(tests, world_begin_tls, world_end_tls);
}
