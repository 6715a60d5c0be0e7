/* SPDX-License-Identifier: MIT */
/* inside.h - what the files of client/ know of each other; for nobody else.
 *
 * Two halves. The shared one is reached by calls from any thread and is guarded by one
 * lock, held for a few instructions and never while the program's code runs. The
 * engine's belongs to the loop's thread. Calls reach the engine as letters through one
 * mailbox; it is driven by letters, connection events, its deadline and the end of each
 * turn:
 *
 *     calls.c    -> letters -> engine.c (what the connection is doing)
 *     transports -> events  -> dispatch.c (what the session makes of a message)
 *     end of the turn       -> pump.c (joins, states, and what waits to be sent)
 *
 * Program code is called from the engine only. What it calls in return posts letters,
 * so that the engine is never entered twice. */
#ifndef YO_CLIENT_INSIDE_H
#define YO_CLIENT_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>
#include <yomo/client.h>

#include "base/heap.h"
#include "base/map.h"
#include "client/backoff.h"
#include "client/connect.h"
#include "client/move.h"
#include "client/paths.h"
#include "client/roster.h"
#include "client/settings.h"
#include "loop/runner.h"
#include "session/client_side.h"
#include "session/outbox.h"
#include "transport/dial.h"

#define YOMO_COUNTS (YOMO_COUNT_REJOINED + 1)
#define YO_CLIENT_ROOMS_MAX 1024          /* rooms one client may be in */
#define YO_ROOM_SUBSCRIPTIONS_MAX 1024    /* subscriptions of one room */
#define YO_CLIENT_STABLE (10 * YO_SECOND) /* open so long: the next wait is short */
#define YO_CLIENT_IDS_MAX 8           /* that servers prescribed, one after the other */
#define YO_LEASE_MS_MAX 86400000      /* servers allow a day at most */
#define YO_ROOM_SWEEP (3 * YO_SECOND) /* presencejs: to show themselves anew */

enum yo_client_phase {
    YO_PHASE_IDLE,
    YO_PHASE_RACING,   /* for a connection */
    YO_PHASE_GREETING, /* connected; the dialect is not known yet */
    YO_PHASE_OPEN,
    YO_PHASE_WAITING, /* for the next attempt */
    YO_PHASE_ENDING,  /* for good; connections are still to go */
    YO_PHASE_OVER     /* all has been told but on_closed */
};

struct yomo_status {
    int32_t state, error, transport, extension, resumed;
    uint64_t retry_ms;
    const char *text;
};

struct yomo_client {
    /* Set once. */
    struct yomo_mem mem;
    yomo_options *options;
    struct yo_settings settings;
    struct yo_tls_client *tls; /* NULL: not needed */
    struct yo_log log;
    yomo_client_callbacks on;
    void *user;
    atomic_uint refs; /* the program's, the one that runs it, each room, each carrier */

    /* Shared: with `lock`. */
    pthread_mutex_t lock;
    bool connect_asked, closing; /* calls that were made */
    struct yo_map rooms;         /* by name, from the join call until on_left */
    size_t held, held_count;     /* bytes, messages: in letters, RELIABLE ones in outboxes,
                                    and those that are kept (keep.c) */
    uint64_t counts[YOMO_COUNTS];
    size_t message_max;          /* of one encoded message */
    struct yo_map askings; /* requests that have had no outcome, by number */
    struct yo_heap asking_due;
    uint64_t asking_session; /* session_id when it was last looked at */
    uint64_t replies_dropped;
    uint64_t next_number; /* of messages that want on_sent, and of subscriptions */
    int32_t transport;
    uint64_t rtt_us, session_id;
    char *ids[YO_CLIENT_IDS_MAX]; /* that servers prescribed; the last one counts */
    size_t id_count;
    struct yo_letter connect_letter, close_letter;

    /* The engine's: what the client is doing. */
    enum yo_client_phase phase;
    struct yo_dialer dialer;
    struct yo_connect race;
    struct yo_backoff backoff;
    struct yo_target redirect; /* where a server sent us; mem NULL: nowhere */
    struct yo_link room_list;  /* rooms whose join has reached the engine */
    struct yo_map serials;     /* the same by serial */
    yo_time expiry_due;        /* when something in an outbox is over, or before */
    struct yo_link claims;     /* locks that are wanted or held, in all rooms */
    struct yo_map pending;     /* by number: messages that want on_sent */
    size_t pending_reliable;   /* how many of them are RELIABLE */
    struct yo_buf scratch, text, json;
    struct yo_reason why; /* of the end */
    uint64_t failures;    /* attempts in a row */
    uint64_t next_serial;
    uint64_t last_version; /* of LATEST messages, in all rooms: a room that is left and
                              joined again goes on where it was */
    bool udp_failed;       /* in the race that runs */
    bool lingering, hurry; /* close: what waits goes out first; or nothing does */
    bool woken;            /* a turn's end is due */
    yo_time retry_at, linger_until;

