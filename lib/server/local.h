/* SPDX-License-Identifier: MIT */
/* local.h - the members that are connected to this worker, by the rooms they are in.
 *
 * The other half of home.h: asks homes to let members in, hands over what they say, and
 * gives out to them what comes back. A seat is one member in one room, from the moment
 * it asks until it leaves. */
#ifndef YO_SERVER_LOCAL_H
#define YO_SERVER_LOCAL_H

#include "base/map.h"
#include "server/config.h"
#include "server/letters.h"
#include "server/metrics.h"
#include "session/effects.h"

struct yo_peer;
struct yo_worker;

struct yo_local {
    struct yo_worker *worker;
    struct yo_map rooms; /* of struct yo_local_room, by key */
    struct yo_buf json;  /* for the message hook */
    struct yo_buf names; /* the same: of those to whom it goes */
    uint64_t last_ticket;
};

struct yo_local_room {
    struct yo_map_node node;
    struct yo_blob *key;
    uint32_t home;        /* the worker on which the room lives */
    struct yo_link seats; /* of those who are in */
    size_t count;         /* of all seats, also of those who wait to be let in */
};

struct yo_seat {
    struct yo_link in_peer, in_room;
    struct yo_peer *peer;
    struct yo_local_room *room;
    uint64_t ticket; /* answers to an older join of the same room carry another */
    uint32_t lane;   /* where reliable messages of the room go */
    bool joined;
    yo_time pace;    /* LATEST values at most so often; 0: as they come */
    bool observer; /* it is not seen in the room */
    uint8_t may;           /* YO_MAY_ bits, auth/grants.h */
    struct yo_note *leave; /* ready from the start, so that leaving cannot fail */
};

void yo_local_init(struct yo_local *local, struct yo_worker *worker);
void yo_local_finish(struct yo_local *local);

/* What a peer's session asks for. A refusal comes as a note, never inside the call. */
void yo_local_join(struct yo_local *local, struct yo_peer *peer,
                   const struct yo_effect *effect);
void yo_local_leave(struct yo_local *local, struct yo_peer *peer, struct yo_span room);
void yo_local_state(struct yo_local *local, struct yo_peer *peer,
                    const struct yo_effect *effect);
void yo_local_publish(struct yo_local *local, struct yo_peer *peer,
                      const struct yo_effect *effect);
void yo_local_history(struct yo_local *local, struct yo_peer *peer,
                      const struct yo_effect *effect);

/* A change of what the room shares, or a lock (share.c). */
void yo_local_share(struct yo_local *local, struct yo_peer *peer,
                    const struct yo_effect *effect);

/* The home has moved a seat here, for `peer`, which takes the session of `note`.
 * YOMO_ERR_NOMEM. */
int yo_local_arrive(struct yo_local *local, struct yo_peer *peer,
                    const struct yo_note *note);

/* Its rights anew, and out of the rooms that its token does not allow: it has taken a
 * session over, or has another token. */
void yo_local_recheck(struct yo_local *local, struct yo_peer *peer, yo_time now);

/* The connection broke, but its seats are kept, and the others hear of that (`tell`).
 * Rooms that have not let it in yet are left. */
void yo_local_keep(struct yo_local *local, struct yo_peer *peer, bool tell);

/* Out of one room by force: it is told `error` and `why`. The seat is gone, and so may
 * the connection be. Not for presencejs, which knows no such thing, nor while its session
 * moves. */
void yo_local_put_out(struct yo_local *local, struct yo_seat *seat, int error,
                      struct yo_span why, yo_time now);

/* Out of every room: the connection ends. */
void yo_local_leave_all(struct yo_local *local, struct yo_peer *peer);

/* One note from a home; it is freed (answers.c). */
void yo_local_take(struct yo_local *local, struct yo_note *note, yo_time now);

/* Between local.c and say.c: what hooks are shown of a member; the session under which
 * a peer has its seats (one that moves here: that of the other); a note about a seat; an
 * answer of this worker itself that must not come inside the call; what a payload
 * carries, lent until the next one is read. */
struct yomo_member;
struct yo_content;
struct yo_seat *yo_seat_named(struct yo_local *local, const struct yo_peer *peer,
                              struct yo_span name);
void yo_seat_member(const struct yo_seat *seat, struct yomo_member *member);
uint64_t yo_peer_seated_as(const struct yo_peer *peer);
struct yo_note *yo_seat_note(struct yo_local *local, enum yo_note_kind kind,
                             const struct yo_seat *seat, struct yo_span label,
                             struct yo_span event, struct yo_span key);
void yo_local_answer(struct yo_local *local, struct yo_peer *peer,
                     enum yo_note_kind kind, struct yo_span name, uint64_t number,
                     int error);
int yo_local_content(struct yo_local *local, struct yo_span payload,
                     struct yo_content *content);

/* Between local.c and answers.c. */
struct yo_local_room *yo_local_room_find(struct yo_local *local, struct yo_span key);
struct yo_seat *yo_seat_find(const struct yo_peer *peer,
                             const struct yo_local_room *room);

/* One seat, or one walk over the seats, less: the room goes with the last. */
void yo_local_room_release(struct yo_local *local, struct yo_local_room *room);

/* It was let in, and hears the room from here on. */
void yo_seat_enter(struct yo_local *local, struct yo_seat *seat);

/* The seat is given back; its home knows already, or gets `leave` from the caller. */
void yo_seat_free(struct yo_local *local, struct yo_seat *seat);

/* The same, and its home hears; `why` is the error that ended it, or YOMO_OK if its
 * member wanted to go. */
void yo_seat_leave(struct yo_local *local, struct yo_seat *seat, int why);
void yo_seat_hook_left(struct yo_local *local, const struct yo_seat *seat);

#endif
