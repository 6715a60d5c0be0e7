/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/check.h"
#include "support/bytes.h"
#include "support/fault.h"
#include "wire/limits.h"
#include "wire/msgpack.h"

static struct yo_mp_value read_one(const char *digits)
{
    struct yo_mp_reader reader;
    struct yo_mp_value value;

    yo_mp_reader_init(&reader, bytes_hex(digits));
    value = yo_mp_read(&reader);
    if (reader.error || reader.rest.size > 0) {
        fail_msg("%s was not read to its end", digits);
    }
    return value;
}

static void check_uint(const char *digits, uint64_t number)
{
    struct yo_mp_value value = read_one(digits);

    assert_int_equal(value.kind, YO_MP_UINT);
    assert_true(value.uint == number);
}

static void check_int(const char *digits, int64_t number)
{
    struct yo_mp_value value = read_one(digits);

    assert_int_equal(value.kind, YO_MP_INT);
    assert_true(value.sint == number);
}

static void check_bytes(const char *digits, enum yo_mp_kind kind, const char *bytes)
{
    struct yo_mp_value value = read_one(digits);

    assert_int_equal(value.kind, kind);
    assert_hex(value.bytes, bytes);
}

/* --- reading --- */

static void integers_are_read_from_every_form(void **state)
{
    (void)state;
    check_uint("00", 0);
    check_uint("7f", 127);
    check_uint("ccff", 255);
    check_uint("cc01", 1);
    check_uint("cdffff", 65535);
    check_uint("ceffffffff", UINT32_MAX);
    check_uint("cfffffffffffffffff", UINT64_MAX);
    check_uint("d07f", 127);
    check_uint("d17fff", 32767);
    check_uint("d200000005", 5);
    check_uint("d37fffffffffffffff", INT64_MAX);
    check_int("ff", -1);
    check_int("e0", -32);
    check_int("d080", -128);
    check_int("d0ff", -1);
    check_int("d18000", -32768);
    check_int("d280000000", INT32_MIN);
    check_int("d38000000000000000", INT64_MIN);
    check_int("d3ffffffffffffffff", -1);
}

static void other_scalars_are_read(void **state)
{
    (void)state;
    assert_int_equal(read_one("c0").kind, YO_MP_NIL);
    assert_int_equal(read_one("c2").kind, YO_MP_BOOL);
    assert_false(read_one("c2").boolean);
    assert_true(read_one("c3").boolean);
    assert_int_equal(read_one("ca3fc00000").kind, YO_MP_FLOAT);
    assert_true(read_one("ca3fc00000").real == 1.5);
    assert_true(read_one("cbbff8000000000000").real == -1.5);
    assert_true(isnan(read_one("cb7ff8000000000000").real));
    assert_true(isinf(read_one("ca7f800000").real));
}

static void bytes_are_lent_from_every_form(void **state)
{
    (void)state;
    check_bytes("a0", YO_MP_STR, "");
    check_bytes("a3616263", YO_MP_STR, "616263");
    check_bytes("d903616263", YO_MP_STR, "616263");
    check_bytes("da0003616263", YO_MP_STR, "616263");
    check_bytes("db00000003616263", YO_MP_STR, "616263");
    check_bytes("c400", YO_MP_BIN, "");
    check_bytes("c40201ff", YO_MP_BIN, "01ff");
    check_bytes("c5000201ff", YO_MP_BIN, "01ff");
    check_bytes("c60000000201ff", YO_MP_BIN, "01ff");
    check_bytes("d4050a", YO_MP_EXT, "0a");
    check_bytes("d5050a0b", YO_MP_EXT, "0a0b");
    check_bytes("d6ff00000001", YO_MP_EXT, "00000001");
    check_bytes("d7ff0000000100000002", YO_MP_EXT, "0000000100000002");
    check_bytes("d80500000000000000000000000000000001", YO_MP_EXT,
                "00000000000000000000000000000001");
    check_bytes("c70005", YO_MP_EXT, "");
    check_bytes("c702050a0b", YO_MP_EXT, "0a0b");
    check_bytes("c80001050a", YO_MP_EXT, "0a");
    check_bytes("c900000001050a", YO_MP_EXT, "0a");
    assert_int_equal(read_one("d4050a").ext, 5);
    assert_int_equal(read_one("d4ff0a").ext, -1);
    assert_int_equal(read_one("c70080").ext, -128);
}

