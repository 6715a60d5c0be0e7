/* SPDX-License-Identifier: MIT */
/* bulk_quic.c - the least that a transfer over QUIC costs with ngtcp2: no HTTP/3, no
 * sessions, no queues; streams are filled from one static buffer. */
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_ossl.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bulk.h"

#define CID_SIZE 16 /* as YO_CID_SIZE */
#define TRAIN 64000

struct side {
    struct bulk *bulk;
    struct yo_loop *loop;
    struct yo_udp *udp;
    struct yo_timer timer;
    struct yo_task task;
    union yo_address remote;
    ngtcp2_conn *quic;
    ngtcp2_crypto_ossl_ctx *tls;
    ngtcp2_crypto_conn_ref ref;
    bool server, open;
    int64_t ids[BULK_STREAMS_MAX];
    bool blocked[BULK_STREAMS_MAX];
    unsigned next;
    size_t
        at; /* in `content`: each byte is read in its turn, as by who has much to say */
    uint64_t bytes;
};

#define PIECE 65536
static const uint8_t
    content[2 * PIECE]; /* a whole piece from each byte of the first on */

/* --- ngtcp2's callbacks ------------------------------------------------------------
 */

static ngtcp2_conn *get_conn(ngtcp2_crypto_conn_ref *ref)
{
    return ((struct side *)ref->user_data)->quic;
}

/* Only the server gets any. */
static int on_data(ngtcp2_conn *quic, uint32_t flags, int64_t id, uint64_t offset,
                   const uint8_t *data, size_t size, void *user, void *stream)
{
    struct side *side = user;
    (void)flags, (void)offset, (void)data, (void)stream;
    side->bytes += size;
    bulk_received(side->bulk, side->bytes, 0);
    ngtcp2_conn_extend_max_stream_offset(quic, id, size);
    ngtcp2_conn_extend_max_offset(quic, size);
    return 0;
}

static int on_unblocked(ngtcp2_conn *quic, int64_t id, uint64_t max, void *user,
                        void *stream)
{
    struct side *side = user;
    (void)quic, (void)max, (void)stream;
    for (unsigned i = 0; i < side->bulk->streams; i++) {
        side->blocked[i] = side->blocked[i] && side->ids[i] != id;
    }
    return 0;
}

static int on_handshake(ngtcp2_conn *quic, void *user)
{
    struct side *side = user;
    side->open = true;
    for (unsigned i = 0; !side->server && i < side->bulk->streams; i++) {
        BULK_CHECK(ngtcp2_conn_open_uni_stream(quic, &side->ids[i], NULL) == 0);
    }
    return 0;
}

static void on_rand(uint8_t *dest, size_t size, const ngtcp2_rand_ctx *context)
{
    (void)context;
    RAND_bytes(dest, (int)size);
}

static int on_new_id(ngtcp2_conn *quic, ngtcp2_cid *cid,
                     ngtcp2_stateless_reset_token *token, size_t size, void *user)
{
    (void)quic, (void)user;
    RAND_bytes(cid->data, (int)size);
    RAND_bytes(token->data, sizeof(token->data));
    cid->datalen = size;
    return 0;
}

static const ngtcp2_callbacks callbacks = {
    .client_initial = ngtcp2_crypto_client_initial_cb,
    .recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
    .recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb,
    .encrypt = ngtcp2_crypto_encrypt_cb,
    .decrypt = ngtcp2_crypto_decrypt_cb,
    .hp_mask = ngtcp2_crypto_hp_mask_cb,
    .recv_retry = ngtcp2_crypto_recv_retry_cb,
    .update_key = ngtcp2_crypto_update_key_cb,
    .delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
    .delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
    .version_negotiation = ngtcp2_crypto_version_negotiation_cb,
    .rand = on_rand,
    .get_new_connection_id2 = on_new_id,
    .get_path_challenge_data2 = ngtcp2_crypto_get_path_challenge_data2_cb,
    .handshake_completed = on_handshake,
    .recv_stream_data = on_data,
    .extend_max_stream_data = on_unblocked,
};

/* --- A connection ------------------------------------------------------------------
 */

static void fill(ngtcp2_settings *settings, ngtcp2_transport_params *params,
                 yo_time now)
{
    ngtcp2_settings_default(settings);
    settings->initial_ts = now;
    settings->cc_algo = NGTCP2_CC_ALGO_CUBIC;
    settings->handshake_timeout = 10 * YO_SECOND;
    settings->max_stream_window = BULK_STREAM_WINDOW_MAX;
    settings->max_window = BULK_CONN_WINDOW_MAX;
    ngtcp2_transport_params_default(params);
    params->initial_max_stream_data_bidi_local = BULK_STREAM_WINDOW;
    params->initial_max_stream_data_bidi_remote = BULK_STREAM_WINDOW;
    params->initial_max_stream_data_uni = BULK_STREAM_WINDOW;
    params->initial_max_data = BULK_CONN_WINDOW;
    params->initial_max_streams_bidi = BULK_STREAMS_MAX;
    params->initial_max_streams_uni = BULK_STREAMS_MAX;
    params->max_idle_timeout = BULK_IDLE;
    params->max_datagram_frame_size = 65535;
}

