/* SPDX-License-Identifier: MIT */
/* Messages to some members, their time to live and priority; requests and their one
 * outcome. On the virtual clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <string.h>

#include "client/udp_blocked.h"
#include "stage.h"
#include "support/bytes.h"
#include "support/fault.h"
#include "wire/decode.h"

#define WT YOMO_TRANSPORT_WEBTRANSPORT

static const struct stage_member bob = {11, "bob", "{}"};
static const struct stage_member eve = {12, "eve", "{}"};
static const struct stage_member *const nobody = NULL;

static struct fake_conn *begin(struct stage *s, const char *const *options,
                               yomo_room **room)
{
    yo_udp_blocked_clear(yo_span_of("stage"), 443);
    stage_begin(s, options);
    struct fake_conn *conn = stage_connect(s, WT, 10);
    assert_int_equal(yomo_client_join(s->client, "r", NULL, room), YOMO_OK);
    stage_run(s);
    stage_admit(s, conn, "r", &bob, 1);
    s->story[0] = '\0';
    return conn;
}

static yomo_send *new_send(struct stage *s)
{
    yomo_send *how = NULL;
    assert_int_equal(yomo_send_create(&how, s->client), YOMO_OK);
    return how;
}

static int32_t send_with(yomo_room *room, const yomo_send *how, const char *event,
                         uint64_t *id)
{
    return yomo_room_send_with(room, how, event, "1", 1, YOMO_JSON, id);
}

static void check_targets(const struct yo_message *data, const char *expected)
{
    struct yo_mp_reader reader;
    struct yo_wire_target target;
    char text[128] = "";
    size_t used = 0;
    assert_non_null(data->targets.data);
    yo_targets_init(&reader, data->targets);
    while (yo_targets_next(&reader, &target)) {
        used +=
            (size_t)snprintf(text + used, sizeof(text) - used, "%llu/%.*s ",
                             (unsigned long long)target.session, (int)target.user.size,
                             target.user.size ? (const char *)target.user.data : "");
    }
    assert_string_equal(text, expected);
}

static void a_send_says_it_all(void **state)
{
    struct stage s;
    yomo_room *room;
    uint64_t id = 0;
    (void)state;
    struct fake_conn *conn = begin(&s, NULL, &room);
    yomo_send *how = new_send(&s);
    assert_int_equal(yomo_send_to(how, 11), YOMO_OK);
    assert_int_equal(yomo_send_to_user(how, "eve"), YOMO_OK);
    assert_int_equal(yomo_send_to_server(how), YOMO_ERR_STATE);
    assert_int_equal(yomo_send_set_me(how, 1), YOMO_OK);
    assert_int_equal(yomo_send_set_delivery(how, YOMO_LATEST), YOMO_OK);
    assert_int_equal(yomo_send_set_key(how, "k"), YOMO_OK);
    assert_int_equal(yomo_send_set_ttl(how, 1500), YOMO_OK);
    assert_int_equal(yomo_send_set_priority(how, YOMO_URGENT), YOMO_OK);
    assert_int_equal(send_with(room, how, "e", &id), YOMO_OK);
    stage_run(&s);
    struct yo_message data = stage_take(&s, conn, YO_OP_DATA, NULL);
    check_targets(&data, "11/ 0/eve ");
    assert_true(data.echo);
    assert_int_equal(data.delivery, YOMO_LATEST);
    assert_text(data.key, "k");
    assert_true(data.ttl_ms >= 1500 && data.ttl_ms <= 1501);
    assert_int_equal(data.priority, YOMO_URGENT);
    assert_int_equal(data.number, id);
    assert_true(data.request == 0 && data.reply == 0);

    yomo_send_reset(how);
    assert_int_equal(yomo_send_to_server(how), YOMO_OK);
    assert_int_equal(yomo_send_to(how, 11), YOMO_ERR_STATE);
    assert_int_equal(send_with(room, how, "e", NULL), YOMO_OK);
    assert_int_equal(send_with(room, NULL, "e", NULL), YOMO_OK);
    stage_run(&s);
    data = stage_take(&s, conn, YO_OP_DATA, NULL);
    check_targets(&data, "");
    assert_true(!data.echo && data.ttl_ms == 0 && data.priority == YOMO_NORMAL);
    data = stage_take(&s, conn, YO_OP_DATA, NULL);
    assert_null(data.targets.data);
    yomo_send_free(how);
    yomo_send_free(NULL);
    stage_end(&s);
}

static void a_send_that_cannot_be_is_refused(void **state)
{
    struct stage s;
    yomo_room *room;
    (void)state;
    (void)begin(&s, NULL, &room);
    yomo_send *how = new_send(&s);
    assert_int_equal(yomo_send_create(NULL, s.client), YOMO_ERR_INVALID);
    assert_int_equal(yomo_send_to(how, 0), YOMO_ERR_INVALID);
    assert_int_equal(yomo_send_to(NULL, 1), YOMO_ERR_INVALID);
    assert_int_equal(yomo_send_to_user(how, ""), YOMO_ERR_INVALID);
    assert_int_equal(yomo_send_to_user(how, "\xff"), YOMO_ERR_INVALID);
    assert_int_equal(yomo_send_set_delivery(how, 3), YOMO_ERR_INVALID);
    assert_int_equal(yomo_send_set_priority(how, 3), YOMO_ERR_INVALID);
    assert_int_equal(yomo_send_set_priority(how, -1), YOMO_ERR_INVALID);
    for (uint64_t i = 1; i <= 100; i++) {
        assert_int_equal(yomo_send_to(how, i), YOMO_OK);
    }
    assert_int_equal(yomo_send_to(how, 101), YOMO_ERR_FULL);
    assert_int_equal(send_with(room, how, "", NULL), YOMO_ERR_INVALID);
    assert_int_equal(yomo_room_send_with(room, how, "e", "{", 1, YOMO_JSON, NULL),
                     YOMO_ERR_JSON);
    char *big = calloc(1, 65536);
    assert_int_equal(yomo_room_send_with(room, how, "e", big, 65400, YOMO_BYTES, NULL),
                     YOMO_ERR_TOO_BIG); /* at once; 100 names take their room */
    free(big);
    yomo_send_free(how);
    stage_end(&s);
}

