/* SPDX-License-Identifier: MIT */
/* rig.h - a backend with claimed paths and a client of it in one program, over
 * loopback, and what both have been told.
 *
 * The client is run in one of the three ways. The test's own thread makes its calls
 * from outside: they travel as letters. What a `hook` does is called from inside
 * callbacks. */
#ifndef TESTS_E2E_SESSIONS_RIG_H
#define TESTS_E2E_SESSIONS_RIG_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>
#include <yomo/yomo.h>

enum way { WAY_THREAD, WAY_HOST, WAY_POLL };

#define STREAMS_MAX 2048

struct end;

/* One stream, as one side sees it. With the rig's lock. */
struct pipe {
    struct end *end;
    yomo_wt_stream *stream; /* a reference */
    bool local, bidirectional;
    uint8_t *data;
    size_t size, capacity;
    size_t offers; /* calls of on_data */
    bool fin, closed, finished, got_reset, got_stopped;
    size_t fin_place; /* the how manyeth FIN of its end's streams it was */
    int64_t reset, stopped;
    unsigned writable;
    size_t take;       /* bytes that one on_data takes at most; SIZE_MAX: all */
    struct pipe *back; /* an echo's: where it goes */
    size_t echoed;
    bool echo_ended;
};

/* One side of a session. */
struct end {
    struct rig *rig;
    yomo_wt_session *session; /* a reference */
    bool server, open, draining, closed;
    unsigned writable;
    int32_t error, remote, status;
    uint32_t code;
    char reason[1200];
    struct pipe *pipes[STREAMS_MAX];
    size_t pipe_count;
    size_t datagrams, fates_acked, fates_lost, fates_again;
    uint8_t last[2048];
    size_t last_size;
    uint64_t fate_token;
    size_t fins;
    size_t take; /* for new pipes; 0: all, unless ... */
    bool hold;   /* ... nothing is taken */
    bool echo;   /* everything goes back */
    bool refuse_streams;
    void (*on_open)(struct end *end);
    void (*on_datagram)(struct end *end);
    void (*on_data)(struct pipe *pipe);
    void (*on_closed)(struct end *end);
    struct end *next;
};

struct rig {
    enum way way;
    uv_loop_t loop; /* WAY_HOST */
    yomo_server *server;
    yomo_wt_client *client;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct end *ends;
    bool client_closed, server_closed;
    bool client_freed; /* by a callback */
    char state_dir[64];
    char base[64];                     /* "https://127.0.0.1:4433" */
    size_t requests, accepted, faults; /* `faults`: what a hook found to be wrong */
    /* What the server does with a request, on its worker; NULL: accept with
     * `server_end` as it is. With the lock not held. */
    void (*on_request)(struct rig *rig, yomo_wt_request *request);
    struct end server_template;
    const yomo_mem *server_mem; /* NULL: the C library's */
    const char *sessions;       /* on one connection, the server's option; NULL: 1 */
};

void rig_open(struct rig *rig, enum way way, const char *workers,
              const char *const *client_options);
void rig_close(
    struct rig *rig); /* the client, then the server; checks that all ended */

struct end *rig_end(struct rig *rig, bool server); /* a new one */
yomo_wt_session_callbacks rig_session_callbacks(void);
yomo_wt_stream_callbacks rig_stream_callbacks(void);

/* A session of the client; `path` may have a query. */
struct end *rig_connect(struct rig *rig, const char *path);
void rig_begin(struct end *end, yomo_wt_request *request); /* with one made by hand */
struct end *rig_accept(struct rig *rig, yomo_wt_request *request, const char *protocol);
struct end *rig_server_end(struct rig *rig,
                           size_t index); /* in the order of accepting */
void rig_pair(struct rig *rig, struct end **client, struct end **server);
struct pipe *rig_stream(struct end *end, bool bidirectional);
struct pipe *rig_try_stream(struct end *end, bool bidirectional); /* NULL: no */
struct pipe *rig_pipe(struct end *end, bool local,
                      size_t index); /* of those, or NULL */

/* Run the client for a moment. */
void rig_turn(struct rig *rig);

#define RIG_MS 20000

uint64_t rig_now_ms(void);

#define UNTIL(rig, condition)                              \
    do {                                                   \
        uint64_t rig_limit = rig_now_ms() + RIG_MS;        \
        for (;;) {                                         \
            pthread_mutex_lock(&(rig)->lock);              \
            bool rig_met = (condition);                    \
            pthread_mutex_unlock(&(rig)->lock);            \
            if (rig_met) {                                 \
                break;                                     \
            }                                              \
            if (rig_now_ms() > rig_limit) {                \
                fail_msg("%s did not happen", #condition); \
            }                                              \
            rig_turn(rig);                                 \
        }                                                  \
    } while (0)

#endif
