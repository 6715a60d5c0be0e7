/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "golden.h"
#include "support/bytes.h"
#include "wire/decode.h"

static struct yo_message decoded(const char *digits)
{
    struct yo_message message;

    memset(&message, 0xa5, sizeof(message));
    if (yo_decode(bytes_hex(digits), &message) != YOMO_OK) {
        fail_msg("%s was refused", digits);
    }
    return message;
}

static void check_refused(struct yo_span bytes)
{
    struct yo_message message, before;

    memset(&message, 0xa5, sizeof(message));
    before = message;
    if (yo_decode(bytes, &message) != YOMO_ERR_MALFORMED) {
        fail_msg("%zu bytes were accepted", bytes.size);
    }
    assert_memory_equal(&message, &before, sizeof(message));
}

/* A message {t:"data", ...more} whose map has `pairs` more pairs. */
static struct yo_span data_with(unsigned pairs, const char *more)
{
    char digits[4096];

    snprintf(digits, sizeof(digits), "%02xa174a464617461%s", 0x81 + pairs, more);
    return bytes_hex(digits);
}

static void check_pair_refused(const char *more)
{
    struct yo_message message;

    if (yo_decode(data_with(1, more), &message) != YOMO_ERR_MALFORMED) {
        fail_msg("%s was accepted", more);
    }
}

static struct yo_message data_with_pair(const char *more)
{
    struct yo_message message;

    if (yo_decode(data_with(1, more), &message) != YOMO_OK) {
        fail_msg("%s was refused", more);
    }
    return message;
}

static void check_optional(struct yo_span got, const char *text)
{
    if (text) {
        assert_non_null(got.data);
        assert_text(got, text);
    } else {
        assert_null(got.data);
    }
}

static void the_golden_messages_are_understood(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        struct yo_message message = decoded(goldens[i].digits);
        assert_int_equal(message.op, goldens[i].op);
        assert_text(message.channel, "room-1");
        check_optional(message.peer, goldens[i].peer);
        check_optional(message.mesh, goldens[i].mesh);
        if (goldens[i].payload) {
            assert_hex(message.payload, goldens[i].payload);
        } else {
            assert_null(message.payload.data);
        }
        assert_true(message.session == 0 && message.delivery == YOMO_RELIABLE);
        assert_null(message.members.data);
    }
}

static void the_order_of_keys_does_not_matter(void **state)
{
    struct yo_message message =
        decoded("84a170a3626f62a163a172a26f70ab706565725f6f6e6c696e65"
                "a174a7636f6e74726f6c");

    (void)state;
    assert_int_equal(message.op, YO_OP_PEER_ONLINE);
    assert_text(message.peer, "bob");
    assert_text(message.channel, "r");
}

static void keys_of_the_backend_are_ignored(void **state)
{
    /* sid: "a:1", app: "x" */
    struct yo_message message =
        decoded("84a174a464617461a163a172a3736964a3613a31a3617070a178");

    (void)state;
    assert_int_equal(message.op, YO_OP_DATA);
    assert_true(message.session == 0);
}

static void unknown_keys_are_passed_over_whole(void **state)
{
    struct yo_message message;

    (void)state;
    message = decoded("84a174a464617461a37a7a7a82a17493010203c0c3a163a172a0d405ff");
    assert_int_equal(message.op, YO_OP_DATA);
    assert_text(message.channel, "r");
    message = decoded("83a174a464617461a17aa1ffa17ac0"); /* no UTF-8, twice: not ours */
    assert_int_equal(message.op, YO_OP_DATA);
}

static void an_absent_payload_may_be_nil(void **state)
{
    (void)state;
    assert_null(data_with_pair("a2706cc0").payload.data);
    assert_non_null(data_with_pair("a2706cc400").payload.data);
    assert_int_equal(data_with_pair("a2706cc400").payload.size, 0);
    assert_hex(data_with_pair("a2706cc50002c1ff").payload, "c1ff"); /* not looked at */
}

