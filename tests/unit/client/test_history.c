/* SPDX-License-Identifier: MIT */
/* What was said before: asked for at a join, later, and after a lost connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "client/udp_blocked.h"
#include "session/told.h"
#include "stage.h"
#include "support/fault.h"
#include "wire/decode.h"

#define WT YOMO_TRANSPORT_WEBTRANSPORT

static const struct stage_member bob = {11, "bob", "{}"};

/* Pages that tell of messages at these places, each the number of its place; 0 ends. */
static void tell_past(struct stage *s, struct fake_conn *conn, uint64_t number,
                      uint64_t older, uint64_t session, ...)
{
    struct yo_told told;
    struct yo_message message;
    unsigned place;
    va_list places;

    yo_told_begin(&told, &yo_mem_libc, yo_span_of("r"), number);
    va_start(places, session);
    while ((place = va_arg(places, unsigned)) != 0) {
        char json[16];
        struct yo_buf payload;
        struct yo_wire_past past = {
            .sequence = place, .session = session, .at_ms = 5000 + place};
        past.peer = session == bob.session ? yo_span_of("bob") : yo_span_of("me");
        snprintf(json, sizeof(json), "%u", place);
        yo_buf_init(&payload, &yo_mem_libc);
        assert_int_equal(
            yo_content_write(&payload, yo_span_of("e"), YOMO_JSON, yo_span_of(json)),
            YOMO_OK);
        past.payload = yo_buf_span(&payload);
        assert_int_equal(yo_told_add(&told, &past), YOMO_OK);
        yo_buf_finish(&payload);
    }
    va_end(places);
    assert_int_equal(yo_told_end(&told, older), YOMO_OK);
    for (size_t i = 0; i < told.count; i++) {
        assert_int_equal(yo_decode(yo_blob_span(told.list[i]), &message), YOMO_OK);
        stage_say(s, conn, YO_LANE_ROOMS, &message);
    }
    yo_told_finish(&told);
}

static void say_gap(struct stage *s, struct fake_conn *conn, uint64_t from,
                    uint64_t last)
{
    const struct yo_message gap = {
        .op = YO_OP_GAP, .channel = yo_span_of("r"), .from = from, .sequence = last};
    stage_say(s, conn, YO_LANE_ROOMS, &gap);
}

static void say_data_of(struct stage *s, struct fake_conn *conn, uint64_t place,
                        enum yomo_priority priority)
{
    struct yo_buf payload;
    yo_buf_init(&payload, &yo_mem_libc);
    yo_content_write(&payload, yo_span_of("e"), YOMO_JSON, yo_span_of("0"));
    const struct yo_message data = {.op = YO_OP_DATA,
                                    .channel = yo_span_of("r"),
                                    .peer = yo_span_of("bob"),
                                    .session = bob.session,
                                    .sequence = place,
                                    .priority = priority,
                                    .payload = yo_buf_span(&payload)};
    stage_say(s, conn, YO_LANE_ROOMS, &data);
    yo_buf_finish(&payload);
}

static void say_data(struct stage *s, struct fake_conn *conn, uint64_t place)
{
    say_data_of(s, conn, place, YOMO_NORMAL);
}

/* Connected, and in room "r" at place 50 of order 9. */
static struct fake_conn *begin_in_room(struct stage *s, yomo_room **room)
{
    yo_udp_blocked_clear(yo_span_of("stage"), 443);
    stage_begin(s, NULL);
    s->place = 50;
    s->epoch = 9;
    struct fake_conn *conn = stage_connect(s, WT, 10);
    assert_int_equal(yomo_client_join(s->client, "r", NULL, room), YOMO_OK);
    stage_run(s);
    stage_admit(s, conn, "r", &bob, 1);
    s->story[0] = '\0';
    return conn;
}

/* The connection is lost, and there is another. */
static struct fake_conn *reconnect(struct stage *s, struct fake_conn *conn,
                                   uint64_t session)
{
    fake_closed(conn, YO_CLOSE_RETRY, YOMO_ERR_CLOSED, "", s->now);
    for (int i = 0; i < 100 && s->client->phase != YO_PHASE_RACING; i++) {
        stage_pass(s, 10 * YO_MS);
    }
    return stage_accept(s, WT, session);
}

