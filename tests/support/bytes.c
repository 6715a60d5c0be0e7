/* SPDX-License-Identifier: MIT */
#include "support/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/text.h"

struct kept {
    struct kept *next;
    void *bytes;
};

static struct kept *kept;

static void free_kept(void)
{
    while (kept) {
        struct kept *next = kept->next;
        free(kept->bytes);
        free(kept);
        kept = next;
    }
}

static void *allocate(size_t size)
{
    void *memory = malloc(size > 0 ? size : 1);

    if (!memory) {
        abort();
    }
    return memory;
}

static uint8_t *keep(size_t size)
{
    struct kept *entry = allocate(sizeof(*entry));

    if (!kept) {
        atexit(free_kept);
    }
    entry->bytes = allocate(size);
    entry->next = kept;
    kept = entry;
    return entry->bytes;
}

struct yo_span bytes_copy(struct yo_span from)
{
    uint8_t *bytes = keep(from.size);

    if (from.size > 0) {
        memcpy(bytes, from.data, from.size);
    }
    return yo_span(bytes, from.size);
}

struct yo_span bytes_hex(const char *digits)
{
    char *text = allocate(strlen(digits) + 1);
    size_t count = 0;
    uint8_t *bytes;

    for (; *digits != '\0'; digits++) {
        if (*digits != ' ' && *digits != '\n') {
            text[count++] = *digits;
        }
    }
    bytes = keep(count / 2);
    if (yo_hex_decode(bytes, count / 2, yo_span(text, count)) != 0) {
        fail_msg("not hexadecimal: %.*s", (int)count, text);
    }
    free(text);
    return yo_span(bytes, count / 2);
}

struct yo_span bytes_repeat(const char *text, size_t times)
{
    size_t size = strlen(text);
    uint8_t *bytes = keep(size * times);

    for (size_t i = 0; i < times; i++) {
        memcpy(bytes + i * size, text, size);
    }
    return yo_span(bytes, size * times);
}

void assert_hex(struct yo_span got, const char *digits)
{
    struct yo_span wanted = bytes_hex(digits);

    if (!yo_span_equal(got, wanted)) {
        char *a = allocate(2 * got.size + 1);
        char *b = allocate(2 * wanted.size + 1);
        yo_hex_encode(a, got);
        yo_hex_encode(b, wanted);
        fail_msg("got    %s\nwanted %s", a, b);
    }
}

void assert_text(struct yo_span got, const char *text)
{
    if (!yo_span_is(got, text)) {
        fail_msg("got    %.*s\nwanted %s", (int)got.size, (const char *)got.data, text);
    }
}

void bytes_each_cut(struct yo_span whole, void (*fn)(struct yo_span cut, void *user),
                    void *user)
{
    for (size_t size = 0; size < whole.size; size++) {
        uint8_t *cut = allocate(size);
        if (size > 0) {
            memcpy(cut, whole.data, size);
        }
        fn(yo_span(cut, size), user);
        free(cut);
    }
}

void bytes_each_flip(struct yo_span whole,
                     void (*fn)(struct yo_span flipped, void *user), void *user)
{
    for (size_t bit = 0; bit < 8 * whole.size; bit++) {
        uint8_t *flipped = allocate(whole.size);
        memcpy(flipped, whole.data, whole.size);
        flipped[bit / 8] ^= (uint8_t)(1u << bit % 8);
        fn(yo_span(flipped, whole.size), user);
        free(flipped);
    }
}
