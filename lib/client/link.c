/* SPDX-License-Identifier: MIT */
/* link.c - the connection that stands: transport events in, the session's effects out.
 *
 * The happy path: the session is made, learns the dialect, and is ready; messages
 * become effects; pings keep the round-trip time fresh. Possible failure modes: the
 * server is silent for too long, memory runs out on the way, or the session finds the
 * server breaking the protocol: the connection is dropped with that reason, and another
 * follows.
 *
 * Invariants:
 *  1. `conn` is set from yo_link_begin until its on_closed, `session` as long;
 *  2. after `ending` nothing that arrives is looked at. */
#include "base/check.h"
#include "client/inside.h"

#define RTT_SHIFT 3 /* a new measurement counts for an eighth (RFC 6298 2.3) */

static void on_open(void *user, struct yo_conn *conn, yo_time now)
{
    (void)user, (void)conn, (void)now; /* it was open when it came here */
}

void yo_link_message(struct yomo_client *client, uint32_t lane, struct yo_span message,
                     yo_time now)
{
    client->heard_at = now;
    if (client->ending) {
        return;
    }
    yo_effects_clear(&client->effects);
    int rv =
        yo_client_session_recv(client->session, lane, message, now, &client->effects);
    if (rv != YOMO_OK) {
        yo_link_drop(client, rv, "");
        return;
    }
    yo_dispatch(client, now);
    yo_client_wake(client);
}

static void on_message(void *user, struct yo_conn *conn, uint32_t lane,
                       struct yo_span message, yo_time now)
{
    struct yomo_client *client = user;
    (void)conn;
    client->control_came += lane == YO_LANE_CONTROL;
    yo_link_message(client, lane, message, now);
}

static void on_writable(void *user, struct yo_conn *conn, yo_time now)
{
    struct yomo_client *client = user;
    (void)conn, (void)now;
    client->blocked = false;
    yo_client_wake(client);
}

static void on_fate(void *user, struct yo_conn *conn, uint64_t token, enum yo_fate fate,
                    yo_time now)
{
    struct yomo_client *client = user;
    (void)conn;
    if (fate == YO_FATE_ACKED) {
        client->heard_at = now;
    }
    yo_sending_fate(client, token, fate);
    yo_client_wake(client);
}

static void on_closed(void *user, struct yo_conn *conn, const struct yo_close *why,
                      yo_time now)
{
    struct yomo_client *client = user;
    struct yo_reason reason;
    (void)conn;
    yo_reason_from(&reason, why);
    if (reason.error == YOMO_OK) {
        reason.error = YOMO_ERR_CLOSED;
    }
    if (client->dropped && !(why->remote && why->kind == YO_CLOSE_FINAL)) {
        reason = client->drop;
    }
    client->conn = NULL;
    if (client->move.fence == YO_FENCE_CAME) { /* it has done its part in a move */
        yo_client_wake(client);
        return;
    }
    yo_engine_lost(client, &reason, now);
}

static const struct yo_conn_events link_events = {
    .on_open = on_open,
    .on_message = on_message,
    .on_writable = on_writable,
    .on_fate = on_fate,
    .on_closed = on_closed,
};

static void init_control(struct yomo_client *client)
{
    const struct yo_outbox_limits limits = {.reliable_bytes = SIZE_MAX};
    yo_outbox_init(&client->control, &client->mem, &limits);
}

void yo_link_init(struct yomo_client *client)
{
    yo_effects_init(&client->effects, &client->mem);
    yo_list_init(&client->pump);
    init_control(client);
}

static void set_shared(struct yomo_client *client, int32_t transport, uint64_t session,
                       size_t message_max)
{
    yo_client_lock(client);
    client->transport = transport;
    client->session_id = session;
    client->message_max = message_max;
    yo_client_unlock(client);
}

