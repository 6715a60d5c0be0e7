/* SPDX-License-Identifier: MIT */
/* test_presencejs.c - what an unmodified @yomo/presence 2.2.x page meets, byte for byte
 * where it matters, and the defects of the backend that it was written for: none of
 * them may appear here. */
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

/* What the published 2.2.18 client sends: channel room-1, state {id:"alice",name:"A"}.
 */
#define JOIN                                                                           \
    "84a174a7636f6e74726f6ca26f70ac6368616e6e656c5f6a6f696ea163a6726f6f6d2d31a2706cc4" \
    "1182a26964a5616c696365a46e616d65a141"
#define ONLINE "83a174a7636f6e74726f6ca26f70ab706565725f6f6e6c696e65a163a6726f6f6d2d31"
#define LEAVE "83a174a7636f6e74726f6ca26f70ac706565725f6f66666c696e65a163a6726f6f6d2d31"
#define DATA                                                                           \
    "83a174a464617461a163a6726f6f6d2d31a2706cc41882a56576656e74a3637572a464617461a77b" \
    "22"                                                                               \
    "78223a317d"
/* What the server sends. */
#define ACK                                                                            \
    "85a174a7636f6e74726f6ca26f70ac6368616e6e656c5f6a6f696ea163a6726f6f6d2d31a170a0a4" \
    "6d"                                                                               \
    "657368a3646576"
#define RELAYED                                                                        \
    "85a174a464617461a163a6726f6f6d2d31a2706cc41882a56576656e74a3637572a464617461a77b" \
    "22"                                                                               \
    "78223a317da170a5616c696365a46d657368a3646576"

static void say_hex(struct client *client, const char *hex)
{
    client_say(client, client->datagram_max > 0 ? YO_LANE_DATAGRAM : YO_LANE_CONTROL,
               bytes_hex(hex));
    rig_settle(client->rig);
}

static void expect_bytes(struct client *client, const char *hex)
{
    struct heard *heard = client_next(client);

    assert_non_null(heard);
    assert_hex(yo_blob_span(heard->blob), hex);
}

static struct client *page(struct rig *rig, uint32_t worker,
                           enum yomo_transport_kind kind, const char *id,
                           const char *room)
{
    char query[64], state[64];
    struct client *client;

    snprintf(query, sizeof(query), "publickey=k&id=%s", id);
    snprintf(state, sizeof(state), "{\"id\":\"%s\"}", id);
    client = rig_connect(rig, worker, kind, query);
    client_join(client, room, state);
    /* Its session repeats it until the page has answered; nobody else does. */
    assert_int_equal(expect_op(client, YO_OP_CHANNEL_JOIN)->token, 0);
    return client;
}

static void the_ack_and_a_relayed_message_are_as_the_page_knows_them(void **unused)
{
    struct rig rig;
    struct client *alice, *bob;

    (void)unused;
    rig_open(&rig, 1, NULL, NULL);
    alice = rig_connect(&rig, 0, WS, "publickey=k&id=alice");
    expect_nothing(alice);
    say_hex(alice, JOIN);
    expect_bytes(alice, ACK);
    expect_nothing(alice);
    bob = page(&rig, 0, WS, "bob", "room-1");
    expect_from(bob, YO_OP_PEER_STATE, "alice");
    client_forget(alice);
    say_hex(alice, ONLINE);
    say_hex(alice, DATA);
    expect_bytes(bob, RELAYED);
    expect_nothing(bob);
    expect_nothing(alice); /* not to the sender */
    rig_close(&rig);
}

static void datagrams_carry_the_same(void **unused)
{
    struct rig rig;
    struct client *alice, *bob;
    struct heard *heard;

    (void)unused;
    rig_open(&rig, 1, NULL, NULL);
    alice = rig_connect(&rig, 0, WT, "publickey=k&id=alice");
    say_hex(alice, JOIN);
    heard = client_next(alice);
    assert_non_null(heard);
    assert_hex(yo_blob_span(heard->blob), ACK);
    assert_int_equal(heard->lane, YO_LANE_DATAGRAM);
    assert_int_equal(heard->token, 0); /* its session says it again, as page() knows */
    bob = page(&rig, 0, WT, "bob", "room-1");
    say_hex(alice, DATA);
    expect_from(bob, YO_OP_PEER_STATE, "alice");
    heard = expect_from(bob, YO_OP_DATA, "alice");
    assert_int_equal(heard->lane, YO_LANE_DATAGRAM);
    rig_close(&rig);
}

