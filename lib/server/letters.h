/* SPDX-License-Identifier: MIT */
/* letters.h - what goes between the workers: one kind of letter, one desk for each
 * worker.
 *
 * A note is written by the worker that has a member and opened by the worker that is
 * the room's home, or the other way round. Notes of one worker to another arrive in the
 * order in which they were written, and that order carries the design: a join comes
 * before the states of who joined, a snapshot before the changes after it. So a worker
 * writes to itself in the same way, through a list of its own and without a system
 * call.
 *
 * Bounds. Each desk counts the bytes of broadcasts on their way to it; past
 * YO_DESK_WEIGHT_MAX their home takes no more (yo_desk_full). Joins, states and leaves
 * are bounded by the members and rates of connections. */
#ifndef YO_SERVER_LETTERS_H
#define YO_SERVER_LETTERS_H

#include <stdatomic.h>
#include <yomo/types.h>

#include "base/blob.h"
#include "base/list.h"
#include "loop/mailbox.h"
#include "presence/history.h"

#define YO_DESK_WEIGHT_MAX ((size_t)64 << 20)

enum yo_note_kind {
    /* to the room's home */
    YO_NOTE_JOIN, /* session, ticket, id, label, payload (state), presencejs, position,
                     hist, epoch, number (the session that it was, as it says) */
    YO_NOTE_BOUNCE, /* a join that was refused before: comes back as REFUSED, in its
                       turn */
    YO_NOTE_LEAVE,  /* session */
    YO_NOTE_STATE,  /* session, label, payload (state) */
    YO_NOTE_STALE,  /* session: its connection broke; its seat is kept */
    YO_NOTE_DATA,   /* session, data (may be NULL): what its token says of it */
    YO_NOTE_MOVE, /* session, ticket, to, number, twin: its member is worker `to`'s from
                     now on, where the session `number` takes it */
    YO_NOTE_HISTORY, /* session, ticket, number, sequence (before it), hist (at most) */
    YO_NOTE_VALUE,   /* session, ticket, number, key, payload (NULL: take it away),
                        version (if   `versioned`: only if it has that) */
    YO_NOTE_LOCK, /* session, ticket, number, key, lease_ms (0: give it back), wait */
    YO_NOTE_PUBLISH, /* session (0: the host, then `id`), payload, event, delivery, key,
                        targets, ... */
    /* to a worker with members */
    YO_NOTE_JOINED,   /* session, ticket, sequence, epoch, parcels, said */
    YO_NOTE_REFUSED,  /* session, ticket, error */
    YO_NOTE_LEFT,     /* session: its LEAVE has been heard */
    YO_NOTE_DELIVER,  /* encoded, delivery, slot, version, insist; session is left out;
                         sessions: to these only */
    YO_NOTE_CONFIRM,  /* session, number, sequence, error */
    YO_NOTE_TOLD,     /* session, ticket, number, error, said: the answer to HISTORY */
    YO_NOTE_DEPARTED, /* session, ticket, error: nothing more comes for it here */
    YO_NOTE_ARRIVED,  /* session, number: what comes for it comes here from now on;
                         parcels, said: what it missed */
    YO_NOTE_LOST      /* something could not be delivered: members must come again */
};

/* The bytes that note->encoded has for each enum yo_dialect. */
#define YO_DIALECTS 2

