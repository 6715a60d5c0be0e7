/* SPDX-License-Identifier: MIT */
/* Observers: they hear a room, and nobody hears of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "rig.h"
#include "wire/decode.h"

#define WS YOMO_TRANSPORT_WEBSOCKET

static struct client *come(struct rig *rig, uint32_t worker, const char *query)
{
    struct client *client = rig_connect(rig, worker, WS, query);

    expect_op(client, YO_OP_HELLO);
    return client;
}

static void observe(struct client *client, const char *room)
{
    const struct yo_message join = {.op = YO_OP_CHANNEL_JOIN,
                                    .channel = yo_span_of(room),
                                    .payload =
                                        yo_span("\x80", 1), /* counts for nothing */
                                    .observe = true};

    client_send(client, &join);
}

static uint32_t page_size(struct heard *heard)
{
    struct yo_mp_reader reader;
    uint32_t count;

    assert_int_equal(yo_members_init(&reader, heard->message.members, &count), YOMO_OK);
    return count;
}

static void join(struct client *client, uint32_t others)
{
    client_join(client, "r", NULL);
    assert_false(expect_op(client, YO_OP_CHANNEL_JOIN)->message.observe);
    assert_int_equal(page_size(expect_op(client, YO_OP_SNAPSHOT)), others);
}

static void observers_hear_and_are_not_seen(void **state)
{
    struct rig rig;
    struct client *a, *b, *o, *page;

    (void)state;
    rig_open(&rig, 2, NULL, NULL);
    a = come(&rig, 0, "yomo=1&id=a");
    b = come(&rig, 1, "yomo=1&id=b");
    o = come(&rig, 1, "yomo=1&id=o");
    page = rig_connect(&rig, 0, WS, "id=page");
    join(a, 0);
    observe(o, "r");
    assert_true(expect_op(o, YO_OP_CHANNEL_JOIN)->message.observe);
    assert_int_equal(page_size(expect_op(o, YO_OP_SNAPSHOT)), 1);
    expect_nothing(a);
    assert_int_equal(rig_count(&rig, members), 1);
    assert_int_equal(rig_count(&rig, observers), 1);

    join(b, 1);
    expect_from(o, YO_OP_PEER_ONLINE, "b");
    client_forget(a);
    client_join(page, "r", NULL);
    expect_from(o, YO_OP_PEER_ONLINE, "page");
    expect_op(page, YO_OP_CHANNEL_JOIN);
    expect_from(page, YO_OP_PEER_STATE, "b");
    expect_from(page, YO_OP_PEER_STATE, "a");
    expect_nothing(page);
    client_forget(a);
    client_forget(b);

    client_data(a, "r", "e", "1", YOMO_RELIABLE);
    expect_from(o, YO_OP_DATA, "a");
    client_forget(b);
    client_forget(page);
    client_data(o, "r", "e", "2", YOMO_RELIABLE); /* it may say something */
    expect_from(a, YO_OP_DATA, "o");
    expect_from(b, YO_OP_DATA, "o");
    expect_from(page, YO_OP_DATA, "o");
    expect_nothing(o);
    client_state(o, "r", "{}");
    assert_int_equal(expect_op(o, YO_OP_ERROR)->message.code, YOMO_ERR_DENIED);
    client_leave(o, "r");
    expect_op(o, YO_OP_CHANNEL_LEAVE);
    expect_nothing(a);
    expect_nothing(page);
    assert_int_equal(rig_count(&rig, observers), 0);
    join(o, 3); /* as any other now */
    expect_from(a, YO_OP_PEER_ONLINE, "o");
    rig_close(&rig);
}

static void observers_keep_a_room(void **state)
{
    struct rig rig;
    struct client *a, *o;

    (void)state;
    rig_open(&rig, 1, NULL, "room-linger", "0", NULL);
    a = come(&rig, 0, "yomo=1&id=a");
    o = come(&rig, 0, "yomo=1&id=o");
    observe(o, "r");
    assert_int_equal(
        page_size((expect_op(o, YO_OP_CHANNEL_JOIN), expect_op(o, YO_OP_SNAPSHOT))), 0);
    assert_int_equal(rig_count(&rig, rooms), 1);
    join(a, 0);
    expect_from(o, YO_OP_PEER_ONLINE, "a");
    client_leave(a, "r");
    expect_from(o, YO_OP_PEER_OFFLINE, "a");
    assert_int_equal(rig_count(&rig, rooms), 1);
    client_close(o);
    rig_settle(&rig);
    assert_int_equal(rig_count(&rig, observers), 0);
    rig_close(&rig);
}

static void each_kind_has_its_own_bound(void **state)
{
    struct rig rig;
    struct client *clients[4];

    (void)state;
    rig_open(&rig, 1, NULL, "members-max", "1", "observers-max", "1", NULL);
    for (int i = 0; i < 4; i++) {
        clients[i] = come(&rig, 0, "yomo=1&id=x");
    }
    observe(clients[0], "r");
    expect_op(clients[0], YO_OP_CHANNEL_JOIN);
    observe(clients[1], "r");
    assert_int_equal(expect_op(clients[1], YO_OP_ERROR)->message.code, YOMO_ERR_FULL);
    join(clients[2], 0);
    client_join(clients[3], "r", NULL);
    assert_int_equal(expect_op(clients[3], YO_OP_ERROR)->message.code, YOMO_ERR_FULL);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(observers_hear_and_are_not_seen),
        cmocka_unit_test(observers_keep_a_room),
        cmocka_unit_test(each_kind_has_its_own_bound),
    };
    return cmocka_run_group_tests_name("server/observers", tests, NULL, NULL);
}
