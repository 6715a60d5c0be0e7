/* SPDX-License-Identifier: MIT */
/* routes.h - somebody who wants to know when this machine's addresses or routes change.
 *
 * Linux tells by rtnetlink(7), on one socket for each loop that somebody watches on.
 * Elsewhere nobody is told, and errors of sockets are all there is. A burst of changes
 * is told once, a moment after its first. */
#ifndef YO_LOOP_ROUTES_H
#define YO_LOOP_ROUTES_H

#include "base/list.h"
#include "loop/loop.h"

struct yo_routes_watch {
    struct yo_link link;
    struct yo_loop *loop; /* NULL: not watching */
    void (*on_change)(struct yo_routes_watch *watch, yo_time now);
};

/* From now on `on_change` is called after changes. YOMO_ERR_NOMEM, YOMO_ERR_SYSTEM:
 * this system does not tell. */
int yo_routes_watch(struct yo_routes_watch *watch, struct yo_loop *loop,
                    void (*on_change)(struct yo_routes_watch *watch, yo_time now));

/* No call comes any more. Accepts one that does not watch, and zeroed memory. */
void yo_routes_unwatch(struct yo_routes_watch *watch);

#endif
