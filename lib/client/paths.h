/* SPDX-License-Identifier: MIT */
/* paths.h - when to leave the way that the connection has taken, and for which.
 *
 * Two reasons. WebTransport has stalled: something was asked and is not answered, or
 * what was sent is not acknowledged, for longer than the path explains; then WebSocket
 * is dialled, and the session moves there unless an answer comes first. Or WebTransport
 * did not get through, and may do so now: then it is tried from time to time, with
 * growing pauses, when nothing is being joined or left. */
#ifndef YO_CLIENT_PATHS_H
#define YO_CLIENT_PATHS_H

#include <stdbool.h>
#include <stddef.h>
#include <yomo/types.h>

#include "base/rand.h"
#include "base/time.h"

struct yomo_client;

struct yo_paths {
    yo_time asked_at;     /* the oldest ping without an answer; YO_NEVER: none */
    yo_time progress_at;  /* when acknowledgements last made a difference */
    size_t queued;        /* what was not acknowledged then */
    yo_time try_at;       /* WebTransport again; YO_NEVER: not */
    yo_time pause;        /* before the next try but one */
    yo_time escape_after; /* no other attempt to leave a stalled path before */
    yo_time stood_since;  /* since when the connection takes this way */
    bool stalled;         /* the move that is under way was begun because of it */
    struct yo_rand rand;
};

void yo_paths_init(struct yomo_client *client);
/* A connection stands, as the race decided. */
void yo_paths_begin(struct yomo_client *client, yo_time now);
void yo_paths_end(struct yomo_client *client);
void yo_paths_asked(struct yomo_client *client, yo_time now); /* a ping went out */
void yo_paths_answered(struct yomo_client *client, yo_time now);
void yo_paths_moved(struct yomo_client *client, yo_time now);
void yo_paths_failed(struct yomo_client *client, enum yomo_transport_kind kind,
                     yo_time now);
/* The network is another: what was learnt about it is void. */
void yo_paths_changed(struct yomo_client *client, yo_time now);
void yo_paths_turn(struct yomo_client *client, yo_time now);
yo_time yo_paths_deadline(const struct yomo_client *client);

#endif
