/* SPDX-License-Identifier: MIT */
/* member.c - a program around a real client: it says things, and knows what it must not
 * be told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "chance.h"
#include "client/inside.h"
#include "client/udp_blocked.h"
#include "model.h"

#define ROUNDS_MAX 1000 /* until a client must be quiet */

static const char *const room_names[ROOMS] = {"red", "blue"};

const char *room_name(uint32_t room)
{
    return room_names[room];
}

bool member_is_there(const struct member *member, uint32_t room)
{
    return !member->dead && member->seats[room].room && member->seats[room].joined;
}

uint32_t room_of(const yomo_room *room)
{
    return strcmp(yomo_room_name(room), room_names[0]) == 0 ? 0 : 1;
}

/* --- what it is told ---------------------------------------------------------------
 */

/* Again, as another session or as the one that it was, or over another connection. */
static void now_open(struct member *member, const yomo_client *client,
                     const yomo_status *status, bool was_open)
{
    bool resumed = yomo_status_resumed(status) != 0;
    uint64_t session = yomo_client_session(client); /* 0: hello did not come in time */
    bool same = session != 0 && session == member->session;
    bool moved = same && was_open;
    if (resumed != (same && !moved)) {
        model_fail(member->model, "%s resumed: %d, yet its session is %s", member->name,
                   resumed, same ? "the same" : "another");
    }
    if (!same) {
        member->session = session;
        member->session_event = member->model->event;
        say_another_session(member);
    }
    for (uint32_t i = 0; !same && i < ROOMS; i++) {
        member->seats[i].away = true;
        member->seats[i].urgent_now = false;
        member->seats[i].heard_now = true; /* what is past is what was missed */
    }
    member->was_resumed = resumed;
    member->troubled = false;
    member->open_at = model_now;
    member->transport = yomo_status_transport(status);
    member->resumed += resumed;
    member->model->tally.moved += moved;
    model_tell(member->model, "%s open as %llu over %s%s", member->name,
               (unsigned long long)session, yomo_transport_name(member->transport),
               resumed ? ", resumed"
               : moved ? ", moved"
                       : "");
}

static void on_status(void *user, yomo_client *client, const yomo_status *status)
{
    static const char *const names[] = {"idle", "connecting", "open", "waiting",
                                        "closed"};
    struct member *member = user;
    if (member->dead) {
        return;
    }
    bool was_open = member->state == YOMO_CLIENT_OPEN;
    member->state = yomo_status_state(status);
    if (member->state == YOMO_CLIENT_OPEN) {
        now_open(member, client, status, was_open);
    } else {
        model_tell(member->model, "%s %s %s", member->name, names[member->state],
                   yomo_error_name(yomo_status_error(status)));
        member_disturbed(member);
        if (member->transport == YOMO_TRANSPORT_WEBSOCKET) {
            say_another_session(member); /* a value on its way may be lost with it */
        }
    }
    if (member->state == YOMO_CLIENT_CLOSED) {
        model_fail(member->model, "%s was closed for good: %s", member->name,
                   yomo_status_text(status));
    }
}

static void on_joined(void *user, yomo_room *room)
{
    struct member *member = user;
    struct seat *seat = &member->seats[room_of(room)];
    if (member->dead || seat->room != room) { /* it is leaving */
        return;
    }
    model_tell(member->model, "%s joined %s", member->name, yomo_room_name(room));
    seat->away = false;
    if (!seat->joined) {
        seat->joined = true;
        seat->joined_at = model_now;
        seat->event = member->model->event;
    }
}

static struct seen *find(struct seat *seat, uint64_t session)
{
    for (size_t i = 0; i < seat->seen_count; i++) {
        if (seat->seen[i].session == session) {
            return &seat->seen[i];
        }
    }
    return NULL;
}

