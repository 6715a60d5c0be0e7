/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <yomo/error.h>

#include "base/varint.h"
#include "support/fault.h"
#include "transport/webtransport/capsule.h"

static bool flow_control;
static uint64_t last_number;

/* Read `bytes` in pieces of `piece`; what came out, as a letter for each capsule. */
static int read_all(struct yo_span bytes, size_t piece, char *out, uint32_t *code,
                    char *text)
{
    struct yo_capsules capsules;
    yo_capsules_init(&capsules, &yo_mem_libc);
    capsules.flow_control = flow_control;
    while (bytes.size > 0) {
        struct yo_span part =
            yo_span(bytes.data, bytes.size < piece ? bytes.size : piece);
        bytes = yo_span_skip(bytes, piece);
        while (part.size > 0) {
            struct yo_capsule capsule;
            int rv = yo_capsules_read(&capsules, &part, &capsule);
            if (rv != YOMO_OK) {
                *out = '\0';
                yo_capsules_finish(&capsules);
                return rv;
            }
            if (capsule.event == YO_CAPSULE_IS_DRAIN) {
                *out++ = 'd';
            } else if (capsule.event == YO_CAPSULE_IS_FORBIDDEN) {
                *out++ = 'x';
            } else if (capsule.event == YO_CAPSULE_IS_FLOW) {
                *out++ = (char)('0' + (capsule.type - YO_CAPSULE_MAX_DATA));
                last_number = capsule.number;
            } else if (capsule.event == YO_CAPSULE_IS_CLOSE) {
                *out++ = 'c';
                *code = capsule.code;
                if (capsule.text.size > 0) {
                    memcpy(text, capsule.text.data, capsule.text.size);
                }
                text[capsule.text.size] = '\0';
            }
        }
    }
    if (yo_capsules_partial(&capsules)) {
        *out++ = '.';
    }
    *out = '\0';
    yo_capsules_finish(&capsules);
    return YOMO_OK;
}

static void expect(const char *bytes, size_t size, int rv, const char *what)
{
    for (size_t piece = 1; piece <= size + 1; piece++) {
        char out[16], text[1100] = "";
        uint32_t code = 0;
        assert_int_equal(read_all(yo_span(bytes, size), piece, out, &code, text), rv);
        assert_string_equal(out, what);
    }
}

static void what_is_written_is_read(void **state)
{
    uint8_t bytes[2 * YO_CAPSULE_SIZE_MAX];
    char out[8], text[1100];
    uint32_t code = 0;
    (void)state;
    size_t n = yo_capsule_write_drain(bytes);
    n += yo_capsule_write_close(bytes + n, 0xdeadbeef, yo_span_of("na\xc3\xafve"));
    assert_memory_equal(bytes, "\x80\x00\x78\xae\x00\x68\x43\x0a\xde\xad\xbe\xef", 12);
    for (size_t piece = 1; piece <= n; piece++) {
        assert_int_equal(read_all(yo_span(bytes, n), piece, out, &code, text), YOMO_OK);
        assert_string_equal(out, "dc");
        assert_int_equal(code, 0xdeadbeef);
        assert_string_equal(text, "na\xc3\xafve");
    }
}

static void the_longest_reason_passes_and_a_longer_one_does_not(void **state)
{
    uint8_t bytes[YO_CAPSULE_SIZE_MAX + 16];
    char long_text[YO_CLOSE_TEXT_MAX + 1], out[8], text[1100];
    uint32_t code;
    (void)state;
    memset(long_text, 'x', sizeof(long_text));
    size_t n = yo_capsule_write_close(bytes, 1, yo_span(long_text, YO_CLOSE_TEXT_MAX));
    assert_int_equal(n, 2 + 2 + 4 + YO_CLOSE_TEXT_MAX);
    assert_int_equal(read_all(yo_span(bytes, n), 100, out, &code, text), YOMO_OK);
    assert_string_equal(out, "c");
    n = yo_capsule_write_close(bytes, 1, yo_span(long_text, YO_CLOSE_TEXT_MAX + 1));
    assert_int_equal(read_all(yo_span(bytes, n), 100, out, &code, text),
                     YOMO_ERR_PROTO);
}

static void unknown_ones_are_skipped_however_long(void **state)
{
    static uint8_t bytes[200000];
    char out[8], text[16];
    uint32_t code;
    (void)state;
    size_t n = yo_varint_write(bytes, 0x190B4D3D);
    n += yo_varint_write(bytes + n, 150000);
    n += 150000;
    n += yo_capsule_write_drain(bytes + n);
    assert_int_equal(read_all(yo_span(bytes, n), 1000, out, &code, text), YOMO_OK);
    assert_string_equal(out, "d");
    expect("\x00\x00\x01\x03"
           "abc"
           "\x80\x00\x78\xae\x02"
           "zz",
           14, YOMO_OK, "d");
}

