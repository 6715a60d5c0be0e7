/* SPDX-License-Identifier: MIT */
/* client_side.h - the client's conversation with one server, over one connection.
 *
 * Waits for hello (extension) for one second, else takes the server for a presencejs
 * backend and speaks as a presencejs client: then it keeps the roster itself from
 * peer_online, peer_state and peer_offline, answers peer_online as presencejs does, and
 * is joined with the ACK. Above it, client/ keeps the rooms over several connections.
 *
 * READY comes once the dialect is known; a second time, with `extension`, when hello was
 * later than that second: the session then starts its joins anew by itself.
 *
 * Until JOINED what is reliable or LATEST in that room is held back, at most
 * YO_CLIENT_HELD_MAX bytes in all; past that the session asks for a CLOSE (retry), but
 * LATEST is dropped. UNRELIABLE is dropped. A room's data may overtake the peer_online of
 * its sender. */
#ifndef YO_SESSION_CLIENT_SIDE_H
#define YO_SESSION_CLIENT_SIDE_H

#include "base/time.h"
#include "session/effects.h"
#include "wire/encode.h"

struct yo_client_session;

struct yo_client_identity {
    struct yo_span id;
    bool datagrams; /* the transport has them: presencejs messages go there */
    bool returning; /* a session of it is kept by a server that spoke the extension */
};

#define YO_HELLO_WAIT YO_SECOND
/* A server that speaks it, and all of whose clients come back at once, may be slow; to
 * take it for a presencejs backend costs the seats. */
#define YO_HELLO_WAIT_RETURNING (5 * YO_SECOND)
#define YO_CLIENT_HELD_MAX (1u << 20)
#define YO_CLIENT_PEERS_MAX 10000u /* of one room that are told apart in presencejs */

int yo_client_session_create(struct yo_client_session **out, const struct yomo_mem *mem,
                             const struct yo_client_identity *identity, yo_time now);
void yo_client_session_destroy(struct yo_client_session *session);

int yo_client_session_recv(struct yo_client_session *session, uint32_t lane,
                           struct yo_span message, yo_time now, struct yo_effects *effects);
int yo_client_session_tick(struct yo_client_session *session, yo_time now,
                           struct yo_effects *effects);
yo_time yo_client_session_deadline(const struct yo_client_session *session);

/* What a join asks for beside room and state; zeroed: nothing more. Only the extension
 * knows of it. */
struct yo_join_wishes {
    bool observe; /* to hear, without being seen */
    uint64_t since[YOMO_BULK + 1]; /* the place of the last message that was had, by
                                      priority; the normal one 0: nothing ... */
    uint64_t epoch; /* ... of the order with this epoch: what came then is told */
    uint64_t former; /* under this session; 0: none */
    uint64_t hist;  /* so many of the last messages are told */
    uint64_t pace_ms; /* LATEST at most this often; 0: as it comes */
};

/* What the program wants; allowed from READY on. `state` is the encoded payload (with
 * the id in it). Effects are SENDs, and LEFT where a leave has no answer (presencejs).
 *
 * `wishes` may be NULL. A room may be joined again before its LEFT has come: the old leave then ends without a
 * LEFT. A state set before JOINED goes out with the ACK.
 *
 * YOMO_ERR_STATE before READY; join: INVALID, EXISTS, FULL, TOO_BIG; leave and state:
 * NOT_FOUND, TOO_BIG; state: DENIED to one who asked to observe; NOMEM. After an error nothing changed and there are no effects. */
int yo_client_join(struct yo_client_session *session, struct yo_span room,
                   struct yo_span state, const struct yo_join_wishes *wishes, yo_time now,
                   struct yo_effects *effects);
int yo_client_leave(struct yo_client_session *session, struct yo_span room, yo_time now,
                    struct yo_effects *effects);
int yo_client_state(struct yo_client_session *session, struct yo_span room,
                    struct yo_span state, yo_time now, struct yo_effects *effects);

