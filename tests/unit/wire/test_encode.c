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
#include "support/fault.h"
#include "wire/decode.h"
#include "wire/encode.h"
#include "wire/msgpack.h"

static struct yo_message golden_message(const struct golden *golden)
{
    struct yo_message message = {.op = golden->op, .channel = yo_span_of("room-1")};

    message.peer = yo_span_of(golden->peer);
    message.mesh = yo_span_of(golden->mesh);
    if (golden->payload) {
        message.payload = bytes_hex(golden->payload);
    }
    return message;
}

static struct yo_span encoded(enum yo_dialect dialect, const struct yo_message *message)
{
    struct yo_buf out;
    struct yo_span bytes;

    yo_buf_init(&out, &yo_mem_libc);
    yo_buf_append_text(&out, ">");
    assert_int_equal(yo_encode(&out, dialect, message), YOMO_OK);
    bytes = bytes_copy(yo_span_skip(yo_buf_span(&out), 1));
    yo_buf_finish(&out);
    return bytes;
}

static struct yo_span encoded_blob(enum yo_dialect dialect,
                                   const struct yo_message *message)
{
    struct yo_blob *blob = NULL;
    struct yo_span bytes;

    assert_int_equal(yo_encode_blob(&blob, &yo_mem_libc, dialect, message), YOMO_OK);
    bytes = bytes_copy(yo_blob_span(blob));
    yo_blob_unref(blob);
    return bytes;
}

static void the_golden_messages_are_written_byte_for_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        struct yo_message message = golden_message(&goldens[i]);
        assert_hex(encoded(YO_DIALECT_PRESENCEJS, &message), goldens[i].digits);
        assert_hex(encoded(YO_DIALECT_YOMO, &message), goldens[i].digits);
        assert_hex(encoded_blob(YO_DIALECT_PRESENCEJS, &message), goldens[i].digits);
    }
}

/* Every field set to something. */
static struct yo_message full_message(void)
{
    struct yo_message message = {
        .op = YO_OP_DATA,
        .channel = yo_span_of("r"),
        .peer = yo_span_of("alice"),
        .payload = yo_span_of("\x80"),
        .mesh = yo_span_of("dev"),
        .session = UINT64_MAX,
        .delivery = YOMO_LATEST,
        .key = yo_span_of("k"),
        .version = UINT64_MAX,
        .number = UINT64_MAX,
        .sequence = UINT64_MAX,
        .timestamp = UINT64_MAX,
        .code = INT64_MIN,
        .text = yo_span_of("text"),
        .protocol = UINT64_MAX,
        .epoch = UINT64_MAX,
        .limits = {UINT64_MAX, UINT64_MAX, UINT64_MAX},
        .members = yo_span_of("\x91\x80"),
        .more = true,
        .targets = yo_span_of("\x92\x0c\xa3"
                              "bob"),
        .echo = true,
        .direct = true,
        .request = UINT64_MAX,
        .reply = UINT64_MAX,
        .ttl_ms = UINT64_MAX,
        .priority = YOMO_BULK,
        .pace_ms = UINT64_MAX,
        .since = UINT64_MAX,
        .hist = UINT64_MAX,
        .max = UINT64_MAX,
        .from = UINT64_MAX,
        .urgent = UINT64_MAX,
        .bulk = UINT64_MAX,
        .read = UINT64_MAX,
    };

    return message;
}

static void the_extension_is_never_shown_to_presencejs(void **state)
{
    struct yo_message message = full_message();

    (void)state;
    assert_hex(
        encoded(YO_DIALECT_PRESENCEJS, &message),
        "85a174a464617461a163a172a2706cc40180a170a5616c696365a46d657368a3646576");
    assert_hex(
        encoded_blob(YO_DIALECT_PRESENCEJS, &message),
        "85a174a464617461a163a172a2706cc40180a170a5616c696365a46d657368a3646576");
}

