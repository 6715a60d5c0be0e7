/* SPDX-License-Identifier: MIT */
/* worker.c
 *
 * A turn: doors and mailbox hand up what came in; at its end, in turn_end, the letters
 * of this worker to itself are opened, those to others are posted, and the outboxes of
 * all peers that have something to send are emptied into their transports. */
#include "server/worker.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "server/admin_http.h"
#include "server/bans_writer.h"
#include "server/claims.h"
#include "server/door.h"
#include "server/handle.h"
#include "server/log.h"
#include "server/site.h"

#define RENEWAL_TIME (3600 * YO_SECOND)
#define CENSUS_TIME YO_SECOND /* how old a number in /metrics may be */
#define COMPLAINTS_MAX 5      /* log lines about bad input in one second */
#define CONN_QUEUE_SIZE                                          \
    131072u /* bytes that a transport takes ahead of the network \
             */

/* --- the turn -------------------------------------------------------------------- */

/* Onto the wire, while the peer's memory is at hand. */
static void flush_peer(struct yo_peer *peer, yo_time now)
{
    yo_list_remove(&peer->dirty);
    yo_peer_flush(peer, now);
    if (!peer->closing) {
        yo_conn_flush(peer->conn, now);
    }
}

void yo_worker_prefetch(const struct yo_peer *peer)
{
    if (peer->conn) {
        yo_conn_prefetch(peer->conn);
    }
}

static void flush_dirty(struct yo_worker *worker, yo_time now)
{
    struct yo_link *all = &worker->dirty;

    while (!yo_list_empty(all)) {
        if (all->next->next != all) {
            yo_worker_prefetch(YO_CONTAINER(all->next->next, struct yo_peer, dirty));
        }
        flush_peer(YO_CONTAINER(all->next, struct yo_peer, dirty), now);
    }
}

bool yo_worker_last_letter(const struct yo_worker *worker)
{
    const struct yo_office *office = &worker->office;
    return worker->ending_turn && yo_list_empty(&office->out[office->self]);
}

void yo_worker_flush_newest(struct yo_worker *worker, yo_time now)
{
    if (!yo_list_empty(&worker->dirty)) {
        flush_peer(YO_CONTAINER(worker->dirty.prev, struct yo_peer, dirty), now);
    }
}

static void take_stats(struct yo_worker *worker)
{
    struct yo_listener_stats stats;

    if (worker->listener) {
        yo_listener_stats(worker->listener, &stats);
        yo_metrics_take(worker->metrics, &stats);
    }
}

/* What the doors refuse themselves never comes as far as a turn's end of ours. */
static void on_census(struct yo_timer *timer, yo_time now)
{
    struct yo_worker *worker = YO_CONTAINER(timer, struct yo_worker, census);

    take_stats(worker);
    yo_home_tick(&worker->home, now);
    yo_clock_look(worker, yo_loop_update(worker->loop));
    if (worker->index == 0 && worker->server && worker->server->bans_writer) {
        yo_metric_set(&worker->metrics->bans_failing,
                      yo_bans_writer_failing(worker->server->bans_writer));
    }
    (void)yo_timer_set(timer, now + CENSUS_TIME);
}

static void count_turn(struct yo_worker *worker, yo_time began)
{
    struct yo_metrics *metrics = worker->metrics;
    uint64_t us = (yo_loop_update(worker->loop) - began) / YO_US;

    yo_metric_add(&metrics->turns, 1);
    yo_metric_add(&metrics->turn_microseconds, us);
    if (us > yo_metric_get(&metrics->turn_max_microseconds)) {
        yo_metric_set(&metrics->turn_max_microseconds, us);
    }
    take_stats(worker);
}

static void turn_end(struct yo_task *task, yo_time now)
{
    struct yo_worker *worker = YO_CONTAINER(task, struct yo_worker, turn_end);

    /* What is sent may end a slow peer, whose leave is a letter again; a peer ends
     * once, so this comes to an end too. */
    worker->ending_turn = true;
    while (worker->office.due || !yo_list_empty(&worker->dirty) ||
           yo_park_full(worker)) {
        yo_office_send(&worker->office, worker, now);
        flush_dirty(worker, now);
        yo_park_trim(worker);
    }
    worker->ending_turn = false;
    count_turn(worker, now);
}

void yo_worker_defer(struct yo_worker *worker)
{
    if (!worker->ending_turn) {
        yo_loop_defer(worker->loop, &worker->turn_end);
    }
}

