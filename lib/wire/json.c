/* SPDX-License-Identifier: MIT */
/* json.c - JSON text to MessagePack, in one pass.
 *
 * How long a map or array is, is known at its end only. One byte is kept free for its
 * head; at the end, when the head turns out longer, what is inside moves up. As nothing
 * is nested deeper than YO_NESTING_MAX, no byte moves more often than that.
 *
 * Checking is the same pass with no output. Invariants:
 *  1. `at` never passes `text.size`;
 *  2. `depth` levels are open, and nothing recurses. */
#include "wire/json.h"

#include "base/check.h"
#include "base/text.h"
#include "wire/limits.h"
#include "wire/msgpack.h"
#include "wire/number.h"

struct level {
    size_t head; /* where in the output the map or array starts */
    uint32_t count;
    bool is_map;
};

struct parser {
    struct yo_span text;
    size_t at;
    struct yo_buf *out; /* NULL: only check */
    struct level levels[YO_NESTING_MAX];
    size_t depth;
};

/* The next byte, or 0 at the end: no rule of the grammar takes a 0. */
static uint8_t peek(const struct parser *parser)
{
    return parser->at < parser->text.size ? parser->text.data[parser->at] : 0;
}

static bool accept(struct parser *parser, uint8_t c)
{
    if (peek(parser) != c) {
        return false;
    }
    parser->at++;
    return true;
}

