/* SPDX-License-Identifier: MIT */
/* listen_tcp.c - the door for TCP: sockets, who is counted at it, its end. What becomes
 * of one client stands in tcp_visitor.c.
 *
 * Invariant: each accepted socket is one visitor, then perhaps one link, and holds one
 * `guest`, which counts it for its address, until it is gone; what comes from a trusted
 * proxy is counted for nobody until a request says whose it is. */
#include "transport/listen_tcp.h"

#include <assert.h>
#include <yomo/error.h>

#include "transport/tcp_inside.h"

#define ADMINS_MAX 64 /* connections of operators at once, at one worker */

/* --- Who is here ------------------------------------------------------------------ */

struct yo_span yo_tcp_guest_key(uint8_t key[9], const struct yo_ip *ip)
{
    bool v4 = yo_ip_v4(ip);
    memset(key, 0, 9);
    key[0] = v4 ? 4 : 6;
    memcpy(key + 1, v4 ? ip->bytes + 12 : ip->bytes, v4 ? 4 : 8);
    return yo_span(key, v4 ? 5 : 9);
}

void yo_tcp_door_check(struct yo_tcp_door *door)
{
    if (door->closing && yo_list_empty(&door->visitors) &&
        yo_list_empty(&door->linked)) {
        yo_loop_defer(door->loop, &door->task);
    }
}

/* --- The door --------------------------------------------------------------------- */

static bool has_room(const struct yo_tcp_door *door)
{
    const struct yo_listener_options *options = &door->options;
    return !door->draining && !door->closing &&
           (options->handshakes_max == 0 || door->handshakes < options->handshakes_max);
}

/* An operator must get in when nobody else does. */
static bool may_enter(const struct yo_tcp_door *door, bool admin)
{
    return admin ? !door->closing && door->admins < ADMINS_MAX : has_room(door);
}

static void welcome(struct yo_tcp_door *door, struct yo_tcp *tcp, bool secure,
                    bool admin, yo_time now)
{
    struct yo_tcp_visitor *visitor = NULL;
    if (may_enter(door, admin) && (!secure || door->tls)) {
        visitor = yo_tcp_visitor_create(door, tcp, secure, admin);
    }
    uint8_t key[9];
    if (visitor && !admin &&
        yo_crowd_enter(door->crowd,
                       visitor->proxied ? YO_SPAN_NONE
                                        : yo_tcp_guest_key(key, &visitor->peer),
                       &visitor->guest) != YOMO_OK) {
        yo_tcp_visitor_free(visitor);
        visitor = NULL;
    }
    if (!visitor) {
        door->stats.refused++;
        yo_tcp_reset(tcp);
        return;
    }
    door->connections += !admin;
    if (yo_pipe_open(&visitor->pipe, &door->shared.yard, tcp, &yo_tcp_visitor_events,
                     visitor) != YOMO_OK) {
        yo_crowd_leave(door->crowd, visitor->guest);
        door->connections -= !admin;
        yo_tcp_visitor_free(visitor);
        return;
    }
    if (secure && yo_pipe_accept_tls(visitor->pipe, door->tls) != YOMO_OK) {
        yo_tcp_visitor_dismiss(visitor, YO_TCP_RESET);
        return;
    }
    (void)yo_timer_set(&visitor->timer,
                       yo_time_after(now, door->options.handshake_ms * YO_MS));
}

static void on_accept_secure(void *user, struct yo_tcp *tcp, yo_time now)
{
    welcome(user, tcp, true, false, now);
}

static void on_accept_plain(void *user, struct yo_tcp *tcp, yo_time now)
{
    welcome(user, tcp, false, false, now);
}

static void on_accept_admin_secure(void *user, struct yo_tcp *tcp, yo_time now)
{
    welcome(user, tcp, true, true, now);
}

static void on_accept_admin_plain(void *user, struct yo_tcp *tcp, yo_time now)
{
    welcome(user, tcp, false, true, now);
}

static int add(struct yo_tcp_door *door, int fd, bool secure, bool admin)
{
    void (*const on_accept[2][2])(void *, struct yo_tcp *, yo_time) = {
        {on_accept_plain, on_accept_secure},
        {on_accept_admin_plain, on_accept_admin_secure}};
    if (door->socket_count == YO_TCP_DOOR_SOCKETS_MAX) {
        /* Listening and closing again is how the descriptor is closed. */
        struct yo_tcp_listener *surplus;
        int rv =
            yo_tcp_listen(&surplus, door->loop, fd, NULL, false, on_accept_plain, door);
        if (rv == YOMO_OK) {
            yo_tcp_listener_close(surplus);
        }
        return YOMO_ERR_FULL;
    }
    struct yo_tcp_listener **socket = &door->sockets[door->socket_count];
    int rv = yo_tcp_listen(socket, door->loop, fd, NULL, false,
                           on_accept[admin][secure], door);
    if (rv == YOMO_OK) {
        door->for_admins[door->socket_count++] = admin;
    }
    return rv;
}

