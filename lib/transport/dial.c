/* SPDX-License-Identifier: MIT */
/* dial.c
 *
 * A WebSocket's addresses are raced by dial_tcp.c, which knows them as TCP connections.
 * Over QUIC an attempt is a whole yo_conn, so the connection that the application gets
 * is one of ours, which stands before the attempts and, once one has won, hands
 * everything through to it.
 *
 * Invariants: `winner` is set at most once, and then no other attempt is left that has
 * not been aborted; a dial is freed when on_closed has been told and no attempt is
 * left. */
#include "transport/dial.h"

#include <assert.h>
#include <stdio.h>
#include <yomo/error.h>

#include "transport/dial_quic.h"
#include "transport/dial_tcp.h"
#include "transport/race.h"

#define TEXT_MAX 123

struct dial;

struct attempt {
    struct dial *dial;
    struct yo_conn *conn; /* NULL: not begun, or gone */
};

struct dial {
    struct yo_conn conn; /* first: a yo_conn is its dial */
    struct yo_loop *loop;
    struct yo_dial_options options;
    char *host, *path, *origin, *qlog_dir;
    struct yo_race race;
    struct attempt attempts[YO_RACE_MAX];
    struct yo_conn *winner;
    struct yo_task task; /* on_closed is due */
    bool over;           /* `why` is known */
    bool told;           /* on_closed has come */
    struct yo_close why;
    char text[TEXT_MAX + 1];
};

/* --- The end ---------------------------------------------------------------------- */

static void free_dial(struct dial *dial)
{
    const struct yomo_mem *mem = yo_loop_mem(dial->loop);
    yo_race_stop(&dial->race);
    yo_task_cancel(&dial->task);
    yo_tls_client_unref(dial->options.tls);
    yo_free(mem, dial->host);
    yo_free(mem, dial->path);
    yo_free(mem, dial->origin);
    yo_free(mem, dial->qlog_dir);
    yo_free(mem, dial);
}

static bool attempts_left(const struct dial *dial)
{
    for (size_t i = 0; i < YO_RACE_MAX; i++) {
        if (dial->attempts[i].conn) {
            return true;
        }
    }
    return false;
}

static void set_why(struct dial *dial, const struct yo_close *why)
{
    if (dial->over) {
        return;
    }
    dial->over = true;
    dial->why = *why;
    size_t size = why->text.size < TEXT_MAX ? why->text.size : TEXT_MAX;
    if (size > 0) {
        memcpy(dial->text, why->text.data, size);
    }
    dial->why.text = size > 0 ? yo_span(dial->text, size) : YO_SPAN_NONE;
}

/* Tell it when nothing of the attempts is left. */
static void check_over(struct dial *dial)
{
    if (dial->over && !attempts_left(dial)) {
        yo_loop_defer(dial->loop, &dial->task);
    }
}

static void on_task(struct yo_task *task, yo_time now)
{
    struct dial *dial = YO_CONTAINER(task, struct dial, task);
    if (!dial->told) {
        dial->told = true;
        if (dial->conn.events->on_closed) {
            dial->conn.events->on_closed(dial->conn.user, &dial->conn, &dial->why, now);
        }
    }
    free_dial(dial);
}

static void abort_others(struct dial *dial, const struct yo_conn *keep)
{
    yo_race_stop(&dial->race);
    for (size_t i = 0; i < YO_RACE_MAX; i++) {
        if (dial->attempts[i].conn && dial->attempts[i].conn != keep) {
            yo_conn_abort(dial->attempts[i].conn); /* on_closed clears the place */
        }
    }
}

static void give_up(struct dial *dial, const struct yo_close *why)
{
    set_why(dial, why);
    abort_others(dial, NULL);
    check_over(dial);
}

/* --- What the attempts say -------------------------------------------------------- */

