/* SPDX-License-Identifier: MIT */
/* peer.c
 *
 * The happy path: a request is let in (door.c), the peer gets its connection and its
 * session says hello; messages go up into the session, effects come out and are carried
 * out in their order; the connection ends, the peer leaves its rooms and is freed.
 *
 * Possible failures end this peer and nobody else: a full outbox (slow), no memory, a
 * peer that breaks the protocol. `closing` is then set, nothing is taken from it or
 * queued for it any more, and the memory goes with on_closed. */
#include "server/peer.h"

#include "base/check.h"
#include "base/rand.h"
#include "server/handle.h"
#include "server/log.h"
#include "server/move.h"
#include "server/order.h"
#include "server/requests.h"
#include "server/resume.h"
#include "server/worker.h"

static void on_timer(struct yo_timer *timer, yo_time now);

struct yo_peer *yo_peer_create(struct yo_worker *worker,
                               const struct yo_admission *admission,
                               enum yomo_transport_kind transport)
{
    const struct yomo_mem *mem = worker->mem;
    struct yo_peer *peer = yo_calloc(mem, 1, sizeof(*peer));

    if (!peer) {
        return NULL;
    }
    peer->worker = worker;
    peer->transport = transport;
    peer->proven = admission->proven;
    peer->presencejs = !admission->extension;
    peer->datagrams_only = peer->presencejs && transport == YOMO_TRANSPORT_WEBTRANSPORT;
    peer->session_id = yo_rand_session();
    peer->number = worker->numbered++ * worker->count + worker->index + 1;
    yo_rand_bytes(peer->secret, sizeof(peer->secret));
    peer->id = yo_strndup(mem, admission->id, strlen(admission->id));
    peer->app = yo_strndup(mem, admission->app, strlen(admission->app));
    yo_list_init(&peer->in_worker);
    yo_list_init(&peer->dirty);
    yo_list_init(&peer->seats);
    yo_list_init(&peer->paced);
    yo_list_init(&peer->in_park);
    yo_list_init(&peer->claims);
    yo_list_init(&peer->arrived);
    yo_list_init(&peer->in_arriving);
    yo_buf_init(&peer->ending, mem);
    yo_outbox_init(&peer->outbox, mem, &worker->config->outbox);
    yo_timer_init(&peer->timer, worker->loop, on_timer);
    if (!peer->id || !peer->app || yo_loop_reserve_timer(worker->loop) != YOMO_OK) {
        yo_outbox_finish(&peer->outbox);
        yo_free(mem, peer->id);
        yo_free(mem, peer->app);
        yo_free(mem, peer);
        return NULL;
    }
    if (yo_map_put(&worker->sessions, &peer->by_session,
                   yo_span(&peer->session_id, sizeof(peer->session_id))) != YOMO_OK) {
        peer->session_id = 0; /* it is not in the map */
        yo_peer_destroy(peer);
        return NULL;
    }
    yo_list_push_back(&worker->peers, &peer->in_worker);
    peer->grants = admission->grants;
    peer->data_is_hosts = admission->data != NULL;
    peer->data = admission->data ? yo_blob_ref(admission->data) : NULL;
    if (yo_peer_take_data(peer) != YOMO_OK) {
        peer->grants = NULL; /* still the caller's */
        yo_peer_destroy(peer);
        return NULL;
    }
    peer->expiry = YO_NEVER;
    peer->entry = admission->entry;
    peer->in_entry = true;
    return peer;
}

static yo_metric *gauge_of(const struct yo_peer *peer)
{
    struct yo_metrics *metrics = peer->worker->metrics;

    return peer->transport == YOMO_TRANSPORT_WEBTRANSPORT
               ? &metrics->connections_webtransport
           : peer->transport == YOMO_TRANSPORT_WEBSOCKET
               ? &metrics->connections_websocket
               : &metrics->connections_custom;
}

static yo_metric *counter_of(const struct yo_peer *peer)
{
    struct yo_metrics *metrics = peer->worker->metrics;

    return peer->transport == YOMO_TRANSPORT_WEBTRANSPORT
               ? &metrics->accepted_webtransport
           : peer->transport == YOMO_TRANSPORT_WEBSOCKET ? &metrics->accepted_websocket
                                                         : &metrics->accepted_custom;
}

