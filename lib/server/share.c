/* SPDX-License-Identifier: MIT */
/* share.c - a member asks for a change of what its room shares, or for a lock: on its
 * way to the home of the room (values.c), if it may send. */
#include "base/check.h"
#include "server/local.h"
#include "server/worker.h"

static int ask(struct yo_local *local, const struct yo_seat *seat,
               const struct yo_effect *effect)
{
    struct yo_worker *worker = local->worker;
    bool value = effect->kind == YO_EFFECT_VALUE;
    struct yo_note *note;

    if (!(seat->may & YO_MAY_SEND)) {
        return YOMO_ERR_DENIED;
    }
    if (yo_desk_full(&worker->office.desks[seat->room->home])) {
        return YOMO_ERR_FULL;
    }
    note = yo_seat_note(local, value ? YO_NOTE_VALUE : YO_NOTE_LOCK, seat, YO_SPAN_NONE,
                        YO_SPAN_NONE, effect->key);
    if (note && effect->payload.data) {
        note->payload = yo_blob_create(worker->mem, effect->payload);
    }
    if (!note || (effect->payload.data && !note->payload)) {
        yo_note_free(note);
        return YOMO_ERR_NOMEM;
    }
    note->number = effect->number;
    note->version = effect->version;
    note->versioned = effect->versioned;
    note->lease_ms = effect->after_ms;
    note->wait = effect->wait;
    yo_office_put(&worker->office, seat->room->home, note);
    return YOMO_OK;
}

void yo_local_share(struct yo_local *local, struct yo_peer *peer,
                    const struct yo_effect *effect)
{
    struct yo_metrics *metrics = local->worker->metrics;
    struct yo_seat *seat = yo_seat_named(local, peer, effect->room);
    int rv = seat ? ask(local, seat, effect) : YOMO_ERR_NOT_FOUND;

    if (rv == YOMO_OK) {
        return;
    }
    yo_metric_add(rv == YOMO_ERR_FULL     ? &metrics->dropped_overload
                  : rv == YOMO_ERR_NOMEM  ? &metrics->dropped_memory
                  : rv == YOMO_ERR_DENIED ? &metrics->dropped_denied
                                          : &metrics->dropped_not_joined,
                  1);
    if (effect->number != 0) {
        yo_local_answer(local, peer, YO_NOTE_CONFIRM, effect->room, effect->number, rv);
    }
}
