/* SPDX-License-Identifier: MIT
 *
 * What the build promises to every other file: asserts stay, and the version in the
 * header and in the library is the project's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

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

static void the_library_tells_its_version_and_those_of_others(void **state)
{
    const char *text = yomo_version_string();
    const char *const names[] = {"ngtcp2 1.", "nghttp3 1.", "OpenSSL 3.", "libuv 1."};

    (void)state;
    assert_int_equal(yomo_version(), YOMO_VERSION_MAJOR << 16 | YOMO_VERSION_MINOR << 8 |
                                         YOMO_VERSION_PATCH);
    assert_int_equal(strncmp(text, PROJECT_VERSION " (", strlen(PROJECT_VERSION) + 2), 0);
    assert_int_equal(text[strlen(text) - 1], ')'); /* nothing was cut */
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        assert_non_null(strstr(text, names[i]));
    }
    assert_ptr_equal(yomo_version_string(), text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asserts_are_kept_in_every_build),
        cmocka_unit_test(the_header_has_the_version_of_the_project),
        cmocka_unit_test(the_library_tells_its_version_and_those_of_others),
    };
    return cmocka_run_group_tests_name("build", tests, NULL, NULL);
}
