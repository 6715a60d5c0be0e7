/* SPDX-License-Identifier: MIT */
/* resume.c
 *
 * The happy path: the client claims its rooms, each with the last place that it had,
 * and names its session. The session is parked at a worker, or its old connection has
 * not been found broken yet; either way it is given away as in a move, but nothing of
 * what waited to be sent goes along but LATEST values. The home of each claimed room
 * hands the seat over together with what was missed (catch_up.c); what the room says
 * after that goes to the new worker. When all seats have come the client is told, room
 * by room, how much of what it had sent was read, who is there, and what it has missed.
 *
 * Possible failures: there is no such session at the worker that the token names. It
 * may have been resumed since, and the answer lost: the others are asked in turn, and
 * the token that was used last still counts until the client has used the new one.
 * The new connection breaks before all has come: what is under way comes all the same,
 * and waits, parked, for the client's next one, which is there already perhaps, and is
 * answered then. That is so for a move, too. */
#include "server/resume.h"

#include "base/check.h"
#include "base/rand.h"
#include "server/log.h"
#include "server/move.h"
#include "server/transfer.h"
#include "server/worker.h"

void yo_resume_free_claims(const struct yomo_mem *mem, struct yo_link *claims)
{
    struct yo_link *link;

    while ((link = yo_list_pop_front(claims)) != NULL) {
        yo_free(mem, YO_CONTAINER(link, struct yo_claim, link));
    }
}

void yo_resume_claim(struct yo_peer *peer, const struct yo_effect *effect)
{
    struct yo_claim *claim =
        yo_malloc(peer->worker->mem, sizeof(*claim) + effect->room.size);

    if (!claim) {
        yo_peer_end(peer, YO_CODE_TRY_LATER, YOMO_ERR_NOMEM, "out of memory");
        return;
    }
    for (int p = 0; p < YO_PRIORITIES; p++) {
        claim->position.place[p] = effect->places[p];
    }
    claim->size = effect->room.size;
    memcpy(claim->room, effect->room.data, effect->room.size);
    yo_list_push_back(&peer->claims, &claim->link);
}

const struct yo_claim *yo_resume_claimed(const struct yo_transfer *transfer,
                                         struct yo_span room)
{
    for (const struct yo_link *link = transfer->claims.next; link != &transfer->claims;
         link = link->next) {
        const struct yo_claim *claim = YO_CONTAINER(link, struct yo_claim, link);
        if (yo_span_equal(yo_span(claim->room, claim->size), room)) {
            return claim;
        }
    }
    return NULL;
}

/* --- the old peer ----------------------------------------------------------------- */

static bool secret_is(const struct yo_peer *peer, const uint8_t *secret)
{
    bool now = yo_secret_equal(peer->secret, secret);
    bool before = yo_secret_equal(peer->secret_before, secret);

    return now || (peer->before_counts && before);
}

bool yo_resume_may_take(const struct yo_peer *peer, const struct yo_transfer *transfer)
{
    bool there = peer->parked || (!peer->closing && peer->conn);

    return there && !peer->presencejs && !peer->departing && peer->moving == 0 &&
           peer->session && peer->worker->config->limits.grace_ms > 0 &&
           secret_is(peer, transfer->secret) && yo_transfer_is_by(transfer, peer);
}

void yo_resume_depart(struct yo_peer *peer, yo_time now)
{
    struct yo_transfer *transfer = peer->transfer;

    YO_LOG_WITH(peer->worker->log, YOMO_LOG_DEBUG, "server", YO_LOG_PEER(peer),
                "its session is resumed");
    if (peer->parked) {
        yo_park_leave(peer);
    } else {
        yo_peer_unpace(peer);
        yo_outbox_strip(&peer->outbox);
        yo_server_session_park(peer->session);
        yo_local_keep(&peer->worker->local, peer, false);
        yo_timer_stop(&peer->timer);
    }
    peer->departing = peer->blocked = peer->latest_only = true;
    peer->closing = false; /* LATEST values still come for it */
    yo_list_remove(&peer->dirty);
    transfer->error = yo_transfer_ask_homes(peer, transfer);
    if (peer->conn) {
        yo_conn_abort(peer->conn);
    }
    if (transfer->error != YOMO_OK) {
        yo_move_abandon(peer);
        return;
    }
    yo_move_check(peer, now);
}

/* --- the new peer ----------------------------------------------------------------- */

