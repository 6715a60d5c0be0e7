/* SPDX-License-Identifier: MIT */
/* listen_quic.c
 *
 * The endpoint says that a request waits; it becomes a yo_incoming that the application
 * answers. Closing aborts all connections and frees the door from a task of its own, so
 * that it is not pulled away from under the endpoint's turn. */
#include "transport/listen_quic.h"

#include <yomo/error.h>

#include "transport/messages/messages.h"
#include "transport/quic_link.h"

struct yo_quic_door {
    struct yo_quic_link link; /* first */
    const struct yo_listener_events *events;
    void *user;
    size_t message_size_max, queue_size_max;
    uint64_t messages_bad; /* of those who were accepted */
    bool closing, empty;
    void (*on_closed)(void *user);
    void *closed_user;
};

struct incoming {
    struct yo_incoming base; /* first */
    struct yo_quic_door *door;
    struct yo_wt_session *session; /* its request */
};

static void free_incoming(struct incoming *incoming)
{
    yo_free(yo_loop_mem(incoming->door->link.loop), incoming);
}

/* --- Requests --------------------------------------------------------------------- */

static struct yo_wt_session *incoming_accept_session(struct yo_incoming *base,
                                                     const struct yo_response *response)
{
    struct incoming *incoming = (struct incoming *)base;
    struct yo_wt_session *session = yo_quic_accept_session(incoming->session, response);
    free_incoming(incoming);
    return session;
}

static struct yo_conn *incoming_accept(struct yo_incoming *base,
                                       const struct yo_response *response,
                                       const struct yo_conn_events *events, void *user)
{
    struct yo_quic_door *door = ((struct incoming *)base)->door;
    struct yo_messages_options options = {
        .mem = yo_loop_mem(door->link.loop),
        .server = true,
        .extension = response->extension,
        .message_size_max = door->message_size_max,
        .datagram_size_max = response->datagram_size_max,
        .queue_size_max = door->queue_size_max,
        .messages_bad = &door->messages_bad,
    };
    return yo_messages_create(incoming_accept_session(base, response), &options, events,
                              user);
}

static void incoming_refuse(struct yo_incoming *base,
                            const struct yo_response *response)
{
    struct incoming *incoming = (struct incoming *)base;
    yo_quic_refuse(incoming->session, response);
    free_incoming(incoming);
}

static void incoming_dismiss(struct yo_incoming *base, const struct yo_close *how)
{
    struct incoming *incoming = (struct incoming *)base;
    yo_quic_dismiss(incoming->session, how);
    free_incoming(incoming);
}

static const struct yo_incoming_ops incoming_ops = {
    incoming_accept, incoming_refuse, incoming_dismiss, incoming_accept_session};

static void on_request(void *user, struct yo_wt_session *session,
                       const struct yo_request *request, yo_time now)
{
    struct yo_quic_door *door = user;
    struct incoming *incoming =
        yo_calloc(yo_loop_mem(door->link.loop), 1, sizeof(*incoming));
    if (!incoming || !door->events->on_request) {
        struct yo_response busy = {.status = 503};
        yo_free(yo_loop_mem(door->link.loop), incoming);
        yo_quic_refuse(session, &busy);
        return;
    }
    incoming->base.ops = &incoming_ops;
    incoming->door = door;
    incoming->session = session;
    yo_quic_set_user(session, incoming);
    door->events->on_request(door->user, &incoming->base, request, now);
}

static void on_gone(void *user, struct yo_wt_session *session, yo_time now)
{
    struct yo_quic_door *door = user;
    struct incoming *incoming = yo_quic_user(session);
    if (door->events->on_gone) {
        door->events->on_gone(door->user, &incoming->base, now);
    }
    free_incoming(incoming);
}

/* --- Packets of other workers ----------------------------------------------------- */

static void on_foreign(void *user, uint16_t worker, const struct yo_quic_packet *packet,
                       yo_time now)
{
    struct yo_quic_door *door = user;
    struct yo_packet foreign = {
        .local = (const union yo_address *)(const void *)packet->local,
        .remote = (const union yo_address *)(const void *)packet->remote,
        .ecn = packet->ecn,
        .bytes = packet->bytes,
    };
    if (door->events->on_foreign_packet) {
        door->events->on_foreign_packet(door->user, worker, &foreign, now);
    }
}

static void on_fault(void *user, const char *address, const char *text, yo_time now)
{
    struct yo_quic_door *door = user;
    if (door->events->on_fault) {
        door->events->on_fault(door->user, address, text, now);
    }
}

/* The socket through which `packet` would have come, had it come to this worker. */
static struct yo_quic_socket *socket_for(struct yo_quic_door *door,
                                         const union yo_address *local)
{
    struct yo_quic_socket *found = NULL;
    for (size_t i = 0; i < door->link.count; i++) {
        struct yo_quic_socket *socket = &door->link.sockets[i];
        const union yo_address *own = yo_udp_local(socket->udp);
        if (yo_address_equal(own, local)) {
            return socket;
        }
        if (own->sa.sa_family == local->sa.sa_family && !found) {
            found = socket;
        }
    }
    return found;
}