static void on_due(void *user)
{
    yo_worker_defer(user);
}

/* One that fires too early looks again. */
static void time_batches(struct yo_worker *worker)
{
    yo_time due = yo_time_min(yo_home_changes_deadline(&worker->home),
                              yo_home_leases_deadline(&worker->home));

    if (due != YO_NEVER &&
        (!worker->batches.node.place || due < worker->batches.node.when)) {
        (void)yo_timer_set(&worker->batches, due); /* its room was reserved */
    }
}

static void on_batches(struct yo_timer *timer, yo_time now)
{
    struct yo_worker *worker = YO_CONTAINER(timer, struct yo_worker, batches);

    yo_home_changes_tick(&worker->home, now);
    yo_home_leases_tick(&worker->home, now);
    time_batches(worker);
}

void yo_note_open(struct yo_letter *letter, void *box_user, yo_time now)
{
    struct yo_note *note = YO_CONTAINER(letter, struct yo_note, letter);
    struct yo_worker *worker = box_user;

    if (note->kind <= YO_NOTE_PUBLISH) {
        yo_home_take(&worker->home, note, now);
        time_batches(worker);
    } else {
        yo_local_take(&worker->local, note, now);
    }
}

/* --- packets for another worker -------------------------------------------------- */

struct packet_letter {
    struct yo_letter letter;
    const struct yomo_mem *mem;
    atomic_size_t *weight;
    union yo_address local, remote;
    uint8_t ecn;
    size_t size;
    uint8_t bytes[];
};

static void packet_free(struct yo_letter *opened)
{
    struct packet_letter *letter = YO_CONTAINER(opened, struct packet_letter, letter);

    atomic_fetch_sub_explicit(letter->weight, letter->size, memory_order_relaxed);
    yo_free(letter->mem, letter);
}

static void packet_open(struct yo_letter *opened, void *box_user, yo_time now)
{
    struct packet_letter *letter = YO_CONTAINER(opened, struct packet_letter, letter);
    struct yo_worker *worker = box_user;
    struct yo_packet packet = {.local = &letter->local,
                               .remote = &letter->remote,
                               .ecn = letter->ecn,
                               .bytes = yo_span(letter->bytes, letter->size)};

    if (worker->listener) {
        yo_listener_packet(worker->listener, &packet, now);
    }
    packet_free(opened);
}

/* A packet that is not handed over is a lost packet: QUIC knows what to do. */
static void on_foreign_packet(void *user, uint32_t to, const struct yo_packet *packet,
                              yo_time now)
{
    struct yo_worker *worker = user;
    struct packet_letter *letter;
    struct yo_desk *desk;

    (void)now;
    if (to >= worker->count || yo_desk_full(&worker->office.desks[to])) {
        return;
    }
    desk = &worker->office.desks[to];
    letter = yo_malloc(worker->mem, sizeof(*letter) + packet->bytes.size);
    if (!letter) {
        return;
    }
    letter->letter.open = packet_open;
    letter->letter.discard = packet_free;
    letter->mem = worker->mem;
    letter->weight = &desk->weight;
    letter->local = *packet->local;
    letter->remote = *packet->remote;
    letter->ecn = packet->ecn;
    letter->size = packet->bytes.size;
    memcpy(letter->bytes, packet->bytes.data, packet->bytes.size);
    atomic_fetch_add_explicit(&desk->weight, letter->size, memory_order_relaxed);
    yo_metric_add(&worker->metrics->forwarded_packets, 1);
    yo_mailbox_post(desk->box, &letter->letter);
}

/* --- life ------------------------------------------------------------------------ */

static void on_request(void *user, struct yo_incoming *incoming,
                       const struct yo_request *request, yo_time now)
{
    yo_door_knock(user, incoming, request, now);
}

static void on_gone(void *user, struct yo_incoming *incoming, yo_time now)
{
    (void)now;
    if (!yo_incoming_tell_gone(incoming)) {
        yo_door_gone(user, incoming);
    }
}

static void on_http(void *user, struct yo_exchange *exchange, yo_time now)
{
    yo_site_answer(user, exchange, now);
}

static void on_fault(void *user, const char *address, const char *text, yo_time now)
{
    YO_COMPLAIN((struct yo_worker *)user, YO_COMPLAINT_CONNECTION, now,
                YO_LOG_ADDRESS(yo_span_of(address)), "%s", text);
}

