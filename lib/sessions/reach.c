/* SPDX-License-Identifier: MIT */
/* reach.c - invariants:
 *  1. `done` is set when on_open or on_failed was told, or by a cancel; then the race
 * is over and every attempt that is left was given up;
 *  2. a reach is freed, by its task, when it is done and no attempt is left. */
#include "sessions/reach.h"

#include <assert.h>
#include <yomo/error.h>

#include "transport/dial_quic.h"
#include "transport/race.h"

#define TEXT_MAX 123

struct attempt {
    struct yo_reach *reach;
    struct yo_wt_session *session; /* NULL: not begun, or over, or it has won */
    struct yo_dialed *dialed;      /* NULL: not begun, or gone, or it has won */
};

struct yo_reach {
    struct yo_loop *loop;
    const struct yo_reach_events *events;
    void *user, *owner;
    struct yo_dial_options options;
    char *host, *path, *origin, *qlog_dir;
    struct yo_buf fields, protocols;
    struct yo_race race;
    struct attempt attempts[YO_RACE_MAX];
    struct yo_task task; /* it can be freed */
    bool done;
    int last; /* what the last attempt to fail said */
    char text[TEXT_MAX + 1];
};

static void free_reach(struct yo_reach *reach)
{
    const struct yomo_mem *mem = yo_loop_mem(reach->loop);
    yo_race_stop(&reach->race);
    yo_task_cancel(&reach->task);
    yo_tls_client_unref(reach->options.tls);
    yo_free(mem, reach->host);
    yo_free(mem, reach->path);
    yo_free(mem, reach->origin);
    yo_free(mem, reach->qlog_dir);
    yo_buf_finish(&reach->fields);
    yo_buf_finish(&reach->protocols);
    yo_free(mem, reach);
}

static void on_task(struct yo_task *task, yo_time now)
{
    struct yo_reach *reach = YO_CONTAINER(task, struct yo_reach, task);
    const struct yo_reach_events *events = reach->events;
    void *owner = reach->owner;
    (void)now;
    free_reach(reach);
    events->on_gone(owner);
}

static void check_gone(struct yo_reach *reach)
{
    for (size_t i = 0; i < YO_RACE_MAX; i++) {
        if (reach->attempts[i].dialed) {
            return;
        }
    }
    if (reach->done) {
        yo_loop_defer(reach->loop, &reach->task);
    }
}

/* No attempt goes on. */
static void finish(struct yo_reach *reach)
{
    reach->done = true;
    yo_race_stop(&reach->race);
    for (size_t i = 0; i < YO_RACE_MAX; i++) {
        if (reach->attempts[i].session) {
            /* The server is told, which may be thinking about it. */
            yo_wt_session_close(reach->attempts[i].session, 0, YO_SPAN_NONE);
        }
    }
    check_gone(reach);
}

void yo_reach_cancel(struct yo_reach *reach)
{
    if (!reach->done) {
        finish(reach);
    }
}

static void fail(struct yo_reach *reach, const struct yo_wt_end *end,
                 struct yo_span fields, yo_time now)
{
    finish(reach);
    reach->events->on_failed(reach->user, end, fields, now);
}

/* --- What the attempts say -------------------------------------------------------- */

static void on_open(void *user, yo_time now)
{
    struct attempt *attempt = user;
    struct yo_reach *reach = attempt->reach;
    struct yo_wt_session *session = attempt->session;
    struct yo_dialed *dialed = attempt->dialed;
    if (reach->done) {
        return; /* it was given up */
    }
    attempt->session = NULL;
    attempt->dialed = NULL;
    yo_dialed_listen(dialed, NULL, NULL);
    finish(reach);
    reach->events->on_open(reach->user, session, dialed, now);
}

static void keep_text(struct yo_reach *reach, struct yo_span text)
{
    size_t size = text.size < TEXT_MAX ? text.size : TEXT_MAX;
    if (size > 0) {
        memcpy(reach->text, text.data, size);
    }
    reach->text[size] = '\0';
}

/* An end that another address of the same server would not mend. */
static bool decided(const struct yo_wt_end *end)
{
    return end->status != 0 || end->error == YOMO_ERR_CERT;
}

