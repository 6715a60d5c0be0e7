/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/check.h"
#include "session/numbers.h"
#include "session/server_inside.h"
#include "session/server_side.h"
#include "support/bytes.h"
#include "support/fault.h"
#include "transport/transport.h"
#include "unit/session/story.h"

#define DATA "{\"event\":\"cur\",\"data\":\"1\"}"

static struct fault fault;
static struct yo_effects effects;
static struct yo_server_session *session;
static yo_time now;

static const struct yo_server_limits usual = {
    .message_size = 1000,
    .datagram_size = 150,
    .rooms = 2,
    .room_name_size = 20,
    .event_size = 10,
    .key_size = 10,
    .state_size = 400,
    .silence_ms = 15000,
    .errors_max = 3,
};

static void create(struct yo_server_identity identity, struct yo_server_limits limits)
{
    yo_server_session_destroy(session);
    identity.id = yo_span_of("alice");
    identity.session = 7;
    identity.epoch = 5;
    yo_effects_clear(&effects);
    assert_int_equal(yo_server_session_create(&session, &fault.mem, &identity, &limits,
                                              now, &effects),
                     YOMO_OK);
}

static int setup(void **state)
{
    (void)state;
    fault_init(&fault, 0, FAULT_ONCE);
    yo_effects_init(&effects, &fault.mem);
    session = NULL;
    now = 10 * YO_SECOND;
    create((struct yo_server_identity){.extension = true}, usual);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    yo_server_session_destroy(session);
    yo_server_session_destroy(NULL);
    yo_effects_finish(&effects);
    yo_effects_finish(&effects);
    fault_assert_no_leak(&fault);
    return 0;
}

static void use_presencejs(bool datagrams)
{
    create((struct yo_server_identity){.datagrams_only = datagrams,
                                       .mesh = yo_span_of("dev")},
           usual);
    assert_effects(&effects, "");
}

static void recv_on(uint32_t lane, const struct yo_message *message, const char *lines)
{
    yo_effects_clear(&effects);
    assert_int_equal(
        yo_server_session_recv(session, lane, story_encode(message), now, &effects),
        YOMO_OK);
    assert_effects(&effects, lines);
}

/* What the client sends, and what comes of it. */
static void recv(struct yo_message message, const char *lines)
{
    recv_on(LANE_CONTROL, &message, lines);
}

static void recv_bytes(struct yo_span bytes, const char *lines)
{
    yo_effects_clear(&effects);
    assert_int_equal(
        yo_server_session_recv(session, LANE_CONTROL, bytes, now, &effects), YOMO_OK);
    assert_effects(&effects, lines);
}

static struct yo_message about(enum yo_op op, const char *room, const char *payload)
{
    return (struct yo_message){
        .op = op, .channel = yo_span_of(room), .payload = story_payload(payload)};
}

static void joined(const char *room, uint64_t sequence, const char *lines)
{
    yo_effects_clear(&effects);
    assert_int_equal(
        yo_server_joined(session, yo_span_of(room), sequence, 0, now, &effects), YOMO_OK);
    assert_effects(&effects, lines);
}

static void refused(const char *room, int error, const char *lines)
{
    yo_effects_clear(&effects);
    assert_int_equal(
        yo_server_refused(session, yo_span_of(room), error, yo_span_of("no"), &effects),
        YOMO_OK);
    assert_effects(&effects, lines);
}

static void left(const char *room, int error, const char *lines)
{
    yo_effects_clear(&effects);
    assert_int_equal(
        yo_server_left(session, yo_span_of(room), error, YO_SPAN_NONE, &effects),
        YOMO_OK);
    assert_effects(&effects, lines);
}

static void tick(const char *lines)
{
    yo_effects_clear(&effects);
    assert_int_equal(yo_server_session_tick(session, now, &effects), YOMO_OK);
    assert_effects(&effects, lines);
}

static void enter(const char *room)
{
    struct yo_message join = about(YO_OP_CHANNEL_JOIN, room, NULL);

    yo_effects_clear(&effects);
    yo_server_session_recv(session, LANE_CONTROL, story_encode(&join), now, &effects);
    yo_effects_clear(&effects);
    yo_server_joined(session, yo_span_of(room), 1, 0, now, &effects);
    assert_int_not_equal(yo_server_session_lane(session, yo_span_of(room)), 0);
}

/* --- numbers --- */

static void the_numbers_are_those_of_the_transports(void **state)
{
    (void)state;
    assert_int_equal((int)LANE_DATAGRAM, (int)YO_LANE_DATAGRAM);
    assert_int_equal((int)LANE_CONTROL, (int)YO_LANE_CONTROL);
    assert_int_equal((int)LANE_ROOMS, (int)YO_LANE_ROOMS);
    assert_int_equal((int)CODE_PROTOCOL, (int)YO_CODE_PROTOCOL);
    assert_int_equal((int)CODE_SLOW, (int)YO_CODE_SLOW);
    assert_int_equal((int)CODE_SILENT, (int)YO_CODE_SILENT);
}

/* --- the extension --- */

static void hello_comes_first(void **state)
{
    (void)state;
    assert_effects(&effects,
                   "send 1: hello p=alice sid=7 ver=1 epoch=5 lim.msg=1000 lim.rooms=2 "
                   "lim.silence=15000\n");
    assert_int_equal(yo_server_session_dialect(session), YO_DIALECT_YOMO);
}

static void a_join_is_asked_and_answered(void **state)
{
    (void)state;
    recv(about(YO_OP_CHANNEL_JOIN, "r", "{\"id\":\"ali\"}"),
         "join r pl={\"id\":\"ali\"} label=ali\n");
    assert_int_equal(yo_server_session_lane(session, yo_span_of("r")), 0);
    joined("r", 4, "send 1: channel_join c=r p= q=4\n");
    assert_int_equal(yo_server_session_lane(session, yo_span_of("r")), LANE_ROOMS);
    joined("r", 4, "");
}

