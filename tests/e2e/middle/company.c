/* SPDX-License-Identifier: MIT */
#include "company.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define PAUSE_MS 5

void company_join(struct guest guests[2])
{
    guest_join(&guests[1], "room");
    GUESTS_UNTIL(&guests[1], 1, guests[1].joined == 1);
    guest_join(&guests[0], "room");
    GUESTS_UNTIL(guests, 2, guests[0].joined == 1);
    GUESTS_UNTIL(guests, 2, guests[1].came == 1);
}

void company_talk(struct guest guests[2])
{
    static uint64_t next;
    if (guest_clock_ms() >= next) {
        guest_say(&guests[0]);
        guest_say(&guests[1]);
        next = guest_clock_ms() + PAUSE_MS;
    }
}

void company_talk_more(struct guest guests[2], long count)
{
    long until = guests[0].said + count;
    COMPANY_UNTIL(guests, guests[0].said >= until);
}

void company_unmoved(struct guest guests[2], int opens)
{
    GUESTS_UNTIL(guests, 2,
                 guest_has_all(&guests[1], &guests[0]) &&
                     guest_has_all(&guests[0], &guests[1]));
    GUESTS_UNTIL(guests, 2,
                 guests[0].confirmed == guests[0].said &&
                     guests[1].confirmed == guests[1].said);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(guests[i].disorder, 0);
        assert_int_equal(guests[i].refused, 0);
        assert_int_equal(guests[i].waits, 0);
        assert_int_equal(guests[i].joined, 1);
        assert_int_equal(guests[i].left, 0);
        assert_int_equal(guests[i].went, 0);
    }
    assert_int_equal(guests[0].came, 0);
    assert_int_equal(guests[1].came, 1);
    assert_int_equal(guests[0].opens, opens);
    assert_int_equal(guests[1].opens, 1);
}
