/* SPDX-License-Identifier: MIT */
/* stream.c - one stream's handle.
 *
 * The happy path out: a write reserves room under the lock, so that `taken` is exact
 * whoever writes; on the loop's thread the bytes go to the engine at once, from another
 * they are kept with the handle until the loop looks at it. Acknowledgements give the
 * room back. In: the engine's bytes are handed up where they lie.
 *
 * Failure modes: the engine has no memory for bytes that another thread was told are
 * taken. Then nothing that was written later may arrive either: our direction is reset,
 * and the program is told that it was stopped. */
#include "base/check.h"
#include "sessions/handle.h"

static void run_slip(struct yo_slip *slip, yo_time now);

static const struct yomo_mem *mem_of(const struct yomo_wt_stream *stream)
{
    return &stream->session->hub->mem;
}

static struct yo_hub *hub_of(const struct yomo_wt_stream *stream)
{
    return stream->session->hub;
}

/* --- Life ------------------------------------------------------------------------- */

static struct yomo_wt_stream *create(struct yomo_wt_session *session,
                                     bool bidirectional, bool local,
                                     const yomo_wt_stream_callbacks *callbacks,
                                     void *user)
{
    struct yomo_wt_stream *stream = yo_calloc(&session->hub->mem, 1, sizeof(*stream));
    if (!stream) {
        return NULL;
    }
    atomic_init(&stream->refs, 1); /* the library's */
    stream->session = yomo_wt_session_ref(session);
    stream->bidirectional = bidirectional;
    stream->local = local;
    stream->shut = !local && !bidirectional;
    stream->buffer = YO_STREAM_BUFFER;
    stream->id = UINT64_MAX;
    yo_slip_init(&stream->slip, run_slip);
    yo_list_init(&stream->lost);
    yo_buf_init(&stream->pending, &session->hub->mem);
    if (callbacks) {
        yomo_wt_stream_listen(stream, callbacks, user);
    }
    return stream;
}

yomo_wt_stream *yomo_wt_stream_ref(yomo_wt_stream *stream)
{
    if (stream) {
        atomic_fetch_add_explicit(&stream->refs, 1, memory_order_relaxed);
    }
    return stream;
}

