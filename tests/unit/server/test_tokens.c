/* SPDX-License-Identifier: MIT */
/* test_tokens.c - what a token proves and allows, at the door and in rooms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "auth/sign.h"
#include "base/text.h"
#include "rig.h"
#include "server/tokens.h"
#include "support/bytes.h"
#include "support/until.h"
#include "wire/decode.h"
#include "wire/json.h"

#define WS YOMO_TRANSPORT_WEBSOCKET

static const char secret[] = "0123456789abcdef0123456789abcdef";
static char key_file[] = "/tmp/yomo-token-keys-XXXXXX";

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

/* A token that expires in `seconds` and has `more` claims. */
static void make_token(struct yo_buf *token, const char *more, int seconds)
{
    char payload[512];

    snprintf(payload, sizeof(payload), "{\"exp\":%llu%s}",
             (unsigned long long)(yo_wall_ms() / 1000 + (uint64_t)seconds), more);
    sign_hs256(token, "{\"alg\":\"HS256\"}", payload, secret);
}

/* `query`, and a token that expires in `seconds` and has `more` claims. */
static struct client *knock(struct rig *rig, const char *query, const char *more,
                            int seconds)
{
    char payload[512], text[2048];
    struct yo_buf token;
    struct client *client;

    snprintf(payload, sizeof(payload), "{\"exp\":%llu%s}",
             (unsigned long long)(yo_wall_ms() / 1000 + (uint64_t)seconds), more);
    sign_hs256(&token, "{\"alg\":\"HS256\"}", payload, secret);
    snprintf(text, sizeof(text), "%s&token=%.*s", query, (int)token.size,
             (const char *)token.data);
    yo_buf_finish(&token);
    client = rig_knock(rig, 0, WS, "/v1", text, NULL);
    return client;
}

static void check_refused(struct client *client)
{
    assert_int_equal(client->status, 200); /* so that a page learns the code */
    assert_true(client->closing);
    assert_int_equal(client->why.code, YO_CODE_AUTH);
    assert_int_equal(client->why.kind, YO_CLOSE_FINAL);
}

static void without_a_good_token_nobody_comes_in(void **unused)
{
    struct rig rig;

    (void)unused;
    rig_open(&rig, 1, NULL, "token-keys", key_file, "token-leeway", "0", NULL);
    check_refused(rig_knock(&rig, 0, WS, "/v1", "id=a", NULL));
    check_refused(rig_knock(&rig, 0, WS, "/v1", "id=a&token=", NULL));
    check_refused(rig_knock(&rig, 0, WS, "/v1", "id=a&token=a.b.c", NULL));
    check_refused(knock(&rig, "id=a", "", -1));
    check_refused(knock(&rig, "id=a", ",\"sub\":\"\"", 60));
    check_refused(knock(&rig, "id=a", ",\"aud\":\"x\"", 60));
    assert_int_equal(rig_count(&rig, refused_auth), 6);
    assert_false(knock(&rig, "id=a", "", 60)->closing);
    assert_null(strstr(rig.log, "token=")); /* queries are never logged */
    rig_close(&rig);
}

static void a_token_prescribes_the_id(void **unused)
{
    struct rig rig;
    struct client *a, *b;

    (void)unused;
    rig_open(&rig, 1, NULL, "token-keys", key_file, NULL);
    a = knock(&rig, "yomo=1&id=mallory", ",\"sub\":\"alice\"", 60);
    b = knock(&rig, "yomo=1&id=bob", "", 60);
    expect_op(a, YO_OP_HELLO);
    expect_op(b, YO_OP_HELLO);
    client_join(b, "room", NULL);
    client_forget(b);
    client_join(a, "room", NULL);
    expect_from(b, YO_OP_PEER_ONLINE, "alice");
    /* A state that says somebody else is refused: the id is proven. */
    client_forget(a);
    client_state(a, "room", "{\"id\":\"mallory\"}");
    assert_int_equal(expect_op(a, YO_OP_ERROR)->message.code, YOMO_ERR_DENIED);
    expect_nothing(b);
    rig_close(&rig);
}

