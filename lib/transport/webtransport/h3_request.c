/* SPDX-License-Identifier: MIT */
/* h3_request.c - heads in, answers and capsules out: what HTTP/3 carries for a session.
 *
 * What goes out stays in its queue until it is acknowledged: a head, then DATA frames,
 * each of them some capsules or the text of a refusal. */
#include <stdio.h>
#include <yomo/error.h>

#include "base/pairs.h"
#include "base/text.h"
#include "base/varint.h"
#include "transport/webtransport/codes.h"
#include "transport/webtransport/h3_inside.h"

struct yo_h3_request *yo_h3_request_find(const struct yo_h3 *h3, int64_t id)
{
    YO_LIST_EACH(link, next, &h3->streams)
    {
        struct yo_h3_stream *stream = YO_CONTAINER(link, struct yo_h3_stream, link);
        if (stream->id == id) {
            return stream->kind == YO_H3_REQUEST ? (struct yo_h3_request *)stream
                                                 : NULL;
        }
    }
    return NULL;
}

struct yo_h3_request *yo_h3_request_new(struct yo_h3 *h3, int64_t id)
{
    struct yo_h3_request *request = yo_calloc(h3->mem, 1, sizeof(*request));
    if (request) {
        request->in.id = id;
        request->in.kind = YO_H3_REQUEST;
        yo_sendqueue_init(&request->out, h3->mem);
        yo_list_push_back(&h3->streams, &request->in.link);
    }
    return request;
}

void yo_h3_stream_free(struct yo_h3 *h3, struct yo_h3_stream *stream)
{
    yo_list_remove(&stream->link);
    if (stream->kind == YO_H3_REQUEST) {
        struct yo_h3_request *request = (struct yo_h3_request *)stream;
        yo_h3_section_free(h3, request->section);
        yo_sendqueue_finish(&request->out);
    }
    yo_free(h3->mem, stream);
}

/* --- Heads ------------------------------------------------------------------------ */

static int hand_up(struct yo_h3 *h3, struct yo_h3_request *request,
                   const struct yo_h3_section *section)
{
    struct yo_span fields = yo_buf_span(&section->fields);
    uint64_t status = 0;
    struct yo_h3_head head = {
        .method = yo_pairs_get(fields, ":method"),
        .protocol = yo_pairs_get(fields, ":protocol"),
        .authority = yo_pairs_get(fields, ":authority"),
        .path = yo_pairs_get(fields, ":path"),
        .fields = fields,
    };
    (void)yo_parse_u64(yo_pairs_get(fields, ":status"), &status);
    if (!h3->server && status < 200) {
        return YOMO_OK; /* the final one is still to come */
    }
    head.status = (int)status;
    request->part = YO_H3_BODY;
    /* Of a tunnel's the length means nothing (RFC 9110 9.3.6), a client reads no body.
     */
    request->tunnel = !h3->server || yo_span_is(head.method, "CONNECT");
    request->has_length = section->has_length && !request->tunnel;
    request->length = section->length;
    h3->events->on_head(h3->user, request->in.id, &head);
    return YOMO_OK;
}

/* Its fields were more than we read. */
static int refuse(struct yo_h3 *h3, struct yo_h3_request *request)
{
    request->part = YO_H3_BODY;
    if (!h3->server) { /* its answer is not one that we can read */
        h3->events->on_head(h3->user, request->in.id,
                            &(struct yo_h3_head){.status = 502});
        return YOMO_OK;
    }
    int rv = yo_h3_answer(h3, request->in.id, 431, NULL, YO_SPAN_NONE);
    return rv == YOMO_ERR_NOMEM ? rv : YOMO_OK;
}

int yo_h3_read_fields(struct yo_h3 *h3, struct yo_h3_request *request,
                      struct yo_span bytes, bool last)
{
    struct yo_h3_section *section = request->section;
    int rv = yo_h3_section_read(h3, section, bytes, last);

    if (rv != YOMO_OK || !last) {
        return rv;
    }
    request->section = NULL;
    if (section->trailers) {
        request->part = YO_H3_TRAILED;
    } else if (section->size > YO_H3_HEAD_MAX) {
        rv = refuse(h3, request);
    } else if (!yo_h3_section_whole(h3, section)) {
        rv = yo_h3_fail(h3, YO_H3_MESSAGE_ERROR);
    } else {
        rv = hand_up(h3, request, section);
    }
    yo_h3_section_free(h3, section);
    return rv;
}

/* --- Requests and answers --------------------------------------------------------- */

static nghttp3_nv pair(struct yo_span name, struct yo_span value)
{
    return (nghttp3_nv){.name = (uint8_t *)(uintptr_t)name.data,
                        .namelen = name.size,
                        .value = (uint8_t *)(uintptr_t)value.data,
                        .valuelen = value.size};
}

static nghttp3_nv text_pair(const char *name, const char *value)
{
    return pair(yo_span_of(name), yo_span_of(value));
}