static void check_same(const struct yo_message *a, const struct yo_message *b)
{
    assert_int_equal(a->op, b->op);
    assert_true(yo_span_equal(a->channel, b->channel));
    assert_true(yo_span_equal(a->peer, b->peer));
    assert_true(yo_span_equal(a->payload, b->payload));
    assert_true(yo_span_equal(a->mesh, b->mesh));
    assert_true(a->session == b->session);
    assert_int_equal(a->delivery, b->delivery);
    assert_true(yo_span_equal(a->key, b->key));
    assert_true(a->version == b->version);
    assert_true(a->number == b->number);
    assert_true(a->sequence == b->sequence);
    assert_true(a->timestamp == b->timestamp);
    assert_true(a->code == b->code);
    assert_true(yo_span_equal(a->text, b->text));
    assert_true(a->protocol == b->protocol);
    assert_true(a->epoch == b->epoch);
    assert_true(a->limits.message_size == b->limits.message_size);
    assert_true(a->limits.rooms == b->limits.rooms);
    assert_true(a->limits.silence_ms == b->limits.silence_ms);
    assert_true(yo_span_equal(a->members, b->members));
    assert_int_equal(a->more, b->more);
    assert_true(yo_span_equal(a->targets, b->targets));
    assert_int_equal(a->echo, b->echo);
    assert_int_equal(a->direct, b->direct);
    assert_true(a->request == b->request);
    assert_true(a->reply == b->reply);
    assert_true(a->ttl_ms == b->ttl_ms);
    assert_int_equal(a->priority, b->priority);
    assert_true(a->pace_ms == b->pace_ms);
    assert_true(a->since == b->since && a->hist == b->hist);
    assert_true(a->max == b->max && a->from == b->from);
    assert_true(a->urgent == b->urgent && a->bulk == b->bulk && a->read == b->read);
    assert_true(a->limits.grace_ms == b->limits.grace_ms);
}

static void every_field_comes_back(void **state)
{
    struct yo_message message = full_message();
    struct yo_message back;

    (void)state;
    for (unsigned op = YO_OP_DATA; op < YO_OP_UNKNOWN; op++) {
        struct yo_span bytes;
        message.op = (enum yo_op)op;
        bytes = encoded(YO_DIALECT_YOMO, &message);
        assert_int_equal(yo_decode(bytes, &back), YOMO_OK);
        check_same(&back, &message);
        assert_true(yo_span_equal(encoded_blob(YO_DIALECT_YOMO, &message), bytes));
    }
}

static void the_longest_names_come_back_too(void **state)
{
    struct yo_message message = full_message();
    struct yo_message back;

    (void)state;
    message.channel = bytes_repeat("c", YO_CHANNEL_SIZE_MAX);
    message.peer = bytes_repeat("p", YO_ID_SIZE_MAX);
    message.mesh = bytes_repeat("m", YO_ID_SIZE_MAX);
    message.key = bytes_repeat("k", YO_KEY_SIZE_MAX);
    message.text = bytes_repeat("t", YO_TEXT_SIZE_MAX);
    message.payload = bytes_repeat("x", 70000);
    assert_int_equal(yo_decode(encoded_blob(YO_DIALECT_YOMO, &message), &back),
                     YOMO_OK);
    check_same(&back, &message);
}

static void what_is_zero_is_not_written(void **state)
{
    struct yo_message message = {.op = YO_OP_PING};

    (void)state;
    assert_hex(encoded(YO_DIALECT_YOMO, &message),
               "82a174a7636f6e74726f6ca26f70a470696e67");
    message.timestamp = 5;
    message.limits.rooms = 2;
    assert_hex(
        encoded(YO_DIALECT_YOMO, &message),
        "84a174a7636f6e74726f6ca26f70a470696e67a2747305a36c696d81a5726f6f6d7302");
}

static void an_op_that_the_dialect_has_not_is_invalid(void **state)
{
    struct yo_blob *blob = NULL;
    struct yo_buf out;

    (void)state;
    yo_buf_init(&out, &yo_mem_libc);
    for (unsigned op = YO_OP_DATA; op <= YO_OP_UNKNOWN; op++) {
        struct yo_message message = {.op = (enum yo_op)op, .channel = yo_span_of("r")};
        bool known = op <= YO_OP_PEER_OFFLINE;
        int rv = yo_encode(&out, YO_DIALECT_PRESENCEJS, &message);
        assert_int_equal(rv, known ? YOMO_OK : YOMO_ERR_INVALID);
        assert_int_equal(out.size > 0, known);
        yo_buf_clear(&out);
        rv = yo_encode_blob(&blob, &yo_mem_libc, YO_DIALECT_YOMO, &message);
        assert_int_equal(rv, op < YO_OP_UNKNOWN ? YOMO_OK : YOMO_ERR_INVALID);
        if (rv == YOMO_OK) {
            yo_blob_unref(blob);
        }
    }
    yo_buf_finish(&out);
}

