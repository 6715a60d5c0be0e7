/* SPDX-License-Identifier: MIT */
/* accept.c - packets that belong to no connection here.
 *
 * In this order: another worker's connection; a connection that was ours and is gone
 * (stateless reset); a first packet. A first packet is refused when there are too many
 * connections, and has to prove its address (Retry, RFC 9000 8.1.2) when there are many
 * handshakes under way: what has no state yet costs one packet and no memory. */
#include <assert.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <yomo/error.h>

#include "base/rand.h"
#include "transport/webtransport/conn.h"
#include "transport/webtransport/inside.h"

#define RETRY_VALID (10 * YO_SECOND)
#define TOKEN_VALID (3600 * YO_SECOND)
#define RESETS_PER_SECOND 100.0 /* stateless answers, for all peers together */
#define RESETS_BURST 200.0
#define HANDSHAKES_HARD 4 /* times handshakes_max: nothing more, token or not */

/* May a packet be answered without state now? */
static bool may_answer(struct yo_endpoint *endpoint, yo_time now)
{
    double passed = (double)(now - endpoint->reset_time) / (double)YO_SECOND;
    endpoint->reset_time = now;
    endpoint->reset_tokens += passed * RESETS_PER_SECOND;
    if (endpoint->reset_tokens > RESETS_BURST) {
        endpoint->reset_tokens = RESETS_BURST;
    }
    if (endpoint->reset_tokens < 1) {
        return false;
    }
    endpoint->reset_tokens -= 1;
    return true;
}

static void answer(struct yo_endpoint *endpoint, const struct yo_quic_packet *packet,
                   struct yo_span bytes)
{
    ngtcp2_path path;
    yo_quic_path(&path, packet->socket, packet->local, packet->remote);
    yo_endpoint_send(endpoint, &path, 0, bytes);
}

/* RFC 9000 10.3: smaller than what it answers, so that no two of us go on for ever. */
static void stateless_reset(struct yo_endpoint *endpoint,
                            const struct yo_quic_packet *packet, struct yo_span dcid,
                            yo_time now)
{
    uint8_t out[64], noise[64];
    ngtcp2_stateless_reset_token token;
    ngtcp2_cid cid;
    size_t room = packet->bytes.size - 1 < 43 ? packet->bytes.size - 1 : 43;

    if (packet->bytes.size < 2 ||
        room < NGTCP2_MIN_STATELESS_RESET_RANDLEN + NGTCP2_STATELESS_RESET_TOKENLEN ||
        !may_answer(endpoint, now)) {
        return;
    }
    size_t noise_size = room - NGTCP2_STATELESS_RESET_TOKENLEN;
    ngtcp2_cid_init(&cid, dcid.data, dcid.size);
    if (ngtcp2_crypto_generate_stateless_reset_token(
            token.data, endpoint->secrets.reset, sizeof(endpoint->secrets.reset),
            &cid) != 0) {
        return;
    }
    yo_rand_bytes(noise, noise_size);
    ngtcp2_ssize n =
        ngtcp2_pkt_write_stateless_reset2(out, sizeof(out), &token, noise, noise_size);
    if (n > 0) {
        endpoint->stats.stateless_resets++;
        answer(endpoint, packet, yo_span(out, (size_t)n));
    }
}

void yo_endpoint_version_negotiation(struct yo_endpoint *endpoint,
                                     const struct yo_quic_packet *packet,
                                     const ngtcp2_version_cid *version)
{
    static const uint32_t versions[] = {
        NGTCP2_PROTO_VER_V1, NGTCP2_PROTO_VER_V2,
        0x0a0a0a0a /* so that nobody gets used to two */};
    uint8_t out[256], noise;
    yo_rand_bytes(&noise, 1);
    ngtcp2_ssize n = ngtcp2_pkt_write_version_negotiation(
        out, sizeof(out), noise, version->scid, version->scidlen, version->dcid,
        version->dcidlen, versions, sizeof(versions) / sizeof(versions[0]));
    if (n > 0) {
        endpoint->stats.version_negotiations++;
        answer(endpoint, packet, yo_span(out, (size_t)n));
    }
}

