/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/bytes.h"
#include "support/fault.h"
#include "support/until.h"
#include "transport/custom.h"

/* One carrier between a host that writes down what it is asked, and an owner that
 * writes down what it is told. */
struct pair {
    struct yo_loop *loop;
    struct yo_mailbox *box;
    yomo_carrier *carrier;
    struct yo_conn *conn;
    /* the host */
    int32_t answer;
    char sent[64];
    unsigned closes;
    uint32_t close_code;
    bool close_back; /* report the end from inside `close` */
    /* the owner */
    char got[128];
    unsigned opened, writable, acked, closed, released;
    struct yo_close why;
    bool end_in_message;
};

static int32_t host_send(void *connection, const void *data, size_t size,
                         int32_t reliable)
{
    struct pair *pair = connection;

    if (pair->answer == YOMO_OK) {
        snprintf(pair->sent + strlen(pair->sent),
                 sizeof(pair->sent) - strlen(pair->sent), "%c%.*s;",
                 reliable ? 'r' : 'u', (int)size, (const char *)data);
    }
    return pair->answer;
}

static void host_close(void *connection, uint32_t code, const char *reason)
{
    struct pair *pair = connection;

    assert_non_null(reason);
    pair->closes++;
    pair->close_code = code;
    if (pair->close_back) {
        yomo_carrier_closed(pair->carrier, code, reason);
    }
}

static void on_open(void *user, struct yo_conn *conn, yo_time now)
{
    (void)conn;
    (void)now;
    ((struct pair *)user)->opened++;
}

static void on_message(void *user, struct yo_conn *conn, uint32_t lane,
                       struct yo_span bytes, yo_time now)
{
    struct pair *pair = user;
    struct yo_close how = {.kind = YO_CLOSE_DONE};

    (void)now;
    snprintf(pair->got + strlen(pair->got), sizeof(pair->got) - strlen(pair->got),
             "%u%.*s;", lane, (int)bytes.size, (const char *)bytes.data);
    if (pair->end_in_message) {
        yo_conn_close(conn, &how);
    }
}

static void on_writable(void *user, struct yo_conn *conn, yo_time now)
{
    (void)conn;
    (void)now;
    ((struct pair *)user)->writable++;
}

static void on_fate(void *user, struct yo_conn *conn, uint64_t token, enum yo_fate fate,
                    yo_time now)
{
    (void)conn;
    (void)now;
    assert_true(token > 0);
    ((struct pair *)user)->acked += fate == YO_FATE_ACKED;
}

static void on_closed(void *user, struct yo_conn *conn, const struct yo_close *why,
                      yo_time now)
{
    struct pair *pair = user;

    (void)conn;
    (void)now;
    pair->closed++;
    pair->why = *why;
}

static void on_release(void *user)
{
    ((struct pair *)user)->released++;
}

static const struct yo_conn_events events = {.on_open = on_open,
                                             .on_message = on_message,
                                             .on_writable = on_writable,
                                             .on_fate = on_fate,
                                             .on_closed = on_closed};
static const yomo_transport transport = {
    .size = sizeof(transport), .send = host_send, .close = host_close};

static void pair_init(struct pair *pair, const struct yomo_mem *mem, bool opened)
{
    struct yo_carrier_options options = {.transport = &transport,
                                         .message_size_max = 32,
                                         .on_release = on_release,
                                         .release_user = pair};

    memset(pair, 0, sizeof(*pair));
    assert_int_equal(
        yo_loop_create(&pair->loop, &yo_mem_libc, NULL, &(struct yo_log){0}), YOMO_OK);
    assert_int_equal(yo_mailbox_open(&pair->box, pair->loop, NULL), YOMO_OK);
    assert_int_equal(yo_carrier_create(&pair->carrier, mem, pair->box, &options),
                     YOMO_OK);
    pair->conn =
        yo_carrier_open(pair->carrier, pair->loop, pair, opened, &events, pair);
}

