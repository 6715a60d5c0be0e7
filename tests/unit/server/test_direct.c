/* SPDX-License-Identifier: MIT */
/* test_direct.c - messages to some members, as clients see them, over two workers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rig.h"
#include "support/bytes.h"
#include "wire/decode.h"
#include "wire/msgpack.h"

#define WS YOMO_TRANSPORT_WEBSOCKET
#define WT YOMO_TRANSPORT_WEBTRANSPORT

#define PAYLOAD "82a56576656e74a165a464617461a131" /* {event: "e", data: "1"} */

struct cast {
    struct rig rig;
    struct client *alice, *bob, *bobs, *carol, *page;
    uint64_t bob_session, bobs_session, carol_session, alice_session;
};

static struct client *member(struct rig *rig, uint32_t worker,
                             enum yomo_transport_kind kind, const char *query,
                             const char *room, uint64_t *session)
{
    struct client *client = rig_connect(rig, worker, kind, query);

    if (session) {
        *session = expect_op(client, YO_OP_HELLO)->message.session;
    }
    client_join(client, room, session ? NULL : "{\"id\":\"pia\"}");
    return client;
}

/* alice, bob twice, carol, and a page that calls itself pia. */
static void open_cast_with(struct cast *cast, const yomo_server_callbacks *hooks)
{
    rig_open(&cast->rig, 2, hooks, NULL);
    cast->alice =
        member(&cast->rig, 0, WT, "yomo=1&id=alice", "r", &cast->alice_session);
    cast->bob = member(&cast->rig, 0, WS, "yomo=1&id=bob", "r", &cast->bob_session);
    cast->bobs = member(&cast->rig, 1, WT, "yomo=1&id=bob", "r", &cast->bobs_session);
    cast->carol =
        member(&cast->rig, 1, WS, "yomo=1&id=carol", "r", &cast->carol_session);
    cast->page = member(&cast->rig, 1, WT, "id=p-1", "r", NULL);
    client_forget(cast->alice);
    client_forget(cast->bob);
    client_forget(cast->bobs);
    client_forget(cast->carol);
    client_forget(cast->page);
}

static void open_cast(struct cast *cast)
{
    open_cast_with(cast, NULL);
}

static void expect_silence(struct cast *cast)
{
    expect_nothing(cast->alice);
    expect_nothing(cast->bob);
    expect_nothing(cast->bobs);
    expect_nothing(cast->carol);
    expect_nothing(cast->page);
}

/* Encoded: sessions first, then users. */
static struct yo_span targets(size_t sessions, const uint64_t *session, size_t users,
                              const char *const *user)
{
    struct yo_buf out;
    struct yo_span copy;

    yo_buf_init(&out, &yo_mem_libc);
    yo_mp_put_array(&out, (uint32_t)(sessions + users));
    for (size_t i = 0; i < sessions; i++) {
        yo_target_write(&out, &(struct yo_wire_target){.session = session[i]});
    }
    for (size_t i = 0; i < users; i++) {
        yo_target_write(&out, &(struct yo_wire_target){.user = yo_span_of(user[i])});
    }
    copy = bytes_copy(yo_buf_span(&out));
    yo_buf_finish(&out);
    return copy;
}

static struct yo_span to_session(uint64_t session)
{
    return targets(1, &session, 0, NULL);
}

static struct yo_span to_user(const char *user)
{
    return targets(0, NULL, 1, &user);
}

static struct yo_message data(struct yo_span to)
{
    return (struct yo_message){.op = YO_OP_DATA,
                               .channel = yo_span_of("r"),
                               .payload = bytes_hex(PAYLOAD),
                               .targets = to};
}

static void say(struct client *client, struct yo_message message)
{
    client_send(client, &message);
}

static struct heard *expect_direct(struct client *client)
{
    struct heard *heard = expect_from(client, YO_OP_DATA, "alice");

    assert_true(heard->message.direct);
    assert_null(heard->message.targets.data); /* who else got it is not told */
    return heard;
}