/* What the next join says, without taking it. */
static struct yo_message next_join(struct stage *s, struct fake_conn *conn)
{
    for (size_t i = 0; i < s->fake.count; i++) {
        if (s->fake.conns[i] == conn) {
            size_t taken = s->taken[i];
            struct yo_message join = stage_take(s, conn, YO_OP_CHANNEL_JOIN, NULL);
            s->taken[i] = taken;
            return join;
        }
    }
    fail();
    return (struct yo_message){.op = YO_OP_UNKNOWN};
}

static void a_join_may_ask_for_the_last_ones(void **state)
{
    struct stage s;
    yomo_join *join;
    (void)state;
    stage_begin(&s, NULL);
    s.place = 50;
    s.epoch = 9;
    struct fake_conn *conn = stage_connect(&s, WT, 10);
    assert_int_equal(yomo_join_create(&join, s.client), YOMO_OK);
    assert_int_equal(yomo_join_set_since(join, 0, 9), YOMO_ERR_INVALID);
    assert_int_equal(yomo_join_set_since(join, 9, 0), YOMO_ERR_INVALID);
    assert_int_equal(yomo_join_set_history(join, 3), YOMO_OK);
    assert_int_equal(yomo_client_join_with(s.client, "r", join, NULL), YOMO_OK);
    yomo_join_free(join);
    stage_run(&s);
    assert_int_equal(next_join(&s, conn).hist, 3);
    assert_int_equal(next_join(&s, conn).since, 0);
    tell_past(&s, conn, 0, 0, bob.session, 41u, 44u, 0u); /* faster than control */
    s.story[0] = '\0';
    stage_admit(&s, conn, "r", NULL, 0);
    stage_story(&s, "joined r\npast r bob e 41\npast r bob e 44\n");
    say_data(&s, conn, 51);
    stage_story(&s, "message r bob e 0\n");
    stage_end(&s);
}

static void a_room_that_is_joined_again_says_where_it_was(void **state)
{
    struct stage s;
    yomo_room *room;
    uint64_t epoch = 1;
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, &room);
    assert_int_equal(yomo_room_position(room, &epoch), 50);
    assert_int_equal(epoch, 9);
    say_data(&s, conn, 53);
    assert_int_equal(yomo_room_position(room, NULL), 53);
    conn = reconnect(&s, conn, 20);
    assert_int_equal(next_join(&s, conn).since, 53);
    assert_int_equal(next_join(&s, conn).epoch, 9);
    s.place = 60;
    s.story[0] = '\0';
    stage_admit(&s, conn, "r", NULL, 0);
    /* It has not had what lies between. */
    assert_int_equal(yomo_room_position(room, NULL), 53);
    say_gap(&s, conn, 54, 55);
    tell_past(&s, conn, 0, 0, bob.session, 57u, 59u, 0u);
    stage_story(&s, "went r bob {\"id\":\"bob\"}\njoined r\ngap r 54-55\n"
                    "past r bob e 57\npast r bob e 59\n");
    assert_int_equal(yomo_room_position(room, NULL), 59);
    stage_end(&s);
}

static void each_priority_has_its_place(void **state)
{
    struct stage s;
    yomo_room *room;
    uint64_t epoch = 0;
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, &room);
    say_data_of(&s, conn, 51, YOMO_BULK);
    say_data_of(&s, conn, 56, YOMO_URGENT);
    say_data_of(&s, conn, 54, YOMO_NORMAL);
    assert_int_equal(yomo_room_position(room, NULL), 56);
    assert_int_equal(yomo_room_position_of(room, YOMO_NORMAL, &epoch), 54);
    assert_int_equal(epoch, 9);
    assert_int_equal(yomo_room_position_of(room, YOMO_URGENT, NULL), 56);
    assert_int_equal(yomo_room_position_of(room, YOMO_BULK, NULL), 51);
    assert_int_equal(yomo_room_position_of(room, 3, &epoch), 0);
    assert_int_equal(epoch, 0);
    assert_int_equal(yomo_room_position_of(NULL, YOMO_BULK, NULL), 0);
    conn = reconnect(&s, conn, 20);
    struct yo_message join = next_join(&s, conn);
    assert_true(join.since == 54 && join.urgent == 56 && join.bulk == 51);
    assert_true(join.session ==
                10); /* as whom it was there: some of it was for it alone */
    s.place = 60;
    stage_admit(&s, conn, "r", &bob, 1);
    tell_past(&s, conn, 0, 0, bob.session, 58u, 0u); /* all before it has been told */
    conn = reconnect(&s, conn, 30);
    join = next_join(&s, conn);
    assert_true(join.since == 58 && join.urgent == 0 && join.bulk == 0);
    stage_end(&s);
}

