/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/check.h"
#include "session/client_side.h"
#include "session/numbers.h"
#include "session/pages.h"
#include "support/bytes.h"
#include "support/fault.h"
#include "unit/session/story.h"
#include "wire/decode.h"

#define DATA "{\"event\":\"cur\",\"data\":\"1\"}"
#define ME "{\"id\":\"me\"}"

static struct fault fault;
static struct yo_effects effects;
static struct yo_client_session *session;
static yo_time now;

static const struct yo_message hello = {
    .op = YO_OP_HELLO,
    .session = 7,
    .protocol = 1,
    .epoch = 5,
    .limits = {.message_size = 1000, .rooms = 2, .silence_ms = 15000},
};

static void create(bool datagrams)
{
    const struct yo_client_identity identity = {.id = yo_span_of("me"),
                                                .datagrams = datagrams};

    yo_client_session_destroy(session);
    assert_int_equal(yo_client_session_create(&session, &fault.mem, &identity, now),
                     YOMO_OK);
}

static int setup(void **state)
{
    (void)state;
    fault_init(&fault, 0, FAULT_ONCE);
    yo_effects_init(&effects, &fault.mem);
    session = NULL;
    now = 10 * YO_SECOND;
    create(true);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    yo_client_session_destroy(session);
    yo_client_session_destroy(NULL);
    yo_effects_finish(&effects);
    fault_assert_no_leak(&fault);
    return 0;
}

static void recv_on(uint32_t lane, struct yo_span bytes, const char *lines)
{
    yo_effects_clear(&effects);
    assert_int_equal(yo_client_session_recv(session, lane, bytes, now, &effects),
                     YOMO_OK);
    assert_effects(&effects, lines);
}

static void recv(struct yo_message message, const char *lines)
{
    recv_on(LANE_CONTROL, story_encode(&message), lines);
}

static struct yo_message about(enum yo_op op, const char *room, const char *payload)
{
    return (struct yo_message){
        .op = op, .channel = yo_span_of(room), .payload = story_payload(payload)};
}

/* What another member does. */
static struct yo_message by(uint64_t sid, const char *peer, uint64_t sequence,
                            struct yo_message message)
{
    message.session = sid;
    message.peer = yo_span_of(peer);
    message.sequence = sequence;
    return message;
}

static struct yo_message ack(const char *room, uint64_t sequence)
{
    struct yo_message message = about(YO_OP_CHANNEL_JOIN, room, NULL);

    message.peer = yo_span("", 0);
    message.sequence = sequence;
    return message;
}

/* A page with members 1..count. */
static struct yo_span page(const char *room, uint64_t sequence, int count, bool more)
{
    struct yo_pages pages;
    struct yo_span bytes;

    yo_pages_begin(&pages, &yo_mem_libc, yo_span_of(room), sequence);
    for (int i = 1; i <= count; i++) {
        char name[8];
        struct yo_wire_member member = {
            .session = (uint64_t)i, .version = 2, .since_ms = 99};
        snprintf(name, sizeof(name), "p%d", i);
        member.peer = yo_span_of(name);
        member.state = story_payload("{\"x\":1}");
        assert_int_equal(yo_pages_add(&pages, &member), YOMO_OK);
    }
    assert_int_equal(yo_pages_end(&pages), YOMO_OK);
    assert_int_equal(pages.count, 1);
    bytes = bytes_copy(yo_blob_span(pages.list[0]));
    yo_pages_finish(&pages);
    if (more) {
        struct yo_message message;
        assert_int_equal(yo_decode(bytes, &message), YOMO_OK);
        message.more = true;
        bytes = story_encode(&message);
    }
    return bytes;
}

static void tick(const char *lines)
{
    yo_effects_clear(&effects);
    assert_int_equal(yo_client_session_tick(session, now, &effects), YOMO_OK);
    assert_effects(&effects, lines);
}

static void call(int (*fn)(struct yo_client_session *, struct yo_span, struct yo_span,
                           yo_time, struct yo_effects *),
                 const char *room, const char *state, int rv, const char *lines)
{
    yo_effects_clear(&effects);
    assert_int_equal(fn(session, yo_span_of(room), story_payload(state), now, &effects),
                     rv);
    assert_effects(&effects, lines);
}

static void join(const char *room, const char *state, int rv, const char *lines)
{
    yo_effects_clear(&effects);
    assert_int_equal(yo_client_join(session, yo_span_of(room), story_payload(state), NULL,
                                    now, &effects),
                     rv);
    assert_effects(&effects, lines);
}

static void set_state(const char *room, const char *state, int rv, const char *lines)
{
    call(yo_client_state, room, state, rv, lines);
}

static void leave(const char *room, int rv, const char *lines)
{
    yo_effects_clear(&effects);
    assert_int_equal(yo_client_leave(session, yo_span_of(room), now, &effects), rv);
    assert_effects(&effects, lines);
}

static void say_hello(void)
{
    recv(hello, "ready sid=7 epoch=5 extension\n");
}

/* In room "r" of an extension server, with nobody else there. */
static void enter(void)
{
    say_hello();
    join("r", ME, YOMO_OK, "send 1: channel_join c=r pl={\"id\":\"me\"}\n");
    recv(ack("r", 3), "");
    recv_on(LANE_CONTROL, page("r", 3, 0, false), "joined r q=3\n");
}

/* --- the dialect --- */

static void hello_makes_it_ready(void **state)
{
    (void)state;
    assert_false(yo_client_session_ready(session));
    assert_true(yo_client_session_deadline(session) == now + YO_SECOND);
    say_hello();
    assert_true(yo_client_session_ready(session));
    assert_true(yo_client_session_extension(session));
    assert_int_equal(yo_client_session_message_max(session), 1000);
    recv(hello, "drop code=PROTO\n");
}

static void hello_says_who_the_client_is(void **state)
{
    struct yo_message named = hello;
    (void)state;
    named.peer = yo_span_of("alice");
    recv(named, "ready p=alice sid=7 epoch=5 extension\n");
}

