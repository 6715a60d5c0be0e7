/* SPDX-License-Identifier: MIT */
/* follow.c
 *
 * The happy path: an interface has gone, or a better one has come; another socket is
 * connected to the same server, so that the kernel says which address is the right one
 * now; it is another than before, and the connection migrates there.
 *
 * Possible failure modes: there is no way at all: the connection stays as it is, and
 * times out unless one comes in time. QUIC does not allow it yet, since no unused
 * connection ID is there: again in a moment. The new way leads nowhere: then it is as
 * if the old one did; whoever uses the connection notices. */
#include "transport/follow.h"

#include <string.h>
#include <unistd.h>
#include <yomo/error.h>

#define AGAIN_TIME (200 * YO_MS) /* a new connection ID may be on its way */
#define NO_WAY_TIME (20 * YO_MS) /* from an error to a look at what is left */
#define TRIES_MAX 10

static bool same_host(const union yo_address *a, const union yo_address *b)
{
    union yo_address c = *b;
    if (a->sa.sa_family != b->sa.sa_family) {
        return false;
    }
    if (a->sa.sa_family == AF_INET6) {
        c.in6.sin6_port = a->in6.sin6_port;
    } else {
        c.in.sin_port = a->in.sin_port;
    }
    return yo_address_equal(a, &c);
}

/* Does this machine have the address (still)? */
static bool is_ours(const union yo_address *address)
{
    union yo_address any_port = *address;
    int fd = socket(address->sa.sa_family, SOCK_DGRAM, 0);
    if (any_port.sa.sa_family == AF_INET6) {
        any_port.in6.sin6_port = 0;
    } else {
        any_port.in.sin_port = 0;
    }
    bool ours = fd >= 0 && bind(fd, &any_port.sa, yo_address_size(&any_port)) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return ours;
}

/* Sockets of former ways. */
static void drop_others(struct yo_follow *follow, const struct yo_quic_socket *a,
                        const struct yo_quic_socket *b)
{
    for (size_t i = 0; i < follow->link->count; i++) {
        struct yo_quic_socket *socket = &follow->link->sockets[i];
        if (socket->udp && socket != a && socket != b) {
            yo_quic_link_drop(socket);
        }
    }
}

static void try_again(struct yo_follow *follow, yo_time now)
{
    if (follow->tries > 0) {
        follow->tries--;
        (void)yo_timer_set(&follow->again, yo_time_after(now, AGAIN_TIME));
    }
}

static void look(struct yo_follow *follow, yo_time now)
{
    struct yo_quic_link *link = follow->link;
    struct yo_quic_socket *socket, *old = yo_endpoint_socket(link->endpoint);
    if (!old || !old->udp) {
        return;
    }
    union yo_address before = *yo_udp_local(old->udp);
    if (follow->next && (follow->next == old || !follow->next->udp)) {
        follow->next = NULL;
    }
    drop_others(follow, old, follow->next);
    if (yo_quic_link_add(link, -1, &follow->remote, &socket) != YOMO_OK) {
        try_again(follow, now); /* no way from here, for now */
        return;
    }
    const union yo_address *after = yo_udp_local(socket->udp);
    if (same_host(after, &before) ||
        (follow->next && same_host(after, yo_udp_local(follow->next->udp)))) {
        yo_quic_link_drop(socket); /* it goes that way, or is about to */
        return;
    }
    char from[64], to[64];
    yo_address_print(&before, from);
    yo_address_print(after, to);
    bool gone = !is_ours(&before);
    if (yo_endpoint_migrate(link->endpoint, socket, &after->sa, gone, now) != YOMO_OK) {
        yo_quic_link_drop(socket);
        try_again(follow, now);
        return;
    }
    follow->next = gone ? NULL : socket;
    YO_LOG(yo_loop_log(link->loop), YOMO_LOG_INFO, "webtransport",
           "migrating from %s%s to %s", from, gone ? ", which is gone," : "", to);
    yo_loop_defer(link->loop, &link->task);
}

static void on_again(struct yo_timer *timer, yo_time now)
{
    look(YO_CONTAINER(timer, struct yo_follow, again), now);
}

static void on_change(struct yo_routes_watch *watch, yo_time now)
{
    struct yo_follow *follow = YO_CONTAINER(watch, struct yo_follow, watch);
    follow->tries = TRIES_MAX;
    look(follow, now);
}

static void on_no_way(struct yo_quic_link *link, yo_time now)
{
    struct yo_follow *follow = link->no_way_user;
    follow->tries = TRIES_MAX;
    if (!follow->again.node.place) { /* errors come with each packet */
        (void)yo_timer_set(&follow->again, yo_time_after(now, NO_WAY_TIME));
    }
}

void yo_follow_begin(struct yo_follow *follow, struct yo_quic_link *link,
                     const union yo_address *remote)
{
    struct yo_loop *loop = link->loop;
    if (yo_address_loopback(remote) || yo_loop_reserve_timer(loop) != YOMO_OK) {
        return;
    }
    follow->link = link;
    follow->remote = *remote;
    yo_timer_init(&follow->again, loop, on_again);
    link->on_no_way = on_no_way;
    link->no_way_user = follow;
    if (yo_routes_watch(&follow->watch, loop, on_change) != YOMO_OK) {
        YO_LOG(yo_loop_log(loop), YOMO_LOG_DEBUG, "webtransport",
               "this system does not tell of changed addresses");
    }
}

void yo_follow_end(struct yo_follow *follow)
{
    if (follow->link) {
        yo_routes_unwatch(&follow->watch);
        yo_timer_stop(&follow->again);
        yo_loop_release_timer(follow->link->loop);
        follow->link = NULL;
    }
}