static void a_message_past_the_limit_is_too_big(void **state)
{
    struct yo_message message = {.op = YO_OP_DATA, .channel = yo_span_of("r")};
    struct yo_blob *blob = NULL;
    struct yo_buf out;
    size_t sizes[] = {YO_MESSAGE_SIZE_MAX - 10, YO_MESSAGE_SIZE_MAX,
                      YO_MESSAGE_SIZE_MAX + 1};
    uint8_t *bytes = calloc(1, YO_MESSAGE_SIZE_MAX + 1);

    (void)state;
    yo_buf_init(&out, &yo_mem_libc);
    for (size_t i = 0; i < 3; i++) {
        message.payload = yo_span(bytes, sizes[i]);
        assert_int_equal(yo_encode(&out, YO_DIALECT_YOMO, &message), YOMO_ERR_TOO_BIG);
        assert_int_equal(out.size, 0);
        assert_int_equal(yo_encode_blob(&blob, &yo_mem_libc, YO_DIALECT_YOMO, &message),
                         YOMO_ERR_TOO_BIG);
        assert_null(blob);
    }
    message.payload.size =
        YO_MESSAGE_SIZE_MAX - 20; /* 1 + 7 + 4 + 3 + 5 bytes around */
    assert_int_equal(yo_encode(&out, YO_DIALECT_YOMO, &message), YOMO_OK);
    assert_int_equal(out.size, YO_MESSAGE_SIZE_MAX);
    message.payload.size = SIZE_MAX;
    assert_int_equal(yo_encode(&out, YO_DIALECT_YOMO, &message), YOMO_ERR_TOO_BIG);
    assert_int_equal(out.size, YO_MESSAGE_SIZE_MAX);
    yo_buf_finish(&out);
    free(bytes);
}

/* --- payloads --- */

static void a_payload_is_written_as_presencejs_writes_it(void **state)
{
    struct yo_buf out;

    (void)state;
    yo_buf_init(&out, &yo_mem_libc);
    assert_int_equal(
        yo_content_write(&out, yo_span_of("cur"), YOMO_JSON, yo_span_of("{\"x\":1}")),
        YOMO_OK);
    assert_hex(yo_buf_span(&out), GOLDEN_DATA);
    yo_buf_clear(&out);
    assert_int_equal(
        yo_content_write(&out, yo_span_of("e"), YOMO_BYTES, yo_span("\0\xff", 2)),
        YOMO_OK);
    assert_hex(yo_buf_span(&out), "82a56576656e74a165a464617461c40200ff");
    yo_buf_finish(&out);
}

static void check_state_of(const char *json, const char *digits)
{
    struct yo_buf out;

    yo_buf_init(&out, &yo_mem_libc);
    yo_buf_append_text(&out, ">");
    assert_int_equal(yo_state_from_json(&out, yo_span_of("alice"), yo_span_of(json)),
                     YOMO_OK);
    assert_hex(yo_span_skip(yo_buf_span(&out), 1), digits);
    assert_int_equal(yo_check_state(yo_span_skip(yo_buf_span(&out), 1)), YOMO_OK);
    yo_buf_finish(&out);
}

static void a_state_gets_the_id_in_front(void **state)
{
    (void)state;
    check_state_of("{\"name\":\"A\"}", GOLDEN_STATE);
    check_state_of("{}", "81a26964a5616c696365");
    check_state_of(NULL, "81a26964a5616c696365");
    check_state_of("{\"x\":{\"id\":1}}", "82a26964a5616c696365a17881a2696401");
    check_state_of(
        "{\"a\":0,\"b\":0,\"c\":0,\"d\":0,\"e\":0,\"f\":0,\"g\":0,\"h\":0,\"i\":0,"
        "\"j\":0,\"k\":0,\"l\":0,\"m\":0,\"n\":0,\"o\":0}",
        "de0010a26964a5616c696365a16100a16200a16300a16400a16500a16600a16700a16800"
        "a16900a16a00a16b00a16c00a16d00a16e00a16f00");
}

static void an_id_in_the_state_stays(void **state)
{
    (void)state;
    check_state_of("{\"name\":\"A\",\"id\":\"bob\"}", "82a46e616d65a141a26964a3626f62");
    check_state_of("{\"id\":7}", "81a2696407");
}

