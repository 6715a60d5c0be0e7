/* SPDX-License-Identifier: MIT */
/* house.h - the sessions of one loop: a client's, or those of a server's worker.
 *
 * The owner embeds a house; the sessions know it. It keeps the list of them, begins a
 * client's, and tells the end of those that have no engine to tell it. Thread: the
 * loop's, but where it says otherwise. */
#ifndef YO_SESSIONS_HOUSE_H
#define YO_SESSIONS_HOUSE_H

#include "sessions/handle.h"

struct yo_house_ops {
    /* A client's: reach the server for session->request. YOMO_ERR_...: it could not be
     * begun. NULL where no session begins this way. */
    int (*reach)(void *user, struct yomo_wt_session *session, yo_time now);
    /* A session is over, and on_closed has returned. */
    void (*forgotten)(void *user, struct yomo_wt_session *session);
};

struct yo_house {
    const struct yo_house_ops *ops;
    void *user;
    struct yo_hub *hub; /* a reference */
    struct yo_loop *loop;
    struct yo_link sessions; /* all that are not over */
    struct yo_link dead;     /* those that are to be told so */
    struct yo_task task;
    size_t count;
    bool closed; /* nothing begins any more */
};

/* `loop` may come later, as long as nothing begins. YOMO_ERR_NOMEM, YOMO_ERR_SYSTEM. */
int yo_house_init(struct yo_house *house, const struct yomo_mem *mem,
                  const struct yo_house_ops *ops, void *user);
void yo_house_open(struct yo_house *house, struct yo_loop *loop,
                   struct yo_mailbox *box);   /* once; see yo_hub_begin */
void yo_house_finish(struct yo_house *house); /* empty; accepts zeroed memory */

/* One more. Its `house` was set when it was made. */
void yo_house_add(struct yo_house *house, struct yomo_wt_session *session);
void yo_house_begin(struct yo_house *house, struct yomo_wt_session *session,
                    yo_time now);
/* Once more, for one that has begun. */
void yo_house_retry(struct yo_house *house, struct yomo_wt_session *session,
                    yo_time now);
void yo_house_forget(struct yo_house *house, struct yomo_wt_session *session);

/* Nobody has answered and nobody is asked any more. */
void yo_house_give_up(struct yo_house *house, struct yomo_wt_session *session);

/* It is over, with `error` and a static text, or NULL: told at the end of the turn. */
void yo_house_bury(struct yo_house *house, struct yomo_wt_session *session, int error,
                   const char *text);
/* The loop is about to be closed, or there never was one: what has not begun ends now,
 * and calls do nothing from here on. */
void yo_house_close(struct yo_house *house, yo_time now);

void yo_house_drain_all(struct yo_house *house);
void yo_house_close_all(struct yo_house *house, uint32_t code, struct yo_span reason);
void yo_house_abort_all(struct yo_house *house);

#endif
