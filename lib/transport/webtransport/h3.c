/* SPDX-License-Identifier: MIT */
/* h3.c - HTTP/3's streams: which there are, and what goes out on them.
 *
 * A framing of our own, as small as WebTransport's needs are; nghttp3 does QPACK
 * (h3_fields.c), and what it needs for a section of fields lives no longer than that.
 * Dynamic tables are off on both sides, so no stream ever waits for another, and
 * QPACK's own streams say nothing but what they are. What came is read in h3_frames.c.
 */
#include "transport/webtransport/h3.h"

#include <assert.h>
#include <yomo/error.h>

#include "base/varint.h"
#include "transport/webtransport/codes.h"
#include "transport/webtransport/h3_inside.h"

/* What means nothing and may come all the same: so much at once, so much a second. */
#define ODDITIES_MAX 1000
#define ODDITIES_RATE 33

static const uint8_t control_type[] = {0x00}, encoder_type[] = {0x02},
                     decoder_type[] = {0x03};

int yo_h3_fail(struct yo_h3 *h3, uint64_t code)
{
    h3->error = h3->error ? h3->error : code;
    return YOMO_ERR_PROTO;
}

int yo_h3_odd(struct yo_h3 *h3, uint64_t code, yo_time now)
{
    const uint64_t max = ODDITIES_MAX * UINT64_C(1000);
    uint64_t passed_ms = now > h3->odd_time ? (now - h3->odd_time) / YO_MS : 0;
    if (passed_ms > 0) {
        uint64_t more = passed_ms < max ? passed_ms * ODDITIES_RATE : max;
        h3->oddities = more < max - h3->oddities ? h3->oddities + more : max;
        h3->odd_time = now;
    }
    if (h3->oddities < 1000) {
        return yo_h3_fail(h3, code);
    }
    h3->oddities -= 1000;
    return YOMO_OK;
}

/* --- Life ------------------------------------------------------------------------- */

int yo_h3_create(struct yo_h3 **out, const struct yomo_mem *mem,
                 const struct yo_quic_mem *quic_mem, bool server,
                 const struct yo_own_settings *own, const struct yo_h3_events *events,
                 void *user)
{
    struct yo_h3 *h3 = yo_calloc(mem, 1, sizeof(*h3));
    if (!h3) {
        return YOMO_ERR_NOMEM;
    }
    h3->mem = mem;
    h3->qpack_mem = &quic_mem->http;
    h3->events = events;
    h3->user = user;
    h3->server = server;
    h3->own = *own;
    h3->control.id = h3->encoder.id = h3->decoder.id = -1;
    h3->last_request = -4;
    h3->goaway = UINT64_MAX;
    h3->oddities = ODDITIES_MAX * UINT64_C(1000);
    yo_list_init(&h3->streams);
    yo_sendqueue_init(&h3->control_out, mem);
    *out = h3;
    return YOMO_OK;
}

void yo_h3_destroy(struct yo_h3 *h3)
{
    if (!h3) {
        return;
    }
    YO_LIST_EACH(link, next, &h3->streams)
    {
        yo_h3_stream_free(h3, YO_CONTAINER(link, struct yo_h3_stream, link));
    }
    yo_sendqueue_finish(&h3->control_out);
    yo_free(h3->mem, h3);
}

int yo_h3_bind(struct yo_h3 *h3, int64_t control, int64_t encoder, int64_t decoder)
{
    struct yo_buf frame;
    yo_buf_init(&frame, h3->mem);
    int rv = yo_settings_write(&frame, YO_H3_HEAD_MAX, h3->server, &h3->own);
    if (rv == YOMO_OK) {
        rv = yo_sendqueue_push(&h3->control_out, yo_span(control_type, 1), NULL);
    }
    if (rv == YOMO_OK) {
        rv = yo_sendqueue_push_bytes(&h3->control_out, yo_buf_span(&frame));
    }
    yo_buf_finish(&frame);
    h3->control.id = control;
    h3->encoder.id = encoder;
    h3->decoder.id = decoder;
    h3->quiet = false;
    return rv;
}

