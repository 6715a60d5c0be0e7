/* SPDX-License-Identifier: MIT */
/* test_history.c - what was said in a room before, as those hear it who come later, and
 * those who ask. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rig.h"
#include "session/told.h"
#include "support/bytes.h"
#include "wire/decode.h"

#define WS YOMO_TRANSPORT_WEBSOCKET
#define WT YOMO_TRANSPORT_WEBTRANSPORT

static struct client *native(struct rig *rig, uint32_t worker,
                             enum yomo_transport_kind kind, const char *id)
{
    char query[64];
    struct client *client;

    snprintf(query, sizeof(query), "yomo=1&id=%s", id);
    client = rig_connect(rig, worker, kind, query);
    expect_op(client, YO_OP_HELLO);
    return client;
}

struct order {
    uint64_t place, epoch;
};

/* In the room, with its ACK and its snapshot read. */
static struct order come(struct client *client, uint64_t since, uint64_t epoch,
                         uint64_t hist)
{
    const struct yo_message join = {.op = YO_OP_CHANNEL_JOIN,
                                    .channel = yo_span_of("r"),
                                    .since = since,
                                    .epoch = epoch,
                                    .hist = hist};
    struct heard *ack;
    struct order order;

    client_send(client, &join);
    ack = expect_op(client, YO_OP_CHANNEL_JOIN);
    order = (struct order){ack->message.sequence, ack->message.epoch};
    assert_true(order.place > 0 && order.epoch > 0);
    expect_op(client, YO_OP_SNAPSHOT);
    return order;
}

static void say(struct client *client, int first, int last)
{
    for (int i = first; i <= last; i++) {
        char json[16];
        snprintf(json, sizeof(json), "%d", i);
        client_data(client, "r", "e", json, YOMO_RELIABLE);
    }
}

/* The numbers in a page, as "3 4 5"; the last place. */
static const char *numbers(const struct heard *heard, uint64_t *place)
{
    static char text[8192];
    struct yo_mp_reader reader;
    struct yo_wire_past past;
    struct yo_content content;
    struct yo_span event;
    uint32_t count;
    size_t used = 0;

    text[0] = 0;
    assert_int_equal(yo_members_init(&reader, heard->message.members, &count), YOMO_OK);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(yo_past_next(&reader, &past, &event), YOMO_OK);
        assert_int_equal(yo_content_read(past.payload, &content), YOMO_OK);
        assert_true(past.at_ms > 0 && past.session != 0);
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%.*s",
                                 used ? " " : "", (int)content.bytes.size,
                                 (const char *)content.bytes.data);
        if (place) {
            *place = past.sequence;
        }
    }
    return text;
}

static void hears(struct client *client, const char *expected)
{
    struct heard *page = expect_op(client, YO_OP_HISTORY);

    assert_true(page->lane >= YO_LANE_ROOMS);
    assert_int_equal(page->message.number, 0);
    assert_string_equal(numbers(page, NULL), expected);
}

static void expect_gap(struct client *client, uint64_t from, uint64_t last)
{
    struct heard *gap = expect_op(client, YO_OP_GAP);

    assert_true(gap->lane >= YO_LANE_ROOMS);
    assert_int_equal(gap->message.from, from);
    assert_int_equal(gap->message.sequence, last);
}

static void ask(struct client *client, uint64_t number, uint64_t before, uint64_t max)
{
    const struct yo_message question = {.op = YO_OP_HISTORY,
                                        .channel = yo_span_of("r"),
                                        .number = number,
                                        .sequence = before,
                                        .max = max};
    client_send(client, &question);
}

