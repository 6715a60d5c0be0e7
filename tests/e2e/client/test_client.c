/* SPDX-License-Identifier: MIT */
/* Clients and a backend in one program, over real sockets on loopback: every transport,
 * every way to run, the race, coming back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>
#include <yomo/client.h>
#include <yomo/error.h>
#include <yomo/server.h>

#include "member.h"
#include "wall.h"

static char state_dir[] = "/tmp/yomo-e2e-XXXXXX";

static yomo_server *begin_server(const char *port)
{
    yomo_options *options;
    yomo_server *server;
    assert_int_equal(yomo_options_create(&options, YOMO_SCOPE_SERVER), YOMO_OK);
    assert_int_equal(yomo_options_set(options, "port", port), YOMO_OK);
    assert_int_equal(yomo_options_set(options, "http-port", "0"), YOMO_OK);
    assert_int_equal(yomo_options_set(options, "state-dir", state_dir), YOMO_OK);
    assert_int_equal(yomo_options_set(options, "workers", "2"), YOMO_OK);
    assert_int_equal(yomo_server_create(&server, options, NULL, NULL), YOMO_OK);
    yomo_options_free(options);
    int32_t rv = yomo_server_listen(server);
    if (rv != YOMO_OK) {
        fail_msg("listen: %s", yomo_server_error(server));
    }
    return server;
}

static void begin_member(struct member *member, yomo_server *server, const char *id,
                         const char *transport)
{
    member_begin(member, yomo_server_port(server), state_dir, id, transport);
}

/* Two members in one room hear each other and see each other come and go. */
static void talk(yomo_server *server, const char *transport, int32_t kind)
{
    struct member a, b;
    begin_member(&a, server, "alice", transport);
    begin_member(&b, server, "bob", transport);
    member_join(&a, "room", "{\"n\":1}");
    MEMBER_UNTIL(&a, a.joined == 1);
    assert_int_equal(yomo_client_transport(a.client), kind);
    member_join(&b, "room", "{\"n\":2}");
    member_until2(&a, &b, &b.joined, 1);
    assert_int_equal(b.present, 1);
    member_until2(&a, &b, &a.came, 1);
    for (int32_t delivery = YOMO_RELIABLE; delivery <= YOMO_LATEST; delivery++) {
        assert_int_equal(yomo_room_broadcast(a.room, "e", "{\"x\":1}", delivery),
                         YOMO_OK);
        member_until2(&a, &b, &b.messages, delivery + 1);
    }
    assert_string_equal(b.last, "{\"x\":1}");
    assert_string_equal(b.from, "alice");
    assert_int_equal(yomo_room_set_state(b.room, "{\"n\":3}"), YOMO_OK);
    member_until2(&a, &b, &a.states, 1);
    member_end(&b);
    MEMBER_UNTIL(&a, a.went == 1);
    member_end(&a);
    assert_int_equal(a.closed, 1);
}

static void over_websocket(void **state)
{
    talk(*state, "websocket", YOMO_TRANSPORT_WEBSOCKET);
}

static void over_webtransport(void **state)
{
    talk(*state, "webtransport", YOMO_TRANSPORT_WEBTRANSPORT);
}

static void the_race_is_won_by_webtransport_where_udp_works(void **state)
{
    talk(*state, "auto", YOMO_TRANSPORT_WEBTRANSPORT);
}

static void a_numbered_message_is_confirmed(void **state)
{
    struct member a;
    uint64_t id;
    begin_member(&a, *state, "alice", "websocket");
    member_join(&a, "room", NULL);
    MEMBER_UNTIL(&a, a.joined == 1);
    assert_int_equal(
        yomo_room_send(a.room, "e", "1", 1, YOMO_JSON, YOMO_RELIABLE, NULL, &id),
        YOMO_OK);
    MEMBER_UNTIL(&a, a.sent == 1);
    assert_int_equal(a.sent_error, YOMO_OK);
    member_end(&a);
}

/* What `yomo pub` does: everything is asked for at once, then closed. */
static void send_and_close(yomo_server *server, const char *transport)
{
    struct member a, b;
    begin_member(&b, server, "bob", transport);
    member_join(&b, "room", NULL);
    MEMBER_UNTIL(&b, b.joined == 1);
    begin_member(&a, server, "alice", transport);
    member_join(&a, "room", NULL);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(yomo_room_broadcast(a.room, "e", "1", YOMO_RELIABLE), YOMO_OK);
    }
    yomo_client_close(a.client);
    member_until2(&a, &b, &a.closed, 1);
    MEMBER_UNTIL(&b, b.messages == 100);
    member_end(&a);
    member_end(&b);
}