static void check_count(const char *digits, enum yo_mp_kind kind, uint32_t count)
{
    struct yo_mp_reader reader;
    struct yo_mp_value value;

    yo_mp_reader_init(&reader, bytes_hex(digits));
    value = yo_mp_read(&reader);
    assert_int_equal(reader.error, 0);
    assert_int_equal(value.kind, kind);
    assert_int_equal(value.count, count);
}

static void counts_are_read_from_every_form(void **state)
{
    (void)state;
    check_count("90", YO_MP_ARRAY, 0);
    check_count("920102", YO_MP_ARRAY, 2);
    check_count("dc00020102", YO_MP_ARRAY, 2);
    check_count("dd000000020102", YO_MP_ARRAY, 2);
    check_count("80", YO_MP_MAP, 0);
    check_count("8101c0", YO_MP_MAP, 1);
    check_count("de000101c0", YO_MP_MAP, 1);
    check_count("df0000000101c0", YO_MP_MAP, 1);
}

static void check_refused(const char *digits)
{
    struct yo_mp_reader reader;
    struct yo_mp_value value;

    yo_mp_reader_init(&reader, bytes_hex(digits));
    value = yo_mp_read(&reader);
    if (reader.error != YOMO_ERR_MALFORMED) {
        fail_msg("%s was accepted", digits);
    }
    assert_int_equal(value.kind, YO_MP_NIL);
    assert_int_equal(value.count, 0);
    assert_null(value.bytes.data);
}

static void what_cannot_fit_is_refused_at_once(void **state)
{
    (void)state;
    check_refused("");
    check_refused("c1");
    check_refused("9201");
    check_refused("8101");
    check_refused("820101c0");
    check_refused("dc0002c0");
    check_refused("dcffff00");
    check_refused("ddffffffff0000");
    check_refused("dfffffffff0000");
    check_refused("df8000000000");
    check_refused("a261");
    check_refused("d9ff61");
    check_refused("dbffffffff61");
    check_refused("c6ffffffff00");
    check_refused("c9ffffffff0500");
    check_refused("c701");
    check_refused("cf00000000000000");
    check_refused("ca000000");
}

static void the_first_error_sticks(void **state)
{
    struct yo_mp_reader reader;

    (void)state;
    yo_mp_reader_init(&reader, bytes_hex("c1 05 a161 81a16101"));
    assert_int_equal(yo_mp_read_uint(&reader), 0);
    assert_int_equal(reader.error, YOMO_ERR_MALFORMED);
    assert_int_equal(yo_mp_read(&reader).kind, YO_MP_NIL);
    assert_null(yo_mp_read_str(&reader).data);
    assert_null(yo_mp_skip(&reader).data);
    assert_int_equal(yo_mp_read_map(&reader), 0);
    assert_int_equal(yo_mp_read_array(&reader), 0);
    assert_int_equal(reader.error, YOMO_ERR_MALFORMED);
}

static void typed_reads_refuse_other_kinds(void **state)
{
    struct yo_mp_reader reader;

    (void)state;
    yo_mp_reader_init(&reader, bytes_hex("05 a161 81a16101 9105"));
    assert_int_equal(yo_mp_read_uint(&reader), 5);
    assert_text(yo_mp_read_str(&reader), "a");
    assert_int_equal(yo_mp_read_map(&reader), 1);
    yo_mp_skip(&reader);
    yo_mp_skip(&reader);
    assert_int_equal(yo_mp_read_array(&reader), 1);
    assert_int_equal(yo_mp_read_uint(&reader), 5);
    assert_int_equal(reader.error, 0);
    yo_mp_reader_init(&reader, bytes_hex("ff"));
    yo_mp_read_uint(&reader);
    assert_int_equal(reader.error, YOMO_ERR_MALFORMED);
    yo_mp_reader_init(&reader, bytes_hex("c40161"));
    yo_mp_read_str(&reader);
    assert_int_equal(reader.error, YOMO_ERR_MALFORMED);
    yo_mp_reader_init(&reader, bytes_hex("90"));
    yo_mp_read_map(&reader);
    assert_int_equal(reader.error, YOMO_ERR_MALFORMED);
    yo_mp_reader_init(&reader, bytes_hex("80"));
    yo_mp_read_array(&reader);
    assert_int_equal(reader.error, YOMO_ERR_MALFORMED);
}

