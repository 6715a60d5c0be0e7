/* SPDX-License-Identifier: MIT */
/* subprotocol.c - one walk over the field's value; what is not understood ends it. */
#include "transport/webtransport/subprotocol.h"

#include <yomo/error.h>

bool yo_subprotocol_valid(struct yo_span text)
{
    if (text.size == 0 || text.size > YO_SUBPROTOCOL_SIZE_MAX) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < 0x20 || text.data[i] > 0x7e) {
            return false;
        }
    }
    return true;
}

static bool at(struct yo_span text, uint8_t c)
{
    return text.size > 0 && text.data[0] == c;
}

static void skip_spaces(struct yo_span *text, bool tabs)
{
    while (at(*text, ' ') || (tabs && at(*text, '\t'))) {
        *text = yo_span_skip(*text, 1);
    }
}

static bool one_of(uint8_t c, const char *set)
{
    return c != 0 && strchr(set, c);
}

static bool is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* RFC 9651 3.3.4 */
static bool in_token(uint8_t c)
{
    return is_letter(c) || is_digit(c) || one_of(c, "!#$%&'*+-.^_`|~:/");
}

/* RFC 9651 3.3.3; NULL for `out`: passed over. */
static int read_string(struct yo_span *in, struct yo_buf *out)
{
    for (*in = yo_span_skip(*in, 1); in->size > 0; *in = yo_span_skip(*in, 1)) {
        uint8_t c = in->data[0];
        if (c == '"') {
            *in = yo_span_skip(*in, 1);
            return YOMO_OK;
        }
        if (c == '\\') {
            *in = yo_span_skip(*in, 1);
            if (!at(*in, '"') && !at(*in, '\\')) {
                return YOMO_ERR_INVALID;
            }
            c = in->data[0];
        }
        if (c < 0x20 || c > 0x7e) {
            return YOMO_ERR_INVALID;
        }
        if (out) {
            yo_buf_append_byte(out, c);
        }
    }
    return YOMO_ERR_INVALID;
}

static int read_token(struct yo_span *in, struct yo_buf *out)
{
    if (in->size == 0 || !(is_letter(in->data[0]) || in->data[0] == '*')) {
        return YOMO_ERR_INVALID;
    }
    while (in->size > 0 && in_token(in->data[0])) {
        if (out) {
            yo_buf_append_byte(out, in->data[0]);
        }
        *in = yo_span_skip(*in, 1);
    }
    return YOMO_OK;
}

/* Any bare item, of which only its end matters: that of a parameter (RFC 9651 3.3). */
static int skip_bare(struct yo_span *in)
{
    uint8_t c = in->size > 0 ? in->data[0] : 0;

    if (c == '"') {
        return read_string(in, NULL);
    }
    if (c == ':') { /* a byte sequence */
        do {
            *in = yo_span_skip(*in, 1);
        } while (in->size > 0 && !at(*in, ':'));
        *in = yo_span_skip(*in, 1);
        return YOMO_OK;
    }
    if (c == '?' || c == '@' || c == '-' || is_digit(c)) { /* boolean, date, number */
        do {
            *in = yo_span_skip(*in, 1);
        } while (in->size > 0 && (is_digit(in->data[0]) || one_of(in->data[0], ".-")));
        return YOMO_OK;
    }
    return read_token(in, NULL);
}

static int skip_parameters(struct yo_span *in)
{
    while (at(*in, ';')) {
        *in = yo_span_skip(*in, 1);
        skip_spaces(in, false);
        if (in->size == 0 || !(at(*in, '*') || is_letter(in->data[0]))) {
            return YOMO_ERR_INVALID;
        }
        while (in->size > 0 && (is_letter(in->data[0]) || is_digit(in->data[0]) ||
                                one_of(in->data[0], "_-.*"))) {
            *in = yo_span_skip(*in, 1);
        }
        if (at(*in, '=')) {
            *in = yo_span_skip(*in, 1);
            int rv = skip_bare(in);
            if (rv != YOMO_OK) {
                return rv;
            }
        }
    }
    return YOMO_OK;
}

