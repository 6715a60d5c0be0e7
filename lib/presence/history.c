/* SPDX-License-Identifier: MIT */
/* history.c - invariants, asserted by yo_record_check():
 *  1. places grow from each message to the next, and lie after what is gone of their
 *     priority;
 *  2. `leaves` never shrinks, so that the oldest is always the next to go;
 *  3. `bytes` is the sum over the messages, and the bounds hold;
 *  4. there is no ring while there is no message. */
#include "presence/history.h"

#include <string.h>

#include "base/check.h"

#define CAPACITY_MIN 8

static size_t slot_of(const struct yo_record *record, size_t i)
{
    return (record->first + i) & (record->capacity - 1);
}

static size_t weight_of(const struct yo_past *past)
{
    return YO_PAST_SIZE + past->message->size + past->to_count * sizeof(*past->to);
}

static void record_init(struct yo_record *record, const struct yomo_mem *mem,
                        const struct yo_record_bounds *bounds)
{
    *record = (struct yo_record){.mem = mem, .bounds = *bounds};
}

static void ring_free(struct yo_record *record)
{
    yo_free(record->mem, record->ring);
    record->ring = NULL;
    record->capacity = record->first = record->count = 0;
}

/* Whoever said it does not miss it, unless it was for him too; of what was for some the
 * others miss nothing; and what is too old to be told is missed by nobody. */
static void note_gone(struct yo_record *record, const struct yo_past *past, yo_time now)
{
    uint64_t author = past->author_too ? 0 : past->session;
    int p = past->priority;

    if (past->until <= now) {
        return;
    }
    if (past->to && record->on_gone) {
        record->on_gone(record->user, past);
        return;
    }
    if (author != record->gone_author[p]) {
        record->gone_others[p] = record->gone[p];
        record->gone_author[p] = author;
    }
    record->gone[p] = past->place;
}

static void drop_first(struct yo_record *record, yo_time now)
{
    struct yo_past *past = &record->ring[record->first];

    note_gone(record, past, now);
    record->bytes -= weight_of(past);
    yo_blob_unref(past->message);
    yo_free(record->mem, past->to);
    record->first = slot_of(record, 1);
    record->count--;
}

/* A ring of `capacity` with the same messages; false: no memory. */
static bool ring_resize(struct yo_record *record, size_t capacity)
{
    struct yo_past *ring;

    assert(capacity >= record->count);
    ring = yo_calloc(record->mem, capacity, sizeof(*ring));
    if (!ring) {
        return false;
    }
    for (size_t i = 0; i < record->count; i++) {
        ring[i] = record->ring[slot_of(record, i)];
    }
    yo_free(record->mem, record->ring);
    record->ring = ring;
    record->capacity = capacity;
    record->first = 0;
    return true;
}

/* Give memory back once most of it is unused. Not being able to does no harm. */
static void ring_shrink(struct yo_record *record)
{
    if (record->count == 0) {
        ring_free(record);
    } else if (record->capacity > CAPACITY_MIN &&
               record->count < record->capacity / 4) {
        (void)ring_resize(record, record->capacity / 2);
    }
}

static void record_clear(struct yo_record *record, yo_time now)
{
    while (record->count > 0) {
        drop_first(record, now);
    }
    ring_free(record);
}

static void record_expire(struct yo_record *record, yo_time now)
{
    if (record->count == 0) {
        return;
    }
    while (record->count > 0 && record->ring[record->first].leaves <= now) {
        drop_first(record, now);
    }
    ring_shrink(record);
}

/* Room for one more of `weight`, the oldest giving way; false: no memory. */
static bool make_room(struct yo_record *record, size_t weight, yo_time now)
{
    const struct yo_record_bounds *bounds = &record->bounds;

    while (record->count > 0 &&
           (record->bytes + weight > bounds->bytes ||
            (bounds->messages > 0 && record->count >= bounds->messages))) {
        drop_first(record, now);
    }
    if (record->count < record->capacity) {
        return true;
    }
    return ring_resize(record,
                       record->capacity == 0 ? CAPACITY_MIN : record->capacity * 2);
}

/* It is not kept, and so nothing before it either. */
static void lose(struct yo_record *record, const struct yo_past *past, yo_time now)
{
    record_clear(record, now);
    note_gone(record, past, now);
}

void yo_record_put(struct yo_record *record, const struct yo_past *past, yo_time age,
                   yo_time now)
{
    const struct yo_record_bounds *bounds = &record->bounds;
    struct yo_past kept = *past;
    size_t weight;

    record_expire(record, now);
    if (!past->message || (bounds->age > 0 && age >= bounds->age)) {
        lose(record, past, now);
        return;
    }
    weight = weight_of(past);
    if (weight > bounds->bytes) {
        lose(record, past, now);
        return;
    }
    if (past->to) {
        kept.to = yo_malloc(record->mem,
                            (past->to_count ? past->to_count : 1) * sizeof(*kept.to));
        if (!kept.to) {
            lose(record, past, now);
            return;
        }
        if (past->to_count > 0) {
            memcpy(kept.to, past->to, past->to_count * sizeof(*kept.to));
        }
    }
    if (!make_room(record, weight, now)) {
        yo_free(record->mem, kept.to);
        lose(record, past, now);
        return;
    }
    kept.leaves = bounds->age > 0 ? yo_time_after(now, bounds->age - age) : YO_NEVER;
    if (record->count > 0) { /* a wall clock that went back made it look younger */
        const yo_time before = record->ring[slot_of(record, record->count - 1)].leaves;
        kept.leaves = kept.leaves < before ? before : kept.leaves;
    }
    yo_blob_ref(kept.message);
    record->ring[slot_of(record, record->count)] = kept;
    record->count++;
    record->bytes += weight;
    ring_shrink(record);
    YO_CHECK(yo_record_check(record));
}