static void rights_are_those_of_the_room(void **unused)
{
    static const char claims[] =
        ",\"sub\":\"a\",\"yomo\":{\"rooms\":{"
        "\"look-*\":[\"join\"],\"talk-*\":[\"join\",\"send\",\"presence\"]}}";
    struct rig rig;
    struct client *a, *b;

    (void)unused;
    rig_open(&rig, 1, NULL, "token-keys", key_file, NULL);
    b = knock(&rig, "yomo=1&id=b", "", 60);
    a = knock(&rig, "yomo=1", claims, 60);
    client_join(b, "look-1", NULL);
    client_join(b, "talk-1", NULL);
    client_forget(a);
    client_forget(b);
    client_join(a, "other", NULL);
    assert_int_equal(expect_op(a, YO_OP_ERROR)->message.code, YOMO_ERR_DENIED);
    client_join(a, "look-1", "{\"id\":\"a\",\"n\":1}");
    client_join(a, "talk-1", "{\"id\":\"a\",\"n\":2}");
    client_forget(a);
    /* Only where it may be seen. */
    assert_non_null(expect_from(b, YO_OP_PEER_ONLINE, "a")->message.payload.data);
    expect_nothing(b);

    client_data(a, "look-1", "e", "1", YOMO_RELIABLE);
    client_state(a, "look-1", "{\"id\":\"a\",\"n\":3}");
    expect_nothing(b);
    assert_int_equal(rig_count(&rig, dropped_denied), 2);
    client_data(a, "talk-1", "e", "1", YOMO_RELIABLE);
    expect_from(b, YO_OP_DATA, "a");
    client_state(a, "talk-1", "{\"id\":\"a\",\"n\":4}");
    expect_from(b, YO_OP_PEER_STATE, "a");
    rig_close(&rig);
}

static void applications_are_kept_apart(void **unused)
{
    struct rig rig;
    struct client *a, *b;

    (void)unused;
    rig_open(&rig, 1, NULL, "token-keys", key_file, "keys", "one=k1,two=k2", NULL);
    a = knock(&rig, "yomo=1&id=a&publickey=k1", "", 60);
    b = knock(&rig, "yomo=1&id=b", ",\"yomo\":{\"app\":\"two\"}", 60);
    check_refused(knock(&rig, "id=c&publickey=k1", ",\"yomo\":{\"app\":\"two\"}", 60));
    check_refused(knock(&rig, "id=c", "", 60)); /* no application */
    client_join(a, "room", NULL);
    client_forget(a);
    client_join(b, "room", NULL);
    expect_nothing(a);
    rig_close(&rig);
}

static void a_connection_ends_with_its_token(void **unused)
{
    struct rig rig;
    struct client *a, *b;

    (void)unused;
    rig_open(&rig, 1, NULL, "token-keys", key_file, "token-leeway", "0", NULL);
    a = knock(&rig, "yomo=1", ",\"sub\":\"a\"", 2);
    b = knock(&rig, "yomo=1", ",\"sub\":\"b\"", 3600);
    client_join(b, "room", NULL);
    client_join(a, "room", NULL);
    client_forget(b);
    UNTIL(rig_worker(&rig, 0)->loop, a->closing);
    rig_settle(&rig);
    check_refused(a);
    expect_from(b, YO_OP_PEER_OFFLINE, "a");
    assert_false(b->closing);
    rig_close(&rig);
}

static void a_secret_that_is_read_again_counts_from_then_on(void **unused)
{
    static const char other[] = "another secret, which is long enough";
    struct rig rig;
    struct client *before;
    struct yo_buf why;
    FILE *file;

    (void)unused;
    rig_open(&rig, 1, NULL, "token-keys", key_file, NULL);
    before = knock(&rig, "id=a", "", 60);
    file = fopen(key_file, "w");
    assert_non_null(file);
    fputs("short", file);
    fclose(file);
    yo_buf_init(&why, &yo_mem_libc);
    assert_int_equal(yo_server_read_tokens(rig.server, &why), YOMO_ERR_FILE);
    assert_false(knock(&rig, "id=b", "", 60)->closing); /* the old one */
    file = fopen(key_file, "w");
    assert_non_null(file);
    fputs(other, file);
    fclose(file);
    yo_buf_clear(&why);
    assert_int_equal(yo_server_read_tokens(rig.server, &why), YOMO_OK);
    yo_buf_finish(&why);
    check_refused(knock(&rig, "id=c", "", 60));
    assert_false(before->closing);
    rig_close(&rig);
}

static struct heard *send_token(struct client *client, const char *more, int seconds)
{
    struct yo_buf token;

    make_token(&token, more, seconds);
    client_send(client,
                &(struct yo_message){.op = YO_OP_TOKEN, .token = yo_buf_span(&token)});
    yo_buf_finish(&token);
    return expect_op(client, YO_OP_TOKEN);
}

