/* SPDX-License-Identifier: MIT */
/* text.c - all tables and ranges are spelled out: nothing here depends on a locale.
 * What appends to a buffer leaves it as it was when the input is wrong. */
#include "base/text.h"

#include "base/check.h"

static const char hex_digits[] = "0123456789abcdef";

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

static bool is_continuation(uint8_t c)
{
    return (c & 0xc0) == 0x80;
}

/* The length of the well-formed character at `at`, 0 for none (RFC 3629 4). */
static size_t utf8_character(const uint8_t *at, size_t left)
{
    uint8_t first = at[0];
    uint8_t low = 0x80, high = 0xbf; /* bounds of the second byte */
    size_t size;

    if (first < 0x80) {
        return 1;
    }
    if (first >= 0xc2 && first <= 0xdf) {
        size = 2;
    } else if (first >= 0xe0 && first <= 0xef) {
        size = 3;
        low = first == 0xe0 ? 0xa0 : 0x80;  /* no overlong forms */
        high = first == 0xed ? 0x9f : 0xbf; /* no surrogates */
    } else if (first >= 0xf0 && first <= 0xf4) {
        size = 4;
        low = first == 0xf0 ? 0x90 : 0x80;
        high = first == 0xf4 ? 0x8f : 0xbf; /* nothing past U+10FFFF */
    } else {
        return 0;
    }
    if (left < size || at[1] < low || at[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < size; i++) {
        if (!is_continuation(at[i])) {
            return 0;
        }
    }
    return size;
}

bool yo_utf8_valid(struct yo_span text)
{
    size_t i = 0;

    while (i < text.size) {
        uint64_t word;
        size_t size;
        if (text.size - i >= sizeof(word)) { /* eight ASCII characters at once */
            memcpy(&word, text.data + i, sizeof(word));
            if ((word & UINT64_C(0x8080808080808080)) == 0) {
                i += sizeof(word);
                continue;
            }
        }
        size = utf8_character(text.data + i, text.size - i);
        if (size == 0) {
            return false;
        }
        i += size;
    }
    return true;
}

void yo_hex_encode(char *out, struct yo_span bytes)
{
    for (size_t i = 0; i < bytes.size; i++) {
        *out++ = hex_digits[bytes.data[i] >> 4];
        *out++ = hex_digits[bytes.data[i] & 15];
    }
    *out = '\0';
}

int yo_hex_decode(uint8_t *out, size_t size, struct yo_span text)
{
    size_t at = 0;

    for (size_t i = 0; i < size; i++) {
        int high, low;
        if (i > 0 && at < text.size && text.data[at] == ':') {
            at++;
        }
        if (text.size - at < 2) {
            return YOMO_ERR_INVALID;
        }
        high = hex_value(text.data[at]);
        low = hex_value(text.data[at + 1]);
        if (high < 0 || low < 0) {
            return YOMO_ERR_INVALID;
        }
        out[i] = (uint8_t)(high << 4 | low);
        at += 2;
    }
    return at == text.size ? YOMO_OK : YOMO_ERR_INVALID;
}

int yo_base64_encode(struct yo_buf *out, struct yo_span bytes)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t *at;

    if (bytes.size > SIZE_MAX / 2 ||
        yo_buf_reserve(out, (bytes.size + 2) / 3 * 4) != YOMO_OK) {
        out->failed = true;
        return YOMO_ERR_NOMEM;
    }
    if (bytes.size == 0) {
        return YOMO_OK;
    }
    at = out->data + out->size;
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t left = bytes.size - i;
        uint32_t group = (uint32_t)bytes.data[i] << 16;
        if (left > 1) {
            group |= (uint32_t)bytes.data[i + 1] << 8;
        }
        if (left > 2) {
            group |= bytes.data[i + 2];
        }
        *at++ = (uint8_t)digits[group >> 18];
        *at++ = (uint8_t)digits[group >> 12 & 63];
        *at++ = left > 1 ? (uint8_t)digits[group >> 6 & 63] : '=';
        *at++ = left > 2 ? (uint8_t)digits[group & 63] : '=';
    }
    out->size += (bytes.size + 2) / 3 * 4;
    return YOMO_OK;
}

static int base64_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    if (c == '+' || c == '-') {
        return 62;
    }
    if (c == '/' || c == '_') {
        return 63;
    }
    return -1;
}

/* `text` without its padding; YOMO_ERR_INVALID when that is there and wrong. */
static int strip_padding(struct yo_span *text)
{
    size_t size = text->size;
    size_t padding = 0;

    while (padding < 2 && size > 0 && text->data[size - 1] == '=') {
        size--;
        padding++;
    }
    if (padding > 0 && text->size % 4 != 0) {
        return YOMO_ERR_INVALID;
    }
    text->size = size;
    return size % 4 == 1 ? YOMO_ERR_INVALID : YOMO_OK;
}

