/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "options/nearest.h"
#include "support/bytes.h"

static void check(int32_t scope, const char *word, const char *wanted)
{
    const char *nearest = yo_option_nearest(scope, bytes_copy(yo_span_of(word)));

    if (!nearest != !wanted || (wanted && strcmp(nearest, wanted) != 0)) {
        fail_msg("'%s' is nearest to '%s', not '%s'", word,
                 nearest ? nearest : "nothing", wanted ? wanted : "nothing");
    }
}

static void a_slip_of_the_finger_is_understood(void **state)
{
    (void)state;
    check(YOMO_SCOPE_SERVER, "prot", "port");
    check(YOMO_SCOPE_SERVER, "origin", "origins");
    check(YOMO_SCOPE_SERVER, "wrokers", "workers");
    check(YOMO_SCOPE_SERVER, "tls_cert", "tls-cert");
    check(YOMO_SCOPE_CLIENT, "trasport", "transport");
    check(YOMO_SCOPE_CLIENT, "publickey", "public-key");
    check(YOMO_SCOPE_CLIENT, "reconect-max", "reconnect-max");
}

static void a_part_of_a_name_is_understood(void **state)
{
    (void)state;
    check(YOMO_SCOPE_SERVER, "cert", "tls-cert");
    check(YOMO_SCOPE_SERVER, "drain", "drain-timeout");
    check(YOMO_SCOPE_CLIENT, "message-size", "message-size-max");
}

static void what_is_far_from_everything_has_no_nearest(void **state)
{
    (void)state;
    check(YOMO_SCOPE_SERVER, "xylophone", NULL);
    check(YOMO_SCOPE_SERVER, "", NULL);
    check(YOMO_SCOPE_SERVER, "q", NULL);
    check(9, "port", NULL);
}

static void a_word_of_any_length_is_harmless(void **state)
{
    (void)state;
    assert_null(yo_option_nearest(YOMO_SCOPE_SERVER, bytes_repeat("port", 1000)));
    for (size_t size = 1; size <= 64; size++) {
        (void)yo_option_nearest(YOMO_SCOPE_CLIENT, bytes_repeat("a", size));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slip_of_the_finger_is_understood),
        cmocka_unit_test(a_part_of_a_name_is_understood),
        cmocka_unit_test(what_is_far_from_everything_has_no_nearest),
        cmocka_unit_test(a_word_of_any_length_is_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
