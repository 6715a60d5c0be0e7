/* SPDX-License-Identifier: MIT */
/* told.c - invariant: the page that is being made holds `messages_count` encoded
 * messages; it becomes a message itself when the next one does not fit, or at the end.
 */
#include "session/told.h"

#include "base/check.h"
#include "base/mem.h"
#include "wire/encode.h"
#include "wire/msgpack.h"

void yo_told_begin(struct yo_told *told, const struct yomo_mem *mem,
                   struct yo_span room, uint64_t number)
{
    *told = (struct yo_told){.mem = mem, .room = room, .number = number};
    yo_buf_init(&told->messages, mem);
}

void yo_told_finish(struct yo_told *told)
{
    if (!told || !told->mem) {
        return;
    }
    for (size_t i = 0; i < told->count; i++) {
        yo_blob_unref(told->list[i]);
    }
    yo_free(told->mem, told->list);
    yo_buf_finish(&told->messages);
    *told = (struct yo_told){0};
}

static int reserve_one(struct yo_told *told)
{
    size_t capacity = told->capacity > 0 ? told->capacity * 2 : 4;
    struct yo_blob **list;

    if (told->count < told->capacity) {
        return YOMO_OK;
    }
    list = yo_realloc(told->mem, told->list, capacity * sizeof(struct yo_blob *));
    if (!list) {
        return YOMO_ERR_NOMEM;
    }
    told->list = list;
    told->capacity = capacity;
    return YOMO_OK;
}

/* The page with the first `size` bytes of `messages` becomes a message. */
static int put_page(struct yo_told *told, size_t size, bool more, uint64_t older)
{
    /* Only a question has more than one page that belong together. */
    struct yo_message message = {.op = YO_OP_HISTORY,
                                 .channel = told->room,
                                 .number = told->number,
                                 .sequence = older,
                                 .more = more && told->number != 0};
    struct yo_buf array;
    int rv = reserve_one(told);

    if (rv != YOMO_OK) {
        return rv;
    }
    yo_buf_init(&array, told->mem);
    yo_mp_put_array(&array, told->messages_count);
    yo_mp_put_raw(&array, yo_span(told->messages.data, size));
    message.members = yo_buf_span(&array);
    rv = array.failed ? YOMO_ERR_NOMEM
                      : yo_encode_blob(&told->list[told->count], told->mem,
                                       YO_DIALECT_YOMO, &message);
    yo_buf_finish(&array);
    if (rv == YOMO_OK) {
        told->count++;
    }
    return rv;
}

int yo_told_add(struct yo_told *told, const struct yo_wire_past *past)
{
    size_t before = told->messages.size;
    int rv = yo_past_write(&told->messages, past);

    if (rv != YOMO_OK) {
        return rv;
    }
    if (told->messages_count > 0 && (told->messages_count == YO_TOLD_MESSAGES_MAX ||
                                     told->messages.size > YO_TOLD_SIZE_MAX)) {
        rv = put_page(told, before, true, 0);
        if (rv != YOMO_OK) {
            told->messages.size = before;
            return rv;
        }
        yo_buf_consume(&told->messages, before);
        told->messages_count = 0;
    }
    told->messages_count++;
    return YOMO_OK;
}

int yo_told_add_other(struct yo_told *told, struct yo_blob *message)
{
    int rv = YOMO_OK;

    if (told->messages_count > 0) { /* what came before it is told before it */
        rv = put_page(told, told->messages.size, true, 0);
        if (rv == YOMO_OK) {
            yo_buf_clear(&told->messages);
            told->messages_count = 0;
        }
    }
    rv = rv == YOMO_OK ? reserve_one(told) : rv;
    if (rv == YOMO_OK) {
        told->list[told->count++] = yo_blob_ref(message);
    }
    return rv;
}

int yo_told_end(struct yo_told *told, uint64_t older)
{
    if (told->number == 0 && told->messages_count == 0) {
        return YOMO_OK;
    }
    return put_page(told, told->messages.size, false, told->number ? older : 0);
}
