/* SPDX-License-Identifier: MIT */
/* drain.c - how a worker ends.
 *
 * The happy path: the doors close for new connections; each client gets a moment of its
 * own, evenly over a part of the grace time, so that they do not all knock at one other
 * door at once. Clients of the extension are told theirs (goaway) and leave by themselves;
 * one that still stands a while after it, in which it could connect elsewhere, is closed.
 * presencejs pages, which cannot be told, are closed at their moment. When the last has
 * gone the doors, the mailbox and the loop are closed, and the thread ends.
 *
 * Possible failure modes: a peer does not answer the close. At the end of the grace
 * time everything is closed at once, and CLOSE_TIME after that what is left is aborted.
 */
#include "base/check.h"
#include "server/claims.h"
#include "server/door.h"
#include "server/echo.h"
#include "server/worker.h"

#define STEP_TIME (10 * YO_MS)
#define PACE (2 * YO_MS)          /* between the moments of two clients, at most */
#define PAGES_TIME (250 * YO_MS)  /* from the goaway to the first close of a page */
#define RETURN_TIME (500 * YO_MS) /* for this server to be started anew */
#define LEAVE_TIME (2 * YO_SECOND) /* from a client's moment to its close */
#define CLOSE_TIME (1500 * YO_MS) /* from the close to the abort */

static void on_timer(struct yo_timer *timer, yo_time now);
static void on_finish(struct yo_task *task, yo_time now);

int yo_worker_ready(struct yo_worker *worker)
{
    yo_timer_init(&worker->timer, worker->loop, on_timer);
    yo_task_init(&worker->finish, on_finish);
    return yo_loop_reserve_timer(worker->loop);
}

static void say_goaway(struct yo_worker *worker, struct yo_peer *peer, yo_time after,
                       yo_time now)
{
    if (peer->closing) {
        return;
    }
    yo_effects_clear(&worker->effects);
    if (yo_server_goaway(peer->session, after / YO_MS, worker->config->drain_url,
                         &worker->effects) == YOMO_OK) {
        yo_peer_carry_out(peer, &worker->effects, now);
    }
}

/* The two lists, each in the order of `end_at`, become one. */
static void merge(struct yo_link *out, struct yo_link *a, struct yo_link *b)
{
    while (!yo_list_empty(a) && !yo_list_empty(b)) {
        bool first = YO_CONTAINER(a->next, struct yo_peer, in_worker)->end_at <=
                     YO_CONTAINER(b->next, struct yo_peer, in_worker)->end_at;
        yo_list_push_back(out, yo_list_pop_front(first ? a : b));
    }
    yo_list_splice(out, a);
    yo_list_splice(out, b);
}

/* Give each its moment: all within half of the grace time, and the other half is for the
 * last one to leave. */
static void give_moments(struct yo_worker *worker, yo_time grace, yo_time now)
{
    struct yo_link clients, pages;
    yo_time half = grace / 2, offset = worker->config->drain_url.size > 0 ? 0 : RETURN_TIME;
    yo_time pace, place = 0;
    size_t count = 0;

    offset = yo_time_min(offset, half / 2);
    yo_list_init(&clients);
    yo_list_init(&pages);
    YO_LIST_EACH(link, next, &worker->peers)
    {
        count++;
    }
    pace = count > 0 ? yo_time_min(PACE, (half - offset) / count) : 0;
    YO_LIST_EACH(link, next, &worker->peers)
    {
        struct yo_peer *peer = YO_CONTAINER(link, struct yo_peer, in_worker);
        yo_time moment = place++ * pace;
        yo_list_remove(link);
        if (peer->presencejs) {
            peer->end_at = now + yo_time_min(PAGES_TIME, half / 2) + moment;
            yo_list_push_back(&pages, link);
        } else {
            peer->end_at = now + offset + moment + yo_time_min(LEAVE_TIME, half);
            yo_list_push_back(&clients, link);
            say_goaway(worker, peer, offset + moment, now);
        }
    }
    merge(&worker->due, &clients, &pages);
}

static void next_step(struct yo_worker *worker, yo_time now)
{
    yo_time due = worker->drain_until;

    if (!yo_list_empty(&worker->due)) {
        due = yo_time_min(
            due, YO_CONTAINER(worker->due.next, struct yo_peer, in_worker)->end_at);
        due = due < now + STEP_TIME ? now + STEP_TIME : due;
    }
    (void)yo_timer_set(&worker->timer, yo_time_min(due, worker->drain_until));
}

