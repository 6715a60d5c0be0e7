/* SPDX-License-Identifier: MIT */
/* nearest.c - which flag or command somebody probably meant.
 *
 * The library answers this for its own options; here flags, options and commands
 * compete with each other. */
#include <string.h>

#include "args.h"

#define WORD_SIZE_MAX 40u

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Letters to insert, drop, change or swap with the one beside it. */
static size_t distance(const char *a, size_t a_size, const char *b, size_t b_size)
{
    size_t rows[3][WORD_SIZE_MAX + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];

    for (size_t j = 0; j <= b_size; j++) {
        above[j] = j;
    }
    for (size_t i = 1; i <= a_size; i++) {
        size_t *spare = before;
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
            row[j] = least(least(above[j] + 1, row[j - 1] + 1), above[j - 1] + change);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = least(row[j], before[j - 2] + 1);
            }
        }
        before = above;
        above = row;
        row = spare;
    }
    return above[b_size];
}

const char *nearest(const char *word,
                    const char *(*next)(const void *from, size_t index),
                    const void *from)
{
    size_t size = strlen(word);
    size_t best = 3 + size / 8; /* as far as that is not close */
    const char *found = NULL;
    const char *name;

    if (size == 0 || size > WORD_SIZE_MAX) {
        return NULL;
    }
    for (size_t i = 0; (name = next(from, i)); i++) {
        size_t name_size = strlen(name);
        size_t d =
            name_size > WORD_SIZE_MAX ? best : distance(word, size, name, name_size);
        if (size > 2 && (strstr(name, word) || strstr(word, name))) {
            d = least(d, 1);
        }
        if (d < best && d < size) {
            best = d;
            found = name;
        }
    }
    return found;
}
