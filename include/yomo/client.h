/* SPDX-License-Identifier: MIT */
#ifndef YOMO_CLIENT_H
#define YOMO_CLIENT_H

/** @file client.h
 * A client: connects, joins rooms, broadcasts, subscribes, and sees who is there.
 *
 * Three ways to run one, chosen by the first of these calls:
 *  - yomo_client_start: on a thread of the library's own;
 *  - yomo_client_start_on: in the host's uv_loop_t, on that loop's thread;
 *  - yomo_client_poll: whenever the host calls it, on the thread that calls it.
 * Callbacks run there and nowhere else, never inside the call that caused them. Any call
 * is allowed inside a callback, yomo_client_close and yomo_client_free too.
 *
 * Every call but yomo_client_poll may come from any thread, and none waits for the
 * network. What a call asks for is done in the order of the calls of one thread. */

#include <yomo/options.h>
#include <yomo/request.h>
#include <yomo/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What a connection is doing. */
enum yomo_client_state {
    YOMO_CLIENT_IDLE = 0,       /**< created, not asked to connect yet */
    YOMO_CLIENT_CONNECTING = 1, /**< the first attempt, or one after a loss, is under way */
    YOMO_CLIENT_OPEN = 2,       /**< connected, or moved to another transport */
    YOMO_CLIENT_WAITING = 3,    /**< lost, or not reached; the next attempt is set */
    YOMO_CLIENT_CLOSED = 4      /**< over: closed by the program, or for good by the server */
};

/** What became of a peer. */
enum yomo_peer_change {
    YOMO_PEER_PRESENT = 0, /**< was there when this client joined */
    YOMO_PEER_JOINED = 1,
    YOMO_PEER_STATE = 2, /**< its state is another */
    YOMO_PEER_LEFT = 3,
    /** Its connection broke; its seat is kept for the server's grace time. Then it is
     * back, or has left. Servers of the extension tell. */
    YOMO_PEER_STALE = 4,
    YOMO_PEER_BACK = 5
};

/** What a client tells its program. Any member may be NULL. */
typedef struct yomo_client_callbacks {
    uint32_t size; /**< sizeof(yomo_client_callbacks): later versions append members */

    /** The connection changed. `status` is lent for the call. OPEN comes again, with
     * another transport, when the client has moved to it: rooms are as they were. */
    void (*on_status)(void *user, yomo_client *client, const yomo_status *status);

    /** The room was joined: on_peer has told who was there. Comes again when the room
     * was joined again after a lost connection, or its seat was taken again; on_peer has
     * then told the differences. Messages that were missed follow. */
    void (*on_joined)(void *user, yomo_room *room);

    /** A message of any event arrived. `message` is lent for the call. */
    void (*on_message)(void *user, yomo_room *room, const yomo_message *message);

    /** A member came, changed its state, or left; never this client itself. `peer` is
     * lent for the call. */
    void (*on_peer)(void *user, yomo_room *room, const yomo_peer *peer, int32_t change);

    /** What became of message `id` of yomo_room_send: 0 when the server gave it its
     * place (extension) or the transport acknowledged it, else an error: EXISTS when a
     * newer LATEST value took its place, FULL when it gave way for want of room, TIMEOUT
     * when its datagram was lost, UNSURE when it was sent and nobody can say any more
     * whether it arrived, CLOSED when the room ended before it was sent, or what the
     * server said. After a break a RELIABLE message has its answer when the session was
     * resumed; else see "Away and back" in docs/rooms.md. */
    void (*on_sent)(void *user, yomo_room *room, uint64_t id, int32_t error);

    /** The room is over: left, refused (DENIED, FULL, ...), or the client closed. The
     * last callback with this handle, which is gone when it returns. `text` is a
     * sentence or "". */
    void (*on_left)(void *user, yomo_room *room, int32_t error, const char *text);

    /** The client is over. Exactly once, last. */
    void (*on_closed)(void *user, yomo_client *client);

    /** What the server was shown to prove who this is holds for `left_ms` more: give it a
     * new token with yomo_client_set_token, or it ends the connection then. Comes when
     * three quarters of the time are over, and again, with why, when a token was refused:
     * `error` is 0, AUTH, DENIED (somebody else's), or RATE (two in a second). */
    void (*on_token)(void *user, yomo_client *client, uint64_t left_ms, int32_t error);

    /** The answer to a yomo_room_history. `history` is lent for the call. */
    void (*on_history)(void *user, yomo_room *room, yomo_history *history);

    /** Reliable messages that this member should have had will not come: it was away, and
     * the server does not keep them any more. Their places are in `gap`, which is lent for
     * the call. What comes after them follows. */
    void (*on_gap)(void *user, yomo_room *room, const yomo_gap *gap);

    /** A person came with the first of its devices (YOMO_PEER_JOINED, or YOMO_PEER_PRESENT
     * when it was there already), or went with the last of them (YOMO_PEER_LEFT); after
     * on_peer has told of that device. Devices of a person have one user id. This client
     * itself is not among them, but other devices of its own user are. A device whose
     * connection breaks and comes back changes nothing. `who` is lent for the call. */
    void (*on_user)(void *user, yomo_room *room, const yomo_user *who, int32_t change);

    /** A shared value or a lock is another now, or is gone; also for each that was there
     * when this client joined, before on_joined. After a lost connection only what is
     * different is told. `value` is lent for the call. */
    void (*on_value)(void *user, yomo_room *room, const yomo_value *value);

    /** This client holds the lock `key`, with `version`; or (`held` 0) does not hold it any
     * more, though it did not give it back. */
    void (*on_lock)(void *user, yomo_room *room, const char *key, int32_t held,
                    uint64_t version);
} yomo_client_callbacks;

