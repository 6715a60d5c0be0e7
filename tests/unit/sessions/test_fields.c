/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/pairs.h"
#include "sessions/handle.h"
#include "support/fault.h"

static void body(struct fault *fault, void *user)
{
    struct yo_session_fields fields, copy;
    struct yo_buf pairs;
    (void)user;
    yo_fields_init(&fields, &fault->mem);
    yo_fields_init(&copy, &fault->mem);
    yo_buf_init(&pairs, &fault->mem);
    if (yo_fields_add(&fields, yo_span_of("a"), yo_span_of("1")) == YOMO_OK &&
        yo_fields_add(&fields, yo_span_of("empty"), yo_span_of("")) == YOMO_OK &&
        yo_fields_add(&fields, yo_span_of("a"), yo_span_of("2")) == YOMO_OK &&
        yo_fields_write(&fields, &pairs) == YOMO_OK &&
        yo_fields_read(&copy, yo_buf_span(&pairs)) == YOMO_OK) {
        assert_int_equal(copy.count, 3);
        assert_string_equal(yo_fields_name(&copy, 0), "a");
        assert_string_equal(yo_fields_value(&copy, 0), "1");
        assert_string_equal(yo_fields_name(&copy, 1), "empty");
        assert_string_equal(yo_fields_value(&copy, 1), "");
        assert_string_equal(yo_fields_value(&copy, 2), "2");
        assert_null(yo_fields_name(&copy, 3));
        assert_null(yo_fields_value(&copy, 3));
    } else {
        assert_true(fault->failed);
    }
    yo_fields_finish(&fields);
    yo_fields_finish(&copy);
    yo_buf_finish(&pairs);
}

static void fields_keep_their_order(void **state)
{
    (void)state;
    assert_true(fault_each(body, NULL) > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_keep_their_order),
    };
    return cmocka_run_group_tests_name("fields", tests, NULL, NULL);
}
