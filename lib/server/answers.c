/* SPDX-License-Identifier: MIT */
/* answers.c - what homes send to the members of this worker: answers to what they
 * asked, and what happened in their rooms.
 *
 * A session must have an answer to each join and leave, in their order, whatever became
 * of the seat meanwhile; a seat takes only the answer to its own join. */
#include "base/check.h"
#include "base/prefetch.h"
#include "server/local.h"
#include "server/log.h"
#include "server/move.h"
#include "server/worker.h"

/* The seat that an answer is about, unless it left or asked anew meanwhile. */
static struct yo_seat *seat_answered(struct yo_local *local, const struct yo_peer *peer,
                                     const struct yo_note *note)
{
    struct yo_local_room *room = yo_local_room_find(local, yo_blob_span(note->room));
    struct yo_seat *seat = room && peer ? yo_seat_find(peer, room) : NULL;

    return seat && seat->ticket == note->ticket ? seat : NULL;
}

/* The session had its answer or not; either way it is carried out. */
static void answered(struct yo_peer *peer, int rv, yo_time now)
{
    if (rv == YOMO_OK) {
        yo_peer_carry_out(peer, &peer->worker->effects, now);
    } else {
        yo_peer_end(peer, YO_CODE_TRY_LATER, YOMO_ERR_NOMEM, "out of memory");
    }
}

/* What was said before goes where the data go, so that it comes before them. */
static void put_said(struct yo_peer *peer, uint32_t lane, const struct yo_note *note)
{
    for (size_t i = 0; i < note->said_count && !peer->closing; i++) {
        yo_peer_put(peer, note->said[i], YOMO_RELIABLE, lane, true, YO_SPAN_NONE, 0);
    }
}

/* However large it is, it is no reason to close the one who joins; but whoever joins
 * again and again takes them too. */
static void put_snapshot(struct yo_peer *peer, const struct yo_note *note)
{
    if (peer->outbox.snapshot_bytes > peer->outbox.reliable_max) {
        yo_peer_end(peer, YO_CODE_SLOW, YOMO_ERR_SLOW, "too many snapshots wait");
    }
    for (size_t i = 0; i < note->parcel_count && !peer->closing; i++) {
        if (peer->presencejs) {
            yo_peer_put_presence(peer, note->parcels[i]);
        } else {
            yo_peer_put_out(peer, &(struct yo_outgoing){.message = note->parcels[i],
                                                        .delivery = YOMO_RELIABLE,
                                                        .lane = YO_LANE_CONTROL,
                                                        .snapshot = true});
        }
    }
}

static void joined(struct yo_local *local, struct yo_note *note, yo_time now)
{
    struct yo_worker *worker = local->worker;
    struct yo_peer *peer = yo_worker_find(worker, note->session);
    struct yo_seat *seat = seat_answered(local, peer, note);
    struct yo_span name = yo_room_key_name(note->room);

    if (!peer) {
        return; /* its LEAVE is on the way */
    }
    if (seat) { /* else it has left: its session knows what to make of the answer */
        yo_seat_enter(local, seat);
        YO_LOG_WITH(worker->log, YOMO_LOG_DEBUG, "server", YO_LOG_SEAT(peer, name),
                    note->observer ? "joined, unseen" : "joined");
    }
    if (note->observer) {
        yo_server_set_observer(peer->session, name);
    }
    yo_effects_clear(&worker->effects);
    answered(peer,
             yo_server_joined(peer->session, name, note->sequence, note->epoch, now,
                              &worker->effects),
             now);
    if (!seat || peer->closing) {
        return;
    }
    seat->lane = yo_server_session_lane(peer->session, name);
    put_snapshot(peer, note);
    if (!peer->closing) { /* else its seat is gone */
        put_said(peer, seat->lane, note);
    }
}