/* Put somebody out of a room: `order` is a kick, a ban or a close, with its number.
 * CONFIRMED follows. YOMO_ERR_STATE without the extension, NOT_FOUND unless the room is
 * joined, NOMEM. */
int yo_client_order(struct yo_client_session *session, const struct yo_message *order,
                    struct yo_effects *effects);

/* Ask for a change of what a room shares: `wish` is a value, a lock or an unlock, with its
 * number. CONFIRMED follows, with the place of the change as `sequence`, or with the
 * version that is there when it failed with CONFLICT. YOMO_ERR_STATE without the extension,
 * NOT_FOUND unless the room is joined, TOO_BIG, NOMEM. */
int yo_client_share(struct yo_client_session *session, const struct yo_message *wish,
                    struct yo_effects *effects);

/* Ask for what was said before the place `before` (0: the newest), at most `max` messages
 * (0: as many as the server likes): HISTORY effects follow, all but the last with `more`,
 * or CONFIRMED with an error. YOMO_ERR_STATE without the extension, NOT_FOUND unless the
 * room is joined, NOMEM. */
int yo_client_history(struct yo_client_session *session, struct yo_span room,
                      uint64_t number, uint64_t before, uint64_t max,
                      struct yo_effects *effects);

/* Append one message of data to `out` in the server's dialect; it does not go through
 * effects since it waits in an outbox. Key and version count with LATEST only; a number of
 * 0: no answer is wanted. YOMO_ERR_STATE: it is not for everybody else, and the server
 * knows nothing else. YOMO_ERR_TOO_BIG past what the server takes, YOMO_ERR_NOMEM. */
int yo_client_encode(struct yo_client_session *session, struct yo_buf *out,
                     const struct yo_message *data);

/* The lane on which the room's reliable messages go; a room keeps its lane. */
uint32_t yo_client_lane(struct yo_client_session *session, struct yo_span room);

/* Prove anew who this is (extension): a TOKEN effect follows. YOMO_ERR_STATE without the
 * extension, YOMO_ERR_NOMEM. */
int yo_client_token(struct yo_client_session *session, struct yo_span token,
                    struct yo_effects *effects);

/* Send a ping (extension): PONG effect with the round-trip time follows. The session
 * pings by itself, often enough for what the server's hello says of silence. */
int yo_client_ping(struct yo_client_session *session, yo_time now,
                   struct yo_effects *effects);

/* Another connection takes over, with all that this session knows. `skip`: so many
 * messages that go on control have come before. What is told twice of a room is dropped
 * by its place in the room's order. */
void yo_client_session_moved(struct yo_client_session *session, bool datagrams,
                             uint64_t skip, yo_time now);

/* After a break: the session is kept, without calls, until there is another connection
 * to the same run of the server (its epoch), whose hello came to the session `hello`.
 * begin; for each room that is wanted resume_room (YOMO_ERR_NOT_FOUND: it was not in);
 * then resume, with the token. Effects are SENDs; YOMO_ERR_NOMEM.
 *
 * Then, for each room that it has back, PEER for each member, JOINED (`resumed`; `number`:
 * so many of its RELIABLE messages were read since it was joined) and what it missed; and
 * RESUMED at the end: rooms without a JOINED are forgotten and may be joined. With an
 * error all are, and `session` is the one of that hello. No other call until then. */
uint64_t yo_client_session_grace(const struct yo_client_session *session); /* ms */
bool yo_client_session_may_resume(const struct yo_client_session *session);
void yo_client_resume_begin(struct yo_client_session *session,
                            const struct yo_client_session *hello, bool datagrams,
                            yo_time now);
int yo_client_resume_room(struct yo_client_session *session, struct yo_span room,
                          struct yo_effects *effects);
int yo_client_resume(struct yo_client_session *session, struct yo_span token,
                     struct yo_effects *effects);

bool yo_client_session_extension(const struct yo_client_session *session);
bool yo_client_session_ready(const struct yo_client_session *session);
size_t yo_client_session_message_max(const struct yo_client_session *session);

#endif
