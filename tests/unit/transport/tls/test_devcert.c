/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yomo/error.h>

#include "transport/tls/devcert.h"

#define DAY_MS UINT64_C(86400000)
#define WALL_MS UINT64_C(1790000000000)

static char dir[64], cert_file[128], key_file[128];

static int start(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/yomo-devcert-XXXXXX");
    if (!mkdtemp(dir)) {
        return 1;
    }
    strcat(dir, "/a/b");
    snprintf(cert_file, sizeof(cert_file), "%s/dev-cert.pem", dir);
    snprintf(key_file, sizeof(key_file), "%s/dev-key.pem", dir);
    return 0;
}

static int stop(void **state)
{
    char lock[128];
    (void)state;
    unlink(cert_file);
    unlink(key_file);
    snprintf(lock, sizeof(lock), "%s/dev.lock", dir);
    unlink(lock);
    for (int i = 0; i < 3; i++) {
        rmdir(dir);
        *strrchr(dir, '/') = 0;
    }
    return 0;
}

static int ready(uint64_t wall_ms, bool *fresh)
{
    struct yo_buf cert, key, why;
    yo_buf_init(&cert, &yo_mem_libc);
    yo_buf_init(&key, &yo_mem_libc);
    yo_buf_init(&why, &yo_mem_libc);
    int rv = yo_devcert_ready(dir, wall_ms, &cert, &key, fresh, &why);
    if (rv == YOMO_OK) {
        assert_string_equal((char *)cert.data, cert_file);
        assert_string_equal((char *)key.data, key_file);
        assert_int_equal(why.size, 0);
    } else {
        assert_true(why.size > 0);
    }
    yo_buf_finish(&cert);
    yo_buf_finish(&key);
    yo_buf_finish(&why);
    return rv;
}

static X509 *read_cert(void)
{
    FILE *file = fopen(cert_file, "r");
    assert_non_null(file);
    X509 *cert = PEM_read_X509(file, NULL, NULL, NULL);
    fclose(file);
    assert_non_null(cert);
    return cert;
}

static void it_is_made_once_and_kept(void **state)
{
    (void)state;
    bool fresh;
    assert_int_equal(ready(WALL_MS, &fresh), YOMO_OK);
    assert_true(fresh);
    X509 *first = read_cert();
    assert_int_equal(ready(WALL_MS + 10 * DAY_MS, &fresh), YOMO_OK);
    assert_false(fresh);
    X509 *second = read_cert();
    assert_int_equal(X509_cmp(first, second), 0);
    X509_free(first);
    X509_free(second);
}

static void it_is_what_browsers_take_by_hash(void **state)
{
    (void)state;
    bool fresh;
    struct stat st;
    assert_int_equal(ready(WALL_MS, &fresh), YOMO_OK);
    X509 *cert = read_cert();
    int days, seconds;
    assert_int_equal(ASN1_TIME_diff(&days, &seconds, X509_get0_notBefore(cert),
                                    X509_get0_notAfter(cert)),
                     1);
    assert_true(days < 14);
    assert_int_equal(EVP_PKEY_get_base_id(X509_get0_pubkey(cert)), EVP_PKEY_EC);
    assert_int_equal(EVP_PKEY_get_bits(X509_get0_pubkey(cert)), 256);
    assert_int_equal(X509_check_host(cert, "localhost", 0, 0, NULL), 1);
    assert_int_equal(X509_check_ip_asc(cert, "127.0.0.1", 0), 1);
    assert_int_equal(X509_check_ip_asc(cert, "::1", 0), 1);
    assert_int_equal(X509_check_host(cert, "example.org", 0, 0, NULL), 0);
    X509_free(cert);
    assert_int_equal(stat(dir, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(stat(key_file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(stat(cert_file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void it_is_renewed_when_fewer_than_two_days_are_left(void **state)
{
    (void)state;
    bool fresh;
    assert_int_equal(ready(WALL_MS, &fresh), YOMO_OK);
    assert_int_equal(ready(WALL_MS + 11 * DAY_MS, &fresh), YOMO_OK);
    assert_true(fresh);
    /* A clock that was set back finds one that is not valid yet. */
    assert_int_equal(ready(WALL_MS, &fresh), YOMO_OK);
    assert_true(fresh);
}

static void what_is_not_a_pair_is_made_anew(void **state)
{
    (void)state;
    bool fresh;
    assert_int_equal(ready(WALL_MS, &fresh), YOMO_OK);
    assert_int_equal(truncate(key_file, 20), 0);
    assert_int_equal(ready(WALL_MS, &fresh), YOMO_OK);
    assert_true(fresh);
    assert_int_equal(unlink(cert_file), 0);
    assert_int_equal(ready(WALL_MS, &fresh), YOMO_OK);
    assert_true(fresh);
}

static void a_folder_that_others_may_write_is_refused(void **state)
{
    (void)state;
    bool fresh;
    assert_int_equal(ready(WALL_MS, &fresh), YOMO_OK);
    assert_int_equal(chmod(dir, 0777), 0);
    assert_int_equal(ready(WALL_MS, &fresh), YOMO_ERR_FILE);
    assert_int_equal(chmod(dir, 0700), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(dir, 12345, 12345), 0);
        assert_int_equal(ready(WALL_MS, &fresh), YOMO_ERR_FILE);
        assert_int_equal(chown(dir, 0, 0), 0);
    }
}

static void a_key_that_others_may_read_is_refused(void **state)
{
    (void)state;
    bool fresh;
    assert_int_equal(ready(WALL_MS, &fresh), YOMO_OK);
    assert_int_equal(chmod(key_file, 0640), 0);
    assert_int_equal(ready(WALL_MS, &fresh), YOMO_ERR_FILE);
    assert_int_equal(chmod(key_file, 0604), 0);
    assert_int_equal(ready(WALL_MS + 12 * DAY_MS, &fresh),
                     YOMO_ERR_FILE); /* when due */
    assert_int_equal(chmod(key_file, 0600), 0);
    assert_int_equal(ready(WALL_MS, &fresh), YOMO_OK);
    assert_false(fresh);
}

static void the_usual_folder_follows_the_environment(void **state)
{
    (void)state;
    struct yo_buf path;
    yo_buf_init(&path, &yo_mem_libc);
    setenv("XDG_STATE_HOME", "/state", 1);
    setenv("HOME", "/home/x", 1);
    assert_int_equal(yo_state_dir_default(&path), YOMO_OK);
    assert_string_equal((char *)path.data, "/state/yomo");
    yo_buf_clear(&path);
    setenv("XDG_STATE_HOME", "relative", 1);
    assert_int_equal(yo_state_dir_default(&path), YOMO_OK);
    assert_string_equal((char *)path.data, "/home/x/.local/state/yomo");
    yo_buf_clear(&path);
    unsetenv("XDG_STATE_HOME");
    unsetenv("HOME");
    assert_int_equal(yo_state_dir_default(&path), YOMO_ERR_FILE);
    yo_buf_finish(&path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_is_made_once_and_kept, start, stop),
        cmocka_unit_test_setup_teardown(it_is_what_browsers_take_by_hash, start, stop),
        cmocka_unit_test_setup_teardown(it_is_renewed_when_fewer_than_two_days_are_left,
                                        start, stop),
        cmocka_unit_test_setup_teardown(what_is_not_a_pair_is_made_anew, start, stop),
        cmocka_unit_test_setup_teardown(a_key_that_others_may_read_is_refused, start,
                                        stop),
        cmocka_unit_test_setup_teardown(a_folder_that_others_may_write_is_refused,
                                        start, stop),
        cmocka_unit_test(the_usual_folder_follows_the_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
