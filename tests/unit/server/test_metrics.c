/* SPDX-License-Identifier: MIT */
/* test_metrics.c - a time lands in the bucket whose bound it does not pass, as /metrics
 * prints them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rand.h"
#include "server/metrics.h"

/* One time alone: all that is printed of it. */
static void check_time(uint64_t us)
{
    static const char name[] =
        "yomo_delivery_seconds_bucket{delivery=\"reliable\",le=\"";
    struct yo_metrics metrics;
    const struct yo_metrics *all = &metrics;
    struct yo_buf text;
    size_t buckets = 0;

    memset(&metrics, 0, sizeof(metrics));
    yo_histogram_add(&metrics.delivery_time[0], us * YO_US + YO_US / 2);
    yo_buf_init(&text, &yo_mem_libc);
    assert_int_equal(yo_metrics_print(&text, &all, 1), YOMO_OK);
    yo_buf_append_byte(&text, 0);
    for (const char *at = (const char *)text.data; (at = strstr(at, name)) != NULL;) {
        char *end;
        at += sizeof(name) - 1;
        double bound = strtod(at, &end); /* "+Inf" too */
        assert_int_equal(strncmp(end, "\"} ", 3), 0);
        assert_int_equal(strtoull(end + 3, NULL, 10), (double)us / 1e6 <= bound + 1e-9);
        buckets++;
    }
    assert_int_equal(buckets, YO_HISTOGRAM_BOUNDS + 1);
    yo_buf_finish(&text);
}

static void each_time_has_its_bucket(void **state)
{
    static const uint64_t steps[] = {100, 250, 500};
    struct yo_rand rand;

    (void)state;
    check_time(0);
    check_time(49);
    check_time(50);
    check_time(51);
    for (uint64_t ten = 1; ten <= 100000; ten *= 10) {
        for (size_t i = 0; i < 3; i++) {
            check_time(steps[i] * ten - 1);
            check_time(steps[i] * ten);
            check_time(steps[i] * ten + 1);
        }
    }
    for (unsigned bits = 0; bits < 50; bits++) {
        check_time((UINT64_C(1) << bits) - 1);
        check_time(UINT64_C(1) << bits);
    }
    yo_rand_seed(&rand, 1);
    for (int i = 0; i < 100; i++) {
        check_time(yo_rand_below(&rand, UINT64_C(1) << yo_rand_below(&rand, 30)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_time_has_its_bucket),
    };
    return cmocka_run_group_tests_name("server/metrics", tests, NULL, NULL);
}
