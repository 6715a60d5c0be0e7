/* SPDX-License-Identifier: MIT */
/* What a client does with what it is sent, and to send: the stage of the client's unit
 * tests, whose network is the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "client/stage.h"
#include "client/udp_blocked.h"
#include "path.h"
#include "wire/encode.h"

#define MESSAGES 100

static const struct stage_member bob = {11, "bob", "{\"x\":1}"};

static void receive_all(struct stage *stage, struct fake_conn *conn, uint32_t lane,
                        struct yo_span message)
{
    for (int i = 0; i < MESSAGES; i++) {
        fake_message(conn, lane, message, stage->now);
        stage_run(stage);
        stage->story[0] = '\0';
    }
}

static void send_all(struct stage *stage, yomo_room *room, const char *json)
{
    for (int i = 0; i < MESSAGES; i++) {
        assert_int_equal(yomo_room_broadcast(room, "cursor", json, YOMO_UNRELIABLE),
                         YOMO_OK);
        stage_run(stage);
    }
}

static void all(void **unused)
{
    struct yo_message data = {.op = YO_OP_DATA,
                              .channel = yo_span_of("r"),
                              .peer = yo_span_of("bob"),
                              .session = 11,
                              .delivery = YOMO_UNRELIABLE};
    struct stage stage;
    struct yo_buf payload, message;
    yomo_room *room;
    char json[101];

    (void)unused;
    snprintf(json, sizeof(json), "\"%098d\"", 1);
    yo_udp_blocked_clear(yo_span_of("stage"), 443);
    stage_begin(&stage, NULL);
    struct fake_conn *conn = stage_connect(&stage, YOMO_TRANSPORT_WEBTRANSPORT, 10);
    assert_int_equal(yomo_client_join(stage.client, "r", "{\"me\":true}", &room),
                     YOMO_OK);
    stage_run(&stage);
    stage_admit(&stage, conn, "r", &bob, 1);
    stage.story[0] = '\0';
    yo_buf_init(&payload, &yo_mem_libc);
    yo_buf_init(&message, &yo_mem_libc);
    yo_content_write(&payload, yo_span_of("cursor"), YOMO_JSON, yo_span_of(json));
    data.payload = yo_buf_span(&payload);
    assert_int_equal(yo_encode(&message, YO_DIALECT_YOMO, &data), YOMO_OK);
    PATH("client_receive",
         receive_all(&stage, conn, YO_LANE_DATAGRAM, yo_buf_span(&message)));
    PATH("client_send", send_all(&stage, room, json));
    yo_buf_finish(&message);
    yo_buf_finish(&payload);
    stage_end(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
