/* SPDX-License-Identifier: MIT */
/* pace.c - who is there, for presencejs pages that read datagrams.
 *
 * A browser keeps few datagrams for a page that is slow to read and drops the rest,
 * which QUIC has long acknowledged; so a room full of peers is told a few at a time.
 * What comes while some wait queues behind them, so that nothing is overtaken. */
#include "base/check.h"
#include "server/peer.h"
#include "server/worker.h"
#include "wire/decode.h"

#define PACE_BURST 8 /* datagrams that a page reads in one go */
#define PACE_TIME (10 * YO_MS)
#define PACED_MAX 1024 /* past it, pacing does no good any more */

struct paced {
    struct yo_link link;
    struct yo_blob *message;
};

/* A page that reads datagrams could get an older message about a peer, repeated, after
 * a newer one; so there is one slot for each peer of a room. */
static void put_presence(struct yo_peer *peer, struct yo_blob *message)
{
    struct yo_message decoded;
    struct yo_buf *slot = &peer->worker->slot;

    yo_buf_clear(slot);
    if (peer->datagrams_only && yo_decode(yo_blob_span(message), &decoded) == YOMO_OK) {
        /* Without memory there is no slot, and a repetition may come late. */
        (void)yo_outbox_slot(slot, 0, decoded.channel, decoded.peer, YO_SPAN_NONE);
    }
    yo_peer_put(peer, message, YOMO_RELIABLE, YO_LANE_CONTROL, true,
                slot->size > 0 ? yo_buf_span(slot) : YO_SPAN_NONE, 0);
}

/* Some of what is paced, or all of it. */
static void put_next(struct yo_peer *peer, size_t count)
{
    while (count-- > 0 && !yo_list_empty(&peer->paced)) {
        struct paced *paced =
            YO_CONTAINER(yo_list_pop_front(&peer->paced), struct paced, link);
        peer->paced_count--;
        put_presence(peer, paced->message);
        yo_blob_unref(paced->message);
        yo_free(peer->worker->mem, paced);
    }
}

void yo_peer_put_presence(struct yo_peer *peer, struct yo_blob *message)
{
    yo_time now = yo_loop_now(peer->worker->loop);
    struct paced *paced;

    if (!peer->datagrams_only || peer->closing) {
        put_presence(peer, message);
        return;
    }
    if (yo_list_empty(&peer->paced)) {
        if (now >= peer->pace_due) {
            peer->pace_due = now + PACE_TIME;
            peer->pace_sent = 0;
        }
        if (peer->pace_sent < PACE_BURST) {
            peer->pace_sent++;
            put_presence(peer, message);
            return;
        }
    }
    paced = peer->paced_count < PACED_MAX ? yo_malloc(peer->worker->mem, sizeof(*paced))
                                          : NULL;
    if (!paced) {
        put_next(peer, SIZE_MAX);
        put_presence(peer, message);
        return;
    }
    paced->message = yo_blob_ref(message);
    yo_list_push_back(&peer->paced, &paced->link);
    peer->paced_count++;
    yo_peer_set_timer(peer);
}

void yo_peer_pace(struct yo_peer *peer, yo_time now)
{
    if (!yo_list_empty(&peer->paced) && now >= peer->pace_due) {
        peer->pace_due = now + PACE_TIME;
        peer->pace_sent = PACE_BURST;
        put_next(peer, PACE_BURST);
    }
}

void yo_peer_drop_paced(struct yo_peer *peer)
{
    struct yo_link *link;

    while ((link = yo_list_pop_front(&peer->paced)) != NULL) {
        struct paced *paced = YO_CONTAINER(link, struct paced, link);
        yo_blob_unref(paced->message);
        yo_free(peer->worker->mem, paced);
    }
    peer->paced_count = 0;
}
