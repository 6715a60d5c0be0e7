/* SPDX-License-Identifier: MIT */
/* test_resume.c - a session whose connection broke goes on over another: at its worker
 * and at others, with what was missed; and who may not have it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "comeback.h"
#include "support/fault.h"

static void what_was_missed_comes(uint32_t workers, uint32_t from, uint32_t to)
{
    struct rig rig;
    char token[TOKEN_MAX];
    rig_open(&rig, workers, NULL, NULL);
    struct client *bob = knock(&rig, 0, WS, "bob", NULL);
    join(bob, "r");
    struct client *alice = knock(&rig, from, WS, "alice", token);
    uint64_t place = join(alice, "r");
    join(alice, "s");
    say(bob, "r", 1, 0);
    say(alice, "r", 100, 7);
    expect_story(alice, "1 ack:7 ");
    client_forget(bob);
    client_break(alice);
    for (int i = 2; i < 5; i++) {
        say(bob, "r", i, 0);
    }
    expect_story(bob, "peer_stale ");

    struct client *again = knock(&rig, to, WS, "alice", NULL);
    claim(again, "r", place); /* as if `1` had not come */
    ask(again, token);
    struct story story = hear(again);
    assert_string_equal(story.text, "in:r/1 ack:7 there:2 1 2 3 4 whole ");
    assert_int_equal(story.code, 0);
    assert_true(strlen(story.token) > 0 && strcmp(story.token, token) != 0);
    expect_story(bob, "peer_back ");
    assert_int_equal(rig_count(&rig, members), 2); /* "s" was not claimed */
    assert_int_equal(rig_count(&rig, resumed), 1);
    assert_int_equal(rig_count(&rig, parked), 0);

    say(bob, "r", 5, 0);
    expect_story(again, "5 ");
    say(again, "r", 6, 0);
    expect_story(bob, "6 ");
    client_close(again);
    rig_settle(&rig);
    expect_story(bob, "peer_offline ");
    rig_close(&rig);
}

static void at_one_worker_and_at_others(void **unused)
{
    (void)unused;
    what_was_missed_comes(1, 0, 0);
    what_was_missed_comes(2, 0, 1);
    what_was_missed_comes(2, 1, 0);
    what_was_missed_comes(3, 1, 2);
}

/* It goes on with the same session; a break after it is like the first. */
static void again_and_again(void **unused)
{
    struct rig rig;
    char token[TOKEN_MAX];
    (void)unused;
    rig_open(&rig, 3, NULL, NULL);
    struct client *bob = knock(&rig, 0, WS, "bob", NULL);
    join(bob, "r");
    struct client *alice = knock(&rig, 0, WS, "alice", token);
    uint64_t place = join(alice, "r");
    for (int i = 0; i < 20; i++) {
        char expected[64];
        client_break(alice);
        say(bob, "r", i, 0);
        alice = knock(&rig, (uint32_t)i % 3, WS, "alice", NULL);
        claim(alice, "r", place);
        ask(alice, token);
        struct story story = hear(alice);
        snprintf(expected, sizeof(expected), "in:r/%d there:2 %d whole ", i, i);
        assert_string_equal(story.text, expected);
        snprintf(token, sizeof(token), "%s", story.token);
        place = story.place;
        say(alice, "r", i, 0);
        client_forget(bob);
    }
    assert_int_equal(rig_count(&rig, resumed), 20);
    rig_close(&rig);
}

/* The connection that takes the session breaks before it has it: the session waits
 * where it has come to, and the token that its client knows still counts. */
