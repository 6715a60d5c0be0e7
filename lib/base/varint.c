/* SPDX-License-Identifier: MIT */
/* varint.c - the two highest bits of the first byte say how long the number is. */
#include "base/varint.h"

#include "base/check.h"

size_t yo_varint_size(uint64_t value)
{
    if (value < UINT64_C(1) << 6) {
        return 1;
    }
    if (value < UINT64_C(1) << 14) {
        return 2;
    }
    if (value < UINT64_C(1) << 30) {
        return 4;
    }
    return value <= YO_VARINT_MAX ? 8 : 0;
}

size_t yo_varint_size_from(uint8_t first)
{
    return (size_t)1 << (first >> 6);
}

size_t yo_varint_write(uint8_t *out, uint64_t value)
{
    static const uint8_t prefixes[9] = {[1] = 0x00, [2] = 0x40, [4] = 0x80, [8] = 0xc0};
    size_t size = yo_varint_size(value);

    assert(size > 0);
    for (size_t i = size; i > 0; i--) {
        out[i - 1] = (uint8_t)(value & 0xff);
        value >>= 8;
    }
    out[0] |= prefixes[size];
    return size;
}

size_t yo_varint_read(struct yo_span bytes, uint64_t *value)
{
    size_t size;
    uint64_t number;

    if (bytes.size == 0) {
        return 0;
    }
    size = yo_varint_size_from(bytes.data[0]);
    if (bytes.size < size) {
        return 0;
    }
    number = bytes.data[0] & 0x3f;
    for (size_t i = 1; i < size; i++) {
        number = number << 8 | bytes.data[i];
    }
    *value = number;
    return size;
}
