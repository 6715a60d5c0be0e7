/* SPDX-License-Identifier: MIT */
/* post.h - POST requests to one place, one after the other, over a connection that is
 * kept as long as both sides like.
 *
 * The name is resolved for each connection, each address is judged, and the one that
 * was judged is connected to: a name that changes in between changes nothing. Redirects
 * are answers like others; bodies are thrown away. */
#ifndef YO_WEBHOOKS_POST_H
#define YO_WEBHOOKS_POST_H

#include "base/buf.h"
#include "loop/loop.h"
#include "loop/network.h"
#include "transport/tls/context.h"

#define YO_POST_ANSWER_MAX \
    ((size_t)64 << 10) /* of a body, for the connection to be kept */
#define YO_POST_IDLE_TIME (30 * YO_SECOND) /* it is kept so long without a request */

struct yo_post;

struct yo_post_options {
    const char *host; /* without brackets; copied */
    uint16_t port;
    const char *target;        /* path and query; copied */
    struct yo_tls_client *tls; /* NULL: plain, to listed addresses only */
    struct yo_networks listed; /* allowed though not public; the caller's */
    yo_time timeout;           /* of each request, for everything */
};

struct yo_posted {
    int error; /* YOMO_OK: there is a status; YOMO_ERR_DENIED: no address is allowed */
    int status;
    yo_time retry_after; /* what the other side asks, 0: nothing */
    struct yo_span text; /* more about the error, or absent */
};

/* `done` comes from the loop at the end of a turn, once for each request.
 * YOMO_ERR_NOMEM. */
int yo_post_open(struct yo_post **out, struct yo_loop *loop,
                 const struct yo_post_options *options,
                 void (*done)(void *user, const struct yo_posted *posted, yo_time now),
                 void *user);

/* Go on with another place, while no request is under way. `host` and `target` are
 * given away, from the loop's memory; those of `options` are not looked at. */
void yo_post_aim(struct yo_post *post, const struct yo_post_options *options,
                 char *host, char *target);

/* No callback after this. Accepts NULL. */
void yo_post_close(struct yo_post *post);

/* Not before the last one is done. `fields` are whole lines, each with CR LF; both are
 * copied. YOMO_ERR_NOMEM: `done` does not come. */
int yo_post_send(struct yo_post *post, struct yo_span fields, struct yo_span body,
                 yo_time now);

#endif
