/* SPDX-License-Identifier: MIT */
/* hub.c - invariants, under `lock`:
 *  1. while `due` is not empty and the hub has a box, the letter is under way;
 *  2. once `closed`, `due` is empty and nothing is put into it. */
#include "sessions/hub.h"

#include <assert.h>
#include <yomo/error.h>

int yo_hub_create(struct yo_hub **out, const struct yomo_mem *mem)
{
    struct yo_hub *hub = yo_calloc(mem, 1, sizeof(*hub));
    if (!hub) {
        return YOMO_ERR_NOMEM;
    }
    hub->mem = *mem;
    if (pthread_mutex_init(&hub->lock, NULL) != 0) {
        yo_free(mem, hub);
        return YOMO_ERR_SYSTEM;
    }
    atomic_init(&hub->refs, 1);
    yo_list_init(&hub->due);
    yo_list_init(&hub->letter.link);
    *out = hub;
    return YOMO_OK;
}

struct yo_hub *yo_hub_ref(struct yo_hub *hub)
{
    atomic_fetch_add_explicit(&hub->refs, 1, memory_order_relaxed);
    return hub;
}

void yo_hub_unref(struct yo_hub *hub)
{
    if (!hub || atomic_fetch_sub_explicit(&hub->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    struct yomo_mem mem = hub->mem;
    assert(yo_list_empty(&hub->due));
    yo_mailbox_unref(hub->box); /* it was never closed */
    pthread_mutex_destroy(&hub->lock);
    yo_free(&mem, hub);
}

static void open_letter(struct yo_letter *letter, void *box_user, yo_time now)
{
    struct yo_hub *hub = YO_CONTAINER(letter, struct yo_hub, letter);
    (void)box_user;
    pthread_mutex_lock(&hub->lock);
    hub->called = false;
    pthread_mutex_unlock(&hub->lock);
    yo_hub_run(hub, now);
    yo_hub_unref(hub);
}

/* The box is closed, and so will the hub be: nothing is due any more. */
static void discard_letter(struct yo_letter *letter)
{
    yo_hub_unref(YO_CONTAINER(letter, struct yo_hub, letter));
}

/* With the lock. */
static void call(struct yo_hub *hub)
{
    if (!hub->box || hub->called) {
        return;
    }
    hub->called = true;
    hub->letter.open = open_letter;
    hub->letter.discard = discard_letter;
    yo_hub_ref(hub);
    yo_mailbox_post(hub->box, &hub->letter); /* which has a lock of its own, inside */
}

void yo_hub_begin(struct yo_hub *hub, struct yo_loop *loop, struct yo_mailbox *box)
{
    pthread_mutex_lock(&hub->lock);
    assert(!hub->box && !hub->closed);
    hub->loop = loop;
    hub->box = yo_mailbox_ref(box);
    if (!yo_list_empty(&hub->due)) {
        call(hub);
    }
    pthread_mutex_unlock(&hub->lock);
}

void yo_hub_close(struct yo_hub *hub)
{
    struct yo_link rest, *link;
    yo_list_init(&rest);
    pthread_mutex_lock(&hub->lock);
    struct yo_mailbox *box = hub->box;
    hub->closed = true;
    hub->loop = NULL;
    hub->box = NULL;
    yo_list_splice(&rest, &hub->due);
    pthread_mutex_unlock(&hub->lock);
    yo_mailbox_unref(box); /* its memory goes with the loop's owner */
    while ((link = yo_list_pop_front(&rest)) != NULL) {
        struct yo_slip *slip = YO_CONTAINER(link, struct yo_slip, link);
        slip->run(slip, 0); /* its handle is over: it only gives the reference back */
    }
}

void yo_hub_lock(struct yo_hub *hub)
{
    pthread_mutex_lock(&hub->lock);
}

bool yo_hub_enter(struct yo_hub *hub)
{
    pthread_mutex_lock(&hub->lock);
    if (!hub->loop || !yo_loop_inside(hub->loop)) {
        return false;
    }
    if (!yo_list_empty(&hub->due)) {
        yo_time now = yo_loop_now(hub->loop);
        pthread_mutex_unlock(&hub->lock);
        yo_hub_run(hub, now);
        pthread_mutex_lock(&hub->lock);
    }
    return true;
}

void yo_hub_leave(struct yo_hub *hub)
{
    pthread_mutex_unlock(&hub->lock);
}

bool yo_hub_post(struct yo_hub *hub, struct yo_slip *slip)
{
    if (hub->closed || !yo_list_empty(&slip->link)) {
        return false;
    }
    yo_list_push_back(&hub->due, &slip->link);
    call(hub);
    return true;
}

bool yo_hub_post_last(struct yo_hub *hub, struct yo_slip *slip)
{
    bool was_in = !yo_list_empty(&slip->link);
    yo_list_remove(&slip->link);
    if (hub->closed) { /* its run takes the slip off */
        return false;
    }
    return yo_hub_post(hub, slip) && !was_in;
}

/* Only what is there now, so that threads that never rest do not keep the loop here. */
void yo_hub_run(struct yo_hub *hub, yo_time now)
{
    struct yo_link due, *link;
    yo_list_init(&due);
    pthread_mutex_lock(&hub->lock);
    yo_list_splice(&due, &hub->due);
    while ((link = yo_list_pop_front(&due)) != NULL) {
        struct yo_slip *slip = YO_CONTAINER(link, struct yo_slip, link);
        pthread_mutex_unlock(&hub->lock);
        slip->run(slip, now);
        pthread_mutex_lock(&hub->lock);
    }
    pthread_mutex_unlock(&hub->lock);
}
