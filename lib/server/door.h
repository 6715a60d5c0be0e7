/* SPDX-License-Identifier: MIT */
/* door.h - who may come in: path, origin, limits, application, the host's hook.
 *
 * A refusal is said so that the client understands it. A wrong path is HTTP 404, a full
 * or ending server 503: come back. What is final (no such key, origin, the hook's no)
 * is let in and closed at once with a code that browsers take for final, since a page
 * sees no HTTP status and would try for ever. */
#ifndef YO_SERVER_DOOR_H
#define YO_SERVER_DOOR_H

#include <yomo/server.h>

#include "base/list.h"
#include "server/letters.h"
#include "transport/listen.h"

struct yo_worker;

/* A connection that asks to come in, while the host thinks about it. It belongs to the
 * host from the hook until the answer, and to the worker before and after. */
struct yomo_auth {
    struct yo_letter answer;
    yomo_server *server; /* a reference */
    struct yo_worker *worker;
    struct yo_link link;          /* in worker->waiting, while the client is there */
    struct yo_incoming *incoming; /* NULL: gone, or a carrier */
    struct yo_conn *conn;         /* a carrier's, held; NULL: gone, or an incoming */
    enum yomo_transport_kind transport;
    bool extension;
    bool refused; /* a carrier that is being closed */
    bool proven;  /* the token or the host gave it its id */
    struct yo_grants *grants; /* of its token; NULL: no tokens here */
    struct yo_blob *data;     /* by the host: what is told of it; NULL: the token's */
    const char *why;          /* static: more about an error, for the log */
    const char *told;         /* static: the same for the client; NULL: nothing more */
    int error;    /* the answer */
    char *id, *app, *public_key, *token, *origin;
    char address[64];
};

/* A request came to a worker's listener, or went away. */
void yo_door_knock(struct yo_worker *worker, struct yo_incoming *incoming,
                   const struct yo_request *request, yo_time now);
void yo_door_gone(struct yo_worker *worker, struct yo_incoming *incoming);

/* A request, taken apart and not yet asked about: the part of it that does not depend
 * on the worker. YOMO_ERR_AUTH (no such key, or no good token), YOMO_ERR_INVALID (an id
 * that is none), YOMO_ERR_NOMEM; `why` is then a static sentence. Thread: any. */
int yo_auth_create(struct yomo_auth **out, yomo_server *server, struct yo_span query,
                   struct yo_span origin, struct yo_span address,
                   enum yomo_transport_kind transport, const char **why);
void yo_auth_free(struct yomo_auth *auth);

/* Ask the host, if it wants to be asked, and let in or refuse. `auth` has its incoming
 * or conn; it is given away. */
void yo_door_ask(struct yo_worker *worker, struct yomo_auth *auth, yo_time now);

/* auth->error says why; `auth` is given away. */
void yo_door_refuse(struct yo_worker *worker, struct yomo_auth *auth, yo_time now);

/* The worker ends: nobody who waits is let in any more. */
void yo_door_refuse_waiting(struct yo_worker *worker);

/* The close code that tells `error`. */
uint32_t yo_door_code(int error);

/* Events of a carrier's connection while it waits. */
extern const struct yo_conn_events yo_door_waiting_events;

#endif