/** A new client, idle.
 *
 * Ownership: `options` are copied, so are `callbacks` (may be NULL); `user` is handed to
 *            each callback. `*out` is the caller's, for yomo_client_free.
 * Errors:    INVALID; OPTION when they are of the server's scope or `url` is missing;
 *            URL; FILE and TLS_SETUP for what `ca` and others name; NOMEM, SYSTEM. */
YOMO_API int32_t yomo_client_create(yomo_client **out, const yomo_options *options,
                                    const yomo_client_callbacks *callbacks, void *user);

/** Run on a thread of the library's own, from now on. Errors: STATE, NOMEM, SYSTEM. */
YOMO_API int32_t yomo_client_start(yomo_client *client);

/** Run in `loop`, from now on. The loop must outlive on_closed.
 * Thread: the loop's. Errors: STATE, NOMEM, SYSTEM. */
YOMO_API int32_t yomo_client_start_on(yomo_client *client, struct uv_loop_s *loop);

/** Do what is due now and return; callbacks run inside. Never waits.
 *
 * Thread:  one at a time, and the same thread that made the first call for as long as
 *          callbacks depend on it. Not from a callback (STATE).
 * Returns: 0; CLOSED once on_closed has come; STATE when it runs in another way. */
YOMO_API int32_t yomo_client_poll(yomo_client *client);

/** For polled clients: a descriptor that is readable when yomo_client_poll has work, to
 * be watched, never read; and how long at most to wait for it (-1: for ever). Another
 * thread's call makes the descriptor readable. Errors: STATE. */
YOMO_API int32_t yomo_client_fd(yomo_client *client);
YOMO_API int32_t yomo_client_timeout_ms(yomo_client *client);

/** Connect, and stay connected: lost connections are made again with full-jitter
 * backoff until the server says that this is final. Errors: STATE (twice), CLOSED. */
YOMO_API int32_t yomo_client_connect(yomo_client *client);

/** Leave all rooms and close. Reliable messages that were sent go out first, for at most
 * `linger` (option, 1 s). on_closed follows. A second call does nothing. */
YOMO_API void yomo_client_close(yomo_client *client);

/** Give the handle back; closes first if needed. The memory goes after on_closed, which
 * still comes; a polled client's comes inside this call unless it is called from a
 * callback. The handle must not be used again but in callbacks that are still to come.
 * Accepts NULL. */
YOMO_API void yomo_client_free(yomo_client *client);

/** A program's own use: `user` as given to create. */
YOMO_API void *yomo_client_user(const yomo_client *client);

/** Another token in place of option `token`: shown to the server at once, on the
 * connection that stands, and at each one to come.
 *
 * Ownership: copied. Errors: INVALID (none, longer than 8192 bytes, not UTF-8), CLOSED,
 * NOMEM. */
YOMO_API int32_t yomo_client_set_token(yomo_client *client, const char *token);

/** How the client is connected now (enum yomo_transport_kind), and the smoothed
 * round-trip time in microseconds (0: not known yet). */
YOMO_API int32_t yomo_client_transport(const yomo_client *client);
YOMO_API uint64_t yomo_client_rtt_us(const yomo_client *client);

/** `"webtransport"`, `"websocket"`, ... Static, never NULL. */
YOMO_API const char *yomo_transport_name(int32_t kind);

/** This client's user id: the one that the server knows it by, which a token may
 * prescribe, and before that the option `id`, or the one that was made for it; and its
 * session on the server, 0 before the first connection or without the extension. The
 * text is valid as long as the client. */
YOMO_API const char *yomo_client_id(const yomo_client *client);
YOMO_API uint64_t yomo_client_session(const yomo_client *client);

