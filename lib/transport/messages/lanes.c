/* SPDX-License-Identifier: MIT */
/* lanes.c - streams with messages on them.
 *
 * The happy path out: a message is queued on its lane's stream by reference, with its
 * length in front. In: frames.c cuts messages out of what comes, and they are handed up
 * where they lie.
 *
 * Failure modes: a server speaks before the client has opened the control stream (the
 * messages wait); the peer breaks a rule (the session is closed with the code that
 * messages.h names); many streams hold cut messages at once: past PARTIAL_SPARE and one
 * whole message only one of them goes on, the others are held back by their windows
 * until it is complete. */
#include "transport/messages/lanes.h"

#include <yomo/error.h>

#include "base/varint.h"

#define PARTIAL_SPARE (256u << 10)

struct early { /* a message for a control stream that is not there */
    struct yo_link link;
    struct yo_blob *blob;
};

static struct yo_lane *add_lane(struct yo_messages *m, uint32_t number)
{
    struct yo_lane *lane = yo_calloc(m->options.mem, 1, sizeof(*lane));
    if (lane) {
        lane->messages = m;
        lane->number = number;
        yo_frames_init(&lane->frames, m->options.mem);
        yo_list_push_back(&m->lanes, &lane->link);
    }
    return lane;
}

static void set_kept(struct yo_lane *lane, size_t kept)
{
    lane->messages->partial += kept - lane->kept;
    lane->kept = kept;
}

/* Another one may go on. */
static void serve_others(struct yo_messages *m)
{
    m->first_served = NULL;
    YO_LIST_EACH(link, next, &m->lanes)
    {
        struct yo_lane *lane = YO_CONTAINER(link, struct yo_lane, link);
        if (lane->held) {
            lane->held = false;
            yo_wt_stream_resume(lane->stream);
        }
    }
}

static void free_lane(struct yo_lane *lane)
{
    struct yo_messages *m = lane->messages;
    set_kept(lane, 0);
    yo_list_remove(&lane->link);
    if (m->first_served == lane) {
        serve_others(m);
    }
    if (m->control == lane) {
        m->control = NULL;
    }
    yo_frames_finish(&lane->frames);
    yo_free(m->options.mem, lane);
}

static const struct yo_wt_stream_events lane_events;

struct yo_lane *yo_lane_open(struct yo_messages *m, uint32_t number, bool bidirectional,
                             int *rv)
{
    struct yo_lane *lane = add_lane(m, number);
    *rv = YOMO_ERR_NOMEM;
    if (lane) {
        *rv = yo_wt_session_open(m->session, bidirectional, &lane_events, lane,
                                 &lane->stream);
        if (*rv != YOMO_OK) {
            free_lane(lane);
            lane = NULL;
        }
    }
    return lane;
}

struct yo_lane *yo_lane_find(struct yo_messages *m, uint32_t number)
{
    YO_LIST_EACH(link, next, &m->lanes)
    {
        struct yo_lane *lane = YO_CONTAINER(link, struct yo_lane, link);
        if (lane->number == number && !lane->ended) {
            yo_list_remove(link);
            yo_list_push_front(&m->lanes, link); /* who speaks once speaks again */
            return lane;
        }
    }
    return NULL;
}

/* --- In ------------------------------------------------------------------------- */

/* May this one keep bytes of a cut message? */
static bool may_keep(struct yo_lane *lane, size_t size)
{
    struct yo_messages *m = lane->messages;
    if (m->first_served == lane ||
        m->partial + size <= m->options.message_size_max + PARTIAL_SPARE) {
        return true;
    }
    if (!m->first_served) {
        m->first_served = lane;
        return true;
    }
    lane->held = true;
    return false;
}

