/* SPDX-License-Identifier: MIT */
/* history.h - what was said in one room and is kept for a while: RELIABLE messages, the
 * newest of them, oldest first.
 *
 * Pure. There are two records with bounds of their own over the same messages (a
 * message's bytes are there once): `shown`, what the operator lets whoever joins read,
 * and `recent`, what those need whose connection broke. Messages to named members only
 * are in `recent` alone.
 *
 * A record is the end of the room's order, without a hole: it has every message of its
 * kind after what it calls gone. A message that cannot be kept therefore takes all
 * before it along. With nothing kept a record has no memory. */
#ifndef YO_PRESENCE_HISTORY_H
#define YO_PRESENCE_HISTORY_H

#include "base/blob.h"
#include "base/time.h"

/* Order is kept within a priority: 0 normal, 1 urgent, 2 bulk. */
#define YO_PRIORITIES 3

/* The last places that somebody had, one for each priority. */
struct yo_position {
    uint64_t place[YO_PRIORITIES];
};

/* One message that is kept. */
struct yo_past {
    uint64_t place;          /* in the room's order: grows from each to the next */
    uint64_t session;        /* its author's; 0: the host program */
    uint64_t number;         /* the author's for it; 0: none */
    uint64_t at_ms;          /* wall clock */
    yo_time until;           /* not told to anybody from then on; YO_NEVER */
    struct yo_blob *message; /* as the extension reads it */
    uint64_t *to;            /* sessions that it is for; NULL: for all */
    uint32_t to_count;
    uint8_t priority;
    bool author_too; /* its author gets it as well */
    yo_time leaves;  /* the record's own: too old from then on */
};

struct yo_record_bounds {
    size_t messages; /* 0: no bound by number */
    size_t bytes;    /* 0: keeps nothing; YO_PAST_SIZE and the message's own for each */
    yo_time age;     /* 0: no bound by age */
};

/* What a message takes in a record beside its bytes and its list of sessions. */
#define YO_PAST_SIZE sizeof(struct yo_past)

struct yo_record {
    const struct yomo_mem *mem;
    struct yo_record_bounds bounds;
    struct yo_past *ring; /* [capacity], a power of two; NULL: nothing is kept */
    size_t capacity, first, count;
    size_t bytes;
    uint64_t hole_first, hole_last; /* a part of the order of which nothing is known */
    uint64_t gone[YO_PRIORITIES]; /* the last place of each that was here or should have
                                     been, and is no more */
    uint64_t gone_author[YO_PRIORITIES]; /* who said that; 0: the host, or not known */
    uint64_t gone_others[YO_PRIORITIES]; /* the last such place that somebody else had */
    /* One that is for some is gone, which the owner notes for each of them; NULL: it is
     * noted as one for all. What nobody is to be told any more is not noted at all. */
    void (*on_gone)(void *user, const struct yo_past *past);
    void *user;
};

struct yo_history {
    struct yo_record shown, recent;
};

void yo_history_init(struct yo_history *history, const struct yomo_mem *mem,
                     const struct yo_record_bounds *shown,
                     const struct yo_record_bounds *recent);
void yo_history_finish(struct yo_history *history); /* accepts zeroed memory */

/* Would a message that is for all (`direct`: for some) be kept at all? */
bool yo_history_wants(const struct yo_history *history, bool direct);

/* Something was said. Takes references and a copy of `to`. `past->message` may be NULL
 * when it could not be made. Never fails: what cannot be kept is gone. */
void yo_history_put(struct yo_history *history, const struct yo_past *past,
                    yo_time now);

/* The same for one record; `past->leaves` is set by the bounds. For messages from a
 * store `age` is how old it is already. */
void yo_record_put(struct yo_record *record, const struct yo_past *past, yo_time age,
                   yo_time now);

/* Let go of what is too old. */
void yo_history_expire(struct yo_history *history, yo_time now);

/* When something will next be too old; YO_NEVER. */
yo_time yo_history_deadline(const struct yo_history *history);

/* All of `record` up to the place is gone (it was never here). Before the first put. */
void yo_record_begin(struct yo_record *record, uint64_t gone);

/* Of what lies between, both included, nothing is known, though something before it is. Only
 * the last hole is remembered. */
void yo_record_hole(struct yo_record *record, uint64_t first, uint64_t last);

/* The i-th, 0 the oldest; i < record->count. Good until the next put or expire. */
const struct yo_past *yo_record_at(const struct yo_record *record, size_t i);

/* The index of the first with a place after `place`; record->count: none. */
size_t yo_record_after(const struct yo_record *record, uint64_t place);

/* Walk what comes after a position: start with *i = 0, NULL at the end. */
const struct yo_past *yo_record_next(const struct yo_record *record,
                                     const struct yo_position *position, size_t *i);

/* Is something after the position gone? Then all that is missing lies within `*first`
 * to `*last`. */
bool yo_record_gap(const struct yo_record *record, const struct yo_position *position,
                   uint64_t *first, uint64_t *last);

/* The same for `session`, which does not miss what it said itself; `own_gone` (may be
 * NULL): the last places of what was for it and is gone, as on_gone told. */
bool yo_record_gap_for(const struct yo_record *record,
                       const struct yo_position *position, uint64_t session,
                       const struct yo_position *own_gone, uint64_t *first,
                       uint64_t *last);

/* Raise the places of `last` to those of what was said to `session` by name, is here,
 * and may still be told. */
void yo_record_named(const struct yo_record *record, uint64_t session, yo_time now,
                     struct yo_position *last);

/* The same place for each priority. */
struct yo_position yo_position_at(uint64_t place);

/* Asserts the invariants named in history.c. */
void yo_record_check(const struct yo_record *record);

#endif