/* A program that starts anew goes on where each of them was. */
static void a_program_may_save_each_place(void **state)
{
    struct stage s;
    yomo_join *join;
    (void)state;
    stage_begin(&s, NULL);
    struct fake_conn *conn = stage_connect(&s, WT, 10);
    assert_int_equal(yomo_join_create(&join, s.client), YOMO_OK);
    assert_int_equal(yomo_join_set_since_of(join, YOMO_BULK, 51), YOMO_ERR_INVALID);
    assert_int_equal(yomo_join_set_since(join, 54, 9), YOMO_OK);
    assert_int_equal(yomo_join_set_since_of(join, 3, 51), YOMO_ERR_INVALID);
    assert_int_equal(yomo_join_set_since_of(join, YOMO_BULK, 0), YOMO_ERR_INVALID);
    assert_int_equal(yomo_join_set_since_of(join, YOMO_BULK, 51), YOMO_OK);
    assert_int_equal(yomo_join_set_since_of(join, YOMO_URGENT, 56), YOMO_OK);
    assert_int_equal(yomo_client_join_with(s.client, "r", join, NULL), YOMO_OK);
    yomo_join_free(join);
    stage_run(&s);
    struct yo_message asked = next_join(&s, conn);
    assert_true(asked.since == 54 && asked.urgent == 56 && asked.bulk == 51);
    assert_true(asked.epoch == 9 && asked.session == 0);
    stage_end(&s);
}

static void what_it_said_itself_is_no_news(void **state)
{
    struct stage s;
    yomo_room *room;
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, &room);
    conn = reconnect(&s, conn, 20);
    s.place = 60;
    stage_admit(&s, conn, "r", &bob, 1);
    s.story[0] = '\0';
    tell_past(&s, conn, 0, 0, 10, 51u, 52u, 0u); /* its session of then */
    tell_past(&s, conn, 0, 0, bob.session, 53u, 0u);
    stage_story(&s, "past r bob e 53\n");
    assert_int_equal(yomo_room_position(room, NULL), 53);
    stage_end(&s);
}

static void a_new_order_is_told_as_a_gap_without_a_beginning(void **state)
{
    struct stage s;
    yomo_room *room;
    uint64_t epoch;
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, &room);
    conn = reconnect(&s, conn, 20);
    s.place = 3;
    s.epoch = 10;
    s.story[0] = '\0';
    stage_admit(&s, conn, "r", &bob, 1);
    say_gap(&s, conn, 0, 2);
    say_data(&s, conn, 4);
    stage_story(&s, "joined r\ngap r 0-2\nmessage r bob e 0\n");
    assert_int_equal(yomo_room_position(room, &epoch), 4);
    assert_int_equal(epoch, 10);
    stage_end(&s);
}

static void a_question_gets_its_answer(void **state)
{
    struct stage s;
    yomo_room *room;
    uint64_t id = 0, other = 0;
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, &room);
    assert_int_equal(yomo_room_history(NULL, 0, 0, NULL), YOMO_ERR_INVALID);
    assert_int_equal(yomo_room_history(room, 40, 2, &id), YOMO_OK);
    assert_int_equal(yomo_room_history(room, 0, 0, &other), YOMO_OK);
    assert_true(id != 0 && other != id);
    stage_run(&s);
    struct yo_message ask = stage_take(&s, conn, YO_OP_HISTORY, NULL);
    assert_true(ask.number == id && ask.sequence == 40 && ask.max == 2);
    ask = stage_take(&s, conn, YO_OP_HISTORY, NULL);
    assert_true(ask.number == other && ask.sequence == 0 && ask.max == 0);
    tell_past(&s, conn, other, 0, bob.session, 0u);
    tell_past(&s, conn, id, 37, bob.session, 37u, 39u, 0u);
    tell_past(&s, conn, id, 37, bob.session, 37u, 39u, 0u); /* nobody asked that now */
    char expected[128];
    snprintf(expected, sizeof(expected),
             "history r %u OK before=0\nhistory r %u OK before=37 bob/37@5037=37 "
             "bob/39@5039=39\n",
             (unsigned)other, (unsigned)id);
    stage_story(&s, expected);
    /* Reading moves no position. */
    assert_int_equal(yomo_room_position(room, NULL), 50);
    stage_end(&s);
}

