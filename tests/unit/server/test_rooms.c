/* SPDX-License-Identifier: MIT */
/* test_rooms.c - rooms as clients of the extension see them, over one worker and two.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rig.h"
#include "support/bytes.h"
#include "wire/decode.h"

#define WS YOMO_TRANSPORT_WEBSOCKET
#define WT YOMO_TRANSPORT_WEBTRANSPORT

static struct client *native(struct rig *rig, uint32_t worker,
                             enum yomo_transport_kind kind, const char *id)
{
    char query[64];
    struct client *client;

    snprintf(query, sizeof(query), "yomo=1&id=%s", id);
    client = rig_connect(rig, worker, kind, query);
    expect_op(client, YO_OP_HELLO);
    return client;
}

/* In the room, with its ACK and its snapshot read. */
static struct client *member(struct rig *rig, uint32_t worker,
                             enum yomo_transport_kind kind, const char *id,
                             const char *room)
{
    struct client *client = native(rig, worker, kind, id);

    client_join(client, room, NULL);
    expect_op(client, YO_OP_CHANNEL_JOIN);
    expect_op(client, YO_OP_SNAPSHOT);
    return client;
}

static void hello_tells_limits_and_a_session(void **unused)
{
    struct rig rig;
    struct client *a;
    struct heard *heard;

    (void)unused;
    rig_open(&rig, 1, NULL, "message-size-max", "4k", "rooms-max", "3", NULL);
    a = rig_connect(&rig, 0, WT, "yomo=1&id=a");
    heard = expect_op(a, YO_OP_HELLO);
    assert_int_equal(heard->lane, YO_LANE_CONTROL);
    assert_true(heard->message.session != 0);
    assert_int_equal(heard->message.epoch, 7);
    assert_int_equal(heard->message.limits.message_size, 4096);
    assert_int_equal(heard->message.limits.rooms, 3);
    rig_close(&rig);
}

static void a_snapshot_comes_before_the_changes_after_it(void **unused)
{
    struct rig rig;
    struct client *a, *b;
    struct heard *heard;
    struct yo_mp_reader reader;
    struct yo_wire_member entry;
    uint32_t count;

    (void)unused;
    rig_open(&rig, 2, NULL, NULL);
    a = native(&rig, 0, WS, "a");
    client_join(a, "r", "{\"id\":\"a\",\"n\":1}");
    expect_op(a, YO_OP_CHANNEL_JOIN);
    heard = expect_op(a, YO_OP_SNAPSHOT);
    assert_int_equal(yo_members_init(&reader, heard->message.members, &count), YOMO_OK);
    assert_int_equal(count, 0); /* itself left out */
    b = native(&rig, 1, WT, "b");
    client_join(b, "r", "{\"id\":\"b\"}");
    expect_op(b, YO_OP_CHANNEL_JOIN);
    heard = expect_op(b, YO_OP_SNAPSHOT);
    assert_int_equal(heard->lane, YO_LANE_CONTROL);
    assert_int_equal(yo_members_init(&reader, heard->message.members, &count), YOMO_OK);
    assert_int_equal(count, 1);
    assert_int_equal(yo_members_next(&reader, &entry), YOMO_OK);
    assert_text(entry.peer, "a");
    assert_true(entry.since_ms > 0);
    heard = expect_from(a, YO_OP_PEER_ONLINE, "b");
    assert_true(heard->message.session != 0);
    assert_true(heard->message.payload.size > 0);
    client_state(a, "r", "{\"id\":\"a\",\"n\":2}");
    heard = expect_from(b, YO_OP_PEER_STATE, "a");
    assert_true(heard->lane >= YO_LANE_ROOMS); /* in order with the data */
    client_leave(a, "r");
    expect_from(b, YO_OP_PEER_OFFLINE, "a");
    expect_op(a, YO_OP_CHANNEL_LEAVE);
    expect_nothing(a);
    expect_nothing(b);
    rig_close(&rig);
}