static void only_the_named_session_hears_it(void **state)
{
    struct cast cast;
    struct heard *heard;

    (void)state;
    open_cast(&cast);
    say(cast.alice, data(to_session(cast.carol_session)));
    heard = expect_direct(cast.carol);
    assert_true(heard->message.session == cast.alice_session);
    assert_true(heard->message.sequence > 0);
    expect_silence(&cast);
    say(cast.alice, data(to_session(cast.bob_session)));
    expect_direct(cast.bob);
    expect_silence(&cast);
    rig_close(&cast.rig);
}

static void a_user_is_every_device_and_a_page_by_its_label(void **state)
{
    static const char *const both[] = {"bob", "pia", "bob", "nobody"};
    struct cast cast;
    struct heard *heard;

    (void)state;
    open_cast(&cast);
    say(cast.alice, data(to_user("bob")));
    expect_direct(cast.bob);
    expect_direct(cast.bobs);
    expect_silence(&cast);
    say(cast.alice, data(to_user("p-1"))); /* its user id serves too */
    expect_from(cast.page, YO_OP_DATA, "alice");
    expect_silence(&cast);
    say(cast.alice, data(targets(1, &cast.bob_session, 4, both)));
    expect_direct(cast.bob); /* named three times, heard once */
    expect_direct(cast.bobs);
    heard = expect_from(cast.page, YO_OP_DATA, "alice");
    assert_false(heard->message.direct); /* presencejs sees plain data */
    assert_true(heard->message.session == 0);
    expect_silence(&cast);
    rig_close(&cast.rig);
}

static void each_class_goes_its_way_to_the_named(void **state)
{
    struct cast cast;
    struct heard *heard;

    (void)state;
    open_cast(&cast);
    for (int d = YOMO_RELIABLE; d <= YOMO_LATEST; d++) {
        struct yo_message message = data(to_session(cast.bobs_session));
        message.delivery = (enum yomo_delivery)d;
        message.version = d == YOMO_LATEST;
        say(cast.alice, message);
        heard = expect_direct(cast.bobs);
        assert_int_equal(heard->message.delivery, d);
        assert_int_equal(heard->lane == YO_LANE_DATAGRAM, d != YOMO_RELIABLE);
        expect_silence(&cast);
    }
    rig_close(&cast.rig);
}

static void me_is_heard_by_the_sender_too(void **state)
{
    struct cast cast;
    struct yo_message message;
    struct heard *heard;

    (void)state;
    open_cast(&cast);
    message = data(YO_SPAN_NONE);
    message.echo = true;
    say(cast.alice, message);
    heard = expect_from(cast.alice, YO_OP_DATA, "alice");
    assert_true(heard->message.session == cast.alice_session);
    assert_false(heard->message.direct);
    expect_from(cast.bob, YO_OP_DATA, "alice");
    expect_from(cast.bobs, YO_OP_DATA, "alice");
    expect_from(cast.carol, YO_OP_DATA, "alice");
    expect_from(cast.page, YO_OP_DATA, "alice");
    message.targets = to_session(cast.carol_session);
    say(cast.alice, message);
    expect_direct(cast.alice);
    expect_direct(cast.carol);
    expect_silence(&cast);
    message.targets = to_session(cast.alice_session); /* herself, and herself */
    say(cast.alice, message);
    expect_direct(cast.alice);
    expect_silence(&cast);
    rig_close(&cast.rig);
}

static void expect_number(struct client *client, int error)
{
    struct heard *heard = expect_op(client, error ? YO_OP_ERROR : YO_OP_ACK);

    assert_int_equal(heard->message.number, 5);
    assert_int_equal(heard->message.code, error);
}

