/* SPDX-License-Identifier: MIT */
/* test_move.c - a session that goes on over another connection: at the same worker and
 * at another, and what must not work. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rig.h"

#define WS YOMO_TRANSPORT_WEBSOCKET
#define WT YOMO_TRANSPORT_WEBTRANSPORT

static struct client *arrive(struct rig *rig, uint32_t worker,
                             enum yomo_transport_kind kind, const char *id,
                             char token[80])
{
    char query[64];
    snprintf(query, sizeof(query), "yomo=1&id=%s", id);
    struct client *client = rig_connect(rig, worker, kind, query);
    struct heard *hello = client_next(client);
    assert_non_null(hello);
    assert_int_equal(hello->message.op, YO_OP_HELLO);
    assert_true(hello->message.token.size > 0 && hello->message.token.size < 80);
    if (token) {
        memcpy(token, hello->message.token.data, hello->message.token.size);
        token[hello->message.token.size] = '\0';
    }
    return client;
}

static void ask(struct rig *rig, struct client *client, const char *token)
{
    client_send(client,
                &(struct yo_message){.op = YO_OP_MOVE, .token = yo_span_of(token)});
    rig_settle(rig);
}

/* The last `moved` that it was sent: its code, and whether there was one at all. */
static int moved(struct client *client, bool *found)
{
    struct heard *heard;
    int code = 0;
    *found = false;
    while ((heard = client_next(client)) != NULL) {
        if (heard->message.op == YO_OP_MOVED) {
            *found = true;
            code = (int)heard->message.code;
        }
    }
    return code;
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

static void move_between(uint32_t workers, uint32_t from, uint32_t to,
                         enum yomo_transport_kind old_kind)
{
    struct rig rig;
    char token[80];
    bool found;
    rig_open(&rig, workers, NULL, NULL);
    struct client *other = arrive(&rig, 0, WS, "bob", NULL);
    client_join(other, "r", NULL);
    struct client *old = arrive(&rig, from, old_kind, "alice", token);
    client_join(old, "r", NULL);
    client_forget(other);
    client_forget(old);
    struct client *new = arrive(&rig, to, WS, "alice", NULL);
    ask(&rig, new, token);
    if (old_kind == WS) { /* not before its fence */
        (void)moved(new, &found);
        assert_false(found);
        client_send(old, &(struct yo_message){.op = YO_OP_MOVE});
        rig_settle(&rig);
        (void)moved(old, &found);
        assert_true(found);
        assert_true(old->closing);
    }
    assert_int_equal(moved(new, &found), 0);
    assert_true(found);
    client_data(new, "r", "e", "1", YOMO_RELIABLE);
    client_data(other, "r", "e", "2", YOMO_RELIABLE);
    rig_settle(&rig);
    assert_int_equal(count(new, YO_OP_DATA), 1);
    struct heard *heard = client_next(other); /* and nothing else */
    assert_non_null(heard);
    assert_int_equal(heard->message.op, YO_OP_DATA);
    assert_null(client_next(other));
    assert_int_equal(rig_count(&rig, moved), 1);
    assert_int_equal(rig_count(&rig, members), 2);
    client_close(new);
    rig_settle(&rig);
    assert_int_equal(count(other, YO_OP_PEER_OFFLINE), 1);
    rig_close(&rig);
}

static void at_one_worker(void **unused)
{
    (void)unused;
    move_between(1, 0, 0, WS);
}

static void from_worker_to_worker(void **unused)
{
    (void)unused;
    move_between(2, 0, 1, WS);
    move_between(2, 1, 0, WS);
    move_between(3, 1, 2, WS);
}

static void what_does_not_fit_is_refused_and_nothing_has_happened(void **unused)
{
    struct rig rig;
    char token[80], wrong[80];
    bool found;
    (void)unused;
    rig_open(&rig, 2, NULL, NULL);
    struct client *old = arrive(&rig, 0, WS, "alice", token);
    client_join(old, "r", NULL);
    client_forget(old);
    const char *const bad[] = {"", "x", "zz00000000000000", wrong};
    snprintf(wrong, sizeof(wrong), "%s", token);
    wrong[strlen(wrong) - 1] ^= 1; /* another digit, or none */
    for (size_t i = 1; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct client *new = arrive(&rig, 1, WS, "alice", NULL);
        ask(&rig, new, bad[i]);
        assert_int_equal(moved(new, &found), YOMO_ERR_NOT_FOUND);
        assert_true(found && !new->closing);
        client_join(new, "s", NULL); /* it is one like any other */
        assert_int_equal(count(new, YO_OP_SNAPSHOT), 1);
    }
    struct client *mallory = arrive(&rig, 1, WS, "mallory", NULL);
    ask(&rig, mallory, token);
    assert_int_equal(moved(mallory, &found), YOMO_ERR_NOT_FOUND);
    assert_true(found && !old->closing);
    /* A worker that is not there. */
    memcpy(wrong, token, strlen(token) + 1);
    memcpy(wrong + 16, "ffff", 4);
    ask(&rig, mallory, wrong);
    assert_int_equal(moved(mallory, &found), YOMO_ERR_NOT_FOUND);
    rig_close(&rig);
}

static void a_token_serves_once(void **unused)
{
    struct rig rig;
    char token[80];
    bool found;
    (void)unused;
    rig_open(&rig, 2, NULL, NULL);
    struct client *old = arrive(&rig, 0, WS, "alice", token);
    struct client *new = arrive(&rig, 1, WS, "alice", NULL);
    struct client *thief = arrive(&rig, 1, WS, "alice", NULL);
    ask(&rig, new, token);
    ask(&rig, thief, token); /* while it moves */
    assert_int_equal(moved(thief, &found), YOMO_ERR_NOT_FOUND);
    client_send(old, &(struct yo_message){.op = YO_OP_MOVE});
    rig_settle(&rig);
    assert_int_equal(moved(new, &found), 0);
    assert_true(found);
    ask(&rig, thief, token);
    assert_int_equal(moved(thief, &found), YOMO_ERR_NOT_FOUND);
    rig_close(&rig);
}

/* Either end goes away while the session waits to be moved. */
static void an_end_that_goes_in_the_middle(void **unused)
{
    struct rig rig;
    char token[80];
    bool found;
    (void)unused;
    rig_open(&rig, 2, NULL, NULL);
    struct client *other = arrive(&rig, 0, WS, "bob", NULL);
    client_join(other, "r", NULL);
    for (int round = 0; round < 2; round++) {
        struct client *old = arrive(&rig, 0, WS, "alice", token);
        client_join(old, "r", NULL);
        struct client *new = arrive(&rig, 1, WS, "alice", NULL);
        ask(&rig, new, token);
        client_forget(other);
        if (round == 0) {
            client_close(old);
            rig_settle(&rig);
            assert_int_equal(moved(new, &found), YOMO_ERR_NOT_FOUND);
            assert_true(found);
        } else { /* nobody is left to take the seat */
            client_close(new);
            rig_settle(&rig);
            client_send(old, &(struct yo_message){.op = YO_OP_MOVE});
            rig_settle(&rig);
        }
        assert_int_equal(count(other, YO_OP_PEER_OFFLINE), 1);
        assert_int_equal(rig_count(&rig, members), 1);
    }
    rig_close(&rig);
}

static void a_server_that_ends_in_the_middle(void **unused)
{
    struct rig rig;
    char token[80];
    (void)unused;
    rig_open(&rig, 2, NULL, NULL);
    struct client *old = arrive(&rig, 0, WS, "alice", token);
    client_join(old, "r", NULL);
    struct client *new = arrive(&rig, 1, WS, "alice", NULL);
    ask(&rig, new, token); /* and no fence comes */
    rig_close(&rig);
}

/* What was sent and not acknowledged goes first, then what waited by its priority: a
 * receiver that drops by `q` within each priority loses nothing. */
static void nothing_is_lost_or_overtaken_within_a_priority(void **unused)
{
    static const enum yomo_priority sent[] = {
        YOMO_URGENT, YOMO_BULK,   YOMO_NORMAL, /* taken by the transport */
        YOMO_BULK,   YOMO_NORMAL, YOMO_URGENT, YOMO_BULK, YOMO_URGENT};
    static const uint8_t payload[] = {0x82, 0xa5, 'e', 'v', 'e', 'n', 't',  0xa1,
                                      'e',  0xa4, 'd', 'a', 't', 'a', 0xa1, '1'};
    const size_t taken = 3, all = sizeof(sent) / sizeof(sent[0]);
    uint64_t last[3] = {0};
    struct heard *heard;
    struct rig rig;
    char token[80];
    size_t got = 0;
    (void)unused;
    rig_open(&rig, 2, NULL, NULL);
    struct client *bob = arrive(&rig, 0, WS, "bob", NULL);
    client_join(bob, "r", NULL);
    struct client *old = arrive(&rig, 0, WT, "alice", token);
    client_join(old, "r", NULL);
    client_reclaims(old);
    client_forget(old);
    for (size_t i = 0; i < all; i++) {
        old->room = i < taken ? SIZE_MAX : 0;
        client_send(bob,
                    &(struct yo_message){.op = YO_OP_DATA,
                                         .channel = yo_span_of("r"),
                                         .payload = yo_span(payload, sizeof(payload)),
                                         .priority = sent[i]});
        rig_settle(&rig);
    }
    struct client *new = arrive(&rig, 1, WS, "alice", NULL);
    ask(&rig, new, token);
    while ((heard = client_next(new)) != NULL) {
        enum yomo_priority priority = heard->message.priority;
        if (heard->message.op != YO_OP_DATA) {
            continue;
        }
        assert_true(heard->message.sequence > last[priority]);
        last[priority] = heard->message.sequence;
        if (got < taken) {
            assert_int_equal(priority, sent[got]);
        } else if (got < taken + 2) {
            assert_int_equal(priority, YOMO_URGENT);
        }
        got++;
    }
    assert_int_equal(got, all);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_one_worker),
        cmocka_unit_test(from_worker_to_worker),
        cmocka_unit_test(what_does_not_fit_is_refused_and_nothing_has_happened),
        cmocka_unit_test(a_token_serves_once),
        cmocka_unit_test(an_end_that_goes_in_the_middle),
        cmocka_unit_test(nothing_is_lost_or_overtaken_within_a_priority),
        cmocka_unit_test(a_server_that_ends_in_the_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
