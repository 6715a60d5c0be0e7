/* SPDX-License-Identifier: MIT */
/* What was said before, as the two sides of a conversation ask for it and tell it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <yomo/error.h>

#include "session/client_side.h"
#include "session/numbers.h"
#include "session/server_side.h"
#include "session/told.h"
#include "support/bytes.h"
#include "support/fault.h"
#include "unit/session/story.h"

#define SAID "{\"event\":\"e\",\"data\":\"1\"}"
#define PAST "pl={\"event\":\"e\",\"data\":\"1\"}"

static struct fault fault;
static struct yo_effects effects;
static struct yo_server_session *server;
static struct yo_client_session *client;

static int setup(void **state)
{
    const struct yo_server_identity who = {
        .id = yo_span_of("me"), .session = 7, .epoch = 5, .extension = true};
    const struct yo_server_limits limits = {.messages_per_second = 1,
                                            .messages_burst = 3};
    const struct yo_client_identity me = {.id = yo_span_of("me")};
    const struct yo_message hello = {.op = YO_OP_HELLO, .session = 7, .protocol = 1};

    (void)state;
    fault_init(&fault, 0, FAULT_ONCE);
    yo_effects_init(&effects, &fault.mem);
    assert_int_equal(
        yo_server_session_create(&server, &fault.mem, &who, &limits, 0, &effects),
        YOMO_OK);
    assert_int_equal(yo_client_session_create(&client, &fault.mem, &me, 0), YOMO_OK);
    yo_effects_clear(&effects);
    assert_int_equal(
        yo_client_session_recv(client, LANE_CONTROL, story_encode(&hello), 0, &effects),
        YOMO_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    yo_server_session_destroy(server);
    yo_client_session_destroy(client);
    yo_effects_finish(&effects);
    fault_assert_no_leak(&fault);
    return 0;
}

static void to_server(const struct yo_message *message, const char *lines)
{
    yo_effects_clear(&effects);
    assert_int_equal(yo_server_session_recv(server, LANE_CONTROL, story_encode(message),
                                            0, &effects),
                     YOMO_OK);
    assert_effects(&effects, lines);
}

static void to_client_bytes(uint32_t lane, struct yo_span bytes, const char *lines)
{
    yo_effects_clear(&effects);
    assert_int_equal(yo_client_session_recv(client, lane, bytes, 0, &effects), YOMO_OK);
    assert_effects(&effects, lines);
}

static void to_client(uint32_t lane, const struct yo_message *message,
                      const char *lines)
{
    to_client_bytes(lane, story_encode(message), lines);
}

/* A page with messages at these places, 0 at the end. */
static struct yo_span page(uint64_t number, uint64_t older, ...)
{
    struct yo_told told;
    struct yo_span bytes;
    uint64_t place;
    va_list places;

    yo_told_begin(&told, &yo_mem_libc, yo_span_of("r"), number);
    va_start(places, older);
    while ((place = va_arg(places, unsigned)) != 0) {
        const struct yo_wire_past past = {.sequence = place,
                                          .session = 12,
                                          .peer = yo_span_of("bob"),
                                          .payload = story_payload(SAID),
                                          .at_ms = 1000};
        assert_int_equal(yo_told_add(&told, &past), YOMO_OK);
    }
    va_end(places);
    assert_int_equal(yo_told_end(&told, older), YOMO_OK);
    assert_int_equal(told.count, 1);
    bytes = bytes_copy(yo_blob_span(told.list[0]));
    yo_told_finish(&told);
    return bytes;
}

static struct yo_message data_at(uint64_t place)
{
    return (struct yo_message){.op = YO_OP_DATA,
                               .channel = yo_span_of("r"),
                               .peer = yo_span_of("bob"),
                               .session = 12,
                               .payload = story_payload(SAID),
                               .sequence = place};
}

static void ask_in(const struct yo_join_wishes *wishes, const char *lines)
{
    yo_effects_clear(&effects);
    assert_int_equal(
        yo_client_join(client, yo_span_of("r"), YO_SPAN_NONE, wishes, 0, &effects),
        YOMO_OK);
    assert_effects(&effects, lines);
}