uint64_t yo_h3_error(const struct yo_h3 *h3)
{
    return h3->error;
}

const struct yo_peer_settings *yo_h3_peer(const struct yo_h3 *h3)
{
    return &h3->peer;
}

static struct yo_h3_stream *find(const struct yo_h3 *h3, int64_t id)
{
    YO_LIST_EACH(link, next, &h3->streams)
    {
        struct yo_h3_stream *stream = YO_CONTAINER(link, struct yo_h3_stream, link);
        if (stream->id == id) {
            return stream;
        }
    }
    return NULL;
}

static struct yo_h3_own *find_own(struct yo_h3 *h3, int64_t id)
{
    return id == h3->control.id   ? &h3->control
           : id == h3->encoder.id ? &h3->encoder
           : id == h3->decoder.id ? &h3->decoder
                                  : NULL;
}

/* --- In --------------------------------------------------------------------------- */

static struct yo_h3_stream *accept_uni(struct yo_h3 *h3, int64_t id)
{
    struct yo_h3_stream *stream = yo_calloc(h3->mem, 1, sizeof(*stream));
    if (stream) {
        stream->id = id;
        yo_list_push_back(&h3->streams, &stream->link);
    }
    return stream;
}

int yo_h3_read(struct yo_h3 *h3, int64_t id, struct yo_span bytes, bool end,
               yo_time now, size_t *consumed)
{
    struct yo_h3_stream *stream = find(h3, id);

    *consumed = bytes.size; /* capsules are read at once, bodies are thrown away */
    if (!stream && (id & 2) != 0) {
        stream = accept_uni(h3, id);
    } else if (!stream && h3->server) {
        if (h3->going && id > h3->last_request) { /* RFC 9114 5.2 */
            h3->events->stop_reading(h3->user, id, YO_H3_REQUEST_REJECTED);
            h3->events->reset(h3->user, id, YO_H3_REQUEST_REJECTED);
            return YOMO_OK;
        }
        struct yo_h3_request *request = yo_h3_request_new(h3, id);
        stream = request ? &request->in : NULL;
        h3->last_request = id > h3->last_request ? id : h3->last_request;
    } else if (!stream) {
        return YOMO_OK; /* a client's own, that has ended */
    }
    return stream ? yo_h3_read_stream(h3, stream, bytes, end, now) : YOMO_ERR_NOMEM;
}

int yo_h3_closed(struct yo_h3 *h3, int64_t id, uint64_t code)
{
    struct yo_h3_stream *stream = find(h3, id);
    (void)code;
    if (find_own(h3, id) ||
        (stream && stream->kind >= YO_H3_CONTROL && stream->kind <= YO_H3_DECODER)) {
        return yo_h3_fail(h3, YO_H3_CLOSED_CRITICAL_STREAM); /* RFC 9114 6.2.1 */
    }
    if (stream) {
        yo_h3_stream_free(h3, stream);
    }
    return YOMO_OK;
}

void yo_h3_peer_reset(struct yo_h3 *h3, int64_t id)
{
    struct yo_h3_request *request = yo_h3_request_find(h3, id);
    if (request) {
        request->deaf = true;
        yo_h3_section_free(h3, request->section);
        request->section = NULL;
    }
}

void yo_h3_peer_stopped(struct yo_h3 *h3, int64_t id)
{
    struct yo_h3_request *request = yo_h3_request_find(h3, id);
    if (request) {
        request->stopped = true;
    }
}

void yo_h3_streams_max(struct yo_h3 *h3, uint64_t count)
{
    h3->streams_max = count;
}

/* --- Out -------------------------------------------------------------------------- */

static bool type_due(const struct yo_h3_own *own)
{
    return own->id >= 0 && !own->said && !own->blocked;
}

