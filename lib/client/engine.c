/* SPDX-License-Identifier: MIT */
/* engine.c - what a client is doing, from connect to the end.
 *
 * The happy path: IDLE, RACING for a connection, GREETING until the server's dialect is
 * known, OPEN, and on the program's wish ENDING and OVER. Possible failure modes: no
 * transport opens, or the connection ends: WAITING, with full jitter, then RACING
 * again; a server that refuses for good: ENDING.
 *
 * How an end is read: FINAL is final. RETRY comes back, and so does DONE: a server that
 * closes without a reason (1000), or something between that does, has not said that
 * this client should stay away, and the program has said that it wants to be connected.
 *
 * Invariants:
 *  1. `conn` is there in GREETING and OPEN, and in ENDING until it has closed;
 *  2. the race is active in RACING only;
 *  3. after ENDING has begun no call is accepted. */
#include "base/check.h"
#include "client/inside.h"
#include "client/udp_blocked.h"

static void on_connect(struct yo_letter *letter, void *user, yo_time now);
static void on_close(struct yo_letter *letter, void *user, yo_time now);
static void ignore(struct yo_letter *letter);
static void on_race_won(void *user, struct yo_conn *conn, enum yomo_transport_kind kind,
                        bool beaten, yo_time now);
static void on_race_failed(void *user, enum yomo_transport_kind kind,
                           const struct yo_reason *why, yo_time now);
static void on_race_lost(void *user, const struct yo_reason *why, yo_time now);
static void on_race_idle(void *user, yo_time now);

static const struct yo_connect_events race_events = {
    .on_won = on_race_won,
    .on_failed = on_race_failed,
    .on_lost = on_race_lost,
    .on_idle = on_race_idle,
};

static bool step_is_legal(enum yo_client_phase from, enum yo_client_phase to)
{
    switch (to) {
    case YO_PHASE_IDLE:
        return false;
    case YO_PHASE_RACING:
        return from == YO_PHASE_IDLE || from == YO_PHASE_WAITING;
    case YO_PHASE_GREETING:
        return from == YO_PHASE_RACING;
    case YO_PHASE_OPEN:
        return from == YO_PHASE_GREETING;
    case YO_PHASE_WAITING:
        return from == YO_PHASE_RACING || from == YO_PHASE_GREETING ||
               from == YO_PHASE_OPEN;
    case YO_PHASE_ENDING:
        return from != YO_PHASE_OVER;
    case YO_PHASE_OVER:
        return from == YO_PHASE_ENDING;
    }
    return false;
}

static void enter(struct yomo_client *client, enum yo_client_phase phase)
{
    static const char *const names[] = {"idle",    "racing", "greeting", "open",
                                        "waiting", "ending", "over"};
    assert(step_is_legal(client->phase, phase));
    YO_LOG(&client->log, YOMO_LOG_TRACE, "client", "phase %s -> %s",
           names[client->phase], names[phase]);
    client->phase = phase;
    yo_client_wake(client);
}

void yo_engine_init(struct yomo_client *client)
{
    const struct yo_settings *settings = &client->settings;
    const struct yo_dialer dialer = {yo_client_dial, client};
    uint64_t seed;
    yo_rand_bytes(&seed, sizeof(seed));
    client->dialer = dialer;
    client->connect_letter = (struct yo_letter){.open = on_connect, .discard = ignore};
    client->close_letter = (struct yo_letter){.open = on_close, .discard = ignore};
    yo_connect_init(&client->race, &client->mem, &client->dialer, &race_events, client);
    yo_backoff_init(&client->backoff, settings->reconnect_min_ms,
                    settings->reconnect_max_ms, seed);
    yo_map_init(&client->serials, &client->mem);
    yo_map_init(&client->pending, &client->mem);
    client->expiry_due = YO_NEVER;
    yo_list_init(&client->room_list);
    yo_list_init(&client->claims);
    yo_buf_init(&client->scratch, &client->mem);
    yo_buf_init(&client->text, &client->mem);
    yo_buf_init(&client->json, &client->mem);
    client->retry_at = client->linger_until = YO_NEVER;
    client->token_until = client->token_ask_at = YO_NEVER;
    client->next_serial = 1;
    yo_buf_init(&client->token, &client->mem);
    yo_move_init(client);
    yo_resume_init(client);
    yo_paths_init(client);
    yo_link_init(client);
}

