/* SPDX-License-Identifier: MIT */
/* varint.h - QUIC's variable-length integers (RFC 9000 16). */
#ifndef YO_BASE_VARINT_H
#define YO_BASE_VARINT_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

#define YO_VARINT_MAX ((UINT64_C(1) << 62) - 1)
#define YO_VARINT_SIZE_MAX 8

/* How many bytes `value` takes, 1, 2, 4 or 8; 0 when it is past YO_VARINT_MAX. */
size_t yo_varint_size(uint64_t value);

/* How many bytes the varint that starts with `first` has in all. */
size_t yo_varint_size_from(uint8_t first);

/* Write the shortest form; `out` has room for yo_varint_size(value) bytes. Returns the
 * number written. */
size_t yo_varint_write(uint8_t *out, uint64_t value);

/* Read one varint from the start of `bytes`. Returns the number of bytes it took, or 0
 * when there are not enough yet; `value` is then unchanged. Longer forms than needed are
 * accepted, as the RFC has it. */
size_t yo_varint_read(struct yo_span bytes, uint64_t *value);

#endif