static int put_all(struct yo_peer *peer, struct yo_blob *const *list, size_t count,
                   uint32_t lane)
{
    int rv = YOMO_OK;

    for (size_t i = 0; rv == YOMO_OK && i < count; i++) {
        const struct yo_outgoing out = {
            .message = list[i],
            .delivery = YOMO_RELIABLE,
            .lane = lane,
            .priority = YOMO_URGENT}; /* before all that was said since */
        rv = yo_outbox_put(&peer->outbox, &out);
    }
    return rv;
}

/* What one room has for it. */
static int resume_room(struct yo_peer *peer, struct yo_note *note,
                       struct yo_effects *effects, yo_time now)
{
    int rv;

    yo_effects_clear(effects);
    rv = yo_server_resumed_room(peer->session, yo_room_key_name(note->room), effects);
    if (rv != YOMO_OK) {
        return rv;
    }
    yo_peer_carry_out(peer, effects, now);
    rv = put_all(peer, note->parcels, note->parcel_count, YO_LANE_CONTROL);
    rv = rv == YOMO_OK ? put_all(peer, note->said, note->said_count, note->lane) : rv;
    yo_metric_add(&peer->worker->metrics->resumed_messages, note->said_count);
    return peer->closing ? YOMO_ERR_NOMEM : rv;
}

int yo_resume_take_over(struct yo_peer *peer, struct yo_transfer *transfer, yo_time now)
{
    struct yo_effects *effects = &peer->worker->effects;
    char token[YO_MOVE_TOKEN_SIZE];
    struct yo_outbox since;
    int rv = yo_transfer_adopt(peer, transfer->session);

    if (rv != YOMO_OK) {
        return rv;
    }
    yo_transfer_swap(peer, transfer);
    yo_outbox_init(&since, peer->worker->mem, &peer->worker->config->outbox);
    since.reliable_max = SIZE_MAX;
    rv = yo_outbox_append(&since, &peer->outbox);
    YO_LIST_EACH(link, next, &peer->arrived)
    {
        struct yo_note *note = YO_CONTAINER(link, struct yo_note, letter.link);
        rv = rv == YOMO_OK ? resume_room(peer, note, effects, now) : rv;
    }
    yo_effects_clear(effects);
    if (rv == YOMO_OK) {
        rv = yo_server_resumed(peer->session, transfer->state,
                               yo_move_token(peer, token), now, effects);
    }
    if (rv == YOMO_OK) {
        yo_peer_carry_out(peer, effects, now);
    }
    rv = rv == YOMO_OK ? yo_outbox_append(&peer->outbox, &transfer->outbox) : rv;
    rv = rv == YOMO_OK ? yo_outbox_append(&peer->outbox, &since) : rv;
    yo_outbox_finish(&since);
    /* What was said meanwhile may be more than may wait for one receiver; it is the
     * history's memory, and has a bound of its own there. */
    peer->outbox.reliable_max =
        peer->worker->config->outbox.reliable_bytes + peer->outbox.reliable_bytes;
    return rv;
}

/* --- one whose own connection breaks -----------------------------------------------
 */

bool yo_resume_lost(struct yo_peer *peer)
{
    if (peer->moving == 0 || peer->closing ||
        peer->worker->config->limits.grace_ms == 0 ||
        peer->worker->state != YO_WORKER_SERVING) {
        return false;
    }
    peer->lost = peer->closing = peer->latest_only = true;
    yo_peer_unpace(peer);
    yo_list_remove(&peer->dirty);
    yo_timer_stop(&peer->timer);
    yo_buf_clear(&peer->ending);
    yo_outbox_strip(&peer->outbox);
    return true;
}

void yo_resume_drop(struct yo_peer *peer, int why)
{
    struct yo_worker *worker = peer->worker;

    peer->lost = false;
    peer->why = why;
    yo_move_abandon(peer);
    yo_local_leave_all(&worker->local, peer);
    if (!peer->conn) {
        yo_peer_destroy(peer);
        yo_worker_gone(worker);
    }
}

void yo_resume_park(struct yo_peer *peer, struct yo_transfer *transfer, yo_time now)
{
    int rv = yo_transfer_adopt(peer, transfer->session);

    if (rv == YOMO_OK) {
        yo_transfer_swap(peer, transfer);
        yo_outbox_strip(&transfer->outbox); /* a move brings what the history has */
        rv = yo_outbox_append(&peer->outbox, &transfer->outbox);
    }
    if (rv != YOMO_OK || !yo_park_may(peer)) {
        yo_resume_drop(peer, YOMO_ERR_CLOSED);
        return;
    }
    peer->lost = false;
    yo_park(peer, true, now);
}