    /* The connection that stands (link.c), when `conn` is not NULL. */
    struct yo_conn *conn;
    enum yomo_transport_kind kind;
    struct yo_client_session *session;
    struct yo_effects effects;
    struct yo_outbox control; /* what the session sends */
    struct yo_link pump;      /* rooms that need something */
    struct yo_reason drop;    /* why we ended it ourselves, if `dropped` */
    bool extension, datagrams_only, dropped, blocked, ending;
    bool goaway, parting; /* the server asked us to come back (goaway.c); nothing is sent */
    yo_time goaway_at, part_at, part_until;
    yo_time opened_at, heard_at, ping_at;
    yo_time rooms_due;     /* the earliest of the rooms' own moments */
    yo_time rtt;           /* smoothed, from pings */
    char *fresh_token;     /* for the next connection; NULL: the same as before */
    yo_time token_until;   /* what the server was shown holds so long; or YO_NEVER */
    yo_time token_ask_at;  /* when the program is asked for another */
    struct yo_buf token;   /* moves the session elsewhere; empty: it cannot be */
    uint64_t epoch;        /* of the server */
    uint64_t control_came; /* messages on this connection's control lane */
    /* After a break (resume.c). */
    bool keeps;                     /* the server keeps seats, and this client messages */
    struct yo_client_session *kept; /* of the connection that broke; NULL: none */
    struct yo_buf kept_token;
    uint64_t kept_epoch;
    bool resume_due, resuming; /* at the end of this turn; asked, not answered */
    yo_time resume_until;
    size_t kept_bytes; /* of messages that were sent (keep.c) */
    bool kept_asked;   /* how much was read */

    struct yo_move move;   /* to another connection */
    struct yo_paths paths; /* when and where to */

    struct yo_runner
        runner; /* loop and mailbox; its shared half is guarded by `lock` */
};

enum yo_room_state {
    YO_ROOM_WAITING, /* for a connection, or to be asked for */
    YO_ROOM_ASKED,
    YO_ROOM_JOINED,
    YO_ROOM_LEAVING, /* the server was told */
    YO_ROOM_OVER
};

struct yo_subscription {
    struct yo_link link;
    uint64_t number;
    yomo_message_fn fn;
    void *user;
    bool dead;
    size_t event_size; /* 0: every event */
    char event[];
};

/* One message that is told now (message.c). */
struct yomo_message {
    const char *event, *from;
    const void *data;
    size_t size, event_size;
    uint64_t session, sequence, at_ms;
    int32_t encoding, delivery, priority;
    bool past, direct;
    const char *text;       /* of a failed reply */
    struct yomo_room *room; /* with `request` */
    uint64_t request;       /* 0: none, or taken */
    struct yo_buf *json; /* for yomo_message_json of bytes */
};

struct yomo_room {
    struct yomo_client *client;
    struct yo_join_wishes wishes; /* set once */
    atomic_uint refs; /* the engine's, the program's, each letter under way */
    struct yo_map_node by_name;
    struct yo_span name; /* NUL behind it */

    /* Shared: with the client's lock. */
    void *user;
    bool over, leave_asked;
    bool observer; /* the server let it in as one */
    struct yo_link askings; /* requests that have had no outcome, oldest first */
    struct yo_link subscriptions;
    size_t subscription_count;
    unsigned telling;           /* > 0: dead subscriptions stay in the list */
    struct yo_blob *next_state; /* set, not yet with the engine */
    bool state_posted;
    struct yo_roster roster; /* changed by the engine only */
    struct yo_letter join_letter, leave_letter, state_letter;
    size_t question_count;
    struct yo_map shared; /* values and locks, as told; changed by the engine only */
    struct yo_link orders; /* of struct order (order.c), the loop's */
    size_t order_count, share_count, claim_count; /* with the lock */
    uint64_t places[YOMO_BULK + 1]; /* of the last message that was told, by priority */
    uint64_t order;                 /* of them; both are changed by the engine only */

