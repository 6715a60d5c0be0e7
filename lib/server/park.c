/* SPDX-License-Identifier: MIT */
/* park.c
 *
 * The happy path: a connection breaks, its peer is parked, the others in its rooms hear
 * that it is stale; within the grace time its client comes back over another
 * connection, which takes the session and the seats (move.c). Else the seats are given
 * back as if it had left.
 *
 * What is kept is small: the session, the seats, and of what others say meanwhile the
 * newest of each LATEST value. What is RELIABLE the rooms' histories have, and who is
 * there a snapshot tells. All parked sessions of a worker have a bound together, for
 * their number and for their bytes; the oldest give way.
 *
 * Invariants:
 *  1. a peer is in `peers` exactly while it is `parked`; it is `closing` then, and its
 *     timer stands at the end of its grace time;
 *  2. `bytes` is the sum of their park_bytes. */
#include "server/park.h"

#include "base/check.h"
#include "server/log.h"
#include "server/worker.h"

#define COST 1024 /* of a peer and its session, without what waits */

void yo_park_init(struct yo_park *park)
{
    *park = (struct yo_park){.count = 0};
    yo_list_init(&park->peers);
}

bool yo_park_may(const struct yo_peer *peer)
{
    const struct yo_worker *worker = peer->worker;

    if (peer->presencejs || !peer->session || worker->config->limits.grace_ms == 0 ||
        worker->state != YO_WORKER_SERVING || peer->moving || peer->transfer) {
        return false;
    }
    YO_LIST_EACH(link, next, &peer->seats)
    {
        if (YO_CONTAINER(link, struct yo_seat, in_peer)->joined) {
            return true;
        }
    }
    return false;
}

static void weigh(struct yo_peer *peer)
{
    struct yo_park *park = &peer->worker->park;
    size_t bytes = COST + yo_outbox_bytes(&peer->outbox);

    park->bytes += bytes - peer->park_bytes;
    peer->park_bytes = bytes;
}

/* The newest stays, whatever it takes: its outbox is bounded as that of any other. */
bool yo_park_full(const struct yo_worker *worker)
{
    const struct yo_park *park = &worker->park;

    return park->count > worker->config->parked_max ||
           (park->count > 1 && park->bytes > worker->config->parked_bytes);
}

void yo_park_trim(struct yo_worker *worker)
{
    struct yo_park *park = &worker->park;

    while (yo_park_full(worker)) {
        yo_metric_add(&worker->metrics->parked_evicted, 1);
        yo_park_end(YO_CONTAINER(park->peers.next, struct yo_peer, in_park),
                    YOMO_ERR_CLOSED);
    }
}

void yo_park(struct yo_peer *peer, bool tell, yo_time now)
{
    struct yo_worker *worker = peer->worker;
    struct yo_park *park = &worker->park;

    assert(!peer->parked);
    YO_LOG_WITH(worker->log, YOMO_LOG_DEBUG, "server", YO_LOG_PEER(peer),
                "its seats are kept");
    peer->parked = peer->closing = peer->latest_only = true;
    yo_list_remove(&peer->dirty);
    yo_buf_clear(&peer->ending);
    yo_peer_unpace(peer);
    yo_outbox_strip(&peer->outbox);
    yo_server_session_park(peer->session);
    yo_local_keep(&worker->local, peer, tell);
    yo_list_push_back(&park->peers, &peer->in_park);
    park->count++;
    weigh(peer);
    yo_metric_set(&worker->metrics->parked, park->count);
    peer->park_until = yo_time_after(now, worker->config->limits.grace_ms * YO_MS);
    yo_park_set_timer(peer);
    yo_worker_defer(worker); /* which trims */
}

void yo_park_set_timer(struct yo_peer *peer)
{
    yo_timer_stop(&peer->timer);
    (void)yo_timer_set(&peer->timer, /* its room was reserved */
                       yo_time_min(peer->expiry, peer->park_until));
}

void yo_park_leave(struct yo_peer *peer)
{
    struct yo_park *park = &peer->worker->park;

    assert(peer->parked);
    peer->parked = false;
    yo_list_remove(&peer->in_park);
    yo_timer_stop(&peer->timer);
    park->count--;
    park->bytes -= peer->park_bytes;
    peer->park_bytes = 0;
    yo_metric_set(&peer->worker->metrics->parked, park->count);
}

void yo_park_end(struct yo_peer *peer, int why)
{
    struct yo_worker *worker = peer->worker;

    peer->why = why;
    if (why == YOMO_ERR_CLOSED) { /* its client may come all the same */
        yo_bygone_keep(peer);
    }
    yo_park_leave(peer);
    yo_local_leave_all(&worker->local, peer);
    if (!peer->conn) {
        yo_peer_destroy(peer);
        yo_worker_gone(worker);
    }
}

void yo_park_end_all(struct yo_worker *worker)
{
    while (!yo_list_empty(&worker->park.peers)) {
        yo_park_end(YO_CONTAINER(worker->park.peers.next, struct yo_peer, in_park),
                    YOMO_ERR_DRAINING);
    }
}

void yo_park_put(struct yo_peer *peer, const struct yo_outgoing *out)
{
    if (out->delivery != YOMO_LATEST) {
        return; /* the history has it, or nobody was to wait for it */
    }
    if (yo_outbox_put(&peer->outbox, out) != YOMO_OK) {
        yo_metric_add(&peer->worker->metrics->dropped_memory, 1);
    }
    if (peer->parked) {
        weigh(peer);
    }
    if (yo_park_full(peer->worker)) {
        yo_worker_defer(peer->worker);
    }
}