static void a_break_while_it_is_under_way_costs_nothing(uint32_t from, uint32_t to)
{
    struct rig rig;
    char token[TOKEN_MAX];
    rig_open(&rig, 2, NULL, NULL);
    struct client *bob = knock(&rig, 0, WS, "bob", NULL);
    join(bob, "r");
    join(bob, "q"); /* whose home may be the other worker */
    struct client *alice = knock(&rig, from, WS, "alice", token);
    uint64_t place = join(alice, "r"), other = join(alice, "q");
    client_break(alice);
    say(bob, "r", 1, 0);
    client_forget(bob);
    for (int i = 0; i < 3; i++) {
        struct yo_buf out;
        alice = knock(&rig, to, WS, "alice", NULL);
        claim(alice, "r", place);
        claim(alice, "q", other);
        yo_buf_init(&out, &yo_mem_libc);
        assert_int_equal(yo_encode(&out, YO_DIALECT_YOMO,
                                   &(struct yo_message){.op = YO_OP_RESUME,
                                                        .token = yo_span_of(token)}),
                         YOMO_OK);
        client_say(alice, YO_LANE_CONTROL, yo_buf_span(&out));
        yo_buf_finish(&out);
        client_break(alice); /* before anybody has heard of it */
        assert_int_equal(rig_count(&rig, parked), 1);
        for (struct heard *heard; (heard = client_next(bob)) != NULL;) {
            assert_int_not_equal(heard->message.op, YO_OP_PEER_OFFLINE);
            assert_int_not_equal(heard->message.op, YO_OP_PEER_ONLINE);
        }
    }
    alice = knock(&rig, from, WS, "alice", NULL);
    claim(alice, "r", place);
    claim(alice, "q", other);
    ask(alice, token);
    struct story story = hear(alice);
    assert_true(story.whole);
    assert_non_null(strstr(story.text, "in:r/0 there:2 1 "));
    assert_non_null(strstr(story.text, "in:q/0 there:2 "));
    assert_int_equal(rig_count(&rig, parked), 0);
    assert_int_equal(rig_count(&rig, members), 4);
    rig_close(&rig);
}

static void a_break_while_it_is_under_way(void **unused)
{
    (void)unused;
    a_break_while_it_is_under_way_costs_nothing(0, 1);
    a_break_while_it_is_under_way_costs_nothing(1, 0);
    a_break_while_it_is_under_way_costs_nothing(0, 0);
}

static void what_is_gone_is_a_gap(void **unused)
{
    struct rig rig;
    char token[TOKEN_MAX];
    (void)unused;
    rig_open(&rig, 1, NULL, "resume-log", "600", NULL); /* a few of them */
    struct client *bob = knock(&rig, 0, WS, "bob", NULL);
    join(bob, "r");
    struct client *alice = knock(&rig, 0, WS, "alice", token);
    uint64_t place = join(alice, "r"); /* 2 */
    client_break(alice);
    for (int i = 0; i < 20; i++) {
        say(bob, "r", i, 0);
    }
    struct client *again = knock(&rig, 0, WS, "alice", NULL);
    claim(again, "r", place);
    ask(again, token);
    struct story story = hear(again);
    int from = 0, to = 0;
    char *gap = strstr(story.text, "gap:");
    assert_non_null(gap);
    assert_int_equal(sscanf(gap, "gap:%d-%d", &from, &to), 2);
    assert_int_equal(from, (int)place + 1);
    assert_true(to > from && to < 23);
    for (int i = 0; i < 20;
         i++) { /* what is not in the gap is told: i is place i + 4 */
        char word[16];
        snprintf(word, sizeof(word), " %d ", i);
        assert_int_equal(strstr(gap, word) != NULL, i + 4 > to);
    }
    assert_int_equal(rig_count(&rig, resumed_gaps), 1);
    rig_close(&rig);
}

/* One who only speaks has missed nothing, however much of it is not kept any more. */
static void what_it_said_itself_is_no_gap(void **unused)
{
    struct rig rig;
    char token[TOKEN_MAX];
    (void)unused;
    rig_open(&rig, 1, NULL, "resume-log", "600", NULL);
    struct client *alice = knock(&rig, 0, WS, "alice", token);
    uint64_t place = join(alice, "r");
    for (int i = 0; i < 20; i++) {
        say(alice, "r", i, 0);
    }
    client_break(alice);
    struct client *again = knock(&rig, 0, WS, "alice", NULL);
    claim(again, "r", place);
    ask(again, token);
    expect_story(again, "in:r/20 there:1 whole ");
    rig_close(&rig);
}

