/* SPDX-License-Identifier: MIT */
/* json_write.c - MessagePack to JSON text, in one pass.
 *
 * JSON has only string keys. A key of another kind is first written like any value,
 * then what was written is turned into a string in its place. A map or array as a key
 * may not have another one among its own keys: each turn doubles the backslashes, and
 * 32 of them would make gigabytes out of a short message. */
#include <math.h>

#include "base/check.h"
#include "base/text.h"
#include "wire/json.h"
#include "wire/limits.h"
#include "wire/msgpack.h"
#include "wire/number.h"

static void put(struct yo_buf *out, const char *text, size_t size)
{
    if (!out->failed) {
        yo_buf_append(out, text, size);
    }
}

static void put_text(struct yo_buf *out, const char *text)
{
    put(out, text, strlen(text));
}

static void put_escape(struct yo_buf *out, uint8_t c)
{
    static const char digits[] = "0123456789abcdef";
    char text[6] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};
    static const char letters[] = "btn\0fr"; /* for 8 to 13 */

    if (c == '"' || c == '\\') {
        text[1] = (char)c;
        put(out, text, 2);
    } else if (c >= 8 && c <= 13 && c != 11) {
        text[1] = letters[c - 8];
        put(out, text, 2);
    } else {
        put(out, text, 6);
    }
}

static void put_string(struct yo_buf *out, struct yo_span text)
{
    size_t start = 0;

    put(out, "\"", 1);
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c < 0x20 || c == '"' || c == '\\') {
            put(out, (const char *)text.data + start, i - start);
            put_escape(out, c);
            start = i + 1;
        }
    }
    if (text.size > start) {
        put(out, (const char *)text.data + start, text.size - start);
    }
    put(out, "\"", 1);
}

/* --- scalars --- */

static void put_float(struct yo_buf *out, double value)
{
    char text[YO_NUMBER_SIZE_MAX];

    if (isfinite(value)) {
        put(out, text, yo_number_print(text, value));
    } else {
        put_text(out, "null");
    }
}

static void put_integer(struct yo_buf *out, bool negative, uint64_t magnitude)
{
    char text[21];
    size_t at = sizeof(text);

    do {
        text[--at] = (char)('0' + magnitude % 10);
        magnitude /= 10;
    } while (magnitude > 0);
    if (negative) {
        text[--at] = '-';
    }
    put(out, text + at, sizeof(text) - at);
}

static void put_bin(struct yo_buf *out, struct yo_span bytes)
{
    put_text(out, "{\"base64\":\"");
    if (!out->failed) {
        yo_base64_encode(out, bytes);
    }
    put_text(out, "\"}");
}

static int put_scalar(struct yo_buf *out, const struct yo_mp_value *value)
{
    switch (value->kind) {
    case YO_MP_BOOL:
        put_text(out, value->boolean ? "true" : "false");
        break;
    case YO_MP_UINT:
        put_integer(out, false, value->uint);
        break;
    case YO_MP_INT:
        put_integer(out, true, (uint64_t)(-(value->sint + 1)) + 1);
        break;
    case YO_MP_FLOAT:
        put_float(out, value->real);
        break;
    case YO_MP_STR:
        if (!yo_utf8_valid(value->bytes)) {
            return YOMO_ERR_MALFORMED;
        }
        put_string(out, value->bytes);
        break;
    case YO_MP_BIN:
        put_bin(out, value->bytes);
        break;
    default: /* NIL, EXT */
        put_text(out, "null");
        break;
    }
    return YOMO_OK;
}

/* --- maps and arrays --- */

struct level {
    uint64_t left; /* values still to come; even in a map: a key is next */
    size_t start;  /* where in the output the value at hand starts */
    bool is_map;
    bool in_key; /* this map or array is part of a key */
};

struct writer {
    struct yo_buf *out;
    struct yo_mp_reader reader;
    struct level levels[YO_NESTING_MAX];
    size_t depth;
};

/* Make a string of all that was written since `start`. It is JSON already, so only
 * quotes and backslashes are to be escaped. */
