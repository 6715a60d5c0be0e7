/* SPDX-License-Identifier: MIT */
/* test_apps.c - what one application may have, over all workers, and that another does
 * not notice when it is at its limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <yomo/admin.h>

#include "rig.h"
#include "support/fault.h"

#define WS YOMO_TRANSPORT_WEBSOCKET
#define WT YOMO_TRANSPORT_WEBTRANSPORT

#define KEYS "keys", "loud=k1,quiet=k2"

/* --- the table -------------------------------------------------------------------- */

/* Names and values of options follow, then NULL. */
static int read_rules(struct yo_app_rules **rules, bool closed, struct yo_buf *why, ...)
{
    yomo_options *options;
    const char *name;
    va_list args;
    int rv;

    assert_int_equal(yomo_options_create(&options, YOMO_SCOPE_SERVER), YOMO_OK);
    va_start(args, why);
    while ((name = va_arg(args, const char *)) != NULL) {
        if (yomo_options_set(options, name, va_arg(args, const char *)) != YOMO_OK) {
            fail_msg("%s", yomo_options_error(options));
        }
    }
    va_end(args);
    rv = yo_app_rules_read(rules, &yo_mem_libc, options, closed, "default", why);
    yomo_options_free(options);
    return rv;
}

static void rule(struct yo_apps *apps, const char *limits)
{
    struct yo_app_rules *rules;
    struct yo_buf why;

    yo_buf_init(&why, &yo_mem_libc);
    assert_int_equal(read_rules(&rules, false, &why, "app-connections-max", "2",
                                "app-rooms-max", "1", "app-limits",
                                limits ? limits : "x:rooms=1", NULL),
                     YOMO_OK);
    yo_buf_finish(&why);
    yo_apps_rule(apps, rules);
}

static int more(struct yo_apps *apps, const char *name, enum yo_app_limit what,
                struct yo_app **out)
{
    return yo_apps_more(apps, yo_span_of(name), what, out);
}

static void each_has_the_limits_of_all_or_its_own(void **unused)
{
    struct yo_apps *apps;
    struct yo_app *a, *same, *b[3], *room;

    (void)unused;
    assert_int_equal(yo_apps_create(&apps, &yo_mem_libc), YOMO_OK);
    rule(apps, "b:connections=1,a:b:connections=0,b:connections=3,b:messages=5");
    assert_int_equal(more(apps, "a", YO_APP_CONNECTIONS, &a), YOMO_OK);
    assert_int_equal(more(apps, "a", YO_APP_CONNECTIONS, &same), YOMO_OK);
    assert_ptr_equal(a, same);
    assert_int_equal(more(apps, "a", YO_APP_CONNECTIONS, &same), YOMO_ERR_FULL);
    assert_int_equal(a->refused[YO_APP_CONNECTIONS], 1);
    assert_int_equal(more(apps, "a", YO_APP_ROOMS, &room), YOMO_OK); /* apart from it */
    assert_int_equal(more(apps, "a", YO_APP_ROOMS, &same), YOMO_ERR_FULL);
    for (int i = 0; i < 3; i++) { /* the last word counts */
        assert_int_equal(more(apps, "b", YO_APP_CONNECTIONS, &b[i]), YOMO_OK);
    }
    assert_int_equal(more(apps, "b", YO_APP_CONNECTIONS, &same), YOMO_ERR_FULL);
    assert_int_equal(b[0]->rates.messages.per_second, 5);
    assert_int_equal(a->rates.messages.per_second, 0);
    /* Other rules count for who is there: nobody is put out. */
    rule(apps, "b:connections=1");
    assert_int_equal(b[0]->most[YO_APP_CONNECTIONS], 1);
    assert_int_equal(b[0]->rates.messages.per_second, 0);
    yo_apps_less(apps, b[0], YO_APP_CONNECTIONS);
    assert_int_equal(more(apps, "b", YO_APP_CONNECTIONS, &same), YOMO_ERR_FULL);
    yo_apps_less(apps, a, YO_APP_CONNECTIONS);
    yo_apps_unref(apps, a);
    assert_int_equal(more(apps, "a", YO_APP_CONNECTIONS, &a), YOMO_OK);
    yo_apps_unref(apps, a);
    yo_apps_unref(apps, a);
    yo_apps_unref(apps, room);
    for (int i = 0; i < 3; i++) {
        yo_apps_unref(apps, b[i]);
    }
    yo_apps_free(apps);
    yo_apps_free(NULL);
}

