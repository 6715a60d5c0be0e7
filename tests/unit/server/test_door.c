/* SPDX-License-Identifier: MIT */
/* test_door.c - who may come in, and how a no is said so that it is understood. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rig.h"
#include "rig_listener.h"
#include "support/bytes.h"

#define WS YOMO_TRANSPORT_WEBSOCKET
#define WT YOMO_TRANSPORT_WEBTRANSPORT

static void only_rooms_and_echo_have_a_path(void **unused)
{
    static const char *const wrong[] = {"/", "/v2", "/v1/", "/V1", "/healthz", ""};
    struct rig rig;

    (void)unused;
    rig_open(&rig, 1, NULL, NULL);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(rig_knock(&rig, 0, WS, wrong[i], "", NULL)->status, 404);
    }
    assert_int_equal(rig_count(&rig, refused_path), sizeof(wrong) / sizeof(wrong[0]));
    assert_int_equal(rig_knock(&rig, 0, WT, "/v1", "", NULL)->status, 200);
    assert_int_equal(rig_knock(&rig, 0, WS, "/echo", "", NULL)->status, 200);
    rig_close(&rig);
}

/* Over WebTransport it is streams that go back: tests/e2e/echo.c. */
static void echo_sends_messages_back_in_development(void **unused)
{
    struct rig rig;
    struct client *a;
    struct heard *heard;

    (void)unused;
    rig_open(&rig, 1, NULL, NULL);
    a = rig_knock(&rig, 0, WS, "/echo", "", NULL);
    assert_int_equal(rig_count(&rig, echoes_websocket), 1);
    client_say(a, YO_LANE_CONTROL, bytes_hex("81a16101"));
    heard = client_next(a);
    assert_non_null(heard);
    assert_hex(yo_blob_span(heard->blob), "81a16101");
    assert_int_equal(heard->lane, YO_LANE_CONTROL);
    assert_int_equal(rig_count(&rig, echo_message_bytes), 4);
    client_close(a);
    assert_int_equal(rig_count(&rig, echoes_websocket), 0);
    rig_close(&rig);
    rig_open(&rig, 1, NULL, "keys", "a=k", NULL);
    assert_int_equal(rig_knock(&rig, 0, WS, "/echo", "", NULL)->status, 404);
    rig_close(&rig);
    rig_open(&rig, 1, NULL, "keys", "a=k", "echo", "yes", NULL);
    assert_int_equal(rig_knock(&rig, 0, WS, "/echo", "", NULL)->status, 200);
    rig_close(&rig);
}

static void echo_puts_out_who_does_not_read(void **unused)
{
    struct rig rig;
    struct client *a;

    (void)unused;
    rig_open(&rig, 1, NULL, "connections-max", "1", NULL);
    a = rig_knock(&rig, 0, WS, "/echo", "", NULL);
    assert_int_equal(rig_knock(&rig, 0, WS, "/echo", "", NULL)->status, 503);
    a->room = 6;
    client_say(a, YO_LANE_CONTROL, bytes_hex("81a16101"));
    assert_false(a->closing);
    client_say(a, YO_LANE_CONTROL, bytes_hex("81a16101"));
    assert_int_equal(a->why.code, YO_CODE_SLOW);
    rig_close(&rig);
}

static void origins_are_loopback_or_listed(void **unused)
{
    static const char *const good[] = {NULL,
                                       "http://localhost:3000",
                                       "https://localhost",
                                       "http://127.0.0.1:8080",
                                       "http://[::1]:8080",
                                       "http://app.localhost",
                                       "https://example.com"};
    static const char *const bad[] = {"https://evil.example",
                                      "null",
                                      "",
                                      "http://localhost.evil.example",
                                      "https://example.com:444",
                                      "https://example.com.evil.example",
                                      "file://localhost/x",
                                      "http://notlocalhost"};
    struct rig rig;

    (void)unused;
    rig_open(&rig, 1, NULL, "origins", "https://example.com", NULL);
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct client *client = rig_knock(&rig, 0, WS, "/v1", "", good[i]);
        assert_int_equal(client->status, 200);
        assert_false(client->closing);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct client *client = rig_knock(&rig, 0, WS, "/v1", "", bad[i]);
        if (!client->closing) {
            fail_msg("origin %s came in", bad[i]);
        }
        assert_int_equal(client->why.code, YO_CODE_DENIED);
        assert_int_equal(client->why.kind, YO_CLOSE_FINAL);
    }
    rig_close(&rig);
    rig_open(&rig, 1, NULL, "origins", "*", NULL);
    assert_false(rig_knock(&rig, 0, WS, "/v1", "", "https://evil.example")->closing);
    rig_close(&rig);
}

