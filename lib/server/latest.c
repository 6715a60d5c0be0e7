/* SPDX-License-Identifier: MIT */
/* latest.c - LATEST values at the pace that a receiver wants them in a room. */
#include "base/check.h"
#include "server/peer.h"
#include "server/worker.h"

static void count_thinned(struct yo_peer *peer, uint64_t before)
{
    if (peer->pacer.thinned != before) {
        yo_metric_add(&peer->worker->metrics->thinned, peer->pacer.thinned - before);
    }
}

void yo_peer_put_latest(struct yo_peer *peer, const struct yo_outgoing *out,
                        yo_time interval)
{
    yo_time now = yo_loop_now(peer->worker->loop);
    uint64_t before = peer->pacer.thinned;

    if (interval == 0 || peer->closing) { /* a parked one keeps the newest itself */
        yo_peer_put_out(peer, out);
        return;
    }
    if (!peer->pacer.mem) {
        yo_pacer_init(&peer->pacer, peer->worker->mem,
                      peer->worker->config->outbox.latest_slots);
    }
    if (yo_pacer_put(&peer->pacer, out, interval, now) != 0) {
        yo_peer_put_out(peer, out);
    } else {
        count_thinned(peer, before);
    }
    yo_peer_set_timer(peer);
}

void yo_peer_pace_latest(struct yo_peer *peer, yo_time now)
{
    struct yo_outgoing out;

    while (peer->pacer.mem && yo_pacer_next(&peer->pacer, now, &out)) {
        out.came = 0; /* it waited because its receiver wanted that: no delay to measure */
        if (out.expires == 0 || out.expires > now) {
            yo_peer_put_out(peer, &out);
        } else {
            yo_metric_add(&peer->worker->metrics->dropped_expired, 1);
        }
        yo_blob_unref(out.message);
    }
}

void yo_peer_unpace(struct yo_peer *peer)
{
    struct yo_outgoing out;

    while (peer->pacer.mem && yo_pacer_next(&peer->pacer, YO_NEVER, &out)) {
        (void)yo_outbox_put(&peer->outbox, &out); /* LATEST may give way */
        yo_blob_unref(out.message);
    }
}