static void count(void *user, const struct yo_app *app)
{
    (void)app;
    ++*(size_t *)user;
}

/* What is used up is not forgotten by leaving, and those who left are not kept for
 * ever.
 */
static void who_has_nothing_is_remembered_for_a_while(void **unused)
{
    struct yo_apps *apps;
    struct yo_app *app, *again;
    size_t known = 0;
    char name[16];

    (void)unused;
    assert_int_equal(yo_apps_create(&apps, &yo_mem_libc), YOMO_OK);
    rule(apps, "a:messages=1");
    assert_int_equal(more(apps, "a", YO_APP_CONNECTIONS, &app), YOMO_OK);
    assert_true(yo_allowance_take(&app->rates.messages, 1, 100));
    yo_apps_less(apps, app, YO_APP_CONNECTIONS);
    yo_apps_unref(apps, app);
    assert_int_equal(more(apps, "a", YO_APP_CONNECTIONS, &again), YOMO_OK);
    assert_false(yo_allowance_take(&again->rates.messages, 1, 101));
    for (unsigned i = 0; i < YO_APPS_IDLE_MAX + 100; i++) {
        snprintf(name, sizeof(name), "app %u", i);
        assert_int_equal(more(apps, name, YO_APP_ROOMS, &app), YOMO_OK);
        yo_apps_less(apps, app, YO_APP_ROOMS);
        yo_apps_unref(apps, app);
    }
    yo_apps_each(apps, count, &known);
    assert_int_equal(known, YO_APPS_IDLE_MAX + 1); /* `again` has a connection */
    yo_apps_less(apps, again, YO_APP_CONNECTIONS);
    yo_apps_unref(apps, again);
    yo_apps_free(apps);
}

static void a_limit_of_nobody_is_a_mistake(void **unused)
{
    struct yo_app_rules *rules;
    struct yo_buf why;

    (void)unused;
    yo_buf_init(&why, &yo_mem_libc);
    assert_int_equal(
        read_rules(&rules, true, &why, "keys", "a=k", "app-limits", "b:rooms=1", NULL),
        YOMO_ERR_OPTION);
    (void)yo_buf_append_byte(&why, 0);
    assert_non_null(strstr((char *)why.data, "\"b\""));
    yo_buf_clear(&why);
    assert_int_equal(read_rules(&rules, true, &why, "app-limits", "a:rooms=1", NULL),
                     YOMO_ERR_OPTION);
    yo_buf_clear(&why);
    assert_int_equal(
        read_rules(&rules, true, &why, "keys", "a=k", "app-limits", "a:rooms=1", NULL),
        YOMO_OK);
    yo_app_rules_free(rules);
    assert_int_equal(
        read_rules(&rules, true, &why, "app-limits", "default:bytes=64k", NULL),
        YOMO_OK);
    yo_app_rules_free(rules);
    yo_buf_finish(&why);
}

static void a_word_is_read_when_it_is_set(void **unused)
{
    static const char *const wrong[] = {
        "a",        "a:rooms",    "a=1",         ":rooms=1",   "a:rooms=", "a:rooms=-1",
        "a:room=1", "a:rooms=1x", "a:rooms=17m", "a:bytes=1t", "a:ROOMS=1"};
    yomo_options *options;

    (void)unused;
    assert_int_equal(yomo_options_create(&options, YOMO_SCOPE_SERVER), YOMO_OK);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(yomo_options_set(options, "app-limits", wrong[i]),
                         YOMO_ERR_OPTION);
    }
    assert_int_equal(
        yomo_options_set(options, "app-limits", "a:b:rooms=1k, c=d:bytes=2g"), YOMO_OK);
    yomo_options_free(options);
}