static void what_is_not_for_everybody_never_reaches_presencejs(void **state)
{
    struct stage s;
    yomo_room *room;
    uint64_t id;
    (void)state;
    yo_udp_blocked_clear(yo_span_of("stage"), 443);
    stage_begin(&s, NULL);
    assert_int_equal(yomo_client_connect(s.client), YOMO_OK);
    stage_run(&s);
    struct fake_conn *conn = fake_last(&s.fake, WT);
    fake_open(conn, s.now);
    stage_pass(&s, 2 * YO_SECOND); /* no hello */
    assert_int_equal(yomo_client_join(s.client, "r", NULL, &room), YOMO_OK);
    stage_run(&s);
    stage_say(&s, conn, YO_LANE_DATAGRAM,
              &(struct yo_message){.op = YO_OP_CHANNEL_JOIN,
                                   .channel = yo_span_of("r"),
                                   .peer = yo_span("", 0)});
    s.story[0] = '\0';
    yomo_send *how = new_send(&s);
    assert_int_equal(yomo_send_to_user(how, "bob"), YOMO_OK);
    assert_int_equal(send_with(room, how, "secret", &id), YOMO_OK);
    stage_run(&s);
    stage_story(&s, "sent 1 STATE\n");
    assert_true(stage_none(&s, conn, YO_OP_DATA));
    yomo_send_free(how);
    stage_end(&s);
}

/* --- time to live ---------------------------------------------------------------- */

static void what_waits_too_long_is_told_offline_too(void **state)
{
    struct stage s;
    yomo_room *room;
    uint64_t short_id, long_id;
    (void)state;
    struct fake_conn *conn =
        begin(&s, (const char *const[]){"reconnect-min", "5s", NULL}, &room);
    fake_closed(conn, YO_CLOSE_RETRY, YOMO_ERR_CLOSED, "", s.now);
    yomo_send *how = new_send(&s);
    yomo_send_set_ttl(how, 40);
    assert_int_equal(send_with(room, how, "short", &short_id), YOMO_OK);
    yomo_send_set_ttl(how, 60000);
    assert_int_equal(send_with(room, how, "long", &long_id), YOMO_OK);
    yomo_send_set_ttl(how, 0);
    assert_int_equal(send_with(room, how, "ever", NULL), YOMO_OK);
    stage_run(&s);
    s.story[0] = '\0';
    size_t held = s.client->held;
    stage_pass(&s, 39 * YO_MS);
    assert_null(strstr(s.story, "sent"));
    stage_pass(&s, 1 * YO_MS);
    assert_non_null(strstr(s.story, "sent 1 TIMEOUT\n"));
    assert_true(s.client->held < held); /* its room is free again */
    for (int i = 0; i < 1000 && s.client->phase != YO_PHASE_RACING; i++) {
        stage_pass(&s, 10 * YO_MS);
    }
    yo_time waited = s.now;
    conn = stage_accept(&s, WT, 20);
    stage_admit(&s, conn, "r", &bob, 1);
    (void)waited;
    struct yo_message data = stage_take(&s, conn, YO_OP_DATA, NULL);
    assert_int_equal(data.number, long_id);
    assert_true(data.ttl_ms > 0 && data.ttl_ms < 60000); /* what is left of it */
    data = stage_take(&s, conn, YO_OP_DATA, NULL);
    assert_true(data.ttl_ms == 0);
    assert_true(stage_none(&s, conn, YO_OP_DATA));
    yomo_send_free(how);
    stage_end(&s);
}