static void a_join_without_a_state_has_the_id_for_a_label(void **state)
{
    (void)state;
    recv(about(YO_OP_CHANNEL_JOIN, "r", NULL), "join r label=alice\n");
    recv(about(YO_OP_CHANNEL_JOIN, "s", "{\"id\":5}"),
         "join s pl={\"id\":5} label=alice\n");
}

static void a_refused_join_is_over(void **state)
{
    (void)state;
    recv(about(YO_OP_CHANNEL_JOIN, "r", NULL), "join r label=alice\n");
    refused("r", YOMO_ERR_DENIED, "send 1: error c=r code=DENIED msg=no\n");
    joined("r", 4, "");
    recv(about(YO_OP_CHANNEL_JOIN, "r", NULL), "join r label=alice\n");
}

static void more_rooms_than_allowed_are_refused(void **state)
{
    (void)state;
    enter("a");
    enter("b");
    recv(about(YO_OP_CHANNEL_JOIN, "c", NULL),
         "send 1: error c=c code=FULL msg=too many rooms\ndrop c code=FULL\n");
    recv(about(YO_OP_PEER_OFFLINE, "a", NULL), "leave a\n");
    recv(about(YO_OP_CHANNEL_JOIN, "c", NULL), "join c label=alice\n");
}

/* The kind of the first effect of joining, or of leaving, `room`. */
static int first_effect(enum yo_op op, const char *room)
{
    struct yo_message message = about(op, room, NULL);

    yo_effects_clear(&effects);
    yo_server_session_recv(session, LANE_CONTROL, story_encode(&message), now,
                           &effects);
    return effects.count > 0 ? (int)effects.list[0].kind : -1;
}

static void rooms_on_their_way_out_are_bounded_too(void **state)
{
    char name[8] = "r0";
    int joins = 0;

    (void)state;
    while (joins < 100 && first_effect(YO_OP_CHANNEL_JOIN, name) == YO_EFFECT_JOIN) {
        assert_int_equal(first_effect(YO_OP_PEER_OFFLINE, name), YO_EFFECT_LEAVE);
        snprintf(name, sizeof(name), "r%d", ++joins);
    }
    assert_int_equal(joins, 12);
}

static void names_that_cannot_be_rooms_are_refused(void **state)
{
    struct yo_message nul = {.op = YO_OP_CHANNEL_JOIN, .channel = yo_span("a\0b", 3)};

    (void)state;
    recv(about(YO_OP_CHANNEL_JOIN, "more than twenty bytes", NULL),
         "send 1: error c=more than twenty bytes code=INVALID msg=not a name for a "
         "room\n"
         "drop more than twenty bytes code=INVALID\n");
    recv(about(YO_OP_CHANNEL_JOIN, NULL, NULL), "drop code=MALFORMED\n");
    recv(about(YO_OP_CHANNEL_JOIN, "", NULL), "drop  code=MALFORMED\n");
    yo_effects_clear(&effects);
    yo_server_session_recv(session, LANE_CONTROL, story_encode(&nul), now, &effects);
    assert_int_equal(effects.count, 2);
    assert_int_equal(effects.list[1].error, YOMO_ERR_INVALID);
}

static void joining_twice_changes_nothing(void **state)
{
    (void)state;
    enter("r");
    recv(
        about(YO_OP_CHANNEL_JOIN, "r", NULL),
        "send 1: error c=r code=EXISTS msg=in this room already\ndrop r code=EXISTS\n");
    assert_int_not_equal(yo_server_session_lane(session, yo_span_of("r")), 0);
}

static void a_leave_is_answered(void **state)
{
    (void)state;
    enter("r");
    recv(about(YO_OP_PEER_OFFLINE, "r", NULL), "leave r\n");
    assert_int_equal(yo_server_session_lane(session, yo_span_of("r")), 0);
    recv(about(YO_OP_PEER_OFFLINE, "r", NULL), "");
    left("r", 0, "send 1: channel_leave c=r\n");
    left("r", 0, "");
}

static void a_leave_of_a_room_one_is_not_in_is_answered_too(void **state)
{
    (void)state;
    recv(about(YO_OP_PEER_OFFLINE, "r", NULL), "send 1: channel_leave c=r\n");
    recv(about(YO_OP_PEER_OFFLINE, NULL, NULL), "drop code=MALFORMED\n");
}

static void put_out_is_told_with_the_reason(void **state)
{
    (void)state;
    enter("r");
    left("r", YOMO_ERR_KICKED, "send 1: channel_leave c=r code=KICKED\n");
    enter("r");
    left("r", 0, "send 1: channel_leave c=r code=DENIED\n");
    recv(about(YO_OP_DATA, "r", DATA), "drop r code=NOT_FOUND\n");
}

static void who_leaves_before_the_answer_is_not_let_in_by_it(void **state)
{
    (void)state;
    recv(about(YO_OP_CHANNEL_JOIN, "r", NULL), "join r label=alice\n");
    recv(about(YO_OP_PEER_OFFLINE, "r", NULL), "leave r\n");
    recv(about(YO_OP_CHANNEL_JOIN, "r", NULL), "join r label=alice\n");
    joined("r", 1, "");
    left("r", 0, "");
    joined("r", 3, "send 1: channel_join c=r p= q=3\n");
    left("r", YOMO_ERR_DENIED, "send 1: channel_leave c=r code=DENIED\n");
}

