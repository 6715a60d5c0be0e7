/* SPDX-License-Identifier: MIT */
/* move.c
 *
 * The happy path, for the old peer A at its worker and the new peer B at another or the
 * same: B's worker sends a transfer to A's. A stops listening (one over TCP first waits
 * until it has read the client's fence), takes back from its transport what may not
 * have arrived, and asks the home of each of its rooms to move the seat. The home,
 * which alone has an order, hands the seat over: what it tells A's worker before is in
 * A's outbox, what comes after goes to B's. When all homes have said so and no answer
 * to a join or a leave is missing, the transfer goes back with the session, the outbox
 * and what was taken back; B becomes that session and sends: what was taken back, what
 * was in A's outbox, and what its own seats have got since, which it had kept for this.
 *
 * Possible failures: there is no such session, or it ends meanwhile: B is told, and its
 * client joins anew. B's connection breaks meanwhile: what is under way comes all the
 * same and is parked where it comes to (resume.c), and the token that the client knows
 * still counts. Its client is back before that, and asks for what is under way: that
 * question goes along (`behind`) and is asked again at the end. B ends for good: its
 * seats leave as those of any peer. No memory: both end, and the client comes again.
 *
 * Invariants:
 *  1. a peer departs (`departing`) or arrives (`moving`), never both; while it departs
 *     its connection may be gone;
 *  2. each seat is one peer's, and whoever has it when its peer ends writes the LEAVE;
 *  3. a transfer is at exactly one place: under way, at A (`transfer`), at B
 *     (`transfer`, with the answer), or behind another one;
 *  4. a peer is among its worker's `arriving` while it has the answer. */
#include "server/move.h"
#include "server/log.h"

#include "base/check.h"
#include "base/rand.h"
#include "base/text.h"
#include "server/handle.h"
#include "server/resume.h"
#include "server/transfer.h"
#include "server/worker.h"
#include "wire/encode.h"

/* --- tokens ----------------------------------------------------------------------- */

/* The session, its worker and its secret, in hexadecimal: the client need not know. */
struct yo_span yo_move_token(const struct yo_peer *peer, char out[YO_MOVE_TOKEN_SIZE])
{
    uint8_t bytes[YO_MOVE_TOKEN_SIZE / 2];
    char text[YO_MOVE_TOKEN_SIZE + 1];

    for (int i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(peer->session_id >> (56 - 8 * i));
    }
    bytes[8] = (uint8_t)(peer->worker->index >> 8);
    bytes[9] = (uint8_t)peer->worker->index;
    memcpy(bytes + 10, peer->secret, sizeof(peer->secret));
    yo_hex_encode(text, yo_span(bytes, sizeof(bytes)));
    memcpy(out, text, YO_MOVE_TOKEN_SIZE);
    return yo_span(out, YO_MOVE_TOKEN_SIZE);
}

static bool read_token(struct yo_span token, struct yo_transfer *transfer,
                       uint32_t *worker)
{
    uint8_t bytes[YO_MOVE_TOKEN_SIZE / 2];

    if (yo_hex_decode(bytes, sizeof(bytes), token) != YOMO_OK) {
        return false;
    }
    transfer->session = 0;
    for (int i = 0; i < 8; i++) {
        transfer->session = transfer->session << 8 | bytes[i];
    }
    *worker = (uint32_t)bytes[8] << 8 | bytes[9];
    memcpy(transfer->secret, bytes + 10, sizeof(transfer->secret));
    return true;
}

/* --- B: asking -------------------------------------------------------------------- */

/* One message of what is known of a session that is gone. */
static int tell_known(struct yo_peer *peer, struct yo_span bytes)
{
    struct yo_blob *blob = yo_blob_create(peer->worker->mem, bytes);

    if (!blob) {
        return YOMO_ERR_NOMEM;
    }
    yo_peer_put(peer, blob, YOMO_RELIABLE, YO_LANE_CONTROL, false, YO_SPAN_NONE, 0);
    yo_blob_unref(blob);
    return YOMO_OK;
}

static int tell_all_known(struct yo_peer *peer, struct yo_span known)
{
    int rv = YOMO_OK;

    while (rv == YOMO_OK && known.size > 0) {
        uint32_t size;
        memcpy(&size, known.data, sizeof(size));
        known = yo_span_skip(known, sizeof(size));
        rv = tell_known(peer, yo_span(known.data, size));
        known = yo_span_skip(known, size);
    }
    return rv;
}

