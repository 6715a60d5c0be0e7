/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <string.h>

#include "base/check.h"
#include "support/bytes.h"
#include "support/comma.h"
#include "support/fault.h"
#include "wire/json.h"
#include "wire/limits.h"
#include "wire/msgpack.h"

static void check_mp(const char *json, const char *digits)
{
    struct yo_span text = bytes_copy(yo_span_of(json));
    struct yo_buf out;

    yo_buf_init(&out, &yo_mem_libc);
    yo_buf_append_text(&out, ">");
    if (yo_json_check(text) != YOMO_OK || yo_json_to_mp(&out, text) != YOMO_OK) {
        fail_msg("%s was refused", json);
    }
    assert_hex(yo_span_skip(yo_buf_span(&out), 1), digits);
    yo_buf_finish(&out);
}

static void check_refused_span(struct yo_span text)
{
    struct yo_buf out;

    yo_buf_init(&out, &yo_mem_libc);
    yo_buf_append_text(&out, ">");
    if (yo_json_check(text) != YOMO_ERR_JSON ||
        yo_json_to_mp(&out, text) != YOMO_ERR_JSON) {
        fail_msg("%.*s was accepted", (int)text.size, (const char *)text.data);
    }
    assert_text(yo_buf_span(&out), ">");
    assert_false(out.failed);
    yo_buf_finish(&out);
}

static void check_refused(const char *json)
{
    check_refused_span(bytes_copy(yo_span_of(json)));
}

static void words_and_white_space_are_read(void **state)
{
    (void)state;
    check_mp("null", "c0");
    check_mp("true", "c3");
    check_mp("false", "c2");
    check_mp(" \t\r\n null \n", "c0");
    check_mp("[ ]", "90");
    check_mp("{ }", "80");
    check_mp(" { \"a\" : [ 1 , 2 ] , \"b\" : { } } ", "82a161920102a16280");
}

static void integers_stay_integers(void **state)
{
    (void)state;
    check_mp("0", "00");
    check_mp("-1", "ff");
    check_mp("127", "7f");
    check_mp("18446744073709551615", "cfffffffffffffffff");
    check_mp("-9223372036854775808", "d38000000000000000");
    check_mp("9007199254740993", "cf0020000000000001");
}

static void other_numbers_become_doubles(void **state)
{
    (void)state;
    check_mp("1.5", "ca3fc00000");
    check_mp("0.1", "cb3fb999999999999a");
    check_mp("1e2", "ca42c80000");
    check_mp("1E+2", "ca42c80000");
    check_mp("100e-2", "ca3f800000");
    check_mp("-0", "ca80000000"); /* no integer has a sign without a value */
    check_mp("-0.0", "ca80000000");
    check_mp("18446744073709551616", "ca5f800000");
    check_mp("-9223372036854775809", "cadf000000");
    check_mp("123456789012345678901234567890", "cb45f8ee90ff6c373e");
    check_mp("1e400", "ca7f800000");
}