static void on_peer(void *user, yomo_room *room, const yomo_peer *peer, int32_t change)
{
    static const char *const names[] = {"is there", "came",  "has a state",
                                        "went",     "broke", "is back"};
    struct member *member = user;
    struct seat *seat = &member->seats[room_of(room)];
    struct seen *seen = find(seat, yomo_peer_session(peer));
    if (member->dead || seat->room != room) {
        return;
    }
    model_tell(member->model, "%s sees in %s: %s %s (%llu) %s", member->name,
               yomo_room_name(room), yomo_peer_id(peer), names[change],
               (unsigned long long)yomo_peer_session(peer),
               yomo_peer_state(peer, NULL));
    bool comes = change == YOMO_PEER_PRESENT || change == YOMO_PEER_JOINED;
    if (comes == (seen != NULL)) {
        model_fail(member->model, comes ? "it was there" : "it was not there");
    }
    if ((change == YOMO_PEER_STALE && seen->stale) ||
        (change == YOMO_PEER_BACK && !seen->stale)) {
        model_fail(member->model, "it was so before");
    }
    if (change == YOMO_PEER_LEFT) {
        *seen = seat->seen[--seat->seen_count];
        return;
    }
    if (comes) {
        assert_true(seat->seen_count < sizeof(seat->seen) / sizeof(seat->seen[0]));
        seen = &seat->seen[seat->seen_count++];
        seen->session = yomo_peer_session(peer);
        snprintf(seen->id, sizeof(seen->id), "%s", yomo_peer_id(peer));
    }
    seen->stale = yomo_peer_stale(peer) != 0;
    snprintf(seen->state, sizeof(seen->state), "%s", yomo_peer_state(peer, NULL));
}

static bool hears(const struct member *member, const yomo_room *room)
{
    return !member->dead && member->seats[room_of(room)].room == room;
}

static void on_message(void *user, yomo_room *room, const yomo_message *message)
{
    if (!hears(user, room)) {
        return;
    }
    if (strcmp(yomo_message_event(message), "ask") == 0) {
        requests_heard(user, room, message);
    } else {
        say_heard(user, room, message);
    }
}

static void on_sent(void *user, yomo_room *room, uint64_t id, int32_t error)
{
    struct member *member = user;
    (void)room;
    if (!member->dead) {
        say_sent(member, id, error);
    }
}

static void on_gap(void *user, yomo_room *room, const yomo_gap *gap)
{
    if (hears(user, room)) {
        say_gap(user, room, gap);
    }
}

static void on_value(void *user, yomo_room *room, const yomo_value *value)
{
    if (hears(user, room) && yomo_value_is_lock(value)) {
        locks_seen(user, room, value);
    } else if (hears(user, room)) {
        values_told(user, room, value);
    }
}

static void on_history(void *user, yomo_room *room, yomo_history *history)
{
    if (hears(user, room)) {
        history_told(user, room, history);
    }
}

static void on_user(void *user, yomo_room *room, const yomo_user *who, int32_t change)
{
    if (hears(user, room)) {
        users_told(user, room, who, change);
    }
}

static void on_lock(void *user, yomo_room *room, const char *key, int32_t held,
                    uint64_t version)
{
    (void)key;
    if (hears(user, room)) {
        locks_told(user, room, held != 0, version);
    }
}

static void on_left(void *user, yomo_room *room, int32_t error, const char *text)
{
    struct member *member = user;
    struct seat *seat = &member->seats[room_of(room)];
    if (member->dead) {
        return;
    }
    model_tell(member->model, "%s left %s: %s %s", member->name, yomo_room_name(room),
               yomo_error_name(error), text);
    if (error == YOMO_OK || seat->room != room) {
        return;
    }
    if (error != YOMO_ERR_NOMEM || !member->model->faulty) {
        model_fail(member->model, "it did not want to");
    }
    seat->room = NULL; /* it was told */
    seat->joined = seat->holds = false;
}

static void on_closed(void *user, yomo_client *client)
{
    (void)client;
    ((struct member *)user)->closed = true;
}

static const yomo_client_callbacks callbacks = {
    .size = sizeof(callbacks),
    .on_status = on_status,
    .on_joined = on_joined,
    .on_message = on_message,
    .on_peer = on_peer,
    .on_sent = on_sent,
    .on_gap = on_gap,
    .on_value = on_value,
    .on_history = on_history,
    .on_user = on_user,
    .on_lock = on_lock,
    .on_left = on_left,
    .on_closed = on_closed,
};