/* --- priority --------------------------------------------------------------------- */

static void urgent_ones_go_first_and_find_room(void **state)
{
    struct stage s;
    yomo_room *room;
    char bytes[100] = {0};
    size_t bulk = 0, urgent = 0;
    (void)state;
    struct fake_conn *conn =
        begin(&s, (const char *const[]){"queue-size", "16k", NULL}, &room);
    yomo_send *how = new_send(&s);
    conn->send_result = YOMO_ERR_AGAIN;
    yomo_send_set_priority(how, YOMO_BULK);
    while (yomo_room_send_with(room, how, "bulk", bytes, 100, YOMO_BYTES, NULL) ==
           YOMO_OK) {
        bulk++;
    }
    stage_run(&s);
    yomo_send_set_priority(how, YOMO_NORMAL);
    assert_int_equal(send_with(room, how, "normal", NULL), YOMO_OK);
    while (yomo_room_send_with(room, how, "fill", bytes, 100, YOMO_BYTES, NULL) ==
           YOMO_OK) {
    }
    yomo_send_set_priority(how, YOMO_BULK);
    assert_int_equal(send_with(room, how, "b", NULL), YOMO_ERR_FULL);
    yomo_send_set_priority(how, YOMO_URGENT);
    assert_int_equal(send_with(room, how, "urgent", NULL), YOMO_OK);
    while (yomo_room_send_with(room, how, "more", bytes, 100, YOMO_BYTES, NULL) ==
           YOMO_OK) {
        urgent++;
    }
    assert_true(bulk > 20 && urgent > 5); /* and yet it ends */
    conn->send_result = YOMO_OK;
    fake_writable(conn, s.now);
    stage_run(&s);
    struct yo_message data = stage_take(&s, conn, YO_OP_DATA, NULL);
    assert_int_equal(data.priority, YOMO_URGENT);
    for (size_t i = 0; i < urgent; i++) {
        data = stage_take(&s, conn, YO_OP_DATA, NULL);
        assert_int_equal(data.priority, YOMO_URGENT);
    }
    data = stage_take(&s, conn, YO_OP_DATA, NULL);
    assert_int_equal(data.priority, YOMO_NORMAL);
    yomo_send_free(how);
    stage_end(&s);
}

static void
latest_values_for_different_receivers_do_not_replace_each_other(void **state)
{
    struct stage s;
    yomo_room *room;
    (void)state;
    struct fake_conn *conn = begin(&s, NULL, &room);
    yomo_send *how = new_send(&s);
    conn->send_result = YOMO_ERR_AGAIN;
    yomo_send_set_delivery(how, YOMO_LATEST);
    assert_int_equal(send_with(room, how, "e", NULL), YOMO_OK);
    yomo_send_to(how, 11);
    assert_int_equal(send_with(room, how, "e", NULL), YOMO_OK);
    assert_int_equal(send_with(room, how, "e", NULL), YOMO_OK);
    stage_run(&s);
    conn->send_result = YOMO_OK;
    fake_writable(conn, s.now);
    stage_run(&s);
    struct yo_message data = stage_take(&s, conn, YO_OP_DATA, NULL);
    assert_null(data.targets.data);
    data = stage_take(&s, conn, YO_OP_DATA, NULL);
    check_targets(&data, "11/ ");
    assert_int_equal(data.version, 3);
    assert_true(stage_none(&s, conn, YO_OP_DATA));
    yomo_send_free(how);
    stage_end(&s);
}