static void an_unknown_key_is_refused_for_good(void **unused)
{
    static const char *const wrong[] = {"", "publickey=", "publickey=k",
                                        "publickey=k11"};
    struct rig rig;

    (void)unused;
    rig_open(&rig, 1, NULL, "keys", "one=k1", NULL);
    assert_false(rig_knock(&rig, 0, WS, "/v1", "publickey=k1", NULL)->closing);
    assert_false(rig_knock(&rig, 0, WS, "/v1", "publickey=%6b%31", NULL)->closing);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct client *client = rig_knock(&rig, 0, WT, "/v1", wrong[i], NULL);
        assert_true(client->closing);
        assert_int_equal(client->why.code, YO_CODE_AUTH);
        assert_int_equal(client->why.kind, YO_CLOSE_FINAL);
    }
    assert_int_equal(rig_count(&rig, refused_auth), 4);
    assert_null(strstr(rig.log, "k11")); /* queries are never logged */
    rig_close(&rig);
}

static const char *id_of(struct rig *rig)
{
    struct yo_worker *worker = rig_worker(rig, 0);

    return YO_CONTAINER(worker->peers.prev, struct yo_peer, in_worker)->id;
}

static void ids_are_decoded_and_an_empty_one_is_made(void **unused)
{
    struct rig rig;
    char long_query[300];

    (void)unused;
    rig_open(&rig, 1, NULL, NULL);
    rig_connect(&rig, 0, WS, "id=J%C3%BCrgen+1%202");
    assert_string_equal(id_of(&rig), "J\xc3\xbcrgen+1 2");
    rig_connect(&rig, 0, WS, "publickey=x&id=J\xc3\xbcrgen");
    assert_string_equal(id_of(&rig), "J\xc3\xbcrgen");
    rig_connect(&rig, 0, WS, "id=");
    assert_int_equal(strlen(id_of(&rig)), 16);
    rig_connect(&rig, 0, WS, "");
    assert_int_equal(strlen(id_of(&rig)), 16);
    memcpy(long_query, "id=", 3);
    memset(long_query + 3, 'a', 255);
    long_query[258] = '\0';
    rig_connect(&rig, 0, WS, long_query);
    memset(long_query + 3, 'a', 256);
    long_query[259] = '\0';
    assert_int_equal(rig_knock(&rig, 0, WS, "/v1", long_query, NULL)->why.code,
                     YO_CODE_DENIED);
    assert_int_equal(rig_knock(&rig, 0, WS, "/v1", "id=%ff", NULL)->why.code,
                     YO_CODE_DENIED);
    assert_int_equal(rig_knock(&rig, 0, WS, "/v1", "id=a%00b", NULL)->why.code,
                     YO_CODE_DENIED);
    assert_int_equal(rig_knock(&rig, 0, WS, "/v1", "id=%4", NULL)->why.code,
                     YO_CODE_DENIED);
    assert_int_equal(rig_count(&rig, refused_request), 4);
    rig_close(&rig);
}

static void past_the_number_of_connections_the_door_says_later(void **unused)
{
    struct rig rig;
    struct client *a;

    (void)unused;
    rig_open(&rig, 2, NULL, "connections-max", "2", NULL);
    a = rig_connect(&rig, 0, WS, "");
    rig_connect(&rig, 1, WS, "");
    assert_int_equal(rig_knock(&rig, 0, WS, "/v1", "", NULL)->status, 503);
    client_close(a);
    rig_connect(&rig, 1, WS, "");
    rig_close(&rig);
}

/* --- the host's hook ------------------------------------------------------------- */

static yomo_auth *asked;
static int32_t answer;

static int32_t authenticate(void *user, yomo_auth *auth)
{
    (void)user;
    asked = auth;
    if (answer == YOMO_OK) {
        assert_string_equal(yomo_auth_token(auth), "t&t");
        assert_string_equal(yomo_auth_public_key(auth), "k");
        assert_string_equal(yomo_auth_origin(auth), "http://localhost");
        assert_string_equal(yomo_auth_address(auth), "192.0.2.1:50000");
        assert_int_equal(yomo_auth_transport(auth), WS);
        assert_string_equal(yomo_auth_id(auth), "claimed");
        assert_int_equal(yomo_auth_set_id(auth, ""), YOMO_ERR_INVALID);
        assert_int_equal(yomo_auth_set_id(auth, "proven"), YOMO_OK);
        assert_int_equal(yomo_auth_set_app(auth, "app"), YOMO_OK);
    }
    return answer;
}

static const yomo_server_callbacks hooks = {.size = sizeof(hooks),
                                            .authenticate = authenticate};

