/* SPDX-License-Identifier: MIT */
/* wire.h - one connection between a client and the server: what goes in on one side
 * comes out on the other when its time has come, unless the path is cut.
 *
 * The client's end is a yo_conn of our own; the server's is a client of the server's
 * rig (tests/unit/server/rig.h). Over WebTransport each reliable lane keeps its own
 * order and datagrams are lost now and then; over WebSocket all is one order. */
#ifndef TESTS_MODEL_WIRE_H
#define TESTS_MODEL_WIRE_H

#include "base/list.h"
#include "rig.h"
#include "transport/transport.h"

struct net {
    struct rig *rig; /* NULL: the server is down */
    struct yo_link wires;
    unsigned loss_percent;
};

struct wire {
    struct yo_conn conn; /* first: the client's end */
    struct yo_link link; /* in net->wires */
    struct net *net;
    void *owner;
    struct client *far; /* NULL: not accepted yet, or no more */
    enum yomo_transport_kind kind;
    char query[512];
    yo_time open_at; /* YO_NEVER: it has been */
    yo_time latency; /* one way */
    yo_time
        lane_due[64]; /* when what was sent last on a lane comes out; up, then down */
    struct yo_link up, down;     /* of struct parcel (wire.c), by due */
    size_t up_bytes, down_bytes; /* on their way on reliable lanes */
    uint32_t rate;               /* bytes a second; 0: as many as you like */
    yo_time busy[2];             /* until then: down, up */
    yo_time stalled_until;       /* nothing comes out before */
    struct yo_link unacked[2]; /* of struct copy (reclaim.c), oldest first: down, up */
    uint64_t sent[2][64];      /* so many on each lane: down, up */
    bool full;                 /* the client was told AGAIN */
    bool cut;                  /* nothing passes any more */
    bool ended;                /* the client's end is told, or about to be */
    bool end_told, far_told;
    struct yo_close end; /* why, for the client */
    yo_time end_at;
    char end_text[128];
};

void net_init(struct net *net);
void net_finish(struct net *net); /* all must have ended */

/* The moment at which something happens, or YO_NEVER; and let it happen. */
yo_time net_due(const struct net *net);
bool net_turn(struct net *net);

/* A client's connection that opens later. */
struct wire *wire_dial(struct net *net, enum yomo_transport_kind kind,
                       const char *path_and_query, yo_time latency);

/* Both ends hear that it broke, one maybe long before the other. */
void wire_break(struct wire *wire, yo_time client_at, yo_time server_at);
/* Nothing passes, and nobody is told. */
void wire_cut(struct wire *wire);
/* Nothing comes out for so long; then all does. */
void wire_stall(struct wire *wire, yo_time span);
/* The server's process is gone. */
void net_crash(struct net *net);

/* reclaim.c: what was sent on reliable lanes over QUIC and is not known to have
 * arrived, which it gives back when another connection takes its place. */
uint64_t wire_keep(struct wire *wire, bool up, uint32_t lane, struct yo_blob *blob);
void wire_acked(struct wire *wire, bool up, uint32_t lane, uint64_t number);
void wire_reclaim(struct wire *wire, bool up, yo_reclaimed_fn fn, void *user);
void wire_forget_kept(struct wire *wire);

#endif
