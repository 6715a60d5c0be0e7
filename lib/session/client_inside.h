/* SPDX-License-Identifier: MIT */
/* client_inside.h - what the four client_*.c share: nobody else's business. */
#ifndef YO_SESSION_CLIENT_INSIDE_H
#define YO_SESSION_CLIENT_INSIDE_H

#include "base/list.h"
#include "base/map.h"
#include "session/client_side.h"
#include "session/numbers.h"
#include "session/versions.h"
#include "wire/decode.h"

enum yo_client_mode {
    CLIENT_WAITING,    /* for hello */
    CLIENT_YOMO,       /* the extension */
    CLIENT_PRESENCEJS, /* there was no hello */
    CLIENT_OVER        /* CLOSE went out */
};

enum yo_client_phase {
    ROOM_JOINING, /* the join went out */
    ROOM_IN,      /* JOINED went out */
    ROOM_LEAVING  /* the leave went out (extension: an answer comes) */
};

/* One room as this connection knows it. */
struct yo_client_room {
    struct yo_map_node by_name;
    enum yo_client_phase phase;
    uint32_t lane;
    bool acked, complete; /* JOINING: the ACK came; the last page came */
    bool rejoin;          /* LEAVING: to be joined again when that is answered */
    bool state_waits;     /* JOINING: a state was set after the join went out */
    uint64_t sequence;    /* of the snapshot: what is not after it is in it */
    uint64_t epoch;       /* of the room's order, from the ACK on */
    uint64_t heard[3], seen; /* of the last data (by priority) and the last change that
                                were told */
    uint64_t past[3];     /* of the last message of the past, by priority */
    bool resuming;        /* JOINING: not for the first time, after a break; ACKED: the
                             server has said so */
    uint64_t read;        /* how many of its messages the server has read, said then */
    uint64_t valued;      /* of the last change of what is shared */
    bool paging;          /* pages of what is shared after a break are coming */
    struct yo_buf state;  /* this member's own */
    struct yo_join_wishes wishes;
    bool observer;        /* it was let in as one */
    struct yo_link held;  /* of struct yo_held, in the order of arrival */
    size_t held_count;    /* effects that will come of them */
    struct yo_map peers; /* presencejs: who is known, of struct yo_client_peer */
    yo_time join_due;    /* presencejs in datagrams: when the join is sent again */
    uint32_t join_tries;
    size_t size;
    uint8_t name[];
};

/* A message that came before its time. */
struct yo_held {
    struct yo_link link;
    uint32_t lane;
    size_t size;
    uint8_t bytes[];
};

struct yo_client_session {
    const struct yomo_mem *mem;
    bool datagrams;
    enum yo_client_mode mode;
    yo_time hello_due;
    uint64_t session, epoch;
    struct yo_wire_limits limits;
    struct yo_map rooms; /* of yo_client_room */
    uint32_t next_lane;
    struct yo_versions versions; /* of LATEST values, by sender */
    uint64_t skip;               /* control messages to come that came before a move */
    size_t held_bytes;           /* in all rooms */
    struct yo_link spent; /* held messages to which effects point: until next call */
    uint32_t errors;
    yo_time heard, ping_due, ping_sent;
    uint64_t ping_number;
    bool broken;    /* the server broke the protocol: it is not gone on with */
    bool resuming;  /* it was asked for, and the answer is to come */
    uint64_t fresh; /* what the session is else */
};

/* A message in hand. */
struct yo_arrival {
    const struct yo_message *message;
    struct yo_span bytes;
    uint32_t lane;
    yo_time now;
    struct yo_effects *effects;
};

/* client_side.c */
enum yo_dialect yo_client_dialect(const struct yo_client_session *session);
int yo_client_done(struct yo_effects *effects); /* seal, or undo without memory */
void yo_client_send(struct yo_client_session *session, struct yo_effects *effects,
                    uint32_t lane, const struct yo_message *message);
int yo_client_error_of(const struct yo_message *message);
void yo_client_drop(const struct yo_arrival *in, int error, const char *text);
void yo_client_broken(struct yo_client_session *session, const struct yo_arrival *in,
                      const char *text);