static void ask_for_one(struct fault *fault, void *user)
{
    struct yo_apps *apps;
    struct yo_app *app;

    (void)user;
    if (yo_apps_create(&apps, &fault->mem) != YOMO_OK) {
        return;
    }
    if (more(apps, "a", YO_APP_ROOMS, &app) == YOMO_OK) {
        yo_apps_less(apps, app, YO_APP_ROOMS);
        yo_apps_unref(apps, app);
    }
    yo_apps_free(apps);
}

static void no_memory_changes_nothing(void **unused)
{
    (void)unused;
    assert_true(fault_each(ask_for_one, NULL) > 2);
}

/* --- a server ----------------------------------------------------------------------
 */

static uint32_t turn; /* over all workers */

static struct client *member(struct rig *rig, enum yomo_transport_kind kind,
                             const char *query)
{
    struct client *client = rig_connect(rig, turn++ % rig->workers, kind, query);

    client_join(client, "r", NULL);
    client_forget(client);
    return client;
}

static size_t count_data(struct client *client)
{
    size_t sum = 0;
    struct heard *heard;

    while ((heard = client_next(client)) != NULL) {
        sum += heard->message.op == YO_OP_DATA;
    }
    return sum;
}

static const char *const dialects[] = {"publickey=k1&yomo=1", "publickey=k1"};

static void connections_are_counted_over_all_workers(void **unused)
{
    (void)unused;
    for (uint32_t workers = 1; workers <= 2; workers++) {
        struct rig rig;
        struct client *loud[3], *late;

        rig_open(&rig, workers, NULL, KEYS, "app-connections-max", "3", "app-limits",
                 "quiet:connections=0", NULL);
        for (int i = 0; i < 3; i++) {
            loud[i] = member(&rig, i % 2 ? WT : WS, dialects[i % 2]);
        }
        for (uint32_t i = 0; i < 4; i++) {
            late = rig_knock(&rig, i % workers, i % 2 ? WT : WS, "/v1", dialects[i / 2],
                             NULL);
            assert_true(late->closing);
            assert_int_equal(late->why.code, YO_CODE_TRY_LATER);
            assert_int_equal(late->why.kind, YO_CLOSE_RETRY);
            assert_non_null(strstr(late->text, "app-connections-max"));
            assert_int_equal(rig_connect(&rig, i % workers, WS, "publickey=k2")->status,
                             200);
        }
        assert_int_equal(rig_count(&rig, refused_app), 4);
        assert_int_equal(rig_count(&rig, refused_full), 0);
        assert_non_null(strstr(rig.log, "app-connections-max"));
        client_close(loud[1]);
        member(&rig, WT, "publickey=k1");
        rig_close(&rig);
    }
}

/* One whose seat is kept has no connection any more. */
static void a_broken_connection_is_none(void **unused)
{
    struct rig rig;
    struct client *a;

    (void)unused;
    rig_open(&rig, 2, NULL, KEYS, "app-connections-max", "1", NULL);
    a = member(&rig, WS, "publickey=k1&yomo=1");
    client_break(a);
    assert_int_equal(rig_count(&rig, parked), 1);
    member(&rig, WS, "publickey=k1&yomo=1");
    rig_close(&rig);
}

static void rooms_are_counted_over_all_workers(void **unused)
{
    (void)unused;
    for (uint32_t workers = 1; workers <= 2; workers++) {
        struct rig rig;
        struct client *loud, *quiet, *page;
        struct heard *heard;
        char name[8];

        rig_open(&rig, workers, NULL, KEYS, "app-limits", "loud:rooms=3", NULL);
        loud = rig_connect(&rig, 0, WS, "publickey=k1&yomo=1");
        quiet = rig_connect(&rig, workers - 1, WS, "publickey=k2&yomo=1");
        for (int i = 0; i < 6; i++) { /* homes are chosen by their names */
            snprintf(name, sizeof(name), "r%d", i);
            client_forget(loud);
            client_join(loud, name, NULL);
            if (i < 3) {
                expect_op(loud, YO_OP_CHANNEL_JOIN);
            } else {
                heard = expect_op(loud, YO_OP_ERROR);
                assert_int_equal(heard->message.code, YOMO_ERR_FULL);
                assert_non_null(memmem(heard->message.text.data,
                                       heard->message.text.size, "app-rooms-max", 13));
            }
            client_forget(quiet);
            client_join(quiet, name, NULL);
            expect_op(quiet, YO_OP_CHANNEL_JOIN);
        }
        assert_int_equal(rig_count(&rig, joins_app_full), 3);
        /* Somebody else in a room that is there is no further room. */
        page = rig_connect(&rig, workers - 1, WT, "publickey=k1");
        client_join(page, "r0", NULL);
        expect_op(page, YO_OP_CHANNEL_JOIN);
        client_leave(loud, "r0");
        client_forget(loud);
        client_join(loud, "r3", NULL);
        expect_op(loud, YO_OP_ERROR);
        /* One that nobody is in does not count, though it is kept for a while. */
        client_leave(page, "r0");
        client_forget(loud);
        client_join(loud, "r3", NULL);
        expect_op(loud, YO_OP_CHANNEL_JOIN);
        client_forget(loud);
        client_join(loud, "r0", NULL);
        expect_op(loud, YO_OP_ERROR);
        client_leave(loud, "r1");
        client_forget(loud);
        client_join(loud, "r0", NULL);
        expect_op(loud, YO_OP_CHANNEL_JOIN);
        rig_close(&rig);
    }
}