/* --- the client, driven as its loop would ------------------------------------------
 */

static int dial(void *user, struct yo_conn **out, enum yomo_transport_kind kind,
                const struct yo_conn_events *events, void *events_user)
{
    struct member *member = user;
    struct wire *wire =
        wire_dial(&member->model->net, kind, yo_client_target(member->client)->path,
                  (chance_of(95) ? 1 + chance_below(40) : 500 + chance_below(1000)) *
                      YO_MS); /* now and then hello comes late */
    wire->owner = member;
    if (member->udp_blocked && kind == YOMO_TRANSPORT_WEBTRANSPORT) {
        wire->open_at = model_now + 3600 * YO_SECOND; /* nothing comes back */
    }
    wire->rate = member->narrow ? 2000 + (uint32_t)chance_below(4000) : 0;
    yo_conn_listen(&wire->conn, events, events_user);
    *out = &wire->conn;
    return YOMO_OK;
}

struct member *member_create(struct model *model, enum yomo_transport_kind kind)
{
    struct member *member = calloc(1, sizeof(*member));
    assert_non_null(member);
    assert_true(model->member_count < MEMBERS_MAX);
    member->model = model;
    member->index = model->member_count;
    member->kind = kind;
    char url[64];
    snprintf(url, sizeof(url), "https://m%u", member->index);
    member->narrow = chance_of(15);
    member->troubled = true; /* until it is there */
    snprintf(member->name, sizeof(member->name), "m%u", member->index);
    snprintf(member->id, sizeof(member->id), "u%u", member->index);
    if (chance_of(20) && member->index > 0) { /* another device of a person */
        const struct member *same = model->members[chance_below(member->index)];
        memcpy(member->id, same->id, sizeof(member->id));
    }
    const char *const pairs[] = {
        "url",
        url,
        "id",
        member->id,
        "transport",
        kind == YOMO_TRANSPORT_NONE ? "auto" : yomo_transport_name((int32_t)kind),
        "reconnect-min",
        "50ms",
        "reconnect-max",
        "2s",
        "upgrade-interval",
        "2s",
        "stall-timeout",
        "2s"};
    yomo_options *options;
    assert_int_equal(yomo_options_create(&options, YOMO_SCOPE_CLIENT), YOMO_OK);
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i += 2) {
        assert_int_equal(yomo_options_set(options, pairs[i], pairs[i + 1]), YOMO_OK);
    }
    yomo_options_set_mem(options, &model->fault.mem);
    assert_int_equal(yomo_client_create(&member->client, options, &callbacks, member),
                     YOMO_OK);
    yomo_options_free(options);
    /* As a start would, but without a loop. */
    member->client->runner.mode = YO_RUN_HOST;
    yo_client_ref(member->client);
    member->client->dialer = (struct yo_dialer){dial, member};
    member->client->race.dialer = member->client->dialer;
    yo_rand_seed(&member->client->backoff.rand, chance_below(UINT64_MAX));
    model->members[model->member_count++] = member;
    assert_int_equal(yomo_client_connect(member->client), YOMO_OK);
    model_tell(model, "%s comes, over %s%s", member->name,
               kind == YOMO_TRANSPORT_NONE ? "any" : yomo_transport_name((int32_t)kind),
               member->narrow ? ", narrow" : "");
    return member;
}

static struct yo_letter *next_letter(yomo_client *client)
{
    yo_client_lock(client);
    struct yo_link *link = yo_list_pop_front(&client->runner.early);
    yo_client_unlock(client);
    return link ? YO_CONTAINER(link, struct yo_letter, link) : NULL;
}

bool member_turn(struct member *member)
{
    yomo_client *client = member->client;
    struct yo_letter *letter;
    if (member->closed) {
        return false;
    }
    for (int round = 0; round < ROUNDS_MAX; round++) {
        bool any = false;
        while ((letter = next_letter(client)) != NULL) {
            letter->open(letter, client, model_now);
            any = true;
        }
        yo_engine_turn(client, model_now);
        if (client->phase == YO_PHASE_OVER) {
            while ((letter = next_letter(client)) != NULL) {
                letter->discard(letter);
            }
            on_closed(member, client);
            yo_client_unref(client);
            return true;
        }
        if (!any && yo_engine_deadline(client) > model_now) {
            return round > 0;
        }
    }
    model_fail(member->model, "%s does not come to rest", member->name);
}