static void send_retry(struct yo_endpoint *endpoint,
                       const struct yo_quic_packet *packet, const ngtcp2_pkt_hd *header,
                       yo_time now)
{
    uint8_t token[NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN2];
    uint8_t out[512];
    ngtcp2_cid scid = {.datalen = YO_CID_SIZE};

    if (yo_cid_make(&endpoint->secrets, endpoint->options.worker, scid.data) !=
        YOMO_OK) {
        return;
    }
    ngtcp2_ssize n = ngtcp2_crypto_generate_retry_token2(
        token, endpoint->secrets.token, sizeof(endpoint->secrets.token),
        header->version, packet->remote, yo_sockaddr_size(packet->remote), &scid,
        &header->dcid, now);
    if (n <= 0) {
        return;
    }
    n = ngtcp2_crypto_write_retry(out, sizeof(out), header->version, &header->scid,
                                  &scid, &header->dcid, token, (size_t)n);
    if (n > 0) {
        endpoint->stats.retries++;
        answer(endpoint, packet, yo_span(out, (size_t)n));
    }
}

static void refuse(struct yo_endpoint *endpoint, const struct yo_quic_packet *packet,
                   const ngtcp2_pkt_hd *header, uint64_t code, yo_time now)
{
    uint8_t out[NGTCP2_MAX_UDP_PAYLOAD_SIZE];
    endpoint->stats.refused++;
    if (!may_answer(endpoint, now)) {
        return;
    }
    ngtcp2_ssize n = ngtcp2_crypto_write_connection_close(
        out, sizeof(out), header->version, &header->scid, &header->dcid, code, NULL, 0);
    if (n > 0) {
        answer(endpoint, packet, yo_span(out, (size_t)n));
    }
}

void yo_endpoint_handshake_failed(const struct yo_quic_conn *conn)
{
    struct yo_endpoint *endpoint = conn->endpoint;
    struct yo_span text = conn->end.text;
    uint32_t left_out;
    endpoint->stats.handshakes_failed++;
    if (endpoint->closing || !yo_log_may(&endpoint->failures, &left_out, conn->now)) {
        return;
    }
    YO_LOG_WITH(
        endpoint->log, YOMO_LOG_INFO, "webtransport",
        yo_log_error(yo_log_text(YO_LOG_NONE, "address", yo_span_of(conn->address)),
                     conn->end.error),
        "QUIC handshake failed: %s%s%.*s (%u more like it were not logged)",
        yomo_strerror(conn->end.error), text.size > 0 ? ": " : "", (int)text.size,
        text.data ? (const char *)text.data : "", left_out);
}

enum proof { NO_PROOF, PROVEN, WRONG };

/* What the token of a first packet is worth. `original` is set for a Retry's. */
static enum proof check_token(struct yo_endpoint *endpoint,
                              const struct yo_quic_packet *packet,
                              const ngtcp2_pkt_hd *header, ngtcp2_token_type *type,
                              ngtcp2_cid *original, bool *after_retry, yo_time now)
{
    const uint8_t *secret = endpoint->secrets.token;
    size_t size = sizeof(endpoint->secrets.token);
    socklen_t remote_size = yo_sockaddr_size(packet->remote);
    *type = NGTCP2_TOKEN_TYPE_UNKNOWN;
    *after_retry = false;
    if (header->tokenlen == 0) {
        return NO_PROOF;
    }
    if (header->token[0] == NGTCP2_CRYPTO_TOKEN_MAGIC_RETRY2) {
        int rv = ngtcp2_crypto_verify_retry_token2(
            original, header->token, header->tokenlen, secret, size, header->version,
            packet->remote, remote_size, &header->dcid, RETRY_VALID, now);
        if (rv != 0) {
            return rv == NGTCP2_CRYPTO_ERR_VERIFY_TOKEN ? WRONG : NO_PROOF;
        }
        *type = NGTCP2_TOKEN_TYPE_RETRY;
        *after_retry = true;
        return PROVEN;
    }
    if (header->token[0] == NGTCP2_CRYPTO_TOKEN_MAGIC_REGULAR &&
        ngtcp2_crypto_verify_regular_token(header->token, header->tokenlen, secret,
                                           size, packet->remote, remote_size,
                                           TOKEN_VALID, now) == 0) {
        *type = NGTCP2_TOKEN_TYPE_NEW_TOKEN;
        return PROVEN;
    }
    return NO_PROOF;
}

/* The IDs under which packets for `conn` will come. */
static int add_ids(struct yo_quic_conn *conn, const ngtcp2_pkt_hd *header)
{
    struct yo_endpoint *endpoint = conn->endpoint;
    ngtcp2_cid ids[4];
    size_t count = ngtcp2_conn_get_scid(conn->quic, NULL);
    assert(count <= sizeof(ids) / sizeof(ids[0])); /* a new connection has one */
    ngtcp2_conn_get_scid(conn->quic, ids);
    int rv = yo_cid_map_add(&endpoint->ids, &conn->owner,
                            yo_span(header->dcid.data, header->dcid.datalen));
    for (size_t i = 0; i < count && rv == YOMO_OK; i++) {
        rv = yo_cid_map_add(&endpoint->ids, &conn->owner,
                            yo_span(ids[i].data, ids[i].datalen));
    }
    return rv;
}

