/* SPDX-License-Identifier: MIT */
#include "contract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/until.h"

static const struct contract *contract;
static bool calling; /* inside a call to the transport: no callback may come */

/* --- What happens to an end ------------------------------------------------------- */

static void on_open(void *user, struct yo_conn *conn, yo_time now)
{
    struct contract_end *end = user;
    (void)now;
    assert_false(calling);
    assert_int_equal(end->closed, 0);
    assert_ptr_equal(conn, end->conn);
    end->opened++;
}

static void on_message(void *user, struct yo_conn *conn, uint32_t lane,
                       struct yo_span message, yo_time now)
{
    struct contract_end *end = user;
    (void)now;
    assert_false(calling);
    assert_int_equal(end->closed, 0);
    assert_ptr_equal(conn, end->conn);
    assert_true(lane < CONTRACT_KINDS);
    end->messages[lane]++;
    end->bytes += message.size;
    if (end->on_message) {
        end->on_message(end, message);
    } else {
        assert_int_equal(yo_buf_append_span(&end->heard[lane], message), YOMO_OK);
    }
}

static void on_writable(void *user, struct yo_conn *conn, yo_time now)
{
    struct contract_end *end = user;
    (void)conn;
    (void)now;
    assert_false(calling);
    assert_int_equal(end->closed, 0);
    end->writable++;
    if (end->on_writable) {
        end->on_writable(end);
    }
}

static void on_fate(void *user, struct yo_conn *conn, uint64_t token, enum yo_fate fate,
                    yo_time now)
{
    struct contract_end *end = user;
    (void)conn;
    (void)now;
    assert_false(calling);
    assert_int_equal(end->closed, 0);
    assert_true(token > 0 && token < 64);
    assert_true((end->fates & UINT64_C(1) << token) == 0); /* once for each */
    end->fates |= UINT64_C(1) << token;
    end->acked += fate == YO_FATE_ACKED;
    end->lost += fate == YO_FATE_LOST;
}

static void on_closed(void *user, struct yo_conn *conn, const struct yo_close *why,
                      yo_time now)
{
    struct contract_end *end = user;
    (void)now;
    assert_false(calling);
    assert_ptr_equal(conn, end->conn);
    assert_int_equal(end->closed, 0);
    end->closed++;
    end->why = *why;
    assert_true(why->text.size < sizeof(end->text));
    if (why->text.size > 0) {
        memcpy(end->text, why->text.data, why->text.size);
    }
    end->text[why->text.size] = 0;
    if (end->on_closed) {
        end->on_closed(end);
    }
    end->conn = NULL;
}

const struct yo_conn_events contract_events = {on_open, on_message, on_writable,
                                               on_fate, on_closed};

/* --- Calls, during which no callback may come ------------------------------------- */

static int send_blob(struct contract_end *end, uint32_t lane, struct yo_blob *blob,
                     uint64_t token)
{
    bool before = calling;
    calling = true;
    int rv = yo_conn_send(end->conn, lane, blob, token);
    calling = before;
    return rv;
}

static int send_span(struct contract_end *end, uint32_t lane, struct yo_span span)
{
    struct yo_blob *blob = yo_blob_create(&yo_mem_libc, span);
    assert_non_null(blob);
    int rv = send_blob(end, lane, blob, 0);
    yo_blob_unref(blob);
    return rv;
}

static int send_text(struct contract_end *end, uint32_t lane, const char *text)
{
    return send_span(end, lane, yo_span_of(text));
}

static void close_end(struct contract_end *end, enum yo_close_kind kind, uint32_t code,
                      const char *text)
{
    struct yo_close how = {.kind = kind,
                           .error = yo_close_error_of(code),
                           .code = code,
                           .text = yo_span_of(text)};
    bool before = calling;
    calling = true;
    yo_conn_close(end->conn, &how);
    calling = before;
}

static void abort_end(struct contract_end *end)
{
    bool before = calling;
    calling = true;
    yo_conn_abort(end->conn);
    calling = before;
}

/* --- The world -------------------------------------------------------------------- */

void contract_turn(struct contract_world *world)
{
    /* Two loops: neither may sleep for long, since the other one has to be turned. */
    bool two = world->loops[1] != world->loops[0];
    until_turn(world->loops[0], two ? 1 : 20);
    if (two) {
        until_turn(world->loops[1], 1);
    }
}