void yo_link_begin(struct yomo_client *client, struct yo_conn *conn,
                   enum yomo_transport_kind kind, yo_time now)
{
    struct yo_conn_info info;
    client->conn = conn;
    client->kind = kind;
    client->ending = client->dropped = client->blocked = false;
    yo_goaway_forget(client);
    client->extension = false;
    client->heard_at = client->opened_at = now;
    client->control_came = 0;
    client->ping_at = client->rooms_due = YO_NEVER;
    client->rtt = 0;
    yo_conn_listen(conn, &link_events, client);
    yo_conn_info(conn, &info);
    const struct yo_client_identity identity = {
        .id = yo_span_of(client->settings.id),
        .datagrams = kind == YOMO_TRANSPORT_WEBTRANSPORT && info.datagrams,
        .returning = client->kept != NULL,
    };
    client->datagrams_only = identity.datagrams;
    int rv = yo_client_session_create(&client->session, &client->mem, &identity, now);
    if (rv != YOMO_OK) {
        client->session = NULL;
        yo_link_drop(client, rv, "");
    }
    YO_LOG(&client->log, YOMO_LOG_DEBUG, "client", "connected to %s over %s",
           info.address, yomo_transport_name(kind));
    yo_client_wake(client);
}

void yo_link_end(struct yomo_client *client)
{
    yo_client_session_destroy(client->session); /* unless it is kept */
    client->session = NULL;
    client->kept_asked = false;
    yo_outbox_finish(&client->control);
    init_control(client);
    client->extension = false;
    yo_goaway_forget(client);
    set_shared(client, YOMO_TRANSPORT_NONE, client->session_id, client->message_max);
    yo_buf_clear(&client->token);
    yo_token_gone(client);
    yo_move_stop(client);
    yo_paths_end(client);
    YO_LIST_EACH(link, next, &client->room_list) {
        yo_room_away(YO_CONTAINER(link, struct yomo_room, room_link));
    }
}

void yo_link_ready(struct yomo_client *client, const struct yo_effect *effect)
{
    const struct yo_settings *settings = &client->settings;
    struct yo_conn_info info;
    yo_conn_info(client->conn, &info);
    size_t most = yo_client_session_message_max(client->session);
    if (most == 0 || most > settings->message_size_max) {
        most = settings->message_size_max;
    }
    client->extension = effect->extension;
    client->epoch = effect->epoch;
    yo_buf_clear(&client->token); /* without memory, or a token, it stays where it is */
    (void)yo_buf_append_span(&client->token, effect->token);
    if (!client->extension && client->datagrams_only && info.datagram_size_max < most) {
        most = info.datagram_size_max; /* there is no other way to send */
    }
    if (client->extension) {
        client->ping_at = 0; /* the first round-trip time, at once */
    }
    client->keeps = client->token.size > 0 && client->extension &&
                    yo_client_session_grace(client->session) > 0;
    set_shared(client, client->kind,
               yo_resume_greeted(client) ? client->session_id : effect->session, most);
    yo_paths_begin(client, client->heard_at);
    yo_asking_session(client);
    YO_LIST_EACH(link, next, &client->room_list) {
        struct yomo_room *room = YO_CONTAINER(link, struct yomo_room, room_link);
        if (room->state == YO_ROOM_JOINED) {
            /* Its hello came late: the session joins anew, and tells all again. */
            room->state = YO_ROOM_ASKED;
            yo_roster_begin(&room->roster);
        }
        yo_room_push(room);
    }
}

void yo_link_adopt(struct yomo_client *client, struct yo_conn *conn,
                   enum yomo_transport_kind kind, uint64_t skip, yo_time now)
{
    struct yo_conn_info info;
    yo_conn_listen(conn, &link_events, client);
    yo_conn_info(conn, &info);
    client->conn = conn;
    client->kind = kind;
    client->ending = client->dropped = client->blocked = false;
    client->heard_at = now;
    client->ping_at = 0;
    client->rtt = 0;
    client->datagrams_only = kind == YOMO_TRANSPORT_WEBTRANSPORT && info.datagrams;
    yo_client_session_moved(client->session, client->datagrams_only, skip, now);
    set_shared(client, kind, client->session_id, client->message_max);
    YO_LIST_EACH(link, next, &client->room_list) {
        yo_room_moved(YO_CONTAINER(link, struct yomo_room, room_link));
    }
}

