/* SPDX-License-Identifier: MIT */
/* test_park.c - a connection breaks: the seat is kept for the grace time, the others
 * hear of it, and all that is kept has a bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "rig.h"
#include "wire/decode.h"

#define WS YOMO_TRANSPORT_WEBSOCKET
#define WT YOMO_TRANSPORT_WEBTRANSPORT

static struct client *come(struct rig *rig, uint32_t worker, const char *id,
                           const char *room)
{
    char query[64];
    snprintf(query, sizeof(query), "yomo=1&id=%s", id);
    struct client *client = rig_connect(rig, worker, WS, query);
    client_join(client, room, NULL);
    client_forget(client);
    return client;
}

static size_t count(struct client *client, enum yo_op op)
{
    struct heard *heard;
    size_t n = 0;
    while ((heard = client_next(client)) != NULL) {
        n += heard->message.op == op;
    }
    return n;
}

/* Until `client` has heard `op`, at most ten seconds. */
static void await(struct rig *rig, struct client *client, enum yo_op op)
{
    time_t end = time(NULL) + 10;
    while (count(client, op) == 0) {
        assert_true(time(NULL) < end);
        rig_settle(rig);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

static void a_broken_member_is_stale_and_then_gone(uint32_t workers)
{
    struct rig rig;
    rig_open(&rig, workers, NULL, "grace-time", "60ms", NULL);
    struct client *bob = come(&rig, 0, "bob", "r");
    struct client *page = rig_connect(&rig, 0, WS, "id=page");
    client_join(page, "r", NULL);
    struct client *alice = come(&rig, workers - 1, "alice", "r");
    client_forget(bob);
    client_forget(page);
    client_break(alice);
    struct heard *heard = expect_from(bob, YO_OP_PEER_STALE, "alice");
    assert_true(heard->message.session != 0 && heard->message.sequence != 0);
    assert_false(heard->message.payload.data);
    expect_nothing(bob);
    expect_nothing(page);
    assert_int_equal(rig_count(&rig, parked), 1);
    assert_int_equal(rig_count(&rig, members), 3);
    await(&rig, bob, YO_OP_PEER_OFFLINE);
    assert_int_equal(count(page, YO_OP_PEER_OFFLINE), 1);
    assert_int_equal(rig_count(&rig, parked), 0);
    assert_int_equal(rig_count(&rig, parked_over), 1);
    assert_int_equal(rig_count(&rig, members), 2);
    rig_close(&rig);
}

static void at_one_worker_and_at_two(void **unused)
{
    (void)unused;
    a_broken_member_is_stale_and_then_gone(1);
    a_broken_member_is_stale_and_then_gone(2);
}

static void a_farewell_and_presencejs_leave_at_once(void **unused)
{
    struct rig rig;
    (void)unused;
    rig_open(&rig, 1, NULL, NULL);
    struct client *bob = come(&rig, 0, "bob", "r");
    struct client *alice = come(&rig, 0, "alice", "r");
    struct client *page = rig_connect(&rig, 0, WT, "id=page");
    client_join(page, "r", NULL);
    client_forget(bob);
    client_close(alice);
    expect_from(bob, YO_OP_PEER_OFFLINE, "alice");
    client_break(page);
    expect_from(bob, YO_OP_PEER_OFFLINE, "page");
    expect_nothing(bob);
    assert_int_equal(rig_count(&rig, parked), 0);
    rig_close(&rig);
}

static void without_a_grace_time_there_is_none(void **unused)
{
    struct rig rig;
    (void)unused;
    rig_open(&rig, 1, NULL, "grace-time", "0s", NULL);
    struct client *bob = come(&rig, 0, "bob", "r");
    struct client *alice = come(&rig, 0, "alice", "r");
    client_forget(bob);
    client_break(alice);
    expect_from(bob, YO_OP_PEER_OFFLINE, "alice");
    expect_nothing(bob);
    rig_close(&rig);
}

/* What a snapshot says of `id`: 1 stale, 0 not, -1 not there. */
static int stale_in(struct client *client, const char *id)
{
    struct heard *heard;
    int found = -1;
    while ((heard = client_next(client)) != NULL) {
        struct yo_mp_reader reader;
        uint32_t n = 0;
        if (heard->message.op != YO_OP_SNAPSHOT) {
            continue;
        }
        assert_int_equal(yo_members_init(&reader, heard->message.members, &n), YOMO_OK);
        for (uint32_t i = 0; i < n; i++) {
            struct yo_wire_member member;
            assert_int_equal(yo_members_next(&reader, &member), YOMO_OK);
            if (yo_span_is(member.peer, id)) {
                found = member.stale;
            }
        }
    }
    return found;
}

static void one_who_comes_sees_who_is_stale(void **unused)
{
    struct rig rig;
    (void)unused;
    rig_open(&rig, 2, NULL, NULL);
    struct client *bob = come(&rig, 0, "bob", "r");
    struct client *alice = come(&rig, 1, "alice", "r");
    (void)bob;
    client_break(alice);
    struct client *carol = rig_connect(&rig, 1, WS, "yomo=1&id=carol");
    client_join(carol, "r", NULL);
    assert_int_equal(stale_in(carol, "alice"), 1);
    struct client *dave = rig_connect(&rig, 1, WS, "yomo=1&id=dave");
    client_join(dave, "r", NULL);
    assert_int_equal(stale_in(dave, "bob"), 0);
    rig_close(&rig); /* with one that is parked */
}

/* The server itself ends a receiver that is too slow: it may come back too. */
static void one_that_is_too_slow_is_parked(void **unused)
{
    struct rig rig;
    char json[2000];
    (void)unused;
    rig_open(&rig, 1, NULL, "queue-size", "4k", NULL);
    struct client *bob = come(&rig, 0, "bob", "r");
    struct client *alice = come(&rig, 0, "alice", "r");
    client_forget(bob);
    alice->room = 0;
    memset(json, '1', sizeof(json));
    json[sizeof(json) - 1] = '\0';
    for (int i = 0; i < 4; i++) {
        client_data(bob, "r", "e", json, YOMO_RELIABLE);
    }
    assert_true(alice->closing);
    assert_int_equal(alice->why.code, YO_CODE_SLOW);
    rig_settle(&rig);
    assert_int_equal(count(bob, YO_OP_PEER_STALE), 1);
    assert_int_equal(rig_count(&rig, parked), 1);
    assert_int_equal(rig_count(&rig, connections_websocket), 1);
    rig_close(&rig);
}

static void there_is_a_bound_for_how_many(void **unused)
{
    struct rig rig;
    (void)unused;
    rig_open(&rig, 1, NULL, "parked-max", "99", NULL); /* one more, for rounding */
    struct client *bob = come(&rig, 0, "bob", "r");
    for (int i = 0; i < 1000; i++) {
        char id[16];
        snprintf(id, sizeof(id), "u%d", i);
        client_break(come(&rig, 0, id, "r"));
        client_forget(bob);
    }
    assert_int_equal(rig_count(&rig, parked), 100);
    assert_int_equal(rig_count(&rig, parked_evicted), 900);
    assert_int_equal(rig_count(&rig, members), 101);
    struct client *carol = rig_connect(&rig, 0, WS, "yomo=1&id=carol");
    client_join(carol, "r", NULL);
    struct client *dave = rig_connect(&rig, 0, WS, "yomo=1&id=dave");
    client_join(dave, "r", NULL);
    assert_int_equal(stale_in(carol, "u899"), -1); /* the oldest gave way */
    assert_int_equal(stale_in(dave, "u900"), 1);
    rig_close(&rig);
}

static void say_latest(struct client *client, int key, const char *text)
{
    char name[16];
    struct yo_buf payload;
    yo_buf_init(&payload, &yo_mem_libc);
    snprintf(name, sizeof(name), "k%d", key);
    assert_int_equal(
        yo_content_write(&payload, yo_span_of("e"), YOMO_BYTES, yo_span_of(text)),
        YOMO_OK);
    client_send(client, &(struct yo_message){.op = YO_OP_DATA,
                                             .channel = yo_span_of("r"),
                                             .payload = yo_buf_span(&payload),
                                             .delivery = YOMO_LATEST,
                                             .key = yo_span_of(name),
                                             .version = 1});
    yo_buf_finish(&payload);
}

static void there_is_a_bound_for_their_bytes(void **unused)
{
    struct rig rig;
    char text[1000];
    (void)unused;
    rig_open(&rig, 1, NULL, "parked-size", "32k", NULL);
    struct client *bob = come(&rig, 0, "bob", "r");
    for (int i = 0; i < 8; i++) {
        char id[16];
        snprintf(id, sizeof(id), "u%d", i);
        client_break(come(&rig, 0, id, "r"));
    }
    assert_int_equal(rig_count(&rig, parked), 8);
    memset(text, '1', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    for (int key = 0; key < 40; key++) { /* values wait for all of them */
        say_latest(bob, key, text);
        rig_settle(&rig);
        assert_true(rig_worker(&rig, 0)->park.count <= 1 ||
                    rig_worker(&rig, 0)->park.bytes <= 32 * 1024);
    }
    assert_int_equal(rig_count(&rig, parked), 1);
    assert_int_equal(rig_count(&rig, parked_evicted), 7);
    for (int key = 0; key < 40; key++) { /* what is RELIABLE does not wait */
        client_data(bob, "r", "e", "1", YOMO_RELIABLE);
    }
    assert_int_equal(rig_count(&rig, parked), 1);
    rig_close(&rig);
}

static void note_left(void *user, const yomo_member *m)
{
    (void)m;
    ++*(int *)user;
}

static void the_host_hears_of_leaving_when_the_grace_time_is_over(void **unused)
{
    struct rig rig;
    int left = 0;
    const yomo_server_callbacks hooks = {.size = sizeof(hooks), .on_leave = note_left};
    const char *const settings[] = {"grace-time", "40ms", NULL};
    (void)unused;
    rig_open_with(&rig, NULL, 1, &hooks, &left, settings);
    struct client *bob = come(&rig, 0, "bob", "r");
    struct client *alice = come(&rig, 0, "alice", "r");
    client_break(alice);
    assert_int_equal(left, 0);
    await(&rig, bob, YO_OP_PEER_OFFLINE);
    assert_int_equal(left, 1);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_one_worker_and_at_two),
        cmocka_unit_test(a_farewell_and_presencejs_leave_at_once),
        cmocka_unit_test(without_a_grace_time_there_is_none),
        cmocka_unit_test(one_who_comes_sees_who_is_stale),
        cmocka_unit_test(one_that_is_too_slow_is_parked),
        cmocka_unit_test(there_is_a_bound_for_how_many),
        cmocka_unit_test(there_is_a_bound_for_their_bytes),
        cmocka_unit_test(the_host_hears_of_leaving_when_the_grace_time_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
