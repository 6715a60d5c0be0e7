/* SPDX-License-Identifier: MIT */
/* exchange.h - one HTTP request that wants a page, and its answer.
 *
 * Requests come from the TLS and the plain listener alike (HTTP/1.1) and, for the few
 * browsers that ask, over HTTP/3. Bodies of requests are bounded to YO_HTTP_BODY_MAX. */
#ifndef YO_HTTP_EXCHANGE_H
#define YO_HTTP_EXCHANGE_H

#include <stdbool.h>

#include "base/span.h"

#define YO_HTTP_BODY_MAX 65536
#define YO_HTTP_HEAD_MAX 16384 /* bytes of request line and headers together */

struct yo_exchange;

/* All spans live until the exchange is answered. */
struct yo_span yo_exchange_method(const struct yo_exchange *exchange);
struct yo_span yo_exchange_path(const struct yo_exchange *exchange);  /* still encoded */
struct yo_span yo_exchange_query(const struct yo_exchange *exchange); /* without '?' */
struct yo_span yo_exchange_header(const struct yo_exchange *exchange, const char *name);
struct yo_span yo_exchange_body(const struct yo_exchange *exchange);
struct yo_span yo_exchange_address(const struct yo_exchange *exchange);
bool yo_exchange_plain(const struct yo_exchange *exchange); /* came without TLS */
bool yo_exchange_admin(const struct yo_exchange *exchange); /* by the operator's door */

/* Answer; `headers` is name, value, ..., NULL, without Content-Length, Date and
 * Connection, which are added. The body is copied. HEAD gets no body. Exactly one answer
 * for each exchange, which is gone after it. */
void yo_exchange_answer(struct yo_exchange *exchange, int status,
                        const char *const *headers, struct yo_span body);

/* The answer comes later: what is to be answered then, in place of `exchange`, of which
 * nothing is good any more when on_http has returned. The client may go meanwhile, which
 * makes no difference to who answers; nothing else may be asked of it. Not answered
 * before on_http has returned. NULL without memory: answer `exchange` now. */
struct yo_exchange *yo_exchange_hold(struct yo_exchange *exchange);

#endif
