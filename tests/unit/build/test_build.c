/* SPDX-License-Identifier: MIT
 *
 * What the build promises to every other file: asserts stay, and the version in the
 * header is the project's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <yomo/version.h>

static void asserts_are_kept_in_every_build(void **state)
{
    (void)state;
#ifdef NDEBUG
    fail_msg("NDEBUG is defined: asserts would be gone");
#endif
}

static void the_header_has_the_version_of_the_project(void **state)
{
    char parts[32];

    (void)state;
    snprintf(parts, sizeof(parts), "%d.%d.%d", YOMO_VERSION_MAJOR, YOMO_VERSION_MINOR,
             YOMO_VERSION_PATCH);
    assert_string_equal(parts, PROJECT_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asserts_are_kept_in_every_build),
        cmocka_unit_test(the_header_has_the_version_of_the_project),
    };
    return cmocka_run_group_tests_name("build", tests, NULL, NULL);
}
