/* SPDX-License-Identifier: MIT */
/* listing.c - rows are collected up to twice the page; then they are sorted, the second
 * half goes, and the last of the first half is what a newcomer has to be smaller than.
 * So a list of N rows costs N log(page), and never more memory than two pages. */
#include "server/listing.h"

#include <stdlib.h>
#include <string.h>
#include <yomo/error.h>

#include "base/mem.h"
#include "base/text.h"

int yo_listing_init(struct yomo_listing *page, const struct yomo_mem *mem,
                    struct yo_span after, size_t max)
{
    memset(page, 0, sizeof(*page));
    page->mem = mem;
    page->max = max == 0 || max > YO_LISTING_MAX ? YO_LISTING_MAX : max;
    yo_buf_init(&page->after, mem);
    if (after.size == 0) {
        return YOMO_OK;
    }
    if (after.size % 2 != 0 || after.size / 2 > YO_LISTING_KEY_MAX) {
        return YOMO_ERR_INVALID;
    }
    if (yo_buf_reserve(&page->after, after.size / 2) != YOMO_OK) {
        return YOMO_ERR_NOMEM;
    }
    if (yo_hex_decode(page->after.data, after.size / 2, after) != YOMO_OK) {
        yo_buf_finish(&page->after);
        return YOMO_ERR_INVALID;
    }
    page->after.size = after.size / 2;
    return YOMO_OK;
}

void yo_listing_finish(struct yomo_listing *page)
{
    for (size_t i = 0; i < page->count; i++) {
        yo_free(page->mem, page->rows[i]);
    }
    yo_free(page->mem, page->rows);
    yo_buf_finish(&page->after);
    memset(page, 0, sizeof(*page));
}