static void an_unknown_op_or_type_is_well_formed(void **state)
{
    (void)state;
    assert_int_equal(decoded("81a174a3787978").op, YO_OP_UNKNOWN);
    assert_int_equal(decoded("81a174a0").op, YO_OP_UNKNOWN);
    assert_int_equal(decoded("82a174a7636f6e74726f6ca26f70a3787978").op, YO_OP_UNKNOWN);
    assert_int_equal(decoded("82a174a7636f6e74726f6ca26f70a464617461").op,
                     YO_OP_UNKNOWN);
    assert_int_equal(decoded("82a174a7636f6e74726f6ca26f70a7756e6b6e6f776e").op,
                     YO_OP_UNKNOWN);
    /* The op of a data message says nothing. */
    assert_int_equal(decoded("82a174a464617461a26f70ab706565725f6f6e6c696e65").op,
                     YO_OP_DATA);
}

static void every_op_is_known_by_its_name(void **state)
{
    (void)state;
    for (unsigned op = YO_OP_CHANNEL_JOIN; op < YO_OP_UNKNOWN; op++) {
        struct yo_buf out;
        struct yo_message message;
        yo_buf_init(&out, &yo_mem_libc);
        yo_mp_put_map(&out, 2);
        yo_mp_put_cstr(&out, "t");
        yo_mp_put_cstr(&out, "control");
        yo_mp_put_cstr(&out, "op");
        yo_mp_put_cstr(&out, yo_op_name((enum yo_op)op));
        assert_int_equal(yo_decode(yo_buf_span(&out), &message), YOMO_OK);
        assert_int_equal(message.op, op);
        yo_buf_finish(&out);
    }
    assert_string_equal(yo_op_name(YO_OP_DATA), "data");
    assert_string_equal(yo_op_name(YO_OP_UNKNOWN), "unknown");
    assert_string_equal(yo_op_name((enum yo_op)99), "unknown");
}

static const char extended[] =
    "de0010 a174a464617461 a163a172 a3736964ce00010000 a16402 a16ba178 a17605 a16e06"
    "a171cd0100 a27473cf0000018000000000 a4636f6465d09c a36d7367a26e6f a376657201"
    "a565706f636807 a36c696d83a36d7367cd1000a5726f6f6d7308a773696c656e6365cd3a98"
    "a16d9180 a46d6f7265c3";

static void the_keys_of_the_extension_are_read(void **state)
{
    struct yo_message message = decoded(extended);

    (void)state;
    assert_int_equal(message.session, 65536);
    assert_int_equal(message.delivery, YOMO_LATEST);
    assert_text(message.key, "x");
    assert_int_equal(message.version, 5);
    assert_int_equal(message.number, 6);
    assert_int_equal(message.sequence, 256);
    assert_true(message.timestamp == UINT64_C(0x18000000000));
    assert_int_equal(message.code, YOMO_ERR_INVALID);
    assert_text(message.text, "no");
    assert_int_equal(message.protocol, 1);
    assert_int_equal(message.epoch, 7);
    assert_int_equal(message.limits.message_size, 4096);
    assert_int_equal(message.limits.rooms, 8);
    assert_int_equal(message.limits.silence_ms, 15000);
    assert_hex(message.members, "9180");
    assert_true(message.more);
}

static void integers_may_have_any_form(void **state)
{
    (void)state;
    assert_int_equal(data_with_pair("a16ed30000000000000005").number, 5);
    assert_int_equal(data_with_pair("a16ecc05").number, 5);
    assert_int_equal(data_with_pair("a4636f6465d3ffffffffffffff9c").code, -100);
    assert_int_equal(data_with_pair("a4636f646507").code, 7);
}