void yo_engine_finish(struct yomo_client *client)
{
    if (!client->race.mem) {
        return;
    }
    yo_link_end(client);
    yo_move_finish(client);
    yo_resume_finish(client);
    yo_buf_finish(&client->token);
    yo_effects_finish(&client->effects);
    yo_map_finish(&client->serials);
    yo_map_finish(&client->pending);
    yo_buf_finish(&client->scratch);
    yo_buf_finish(&client->text);
    yo_buf_finish(&client->json);
    yo_target_finish(&client->redirect);
    yo_free(&client->mem, client->fresh_token);
}

static void tell(struct yomo_client *client, enum yomo_client_state state,
                 const struct yo_reason *why, uint64_t retry_ms, bool resumed)
{
    struct yomo_status status = {
        .resumed = resumed,
        .state = state,
        .error = why ? why->error : YOMO_OK,
        .text = why ? why->text : "",
        .retry_ms = retry_ms,
        .extension = state == YOMO_CLIENT_OPEN && client->extension,
        .transport = state == YOMO_CLIENT_OPEN ? client->kind : YOMO_TRANSPORT_NONE,
    };
    if (client->on.on_status) {
        client->on.on_status(client->user, client, &status);
    }
}

/* Attempts. */

static struct yo_connect_plan make_plan(const struct yomo_client *client, yo_time now)
{
    const struct yo_settings *settings = &client->settings;
    const struct yo_target *target = yo_client_target(client);
    struct yo_connect_plan plan = {
        .first = YOMO_TRANSPORT_WEBSOCKET,
        .second = YOMO_TRANSPORT_NONE,
        .delay = settings->race_delay_ms * YO_MS,
        .timeout = settings->connect_timeout_ms * YO_MS,
    };
    if (target->other) {
        plan.first = YOMO_TRANSPORT_CUSTOM;
    } else if (target->webtransport) {
        plan.first = YOMO_TRANSPORT_WEBTRANSPORT;
        plan.second =
            target->websocket ? YOMO_TRANSPORT_WEBSOCKET : YOMO_TRANSPORT_NONE;
    }
    if (yo_udp_blocked(yo_span_of(target->host), target->port, now)) {
        plan.delay = 0;
    }
    return plan;
}

static void attempt(struct yomo_client *client, yo_time now)
{
    yo_token_apply(client);
    struct yo_connect_plan plan = make_plan(client, now);
    client->retry_at = YO_NEVER;
    client->udp_failed = false;
    enter(client, YO_PHASE_RACING);
    yo_connect_start(&client->race, &plan, now);
    tell(client, YOMO_CLIENT_CONNECTING, NULL, 0, false);
}

static void end_for_good(struct yomo_client *client, const struct yo_reason *why)
{
    yo_client_lock(client);
    client->closing = true;
    yo_client_unlock(client);
    client->why = *why;
    if (client->race.active) {
        yo_connect_abort(&client->race);
    }
    enter(client, YO_PHASE_ENDING);
}

/* Wait `ms`, then try again; unless the program has had enough. */
static void wait(struct yomo_client *client, const struct yo_reason *why, uint64_t ms,
                 yo_time now)
{
    uint64_t most = client->settings.reconnect_attempts;
    client->failures++;
    if (most && client->failures > most) {
        end_for_good(client, why);
        return;
    }
    client->retry_at = yo_time_after(now, ms * YO_MS);
    enter(client, YO_PHASE_WAITING);
    YO_LOG(&client->log, YOMO_LOG_INFO, "client",
           "not connected (%s), next attempt in %llu ms", yomo_error_name(why->error),
           (unsigned long long)ms);
    tell(client, YOMO_CLIENT_WAITING, why, ms, false);
}

/* The race. */