static void tell_refused(struct yo_peer *peer, int error, struct yo_span known)
{
    const struct yo_message message = {.op =
                                           peer->resuming ? YO_OP_RESUMED : YO_OP_MOVED,
                                       .code = error,
                                       .text = yo_span_of(yomo_strerror(error))};
    struct yo_blob *blob;

    yo_metric_add(&peer->worker->metrics->resume_refused, peer->resuming);
    peer->outbox.reliable_max = peer->worker->config->outbox.reliable_bytes;
    peer->moving = 0;
    if (tell_all_known(peer, known) != YOMO_OK ||
        yo_encode_blob(&blob, peer->worker->mem, YO_DIALECT_YOMO, &message) !=
            YOMO_OK) {
        yo_peer_end(peer, YO_CODE_TRY_LATER, YOMO_ERR_NOMEM, "out of memory");
        return;
    }
    yo_peer_put(peer, blob, YOMO_RELIABLE, YO_LANE_CONTROL, false, YO_SPAN_NONE, 0);
    yo_blob_unref(blob);
}

static struct yo_transfer *transfer_make(struct yo_peer *peer, struct yo_span token,
                                         uint32_t *worker)
{
    const struct yomo_mem *mem = peer->worker->mem;
    struct yo_transfer *transfer = yo_calloc(mem, 1, sizeof(*transfer));

    if (!transfer) {
        return NULL;
    }
    transfer->mem = mem;
    transfer->taker_worker = peer->worker->index;
    transfer->taker = peer->session_id;
    transfer->proven = peer->proven;
    transfer->id = yo_strndup(mem, peer->id, strlen(peer->id));
    transfer->app = yo_strndup(mem, peer->app, strlen(peer->app));
    yo_outbox_init(&transfer->outbox, mem, &peer->worker->config->outbox);
    yo_buf_init(&transfer->tail, mem);
    yo_buf_init(&transfer->known, mem);
    yo_list_init(&transfer->claims);
    if (!transfer->id || !transfer->app) {
        yo_transfer_free(transfer);
        return NULL;
    }
    *worker = UINT32_MAX;
    if (!read_token(token, transfer, worker)) {
        *worker = UINT32_MAX;
    }
    return transfer;
}

void yo_move_ask(struct yo_peer *peer, struct yo_span token, bool resume, yo_time now)
{
    struct yo_worker *worker = peer->worker;
    uint32_t to;
    struct yo_transfer *transfer = transfer_make(peer, token, &to);

    (void)now;
    peer->resuming = resume;
    if (!transfer) {
        yo_peer_end(peer, YO_CODE_TRY_LATER, YOMO_ERR_NOMEM, "out of memory");
        return;
    }
    transfer->resume = resume;
    if (resume) { /* it must not be too slow before it is told anything */
        peer->outbox.reliable_max = SIZE_MAX;
    }
    yo_list_splice(&transfer->claims, &peer->claims);
    if (to >= worker->count) {
        yo_transfer_free(transfer);
        tell_refused(peer, YOMO_ERR_NOT_FOUND, YO_SPAN_NONE);
    } else {
        peer->moving = transfer->session;
        yo_transfer_ask(worker, to, transfer);
    }
}

/* --- A: departing ----------------------------------------------------------------- */

/* Nothing is left here but the connection, if it is still there. */
static void forget(struct yo_peer *peer)
{
    struct yo_worker *worker = peer->worker;

    peer->departing = false;
    peer->closing = true;
    yo_list_remove(&peer->dirty);
    yo_timer_stop(&peer->timer);
    if (!peer->conn) {
        yo_peer_destroy(peer);
        yo_worker_gone(worker);
    }
}

void yo_move_check(struct yo_peer *peer, yo_time now)
{
    struct yo_worker *worker = peer->worker;
    struct yo_transfer *transfer = peer->transfer;

    (void)now;
    if (!peer->departing || peer->departures > 0 ||
        yo_server_session_waits(peer->session)) {
        return;
    }
    yo_peer_unpace(peer);
    if (transfer->resume) { /* what was said meanwhile the homes have told */
        yo_outbox_strip(&peer->outbox);
    } else {
        yo_outbox_rewind(&peer->outbox);
    }
    if (yo_outbox_append(&transfer->outbox, &peer->outbox) != YOMO_OK) {
        yo_move_abandon(peer);
        return;
    }
    assert(yo_list_empty(&peer->seats));
    transfer->state = peer->session;
    peer->session = NULL;
    peer->transfer = NULL;
    yo_map_remove(&peer->worker->sessions, &peer->by_session);
    peer->session_id = 0;
    forget(peer);
    yo_transfer_answer(worker, transfer);
}

