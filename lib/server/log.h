/* SPDX-License-Identifier: MIT */
/* log.h - what lines of a server's log are about (docs/operating.md has the fields).
 * Each adds to `fields`, which it returns; what is lent must stay until the line is
 * written. */
#ifndef YO_SERVER_LOG_H
#define YO_SERVER_LOG_H

#include "base/log.h"
#include "server/peer.h"

struct yomo_auth;

const char *yo_transport_name(int32_t transport); /* or NULL */

/* A connection that was let in; one that asks to be. */
struct yo_log_fields *yo_log_peer(struct yo_log_fields *fields,
                                  const struct yo_peer *peer);
struct yo_log_fields *yo_log_auth(struct yo_log_fields *fields,
                                  const struct yomo_auth *auth);

/* Its end. */
struct yo_log_fields *yo_log_close(struct yo_log_fields *fields, uint32_t code,
                                   int error);

/* Fields to begin with, in a call. */
#define YO_LOG_PEER(peer) yo_log_peer(YO_LOG_NONE, peer)
#define YO_LOG_SEAT(peer, room) yo_log_text(YO_LOG_PEER(peer), "room", room)
#define YO_LOG_ADDRESS(span) yo_log_text(YO_LOG_NONE, "address", span)

#endif