static void make_string(struct yo_buf *out, size_t start)
{
    size_t extra = 2;
    size_t from = out->size;
    size_t to;

    for (size_t i = start; i < out->size; i++) {
        extra += out->data[i] == '"' || out->data[i] == '\\';
    }
    if (yo_buf_reserve(out, extra) != YOMO_OK) {
        out->failed = true;
        return;
    }
    out->size += extra;
    to = out->size;
    out->data[--to] = '"';
    while (from > start) { /* from the end, so that nothing is overwritten unread */
        uint8_t c = out->data[--from];
        out->data[--to] = c;
        if (c == '"' || c == '\\') {
            out->data[--to] = '\\';
        }
    }
    out->data[--to] = '"';
    assert(to == start);
}

static bool key_is_next(const struct level *level)
{
    return level->is_map && level->left % 2 == 0;
}

static int open_level(struct writer *writer, const struct yo_mp_value *value,
                      bool in_key)
{
    struct level *level;

    if (writer->depth == YO_NESTING_MAX) {
        return YOMO_ERR_MALFORMED;
    }
    level = &writer->levels[writer->depth++];
    level->is_map = value->kind == YO_MP_MAP;
    level->left = (uint64_t)value->count * (level->is_map ? 2 : 1);
    level->in_key = in_key;
    put(writer->out, level->is_map ? "{" : "[", 1);
    level->start = writer->out->size;
    return YOMO_OK;
}

/* A value is written: close what ends with it, or write what comes before the next. */
static void end_value(struct writer *writer, bool is_string)
{
    while (writer->depth > 0) {
        struct level *level = &writer->levels[writer->depth - 1];
        bool was_key = key_is_next(level);
        if (was_key && !is_string && !writer->out->failed) {
            make_string(writer->out, level->start);
        }
        level->left--;
        if (level->left > 0) {
            put(writer->out, was_key ? ":" : ",", 1);
            level->start = writer->out->size;
            return;
        }
        put(writer->out, level->is_map ? "}" : "]", 1);
        writer->depth--;
        is_string = false;
    }
}

static int write_value(struct writer *writer)
{
    struct level *level = writer->depth > 0 ? &writer->levels[writer->depth - 1] : NULL;
    bool in_key = level && level->in_key;
    bool is_key = level && key_is_next(level);
    struct yo_mp_value value = yo_mp_read(&writer->reader);
    int rv;

    if (writer->reader.error) {
        return YOMO_ERR_MALFORMED;
    }
    if (value.kind != YO_MP_MAP && value.kind != YO_MP_ARRAY) {
        rv = put_scalar(writer->out, &value);
        if (rv == YOMO_OK) {
            end_value(writer, value.kind == YO_MP_STR);
        }
        return rv;
    }
    if (in_key && is_key) {
        return YOMO_ERR_MALFORMED;
    }
    rv = open_level(writer, &value, in_key || is_key);
    if (rv == YOMO_OK && value.count == 0) {
        put(writer->out, value.kind == YO_MP_MAP ? "}" : "]", 1);
        writer->depth--;
        end_value(writer, false);
    }
    return rv;
}

int yo_mp_to_json(struct yo_buf *out, struct yo_span value)
{
    size_t size = out->size;
    struct writer writer;
    int rv;

    if (out->failed) {
        return YOMO_ERR_NOMEM;
    }
    writer.out = out;
    writer.depth = 0;
    yo_mp_reader_init(&writer.reader, value);
    do {
        rv = write_value(&writer);
    } while (rv == YOMO_OK && writer.depth > 0);
    if (rv == YOMO_OK && writer.reader.rest.size > 0) {
        rv = YOMO_ERR_MALFORMED;
    }
    if (rv == YOMO_OK && out->failed) {
        rv = YOMO_ERR_NOMEM;
    }
    if (rv != YOMO_OK) {
        out->size = size;
        out->failed = false;
    }
    return rv;
}

int yo_json_put_string(struct yo_buf *out, struct yo_span text)
{
    size_t size = out->size;

    if (!yo_utf8_valid(text)) {
        return YOMO_ERR_INVALID;
    }
    if (out->failed) {
        return YOMO_ERR_NOMEM;
    }
    put_string(out, text);
    if (out->failed) {
        out->size = size;
        return YOMO_ERR_NOMEM;
    }
    return YOMO_OK;
}