static void an_answer_in_pages_is_told_as_one(void **state)
{
    struct stage s;
    yomo_room *room;
    uint64_t id;
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, &room);
    assert_int_equal(yomo_room_history(room, 0, 0, &id), YOMO_OK);
    stage_run(&s);
    struct yo_message first = {.op = YO_OP_HISTORY,
                               .channel = yo_span_of("r"),
                               .number = id,
                               .members = yo_span_of("\x90"),
                               .more = true};
    stage_say(&s, conn, YO_LANE_ROOMS, &first);
    stage_story(&s, "");
    tell_past(&s, conn, id, 0, bob.session, 45u, 0u);
    char expected[64];
    snprintf(expected, sizeof(expected), "history r %u OK before=0 bob/45@5045=45\n",
             (unsigned)id);
    stage_story(&s, expected);
    stage_end(&s);
}

static void a_refused_question_says_why(void **state)
{
    struct stage s;
    yomo_room *room;
    uint64_t id;
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, &room);
    assert_int_equal(yomo_room_history(room, 0, 0, &id), YOMO_OK);
    stage_run(&s);
    const struct yo_message error = {.op = YO_OP_ERROR,
                                     .channel = yo_span_of("r"),
                                     .number = id,
                                     .code = YOMO_ERR_RATE};
    stage_say(&s, conn, YO_LANE_CONTROL, &error);
    char expected[64];
    snprintf(expected, sizeof(expected), "history r %u RATE before=0\n", (unsigned)id);
    stage_story(&s, expected);
    stage_end(&s);
}

static void a_lost_connection_asks_again(void **state)
{
    struct stage s;
    yomo_room *room;
    uint64_t id;
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, &room);
    assert_int_equal(yomo_room_history(room, 0, 7, &id), YOMO_OK);
    stage_run(&s);
    stage_take(&s, conn, YO_OP_HISTORY, NULL);
    struct yo_message half = {.op = YO_OP_HISTORY,
                              .channel = yo_span_of("r"),
                              .number = id,
                              .members = yo_span_of("\x90"),
                              .more = true};
    stage_say(&s, conn, YO_LANE_ROOMS, &half);
    conn = reconnect(&s, conn, 20);
    assert_true(stage_none(&s, conn, YO_OP_HISTORY)); /* not before it is in */
    stage_admit(&s, conn, "r", &bob, 1);
    s.story[0] = '\0';
    assert_int_equal(stage_take(&s, conn, YO_OP_HISTORY, NULL).max, 7);
    tell_past(&s, conn, id, 0, bob.session, 45u, 0u);
    char expected[64];
    snprintf(expected, sizeof(expected), "history r %u OK before=0 bob/45@5045=45\n",
             (unsigned)id);
    stage_story(&s, expected);
    stage_end(&s);
}

static void a_room_that_ends_answers_first(void **state)
{
    struct stage s;
    yomo_room *room;
    uint64_t id;
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, &room);
    assert_int_equal(yomo_room_history(room, 0, 0, &id), YOMO_OK);
    stage_run(&s);
    const struct yo_message out = {
        .op = YO_OP_CHANNEL_LEAVE, .channel = yo_span_of("r"), .code = YOMO_ERR_KICKED};
    stage_say(&s, conn, YO_LANE_CONTROL, &out);
    char expected[64];
    snprintf(expected, sizeof(expected),
             "history r %u CLOSED before=0\nleft r KICKED\n", (unsigned)id);
    stage_story(&s, expected);
    stage_end(&s);
}

static void questions_are_bounded(void **state)
{
    struct stage s;
    yomo_room *room;
    (void)state;
    begin_in_room(&s, &room);
    for (int i = 0; i < 64; i++) {
        assert_int_equal(yomo_room_history(room, 0, 0, NULL), YOMO_OK);
    }
    assert_int_equal(yomo_room_history(room, 0, 0, NULL), YOMO_ERR_FULL);
    yomo_room_leave(room);
    assert_int_equal(yomo_room_history(room, 0, 0, NULL), YOMO_ERR_CLOSED);
    stage_end(&s);
}

