/* SPDX-License-Identifier: MIT */
/* past.c - what was said in a room is kept at its home, and told to those who come
 * later or ask.
 *
 * Joiners and members are told what is `shown`, never what is kept for those whose
 * connection broke: whoever names a place may have made it up. */
#include "base/check.h"
#include "loop/loop.h"
#include "server/home.h"
#include "session/told.h"
#include "wire/decode.h"
#include "wire/encode.h"

/* With nobody there who speaks the extension nobody can come back to what is recent. */
bool yo_home_keeps(const struct yo_home_room *hr)
{
    return hr->history.shown.bounds.bytes > 0 ||
           (hr->history.recent.bounds.bytes > 0 &&
            hr->room.members.count > hr->room.count_presencejs);
}

void yo_home_gone(void *user, const struct yo_past *past)
{
    struct yo_home_room *hr = user;

    for (uint32_t i = 0; i < past->to_count; i++) {
        struct yo_member *member = yo_room_find(&hr->room, past->to[i]);
        if (member) {
            member->gone.place[past->priority] = past->place;
        }
    }
}

/* The sessions of those who were named; false: no memory. */
static bool list_sessions(struct yo_home *home, const struct yo_telling *telling)
{
    yo_buf_clear(&home->sessions);
    for (size_t i = 0; i < telling->named_count; i++) {
        yo_buf_append(&home->sessions, &telling->named[i]->session, sizeof(uint64_t));
    }
    return !home->sessions.failed;
}

void yo_home_keep(struct yo_home *home, struct yo_home_room *hr,
                  const struct yo_note *note, uint64_t place, struct yo_blob *message,
                  const struct yo_telling *telling)
{
    struct yo_past past = {.place = place,
                           .session = note->session,
                           .number = note->number,
                           .at_ms = yo_wall_ms(),
                           .until = note->expires,
                           .priority = (uint8_t)note->priority,
                           .author_too = note->echo,
                           .message = yo_home_keeps(hr) ? message : NULL};

    if (telling->named) {
        if (!list_sessions(home, telling)) {
            past.message = NULL;
        }
        past.to = (uint64_t *)(void *)home->sessions.data;
        past.to_count = (uint32_t)(home->sessions.size / sizeof(uint64_t));
    }

    yo_history_put(&hr->history, &past, home->now);
    yo_home_store_past(home, hr, &past);
    if (yo_list_empty(&hr->keep) && yo_history_deadline(&hr->history) != YO_NEVER) {
        yo_list_push_back(&home->keeping, &hr->keep);
    }
}

/* --- telling --- */

int yo_home_tell_past(struct yo_told *told, const struct yo_past *past)
{
    struct yo_message message;
    struct yo_wire_past wire;

    if (yo_decode(yo_blob_span(past->message), &message) != YOMO_OK) {
        return YOMO_OK; /* from a store that somebody has written into */
    }
    wire = (struct yo_wire_past){.sequence = past->place,
                                 .session = past->session,
                                 .peer = message.peer,
                                 .payload = message.payload,
                                 .at_ms = past->at_ms,
                                 .priority = message.priority};
    return yo_told_add(told, &wire);
}

/* The first of those before index `end` that go into one answer of at most `max`, and
 * their bytes. */
static size_t window(const struct yo_record *record, size_t end, uint64_t max,
                     size_t *bytes)
{
    size_t first = end;

    *bytes = 0;
    while (first > 0 && end - first < max) {
        size_t size = yo_record_at(record, first - 1)->message->size;
        if (*bytes + size > YO_HISTORY_ANSWER_SIZE && first < end) {
            break;
        }
        *bytes += size;
        first--;
    }
    return first;
}

static int tell_window(struct yo_told *told, const struct yo_record *record,
                       size_t first, size_t end, yo_time now)
{
    int rv = YOMO_OK;

    for (size_t i = first; i < end && rv == YOMO_OK; i++) {
        const struct yo_past *past = yo_record_at(record, i);
        if (past->until > now) {
            rv = yo_home_tell_past(told, past);
        }
    }
    return rv;
}

void yo_home_hand_over(struct yo_told *told, struct yo_note *note)
{
    note->said = told->list;
    note->said_count = told->count;
    told->list = NULL;
    told->count = told->capacity = 0;
}

/* One message more in `told`, in front of the pages. */
static int tell_gap(struct yo_home *home, const struct yo_home_room *hr,
                    struct yo_told *told, uint64_t first, uint64_t last)
{
    const struct yo_message gap = {
        .op = YO_OP_GAP, .channel = hr->name, .from = first, .sequence = last};
    struct yo_blob *blob;
    int rv = yo_encode_blob(&blob, home->mem, YO_DIALECT_YOMO, &gap);

    if (rv == YOMO_OK) {
        rv = yo_told_add_other(told, blob);
        yo_blob_unref(blob);
    }
    return rv;
}

/* Places that are missing, and are told of in their turn. */
struct missing {
    bool any;
    uint64_t first, last;
};

/* What was said by name to the one who joins, under the session that it was. */
static struct missing missing_by_name(const struct yo_home_room *hr,
                                      const struct yo_note *join)
{
    struct missing missing = {.any = false};

    if (join->number != 0 && !yo_room_find(&hr->room, join->number)) {
        missing.any = yo_absent_gap(&hr->absent, join->number, join->id,
                                    &join->position, &missing.first, &missing.last);
    }
    return missing;
}