static const struct yo_listener_events listener_events = {
    .on_request = on_request,
    .on_gone = on_gone,
    .on_http = on_http,
    .on_fault = on_fault,
    .on_foreign_packet = on_foreign_packet,
};

/* A server that runs for weeks must not end up with an old certificate. */
static void on_renewal(struct yo_timer *timer, yo_time now)
{
    struct yo_worker *worker = YO_CONTAINER(timer, struct yo_worker, renewal);

    yo_server_renew(worker->server);
    (void)yo_timer_set(timer, now + RENEWAL_TIME);
}

static uint32_t u32(uint64_t value)
{
    return value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

/* A client that died without a word must be gone after `silence-timeout`, over QUIC
 * too, where PING and idle timeout are all there is: the last packet, then the time
 * until a PING, then the idle timeout, which that PING begins anew (RFC 9000 10.1). So
 * the two together must not be more. */
static void read_liveness(const yomo_options *options, struct yo_listener_options *out)
{
    uint64_t silence = yo_options_ms(options, "silence-timeout");
    uint64_t keepalive = yo_options_ms(options, "keep-alive");
    uint64_t idle = yo_options_ms(options, "idle-timeout");

    out->silence_ms = silence;
    out->keepalive_ms = keepalive < silence / 3 ? keepalive : silence / 3;
    out->idle_ms =
        idle < silence - out->keepalive_ms ? idle : silence - out->keepalive_ms;
}

static int open_listener(struct yo_worker *worker, const uint8_t *secret)
{
    const yomo_options *o = worker->config->options;
    struct yo_listener_options options = {
        .worker = worker->index,
        .workers = worker->count,
        .secret = secret,
        .message_size_max = worker->config->limits.message_size,
        .queue_size_max = CONN_QUEUE_SIZE,
        .handshake_ms = yo_options_ms(o, "handshake-timeout"),
        .handshakes_max = u32(yo_options_number(o, "handshakes-max")),
        .crowd = worker->server->crowd,
        .trusted_proxies = {worker->config->proxies, worker->config->proxy_count},
        .congestion = (enum yo_congestion)yo_options_choice(o, "congestion-control"),
        .key_update_packets = yo_options_number(o, "key-update-packets"),
        .webtransport_sessions = u32(yo_options_number(o, "webtransport-sessions")),
        .qlog_dir = yo_options_text(o, "qlog-dir"),
        .allow_host_any = !worker->config->loopback,
    };

    read_liveness(o, &options);
    return yo_listener_create(&worker->listener, worker->loop, &options,
                              &listener_events, worker);
}

static void init(struct yo_worker *worker, const struct yo_worker_options *options)
{
    worker->server = options->server;
    worker->own = *options->config;
    worker->config = &worker->own;
    worker->mem = options->config->mem;
    worker->log = options->config->log;
    worker->index = options->index;
    worker->count = options->count;
    worker->epoch = options->epoch;
    worker->seed = options->seed;
    worker->metrics = options->metrics;
    worker->desk = &options->desks[options->index];
    yo_list_init(&worker->peers);
    yo_list_init(&worker->dirty);
    yo_list_init(&worker->due);
    yo_park_init(&worker->park);
    yo_list_init(&worker->arriving);
    yo_bygones_init(&worker->bygones, worker->mem);
    yo_list_init(&worker->waiting);
    yo_list_init(&worker->echoes);
    yo_list_init(&worker->claimed);
    yo_list_init(&worker->asks);
    yo_quota_init(&worker->admin_quota, worker->config->admin_rate,
                  2 * worker->config->admin_rate);
    yo_map_init(&worker->sessions, worker->mem);
    yo_effects_init(&worker->effects, worker->mem);
    yo_buf_init(&worker->slot, worker->mem);
    yo_task_init(&worker->turn_end, turn_end);
    yo_home_init(&worker->home, worker->mem, worker->config, &worker->office,
                 worker->metrics);
    worker->home.store = options->server ? options->server->store : NULL;
    worker->home.apps = options->server ? options->server->apps : NULL;
    worker->home.events = options->server ? options->server->events : NULL;
    yo_local_init(&worker->local, worker);
}

int yo_worker_create(struct yo_worker **out, const struct yo_worker_options *options)
{
    const struct yomo_mem *mem = options->config->mem;
    struct yo_worker *worker = yo_calloc(mem, 1, sizeof(*worker));
    int rv;

    if (!worker) {
        return YOMO_ERR_NOMEM;
    }
    init(worker, options);
    rv = yo_office_init(&worker->office, mem, options->index, options->count,
                        options->desks, on_due, worker);
    rv = rv == YOMO_OK ? yo_loop_create(&worker->loop, mem, NULL, worker->log) : rv;
    if (rv != YOMO_OK) {
        yo_worker_free(worker);
        return rv;
    }
    yo_timer_init(&worker->renewal, worker->loop, on_renewal);
    yo_timer_init(&worker->census, worker->loop, on_census);
    yo_timer_init(&worker->batches, worker->loop, on_batches);
    yo_clock_look(worker, yo_loop_now(worker->loop));
    rv = yo_worker_ready(worker);
    rv = rv == YOMO_OK ? yo_loop_reserve_timer(worker->loop) : rv; /* `batches` */
    rv = rv == YOMO_OK
             ? yo_timer_set(&worker->census, yo_loop_now(worker->loop) + CENSUS_TIME)
             : rv;
    if (rv == YOMO_OK && worker->index == 0 &&
        !yo_options_text(worker->config->options, "tls-cert")) {
        rv = yo_timer_set(&worker->renewal, yo_loop_now(worker->loop) + RENEWAL_TIME);
    }
    rv = rv == YOMO_OK ? yo_mailbox_open(&worker->desk->box, worker->loop, worker) : rv;
    rv = rv == YOMO_OK
             ? yo_house_init(&worker->house, mem, &yo_claims_house_ops, worker)
             : rv;
    if (rv == YOMO_OK) {
        yo_house_open(&worker->house, worker->loop, worker->desk->box);
    }
    rv = rv == YOMO_OK ? open_listener(worker, options->secret) : rv;
    if (rv == YOMO_OK && worker->config->web_root) {
        rv = yo_files_open(&worker->files, mem, worker->config->web_root, options->why);
    }
    if (rv != YOMO_OK) {
        yo_worker_abandon(worker);
        return rv;
    }
    *out = worker;
    return YOMO_OK;
}

void yo_worker_run(struct yo_worker *worker)
{
    yo_loop_run(worker->loop);
    worker->loop = NULL;
}

void yo_worker_free(struct yo_worker *worker)
{
    if (!worker) {
        return;
    }
    assert(!worker->loop);
    yo_admin_forget(worker);
    yo_worker_drop_config(worker);
    yo_files_close(worker->files);
    yo_house_finish(&worker->house);
    yo_home_finish(&worker->home);
    yo_local_finish(&worker->local);
    yo_map_finish(&worker->sessions);
    yo_bygones_finish(&worker->bygones, worker->mem);
    yo_effects_finish(&worker->effects);
    yo_buf_finish(&worker->slot);
    yo_office_finish(&worker->office, worker->mem);
    yo_free(worker->mem, worker);
}

/* --- small things ---------------------------------------------------------------- */

struct yo_peer *yo_worker_find_any(struct yo_worker *worker, uint64_t session)
{
    struct yo_map_node *node =
        yo_map_get(&worker->sessions, yo_span(&session, sizeof(session)));

    return node ? YO_CONTAINER(node, struct yo_peer, by_session) : NULL;
}

struct yo_peer *yo_worker_find(struct yo_worker *worker, uint64_t session)
{
    struct yo_peer *peer = yo_worker_find_any(worker, session);

    return peer && !peer->closing ? peer : NULL;
}

uint32_t yo_worker_home(const struct yo_worker *worker, struct yo_span room_key)
{
    return (uint32_t)(yo_siphash(worker->seed, room_key) % worker->count);
}

bool yo_worker_may_complain(struct yo_worker *worker, enum yo_complaint kind,
                            yo_time now)
{
    static const char *const about[YO_COMPLAINTS] = {"refused messages",
                                                     "refused or closed connections"};

    if (now - worker->complaints[kind].since >= YO_SECOND) {
        if (worker->complaints[kind].count > COMPLAINTS_MAX) {
            YO_LOG(worker->log, YOMO_LOG_WARN, "server", "%u more lines about %s",
                   worker->complaints[kind].count - COMPLAINTS_MAX, about[kind]);
        }
        worker->complaints[kind].since = now;
        worker->complaints[kind].count = 0;
    }
    return worker->complaints[kind].count++ < COMPLAINTS_MAX;
}