static void be_let_in(uint64_t sequence, uint64_t epoch, const char *lines)
{
    const struct yo_message ack = {.op = YO_OP_CHANNEL_JOIN,
                                   .channel = yo_span_of("r"),
                                   .peer = yo_span("", 0),
                                   .sequence = sequence,
                                   .epoch = epoch};
    const struct yo_message snapshot = {.op = YO_OP_SNAPSHOT,
                                        .channel = yo_span_of("r"),
                                        .sequence = sequence,
                                        .members = yo_span_of("\x90")};

    to_client(LANE_CONTROL, &ack, "");
    to_client(LANE_CONTROL, &snapshot, lines);
}

/* --- the server's side --- */

static void a_join_says_what_it_had(void **state)
{
    const struct yo_message join = {.op = YO_OP_CHANNEL_JOIN,
                                    .channel = yo_span_of("r"),
                                    .since = 41,
                                    .epoch = 9,
                                    .hist = 20};
    (void)state;
    to_server(&join, "join r places=41,41,41 label=me epoch=9 hist=20\n");
    yo_effects_clear(&effects);
    assert_int_equal(yo_server_joined(server, yo_span_of("r"), 50, 9, 0, &effects),
                     YOMO_OK);
    assert_effects(&effects, "send 1: channel_join c=r p= q=50 epoch=9\n");
}

static void only_who_is_in_may_ask(void **state)
{
    struct yo_message ask = {
        .op = YO_OP_HISTORY, .channel = yo_span_of("r"), .number = 3, .max = 10};
    const struct yo_message join = {.op = YO_OP_CHANNEL_JOIN,
                                    .channel = yo_span_of("r")};
    (void)state;
    to_server(&ask, "send 1: error c=r n=3 code=NOT_FOUND msg=not in this room\n"
                    "drop r n=3 code=NOT_FOUND\n");
    to_server(&join, "join r label=me\n");
    yo_effects_clear(&effects);
    yo_server_joined(server, yo_span_of("r"), 50, 9, 0, &effects);
    ask.sequence = 40;
    to_server(&ask, "history r n=3 q=40 max=10\n");
    to_server(&ask, "send 1: error c=r n=3 code=RATE "
                    "msg=too many messages (message-rate)\n"
                    "drop r n=3 code=RATE\n");
}

static void a_question_has_a_number_and_a_room(void **state)
{
    const struct yo_message no_number = {.op = YO_OP_HISTORY,
                                         .channel = yo_span_of("r")};
    const struct yo_message no_room = {.op = YO_OP_HISTORY, .number = 4};
    (void)state;
    to_server(&no_number, "drop r code=MALFORMED\n");
    to_server(&no_room, "send 1: error n=4 code=MALFORMED "
                        "msg=a question without a room or a number\n"
                        "drop n=4 code=MALFORMED\n");
}

/* --- the client's --- */

static void what_was_said_comes_before_what_is_said(void **state)
{
    const struct yo_join_wishes wishes = {.hist = 3};
    struct yo_message live = data_at(52);

    (void)state;
    ask_in(&wishes, "send 1: channel_join c=r hist=3\n");
    /* The room's stream may be faster than control. */
    to_client_bytes(2, page(0, 0, 40u, 44u, 0u), "");
    to_client(2, &live, "");
    be_let_in(50, 9,
              "joined r q=50 epoch=9\n"
              "message r p=bob sid=12 " PAST " event=e q=40 at=1000 past\n"
              "message r p=bob sid=12 " PAST " event=e q=44 at=1000 past\n"
              "message r p=bob sid=12 " PAST " event=e q=52\n");
}

static void what_was_had_is_not_told_again(void **state)
{
    const struct yo_join_wishes wishes = {.since = {40, 40, 40}, .epoch = 9};
    struct yo_message live = data_at(52);

    (void)state;
    ask_in(&wishes, "send 1: channel_join c=r epoch=9 since=40\n");
    be_let_in(50, 9, "joined r q=50 epoch=9\n");
    to_client_bytes(2, page(0, 0, 40u, 44u, 0u),
                    "message r p=bob sid=12 " PAST " event=e q=44 at=1000 past\n");
    to_client_bytes(2, page(0, 0, 40u, 44u, 0u), "");
    to_client(2, &live, "message r p=bob sid=12 " PAST " event=e q=52\n");
}

/* hello is late: the join in presencejs's words, which says nothing of the position,
 * may have let it in. */
