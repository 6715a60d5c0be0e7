/* SPDX-License-Identifier: MIT */
#include "rig_listener.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>
#include <yomo/error.h>

#include "rig.h"

struct yo_listener {
    const struct yomo_mem *mem;
    struct yo_loop *loop;
    const struct yo_listener_events *events;
    void *user;
    struct yo_task end;
    void (*on_closed)(void *user);
    void *closed_user;
    int fds[32]; /* held, so that ports are taken */
    size_t fd_count;
};

struct yo_incoming {
    struct yo_listener *listener;
    struct client *client;
    void *user;
    void (*gone)(void *user);
    void *gone_user;
    bool answered;
};

static void on_end(struct yo_task *task, yo_time now)
{
    struct yo_listener *listener = YO_CONTAINER(task, struct yo_listener, end);
    void (*on_closed)(void *) = listener->on_closed;
    void *user = listener->closed_user;

    (void)now;
    for (size_t i = 0; i < listener->fd_count; i++) {
        (void)close(listener->fds[i]);
    }
    yo_free(listener->mem, listener);
    on_closed(user);
}

int yo_listener_create(struct yo_listener **out, struct yo_loop *loop,
                       const struct yo_listener_options *options,
                       const struct yo_listener_events *events, void *user)
{
    struct yo_listener *listener = yo_calloc(yo_loop_mem(loop), 1, sizeof(*listener));

    (void)options;
    if (!listener) {
        return YOMO_ERR_NOMEM;
    }
    listener->mem = yo_loop_mem(loop);
    listener->loop = loop;
    listener->events = events;
    listener->user = user;
    yo_task_init(&listener->end, on_end);
    *out = listener;
    return YOMO_OK;
}

int yo_listener_add_udp(struct yo_listener *listener, int fd)
{
    assert_true(listener->fd_count < 32);
    listener->fds[listener->fd_count++] = fd;
    return YOMO_OK;
}

int yo_listener_add_tls(struct yo_listener *listener, int fd)
{
    return yo_listener_add_udp(listener, fd);
}

int yo_listener_add_plain(struct yo_listener *listener, int fd)
{
    return yo_listener_add_udp(listener, fd);
}

int yo_listener_add_admin(struct yo_listener *listener, int fd, bool secure)
{
    (void)secure;
    return yo_listener_add_udp(listener, fd);
}

void yo_listener_set_tls(struct yo_listener *listener, struct yo_tls_server *tls)
{
    (void)listener;
    (void)tls;
}

struct yo_conn *yo_incoming_accept(struct yo_incoming *incoming,
                                   const struct yo_response *response,
                                   const struct yo_conn_events *events, void *user)
{
    struct client *client = incoming->client;
    size_t used = 0;

    incoming->answered = true;
    client->status = response->status;
    for (size_t i = 0; response->headers && response->headers[i]; i += 2) {
        used += (size_t)snprintf(client->headers + used, sizeof(client->headers) - used,
                                 "%s: %s\n", response->headers[i],
                                 response->headers[i + 1]);
    }
    yo_conn_listen(&client->conn, events, user);
    return &client->conn;
}

void yo_incoming_refuse(struct yo_incoming *incoming,
                        const struct yo_response *response)
{
    incoming->answered = true;
    incoming->client->status = response->status;
    incoming->client->closing = incoming->client->closed = true;
}

void yo_incoming_dismiss(struct yo_incoming *incoming, const struct yo_close *how)
{
    incoming->answered = true;
    incoming->client->status = 200;
    incoming->client->conn.ops->close(&incoming->client->conn, how);
    incoming->client->closed = true;
}

/* There are no sessions here: those who want one have their tests end to end. */
struct yo_wt_session *yo_incoming_accept_session(struct yo_incoming *incoming,
                                                 const struct yo_response *response)
{
    incoming->answered = true;
    incoming->client->status = response->status;
    incoming->client->closing = incoming->client->closed = true;
    return NULL;
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
    (void)listener;
    (void)packet;
    (void)now;
}

void yo_listener_stats(const struct yo_listener *listener,
                       struct yo_listener_stats *stats)
{
    (void)listener;
    memset(stats, 0, sizeof(*stats));
}

void yo_listener_drain(struct yo_listener *listener)
{
    (void)listener;
}

void yo_listener_close(struct yo_listener *listener, void (*on_closed)(void *user),
                       void *user)
{
    listener->on_closed = on_closed;
    listener->closed_user = user;
    yo_loop_defer(listener->loop, &listener->end);
}

struct yo_incoming *rig_listener_knock(struct yo_listener *listener,
                                       struct client *client,
                                       const struct yo_request *request)
{
    struct yo_incoming *incoming = yo_calloc(&yo_mem_libc, 1, sizeof(*incoming));

    incoming->listener = listener;
    incoming->client = client;
    listener->events->on_request(listener->user, incoming, request,
                                 yo_loop_now(listener->loop));
    return incoming;
}

void rig_listener_go(struct yo_incoming *incoming)
{
    struct yo_listener *listener = incoming->listener;

    incoming->client->closing = incoming->client->closed = true;
    listener->events->on_gone(listener->user, incoming, yo_loop_now(listener->loop));
}

void rig_listener_forget(struct yo_incoming *incoming)
{
    yo_free(&yo_mem_libc, incoming);
}