static void after_a_move_what_comes_twice_is_dropped_by_priority(void **state)
{
    struct stage s;
    (void)state;
    struct fake_conn *conn = begin(&s, NULL, NULL);
    struct yo_message data = {.op = YO_OP_DATA,
                              .channel = yo_span_of("r"),
                              .peer = yo_span_of("bob"),
                              .session = 11,
                              .payload = bytes_hex("82a56576656e74a165a464617461a131")};
    static const struct {
        uint64_t place;
        enum yomo_priority priority;
        bool told;
    } arrivals[] = {
        {110, YOMO_URGENT, true},  {105, YOMO_NORMAL, true},  {103, YOMO_BULK, true},
        {105, YOMO_NORMAL, false}, {110, YOMO_URGENT, false}, {103, YOMO_BULK, false},
        {106, YOMO_NORMAL, true},  {104, YOMO_BULK, true},    {111, YOMO_URGENT, true}};
    for (size_t i = 0; i < sizeof(arrivals) / sizeof(arrivals[0]); i++) {
        data.sequence = arrivals[i].place;
        data.priority = arrivals[i].priority;
        stage_say(&s, conn, YO_LANE_ROOMS, &data);
        stage_story(&s, arrivals[i].told ? "message r bob e 1\n" : "");
    }
    stage_end(&s);
}

/* --- requests ----------------------------------------------------------------------
 */

struct outcome {
    int calls;
    int32_t error;
    char text[128], data[64];
    bool direct;
};

static void on_outcome(void *user, yomo_room *room, int32_t error,
                       const yomo_message *reply)
{
    struct outcome *outcome = user;
    assert_string_equal(yomo_room_name(room), "r");
    outcome->calls++;
    outcome->error = error;
    outcome->data[0] = outcome->text[0] = '\0';
    if (reply) {
        snprintf(outcome->data, sizeof(outcome->data), "%s",
                 yomo_message_json(reply, NULL));
        snprintf(outcome->text, sizeof(outcome->text), "%s", yomo_message_text(reply));
        outcome->direct = yomo_message_direct(reply) != 0;
        assert_null(yomo_message_take_request(reply));
    }
}

static int32_t ask(yomo_room *room, const yomo_send *how, uint64_t timeout_ms,
                   struct outcome *outcome)
{
    return yomo_room_request(room, how, "ask", "1", 1, YOMO_JSON, timeout_ms,
                             on_outcome, outcome);
}

static void reply(struct stage *s, struct fake_conn *conn,
                  const struct stage_member *from, uint64_t number, int error,
                  const char *json)
{
    struct yo_buf payload;
    yo_buf_init(&payload, &yo_mem_libc);
    assert_int_equal(
        yo_content_write(&payload, yo_span_of("ask"), YOMO_JSON, yo_span_of(json)),
        YOMO_OK);
    const struct yo_message message = {.op = YO_OP_DATA,
                                       .channel = yo_span_of("r"),
                                       .peer =
                                           from ? yo_span_of(from->id) : YO_SPAN_NONE,
                                       .session = from ? from->session : 0,
                                       .code = error,
                                       .text = error ? yo_span_of("no") : YO_SPAN_NONE,
                                       .direct = true,
                                       .reply = number,
                                       .payload = yo_buf_span(&payload)};
    stage_say(s, conn, YO_LANE_ROOMS, &message);
    yo_buf_finish(&payload);
}

static void answer_number(struct stage *s, struct fake_conn *conn, uint64_t number,
                          int error)
{
    stage_say(s, conn, YO_LANE_CONTROL,
              &(struct yo_message){.op = error ? YO_OP_ERROR : YO_OP_ACK,
                                   .channel = yo_span_of("r"),
                                   .number = number,
                                   .code = error});
}

