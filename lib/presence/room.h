/* SPDX-License-Identifier: MIT */
/* room.h - one room at its home: who is in it, what each last said, what comes after what.
 *
 * Pure: no clock, no I/O, no callbacks, no wire format. A call says what happened; what
 * the members must be told comes out as changes, for the caller to spell, to number and to
 * deliver. The home worker is the only one that has a yo_room.
 *
 * Two kinds of members look at the same room. Those of the extension know sessions: each
 * connection is one. What they are to be told waits in the room (untold.h) until the
 * caller tells all of it. presencejs is told at once; it knows peers by the `id` inside their state ("label"
 * here): several sessions with one label are one peer to them, shown with the newest
 * state among them and gone when the last of them goes; a session that changes its label
 * is one peer that goes and another that comes. */
#ifndef YO_PRESENCE_ROOM_H
#define YO_PRESENCE_ROOM_H

#include "base/blob.h"
#include "base/list.h"
#include "base/map.h"
#include "base/span.h"
#include "base/time.h"
#include "presence/history.h"
#include "presence/sheets.h"
#include "presence/untold.h"

struct yo_member {
    struct yo_map_node by_session;
    struct yo_link by_activity; /* the one active most recently first */
    struct yo_link by_age;      /* the one that joined first, first */
    struct yo_link on_sheet;    /* the same, of those on `sheet` */
    struct yo_sheet *sheet;     /* where a snapshot has it (sheets.h); NULL: observers */
    struct yo_link same_label;  /* sessions with the same label, newest state first, those
                                   without a state last */
    uint64_t session;
    char *id;              /* the user's */
    const char *label;     /* by which presencejs knows it: `id` in its state, else `id` */
    struct yo_user *user;  /* of all with that id (named.h) */
    struct yo_link same_user;
    uint64_t mark;         /* yo_room.mark when it was named last */
    struct yo_label *group; /* of all with that label; owns the text (room.c) */
    struct yo_blob *state; /* the payload (one MessagePack map), NULL: none yet */
    uint64_t version;      /* of the state; grows by one with each change */
    struct yo_blob *data;  /* what its token says of it (one MessagePack map), or NULL */
    uint64_t since_ms;     /* wall clock */
    uint64_t joined_at;    /* its place in the order, which it was told; the caller's */
    struct yo_position gone; /* the last of what was said to it by name and is not kept
                                any more; the caller's */
    bool presencejs;       /* which kind of member it is itself */
    bool stale;            /* its connection broke; the seat is kept for a while */
    bool observer;         /* hears, and is not seen: in `members` and with its user only */
    void *seat;            /* the caller's: where it is connected */
    struct yo_untold untold;
};

struct yo_room {
    const struct yomo_mem *mem;
    char *app, *name;
    struct yo_map members; /* by session */
    struct yo_map labels;  /* by label, of struct yo_label (room.c) */
    struct yo_map users;   /* by id, of struct yo_user (named.h) */
    uint64_t mark;         /* grows with each message that names somebody */
    struct yo_link by_activity, by_age;
    uint64_t sequence;     /* of the last change or reliable message; starts at 0 */
    struct yo_link sheets; /* all members that are seen */
    struct yo_sheet *spare_sheet;
    struct yo_link untold; /* members of whom something is still to be told */
    size_t untold_count;   /* so many members */
    uint64_t shown;        /* snapshots that were taken so far */
    size_t count;          /* members */
    size_t count_presencejs;
    size_t count_observers; /* they are not in `count`, nor in that of presencejs */
    size_t observers_max;   /* 0: no limit; the caller's to set */
    size_t members_max;
};

enum yo_change_kind {
    YO_CHANGE_ONLINE,
    YO_CHANGE_STATE,
    YO_CHANGE_OFFLINE,
    YO_CHANGE_STALE, /* for YOMO only, and so is BACK */
    YO_CHANGE_BACK
};

struct yo_change {
    enum yo_change_kind kind; /* ONLINE is for the extension only: presencejs hears STATE */
    uint64_t session;         /* whose: everyone in the audience but it is told */
    const char *peer;         /* the user id; to presencejs: the label */
    struct yo_blob *state;    /* ONLINE, STATE; borrowed; NULL: it has none (presencejs,
                                 which cannot read that, is told {id: label}) */
    uint64_t version, since_ms;
    struct yo_span data; /* to the extension: its data; absent: none with ONLINE, as
                            before with STATE */
};

