/* SPDX-License-Identifier: MIT */
/* server_side.h - the server's conversation with one client.
 *
 * Knows which rooms this client asked for and is in, checks every message against the
 * protocol, the limits and the rates, and says what is to be done. Knows no socket, no
 * other client and no clock. Nothing that a peer sends makes it fail otherwise than by
 * DROP or CLOSE effects.
 *
 * A room's life here: JOIN goes out once; the owner answers with yo_server_joined or
 * yo_server_refused; between these, messages of that room are not let through. LEAVE is
 * answered with yo_server_left and error 0. Every JOIN and every LEAVE has one answer, in
 * the order of the effects, also when the client has gone on to something else by then:
 * an answer that came too late tells the client nothing, and yo_server_session_lane
 * shows whether it is in. */
#ifndef YO_SESSION_SERVER_SIDE_H
#define YO_SESSION_SERVER_SIDE_H

#include "base/map.h"
#include "base/time.h"
#include "session/allowance.h"
#include "session/effects.h"
#include "wire/encode.h"

/* A number that is 0 limits nothing. */
struct yo_server_limits {
    size_t message_size;      /* bytes of one message */
    size_t datagram_size;     /* presencejs over WebTransport (legacy-datagram-max): of a
                                 message as it is relayed, with p and mesh */
    size_t rooms;             /* one connection may be in */
    size_t room_name_size, event_size, key_size, state_size;
    uint32_t messages_per_second, messages_burst; /* token bucket; 0: no limit */
    uint64_t silence_ms;      /* extension: told in hello; after so much silence the
                                 session asks for a CLOSE, our client pings before */
    uint64_t grace_ms;        /* told in hello: seats are kept so long after a break */
    uint32_t errors_max;      /* broken messages before the connection is closed */
};

struct yo_server_identity {
    struct yo_span id;
    uint64_t session;
    uint64_t epoch;       /* of this server process */
    bool extension;       /* yomo=1 */
    bool datagrams_only;  /* presencejs over WebTransport */
    bool id_proven;       /* by a token or the host: cannot be changed, and a state with
                             another `id` in it is refused */
    struct yo_span mesh;  /* as messages are relayed with; absent: none */
    uint64_t expires_ms;  /* what it was let in with holds so long; 0: for ever */
    struct yo_span token; /* extension: told in hello, for a move; absent: none */
    struct yo_rates *rates; /* of all sessions of its application together, which
                               outlive them; NULL: none */
};

/* Whose rate a message was too much for: of an effect DROP with RATE. */
enum yo_limited {
    YO_LIMITED_NOT,
    YO_LIMITED_CONNECTION,   /* limits.messages_per_second */
    YO_LIMITED_APP_MESSAGES, /* identity.rates */
    YO_LIMITED_APP_BYTES
};

struct yo_server_session; /* opaque: server_side.c */

int yo_server_session_create(struct yo_server_session **out, const struct yomo_mem *mem,
                             const struct yo_server_identity *identity,
                             const struct yo_server_limits *limits, yo_time now,
                             struct yo_effects *effects); /* SEND hello for the extension */
void yo_server_session_destroy(struct yo_server_session *session);

/* One message arrived on `lane` (transport.h). What it lends to effects is good until the
 * next call. After a CLOSE effect later messages have no effect. Returns 0 always or YOMO_ERR_NOMEM, after
 * which the connection is to be closed. */
int yo_server_session_recv(struct yo_server_session *session, uint32_t lane,
                           struct yo_span message, yo_time now, struct yo_effects *effects);

/* The room let the client in, or did not; or the client was put out of it (`error` 0: its
 * leave is answered). Each tells the client in its dialect; presencejs knows no refusal
 * and no putting out. The ACK goes first, on YO_LANE_CONTROL, by yo_server_joined; pages
 * (session/pages.h) follow there, what was said before (session/told.h), changes and
 * messages on the room's lane. `sequence` and `epoch` are those of the room's order.
 * YOMO_ERR_NOMEM, and nothing changed. */
