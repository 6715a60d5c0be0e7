/* SPDX-License-Identifier: MIT */
/* reclaim.c - what QUIC knows and TCP does not: which messages have been acknowledged.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "wire.h"

struct copy {
    struct yo_link link;
    uint32_t lane;
    uint64_t number; /* on its lane, from 1 */
    struct yo_blob *blob;
};

static struct copy *of_link(struct yo_link *link)
{
    return YO_CONTAINER(link, struct copy, link);
}

static void drop(struct copy *copy)
{
    yo_list_remove(&copy->link);
    yo_blob_unref(copy->blob);
    yo_free(&yo_mem_libc, copy);
}

uint64_t wire_keep(struct wire *wire, bool up, uint32_t lane, struct yo_blob *blob)
{
    struct copy *copy = yo_calloc(&yo_mem_libc, 1, sizeof(*copy));
    assert_non_null(copy);
    assert_true(lane < 64);
    copy->lane = lane;
    copy->number = ++wire->sent[up][lane];
    copy->blob =
        yo_blob_create(&yo_mem_libc, yo_blob_span(blob)); /* outlives both ends */
    assert_non_null(copy->blob);
    yo_list_push_back(&wire->unacked[up], &copy->link);
    return copy->number;
}

void wire_acked(struct wire *wire, bool up, uint32_t lane, uint64_t number)
{
    YO_LIST_EACH(link, next, &wire->unacked[up])
    {
        struct copy *copy = of_link(link);
        if (copy->lane == lane && copy->number <= number) {
            drop(copy);
        }
    }
}

void wire_reclaim(struct wire *wire, bool up, yo_reclaimed_fn fn, void *user)
{
    YO_LIST_EACH(link, next, &wire->unacked[up])
    {
        struct copy *copy = of_link(link);
        fn(user, copy->lane, copy->number, copy->blob);
    }
}

void wire_forget_kept(struct wire *wire)
{
    for (int up = 0; up < 2; up++) {
        YO_LIST_EACH(link, next, &wire->unacked[up])
        {
            drop(of_link(link));
        }
    }
}
