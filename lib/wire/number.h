/* SPDX-License-Identifier: MIT */
/* number.h - doubles to decimal text and back, whatever locale the host has set.
 *
 * The C library does the arithmetic and rounds correctly, but it reads and writes the
 * decimal point of the locale. So it never sees one: it reads whole numbers with an
 * exponent, and of what it writes only the digits are used. */
#ifndef YO_WIRE_NUMBER_H
#define YO_WIRE_NUMBER_H

#include "base/span.h"

#define YO_NUMBER_SIZE_MAX 32 /* of what yo_number_print writes, NUL included */

/* The double nearest to `text`, which must be a number by the grammar of RFC 8259 6.
 * Past the range of a double it is an infinity or zero, as JavaScript has it. */
double yo_number_parse(struct yo_span text);

/* Write a finite `value` with the fewest digits that read back the same. Returns the
 * length. The text has a fraction or an exponent only where JavaScript's would, or
 * where its digits would otherwise be taken for an integer of another value (2^53 and
 * up). */
size_t yo_number_print(char out[YO_NUMBER_SIZE_MAX], double value);

#endif
