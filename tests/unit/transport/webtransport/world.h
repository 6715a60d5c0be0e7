/* SPDX-License-Identifier: MIT */
/* world.h - endpoints that hand each other packets, on a virtual clock.
 *
 * A node is an endpoint with an address. What it sends is carried by a network that
 * delays, loses, repeats and overtakes as it is told to, by a seeded generator: the
 * same seed is the same story. Nothing sleeps. */
#ifndef TESTS_WEBTRANSPORT_WORLD_H
#define TESTS_WEBTRANSPORT_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "base/list.h"
#include "base/rand.h"
#include "transport/messages/messages.h"
#include "transport/webtransport/endpoint.h"
#include "transport/webtransport/session.h"

#define NODES_MAX 40
#define MESSAGE_MAX (1u << 20)
#define QUEUE_MAX (1u << 20)

struct world;

struct node {
    struct world *world;
    struct yo_endpoint *endpoint;
    struct sockaddr_in inside, outside; /* as it sees itself; as the network sees it */
    struct sockaddr_in heard_at;        /* another address that still reaches it */
    bool woken, blocked, cut, empty;    /* cut: nothing passes, either way */
    uint8_t space[65536];
    size_t sent;        /* packets */
    size_t longest;     /* of a train, in packets */
    struct yo_buf last; /* the last packet that it got */
    /* A server's requests. */
    struct yo_wt_session *request; /* the last one that waits */
    char authority[64], path[256], query[256], origin[64], address[64];
    uint8_t fields[2048]; /* all headers of it: base/pairs.h */
    size_t fields_size;
    size_t requests, gone;
    /* For messages. */
    size_t queue_size_max; /* QUEUE_MAX, unless it is changed */
    uint64_t messages_bad;
    struct yo_span ask_fields, ask_protocols; /* a client's, when it asks */
    void (*on_request)(struct node *node,
                       struct yo_wt_session *session); /* NULL: keep it */
    void *user;
    /* Packets for other workers. */
    size_t foreign;
    struct node *other; /* who gets them */
};

/* What becomes of ECN marks on the way (RFC 3168): nothing; taken off; all packets that
 * have one are marked as having met congestion. */
enum world_marks { MARKS_KEPT, MARKS_CLEARED, MARKS_CONGESTED };

struct world {
    const struct yomo_mem *mem;
    yo_time now;
    struct yo_rand rand;
    yo_time delay, jitter;  /* one way */
    unsigned loss, repeat;  /* of 1,000 packets */
    size_t mtu;             /* of UDP payloads that pass; 0: any */
    enum world_marks marks;
    uint16_t port;          /* under which clients remember the server; 0: under none */
    struct yo_link packets; /* under way, by time */
    struct node *nodes[NODES_MAX];
    size_t count;
    size_t carried, lost;
    size_t marked[4];     /* packets by the ECN mark that they were sent with */
    size_t stray_bytes;   /* sent to where nobody is */
};

extern struct yo_tls_server *world_server_tls;
extern struct yo_tls_client *world_client_tls;
int world_begin_tls(void **state); /* group set-up and tear-down */
int world_end_tls(void **state);

void world_init(struct world *world, uint64_t seed);
void world_finish(struct world *world);

/* What a node is made with unless it is changed. */
struct yo_endpoint_options world_options(struct world *world, bool server);
struct node *world_server(struct world *world,
                          const struct yo_endpoint_options *options);
struct node *world_client(struct world *world,
                          const struct yo_endpoint_options *options);

/* One step: turns that are due, else the next packet or timer. False: there is none. */
bool world_step(struct world *world);
void world_for(struct world *world, yo_time span); /* let time pass */
void world_inject(struct node *to, const struct node *from, struct yo_span bytes);

/* `text` as a C string in `out`. */
void world_keep(char *out, size_t size, struct yo_span text);

#define UNTIL(world, condition)                                \
    do {                                                       \
        yo_time until_ = (world)->now + 120 * YO_SECOND;       \
        while (!(condition)) {                                 \
            if (!world_step(world) || (world)->now > until_) { \
                fail_msg("%s did not happen", #condition);     \
            }                                                  \
        }                                                      \
    } while (0)

/* --- Bare sessions ---------------------------------------------------------------- */

#define STREAMS_MAX 64
#define STREAM_KEEP (1u << 20)

struct heard { /* what came on one stream, and how it went */
    struct peer *peer;
    struct yo_wt_stream *stream; /* NULL: gone */
    bool bidirectional, local;
    struct yo_buf bytes;
    bool ended, was_reset, has_code, stopped, has_stop_code, gone;
    uint32_t code, stop_code;
    size_t acked;
    size_t take; /* at most so many bytes for each on_data; 0: all */
};

struct peer {
    struct world *world;
    struct yo_wt_session *session; /* NULL: it has ended */
    int opened, ended, drains, progress;
    struct yo_wt_end end;
    char end_text[1100];
    struct heard streams[STREAMS_MAX];
    size_t stream_count;
    struct yo_buf datagrams; /* bytes of all of them */
    size_t datagram_count, acked, lost, unsent;
};

void peer_init(struct peer *peer, struct world *world);
void peer_finish(struct peer *peer);
void peer_listen(struct peer *peer, struct yo_wt_session *session);
void peer_connect(struct peer *peer, struct node *client, struct node *server);
/* Both ends of a new session; `server` answers with 200. */
void peer_pair(struct peer *client_peer, struct node *client, struct peer *server_peer,
               struct node *server);
struct heard *peer_open(struct peer *peer, bool bidirectional);
void peer_write(struct heard *heard, const char *text, bool end);
void peer_datagram(struct peer *peer, const char *text, uint64_t token);

/* --- Messages --------------------------------------------------------------------- */

struct side {
    struct world *world;
    struct yo_conn *conn; /* NULL: closed */
    int opened, closed, writable;
    struct yo_close why;
    char text[128];
    size_t heard[3]; /* by lane; YO_LANE_ROOMS: all others */
    struct yo_buf bytes;
    uint32_t next[8]; /* of numbered messages, by lane */
    bool unchecked;   /* anybody may say anything: no message is a numbered one */
    size_t acked, lost;
};

extern const struct yo_conn_events side_events;
void side_init(struct side *side, struct world *world);
void side_finish(struct side *side);
void side_connect(struct side *side, struct node *client, struct node *server,
                  bool extension);
/* False: there was no memory for it. */
bool side_ask(struct side *side, struct node *client,
              const struct yo_endpoint_connect *options, bool extension);
/* The answer to a client that asked; false: it could not be given. */
bool side_accept(struct side *side, struct node *server,
                 const struct yo_response *response);
void side_pair(struct side *client_side, struct node *client, struct side *server_side,
               struct node *server, bool extension);
int side_send(struct side *side, uint32_t lane, const void *bytes, size_t size,
              uint64_t token);
/* A message that says its lane and number, `size` bytes; the other side checks it. */
int side_send_numbered(struct side *side, uint32_t lane, uint32_t number, size_t size);

#endif