static void a_position_outlives_a_late_hello(void **state)
{
    const struct yo_join_wishes wishes = {.since = {40, 40, 40}, .epoch = 9};
    const struct yo_client_identity identity = {.id = yo_span_of("me")};
    const struct yo_message hello = {
        .op = YO_OP_HELLO, .protocol = 1, .session = 7, .epoch = 5};
    const struct yo_message left = {.op = YO_OP_CHANNEL_LEAVE,
                                    .channel = yo_span_of("r")};

    (void)state;
    yo_client_session_destroy(client);
    yo_effects_clear(&effects);
    assert_int_equal(yo_client_session_create(&client, &yo_mem_libc, &identity, 0),
                     YOMO_OK);
    assert_int_equal(yo_client_session_tick(client, YO_SECOND, &effects), YOMO_OK);
    ask_in(&wishes, "send 1: channel_join c=r\n");
    to_client(1, &hello, "ready sid=7 epoch=5 extension\nsend 1: peer_offline c=r\n");
    be_let_in(45, 9, ""); /* by the first join */
    to_client(1, &left, "send 1: channel_join c=r epoch=9 since=40\n");
    be_let_in(50, 9, "joined r q=50 epoch=9\n");
}

/* Bulk messages may come later than others that have a later place. */
static void each_priority_goes_on_where_it_was(void **state)
{
    const struct yo_join_wishes wishes = {.since = {40, 42, 20}, .epoch = 9};
    struct yo_wire_past past = {.sequence = 30,
                                .session = 12,
                                .peer = yo_span_of("bob"),
                                .payload = story_payload(SAID),
                                .priority = YOMO_BULK};
    struct yo_told told;

    (void)state;
    ask_in(&wishes, "send 1: channel_join c=r epoch=9 since=40 qu=42 qb=20\n");
    be_let_in(50, 9, "joined r q=50 epoch=9\n");
    yo_told_begin(&told, &yo_mem_libc, yo_span_of("r"), 0);
    assert_int_equal(yo_told_add(&told, &past), YOMO_OK);
    past.sequence = 41;
    past.priority = YOMO_URGENT; /* was had */
    assert_int_equal(yo_told_add(&told, &past), YOMO_OK);
    past.priority = YOMO_NORMAL;
    assert_int_equal(yo_told_add(&told, &past), YOMO_OK);
    assert_int_equal(yo_told_end(&told, 0), YOMO_OK);
    to_client_bytes(2, bytes_copy(yo_blob_span(told.list[0])),
                    "message r p=bob sid=12 " PAST " event=e q=30 past\n"
                    "message r p=bob sid=12 " PAST " event=e q=41 past\n");
    yo_told_finish(&told);
}

static void in_another_order_places_mean_nothing(void **state)
{
    const struct yo_join_wishes wishes = {.since = {400, 400, 400}, .epoch = 9};
    const struct yo_message gap = {
        .op = YO_OP_GAP, .channel = yo_span_of("r"), .sequence = 2};
    struct yo_message live = data_at(4);

    (void)state;
    ask_in(&wishes, "send 1: channel_join c=r epoch=9 since=400\n");
    to_client(2, &gap, "");
    be_let_in(3, 10, "joined r q=3 epoch=10\ngap r q=2\n");
    to_client(2, &live, "message r p=bob sid=12 " PAST " event=e q=4\n");
}

static void a_gap_is_told_in_its_turn(void **state)
{
    const struct yo_join_wishes wishes = {.since = {10, 10, 10}, .epoch = 9};
    const struct yo_message gap = {
        .op = YO_OP_GAP, .channel = yo_span_of("r"), .from = 11, .sequence = 39};
    (void)state;
    ask_in(&wishes, "send 1: channel_join c=r epoch=9 since=10\n");
    be_let_in(50, 9, "joined r q=50 epoch=9\n");
    to_client(2, &gap, "gap r q=39 from=11\n");
    to_client_bytes(2, page(0, 0, 40u, 0u),
                    "message r p=bob sid=12 " PAST " event=e q=40 at=1000 past\n");
}

static void an_answer_is_handed_on_page_by_page(void **state)
{
    const struct yo_message error = {.op = YO_OP_ERROR,
                                     .channel = yo_span_of("r"),
                                     .number = 5,
                                     .code = YOMO_ERR_RATE};
    (void)state;
    yo_effects_clear(&effects);
    assert_int_equal(yo_client_history(client, yo_span_of("r"), 5, 0, 0, &effects),
                     YOMO_ERR_NOT_FOUND);
    ask_in(NULL, "send 1: channel_join c=r\n");
    be_let_in(50, 9, "joined r q=50 epoch=9\n");
    yo_effects_clear(&effects);
    assert_int_equal(yo_client_history(client, yo_span_of("r"), 5, 40, 2, &effects),
                     YOMO_OK);
    assert_effects(&effects, "send 1: history c=r n=5 q=40 max=2\n");
    to_client_bytes(2, page(5, 37, 37u, 39u, 0u),
                    "history r m=[bob/12 q=37 " PAST ", bob/12 q=39 " PAST
                    "] n=5 q=37\n");
    to_client(LANE_CONTROL, &error, "confirmed r n=5 code=RATE\n");
}