static void on_open(void *user, struct yo_conn *conn, yo_time now)
{
    struct attempt *attempt = user;
    struct dial *dial = attempt->dial;
    if (dial->winner || dial->over) {
        yo_conn_abort(conn);
        return;
    }
    dial->winner = conn;
    abort_others(dial, conn);
    if (dial->conn.events->on_open) {
        dial->conn.events->on_open(dial->conn.user, &dial->conn, now);
    }
}

static void on_message(void *user, struct yo_conn *conn, uint32_t lane,
                       struct yo_span message, yo_time now)
{
    struct dial *dial = ((struct attempt *)user)->dial;
    if (conn == dial->winner && dial->conn.events->on_message) {
        dial->conn.events->on_message(dial->conn.user, &dial->conn, lane, message, now);
    }
}

static void on_writable(void *user, struct yo_conn *conn, yo_time now)
{
    struct dial *dial = ((struct attempt *)user)->dial;
    if (conn == dial->winner && dial->conn.events->on_writable) {
        dial->conn.events->on_writable(dial->conn.user, &dial->conn, now);
    }
}

static void on_fate(void *user, struct yo_conn *conn, uint64_t token, enum yo_fate fate,
                    yo_time now)
{
    struct dial *dial = ((struct attempt *)user)->dial;
    if (conn == dial->winner && dial->conn.events->on_fate) {
        dial->conn.events->on_fate(dial->conn.user, &dial->conn, token, fate, now);
    }
}

/* An error that another address of the same server would not mend. */
static bool decided(int error)
{
    return error == YOMO_ERR_AUTH || error == YOMO_ERR_DENIED || error == YOMO_ERR_CERT;
}

static void on_closed(void *user, struct yo_conn *conn, const struct yo_close *why,
                      yo_time now)
{
    struct attempt *attempt = user;
    struct dial *dial = attempt->dial;
    attempt->conn = NULL;
    if (dial->over) {
        check_over(dial);
    } else if (conn == dial->winner || decided(why->error)) {
        give_up(dial, why);
    } else if (!dial->winner) {
        /* Kept for the case that it was the last one. */
        set_why(dial, why);
        dial->over = false;
        yo_race_failed(&dial->race, why->error, now);
    }
}

static const struct yo_conn_events attempt_events = {on_open, on_message, on_writable,
                                                     on_fate, on_closed};

static int start_attempt(void *user, size_t index, const union yo_address *address,
                         yo_time now)
{
    struct dial *dial = user;
    struct attempt *attempt = &dial->attempts[index];
    (void)now;
    attempt->dial = dial;
    return yo_dial_quic(&attempt->conn, dial->loop, &dial->options, address,
                        &attempt_events, attempt);
}

static void on_lost(void *user, int error, yo_time now)
{
    struct dial *dial = user;
    struct yo_close why = dial->why; /* of the last attempt, with its text */
    (void)now;
    if (why.error != error) {
        why = (struct yo_close){.kind = YO_CLOSE_RETRY, .error = error, .remote = true};
    }
    give_up(dial, &why);
}

/* --- What the application says ---------------------------------------------------- */

static int dial_send(struct yo_conn *conn, uint32_t lane, struct yo_blob *message,
                     uint64_t token)
{
    struct dial *dial = (struct dial *)conn;
    if (dial->over) {
        return YOMO_ERR_CLOSED;
    }
    if (!dial->winner) {
        return YOMO_ERR_AGAIN; /* on_open is the sign */
    }
    return yo_conn_send(dial->winner, lane, message, token);
}

static void dial_flush(struct yo_conn *conn, yo_time now)
{
    struct dial *dial = (struct dial *)conn;
    if (dial->winner && !dial->over) {
        yo_conn_flush(dial->winner, now);
    }
}

static void dial_end_lane(struct yo_conn *conn, uint32_t lane)
{
    struct dial *dial = (struct dial *)conn;
    if (dial->winner && !dial->over) {
        yo_conn_end_lane(dial->winner, lane);
    }
}

static size_t dial_queued(const struct yo_conn *conn)
{
    const struct dial *dial = (const struct dial *)conn;
    return dial->winner && !dial->over ? yo_conn_queued(dial->winner) : 0;
}

