/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/check.h"
#include "golden.h"
#include "support/bytes.h"
#include "wire/decode.h"

static void a_state_is_one_portable_map(void **state)
{
    (void)state;
    assert_int_equal(yo_check_state(bytes_hex(GOLDEN_STATE)), YOMO_OK);
    assert_int_equal(yo_check_state(bytes_hex("80")), YOMO_OK);
    assert_int_equal(yo_check_state(bytes_hex("8101c0")), YOMO_OK);
    assert_int_equal(yo_check_state(bytes_hex("")), YOMO_ERR_MALFORMED);
    assert_int_equal(yo_check_state(YO_SPAN_NONE), YOMO_ERR_MALFORMED);
    assert_int_equal(yo_check_state(bytes_hex("c0")), YOMO_ERR_MALFORMED);
    assert_int_equal(yo_check_state(bytes_hex("90")), YOMO_ERR_MALFORMED);
    assert_int_equal(yo_check_state(bytes_hex("8080")), YOMO_ERR_MALFORMED);
    assert_int_equal(yo_check_state(bytes_hex("81a1ffc0")), YOMO_ERR_MALFORMED);
    assert_int_equal(yo_check_state(bytes_hex("81c0c0")), YOMO_ERR_MALFORMED);
    assert_int_equal(yo_check_state(bytes_hex("81a95f5f70726f746f5f5f80")),
                     YOMO_ERR_MALFORMED);
}

/* presencejs would show the second one. */
static void a_state_has_one_id_at_most(void **state)
{
    (void)state;
    assert_int_equal(yo_check_state(bytes_hex("82a26964a161a26964a162")),
                     YOMO_ERR_MALFORMED);
    assert_int_equal(yo_check_state(bytes_hex("82a26964a161a17881a26964a162")),
                     YOMO_OK);
}

static void a_data_payload_has_one_event(void **state)
{
    struct yo_span event;

    (void)state;
    assert_int_equal(yo_check_data(bytes_hex(GOLDEN_DATA), &event), YOMO_OK);
    assert_text(event, "cur");
    assert_int_equal(yo_check_data(bytes_hex(GOLDEN_DATA_220), &event), YOMO_OK);
    assert_text(event, "cur");
    assert_int_equal(yo_check_data(bytes_hex("81a56576656e74a0"), &event), YOMO_OK);
    assert_int_equal(event.size, 0);
}

static void a_data_payload_without_a_fit_event_is_malformed(void **state)
{
    static const char *const texts[] = {
        "",
        "80",
        "c0",
        "90",
        "91a56576656e74",
        "81a56576656e7401",
        "81a56576656e74c0",
        "81a56576656e74c40161",
        "81a56576656e74a1ff",
        "81a56576656e74a16100",
        "82a56576656e74a161a56576656e74a162",
        "82a56576656e74a161c0c0",
        "82a56576656e74a161a46461746181c0c0",
        "81a464617461a161",
    };
    struct yo_span event = yo_span_of("kept");

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (yo_check_data(bytes_hex(texts[i]), &event) != YOMO_ERR_MALFORMED) {
            fail_msg("%s was accepted", texts[i]);
        }
    }
    assert_text(event, "kept");
}

static void an_event_has_a_limit(void **state)
{
    (void)state;
    for (size_t size = YO_EVENT_SIZE_MAX; size <= YO_EVENT_SIZE_MAX + 1; size++) {
        int wanted = size <= YO_EVENT_SIZE_MAX ? YOMO_OK : YOMO_ERR_MALFORMED;
        struct yo_content content;
        struct yo_span event;
        struct yo_buf out;
        yo_buf_init(&out, &yo_mem_libc);
        yo_mp_put_map(&out, 1);
        yo_mp_put_cstr(&out, "event");
        yo_mp_put_str(&out, bytes_repeat("e", size));
        assert_int_equal(yo_check_data(yo_buf_span(&out), &event), wanted);
        assert_int_equal(yo_content_read(yo_buf_span(&out), &content), wanted);
        yo_buf_finish(&out);
    }
}

static struct yo_content content_of(const char *digits)
{
    struct yo_content content;

