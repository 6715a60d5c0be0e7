/* SPDX-License-Identifier: MIT */
/* transfer.c - the letter in which a session travels, and who waits behind it. */
#include "server/transfer.h"

#include "base/check.h"
#include "base/rand.h"
#include "server/resume.h"
#include "server/worker.h"

struct yo_transfer *yo_transfer_of(struct yo_letter *letter)
{
    return YO_CONTAINER(letter, struct yo_transfer, letter);
}

void yo_transfer_free(struct yo_transfer *transfer)
{
    const struct yo_tail *tail = (const struct yo_tail *)(void *)transfer->tail.data;

    for (size_t i = 0; i < transfer->tail.size / sizeof(*tail); i++) {
        yo_blob_unref(tail[i].message);
    }
    yo_buf_finish(&transfer->tail);
    yo_buf_finish(&transfer->known);
    yo_resume_free_claims(transfer->mem, &transfer->claims);
    yo_outbox_finish(&transfer->outbox);
    yo_server_session_destroy(transfer->state);
    yo_free(transfer->mem, transfer->id);
    yo_free(transfer->mem, transfer->app);
    if (transfer->behind) { /* which has nobody behind it */
        yo_transfer_free(transfer->behind);
    }
    yo_free(transfer->mem, transfer);
}

static void discard(struct yo_letter *letter)
{
    yo_transfer_free(yo_transfer_of(letter));
}

static void post(struct yo_worker *worker, uint32_t to, struct yo_transfer *transfer,
                 void (*open)(struct yo_letter *, void *, yo_time))
{
    transfer->letter.open = open;
    transfer->letter.discard = discard;
    yo_list_init(&transfer->letter.link);
    yo_mailbox_post(worker->office.desks[to].box, &transfer->letter);
}

void yo_transfer_ask(struct yo_worker *worker, uint32_t to,
                     struct yo_transfer *transfer)
{
    post(worker, to, transfer, yo_transfer_open_ask);
}

void yo_transfer_answer(struct yo_worker *worker, struct yo_transfer *transfer)
{
    post(worker, transfer->taker_worker, transfer, yo_transfer_open_answer);
}

/* One that waited for the end asks again, wherever the session is now. */
static void release(struct yo_worker *worker, struct yo_transfer *transfer)
{
    struct yo_transfer *behind = transfer->behind;

    transfer->behind = NULL;
    if (behind) {
        behind->asked = 0;
        yo_transfer_ask(worker, worker->index, behind);
    }
}

void yo_transfer_refuse(struct yo_worker *worker, struct yo_transfer *transfer,
                        int error)
{
    release(worker, transfer);
    transfer->error = error;
    yo_transfer_answer(worker, transfer);
}

void yo_transfer_done(struct yo_worker *worker, struct yo_transfer *transfer)
{
    release(worker, transfer);
    yo_transfer_free(transfer);
}

/* --- whose it is ------------------------------------------------------------------ */

bool yo_secret_equal(const uint8_t *a, const uint8_t *b)
{
    uint8_t differ = 0;

    for (size_t i = 0; i < YO_PEER_SECRET_SIZE; i++) {
        differ |= a[i] ^ b[i];
    }
    return differ == 0;
}

bool yo_transfer_is_by(const struct yo_transfer *transfer, const struct yo_peer *peer)
{
    return strcmp(peer->id, transfer->id) == 0 &&
           strcmp(peer->app, transfer->app) == 0 && (transfer->proven || !peer->proven);
}

/* Who has the session in transit: it departs from here, or is not all here yet. */
static struct yo_peer *in_transit(struct yo_worker *worker, uint64_t session)
{
    struct yo_peer *peer = yo_worker_find_any(worker, session);

    if (peer && peer->departing) {
        return peer;
    }
    YO_LIST_EACH(link, next, &worker->arriving)
    {
        struct yo_peer *taker = YO_CONTAINER(link, struct yo_peer, in_arriving);
        if (taker->moving == session) {
            return taker;
        }
    }
    return NULL;
}

bool yo_transfer_wait(struct yo_worker *worker, struct yo_transfer *transfer)
{
    struct yo_peer *peer = in_transit(worker, transfer->session);
    struct yo_transfer *first = peer ? peer->transfer : NULL, *older;

    if (!first || !yo_secret_equal(first->secret, transfer->secret) ||
        !yo_transfer_is_by(transfer, peer)) {
        return false;
    }
    older = first->behind;
    first->behind = transfer;
    if (older) {
        yo_transfer_refuse(worker, older, YOMO_ERR_NOT_FOUND);
    }
    return true;
}

/* --- who has it now ----------------------------------------------------------------
 */

int yo_transfer_adopt(struct yo_peer *peer, uint64_t session)
{
    struct yo_worker *worker = peer->worker;
    int rv;

    yo_map_remove(&worker->sessions, &peer->by_session);
    peer->session_id = session;
    rv = yo_map_put(&worker->sessions, &peer->by_session,
                    yo_span(&peer->session_id, sizeof(peer->session_id)));
    if (rv != YOMO_OK) {
        peer->session_id = 0; /* it is not in the map */
    }
    return rv;
}

void yo_transfer_swap(struct yo_peer *peer, struct yo_transfer *transfer)
{
    struct yo_server_session *fresh = peer->session;

    peer->session = transfer->state;
    transfer->state = fresh;
    memcpy(peer->secret_before, transfer->secret, sizeof(peer->secret_before));
    peer->before_counts = true;                        /* the answer may be lost */
    yo_rand_bytes(peer->secret, sizeof(peer->secret)); /* a token serves once */
}