static void a_request_gets_the_reply_of_who_was_asked_once(void **state)
{
    struct stage s;
    struct outcome outcome = {0};
    yomo_room *room;
    (void)state;
    struct fake_conn *conn = begin(&s, NULL, &room);
    yomo_send *how = new_send(&s);
    yomo_send_to(how, 11);
    assert_int_equal(ask(room, how, 1000, &outcome), YOMO_OK);
    stage_run(&s);
    struct yo_message data = stage_take(&s, conn, YO_OP_DATA, NULL);
    uint64_t number = data.request;
    assert_true(number != 0 && data.number == number);
    answer_number(&s, conn, number, 0); /* it has its place: that is no outcome */
    assert_int_equal(outcome.calls, 0);
    reply(&s, conn, &eve, number, 0, "\"a lie\""); /* was not asked */
    reply(&s, conn, nobody, number, 0, "\"not the host\"");
    reply(&s, conn, &bob, number + 1, 0, "\"another\"");
    assert_int_equal(outcome.calls, 0);
    reply(&s, conn, &bob, number, 0, "42");
    assert_int_equal(outcome.calls, 1);
    assert_int_equal(outcome.error, YOMO_OK);
    assert_string_equal(outcome.data, "42");
    assert_true(outcome.direct);
    reply(&s, conn, &bob, number, 0, "43"); /* twice */
    stage_pass(&s, 2 * YO_SECOND);          /* nor does it time out any more */
    assert_int_equal(outcome.calls, 1);
    assert_int_equal(yomo_client_replies_dropped(s.client), 4);
    stage_story(&s, ""); /* neither a message nor sent */
    yomo_send_free(how);
    stage_end(&s);
}

static void a_user_or_the_server_may_be_asked(void **state)
{
    struct stage s;
    struct outcome user = {0}, server = {0};
    yomo_room *room;
    (void)state;
    struct fake_conn *conn = begin(&s, NULL, &room);
    yomo_send *how = new_send(&s);
    yomo_send_to_user(how, "eve");
    assert_int_equal(ask(room, how, 0, &user), YOMO_OK);
    yomo_send_reset(how);
    yomo_send_to_server(how);
    assert_int_equal(ask(room, how, 0, &server), YOMO_OK);
    stage_run(&s);
    uint64_t first = stage_take(&s, conn, YO_OP_DATA, NULL).request;
    uint64_t second = stage_take(&s, conn, YO_OP_DATA, NULL).request;
    reply(&s, conn, &bob, first, 0, "1");  /* another user */
    reply(&s, conn, &eve, second, 0, "1"); /* a member, for the host */
    assert_int_equal(user.calls + server.calls, 0);
    reply(&s, conn, &eve, first, YOMO_ERR_DENIED, "null");
    reply(&s, conn, nobody, second, 0, "7");
    assert_int_equal(user.calls, 1);
    assert_int_equal(user.error, YOMO_ERR_DENIED);
    assert_string_equal(user.text, "no");
    assert_int_equal(server.calls, 1);
    assert_string_equal(server.data, "7");
    yomo_send_free(how);
    stage_end(&s);
}

static void a_request_without_an_answer_times_out(void **state)
{
    struct stage s;
    struct outcome outcome = {0}, longer = {0};
    yomo_room *room;
    (void)state;
    struct fake_conn *conn = begin(&s, NULL, &room);
    yomo_send *how = new_send(&s);
    yomo_send_to(how, 11);
    assert_int_equal(ask(room, how, 500, &outcome), YOMO_OK);
    assert_int_equal(ask(room, how, 0, &longer), YOMO_OK); /* ten seconds */
    stage_pass(&s, 499 * YO_MS);
    assert_int_equal(outcome.calls, 0);
    stage_pass(&s, 1 * YO_MS);
    assert_int_equal(outcome.calls, 1);
    assert_int_equal(outcome.error, YOMO_ERR_TIMEOUT);
    reply(&s, conn, &bob, stage_take(&s, conn, YO_OP_DATA, NULL).request, 0, "1");
    assert_int_equal(outcome.calls, 1); /* too late */
    assert_int_equal(yomo_client_replies_dropped(s.client), 1);
    for (int i = 0; i < 10; i++) { /* the connection lives on meanwhile */
        stage_pass(&s, 949 * YO_MS);
        stage_say(&s, conn, YO_LANE_CONTROL,
                  &(struct yo_message){.op = YO_OP_PING, .timestamp = 1});
    }
    assert_int_equal(longer.calls, 0);
    stage_pass(&s, 10 * YO_MS);
    assert_int_equal(longer.calls, 1);
    assert_int_equal(longer.error, YOMO_ERR_TIMEOUT);
    yomo_send_free(how);
    stage_end(&s);
}

