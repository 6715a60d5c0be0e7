/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <string.h>

#include "base/check.h"
#include "base/text.h"
#include "support/bytes.h"
#include "support/fault.h"

typedef int (*append_fn)(struct yo_buf *out, struct yo_span text);

/* What `fn` appends to a buffer that has something in it already. */
static void check_append(append_fn fn, const char *text, const char *wanted)
{
    struct yo_buf out;

    yo_buf_init(&out, &yo_mem_libc);
    yo_buf_append_text(&out, ">");
    assert_int_equal(fn(&out, bytes_copy(yo_span_of(text))), YOMO_OK);
    assert_text(yo_span_skip(yo_buf_span(&out), 1), wanted);
    yo_buf_finish(&out);
}

static void check_refused(append_fn fn, const char *text)
{
    struct yo_buf out;

    yo_buf_init(&out, &yo_mem_libc);
    yo_buf_append_text(&out, ">");
    if (fn(&out, bytes_copy(yo_span_of(text))) != YOMO_ERR_INVALID) {
        fail_msg("%s was accepted", text);
    }
    assert_text(yo_buf_span(&out), ">");
    assert_false(out.failed);
    yo_buf_finish(&out);
}

/* --- UTF-8 --- */

static bool is_utf8(const char *digits)
{
    return yo_utf8_valid(bytes_hex(digits));
}

static void well_formed_utf8_is_accepted(void **state)
{
    (void)state;
    assert_true(yo_utf8_valid(YO_SPAN_NONE));
    assert_true(is_utf8(""));
    assert_true(is_utf8("00"));
    assert_true(is_utf8("7f"));
    assert_true(is_utf8("c280"));     /* U+0080 */
    assert_true(is_utf8("dfbf"));     /* U+07FF */
    assert_true(is_utf8("e0a080"));   /* U+0800 */
    assert_true(is_utf8("ed9fbf"));   /* U+D7FF */
    assert_true(is_utf8("ee8080"));   /* U+E000 */
    assert_true(is_utf8("efbfbf"));   /* U+FFFF */
    assert_true(is_utf8("f0908080")); /* U+10000 */
    assert_true(is_utf8("f48fbfbf")); /* U+10FFFF */
}

static void malformed_utf8_is_refused(void **state)
{
    static const char *const texts[] = {
        "80",       "bf",     "c0",     "c080",     "c1bf",     "c2",
        "c27f",     "c2c0",   "e08080", "e09fbf",   "e0a0",     "e2827f",
        "eda080",   "edbfbf", "f08080", "f0808080", "f08fbfbf", "f4908080",
        "f5808080", "ff",     "fe",     "c2808080",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (is_utf8(texts[i])) {
            fail_msg("%s was accepted", texts[i]);
        }
    }
}

/* Against a decoder that is slow and plain. */
static bool is_utf8_plainly(struct yo_span text)
{
    size_t i = 0;

    while (i < text.size) {
        uint32_t first = text.data[i];
        size_t size = first < 0x80 ? 1 : first >> 5 == 6 ? 2 : first >> 4 == 14 ? 3 : 4;
        static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
        uint32_t code = size == 1 ? first : first & (0x7fu >> size);
        if ((size == 4 && first >> 3 != 30) || size > text.size - i) {
            return false;
        }
        for (size_t k = 1; k < size; k++) {
            if (text.data[i + k] >> 6 != 2) {
                return false;
            }
            code = code << 6 | (text.data[i + k] & 0x3f);
        }
        if (code < least[size] || code > 0x10ffff ||
            (code >= 0xd800 && code <= 0xdfff)) {
            return false;
        }
        i += size;
    }
    return true;
}

