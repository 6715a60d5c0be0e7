/* SPDX-License-Identifier: MIT */
/* stage.h - a whole client on a virtual clock, and a server that the test plays.
 *
 * The client is driven as its loop would drive it: letters, events, the ends of turns
 * and deadlines. What it tells its program is written down as a story, one line for
 * each callback; stage_story compares and forgets it. */
#ifndef TESTS_CLIENT_STAGE_H
#define TESTS_CLIENT_STAGE_H

#include "client/inside.h"
#include "fake.h"

struct stage {
    struct fake_dialer fake;
    yomo_client *client;
    yo_time now;
    bool closed;
    size_t taken[FAKE_CONNS_MAX]; /* of each connection's messages, by stage_take */
    const char *hello_id; /* what hello says: the user id, NULL for none ... */
    uint64_t hello_ms;    /* ... and how long the token holds, 0 for ever */
    uint64_t place, epoch; /* of rooms, as an ACK says them; 0: not */
    uint64_t grace_ms; /* ... whether sessions are kept, with the token "t<session>" ... */
    uint64_t run;      /* ... and of which run the server is; 0: 1 */
    char story[8192];
    /* Called inside callbacks, if set: to make calls from there. */
    void (*on_story)(struct stage *stage, const char *line);
};

/* A client with these options: name, value, ..., NULL. */
int stage_create(struct stage *stage, const struct yomo_mem *mem,
                 const char *const *options);
void stage_begin(struct stage *stage, const char *const *options); /* which must work */

/* Close it if it still stands, and give everything back. */
void stage_end(struct stage *stage);

/* What is due now. */
void stage_run(struct stage *stage);

/* Let time pass, with everything that falls due on the way. */
void stage_pass(struct stage *stage, yo_time span);

void stage_story(struct stage *stage, const char *expected);

/* The server's side. `stage_connect` asks the client to connect, opens its connection
 * over `kind`, and says hello with `session`. */
struct fake_conn *stage_connect(struct stage *stage, enum yomo_transport_kind kind,
                                uint64_t session);
struct fake_conn *stage_accept(struct stage *stage, enum yomo_transport_kind kind,
                               uint64_t session);
void stage_say(struct stage *stage, struct fake_conn *conn, uint32_t lane,
               const struct yo_message *message);

struct stage_member {
    uint64_t session;
    const char *id, *state; /* JSON */
};

/* Answer the join of `room`, which must have come: ACK and snapshot. */
void stage_admit(struct stage *stage, struct fake_conn *conn, const char *room,
                 const struct stage_member *members, size_t count);

/* A broadcast from `member`. */
void stage_data(struct stage *stage, struct fake_conn *conn, const char *room,
                const struct stage_member *member, const char *event, const char *json);

/* The next message with `op` that the client sent and that was not taken yet. */
struct yo_message stage_take(struct stage *stage, struct fake_conn *conn, enum yo_op op,
                             uint32_t *lane);
bool stage_none(struct stage *stage, struct fake_conn *conn, enum yo_op op);

#endif
