/* SPDX-License-Identifier: MIT */
/* h3_frames.c - frames as they come (RFC 9114 6.2, 7), in pieces of any size.
 *
 * Nothing is kept but the varint that is incomplete and what a section of fields needs;
 * a frame that nobody knows is skipped however long it is. A peer that breaks a rule
 * loses its connection, whatever the rule: those that we know break none. */
#include <yomo/error.h>

#include "base/varint.h"
#include "transport/webtransport/codes.h"
#include "transport/webtransport/h3_inside.h"

/* Types of unidirectional streams (RFC 9114 6.2, RFC 9204 4.2). */
enum { CONTROL = 0x00, PUSH = 0x01, ENCODER = 0x02, DECODER = 0x03 };

/* One varint off `bytes`; false: it is not complete yet, and kept. */
static bool take_number(struct yo_h3_stream *stream, struct yo_span *bytes,
                        uint64_t *value)
{
    while (bytes->size > 0) {
        stream->partial[stream->partial_size++] = bytes->data[0];
        *bytes = yo_span_skip(*bytes, 1);
        if (yo_varint_read(yo_span(stream->partial, stream->partial_size), value) > 0) {
            stream->partial_size = 0;
            return true;
        }
    }
    return false;
}

/* Frames that HTTP/2 had and HTTP/3 has not (RFC 9114 7.2.8). */
static bool reserved(uint64_t type)
{
    return type == 0x02 || type == 0x06 || type == 0x08 || type == 0x09;
}

/* --- The control stream ----------------------------------------------------------- */

static int begin_control_frame(struct yo_h3 *h3, const struct yo_h3_stream *stream,
                               yo_time now)
{
    if (!h3->settled && stream->type != YO_H3_SETTINGS) {
        return yo_h3_fail(h3, YO_H3_MISSING_SETTINGS);
    }
    switch (stream->type) {
    case YO_H3_SETTINGS:
        if (h3->settled) {
            return yo_h3_fail(h3, YO_H3_FRAME_UNEXPECTED);
        }
        h3->settled = true;
        return YOMO_OK;
    case YO_H3_DATA:
    case YO_H3_HEADERS:
    case YO_H3_PUSH_PROMISE:
        return yo_h3_fail(h3, YO_H3_FRAME_UNEXPECTED);
    case YO_H3_MAX_PUSH_ID:
    case YO_H3_PRIORITY_REQUEST:
    case YO_H3_PRIORITY_PUSH:
        return h3->server ? YOMO_OK : yo_h3_fail(h3, YO_H3_FRAME_UNEXPECTED);
    case YO_H3_CANCEL_PUSH:
    case YO_H3_GOAWAY:
        return YOMO_OK;
    default:
        return reserved(stream->type) ? yo_h3_fail(h3, YO_H3_FRAME_UNEXPECTED)
                                      : yo_h3_odd(h3, YO_H3_EXCESSIVE_LOAD, now);
    }
}

static bool is_priority(const struct yo_h3_stream *stream)
{
    return stream->type == YO_H3_PRIORITY_REQUEST ||
           stream->type == YO_H3_PRIORITY_PUSH;
}

static int control_bytes(struct yo_h3 *h3, struct yo_h3_stream *stream,
                         struct yo_span bytes)
{
    bool a_number = stream->type == YO_H3_CANCEL_PUSH || stream->type == YO_H3_GOAWAY ||
                    stream->type == YO_H3_MAX_PUSH_ID;
    if (!a_number && !is_priority(stream)) {
        return YOMO_OK; /* SETTINGS: the tee has read them; or nobody knows it */
    }
    if (!stream->has_value) {
        stream->has_value = take_number(stream, &bytes, &stream->value);
    }
    return a_number && bytes.size > 0 ? yo_h3_fail(h3, YO_H3_FRAME_ERROR) : YOMO_OK;
}