/* Of a client that took us for presencejs while our hello was on its way: it asks again. */
static void a_join_in_a_datagram_is_not_heard(void **state)
{
    const struct yo_message join = about(YO_OP_CHANNEL_JOIN, "r", NULL);

    (void)state;
    recv_on(LANE_DATAGRAM, &join, "drop r code=STATE\n");
    recv(join, "join r label=alice\n");
}

static void the_refusal_of_a_join_that_was_left_passes_unsaid(void **state)
{
    (void)state;
    recv(about(YO_OP_CHANNEL_JOIN, "r", NULL), "join r label=alice\n");
    recv(about(YO_OP_PEER_OFFLINE, "r", NULL), "leave r\n");
    refused("r", YOMO_ERR_FULL, "");
    left("r", YOMO_ERR_KICKED, "");
    left("r", 0, "send 1: channel_leave c=r\n");
}

static void data_becomes_a_publish(void **state)
{
    struct yo_message data = about(YO_OP_DATA, "r", DATA);

    (void)state;
    enter("r");
    data.number = 3;
    data.key = yo_span_of("k"); /* of LATEST only */
    recv(data, "publish r pl={\"event\":\"cur\",\"data\":\"1\"} event=cur n=3\n");
    data.delivery = YOMO_LATEST;
    data.version = 9;
    recv(data,
         "publish r latest pl={\"event\":\"cur\",\"data\":\"1\"} event=cur k=k v=9 "
         "n=3\n");
    data = about(YO_OP_DATA, "r", DATA);
    recv_on(LANE_DATAGRAM, &data,
            "publish r unreliable pl={\"event\":\"cur\",\"data\":\"1\"} event=cur\n");
}

static void what_is_refused_is_told_by_its_number(void **state)
{
    struct yo_message data = about(YO_OP_DATA, "r", DATA);

    (void)state;
    recv(data, "drop r code=NOT_FOUND\n");
    data.number = 3;
    recv(data, "send 1: error c=r n=3 code=NOT_FOUND msg=not in this room\n"
               "drop r n=3 code=NOT_FOUND\n");
    enter("r");
    data.payload = story_payload("{\"event\":\"longer than ten\"}");
    recv(data, "send 1: error c=r n=3 code=TOO_BIG msg=the event's name is too long\n"
               "drop r n=3 code=TOO_BIG\n");
    data.payload = story_payload("{\"data\":1}");
    recv(data, "send 1: error c=r n=3 code=MALFORMED msg=a payload that is not data\n"
               "drop r n=3 code=MALFORMED\n");
    data.payload = story_payload(DATA);
    data.delivery = YOMO_LATEST;
    data.key = yo_span_of("longer than ten");
    recv(data, "send 1: error c=r n=3 code=TOO_BIG msg=the key is too long\n"
               "drop r n=3 code=TOO_BIG\n");
}

static void data_before_the_answer_is_not_let_through(void **state)
{
    (void)state;
    recv(about(YO_OP_CHANNEL_JOIN, "r", NULL), "join r label=alice\n");
    recv(about(YO_OP_DATA, "r", DATA), "drop r code=NOT_FOUND\n");
    recv(about(YO_OP_PEER_STATE, "r", "{}"), "drop r code=NOT_FOUND\n");
}

static void a_message_past_the_limit_is_too_big(void **state)
{
    struct yo_message data = {.op = YO_OP_DATA,
                              .channel = yo_span_of("r"),
                              .payload = bytes_repeat("x", 1000),
                              .number = 4};

    (void)state;
    enter("r");
    recv(data, "send 1: error c=r n=4 code=TOO_BIG msg=the message is too big\n"
               "drop r n=4 code=TOO_BIG\n");
}

static void an_older_latest_goes_no_further(void **state)
{
    struct yo_message data = about(YO_OP_DATA, "r", DATA);

    (void)state;
    enter("r");
    data.delivery = YOMO_LATEST;
    data.version = 5;
    yo_effects_clear(&effects);
    yo_server_session_recv(session, LANE_DATAGRAM, story_encode(&data), now, &effects);
    assert_int_equal(effects.list[0].kind, YO_EFFECT_PUBLISH);
    recv(data, "");
    data.version = 4;
    recv(data, "");
    data.number = 8; /* the value is there, or a newer one: that is what is asked */
    recv(data, "send 1: ack c=r n=8\n");
    data.key = yo_span_of("k");
    recv(data,
         "publish r latest pl={\"event\":\"cur\",\"data\":\"1\"} event=cur k=k v=4 "
         "n=8\n");
}

static void a_state_becomes_a_state(void **state)
{
    struct yo_message nul = about(YO_OP_PEER_STATE, "r", "{\"id\":\"a\\u0000b\"}");

    (void)state;
    enter("r");
    recv(about(YO_OP_PEER_STATE, "r", "{\"id\":\"bob\",\"x\":1}"),
         "state r pl={\"id\":\"bob\",\"x\":1} label=bob\n");
    recv(about(YO_OP_PEER_STATE, "r", "[1]"),
         "send 1: error c=r code=MALFORMED msg=a payload that is not a state\n"
         "drop r code=MALFORMED\n");
    recv(about(YO_OP_PEER_STATE, "r", NULL),
         "send 1: error c=r code=MALFORMED msg=a state without a payload or a room\n"
         "drop r code=MALFORMED\n");
    yo_effects_clear(&effects);
    yo_server_session_recv(session, LANE_CONTROL, story_encode(&nul), now, &effects);
    assert_int_equal(effects.list[1].error, YOMO_ERR_MALFORMED);
}

static void a_state_past_the_limit_is_too_big(void **state)
{
    struct yo_message message = about(YO_OP_PEER_STATE, "r", NULL);
    char json[600];

    (void)state;
    enter("r");
    snprintf(json, sizeof(json), "{\"x\":\"%0500d\"}", 0);
    message.payload = story_payload(json);
    recv(message, "send 1: error c=r code=TOO_BIG msg=the state is too big\n"
                  "drop r code=TOO_BIG\n");
}