static void what_is_no_state_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "null",
        "[]",
        "\"x\"",
        "1",
        "{",
        "{}x",
        "{\"id\":1,\"id\":2}",
        "{\"__proto__\":1}",
        "{\"a\":[{\"__proto__\":{}}]}",
    };
    struct yo_buf out;

    (void)state;
    yo_buf_init(&out, &yo_mem_libc);
    yo_buf_append_text(&out, ">");
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (yo_state_from_json(&out, yo_span_of("a"), yo_span_of(texts[i])) !=
            YOMO_ERR_JSON) {
            fail_msg("%s was accepted", texts[i]);
        }
        assert_text(yo_buf_span(&out), ">");
    }
    yo_buf_finish(&out);
}

static void a_state_of_bytes_is_a_map_too(void **state)
{
    struct yo_buf out;

    (void)state;
    yo_buf_init(&out, &yo_mem_libc);
    assert_int_equal(yo_state_from_bytes(&out, yo_span_of("alice"), yo_span("\0\1", 2)),
                     YOMO_OK);
    assert_hex(yo_buf_span(&out), "82a26964a5616c696365a56279746573c4020001");
    assert_int_equal(yo_check_state(yo_buf_span(&out)), YOMO_OK);
    yo_buf_finish(&out);
}

static void a_member_comes_back(void **state)
{
    const struct yo_wire_member member = {.session = 77,
                                          .peer = yo_span_of("bob"),
                                          .state = yo_span_of("\x80"),
                                          .version = 3,
                                          .since_ms = UINT64_C(1700000000000)};
    const struct yo_wire_member bare = {.session = 5, .peer = yo_span_of("")};
    struct yo_wire_member back;
    struct yo_mp_reader reader;
    struct yo_buf out;
    uint32_t count;

    (void)state;
    yo_buf_init(&out, &yo_mem_libc);
    yo_mp_put_array(&out, 2);
    assert_int_equal(yo_member_write(&out, &member), YOMO_OK);
    assert_int_equal(yo_member_write(&out, &bare), YOMO_OK);
    assert_int_equal(yo_members_init(&reader, yo_buf_span(&out), &count), YOMO_OK);
    assert_int_equal(yo_members_next(&reader, &back), YOMO_OK);
    assert_true(back.session == 77 && back.version == 3 &&
                back.since_ms == member.since_ms);
    assert_text(back.peer, "bob");
    assert_hex(back.state, "80");
    assert_int_equal(yo_members_next(&reader, &back), YOMO_OK);
    assert_int_equal(back.session, 5);
    assert_null(back.state.data);
    assert_int_equal(reader.rest.size, 0);
    yo_buf_finish(&out);
}

static void a_message_of_the_past_comes_back(void **state)
{
    const struct yo_wire_past past = {.sequence = 9,
                                      .session = 77,
                                      .peer = yo_span_of("bob"),
                                      .payload = yo_span_of("\x82\xa5"
                                                            "event\xa1"
                                                            "e\xa4"
                                                            "data\xa1"
                                                            "1"),
                                      .at_ms = UINT64_C(1700000000000),
                                      .priority = YOMO_BULK};
    struct yo_wire_past bare = past, back;
    struct yo_mp_reader reader;
    struct yo_span event;
    struct yo_buf out;
    uint32_t count;

    (void)state;
    bare.session = bare.at_ms = 0;
    bare.priority = YOMO_NORMAL;
    yo_buf_init(&out, &yo_mem_libc);
    yo_mp_put_array(&out, 4);
    assert_int_equal(yo_past_write(&out, &past), YOMO_OK);
    assert_int_equal(yo_past_write(&out, &bare), YOMO_OK);
    bare.payload = yo_span_of("\x80"); /* no data */
    assert_int_equal(yo_past_write(&out, &bare), YOMO_OK);
    yo_mp_put_map(&out, 0);
    assert_int_equal(yo_members_init(&reader, yo_buf_span(&out), &count), YOMO_OK);
    assert_int_equal(count, 4);
    assert_int_equal(yo_past_next(&reader, &back, &event), YOMO_OK);
    assert_true(back.sequence == 9 && back.session == 77 && back.at_ms == past.at_ms);
    assert_int_equal(back.priority, YOMO_BULK);
    assert_text(back.peer, "bob");
    assert_text(event, "e");
    assert_true(yo_span_equal(back.payload, past.payload));
    assert_int_equal(yo_past_next(&reader, &back, &event), YOMO_OK);
    assert_true(back.session == 0 && back.at_ms == 0 && back.priority == YOMO_NORMAL);
    assert_int_equal(yo_past_next(&reader, &back, &event), YOMO_ERR_MALFORMED);
    assert_int_equal(yo_past_next(&reader, &back, &event), YOMO_ERR_MALFORMED);
    yo_buf_finish(&out);
}