/* What presencejs is to be told of one call, in this order; good until the next call on the
 * room. Each call fills it anew: finish the last one before. A session that changes
 * its label: presencejs hears OFFLINE of the old one, or, when another device still has
 * it, STATE if that shows another state now; then STATE of the new one. */
#define YO_CHANGES_MAX 3 /* from one call */
struct yo_changes {
    size_t count;
    struct yo_change list[YO_CHANGES_MAX];
    char *gone_label;           /* keep what is pointed to beyond the call, ... */
    struct yo_blob *gone_state; /* ... until yo_changes_finish */
    const struct yomo_mem *mem;
};
void yo_changes_finish(struct yo_changes *changes); /* accepts zeroed memory */

/* YOMO_ERR_NOMEM. `members_max` 0: no limit. */
int yo_room_init(struct yo_room *room, const struct yomo_mem *mem, struct yo_span app,
                 struct yo_span name, size_t members_max);
void yo_room_finish(struct yo_room *room);

struct yo_room_entry {
    uint64_t session;
    struct yo_span id;
    struct yo_span label;  /* absent or empty: the id */
    struct yo_blob *state; /* NULL: none; the room takes its own reference */
    struct yo_blob *data;  /* the same */
    uint64_t since_ms;
    bool presencejs;
    bool observer; /* nobody is told of it, and it has no state */
    void *seat;
};

/* Let a session in. YOMO_ERR_EXISTS, YOMO_ERR_FULL, YOMO_ERR_NOMEM; the room is then as
 * it was, and `changes` empty. */
int yo_room_join(struct yo_room *room, const struct yo_room_entry *entry,
                 struct yo_member **member, struct yo_changes *changes);

/* A new state. The same bytes and label as before change nothing: `changes` is empty.
 * YOMO_ERR_NOT_FOUND, YOMO_ERR_NOMEM. */
int yo_room_set_state(struct yo_room *room, uint64_t session, struct yo_blob *state,
                      struct yo_span label, struct yo_changes *changes);

/* Out. YOMO_ERR_NOT_FOUND; never fails for want of memory. */
int yo_room_leave(struct yo_room *room, uint64_t session, struct yo_changes *changes);

/* Other data (NULL: none). The same bytes as before change nothing. YOMO_ERR_NOT_FOUND. */
int yo_room_set_data(struct yo_room *room, uint64_t session, struct yo_blob *data);

/* Its connection broke, or it is there again. YOMO_ERR_NOT_FOUND; what it was before
 * changes nothing, and never fails for want of memory. presencejs hears nothing of it.
 */
int yo_room_set_stale(struct yo_room *room, uint64_t session, bool stale,
                      struct yo_changes *changes);

struct yo_member *yo_room_find(const struct yo_room *room, uint64_t session);

/* A message from `session` has its place now: marks it active and, if `numbered`, gives
 * the next sequence number (else 0). `session` may be 0: the host program. */
uint64_t yo_room_place(struct yo_room *room, uint64_t session, bool numbered);

/* What the extension is still to be told. Walk the members of whom something waits, in
 * the order in which it began: start with NULL. */
struct yo_member *yo_room_untold(const struct yo_room *room,
                                 const struct yo_member *after);

/* What waits of one of them, as it is now. Returns how many changes that is. */
#define YO_UNTOLD_MAX 2
size_t yo_member_untold(const struct yo_member *member,
                        struct yo_change out[YO_UNTOLD_MAX]);

/* All of it was told, with the next `numbers` places in the room's order; nothing waits
 * any more, and members that left are freed. */
void yo_room_told(struct yo_room *room, uint64_t numbers);

/* Somebody was shown who is in the room now, with their states. */
void yo_room_show(struct yo_room *room);

/* For untold.c. */
void yo_member_free(struct yo_room *room, struct yo_member *member);

/* Walk who presencejs sees, one member for each label but that of the session `except`:
 * the one whose state is shown. The most recently active of these first. Start with
 * NULL; `after` must still be in the room. */
struct yo_member *yo_room_next_label(const struct yo_room *room,
                                     const struct yo_member *after, uint64_t except);

/* Walk the members with this label: NULL first. For named.c: a label that was walked has
 * nobody any more until yo_named_begin. */
struct yo_member *yo_room_next_same_label(const struct yo_room *room,
                                          struct yo_span label,
                                          const struct yo_member *after);

/* Asserts the invariants named in room.c. */
void yo_room_check(const struct yo_room *room);

#endif
