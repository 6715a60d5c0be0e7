/* SPDX-License-Identifier: MIT */
/* test_sign.c - signatures against the vector of the Standard Webhooks specification
 * and against ones that Python's hmac made; files of secrets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <yomo/error.h>

#include "server/webhooks/event.h"
#include "server/webhooks/sign.h"
#include "support/fault.h"

#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define OTHER "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"
#define ID "msg_p5jXN8AQM9LWM0D4loKWxJek"
#define SIGNED "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

static int sign(struct yo_buf *out, const char *file, const struct yomo_mem *mem)
{
    struct yo_webhook_secrets secrets;
    const char *why = NULL;
    int rv = yo_webhook_secrets_read(&secrets, yo_span_of(file), mem, &why);

    return rv == YOMO_OK ? yo_webhook_sign(out, &secrets, yo_span_of(ID), 1614265330,
                                           yo_span_of("{\"test\": 2432232314}"))
                         : rv;
}

static void the_specification_s_vector(void **unused)
{
    struct yo_buf out;

    (void)unused;
    yo_buf_init(&out, &yo_mem_libc);
    assert_int_equal(sign(&out, SECRET "\n", &yo_mem_libc), YOMO_OK);
    assert_true(yo_span_is(yo_buf_span(&out), SIGNED));
    yo_buf_finish(&out);
}

static void each_secret_signs(void **unused)
{
    struct yo_buf out;

    (void)unused;
    yo_buf_init(&out, &yo_mem_libc);
    assert_int_equal(
        sign(&out, "# the new one\r\n\r\n  " OTHER " \r\n" SECRET, &yo_mem_libc),
        YOMO_OK);
    assert_true(yo_span_is(yo_buf_span(&out),
                           "v1,/485aUtxlie+TIScVpHggMfqOB4so2KWb7+Gf727B44= " SIGNED));
    yo_buf_finish(&out);
}

static void files_that_are_none_are_refused(void **unused)
{
    static const char *const files[] = {
        "",
        "# nothing\n",
        "whsec_",
        "whsec_AAAA",                       /* too short */
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", /* what is it? */
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2L*LaSw",
        SECRET "\nrubbish",
        "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXAAECAwQFBgcICQoLDA0ODxAREhMUFRYX"
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX", /* too long */
        SECRET "\n" SECRET "\n" SECRET "\n" SECRET "\n" SECRET "\n" SECRET "\n" SECRET
               "\n" SECRET "\n" SECRET,
    };

    (void)unused;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        struct yo_webhook_secrets secrets;
        const char *why = NULL;
        assert_int_equal(
            yo_webhook_secrets_read(&secrets, yo_span_of(files[i]), &yo_mem_libc, &why),
            YOMO_ERR_INVALID);
        assert_non_null(why);
        assert_int_equal(secrets.count, 0);
    }
}

static void body(struct fault *fault, void *user)
{
    struct yo_buf out;

    (void)user;
    yo_buf_init(&out, &fault->mem);
    if (sign(&out, SECRET "\n" OTHER, &fault->mem) != YOMO_OK) {
        assert_true(fault->failed);
    }
    yo_buf_finish(&out);
}

static void without_memory_nothing_is_lost(void **unused)
{
    (void)unused;
    assert_true(fault_each(body, NULL) > 2);
}

static void events_are_json(void **unused)
{
    const struct yo_event joined = {.kind = YO_EVENT_JOINED,
                                    .app = yo_span_of("default"),
                                    .room = yo_span_of("a \"room\"\n"),
                                    .id = yo_span_of("\xc3\xa9"),
                                    .session = UINT64_C(9007199254740991),
                                    .at_ms = 5};
    const struct yo_event closed = {.kind = YO_EVENT_CLOSED,
                                    .app = yo_span_of("a"),
                                    .room = yo_span_of(""),
                                    .at_ms = 6,
                                    .reason = "empty"};
    const struct yo_event values[] = {
        {.kind = YO_EVENT_VALUE,
         .key = yo_span_of("k"),
         .version = 7,
         .data = yo_span_of("{\"n\":[1]}")},
        {.kind = YO_EVENT_VALUE,
         .key = yo_span_of("k"),
         .version = 8,
         .data = yo_span_of("\xff\x01"),
         .bytes = true},
        {.kind = YO_EVENT_VALUE, .key = yo_span_of("k"), .version = 9},
        /* a client's, which only calls itself JSON */
        {.kind = YO_EVENT_VALUE,
         .key = yo_span_of("k"),
         .version = 10,
         .data = yo_span_of("1},{\"type\":\"room_closed\"")},
    };
    const struct yo_event broken = {.kind = YO_EVENT_OPENED,
                                    .room = yo_span_of("\xff")};
    struct yo_buf out;

    (void)unused;
    yo_buf_init(&out, &yo_mem_libc);
    assert_int_equal(yo_event_write(&out, &joined), YOMO_OK);
    assert_int_equal(yo_event_write(&out, &closed), YOMO_OK);
    assert_true(
        yo_span_is(yo_buf_span(&out),
                   "{\"type\":\"member_joined\",\"app\":\"default\",\"room\":\"a "
                   "\\\"room\\\"\\n\","
                   "\"id\":\"\xc3\xa9\",\"session\":9007199254740991,\"at\":5}"
                   "{\"type\":\"room_closed\",\"app\":\"a\",\"room\":\"\",\"at\":6,"
                   "\"reason\":\"empty\"}"));
    yo_buf_clear(&out);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(yo_event_write(&out, &values[i]), YOMO_OK);
    }
    assert_true(
        yo_span_is(yo_buf_span(&out),
                   "{\"type\":\"value_changed\",\"at\":0,\"key\":\"k\",\"version\":7,"
                   "\"value\":{\"n\":[1]}}"
                   "{\"type\":\"value_changed\",\"at\":0,\"key\":\"k\",\"version\":8,"
                   "\"base64\":\"/wE=\"}"
                   "{\"type\":\"value_changed\",\"at\":0,\"key\":\"k\",\"version\":9}"
                   "{\"type\":\"value_changed\",\"at\":0,\"key\":\"k\",\"version\":10,"
                   "\"value\":\"1},{\\\"type\\\":\\\"room_closed\\\"\"}"));
    assert_int_equal(yo_event_write(&out, &broken), YOMO_ERR_INVALID);
    yo_buf_finish(&out);
    assert_int_equal(yo_event_kind_of(yo_span_of("room_opened")), YO_EVENT_OPENED);
    assert_int_equal(yo_event_kind_of(yo_span_of("room")), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_specification_s_vector),
        cmocka_unit_test(each_secret_signs),
        cmocka_unit_test(files_that_are_none_are_refused),
        cmocka_unit_test(without_memory_nothing_is_lost),
        cmocka_unit_test(events_are_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