static void strings_lose_their_escapes(void **state)
{
    (void)state;
    check_mp("\"\"", "a0");
    check_mp("\"abc\"", "a3616263");
    check_mp("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "a8225c2f080c0a0d09");
    check_mp("\"\\u0041\\u00e9\\u20AC\"", "a641c3a9e282ac");
    check_mp("\"\\ud83d\\uDE00\"", "a4f09f9880");
    check_mp("\"\\ud800\\udc00\"", "a4f0908080");
    check_mp("\"\\udbff\\udfff\"", "a4f48fbfbf");
    check_mp("\"\\uFFFF\\uE000\\ud7ff\"", "a9efbfbfee8080ed9fbf");
    check_mp("\"a\\u0000b\"", "a3610062");
    check_mp("\"\xc3\xab\x7f\"", "a3c3ab7f");
    check_mp("{\"\\u0061\":1}", "81a16101");
}

static void long_maps_and_arrays_have_the_shortest_head(void **state)
{
    (void)state;
    check_mp("[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]",
             "9f0102030405060708090a0b0c0d0e0f");
    check_mp("[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,[16]]",
             "dc00100102030405060708090a0b0c0d0e0f9110");
    check_mp(
        "{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1,"
        "\"j\":1,\"k\":1,\"l\":1,\"m\":1,\"n\":1,\"o\":1,\"p\":[]}",
        "de0010a16101a16201a16301a16401a16501a16601a16701a16801a16901a16a01a16b01a16c01"
        "a16d01a16e01a16f01a17090");
}

static void seventy_thousand_elements_have_a_long_head(void **state)
{
    struct yo_buf text, out;

    (void)state;
    yo_buf_init(&text, &yo_mem_libc);
    yo_buf_init(&out, &yo_mem_libc);
    yo_buf_append_text(&text, "{\"x\":[0");
    yo_buf_append_span(&text, bytes_repeat(",0", 69999));
    yo_buf_append_text(&text, "],\"y\":1}");
    assert_int_equal(yo_json_to_mp(&out, yo_buf_span(&text)), YOMO_OK);
    assert_int_equal(out.size, 3 + 5 + 70000 + 3);
    assert_hex(yo_span(out.data, 9), "82a178dd0001117000");
    assert_hex(yo_span(out.data + out.size - 4, 4), "00a17901");
    assert_int_equal(yo_mp_check(yo_buf_span(&out)), YO_MP_MAP);
    yo_buf_finish(&text);
    yo_buf_finish(&out);
}

static void what_the_rfc_does_not_allow_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        " ",
        "nul",
        "nulL",
        "True",
        "NaN",
        "Infinity",
        "-Infinity",
        "undefined",
        "'a'",
        "[",
        "]",
        "{",
        "}",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[,]",
        "[1 2]",
        "[1}",
        "{1:2}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{\"a\" 1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":1]",
        "{a:1}",
        "1 2",
        "null null",
        "[] []",
        "{}x",
        "01",
        "-",
        "-a",
        "+1",
        ".5",
        "5.",
        "5.e1",
        "1e",
        "1e+",
        "1.5e-",
        "0x10",
        "1_000",
        "00",
        "-01",
        "--1",
        "1..2",
        "1.2.3",
        "1e5.5",
        "\"",
        "\"abc",
        "\"\\\"",
        "\"\\x41\"",
        "\"\\a\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\u 123\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800x\"",
        "\"\\ud800\\n\"",
        "\"\\ud800\\ud800\"",
        "\"\\udc00\\ud800\"",
        "\"\\ud83d\\u0041\"",
        "\"\\ud83d\\ude\"",
        "\"\t\"",
        "\"\n\"",
        "\"\x1f\"",
        "\"\xff\"",
        "\"\xc3\"",
        "\"\xed\xa0\x80\"",
        "\"\xc0\x80\"",
        "// x\n1",
        "/* x */1",
        "1//",
        "\xef\xbb\xbf"
        "1",
        "\v1",
        "\xc2\xa0"
        "1",
        "[1]]",
        "{\"a\":1}}",
        ":",
        ",",
        "\"a\":1",
        "tru e",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        check_refused(texts[i]);
    }
    check_refused_span(YO_SPAN_NONE);
    check_refused_span(bytes_copy(yo_span("1\0", 2)));
    check_refused_span(bytes_copy(yo_span("\0001", 2)));
    check_refused_span(bytes_copy(yo_span("[1,\0]", 5)));
    check_refused_span(bytes_copy(yo_span("\"a\0b\"", 5)));
}

static struct yo_span nested(const char *open, const char *inside, const char *close,
                             size_t depth)
{
    struct yo_buf text;
    struct yo_span whole;

    yo_buf_init(&text, &yo_mem_libc);
    yo_buf_append_span(&text, bytes_repeat(open, depth));
    yo_buf_append_text(&text, inside);
    yo_buf_append_span(&text, bytes_repeat(close, depth));
    whole = bytes_copy(yo_buf_span(&text));
    yo_buf_finish(&text);
    return whole;
}

static void nesting_has_a_limit_and_no_recursion(void **state)
{
    (void)state;
    assert_int_equal(yo_json_check(nested("[", "", "]", YO_NESTING_MAX)), YOMO_OK);
    assert_int_equal(yo_json_check(nested("{\"a\":", "1", "}", YO_NESTING_MAX)),
                     YOMO_OK);
    check_refused_span(nested("[", "", "]", YO_NESTING_MAX + 1));
    check_refused_span(nested("{\"a\":", "1", "}", YO_NESTING_MAX + 1));
    check_refused_span(nested("[", "", "]", 200000));
    check_refused_span(bytes_repeat("[", 200000));
    assert_int_equal(yo_json_check(nested("[[],", "1", "]", YO_NESTING_MAX - 1)),
                     YOMO_OK);
}

/* --- from MessagePack --- */

