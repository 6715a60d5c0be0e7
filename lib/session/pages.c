/* SPDX-License-Identifier: MIT */
/* pages.c - invariant: the page that is being made holds `members_count` encoded
 * members; it becomes a message when the next member does not fit, or at the end. */
#include "session/pages.h"

#include "base/check.h"
#include "base/mem.h"
#include "wire/encode.h"
#include "wire/msgpack.h"

void yo_pages_begin(struct yo_pages *pages, const struct yomo_mem *mem,
                    struct yo_span room, uint64_t sequence)
{
    *pages = (struct yo_pages){
        .mem = mem, .op = YO_OP_SNAPSHOT, .room = room, .sequence = sequence};
    yo_buf_init(&pages->members, mem);
}

void yo_pages_begin_changes(struct yo_pages *pages, const struct yomo_mem *mem,
                            struct yo_span room, uint64_t sequence)
{
    yo_pages_begin(pages, mem, room, sequence);
    pages->op = YO_OP_CHANGES;
}

void yo_pages_finish(struct yo_pages *pages)
{
    if (!pages || !pages->mem) {
        return;
    }
    for (size_t i = 0; i < pages->count; i++) {
        yo_blob_unref(pages->list[i]);
    }
    yo_free(pages->mem, pages->list);
    yo_buf_finish(&pages->members);
    *pages = (struct yo_pages){0};
}

void yo_pages_begin_part(struct yo_pages *pages, const struct yomo_mem *mem,
                         struct yo_span room)
{
    yo_pages_begin(pages, mem, room, 0);
    pages->part = true;
}

static int reserve_one(struct yo_pages *pages)
{
    size_t capacity = pages->capacity > 0 ? pages->capacity * 2 : 4;
    struct yo_blob **list;

    if (pages->count < pages->capacity) {
        return YOMO_OK;
    }
    list = yo_realloc(pages->mem, pages->list, capacity * sizeof(struct yo_blob *));
    if (!list) {
        return YOMO_ERR_NOMEM;
    }
    pages->list = list;
    pages->capacity = capacity;
    return YOMO_OK;
}

/* The page with the first `size` bytes of `members` becomes a message. */
static int put_page(struct yo_pages *pages, size_t size, bool more)
{
    bool changes = pages->op == YO_OP_CHANGES;
    uint64_t last = pages->sequence + (changes ? pages->members_count : 0);
    struct yo_message message = {.op = pages->op,
                                 .channel = pages->room,
                                 .sequence = changes || !more ? last : 0,
                                 .more = more && !changes};
    struct yo_buf array;
    int rv = reserve_one(pages);

    if (rv != YOMO_OK) {
        return rv;
    }
    yo_buf_init(&array, pages->mem);
    yo_mp_put_array(&array, pages->members_count);
    yo_mp_put_raw(&array, yo_span(pages->members.data, size));
    message.members = yo_buf_span(&array);
    rv = array.failed ? YOMO_ERR_NOMEM
                      : yo_encode_blob(&pages->list[pages->count], pages->mem,
                                       YO_DIALECT_YOMO, &message);
    yo_buf_finish(&array);
    if (rv == YOMO_OK) {
        pages->count++;
        pages->sequence = last;
    }
    return rv;
}

int yo_pages_add(struct yo_pages *pages, const struct yo_wire_member *member)
{
    size_t before = pages->members.size;
    int rv = yo_member_write(&pages->members, member);

    if (rv != YOMO_OK) {
        return rv;
    }
    if (pages->members_count > 0 && (pages->members_count == YO_PAGE_MEMBERS_MAX ||
                                     pages->members.size > YO_PAGE_SIZE_MAX)) {
        rv = put_page(pages, before, true);
        if (rv != YOMO_OK) {
            pages->members.size = before;
            return rv;
        }
        yo_buf_consume(&pages->members, before);
        pages->members_count = 0;
    }
    pages->members_count++;
    return YOMO_OK;
}

int yo_pages_end(struct yo_pages *pages)
{
    return put_page(pages, pages->members.size, pages->part);
}

int yo_pages_put(struct yo_pages *pages, struct yo_blob *const *list, size_t count)
{
    assert(pages->members_count == 0);
    for (size_t i = 0; i < count; i++) {
        if (reserve_one(pages) != YOMO_OK) {
            return YOMO_ERR_NOMEM;
        }
        pages->list[pages->count++] = yo_blob_ref(list[i]);
    }
    return YOMO_OK;
}
