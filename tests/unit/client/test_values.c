/* SPDX-License-Identifier: MIT */
/* Locks and shared values as a client knows them, on the virtual clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/udp_blocked.h"
#include "stage.h"
#include "support/fault.h"

#define WT YOMO_TRANSPORT_WEBTRANSPORT
#define OURS 10 /* the session */

static const struct stage_member bob = {11, "bob", "{}"};

static struct fake_conn *begin_in_room(struct stage *s, yomo_room **room)
{
    yo_udp_blocked_clear(yo_span_of("stage"), 443);
    stage_begin(s, NULL);
    struct fake_conn *conn = stage_connect(s, WT, OURS);
    assert_int_equal(yomo_client_join(s->client, "r", NULL, room), YOMO_OK);
    stage_run(s);
    stage_admit(s, conn, "r", &bob, 1);
    s->story[0] = '\0';
    return conn;
}

static void answer(struct stage *s, struct fake_conn *conn, uint64_t number, int error,
                   uint64_t place)
{
    const struct yo_message message = {.op = error ? YO_OP_ERROR : YO_OP_ACK,
                                       .channel = yo_span_of("r"),
                                       .number = number,
                                       .sequence = error ? 0 : place,
                                       .version = error ? place : 0,
                                       .versioned = error != 0,
                                       .code = error};
    stage_say(s, conn, YO_LANE_CONTROL, &message);
}

static void tell(struct stage *s, struct fake_conn *conn, enum yo_op op,
                 uint64_t session, uint64_t place)
{
    const struct yo_message message = {.op = op,
                                       .channel = yo_span_of("r"),
                                       .key = yo_span_of("k"),
                                       .peer = yo_span_of("bob"),
                                       .session = session,
                                       .sequence = place};
    stage_say(s, conn, YO_LANE_ROOMS, &message);
}

static void expect_sent(struct stage *s, uint64_t id, const char *outcome)
{
    char line[64];
    snprintf(line, sizeof(line), "sent %u %s\n", (unsigned)id, outcome);
    stage_story(s, line);
}

static void a_conflict_is_told_when_what_was_first_is_known(void **state)
{
    struct stage s;
    yomo_room *room;
    uint64_t id;
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, &room);
    assert_int_equal(yomo_room_set_value_if(room, "k", "1", 1, YOMO_JSON, 0, &id),
                     YOMO_OK);
    stage_run(&s);
    struct yo_message asked = stage_take(&s, conn, YO_OP_VALUE, NULL);
    assert_true(asked.versioned);
    assert_int_equal(asked.version, 0);
    answer(&s, conn, asked.number, YOMO_ERR_CONFLICT, 1000);
    stage_story(&s, "");
    tell(&s, conn, YO_OP_LOCK, bob.session, 1000);
    expect_sent(&s, id, "CONFLICT");
    stage_end(&s);
}

static void a_lock_is_renewed_and_lost_when_nobody_answers(void **state)
{
    struct stage s;
    yomo_room *room;
    uint64_t id;
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, &room);
    assert_int_equal(yomo_room_lock(room, "k", 3000, 0, &id), YOMO_OK);
    stage_run(&s);
    struct yo_message asked = stage_take(&s, conn, YO_OP_LOCK, NULL);
    assert_int_equal(asked.timestamp, 3000);
    assert_false(asked.wait);
    answer(&s, conn, asked.number, 0, 1000);
    expect_sent(&s, id, "OK");
    stage_pass(&s, 1100 * YO_MS);
    asked = stage_take(&s, conn, YO_OP_LOCK, NULL);
    answer(&s, conn, asked.number, 0, 1000);
    stage_pass(&s, 1100 * YO_MS);
    (void)stage_take(&s, conn, YO_OP_LOCK, NULL); /* is not answered any more */
    assert_true(stage_none(&s, conn, YO_OP_UNLOCK));
    stage_pass(&s, 2200 * YO_MS);
    (void)stage_take(&s, conn, YO_OP_UNLOCK, NULL); /* whatever is under way */
    stage_end(&s);
}

