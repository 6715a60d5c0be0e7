/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <yomo/error.h>

#include "base/varint.h"
#include "support/fault.h"
#include "transport/webtransport/settings.h"

static const struct yo_own_settings one = {.sessions = 1};

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

/* A control stream as it begins. */
static void write_stream(struct yo_buf *out, bool server,
                         const struct yo_own_settings *own)
{
    yo_buf_init(out, &yo_mem_libc);
    yo_buf_append_byte(out, 0x00);
    assert_int_equal(yo_settings_write(out, 16384, server, own), YOMO_OK);
}

static void ours_are_understood(void **state)
{
    static const uint8_t begin[] = {0x04, 0x25, 0x06, 0x80, 0x00, 0x40, 0x00, 0x01,
                                    0x00, 0x07, 0x00, 0x33, 0x01, 0x08, 0x01};
    struct yo_buf out;
    (void)state;
    write_stream(&out, true, &one);
    assert_memory_equal(out.data + 1, begin, sizeof(begin));
    for (size_t piece = 1; piece <= out.size; piece++) {
        struct yo_peer_settings settings = tee(yo_buf_span(&out), piece);
        assert_true(settings.seen && !settings.wrong);
        assert_true(settings.h3_datagram && settings.connect_protocol);
        assert_int_equal(settings.webtransport,
                         YO_WT_DRAFT02 | YO_WT_DRAFT07 | YO_WT_DRAFT13 | YO_WT_DRAFT15);
    }
    for (size_t size = 0; size < out.size; size++) {
        assert_false(tee(yo_span(out.data, size), 3).seen);
    }
    yo_buf_finish(&out);
    write_stream(&out, false, &one);
    struct yo_peer_settings settings = tee(yo_buf_span(&out), 1);
    assert_true(settings.seen && !settings.wrong && !settings.connect_protocol);
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

static void a_stream_that_begins_otherwise_has_none(void **state)
{
    (void)state;
    assert_false(tee(yo_span("\x00\x07\x01\x00\x04\x00", 6), 1).seen);
}

static void with_several_sessions_flow_control_is_declared(void **state)
{
    const struct yo_own_settings own = {8, {.data = 1 << 20, 100, 70}};
    struct yo_buf out;
    (void)state;
    write_stream(&out, true, &own);
    struct yo_peer_settings settings = tee(yo_buf_span(&out), 1);
    assert_true(settings.seen && settings.flow_control && !settings.wrong);
    assert_int_equal(settings.sessions, 8);
    assert_int_equal(settings.limits.data, 1 << 20);
    assert_int_equal(settings.limits.bidirectional, 100);
    assert_int_equal(settings.limits.unidirectional, 70);
    yo_buf_finish(&out);
    write_stream(&out, true, &one);
    assert_false(tee(yo_buf_span(&out), 1).flow_control);
    yo_buf_finish(&out);
}

/* A frame of pairs that are given as one byte of identifier and value each, or as
 * text. */
static struct yo_peer_settings of_pairs(const uint64_t *pairs, size_t count)
{
    uint8_t bytes[256] = {0x00, 0x04}, body[200];
    size_t n = 0;
    for (size_t i = 0; i < 2 * count; i++) {
        n += yo_varint_write(body + n, pairs[i]);
    }
    size_t at = 2 + yo_varint_write(bytes + 2, n);
    memcpy(bytes + at, body, n);
    struct yo_peer_settings settings = tee(yo_span(bytes, at + n), 1);
    assert_true(settings.seen);
    return settings;
}

static void what_contradicts_itself_is_wrong(void **state)
{
    static const uint64_t wrong[][4] = {
        {0x2b603742, 1, 0x2b603742, 1}, /* twice, even if it says the same */
        {0x14e9cd29, 1, 0x14e9cd29, 2},
        {0x2b61, 5, 0x2b61, 5},
        {0x01, 0, 0x01, 0},
        {0x06, 1, 0x06, 1},
        {0x07, 0, 0x07, 0},
        {0x2b603742, 2, 0x33, 1}, /* neither yes nor no */
        {0x2c7cf000, 2, 0x33, 1},
        {0x33, 2, 0x07, 0},
        {0xffd277, 2, 0x07, 0},
        {0x08, 2, 0x07, 0},
        {0x02, 0, 0x07, 0}, /* HTTP/2's */
        {0x05, 0, 0x07, 0},
        {0x00, 0, 0x07, 0},
        {0x2b64, (UINT64_C(1) << 60) + 1, 0x07, 0}, /* more than there can be */
    };
    static const uint64_t right[][4] = {
        {0x2b603742, 0, 0x2c7cf000, 0},
        {0x2b603742, 1, 0x2b603743, 1},
        {0x21, 7, 0x21, 7}, /* whatever it is */
        {0x2b64, UINT64_C(1) << 60, 0x2b61, UINT64_C(1) << 61},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_true(of_pairs(wrong[i], 2).wrong);
    }
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        assert_false(of_pairs(right[i], 2).wrong);
    }
}

static void what_declares_flow_control_is_known(void **state)
{
    static const uint64_t pairs[][2] = {
        {0x2b61, 1},      {0x2b64, 1},     {0x2b65, 1},     {0x14e9cd29, 2},
        {0x2b61, 0},      {0x2b64, 0},     {0x2b65, 0},     {0x14e9cd29, 1},
        {0xc671706a, 16}, {0x2c7cf000, 1}, {0x2b603743, 9},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        assert_int_equal(of_pairs(pairs[i], 1).flow_control, i < 4);
    }
    assert_int_equal(of_pairs(pairs[8], 1).sessions, 16);
    assert_int_equal(of_pairs(pairs[10], 1).webtransport, YO_WT_QUINN);
}

static void only_newest_peers_must_say_it_all(void **state)
{
    static const uint64_t bare[] = {0x2c7cf000, 1, 0x07, 0};
    static const uint64_t client[] = {0x2c7cf000, 1, 0x33, 1};
    static const uint64_t server[] = {0x2c7cf000, 1, 0x33, 1, 0x08, 1};
    static const uint64_t old[] = {0x2b603742, 1, 0x2c7cf000, 1};
    (void)state;
    struct yo_peer_settings settings = of_pairs(bare, 2);
    assert_false(yo_settings_suffice(&settings, false));
    settings = of_pairs(client, 2);
    assert_true(yo_settings_suffice(&settings, false));
    assert_false(yo_settings_suffice(&settings, true));
    settings = of_pairs(server, 3);
    assert_true(yo_settings_suffice(&settings, true));
    settings = of_pairs(old, 2);
    assert_true(yo_settings_suffice(&settings, true));
}

static void without_memory_nothing_is_said(struct fault *fault, void *user)
{
    struct yo_buf out;
    (void)user;
    yo_buf_init(&out, &fault->mem);
    if (yo_settings_write(&out, 16384, true, &one) != YOMO_OK) {
        assert_true(fault->failed);
    }
    yo_buf_finish(&out);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    fault_each(without_memory_nothing_is_said, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ours_are_understood),
        cmocka_unit_test(every_browsers_settings_are_understood),
        cmocka_unit_test(a_stream_that_begins_otherwise_has_none),
        cmocka_unit_test(with_several_sessions_flow_control_is_declared),
        cmocka_unit_test(what_contradicts_itself_is_wrong),
        cmocka_unit_test(what_declares_flow_control_is_known),
        cmocka_unit_test(only_newest_peers_must_say_it_all),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("transport/webtransport/settings", tests, NULL,
                                       NULL);
}