static void a_message_to_nobody_there_is_told(void **state)
{
    struct cast cast;
    struct client *other;
    uint64_t session;
    struct yo_message message;

    (void)state;
    open_cast(&cast);
    other = member(&cast.rig, 1, WS, "yomo=1&id=bob", "elsewhere", &session);
    client_forget(other);
    message = data(to_session(session)); /* in another room */
    message.number = 5;
    say(cast.alice, message);
    expect_number(cast.alice, YOMO_ERR_NOT_FOUND);
    message.targets = to_user("zoe");
    say(cast.alice, message);
    expect_number(cast.alice, YOMO_ERR_NOT_FOUND);
    message.echo = true; /* the sender alone is nobody */
    say(cast.alice, message);
    expect_number(cast.alice, YOMO_ERR_NOT_FOUND);
    message.echo = false;
    message.targets =
        targets(2, (const uint64_t[]){session, cast.carol_session}, 0, NULL);
    say(cast.alice, message); /* partly there is there */
    expect_number(cast.alice, 0);
    expect_direct(cast.carol);
    client_leave(cast.carol, "r");
    client_forget(cast.alice);
    client_forget(cast.bob);
    client_forget(cast.bobs);
    client_forget(cast.carol);
    client_forget(cast.page);
    say(cast.alice, message);
    expect_number(cast.alice, YOMO_ERR_NOT_FOUND);
    message.number = 0; /* nobody asks, nobody is told */
    say(cast.alice, message);
    expect_nothing(other);
    expect_silence(&cast);
    rig_close(&cast.rig);
}

static void sessions_of_other_applications_are_not_there(void **state)
{
    struct rig rig;
    struct client *a, *b;
    struct yo_message message;
    uint64_t one, two;

    (void)state;
    rig_open(&rig, 1, NULL, "keys", "one=k1,two=k2", NULL);
    a = member(&rig, 0, WS, "yomo=1&id=a&publickey=k1", "r", &one);
    b = member(&rig, 0, WS, "yomo=1&id=b&publickey=k2", "r", &two);
    client_forget(a);
    client_forget(b);
    message = data(to_session(two));
    message.number = 5;
    say(a, message);
    expect_number(a, YOMO_ERR_NOT_FOUND);
    message.targets = to_user("b");
    say(a, message);
    expect_number(a, YOMO_ERR_NOT_FOUND);
    expect_nothing(b);
    rig_close(&rig);
}

static void a_direct_message_is_not_in_the_history_that_joiners_read(void **state)
{
    struct cast cast;
    struct yo_home_room *room = NULL;

    (void)state;
    rig_open(&cast.rig, 1, NULL, "history-messages", "10", NULL);
    cast.alice = member(&cast.rig, 0, WS, "yomo=1&id=alice", "r", &cast.alice_session);
    cast.bob = member(&cast.rig, 0, WS, "yomo=1&id=bob", "r", &cast.bob_session);
    say(cast.alice, data(YO_SPAN_NONE));
    say(cast.alice, data(to_user("bob")));
    for (struct yo_map_node *node =
             yo_map_next(&rig_worker(&cast.rig, 0)->home.rooms, NULL);
         node; node = NULL) {
        room = YO_CONTAINER(node, struct yo_home_room, node);
    }
    assert_non_null(room);
    assert_int_equal(room->history.shown.count, 1);
    for (size_t i = 0; i < room->history.recent.count; i++) {
        const struct yo_past *past = yo_record_at(&room->history.recent, i);
        assert_int_equal(past->to_count, i); /* the second one is for one alone */
    }
    rig_close(&cast.rig);
}

/* --- the host ----------------------------------------------------------------------
 */

static char story[512];

static int32_t on_message(void *user, const yomo_member *who, const char *event,
                          const void *bytes, size_t size, int32_t encoding)
{
    const yomo_addressees *to = yomo_member_to(who);
    size_t used = strlen(story);

    (void)user, (void)encoding;
    used +=
        (size_t)snprintf(story + used, sizeof(story) - used, "%s %s=%.*s",
                         yomo_member_id(who), event, (int)size, (const char *)bytes);
    for (size_t i = 0; i < yomo_addressees_count(to); i++) {
        used += (size_t)snprintf(story + used, sizeof(story) - used, " [%llu %s]",
                                 (unsigned long long)yomo_addressees_session(to, i),
                                 yomo_addressees_user(to, i));
    }
    snprintf(story + used, sizeof(story) - used, "%s;",
             !to                         ? " all"
             : yomo_addressees_count(to) ? ""
                                         : " host");
    assert_true(yomo_addressees_session(to, 100) == 0);
    assert_string_equal(yomo_addressees_user(to, 100), "");
    return strcmp(yomo_member_id(who), "bob") == 0 ? YOMO_ERR_DENIED : YOMO_OK;
}