/** @name Status, inside on_status @{ */
YOMO_API int32_t yomo_status_state(const yomo_status *status);     /**< yomo_client_state */
YOMO_API int32_t yomo_status_error(const yomo_status *status);     /**< why, 0: no fault */
YOMO_API const char *yomo_status_text(const yomo_status *status);  /**< a sentence or "" */
YOMO_API int32_t yomo_status_transport(const yomo_status *status); /**< when OPEN */
YOMO_API uint64_t yomo_status_retry_ms(const yomo_status *status); /**< when WAITING */
/** When OPEN: 1 when the server speaks the extension, 0 when it speaks presencejs only. */
YOMO_API int32_t yomo_status_extension(const yomo_status *status);
/** When OPEN: 1 when the session goes on after a break, in the seats that were kept for
 * it; 0 when rooms are joined anew. */
YOMO_API int32_t yomo_status_resumed(const yomo_status *status);
/** @} */

/** @name What waits, and what was given up @{ */

/** The RELIABLE messages, and their bytes, that were sent with a call and are not known to
 * have been read by the server (by a server without the extension: to have been handed to
 * the transport): what the option `queue-size` bounds. Either may be NULL. */
YOMO_API void yomo_client_waiting(const yomo_client *client, size_t *messages,
                                  size_t *bytes);

/** What yomo_client_counter counts, since the client was made. */
enum yomo_client_count {
    YOMO_COUNT_UNRELIABLE_AWAY = 0,    /**< dropped: there was no connection */
    YOMO_COUNT_UNRELIABLE_DROPPED = 1, /**< gave way for want of room, or was waiting when
                                            the connection ended */
    YOMO_COUNT_LATEST_DROPPED = 2,     /**< gave way for want of room */
    YOMO_COUNT_LATEST_REPLACED = 3,    /**< a newer value took its place */
    YOMO_COUNT_UNSURE = 4,  /**< RELIABLE, sent, and nobody knows whether they were read,
                                 since the session could not be resumed */
    YOMO_COUNT_RESUMED = 5, /**< breaks after which the session went on */
    YOMO_COUNT_REJOINED = 6 /**< rooms that were joined anew after a break */
};

YOMO_API uint64_t yomo_client_counter(const yomo_client *client, int32_t what);
/** @} */

/** Join `name`, with `state` as this member's state: a JSON object, or NULL for none.
 * Joins again by itself after each lost connection, until it is left. May be called
 * before the client is connected.
 *
 * Ownership: arguments are copied; `*out` (may be NULL) is valid until on_left returns.
 * Errors:    INVALID (name empty, longer than 255 bytes, not UTF-8), JSON, TOO_BIG,
 *            EXISTS when it is in that room already, FULL, CLOSED, NOMEM. */
YOMO_API int32_t yomo_client_join(yomo_client *client, const char *name, const char *state,
                                  yomo_room **out);

/** @name A join that asks for more than a name and a state
 *
 *     yomo_join *join;
 *     yomo_join_create(&join, client);
 *     yomo_join_set_state(join, "{\"name\":\"Ada\"}");
 *     yomo_client_join_with(client, "lobby", join, &room);
 *     yomo_join_free(join);
 *
 * Thread: any, one at a time for each.
 * @{ */

/** Nothing asked for yet. One may serve any number of joins, of other clients too, and
 * may outlive them: a join copies what it needs.
 * Ownership: `*out` is the caller's, for yomo_join_free; its memory is of the allocator
 *            of `client`. Errors: INVALID, NOMEM. */
YOMO_API int32_t yomo_join_create(yomo_join **out, const yomo_client *client);

/** Give it back. Accepts NULL. */
YOMO_API void yomo_join_free(yomo_join *join);

/** This member's first state: a JSON object (NULL: none), or bytes; the last call counts.
 * Ownership: copied. Errors: INVALID, JSON, NOMEM; it is then as it was. */
YOMO_API int32_t yomo_join_set_state(yomo_join *join, const char *state);
YOMO_API int32_t yomo_join_set_state_bytes(yomo_join *join, const void *data,
                                           size_t size);

/** Be told the last `count` messages of the room first, as far as the server keeps them
 * (option `history-messages`; at most 1,000): by on_message and to subscribers, as
 * messages of the past (yomo_message_past), before all that is said after the join.
 * Counts for the first joining; after a lost connection what was missed is told. 0: none.
 * Errors: INVALID. */
YOMO_API int32_t yomo_join_set_history(yomo_join *join, uint32_t count);

/** The same for what was said since `place` in the order `epoch`, both as
 * yomo_room_position told them once, be it in an earlier run of the program. on_gap tells
 * what of that is not kept any more. Errors: INVALID (one of them is 0). */