static void a_new_token_takes_the_place_of_the_old_one(void **unused)
{
    struct rig rig;
    struct client *a, *b;

    (void)unused;
    rig_open(&rig, 1, NULL, "token-keys", key_file, "token-leeway", "0", NULL);
    a = knock(&rig, "yomo=1", ",\"sub\":\"a\"", 600);
    assert_in_range(expect_op(a, YO_OP_HELLO)->message.timestamp, 590000, 600000);
    b = knock(&rig, "yomo=1&id=b", "", 600);
    client_join(b, "one", NULL);
    client_join(b, "two", NULL);
    client_join(a, "one", NULL);
    client_join(a, "two", NULL);
    client_forget(a);
    client_forget(b);
    assert_in_range(send_token(a,
                               ",\"sub\":\"a\",\"yomo\":{\"rooms\":{"
                               "\"two\":[\"join\"]}}",
                               3600)
                        ->message.timestamp,
                    3590000, 3600000);
    /* What it does not allow is left, for everybody to see; and may not be said. */
    assert_int_equal(expect_op(a, YO_OP_CHANNEL_LEAVE)->message.code, YOMO_ERR_DENIED);
    expect_from(b, YO_OP_PEER_OFFLINE, "a");
    client_data(a, "two", "e", "1", YOMO_RELIABLE);
    expect_nothing(b);
    rig_close(&rig);
}

static void expect_data(struct heard *heard, const char *json)
{
    struct yo_buf text;

    yo_buf_init(&text, &yo_mem_libc);
    if (json) {
        assert_int_equal(yo_mp_to_json(&text, heard->message.data), YOMO_OK);
        assert_true(yo_span_is(yo_buf_span(&text), json));
    } else {
        assert_null(heard->message.data.data);
    }
    yo_buf_finish(&text);
}

/* `dt` of the only entry. */
static void expect_shown(struct heard *page, const char *json)
{
    struct yo_wire_member member;
    struct yo_mp_reader reader;
    uint32_t count;

    assert_int_equal(yo_members_init(&reader, page->message.members, &count), YOMO_OK);
    assert_int_equal(count, 1);
    assert_int_equal(yo_members_next(&reader, &member), YOMO_OK);
    page->message.data = member.data;
    expect_data(page, json);
}

static void what_a_token_says_of_a_member_is_told(void **unused)
{
    static const char data[] = ",\"sub\":\"a\",\"yomo\":{\"data\":{\"role\":\"%s\"}}";
    struct rig rig;
    struct client *a, *b, *c, *page;
    char claims[128];

    (void)unused;
    rig_open(&rig, 1, NULL, "token-keys", key_file, NULL);
    snprintf(claims, sizeof(claims), data, "editor");
    a = knock(&rig, "yomo=1", claims, 600);
    b = knock(&rig, "yomo=1&id=b", "", 600);
    c = knock(&rig, "yomo=1&id=c", "", 600);
    page = knock(&rig, "id=page", "", 600);
    client_join(b, "r", NULL);
    client_join(page, "r", NULL);
    client_forget(a);
    client_forget(b);
    client_forget(page);
    /* A client's own counts for nothing. */
    client_send(a, &(struct yo_message){.op = YO_OP_CHANNEL_JOIN,
                                        .channel = yo_span_of("r"),
                                        .data = yo_span("\x81\xa1x\x01", 4)});
    expect_data(expect_from(b, YO_OP_PEER_ONLINE, "a"), "{\"role\":\"editor\"}");
    client_state(a, "r", "{\"id\":\"a\"}");
    expect_data(expect_from(b, YO_OP_PEER_STATE, "a"), NULL); /* as before */
    client_leave(b, "r");
    client_leave(page, "r");
    client_forget(c);
    client_join(c, "r", NULL);
    expect_op(c, YO_OP_CHANNEL_JOIN);
    expect_shown(expect_op(c, YO_OP_SNAPSHOT), "{\"role\":\"editor\"}");

    client_forget(a);
    client_join(page, "r", NULL);
    client_forget(page);
    client_forget(c);
    client_forget(a);
    snprintf(claims, sizeof(claims), data, "owner");
    send_token(a, claims, 600);
    expect_data(expect_from(c, YO_OP_PEER_STATE, "a"), "{\"role\":\"owner\"}");
    send_token(a, claims, 500); /* the same again */
    expect_nothing(c);
    rig_close(&rig);

    rig_open(&rig, 1, NULL, "token-keys", key_file, NULL);
    a = knock(&rig, "yomo=1", claims, 600);
    b = knock(&rig, "yomo=1&id=b", "", 600);
    client_join(b, "r", NULL);
    client_join(a, "r", NULL);
    client_forget(a);
    client_forget(b);
    send_token(a, ",\"sub\":\"a\"", 600); /* which says nothing of it any more */
    expect_data(expect_from(b, YO_OP_PEER_STATE, "a"), "{}");
    rig_close(&rig);
}

