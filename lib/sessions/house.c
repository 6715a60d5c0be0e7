/* SPDX-License-Identifier: MIT */
/* house.c - invariants:
 *  1. a session that is not over is in `sessions` or in `dead`, once it has begun;
 *  2. what is in `dead` has no engine and no reach, and the task is deferred. */
#include "sessions/house.h"

#include <assert.h>

#include "sessions/reach.h"
#include "sessions/request.h"

static struct yomo_wt_session *session_of(struct yo_link *link)
{
    return YO_CONTAINER(link, struct yomo_wt_session, in_house);
}

static void tell_dead(struct yo_house *house, yo_time now)
{
    while (!yo_list_empty(&house->dead)) {
        struct yomo_wt_session *session = session_of(house->dead.next);
        const struct yo_wt_end end = {.error = session->why,
                                      .text = yo_span_of(session->why_text)};
        yo_session_over(session, &end, now); /* takes it out of the list */
    }
}

static void on_task(struct yo_task *task, yo_time now)
{
    tell_dead(YO_CONTAINER(task, struct yo_house, task), now);
}

int yo_house_init(struct yo_house *house, const struct yomo_mem *mem,
                  const struct yo_house_ops *ops, void *user)
{
    *house = (struct yo_house){.ops = ops, .user = user};
    yo_list_init(&house->sessions);
    yo_list_init(&house->dead);
    yo_task_init(&house->task, on_task);
    return yo_hub_create(&house->hub, mem);
}

void yo_house_open(struct yo_house *house, struct yo_loop *loop, struct yo_mailbox *box)
{
    house->loop = loop;
    yo_hub_begin(house->hub, loop, box);
}

void yo_house_close(struct yo_house *house, yo_time now)
{
    house->closed = true;
    yo_hub_close(house->hub);
    house->loop = NULL;
    yo_task_cancel(&house->task);
    tell_dead(house, now);
    assert(house->count == 0);
}

void yo_house_finish(struct yo_house *house)
{
    if (house->hub) {
        assert(house->count == 0);
        yo_task_cancel(&house->task);
        yo_hub_unref(house->hub);
        house->hub = NULL;
    }
}

void yo_house_add(struct yo_house *house, struct yomo_wt_session *session)
{
    yo_list_push_back(&house->sessions, &session->in_house);
    house->count++;
}

void yo_house_begin(struct yo_house *house, struct yomo_wt_session *session,
                    yo_time now)
{
    yo_house_add(house, session);
    yo_house_retry(house, session, now);
}

void yo_house_retry(struct yo_house *house, struct yomo_wt_session *session,
                    yo_time now)
{
    int rv =
        house->closed ? YOMO_ERR_CLOSED : house->ops->reach(house->user, session, now);
    if (rv != YOMO_OK) {
        yo_house_bury(house, session, rv, NULL);
    }
}

void yo_house_forget(struct yo_house *house, struct yomo_wt_session *session)
{
    yo_list_remove(&session->in_house);
    house->count--;
    yomo_wt_request_free(session->request);
    session->request = NULL;
    house->ops->forgotten(house->user, session);
}

void yo_house_give_up(struct yo_house *house, struct yomo_wt_session *session)
{
    if (session->engine) { /* which tells the end */
        yo_wt_session_close(session->engine, 0, YO_SPAN_NONE);
        return;
    }
    if (session->reach) {
        yo_reach_cancel(session->reach);
        session->reach = NULL;
    }
    yo_house_bury(house, session, YOMO_ERR_CLOSED, NULL);
}

void yo_house_bury(struct yo_house *house, struct yomo_wt_session *session, int error,
                   const char *text)
{
    if (session->why != YOMO_OK) {
        return; /* it is dead already */
    }
    session->why = error;
    session->why_text = text;
    yo_list_remove(&session->in_house);
    yo_list_push_back(&house->dead, &session->in_house);
    if (house->loop) {
        yo_loop_defer(house->loop, &house->task);
    }
}

void yo_house_drain_all(struct yo_house *house)
{
    YO_LIST_EACH(link, next, &house->sessions)
    {
        struct yomo_wt_session *session = session_of(link);
        if (session->engine) {
            (void)yo_wt_session_drain(session->engine);
        }
    }
}

void yo_house_close_all(struct yo_house *house, uint32_t code, struct yo_span reason)
{
    YO_LIST_EACH(link, next, &house->sessions)
    {
        yo_session_close(session_of(link), code, reason);
    }
}

void yo_house_abort_all(struct yo_house *house)
{
    YO_LIST_EACH(link, next, &house->sessions)
    {
        struct yomo_wt_session *session = session_of(link);
        if (session->engine) {
            yo_wt_session_abort(session->engine);
        } else {
            yo_house_give_up(house, session);
        }
    }
}
