/* SPDX-License-Identifier: MIT */
/* local.c - invariants:
 *  1. a room is in `rooms` while it has a seat, waiting or joined;
 *  2. `seats` of a room has the joined ones only, so that nobody hears a room before
 * its own ACK is queued;
 *  3. a peer has at most one seat in a room, and each seat its `leave` note;
 *  4. the host's on_join and on_leave come in pairs: a seat that was allowed and then
 *     refused by the home is told as left. */
#include "server/local.h"

#include "base/check.h"
#include "server/handle.h"
#include "server/hooks.h"
#include "server/log.h"
#include "server/worker.h"

void yo_local_init(struct yo_local *local, struct yo_worker *worker)
{
    local->worker = worker;
    local->last_ticket = 0;
    yo_map_init(&local->rooms, worker->mem);
    yo_buf_init(&local->json, worker->mem);
    yo_buf_init(&local->names, worker->mem);
}

void yo_local_finish(struct yo_local *local)
{
    assert(local->rooms.count == 0);
    yo_map_finish(&local->rooms);
    yo_buf_finish(&local->json);
    yo_buf_finish(&local->names);
}

/* --- rooms and seats ------------------------------------------------------------- */

struct yo_local_room *yo_local_room_find(struct yo_local *local, struct yo_span key)
{
    struct yo_map_node *node = yo_map_get(&local->rooms, key);

    return node ? YO_CONTAINER(node, struct yo_local_room, node) : NULL;
}

static struct yo_local_room *room_make(struct yo_local *local, struct yo_blob *key)
{
    struct yo_local_room *room = yo_calloc(local->worker->mem, 1, sizeof(*room));

    if (!room) {
        return NULL;
    }
    if (yo_map_put(&local->rooms, &room->node, yo_blob_span(key)) != YOMO_OK) {
        yo_free(local->worker->mem, room);
        return NULL;
    }
    room->key = yo_blob_ref(key);
    room->home = yo_worker_home(local->worker, yo_blob_span(key));
    yo_list_init(&room->seats);
    return room;
}

void yo_local_room_release(struct yo_local *local, struct yo_local_room *room)
{
    assert(room->count > 0);
    if (--room->count == 0) {
        yo_map_remove(&local->rooms, &room->node);
        yo_blob_unref(room->key);
        yo_free(local->worker->mem, room);
    }
}

struct yo_seat *yo_seat_find(const struct yo_peer *peer,
                             const struct yo_local_room *room)
{
    YO_LIST_EACH(link, next, &peer->seats)
    {
        struct yo_seat *seat = YO_CONTAINER(link, struct yo_seat, in_peer);
        if (seat->room == room) {
            return seat;
        }
    }
    return NULL;
}

struct yo_seat *yo_seat_named(struct yo_local *local, const struct yo_peer *peer,
                              struct yo_span name)
{
    uint8_t bytes[YO_ROOM_KEY_MAX];
    struct yo_local_room *room = yo_local_room_find(
        local, yo_room_key_write(bytes, yo_span_of(peer->app), name));

    return room ? yo_seat_find(peer, room) : NULL;
}

/* Under which its seats are known: one that moves here has those of the other. */
uint64_t yo_peer_seated_as(const struct yo_peer *peer)
{
    return peer->moving ? peer->moving : peer->session_id;
}

void yo_seat_member(const struct yo_seat *seat, struct yomo_member *member)
{
    const struct yo_peer *peer = seat->peer;

    *member = (struct yomo_member){
        .id = peer->id,
        .app = peer->app,
        .address = peer->address,
        .room = (const char *)yo_room_key_name(seat->room->key).data,
        .session = yo_peer_seated_as(peer)};
}

void yo_seat_hook_left(struct yo_local *local, const struct yo_seat *seat)
{
    const struct yo_config *config = local->worker->config;
    struct yomo_member member;

    if (config->hooks.on_leave) {
        yo_seat_member(seat, &member);
        config->hooks.on_leave(config->hooks_user, &member);
    }
}

static yo_metric *seat_gauge(struct yo_local *local, const struct yo_seat *seat)
{
    struct yo_metrics *metrics = local->worker->metrics;

    return seat->observer ? &metrics->observers : &metrics->members;
}

void yo_seat_enter(struct yo_local *local, struct yo_seat *seat)
{
    seat->joined = true;
    yo_metric_add(seat_gauge(local, seat), 1);
    yo_list_push_back(&seat->room->seats, &seat->in_room);
}

