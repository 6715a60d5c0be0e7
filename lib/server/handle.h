/* SPDX-License-Identifier: MIT */
/* handle.h - what is behind a yomo_server: the workers, and what they share.
 *
 * The handle is called from any thread. `lock` guards its state and is never held while
 * a hook runs or a letter is written; everything else either does not change after
 * yomo_server_listen or belongs to one worker. */
#ifndef YO_SERVER_HANDLE_H
#define YO_SERVER_HANDLE_H

#include <pthread.h>
#include <yomo/server.h>

#include "server/apps.h"
#include "server/bans.h"
#include "server/config.h"
#include "server/events.h"
#include "server/history/store.h"
#include "server/letters.h"
#include "server/metrics.h"
#include "server/ports.h"
#include "server/secret.h"
#include "server/webhooks/webhooks.h"
#include "server/worker.h"
#include "transport/tls/context.h"

enum yo_server_state {
    YO_SERVER_NEW,
    YO_SERVER_FAILED, /* listen did not work: free only */
    YO_SERVER_SERVING,
    YO_SERVER_DRAINING,
    YO_SERVER_CLOSING,
    YO_SERVER_ENDED /* the threads are done, on_closed has returned */
};

/* An order to one worker, made in advance so that it cannot fail. */
struct yo_order {
    struct yo_letter letter;
    uint64_t grace_ms;
};

struct yo_bans_writer;

struct yomo_server {
    struct yo_config config; /* the same since yomo_server_create */
    struct yomo_mem mem;     /* the allocator, beyond the options */
    void *user;
    uint8_t secret[YO_SECRET_SIZE];
    uint64_t epoch, seed[2];

    pthread_mutex_t lock;
    pthread_cond_t ended; /* state became ENDED */
    enum yo_server_state state;
    unsigned refs;    /* the handle, each thread, each auth and carrier that is out */
    uint32_t running; /* threads that have not ended */
    uint64_t version; /* of the host's last LATEST message */
    uint32_t next_worker; /* for the next carrier */
    struct yo_tls_server *tls;
    struct yo_auth_keys *token_keys; /* NULL: none */
    struct yo_buf admin_secret;      /* of operators; empty: none */
    struct yo_buf error; /* a sentence, NUL behind it */

    struct yo_link claims; /* of struct yo_claim: the same once it listens */

    uint32_t worker_count;
    struct yo_worker **workers;
    pthread_t *threads;
    struct yo_desk *desks;
    struct yo_metrics *metrics;
    struct yo_order *drains, *closes;
    struct yo_webhooks *webhooks; /* NULL: none */
    struct yo_event_door event_door;
    const struct yo_event_door *events; /* NULL: nobody wants to hear */
    yomo_options *applied; /* under `lock`: those of the last reload; NULL: config's */
    struct yo_store *store; /* NULL: histories are in memory only */
    struct yo_crowd *crowd; /* connections of all workers */
    struct yo_bans *bans;   /* has a lock of its own */
    struct yo_apps *apps;   /* and so has this */
    pthread_mutex_t bans_file; /* held while it is written */
    struct yo_bans_writer *bans_writer; /* NULL: written by whoever changes something */
    struct yo_ports ports;
    struct yo_buf state_dir; /* NUL behind it; empty: none */
    struct yo_buf listening; /* the JSON line, NUL behind it */
    char certificate[65];    /* SHA-256 in hexadecimal, of `tls` */
};

/* Thread: any. */
struct yomo_server *yo_server_ref(struct yomo_server *server);
void yo_server_unref(struct yomo_server *server);

/* Read certificate and key (credentials.c): into `*tls` and its hash. YOMO_ERR_FILE,
 * YOMO_ERR_TLS_SETUP, YOMO_ERR_NOMEM, with a sentence in `why`. Thread: any. */
int yo_server_read_tls(struct yomo_server *server, struct yo_tls_server **tls,
                       char hash[65], struct yo_buf *why);

/* State directory and secret, before the first yo_server_read_tls (credentials.c). */
int yo_server_read_secret(struct yomo_server *server, struct yo_buf *why);
/* The folder for qlog traces, if they are asked for. YOMO_ERR_FILE. */
int yo_server_ready_qlog(const struct yomo_server *server, struct yo_buf *why);

/* What the files say that the options name: token keys, secrets, certificate
 * (reload.c). Read, with a sentence in `why` of what is wrong (YOMO_ERR_FILE,
 * YOMO_ERR_TLS_SETUP, YOMO_ERR_NOMEM); then used, which cannot fail, or given back.
 * Thread: any. */
struct yo_fresh;
int yo_fresh_read(struct yomo_server *server, struct yo_fresh **out,
                  struct yo_buf *why);
void yo_fresh_use(struct yo_fresh *fresh);  /* frees it */
void yo_fresh_free(struct yo_fresh *fresh); /* accepts NULL */

/* Say so, in the log and in server->error (reload_options.c). */
void yo_server_not_reloaded(struct yomo_server *server, int error, struct yo_buf *why);

/* The application that a public key opens now, a copy; NULL with YOMO_OK: none.
 * YOMO_ERR_NOMEM. Thread: any (reload_options.c). */
int yo_server_app(struct yomo_server *server, struct yo_span public_key, char **app);

/* The development certificate may be due to be renewed (reload.c). Thread: any. */
void yo_server_renew(struct yomo_server *server);

/* Tell a worker to close. Once for each. Thread: any. */
void yo_order_close(struct yomo_server *server, uint32_t index);

/* Append Prometheus text. YOMO_ERR_NOMEM. Thread: any. */
int yo_server_print_metrics(struct yomo_server *server, struct yo_buf *out);

/* Is `id` at `address` kept away from a room (absent: from the application)? (admin.c).
 * Thread: any. */
bool yo_server_banned(struct yomo_server *server, const char *app, struct yo_span room,
                      const char *id, const char *address);

/* The bans of the file that the options name, if any (bans_file.c). YOMO_ERR_FILE with a
 * sentence in `why`, YOMO_ERR_NOMEM. */
int yo_server_read_bans(struct yomo_server *server, struct yo_buf *why);

/* Write them there. YOMO_ERR_FILE, which is logged; YOMO_ERR_NOMEM. Thread: any. */
int yo_server_write_bans(struct yomo_server *server);

/* What the options say about applications counts (reload_options.c). YOMO_ERR_OPTION
 * with a sentence in `why`, YOMO_ERR_NOMEM. */
int yo_server_read_apps(struct yomo_server *server, struct yo_buf *why);

/* Where the home of a room receives. Thread: any, once it listens. */
struct yo_desk *yo_server_home_desk(struct yomo_server *server, struct yo_span room_key);

/* How many connections all workers have. Thread: any. */
uint64_t yo_server_connections(const struct yomo_server *server);

#endif
