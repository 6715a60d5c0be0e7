/* SPDX-License-Identifier: MIT */
/* test_order.c - members whose token grants `admin` put others out; others may not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "auth/sign.h"
#include "rig.h"
#include "wire/decode.h"

#define WS YOMO_TRANSPORT_WEBSOCKET
#define ADMIN ",\"yomo\":{\"rooms\":{\"*\":[\"join\",\"send\",\"presence\"],\"r\":[\"admin\"]}}"

static const char secret[] = "0123456789abcdef0123456789abcdef";
static char key_file[] = "/tmp/yomo-order-keys-XXXXXX";

static int make_key_file(void **unused)
{
    int fd = mkstemp(key_file);

    (void)unused;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, secret, strlen(secret)), strlen(secret));
    close(fd);
    return 0;
}

static int drop_key_file(void **unused)
{
    (void)unused;
    unlink(key_file);
    return 0;
}

/* In `room`, on `worker`, with `more` claims. */
static struct client *member(struct rig *rig, uint32_t worker, const char *query,
                             const char *more, const char *room)
{
    char payload[512], text[2048];
    struct yo_buf token;
    struct client *client;

    snprintf(payload, sizeof(payload), "{\"exp\":%llu%s}",
             (unsigned long long)(yo_wall_ms() / 1000 + 60), more);
    sign_hs256(&token, "{\"alg\":\"HS256\"}", payload, secret);
    snprintf(text, sizeof(text), "%s&token=%.*s", query, (int)token.size,
             (const char *)token.data);
    yo_buf_finish(&token);
    client = rig_connect(rig, worker, WS, text);
    client_join(client, room, NULL);
    client_forget(client);
    return client;
}

static void order(struct client *client, enum yo_op op, const char *room,
                  const char *peer, uint64_t session, uint64_t ms, uint64_t number)
{
    client_send(client, &(struct yo_message){.op = op,
                                             .channel = yo_span_of(room),
                                             .peer = yo_span_of(peer),
                                             .session = session,
                                             .timestamp = ms,
                                             .text = yo_span_of("be nice"),
                                             .number = number});
}

static void expect_answer(struct client *client, uint64_t number, int error)
{
    struct heard *heard = client_next(client);

    while (heard && heard->message.op != YO_OP_ACK &&
           heard->message.op != YO_OP_ERROR) {
        heard = client_next(client); /* somebody has gone */
    }
    assert_non_null(heard);
    assert_int_equal(heard->message.op, error ? YO_OP_ERROR : YO_OP_ACK);
    assert_int_equal(heard->message.number, number);
    assert_int_equal(heard->message.code, error);
}

static void open_rig(struct rig *rig)
{
    rig_open(rig, 2, NULL, "token-keys", key_file, NULL);
    rig->server->state = YO_SERVER_SERVING;
}

static void shut(struct rig *rig)
{
    rig->server->state = YO_SERVER_NEW;
    rig_close(rig);
}

static void who_has_the_right_puts_out_and_bans(void **unused)
{
    struct rig rig;
    struct client *admin, *mallory, *page;
    struct heard *heard;

    (void)unused;
    open_rig(&rig);
    admin = member(&rig, 0, "yomo=1&id=admin", ADMIN, "r");
    mallory = member(&rig, 1, "yomo=1&id=mallory", "", "r");
    page = member(&rig, 1, "id=page", "", "r");
    client_forget(mallory);
    order(admin, YO_OP_KICK, "r", "mallory", 0, 0, 5);
    expect_answer(admin, 5, YOMO_OK);
    heard = expect_op(mallory, YO_OP_CHANNEL_LEAVE);
    assert_int_equal(heard->message.code, YOMO_ERR_KICKED);
    assert_true(yo_span_is(heard->message.text, "be nice"));
    assert_false(mallory->closing);
    client_join(mallory, "r", NULL); /* a kick is no ban */
    expect_op(mallory, YO_OP_CHANNEL_JOIN);
    client_forget(mallory);
    order(admin, YO_OP_BAN, "r", "mallory", 0, 60000, 6);
    expect_answer(admin, 6, YOMO_OK);
    expect_op(mallory, YO_OP_CHANNEL_LEAVE);
    client_join(mallory, "r", NULL);
    heard = expect_op(mallory, YO_OP_ERROR);
    assert_int_equal(heard->message.code, YOMO_ERR_KICKED);
    client_join(mallory, "s", NULL); /* from this room alone */
    expect_op(mallory, YO_OP_CHANNEL_JOIN);
    assert_false(page->closing);
    order(admin, YO_OP_KICK, "r", "page", 0, 0, 7);
    expect_answer(admin, 7, YOMO_OK);
    assert_int_equal(page->why.code, YO_CODE_KICKED);
    assert_int_equal(page->why.kind, YO_CLOSE_FINAL);
    order(admin, YO_OP_CLOSE, "r", NULL, 0, 0, 8);
    heard = client_next(admin);
    while (heard && heard->message.op != YO_OP_CHANNEL_LEAVE) {
        heard = client_next(admin);
    }
    assert_non_null(heard);
    assert_int_equal(heard->message.code, YOMO_ERR_KICKED);
    assert_int_equal(rig_count(&rig, members), 1); /* mallory, in s */
    shut(&rig);
}