static void a_lost_state_is_sent_again_unless_there_is_a_newer_one(void **unused)
{
    struct rig rig;
    struct client *alice, *bob;
    uint64_t first, second;

    (void)unused;
    rig_open(&rig, 1, NULL, NULL);
    alice = page(&rig, 0, WS, "alice", "r");
    bob = page(&rig, 0, WT, "bob", "r");
    first = expect_from(bob, YO_OP_PEER_STATE, "alice")->token;
    bob->conn.events->on_fate(bob->conn.user, &bob->conn, first, YO_FATE_LOST, 0);
    rig_settle(&rig);
    first = expect_from(bob, YO_OP_PEER_STATE, "alice")->token;
    client_state(alice, "r", "{\"id\":\"alice\",\"x\":2}");
    expect_nothing(bob); /* two datagrams might change places */
    bob->conn.events->on_fate(bob->conn.user, &bob->conn, first, YO_FATE_LOST, 0);
    rig_settle(&rig);
    second = expect_from(bob, YO_OP_PEER_STATE, "alice")->token;
    bob->conn.events->on_fate(bob->conn.user, &bob->conn, second, YO_FATE_ACKED, 0);
    rig_settle(&rig);
    expect_nothing(bob);
    rig_close(&rig);
}

static void the_server_answers_for_everybody(void **unused)
{
    struct rig rig;
    struct client *a, *b, *c;

    (void)unused;
    rig_open(&rig, 2, NULL, NULL);
    a = page(&rig, 0, WS, "a", "r");
    b = page(&rig, 1, WS, "b", "r");
    expect_from(b, YO_OP_PEER_STATE, "a");
    expect_from(a, YO_OP_PEER_STATE, "b");
    c = page(&rig, 0, WS, "c", "r");
    expect_from(c, YO_OP_PEER_STATE, "b"); /* the newest active first */
    expect_from(c, YO_OP_PEER_STATE, "a");
    expect_nothing(c);
    client_forget(a);
    client_forget(b);
    /* What the page does next: the others have it all already. */
    client_send(
        c, &(struct yo_message){.op = YO_OP_PEER_ONLINE, .channel = yo_span_of("r")});
    client_state(c, "r", "{\"id\":\"c\"}");
    expect_nothing(a);
    expect_nothing(b);
    expect_nothing(c);
    client_state(c, "r", "{\"id\":\"c\",\"n\":1}");
    expect_from(a, YO_OP_PEER_STATE, "c");
    expect_from(b, YO_OP_PEER_STATE, "c");
    expect_nothing(a);
    rig_close(&rig);
}

static void only_so_many_peers_are_told(void **unused)
{
    struct rig rig;
    struct client *last;

    (void)unused;
    rig_open(&rig, 1, NULL, "legacy-members-max", "3", NULL);
    for (int i = 0; i < 6; i++) {
        char id[8];
        snprintf(id, sizeof(id), "m%d", i);
        client_forget(page(&rig, 0, WS, id, "r"));
    }
    last = page(&rig, 0, WS, "last", "r");
    expect_from(last, YO_OP_PEER_STATE, "m5");
    expect_from(last, YO_OP_PEER_STATE, "m4");
    expect_from(last, YO_OP_PEER_STATE, "m3");
    expect_nothing(last);
    rig_close(&rig);
}

static void a_room_full_of_peers_comes_in_paces(void **unused)
{
    struct rig rig;
    struct client *last;
    size_t at_once = 0, all = 0;
    uint64_t end = yo_wall_ms() + 10000;

    (void)unused;
    rig_open(&rig, 1, NULL, NULL);
    for (int i = 0; i < 40; i++) {
        char id[8];
        snprintf(id, sizeof(id), "m%d", i);
        client_forget(page(&rig, 0, WS, id, "r"));
    }
    last = rig_connect(&rig, 0, WT, "id=last");
    client_join(last, "r", "{\"id\":\"last\"}");
    expect_op(last, YO_OP_CHANNEL_JOIN);
    while (client_next(last)) {
        at_once++;
    }
    assert_true(at_once < 40);
    for (all = at_once; all < 40 && yo_wall_ms() < end; rig_settle(&rig)) {
        while (client_next(last)) {
            all++;
        }
    }
    assert_int_equal(all, 40);
    rig_close(&rig);
}