/* Its connection is no more. */
static void hang_up(struct yo_peer *peer)
{
    if (peer->conn) {
        yo_metric_less(gauge_of(peer));
    }
    if (peer->in_entry) {
        yo_apps_less(peer->worker->server->apps, peer->entry, YO_APP_CONNECTIONS);
    }
    peer->conn = NULL;
    peer->in_entry = false;
}

void yo_peer_destroy(struct yo_peer *peer)
{
    struct yo_worker *worker = peer->worker;

    assert(yo_list_empty(&peer->seats) && !peer->transfer);
    yo_peer_drop_paced(peer);
    yo_resume_free_claims(worker->mem, &peer->claims);
    yo_move_free_arrived(peer);
    hang_up(peer);
    if (peer->session_id != 0) {
        yo_map_remove(&worker->sessions, &peer->by_session);
    }
    yo_list_remove(&peer->in_worker);
    yo_list_remove(&peer->in_arriving);
    yo_list_remove(&peer->dirty);
    yo_timer_stop(&peer->timer);
    yo_loop_release_timer(worker->loop);
    yo_server_session_destroy(peer->session);
    yo_outbox_finish(&peer->outbox);
    yo_pacer_finish(&peer->pacer);
    yo_buf_finish(&peer->ending);
    yo_free(worker->mem, peer->id);
    yo_free(worker->mem, peer->app);
    yo_blob_unref(peer->data);
    yo_grants_free(peer->grants);
    yo_tally_unref(worker->server, peer->tally);
    yo_apps_unref(worker->server->apps, peer->entry);
    yo_free(worker->mem, peer);
}

void yo_peer_start(struct yo_peer *peer, struct yo_conn *conn, yo_time now)
{
    struct yo_worker *worker = peer->worker;
    char token[YO_MOVE_TOKEN_SIZE];
    struct yo_server_identity identity = {
        .id = yo_span_of(peer->id),
        .session = peer->session_id,
        .epoch = worker->epoch,
        .extension = !peer->presencejs,
        .datagrams_only = peer->datagrams_only,
        .id_proven = peer->proven,
        .expires_ms = yo_peer_note_expiry(peer, now),
        .mesh = yo_span_of(worker->config->mesh),
        .token = peer->presencejs ? YO_SPAN_NONE : yo_move_token(peer, token),
        .rates = &peer->entry->rates,
    };

    peer->conn = conn;
    yo_metric_add(gauge_of(peer), 1);
    yo_metric_add(counter_of(peer), 1);
    yo_peer_measure(peer, now);
    yo_effects_clear(&worker->effects);
    if (yo_server_session_create(&peer->session, worker->mem, &identity,
                                 &worker->config->limits, now,
                                 &worker->effects) != YOMO_OK) {
        yo_peer_end(peer, YO_CODE_TRY_LATER, YOMO_ERR_NOMEM, "out of memory");
        return;
    }
    YO_LOG_WITH(worker->log, YOMO_LOG_DEBUG, "server", YO_LOG_PEER(peer), "connected");
    yo_peer_carry_out(peer, &worker->effects, now);
}

/* When a peer whose transport is full has taken nothing for too long: a page may lose
 * its credit and never grant any again, while QUIC lives on. */
static yo_time stuck_at(const struct yo_peer *peer)
{
    uint64_t silence = peer->worker->config->limits.silence_ms;

    return peer->blocked && !peer->departing && silence > 0
               ? yo_time_after(peer->blocked_at, silence * YO_MS)
               : YO_NEVER;
}

