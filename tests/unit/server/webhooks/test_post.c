/* SPDX-License-Identifier: MIT */
/* test_post.c - requests over real sockets on one loop, and with each allocation
 * failing in turn: whatever fails, each request has one outcome. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <yomo/error.h>

#include "loop/tcp.h"
#include "server/webhooks/post.h"
#include "server/webhooks/webhooks.h"
#include "support/fault.h"

#define DEADLINE (20 * YO_SECOND)

struct stage {
    struct yo_loop *loop;
    struct yo_tcp_listener *listener;
    struct yo_tcp *guests[8]; /* of the endpoint */
    size_t guest_count;
    const char *said; /* the answer */
    struct yo_post *post;
    struct yo_network listed;
    unsigned done;
    struct yo_posted posted;
};

static void on_read(void *user, struct yo_tcp *tcp, struct yo_span bytes, yo_time now)
{
    struct stage *stage = user;

    (void)now;
    if (bytes.size > 0 && bytes.data[bytes.size - 1] == '}') { /* all of a request */
        (void)yo_tcp_write(tcp, yo_span_of(stage->said));
    }
}

static void on_nothing(void *user, struct yo_tcp *tcp, yo_time now)
{
    (void)user, (void)tcp, (void)now;
}

static void on_error(void *user, struct yo_tcp *tcp, int error, yo_time now)
{
    (void)user, (void)tcp, (void)error, (void)now;
}

static const struct yo_tcp_events guest_events = {.on_read = on_read,
                                                  .on_end = on_nothing,
                                                  .on_drain = on_nothing,
                                                  .on_error = on_error};

static void on_accept(void *user, struct yo_tcp *tcp, yo_time now)
{
    struct stage *stage = user;

    (void)now;
    assert_true(stage->guest_count < 8);
    stage->guests[stage->guest_count++] = tcp;
    yo_tcp_start(tcp, &guest_events, stage);
}

static void on_done(void *user, const struct yo_posted *posted, yo_time now)
{
    struct stage *stage = user;

    (void)now;
    stage->done++;
    stage->posted = *posted;
    stage->posted.text = YO_SPAN_NONE;
}

static int open_stage(struct stage *stage, const struct yomo_mem *mem,
                      const char *network)
{
    static const struct yo_log silent;
    union yo_address local;
    int rv;

    memset(stage, 0, sizeof(*stage));
    stage->said = "HTTP/1.1 204 No Content\r\n\r\n";
    assert_int_equal(yo_network_parse(&stage->listed, yo_span_of(network)), YOMO_OK);
    rv = yo_loop_create(&stage->loop, mem, NULL, &silent);
    if (rv != YOMO_OK) {
        return rv;
    }
    assert_int_equal(yo_address_parse(&local, "127.0.0.1", 0), YOMO_OK);
    rv = yo_tcp_listen(&stage->listener, stage->loop, -1, &local, false, on_accept,
                       stage);
    if (rv == YOMO_OK) {
        struct yo_post_options options = {
            .host = "localhost",
            .port = ntohs(yo_tcp_listener_local(stage->listener)->in.sin_port),
            .target = "/",
            .listed = {&stage->listed, 1},
            .timeout = YO_SECOND / 5};
        rv = yo_post_open(&stage->post, stage->loop, &options, on_done, stage);
    }
    return rv;
}

static void close_stage(struct stage *stage)
{
    if (!stage->loop) {
        return;
    }
    yo_post_close(stage->post);
    for (size_t i = 0; i < stage->guest_count; i++) {
        yo_tcp_close(stage->guests[i]);
    }
    if (stage->listener) {
        yo_tcp_listener_close(stage->listener);
    }
    yo_loop_close(stage->loop, NULL, NULL);
    yo_loop_run(stage->loop);
}

static int ask(struct stage *stage)
{
    yo_time end = yo_loop_update(stage->loop) + DEADLINE;
    unsigned done = stage->done;
    int rv = yo_post_send(stage->post, yo_span_of("webhook-id: a\r\n"),
                          yo_span_of("{}"), yo_loop_now(stage->loop));

    while (rv == YOMO_OK && stage->done == done) {
        assert_true(yo_loop_update(stage->loop) < end);
        (void)yo_loop_turn(stage->loop);
    }
    assert_int_equal(stage->done, done + (rv == YOMO_OK));
    return rv;
}