static void a_request_that_cannot_be_delivered_says_why(void **state)
{
    struct stage s;
    struct outcome nobody_there = {0}, old = {0};
    yomo_room *room;
    (void)state;
    struct fake_conn *conn = begin(&s, NULL, &room);
    yomo_send *how = new_send(&s);
    yomo_send_to(how, 99);
    assert_int_equal(ask(room, how, 1000, &nobody_there), YOMO_OK);
    stage_run(&s);
    answer_number(&s, conn, stage_take(&s, conn, YO_OP_DATA, NULL).number,
                  YOMO_ERR_NOT_FOUND);
    assert_int_equal(nobody_there.calls, 1);
    assert_int_equal(nobody_there.error, YOMO_ERR_NOT_FOUND);
    conn->send_result = YOMO_ERR_AGAIN;
    yomo_send_set_ttl(how, 20);
    assert_int_equal(ask(room, how, 1000, &old), YOMO_OK);
    stage_pass(&s, 30 * YO_MS);
    assert_int_equal(old.calls, 1);
    assert_int_equal(old.error, YOMO_ERR_TIMEOUT);
    stage_story(&s, "");
    yomo_send_free(how);
    stage_end(&s);
}

static void leave(struct stage *s, struct fake_conn *conn, uint64_t session,
                  const char *id, uint64_t place)
{
    stage_say(s, conn, YO_LANE_ROOMS,
              &(struct yo_message){.op = YO_OP_PEER_OFFLINE,
                                   .channel = yo_span_of("r"),
                                   .session = session,
                                   .peer = yo_span_of(id),
                                   .sequence = place});
}

/* Who is asked leaves: whoever asked is told at once, and may have been heard; unless
 * the server says that it was not. */
static void a_request_ends_when_who_is_asked_leaves(void **state)
{
    struct stage s;
    struct outcome member = {0}, user = {0}, late = {0}, unheard = {0}, other = {0};
    uint64_t number[4];
    yomo_room *room;
    (void)state;
    struct fake_conn *conn = begin(&s, NULL, &room);
    yomo_send *how = new_send(&s), *to_user = new_send(&s), *to_other = new_send(&s);
    yomo_send_to(how, bob.session);
    yomo_send_to_user(to_user, bob.id);
    yomo_send_to(to_other, 77); /* an observer: nobody is told of it */
    assert_int_equal(ask(room, how, 60000, &member), YOMO_OK);
    assert_int_equal(ask(room, to_user, 60000, &user), YOMO_OK);
    assert_int_equal(ask(room, how, 60000, &late), YOMO_OK);
    assert_int_equal(ask(room, how, 60000, &unheard), YOMO_OK);
    assert_int_equal(ask(room, to_other, 60000, &other), YOMO_OK);
    stage_run(&s);
    for (int i = 0; i < 4; i++) {
        number[i] = stage_take(&s, conn, YO_OP_DATA, NULL).number;
    }
    answer_number(&s, conn, stage_take(&s, conn, YO_OP_DATA, NULL).number, YOMO_OK);
    answer_number(&s, conn, number[0], YOMO_OK);
    answer_number(&s, conn, number[1], YOMO_OK);
    assert_int_equal(member.calls + user.calls, 0);
    leave(&s, conn, bob.session, bob.id, 100);
    assert_true(member.calls == 1 && member.error == YOMO_ERR_UNSURE);
    assert_true(user.calls == 1 && user.error == YOMO_ERR_UNSURE);
    assert_int_equal(late.calls + unheard.calls, 0); /* it is still to be told */
    answer_number(&s, conn, number[2], YOMO_OK);
    assert_true(late.calls == 1 && late.error == YOMO_ERR_UNSURE);
    answer_number(&s, conn, number[3], YOMO_ERR_NOT_FOUND);
    assert_true(unheard.calls == 1 && unheard.error == YOMO_ERR_NOT_FOUND);
    assert_int_equal(other.calls, 0);
    yomo_send_free(how);
    yomo_send_free(to_user);
    yomo_send_free(to_other);
    stage_end(&s);
    assert_int_equal(other.calls, 1);
}