static int end_control_frame(struct yo_h3 *h3, struct yo_h3_stream *stream, yo_time now)
{
    uint64_t value = stream->value;
    bool has_value = stream->has_value;

    stream->has_value = false;
    switch (stream->type) {
    case YO_H3_SETTINGS:
        return h3->tee.partial_size > 0 || h3->tee.have_id
                   ? yo_h3_fail(h3, YO_H3_FRAME_ERROR)
                   : YOMO_OK;
    case YO_H3_CANCEL_PUSH:
    case YO_H3_PRIORITY_PUSH: /* nothing was ever pushed, nor promised */
        return yo_h3_fail(h3, has_value ? YO_H3_ID_ERROR : YO_H3_FRAME_ERROR);
    case YO_H3_GOAWAY:
        if (!has_value) {
            return yo_h3_fail(h3, YO_H3_FRAME_ERROR);
        }
        if (value > h3->goaway || (!h3->server && value % 4 != 0)) {
            return yo_h3_fail(h3, YO_H3_ID_ERROR);
        }
        h3->goaway = value;
        h3->events->on_goaway(h3->user, (int64_t)value);
        return yo_h3_odd(h3, YO_H3_EXCESSIVE_LOAD, now); /* one is enough */
    case YO_H3_MAX_PUSH_ID:
        if (!has_value) {
            return yo_h3_fail(h3, YO_H3_FRAME_ERROR);
        }
        if (value < h3->max_push) {
            return yo_h3_fail(h3, YO_H3_ID_ERROR);
        }
        h3->max_push = value;
        return yo_h3_odd(h3, YO_H3_EXCESSIVE_LOAD, now);
    case YO_H3_PRIORITY_REQUEST: /* RFC 9218 7.2: of a request that there may be */
        if (!has_value) {
            return yo_h3_fail(h3, YO_H3_FRAME_ERROR);
        }
        if (value % 4 != 0 || value / 4 >= h3->streams_max) {
            return yo_h3_fail(h3, YO_H3_ID_ERROR);
        }
        return yo_h3_odd(h3, YO_H3_EXCESSIVE_LOAD, now); /* there is nothing to order */
    default:
        return YOMO_OK;
    }
}

/* --- A request's stream ----------------------------------------------------------- */

static int begin_request_frame(struct yo_h3 *h3, struct yo_h3_request *request,
                               yo_time now)
{
    switch (request->in.type) {
    case YO_H3_DATA:
        if (request->part != YO_H3_BODY) {
            return yo_h3_fail(h3, YO_H3_FRAME_UNEXPECTED);
        }
        if (request->has_length && request->in.left > request->length) {
            return yo_h3_fail(h3, YO_H3_MESSAGE_ERROR);
        }
        request->length -= request->has_length ? request->in.left : 0;
        return request->in.left > 0 ? YOMO_OK
                                    : yo_h3_odd(h3, YO_H3_EXCESSIVE_LOAD, now);
    case YO_H3_HEADERS: {
        bool trailers = request->part == YO_H3_BODY;
        if (request->part == YO_H3_TRAILED || request->tunnel) {
            return yo_h3_fail(h3, YO_H3_FRAME_UNEXPECTED);
        }
        return yo_h3_section_new(&request->section, h3, trailers);
    }
    case YO_H3_PUSH_PROMISE: /* a client that allows none */
        return yo_h3_fail(h3, h3->server ? YO_H3_FRAME_UNEXPECTED : YO_H3_ID_ERROR);
    case YO_H3_CANCEL_PUSH:
    case YO_H3_SETTINGS:
    case YO_H3_GOAWAY:
    case YO_H3_MAX_PUSH_ID:
    case YO_H3_PRIORITY_REQUEST:
    case YO_H3_PRIORITY_PUSH:
        return yo_h3_fail(h3, YO_H3_FRAME_UNEXPECTED);
    default:
        return reserved(request->in.type) ? yo_h3_fail(h3, YO_H3_FRAME_UNEXPECTED)
                                          : yo_h3_odd(h3, YO_H3_EXCESSIVE_LOAD, now);
    }
}