static void who_may_not_have_it(void **unused)
{
    struct rig rig;
    char token[TOKEN_MAX], wrong[TOKEN_MAX];
    (void)unused;
    rig_open(&rig, 2, NULL, NULL);
    struct client *bob = knock(&rig, 0, WS, "bob", NULL);
    join(bob, "r");
    struct client *alice = knock(&rig, 0, WS, "alice", token);
    uint64_t place = join(alice, "r");
    client_break(alice);
    client_forget(bob);
    for (size_t i = 0; i < 6; i++) {
        const char *id = i == 0 ? "mallory" : "alice";
        snprintf(wrong, sizeof(wrong), "%s", token);
        switch (i) {
        case 0: /* stolen by another id */
            break;
        case 1: /* the secret is another */
            wrong[strlen(wrong) - 1] ^= 1;
            break;
        case 2: /* of a worker that is not there */
            memcpy(wrong + 16, "ffff", 4);
            break;
        case 3: /* of another session */
            memcpy(wrong, "0123456789abcdef", 16);
            break;
        case 4:
            wrong[10] = '\0';
            break;
        default:
            snprintf(wrong, sizeof(wrong), "zz");
            break;
        }
        struct client *thief = knock(&rig, i & 1, WS, id, NULL);
        claim(thief, "r", place);
        ask(thief, wrong);
        struct story story = hear(thief);
        assert_string_equal(story.text, "whole ");
        assert_int_equal(story.code, YOMO_ERR_NOT_FOUND);
        assert_int_equal(strlen(story.token), 0);
        assert_false(thief->closing);
        join(thief, "other"); /* it is one like any other */
    }
    expect_story(bob, "");
    assert_int_equal(rig_count(&rig, resume_refused), 6);
    /* And the owner comes as if nothing had been. */
    struct client *again = knock(&rig, 1, WS, "alice", NULL);
    claim(again, "r", place);
    ask(again, token);
    expect_story(again, "in:r/0 there:2 whole ");
    rig_close(&rig);
}

static void a_token_serves_once_but_an_answer_may_be_lost(void **unused)
{
    struct rig rig;
    char token[TOKEN_MAX];
    (void)unused;
    rig_open(&rig, 3, NULL, NULL);
    struct client *bob = knock(&rig, 0, WS, "bob", NULL);
    join(bob, "r");
    struct client *alice = knock(&rig, 0, WS, "alice", token);
    uint64_t place = join(alice, "r");
    client_break(alice);
    struct client *second = knock(&rig, 1, WS, "alice", NULL);
    claim(second, "r", place);
    ask(second, token);
    assert_int_equal(hear(second).code, 0);
    client_break(second); /* before it has read the answer, for all we know */
    struct client *third = knock(&rig, 2, WS, "alice", NULL);
    claim(third, "r", place);
    ask(third, token); /* the token names worker 0; it is at 1 */
    expect_story(third, "in:r/0 there:2 whole ");
    client_send(third, &(struct yo_message){.op = YO_OP_PING, .timestamp = 1});
    rig_settle(&rig);
    client_break(third);
    struct client *thief = knock(&rig, 1, WS, "alice", NULL);
    claim(thief, "r", place);
    ask(thief, token);
    assert_int_equal(hear(thief).code, YOMO_ERR_NOT_FOUND);
    rig_close(&rig);
}

