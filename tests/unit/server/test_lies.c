/* SPDX-License-Identifier: MIT */
/* test_lies.c - well-formed messages that a client has no business to send: replies to
 * nothing, acknowledgements, what only a server says, history without end, and sessions
 * that are not its own. Nobody else notices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "comeback.h"
#include "wire/decode.h"

static struct yo_span content(void)
{
    static const uint8_t bytes[] = {0x82, 0xa5, 'e', 'v', 'e', 'n', 't',  0xa1,
                                    'e',  0xa4, 'd', 'a', 't', 'a', 0xa1, '1'};
    return yo_span(bytes, sizeof(bytes));
}

static void what_only_a_server_says_is_refused(void **unused)
{
    static const enum yo_op ops[] = {
        YO_OP_PEER_ONLINE, YO_OP_HELLO,   YO_OP_SNAPSHOT,     YO_OP_CHANGES,
        YO_OP_ACK,         YO_OP_ERROR,   YO_OP_MOVED,        YO_OP_GOAWAY,
        YO_OP_PEER_STALE,  YO_OP_RESUMED, YO_OP_PEER_BACK,    YO_OP_GAP,
        YO_OP_VALUES,      YO_OP_ACK,     YO_OP_CHANNEL_LEAVE};
    struct rig rig;
    struct client *bob, *liar;

    (void)unused;
    rig_open(&rig, 2, NULL, NULL);
    bob = knock(&rig, 0, WS, "bob", NULL);
    (void)join(bob, "r");
    liar = knock(&rig, 1, WS, "liar", NULL);
    (void)join(liar, "r");
    client_forget(bob);
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        const struct heard *heard;
        client_send(liar, &(struct yo_message){.op = ops[i],
                                               .channel = yo_span_of("r"),
                                               .number = 1000 + i,
                                               .read = 1000,
                                               .sequence = UINT64_MAX,
                                               .session = 7,
                                               .peer = yo_span_of("bob"),
                                               .payload = yo_span("\x80", 1)});
        heard = client_next(liar); /* if that op can carry a number */
        if (heard) {
            assert_int_equal(heard->message.op, YO_OP_ERROR);
            assert_int_equal(heard->message.code, YOMO_ERR_PROTO);
        }
    }
    assert_non_null(strstr(rig.log, "an op that is not the client's"));
    assert_false(liar->closing);
    expect_nothing(bob);
    assert_int_equal(rig_count(&rig, members), 2);
    say(liar, "r", 5, 0); /* as any other */
    expect_story(bob, "5 ");
    rig_close(&rig);
}

/* The server keeps no book of requests between members: a reply goes to whom it names,
 * with the name of who sent it, and its receiver knows what it has asked. */
static void a_reply_to_nothing_says_whose_it_is(void **unused)
{
    struct rig rig;
    struct client *alice, *bob, *carol;
    struct yo_message message = {.op = YO_OP_DATA,
                                 .channel = yo_span_of("r"),
                                 .payload = content(),
                                 .reply = 77,
                                 .number = 1};
    const struct heard *heard;
    uint8_t to[YO_TARGET_SIZE_MAX];
    uint64_t session;

    (void)unused;
    rig_open(&rig, 2, NULL, NULL);
    bob = rig_connect(&rig, 0, WS, "yomo=1&id=bob");
    session = expect_op(bob, YO_OP_HELLO)->message.session;
    (void)join(bob, "r");
    carol = knock(&rig, 0, WS, "carol", NULL);
    (void)join(carol, "r");
    alice = rig_connect(&rig, 1, WS, "yomo=1&id=alice");
    client_forget(bob);
    message.targets = yo_target_one(to, session);
    message.session = session; /* as if it were his own */
    message.peer = yo_span_of("carol");
    heard = expect_op(alice, YO_OP_HELLO);
    session = heard->message.session;
    (void)join(alice, "r");
    client_forget(bob);
    client_forget(carol);
    client_send(alice, &message);
    heard = expect_from(bob, YO_OP_DATA, "alice");
    assert_int_equal(heard->message.reply, 77);
    assert_int_equal(heard->message.session, session);
    expect_nothing(carol);
    /* To one who is not there, and to the host, who asks nobody. */
    expect_op(alice, YO_OP_ACK);
    message.targets = yo_target_one(to, 0x1fffffffffffff);
    client_send(alice, &message);
    assert_int_equal(expect_op(alice, YO_OP_ERROR)->message.code, YOMO_ERR_NOT_FOUND);
    message.targets = yo_span("\x90", 1);
    client_send(alice, &message);
    assert_int_equal(expect_op(alice, YO_OP_ERROR)->message.code, YOMO_ERR_PROTO);
    expect_nothing(bob);
    expect_nothing(carol);
    rig_close(&rig);
}

