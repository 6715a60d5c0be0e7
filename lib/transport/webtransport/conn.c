/* SPDX-License-Identifier: MIT */
/* conn.c - the life of one connection.
 *
 * The happy path: HANDSHAKE, READY when TLS is done, ASKED when the request is there,
 * SESSION when it was accepted, LEAVING when its end was sent, OVER. Any failure leads
 * to OVER from wherever it is. OVER does nothing by itself: the turn that follows sends
 * the farewell, tells whoever listens, and frees the connection, so that no call that
 * was made from inside an event pulls the ground away from under it.
 *
 * Invariants:
 *  1. a connection in any state but OVER has a timer in the endpoint's heap;
 *  2. OVER implies that it is in the endpoint's dirty list, or being turned;
 *  3. the end is noted once, by whoever knew first. */
#include "transport/webtransport/conn.h"

#include <assert.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdio.h>
#include <yomo/error.h>

#include "base/text.h"
#include "transport/webtransport/codes.h"
#include "transport/webtransport/inside.h"

#define PARTING (100 * YO_MS)

int yo_quic_conn_create(struct yo_quic_conn **out, struct yo_endpoint *endpoint,
                        bool server)
{
    struct yo_quic_conn *conn = yo_calloc(endpoint->mem, 1, sizeof(*conn));
    if (!conn) {
        return YOMO_ERR_NOMEM;
    }
    conn->mem = endpoint->mem;
    conn->endpoint = endpoint;
    conn->server = server;
    conn->due = conn->alarm = conn->give_up = conn->unacked = YO_NEVER;
    yo_list_init(&conn->owner.ids);
    yo_list_init(&conn->dirty);
    yo_list_init(&conn->sessions);
    yo_list_init(&conn->sending);
    yo_list_init(&conn->held);
    yo_window_init(&conn->window, YO_WT_CONN_WINDOW);
    conn->growth = (struct yo_budget){YO_WT_CONN_GROWTH_MAX, &endpoint->growth};
    ngtcp2_ccerr_default(&conn->error);
    if (yo_heap_set(&endpoint->timers, &conn->timer, YO_NEVER) != YOMO_OK) {
        yo_free(conn->mem, conn);
        return YOMO_ERR_NOMEM;
    }
    yo_list_push_back(&endpoint->conns, &conn->link);
    endpoint->stats.connections_now++;
    *out = conn;
    return YOMO_OK;
}

/* What the handshake was made with. */
static void free_ssl(struct yo_quic_conn *conn)
{
    SSL *ssl = ngtcp2_crypto_ossl_ctx_get_ssl(conn->tls);
    if (ssl) {
        ngtcp2_crypto_ossl_ctx_set_ssl(conn->tls, NULL);
        SSL_set_app_data(ssl, NULL); /* or freeing it would call the connection */
        SSL_free(ssl);
    }
}

static void free_tls(struct yo_quic_conn *conn)
{
    if (conn->tls) {
        free_ssl(conn);
        ngtcp2_crypto_ossl_ctx_del(conn->tls);
    }
}

void yo_quic_conn_destroy(struct yo_quic_conn *conn)
{
    struct yo_endpoint *endpoint = conn->endpoint;
    conn->state = YO_QUIC_OVER;
    conn->ended = true;
    yo_wt_sessions_finish(conn);
    yo_window_finish(&conn->window, &conn->growth);
    yo_quic_free_held(conn);
    if (conn->counted_handshake) {
        endpoint->stats.handshakes_now--;
        yo_endpoint_handshake_failed(conn);
    }
    endpoint->stats.connections_now--;
    yo_h3_destroy(conn->h3);
    ngtcp2_conn_del(conn->quic);
    free_tls(conn);
    yo_cid_map_forget(&endpoint->ids, &conn->owner);
    yo_crowd_leave(endpoint->crowd, conn->guest);
    yo_heap_remove(&endpoint->timers, &conn->timer);
    yo_list_remove(&conn->link);
    yo_list_remove(&conn->dirty);
    if (endpoint->only == conn) {
        endpoint->only = NULL;
    }
    yo_free(conn->mem, conn);
}