YOMO_API int32_t yomo_join_set_since(yomo_join *join, uint64_t place, uint64_t epoch);
/** After that, for the messages of one priority (enum yomo_priority): another place, as
 * yomo_room_position_of told it. A program that may be sent messages of several priorities
 * saves the place of each, and misses nothing, nor hears it twice. Errors: INVALID. */
YOMO_API int32_t yomo_join_set_since_of(yomo_join *join, int32_t priority, uint64_t place);

/** YOMO_LATEST messages of this room at most once in `ms` milliseconds for each value
 * (sender, event, key); the newest, and the last one always arrives. 0: as they come.
 * Above 60,000 counts as that; the server's option `latest-interval` counts if it is
 * more. For whoever paints 10 times a second in a room where others send 100. */
YOMO_API int32_t yomo_join_set_pace(yomo_join *join, uint64_t ms);

/** With `observe` not 0: hear the room without being seen. An observer is told who is there
 * and all that is said, may say something itself, and has no state (what was set counts for
 * nothing). Others are not told of it.
 * Errors: INVALID. */
YOMO_API int32_t yomo_join_set_observe(yomo_join *join, int32_t observe);

/** yomo_client_join, with what `join` asks for (NULL: nothing). What it asks for counts
 * for each time that the room is joined again after a lost connection. */
YOMO_API int32_t yomo_client_join_with(yomo_client *client, const char *name,
                                       const yomo_join *join, yomo_room **out);
/** @} */

/** Keep the handle valid beyond on_left, for other threads; calls on it then return
 * CLOSED. Each ref needs its unref. */
YOMO_API yomo_room *yomo_room_ref(yomo_room *room);
YOMO_API void yomo_room_unref(yomo_room *room);

/** Leave; on_left follows. */
YOMO_API void yomo_room_leave(yomo_room *room);

YOMO_API const char *yomo_room_name(const yomo_room *room);
YOMO_API yomo_client *yomo_room_client(const yomo_room *room);
/** 1: the server let this client in as an observer, because it asked for that or because
 * its token allows no more. Known from on_joined on; 0 before, and for any other member. */
YOMO_API int32_t yomo_room_observes(const yomo_room *room);
YOMO_API void yomo_room_set_user(yomo_room *room, void *user);
YOMO_API void *yomo_room_user(const yomo_room *room);

/** Send JSON to everyone else in the room.
 *
 * While the connection is away RELIABLE messages wait for it within the option
 * `queue-size`, and of LATEST the newest of each value; UNRELIABLE ones are dropped.
 * yomo_client_waiting and yomo_client_counter tell of it. A RELIABLE message counts until
 * the server has read it, so that after a break it can be sent again if it was not.
 *
 * Ownership: arguments are borrowed until the call returns.
 * Errors:    INVALID, JSON, TOO_BIG, FULL when the queue is full, CLOSED, NOMEM. After
 *            an error nothing was queued. */
YOMO_API int32_t yomo_room_broadcast(yomo_room *room, const char *event, const char *json,
                                     int32_t delivery);

/** The same with bytes, which other libyomo programs receive as they are. presencejs
 * pages receive them as their MessagePack codec gives bytes (docs/protocol.md). */
YOMO_API int32_t yomo_room_broadcast_bytes(yomo_room *room, const char *event,
                                           const void *data, size_t size,
                                           int32_t delivery);

/** The whole of it: `encoding` says what the bytes are; `key`, with YOMO_LATEST, names
 * the value that is replaced (NULL: one for each event); with `id` not NULL on_sent
 * tells what became of the message of that number. */
YOMO_API int32_t yomo_room_send(yomo_room *room, const char *event, const void *data,
                                size_t size, int32_t encoding, int32_t delivery,
                                const char *key, uint64_t *id);

/** @name How a message is sent: to whom, how long, how urgently
 *
 *     yomo_send *how;
 *     yomo_send_create(&how, client);
 *     yomo_send_to(how, yomo_peer_session(peer));
 *     yomo_send_set_ttl(how, 2000);
 *     yomo_room_send_with(room, how, "nudge", "1", 1, YOMO_JSON, NULL);
 *     yomo_send_free(how);
 *
 * Against a server without the extension, what is not for everybody else is not sent
 * (on_sent: STATE); time to live and priority then count in this client only.
 * Thread: any, one at a time for each.
 * @{ */

/** As yomo_room_send with YOMO_RELIABLE: to everybody else. May serve any number of
 * sends, in any room, of other clients too, and may outlive them.
 * Ownership: `*out` is the caller's, for yomo_send_free; its memory is of the allocator
 *            of `client`. Errors: INVALID, NOMEM. */
YOMO_API int32_t yomo_send_create(yomo_send **out, const yomo_client *client);
YOMO_API void yomo_send_free(yomo_send *how);  /**< accepts NULL */
YOMO_API void yomo_send_reset(yomo_send *how); /**< as it was created */

