/* SPDX-License-Identifier: MIT */
/* server_inside.h - what server_side.c and server_rooms.c share: nobody else's
 * business. */
#ifndef YO_SESSION_SERVER_INSIDE_H
#define YO_SESSION_SERVER_INSIDE_H

#include "session/numbers.h"
#include "session/quota.h"
#include "session/server_side.h"
#include "session/versions.h"
#include "wire/message.h"

enum yo_attendance_phase {
    ATTENDANCE_ASKED,  /* JOIN went out */
    ATTENDANCE_IN,     /* and was answered */
    ATTENDANCE_LEAVING /* LEAVE went out */
};

/* One room as one client attends it. */
struct yo_attendance {
    struct yo_map_node by_name;
    enum yo_attendance_phase phase;
    uint32_t lane;
    uint32_t stale_joins;  /* answers to come for joins that were left meanwhile */
    uint32_t stale_leaves; /* answers to come for leaves that a join followed */
    uint64_t taken;        /* messages that came on its stream of this connection */
    bool observer;         /* it is not seen there, and has no state */
    uint64_t read;         /* RELIABLE data since the join, over all connections, ... */
    uint64_t read_told;    /* ... and as far as the client has been told */
    bool resumed;          /* its seat has come along, just now */
    uint32_t ack_tries;    /* of a presencejs ACK in datagrams, so far */
    yo_time ack_due;       /* when it is sent again; YO_NEVER: not */
    size_t label_size;     /* of the name under which presencejs hears its data */
    size_t size;
    uint8_t name[];
};

struct yo_server_session {
    const struct yomo_mem *mem;
    struct yo_server_identity identity; /* its spans point to `id` and `mesh` */
    struct yo_server_limits limits;
    char *id, *mesh;
    struct yo_map rooms; /* of yo_attendance */
    size_t rooms_held;   /* those that are not LEAVING */
    uint32_t next_lane;
    struct yo_quota quota;
    struct yo_versions versions; /* of this client's LATEST values */
    uint32_t errors;             /* broken messages so far */
    yo_time heard;               /* when the last message came */
    uint64_t taken;              /* messages that came on this connection's control */
    size_t claims;               /* rooms that it wants to resume */
    uint32_t asked;              /* sessions that it asked for */
    yo_time token_due;           /* when the next token may come */
    bool fenced;                 /* FENCE went out: a move is under way */
    bool closed;                 /* CLOSE went out */
};

/* A message in hand. */
struct yo_incoming {
    const struct yo_message *message;
    uint32_t lane;
    enum yo_limited limited; /* whose token bucket is empty */
    yo_time now;
    struct yo_effects *effects;
};

/* server_side.c */
bool yo_server_over(size_t size, size_t limit); /* a limit of 0 is none */
void yo_server_drop(const struct yo_incoming *in, int error, const char *text);
void yo_server_refuse(struct yo_server_session *session, const struct yo_incoming *in,
                      int error, const char *text);
/* The same of one that is too much, with a sentence that names the limit. */
void yo_server_refuse_limited(struct yo_server_session *session,
                              const struct yo_incoming *in);
void yo_server_broken(struct yo_server_session *session, const struct yo_incoming *in,
                      const char *text);
void yo_server_send(struct yo_server_session *session, struct yo_effects *effects,
                    const struct yo_message *message);
int yo_server_done(struct yo_effects *effects); /* seal, or undo when memory ran out */

/* How many bytes a message has when it is relayed to presencejs. */
size_t yo_server_relayed_size(const struct yo_server_session *session, enum yo_op op,
                              struct yo_span room, struct yo_span payload,
                              size_t peer_size);

/* server_rooms.c */
struct yo_attendance *yo_server_find(const struct yo_server_session *session,
                                     struct yo_span room);
void yo_server_on_join(struct yo_server_session *session, const struct yo_incoming *in);
void yo_server_on_leave(struct yo_server_session *session,
                        const struct yo_incoming *in);
void yo_server_on_state(struct yo_server_session *session,
                        const struct yo_incoming *in);
/* The last places that the client had: `normal`, and of the other priorities what the
 * message says. */
void yo_server_places(const struct yo_message *message, uint64_t normal,
                      struct yo_effect *effect);
void yo_server_on_history(struct yo_server_session *session,
                          const struct yo_incoming *in);
/* server_values.c */
void yo_server_on_value(struct yo_server_session *session,
                        const struct yo_incoming *in);
void yo_server_on_lock(struct yo_server_session *session, const struct yo_incoming *in);

void yo_server_on_online(struct yo_server_session *session,
                         const struct yo_incoming *in);
void yo_server_count(struct yo_server_session *session,
                     const struct yo_message *message, uint32_t lane);
void yo_server_tell_read(struct yo_server_session *session, struct yo_effects *effects);
void yo_server_tell_taken(struct yo_server_session *session,
                          struct yo_effects *effects);
void yo_server_keep_resumed(struct yo_server_session *session);
void yo_server_count_anew(struct yo_server_session *session);
void yo_server_rooms_tick(struct yo_server_session *session, yo_time now,
                          struct yo_effects *effects);
yo_time yo_server_rooms_deadline(const struct yo_server_session *session);
void yo_server_rooms_finish(struct yo_server_session *session);

#endif
