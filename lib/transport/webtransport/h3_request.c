/* SPDX-License-Identifier: MIT */
/* h3_request.c - heads in, answers and capsules out: what HTTP/3 carries for a session.
 *
 * The fields of a head are kept until it is complete; they count towards
 * YO_H3_HEAD_MAX, which nghttp3 announces but does not enforce. What goes out behind a
 * head stays in its queue until it is acknowledged, since nghttp3 points into it. */
#include <stdio.h>
#include <yomo/error.h>

#include "base/pairs.h"
#include "base/text.h"
#include "transport/webtransport/codes.h"
#include "transport/webtransport/h3_inside.h"

static struct yo_h3_stream *find_stream(struct yo_h3 *h3, int64_t id)
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

static struct yo_h3_stream *add_stream(struct yo_h3 *h3, int64_t id)
{
    struct yo_h3_stream *stream = yo_calloc(h3->mem, 1, sizeof(*stream));
    if (stream) {
        stream->id = id;
        yo_buf_init(&stream->fields, h3->mem);
        yo_sendqueue_init(&stream->out, h3->mem);
        yo_list_push_back(&h3->streams, &stream->link);
    }
    return stream;
}

static void free_stream(struct yo_h3 *h3, struct yo_h3_stream *stream)
{
    yo_list_remove(&stream->link);
    yo_buf_finish(&stream->fields);
    yo_sendqueue_finish(&stream->out);
    yo_free(h3->mem, stream);
}

void yo_h3_free_streams(struct yo_h3 *h3)
{
    YO_LIST_EACH(link, next, &h3->streams)
    {
        free_stream(h3, YO_CONTAINER(link, struct yo_h3_stream, link));
    }
}

int yo_h3_on_stream_close(nghttp3_conn *http, int64_t id, uint64_t code, void *user,
                          void *stream_user)
{
    (void)http, (void)id, (void)code;
    if (stream_user) {
        free_stream(user, stream_user);
    }
    return 0;
}

/* --- Heads ------------------------------------------------------------------------ */

int yo_h3_on_begin_headers(nghttp3_conn *http, int64_t id, void *user,
                           void *stream_user)
{
    struct yo_h3 *h3 = user;
    struct yo_h3_stream *stream = stream_user;
    if (!stream) {
        stream = add_stream(h3, id);
        if (!stream) {
            return NGHTTP3_ERR_CALLBACK_FAILURE;
        }
        nghttp3_conn_set_stream_user_data(http, id, stream);
    }
    yo_buf_clear(&stream->fields);
    stream->head_size = 0;
    return 0;
}

int yo_h3_on_header(nghttp3_conn *http, int64_t id, int32_t token, nghttp3_rcbuf *name,
                    nghttp3_rcbuf *value, uint8_t flags, void *user, void *stream_user)
{
    struct yo_h3_stream *stream = stream_user;
    nghttp3_vec n = nghttp3_rcbuf_get_buf(name), v = nghttp3_rcbuf_get_buf(value);
    struct yo_h3 *h3 = user;
    (void)http, (void)id, (void)token, (void)flags;
    if (!stream) {
        return 0;
    }
    stream->head_size += n.len + v.len + 32;
    if (stream->head_size > YO_H3_HEAD_HARD) { /* RFC 9114 10.5.1 */
        h3->error = YO_H3_EXCESSIVE_LOAD;
        return NGHTTP3_ERR_CALLBACK_FAILURE;
    }
    if (stream->head_size > YO_H3_HEAD_MAX) {
        return 0; /* answered when all of it has come */
    }
    return yo_pairs_append(&stream->fields, yo_span(n.base, n.len),
                           yo_span(v.base, v.len)) == YOMO_OK
               ? 0
               : NGHTTP3_ERR_CALLBACK_FAILURE;
}

int yo_h3_on_end_headers(nghttp3_conn *http, int64_t id, int fin, void *user,
                         void *stream_user)
{
    struct yo_h3 *h3 = user;
    struct yo_h3_stream *stream = stream_user;
    uint64_t status = 0;
    (void)http, (void)fin;
    if (!stream) {
        return 0;
    }
    if (stream->head_size > YO_H3_HEAD_MAX) {
        yo_buf_finish(&stream->fields);
        if (!h3->server) { /* its answer is not one that we can read */
            h3->events->on_head(h3->user, id, &(struct yo_h3_head){.status = 502});
            return 0;
        }
        return yo_h3_answer(h3, id, 431, NULL, YO_SPAN_NONE) == YOMO_ERR_NOMEM
                   ? NGHTTP3_ERR_CALLBACK_FAILURE
                   : 0;
    }
    struct yo_span fields = yo_buf_span(&stream->fields);
    struct yo_h3_head head = {
        .method = yo_pairs_get(fields, ":method"),
        .protocol = yo_pairs_get(fields, ":protocol"),
        .authority = yo_pairs_get(fields, ":authority"),
        .path = yo_pairs_get(fields, ":path"),
        .fields = fields,
    };
    (void)yo_parse_u64(yo_pairs_get(fields, ":status"), &status);
    head.status = (int)status;
    if (h3->server || status >= 200) { /* 1xx: the final one is still to come */
        h3->events->on_head(h3->user, id, &head);
    }
    yo_buf_finish(&stream->fields);
    return 0;
}