/** To this member, or to all devices of this user (in a presencejs page: with that id),
 * and to nobody else in the room: at most 100 of both together. Whoever is named twice
 * gets it once. Errors: INVALID; FULL; STATE: it is for the server; NOMEM. */
YOMO_API int32_t yomo_send_to(yomo_send *how, uint64_t session);
YOMO_API int32_t yomo_send_to_user(yomo_send *how, const char *id);

/** To the program around the server, and to no member. Errors: STATE: somebody is named;
 * NOMEM. */
YOMO_API int32_t yomo_send_to_server(yomo_send *how);

/** Also to this client itself, as the others get it, with yomo_client_session as its
 * session. */
YOMO_API int32_t yomo_send_set_me(yomo_send *how, int32_t me);

YOMO_API int32_t yomo_send_set_delivery(yomo_send *how, int32_t delivery);

/** With YOMO_LATEST: which value is replaced (NULL: one for each event and for each list
 * of receivers). Ownership: copied. Errors: INVALID, NOMEM. */
YOMO_API int32_t yomo_send_set_key(yomo_send *how, const char *key);

/** Not delivered when it has waited longer than `ms` milliseconds (0: no end), here (also
 * while the connection is away; on_sent: TIMEOUT) or at the server; the time on the way
 * is not counted. Even a YOMO_RELIABLE message is left out then. */
YOMO_API int32_t yomo_send_set_ttl(yomo_send *how, uint64_t ms);

/** One of enum yomo_priority. YOMO_RELIABLE order is kept among messages of the same
 * priority. An urgent one finds a quarter more of `queue-size`, a bulk one a quarter
 * less. */
YOMO_API int32_t yomo_send_set_priority(yomo_send *how, int32_t priority);

/** Send as `how` says (NULL: to everybody else, RELIABLE). With `id` not NULL on_sent
 * tells what became of the message of that number: NOT_FOUND when none of those who are
 * named is in the room; 0 when one of them was, or more.
 *
 * Ownership: arguments are borrowed until the call returns.
 * Errors:    as yomo_room_send. */
YOMO_API int32_t yomo_room_send_with(yomo_room *room, const yomo_send *how,
                                     const char *event, const void *data, size_t size,
                                     int32_t encoding, uint64_t *id);
/** @} */

/** What became of a request: `error` 0 and the reply; or why there is none. `reply` is
 * NULL, or lent for the call: also with an error that the one who was asked has sent,
 * with yomo_message_text saying why. */
typedef void (*yomo_reply_fn)(void *user, yomo_room *room, int32_t error,
                              const yomo_message *reply);

/** Ask one member, one user (the first device that answers counts), or the server, as
 * `how` names them: exactly one. `fn` is called exactly once, where callbacks are, after
 * the call has returned 0; before on_left of the room. `timeout_ms` counts from when the
 * client takes the call up, while the connection is away too; 0: 10 seconds. on_sent is
 * not called.
 *
 * The outcome besides 0: NOT_FOUND: nobody there, or no program at the server that
 * answers; TIMEOUT; CLOSED: the room is over; UNSURE: the connection that carried it was lost
 * and its session with it, or who was asked has left: it may have been heard, and no reply
 * can come; what yomo_room_send and on_sent may say; or what the one who was asked says.
 *
 * Errors: INVALID; FULL when `requests-max` wait, or the queue is full; as yomo_room_send.
 *         `fn` is not called then. */
YOMO_API int32_t yomo_room_request(yomo_room *room, const yomo_send *how,
                                   const char *event, const void *data, size_t size,
                                   int32_t encoding, uint64_t timeout_ms,
                                   yomo_reply_fn fn, void *user);

/** How many replies came that nobody had asked for, that came twice or too late, or from
 * somebody else than who was asked. */
YOMO_API uint64_t yomo_client_replies_dropped(const yomo_client *client);

/** The largest message that `delivery` takes now, in bytes of data, to everybody else.
 * Names of receivers take their room from it. */
YOMO_API size_t yomo_room_limit(const yomo_room *room, int32_t delivery);

/** Called with each message of one event. */
typedef void (*yomo_message_fn)(void *user, yomo_room *room, const yomo_message *message);

/** Hear messages of `event` (NULL: of every event), besides on_message. Any number of
 * subscriptions may stand; they are told in the order in which they were made.
 * `*subscription` (may be NULL) is its number, for unsubscribe. */
YOMO_API int32_t yomo_room_subscribe(yomo_room *room, const char *event, yomo_message_fn fn,
                                     void *user, uint64_t *subscription);

/** Once this returned on the client's thread no more calls come; from another thread,
 * those that are on their way. Errors: NOT_FOUND, CLOSED. */