static void without_hello_it_is_presencejs(void **state)
{
    (void)state;
    now += YO_SECOND - 1;
    tick("");
    now += 1;
    tick("ready\n");
    assert_true(yo_client_session_ready(session));
    assert_false(yo_client_session_extension(session));
    assert_int_equal(yo_client_session_message_max(session), YO_MESSAGE_SIZE_MAX);
    assert_true(yo_client_session_deadline(session) == YO_NEVER);
}

static void one_who_returns_waits_longer_for_hello(void **state)
{
    const struct yo_client_identity returning = {.id = yo_span_of("alice"),
                                                 .returning = true};
    struct yo_client_session *again;

    (void)state;
    assert_int_equal(yo_client_session_create(&again, &yo_mem_libc, &returning, now),
                     YOMO_OK);
    assert_true(yo_client_session_deadline(again) == now + YO_HELLO_WAIT_RETURNING);
    yo_client_session_destroy(again);
}

static void another_first_message_is_presencejs_unless_it_overtook(void **state)
{
    (void)state;
    recv_on(LANE_DATAGRAM, story_encode(&(struct yo_message){.op = YO_OP_DATA}), "");
    assert_false(yo_client_session_ready(session));
    recv(about(YO_OP_PEER_ONLINE, "r", NULL), "ready\n");
}

static void another_version_is_the_end(void **state)
{
    struct yo_message other = hello;

    (void)state;
    other.protocol = 2;
    recv(other, "close close=1002 code=VERSION text=no common protocol version\n");
    recv(hello, "");
    tick("");
    assert_true(yo_client_session_deadline(session) == YO_NEVER);
    join("r", NULL, YOMO_ERR_CLOSED, "");
}

static void a_late_hello_starts_the_joins_anew(void **state)
{
    (void)state;
    now += YO_SECOND;
    tick("ready\n");
    join("r", ME, YOMO_OK, "send 0: channel_join c=r pl={\"id\":\"me\"}\n");
    recv(hello, "ready sid=7 epoch=5 extension\n"
                "send 1: channel_join c=r pl={\"id\":\"me\"}\n");
    recv(ack("r", 3), "");
    recv((struct yo_message){.op = YO_OP_ERROR,
                             .channel = yo_span_of("r"),
                             .code = YOMO_ERR_EXISTS},
         "");
    recv_on(LANE_CONTROL, page("r", 3, 0, false), "joined r q=3\n");
}

static void nothing_is_asked_before_it_is_ready(void **state)
{
    (void)state;
    join("r", NULL, YOMO_ERR_STATE, "");
    set_state("r", NULL, YOMO_ERR_STATE, "");
    leave("r", YOMO_ERR_STATE, "");
}

/* --- joining --- */

static void a_join_is_ack_pages_and_joined(void **state)
{
    (void)state;
    say_hello();
    join("r", ME, YOMO_OK, "send 1: channel_join c=r pl={\"id\":\"me\"}\n");
    recv(ack("r", 3), "");
    recv_on(LANE_CONTROL, page("r", 3, 1, true),
            "peer r present p=p1 sid=1 pl={\"x\":1} v=2 q=3 at=99\n");
    recv_on(LANE_CONTROL, page("r", 3, 2, false),
            "peer r present p=p1 sid=1 pl={\"x\":1} v=2 q=3 at=99\n"
            "peer r present p=p2 sid=2 pl={\"x\":1} v=2 q=3 at=99\n"
            "joined r q=3\n");
    recv_on(LANE_CONTROL, page("r", 3, 1, false), "");
}

static void pages_may_come_before_the_ack(void **state)
{
    (void)state;
    say_hello();
    join("r", ME, YOMO_OK, "send 1: channel_join c=r pl={\"id\":\"me\"}\n");
    recv_on(LANE_ROOMS, page("r", 3, 1, false),
            "peer r present p=p1 sid=1 pl={\"x\":1} v=2 q=3 at=99\n");
    recv(ack("r", 3), "joined r q=3\n");
    recv(ack("r", 3), "");
}

static void oneself_is_not_among_the_members(void **state)
{
    (void)state;
    say_hello();
    join("r", ME, YOMO_OK, "send 1: channel_join c=r pl={\"id\":\"me\"}\n");
    recv(ack("r", 3), "");
    recv_on(LANE_CONTROL, page("r", 3, 7, true),
            "peer r present p=p1 sid=1 pl={\"x\":1} v=2 q=3 at=99\n"
            "peer r present p=p2 sid=2 pl={\"x\":1} v=2 q=3 at=99\n"
            "peer r present p=p3 sid=3 pl={\"x\":1} v=2 q=3 at=99\n"
            "peer r present p=p4 sid=4 pl={\"x\":1} v=2 q=3 at=99\n"
            "peer r present p=p5 sid=5 pl={\"x\":1} v=2 q=3 at=99\n"
            "peer r present p=p6 sid=6 pl={\"x\":1} v=2 q=3 at=99\n");
    recv_on(LANE_CONTROL, page("r", 3, 0, false), "joined r q=3\n");
    recv(by(7, "me", 4, about(YO_OP_PEER_STATE, "r", "{}")), "");
}

static void what_comes_too_early_is_held_but_not_the_unreliable(void **state)
{
    struct yo_message data = by(2, "bob", 4, about(YO_OP_DATA, "r", DATA));
    struct yo_message old = by(2, "bob", 3, about(YO_OP_DATA, "r", DATA));
    struct yo_message latest = by(2, "bob", 0, about(YO_OP_DATA, "r", DATA));
    struct yo_message loose = by(2, "bob", 0, about(YO_OP_DATA, "r", DATA));

    (void)state;
    latest.delivery = YOMO_LATEST;
    latest.version = 5;
    loose.delivery = YOMO_UNRELIABLE;
    say_hello();
    join("r", ME, YOMO_OK, "send 1: channel_join c=r pl={\"id\":\"me\"}\n");
    recv_on(LANE_ROOMS, story_encode(&old), "");
    recv_on(LANE_ROOMS, story_encode(&data), "");
    recv_on(LANE_DATAGRAM, story_encode(&latest), "");
    latest.version = 4;
    recv_on(LANE_DATAGRAM, story_encode(&latest), "");
    recv_on(LANE_DATAGRAM, story_encode(&loose), "");
    recv(by(2, "bob", 5, about(YO_OP_PEER_OFFLINE, "r", NULL)), "");
    recv(ack("r", 3), "");
    recv_on(
        LANE_CONTROL, page("r", 3, 0, false),
        "joined r q=3\n"
        "message r p=bob sid=2 pl={\"event\":\"cur\",\"data\":\"1\"} event=cur q=4\n"
        "message r latest p=bob sid=2 pl={\"event\":\"cur\",\"data\":\"1\"} event=cur "
        "v=5\n"
        "peer r left p=bob sid=2 q=5\n");
}

