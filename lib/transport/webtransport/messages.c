/* SPDX-License-Identifier: MIT */
/* messages.c
 *
 * The happy path out: a message is queued on its lane's stream by reference, with its
 * length in front; acknowledgements make room. In: frames.c cuts messages out of what
 * comes and they are handed up where they lie.
 *
 * Failure modes: the queue is full (AGAIN, and on_writable when it is half empty); the
 * peer breaks a rule (closed with the code that messages.h names); many streams hold
 * cut messages at once: past PARTIAL_SPARE and one whole message only one of them goes
 * on, the others are held back by their windows until it is complete.
 *
 * The end: `close` notes how, the next turn begins it: what is queued is flushed for at
 * most FLUSH_MAX, then the session is told. on_closed comes with the session's end. */
#include "transport/webtransport/messages.h"

#include <assert.h>
#include <stdio.h>
#include <yomo/error.h>

#include "base/list.h"
#include "base/text.h"
#include "base/varint.h"
#include "transport/webtransport/codes.h"
#include "transport/webtransport/frames.h"

#define FLUSH_MAX YO_SECOND
#define TEXT_MAX 123
#define PARTIAL_SPARE (256u << 10)

struct pipe {            /* one stream, one or both directions */
    struct yo_link link; /* in messages->pipes */
    struct messages *messages;
    struct yo_wt_stream *stream;
    uint32_t lane; /* YO_LANE_CONTROL, or the number of an outgoing lane; 0: incoming */
    bool ended;    /* end_lane was called: the next message opens another stream */
    bool held;     /* did not take what was offered, see above */
    size_t kept;   /* its part of messages->partial */
    struct yo_frames frames;
};

struct messages {
    struct yo_conn base; /* first */
    struct yo_wt_session *session;
    struct yo_messages_options options;
    struct yo_link pipes;
    struct pipe *control; /* NULL: the client has not opened it yet, or it is gone */
    bool had_control;
    struct yo_link waiting; /* a server's, for the control stream: struct early */
    size_t queued; /* bytes on streams that were not acknowledged, `waiting` included */
    size_t partial;            /* bytes of messages that are cut */
    struct pipe *first_served; /* the one that goes on while `partial` is too much */
    bool open, want_writable;
    enum { RUNNING, CLOSING, FLUSHING, SAID } phase;
    struct yo_close how; /* from CLOSING on */
    char text[TEXT_MAX];
};

struct early { /* a message for a control stream that is not there */
    struct yo_link link;
    struct yo_blob *blob;
};

static const struct yo_wt_stream_events pipe_events;

/* --- Pipes ------------------------------------------------------------------------ */

static struct pipe *add_pipe(struct messages *m, uint32_t lane)
{
    struct pipe *pipe = yo_calloc(m->options.mem, 1, sizeof(*pipe));
    if (pipe) {
        pipe->messages = m;
        pipe->lane = lane;
        yo_frames_init(&pipe->frames, m->options.mem);
        yo_list_push_back(&m->pipes, &pipe->link);
    }
    return pipe;
}

static void set_kept(struct pipe *pipe, size_t kept)
{
    pipe->messages->partial += kept - pipe->kept;
    pipe->kept = kept;
}

/* Another one may go on. */
static void serve_others(struct messages *m)
{
    m->first_served = NULL;
    YO_LIST_EACH(link, next, &m->pipes)
    {
        struct pipe *pipe = YO_CONTAINER(link, struct pipe, link);
        if (pipe->held) {
            pipe->held = false;
            yo_wt_stream_resume(pipe->stream);
        }
    }
}

static void free_pipe(struct pipe *pipe)
{
    struct messages *m = pipe->messages;
    set_kept(pipe, 0);
    yo_list_remove(&pipe->link);
    if (m->first_served == pipe) {
        serve_others(m);
    }
    if (m->control == pipe) {
        m->control = NULL;
    }
    yo_frames_finish(&pipe->frames);
    yo_free(m->options.mem, pipe);
}