/* facts 1.3, 4: the other backend keeps no order even on one WebSocket. */
static void one_senders_messages_keep_their_order(void **unused)
{
    struct rig rig;
    struct client *a, *b;
    char json[16];

    (void)unused;
    rig_open(&rig, 2, NULL, NULL);
    a = page(&rig, 0, WS, "a", "r");
    b = page(&rig, 1, WS, "b", "r");
    client_forget(b);
    for (int i = 0; i < 200; i++) {
        snprintf(json, sizeof(json), "%d", i);
        client_data(a, "r", "e", json, YOMO_RELIABLE);
    }
    for (int i = 0; i < 200; i++) {
        struct heard *heard = expect_from(b, YO_OP_DATA, "a");
        struct yo_content content;
        snprintf(json, sizeof(json), "%d", i);
        assert_int_equal(yo_content_read(heard->message.payload, &content), YOMO_OK);
        assert_text(content.bytes, json);
    }
    rig_close(&rig);
}

/* facts 1.3, 3: one message over the packet's size stalls a member and those behind it.
 */
static void what_does_not_fit_into_a_datagram_stalls_nobody(void **unused)
{
    struct rig rig;
    struct client *a, *wt, *ws;
    char big[1600];

    (void)unused;
    rig_open(&rig, 1, NULL, NULL);
    a = page(&rig, 0, WS, "a", "r");
    wt = page(&rig, 0, WT, "wt", "r");
    ws = page(&rig, 0, WS, "ws", "r");
    client_forget(wt);
    client_forget(ws);
    memset(big, 'x', sizeof(big) - 1);
    big[0] = big[sizeof(big) - 2] = '"';
    big[sizeof(big) - 1] = '\0';
    client_data(a, "r", "big", big, YOMO_RELIABLE);
    client_data(a, "r", "small", "1", YOMO_RELIABLE);
    expect_from(ws, YO_OP_DATA, "a");
    expect_from(ws, YO_OP_DATA, "a");
    expect_from(wt, YO_OP_DATA, "a");
    expect_nothing(wt);
    assert_int_equal(rig_count(&rig, dropped_oversize), 1);
    /* And what such a page sends is refused when it comes. */
    client_data(wt, "r", "big", big, YOMO_UNRELIABLE);
    expect_nothing(ws);
    assert_int_equal(rig_count(&rig, dropped_too_big), 1);
    rig_close(&rig);
}

/* facts 1.3, 5: an empty datagram ends the other backend's process. */
static void an_empty_message_is_counted_and_harmless(void **unused)
{
    struct rig rig;
    struct client *a, *b;

    (void)unused;
    rig_open(&rig, 1, NULL, NULL);
    a = page(&rig, 0, WT, "a", "r");
    b = page(&rig, 0, WS, "b", "r");
    client_forget(b);
    client_say(a, YO_LANE_DATAGRAM, yo_span("", 0));
    rig_settle(&rig);
    assert_int_equal(rig_count(&rig, dropped_malformed), 1);
    client_data(a, "r", "e", "1", YOMO_UNRELIABLE);
    expect_from(b, YO_OP_DATA, "a");
    assert_false(a->closing);
    rig_close(&rig);
}

/* facts 1.3, 7: members are keyed by the id in their state, and must go by it. */
static void a_page_with_another_id_in_its_state_leaves_no_ghost(void **unused)
{
    struct rig rig;
    struct client *a, *b;

    (void)unused;
    rig_open(&rig, 1, NULL, NULL);
    b = page(&rig, 0, WS, "b", "r");
    a = rig_connect(&rig, 0, WS, "id=connection");
    client_join(a, "r", "{\"id\":\"shown\"}");
    expect_from(b, YO_OP_PEER_STATE, "shown");
    client_data(a, "r", "e", "1", YOMO_RELIABLE);
    expect_from(b, YO_OP_DATA, "shown");
    client_close(a);
    expect_from(b, YO_OP_PEER_OFFLINE, "shown");
    expect_nothing(b);
    rig_close(&rig);
}

