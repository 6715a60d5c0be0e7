/* SPDX-License-Identifier: MIT */
/* endpoint.c - the switchboard: packets to connections, time to connections, and one
 * pass over those that were touched.
 *
 * Invariants:
 *  1. a connection that has something to do is in `dirty`; then a turn is due or under
 * way
 *     (`woken`), or the socket is `blocked`;
 *  2. only yo_endpoint_turn frees connections. */
#include "transport/webtransport/endpoint.h"

#include <assert.h>
#include <ngtcp2/ngtcp2_crypto_ossl.h>
#include <openssl/crypto.h>
#include <yomo/error.h>

#include "transport/webtransport/conn.h"
#include "transport/webtransport/inside.h"

static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;
static int once_rv;

static void init_once(void)
{
    once_rv = ngtcp2_crypto_ossl_init();
}

int yo_endpoint_create(struct yo_endpoint **out,
                       const struct yo_endpoint_options *options,
                       const struct yo_endpoint_events *events, void *user)
{
    if (!CRYPTO_THREAD_run_once(&once, init_once) || once_rv != 0) {
        return YOMO_ERR_TLS_SETUP;
    }
    struct yo_endpoint *endpoint = yo_calloc(options->mem, 1, sizeof(*endpoint));
    if (!endpoint) {
        return YOMO_ERR_NOMEM;
    }
    endpoint->options = *options;
    endpoint->options.secret = NULL;
    endpoint->mem = options->mem;
    endpoint->log = options->log;
    endpoint->events = events;
    endpoint->user = user;
    yo_quic_mem_init(&endpoint->quic_mem, options->mem);
    endpoint->crowd = options->crowd;
    int rv = yo_secrets_init(&endpoint->secrets, options->secret);
    if (rv == YOMO_OK && !endpoint->crowd && options->server) {
        rv = yo_crowd_create(&endpoint->own_crowd, options->mem,
                             options->connections_max,
                             options->connections_per_address_max);
        endpoint->crowd = endpoint->own_crowd;
        if (rv != YOMO_OK) {
            yo_secrets_finish(&endpoint->secrets);
        }
    }
    if (rv != YOMO_OK) {
        yo_free(options->mem, endpoint);
        return rv;
    }
    endpoint->growth.left = YO_WT_GROWTH_MAX;
    yo_list_init(&endpoint->conns);
    yo_list_init(&endpoint->dirty);
    yo_heap_init(&endpoint->timers, endpoint->mem);
    yo_cid_map_init(&endpoint->ids, endpoint->mem);
    yo_stubs_init(&endpoint->stubs, endpoint->mem, &endpoint->ids);
    *out = endpoint;
    return YOMO_OK;
}

void yo_endpoint_destroy(struct yo_endpoint *endpoint)
{
    if (!endpoint) {
        return;
    }
    while (!yo_list_empty(&endpoint->conns)) {
        yo_quic_conn_destroy(
            YO_CONTAINER(endpoint->conns.next, struct yo_quic_conn, link));
    }
    yo_stubs_finish(&endpoint->stubs);
    yo_cid_map_finish(&endpoint->ids);
    yo_crowd_destroy(endpoint->own_crowd);
    yo_heap_finish(&endpoint->timers);
    yo_secrets_finish(&endpoint->secrets);
    yo_tls_server_unref(endpoint->tls);
    yo_free(endpoint->mem, endpoint);
}

void yo_endpoint_set_tls(struct yo_endpoint *endpoint, struct yo_tls_server *tls)
{
    struct yo_tls_server *old = endpoint->tls;
    endpoint->tls = yo_tls_server_ref(tls);
    yo_tls_server_unref(old);
}

void yo_endpoint_wake(struct yo_endpoint *endpoint)
{
    if (!endpoint->woken) {
        endpoint->woken = true;
        endpoint->events->on_wake(endpoint->user);
    }
}

/* --- In --------------------------------------------------------------------------- */

static void stub_packet(struct yo_endpoint *endpoint, struct yo_stub *stub,
                        const struct yo_quic_packet *packet)
{
    struct yo_span answer = yo_stub_packet(stub, packet->bytes.size);
    if (answer.size > 0) {
        ngtcp2_path path;
        yo_quic_path(&path, packet->socket, packet->local, packet->remote);
        yo_endpoint_send(endpoint, &path, 0, answer);
    }
}