static void a_proven_id_cannot_be_changed(void **state)
{
    (void)state;
    create((struct yo_server_identity){.extension = true, .id_proven = true}, usual);
    recv(about(YO_OP_CHANNEL_JOIN, "r", "{\"id\":\"bob\"}"),
         "send 1: error c=r code=DENIED msg=the id in the state is not the proven one\n"
         "drop r code=DENIED\n");
    recv(about(YO_OP_CHANNEL_JOIN, "r", "{\"id\":\"alice\"}"),
         "join r pl={\"id\":\"alice\"} label=alice\n");
    joined("r", 1, "send 1: channel_join c=r p= q=1\n");
    recv(about(YO_OP_PEER_STATE, "r", "{\"id\":\"bob\"}"),
         "send 1: error c=r code=DENIED msg=the id in the state is not the proven one\n"
         "drop r code=DENIED\n");
}

static void pings_are_answered_and_servers_ops_are_not_the_clients(void **state)
{
    (void)state;
    recv((struct yo_message){.op = YO_OP_PING, .timestamp = 12},
         "send 1: pong ts=12\n");
    recv((struct yo_message){.op = YO_OP_PONG, .timestamp = 12}, "");
    for (int op = YO_OP_HELLO; op < YO_OP_UNKNOWN; op++) {
        if (op != YO_OP_PING && op != YO_OP_PONG && op != YO_OP_MOVE &&
            op != YO_OP_TOKEN && op != YO_OP_HISTORY && op != YO_OP_RESUME &&
            op != YO_OP_KICK && op != YO_OP_BAN && op != YO_OP_CLOSE &&
            op != YO_OP_VALUE && op != YO_OP_LOCK && op != YO_OP_UNLOCK) {
            recv((struct yo_message){.op = (enum yo_op)op}, "drop code=PROTO\n");
        }
    }
    recv(about(YO_OP_PEER_ONLINE, "r", NULL), "drop r code=PROTO\n");
}

/* --- moving --- */

static void hello_brings_the_token(void **state)
{
    (void)state;
    create((struct yo_server_identity){.extension = true, .token = yo_span_of("t0")},
           usual);
    assert_effects(&effects,
                   "send 1: hello p=alice sid=7 ver=1 epoch=5 lim.msg=1000 lim.rooms=2 "
                   "lim.silence=15000 tok=t0\n");
}

static void after_a_break_rooms_are_claimed_and_a_session_is_asked_for(void **state)
{
    struct yo_message claim = about(YO_OP_RESUME, "r", NULL);
    (void)state;
    claim.sequence = 41;
    claim.urgent = 43;
    recv(claim, "claim r places=41,43,41\n");
    recv((struct yo_message){.op = YO_OP_RESUME}, "drop code=MALFORMED\n");
    claim = about(YO_OP_RESUME, "s", NULL);
    recv(claim, "claim s places=0,0,0\n");
    recv(claim, "drop s code=STATE\n"); /* not more than rooms that one may be in */
    recv((struct yo_message){.op = YO_OP_RESUME, .token = yo_span_of("t1")},
         "resume tok=t1\n");
    for (int i = 0; i < 3; i++) {
        recv((struct yo_message){.op = YO_OP_RESUME, .token = yo_span_of("t2")},
             "resume tok=t2\n");
    }
    recv((struct yo_message){.op = YO_OP_RESUME, .token = yo_span_of("t3")},
         "drop code=FULL\n"); /* guessing has an end */
    enter("r");
    recv((struct yo_message){.op = YO_OP_RESUME, .token = yo_span_of("t1")},
         "drop code=FULL\n");
}

static void a_new_connection_asks_for_a_session(void **state)
{
    const struct yo_message move = {.op = YO_OP_MOVE, .token = yo_span_of("t1")};
    (void)state;
    recv(move, "move tok=t1\n");
    enter("r");
    recv(move, "drop code=STATE\n"); /* it is somebody already */
}

static void behind_the_fence_nothing_is_heard(void **state)
{
    (void)state;
    enter("r");
    recv((struct yo_message){.op = YO_OP_MOVE}, "fence\n");
    recv((struct yo_message){.op = YO_OP_PING, .timestamp = 12}, "");
    recv(about(YO_OP_PEER_OFFLINE, "r", NULL), "");
}

static void a_moved_session_tells_what_it_has_taken(void **state)
{
    struct yo_message data = about(YO_OP_DATA, "r", DATA);
    struct yo_message refused_one = about(YO_OP_DATA, "r", "{\"x\":1}");
    const struct yo_message move = {.op = YO_OP_MOVE, .token = yo_span_of("t1")};
    struct yo_server_session *old, *fresh;
    (void)state;
    recv(move, "move tok=t1\n"); /* on the new connection */
    fresh = session;
    session = NULL;
    create((struct yo_server_identity){.extension = true}, usual);
    old = session;
    enter("r"); /* one message on control */
    recv((struct yo_message){.op = YO_OP_PING, .timestamp = 1}, "send 1: pong ts=1\n");
    recv_on(LANE_ROOMS, &data,
            "publish r pl={\"event\":\"cur\",\"data\":\"1\"} event=cur\n");
    recv_on(LANE_ROOMS, &refused_one, "drop r code=MALFORMED\n");
    data.delivery = YOMO_UNRELIABLE;
    recv_on(LANE_DATAGRAM, &data,
            "publish r unreliable pl={\"event\":\"cur\",\"data\":\"1\"} event=cur\n");
    assert_false(yo_server_session_waits(session));
    yo_effects_clear(&effects);
    assert_int_equal(yo_server_moved(session, fresh, yo_span_of("t2"), 3, now, &effects),
                     YOMO_OK);
    assert_effects(&effects, "send 1: moved c=r n=2\n"
                             "send 1: moved sid=7 n=3 q=2 tok=t2\n");
    /* From here on the counts are the new connection's. */
    yo_effects_clear(&effects);
    assert_int_equal(yo_server_moved(session, fresh, yo_span_of("t3"), 0, now, &effects),
                     YOMO_OK);
    assert_effects(&effects, "send 1: moved c=r\n"
                             "send 1: moved sid=7 q=1 tok=t3\n");
    assert_ptr_equal(session, old);
    yo_server_session_destroy(fresh);
}