static void each_class_takes_its_way(void **unused)
{
    struct rig rig;
    struct client *a, *b;
    struct heard *heard;

    (void)unused;
    rig_open(&rig, 2, NULL, NULL);
    a = member(&rig, 0, WT, "a", "r");
    b = member(&rig, 1, WT, "b", "r");
    client_forget(a);
    client_data(a, "r", "e", "1", YOMO_RELIABLE);
    heard = expect_from(b, YO_OP_DATA, "a");
    assert_true(heard->lane >= YO_LANE_ROOMS);
    assert_true(heard->message.sequence > 0);
    client_data(a, "r", "e", "1", YOMO_UNRELIABLE);
    heard = expect_from(b, YO_OP_DATA, "a");
    assert_int_equal(heard->lane, YO_LANE_DATAGRAM);
    assert_int_equal(heard->token, 0);
    assert_int_equal(heard->message.sequence, 0);
    client_data(a, "r", "e", "1", YOMO_LATEST);
    heard = expect_from(b, YO_OP_DATA, "a");
    assert_int_equal(heard->lane, YO_LANE_DATAGRAM);
    assert_true(heard->token != 0);
    assert_true(heard->message.version > 0);
    expect_nothing(a);
    rig_close(&rig);
}

static void what_is_too_big_for_a_datagram_goes_by_stream(void **unused)
{
    struct rig rig;
    struct client *a, *b;
    char big[1600];
    struct heard *heard;

    (void)unused;
    rig_open(&rig, 1, NULL, NULL);
    a = member(&rig, 0, WT, "a", "r");
    b = member(&rig, 0, WT, "b", "r");
    memset(big, 'x', sizeof(big) - 1);
    big[0] = big[sizeof(big) - 2] = '"';
    big[sizeof(big) - 1] = '\0';
    client_data(a, "r", "e", big, YOMO_UNRELIABLE);
    heard = expect_from(b, YO_OP_DATA, "a");
    assert_true(heard->lane >= YO_LANE_ROOMS);
    /* The path becomes narrower than it was said to be. */
    b->datagram_max = 60;
    client_data(a, "r", "e", "\"0123456789012345678901234567890\"", YOMO_UNRELIABLE);
    heard = expect_from(b, YO_OP_DATA, "a");
    assert_true(heard->lane >= YO_LANE_ROOMS);
    rig_close(&rig);
}

static void leaving_gives_the_rooms_stream_back(void **unused)
{
    struct rig rig;
    struct client *a;

    (void)unused;
    rig_open(&rig, 1, NULL, NULL);
    a = member(&rig, 0, WT, "a", "r");
    client_leave(a, "r");
    expect_op(a, YO_OP_CHANNEL_LEAVE);
    assert_int_equal(a->lanes_ended, 1);
    rig_close(&rig);
}

static void a_number_is_confirmed(void **unused)
{
    struct rig rig;
    struct client *a;
    struct heard *heard;
    struct yo_message message = {.op = YO_OP_DATA,
                                 .channel = yo_span_of("r"),
                                 .number = 5,
                                 .payload =
                                     bytes_hex("82a56576656e74a165a464617461a131")};

    (void)unused;
    rig_open(&rig, 2, NULL, NULL);
    a = member(&rig, 1, WS, "a", "r");
    client_send(a, &message);
    heard = expect_op(a, YO_OP_ACK);
    assert_int_equal(heard->message.number, 5);
    assert_true(heard->message.sequence > 0);
    message.channel = yo_span_of("elsewhere");
    message.number = 6;
    client_send(a, &message);
    heard = expect_op(a, YO_OP_ERROR);
    assert_int_equal(heard->message.number, 6);
    assert_int_equal(heard->message.code, YOMO_ERR_NOT_FOUND);
    rig_close(&rig);
}