int yo_h3_pull(struct yo_h3 *h3, int64_t *id, bool *end, struct yo_span *spans,
               size_t count)
{
    bool last;
    *end = false;
    if (h3->quiet) { /* asked for each packet: the streams' memory is not touched */
        *id = -1;
        return 0;
    }
    if (!h3->control.blocked && yo_sendqueue_ready(&h3->control_out)) {
        *id = h3->control.id;
        return (int)yo_sendqueue_peek(&h3->control_out, spans, count, SIZE_MAX, &last);
    }
    if (type_due(&h3->encoder) || type_due(&h3->decoder)) {
        bool encoder = type_due(&h3->encoder);
        *id = encoder ? h3->encoder.id : h3->decoder.id;
        spans[0] = yo_span(encoder ? encoder_type : decoder_type, 1);
        return 1;
    }
    YO_LIST_EACH(link, next, &h3->streams)
    {
        struct yo_h3_stream *stream = YO_CONTAINER(link, struct yo_h3_stream, link);
        struct yo_h3_request *request = (struct yo_h3_request *)stream;
        if (stream->kind == YO_H3_REQUEST && !request->blocked && !request->stopped &&
            yo_sendqueue_ready(&request->out)) {
            *id = stream->id;
            size_t n = yo_sendqueue_peek(&request->out, spans, count, SIZE_MAX, &last);
            *end = last && request->out.end;
            return (int)n;
        }
    }
    h3->quiet = true;
    *id = -1;
    return 0;
}

int yo_h3_took(struct yo_h3 *h3, int64_t id, size_t size)
{
    struct yo_h3_own *own = find_own(h3, id);
    struct yo_h3_request *request = own ? NULL : yo_h3_request_find(h3, id);
    if (own == &h3->control) {
        yo_sendqueue_sent(&h3->control_out, size);
    } else if (own) {
        own->said = own->said || size > 0;
    } else if (request) {
        yo_sendqueue_sent(&request->out, size);
        request->out.end_sent = request->out.end && request->out.unsent_size == 0;
    }
    return YOMO_OK;
}

void yo_h3_acked(struct yo_h3 *h3, int64_t id, uint64_t size)
{
    if (id == h3->control.id) {
        yo_sendqueue_acked(&h3->control_out, (size_t)size);
        return;
    }
    struct yo_h3_request *request = yo_h3_request_find(h3, id);
    if (request) {
        yo_sendqueue_acked(&request->out, (size_t)size);
        request->head_left -= size < request->head_left ? size : request->head_left;
    }
}

static void set_blocked(struct yo_h3 *h3, int64_t id, bool blocked)
{
    struct yo_h3_own *own = find_own(h3, id);
    struct yo_h3_request *request = own ? NULL : yo_h3_request_find(h3, id);
    h3->quiet = h3->quiet && blocked;
    if (own) {
        own->blocked = blocked;
    } else if (request) {
        request->blocked = blocked;
    }
}

void yo_h3_block(struct yo_h3 *h3, int64_t id)
{
    set_blocked(h3, id, true);
}

void yo_h3_unblock(struct yo_h3 *h3, int64_t id)
{
    set_blocked(h3, id, false);
}

int yo_h3_goaway(struct yo_h3 *h3)
{
    uint8_t frame[2 + YO_VARINT_SIZE_MAX] = {YO_H3_GOAWAY};
    if (h3->going || h3->control.id < 0) {
        return YOMO_OK;
    }
    /* Requests from here on are not heard; of pushes a server has none. */
    uint64_t first = h3->server ? (uint64_t)(h3->last_request + 4) : 0;
    size_t n = yo_varint_write(frame + 2, first);
    frame[1] = (uint8_t)n;
    int rv = yo_sendqueue_push(&h3->control_out, yo_span(frame, 2 + n), NULL);
    h3->going = rv == YOMO_OK;
    h3->quiet = false;
    return rv;
}
