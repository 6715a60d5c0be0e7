/* SPDX-License-Identifier: MIT */
/* load.h - what the parts of the load generator know of each other.
 *
 * One program drives every candidate of the comparison, so that all are asked the same
 * and checked the same. main.c is the conductor; fleet.c the members of rooms, on
 * threads with an epoll each; ws.c and wt.c carry their messages (TLS and WebSocket
 * frames; WebTransport datagrams, with our own client); a dialect_*.c says how one
 * protocol spells connecting, joining and publishing; watch.c looks at the server's
 * processes from outside.
 *
 * A payload is text, so that every protocol can carry the same bytes, and says all that
 * a receiver needs to check it: when it was sent, by whom, as what number, in which
 * stage. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../../cli/bench.h" /* histograms and the clock */

enum {
    PAYLOAD_HEAD = 32, /* bytes that say who, what and when; the rest is a pattern */
    PAYLOAD_MAX = 1000,
    MESSAGE_MAX = 4096, /* of a dialect, around a payload */
    STAGES_MAX = 64,
    THREADS_MAX = 16,
    PIDS_MAX = 16,
};

struct member;
struct fleet;

/* How a protocol is spoken. Functions get whole messages, but for `bytes` dialects,
 * where a message of the transport may hold any part of the protocol's stream. */
struct dialect {
    const char *name;
    const char *path;     /* where it is served; %u becomes the member's number */
    const char *protocol; /* Sec-WebSocket-Protocol; NULL: none */
    bool text;            /* WebSocket text frames */
    bool echoes;          /* a sender gets its own messages too */
    void (*opened)(
        struct member *member); /* say hello; member_connected when it is done */
    void (*join)(
        struct member *member); /* ask for the room; member_joined when in it */
    /* A message that publishes `payload` (of plan->size bytes); bytes written to `out`.
     */
    size_t (*publish)(struct member *member, const char *payload, char *out);
    void (*received)(struct member *member, const uint8_t *bytes, size_t size);
};

extern const struct dialect dialect_presencejs, dialect_raw, dialect_centrifugo,
    dialect_socketio, dialect_nats, dialect_mqtt;

/* What is asked for. */
struct plan {
    const struct dialect *dialect;
    bool webtransport;
    bool unordered; /* the candidate promises no order */
    bool announce;  /* presencejs: say peer_online and peer_state after joining */
    bool fresh; /* WebTransport: a client for each member, so that none has a ticket */
    uint16_t port;
    const char *ca; /* PEM */
    uint32_t threads, connections, members, senders, rooms;
    uint32_t opening; /* handshakes at once */
    size_t size;      /* of a payload */
    bool storm;       /* all join in one moment */
    double idle;      /* seconds of standing still */
    double within; /* seconds: a rate is kept up with when 99 % come as soon as that */
    double seconds, probe;    /* of a stage, and of one that only tries a rate */
    double rates[STAGES_MAX]; /* messages a second of each sender, ascending */
    size_t rate_count;
    double also;      /* one more that is measured; 0: none */
    double shares[8]; /* of the capacity that was found by bisection */
    size_t share_count;
    pid_t pids[PIDS_MAX];
    size_t pid_count;
};

/* --- Payloads (payload.c) --------------------------------------------------------- */

struct payload {
    uint64_t at;            /* nanoseconds, when it was sent */
    uint32_t number, place; /* of the sender's messages; the sender */
    unsigned stage;
};

void payload_prepare(void); /* once, before any other */
void payload_write(const struct payload *payload, char *out, size_t size);
bool payload_read(struct payload *payload, const char *text,
                  size_t size); /* is it one? */

/* What came of one sender: the number that should come next, and which of the 64 before
 * it are there. */
struct track {
    uint32_t next;
    uint64_t before;
};

enum track_news { TRACK_NEW, TRACK_LATE, TRACK_AGAIN };

/* A message with that number came. LATE: behind a newer one. */
enum track_news track_note(struct track *track, uint32_t number);

/* --- Members (fleet.c) ------------------------------------------------------------ */

enum member_state {
    MEMBER_AWAY,
    MEMBER_OPENING,
    MEMBER_CONNECTED,
    MEMBER_JOINING,
    MEMBER_JOINED,
    MEMBER_BROKEN
};

struct ws_link;
struct wt_link;

struct member {
    struct crew *crew;            /* its thread */
    uint32_t number, room, place; /* the first `senders` places of a room send */
    enum member_state state;
    struct ws_link *ws;
    struct wt_link *wt;
    uint64_t since; /* when it began to open, or last asked to join */
    struct track *tracks;
    uint32_t sent;
    uint32_t progress; /* the dialect's */
    uint8_t *carry;    /* the dialect's: the part of its stream that is not whole */
    uint32_t carry_size;
};

