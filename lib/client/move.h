/* SPDX-License-Identifier: MIT */
/* move.h - from one connection to another without leaving a room. */
#ifndef YO_CLIENT_MOVE_H
#define YO_CLIENT_MOVE_H

#include <stdbool.h>
#include <stddef.h>
#include <yomo/types.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/time.h"

struct yomo_client;
struct yo_conn;

enum yo_move_step {
    YO_MOVE_NONE,
    YO_MOVE_DIALLING,
    YO_MOVE_GREETING, /* hello is to come */
    YO_MOVE_ASKED     /* the server was asked for the session */
};

enum yo_fence { /* on an old connection over TCP */
                YO_FENCE_NONE,
                YO_FENCE_DUE,
                YO_FENCE_SENT,
                YO_FENCE_CAME /* the server's: nothing more comes there */
};

struct yo_move {
    enum yo_move_step step;
    enum yomo_transport_kind kind;
    struct yo_conn *conn; /* the new one */
    yo_time give_up_at;
    enum yo_fence fence;
    bool ready, failed;
    struct yo_link held, back, taken;
    size_t held_bytes;
    uint64_t control_came; /* messages on the new one's control lane */
    uint64_t came;         /* and on the old one's */
    uint64_t again, control_taken;
    struct yo_buf token;
    size_t old; /* connections that were let go and have not closed yet */
};

void yo_move_init(struct yomo_client *client);
void yo_move_finish(struct yomo_client *client);
bool yo_move_idle(const struct yomo_client *client); /* nothing of it is in the loop */

/* Does the connection that stands allow one, and is none under way? */
bool yo_move_possible(const struct yomo_client *client);
/* Dial `kind`; once it is greeted the session moves there. yo_paths_failed or
 * yo_paths_moved follows, or the connection is lost. */
void yo_move_begin(struct yomo_client *client, enum yomo_transport_kind kind,
                   yo_time now);
/* Give it up. Before ASKED nothing has happened to the connection that stands. */
void yo_move_stop(struct yomo_client *client);
bool yo_move_asked(const struct yomo_client *client); /* nothing is to be sent */
void yo_move_fence_came(struct yomo_client *client);
/* After a move, before all else: what the server does not have. False: not all yet. */
bool yo_move_resend(struct yomo_client *client);
void yo_move_turn(struct yomo_client *client, yo_time now);
yo_time yo_move_deadline(const struct yomo_client *client);

#endif
