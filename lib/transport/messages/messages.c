/* SPDX-License-Identifier: MIT */
/* messages.c
 *
 * The happy path: what is sent goes to its lane (lanes.c) or into a datagram, and what
 * comes from there is handed up; acknowledgements make room.
 *
 * Failure modes: the queue is full (AGAIN, and on_writable when it is half empty); the
 * peer breaks a rule (closed with the code that messages.h names); too much is held
 * of messages that are cut (lanes.c).
 *
 * The end: `close` notes how, the next turn begins it: what is queued is flushed for at
 * most FLUSH_MAX, then the session is told. on_closed comes with the session's end. */
#include "transport/messages/messages.h"

#include <assert.h>
#include <stdio.h>
#include <yomo/error.h>

#include "base/text.h"
#include "transport/messages/lanes.h"

#define FLUSH_MAX YO_SECOND

/* --- The end ---------------------------------------------------------------------- */

static void note_how(struct yo_messages *m, const struct yo_close *how)
{
    struct yo_span text = how->text;
    if (text.size > YO_MESSAGES_TEXT_MAX) {
        text.size = YO_MESSAGES_TEXT_MAX;
        while (text.size > 0 && !yo_utf8_valid(text)) {
            text.size--;
        }
    }
    if (text.size > 0) {
        memcpy(m->text, text.data, text.size);
    }
    m->how = *how;
    m->how.remote = false;
    m->how.text = text.size > 0 ? yo_span(m->text, text.size) : YO_SPAN_NONE;
    if (m->how.code == 0 && m->options.extension) {
        m->how.code = how->kind == YO_CLOSE_DONE    ? YO_CODE_NORMAL
                      : how->kind == YO_CLOSE_FINAL ? YO_CODE_DENIED
                                                    : YO_CODE_GOING_AWAY;
    }
}

static void say_how(struct yo_messages *m)
{
    m->phase = YO_SAID;
    /* A browser takes a CLOSE capsule for a regular end, and presencejs then stays
     * away; an error makes it come back. */
    if (!m->options.extension && m->how.kind == YO_CLOSE_RETRY) {
        char text[YO_MESSAGES_TEXT_MAX + 16];
        snprintf(text, sizeof(text), "%u %.*s", m->how.code, (int)m->how.text.size,
                 m->how.text.size ? (const char *)m->how.text.data : "");
        yo_wt_session_break(m->session, YO_H3_REQUEST_CANCELLED, yo_span_of(text));
    } else {
        yo_wt_session_close(m->session, m->how.code, m->how.text);
    }
}

static bool flushed(const struct yo_messages *m)
{
    return m->queued == 0 && yo_wt_session_datagrams_queued(m->session) == 0;
}

/* The peer broke the rules. */
void yo_messages_reject(struct yo_messages *m, uint32_t code, const char *text)
{
    if (m->phase >= YO_FLUSHING) {
        return;
    }
    (*m->options.messages_bad)++;
    note_how(m, &(struct yo_close){.kind = yo_close_kind_of(code),
                                   .error = yo_close_error_of(code),
                                   .code = code,
                                   .text = yo_span_of(text)});
    m->phase = YO_CLOSING;
    m->queued = 0; /* not worth flushing */
    say_how(m);
}

/* --- In --------------------------------------------------------------------------- */

void yo_messages_deliver(struct yo_messages *m, uint32_t lane, struct yo_span message,
                         yo_time now)
{
    if (m->base.events->on_message) {
        m->base.events->on_message(m->base.user, &m->base, lane, message, now);
    }
}

/* --- The session's events --------------------------------------------------------- */

static void on_datagram(void *user, struct yo_span bytes, yo_time now)
{
    struct yo_messages *m = user;
    size_t max = m->options.datagram_size_max;
    if (m->phase != YO_RUNNING) {
        return;
    }
    if (bytes.size == 0 || (max > 0 && bytes.size > max)) {
        (*m->options.messages_bad)++;
        return;
    }
    yo_messages_deliver(m, YO_LANE_DATAGRAM, bytes, now);
}

static void on_fate(void *user, uint64_t token, enum yo_fate fate, yo_time now)
{
    struct yo_messages *m = user;
    if (m->phase == YO_RUNNING && m->base.events->on_fate) {
        m->base.events->on_fate(m->base.user, &m->base, token, fate, now);
    }
}