static void answers_that_are_to_come_are_waited_for(void **state)
{
    (void)state;
    recv(about(YO_OP_CHANNEL_JOIN, "r", NULL), "join r label=alice\n");
    assert_true(yo_server_session_waits(session));
    joined("r", 1, "send 1: channel_join c=r p= q=1\n");
    assert_false(yo_server_session_waits(session));
    recv(about(YO_OP_PEER_OFFLINE, "r", NULL), "leave r\n");
    assert_true(yo_server_session_waits(session));
    left("r", 0, "send 1: channel_leave c=r\n");
    assert_false(yo_server_session_waits(session));
}

static void what_is_not_known_is_dropped_and_the_connection_stays(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        recv_bytes(bytes_hex("82 a174 a7636f6e74726f6c a26f70 a3666f6f"),
                   "drop code=PROTO\n");
        recv_bytes(bytes_hex("81 a174 a3666f6f"), "drop code=PROTO\n");
    }
}

static void too_many_broken_messages_end_the_connection(void **state)
{
    (void)state;
    recv_bytes(bytes_hex("c1"), "drop code=MALFORMED\n");
    recv_bytes(bytes_hex(""), "drop code=MALFORMED\n");
    recv_bytes(bytes_hex("80"),
               "drop code=MALFORMED\n"
               "close close=1002 code=PROTO text=too many broken messages\n");
    recv((struct yo_message){.op = YO_OP_PING, .timestamp = 12}, "");
    assert_true(yo_server_session_deadline(session) == YO_NEVER);
    tick("");
}

static void more_than_the_rate_is_refused_but_a_leave_never(void **state)
{
    struct yo_server_limits limits = usual;
    struct yo_message data = about(YO_OP_DATA, "r", DATA);

    (void)state;
    limits.messages_per_second = 10;
    limits.messages_burst = 2;
    create((struct yo_server_identity){.extension = true}, limits);
    enter("r");
    data.number = 1;
    recv(data, "publish r pl={\"event\":\"cur\",\"data\":\"1\"} event=cur n=1\n");
    recv(data, "send 1: error c=r n=1 code=RATE msg=too many messages (message-rate)\n"
               "drop r n=1 code=RATE\n");
    data.number = 0;
    recv(data, "drop r code=RATE\n");
    recv(about(YO_OP_PEER_STATE, "r", "{}"),
         "send 1: error c=r code=RATE msg=too many messages (message-rate)\n"
         "drop r code=RATE\n");
    recv((struct yo_message){.op = YO_OP_PING}, "drop code=RATE\n");
    recv(about(YO_OP_CHANNEL_JOIN, "s", NULL),
         "send 1: error c=s code=RATE msg=too many messages (message-rate)\n"
         "drop s code=RATE\n");
    recv(about(YO_OP_PEER_OFFLINE, "r", NULL), "leave r\n");
    now += 100 * YO_MS;
    recv((struct yo_message){.op = YO_OP_PING, .timestamp = 1},
         "send 1: ack c=r rd=3\n"
         "send 1: pong ts=1\n");
}

static void confirmations_are_for_numbers_only(void **state)
{
    (void)state;
    yo_effects_clear(&effects);
    yo_server_confirm(session, yo_span_of("r"), 5, 9, 0, &effects);
    yo_server_confirm(session, yo_span_of("r"), 6, 9, YOMO_ERR_RATE, &effects);
    yo_server_confirm(session, yo_span_of("r"), 0, 9, 0, &effects);
    assert_effects(
        &effects,
        "send 1: ack c=r n=5 q=9\n"
        "send 1: error c=r n=6 code=RATE msg=too many messages in too short a "
        "time\n");
}

static void goaway_tells_when_and_where_to(void **state)
{
    (void)state;
    yo_effects_clear(&effects);
    yo_server_goaway(session, 500, yo_span_of("https://b/v1"), &effects);
    assert_effects(&effects, "send 1: goaway ts=500 msg=https://b/v1\n");
    use_presencejs(false);
    yo_effects_clear(&effects);
    yo_server_goaway(session, 500, yo_span_of("https://b/v1"), &effects);
    assert_effects(&effects, "");
}

static void silence_ends_the_connection(void **state)
{
    (void)state;
    assert_true(yo_server_session_deadline(session) == now + 15 * YO_SECOND);
    now += 14 * YO_SECOND;
    tick("");
    recv((struct yo_message){.op = YO_OP_PONG}, "");
    assert_true(yo_server_session_deadline(session) == now + 15 * YO_SECOND);
    now += 15 * YO_SECOND;
    tick("close close=3002 code=TIMEOUT text=nothing was heard for too long\n");
    tick("");
}

/* --- presencejs --- */