void yo_quic_conn_touch(struct yo_quic_conn *conn)
{
    if (conn->dirty.next == &conn->dirty) {
        yo_list_push_back(&conn->endpoint->dirty, &conn->dirty);
        yo_endpoint_wake(conn->endpoint);
    }
}

/* --- The end ---------------------------------------------------------------------- */

void yo_quic_conn_note_end(struct yo_quic_conn *conn, const struct yo_wt_end *end)
{
    if (conn->ended) {
        return;
    }
    conn->ended = true;
    conn->end = *end;
    struct yo_span text = end->text;
    if (text.size > sizeof(conn->end_text)) {
        text.size = sizeof(conn->end_text);
    }
    while (text.size > 0 && !yo_utf8_valid(text)) {
        text.size--;
    }
    if (text.size > 0) {
        memcpy(conn->end_text, text.data, text.size);
    }
    conn->end.text = text.data ? yo_span(conn->end_text, text.size) : YO_SPAN_NONE;
    YO_LIST_EACH(link, next, &conn->sessions)
    {
        struct yo_wt_session *session = YO_CONTAINER(link, struct yo_wt_session, link);
        yo_wt_session_note_end(session, &conn->end);
        session->open = false;
    }
}

void yo_quic_conn_over(struct yo_quic_conn *conn, enum yo_quic_farewell farewell)
{
    if (conn->state == YO_QUIC_OVER) {
        return;
    }
    yo_quic_conn_note_end(
        conn, &(struct yo_wt_end){.remote = true, .error = YOMO_ERR_CLOSED});
    conn->state = YO_QUIC_OVER;
    conn->farewell = farewell;
    yo_quic_conn_touch(conn);
}

static void keep_reason(struct yo_quic_conn *conn, const char *reason)
{
    snprintf(conn->reason, sizeof(conn->reason), "%s", reason);
}

static void __attribute__((format(printf, 2, 3))) tell_fault(struct yo_quic_conn *conn,
                                                             const char *format, ...)
{
    const struct yo_endpoint *endpoint = conn->endpoint;
    char text[192];
    va_list args;

    if (!conn->server || conn->counted_handshake || !endpoint->events->on_fault) {
        return; /* handshakes that fail are told of by their number */
    }
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    endpoint->events->on_fault(endpoint->user, conn->address, text, conn->now);
}

static bool peers_fault(uint64_t h3_code)
{
    return h3_code != YO_H3_NO_ERROR && h3_code != YO_H3_REQUEST_CANCELLED &&
           h3_code != YO_H3_INTERNAL_ERROR;
}

void yo_quic_conn_fail(struct yo_quic_conn *conn, uint64_t h3_code, const char *reason)
{
    if (conn->state == YO_QUIC_OVER) {
        return;
    }
    keep_reason(conn, reason);
    if (peers_fault(h3_code)) {
        conn->endpoint->stats.messages_bad++;
        tell_fault(conn, "closed (HTTP/3 error 0x%llx)%s%s",
                   (unsigned long long)h3_code, *reason ? ": " : "", reason);
    }
    ngtcp2_ccerr_set_application_error(
        &conn->error, h3_code, (const uint8_t *)conn->reason, strlen(conn->reason));
    if (h3_code != YO_H3_NO_ERROR) { /* the peer's fault, unless we know better */
        yo_quic_conn_note_end(conn,
                              &(struct yo_wt_end){.remote = true,
                                                  .error = YOMO_ERR_PROTO,
                                                  .text = yo_span_of(conn->reason)});
    }
    yo_quic_conn_over(conn, YO_QUIC_SAY_CLOSE);
}