static void too_much_to_hold_is_the_end_but_for_latest(void **state)
{
    struct yo_message data = by(2, "bob", 4, about(YO_OP_DATA, "r", NULL));
    struct yo_buf big;
    int held = 0;

    (void)state;
    yo_buf_init(&big, &yo_mem_libc);
    yo_content_write(&big, yo_span_of("cur"), YOMO_BYTES, bytes_repeat("x", 60000));
    data.payload = yo_buf_span(&big);
    say_hello();
    join("r", ME, YOMO_OK, "send 1: channel_join c=r pl={\"id\":\"me\"}\n");
    do {
        yo_effects_clear(&effects);
        data.sequence++;
        yo_client_session_recv(session, LANE_ROOMS, story_encode(&data), now, &effects);
        held++;
    } while (effects.count == 0 && held < 100);
    assert_int_equal(held, YO_CLIENT_HELD_MAX / 60000 + 1);
    assert_effects(&effects, "close close=3001 code=FULL text=too much to hold until a "
                             "room is joined\n");
    yo_buf_finish(&big);
}

static void a_refused_join_is_told(void **state)
{
    (void)state;
    say_hello();
    join("r", ME, YOMO_OK, "send 1: channel_join c=r pl={\"id\":\"me\"}\n");
    recv((struct yo_message){.op = YO_OP_ERROR,
                             .channel = yo_span_of("r"),
                             .code = YOMO_ERR_FULL,
                             .text = yo_span_of("no")},
         "refused r code=FULL text=no\n");
    recv(ack("r", 3), "");
    join("r", ME, YOMO_OK, "send 1: channel_join c=r pl={\"id\":\"me\"}\n");
    recv((struct yo_message){.op = YO_OP_ERROR,
                             .channel = yo_span_of("r"),
                             .code = 77777},
         "refused r code=DENIED\n");
}

static void joins_that_cannot_be_are_refused_at_once(void **state)
{
    char json[1100];

    (void)state;
    say_hello();
    join("", NULL, YOMO_ERR_INVALID, "");
    yo_effects_clear(&effects);
    assert_int_equal(
        yo_client_join(session, bytes_repeat("x", 256), YO_SPAN_NONE, NULL, now, &effects),
        YOMO_ERR_INVALID);
    snprintf(json, sizeof(json), "{\"x\":\"%01000d\"}", 0);
    join("a", json, YOMO_ERR_TOO_BIG, "");
    join("a", NULL, YOMO_OK, "send 1: channel_join c=a\n");
    join("a", NULL, YOMO_ERR_EXISTS, "");
    join("b", NULL, YOMO_OK, "send 1: channel_join c=b\n");
    join("c", NULL, YOMO_ERR_FULL, "");
    set_state("a", json, YOMO_ERR_TOO_BIG, "");
    set_state("c", ME, YOMO_ERR_NOT_FOUND, "");
    leave("c", YOMO_ERR_NOT_FOUND, "");
}

static void a_state_set_too_early_goes_out_with_the_ack(void **state)
{
    (void)state;
    say_hello();
    join("r", ME, YOMO_OK, "send 1: channel_join c=r pl={\"id\":\"me\"}\n");
    set_state("r", "{\"x\":1}", YOMO_OK, "");
    set_state("r", "{\"x\":2}", YOMO_OK, "");
    recv(ack("r", 3), "send 2: peer_state c=r pl={\"x\":2}\n");
    recv_on(LANE_CONTROL, page("r", 3, 0, false), "joined r q=3\n");
    set_state("r", "{\"x\":3}", YOMO_OK, "send 2: peer_state c=r pl={\"x\":3}\n");
}

/* --- in a room --- */

static void changes_and_messages_are_told(void **state)
{
    struct yo_message online =
        by(2, "bob", 4, about(YO_OP_PEER_ONLINE, "r", "{\"x\":1}"));

    (void)state;
    online.version = 1;
    online.timestamp = 88;
    enter();
    recv(online, "peer r joined p=bob sid=2 pl={\"x\":1} v=1 q=4 at=88\n");
    recv(by(2, "bob", 5, about(YO_OP_PEER_STATE, "r", "{\"x\":2}")),
         "peer r state p=bob sid=2 pl={\"x\":2} q=5\n");
    recv(by(2, "bob", 6, about(YO_OP_DATA, "r", DATA)),
         "message r p=bob sid=2 pl={\"event\":\"cur\",\"data\":\"1\"} event=cur q=6\n");
    recv(by(2, "bob", 7, about(YO_OP_PEER_OFFLINE, "r", NULL)),
         "peer r left p=bob sid=2 q=7\n");
    recv(by(2, "bob", 2, about(YO_OP_PEER_ONLINE, "r", NULL)), "");
    recv(by(2, "bob", 3, about(YO_OP_DATA, "r", DATA)), "");
    recv(by(2, "bob", 8, about(YO_OP_DATA, "other", DATA)), "");
}

static void an_older_latest_is_not_told(void **state)
{
    struct yo_message data = by(2, "bob", 0, about(YO_OP_DATA, "r", DATA));
    const char *line =
        "message r latest p=bob sid=2 pl={\"event\":\"cur\",\"data\":\"1\"} "
        "event=cur v=5\n";

    (void)state;
    enter();
    data.delivery = YOMO_LATEST;
    data.version = 5;
    recv_on(LANE_DATAGRAM, story_encode(&data), line);
    recv_on(LANE_DATAGRAM, story_encode(&data), "");
    data.version = 4;
    recv_on(LANE_DATAGRAM, story_encode(&data), "");
    data.version = 5;
    data.session = 3;
    recv_on(
        LANE_DATAGRAM, story_encode(&data),
        "message r latest p=bob sid=3 pl={\"event\":\"cur\",\"data\":\"1\"} event=cur "
        "v=5\n");
}

