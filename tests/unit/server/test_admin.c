/* SPDX-License-Identifier: MIT */
/* test_admin.c - who is put out, kept away, and seen by an operator. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rig.h"
#include "support/fault.h"
#include "wire/decode.h"
#include <yomo/admin.h>

#define WS YOMO_TRANSPORT_WEBSOCKET
#define WT YOMO_TRANSPORT_WEBTRANSPORT

/* The rig turns its workers itself: it serves while something is asked of it. */
static void serve(struct rig *rig, bool on)
{
    rig->server->state = on ? YO_SERVER_SERVING : YO_SERVER_NEW;
}

struct answer {
    unsigned calls;
    int32_t error;
    uint64_t count;
    uint32_t rows;
    char rooms[256], ids[256], addresses[256], next[2200];
    uint64_t members, session, since;
};

/* A join, good until the next one. */
static struct yo_span join_of(const char *room)
{
    static struct yo_buf out = {.mem = &yo_mem_libc};

    yo_buf_clear(&out);
    assert_int_equal(yo_encode(&out, YO_DIALECT_YOMO,
                               &(struct yo_message){.op = YO_OP_CHANNEL_JOIN,
                                                    .channel = yo_span_of(room)}),
                     YOMO_OK);
    return yo_buf_span(&out);
}

static void on_count(void *user, int32_t error, uint64_t count)
{
    struct answer *answer = user;

    answer->calls++;
    answer->error = error;
    answer->count = count;
}

static void append(char *out, const char *text)
{
    size_t used = strlen(out);

    snprintf(out + used, 256 - used, "%s ", text);
}

static void on_page(void *user, int32_t error, const yomo_listing *page)
{
    struct answer *answer = user;

    answer->calls++;
    answer->error = error;
    answer->rows = yomo_listing_count(page);
    for (uint32_t i = 0; i < answer->rows && i < 20; i++) {
        append(answer->rooms, yomo_listing_room(page, i));
        append(answer->ids, yomo_listing_id(page, i));
        append(answer->addresses, yomo_listing_address(page, i));
        answer->members = yomo_listing_members(page, i);
        answer->session = yomo_listing_session(page, i);
        answer->since = yomo_listing_since(page, i);
    }
    snprintf(answer->next, sizeof(answer->next), "%s", yomo_listing_next(page));
}

static struct client *member(struct rig *rig, uint32_t worker, const char *query,
                             const char *room)
{
    struct client *client = rig_connect(rig, worker, WS, query);

    client_join(client, room, NULL);
    client_forget(client);
    return client;
}

static void expect_kicked(const struct client *client, const char *text)
{
    assert_true(client->closing);
    assert_int_equal(client->why.code, YO_CODE_KICKED);
    assert_int_equal(client->why.kind, YO_CLOSE_FINAL);
    assert_string_equal(client->text, text);
}

static void a_user_is_put_out_with_every_device(void **unused)
{
    struct answer answer = {0};
    struct rig rig;
    struct client *one, *two, *other;

    (void)unused;
    rig_open(&rig, 2, NULL, NULL);
    one = member(&rig, 0, "yomo=1&id=mallory", "r");
    two = member(&rig, 1, "id=mallory", "r");
    other = member(&rig, 1, "yomo=1&id=alice", "r");
    client_forget(other);
    serve(&rig, true);
    assert_int_equal(yomo_server_kick(rig.server, NULL, NULL, "mallory", 0, "be nice",
                                      on_count, &answer),
                     YOMO_OK);
    rig_settle(&rig);
    expect_kicked(one, "be nice");
    expect_kicked(two, "be nice");
    assert_false(other->closing);
    assert_int_equal(answer.calls, 1);
    assert_int_equal(answer.error, YOMO_OK);
    assert_int_equal(answer.count, 2);
    expect_from(other, YO_OP_PEER_OFFLINE, "mallory");
    expect_from(other, YO_OP_PEER_OFFLINE, "mallory");
    /* It may come again: that was no ban. */
    assert_int_equal(rig_connect(&rig, 0, WS, "yomo=1&id=mallory")->status, 200);
    serve(&rig, false);
    rig_close(&rig);
}