/* --- whole values --- */

/* Maps and arrays inside each other, `depth` of them, around a nil. */
static struct yo_span nested(const char *level, size_t depth, const char *inside)
{
    struct yo_buf out;
    struct yo_span whole;

    yo_buf_init(&out, &yo_mem_libc);
    for (size_t i = 0; i < depth; i++) {
        yo_buf_append_span(&out, bytes_hex(level));
    }
    yo_buf_append_span(&out, bytes_hex(inside));
    whole = bytes_copy(yo_buf_span(&out));
    yo_buf_finish(&out);
    return whole;
}

static void skipping_passes_exactly_one_value(void **state)
{
    struct yo_mp_reader reader;

    (void)state;
    yo_mp_reader_init(&reader, bytes_hex("82a16192c0809001a162ff 05 c402c1c1"));
    assert_hex(yo_mp_skip(&reader), "82a16192c0809001");
    assert_int_equal(reader.error, 0);
    yo_mp_reader_init(&reader, bytes_hex("82a16192c0 80 a162 c0 05 c402c1c1"));
    assert_hex(yo_mp_skip(&reader), "82a16192c080a162c0");
    assert_hex(yo_mp_skip(&reader), "05");
    assert_hex(yo_mp_skip(&reader), "c402c1c1");
    assert_int_equal(reader.error, 0);
    assert_null(yo_mp_skip(&reader).data);
    assert_int_equal(reader.error, YOMO_ERR_MALFORMED);
}

static void nesting_has_a_limit_and_no_recursion(void **state)
{
    static const char *const levels[] = {"91", "81a161", "8101", "dc0001"};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        assert_true(yo_mp_check(nested(levels[i], YO_NESTING_MAX, "c0")) >= 0);
        assert_true(yo_mp_check(nested(levels[i], YO_NESTING_MAX - 1, "80")) >= 0);
        assert_int_equal(yo_mp_check(nested(levels[i], YO_NESTING_MAX, "90")),
                         YOMO_ERR_MALFORMED);
        assert_int_equal(yo_mp_check(nested(levels[i], YO_NESTING_MAX + 1, "c0")),
                         YOMO_ERR_MALFORMED);
        assert_int_equal(yo_mp_check(nested(levels[i], 200000, "c0")),
                         YOMO_ERR_MALFORMED);
    }
    /* As a key; and a level that has ended is no longer one. */
    assert_true(yo_mp_check(nested("81", YO_NESTING_MAX, "c0")) < 0);
    assert_true(yo_mp_check(nested("92c0", YO_NESTING_MAX, "c0")) >= 0);
    assert_int_equal(yo_mp_check(nested("", 1, "9a90909090909090909090")), YO_MP_ARRAY);
}

static void a_checked_value_is_one_and_its_strings_are_utf8(void **state)
{
    (void)state;
    assert_int_equal(yo_mp_check(bytes_hex("c0")), YO_MP_NIL);
    assert_int_equal(yo_mp_check(bytes_hex("82a16101a1620a")), YO_MP_MAP);
    assert_int_equal(yo_mp_check(bytes_hex("93a2c3abc401ffd405ff")), YO_MP_ARRAY);
    assert_int_equal(yo_mp_check(bytes_hex("81c001")), YO_MP_MAP);
    assert_int_equal(yo_mp_check(bytes_hex("")), YOMO_ERR_MALFORMED);
    assert_int_equal(yo_mp_check(bytes_hex("c0c0")), YOMO_ERR_MALFORMED);
    assert_int_equal(yo_mp_check(bytes_hex("8000")), YOMO_ERR_MALFORMED);
    assert_int_equal(yo_mp_check(bytes_hex("81a161")), YOMO_ERR_MALFORMED);
    assert_int_equal(yo_mp_check(bytes_hex("a1ff")), YOMO_ERR_MALFORMED);
    assert_int_equal(yo_mp_check(bytes_hex("81a1ff01")), YOMO_ERR_MALFORMED);
    assert_int_equal(yo_mp_check(bytes_hex("91a3eda080")), YOMO_ERR_MALFORMED);
}