static void numbers_are_confirmed(void **state)
{
    (void)state;
    enter();
    recv(
        (struct yo_message){
            .op = YO_OP_ACK, .channel = yo_span_of("r"), .number = 4, .sequence = 9},
        "confirmed r n=4 q=9\n");
    recv((struct yo_message){.op = YO_OP_ERROR, .number = 5, .code = YOMO_ERR_RATE},
         "confirmed n=5 code=RATE\n");
    recv((struct yo_message){.op = YO_OP_ERROR,
                             .channel = yo_span_of("r"),
                             .code = YOMO_ERR_RATE},
         "drop r code=RATE\n");
    recv((struct yo_message){.op = YO_OP_ACK}, "");
}

static void a_broadcast_is_encoded_in_the_servers_dialect(void **state)
{
    struct yo_span payload = story_payload(DATA);
    struct yo_message message;
    struct yo_buf out;

    (void)state;
    yo_buf_init(&out, &fault.mem);
    enter();
    struct yo_message data = {.channel = yo_span_of("r"),
                              .payload = payload,
                              .delivery = YOMO_LATEST,
                              .key = yo_span_of("k"),
                              .version = 3,
                              .number = 4,
                              .targets = yo_span_of("\x91\x0c"),
                              .ttl_ms = 5};
    assert_int_equal(yo_client_encode(session, &out, &data), YOMO_OK);
    assert_int_equal(yo_decode(yo_buf_span(&out), &message), YOMO_OK);
    assert_text(message.key, "k");
    assert_int_equal(message.version, 3);
    assert_int_equal(message.number, 4);
    assert_int_equal(message.targets.size, 2);
    assert_int_equal(message.ttl_ms, 5);
    yo_buf_clear(&out);
    data.payload = bytes_repeat("x", 1000);
    assert_int_equal(yo_client_encode(session, &out, &data), YOMO_ERR_TOO_BIG);
    data.payload = payload;
    assert_int_equal(out.size, 0);
    create(false);
    now += YO_SECOND;
    tick("ready\n");
    assert_int_equal(yo_client_encode(session, &out, &data), YOMO_ERR_STATE);
    data.targets = YO_SPAN_NONE; /* else presencejs would tell everybody */
    data.echo = true;
    assert_int_equal(yo_client_encode(session, &out, &data), YOMO_ERR_STATE);
    data.echo = false;
    assert_int_equal(yo_client_encode(session, &out, &data), YOMO_OK);
    assert_int_equal(yo_decode(yo_buf_span(&out), &message), YOMO_OK);
    assert_int_equal(message.version + message.number + message.delivery, 0);
    yo_buf_finish(&out);
}

static void each_room_has_a_lane_of_its_own(void **state)
{
    (void)state;
    say_hello();
    join("a", NULL, YOMO_OK, "send 1: channel_join c=a\n");
    join("b", NULL, YOMO_OK, "send 1: channel_join c=b\n");
    assert_int_equal(yo_client_lane(session, yo_span_of("a")), 2);
    assert_int_equal(yo_client_lane(session, yo_span_of("b")), 3);
    assert_int_equal(yo_client_lane(session, yo_span_of("c")), LANE_CONTROL);
}

/* --- leaving --- */

static void a_leave_follows_the_messages_and_is_answered(void **state)
{
    (void)state;
    enter();
    leave("r", YOMO_OK, "send 2: peer_offline c=r\n");
    leave("r", YOMO_ERR_NOT_FOUND, "");
    recv(by(2, "bob", 4, about(YO_OP_DATA, "r", DATA)), "");
    set_state("r", ME, YOMO_ERR_NOT_FOUND, "");
    recv(about(YO_OP_CHANNEL_LEAVE, "r", NULL), "left r\n");
    recv(about(YO_OP_CHANNEL_LEAVE, "r", NULL), "");
}

static void a_leave_before_joined_follows_the_join(void **state)
{
    (void)state;
    say_hello();
    join("r", NULL, YOMO_OK, "send 1: channel_join c=r\n");
    leave("r", YOMO_OK, "send 1: peer_offline c=r\n");
    recv(ack("r", 3), "");
    recv_on(LANE_CONTROL, page("r", 3, 1, false), "");
    recv(about(YO_OP_CHANNEL_LEAVE, "r", NULL), "left r\n");
}

static void a_join_after_a_leave_waits_for_its_answer(void **state)
{
    struct yo_message kicked = about(YO_OP_CHANNEL_LEAVE, "r", NULL);

    (void)state;
    kicked.code = YOMO_ERR_KICKED;
    enter();
    leave("r", YOMO_OK, "send 2: peer_offline c=r\n");
    join("r", ME, YOMO_OK, "");
    join("r", ME, YOMO_ERR_EXISTS, "");
    set_state("r", "{\"x\":2}", YOMO_OK, "");
    recv(kicked, ""); /* crossed the leave, which has its own answer */
    recv(about(YO_OP_CHANNEL_LEAVE, "r", NULL),
         "send 1: channel_join c=r pl={\"x\":2}\n");
    assert_int_equal(yo_client_lane(session, yo_span_of("r")), 3);
    recv(ack("r", 9), "");
    recv_on(LANE_CONTROL, page("r", 9, 0, false), "joined r q=9\n");
}

static void a_join_after_a_leave_may_be_taken_back(void **state)
{
    (void)state;
    enter();
    leave("r", YOMO_OK, "send 2: peer_offline c=r\n");
    join("r", ME, YOMO_OK, "");
    leave("r", YOMO_OK, "");
    recv(about(YO_OP_CHANNEL_LEAVE, "r", NULL), "left r\n");
}

static void being_put_out_is_told(void **state)
{
    struct yo_message kicked = about(YO_OP_CHANNEL_LEAVE, "r", NULL);

    (void)state;
    kicked.code = YOMO_ERR_KICKED;
    kicked.text = yo_span_of("bye");
    enter();
    recv(kicked, "left r code=KICKED text=bye\n");
    leave("r", YOMO_ERR_NOT_FOUND, "");
}

/* --- time --- */