static size_t past_told(struct client *client)
{
    struct heard *heard;
    size_t sum = 0;

    while ((heard = client_next(client)) != NULL) {
        struct yo_mp_reader reader;
        uint32_t count = 0;
        if (heard->message.op == YO_OP_HISTORY) {
            assert_int_equal(yo_members_init(&reader, heard->message.members, &count),
                             YOMO_OK);
        }
        sum += count;
    }
    return sum;
}

/* Numbers at their ends, in each place where a number of messages or a place goes. */
static void history_without_end_is_what_there_is(void **unused)
{
    static const uint64_t ends[] = {1, 3, 1000, UINT32_MAX, INT64_MAX, UINT64_MAX};
    struct rig rig;
    struct client *bob, *liar;

    (void)unused;
    rig_open(&rig, 2, NULL, "history-messages", "5", "message-rate", "0", NULL);
    bob = knock(&rig, 0, WS, "bob", NULL);
    (void)join(bob, "r");
    for (int i = 0; i < 9; i++) {
        say(bob, "r", i, 0);
    }
    liar = knock(&rig, 1, WS, "liar", NULL);
    for (size_t i = 0; i < 6; i++) {
        for (size_t k = 0; k < 6; k++) {
            size_t told;
            client_send(liar, &(struct yo_message){.op = YO_OP_CHANNEL_JOIN,
                                                   .channel = yo_span_of("r"),
                                                   .since = ends[k],
                                                   .epoch = k % 2 ? 7 : ends[i],
                                                   .hist = ends[i]});
            assert_true(past_told(liar) <= 5);
            client_send(liar, &(struct yo_message){.op = YO_OP_HISTORY,
                                                   .channel = yo_span_of("r"),
                                                   .number = 1,
                                                   .sequence = ends[k],
                                                   .max = ends[i]});
            told = past_told(liar);
            assert_true(told <= 5 && told <= ends[i]);
            assert_true(told > 0 || ends[k] <= 10);
            client_leave(liar, "r");
            client_forget(liar);
        }
    }
    assert_false(liar->closing);
    client_forget(bob);
    say(liar, "r", 1, 3); /* it has left */
    expect_nothing(bob);
    rig_close(&rig);
}

/* What a resume token is bound to: the application and the server's life, too. */
static void a_session_is_of_one_application(void **unused)
{
    struct rig rig;
    struct client *alice, *thief;
    char token[TOKEN_MAX];
    struct heard *hello;
    uint64_t place;

    (void)unused;
    rig_open(&rig, 1, NULL, "keys", "one=k1,two=k2", NULL);
    alice = rig_connect(&rig, 0, WS, "yomo=1&id=alice&publickey=k1");
    hello = expect_op(alice, YO_OP_HELLO);
    snprintf(token, sizeof(token), "%.*s", (int)hello->message.token.size,
             (const char *)hello->message.token.data);
    place = join(alice, "r");
    client_break(alice);
    thief = rig_connect(&rig, 0, WS, "yomo=1&id=alice&publickey=k2");
    expect_op(thief, YO_OP_HELLO);
    claim(thief, "r", place);
    ask(thief, token);
    assert_int_equal(hear(thief).code, YOMO_ERR_NOT_FOUND);
    alice = rig_connect(&rig, 0, WS, "yomo=1&id=alice&publickey=k1");
    expect_op(alice, YO_OP_HELLO);
    claim(alice, "r", place);
    ask(alice, token);
    expect_story(alice, "in:r/0 there:1 whole ");
    rig_close(&rig);
}

static void a_session_of_another_life_of_the_server_is_gone(void **unused)
{
    struct rig rig;
    struct client *alice;
    char token[TOKEN_MAX];
    struct story story;
    uint64_t place;

    (void)unused;
    rig_open(&rig, 1, NULL, NULL);
    alice = knock(&rig, 0, WS, "alice", token);
    place = join(alice, "r");
    rig_close(&rig);
    rig_open(&rig, 1, NULL, NULL);
    alice = knock(&rig, 0, WS, "alice", NULL);
    claim(alice, "r", place);
    ask(alice, token);
    story = hear(alice);
    assert_int_equal(story.code, YOMO_ERR_NOT_FOUND);
    assert_true(story.whole);
    assert_false(alice->closing);
    (void)join(alice, "r"); /* anew */
    assert_int_equal(rig_count(&rig, members), 1);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_only_a_server_says_is_refused),
        cmocka_unit_test(a_reply_to_nothing_says_whose_it_is),
        cmocka_unit_test(history_without_end_is_what_there_is),
        cmocka_unit_test(a_session_is_of_one_application),
        cmocka_unit_test(a_session_of_another_life_of_the_server_is_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