static ngtcp2_path path_of(struct side *side)
{
    union yo_address *local = (union yo_address *)(uintptr_t)yo_udp_local(side->udp);
    return (ngtcp2_path){{&local->sa, yo_address_size(local)},
                         {&side->remote.sa, yo_address_size(&side->remote)},
                         NULL};
}

static void take_tls(struct side *side, SSL *ssl)
{
    BULK_CHECK(ssl && ngtcp2_crypto_ossl_ctx_new(&side->tls, ssl) == 0);
    side->ref = (ngtcp2_crypto_conn_ref){get_conn, side};
    SSL_set_app_data(ssl, &side->ref);
    if (side->server) {
        BULK_CHECK(ngtcp2_crypto_ossl_configure_server_session(ssl) == 0);
        SSL_set_accept_state(ssl);
    } else {
        BULK_CHECK(ngtcp2_crypto_ossl_configure_client_session(ssl) == 0);
        SSL_set_connect_state(ssl);
    }
}

static void begin_client(struct side *side, yo_time now)
{
    const struct yo_tls_peer peer = {"localhost", 0, true};
    ngtcp2_settings settings;
    ngtcp2_transport_params params;
    ngtcp2_cid dcid = {.datalen = CID_SIZE}, scid = {0};
    ngtcp2_path path = path_of(side);
    SSL *ssl = SSL_new(yo_tls_client_quic(side->bulk->client_tls));

    take_tls(side, ssl);
    BULK_CHECK(yo_tls_client_expect(side->bulk->client_tls, ssl, &peer) == YOMO_OK);
    RAND_bytes(dcid.data, CID_SIZE);
    fill(&settings, &params, now);
    BULK_CHECK(ngtcp2_conn_client_new(&side->quic, &dcid, &scid, &path,
                                      NGTCP2_PROTO_VER_V1, &callbacks, &settings,
                                      &params, NULL, side) == 0);
    ngtcp2_conn_set_tls_native_handle(side->quic, side->tls);
}

static bool begin_server(struct side *side, const struct yo_packet *packet, yo_time now)
{
    ngtcp2_settings settings;
    ngtcp2_transport_params params;
    ngtcp2_pkt_hd header;
    ngtcp2_cid scid = {.datalen = CID_SIZE};

    if (ngtcp2_accept(&header, packet->bytes.data, packet->bytes.size) != 0) {
        return false;
    }
    side->remote = *packet->remote;
    ngtcp2_path path = path_of(side);
    take_tls(side, SSL_new(yo_tls_server_quic(side->bulk->server_tls)));
    RAND_bytes(scid.data, CID_SIZE);
    fill(&settings, &params, now);
    params.original_dcid = header.dcid;
    params.original_dcid_present = 1;
    BULK_CHECK(ngtcp2_conn_server_new(&side->quic, &header.scid, &scid, &path,
                                      header.version, &callbacks, &settings, &params,
                                      NULL, side) == 0);
    ngtcp2_conn_set_tls_native_handle(side->quic, side->tls);
    return true;
}

/* --- Packets -----------------------------------------------------------------------
 */

static ngtcp2_ssize write_packet(ngtcp2_conn *quic, ngtcp2_path *path,
                                 ngtcp2_pkt_info *pi, uint8_t *dest, size_t size,
                                 ngtcp2_tstamp now, void *user)
{
    struct side *side = user;
    unsigned count = side->open && !side->server ? side->bulk->streams : 0;
    ngtcp2_vec vec = {(uint8_t *)(uintptr_t)content + side->at, PIECE};

    for (unsigned tried = 0; tried < count; tried++) {
        unsigned i = side->next++ % count;
        ngtcp2_ssize taken = -1;
        if (side->blocked[i] || ngtcp2_conn_get_max_data_left(quic) == 0) {
            continue;
        }
        ngtcp2_ssize n = ngtcp2_conn_writev_stream(quic, path, pi, dest, size, &taken,
                                                   NGTCP2_WRITE_STREAM_FLAG_MORE,
                                                   side->ids[i], &vec, 1, now);
        if (taken > 0) {
            side->at = (side->at + (size_t)taken) % PIECE;
        }
        if (n == NGTCP2_ERR_STREAM_DATA_BLOCKED) {
            side->blocked[i] = true;
        } else if (n != NGTCP2_ERR_WRITE_MORE) {
            return n;
        }
    }
    return ngtcp2_conn_writev_stream(quic, path, pi, dest, size, NULL,
                                     NGTCP2_WRITE_STREAM_FLAG_NONE, -1, NULL, 0, now);
}