YOMO_API int32_t yomo_room_unsubscribe(yomo_room *room, uint64_t subscription);

/** @name A message, inside a callback @{ */
YOMO_API const char *yomo_message_event(const yomo_message *message);
/** The sender's user id, and its session (0 where the server does not tell). */
YOMO_API const char *yomo_message_from(const yomo_message *message);
YOMO_API uint64_t yomo_message_session(const yomo_message *message);
/** JSON text or bytes, NUL behind them; `size` may be NULL. */
YOMO_API const void *yomo_message_data(const yomo_message *message, size_t *size);
YOMO_API int32_t yomo_message_encoding(const yomo_message *message);
YOMO_API int32_t yomo_message_delivery(const yomo_message *message);
/** Its place in the room's order: grows with each reliable message of the room; 0 where
 * there is none (LATEST, UNRELIABLE, without the extension). */
YOMO_API uint64_t yomo_message_sequence(const yomo_message *message);
/** 1 when it was said before this member joined, or while it was away: it comes from the
 * room's history; else 0. */
YOMO_API int32_t yomo_message_past(const yomo_message *message);
/** When a message of the past was said, milliseconds since 1970 by the server's clock; 0
 * for one that was said just now. */
YOMO_API uint64_t yomo_message_at_ms(const yomo_message *message);
/** 1 when it was sent to named members only, this one among them. */
YOMO_API int32_t yomo_message_direct(const yomo_message *message);
YOMO_API int32_t yomo_message_priority(const yomo_message *message);
/** The sentence of a reply that is an error; else "". */
YOMO_API const char *yomo_message_text(const yomo_message *message);
/** The sender waits for an answer (request.h): a handle to give it with, now or later, or
 * NULL when it is no request, somebody took it before, or there is no memory. Nobody
 * answers for a program that does not take it.
 * Ownership: the caller's, for yomo_request_reply, _refuse or _free. */
YOMO_API yomo_request *yomo_message_take_request(const yomo_message *message);
/** The data as JSON in every case: bytes are `{"base64":"..."}`. */
YOMO_API const char *yomo_message_json(const yomo_message *message, size_t *size);
/** @} */

/** @name What was said before
 * @{ */

/** Ask for the messages before the place `before` (0: the newest), at most `max` of them (0:
 * as many as the server likes). It keeps as many as its operator wants (`history-messages`);
 * one answer has at most 1,000 and about 256 KiB. on_history tells the answer of number
 * `*id` (may be NULL); a question waits for the connection if need be.
 *
 * Errors: INVALID, FULL (64 are under way), CLOSED, NOMEM. */
YOMO_API int32_t yomo_room_history(yomo_room *room, uint64_t before, uint32_t max,
                                   uint64_t *id);

/** The number of the question, and what became of it: 0; STATE when the server speaks
 * presencejs only; RATE, ... as the server said; TOO_BIG; CLOSED when the room ended
 * before. */
YOMO_API uint64_t yomo_history_id(const yomo_history *history);
YOMO_API int32_t yomo_history_error(const yomo_history *history);

/** The messages, the oldest first. One is valid until the next call of yomo_history_at or
 * until on_history returns; NULL past the end, and without memory. */
YOMO_API size_t yomo_history_count(const yomo_history *history);
YOMO_API const yomo_message *yomo_history_at(yomo_history *history, size_t index);

/** What to ask with as `before` for the messages before these; 0 when nothing older is
 * kept. */
YOMO_API uint64_t yomo_history_before(const yomo_history *history);

/** The place of the last message of this room that the program was told, and `*epoch` (may
 * be NULL), the order that it is a place of: for yomo_join_set_since. 0 before the room was
 * joined. Where messages of several priorities are sent, ones of a lower priority with an
 * earlier place may still have been on their way, and who goes on from this one place misses
 * them without a word: yomo_room_position_of has all. Thread: any. */
YOMO_API uint64_t yomo_room_position(const yomo_room *room, uint64_t *epoch);
/** The place up to which the program has been told all messages of that priority (enum
 * yomo_priority), and `*epoch` (may be NULL). 0 before the room was joined. Thread: any. */
YOMO_API uint64_t yomo_room_position_of(const yomo_room *room, int32_t priority,
                                        uint64_t *epoch);

/** Inside on_gap: the first and the last place that is missing. A first place of 0: the
 * server has begun a new order, and nobody knows what was said before it. */
YOMO_API uint64_t yomo_gap_first(const yomo_gap *gap);
YOMO_API uint64_t yomo_gap_last(const yomo_gap *gap);
/** @} */

