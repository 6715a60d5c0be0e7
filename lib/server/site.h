/* SPDX-License-Identifier: MIT */
/* site.h - what a server says to a plain HTTP request: how it is, what it counted, and in
 * development the demo's pages. */
#ifndef YO_SERVER_SITE_H
#define YO_SERVER_SITE_H

#include "base/buf.h"
#include "transport/http/exchange.h"

struct yo_worker;

#define YO_FILE_SIZE_MAX (8u << 20)

/* Answers the exchange, now. */
void yo_site_answer(struct yo_worker *worker, struct yo_exchange *exchange);

/* The file that `path` (still percent-encoded) names below `root`; a path that ends in
 * '/' names its index.html. No name may begin with a dot, so nothing hidden and nothing
 * above `root` can be named, and symbolic links are not followed at the end. Appends it
 * to `out` and tells its type (files.c). YOMO_ERR_NOT_FOUND, YOMO_ERR_NOMEM. */
int yo_site_file(const char *root, struct yo_span path, struct yo_buf *out,
                 const char **type);

#endif