static void the_hook_sees_whom_it_is_for(void **state)
{
    static const yomo_server_callbacks hooks = {.size = sizeof(hooks),
                                                .on_message = on_message};
    static const char *const users[] = {"bob", "pia"};
    struct cast cast;
    struct yo_message message;
    uint64_t session = 77;

    (void)state;
    story[0] = '\0';
    open_cast_with(&cast, &hooks);
    say(cast.alice, data(YO_SPAN_NONE));
    say(cast.alice, data(targets(1, &session, 2, users)));
    message = data(targets(0, NULL, 0, NULL));
    message.number = 5;
    say(cast.alice, message);
    assert_string_equal(story, "alice e=1 all;alice e=1 [77 ] [0 bob] [0 pia];"
                               "alice e=1 host;");
    expect_number(cast.alice, 0);
    expect_nothing(cast.alice);
    for (int i = 0; i < 2; i++) { /* what was for the host alone reached nobody */
        expect_from(cast.bob, YO_OP_DATA, "alice");
    }
    expect_from(cast.carol, YO_OP_DATA, "alice");
    expect_nothing(cast.bob);
    expect_nothing(cast.carol);
    say(cast.bob, message); /* refused by the hook */
    expect_number(cast.bob, YOMO_ERR_DENIED);
    message.targets = to_user("carol");
    say(cast.bob, message);
    expect_number(cast.bob, YOMO_ERR_DENIED);
    expect_nothing(cast.carol);
    rig_close(&cast.rig);
}

static void without_a_hook_nobody_hears_what_is_for_the_host(void **state)
{
    struct cast cast;
    struct yo_message message;

    (void)state;
    open_cast(&cast);
    message = data(targets(0, NULL, 0, NULL));
    message.number = 5;
    say(cast.alice, message);
    expect_number(cast.alice, YOMO_ERR_NOT_FOUND);
    expect_silence(&cast);
    rig_close(&cast.rig);
}

/* --- requests to the host -----------------------------------------------------------
 */

static yomo_request *kept[4];
static size_t kept_count;

static int32_t on_request(void *user, const yomo_member *who, const char *event,
                          const void *bytes, size_t size, int32_t encoding,
                          yomo_request *request)
{
    (void)user;
    assert_string_equal(yomo_member_id(who), "alice");
    assert_int_equal(encoding, YOMO_JSON);
    assert_int_equal(size, 1);
    if (strcmp(event, "later") == 0) {
        assert_true(kept_count < 4);
        kept[kept_count++] = request;
        return YOMO_LATER;
    }
    if (strcmp(event, "inside") == 0) {
        assert_int_equal(yomo_request_reply(request, bytes, 9, 7), YOMO_ERR_INVALID);
        assert_int_equal(yomo_request_reply(request, "{", 1, YOMO_JSON),
                         YOMO_ERR_JSON); /* it is still ours */
        assert_int_equal(yomo_request_reply(request, "42", 2, YOMO_JSON), YOMO_OK);
        return YOMO_LATER;
    }
    if (strcmp(event, "drop") == 0) {
        yomo_request_free(request);
        return YOMO_LATER;
    }
    return strcmp(event, "no") == 0 ? YOMO_ERR_RATE : YOMO_OK;
}

static struct yo_message question(const char *event, uint64_t number)
{
    struct yo_message message = data(targets(0, NULL, 0, NULL));
    struct yo_buf payload;

    yo_buf_init(&payload, &yo_mem_libc);
    assert_int_equal(
        yo_content_write(&payload, yo_span_of(event), YOMO_JSON, yo_span_of("1")),
        YOMO_OK);
    message.payload = bytes_copy(yo_buf_span(&payload));
    yo_buf_finish(&payload);
    message.request = number;
    return message;
}