void yo_seat_free(struct yo_local *local, struct yo_seat *seat)
{
    if (seat->joined) {
        yo_metric_less(seat_gauge(local, seat));
    }
    yo_list_remove(&seat->in_peer);
    yo_list_remove(&seat->in_room);
    yo_note_free(seat->leave);
    yo_local_room_release(local, seat->room);
    yo_free(local->worker->mem, seat);
}

void yo_seat_leave(struct yo_local *local, struct yo_seat *seat, int why)
{
    struct yo_note *leave = seat->leave;
    uint32_t home = seat->room->home;

    YO_LOG_WITH(
        local->worker->log, YOMO_LOG_DEBUG, "server",
        yo_log_error(YO_LOG_SEAT(seat->peer, yo_room_key_name(seat->room->key)), why),
        "left");
    leave->error = why;
    seat->leave = NULL;
    yo_peer_end_lane(seat->peer, seat->lane);
    yo_office_put(&local->worker->office, home, leave);
    yo_seat_hook_left(local, seat);
    yo_seat_free(local, seat);
}

/* --- what peers ask for ---------------------------------------------------------- */

struct yo_note *yo_seat_note(struct yo_local *local, enum yo_note_kind kind,
                             const struct yo_seat *seat, struct yo_span label,
                             struct yo_span event, struct yo_span key)
{
    struct yo_note *note =
        yo_note_create(local->worker->mem, kind, seat->room->key,
                       yo_span_of(seat->peer->id), label, event, key);

    if (note) {
        note->session = yo_peer_seated_as(seat->peer);
        note->ticket = seat->ticket;
        note->presencejs = seat->peer->presencejs;
    }
    return note;
}

static struct yo_seat *seat_make(struct yo_local *local, struct yo_peer *peer,
                                 struct yo_span span)
{
    const struct yomo_mem *mem = local->worker->mem;
    struct yo_seat *seat = yo_calloc(mem, 1, sizeof(*seat));
    struct yo_local_room *room = yo_local_room_find(local, span);
    struct yo_blob *key;

    if (!seat) {
        return NULL;
    }
    if (!room) {
        key = yo_room_key(mem, span);
        room = key ? room_make(local, key) : NULL;
        yo_blob_unref(key);
    }
    if (!room) {
        yo_free(mem, seat);
        return NULL;
    }
    room->count++;
    seat->room = room;
    seat->peer = peer;
    seat->ticket = ++local->last_ticket;
    yo_list_init(&seat->in_room);
    yo_list_push_back(&peer->seats, &seat->in_peer);
    seat->leave = yo_seat_note(local, YO_NOTE_LEAVE, seat, YO_SPAN_NONE, YO_SPAN_NONE,
                               YO_SPAN_NONE);
    if (!seat->leave) {
        yo_seat_free(local, seat);
        return NULL;
    }
    return seat;
}

static unsigned may_in(const struct yo_peer *peer, struct yo_span room)
{
    return peer->grants ? yo_grants_for_room(peer->grants, room) : YO_MAY_ALL_BUT_ADMIN;
}

static int ask(struct yo_local *local, struct yo_peer *peer,
               const struct yo_effect *effect)
{
    const struct yo_config *config = local->worker->config;
    struct yo_seat *seat = yo_seat_named(local, peer, effect->room);
    uint8_t bytes[YO_ROOM_KEY_MAX];
    struct yo_note *note;
    struct yomo_member member;
    int rv = YOMO_OK;
    bool state; /* there is one that he may have */
    unsigned may = may_in(peer, effect->room);

    if (seat) {
        return YOMO_ERR_EXISTS;
    }
    if (!(may & YO_MAY_JOIN)) {
        return YOMO_ERR_DENIED;
    }
    if (yo_server_banned(local->worker->server, peer->app, effect->room, peer->id,
                         peer->address)) {
        return YOMO_ERR_KICKED;
    }
    seat = seat_make(local, peer,
                     yo_room_key_write(bytes, yo_span_of(peer->app), effect->room));
    if (!seat) {
        return YOMO_ERR_NOMEM;
    }
    seat->may = (uint8_t)may;
    seat->pace = effect->pace_ms * YO_MS > config->latest_interval
                     ? effect->pace_ms * YO_MS
                     : config->latest_interval;
    note = yo_seat_note(local, YO_NOTE_JOIN, seat, effect->label, YO_SPAN_NONE,
                        YO_SPAN_NONE);
    seat->observer = effect->observe || !(may & YO_MAY_PRESENCE);
    state = effect->payload.data && !seat->observer;
    if (note && state) {
        note->payload = yo_blob_create(local->worker->mem, effect->payload);
    }
    if (!note || (state && !note->payload)) {
        rv = YOMO_ERR_NOMEM;
    } else if (config->hooks.on_join) {
        yo_seat_member(seat, &member);
        rv = config->hooks.on_join(config->hooks_user, &member);
        rv = rv > 0 ? YOMO_ERR_DENIED : rv;
    }
    if (rv != YOMO_OK) {
        yo_note_free(note);
        yo_seat_free(local, seat);
        return rv;
    }
    note->observer = seat->observer;
    note->data = peer->data ? yo_blob_ref(peer->data) : NULL;
    note->since_ms = yo_wall_ms();
    memcpy(note->position.place, effect->places, sizeof(note->position.place));
    note->hist = effect->hist;
    note->epoch = effect->epoch;
    note->number = effect->session;
    yo_office_put(&local->worker->office, seat->room->home, note);
    return YOMO_OK;
}

