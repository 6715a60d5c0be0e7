/* SPDX-License-Identifier: MIT */
/* connect.h - reaching a server over whichever transport opens first.
 *
 * WebTransport starts; WebSocket starts `delay` later, or at once when WebTransport has
 * failed or is known to fail here. The first that opens wins and the other is aborted.
 * A server that refuses for good ends the race, whatever else is under way.
 *
 * Pure but for the dialer that it is handed: time comes in as `now`. One race after the
 * other runs in the same struct; connections of an earlier one may still be ending. */
#ifndef YO_CLIENT_CONNECT_H
#define YO_CLIENT_CONNECT_H

#include "base/list.h"
#include "base/mem.h"
#include "base/time.h"
#include "transport/transport.h"

/* Makes a connection that is not open yet, as yo_dial does. */
struct yo_dialer {
    int (*dial)(void *user, struct yo_conn **out, enum yomo_transport_kind kind,
                const struct yo_conn_events *events, void *events_user);
    void *user;
};

#define YO_REASON_SIZE 160

/* Why a connection, or the attempt to have one, ended. */
struct yo_reason {
    enum yo_close_kind kind;
    int error;
    char text[YO_REASON_SIZE]; /* a sentence or "" */
};

void yo_reason_set(struct yo_reason *reason, enum yo_close_kind kind, int error,
                   struct yo_span text);
void yo_reason_from(struct yo_reason *reason, const struct yo_close *why);

struct yo_connect_plan {
    enum yomo_transport_kind first;
    enum yomo_transport_kind second; /* NONE: only the first */
    yo_time delay;                   /* before the second starts */
    yo_time timeout;                 /* for each attempt */
};

struct yo_connect_events {
    /* `conn` is open, and the caller's: it calls yo_conn_listen at once. `beaten` tells
     * that the first transport was still trying when the second opened. */
    void (*on_won)(void *user, struct yo_conn *conn, enum yomo_transport_kind kind,
                   bool beaten, yo_time now);
    /* The attempt over `kind` failed; others may go on. */
    void (*on_failed)(void *user, enum yomo_transport_kind kind,
                      const struct yo_reason *why, yo_time now);
    /* None opened. */
    void (*on_lost)(void *user, const struct yo_reason *why, yo_time now);
    /* The last connection that was aborted is gone: yo_connect_idle is true. */
    void (*on_idle)(void *user, yo_time now);
};

struct yo_connect {
    const struct yomo_mem *mem;
    struct yo_dialer dialer;
    const struct yo_connect_events *events;
    void *user;
    struct yo_link running; /* attempts that may still win */
    struct yo_link ending;  /* aborted ones, until their on_closed */
    struct yo_connect_plan plan;
    struct yo_reason why; /* the weightiest failure so far */
    yo_time second_at;    /* YO_NEVER: started, or none */
    bool active;          /* neither won nor lost yet */
    bool failing;         /* an attempt failed before it began; on_lost is due */
};

void yo_connect_init(struct yo_connect *race, const struct yomo_mem *mem,
                     const struct yo_dialer *dialer,
                     const struct yo_connect_events *events, void *user);

/* Results come later, never from inside this call. */
void yo_connect_start(struct yo_connect *race, const struct yo_connect_plan *plan,
                      yo_time now);
void yo_connect_tick(struct yo_connect *race, yo_time now);
yo_time yo_connect_deadline(const struct yo_connect *race);

/* Give up: neither on_won nor on_lost comes. */
void yo_connect_abort(struct yo_connect *race);

/* Nothing of it is left in any loop. */
bool yo_connect_idle(const struct yo_connect *race);

#endif