/* The answer to a question for history. */
static void told(struct yo_local *local, struct yo_note *note, yo_time now)
{
    struct yo_worker *worker = local->worker;
    struct yo_peer *peer = yo_worker_find(worker, note->session);
    struct yo_local_room *room = yo_local_room_find(local, yo_blob_span(note->room));
    /* Whichever seat it has there now: the number is the client's alone. */
    struct yo_seat *seat = room && peer ? yo_seat_find(peer, room) : NULL;

    if (seat && seat->joined && note->error == YOMO_OK) {
        put_said(peer, seat->lane, note);
    } else if (peer) {
        yo_effects_clear(&worker->effects);
        answered(peer,
                 yo_server_confirm(
                     peer->session, yo_room_key_name(note->room), note->number, 0,
                     note->error ? note->error : YOMO_ERR_NOT_FOUND, &worker->effects),
                 now);
    }
}

static void refused(struct yo_local *local, struct yo_note *note, yo_time now)
{
    struct yo_worker *worker = local->worker;
    struct yo_peer *peer = yo_worker_find(worker, note->session);
    struct yo_seat *seat = seat_answered(local, peer, note);
    const char *why = note->why ? note->why : yomo_strerror(note->error);

    if (!peer) {
        return;
    }
    if (seat) {
        yo_seat_hook_left(local, seat);
        yo_seat_free(local, seat);
    }
    YO_COMPLAIN(
        worker, YO_COMPLAINT_MESSAGE, now,
        yo_log_error(YO_LOG_SEAT(peer, yo_room_key_name(note->room)), note->error),
        "not let into a room: %s", why);
    yo_effects_clear(&worker->effects);
    answered(peer,
             yo_server_refused(peer->session, yo_room_key_name(note->room), note->error,
                               yo_span_of(why), &worker->effects),
             now);
}

static void left(struct yo_local *local, struct yo_note *note, yo_time now)
{
    struct yo_worker *worker = local->worker;
    struct yo_peer *peer = yo_worker_find(worker, note->session);

    if (peer) {
        yo_effects_clear(&worker->effects);
        answered(peer,
                 yo_server_left(peer->session, yo_room_key_name(note->room), YOMO_OK,
                                YO_SPAN_NONE, &worker->effects),
                 now);
    }
}

static void confirm(struct yo_local *local, struct yo_note *note, yo_time now)
{
    struct yo_worker *worker = local->worker;
    struct yo_peer *peer = yo_worker_find(worker, note->session);

    if (!peer) {
        return;
    }
    if (note->number == 0) {
        yo_peer_end(peer, YO_CODE_TRY_LATER, note->error, "the server is overloaded");
        return;
    }
    yo_effects_clear(&worker->effects);
    answered(peer,
             note->error != YOMO_OK && note->limit
                 ? yo_server_over_limit(peer->session, yo_room_key_name(note->room),
                                        note->number, note->error, note->limit,
                                        &worker->effects)
                 : yo_server_confirm(peer->session, yo_room_key_name(note->room),
                                     note->number, note->sequence, note->error,
                                     &worker->effects),
             now);
}

static void give(struct yo_seat *seat, const struct yo_note *note)
{
    struct yo_peer *peer = seat->peer;
    struct yo_blob *message =
        note->encoded[peer->presencejs ? YO_DIALECT_PRESENCEJS : YO_DIALECT_YOMO];

    if (!message || peer->session_id == note->session) {
        return;
    }
    if (note->control && peer->presencejs) {
        yo_peer_put_presence(peer, message);
    } else {
        /* Changes go with the data, so that nobody speaks before it came. */
        const struct yo_outgoing out = {.message = message,
                                        .delivery = note->delivery,
                                        .lane = seat->lane,
                                        .insist = note->insist,
                                        .slot = note->key,
                                        .version = note->version,
                                        .priority = note->priority,
                                        .expires = note->expires,
                                        .came = note->came};
        if (note->delivery == YOMO_LATEST) {
            yo_peer_put_latest(peer, &out, seat->pace);
        } else {
            yo_peer_put_out(peer, &out);
        }
    }
}

/* The seat of `session`; of one that moves here under its own name. */
static struct yo_seat *seat_of(struct yo_local *local, struct yo_local_room *room,
                               uint64_t session)
{
    struct yo_peer *peer = yo_worker_find(local->worker, session);
    struct yo_seat *seat = peer ? yo_seat_find(peer, room) : NULL;

    if (seat && yo_peer_seated_as(peer) == session) {
        return seat->joined ? seat : NULL;
    }
    YO_LIST_EACH(link, next, &room->seats)
    {
        seat = YO_CONTAINER(link, struct yo_seat, in_room);
        if (yo_peer_seated_as(seat->peer) == session) {
            return seat;
        }
    }
    return NULL;
}