static void init_end(struct contract_end *end, struct yo_loop *loop)
{
    memset(end, 0, sizeof(*end));
    end->loop = loop;
    for (int i = 0; i < CONTRACT_KINDS; i++) {
        yo_buf_init(&end->heard[i], &yo_mem_libc);
    }
}

static struct contract_world world;

static void begin(uint64_t silence_ms)
{
    memset(&world, 0, sizeof(world));
    world.silence_ms = silence_ms;
    calling = false;
    contract->start(&world);
    init_end(&world.server, world.loops[0]);
    init_end(&world.client, world.loops[1]);
    contract->connect(&world);
    assert_non_null(world.server.conn);
    assert_non_null(world.client.conn);
    assert_int_equal(world.client.opened, 1);
    assert_int_equal(world.server.opened, 0); /* accepted ones are born open */
}

static int setup(void **state)
{
    (void)state;
    begin(10000);
    return 0;
}

static void finish_end(struct contract_end *end)
{
    if (end->conn) {
        abort_end(end);
    }
    CONTRACT_UNTIL(&world, end->closed == 1);
    for (int i = 0; i < CONTRACT_KINDS; i++) {
        yo_buf_finish(&end->heard[i]);
    }
}

static int teardown(void **state)
{
    (void)state;
    finish_end(&world.client);
    finish_end(&world.server);
    contract->stop(&world);
    until_closed(world.loops[0]);
    if (world.loops[1] != world.loops[0]) {
        until_closed(world.loops[1]);
    }
    assert_int_equal(world.client.closed, 1);
    assert_int_equal(world.server.closed, 1);
    return 0;
}

static size_t heard(const struct contract_end *end)
{
    return end->messages[0] + end->messages[1] + end->messages[2];
}

/* --- Promise 1: whole messages, in order ------------------------------------------ */

struct numbered {
    uint32_t lane, number, size;
};

static struct yo_blob *numbered_blob(uint32_t lane, uint32_t number, size_t size)
{
    struct numbered head = {lane, number, (uint32_t)size};
    struct yo_blob *blob = yo_blob_alloc(&yo_mem_libc, size);
    assert_non_null(blob);
    for (size_t i = 0; i < size; i++) {
        blob->data[i] = (uint8_t)(i * 7 + number * 13 + lane);
    }
    memcpy(blob->data, &head, sizeof(head));
    return blob;
}

static void check_numbered(struct contract_end *end, struct yo_span message)
{
    struct numbered head;
    assert_true(message.size >= sizeof(head));
    memcpy(&head, message.data, sizeof(head));
    assert_int_equal(head.size, message.size);
    assert_true(head.lane < 8);
    assert_int_equal(head.number, end->expect_seq[head.lane]++);
    for (size_t i = sizeof(head); i < message.size; i++) {
        if (message.data[i] != (uint8_t)(i * 7 + head.number * 13 + head.lane)) {
            fail_msg("byte %zu of message %u is wrong", i, head.number);
        }
    }
}

static void send_numbered(struct contract_end *end, uint32_t lane, uint32_t number,
                          size_t size)
{
    struct yo_blob *blob = numbered_blob(lane, number, size);
    int rv;
    while ((rv = send_blob(end, lane, blob, 0)) == YOMO_ERR_AGAIN) {
        contract_turn(&world);
    }
    assert_int_equal(rv, YOMO_OK);
    yo_blob_unref(blob);
}

static void messages_arrive_whole_and_each_lane_in_its_order(void **state)
{
    enum { COUNT = 300, LANES = 4 };
    (void)state;
    world.client.on_message = world.server.on_message = check_numbered;
    srand(1);
    for (uint32_t i = 0; i < COUNT; i++) {
        for (uint32_t lane = YO_LANE_CONTROL; lane < YO_LANE_CONTROL + LANES; lane++) {
            size_t size =
                sizeof(struct numbered) + (size_t)(rand() % (i % 10 ? 300 : 30000));
            send_numbered(&world.client, lane, i, size);
            send_numbered(&world.server, lane, i, size);
        }
        if (i % 16 == 0) {
            contract_turn(&world);
        }
    }
    CONTRACT_UNTIL(&world, heard(&world.client) == COUNT * LANES);
    CONTRACT_UNTIL(&world, heard(&world.server) == COUNT * LANES);
    CONTRACT_UNTIL(&world, yo_conn_queued(world.client.conn) == 0);
    CONTRACT_UNTIL(&world, yo_conn_queued(world.server.conn) == 0);
}

