/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <yomo/error.h>

#include "transport/webtransport/capsule.h"
#include "transport/webtransport/flow.h"

static const struct yo_wt_limits ours = {1000, 10, 4}, theirs = {500, 2, 0};

static void expect(struct yo_flow *flow, uint64_t type, uint64_t number)
{
    uint64_t said, value;
    assert_true(yo_flow_say(flow, &said, &value));
    assert_int_equal(said, type);
    assert_int_equal(value, number);
    yo_flow_said(flow, said);
}

static void expect_nothing(struct yo_flow *flow)
{
    uint64_t type, number;
    assert_false(yo_flow_say(flow, &type, &number));
}

static void what_is_used_is_not_left(void **state)
{
    struct yo_flow flow;
    bool raised;
    (void)state;
    yo_flow_init(&flow, &ours, &theirs);
    assert_int_equal(yo_flow_left(&flow, YO_FLOW_DATA), 500);
    yo_flow_use(&flow, YO_FLOW_DATA, 500);
    assert_int_equal(yo_flow_left(&flow, YO_FLOW_DATA), 0);
    assert_int_equal(yo_flow_left(&flow, YO_FLOW_UNI), 0);
    assert_int_equal(yo_flow_hear(&flow, YO_CAPSULE_MAX_DATA, 501, &raised), YOMO_OK);
    assert_true(raised);
    assert_int_equal(yo_flow_left(&flow, YO_FLOW_DATA), 1);
    assert_int_equal(yo_flow_hear(&flow, YO_CAPSULE_MAX_STREAMS_UNI, 1, &raised),
                     YOMO_OK);
    assert_int_equal(yo_flow_left(&flow, YO_FLOW_UNI), 1);
    assert_int_equal(yo_flow_left(&flow, YO_FLOW_BIDI), 2);
}

static void that_it_holds_us_back_is_said_once_for_each_limit(void **state)
{
    struct yo_flow flow;
    bool raised;
    (void)state;
    yo_flow_init(&flow, &ours, &theirs);
    for (int i = 0; i < 3; i++) {
        yo_flow_blocked(&flow, YO_FLOW_UNI);
    }
    expect(&flow, YO_CAPSULE_STREAMS_BLOCKED_UNI, 0);
    yo_flow_blocked(&flow, YO_FLOW_UNI);
    expect_nothing(&flow);
    yo_flow_hear(&flow, YO_CAPSULE_MAX_STREAMS_UNI, 3, &raised);
    yo_flow_blocked(&flow, YO_FLOW_UNI);
    expect(&flow, YO_CAPSULE_STREAMS_BLOCKED_UNI, 3);
    yo_flow_blocked(&flow, YO_FLOW_DATA);
    yo_flow_hear(&flow, YO_CAPSULE_MAX_DATA, 600, &raised); /* it came meanwhile */
    expect_nothing(&flow);
}

static void the_peer_may_take_no_more_than_it_was_given(void **state)
{
    struct yo_flow flow;
    (void)state;
    yo_flow_init(&flow, &ours, &theirs);
    assert_int_equal(yo_flow_take(&flow, YO_FLOW_DATA, 999), YOMO_OK);
    assert_int_equal(yo_flow_take(&flow, YO_FLOW_DATA, 2), YOMO_ERR_PROTO);
    assert_int_equal(yo_flow_take(&flow, YO_FLOW_DATA, UINT64_MAX), YOMO_ERR_PROTO);
    assert_int_equal(yo_flow_take(&flow, YO_FLOW_DATA, 1), YOMO_OK);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(yo_flow_take(&flow, YO_FLOW_UNI, 1), YOMO_OK);
    }
    assert_int_equal(yo_flow_take(&flow, YO_FLOW_UNI, 1), YOMO_ERR_PROTO);
}