    /* The engine's. */
    enum yo_room_state state;
    struct yo_link questions;             /* history.c */
    struct yo_link shares, claims;        /* values.c, locks.c */
    uint64_t value_place;                 /* of the last change of what is shared */
    uint64_t own_session, former_session; /* at the last joining, and the one before */
    uint64_t serial;
    struct yo_map_node by_serial;
    struct yo_link room_link;
    struct yo_link pump_link;
    struct yo_outbox box;
    size_t held;               /* its share of the client's, in `box` */
    struct yo_link kept;       /* RELIABLE ones that were sent (keep.c) ... */
    size_t kept_count;         /* ... so many of them ... */
    struct yo_link *again;     /* ... from which on they are to be sent again; NULL */
    uint64_t sent;             /* RELIABLE ones, since it was joined */
    size_t held_count;         /* messages in `held` */
    uint64_t counted[3];       /* the outbox's counters as far as the client has them */
    bool resumable;            /* its seat may be had back */
    bool unread;               /* what is kept was not read, and will not be */
    struct yo_link pending;    /* struct yo_sending that want on_sent, oldest first */
    struct yo_blob *own_state; /* payload */
    bool state_dirty;          /* the server has another one */
    uint32_t lane;             /* of this connection, once it was used; 0: not yet */
    bool leaving, known;       /* known: joined before, only differences are told */
    yo_time sweep_at;          /* without the extension: who was not told of is gone */
    yo_time leave_until;       /* what waits is sent until then */
};

/* One broadcast, from the call to what became of it. */
struct yo_sending {
    struct yo_letter letter;
    struct yomo_room *room;
    struct yo_blob *blob; /* struct yo_packed, key, payload */
    enum yomo_delivery delivery;
    uint64_t ttl_ms;
    bool asks; /* a request: asking.c is told what became of it */
    /* Those that want on_sent live on: */
    uint64_t number; /* 0: nobody asks */
    struct yo_map_node by_number;
    struct yo_link link; /* in room->pending */
    uint64_t token;      /* of its last datagram */
    bool sent;           /* the transport took it */
    bool arrived;        /* the transport has acknowledged it */
};

/* What stands in front of a payload in an outbox. It is turned into a message when it
 * is sent, since dialect and lanes are those of the connection. */
struct yo_packed {
    uint64_t number, version;
    uint64_t request, reply; /* wire/message.h */
    yo_time expires;         /* YO_NEVER: no end */
    size_t key_size, targets_size, text_size;
    int32_t code;
    enum yomo_priority priority;
    bool targeted, echo;
};

/* How a message is sent (send.c). Spans are lent. */
struct yo_manner {
    struct yo_span key, targets, text; /* targets: the encoded array; absent: everybody */
    enum yomo_delivery delivery;
    enum yomo_priority priority;
    bool echo;
    uint64_t ttl_ms; /* 0: no end */
    uint64_t reply;  /* of which request */
    int32_t code;    /* with it */
};

/* What a request is to be asked with (asking.c). */
struct yo_question {
    uint64_t timeout_ms;
    yomo_reply_fn fn;
    void *user;
};

/* Tokens: those of UNRELIABLE ones that want on_sent are their number; an outbox counts
 * up from its room's serial. */
#define YO_TOKEN_NUMBER (UINT64_C(1) << 63)
#define YO_TOKEN_SERIAL_SHIFT 40

/* client.c */
void yo_client_ref(struct yomo_client *client);
void yo_client_unref(struct yomo_client *client);
/* Tokens (token.c): the server said for how long one holds (0: for ever), or why it was
 * refused; the connection has gone; a new one is to be made with the newest. */
void yo_token_holds(struct yomo_client *client, uint64_t ms, yo_time now);
void yo_token_answer(struct yomo_client *client, const struct yo_effect *effect,
                     yo_time now);
void yo_token_gone(struct yomo_client *client);
void yo_token_apply(struct yomo_client *client);
void yo_token_turn(struct yomo_client *client, yo_time now);

/* The user id as the server knows it; valid as long as the client. Thread: any. */
const char *yo_client_own_id(struct yomo_client *client);
/* Servers may prescribe another id than was claimed. YOMO_ERR_PROTO: too often. */
int yo_client_adopt_id(struct yomo_client *client, struct yo_span id);

/* calls.c: of rooms and events; the payload of an own state, whose size is looked at by
 * the caller; whether a payload goes into one message, with the lock. */
