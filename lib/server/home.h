/* SPDX-License-Identifier: MIT */
/* home.h - the rooms that live on this worker: their order, their roster, their
 * changes.
 *
 * Notes come in (letters.h), notes go out. A home knows which workers have members of a
 * room and which dialects they speak; a message is encoded once for each dialect that
 * somebody there speaks, and each such worker gets one note with references to it. */
#ifndef YO_SERVER_HOME_H
#define YO_SERVER_HOME_H

#include "presence/absent.h"
#include "presence/history.h"
#include "presence/room.h"
#include "presence/values.h"
#include "server/config.h"
#include "server/letters.h"
#include "server/metrics.h"
#include "session/quota.h"

struct yo_pages;
struct yo_told;

struct yo_event_door;
struct yo_app;
struct yo_apps;
struct yo_store;
struct yo_told;

struct yo_home {
    const struct yomo_mem *mem;
    const struct yo_config *config;
    struct yo_office *office;
    struct yo_metrics *metrics;
    struct yo_map rooms; /* of struct yo_home_room, by key */
    struct yo_buf slot;  /* the name of one, while it is needed */
    struct yo_buf named; /* struct yo_member *: whom the message in hand names */
    struct yo_buf sessions; /* uint64_t: the same, as history keeps them */
    struct yo_link lingering; /* rooms with nobody in them, the one empty longest first */
    struct yo_link keeping;   /* rooms by when they were last looked at for what is too
                                 old in their history */
    size_t lingering_count;
    const struct yo_event_door *events; /* NULL: nobody wants to hear (events.h) */
    struct yo_store *store; /* NULL: histories are in memory only */
    struct yo_apps *apps;   /* NULL: nobody counts how many rooms an application has */
    struct yo_link loading; /* rooms that wait for it, by when they asked */
    uint64_t loads;         /* how often one did */
    struct yo_link cooling; /* rooms that were told of changes lately (changes.c) */
    size_t uneasy;          /* how many of them have something to tell */
    struct yo_heap leases; /* rooms by when the first lease in them is over */
    yo_time now; /* of the note that is being taken */
};

/* How many members a worker has in a room, and what they speak. */
struct yo_presence_at {
    uint32_t members[YO_DIALECTS];
    struct yo_note *lost; /* ready for when memory is not */
};

struct yo_home_room {
    struct yo_map_node node;
    struct yo_blob *key;
    struct yo_span name; /* in `key` */
    struct yo_room room;
    uint64_t epoch; /* of its order */
    bool loading;         /* the store is asked; notes wait */
    bool stored;          /* what is said goes to the store */
    uint64_t store_hole;  /* up to here the store has missed something; 0: nothing */
    uint64_t load_number; /* which answer counts */
    yo_time load_until;
    struct yo_link load, waiting; /* in home->loading; of notes */
    struct yo_history history;
    struct yo_absent absent;
    struct yo_quota messages, joins; /* of all members together */
    struct yo_log_pace complaint;    /* about these */
    struct yo_values values;
    bool shares; /* some value or lock was there once */
    struct yo_heap_node lease; /* in home->leases */
    struct yo_link linger, keep, cooling; /* in the home's lists */
    yo_time cool_at;                      /* until then changes wait */
    bool uneasy;                          /* and some do */
    yo_time linger_until;
    bool lingers;
    struct yo_app *app; /* in which it is counted; NULL: it is not */
    bool told_open; /* outside it is known to be there */
    bool closing; /* by an operator: nobody is let in until the last has left */
    struct yo_presence_at at[]; /* [workers] */
};

void yo_home_init(struct yo_home *home, const struct yomo_mem *mem,
                  const struct yo_config *config, struct yo_office *office,
                  struct yo_metrics *metrics);
void yo_home_finish(struct yo_home *home);

/* One note to this home; it is freed, or goes back as the answer. */
void yo_home_take(struct yo_home *home, struct yo_note *note, yo_time now);

/* Time passes: rooms that nobody came back to go, history gets too old. To be called
 * about once a second. */
void yo_home_tick(struct yo_home *home, yo_time now);

/* The rooms (home.c). `open` also makes one that is not there: YOMO_ERR_FULL,
 * YOMO_ERR_NOMEM. A room with nobody in it stays for a while with its order and its
 * history; rest() says that the last one has gone, or that nobody came. */
struct yo_home_room *yo_home_find(struct yo_home *home, const struct yo_blob *key);
struct yo_home_room *yo_home_find_named(const struct yo_home *home, struct yo_span key);
int yo_home_open(struct yo_home *home, struct yo_blob *key, struct yo_home_room **out);
void yo_home_rest_if_empty(struct yo_home *home, struct yo_home_room *hr);
void yo_home_wake(struct yo_home *home, struct yo_home_room *hr); /* somebody came */