/* --- Requests and answers --------------------------------------------------------- */

#define DATA_VECS_MAX 4

static nghttp3_ssize on_read_data(nghttp3_conn *http, int64_t id, nghttp3_vec *vec,
                                  size_t count, uint32_t *flags, void *user,
                                  void *stream_user)
{
    struct yo_h3_stream *stream = stream_user;
    struct yo_span spans[DATA_VECS_MAX];
    size_t size = 0;
    bool last;
    (void)http, (void)id, (void)user;
    if (!yo_sendqueue_ready(&stream->out)) {
        return NGHTTP3_ERR_WOULDBLOCK;
    }
    size_t n = yo_sendqueue_peek(&stream->out, spans,
                                 count < DATA_VECS_MAX ? count : DATA_VECS_MAX,
                                 SIZE_MAX, &last);
    for (size_t i = 0; i < n; i++) {
        vec[i].base = (uint8_t *)(uintptr_t)spans[i].data;
        vec[i].len = spans[i].size;
        size += spans[i].size;
    }
    if (size > 0) {
        yo_sendqueue_sent(&stream->out, size);
    }
    if (last && stream->out.end) {
        stream->out.end_sent = true;
        *flags |= NGHTTP3_DATA_FLAG_EOF;
    }
    return (nghttp3_ssize)n;
}

int yo_h3_on_acked(nghttp3_conn *http, int64_t id, uint64_t size, void *user,
                   void *stream_user)
{
    struct yo_h3_stream *stream = stream_user;
    (void)http, (void)id, (void)user;
    if (stream) {
        yo_sendqueue_acked(&stream->out, (size_t)size);
    }
    return 0;
}

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
    struct yo_h3_stream *stream = add_stream(h3, id);
    if (!stream) {
        return YOMO_ERR_NOMEM;
    }
    nghttp3_data_reader reader = {on_read_data};
    if (nghttp3_conn_submit_request(h3->http, id, fields, n, &reader, stream) != 0) {
        free_stream(h3, stream);
        return YOMO_ERR_NOMEM;
    }
    h3->quiet = false;
    return YOMO_OK;
}

#define ANSWER_FIELDS_MAX 24

int yo_h3_answer(struct yo_h3 *h3, int64_t id, int status, const char *const *headers,
                 struct yo_span text)
{
    nghttp3_nv fields[ANSWER_FIELDS_MAX];
    char number[12], length[24];
    size_t n = 0;
    struct yo_h3_stream *stream = find_stream(h3, id);

    if (!stream || stream->answered) {
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
    if (status < 200 || status > 299) {
        if (text.size > YO_H3_CAPSULES_MAX) {
            text.size = YO_H3_CAPSULES_MAX;
        }
        snprintf(length, sizeof(length), "%zu", text.size);
        fields[n++] = text_pair("content-length", length);
        if (text.size > 0) {
            fields[n++] = text_pair("content-type", "text/plain; charset=utf-8");
            if (yo_sendqueue_push_bytes(&stream->out, text) != YOMO_OK) {
                return YOMO_ERR_NOMEM;
            }
        }
        stream->out.end = true;
    }
    nghttp3_data_reader reader = {on_read_data};
    int rv = nghttp3_conn_submit_response(
        h3->http, id, fields, n,
        stream->out.end && stream->out.size == 0 ? NULL : &reader);
    if (rv == NGHTTP3_ERR_STREAM_NOT_FOUND) {
        return YOMO_ERR_NOT_FOUND;
    }
    stream->answered = rv == 0;
    h3->quiet = false;
    return rv == 0 ? YOMO_OK : YOMO_ERR_NOMEM;
}

int yo_h3_capsules(struct yo_h3 *h3, int64_t id, struct yo_span bytes, bool lesser)
{
    struct yo_h3_stream *stream = find_stream(h3, id);
    size_t max = lesser ? YO_H3_LESSER_MAX : YO_H3_CAPSULES_MAX;
    if (!stream || stream->out.end) {
        return YOMO_ERR_NOT_FOUND;
    }
    if (stream->out.size > max || bytes.size > max - stream->out.size) {
        return YOMO_ERR_FULL;
    }
    if (yo_sendqueue_push_bytes(&stream->out, bytes) != YOMO_OK) {
        return YOMO_ERR_NOMEM;
    }
    nghttp3_conn_resume_stream(h3->http, id);
    h3->quiet = false;
    return YOMO_OK;
}

int yo_h3_end(struct yo_h3 *h3, int64_t id)
{
    struct yo_h3_stream *stream = find_stream(h3, id);
    if (!stream) {
        return YOMO_ERR_NOT_FOUND;
    }
    stream->out.end = true;
    nghttp3_conn_resume_stream(h3->http, id);
    h3->quiet = false;
    return YOMO_OK;
}