int yo_server_joined(struct yo_server_session *session, struct yo_span room,
                     uint64_t sequence, uint64_t epoch, yo_time now,
                     struct yo_effects *effects);
int yo_server_refused(struct yo_server_session *session, struct yo_span room, int error,
                      struct yo_span text, struct yo_effects *effects);
int yo_server_left(struct yo_server_session *session, struct yo_span room, int error,
                   struct yo_span text, struct yo_effects *effects);

/* The answer that is to come lets it in as an observer, whatever it asked for: it is told so
 * with the ACK, and a state of it is refused. */
void yo_server_set_observer(struct yo_server_session *session, struct yo_span room);

/* What became of a numbered message: ACK, or ERROR with `error`. Of a question for
 * history only an ERROR is told so. */
int yo_server_confirm(struct yo_server_session *session, struct yo_span room,
                      uint64_t number, uint64_t sequence, int error,
                      struct yo_effects *effects);

/* A numbered wish was refused by the option `limit`, which the text names. */
int yo_server_over_limit(struct yo_server_session *session, struct yo_span room,
                         uint64_t number, int error, const char *limit,
                         struct yo_effects *effects);

/* What became of a TOKEN: it holds for `expires_ms`, or `error`. */
int yo_server_token(struct yo_server_session *session, uint64_t expires_ms, int error,
                    struct yo_effects *effects);

int yo_server_goaway(struct yo_server_session *session, uint64_t after_ms,
                     struct yo_span url, struct yo_effects *effects);

/* Another connection goes on with this session. Tells the client, on it, what was taken on
 * the old one: `moved` for each room it is in, and at the end one with the `token` for the
 * next move and `again`, the number of the first message on the old control stream that
 * comes again (0: none does). From here on counts are those of the new connection, whose
 * own session has been `fresh` until now.
 * YOMO_ERR_NOMEM, and nothing changed. */
int yo_server_moved(struct yo_server_session *session,
                    const struct yo_server_session *fresh, struct yo_span token,
                    uint64_t again, yo_time now, struct yo_effects *effects);

/* The same after a break: first, for each room that came along, how many of the
 * client's messages were read (YOMO_ERR_NOT_FOUND: it does not know that room), and
 * when all that was missed has been said, that this was all. Rooms that did not come
 * along are forgotten. YOMO_ERR_NOMEM, and nothing changed. */
int yo_server_resumed_room(struct yo_server_session *session, struct yo_span room,
                           struct yo_effects *effects);
/* Its seats are given up: what its client is to be told when it comes too late, for
 * each room how much was read. YOMO_ERR_NOMEM. */
int yo_server_bygone(struct yo_server_session *session, struct yo_effects *effects);

int yo_server_resumed(struct yo_server_session *session,
                      const struct yo_server_session *fresh, struct yo_span token,
                      yo_time now, struct yo_effects *effects);

/* The connection broke, and the session waits for another. Joins and leaves that were
 * not answered are forgotten; their answers are then for nobody. */
void yo_server_session_park(struct yo_server_session *session);

/* Is some join or leave not answered yet? */
bool yo_server_session_waits(const struct yo_server_session *session);

/* Time passes: presencejs join ACKs over datagrams that got no peer_online are sent
 * again (at most a few times). */
int yo_server_session_tick(struct yo_server_session *session, yo_time now,
                           struct yo_effects *effects);
yo_time yo_server_session_deadline(const struct yo_server_session *session);

/* The reliable lane of a room this client is in, for what the server sends there; 0 when
 * it is not in it. */
uint32_t yo_server_session_lane(const struct yo_server_session *session,
                                struct yo_span room);

/* The same from the moment it asked: the lane that it will be. */
uint32_t yo_server_session_asked_lane(const struct yo_server_session *session,
                                      struct yo_span room);

enum yo_dialect yo_server_session_dialect(const struct yo_server_session *session);

#endif
