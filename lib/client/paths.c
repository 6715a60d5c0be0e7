/* SPDX-License-Identifier: MIT */
/* paths.c - how long is too long.
 *
 * An answer to a ping takes one round trip, three if it is lost and QUIC sends it again
 * (RFC 9002 6.2: a probe after about three), seven if that is lost too. So patience is
 * ten round trips, at least PATIENCE_MIN for peers that are slow themselves, and at
 * most the option `stall-timeout`. Acknowledgements get twice that, since a path may be
 * narrow. A wrong guess costs one WebSocket handshake. */
#include "client/paths.h"

#include "client/inside.h"
#include "client/udp_blocked.h"

#define PATIENCE_MIN YO_SECOND
#define PATIENCE_ROUND_TRIPS 10
#define ESCAPE_PAUSE (3 * YO_SECOND) /* between attempts to leave a stalled path */
#define QUIET_TIME (100 * YO_MS)     /* look again whether the moment is good */
#define PAUSE_MAX (300 * YO_SECOND)
#define STABLE (60 * YO_SECOND) /* stood for so long: the next pause is a short one */

void yo_paths_init(struct yomo_client *client)
{
    struct yo_paths *paths = &client->paths;
    uint64_t seed;
    yo_rand_bytes(&seed, sizeof(seed));
    yo_rand_seed(&paths->rand, seed);
    yo_paths_end(client);
}

static yo_time first_pause(const struct yomo_client *client)
{
    return client->settings.upgrade_interval_ms * YO_MS;
}

static bool may_improve(const struct yomo_client *client)
{
    const struct yo_target *target = yo_client_target(client);
    return client->settings.upgrade && client->kind == YOMO_TRANSPORT_WEBSOCKET &&
           target->webtransport;
}

static bool may_escape(const struct yomo_client *client)
{
    const struct yo_target *target = yo_client_target(client);
    return client->settings.stall_ms > 0 &&
           client->kind == YOMO_TRANSPORT_WEBTRANSPORT && target->websocket;
}

/* The next try is a pause away, give or take a quarter, so that clients which lost
 * WebTransport together do not all try together. */
static void set_try(struct yomo_client *client, yo_time now)
{
    struct yo_paths *paths = &client->paths;
    paths->try_at = YO_NEVER;
    if (!may_improve(client)) {
        return;
    }
    if (paths->pause == 0) {
        paths->pause = first_pause(client);
    }
    yo_time wait = paths->pause - paths->pause / 4 +
                   yo_rand_below(&paths->rand, paths->pause / 2 + 1);
    paths->try_at = yo_time_after(now, wait);
    paths->pause = paths->pause < PAUSE_MAX / 2 ? 2 * paths->pause : PAUSE_MAX;
}

void yo_paths_begin(struct yomo_client *client, yo_time now)
{
    struct yo_paths *paths = &client->paths;
    paths->asked_at = YO_NEVER;
    paths->progress_at = paths->stood_since = now;
    paths->queued = 0;
    paths->stalled = false;
    paths->escape_after = now;
    set_try(client, now);
}

void yo_paths_end(struct yomo_client *client)
{
    struct yo_paths *paths = &client->paths;
    paths->asked_at = paths->try_at = YO_NEVER;
    paths->stalled = false;
}

void yo_paths_asked(struct yomo_client *client, yo_time now)
{
    if (client->paths.asked_at == YO_NEVER) {
        client->paths.asked_at = now;
    }
}

void yo_paths_answered(struct yomo_client *client, yo_time now)
{
    struct yo_paths *paths = &client->paths;
    paths->asked_at = YO_NEVER;
    if (now - paths->stood_since >= STABLE) {
        paths->pause = 0;
    }
    if (paths->stalled && !yo_move_asked(client)) {
        YO_LOG(&client->log, YOMO_LOG_DEBUG, "client", "it answers again");
        paths->stalled = false;
        yo_move_stop(client);
    }
}

