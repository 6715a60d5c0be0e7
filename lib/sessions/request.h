/* SPDX-License-Identifier: MIT */
/* request.h - a CONNECT that is not answered yet: one that a client makes, or one that
 * a server got. */
#ifndef YO_SESSIONS_REQUEST_H
#define YO_SESSIONS_REQUEST_H

#include "sessions/house.h"
#include "transport/webtransport/subprotocol.h"

#define YO_REQUEST_FIELDS_MAX 16384 /* bytes of headers set, RFC 9114 4.2.2's way */
#define YO_REQUEST_FIELDS_COUNT 20
#define YO_REQUEST_OFFERS_MAX YO_SUBPROTOCOLS_MAX

/* Whoever has a server's request. Called on the loop's thread, one of the two, once. */
struct yo_request_ops {
    /* NULL: the client has gone, or memory is short. */
    struct yo_wt_session *(*accept)(void *user, const struct yo_response *response);
    void (*refuse)(void *user, const struct yo_response *response);
};

struct yomo_wt_request {
    struct yomo_mem mem;
    atomic_uint refs; /* the program's, and a server's while it is not answered */
    struct yo_session_fields came, sent, offers; /* offers: names without values */
    size_t sent_size;

    /* A client's. */
    char *host, *path; /* the path with its query */
    uint16_t port;
    bool share;

    /* A server's. */
    struct yo_house *house;
    struct yo_hub *hub; /* a reference; NULL: a client's */
    const struct yo_request_ops *ops;
    void *user;
    char *authority, *query, *origin, *address;
    bool gone; /* with the hub's lock: it cannot be answered any more */
    /* An answer from another thread. */
    struct yo_slip slip;
    int status; /* 200: accept */
    int yes;    /* the status of that; 0: 200 */
    char *protocol;
    struct yomo_wt_session *session;
};

/* A client's offers as a list of webtransport/subprotocol.h. YOMO_ERR_NOMEM. */
int yo_request_list_offers(const struct yomo_wt_request *request, struct yo_buf *list);

/* A server's. It has two references: the program's and the caller's. YOMO_ERR_NOMEM. */
int yo_request_create(struct yomo_wt_request **out, struct yo_house *house,
                      const struct yo_request *request,
                      const struct yo_request_ops *ops, void *user);

/* It was answered, or the client has gone: `ops` is not called any more, and the
 * caller's reference is given back. Thread: the loop's. */
void yo_request_done(struct yomo_wt_request *request);

#endif
