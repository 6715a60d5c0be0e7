/* SPDX-License-Identifier: MIT */
/* memory.c - two ends in one process: on one loop, or each on its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "contract.h"
#include "support/until.h"
#include "transport/memory/pair.h"

struct inside {
    struct yo_mailbox *boxes[2];
};

static bool two_loops;
static size_t datagram_size_max;

static void start(struct contract_world *world)
{
    struct inside *inside = calloc(1, sizeof(*inside));
    world->inside = inside;
    for (int i = 0; i < 2; i++) {
        if (i == 1 && !two_loops) {
            world->loops[1] = world->loops[0];
        } else {
            assert_int_equal(yo_loop_create(&world->loops[i], &yo_mem_libc, NULL, NULL),
                             YOMO_OK);
        }
        assert_int_equal(yo_mailbox_open(&inside->boxes[i], world->loops[i], NULL),
                         YOMO_OK);
    }
}

static void connect_pair(struct contract_world *world)
{
    struct inside *inside = world->inside;
    struct yo_memory_options options = {CONTRACT_MESSAGE_MAX, CONTRACT_QUEUE_MAX,
                                        datagram_size_max};
    struct yo_memory_side sides[2] = {
        {world->loops[0], inside->boxes[0], &contract_events, &world->server},
        {world->loops[1], inside->boxes[1], &contract_events, &world->client},
    };
    struct yo_conn *conns[2];
    assert_int_equal(yo_memory_pair(conns, &yo_mem_libc, &options, sides), YOMO_OK);
    world->server.conn = conns[0];
    world->client.conn = conns[1];
    assert_int_equal(world->client.opened, 0);
    CONTRACT_UNTIL(world, world->client.opened);
}

static void stop(struct contract_world *world)
{
    struct inside *inside = world->inside;
    for (int i = 0; i < 2; i++) {
        yo_mailbox_close(inside->boxes[i]);
        yo_mailbox_unref(inside->boxes[i]);
    }
    free(inside);
}

int main(void)
{
    struct contract contract = {.kind = YOMO_TRANSPORT_MEMORY,
                                .secure = true,
                                .start = start,
                                .connect = connect_pair,
                                .stop = stop};
    int failed = 0;
    contract.name = "memory, one loop";
    datagram_size_max = 1200;
    failed += contract_run(&contract);
    contract.name = "memory, two loops";
    two_loops = true;
    failed += contract_run(&contract);
    contract.name = "memory, without datagrams";
    datagram_size_max = 0;
    failed += contract_run(&contract);
    return failed;
}
