/* SPDX-License-Identifier: MIT */
/* listen.c - the two doors behind one name. */
#include "transport/listen.h"

#include <yomo/error.h>

#include "transport/incoming.h"
#include "transport/listen_quic.h"
#include "transport/listen_tcp.h"

struct yo_listener {
    struct yo_loop *loop;
    struct yo_tcp_door *tcp;
    struct yo_quic_door *quic;
    int open; /* doors that are not closed yet */
    void (*on_closed)(void *user);
    void *user;
};

int yo_listener_create(struct yo_listener **out, struct yo_loop *loop,
                       const struct yo_listener_options *options,
                       const struct yo_listener_events *events, void *user)
{
    struct yo_listener *listener = yo_calloc(yo_loop_mem(loop), 1, sizeof(*listener));
    if (!listener) {
        return YOMO_ERR_NOMEM;
    }
    listener->loop = loop;
    int rv = yo_quic_door_create(&listener->quic, loop, options, events, user);
    if (rv != YOMO_OK) {
        yo_free(yo_loop_mem(loop), listener);
        return rv;
    }
    rv = yo_tcp_door_create(&listener->tcp, loop, options, events, user);
    if (rv != YOMO_OK) {
        yo_quic_door_close(listener->quic, NULL, NULL);
        yo_free(yo_loop_mem(loop), listener);
        return rv;
    }
    listener->open = 2;
    *out = listener;
    return YOMO_OK;
}

int yo_listener_add_udp(struct yo_listener *listener, int fd)
{
    return yo_quic_door_add(listener->quic, fd);
}

int yo_listener_add_tls(struct yo_listener *listener, int fd)
{
    return yo_tcp_door_add(listener->tcp, fd, true);
}

int yo_listener_add_plain(struct yo_listener *listener, int fd)
{
    return yo_tcp_door_add(listener->tcp, fd, false);
}

int yo_listener_add_admin(struct yo_listener *listener, int fd, bool secure)
{
    return yo_tcp_door_add_admin(listener->tcp, fd, secure);
}

void yo_listener_set_tls(struct yo_listener *listener, struct yo_tls_server *tls)
{
    yo_tcp_door_set_tls(listener->tcp, tls);
    yo_quic_door_set_tls(listener->quic, tls);
}

struct yo_conn *yo_incoming_accept(struct yo_incoming *incoming,
                                   const struct yo_response *response,
                                   const struct yo_conn_events *events, void *user)
{
    return incoming->ops->accept(incoming, response, events, user);
}

struct yo_wt_session *yo_incoming_accept_session(struct yo_incoming *incoming,
                                                 const struct yo_response *response)
{
    return incoming->ops->accept_session
               ? incoming->ops->accept_session(incoming, response)
               : NULL;
}

void yo_incoming_set_gone(struct yo_incoming *incoming, void (*gone)(void *user),
                          void *user)
{
    incoming->gone = gone;
    incoming->gone_user = user;
}

bool yo_incoming_tell_gone(struct yo_incoming *incoming)
{
    if (!incoming->gone) {
        return false;
    }
    incoming->gone(incoming->gone_user);
    return true;
}

void yo_incoming_refuse(struct yo_incoming *incoming,
                        const struct yo_response *response)
{
    incoming->ops->refuse(incoming, response);
}

void yo_incoming_dismiss(struct yo_incoming *incoming, const struct yo_close *how)
{
    incoming->ops->dismiss(incoming, how);
}

void yo_incoming_set_user(struct yo_incoming *incoming, void *user)
{
    incoming->user = user;
}

void *yo_incoming_user(const struct yo_incoming *incoming)
{
    return incoming->user;
}

void yo_listener_packet(struct yo_listener *listener, const struct yo_packet *packet,
                        yo_time now)
{
    yo_quic_door_packet(listener->quic, packet, now);
}

void yo_listener_stats(const struct yo_listener *listener,
                       struct yo_listener_stats *stats)
{
    *stats = (struct yo_listener_stats){0};
    yo_tcp_door_stats(listener->tcp, stats);
    yo_quic_door_stats(listener->quic, stats);
}

void yo_listener_drain(struct yo_listener *listener)
{
    yo_tcp_door_drain(listener->tcp);
    yo_quic_door_drain(listener->quic);
}

static void on_door_closed(void *user)
{
    struct yo_listener *listener = user;
    if (--listener->open > 0) {
        return;
    }
    void (*on_closed)(void *) = listener->on_closed;
    void *closed_user = listener->user;
    yo_free(yo_loop_mem(listener->loop), listener);
    if (on_closed) {
        on_closed(closed_user);
    }
}

void yo_listener_close(struct yo_listener *listener, void (*on_closed)(void *user),
                       void *user)
{
    listener->on_closed = on_closed;
    listener->user = user;
    yo_tcp_door_close(listener->tcp, on_door_closed, listener);
    yo_quic_door_close(listener->quic, on_door_closed, listener);
}
