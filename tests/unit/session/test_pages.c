/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/check.h"
#include "session/pages.h"
#include "support/bytes.h"
#include "support/fault.h"
#include "unit/session/story.h"
#include "wire/decode.h"

static int add(struct yo_pages *pages, uint64_t session, struct yo_span member_state)
{
    const struct yo_wire_member member = {
        .session = session, .peer = yo_span_of("bob"), .state = member_state};

    return yo_pages_add(pages, &member);
}

/* A state of about `size` bytes. */
static struct yo_span state_of(int size)
{
    char json[70000];

    snprintf(json, sizeof(json), "{\"x\":\"%0*d\"}", size, 0);
    return story_payload(json);
}

/* Each member comes once and in order; only the last page is without `more`. */
static void check(const struct yo_pages *pages, uint64_t members)
{
    uint64_t next = 1;

    for (size_t i = 0; i < pages->count; i++) {
        struct yo_message message;
        struct yo_wire_member member;
        struct yo_mp_reader reader;
        uint32_t count;
        assert_int_equal(yo_decode(yo_blob_span(pages->list[i]), &message), YOMO_OK);
        assert_int_equal(message.op, YO_OP_SNAPSHOT);
        assert_text(message.channel, "r");
        assert_int_equal(message.sequence, message.more ? 0 : 9);
        assert_int_equal(message.more, i + 1 < pages->count);
        assert_int_equal(yo_members_init(&reader, message.members, &count), YOMO_OK);
        assert_true(count <= YO_PAGE_MEMBERS_MAX);
        assert_true(count == 1 || message.members.size <= YO_PAGE_SIZE_MAX + 8);
        for (uint32_t m = 0; m < count; m++) {
            assert_int_equal(yo_members_next(&reader, &member), YOMO_OK);
            assert_int_equal(member.session, next++);
        }
    }
    assert_int_equal(next, members + 1);
}

static void pages_of(int members, int size, size_t expected)
{
    struct yo_pages pages;
    struct yo_span text = state_of(size);

    yo_pages_begin(&pages, &yo_mem_libc, yo_span_of("r"), 9);
    for (int i = 1; i <= members; i++) {
        assert_int_equal(add(&pages, (uint64_t)i, text), YOMO_OK);
    }
    assert_int_equal(yo_pages_end(&pages), YOMO_OK);
    assert_int_equal(pages.count, expected);
    check(&pages, (uint64_t)members);
    yo_pages_finish(&pages);
    yo_pages_finish(&pages);
}

static void nobody_is_one_empty_page(void **state)
{
    (void)state;
    pages_of(0, 1, 1);
}

static void a_page_has_a_hundred_members(void **state)
{
    (void)state;
    pages_of(1, 1, 1);
    pages_of(100, 1, 1);
    pages_of(101, 1, 2);
    pages_of(1000, 1, 10);
}

static void a_page_has_so_many_bytes(void **state)
{
    (void)state;
    pages_of(32, 1000, 2);
    pages_of(33, 1000, 3);
}

static void a_member_who_is_larger_has_a_page_of_its_own(void **state)
{
    (void)state;
    pages_of(3, 60000, 3);
}

static void make(struct fault *fault, void *user)
{
    struct yo_pages pages;
    struct yo_span text = state_of(6000);

    (void)user;
    yo_pages_begin(&pages, &fault->mem, yo_span_of("r"), 9);
    for (uint64_t i = 1; i <= 20; i++) {
        if (add(&pages, i, text) != YOMO_OK && add(&pages, i, text) != YOMO_OK) {
            yo_pages_finish(&pages);
            return;
        }
    }
    if (yo_pages_end(&pages) == YOMO_OK || yo_pages_end(&pages) == YOMO_OK) {
        check(&pages, 20);
    }
    yo_pages_finish(&pages);
}

static void pages_survive_every_failing_allocation(void **state)
{
    (void)state;
    assert_true(fault_each(make, NULL) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_one_empty_page),
        cmocka_unit_test(a_page_has_a_hundred_members),
        cmocka_unit_test(a_page_has_so_many_bytes),
        cmocka_unit_test(a_member_who_is_larger_has_a_page_of_its_own),
        cmocka_unit_test(pages_survive_every_failing_allocation),
    };

    return cmocka_run_group_tests_name("session/pages", tests, NULL, NULL);
}