static size_t on_data(void *user, struct yo_wt_stream *stream, struct yo_span bytes,
                      bool end, yo_time now)
{
    struct yo_lane *lane = user;
    struct yo_messages *m = lane->messages;
    uint32_t number = lane->number == YO_LANE_CONTROL ? YO_LANE_CONTROL : YO_LANE_ROOMS;
    size_t all = bytes.size;
    int rv = 1;
    (void)stream;

    if (m->phase == YO_RUNNING && !may_keep(lane, bytes.size)) {
        return 0;
    }
    while (m->phase == YO_RUNNING && rv > 0) {
        struct yo_span message;
        rv = yo_frames_next(&lane->frames, &bytes, m->options.message_size_max,
                            &message);
        if (rv > 0) {
            yo_messages_deliver(m, number, message, now);
        }
    }
    if (m->phase != YO_RUNNING) {
        return all;
    }
    if (rv == YOMO_ERR_NOMEM) {
        struct yo_close how = {
            .kind = YO_CLOSE_RETRY, .error = rv, .code = YO_CODE_TRY_LATER};
        yo_conn_close(&m->base, &how);
    } else if (rv == YOMO_ERR_TOO_BIG) {
        yo_messages_reject(m, YO_CODE_TOO_BIG, "a message over the limit");
    } else if (rv < 0) {
        yo_messages_reject(m, YO_CODE_PROTOCOL, "a message of length 0");
    } else if (end && yo_frames_partial(&lane->frames)) {
        yo_messages_reject(m, YO_CODE_PROTOCOL, "a stream that ends inside a message");
    } else {
        set_kept(lane, yo_frames_kept(&lane->frames));
        if (m->first_served == lane && lane->kept == 0) {
            serve_others(m);
        }
    }
    return all;
}

static void on_reset(void *user, struct yo_wt_stream *stream, const uint32_t *code,
                     yo_time now)
{
    struct yo_lane *lane = user; /* what was cut is lost; the sender wanted it so */
    (void)stream, (void)code, (void)now;
    yo_frames_finish(&lane->frames);
    yo_frames_init(&lane->frames, lane->messages->options.mem);
    set_kept(lane, 0);
    if (lane->messages->first_served == lane) {
        serve_others(lane->messages);
    }
}

static void on_stop(void *user, struct yo_wt_stream *stream, const uint32_t *code,
                    yo_time now)
{
    struct yo_lane *lane = user;
    (void)stream, (void)code, (void)now;
    yo_messages_reject(lane->messages, YO_CODE_PROTOCOL, "a reliable lane was stopped");
}

static void release(struct yo_messages *m, size_t size)
{
    m->queued -= size < m->queued ? size : m->queued;
}

static void on_acked(void *user, struct yo_wt_stream *stream, size_t size, yo_time now)
{
    struct yo_lane *lane = user;
    (void)stream, (void)now;
    release(lane->messages, size);
}

static void on_gone(void *user, struct yo_wt_stream *stream, yo_time now)
{
    struct yo_lane *lane = user;
    (void)now;
    release(lane->messages, yo_wt_stream_queued(stream));
    free_lane(lane);
}

static const struct yo_wt_stream_events lane_events = {
    .on_data = on_data,
    .on_reset = on_reset,
    .on_stop = on_stop,
    .on_acked = on_acked,
    .on_gone = on_gone,
};

/* --- Out ------------------------------------------------------------------------ */

static int push_frame(struct yo_lane *lane, struct yo_blob *blob)
{
    uint8_t head[YO_VARINT_SIZE_MAX];
    size_t n = yo_varint_write(head, blob->size);
    int rv = yo_wt_stream_push(lane->stream, yo_span(head, n), blob);
    if (rv == YOMO_OK) {
        lane->messages->queued += n + blob->size;
        lane->pushed++;
    }
    return rv;
}

void yo_lanes_free_waiting(struct yo_messages *m)
{
    struct yo_link *link;
    while ((link = yo_list_pop_front(&m->waiting))) {
        struct early *early = YO_CONTAINER(link, struct early, link);
        release(m, early->blob->size);
        yo_blob_unref(early->blob);
        yo_free(m->options.mem, early);
    }
}

