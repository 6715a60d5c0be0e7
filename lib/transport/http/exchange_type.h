/* SPDX-License-Identifier: MIT */
/* exchange_type.h - what every exchange looks like inside: whoever speaks a version of
 * HTTP embeds it as the first member. */
#ifndef YO_HTTP_EXCHANGE_TYPE_H
#define YO_HTTP_EXCHANGE_TYPE_H

#include "transport/http/exchange.h"

struct yo_exchange_ops {
    struct yo_span (*header)(const struct yo_exchange *exchange, const char *name);
    void (*answer)(struct yo_exchange *exchange, int status, const char *const *headers,
                   struct yo_span body);
    struct yo_exchange *(*hold)(struct yo_exchange *exchange);
};

struct yo_exchange {
    const struct yo_exchange_ops *ops;
    struct yo_span method, path, query, body, address;
    bool plain, admin;
};

#endif