static void a_known_key_of_another_type_is_malformed(void **state)
{
    static const char *const pairs[] = {
        "a16301",
        "a163c40172",
        "a163c0",
        "a17001",
        "a170c0",
        "a17090",
        "a26f7001",
        "a2706ca161",
        "a2706c80",
        "a2706c01",
        "a46d65736801",
        "a3736964ff",
        "a3736964c0",
        "a3736964c40161",
        "a361707001",
        "a164a161",
        "a16403",
        "a164ff",
        "a164c0",
        "a16b01",
        "a176ff",
        "a176a161",
        "a176ca3f800000",
        "a16ec0",
        "a171c3",
        "a27473ff",
        "a4636f6465a161",
        "a4636f6465cf8000000000000000",
        "a36d736701",
        "a3766572c0",
        "a565706f6368ff",
        "a36c696d90",
        "a36c696d01",
        "a36c696d81a36d7367ff",
        "a36c696d81a5726f6f6d73a161",
        "a36c696d81 01 01",
        "a36c696d82a36d736701a36d736702",
        "a16d80",
        "a16da161",
        "a16dc0",
        "a46d6f726501",
        "a46d6f7265c0",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        check_pair_refused(pairs[i]);
    }
}

static void limits_may_be_given_in_part(void **state)
{
    struct yo_message message =
        data_with_pair("a36c696d82a5726f6f6d7308a3787978820102c0c3");

    (void)state;
    assert_int_equal(message.limits.rooms, 8);
    assert_int_equal(message.limits.message_size, 0);
}

static void what_is_not_one_map_with_string_keys_is_malformed(void **state)
{
    static const char *const texts[] = {
        "",
        "c0",
        "90",
        "a174",
        "80",
        "81",
        "8101c0",
        "81a163a172",
        "01",
        "82a174a46461746101c0",
        "82a174a464617461c0c0",
        "81a174a46461746100",
        "81a174a464617461c0",
        "82a174a464617461",
        "81a174c404646174 61",
        "81a174c0",
        "81a174a7636f6e74726f6c",
        "81a26f70a470696e67",
        "82a174a464617461a174a464617461",
        "83a174a464617461a163a172a163a172",
        "dfffffffffa174a464617461",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        check_refused(bytes_hex(texts[i]));
    }
    check_refused(YO_SPAN_NONE);
}

/* {t:"data", <key>: <text>} */
static int decode_text(const char *key, struct yo_span text)
{
    struct yo_message message;
    struct yo_buf out;
    int rv;

    yo_buf_init(&out, &yo_mem_libc);
    yo_mp_put_map(&out, 2);
    yo_mp_put_cstr(&out, "t");
    yo_mp_put_cstr(&out, "data");
    yo_mp_put_cstr(&out, key);
    yo_mp_put_str(&out, text);
    rv = yo_decode(yo_buf_span(&out), &message);
    yo_buf_finish(&out);
    return rv;
}

static void names_have_limits_and_are_utf8(void **state)
{
    static const struct {
        const char *key;
        size_t size_max;
    } limits[] = {{"c", YO_CHANNEL_SIZE_MAX},
                  {"p", YO_ID_SIZE_MAX},
                  {"k", YO_KEY_SIZE_MAX},
                  {"mesh", YO_ID_SIZE_MAX},
                  {"msg", YO_TEXT_SIZE_MAX}};

    (void)state;
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        size_t size_max = limits[i].size_max;
        assert_int_equal(decode_text(limits[i].key, bytes_repeat("x", size_max)),
                         YOMO_OK);
        assert_int_equal(decode_text(limits[i].key, bytes_repeat("x", size_max + 1)),
                         YOMO_ERR_MALFORMED);
        assert_int_equal(decode_text(limits[i].key, yo_span_of("\xff")),
                         YOMO_ERR_MALFORMED);
        assert_int_equal(decode_text(limits[i].key, yo_span_of("")), YOMO_OK);
    }
}

static void a_message_past_the_limit_is_malformed(void **state)
{
    static uint8_t bytes[YO_MESSAGE_SIZE_MAX + 1];
    struct yo_message message;
    const uint8_t head[] = {0x82, 0xa1, 't',  0xa4, 'd', 'a',
                            't',  'a',  0xa2, 'p',  'l', 0xc6};
    size_t inside = YO_MESSAGE_SIZE_MAX - sizeof(head) - 4;

    (void)state;
    memcpy(bytes, head, sizeof(head));
    for (int i = 0; i < 4; i++) {
        bytes[sizeof(head) + (size_t)i] = (uint8_t)(inside >> (24 - 8 * i));
    }
    assert_int_equal(yo_decode(yo_span(bytes, sizeof(bytes) - 1), &message), YOMO_OK);
    assert_int_equal(message.payload.size, inside);
    bytes[sizeof(head) + 3]++;
    assert_int_equal(yo_decode(yo_span(bytes, sizeof(bytes)), &message),
                     YOMO_ERR_MALFORMED);
}