static void a_request_ends_with_its_session_or_its_room(void **state)
{
    struct stage s;
    struct outcome sent = {0}, waiting = {0}, left = {0};
    yomo_room *room;
    (void)state;
    struct fake_conn *conn = begin(&s, NULL, &room);
    yomo_send *how = new_send(&s);
    yomo_send_to(how, 11);
    assert_int_equal(ask(room, how, 60000, &sent), YOMO_OK);
    stage_run(&s);
    uint64_t number = stage_take(&s, conn, YO_OP_DATA, NULL).request;
    answer_number(&s, conn, number, 0);
    fake_closed(conn, YO_CLOSE_RETRY, YOMO_ERR_CLOSED, "", s.now);
    stage_run(&s);
    assert_int_equal(ask(room, how, 60000, &waiting), YOMO_OK);
    for (int i = 0; i < 1000 && s.client->phase != YO_PHASE_RACING; i++) {
        stage_pass(&s, 10 * YO_MS);
    }
    assert_int_equal(sent.calls, 0); /* the session might have come back */
    conn = stage_accept(&s, WT, 20); /* it has not: this is another one */
    assert_int_equal(sent.calls, 1);
    assert_int_equal(sent.error, YOMO_ERR_UNSURE);
    stage_admit(&s, conn, "r", &bob, 1);
    assert_int_equal(waiting.calls, 0);
    reply(&s, conn, &bob, stage_take(&s, conn, YO_OP_DATA, NULL).request, 0, "1");
    assert_int_equal(waiting.calls, 1);
    assert_int_equal(waiting.error, YOMO_OK);
    assert_int_equal(ask(room, how, 60000, &left), YOMO_OK);
    assert_int_equal(ask(room, how, 60000, &left), YOMO_OK);
    yomo_client_close(s.client); /* in the same turn */
    assert_int_equal(ask(room, how, 60000, &left), YOMO_ERR_CLOSED);
    stage_end(&s);
    assert_int_equal(left.calls, 2);
    assert_int_equal(left.error, YOMO_ERR_UNSURE);
    yomo_send_free(how); /* may outlive the client */
}

static void requests_are_bounded_and_checked(void **state)
{
    struct stage s;
    struct outcome outcome = {0};
    yomo_room *room;
    (void)state;
    struct fake_conn *conn =
        begin(&s, (const char *const[]){"requests-max", "2", NULL}, &room);
    yomo_send *how = new_send(&s);
    assert_int_equal(ask(room, how, 0, &outcome), YOMO_ERR_INVALID); /* to everybody */
    assert_int_equal(ask(room, NULL, 0, &outcome), YOMO_ERR_INVALID);
    yomo_send_to(how, 11);
    yomo_send_set_me(how, 1);
    assert_int_equal(ask(room, how, 0, &outcome), YOMO_ERR_INVALID);
    yomo_send_set_me(how, 0);
    assert_int_equal(ask(room, how, 0, &outcome), YOMO_OK);
    assert_int_equal(ask(room, how, 0, &outcome), YOMO_OK);
    assert_int_equal(ask(room, how, 0, &outcome), YOMO_ERR_FULL);
    stage_run(&s);
    reply(&s, conn, &bob, stage_take(&s, conn, YO_OP_DATA, NULL).request, 0, "1");
    assert_int_equal(ask(room, how, 0, &outcome), YOMO_OK);
    yomo_send_to(how, 12);
    assert_int_equal(ask(room, how, 0, &outcome), YOMO_ERR_INVALID); /* two */
    yomo_send_free(how);
    stage_end(&s);
    assert_int_equal(outcome.calls, 3);
}

/* --- being asked ------------------------------------------------------------------ */

static yomo_request *taken[2];
static size_t taken_count;

static void take(void *user, yomo_room *room, const yomo_message *message)
{
    (void)user, (void)room;
    assert_int_equal(yomo_message_direct(message), 1);
    taken[taken_count++] = yomo_message_take_request(message);
}

static void ask_me(struct stage *s, struct fake_conn *conn, uint64_t number)
{
    stage_say(s, conn, YO_LANE_ROOMS,
              &(struct yo_message){.op = YO_OP_DATA,
                                   .channel = yo_span_of("r"),
                                   .peer = yo_span_of("bob"),
                                   .session = 11,
                                   .direct = true,
                                   .request = number,
                                   .payload = bytes_hex("82a56576656e74a3"
                                                        "61736b"
                                                        "a464617461a131")});
}