static void keep(void *user, uint32_t lane, uint64_t number, struct yo_blob *message)
{
    struct yo_transfer *transfer = user;
    struct yo_tail tail = {.message = message, .lane = lane};

    if (yo_buf_append(&transfer->tail, &tail, sizeof(tail)) != YOMO_OK) {
        transfer->error = YOMO_ERR_NOMEM;
        return;
    }
    yo_blob_ref(message);
    if (lane == YO_LANE_CONTROL && transfer->again == 0) {
        transfer->again = number;
    }
}

static struct yo_note *note_make(const struct yo_seat *seat, enum yo_note_kind kind,
                                 const struct yo_transfer *transfer)
{
    const struct yo_peer *peer = seat->peer;
    struct yo_note *note =
        yo_note_create(peer->worker->mem, kind, seat->room->key, YO_SPAN_NONE,
                       YO_SPAN_NONE, YO_SPAN_NONE, YO_SPAN_NONE);

    if (note) {
        note->session = peer->session_id;
        note->ticket = seat->ticket;
        note->pace = seat->pace;
        note->to = transfer->taker_worker;
        note->number = transfer->taker;
        note->lane = yo_server_session_asked_lane(peer->session,
                                                  yo_room_key_name(seat->room->key));
    }
    return note;
}

int yo_transfer_ask_homes(struct yo_peer *peer, const struct yo_transfer *transfer)
{
    YO_LIST_EACH(link, next, &peer->seats)
    {
        struct yo_seat *seat = YO_CONTAINER(link, struct yo_seat, in_peer);
        const struct yo_claim *claim = NULL;
        struct yo_note *note;
        if (transfer->resume) {
            claim = yo_resume_claimed(transfer, yo_room_key_name(seat->room->key));
            if (!claim) {
                yo_seat_leave(&peer->worker->local, seat, YOMO_OK);
                continue;
            }
        }
        note = note_make(seat, YO_NOTE_MOVE, transfer);
        if (!note || !(note->twin = note_make(seat, YO_NOTE_ARRIVED, transfer))) {
            yo_note_free(note);
            return YOMO_ERR_NOMEM;
        }
        if (claim) {
            note->resume = true;
            note->position = claim->position;
        }
        peer->departures++;
        yo_office_put(&peer->worker->office, seat->room->home, note);
    }
    return YOMO_OK;
}

/* The last word on an old connection over TCP, and then its end. */
static void say_moved(struct yo_peer *peer)
{
    const struct yo_message message = {.op = YO_OP_MOVED};
    struct yo_close how = {.kind = YO_CLOSE_DONE, .code = YO_CODE_NORMAL};
    struct yo_blob *blob;
    int rv = yo_encode_blob(&blob, peer->worker->mem, YO_DIALECT_YOMO, &message);

    if (rv == YOMO_OK) {
        rv = yo_conn_send(peer->conn, YO_LANE_CONTROL, blob, 0);
        yo_blob_unref(blob);
    }
    peer->last_word = rv == YOMO_ERR_AGAIN;
    if (rv == YOMO_OK) {
        yo_conn_close(peer->conn, &how);
    } else if (rv != YOMO_ERR_AGAIN) { /* its client takes it for lost, and is right */
        yo_conn_abort(peer->conn);
    }
}

void yo_move_writable(struct yo_peer *peer)
{
    if (peer->last_word) {
        say_moved(peer);
    }
}

static void depart(struct yo_peer *peer, yo_time now)
{
    struct yo_transfer *transfer = peer->transfer;
    bool tells = yo_conn_reclaim(peer->conn, keep, transfer) == YOMO_OK;

    YO_LOG_WITH(peer->worker->log, YOMO_LOG_DEBUG, "server", YO_LOG_PEER(peer),
                "its session moves on");
    peer->departing = true;
    peer->blocked = true;
    yo_list_remove(&peer->dirty);
    yo_timer_stop(&peer->timer);
    if (transfer->error == YOMO_OK) {
        transfer->error = yo_transfer_ask_homes(peer, transfer);
    }
    if (transfer->error != YOMO_OK) {
        yo_conn_abort(peer->conn);
        yo_move_abandon(peer);
        return;
    }
    if (tells) {
        yo_conn_abort(peer->conn);
    } else {
        say_moved(peer);
    }
    yo_move_check(peer, now);
}

static bool may_take(const struct yo_peer *peer, const struct yo_transfer *transfer)
{
    return !peer->presencejs && !peer->departing && !peer->transfer && !peer->closing &&
           peer->moving == 0 && yo_secret_equal(peer->secret, transfer->secret) &&
           yo_transfer_is_by(transfer, peer);
}

/* Twice around: it may be under way from one that is asked later to one that was asked
 * before. */