static void presencejs_gets_its_ack_and_nothing_else(void **state)
{
    (void)state;
    use_presencejs(false);
    recv(about(YO_OP_CHANNEL_JOIN, "r", "{\"id\":\"ali\"}"),
         "join r pl={\"id\":\"ali\"} label=ali\n");
    joined("r", 4, "send 1: channel_join c=r p= mesh=dev\n");
    recv(about(YO_OP_PEER_ONLINE, "r", NULL), "");
    recv(about(YO_OP_PEER_STATE, "r", "{\"id\":\"ali\"}"),
         "state r pl={\"id\":\"ali\"} label=ali\n");
    recv(about(YO_OP_PEER_OFFLINE, "r", NULL), "leave r\n");
    left("r", 0, "");
    recv(about(YO_OP_PEER_OFFLINE, "r", NULL), "");
    assert_true(yo_server_session_deadline(session) == YO_NEVER);
}

static void presencejs_hears_of_no_refusal(void **state)
{
    (void)state;
    use_presencejs(false);
    enter("a");
    enter("b");
    recv(about(YO_OP_CHANNEL_JOIN, "c", NULL), "drop c code=FULL\n");
    left("b", YOMO_ERR_KICKED, "");
    recv(about(YO_OP_CHANNEL_JOIN, "c", NULL), "join c label=alice\n");
    refused("c", YOMO_ERR_DENIED, "");
    yo_effects_clear(&effects);
    yo_server_confirm(session, yo_span_of("a"), 5, 9, 0, &effects);
    assert_effects(&effects, "");
}

static void presencejs_may_join_again_and_gets_another_ack(void **state)
{
    (void)state;
    use_presencejs(false);
    enter("r");
    recv(about(YO_OP_CHANNEL_JOIN, "r", "{\"id\":\"ali\"}"),
         "leave r\njoin r pl={\"id\":\"ali\"} label=ali\n");
    left("r", 0, "");
    joined("r", 1, "send 1: channel_join c=r p= mesh=dev\n");
    use_presencejs(true);
    recv(about(YO_OP_CHANNEL_JOIN, "r", NULL), "join r label=alice\n");
    recv(about(YO_OP_CHANNEL_JOIN, "r", NULL), "");
    joined("r", 1, "send 0: channel_join c=r p= mesh=dev\n");
    recv(about(YO_OP_CHANNEL_JOIN, "r", NULL), "leave r\njoin r label=alice\n");
    assert_true(yo_server_session_deadline(session) == YO_NEVER);
}

static void what_presencejs_sends_is_as_reliable_as_its_transport(void **state)
{
    struct yo_message data = about(YO_OP_DATA, "r", DATA);

    (void)state;
    data.delivery = YOMO_LATEST; /* it knows no such keys */
    data.version = 3;
    data.number = 4;
    use_presencejs(false);
    enter("r");
    recv(data, "publish r pl={\"event\":\"cur\",\"data\":\"1\"} event=cur\n");
    recv(data, "publish r pl={\"event\":\"cur\",\"data\":\"1\"} event=cur\n");
    use_presencejs(true);
    enter("r");
    recv_on(LANE_DATAGRAM, &data,
            "publish r unreliable pl={\"event\":\"cur\",\"data\":\"1\"} event=cur\n");
}

static void an_ack_in_a_datagram_is_repeated_until_it_shows(void **state)
{
    const char *ack = "send 0: channel_join c=r p= mesh=dev\n";

    (void)state;
    use_presencejs(true);
    recv(about(YO_OP_CHANNEL_JOIN, "r", NULL), "join r label=alice\n");
    joined("r", 1, ack);
    for (int i = 0; i < 4; i++) {
        yo_time due = yo_server_session_deadline(session);
        assert_true(due == now + ((250 * YO_MS) << i));
        now = due - 1;
        tick("");
        now = due;
        tick(ack);
    }
    assert_true(yo_server_session_deadline(session) == YO_NEVER);
}

static void no_second_ack_after_peer_online(void **state)
{
    const struct yo_message signs[] = {
        about(YO_OP_PEER_ONLINE, "r", NULL), about(YO_OP_PEER_STATE, "r", "{}"),
        about(YO_OP_DATA, "r", DATA), about(YO_OP_PEER_OFFLINE, "r", NULL)};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        use_presencejs(true);
        enter("r");
        assert_true(yo_server_session_deadline(session) != YO_NEVER);
        yo_effects_clear(&effects);
        yo_server_session_recv(session, LANE_DATAGRAM, story_encode(&signs[i]), now,
                               &effects);
        assert_true(yo_server_session_deadline(session) == YO_NEVER);
    }
}

/* A datagram as it is relayed, with p and mesh, is what counts. */
static void what_does_not_fit_a_datagram_is_dropped(void **state)
{
    char json[200];
    bool fits = true;

    (void)state;
    use_presencejs(true);
    enter("r");
    for (int size = 1; size < 150; size++) {
        struct yo_message data;
        struct yo_buf relayed;
        snprintf(json, sizeof(json), "{\"event\":\"e\",\"data\":\"%0*d\"}", size, 0);
        data = about(YO_OP_DATA, "r", json);
        yo_effects_clear(&effects);
        yo_server_session_recv(session, LANE_DATAGRAM, story_encode(&data), now,
                               &effects);
        data.peer = yo_span_of("alice");
        data.mesh = yo_span_of("dev");
        yo_buf_init(&relayed, &fault.mem);
        yo_encode(&relayed, YO_DIALECT_PRESENCEJS, &data);
        fits = relayed.size <= 150;
        assert_int_equal(effects.list[0].kind,
                         fits ? YO_EFFECT_PUBLISH : YO_EFFECT_DROP);
        yo_buf_finish(&relayed);
    }
    assert_false(fits);
    assert_int_equal(effects.list[0].error, YOMO_ERR_TOO_BIG);
}