static void whoever_is_asked_answers_once_to_who_asked(void **state)
{
    struct stage s;
    yomo_room *room;
    (void)state;
    struct fake_conn *conn = begin(&s, NULL, &room);
    taken_count = 0;
    assert_int_equal(yomo_room_subscribe(room, "ask", take, NULL, NULL), YOMO_OK);
    assert_int_equal(yomo_room_subscribe(room, NULL, take, NULL, NULL), YOMO_OK);
    ask_me(&s, conn, 7);
    assert_int_equal(taken_count, 2);
    assert_null(taken[1]); /* the first one has it */
    assert_int_equal(yomo_request_reply(taken[0], "{", 1, YOMO_JSON), YOMO_ERR_JSON);
    assert_int_equal(yomo_request_reply(taken[0], "[1]", 3, YOMO_JSON), YOMO_OK);
    stage_run(&s);
    struct yo_message data = stage_take(&s, conn, YO_OP_DATA, NULL);
    struct yo_content content;
    check_targets(&data, "11/ ");
    assert_true(data.reply == 7 && data.code == 0 && data.request == 0);
    assert_int_equal(yo_content_read(data.payload, &content), YOMO_OK);
    assert_text(content.event, "ask");
    assert_text(content.bytes, "[1]");
    taken_count = 0;
    ask_me(&s, conn, 8);
    assert_int_equal(yomo_request_refuse(taken[0], 5, NULL), YOMO_ERR_INVALID);
    assert_int_equal(yomo_request_refuse(taken[0], YOMO_ERR_RATE, "slowly"), YOMO_OK);
    stage_run(&s);
    data = stage_take(&s, conn, YO_OP_DATA, NULL);
    assert_int_equal(data.code, YOMO_ERR_RATE);
    assert_text(data.text, "slowly");
    taken_count = 0;
    ask_me(&s, conn, 9);
    stage_end(&s); /* a kept request outlives the room */
    assert_int_equal(yomo_request_reply(taken[0], "1", 1, YOMO_JSON), YOMO_ERR_CLOSED);
    yomo_request_free(taken[0]);
    yomo_request_free(NULL);
}

/* --- memory ------------------------------------------------------------------------
 */

static void say_much(struct fault *memory, void *user)
{
    struct stage s;
    struct outcome outcome = {0};
    yomo_room *room = NULL;
    yomo_send *how = NULL;
    int asked = 0;
    (void)user;
    yo_udp_blocked_clear(yo_span_of("stage"), 443);
    if (stage_create(&s, &memory->mem, NULL) != YOMO_OK) {
        fake_finish(&s.fake);
        return;
    }
    if (yomo_send_create(&how, s.client) == YOMO_OK &&
        yomo_client_join(s.client, "r", NULL, &room) == YOMO_OK) {
        (void)yomo_send_to(how, 11);
        (void)yomo_send_set_key(how, "k");
        (void)yomo_send_set_ttl(how, 50);
        (void)yomo_send_set_priority(how, YOMO_URGENT);
        (void)send_with(room, how, "e", NULL);
        yomo_send_reset(how);
        if (yomo_send_to_user(how, "bob") == YOMO_OK) {
            asked += ask(room, how, 100, &outcome) == YOMO_OK;
            asked += ask(room, how, 100, &outcome) == YOMO_OK;
        }
        stage_pass(&s, 200 * YO_MS);
    }
    yomo_send_free(how);
    stage_end(&s);
    assert_int_equal(outcome.calls, asked); /* whatever failed */
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(fault_each(say_much, NULL) > 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_send_says_it_all),
        cmocka_unit_test(a_send_that_cannot_be_is_refused),
        cmocka_unit_test(what_is_not_for_everybody_never_reaches_presencejs),
        cmocka_unit_test(what_waits_too_long_is_told_offline_too),
        cmocka_unit_test(urgent_ones_go_first_and_find_room),
        cmocka_unit_test(
            latest_values_for_different_receivers_do_not_replace_each_other),
        cmocka_unit_test(after_a_move_what_comes_twice_is_dropped_by_priority),
        cmocka_unit_test(a_request_gets_the_reply_of_who_was_asked_once),
        cmocka_unit_test(a_user_or_the_server_may_be_asked),
        cmocka_unit_test(a_request_without_an_answer_times_out),
        cmocka_unit_test(a_request_that_cannot_be_delivered_says_why),
        cmocka_unit_test(a_request_ends_when_who_is_asked_leaves),
        cmocka_unit_test(a_request_ends_with_its_session_or_its_room),
        cmocka_unit_test(requests_are_bounded_and_checked),
        cmocka_unit_test(whoever_is_asked_answers_once_to_who_asked),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("client/send", tests, NULL, NULL);
}