static void a_joiner_hears_the_last_ones(void **unused)
{
    struct rig rig;
    struct client *a, *b, *c;

    (void)unused;
    rig_open(&rig, 2, NULL, "history-messages", "4", NULL);
    a = native(&rig, 0, WS, "a");
    come(a, 0, 0, 5);
    expect_nothing(a);
    say(a, 1, 7);
    b = native(&rig, 1, WT, "b");
    come(b, 0, 0, 3);
    hears(b, "5 6 7");
    c = native(&rig, 1, WS, "c");
    come(c, 0, 0, 100);
    hears(c, "4 5 6 7");
    say(a, 8, 8);
    expect_op(c, YO_OP_DATA);
    expect_nothing(c);
    rig_close(&rig);
}

static void nothing_is_told_where_nothing_is_kept(void **unused)
{
    struct rig rig;
    struct client *a, *b;
    struct order order;
    struct heard *answer;

    (void)unused;
    rig_open(&rig, 1, NULL, NULL);
    a = native(&rig, 0, WS, "a");
    order = come(a, 0, 0, 0);
    say(a, 1, 3);
    b = native(&rig, 0, WS, "b");
    /* What is kept for those who resume is not for everybody who names a place. */
    come(b, order.place, order.epoch, 0);
    expect_gap(b, order.place + 1, order.place + 3);
    expect_nothing(b);
    ask(b, 9, 0, 0);
    answer = expect_op(b, YO_OP_HISTORY);
    assert_int_equal(answer->message.number, 9);
    assert_int_equal(answer->message.sequence, 0);
    assert_string_equal(numbers(answer, NULL), "");
    rig_close(&rig);
}

static void who_was_there_hears_what_came_since(void **unused)
{
    struct rig rig;
    struct client *a, *b;
    struct order order;

    (void)unused;
    rig_open(&rig, 2, NULL, "history-messages", "4", NULL);
    a = native(&rig, 0, WS, "a");
    order = come(a, 0, 0, 0);
    say(a, 1, 3);
    b = native(&rig, 1, WT, "b");
    come(b, order.place, order.epoch, 0);
    hears(b, "1 2 3");
    client_leave(b, "r");
    client_forget(b);
    come(b, order.place + 2, order.epoch, 0);
    hears(b, "3");
    client_leave(b, "r");
    say(a, 4, 6); /* 3 to 6 are left */
    client_forget(b);
    come(b, order.place + 1, order.epoch, 0);
    expect_gap(b, order.place + 2, order.place + 2);
    hears(b, "3 4 5 6");
    expect_nothing(b);
    rig_close(&rig);
}

static void another_order_is_another_order(void **unused)
{
    struct rig rig;
    struct client *a, *b;
    struct order order;

    (void)unused;
    rig_open(&rig, 1, NULL, "history-messages", "4", NULL);
    a = native(&rig, 0, WS, "a");
    order = come(a, 0, 0, 0);
    say(a, 1, 2);
    b = native(&rig, 0, WS, "b");
    come(b, 900, order.epoch ^ 1, 0);
    expect_gap(b, 0, order.place + 2);
    expect_nothing(b);
    client_leave(b, "r");
    client_forget(b);
    come(b, 900, order.epoch ^ 1, 1);
    expect_op(b, YO_OP_GAP);
    hears(b, "2");
    client_leave(b, "r");
    client_forget(b);
    come(b, 900, order.epoch, 1); /* a place that is not there yet */
    expect_nothing(b);
    rig_close(&rig);
}

static void one_may_page_back(void **unused)
{
    struct rig rig;
    struct client *a;
    struct heard *answer;
    uint64_t before = 0, last = 0;

    (void)unused;
    rig_open(&rig, 1, NULL, "history-messages", "100", NULL);
    a = native(&rig, 0, WT, "a");
    come(a, 0, 0, 0);
    say(a, 1, 7);
    ask(a, 1, 0, 3);
    answer = expect_op(a, YO_OP_HISTORY);
    assert_int_equal(answer->message.number, 1);
    assert_string_equal(numbers(answer, &last), "5 6 7");
    before = answer->message.sequence;
    assert_int_equal(before, last - 2);
    ask(a, 2, before, 3);
    answer = expect_op(a, YO_OP_HISTORY);
    assert_string_equal(numbers(answer, NULL), "2 3 4");
    before = answer->message.sequence;
    ask(a, 3, before, UINT64_MAX);
    answer = expect_op(a, YO_OP_HISTORY);
    assert_string_equal(numbers(answer, NULL), "1");
    assert_int_equal(answer->message.sequence, 0);
    ask(a, 4, 1, 3);
    answer = expect_op(a, YO_OP_HISTORY);
    assert_string_equal(numbers(answer, NULL), "");
    ask(a, 5, UINT64_MAX, 1);
    answer = expect_op(a, YO_OP_HISTORY);
    assert_string_equal(numbers(answer, NULL), "7");
    expect_nothing(a);
    rig_close(&rig);
}