void yo_client_want_close(struct yo_client_session *session, struct yo_effects *effects,
                          uint32_t code, int error, const char *text);

void yo_client_heard(struct yo_client_session *session, yo_time now); /* anything */

/* client_resume.c */
void yo_client_on_resumed(struct yo_client_session *session,
                          const struct yo_arrival *in);

/* client_rooms.c */
struct yo_client_room *yo_client_find(const struct yo_client_session *session,
                                      struct yo_span room);
struct yo_span yo_client_room_name(const struct yo_client_room *room);
void yo_client_forget(struct yo_client_session *session, struct yo_client_room *room);
void yo_client_release_held(struct yo_client_session *session,
                            struct yo_client_room *room);
void yo_client_rooms_finish(struct yo_client_session *session);
void yo_client_spent_free(struct yo_client_session *session);
void yo_client_send_join(struct yo_client_session *session, struct yo_client_room *room,
                         yo_time now, struct yo_effects *effects);
void yo_client_hold(struct yo_client_session *session, struct yo_client_room *room,
                    const struct yo_arrival *in);
void yo_client_on_room(struct yo_client_session *session, const struct yo_arrival *in);

/* For changes: is this to be told, or was it before, or is it in the snapshot? Once it is
 * told, it is noted. What was promised is held until the room is joined; `tellings`
 * effects come of it. */
bool yo_client_is_news(const struct yo_client_room *room,
                       const struct yo_message *message);
void yo_client_tell_once(struct yo_client_room *room, const struct yo_message *message);
struct yo_effect *yo_client_tell_peer(const struct yo_message *message, int change,
                                      struct yo_effects *effects); /* or NULL */
void yo_client_hold_promised(struct yo_client_session *session,
                             struct yo_client_room *room, const struct yo_arrival *in,
                             size_t tellings);

/* client_changes.c; a page or several changes of which one is broken is not used at all:
 * YOMO_ERR_MALFORMED. */
int yo_client_check_members(struct yo_span members, uint32_t *count);
void yo_client_on_changes(struct yo_client_session *session,
                          struct yo_client_room *room, const struct yo_arrival *in);
void yo_client_tell_changes(const struct yo_client_session *session,
                            const struct yo_message *changes,
                            struct yo_effects *effects);

/* client_values.c: changes of what is shared, and pages of it, come; those that were held
 * are told. */
void yo_client_on_value(struct yo_client_session *session, struct yo_client_room *room,
                        const struct yo_arrival *in);
void yo_client_on_values(struct yo_client_session *session, struct yo_client_room *room,
                         const struct yo_arrival *in);
bool yo_client_is_valued(const struct yo_client_room *room,
                         const struct yo_message *message);
void yo_client_tell_value(struct yo_client_room *room, const struct yo_message *message,
                          struct yo_effects *effects);
void yo_client_tell_values(struct yo_client_room *room, const struct yo_message *page,
                           struct yo_effects *effects);

/* Make sure that yo_client_joined and `extra` adds before it cannot fail.
 * YOMO_ERR_NOMEM. */
int yo_client_reserve_joined(struct yo_client_room *room, size_t extra,
                             struct yo_effects *effects);
/* JOINED, and then what was held. */
void yo_client_joined(struct yo_client_session *session, struct yo_client_room *room,
                      struct yo_effects *effects);

/* client_presencejs.c: their ops that are about a room, but data */
void yo_presencejs_on_ack(struct yo_client_session *session,
                          struct yo_client_room *room, const struct yo_arrival *in);
void yo_presencejs_on_peer(struct yo_client_session *session,
                           struct yo_client_room *room, const struct yo_arrival *in);
void yo_presencejs_forget_peers(struct yo_client_session *session,
                                struct yo_client_room *room);
void yo_presencejs_tick(struct yo_client_session *session, yo_time now,
                        struct yo_effects *effects);
yo_time yo_presencejs_deadline(const struct yo_client_session *session);

#endif