static void out_of_one_room_the_connection_stays(void **unused)
{
    struct answer answer = {0};
    struct rig rig;
    struct client *native, *page;
    struct heard *heard;

    (void)unused;
    rig_open(&rig, 2, NULL, NULL);
    native = member(&rig, 0, "yomo=1&id=mallory", "r");
    client_join(native, "s", NULL);
    page = member(&rig, 1, "id=mallory", "r");
    client_forget(native);
    serve(&rig, true);
    assert_int_equal(
        yomo_server_kick(rig.server, NULL, "r", "mallory", 0, NULL, on_count, &answer),
        YOMO_OK);
    rig_settle(&rig);
    assert_int_equal(answer.count, 2);
    heard = expect_op(native, YO_OP_CHANNEL_LEAVE);
    assert_true(yo_span_is(heard->message.channel, "r"));
    assert_int_equal(heard->message.code, YOMO_ERR_KICKED);
    assert_false(native->closing);
    expect_kicked(page, yomo_strerror(YOMO_ERR_KICKED)); /* knows no other way */
    client_data(native, "s", "e", "1", YOMO_RELIABLE);
    client_join(native, "r", NULL);
    expect_op(native, YO_OP_CHANNEL_JOIN);
    serve(&rig, false);
    rig_close(&rig);
}

static void a_session_is_put_out_and_no_other(void **unused)
{
    struct answer answer = {0};
    struct rig rig;
    struct client *one, *two;

    (void)unused;
    rig_open(&rig, 2, NULL, NULL);
    one = rig_connect(&rig, 0, WS, "yomo=1&id=alice");
    two = rig_connect(&rig, 1, WS, "yomo=1&id=alice");
    client_join(one, "r", NULL);
    serve(&rig, true);
    assert_int_equal(
        yomo_server_list_members(rig.server, NULL, "r", NULL, 0, on_page, &answer),
        YOMO_OK);
    rig_settle(&rig);
    assert_int_equal(answer.rows, 1);
    assert_int_equal(yomo_server_kick(rig.server, NULL, NULL, NULL, answer.session,
                                      NULL, NULL, NULL),
                     YOMO_OK);
    rig_settle(&rig);
    expect_kicked(one, yomo_strerror(YOMO_ERR_KICKED));
    assert_false(two->closing);
    serve(&rig, false);
    rig_close(&rig);
}

static void who_is_banned_is_refused_for_good_until_unbanned(void **unused)
{
    struct answer answer = {0}, list = {0};
    struct rig rig;
    struct client *client;

    (void)unused;
    rig_open(&rig, 2, NULL, NULL);
    client = member(&rig, 0, "yomo=1&id=mallory", "r");
    serve(&rig, true);
    assert_int_equal(yomo_server_ban(rig.server, NULL, NULL, "mallory", NULL, 3600000,
                                     "spam", on_count, &answer),
                     YOMO_OK);
    rig_settle(&rig);
    expect_kicked(client, "spam");
    assert_int_equal(answer.count, 1);
    client = rig_knock(&rig, 1, WS, "/v1", "yomo=1&id=mallory", NULL);
    rig_settle(&rig);
    expect_kicked(client, yomo_strerror(YOMO_ERR_KICKED));
    client = rig_knock(&rig, 1, WT, "/v1", "id=mallory", NULL);
    rig_settle(&rig);
    expect_kicked(client, yomo_strerror(YOMO_ERR_KICKED));
    assert_int_equal(rig_connect(&rig, 1, WS, "id=alice")->status, 200);
    assert_int_equal(yomo_server_list_bans(rig.server, NULL, NULL, 0, on_page, &list),
                     YOMO_OK);
    assert_int_equal(list.rows, 1);
    assert_string_equal(list.ids, "mallory ");
    assert_int_equal(
        yomo_server_unban(rig.server, NULL, NULL, "mallory", NULL, NULL, NULL),
        YOMO_OK);
    assert_int_equal(
        yomo_server_unban(rig.server, NULL, NULL, "mallory", NULL, NULL, NULL),
        YOMO_ERR_NOT_FOUND);
    client = rig_connect(&rig, 1, WS, "yomo=1&id=mallory");
    assert_false(client->closing);
    serve(&rig, false);
    rig_close(&rig);
}