static int end_request(struct yo_h3 *h3, struct yo_h3_request *request)
{
    if (request->in.at != YO_H3_TYPE || request->in.partial_size > 0) {
        return yo_h3_fail(h3, YO_H3_FRAME_ERROR);
    }
    request->deaf = true;
    if (request->part == YO_H3_HEAD && h3->server) { /* RFC 9114 4.1 */
        h3->events->reset(h3->user, request->in.id, YO_H3_REQUEST_INCOMPLETE);
        return YOMO_OK;
    }
    if (request->part == YO_H3_HEAD || (request->has_length && request->length > 0)) {
        return yo_h3_fail(h3, YO_H3_MESSAGE_ERROR);
    }
    h3->events->on_end(h3->user, request->in.id);
    return YOMO_OK;
}

/* --- Frames ----------------------------------------------------------------------- */

static int begin_frame(struct yo_h3 *h3, struct yo_h3_stream *stream, yo_time now)
{
    return stream->kind == YO_H3_CONTROL
               ? begin_control_frame(h3, stream, now)
               : begin_request_frame(h3, (struct yo_h3_request *)stream, now);
}

/* A piece of a frame's payload, behind which `left` bytes are to come. */
static int frame_bytes(struct yo_h3 *h3, struct yo_h3_stream *stream,
                       struct yo_span bytes, yo_time now)
{
    int rv = YOMO_OK;
    if (stream->kind == YO_H3_CONTROL) {
        rv = control_bytes(h3, stream, bytes);
        if (rv == YOMO_OK && stream->left == 0) {
            rv = end_control_frame(h3, stream, now);
        }
    } else if (stream->type == YO_H3_HEADERS) {
        rv = yo_h3_read_fields(h3, (struct yo_h3_request *)stream, bytes,
                               stream->left == 0);
    } else if (stream->type == YO_H3_DATA && bytes.size > 0) {
        h3->events->on_data(h3->user, stream->id, bytes);
    }
    return rv;
}

static int read_frames(struct yo_h3 *h3, struct yo_h3_stream *stream,
                       struct yo_span bytes, yo_time now)
{
    int rv = YOMO_OK;
    while (rv == YOMO_OK && bytes.size > 0) {
        if (stream->at == YO_H3_TYPE) {
            if (take_number(stream, &bytes, &stream->type)) {
                stream->at = YO_H3_LENGTH;
            }
            continue;
        }
        size_t n = 0;
        if (stream->at == YO_H3_LENGTH) {
            if (!take_number(stream, &bytes, &stream->left)) {
                continue;
            }
            stream->at = YO_H3_PAYLOAD;
            rv = begin_frame(h3, stream, now);
            if (rv != YOMO_OK || stream->left > 0) {
                continue;
            }
        } else {
            n = stream->left < bytes.size ? (size_t)stream->left : bytes.size;
        }
        stream->left -= n;
        if (stream->left == 0) {
            stream->at = YO_H3_TYPE; /* before: an event may ask for what is next */
        }
        rv = frame_bytes(h3, stream, yo_span(bytes.data, n), now);
        bytes = yo_span_skip(bytes, n);
        stream->partial_size = stream->at == YO_H3_TYPE ? 0 : stream->partial_size;
    }
    return rv;
}

/* --- QPACK's streams: RFC 9204 4.3, 4.4 ------------------------------------------- */

/* Into a table of no size nothing can be put; to make it of no size is allowed. */
static int read_encoder(struct yo_h3 *h3, struct yo_span bytes, yo_time now)
{
    int rv = YOMO_OK;
    for (size_t i = 0; i < bytes.size && rv == YOMO_OK; i++) {
        rv = bytes.data[i] == 0x20
                 ? yo_h3_odd(h3, YO_H3_QPACK_ENCODER_STREAM_ERROR, now)
                 : yo_h3_fail(h3, YO_H3_QPACK_ENCODER_STREAM_ERROR);
    }
    return rv;
}

/* Nothing was put into its table, so nothing can be acknowledged; a stream may have
 * been cancelled, whose number (a prefix of 6 bits, RFC 7541 5.1) says nothing to us.
 */