void yomo_wt_stream_unref(yomo_wt_stream *stream)
{
    if (!stream ||
        atomic_fetch_sub_explicit(&stream->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    struct yomo_wt_session *session = stream->session;
    yo_buf_finish(&stream->pending);
    yo_free(&session->hub->mem, stream);
    yomo_wt_session_unref(session);
}

/* Nothing comes after this. */
static void tell_closed(struct yomo_wt_stream *stream)
{
    yo_list_remove(&stream->lost);
    yo_hub_lock(hub_of(stream));
    stream->engine = NULL;
    stream->over = stream->shut = true;
    yo_buf_finish(&stream->pending);
    yo_hub_leave(hub_of(stream));
    if (stream->on.on_closed) {
        stream->on.on_closed(stream->user, stream);
    }
    yomo_wt_stream_unref(stream); /* the library's */
}

/* --- What the engine tells -------------------------------------------------------- */

static size_t on_data(void *user, struct yo_wt_stream *engine, struct yo_span bytes,
                      bool end, yo_time now)
{
    struct yomo_wt_stream *stream = user;
    (void)engine;
    yo_session_look(stream->session, now);
    if (!stream->on.on_data) {
        return bytes.size;
    }
    size_t taken = stream->on.on_data(stream->user, stream,
                                      bytes.size > 0 ? (const void *)bytes.data : "",
                                      bytes.size, end);
    return taken < bytes.size ? taken : bytes.size;
}

static void on_reset(void *user, struct yo_wt_stream *engine, const uint32_t *code,
                     yo_time now)
{
    struct yomo_wt_stream *stream = user;
    (void)engine, (void)now;
    if (stream->on.on_reset) {
        stream->on.on_reset(stream->user, stream, code ? (int64_t)*code : -1);
    }
}

static void tell_stopped(struct yomo_wt_stream *stream, int64_t code)
{
    yo_hub_lock(hub_of(stream));
    stream->shut = true;
    yo_hub_leave(hub_of(stream));
    if (stream->on.on_stopped) {
        stream->on.on_stopped(stream->user, stream, code);
    }
}

void yo_stream_tell_lost(struct yomo_wt_stream *stream)
{
    yo_list_remove(&stream->lost);
    if (stream->engine) {
        tell_stopped(stream, -1);
    } else {
        tell_closed(stream);
    }
}

static void on_stop(void *user, struct yo_wt_stream *engine, const uint32_t *code,
                    yo_time now)
{
    (void)engine, (void)now;
    tell_stopped(user, code ? (int64_t)*code : -1);
}

static void tell_finished(struct yomo_wt_stream *stream)
{
    if (!stream->end_given || stream->finished || !stream->engine ||
        !yo_wt_stream_finished(stream->engine)) {
        return;
    }
    stream->finished = true;
    if (stream->on.on_finished) {
        stream->on.on_finished(stream->user, stream);
    }
}

static void on_acked(void *user, struct yo_wt_stream *engine, size_t size, yo_time now)
{
    struct yomo_wt_stream *stream = user;
    yo_session_look(stream->session, now);
    yo_hub_lock(hub_of(stream));
    stream->id = (uint64_t)yo_wt_stream_id(engine);
    stream->held -= size < stream->held ? size : stream->held;
    bool writable =
        stream->want_writable && !stream->shut && stream->held <= stream->buffer / 2;
    stream->want_writable = stream->want_writable && !writable;
    yo_hub_leave(hub_of(stream));
    if (writable && stream->on.on_writable) {
        stream->on.on_writable(stream->user, stream);
    }
    tell_finished(stream);
}

static void on_gone(void *user, struct yo_wt_stream *engine, yo_time now)
{
    struct yomo_wt_stream *stream = user;
    (void)engine, (void)now;
    tell_finished(stream);
    tell_closed(stream);
}

static const struct yo_wt_stream_events events = {
    .on_data = on_data,
    .on_reset = on_reset,
    .on_stop = on_stop,
    .on_acked = on_acked,
    .on_gone = on_gone,
};

void yo_stream_announce(struct yomo_wt_session *session, struct yo_wt_stream *engine,
                        yo_time now)
{
    struct yomo_wt_stream *stream =
        create(session, yo_wt_stream_bidirectional(engine), false, NULL, NULL);
    (void)now;
    if (stream) {
        stream->engine = engine;
        stream->id = (uint64_t)yo_wt_stream_id(engine);
        yo_wt_stream_listen(engine, &events, stream);
        if (session->on.on_stream) {
            session->on.on_stream(session->user, session, stream);
        }
        if (stream->listening) {
            return;
        }
        yo_hub_lock(hub_of(stream));
        stream->shut = true;
        yo_hub_leave(hub_of(stream));
    }
    yo_wt_stream_stop(engine, 0);
    yo_wt_stream_reset(engine, 0);
}

/* --- What other threads have asked for -------------------------------------------- */

/* It could not be opened, or written to, and nobody can be told now. */
static void lose(struct yomo_wt_stream *stream)
{
    struct yomo_wt_session *session = stream->session;
    yo_list_remove(&stream->lost);
    yo_list_push_back(&session->lost, &stream->lost);
    if (session->engine) {
        yo_wt_session_wake(session->engine);
    } /* else the session's end tells */
}

/* What is noted on the handle, taken off it. */
struct noted {
    bool open, end, reset, stop, resume, priority;
    uint32_t reset_code, stop_code, group;
    int64_t order;
    struct yo_buf bytes;
};

static void take_notes(struct yomo_wt_stream *stream, struct noted *noted)
{
    yo_buf_init(&noted->bytes, mem_of(stream));
    yo_hub_lock(hub_of(stream));
    noted->open = stream->open_due;
    noted->end = stream->end_due;
    noted->reset = stream->reset_due;
    noted->stop = stream->stop_due;
    noted->resume = stream->resume_due;
    noted->priority = stream->priority_due;
    noted->reset_code = stream->reset_code;
    noted->stop_code = stream->stop_code;
    noted->group = stream->group;
    noted->order = stream->order;
    yo_buf_swap(&noted->bytes, &stream->pending);
    stream->session->opening -= stream->open_due;
    stream->open_due = stream->end_due = stream->reset_due = stream->stop_due =
        stream->resume_due = stream->priority_due = false;
    yo_hub_leave(hub_of(stream));
}

static void carry_out(struct yomo_wt_stream *stream, const struct noted *noted)
{
    struct yo_wt_stream *engine = stream->engine;
    size_t taken;
    if (noted->priority) {
        (void)yo_wt_stream_order(engine, noted->group, noted->order); /* or fairly */
    }
    if (noted->bytes.size > 0 &&
        yo_wt_stream_write(engine, yo_buf_span(&noted->bytes), SIZE_MAX, &taken) ==
            YOMO_ERR_NOMEM) {
        yo_wt_stream_reset(engine, 0);
        lose(stream);
    }
    if (noted->end) {
        stream->end_given = true;
        yo_wt_stream_end(engine);
    }
    if (noted->reset) {
        yo_wt_stream_reset(engine, noted->reset_code);
    }
    if (noted->stop) {
        yo_wt_stream_stop(engine, noted->stop_code);
    }
    if (noted->resume) {
        yo_wt_stream_resume(engine);
    }
}

static void run_slip(struct yo_slip *slip, yo_time now)
{
    struct yomo_wt_stream *stream = YO_CONTAINER(slip, struct yomo_wt_stream, slip);
    struct yo_wt_session *session = stream->session->engine;
    struct noted noted;
    (void)now;
    take_notes(stream, &noted);
    if (noted.open &&
        (!session || yo_wt_session_open(session, stream->bidirectional, &events, stream,
                                        &stream->engine) != YOMO_OK)) {
        lose(stream);
    }
    if (stream->engine) {
        carry_out(stream, &noted);
    }
    yo_buf_finish(&noted.bytes);
    yomo_wt_stream_unref(stream); /* the slip's */
}

/* With the lock. */
static void post(struct yomo_wt_stream *stream)
{
    if (yo_hub_post(hub_of(stream), &stream->slip)) {
        yomo_wt_stream_ref(stream);
    }
}

/* --- Opening ---------------------------------------------------------------------- */

static int open_inside(struct yomo_wt_stream *stream)
{
    struct yo_wt_session *engine = stream->session->engine;
    return engine ? yo_wt_session_open(engine, stream->bidirectional, &events, stream,
                                       &stream->engine)
                  : YOMO_ERR_CLOSED;
}

/* With the lock. */
static int may_open(const struct yomo_wt_session *session, bool inside)
{
    if (session->phase == YO_SESSION_OVER || session->close_asked) {
        return YOMO_ERR_CLOSED;
    }
    if (session->phase == YO_SESSION_ASKING) {
        return YOMO_ERR_STATE;
    }
    return !inside && session->opening >= YO_SESSION_OPENING_MAX ? YOMO_ERR_FULL
                                                                 : YOMO_OK;
}

static int open_stream(struct yomo_wt_session *session, bool bidirectional,
                       const yomo_wt_stream_callbacks *callbacks, void *user,
                       struct yomo_wt_stream **out)
{
    YO_REQUIRE(session);
    YO_REQUIRE(!callbacks || callbacks->size >= sizeof(callbacks->size));
    struct yomo_wt_stream *stream =
        create(session, bidirectional, true, callbacks, user);
    if (!stream) {
        return YOMO_ERR_NOMEM;
    }
    bool inside = yo_hub_enter(session->hub);
    int rv = may_open(session, inside);
    if (rv == YOMO_OK && out) {
        *out = stream; /* before the loop can give it up */
    }
    if (rv == YOMO_OK && !inside) {
        stream->open_due = true;
        session->opening++;
        post(stream);
    }
    yo_hub_leave(session->hub);
    if (rv == YOMO_OK && inside) {
        rv = open_inside(stream);
    }
    if (rv != YOMO_OK) {
        if (out) {
            *out = NULL;
        }
        yomo_wt_stream_unref(stream);
    }
    return rv;
}

int32_t yomo_wt_session_open_bidirectional(yomo_wt_session *session,
                                           const yomo_wt_stream_callbacks *callbacks,
                                           void *user, yomo_wt_stream **out)
{
    return open_stream(session, true, callbacks, user, out);
}

int32_t yomo_wt_session_open_unidirectional(yomo_wt_session *session,
                                            const yomo_wt_stream_callbacks *callbacks,
                                            void *user, yomo_wt_stream **out)
{
    return open_stream(session, false, callbacks, user, out);
}

/* --- Writing ---------------------------------------------------------------------- */

/* With the lock: how much of `size` bytes may be written now; `held` has it then. */
static int reserve(struct yomo_wt_stream *stream, size_t size, bool whole,
                   size_t *reserved)
{
    *reserved = 0;
    if (stream->shut || stream->session->close_asked ||
        stream->session->phase == YO_SESSION_OVER) {
        return YOMO_ERR_CLOSED;
    }
    if (whole && size > stream->buffer) {
        return YOMO_ERR_TOO_BIG;
    }
    size_t room = stream->held < stream->buffer ? stream->buffer - stream->held : 0;
    if (size > room) {
        stream->want_writable = true;
        if (whole) {
            return YOMO_ERR_AGAIN;
        }
        size = room;
    }
    stream->held += size;
    *reserved = size;
    return YOMO_OK;
}

int32_t yomo_wt_stream_write(yomo_wt_stream *stream, const void *data, size_t size,
                             size_t *taken)
{
    YO_REQUIRE(stream && (data || size == 0));
    size_t reserved, written;
    bool inside = yo_hub_enter(hub_of(stream));
    int rv = reserve(stream, size, taken == NULL, &reserved);
    if (rv == YOMO_OK && reserved > 0 && !inside) {
        rv = yo_buf_append(&stream->pending, data, reserved);
        if (rv == YOMO_OK) {
            post(stream);
        } else {
            stream->held -= reserved;
        }
    }
    yo_hub_leave(hub_of(stream));
    if (rv == YOMO_OK && reserved > 0 && inside) {
        rv = yo_wt_stream_write(stream->engine, yo_span(data, reserved), SIZE_MAX,
                                &written);
        if (rv != YOMO_OK) {
            yo_hub_lock(hub_of(stream));
            stream->held -= reserved;
            yo_hub_leave(hub_of(stream));
        }
    }
    if (taken) {
        *taken = rv == YOMO_OK ? reserved : 0;
    }
    return rv;
}

/* With the lock. */
static int may_shut(const struct yomo_wt_stream *stream)
{
    return stream->shut ? YOMO_ERR_CLOSED : YOMO_OK;
}

int32_t yomo_wt_stream_finish(yomo_wt_stream *stream)
{
    YO_REQUIRE(stream);
    bool inside = yo_hub_enter(hub_of(stream));
    int rv = may_shut(stream);
    if (rv == YOMO_OK) {
        stream->shut = true;
        if (!inside) {
            stream->end_due = true;
            post(stream);
        }
    }
    yo_hub_leave(hub_of(stream));
    if (rv == YOMO_OK && inside) {
        stream->end_given = true;
        yo_wt_stream_end(stream->engine);
    }
    return rv;
}

/* Also after FIN, as long as that is under way. */
int32_t yomo_wt_stream_reset(yomo_wt_stream *stream, uint32_t code)
{
    YO_REQUIRE(stream);
    bool inside = yo_hub_enter(hub_of(stream));
    bool ours = stream->local || stream->bidirectional;
    int rv = stream->over || !ours ? YOMO_ERR_CLOSED : YOMO_OK;
    if (rv == YOMO_OK) {
        stream->shut = true;
        if (!inside) {
            stream->reset_due = true;
            stream->reset_code = code;
            post(stream);
        }
    }
    yo_hub_leave(hub_of(stream));
    if (rv == YOMO_OK && inside && stream->engine) {
        yo_wt_stream_reset(stream->engine, code);
    }
    return rv;
}

/* --- What is asked of it ---------------------------------------------------------- */

int32_t yomo_wt_stream_stop(yomo_wt_stream *stream, uint32_t code)
{
    YO_REQUIRE(stream);
    bool inside = yo_hub_enter(hub_of(stream));
    bool theirs = !stream->local || stream->bidirectional;
    int rv = stream->over || !theirs ? YOMO_ERR_CLOSED : YOMO_OK;
    if (rv == YOMO_OK && !inside) {
        stream->stop_due = true;
        stream->stop_code = code;
        post(stream);
    }
    yo_hub_leave(hub_of(stream));
    if (rv == YOMO_OK && inside && stream->engine) {
        yo_wt_stream_stop(stream->engine, code);
    }
    return rv;
}

int32_t yomo_wt_stream_resume(yomo_wt_stream *stream)
{
    YO_REQUIRE(stream);
    bool inside = yo_hub_enter(hub_of(stream));
    int rv = stream->over ? YOMO_ERR_CLOSED : YOMO_OK;
    if (rv == YOMO_OK && !inside) {
        stream->resume_due = true;
        post(stream);
    }
    yo_hub_leave(hub_of(stream));
    if (rv == YOMO_OK && inside && stream->engine) {
        yo_wt_stream_resume(stream->engine);
    }
    return rv;
}

int32_t yomo_wt_stream_set_priority(yomo_wt_stream *stream, uint32_t group,
                                    int64_t order)
{
    YO_REQUIRE(stream);
    bool inside = yo_hub_enter(hub_of(stream));
    int rv = stream->over ? YOMO_ERR_CLOSED : YOMO_OK;
    if (rv == YOMO_OK && !inside) {
        stream->priority_due = true;
        stream->group = group;
        stream->order = order;
        post(stream);
    }
    yo_hub_leave(hub_of(stream));
    if (rv == YOMO_OK && inside && stream->engine) {
        rv = yo_wt_stream_order(stream->engine, group, order);
    }
    return rv;
}

int32_t yomo_wt_stream_set_buffer(yomo_wt_stream *stream, size_t size)
{
    YO_REQUIRE(stream && size > 0);
    yo_hub_lock(hub_of(stream));
    stream->buffer = size;
    yo_hub_leave(hub_of(stream));
    return YOMO_OK;
}

void yomo_wt_stream_listen(yomo_wt_stream *stream,
                           const yomo_wt_stream_callbacks *callbacks, void *user)
{
    if (!stream || !callbacks || callbacks->size < sizeof(callbacks->size)) {
        return;
    }
    size_t size = callbacks->size;
    memcpy(&stream->on, callbacks,
           size < sizeof(stream->on) ? size : sizeof(stream->on));
    stream->user = user;
    stream->listening = true;
}

void *yomo_wt_stream_user(const yomo_wt_stream *stream)
{
    return stream ? stream->user : NULL;
}

yomo_wt_session *yomo_wt_stream_session(const yomo_wt_stream *stream)
{
    return stream ? stream->session : NULL;
}

int32_t yomo_wt_stream_bidirectional(const yomo_wt_stream *stream)
{
    return stream && stream->bidirectional;
}

int32_t yomo_wt_stream_local(const yomo_wt_stream *stream)
{
    return stream && stream->local;
}

uint64_t yomo_wt_stream_id(const yomo_wt_stream *stream)
{
    if (!stream) {
        return UINT64_MAX;
    }
    bool inside = yo_hub_enter(hub_of(stream));
    uint64_t id = stream->id;
    yo_hub_leave(hub_of(stream));
    return inside && stream->engine ? (uint64_t)yo_wt_stream_id(stream->engine) : id;
}
