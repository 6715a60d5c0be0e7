/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <pthread.h>

#include "base/blob.h"
#include "support/bytes.h"
#include "support/fault.h"

static void a_blob_is_a_copy(void **state)
{
    char text[] = "bytes";
    struct yo_blob *blob = yo_blob_create(&yo_mem_libc, yo_span_of(text));

    (void)state;
    text[0] = 'x';
    assert_text(yo_blob_span(blob), "bytes");
    yo_blob_unref(blob);
}

static void a_blob_of_nothing_is_empty(void **state)
{
    struct yo_blob *blob = yo_blob_create(&yo_mem_libc, YO_SPAN_NONE);

    (void)state;
    assert_non_null(blob);
    assert_int_equal(blob->size, 0);
    yo_blob_unref(blob);
}

static void the_last_reference_frees(void **state)
{
    struct fault fault;
    struct yo_blob *blob;

    (void)state;
    fault_init(&fault, 0, FAULT_ONCE);
    blob = yo_blob_create(&fault.mem, yo_span_of("x"));
    assert_ptr_equal(yo_blob_ref(blob), blob);
    yo_blob_unref(blob);
    assert_int_equal(fault.blocks, 1);
    yo_blob_unref(blob);
    fault_assert_no_leak(&fault);
    yo_blob_unref(NULL);
}

static void without_memory_there_is_no_blob(void **state)
{
    struct fault fault;

    (void)state;
    fault_init(&fault, 1, FAULT_FROM);
    assert_null(yo_blob_create(&fault.mem, yo_span_of("x")));
    assert_null(yo_blob_alloc(&fault.mem, 10));
    assert_null(yo_blob_alloc(&yo_mem_libc, SIZE_MAX));
}

static void *ref_and_unref(void *user)
{
    for (int i = 0; i < 20000; i++) {
        yo_blob_unref(yo_blob_ref(user));
    }
    yo_blob_unref(user);
    return NULL;
}

static void threads_may_share_a_blob(void **state)
{
    struct fault fault;
    struct yo_blob *blob;
    pthread_t threads[4];

    (void)state;
    fault_init(&fault, 0, FAULT_ONCE);
    blob = yo_blob_create(&fault.mem, yo_span_of("shared"));
    for (int i = 0; i < 4; i++) {
        yo_blob_ref(blob);
        assert_int_equal(pthread_create(&threads[i], NULL, ref_and_unref, blob), 0);
    }
    yo_blob_unref(blob);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    fault_assert_no_leak(&fault);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_blob_is_a_copy),
        cmocka_unit_test(a_blob_of_nothing_is_empty),
        cmocka_unit_test(the_last_reference_frees),
        cmocka_unit_test(without_memory_there_is_no_blob),
        cmocka_unit_test(threads_may_share_a_blob),
    };

    return cmocka_run_group_tests_name("base/blob", tests, NULL, NULL);
}