/* `limit` is for the whole application, whoever its members are and wherever; members
 * of another one miss nothing, and nobody loses his connection or seat. */
static void one_is_over_its_rate(const char *limit, const char *json, uint32_t workers,
                                 size_t offset)
{
    struct rig rig;
    struct client *loud[2], *quiet[2];
    size_t heard;

    rig_open(&rig, workers, NULL, KEYS, "app-limits", limit, "message-rate", "0", NULL);
    loud[0] = member(&rig, WS, "publickey=k1&yomo=1&id=a");
    loud[1] = member(&rig, WS, "publickey=k1&id=b");
    quiet[0] = member(&rig, WS, "publickey=k2&yomo=1&id=a");
    quiet[1] = member(&rig, WT, "publickey=k2&id=b");
    for (int i = 0; i < 2; i++) {
        client_forget(loud[i]);
        client_forget(quiet[i]);
    }
    for (int i = 0; i < 60; i++) {
        client_data(loud[i % 2], "r", "e", json, YOMO_RELIABLE);
        client_data(quiet[i % 2], "r", "e", json, YOMO_RELIABLE);
    }
    heard = count_data(loud[0]) + count_data(loud[1]);
    assert_true(heard >= 10 && heard < 40); /* it goes by the clock of the machine */
    assert_int_equal(rig_sum(&rig, offset), 60 - heard);
    assert_int_equal(rig_count(&rig, dropped_rate), 0);
    assert_int_equal(count_data(quiet[0]) + count_data(quiet[1]), 60);
    /* What keeps a connection is not refused, and a question is answered. */
    client_send(loud[0], &(struct yo_message){.op = YO_OP_PING, .timestamp = 1});
    expect_op(loud[0], YO_OP_ACK); /* how many were read */
    expect_op(loud[0], YO_OP_PONG);
    client_leave(loud[1], "r");
    client_join(loud[1], "r", NULL);
    expect_op(loud[1], YO_OP_CHANNEL_JOIN);
    for (int i = 0; i < 2; i++) {
        assert_false(loud[i]->closing || quiet[i]->closing);
    }
    rig_close(&rig);
}

static void its_messages_have_a_rate(void **unused)
{
    (void)unused;
    one_is_over_its_rate("loud:messages=10", "1", 1,
                         offsetof(struct yo_metrics, dropped_app_messages));
    one_is_over_its_rate("loud:messages=10", "1", 2,
                         offsetof(struct yo_metrics, dropped_app_messages));
}

static void and_so_have_its_bytes(void **unused)
{
    char json[420] = "\"";

    (void)unused;
    memset(json + 1, 'x', 400);
    strcpy(json + 401, "\"");
    one_is_over_its_rate("loud:bytes=5000", json, 1,
                         offsetof(struct yo_metrics, dropped_app_bytes));
    one_is_over_its_rate("loud:bytes=5000", json, 2,
                         offsetof(struct yo_metrics, dropped_app_bytes));
}

