/* SPDX-License-Identifier: MIT */
/* connect.c
 *
 * The happy path: the first transport is dialled, opens within `delay`, and wins; the
 * second is never started. Possible failure modes:
 *  - the first is slow: the second starts beside it, and whichever opens first wins;
 *  - one fails: the other goes on, and starts now if it had not;
 *  - both fail, or nobody opens in time: on_lost with the weightiest reason;
 *  - one is refused for good: the race is lost at once.
 *
 * Invariants:
 *  1. an attempt is in `running` or in `ending` until its on_closed, or until it wins;
 *  2. `running` is empty unless `active`. */
#include "client/connect.h"

#include <assert.h>

struct yo_attempt {
    struct yo_link link;
    struct yo_connect *race;
    struct yo_conn *conn;
    enum yomo_transport_kind kind;
    yo_time give_up_at;
    bool abandoned;
};

void yo_reason_set(struct yo_reason *reason, enum yo_close_kind kind, int error,
                   struct yo_span text)
{
    size_t size = text.size < YO_REASON_SIZE ? text.size : YO_REASON_SIZE - 1;
    while (size > 0 && size < text.size && (text.data[size] & 0xc0) == 0x80) {
        size--; /* not inside a character */
    }
    reason->kind = kind;
    reason->error = error;
    if (size > 0) {
        memcpy(reason->text, text.data, size);
    }
    reason->text[size] = '\0';
}

void yo_reason_from(struct yo_reason *reason, const struct yo_close *why)
{
    yo_reason_set(reason, why->kind, why->error, why->text);
}

void yo_connect_init(struct yo_connect *race, const struct yomo_mem *mem,
                     const struct yo_dialer *dialer,
                     const struct yo_connect_events *events, void *user)
{
    *race = (struct yo_connect){.mem = mem, .dialer = *dialer, .events = events};
    race->user = user;
    race->second_at = YO_NEVER;
    yo_list_init(&race->running);
    yo_list_init(&race->ending);
}

bool yo_connect_idle(const struct yo_connect *race)
{
    return !race->active && yo_list_empty(&race->ending);
}

/* Of two failures, the one that tells the program more. */
static int weight(const struct yo_reason *why)
{
    if (why->kind == YO_CLOSE_FINAL) {
        return 4;
    }
    switch (why->error) {
    case YOMO_ERR_CERT:
        return 3;
    case YOMO_ERR_RESOLVE:
    case YOMO_ERR_TLS:
        return 2;
    default:
        return why->error ? 1 : 0;
    }
}

static void note_failure(struct yo_connect *race, const struct yo_reason *why)
{
    if (weight(why) > weight(&race->why)) {
        race->why = *why;
    }
}

static void abandon_all(struct yo_connect *race)
{
    race->active = false;
    race->second_at = YO_NEVER;
    YO_LIST_EACH(link, next, &race->running) {
        struct yo_attempt *attempt = YO_CONTAINER(link, struct yo_attempt, link);
        yo_list_remove(link);
        yo_list_push_back(&race->ending, link);
        attempt->abandoned = true;
        yo_conn_abort(attempt->conn);
    }
}

void yo_connect_abort(struct yo_connect *race)
{
    abandon_all(race);
}

static void start_second(struct yo_connect *race, yo_time now);

/* After an attempt failed: is there another? */
static void go_on_or_lose(struct yo_connect *race, bool final, yo_time now)
{
    if (race->second_at != YO_NEVER && !final) {
        start_second(race, now);
    }
    if (final || yo_list_empty(&race->running)) {
        abandon_all(race);
        struct yo_reason why = race->why;
        race->events->on_lost(race->user, &why, now);
    }
}

static void attempt_failed(struct yo_attempt *attempt, const struct yo_reason *why,
                           yo_time now)
{
    struct yo_connect *race = attempt->race;
    note_failure(race, why);
    race->events->on_failed(race->user, attempt->kind, why, now);
    go_on_or_lose(race, why->kind == YO_CLOSE_FINAL, now);
}

static void on_open(void *user, struct yo_conn *conn, yo_time now)
{
    struct yo_attempt *attempt = user;
    struct yo_connect *race = attempt->race;
    if (attempt->abandoned) {
        return;
    }
    enum yomo_transport_kind kind = attempt->kind;
    yo_list_remove(&attempt->link);
    yo_free(race->mem, attempt);
    bool beaten = kind == race->plan.second && !yo_list_empty(&race->running);
    abandon_all(race);
    race->events->on_won(race->user, conn, kind, beaten, now);
}