/* Its data is relayed under its label, which may be longer than its id. */
static void a_long_label_counts_too(void **state)
{
    char json[200];
    int published[2] = {0};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct yo_message label =
            about(YO_OP_PEER_STATE, "r", i ? "{\"id\":\"alice-in-chains\"}" : "{}");
        use_presencejs(true);
        enter("r");
        yo_server_session_recv(session, LANE_DATAGRAM, story_encode(&label), now,
                               &effects);
        for (int size = 1; size < 150; size++) {
            struct yo_message data;
            snprintf(json, sizeof(json), "{\"event\":\"e\",\"data\":\"%0*d\"}", size,
                     0);
            data = about(YO_OP_DATA, "r", json);
            yo_effects_clear(&effects);
            yo_server_session_recv(session, LANE_DATAGRAM, story_encode(&data), now,
                                   &effects);
            published[i] += effects.list[0].kind == YO_EFFECT_PUBLISH;
        }
    }
    assert_int_equal(published[0] - published[1], strlen("alice-in-chains") - 5);
}

static void the_relayed_size_is_exact(void **state)
{
    static const size_t sizes[] = {0, 1, 31, 32, 255, 256, 65535, 65536};

    (void)state;
    use_presencejs(true);
    for (size_t i = 0; i < 8; i++) {
        struct yo_message message = {.op = i % 2 ? YO_OP_DATA : YO_OP_PEER_STATE,
                                     .channel = yo_span_of("room"),
                                     .payload = bytes_repeat("x", sizes[i]),
                                     .peer = bytes_repeat("p", sizes[i] % 256),
                                     .mesh = yo_span_of("dev")};
        struct yo_buf relayed;
        yo_buf_init(&relayed, &fault.mem);
        yo_encode(&relayed, YO_DIALECT_PRESENCEJS, &message);
        assert_int_equal(yo_server_relayed_size(session, message.op, message.channel,
                                                message.payload, message.peer.size),
                         relayed.size);
        yo_buf_finish(&relayed);
    }
}

static void a_state_too_big_for_datagrams_does_not_keep_one_out(void **state)
{
    char json[200];

    (void)state;
    use_presencejs(true);
    snprintf(json, sizeof(json), "{\"id\":\"ali\",\"x\":\"%0120d\"}", 0);
    recv(about(YO_OP_CHANNEL_JOIN, "r", json),
         "drop r code=TOO_BIG\njoin r label=alice\n");
    joined("r", 1, "send 0: channel_join c=r p= mesh=dev\n");
    recv(about(YO_OP_PEER_STATE, "r", json), "drop r code=TOO_BIG\n");
}

static void a_proven_presencejs_is_let_in_under_its_own_name(void **state)
{
    (void)state;
    create((struct yo_server_identity){.id_proven = true}, usual);
    recv(about(YO_OP_CHANNEL_JOIN, "r", "{\"id\":\"bob\"}"),
         "drop r code=DENIED\njoin r label=alice\n");
}

static void p_names_a_label_where_the_state_has_none(void **state)
{
    struct yo_message message = about(YO_OP_PEER_STATE, "r", "{\"x\":1}");

    (void)state;
    message.peer = yo_span_of("ali");
    use_presencejs(false);
    enter("r");
    recv(message, "state r pl={\"x\":1} label=ali\n");
    message.payload = story_payload("{\"id\":\"bob\"}");
    recv(message, "state r pl={\"id\":\"bob\"} label=bob\n");
    create((struct yo_server_identity){.id_proven = true}, usual);
    enter("r");
    message.payload = story_payload("{\"x\":1}");
    recv(message, "state r pl={\"x\":1} label=alice\n");
}

static void the_extensions_ops_are_unknown_to_presencejs(void **state)
{
    (void)state;
    use_presencejs(false);
    recv((struct yo_message){.op = YO_OP_PING, .timestamp = 1}, "drop code=PROTO\n");
    recv((struct yo_message){.op = YO_OP_PONG, .timestamp = 1}, "drop code=PROTO\n");
}

/* --- any bytes, and no memory --- */

static void feed(struct yo_span bytes, void *user)
{
    (void)user;
    yo_effects_clear(&effects);
    assert_int_equal(
        yo_server_session_recv(session, LANE_CONTROL, bytes, now, &effects), YOMO_OK);
    for (size_t i = 0; i < effects.count; i++) {
        assert_int_not_equal(effects.list[i].kind, YO_EFFECT_CLOSE);
    }
}

static void bytes_cut_or_flipped_do_no_harm(void **state)
{
    struct yo_server_limits limits = usual;
    struct yo_message data = about(YO_OP_DATA, "r", DATA);

    (void)state;
    limits.errors_max = 0;
    create((struct yo_server_identity){.extension = true}, limits);
    enter("r");
    data.delivery = YOMO_LATEST;
    data.key = yo_span_of("k");
    data.version = 1;
    data.number = 1;
    bytes_each_cut(story_encode(&data), feed, NULL);
    bytes_each_flip(story_encode(&data), feed, NULL);
    data = about(YO_OP_CHANNEL_JOIN, "s", "{\"id\":\"ali\"}");
    bytes_each_flip(story_encode(&data), feed, NULL);
}