static void expect_reply(struct client *client, uint64_t number, int error,
                         const char *content)
{
    struct heard *heard = expect_op(client, YO_OP_DATA);
    struct yo_content read;

    assert_true(heard->message.reply == number);
    assert_true(heard->message.direct);
    assert_true(heard->message.session == 0);
    assert_null(heard->message.peer.data);
    assert_int_equal(heard->message.code, error);
    assert_int_equal(yo_content_read(heard->message.payload, &read), YOMO_OK);
    assert_text(read.bytes, content);
}

static const yomo_server_callbacks answering = {.size = sizeof(answering),
                                                .on_request = on_request};

static void the_host_answers_at_once(void **state)
{
    struct cast cast;

    (void)state;
    open_cast_with(&cast, &answering);
    say(cast.alice, question("inside", 7));
    expect_reply(cast.alice, 7, 0, "42");
    say(cast.alice, question("yes", 8));
    expect_reply(cast.alice, 8, 0, "null");
    say(cast.alice, question("no", 9));
    expect_reply(cast.alice, 9, YOMO_ERR_RATE, "null");
    say(cast.alice, question("drop", 10));
    expect_silence(&cast);
    assert_int_equal(rig_count(&cast.rig, requests_host), 4);
    rig_close(&cast.rig);
}

static void the_host_answers_later(void **state)
{
    struct cast cast;

    (void)state;
    kept_count = 0;
    open_cast_with(&cast, &answering);
    say(cast.alice, question("later", 7));
    say(cast.alice, question("later", 8));
    say(cast.alice, question("later", 9));
    expect_silence(&cast);
    assert_int_equal(yomo_request_refuse(kept[1], YOMO_ERR_DENIED, "not now"), YOMO_OK);
    rig_settle(&cast.rig);
    expect_reply(cast.alice, 8, YOMO_ERR_DENIED, "null");
    assert_int_equal(yomo_request_refuse(kept[0], 0, NULL), YOMO_ERR_INVALID);
    assert_int_equal(yomo_request_reply(kept[0], "[]", 2, YOMO_JSON), YOMO_OK);
    rig_settle(&cast.rig);
    expect_reply(cast.alice, 7, 0, "[]");
    expect_silence(&cast);
    client_close(cast.alice); /* gone: the answer goes nowhere */
    client_forget(cast.bob);
    assert_int_equal(yomo_request_reply(kept[2], "1", 1, YOMO_JSON), YOMO_OK);
    rig_settle(&cast.rig);
    expect_nothing(cast.bob);
    rig_close(&cast.rig);
}

static void a_kept_request_may_outlive_the_server(void **state)
{
    struct cast cast;

    (void)state;
    kept_count = 0;
    open_cast_with(&cast, &answering);
    say(cast.alice, question("later", 7));
    say(cast.alice, question("later", 8));
    rig_close(&cast.rig);
    yomo_request_free(kept[0]);
    yomo_request_free(kept[1]);
}

static void too_many_unanswered_requests_are_told(void **state)
{
    struct cast cast;
    struct yo_message message;

    (void)state;
    kept_count = 0;
    rig_open(&cast.rig, 1, &answering, "requests-max", "2", NULL);
    cast.alice = member(&cast.rig, 0, WS, "yomo=1&id=alice", "r", &cast.alice_session);
    client_forget(cast.alice);
    say(cast.alice, question("later", 1));
    say(cast.alice, question("later", 2));
    message = question("later", 3);
    message.number = 5;
    say(cast.alice, message);
    expect_number(cast.alice, YOMO_ERR_FULL);
    yomo_request_free(kept[0]);
    say(cast.alice, message);
    expect_number(cast.alice, 0);
    yomo_request_free(kept[1]);
    yomo_request_free(kept[2]);
    rig_close(&cast.rig);
}

static void without_a_hook_a_request_is_refused(void **state)
{
    struct cast cast;
    struct yo_message message = question("x", 7);

    (void)state;
    open_cast(&cast);
    message.number = 5;
    say(cast.alice, message);
    expect_number(cast.alice, YOMO_ERR_NOT_FOUND);
    expect_silence(&cast);
    rig_close(&cast.rig);
}

