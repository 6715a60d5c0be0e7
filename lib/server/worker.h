/* SPDX-License-Identifier: MIT */
/* worker.h - one thread of a server: a loop, doors, the peers that came in by them, and
 * the rooms that live here.
 *
 * Made by the server's caller before the thread runs, then touched by its own thread
 * only; others write letters to its desk and read its metrics. */
#ifndef YO_SERVER_WORKER_H
#define YO_SERVER_WORKER_H

#include "loop/loop.h"
#include "server/bygone.h"
#include "server/config.h"
#include "server/home.h"
#include "server/letters.h"
#include "server/local.h"
#include "server/metrics.h"
#include "server/park.h"
#include "server/peer.h"
#include "session/effects.h"
#include "session/quota.h"
#include "sessions/house.h"
#include "transport/http/files.h"
#include "transport/listen.h"

enum yo_worker_state { YO_WORKER_SERVING, YO_WORKER_DRAINING, YO_WORKER_CLOSING };

enum yo_complaint { YO_COMPLAINT_MESSAGE, YO_COMPLAINT_CONNECTION, YO_COMPLAINTS };

struct yo_worker {
    yomo_server *server;
    const struct yo_config *config; /* `own` */
    struct yo_config own; /* the server's, but for what was changed since it runs */
    const struct yomo_mem *mem;
    const struct yo_log *log;
    uint32_t index, count;
    uint64_t epoch;       /* of this server process, told in hello */
    const uint64_t *seed; /* [2]: which worker is a room's home */
    struct yo_metrics *metrics;

    enum yo_worker_state state;
    struct yo_loop *loop;
    struct yo_desk *desk;
    struct yo_office office;
    struct yo_listener *listener;
    struct yo_files *files; /* pages; NULL: none */
    struct yo_home home;
    struct yo_local local;
    struct yo_link peers, dirty;
    uint64_t numbered;         /* connections so far */
    struct yo_link due;        /* peers that a drain has not closed yet, by `end_at` */
    struct yo_map sessions;    /* peers by session_id */
    struct yo_park park;       /* those whose connection broke */
    struct yo_bygones bygones; /* ... and whose time was over */
    struct yo_link arriving;   /* peers whose session is here, and not yet all seats */
    struct yo_link waiting;    /* of struct yomo_auth: asked, not answered */
    struct yo_link echoes;     /* of struct yo_echo (echo.h) */
    struct yo_link asks;       /* of operators, not answered (admin_http.c) */
    struct yo_quota admin_quota;
    struct yo_link claimed;    /* requests that the host has not answered (claims.h) */
    struct yo_house house;     /* sessions of the host's own */
    struct yo_effects effects; /* one call's at a time */
    struct yo_buf slot;        /* the name of one, while it is needed */
    struct yo_task turn_end;   /* letters, then what is to be sent */
    bool ending_turn;
    struct yo_task finish;   /* nobody is left: close the doors and the loop */
    struct yo_timer timer;   /* the drain's and the close's next step */
    struct yo_timer renewal; /* of the development certificate, worker 0's */
    struct yo_timer census;  /* what the doors counted goes to the metrics */
    struct yo_timer batches; /* changes in rooms of this home that wait */
    int64_t wall_offset;     /* of the wall clock from the loop's, ms (clock.c) */
    bool wall_known;
    yo_time drain_until;
    struct {
        yo_time since;  /* when the second began in which ... */
        uint32_t count; /* ... the log had so many lines */
    } complaints[YO_COMPLAINTS];
    char certificate[65]; /* SHA-256 in hexadecimal, for pages that pin it */
};

struct yo_worker_options {
    yomo_server *server;
    const struct yo_config *config;
    uint32_t index, count;
    uint64_t epoch;
    const uint64_t *seed;
    const uint8_t *secret; /* yo_listener_options */
    struct yo_desk *desks;
    struct yo_metrics *metrics;
    struct yo_buf *why; /* gets a sentence about what failed */
};

/* A worker that does not run yet; its desk gets its mailbox. YOMO_ERR_NOMEM,
 * YOMO_ERR_SYSTEM, YOMO_ERR_FILE. */
int yo_worker_create(struct yo_worker **out, const struct yo_worker_options *options);

/* Its thread: until it is closed. The worker is then gone but for yo_worker_free. */
void yo_worker_run(struct yo_worker *worker);
void yo_worker_free(struct yo_worker *worker);

/* Thread, for all below: the worker's. */

/* Something is to be done at the end of this turn. */
void yo_worker_defer(struct yo_worker *worker);

/* At the end of the turn: is the letter that is open now the last one, so that nothing
 * more will be said to its receivers? */
bool yo_worker_last_letter(const struct yo_worker *worker);

/* Send now what waits for the peer that was marked last (worker->dirty). */
void yo_worker_flush_newest(struct yo_worker *worker, yo_time now);

/* It will be sent something in a moment (base/prefetch.h). */
void yo_worker_prefetch(const struct yo_peer *peer);

/* Take what may change while it runs from `config`, and its options
 * (reload_options.c). */
void yo_worker_take_config(struct yo_worker *worker, struct yo_config *config);
void yo_worker_drop_config(struct yo_worker *worker); /* the end of it */

/* One that stands; `any`: also one that is ending, or parked. */
struct yo_peer *yo_worker_find(struct yo_worker *worker, uint64_t session);
struct yo_peer *yo_worker_find_any(struct yo_worker *worker, uint64_t session);
uint32_t yo_worker_home(const struct yo_worker *worker, struct yo_span room_key);

/* One log line about what a client did, a few of each kind for each second: who sends
 * rubbish does not hide that somebody is put out. `fields` (log.h) is an expression
 * that is looked at only when the line is written. */
#define YO_COMPLAIN(worker, kind, now, fields, ...)                                   \
    do {                                                                              \
        if (yo_worker_may_complain(worker, kind, now)) {                              \
            YO_LOG_WITH((worker)->log, YOMO_LOG_WARN, "server", fields, __VA_ARGS__); \
        }                                                                             \
    } while (0)
bool yo_worker_may_complain(struct yo_worker *worker, enum yo_complaint kind,
                            yo_time now);

/* Has the wall clock been set since the last look? (clock.c). `now` is fresh. */
void yo_clock_look(struct yo_worker *worker, yo_time now);

/* The end of it (drain.c). */

/* Before the thread runs: what can fail about ending. YOMO_ERR_NOMEM. */
int yo_worker_ready(struct yo_worker *worker);

/* It could not be made, or will not be run: undo all, also the loop. Frees it.
 * Thread: the one that made it. */
void yo_worker_abandon(struct yo_worker *worker);

/* No new connections; tell those that stand to come back, and close them in paces. */
void yo_worker_drain(struct yo_worker *worker, uint64_t grace_ms, yo_time now);

/* Close everything, now. */
void yo_worker_close(struct yo_worker *worker, yo_time now);

/* A peer, an echo or a waiting request has gone: is the worker done? */
void yo_worker_gone(struct yo_worker *worker);

#endif
