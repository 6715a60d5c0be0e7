/* SPDX-License-Identifier: MIT */
/* start.c
 *
 * The happy path: yomo_server_listen takes the ports, reads secret and certificate,
 * makes every worker with its sockets on the caller's thread, and only then starts the
 * threads, so that what can fail fails here and the workers have nothing left to fail
 * with. The last thread to end calls on_closed.
 *
 * Possible failures: anything at all. What was made is undone in the same call; the
 * handle then only remembers the sentence. */
#include <inttypes.h>
#include <signal.h>
#include <unistd.h>

#include "base/check.h"
#include "server/admin_auth.h"
#include "server/bans_writer.h"
#include "server/tokens.h"
#include "wire/json.h"

static int make_arrays(struct yomo_server *server)
{
    const struct yomo_mem *mem = server->config.mem;
    uint32_t count = server->config.workers;

    server->workers = yo_calloc(mem, count, sizeof(struct yo_worker *));
    server->threads = yo_calloc(mem, count, sizeof(*server->threads));
    server->desks = yo_calloc(mem, count, sizeof(*server->desks));
    server->metrics = yo_calloc(mem, count, sizeof(*server->metrics));
    server->drains = yo_calloc(mem, count, sizeof(*server->drains));
    server->closes = yo_calloc(mem, count, sizeof(*server->closes));
    if (!server->workers || !server->threads || !server->desks || !server->metrics ||
        !server->drains || !server->closes) {
        return YOMO_ERR_NOMEM;
    }
    server->worker_count = count;
    return YOMO_OK;
}

static int add_door(struct yo_listener *listener, enum yo_door door, int fd,
                    bool admin_tls)
{
    switch (door) {
    case YO_DOOR_UDP:
        return yo_listener_add_udp(listener, fd);
    case YO_DOOR_TLS:
        return yo_listener_add_tls(listener, fd);
    case YO_DOOR_PLAIN:
        return yo_listener_add_plain(listener, fd);
    default:
        return yo_listener_add_admin(listener, fd, admin_tls);
    }
}

static int open_doors(struct yomo_server *server, struct yo_worker *worker,
                      struct yo_buf *why)
{
    int fds[YO_PLACES_MAX][YO_DOORS];
    int rv = yo_ports_open(&server->ports, server->worker_count == 1, fds, why);

    if (rv != YOMO_OK) {
        return rv;
    }
    yo_listener_set_tls(worker->listener, server->tls);
    memcpy(worker->certificate, server->certificate, sizeof(worker->certificate));
    for (size_t i = 0; i < server->ports.count; i++) {
        for (int door = 0; door < YO_DOORS; door++) {
            if (fds[i][door] < 0) {
                continue;
            }
            if (rv == YOMO_OK) {
                rv = add_door(worker->listener, (enum yo_door)door, fds[i][door],
                              server->config.admin_tls);
            } else {
                (void)close(fds[i][door]);
            }
        }
    }
    return rv;
}

static int make_crowd(struct yomo_server *server)
{
    const yomo_options *o = server->config.options;

    return yo_crowd_create(
        &server->crowd, server->config.mem,
        (uint32_t)yo_options_number(o, "connections-max"),
        (uint32_t)yo_options_number(o, "connections-per-address-max"));
}

static int make_workers(struct yomo_server *server, struct yo_buf *why)
{
    struct yo_worker_options options = {
        .server = server,
        .config = &server->config,
        .count = server->worker_count,
        .epoch = server->epoch,
        .seed = server->seed,
        .secret = server->secret,
        .desks = server->desks,
        .why = why,
    };
    int rv = make_crowd(server);

    if (server->worker_count > 1) {
        yo_ports_share(&server->ports); /* taken alone, shared from here on */
    }
    for (uint32_t i = 0; i < server->worker_count && rv == YOMO_OK; i++) {
        options.index = i;
        options.metrics = &server->metrics[i];
        rv = yo_worker_create(&server->workers[i], &options);
        if (rv == YOMO_OK) {
            rv = open_doors(server, server->workers[i], why);
        }
    }
    return rv;
}