/* An answer of this worker itself that must not come inside the call. One to a join or
 * a leave goes by way of the home, so that it keeps its turn among other answers; a
 * CONFIRM comes back at the end of the turn. */
void yo_local_answer(struct yo_local *local, struct yo_peer *peer,
                     enum yo_note_kind kind, struct yo_span name, uint64_t number,
                     int error)
{
    const struct yomo_mem *mem = local->worker->mem;
    uint8_t bytes[YO_ROOM_KEY_MAX];
    struct yo_span span = yo_room_key_write(bytes, yo_span_of(peer->app), name);
    struct yo_blob *key = yo_room_key(mem, span);
    struct yo_note *note =
        key ? yo_note_create(mem, kind, key, YO_SPAN_NONE, YO_SPAN_NONE, YO_SPAN_NONE,
                             YO_SPAN_NONE)
            : NULL;

    yo_blob_unref(key);
    if (!note) {
        yo_peer_end(peer, YO_CODE_TRY_LATER, YOMO_ERR_NOMEM, "out of memory");
        return;
    }
    note->session = peer->session_id;
    note->number = number;
    note->error = error;
    yo_office_put(&local->worker->office,
                  kind == YO_NOTE_CONFIRM ? local->worker->index
                                          : yo_worker_home(local->worker, span),
                  note);
}

void yo_local_join(struct yo_local *local, struct yo_peer *peer,
                   const struct yo_effect *effect)
{
    int rv = ask(local, peer, effect);

    if (rv != YOMO_OK) {
        yo_metric_add(&local->worker->metrics->joins_refused, 1);
        yo_local_answer(local, peer, YO_NOTE_BOUNCE, effect->room, 0, rv);
    }
}

void yo_local_leave(struct yo_local *local, struct yo_peer *peer, struct yo_span room)
{
    struct yo_seat *seat = yo_seat_named(local, peer, room);

    if (seat) {
        yo_seat_leave(local, seat, YOMO_OK);
    } else { /* it was not let in, but its session does not know yet */
        yo_local_answer(local, peer, YO_NOTE_LEAVE, room, 0, YOMO_OK);
    }
}

int yo_local_arrive(struct yo_local *local, struct yo_peer *peer,
                    const struct yo_note *note)
{
    struct yo_seat *seat = seat_make(local, peer, yo_blob_span(note->room));

    if (!seat) {
        return YOMO_ERR_NOMEM;
    }
    seat->may = (uint8_t)may_in(peer, yo_room_key_name(note->room));
    seat->lane = note->lane;
    seat->pace = note->pace;
    seat->observer = note->observer;
    yo_seat_enter(local, seat);
    return YOMO_OK;
}

/* The home finds out whether that is something new. */
static void tell_data(struct yo_local *local, struct yo_seat *seat)
{
    struct yo_blob *data = seat->peer->data;
    struct yo_note *note = yo_seat_note(local, YO_NOTE_DATA, seat, YO_SPAN_NONE,
                                        YO_SPAN_NONE, YO_SPAN_NONE);

    if (note) {
        note->data = data ? yo_blob_ref(data) : NULL;
        yo_office_put(&local->worker->office, seat->room->home, note);
    } else { /* it comes again, and then it is told */
        yo_peer_end(seat->peer, YO_CODE_TRY_LATER, YOMO_ERR_NOMEM, "out of memory");
    }
}

