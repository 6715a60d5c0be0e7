/* SPDX-License-Identifier: MIT */
#include "transport/websocket/handshake.h"

#include <stdio.h>
#include <yomo/error.h>

#include "base/rand.h"
#include "base/text.h"
#include "transport/http/writer.h"
#include "transport/tls/context.h"

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455 1.3 */

/* base64 of at most 20 bytes; `out` has room for it and a NUL. */
static void encode(char *out, struct yo_span bytes)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t at = 0;
    for (size_t i = 0; i < bytes.size; i += 3) {
        uint32_t group = 0;
        for (size_t k = 0; k < 3; k++) {
            group = group << 8 | (i + k < bytes.size ? bytes.data[i + k] : 0u);
        }
        out[at++] = digits[group >> 18];
        out[at++] = digits[group >> 12 & 63];
        out[at++] = i + 1 < bytes.size ? digits[group >> 6 & 63] : '=';
        out[at++] = i + 2 < bytes.size ? digits[group & 63] : '=';
    }
    out[at] = 0;
}

static void accept_of(struct yo_span key, char accept[YO_WEBSOCKET_ACCEPT_SIZE + 1])
{
    uint8_t text[YO_WEBSOCKET_KEY_SIZE + sizeof(GUID) - 1], hash[20];
    memcpy(text, key.data, YO_WEBSOCKET_KEY_SIZE);
    memcpy(text + YO_WEBSOCKET_KEY_SIZE, GUID, sizeof(GUID) - 1);
    yo_sha1(hash, yo_span(text, sizeof(text)));
    encode(accept, yo_span(hash, sizeof(hash)));
}

/* 16 bytes in base64: 22 digits and two paddings. */
static bool good_key(struct yo_span key)
{
    if (key.size != YO_WEBSOCKET_KEY_SIZE || key.data[22] != '=' ||
        key.data[23] != '=') {
        return false;
    }
    for (size_t i = 0; i < 22; i++) {
        uint8_t c = key.data[i];
        bool digit = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                     (c >= '0' && c <= '9') || c == '+' || c == '/';
        if (!digit) {
            return false;
        }
    }
    return true;
}

int yo_websocket_check_request(const struct yo_http_reader *request,
                               char accept[YO_WEBSOCKET_ACCEPT_SIZE + 1])
{
    struct yo_span upgrade = yo_http_reader_header(request, "Upgrade");
    if (!yo_http_reader_upgrade(request) ||
        !yo_span_equal_nocase(upgrade, yo_span_of("websocket"))) {
        return 0;
    }
    if (!yo_span_is(yo_http_reader_method(request), "GET")) {
        return 400;
    }
    if (!yo_span_is(yo_http_reader_header(request, "Sec-WebSocket-Version"), "13")) {
        return 426;
    }
    struct yo_span key = yo_http_reader_header(request, "Sec-WebSocket-Key");
    if (!good_key(key)) {
        return 400;
    }
    accept_of(key, accept);
    return 101;
}

int yo_websocket_write_answer(struct yo_buf *out, const char *accept,
                              const char *const *headers)
{
    int rv = yo_buf_printf(out,
                           "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                           "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n",
                           accept);
    if (rv == YOMO_OK) {
        rv = yo_http_headers_write(out, headers);
    }
    return rv == YOMO_OK ? yo_buf_append_text(out, "\r\n") : rv;
}

/* Would this break the line that it stands in? */
static bool breaks(const char *text, bool blanks_too)
{
    for (; *text; text++) {
        if ((unsigned char)*text < ' ' || *text == 127 ||
            (blanks_too && *text == ' ')) {
            return true;
        }
    }
    return false;
}

int yo_websocket_write_request(struct yo_buf *out, const struct yo_websocket_ask *ask,
                               char key[YO_WEBSOCKET_KEY_SIZE + 1])
{
    uint8_t random[16];
    if (ask->path[0] != '/' || breaks(ask->path, true) || breaks(ask->host, true) ||
        (ask->origin && breaks(ask->origin, true))) {
        return YOMO_ERR_INVALID;
    }
    yo_rand_bytes(random, sizeof(random));
    encode(key, yo_span(random, sizeof(random)));
    bool literal = strchr(ask->host, ':') != NULL;
    int rv = yo_buf_printf(out, "GET %s HTTP/1.1\r\nHost: %s%s%s", ask->path,
                           literal ? "[" : "", ask->host, literal ? "]" : "");
    if (rv == YOMO_OK && ask->port != (ask->secure ? 443 : 80)) {
        rv = yo_buf_printf(out, ":%u", ask->port);
    }
    if (rv == YOMO_OK) {
        rv = yo_buf_printf(out,
                           "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n",
                           key);
    }
    if (rv == YOMO_OK && ask->origin) {
        rv = yo_buf_printf(out, "Origin: %s\r\n", ask->origin);
    }
    return rv == YOMO_OK ? yo_buf_append_text(out, "\r\n") : rv;
}

static int refused(int status, struct yo_buf *why)
{
    yo_buf_printf(why, "the server answered %d %s", status, yo_http_reason(status));
    if (status == 401) {
        return YOMO_ERR_AUTH;
    }
    if (status == 429 || status == 503) {
        return YOMO_ERR_FULL;
    }
    return status >= 400 && status < 500 ? YOMO_ERR_DENIED : YOMO_ERR_PROTO;
}

int yo_websocket_check_answer(const struct yo_http_reader *answer, const char *key,
                              struct yo_buf *why)
{
    char accept[YO_WEBSOCKET_ACCEPT_SIZE + 1];
    int status = yo_http_reader_status(answer);
    if (status != 101) {
        return refused(status, why);
    }
    accept_of(yo_span_of(key), accept);
    if (!yo_span_equal_nocase(yo_http_reader_header(answer, "Upgrade"),
                              yo_span_of("websocket")) ||
        !yo_span_is(yo_http_reader_header(answer, "Sec-WebSocket-Accept"), accept) ||
        yo_http_reader_header(answer, "Sec-WebSocket-Extensions").data ||
        yo_http_reader_header(answer, "Sec-WebSocket-Protocol").data) {
        yo_buf_append_text(why, "the server's answer is not a WebSocket's");
        return YOMO_ERR_PROTO;
    }
    return YOMO_OK;
}