static void all_short_sequences_are_judged_alike(void **state)
{
    (void)state;
    for (uint32_t n = 0; n < 1u << 24; n++) {
        const uint8_t bytes[4] = {(uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n,
                                  0xbf};
        if (bytes[0] < 0x7f || (bytes[0] > 0x81 && bytes[0] < 0xbf)) {
            continue;
        }
        for (size_t size = 2; size <= 4; size++) {
            if (yo_utf8_valid(yo_span(bytes, size)) !=
                is_utf8_plainly(yo_span(bytes, size))) {
                fail_msg("%02x %02x %02x %02x: %zu bytes", bytes[0], bytes[1], bytes[2],
                         bytes[3], size);
            }
        }
    }
}

static void a_fault_is_found_at_any_place(void **state)
{
    (void)state;
    for (size_t size = 1; size < 40; size++) {
        for (size_t at = 0; at < size; at++) {
            uint8_t bytes[40];
            memset(bytes, 'x', sizeof(bytes));
            assert_true(yo_utf8_valid(bytes_copy(yo_span(bytes, size))));
            bytes[at] = 0xc3;
            assert_false(yo_utf8_valid(bytes_copy(yo_span(bytes, size))));
            if (at + 1 < size) {
                bytes[at + 1] = 0xa4;
                assert_true(yo_utf8_valid(bytes_copy(yo_span(bytes, size))));
            }
        }
    }
}

/* --- hexadecimal --- */

static void hexadecimal_goes_there_and_back(void **state)
{
    uint8_t bytes[4];
    char text[9];

    (void)state;
    yo_hex_encode(text, yo_span("\x00\xff\x1a\xB0", 4));
    assert_string_equal(text, "00ff1ab0");
    yo_hex_encode(text, YO_SPAN_NONE);
    assert_string_equal(text, "");
    assert_int_equal(yo_hex_decode(bytes, 4, yo_span_of("00fF1aB0")), YOMO_OK);
    assert_memory_equal(bytes, "\x00\xff\x1a\xb0", 4);
    assert_int_equal(yo_hex_decode(bytes, 4, yo_span_of("01:02:03:04")), YOMO_OK);
    assert_memory_equal(bytes, "\x01\x02\x03\x04", 4);
    assert_int_equal(yo_hex_decode(bytes, 0, YO_SPAN_NONE), YOMO_OK);
}

static void broken_hexadecimal_is_refused(void **state)
{
    static const char *const texts[] = {
        "",          "0",          "010203",     "0102030",   "010203045",
        "01020304:", ":01020304",  "01::020304", "0:1020304", "0102030g",
        "01 020304", "0102030405", "01:02:03:4", "-1020304",  "01:02:03:",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        uint8_t bytes[4];
        if (yo_hex_decode(bytes, 4, bytes_copy(yo_span_of(texts[i]))) !=
            YOMO_ERR_INVALID) {
            fail_msg("%s was accepted", texts[i]);
        }
    }
}

/* --- base64 --- */

static void base64_meets_the_examples_of_the_rfc(void **state)
{
    static const char *const pairs[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xfb\xff\xbf", "+/+/"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        check_append(yo_base64_encode, pairs[i][0], pairs[i][1]);
        check_append(yo_base64_decode, pairs[i][1], pairs[i][0]);
    }
    check_append(yo_base64_decode, "Zg", "f");
    check_append(yo_base64_decode, "Zm8", "fo");
    check_append(yo_base64_decode, "-_-_", "\xfb\xff\xbf");
}

static void broken_base64_is_refused(void **state)
{
    static const char *const texts[] = {
        "Z",     "Zg=",    "Zg===", "=",        "==",       "====",
        "Zm9vY", "Zm=v",   "Z===",  "Zm9v=",    "Zm9v==",   "Zh==",
        "Zm9=",  "Zg==\n", " Zg==", "Zm9v!A==", "Zg==Zg==",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        check_refused(yo_base64_decode, texts[i]);
    }
}

static void base64_takes_any_bytes(void **state)
{
    uint8_t bytes[300];

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(i * 7);
    }
    for (size_t size = 0; size <= sizeof(bytes); size++) {
        struct yo_buf text, back;
        yo_buf_init(&text, &yo_mem_libc);
        yo_buf_init(&back, &yo_mem_libc);
        assert_int_equal(yo_base64_encode(&text, yo_span(bytes, size)), YOMO_OK);
        assert_int_equal(text.size % 4, 0);
        assert_int_equal(yo_base64_decode(&back, yo_buf_span(&text)), YOMO_OK);
        assert_true(yo_span_equal(yo_buf_span(&back), yo_span(bytes, size)));
        yo_buf_finish(&text);
        yo_buf_finish(&back);
    }
}

/* --- percent-encoding and queries --- */

static void percent_encoding_goes_there_and_back(void **state)
{
    (void)state;
    check_append(yo_percent_decode, "", "");
    check_append(yo_percent_decode, "a%20b%2Bc+d", "a b+c+d");
    check_append(yo_percent_decode, "%c3%AB", "\xc3\xab");
    check_append(yo_percent_decode, "%25%32%35", "%25");
    check_append(yo_percent_encode, "", "");
    check_append(yo_percent_encode, "AZaz09-._~", "AZaz09-._~");
    check_append(yo_percent_encode, "a b+c&d=e/%", "a%20b%2Bc%26d%3De%2F%25");
    check_append(yo_percent_encode, "\xc3\xab\x01", "%C3%AB%01");
}

static void broken_percent_escapes_are_refused(void **state)
{
    (void)state;
    check_refused(yo_percent_decode, "%");
    check_refused(yo_percent_decode, "a%2");
    check_refused(yo_percent_decode, "%2g");
    check_refused(yo_percent_decode, "%g2");
    check_refused(yo_percent_decode, "%%41");
    check_refused(yo_percent_decode, "%-1");
    check_refused(yo_percent_decode, "abc%");
}

