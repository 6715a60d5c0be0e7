/* SPDX-License-Identifier: MIT */
/* transport.h - the contract of every transport: whole messages between two peers.
 *
 * Five promises, which tests/contract/ checks for each transport:
 *  1. Messages arrive whole, and those of one lane in the order in which they were sent.
 *  2. Callbacks come from the loop only, never inside the call that caused them.
 *  3. `send` takes a reference of its own or, on error, nothing.
 *  4. What does not fit now is said so (YOMO_ERR_AGAIN), and on_writable follows once
 *     there is room again; what can never fit is YOMO_ERR_TOO_BIG.
 *  5. on_closed comes exactly once, last; the connection is gone when it returns.
 *
 * Lanes. YO_LANE_DATAGRAM may lose, repeat nothing and overtake. YO_LANE_CONTROL and
 * every greater number is a reliable, ordered lane; different lanes may overtake each
 * other. A transport over one ordered stream of bytes puts all of them there. Over
 * WebTransport, CONTROL is the bidirectional stream that the client opened and each
 * greater lane a unidirectional stream from the sender, opened with its first message.
 *
 * Thread: the loop's, for everything. */
#ifndef YO_TRANSPORT_TRANSPORT_H
#define YO_TRANSPORT_TRANSPORT_H

#include <yomo/error.h>
#include <yomo/types.h>

#include "base/blob.h"
#include "base/span.h"
#include "base/time.h"

struct yo_conn;

enum { YO_LANE_DATAGRAM = 0, YO_LANE_CONTROL = 1, YO_LANE_ROOMS = 2 /* and up */ };

/* What the end of a connection means to the one that reads it (docs/protocol.md has the
 * numbers for each transport). */
enum yo_close_kind {
    YO_CLOSE_RETRY, /* come back: lost, drained, too slow, going away */
    YO_CLOSE_FINAL, /* stay away: authentication, kick */
    YO_CLOSE_DONE   /* the one who closed had finished: no reason to come back */
};

struct yo_close {
    enum yo_close_kind kind;
    int error;           /* YOMO_ERR_..., 0 for a regular end */
    uint32_t code;       /* the number on the wire: WebSocket close code or WebTransport
                            session code; 0 when there was none */
    struct yo_span text; /* UTF-8, lent for the call, at most 123 bytes are sent */
    bool remote;         /* the other side, or the network, ended it */
    bool farewell; /* the other side said that it goes, and that nothing went wrong */
};

/* How QUIC finds out how much a path carries (RFC 9002, RFC 9438). In the order of the
 * option's choices. */
enum yo_congestion { YO_CONGESTION_CUBIC, YO_CONGESTION_RENO, YO_CONGESTION_BBR };

/* What became of a datagram that was sent with a token. UNSENT: it gave way to others
 * or became too old, where there are limits that say so. */
enum yo_fate { YO_FATE_ACKED, YO_FATE_LOST, YO_FATE_UNSENT };

struct yo_conn_info {
    enum yomo_transport_kind transport;
    bool secure;              /* TLS below */
    bool datagrams;           /* YO_LANE_DATAGRAM is more than another name for CONTROL */
    size_t datagram_size_max; /* largest message on YO_LANE_DATAGRAM now; 0: none */
    yo_time rtt;              /* smoothed; 0 when not known */
    char address[64];         /* "192.0.2.1:4433" or "[2001:db8::1]:4433" of the peer */
};

struct yo_conn_events {
    /* A client's connection is ready. Not called for accepted ones: they are born open. */
    void (*on_open)(void *user, struct yo_conn *conn, yo_time now);
    /* `message` is lent for the call. `lane` is YO_LANE_DATAGRAM, YO_LANE_CONTROL or
     * YO_LANE_ROOMS (some other reliable lane; which one is the transport's business). */
    void (*on_message)(void *user, struct yo_conn *conn, uint32_t lane,
                       struct yo_span message, yo_time now);
    void (*on_writable)(void *user, struct yo_conn *conn, yo_time now);
    /* Exactly once for each datagram that was taken with a token other than 0, unless
     * the connection closes before. */
    void (*on_fate)(void *user, struct yo_conn *conn, uint64_t token, enum yo_fate fate,
                    yo_time now);
    void (*on_closed)(void *user, struct yo_conn *conn, const struct yo_close *why,
                      yo_time now);
};

/* A message that yo_conn_reclaim gives back: the `number`th of those sent on `lane`,
 * from 1. `message` is lent. */
typedef void (*yo_reclaimed_fn)(void *user, uint32_t lane, uint64_t number,
                                struct yo_blob *message);

struct yo_conn_ops {
    /* Queue one message. With a `token`, and if the transport can tell, on_fate follows;
     * tokens are for YO_LANE_DATAGRAM where info.datagrams is set.
     * YOMO_ERR_AGAIN, YOMO_ERR_TOO_BIG, YOMO_ERR_CLOSED, YOMO_ERR_NOMEM. */
    int (*send)(struct yo_conn *conn, uint32_t lane, struct yo_blob *message,
                uint64_t token);
    /* Send what is queued. Without it the transport sends at the end of the loop's turn
     * at the latest; the upper layer need not call it. */
    void (*flush)(struct yo_conn *conn, yo_time now);
    /* The lane will carry nothing more: give its stream back (FIN). */
    void (*end_lane)(struct yo_conn *conn, uint32_t lane);
    /* Bytes taken by `send` and not yet given to the kernel or not yet acknowledged. */
    size_t (*queued)(const struct yo_conn *conn);
    void (*info)(const struct yo_conn *conn, struct yo_conn_info *info);
    /* Begin to close. Reliable lanes are flushed for at most a second if `kind` is not
     * RETRY; a second call does nothing. on_closed follows, from the loop. */
    void (*close)(struct yo_conn *conn, const struct yo_close *how);
    /* End at once, as if the process had died: nothing is sent. on_closed follows. */
    void (*abort)(struct yo_conn *conn);
    /* NULL: this transport cannot tell. Else see yo_conn_reclaim. */
    void (*reclaim)(struct yo_conn *conn, yo_reclaimed_fn fn, void *user);
    /* NULL: nothing is gained by it. Else see yo_conn_prefetch. */
    void (*prefetch)(const struct yo_conn *conn);
};