static int compare(struct yo_span a, struct yo_span b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size > 0 ? memcmp(a.data, b.data, size) : 0;

    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static int compare_rows(const void *a, const void *b)
{
    return compare((*(struct yo_row *const *)a)->key,
                   (*(struct yo_row *const *)b)->key);
}

/* Two places may know the same thing: the row with an address stays, with what only the
 * other one knows. */
static struct yo_row *merge(const struct yomo_mem *mem, struct yo_row *a,
                            struct yo_row *b)
{
    struct yo_row *kept = a->address.size > 0 ? a : b;
    struct yo_row *other = kept == a ? b : a;

    kept->since_ms = kept->since_ms ? kept->since_ms : other->since_ms;
    yo_free(mem, other);
    return kept;
}

static void cut(struct yomo_listing *page)
{
    size_t kept = 0;

    if (page->count > 0) {
        qsort(page->rows, page->count, sizeof(struct yo_row *), compare_rows);
    }
    for (size_t i = 0; i < page->count; i++) {
        if (kept > 0 && compare(page->rows[kept - 1]->key, page->rows[i]->key) == 0) {
            page->rows[kept - 1] =
                merge(page->mem, page->rows[kept - 1], page->rows[i]);
        } else {
            page->rows[kept++] = page->rows[i];
        }
    }
    page->count = kept;
    while (page->count > page->max) {
        yo_free(page->mem, page->rows[--page->count]);
        page->more = true;
    }
    page->sorted = page->count == page->max;
}

bool yo_listing_wants(const struct yomo_listing *page, struct yo_span key)
{
    return !page->failed && key.size <= YO_LISTING_KEY_MAX &&
           (page->after.size == 0 || compare(key, yo_buf_span(&page->after)) > 0);
}

static struct yo_span keep(uint8_t **at, struct yo_span text)
{
    struct yo_span kept = yo_span(*at, text.size);

    if (text.size > 0) {
        memcpy(*at, text.data, text.size);
    }
    (*at)[text.size] = '\0';
    *at += text.size + 1;
    return text.data ? kept : YO_SPAN_NONE;
}

static struct yo_row *copy(const struct yomo_mem *mem, const struct yo_row *row)
{
    size_t size = row->key.size + row->app.size + row->room.size + row->id.size +
                  row->address.size + row->reason.size + 6;
    struct yo_row *made = yo_malloc(mem, sizeof(*made) + size);

    if (made) {
        uint8_t *at = (uint8_t *)(made + 1);
        *made = *row;
        made->key = keep(&at, row->key);
        made->app = keep(&at, row->app);
        made->room = keep(&at, row->room);
        made->id = keep(&at, row->id);
        made->address = keep(&at, row->address);
        made->reason = keep(&at, row->reason);
    }
    return made;
}

static bool make_room(struct yomo_listing *page)
{
    size_t wanted = page->capacity ? page->capacity * 2 : 64;
    struct yo_row **rows;

    if (page->count < page->capacity) {
        return true;
    }
    rows = yo_realloc(page->mem, page->rows, wanted * sizeof(struct yo_row *));
    if (rows) {
        page->rows = rows;
        page->capacity = wanted;
    }
    return rows != NULL;
}

void yo_listing_add(struct yomo_listing *page, const struct yo_row *row)
{
    struct yo_row *made;

    if (!yo_listing_wants(page, row->key)) {
        return;
    }
    if (page->sorted && page->more &&
        compare(row->key, page->rows[page->max - 1]->key) >= 0) {
        return;
    }
    made = make_room(page) ? copy(page->mem, row) : NULL;
    if (!made) {
        page->failed = true;
        return;
    }
    page->rows[page->count++] = made;
    if (page->count >= 2 * page->max) {
        cut(page);
    }
}

int yo_listing_close(struct yomo_listing *page)
{
    struct yo_span last;

    if (page->failed) {
        return YOMO_ERR_NOMEM;
    }
    cut(page);
    page->next[0] = '\0';
    if (page->more && page->count > 0) {
        last = page->rows[page->count - 1]->key;
        yo_hex_encode(page->next, last);
    }
    return YOMO_OK;
}

/* --- what the host may ask ------------------------------------------------------- */

static const struct yo_row *row_at(const yomo_listing *page, uint32_t index)
{
    return page && index < page->count ? page->rows[index] : NULL;
}

static const char *text_of(struct yo_span text)
{
    return text.data ? (const char *)text.data : "";
}

uint32_t yomo_listing_count(const yomo_listing *page)
{
    return page ? (uint32_t)page->count : 0;
}

const char *yomo_listing_next(const yomo_listing *page)
{
    return page ? page->next : "";
}

const char *yomo_listing_app(const yomo_listing *page, uint32_t index)
{
    const struct yo_row *row = row_at(page, index);
    return row ? text_of(row->app) : "";
}

const char *yomo_listing_room(const yomo_listing *page, uint32_t index)
{
    const struct yo_row *row = row_at(page, index);
    return row ? text_of(row->room) : "";
}

const char *yomo_listing_id(const yomo_listing *page, uint32_t index)
{
    const struct yo_row *row = row_at(page, index);
    return row ? text_of(row->id) : "";
}

const char *yomo_listing_address(const yomo_listing *page, uint32_t index)
{
    const struct yo_row *row = row_at(page, index);
    return row ? text_of(row->address) : "";
}

const char *yomo_listing_reason(const yomo_listing *page, uint32_t index)
{
    const struct yo_row *row = row_at(page, index);
    return row ? text_of(row->reason) : "";
}

uint64_t yomo_listing_session(const yomo_listing *page, uint32_t index)
{
    const struct yo_row *row = row_at(page, index);
    return row ? row->session : 0;
}

uint64_t yomo_listing_members(const yomo_listing *page, uint32_t index)
{
    const struct yo_row *row = row_at(page, index);
    return row ? row->members : 0;
}

uint64_t yomo_listing_since(const yomo_listing *page, uint32_t index)
{
    const struct yo_row *row = row_at(page, index);
    return row ? row->since_ms : 0;
}

uint64_t yomo_listing_until(const yomo_listing *page, uint32_t index)
{
    const struct yo_row *row = row_at(page, index);
    return row ? row->until_ms : 0;
}

uint64_t yomo_listing_observers(const yomo_listing *page, uint32_t index)
{
    const struct yo_row *row = row_at(page, index);
    return row ? row->observers : 0;
}

uint64_t yomo_listing_app_number(const yomo_listing *page, uint32_t index, int32_t what)
{
    const struct yo_row *row = row_at(page, index);
    return row && what >= 0 && what <= YOMO_APP_BYTES_REFUSED ? row->numbers[what] : 0;
}

int32_t yomo_listing_is_observer(const yomo_listing *page, uint32_t index)
{
    const struct yo_row *row = row_at(page, index);
    return row && row->observer;
}

int32_t yomo_listing_transport(const yomo_listing *page, uint32_t index)
{
    const struct yo_row *row = row_at(page, index);
    return row ? row->transport : 0;
}