/* The server has not noticed that the old connection is dead. */
static void one_that_seems_alive_is_taken_over(void **unused)
{
    struct rig rig;
    char token[TOKEN_MAX];
    (void)unused;
    rig_open(&rig, 2, NULL, NULL);
    struct client *bob = knock(&rig, 0, WS, "bob", NULL);
    join(bob, "r");
    struct client *alice = knock(&rig, 0, WS, "alice", token);
    uint64_t place = join(alice, "r");
    client_forget(bob);
    say(bob, "r", 1, 0); /* goes to the dead connection */
    struct client *again = knock(&rig, 1, WT, "alice", NULL);
    claim(again, "r", place);
    ask(again, token);
    assert_true(alice->closing);
    expect_story(again, "in:r/0 there:2 1 whole ");
    expect_story(bob, ""); /* nobody noticed */
    assert_int_equal(rig_count(&rig, connections_websocket), 1);
    rig_close(&rig);
}

static void what_is_latest_waits(void **unused)
{
    struct rig rig;
    char token[TOKEN_MAX];
    (void)unused;
    rig_open(&rig, 2, NULL, NULL);
    struct client *bob = knock(&rig, 1, WS, "bob", NULL);
    join(bob, "r");
    struct client *alice = knock(&rig, 0, WS, "alice", token);
    uint64_t place = join(alice, "r");
    client_break(alice);
    client_data(bob, "r", "cur", "1", YOMO_LATEST);
    client_data(bob, "r", "cur", "2", YOMO_LATEST);
    client_data(bob, "r", "cur", "3", YOMO_UNRELIABLE);
    say(bob, "r", 4, 0);
    struct client *again = knock(&rig, 1, WS, "alice", NULL);
    claim(again, "r", place);
    ask(again, token);
    expect_story(again, "in:r/0 there:2 4 whole latest:2 ");
    rig_close(&rig);
}

static void how_much_was_read_is_told(void **unused)
{
    struct rig rig;
    (void)unused;
    rig_open(&rig, 1, NULL, NULL);
    struct client *alice = knock(&rig, 0, WS, "alice", NULL);
    join(alice, "r");
    join(alice, "s");
    for (int i = 0; i < 3; i++) {
        say(alice, "r", i, 0);
    }
    client_data(alice, "r", "e", "1", YOMO_LATEST); /* does not count */
    client_send(alice, &(struct yo_message){.op = YO_OP_PING, .timestamp = 1});
    rig_settle(&rig);
    expect_story(alice, "read:3 pong ");
    client_send(alice, &(struct yo_message){.op = YO_OP_PING, .timestamp = 2});
    rig_settle(&rig);
    expect_story(alice, "pong ");
    rig_close(&rig);
}

static void one_that_comes_too_late_begins_anew(void **unused)
{
    struct rig rig;
    char token[TOKEN_MAX];
    time_t end = time(NULL) + 10;
    (void)unused;
    rig_open(&rig, 1, NULL, "grace-time", "30ms", NULL);
    struct client *alice = knock(&rig, 0, WS, "alice", token);
    uint64_t place = join(alice, "r");
    client_break(alice);
    while (rig_count(&rig, parked) > 0) {
        assert_true(time(NULL) < end);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        rig_settle(&rig);
    }
    struct client *again = knock(&rig, 0, WS, "alice", NULL);
    claim(again, "r", place);
    ask(again, token);
    struct story story = hear(again);
    assert_int_equal(story.code, YOMO_ERR_NOT_FOUND);
    assert_string_equal(story.text, "gone:r/0 whole ");
    rig_close(&rig);
}