static void a_broken_close_is_an_error(void **state)
{
    (void)state;
    expect("\x68\x43\x03"
           "abc",
           6, YOMO_ERR_PROTO, "");
    expect("\x68\x43\x05"
           "abcd\xff",
           8, YOMO_ERR_PROTO, "");
    expect("\x68\x43\x00", 3, YOMO_ERR_PROTO, "");
}

/* Nor a broken one: whoever reads on after an error gets nothing but errors. */
static void nothing_may_follow_a_broken_close(void **state)
{
    static const uint8_t wrong[] = {0x68, 0x43, 0x05, 0, 0, 0, 1, 0xff};
    struct yo_capsules capsules;
    struct yo_capsule capsule;
    (void)state;
    yo_capsules_init(&capsules, &yo_mem_libc);
    for (int i = 0; i < 3; i++) { /* the sanitizer looks for what is lost */
        struct yo_span bytes = yo_span(wrong, sizeof(wrong));
        assert_int_equal(yo_capsules_read(&capsules, &bytes, &capsule), YOMO_ERR_PROTO);
    }
    yo_capsules_finish(&capsules);
}

static void nothing_may_follow_a_close(void **state)
{
    (void)state;
    expect("\x68\x43\x04"
           "abcd",
           7, YOMO_OK, "c");
    expect("\x68\x43\x04"
           "abcd"
           "\x00",
           8, YOMO_ERR_PROTO, "c");
}

static void a_cut_capsule_is_seen(void **state)
{
    (void)state;
    expect("\x68", 1, YOMO_OK, ".");
    expect("\x68\x43\x04"
           "abc",
           6, YOMO_OK, ".");
    expect("\x05\x02"
           "a",
           3, YOMO_OK, ".");
}

static void flow_control_is_read_where_it_is_on(void **state)
{
    static const uint64_t types[] = {YO_CAPSULE_MAX_DATA,
                                     YO_CAPSULE_MAX_STREAMS_BIDI,
                                     YO_CAPSULE_MAX_STREAMS_UNI,
                                     YO_CAPSULE_DATA_BLOCKED,
                                     YO_CAPSULE_STREAMS_BLOCKED_BIDI,
                                     YO_CAPSULE_STREAMS_BLOCKED_UNI};
    static const uint64_t numbers[] = {0, 63, 64, 16384, UINT64_C(1) << 60};
    uint8_t bytes[200];
    char out[16], text[16];
    uint32_t code;
    (void)state;
    for (int on = 0; on < 2; on++) {
        flow_control = on;
        for (size_t i = 0; i < 5; i++) {
            size_t n = 0;
            for (size_t t = 0; t < 6; t++) {
                n += yo_capsule_write_flow(bytes + n, types[t], numbers[i]);
            }
            for (size_t piece = 1; piece <= n; piece++) {
                last_number = 1;
                assert_int_equal(read_all(yo_span(bytes, n), piece, out, &code, text),
                                 YOMO_OK);
                assert_string_equal(out, on ? "023467" : "");
                assert_int_equal(last_number, on ? numbers[i] : 1);
            }
        }
    }
    flow_control = true;
    expect("\x99\x0b\x4d\x3e\x02\x01\x02", 7, YOMO_OK, "x");
    expect("\x99\x0b\x4d\x3d\x00", 5, YOMO_ERR_PROTO, "");
    expect("\x99\x0b\x4d\x3d\x02\x01\x01", 7, YOMO_ERR_PROTO, "");
    expect("\x99\x0b\x4d\x3d\x01\x40", 6, YOMO_ERR_PROTO, "");
    expect("\x99\x0b\x4d\x3d\x09"
           "123456789",
           14, YOMO_ERR_PROTO, "");
    flow_control = false;
}

static void without_memory_for_a_close(struct fault *fault, void *user)
{
    struct yo_capsules capsules;
    struct yo_capsule capsule;
    struct yo_span bytes = yo_span("\x68\x43\x05"
                                   "abcde",
                                   8);
    (void)user;
    yo_capsules_init(&capsules, &fault->mem);
    int rv = yo_capsules_read(&capsules, &bytes, &capsule);
    assert_int_equal(rv, fault->failed ? YOMO_ERR_NOMEM : YOMO_OK);
    yo_capsules_finish(&capsules);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    fault_each(without_memory_for_a_close, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(the_longest_reason_passes_and_a_longer_one_does_not),
        cmocka_unit_test(unknown_ones_are_skipped_however_long),
        cmocka_unit_test(a_broken_close_is_an_error),
        cmocka_unit_test(nothing_may_follow_a_close),
        cmocka_unit_test(nothing_may_follow_a_broken_close),
        cmocka_unit_test(a_cut_capsule_is_seen),
        cmocka_unit_test(flow_control_is_read_where_it_is_on),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("transport/webtransport/capsule", tests, NULL,
                                       NULL);
}