static void the_limit_grows_when_half_of_it_is_done_with(void **state)
{
    struct yo_flow flow;
    (void)state;
    yo_flow_init(&flow, &ours, &theirs);
    assert_int_equal(yo_flow_take(&flow, YO_FLOW_DATA, 1000), YOMO_OK);
    yo_flow_done(&flow, YO_FLOW_DATA, 499);
    expect_nothing(&flow);
    yo_flow_done(&flow, YO_FLOW_DATA, 1);
    yo_flow_done(&flow, YO_FLOW_DATA, 1); /* before it was said */
    expect(&flow, YO_CAPSULE_MAX_DATA, 1501);
    expect_nothing(&flow);
    assert_int_equal(yo_flow_take(&flow, YO_FLOW_DATA, 501), YOMO_OK);
    assert_int_equal(yo_flow_take(&flow, YO_FLOW_DATA, 1), YOMO_ERR_PROTO);
}

static void with_nothing_to_give_nothing_is_said(void **state)
{
    const struct yo_wt_limits none = {0, 0, 0};
    struct yo_flow flow;
    (void)state;
    yo_flow_init(&flow, &none, &none);
    assert_int_equal(yo_flow_take(&flow, YO_FLOW_BIDI, 1), YOMO_ERR_PROTO);
    yo_flow_done(&flow, YO_FLOW_BIDI, 0);
    expect_nothing(&flow);
}

static void a_limit_that_does_not_grow_is_an_error(void **state)
{
    struct yo_flow flow;
    bool raised;
    (void)state;
    yo_flow_init(&flow, &ours, &theirs);
    assert_int_equal(yo_flow_hear(&flow, YO_CAPSULE_MAX_DATA, 500, &raised),
                     YOMO_ERR_PROTO);
    assert_int_equal(yo_flow_hear(&flow, YO_CAPSULE_MAX_DATA, 499, &raised),
                     YOMO_ERR_PROTO);
    assert_int_equal(yo_flow_hear(&flow, YO_CAPSULE_MAX_STREAMS_BIDI,
                                  (UINT64_C(1) << 60) + 1, &raised),
                     YOMO_ERR_PROTO);
    assert_int_equal(yo_flow_hear(&flow, YO_CAPSULE_STREAMS_BLOCKED_BIDI,
                                  (UINT64_C(1) << 60) + 1, &raised),
                     YOMO_ERR_PROTO);
    assert_false(raised);
    assert_int_equal(yo_flow_hear(&flow, YO_CAPSULE_DATA_BLOCKED, 7, &raised), YOMO_OK);
    assert_int_equal(
        yo_flow_hear(&flow, YO_CAPSULE_MAX_STREAMS_BIDI, UINT64_C(1) << 60, &raised),
        YOMO_OK);
    assert_true(raised);
}

static void a_wider_window_is_said_when_it_is_worth_it(void **state)
{
    struct yo_flow flow;
    (void)state;
    yo_flow_init(&flow, &ours, &theirs);
    yo_flow_widen(&flow, YO_FLOW_DATA, 100);
    expect_nothing(&flow);
    yo_flow_widen(&flow, YO_FLOW_DATA, 1000);
    expect(&flow, YO_CAPSULE_MAX_DATA, 2100);
    assert_int_equal(yo_flow_take(&flow, YO_FLOW_DATA, 2100), YOMO_OK);
    assert_int_equal(yo_flow_take(&flow, YO_FLOW_DATA, 1), YOMO_ERR_PROTO);
    yo_flow_done(&flow, YO_FLOW_DATA, 1050);
    expect(&flow, YO_CAPSULE_MAX_DATA, 3150);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_used_is_not_left),
        cmocka_unit_test(that_it_holds_us_back_is_said_once_for_each_limit),
        cmocka_unit_test(the_peer_may_take_no_more_than_it_was_given),
        cmocka_unit_test(the_limit_grows_when_half_of_it_is_done_with),
        cmocka_unit_test(a_wider_window_is_said_when_it_is_worth_it),
        cmocka_unit_test(with_nothing_to_give_nothing_is_said),
        cmocka_unit_test(a_limit_that_does_not_grow_is_an_error),
    };
    return cmocka_run_group_tests_name("transport/webtransport/flow", tests, NULL,
                                       NULL);
}
