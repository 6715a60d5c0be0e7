/* SPDX-License-Identifier: MIT */
/* handshake.h - how an HTTP/1.1 connection becomes a WebSocket (RFC 6455 4), both
 * sides.
 *
 * No extension is ever offered or agreed on: presence messages are small, and a window
 * of compression for each connection is not. */
#ifndef YO_WEBSOCKET_HANDSHAKE_H
#define YO_WEBSOCKET_HANDSHAKE_H

#include "base/buf.h"
#include "base/span.h"
#include "transport/http/reader.h"
#include "transport/transport.h"

#define YO_WEBSOCKET_KEY_SIZE 24    /* base64 of 16 bytes */
#define YO_WEBSOCKET_ACCEPT_SIZE 28 /* base64 of 20 bytes */

/* Server: is this request a WebSocket's? 0: no; 101: a good one, and `accept` is what
 * the answer needs; else the HTTP status to refuse it with. */
int yo_websocket_check_request(const struct yo_http_reader *request,
                               char accept[YO_WEBSOCKET_ACCEPT_SIZE + 1]);

/* Server: append the answer that lets it in. `headers` as in yo_response.
 * YOMO_ERR_NOMEM. */
int yo_websocket_write_answer(struct yo_buf *out, const char *accept,
                              const char *const *headers);

struct yo_websocket_ask {
    const char *host; /* without brackets */
    uint16_t port;
    bool secure;        /* decides which port goes without saying */
    const char *path;   /* with its query */
    const char *origin; /* NULL: none */
};

/* Client: append the request; `key` is made here, the answer is checked against it.
 * YOMO_ERR_NOMEM, YOMO_ERR_INVALID when a part would break the request. */
int yo_websocket_write_request(struct yo_buf *out, const struct yo_websocket_ask *ask,
                               char key[YO_WEBSOCKET_KEY_SIZE + 1]);

/* Client: YOMO_OK, YOMO_ERR_AUTH (401), YOMO_ERR_DENIED (other 4xx), YOMO_ERR_FULL (503
 * and 429), YOMO_ERR_PROTO; `why` gets a sentence. */
int yo_websocket_check_answer(const struct yo_http_reader *answer, const char *key,
                              struct yo_buf *why);

#endif