static void joining_again_after_leaving_at_once_ends_well(void **unused)
{
    struct rig rig;
    struct client *a, *b;
    struct yo_buf join, leave;

    (void)unused;
    rig_open(&rig, 2, NULL, NULL);
    b = member(&rig, 0, WS, "b", "r");
    a = native(&rig, 1, WS, "a");
    yo_buf_init(&join, &yo_mem_libc);
    yo_buf_init(&leave, &yo_mem_libc);
    assert_int_equal(yo_encode(&join, YO_DIALECT_YOMO,
                               &(struct yo_message){.op = YO_OP_CHANNEL_JOIN,
                                                    .channel = yo_span_of("r")}),
                     YOMO_OK);
    assert_int_equal(yo_encode(&leave, YO_DIALECT_YOMO,
                               &(struct yo_message){.op = YO_OP_PEER_OFFLINE,
                                                    .channel = yo_span_of("r")}),
                     YOMO_OK);
    for (int i = 0; i < 3; i++) { /* all before the first answer */
        client_say(a, YO_LANE_CONTROL, yo_buf_span(&join));
        client_say(a, YO_LANE_CONTROL, yo_buf_span(&leave));
    }
    client_say(a, YO_LANE_CONTROL, yo_buf_span(&join));
    rig_settle(&rig);
    expect_op(a, YO_OP_CHANNEL_JOIN);
    expect_op(a, YO_OP_SNAPSHOT);
    expect_nothing(a);
    client_forget(b);
    client_data(b, "r", "e", "1", YOMO_RELIABLE);
    expect_from(a, YO_OP_DATA, "b");
    expect_nothing(a);
    assert_int_equal(rig_count(&rig, members), 2);
    yo_buf_finish(&join);
    yo_buf_finish(&leave);
    rig_close(&rig);
}

static void rooms_live_on_all_workers_and_end_with_their_last_member(void **unused)
{
    struct rig rig;
    struct client *clients[16];
    char room[8];
    bool lived[2] = {false, false};

    (void)unused;
    rig_open(&rig, 2, NULL, NULL);
    for (int i = 0; i < 16; i++) {
        snprintf(room, sizeof(room), "r%d", i);
        clients[i] = member(&rig, (uint32_t)i % 2, WS, "a", room);
    }
    assert_int_equal(rig_count(&rig, rooms), 16);
    assert_int_equal(rig_count(&rig, members), 16);
    for (uint32_t w = 0; w < 2; w++) {
        lived[w] = yo_metric_get(&rig.server->metrics[w].rooms) > 0;
    }
    assert_true(lived[0] && lived[1]); /* but for once in 32,768 runs */
    for (int i = 0; i < 16; i++) {
        client_close(clients[i]);
    }
    assert_int_equal(rig_count(&rig, rooms), 0);
    assert_int_equal(rig_count(&rig, members), 0);
    assert_int_equal(rig_count(&rig, connections_websocket), 0);
    rig_close(&rig);
}

static void applications_do_not_hear_each_other(void **unused)
{
    struct rig rig;
    struct client *a, *b, *c;

    (void)unused;
    rig_open(&rig, 1, NULL, "keys", "one=k1,two=k2", NULL);
    a = rig_connect(&rig, 0, WS, "yomo=1&id=a&publickey=k1");
    b = rig_connect(&rig, 0, WS, "yomo=1&id=b&publickey=k2");
    c = rig_connect(&rig, 0, WS, "yomo=1&id=c&publickey=k1");
    client_join(a, "r", NULL);
    client_join(b, "r", NULL);
    client_join(c, "r", NULL);
    client_forget(a);
    client_forget(b);
    client_forget(c);
    client_data(a, "r", "e", "1", YOMO_RELIABLE);
    expect_from(c, YO_OP_DATA, "a");
    expect_nothing(b);
    rig_close(&rig);
}

/* --- hooks ----------------------------------------------------------------------- */

static char story[1024];

static void tell(const char *what, const yomo_member *member)
{
    size_t used = strlen(story);

    snprintf(story + used, sizeof(story) - used, "%s %s@%s/%s;", what,
             yomo_member_id(member), yomo_member_app(member), yomo_member_room(member));
}

static int32_t on_join(void *user, const yomo_member *member)
{
    (void)user;
    tell("join", member);
    return strcmp(yomo_member_room(member), "closed") == 0 ? YOMO_ERR_DENIED : YOMO_OK;
}