static int make_store(struct yomo_server *server, struct yo_buf *why)
{
    const struct yo_config *config = &server->config;
    const struct yo_store_bounds bounds = {.messages = config->shown.messages,
                                           .age_ms = config->shown.age / YO_MS};
    struct yo_backend *backend;
    int rv = yo_backend_create(&backend, config->mem,
                               yo_options_text(config->options, "history-store"),
                               &bounds, why);

    return rv == YOMO_OK && backend
               ? yo_store_create(&server->store, config->mem, config->log, backend)
               : rv;
}

/* The address in "192.0.2.1:0" or "[::1]:0". */
static struct yo_span host_of(const char *text)
{
    struct yo_span host = yo_span(text, strlen(text) - strlen(":0"));

    return text[0] == '[' ? yo_span(text + 1, host.size - 2) : host;
}

static int write_listening(struct yomo_server *server)
{
    struct yo_buf *out = &server->listening;
    bool first = true;

    (void)yo_buf_printf(out, "{\"port\":%u,\"http_port\":%u,\"addresses\":[",
                        server->ports.port, server->ports.http_port);
    for (size_t i = 0; i < server->ports.count; i++) {
        union yo_address address = server->ports.places[i].address;
        char text[64];
        if (!server->ports.places[i].main) {
            continue;
        }
        yo_address_print(&address, text);
        (void)yo_buf_append_text(out, first ? "" : ",");
        (void)yo_json_put_string(out, host_of(text));
        first = false;
    }
    (void)yo_buf_printf(out,
                        "],\"certificate_sha256\":\"%s\",\"development\":%s,"
                        "\"workers\":%" PRIu32 ",\"pid\":%ld,\"admin_port\":%u}",
                        server->certificate,
                        server->config.development ? "true" : "false",
                        server->worker_count, (long)getpid(), server->ports.admin_port);
    (void)yo_buf_append_byte(out, 0);
    return out->failed ? YOMO_ERR_NOMEM : YOMO_OK;
}

static int prepare(struct yomo_server *server, struct yo_buf *why)
{
    struct yo_buf missing;
    int rv;

    yo_buf_init(&missing, server->config.mem);
    rv = yo_config_read(&server->config, why);
    rv = rv == YOMO_OK ? yo_ports_take(&server->ports, &server->config, &missing, why)
                       : rv;
    if (rv == YOMO_OK && missing.size > 0) {
        YO_LOG(server->config.log, YOMO_LOG_WARN, "server",
               "this machine has no address %.*s: not listening there",
               (int)missing.size, (const char *)missing.data);
    }
    yo_buf_finish(&missing);
    rv = rv == YOMO_OK ? yo_server_read_secret(server, why) : rv;
    rv = rv == YOMO_OK ? yo_server_ready_qlog(server, why) : rv;
    rv = rv == YOMO_OK
             ? yo_server_read_tls(server, &server->tls, server->certificate, why)
             : rv;
    rv = rv == YOMO_OK ? yo_server_read_tokens(server, why) : rv;
    rv = rv == YOMO_OK ? yo_admin_read_secret(server, why) : rv;
    rv = rv == YOMO_OK ? yo_server_read_bans(server, why) : rv;
    rv = rv == YOMO_OK ? yo_server_read_apps(server, why) : rv;
    if (rv == YOMO_OK && yo_options_text(server->config.options, "bans-file")) {
        rv = yo_bans_writer_create(&server->bans_writer, server);
    }
    rv = rv == YOMO_OK ? make_arrays(server) : rv;
    rv = rv == YOMO_OK ? make_store(server, why) : rv;
    rv = rv == YOMO_OK ? yo_server_open_webhooks(server, why) : rv;
    rv = rv == YOMO_OK ? make_workers(server, why) : rv;
    return rv == YOMO_OK ? write_listening(server) : rv;
}

