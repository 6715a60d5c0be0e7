/* SPDX-License-Identifier: MIT */
/* bans_writer.h - the file of bans is written by a thread of its own, so that no worker
 * waits for a disk; who wants to know that something is on the disk waits there.
 *
 * One write serves all that wait when it begins. A write that fails is told to those who
 * wait, and tried again every few seconds until it works. */
#ifndef YO_SERVER_BANS_WRITER_H
#define YO_SERVER_BANS_WRITER_H

#include "server/act.h"

struct yo_bans_writer; /* opaque */

/* The thread runs until yo_bans_writer_close. YOMO_ERR_NOMEM, YOMO_ERR_SYSTEM. */
int yo_bans_writer_create(struct yo_bans_writer **out, struct yomo_server *server);

/* `act`, which is given away, goes on (yo_act_kept) when all bans of now are on the disk,
 * or with an error. Thread: any. */
void yo_bans_writer_keep(struct yo_bans_writer *writer, struct yo_act *act);

/* The same, and nobody waits. Thread: any. */
void yo_bans_writer_touch(struct yo_bans_writer *writer);

bool yo_bans_writer_failing(const struct yo_bans_writer *writer); /* Thread: any */

/* Write what waits, and end; asked later, it does nothing and says YOMO_ERR_STATE. Not on
 * its own thread. Both accept NULL. */
void yo_bans_writer_close(struct yo_bans_writer *writer);
void yo_bans_writer_free(struct yo_bans_writer *writer);

#endif
