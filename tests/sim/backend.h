/* SPDX-License-Identifier: MIT */
/* backend.h - a backend as small as can be around the real rooms and sessions.
 *
 * Rooms live at a home which hears of everything later, and whose answers come later
 * still, as over the mailboxes of workers; each way keeps its order. */
#ifndef TESTS_SIM_BACKEND_H
#define TESTS_SIM_BACKEND_H

#include "presence/room.h"
#include "session/outbox.h"
#include "session/server_side.h"
#include "sim/sim.h"

#define SIM_ROOMS 2
#define SIM_PEERS_MAX 256 /* connections in one run */

/* What got a place in a room, as the home saw it. */
struct sim_placed {
    uint64_t order;    /* of all that the home did */
    uint64_t sequence; /* 0: not RELIABLE */
    uint64_t session;
    uint64_t id; /* of the message, in its data */
    enum yomo_delivery delivery;
    uint64_t version;
    char value[32]; /* LATEST: event and key */
};

struct sim_room {
    struct sim_backend *backend;
    size_t index;
    bool told_later; /* of its members' changes */
    struct yo_room room;
    struct sim_placed *placed;
    size_t placed_count, placed_capacity;
};

struct sim_peer;

struct sim_seat {
    bool in;           /* at the home */
    uint64_t sequence; /* of the room, when it came in */
    uint64_t order;    /* of the home, likewise */
};

struct sim_peer {
    struct sim_backend *backend;
    struct sim_link *link;
    struct yo_server_session *session;
    struct yo_outbox outbox;
    uint64_t id; /* session id */
    char name[16], user[16];
    bool presencejs, datagrams;
    bool gone;
    yo_time notes_last; /* keeps what the home says in order */
    struct sim_seat seats[SIM_ROOMS];
    bool put_out[SIM_ROOMS]; /* at some time: what it sent may be lost */
};

struct sim_backend {
    struct sim *sim;
    struct sim_room rooms[SIM_ROOMS];
    struct sim_peer *peers[SIM_PEERS_MAX];
    size_t peer_count;
    struct yo_effects effects;
    yo_time home_last;
    uint64_t order;
};

void sim_backend_init(struct sim_backend *backend, struct sim *sim);
void sim_backend_finish(struct sim_backend *backend);

/* A client is at the door; `link` is set by the caller afterwards, before anything
 * runs. */
struct sim_peer *sim_backend_accept(struct sim_backend *backend, const char *user,
                                    bool presencejs, enum sim_transport transport);
struct sim_end sim_peer_end(struct sim_peer *peer);
void sim_peer_start(struct sim_peer *peer);

/* An operator puts a client out of a room. */
void sim_backend_kick(struct sim_backend *backend, struct sim_peer *peer, size_t room);

struct sim_peer *sim_backend_find(const struct sim_backend *backend, uint64_t session);
size_t sim_room_index(struct yo_span name);
extern const char *const sim_room_names[SIM_ROOMS];

#endif