static void who_asks_is_told_which_limit(void **unused)
{
    static const uint8_t payload[] = {0x82, 0xa5, 'e', 'v', 'e', 'n', 't',  0xa1,
                                      'e',  0xa4, 'd', 'a', 't', 'a', 0xa1, '1'};
    struct yo_message message = {.op = YO_OP_DATA,
                                 .channel = yo_span_of("r"),
                                 .payload = yo_span(payload, sizeof(payload)),
                                 .delivery = YOMO_RELIABLE};
    struct rig rig;
    struct client *a;
    struct heard *heard;

    (void)unused;
    rig_open(&rig, 1, NULL, "app-message-rate", "1", NULL);
    a = member(&rig, WS, "yomo=1");
    client_forget(a);
    message.number = 1;
    client_send(a, &message);
    expect_op(a, YO_OP_ACK);
    message.number = 2;
    client_send(a, &message);
    heard = expect_op(a, YO_OP_ERROR);
    assert_int_equal(heard->message.code, YOMO_ERR_RATE);
    assert_int_equal(heard->message.number, 2);
    assert_non_null(memmem(heard->message.text.data, heard->message.text.size,
                           "app-message-rate", 16));
    rig_close(&rig);
}

static void on_page(void *user, int32_t error, const yomo_listing *page)
{
    (void)user;
    assert_int_equal(error, YOMO_OK);
    assert_int_equal(yomo_listing_count(page), 1);
    assert_string_equal(yomo_listing_app(page, 0), "loud");
    assert_int_equal(yomo_listing_app_number(page, 0, YOMO_APP_CONNECTIONS), 1);
    assert_int_equal(yomo_listing_app_number(page, 0, YOMO_APP_CONNECTIONS_MAX), 1);
    assert_int_equal(yomo_listing_app_number(page, 0, YOMO_APP_CONNECTIONS_REFUSED), 1);
    assert_int_equal(yomo_listing_app_number(page, 0, YOMO_APP_ROOMS), 1);
    assert_int_equal(yomo_listing_app_number(page, 0, YOMO_APP_BYTE_RATE), 1 << 20);
    assert_int_equal(yomo_listing_app_number(page, 0, -1), 0);
    assert_int_equal(yomo_listing_app_number(page, 0, 10), 0);
    assert_int_equal(yomo_listing_app_number(page, 1, 0), 0);
    ++*(int *)user;
}

static void they_are_listed(void **unused)
{
    struct rig rig;
    int pages = 0;

    (void)unused;
    rig_open(&rig, 2, NULL, KEYS, "app-connections-max", "1", "app-byte-rate", "1m",
             NULL);
    member(&rig, WS, "publickey=k1&yomo=1");
    member(&rig, WT, "publickey=k2");
    rig_knock(&rig, 0, WS, "/v1", "publickey=k1", NULL);
    assert_int_equal(yomo_server_list_apps(rig.server, "lo", NULL, 0, on_page, &pages),
                     YOMO_ERR_STATE);
    rig.server->state = YO_SERVER_SERVING;
    assert_int_equal(yomo_server_list_apps(rig.server, "lo", NULL, 0, on_page, &pages),
                     YOMO_OK);
    assert_int_equal(yomo_server_list_apps(rig.server, NULL, NULL, 1, on_page, &pages),
                     YOMO_OK); /* the first one */
    assert_int_equal(yomo_server_list_apps(rig.server, NULL, "x", 0, on_page, &pages),
                     YOMO_ERR_INVALID);
    assert_int_equal(pages, 2);
    rig.server->state = YO_SERVER_NEW;
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_has_the_limits_of_all_or_its_own),
        cmocka_unit_test(who_has_nothing_is_remembered_for_a_while),
        cmocka_unit_test(a_limit_of_nobody_is_a_mistake),
        cmocka_unit_test(a_word_is_read_when_it_is_set),
        cmocka_unit_test(no_memory_changes_nothing),
        cmocka_unit_test(connections_are_counted_over_all_workers),
        cmocka_unit_test(a_broken_connection_is_none),
        cmocka_unit_test(rooms_are_counted_over_all_workers),
        cmocka_unit_test(its_messages_have_a_rate),
        cmocka_unit_test(and_so_have_its_bytes),
        cmocka_unit_test(who_asks_is_told_which_limit),
        cmocka_unit_test(they_are_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
