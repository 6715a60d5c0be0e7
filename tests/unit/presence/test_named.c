/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <string.h>

#include <yomo/error.h>

#include "presence/named.h"
#include "support/fault.h"

static int join(struct yo_room *room, uint64_t session, const char *id,
                const char *label, bool presencejs)
{
    const struct yo_room_entry entry = {.session = session,
                                        .id = yo_span_of(id),
                                        .label = yo_span_of(label),
                                        .presencejs = presencejs};
    struct yo_changes changes;
    int rv = yo_room_join(room, &entry, NULL, &changes);

    yo_changes_finish(&changes);
    return rv;
}

/* bob with two devices, carol in a page, and a page that calls itself bob */
static void open_room(struct yo_room *room, const struct yomo_mem *mem)
{
    assert_int_equal(yo_room_init(room, mem, yo_span_of("app"), yo_span_of("r"), 100),
                     YOMO_OK);
    assert_int_equal(join(room, 1, "alice", NULL, false), YOMO_OK);
    assert_int_equal(join(room, 2, "bob", NULL, false), YOMO_OK);
    assert_int_equal(join(room, 3, "bob", "robert", false), YOMO_OK);
    assert_int_equal(join(room, 4, "carol", "c", true), YOMO_OK);
    assert_int_equal(join(room, 5, "dave", "bob", true), YOMO_OK);
    assert_int_equal(join(room, 6, "erin", "bob", false), YOMO_OK); /* no page */
}

static void expect(struct yo_buf *out, size_t count, const uint64_t *sessions)
{
    struct yo_member **members = (struct yo_member **)(void *)out->data;

    assert_int_equal(out->size, count * sizeof(*members));
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(members[i]->session, sessions[i]);
    }
    yo_buf_clear(out);
}

static void a_user_is_all_its_devices_and_pages_under_that_label(void **state)
{
    struct yo_room room;
    struct yo_buf out;

    (void)state;
    open_room(&room, &yo_mem_libc);
    yo_buf_init(&out, &yo_mem_libc);
    yo_named_begin(&room);
    assert_int_equal(yo_named_user(&room, yo_span_of("bob"), &out), YOMO_OK);
    expect(&out, 3, (const uint64_t[]){2, 3, 5});
    yo_named_begin(&room);
    assert_int_equal(yo_named_user(&room, yo_span_of("c"), &out), YOMO_OK);
    expect(&out, 1, (const uint64_t[]){4});
    yo_named_begin(&room);
    assert_int_equal(yo_named_user(&room, yo_span_of("carol"), &out), YOMO_OK);
    expect(&out, 1, (const uint64_t[]){4});
    yo_named_begin(&room);
    assert_int_equal(yo_named_user(&room, yo_span_of("robert"), &out), YOMO_OK);
    assert_int_equal(yo_named_session(&room, 77, &out), YOMO_OK);
    expect(&out, 0, NULL);
    yo_buf_finish(&out);
    yo_room_finish(&room);
}

static void nobody_is_named_twice(void **state)
{
    struct yo_room room;
    struct yo_buf out;

    (void)state;
    open_room(&room, &yo_mem_libc);
    yo_buf_init(&out, &yo_mem_libc);
    for (int round = 0; round < 3; round++) {
        yo_named_begin(&room);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(yo_named_session(&room, 3, &out), YOMO_OK);
            assert_int_equal(yo_named_user(&room, yo_span_of("bob"), &out), YOMO_OK);
            assert_int_equal(yo_named_session(&room, 5, &out), YOMO_OK);
        }
        expect(&out, 3, (const uint64_t[]){3, 2, 5});
    }
    yo_buf_finish(&out);
    yo_room_finish(&room);
}

static void who_left_is_not_named_and_a_user_ends_with_the_last_device(void **state)
{
    struct yo_room room;
    struct yo_changes changes;
    struct yo_buf out;

    (void)state;
    open_room(&room, &yo_mem_libc);
    yo_buf_init(&out, &yo_mem_libc);
    assert_int_equal(yo_user_find(&room, yo_span_of("bob"))->count, 2);
    for (uint64_t session = 2; session <= 3; session++) {
        assert_int_equal(yo_room_leave(&room, session, &changes), YOMO_OK);
        yo_changes_finish(&changes);
    }
    assert_null(yo_user_find(&room, yo_span_of("bob")));
    yo_named_begin(&room);
    assert_int_equal(yo_named_user(&room, yo_span_of("bob"), &out), YOMO_OK);
    expect(&out, 1, (const uint64_t[]){5});
    yo_buf_finish(&out);
    yo_room_finish(&room);
}

static void without_memory_nothing_is_lost(struct fault *fault, void *user)
{
    struct yo_room room;
    struct yo_buf out;
    int rv;

    (void)user;
    if (yo_room_init(&room, &fault->mem, yo_span_of("app"), yo_span_of("r"), 100) !=
        YOMO_OK) {
        return;
    }
    yo_buf_init(&out, &fault->mem);
    rv = join(&room, 1, "bob", NULL, false);
    yo_room_check(&room);
    rv = rv == YOMO_OK ? join(&room, 2, "bob", NULL, false) : rv;
    yo_room_check(&room);
    yo_named_begin(&room);
    rv = rv == YOMO_OK ? yo_named_user(&room, yo_span_of("bob"), &out) : rv;
    assert_true(rv == YOMO_OK || rv == YOMO_ERR_NOMEM);
    yo_buf_finish(&out);
    yo_room_finish(&room);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    fault_each(without_memory_nothing_is_lost, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_user_is_all_its_devices_and_pages_under_that_label),
        cmocka_unit_test(nobody_is_named_twice),
        cmocka_unit_test(who_left_is_not_named_and_a_user_ends_with_the_last_device),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests_name("presence/named", tests, NULL, NULL);
}
