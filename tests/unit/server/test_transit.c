/* SPDX-License-Identifier: MIT */
/* test_transit.c - a session on its way from one connection to another whose client
 * breaks off in the middle, and is back with a third one: at each step of the way,
 * since the workers are turned one at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "comeback.h"
#include "support/fault.h"

#define STEPS 5

struct stage {
    struct rig rig;
    struct client *bob, *alice, *second, *third;
    char token[TOKEN_MAX];
    uint64_t place, other;
};

/* The same without letting anything happen after it. */
static void tell(struct client *client, const struct yo_message *message)
{
    struct yo_buf out;
    yo_buf_init(&out, &yo_mem_libc);
    assert_int_equal(yo_encode(&out, YO_DIALECT_YOMO, message), YOMO_OK);
    client_say(client, YO_LANE_CONTROL, yo_buf_span(&out));
    yo_buf_finish(&out);
}

static void snap(struct client *client)
{
    if (client->closed) {
        return;
    }
    client->closing = client->closed = true;
    client->why = (struct yo_close){
        .kind = YO_CLOSE_RETRY, .error = YOMO_ERR_CLOSED, .remote = true};
    client->conn.events->on_closed(
        client->conn.user, &client->conn, &client->why,
        yo_loop_now(rig_worker(client->rig, client->worker)->loop));
}

static void turn(struct rig *rig, uint32_t worker)
{
    assert_true(yo_loop_turn(rig_worker(rig, worker)->loop));
}

static void come_back(struct stage *stage, struct client *client)
{
    const struct {
        const char *room;
        uint64_t place;
    } rooms[] = {{"r", stage->place}, {"q", stage->other}};
    for (int i = 0; i < 2; i++) {
        tell(client, &(struct yo_message){.op = YO_OP_RESUME,
                                          .channel = yo_span_of(rooms[i].room),
                                          .sequence = rooms[i].place});
    }
    tell(client,
         &(struct yo_message){.op = YO_OP_RESUME, .token = yo_span_of(stage->token)});
}

static void open_stage_with(struct stage *stage, const struct yomo_mem *mem,
                            uint32_t from, enum yomo_transport_kind kind,
                            uint32_t second, uint32_t third)
{
    struct rig *rig = &stage->rig;
    rig_open_with(rig, mem, 3, NULL, NULL, NULL);
    stage->bob = knock(rig, 0, WS, "bob", NULL);
    join(stage->bob, "r");
    join(stage->bob, "q");
    stage->alice = knock(rig, from, kind, "alice", stage->token);
    stage->place = join(stage->alice, "r");
    stage->other = join(stage->alice, "q");
    stage->second = knock(rig, second, WS, "alice", NULL);
    stage->third = knock(rig, third, WS, "alice", NULL);
    client_forget(stage->bob);
}

static void open_stage(struct stage *stage, uint32_t from,
                       enum yomo_transport_kind kind, uint32_t second, uint32_t third)
{
    open_stage_with(stage, NULL, from, kind, second, third);
}

/* Bob has seen alice neither go nor come, and she has everything once. */
static void close_stage(struct stage *stage)
{
    rig_settle(&stage->rig);
    say(stage->bob, "r", 2, 0);
    struct story story = hear(stage->third);
    assert_true(story.whole);
    assert_int_equal(story.code, 0);
    assert_non_null(strstr(story.text, "in:r/0 there:2 1 "));
    assert_non_null(strstr(story.text, "in:q/0 there:2 "));
    assert_non_null(strstr(story.text, "whole 2 "));
    for (struct heard *heard; (heard = client_next(stage->bob)) != NULL;) {
        assert_int_not_equal(heard->message.op, YO_OP_PEER_OFFLINE);
        assert_int_not_equal(heard->message.op, YO_OP_PEER_ONLINE);
    }
    assert_int_equal(rig_count(&stage->rig, parked), 0);
    assert_int_equal(rig_count(&stage->rig, members), 4);
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(yo_list_empty(&rig_worker(&stage->rig, i)->arriving));
    }
    rig_close(&stage->rig);
}

/* Which worker turns next is a digit of `order`, to the base 3. */
static void turns(struct stage *stage, int *order, int count)
{
    for (int i = 0; i < count; i++, *order /= 3) {
        turn(&stage->rig, (uint32_t)*order % 3);
    }
}

static const int orders = 3 * 3 * 3 * 3 * 3; /* STEPS digits */