static void begin(struct yo_endpoint *endpoint, const struct yo_quic_packet *packet,
                  const ngtcp2_pkt_hd *header, const ngtcp2_cid *original,
                  ngtcp2_token_type type, yo_time now)
{
    struct yo_quic_conn *conn;
    struct yo_guest *guest;
    uint8_t key[9];
    ngtcp2_cid scid = {.datalen = YO_CID_SIZE};

    if (yo_crowd_enter(endpoint->crowd, yo_sockaddr_key(packet->remote, key), &guest) !=
        YOMO_OK) {
        refuse(endpoint, packet, header, NGTCP2_CONNECTION_REFUSED, now);
        return;
    }
    if (yo_quic_conn_create(&conn, endpoint, true) != YOMO_OK) {
        yo_crowd_leave(endpoint->crowd, guest);
        return;
    }
    endpoint->stats.proven_retry += type == NGTCP2_TOKEN_TYPE_RETRY;
    endpoint->stats.proven_token += type == NGTCP2_TOKEN_TYPE_NEW_TOKEN;
    conn->guest = guest;
    conn->counted_handshake = true;
    endpoint->stats.handshakes_now++;
    conn->now = now;
    conn->socket = packet->socket;
    conn->give_up = yo_time_after(now, endpoint->options.handshake);
    yo_sockaddr_print(packet->remote, conn->address);
    if (yo_cid_make(&endpoint->secrets, endpoint->options.worker, scid.data) !=
            YOMO_OK ||
        yo_quic_setup_server(conn, packet, header, original, &scid, type, now) !=
            YOMO_OK ||
        add_ids(conn, header) != YOMO_OK) {
        yo_quic_conn_destroy(conn);
        return;
    }
    if (yo_quic_conn_read(conn, packet, now) == NGTCP2_ERR_RETRY) {
        send_retry(endpoint, packet, header, now);
    }
}

static void first_packet(struct yo_endpoint *endpoint,
                         const struct yo_quic_packet *packet, yo_time now)
{
    const struct yo_endpoint_options *options = &endpoint->options;
    ngtcp2_token_type type;
    ngtcp2_pkt_hd header;
    ngtcp2_cid original;
    bool after_retry;

    if (ngtcp2_accept(&header, packet->bytes.data, packet->bytes.size) != 0) {
        endpoint->stats.packets_bad++;
        return;
    }
    if (!endpoint->tls || endpoint->closing || endpoint->draining) {
        refuse(endpoint, packet, &header, NGTCP2_CONNECTION_REFUSED, now);
        return;
    }
    enum proof proof =
        check_token(endpoint, packet, &header, &type, &original, &after_retry, now);
    if (proof == WRONG) {
        refuse(endpoint, packet, &header, NGTCP2_INVALID_TOKEN, now);
        return;
    }
    uint64_t handshakes = endpoint->stats.handshakes_now;
    if (handshakes >= (uint64_t)options->handshakes_max * HANDSHAKES_HARD) {
        endpoint->stats.refused++;
        return; /* too busy even to say so */
    }
    if (proof == NO_PROOF && handshakes >= options->handshakes_max) {
        send_retry(endpoint, packet, &header, now);
        return;
    }
    begin(endpoint, packet, &header, after_retry ? &original : NULL, type, now);
}

void yo_endpoint_unknown(struct yo_endpoint *endpoint,
                         const struct yo_quic_packet *packet, struct yo_span dcid,
                         bool long_header, bool handed_over, yo_time now)
{
    uint16_t worker;
    bool made_here = yo_cid_read(&endpoint->secrets, dcid, &worker);
    if (made_here && worker != endpoint->options.worker && !handed_over &&
        worker < endpoint->options.workers) {
        endpoint->stats.foreign++;
        if (endpoint->events->on_foreign) {
            endpoint->events->on_foreign(endpoint->user, worker, packet, now);
        }
        return;
    }
    if (long_header) {
        first_packet(endpoint, packet, now);
    } else if (made_here) {
        stateless_reset(endpoint, packet, dcid, now);
    } else {
        endpoint->stats.packets_bad++;
    }
}