void yo_endpoint_packet(struct yo_endpoint *endpoint,
                        const struct yo_quic_packet *packet, bool handed_over,
                        yo_time now)
{
    ngtcp2_version_cid version;

    endpoint->stats.packets_in++;
    endpoint->stats.bytes_in += packet->bytes.size;
    if (packet->bytes.size ==
        0) { /* UDP knows such, ngtcp2 asserts that there are none */
        endpoint->stats.packets_bad++;
        return;
    }
    if (!endpoint->options.server) {
        if (endpoint->only) {
            yo_quic_conn_read(endpoint->only, packet, now);
        }
        return;
    }
    int rv = ngtcp2_pkt_decode_version_cid(&version, packet->bytes.data,
                                           packet->bytes.size, YO_CID_SIZE);
    if (rv == NGTCP2_ERR_VERSION_NEGOTIATION) {
        yo_endpoint_version_negotiation(endpoint, packet, &version);
        return;
    }
    if (rv != 0) {
        endpoint->stats.packets_bad++;
        return;
    }
    struct yo_span dcid = yo_span(version.dcid, version.dcidlen);
    struct yo_cid_owner *owner = yo_cid_map_find(&endpoint->ids, dcid);
    if (!owner) {
        bool long_header = (packet->bytes.data[0] & 0x80) != 0;
        yo_endpoint_unknown(endpoint, packet, dcid, long_header, handed_over, now);
    } else if (owner->stub) {
        stub_packet(endpoint, (struct yo_stub *)owner, packet);
    } else {
        yo_quic_conn_read((struct yo_quic_conn *)owner, packet, now);
    }
}

/* --- Time ------------------------------------------------------------------------- */

void yo_endpoint_tick(struct yo_endpoint *endpoint, yo_time now)
{
    struct yo_heap_node *node;
    while ((node = yo_heap_first(&endpoint->timers)) && node->when <= now) {
        struct yo_quic_conn *conn = YO_CONTAINER(node, struct yo_quic_conn, timer);
        yo_time due = conn->state == YO_QUIC_OVER ? now : yo_quic_conn_due(conn);
        if (due > now) { /* it was put off since */
            yo_heap_set(&endpoint->timers, node, due);
            continue;
        }
        yo_heap_set(&endpoint->timers, node, YO_NEVER); /* set anew, or by its turn */
        yo_quic_conn_expire(conn, now);
    }
    yo_stubs_tick(&endpoint->stubs, now);
}

yo_time yo_endpoint_deadline(const struct yo_endpoint *endpoint)
{
    struct yo_heap_node *node = yo_heap_first(&endpoint->timers);
    yo_time stubs = yo_stubs_deadline(&endpoint->stubs);
    return node ? yo_time_min(node->when, stubs) : stubs;
}

/* --- Out -------------------------------------------------------------------------- */

uint8_t *yo_endpoint_space(struct yo_endpoint *endpoint, void *socket, size_t size)
{
    if (endpoint->blocked && !endpoint->closing) {
        return NULL;
    }
    uint8_t *space = endpoint->events->space(endpoint->user, socket, size);
    endpoint->blocked = space == NULL;
    return space;
}

static void count_out(struct yo_endpoint *endpoint, size_t size, size_t segment)
{
    endpoint->stats.bytes_out += size;
    endpoint->stats.packets_out += segment ? (size + segment - 1) / segment : 1;
}

void yo_endpoint_sent(struct yo_quic_conn *conn, uint8_t *out, const ngtcp2_path *path,
                      uint8_t ecn, size_t size, size_t segment)
{
    struct yo_endpoint *endpoint = conn->endpoint;
    conn->packets_out += (size + segment - 1) / segment;
    if (path->user_data == conn->socket) {
        count_out(endpoint, size, segment);
        endpoint->events->commit(endpoint->user, conn->socket, path->local.addr,
                                 path->remote.addr, ecn, size, segment);
        return;
    }
    for (size_t at = 0; at < size; at += segment) { /* a probe of another path */
        size_t n = size - at < segment ? size - at : segment;
        yo_endpoint_send(endpoint, path, ecn, yo_span(out + at, n));
    }
}

