/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <yomo/error.h>

#include "base/buf.h"
#include "base/rand.h"
#include "support/fault.h"
#include "transport/webtransport/sendqueue.h"

static struct yo_buf peek(struct yo_sendqueue *queue, size_t count, bool *last)
{
    struct yo_span spans[16];
    struct yo_buf out;
    size_t n = yo_sendqueue_peek(queue, spans, count, SIZE_MAX, last);
    yo_buf_init(&out, &yo_mem_libc);
    for (size_t i = 0; i < n; i++) {
        assert_true(spans[i].size > 0);
        yo_buf_append_span(&out, spans[i]);
    }
    return out;
}

static void bytes_come_out_as_they_went_in(void **state)
{
    struct yo_sendqueue queue;
    struct yo_buf in, sent;
    struct yo_rand rand;
    (void)state;
    yo_rand_seed(&rand, 1);
    yo_sendqueue_init(&queue, &yo_mem_libc);
    yo_buf_init(&in, &yo_mem_libc);
    yo_buf_init(&sent, &yo_mem_libc);
    size_t acked = 0;
    for (int i = 0; i < 20000; i++) {
        uint8_t bytes[64];
        size_t size = (size_t)yo_rand_below(&rand, sizeof(bytes));
        switch (yo_rand_below(&rand, 4)) {
        case 0: {
            yo_rand_bytes(bytes, size);
            size_t head = size < 8 ? size : 8;
            struct yo_blob *blob =
                yo_blob_create(&yo_mem_libc, yo_span(bytes + head, size - head));
            assert_int_equal(yo_sendqueue_push(&queue, yo_span(bytes, head), blob),
                             YOMO_OK);
            yo_blob_unref(blob);
            yo_buf_append(&in, bytes, size);
            break;
        }
        case 1:
            yo_rand_bytes(bytes, size);
            assert_int_equal(yo_sendqueue_push_bytes(&queue, yo_span(bytes, size)),
                             YOMO_OK);
            yo_buf_append(&in, bytes, size);
            break;
        case 2: {
            bool last;
            struct yo_buf next =
                peek(&queue, 1 + (size_t)yo_rand_below(&rand, 16), &last);
            size_t n = next.size ? (size_t)yo_rand_below(&rand, next.size + 1) : 0;
            assert_int_equal(last, sent.size + next.size == in.size);
            yo_buf_append(&sent, next.data, n);
            yo_sendqueue_sent(&queue, n);
            yo_buf_finish(&next);
            break;
        }
        default: {
            size_t n = (size_t)yo_rand_below(&rand, sent.size - acked + 1);
            yo_sendqueue_acked(&queue, n);
            acked += n;
            break;
        }
        }
        assert_int_equal(queue.size, in.size - acked);
        assert_int_equal(queue.unsent_size, in.size - sent.size);
        assert_int_equal(yo_sendqueue_ready(&queue), queue.unsent_size > 0);
    }
    if (sent.size > 0) {
        assert_memory_equal(sent.data, in.data, sent.size);
    }
    yo_sendqueue_finish(&queue);
    yo_buf_finish(&in);
    yo_buf_finish(&sent);
}

static void an_end_is_something_to_send(void **state)
{
    struct yo_sendqueue queue;
    bool last;
    (void)state;
    yo_sendqueue_init(&queue, &yo_mem_libc);
    assert_false(yo_sendqueue_ready(&queue));
    queue.end = true;
    assert_true(yo_sendqueue_ready(&queue));
    struct yo_buf out = peek(&queue, 16, &last);
    assert_true(last && out.size == 0);
    queue.end_sent = true;
    assert_false(yo_sendqueue_ready(&queue));
    yo_sendqueue_finish(&queue);
}

static void one_queue_may_follow_another(void **state)
{
    struct yo_sendqueue a, b;
    bool last;
    (void)state;
    yo_sendqueue_init(&a, &yo_mem_libc);
    yo_sendqueue_init(&b, &yo_mem_libc);
    yo_sendqueue_push_bytes(&a, yo_span_of("one"));
    yo_sendqueue_sent(&a, 3);
    yo_sendqueue_push_bytes(&b, yo_span_of("two"));
    yo_sendqueue_push_bytes(&b, yo_span_of("three"));
    b.end = true;
    yo_sendqueue_move(&a, &b);
    struct yo_buf out = peek(&a, 16, &last);
    assert_true(yo_span_is(yo_buf_span(&out), "twothree"));
    assert_true(a.end && a.size == 11 && b.size == 0 && !b.end);
    yo_buf_finish(&out);
    yo_sendqueue_finish(&a);
    yo_sendqueue_finish(&b);
}

static void short_of_memory(struct fault *fault, void *user)
{
    struct yo_sendqueue queue;
    (void)user;
    yo_sendqueue_init(&queue, &fault->mem);
    for (int i = 0; i < 3; i++) {
        size_t before = queue.size;
        if (yo_sendqueue_push_bytes(&queue, yo_span_of("more than sixteen bytes")) !=
            YOMO_OK) {
            assert_true(fault->failed);
            assert_int_equal(queue.size, before);
        }
    }
    yo_sendqueue_finish(&queue);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    fault_each(short_of_memory, NULL);
}

static void no_more_is_shown_than_is_enough(void **state)
{
    struct yo_sendqueue queue;
    struct yo_span spans[16];
    bool last;
    (void)state;
    yo_sendqueue_init(&queue, &yo_mem_libc);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(yo_sendqueue_push_bytes(&queue, yo_span_of("0123456789")),
                         YOMO_OK);
    }
    yo_sendqueue_sent(&queue, 5);
    assert_int_equal(yo_sendqueue_peek(&queue, spans, 16, 5, &last), 1);
    assert_int_equal(spans[0].size, 5);
    assert_false(last);
    assert_int_equal(yo_sendqueue_peek(&queue, spans, 16, 6, &last), 2);
    assert_false(last);
    assert_int_equal(yo_sendqueue_peek(&queue, spans, 16, 26, &last), 4);
    assert_true(last);
    assert_int_equal(yo_sendqueue_peek(&queue, spans, 16, 25, &last), 3);
    assert_false(last);
    yo_sendqueue_sent(&queue, 30);
    assert_int_equal(yo_sendqueue_peek(&queue, spans, 16, 1, &last), 1);
    assert_true(last); /* it is all there is */
    yo_sendqueue_finish(&queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_out_as_they_went_in),
        cmocka_unit_test(an_end_is_something_to_send),
        cmocka_unit_test(one_queue_may_follow_another),
        cmocka_unit_test(no_more_is_shown_than_is_enough),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("transport/webtransport/sendqueue", tests, NULL,
                                       NULL);
}