/* --- threads --------------------------------------------------------------------- */

static void last_ended(struct yomo_server *server)
{
    const struct yo_config *config = &server->config;
    bool served;

    pthread_mutex_lock(&server->lock);
    served = server->state != YO_SERVER_FAILED;
    pthread_mutex_unlock(&server->lock);
    if (!served) { /* yomo_server_listen gives up, and says so itself */
        return;
    }
    yo_bans_writer_close(server->bans_writer); /* whoever waits is told */
    YO_LOG(config->log, YOMO_LOG_INFO, "server", "closed");
    if (config->hooks.on_closed) {
        config->hooks.on_closed(config->hooks_user, server);
    }
    pthread_mutex_lock(&server->lock);
    server->state = YO_SERVER_ENDED;
    pthread_cond_broadcast(&server->ended);
    pthread_mutex_unlock(&server->lock);
}

static void *run_thread(void *argument)
{
    struct yo_worker *worker = argument;
    struct yomo_server *server = worker->server;
    bool last;

    yo_worker_run(worker);
    pthread_mutex_lock(&server->lock);
    last = --server->running == 0;
    pthread_mutex_unlock(&server->lock);
    if (last) {
        last_ended(server);
    }
    yo_server_unref(server);
    return NULL;
}

/* All workers' threads, with every signal blocked: those are for the host's own. The
 * lock is held, so that a hook that wants it waits until `threads` is complete. On
 * failure those that run are ended, and those that do not are the caller's. */
static int start_threads(struct yomo_server *server)
{
    sigset_t all, old;
    uint32_t started = 0;
    int error = 0;

    sigfillset(&all);
    pthread_mutex_lock(&server->lock);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    while (started < server->worker_count && error == 0) {
        server->running++;
        server->refs++;
        error = pthread_create(&server->threads[started], NULL, run_thread,
                               server->workers[started]);
        if (error == 0) {
            started++;
        } else {
            server->running--;
            server->refs--;
        }
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (error == 0) {
        server->state = YO_SERVER_SERVING;
    }
    pthread_mutex_unlock(&server->lock);
    if (error == 0) {
        return YOMO_OK;
    }
    for (uint32_t i = 0; i < started; i++) {
        yo_order_close(server, i);
    }
    for (uint32_t i = 0; i < started; i++) {
        pthread_join(server->threads[i], NULL);
        yo_worker_free(server->workers[i]);
        server->workers[i] = NULL;
    }
    return YOMO_ERR_SYSTEM;
}

int32_t yomo_server_listen(yomo_server *server)
{
    struct yo_buf why;
    int rv;

    YO_REQUIRE(server);
    pthread_mutex_lock(&server->lock);
    rv = server->state == YO_SERVER_NEW ? YOMO_OK : YOMO_ERR_STATE;
    if (rv == YOMO_OK) {
        server->state = YO_SERVER_FAILED; /* until it has worked */
    }
    pthread_mutex_unlock(&server->lock);
    if (rv != YOMO_OK) {
        return rv;
    }
    yo_buf_init(&why, server->config.mem);
    rv = prepare(server, &why);
    rv = rv == YOMO_OK ? start_threads(server) : rv;
    if (rv != YOMO_OK) {
        for (uint32_t i = 0; i < server->worker_count; i++) {
            if (server->workers[i]) {
                yo_worker_abandon(server->workers[i]);
                server->workers[i] = NULL;
            }
        }
        yo_ports_release(&server->ports);
        if (why.size == 0) {
            (void)yo_buf_append_text(&why, yomo_strerror(rv));
        }
        (void)yo_buf_append_byte(&why, 0);
        yo_buf_swap(&server->error, &why);
    } else {
        YO_LOG(server->config.log, YOMO_LOG_INFO, "server",
               "on port %u, plain HTTP on %u (0: none), %u workers", server->ports.port,
               server->ports.http_port, server->worker_count);
    }
    yo_buf_finish(&why);
    return rv;
}