/* --- requests between members ------------------------------------------------------
 */

static void a_request_and_its_reply_are_for_two_only(void **state)
{
    struct cast cast;
    struct yo_message message;
    struct heard *heard;

    (void)state;
    open_cast(&cast);
    message = data(to_session(cast.bobs_session));
    message.request = 7;
    say(cast.alice, message);
    heard = expect_direct(cast.bobs);
    assert_true(heard->message.request == 7);
    expect_silence(&cast);
    message = data(to_session(cast.alice_session));
    message.reply = 7;
    message.code = YOMO_ERR_RATE;
    message.text = yo_span_of("slowly");
    say(cast.bobs, message);
    heard = expect_from(cast.alice, YO_OP_DATA, "bob");
    assert_true(heard->message.reply == 7 && heard->message.direct);
    assert_true(heard->message.session == cast.bobs_session);
    assert_int_equal(heard->message.code, YOMO_ERR_RATE);
    assert_text(heard->message.text, "slowly");
    expect_silence(&cast);
    rig_close(&cast.rig);
}

/* Let the workers' clock go on. */
static void pass(struct rig *rig, yo_time span)
{
    struct yo_loop *loop = rig_worker(rig, 0)->loop;

    for (yo_time begin = yo_loop_update(loop); yo_loop_update(loop) < begin + span;) {
        rig_settle(rig);
    }
    rig_settle(rig);
}

/* --- time to live and priority -------------------------------------------------------
 */

static void what_waited_too_long_is_left_out(void **state)
{
    struct cast cast;
    struct yo_message message;

    (void)state;
    open_cast(&cast);
    cast.bob->room = 0;
    message = data(to_session(cast.bob_session));
    say(cast.alice, message); /* fills the transport */
    message.ttl_ms = 1;
    for (int i = 0; i < 3; i++) {
        say(cast.alice, message);
    }
    message.ttl_ms = 60000;
    say(cast.alice, message);
    message.ttl_ms = UINT64_MAX;
    say(cast.alice, message);
    pass(&cast.rig, 2 * YO_MS);
    client_unblock(cast.bob, SIZE_MAX);
    for (int i = 0; i < 3; i++) {
        expect_direct(cast.bob);
    }
    expect_silence(&cast);
    assert_int_equal(rig_count(&cast.rig, dropped_expired), 3);
    rig_close(&cast.rig);
}

static void urgent_messages_pass_those_that_wait(void **state)
{
    static const enum yomo_priority order[] = {YOMO_BULK,   YOMO_BULK, YOMO_NORMAL,
                                               YOMO_URGENT, YOMO_BULK, YOMO_URGENT};
    static const enum yomo_priority heard_as[] = {YOMO_URGENT, YOMO_URGENT, YOMO_NORMAL,
                                                  YOMO_BULK,   YOMO_BULK,   YOMO_BULK};
    struct cast cast;
    struct yo_message message;
    uint64_t last[3] = {0};

    (void)state;
    open_cast(&cast);
    cast.bob->room = 0;
    message = data(to_session(cast.bob_session));
    for (size_t i = 0; i < 6; i++) {
        message.priority = order[i];
        say(cast.alice, message);
    }
    client_unblock(cast.bob, SIZE_MAX);
    for (size_t i = 0; i < 6; i++) {
        struct heard *heard = expect_direct(cast.bob);
        assert_int_equal(heard->message.priority, heard_as[i]);
        assert_true(heard->message.sequence > last[heard->message.priority]);
        last[heard->message.priority] = heard->message.sequence;
    }
    rig_close(&cast.rig);
}

/* --- pace ----------------------------------------------------------------------------
 */