static uint32_t asked_max(const struct yo_worker *worker)
{
    return worker->count > 1 ? 2 * worker->count : 1;
}

void yo_transfer_open_ask(struct yo_letter *letter, void *box_user, yo_time now)
{
    struct yo_transfer *transfer = yo_transfer_of(letter);
    struct yo_worker *worker = box_user;
    struct yo_peer *peer = yo_worker_find_any(worker, transfer->session);

    if (transfer->resume && worker->state == YO_WORKER_SERVING) {
        if (yo_transfer_wait(worker, transfer)) { /* for its own client's last try */
            return;
        }
        if (peer && yo_resume_may_take(peer, transfer)) {
            yo_move_abandon(peer); /* a move that waits for its fence is overtaken */
            peer->transfer = transfer;
            yo_resume_depart(peer, now);
        } else if (yo_bygone_find(worker, transfer)) {
            yo_transfer_refuse(worker, transfer, YOMO_ERR_NOT_FOUND);
        } else if (++transfer->asked < asked_max(worker)) { /* it may be there since */
            yo_transfer_ask(worker, (worker->index + 1) % worker->count, transfer);
        } else {
            yo_transfer_refuse(worker, transfer, YOMO_ERR_NOT_FOUND);
        }
        return;
    }
    if (worker->state != YO_WORKER_SERVING || !peer || !may_take(peer, transfer)) {
        yo_transfer_refuse(worker, transfer, YOMO_ERR_NOT_FOUND);
        return;
    }
    peer->transfer = transfer;
    if (peer->fenced || peer->transport == YOMO_TRANSPORT_WEBTRANSPORT) {
        depart(peer, now);
    }
}

void yo_move_fenced(struct yo_peer *peer, yo_time now)
{
    peer->fenced = true;
    if (peer->transfer) {
        depart(peer, now);
    }
}

void yo_move_departed(struct yo_worker *worker, const struct yo_note *note, yo_time now)
{
    struct yo_peer *peer = yo_worker_find(worker, note->session);

    if (!peer || !peer->departing) {
        return;
    }
    peer->departures--;
    YO_LIST_EACH(link, next, &peer->seats)
    {
        struct yo_seat *seat = YO_CONTAINER(link, struct yo_seat, in_peer);
        if (seat->ticket != note->ticket) {
            continue;
        }
        if (note->error != YOMO_OK) {
            yo_move_abandon(peer);
            return;
        }
        peer->transfer->seats++;
        yo_seat_free(&worker->local, seat);
        break;
    }
    yo_move_check(peer, now);
}

static void give_up(struct yo_peer *peer, int error)
{
    struct yo_transfer *transfer = peer->transfer;
    bool departing = peer->departing;

    peer->transfer = NULL;
    yo_list_remove(&peer->in_arriving);
    if (transfer && transfer->taker != peer->session_id) {
        yo_transfer_refuse(peer->worker, transfer, error);
    } else if (transfer) {
        yo_transfer_done(peer->worker, transfer);
    }
    if (departing) {
        peer->why = error == YOMO_ERR_KICKED ? error : YOMO_ERR_CLOSED;
        yo_local_leave_all(&peer->worker->local, peer);
        if (peer->last_word) {
            yo_conn_abort(peer->conn);
        }
        forget(peer);
    }
}

void yo_move_kick(struct yo_peer *peer)
{
    give_up(peer, YOMO_ERR_KICKED);
}

void yo_move_abandon(struct yo_peer *peer)
{
    give_up(peer, YOMO_ERR_NOT_FOUND);
}

/* --- B: arriving ------------------------------------------------------------------ */

static int append_tail(struct yo_peer *peer, const struct yo_transfer *transfer)
{
    const struct yo_tail *tail =
        (const struct yo_tail *)(const void *)transfer->tail.data;
    int rv = YOMO_OK;

    for (size_t i = 0; rv == YOMO_OK && i < transfer->tail.size / sizeof(*tail); i++) {
        const struct yo_outgoing out = {.message = tail[i].message,
                                        .delivery = YOMO_RELIABLE,
                                        .lane = tail[i].lane,
                                        /* It was sent before all that waits. */
                                        .priority = YOMO_URGENT};
        rv = yo_outbox_put(&peer->outbox, &out);
    }
    return rv;
}