static int read_item(struct yo_span *in, struct yo_buf *out)
{
    size_t from = out->size;
    int rv = at(*in, '"') ? read_string(in, out) : read_token(in, out);
    struct yo_span text = yo_span_skip(yo_buf_span(out), from);

    if (rv == YOMO_OK && !out->failed && !yo_subprotocol_valid(text)) {
        rv = YOMO_ERR_INVALID;
    }
    yo_buf_append_byte(out, 0);
    return rv == YOMO_OK ? skip_parameters(in) : rv;
}

/* Undo what was appended since `size`, if anything went wrong. */
static int settle(struct yo_buf *out, size_t size, int rv)
{
    if (out->failed) {
        rv = YOMO_ERR_NOMEM;
        out->failed = false;
    }
    if (rv != YOMO_OK) {
        out->size = size;
    }
    return rv;
}

int yo_subprotocol_read(struct yo_buf *text, struct yo_span value)
{
    size_t size = text->size;

    skip_spaces(&value, false);
    int rv = read_item(&value, text);
    skip_spaces(&value, false);
    return settle(text, size, rv == YOMO_OK && value.size > 0 ? YOMO_ERR_INVALID : rv);
}

int yo_subprotocols_read(struct yo_buf *list, struct yo_span value)
{
    size_t size = list->size;
    int rv = YOMO_OK;

    skip_spaces(&value, false);
    for (size_t i = 0; rv == YOMO_OK && value.size > 0; i++) {
        rv = i < YO_SUBPROTOCOLS_MAX ? read_item(&value, list) : YOMO_ERR_INVALID;
        skip_spaces(&value, true);
        if (rv == YOMO_OK && value.size > 0) {
            bool more = at(value, ',');
            value = yo_span_skip(value, 1);
            skip_spaces(&value, true);
            rv = more && value.size > 0 ? YOMO_OK : YOMO_ERR_INVALID;
        }
    }
    return settle(list, size, rv);
}

static void put_string(struct yo_buf *out, struct yo_span text)
{
    yo_buf_append_byte(out, '"');
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"' || text.data[i] == '\\') {
            yo_buf_append_byte(out, '\\');
        }
        yo_buf_append_byte(out, text.data[i]);
    }
    yo_buf_append_byte(out, '"');
}

static int finish(struct yo_buf *out, size_t size)
{
    yo_buf_append_byte(out, 0);
    int rv = settle(out, size, YOMO_OK);
    out->size -= rv == YOMO_OK; /* the NUL is there and does not count */
    return rv;
}

int yo_subprotocol_write(struct yo_buf *out, struct yo_span text)
{
    size_t size = out->size;

    put_string(out, text);
    return finish(out, size);
}

int yo_subprotocols_write(struct yo_buf *out, struct yo_span list)
{
    size_t size = out->size;
    struct yo_span text;

    while ((text = yo_subprotocols_next(&list)).data) {
        if (out->size > size) {
            yo_buf_append_text(out, ", ");
        }
        put_string(out, text);
    }
    return finish(out, size);
}

struct yo_span yo_subprotocols_next(struct yo_span *list)
{
    const uint8_t *end = list->size > 0 ? memchr(list->data, 0, list->size) : NULL;
    struct yo_span text;

    if (!end) {
        return YO_SPAN_NONE;
    }
    text = yo_span(list->data, (size_t)(end - list->data));
    *list = yo_span_skip(*list, text.size + 1);
    return text;
}

bool yo_subprotocols_has(struct yo_span list, struct yo_span text)
{
    struct yo_span one;

    while ((one = yo_subprotocols_next(&list)).data) {
        if (yo_span_equal(one, text)) {
            return true;
        }
    }
    return false;
}
