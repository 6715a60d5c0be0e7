/* SPDX-License-Identifier: MIT */
/* msgpack.c - the reader. Invariants:
 *  1. a length or count is compared with what is left before anything is done with it,
 *     so that no input makes the reader work longer than it is long;
 *  2. after an error `rest` is empty and every read gives zeros;
 *  3. nesting is a small array, never the C stack. */
#include "wire/msgpack.h"

#include "base/check.h"
#include "base/text.h"
#include "wire/limits.h"

void yo_mp_reader_init(struct yo_mp_reader *reader, struct yo_span bytes)
{
    reader->rest = bytes;
    reader->error = 0;
}

static void fail(struct yo_mp_reader *reader)
{
    reader->error = YOMO_ERR_MALFORMED;
    reader->rest = YO_SPAN_NONE;
}

static struct yo_span take(struct yo_mp_reader *reader, size_t size)
{
    struct yo_span bytes = reader->rest;

    if (reader->error || size > bytes.size) {
        fail(reader);
        return YO_SPAN_NONE;
    }
    reader->rest = yo_span_skip(bytes, size);
    return yo_span(bytes.data, size);
}

/* A big-endian number of `size` bytes, at most eight. */
static uint64_t take_number(struct yo_mp_reader *reader, size_t size)
{
    struct yo_span bytes = take(reader, size);
    uint64_t number = 0;

    for (size_t i = 0; i < bytes.size; i++) {
        number = number << 8 | bytes.data[i];
    }
    return number;
}

static void set_signed(struct yo_mp_value *value, int64_t number)
{
    if (number < 0) {
        value->kind = YO_MP_INT;
        value->sint = number;
    } else {
        value->kind = YO_MP_UINT;
        value->uint = (uint64_t)number;
    }
}

/* The two's complement number of `size` bytes, without relying on how a cast wraps. */
static void take_signed(struct yo_mp_reader *reader, struct yo_mp_value *value,
                        size_t size)
{
    uint64_t number = take_number(reader, size);
    uint64_t sign = UINT64_C(1) << (8 * size - 1);

    if (number & sign) {
        uint64_t magnitude = (sign - 1) - (number & (sign - 1)); /* of number + 1 */
        set_signed(value, -(int64_t)magnitude - 1);
    } else {
        set_signed(value, (int64_t)number);
    }
}

static void take_float(struct yo_mp_reader *reader, struct yo_mp_value *value,
                       size_t size)
{
    uint64_t bits = take_number(reader, size);

    value->kind = YO_MP_FLOAT;
    if (size == 4) {
        uint32_t half = (uint32_t)bits;
        float real;
        memcpy(&real, &half, sizeof(real));
        value->real = (double)real;
    } else {
        memcpy(&value->real, &bits, sizeof(bits));
    }
}

static void take_bytes(struct yo_mp_reader *reader, struct yo_mp_value *value,
                       enum yo_mp_kind kind, uint64_t size)
{
    value->kind = kind;
    value->bytes = take(reader, (size_t)size);
}

static void take_ext(struct yo_mp_reader *reader, struct yo_mp_value *value,
                     uint64_t size)
{
    uint8_t type = (uint8_t)take_number(reader, 1);

    value->ext = (int8_t)(type < 0x80 ? type : type - 0x100);
    take_bytes(reader, value, YO_MP_EXT, size);
}

/* Each element takes at least one byte, each pair at least two. */
static void set_count(struct yo_mp_reader *reader, struct yo_mp_value *value,
                      enum yo_mp_kind kind, uint64_t count)
{
    value->kind = kind;
    value->count = (uint32_t)count;
    if (count > (kind == YO_MP_MAP ? reader->rest.size / 2 : reader->rest.size)) {
        fail(reader);
    }
}