/* What dialects say. */
void member_connected(struct member *member);
void member_joined(struct member *member);
void member_payload(struct member *member, const char *payload, size_t size);
void member_broken(struct member *member, const char *why);
/* Send one message of the transport. */
void member_send(struct member *member, const void *bytes, size_t size);
const struct plan *member_plan(const struct member *member);
const char *member_room(const struct member *member); /* its name */

/* A dialect that is a stream of bytes: what was kept and `bytes` together; `*size` is
 * set. Then what of it is to be kept for the next time. */
const uint8_t *member_gather(struct member *member, const uint8_t *bytes, size_t *size);
void member_keep(struct member *member, const uint8_t *rest, size_t size);

/* Of one stage, all members together. */
struct sums {
    uint64_t sent, refused, expected, received, duplicate, disordered, damaged, foreign;
    struct bench_histogram latency; /* nanoseconds from sending to receiving */
    struct bench_histogram late;    /* of sending, behind the plan */
};

struct fleet *fleet_start(const struct plan *plan);
uint32_t fleet_count(const struct fleet *fleet, enum member_state least); /* that far */
uint32_t fleet_broken(const struct fleet *fleet);
const char *fleet_why(const struct fleet *fleet); /* the first break's reason, or "" */
void fleet_open(struct fleet *fleet);             /* all, also those that are broken */
void fleet_join(struct fleet *fleet);             /* those that are connected */
void fleet_send(struct fleet *fleet, unsigned stage, double rate);
void fleet_quiet(struct fleet *fleet);
uint64_t fleet_expected(const struct fleet *fleet, unsigned stage);
uint64_t fleet_received(const struct fleet *fleet, unsigned stage);
uint64_t fleet_active(const struct fleet *fleet); /* when something last came */
void fleet_cpu(const struct fleet *fleet, double *seconds); /* of each thread */
/* While nothing is sent or comes any more. */
void fleet_sum(const struct fleet *fleet, unsigned stage, struct sums *sums);
void fleet_handshakes(const struct fleet *fleet, struct bench_histogram *out);
void fleet_stop(struct fleet *fleet);

/* --- What carries messages (ws.c, wt.c) ------------------------------------------- */

/* Created for a member; tell it member_opened, then messages, then member_broken.
 * Thread: the member's. */
struct crew;

int crew_poll(const struct crew *crew); /* its epoll */
uint8_t *crew_buffer(const struct crew *crew,
                     size_t *room); /* for whoever needs one now */
const struct plan *crew_plan(const struct crew *crew);
struct crew *member_crew(const struct member *member);
void member_opened(struct member *member);
void member_message(struct member *member, const uint8_t *bytes, size_t size);

/* What stands in epoll's data: who is told of events. */
struct watcher {
    void (*ready)(struct watcher *watcher, uint32_t events);
};

struct ws_kit;
struct ws_kit *ws_kit_create(const struct plan *plan);
void ws_kit_destroy(struct ws_kit *kit);
struct ws_link *ws_open(struct ws_kit *kit, struct member *member);
bool ws_send(struct ws_link *link, const void *bytes, size_t size); /* false: no room */
void ws_close(struct ws_link *link);

struct wt_kit;
struct wt_kit *wt_kit_create(struct crew *crew);
void wt_kit_destroy(struct wt_kit *kit);
int wt_timeout_ms(const struct wt_kit *kit); /* until wt_turn is due; -1: no need */
void wt_turn(struct wt_kit *kit);
struct wt_link *wt_open(struct wt_kit *kit, struct member *member);
bool wt_send(struct wt_link *link, const void *bytes, size_t size);
void wt_close(struct wt_link *link);

/* --- The server's processes (watch.c) --------------------------------------------- */

struct sight {
    uint64_t at;              /* bench_now() */
    double cpu, user, system; /* seconds of all of them */
    uint64_t rss;             /* bytes of all of them */
    uint64_t kernel;          /* bytes of the whole machine: sockets and what cannot be
                                 reclaimed of the kernel's own */
    unsigned alive;           /* processes */
};

unsigned watch_alive(const struct plan *plan); /* processes of it */
void watch_look(const struct plan *plan, struct sight *sight);

/* --- Text ------------------------------------------------------------------------- */

/* Where `needle` begins in `text`, or NULL. */
const char *find_text(const char *text, size_t size, const char *needle);

#endif