static void large_messages_arrive_on_every_reliable_lane(void **state)
{
    (void)state;
    world.client.on_message = world.server.on_message = check_numbered;
    for (uint32_t lane = YO_LANE_CONTROL; lane <= YO_LANE_ROOMS + 1; lane++) {
        send_numbered(&world.client, lane, 0, CONTRACT_MESSAGE_MAX);
        send_numbered(&world.server, lane, 0, CONTRACT_MESSAGE_MAX);
    }
    CONTRACT_UNTIL(&world, heard(&world.client) == 3);
    CONTRACT_UNTIL(&world, heard(&world.server) == 3);
    assert_int_equal(world.client.bytes, 3 * CONTRACT_MESSAGE_MAX);
}

static void messages_of_every_size_keep_their_borders(void **state)
{
    (void)state;
    static const size_t sizes[] = {12,    63,    64,    125,   126,   127,   1199,
                                   1200,  1350,  4095,  4096,  4097,  16383, 16384,
                                   16385, 65535, 65536, 65537, 262144};
    world.server.on_message = check_numbered;
    for (uint32_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        send_numbered(&world.client, YO_LANE_CONTROL, i, sizes[i]);
    }
    CONTRACT_UNTIL(&world, heard(&world.server) == sizeof(sizes) / sizeof(*sizes));
}

static void a_lane_that_has_ended_does_not_hold_up_the_others(void **state)
{
    (void)state;
    world.server.on_message = check_numbered;
    send_numbered(&world.client, 3, 0, 5000);
    send_numbered(&world.client, 4, 0, 5000);
    calling = true;
    yo_conn_end_lane(world.client.conn, 3);
    yo_conn_end_lane(world.client.conn, 5); /* never used */
    calling = false;
    send_numbered(&world.client, 4, 1, 5000);
    send_numbered(&world.client, YO_LANE_CONTROL, 0, 5000);
    CONTRACT_UNTIL(&world, heard(&world.server) == 4);
}

static void small_datagrams_arrive_and_tell_their_fate(void **state)
{
    (void)state;
    struct yo_conn_info info;
    yo_conn_info(world.client.conn, &info);
    assert_true(info.datagram_size_max >= 1000);
    struct yo_blob *blob = yo_blob_create(&yo_mem_libc, yo_span_of("datagram"));
    size_t taken = 0;
    for (uint64_t token = 1; token <= 10; token++) {
        taken += send_blob(&world.client, YO_LANE_DATAGRAM, blob, token) == YOMO_OK;
    }
    assert_true(taken > 0);
    yo_blob_unref(blob);
    CONTRACT_UNTIL(&world, heard(&world.server) > 0);
    if (info.datagrams) {
        CONTRACT_UNTIL(&world, world.client.acked + world.client.lost == taken);
        assert_true(world.client.acked > 0);
        assert_int_equal(world.server.messages[YO_LANE_DATAGRAM], heard(&world.server));
    } else {
        CONTRACT_UNTIL(&world, heard(&world.server) == taken);
    }
}

static void a_datagram_that_can_never_fit_is_too_big(void **state)
{
    (void)state;
    struct yo_conn_info info;
    yo_conn_info(world.client.conn, &info);
    struct yo_blob *blob = numbered_blob(0, 0, CONTRACT_MESSAGE_MAX + 1);
    assert_int_equal(send_blob(&world.client, YO_LANE_DATAGRAM, blob, 0),
                     YOMO_ERR_TOO_BIG);
    assert_int_equal(atomic_load(&blob->refs), 1);
    yo_blob_unref(blob);
}

/* --- Promise 3: references -------------------------------------------------------- */

