/* SPDX-License-Identifier: MIT */
/* echo_session.h - a WebTransport session whose client gets everything back: datagrams
 * as datagrams, a bidirectional stream on itself, a unidirectional one on a new one.
 * FIN, a reset and a stop go back too, with the client's code. */
#ifndef YO_SERVER_ECHO_SESSION_H
#define YO_SERVER_ECHO_SESSION_H

#include "server/metrics.h"
#include "transport/webtransport/session.h"

/* What is held for one client until it takes it; more than that stays with the
 * transport, which holds the client back. */
#define YO_ECHO_STREAM_ROOM 65536
#define YO_ECHO_SESSION_ROOM 262144
#define YO_ECHO_STREAM_SHARE 4096 /* each stream's, even when the session has no room \
                                   */
#define YO_ECHO_DATAGRAM_ROOM 65536

struct yo_echo_session;

/* `on_end` comes exactly once after _start, last. YOMO_ERR_NOMEM. */
int yo_echo_session_create(struct yo_echo_session **out, const struct yomo_mem *mem,
                           struct yo_metrics *metrics, void (*on_end)(void *user),
                           void *user);

/* `session` has just been accepted; it is listened to from here on. NULL: it has not,
 * and the echo is freed without a word. */
void yo_echo_session_start(struct yo_echo_session *echo, struct yo_wt_session *session);

#endif