/* Its seats are gone, but what it had said until then is known, at whichever worker. */
static void what_was_read_is_known_beyond_the_grace_time(void **unused)
{
    (void)unused;
    for (uint32_t to = 0; to < 3; to++) {
        struct rig rig;
        char token[TOKEN_MAX], wrong[TOKEN_MAX];
        rig_open(&rig, 3, NULL, "parked-max", "1", NULL);
        struct client *alice = knock(&rig, 1, WS, "alice", token);
        uint64_t place = join(alice, "r");
        join(alice, "s");
        say(alice, "r", 1, 0);
        say(alice, "r", 2, 0);
        client_break(alice);
        while (rig_worker(&rig, 1)->park.count > 0) { /* as the grace time would */
            struct yo_link *first = rig_worker(&rig, 1)->park.peers.next;
            yo_park_end(YO_CONTAINER(first, struct yo_peer, in_park), YOMO_ERR_CLOSED);
        }
        snprintf(wrong, sizeof(wrong), "%s", token);
        wrong[strlen(wrong) - 1] ^= 1;
        for (int i = 0; i < 4; i++) { /* again and again: an answer may be lost */
            struct client *again =
                knock(&rig, to, WS, i == 1 ? "mallory" : "alice", NULL);
            claim(again, "r", place);
            ask(again, i == 2 ? wrong : token);
            struct story story = hear(again);
            assert_int_equal(story.code, YOMO_ERR_NOT_FOUND);
            if (i == 1 || i == 2) {
                assert_string_equal(story.text, "whole ");
            } else {
                assert_non_null(strstr(story.text, "gone:r/2 "));
                assert_non_null(strstr(story.text, "gone:s/0 "));
            }
            client_close(again);
        }
        rig_close(&rig);
    }
}

/* They are bounded: the oldest are forgotten. */
static void those_that_are_gone_are_bounded(void **unused)
{
    struct rig rig;
    (void)unused;
    rig_open(&rig, 1, NULL, "parked-max", "3", "parked-size", "16k", NULL);
    struct yo_bygones *bygones = &rig_worker(&rig, 0)->bygones;
    for (int i = 0; i < 20; i++) {
        struct client *alice = knock(&rig, 0, WS, "alice", NULL);
        join(alice, "a-room-with-a-name-that-takes-some-bytes");
        client_break(alice);
        assert_true(bygones->sessions.count <= 4);
        assert_true(bygones->bytes <= 2048);
    }
    assert_true(bygones->sessions.count > 0);
    rig_close(&rig);
}

/* A place may be made up: nobody gets what was said before it came. */
static void what_was_said_before_its_join_is_not_told(void **unused)
{
    struct rig rig;
    char token[TOKEN_MAX];
    (void)unused;
    rig_open(&rig, 1, NULL, NULL);
    struct client *bob = knock(&rig, 0, WS, "bob", NULL);
    join(bob, "r");
    say(bob, "r", 1, 0);
    struct client *alice = knock(&rig, 0, WS, "alice", token);
    join(alice, "r");
    client_break(alice);
    say(bob, "r", 2, 0);
    struct client *again = knock(&rig, 0, WS, "alice", NULL);
    claim(again, "r", 0);
    ask(again, token);
    expect_story(again, "in:r/0 there:2 2 whole ");
    rig_close(&rig);
}

/* A claim of a room that it is not in, and of one twice, and too many of them. */
static void strange_claims_do_no_harm(void **unused)
{
    struct rig rig;
    char token[TOKEN_MAX];
    (void)unused;
    rig_open(&rig, 1, NULL, "rooms-max", "3", NULL);
    struct client *alice = knock(&rig, 0, WS, "alice", token);
    uint64_t place = join(alice, "r");
    client_break(alice);
    struct client *again = knock(&rig, 0, WS, "alice", NULL);
    claim(again, "never", 99999);
    claim(again, "r", place);
    claim(again, "r", 99999);
    claim(again, "q", 1);
    claim(again, "q", 1);
    ask(again, token);
    expect_story(again, "in:r/0 there:1 whole ");
    claim(again, "r", place); /* it is in rooms now */
    ask(again, token);
    expect_story(again, "");
    assert_false(again->closing);
    rig_close(&rig);
}

/* Wherever memory runs out: all of it, or a refusal, or a connection that is to come
 * again; never half of it, and nothing is left. */