static void a_query_value_is_found_by_its_whole_name(void **state)
{
    struct yo_span query =
        bytes_copy(yo_span_of("id=al%20ice&publickey=k&empty=&flag&&x=1"
                              "&x=2&last=a=b"));

    (void)state;
    assert_text(yo_query_get(query, "id"), "al%20ice");
    assert_text(yo_query_get(query, "publickey"), "k");
    assert_text(yo_query_get(query, "x"), "1");
    assert_text(yo_query_get(query, "last"), "a=b");
    assert_non_null(yo_query_get(query, "empty").data);
    assert_int_equal(yo_query_get(query, "empty").size, 0);
    assert_non_null(yo_query_get(query, "flag").data);
    assert_int_equal(yo_query_get(query, "flag").size, 0);
    assert_null(yo_query_get(query, "key").data);
    assert_null(yo_query_get(query, "i").data);
    assert_null(yo_query_get(query, "idx").data);
    assert_null(yo_query_get(query, "k").data);
    assert_null(yo_query_get(YO_SPAN_NONE, "id").data);
    assert_text(yo_query_get(yo_span_of("=x"), ""), "x");
}

/* --- numbers and case --- */

static void numbers_are_digits_and_nothing_else(void **state)
{
    static const char *const texts[] = {"",
                                        " 1",
                                        "1 ",
                                        "+1",
                                        "-1",
                                        "1.0",
                                        "0x1",
                                        "1a",
                                        "a",
                                        "1e3",
                                        "18446744073709551616",
                                        "99999999999999999999999"};
    uint64_t value = 5;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(yo_parse_u64(bytes_copy(yo_span_of(texts[i])), &value),
                         YOMO_ERR_INVALID);
        assert_true(value == 5);
    }
    assert_int_equal(yo_parse_u64(yo_span_of("0"), &value), YOMO_OK);
    assert_true(value == 0);
    assert_int_equal(yo_parse_u64(yo_span_of("007"), &value), YOMO_OK);
    assert_true(value == 7);
    assert_int_equal(yo_parse_u64(yo_span_of("18446744073709551615"), &value), YOMO_OK);
    assert_true(value == UINT64_MAX);
}

static void case_does_not_matter_for_ascii_letters_only(void **state)
{
    (void)state;
    assert_true(yo_span_equal_nocase(yo_span_of("LocalHost"), yo_span_of("localhost")));
    assert_true(yo_span_equal_nocase(YO_SPAN_NONE, yo_span_of("")));
    assert_false(yo_span_equal_nocase(yo_span_of("a"), yo_span_of("ab")));
    assert_false(yo_span_equal_nocase(yo_span_of("@"), yo_span_of("`")));
    assert_false(yo_span_equal_nocase(yo_span_of("["), yo_span_of("{")));
}

static void a_secret_is_equal_to_itself_only(void **state)
{
    struct yo_span secret = yo_span_of("correct horse");

    (void)state;
    assert_true(yo_span_equal_secret(secret, bytes_copy(secret)));
    assert_false(yo_span_equal_secret(secret, yo_span_of("correct horsf")));
    assert_false(yo_span_equal_secret(secret, yo_span_of("Correct horse")));
    assert_false(yo_span_equal_secret(secret, yo_span_of("correct hors")));
    assert_false(yo_span_equal_secret(secret, YO_SPAN_NONE));
}

/* --- memory --- */

static void append_all(struct fault *fault, void *user)
{
    static const append_fn fns[] = {yo_base64_encode, yo_base64_decode,
                                    yo_percent_encode, yo_percent_decode};
    struct yo_span text = bytes_repeat("AbC9", 50);

    (void)user;
    for (size_t i = 0; i < 4; i++) {
        struct yo_buf out;
        int rv;
        yo_buf_init(&out, &fault->mem);
        rv = fns[i](&out, text);
        if (rv != YOMO_OK) {
            assert_int_equal(rv, YOMO_ERR_NOMEM);
            assert_true(fault->failed && out.failed);
            assert_int_equal(out.size, 0);
        }
        yo_buf_finish(&out);
    }
}

static void each_failing_allocation_is_survived(void **state)
{
    (void)state;
    assert_int_equal(fault_each(append_all, NULL), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(well_formed_utf8_is_accepted),
        cmocka_unit_test(malformed_utf8_is_refused),
        cmocka_unit_test(all_short_sequences_are_judged_alike),
        cmocka_unit_test(a_fault_is_found_at_any_place),
        cmocka_unit_test(hexadecimal_goes_there_and_back),
        cmocka_unit_test(broken_hexadecimal_is_refused),
        cmocka_unit_test(base64_meets_the_examples_of_the_rfc),
        cmocka_unit_test(broken_base64_is_refused),
        cmocka_unit_test(base64_takes_any_bytes),
        cmocka_unit_test(percent_encoding_goes_there_and_back),
        cmocka_unit_test(broken_percent_escapes_are_refused),
        cmocka_unit_test(a_query_value_is_found_by_its_whole_name),
        cmocka_unit_test(numbers_are_digits_and_nothing_else),
        cmocka_unit_test(case_does_not_matter_for_ascii_letters_only),
        cmocka_unit_test(a_secret_is_equal_to_itself_only),
        cmocka_unit_test(each_failing_allocation_is_survived),
    };

    return cmocka_run_group_tests_name("base/text", tests, NULL, NULL);
}
