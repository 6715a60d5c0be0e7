/* SPDX-License-Identifier: MIT */
/* routes.c - invariant: loop->routes is there exactly while somebody watches. */
#include "loop/routes.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <yomo/error.h>

#include "loop/inside.h"

#ifdef __linux__
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

/* An interface that goes takes its addresses and its routes with it, one after the
 * other: they are told together. */
#define SETTLE_TIME (20 * YO_MS)
#define READS_AT_ONCE 64

struct yo_routes {
    struct yo_loop *loop;
    uv_poll_t poll;
    int fd;
    struct yo_timer timer;
    bool due;
    struct yo_link watches;
};

/* Whoever is told may stop watching, and others with it: what is in neither list any
 * more is not told, and with the last one all of this is gone. */
static void on_timer(struct yo_timer *timer, yo_time now)
{
    struct yo_routes *routes = YO_CONTAINER(timer, struct yo_routes, timer);
    struct yo_loop *loop = routes->loop;
    struct yo_link waiting, *link;
    routes->due = false;
    yo_list_init(&waiting);
    yo_list_splice(&waiting, &routes->watches);
    while ((link = yo_list_pop_front(&waiting))) {
        struct yo_routes_watch *watch =
            YO_CONTAINER(link, struct yo_routes_watch, link);
        yo_list_push_back(&loop->routes->watches,
                          link); /* it watches, so that is there */
        watch->on_change(watch, now);
    }
}

static bool is_news(const struct nlmsghdr *message)
{
    switch (message->nlmsg_type) {
    case RTM_NEWADDR:
    case RTM_DELADDR:
    case RTM_NEWLINK:
    case RTM_DELLINK:
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
        return true;
    default:
        return false;
    }
}

static bool has_news(const uint8_t *bytes, size_t size)
{
    struct nlmsghdr message;
    while (size >= sizeof(message)) {
        memcpy(&message, bytes, sizeof(message));
        if (is_news(&message)) {
            return true;
        }
        size_t step = NLMSG_ALIGN(message.nlmsg_len);
        if (message.nlmsg_len < sizeof(message) || step > size) {
            return false;
        }
        bytes += step;
        size -= step;
    }
    return false;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct yo_routes *routes = poll->data;
    yo_time now = yo_loop_enter(routes->loop);
    uint8_t bytes[8192];
    bool news = false;
    (void)status, (void)events;
    for (int i = 0; i < READS_AT_ONCE; i++) {
        ssize_t size = recv(routes->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (size < 0 && errno == ENOBUFS) {
            news = true; /* so much that some was lost */
        } else if (size <= 0 && errno != EINTR) {
            break;
        } else if (size > 0) {
            news = has_news(bytes, (size_t)size) || news;
        }
    }
    if (news && !routes->due) {
        routes->due = true;
        (void)yo_timer_set(&routes->timer, yo_time_after(now, SETTLE_TIME));
    }
}

static int open_socket(void)
{
    const struct sockaddr_nl groups = {
        .nl_family = AF_NETLINK,
        .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
                     RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (fd >= 0 && bind(fd, (const struct sockaddr *)&groups, sizeof(groups)) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static int begin(struct yo_loop *loop)
{
    struct yo_routes *routes = yo_calloc(loop->mem, 1, sizeof(*routes));
    if (!routes || yo_loop_reserve_timer(loop) != YOMO_OK) {
        yo_free(loop->mem, routes);
        return YOMO_ERR_NOMEM;
    }
    routes->loop = loop;
    routes->fd = open_socket();
    if (routes->fd < 0 || uv_poll_init(loop->uv, &routes->poll, routes->fd) != 0) {
        if (routes->fd >= 0) {
            close(routes->fd);
        }
        yo_loop_release_timer(loop);
        yo_free(loop->mem, routes);
        return YOMO_ERR_SYSTEM;
    }
    routes->poll.data = routes;
    yo_list_init(&routes->watches);
    yo_timer_init(&routes->timer, loop, on_timer);
    yo_loop_hold(loop);
    uv_poll_start(&routes->poll, UV_READABLE, on_poll);
    yo_loop_touch(loop);
    loop->routes = routes;
    return YOMO_OK;
}

static void on_closed(uv_handle_t *handle)
{
    struct yo_routes *routes = handle->data;
    struct yo_loop *loop = routes->loop;
    yo_free(loop->mem, routes);
    yo_loop_drop(loop);
}

static void end(struct yo_routes *routes)
{
    struct yo_loop *loop = routes->loop;
    loop->routes = NULL;
    yo_timer_stop(&routes->timer);
    yo_loop_release_timer(loop);
    uv_close((uv_handle_t *)&routes->poll, on_closed);
    close(routes->fd);
}

int yo_routes_watch(struct yo_routes_watch *watch, struct yo_loop *loop,
                    void (*on_change)(struct yo_routes_watch *watch, yo_time now))
{
    int rv = loop->routes ? YOMO_OK : begin(loop);
    if (rv == YOMO_OK) {
        watch->loop = loop;
        watch->on_change = on_change;
        yo_list_init(&watch->link);
        yo_list_push_back(&loop->routes->watches, &watch->link);
        loop->watching++;
    }
    return rv;
}

void yo_routes_unwatch(struct yo_routes_watch *watch)
{
    struct yo_loop *loop = watch->loop;
    if (loop) {
        watch->loop = NULL;
        yo_list_remove(&watch->link);
        if (--loop->watching == 0) {
            end(loop->routes);
        }
    }
}

#else

int yo_routes_watch(struct yo_routes_watch *watch, struct yo_loop *loop,
                    void (*on_change)(struct yo_routes_watch *watch, yo_time now))
{
    (void)loop, (void)on_change;
    watch->loop = NULL;
    return YOMO_ERR_SYSTEM;
}

void yo_routes_unwatch(struct yo_routes_watch *watch)
{
    (void)watch;
}

#endif
