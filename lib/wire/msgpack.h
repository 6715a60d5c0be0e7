/* SPDX-License-Identifier: MIT */
/* msgpack.h - a bounded MessagePack reader and writer.
 *
 * The reader walks bytes that it borrows and allocates nothing. Its first error sticks:
 * every later read gives zeros, so a decoder is a straight list of reads with one check
 * at the end. Extension types are skipped, never interpreted. */
#ifndef YO_WIRE_MSGPACK_H
#define YO_WIRE_MSGPACK_H

#include "base/buf.h"
#include "base/span.h"

enum yo_mp_kind {
    YO_MP_NIL,
    YO_MP_BOOL,
    YO_MP_UINT, /* an integer >= 0, whatever its encoding */
    YO_MP_INT,  /* an integer < 0 */
    YO_MP_FLOAT,
    YO_MP_STR,
    YO_MP_BIN,
    YO_MP_ARRAY,
    YO_MP_MAP,
    YO_MP_EXT
};

struct yo_mp_value {
    enum yo_mp_kind kind;
    bool boolean;
    uint64_t uint;        /* YO_MP_UINT */
    int64_t sint;         /* YO_MP_INT */
    double real;          /* YO_MP_FLOAT */
    struct yo_span bytes; /* STR, BIN, EXT (without its type) */
    uint32_t count;       /* elements of ARRAY, pairs of MAP, which follow */
    int8_t ext;           /* type of EXT */
};

struct yo_mp_reader {
    struct yo_span rest;
    int error; /* 0, or YOMO_ERR_MALFORMED */
};

void yo_mp_reader_init(struct yo_mp_reader *reader, struct yo_span bytes);

/* Read the head of the next value; the elements of an ARRAY or MAP are the next reads.
 * A count that cannot fit into the rest of the bytes is an error at once. */
struct yo_mp_value yo_mp_read(struct yo_mp_reader *reader);

/* Pass over one whole value, at most YO_NESTING_MAX deep; returns its bytes. Never
 * recurses. */
struct yo_span yo_mp_skip(struct yo_mp_reader *reader);

/* Typed reads: an error when the next value is of another kind. */
struct yo_span yo_mp_read_str(struct yo_mp_reader *reader);
uint64_t yo_mp_read_uint(struct yo_mp_reader *reader);
uint32_t yo_mp_read_map(struct yo_mp_reader *reader);
uint32_t yo_mp_read_array(struct yo_mp_reader *reader);

/* Exactly one well-formed value, nothing behind it, strings in UTF-8, at most
 * YO_NESTING_MAX deep. Returns its kind, or YOMO_ERR_MALFORMED. Allocates nothing. */
int yo_mp_check(struct yo_span bytes);

/* The same, and nothing in it that the decoder of presencejs throws an exception at,
 * which would end its read loop: map keys are strings or numbers, none is "__proto__",
 * and a timestamp (extension type -1) has 4, 8 or 12 bytes. */
int yo_mp_check_portable(struct yo_span bytes);

/* The value behind the string key `key` in the map that is `map`; absent when `map` is
 * not one map or has no such key. The first one counts. */
struct yo_span yo_mp_map_get(struct yo_span map, const char *key);

/* The string in `value` (a whole encoded value), absent when it is no string. */
struct yo_span yo_mp_as_str(struct yo_span value);

/* Writers append the shortest form; a failed append sets out->failed and later ones do
 * nothing, so check once at the end. */
void yo_mp_put_nil(struct yo_buf *out);
void yo_mp_put_bool(struct yo_buf *out, bool value);
void yo_mp_put_uint(struct yo_buf *out, uint64_t value);
void yo_mp_put_int(struct yo_buf *out, int64_t value);
void yo_mp_put_float(struct yo_buf *out, double value);
void yo_mp_put_str(struct yo_buf *out, struct yo_span text);
void yo_mp_put_cstr(struct yo_buf *out, const char *text);
void yo_mp_put_bin(struct yo_buf *out, struct yo_span bytes);
void yo_mp_put_array(struct yo_buf *out, uint32_t count);
void yo_mp_put_map(struct yo_buf *out, uint32_t count);
void yo_mp_put_str_head(struct yo_buf *out, size_t size); /* the bytes are to follow */
void yo_mp_put_raw(struct yo_buf *out, struct yo_span encoded); /* whole values */

#endif