static int read_decoder(struct yo_h3 *h3, struct yo_h3_stream *stream,
                        struct yo_span bytes, yo_time now)
{
    int rv = YOMO_OK;
    for (size_t i = 0; i < bytes.size && rv == YOMO_OK; i++) {
        uint8_t byte = bytes.data[i];
        if (stream->has_value) { /* more of the number, of which there are not many */
            stream->has_value = (byte & 0x80) != 0;
            rv = ++stream->value <= 9
                     ? YOMO_OK
                     : yo_h3_fail(h3, YO_H3_QPACK_DECODER_STREAM_ERROR);
        } else if ((byte & 0xc0) == 0x40) {
            stream->has_value = (byte & 0x3f) == 0x3f;
            stream->value = 0;
            rv = yo_h3_odd(h3, YO_H3_QPACK_DECODER_STREAM_ERROR, now);
        } else {
            rv = yo_h3_fail(h3, YO_H3_QPACK_DECODER_STREAM_ERROR);
        }
    }
    return rv;
}

/* --- Streams ---------------------------------------------------------------------- */

static int name_stream(struct yo_h3 *h3, struct yo_h3_stream *stream, uint64_t type,
                       yo_time now)
{
    switch (type) {
    case CONTROL:
        stream->kind = YO_H3_CONTROL;
        break;
    case ENCODER:
        stream->kind = YO_H3_ENCODER;
        break;
    case DECODER:
        stream->kind = YO_H3_DECODER;
        break;
    case PUSH: /* a client has none, and a server was allowed none */
        return yo_h3_fail(h3,
                          h3->server ? YO_H3_STREAM_CREATION_ERROR : YO_H3_ID_ERROR);
    default:
        stream->kind = YO_H3_IGNORED;
        h3->events->stop_reading(h3->user, stream->id, YO_H3_STREAM_CREATION_ERROR);
        return yo_h3_odd(h3, YO_H3_EXCESSIVE_LOAD, now);
    }
    unsigned bit = 1u << stream->kind;
    if (h3->critical & bit) { /* RFC 9114 6.2.1, RFC 9204 4.2 */
        return yo_h3_fail(h3, YO_H3_STREAM_CREATION_ERROR);
    }
    h3->critical |= bit;
    return YOMO_OK;
}

int yo_h3_read_stream(struct yo_h3 *h3, struct yo_h3_stream *stream,
                      struct yo_span bytes, bool end, yo_time now)
{
    int rv = YOMO_OK;
    if (stream->kind == YO_H3_NEW) {
        uint64_t type;
        if (!take_number(stream, &bytes, &type)) {
            return YOMO_OK; /* nobody will miss it, should it end like that */
        }
        rv = name_stream(h3, stream, type, now);
        if (rv == YOMO_OK && stream->kind == YO_H3_CONTROL) {
            uint8_t named = CONTROL;
            yo_settings_tee_read(&h3->tee, yo_span(&named, 1), &h3->peer);
        }
    }
    if (rv != YOMO_OK) {
        return rv;
    }
    switch (stream->kind) {
    case YO_H3_CONTROL:
        yo_settings_tee_read(&h3->tee, bytes, &h3->peer);
        if (h3->peer.wrong) {
            return yo_h3_fail(h3, YO_H3_SETTINGS_ERROR);
        }
        rv = read_frames(h3, stream, bytes, now);
        break;
    case YO_H3_ENCODER:
        rv = read_encoder(h3, bytes, now);
        break;
    case YO_H3_DECODER:
        rv = read_decoder(h3, stream, bytes, now);
        break;
    case YO_H3_REQUEST: {
        struct yo_h3_request *request = (struct yo_h3_request *)stream;
        if (request->deaf) {
            return YOMO_OK;
        }
        rv = read_frames(h3, stream, bytes, now);
        return rv == YOMO_OK && end && !request->deaf ? end_request(h3, request) : rv;
    }
    default:
        return YOMO_OK;
    }
    return rv == YOMO_OK && end ? yo_h3_fail(h3, YO_H3_CLOSED_CRITICAL_STREAM) : rv;
}