static void without_it_nothing_happens_but_a_refusal(void **unused)
{
    struct rig rig;
    struct client *admin, *other;
    uint64_t denied;

    (void)unused;
    open_rig(&rig);
    admin = member(&rig, 0, "yomo=1&id=admin", ADMIN, "s"); /* admin in r, not in s */
    other = member(&rig, 1, "yomo=1&id=other", "", "s");
    client_forget(admin);
    denied = rig_count(&rig, dropped_denied);
    order(other, YO_OP_KICK, "s", "admin", 0, 0, 1);
    expect_answer(other, 1, YOMO_ERR_DENIED);
    order(other, YO_OP_BAN, "s", "admin", 0, 1000, 2);
    expect_answer(other, 2, YOMO_ERR_DENIED);
    order(other, YO_OP_CLOSE, "s", NULL, 0, 0, 3);
    expect_answer(other, 3, YOMO_ERR_DENIED);
    order(admin, YO_OP_KICK, "s", "other", 0, 0, 4);
    expect_answer(admin, 4, YOMO_ERR_DENIED);
    order(admin, YO_OP_KICK, "s", "other", 0, 0, 0); /* no number, no answer */
    expect_nothing(admin);
    assert_int_equal(rig_count(&rig, dropped_denied), denied + 5);
    order(admin, YO_OP_KICK, "r", "other", 0, 0, 6); /* not in r */
    expect_answer(admin, 6, YOMO_ERR_NOT_FOUND);
    assert_false(other->closing);
    /* Whose token does not have `presence` is there unseen. */
    assert_int_equal(rig_count(&rig, members) + rig_count(&rig, observers), 2);
    shut(&rig);
}

static void what_makes_no_sense_is_refused(void **unused)
{
    struct rig rig;
    struct client *admin, *page;
    char long_text[300];
    struct yo_blob *blob;

    (void)unused;
    memset(long_text, 'x', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    open_rig(&rig);
    admin = member(&rig, 0, "yomo=1&id=admin", ADMIN, "r");
    order(admin, YO_OP_KICK, "r", NULL, 0, 0, 1); /* whom? */
    expect_answer(admin, 1, YOMO_ERR_INVALID);
    order(admin, YO_OP_BAN, "r", "x", 0, 0, 2); /* how long? */
    expect_answer(admin, 2, YOMO_ERR_INVALID);
    order(admin, YO_OP_BAN, "r", NULL, 7, 1000,
          3); /* a session comes back as another */
    expect_answer(admin, 3, YOMO_ERR_INVALID);
    order(admin, YO_OP_CLOSE, "r", "x", 0, 0, 4); /* a kick that was misspelt? */
    expect_answer(admin, 4, YOMO_ERR_INVALID);
    client_send(admin, &(struct yo_message){.op = YO_OP_KICK,
                                            .channel = yo_span_of("r"),
                                            .peer = yo_span_of("x"),
                                            .text = yo_span_of(long_text),
                                            .number = 5});
    expect_answer(admin, 5, YOMO_ERR_INVALID);
    order(admin, YO_OP_KICK, "r", NULL, 12345, 0, 6); /* nobody: no error */
    expect_answer(admin, 6, YOMO_OK);
    page = member(&rig, 1, "id=admin", ADMIN, "r"); /* presencejs knows no such op */
    assert_int_equal(yo_encode_blob(&blob, &yo_mem_libc, YO_DIALECT_YOMO,
                                    &(struct yo_message){.op = YO_OP_CLOSE,
                                                         .channel = yo_span_of("r"),
                                                         .number = 1}),
                     YOMO_OK);
    client_say(page, YO_LANE_CONTROL, yo_blob_span(blob));
    rig_settle(&rig);
    yo_blob_unref(blob);
    /* Whose token does not have `presence` is there unseen. */
    assert_int_equal(rig_count(&rig, members) + rig_count(&rig, observers), 2);
    shut(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_has_the_right_puts_out_and_bans),
        cmocka_unit_test(without_it_nothing_happens_but_a_refusal),
        cmocka_unit_test(what_makes_no_sense_is_refused),
    };
    return cmocka_run_group_tests(tests, make_key_file, drop_key_file);
}