static void a_network_is_banned(void **unused)
{
    struct answer answer = {0};
    struct rig rig;
    struct client *client, *late;

    (void)unused;
    rig_open(&rig, 2, NULL, NULL);
    client = member(&rig, 0, "yomo=1&id=alice", "r"); /* from 192.0.2.1 */
    serve(&rig, true);
    assert_int_equal(yomo_server_ban(rig.server, NULL, NULL, NULL, "198.51.100.0/24",
                                     60000, NULL, NULL, NULL),
                     YOMO_OK);
    rig_settle(&rig);
    assert_false(client->closing);
    assert_int_equal(yomo_server_ban(rig.server, NULL, NULL, NULL, "192.0.2.0/25",
                                     60000, NULL, on_count, &answer),
                     YOMO_OK);
    rig_settle(&rig);
    assert_true(client->closing);
    assert_int_equal(answer.count, 1);
    late = rig_knock(&rig, 1, WS, "/v1", "yomo=1&id=bob", NULL);
    rig_settle(&rig);
    assert_int_equal(late->why.code, YO_CODE_KICKED);
    assert_int_equal(
        yomo_server_unban(rig.server, NULL, NULL, NULL, "192.0.2.7/25", NULL, NULL),
        YOMO_OK); /* the same network */
    assert_false(rig_connect(&rig, 1, WS, "yomo=1&id=bob")->closing);
    serve(&rig, false);
    rig_close(&rig);
}

static void a_ban_from_a_room_is_for_that_room(void **unused)
{
    struct answer answer = {0};
    struct rig rig;
    struct client *client;
    struct heard *heard;

    (void)unused;
    rig_open(&rig, 2, NULL, NULL);
    client = member(&rig, 0, "yomo=1&id=mallory", "r");
    serve(&rig, true);
    assert_int_equal(yomo_server_ban(rig.server, NULL, "r", "mallory", NULL, 60000,
                                     "out", on_count, &answer),
                     YOMO_OK);
    rig_settle(&rig);
    heard = expect_op(client, YO_OP_CHANNEL_LEAVE);
    assert_true(yo_span_is(heard->message.text, "out"));
    client_join(client, "r", NULL);
    heard = expect_op(client, YO_OP_ERROR);
    assert_int_equal(heard->message.code, YOMO_ERR_KICKED);
    client_join(client, "s", NULL);
    expect_op(client, YO_OP_CHANNEL_JOIN);
    serve(&rig, false);
    rig_close(&rig);
}