static void a_member_gets_latest_values_at_its_pace(void **state)
{
    struct cast cast;
    struct yo_message message = {
        .op = YO_OP_CHANNEL_JOIN, .channel = yo_span_of("r"), .pace_ms = 40};
    struct client *slow;

    (void)state;
    open_cast(&cast);
    slow = rig_connect(&cast.rig, 1, WT, "yomo=1&id=slow");
    client_send(slow, &message);
    pass(&cast.rig, 60 * YO_MS); /* who came is told */
    client_forget(slow);
    client_forget(cast.alice);
    client_forget(cast.carol);
    message = data(YO_SPAN_NONE);
    message.delivery = YOMO_LATEST;
    for (message.version = 1; message.version <= 20; message.version++) {
        say(cast.alice, message);
        assert_true(expect_from(cast.carol, YO_OP_DATA, "alice")->message.version ==
                    message.version);
    }
    assert_true(expect_from(slow, YO_OP_DATA, "alice")->message.version == 1);
    /* A machine that is slow may have needed more than one interval for these. */
    for (uint64_t version = 0; version != 20;) {
        struct heard *heard = client_next(slow);
        if (heard) {
            assert_true(heard->message.version > version);
            version = heard->message.version;
        } else {
            pass(&cast.rig, YO_MS);
        }
    }
    assert_true(rig_count(&cast.rig, thinned) > 0);
    for (message.version = 21; message.version <= 23; message.version++) {
        say(cast.alice, message);
    }
    client_leave(slow, "r"); /* what waits goes before it has left, or not at all */
    pass(&cast.rig, 50 * YO_MS);
    rig_close(&cast.rig);
}

static void the_server_may_set_a_pace_for_all(void **state)
{
    struct cast cast;
    struct yo_message message;
    size_t heard = 0;

    (void)state;
    rig_open(&cast.rig, 1, NULL, "latest-interval", "30s", NULL);
    cast.alice = member(&cast.rig, 0, WS, "yomo=1&id=alice", "r", &cast.alice_session);
    cast.bob = member(&cast.rig, 0, WT, "yomo=1&id=bob", "r", &cast.bob_session);
    cast.page = member(&cast.rig, 0, WT, "id=p-1", "r", NULL);
    pass(&cast.rig, 60 * YO_MS);
    client_forget(cast.bob);
    client_forget(cast.page);
    message = data(YO_SPAN_NONE);
    message.delivery = YOMO_LATEST;
    for (message.version = 1; message.version <= 5; message.version++) {
        say(cast.alice, message);
    }
    expect_from(cast.bob, YO_OP_DATA, "alice");
    expect_nothing(cast.bob);
    while (client_next(cast.page)) {
        heard++;
    }
    assert_int_equal(heard, 1);
    rig_close(&cast.rig);
}

/* --- liars -------------------------------------------------------------------------
 */

static void expect_refused(struct cast *cast, struct yo_message message, int error)
{
    message.number = 5;
    say(cast->alice, message);
    expect_number(cast->alice, error);
    expect_silence(cast);
}

static void requests_and_replies_that_cannot_be_are_refused(void **state)
{
    struct cast cast;
    struct yo_message message;
    uint64_t two[2];

    (void)state;
    open_cast(&cast);
    two[0] = cast.bob_session;
    two[1] = cast.carol_session;
    message = data(YO_SPAN_NONE);
    message.request = 9; /* to everybody */
    expect_refused(&cast, message, YOMO_ERR_PROTO);
    message.targets = targets(2, two, 0, NULL);
    expect_refused(&cast, message, YOMO_ERR_PROTO);
    message.targets = to_session(cast.bob_session);
    message.echo = true;
    expect_refused(&cast, message, YOMO_ERR_PROTO);
    message.echo = false;
    message.reply = 9;
    expect_refused(&cast, message, YOMO_ERR_PROTO);
    message.request = 0;
    message.targets = YO_SPAN_NONE;
    expect_refused(&cast, message, YOMO_ERR_PROTO);
    message.targets = targets(0, NULL, 0, NULL);
    expect_refused(&cast, message, YOMO_ERR_PROTO);
    message.targets = to_user("bob"); /* who asked has a session */
    expect_refused(&cast, message, YOMO_ERR_PROTO);
    message.targets = targets(2, two, 0, NULL);
    expect_refused(&cast, message, YOMO_ERR_PROTO);
    message.targets = to_session(cast.bob_session);
    message.code = 7;
    expect_refused(&cast, message, YOMO_ERR_PROTO);
    message.code = -100000;
    expect_refused(&cast, message, YOMO_ERR_PROTO);
    assert_false(cast.alice->closing);
    rig_close(&cast.rig);
}

