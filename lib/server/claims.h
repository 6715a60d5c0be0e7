/* SPDX-License-Identifier: MIT */
/* claims.h - paths that the host has claimed: WebTransport sessions that are its own
 * (webtransport.h), and no rooms. */
#ifndef YO_SERVER_CLAIMS_H
#define YO_SERVER_CLAIMS_H

#include <yomo/webtransport.h>

#include "base/list.h"
#include "sessions/house.h"
#include "transport/listen.h"

struct yo_worker;
struct yo_claim;

extern const struct yo_house_ops yo_claims_house_ops; /* user: the worker */

/* Whose is a request for `path`? NULL: nobody's. Thread: any, while it listens. */
const struct yo_claim *yo_claims_find(const yomo_server *server, struct yo_span path);

void yo_claims_free(yomo_server *server); /* the server's end */

/* Hand a request up; it was looked at by the door. Thread, from here on: the worker's.
 */
void yo_claims_take(struct yo_worker *worker, const struct yo_claim *claim,
                    struct yo_incoming *incoming, const struct yo_request *request);

/* The worker ends: requests that wait are refused, sessions are told, ended, or lost.
 */
void yo_claims_refuse_waiting(struct yo_worker *worker);
void yo_claims_drain(struct yo_worker *worker);
void yo_claims_close(struct yo_worker *worker);
void yo_claims_abort(struct yo_worker *worker);
bool yo_claims_empty(const struct yo_worker *worker); /* no sessions */

#endif