static void write_all(struct side *side, yo_time now)
{
    size_t quantum = ngtcp2_conn_get_send_quantum(side->quic), sent = 0;
    ngtcp2_path_storage ps;
    ngtcp2_pkt_info pi;
    ngtcp2_ssize n = 1;

    ngtcp2_path_storage_zero(&ps);
    for (; n > 0 && sent < quantum; sent += (size_t)n) {
        size_t segment = 0;
        uint8_t *out = yo_udp_space(side->udp, TRAIN);
        if (!out) {
            break; /* on_writable goes on */
        }
        n = ngtcp2_conn_write_aggregate_pkt2(side->quic, &ps.path, &pi, out,
                                             quantum < TRAIN ? quantum : TRAIN,
                                             &segment, write_packet, 0, now);
        BULK_CHECK(n >= 0);
        if (n > 0) {
            yo_udp_commit(side->udp, yo_udp_local(side->udp), &side->remote, pi.ecn,
                          (size_t)n, segment ? segment : (size_t)n);
        }
    }
    ngtcp2_conn_update_pkt_tx_time(side->quic, now);
    yo_udp_flush(side->udp);
    yo_timer_set(&side->timer, ngtcp2_conn_get_expiry(side->quic));
}

static void on_task(struct yo_task *task, yo_time now)
{
    struct side *side = YO_CONTAINER(task, struct side, task);
    if (side->quic) {
        write_all(side, now);
    }
}

static void on_timer(struct yo_timer *timer, yo_time now)
{
    struct side *side = YO_CONTAINER(timer, struct side, timer);
    BULK_CHECK(ngtcp2_conn_handle_expiry(side->quic, now) == 0);
    yo_loop_defer(side->loop, &side->task);
}

static void on_packet(void *user, const struct yo_packet *packet, yo_time now)
{
    struct side *side = user;
    ngtcp2_pkt_info pi = {.ecn = packet->ecn};
    if (!side->quic && !(side->server && begin_server(side, packet, now))) {
        return;
    }
    ngtcp2_path path = path_of(side);
    int rv = ngtcp2_conn_read_pkt(side->quic, &path, &pi, packet->bytes.data,
                                  packet->bytes.size, now);
    BULK_CHECK(rv == 0);
    yo_loop_defer(side->loop, &side->task);
}

static void on_writable(void *user, yo_time now)
{
    struct side *side = user;
    (void)now;
    yo_loop_defer(side->loop, &side->task);
}

static const struct yo_udp_events udp_events = {.on_packet = on_packet,
                                                .on_writable = on_writable};

static void open_side(struct side *side, struct bulk *bulk, bool server)
{
    memset(side, 0, sizeof(*side));
    side->bulk = bulk;
    side->server = server;
    side->loop = bulk_loop(server ? bulk->server_mem : &yo_mem_libc);
    yo_timer_init(&side->timer, side->loop, on_timer);
    yo_task_init(&side->task, on_task);
}

static void done(void *user)
{
    struct side *side = user;
    SSL *ssl = ngtcp2_crypto_ossl_ctx_get_ssl(side->tls);
    yo_timer_stop(&side->timer);
    yo_task_cancel(&side->task);
    yo_udp_close(side->udp);
    ngtcp2_conn_del(side->quic);
    ngtcp2_crypto_ossl_ctx_del(side->tls);
    SSL_set_app_data(ssl, NULL);
    SSL_free(ssl);
    yo_loop_close(side->loop, NULL, NULL);
}

static double run(struct side *side)
{
    struct bulk_watch watch;
    bulk_watch(&watch, side->bulk, side->loop, done, side);
    yo_loop_run(side->loop);
    return watch.cpu;
}

void *bulk_quic_server(void *arg)
{
    struct bulk *bulk = arg;
    struct yo_udp_options options = {.buffer_size = 8 << 20};
    union yo_address any = {.in = {.sin_family = AF_INET}};
    struct side side;
    uint16_t port;

    open_side(&side, bulk, true);
    int fd = bulk_socket(&port);
    BULK_CHECK(yo_udp_open(&side.udp, side.loop, fd, &any, NULL, &options, &udp_events,
                           &side) == YOMO_OK);
    atomic_store(&bulk->port, port);
    bulk->server_cpu = run(&side);
    return NULL;
}

void *bulk_quic_client(void *arg)
{
    struct bulk *bulk = arg;
    struct yo_udp_options options = {.connected = true, .buffer_size = 1 << 20};
    union yo_address any = {.in = {.sin_family = AF_INET}};
    struct side side;

    open_side(&side, bulk, false);
    BULK_CHECK(yo_address_parse(&side.remote, "127.0.0.1", atomic_load(&bulk->port)) ==
               YOMO_OK);
    BULK_CHECK(yo_udp_open(&side.udp, side.loop, -1, &any, &side.remote, &options,
                           &udp_events, &side) == YOMO_OK);
    begin_client(&side, yo_loop_update(side.loop));
    yo_loop_defer(side.loop, &side.task);
    bulk->client_cpu = run(&side);
    return NULL;
}