static void who_waits_asks_again_when_it_is_its_turn(void **state)
{
    struct stage s;
    yomo_room *room;
    uint64_t id;
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, &room);
    assert_int_equal(yomo_room_lock(room, "k", 3000, 60000, &id), YOMO_OK);
    stage_run(&s);
    struct yo_message asked = stage_take(&s, conn, YO_OP_LOCK, NULL);
    assert_true(asked.wait);
    answer(&s, conn, asked.number, 0, 0); /* in line */
    stage_story(&s, "");
    stage_pass(&s, 5000 * YO_MS);
    tell(&s, conn, YO_OP_LOCK, OURS, 1000);
    stage_run(&s);
    asked = stage_take(&s, conn, YO_OP_LOCK, NULL);
    stage_story(&s, "");
    answer(&s, conn, asked.number, 0, 1000);
    expect_sent(&s, id, "OK");
    stage_end(&s);
}

/* What is told on the room's lane may overtake the answer on control. */
static void its_turn_may_be_told_before_it_is_in_line(void **state)
{
    struct stage s;
    yomo_room *room;
    uint64_t id;
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, &room);
    assert_int_equal(yomo_room_lock(room, "k", 3000, 60000, &id), YOMO_OK);
    stage_run(&s);
    struct yo_message asked = stage_take(&s, conn, YO_OP_LOCK, NULL);
    tell(&s, conn, YO_OP_LOCK, OURS, 1000);
    stage_run(&s);
    assert_true(stage_none(&s, conn, YO_OP_LOCK));
    answer(&s, conn, asked.number, 0, 0); /* in line: it was, then */
    stage_run(&s);
    asked = stage_take(&s, conn, YO_OP_LOCK, NULL);
    answer(&s, conn, asked.number, 0, 1000);
    expect_sent(&s, id, "OK");
    stage_end(&s);
}

/* A lease that is over when the answer comes is none. */
static void an_answer_that_takes_longer_than_the_lease_is_none(void **state)
{
    struct stage s;
    yomo_room *room;
    uint64_t id;
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, &room);
    assert_int_equal(yomo_room_lock(room, "k", 300, 0, &id), YOMO_OK);
    stage_run(&s);
    struct yo_message asked = stage_take(&s, conn, YO_OP_LOCK, NULL);
    stage_pass(&s, 400 * YO_MS);
    answer(&s, conn, asked.number, 0, 1000);
    expect_sent(&s, id, "TIMEOUT");
    (void)stage_take(&s, conn, YO_OP_UNLOCK, NULL);
    stage_end(&s);
}

static void a_server_that_lies_is_not_believed(void **state)
{
    static const uint8_t no_version[] = {0x91, 0x81, 0xa1, 'k', 0xa1, 'a'};
    static const uint8_t no_map[] = {0x91, 0x05};
    const struct yo_message lies[] = {
        {.op = YO_OP_VALUE, .sequence = 1000},
        {.op = YO_OP_VALUE, .key = yo_span_of("k")},
        {.op = YO_OP_VALUE,
         .key = yo_span_of("k"),
         .sequence = 1000,
         .payload = yo_span_of("?")},
        {.op = YO_OP_LOCK,
         .key = yo_span_of("k"),
         .sequence = 1000,
         .payload = yo_span_of("?")},
        {.op = YO_OP_VALUES},
        {.op = YO_OP_VALUES, .members = {no_version, sizeof(no_version)}},
        {.op = YO_OP_VALUES, .members = {no_map, sizeof(no_map)}, .sequence = 1000},
    };
    struct stage s;
    yomo_room *room;
    yomo_values *values = NULL;
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, &room);
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct yo_message lie = lies[i];
        lie.channel = yo_span_of("r");
        stage_say(&s, conn, YO_LANE_ROOMS, &lie);
    }
    stage_story(&s, "");
    assert_int_equal(yomo_room_values(room, &values), YOMO_OK);
    assert_int_equal(yomo_values_count(values), 0);
    yomo_values_free(values);
    assert_int_equal(yomo_room_value(room, "k", &values), YOMO_ERR_NOT_FOUND);
    stage_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_conflict_is_told_when_what_was_first_is_known),
        cmocka_unit_test(a_lock_is_renewed_and_lost_when_nobody_answers),
        cmocka_unit_test(its_turn_may_be_told_before_it_is_in_line),
        cmocka_unit_test(an_answer_that_takes_longer_than_the_lease_is_none),
        cmocka_unit_test(a_server_that_lies_is_not_believed),
        cmocka_unit_test(who_waits_asks_again_when_it_is_its_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