static void one_connection_carries_many(void **unused)
{
    struct stage stage;

    (void)unused;
    assert_int_equal(open_stage(&stage, &yo_mem_libc, "127.0.0.0/8"), YOMO_OK);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(ask(&stage), YOMO_OK);
        assert_int_equal(stage.posted.error, YOMO_OK);
        assert_int_equal(stage.posted.status, 204);
    }
    assert_int_equal(stage.guest_count, 1);
    yo_tcp_close(stage.guests[0]); /* while nobody looks */
    stage.guest_count = 0;
    stage.said = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 429 No\r\nRetry-After: 7\r\n"
                 "Content-Length: 2\r\n\r\nno";
    assert_int_equal(ask(&stage), YOMO_OK);
    assert_int_equal(stage.posted.status, 429);
    assert_int_equal(stage.posted.retry_after, 7 * YO_SECOND);
    assert_int_equal(stage.guest_count, 1);
    close_stage(&stage);
}

static void what_is_not_listed_is_not_reached(void **unused)
{
    struct stage stage;

    (void)unused;
    assert_int_equal(open_stage(&stage, &yo_mem_libc, "10.0.0.0/8"), YOMO_OK);
    assert_int_equal(ask(&stage), YOMO_OK);
    assert_int_equal(stage.posted.error, YOMO_ERR_DENIED);
    assert_int_equal(stage.guest_count, 0);
    close_stage(&stage);
}

static void no_answer_ends_in_time(void **unused)
{
    struct stage stage;

    (void)unused;
    assert_int_equal(open_stage(&stage, &yo_mem_libc, "127.0.0.0/8"), YOMO_OK);
    stage.said = "HTTP/1.1 200";
    assert_int_equal(ask(&stage), YOMO_OK);
    assert_int_equal(stage.posted.error, YOMO_ERR_TIMEOUT);
    close_stage(&stage);
}

static void body(struct fault *fault, void *user)
{
    struct stage stage;

    (void)user;
    if (open_stage(&stage, &fault->mem, "127.0.0.0/8") != YOMO_OK) {
        assert_true(fault->failed);
    } else {
        for (int i = 0; i < 2; i++) {
            int rv = ask(&stage);
            if (rv != YOMO_OK || stage.posted.status != 204) {
                assert_true(fault->failed);
            }
        }
    }
    close_stage(&stage);
}

static void without_memory_each_request_has_an_outcome(void **unused)
{
    (void)unused;
    assert_true(fault_each(body, NULL) > 10);
}

static void hooks_body(struct fault *fault, void *user)
{
    static const struct yo_log silent;
    struct yo_webhooks_options options = {
        .url = "http://127.0.0.1:9/",
        .network_count = 1,
        .events = 15,
        .limits = {.queue = 4, .batch = 2, .gather = 60 * YO_SECOND},
        .timeout = YO_SECOND};
    struct yo_webhook_secrets secrets = {.count = 1, .list[0].size = 24};
    struct yo_webhooks *hooks;
    struct yo_buf why, numbers;

    (void)user;
    yo_buf_init(&why, &fault->mem);
    yo_buf_init(&numbers, &fault->mem);
    assert_int_equal(yo_network_parse(&options.networks[0], yo_span_of("127.0.0.1")),
                     YOMO_OK);
    if (yo_webhooks_create(&hooks, &fault->mem, &silent, &options, &secrets, &why) !=
        YOMO_OK) {
        assert_true(fault->failed);
    } else {
        if (yo_webhooks_print(hooks, &numbers) != YOMO_OK) {
            assert_true(fault->failed);
        }
        yo_webhooks_close(hooks);
    }
    yo_buf_finish(&why);
    yo_buf_finish(&numbers);
}

static void without_memory_nothing_begins(void **unused)
{
    (void)unused;
    assert_true(fault_each(hooks_body, NULL) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_connection_carries_many),
        cmocka_unit_test(what_is_not_listed_is_not_reached),
        cmocka_unit_test(no_answer_ends_in_time),
        cmocka_unit_test(without_memory_each_request_has_an_outcome),
        cmocka_unit_test(without_memory_nothing_begins),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
