/* SPDX-License-Identifier: MIT */
/* site.h - what a server says to a plain HTTP request: how it is, what it counted, and
 * in development the demo's pages. */
#ifndef YO_SERVER_SITE_H
#define YO_SERVER_SITE_H

#include "base/time.h"
#include "transport/http/exchange.h"

struct yo_worker;

/* Answers the exchange, now. */
void yo_site_answer(struct yo_worker *worker, struct yo_exchange *exchange, yo_time now);

#endif