static void pair_finish(struct pair *pair)
{
    yo_mailbox_close(pair->box);
    yo_mailbox_unref(pair->box);
    until_closed(pair->loop);
    assert_int_equal(pair->closes, 1);
    assert_int_equal(pair->closed, 1);
    assert_int_equal(pair->released, 1);
}

static void end_it(struct pair *pair)
{
    yomo_carrier_closed(pair->carrier, 1000, "done");
    UNTIL(pair->loop, pair->closed);
}

static void messages_go_both_ways(void **unused)
{
    struct pair pair;
    struct yo_blob *blob = yo_blob_create(&yo_mem_libc, yo_span_of("hi"));

    (void)unused;
    pair_init(&pair, &yo_mem_libc, false);
    assert_int_equal(yo_conn_send(pair.conn, YO_LANE_CONTROL, blob, 0),
                     YOMO_ERR_CLOSED);
    yomo_carrier_opened(pair.carrier);
    yomo_carrier_message(pair.carrier, "a", 1, 1);
    yomo_carrier_message(pair.carrier, "b", 1, 0);
    assert_string_equal(pair.got, ""); /* from the loop only */
    UNTIL(pair.loop, strlen(pair.got) == 6);
    assert_string_equal(pair.got, "1a;0b;");
    assert_int_equal(pair.opened, 1);
    assert_int_equal(yo_conn_send(pair.conn, YO_LANE_ROOMS + 3, blob, 0), YOMO_OK);
    assert_int_equal(yo_conn_send(pair.conn, YO_LANE_DATAGRAM, blob, 7), YOMO_OK);
    assert_string_equal(pair.sent, "rhi;uhi;");
    assert_int_equal(pair.acked, 0);
    UNTIL(pair.loop, pair.acked == 1);
    yo_blob_unref(blob);
    end_it(&pair);
    assert_true(pair.why.remote);
    assert_int_equal(pair.why.code, 1000);
    pair_finish(&pair);
}

static void no_room_now_is_followed_by_room(void **unused)
{
    struct pair pair;
    struct yo_blob *blob = yo_blob_create(&yo_mem_libc, yo_span_of("hi"));

    (void)unused;
    pair_init(&pair, &yo_mem_libc, true);
    pair.answer = YOMO_ERR_AGAIN;
    assert_int_equal(yo_conn_send(pair.conn, YO_LANE_CONTROL, blob, 0), YOMO_ERR_AGAIN);
    pair.answer = YOMO_OK;
    yomo_carrier_writable(pair.carrier);
    yomo_carrier_writable(pair.carrier);
    UNTIL(pair.loop, pair.writable > 0);
    yo_blob_unref(blob);
    end_it(&pair);
    assert_int_equal(pair.writable, 1);
    pair_finish(&pair);
}

static void a_host_that_fails_ends_the_connection(void **unused)
{
    struct pair pair;
    struct yo_blob *blob = yo_blob_create(&yo_mem_libc, yo_span_of("hi"));

    (void)unused;
    pair_init(&pair, &yo_mem_libc, true);
    pair.answer = YOMO_ERR_SYSTEM;
    pair.close_back = true;
    assert_int_equal(yo_conn_send(pair.conn, YO_LANE_CONTROL, blob, 0),
                     YOMO_ERR_CLOSED);
    assert_int_equal(pair.closed, 0);
    UNTIL(pair.loop, pair.closed);
    assert_int_equal(pair.why.kind, YO_CLOSE_RETRY);
    yo_blob_unref(blob);
    pair_finish(&pair);
}