/* Before somebody comes into a room that may be empty: is it one too many for its
 * application? YOMO_ERR_FULL, YOMO_ERR_NOMEM. It is to be given to the room, or back.
 */
int yo_home_take_share(struct yo_home *home, const struct yo_blob *key,
                       struct yo_app **share);
void yo_home_give_share(struct yo_home *home, struct yo_app *share); /* accepts NULL */

struct yo_telling;

/* What was said, for later (past.c): `message` is for the extension and may be NULL. */
void yo_home_keep(struct yo_home *home, struct yo_home_room *hr,
                  const struct yo_note *note, uint64_t place, struct yo_blob *message,
                  const struct yo_telling *telling);

/* What was said to some is not kept any more: a room's history's on_gone. */
void yo_home_gone(void *user, const struct yo_past *past);

/* What the one who comes with `join` asks to be told of the past, as the note's `said`.
 * YOMO_ERR_NOMEM. */
int yo_home_recall(struct yo_home *home, struct yo_home_room *hr, struct yo_note *join);

/* Write down one message; and pages of them. */
int yo_home_tell_past(struct yo_told *told, const struct yo_past *past);
void yo_home_hand_over(struct yo_told *told, struct yo_note *note);

/* The store (stored.c), if there is one: a room is opened; a note for it must wait;
 * time passes; something was said; nobody uses it any more. */
void yo_home_load(struct yo_home *home, struct yo_home_room *hr);
bool yo_home_waits(struct yo_home *home, struct yo_note *note);
void yo_home_store_tick(struct yo_home *home, yo_time now);
void yo_home_store_past(struct yo_home *home, struct yo_home_room *hr,
                        const struct yo_past *past);
void yo_home_store_rest(struct yo_home *home, struct yo_home_room *hr);

/* Let the store answer the older half of a question, whose newer one is [first, end) of
 * what memory has, with so many `bytes`. Takes the note, unless it returns false. */
bool yo_home_recall_stored(struct yo_home *home, struct yo_home_room *hr,
                           struct yo_note *note, size_t first, size_t end, uint64_t max,
                           size_t bytes);

/* Is a message of this room kept at all? */
bool yo_home_keeps(const struct yo_home_room *hr);

/* An operator closes it: whoever is in it is put out elsewhere, and with the last it is
 * gone, whatever it would keep otherwise. */
void yo_home_close(struct yo_home *home, struct yo_span key);

/* One of `quota` of the room; else YOMO_ERR_RATE, and a line in the log once a second. */
int yo_home_take_quota(struct yo_home *home, struct yo_home_room *hr,
                       struct yo_quota *quota);

/* The note goes back to the worker that wrote it. */
void yo_home_answer(struct yo_home *home, struct yo_note *note, enum yo_note_kind kind,
                    int error, uint64_t sequence);

/* What each kind of note asks for: the note is freed or answered but by move, which
 * says what the answer is (seats.c, broadcast.c). */
void yo_home_join(struct yo_home *home, struct yo_note *note);
void yo_home_leave(struct yo_home *home, struct yo_note *note);
int yo_home_move(struct yo_home *home, struct yo_note *note);
void yo_home_stale(struct yo_home *home, struct yo_note *note);
void yo_home_data(struct yo_home *home, struct yo_note *note);
void yo_home_state(struct yo_home *home, struct yo_note *note);
void yo_home_history(struct yo_home *home, struct yo_note *note);
void yo_home_publish(struct yo_home *home, struct yo_note *note);
void yo_home_value(struct yo_home *home, struct yo_note *note);
void yo_home_lock(struct yo_home *home, struct yo_note *note);

/* The host changes what a room shares, as `who`: what yo_values_set says, and
 * YOMO_ERR_NOT_FOUND for a room that is not open. `*version` is what is there then. */
int yo_home_host_value(struct yo_home *home, struct yo_span room,
                       const struct yo_value_wish *wish, struct yo_span who,
                       uint64_t *version, yo_time now);
const struct yo_value *yo_home_look_up(const struct yo_home *home, struct yo_span room,
                                       struct yo_span key);

static inline uint32_t yo_home_worker_of(const struct yo_member *member)
{
    return (uint32_t)(uintptr_t)member->seat;
}

/* What the one who asks with `join` will be told after its ACK: the pages of a snapshot
 * for the extension, one peer_state for each peer for presencejs, as the note's
 * parcels. YOMO_ERR_NOMEM (snapshot.c). */
int yo_home_snapshot(struct yo_home *home, struct yo_home_room *hr, struct yo_note *join);

/* The same as pages: who is there now. To be finished in any case. YOMO_ERR_NOMEM. */
int yo_home_pages(struct yo_home *home, struct yo_home_room *hr, struct yo_pages *pages);

/* What was collected becomes the note's `said` (past.c). */
void yo_home_hand_over(struct yo_told *told, struct yo_note *note);

