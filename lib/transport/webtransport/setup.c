/* SPDX-License-Identifier: MIT */
/* setup.c - ngtcp2 and OpenSSL, set up for one connection.
 *
 * Windows: 64 KiB for a stream and a small multiple for the connection bound what a
 * peer can make us keep; messages larger than that pass because credit follows what is
 * consumed. They grow where it is consumed fast (window.h), within a budget; ngtcp2
 * could do that too, but knows none, and counts what came where we count what was read.
 * Clients use no connection ID of their own: their sockets are not shared, and every
 * packet towards them is smaller for it.
 *
 * A server's SSL object lives no longer than the handshake (conn.c), which is a sixth of
 * what a connection takes: ngtcp2 has the keys, and tickets were written with them. What
 * a client could still tell TLS then, it must not over QUIC. */
#include <assert.h>
#include <openssl/ssl.h>
#include <yomo/error.h>

#include "base/rand.h"
#include "transport/webtransport/codes.h"
#include "transport/webtransport/conn.h"
#include "transport/webtransport/inside.h"

#define HTTP_STREAMS 3 /* control, QPACK encoder and decoder */

void yo_quic_path(ngtcp2_path *path, void *socket, const struct sockaddr *local,
                  const struct sockaddr *remote)
{
    path->local.addr = (ngtcp2_sockaddr *)(uintptr_t)local;
    path->local.addrlen = yo_sockaddr_size(local);
    path->remote.addr = (ngtcp2_sockaddr *)(uintptr_t)remote;
    path->remote.addrlen = yo_sockaddr_size(remote);
    path->user_data = socket;
}

/* --- Callbacks -------------------------------------------------------------------- */

/* Where goes what is to be known of the packet that is being read. ngtcp2 gives the call
 * that decrypts nothing of ours, so it is kept for the thread, for the length of one
 * ngtcp2_conn_read_pkt. */
static _Thread_local struct yo_quic_content *content;

void yo_quic_collect(struct yo_quic_content *into)
{
    content = into;
}

static int on_decrypt(uint8_t *dest, const ngtcp2_crypto_aead *aead,
                      const ngtcp2_crypto_aead_ctx *context, const uint8_t *ciphertext,
                      size_t size, const uint8_t *nonce, size_t nonce_size,
                      const uint8_t *header, size_t header_size)
{
    int rv = ngtcp2_crypto_decrypt_cb(dest, aead, context, ciphertext, size, nonce,
                                      nonce_size, header, header_size);
    bool short_header = header_size > 0 && (header[0] & 0x80) == 0;
    if (rv == 0 && content && short_header && size > aead->max_overhead) {
        content->number = header[header_size - 1]; /* RFC 9000 17.1 */
        yo_stops_read(&content->stops, yo_span(dest, size - aead->max_overhead));
    }
    return rv;
}

/* TLS has no messages for a server after the handshake: no KeyUpdate (RFC 9001 6), and
 * no certificate that it has not asked for (4.4). */
static int on_crypto(ngtcp2_conn *quic, ngtcp2_encryption_level level, uint64_t offset,
                     const uint8_t *data, size_t size, void *user)
{
    struct yo_quic_conn *conn = user;
    if (!ngtcp2_crypto_ossl_ctx_get_ssl(conn->tls)) {
        ngtcp2_conn_set_tls_alert(quic, SSL_AD_UNEXPECTED_MESSAGE);
        return NGTCP2_ERR_CRYPTO;
    }
    return ngtcp2_crypto_recv_crypto_data_cb(quic, level, offset, data, size, user);
}