static void a_closed_room_is_gone_and_may_be_opened_anew(void **unused)
{
    struct answer answer = {0}, list = {0};
    struct rig rig;
    struct client *one, *two, *page;

    (void)unused;
    rig_open(&rig, 2, NULL, NULL);
    one = member(&rig, 0, "yomo=1&id=a", "r");
    two = member(&rig, 1, "yomo=1&id=b", "r");
    page = member(&rig, 1, "id=c", "r");
    client_forget(one);
    client_forget(two);
    serve(&rig, true);
    assert_int_equal(yomo_server_close_room(rig.server, NULL, "r", "closing time",
                                            on_count, &answer),
                     YOMO_OK);
    rig_settle(&rig);
    assert_int_equal(answer.count, 3);
    expect_kicked(page, "closing time");
    assert_false(one->closing);
    assert_false(two->closing);
    assert_int_equal(rig_count(&rig, rooms), 0);
    assert_int_equal(rig_count(&rig, members), 0);
    assert_int_equal(
        yomo_server_list_rooms(rig.server, NULL, NULL, NULL, 0, on_page, &list),
        YOMO_OK);
    rig_settle(&rig);
    assert_int_equal(list.rows, 0);
    client_forget(one);
    client_join(one, "r", NULL);
    expect_op(one, YO_OP_CHANNEL_JOIN);
    /* One that is not there is no error. */
    memset(&answer, 0, sizeof(answer));
    assert_int_equal(
        yomo_server_close_room(rig.server, NULL, "none", NULL, on_count, &answer),
        YOMO_OK);
    rig_settle(&rig);
    assert_int_equal(answer.calls, 1);
    assert_int_equal(answer.count, 0);
    serve(&rig, false);
    rig_close(&rig);
}

static void who_is_away_loses_the_seat(void **unused)
{
    struct answer answer = {0}, list = {0};
    struct rig rig;
    struct client *away, *bob;

    (void)unused;
    rig_open(&rig, 2, NULL, "grace-time", "1h", NULL);
    away = member(&rig, 0, "yomo=1&id=mallory", "r");
    bob = member(&rig, 1, "yomo=1&id=bob", "r");
    client_break(away);
    assert_int_equal(rig_count(&rig, parked), 1);
    serve(&rig, true);
    assert_int_equal(
        yomo_server_list_members(rig.server, NULL, "r", NULL, 0, on_page, &list),
        YOMO_OK);
    rig_settle(&rig);
    assert_int_equal(list.rows, 2);
    client_forget(bob);
    assert_int_equal(
        yomo_server_kick(rig.server, NULL, "r", "mallory", 0, NULL, on_count, &answer),
        YOMO_OK);
    rig_settle(&rig);
    assert_int_equal(answer.count, 1);
    assert_int_equal(rig_count(&rig, parked), 0);
    assert_int_equal(rig_count(&rig, members), 1);
    serve(&rig, false);
    rig_close(&rig);
}

static void who_only_hears_is_put_out_too(void **unused)
{
    struct answer answer = {0};
    struct rig rig;
    struct client *ears[2];

    (void)unused;
    rig_open(&rig, 2, NULL, NULL);
    for (uint32_t i = 0; i < 2; i++) {
        ears[i] = rig_connect(&rig, i, WS, "yomo=1&id=ear");
        client_send(ears[i], &(struct yo_message){.op = YO_OP_CHANNEL_JOIN,
                                                  .channel = yo_span_of("r"),
                                                  .observe = true});
        client_forget(ears[i]);
    }
    assert_int_equal(rig_count(&rig, observers), 2);
    serve(&rig, true);
    assert_int_equal(
        yomo_server_close_room(rig.server, NULL, "r", NULL, on_count, &answer),
        YOMO_OK);
    rig_settle(&rig);
    assert_int_equal(answer.count, 2);
    expect_op(ears[0], YO_OP_CHANNEL_LEAVE);
    expect_op(ears[1], YO_OP_CHANNEL_LEAVE);
    assert_int_equal(rig_count(&rig, observers), 0);
    assert_int_equal(rig_count(&rig, rooms) + rig_count(&rig, rooms_lingering), 0);
    serve(&rig, false);
    rig_close(&rig);
}

/* A session goes from worker 0 to worker 1, and is put out after so many turns of
 * either: wherever it is by then, nothing of it is left, and its client does not come
 * back. */
