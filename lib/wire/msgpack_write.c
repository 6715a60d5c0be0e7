/* SPDX-License-Identifier: MIT */
/* msgpack_write.c - the writer: always the shortest head that holds the number.
 *
 * A writer does nothing once the buffer has failed: a message with a hole in it must
 * never look whole. */
#include <float.h>
#include <math.h>

#include "base/check.h"
#include "wire/msgpack.h"

static void put(struct yo_buf *out, const void *bytes, size_t size)
{
    if (!out->failed) {
        yo_buf_append(out, bytes, size);
    }
}

/* `type` and then `number` in `size` bytes, big-endian. */
static void put_head(struct yo_buf *out, unsigned type, uint64_t number, size_t size)
{
    uint8_t head[9];

    head[0] = (uint8_t)type;
    for (size_t i = size; i > 0; i--) {
        head[i] = (uint8_t)(number & 0xff);
        number >>= 8;
    }
    put(out, head, 1 + size);
}

void yo_mp_put_nil(struct yo_buf *out)
{
    put_head(out, 0xc0, 0, 0);
}

void yo_mp_put_bool(struct yo_buf *out, bool value)
{
    put_head(out, value ? 0xc3 : 0xc2, 0, 0);
}

void yo_mp_put_uint(struct yo_buf *out, uint64_t value)
{
    if (value < 0x80) {
        put_head(out, (unsigned)value, 0, 0);
    } else if (value <= UINT8_MAX) {
        put_head(out, 0xcc, value, 1);
    } else if (value <= UINT16_MAX) {
        put_head(out, 0xcd, value, 2);
    } else if (value <= UINT32_MAX) {
        put_head(out, 0xce, value, 4);
    } else {
        put_head(out, 0xcf, value, 8);
    }
}

void yo_mp_put_int(struct yo_buf *out, int64_t value)
{
    if (value >= 0) {
        yo_mp_put_uint(out, (uint64_t)value);
    } else if (value >= -32) {
        put_head(out, (unsigned)(value + 0x100), 0, 0);
    } else if (value >= INT8_MIN) {
        put_head(out, 0xd0, (uint64_t)value, 1);
    } else if (value >= INT16_MIN) {
        put_head(out, 0xd1, (uint64_t)value, 2);
    } else if (value >= INT32_MIN) {
        put_head(out, 0xd2, (uint64_t)value, 4);
    } else {
        put_head(out, 0xd3, (uint64_t)value, 8);
    }
}

/* Does `value` survive being a float? A NaN stays one, whatever its bits are. */
static bool fits_float(double value)
{
    return isnan(value) || isinf(value) ||
           (fabs(value) <= (double)FLT_MAX && (double)(float)value == value);
}

void yo_mp_put_float(struct yo_buf *out, double value)
{
    if (fits_float(value)) {
        float narrow = (float)value;
        uint32_t bits;
        memcpy(&bits, &narrow, sizeof(bits));
        put_head(out, 0xca, bits, 4);
    } else {
        uint64_t bits;
        memcpy(&bits, &value, sizeof(bits));
        put_head(out, 0xcb, bits, 8);
    }
}

/* The head of what has a length: `tiny` lengths go into the type `base` itself, others
 * behind the types of 8 (unless that is 0), 16 and 32 bits. */
static void put_sized(struct yo_buf *out, size_t size, unsigned base, size_t tiny,
                      unsigned type8, unsigned type16)
{
    if (size < tiny) {
        put_head(out, base | (unsigned)size, 0, 0);
    } else if (size <= UINT8_MAX && type8 != 0) {
        put_head(out, type8, size, 1);
    } else if (size <= UINT16_MAX) {
        put_head(out, type16, size, 2);
    } else if (size <= UINT32_MAX) {
        put_head(out, type16 + 1, size, 4);
    } else {
        out->failed = true;
    }
}

void yo_mp_put_str_head(struct yo_buf *out, size_t size)
{
    put_sized(out, size, 0xa0, 32, 0xd9, 0xda);
}

void yo_mp_put_str(struct yo_buf *out, struct yo_span text)
{
    yo_mp_put_str_head(out, text.size);
    put(out, text.data, text.size);
}

void yo_mp_put_cstr(struct yo_buf *out, const char *text)
{
    yo_mp_put_str(out, yo_span_of(text));
}

void yo_mp_put_bin(struct yo_buf *out, struct yo_span bytes)
{
    put_sized(out, bytes.size, 0, 0, 0xc4, 0xc5);
    put(out, bytes.data, bytes.size);
}

void yo_mp_put_array(struct yo_buf *out, uint32_t count)
{
    put_sized(out, count, 0x90, 16, 0, 0xdc);
}

void yo_mp_put_map(struct yo_buf *out, uint32_t count)
{
    put_sized(out, count, 0x80, 16, 0, 0xde);
}

void yo_mp_put_raw(struct yo_buf *out, struct yo_span encoded)
{
    put(out, encoded.data, encoded.size);
}