/* Why the TLS handshake failed, in our own words, if it did. */
static void note_tls_failure(struct yo_quic_conn *conn)
{
    SSL *ssl = ngtcp2_crypto_ossl_ctx_get_ssl(conn->tls);
    struct yo_buf why;
    int error = YOMO_ERR_PROTO; /* after the handshake: setup.c */
    yo_buf_init(&why, conn->mem);
    if (ssl) {
        error = yo_tls_failure(ssl, &why);
    } else {
        yo_buf_printf(&why, "a TLS message after the handshake");
    }
    yo_quic_conn_note_end(
        conn,
        &(struct yo_wt_end){.remote = true, .error = error, .text = yo_buf_span(&why)});
    yo_buf_finish(&why);
}

void yo_quic_conn_part(struct yo_quic_conn *conn)
{
    if (!conn->server || conn->state != YO_QUIC_LEAVING) {
        yo_quic_conn_fail(conn, YO_H3_NO_ERROR, "");
        return;
    }
    conn->give_up = yo_time_min(conn->give_up, yo_time_after(conn->now, PARTING));
    yo_quic_conn_touch(conn);
}

void yo_quic_conn_fail_quic(struct yo_quic_conn *conn, int liberr)
{
    if (conn->state == YO_QUIC_OVER) {
        return; /* the reason is known: a callback has found it */
    }
    if (liberr == NGTCP2_ERR_CRYPTO) {
        ngtcp2_ccerr_set_tls_alert(&conn->error, ngtcp2_conn_get_tls_alert(conn->quic),
                                   NULL, 0);
        note_tls_failure(conn);
    } else {
        ngtcp2_ccerr_set_liberr(&conn->error, liberr, NULL, 0);
        yo_quic_conn_note_end(
            conn,
            &(struct yo_wt_end){.remote = true,
                                .error = liberr == NGTCP2_ERR_NOMEM ? YOMO_ERR_NOMEM
                                                                    : YOMO_ERR_PROTO,
                                .text = yo_span_of(ngtcp2_strerror(liberr))});
    }
    conn->endpoint->stats.messages_bad++;
    tell_fault(conn, "closed (QUIC error 0x%llx): %s",
               (unsigned long long)conn->error.error_code, ngtcp2_strerror(liberr));
    yo_quic_conn_over(conn, YO_QUIC_SAY_CLOSE);
}

/* The peer has sent CONNECTION_CLOSE. */
static void note_peer_close(struct yo_quic_conn *conn)
{
    const ngtcp2_ccerr *error = ngtcp2_conn_get_ccerr(conn->quic);
    bool application = error->type == NGTCP2_CCERR_TYPE_APPLICATION;
    struct yo_wt_end end = {.remote = true,
                            .error = YOMO_ERR_CLOSED,
                            .parted = error->error_code ==
                                      (application ? YO_H3_NO_ERROR : NGTCP2_NO_ERROR)};
    const char *alert = NULL;
    char text[160];
    if (error->type == NGTCP2_CCERR_TYPE_TRANSPORT && error->error_code >= 0x100 &&
        error->error_code <= 0x1ff) { /* RFC 9001 4.8: a TLS alert */
        end.error = YOMO_ERR_TLS;
        alert = SSL_alert_desc_string_long((int)error->error_code & 0xff);
    } else if (error->type == NGTCP2_CCERR_TYPE_TRANSPORT &&
               error->error_code == NGTCP2_CONNECTION_REFUSED) {
        end.error = YOMO_ERR_FULL;
    }
    snprintf(text, sizeof(text), "the peer closed with %s error 0x%llx%s%s%s%.*s",
             error->type == NGTCP2_CCERR_TYPE_APPLICATION ? "HTTP/3" : "QUIC",
             (unsigned long long)error->error_code, alert ? ", TLS alert " : "",
             alert ? alert : "", error->reasonlen ? ": " : "",
             (int)(error->reasonlen < 100 ? error->reasonlen : 100),
             error->reasonlen ? (const char *)error->reason : "");
    end.text = yo_span_of(text);
    yo_quic_conn_note_end(conn, &end);
}

static void note_timeout(struct yo_quic_conn *conn, const char *text)
{
    yo_quic_conn_note_end(conn, &(struct yo_wt_end){.remote = true,
                                                    .error = YOMO_ERR_TIMEOUT,
                                                    .text = yo_span_of(text)});
}