void yo_record_begin(struct yo_record *record, uint64_t gone)
{
    assert(record->count == 0);
    for (int p = 0; p < YO_PRIORITIES; p++) {
        record->gone[p] = gone;
        record->gone_author[p] = 0;
    }
}

const struct yo_past *yo_record_at(const struct yo_record *record, size_t i)
{
    assert(i < record->count);
    return &record->ring[slot_of(record, i)];
}

size_t yo_record_after(const struct yo_record *record, uint64_t place)
{
    size_t low = 0, high = record->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (yo_record_at(record, middle)->place > place) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

static uint64_t least(const struct yo_position *position)
{
    uint64_t place = position->place[0];

    for (int p = 1; p < YO_PRIORITIES; p++) {
        place = position->place[p] < place ? position->place[p] : place;
    }
    return place;
}

const struct yo_past *yo_record_next(const struct yo_record *record,
                                     const struct yo_position *position, size_t *i)
{
    if (*i == 0) {
        *i = yo_record_after(record, least(position));
    }
    while (*i < record->count) {
        const struct yo_past *past = yo_record_at(record, (*i)++);
        if (past->place > position->place[past->priority]) {
            return past;
        }
    }
    return NULL;
}

/* Add `first` to `last` to what is missing. */
static void widen(bool *gap, uint64_t first, uint64_t last, uint64_t *from,
                  uint64_t *to)
{
    *from = !*gap || first < *from ? first : *from;
    *to = !*gap || last > *to ? last : *to;
    *gap = true;
}

bool yo_record_gap_for(const struct yo_record *record,
                       const struct yo_position *position, uint64_t session,
                       const struct yo_position *own_gone, uint64_t *first,
                       uint64_t *last)
{
    uint64_t had = least(position);
    bool gap = false;

    for (int p = 0; p < YO_PRIORITIES; p++) {
        bool own = session != 0 && session == record->gone_author[p];
        uint64_t gone = own ? record->gone_others[p] : record->gone[p];
        if (gone > position->place[p]) {
            widen(&gap, position->place[p] + 1, gone, first, last);
        }
        if (own_gone && own_gone->place[p] > position->place[p]) {
            widen(&gap, position->place[p] + 1, own_gone->place[p], first, last);
        }
    }
    if (record->hole_last > had) {
        widen(&gap, had + 1 > record->hole_first ? had + 1 : record->hole_first,
              record->hole_last, first, last);
    }
    return gap;
}

bool yo_record_gap(const struct yo_record *record, const struct yo_position *position,
                   uint64_t *first, uint64_t *last)
{
    return yo_record_gap_for(record, position, 0, NULL, first, last);
}

void yo_record_hole(struct yo_record *record, uint64_t first, uint64_t last)
{
    record->hole_first = first;
    record->hole_last = last;
}

void yo_record_named(const struct yo_record *record, uint64_t session, yo_time now,
                     struct yo_position *last)
{
    for (size_t i = 0; i < record->count; i++) {
        const struct yo_past *past = yo_record_at(record, i);
        bool own = past->session == session && !past->author_too;
        for (uint32_t k = 0; k < past->to_count && !own && past->until > now; k++) {
            if (past->to[k] == session && past->place > last->place[past->priority]) {
                last->place[past->priority] = past->place;
            }
        }
    }
}

struct yo_position yo_position_at(uint64_t place)
{
    struct yo_position position;

    for (int p = 0; p < YO_PRIORITIES; p++) {
        position.place[p] = place;
    }
    return position;
}

/* --- both records --- */

void yo_history_init(struct yo_history *history, const struct yomo_mem *mem,
                     const struct yo_record_bounds *shown,
                     const struct yo_record_bounds *recent)
{
    record_init(&history->shown, mem, shown);
    record_init(&history->recent, mem, recent);
}

void yo_history_finish(struct yo_history *history)
{
    if (history) {
        record_clear(&history->shown, YO_NEVER);
        record_clear(&history->recent, YO_NEVER);
    }
}

bool yo_history_wants(const struct yo_history *history, bool direct)
{
    return history->recent.bounds.bytes > 0 ||
           (!direct && history->shown.bounds.bytes > 0);
}

void yo_history_put(struct yo_history *history, const struct yo_past *past, yo_time now)
{
    assert(past->priority < YO_PRIORITIES);
    yo_record_put(&history->recent, past, 0, now);
    if (!past->to) {
        yo_record_put(&history->shown, past, 0, now);
    }
}

void yo_history_expire(struct yo_history *history, yo_time now)
{
    record_expire(&history->shown, now);
    record_expire(&history->recent, now);
}

static yo_time record_deadline(const struct yo_record *record)
{
    return record->count > 0 ? record->ring[record->first].leaves : YO_NEVER;
}

yo_time yo_history_deadline(const struct yo_history *history)
{
    return yo_time_min(record_deadline(&history->shown),
                       record_deadline(&history->recent));
}

/* --- checks --- */

void yo_record_check(const struct yo_record *record)
{
    size_t bytes = 0;
    uint64_t place = 0;
    yo_time leaves = 0;

    assert((record->count == 0) == (record->ring == NULL));
    assert(record->count <= record->capacity);
    assert(record->bounds.messages == 0 || record->count <= record->bounds.messages);
    for (size_t i = 0; i < record->count; i++) {
        const struct yo_past *past = yo_record_at(record, i);
        assert(past->place > place && past->place > record->gone[past->priority]);
        assert(past->leaves >= leaves);
        place = past->place;
        leaves = past->leaves;
        bytes += weight_of(past);
    }
    assert(bytes == record->bytes && bytes <= record->bounds.bytes);
    (void)place;
    (void)leaves;
}