static void what_presencejs_throws_at_is_not_portable(void **state)
{
    static const char *const fine[] = {
        "c0",
        "8101c0",
        "81ffc0",
        "81cb3ff8000000000000c0",
        "81a161c0",
        "d6ff00000000",
        "d7ff0000000000000000",
        "c70cff000000000000000000000000",
        "d40500",
        "91a95f5f70726f746f5f5f",
        "81a161a95f5f70726f746f5f5f",
    };
    static const char *const refused[] = {
        "81c0c0",
        "81c3c0",
        "8190c0",
        "8180c0",
        "81c40161c0",
        "81d40500c0",
        "81a95f5f70726f746f5f5fc0",
        "9181a95f5f70726f746f5f5fc0",
        "81a16181c2c0",
        "d4ff00",
        "d5ff0000",
        "c700ff",
        "c705ff0000000000",
        "91d8ff00000000000000000000000000000000",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
        assert_true(yo_mp_check_portable(bytes_hex(fine[i])) >= 0);
    }
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        assert_true(yo_mp_check(bytes_hex(refused[i])) >= 0);
        assert_int_equal(yo_mp_check_portable(bytes_hex(refused[i])),
                         YOMO_ERR_MALFORMED);
    }
}

static void a_value_is_found_by_its_key(void **state)
{
    struct yo_span map =
        bytes_hex("85 01a16e a26964 a5616c696365 a161 8101c0 a26964 a162"
                  "a3787978 c0");

    (void)state;
    assert_hex(yo_mp_map_get(map, "id"), "a5616c696365"); /* the first one */
    assert_text(yo_mp_as_str(yo_mp_map_get(map, "id")), "alice");
    assert_hex(yo_mp_map_get(map, "a"), "8101c0");
    assert_hex(yo_mp_map_get(map, "xyx"), "c0");
    assert_null(yo_mp_map_get(map, "i").data);
    assert_null(yo_mp_map_get(map, "n").data);
    assert_null(yo_mp_map_get(bytes_hex("92a161a162"), "a").data);
    assert_null(yo_mp_map_get(bytes_hex("81a16101c0"), "a").data);
    assert_null(yo_mp_map_get(bytes_hex("82a16101a162"), "a").data);
    assert_null(yo_mp_map_get(YO_SPAN_NONE, "a").data);
    /* What is too deep for one walk over the whole is too deep here, too. */
    static const uint8_t head[] = {0x81, 0xa1, 'a'};
    uint8_t deep[sizeof(head) + YO_NESTING_MAX + 1];
    memcpy(deep, head, sizeof(head));
    memset(deep + sizeof(head), 0x91, YO_NESTING_MAX);
    deep[sizeof(deep) - 1] = 0xc0;
    assert_null(yo_mp_map_get(yo_span(deep, sizeof(deep)), "a").data);
    deep[sizeof(deep) - 2] = 0xc0;
    assert_non_null(yo_mp_map_get(yo_span(deep, sizeof(deep) - 1), "a").data);
    assert_hex(yo_mp_map_get(bytes_hex("81a001"), ""), "01");
    assert_null(yo_mp_as_str(bytes_hex("05")).data);
    assert_null(yo_mp_as_str(bytes_hex("c40161")).data);
    assert_null(yo_mp_as_str(bytes_hex("a16100")).data);
    assert_null(yo_mp_as_str(YO_SPAN_NONE).data);
    assert_non_null(yo_mp_as_str(bytes_hex("a0")).data);
}

static const char all_types[] =
    "de0010 00c0 01c3 ffca3fc00000 a161cb3ff8000000000000 a162ccff a163cdffff"
    "a164ceffffffff a165cfffffffffffffffff a166d080 a167d18000 a168d280000000"
    "a169d38000000000000000 a16ad903616263 a16bda0003616263 a16cc5000201ff"
    "a16d93d4050ac702050a0bd6ff00000001";

static void check_cut(struct yo_span cut, void *user)
{
    (void)user;
    assert_int_equal(yo_mp_check(cut), YOMO_ERR_MALFORMED);
    assert_null(yo_mp_map_get(cut, "a").data);
}