/* All types from 0xc0 to 0xdf: one byte says which, the length is in those behind. */
static void read_typed(struct yo_mp_reader *reader, struct yo_mp_value *value,
                       uint8_t type)
{
    static const uint8_t sizes[4] = {1, 2, 4, 8};

    switch (type) {
    case 0xc0:
        break; /* nil is what `value` already is */
    case 0xc2:
    case 0xc3:
        value->kind = YO_MP_BOOL;
        value->boolean = type == 0xc3;
        break;
    case 0xc4:
    case 0xc5:
    case 0xc6:
        take_bytes(reader, value, YO_MP_BIN, take_number(reader, sizes[type - 0xc4]));
        break;
    case 0xc7:
    case 0xc8:
    case 0xc9:
        take_ext(reader, value, take_number(reader, sizes[type - 0xc7]));
        break;
    case 0xca:
        take_float(reader, value, 4);
        break;
    case 0xcb:
        take_float(reader, value, 8);
        break;
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
        value->kind = YO_MP_UINT;
        value->uint = take_number(reader, sizes[type - 0xcc]);
        break;
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
        take_signed(reader, value, sizes[type - 0xd0]);
        break;
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
        take_ext(reader, value, UINT64_C(1) << (type - 0xd4));
        break;
    case 0xd9:
    case 0xda:
    case 0xdb:
        take_bytes(reader, value, YO_MP_STR, take_number(reader, sizes[type - 0xd9]));
        break;
    case 0xdc:
    case 0xdd:
        set_count(reader, value, YO_MP_ARRAY,
                  take_number(reader, sizes[type - 0xdc + 1]));
        break;
    case 0xde:
    case 0xdf:
        set_count(reader, value, YO_MP_MAP,
                  take_number(reader, sizes[type - 0xde + 1]));
        break;
    default: /* 0xc1 is never used */
        fail(reader);
        break;
    }
}

struct yo_mp_value yo_mp_read(struct yo_mp_reader *reader)
{
    struct yo_mp_value value = {.kind = YO_MP_NIL};
    struct yo_span first = take(reader, 1);
    uint8_t type;

    if (reader->error) {
        return value;
    }
    type = first.data[0];
    if (type < 0x80) {
        value.kind = YO_MP_UINT;
        value.uint = type;
    } else if (type < 0x90) {
        set_count(reader, &value, YO_MP_MAP, type & 0x0f);
    } else if (type < 0xa0) {
        set_count(reader, &value, YO_MP_ARRAY, type & 0x0f);
    } else if (type < 0xc0) {
        take_bytes(reader, &value, YO_MP_STR, type & 0x1f);
    } else if (type >= 0xe0) {
        set_signed(&value, (int64_t)type - 0x100);
    } else {
        read_typed(reader, &value, type);
    }
    if (reader->error) {
        return (struct yo_mp_value){.kind = YO_MP_NIL};
    }
    return value;
}

/* What a walk over one whole value looks at beside its shape. */
enum strictness {
    SHAPE,   /* lengths, counts and nesting */
    TEXT,    /* also UTF-8 */
    PORTABLE /* also what presencejs's decoder throws at: see yo_mp_check_portable */
};

/* Its date extension knows three sizes. */
static bool is_portable_ext(const struct yo_mp_value *value)
{
    return value->ext != -1 || value->bytes.size == 4 || value->bytes.size == 8 ||
           value->bytes.size == 12;
}

static bool is_portable_key(const struct yo_mp_value *value)
{
    switch (value->kind) {
    case YO_MP_UINT:
    case YO_MP_INT:
    case YO_MP_FLOAT:
        return true;
    case YO_MP_STR:
        return !yo_span_is(value->bytes, "__proto__");
    default:
        return false;
    }
}

static bool is_acceptable(const struct yo_mp_value *value, bool is_key,
                          enum strictness strictness)
{
    if (strictness >= TEXT && value->kind == YO_MP_STR &&
        !yo_utf8_valid(value->bytes)) {
        return false;
    }
    if (strictness < PORTABLE) {
        return true;
    }
    if (value->kind == YO_MP_EXT && !is_portable_ext(value)) {
        return false;
    }
    return !is_key || is_portable_key(value);
}

/* One map or array that is open: how many values are still to come, and of what. */
struct level {
    uint64_t left;
    bool is_map; /* then an even number left means that a key is next */
};

/* Pass over one whole value with at most `deepest` maps and arrays in one another;
 * returns its kind, or YOMO_ERR_MALFORMED. */