static void
a_page_that_changes_its_id_is_one_that_goes_and_one_that_comes(void **unused)
{
    struct rig rig;
    struct client *a, *b;

    (void)unused;
    rig_open(&rig, 1, NULL, NULL);
    b = page(&rig, 0, WS, "b", "r");
    a = page(&rig, 0, WS, "a", "r");
    expect_from(b, YO_OP_PEER_STATE, "a");
    client_state(a, "r", "{\"id\":\"z\"}");
    expect_from(b, YO_OP_PEER_OFFLINE, "a");
    expect_from(b, YO_OP_PEER_STATE, "z");
    expect_nothing(b);
    rig_close(&rig);
}

static void two_devices_of_one_user_are_one_peer(void **unused)
{
    struct rig rig;
    struct client *b, *phone, *desk;

    (void)unused;
    rig_open(&rig, 2, NULL, NULL);
    b = page(&rig, 0, WS, "b", "r");
    phone = page(&rig, 0, WS, "u", "r");
    desk = page(&rig, 1, WT, "u", "r");
    expect_from(b, YO_OP_PEER_STATE, "u");
    expect_nothing(b); /* the same state */
    client_close(phone);
    expect_nothing(b);
    client_close(desk);
    expect_from(b, YO_OP_PEER_OFFLINE, "u");
    expect_nothing(b);
    rig_close(&rig);
}

static void leaving_tells_the_others_and_answers_nothing(void **unused)
{
    struct rig rig;
    struct client *alice, *bob;

    (void)unused;
    rig_open(&rig, 1, NULL, NULL);
    alice = rig_connect(&rig, 0, WS, "id=alice");
    say_hex(alice, JOIN);
    bob = page(&rig, 0, WS, "bob", "room-1");
    client_forget(bob);
    client_forget(alice);
    say_hex(alice, LEAVE);
    expect_from(bob, YO_OP_PEER_OFFLINE, "alice");
    expect_nothing(alice);
    client_data(bob, "room-1", "e", "1", YOMO_RELIABLE);
    expect_nothing(alice);
    say_hex(alice, DATA); /* not in the room any more */
    expect_nothing(bob);
    assert_int_equal(rig_count(&rig, dropped_not_joined), 1);
    rig_close(&rig);
}

static void rooms_never_joined_and_unknown_ops_change_nothing(void **unused)
{
    struct rig rig;
    struct client *a, *b;

    (void)unused;
    rig_open(&rig, 1, NULL, NULL);
    a = page(&rig, 0, WS, "a", "r");
    b = page(&rig, 0, WS, "b", "other");
    client_data(a, "other", "e", "1", YOMO_RELIABLE);
    client_leave(a, "other");
    expect_nothing(b);
    /* {t:"control", op:"channel_gone", c:"other"}, {t:"strange", c:"other"} */
    say_hex(a,
            "83a174a7636f6e74726f6ca26f70ac6368616e6e656c5f676f6e65a163a56f74686572");
    say_hex(a, "82a174a7737472616e6765a163a56f74686572");
    expect_nothing(a);
    expect_nothing(b);
    assert_false(a->closing);
    rig_close(&rig);
}

/* One malformed payload would end the read loop of every page in the room. */
static void a_malformed_payload_is_never_relayed(void **unused)
{
    static const char *const bad[] = {
        "83a174a464617461a163a172a2706cc40101",               /* an integer */
        "83a174a464617461a163a172a2706cc40180",               /* a map without event */
        "83a174a464617461a163a172a2706cc40182",               /* a map cut short */
        "83a174a464617461a163a172a2706cc40281a56576",         /* a key cut short */
        "83a174a464617461a163a172a2706cc400",                 /* empty */
        "82a174a464617461a163a172",                           /* none */
        "83a174a464617461a163a172a2706cc40881a56576656e7401", /* an event that is a
                                                                 number */
    };
    struct rig rig;
    struct client *a, *b;

    (void)unused;
    rig_open(&rig, 1, NULL, NULL);
    a = page(&rig, 0, WS, "a", "r");
    b = page(&rig, 0, WS, "b", "r");
    client_forget(b);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        say_hex(a, bad[i]);
        expect_nothing(b);
        assert_int_equal(rig_count(&rig, dropped_malformed), i + 1);
    }
    client_data(a, "r", "e", "1", YOMO_RELIABLE);
    expect_from(b, YO_OP_DATA, "a");
    rig_close(&rig);
}