    if (yo_content_read(bytes_hex(digits), &content) != YOMO_OK) {
        fail_msg("%s was refused", digits);
    }
    return content;
}

static void data_that_is_a_string_is_json_text(void **state)
{
    struct yo_content content = content_of(GOLDEN_DATA);

    (void)state;
    assert_text(content.event, "cur");
    assert_int_equal(content.encoding, YOMO_JSON);
    assert_false(content.in_mp);
    assert_text(content.bytes, "{\"x\":1}");
}

static void data_that_is_bin_is_bytes(void **state)
{
    struct yo_content content = content_of("82a56576656e74a165a464617461c40300ff80");

    (void)state;
    assert_int_equal(content.encoding, YOMO_BYTES);
    assert_false(content.in_mp);
    assert_hex(content.bytes, "00ff80");
    content = content_of("82a56576656e74a165a464617461c400");
    assert_int_equal(content.encoding, YOMO_BYTES);
    assert_int_equal(content.bytes.size, 0);
    assert_non_null(content.bytes.data);
}

static void the_payload_of_2_2_0_is_an_encoded_value(void **state)
{
    struct yo_content content = content_of(GOLDEN_DATA_220);

    (void)state;
    assert_text(content.event, "cur");
    assert_int_equal(content.encoding, YOMO_JSON);
    assert_true(content.in_mp);
    assert_hex(content.bytes, "81a17801");
    content = content_of("82a56576656e74a165a77061796c6f6164a3616263");
    assert_true(content.in_mp);
    assert_hex(content.bytes, "a3616263"); /* a string of its own, not JSON text */
}

static void other_data_is_an_encoded_value(void **state)
{
    struct yo_content content = content_of("82a56576656e74a165a46461746181a17801");

    (void)state;
    assert_true(content.in_mp);
    assert_hex(content.bytes, "81a17801");
    content = content_of("82a56576656e74a165a464617461c0");
    assert_true(content.in_mp);
    assert_hex(content.bytes, "c0");
}

static void no_data_at_all_is_null(void **state)
{
    struct yo_content content = content_of("81a56576656e74a165");

    (void)state;
    assert_int_equal(content.encoding, YOMO_JSON);
    assert_true(content.in_mp);
    assert_hex(content.bytes, "c0");
}

static void check_cut(struct yo_span cut, void *user)
{
    struct yo_content content;
    struct yo_span event;

    (void)user;
    assert_int_equal(yo_check_state(cut), YOMO_ERR_MALFORMED);
    assert_int_equal(yo_check_data(cut, &event), YOMO_ERR_MALFORMED);
    assert_int_equal(yo_content_read(cut, &content), YOMO_ERR_MALFORMED);
}

static void check_flip(struct yo_span flipped, void *user)
{
    struct yo_content content;
    struct yo_span event;

    (void)user;
    (void)yo_check_state(flipped);
    if (yo_check_data(flipped, &event) == YOMO_OK) {
        assert_int_equal(yo_content_read(flipped, &content), YOMO_OK);
        assert_true(yo_span_equal(content.event, event));
    }
}

static void every_cut_is_refused_and_every_flip_survived(void **state)
{
    static const char *const texts[] = {GOLDEN_STATE, GOLDEN_DATA, GOLDEN_DATA_220};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        bytes_each_cut(bytes_hex(texts[i]), check_cut, NULL);
        bytes_each_flip(bytes_hex(texts[i]), check_flip, NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_is_one_portable_map),
        cmocka_unit_test(a_state_has_one_id_at_most),
        cmocka_unit_test(a_data_payload_has_one_event),
        cmocka_unit_test(a_data_payload_without_a_fit_event_is_malformed),
        cmocka_unit_test(an_event_has_a_limit),
        cmocka_unit_test(data_that_is_a_string_is_json_text),
        cmocka_unit_test(data_that_is_bin_is_bytes),
        cmocka_unit_test(the_payload_of_2_2_0_is_an_encoded_value),
        cmocka_unit_test(other_data_is_an_encoded_value),
        cmocka_unit_test(no_data_at_all_is_null),
        cmocka_unit_test(every_cut_is_refused_and_every_flip_survived),
    };

    return cmocka_run_group_tests_name("wire/content", tests, NULL, NULL);
}