static int on_stream_data(ngtcp2_conn *quic, uint32_t flags, int64_t id,
                          uint64_t offset, const uint8_t *data, size_t size, void *user,
                          void *stream)
{
    (void)quic, (void)offset;
    return yo_quic_on_stream_data(user, id, stream, yo_span(data, size),
                                  (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0);
}

static int on_stream_close(ngtcp2_conn *quic, uint32_t flags, int64_t id, uint64_t code,
                           void *user, void *stream)
{
    bool given = (flags & NGTCP2_STREAM_CLOSE_FLAG_APP_ERROR_CODE_SET) != 0;
    (void)quic;
    return yo_quic_on_stream_close(user, id, stream, given ? &code : NULL);
}

static int on_stream_reset(ngtcp2_conn *quic, int64_t id, uint64_t final_size,
                           uint64_t code, void *user, void *stream)
{
    (void)quic;
    return yo_quic_on_stream_reset(user, id, stream, final_size, code);
}

static int on_acked(ngtcp2_conn *quic, int64_t id, uint64_t offset, uint64_t size,
                    void *user, void *stream)
{
    (void)quic, (void)offset;
    yo_quic_on_acked(user, id, stream, size);
    return 0;
}

static int on_unblocked(ngtcp2_conn *quic, int64_t id, uint64_t max, void *user,
                        void *stream)
{
    (void)quic, (void)max;
    yo_quic_on_unblocked(user, id, stream);
    return 0;
}

static int on_streams_max(ngtcp2_conn *quic, uint64_t max, void *user)
{
    struct yo_quic_conn *conn = user;
    (void)quic;
    if (conn->server && conn->h3) {
        yo_h3_streams_max(conn->h3, max);
    }
    return 0;
}

static int on_streams_allowed(ngtcp2_conn *quic, uint64_t max, void *user)
{
    (void)quic, (void)max;
    yo_quic_conn_touch(user); /* streams may wait for an ID */
    return 0;
}

static int on_datagram(ngtcp2_conn *quic, uint32_t flags, const uint8_t *data,
                       size_t size, void *user)
{
    (void)quic, (void)flags;
    return yo_quic_on_datagram(user, yo_span(data, size));
}

static void fate(struct yo_quic_conn *conn, uint64_t id, enum yo_fate fate)
{
    struct yo_wt_session *session = yo_wt_session_find(conn, yo_datagram_session(id));
    conn->endpoint->stats.datagrams_lost += fate == YO_FATE_LOST;
    if (!session) {
        return; /* it has ended */
    }
    uint64_t token = yo_datagrams_land(&session->datagrams, yo_datagram_number(id));
    session->counts.lost += fate == YO_FATE_LOST;
    session->counts.acked += fate == YO_FATE_ACKED;
    session->progress = true;
    if (token != 0 && session->open && session->events && session->events->on_fate) {
        session->events->on_fate(session->user, token, fate, conn->now);
    }
}

static int on_datagram_acked(ngtcp2_conn *quic, uint64_t id, void *user)
{
    (void)quic;
    fate(user, id, YO_FATE_ACKED);
    return 0;
}

static int on_datagram_lost(ngtcp2_conn *quic, uint64_t id, void *user)
{
    (void)quic;
    fate(user, id, YO_FATE_LOST);
    return 0;
}

static void on_rand(uint8_t *dest, size_t size, const ngtcp2_rand_ctx *context)
{
    (void)context;
    yo_rand_bytes(dest, size);
}

static int on_new_id(ngtcp2_conn *quic, ngtcp2_cid *cid,
                     ngtcp2_stateless_reset_token *token, size_t size, void *user)
{
    struct yo_quic_conn *conn = user;
    struct yo_endpoint *endpoint = conn->endpoint;
    (void)quic;
    assert(size == YO_CID_SIZE);
    if (yo_cid_make(&endpoint->secrets, endpoint->options.worker, cid->data) !=
        YOMO_OK) {
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    cid->datalen = size;
    if (ngtcp2_crypto_generate_stateless_reset_token(
            token->data, endpoint->secrets.reset, sizeof(endpoint->secrets.reset),
            cid) != 0 ||
        yo_cid_map_add(&endpoint->ids, &conn->owner, yo_span(cid->data, size)) !=
            YOMO_OK) {
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    return 0;
}

static int on_retire_id(ngtcp2_conn *quic, const ngtcp2_cid *cid, void *user)
{
    struct yo_quic_conn *conn = user;
    (void)quic;
    yo_cid_map_remove(&conn->endpoint->ids, &conn->owner,
                      yo_span(cid->data, cid->datalen));
    return 0;
}

static int on_path_validated(ngtcp2_conn *quic, uint32_t flags, const ngtcp2_path *path,
                             const ngtcp2_path *fallback,
                             ngtcp2_path_validation_result rv, void *user)
{
    struct yo_quic_conn *conn = user;
    (void)quic, (void)flags, (void)fallback;
    if (rv == NGTCP2_PATH_VALIDATION_RESULT_SUCCESS) {
        yo_sockaddr_print(path->remote.addr, conn->address);
        conn->socket = path->user_data;
    }
    return 0;
}

int yo_quic_conn_migrate(struct yo_quic_conn *conn, void *socket,
                         const struct sockaddr *local, bool gone, yo_time now)
{
    ngtcp2_path path;
    if (conn->state == YO_QUIC_OVER || !conn->confirmed) {
        return YOMO_ERR_STATE;
    }
    yo_quic_path(&path, socket, local, ngtcp2_conn_get_path(conn->quic)->remote.addr);
    int rv = gone ? ngtcp2_conn_initiate_immediate_migration(conn->quic, &path, now)
                  : ngtcp2_conn_initiate_migration(conn->quic, &path, now);
    if (rv != 0) {
        YO_LOG(conn->endpoint->log, YOMO_LOG_DEBUG, "webtransport", "no migration: %s",
               ngtcp2_strerror(rv));
        return rv == NGTCP2_ERR_NOMEM ? YOMO_ERR_NOMEM : YOMO_ERR_STATE;
    }
    if (gone) {
        conn->socket = socket;
    }
    conn->calm = false;
    yo_quic_conn_touch(conn);
    return YOMO_OK;
}

static int begin_http(struct yo_quic_conn *conn)
{
    struct yo_endpoint *endpoint = conn->endpoint;
    if (conn->h3) {
        return 0;
    }
    struct yo_own_settings own = {.sessions = 1, .limits = yo_wt_own_limits};
    if (endpoint->options.sessions > 1) {
        own.sessions = endpoint->options.sessions;
    }
    int rv = yo_h3_create(&conn->h3, conn->mem, &endpoint->quic_mem, conn->server, &own,
                          &yo_quic_h3_events, conn);
    if (rv == YOMO_OK) {
        if (conn->server) {
            yo_h3_streams_max(conn->h3, YO_WT_STREAMS_MAX);
        }
        rv = yo_quic_bind_http(conn);
    }
    if (rv != YOMO_OK) {
        yo_quic_conn_fail(conn, YO_H3_GENERAL_PROTOCOL_ERROR, "no streams for HTTP/3");
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    return 0;
}

/* A token that proves the client's address when it comes again while we are busy. */
static void send_token(struct yo_quic_conn *conn)
{
    struct yo_endpoint *endpoint = conn->endpoint;
    const ngtcp2_path *path = ngtcp2_conn_get_path(conn->quic);
    uint8_t token[NGTCP2_CRYPTO_MAX_REGULAR_TOKENLEN];
    ngtcp2_ssize n = ngtcp2_crypto_generate_regular_token(
        token, endpoint->secrets.token, sizeof(endpoint->secrets.token),
        path->remote.addr, path->remote.addrlen, conn->now);
    if (n > 0) {
        ngtcp2_conn_submit_new_token(conn->quic, token, (size_t)n);
    }
}

/* A server's HTTP/3 begins as soon as there are keys to send with, so that its SETTINGS
 * are in its first flight; a client's when the server's limits are known. */
static int on_tx_key(ngtcp2_conn *quic, ngtcp2_encryption_level level, void *user)
{
    struct yo_quic_conn *conn = user;
    (void)quic;
    return conn->server && level == NGTCP2_ENCRYPTION_LEVEL_1RTT ? begin_http(conn) : 0;
}

static int on_rx_key(ngtcp2_conn *quic, ngtcp2_encryption_level level, void *user)
{
    struct yo_quic_conn *conn = user;
    (void)quic;
    return !conn->server && level == NGTCP2_ENCRYPTION_LEVEL_1RTT ? begin_http(conn)
                                                                  : 0;
}

static int on_handshake_completed(ngtcp2_conn *quic, void *user)
{
    struct yo_quic_conn *conn = user;
    struct yo_endpoint *endpoint = conn->endpoint;
    if (conn->counted_handshake) {
        conn->counted_handshake = false;
        endpoint->stats.handshakes_now--;
    }
    if (conn->state == YO_QUIC_HANDSHAKE) {
        conn->state = YO_QUIC_READY;
    }
    SSL *ssl = ngtcp2_crypto_ossl_ctx_get_ssl(conn->tls);
    if (SSL_session_reused(ssl) == 1) {
        endpoint->stats.handshakes_resumed++;
    } else {
        endpoint->stats.handshakes_full++;
    }
    if (conn->server) {
        conn->confirmed = true; /* RFC 9001 4.1.2 */
        send_token(conn);
    } else {
        yo_tls_client_done(ssl);
    }
    if (endpoint->options.keepalive > 0) {
        ngtcp2_conn_set_keep_alive_timeout(quic, endpoint->options.keepalive);
    }
    return 0;
}

static int on_handshake_confirmed(ngtcp2_conn *quic, void *user)
{
    struct yo_quic_conn *conn = user;
    (void)quic;
    conn->confirmed = true;
    return 0;
}

/* ngtcp2 makes the next keys ahead of their use: the first ones when the handshake is
 * confirmed, then others after each change (RFC 9001 6.3). */
static int on_update_key(ngtcp2_conn *quic, uint8_t *rx_secret, uint8_t *tx_secret,
                         ngtcp2_crypto_aead_ctx *rx, uint8_t *rx_iv,
                         ngtcp2_crypto_aead_ctx *tx, uint8_t *tx_iv,
                         const uint8_t *rx_now, const uint8_t *tx_now, size_t size,
                         void *user)
{
    struct yo_quic_conn *conn = user;
    conn->endpoint->stats.key_updates += conn->has_next_keys;
    conn->has_next_keys = true;
    return ngtcp2_crypto_update_key_cb(quic, rx_secret, tx_secret, rx, rx_iv, tx, tx_iv,
                                       rx_now, tx_now, size, user);
}

void yo_quic_conn_renew_keys(struct yo_quic_conn *conn, yo_time now)
{
    /* Not before the handshake is confirmed (RFC 9001 6), which ngtcp2 asserts, and not
     * while the last change is under way: then after one of the next packets. */
    if (conn->confirmed && ngtcp2_conn_initiate_key_update(conn->quic, now) == 0) {
        conn->packets_out = 0;
    }
}

/* For the next connection (RFC 9000 8.1.3). */
static int on_new_token(ngtcp2_conn *quic, const uint8_t *token, size_t size,
                        void *user)
{
    struct yo_quic_conn *conn = user;
    (void)quic;
    yo_tls_client_keep_token(ngtcp2_crypto_ossl_ctx_get_ssl(conn->tls),
                             yo_span(token, size));
    return 0;
}

static int on_stateless_reset(ngtcp2_conn *quic,
                              const ngtcp2_pkt_stateless_reset2 *reset, void *user)
{
    struct yo_quic_conn *conn = user;
    (void)quic, (void)reset;
    yo_quic_conn_note_end(
        conn, &(struct yo_wt_end){.remote = true,
                                  .error = YOMO_ERR_CLOSED,
                                  .text = yo_span_of("the peer does not know the "
                                                     "connection any more")});
    return 0;
}

static const ngtcp2_callbacks callbacks = {
    .client_initial = ngtcp2_crypto_client_initial_cb,
    .recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
    .recv_crypto_data = on_crypto,
    .handshake_completed = on_handshake_completed,
    .encrypt = ngtcp2_crypto_encrypt_cb,
    .decrypt = on_decrypt,
    .hp_mask = ngtcp2_crypto_hp_mask_cb,
    .recv_stream_data = on_stream_data,
    .acked_stream_data_offset = on_acked,
    .stream_close = on_stream_close,
    .recv_retry = ngtcp2_crypto_recv_retry_cb,
    .extend_max_local_streams_bidi = on_streams_allowed,
    .extend_max_local_streams_uni = on_streams_allowed,
    .rand = on_rand,
    .remove_connection_id = on_retire_id,
    .update_key = on_update_key,
    .path_validation = on_path_validated,
    .handshake_confirmed = on_handshake_confirmed,
    .stream_reset = on_stream_reset,
    .extend_max_remote_streams_bidi = on_streams_max,
    .extend_max_stream_data = on_unblocked,
    .delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
    .delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
    .recv_datagram = on_datagram,
    .ack_datagram = on_datagram_acked,
    .lost_datagram = on_datagram_lost,
    .recv_new_token = on_new_token,
    .version_negotiation = ngtcp2_crypto_version_negotiation_cb,
    .recv_rx_key = on_rx_key,
    .recv_tx_key = on_tx_key,
    .recv_stateless_reset2 = on_stateless_reset,
    .get_new_connection_id2 = on_new_id,
    .get_path_challenge_data2 = ngtcp2_crypto_get_path_challenge_data2_cb,
};

/* --- Settings --------------------------------------------------------------------- */

static void on_qlog(void *user, uint32_t flags, const void *data, size_t size)
{
    struct yo_quic_conn *conn = user;
    const ngtcp2_cid *id = &conn->trace_id; /* the first lines come out of ngtcp2's
                                               constructor, of which it knows nothing */
    struct yo_endpoint *endpoint = conn->endpoint;
    if (endpoint->events->on_qlog) {
        endpoint->events->on_qlog(endpoint->user, yo_span(id->data, id->datalen),
                                  yo_span(data, size),
                                  (flags & NGTCP2_QLOG_WRITE_FLAG_FIN) != 0);
    }
}

static void fill_settings(const struct yo_endpoint *endpoint, ngtcp2_settings *settings,
                          yo_time now)
{
    static const ngtcp2_cc_algo algorithms[] = {
        [YO_CONGESTION_CUBIC] = NGTCP2_CC_ALGO_CUBIC,
        [YO_CONGESTION_RENO] = NGTCP2_CC_ALGO_RENO,
        [YO_CONGESTION_BBR] = NGTCP2_CC_ALGO_BBR,
    };
    ngtcp2_settings_default(settings);
    settings->initial_ts = now;
    settings->cc_algo = algorithms[endpoint->options.congestion];
    settings->handshake_timeout = endpoint->options.handshake;
    settings->qlog_write = endpoint->options.qlog ? on_qlog : NULL;
}

static void fill_params(const struct yo_endpoint *endpoint,
                        ngtcp2_transport_params *params)
{
    ngtcp2_transport_params_default(params);
    params->initial_max_stream_data_bidi_local = YO_WT_STREAM_WINDOW;
    params->initial_max_stream_data_bidi_remote = YO_WT_STREAM_WINDOW;
    params->initial_max_stream_data_uni = YO_WT_STREAM_WINDOW;
    params->initial_max_data = YO_WT_CONN_WINDOW;
    params->initial_max_streams_bidi = YO_WT_STREAMS_MAX;
    params->initial_max_streams_uni = YO_WT_STREAMS_MAX + HTTP_STREAMS;
    params->max_idle_timeout = endpoint->options.idle;
    params->max_ack_delay = YO_QUIC_ACK_DELAY;
    params->max_datagram_frame_size = 65535;
    params->grease_quic_bit = 1;
}

static ngtcp2_conn *get_conn(ngtcp2_crypto_conn_ref *ref)
{
    return YO_CONTAINER(ref, struct yo_quic_conn, ref)->quic;
}

/* `ssl`, which is ours from here, becomes the connection's. */
static int take_tls(struct yo_quic_conn *conn, SSL *ssl)
{
    if (!ssl) {
        return YOMO_ERR_NOMEM;
    }
    if (ngtcp2_crypto_ossl_ctx_new(&conn->tls, ssl) != 0) {
        conn->tls = NULL;
        SSL_free(ssl);
        return YOMO_ERR_NOMEM;
    }
    conn->ref.get_conn = get_conn;
    SSL_set_app_data(ssl, &conn->ref);
    int rv = conn->server ? ngtcp2_crypto_ossl_configure_server_session(ssl)
                          : ngtcp2_crypto_ossl_configure_client_session(ssl);
    if (rv != 0) {
        return YOMO_ERR_TLS_SETUP;
    }
    if (conn->server) {
        SSL_set_accept_state(ssl);
    } else {
        SSL_set_connect_state(ssl);
    }
    return YOMO_OK;
}

int yo_quic_setup_server(struct yo_quic_conn *conn, const struct yo_quic_packet *packet,
                         const ngtcp2_pkt_hd *header, const ngtcp2_cid *original_dcid,
                         const ngtcp2_cid *scid, ngtcp2_token_type token_type,
                         yo_time now)
{
    struct yo_endpoint *endpoint = conn->endpoint;
    ngtcp2_settings settings;
    ngtcp2_transport_params params;
    ngtcp2_path path;
    int rv = take_tls(conn, SSL_new(yo_tls_server_quic(endpoint->tls)));

    if (rv != YOMO_OK) {
        return rv;
    }
    fill_settings(endpoint, &settings, now);
    settings.token = header->token;
    settings.tokenlen = token_type == NGTCP2_TOKEN_TYPE_UNKNOWN ? 0 : header->tokenlen;
    settings.token_type = token_type;
    fill_params(endpoint, &params);
    params.original_dcid = original_dcid ? *original_dcid : header->dcid;
    params.original_dcid_present = 1;
    conn->trace_id = params.original_dcid;
    if (original_dcid) {
        params.retry_scid = header->dcid;
        params.retry_scid_present = 1;
    }
    params.stateless_reset_token_present = 1;
    if (ngtcp2_crypto_generate_stateless_reset_token(
            params.stateless_reset_token, endpoint->secrets.reset,
            sizeof(endpoint->secrets.reset), scid) != 0) {
        return YOMO_ERR_TLS_SETUP;
    }
    yo_quic_path(&path, packet->socket, packet->local, packet->remote);
    if (ngtcp2_conn_server_new(&conn->quic, &header->scid, scid, &path, header->version,
                               &callbacks, &settings, &params, &endpoint->quic_mem.quic,
                               conn) != 0) {
        conn->quic = NULL;
        return YOMO_ERR_NOMEM;
    }
    ngtcp2_conn_set_tls_native_handle(conn->quic, conn->tls);
    return YOMO_OK;
}

int yo_quic_setup_client(struct yo_quic_conn *conn,
                         const struct yo_endpoint_connect *options, yo_time now)
{
    struct yo_endpoint *endpoint = conn->endpoint;
    ngtcp2_settings settings;
    ngtcp2_transport_params params;
    ngtcp2_path path;
    ngtcp2_cid dcid, scid = {0};
    uint8_t token[YO_TLS_TOKEN_MAX]; /* ngtcp2 makes a copy */

    SSL *ssl = SSL_new(yo_tls_client_quic(options->tls));
    int rv = take_tls(conn, ssl);
    if (rv == YOMO_OK) {
        rv = yo_tls_client_expect(options->tls, ssl, &options->peer);
    }
    if (rv != YOMO_OK) {
        return rv;
    }
    dcid.datalen = YO_CID_SIZE;
    yo_rand_bytes(dcid.data, dcid.datalen);
    conn->trace_id = dcid;
    fill_settings(endpoint, &settings, now);
    settings.token = token;
    settings.tokenlen = yo_tls_client_token(ssl, token);
    fill_params(endpoint, &params);
    params.initial_max_streams_bidi = YO_WT_STREAMS_MAX;
    yo_quic_path(&path, options->socket, options->local, options->remote);
    if (ngtcp2_conn_client_new(&conn->quic, &dcid, &scid, &path, NGTCP2_PROTO_VER_V1,
                               &callbacks, &settings, &params, &endpoint->quic_mem.quic,
                               conn) != 0) {
        conn->quic = NULL;
        return YOMO_ERR_NOMEM;
    }
    ngtcp2_conn_set_tls_native_handle(conn->quic, conn->tls);
    return YOMO_OK;
}