static int push_head(struct yo_h3 *h3, struct yo_h3_request *request,
                     nghttp3_nv *fields, size_t count)
{
    struct yo_buf frame;
    yo_buf_init(&frame, h3->mem);
    int rv = yo_h3_fields_write(h3, &frame, request->in.id, fields, count);
    if (rv == YOMO_OK) {
        rv = yo_sendqueue_push_bytes(&request->out, yo_buf_span(&frame));
    }
    if (rv == YOMO_OK) {
        request->head_left = frame.size;
    }
    h3->quiet = false;
    yo_buf_finish(&frame);
    return rv;
}

/* A DATA frame, the whole of it or nothing. */
static int push_data(struct yo_h3 *h3, struct yo_h3_request *request,
                     struct yo_span bytes)
{
    uint8_t head[1 + YO_VARINT_SIZE_MAX] = {YO_H3_DATA};
    struct yo_blob *blob = yo_blob_create(h3->mem, bytes);
    if (!blob) {
        return YOMO_ERR_NOMEM;
    }
    size_t n = 1 + yo_varint_write(head + 1, bytes.size);
    int rv = yo_sendqueue_push(&request->out, yo_span(head, n), blob);
    h3->quiet = false;
    yo_blob_unref(blob);
    return rv;
}

int yo_h3_connect(struct yo_h3 *h3, int64_t id, const struct yo_h3_ask *ask)
{
    nghttp3_nv fields[6 + YO_H3_ASK_FIELDS_MAX];
    struct yo_span more = ask->fields, name, value;
    size_t n = 0;
    /* Drafts 15 and later renamed the token; a server that knows older ones too takes
     * the older one. */
    bool newest = h3->peer.webtransport == YO_WT_DRAFT15;
    fields[n++] = text_pair(":method", "CONNECT");
    fields[n++] = text_pair(":protocol", newest ? "webtransport-h3" : "webtransport");
    fields[n++] = text_pair(":scheme", "https");
    fields[n++] = pair(yo_span_of(":authority"), ask->authority);
    fields[n++] = pair(yo_span_of(":path"), ask->path);
    fields[n++] = text_pair("sec-webtransport-http3-draft02", "1");
    while (yo_pairs_next(&more, &name, &value)) {
        if (n == sizeof(fields) / sizeof(fields[0])) {
            return YOMO_ERR_TOO_BIG;
        }
        fields[n++] = pair(name, value);
    }
    struct yo_h3_request *request = yo_h3_request_new(h3, id);
    if (!request) {
        return YOMO_ERR_NOMEM;
    }
    int rv = push_head(h3, request, fields, n);
    if (rv != YOMO_OK) {
        yo_h3_stream_free(h3, &request->in);
    }
    return rv;
}

#define ANSWER_FIELDS_MAX 24

int yo_h3_answer(struct yo_h3 *h3, int64_t id, int status, const char *const *headers,
                 struct yo_span text)
{
    nghttp3_nv fields[ANSWER_FIELDS_MAX];
    char number[12], length[24];
    size_t n = 0;
    struct yo_h3_request *request = yo_h3_request_find(h3, id);
    bool final = status < 200 || status > 299;

    if (!request || request->answered) {
        return YOMO_ERR_NOT_FOUND;
    }
    snprintf(number, sizeof(number), "%d", status);
    fields[n++] = text_pair(":status", number);
    for (; headers && headers[0] && headers[1]; headers += 2) {
        if (n == ANSWER_FIELDS_MAX - 2) {
            return YOMO_ERR_INVALID;
        }
        fields[n++] = text_pair(headers[0], headers[1]);
    }
    if (final) {
        if (text.size > YO_H3_CAPSULES_MAX) {
            text.size = YO_H3_CAPSULES_MAX;
        }
        snprintf(length, sizeof(length), "%zu", text.size);
        fields[n++] = text_pair("content-length", length);
        if (text.size > 0) {
            fields[n++] = text_pair("content-type", "text/plain; charset=utf-8");
        }
    }
    int rv = push_head(h3, request, fields, n);
    if (rv != YOMO_OK) {
        return rv;
    }
    request->answered = true;
    if (final) {
        if (text.size > 0 && push_data(h3, request, text) != YOMO_OK) {
            h3->events->reset(h3->user, id, YO_H3_INTERNAL_ERROR); /* it has begun */
            request->stopped = true;
            return YOMO_ERR_NOMEM;
        }
        request->out.end = true;
    }
    return YOMO_OK;
}

int yo_h3_capsules(struct yo_h3 *h3, int64_t id, struct yo_span bytes, bool lesser)
{
    struct yo_h3_request *request = yo_h3_request_find(h3, id);
    size_t max = lesser ? YO_H3_LESSER_MAX : YO_H3_CAPSULES_MAX;
    if (!request || request->out.end) {
        return YOMO_ERR_NOT_FOUND;
    }
    size_t waiting = request->out.size - request->head_left;
    if (waiting > max || bytes.size > max - waiting) {
        return YOMO_ERR_FULL;
    }
    return push_data(h3, request, bytes);
}

int yo_h3_end(struct yo_h3 *h3, int64_t id)
{
    struct yo_h3_request *request = yo_h3_request_find(h3, id);
    if (!request) {
        return YOMO_ERR_NOT_FOUND;
    }
    request->out.end = true;
    h3->quiet = false;
    return YOMO_OK;
}