static void on_open(void *user, yo_time now)
{
    struct yo_messages *m = user;
    int rv = YOMO_OK;
    if (m->phase != YO_RUNNING) {
        return;
    }
    if (m->options.extension) { /* there before its first message, for the server's */
        m->control = yo_lane_open(m, YO_LANE_CONTROL, true, &rv);
        m->had_control = m->control != NULL;
    }
    if (rv != YOMO_OK) {
        yo_conn_abort(&m->base);
        return;
    }
    m->open = true;
    if (m->base.events->on_open) {
        m->base.events->on_open(m->base.user, &m->base, now);
    }
}

static size_t queued(const struct yo_messages *m)
{
    return m->queued + yo_wt_session_datagrams_queued(m->session);
}

static void on_progress(void *user, yo_time now)
{
    struct yo_messages *m = user;
    if (m->phase == YO_FLUSHING) {
        if (flushed(m)) {
            say_how(m);
        } else {
            yo_wt_session_want_progress(m->session);
        }
        return;
    }
    if (m->phase != YO_RUNNING || !m->want_writable) {
        return;
    }
    if (queued(m) > m->options.queue_size_max / 2) {
        yo_wt_session_want_progress(m->session);
        return;
    }
    m->want_writable = false;
    if (m->base.events->on_writable) {
        m->base.events->on_writable(m->base.user, &m->base, now);
    }
}

static void on_turn(void *user, yo_time now)
{
    struct yo_messages *m = user;
    if (m->phase != YO_CLOSING) {
        return;
    }
    if (m->how.kind == YO_CLOSE_RETRY || !m->open || flushed(m)) {
        say_how(m);
        return;
    }
    m->phase = YO_FLUSHING;
    yo_wt_session_alarm(m->session, yo_time_after(now, FLUSH_MAX));
    yo_wt_session_want_progress(m->session);
}

static void on_alarm(void *user, yo_time now)
{
    struct yo_messages *m = user;
    (void)now;
    if (m->phase == YO_FLUSHING) {
        say_how(m);
    }
}

static struct yo_close why_of(const struct yo_wt_end *end)
{
    struct yo_close why = {.kind = YO_CLOSE_RETRY,
                           .error = end->error,
                           .code = end->code,
                           .text = end->text,
                           .remote = end->remote,
                           .farewell = end->parted};
    if (end->clean) { /* a browser's plain close() has code 0 */
        why.farewell = end->remote && yo_close_is_farewell(end->code);
        why.kind = end->code == 0 ? YO_CLOSE_DONE : yo_close_kind_of(end->code);
        why.error = end->code == 0 ? YOMO_OK : yo_close_error_of(end->code);
    } else if (end->error == YOMO_ERR_AUTH || end->error == YOMO_ERR_DENIED) {
        why.kind = YO_CLOSE_FINAL; /* the server's word, in an HTTP status */
    }
    return why;
}

static void on_end(void *user, const struct yo_wt_end *end, yo_time now)
{
    struct yo_messages *m = user;
    struct yo_close why = m->phase == YO_RUNNING ? why_of(end) : m->how;
    assert(yo_list_empty(&m->lanes));
    yo_lanes_free_waiting(m);
    m->phase = YO_SAID;
    if (m->base.events->on_closed) {
        m->base.events->on_closed(m->base.user, &m->base, &why, now);
    }
    yo_free(m->options.mem, m);
}

static const struct yo_wt_session_events session_events = {
    .on_open = on_open,
    .on_stream = yo_lanes_on_stream,
    .on_datagram = on_datagram,
    .on_fate = on_fate,
    .on_progress = on_progress,
    .on_alarm = on_alarm,
    .on_turn = on_turn,
    .on_end = on_end,
};

/* --- transport.h ------------------------------------------------------------------ */

int yo_messages_again(struct yo_messages *m)
{
    m->want_writable = true;
    yo_wt_session_want_progress(m->session);
    return YOMO_ERR_AGAIN;
}

static int send_datagram(struct yo_messages *m, struct yo_blob *message, uint64_t token)
{
    int rv = yo_wt_session_send(m->session, message, token);
    return rv == YOMO_ERR_AGAIN ? yo_messages_again(m) : rv;
}