static void presencejs_has_no_history(void **state)
{
    struct stage s;
    yomo_room *room;
    uint64_t id;
    (void)state;
    stage_begin(&s, NULL);
    assert_int_equal(yomo_client_connect(s.client), YOMO_OK);
    assert_int_equal(yomo_client_join(s.client, "r", NULL, &room), YOMO_OK);
    stage_run(&s);
    struct fake_conn *conn = fake_last(&s.fake, WT);
    fake_open(conn, s.now);
    stage_pass(&s, 1100 * YO_MS); /* no hello */
    const struct yo_message ack = {
        .op = YO_OP_CHANNEL_JOIN, .channel = yo_span_of("r"), .peer = yo_span("", 0)};
    stage_say(&s, conn, YO_LANE_DATAGRAM, &ack);
    s.story[0] = '\0';
    assert_int_equal(yomo_room_history(room, 0, 0, &id), YOMO_OK);
    stage_run(&s);
    char expected[64];
    snprintf(expected, sizeof(expected), "history r %u STATE before=0\n", (unsigned)id);
    stage_story(&s, expected);
    assert_int_equal(yomo_room_position(room, NULL), 0);
    stage_end(&s);
}

static void live_a_life(struct fault *fault, void *user)
{
    struct stage s;
    yomo_room *room = NULL;
    uint64_t id = 0;
    (void)user;
    if (stage_create(&s, &fault->mem, NULL) != YOMO_OK) {
        return;
    }
    s.place = 50;
    s.epoch = 9;
    if (yomo_client_connect(s.client) == YOMO_OK &&
        yomo_client_join(s.client, "r", NULL, &room) == YOMO_OK &&
        yomo_room_history(room, 0, 0, &id) == YOMO_OK) {
        stage_run(&s);
        if (s.fake.count > 0 && !s.fake.conns[0]->ended) {
            struct fake_conn *conn = s.fake.conns[0];
            const struct yo_message hello = {.op = YO_OP_HELLO,
                                             .protocol = 1,
                                             .session = 7,
                                             .limits = {.message_size = 65536}};
            const struct yo_message ack = {.op = YO_OP_CHANNEL_JOIN,
                                           .channel = yo_span_of("r"),
                                           .peer = yo_span("", 0),
                                           .sequence = 50,
                                           .epoch = 9};
            const struct yo_message snapshot = {.op = YO_OP_SNAPSHOT,
                                                .channel = yo_span_of("r"),
                                                .sequence = 50,
                                                .members = yo_span_of("\x90")};
            fake_open(conn, s.now);
            stage_run(&s);
            const struct yo_message *said[] = {&hello, &ack, &snapshot};
            for (int i = 0; i < 3 && !conn->ended && !conn->closing; i++) {
                stage_say(&s, conn, YO_LANE_CONTROL, said[i]);
            }
            if (!conn->ended && !conn->closing) {
                tell_past(&s, conn, id, 0, bob.session, 45u, 46u, 0u);
            }
        }
    }
    stage_end(&s);
}

static void each_failing_allocation_is_survived(void **state)
{
    (void)state;
    assert_true(fault_each(live_a_life, NULL) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_join_may_ask_for_the_last_ones),
        cmocka_unit_test(a_room_that_is_joined_again_says_where_it_was),
        cmocka_unit_test(each_priority_has_its_place),
        cmocka_unit_test(a_program_may_save_each_place),
        cmocka_unit_test(what_it_said_itself_is_no_news),
        cmocka_unit_test(a_new_order_is_told_as_a_gap_without_a_beginning),
        cmocka_unit_test(a_question_gets_its_answer),
        cmocka_unit_test(an_answer_in_pages_is_told_as_one),
        cmocka_unit_test(a_refused_question_says_why),
        cmocka_unit_test(a_lost_connection_asks_again),
        cmocka_unit_test(a_room_that_ends_answers_first),
        cmocka_unit_test(questions_are_bounded),
        cmocka_unit_test(presencejs_has_no_history),
        cmocka_unit_test(each_failing_allocation_is_survived),
    };

    return cmocka_run_group_tests_name("client/history", tests, NULL, NULL);
}