static void on_race_won(void *user, struct yo_conn *conn, enum yomo_transport_kind kind,
                        bool beaten, yo_time now)
{
    struct yomo_client *client = user;
    const struct yo_target *target = yo_client_target(client);
    struct yo_span host = yo_span_of(target->host);
    if (kind == YOMO_TRANSPORT_WEBTRANSPORT) {
        yo_udp_blocked_clear(host, target->port);
    } else if (client->udp_failed) {
        yo_udp_blocked_note(host, target->port, now + YO_UDP_BLOCKED_FOR);
    } else if (beaten && client->race.plan.delay > 0) {
        yo_udp_blocked_note(host, target->port, now + YO_UDP_SLOW_FOR);
    }
    enter(client, YO_PHASE_GREETING);
    yo_link_begin(client, conn, kind, now);
}

static void on_race_failed(void *user, enum yomo_transport_kind kind,
                           const struct yo_reason *why, yo_time now)
{
    struct yomo_client *client = user;
    (void)now;
    YO_LOG(&client->log, YOMO_LOG_DEBUG, "client", "%s: %s%s%s",
           yomo_transport_name(kind), yomo_error_name(why->error),
           why->text[0] ? ": " : "", why->text);
    if (kind == YOMO_TRANSPORT_WEBTRANSPORT && why->kind != YO_CLOSE_FINAL &&
        why->error != YOMO_ERR_RESOLVE && why->error != YOMO_ERR_CERT) {
        client->udp_failed = true;
    }
    yo_client_wake(client);
}

static void on_race_lost(void *user, const struct yo_reason *why, yo_time now)
{
    struct yomo_client *client = user;
    yo_target_finish(&client->redirect); /* it led nowhere */
    if (why->kind == YO_CLOSE_FINAL) {
        end_for_good(client, why);
    } else {
        wait(client, why, yo_backoff_next(&client->backoff), now);
    }
}

static void on_race_idle(void *user, yo_time now)
{
    (void)now;
    yo_client_wake(user);
}

/* The connection. */

void yo_engine_open(struct yomo_client *client, bool resumed, yo_time now)
{
    if (client->phase != YO_PHASE_OPEN) { /* else its hello came late */
        client->opened_at = now;
        enter(client, YO_PHASE_OPEN);
    }
    tell(client, YOMO_CLIENT_OPEN, NULL, 0, resumed);
}

void yo_engine_lost(struct yomo_client *client, const struct yo_reason *why,
                    yo_time now)
{
    bool goaway = client->goaway;
    uint64_t goaway_ms = goaway ? yo_goaway_wait(client, now) : 0;
    bool was_open = client->phase == YO_PHASE_OPEN;
    if (was_open && now - client->opened_at >= YO_CLIENT_STABLE) {
        yo_backoff_reset(&client->backoff);
        client->failures = 0;
    }
    yo_resume_keep(client, why);
    yo_link_end(client);
    if (!goaway) {
        yo_target_finish(&client->redirect);
    }
    if (client->phase == YO_PHASE_ENDING) {
        yo_client_wake(client);
    } else if (client->lingering) {
        end_for_good(client, &(struct yo_reason){.kind = YO_CLOSE_DONE});
    } else if (why->kind == YO_CLOSE_FINAL && !goaway) {
        end_for_good(client, why);
    } else if (goaway) {
        struct yo_reason draining;
        yo_reason_set(&draining, YO_CLOSE_RETRY, YOMO_ERR_DRAINING, YO_SPAN_NONE);
        wait(client, &draining, goaway_ms, now);
    } else {
        wait(client, why, yo_backoff_next(&client->backoff), now);
    }
}

/* Calls. */

static void on_connect(struct yo_letter *letter, void *user, yo_time now)
{
    struct yomo_client *client = user;
    (void)letter;
    if (client->phase == YO_PHASE_IDLE && !client->lingering) {
        attempt(client, now);
    }
}

static void on_close(struct yo_letter *letter, void *user, yo_time now)
{
    struct yomo_client *client = user;
    (void)letter;
    if (client->phase < YO_PHASE_ENDING) {
        client->lingering = true;
        client->linger_until = yo_time_after(now, client->settings.linger_ms * YO_MS);
        yo_client_wake(client);
    }
}

/* The letters are the client's own members. */
static void ignore(struct yo_letter *letter)
{
    (void)letter;
}

