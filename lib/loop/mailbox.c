/* SPDX-License-Identifier: MIT */
/* mailbox.c - invariants, under `lock`:
 *  1. while `letters` is not empty and the box open, somebody will come for them:
 * either `woken` (libuv's async was sent) or `task` is deferred (set by the loop's
 * thread);
 *  2. once `closed`, `letters` is empty and `wake` is never sent again. */
#include "loop/mailbox.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <yomo/error.h>

#include "loop/inside.h"

struct yo_mailbox {
    const struct yomo_mem *mem;
    struct yo_loop *loop;
    void *user;
    atomic_uint refs;
    uv_async_t wake;
    struct yo_task task;
    pthread_mutex_t lock;
    struct yo_link letters;
    bool woken, closed;
};

static void discard_all(struct yo_link *letters)
{
    struct yo_link *link;
    while ((link = yo_list_pop_front(letters)) != NULL) {
        struct yo_letter *letter = YO_CONTAINER(link, struct yo_letter, link);
        letter->discard(letter);
    }
}

static void collect(struct yo_mailbox *box, yo_time now)
{
    struct yo_link due;
    yo_list_init(&due);
    pthread_mutex_lock(&box->lock);
    yo_list_splice(&due, &box->letters);
    box->woken = false;
    pthread_mutex_unlock(&box->lock);

    struct yo_link *link;
    yo_mailbox_ref(box);
    /* `closed` is written by this thread only, so it may be read without the lock. */
    while (!box->closed && (link = yo_list_pop_front(&due)) != NULL) {
        struct yo_letter *letter = YO_CONTAINER(link, struct yo_letter, link);
        letter->open(letter, box->user, now);
    }
    discard_all(&due);
    yo_mailbox_unref(box);
}

static void on_wake(uv_async_t *wake)
{
    struct yo_mailbox *box = wake->data;
    collect(box, yo_loop_enter(box->loop));
}

static void on_task(struct yo_task *task, yo_time now)
{
    collect(YO_CONTAINER(task, struct yo_mailbox, task), now);
}

int yo_mailbox_open(struct yo_mailbox **out, struct yo_loop *loop, void *box_user)
{
    struct yo_mailbox *box = yo_calloc(loop->mem, 1, sizeof(*box));
    if (!box) {
        return YOMO_ERR_NOMEM;
    }
    box->mem = loop->mem;
    box->loop = loop;
    box->user = box_user;
    if (pthread_mutex_init(&box->lock, NULL) != 0) {
        yo_free(box->mem, box);
        return YOMO_ERR_SYSTEM;
    }
    if (uv_async_init(loop->uv, &box->wake, on_wake) != 0) {
        pthread_mutex_destroy(&box->lock);
        yo_free(box->mem, box);
        return YOMO_ERR_SYSTEM;
    }
    atomic_init(&box->refs, 2); /* the opener's, and libuv's until it has let go */
    box->wake.data = box;
    yo_task_init(&box->task, on_task);
    yo_list_init(&box->letters);
    yo_loop_hold(loop);
    yo_loop_touch(loop);
    *out = box;
    return YOMO_OK;
}

void yo_mailbox_post_list(struct yo_mailbox *box, struct yo_link *letters)
{
    if (yo_list_empty(letters)) {
        return;
    }
    bool at_home = yo_loop_inside(box->loop);
    pthread_mutex_lock(&box->lock);
    bool closed = box->closed;
    if (!closed) {
        yo_list_splice(&box->letters, letters);
        if (at_home) {
            yo_loop_defer(box->loop, &box->task);
        } else if (!box->woken) {
            box->woken = true;
            uv_async_send(&box->wake); /* in the lock, so that `wake` is still open */
        }
    }
    pthread_mutex_unlock(&box->lock);
    if (closed) {
        discard_all(letters);
    }
}

void yo_mailbox_post(struct yo_mailbox *box, struct yo_letter *letter)
{
    struct yo_link letters;
    yo_list_init(&letters);
    yo_list_push_back(&letters, &letter->link);
    yo_mailbox_post_list(box, &letters);
}

static void on_wake_closed(uv_handle_t *handle)
{
    struct yo_mailbox *box = handle->data;
    struct yo_loop *loop = box->loop;
    yo_mailbox_unref(box);
    yo_loop_drop(loop);
}

void yo_mailbox_close(struct yo_mailbox *box)
{
    struct yo_link rest;
    yo_list_init(&rest);
    pthread_mutex_lock(&box->lock);
    assert(!box->closed);
    box->closed = true;
    yo_list_splice(&rest, &box->letters);
    pthread_mutex_unlock(&box->lock);
    yo_task_cancel(&box->task);
    uv_close((uv_handle_t *)&box->wake, on_wake_closed);
    discard_all(&rest);
}

struct yo_mailbox *yo_mailbox_ref(struct yo_mailbox *box)
{
    atomic_fetch_add_explicit(&box->refs, 1, memory_order_relaxed);
    return box;
}

void yo_mailbox_unref(struct yo_mailbox *box)
{
    if (!box || atomic_fetch_sub_explicit(&box->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    pthread_mutex_destroy(&box->lock);
    yo_free(box->mem, box);
}