static void check_flip(struct yo_span flipped, void *user)
{
    struct yo_mp_reader reader;

    (void)user;
    (void)yo_mp_check(flipped);
    (void)yo_mp_check_portable(flipped);
    (void)yo_mp_map_get(flipped, "m");
    yo_mp_reader_init(&reader, flipped);
    while (!reader.error && reader.rest.size > 0) {
        yo_mp_read(&reader);
    }
}

static void every_cut_is_refused_and_every_flip_survived(void **state)
{
    struct yo_span whole = bytes_hex(all_types);

    (void)state;
    assert_int_equal(yo_mp_check(whole), YO_MP_MAP);
    bytes_each_cut(whole, check_cut, NULL);
    bytes_each_flip(whole, check_flip, NULL);
}

/* --- writing --- */

#define CHECK_PUT(call, digits)                \
    do {                                       \
        struct yo_buf out;                     \
        yo_buf_init(&out, &yo_mem_libc);       \
        call;                                  \
        assert_false(out.failed);              \
        assert_hex(yo_buf_span(&out), digits); \
        yo_buf_finish(&out);                   \
    } while (0)

static void numbers_are_written_in_the_shortest_form(void **state)
{
    (void)state;
    CHECK_PUT(yo_mp_put_nil(&out), "c0");
    CHECK_PUT(yo_mp_put_bool(&out, false), "c2");
    CHECK_PUT(yo_mp_put_bool(&out, true), "c3");
    CHECK_PUT(yo_mp_put_uint(&out, 0), "00");
    CHECK_PUT(yo_mp_put_uint(&out, 127), "7f");
    CHECK_PUT(yo_mp_put_uint(&out, 128), "cc80");
    CHECK_PUT(yo_mp_put_uint(&out, 255), "ccff");
    CHECK_PUT(yo_mp_put_uint(&out, 256), "cd0100");
    CHECK_PUT(yo_mp_put_uint(&out, 65535), "cdffff");
    CHECK_PUT(yo_mp_put_uint(&out, 65536), "ce00010000");
    CHECK_PUT(yo_mp_put_uint(&out, UINT32_MAX), "ceffffffff");
    CHECK_PUT(yo_mp_put_uint(&out, UINT64_C(1) << 32), "cf0000000100000000");
    CHECK_PUT(yo_mp_put_uint(&out, UINT64_MAX), "cfffffffffffffffff");
    CHECK_PUT(yo_mp_put_int(&out, 5), "05");
    CHECK_PUT(yo_mp_put_int(&out, -1), "ff");
    CHECK_PUT(yo_mp_put_int(&out, -32), "e0");
    CHECK_PUT(yo_mp_put_int(&out, -33), "d0df");
    CHECK_PUT(yo_mp_put_int(&out, -128), "d080");
    CHECK_PUT(yo_mp_put_int(&out, -129), "d1ff7f");
    CHECK_PUT(yo_mp_put_int(&out, -32768), "d18000");
    CHECK_PUT(yo_mp_put_int(&out, -32769), "d2ffff7fff");
    CHECK_PUT(yo_mp_put_int(&out, INT32_MIN), "d280000000");
    CHECK_PUT(yo_mp_put_int(&out, (int64_t)INT32_MIN - 1), "d3ffffffff7fffffff");
    CHECK_PUT(yo_mp_put_int(&out, INT64_MIN), "d38000000000000000");
    CHECK_PUT(yo_mp_put_int(&out, INT64_MAX), "cf7fffffffffffffff");
    CHECK_PUT(yo_mp_put_float(&out, 1.5), "ca3fc00000");
    CHECK_PUT(yo_mp_put_float(&out, -0.0), "ca80000000");
    CHECK_PUT(yo_mp_put_float(&out, 0.1), "cb3fb999999999999a");
    CHECK_PUT(yo_mp_put_float(&out, (double)FLT_MAX), "ca7f7fffff");
    CHECK_PUT(yo_mp_put_float(&out, 1e300), "cb7e37e43c8800759c");
    CHECK_PUT(yo_mp_put_float(&out, (double)INFINITY), "ca7f800000");
    CHECK_PUT(yo_mp_put_float(&out, -(double)INFINITY), "caff800000");
    CHECK_PUT(yo_mp_put_float(&out, DBL_MIN), "cb0010000000000000");
}