/* --- In --------------------------------------------------------------------------- */

int yo_quic_conn_read(struct yo_quic_conn *conn, const struct yo_quic_packet *packet,
                      yo_time now)
{
    ngtcp2_path path;
    ngtcp2_pkt_info pi = {.ecn = packet->ecn};
    struct yo_quic_content content;

    if (conn->state == YO_QUIC_OVER) {
        return 0;
    }
    conn->now = conn->heard = now;
    conn->busy = true;
    yo_quic_path(&path, packet->socket, packet->local, packet->remote);
    content.stops.count = 0;
    content.stops.more = false;
    content.number = conn->next_number;
    yo_quic_collect(&content);
    int rv = ngtcp2_conn_read_pkt(conn->quic, &path, &pi, packet->bytes.data,
                                  packet->bytes.size, now);
    yo_quic_collect(NULL);
    conn->busy = false;
    if (conn->server && conn->confirmed) {
        free_ssl(conn); /* keys and tickets are out, and it will be told no more */
    }
    switch (rv) {
    case 0:
        for (size_t i = 0; i < content.stops.count; i++) {
            yo_quic_on_stopped(conn, &content.stops.stops[i]);
        }
        break;
    case NGTCP2_ERR_DRAINING:
        note_peer_close(conn);
        yo_quic_conn_over(conn, YO_QUIC_DRAINING);
        break;
    case NGTCP2_ERR_CLOSING:
    case NGTCP2_ERR_DROP_CONN:
    case NGTCP2_ERR_RETRY: /* accept.c does it */
        yo_quic_conn_over(conn, YO_QUIC_SILENT);
        break;
    default:
        yo_quic_conn_fail_quic(conn, rv);
        break;
    }
    yo_quic_progress(conn);
    if (yo_quic_conn_settled(conn, packet, &content, now)) {
        yo_quic_conn_rearm(conn);
    } else {
        conn->calm = false;
        yo_quic_conn_touch(conn);
    }
    return rv;
}

/* --- Time ------------------------------------------------------------------------- */

/* When the peer has been silent for too long. */
static yo_time silent_at(const struct yo_quic_conn *conn)
{
    const struct yo_endpoint_options *options = &conn->endpoint->options;
    bool heed = conn->state != YO_QUIC_HANDSHAKE && options->keepalive > 0 &&
                options->keepalive < options->silence;
    return heed ? yo_time_after(conn->heard, options->silence) : YO_NEVER;
}

yo_time yo_quic_conn_due(const struct yo_quic_conn *conn)
{
    yo_time when = yo_time_min(conn->give_up, conn->alarm);
    when = yo_time_min(when, conn->due);
    return yo_time_min(when, silent_at(conn));
}

/* With each packet that goes out or comes in the time moves, nearly always to later.
 * The timer is left where it is then: when it rings too early it is set anew. */
void yo_quic_conn_rearm(struct yo_quic_conn *conn)
{
    uint64_t limit = conn->endpoint->options.key_update_packets;
    if (limit > 0 && conn->packets_out >= limit) {
        yo_quic_conn_renew_keys(conn, conn->now);
    }
    yo_time when = yo_quic_conn_due(conn);
    if (when < conn->timer.when) {
        yo_heap_set(&conn->endpoint->timers, &conn->timer,
                    when); /* it is in: no failure */
    }
}

static void give_up(struct yo_quic_conn *conn)
{
    conn->give_up = YO_NEVER;
    if (conn->state != YO_QUIC_LEAVING) {
        note_timeout(conn, conn->server ? "no request in time" : "no answer in time");
        tell_fault(conn, "closed: no request in time");
    }
    if (conn->state == YO_QUIC_HANDSHAKE) {
        yo_quic_conn_over(conn, YO_QUIC_SILENT);
    } else {
        yo_quic_conn_fail(conn, YO_H3_NO_ERROR, "");
    }
}