static void send_takes_a_reference_and_gives_it_back(void **state)
{
    (void)state;
    struct yo_blob *blob = numbered_blob(YO_LANE_CONTROL, 0, 1000);
    assert_int_equal(send_blob(&world.client, YO_LANE_CONTROL, blob, 0), YOMO_OK);
    assert_int_equal(send_blob(&world.server, YO_LANE_CONTROL, blob, 0), YOMO_OK);
    assert_true(atomic_load(&blob->refs) > 1);
    CONTRACT_UNTIL(&world, heard(&world.client) == 1);
    CONTRACT_UNTIL(&world, heard(&world.server) == 1);
    CONTRACT_UNTIL(&world, atomic_load(&blob->refs) == 1);
    yo_blob_unref(blob);
}

static void a_connection_that_ends_gives_back_what_it_had_queued(void **state)
{
    (void)state;
    struct yo_blob *blob = numbered_blob(YO_LANE_CONTROL, 0, 10000);
    for (int i = 0; i < 20; i++) {
        (void)send_blob(&world.client, YO_LANE_CONTROL, blob, 0);
        (void)send_blob(&world.client, YO_LANE_ROOMS, blob, 0);
    }
    abort_end(&world.client);
    CONTRACT_UNTIL(&world, world.client.closed && world.server.closed);
    CONTRACT_UNTIL(&world, atomic_load(&blob->refs) == 1);
    yo_blob_unref(blob);
}

static void what_is_too_big_is_said_at_once_and_not_kept(void **state)
{
    (void)state;
    struct yo_blob *blob = numbered_blob(YO_LANE_CONTROL, 0, CONTRACT_MESSAGE_MAX + 1);
    for (uint32_t lane = YO_LANE_CONTROL; lane <= YO_LANE_ROOMS; lane++) {
        assert_int_equal(send_blob(&world.client, lane, blob, 0), YOMO_ERR_TOO_BIG);
        assert_int_equal(send_blob(&world.server, lane, blob, 0), YOMO_ERR_TOO_BIG);
    }
    assert_int_equal(atomic_load(&blob->refs), 1);
    yo_blob_unref(blob);
    send_text(&world.client, YO_LANE_CONTROL, "fine"); /* and nothing else happens */
    CONTRACT_UNTIL(&world, heard(&world.server) == 1);
}

/* --- Promise 4: what does not fit now --------------------------------------------- */

static void fill(struct contract_end *end, uint32_t lane, uint32_t *number)
{
    int rv;
    do {
        struct yo_blob *blob = numbered_blob(lane, *number, 20000);
        rv = send_blob(end, lane, blob, 0);
        *number += rv == YOMO_OK;
        assert_true(rv == YOMO_OK || rv == YOMO_ERR_AGAIN);
        if (rv == YOMO_ERR_AGAIN) {
            assert_int_equal(atomic_load(&blob->refs), 1);
        }
        yo_blob_unref(blob);
        assert_true(yo_conn_queued(end->conn) < 4 * CONTRACT_QUEUE_MAX);
        assert_true(*number < 100000);
    } while (rv == YOMO_OK);
}

static void a_full_queue_says_so_and_on_writable_follows(void **state)
{
    (void)state;
    uint32_t to_server = 0, to_client = 0;
    world.client.on_message = world.server.on_message = check_numbered;
    for (int round = 1; round <= 3; round++) {
        int client_before = world.client.writable,
            server_before = world.server.writable;
        fill(&world.client, YO_LANE_CONTROL, &to_server);
        fill(&world.server, YO_LANE_ROOMS, &to_client);
        assert_true(yo_conn_queued(world.client.conn) > 0);
        CONTRACT_UNTIL(&world, world.client.writable > client_before);
        CONTRACT_UNTIL(&world, world.server.writable > server_before);
    }
    CONTRACT_UNTIL(&world, heard(&world.server) == to_server);
    CONTRACT_UNTIL(&world, heard(&world.client) == to_client);
    assert_true(to_server > 3);
}

static uint32_t refilled;

static void refill(struct contract_end *end)
{
    if (refilled < 400) {
        fill(end, YO_LANE_CONTROL, &refilled);
    }
}

static void sending_from_on_writable_keeps_the_queue_full(void **state)
{
    (void)state;
    refilled = 0;
    world.server.on_message = check_numbered;
    world.client.on_writable = refill;
    refill(&world.client);
    CONTRACT_UNTIL(&world, refilled >= 400 && heard(&world.server) == refilled);
}

