/* SPDX-License-Identifier: MIT */
#include "options/nearest.h"

#define WORD_SIZE_MAX 40u

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Letters to insert, drop, change or swap with the one beside it (optimal string
 * alignment): three rows of the table are enough. */
static size_t distance(struct yo_span a, struct yo_span b)
{
    size_t rows[3][WORD_SIZE_MAX + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];

    for (size_t j = 0; j <= b.size; j++) {
        above[j] = j;
    }
    for (size_t i = 1; i <= a.size; i++) {
        size_t *spare = before;
        row[0] = i;
        for (size_t j = 1; j <= b.size; j++) {
            size_t change = a.data[i - 1] == b.data[j - 1] ? 0 : 1;
            row[j] = least(least(above[j] + 1, row[j - 1] + 1), above[j - 1] + change);
            if (i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] &&
                a.data[i - 2] == b.data[j - 1]) {
                row[j] = least(row[j], before[j - 2] + 1);
            }
        }
        before = above;
        above = row;
        row = spare;
    }
    return above[b.size];
}

static bool contains(struct yo_span whole, struct yo_span part)
{
    for (size_t i = 0; part.size > 2 && i + part.size <= whole.size; i++) {
        if (memcmp(whole.data + i, part.data, part.size) == 0) {
            return true;
        }
    }
    return false;
}

const char *yo_option_nearest(int32_t scope, struct yo_span word)
{
    const struct yo_option *option;
    const char *nearest = NULL;
    size_t best = 3 + word.size / 8; /* as far as that is not close */

    if (word.size == 0 || word.size > WORD_SIZE_MAX) {
        return NULL;
    }
    for (size_t i = 0; (option = yo_option_at(scope, i)); i++) {
        struct yo_span name = yo_span_of(option->name);
        size_t d = distance(word, name);
        if (contains(name, word) || contains(word, name)) {
            d = least(d, 1);
        }
        if (d < best && d < word.size) {
            best = d;
            nearest = option->name;
        }
    }
    return nearest;
}
