/* SPDX-License-Identifier: MIT */
/* url.c - scheme "://" host [":" port] [path] ["?" query], each checked against the
 * characters of RFC 3986 before anything is given back. */
#include "base/url.h"

#include "base/check.h"
#include "base/text.h"

static bool is_alpha(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_one_of(uint8_t c, const char *set)
{
    return c != 0 && strchr(set, c) != NULL;
}

static bool is_hex(uint8_t c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* reg-name and IPv4address (3.2.2) */
static bool is_host(uint8_t c)
{
    return is_alpha(c) || is_digit(c) || is_one_of(c, "-._~%!$&'()*+,;=");
}

static bool is_ipv6(uint8_t c)
{
    return is_hex(c) || c == ':' || c == '.';
}

/* Browsers take more in a path or a query than the RFC has, so only what could be
 * mistaken for the end of a request line is refused, and what is not ASCII. */
static bool is_path(uint8_t c)
{
    return c > 0x20 && c < 0x7f && c != '#';
}

static bool is_scheme(uint8_t c)
{
    return is_alpha(c) || is_digit(c) || is_one_of(c, "+-.");
}

static bool all(struct yo_span text, bool (*is)(uint8_t c))
{
    for (size_t i = 0; i < text.size; i++) {
        if (!is(text.data[i])) {
            return false;
        }
    }
    return true;
}

/* How many bytes stand in front of the first that is in `set`, or all. */
static size_t length_until(struct yo_span text, const char *set)
{
    size_t i = 0;

    while (i < text.size && !is_one_of(text.data[i], set)) {
        i++;
    }
    return i;
}

/* Cut the first `count` bytes off `rest`. */
static struct yo_span take(struct yo_span *rest, size_t count)
{
    struct yo_span front = yo_span(rest->data, count);

    *rest = yo_span_skip(*rest, count);
    return front;
}

static int parse_port(struct yo_span text, uint16_t *port)
{
    uint64_t number;

    if (text.size == 0) { /* "host:" is allowed (3.2.3) and means the default */
        return YOMO_OK;
    }
    if (yo_parse_u64(text, &number) != YOMO_OK || number == 0 || number > 65535) {
        return YOMO_ERR_URL;
    }
    *port = (uint16_t)number;
    return YOMO_OK;
}

static int parse_authority(struct yo_url *url, struct yo_span text)
{
    bool literal = text.size > 0 && text.data[0] == '[';

    if (literal) {
        text = yo_span_skip(text, 1);
        url->host = take(&text, length_until(text, "]"));
        if (text.size == 0) {
            return YOMO_ERR_URL;
        }
        text = yo_span_skip(text, 1);
    } else {
        url->host = take(&text, length_until(text, ":"));
    }
    if (url->host.size == 0 || !all(url->host, literal ? is_ipv6 : is_host)) {
        return YOMO_ERR_URL;
    }
    if (text.size == 0) {
        return YOMO_OK;
    }
    if (text.data[0] != ':') {
        return YOMO_ERR_URL;
    }
    return parse_port(yo_span_skip(text, 1), &url->port);
}

int yo_url_parse(struct yo_url *url, struct yo_span text)
{
    struct yo_url parts = {.port = 0};
    size_t length;
    int rv;

    parts.scheme = take(&text, length_until(text, ":"));
    if (parts.scheme.size == 0 || !is_alpha(parts.scheme.data[0]) ||
        !all(parts.scheme, is_scheme)) {
        return YOMO_ERR_URL;
    }
    if (text.size < 3 || memcmp(text.data, "://", 3) != 0) {
        return YOMO_ERR_URL;
    }
    text = yo_span_skip(text, 3);
    length = length_until(text, "/?#");
    rv = parse_authority(&parts, take(&text, length));
    if (rv != YOMO_OK) {
        return rv;
    }
    if (!all(text, is_path)) {
        return YOMO_ERR_URL;
    }
    length = length_until(text, "?");
    if (length > 0) {
        parts.path = take(&text, length);
    }
    if (text.size > 0) {
        parts.query = yo_span_skip(text, 1);
    }
    *url = parts;
    return YOMO_OK;
}
