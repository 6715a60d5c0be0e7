/* SPDX-License-Identifier: MIT */
/* http_ask.h - one HTTP request of ours and its answer: addresses, TLS, HTTP/1.1. */
#ifndef YO_TRANSPORT_HTTP_ASK_H
#define YO_TRANSPORT_HTTP_ASK_H

#include "base/span.h"
#include "loop/loop.h"
#include "transport/tls/context.h"

#define YO_HTTP_ANSWER_MAX ((size_t)32 << 20) /* bytes of an answer's body */

struct yo_http_ask;

struct yo_http_ask_options {
    const char *host; /* without brackets */
    uint16_t port;
    struct yo_tls_client *tls; /* NULL: plain HTTP */
    struct yo_span request;    /* all of it, with "Connection: close"; copied */
    uint64_t timeout_ms;       /* for everything */
};

struct yo_http_told {
    int error; /* YOMO_OK: the rest counts; else `text` may say more */
    int status;
    struct yo_span body, text;
};

/* `done` comes from the loop, once; nothing of the ask is left on it when that returns.
 * YOMO_ERR_NOMEM. */
int yo_http_ask(struct yo_loop *loop, const struct yo_http_ask_options *options,
                void (*done)(void *user, const struct yo_http_told *told), void *user);

#endif