void yo_link_close(struct yomo_client *client, enum yo_close_kind kind, uint32_t code)
{
    const struct yo_close how = {.kind = kind, .code = code};
    client->ending = true;
    yo_conn_close(client->conn, &how);
}

void yo_link_drop(struct yomo_client *client, int error, const char *text)
{
    if (!client->conn || client->dropped || client->ending) {
        return;
    }
    yo_reason_set(&client->drop, YO_CLOSE_RETRY, error, yo_span_of(text));
    client->dropped = client->ending = true;
    YO_LOG(&client->log, YOMO_LOG_WARN, "client", "connection dropped: %s%s%s",
           yomo_error_name(error), *text ? ": " : "", text);
    yo_conn_abort(client->conn);
}

/* The round-trip time: the transport's own where it knows it, else that of pings. */
static void note_rtt(struct yomo_client *client)
{
    struct yo_conn_info info;
    yo_conn_info(client->conn, &info);
    yo_client_lock(client);
    client->rtt_us = (client->rtt ? client->rtt : info.rtt) / YO_US;
    yo_client_unlock(client);
}

void yo_link_pong(struct yomo_client *client, yo_time rtt, yo_time now)
{
    client->kept_asked = false;
    yo_paths_answered(client, now);
    if (client->rtt == 0) {
        client->rtt = rtt;
    } else {
        client->rtt += (rtt >> RTT_SHIFT) - (client->rtt >> RTT_SHIFT);
    }
    note_rtt(client);
}

static yo_time silent_at(const struct yomo_client *client)
{
    uint64_t ms = client->settings.silence_ms;
    return client->extension && ms ? yo_time_after(client->heard_at, ms * YO_MS)
                                   : YO_NEVER;
}

static void ping(struct yomo_client *client, yo_time now)
{
    uint64_t ms = client->settings.keep_alive_ms;
    client->ping_at = ms ? yo_time_after(now, ms * YO_MS) : YO_NEVER;
    yo_effects_clear(&client->effects);
    if (yo_client_ping(client->session, now, &client->effects) == YOMO_OK) {
        yo_dispatch(client, now);
        yo_paths_asked(client, now);
    }
}

/* Some room's moment has come: let each look for itself. */
static void wake_rooms(struct yomo_client *client)
{
    client->rooms_due = YO_NEVER;
    YO_LIST_EACH(link, next, &client->room_list) {
        yo_room_push(YO_CONTAINER(link, struct yomo_room, room_link));
    }
}

void yo_link_tick(struct yomo_client *client, yo_time now)
{
    if (client->ending || yo_move_asked(client)) {
        return;
    }
    if (silent_at(client) <= now) {
        yo_link_drop(client, YOMO_ERR_TIMEOUT, "nothing was heard from the server");
        return;
    }
    if (yo_client_session_deadline(client->session) <= now) {
        yo_effects_clear(&client->effects);
        int rv = yo_client_session_tick(client->session, now, &client->effects);
        if (rv != YOMO_OK) {
            yo_link_drop(client, rv, "");
            return;
        }
        yo_dispatch(client, now);
    }
    yo_resume_turn(client, now);
    yo_goaway_turn(client, now);
    if (client->ping_at <= now && !client->ending && !client->resuming) {
        ping(client, now);
    }
    if (client->rooms_due <= now) {
        wake_rooms(client);
    }
    if (!client->ending) {
        yo_pump(client, now);
    }
    if (!client->ending && yo_goaway_over(client, now)) {
        yo_link_close(client, YO_CLOSE_DONE, YO_CODE_NORMAL);
    }
}

yo_time yo_link_deadline(const struct yomo_client *client)
{
    if (client->ending || yo_move_asked(client)) {
        return YO_NEVER; /* on_closed is all that is to come */
    }
    yo_time due = yo_client_session_deadline(client->session);
    due = yo_time_min(due, client->resuming ? YO_NEVER : client->ping_at);
    due = yo_time_min(due, yo_resume_deadline(client));
    due = yo_time_min(due, yo_goaway_deadline(client));
    due = yo_time_min(due, silent_at(client));
    return yo_time_min(due, client->rooms_due);
}
