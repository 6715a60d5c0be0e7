/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <yomo/error.h>

#include "transport/webtransport/codes.h"

static void codes_map_as_the_draft_says(void **state)
{
    (void)state;
    assert_int_equal(yo_wt_code_to_h3(0), UINT64_C(0x52e4a40fa8db));
    assert_int_equal(yo_wt_code_to_h3(7), UINT64_C(0x52e4a40fa8e2));
    assert_int_equal(yo_wt_code_to_h3(29), UINT64_C(0x52e4a40fa8f8));
    assert_int_equal(yo_wt_code_to_h3(30), UINT64_C(0x52e4a40fa8fa));
    assert_int_equal(yo_wt_code_to_h3(0xffffffff), UINT64_C(0x52e5ac983162));
}

static void every_code_comes_back(void **state)
{
    (void)state;
    for (uint64_t code = 0; code <= 0xffffffff; code += code < 1000 ? 1 : 99991) {
        uint32_t back = 0;
        assert_true(yo_wt_code_from_h3(yo_wt_code_to_h3((uint32_t)code), &back));
        assert_int_equal(back, code);
    }
}

static void other_codes_carry_none(void **state)
{
    static const uint64_t others[] = {0,
                                      0x100,
                                      YO_WT_SESSION_GONE,
                                      UINT64_C(0x52e4a40fa8da),
                                      UINT64_C(0x52e5ac983163),
                                      UINT64_C(0x52e4a40fa8f9)};
    (void)state;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        uint32_t code;
        assert_false(yo_wt_code_from_h3(others[i], &code));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_map_as_the_draft_says),
        cmocka_unit_test(every_code_comes_back),
        cmocka_unit_test(other_codes_carry_none),
    };
    return cmocka_run_group_tests_name("transport/webtransport/codes", tests, NULL,
                                       NULL);
}
