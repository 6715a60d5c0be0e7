/* SPDX-License-Identifier: MIT */
/* program.h - a program with a client session: it joins, leaves, states and sends at
 * random, believes what it is told, and complains when it is told what cannot be. */
#ifndef TESTS_SIM_PROGRAM_H
#define TESTS_SIM_PROGRAM_H

#include "session/client_side.h"
#include "sim/backend.h"

#define SIM_ROSTER_MAX 32
#define SIM_SENT_MAX 2048
#define SIM_VALUES 6 /* LATEST: two events with three keys each */
#define SIM_IDS_MAX (1u << 16)

struct sim_seen { /* a member, as told */
    uint64_t session;
    char peer[64], state[128];
    uint64_t version;
};

enum sim_phase { SIM_OUT, SIM_ASKED, SIM_IN, SIM_LEAVING };

struct sim_attendance {
    enum sim_phase phase;
    bool wanted;        /* to be joined again on the next connection */
    uint64_t sequence;  /* from JOINED */
    uint64_t order;     /* of the home when it let us in */
    size_t placed_next; /* the first of the room's placed messages that may come next */
    struct sim_seen roster[SIM_ROSTER_MAX];
    size_t roster_count;
    uint64_t sent[SIM_SENT_MAX]; /* RELIABLE, by id, on this connection */
    size_t sent_count;
    uint64_t latest_sent[SIM_VALUES]; /* versions, since JOINED */
    uint64_t latest_seen[SIM_PEERS_MAX + 1][SIM_VALUES];
    char label[16];
    yo_time left_at;
};

struct sim_program {
    struct sim *sim;
    struct sim_backend *backend;
    const char *user;
    char name[24];
    enum sim_transport transport;
    bool presencejs;
    struct sim_link *link;
    struct sim_peer *peer; /* its other end */
    struct yo_client_session *session;
    struct yo_outbox outbox;
    struct yo_effects effects;
    bool connected;
    uint64_t version;
    size_t numbered, confirmed;
    struct sim_attendance rooms[SIM_ROOMS];
    uint8_t heard[SIM_IDS_MAX / 8]; /* ids, on this connection */
    unsigned states;
};

void sim_program_init(struct sim_program *program, struct sim_backend *backend,
                      const char *user, const char *name, bool presencejs,
                      enum sim_transport transport);
void sim_program_finish(struct sim_program *program);

void sim_program_connect(struct sim_program *program);
void sim_program_storm(
    struct sim_program *program); /* act at random, again and again */

/* Single acts. */
void sim_program_join(struct sim_program *program, size_t room, const char *label);
void sim_program_leave(struct sim_program *program, size_t room);
void sim_program_state(struct sim_program *program, size_t room, const char *label);
void sim_program_send(struct sim_program *program, size_t room,
                      enum yomo_delivery delivery, size_t value, bool numbered);

/* With the network quiet: everything that was promised has come true. */
void sim_promises_check(struct sim_program *program);

#endif