static void pings_keep_the_connection_known(void **state)
{
    (void)state;
    say_hello();
    assert_true(yo_client_session_deadline(session) == now + 5 * YO_SECOND);
    now += 5 * YO_SECOND;
    tick("send 1: ping ts=1\n");
    now += 30 * YO_MS;
    recv((struct yo_message){.op = YO_OP_PONG, .timestamp = 1}, "pong rtt=30000000\n");
    recv((struct yo_message){.op = YO_OP_PONG, .timestamp = 9}, "");
    recv((struct yo_message){.op = YO_OP_PING, .timestamp = 4}, "send 1: pong ts=4\n");
    yo_effects_clear(&effects);
    assert_int_equal(yo_client_ping(session, now, &effects), YOMO_OK);
    assert_effects(&effects, "send 1: ping ts=2\n");
}

static void a_silent_server_is_given_up(void **state)
{
    (void)state;
    say_hello();
    for (int i = 0; i < 2; i++) {
        now = yo_client_session_deadline(session);
        tick(i ? "send 1: ping ts=2\n" : "send 1: ping ts=1\n");
    }
    now = yo_client_session_deadline(session);
    tick("close close=3002 code=TIMEOUT text=the server fell silent\n");
    assert_true(now == 25 * YO_SECOND);
    tick("");
}

static void goaway_is_told(void **state)
{
    (void)state;
    say_hello();
    recv((struct yo_message){.op = YO_OP_GOAWAY,
                             .timestamp = 500,
                             .text = yo_span_of("https://b/v1")},
         "goaway after=500 text=https://b/v1\n");
}

static void nonsense_is_dropped_and_at_last_the_end(void **state)
{
    (void)state;
    enter();
    recv(by(2, "bob", 5, about(YO_OP_DATA, "r", "{}")), "drop r code=MALFORMED\n");
    recv(by(0, "bob", 5, about(YO_OP_PEER_STATE, "r", "{}")),
         "drop r code=MALFORMED\n");
    recv(by(2, "bob", 5, about(YO_OP_PEER_STATE, "r", "[]")),
         "drop r code=MALFORMED\n");
    for (int i = 3; i < 15; i++) {
        recv_on(LANE_CONTROL, bytes_hex("c1"), "drop code=MALFORMED\n");
    }
    recv_on(LANE_CONTROL, bytes_hex("81 a174 a3666f6f"), "drop code=PROTO\n");
    recv_on(LANE_CONTROL, bytes_hex("c1"),
            "drop code=MALFORMED\nclose close=1002 code=PROTO text=too many broken "
            "messages\n");
}

static void a_broken_page_is_not_used(void **state)
{
    struct yo_message broken = about(YO_OP_SNAPSHOT, "r", NULL);

    (void)state;
    say_hello();
    join("r", NULL, YOMO_OK, "send 1: channel_join c=r\n");
    recv(ack("r", 3), "");
    recv(broken, "drop r code=MALFORMED\n");
    broken.members = bytes_hex("92 82 a3736964 01 a170 a161 c0"); /* one member, nil */
    recv(broken, "drop r code=MALFORMED\n");
    broken.members = bytes_hex("91 81 a170 a161"); /* no session */
    recv(broken, "drop r code=MALFORMED\n");
    recv_on(LANE_CONTROL, page("r", 3, 0, false), "joined r q=3\n");
}

/* Changes behind place `before`: of the members `first`, ... with kinds o = 0, 1, ... */
static struct yo_span changes(uint64_t before, uint64_t first, int count)
{
    struct yo_pages pages;
    struct yo_span bytes;

    yo_pages_begin_changes(&pages, &yo_mem_libc, yo_span_of("r"), before);
    for (int i = 0; i < count; i++) {
        char name[8];
        struct yo_wire_member member = {.change = (uint64_t)i,
                                        .session = first + (uint64_t)i,
                                        .version = i == 2 ? 0 : 4,
                                        .since_ms = i == 0 ? 99 : 0};
        snprintf(name, sizeof(name), "p%u", (unsigned)member.session);
        member.peer = yo_span_of(name);
        member.state = i < 2 ? story_payload("{\"x\":1}") : YO_SPAN_NONE;
        assert_int_equal(yo_pages_add(&pages, &member), YOMO_OK);
    }
    assert_int_equal(yo_pages_end(&pages), YOMO_OK);
    assert_int_equal(pages.count, 1);
    bytes = bytes_copy(yo_blob_span(pages.list[0]));
    yo_pages_finish(&pages);
    return bytes;
}

static void several_changes_are_told_in_their_order(void **state)
{
    (void)state;
    enter(); /* as session 7, with a snapshot of place 3 */
    recv_on(2, changes(5, 2, 3),
            "peer r joined p=p2 sid=2 pl={\"x\":1} v=4 q=8 at=99\n"
            "peer r state p=p3 sid=3 pl={\"x\":1} v=4 q=8\n"
            "peer r left p=p4 sid=4 q=8\n");
    recv_on(2, changes(5, 2, 3), "");  /* again, after a move */
    recv_on(2, changes(8, 7, 2), /* the first is this client */
            "peer r state p=p8 sid=8 pl={\"x\":1} v=4 q=10\n");
    recv_on(2, changes(0, 2, 3), ""); /* is in the snapshot */
}

static void changes_of_unknown_kinds_are_passed_over(void **state)
{
    (void)state;
    enter();
    recv_on(2, changes(5, 2, 9),
            "peer r joined p=p2 sid=2 pl={\"x\":1} v=4 q=14 at=99\n"
            "peer r state p=p3 sid=3 pl={\"x\":1} v=4 q=14\n"
            "peer r left p=p4 sid=4 q=14\n"
            "peer r stale p=p5 sid=5 v=4 q=14\n"
            "peer r back p=p6 sid=6 v=4 q=14\n");
}