/* The head of what `call` writes. */
#define CHECK_HEAD(call, digits)                                     \
    do {                                                             \
        struct yo_buf out;                                           \
        yo_buf_init(&out, &yo_mem_libc);                             \
        call;                                                        \
        assert_hex(yo_span(out.data, strlen(digits) / 2), digits);   \
        assert_int_equal(yo_mp_check(yo_buf_span(&out)) >= 0, true); \
        yo_buf_finish(&out);                                         \
    } while (0)

static void lengths_are_written_in_the_shortest_form(void **state)
{
    (void)state;
    CHECK_HEAD(yo_mp_put_cstr(&out, ""), "a0");
    CHECK_HEAD(yo_mp_put_str(&out, bytes_repeat("x", 31)), "bf");
    CHECK_HEAD(yo_mp_put_str(&out, bytes_repeat("x", 32)), "d920");
    CHECK_HEAD(yo_mp_put_str(&out, bytes_repeat("x", 255)), "d9ff");
    CHECK_HEAD(yo_mp_put_str(&out, bytes_repeat("x", 256)), "da0100");
    CHECK_HEAD(yo_mp_put_str(&out, bytes_repeat("x", 65536)), "db00010000");
    CHECK_HEAD(yo_mp_put_bin(&out, YO_SPAN_NONE), "c400");
    CHECK_HEAD(yo_mp_put_bin(&out, bytes_repeat("x", 255)), "c4ff");
    CHECK_HEAD(yo_mp_put_bin(&out, bytes_repeat("x", 256)), "c50100");
    CHECK_HEAD(yo_mp_put_bin(&out, bytes_repeat("x", 65536)), "c600010000");
    CHECK_PUT(yo_mp_put_array(&out, 0), "90");
    CHECK_PUT(yo_mp_put_array(&out, 15), "9f");
    CHECK_PUT(yo_mp_put_array(&out, 16), "dc0010");
    CHECK_PUT(yo_mp_put_array(&out, 65536), "dd00010000");
    CHECK_PUT(yo_mp_put_map(&out, 15), "8f");
    CHECK_PUT(yo_mp_put_map(&out, 16), "de0010");
    CHECK_PUT(yo_mp_put_map(&out, UINT32_MAX), "dfffffffff");
    CHECK_PUT(yo_mp_put_raw(&out, bytes_hex("8101c0")), "8101c0");
    CHECK_PUT(yo_mp_put_str_head(&out, 300), "da012c");
}

static void nothing_is_written_behind_a_hole(void **state)
{
    struct fault fault;
    struct yo_buf out;

    (void)state;
    fault_init(&fault, 0, FAULT_ONCE);
    yo_buf_init(&out, &fault.mem);
    yo_mp_put_array(&out, 2);
    fault_arm(&fault, 1, FAULT_ONCE);
    yo_mp_put_str(&out, bytes_repeat("x", 1000));
    assert_true(out.failed);
    yo_mp_put_nil(&out);
    yo_mp_put_raw(&out, bytes_hex("c0"));
    assert_true(out.failed);
    assert_in_range(out.size, 1, 4); /* no more than the head that still fitted */
    yo_buf_finish(&out);
    fault_assert_no_leak(&fault);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_read_from_every_form),
        cmocka_unit_test(other_scalars_are_read),
        cmocka_unit_test(bytes_are_lent_from_every_form),
        cmocka_unit_test(counts_are_read_from_every_form),
        cmocka_unit_test(what_cannot_fit_is_refused_at_once),
        cmocka_unit_test(the_first_error_sticks),
        cmocka_unit_test(typed_reads_refuse_other_kinds),
        cmocka_unit_test(skipping_passes_exactly_one_value),
        cmocka_unit_test(nesting_has_a_limit_and_no_recursion),
        cmocka_unit_test(a_checked_value_is_one_and_its_strings_are_utf8),
        cmocka_unit_test(what_presencejs_throws_at_is_not_portable),
        cmocka_unit_test(a_value_is_found_by_its_key),
        cmocka_unit_test(every_cut_is_refused_and_every_flip_survived),
        cmocka_unit_test(numbers_are_written_in_the_shortest_form),
        cmocka_unit_test(lengths_are_written_in_the_shortest_form),
        cmocka_unit_test(nothing_is_written_behind_a_hole),
    };

    return cmocka_run_group_tests_name("wire/msgpack", tests, NULL, NULL);
}
