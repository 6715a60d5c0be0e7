/* SPDX-License-Identifier: MIT */
/* drain.c - how a worker ends.
 *
 * The happy path: the doors close for new connections; clients of the extension are
 * told to come back (goaway) and leave by themselves; after a moment those that stand
 * are closed a few at a time, so that they do not all knock at one other door at once;
 * when the last has gone the doors, the mailbox and the loop are closed, and the thread
 * ends.
 *
 * Possible failure modes: a peer does not answer the close. At the end of the grace
 * time everything is closed at once, and CLOSE_TIME after that what is left is aborted.
 */
#include "base/check.h"
#include "base/rand.h"
#include "server/claims.h"
#include "server/door.h"
#include "server/echo.h"
#include "server/worker.h"

#define STEP_TIME (10 * YO_MS)
#define GOAWAY_TIME (250 * YO_MS) /* from the goaway to the first close */
#define CLOSE_TIME (1500 * YO_MS) /* from the close to the abort */
#define SPREAD_MS 2000            /* clients come back within this time */

static void on_timer(struct yo_timer *timer, yo_time now);
static void on_finish(struct yo_task *task, yo_time now);

int yo_worker_ready(struct yo_worker *worker)
{
    yo_timer_init(&worker->timer, worker->loop, on_timer);
    yo_task_init(&worker->finish, on_finish);
    return yo_loop_reserve_timer(worker->loop);
}

static void say_goaway(struct yo_worker *worker, struct yo_peer *peer, yo_time now)
{
    if (peer->presencejs || peer->closing) {
        return;
    }
    yo_effects_clear(&worker->effects);
    if (yo_server_goaway(peer->session, yo_rand_session() % SPREAD_MS,
                         worker->config->drain_url, &worker->effects) == YOMO_OK) {
        yo_peer_carry_out(peer, &worker->effects, now);
    }
}

void yo_worker_drain(struct yo_worker *worker, uint64_t grace_ms, yo_time now)
{
    size_t count = 0, steps;

    if (worker->state != YO_WORKER_SERVING) {
        return;
    }
    worker->state = YO_WORKER_DRAINING;
    yo_park_end_all(worker);
    worker->drain_until = yo_time_after(now, grace_ms * YO_MS);
    yo_listener_drain(worker->listener);
    YO_LIST_EACH(link, next, &worker->peers)
    {
        say_goaway(worker, YO_CONTAINER(link, struct yo_peer, in_worker), now);
        count++;
    }
    yo_list_splice(&worker->due, &worker->peers);
    yo_echo_drain_all(worker);
    yo_claims_drain(worker);
    /* All within half of the grace time. */
    steps = (size_t)(grace_ms * YO_MS / 2 / STEP_TIME) + 1;
    worker->drain_batch = count / steps + 1;
    (void)yo_timer_set(&worker->timer,
                       yo_time_min(now + GOAWAY_TIME, worker->drain_until));
    yo_worker_gone(worker);
}

static void end_peers(struct yo_worker *worker, size_t count)
{
    struct yo_link *link;

    while (count-- > 0 && (link = yo_list_pop_front(&worker->due)) != NULL) {
        yo_list_push_back(&worker->peers, link);
        yo_peer_end(YO_CONTAINER(link, struct yo_peer, in_worker), YO_CODE_GOING_AWAY,
                    YOMO_ERR_DRAINING, "going away");
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
        end_peers(worker, worker->drain_batch);
        (void)yo_timer_set(timer,
                           yo_list_empty(&worker->due)
                               ? worker->drain_until
                               : yo_time_min(now + STEP_TIME, worker->drain_until));
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
    end_peers(worker, SIZE_MAX);
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
