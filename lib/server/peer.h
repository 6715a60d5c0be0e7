/* SPDX-License-Identifier: MIT */
/* peer.h - one connection: the transport below, the session above, the outbox between.
 *
 * What is to be sent goes into the outbox and the peer on the worker's dirty list; at
 * the end of the turn the outbox is emptied into the transport as far as it takes it.
 * So ten messages of one turn share packets, and a receiver that is slow fills its own
 * outbox and nobody else's. */
#ifndef YO_SERVER_PEER_H
#define YO_SERVER_PEER_H

#include "base/list.h"
#include "base/map.h"
#include "loop/loop.h"
#include "server/auth/grants.h"
#include "session/effects.h"
#include "session/outbox.h"
#include "session/pacer.h"
#include "session/server_side.h"
#include "transport/transport.h"

struct yo_worker;
struct yo_transfer; /* move.c */
struct yo_tally;
struct yo_app;

#define YO_PEER_SECRET_SIZE 16

/* Who is let in, and as what. */
struct yo_admission {
    const char *id, *app; /* copied by yo_peer_create */
    bool extension;
    bool proven; /* the id is not just a claim */
    struct yo_grants *grants; /* the peer's, once it is made; NULL: all is allowed */
    struct yo_blob *data;     /* by the host, in place of the token's; NULL: none */
    struct yo_app *entry;     /* of `app`, with a connection counted: the same */
};

struct yo_peer {
    struct yo_worker *worker;
    struct yo_link in_worker; /* of all peers */
    struct yo_link dirty;     /* of those that have something to send */
    struct yo_map_node by_session;
    uint64_t session_id;
    uint64_t number; /* no other connection of this server has it; for people */
    char *id, *app;
    struct yo_app *entry;     /* of `app` (apps.h) */
    bool in_entry;            /* counted there as a connection */
    struct yo_grants *grants; /* of its token; NULL: all is allowed */
    yo_time expiry;           /* of them */
    struct yo_blob *data;     /* what its token or the host says of it, or NULL */
    bool data_is_hosts;       /* another token does not change it */
    struct yo_conn *conn;
    struct yo_server_session *session;
    struct yo_outbox outbox;
    struct yo_link seats; /* of struct yo_seat (local.h) */
    struct yo_pacer pacer; /* LATEST values that wait; mem NULL: never needed */
    struct yo_link paced; /* messages to presencejs that go a few at a time */
    size_t paced_count;
    struct yo_timer timer; /* the session's deadline, or the next paced messages */
    yo_time pace_due;      /* when the next few may go */
    uint32_t pace_sent;    /* how many went since the last few */
    struct yo_buf ending;  /* uint32_t: lanes to give back once the outbox is empty */
    enum yomo_transport_kind transport;
    bool presencejs, proven;
    bool datagrams_only; /* presencejs over WebTransport */
    bool datagrams;      /* the transport has them */
    size_t datagram_max; /* the largest now, asked for seldom */
    yo_time datagram_asked;
    bool blocked; /* the transport said AGAIN: wait for on_writable */
    yo_time blocked_at;
    bool closing;
    yo_time end_at; /* in a drain: it is closed then */
    int why; /* ... with what its seats are left (events.h) */
    struct yo_tally *tally; /* of what it asks the host (requests.h); NULL: nothing yet */
    /* Its seats are kept for a while (park.h). */
    bool parked;      /* conn may be NULL */
    bool latest_only; /* it is, or was until it is resumed: nothing else is queued */
    yo_time park_until; /* the end of the grace time */
    struct yo_link in_park;
    size_t park_bytes; /* its share of what all parked ones take */
    /* A move (move.h). */
    uint8_t secret[YO_PEER_SECRET_SIZE]; /* who knows it may move the session away */
    uint8_t secret_before[YO_PEER_SECRET_SIZE]; /* and this one, as long as ... */
    bool before_counts;     /* ... the client may not have been told the other */
    struct yo_link claims;  /* of struct yo_claim: rooms that it wants to resume */
    struct yo_link arrived; /* notes ARRIVED with what it missed, until all are here */
    bool resuming;          /* `moving` is asked for by `resume`, not by `move` */
    bool lost;              /* and so did this one, meanwhile: it is parked once it has it */
    uint64_t moving;              /* the session that it takes; nothing is sent yet */
    struct yo_transfer *transfer; /* of the session away from here, or to here */
    struct yo_link in_arriving;   /* while `transfer` is here and seats are missing */
    size_t departures, arrivals;  /* seats: not yet gone; come */
    bool fenced;                  /* the client sends nothing more here */
    bool departing;               /* conn may be NULL */
    bool last_word;               /* is due, once the connection takes it */
    uint64_t counted[4]; /* the outbox's counters as far as they are in the metrics */
    char address[64];
};

