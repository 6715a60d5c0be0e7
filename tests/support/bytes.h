/* SPDX-License-Identifier: MIT */
/* bytes.h - bytes for tests, each in a heap block of exactly its size, so that a
 * sanitizer sees the first byte read too far. They live until the program ends. */
#ifndef TESTS_SUPPORT_BYTES_H
#define TESTS_SUPPORT_BYTES_H

#include "base/span.h"

struct yo_span bytes_hex(const char *digits); /* blanks between digits are skipped */
struct yo_span bytes_copy(struct yo_span from);
struct yo_span bytes_repeat(const char *text, size_t times);

/* Fail the test, showing both, unless `got` is the bytes `digits`, the text `text`. */
void assert_hex(struct yo_span got, const char *digits);
void assert_text(struct yo_span got, const char *text);

/* Call `fn` with each proper prefix of `whole`, the empty one too. */
void bytes_each_cut(struct yo_span whole, void (*fn)(struct yo_span cut, void *user),
                    void *user);

/* Call `fn` with `whole` and each one of its bits turned over. */
void bytes_each_flip(struct yo_span whole,
                     void (*fn)(struct yo_span flipped, void *user), void *user);

#endif