static void changes_before_the_snapshot_wait_for_it(void **state)
{
    (void)state;
    say_hello();
    join("r", NULL, YOMO_OK, "send 1: channel_join c=r\n");
    recv_on(2, changes(3, 2, 3), ""); /* place 6: before the snapshot's */
    recv_on(2, changes(7, 5, 2), "");
    recv(by(5, "p5", 10, about(YO_OP_DATA, "r", DATA)), "");
    recv(ack("r", 7), "");
    recv_on(LANE_CONTROL, page("r", 7, 0, false),
            "joined r q=7\n"
            "peer r joined p=p5 sid=5 pl={\"x\":1} v=4 q=9 at=99\n"
            "peer r state p=p6 sid=6 pl={\"x\":1} v=4 q=9\n"
            "message r p=p5 sid=5 pl={\"event\":\"cur\",\"data\":\"1\"} event=cur "
            "q=10\n");
}

static void broken_changes_are_not_used(void **state)
{
    static const char *const members[] = {
        "92 82 a3736964 02 a170 a161 c0",             /* one member, nil */
        "91 81 a170 a161",                            /* no session */
        "91 82 a3736964 02 a16f a161",                /* a kind that is no number */
        "91 83 a3736964 02 a170 a161 a2706c c40190",  /* a state that is no map */
        "91 83 a3736964 02 a170 a161 a3736964 02",    /* a key that comes twice */
        "91 83 a3736964 02 a170 a161 a26474 c40190",  /* data that are no map */
        "91 83 a3736964 02 a170 a161 a26474 a161",    /* or no bytes */
    };
    struct yo_message broken = about(YO_OP_CHANGES, "r", NULL);
    char many[1500] = "dc 0065";

    (void)state;
    enter();
    broken.sequence = 9;
    recv(broken, "drop r code=MALFORMED\n");
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        broken.members = bytes_hex(members[i]);
        recv(broken, "drop r code=MALFORMED\n");
    }
    for (int i = 0; i < 101; i++) { /* more than there may be */
        strcat(many, "81a373696402");
    }
    broken.members = bytes_hex(many);
    recv(broken, "drop r code=MALFORMED\n");
    broken.members = bytes_hex("90");
    recv(broken, "");
}

/* --- presencejs --- */

static void use_presencejs(bool datagrams)
{
    create(datagrams);
    now += YO_SECOND;
    tick("ready\n");
}

static struct yo_message from(const char *peer, struct yo_message message)
{
    message.peer = yo_span_of(peer);
    return message;
}

static void towards_presencejs_it_does_as_presencejs_does(void **state)
{
    (void)state;
    use_presencejs(false);
    join("r", ME, YOMO_OK, "send 1: channel_join c=r pl={\"id\":\"me\"}\n");
    recv(ack("r", 0), "send 1: peer_online c=r\n"
                      "send 1: peer_state c=r pl={\"id\":\"me\"}\n"
                      "joined r\n");
    recv(from("old", about(YO_OP_PEER_STATE, "r", "{\"x\":1}")),
         "peer r present p=old pl={\"x\":1}\n");
    recv(from("new", about(YO_OP_PEER_ONLINE, "r", NULL)),
         "send 1: peer_state c=r pl={\"id\":\"me\"}\npeer r joined p=new\n");
    recv(from("new", about(YO_OP_PEER_STATE, "r", "{\"x\":2}")),
         "peer r state p=new pl={\"x\":2}\n");
    recv(from("new", about(YO_OP_DATA, "r", DATA)),
         "message r p=new pl={\"event\":\"cur\",\"data\":\"1\"} event=cur\n");
    recv(from("new", about(YO_OP_PEER_OFFLINE, "r", NULL)), "peer r left p=new\n");
    recv(from("new", about(YO_OP_PEER_OFFLINE, "r", NULL)), "");
    recv(from("", about(YO_OP_PEER_ONLINE, "r", NULL)), "drop r code=PROTO\n");
    set_state("r", "{\"id\":\"me\",\"x\":1}", YOMO_OK,
              "send 1: peer_state c=r pl={\"id\":\"me\",\"x\":1}\n");
    recv(from("new", about(YO_OP_PEER_ONLINE, "r", NULL)),
         "send 1: peer_state c=r pl={\"id\":\"me\",\"x\":1}\npeer r joined p=new\n");
    leave("r", YOMO_OK, "send 1: peer_offline c=r\nleft r\n");
    recv(from("new", about(YO_OP_DATA, "r", DATA)), "");
}

static void what_comes_before_the_ack_is_of_an_earlier_stay(void **state)
{
    (void)state;
    use_presencejs(false);
    join("r", NULL, YOMO_OK, "send 1: channel_join c=r\n");
    recv(from("a", about(YO_OP_DATA, "r", DATA)), "");
    recv(from("a", about(YO_OP_PEER_STATE, "r", "{}")), "");
    recv(ack("r", 0), "send 1: peer_online c=r\njoined r\n");
}

static void both_shapes_of_data_are_read(void **state)
{
    (void)state;
    use_presencejs(false);
    join("r", NULL, YOMO_OK, "send 1: channel_join c=r\n");
    recv(ack("r", 0), "send 1: peer_online c=r\njoined r\n");
    recv(from("a",
              about(YO_OP_DATA, "r", "{\"event\":\"e\",\"state\":{},\"payload\":1}")),
         "message r p=a pl={\"event\":\"e\",\"state\":{},\"payload\":1} event=e\n");
}

static void a_join_in_a_datagram_is_repeated(void **state)
{
    const char *again = "send 0: channel_join c=r pl={\"id\":\"me\"}\n";

    (void)state;
    use_presencejs(true);
    join("r", ME, YOMO_OK, again);
    for (int i = 0; i < 4; i++) {
        assert_true(yo_client_session_deadline(session) == now + (YO_SECOND << i));
        now = yo_client_session_deadline(session);
        tick(again);
    }
    assert_true(yo_client_session_deadline(session) == YO_NEVER);
    recv_on(LANE_DATAGRAM,
            story_encode(&(struct yo_message){.op = YO_OP_CHANNEL_JOIN,
                                              .channel = yo_span_of("r")}),
            "send 0: peer_online c=r\n"
            "send 0: peer_state c=r pl={\"id\":\"me\"}\n"
            "joined r\n");
    recv_on(LANE_DATAGRAM,
            story_encode(&(struct yo_message){.op = YO_OP_CHANNEL_JOIN,
                                              .channel = yo_span_of("r")}),
            "");
    assert_int_equal(yo_client_lane(session, yo_span_of("r")), LANE_DATAGRAM);
}