static void check_cut(struct yo_span cut, void *user)
{
    (void)user;
    check_refused(cut);
}

/* Whatever is accepted, what it lends lies inside. */
static void check_flip(struct yo_span flipped, void *user)
{
    struct yo_message message;

    (void)user;
    if (yo_decode(flipped, &message) == YOMO_OK) {
        const struct yo_span parts[] = {message.channel, message.peer, message.payload,
                                        message.mesh,    message.key,  message.text,
                                        message.members};
        for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
            if (parts[i].data) {
                assert_true(parts[i].data >= flipped.data);
                assert_true(parts[i].data + parts[i].size <=
                            flipped.data + flipped.size);
            }
        }
    }
}

static void targets_are_read_one_after_another(void **state)
{
    struct yo_message message = data_with_pair("a2746f93cf0010000000000001a3626f6201");
    struct yo_wire_target target;
    struct yo_mp_reader reader;

    (void)state;
    assert_int_equal(yo_targets_init(&reader, message.targets), 3);
    assert_true(yo_targets_next(&reader, &target));
    assert_true(target.session == UINT64_C(0x10000000000001) && !target.user.data);
    assert_true(yo_targets_next(&reader, &target));
    assert_true(target.session == 0);
    assert_text(target.user, "bob");
    assert_true(yo_targets_next(&reader, &target));
    assert_true(target.session == 1);
    assert_false(yo_targets_next(&reader, &target));
    message = data_with_pair("a2746f90");
    assert_non_null(message.targets.data); /* nobody is not everybody */
    assert_int_equal(yo_targets_init(&reader, message.targets), 0);
    assert_false(yo_targets_next(&reader, &target));
}

static void targets_that_are_none_are_malformed(void **state)
{
    static const char *const bad[] = {"a2746f0c", /* no array */
                                      "a2746f80",
                                      "a2746fc0",     /* a map, nil */
                                      "a2746f9100",   /* session 0 */
                                      "a2746f91ff",   /* a negative one */
                                      "a2746f91a0",   /* nobody's id */
                                      "a2746f91a1ff", /* no UTF-8 */
                                      "a2746f91c3",
                                      "a2746f91c0",                 /* a truth, nil */
                                      "a2746f91cb3ff0000000000000", /* 1.0 */
                                      "a2746f919101",   /* an array inside */
                                      "a2746f918101c0", /* a map inside */
                                      "a2746f91c40101", /* bytes */
                                      "a26d6501",
                                      "a2646d01", /* me, dm: not a truth */
                                      "a27271c3",
                                      "a2726501ff"}; /* rq, and bytes behind */
    char many[1024] = "a2746fdc0065", max[1024] = "a2746fdc0064";
    char id[600] = "a2746f91da0100";

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        check_pair_refused(bad[i]);
    }
    for (int i = 0; i < 101; i++) {
        strcat(many, "01");
        strcat(max, i < 100 ? "01" : "");
    }
    check_pair_refused(many);
    assert_non_null(data_with_pair(max).targets.data);
    for (int i = 0; i < 256; i++) {
        strcat(id, "61");
    }
    check_pair_refused(id);
    check_pair_refused("a27072"
                       "03"); /* pr */
    check_pair_refused("a27072"
                       "ff");
    assert_int_equal(data_with_pair("a2707202").priority, YOMO_BULK);
    check_pair_refused("a374746cff");
    assert_true(data_with_pair("a374746ccfffffffffffffffff").ttl_ms == UINT64_MAX);
    check_pair_refused("a27063a131");
    if (yo_decode(data_with(2, "a2746f90a2746f90"), &(struct yo_message){0}) !=
        YOMO_ERR_MALFORMED) {
        fail_msg("a second `to` was accepted");
    }
}