static void on_leave(void *user, const yomo_member *member)
{
    (void)user;
    tell("leave", member);
}

static int32_t on_message(void *user, const yomo_member *member, const char *event,
                          const void *data, size_t size, int32_t encoding)
{
    (void)user;
    (void)member;
    assert_int_equal(encoding, YOMO_JSON);
    assert_text(yo_span(data, size), "{\"x\":1}");
    return strcmp(event, "bad") == 0 ? YOMO_ERR_DENIED : YOMO_OK;
}

static const yomo_server_callbacks hooks = {.size = sizeof(hooks),
                                            .on_join = on_join,
                                            .on_leave = on_leave,
                                            .on_message = on_message};

static void hooks_come_in_pairs_and_their_no_is_told(void **unused)
{
    struct rig rig;
    struct client *a, *b;
    struct heard *heard;

    (void)unused;
    story[0] = '\0';
    rig_open(&rig, 2, &hooks, "members-max", "1", NULL);
    a = native(&rig, 0, WS, "a");
    client_join(a, "closed", NULL);
    heard = expect_op(a, YO_OP_ERROR);
    assert_int_equal(heard->message.code, YOMO_ERR_DENIED);
    client_join(a, "open", NULL);
    expect_op(a, YO_OP_CHANNEL_JOIN);
    b = native(&rig, 1, WS, "b");
    client_join(b, "open", NULL); /* allowed by the hook, and then there is no room */
    heard = expect_op(b, YO_OP_ERROR);
    assert_int_equal(heard->message.code, YOMO_ERR_FULL);
    client_close(a);
    assert_string_equal(story, "join a@default/closed;join a@default/open;"
                               "join b@default/open;leave b@default/open;"
                               "leave a@default/open;");
    rig_close(&rig);
}

static void the_message_hook_reads_both_shapes_and_may_refuse(void **unused)
{
    struct rig rig;
    struct client *a, *b;
    struct heard *heard;
    struct yo_message message = {
        .op = YO_OP_DATA, .channel = yo_span_of("r"), .number = 9};

    (void)unused;
    rig_open(&rig, 1, &hooks, NULL);
    a = member(&rig, 0, WS, "a", "r");
    b = member(&rig, 0, WS, "b", "r");
    client_forget(a);
    client_data(a, "r", "good", "{\"x\":1}", YOMO_RELIABLE);
    expect_from(b, YO_OP_DATA, "a");
    /* 2.2.0: {event, state:{id}, payload:{x:1}} */
    message.payload =
        bytes_hex("83a56576656e74a3637572a5737461746581a26964a5616c696365a77"
                  "061796c6f616481a17801");
    client_send(a, &message);
    expect_from(b, YO_OP_DATA, "a");
    expect_op(a, YO_OP_ACK);
    message.payload = bytes_hex("82a56576656e74a3626164a464617461a77b2278223a317d");
    client_send(a, &message);
    expect_nothing(b);
    heard = expect_op(a, YO_OP_ERROR);
    assert_int_equal(heard->message.code, YOMO_ERR_DENIED);
    assert_int_equal(rig_count(&rig, dropped_denied), 1);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello_tells_limits_and_a_session),
        cmocka_unit_test(a_snapshot_comes_before_the_changes_after_it),
        cmocka_unit_test(each_class_takes_its_way),
        cmocka_unit_test(what_is_too_big_for_a_datagram_goes_by_stream),
        cmocka_unit_test(leaving_gives_the_rooms_stream_back),
        cmocka_unit_test(a_number_is_confirmed),
        cmocka_unit_test(joining_again_after_leaving_at_once_ends_well),
        cmocka_unit_test(rooms_live_on_all_workers_and_end_with_their_last_member),
        cmocka_unit_test(applications_do_not_hear_each_other),
        cmocka_unit_test(hooks_come_in_pairs_and_their_no_is_told),
        cmocka_unit_test(the_message_hook_reads_both_shapes_and_may_refuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