/* --- Promise 5: the end ----------------------------------------------------------- */

static void expect_close(struct contract_end *from, struct contract_end *to,
                         uint32_t code, const char *text)
{
    enum yo_close_kind kind = yo_close_kind_of(code);
    close_end(from, kind, code, text);
    close_end(from, YO_CLOSE_FINAL, YO_CODE_KICKED, "the second close does nothing");
    CONTRACT_UNTIL(&world, from->closed && to->closed);
    assert_false(from->why.remote);
    assert_int_equal(from->why.kind, kind);
    assert_int_equal(from->why.code, code);
    assert_true(to->why.remote);
    assert_int_equal(to->why.kind, kind);
    /* Over WebTransport, a close that means "come back" has no session code. */
    if (to->why.code != 0 || kind != YO_CLOSE_RETRY) {
        assert_int_equal(to->why.code, code);
        assert_int_equal(to->why.error, yo_close_error_of(code));
        assert_string_equal(to->text, text ? text : "");
    }
}

#define CLOSE_TEST(name, from, to, code, text)            \
    static void name(void **state)                        \
    {                                                     \
        (void)state;                                      \
        expect_close(&world.from, &world.to, code, text); \
    }

CLOSE_TEST(a_client_that_has_finished_says_so, client, server, YO_CODE_NORMAL, "bye")
CLOSE_TEST(a_server_that_has_finished_says_so, server, client, YO_CODE_NORMAL, NULL)
CLOSE_TEST(a_server_that_goes_away_is_to_come_back_to, server, client,
           YO_CODE_GOING_AWAY, "going away")
CLOSE_TEST(a_slow_receiver_is_to_come_back, server, client, YO_CODE_SLOW, "too slow")
CLOSE_TEST(one_that_may_not_come_in_is_to_stay_away, server, client, YO_CODE_AUTH,
           "no such key")
CLOSE_TEST(one_that_was_kicked_is_to_stay_away, server, client, YO_CODE_KICKED,
           "gr\xc3\xbc\xc3\x9f dich")

static void a_long_reason_is_cut_between_characters(void **state)
{
    (void)state;
    char text[400] = "x";
    for (int i = 0; i < 100; i++) {
        strcat(text,
               "\xe2\x82\xac"); /* 3 bytes each: 121 bytes are the most whole ones */
    }
    close_end(&world.server, YO_CLOSE_FINAL, YO_CODE_KICKED, text);
    CONTRACT_UNTIL(&world, world.client.closed && world.server.closed);
    assert_int_equal(strlen(world.client.text), 121);
    assert_memory_equal(world.client.text, text, 121);
}

static void what_was_sent_before_a_regular_close_still_arrives(void **state)
{
    (void)state;
    world.server.on_message = check_numbered;
    for (uint32_t i = 0; i < 20; i++) {
        send_numbered(&world.client, YO_LANE_CONTROL, i, 3000);
        send_numbered(&world.client, YO_LANE_ROOMS, i, 3000);
    }
    close_end(&world.client, YO_CLOSE_DONE, YO_CODE_NORMAL, NULL);
    CONTRACT_UNTIL(&world, world.client.closed && world.server.closed);
    assert_int_equal(heard(&world.server), 40);
    assert_int_equal(world.server.why.code, YO_CODE_NORMAL);
}

static void nothing_can_be_sent_after_a_close(void **state)
{
    (void)state;
    close_end(&world.client, YO_CLOSE_DONE, YO_CODE_NORMAL, NULL);
    struct yo_blob *blob = numbered_blob(YO_LANE_CONTROL, 0, 100);
    assert_int_equal(send_blob(&world.client, YO_LANE_CONTROL, blob, 0),
                     YOMO_ERR_CLOSED);
    assert_int_equal(atomic_load(&blob->refs), 1);
    yo_blob_unref(blob);
    CONTRACT_UNTIL(&world, world.client.closed && world.server.closed);
    assert_int_equal(heard(&world.server), 0);
}

static void both_may_close_at_once(void **state)
{
    (void)state;
    close_end(&world.client, YO_CLOSE_DONE, YO_CODE_NORMAL, "client");
    close_end(&world.server, YO_CLOSE_RETRY, YO_CODE_GOING_AWAY, "server");
    CONTRACT_UNTIL(&world, world.client.closed && world.server.closed);
    assert_false(world.client.why.remote);
    assert_false(world.server.why.remote);
}