static void datagrams_are_unreliable(void **state)
{
    struct yo_message data = from("a", about(YO_OP_DATA, "r", DATA));

    (void)state;
    use_presencejs(true);
    join("r", NULL, YOMO_OK, "send 0: channel_join c=r\n");
    recv_on(LANE_DATAGRAM, story_encode(&data), "");
    recv(ack("r", 0), "send 0: peer_online c=r\njoined r\n");
    recv_on(
        LANE_DATAGRAM, story_encode(&data),
        "message r unreliable p=a pl={\"event\":\"cur\",\"data\":\"1\"} event=cur\n");
    recv((struct yo_message){.op = YO_OP_PING, .timestamp = 1}, "drop code=PROTO\n");
}

/* --- any bytes, and no memory --- */

static void feed(struct yo_span bytes, void *user)
{
    const struct yo_message ack_r = ack("r", 3);

    create(true);
    yo_effects_clear(&effects);
    yo_client_session_recv(session, LANE_CONTROL, story_encode(&hello), now, &effects);
    yo_effects_clear(&effects);
    yo_client_join(session, yo_span_of("r"), YO_SPAN_NONE, NULL, now, &effects);
    if (user) { /* joined, else it is held until then */
        yo_effects_clear(&effects);
        yo_client_session_recv(session, LANE_CONTROL, story_encode(&ack_r), now,
                               &effects);
        yo_client_session_recv(session, LANE_CONTROL, page("r", 3, 0, false), now,
                               &effects);
    }
    yo_effects_clear(&effects);
    assert_int_equal(
        yo_client_session_recv(session, LANE_CONTROL, bytes, now, &effects), YOMO_OK);
    yo_effects_clear(&effects);
    yo_client_session_recv(session, LANE_CONTROL, story_encode(&ack_r), now, &effects);
    yo_client_session_recv(session, LANE_CONTROL, page("r", 3, 0, false), now, &effects);
}

static void bytes_cut_or_flipped_do_no_harm(void **state)
{
    (void)state;
    bytes_each_cut(page("r", 3, 2, false), feed, NULL);
    bytes_each_flip(page("r", 3, 2, false), feed, NULL);
    bytes_each_cut(changes(5, 2, 3), feed, NULL);
    bytes_each_flip(changes(5, 2, 3), feed, NULL);
    bytes_each_flip(changes(5, 2, 3), feed, &now);
    bytes_each_flip(story_encode(&hello), feed, NULL);
}

/* How much was told, over all steps of a life. */
static size_t told;

/* Do a step, and once more when memory ran out, as if it had not been tried. Returns
 * whether it was done. */
static bool insist(struct yo_client_session *one, const struct yo_message *message,
                   struct yo_span bytes, struct yo_effects *out)
{
    for (int try = 0; try < 2; try++) {
        int rv;
        yo_effects_clear(out);
        if (!message && !bytes.data) {
            rv = yo_client_join(one, yo_span_of("r"), story_payload(ME), NULL, 0, out);
        } else if (message && message->op == YO_OP_PEER_OFFLINE) {
            rv = yo_client_leave(one, message->channel, 0, out);
        } else if (message && message->op == YO_OP_PEER_STATE && !message->session) {
            rv = yo_client_state(one, message->channel, message->payload, 0, out);
        } else {
            rv = yo_client_session_recv(
                one, LANE_CONTROL, message ? story_encode(message) : bytes, 0, out);
        }
        if (rv == YOMO_OK) {
            told += out->count;
            return true;
        }
        assert_int_equal(rv, YOMO_ERR_NOMEM);
        assert_int_equal(out->count, 0);
    }
    return false;
}

static void live_a_life(struct fault *memory, void *user)
{
    const struct yo_client_identity identity = {.id = yo_span_of("me")};
    struct yo_message latest = by(2, "bob", 0, about(YO_OP_DATA, "r", DATA));
    const struct yo_message ack_r = ack("r", 3);
    const struct yo_message data = by(2, "bob", 4, about(YO_OP_DATA, "r", DATA));
    const struct yo_message online = by(2, "bob", 5, about(YO_OP_PEER_ONLINE, "r", ME));
    const struct yo_message state = about(YO_OP_PEER_STATE, "r", ME);
    const struct yo_message offline = about(YO_OP_PEER_OFFLINE, "r", NULL);
    const struct yo_message left = about(YO_OP_CHANNEL_LEAVE, "r", NULL);
    struct yo_client_session *one = NULL;
    struct yo_effects out;
    bool all = true;

    (void)user;
    latest.delivery = YOMO_LATEST;
    latest.version = 9;
    told = 0;
    yo_effects_init(&out, &memory->mem);
    if (yo_client_session_create(&one, &memory->mem, &identity, 0) == YOMO_OK) {
        all = insist(one, &hello, YO_SPAN_NONE, &out) &&
              insist(one, NULL, YO_SPAN_NONE, &out) &&
              insist(one, &data, YO_SPAN_NONE, &out) &&
              insist(one, &latest, YO_SPAN_NONE, &out) &&
              insist(one, &online, YO_SPAN_NONE, &out) &&
              insist(one, NULL, changes(5, 20, 3), &out) &&
              insist(one, &state, YO_SPAN_NONE, &out) &&
              insist(one, &ack_r, YO_SPAN_NONE, &out) &&
              insist(one, NULL, page("r", 3, 9, false), &out) &&
              insist(one, NULL, changes(8, 30, 3), &out) &&
              insist(one, &state, YO_SPAN_NONE, &out) &&
              insist(one, &offline, YO_SPAN_NONE, &out) &&
              insist(one, NULL, YO_SPAN_NONE, &out) &&
              insist(one, &left, YO_SPAN_NONE, &out);
        /* ready, join, state, 8 others, joined, 3 + 3 held, 3, state, leave, join */
        assert_true(!all || told == 1 + 1 + 1 + 8 + 1 + 6 + 3 + 1 + 1 + 1);
        assert_true(all || memory->mode == FAULT_FROM);
    }
    yo_client_session_destroy(one);
    yo_effects_finish(&out);
}