void yo_quic_door_packet(struct yo_quic_door *door, const struct yo_packet *packet,
                         yo_time now)
{
    struct yo_quic_socket *socket = socket_for(door, packet->local);
    if (!socket || door->closing) {
        return;
    }
    struct yo_quic_packet quic = {.socket = socket,
                                  .local = &packet->local->sa,
                                  .remote = &packet->remote->sa,
                                  .ecn = packet->ecn,
                                  .bytes = packet->bytes};
    yo_endpoint_packet(door->link.endpoint, &quic, true, now);
}

/* --- Life ------------------------------------------------------------------------- */

static void on_empty(void *user)
{
    struct yo_quic_door *door = user;
    door->empty = true;
}

static void after_turn(struct yo_quic_link *link, yo_time now)
{
    struct yo_quic_door *door = (struct yo_quic_door *)link;
    (void)now;
    if (!door->empty) {
        return;
    }
    void (*on_closed)(void *) = door->on_closed;
    void *user = door->closed_user;
    const struct yomo_mem *mem = yo_loop_mem(link->loop);
    yo_quic_link_finish(link);
    yo_free(mem, door);
    if (on_closed) {
        on_closed(user);
    }
}

static const struct yo_endpoint_events endpoint_events = {
    YO_QUIC_LINK_EVENTS,      .on_request = on_request, .on_gone = on_gone,
    .on_foreign = on_foreign, .on_fault = on_fault,     .on_empty = on_empty,
};

int yo_quic_door_create(struct yo_quic_door **out, struct yo_loop *loop,
                        const struct yo_listener_options *options,
                        const struct yo_listener_events *events, void *user)
{
    struct yo_quic_door *door = yo_calloc(yo_loop_mem(loop), 1, sizeof(*door));
    if (!door) {
        return YOMO_ERR_NOMEM;
    }
    struct yo_endpoint_options endpoint = {
        .server = true,
        .worker = (uint16_t)options->worker,
        .workers = (uint16_t)options->workers,
        .secret = options->secret,
        .handshake = options->handshake_ms * YO_MS,
        .idle = options->idle_ms * YO_MS,
        .keepalive = options->keepalive_ms * YO_MS,
        .silence = options->silence_ms * YO_MS,
        .congestion = options->congestion,
        .key_update_packets = options->key_update_packets,
        .sessions = options->webtransport_sessions,
        .handshakes_max = options->handshakes_max,
        .crowd = options->crowd,
        .connections_max = options->connections_max,
        .connections_per_address_max = options->connections_per_address_max,
    };
    int rv = yo_quic_link_init(&door->link, loop, &endpoint, &endpoint_events,
                               options->qlog_dir);
    if (rv != YOMO_OK) {
        yo_free(yo_loop_mem(loop), door);
        return rv;
    }
    door->link.after_turn = after_turn;
    door->events = events;
    door->user = user;
    door->message_size_max = options->message_size_max;
    door->queue_size_max = options->queue_size_max;
    *out = door;
    return YOMO_OK;
}

int yo_quic_door_add(struct yo_quic_door *door, int fd)
{
    struct yo_quic_socket *socket;
    return yo_quic_link_add(&door->link, fd, NULL, &socket);
}

void yo_quic_door_set_tls(struct yo_quic_door *door, struct yo_tls_server *tls)
{
    yo_endpoint_set_tls(door->link.endpoint, tls);
}

void yo_quic_door_stats(const struct yo_quic_door *door,
                        struct yo_listener_stats *stats)
{
    struct yo_endpoint_stats quic;
    yo_endpoint_stats(door->link.endpoint, &quic);
    stats->accepted_webtransport += quic.accepted;
    stats->refused += quic.refused;
    stats->handshakes_failed += quic.handshakes_failed;
    stats->connections_now += quic.connections_now;
    stats->handshakes_now += quic.handshakes_now;
    stats->packets_in += quic.packets_in;
    stats->packets_out += quic.packets_out;
    stats->packets_bad += quic.packets_bad;
    stats->bytes_in += quic.bytes_in;
    stats->bytes_out += quic.bytes_out;
    stats->handshakes_quic_full += quic.handshakes_full;
    stats->handshakes_quic_resumed += quic.handshakes_resumed;
    stats->retries += quic.retries;
    stats->proven_retry += quic.proven_retry;
    stats->proven_token += quic.proven_token;
    stats->version_negotiations += quic.version_negotiations;
    stats->key_updates += quic.key_updates;
    stats->stateless_resets += quic.stateless_resets;
    stats->datagrams_lost += quic.datagrams_lost;
    stats->messages_bad += quic.messages_bad + door->messages_bad;
}

void yo_quic_door_drain(struct yo_quic_door *door)
{
    yo_endpoint_drain(door->link.endpoint);
}

void yo_quic_door_close(struct yo_quic_door *door, void (*on_closed)(void *user),
                        void *user)
{
    if (door->closing) {
        return;
    }
    door->closing = true;
    door->on_closed = on_closed;
    door->closed_user = user;
    yo_endpoint_close(door->link.endpoint);
}