void yo_quic_conn_expired(struct yo_quic_conn *conn, yo_time now)
{
    if (ngtcp2_conn_get_expiry(conn->quic) > now) {
        return;
    }
    int rv = ngtcp2_conn_handle_expiry(conn->quic, now);
    if (rv == NGTCP2_ERR_IDLE_CLOSE || rv == NGTCP2_ERR_HANDSHAKE_TIMEOUT) {
        note_timeout(conn, conn->state == YO_QUIC_HANDSHAKE
                               ? "the handshake took too long"
                               : "nothing was heard for too long");
        yo_quic_conn_over(conn, YO_QUIC_SILENT);
    } else if (rv != 0) {
        yo_quic_conn_fail_quic(conn, rv);
    }
}

void yo_quic_conn_expire(struct yo_quic_conn *conn, yo_time now)
{
    if (conn->state == YO_QUIC_OVER) {
        return;
    }
    conn->now = now;
    if (conn->due <= now) { /* it may have been put off since that was noted */
        conn->due = ngtcp2_conn_get_expiry(conn->quic);
    }
    if (yo_quic_conn_due(conn) > now) {
        yo_quic_conn_rearm(conn);
        return;
    }
    conn->calm = false;
    yo_quic_conn_expired(conn, now);
    if (conn->state != YO_QUIC_OVER && silent_at(conn) <= now) {
        note_timeout(conn, "nothing was heard for too long");
        yo_quic_conn_over(conn, YO_QUIC_SILENT);
    }
    if (conn->give_up <= now && conn->state != YO_QUIC_OVER) {
        give_up(conn);
    }
    yo_quic_conn_touch(conn);
}

/* --- The turn --------------------------------------------------------------------- */

static void say_farewell(struct yo_quic_conn *conn, yo_time now)
{
    struct yo_endpoint *endpoint = conn->endpoint;
    uint8_t packet[NGTCP2_MAX_UDP_PAYLOAD_SIZE];
    ngtcp2_path_storage ps;
    size_t size = 0;

    if (conn->farewell == YO_QUIC_SILENT) {
        return;
    }
    if (conn->farewell == YO_QUIC_SAY_CLOSE) {
        ngtcp2_path_storage_zero(&ps);
        size = yo_quic_write_close(conn, packet, sizeof(packet), &ps.path, now);
        if (size > 0) {
            yo_endpoint_send(endpoint, &ps.path, 0, yo_span(packet, size));
        }
    }
    if (conn->server) {
        yo_stubs_add(&endpoint->stubs, &conn->owner, yo_span(packet, size),
                     yo_time_after(now, 3 * ngtcp2_conn_get_pto(conn->quic)));
    }
}

void yo_quic_conn_turn(struct yo_quic_conn *conn, yo_time now)
{
    conn->now = now;
    conn->busy = true;
    if (conn->state != YO_QUIC_OVER) {
        yo_wt_sessions_run(conn, now);
    }
    if (conn->state != YO_QUIC_OVER &&
        yo_quic_conn_write(conn, now) == YOMO_ERR_AGAIN) {
        yo_quic_conn_touch(conn); /* comes back when the socket does */
    }
    if (conn->state == YO_QUIC_OVER) {
        say_farewell(conn, now);
        yo_quic_conn_destroy(conn);
        return;
    }
    conn->busy = false;
    yo_quic_conn_rearm(conn);
}

void yo_quic_conn_flush(struct yo_quic_conn *conn, yo_time now)
{
    if (conn->busy || conn->state == YO_QUIC_OVER || conn->endpoint->blocked ||
        yo_list_empty(&conn->dirty) || yo_wt_sessions_deferred(conn, now)) {
        return;
    }
    conn->now = now;
    yo_list_remove(&conn->dirty);
    if (yo_quic_conn_write(conn, now) == YOMO_ERR_AGAIN) {
        yo_quic_conn_touch(conn);
    }
    if (conn->state != YO_QUIC_OVER) {
        yo_quic_conn_rearm(conn);
    }
}