/* Of the next seat what a message goes through, of the one behind it what leads there. */
static void prefetch(const struct yo_link *next, const struct yo_link *end)
{
    const struct yo_peer *peer;

    if (next == end) {
        return;
    }
    yo_worker_prefetch(YO_CONTAINER(next, struct yo_seat, in_room)->peer);
    if (next->next != end) {
        peer = YO_CONTAINER(next->next, struct yo_seat, in_room)->peer;
        yo_prefetch(peer, offsetof(struct yo_peer, in_park));
    }
}

static void deliver(struct yo_local *local, struct yo_local_room *room,
                    const struct yo_note *note, yo_time now)
{
    if (note->expires <= now) {
        yo_metric_add(&local->worker->metrics->dropped_expired, 1);
        return;
    }
    room->count++; /* a receiver that is closed here gives its seat back */
    if (note->targets) {
        for (size_t at = 0; at < note->targets->size; at += sizeof(uint64_t)) {
            uint64_t session;
            struct yo_seat *seat;
            memcpy(&session, note->targets->data + at, sizeof(session));
            seat = seat_of(local, room, session);
            if (seat) {
                give(seat, note);
            }
        }
        yo_local_room_release(local, room);
        return;
    }
    /* Where nothing else is to come in this turn each one's goes out at once: of a large
     * room nothing of the first one is in the processor's caches any more when the last
     * one has had its message. */
    struct yo_worker *worker = local->worker;
    bool last = yo_worker_last_letter(worker);
    YO_LIST_EACH(link, next, &room->seats)
    {
        const struct yo_link *before = worker->dirty.prev;
        if (last) {
            prefetch(next, &room->seats);
        }
        give(YO_CONTAINER(link, struct yo_seat, in_room), note);
        if (last && worker->dirty.prev != before) {
            yo_worker_flush_newest(worker, now);
        }
    }
    yo_local_room_release(local, room);
}

/* Something did not reach this worker: everybody in the room comes again. */
static void lost(struct yo_local *local, struct yo_local_room *room)
{
    room->count++;
    YO_LIST_EACH(link, next, &room->seats)
    {
        struct yo_seat *seat = YO_CONTAINER(link, struct yo_seat, in_room);
        yo_peer_end(seat->peer, YO_CODE_TRY_LATER, YOMO_ERR_NOMEM, "out of memory");
    }
    yo_local_room_release(local, room);
}

void yo_local_take(struct yo_local *local, struct yo_note *note, yo_time now)
{
    struct yo_local_room *room;

    switch (note->kind) {
    case YO_NOTE_JOINED:
        joined(local, note, now);
        break;
    case YO_NOTE_REFUSED:
        refused(local, note, now);
        break;
    case YO_NOTE_LEFT:
        left(local, note, now);
        break;
    case YO_NOTE_CONFIRM:
        confirm(local, note, now);
        break;
    case YO_NOTE_TOLD:
        told(local, note, now);
        break;
    case YO_NOTE_DEPARTED:
        yo_move_departed(local->worker, note, now);
        break;
    case YO_NOTE_ARRIVED:
        if (yo_move_arrived(local->worker, note, now)) {
            return;
        }
        break;
    case YO_NOTE_DELIVER:
    case YO_NOTE_LOST:
        room = yo_local_room_find(local, yo_blob_span(note->room));
        if (room && note->kind == YO_NOTE_DELIVER) {
            deliver(local, room, note, now);
        } else if (room) {
            lost(local, room);
        }
        break;
    default:
        assert(!"a note for a home came to members");
    }
    if (note->kind != YO_NOTE_DELIVER) {
        struct yo_peer *peer = yo_worker_find(local->worker, note->session);
        if (peer) {
            yo_move_check(peer, now);
        }
    }
    yo_note_free(note);
}