struct reclaiming {
    uint64_t unacked, number;
    uint32_t lane;
    yo_reclaimed_fn fn;
    void *user;
};

static void count_one(void *user, struct yo_blob *blob)
{
    struct reclaiming *r = user;
    (void)blob;
    r->unacked++;
}

static void give_back(void *user, struct yo_blob *blob)
{
    struct reclaiming *r = user;
    r->fn(r->user, r->lane, r->number++, blob);
}

void yo_lanes_reclaim(struct yo_messages *m, yo_reclaimed_fn fn, void *user)
{
    YO_LIST_EACH(link, next, &m->lanes)
    {
        struct yo_lane *lane = YO_CONTAINER(link, struct yo_lane, link);
        struct reclaiming r = {.lane = lane->number, .fn = fn, .user = user};
        if (lane->number >= YO_LANE_CONTROL) {
            yo_wt_stream_each(lane->stream, count_one, &r);
            r.number = lane->pushed - r.unacked + 1;
            yo_wt_stream_each(lane->stream, give_back, &r);
        }
    }
    uint64_t number =
        1; /* the control stream is not there, so nothing was sent on it */
    YO_LIST_EACH(early, following, &m->waiting)
    {
        fn(user, YO_LANE_CONTROL, number++,
           YO_CONTAINER(early, struct early, link)->blob);
    }
}

/* The client has opened its control stream: what waited for it goes out. */
static void adopt_control(struct yo_messages *m, struct yo_lane *lane)
{
    m->control = lane;
    m->had_control = true;
    YO_LIST_EACH(link, next, &m->waiting)
    {
        if (push_frame(lane, YO_CONTAINER(link, struct early, link)->blob) != YOMO_OK) {
            struct yo_close how = {.kind = YO_CLOSE_RETRY,
                                   .error = YOMO_ERR_NOMEM,
                                   .code = YO_CODE_TRY_LATER};
            yo_conn_close(&m->base, &how);
            break;
        }
    }
    yo_lanes_free_waiting(m);
}

void yo_lanes_on_stream(void *user, struct yo_wt_stream *stream, yo_time now)
{
    struct yo_messages *m = user;
    bool bidirectional = yo_wt_stream_bidirectional(stream);
    (void)now;
    if (!m->options.extension) { /* presencejs uses none */
        (*m->options.messages_bad)++;
        yo_wt_stream_stop(stream, 0);
        yo_wt_stream_reset(stream, 0);
        return;
    }
    if (m->phase != YO_RUNNING) {
        return;
    }
    if (bidirectional && (!m->options.server || m->had_control)) {
        yo_messages_reject(m, YO_CODE_PROTOCOL, "a second bidirectional stream");
        return;
    }
    struct yo_lane *lane = add_lane(m, bidirectional ? YO_LANE_CONTROL : 0);
    if (!lane) {
        struct yo_close how = {
            .kind = YO_CLOSE_RETRY, .error = YOMO_ERR_NOMEM, .code = YO_CODE_TRY_LATER};
        yo_conn_close(&m->base, &how);
        return;
    }
    lane->stream = stream;
    yo_wt_stream_listen(stream, &lane_events, lane);
    if (bidirectional) {
        adopt_control(m, lane);
    }
}

static int send_early(struct yo_messages *m, struct yo_blob *message)
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

int yo_lane_send(struct yo_messages *m, uint32_t number, struct yo_blob *message)
{
    struct yo_lane *lane =
        number == YO_LANE_CONTROL ? m->control : yo_lane_find(m, number);
    int rv;
    if (!lane && number == YO_LANE_CONTROL) {
        return m->had_control ? YOMO_ERR_CLOSED : send_early(m, message);
    }
    if (!lane) {
        lane = yo_lane_open(m, number, false, &rv);
        if (!lane) {
            return rv == YOMO_ERR_FULL ? yo_messages_again(m) : rv;
        }
    }
    return push_frame(lane, message);
}
