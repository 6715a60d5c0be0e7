/* SPDX-License-Identifier: MIT */
/* rig.h - a server without sockets and threads: its workers are turned by hand, its
 * listener is rig_listener.c, and a test's clients are connections that write down what
 * they are sent.
 *
 *     rig_open(&rig, 2, NULL, "legacy-members-max", "3", NULL);
 *     struct client *a = rig_connect(&rig, 0, YOMO_TRANSPORT_WEBSOCKET, "id=alice");
 *     client_join(a, "room", "{\"id\":\"alice\"}");
 *     expect_op(a, YO_OP_CHANNEL_JOIN);
 *     rig_close(&rig); */
#ifndef TESTS_UNIT_SERVER_RIG_H
#define TESTS_UNIT_SERVER_RIG_H

#include "base/list.h"
#include "server/handle.h"
#include "wire/encode.h"

#define RIG_WORKERS_MAX 4

struct rig {
    yomo_server *server;
    uint32_t workers;
    struct yo_link clients;
    struct yomo_mem mem;
    char log[8192]; /* lines so far */
};

/* One message that a client was sent. */
struct heard {
    struct yo_link link;
    uint32_t lane;
    uint64_t token;
    struct yo_blob *blob;
    struct yo_message message; /* decoded, in `blob` */
};

struct client {
    struct yo_conn conn; /* first */
    struct yo_link link;
    struct rig *rig;
    uint32_t worker;
    enum yomo_transport_kind transport;
    bool extension;
    size_t datagram_max; /* 0: no datagrams */
    size_t room;         /* bytes that `send` takes until it says AGAIN */
    bool was_full;
    struct yo_link heard; /* of struct heard, not looked at yet */
    size_t bytes;         /* of all that was sent to it */
    int status;           /* the answer to its request; 0: none yet */
    struct yo_incoming *incoming;
    bool closing, closed; /* asked to close; told so */
    struct yo_close why;  /* by the server */
    char text[128];
    uint32_t lanes_ended;
    char headers[256]; /* of the answer: "name: value\n" */
};

/* Names and values of options follow, then NULL. Changes of members are told at once
 * unless `presence-interval` says otherwise. */
void rig_open(struct rig *rig, uint32_t workers, const yomo_server_callbacks *hooks,
              ...);
void rig_open_with(struct rig *rig, const struct yomo_mem *mem, uint32_t workers,
                   const yomo_server_callbacks *hooks, void *user,
                   const char *const *options);

/* Closes all and checks that the workers come to their end. */
void rig_close(struct rig *rig);
void rig_free(struct rig *rig); /* the same when the workers have ended already */

/* Turn all workers until nothing is left to do. */
void rig_settle(struct rig *rig);

struct yo_worker *rig_worker(struct rig *rig, uint32_t index);

/* The sum over workers of one metric. */
#define rig_count(rig, field) rig_sum(rig, offsetof(struct yo_metrics, field))
uint64_t rig_sum(struct rig *rig, size_t offset);

/* A request at a worker's door; it may be open, refused (status) or dismissed (closed)
 * when this returns. */
struct client *rig_knock(struct rig *rig, uint32_t worker,
                         enum yomo_transport_kind kind, const char *path,
                         const char *query, const char *origin);
/* The same for /v1, let in. */
struct client *rig_connect(struct rig *rig, uint32_t worker,
                           enum yomo_transport_kind kind, const char *query);

/* The client's side. All but _say settle the rig. */
void client_say(struct client *client, uint32_t lane, struct yo_span bytes);
void client_send(struct client *client, const struct yo_message *message);
void client_join(struct client *client, const char *room, const char *state_json);
void client_leave(struct client *client, const char *room);
void client_state(struct client *client, const char *room, const char *state_json);
void client_data(struct client *client, const char *room, const char *event,
                 const char *json, enum yomo_delivery delivery);
void client_close(struct client *client); /* it goes away */
void client_break(struct client *client); /* its connection breaks */
/* Its transport can tell what may not have arrived, as QUIC can. */
void client_reclaims(struct client *client);
void client_unblock(struct client *client, size_t room);

/* The next message that it was sent, or NULL; good until the next call. */
struct heard *client_next(struct client *client);
void client_forget(struct client *client); /* all so far */

/* The next message, which must be of this op (and room, and peer, unless NULL). */
struct heard *expect_op(struct client *client, enum yo_op op);
struct heard *expect_from(struct client *client, enum yo_op op, const char *peer);
void expect_nothing(struct client *client);

#endif