bool yo_client_name_valid(struct yo_span name, size_t most);
int yo_client_make_state(const struct yomo_client *client, struct yo_span value,
                         enum yomo_encoding encoding, struct yo_blob **out);
bool yo_room_closed(const struct yomo_room *room); /* with the lock */
bool yo_client_fits(const struct yomo_client *client, struct yo_span room, size_t size);

void yo_client_lock(const struct yomo_client *client);
void yo_client_unlock(const struct yomo_client *client);
void yo_client_post(struct yomo_client *client, struct yo_letter *letter); /* locked */
const struct yo_target *yo_client_target(const struct yomo_client *client);

/* shell.c */
extern const struct yo_runner_ops yo_client_runner_ops;
void yo_client_wake(struct yomo_client *client); /* the end of a turn is due */

/* dialer.c */
bool yo_client_knows(const struct yomo_client *client, struct yo_span scheme);
int yo_client_dial(void *user, struct yo_conn **out, enum yomo_transport_kind kind,
                   const struct yo_conn_events *events, void *events_user);

/* engine.c */
void yo_engine_init(struct yomo_client *client);
void yo_engine_finish(struct yomo_client *client);
void yo_engine_turn(struct yomo_client *client, yo_time now); /* the end of a turn */
void yo_engine_end_now(struct yomo_client *client);           /* one that never ran */
void yo_engine_hurry(struct yomo_client *client); /* wait for nothing any more */
yo_time yo_engine_deadline(const struct yomo_client *client);
/* The dialect is known; `resumed`: the session goes on after a break. */
void yo_engine_open(struct yomo_client *client, bool resumed, yo_time now);
/* The connection that stood is gone. */
void yo_engine_lost(struct yomo_client *client, const struct yo_reason *why,
                    yo_time now);

/* link.c */
void yo_link_init(struct yomo_client *client);
void yo_link_begin(struct yomo_client *client, struct yo_conn *conn,
                   enum yomo_transport_kind kind, yo_time now);
void yo_link_end(struct yomo_client *client); /* frees what belonged to it */
void yo_link_ready(struct yomo_client *client, const struct yo_effect *effect);
/* Close in an orderly way, or at once: on_closed follows with `error` and `text`. */
void yo_link_close(struct yomo_client *client, enum yo_close_kind kind, uint32_t code);
void yo_link_drop(struct yomo_client *client, int error, const char *text);
void yo_link_pong(struct yomo_client *client, yo_time rtt, yo_time now);
/* Go on with `conn`, whose first `skip` control messages came before. */
void yo_link_adopt(struct yomo_client *client, struct yo_conn *conn,
                   enum yomo_transport_kind kind, uint64_t skip, yo_time now);
void yo_link_message(struct yomo_client *client, uint32_t lane, struct yo_span message,
                     yo_time now);
void yo_link_tick(struct yomo_client *client, yo_time now);
yo_time yo_link_deadline(const struct yomo_client *client);

/* dispatch.c: carry out client->effects */
void yo_dispatch(struct yomo_client *client, yo_time now);

/* message.c */
void yo_message_tell(struct yomo_room *room, const struct yo_effect *effect);

/* Fill `message`, whose texts are in the client's buffers until the next one, or until
 * yo_message_clear. YOMO_ERR_MALFORMED, YOMO_ERR_NOMEM. */
int yo_message_make(struct yomo_client *client, struct yomo_message *message,
                    const struct yo_effect *effect);
void yo_message_clear(struct yomo_client *client);

/* history.c: questions are asked, answered, lost with the connection, over with the room;
 * the place of the last message that was told. */
void yo_order_give(struct yomo_room *room, yo_time now); /* order.c */
void yo_order_confirmed(struct yomo_room *room, uint64_t number, int error);
void yo_order_lost(struct yomo_room *room); /* what was given has no answer to come */
void yo_order_end(struct yomo_room *room, int error); /* why the room is over */

/* values.c: wishes are told to the server, and have their answers, in time with the mirror;
 * the connection is gone; the room is over. */
void yo_share_give(struct yomo_room *room, yo_time now);
void yo_share_confirmed(struct yomo_room *room, const struct yo_effect *effect);
void yo_share_settle(struct yomo_room *room);
void yo_share_lost(struct yomo_room *room);
void yo_share_end(struct yomo_room *room);

/* shared.c: the mirror: something is told; all will be told anew, up to here it was, and
 * what was not is gone. */