static void check_json(const char *digits, const char *json)
{
    struct yo_buf out;

    yo_buf_init(&out, &yo_mem_libc);
    yo_buf_append_text(&out, ">");
    if (yo_mp_to_json(&out, bytes_hex(digits)) != YOMO_OK) {
        fail_msg("%s was refused", digits);
    }
    assert_text(yo_span_skip(yo_buf_span(&out), 1), json);
    assert_int_equal(yo_json_check(yo_span_skip(yo_buf_span(&out), 1)), YOMO_OK);
    yo_buf_finish(&out);
}

static void check_malformed(const char *digits)
{
    struct yo_buf out;

    yo_buf_init(&out, &yo_mem_libc);
    yo_buf_append_text(&out, ">");
    if (yo_mp_to_json(&out, bytes_hex(digits)) != YOMO_ERR_MALFORMED) {
        fail_msg("%s was accepted", digits);
    }
    assert_text(yo_buf_span(&out), ">");
    assert_false(out.failed);
    yo_buf_finish(&out);
}

static void scalars_are_written(void **state)
{
    (void)state;
    check_json("c0", "null");
    check_json("c2", "false");
    check_json("c3", "true");
    check_json("00", "0");
    check_json("ff", "-1");
    check_json("cfffffffffffffffff", "18446744073709551615");
    check_json("d38000000000000000", "-9223372036854775808");
    check_json("ca3fc00000", "1.5");
    check_json("cb3fb999999999999a", "0.1");
    check_json("ca3dcccccd", "0.10000000149011612");
    check_json("cb7ff8000000000000", "null");
    check_json("ca7f800000", "null");
    check_json("caff800000", "null");
    check_json("cb4059000000000000", "100");
    check_json("d405ff", "null");
    check_json("d6ff00000000", "null");
}

static void strings_get_the_escapes_they_need(void **state)
{
    (void)state;
    check_json("a0", "\"\"");
    check_json("a8225c2f080c0a0d09", "\"\\\"\\\\/\\b\\f\\n\\r\\t\"");
    check_json("a500010b1f7f", "\"\\u0000\\u0001\\u000b\\u001f\x7f\"");
    check_json("a4f09f9880", "\"\xf0\x9f\x98\x80\"");
    check_json("a3e280a8", "\"\xe2\x80\xa8\"");
    check_json("a57822782278", "\"x\\\"x\\\"x\"");
}

static void bytes_become_base64(void **state)
{
    (void)state;
    check_json("c400", "{\"base64\":\"\"}");
    check_json("c40301ff80", "{\"base64\":\"Af+A\"}");
    check_json("92c40101c0", "[{\"base64\":\"AQ==\"},null]");
}

static void maps_and_arrays_are_written_without_white_space(void **state)
{
    (void)state;
    check_json("90", "[]");
    check_json("80", "{}");
    check_json("9101", "[1]");
    check_json("930192020390", "[1,[2,3],[]]");
    check_json("82a16101a16281a16390", "{\"a\":1,\"b\":{\"c\":[]}}");
    check_json("dc000201df0000000101c0", "[1,{\"1\":null}]");
}

static void a_key_that_is_no_string_becomes_one(void **state)
{
    (void)state;
    check_json("8101c0", "{\"1\":null}");
    check_json("82ff01c302", "{\"-1\":1,\"true\":2}");
    check_json("81c001", "{\"null\":1}");
    check_json("81ca3fc0000001", "{\"1.5\":1}");
    check_json("81c4010105", "{\"{\\\"base64\\\":\\\"AQ==\\\"}\":5}");
    check_json("81d4050005", "{\"null\":5}");
    check_json("819005", "{\"[]\":5}");
    check_json("818005", "{\"{}\":5}");
    check_json("819201a16105", "{\"[1,\\\"a\\\"]\":5}");
    check_json("8192a1229105a161", "{\"[\\\"\\\\\\\"\\\",[5]]\":\"a\"}");
    check_json("8181a1610205", "{\"{\\\"a\\\":2}\":5}");
    check_json("818101a16205", "{\"{\\\"1\\\":\\\"b\\\"}\":5}");
    check_json("819181010205", "{\"[{\\\"1\\\":2}]\":5}");
    check_json("8181c40101c005",
               "{\"{\\\"{\\\\\\\"base64\\\\\\\":\\\\\\\"AQ==\\\\\\\"}\\\""
               ":null}\":5}");
    check_json("8290018002", "{\"[]\":1,\"{}\":2}");
}

/* Each turn into a string would double the backslashes of the one before. */
static void a_key_inside_a_key_may_not_nest_again(void **state)
{
    (void)state;
    check_malformed("8181900105");
    check_malformed("819181900105");
    check_malformed("8181810102030405");
}