static void what_was_sent_before_close_arrives_over_websocket(void **state)
{
    send_and_close(*state, "websocket");
}

static void what_was_sent_before_close_arrives_over_webtransport(void **state)
{
    send_and_close(*state, "webtransport");
}

static void send_and_leave(yomo_server *server, const char *transport)
{
    struct member a, b;
    begin_member(&b, server, "bob", transport);
    member_join(&b, "room", NULL);
    MEMBER_UNTIL(&b, b.joined == 1);
    begin_member(&a, server, "alice", transport);
    member_join(&a, "room", NULL);
    MEMBER_UNTIL(&a, a.joined == 1);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(yomo_room_broadcast(a.room, "e", "1", YOMO_RELIABLE), YOMO_OK);
    }
    yomo_room_leave(a.room);
    member_until2(&a, &b, &a.left, 1);
    member_until2(&a, &b, &b.messages, 100);
    member_end(&a);
    member_end(&b);
}

static void what_was_sent_before_leaving_arrives_over_websocket(void **state)
{
    send_and_leave(*state, "websocket");
}

static void what_was_sent_before_leaving_arrives_over_webtransport(void **state)
{
    send_and_leave(*state, "webtransport");
}

static void restart(const char *transport)
{
    struct member a, b;
    char port[16];
    yomo_server *server = begin_server("0");
    snprintf(port, sizeof(port), "%u", (unsigned)yomo_server_port(server));
    begin_member(&a, server, "alice", transport);
    begin_member(&b, server, "bob", transport);
    member_join(&a, "room", NULL);
    member_join(&b, "room", NULL);
    member_until2(&a, &b, &a.joined, 1);
    member_until2(&a, &b, &b.joined, 1);
    yomo_server_free(server);
    member_until2(&a, &b, &a.waits, 1);
    server = begin_server(port);
    member_until2(&a, &b, &a.joined, 2);
    member_until2(&a, &b, &b.joined, 2);
    assert_int_equal(yomo_room_broadcast(a.room, "e", "1", YOMO_RELIABLE), YOMO_OK);
    member_until2(&a, &b, &b.messages, 1);
    member_end(&a);
    member_end(&b);
    yomo_server_free(server);
}

static void a_restarted_server_is_found_again_over_websocket(void **state)
{
    (void)state;
    restart("websocket");
}

static void a_restarted_server_is_found_again_over_webtransport(void **state)
{
    (void)state;
    restart("webtransport");
}

static void a_restarted_server_is_found_again_over_either(void **state)
{
    (void)state;
    restart("auto");
}

static void a_server_that_drains_is_left(void **state)
{
    static const char *const transports[] = {"websocket", "webtransport"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct member a;
        yomo_server *server = begin_server("0");
        begin_member(&a, server, "alice", transports[i]);
        member_join(&a, "room", NULL);
        MEMBER_UNTIL(&a, a.joined == 1);
        yomo_server_drain(server, 5000);
        MEMBER_UNTIL(&a, a.waits == 1);
        assert_int_equal(a.error, YOMO_ERR_DRAINING);
        assert_int_equal(a.left, 0); /* it means to come back */
        member_end(&a);
        yomo_server_free(server);
    }
}

/* The host gives a polled client back: its end is told inside the call, the others hear
 * of it, and nothing is waited for. */
static void giving_a_polled_client_back_takes_no_time(void **state)
{
    static const char *const transports[] = {"websocket", "webtransport"};
    for (size_t i = 0; i < 2; i++) {
        struct member a, b;
        begin_member(&a, *state, "alice", transports[i]);
        begin_member(&b, *state, "bob", transports[i]);
        member_join(&a, "room", NULL);
        member_join(&b, "room", NULL);
        member_until2(&a, &b, &a.joined, 1);
        member_until2(&a, &b, &b.joined, 1);
        MEMBER_UNTIL(&b, b.present + b.came > 0); /* else it might never hear of alice */
        uint64_t before = member_clock_ms();
        yomo_client_free(a.client);
        assert_true(member_clock_ms() - before < 900);
        assert_int_equal(a.closed, 1);
        assert_int_equal(a.left, 1);
        MEMBER_UNTIL(&b, b.went == 1);
        assert_true(member_clock_ms() - before < 5000); /* not after 15 s of silence */
        member_end(&b);
    }
}

static void a_server_that_is_not_there_is_unreachable(void **state)
{
    struct member a;
    (void)state;
    yomo_server *server = begin_server("0");
    uint16_t port = yomo_server_port(server);
    yomo_server_free(server);
    member_begin(&a, port, state_dir, "alice", "auto");
    member_join(&a, "room", NULL);
    MEMBER_UNTIL(&a, a.waits == 2);
    assert_int_equal(a.error, YOMO_ERR_UNREACHABLE);
    member_end(&a);
    assert_int_equal(a.left, 1);
}