void yo_peer_set_timer(struct yo_peer *peer)
{
    yo_time due = peer->session && !peer->closing && !peer->departing
                      ? yo_server_session_deadline(peer->session)
                      : YO_NEVER;

    if (!peer->closing) {
        due = yo_time_min(due, peer->expiry);
    }
    if (!yo_list_empty(&peer->paced)) {
        due = yo_time_min(due, peer->pace_due);
    }
    if (!peer->closing && !peer->departing && peer->pacer.mem) {
        due = yo_time_min(due, yo_pacer_deadline(&peer->pacer));
    }
    if (!peer->closing) {
        due = yo_time_min(due, stuck_at(peer));
    }
    /* One that comes too early looks again; moving it with each message would cost. */
    if (!peer->timer.node.place || due < peer->timer.node.when) {
        (void)yo_timer_set(&peer->timer, due); /* its room was reserved */
    }
}

/* --- what is to be sent ---------------------------------------------------------- */

void yo_peer_mark(struct yo_peer *peer)
{
    if (!peer->departing && yo_list_empty(&peer->dirty)) { /* else another sends it */
        yo_list_push_back(&peer->worker->dirty, &peer->dirty);
        yo_worker_defer(peer->worker);
    }
}

static void put(struct yo_peer *peer, const struct yo_outgoing *out)
{
    int rv;

    yo_outbox_expire(&peer->outbox, yo_loop_now(peer->worker->loop));
    rv = yo_outbox_put(&peer->outbox, out);

    if (rv == YOMO_OK) {
        if (!peer->blocked) {
            yo_peer_mark(peer);
        } else {
            yo_peer_count_drops(peer); /* it may be long until it is flushed */
        }
    } else if (rv == YOMO_ERR_FULL) {
        yo_peer_end(peer, YO_CODE_SLOW, YOMO_ERR_SLOW, "too slow to receive");
    } else if (out->delivery == YOMO_RELIABLE || out->insist) {
        yo_peer_end(peer, YO_CODE_TRY_LATER, YOMO_ERR_NOMEM, "out of memory");
    } else {
        yo_metric_add(&peer->worker->metrics->dropped_memory, 1);
    }
}

void yo_peer_put(struct yo_peer *peer, struct yo_blob *message,
                 enum yomo_delivery delivery, uint32_t lane, bool insist,
                 struct yo_span slot, uint64_t version)
{
    yo_peer_put_out(peer, &(struct yo_outgoing){.message = message,
                                                .delivery = delivery,
                                                .lane = lane,
                                                .insist = insist,
                                                .slot = slot,
                                                .version = version});
}

void yo_peer_put_out(struct yo_peer *peer, const struct yo_outgoing *outgoing)
{
    struct yo_outgoing out = *outgoing;

    out.insist = false;
    out.queued = yo_loop_now(peer->worker->loop);
    if (peer->latest_only) {
        yo_park_put(peer, &out);
        return;
    }
    if (peer->closing) {
        return;
    }
    if (peer->datagrams_only && out.delivery == YOMO_RELIABLE) {
        out.delivery = YOMO_UNRELIABLE; /* it has nothing else */
        out.insist = outgoing->insist;
    }
    put(peer, &out);
}

void yo_peer_end_lane(struct yo_peer *peer, uint32_t lane)
{
    if (!peer->closing && peer->pacer.waiting > 0) { /* not after the end of its lane */
        yo_peer_unpace(peer);
        yo_peer_mark(peer);
    }
    if (lane >= YO_LANE_ROOMS && !peer->closing &&
        peer->transport == YOMO_TRANSPORT_WEBTRANSPORT) {
        /* Without memory the stream lives as long as the connection. */
        (void)yo_buf_append(&peer->ending, &lane, sizeof(lane));
        yo_peer_mark(peer);
    }
}

/* --- what the session wants ------------------------------------------------------ */

static void send_effect(struct yo_peer *peer, const struct yo_effect *effect)
{
    struct yo_blob *message = yo_blob_create(peer->worker->mem, effect->bytes);

    if (!message) {
        yo_peer_end(peer, YO_CODE_TRY_LATER, YOMO_ERR_NOMEM, "out of memory");
        return;
    }
    if (!peer->closing && !peer->latest_only) {
        /* In its turn, and once: what a page in datagrams may have missed, its session
         * says again; the outbox could do so after the page had answered. */
        put(peer, &(struct yo_outgoing){
                      .message = message,
                      .delivery = YOMO_RELIABLE,
                      .lane = effect->lane >= YO_LANE_CONTROL ? effect->lane
                                                              : YO_LANE_CONTROL,
                      /* The answer to a move comes first. */
                      .priority = peer->moving ? YOMO_URGENT : YOMO_NORMAL});
    }
    yo_blob_unref(message);
}

