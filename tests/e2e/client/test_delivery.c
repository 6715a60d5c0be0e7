/* SPDX-License-Identifier: MIT */
/* To some members, requests and replies, pace: clients and a backend with two workers
 * in one program, over real sockets, over each transport. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <yomo/client.h>
#include <yomo/error.h>
#include <yomo/server.h>

#include "member.h"

static char state_dir[] = "/tmp/yomo-e2e-XXXXXX";

/* --- the host: answers with what it was asked, from a thread of its own --- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    yomo_request *request;
    char text[64];
    bool over;
} desk = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static int32_t on_request(void *user, const yomo_member *member, const char *event,
                          const void *data, size_t size, int32_t encoding,
                          yomo_request *request)
{
    (void)user, (void)encoding;
    if (strcmp(event, "echo") != 0) {
        return YOMO_ERR_DENIED;
    }
    pthread_mutex_lock(&desk.lock);
    snprintf(desk.text, sizeof(desk.text), "[\"%s\",%.*s]", yomo_member_id(member),
             (int)size, (const char *)data);
    desk.request = request;
    pthread_cond_signal(&desk.changed);
    pthread_mutex_unlock(&desk.lock);
    return YOMO_LATER;
}

static void *clerk(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&desk.lock);
    while (!desk.over) {
        if (desk.request) {
            yomo_request *request = desk.request;
            desk.request = NULL;
            if (yomo_request_reply(request, desk.text, strlen(desk.text), YOMO_JSON) !=
                YOMO_OK) {
                yomo_request_free(request);
            }
        }
        pthread_cond_wait(&desk.changed, &desk.lock);
    }
    pthread_mutex_unlock(&desk.lock);
    return unused;
}

static yomo_server *begin_server(void)
{
    static const yomo_server_callbacks hooks = {.size = sizeof(hooks),
                                                .on_request = on_request};
    yomo_options *options;
    yomo_server *server;
    assert_int_equal(yomo_options_create(&options, YOMO_SCOPE_SERVER), YOMO_OK);
    assert_int_equal(yomo_options_set(options, "port", "0"), YOMO_OK);
    assert_int_equal(yomo_options_set(options, "http-port", "0"), YOMO_OK);
    assert_int_equal(yomo_options_set(options, "state-dir", state_dir), YOMO_OK);
    assert_int_equal(yomo_options_set(options, "workers", "2"), YOMO_OK);
    assert_int_equal(yomo_options_set(options, "message-rate", "0"), YOMO_OK);
    assert_int_equal(yomo_server_create(&server, options, &hooks, NULL), YOMO_OK);
    yomo_options_free(options);
    if (yomo_server_listen(server) != YOMO_OK) {
        fail_msg("listen: %s", yomo_server_error(server));
    }
    return server;
}

/* --- members --- */

#define MEMBERS 4 /* more than workers */

struct scene {
    struct member members[MEMBERS];
    yomo_send *how;
};

static void poll_all(struct scene *scene)
{
    for (size_t i = 0; i < MEMBERS; i++) {
        member_poll(&scene->members[i], 5);
    }
}