/* Everything once; each step may fail, and is then done again with what it found. */
static void live_a_life(struct fault *memory, void *user)
{
    const struct yo_message steps[] = {
        about(YO_OP_CHANNEL_JOIN, "r", "{\"id\":\"ali\"}"),
        about(YO_OP_PEER_STATE, "r", "{\"id\":\"ali\",\"x\":1}"),
        {.op = YO_OP_DATA,
         .channel = yo_span_of("r"),
         .payload = story_payload(DATA),
         .delivery = YOMO_LATEST,
         .version = 3,
         .number = 2},
        {.op = YO_OP_PING, .timestamp = 1},
        about(YO_OP_PEER_OFFLINE, "r", NULL),
    };
    const struct yo_server_identity identity = {
        .id = yo_span_of("alice"), .session = 1, .extension = true};
    struct yo_server_session *one = NULL;
    struct yo_effects out;

    (void)user;
    yo_effects_init(&out, &memory->mem);
    if (yo_server_session_create(&one, &memory->mem, &identity, &usual, 0, &out) ==
        YOMO_OK) {
        for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
            for (int again = 0; again < 2; again++) {
                int rv;
                yo_effects_clear(&out);
                rv = yo_server_session_recv(one, 1, story_encode(&steps[i]), 0, &out);
                assert_true(rv == YOMO_OK || rv == YOMO_ERR_NOMEM);
                assert_true(rv == YOMO_OK ? out.count > 0 : out.count == 0);
                if (rv == YOMO_OK) {
                    break;
                }
            }
            yo_effects_clear(&out);
            if (i == 0 &&
                yo_server_joined(one, yo_span_of("r"), 1, 0, 0, &out) == YOMO_ERR_NOMEM) {
                assert_int_equal(yo_server_session_lane(one, yo_span_of("r")), 0);
                yo_effects_clear(&out);
                yo_server_joined(one, yo_span_of("r"), 1, 0, 0, &out);
            }
        }
        yo_effects_clear(&out);
        yo_server_left(one, yo_span_of("r"), 0, YO_SPAN_NONE, &out);
    } else {
        assert_null(one);
    }
    yo_server_session_destroy(one);
    yo_effects_finish(&out);
}

static void a_session_survives_every_failing_allocation(void **state)
{
    (void)state;
    assert_true(fault_each(live_a_life, NULL) > 8);
}

static void a_token_is_handed_up_and_answered(void **state)
{
    const struct yo_message token = {.op = YO_OP_TOKEN, .token = yo_span_of("t")};
    (void)state;
    recv(token, "token tok=t\n");
    yo_effects_clear(&effects);
    assert_int_equal(yo_server_token(session, 600, YOMO_OK, &effects), YOMO_OK);
    assert_effects(&effects, "send 1: token ts=600\n");
    yo_effects_clear(&effects);
    assert_int_equal(yo_server_token(session, 600, YOMO_ERR_AUTH, &effects), YOMO_OK);
    assert_effects(&effects, "send 1: token code=AUTH msg=authentication failed\n");
    recv(token, "send 1: token code=RATE msg=too many messages in too short a time\n"
                "drop code=RATE\n");
    now += YO_SECOND;
    recv(token, "token tok=t\n");
    recv((struct yo_message){.op = YO_OP_TOKEN}, "drop code=MALFORMED\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(the_numbers_are_those_of_the_transports),
        TEST(hello_comes_first),
        TEST(a_join_is_asked_and_answered),
        TEST(a_token_is_handed_up_and_answered),
        TEST(a_join_without_a_state_has_the_id_for_a_label),
        TEST(a_refused_join_is_over),
        TEST(more_rooms_than_allowed_are_refused),
        TEST(rooms_on_their_way_out_are_bounded_too),
        TEST(names_that_cannot_be_rooms_are_refused),
        TEST(joining_twice_changes_nothing),
        TEST(a_leave_is_answered),
        TEST(a_leave_of_a_room_one_is_not_in_is_answered_too),
        TEST(put_out_is_told_with_the_reason),
        TEST(who_leaves_before_the_answer_is_not_let_in_by_it),
        TEST(a_join_in_a_datagram_is_not_heard),
        TEST(the_refusal_of_a_join_that_was_left_passes_unsaid),
        TEST(data_becomes_a_publish),
        TEST(what_is_refused_is_told_by_its_number),
        TEST(data_before_the_answer_is_not_let_through),
        TEST(a_message_past_the_limit_is_too_big),
        TEST(an_older_latest_goes_no_further),
        TEST(a_state_becomes_a_state),
        TEST(a_state_past_the_limit_is_too_big),
        TEST(a_proven_id_cannot_be_changed),
        TEST(pings_are_answered_and_servers_ops_are_not_the_clients),
        TEST(hello_brings_the_token),
        TEST(after_a_break_rooms_are_claimed_and_a_session_is_asked_for),
        TEST(a_new_connection_asks_for_a_session),
        TEST(behind_the_fence_nothing_is_heard),
        TEST(a_moved_session_tells_what_it_has_taken),
        TEST(answers_that_are_to_come_are_waited_for),
        TEST(what_is_not_known_is_dropped_and_the_connection_stays),
        TEST(too_many_broken_messages_end_the_connection),
        TEST(more_than_the_rate_is_refused_but_a_leave_never),
        TEST(confirmations_are_for_numbers_only),
        TEST(goaway_tells_when_and_where_to),
        TEST(silence_ends_the_connection),
        TEST(presencejs_gets_its_ack_and_nothing_else),
        TEST(presencejs_hears_of_no_refusal),
        TEST(presencejs_may_join_again_and_gets_another_ack),
        TEST(what_presencejs_sends_is_as_reliable_as_its_transport),
        TEST(an_ack_in_a_datagram_is_repeated_until_it_shows),
        TEST(no_second_ack_after_peer_online),
        TEST(what_does_not_fit_a_datagram_is_dropped),
        TEST(a_long_label_counts_too),
        TEST(the_relayed_size_is_exact),
        TEST(a_state_too_big_for_datagrams_does_not_keep_one_out),
        TEST(a_proven_presencejs_is_let_in_under_its_own_name),
        TEST(p_names_a_label_where_the_state_has_none),
        TEST(the_extensions_ops_are_unknown_to_presencejs),
        TEST(bytes_cut_or_flipped_do_no_harm),
        TEST(a_session_survives_every_failing_allocation),
    };

    return cmocka_run_group_tests_name("session/server_side", tests, NULL, NULL);
}