static struct pipe *open_pipe(struct messages *m, uint32_t lane, bool bidirectional,
                              int *rv)
{
    struct pipe *pipe = add_pipe(m, lane);
    *rv = YOMO_ERR_NOMEM;
    if (pipe) {
        *rv = yo_wt_session_open(m->session, bidirectional, &pipe_events, pipe,
                                 &pipe->stream);
        if (*rv != YOMO_OK) {
            free_pipe(pipe);
            pipe = NULL;
        }
    }
    return pipe;
}

static struct pipe *find_lane(struct messages *m, uint32_t lane)
{
    YO_LIST_EACH(link, next, &m->pipes)
    {
        struct pipe *pipe = YO_CONTAINER(link, struct pipe, link);
        if (pipe->lane == lane && !pipe->ended) {
            yo_list_remove(link);
            yo_list_push_front(&m->pipes, link); /* who speaks once speaks again */
            return pipe;
        }
    }
    return NULL;
}

/* --- The end ---------------------------------------------------------------------- */

static void note_how(struct messages *m, const struct yo_close *how)
{
    struct yo_span text = how->text;
    if (text.size > TEXT_MAX) {
        text.size = TEXT_MAX;
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

static void say_how(struct messages *m)
{
    m->phase = SAID;
    /* A browser takes a CLOSE capsule for a regular end, and presencejs then stays
     * away; an error makes it come back. */
    if (!m->options.extension && m->how.kind == YO_CLOSE_RETRY) {
        char text[TEXT_MAX + 16];
        snprintf(text, sizeof(text), "%u %.*s", m->how.code, (int)m->how.text.size,
                 m->how.text.size ? (const char *)m->how.text.data : "");
        yo_wt_session_break(m->session, YO_H3_REQUEST_CANCELLED, yo_span_of(text));
    } else {
        yo_wt_session_close(m->session, m->how.code, m->how.text);
    }
}

static bool flushed(const struct messages *m)
{
    return m->queued == 0 && yo_wt_session_datagrams_queued(m->session) == 0;
}

/* The peer broke the rules. */
static void reject(struct messages *m, uint32_t code, const char *text)
{
    if (m->phase >= FLUSHING) {
        return;
    }
    (*m->options.messages_bad)++;
    note_how(m, &(struct yo_close){.kind = yo_close_kind_of(code),
                                   .error = yo_close_error_of(code),
                                   .code = code,
                                   .text = yo_span_of(text)});
    m->phase = CLOSING;
    m->queued = 0; /* not worth flushing */
    say_how(m);
}

/* --- In --------------------------------------------------------------------------- */

static void deliver(struct messages *m, uint32_t lane, struct yo_span message,
                    yo_time now)
{
    if (m->base.events->on_message) {
        m->base.events->on_message(m->base.user, &m->base, lane, message, now);
    }
}

/* May this one keep bytes of a cut message? */
static bool may_keep(struct pipe *pipe, size_t size)
{
    struct messages *m = pipe->messages;
    if (m->first_served == pipe ||
        m->partial + size <= m->options.message_size_max + PARTIAL_SPARE) {
        return true;
    }
    if (!m->first_served) {
        m->first_served = pipe;
        return true;
    }
    pipe->held = true;
    return false;
}

static size_t on_data(void *user, struct yo_wt_stream *stream, struct yo_span bytes,
                      bool end, yo_time now)
{
    struct pipe *pipe = user;
    struct messages *m = pipe->messages;
    uint32_t lane = pipe->lane == YO_LANE_CONTROL ? YO_LANE_CONTROL : YO_LANE_ROOMS;
    size_t all = bytes.size;
    int rv = 1;
    (void)stream;

    if (m->phase == RUNNING && !may_keep(pipe, bytes.size)) {
        return 0;
    }
    while (m->phase == RUNNING && rv > 0) {
        struct yo_span message;
        rv = yo_frames_next(&pipe->frames, &bytes, m->options.message_size_max,
                            &message);
        if (rv > 0) {
            deliver(m, lane, message, now);
        }
    }
    if (m->phase != RUNNING) {
        return all;
    }
    if (rv == YOMO_ERR_NOMEM) {
        struct yo_close how = {
            .kind = YO_CLOSE_RETRY, .error = rv, .code = YO_CODE_TRY_LATER};
        yo_conn_close(&m->base, &how);
    } else if (rv == YOMO_ERR_TOO_BIG) {
        reject(m, YO_CODE_TOO_BIG, "a message over the limit");
    } else if (rv < 0) {
        reject(m, YO_CODE_PROTOCOL, "a message of length 0");
    } else if (end && yo_frames_partial(&pipe->frames)) {
        reject(m, YO_CODE_PROTOCOL, "a stream that ends inside a message");
    } else {
        set_kept(pipe, yo_frames_kept(&pipe->frames));
        if (m->first_served == pipe && pipe->kept == 0) {
            serve_others(m);
        }
    }
    return all;
}

static void on_reset(void *user, struct yo_wt_stream *stream, const uint32_t *code,
                     yo_time now)
{
    struct pipe *pipe = user; /* what was cut is lost; the sender wanted it so */
    (void)stream, (void)code, (void)now;
    yo_frames_finish(&pipe->frames);
    yo_frames_init(&pipe->frames, pipe->messages->options.mem);
    set_kept(pipe, 0);
    if (pipe->messages->first_served == pipe) {
        serve_others(pipe->messages);
    }
}

static void on_stop(void *user, struct yo_wt_stream *stream, yo_time now)
{
    struct pipe *pipe = user;
    (void)stream, (void)now;
    reject(pipe->messages, YO_CODE_PROTOCOL, "a reliable lane was stopped");
}

static void release(struct messages *m, size_t size)
{
    m->queued -= size < m->queued ? size : m->queued;
}

static void on_acked(void *user, struct yo_wt_stream *stream, size_t size, yo_time now)
{
    struct pipe *pipe = user;
    (void)stream, (void)now;
    release(pipe->messages, size);
}

static void on_pipe_gone(void *user, struct yo_wt_stream *stream, yo_time now)
{
    struct pipe *pipe = user;
    (void)now;
    release(pipe->messages, yo_wt_stream_queued(stream));
    free_pipe(pipe);
}

static const struct yo_wt_stream_events pipe_events = {
    .on_data = on_data,
    .on_reset = on_reset,
    .on_stop = on_stop,
    .on_acked = on_acked,
    .on_gone = on_pipe_gone,
};

/* --- The session's events --------------------------------------------------------- */

static int push_frame(struct pipe *pipe, struct yo_blob *blob)
{
    uint8_t head[YO_VARINT_SIZE_MAX];
    size_t n = yo_varint_write(head, blob->size);
    int rv = yo_wt_stream_push(pipe->stream, yo_span(head, n), blob);
    if (rv == YOMO_OK) {
        pipe->messages->queued += n + blob->size;
    }
    return rv;
}

static void free_waiting(struct messages *m)
{
    struct yo_link *link;
    while ((link = yo_list_pop_front(&m->waiting))) {
        struct early *early = YO_CONTAINER(link, struct early, link);
        release(m, early->blob->size);
        yo_blob_unref(early->blob);
        yo_free(m->options.mem, early);
    }
}

/* The client has opened its control stream: what waited for it goes out. */
static void adopt_control(struct messages *m, struct pipe *pipe)
{
    m->control = pipe;
    m->had_control = true;
    YO_LIST_EACH(link, next, &m->waiting)
    {
        if (push_frame(pipe, YO_CONTAINER(link, struct early, link)->blob) != YOMO_OK) {
            struct yo_close how = {.kind = YO_CLOSE_RETRY,
                                   .error = YOMO_ERR_NOMEM,
                                   .code = YO_CODE_TRY_LATER};
            yo_conn_close(&m->base, &how);
            break;
        }
    }
    free_waiting(m);
}

static void on_stream(void *user, struct yo_wt_stream *stream, yo_time now)
{
    struct messages *m = user;
    bool bidirectional = yo_wt_stream_bidirectional(stream);
    (void)now;
    if (!m->options.extension) { /* presencejs uses none */
        (*m->options.messages_bad)++;
        yo_wt_stream_stop(stream, 0);
        yo_wt_stream_reset(stream, 0);
        return;
    }
    if (m->phase != RUNNING) {
        return;
    }
    if (bidirectional && (!m->options.server || m->had_control)) {
        reject(m, YO_CODE_PROTOCOL, "a second bidirectional stream");
        return;
    }
    struct pipe *pipe = add_pipe(m, bidirectional ? YO_LANE_CONTROL : 0);
    if (!pipe) {
        struct yo_close how = {
            .kind = YO_CLOSE_RETRY, .error = YOMO_ERR_NOMEM, .code = YO_CODE_TRY_LATER};
        yo_conn_close(&m->base, &how);
        return;
    }
    pipe->stream = stream;
    yo_wt_stream_listen(stream, &pipe_events, pipe);
    if (bidirectional) {
        adopt_control(m, pipe);
    }
}

static void on_datagram(void *user, struct yo_span bytes, yo_time now)
{
    struct messages *m = user;
    size_t max = m->options.datagram_size_max;
    if (m->phase != RUNNING) {
        return;
    }
    if (bytes.size == 0 || (max > 0 && bytes.size > max)) {
        (*m->options.messages_bad)++;
        return;
    }
    deliver(m, YO_LANE_DATAGRAM, bytes, now);
}

static void on_fate(void *user, uint64_t token, enum yo_fate fate, yo_time now)
{
    struct messages *m = user;
    if (m->phase == RUNNING && m->base.events->on_fate) {
        m->base.events->on_fate(m->base.user, &m->base, token, fate, now);
    }
}

static void on_open(void *user, yo_time now)
{
    struct messages *m = user;
    int rv = YOMO_OK;
    if (m->phase != RUNNING) {
        return;
    }
    if (m->options.extension) { /* there before its first message, for the server's */
        m->control = open_pipe(m, YO_LANE_CONTROL, true, &rv);
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

static size_t queued(const struct messages *m)
{
    return m->queued + yo_wt_session_datagrams_queued(m->session);
}

static void on_progress(void *user, yo_time now)
{
    struct messages *m = user;
    if (m->phase == FLUSHING) {
        if (flushed(m)) {
            say_how(m);
        } else {
            yo_wt_session_want_progress(m->session);
        }
        return;
    }
    if (m->phase != RUNNING || !m->want_writable) {
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
    struct messages *m = user;
    if (m->phase != CLOSING) {
        return;
    }
    if (m->how.kind == YO_CLOSE_RETRY || !m->open || flushed(m)) {
        say_how(m);
        return;
    }
    m->phase = FLUSHING;
    yo_wt_session_alarm(m->session, yo_time_after(now, FLUSH_MAX));
    yo_wt_session_want_progress(m->session);
}

static void on_alarm(void *user, yo_time now)
{
    struct messages *m = user;
    (void)now;
    if (m->phase == FLUSHING) {
        say_how(m);
    }
}

static struct yo_close why_of(const struct yo_wt_end *end)
{
    struct yo_close why = {.kind = YO_CLOSE_RETRY,
                           .error = end->error,
                           .code = end->code,
                           .text = end->text,
                           .remote = end->remote};
    if (end->clean) { /* a browser's plain close() has code 0 */
        why.kind = end->code == 0 ? YO_CLOSE_DONE : yo_close_kind_of(end->code);
        why.error = end->code == 0 ? YOMO_OK : yo_close_error_of(end->code);
    } else if (end->error == YOMO_ERR_AUTH || end->error == YOMO_ERR_DENIED) {
        why.kind = YO_CLOSE_FINAL; /* the server's word, in an HTTP status */
    }
    return why;
}

static void on_end(void *user, const struct yo_wt_end *end, yo_time now)
{
    struct messages *m = user;
    struct yo_close why = m->phase == RUNNING ? why_of(end) : m->how;
    assert(yo_list_empty(&m->pipes));
    free_waiting(m);
    m->phase = SAID;
    if (m->base.events->on_closed) {
        m->base.events->on_closed(m->base.user, &m->base, &why, now);
    }
    yo_free(m->options.mem, m);
}

static const struct yo_wt_session_events session_events = {
    .on_open = on_open,
    .on_stream = on_stream,
    .on_datagram = on_datagram,
    .on_fate = on_fate,
    .on_progress = on_progress,
    .on_alarm = on_alarm,
    .on_turn = on_turn,
    .on_end = on_end,
};

/* --- transport.h ------------------------------------------------------------------ */

static int again(struct messages *m)
{
    m->want_writable = true;
    yo_wt_session_want_progress(m->session);
    return YOMO_ERR_AGAIN;
}

static int send_datagram(struct messages *m, struct yo_blob *message, uint64_t token)
{
    int rv = yo_wt_session_send(m->session, message, token);
    return rv == YOMO_ERR_AGAIN ? again(m) : rv;
}

static int send_early(struct messages *m, struct yo_blob *message)
{
    struct early *early = yo_calloc(m->options.mem, 1, sizeof(*early));
    if (!early) {
        return YOMO_ERR_NOMEM;
    }
    early->blob = yo_blob_ref(message);
    yo_list_push_back(&m->waiting, &early->link);
    m->queued += message->size;
    return YOMO_OK;
}

static int send_on_lane(struct messages *m, uint32_t lane, struct yo_blob *message)
{
    struct pipe *pipe = lane == YO_LANE_CONTROL ? m->control : find_lane(m, lane);
    int rv;
    if (!pipe && lane == YO_LANE_CONTROL) {
        return m->had_control ? YOMO_ERR_CLOSED : send_early(m, message);
    }
    if (!pipe) {
        pipe = open_pipe(m, lane, false, &rv);
        if (!pipe) {
            return rv == YOMO_ERR_FULL ? again(m) : rv;
        }
    }
    return push_frame(pipe, message);
}

static int messages_send(struct yo_conn *conn, uint32_t lane, struct yo_blob *message,
                         uint64_t token)
{
    struct messages *m = (struct messages *)conn;
    bool datagram = lane == YO_LANE_DATAGRAM || !m->options.extension;

    if (m->phase != RUNNING) {
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
        return again(m);
    }
    return datagram ? send_datagram(m, message, token) : send_on_lane(m, lane, message);
}

static void messages_flush(struct yo_conn *conn, yo_time now)
{
    struct messages *m = (struct messages *)conn;
    if (m->phase == RUNNING && m->open) {
        yo_wt_session_flush(m->session, now);
    }
}

static void messages_end_lane(struct yo_conn *conn, uint32_t lane)
{
    struct messages *m = (struct messages *)conn;
    if (lane < YO_LANE_ROOMS || m->phase != RUNNING) {
        return;
    }
    struct pipe *pipe = find_lane(m, lane);
    if (pipe) {
        pipe->ended = true;
        yo_wt_stream_end(pipe->stream);
    }
}

static size_t messages_queued(const struct yo_conn *conn)
{
    return queued((const struct messages *)conn);
}

static void messages_info(const struct yo_conn *conn, struct yo_conn_info *info)
{
    const struct messages *m = (const struct messages *)conn;
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
    struct messages *m = (struct messages *)conn;
    if (m->phase != RUNNING) {
        return;
    }
    note_how(m, how);
    m->phase = CLOSING;
    yo_wt_session_wake(m->session);
}

static void messages_abort(struct yo_conn *conn)
{
    struct messages *m = (struct messages *)conn;
    if (m->phase == RUNNING) {
        note_how(m,
                 &(struct yo_close){.kind = YO_CLOSE_RETRY, .error = YOMO_ERR_CLOSED});
    }
    m->phase = SAID;
    yo_wt_session_abort(m->session);
}

static const struct yo_conn_ops ops = {
    messages_send, messages_flush, messages_end_lane, messages_queued,
    messages_info, messages_close, messages_abort,
};

struct yo_conn *yo_messages_create(struct yo_wt_session *session,
                                   const struct yo_messages_options *options,
                                   const struct yo_conn_events *events, void *user)
{
    struct messages *m = yo_calloc(options->mem, 1, sizeof(*m));
    if (!m) {
        return NULL;
    }
    m->base.ops = &ops;
    yo_conn_listen(&m->base, events, user);
    m->session = session;
    m->options = *options;
    m->open = options->server;
    yo_list_init(&m->pipes);
    yo_list_init(&m->waiting);
    yo_wt_session_listen(session, &session_events, m);
    return &m->base;
}