int yo_base64_decode(struct yo_buf *out, struct yo_span text)
{
    uint32_t group = 0;
    unsigned bits = 0;
    size_t size;

    if (strip_padding(&text) != YOMO_OK) {
        return YOMO_ERR_INVALID;
    }
    if (text.size == 0) {
        return YOMO_OK;
    }
    if (yo_buf_reserve(out, text.size / 4 * 3 + 3) != YOMO_OK) {
        out->failed = true;
        return YOMO_ERR_NOMEM;
    }
    size = out->size;
    for (size_t i = 0; i < text.size; i++) {
        int value = base64_value(text.data[i]);
        if (value < 0) {
            return YOMO_ERR_INVALID;
        }
        group = (group << 6 | (uint32_t)value) & 0xffffff;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out->data[size++] = (uint8_t)(group >> bits & 0xff);
        }
    }
    if ((group & ((1u << bits) - 1)) != 0) { /* bits that no encoder would set (3.5) */
        return YOMO_ERR_INVALID;
    }
    out->size = size;
    return YOMO_OK;
}

int yo_percent_decode(struct yo_buf *out, struct yo_span text)
{
    size_t size = out->size;

    if (yo_buf_reserve(out, text.size) != YOMO_OK) {
        out->failed = true;
        return YOMO_ERR_NOMEM;
    }
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c == '%') {
            int high, low;
            if (text.size - i < 3) {
                return YOMO_ERR_INVALID;
            }
            high = hex_value(text.data[i + 1]);
            low = hex_value(text.data[i + 2]);
            if (high < 0 || low < 0) {
                return YOMO_ERR_INVALID;
            }
            c = (uint8_t)(high << 4 | low);
            i += 2;
        }
        out->data[size++] = c;
    }
    out->size = size;
    return YOMO_OK;
}

static bool is_unreserved(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '-' || c == '.' || c == '_' || c == '~';
}

int yo_percent_encode(struct yo_buf *out, struct yo_span text)
{
    static const char digits[] = "0123456789ABCDEF"; /* upper case: RFC 3986 2.1 */
    size_t size = out->size;

    if (text.size > SIZE_MAX / 3 || yo_buf_reserve(out, 3 * text.size) != YOMO_OK) {
        out->failed = true;
        return YOMO_ERR_NOMEM;
    }
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (is_unreserved(c)) {
            out->data[size++] = c;
        } else {
            out->data[size++] = '%';
            out->data[size++] = (uint8_t)digits[c >> 4];
            out->data[size++] = (uint8_t)digits[c & 15];
        }
    }
    out->size = size;
    return YOMO_OK;
}

static size_t length_until(struct yo_span text, uint8_t stop)
{
    const uint8_t *found = text.size > 0 ? memchr(text.data, stop, text.size) : NULL;

    return found ? (size_t)(found - text.data) : text.size;
}

struct yo_span yo_query_get(struct yo_span query, const char *name)
{
    while (query.size > 0) {
        struct yo_span pair = yo_span(query.data, length_until(query, '&'));
        struct yo_span key = yo_span(pair.data, length_until(pair, '='));
        if (yo_span_is(key, name)) {
            return yo_span_skip(pair, key.size + (key.size < pair.size ? 1 : 0));
        }
        query = yo_span_skip(query, pair.size + 1);
    }
    return YO_SPAN_NONE;
}

int yo_parse_u64(struct yo_span text, uint64_t *value)
{
    uint64_t number = 0;

    if (text.size == 0) {
        return YOMO_ERR_INVALID;
    }
    for (size_t i = 0; i < text.size; i++) {
        uint64_t digit = (uint64_t)text.data[i] - '0';
        if (text.data[i] < '0' || text.data[i] > '9' ||
            number > (UINT64_MAX - digit) / 10) {
            return YOMO_ERR_INVALID;
        }
        number = 10 * number + digit;
    }
    *value = number;
    return YOMO_OK;
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

bool yo_span_equal_nocase(struct yo_span a, struct yo_span b)
{
    if (a.size != b.size) {
        return false;
    }
    for (size_t i = 0; i < a.size; i++) {
        if (lower(a.data[i]) != lower(b.data[i])) {
            return false;
        }
    }
    return true;
}

bool yo_span_equal_secret(struct yo_span secret, struct yo_span said)
{
    volatile uint8_t different = 0; /* or the compiler may leave the loop early */

    if (secret.size != said.size) {
        return false;
    }
    for (size_t i = 0; i < secret.size; i++) {
        different = (uint8_t)(different | (secret.data[i] ^ said.data[i]));
    }
    return different == 0;
}
