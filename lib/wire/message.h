/* SPDX-License-Identifier: MIT */
/* message.h - one yomo message, taken apart or about to be put together.
 *
 * On the wire it is one MessagePack map (docs/protocol.md). A decoded message borrows
 * the bytes it was decoded from. Keys that this version does not know are ignored. */
#ifndef YO_WIRE_MESSAGE_H
#define YO_WIRE_MESSAGE_H

#include <yomo/types.h>

#include "base/span.h"
#include "wire/limits.h"

enum yo_op {
    YO_OP_DATA, /* t:"data"; all others are t:"control" */
    /* what presencejs knows */
    YO_OP_CHANNEL_JOIN, /* client: let me in; server: you are in (p is "") */
    YO_OP_PEER_ONLINE,  /* somebody came */
    YO_OP_PEER_STATE,   /* somebody's state is now pl */
    YO_OP_PEER_OFFLINE, /* client: I leave; server: somebody left */
    /* the extension, only after yomo=1 */
    YO_OP_HELLO,         /* server, first: version, session, epoch, limits */
    YO_OP_SNAPSHOT,      /* server: members, in pages; `more` is set on all but the last */
    YO_OP_CHANGES,       /* server: several members came, changed, left */
    YO_OP_CHANNEL_LEAVE, /* server: you are out of c (answer to peer_offline, or forced) */
    YO_OP_ACK,           /* server: message n has its place in the room */
    YO_OP_ERROR,         /* server: message n, or the join of c, was refused: code, text */
    YO_OP_PING,          /* either: answer with the same ts */
    YO_OP_PONG,
    YO_OP_MOVE,   /* client: this connection goes on with the session of `token`; without
                     one, on the old connection: nothing more comes here */
    YO_OP_MOVED,  /* server: it does, or not (code); on the old one: nothing more comes */
    YO_OP_TOKEN, /* client: prove who this is with `token`; server: that holds for `ts`
                    milliseconds (0: for ever), or was refused (code, text) */
    YO_OP_GOAWAY, /* server: come back after `ts` milliseconds, to `text` if not empty */
    YO_OP_HISTORY, /* client: what was said before q (0: now), at most `max`; server: the
                      answer to question n in pages, or without n after a join */
    YO_OP_PEER_STALE, /* server: somebody's connection broke; the seat is kept */
    YO_OP_PEER_BACK,  /* server: and it is there again */
    YO_OP_RESUME,  /* client, first on a new connection: what it has had of c; then, with
                      `token`: go on with that session, whose connection broke */
    YO_OP_RESUMED, /* server: c is as before, and n messages were read; then that all is, or
                      not (code) */
    YO_OP_GAP,     /* server: what lies from `from` to q in the room's order is gone */
    YO_OP_KICK,    /* client: put out of c whom p or sid names, and tell them `text` */
    YO_OP_BAN,     /* client: the same, and keep p out for ts milliseconds */
    YO_OP_CLOSE,   /* client: everybody out of c, which is then gone */
    YO_OP_VALUE,   /* client: the shared value k of c is now pl (absent: none), if it has
                      version v, where v is given; server: it is, since place q */
    YO_OP_VALUES,  /* server: shared values and locks, in pages */
    YO_OP_LOCK,    /* client: let me have the lock k of c for ts milliseconds, or longer;
                      server: sid has it since place q, or nobody */
    YO_OP_UNLOCK,  /* client: I do not want it (any more) */
    YO_OP_UNKNOWN /* well-formed, but an op or a t this version does not know */
};

/* Limits as the server's hello announces them; 0: not announced. */
struct yo_wire_limits {
    uint64_t message_size; /* bytes of one whole message */
    uint64_t rooms;        /* rooms one connection may be in */
    uint64_t silence_ms;   /* the server closes after this much silence */
    uint64_t grace_ms;     /* seats are kept for so long after a connection broke */
};

struct yo_message {
    enum yo_op op;
    struct yo_span channel; /* c */
    struct yo_span peer;    /* p: user id of the sender; absent is not empty */
    struct yo_span payload; /* pl: one MessagePack map, or absent */
    struct yo_span mesh;    /* mesh: the node that relayed it */

