/* SPDX-License-Identifier: MIT */
/* A client whose memory runs out, at each of its allocations in turn: it says so or
 * does without, everything ends, and nothing is left. The server's never does. */
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/fault.h"

/* What the polled client has been told. */
struct story {
    yomo_wt_session *session;
    bool open, closed, client_closed, back;
    size_t streams, streams_closed;
};

static size_t on_data(void *user, yomo_wt_stream *stream, const void *data, size_t size,
                      int32_t fin)
{
    struct story *story = user;
    (void)stream, (void)data;
    story->back = story->back || fin;
    return size;
}

static void on_stream_closed(void *user, yomo_wt_stream *stream)
{
    struct story *story = user;
    (void)stream;
    story->streams_closed++;
}

static const yomo_wt_stream_callbacks stream_callbacks = {
    .size = sizeof(stream_callbacks),
    .on_data = on_data,
    .on_closed = on_stream_closed,
};

/* Where a call says that it could not be, nothing will come back. */
static void say(struct story *story, yomo_wt_session *session)
{
    yomo_wt_stream *stream;
    if (yomo_wt_session_open_bidirectional(session, &stream_callbacks, story,
                                           &stream) != YOMO_OK) {
        story->back = true;
        return;
    }
    story->streams++;
    bool said = yomo_wt_stream_write(stream, "0123456789", 10, NULL) == YOMO_OK;
    (void)yomo_wt_stream_set_priority(stream, 1, 2);
    said = yomo_wt_stream_finish(stream) == YOMO_OK && said;
    story->back = story->back || !said;
    (void)yomo_wt_session_send(session, "datagram", 8, 1);
}

static void on_open(void *user, yomo_wt_session *session)
{
    struct story *story = user;
    story->open = true;
    say(story, session);
}

static void on_stream(void *user, yomo_wt_session *session, yomo_wt_stream *stream)
{
    struct story *story = user;
    (void)session;
    story->streams++;
    yomo_wt_stream_listen(stream, &stream_callbacks, story);
}

static void on_closed(void *user, yomo_wt_session *session, const yomo_wt_end *end)
{
    struct story *story = user;
    (void)session, (void)end;
    assert_int_equal(story->streams, story->streams_closed);
    assert_false(story->closed);
    story->closed = true;
}

static void on_client_closed(void *user, yomo_wt_client *client)
{
    struct story *story = user;
    (void)client;
    story->client_closed = true;
}

static yomo_wt_client *make_client(struct rig *rig, struct fault *fault,
                                   struct story *story)
{
    yomo_options *options;
    yomo_wt_client *client = NULL;
    assert_int_equal(yomo_options_create(&options, YOMO_SCOPE_CLIENT), YOMO_OK);
    assert_int_equal(yomo_options_set(options, "state-dir", rig->state_dir), YOMO_OK);
    int rv = yomo_options_set_mem(options, &fault->mem);
    rv = rv == YOMO_OK
             ? yomo_wt_client_create(&client, options, on_client_closed, story)
             : rv;
    yomo_options_free(options);
    if (rv != YOMO_OK) {
        assert_true(fault->failed);
        return NULL;
    }
    return client;
}

static void run(yomo_wt_client *client, const bool *until, const bool *over)
{
    uint64_t limit = rig_now_ms() + RIG_MS;
    int32_t rv = YOMO_OK;
    while (!*until && !*over && rv == YOMO_OK) {
        if (rig_now_ms() > limit) {
            fail_msg("it does not end");
        }
        rv = yomo_wt_client_poll(client);
        assert_true(rv == YOMO_OK || rv == YOMO_ERR_CLOSED || rv == YOMO_ERR_NOMEM);
    }
}

/* From outside of turns, too: as letters. */
static void body(struct fault *fault, void *user)
{
    struct rig *rig = user;
    struct story story = {0};
    yomo_wt_session_callbacks callbacks = {
        .size = sizeof(callbacks),
        .on_open = on_open,
        .on_stream = on_stream,
        .on_closed = on_closed,
    };
    yomo_wt_request *request;
    char url[128];
    yomo_wt_client *client = make_client(rig, fault, &story);
    if (!client) {
        return;
    }
    snprintf(url, sizeof(url), "%s/app/x", rig->base);
    assert_int_equal(yomo_wt_request_create(&request, url), YOMO_OK);
    assert_int_equal(yomo_wt_request_offer(request, "p"), YOMO_OK);
    assert_int_equal(yomo_wt_request_set_header(request, "x-a", "b"), YOMO_OK);
    if (yomo_wt_request_connect(request, client, &callbacks, &story, &story.session) !=
        YOMO_OK) {
        assert_true(fault->failed);
        yomo_wt_request_free(request);
        yomo_wt_client_free(client);
        return;
    }
    yomo_wt_session_ref(story.session);
    run(client, &story.back, &story.closed);
    if (!story.closed) {
        say(&story, story.session);
        yomo_wt_session_close(story.session, 1, "a reason");
    }
    yomo_wt_client_free(client);
    assert_true(story.closed && story.client_closed);
    yomo_wt_session_unref(story.session);
}

static void memory_runs_out(void **state)
{
    struct rig rig = {.server_template.echo = true};
    (void)state;
    rig_open(&rig, WAY_POLL, "1", NULL);
    size_t count = fault_each(body, &rig);
    assert_true(count > 50);
    print_message("%zu allocations\n", count);
    rig_close(&rig);
}

/* --- The server's ----------------------------------------------------------------- */

/* A session with something of everything, as far as it comes. */
static void visit(struct rig *rig)
{
    struct end *client = rig_connect(rig, "/app/x?y");
    UNTIL(rig, client->open || client->closed);
    if (client->open) {
        pthread_mutex_lock(&rig->lock);
        bool over = client->closed;
        pthread_mutex_unlock(&rig->lock);
        for (int bidirectional = 0; bidirectional < 2 && !over; bidirectional++) {
            yomo_wt_session_send(client->session, "datagram", 8, 0);
            struct pipe *pipe = rig_try_stream(client, bidirectional);
            if (!pipe) {
                break;
            }
            (void)yomo_wt_stream_write(pipe->stream, "hello", 5, NULL);
            (void)yomo_wt_stream_finish(pipe->stream);
            /* A server without memory may end the stream, or the session, or all. */
            UNTIL(rig, pipe->closed || client->closed);
        }
    }
    yomo_wt_session_close(client->session, 1, "done");
    UNTIL(rig, client->closed);
}

static void a_servers_memory_runs_out(void **state)
{
    static const char *const options[] = {"connect-timeout", "2s", NULL};
    struct fault fault;
    size_t nth = 0;
    (void)state;
    fault_init(&fault, 0, FAULT_ONCE);
    struct rig rig = {.server_template.echo = true, .server_mem = &fault.mem};
    rig_open(&rig, WAY_THREAD, "1", options);
    do { /* each allocation from now on in turn; the server goes on */
        fault_arm(&fault, ++nth, FAULT_ONCE);
        visit(&rig);
    } while (fault.failed);
    fault_arm(&fault, 0, FAULT_ONCE);
    assert_true(nth > 50);
    print_message("%zu allocations\n", nth);
    visit(&rig);
    rig_close(&rig);
    fault_assert_no_leak(&fault);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_runs_out),
        cmocka_unit_test(a_servers_memory_runs_out),
    };
    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