static yo_metric *count_limited(struct yo_peer *peer, const struct yo_effect *effect)
{
    struct yo_metrics *metrics = peer->worker->metrics;

    switch (effect->limited) {
    case YO_LIMITED_APP_MESSAGES:
        yo_app_refuse(peer->entry, YO_APP_MESSAGES);
        return &metrics->dropped_app_messages;
    case YO_LIMITED_APP_BYTES:
        yo_app_refuse(peer->entry, YO_APP_BYTES);
        return &metrics->dropped_app_bytes;
    default:
        return &metrics->dropped_rate;
    }
}

static void drop_effect(struct yo_peer *peer, const struct yo_effect *effect,
                        yo_time now)
{
    struct yo_metrics *metrics = peer->worker->metrics;
    yo_metric *metric = &metrics->dropped_limit;

    switch (effect->error) {
    case YOMO_ERR_MALFORMED:
    case YOMO_ERR_PROTO:
        metric = &metrics->dropped_malformed;
        break;
    case YOMO_ERR_TOO_BIG:
        metric = &metrics->dropped_too_big;
        break;
    case YOMO_ERR_RATE:
        metric = count_limited(peer, effect);
        break;
    case YOMO_ERR_NOT_FOUND:
    case YOMO_ERR_STATE:
        metric = &metrics->dropped_not_joined;
        break;
    case YOMO_ERR_DENIED:
        metric = &metrics->dropped_denied;
        break;
    default:
        break;
    }
    yo_metric_add(metric, 1);
    YO_COMPLAIN(
        peer->worker, YO_COMPLAINT_MESSAGE, now,
        yo_log_error(yo_log_text(YO_LOG_PEER(peer), "room",
                                 effect->room.size > 0 ? effect->room : YO_SPAN_NONE),
                     effect->error),
        "message refused: %s%s%.*s", yomo_strerror(effect->error),
        effect->text.size > 0 ? ": " : "", (int)effect->text.size,
        effect->text.size > 0 ? (const char *)effect->text.data : "");
}

static void close_effect(struct yo_peer *peer, const struct yo_effect *effect)
{
    char text[124];
    size_t size =
        effect->text.size < sizeof(text) - 1 ? effect->text.size : sizeof(text) - 1;

    if (size > 0) {
        memcpy(text, effect->text.data, size);
    }
    text[size] = '\0';
    yo_peer_end(peer, effect->code, effect->error, text);
}

static void carry_out(struct yo_peer *peer, const struct yo_effect *effect, yo_time now)
{
    struct yo_local *local = &peer->worker->local;

    switch (effect->kind) {
    case YO_EFFECT_SEND:
        send_effect(peer, effect);
        break;
    case YO_EFFECT_CLOSE:
        close_effect(peer, effect);
        break;
    case YO_EFFECT_DROP:
        drop_effect(peer, effect, now);
        break;
    case YO_EFFECT_JOIN:
        yo_local_join(local, peer, effect);
        break;
    case YO_EFFECT_LEAVE:
        yo_local_leave(local, peer, effect->room);
        break;
    case YO_EFFECT_STATE:
        yo_local_state(local, peer, effect);
        break;
    case YO_EFFECT_PUBLISH:
        yo_local_publish(local, peer, effect);
        break;
    case YO_EFFECT_HISTORY:
        yo_local_history(local, peer, effect);
        break;
    case YO_EFFECT_VALUE:
    case YO_EFFECT_LOCK:
        yo_local_share(local, peer, effect);
        break;
    case YO_EFFECT_TOKEN:
        yo_peer_take_token(peer, effect->token, now);
        break;
    case YO_EFFECT_MOVE:
        yo_move_ask(peer, effect->token, false, now);
        break;
    case YO_EFFECT_ORDER:
        yo_order_take(peer, effect);
        break;
    case YO_EFFECT_FENCE:
        yo_move_fenced(peer, now);
        break;
    case YO_EFFECT_CLAIM:
        yo_resume_claim(peer, effect);
        break;
    case YO_EFFECT_RESUME:
        yo_move_ask(peer, effect->token, true, now);
        break;
    default:
        assert(!"an effect of the client's side");
    }
}