    /* the extension; zero means absent */
    uint64_t session;            /* sid: session of the sender */
    enum yomo_delivery delivery; /* d: 0 reliable, 1 unreliable, 2 latest */
    struct yo_span key;          /* k: with d=2, part of what is replaced */
    uint64_t version;            /* v: grows for each (sender, event, key), or state */
    bool versioned;              /* v is there, be it 0 */
    uint64_t number;             /* n: the client's number, asks for an ack or error */
    uint64_t sequence;           /* q: place in the room's order */
    uint64_t timestamp;          /* ts */
    int64_t code;                /* code: a yomo_error */
    struct yo_span text;         /* msg */
    uint64_t protocol;           /* ver: hello */
    uint64_t epoch;              /* epoch: hello; another value: the server restarted.
                                    channel_join: of the room's order */
    struct yo_wire_limits limits; /* lim: hello, a map {msg, rooms, silence} */
    struct yo_span token;         /* tok: hello, moved: for a move from this connection;
                                     move: that of the session to be moved; token */
    struct yo_span members;       /* m: snapshot, changes: the encoded array of members;
                                     history: that of messages */
    bool more;                    /* more: further pages follow */
    bool observe; /* ob: channel_join, to hear without being seen */
    struct yo_span data; /* dt: member data, one MessagePack map; or absent */

    /* whom data is for, and how (docs/protocol.md, "To some members") */
    struct yo_span targets; /* to: the encoded array of targets; empty: the host */
    bool echo;              /* me: also to the sender */
    bool direct;            /* dm: it was sent to named members only */
    uint64_t request;       /* rq: a reply with this number is expected */
    uint64_t reply;         /* re: the reply to that request */
    uint64_t ttl_ms;        /* ttl: after that it is not delivered any more */
    enum yomo_priority priority; /* pr */
    uint64_t pace_ms;            /* pc: channel_join, LATEST at most this often */

    /* what was said before */
    uint64_t since; /* since: channel_join, the place of the last message that it had */
    uint64_t hist;  /* hist: channel_join, so many of the last messages */
    uint64_t max;   /* max: history, at most so many */
    uint64_t from;  /* from: gap, the first place that is missing */

    bool wait; /* wt: lock, in line when somebody else has it */

    /* after a break */
    uint64_t urgent; /* qu, qb: resume, the last places of urgent and of bulk messages, */
    uint64_t bulk;   /* when they are others than q */
    uint64_t read;   /* rd: ack, so many RELIABLE messages of c were read */
};

/* What became of a member in `changes`. */
enum yo_wire_change {
    YO_WIRE_CAME = 0,
    YO_WIRE_STATE = 1,
    YO_WIRE_LEFT = 2,
    YO_WIRE_STALE = 3, /* its connection broke, its seat is kept */
    YO_WIRE_BACK = 4
};

/* One member in a snapshot: the map {sid, p, pl, v, at}; in `changes`: {o, sid, ...}. */
struct yo_wire_member {
    uint64_t change; /* o: enum yo_wire_change, or one that we do not know */
    uint64_t session;
    struct yo_span peer;
    struct yo_span state; /* pl; absent when it has none */
    struct yo_span data;  /* dt; absent: it has none, or what it had */
    uint64_t version;
    uint64_t since_ms; /* at: wall clock, milliseconds since 1970 */
    bool stale;        /* st: its connection broke, its seat is kept */
};

/* One shared value or lock in `values`: the map {k, pl, v, sid, p, lk}. */
struct yo_wire_value {
    struct yo_span key;
    struct yo_span payload; /* pl; absent for a lock */
    uint64_t version;       /* the place of its last change */
    uint64_t session;       /* who set it, or holds it */
    struct yo_span peer;
    bool lock; /* lk */
};

/* One message in `history`: the map {q, sid, p, pl, at, pr}. */
struct yo_wire_past {
    uint64_t sequence;
    uint64_t session;
    struct yo_span peer;
    struct yo_span payload;
    uint64_t at_ms; /* wall clock, milliseconds since 1970 */
    enum yomo_priority priority;
};

/* One entry of `to`: a session, or a user id (with `session` 0). */
struct yo_wire_target {
    uint64_t session;
    struct yo_span user;
};

const char *yo_op_name(enum yo_op op);

#endif