void yo_worker_drain(struct yo_worker *worker, uint64_t grace_ms, yo_time now)
{
    if (worker->state != YO_WORKER_SERVING) {
        return;
    }
    worker->state = YO_WORKER_DRAINING;
    yo_park_end_all(worker);
    worker->drain_until = yo_time_after(now, grace_ms * YO_MS);
    yo_listener_drain(worker->listener);
    give_moments(worker, worker->drain_until - now, now);
    yo_echo_drain_all(worker);
    yo_claims_drain(worker);
    next_step(worker, now);
    yo_worker_gone(worker);
}

static void end_peer(struct yo_worker *worker, struct yo_peer *peer)
{
    yo_list_remove(&peer->in_worker);
    yo_list_push_back(&worker->peers, &peer->in_worker);
    yo_peer_end(peer, YO_CODE_GOING_AWAY, YOMO_ERR_DRAINING, "going away");
}

/* Those whose time is over. */
static void end_peers(struct yo_worker *worker, yo_time now)
{
    while (!yo_list_empty(&worker->due)) {
        struct yo_peer *peer =
            YO_CONTAINER(worker->due.next, struct yo_peer, in_worker);
        if (peer->end_at > now) {
            break;
        }
        end_peer(worker, peer);
    }
}

static void abort_all(struct yo_worker *worker)
{
    YO_LIST_EACH(link, next, &worker->peers)
    {
        struct yo_peer *peer = YO_CONTAINER(link, struct yo_peer, in_worker);
        if (peer->conn) {
            yo_conn_abort(peer->conn);
        }
    }
}

static void on_timer(struct yo_timer *timer, yo_time now)
{
    struct yo_worker *worker = YO_CONTAINER(timer, struct yo_worker, timer);

    if (worker->state == YO_WORKER_CLOSING) {
        abort_all(worker);
        yo_echo_abort_all(worker);
        yo_claims_abort(worker);
    } else if (now >= worker->drain_until) {
        yo_worker_close(worker, now);
    } else {
        end_peers(worker, now);
        next_step(worker, now);
    }
}

void yo_worker_close(struct yo_worker *worker, yo_time now)
{
    if (worker->state == YO_WORKER_CLOSING) {
        return;
    }
    if (worker->state == YO_WORKER_SERVING) {
        yo_listener_drain(worker->listener);
    }
    worker->state = YO_WORKER_CLOSING;
    yo_park_end_all(worker);
    yo_list_splice(&worker->due, &worker->peers);
    end_peers(worker, YO_NEVER);
    yo_echo_end_all(worker);
    yo_claims_close(worker);
    yo_door_refuse_waiting(worker);
    yo_claims_refuse_waiting(worker);
    (void)yo_timer_set(&worker->timer, now + CLOSE_TIME);
    yo_worker_gone(worker);
}

void yo_worker_gone(struct yo_worker *worker)
{
    if (worker->state == YO_WORKER_SERVING || !yo_list_empty(&worker->peers) ||
        !yo_list_empty(&worker->due) || !yo_claims_empty(worker)) {
        return;
    }
    if (worker->state == YO_WORKER_DRAINING) {
        /* Nobody is left whom the grace time is for. */
        (void)yo_timer_set(&worker->timer, 0);
        worker->drain_until = 0;
        return;
    }
    if (yo_list_empty(&worker->echoes) && yo_list_empty(&worker->waiting)) {
        yo_loop_defer(worker->loop, &worker->finish);
    }
}

/* --- nobody is left -------------------------------------------------------------- */

static void close_loop(struct yo_worker *worker)
{
    if (worker->house.hub) { /* who answers a request from now on hears that it is gone */
        yo_house_close(&worker->house, yo_loop_now(worker->loop));
    }
    yo_task_cancel(&worker->turn_end);
    yo_task_cancel(&worker->finish);
    yo_timer_stop(&worker->timer);
    yo_timer_stop(&worker->renewal);
    yo_timer_stop(&worker->census);
    yo_timer_stop(&worker->batches);
    if (worker->desk->box) {
        yo_mailbox_close(worker->desk->box);
    }
    yo_loop_close(worker->loop, NULL, NULL);
}

static void on_listener_closed(void *user)
{
    struct yo_worker *worker = user;

    worker->listener = NULL;
    /* What was written to other workers must still reach them. */
    yo_office_send(&worker->office, worker, yo_loop_now(worker->loop));
    close_loop(worker);
}

static void on_finish(struct yo_task *task, yo_time now)
{
    struct yo_worker *worker = YO_CONTAINER(task, struct yo_worker, finish);

    (void)now;
    if (worker->listener) {
        struct yo_listener *listener = worker->listener;
        yo_listener_close(listener, on_listener_closed, worker);
    }
}

void yo_worker_abandon(struct yo_worker *worker)
{
    if (worker->listener) {
        yo_listener_close(worker->listener, on_listener_closed, worker);
    } else {
        close_loop(worker);
    }
    yo_worker_run(worker);
    yo_worker_free(worker);
}