static void dial_info(const struct yo_conn *conn, struct yo_conn_info *info)
{
    const struct dial *dial = (const struct dial *)conn;
    if (dial->winner && !dial->over) {
        yo_conn_info(dial->winner, info);
        return;
    }
    memset(info, 0, sizeof(*info));
    info->transport = YOMO_TRANSPORT_WEBTRANSPORT;
    info->secure = true;
    if (dial->race.count > 0) {
        yo_address_print(&dial->race.addresses[0], info->address);
    }
}

static void dial_close(struct yo_conn *conn, const struct yo_close *how)
{
    struct dial *dial = (struct dial *)conn;
    if (dial->winner && !dial->over) {
        yo_conn_close(dial->winner, how);
    } else {
        struct yo_close why = *how;
        why.remote = false;
        give_up(dial, &why);
    }
}

static void dial_abort(struct yo_conn *conn)
{
    struct dial *dial = (struct dial *)conn;
    if (dial->winner && !dial->over) {
        yo_conn_abort(dial->winner);
    } else {
        struct yo_close why = {.kind = YO_CLOSE_RETRY, .error = YOMO_ERR_CLOSED};
        give_up(dial, &why);
    }
}

static void dial_reclaim(struct yo_conn *conn, yo_reclaimed_fn fn, void *user)
{
    struct dial *dial = (struct dial *)conn;
    if (dial->winner && !dial->over) {
        (void)yo_conn_reclaim(dial->winner, fn, user);
    }
}

static const struct yo_conn_ops ops = {dial_send,   dial_flush, dial_end_lane,
                                       dial_queued, dial_info,  dial_close,
                                       dial_abort,  dial_reclaim, NULL};

/* --- Life ------------------------------------------------------------------------- */

/* Point `*text` to a copy of itself, which `*kept` owns. */
static bool keep(struct dial *dial, char **kept, const char **text)
{
    if (*text) {
        *kept = yo_strndup(yo_loop_mem(dial->loop), *text, strlen(*text));
        *text = *kept;
        return *kept != NULL;
    }
    return true;
}

static int dial_quic(struct yo_conn **out, struct yo_loop *loop,
                     const struct yo_dial_options *options,
                     const struct yo_conn_events *events, void *user)
{
    if (!options->host || !options->path || !options->tls) {
        return YOMO_ERR_INVALID;
    }
    struct dial *dial = yo_calloc(yo_loop_mem(loop), 1, sizeof(*dial));
    if (!dial) {
        return YOMO_ERR_NOMEM;
    }
    dial->conn = (struct yo_conn){&ops, events, user};
    dial->loop = loop;
    dial->options = *options;
    dial->options.tls = yo_tls_client_ref(options->tls);
    yo_task_init(&dial->task, on_task);
    int rv = YOMO_ERR_NOMEM;
    if (keep(dial, &dial->host, &dial->options.host) &&
        keep(dial, &dial->path, &dial->options.path) &&
        keep(dial, &dial->origin, &dial->options.origin) &&
        keep(dial, &dial->qlog_dir, &dial->options.qlog_dir)) {
        dial->options.proxy = NULL;
        dial->race.loop = loop;
        dial->race.start = start_attempt;
        dial->race.lost = on_lost;
        dial->race.user = dial;
        rv = yo_race_begin(&dial->race, dial->host, options->port);
    }
    if (rv != YOMO_OK) {
        dial->race.loop = NULL;
        free_dial(dial);
        return rv;
    }
    *out = &dial->conn;
    return YOMO_OK;
}

int yo_dial(struct yo_conn **out, struct yo_loop *loop,
            const struct yo_dial_options *options, const struct yo_conn_events *events,
            void *user)
{
    switch (options->transport) {
    case YOMO_TRANSPORT_WEBSOCKET:
        return yo_dial_tcp(out, loop, options, events, user);
    case YOMO_TRANSPORT_WEBTRANSPORT:
        return dial_quic(out, loop, options, events, user);
    default:
        return YOMO_ERR_INVALID;
    }
}
