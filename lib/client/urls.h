/* SPDX-License-Identifier: MIT */
/* urls.h - what the option `url` means.
 *
 *   https://host        WebTransport and WebSocket over TLS
 *   wss://host          WebSocket over TLS only
 *   http://, ws://      WebSocket without TLS: a development server's plain listener
 *   any other scheme    a transport inside this process or one of the host's own
 *
 * A URL without a path means /v1. What identifies the client is put behind the URL's
 * own query, percent-encoded; it is never logged. */
#ifndef YO_CLIENT_URLS_H
#define YO_CLIENT_URLS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/span.h"

/* The choices of the option `transport`, in their order. */
enum yo_transport_choice {
    YO_CHOOSE_AUTO,
    YO_CHOOSE_WEBTRANSPORT,
    YO_CHOOSE_WEBSOCKET
};

struct yo_credentials {
    struct yo_span id;         /* always there */
    struct yo_span public_key; /* absent: not sent */
    struct yo_span token;      /* absent: not sent */
};

/* Where to connect, and how. All text is owned. */
struct yo_target {
    const struct yomo_mem *mem;
    char *scheme; /* lower case */
    char *host;   /* without brackets */
    char *path;   /* with the whole query */
    char *url;    /* all of it, for a transport of the host's own */
    uint16_t port;
    bool webtransport, websocket; /* which ones to try */
    bool other;                   /* neither: the scheme names a transport */
    bool secure;
};

/* YOMO_ERR_URL; YOMO_ERR_OPTION when the URL rules out the chosen transport;
 * YOMO_ERR_NOMEM. */
int yo_target_init(struct yo_target *target, const struct yomo_mem *mem,
                   struct yo_span url, enum yo_transport_choice choice,
                   const struct yo_credentials *who);
void yo_target_finish(struct yo_target *target); /* accepts zeroed memory */

/* Does the host name stand for this machine? "localhost", names below it, 127.0.0.0/8
 * and ::1. */
bool yo_host_loopback(const char *host);

/* Is `host` among the names of `list` (no_proxy: separated by commas; a name covers
 * what is below it; "*" is everything)? */
bool yo_host_listed(const char *host, struct yo_span list);

#endif