/* In the order in which the client is to have it. */
static int take_over(struct yo_peer *peer, struct yo_transfer *transfer, yo_time now)
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
    rv = yo_outbox_append(&since, &peer->outbox);
    yo_effects_clear(effects);
    if (rv == YOMO_OK) {
        rv = yo_server_moved(peer->session, transfer->state, yo_move_token(peer, token),
                             transfer->again, now, effects);
    }
    if (rv == YOMO_OK) {
        yo_peer_carry_out(peer, effects, now);
        rv = append_tail(peer, transfer);
    }
    rv = rv == YOMO_OK ? yo_outbox_append(&peer->outbox, &transfer->outbox) : rv;
    rv = rv == YOMO_OK ? yo_outbox_append(&peer->outbox, &since) : rv;
    yo_outbox_finish(&since);
    return rv;
}

void yo_move_free_arrived(struct yo_peer *peer)
{
    struct yo_link *link;

    while ((link = yo_list_pop_front(&peer->arrived)) != NULL) {
        yo_note_free(YO_CONTAINER(link, struct yo_note, letter.link));
    }
}

static void check_arrived(struct yo_peer *peer, yo_time now)
{
    struct yo_worker *worker = peer->worker;
    struct yo_transfer *transfer = peer->transfer;
    int rv;

    if (!transfer || peer->arrivals < transfer->seats) {
        return;
    }
    peer->transfer = NULL;
    yo_list_remove(&peer->in_arriving);
    if (peer->lost) {
        peer->moving = 0;
        peer->arrivals = 0;
        yo_move_free_arrived(peer);
        yo_resume_park(peer, transfer, now);
        yo_transfer_done(worker, transfer);
        return;
    }
    rv = transfer->resume ? yo_resume_take_over(peer, transfer, now)
                          : take_over(peer, transfer, now);
    yo_transfer_done(worker, transfer);
    yo_move_free_arrived(peer);
    peer->moving = 0;
    peer->arrivals = 0;
    if (rv != YOMO_OK) {
        bool slow = rv == YOMO_ERR_FULL;
        yo_peer_end(peer, slow ? YO_CODE_SLOW : YO_CODE_TRY_LATER,
                    slow ? YOMO_ERR_SLOW : rv,
                    slow ? "too slow to receive" : "out of memory");
        return;
    }
    yo_metric_add(peer->resuming ? &peer->worker->metrics->resumed
                                 : &peer->worker->metrics->moved,
                  1);
    yo_peer_mark(peer);
    yo_local_recheck(&peer->worker->local, peer, now);
}

/* The one that takes `session`. NULL: it is gone. */
static struct yo_peer *taker(struct yo_worker *worker, uint64_t own, uint64_t session)
{
    struct yo_peer *peer = yo_worker_find_any(worker, own);

    return peer && peer->moving == session && (!peer->closing || peer->lost) ? peer
                                                                             : NULL;
}

void yo_transfer_open_answer(struct yo_letter *letter, void *box_user, yo_time now)
{
    struct yo_transfer *transfer = yo_transfer_of(letter);
    struct yo_peer *peer = taker(box_user, transfer->taker, transfer->session);

    if (!peer) {
        yo_transfer_done(box_user, transfer);
    } else if (transfer->error != YOMO_OK && peer->lost) {
        yo_resume_drop(peer, transfer->error);
        yo_transfer_free(transfer);
    } else if (transfer->error != YOMO_OK) {
        int error = transfer->error;
        bool arrived = peer->arrivals > 0;
        if (error == YOMO_ERR_KICKED) {
            yo_peer_end(peer, YO_CODE_KICKED, error, yomo_strerror(error));
        } else if (arrived) { /* some seats are here that the session does not know */
            yo_peer_end(peer, YO_CODE_TRY_LATER, error, "the move failed");
        } else {
            tell_refused(peer, error, yo_buf_span(&transfer->known));
        }
        yo_transfer_free(transfer);
    } else {
        peer->transfer = transfer;
        yo_list_push_back(&peer->worker->arriving, &peer->in_arriving);
        check_arrived(peer, now);
    }
}

bool yo_move_arrived(struct yo_worker *worker, struct yo_note *note, yo_time now)
{
    struct yo_peer *peer = taker(worker, note->number, note->session);
    bool resuming;

    if (peer) {
        if (yo_local_arrive(&worker->local, peer, note) == YOMO_OK) {
            peer->arrivals++;
            if (peer->resuming) { /* it has what was missed */
                yo_list_push_back(&peer->arrived, &note->letter.link);
            }
            resuming = peer->resuming;
            check_arrived(peer, now); /* one that is lost may be gone then */
            return resuming;
        }
        yo_peer_end(peer, YO_CODE_TRY_LATER, YOMO_ERR_NOMEM, "out of memory");
    }
    note->kind = YO_NOTE_LEAVE; /* nobody takes the seat */
    note->error = YOMO_ERR_CLOSED;
    yo_office_put(&worker->office, note->from, note);
    return true;
}
