/* SPDX-License-Identifier: MIT */
/* test_end.c - a server that goes away: clients are told, then closed, then it is over.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rig.h"

#define WS YOMO_TRANSPORT_WEBSOCKET
#define WT YOMO_TRANSPORT_WEBTRANSPORT

static void drain_all(struct rig *rig, uint64_t grace_ms)
{
    for (uint32_t i = 0; i < rig->workers; i++) {
        struct yo_worker *worker = rig_worker(rig, i);
        yo_worker_drain(worker, grace_ms, yo_loop_now(worker->loop));
    }
    rig_settle(rig);
}

static bool ended(struct rig *rig)
{
    for (uint32_t i = 0; i < rig->workers; i++) {
        if (rig_worker(rig, i)->loop) {
            return false;
        }
    }
    return true;
}

/* Close what is left, which must be nothing, and free. */
static void finish(struct rig *rig)
{
    uint64_t end = yo_wall_ms() + 10000;

    while (!ended(rig) && yo_wall_ms() < end) {
        rig_settle(rig);
    }
    assert_true(ended(rig));
    rig_free(rig);
}

static void clients_are_told_and_those_who_stay_are_closed(void **unused)
{
    struct rig rig;
    struct client *a, *page, *b;
    uint64_t began = yo_wall_ms();

    (void)unused;
    rig_open(&rig, 2, NULL, NULL);
    a = rig_connect(&rig, 0, WS, "yomo=1&id=a");
    b = rig_connect(&rig, 1, WT, "yomo=1&id=b");
    page = rig_connect(&rig, 1, WS, "id=page");
    client_forget(a);
    client_forget(b);
    drain_all(&rig, 5000);
    expect_op(a, YO_OP_GOAWAY);
    expect_op(b, YO_OP_GOAWAY);
    expect_nothing(page);
    assert_false(a->closing || b->closing || page->closing);
    assert_int_equal(rig_knock(&rig, 0, WS, "/v1", "", NULL)->status, 503);
    client_close(b); /* it understood */
    finish(&rig);
    assert_true(yo_wall_ms() - began < 4000);
}

#define MANY 200

static size_t count_closing(struct client **clients, size_t count)
{
    size_t closing = 0;

    for (size_t i = 0; i < count; i++) {
        closing += clients[i]->closing;
    }
    return closing;
}

/* Not all knock at another door at once, and nobody is closed before its moment: each has
 * its time to leave, and those who do not use it are closed one after the other. */
static void each_has_its_time_and_is_closed_after_it(void **unused)
{
    struct rig rig;
    struct client *clients[MANY];
    uint64_t told[MANY], began, last = 0, took = 0, end;

    (void)unused;
    rig_open(&rig, 1, NULL, "drain-url", "https://b.example", NULL);
    for (size_t i = 0; i < MANY; i++) {
        char query[32];
        snprintf(query, sizeof(query), "yomo=1&id=c%zu", i);
        clients[i] = rig_connect(&rig, 0, i % 2 ? WS : WT, query);
        client_forget(clients[i]);
    }
    began = yo_wall_ms();
    end = began + 10000;
    drain_all(&rig, 2000);
    for (size_t i = 0; i < MANY; i++) {
        struct heard *goaway = expect_op(clients[i], YO_OP_GOAWAY);
        told[i] = goaway->message.timestamp;
        assert_true(i == 0 || told[i] > told[i - 1]);
        last = told[i];
    }
    assert_in_range(last, 300, 1000); /* within half of the time */
    while (count_closing(clients, MANY) < MANY && yo_wall_ms() < end) {
        rig_settle(&rig);
        took = yo_wall_ms() - began;
        for (size_t i = 0; i < MANY; i++) {
            assert_true(!clients[i]->closing || took + 1 >= told[i] + 1000);
        }
    }
    assert_true(took >= last + 1000 - 1);
    finish(&rig);
}

/* One that is to come back here is not told to come before this server can have ended. */
static void who_comes_back_is_given_time(void **unused)
{
    struct rig rig;
    struct client *a;

    (void)unused;
    rig_open(&rig, 1, NULL, NULL);
    a = rig_connect(&rig, 0, WS, "yomo=1");
    client_forget(a);
    drain_all(&rig, 8000);
    assert_int_equal(expect_op(a, YO_OP_GOAWAY)->message.timestamp, 500);
    client_close(a);
    finish(&rig);
}

static void closing_says_come_back(void **unused)
{
    struct rig rig;
    struct client *a;

    (void)unused;
    rig_open(&rig, 1, NULL, NULL);
    a = rig_connect(&rig, 0, WT, "id=a");
    yo_worker_close(rig_worker(&rig, 0), yo_loop_now(rig_worker(&rig, 0)->loop));
    assert_true(a->closing);
    assert_int_equal(a->why.code, YO_CODE_GOING_AWAY);
    assert_int_equal(a->why.kind, YO_CLOSE_RETRY);
    finish(&rig);
}

static void a_drain_without_clients_ends_at_once(void **unused)
{
    struct rig rig;

    (void)unused;
    rig_open(&rig, 2, NULL, NULL);
    drain_all(&rig, 3600000);
    finish(&rig);
}

static void a_close_during_a_drain_counts(void **unused)
{
    struct rig rig;

    (void)unused;
    rig_open(&rig, 1, NULL, NULL);
    rig_connect(&rig, 0, WS, "yomo=1");
    drain_all(&rig, 3600000);
    yo_worker_close(rig_worker(&rig, 0), yo_loop_now(rig_worker(&rig, 0)->loop));
    finish(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_are_told_and_those_who_stay_are_closed),
        cmocka_unit_test(each_has_its_time_and_is_closed_after_it),
        cmocka_unit_test(who_comes_back_is_given_time),
        cmocka_unit_test(closing_says_come_back),
        cmocka_unit_test(a_drain_without_clients_ends_at_once),
        cmocka_unit_test(a_close_during_a_drain_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
