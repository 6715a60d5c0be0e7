/* SPDX-License-Identifier: MIT */
/* dial_quic.c
 *
 * A socket, an endpoint with one connection on it, and nothing else; all of it goes
 * when the connection has gone. */
#include "transport/dial_quic.h"

#include <yomo/error.h>

#include "transport/follow.h"
#include "transport/messages/messages.h"
#include "transport/quic_link.h"

#define HANDSHAKE_DEFAULT (10 * YO_SECOND)

struct yo_dialed {
    struct yo_quic_link link; /* first */
    struct yo_follow follow;
    uint64_t messages_bad; /* that its messages counted; nobody asks */
    void (*on_gone)(void *user);
    void *user;
};

static void release(struct yo_dialed *dialed)
{
    const struct yomo_mem *mem = yo_loop_mem(dialed->link.loop);
    yo_follow_end(&dialed->follow);
    yo_quic_link_finish(&dialed->link);
    yo_free(mem, dialed);
}

static void after_turn(struct yo_quic_link *link, yo_time now)
{
    (void)now;
    if (yo_endpoint_empty(link->endpoint)) {
        struct yo_dialed *dialed = (struct yo_dialed *)link;
        void (*on_gone)(void *) = dialed->on_gone;
        void *user = dialed->user;
        release(dialed);
        if (on_gone) {
            on_gone(user);
        }
    }
}

static const struct yo_endpoint_events endpoint_events = {YO_QUIC_LINK_EVENTS};

/* RFC 3986 3.2.2: a literal IPv6 address stands in brackets. */
static int make_authority(struct yo_buf *out, const char *host, uint16_t port)
{
    bool brackets = strchr(host, ':') != NULL;
    yo_buf_printf(out, brackets ? "[%s]" : "%s", host);
    if (port != 443) {
        yo_buf_printf(out, ":%u", port);
    }
    yo_buf_append_byte(out, 0);
    return out->failed ? YOMO_ERR_NOMEM : YOMO_OK;
}

static int begin(struct yo_dialed *dialed, const struct yo_dial_options *options,
                 const union yo_address *remote, struct yo_wt_session **out)
{
    struct yo_quic_socket *socket;
    struct yo_buf authority;
    yo_buf_init(&authority, yo_loop_mem(dialed->link.loop));
    int rv = yo_quic_link_add(&dialed->link, -1, remote, &socket);
    if (rv == YOMO_OK) {
        rv = make_authority(&authority, options->host, options->port);
    }
    if (rv == YOMO_OK) {
        struct yo_endpoint_connect connect = {
            .socket = socket,
            .local = &yo_udp_local(socket->udp)->sa,
            .remote = &remote->sa,
            .tls = options->tls,
            .peer = {options->host, options->port, yo_address_loopback(remote)},
            .authority = (const char *)authority.data,
            .path = options->path,
            .origin = options->origin,
            .fields = options->fields,
            .protocols = options->protocols,
        };
        rv = yo_endpoint_connect_session(dialed->link.endpoint, &connect, out,
                                         yo_loop_update(dialed->link.loop));
    }
    yo_buf_finish(&authority);
    return rv;
}

static int dial(struct yo_dialed **out, struct yo_loop *loop,
                const struct yo_dial_options *options, const union yo_address *remote,
                struct yo_wt_session **session)
{
    static const uint8_t no_secret[YO_SECRET_SIZE]; /* clients make no IDs or tokens */
    struct yo_endpoint_options endpoint = {
        .secret = no_secret,
        .handshake =
            options->handshake_ms ? options->handshake_ms * YO_MS : HANDSHAKE_DEFAULT,
        .idle = options->idle_ms * YO_MS,
        .keepalive = options->keepalive_ms * YO_MS,
        .silence = options->silence_ms * YO_MS,
        .congestion = options->congestion,
        .key_update_packets = options->key_update_packets,
        .sessions = options->webtransport_sessions,
    };
    const struct yomo_mem *mem = yo_loop_mem(loop);
    if (!options->host || !options->path || !options->tls) {
        return YOMO_ERR_INVALID;
    }
    struct yo_dialed *dialed = yo_calloc(mem, 1, sizeof(*dialed));
    if (!dialed) {
        return YOMO_ERR_NOMEM;
    }
    int rv = yo_quic_link_init(&dialed->link, loop, &endpoint, &endpoint_events,
                               options->qlog_dir);
    if (rv == YOMO_OK) {
        rv = begin(dialed, options, remote, session);
        if (rv == YOMO_OK) {
            dialed->link.after_turn = after_turn;
            if (options->migrate) {
                yo_follow_begin(&dialed->follow, &dialed->link, remote);
            }
            *out = dialed;
            return YOMO_OK;
        }
        yo_quic_link_finish(&dialed->link);
    }
    yo_free(mem, dialed);
    return rv;
}

int yo_dial_quic(struct yo_conn **out, struct yo_loop *loop,
                 const struct yo_dial_options *options, const union yo_address *remote,
                 const struct yo_conn_events *events, void *user)
{
    struct yo_wt_session *session;
    struct yo_dialed *dialed;
    int rv = dial(&dialed, loop, options, remote, &session);
    if (rv != YOMO_OK) {
        return rv;
    }
    struct yo_messages_options messages = {
        .mem = yo_loop_mem(loop),
        .extension = options->extension,
        .message_size_max = options->message_size_max,
        .queue_size_max = options->queue_size_max,
        .messages_bad = &dialed->messages_bad,
    };
    *out = yo_messages_create(session, &messages, events, user);
    if (!*out) {
        release(dialed);
        return YOMO_ERR_NOMEM;
    }
    return YOMO_OK;
}

int yo_dial_quic_session(struct yo_wt_session **out, struct yo_dialed **dialed,
                         struct yo_loop *loop, const struct yo_dial_options *options,
                         const union yo_address *remote, void (*on_gone)(void *user),
                         void *user)
{
    int rv = dial(dialed, loop, options, remote, out);
    if (rv == YOMO_OK) {
        yo_dialed_listen(*dialed, on_gone, user);
    }
    return rv;
}

void yo_dialed_listen(struct yo_dialed *dialed, void (*on_gone)(void *user), void *user)
{
    dialed->on_gone = on_gone;
    dialed->user = user;
}

int yo_dialed_session(struct yo_dialed *dialed, const struct yo_dial_options *options,
                      struct yo_wt_session **out)
{
    struct yo_buf authority;
    yo_buf_init(&authority, yo_loop_mem(dialed->link.loop));
    int rv = make_authority(&authority, options->host, options->port);
    if (rv == YOMO_OK) {
        struct yo_endpoint_connect connect = {
            .tls = options->tls,
            .authority = (const char *)authority.data,
            .path = options->path,
            .origin = options->origin,
            .fields = options->fields,
            .protocols = options->protocols,
        };
        rv = yo_endpoint_connect_session(dialed->link.endpoint, &connect, out,
                                         yo_loop_update(dialed->link.loop));
    }
    yo_buf_finish(&authority);
    return rv;
}