static void broken_pages_are_dropped(void **state)
{
    struct yo_message broken = {.op = YO_OP_HISTORY, .channel = yo_span_of("r")};

    (void)state;
    ask_in(NULL, "send 1: channel_join c=r\n");
    be_let_in(50, 9, "joined r q=50 epoch=9\n");
    to_client(2, &broken, "drop r code=MALFORMED\n");
    broken.members = yo_span_of("\x91\x80");
    to_client(2, &broken, "drop r code=MALFORMED\n");
    broken.number = 5;
    to_client(2, &broken, "drop r code=MALFORMED\n");
}

static void no_history_without_the_extension(void **state)
{
    const struct yo_client_identity me = {.id = yo_span_of("me")};

    (void)state;
    yo_client_session_destroy(client);
    assert_int_equal(yo_client_session_create(&client, &fault.mem, &me, 0), YOMO_OK);
    yo_effects_clear(&effects);
    assert_int_equal(yo_client_session_tick(client, 2 * YO_SECOND, &effects), YOMO_OK);
    yo_effects_clear(&effects);
    assert_int_equal(yo_client_history(client, yo_span_of("r"), 5, 0, 0, &effects),
                     YOMO_ERR_STATE);
}

static void converse(struct fault *failing, void *user)
{
    const struct yo_client_identity me = {.id = yo_span_of("me")};
    const struct yo_message hello = {.op = YO_OP_HELLO, .session = 7, .protocol = 1};
    const struct yo_message ack = {.op = YO_OP_CHANNEL_JOIN,
                                   .channel = yo_span_of("r"),
                                   .peer = yo_span("", 0),
                                   .sequence = 50,
                                   .epoch = 9};
    const struct yo_message snapshot = {.op = YO_OP_SNAPSHOT,
                                        .channel = yo_span_of("r"),
                                        .sequence = 50,
                                        .members = yo_span_of("\x90")};
    const struct yo_span messages[] = {story_encode(&hello), story_encode(&ack),
                                       page(0, 0, 40u, 44u, 0u),
                                       story_encode(&snapshot), page(5, 0, 40u, 0u)};
    struct yo_client_session *session;
    struct yo_effects out;

    (void)user;
    if (yo_client_session_create(&session, &failing->mem, &me, 0) != YOMO_OK) {
        return;
    }
    yo_effects_init(&out, &failing->mem);
    for (size_t i = 0; i < 5; i++) {
        yo_effects_clear(&out);
        if (yo_client_session_recv(session, 2, messages[i], 0, &out) != YOMO_OK) {
            assert_true(failing->failed);
            break;
        }
        if (i == 0) {
            yo_effects_clear(&out);
            if (yo_client_join(session, yo_span_of("r"), YO_SPAN_NONE, NULL, 0, &out) !=
                YOMO_OK) {
                break;
            }
        }
        if (i == 3) {
            yo_effects_clear(&out);
            (void)yo_client_history(session, yo_span_of("r"), 5, 0, 0, &out);
        }
    }
    yo_client_session_destroy(session);
    yo_effects_finish(&out);
}

static void each_failing_allocation_is_survived(void **state)
{
    (void)state;
    assert_true(fault_each(converse, NULL) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_join_says_what_it_had),
        TEST(only_who_is_in_may_ask),
        TEST(a_question_has_a_number_and_a_room),
        TEST(what_was_said_comes_before_what_is_said),
        TEST(what_was_had_is_not_told_again),
        TEST(each_priority_goes_on_where_it_was),
        TEST(in_another_order_places_mean_nothing),
        TEST(a_position_outlives_a_late_hello),
        TEST(a_gap_is_told_in_its_turn),
        TEST(an_answer_is_handed_on_page_by_page),
        TEST(broken_pages_are_dropped),
        TEST(no_history_without_the_extension),
        TEST(each_failing_allocation_is_survived),
    };

    return cmocka_run_group_tests_name("session/past", tests, NULL, NULL);
}
