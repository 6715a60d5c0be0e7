/* SPDX-License-Identifier: MIT */
/* test_memory.c - a server that runs out of memory, at each allocation in turn: whoever
 * is concerned is refused or sent away to come again, and everything is freed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rig.h"
#include "support/fault.h"
#include "wire/json.h"

#define WS YOMO_TRANSPORT_WEBSOCKET
#define WT YOMO_TRANSPORT_WEBTRANSPORT

/* What a client does that may have been closed already. */
static void act(struct client *client, const struct yo_message *message)
{
    if (client && client->status == 200 && !client->closing) {
        client_send(client, message);
    }
}

static void scene(struct rig *rig)
{
    static const uint8_t state[] = {0x81, 0xa1, 'n', 0x01},
                         other[] = {0x81, 0xa1, 'n', 0x02};
    static const uint8_t data[] = {0x82, 0xa5, 'e', 'v', 'e', 'n', 't',  0xa1,
                                   'e',  0xa4, 'd', 'a', 't', 'a', 0xa1, '1'};
    struct client *clients[4] = {
        rig_knock(rig, 0, WS, "/v1", "yomo=1&id=a", NULL),
        rig_knock(rig, 1, WT, "/v1", "yomo=1&id=b", NULL),
        rig_knock(rig, 0, WT, "/v1", "id=c", NULL),
        rig_knock(rig, 1, WS, "/v1", "id=d", NULL),
    };

    for (int i = 0; i < 4; i++) {
        act(clients[i], &(struct yo_message){.op = YO_OP_CHANNEL_JOIN,
                                             .channel = yo_span_of("r"),
                                             .payload = yo_span(state, sizeof(state))});
    }
    for (int i = 0; i < 4; i++) {
        struct yo_message message = {.op = YO_OP_DATA,
                                     .channel = yo_span_of("r"),
                                     .payload = yo_span(data, sizeof(data))};
        act(clients[i], &message);
        if (clients[i]->extension) {
            message.number = 1;
            message.delivery = YOMO_LATEST;
            message.version = 1;
            act(clients[i], &message);
            message.targets = yo_span((const uint8_t *)"\x92\xa1" "b\xa1" "d", 5);
            message.delivery = YOMO_RELIABLE;
            message.echo = true;
            act(clients[i], &message);
            message.echo = false;
            message.targets = YO_SPAN_NONE;
        }
        act(clients[i], &(struct yo_message){.op = YO_OP_PEER_STATE,
                                             .channel = yo_span_of("r"),
                                             .payload = yo_span(other, sizeof(other))});
    }
    act(clients[1], &(struct yo_message){.op = YO_OP_HISTORY,
                                         .channel = yo_span_of("r"),
                                         .number = 9});
    act(clients[0],
        &(struct yo_message){.op = YO_OP_PEER_OFFLINE, .channel = yo_span_of("r")});
    act(clients[0], &(struct yo_message){.op = YO_OP_CHANNEL_JOIN,
                                         .channel = yo_span_of("r"),
                                         .since = 1,
                                         .epoch = 5,
                                         .hist = 9});
    if (clients[3]->status == 200 && !clients[3]->closing) {
        client_close(clients[3]);
    }
}

static void everything_may_fail_and_nothing_is_left(void **unused)
{
    static const char *const options[] = {"history-messages", "2", NULL};
    struct fault fault;
    size_t nth = 0;
    bool failed = true;

    (void)unused;
    for (int mode = FAULT_ONCE; mode <= FAULT_FROM; mode++) {
        failed = true;
        for (nth = 1; failed; nth++) {
            struct rig rig;
            fault_init(&fault, 0, FAULT_ONCE);
            rig_open_with(&rig, &fault.mem, 2, NULL, NULL, options);
            fault_arm(&fault, nth, (enum fault_mode)mode);
            scene(&rig);
            failed = atomic_load(&fault.failed);
            fault_arm(&fault, 0, FAULT_ONCE);
            assert_int_equal(rig_count(&rig, members) > 4, 0);
            rig_close(&rig);
            fault_assert_no_leak(&fault);
        }
    }
    assert_true(nth > 50);
}

/* After a failure members must not disagree: who stayed sees exactly those who stayed.
 */
static void who_stays_agrees_on_who_is_there(void **unused)
{
    struct fault fault;
    bool failed = true;

    (void)unused;
    for (size_t nth = 1; failed; nth++) {
        struct rig rig;
        struct client *watcher, *other;
        size_t seen = 0;
        struct heard *heard;
        fault_init(&fault, 0, FAULT_ONCE);
        rig_open_with(&rig, &fault.mem, 2, NULL, NULL, NULL);
        watcher = rig_connect(&rig, 0, WS, "yomo=1&id=watcher");
        client_join(watcher, "r", NULL);
        other = rig_connect(&rig, 1, WS, "yomo=1&id=other");
        client_join(other, "r", NULL);
        client_forget(watcher);
        fault_arm(&fault, nth, FAULT_ONCE);
        client_close(other);
        failed = atomic_load(&fault.failed);
        fault_arm(&fault, 0, FAULT_ONCE);
        while ((heard = client_next(watcher)) != NULL) {
            seen += heard->message.op == YO_OP_PEER_OFFLINE;
        }
        assert_true(seen == 1 || watcher->closing); /* no ghost */
        if (watcher->closing) {
            assert_int_equal(watcher->why.kind, YO_CLOSE_RETRY);
        }
        rig_close(&rig);
        fault_assert_no_leak(&fault);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_may_fail_and_nothing_is_left),
        cmocka_unit_test(who_stays_agrees_on_who_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