static void an_answer_is_bounded(void **unused)
{
    static char big[30000];
    struct rig rig;
    struct client *a;
    struct heard *answer;
    size_t messages = 0, bytes = 0;
    uint64_t before;

    (void)unused;
    rig_open(&rig, 1, NULL, "history-messages", "5000", "history-memory", "16m",
             "message-burst", "10000", NULL);
    a = native(&rig, 0, WS, "a");
    come(a, 0, 0, 0);
    say(a, 1, 1500);
    ask(a, 1, 0, 100000);
    do {
        uint32_t count;
        struct yo_mp_reader reader;
        answer = expect_op(a, YO_OP_HISTORY);
        assert_int_equal(yo_members_init(&reader, answer->message.members, &count),
                         YOMO_OK);
        messages += count;
    } while (answer->message.more);
    assert_int_equal(messages, YO_HISTORY_ANSWER_MAX);
    assert_true(answer->message.sequence > 0);
    memset(big, '1', sizeof(big) - 1);
    for (int i = 0; i < 20; i++) {
        client_data(a, "r", "e", big, YOMO_RELIABLE);
    }
    ask(a, 2, 0, 1000);
    do {
        answer = expect_op(a, YO_OP_HISTORY);
        bytes += answer->message.members.size;
    } while (answer->message.more);
    assert_true(bytes <= YO_HISTORY_ANSWER_SIZE && bytes > YO_HISTORY_ANSWER_SIZE / 2);
    before = answer->message.sequence;
    ask(a, 3, before, 1);
    answer = expect_op(a, YO_OP_HISTORY);
    assert_int_equal(answer->message.sequence, before - 1);
    rig_close(&rig);
}

static void only_members_may_ask(void **unused)
{
    struct rig rig;
    struct client *a, *b;
    struct heard *error;

    (void)unused;
    rig_open(&rig, 1, NULL, "history-messages", "4", NULL);
    a = native(&rig, 0, WS, "a");
    come(a, 0, 0, 0);
    say(a, 1, 1);
    b = native(&rig, 0, WS, "b");
    ask(b, 3, 0, 0);
    error = expect_op(b, YO_OP_ERROR);
    assert_int_equal(error->message.number, 3);
    assert_int_equal(error->message.code, YOMO_ERR_NOT_FOUND);
    rig_close(&rig);
}

static void what_is_not_reliable_is_not_kept(void **unused)
{
    struct rig rig;
    struct client *a, *b;

    (void)unused;
    rig_open(&rig, 1, NULL, "history-messages", "4", NULL);
    a = native(&rig, 0, WS, "a");
    come(a, 0, 0, 0);
    client_data(a, "r", "e", "1", YOMO_UNRELIABLE);
    client_data(a, "r", "e", "2", YOMO_LATEST);
    client_data(a, "r", "e", "3", YOMO_RELIABLE);
    b = native(&rig, 0, WS, "b");
    come(b, 0, 0, 9);
    hears(b, "3");
    expect_nothing(b);
    rig_close(&rig);
}