int yo_tcp_door_add(struct yo_tcp_door *door, int fd, bool secure)
{
    return add(door, fd, secure, false);
}

int yo_tcp_door_add_admin(struct yo_tcp_door *door, int fd, bool secure)
{
    return add(door, fd, secure, true);
}

void yo_tcp_door_set_tls(struct yo_tcp_door *door, struct yo_tls_server *tls)
{
    yo_tls_server_ref(tls);
    yo_tls_server_unref(door->tls);
    door->tls = tls;
}

void yo_tcp_door_stats(const struct yo_tcp_door *door, struct yo_listener_stats *stats)
{
    stats->accepted_websocket += door->stats.accepted_websocket;
    stats->refused += door->stats.refused;
    stats->handshakes_failed += door->stats.handshakes_failed;
    stats->handshakes_tcp_resumed += door->shared.yard.resumed;
    stats->handshakes_tcp_full +=
        door->shared.yard.handshakes - door->shared.yard.resumed;
    stats->messages_bad += door->stats.messages_bad;
    stats->bytes_in += door->shared.yard.bytes_in;
    stats->bytes_out += door->shared.yard.bytes_out;
    stats->connections_now += door->connections;
    stats->handshakes_now += door->handshakes;
}

/* While others drain away operators may still want to look. */
static void close_sockets(struct yo_tcp_door *door, bool all)
{
    size_t kept = 0;
    for (size_t i = 0; i < door->socket_count; i++) {
        if (all || !door->for_admins[i]) {
            yo_tcp_listener_close(door->sockets[i]);
        } else {
            door->for_admins[kept] = true;
            door->sockets[kept++] = door->sockets[i];
        }
    }
    door->socket_count = kept;
}

void yo_tcp_door_drain(struct yo_tcp_door *door)
{
    door->draining = true;
    close_sockets(door, false);
}

static void finish_door(struct yo_task *task, yo_time now)
{
    struct yo_tcp_door *door = YO_CONTAINER(task, struct yo_tcp_door, task);
    void (*on_closed)(void *) = door->on_closed;
    void *user = door->closed_user;
    (void)now;
    if (!door->closing) {
        return;
    }
    while (!yo_list_empty(&door->visitors)) {
        struct yo_tcp_visitor *visitor =
            YO_CONTAINER(door->visitors.next, struct yo_tcp_visitor, link);
        if (visitor->state == YO_TCP_ASKING && door->events->on_gone) {
            door->events->on_gone(door->user, &visitor->incoming, now);
        }
        yo_tcp_visitor_dismiss(visitor, YO_TCP_RESET);
    }
    yo_task_cancel(&door->task);
    if (!yo_list_empty(&door->linked)) {
        return; /* on_member_gone comes back here */
    }
    yo_tls_server_unref(door->tls);
    yo_ws_shared_finish(&door->shared);
    yo_crowd_destroy(door->own_crowd);
    yo_free(yo_loop_mem(door->loop), door);
    if (on_closed) {
        on_closed(user);
    }
}

int yo_tcp_door_create(struct yo_tcp_door **out, struct yo_loop *loop,
                       const struct yo_listener_options *options,
                       const struct yo_listener_events *events, void *user)
{
    struct yo_tcp_door *door = yo_calloc(yo_loop_mem(loop), 1, sizeof(*door));
    if (!door ||
        yo_ws_shared_init(&door->shared, loop, YO_TCP_SCRATCH_KEEP) != YOMO_OK) {
        yo_free(yo_loop_mem(loop), door);
        return YOMO_ERR_NOMEM;
    }
    door->loop = loop;
    door->options = *options;
    door->events = events;
    door->user = user;
    door->crowd = options->crowd;
    if (!door->crowd) {
        int rv = yo_crowd_create(&door->own_crowd, yo_loop_mem(loop),
                                 options->connections_max,
                                 options->connections_per_address_max);
        if (rv != YOMO_OK) {
            yo_ws_shared_finish(&door->shared);
            yo_free(yo_loop_mem(loop), door);
            return rv;
        }
        door->crowd = door->own_crowd;
    }
    yo_list_init(&door->visitors);
    yo_list_init(&door->linked);
    yo_task_init(&door->task, finish_door);
    *out = door;
    return YOMO_OK;
}

void yo_tcp_door_close(struct yo_tcp_door *door, void (*on_closed)(void *user),
                       void *user)
{
    assert(!door->closing);
    door->draining = door->closing = true;
    door->on_closed = on_closed;
    door->closed_user = user;
    close_sockets(door, true);
    YO_LIST_EACH(link, next, &door->linked)
    {
        yo_conn_abort(
            yo_ws_link_conn(YO_CONTAINER(link, struct yo_tcp_member, link)->ws));
    }
    yo_loop_defer(door->loop, &door->task);
}
