/* SPDX-License-Identifier: MIT */
/* What a member with the right to it does to others: given when the room is joined, and
 * what becomes of it told. */
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

static const struct stage_member bob = {11, "bob", "{}"};

static struct fake_conn *begin_in_room(struct stage *s, yomo_room **room)
{
    yo_udp_blocked_clear(yo_span_of("stage"), 443);
    stage_begin(s, NULL);
    struct fake_conn *conn = stage_connect(s, WT, 10);
    assert_int_equal(yomo_client_join(s->client, "r", NULL, room), YOMO_OK);
    stage_run(s);
    stage_admit(s, conn, "r", &bob, 1);
    s->story[0] = '\0';
    return conn;
}

static void answer(struct stage *s, struct fake_conn *conn, uint64_t number, int error)
{
    const struct yo_message message = {.op = error ? YO_OP_ERROR : YO_OP_ACK,
                                       .channel = yo_span_of("r"),
                                       .number = number,
                                       .code = error};
    stage_say(s, conn, YO_LANE_CONTROL, &message);
}

static void orders_are_given_and_confirmed(void **state)
{
    struct stage s;
    yomo_room *room;
    struct yo_message message;
    uint64_t kick, ban, shut;
    char story[64];
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, &room);
    assert_int_equal(yomo_room_kick(room, "bob", 0, "be nice", &kick), YOMO_OK);
    assert_int_equal(yomo_room_ban(room, "bob", 60000, NULL, &ban), YOMO_OK);
    assert_int_equal(yomo_room_kick(room, NULL, 11, NULL, NULL), YOMO_OK);
    stage_run(&s);
    message = stage_take(&s, conn, YO_OP_KICK, NULL);
    assert_true(yo_span_is(message.channel, "r"));
    assert_true(yo_span_is(message.peer, "bob"));
    assert_true(yo_span_is(message.text, "be nice"));
    assert_int_equal(message.number, kick);
    message = stage_take(&s, conn, YO_OP_BAN, NULL);
    assert_int_equal(message.timestamp, 60000);
    assert_int_equal(message.number, ban);
    message = stage_take(&s, conn, YO_OP_KICK, NULL);
    assert_int_equal(message.session, 11);
    assert_false(message.peer.data);
    answer(&s, conn, kick, YOMO_OK);
    answer(&s, conn, kick, YOMO_OK); /* once */
    answer(&s, conn, ban, YOMO_ERR_DENIED);
    answer(&s, conn, message.number, YOMO_OK); /* nobody wanted to know */
    snprintf(story, sizeof(story), "sent %u OK\nsent %u DENIED\n", (unsigned)kick,
             (unsigned)ban);
    stage_story(&s, story);
    /* Who closes the room is put out himself. */
    assert_int_equal(yomo_room_close_for_all(room, NULL, &shut), YOMO_OK);
    stage_run(&s);
    message = stage_take(&s, conn, YO_OP_CLOSE, NULL);
    assert_int_equal(message.number, shut);
    stage_say(&s, conn, YO_LANE_CONTROL,
              &(struct yo_message){.op = YO_OP_CHANNEL_LEAVE,
                                   .channel = yo_span_of("r"),
                                   .code = YOMO_ERR_KICKED});
    snprintf(story, sizeof(story), "sent %u OK\nleft r KICKED\n", (unsigned)shut);
    stage_story(&s, story);
    answer(&s, conn, shut, YOMO_OK);
    stage_story(&s, "");
    stage_end(&s);
}

static void what_was_given_when_the_connection_broke_is_unknown(void **state)
{
    struct stage s;
    yomo_room *room;
    uint64_t given, later;
    char story[64];
    (void)state;
    struct fake_conn *conn = begin_in_room(&s, &room);
    assert_int_equal(yomo_room_kick(room, "bob", 0, NULL, &given), YOMO_OK);
    stage_run(&s);
    fake_closed(conn, YO_CLOSE_RETRY, YOMO_ERR_CLOSED, "", s.now);
    stage_run(&s);
    snprintf(story, sizeof(story), "sent %u UNSURE\n", (unsigned)given);
    assert_non_null(strstr(s.story, story));
    assert_int_equal(yomo_room_kick(room, "bob", 0, NULL, &later), YOMO_OK);
    for (int i = 0; i < 100 && s.client->phase != YO_PHASE_RACING; i++) {
        stage_pass(&s, 10 * YO_MS);
    }
    conn = stage_accept(&s, WT, 20);
    assert_true(stage_none(&s, conn, YO_OP_KICK)); /* not in the room yet */
    stage_admit(&s, conn, "r", &bob, 1);
    assert_int_equal(stage_take(&s, conn, YO_OP_KICK, NULL).number, later);
    s.story[0] = '\0';
    answer(&s, conn, later, YOMO_OK);
    snprintf(story, sizeof(story), "sent %u OK\n", (unsigned)later);
    stage_story(&s, story);
    stage_end(&s);
}

static void what_makes_no_sense_is_refused_at_once(void **state)
{
    struct stage s;
    yomo_room *room;
    char text[300];
    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    (void)begin_in_room(&s, &room);
    assert_int_equal(yomo_room_kick(NULL, "bob", 0, NULL, NULL), YOMO_ERR_INVALID);
    assert_int_equal(yomo_room_kick(room, NULL, 0, NULL, NULL), YOMO_ERR_INVALID);
    assert_int_equal(yomo_room_kick(room, text, 0, NULL, NULL), YOMO_ERR_INVALID);
    assert_int_equal(yomo_room_kick(room, "bob", 0, text, NULL), YOMO_ERR_INVALID);
    assert_int_equal(yomo_room_kick(room, "\xff", 0, NULL, NULL), YOMO_ERR_INVALID);
    assert_int_equal(yomo_room_ban(room, "bob", 0, NULL, NULL), YOMO_ERR_INVALID);
    assert_int_equal(yomo_room_ban(room, NULL, 5, NULL, NULL), YOMO_ERR_INVALID);
    for (int i = 0; i < 64; i++) {
        assert_int_equal(yomo_room_kick(room, "bob", 0, NULL, NULL), YOMO_OK);
    }
    assert_int_equal(yomo_room_kick(room, "bob", 0, NULL, NULL), YOMO_ERR_FULL);
    stage_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders_are_given_and_confirmed),
        cmocka_unit_test(what_was_given_when_the_connection_broke_is_unknown),
        cmocka_unit_test(what_makes_no_sense_is_refused_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