void yo_endpoint_send(struct yo_endpoint *endpoint, const ngtcp2_path *path,
                      uint8_t ecn, struct yo_span bytes)
{
    struct yo_quic_packet packet = {.socket = path->user_data,
                                    .local = path->local.addr,
                                    .remote = path->remote.addr,
                                    .ecn = ecn,
                                    .bytes = bytes};
    count_out(endpoint, bytes.size, 0);
    endpoint->events->send(endpoint->user, &packet);
}

void yo_endpoint_turn(struct yo_endpoint *endpoint, yo_time now)
{
    struct yo_link batch, *link;
    if (endpoint->blocked) {
        return; /* `woken` stays: nothing is due until yo_endpoint_writable */
    }
    yo_list_init(&batch);
    yo_list_splice(&batch, &endpoint->dirty);
    endpoint->woken = true; /* no need to be woken for what is touched in here */
    while (!endpoint->blocked && (link = yo_list_pop_front(&batch))) {
        yo_quic_conn_turn(YO_CONTAINER(link, struct yo_quic_conn, dirty), now);
    }
    if (endpoint->blocked) {
        yo_list_splice(&batch, &endpoint->dirty);
        yo_list_splice(&endpoint->dirty, &batch);
        return;
    }
    /* What was touched meanwhile waits for the next turn, so that this one ends. */
    endpoint->woken = false;
    if (!yo_list_empty(&endpoint->dirty)) {
        yo_endpoint_wake(endpoint);
    }
    if (endpoint->closing && yo_list_empty(&endpoint->conns) && !endpoint->told_empty) {
        endpoint->told_empty = true;
        if (endpoint->events->on_empty) {
            endpoint->events->on_empty(endpoint->user);
        }
    }
}

void yo_endpoint_writable(struct yo_endpoint *endpoint)
{
    endpoint->blocked = false;
    endpoint->woken = false;
    if (!yo_list_empty(&endpoint->dirty)) {
        yo_endpoint_wake(endpoint);
    }
}

/* --- The end, and numbers --------------------------------------------------------- */

void yo_endpoint_drain(struct yo_endpoint *endpoint)
{
    endpoint->draining = true;
}

void yo_endpoint_close(struct yo_endpoint *endpoint)
{
    endpoint->closing = true;
    endpoint->blocked = false;
    endpoint->woken = false;
    YO_LIST_EACH(link, next, &endpoint->conns)
    {
        struct yo_quic_conn *conn = YO_CONTAINER(link, struct yo_quic_conn, link);
        yo_quic_conn_note_end(conn, &(struct yo_wt_end){.error = YOMO_ERR_CLOSED});
        yo_quic_conn_over(conn, YO_QUIC_SILENT);
    }
    yo_endpoint_wake(endpoint);
}

bool yo_endpoint_empty(const struct yo_endpoint *endpoint)
{
    return yo_list_empty(&endpoint->conns);
}

void yo_endpoint_unreachable(struct yo_endpoint *endpoint, int error)
{
    struct yo_quic_conn *conn = endpoint->only;
    if (conn && conn->state == YO_QUIC_HANDSHAKE) {
        yo_quic_conn_note_end(conn,
                              &(struct yo_wt_end){.remote = true, .error = error});
        yo_quic_conn_over(conn, YO_QUIC_SILENT);
    }
}

void *yo_endpoint_socket(const struct yo_endpoint *endpoint)
{
    return endpoint->only ? endpoint->only->socket : NULL;
}

int yo_endpoint_migrate(struct yo_endpoint *endpoint, void *socket,
                        const struct sockaddr *local, bool gone, yo_time now)
{
    struct yo_quic_conn *conn = endpoint->only;
    return conn ? yo_quic_conn_migrate(conn, socket, local, gone, now) : YOMO_ERR_STATE;
}

void yo_endpoint_stats(const struct yo_endpoint *endpoint,
                       struct yo_endpoint_stats *stats)
{
    *stats = endpoint->stats;
}