struct yo_note {
    struct yo_letter letter;
    const struct yomo_mem *mem;
    enum yo_note_kind kind;
    uint32_t from;          /* the worker that wrote it */
    atomic_size_t *weighed; /* the desk that counts `weight`, or NULL */
    size_t weight;
    struct yo_blob *room; /* yo_room_key */
    uint64_t session, ticket;
    uint32_t to, lane;    /* MOVE; ARRIVED: of its session, where the room's goes */
    struct yo_note *twin; /* MOVE: what will be ARRIVED, so that it cannot fail */
    bool resume;          /* MOVE: its connection broke, and it had all up to `position` */
    struct yo_position position;
    uint64_t version, number, sequence, since_ms, hist, epoch;
    enum yomo_delivery delivery;
    int error;
    const char *why; /* REFUSED: static, what the client is told; NULL: of the error */
    bool versioned, wait;                 /* VALUE, LOCK */
    uint64_t lease_ms;                    /* LOCK */
    const char *limit; /* CONFIRM: the option whose bound was met, or NULL */
    bool presencejs;                      /* JOIN, PUBLISH: what the member speaks */
    bool observer;                        /* JOIN, JOINED, ARRIVED: it is not seen */
    bool insist;                          /* DELIVER: again, when a datagram is lost */
    bool control;                         /* DELIVER: presence, no data */
    bool echo;                            /* PUBLISH: also to its author */
    enum yomo_priority priority;          /* PUBLISH, DELIVER */
    yo_time pace;                         /* MOVE, ARRIVED: of the seat */
    yo_time expires;                      /* the same: not told from then on */
    yo_time came; /* PUBLISH, DELIVER: when its author's worker had it; 0: not measured */
    uint64_t request, reply;              /* PUBLISH; a reply's code is `error` and its
                                             text `label` */
    struct yo_blob *targets; /* PUBLISH: the array `to`, NULL: everybody; DELIVER:
                                uint64_t sessions, NULL: everybody there */
    struct yo_blob *payload; /* may be NULL */
    struct yo_blob *data; /* JOIN, DATA: may be NULL */
    struct yo_blob *encoded[YO_DIALECTS]; /* NULL: nobody there speaks it */
    struct yo_blob **parcels;             /* messages for the one who joined */
    size_t parcel_count;
    struct yo_blob **said; /* what was said before, on the room's lane */
    size_t said_count;
    struct yo_span id, label, event, key; /* copied behind the note; key is the slot in
                                             DELIVER */
    uint8_t text[];
};

/* A note with copies of the spans (absent stays absent) and one reference more to
 * `room`. NULL when out of memory. */
struct yo_note *yo_note_create(const struct yomo_mem *mem, enum yo_note_kind kind,
                               struct yo_blob *room, struct yo_span id,
                               struct yo_span label, struct yo_span event,
                               struct yo_span key);
void yo_note_free(struct yo_note *note); /* accepts NULL */

/* Make the answer out of the question, so that answering cannot fail: session, ticket,
 * number, room, parcels and texts stay; the payload goes. */
void yo_note_turn(struct yo_note *note, enum yo_note_kind kind, int error,
                  uint64_t sequence);

/* Where one worker receives. */
struct yo_desk {
    struct yo_mailbox *box;
    atomic_size_t weight;
};

static inline bool yo_desk_full(struct yo_desk *desk)
{
    return atomic_load_explicit(&desk->weight, memory_order_relaxed) >
           YO_DESK_WEIGHT_MAX;
}

/* From where one worker writes. */
struct yo_office {
    uint32_t self, count;
    struct yo_desk *desks;      /* of all workers */
    struct yo_link *out;        /* [count]: notes that go at the end of the turn */
    void (*on_due)(void *user); /* something was put into an empty office */
    void *user;
    bool due;
};

int yo_office_init(struct yo_office *office, const struct yomo_mem *mem, uint32_t self,
                   uint32_t count, struct yo_desk *desks, void (*on_due)(void *user),
                   void *user); /* YOMO_ERR_NOMEM */
void yo_office_finish(struct yo_office *office, const struct yomo_mem *mem);

/* Give `note` away to worker `to`. */
void yo_office_put(struct yo_office *office, uint32_t to, struct yo_note *note);

/* The same for one that no worker writes (the host's). Thread: any. */
void yo_desk_post(struct yo_desk *desk, struct yo_note *note);

/* The end of the turn: open what this worker wrote to itself, also what is written
 * meanwhile, then post the rest. */
void yo_office_send(struct yo_office *office, void *self_user, yo_time now);

/* How a note that comes out of a mailbox is opened: set once by worker.c, which alone
 * knows both ends. */
void yo_note_open(struct yo_letter *letter, void *box_user, yo_time now);

/* The name of a room among all applications: app, NUL, room. */
#define YO_ROOM_KEY_MAX (255 + 1 + 255)
struct yo_span yo_room_key_write(uint8_t out[YO_ROOM_KEY_MAX], struct yo_span app,
                                 struct yo_span name);

/* A key that is kept; there is a NUL behind it. NULL when out of memory. */
struct yo_blob *yo_room_key(const struct yomo_mem *mem, struct yo_span key);
struct yo_span yo_room_key_app(const struct yo_blob *key);
struct yo_span yo_room_key_name(const struct yo_blob *key);

#endif
