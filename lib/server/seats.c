/* SPDX-License-Identifier: MIT */
/* seats.c - who has a seat in a room of this home: coming, going, changing the worker,
 * saying something about oneself. */
#include "base/check.h"
#include "server/apps.h"
#include "server/events.h"
#include "wire/encode.h"

enum { YOMO = YO_DIALECT_YOMO, PRESENCEJS = YO_DIALECT_PRESENCEJS };

static int let_in(struct yo_home *home, struct yo_home_room *hr, struct yo_note *note,
                  struct yo_member **member, struct yo_changes *changes)
{
    struct yo_presence_at *at = &hr->at[note->from];
    struct yo_room_entry entry = {.session = note->session,
                                  .id = note->id,
                                  .label = note->label,
                                  .state = note->payload,
                                  .data = note->data,
                                  .since_ms = note->since_ms,
                                  .presencejs = note->presencejs,
                                  .observer = note->observer,
                                  .seat = (void *)(uintptr_t)note->from};
    bool first = hr->room.sequence == 0;
    int rv;

    if (first) { /* that it was opened is the first place: nobody has none */
        (void)yo_room_place(&hr->room, 0, true);
    }
    if (!at->lost) {
        at->lost = yo_note_create(home->mem, YO_NOTE_LOST, hr->key, YO_SPAN_NONE,
                                  YO_SPAN_NONE, YO_SPAN_NONE, YO_SPAN_NONE);
    }
    rv = at->lost ? yo_home_snapshot(home, hr, note) : YOMO_ERR_NOMEM;
    rv = rv == YOMO_OK ? yo_home_recall(home, hr, note) : rv;
    if (rv == YOMO_OK) {
        rv = yo_room_join(&hr->room, &entry, member, changes);
    }
    if (rv == YOMO_OK) {
        at->members[note->presencejs ? PRESENCEJS : YOMO]++;
    } else if (first) {
        hr->room.sequence = 0;
    }
    return rv;
}

void yo_home_join(struct yo_home *home, struct yo_note *note)
{
    struct yo_home_room *hr = yo_home_find(home, note->room);
    struct yo_changes changes = {0};
    struct yo_member *member = NULL;
    struct yo_app *share = NULL;
    int rv = YOMO_OK;

    if (!hr || !hr->app) {
        rv = yo_home_take_share(home, note->room, &share);
        if (rv == YOMO_ERR_FULL) {
            yo_metric_add(&home->metrics->joins_app_full, 1);
            note->why = yo_app_limit_text(YO_APP_ROOMS);
        }
    }
    if (rv == YOMO_OK && !hr) {
        rv = yo_home_open(home, note->room, &hr);
    }
    if (rv == YOMO_OK && share) {
        hr->app = share;
    } else {
        yo_home_give_share(home, share);
    }
    if (rv == YOMO_OK && yo_home_waits(home, note)) {
        return; /* for what the store knows of it */
    }
    if (rv == YOMO_OK && hr->closing) {
        rv = YOMO_ERR_KICKED;
    }
    if (rv == YOMO_OK) {
        rv = yo_home_take_quota(home, hr, &hr->joins);
    }
    if (rv == YOMO_OK) {
        rv = let_in(home, hr, note, &member, &changes);
    }
    if (rv == YOMO_OK) {
        yo_home_wake(home, hr);
        member->joined_at = hr->room.sequence;
        yo_home_tell_came(home, hr, member);
        yo_metric_add(&home->metrics->joins, 1);
        note->epoch = hr->epoch;
        yo_home_answer(home, note, YO_NOTE_JOINED, YOMO_OK, hr->room.sequence);
        yo_home_tell_changes(home, hr, &changes, member);
        yo_changes_finish(&changes);
        return;
    }
    if (hr) {
        yo_home_rest_if_empty(home, hr);
    }
    yo_metric_add(&home->metrics->joins_refused, 1);
    yo_home_answer(home, note, YO_NOTE_REFUSED, rv, 0);
}

/* It may come back without its seat: what was said to it by name nobody tells it then.
 */
static void note_absent(struct yo_home *home, struct yo_home_room *hr,
                        const struct yo_member *member, int why)
{
    struct yo_position named = member->gone;
    bool any = false;

    if (member->presencejs || why == YOMO_OK || why == YOMO_ERR_KICKED) {
        return;
    }
    yo_record_named(&hr->history.recent, member->session, home->now, &named);
    for (int p = 0; p < YO_PRIORITIES; p++) {
        any |= named.place[p] != 0;
    }
    if (any) {
        yo_absent_put(&hr->absent, member->session, member->id, &named);
    }
}