static void expect_abort(struct contract_end *from, struct contract_end *to)
{
    abort_end(from);
    abort_end(from);
    assert_int_equal(from->closed, 0); /* from the loop */
    CONTRACT_UNTIL(&world, from->closed && to->closed);
    assert_false(from->why.remote);
    assert_true(to->why.remote);
    assert_int_equal(to->why.kind, YO_CLOSE_RETRY);
    assert_int_not_equal(to->why.error, YOMO_OK);
}

static void a_client_that_dies_is_noticed(void **state)
{
    (void)state;
    expect_abort(&world.client, &world.server);
}

static void a_server_that_dies_is_noticed(void **state)
{
    (void)state;
    expect_abort(&world.server, &world.client);
}

static void a_peer_that_falls_silent_is_given_up(void **state)
{
    (void)state;
    if (!contract->sockets) {
        return;
    }
    /* The client's loop is not turned any more: nothing is read, nothing is answered.
     */
    uint64_t start = yo_wall_ms();
    while (!world.server.closed) {
        assert_true(yo_wall_ms() < start + 15000);
        until_turn(world.loops[0], 50);
    }
    assert_true(yo_wall_ms() >= start + world.silence_ms / 2);
    assert_int_equal(world.server.why.kind, YO_CLOSE_RETRY);
    assert_int_equal(world.server.why.error, YOMO_ERR_TIMEOUT);
}

static int setup_short_silence(void **state)
{
    (void)state;
    begin(600);
    return 0;
}

static void an_idle_connection_stays(void **state)
{
    (void)state;
    uint64_t start = yo_wall_ms();
    while (yo_wall_ms() < start + 1500) { /* more than twice the silence */
        contract_turn(&world);
    }
    assert_int_equal(world.client.closed + world.server.closed, 0);
    send_text(&world.client, YO_LANE_CONTROL, "still here");
    CONTRACT_UNTIL(&world, heard(&world.server) == 1);
}

/* --- Calls inside callbacks (promise 2) ------------------------------------------- */

static void answer_it(struct contract_end *end, struct yo_span message)
{
    struct contract_end *client = &world.client;
    assert_ptr_not_equal(end, client);
    for (uint32_t lane = YO_LANE_CONTROL; lane <= YO_LANE_ROOMS; lane++) {
        assert_int_equal(send_span(end, lane, message), YOMO_OK);
        yo_conn_flush(end->conn, yo_loop_now(end->loop));
    }
}

static void sending_inside_on_message_is_legal(void **state)
{
    (void)state;
    world.server.on_message = answer_it;
    send_text(&world.client, YO_LANE_CONTROL, "ping");
    CONTRACT_UNTIL(&world, heard(&world.client) == 2);
    assert_int_equal(world.client.bytes, 8);
}

static void close_it(struct contract_end *end, struct yo_span message)
{
    (void)message;
    close_end(end, YO_CLOSE_FINAL, YO_CODE_DENIED, "enough");
    assert_int_equal(end->closed, 0);
}

static void closing_inside_on_message_is_legal(void **state)
{
    (void)state;
    world.server.on_message = close_it;
    send_text(&world.client, YO_LANE_CONTROL, "one");
    send_text(&world.client, YO_LANE_CONTROL, "two");
    CONTRACT_UNTIL(&world, world.client.closed && world.server.closed);
    assert_int_equal(world.client.why.code, YO_CODE_DENIED);
    assert_string_equal(world.client.text, "enough");
    assert_int_equal(heard(&world.server), 1);
}

static void abort_it(struct contract_end *end, struct yo_span message)
{
    (void)message;
    abort_end(end);
    assert_int_equal(end->closed, 0);
}

static void aborting_inside_on_message_is_legal(void **state)
{
    (void)state;
    world.server.on_message = abort_it;
    send_text(&world.client, YO_LANE_CONTROL, "one");
    send_text(&world.client, YO_LANE_CONTROL, "two");
    CONTRACT_UNTIL(&world, world.client.closed && world.server.closed);
    assert_int_equal(heard(&world.server), 1);
}