static void live_in_presencejs(struct fault *memory, void *user)
{
    const struct yo_client_identity identity = {.id = yo_span_of("me"),
                                                .datagrams = true};
    const struct yo_message ack_r = ack("r", 0);
    const struct yo_message online = from("a", about(YO_OP_PEER_ONLINE, "r", NULL));
    const struct yo_message state = from("b", about(YO_OP_PEER_STATE, "r", ME));
    const struct yo_message offline = about(YO_OP_PEER_OFFLINE, "r", NULL);
    struct yo_client_session *one = NULL;
    struct yo_effects out;
    bool all;

    (void)user;
    told = 0;
    yo_effects_init(&out, &memory->mem);
    if (yo_client_session_create(&one, &memory->mem, &identity, 0) == YOMO_OK) {
        if (yo_client_session_tick(one, YO_SECOND, &out) != YOMO_OK) {
            assert_false(yo_client_session_ready(one));
            yo_effects_clear(&out);
            yo_client_session_tick(one, YO_SECOND, &out);
        }
        all = yo_client_session_ready(one) && insist(one, NULL, YO_SPAN_NONE, &out) &&
              insist(one, &ack_r, YO_SPAN_NONE, &out) &&
              insist(one, NULL, story_encode(&online), &out) &&
              insist(one, NULL, story_encode(&state), &out) &&
              insist(one, &offline, YO_SPAN_NONE, &out);
        /* join, online, state, joined, state, peer, peer, leave, left */
        assert_true(!all || told == 9);
        assert_true(all || memory->mode == FAULT_FROM);
    }
    yo_client_session_destroy(one);
    yo_effects_finish(&out);
}

static void a_session_survives_every_failing_allocation(void **state)
{
    (void)state;
    assert_true(fault_each(live_a_life, NULL) > 10);
    assert_true(fault_each(live_in_presencejs, NULL) > 8);
}

/* --- moving --- */

static void the_token_comes_with_hello(void **state)
{
    struct yo_message with_token = hello;
    (void)state;
    with_token.token = yo_span_of("t0");
    recv(with_token, "ready sid=7 epoch=5 tok=t0 extension\n");
}

static void after_a_move_nothing_is_told_twice(void **state)
{
    struct yo_message five = by(2, "bob", 5, about(YO_OP_DATA, "r", DATA));
    struct yo_message six = by(2, "bob", 6, about(YO_OP_DATA, "r", DATA));
    struct yo_message left = by(2, "bob", 7, about(YO_OP_PEER_OFFLINE, "r", NULL));
    const struct yo_message confirmed = {
        .op = YO_OP_ACK, .channel = yo_span_of("r"), .number = 9};
    (void)state;
    enter();
    recv_on(
        LANE_ROOMS, story_encode(&five),
        "message r p=bob sid=2 pl={\"event\":\"cur\",\"data\":\"1\"} event=cur q=5\n");
    yo_client_session_moved(session, true, 1, now);
    recv(five, ""); /* over one ordered stream all comes by the same way */
    recv(confirmed, ""); /* it came before */
    recv(confirmed, "confirmed r n=9\n");
    recv_on(LANE_ROOMS, story_encode(&five), "");
    recv_on(
        LANE_ROOMS, story_encode(&six),
        "message r p=bob sid=2 pl={\"event\":\"cur\",\"data\":\"1\"} event=cur q=6\n");
    recv_on(LANE_ROOMS, story_encode(&left), "peer r left p=bob sid=2 q=7\n");
    recv_on(LANE_ROOMS, story_encode(&left), "");
}

static void the_last_word_on_an_old_connection(void **state)
{
    (void)state;
    enter();
    recv((struct yo_message){.op = YO_OP_MOVED}, "moved\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(the_token_comes_with_hello),
        TEST(after_a_move_nothing_is_told_twice),
        TEST(the_last_word_on_an_old_connection),
        TEST(hello_makes_it_ready),
        TEST(hello_says_who_the_client_is),
        TEST(without_hello_it_is_presencejs),
        TEST(one_who_returns_waits_longer_for_hello),
        TEST(another_first_message_is_presencejs_unless_it_overtook),
        TEST(another_version_is_the_end),
        TEST(a_late_hello_starts_the_joins_anew),
        TEST(nothing_is_asked_before_it_is_ready),
        TEST(a_join_is_ack_pages_and_joined),
        TEST(pages_may_come_before_the_ack),
        TEST(oneself_is_not_among_the_members),
        TEST(what_comes_too_early_is_held_but_not_the_unreliable),
        TEST(too_much_to_hold_is_the_end_but_for_latest),
        TEST(a_refused_join_is_told),
        TEST(joins_that_cannot_be_are_refused_at_once),
        TEST(a_state_set_too_early_goes_out_with_the_ack),
        TEST(changes_and_messages_are_told),
        TEST(an_older_latest_is_not_told),
        TEST(numbers_are_confirmed),
        TEST(a_broadcast_is_encoded_in_the_servers_dialect),
        TEST(each_room_has_a_lane_of_its_own),
        TEST(a_leave_follows_the_messages_and_is_answered),
        TEST(a_leave_before_joined_follows_the_join),
        TEST(a_join_after_a_leave_waits_for_its_answer),
        TEST(a_join_after_a_leave_may_be_taken_back),
        TEST(being_put_out_is_told),
        TEST(pings_keep_the_connection_known),
        TEST(a_silent_server_is_given_up),
        TEST(goaway_is_told),
        TEST(nonsense_is_dropped_and_at_last_the_end),
        TEST(a_broken_page_is_not_used),
        TEST(several_changes_are_told_in_their_order),
        TEST(changes_of_unknown_kinds_are_passed_over),
        TEST(changes_before_the_snapshot_wait_for_it),
        TEST(broken_changes_are_not_used),
        TEST(towards_presencejs_it_does_as_presencejs_does),
        TEST(what_comes_before_the_ack_is_of_an_earlier_stay),
        TEST(both_shapes_of_data_are_read),
        TEST(a_join_in_a_datagram_is_repeated),
        TEST(datagrams_are_unreliable),
        TEST(bytes_cut_or_flipped_do_no_harm),
        TEST(a_session_survives_every_failing_allocation),
    };

    return cmocka_run_group_tests_name("session/client_side", tests, NULL, NULL);
}
