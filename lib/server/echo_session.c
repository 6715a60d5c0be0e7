/* SPDX-License-Identifier: MIT */
/* echo_session.c
 *
 * The happy path: bytes that come on a stream are queued on its answer, as many as
 * there is room for; the rest is not taken, so that the client gets no credit for more.
 * When the client has acknowledged some of what is queued, streams that wait are asked
 * for more at the end of the turn, the one that has waited longest first.
 *
 * A client may open streams and never read what comes back. Each stream's queue is
 * bounded, and so is the sum of them; but a small share is every stream's own, or a few
 * that nobody reads would hold up all others. A unidirectional stream keeps its place
 * until its answer has gone: a client never has more answers than it may have streams.
 *
 * Failure modes: the client reads no more (its own stream is stopped with its code);
 * it breaks off its stream (so is the answer, with its code); memory is short (both,
 * with code 0); datagrams come faster than they go (they are dropped). */
#include "server/echo_session.h"

#include <assert.h>
#include <yomo/error.h>

#include "base/check.h"
#include "base/list.h"

#define RESUME_ROOM 2048 /* for less than that nobody is asked */

struct pair {
    struct yo_echo_session *echo;
    struct yo_link link;           /* in echo->pairs */
    struct yo_link waiting;        /* in echo->waiting while it has more to take */
    struct yo_wt_stream *in, *out; /* the same if bidirectional; NULL: gone */
    size_t queued;                 /* bytes on `out` that were not acknowledged */
};

struct yo_echo_session {
    const struct yomo_mem *mem;
    struct yo_metrics *metrics;
    struct yo_wt_session *session;
    struct yo_link pairs, waiting;
    size_t queued; /* the sum over `pairs` */
    void (*on_end)(void *user);
    void *user;
};

/* --- Room ------------------------------------------------------------------------- */

static size_t room_of(const struct pair *pair)
{
    size_t all = pair->echo->queued;
    size_t own = pair->queued;
    size_t stream = own < YO_ECHO_STREAM_ROOM ? YO_ECHO_STREAM_ROOM - own : 0;
    size_t session = all < YO_ECHO_SESSION_ROOM ? YO_ECHO_SESSION_ROOM - all : 0;
    size_t share = own < YO_ECHO_STREAM_SHARE ? YO_ECHO_STREAM_SHARE - own : 0;

    session = session > share ? session : share;
    return stream < session ? stream : session;
}

static void wait_for_room(struct pair *pair)
{
    if (yo_list_empty(&pair->waiting)) {
        yo_list_push_back(&pair->echo->waiting, &pair->waiting);
    }
}

static void unqueue(struct pair *pair, size_t size)
{
    struct yo_echo_session *echo = pair->echo;

    assert(size <= pair->queued && size <= echo->queued);
    pair->queued -= size;
    echo->queued -= size;
    if (!yo_list_empty(&echo->waiting)) {
        yo_wt_session_wake(echo->session);
    }
}

/* Ask those who wait, as far as there may be room for all that they have. */
static void on_turn(void *user, yo_time now)
{
    struct yo_echo_session *echo = user;
    size_t all = echo->queued, asked = 0;
    size_t left = all < YO_ECHO_SESSION_ROOM ? YO_ECHO_SESSION_ROOM - all : 0;

    (void)now;
    YO_LIST_EACH(link, next, &echo->waiting)
    {
        struct pair *pair = YO_CONTAINER(link, struct pair, waiting);
        size_t room = room_of(pair);
        bool share = pair->queued <= YO_ECHO_STREAM_SHARE - RESUME_ROOM;
        if (room >= RESUME_ROOM && (asked < left || share)) {
            asked += room;
            yo_list_remove(&pair->waiting);
            yo_wt_stream_resume(pair->in);
        }
    }
}

/* --- A stream and its answer ------------------------------------------------------ */

static void give_up(struct pair *pair, uint32_t code)
{
    if (pair->out) {
        yo_wt_stream_reset(pair->out, code);
    }
    if (pair->in) {
        yo_wt_stream_stop(pair->in, code);
    }
}

static size_t on_data(void *user, struct yo_wt_stream *stream, struct yo_span bytes,
                      bool end, yo_time now)
{
    struct pair *pair = user;
    size_t taken = 0;

    (void)stream;
    (void)now;
    yo_list_remove(&pair->waiting);
    if (!pair->out) {
        return bytes.size; /* and its stream is being stopped */
    }
    size_t room = room_of(pair);
    struct yo_span fits = yo_span(bytes.data, bytes.size < room ? bytes.size : room);
    int rv = yo_wt_stream_write(pair->out, fits, SIZE_MAX, &taken);
    if (rv != YOMO_OK) {
        give_up(pair, 0);
        return bytes.size;
    }
    pair->queued += taken;
    pair->echo->queued += taken;
    yo_metric_add(&pair->echo->metrics->echo_stream_bytes, taken);
    if (taken < bytes.size) {
        wait_for_room(pair);
    } else if (end) {
        yo_wt_stream_end(pair->out);
    }
    return taken;
}

static void on_reset(void *user, struct yo_wt_stream *stream, const uint32_t *code,
                     yo_time now)
{
    struct pair *pair = user;

    (void)stream;
    (void)now;
    yo_list_remove(&pair->waiting);
    if (pair->out) {
        yo_wt_stream_reset(pair->out, code ? *code : 0);
    }
}