/** @name What a room shares
 * Values by name, which the backend keeps as long as the room: who joins is told of all of
 * them before on_joined. Each change has a version, its place in the room's order, and a
 * change may be made to depend on the version that it is to replace. Names have 1 to 255
 * bytes. A wish waits until the room is joined; when the connection is lost before the
 * answer came, on_sent says UNSURE: it may have been done.
 *
 * With `id` not NULL on_sent tells what became of the wish of that number, after on_value
 * has told the change itself, or, with CONFLICT, what was there instead: the next attempt
 * can go by yomo_room_value. Besides CONFLICT: NOT_FOUND (nothing to delete), DENIED (no
 * right to send), TOO_BIG, FULL (the room shares too much), RATE, STATE (the server speaks
 * presencejs only), UNSURE, CLOSED.
 *
 * Ownership: arguments are copied.
 * Thread:    any.
 * Errors:    INVALID, JSON, TOO_BIG, FULL (256 are under way), CLOSED, NOMEM.
 * @{ */

/** The value of `key` is this from now on, whatever it was. */
YOMO_API int32_t yomo_room_set_value(yomo_room *room, const char *key, const void *data,
                                     size_t size, int32_t encoding, uint64_t *id);

/** The same if its version is `version`, 0: if there is none of that name. */
YOMO_API int32_t yomo_room_set_value_if(yomo_room *room, const char *key,
                                        const void *data, size_t size, int32_t encoding,
                                        uint64_t version, uint64_t *id);

/** There is none of that name any more; if it had version `version`, which is not 0. */
YOMO_API int32_t yomo_room_delete_value(yomo_room *room, const char *key, uint64_t *id);
YOMO_API int32_t yomo_room_delete_value_if(yomo_room *room, const char *key,
                                           uint64_t version, uint64_t *id);

/** What this client has been told so far: one value, the lock of that name if somebody
 * holds it, or all of both in no order.
 * Ownership: `*out` is the caller's, for yomo_values_free; it may outlive the room.
 * Errors:    INVALID, NOT_FOUND, CLOSED, NOMEM. */
YOMO_API int32_t yomo_room_value(yomo_room *room, const char *key, yomo_values **out);
YOMO_API int32_t yomo_room_lock_holder(yomo_room *room, const char *key,
                                       yomo_values **out);
YOMO_API int32_t yomo_room_values(yomo_room *room, yomo_values **out);
YOMO_API size_t yomo_values_count(const yomo_values *values);
YOMO_API const yomo_value *yomo_values_at(const yomo_values *values, size_t index);
YOMO_API void yomo_values_free(yomo_values *values); /**< accepts NULL */

/** One value, inside on_value or from yomo_values_at. */
YOMO_API const char *yomo_value_key(const yomo_value *value);
/** JSON text or bytes, NUL behind them; NULL when it is gone, and for a lock. `size` may
 * be NULL. */
YOMO_API const void *yomo_value_data(const yomo_value *value, size_t *size);
YOMO_API int32_t yomo_value_encoding(const yomo_value *value);
/** The place of the change that made it. */
YOMO_API uint64_t yomo_value_version(const yomo_value *value);
/** Who set it, or holds the lock: user id and session. */
YOMO_API const char *yomo_value_from(const yomo_value *value);
YOMO_API uint64_t yomo_value_session(const yomo_value *value);
/** 1: there is none of that name any more; nobody holds that lock any more. */
YOMO_API int32_t yomo_value_gone(const yomo_value *value);
/** 1: it is a lock. Values and locks have names of their own. */
YOMO_API int32_t yomo_value_is_lock(const yomo_value *value);
/** @} */

/** @name Locks
 * A lock has at most one holder, who keeps it until it is given back, its member has left,
 * or its lease has run out. The library begins the lease anew as long as the program holds
 * the lock and the server answers. A holder whose connection broke keeps it until the lease
 * is over, though nobody can hear it; who asks again after a reconnect is another session,
 * and waits for that like others.
 *
 * The version of a lock grows from one holder to the next. Whoever writes somewhere under
 * the lock hands it along, and what is written to refuses a smaller one than it has seen:
 * no clock and no pause can then let two write.
 *
 * Ownership, thread: as above.
 * @{ */

/** Hold the lock `key`, with a lease of `lease_ms` (the server's `lease-max` at most); wait
 * for it in line for `wait_ms` milliseconds, 0: not at all. on_lock tells that it is held,
 * then on_sent with 0; else on_sent alone: CONFLICT, somebody has it; TIMEOUT; EXISTS, this
 * client holds it or waits for it already; FULL, too many wait; others as above. TIMEOUT also
 * when the answer took longer than the lease.
 * Errors: INVALID, FULL (256 are held or waited for), CLOSED, NOMEM. */
YOMO_API int32_t yomo_room_lock(yomo_room *room, const char *key, uint64_t lease_ms,
                                uint64_t wait_ms, uint64_t *id);