static bool kick_during_a_move(unsigned turns, enum yomo_transport_kind kind)
{
    struct rig rig;
    struct answer answer = {0};
    struct yo_message move = {.op = YO_OP_MOVE};
    struct client *old, *fresh, *bob;
    struct heard *hello;
    struct yo_blob *blob;
    char token[80] = "";
    bool moved;

    rig_open(&rig, 2, NULL, NULL);
    bob = member(&rig, 0, "yomo=1&id=bob", "r");
    old = rig_connect(&rig, 0, kind, "yomo=1&id=mallory");
    hello = expect_op(old, YO_OP_HELLO);
    memcpy(token, hello->message.token.data, hello->message.token.size);
    client_join(old, "r", NULL);
    fresh = rig_connect(&rig, 1, WS, "yomo=1&id=mallory");
    serve(&rig, true);
    move.token = yo_span_of(token);
    assert_int_equal(yo_encode_blob(&blob, &yo_mem_libc, YO_DIALECT_YOMO, &move),
                     YOMO_OK);
    client_say(fresh, YO_LANE_CONTROL, yo_blob_span(blob));
    yo_blob_unref(blob);
    for (unsigned i = 0; i < turns; i++) {
        (void)yo_loop_turn(rig_worker(&rig, i % 2)->loop);
    }
    moved = rig_count(&rig, moved) > 0;
    assert_int_equal(
        yomo_server_kick(rig.server, NULL, NULL, "mallory", 0, NULL, on_count, &answer),
        YOMO_OK);
    rig_settle(&rig);
    assert_int_equal(answer.calls, 1);
    assert_true(fresh->closing && fresh->why.code == YO_CODE_KICKED);
    assert_true(old->closing);
    assert_int_equal(rig_count(&rig, members), 1);
    assert_false(bob->closing);
    serve(&rig, false);
    rig_close(&rig);
    return moved;
}

static void who_moves_is_met_wherever_it_is(void **unused)
{
    (void)unused;
    for (unsigned turns = 0; !kick_during_a_move(turns, WT); turns++) {
        assert_true(turns < 100);
    }
    for (unsigned turns = 0; turns < 10; turns++) { /* it waits for the fence */
        (void)kick_during_a_move(turns, WS);
    }
}

static void on_rows(void *user, int32_t error, const yomo_listing *page)
{
    char *seen = user;

    assert_int_equal(error, YOMO_OK);
    for (uint32_t i = 0; i < yomo_listing_count(page); i++) {
        long number = strtol(yomo_listing_room(page, i) + 1, NULL, 10);
        assert_int_equal(seen[number], 0);
        seen[number] = 1;
    }
    snprintf(seen + 8000, 2200, "%s", yomo_listing_next(page));
}

/* No turn has to look at all of them; and rooms that open meanwhile, so that the table
 * grows, neither hide others nor double them. */
static void many_rooms_are_listed_over_some_turns(void **unused)
{
    static char seen[8000 + 2200];
    struct rig rig;
    struct client *client;
    unsigned pages = 0;
    int opened = 0;
    char name[16];

    (void)unused;
    memset(seen, 0, sizeof(seen));
    rig_open(&rig, 1, NULL, "rooms-max", "10000", "message-rate", "0", NULL);
    client = rig_connect(&rig, 0, WS, "yomo=1&id=alice");
    for (; opened < 4500; opened++) {
        snprintf(name, sizeof(name), "r%05d", opened);
        client_say(client, YO_LANE_CONTROL, join_of(name));
    }
    rig_settle(&rig);
    client_forget(client);
    serve(&rig, true);
    do {
        unsigned turns = 0;
        char next[2200];
        snprintf(next, sizeof(next), "%s", seen + 8000);
        strcpy(seen + 8000, "-");
        assert_int_equal(yomo_server_list_rooms(rig.server, NULL, NULL,
                                                next[0] ? next : NULL, 0, on_rows,
                                                seen),
                         YOMO_OK);
        for (; strcmp(seen + 8000, "-") == 0; turns++) {
            assert_true(turns < 1000);
            if (pages < 2) { /* names that are behind this page */
                for (int i = 0; i < 300 && opened < 6000; i++, opened++) {
                    snprintf(name, sizeof(name), "s%05d", opened);
                    client_say(client, YO_LANE_CONTROL, join_of(name));
                }
            }
            (void)yo_loop_turn(rig_worker(&rig, 0)->loop);
        }
        assert_true(turns > 1);
        pages++;
    } while (seen[8000]);
    rig_settle(&rig);
    assert_true(pages >= 5);
    for (int i = 0; i < 4500; i++) {
        assert_int_equal(seen[i], 1);
    }
    serve(&rig, false);
    rig_close(&rig);
}

