/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <yomo/error.h>

#include "support/fault.h"
#include "transport/webtransport/settings.h"

/* What nghttp3 1.15 writes for a server. */
static const uint8_t head[] = {0x00, 0x04, 0x0d, 0x06, 0x80, 0x00, 0x40, 0x00, 0x01,
                               0x00, 0x07, 0x00, 0x33, 0x01, 0x08, 0x01, 0x40};

static struct yo_peer_settings tee(struct yo_span bytes, size_t piece)
{
    struct yo_settings_tee reader = {0};
    struct yo_peer_settings settings = {0};
    while (bytes.size > 0) {
        size_t n = bytes.size < piece ? bytes.size : piece;
        yo_settings_tee_read(&reader, yo_span(bytes.data, n), &settings);
        bytes = yo_span_skip(bytes, n);
    }
    return settings;
}

static void our_settings_join_those_of_nghttp3(void **state)
{
    struct yo_buf out;
    (void)state;
    yo_buf_init(&out, &yo_mem_libc);
    assert_int_equal(yo_settings_splice(&out, yo_span(head, sizeof(head) - 1)),
                     YOMO_OK);
    for (size_t piece = 1; piece <= out.size; piece++) {
        struct yo_peer_settings settings = tee(yo_buf_span(&out), piece);
        assert_true(settings.seen && settings.h3_datagram && settings.connect_protocol);
        assert_int_equal(settings.webtransport,
                         YO_WT_DRAFT02 | YO_WT_DRAFT07 | YO_WT_DRAFT13 | YO_WT_DRAFT15);
    }
    for (size_t size = 0; size < out.size; size++) {
        assert_false(tee(yo_span(out.data, size), 3).seen);
    }
    yo_buf_finish(&out);
}

static void what_follows_the_frame_follows(void **state)
{
    struct yo_buf out;
    (void)state;
    yo_buf_init(&out, &yo_mem_libc);
    assert_int_equal(yo_settings_splice(&out, yo_span(head, sizeof(head))), YOMO_OK);
    assert_int_equal(out.data[out.size - 1], 0x40);
    yo_buf_finish(&out);
}

static void only_the_start_of_a_control_stream_is_spliced(void **state)
{
    struct yo_buf out;
    (void)state;
    yo_buf_init(&out, &yo_mem_libc);
    assert_int_equal(yo_settings_splice(&out, yo_span("\x00\x07\x00", 3)),
                     YOMO_ERR_STATE);
    assert_int_equal(yo_settings_splice(&out, yo_span("\x00\x04\x05\x01", 4)),
                     YOMO_ERR_STATE);
    assert_int_equal(yo_settings_splice(&out, yo_span(head, 2)), YOMO_ERR_STATE);
    assert_int_equal(out.size, 0);
    yo_buf_finish(&out);
}

static void every_browsers_settings_are_understood(void **state)
{
    /* Chromium 156: 0x1, 0x6, 0x7, 0x33, 0xffd277, 0x2b603742 and grease; a frame
     * after. */
    static const char chromium[] =
        "\x00\x04\x1c\x01\x80\x01\x00\x00\x06\x80\x00\x40\x00"
        "\x07\x40\x64\x33\x01\x80\xff\xd2\x77\x01\xab\x60\x37"
        "\x42\x01\x40\x5f\x07\x21\x00";
    (void)state;
    struct yo_peer_settings settings = tee(yo_span(chromium, sizeof(chromium) - 1), 1);
    assert_true(settings.seen && settings.h3_datagram);
    assert_int_equal(settings.webtransport, YO_WT_DRAFT02);
    /* None at all. */
    settings = tee(yo_span("\x00\x04\x00", 3), 1);
    assert_true(settings.seen);
    assert_int_equal(settings.webtransport, 0);
}

static void a_stream_that_begins_otherwise_is_left_to_nghttp3(void **state)
{
    (void)state;
    assert_false(tee(yo_span("\x00\x07\x01\x00\x04\x00", 6), 1).seen);
}

static void without_memory_nothing_is_spliced(struct fault *fault, void *user)
{
    struct yo_buf out;
    (void)user;
    yo_buf_init(&out, &fault->mem);
    if (yo_settings_splice(&out, yo_span(head, sizeof(head))) != YOMO_OK) {
        assert_true(fault->failed);
        assert_int_equal(out.size, 0);
    }
    yo_buf_finish(&out);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    fault_each(without_memory_nothing_is_spliced, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_settings_join_those_of_nghttp3),
        cmocka_unit_test(what_follows_the_frame_follows),
        cmocka_unit_test(only_the_start_of_a_control_stream_is_spliced),
        cmocka_unit_test(every_browsers_settings_are_understood),
        cmocka_unit_test(a_stream_that_begins_otherwise_is_left_to_nghttp3),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("transport/webtransport/settings", tests, NULL,
                                       NULL);
}
