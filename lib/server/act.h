/* SPDX-License-Identifier: MIT */
/* act.h - one thing that an operator wants done or known, on its way from worker to
 * worker.
 *
 * It is a letter that visits every worker in turn, does what is to be done there or
 * notes what is to be seen, and is answered at the end: exactly once, unless it was to
 * be answered on a worker that has ended. A worker that has ended is passed by. What
 * puts somebody out goes round twice when there are several workers: who moved from one
 * to another meanwhile is met the second time. */
#ifndef YO_SERVER_ACT_H
#define YO_SERVER_ACT_H

#include <yomo/admin.h>
#include <yomo/host.h>

#include "loop/network.h"
#include "server/handle.h"
#include "server/listing.h"

enum yo_act_kind {
    YO_ACT_KICK,   /* of `room` or, without one, of the application: `id`, `session`, or
                      whoever comes from `network` */
    YO_ACT_CLOSE,  /* everybody of `room`; the room is gone */
    YO_ACT_ROOMS,  /* `page`: those of `app`, or of all when it is absent */
    YO_ACT_MEMBERS, /* `page`: of `room` */
    YO_ACT_KEEP, /* nothing: it only waits for the bans to be kept */
    YO_ACT_SET, /* the shared value `key` is `payload` from now on, by `id` */
    YO_ACT_GET  /* `payload` and `version` of `key` */
};

struct yo_act;

/* What is wanted; texts are lent to yo_act_create. */
struct yo_act_wish {
    enum yo_act_kind kind;
    struct yo_span app, room, id, reason, prefix, key; /* absent: not given */
    uint64_t session;
    const struct yo_network *network; /* NULL: not given */
    struct yo_span after;
    size_t max;
};

/* What becomes of it. */
struct yo_act_end {
    void (*done)(struct yo_act *act, int error); /* the act is freed behind it */
    void *user;
    uint64_t session, number; /* of an order: whose, and which */
    int32_t back; /* the worker on which `done` runs; -1: any thread */
    bool (*sees)(void *user, struct yo_span app,
                 struct yo_span room); /* ROOMS; NULL: all */
    yomo_count_fn on_count;            /* for admin.c */
    yomo_listing_fn on_page;
    yomo_server_value_fn on_value; /* for host.c */
};

struct yo_act {
    struct yo_letter letter;
    struct yomo_server *server; /* a reference */
    enum yo_act_kind kind;
    struct yo_span app, room, id, reason, prefix, key;
    uint64_t session;
    struct yo_blob *payload; /* SET (NULL: take it away), GET; or NULL */
    bool conditional;        /* SET: only if its version is `expected` */
    uint64_t expected, version;
    bool by_network;
    struct yo_network network;
    uint32_t at, stops; /* visits made, and to make */
    bool visited;       /* some worker was there */
    size_t cursor;      /* ROOMS: where the walk at this stop goes on */
    bool again;         /* it does, in another turn */
    bool keeps;         /* bans were changed: at the end they are written */
    int error;          /* what came of it */
    uint32_t first;     /* the worker of the first stop */

    uint64_t count;
    struct yomo_listing page;

    struct yo_act_end end; /* set before yo_act_send */
    uint8_t text[];
};

/* YOMO_ERR_INVALID (`after`), YOMO_ERR_NOMEM. Thread: any. */
int yo_act_create(struct yo_act **out, struct yomo_server *server,
                  const struct yo_act_wish *wish);
void yo_act_free(struct yo_act *act); /* one that was not sent */
void yo_act_send(struct yo_act *act); /* given away. Thread: any */

/* Its bans were written, or not. Given away. Thread: any (bans_writer.c). */
void yo_act_kept(struct yo_act *act, int error);

/* What <yomo/admin.h> says, with another end (admin.c). Names are checked; NULL is one
 * that was not given. Thread: any. */
int yo_admin_kick(yomo_server *server, const char *app, const char *room,
                  const char *id, uint64_t session, const char *reason,
                  const struct yo_act_end *end);
int yo_admin_ban(yomo_server *server, const char *app, const char *room, const char *id,
                 const char *address, uint64_t ms, const char *reason,
                 const struct yo_act_end *end);
int yo_admin_unban(yomo_server *server, const char *app, const char *room,
                   const char *id, const char *address, const struct yo_act_end *end);
int yo_admin_close_room(yomo_server *server, const char *app, const char *room,
                        const char *reason, const struct yo_act_end *end);
int yo_admin_list_rooms(yomo_server *server, const char *app, const char *prefix,
                        const char *after, uint32_t max, const struct yo_act_end *end);
int yo_admin_list_members(yomo_server *server, const char *app, const char *room,
                          const char *after, uint32_t max,
                          const struct yo_act_end *end);

/* Those that `sees` lets see; NULL: all. The page is lent for the call. */
int yo_admin_list_apps(yomo_server *server, const char *prefix, const char *after,
                       uint32_t max, const struct yo_act_end *end);

/* What <yomo/host.h> says (host.c), the same way; `data` absent: take it away. */
int yo_host_set_value(yomo_server *server, const char *app, const char *room,
                      const char *from, const char *key, struct yo_span data,
                      int32_t encoding, bool conditional, uint64_t version,
                      const struct yo_act_end *end);
int yo_host_get_value(yomo_server *server, const char *app, const char *room,
                      const char *key, const struct yo_act_end *end);
/* What GET found: JSON text or bytes, lent by the act or by `scratch`. YOMO_ERR_NOMEM. */
int yo_act_content(const struct yo_act *act, struct yo_buf *scratch,
                   struct yo_span *data, bool *bytes);

/* YOMO_OK while it serves or drains, else YOMO_ERR_STATE (admin.c). */
int yo_server_serving(struct yomo_server *server);

/* What is done on one worker (operate.c). Thread: the worker's. */
void yo_operate(struct yo_act *act, struct yo_worker *worker, yo_time now);

#endif