/* Has everything gone that the program may rely on? */
static bool drained(const struct yomo_client *client)
{
    yo_client_lock(client);
    size_t held = client->held;
    yo_client_unlock(client);
    YO_LIST_EACH(link, next, &client->room_list)
    {
        if (YO_CONTAINER(link, struct yomo_room, room_link)->again) {
            return false;
        }
    }
    if ((client->kept || client->resuming) && client->kept_bytes > 0) {
        return false; /* some of it may have to go again */
    }
    return held == client->kept_bytes && client->pending_reliable == 0 && !yo_move_asked(client) &&
           yo_list_empty(&client->move.back);
}

/* The program wants to close: now, or when what waits has gone. */
static void linger(struct yomo_client *client, yo_time now)
{
    bool hopeless = client->phase == YO_PHASE_IDLE || client->hurry;
    if (!hopeless && now < client->linger_until && !drained(client)) {
        return;
    }
    client->linger_until = YO_NEVER;
    end_for_good(client, &(struct yo_reason){.kind = YO_CLOSE_DONE});
    if (client->conn) {
        yo_link_close(client, client->hurry ? YO_CLOSE_RETRY : YO_CLOSE_DONE,
                      client->hurry ? YO_CODE_GOING_AWAY : YO_CODE_NORMAL);
    }
}

/* Tell the end, once nothing is left in the loop. */
static void finish(struct yomo_client *client)
{
    for (;;) {
        struct yomo_room *room = NULL;
        int error = client->why.error;
        yo_client_lock(client);
        struct yo_map_node *node = yo_map_next(&client->rooms, NULL);
        if (node) {
            room = YO_CONTAINER(node, struct yomo_room, by_name);
            error = room->leave_asked ? YOMO_OK : error;
        }
        yo_client_unlock(client);
        if (!room) {
            break;
        }
        yo_room_over(room, error, yo_span_of(client->why.text));
    }
    enter(client, YO_PHASE_OVER);
    tell(client, YOMO_CLIENT_CLOSED, &client->why, 0, false);
}

void yo_engine_end_now(struct yomo_client *client)
{
    enter(client, YO_PHASE_ENDING);
    finish(client);
}

void yo_engine_hurry(struct yomo_client *client)
{
    client->hurry = true;
    if (client->conn && client->phase == YO_PHASE_ENDING) {
        yo_conn_abort(client->conn);
    }
    yo_client_wake(client);
}

void yo_engine_turn(struct yomo_client *client, yo_time now)
{
    client->woken = false;
    yo_connect_tick(&client->race, now);
    if (client->phase == YO_PHASE_WAITING && client->retry_at <= now) {
        attempt(client, now);
    }
    yo_move_turn(client, now);
    yo_token_turn(client, now);
    yo_asking_turn(client, now);
    yo_claims_turn(client, now);
    yo_sending_turn(client, now);
    if (client->conn) {
        yo_link_tick(client, now);
    }
    yo_paths_turn(client, now);
    if (client->lingering && client->phase < YO_PHASE_ENDING) {
        linger(client, now);
    }
    if (client->phase == YO_PHASE_ENDING && client->move.step != YO_MOVE_NONE) {
        yo_move_stop(client);
        if (!client->conn) {
            yo_link_end(client);
        }
    }
    if (client->phase == YO_PHASE_ENDING && !client->conn &&
        yo_connect_idle(&client->race) && yo_move_idle(client)) {
        finish(client);
    }
}

yo_time yo_engine_deadline(const struct yomo_client *client)
{
    yo_time due = yo_connect_deadline(&client->race);
    if (client->woken) {
        return 0;
    }
    if (client->phase == YO_PHASE_WAITING) {
        due = yo_time_min(due, client->retry_at);
    }
    if (client->lingering) {
        due = yo_time_min(due, client->linger_until);
    }
    due = yo_time_min(due, yo_move_deadline(client));
    due = yo_time_min(due, client->token_ask_at);
    due = yo_time_min(due, client->expiry_due);
    due = yo_time_min(due, yo_asking_deadline(client));
    due = yo_time_min(due, yo_claims_deadline(client));
    due = yo_time_min(due, yo_paths_deadline(client));
    return client->conn ? yo_time_min(due, yo_link_deadline(client)) : due;
}