/* The first member of every transport's connection struct. */
struct yo_conn {
    const struct yo_conn_ops *ops;
    const struct yo_conn_events *events;
    void *user; /* handed to events */
};

static inline void yo_conn_listen(struct yo_conn *conn, const struct yo_conn_events *events,
                                  void *user)
{
    conn->events = events;
    conn->user = user;
}

static inline int yo_conn_send(struct yo_conn *conn, uint32_t lane, struct yo_blob *message,
                               uint64_t token)
{
    return conn->ops->send(conn, lane, message, token);
}

static inline void yo_conn_flush(struct yo_conn *conn, yo_time now)
{
    conn->ops->flush(conn, now);
}

/* Something will be sent in a moment: let the processor fetch what that needs. A hint. */
static inline void yo_conn_prefetch(const struct yo_conn *conn)
{
    if (conn->ops->prefetch) {
        conn->ops->prefetch(conn);
    }
}

static inline void yo_conn_end_lane(struct yo_conn *conn, uint32_t lane)
{
    conn->ops->end_lane(conn, lane);
}

static inline size_t yo_conn_queued(const struct yo_conn *conn)
{
    return conn->ops->queued(conn);
}

static inline void yo_conn_info(const struct yo_conn *conn, struct yo_conn_info *info)
{
    conn->ops->info(conn, info);
}

static inline void yo_conn_close(struct yo_conn *conn, const struct yo_close *how)
{
    conn->ops->close(conn, how);
}

static inline void yo_conn_abort(struct yo_conn *conn)
{
    conn->ops->abort(conn);
}

/* Give back what was sent on reliable lanes and is not known to have arrived, those of
 * one lane in their order: what is not told has arrived, what is told may have. For a
 * connection that is about to be aborted, because another takes its place.
 * YOMO_ERR_STATE: the transport cannot tell (over TCP nobody can). */
static inline int yo_conn_reclaim(struct yo_conn *conn, yo_reclaimed_fn fn, void *user)
{
    if (!conn->ops->reclaim) {
        return YOMO_ERR_STATE;
    }
    conn->ops->reclaim(conn, fn, user);
    return YOMO_OK;
}

/* A client that wants in: a WebSocket upgrade or a WebTransport CONNECT. All spans are
 * lent for the call that hands the request over. */
struct yo_request {
    enum yomo_transport_kind transport;
    bool secure;
    struct yo_span authority; /* Host or :authority */
    struct yo_span path;      /* "/v1" */
    struct yo_span query;     /* without '?', still percent-encoded; never logged */
    struct yo_span origin;    /* absent when the client sent none */
    struct yo_span address;   /* the peer, as in yo_conn_info */
    struct yo_span fields;    /* WebTransport: all headers (base/pairs.h); else absent */
};

/* The answer to a request. A status of 200 lets the client in (101 over HTTP/1.1), and over
 * WebTransport any other from 201 to 299. */
struct yo_response {
    int status;                  /* HTTP status */
    struct yo_span text;         /* a sentence for the body when refused; may be absent */
    const char *const *headers;  /* name, value, name, value, NULL; may be NULL */
    const char *protocol;        /* WebTransport: one of the offered; NULL: none */
    bool extension;              /* the client asked for yomo=1: streams are used */
    size_t datagram_size_max;    /* presencejs: refuse larger ones (0: no own limit) */
};

/* WebSocket close codes (RFC 6455 7.4) and WebTransport session codes that libyomo
 * sends; the same numbers on both. */
enum {
    YO_CODE_NORMAL = 1000,       /* done */
    YO_CODE_GOING_AWAY = 1001,   /* retry: drain, shutdown */
    YO_CODE_PROTOCOL = 1002,     /* final for our client: it broke the protocol */
    YO_CODE_UNSUPPORTED = 1003,  /* a text frame */
    YO_CODE_TOO_BIG = 1009,      /* a message over the limit */
    YO_CODE_TRY_LATER = 1013,    /* retry: overload */
    YO_CODE_SLOW = 3001,         /* retry: the receiver was too slow */
    YO_CODE_SILENT = 3002,       /* retry: nothing was heard for too long */
    YO_CODE_AUTH = 4401,         /* final: authentication failed */
    YO_CODE_DENIED = 4403,       /* final: not allowed */
    YO_CODE_KICKED = 4410        /* final: removed by an operator */
};

/* How a close with `code` reads, for both transports. */
enum yo_close_kind yo_close_kind_of(uint32_t code);

/* Does one who closes with `code` (0: none) go of its own will? Any other code says
 * that something went wrong, and that it may come back. */
bool yo_close_is_farewell(uint32_t code);

/* The yomo_error that goes with `code`. */
int yo_close_error_of(uint32_t code);

#endif