static void back_while_it_is_being_resumed(void **unused)
{
    (void)unused;
    for (int order = 0; order < orders; order += 5) {
        for (int before = 0; before <= STEPS; before++) {
            int digits = order;
            struct stage stage;
            open_stage(&stage, 0, WS, 1 + (uint32_t)order % 2, (uint32_t)before % 3);
            client_break(stage.alice);
            say(stage.bob, "r", 1, 0);
            come_back(&stage, stage.second);
            turns(&stage, &digits, before);
            if (order & 1) { /* or nobody has noticed that it broke */
                snap(stage.second);
            }
            come_back(&stage, stage.third);
            turns(&stage, &digits, STEPS - before);
            close_stage(&stage);
        }
    }
}

static void move(struct stage *stage)
{
    tell(stage->second,
         &(struct yo_message){.op = YO_OP_MOVE, .token = yo_span_of(stage->token)});
}

static void back_while_it_is_being_moved(void **unused)
{
    (void)unused;
    for (int order = 0; order < orders; order += 5) {
        for (int before = 0; before <= STEPS; before++) {
            int digits = order;
            struct stage stage;
            open_stage(&stage, 0, WT, 1 + (uint32_t)order % 2, (uint32_t)before % 3);
            client_reclaims(stage.alice);
            say(stage.bob, "r", 1, 0);
            move(&stage);
            turns(&stage, &digits, before);
            snap(stage.second);
            if (order & 1) { /* or after that, or it is told at once */
                turns(&stage, &digits, STEPS - before);
            }
            come_back(&stage, stage.third);
            close_stage(&stage);
        }
    }
}

/* It goes from a worker that is asked later to one that has been asked before. */
static void back_while_it_goes_the_other_way(void **unused)
{
    (void)unused;
    for (int order = 0; order < orders; order += 2) {
        for (int before = 0; before <= STEPS; before++) {
            int digits = order;
            struct stage stage;
            open_stage(&stage, 0, WS, 1, 0);
            struct client *first = knock(&stage.rig, 2, WS, "alice", NULL);
            client_break(stage.alice);
            say(stage.bob, "r", 1, 0);
            come_back(&stage, first);
            rig_settle(&stage.rig);
            client_break(first); /* before it has heard the answer */
            come_back(&stage, stage.second);
            turns(&stage, &digits, before);
            snap(stage.second);
            come_back(&stage, stage.third);
            turns(&stage, &digits, STEPS - before);
            close_stage(&stage);
        }
    }
}

/* The new connection of a move breaks, and the client comes back later: its seats wait
 * meanwhile, wherever the hand-over was. */
static void a_move_that_breaks_is_parked(void **unused)
{
    (void)unused;
    for (int before = 0; before <= STEPS; before++) {
        struct stage stage;
        int digits = 1 * 1 + 0 * 3 + 2 * 9 + 1 * 27 + 0 * 81;
        open_stage(&stage, 0, WT, 1, 2);
        client_reclaims(stage.alice);
        move(&stage);
        turns(&stage, &digits, before);
        snap(stage.second);
        rig_settle(&stage.rig);
        assert_int_equal(rig_count(&stage.rig, parked), 1);
        assert_int_equal(rig_count(&stage.rig, members), 4);
        say(stage.bob, "r", 1, 0);
        client_data(stage.bob, "r", "cur", "3", YOMO_LATEST);
        come_back(&stage, stage.third);
        rig_settle(&stage.rig);
        struct story story = hear(stage.third);
        assert_non_null(strstr(story.text, "in:r/0 there:2 1 "));
        assert_non_null(strstr(story.text, "whole latest:3 "));
        rig_close(&stage.rig);
    }
}

/* Over TCP the old connection waits for a fence that never comes. */
static void a_move_that_waits_for_its_fence_is_overtaken(void **unused)
{
    (void)unused;
    for (int breaks = 0; breaks < 2; breaks++) {
        struct stage stage;
        open_stage(&stage, 0, WS, 1, 2);
        move(&stage);
        rig_settle(&stage.rig);
        say(stage.bob, "r", 1, 0); /* may have been lost there */
        if (breaks) {
            client_break(stage.second);
        }
        come_back(&stage, stage.third);
        rig_settle(&stage.rig);
        assert_true(stage.alice->closing);
        assert_true(stage.second->closing == (breaks == 1));
        close_stage(&stage);
    }
}

/* Its answer may be lost: the token that was used counts until the client has spoken.
 */
static void the_answer_to_a_move_may_be_lost(void **unused)
{
    struct stage stage;
    (void)unused;
    open_stage(&stage, 0, WT, 1, 2);
    client_reclaims(stage.alice);
    move(&stage);
    rig_settle(&stage.rig);
    client_break(stage.second);
    assert_int_equal(rig_count(&stage.rig, parked), 1);
    say(stage.bob, "r", 1, 0);
    come_back(&stage, stage.third);
    close_stage(&stage);
}