static int32_t vouch(void *user, yomo_auth *auth)
{
    (void)user;
    if (strcmp(yomo_auth_id(auth), "a") == 0) {
        char big[6000] = "{\"x\":\"";
        memset(big + 6, 'x', 5000);
        strcpy(big + 5006, "\"}");
        assert_int_equal(yomo_auth_set_data(auth, "[1]"), YOMO_ERR_JSON);
        assert_int_equal(yomo_auth_set_data(auth, "{"), YOMO_ERR_JSON);
        assert_int_equal(yomo_auth_set_data(auth, NULL), YOMO_ERR_INVALID);
        assert_int_equal(yomo_auth_set_data(auth, big), YOMO_ERR_TOO_BIG);
        assert_int_equal(yomo_auth_set_data(auth, "{\"by\":\"token\"}"), YOMO_OK);
        assert_int_equal(yomo_auth_set_data(auth, "{\"by\":\"host\"}"), YOMO_OK);
    }
    return YOMO_OK;
}

static void what_the_host_says_wins(void **unused)
{
    static const yomo_server_callbacks hooks = {.size = sizeof(hooks),
                                                .authenticate = vouch};
    static const char claims[] = ",\"sub\":\"a\",\"yomo\":{\"data\":{\"x\":1}}";
    struct rig rig;
    struct client *a, *b;

    (void)unused;
    rig_open(&rig, 1, &hooks, "token-keys", key_file, NULL);
    a = knock(&rig, "yomo=1", claims, 600);
    b = knock(&rig, "yomo=1&id=b", "", 600);
    client_join(b, "r", NULL);
    client_forget(a);
    client_forget(b);
    client_join(a, "r", NULL);
    expect_data(expect_from(b, YO_OP_PEER_ONLINE, "a"), "{\"by\":\"host\"}");
    client_forget(a);
    send_token(a, claims, 500);
    expect_nothing(b);
    rig_close(&rig);
}

static void somebody_elses_token_is_refused(void **unused)
{
    static const char *const others[] = {",\"sub\":\"mallory\"", "",
                                         ",\"sub\":\"a\",\"yomo\":{\"app\":\"x\"}"};
    struct rig rig;

    (void)unused;
    rig_open(&rig, 1, NULL, "token-keys", key_file, NULL);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        struct client *a = knock(&rig, "yomo=1", ",\"sub\":\"a\"", 600);
        expect_op(a, YO_OP_HELLO);
        assert_int_equal(send_token(a, others[i], 60)->message.code, YOMO_ERR_DENIED);
        assert_false(a->closing);
    }
    rig_close(&rig);
}

static void a_bad_new_token_leaves_the_old_one_in_place(void **unused)
{
    struct rig rig;
    struct client *a;

    (void)unused;
    rig_open(&rig, 1, NULL, "token-keys", key_file, NULL);
    a = knock(&rig, "yomo=1", ",\"sub\":\"a\"", 600);
    expect_op(a, YO_OP_HELLO);
    assert_int_equal(send_token(a, ",\"sub\":\"a\"", -60)->message.code, YOMO_ERR_AUTH);
    client_join(a, "room", NULL);
    expect_op(a, YO_OP_CHANNEL_JOIN);
    rig_close(&rig);
    rig_open(&rig, 1, NULL, NULL); /* a server that knows no tokens */
    a = rig_connect(&rig, 0, WS, "yomo=1&id=a");
    expect_op(a, YO_OP_HELLO);
    assert_int_equal(send_token(a, "", 60)->message.code, YOMO_ERR_AUTH);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_good_token_nobody_comes_in),
        cmocka_unit_test(a_token_prescribes_the_id),
        cmocka_unit_test(rights_are_those_of_the_room),
        cmocka_unit_test(applications_are_kept_apart),
        cmocka_unit_test(a_connection_ends_with_its_token),
        cmocka_unit_test(a_new_token_takes_the_place_of_the_old_one),
        cmocka_unit_test(what_a_token_says_of_a_member_is_told),
        cmocka_unit_test(what_the_host_says_wins),
        cmocka_unit_test(somebody_elses_token_is_refused),
        cmocka_unit_test(a_bad_new_token_leaves_the_old_one_in_place),
        cmocka_unit_test(a_secret_that_is_read_again_counts_from_then_on),
    };
    return cmocka_run_group_tests(tests, make_key_file, drop_key_file);
}