static void without_memory_it_is_all_or_nothing(void **unused)
{
    struct fault fault;
    bool failed = true;
    size_t whole = 0, nth;
    (void)unused;
    for (nth = 1; failed; nth++) {
        struct rig rig;
        char token[TOKEN_MAX];
        struct story story = {.whole = false};
        fault_init(&fault, 0, FAULT_ONCE);
        rig_open_with(&rig, &fault.mem, 2, NULL, NULL, NULL);
        struct client *bob = knock(&rig, 0, WS, "bob", NULL);
        join(bob, "r");
        struct client *alice = knock(&rig, 0, WS, "alice", token);
        uint64_t place = join(alice, "r");
        say(alice, "r", 100, 7);
        struct client *again = knock(&rig, 1, WS, "alice", NULL);
        client_break(alice);
        for (int i = 1; i < 4; i++) {
            say(bob, "r", i, 0);
        }
        fault_arm(&fault, nth, FAULT_ONCE);
        claim(again, "r", place);
        if (!again->closing) {
            ask(again, token);
            story = hear(again);
        }
        failed = atomic_load(&fault.failed);
        fault_arm(&fault, 0, FAULT_ONCE);
        if (story.whole && story.code == 0 && strncmp(story.text, "in:", 3) == 0) {
            const char *const all = "in:r/1 ack:7 there:2 1 2 3 whole ";
            if (strncmp(story.text, all, strlen(all)) !=
                0) { /* bob may be stale then */
                fail_msg("%s", story.text);
            }
            whole++;
        } else if (!story.whole) {
            assert_true(again->closing);
            assert_int_equal(again->why.kind, YO_CLOSE_RETRY);
        }
        rig_close(&rig);
        fault_assert_no_leak(&fault);
    }
    assert_true(whole > 0 && nth > 20);
}

/* Breaking off takes no memory that must be there. */
static void without_memory_a_seat_is_kept_all_the_same(void **unused)
{
    struct fault fault;
    bool failed = true;
    (void)unused;
    for (size_t nth = 1; failed; nth++) {
        struct rig rig;
        fault_init(&fault, 0, FAULT_ONCE);
        rig_open_with(&rig, &fault.mem, 2, NULL, NULL, NULL);
        struct client *bob = knock(&rig, 0, WS, "bob", NULL);
        join(bob, "r");
        struct client *alice = knock(&rig, 1, WS, "alice", NULL);
        join(alice, "r");
        fault_arm(&fault, nth, FAULT_FROM);
        client_break(alice);
        failed = atomic_load(&fault.failed);
        fault_arm(&fault, 0, FAULT_ONCE);
        assert_true(rig_count(&rig, parked) >= 1);
        rig_close(&rig);
        fault_assert_no_leak(&fault);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_one_worker_and_at_others),
        cmocka_unit_test(again_and_again),
        cmocka_unit_test(a_break_while_it_is_under_way),
        cmocka_unit_test(what_is_gone_is_a_gap),
        cmocka_unit_test(what_it_said_itself_is_no_gap),
        cmocka_unit_test(who_may_not_have_it),
        cmocka_unit_test(a_token_serves_once_but_an_answer_may_be_lost),
        cmocka_unit_test(one_that_seems_alive_is_taken_over),
        cmocka_unit_test(what_is_latest_waits),
        cmocka_unit_test(how_much_was_read_is_told),
        cmocka_unit_test(one_that_comes_too_late_begins_anew),
        cmocka_unit_test(what_was_read_is_known_beyond_the_grace_time),
        cmocka_unit_test(those_that_are_gone_are_bounded),
        cmocka_unit_test(what_was_said_before_its_join_is_not_told),
        cmocka_unit_test(strange_claims_do_no_harm),
        cmocka_unit_test(without_memory_it_is_all_or_nothing),
        cmocka_unit_test(without_memory_a_seat_is_kept_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
