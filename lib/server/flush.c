/* SPDX-License-Identifier: MIT */
/* flush.c - from a peer's outbox into its transport, at the end of the turn.
 *
 * What may be lost goes as a datagram where the transport has them and the message
 * fits, else on the reliable lane that was named for it. To a presencejs page over
 * WebTransport, which reads no streams, everything goes as a datagram, and what does not
 * fit is dropped and counted. */
#include "server/peer.h"
#include "server/worker.h"

#define MEASURE_TIME YO_SECOND /* how old datagram_max may be: the path may change */

void yo_peer_measure(struct yo_peer *peer, yo_time now)
{
    struct yo_conn_info info;

    yo_conn_info(peer->conn, &info);
    peer->datagrams = info.datagrams;
    peer->datagram_max = info.datagram_size_max;
    peer->datagram_asked = now;
    memcpy(peer->address, info.address, sizeof(peer->address));
}

static void count_delivery(struct yo_peer *peer, const struct yo_outbox_next *next)
{
    struct yo_metrics *metrics = peer->worker->metrics;

    yo_metric_add(next->delivery == YOMO_RELIABLE     ? &metrics->deliveries_reliable
                  : next->delivery == YOMO_UNRELIABLE ? &metrics->deliveries_unreliable
                                                      : &metrics->deliveries_latest,
                  1);
    yo_metric_add(&metrics->bytes_out, next->message->size);
}

void yo_peer_count_drops(struct yo_peer *peer)
{
    struct yo_metrics *metrics = peer->worker->metrics;
    const uint64_t now[] = {peer->outbox.dropped_unreliable,
                            peer->outbox.dropped_latest, peer->outbox.replaced,
                            peer->outbox.expired};
    yo_metric *const where[] = {&metrics->dropped_unreliable, &metrics->dropped_latest,
                                &metrics->replaced_latest, &metrics->dropped_expired};

    for (size_t i = 0; i < sizeof(where) / sizeof(where[0]); i++) {
        if (now[i] != peer->counted[i]) {
            yo_metric_add(where[i], now[i] - peer->counted[i]);
            peer->counted[i] = now[i];
        }
    }
}

/* How long it took from its author's connection to here, and how much of that in the
 * outbox. `sent` is read once for each flush: a clock for each message would cost. */
static void count_time(struct yo_peer *peer, const struct yo_outbox_next *next,
                       yo_time sent)
{
    struct yo_metrics *metrics = peer->worker->metrics;

    if (next->came != 0) {
        yo_histogram_add(&metrics->delivery_time[next->delivery],
                         sent > next->came ? sent - next->came : 0);
        yo_histogram_add(&metrics->queue_time[next->delivery],
                         sent > next->queued ? sent - next->queued : 0);
    }
}

/* Hand over what was peeked. False: no more now. */
static bool send_next(struct yo_peer *peer, const struct yo_outbox_next *next,
                      yo_time now, yo_time sent)
{
    bool datagram = (next->delivery != YOMO_RELIABLE || peer->datagrams_only) &&
                    peer->datagrams && next->message->size <= peer->datagram_max;
    uint64_t token = datagram ? next->token : 0;
    int rv = YOMO_ERR_TOO_BIG;

    if (datagram || !peer->datagrams_only) {
        rv = yo_conn_send(peer->conn, datagram ? YO_LANE_DATAGRAM : next->lane,
                          next->message, token);
    }
    switch (rv) {
    case YOMO_OK:
        count_delivery(peer, next);
        count_time(peer, next, sent);
        yo_outbox_sent(&peer->outbox, token != 0);
        return true;
    case YOMO_ERR_TOO_BIG:
        if (datagram) { /* the path has become narrower: again, by stream */
            yo_peer_measure(peer, now);
            if (peer->datagram_max >= next->message->size) {
                peer->datagram_max = next->message->size - 1;
            }
        } else {
            yo_metric_add(&peer->worker->metrics->dropped_oversize, 1);
            yo_outbox_drop(&peer->outbox);
        }
        return true;
    case YOMO_ERR_AGAIN:
        peer->blocked = true;
        peer->blocked_at = now;
        yo_peer_set_timer(peer);
        return false;
    case YOMO_ERR_NOMEM:
        yo_peer_end(peer, YO_CODE_TRY_LATER, YOMO_ERR_NOMEM, "out of memory");
        return false;
    default:
        return false; /* closed: on_closed is on the way */
    }
}

static void end_lanes(struct yo_peer *peer)
{
    for (size_t at = 0; at < peer->ending.size; at += sizeof(uint32_t)) {
        uint32_t lane;
        memcpy(&lane, peer->ending.data + at, sizeof(lane));
        yo_conn_end_lane(peer->conn, lane);
    }
    yo_buf_clear(&peer->ending);
}

void yo_peer_flush(struct yo_peer *peer, yo_time now)
{
    struct yo_outbox_next next;
    yo_time sent;

    if (now - peer->datagram_asked > MEASURE_TIME) {
        yo_peer_measure(peer, now);
    }
    yo_outbox_expire(&peer->outbox, now);
    sent = yo_outbox_empty(&peer->outbox) ? now : yo_loop_update(peer->worker->loop);
    while (!peer->closing && !peer->blocked && !peer->moving &&
           yo_outbox_peek(&peer->outbox, &next)) {
        if (!send_next(peer, &next, now, sent)) {
            break;
        }
    }
    yo_peer_count_drops(peer);
    if (peer->ending.size > 0 && !peer->closing && yo_outbox_empty(&peer->outbox)) {
        end_lanes(peer);
    }
}