/* --- memory --- */

static void check_append(struct fault *fault, struct yo_buf *out, size_t before, int rv)
{
    if (rv != YOMO_OK) {
        assert_int_equal(rv, YOMO_ERR_NOMEM);
        assert_true(fault->failed);
        assert_int_equal(out->size, before);
        assert_false(out->failed);
    }
}

static void write_all(struct fault *fault, void *user)
{
    struct yo_message message = full_message();
    const struct yo_wire_member member = {.peer = bytes_repeat("p", 200)};
    struct yo_span text = bytes_repeat("x", 500);
    struct yo_span json = yo_span_of("{\"a\":[1,2,3],\"b\":\"text\"}");
    struct yo_blob *blob = NULL;
    struct yo_buf out;
    size_t before;
    int rv;

    (void)user;
    yo_buf_init(&out, &fault->mem);
    for (int i = 0; i < 3; i++) {
        before = out.size;
        check_append(fault, &out, before, yo_encode(&out, YO_DIALECT_YOMO, &message));
        before = out.size;
        rv = yo_content_write(&out, yo_span_of("e"), i % 2 ? YOMO_JSON : YOMO_BYTES,
                              text);
        check_append(fault, &out, before, rv);
        before = out.size;
        rv = yo_state_from_json(&out, bytes_repeat("i", 100), json);
        check_append(fault, &out, before, rv);
        before = out.size;
        rv = yo_state_from_bytes(&out, yo_span_of("i"), text);
        check_append(fault, &out, before, rv);
        before = out.size;
        check_append(fault, &out, before, yo_member_write(&out, &member));
    }
    message.payload = bytes_repeat("x", (size_t)(fault->nth % 2) * 4000);
    rv = yo_encode_blob(&blob, &fault->mem, YO_DIALECT_YOMO, &message);
    assert_true(rv == YOMO_OK || (rv == YOMO_ERR_NOMEM && fault->failed && !blob));
    yo_blob_unref(blob);
    yo_buf_finish(&out);
}

static void each_failing_allocation_is_survived(void **state)
{
    (void)state;
    assert_true(fault_each(write_all, NULL) > 8);
}

static void a_state_takes_another_id(void **state)
{
    static const struct {
        const char *json, *from, *expected;
    } cases[] = {
        {"{\"x\":1}", "a", "82a26964a3626f62a17801"},
        {"{\"x\":1}", "other", "82a26964a161a17801"},
        {"{\"id\":\"own\",\"x\":1}", "a", "82a26964a36f776ea17801"},
        {"{\"id\":7}", "a", "81a2696407"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct yo_buf before, after;
        yo_buf_init(&before, &yo_mem_libc);
        yo_buf_init(&after, &yo_mem_libc);
        assert_int_equal(
            yo_state_from_json(&before, yo_span_of("a"), yo_span_of(cases[i].json)),
            YOMO_OK);
        assert_int_equal(yo_state_rename(&after, yo_buf_span(&before),
                                         yo_span_of(cases[i].from), yo_span_of("bob")),
                         YOMO_OK);
        assert_hex(yo_buf_span(&after), cases[i].expected);
        yo_buf_finish(&before);
        yo_buf_finish(&after);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_takes_another_id),
        cmocka_unit_test(the_golden_messages_are_written_byte_for_byte),
        cmocka_unit_test(the_extension_is_never_shown_to_presencejs),
        cmocka_unit_test(every_field_comes_back),
        cmocka_unit_test(the_longest_names_come_back_too),
        cmocka_unit_test(what_is_zero_is_not_written),
        cmocka_unit_test(an_op_that_the_dialect_has_not_is_invalid),
        cmocka_unit_test(a_message_past_the_limit_is_too_big),
        cmocka_unit_test(a_payload_is_written_as_presencejs_writes_it),
        cmocka_unit_test(a_state_gets_the_id_in_front),
        cmocka_unit_test(an_id_in_the_state_stays),
        cmocka_unit_test(what_is_no_state_is_refused),
        cmocka_unit_test(a_state_of_bytes_is_a_map_too),
        cmocka_unit_test(a_member_comes_back),
        cmocka_unit_test(a_message_of_the_past_comes_back),
        cmocka_unit_test(each_failing_allocation_is_survived),
    };

    return cmocka_run_group_tests_name("wire/encode", tests, NULL, NULL);
}