static void presencejs_speaks_into_the_history_and_hears_none(void **unused)
{
    struct rig rig;
    struct client *page, *b;

    (void)unused;
    rig_open(&rig, 1, NULL, "history-messages", "4", NULL);
    page = rig_connect(&rig, 0, WS, "id=page");
    client_join(page, "r", "{\"id\":\"page\"}");
    expect_op(page, YO_OP_CHANNEL_JOIN);
    say(page, 1, 2);
    expect_nothing(page);
    b = native(&rig, 0, WS, "b");
    come(b, 0, 0, 9);
    hears(b, "1 2");
    rig_close(&rig);
}

static void an_empty_room_keeps_its_order_for_a_while(void **unused)
{
    struct rig rig;
    struct client *a;
    struct order first, second;
    struct yo_home *home;

    (void)unused;
    rig_open(&rig, 1, NULL, "history-messages", "4", "room-linger", "30s", NULL);
    home = &rig_worker(&rig, 0)->home;
    a = native(&rig, 0, WS, "a");
    first = come(a, 0, 0, 0);
    say(a, 1, 2);
    client_leave(a, "r");
    client_forget(a);
    assert_int_equal(rig_count(&rig, rooms), 0);
    assert_int_equal(rig_count(&rig, rooms_lingering), 1);
    yo_home_tick(home, home->now + 29 * YO_SECOND);
    second = come(a, first.place, first.epoch, 0);
    assert_int_equal(second.epoch, first.epoch);
    assert_true(second.place >= first.place + 2);
    hears(a, "1 2");
    assert_int_equal(rig_count(&rig, rooms), 1);
    assert_int_equal(rig_count(&rig, rooms_lingering), 0);
    client_leave(a, "r");
    client_forget(a);
    yo_home_tick(home, home->now + 31 * YO_SECOND);
    assert_int_equal(rig_count(&rig, rooms_lingering), 0);
    second = come(a, first.place, first.epoch, 0);
    assert_int_not_equal(second.epoch, first.epoch);
    expect_gap(a, 0, 1);
    rig_close(&rig);
}

static void the_one_empty_longest_gives_way(void **unused)
{
    struct rig rig;
    struct client *a;
    uint64_t epochs[6];
    char name[8];

    (void)unused;
    rig_open(&rig, 1, NULL, "rooms-total-max", "3", NULL); /* 4 at one worker */
    a = native(&rig, 0, WS, "a");
    for (int i = 0; i < 6; i++) {
        snprintf(name, sizeof(name), "r%d", i);
        client_join(a, name, NULL);
        epochs[i] = expect_op(a, YO_OP_CHANNEL_JOIN)->message.epoch;
        client_leave(a, name);
        client_forget(a);
    }
    assert_int_equal(rig_count(&rig, rooms_lingering), 4);
    for (int i = 5; i >= 2; i--) {
        snprintf(name, sizeof(name), "r%d", i);
        client_join(a, name, NULL);
        assert_int_equal(expect_op(a, YO_OP_CHANNEL_JOIN)->message.epoch, epochs[i]);
        client_forget(a);
    }
    client_join(a, "r0", NULL); /* nobody left to give way */
    assert_int_equal(expect_op(a, YO_OP_ERROR)->message.code, YOMO_ERR_FULL);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_joiner_hears_the_last_ones),
        cmocka_unit_test(nothing_is_told_where_nothing_is_kept),
        cmocka_unit_test(who_was_there_hears_what_came_since),
        cmocka_unit_test(another_order_is_another_order),
        cmocka_unit_test(one_may_page_back),
        cmocka_unit_test(an_answer_is_bounded),
        cmocka_unit_test(only_members_may_ask),
        cmocka_unit_test(what_is_not_reliable_is_not_kept),
        cmocka_unit_test(presencejs_speaks_into_the_history_and_hears_none),
        cmocka_unit_test(an_empty_room_keeps_its_order_for_a_while),
        cmocka_unit_test(the_one_empty_longest_gives_way),
    };

    return cmocka_run_group_tests_name("server/history", tests, NULL, NULL);
}