static void what_is_not_one_value_is_malformed(void **state)
{
    (void)state;
    check_malformed("");
    check_malformed("c1");
    check_malformed("c0c0");
    check_malformed("9201");
    check_malformed("81a161");
    check_malformed("a1ff");
    check_malformed("81a1ff01");
    check_malformed("ddffffffff00");
}

static void only_so_much_nesting_is_written(void **state)
{
    struct yo_buf value, out;

    (void)state;
    yo_buf_init(&value, &yo_mem_libc);
    yo_buf_init(&out, &yo_mem_libc);
    yo_buf_append_span(&value, bytes_repeat("\x91", YO_NESTING_MAX));
    yo_buf_append_byte(&value, 0xc0);
    assert_int_equal(yo_mp_to_json(&out, yo_buf_span(&value)), YOMO_OK);
    assert_int_equal(out.size, 2 * YO_NESTING_MAX + 4);
    yo_buf_clear(&value);
    yo_buf_append_span(&value, bytes_repeat("\x91", YO_NESTING_MAX + 1));
    yo_buf_append_byte(&value, 0xc0);
    assert_int_equal(yo_mp_to_json(&out, yo_buf_span(&value)), YOMO_ERR_MALFORMED);
    yo_buf_finish(&value);
    yo_buf_finish(&out);
}

static void a_string_is_quoted_on_its_own_too(void **state)
{
    struct yo_buf out;

    (void)state;
    yo_buf_init(&out, &yo_mem_libc);
    assert_int_equal(yo_json_put_string(&out, yo_span_of("a\"b\n")), YOMO_OK);
    assert_int_equal(yo_json_put_string(&out, YO_SPAN_NONE), YOMO_OK);
    assert_int_equal(yo_json_put_string(&out, yo_span_of("\xff")), YOMO_ERR_INVALID);
    assert_text(yo_buf_span(&out), "\"a\\\"b\\n\"\"\"");
    yo_buf_finish(&out);
}

/* --- both ways --- */

static void check_there_and_back(const char *json)
{
    struct yo_buf mp, text;

    yo_buf_init(&mp, &yo_mem_libc);
    yo_buf_init(&text, &yo_mem_libc);
    assert_int_equal(yo_json_to_mp(&mp, yo_span_of(json)), YOMO_OK);
    assert_true(yo_mp_check(yo_buf_span(&mp)) >= 0);
    assert_int_equal(yo_mp_to_json(&text, yo_buf_span(&mp)), YOMO_OK);
    assert_text(yo_buf_span(&text), json);
    yo_buf_finish(&mp);
    yo_buf_finish(&text);
}

static const char *const samples[] = {
    "{\"id\":\"alice\",\"name\":\"A\",\"color\":\"#ff0000\",\"at\":[10.5,-3,0]}",
    "[[[[[[]]]]],{\"a\":{\"b\":{\"c\":{}}}}]",
    "{\"\":\"\",\"\xf0\x9f\x98\x80\":\"\\\"\\\\\\n\\u0001\"}",
    "[0.1,1e+21,-1.5e-7,123456789.125,true,false,null,18446744073709551615,-0]",
    "[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,{\"a\":[0,1,2,[]]},17]",
};

static void json_comes_back_as_it_was(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        check_there_and_back(samples[i]);
    }
}

static void a_decimal_comma_changes_nothing(void **state)
{
    (void)state;
    if (!comma_begin()) {
        skip();
    }
    json_comes_back_as_it_was(NULL);
    check_mp("1.5", "ca3fc00000");
    check_mp("0.1", "cb3fb999999999999a");
    check_refused("1,5");
    comma_end();
}

static void check_cut(struct yo_span cut, void *user)
{
    (void)user;
    check_refused_span(cut);
}

static void check_cut_back(struct yo_span cut, void *user)
{
    struct yo_buf out;

    (void)user;
    yo_buf_init(&out, &yo_mem_libc);
    assert_int_equal(yo_mp_to_json(&out, cut), YOMO_ERR_MALFORMED);
    yo_buf_finish(&out);
}

/* Whatever is accepted must give something that is well-formed on the other side. */
static void check_flip(struct yo_span flipped, void *user)
{
    struct yo_buf mp, text;
    int rv;

    (void)user;
    yo_buf_init(&mp, &yo_mem_libc);
    yo_buf_init(&text, &yo_mem_libc);
    rv = yo_json_to_mp(&mp, flipped);
    assert_int_equal(rv, yo_json_check(flipped));
    if (rv == YOMO_OK) {
        assert_true(yo_mp_check(yo_buf_span(&mp)) >= 0);
        assert_int_equal(yo_mp_to_json(&text, yo_buf_span(&mp)), YOMO_OK);
        assert_int_equal(yo_json_check(yo_buf_span(&text)), YOMO_OK);
    }
    yo_buf_finish(&mp);
    yo_buf_finish(&text);
}