static void call_it_all(struct contract_end *end)
{
    struct yo_conn_info info;
    assert_int_equal(send_text(end, YO_LANE_CONTROL, "late"), YOMO_ERR_CLOSED);
    yo_conn_flush(end->conn, yo_loop_now(end->loop));
    yo_conn_end_lane(end->conn, YO_LANE_ROOMS);
    (void)yo_conn_queued(end->conn);
    yo_conn_info(end->conn, &info);
    close_end(end, YO_CLOSE_DONE, YO_CODE_NORMAL, NULL);
    abort_end(end);
}

static void every_call_is_legal_inside_on_closed(void **state)
{
    (void)state;
    world.client.on_closed = world.server.on_closed = call_it_all;
    close_end(&world.client, YO_CLOSE_DONE, YO_CODE_NORMAL, NULL);
    CONTRACT_UNTIL(&world, world.client.closed && world.server.closed);
}

static void flush_sends_before_the_turn_ends(void **state)
{
    (void)state;
    send_text(&world.client, YO_LANE_CONTROL, "now");
    calling = true;
    yo_conn_flush(world.client.conn, yo_loop_now(world.client.loop));
    calling = false;
    CONTRACT_UNTIL(&world, heard(&world.server) == 1);
}

static void a_connection_tells_what_it_is(void **state)
{
    (void)state;
    struct contract_end *ends[] = {&world.client, &world.server};
    for (int i = 0; i < 2; i++) {
        struct yo_conn_info info;
        memset(&info, 0xa5, sizeof(info));
        yo_conn_info(ends[i]->conn, &info);
        assert_int_equal(info.transport, contract->kind);
        assert_int_equal(info.secure, contract->secure);
        assert_true(strlen(info.address) > 0);
        assert_true(info.datagram_size_max > 0);
        assert_int_equal(yo_conn_queued(ends[i]->conn), 0);
    }
}

#define TEST(name)                         \
    {                                      \
        #name, name, setup, teardown, NULL \
    }
#define QUIET_TEST(name)                                 \
    {                                                    \
        #name, name, setup_short_silence, teardown, NULL \
    }

int contract_run(const struct contract *which)
{
    static const struct CMUnitTest tests[] = {
        TEST(messages_arrive_whole_and_each_lane_in_its_order),
        TEST(large_messages_arrive_on_every_reliable_lane),
        TEST(messages_of_every_size_keep_their_borders),
        TEST(a_lane_that_has_ended_does_not_hold_up_the_others),
        TEST(small_datagrams_arrive_and_tell_their_fate),
        TEST(a_datagram_that_can_never_fit_is_too_big),
        TEST(send_takes_a_reference_and_gives_it_back),
        TEST(a_connection_that_ends_gives_back_what_it_had_queued),
        TEST(what_is_too_big_is_said_at_once_and_not_kept),
        TEST(a_full_queue_says_so_and_on_writable_follows),
        TEST(sending_from_on_writable_keeps_the_queue_full),
        TEST(a_client_that_has_finished_says_so),
        TEST(a_server_that_has_finished_says_so),
        TEST(a_server_that_goes_away_is_to_come_back_to),
        TEST(a_slow_receiver_is_to_come_back),
        TEST(one_that_may_not_come_in_is_to_stay_away),
        TEST(one_that_was_kicked_is_to_stay_away),
        TEST(a_long_reason_is_cut_between_characters),
        TEST(what_was_sent_before_a_regular_close_still_arrives),
        TEST(nothing_can_be_sent_after_a_close),
        TEST(both_may_close_at_once),
        TEST(a_client_that_dies_is_noticed),
        TEST(a_server_that_dies_is_noticed),
        QUIET_TEST(a_peer_that_falls_silent_is_given_up),
        QUIET_TEST(an_idle_connection_stays),
        TEST(sending_inside_on_message_is_legal),
        TEST(closing_inside_on_message_is_legal),
        TEST(aborting_inside_on_message_is_legal),
        TEST(every_call_is_legal_inside_on_closed),
        TEST(flush_sends_before_the_turn_ends),
        TEST(a_connection_tells_what_it_is),
    };
    contract = which;
    return cmocka_run_group_tests_name(which->name, tests, NULL, NULL);
}