static void lists_come_in_pages(void **unused)
{
    static const char *const names[] = {"b", "d", "a", "e", "c"};
    struct answer first = {0}, second = {0}, third = {0}, some = {0};
    struct rig rig;
    struct client *client, *other;

    (void)unused;
    rig_open(&rig, 2, NULL, NULL);
    client = rig_connect(&rig, 0, WS, "yomo=1&id=alice");
    other = rig_connect(&rig, 1, WS, "id=bob");
    for (size_t i = 0; i < 5; i++) {
        client_join(client, names[i], NULL);
    }
    client_join(other, "e", NULL);
    serve(&rig, true);
    assert_int_equal(
        yomo_server_list_rooms(rig.server, NULL, NULL, NULL, 2, on_page, &first),
        YOMO_OK);
    rig_settle(&rig);
    assert_string_equal(first.rooms, "a b ");
    assert_int_equal(
        yomo_server_list_rooms(rig.server, NULL, NULL, first.next, 2, on_page, &second),
        YOMO_OK);
    rig_settle(&rig);
    assert_string_equal(second.rooms, "c d ");
    assert_int_equal(
        yomo_server_list_rooms(rig.server, NULL, NULL, second.next, 2, on_page, &third),
        YOMO_OK);
    rig_settle(&rig);
    assert_string_equal(third.rooms, "e ");
    assert_int_equal(third.members, 2);
    assert_string_equal(third.next, "");
    assert_int_equal(
        yomo_server_list_rooms(rig.server, "default", "c", NULL, 0, on_page, &some),
        YOMO_OK);
    rig_settle(&rig);
    assert_string_equal(some.rooms, "c ");
    memset(&some, 0, sizeof(some));
    assert_int_equal(
        yomo_server_list_members(rig.server, NULL, "e", NULL, 0, on_page, &some),
        YOMO_OK);
    rig_settle(&rig);
    assert_int_equal(some.rows, 2);
    assert_non_null(strstr(some.ids, "alice"));
    assert_non_null(strstr(some.ids, "bob"));
    assert_string_equal(some.addresses, "192.0.2.1:50000 192.0.2.1:50000 ");
    assert_true(some.since > 0); /* the home's word and the worker's are one row */
    assert_int_equal(
        yomo_server_list_rooms(rig.server, NULL, NULL, "nonsense", 0, on_page, &some),
        YOMO_ERR_INVALID);
    serve(&rig, false);
    rig_close(&rig);
}