static int messages_send(struct yo_conn *conn, uint32_t lane, struct yo_blob *message,
                         uint64_t token)
{
    struct yo_messages *m = (struct yo_messages *)conn;
    bool datagram = lane == YO_LANE_DATAGRAM || !m->options.extension;

    if (m->phase != YO_RUNNING) {
        return YOMO_ERR_CLOSED;
    }
    if (!m->open) {
        return YOMO_ERR_AGAIN; /* on_open is the sign */
    }
    if (message->size == 0) {
        return YOMO_ERR_INVALID;
    }
    if (datagram ? !yo_wt_session_fits(m->session, message->size)
                 : message->size > m->options.message_size_max) {
        return YOMO_ERR_TOO_BIG;
    }
    size_t waits = queued(m);
    if (waits > 0 && waits + message->size > m->options.queue_size_max) {
        return yo_messages_again(m);
    }
    return datagram ? send_datagram(m, message, token) : yo_lane_send(m, lane, message);
}

static void messages_flush(struct yo_conn *conn, yo_time now)
{
    struct yo_messages *m = (struct yo_messages *)conn;
    if (m->phase == YO_RUNNING && m->open) {
        yo_wt_session_flush(m->session, now);
    }
}

static void messages_end_lane(struct yo_conn *conn, uint32_t lane)
{
    struct yo_messages *m = (struct yo_messages *)conn;
    if (lane < YO_LANE_ROOMS || m->phase != YO_RUNNING) {
        return;
    }
    struct yo_lane *found = yo_lane_find(m, lane);
    if (found) {
        found->ended = true;
        yo_wt_stream_end(found->stream);
    }
}

static size_t messages_queued(const struct yo_conn *conn)
{
    return queued((const struct yo_messages *)conn);
}

static void messages_info(const struct yo_conn *conn, struct yo_conn_info *info)
{
    const struct yo_messages *m = (const struct yo_messages *)conn;
    memset(info, 0, sizeof(*info));
    info->transport = YOMO_TRANSPORT_WEBTRANSPORT;
    info->secure = true;
    info->datagram_size_max = yo_wt_session_datagram_max(m->session);
    info->datagrams = info->datagram_size_max > 0;
    info->rtt = yo_wt_session_rtt(m->session);
    yo_wt_session_address(m->session, info->address);
}

static void messages_close(struct yo_conn *conn, const struct yo_close *how)
{
    struct yo_messages *m = (struct yo_messages *)conn;
    if (m->phase != YO_RUNNING) {
        return;
    }
    note_how(m, how);
    m->phase = YO_CLOSING;
    yo_wt_session_wake(m->session);
}

static void messages_abort(struct yo_conn *conn)
{
    struct yo_messages *m = (struct yo_messages *)conn;
    if (m->phase == YO_RUNNING) {
        note_how(m,
                 &(struct yo_close){.kind = YO_CLOSE_RETRY, .error = YOMO_ERR_CLOSED});
    }
    m->phase = YO_SAID;
    yo_wt_session_abort(m->session);
}

static void messages_reclaim(struct yo_conn *conn, yo_reclaimed_fn fn, void *user)
{
    yo_lanes_reclaim((struct yo_messages *)conn, fn, user);
}

static void messages_prefetch(const struct yo_conn *conn)
{
    const struct yo_messages *m = (const struct yo_messages *)conn;
    if (m->phase == YO_RUNNING && m->open) {
        yo_wt_session_prefetch(m->session);
    }
}

static const struct yo_conn_ops ops = {
    messages_send,  messages_flush, messages_end_lane, messages_queued,  messages_info,
    messages_close, messages_abort, messages_reclaim,  messages_prefetch,
};

struct yo_conn *yo_messages_create(struct yo_wt_session *session,
                                   const struct yo_messages_options *options,
                                   const struct yo_conn_events *events, void *user)
{
    struct yo_messages *m = session ? yo_calloc(options->mem, 1, sizeof(*m)) : NULL;
    if (!m) {
        if (session) {
            yo_wt_session_break(session, YO_H3_INTERNAL_ERROR,
                                yo_span_of("out of memory"));
        }
        return NULL;
    }
    m->base.ops = &ops;
    yo_conn_listen(&m->base, events, user);
    m->session = session;
    m->options = *options;
    m->open = options->server;
    yo_list_init(&m->lanes);
    yo_list_init(&m->waiting);
    yo_wt_session_listen(session, &session_events, m);
    return &m->base;
}