yo_time member_due(const struct member *member)
{
    return member->closed ? YO_NEVER : yo_engine_deadline(member->client);
}

void member_free(struct member *member)
{
    const struct yo_target *target = yo_client_target(member->client);
    assert_true(member->closed);
    yo_udp_blocked_clear(yo_span_of(target->host), target->port); /* for the next run */
    yomo_client_free(member->client);
    free(member);
}

struct wire *member_wire(const struct member *member)
{
    YO_LIST_EACH(link, next, &member->model->net.wires)
    {
        struct wire *wire = YO_CONTAINER(link, struct wire, link);
        if (wire->owner == member && !wire->ended && wire->open_at == YO_NEVER) {
            return wire;
        }
    }
    return NULL;
}

/* --- what it does ------------------------------------------------------------------
 */

static const char *state_text(uint32_t number)
{
    static char text[32];
    snprintf(text, sizeof(text), "{\"s\":%u}", number);
    return text;
}

void member_disturbed(struct member *member)
{
    say_disturbed(member);
    requests_disturbed(member);
}

void member_join(struct member *member, uint32_t room)
{
    static const uint64_t paces[] = {0, 0, 100, 1000};
    struct seat *seat = &member->seats[room], before = *seat;
    yomo_join *join;
    memset(seat, 0, sizeof(*seat));
    seat->state = before.state + 1;
    seat->mine = before.mine;
    seat->observe = chance_of(15);
    seat->pace_ms = paces[chance_below(4)];
    say_joined(member, room);
    model_tell(member->model, "%s asks for %s%s, values in %llu ms", member->name,
               room_names[room], seat->observe ? ", to look on" : "",
               (unsigned long long)seat->pace_ms);
    assert_int_equal(yomo_join_create(&join, member->client), YOMO_OK);
    yomo_join_set_state(join, state_text(seat->state));
    yomo_join_set_observe(join, seat->observe);
    yomo_join_set_pace(join, seat->pace_ms);
    history_wish(member, room, join, &before);
    int32_t rv =
        yomo_client_join_with(member->client, room_names[room], join, &seat->room);
    yomo_join_free(join);
    if (rv != YOMO_OK) { /* the old leave is not over */
        model_tell(member->model, "  %s", yomo_error_name(rv));
        *seat = before;
        seat->room = NULL;
    }
}

void member_leave(struct member *member, uint32_t room)
{
    struct seat *seat = &member->seats[room];
    model_tell(member->model, "%s leaves %s", member->name, room_names[room]);
    seat->told = yomo_room_position(seat->room, &seat->told_order);
    yomo_room_leave(seat->room);
    seat->room = NULL;
    seat->joined = seat->holds = false;
    requests_disturbed(member);
}

void member_set_state(struct member *member, uint32_t room)
{
    struct seat *seat = &member->seats[room];
    if (seat->observe) { /* it has none */
        return;
    }
    model_tell(member->model, "%s is %u in %s", member->name, seat->state + 1,
               room_names[room]);
    if (yomo_room_set_state(seat->room, state_text(seat->state + 1)) == YOMO_OK) {
        seat->state++;
    }
}

void member_die(struct member *member, yo_time server_at)
{
    model_tell(member->model, "%s dies", member->name);
    member->dead = true;
    YO_LIST_EACH(link, next, &member->model->net.wires)
    {
        struct wire *wire = YO_CONTAINER(link, struct wire, link);
        if (wire->owner == member && !wire->end_told) {
            wire_break(wire, model_now, server_at);
        }
    }
    for (uint32_t i = 0; i < ROOMS; i++) {
        member->seats[i].room = NULL;
        member->seats[i].joined = member->seats[i].holds = false;
    }
    member_disturbed(member);
    yomo_client_close(member->client);
}