static void the_hook_sees_the_request_and_names_the_user(void **unused)
{
    struct rig rig;
    struct client *a;
    struct yo_peer *peer;

    (void)unused;
    answer = YOMO_OK;
    rig_open(&rig, 1, &hooks, NULL);
    a = rig_knock(&rig, 0, WS, "/v1", "id=claimed&token=t%26t&publickey=k",
                  "http://localhost");
    assert_false(a->closing);
    peer = YO_CONTAINER(rig_worker(&rig, 0)->peers.prev, struct yo_peer, in_worker);
    assert_string_equal(peer->id, "proven");
    assert_string_equal(peer->app, "app");
    assert_null(strstr(rig.log, "t&t"));
    rig_close(&rig);
}

static void the_hooks_no_is_final_unless_it_is_about_room(void **unused)
{
    static const struct {
        int32_t error;
        uint32_t code;
        enum yo_close_kind kind;
    } cases[] = {{YOMO_ERR_AUTH, YO_CODE_AUTH, YO_CLOSE_FINAL},
                 {YOMO_ERR_DENIED, YO_CODE_DENIED, YO_CLOSE_FINAL},
                 {YOMO_ERR_INVALID, YO_CODE_DENIED, YO_CLOSE_FINAL},
                 {YOMO_ERR_KICKED, YO_CODE_KICKED, YO_CLOSE_FINAL},
                 {YOMO_ERR_FULL, YO_CODE_TRY_LATER, YO_CLOSE_RETRY}};
    struct rig rig;

    (void)unused;
    rig_open(&rig, 1, &hooks, NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct client *client;
        answer = cases[i].error;
        client = rig_knock(&rig, 0, WT, "/v1", "id=a", NULL);
        assert_true(client->closing);
        assert_int_equal(client->why.code, cases[i].code);
        assert_int_equal(client->why.kind, cases[i].kind);
    }
    rig_close(&rig);
}

static void *accept_thread(void *auth)
{
    yomo_auth_accept(auth);
    return NULL;
}

static void the_answer_may_come_later_and_from_any_thread(void **unused)
{
    struct rig rig;
    struct client *a;
    pthread_t thread;

    (void)unused;
    answer = YOMO_LATER;
    rig_open(&rig, 1, &hooks, NULL);
    a = rig_knock(&rig, 0, WS, "/v1", "yomo=1&id=a", NULL);
    assert_int_equal(a->status, 0);
    assert_int_equal(pthread_create(&thread, NULL, accept_thread, asked), 0);
    pthread_join(thread, NULL);
    rig_settle(&rig);
    assert_int_equal(a->status, 200);
    expect_op(a, YO_OP_HELLO);
    a = rig_knock(&rig, 0, WS, "/v1", "yomo=1&id=b", NULL);
    yomo_auth_refuse(asked, YOMO_ERR_AUTH);
    rig_settle(&rig);
    assert_int_equal(a->why.code, YO_CODE_AUTH);
    rig_close(&rig);
}

static void who_went_away_meanwhile_is_not_let_in(void **unused)
{
    struct rig rig;
    struct client *a;

    (void)unused;
    answer = YOMO_LATER;
    rig_open(&rig, 1, &hooks, NULL);
    a = rig_knock(&rig, 0, WS, "/v1", "id=a", NULL);
    rig_listener_go(a->incoming);
    assert_string_equal(yomo_auth_id(asked), "a"); /* still the host's */
    yomo_auth_accept(asked);
    rig_settle(&rig);
    assert_int_equal(rig_count(&rig, accepted_websocket), 0);
    rig_close(&rig);
}

static void an_answer_after_the_servers_end_is_harmless(void **unused)
{
    struct rig rig;
    struct client *a;

    (void)unused;
    answer = YOMO_LATER;
    rig_open(&rig, 1, &hooks, NULL);
    a = rig_knock(&rig, 0, WS, "/v1", "id=late", NULL);
    (void)a;
    rig_close(&rig);
    assert_string_equal(yomo_auth_id(asked), "late");
    yomo_auth_accept(asked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_rooms_and_echo_have_a_path),
        cmocka_unit_test(echo_sends_messages_back_in_development),
        cmocka_unit_test(echo_puts_out_who_does_not_read),
        cmocka_unit_test(origins_are_loopback_or_listed),
        cmocka_unit_test(an_unknown_key_is_refused_for_good),
        cmocka_unit_test(ids_are_decoded_and_an_empty_one_is_made),
        cmocka_unit_test(past_the_number_of_connections_the_door_says_later),
        cmocka_unit_test(the_hook_sees_the_request_and_names_the_user),
        cmocka_unit_test(the_hooks_no_is_final_unless_it_is_about_room),
        cmocka_unit_test(the_answer_may_come_later_and_from_any_thread),
        cmocka_unit_test(who_went_away_meanwhile_is_not_let_in),
        cmocka_unit_test(an_answer_after_the_servers_end_is_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