void yo_paths_moved(struct yomo_client *client, yo_time now)
{
    const struct yo_target *target = yo_client_target(client);
    struct yo_span host = yo_span_of(target->host);
    YO_LOG(&client->log, YOMO_LOG_INFO, "client", "moved to %s",
           yomo_transport_name(client->kind));
    if (client->kind == YOMO_TRANSPORT_WEBTRANSPORT) {
        yo_udp_blocked_clear(host, target->port);
    } else {
        yo_udp_blocked_note(host, target->port, now + YO_UDP_SLOW_FOR);
    }
    yo_paths_begin(client, now);
}

void yo_paths_failed(struct yomo_client *client, enum yomo_transport_kind kind,
                     yo_time now)
{
    const struct yo_target *target = yo_client_target(client);
    if (kind == YOMO_TRANSPORT_WEBTRANSPORT) {
        yo_udp_blocked_note(yo_span_of(target->host), target->port,
                            now + YO_UDP_BLOCKED_FOR);
        set_try(client, now);
    } else {
        client->paths.stalled = false;
        client->paths.escape_after = yo_time_after(now, ESCAPE_PAUSE);
    }
}

void yo_paths_changed(struct yomo_client *client, yo_time now)
{
    const struct yo_target *target = yo_client_target(client);
    yo_udp_blocked_clear(yo_span_of(target->host), target->port);
    client->paths.pause = 0;
    set_try(client, now);
}

/* --- A stalled path --------------------------------------------------------------- */

static yo_time patience(const struct yomo_client *client)
{
    yo_time most = client->settings.stall_ms * YO_MS;
    yo_time long_enough = PATIENCE_ROUND_TRIPS * client->rtt;
    long_enough = long_enough > PATIENCE_MIN ? long_enough : PATIENCE_MIN;
    return long_enough < most ? long_enough : most;
}

static void watch_progress(struct yomo_client *client, yo_time now)
{
    struct yo_paths *paths = &client->paths;
    size_t queued = yo_conn_queued(client->conn);
    if (queued < paths->queued || queued == 0) {
        paths->progress_at = now;
    } else if (paths->queued == 0) {
        paths->progress_at = now; /* the first of it has just gone out */
    }
    paths->queued = queued;
}

/* When it must be called stalled, if nothing happens until then. */
static yo_time stalled_at(const struct yomo_client *client)
{
    const struct yo_paths *paths = &client->paths;
    yo_time due = YO_NEVER;
    if (!may_escape(client) || paths->stalled) {
        return YO_NEVER;
    }
    if (paths->asked_at != YO_NEVER) {
        due = yo_time_after(paths->asked_at, patience(client));
    }
    if (paths->queued > 0) {
        due = yo_time_min(due, yo_time_after(paths->progress_at, 2 * patience(client)));
    }
    return due == YO_NEVER || due > paths->escape_after ? due : paths->escape_after;
}

/* --- A better path ---------------------------------------------------------------- */

/* Is nothing half done that a move would have to carry along? */
static bool is_quiet(const struct yomo_client *client)
{
    YO_LIST_EACH(link, next, &client->room_list)
    {
        const struct yomo_room *room = YO_CONTAINER(link, struct yomo_room, room_link);
        if (room->state == YO_ROOM_ASKED || room->state == YO_ROOM_LEAVING) {
            return false;
        }
    }
    return !client->blocked && yo_outbox_empty(&client->control);
}

void yo_paths_turn(struct yomo_client *client, yo_time now)
{
    struct yo_paths *paths = &client->paths;
    if (!yo_move_possible(client)) {
        return;
    }
    watch_progress(client, now);
    if (stalled_at(client) <= now) {
        YO_LOG(&client->log, YOMO_LOG_INFO, "client",
               "webtransport has stalled: trying websocket beside it");
        paths->stalled = true;
        yo_move_begin(client, YOMO_TRANSPORT_WEBSOCKET, now);
    } else if (paths->try_at <= now && may_improve(client)) {
        if (is_quiet(client)) {
            paths->try_at = YO_NEVER;
            yo_move_begin(client, YOMO_TRANSPORT_WEBTRANSPORT, now);
        } else {
            paths->try_at = yo_time_after(now, QUIET_TIME);
        }
    }
}

yo_time yo_paths_deadline(const struct yomo_client *client)
{
    if (!yo_move_possible(client)) {
        return YO_NEVER;
    }
    return yo_time_min(stalled_at(client), client->paths.try_at);
}
