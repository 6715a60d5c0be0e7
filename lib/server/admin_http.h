/* SPDX-License-Identifier: MIT */
/* admin_http.h - what an operator may ask over HTTP (docs/admin.md). */
#ifndef YO_SERVER_ADMIN_HTTP_H
#define YO_SERVER_ADMIN_HTTP_H

#include "base/time.h"
#include "transport/http/exchange.h"

struct yo_worker;

bool yo_admin_is_path(struct yo_span path);

/* Answers the exchange, now or later. */
void yo_admin_answer(struct yo_worker *worker, struct yo_exchange *exchange,
                     yo_time now);

/* The worker is given back: whoever still waits waits for nothing. */
void yo_admin_forget(struct yo_worker *worker);

#endif