/* The first attempt waits for WebTransport a moment; the next one knows better. */
static void where_udp_vanishes_websocket_wins(void **state)
{
    struct wall wall;
    uint64_t took[2];
    wall_begin(&wall, yomo_server_port(*state));
    for (int i = 0; i < 2; i++) {
        struct member a;
        uint64_t before = member_clock_ms();
        member_begin_at(&a, "127.0.0.1", wall.port, state_dir, "alice", "auto");
        member_join(&a, "room", NULL);
        MEMBER_UNTIL(&a, a.joined == 1);
        took[i] = member_clock_ms() - before;
        assert_int_equal(yomo_client_transport(a.client), YOMO_TRANSPORT_WEBSOCKET);
        member_end(&a);
    }
    assert_true(took[0] >= 250);
    assert_true(took[1] < took[0]);
    wall_end(&wall);
}

static void a_certificate_that_nobody_vouches_for_is_refused(void **state)
{
    struct member a;
    member_begin(&a, yomo_server_port(*state), "/nonexistent", "alice", "auto");
    member_join(&a, "room", NULL);
    MEMBER_UNTIL(&a, a.waits == 1);
    assert_int_equal(a.error, YOMO_ERR_CERT);
    member_end(&a);
}

static void in_the_loop_of_the_host_and_on_a_thread(void **state)
{
    struct member a, b;
    uv_loop_t loop;
    assert_int_equal(uv_loop_init(&loop), 0);
    begin_member(&a, *state, "alice", "auto");
    begin_member(&b, *state, "bob", "auto");
    assert_int_equal(yomo_client_start_on(a.client, &loop), YOMO_OK);
    assert_int_equal(yomo_client_start(b.client), YOMO_OK);
    a.driven = b.driven = true;
    member_join(&b, "room", NULL);
    member_join(&a, "room", NULL);
    while (!a.joined || a.present + a.came == 0) {
        uv_run(&loop, UV_RUN_ONCE);
    }
    for (int i = 0; i < 100; i++) {
        assert_int_equal(yomo_room_broadcast(b.room, "e", "1", YOMO_RELIABLE), YOMO_OK);
    }
    while (a.messages < 100) {
        uv_run(&loop, UV_RUN_ONCE);
    }
    yomo_client_free(b.client);
    while (a.went == 0) {
        uv_run(&loop, UV_RUN_ONCE);
    }
    yomo_client_free(a.client);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(a.closed, 1);
    assert_int_equal(uv_loop_close(&loop), 0);
    member_wait_closed(&b);
}

static int begin_all(void **state)
{
    if (!mkdtemp(state_dir)) {
        return 1;
    }
    *state = begin_server("0");
    return 0;
}

static int end_all(void **state)
{
    yomo_server_free(*state);
    DIR *dir = opendir(state_dir);
    const struct dirent *entry;
    while (dir && (entry = readdir(dir)) != NULL) {
        char path[512];
        snprintf(path, sizeof(path), "%s/%s", state_dir, entry->d_name);
        unlink(path); /* "." and ".." stay */
    }
    closedir(dir);
    return rmdir(state_dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(over_websocket),
        cmocka_unit_test(over_webtransport),
        cmocka_unit_test(the_race_is_won_by_webtransport_where_udp_works),
        cmocka_unit_test(a_numbered_message_is_confirmed),
        cmocka_unit_test(what_was_sent_before_close_arrives_over_websocket),
        cmocka_unit_test(what_was_sent_before_close_arrives_over_webtransport),
        cmocka_unit_test(what_was_sent_before_leaving_arrives_over_websocket),
        cmocka_unit_test(what_was_sent_before_leaving_arrives_over_webtransport),
        cmocka_unit_test(a_restarted_server_is_found_again_over_websocket),
        cmocka_unit_test(a_restarted_server_is_found_again_over_webtransport),
        cmocka_unit_test(a_restarted_server_is_found_again_over_either),
        cmocka_unit_test(a_server_that_drains_is_left),
        cmocka_unit_test(giving_a_polled_client_back_takes_no_time),
        cmocka_unit_test(a_server_that_is_not_there_is_unreachable),
        cmocka_unit_test(where_udp_vanishes_websocket_wins),
        cmocka_unit_test(a_certificate_that_nobody_vouches_for_is_refused),
        cmocka_unit_test(in_the_loop_of_the_host_and_on_a_thread),
    };
    return cmocka_run_group_tests_name("e2e/client", tests, begin_all, end_all);
}
