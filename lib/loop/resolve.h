/* SPDX-License-Identifier: MIT */
/* resolve.h - host names to addresses, without blocking. */
#ifndef YO_LOOP_RESOLVE_H
#define YO_LOOP_RESOLVE_H

#include "loop/loop.h"
#include "loop/udp.h"

struct yo_resolve;

#define YO_RESOLVE_MAX 8

/* `count` addresses, families alternating (RFC 8305 4), or an error (YOMO_ERR_RESOLVE). */
typedef void (*yo_resolve_fn)(void *user, int error, const union yo_address *addresses,
                              size_t count, yo_time now);

/* "localhost" and names below it are the loopback addresses, never asked of the network
 * (RFC 6761 6.3). YOMO_ERR_NOMEM. */
int yo_resolve_start(struct yo_resolve **out, struct yo_loop *loop, const char *host,
                     uint16_t port, yo_resolve_fn fn, void *user);

/* No callback after this. Not needed once the callback has come. */
void yo_resolve_cancel(struct yo_resolve *resolve);

#endif