/* Of those that wait for a session the newest gets it; another token does not wait. */
static void one_waits_for_it_and_no_thief(void **unused)
{
    struct stage stage;
    char wrong[TOKEN_MAX], right[TOKEN_MAX];
    (void)unused;
    open_stage(&stage, 0, WS, 1, 2);
    struct client *thief = knock(&stage.rig, 1, WS, "alice", NULL);
    struct client *mallory = knock(&stage.rig, 1, WS, "mallory", NULL);
    struct client *fourth = knock(&stage.rig, 0, WS, "alice", NULL);
    snprintf(right, sizeof(right), "%s", stage.token);
    snprintf(wrong, sizeof(wrong), "%s", stage.token);
    wrong[strlen(wrong) - 1] ^= 1;
    client_break(stage.alice);
    say(stage.bob, "r", 1, 0);
    come_back(&stage, stage.second);
    turn(&stage.rig, 1); /* on its way to worker 0, */
    turn(&stage.rig, 0); /* which gives it away */
    snap(stage.second);
    come_back(&stage, fourth);
    come_back(&stage, mallory);
    snprintf(stage.token, sizeof(stage.token), "%s", wrong);
    come_back(&stage, thief);
    snprintf(stage.token, sizeof(stage.token), "%s", right);
    come_back(&stage, stage.third);
    rig_settle(&stage.rig);
    assert_int_equal(hear(thief).code, YOMO_ERR_NOT_FOUND);
    assert_int_equal(hear(mallory).code, YOMO_ERR_NOT_FOUND);
    struct story story = hear(fourth);
    assert_true(story.whole);
    if (story.code == 0) { /* it had it, and gave it away */
        assert_true(fourth->closing);
    } else {
        assert_int_equal(story.code, YOMO_ERR_NOT_FOUND);
        assert_false(fourth->closing);
    }
    close_stage(&stage);
}

/* The end of the server finds transfers at every step, with others behind them. */
static void a_server_that_ends_meanwhile(void **unused)
{
    (void)unused;
    for (int before = 0; before <= STEPS; before++) {
        struct stage stage;
        int digits = 1 * 1 + 0 * 3 + 2 * 9 + 1 * 27 + 0 * 81;
        open_stage(&stage, 0, WT, 1, 2);
        client_reclaims(stage.alice);
        if (before & 1) {
            move(&stage);
        } else {
            snap(stage.alice);
            come_back(&stage, stage.second);
        }
        turns(&stage, &digits, before);
        if (before > 2) {
            snap(stage.second);
        }
        come_back(&stage, stage.third);
        rig_close(&stage.rig);
    }
}

/* Wherever memory runs out nothing is left behind, and the third is told something. */
static void without_memory_nobody_waits_for_ever(void **unused)
{
    (void)unused;
    for (int moves = 0; moves < 2; moves++) {
        bool failed = true;
        for (size_t nth = 1; failed; nth++) {
            struct fault fault;
            struct stage stage;
            int digits = 1 * 1 + 0 * 3 + 2 * 9 + 1 * 27 + 0 * 81;
            fault_init(&fault, 0, FAULT_ONCE);
            open_stage_with(&stage, &fault.mem, 0, WT, 1, 2);
            client_reclaims(stage.alice);
            if (!moves) {
                snap(stage.alice);
            }
            fault_arm(&fault, nth, FAULT_ONCE);
            if (moves) {
                move(&stage);
            } else {
                come_back(&stage, stage.second);
            }
            turns(&stage, &digits, 2);
            snap(stage.second);
            come_back(&stage, stage.third);
            rig_settle(&stage.rig);
            failed = atomic_load(&fault.failed);
            fault_arm(&fault, 0, FAULT_ONCE);
            assert_true(hear(stage.third).whole || stage.third->closing);
            rig_close(&stage.rig);
            fault_assert_no_leak(&fault);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(back_while_it_is_being_resumed),
        cmocka_unit_test(back_while_it_is_being_moved),
        cmocka_unit_test(back_while_it_goes_the_other_way),
        cmocka_unit_test(a_move_that_breaks_is_parked),
        cmocka_unit_test(a_move_that_waits_for_its_fence_is_overtaken),
        cmocka_unit_test(the_answer_to_a_move_may_be_lost),
        cmocka_unit_test(one_waits_for_it_and_no_thief),
        cmocka_unit_test(a_server_that_ends_meanwhile),
        cmocka_unit_test(without_memory_nobody_waits_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