/** Give it back, or wait for it no more (the on_sent of that says CLOSED). It is not held
 * any more from this call on; on_lock does not come for that. on_sent: 0, NOT_FOUND. */
YOMO_API int32_t yomo_room_unlock(yomo_room *room, const char *key, uint64_t *id);
/** @} */

/** This member's own state from now on: a JSON object, or bytes. Others are told once
 * for several changes in one turn.
 * Errors: INVALID, JSON, TOO_BIG, DENIED when it asked to observe, CLOSED, NOMEM. */
YOMO_API int32_t yomo_room_set_state(yomo_room *room, const char *state);
YOMO_API int32_t yomo_room_set_state_bytes(yomo_room *room, const void *data, size_t size);

/** Who is there now, without this client itself: a copy, in the order of joining.
 * Ownership: `*out` is the caller's, for yomo_peers_free. Errors: CLOSED, NOMEM. */
YOMO_API int32_t yomo_room_peers(yomo_room *room, yomo_peers **out);
YOMO_API size_t yomo_peers_count(const yomo_peers *peers);
YOMO_API const yomo_peer *yomo_peers_at(const yomo_peers *peers, size_t index);
YOMO_API void yomo_peers_free(yomo_peers *peers);

/** The same by person: a copy, in the order in which they came.
 * Ownership: `*out` is the caller's, for yomo_users_free. Errors: CLOSED, NOMEM. */
YOMO_API int32_t yomo_room_users(yomo_room *room, yomo_users **out);
YOMO_API size_t yomo_users_count(const yomo_users *users);
YOMO_API const yomo_user *yomo_users_at(const yomo_users *users, size_t index);
YOMO_API void yomo_users_free(yomo_users *users);

/** @name A person, inside on_user or from yomo_users_at @{ */
YOMO_API const char *yomo_user_id(const yomo_user *user);
/** On how many devices it is there; 0 when it went. */
YOMO_API uint64_t yomo_user_devices(const yomo_user *user);
/** The state of the device of which this client heard last, as JSON; `size` may be NULL. */
YOMO_API const char *yomo_user_state(const yomo_user *user, size_t *size);
/** @} */

/** @name A peer, inside on_peer or from yomo_peers_at @{ */
YOMO_API const char *yomo_peer_id(const yomo_peer *peer);
/** Its session; 0 from a server without the extension, where `id` is the key. */
YOMO_API uint64_t yomo_peer_session(const yomo_peer *peer);
/** Its state as JSON, NUL behind it; "{}" when it has none. `size` may be NULL. */
YOMO_API const char *yomo_peer_state(const yomo_peer *peer, size_t *size);
/** What its token, or the server's program, says of it: JSON, NUL behind it; "{}" when
 * nothing. It cannot set that itself, and any other can rely on it. YOMO_PEER_STATE tells
 * that it is another. */
YOMO_API const char *yomo_peer_data(const yomo_peer *peer, size_t *size);
/** Its state as bytes, if it set bytes; else NULL. */
YOMO_API const void *yomo_peer_state_bytes(const yomo_peer *peer, size_t *size);
/** When it joined: milliseconds since 1970 by the server's clock; 0 when not known. */
YOMO_API uint64_t yomo_peer_since_ms(const yomo_peer *peer);
/** 1: its connection broke, and its seat is kept; else 0. */
YOMO_API int32_t yomo_peer_stale(const yomo_peer *peer);
/** @} */

/** @name What a member with the right `admin` may do
 * Its token grants the right for a room (docs/tokens.md); without it the server refuses. An
 * order waits until the room is joined. With `number` (may be NULL) on_sent tells what
 * became of it: 0, it is done everywhere; DENIED, and what else the server says; UNSURE,
 * the connection or the room ended before the answer came, and it may have been done.
 *
 * Who is put out is told KICKED and `reason` (NULL: none, at most 255 bytes); presencejs
 * clients, which know no such thing, are closed for good.
 *
 * Ownership: all texts are copied.
 * Thread:    any.
 * Errors:    INVALID, FULL (64 are under way), CLOSED, NOMEM.
 * @{ */

/** Put out a user (`id`), or one session of somebody's. He may come again. */
YOMO_API int32_t yomo_room_kick(yomo_room *room, const char *id, uint64_t session,
                                const char *reason, uint64_t *number);
/** The same to a user, who is refused in this room for `ms` milliseconds after that. */
YOMO_API int32_t yomo_room_ban(yomo_room *room, const char *id, uint64_t ms,
                               const char *reason, uint64_t *number);
/** Everybody out, oneself too, and the room is gone with all that it kept. */
YOMO_API int32_t yomo_room_close_for_all(yomo_room *room, const char *reason,
                                         uint64_t *number);
/** @} */

#ifdef __cplusplus
}
#endif

#endif
