/* SPDX-License-Identifier: MIT */
/* WebTransport without rooms: several sessions on one connection, where server and
 * client have agreed on it, and one for each where they have not. */
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static enum way way;

static struct end *connect_shared(struct rig *rig, const char *path)
{
    struct end *client = rig_end(rig, false);
    char url[128];
    yomo_wt_request *request;
    snprintf(url, sizeof(url), "%s%s", rig->base, path);
    assert_int_equal(yomo_wt_request_create(&request, url), YOMO_OK);
    yomo_wt_request_share(request, 1);
    rig_begin(client, request);
    return client;
}

/* One number of the server's metrics. */
static unsigned long metric(struct rig *rig, const char *name)
{
    char *text = malloc(65536);
    assert_non_null(text);
    assert_int_equal(yomo_server_metrics(rig->server, text, 65536, NULL), YOMO_OK);
    const char *at = strstr(text, name);
    assert_non_null(at);
    unsigned long value = strtoul(at + strlen(name), NULL, 10);
    free(text);
    return value;
}

static unsigned long handshakes(struct rig *rig)
{
    return metric(rig, "yomo_tls_handshakes_total{transport=\"quic\",kind=\"full\"} ") +
           metric(rig,
                  "yomo_tls_handshakes_total{transport=\"quic\",kind=\"resumed\"} ");
}

/* What the doors count comes to the metrics once a second. */
static void wait_for_handshakes(struct rig *rig, unsigned long count)
{
    uint64_t limit = rig_now_ms() + RIG_MS;
    while (handshakes(rig) < count) {
        assert_true(rig_now_ms() < limit);
        rig_turn(rig);
    }
    assert_int_equal(handshakes(rig), count);
}

static void say_and_hear(struct rig *rig, struct end *client, const char *text)
{
    struct pipe *pipe = rig_stream(client, true);
    pthread_mutex_lock(&rig->lock);
    size_t datagrams = client->datagrams;
    pthread_mutex_unlock(&rig->lock);
    assert_int_equal(yomo_wt_stream_write(pipe->stream, text, strlen(text), NULL),
                     YOMO_OK);
    assert_int_equal(yomo_wt_stream_finish(pipe->stream), YOMO_OK);
    assert_int_equal(yomo_wt_session_send(client->session, text, strlen(text), 0),
                     YOMO_OK);
    UNTIL(rig, pipe->fin && client->datagrams > datagrams);
    assert_int_equal(pipe->size, strlen(text));
    assert_memory_equal(pipe->data, text, pipe->size);
    assert_memory_equal(client->last, text, client->last_size);
}

static void sessions_share_a_connection(void **state)
{
    struct rig rig = {.server_template.echo = true, .sessions = "4"};
    struct end *clients[4];
    char text[32];
    (void)state;
    rig_open(&rig, way, "1", NULL);
    for (int i = 0; i < 4; i++) {
        clients[i] = connect_shared(&rig, "/app/shared");
        UNTIL(&rig, clients[i]->open);
    }
    for (int i = 0; i < 4; i++) {
        snprintf(text, sizeof(text), "session %d", i);
        say_and_hear(&rig, clients[i], text);
    }
    wait_for_handshakes(&rig, 1);
    /* One ends, with its code, and the others do not notice. */
    yomo_wt_session_close(clients[1]->session, 4, "enough");
    UNTIL(&rig, clients[1]->closed && rig_server_end(&rig, 1)->closed);
    assert_int_equal(rig_server_end(&rig, 1)->code, 4);
    assert_string_equal(rig_server_end(&rig, 1)->reason, "enough");
    say_and_hear(&rig, clients[0], "still here");
    /* Who does not want to share has a connection of its own. */
    struct end *alone = rig_connect(&rig, "/app/alone");
    UNTIL(&rig, alone->open);
    wait_for_handshakes(&rig, 2);
    /* Others end from either side. */
    yomo_wt_session_close(rig_server_end(&rig, 2)->session, 5, "from there");
    yomo_wt_session_close(clients[0]->session, 0, NULL);
    UNTIL(&rig, clients[2]->closed && clients[0]->closed);
    assert_int_equal(clients[2]->code, 5);
    say_and_hear(&rig, clients[3], "the last one");
    rig_close(&rig);
}