void yo_local_recheck(struct yo_local *local, struct yo_peer *peer, yo_time now)
{
    struct yo_effects effects; /* not the worker's: those may be being carried out */

    yo_effects_init(&effects, local->worker->mem);
    YO_LIST_EACH(link, next, &peer->seats)
    {
        struct yo_seat *seat = YO_CONTAINER(link, struct yo_seat, in_peer);
        seat->may = (uint8_t)may_in(peer, yo_room_key_name(seat->room->key));
        if (seat->may & YO_MAY_JOIN) {
            tell_data(local, seat);
            continue;
        }
        yo_effects_clear(&effects);
        if (yo_server_left(peer->session, yo_room_key_name(seat->room->key),
                           YOMO_ERR_DENIED, yo_span_of(yomo_strerror(YOMO_ERR_DENIED)),
                           &effects) != YOMO_OK) {
            yo_peer_end(peer, YO_CODE_TRY_LATER, YOMO_ERR_NOMEM, "out of memory");
            break;
        }
        yo_seat_leave(local, seat, YOMO_ERR_DENIED);
        yo_peer_carry_out(peer, &effects, now);
        if (peer->closing) {
            break;
        }
    }
    yo_effects_finish(&effects);
}

void yo_local_keep(struct yo_local *local, struct yo_peer *peer, bool tell)
{
    YO_LIST_EACH(link, next, &peer->seats)
    {
        struct yo_seat *seat = YO_CONTAINER(link, struct yo_seat, in_peer);
        struct yo_note *note = NULL;
        if (!seat->joined) {
            yo_seat_leave(local, seat, peer->why);
            continue;
        }
        if (tell) { /* without memory they do not hear of it */
            note = yo_seat_note(local, YO_NOTE_STALE, seat, YO_SPAN_NONE, YO_SPAN_NONE,
                                YO_SPAN_NONE);
        }
        if (note) {
            yo_office_put(&local->worker->office, seat->room->home, note);
        }
    }
}

void yo_local_put_out(struct yo_local *local, struct yo_seat *seat, int error,
                      struct yo_span why, yo_time now)
{
    struct yo_peer *peer = seat->peer;
    struct yo_effects effects; /* not the worker's: those may be being carried out */

    yo_effects_init(&effects, local->worker->mem);
    if (yo_server_left(peer->session, yo_room_key_name(seat->room->key), error, why,
                       &effects) == YOMO_OK) {
        yo_seat_leave(local, seat, error);
        yo_peer_carry_out(peer, &effects, now);
    } else {
        yo_peer_end(peer, YO_CODE_TRY_LATER, YOMO_ERR_NOMEM, "out of memory");
    }
    yo_effects_finish(&effects);
}

void yo_local_leave_all(struct yo_local *local, struct yo_peer *peer)
{
    while (!yo_list_empty(&peer->seats)) {
        yo_seat_leave(local, YO_CONTAINER(peer->seats.next, struct yo_seat, in_peer),
                      peer->why);
    }
}

void yo_local_state(struct yo_local *local, struct yo_peer *peer,
                    const struct yo_effect *effect)
{
    struct yo_seat *seat = yo_seat_named(local, peer, effect->room);
    struct yo_note *note;

    if (seat && (seat->observer || !(seat->may & YO_MAY_PRESENCE))) {
        yo_metric_add(&local->worker->metrics->dropped_denied, 1);
        return;
    }
    note = seat ? yo_seat_note(local, YO_NOTE_STATE, seat, effect->label, YO_SPAN_NONE,
                               YO_SPAN_NONE)
                : NULL;

    if (note) {
        note->payload = yo_blob_create(local->worker->mem, effect->payload);
        note->number = effect->number;
    }
    if (note && note->payload) {
        yo_office_put(&local->worker->office, seat->room->home, note);
        return;
    }
    yo_note_free(note);
    yo_metric_add(seat ? &local->worker->metrics->dropped_memory
                       : &local->worker->metrics->dropped_not_joined,
                  1);
}

void yo_local_history(struct yo_local *local, struct yo_peer *peer,
                      const struct yo_effect *effect)
{
    struct yo_seat *seat = yo_seat_named(local, peer, effect->room);
    struct yo_note *note = seat ? yo_seat_note(local, YO_NOTE_HISTORY, seat,
                                               YO_SPAN_NONE, YO_SPAN_NONE, YO_SPAN_NONE)
                                : NULL;

    if (!note) {
        yo_local_answer(local, peer, YO_NOTE_CONFIRM, effect->room, effect->number,
                        seat ? YOMO_ERR_NOMEM : YOMO_ERR_NOT_FOUND);
        return;
    }
    note->number = effect->number;
    note->sequence = effect->sequence;
    note->hist = effect->max;
    yo_office_put(&local->worker->office, seat->room->home, note);
}