void yo_peer_carry_out(struct yo_peer *peer, struct yo_effects *effects, yo_time now)
{
    for (size_t i = 0; i < effects->count && !peer->closing; i++) {
        carry_out(peer, &effects->list[i], now);
    }
    if (effects->failed) {
        yo_peer_end(peer, YO_CODE_TRY_LATER, YOMO_ERR_NOMEM, "out of memory");
    }
    yo_peer_set_timer(peer);
}

static void on_timer(struct yo_timer *timer, yo_time now)
{
    struct yo_peer *peer = YO_CONTAINER(timer, struct yo_peer, timer);
    struct yo_effects *effects = &peer->worker->effects;

    if (peer->parked) {
        yo_metric_add(&peer->worker->metrics->parked_over, 1);
        yo_park_end(peer, now >= peer->expiry ? YOMO_ERR_AUTH : YOMO_ERR_CLOSED);
        return;
    }
    if (now >= peer->expiry) {
        yo_peer_end(peer, YO_CODE_AUTH, YOMO_ERR_AUTH, "the token has expired");
        return;
    }
    if (!peer->closing && now >= stuck_at(peer)) {
        yo_peer_end(peer, YO_CODE_SLOW, YOMO_ERR_SLOW,
                    "nothing was taken for too long");
        return;
    }
    yo_peer_pace(peer, now);
    yo_peer_pace_latest(peer, now);
    if (!peer->closing && now >= yo_server_session_deadline(peer->session)) {
        yo_effects_clear(effects);
        if (yo_server_session_tick(peer->session, now, effects) != YOMO_OK) {
            yo_peer_end(peer, YO_CODE_TRY_LATER, YOMO_ERR_NOMEM, "out of memory");
        }
        yo_peer_carry_out(peer, effects, now);
        return;
    }
    yo_peer_set_timer(peer);
}

/* --- the end --------------------------------------------------------------------- */

static void count_end(struct yo_peer *peer, uint32_t code)
{
    struct yo_metrics *metrics = peer->worker->metrics;

    yo_metric_add(code == YO_CODE_SLOW     ? &metrics->closed_slow
                  : code == YO_CODE_SILENT ? &metrics->closed_silent
                  : code == YO_CODE_PROTOCOL || code == YO_CODE_UNSUPPORTED ||
                          code == YO_CODE_TOO_BIG
                      ? &metrics->closed_protocol
                  : code == YO_CODE_TRY_LATER  ? &metrics->closed_overload
                  : code == YO_CODE_GOING_AWAY ? &metrics->closed_draining
                                               : &metrics->closed_other,
                  1);
}

void yo_peer_end(struct yo_peer *peer, uint32_t code, int error, const char *text)
{
    struct yo_close how = {.kind = yo_close_kind_of(code),
                           .error = error,
                           .code = code,
                           .text = yo_span_of(text)};
    yo_time now = yo_loop_now(peer->worker->loop);
    bool lost;

    if (peer->parked && how.kind != YO_CLOSE_RETRY) { /* and its seats are not kept */
        yo_park_end(peer, error);
        return;
    }
    if (peer->lost) {
        yo_resume_drop(peer, error);
        return;
    }
    if (peer->closing) {
        return;
    }
    if (peer->departing) {
        yo_move_abandon(peer);
        return;
    }
    if (code != YO_CODE_SLOW) {
        yo_peer_flush(peer, now); /* the reason, if it fits */
    }
    if (peer->closing) { /* that failed, and ended it */
        return;
    }
    /* Without memory it cannot take what is on its way to it. */
    lost =
        how.kind == YO_CLOSE_RETRY && error != YOMO_ERR_NOMEM && yo_resume_lost(peer);
    peer->closing = true;
    peer->why = error;
    count_end(peer, code);
    yo_list_remove(&peer->dirty);
    yo_timer_stop(&peer->timer);
    if (code != YO_CODE_GOING_AWAY) {
        YO_COMPLAIN(peer->worker, YO_COMPLAINT_CONNECTION, now,
                    yo_log_close(YO_LOG_PEER(peer), code, error), "closed (%u): %s",
                    code, text);
    }
    if (!lost) {
        yo_move_abandon(peer);
        if (how.kind == YO_CLOSE_RETRY && yo_park_may(peer)) {
            yo_park(peer, true, now);
        } else {
            yo_local_leave_all(&peer->worker->local, peer);
        }
    }
    yo_conn_close(peer->conn, &how);
}

