/* SPDX-License-Identifier: MIT */
/* url.h - the parts of a URL as far as this library needs them (RFC 3986). */
#ifndef YO_BASE_URL_H
#define YO_BASE_URL_H

#include <stdint.h>

#include "base/span.h"

struct yo_url {
    struct yo_span scheme; /* as written */
    struct yo_span host;   /* without the brackets of an IPv6 literal */
    uint16_t port;         /* 0 when none was given */
    struct yo_span path;   /* from the first '/', absent when there is none */
    struct yo_span query;  /* without '?', absent when there is none */
};

/* Take `text` apart; the spans borrow it. A fragment is refused, as are user names,
 * control characters and spaces. YOMO_ERR_URL. */
int yo_url_parse(struct yo_url *url, struct yo_span text);

#endif