static int walk(struct yo_mp_reader *reader, enum strictness strictness, size_t deepest)
{
    struct level levels[YO_NESTING_MAX];
    size_t depth = 0;
    int kind = YOMO_ERR_MALFORMED;

    do {
        struct level *level = depth > 0 ? &levels[depth - 1] : NULL;
        bool is_key = level && level->is_map && level->left % 2 == 0;
        struct yo_mp_value value = yo_mp_read(reader);

        if (reader->error) {
            return YOMO_ERR_MALFORMED;
        }
        if (!is_acceptable(&value, is_key, strictness)) {
            fail(reader);
            return YOMO_ERR_MALFORMED;
        }
        if (level) {
            level->left--;
        } else {
            kind = (int)value.kind;
        }
        if (value.kind == YO_MP_ARRAY || value.kind == YO_MP_MAP) {
            bool is_map = value.kind == YO_MP_MAP;
            if (depth == deepest) {
                fail(reader);
                return YOMO_ERR_MALFORMED;
            }
            levels[depth].left = (uint64_t)value.count * (is_map ? 2 : 1);
            levels[depth].is_map = is_map;
            depth++;
        }
        while (depth > 0 && levels[depth - 1].left == 0) {
            depth--;
        }
    } while (depth > 0);
    return kind;
}

static struct yo_span skip(struct yo_mp_reader *reader, size_t deepest)
{
    struct yo_span before = reader->rest;

    if (walk(reader, SHAPE, deepest) < 0) {
        return YO_SPAN_NONE;
    }
    return yo_span(before.data, before.size - reader->rest.size);
}

struct yo_span yo_mp_skip(struct yo_mp_reader *reader)
{
    return skip(reader, YO_NESTING_MAX);
}

struct yo_span yo_mp_read_str(struct yo_mp_reader *reader)
{
    struct yo_mp_value value = yo_mp_read(reader);

    if (value.kind != YO_MP_STR) {
        fail(reader);
        return YO_SPAN_NONE;
    }
    return value.bytes;
}

uint64_t yo_mp_read_uint(struct yo_mp_reader *reader)
{
    struct yo_mp_value value = yo_mp_read(reader);

    if (value.kind != YO_MP_UINT) {
        fail(reader);
        return 0;
    }
    return value.uint;
}

static uint32_t read_count(struct yo_mp_reader *reader, enum yo_mp_kind kind)
{
    struct yo_mp_value value = yo_mp_read(reader);

    if (value.kind != kind) {
        fail(reader);
        return 0;
    }
    return value.count;
}

uint32_t yo_mp_read_map(struct yo_mp_reader *reader)
{
    return read_count(reader, YO_MP_MAP);
}

uint32_t yo_mp_read_array(struct yo_mp_reader *reader)
{
    return read_count(reader, YO_MP_ARRAY);
}

static int check(struct yo_span bytes, enum strictness strictness)
{
    struct yo_mp_reader reader;
    int kind;

    yo_mp_reader_init(&reader, bytes);
    kind = walk(&reader, strictness, YO_NESTING_MAX);
    return reader.rest.size == 0 ? kind : YOMO_ERR_MALFORMED;
}

int yo_mp_check(struct yo_span bytes)
{
    return check(bytes, TEXT);
}

int yo_mp_check_portable(struct yo_span bytes)
{
    return check(bytes, PORTABLE);
}

struct yo_span yo_mp_map_get(struct yo_span map, const char *key)
{
    struct yo_span wanted = yo_span_of(key);
    struct yo_span found = YO_SPAN_NONE;
    struct yo_mp_reader reader;
    uint32_t count;

    yo_mp_reader_init(&reader, map);
    count = yo_mp_read_map(&reader);
    for (uint32_t i = 0; i < count && !reader.error; i++) {
        struct yo_span name = yo_mp_as_str(skip(&reader, YO_NESTING_MAX - 1));
        struct yo_span value = skip(&reader, YO_NESTING_MAX - 1); /* the map is one */
        if (!found.data && name.data && yo_span_equal(name, wanted)) {
            found = value;
        }
    }
    return reader.error || reader.rest.size > 0 ? YO_SPAN_NONE : found;
}

struct yo_span yo_mp_as_str(struct yo_span value)
{
    struct yo_mp_reader reader;
    struct yo_span text;

    yo_mp_reader_init(&reader, value);
    text = yo_mp_read_str(&reader);
    return reader.rest.size == 0 ? text : YO_SPAN_NONE;
}