static void a_page_never_sees_a_key_of_the_extension(void **unused)
{
    struct rig rig;
    struct client *native, *b;

    (void)unused;
    rig_open(&rig, 1, NULL, NULL);
    b = page(&rig, 0, WS, "bob", "room-1");
    native = rig_connect(&rig, 0, WT, "yomo=1&id=alice");
    expect_op(native, YO_OP_HELLO);
    client_join(native, "room-1", "{\"id\":\"alice\"}");
    expect_bytes(b,
                 "86a174a7636f6e74726f6ca26f70aa706565725f7374617465a163a6726f6f6d2d31"
                 "a2706cc40a81a26964a5616c696365a170a5616c696365a46d657368a3646576");
    client_data(native, "room-1", "cur", "{\"x\":1}", YOMO_RELIABLE);
    expect_bytes(b, RELAYED);
    client_data(native, "room-1", "cur", "{\"x\":1}", YOMO_LATEST);
    expect_bytes(b, RELAYED);
    client_close(native);
    expect_from(b, YO_OP_PEER_OFFLINE, "alice");
    expect_nothing(b);
    rig_close(&rig);
}

/* A member without a state would be an exception in the page's decoder. */
static void a_member_without_a_state_is_shown_by_its_id(void **unused)
{
    struct rig rig;
    struct client *native, *b;
    struct heard *heard;

    (void)unused;
    rig_open(&rig, 1, NULL, NULL);
    native = rig_connect(&rig, 0, WS, "yomo=1&id=n");
    client_join(native, "r", NULL);
    b = page(&rig, 0, WS, "b", "r");
    heard = expect_from(b, YO_OP_PEER_STATE, "n");
    assert_hex(heard->message.payload, "81a26964a16e");
    rig_close(&rig);
}

static void the_answer_has_the_headers_that_the_other_backend_sends(void **unused)
{
    struct rig rig;
    struct client *a;

    (void)unused;
    rig_open(&rig, 1, NULL, "mesh", "fra1", NULL);
    a = rig_connect(&rig, 0, WS, "publickey=k&id=a");
    assert_string_equal(a->headers,
                        "X-Prscd-Version: v2.0.0-alpha\nX-Prscd-MESHID: fra1\n");
    client_join(a, "r", NULL);
    assert_text(expect_op(a, YO_OP_CHANNEL_JOIN)->message.mesh, "fra1");
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ack_and_a_relayed_message_are_as_the_page_knows_them),
        cmocka_unit_test(datagrams_carry_the_same),
        cmocka_unit_test(a_lost_state_is_sent_again_unless_there_is_a_newer_one),
        cmocka_unit_test(the_server_answers_for_everybody),
        cmocka_unit_test(only_so_many_peers_are_told),
        cmocka_unit_test(a_room_full_of_peers_comes_in_paces),
        cmocka_unit_test(one_senders_messages_keep_their_order),
        cmocka_unit_test(what_does_not_fit_into_a_datagram_stalls_nobody),
        cmocka_unit_test(an_empty_message_is_counted_and_harmless),
        cmocka_unit_test(a_page_with_another_id_in_its_state_leaves_no_ghost),
        cmocka_unit_test(
            a_page_that_changes_its_id_is_one_that_goes_and_one_that_comes),
        cmocka_unit_test(two_devices_of_one_user_are_one_peer),
        cmocka_unit_test(leaving_tells_the_others_and_answers_nothing),
        cmocka_unit_test(rooms_never_joined_and_unknown_ops_change_nothing),
        cmocka_unit_test(a_malformed_payload_is_never_relayed),
        cmocka_unit_test(a_page_never_sees_a_key_of_the_extension),
        cmocka_unit_test(a_member_without_a_state_is_shown_by_its_id),
        cmocka_unit_test(the_answer_has_the_headers_that_the_other_backend_sends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
