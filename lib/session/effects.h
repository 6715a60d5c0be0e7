/* SPDX-License-Identifier: MIT */
/* effects.h - what a session wants done: events go in, effects come out.
 *
 * Effects are carried out by the owner of the session, in their order, before the next
 * call. Spans are lent: they point into the message that went in, or into the session,
 * and are good until the next call. */
#ifndef YO_SESSION_EFFECTS_H
#define YO_SESSION_EFFECTS_H

#include <yomo/types.h>

#include "base/buf.h"
#include "base/span.h"
#include "wire/message.h"

enum yo_effect_kind {
    /* either side */
    YO_EFFECT_SEND,  /* `bytes`, encoded, on `lane`, to this peer */
    YO_EFFECT_CLOSE, /* the connection, with `code`, `error`, `text` */
    YO_EFFECT_DROP, /* a message was refused and counted: `error`, `text` for the log */
    /* server */
    YO_EFFECT_JOIN,    /* room, payload, label, places (in the order `epoch`; 0: none),
                          hist */
    YO_EFFECT_LEAVE,   /* room */
    YO_EFFECT_STATE,   /* room, payload, label */
    YO_EFFECT_PUBLISH, /* room, payload, event, delivery, key, version, number, and
                          below "whom for" */
    YO_EFFECT_MOVE,    /* token: this connection is to go on with another session */
    YO_EFFECT_TOKEN, /* server: token is to be checked; client: error, after_ms, text */
    YO_EFFECT_HISTORY, /* server: room, number, sequence (before it; 0: the newest), max
                          (0: as many as the server likes); client: room, number,
                          payload (the encoded array of messages), sequence (of what is
                          older), more */
    YO_EFFECT_VALUE,   /* server: room, key, payload (absent: take it away), version (if
                          `versioned`: only if it has that), number; client: room, key,
                          payload, version, session, peer: it is so (absent: not there) */
    YO_EFFECT_LOCK,    /* server: room, key, after_ms (lease; 0: give it back), wait,
                          number;    client: room, key, version, session, peer (0: nobody has
                          it) */
    YO_EFFECT_VALUES,  /* client: room, sequence: what was not told since it was asked
                          for  or resumed is not there */
    YO_EFFECT_GAP,     /* client: room, from (0: not known), sequence (the last) */
    YO_EFFECT_ORDER,   /* op, room, peer, session, text, after_ms, number: of a member
                          with the right `admin`, if it has it */
    YO_EFFECT_FENCE,   /* the client moves: nothing more comes on this connection */
    YO_EFFECT_CLAIM,   /* room, places: it wants its seat there back, and had so much */
    YO_EFFECT_RESUME, /* token: this connection is to go on with a session that broke */
    /* client */
    YO_EFFECT_READY,   /* the dialect is known: extension, session, epoch, token */
    YO_EFFECT_JOINED,  /* room: the snapshot is complete; sequence, epoch */
    YO_EFFECT_REFUSED, /* room: error, text */
    YO_EFFECT_LEFT,    /* room: error, text (0: as asked) */
    YO_EFFECT_PEER,    /* room, session, peer, payload, version, since_ms, change */
    YO_EFFECT_MESSAGE, /* room, session, peer, payload, delivery, key, version, sequence
                        */
    YO_EFFECT_REPLY,   /* the same as MESSAGE; reply, error (0: none), text */
    YO_EFFECT_CONFIRMED, /* number, error (0: it has its place) */
    YO_EFFECT_GOAWAY,    /* after_ms, text: another URL or empty */
    YO_EFFECT_PONG,      /* rtt */
    YO_EFFECT_MOVED,     /* nothing more comes on this connection */
    YO_EFFECT_READ, /* room, number: so many of its RELIABLE messages were read; error:
                       and no more will be, since its seat is gone */
    YO_EFFECT_RESUMED /* error (0: it goes on), session, token */
};

struct yo_effect {
    enum yo_effect_kind kind;
    uint32_t lane;
    struct yo_span data; /* PEER: member data, absent: none when it comes, else as before */
    struct yo_span room, peer, payload, event, key, label, text, bytes, token;
    enum yo_op op; /* ORDER */
    uint64_t session, version, number, sequence, since_ms, epoch, after_ms;
    uint64_t hist, max, from;
    uint64_t places[YOMO_BULK + 1]; /* CLAIM, JOIN: the last that it had, by
                                        priority */
    enum yomo_delivery delivery;
    int change; /* enum yomo_peer_change */
    bool stale; /* PEER, PRESENT: its connection broke */
    bool observe; /* JOIN, JOINED: to hear, or hearing, without being seen */
    int error;
    int limited; /* DROP: enum yo_limited (server_side.h) */
    uint32_t code;
    bool extension;
    bool resumed; /* JOINED: the seat was kept; number as in READ */
    /* Whom for, and how: PUBLISH, MESSAGE, REPLY (wire/message.h). */
    struct yo_span targets;
    bool echo, direct;
    uint64_t request, reply, ttl_ms, pace_ms;
    enum yomo_priority priority;
    bool versioned, wait; /* VALUE, LOCK */
    bool past; /* MESSAGE: it was said at since_ms, before this member came */
    bool more; /* HISTORY: of the answer; further pages follow */
    uint64_t rtt;  /* nanoseconds */
    size_t offset; /* SEND: of `bytes` in the list's buffer, until it is sealed */
};

struct yo_effects {
    const struct yomo_mem *mem;
    struct yo_effect *list;
    size_t count, capacity;
    struct yo_buf bytes; /* backs SEND; offsets are turned to spans on completion */
    bool failed;         /* memory ran out: the owner closes the connection */
};

void yo_effects_init(struct yo_effects *effects, const struct yomo_mem *mem);
void yo_effects_finish(struct yo_effects *effects);
void yo_effects_clear(struct yo_effects *effects); /* before each call */

/* For sessions: make sure that `extra` adds cannot fail. YOMO_ERR_NOMEM, and `failed` is
 * set. */
int yo_effects_reserve(struct yo_effects *effects, size_t extra);

/* For sessions: take back all effects but the first `count`. */
void yo_effects_cut(struct yo_effects *effects, size_t count);

/* For sessions: a zeroed effect of `kind`, or NULL (then `failed` is set). The pointer is
 * good until the next add. */
struct yo_effect *yo_effects_add(struct yo_effects *effects, enum yo_effect_kind kind);

/* For sessions: a SEND of `message` on `lane`. */
void yo_effects_send(struct yo_effects *effects, uint32_t lane, int dialect,
                     const struct yo_message *message);

/* For owners: the effects are complete; `bytes` of SEND may be read from here on. Called
 * by each session function at its end. */
void yo_effects_seal(struct yo_effects *effects);

#endif