static void a_message_over_the_limit_ends_the_connection(void **unused)
{
    struct pair pair;
    char big[33] = {0};
    struct yo_blob *blob = yo_blob_create(&yo_mem_libc, yo_span(big, sizeof(big)));

    (void)unused;
    pair_init(&pair, &yo_mem_libc, true);
    assert_int_equal(yo_conn_send(pair.conn, YO_LANE_CONTROL, blob, 0),
                     YOMO_ERR_TOO_BIG);
    yo_blob_unref(blob);
    pair.close_back = true;
    yomo_carrier_message(pair.carrier, big, sizeof(big), 1);
    UNTIL(pair.loop, pair.closed);
    assert_int_equal(pair.close_code, YO_CODE_TOO_BIG);
    pair_finish(&pair);
}

static void what_is_held_comes_in_order_and_ends_with_the_connection(void **unused)
{
    struct pair pair;

    (void)unused;
    pair_init(&pair, &yo_mem_libc, true);
    yo_carrier_hold(pair.conn, true);
    yomo_carrier_message(pair.carrier, "a", 1, 1);
    yomo_carrier_message(pair.carrier, "b", 1, 1);
    until_turn(pair.loop, 0);
    until_turn(pair.loop, 0);
    assert_string_equal(pair.got, "");
    pair.end_in_message = true;
    yo_carrier_hold(pair.conn, false);
    UNTIL(pair.loop, pair.closed);
    assert_string_equal(pair.got, "1a;"); /* and nothing after the end */
    yomo_carrier_message(pair.carrier, "c", 1, 1);
    yomo_carrier_closed(pair.carrier, 1000, NULL);
    pair_finish(&pair);
}

static void a_report_without_memory_ends_the_connection(void **unused)
{
    struct fault fault;
    struct pair pair;

    (void)unused;
    fault_init(&fault, 0, FAULT_ONCE);
    pair_init(&pair, &fault.mem, true);
    fault_arm(&fault, 1, FAULT_FROM);
    yomo_carrier_message(pair.carrier, "u", 1, 0); /* may be lost */
    yomo_carrier_message(pair.carrier, "r", 1, 1);
    yomo_carrier_message(pair.carrier, "r", 1, 1);
    UNTIL(pair.loop, pair.closed);
    assert_int_equal(pair.close_code, YO_CODE_TRY_LATER);
    yomo_carrier_closed(pair.carrier, 1000, "");
    fault_arm(&fault, 0, FAULT_ONCE);
    pair_finish(&pair);
    fault_assert_no_leak(&fault);
}

static void create_body(struct fault *fault, void *user)
{
    struct pair *pair = user;
    struct yo_carrier_options options = {.transport = &transport,
                                         .message_size_max = 32};
    yomo_carrier *carrier;

    if (yo_carrier_create(&carrier, &fault->mem, pair->box, &options) != YOMO_OK) {
        assert_true(fault->failed);
        return;
    }
    yo_carrier_discard(carrier);
}

static void making_one_survives_want_of_memory(void **unused)
{
    struct pair pair;

    (void)unused;
    pair_init(&pair, &yo_mem_libc, true);
    fault_each(create_body, &pair);
    end_it(&pair);
    pair_finish(&pair);
}

static void too_much_at_once_ends_the_connection(void **unused)
{
    struct pair pair;
    size_t size = 4u << 20;
    char *big = calloc(1, size);

    (void)unused;
    pair_init(&pair, &yo_mem_libc, true);
    for (int i = 0; i < 6; i++) { /* before the loop has a chance */
        yomo_carrier_message(pair.carrier, big, size, 1);
    }
    UNTIL(pair.loop, pair.closed);
    free(big);
    yomo_carrier_closed(pair.carrier, 1000, "");
    pair_finish(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_go_both_ways),
        cmocka_unit_test(no_room_now_is_followed_by_room),
        cmocka_unit_test(a_host_that_fails_ends_the_connection),
        cmocka_unit_test(a_message_over_the_limit_ends_the_connection),
        cmocka_unit_test(what_is_held_comes_in_order_and_ends_with_the_connection),
        cmocka_unit_test(a_report_without_memory_ends_the_connection),
        cmocka_unit_test(making_one_survives_want_of_memory),
        cmocka_unit_test(too_much_at_once_ends_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
