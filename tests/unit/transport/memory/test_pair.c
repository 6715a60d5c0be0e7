/* SPDX-License-Identifier: MIT */
/* The promises of the contract are checked in tests/contract/; here, two real threads,
 * failing memory, and a mailbox that is closed too early. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "support/fault.h"
#include "support/until.h"
#include "transport/memory/pair.h"

#define MESSAGES 3000

struct side {
    struct yo_loop *loop;
    struct yo_mailbox *box;
    struct yo_conn *conn;
    uint32_t sent, heard;
    bool ended, stopping, closes_first;
    int closed;
};

static void try_to_send(struct side *side)
{
    while (side->sent < MESSAGES && side->conn) {
        struct yo_blob *blob =
            yo_blob_create(&yo_mem_libc, yo_span(&side->sent, sizeof(side->sent)));
        int rv = yo_conn_send(side->conn, YO_LANE_ROOMS + side->sent % 3, blob, 0);
        yo_blob_unref(blob);
        if (rv != YOMO_OK) {
            return;
        }
        side->sent++;
    }
}

static void check_done(struct side *side)
{
    if (side->closes_first && side->sent == MESSAGES && side->heard == MESSAGES) {
        struct yo_close how = {.kind = YO_CLOSE_DONE, .code = YO_CODE_NORMAL};
        yo_conn_close(side->conn, &how);
    }
}

static void on_open(void *user, struct yo_conn *conn, yo_time now)
{
    (void)conn;
    (void)now;
    try_to_send(user);
}

static void on_message(void *user, struct yo_conn *conn, uint32_t lane,
                       struct yo_span message, yo_time now)
{
    struct side *side = user;
    uint32_t number;
    (void)conn;
    (void)now;
    assert_int_equal(lane, YO_LANE_ROOMS);
    assert_int_equal(message.size, sizeof(number));
    memcpy(&number, message.data, sizeof(number));
    assert_int_equal(number, side->heard++);
    if (side->sent == 0) {
        try_to_send(side);
    }
    check_done(side);
}

static void on_writable(void *user, struct yo_conn *conn, yo_time now)
{
    (void)conn;
    (void)now;
    try_to_send(user);
    check_done(user);
}

static void on_closed(void *user, struct yo_conn *conn, const struct yo_close *why,
                      yo_time now)
{
    struct side *side = user;
    (void)conn;
    (void)why;
    (void)now;
    side->closed++;
    side->conn = NULL;
}

static const struct yo_conn_events events = {on_open, on_message, on_writable, NULL,
                                             on_closed};

static void side_start(struct side *side, const struct yomo_mem *mem)
{
    memset(side, 0, sizeof(*side));
    assert_int_equal(yo_loop_create(&side->loop, mem, NULL, NULL), YOMO_OK);
    assert_int_equal(yo_mailbox_open(&side->box, side->loop, side), YOMO_OK);
}

static void side_stop(struct side *side)
{
    yo_mailbox_close(side->box);
    yo_mailbox_unref(side->box);
    until_closed(side->loop);
}

static int make_pair(struct side sides[2], const struct yomo_mem *mem, size_t queue_max)
{
    struct yo_memory_options options = {1000, queue_max, 0};
    struct yo_memory_side ends[2] = {
        {sides[0].loop, sides[0].box, &events, &sides[0]},
        {sides[1].loop, sides[1].box, &events, &sides[1]},
    };
    struct yo_conn *conns[2] = {NULL, NULL};
    int rv = yo_memory_pair(conns, mem, &options, ends);
    sides[0].conn = conns[0];
    sides[1].conn = conns[1];
    return rv;
}

static pthread_barrier_t both_closed;

static void *run_side(void *user)
{
    struct side *side = user;
    UNTIL(side->loop, side->closed);
    pthread_barrier_wait(&both_closed); /* boxes stay open until both ends are closed */
    side_stop(side);
    return NULL;
}

static void two_threads_talk_and_part(void **state)
{
    (void)state;
    struct side sides[2];
    pthread_t threads[2];
    side_start(&sides[0], &yo_mem_libc);
    side_start(&sides[1], &yo_mem_libc);
    sides[1].closes_first = true;
    assert_int_equal(make_pair(sides, &yo_mem_libc, 5000), YOMO_OK);
    pthread_barrier_init(&both_closed, NULL, 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, run_side, &sides[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(sides[i].heard, MESSAGES);
        assert_int_equal(sides[i].closed, 1);
    }
    pthread_barrier_destroy(&both_closed);
}

static void a_mailbox_closed_too_early_is_a_lost_peer(void **state)
{
    (void)state;
    struct fault fault;
    struct side sides[2];
    fault_init(&fault, 0, FAULT_ONCE);
    side_start(&sides[0], &fault.mem);
    side_start(&sides[1], &fault.mem);
    assert_int_equal(make_pair(sides, &fault.mem, 5000), YOMO_OK);
    UNTIL(sides[1].loop, sides[1].sent > 0);
    yo_conn_abort(sides[0].conn);
    yo_mailbox_close(sides[0].box);
    UNTIL(sides[0].loop, sides[0].closed);
    UNTIL(sides[1].loop, sides[1].closed);
    yo_mailbox_unref(sides[0].box);
    until_closed(sides[0].loop);
    side_stop(&sides[1]);
    fault_assert_no_leak(&fault);
}

static void pair_body(struct fault *fault, void *user)
{
    struct side *sides = user;
    if (make_pair(sides, &fault->mem, 5000) != YOMO_OK) {
        assert_true(fault->failed);
        return;
    }
    sides[0].closed = sides[1].closed = 0;
    for (int i = 0; i < 2; i++) {
        sides[i].sent = MESSAGES - 3;
        sides[i].heard = MESSAGES - 3;
    }
    UNTIL(sides[1].loop, sides[1].sent == MESSAGES || fault->failed);
    yo_conn_abort(sides[1].conn);
    UNTIL(sides[1].loop, sides[1].closed);
    UNTIL(sides[0].loop, sides[0].closed);
    until_turn(sides[1].loop, 10); /* what came back unread */
    until_turn(sides[1].loop, 10);
}

static void it_survives_every_failing_allocation(void **state)
{
    (void)state;
    struct side sides[2];
    side_start(&sides[0], &yo_mem_libc);
    side_start(&sides[1], &yo_mem_libc);
    fault_each(pair_body, sides);
    side_stop(&sides[0]);
    side_stop(&sides[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_threads_talk_and_part),
        cmocka_unit_test(a_mailbox_closed_too_early_is_a_lost_peer),
        cmocka_unit_test(it_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