void yo_shared_told(struct yomo_room *room, const struct yo_effect *effect);
void yo_shared_begin(struct yomo_room *room);
void yo_shared_sweep(struct yomo_room *room, uint64_t place);
bool yo_shared_has(const struct yomo_room *room, struct yo_span key);
void yo_shared_finish(struct yomo_room *room);

/* locks.c: the same for locks; `drop`: the program gives one back. */
void yo_claim_give(struct yomo_room *room, yo_time now);
void yo_claim_confirmed(struct yomo_room *room, const struct yo_effect *effect,
                        yo_time now);
void yo_claim_told(struct yomo_room *room, const struct yo_effect *effect);
void yo_claim_joined(struct yomo_room *room);
void yo_claim_away(struct yomo_room *room);
void yo_claim_drop(struct yomo_room *room, struct yo_span key);
void yo_claim_end(struct yomo_room *room);
void yo_claims_turn(struct yomo_client *client, yo_time now);
yo_time yo_claims_deadline(const struct yomo_client *client);

void yo_history_ask(struct yomo_room *room, yo_time now);
void yo_history_page(struct yomo_room *room, const struct yo_effect *effect);
bool yo_history_refused(struct yomo_room *room, uint64_t number, int error);
void yo_history_lost(struct yomo_room *room);
void yo_history_end(struct yomo_room *room);
void yo_history_joined(struct yomo_room *room, const struct yo_effect *effect);
void yo_history_wish(struct yomo_room *room, struct yo_join_wishes *wishes);
/* A message comes. Is it one that this member sent itself, under its former session? */
bool yo_history_had(struct yomo_room *room, const struct yo_effect *effect);
void yo_history_gap(struct yomo_room *room, const struct yo_effect *effect);
/* What became of a request that was answered: `error` 0 or the peer's. */
void yo_message_answer(struct yomo_room *room, const struct yo_effect *effect,
                       yomo_reply_fn fn, void *user);

/* send.c: with all that may be said about it. `question` NULL: no request. */
int yo_send_message(struct yomo_room *room, struct yo_span event, struct yo_span data,
                    enum yomo_encoding encoding, const struct yo_manner *manner,
                    const struct yo_question *question, uint64_t *id);
/* The session or the user that it names alone; false when it names others, or nobody. The
 * empty list is the host: session 0 and no user. */
bool yo_manner_single(const struct yo_manner *manner, struct yo_wire_target *target);

/* asking.c: requests and their outcomes. `add` with the lock, before it is posted:
 * YOMO_ERR_FULL, YOMO_ERR_NOMEM. */
int yo_asking_add(struct yomo_room *room, const struct yo_question *question,
                  const struct yo_manner *manner, uint64_t number);
void yo_asking_begun(struct yomo_client *client, uint64_t number, yo_time now);
void yo_asking_sent(struct yomo_client *client, uint64_t number);
void yo_asking_unsent(struct yomo_client *client, uint64_t number);
/* The server has given it its place; somebody has left, the last device of `user`
 * unless that is absent: no answer of his comes to what has. */
void yo_asking_heard(struct yomo_client *client, uint64_t number);
void yo_asking_left(struct yomo_room *room, uint64_t session, struct yo_span user);
void yo_asking_failed(struct yomo_client *client, uint64_t number, int error);
void yo_asking_reply(struct yomo_room *room, const struct yo_effect *effect);
/* Those that another session carried end: no reply can come to them. */
void yo_asking_session(struct yomo_client *client);
void yo_asking_turn(struct yomo_client *client, yo_time now);
yo_time yo_asking_deadline(const struct yomo_client *client);
void yo_asking_end(struct yomo_room *room); /* the room is over */

/* mirror.c: what a server tells of the others */
void yo_mirror_peer(struct yomo_room *room, const struct yo_effect *effect);
void yo_mirror_sweep(struct yomo_room *room); /* who was not told of is gone */

/* pump.c */
void yo_pump(struct yomo_client *client, yo_time now);

/* sending.c */
void yo_sending_open(struct yo_letter *letter, void *user, yo_time now);
void yo_sending_discard(struct yo_letter *letter);
void yo_sending_unpack(const struct yo_blob *blob, struct yo_packed *packed,
                       struct yo_message *data);