/* A peer without a connection. NULL when out of memory. */
struct yo_peer *yo_peer_create(struct yo_worker *worker,
                               const struct yo_admission *admission,
                               enum yomo_transport_kind transport);

/* What yo_incoming_accept and yo_carrier_open are given as events, with the peer. */
extern const struct yo_conn_events yo_peer_events;

/* Begin, on `conn`: the hello goes out. From here on the connection's end frees it. */
void yo_peer_start(struct yo_peer *peer, struct yo_conn *conn, yo_time now);

/* Instead of that, when there is no connection. */
void yo_peer_destroy(struct yo_peer *peer);

/* Queue one message. `lane` is for what goes reliably; `slot` and `version` are those
 * of LATEST. A peer whose queue is full is closed. */
void yo_peer_put(struct yo_peer *peer, struct yo_blob *message,
                 enum yomo_delivery delivery, uint32_t lane, bool insist,
                 struct yo_span slot, uint64_t version);

/* The same with all that an outbox knows. `insist` counts where RELIABLE goes as
 * datagrams. */
void yo_peer_put_out(struct yo_peer *peer, const struct yo_outgoing *out);

/* A LATEST value, of a room in which it wants one in each `interval` (latest.c); those
 * whose time has come; all that wait go into the outbox, since others take that over. */
void yo_peer_put_latest(struct yo_peer *peer, const struct yo_outgoing *out,
                        yo_time interval);
void yo_peer_pace_latest(struct yo_peer *peer, yo_time now);
void yo_peer_unpace(struct yo_peer *peer);

/* Queue a message about who is there. On its way to a presencejs page over datagrams a
 * newer one about the same peer takes the place of an older one, and many are paced. */
void yo_peer_put_presence(struct yo_peer *peer, struct yo_blob *message);

/* Carry out what the session wants, and set its timer. */
void yo_peer_carry_out(struct yo_peer *peer, struct yo_effects *effects, yo_time now);

/* It has something to send at the end of the turn. */
void yo_peer_mark(struct yo_peer *peer);

/* The peer left the room whose reliable messages went on `lane`. */
void yo_peer_end_lane(struct yo_peer *peer, uint32_t lane);

/* Out of its rooms, and closed. */
void yo_peer_end(struct yo_peer *peer, uint32_t code, int error, const char *text);

/* The end of the turn (flush.c). */
void yo_peer_flush(struct yo_peer *peer, yo_time now);

/* The outbox counts what it gave up; the metrics want to know. */
void yo_peer_count_drops(struct yo_peer *peer);

/* Ask the transport what fits into a datagram. */
void yo_peer_measure(struct yo_peer *peer, yo_time now);

/* The rights of a peer (rights.c): set its expiry by its grants, in milliseconds from now
 * (0: for ever); a token in place of the one that it came with. */
int yo_peer_take_data(struct yo_peer *peer); /* of its token; YOMO_ERR_NOMEM */
uint64_t yo_peer_note_expiry(struct yo_peer *peer, yo_time now);
void yo_peer_take_token(struct yo_peer *peer, struct yo_span token, yo_time now);

/* Between peer.c and pace.c. */
void yo_peer_set_timer(struct yo_peer *peer);
void yo_peer_pace(struct yo_peer *peer, yo_time now);
void yo_peer_drop_paced(struct yo_peer *peer);

#endif