#define UNTIL(scene, condition)                               \
    do {                                                      \
        uint64_t until_ = member_clock_ms() + MEMBER_WAIT_MS; \
        while (!(condition)) {                                \
            if (member_clock_ms() > until_) {                 \
                fail_msg("%s did not happen", #condition);    \
            }                                                 \
            poll_all(scene);                                  \
        }                                                     \
    } while (0)

static void open_scene(struct scene *scene, yomo_server *server, const char *transport)
{
    static const char *const ids[MEMBERS] = {"alice", "bob", "bob", "carol"};
    for (size_t i = 0; i < MEMBERS; i++) {
        member_begin(&scene->members[i], yomo_server_port(server), state_dir, ids[i],
                     transport);
        member_join(&scene->members[i], "room", NULL);
        MEMBER_UNTIL(&scene->members[i], scene->members[i].joined == 1);
    }
    assert_int_equal(yomo_send_create(&scene->how, scene->members[0].client), YOMO_OK);
    UNTIL(scene, scene->members[0].came == 3);
}

static void close_scene(struct scene *scene)
{
    yomo_send_free(scene->how);
    for (size_t i = 0; i < MEMBERS; i++) {
        member_end(&scene->members[i]);
    }
}

static int32_t send_with(struct scene *scene, const char *json, uint64_t *id)
{
    return yomo_room_send_with(scene->members[0].room, scene->how, "e", json,
                               strlen(json), YOMO_JSON, id);
}

static void to_some(yomo_server *server, const char *transport)
{
    struct scene scene;
    uint64_t id;
    open_scene(&scene, server, transport);
    struct member *m = scene.members;
    for (int32_t d = YOMO_RELIABLE; d <= YOMO_LATEST; d++) {
        int before = m[3].messages;
        assert_int_equal(yomo_send_set_delivery(scene.how, d), YOMO_OK);
        if (d == YOMO_RELIABLE) {
            assert_int_equal(yomo_send_to(scene.how, yomo_client_session(m[3].client)),
                             YOMO_OK);
        }
        assert_int_equal(send_with(&scene, "\"for carol\"", NULL), YOMO_OK);
        UNTIL(&scene, m[3].messages > before);
    }
    yomo_send_reset(scene.how);
    assert_int_equal(yomo_send_to_user(scene.how, "bob"), YOMO_OK);
    assert_int_equal(yomo_send_set_me(scene.how, 1), YOMO_OK);
    assert_int_equal(send_with(&scene, "\"for bob\"", &id), YOMO_OK);
    UNTIL(&scene, m[0].sent == 1 && m[0].messages == 1 && m[1].messages == 1 &&
                      m[2].messages == 1);
    assert_int_equal(m[0].sent_error, YOMO_OK);
    yomo_send_reset(scene.how);
    assert_int_equal(yomo_send_to_user(scene.how, "zoe"), YOMO_OK);
    assert_int_equal(send_with(&scene, "1", &id), YOMO_OK);
    UNTIL(&scene, m[0].sent == 2);
    assert_int_equal(m[0].sent_error, YOMO_ERR_NOT_FOUND);
    /* Behind a broadcast everything before it has come: nobody heard what was not his.
     */
    assert_int_equal(yomo_room_broadcast(m[0].room, "e", "\"all\"", YOMO_RELIABLE),
                     YOMO_OK);
    UNTIL(&scene, strcmp(m[1].last, "\"all\"") == 0 &&
                      strcmp(m[2].last, "\"all\"") == 0 &&
                      strcmp(m[3].last, "\"all\"") == 0);
    assert_int_equal(m[0].messages, 1);
    assert_int_equal(m[1].messages, 2);
    assert_int_equal(m[2].messages, 2);
    assert_int_equal(m[3].messages, 4);
    close_scene(&scene);
}

/* --- requests --- */

struct outcome {
    int calls;
    int32_t error;
    char data[64];
};

static void on_outcome(void *user, yomo_room *room, int32_t error,
                       const yomo_message *reply)
{
    struct outcome *outcome = user;
    (void)room;
    outcome->calls++;
    outcome->error = error;
    snprintf(outcome->data, sizeof(outcome->data), "%s",
             reply ? yomo_message_json(reply, NULL) : "");
}

static void answer_with_double(void *user, yomo_room *room, const yomo_message *message)
{
    char text[32];
    yomo_request *request = yomo_message_take_request(message);
    (void)user, (void)room;
    assert_non_null(request);
    snprintf(text, sizeof(text), "%d", 2 * atoi(yomo_message_json(message, NULL)));
    if (yomo_request_reply(request, text, strlen(text), YOMO_JSON) != YOMO_OK) {
        yomo_request_free(request);
    }
}

static void expect_outcome(struct scene *scene, const char *event, int32_t error,
                           const char *data)
{
    struct outcome outcome = {0};
    assert_int_equal(yomo_room_request(scene->members[0].room, scene->how, event, "21",
                                       2, YOMO_JSON, 0, on_outcome, &outcome),
                     YOMO_OK);
    UNTIL(scene, outcome.calls == 1);
    assert_int_equal(outcome.error, error);
    assert_string_equal(outcome.data, data);
}

static void ask(yomo_server *server, const char *transport)
{
    struct scene scene;
    open_scene(&scene, server, transport);
    struct member *m = scene.members;
    assert_int_equal(
        yomo_room_subscribe(m[3].room, "double", answer_with_double, NULL, NULL),
        YOMO_OK);
    for (int i = 0; i < 20; i++) {
        yomo_send_reset(scene.how);
        yomo_send_to(scene.how, yomo_client_session(m[3].client));
        expect_outcome(&scene, "double", YOMO_OK, "42");
        yomo_send_reset(scene.how);
        yomo_send_to_server(scene.how);
        expect_outcome(&scene, "echo", YOMO_OK, "[\"alice\",21]");
    }
    expect_outcome(&scene, "other", YOMO_ERR_DENIED, "null");
    yomo_send_reset(scene.how);
    yomo_send_to_user(scene.how, "zoe");
    expect_outcome(&scene, "double", YOMO_ERR_NOT_FOUND, "");
    assert_int_equal(yomo_client_replies_dropped(m[0].client), 0);
    close_scene(&scene);
}

/* --- pace --- */

#define PACE_MS 100
#define SPAN_MS 1500

static void paced(yomo_server *server, const char *transport)
{
    struct member fast, slow;
    yomo_join *join;
    char text[24] = "";
    member_begin(&fast, yomo_server_port(server), state_dir, "fast", transport);
    member_begin(&slow, yomo_server_port(server), state_dir, "slow", transport);
    member_join(&fast, "room", NULL);
    assert_int_equal(yomo_join_create(&join, slow.client), YOMO_OK);
    assert_int_equal(yomo_join_set_pace(join, PACE_MS), YOMO_OK);
    assert_int_equal(yomo_client_join_with(slow.client, "room", join, &slow.room),
                     YOMO_OK);
    yomo_join_free(join);
    assert_int_equal(yomo_client_connect(slow.client), YOMO_OK);
    member_until2(&fast, &slow, &slow.joined, 1);
    member_until2(&fast, &slow, &fast.joined, 1);
    uint64_t begin = member_clock_ms(), sent = 0;
    while (member_clock_ms() < begin + SPAN_MS) { /* about one in a millisecond */
        if (member_clock_ms() - begin > sent) {
            snprintf(text, sizeof(text), "%llu", (unsigned long long)++sent);
            assert_int_equal(
                yomo_room_broadcast(fast.room, "cursor", text, YOMO_LATEST), YOMO_OK);
        }
        member_poll(&fast, 1);
        member_poll(&slow, 0);
    }
    uint64_t until = member_clock_ms() + MEMBER_WAIT_MS;
    while (strcmp(slow.last, text) != 0) {
        assert_true(member_clock_ms() < until);
        member_poll(&fast, 1);
        member_poll(&slow, 1);
    }
    uint64_t span = member_clock_ms() - begin;
    print_message("  %s: %d of %llu values in %llu ms\n", transport, slow.messages,
                  (unsigned long long)sent, (unsigned long long)span);
    assert_true((uint64_t)slow.messages <= span / PACE_MS + 2);
    assert_true(slow.messages >= 3); /* even where a machine hardly comes along */
    member_end(&fast);
    member_end(&slow);
}

#define BOTH(name)                                     \
    static void name##_over_websocket(void **state)    \
    {                                                  \
        name(*state, "websocket");                     \
    }                                                  \
    static void name##_over_webtransport(void **state) \
    {                                                  \
        name(*state, "webtransport");                  \
    }
BOTH(to_some)
BOTH(ask)
BOTH(paced)

static pthread_t clerk_thread;

static int setup(void **state)
{
    if (!mkdtemp(state_dir) || pthread_create(&clerk_thread, NULL, clerk, NULL) != 0) {
        return -1;
    }
    *state = begin_server();
    return 0;
}

static int teardown(void **state)
{
    char command[64];
    yomo_server_free(*state);
    pthread_mutex_lock(&desk.lock);
    desk.over = true;
    pthread_cond_signal(&desk.changed);
    pthread_mutex_unlock(&desk.lock);
    pthread_join(clerk_thread, NULL);
    snprintf(command, sizeof(command), "rm -rf %s", state_dir);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(to_some_over_websocket),
        cmocka_unit_test(to_some_over_webtransport),
        cmocka_unit_test(ask_over_websocket),
        cmocka_unit_test(ask_over_webtransport),
        cmocka_unit_test(paced_over_websocket),
        cmocka_unit_test(paced_over_webtransport),
    };
    return cmocka_run_group_tests_name("e2e/delivery", tests, setup, teardown);
}
