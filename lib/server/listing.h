/* SPDX-License-Identifier: MIT */
/* listing.h - one page of a list that is gathered from several places: the first `max`
 * rows behind a place, in the order of their keys, however many are shown to it. */
#ifndef YO_SERVER_LISTING_H
#define YO_SERVER_LISTING_H

#include <yomo/admin.h>

#include "base/buf.h"
#include "base/span.h"

#define YO_LISTING_MAX 1000u /* rows of one page: a worker writes it in one turn */
#define YO_LISTING_KEY_MAX 1024u

struct yo_row {
    struct yo_span key; /* its place in the order */
    struct yo_span app, room, id, address, reason;
    uint64_t session, members, observers, since_ms, until_ms;
    uint64_t numbers[YOMO_APP_BYTES_REFUSED + 1]; /* of an application */
    int32_t transport; /* YOMO_TRANSPORT_... */
    bool presencejs, observer;
};

struct yomo_listing {
    const struct yomo_mem *mem;
    struct yo_row **rows; /* each with its texts behind it, a NUL behind each */
    size_t count, capacity, max;
    struct yo_buf after; /* rows up to this key are not on this page */
    bool sorted;         /* what is behind rows[max - 1] is not wanted any more */
    bool more;
    bool failed; /* memory ran out: the page is not whole */
    char next[2 * YO_LISTING_KEY_MAX + 1];
};

/* `after` is what yomo_listing_next said of the page before, or NULL or "". `max` 0 is
 * YO_LISTING_MAX. YOMO_ERR_INVALID, YOMO_ERR_NOMEM. */
int yo_listing_init(struct yomo_listing *page, const struct yomo_mem *mem,
                    struct yo_span after, size_t max);
void yo_listing_finish(struct yomo_listing *page);

/* May a row with `key` still be on the page? Cheaper than adding it. */
bool yo_listing_wants(const struct yomo_listing *page, struct yo_span key);

/* Copied, if it belongs on the page as far as is known; may set `failed`. */
void yo_listing_add(struct yomo_listing *page, const struct yo_row *row);

/* All rows were shown: sort, cut, know what comes next. YOMO_ERR_NOMEM. */
int yo_listing_close(struct yomo_listing *page);

#endif