static void one_session_more_than_fit_has_a_connection_of_its_own(void **state)
{
    struct rig rig = {.server_template.echo = true, .sessions = "2"};
    struct end *clients[5];
    (void)state;
    rig_open(&rig, way, "1", NULL);
    for (int i = 0; i < 5; i++) {
        clients[i] = connect_shared(&rig, "/app/shared");
        if (i == 0) {
            UNTIL(&rig, clients[i]->open);
        }
    }
    for (int i = 0; i < 5; i++) {
        UNTIL(&rig, clients[i]->open || clients[i]->closed);
        say_and_hear(&rig, clients[i], "hello");
    }
    rig_close(&rig);
}

static void a_server_that_has_one_session_is_asked_anew(void **state)
{
    struct rig rig = {.server_template.echo = true};
    (void)state;
    rig_open(&rig, way, "1", NULL);
    struct end *one = connect_shared(&rig, "/app/shared");
    UNTIL(&rig, one->open);
    struct end *two = connect_shared(&rig, "/app/shared");
    UNTIL(&rig, two->open);
    say_and_hear(&rig, one, "one");
    say_and_hear(&rig, two, "two");
    wait_for_handshakes(&rig, 2);
    rig_close(&rig);
}

static void a_refusal_on_a_shared_connection_is_one_sessions(void **state)
{
    struct rig rig = {.server_template.echo = true, .sessions = "4"};
    (void)state;
    rig_open(&rig, way, "1", NULL);
    struct end *one = connect_shared(&rig, "/app/shared");
    UNTIL(&rig, one->open);
    struct end *two = connect_shared(&rig, "/nowhere");
    UNTIL(&rig, two->closed);
    assert_int_equal(two->status, 404);
    say_and_hear(&rig, one, "still here");
    wait_for_handshakes(&rig, 1);
    rig_close(&rig);
}

static void much_on_one_session_does_not_hold_up_another(void **state)
{
    struct rig rig = {.server_template.hold = true, .sessions = "4"};
    static uint8_t bytes[1 << 18];
    (void)state;
    rig_open(&rig, way, "1", NULL);
    struct end *one = connect_shared(&rig, "/app/shared");
    UNTIL(&rig, one->open && rig.accepted == 1);
    struct end *two = connect_shared(&rig, "/app/shared");
    UNTIL(&rig, two->open && rig.accepted == 2);
    /* The server does not read a byte of the first one's streams. */
    for (int i = 0; i < 8; i++) {
        struct pipe *pipe = rig_stream(one, false);
        size_t taken;
        assert_int_equal(
            yomo_wt_stream_write(pipe->stream, bytes, sizeof(bytes), &taken), YOMO_OK);
    }
    UNTIL(&rig, rig_server_end(&rig, 0)->pipe_count == 8);
    pthread_mutex_lock(&rig.lock);
    rig_server_end(&rig, 1)->hold = false;
    pthread_mutex_unlock(&rig.lock);
    struct pipe *pipe = rig_stream(two, false);
    assert_int_equal(yomo_wt_stream_write(pipe->stream, bytes, sizeof(bytes), NULL),
                     YOMO_OK);
    assert_int_equal(yomo_wt_stream_finish(pipe->stream), YOMO_OK);
    UNTIL(&rig, rig_server_end(&rig, 1)->fins == 1);
    assert_int_equal(rig_server_end(&rig, 1)->pipes[0]->size, sizeof(bytes));
    rig_close(&rig);
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"thread", "host", "poll"};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_share_a_connection),
        cmocka_unit_test(one_session_more_than_fit_has_a_connection_of_its_own),
        cmocka_unit_test(a_server_that_has_one_session_is_asked_anew),
        cmocka_unit_test(a_refusal_on_a_shared_connection_is_one_sessions),
        cmocka_unit_test(much_on_one_session_does_not_hold_up_another),
    };
    for (int i = 0; i < 3 && argc > 1; i++) {
        if (strcmp(argv[1], names[i]) == 0) {
            way = (enum way)i;
        }
    }
    if (argc > 2) {
        cmocka_set_test_filter(argv[2]);
    }
    return cmocka_run_group_tests_name("shared", tests, NULL, NULL);
}
