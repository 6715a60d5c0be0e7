/* SPDX-License-Identifier: MIT */
/* test_absent.c - one who comes back when its seat is gone: what was said to it by name
 * while it was away nobody can tell it any more, so it is told of a gap, in its turn.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "comeback.h"
#include "wire/decode.h"

struct stage {
    struct rig rig;
    struct client *bob;
    uint64_t session, place, epoch;
};

/* Returns the code of the answer. */
static int say_to(struct stage *stage, uint64_t session, uint64_t number)
{
    struct yo_buf to, payload;
    yo_buf_init(&to, &yo_mem_libc);
    yo_buf_init(&payload, &yo_mem_libc);
    yo_mp_put_array(&to, 1);
    yo_mp_put_uint(&to, session);
    assert_int_equal(
        yo_content_write(&payload, yo_span_of("e"), YOMO_JSON, yo_span_of("7")),
        YOMO_OK);
    client_send(stage->bob, &(struct yo_message){.op = YO_OP_DATA,
                                                 .channel = yo_span_of("r"),
                                                 .payload = yo_buf_span(&payload),
                                                 .targets = yo_buf_span(&to),
                                                 .number = number});
    yo_buf_finish(&payload);
    yo_buf_finish(&to);
    rig_settle(&stage->rig);
    for (struct heard *heard; (heard = client_next(stage->bob)) != NULL;) {
        if (heard->message.number == number) {
            return (int)heard->message.code;
        }
    }
    fail_msg("no answer");
    return 0;
}

static void open_stage(struct stage *stage, const char *log)
{
    rig_open(&stage->rig, 2, NULL, "history-messages", "100", "resume-log", log, NULL);
    stage->bob = knock(&stage->rig, 0, WS, "bob", NULL);
    join(stage->bob, "r");
    struct client *alice = rig_connect(&stage->rig, 1, WS, "yomo=1&id=alice");
    stage->session = expect_op(alice, YO_OP_HELLO)->message.session;
    client_join(alice, "r", NULL);
    struct heard *heard = expect_op(alice, YO_OP_CHANNEL_JOIN);
    stage->place = heard->message.sequence;
    stage->epoch = heard->message.epoch;
    client_break(alice);
    client_forget(stage->bob);
}

/* Her grace time is over. */
static void lose_seat(struct stage *stage)
{
    for (uint32_t w = 0; w < 2; w++) {
        struct yo_park *park = &rig_worker(&stage->rig, w)->park;
        while (park->count > 0) {
            yo_park_end(YO_CONTAINER(park->peers.next, struct yo_peer, in_park),
                        YOMO_ERR_CLOSED);
        }
    }
    rig_settle(&stage->rig);
    client_forget(stage->bob);
}

/* What `id` hears of the past who says that it was `session`: places, and gaps. */
static void expect_past(struct stage *stage, const char *id, uint64_t session,
                        const char *expected)
{
    char text[256] = "";
    struct client *client = knock(&stage->rig, 0, WS, id, NULL);
    client_send(client, &(struct yo_message){.op = YO_OP_CHANNEL_JOIN,
                                             .channel = yo_span_of("r"),
                                             .session = session,
                                             .since = stage->place,
                                             .epoch = stage->epoch});
    for (struct heard *heard; (heard = client_next(client)) != NULL;) {
        const struct yo_message *m = &heard->message;
        size_t used = strlen(text);
        struct yo_mp_reader reader;
        struct yo_wire_past past;
        struct yo_span event;
        uint32_t count;
        if (m->op == YO_OP_GAP) {
            snprintf(text + used, sizeof(text) - used, "%d-%d ",
                     (int)(m->from - stage->place), (int)(m->sequence - stage->place));
        } else if (m->op == YO_OP_HISTORY) {
            assert_int_equal(yo_members_init(&reader, m->members, &count), YOMO_OK);
            while (count-- > 0) {
                assert_int_equal(yo_past_next(&reader, &past, &event), YOMO_OK);
                used = strlen(text);
                snprintf(text + used, sizeof(text) - used, "%d ",
                         (int)(past.sequence - stage->place));
            }
        }
    }
    assert_string_equal(text, expected);
    client_close(client);
    client_forget(stage->bob);
}

static void what_was_said_to_it_by_name_is_a_gap(void **unused)
{
    struct stage stage;
    (void)unused;
    open_stage(&stage, "1m"); /* that she came and is stale are the two places before */
    say(stage.bob, "r", 1, 0);
    client_forget(stage.bob);
    assert_int_equal(say_to(&stage, stage.session, 5), 0); /* her seat is kept */
    say(stage.bob, "r", 2, 0);
    lose_seat(&stage);
    assert_int_equal(say_to(&stage, stage.session, 6), YOMO_ERR_NOT_FOUND);
    expect_past(&stage, "alice", stage.session, "1-2 3 4-4 5 ");
    expect_past(&stage, "alice", 0, "3 5 "); /* a program that starts anew */
    expect_past(&stage, "mallory", stage.session, "3 5 "); /* hears nothing of it */
    rig_close(&stage.rig);
}

/* Also where none of it is kept, neither for all nor by name. */
static void what_is_not_kept_either(void **unused)
{
    struct stage stage;
    (void)unused;
    open_stage(&stage, "300"); /* one message */
    assert_int_equal(say_to(&stage, stage.session, 5), 0);
    for (int i = 0; i < 4; i++) {
        say(stage.bob, "r", i, 0);
    }
    lose_seat(&stage);
    expect_past(&stage, "alice", stage.session, "1-3 4 5 6 7 ");
    rig_close(&stage.rig);
}

/* Nothing was said to it: nothing is missing. What others missed is not its own. */
static void nobody_is_told_of_what_it_did_not_miss(void **unused)
{
    struct stage stage;
    (void)unused;
    open_stage(&stage, "1m");
    say(stage.bob, "r", 1, 0);
    struct client *carol = rig_connect(&stage.rig, 1, WS, "yomo=1&id=carol");
    uint64_t session = expect_op(carol, YO_OP_HELLO)->message.session;
    join(carol, "r");
    client_forget(stage.bob);
    assert_int_equal(say_to(&stage, session, 5), 0);
    client_break(carol);
    lose_seat(&stage);
    expect_past(&stage, "alice", stage.session, "3 ");
    rig_close(&stage.rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_said_to_it_by_name_is_a_gap),
        cmocka_unit_test(what_is_not_kept_either),
        cmocka_unit_test(nobody_is_told_of_what_it_did_not_miss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