/* One more of them, which becomes the note's. YOMO_ERR_NOMEM, and it is let go. */
int yo_home_add_parcel(struct yo_home *home, struct yo_note *note,
                       struct yo_blob *blob);

/* What `member`, whose connection broke, has missed since `move->position`, as parcels
 * of `arrived`: on control answers to what it said itself, and who is there now; with
 * the data a gap, and what others said. YOMO_ERR_NOMEM (catch_up.c). */
int yo_home_catch_up(struct yo_home *home, struct yo_home_room *hr,
                     const struct yo_member *member, const struct yo_note *move,
                     struct yo_note *arrived);

/* What presencejs is told of a member: {op: peer_state, p: label, pl: state}. A member
 * without a state is shown as {id: label}, since presencejs cannot take an absent one.
 */
int yo_home_peer_state(struct yo_home *home, const struct yo_home_room *hr,
                       const char *label, const struct yo_blob *state,
                       struct yo_blob **out);

/* How many at worker `w` are to hear something in `dialect` that `author` (may be NULL)
 * is not told; and whether there is anybody at all (tell.c). */
uint32_t yo_home_listeners(const struct yo_home_room *hr, uint32_t w, int dialect,
                           const struct yo_member *author);
bool yo_home_anybody(const struct yo_home *home, const struct yo_home_room *hr,
                     int dialect, const struct yo_member *author);

/* What is told to several workers. */
struct yo_telling {
    struct yo_blob *encoded[YO_DIALECTS];
    const struct yo_member *author; /* is left out; NULL: nobody is */
    enum yomo_delivery delivery;
    struct yo_span slot; /* LATEST */
    uint64_t version;
    bool insist, control; /* as in a note */
    enum yomo_priority priority;
    yo_time expires, came;
    struct yo_member **named; /* only these are told; NULL: everybody */
    size_t named_count;
};

/* A message that names some (direct.c): they are found, in home->named. YOMO_ERR_NOT_FOUND
 * when none of them is there, YOMO_ERR_NOMEM. */
int yo_home_name(struct yo_home *home, struct yo_home_room *hr, struct yo_note *note,
                 struct yo_telling *telling);

/* The same three questions as below, of a telling that names some. */
uint32_t yo_telling_listeners(const struct yo_home_room *hr, uint32_t w, int dialect,
                              const struct yo_telling *telling);
/* The sessions of those at worker `w`, for a note. NULL: no memory. */
struct yo_blob *yo_telling_sessions(struct yo_home *home, uint32_t w,
                                    const struct yo_telling *telling);
void yo_telling_finish(struct yo_telling *telling);

/* Never fails: see the top of home.c. */
void yo_home_tell(struct yo_home *home, struct yo_home_room *hr,
                  const struct yo_telling *telling);

/* Those at workers that should have been told something and were not come again: all who
 * listen in `dialect`, but at workers where that is `author` alone. */
void yo_home_lose(struct yo_home *home, struct yo_home_room *hr, int dialect,
                  const struct yo_member *author);

/* Changes of members (changes.c). After each call on the room: tell presencejs of what
 * `author` did, who may be gone already (NULL), and the extension what waits, at once or
 * in its time. */
void yo_home_tell_changes(struct yo_home *home, struct yo_home_room *hr,
                          const struct yo_changes *changes,
                          const struct yo_member *author);
void yo_home_changed(struct yo_home *home, struct yo_home_room *hr); /* the latter */

/* Tell all that waits, now; and only if something of `member` (may be NULL) does, before
 * something is told that it said. */
void yo_home_tell_untold(struct yo_home *home, struct yo_home_room *hr);
void yo_home_tell_before(struct yo_home *home, struct yo_home_room *hr,
                         const struct yo_member *member);

/* What waits is due; when that is. */
void yo_home_changes_tick(struct yo_home *home, yo_time now);
yo_time yo_home_changes_deadline(const struct yo_home *home);
void yo_home_changes_forget(struct yo_home *home, struct yo_home_room *hr);

/* What is shared (values.c): a member has left, and gives back what it held, unless its
 * connection `broke`: its program may not know that yet, and believes in its lease until
 * it is over; a lease is over, or when one will be. */
void yo_home_locks_leave(struct yo_home *home, struct yo_home_room *hr, uint64_t session,
                         bool broke);
void yo_home_leases_tick(struct yo_home *home, yo_time now);
yo_time yo_home_leases_deadline(const struct yo_home *home);

/* All that is shared, for one who joins, as parcels; for one who comes back, with the
 * place as of which it is, also that there is nothing (any more). YOMO_ERR_NOMEM. */
int yo_home_show_values(struct yo_home *home, struct yo_home_room *hr,
                        struct yo_note *join);
int yo_home_tell_values(struct yo_home *home, struct yo_home_room *hr,
                        struct yo_told *told);

#endif