void yo_sending_took(struct yomo_client *client, uint64_t number, uint64_t token);
/* It was sent, but has not arrived, and waits again. */
void yo_sending_unread(struct yomo_client *client, uint64_t number);
void yo_sending_refused(struct yomo_client *client, uint64_t number, int error);
void yo_sending_confirmed(struct yomo_client *client, uint64_t number, int error);
void yo_sending_fate(struct yomo_client *client, uint64_t token, enum yo_fate fate);
void yo_sending_lost(struct yomo_room *room);  /* the connection is gone */
void yo_sending_moved(struct yomo_room *room); /* another took its place, or may */
void yo_sending_resumed(struct yomo_room *room, uint64_t read);
void yo_sending_end(struct yomo_room *room);   /* the room is over */
/* Was a RELIABLE message sent, of which the program wants to know, and not confirmed? */
bool yo_sending_in_doubt(const struct yomo_client *client);
void yo_sending_turn(struct yomo_client *client, yo_time now); /* what is too old */

/* waiting.c */
void yo_client_release(struct yomo_client *client, size_t bytes,
                       size_t messages); /* of `held` */
void yo_client_count(struct yomo_client *client, int32_t what, uint64_t more);
void yo_client_count_box(struct yomo_room *room);

/* keep.c. make: before it is sent (NULL: no memory); add: it was sent, and its bytes are
 * not the outbox's any more; or free. read, answered: by the server. again: what is left
 * is to be sent again; next: the first of these, or NULL; went: it was sent; skip: it is not
 * sent again. clear: give all up; returns how many there were. */
struct yo_kept;
bool yo_keep_wanted(const struct yomo_client *client, enum yomo_delivery delivery);
struct yo_kept *yo_keep_make(struct yomo_client *client, struct yo_blob *message);
void yo_keep_free(struct yomo_client *client, struct yo_kept *kept);
void yo_keep_add(struct yomo_room *room, struct yo_kept *kept);
void yo_keep_read(struct yomo_room *room, uint64_t read);
void yo_keep_answered(struct yomo_room *room, uint64_t number);
void yo_keep_again(struct yomo_room *room);

/* Nothing of it was read, and the room is to be joined anew: it waits in the outbox, in
 * front of what was said later. */
void yo_keep_unread(struct yomo_room *room);
struct yo_blob *yo_keep_next(const struct yomo_room *room);
void yo_keep_went(struct yomo_room *room);
void yo_keep_skip(struct yomo_room *room);
size_t yo_keep_clear(struct yomo_room *room);

/* resume.c */
void yo_resume_init(struct yomo_client *client);
void yo_resume_finish(struct yomo_client *client);
/* The connection is gone: keep its session if it is good for something. */
void yo_resume_keep(struct yomo_client *client, const struct yo_reason *why);
/* A server said hello: is a session to be had back from it? */
bool yo_resume_greeted(struct yomo_client *client);
void yo_resume_turn(struct yomo_client *client, yo_time now);
void yo_resume_told(struct yomo_client *client, yo_time now); /* something of a room */
void yo_resume_answer(struct yomo_client *client, const struct yo_effect *effect,
                      yo_time now);
yo_time yo_resume_deadline(const struct yomo_client *client);

/* goaway.c: the server asks its clients to go. `wait`: how long the client is to stay away
 * when its connection has ended, in milliseconds. `over`: it may be closed now. */
void yo_goaway_told(struct yomo_client *client, const struct yo_effect *effect,
                    yo_time now);
void yo_goaway_turn(struct yomo_client *client, yo_time now);
bool yo_goaway_over(const struct yomo_client *client, yo_time now);
yo_time yo_goaway_deadline(const struct yomo_client *client);
uint64_t yo_goaway_wait(struct yomo_client *client, yo_time now);
void yo_goaway_forget(struct yomo_client *client);

/* room.c */
int yo_room_create(struct yomo_room **out, struct yomo_client *client,
                   struct yo_span name);
struct yomo_room *yo_client_room(const struct yomo_client *client, struct yo_span name);
void yo_room_push(struct yomo_room *room); /* it needs something */
/* A copy of what the roster says, made with the lock in memory that was taken without it
 * (listen.c). YOMO_ERR_CLOSED, YOMO_ERR_NOMEM. */
int yo_room_copy(const struct yomo_room *room,
                 size_t (*size)(const struct yo_roster *roster),
                 void *(*copy)(const struct yo_roster *roster, const struct yomo_mem *mem,
                               void *memory),
                 void **out);
void yo_room_due(struct yomo_room *room, yo_time when);
void yo_room_away(struct yomo_room *room);  /* the connection is gone */
void yo_room_moved(struct yomo_room *room); /* to another connection */
void yo_room_over(struct yomo_room *room, int error, struct yo_span text); /* on_left */

#endif
