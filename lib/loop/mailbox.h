/* SPDX-License-Identifier: MIT */
/* mailbox.h - letters from any thread to one loop.
 *
 * Letters of one sender arrive in the order in which they were posted. Posting takes a
 * short lock and, when the loop may be asleep, wakes it once for many letters. A letter
 * posted from the loop's own thread is handled in the same or the next turn, without a
 * system call. The box is bounded by its senders: each kind of letter has its own limit
 * above this layer. */
#ifndef YO_LOOP_MAILBOX_H
#define YO_LOOP_MAILBOX_H

#include "base/list.h"
#include "loop/loop.h"

struct yo_mailbox;

/* The first member of whatever is posted. The poster gives the letter away; `open`, on
 * the loop's thread, must free it or keep it. */
struct yo_letter {
    struct yo_link link;
    void (*open)(struct yo_letter *letter, void *box_user, yo_time now);
    /* Instead of `open` when the box was closed: free only. Runs on the thread that
     * found out. */
    void (*discard)(struct yo_letter *letter);
};

/* YOMO_ERR_NOMEM, YOMO_ERR_SYSTEM. */
int yo_mailbox_open(struct yo_mailbox **out, struct yo_loop *loop, void *box_user);

/* Thread: any. Never fails: a closed box discards. */
void yo_mailbox_post(struct yo_mailbox *box, struct yo_letter *letter);

/* Post a whole list at once, in its order; `letters` is then empty. Thread: any. */
void yo_mailbox_post_list(struct yo_mailbox *box, struct yo_link *letters);

/* Letters waiting are discarded, as are later ones. Thread: the loop's. The struct stays
 * until the last reference is dropped, so that late posters are safe. */
void yo_mailbox_close(struct yo_mailbox *box);

struct yo_mailbox *yo_mailbox_ref(struct yo_mailbox *box);
void yo_mailbox_unref(struct yo_mailbox *box); /* the opener has one reference */

#endif