void yo_home_leave(struct yo_home *home, struct yo_note *note)
{
    struct yo_home_room *hr = yo_home_find(home, note->room);
    struct yo_member *member = hr ? yo_room_find(&hr->room, note->session) : NULL;
    struct yo_changes changes = {0};
    struct yo_presence_at *at;

    if (member) { /* else it was refused */
        at = &hr->at[yo_home_worker_of(member)];
        at->members[member->presencejs ? PRESENCEJS : YOMO]--;
        yo_home_tell_left(home, hr, member, note->error);
        note_absent(home, hr, member, note->error);
        (void)yo_room_leave(&hr->room, note->session, &changes);
        yo_home_tell_changes(home, hr, &changes, NULL);
        yo_changes_finish(&changes);
        yo_home_locks_leave(home, hr, note->session,
                            note->error != YOMO_OK && note->error != YOMO_ERR_KICKED);
        if (at->members[YOMO] + at->members[PRESENCEJS] == 0) {
            yo_note_free(at->lost);
            at->lost = NULL;
        }
        yo_home_rest_if_empty(home, hr);
    }
    yo_home_answer(home, note, YO_NOTE_LEFT, YOMO_OK, 0);
}

int yo_home_move(struct yo_home *home, struct yo_note *note)
{
    struct yo_home_room *hr = yo_home_find(home, note->room);
    struct yo_member *member = hr ? yo_room_find(&hr->room, note->session) : NULL;
    struct yo_presence_at *from, *to;

    if (!member) {
        return YOMO_ERR_NOT_FOUND; /* it was refused */
    }
    from = &hr->at[yo_home_worker_of(member)];
    to = &hr->at[note->to];
    if (!to->lost) {
        to->lost = yo_note_create(home->mem, YO_NOTE_LOST, hr->key, YO_SPAN_NONE,
                                  YO_SPAN_NONE, YO_SPAN_NONE, YO_SPAN_NONE);
    }
    if (!to->lost || (note->resume && yo_home_catch_up(home, hr, member, note,
                                                       note->twin) != YOMO_OK)) {
        return YOMO_ERR_NOMEM;
    }
    to->members[YOMO]++; /* presencejs does not move */
    from->members[YOMO]--;
    member->seat = (void *)(uintptr_t)note->to;
    if (from->members[YOMO] + from->members[PRESENCEJS] == 0) {
        yo_note_free(from->lost);
        from->lost = NULL;
    }
    note->twin->kind = YO_NOTE_ARRIVED;
    note->twin->observer = member->observer;
    yo_office_put(home->office, note->to, note->twin);
    note->twin = NULL;
    return YOMO_OK;
}

void yo_home_data(struct yo_home *home, struct yo_note *note)
{
    struct yo_home_room *hr = yo_home_find(home, note->room);

    if (hr && yo_room_set_data(&hr->room, note->session, note->data) == YOMO_OK) {
        yo_home_changed(home, hr);
    }
    yo_note_free(note);
}

void yo_home_stale(struct yo_home *home, struct yo_note *note)
{
    struct yo_home_room *hr = yo_home_find(home, note->room);
    struct yo_changes changes = {0};

    if (hr && yo_room_set_stale(&hr->room, note->session, true, &changes) == YOMO_OK) {
        /* What it holds it keeps until the lease is over; it waits for nothing. */
        yo_values_step_out_all(&hr->values, note->session);
        yo_home_tell_changes(home, hr, &changes,
                             yo_room_find(&hr->room, note->session));
        yo_changes_finish(&changes);
    }
    yo_note_free(note);
}

void yo_home_state(struct yo_home *home, struct yo_note *note)
{
    struct yo_home_room *hr = yo_home_find(home, note->room);
    struct yo_member *member = hr ? yo_room_find(&hr->room, note->session) : NULL;
    struct yo_changes changes = {0};
    int rv = YOMO_ERR_NOT_FOUND;

    if (member && note->payload) {
        rv = yo_room_set_state(&hr->room, note->session, note->payload, note->label,
                               &changes);
    }
    if (rv == YOMO_OK) {
        yo_home_tell_changes(home, hr, &changes, member);
        yo_changes_finish(&changes);
    } else {
        yo_metric_add(rv == YOMO_ERR_NOMEM ? &home->metrics->dropped_memory
                                           : &home->metrics->dropped_not_joined,
                      1);
    }
    if (note->number != 0) {
        yo_home_answer(home, note, YO_NOTE_CONFIRM, rv, hr ? hr->room.sequence : 0);
    } else {
        yo_note_free(note);
    }
}