static void check_flip_back(struct yo_span flipped, void *user)
{
    struct yo_buf text;

    (void)user;
    yo_buf_init(&text, &yo_mem_libc);
    if (yo_mp_to_json(&text, flipped) == YOMO_OK) {
        assert_true(yo_mp_check(flipped) >= 0);
        assert_int_equal(yo_json_check(yo_buf_span(&text)), YOMO_OK);
    }
    yo_buf_finish(&text);
}

static void every_cut_is_refused_and_every_flip_survived(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        struct yo_buf mp;
        bytes_each_cut(yo_span_of(samples[i]), check_cut, NULL);
        bytes_each_flip(yo_span_of(samples[i]), check_flip, NULL);
        yo_buf_init(&mp, &yo_mem_libc);
        assert_int_equal(yo_json_to_mp(&mp, yo_span_of(samples[i])), YOMO_OK);
        bytes_each_cut(yo_buf_span(&mp), check_cut_back, NULL);
        bytes_each_flip(yo_buf_span(&mp), check_flip_back, NULL);
        yo_buf_finish(&mp);
    }
}

static void convert(struct fault *fault, void *user)
{
    struct yo_buf text, mp, back;
    int rv;

    (void)user;
    yo_buf_init(&text, &yo_mem_libc);
    yo_buf_append_text(&text, "[");
    yo_buf_append_span(&text,
                       bytes_repeat("{\"key\":\"\\u0041\\\"value\",\"n\":[0.5]},", 40));
    yo_buf_append_text(&text, "null]");
    yo_buf_init(&mp, &fault->mem);
    yo_buf_init(&back, &fault->mem);
    rv = yo_json_to_mp(&mp, yo_buf_span(&text));
    if (rv == YOMO_OK) {
        rv = yo_mp_to_json(&back, yo_buf_span(&mp));
    } else {
        assert_int_equal(mp.size, 0);
    }
    if (rv != YOMO_OK) {
        assert_int_equal(rv, YOMO_ERR_NOMEM);
        assert_true(fault->failed);
        assert_int_equal(back.size, 0);
        assert_false(mp.failed || back.failed);
    }
    yo_buf_clear(&back);
    rv = yo_mp_to_json(&back, bytes_hex("81 93a122a122a122 c40401020304"));
    assert_true(rv == YOMO_OK || (rv == YOMO_ERR_NOMEM && back.size == 0));
    rv = yo_json_put_string(&mp, bytes_repeat("\n", 300));
    assert_true(rv == YOMO_OK || (rv == YOMO_ERR_NOMEM && mp.failed));
    yo_buf_finish(&text);
    yo_buf_finish(&mp);
    yo_buf_finish(&back);
}

static void each_failing_allocation_is_survived(void **state)
{
    (void)state;
    assert_true(fault_each(convert, NULL) > 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_and_white_space_are_read),
        cmocka_unit_test(integers_stay_integers),
        cmocka_unit_test(other_numbers_become_doubles),
        cmocka_unit_test(strings_lose_their_escapes),
        cmocka_unit_test(long_maps_and_arrays_have_the_shortest_head),
        cmocka_unit_test(seventy_thousand_elements_have_a_long_head),
        cmocka_unit_test(what_the_rfc_does_not_allow_is_refused),
        cmocka_unit_test(nesting_has_a_limit_and_no_recursion),
        cmocka_unit_test(scalars_are_written),
        cmocka_unit_test(strings_get_the_escapes_they_need),
        cmocka_unit_test(bytes_become_base64),
        cmocka_unit_test(maps_and_arrays_are_written_without_white_space),
        cmocka_unit_test(a_key_that_is_no_string_becomes_one),
        cmocka_unit_test(a_key_inside_a_key_may_not_nest_again),
        cmocka_unit_test(what_is_not_one_value_is_malformed),
        cmocka_unit_test(only_so_much_nesting_is_written),
        cmocka_unit_test(a_string_is_quoted_on_its_own_too),
        cmocka_unit_test(json_comes_back_as_it_was),
        cmocka_unit_test(a_decimal_comma_changes_nothing),
        cmocka_unit_test(every_cut_is_refused_and_every_flip_survived),
        cmocka_unit_test(each_failing_allocation_is_survived),
    };

    return cmocka_run_group_tests_name("wire/json", tests, NULL, NULL);
}