static void on_closed(void *user, struct yo_conn *conn, const struct yo_close *why,
                      yo_time now)
{
    (void)conn;
    struct yo_attempt *attempt = user;
    struct yo_connect *race = attempt->race;
    yo_list_remove(&attempt->link);
    if (attempt->abandoned) {
        yo_free(race->mem, attempt);
        if (yo_connect_idle(race)) {
            race->events->on_idle(race->user, now);
        }
        return;
    }
    struct yo_reason reason;
    yo_reason_from(&reason, why);
    if (reason.error == 0) {
        reason.error = YOMO_ERR_CLOSED; /* it never opened: that is no success */
    }
    if (reason.error == YOMO_ERR_CERT || reason.error == YOMO_ERR_TLS) {
        /* That was not the server's word: a hotel's portal may stand in between, for an
         * hour, or a certificate be renewed. */
        reason.kind = YO_CLOSE_RETRY;
    }
    attempt_failed(attempt, &reason, now);
    yo_free(race->mem, attempt);
}

static void ignore_message(void *user, struct yo_conn *conn, uint32_t lane,
                           struct yo_span message, yo_time now)
{
    (void)user, (void)conn, (void)lane, (void)message, (void)now;
}

static void ignore_writable(void *user, struct yo_conn *conn, yo_time now)
{
    (void)user, (void)conn, (void)now;
}

static void ignore_fate(void *user, struct yo_conn *conn, uint64_t token,
                        enum yo_fate fate, yo_time now)
{
    (void)user, (void)conn, (void)token, (void)fate, (void)now;
}

static const struct yo_conn_events attempt_events = {
    .on_open = on_open,
    .on_message = ignore_message,
    .on_writable = ignore_writable,
    .on_fate = ignore_fate,
    .on_closed = on_closed,
};

static int start_attempt(struct yo_connect *race, enum yomo_transport_kind kind,
                         yo_time now)
{
    struct yo_attempt *attempt = yo_calloc(race->mem, 1, sizeof(*attempt));
    int rv = YOMO_ERR_NOMEM;
    if (attempt) {
        attempt->race = race;
        attempt->kind = kind;
        attempt->give_up_at = yo_time_after(now, race->plan.timeout);
        rv = race->dialer.dial(race->dialer.user, &attempt->conn, kind, &attempt_events,
                               attempt);
    }
    if (rv != YOMO_OK) {
        yo_free(race->mem, attempt);
        struct yo_reason why;
        yo_reason_set(&why, YO_CLOSE_RETRY, rv, YO_SPAN_NONE);
        note_failure(race, &why);
        return rv;
    }
    yo_list_push_back(&race->running, &attempt->link);
    return YOMO_OK;
}

static void start_second(struct yo_connect *race, yo_time now)
{
    race->second_at = YO_NEVER;
    (void)start_attempt(race, race->plan.second, now);
}

void yo_connect_start(struct yo_connect *race, const struct yo_connect_plan *plan,
                      yo_time now)
{
    assert(!race->active && yo_list_empty(&race->running));
    race->plan = *plan;
    race->active = true;
    race->why = (struct yo_reason){.kind = YO_CLOSE_RETRY};
    race->second_at = YO_NEVER;
    if (plan->second != YOMO_TRANSPORT_NONE) {
        race->second_at = yo_time_after(now, plan->delay);
    }
    bool started = start_attempt(race, plan->first, now) == YOMO_OK;
    if (race->second_at <= now || (race->second_at != YO_NEVER && !started)) {
        start_second(race, now);
    }
    race->failing = yo_list_empty(&race->running);
}

static void give_up_late_ones(struct yo_connect *race, yo_time now)
{
    YO_LIST_EACH(link, next, &race->running) {
        struct yo_attempt *attempt = YO_CONTAINER(link, struct yo_attempt, link);
        if (attempt->give_up_at <= now) {
            yo_list_remove(link);
            yo_list_push_back(&race->ending, link);
            attempt->abandoned = true;
            yo_conn_abort(attempt->conn);
            struct yo_reason why;
            yo_reason_set(&why, YO_CLOSE_RETRY, YOMO_ERR_TIMEOUT, YO_SPAN_NONE);
            attempt_failed(attempt, &why, now);
            return; /* the list may be another now; the next tick sees to the rest */
        }
    }
}

void yo_connect_tick(struct yo_connect *race, yo_time now)
{
    if (!race->active) {
        return;
    }
    if (race->failing) {
        race->failing = false;
        go_on_or_lose(race, false, now);
        return;
    }
    if (race->second_at <= now) {
        start_second(race, now);
    }
    give_up_late_ones(race, now);
}

yo_time yo_connect_deadline(const struct yo_connect *race)
{
    if (!race->active) {
        return YO_NEVER;
    }
    if (race->failing) {
        return 0;
    }
    yo_time due = race->second_at;
    for (const struct yo_link *link = race->running.next; link != &race->running;
         link = link->next) {
        due = yo_time_min(due, YO_CONTAINER(link, struct yo_attempt, link)->give_up_at);
    }
    return due;
}