static void on_message(void *user, struct yo_conn *conn, uint32_t lane,
                       struct yo_span message, yo_time now)
{
    struct yo_peer *peer = user;
    struct yo_effects *effects = &peer->worker->effects;

    (void)conn;
    if (peer->closing || peer->departing || peer->moving) {
        return;
    }
    peer->before_counts = false;
    yo_metric_add(&peer->worker->metrics->bytes_in, message.size);
    yo_effects_clear(effects);
    if (yo_server_session_recv(peer->session, lane, message, now, effects) != YOMO_OK) {
        yo_peer_end(peer, YO_CODE_TRY_LATER, YOMO_ERR_NOMEM, "out of memory");
        return;
    }
    yo_peer_carry_out(peer, effects, now);
}

static void on_writable(void *user, struct yo_conn *conn, yo_time now)
{
    struct yo_peer *peer = user;

    (void)conn;
    (void)now;
    if (peer->departing || peer->last_word) {
        yo_move_writable(peer);
        return;
    }
    peer->blocked = false;
    if (!peer->closing) {
        yo_peer_mark(peer);
    }
}

static void on_fate(void *user, struct yo_conn *conn, uint64_t token, enum yo_fate fate,
                    yo_time now)
{
    struct yo_peer *peer = user;

    (void)conn;
    (void)now;
    if (peer->departing) {
        return;
    }
    if (yo_outbox_fate(&peer->outbox, token, fate == YO_FATE_ACKED) && !peer->closing &&
        !peer->blocked) {
        yo_peer_mark(peer);
    }
}

static void on_closed(void *user, struct yo_conn *conn, const struct yo_close *why,
                      yo_time now)
{
    struct yo_peer *peer = user;
    struct yo_worker *worker = peer->worker;

    (void)conn;
    if (!peer->closing && !why->farewell) {
        peer->why = why->error != YOMO_OK ? why->error : YOMO_ERR_CLOSED;
    }
    YO_LOG_WITH(worker->log, YOMO_LOG_DEBUG, "server",
                yo_log_close(YO_LOG_PEER(peer), why->code, why->error), "disconnected");
    if (!peer->closing &&
        !why->remote) { /* the transport's decision: a text frame, ... */
        count_end(peer, why->code);
        YO_COMPLAIN(worker, YO_COMPLAINT_CONNECTION, now,
                    yo_log_close(YO_LOG_PEER(peer), why->code, why->error),
                    "closed (%u): %.*s", why->code, (int)why->text.size,
                    why->text.size > 0 ? (const char *)why->text.data : "");
    }
    if (!peer->closing && !peer->departing && !why->farewell &&
        why->kind == YO_CLOSE_RETRY && !yo_resume_lost(peer)) {
        yo_move_abandon(peer); /* it broke: its client may come back */
        if (yo_park_may(peer)) {
            yo_park(peer, true, now);
        }
    }
    if (peer->departing || peer->parked || peer->lost) { /* it has done its part */
        hang_up(peer);
        return;
    }
    yo_move_abandon(peer);
    peer->closing = true;
    yo_local_leave_all(&worker->local, peer);
    yo_peer_destroy(peer);
    yo_worker_gone(worker);
}

const struct yo_conn_events yo_peer_events = {
    .on_message = on_message,
    .on_writable = on_writable,
    .on_fate = on_fate,
    .on_closed = on_closed,
};