static void skip_space(struct parser *parser)
{
    uint8_t c = peek(parser);

    while (c == ' ' || c == '\n' || c == '\r' || c == '\t') {
        parser->at++;
        c = peek(parser);
    }
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool skip_digits(struct parser *parser)
{
    size_t start = parser->at;

    while (is_digit(peek(parser))) {
        parser->at++;
    }
    return parser->at > start;
}

/* --- numbers --- */

static void put_number(struct yo_buf *out, struct yo_span text, bool whole)
{
    bool negative = text.data[0] == '-';
    uint64_t magnitude;

    if (whole && yo_parse_u64(yo_span_skip(text, negative), &magnitude) == YOMO_OK) {
        if (!negative) {
            yo_mp_put_uint(out, magnitude);
            return;
        }
        if (magnitude > 0 && magnitude <= (uint64_t)INT64_MAX + 1) {
            yo_mp_put_int(out, -(int64_t)(magnitude - 1) - 1);
            return;
        }
    }
    yo_mp_put_float(out, yo_number_parse(text)); /* "-0" too: no integer is that */
}

static int parse_number(struct parser *parser)
{
    size_t start = parser->at;
    bool whole = true;

    accept(parser, '-');
    if (!accept(parser, '0') && !skip_digits(parser)) {
        return YOMO_ERR_JSON;
    }
    if (accept(parser, '.')) {
        whole = false;
        if (!skip_digits(parser)) {
            return YOMO_ERR_JSON;
        }
    }
    if (accept(parser, 'e') || accept(parser, 'E')) {
        whole = false;
        if (!accept(parser, '+')) {
            accept(parser, '-');
        }
        if (!skip_digits(parser)) {
            return YOMO_ERR_JSON;
        }
    }
    if (parser->out) {
        put_number(parser->out, yo_span(parser->text.data + start, parser->at - start),
                   whole);
    }
    return YOMO_OK;
}

/* --- strings --- */

/* Four hexadecimal digits, or -1. */
static int32_t parse_hex4(struct parser *parser)
{
    int32_t code = 0;

    for (int i = 0; i < 4; i++) {
        uint8_t c = peek(parser);
        if (is_digit(c)) {
            code = code * 16 + (c - '0');
        } else if (c >= 'a' && c <= 'f') {
            code = code * 16 + (c - 'a' + 10);
        } else if (c >= 'A' && c <= 'F') {
            code = code * 16 + (c - 'A' + 10);
        } else {
            return -1;
        }
        parser->at++;
    }
    return code;
}

/* What stands behind "\u": a code point, two of them for a surrogate pair, or -1. */
static int32_t parse_unicode(struct parser *parser)
{
    int32_t high = parse_hex4(parser);
    int32_t low;

    if (high < 0xd800 || high > 0xdfff) {
        return high;
    }
    if (high > 0xdbff || !accept(parser, '\\') || !accept(parser, 'u')) {
        return -1;
    }
    low = parse_hex4(parser);
    if (low < 0xdc00 || low > 0xdfff) {
        return -1;
    }
    return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

/* The code point of the escape behind a backslash, or -1. */
static int32_t parse_escape(struct parser *parser)
{
    uint8_t c = peek(parser);

    parser->at += c != 0;
    switch (c) {
    case '"':
    case '\\':
    case '/':
        return c;
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'u':
        return parse_unicode(parser);
    default:
        return -1;
    }
}

static size_t put_utf8(uint8_t out[4], int32_t code)
{
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (uint8_t)(0xc0 | code >> 6);
        out[1] = (uint8_t)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (uint8_t)(0xe0 | code >> 12);
        out[1] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | code >> 18);
    out[1] = (uint8_t)(0x80 | (code >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (code & 0x3f));
    return 4;
}

/* The bytes up to the next quote, backslash or control character. */
static struct yo_span take_plain(struct parser *parser)
{
    const uint8_t *start = parser->text.data + parser->at;
    const uint8_t *end = parser->text.data + parser->text.size;
    const uint8_t *at = start;

    while (at < end && *at >= 0x20 && *at != '"' && *at != '\\') {
        at++;
    }
    parser->at += (size_t)(at - start);
    return yo_span(start, (size_t)(at - start));
}

/* The string whose opening quote is behind us, appended to `out` unless that is NULL;
 * `size` grows by its length. */
static int parse_pieces(struct parser *parser, struct yo_buf *out, size_t *size)
{
    for (;;) {
        struct yo_span plain = take_plain(parser);
        uint8_t bytes[4];
        int32_t code;
        size_t length;

        if (!yo_utf8_valid(plain)) {
            return YOMO_ERR_JSON;
        }
        *size += plain.size;
        if (out) {
            yo_mp_put_raw(out, plain);
        }
        if (accept(parser, '"')) {
            return YOMO_OK;
        }
        if (!accept(parser, '\\')) {
            return YOMO_ERR_JSON; /* a control character, or the end */
        }
        code = parse_escape(parser);
        if (code < 0) {
            return YOMO_ERR_JSON;
        }
        length = put_utf8(bytes, code);
        *size += length;
        if (out) {
            yo_mp_put_raw(out, yo_span(bytes, length));
        }
    }
}

/* The head comes first, so a string is measured, then written. */
static int parse_string(struct parser *parser)
{
    size_t start = parser->at;
    size_t size = 0;
    struct yo_span whole;
    int rv = parse_pieces(parser, NULL, &size);

    if (rv != YOMO_OK || !parser->out) {
        return rv;
    }
    whole = yo_span(parser->text.data + start, parser->at - 1 - start);
    yo_mp_put_str_head(parser->out, size);
    if (whole.size == size) { /* no escapes: each is longer than what it stands for */
        yo_mp_put_raw(parser->out, whole);
        return YOMO_OK;
    }
    parser->at = start;
    return parse_pieces(parser, parser->out, &size);
}

/* --- maps and arrays --- */

static int open_level(struct parser *parser, bool is_map)
{
    struct level *level;

    if (parser->depth == YO_NESTING_MAX) {
        return YOMO_ERR_JSON;
    }
    level = &parser->levels[parser->depth++];
    level->count = 0;
    level->is_map = is_map;
    level->head = 0;
    if (parser->out) {
        level->head = parser->out->size;
        yo_mp_put_nil(parser->out); /* one byte, to become the head */
    }
    return YOMO_OK;
}

/* The head is written behind the body, then both change places. */
static void put_level_head(struct yo_buf *out, const struct level *level)
{
    size_t body = level->head + 1;
    size_t end = out->size;
    uint8_t head[5];
    size_t size;

    if (level->is_map) {
        yo_mp_put_map(out, level->count);
    } else {
        yo_mp_put_array(out, level->count);
    }
    if (out->failed) {
        return;
    }
    size = out->size - end;
    memcpy(head, out->data + end, size);
    if (size > 1) {
        memmove(out->data + level->head + size, out->data + body, end - body);
    }
    memcpy(out->data + level->head, head, size);
    out->size = end - 1 + size;
}

static void close_level(struct parser *parser)
{
    parser->depth--;
    if (parser->out && !parser->out->failed) {
        put_level_head(parser->out, &parser->levels[parser->depth]);
    }
}

static int parse_name(struct parser *parser)
{
    int rv;

    skip_space(parser);
    if (!accept(parser, '"')) {
        return YOMO_ERR_JSON;
    }
    rv = parse_string(parser);
    if (rv != YOMO_OK) {
        return rv;
    }
    skip_space(parser);
    return accept(parser, ':') ? YOMO_OK : YOMO_ERR_JSON;
}

/* Up to the first element, or past the end of an empty one. */
static int start_level(struct parser *parser, bool is_map, bool *complete)
{
    int rv = open_level(parser, is_map);

    if (rv != YOMO_OK) {
        return rv;
    }
    skip_space(parser);
    if (accept(parser, is_map ? '}' : ']')) {
        close_level(parser);
        *complete = true;
        return YOMO_OK;
    }
    return is_map ? parse_name(parser) : YOMO_OK;
}

/* --- values --- */

static int parse_word(struct parser *parser, const char *word)
{
    size_t size = strlen(word);

    if (parser->text.size - parser->at < size ||
        memcmp(parser->text.data + parser->at, word, size) != 0) {
        return YOMO_ERR_JSON;
    }
    parser->at += size;
    if (!parser->out) {
        return YOMO_OK;
    }
    if (word[0] == 'n') {
        yo_mp_put_nil(parser->out);
    } else {
        yo_mp_put_bool(parser->out, word[0] == 't');
    }
    return YOMO_OK;
}

/* One value, or the start of a map or array: then it is not `complete`. */
static int start_value(struct parser *parser, bool *complete)
{
    skip_space(parser);
    *complete = true;
    switch (peek(parser)) {
    case '{':
    case '[': {
        bool is_map = peek(parser) == '{';
        parser->at++;
        *complete = false;
        return start_level(parser, is_map, complete);
    }
    case '"':
        parser->at++;
        return parse_string(parser);
    case 't':
        return parse_word(parser, "true");
    case 'f':
        return parse_word(parser, "false");
    case 'n':
        return parse_word(parser, "null");
    default:
        return parse_number(parser);
    }
}

/* Behind a value: close what ends here; up to the next value, if one is to come. */
static int end_value(struct parser *parser)
{
    while (parser->depth > 0) {
        struct level *level = &parser->levels[parser->depth - 1];
        level->count++;
        skip_space(parser);
        if (accept(parser, ',')) {
            return level->is_map ? parse_name(parser) : YOMO_OK;
        }
        if (!accept(parser, level->is_map ? '}' : ']')) {
            return YOMO_ERR_JSON;
        }
        close_level(parser);
    }
    return YOMO_OK;
}

static int parse(struct parser *parser)
{
    do {
        bool complete;
        int rv = start_value(parser, &complete);
        if (rv == YOMO_OK && complete) {
            rv = end_value(parser);
        }
        if (rv != YOMO_OK) {
            return rv;
        }
    } while (parser->depth > 0);
    skip_space(parser);
    return parser->at == parser->text.size ? YOMO_OK : YOMO_ERR_JSON;
}

int yo_json_check(struct yo_span text)
{
    struct parser parser;

    parser.text = text;
    parser.at = 0;
    parser.out = NULL;
    parser.depth = 0;
    return parse(&parser);
}

int yo_json_to_mp(struct yo_buf *out, struct yo_span text)
{
    size_t size = out->size;
    struct parser parser;
    int rv;

    if (out->failed) {
        return YOMO_ERR_NOMEM;
    }
    parser.text = text;
    parser.at = 0;
    parser.out = out;
    parser.depth = 0;
    rv = text.size <= UINT32_MAX ? parse(&parser) : YOMO_ERR_JSON;
    if (rv == YOMO_OK && out->failed) {
        rv = YOMO_ERR_NOMEM;
    }
    if (rv != YOMO_OK) {
        out->size = size;
        out->failed = false;
    }
    return rv;
}