static void what_makes_no_sense_is_refused(void **unused)
{
    struct rig rig;
    char text[512];

    (void)unused;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    rig_open(&rig, 1, NULL, "bans-max", "1", NULL);
    assert_int_equal(yomo_server_kick(rig.server, NULL, NULL, "a", 0, NULL, NULL, NULL),
                     YOMO_ERR_STATE);
    serve(&rig, true);
    assert_int_equal(
        yomo_server_kick(rig.server, NULL, NULL, NULL, 0, NULL, NULL, NULL),
        YOMO_ERR_INVALID);
    assert_int_equal(yomo_server_kick(rig.server, NULL, "", "a", 0, NULL, NULL, NULL),
                     YOMO_ERR_INVALID);
    assert_int_equal(yomo_server_kick(rig.server, NULL, text, "a", 0, NULL, NULL, NULL),
                     YOMO_ERR_INVALID);
    assert_int_equal(
        yomo_server_kick(rig.server, NULL, NULL, "\xff", 0, NULL, NULL, NULL),
        YOMO_ERR_INVALID);
    assert_int_equal(yomo_server_kick(rig.server, NULL, NULL, "a", 0, text, NULL, NULL),
                     YOMO_ERR_INVALID);
    assert_int_equal(yomo_server_ban(rig.server, NULL, NULL, NULL, "300.1.2.3", 1000,
                                     NULL, NULL, NULL),
                     YOMO_ERR_INVALID);
    assert_int_equal(
        yomo_server_ban(rig.server, NULL, NULL, "a", NULL, 0, NULL, NULL, NULL),
        YOMO_ERR_INVALID);
    assert_int_equal(yomo_server_ban(rig.server, NULL, NULL, "a", "192.0.2.9", 1000,
                                     NULL, NULL, NULL),
                     YOMO_ERR_FULL); /* two bans: neither is there */
    assert_false(
        yo_server_banned(rig.server, "default", YO_SPAN_NONE, "a", "192.0.2.9:1"));
    serve(&rig, false);
    rig_close(&rig);
}

static void everything_may_fail_and_nothing_is_left(void **unused)
{
    bool failed = true;
    struct fault fault;

    (void)unused;
    for (size_t nth = 1; failed; nth++) {
        struct answer answer = {0};
        struct rig rig;
        int rv[5];
        fault_init(&fault, 0, FAULT_ONCE);
        rig_open_with(&rig, &fault.mem, 2, NULL, NULL, NULL);
        (void)member(&rig, 0, "yomo=1&id=a", "r");
        (void)member(&rig, 1, "id=a", "r");
        (void)member(&rig, 1, "yomo=1&id=b", "r");
        serve(&rig, true);
        fault_arm(&fault, nth, FAULT_ONCE);
        rv[0] =
            yomo_server_list_members(rig.server, NULL, "r", NULL, 0, on_page, &answer);
        rig_settle(&rig);
        rv[1] =
            yomo_server_list_rooms(rig.server, NULL, NULL, NULL, 0, on_page, &answer);
        rv[2] = yomo_server_ban(rig.server, NULL, "r", "a", "192.0.2.1", 60000, "why",
                                on_count, &answer);
        rig_settle(&rig);
        rv[3] = yomo_server_list_bans(rig.server, NULL, NULL, 0, on_page, &answer);
        rv[4] = yomo_server_close_room(rig.server, NULL, "r", NULL, on_count, &answer);
        rig_settle(&rig);
        failed = atomic_load(&fault.failed);
        fault_arm(&fault, 0, FAULT_ONCE);
        /* Each was told, or refused. */
        assert_int_equal(answer.calls, (rv[0] == YOMO_OK) + (rv[1] == YOMO_OK) +
                                           (rv[2] == YOMO_OK) + (rv[3] == YOMO_OK) +
                                           (rv[4] == YOMO_OK));
        serve(&rig, false);
        rig_close(&rig);
        fault_assert_no_leak(&fault);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_user_is_put_out_with_every_device),
        cmocka_unit_test(out_of_one_room_the_connection_stays),
        cmocka_unit_test(a_session_is_put_out_and_no_other),
        cmocka_unit_test(who_is_banned_is_refused_for_good_until_unbanned),
        cmocka_unit_test(a_network_is_banned),
        cmocka_unit_test(a_ban_from_a_room_is_for_that_room),
        cmocka_unit_test(a_closed_room_is_gone_and_may_be_opened_anew),
        cmocka_unit_test(who_is_away_loses_the_seat),
        cmocka_unit_test(who_only_hears_is_put_out_too),
        cmocka_unit_test(who_moves_is_met_wherever_it_is),
        cmocka_unit_test(lists_come_in_pages),
        cmocka_unit_test(many_rooms_are_listed_over_some_turns),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(everything_may_fail_and_nothing_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