static void every_cut_is_refused_and_every_flip_survived(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        bytes_each_cut(bytes_hex(goldens[i].digits), check_cut, NULL);
        bytes_each_flip(bytes_hex(goldens[i].digits), check_flip, NULL);
    }
    bytes_each_cut(bytes_hex(extended), check_cut, NULL);
    bytes_each_flip(bytes_hex(extended), check_flip, NULL);
}

/* --- members --- */

static void members_are_read_one_after_another(void **state)
{
    struct yo_mp_reader reader;
    struct yo_wire_member member;
    uint32_t count;

    (void)state;
    assert_int_equal(
        yo_members_init(
            &reader,
            bytes_hex("92 85a373696405a170a3626f62a2706cc40180a17603a26174cd03e8"
                      "   83a17aa1ffa170a0a373696406"),
            &count),
        YOMO_OK);
    assert_int_equal(count, 2);
    assert_int_equal(yo_members_next(&reader, &member), YOMO_OK);
    assert_int_equal(member.session, 5);
    assert_text(member.peer, "bob");
    assert_hex(member.state, "80");
    assert_int_equal(member.version, 3);
    assert_int_equal(member.since_ms, 1000);
    assert_int_equal(yo_members_next(&reader, &member), YOMO_OK);
    assert_int_equal(member.session, 6);
    assert_text(member.peer, "");
    assert_null(member.state.data);
    assert_int_equal(member.version, 0);
    assert_int_equal(yo_members_next(&reader, &member), YOMO_ERR_MALFORMED);
}

static void a_broken_member_ends_the_walk(void **state)
{
    static const char *const texts[] = {
        "91c0",           "9190",       "9181a3736964ff", "9181a17001",
        "9181a2706ca161", "9181a176c0", "918101c0",       "9182a373696405a373696405",
        "9181a170a1ff",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct yo_mp_reader reader;
        struct yo_wire_member member = {.session = 77};
        uint32_t count;
        assert_int_equal(yo_members_init(&reader, bytes_hex(texts[i]), &count),
                         YOMO_OK);
        assert_int_equal(yo_members_next(&reader, &member), YOMO_ERR_MALFORMED);
        assert_int_equal(member.session, 77);
        assert_int_equal(yo_members_next(&reader, &member), YOMO_ERR_MALFORMED);
    }
}

static void members_that_are_no_array_are_malformed(void **state)
{
    struct yo_mp_reader reader;
    uint32_t count = 9;

    (void)state;
    assert_int_equal(yo_members_init(&reader, bytes_hex("80"), &count),
                     YOMO_ERR_MALFORMED);
    assert_int_equal(count, 0);
    assert_int_equal(yo_members_init(&reader, YO_SPAN_NONE, &count),
                     YOMO_ERR_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_golden_messages_are_understood),
        cmocka_unit_test(the_order_of_keys_does_not_matter),
        cmocka_unit_test(keys_of_the_backend_are_ignored),
        cmocka_unit_test(unknown_keys_are_passed_over_whole),
        cmocka_unit_test(an_absent_payload_may_be_nil),
        cmocka_unit_test(an_unknown_op_or_type_is_well_formed),
        cmocka_unit_test(every_op_is_known_by_its_name),
        cmocka_unit_test(the_keys_of_the_extension_are_read),
        cmocka_unit_test(integers_may_have_any_form),
        cmocka_unit_test(a_known_key_of_another_type_is_malformed),
        cmocka_unit_test(limits_may_be_given_in_part),
        cmocka_unit_test(what_is_not_one_map_with_string_keys_is_malformed),
        cmocka_unit_test(names_have_limits_and_are_utf8),
        cmocka_unit_test(a_message_past_the_limit_is_malformed),
        cmocka_unit_test(targets_are_read_one_after_another),
        cmocka_unit_test(targets_that_are_none_are_malformed),
        cmocka_unit_test(every_cut_is_refused_and_every_flip_survived),
        cmocka_unit_test(members_are_read_one_after_another),
        cmocka_unit_test(a_broken_member_ends_the_walk),
        cmocka_unit_test(members_that_are_no_array_are_malformed),
    };

    return cmocka_run_group_tests_name("wire/decode", tests, NULL, NULL);
}
