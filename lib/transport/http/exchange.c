/* SPDX-License-Identifier: MIT */
#include "transport/http/exchange.h"

#include "transport/http/exchange_type.h"

struct yo_span yo_exchange_method(const struct yo_exchange *exchange)
{
    return exchange->method;
}

struct yo_span yo_exchange_path(const struct yo_exchange *exchange)
{
    return exchange->path;
}

struct yo_span yo_exchange_query(const struct yo_exchange *exchange)
{
    return exchange->query;
}

struct yo_span yo_exchange_header(const struct yo_exchange *exchange, const char *name)
{
    return exchange->ops->header(exchange, name);
}

struct yo_span yo_exchange_body(const struct yo_exchange *exchange)
{
    return exchange->body;
}

struct yo_span yo_exchange_address(const struct yo_exchange *exchange)
{
    return exchange->address;
}

bool yo_exchange_plain(const struct yo_exchange *exchange)
{
    return exchange->plain;
}

bool yo_exchange_admin(const struct yo_exchange *exchange)
{
    return exchange->admin;
}

struct yo_exchange *yo_exchange_hold(struct yo_exchange *exchange)
{
    return exchange->ops->hold(exchange);
}

void yo_exchange_answer(struct yo_exchange *exchange, int status,
                        const char *const *headers, struct yo_span body)
{
    exchange->ops->answer(exchange, status, headers, body);
}