/* What of it lies before `place`, which is told and so is not missing. */
static int tell_missing(struct yo_home *home, const struct yo_home_room *hr,
                        struct yo_told *told, struct missing *missing, uint64_t place)
{
    uint64_t first = missing->first;
    uint64_t last = missing->last < place ? missing->last : place - 1;

    if (!missing->any || place < first) {
        return YOMO_OK;
    }
    missing->first = last < missing->last ? place + 1 : place;
    missing->any = missing->first <= missing->last;
    return first <= last ? tell_gap(home, hr, told, first, last) : YOMO_OK;
}

/* What came after the position of `join`, or what of that is left. */
static int tell_since(struct yo_home *home, struct yo_home_room *hr,
                      const struct yo_note *join, struct yo_told *told)
{
    const struct yo_position *position = &join->position;
    struct missing named = missing_by_name(hr, join);
    const struct yo_record *record = &hr->history.shown;
    uint64_t missing = 0, last = 0;
    bool gap = yo_record_gap_for(record, position, join->number, NULL, &missing, &last);
    size_t next = 0, first, after = record->count, bytes;
    const struct yo_past *past = yo_record_next(record, position, &next);
    int rv = YOMO_OK;

    if (past) {
        after = next - 1;
    }
    first = window(record, record->count, YO_HISTORY_ANSWER_MAX, &bytes);
    if (first > after) { /* too much for one answer: the newest are told */
        missing = gap && missing < past->place ? missing : past->place;
        last = yo_record_at(record, first - 1)->place;
        gap = true;
        next = first;
        past = yo_record_next(record, position, &next);
    }
    if (gap && named.any && named.last <= last) {
        missing = named.first < missing ? named.first : missing;
        named.any = false;
    }
    if (gap) {
        rv = tell_gap(home, hr, told, missing, last);
    }
    for (; past && rv == YOMO_OK; past = yo_record_next(record, position, &next)) {
        rv = tell_missing(home, hr, told, &named, past->place);
        if (rv == YOMO_OK && past->until > home->now) {
            rv = yo_home_tell_past(told, past);
        }
    }
    return rv == YOMO_OK ? tell_missing(home, hr, told, &named, UINT64_MAX) : rv;
}

int yo_home_recall(struct yo_home *home, struct yo_home_room *hr, struct yo_note *join)
{
    const struct yo_record *record = &hr->history.shown;
    bool since = join->position.place[YOMO_NORMAL] != 0;
    bool other = since && join->epoch != hr->epoch;
    struct yo_told told;
    int rv = YOMO_OK;

    if (join->presencejs || (!since && join->hist == 0)) {
        return YOMO_OK;
    }
    yo_history_expire(&hr->history, home->now);
    yo_told_begin(&told, home->mem, hr->name, 0);
    if (other) {
        rv = tell_gap(home, hr, &told, 0, hr->room.sequence);
    }
    if (since && !other) {
        rv = tell_since(home, hr, join, &told);
    } else if (rv == YOMO_OK) {
        size_t bytes;
        uint64_t max =
            join->hist < YO_HISTORY_ANSWER_MAX ? join->hist : YO_HISTORY_ANSWER_MAX;
        rv = tell_window(&told, record, window(record, record->count, max, &bytes),
                         record->count, home->now);
    }
    rv = rv == YOMO_OK ? yo_told_end(&told, 0) : rv;
    if (rv == YOMO_OK) {
        yo_home_hand_over(&told, join);
    }
    yo_told_finish(&told);
    return rv;
}

static int answer(struct yo_home *home, struct yo_home_room *hr, struct yo_note *note,
                  size_t first, size_t end)
{
    const struct yo_record *record = &hr->history.shown;
    struct yo_told told;
    int rv;

    yo_told_begin(&told, home->mem, hr->name, note->number);
    rv = tell_window(&told, record, first, end, home->now);
    if (rv == YOMO_OK) {
        rv = yo_told_end(&told, first > 0 ? yo_record_at(record, first)->place : 0);
    }
    if (rv == YOMO_OK) {
        yo_home_hand_over(&told, note);
    }
    yo_told_finish(&told);
    return rv;
}

/* Has the store what memory has not any more? */
static bool older_stored(const struct yo_home_room *hr)
{
    for (int p = 0; p < YO_PRIORITIES && hr->stored; p++) {
        if (hr->history.shown.gone[p] != 0) {
            return true;
        }
    }
    return false;
}

void yo_home_history(struct yo_home *home, struct yo_note *note)
{
    struct yo_home_room *hr = yo_home_find(home, note->room);
    uint64_t max = note->hist == 0 ? YO_HISTORY_ANSWER_DEFAULT : note->hist;
    const struct yo_record *record;
    size_t first, end, bytes;

    if (!hr || !yo_room_find(&hr->room, note->session)) {
        yo_home_answer(home, note, YO_NOTE_TOLD, YOMO_ERR_NOT_FOUND, 0);
        return;
    }
    max = max < YO_HISTORY_ANSWER_MAX ? max : YO_HISTORY_ANSWER_MAX;
    record = &hr->history.shown;
    yo_history_expire(&hr->history, home->now);
    end = note->sequence == 0 ? record->count
                              : yo_record_after(record, note->sequence - 1);
    first = window(record, end, max, &bytes);
    if (first == 0 && end < max && bytes < YO_HISTORY_ANSWER_SIZE && older_stored(hr) &&
        yo_home_recall_stored(home, hr, note, first, end, max, bytes)) {
        return;
    }
    yo_home_answer(home, note, YO_NOTE_TOLD, answer(home, hr, note, first, end), 0);
}