static void on_stop(void *user, struct yo_wt_stream *stream, const uint32_t *code,
                    yo_time now)
{
    struct pair *pair = user;

    (void)stream;
    (void)now;
    yo_list_remove(&pair->waiting);
    if (pair->in) {
        yo_wt_stream_stop(pair->in, code ? *code : 0);
    }
}

static void on_acked(void *user, struct yo_wt_stream *stream, size_t size, yo_time now)
{
    (void)stream;
    (void)now;
    unqueue(user, size);
}

static void on_gone(void *user, struct yo_wt_stream *stream, yo_time now)
{
    struct pair *pair = user;

    (void)now;
    if (stream == pair->in) {
        pair->in = NULL;
        yo_list_remove(&pair->waiting);
    }
    if (stream == pair->out) {
        pair->out = NULL;
        unqueue(pair, pair->queued);
        if (pair->in) { /* what was to be answered is; or nobody reads the answer */
            yo_wt_stream_stop(pair->in, 0);
            yo_wt_stream_release(pair->in);
        }
    }
    if (!pair->in && !pair->out) {
        yo_metric_less(&pair->echo->metrics->echo_streams);
        yo_list_remove(&pair->link);
        yo_list_remove(&pair->waiting);
        yo_free(pair->echo->mem, pair);
    }
}

static const struct yo_wt_stream_events stream_events = {
    .on_data = on_data,
    .on_reset = on_reset,
    .on_stop = on_stop,
    .on_acked = on_acked,
    .on_gone = on_gone,
};

static int open_pair(struct yo_echo_session *echo, struct yo_wt_stream *stream)
{
    struct pair *pair = yo_calloc(echo->mem, 1, sizeof(*pair));
    int rv = YOMO_OK;

    if (!pair) {
        return YOMO_ERR_NOMEM;
    }
    pair->echo = echo;
    pair->in = pair->out = stream;
    if (!yo_wt_stream_bidirectional(stream)) {
        rv = yo_wt_session_open(echo->session, false, &stream_events, pair, &pair->out);
    }
    if (rv != YOMO_OK) {
        yo_free(echo->mem, pair);
        return rv;
    }
    if (pair->out != stream) {
        yo_wt_stream_hold(stream);
    }
    yo_list_push_back(&echo->pairs, &pair->link);
    yo_list_init(&pair->waiting);
    yo_wt_stream_listen(stream, &stream_events, pair);
    yo_metric_add(&echo->metrics->echo_streams, 1);
    return YOMO_OK;
}

static void on_stream(void *user, struct yo_wt_stream *stream, yo_time now)
{
    (void)now;
    if (open_pair(user, stream) != YOMO_OK) {
        yo_wt_stream_stop(stream, 0);
        yo_wt_stream_reset(stream, 0);
    }
}

/* --- The session ------------------------------------------------------------------ */

static void on_datagram(void *user, struct yo_span bytes, yo_time now)
{
    struct yo_echo_session *echo = user;
    size_t queued = yo_wt_session_datagrams_queued(echo->session);
    struct yo_blob *blob = NULL;
    int rv = YOMO_ERR_FULL;

    (void)now;
    if (queued + bytes.size <= YO_ECHO_DATAGRAM_ROOM) {
        blob = yo_blob_create(echo->mem, bytes);
        rv = blob ? yo_wt_session_send(echo->session, blob, 0) : YOMO_ERR_NOMEM;
    }
    if (rv == YOMO_OK) {
        yo_metric_add(&echo->metrics->echo_datagram_bytes, bytes.size);
    } else {
        yo_metric_add(&echo->metrics->echo_dropped, 1);
    }
    yo_blob_unref(blob);
}

static void on_end(void *user, const struct yo_wt_end *end, yo_time now)
{
    struct yo_echo_session *echo = user;
    void (*told)(void *) = echo->on_end;
    void *told_user = echo->user;

    (void)end;
    (void)now;
    assert(yo_list_empty(&echo->pairs) && echo->queued == 0);
    yo_free(echo->mem, echo);
    told(told_user);
}

static const struct yo_wt_session_events session_events = {
    .on_stream = on_stream,
    .on_datagram = on_datagram,
    .on_turn = on_turn,
    .on_end = on_end,
};

int yo_echo_session_create(struct yo_echo_session **out, const struct yomo_mem *mem,
                           struct yo_metrics *metrics, void (*end)(void *user),
                           void *user)
{
    struct yo_echo_session *echo = yo_calloc(mem, 1, sizeof(*echo));

    if (!echo) {
        return YOMO_ERR_NOMEM;
    }
    echo->mem = mem;
    echo->metrics = metrics;
    echo->on_end = end;
    echo->user = user;
    yo_list_init(&echo->pairs);
    yo_list_init(&echo->waiting);
    *out = echo;
    return YOMO_OK;
}

void yo_echo_session_start(struct yo_echo_session *echo, struct yo_wt_session *session)
{
    if (!session) {
        yo_free(echo->mem, echo);
        return;
    }
    echo->session = session;
    yo_wt_session_listen(session, &session_events, echo);
}