static void on_end(void *user, const struct yo_wt_end *end, yo_time now)
{
    struct attempt *attempt = user;
    struct yo_reach *reach = attempt->reach;
    struct yo_span fields = yo_wt_session_fields(attempt->session);
    attempt->session = NULL;
    if (reach->done) {
        return;
    }
    if (decided(end)) {
        fail(reach, end, fields, now);
    } else {
        reach->last = end->error ? end->error : YOMO_ERR_CLOSED;
        keep_text(reach, end->text);
        yo_race_failed(&reach->race, reach->last, now);
    }
}

static const struct yo_wt_session_events attempt_events = {
    .on_open = on_open,
    .on_end = on_end,
};

static void on_dialed_gone(void *user)
{
    struct attempt *attempt = user;
    attempt->dialed = NULL;
    check_gone(attempt->reach);
}

static int start_attempt(void *user, size_t index, const union yo_address *address,
                         yo_time now)
{
    struct yo_reach *reach = user;
    struct attempt *attempt = &reach->attempts[index];
    struct yo_wt_session *session;
    struct yo_dialed *dialed;
    (void)now;
    int rv = yo_dial_quic_session(&session, &dialed, reach->loop, &reach->options,
                                  address, on_dialed_gone, attempt);
    if (rv == YOMO_OK) {
        *attempt =
            (struct attempt){.reach = reach, .session = session, .dialed = dialed};
        yo_wt_session_listen(session, &attempt_events, attempt);
    }
    return rv;
}

static void on_lost(void *user, int error, yo_time now)
{
    struct yo_reach *reach = user;
    const struct yo_wt_end end = {
        .remote = true,
        .error = error,
        .text = error == reach->last ? yo_span_of(reach->text) : YO_SPAN_NONE,
    };
    fail(reach, &end, YO_SPAN_NONE, now);
}

/* --- Life ------------------------------------------------------------------------- */

/* Point `*text` to a copy of itself, which `*kept` owns. */
static bool keep(struct yo_reach *reach, char **kept, const char **text)
{
    if (*text) {
        *kept = yo_strndup(yo_loop_mem(reach->loop), *text, strlen(*text));
        *text = *kept;
        return *kept != NULL;
    }
    return true;
}

static bool keep_bytes(struct yo_buf *kept, struct yo_span *bytes)
{
    if (bytes->size > 0 && yo_buf_append_span(kept, *bytes) != YOMO_OK) {
        return false;
    }
    *bytes = yo_buf_span(kept);
    return true;
}

int yo_reach_begin(struct yo_reach **out, struct yo_loop *loop,
                   const struct yo_dial_options *options,
                   const struct yo_reach_events *events, void *user, void *owner)
{
    struct yo_reach *reach = yo_calloc(yo_loop_mem(loop), 1, sizeof(*reach));
    if (!reach) {
        return YOMO_ERR_NOMEM;
    }
    reach->loop = loop;
    reach->events = events;
    reach->user = user;
    reach->owner = owner;
    reach->options = *options;
    reach->options.tls = yo_tls_client_ref(options->tls);
    yo_buf_init(&reach->fields, yo_loop_mem(loop));
    yo_buf_init(&reach->protocols, yo_loop_mem(loop));
    yo_task_init(&reach->task, on_task);
    int rv = YOMO_ERR_NOMEM;
    if (keep(reach, &reach->host, &reach->options.host) &&
        keep(reach, &reach->path, &reach->options.path) &&
        keep(reach, &reach->origin, &reach->options.origin) &&
        keep(reach, &reach->qlog_dir, &reach->options.qlog_dir) &&
        keep_bytes(&reach->fields, &reach->options.fields) &&
        keep_bytes(&reach->protocols, &reach->options.protocols)) {
        reach->race.loop = loop;
        reach->race.start = start_attempt;
        reach->race.lost = on_lost;
        reach->race.user = reach;
        rv = yo_race_begin(&reach->race, reach->host, options->port);
    }
    if (rv != YOMO_OK) {
        reach->race.loop = NULL; /* nothing to stop */
        free_reach(reach);
        return rv;
    }
    *out = reach;
    return YOMO_OK;
}
