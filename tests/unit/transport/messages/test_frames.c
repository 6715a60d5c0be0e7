/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <yomo/error.h>

#include "support/fault.h"
#include "transport/messages/frames.h"

#define MAX 100000

/* Feed `bytes` in pieces; the messages, each with a bar behind it. */
static int feed(struct yo_frames *frames, struct yo_span bytes, size_t piece,
                struct yo_buf *out)
{
    while (bytes.size > 0) {
        struct yo_span part =
            yo_span(bytes.data, bytes.size < piece ? bytes.size : piece);
        struct yo_span message;
        int rv;
        bytes = yo_span_skip(bytes, piece);
        while ((rv = yo_frames_next(frames, &part, MAX, &message)) > 0) {
            yo_buf_append_span(out, message);
            yo_buf_append_byte(out, '|');
        }
        if (rv < 0) {
            return rv;
        }
        assert_int_equal(part.size, 0);
    }
    return YOMO_OK;
}

static void messages_come_out_whatever_the_pieces(void **state)
{
    static const char bytes[] = "\x03"
                                "one\x40\x03"
                                "two\x80\x00\x00\x05"
                                "three\x01x";
    (void)state;
    for (size_t piece = 1; piece <= sizeof(bytes); piece++) {
        struct yo_frames frames;
        struct yo_buf out;
        yo_frames_init(&frames, &yo_mem_libc);
        yo_buf_init(&out, &yo_mem_libc);
        assert_int_equal(feed(&frames, yo_span(bytes, sizeof(bytes) - 1), piece, &out),
                         YOMO_OK);
        assert_true(yo_span_is(yo_buf_span(&out), "one|two|three|x|"));
        assert_false(yo_frames_partial(&frames));
        assert_int_equal(yo_frames_kept(&frames), 0);
        yo_buf_finish(&out);
        yo_frames_finish(&frames);
    }
}

static void a_whole_message_is_not_copied(void **state)
{
    static const char bytes[] = "\x03"
                                "one";
    struct yo_span in = yo_span(bytes, 4), message;
    struct yo_frames frames;
    (void)state;
    yo_frames_init(&frames, &yo_mem_libc);
    assert_int_equal(yo_frames_next(&frames, &in, MAX, &message), 1);
    assert_ptr_equal(message.data, bytes + 1);
    assert_null(frames.partial.data);
    yo_frames_finish(&frames);
}

static void memory_grows_with_what_arrived_only(void **state)
{
    struct yo_frames frames;
    struct yo_span in = yo_span("\x80\x01\x00\x00"
                                "abc",
                                7),
                   message;
    (void)state;
    yo_frames_init(&frames, &yo_mem_libc);
    assert_int_equal(yo_frames_next(&frames, &in, MAX, &message), 0);
    assert_true(yo_frames_partial(&frames));
    assert_int_equal(yo_frames_kept(&frames), 3);
    assert_true(frames.partial.capacity < 1000);
    yo_frames_finish(&frames);
}

static void bad_lengths_are_told_apart(void **state)
{
    struct yo_frames frames;
    struct yo_buf out;
    (void)state;
    yo_buf_init(&out, &yo_mem_libc);
    yo_frames_init(&frames, &yo_mem_libc);
    assert_int_equal(feed(&frames, yo_span("\x01x\x00", 3), 1, &out), YOMO_ERR_PROTO);
    yo_frames_finish(&frames);
    yo_frames_init(&frames, &yo_mem_libc);
    assert_int_equal(
        feed(&frames, yo_span("\xff\xff\xff\xff\xff\xff\xff\xff", 8), 3, &out),
        YOMO_ERR_TOO_BIG);
    yo_frames_finish(&frames);
    yo_buf_finish(&out);
}

static void short_of_memory(struct fault *fault, void *user)
{
    static const char bytes[] = "\x03"
                                "one\x05"
                                "three";
    struct yo_frames frames;
    struct yo_buf out;
    (void)user;
    yo_frames_init(&frames, &fault->mem);
    yo_buf_init(&out, &yo_mem_libc);
    int rv = feed(&frames, yo_span(bytes, sizeof(bytes) - 1), 2, &out);
    assert_true(rv == YOMO_OK || (rv == YOMO_ERR_NOMEM && fault->failed));
    yo_buf_finish(&out);
    yo_frames_finish(&frames);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    fault_each(short_of_memory, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_come_out_whatever_the_pieces),
        cmocka_unit_test(a_whole_message_is_not_copied),
        cmocka_unit_test(memory_grows_with_what_arrived_only),
        cmocka_unit_test(bad_lengths_are_told_apart),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("transport/webtransport/frames", tests, NULL,
                                       NULL);
}