static void targets_of_presencejs_are_a_key_it_does_not_have(void **state)
{
    struct cast cast;
    struct yo_buf out;

    (void)state;
    open_cast(&cast);
    yo_buf_init(&out, &yo_mem_libc);
    struct yo_message message = data(to_session(cast.bob_session));
    message.echo = true;
    message.request = 4;
    assert_int_equal(yo_encode(&out, YO_DIALECT_YOMO, &message), YOMO_OK);
    client_say(cast.page, YO_LANE_DATAGRAM, yo_buf_span(&out));
    rig_settle(&cast.rig);
    yo_buf_finish(&out);
    assert_false(expect_op(cast.bob, YO_OP_DATA)->message.direct);
    expect_op(cast.bobs, YO_OP_DATA);
    expect_op(cast.carol, YO_OP_DATA);
    assert_true(expect_op(cast.alice, YO_OP_DATA)->message.request == 0);
    expect_silence(&cast);
    rig_close(&cast.rig);
}

static void a_slow_receiver_of_direct_messages_slows_nobody(void **state)
{
    struct cast cast;

    (void)state;
    rig_open(&cast.rig, 2, NULL, "queue-size", "4k", NULL);
    cast.alice = member(&cast.rig, 0, WS, "yomo=1&id=alice", "r", &cast.alice_session);
    cast.bob = member(&cast.rig, 0, WS, "yomo=1&id=bob", "r", &cast.bob_session);
    cast.carol = member(&cast.rig, 1, WS, "yomo=1&id=carol", "r", &cast.carol_session);
    client_forget(cast.bob);
    client_forget(cast.carol);
    cast.bob->room = 0; /* takes nothing any more */
    for (int i = 0; i < 200 && !cast.bob->closing; i++) {
        say(cast.alice, data(to_user("carol")));
        expect_direct(cast.carol);
        say(cast.alice, data(to_user("bob")));
    }
    assert_true(cast.bob->closing);
    assert_int_equal(cast.bob->why.code, YO_CODE_SLOW);
    assert_false(cast.alice->closing);
    rig_close(&cast.rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_named_session_hears_it),
        cmocka_unit_test(a_user_is_every_device_and_a_page_by_its_label),
        cmocka_unit_test(each_class_goes_its_way_to_the_named),
        cmocka_unit_test(me_is_heard_by_the_sender_too),
        cmocka_unit_test(a_message_to_nobody_there_is_told),
        cmocka_unit_test(sessions_of_other_applications_are_not_there),
        cmocka_unit_test(a_direct_message_is_not_in_the_history_that_joiners_read),
        cmocka_unit_test(the_hook_sees_whom_it_is_for),
        cmocka_unit_test(without_a_hook_nobody_hears_what_is_for_the_host),
        cmocka_unit_test(the_host_answers_at_once),
        cmocka_unit_test(the_host_answers_later),
        cmocka_unit_test(a_kept_request_may_outlive_the_server),
        cmocka_unit_test(too_many_unanswered_requests_are_told),
        cmocka_unit_test(without_a_hook_a_request_is_refused),
        cmocka_unit_test(a_request_and_its_reply_are_for_two_only),
        cmocka_unit_test(what_waited_too_long_is_left_out),
        cmocka_unit_test(urgent_messages_pass_those_that_wait),
        cmocka_unit_test(a_member_gets_latest_values_at_its_pace),
        cmocka_unit_test(the_server_may_set_a_pace_for_all),
        cmocka_unit_test(requests_and_replies_that_cannot_be_are_refused),
        cmocka_unit_test(targets_of_presencejs_are_a_key_it_does_not_have),
        cmocka_unit_test(a_slow_receiver_of_direct_messages_slows_nobody),
    };

    return cmocka_run_group_tests_name("server/direct", tests, NULL, NULL);
}
