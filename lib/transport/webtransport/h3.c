/* SPDX-License-Identifier: MIT */
/* h3.c - nghttp3, with its control stream intercepted.
 *
 * nghttp3 never learns that its control stream's bytes were not sent as they were: they
 * are taken at once, acknowledged at once, spliced (settings.c) and sent from a queue
 * of our own. Its other streams pass through. The peer's control stream is read twice:
 * by nghttp3, which judges it, and by the tee, which sees the settings nghttp3 ignores.
 *
 * Dynamic QPACK tables are off on both sides, so no stream ever waits for another. */
#include "transport/webtransport/h3.h"

#include <assert.h>
#include <stdio.h>
#include <yomo/error.h>

#include "base/list.h"
#include "base/rand.h"
#include "base/text.h"
#include "transport/webtransport/codes.h"
#include "transport/webtransport/sendqueue.h"

#define VECS_MAX 16

enum field {
    METHOD,
    PROTOCOL,
    SCHEME,
    AUTHORITY,
    PATH,
    ORIGIN,
    STATUS,
    PROTOCOLS,
    DRAFT02,
    FIELDS
};

struct h3_stream { /* of a request and its response */
    struct yo_link link;
    int64_t id;
    struct yo_buf text; /* values of the fields below, until the head is handed up */
    struct {
        uint32_t offset, size;
        bool there;
    } fields[FIELDS];
    size_t head_size; /* RFC 9114 4.2.2 */
    bool answered;
    uint8_t *out; /* YO_H3_CAPSULES_MAX bytes or NULL; does not move */
    size_t out_size, out_given;
    bool end;
};

struct yo_h3 {
    const struct yomo_mem *mem;
    const struct yo_h3_events *events;
    void *user;
    nghttp3_conn *http;
    bool server;
    uint64_t error;
    struct yo_link streams;
    /* Out. */
    int64_t control; /* -1: not bound yet */
    bool control_blocked, spliced;
    bool quiet; /* nothing to send was found, and nothing has happened since */
    struct yo_sendqueue control_out;
    /* In. */
    int64_t peer_control; /* -1: not seen yet */
    struct yo_settings_tee tee;
    struct yo_peer_settings peer;
    size_t consumed; /* by the callbacks of one read */
};

static int fail(struct yo_h3 *h3, int rv)
{
    if (rv == NGHTTP3_ERR_NOMEM) {
        return YOMO_ERR_NOMEM;
    }
    h3->error = nghttp3_err_infer_quic_app_error_code(rv);
    return YOMO_ERR_PROTO;
}

/* --- Streams ---------------------------------------------------------------------- */

static struct h3_stream *find_stream(struct yo_h3 *h3, int64_t id)
{
    YO_LIST_EACH(link, next, &h3->streams)
    {
        struct h3_stream *stream = YO_CONTAINER(link, struct h3_stream, link);
        if (stream->id == id) {
            return stream;
        }
    }
    return NULL;
}

static struct h3_stream *add_stream(struct yo_h3 *h3, int64_t id)
{
    struct h3_stream *stream = yo_calloc(h3->mem, 1, sizeof(*stream));
    if (stream) {
        stream->id = id;
        yo_buf_init(&stream->text, h3->mem);
        yo_list_push_back(&h3->streams, &stream->link);
    }
    return stream;
}

static void free_stream(struct yo_h3 *h3, struct h3_stream *stream)
{
    yo_list_remove(&stream->link);
    yo_buf_finish(&stream->text);
    yo_free(h3->mem, stream->out);
    yo_free(h3->mem, stream);
}

/* --- nghttp3's callbacks ---------------------------------------------------------- */

static int on_begin_headers(nghttp3_conn *http, int64_t id, void *user,
                            void *stream_user)
{
    struct yo_h3 *h3 = user;
    struct h3_stream *stream = stream_user;
    if (!stream) {
        stream = add_stream(h3, id);
        if (!stream) {
            return NGHTTP3_ERR_CALLBACK_FAILURE;
        }
        nghttp3_conn_set_stream_user_data(http, id, stream);
    }
    yo_buf_clear(&stream->text);
    memset(stream->fields, 0, sizeof(stream->fields));
    stream->head_size = 0;
    return 0;
}

static enum field field_of(int32_t token, nghttp3_vec name)
{
    static const struct {
        const char *name;
        enum field field;
    } rare[] = {{"sec-webtransport-http3-draft02", DRAFT02},
                {"wt-available-protocols", PROTOCOLS},
                {"wt-protocol", PROTOCOLS}};
    switch (token) {
    case NGHTTP3_QPACK_TOKEN__METHOD:
        return METHOD;
    case NGHTTP3_QPACK_TOKEN__PROTOCOL:
        return PROTOCOL;
    case NGHTTP3_QPACK_TOKEN__SCHEME:
        return SCHEME;
    case NGHTTP3_QPACK_TOKEN__AUTHORITY:
        return AUTHORITY;
    case NGHTTP3_QPACK_TOKEN__PATH:
        return PATH;
    case NGHTTP3_QPACK_TOKEN_ORIGIN:
        return ORIGIN;
    case NGHTTP3_QPACK_TOKEN__STATUS:
        return STATUS;
    default:
        for (size_t i = 0; i < sizeof(rare) / sizeof(rare[0]); i++) {
            if (yo_span_is(yo_span(name.base, name.len), rare[i].name)) {
                return rare[i].field;
            }
        }
        return FIELDS;
    }
}

static int on_header(nghttp3_conn *http, int64_t id, int32_t token, nghttp3_rcbuf *name,
                     nghttp3_rcbuf *value, uint8_t flags, void *user, void *stream_user)
{
    struct h3_stream *stream = stream_user;
    nghttp3_vec n = nghttp3_rcbuf_get_buf(name), v = nghttp3_rcbuf_get_buf(value);
    (void)http, (void)id, (void)flags, (void)user;
    if (!stream) {
        return 0;
    }
    stream->head_size += n.len + v.len + 32;
    enum field field = field_of(token, n);
    if (stream->head_size > YO_H3_HEAD_MAX || field == FIELDS ||
        stream->fields[field].there) {
        return 0; /* too much is answered when all of it has come */
    }
    stream->fields[field].there = true;
    stream->fields[field].offset = (uint32_t)stream->text.size;
    stream->fields[field].size = (uint32_t)v.len;
    return yo_buf_append(&stream->text, v.base, v.len) == YOMO_OK
               ? 0
               : NGHTTP3_ERR_CALLBACK_FAILURE;
}

static struct yo_span field(const struct h3_stream *stream, enum field which)
{
    if (!stream->fields[which].there) {
        return YO_SPAN_NONE;
    }
    const uint8_t *at = stream->text.data ? stream->text.data : (const uint8_t *)"";
    return yo_span(at + stream->fields[which].offset, stream->fields[which].size);
}

static int on_end_headers(nghttp3_conn *http, int64_t id, int fin, void *user,
                          void *stream_user)
{
    struct yo_h3 *h3 = user;
    struct h3_stream *stream = stream_user;
    uint64_t status = 0;
    (void)http, (void)fin;
    if (!stream) {
        return 0;
    }
    if (h3->server && stream->head_size > YO_H3_HEAD_MAX) {
        yo_buf_finish(&stream->text);
        return yo_h3_answer(h3, id, 431, NULL, YO_SPAN_NONE) == YOMO_ERR_NOMEM
                   ? NGHTTP3_ERR_CALLBACK_FAILURE
                   : 0;
    }
    struct yo_h3_head head = {
        .method = field(stream, METHOD),
        .protocol = field(stream, PROTOCOL),
        .scheme = field(stream, SCHEME),
        .authority = field(stream, AUTHORITY),
        .path = field(stream, PATH),
        .origin = field(stream, ORIGIN),
        .protocols = field(stream, PROTOCOLS),
        .draft02 = yo_span_is(field(stream, DRAFT02), "1"),
    };
    if (stream->fields[STATUS].there) {
        yo_parse_u64(field(stream, STATUS), &status);
    }
    head.status = (int)status;
    if (h3->server || status >= 200) { /* 1xx: the final one is still to come */
        h3->events->on_head(h3->user, id, &head);
    }
    yo_buf_finish(&stream->text);
    memset(stream->fields, 0, sizeof(stream->fields));
    return 0;
}

static int on_data(nghttp3_conn *http, int64_t id, const uint8_t *data, size_t size,
                   void *user, void *stream_user)
{
    struct yo_h3 *h3 = user;
    (void)http, (void)stream_user;
    h3->consumed += size; /* capsules are read at once, bodies are thrown away */
    h3->events->on_data(h3->user, id, yo_span(data, size));
    return 0;
}

static int on_deferred_consume(nghttp3_conn *http, int64_t id, size_t consumed,
                               void *user, void *stream_user)
{
    (void)http, (void)id, (void)consumed, (void)user, (void)stream_user;
    return 0; /* cannot happen without a dynamic table: no stream is ever blocked */
}

static int on_end_stream(nghttp3_conn *http, int64_t id, void *user, void *stream_user)
{
    struct yo_h3 *h3 = user;
    (void)http, (void)stream_user;
    h3->events->on_end(h3->user, id);
    return 0;
}

static int on_stop_sending(nghttp3_conn *http, int64_t id, uint64_t code, void *user,
                           void *stream_user)
{
    struct yo_h3 *h3 = user;
    (void)http, (void)stream_user;
    h3->events->stop_reading(h3->user, id, code);
    return 0;
}

static int on_reset_stream(nghttp3_conn *http, int64_t id, uint64_t code, void *user,
                           void *stream_user)
{
    struct yo_h3 *h3 = user;
    (void)http, (void)stream_user;
    h3->events->reset(h3->user, id, code);
    return 0;
}

static int on_stream_close(nghttp3_conn *http, int64_t id, uint64_t code, void *user,
                           void *stream_user)
{
    (void)http, (void)id, (void)code;
    if (stream_user) {
        free_stream(user, stream_user);
    }
    return 0;
}

static int on_shutdown(nghttp3_conn *http, int64_t id, void *user)
{
    struct yo_h3 *h3 = user;
    (void)http;
    h3->events->on_goaway(h3->user, id);
    return 0;
}

static void on_rand(uint8_t *dest, size_t size)
{
    yo_rand_bytes(dest, size);
}

static nghttp3_ssize on_read_data(nghttp3_conn *http, int64_t id, nghttp3_vec *vec,
                                  size_t count, uint32_t *flags, void *user,
                                  void *stream_user)
{
    struct h3_stream *stream = stream_user;
    size_t left = stream->out_size - stream->out_given;
    (void)http, (void)id, (void)user;
    if (left == 0 && !stream->end) {
        return NGHTTP3_ERR_WOULDBLOCK;
    }
    if (stream->end) {
        *flags |= NGHTTP3_DATA_FLAG_EOF;
    }
    if (left == 0 || count == 0) {
        return 0;
    }
    vec[0].base = stream->out + stream->out_given;
    vec[0].len = left;
    stream->out_given = stream->out_size;
    return 1;
}

/* --- Life ------------------------------------------------------------------------- */

int yo_h3_create(struct yo_h3 **out, const struct yomo_mem *mem,
                 const struct yo_quic_mem *quic_mem, bool server,
                 const struct yo_h3_events *events, void *user)
{
    static const nghttp3_callbacks callbacks = {
        .begin_headers = on_begin_headers,
        .recv_header = on_header,
        .end_headers = on_end_headers,
        .recv_data = on_data,
        .deferred_consume = on_deferred_consume,
        .end_stream = on_end_stream,
        .stop_sending = on_stop_sending,
        .reset_stream = on_reset_stream,
        .stream_close = on_stream_close,
        .shutdown = on_shutdown,
        .rand = on_rand,
    };
    nghttp3_settings settings;
    struct yo_h3 *h3 = yo_calloc(mem, 1, sizeof(*h3));
    if (!h3) {
        return YOMO_ERR_NOMEM;
    }
    h3->mem = mem;
    h3->events = events;
    h3->user = user;
    h3->server = server;
    h3->control = h3->peer_control = -1;
    yo_list_init(&h3->streams);
    yo_sendqueue_init(&h3->control_out, mem);

    nghttp3_settings_default(&settings);
    settings.max_field_section_size = YO_H3_HEAD_MAX;
    settings.qpack_max_dtable_capacity = 0;
    settings.qpack_encoder_max_dtable_capacity = 0;
    settings.qpack_blocked_streams = 0;
    settings.enable_connect_protocol = server; /* RFC 9220 3 */
    settings.h3_datagram = 1;
    int rv = server ? nghttp3_conn_server_new(&h3->http, &callbacks, &settings,
                                              &quic_mem->http, h3)
                    : nghttp3_conn_client_new(&h3->http, &callbacks, &settings,
                                              &quic_mem->http, h3);
    if (rv != 0) {
        yo_free(mem, h3);
        return YOMO_ERR_NOMEM;
    }
    *out = h3;
    return YOMO_OK;
}

void yo_h3_destroy(struct yo_h3 *h3)
{
    if (!h3) {
        return;
    }
    nghttp3_conn_del(h3->http);
    YO_LIST_EACH(link, next, &h3->streams)
    {
        free_stream(h3, YO_CONTAINER(link, struct h3_stream, link));
    }
    yo_sendqueue_finish(&h3->control_out);
    yo_free(h3->mem, h3);
}

int yo_h3_bind(struct yo_h3 *h3, int64_t control, int64_t encoder, int64_t decoder)
{
    int rv = nghttp3_conn_bind_control_stream(h3->http, control);
    if (rv == 0) {
        rv = nghttp3_conn_bind_qpack_streams(h3->http, encoder, decoder);
    }
    if (rv != 0) {
        return YOMO_ERR_NOMEM;
    }
    h3->control = control;
    h3->quiet = false;
    return YOMO_OK;
}

uint64_t yo_h3_error(const struct yo_h3 *h3)
{
    return h3->error;
}

const struct yo_peer_settings *yo_h3_peer(const struct yo_h3 *h3)
{
    return &h3->peer;
}

/* --- In --------------------------------------------------------------------------- */

int yo_h3_read(struct yo_h3 *h3, int64_t id, struct yo_span bytes, bool end,
               yo_time now, size_t *consumed)
{
    bool peer_uni = (id & 3) == (h3->server ? 2 : 3);
    h3->quiet = false;
    h3->consumed = 0;
    *consumed = 0;
    if (h3->peer_control < 0 && peer_uni && bytes.size > 0 && bytes.data[0] == 0x00) {
        h3->peer_control = id; /* a second one is nghttp3's business */
    }
    nghttp3_ssize n =
        nghttp3_conn_read_stream2(h3->http, id, bytes.data, bytes.size, end, now);
    if (n < 0) {
        return fail(h3, (int)n);
    }
    if (id == h3->peer_control) {
        yo_settings_tee_read(&h3->tee, bytes, &h3->peer);
    }
    *consumed = (size_t)n + h3->consumed;
    return YOMO_OK;
}

int yo_h3_closed(struct yo_h3 *h3, int64_t id, uint64_t code)
{
    int rv = nghttp3_conn_close_stream(h3->http, id, code);
    h3->quiet = false;
    return rv == 0 || rv == NGHTTP3_ERR_STREAM_NOT_FOUND ? YOMO_OK : fail(h3, rv);
}

void yo_h3_peer_reset(struct yo_h3 *h3, int64_t id)
{
    nghttp3_conn_shutdown_stream_read(h3->http, id);
    h3->quiet = false;
}

void yo_h3_peer_stopped(struct yo_h3 *h3, int64_t id)
{
    if (id != h3->control) {
        nghttp3_conn_shutdown_stream_write(h3->http, id);
        h3->quiet = false;
    }
}

void yo_h3_streams_max(struct yo_h3 *h3, uint64_t count)
{
    nghttp3_conn_set_max_client_streams_bidi(h3->http, count);
}

/* --- Out -------------------------------------------------------------------------- */

/* What nghttp3 wants to say on its control stream goes into our queue. */
static int take_control(struct yo_h3 *h3, const nghttp3_vec *vecs, size_t count)
{
    struct yo_buf bytes, spliced;
    size_t size = (size_t)nghttp3_vec_len(vecs, count);
    yo_buf_init(&bytes, h3->mem);
    yo_buf_init(&spliced, h3->mem);
    int rv = YOMO_OK;
    for (size_t i = 0; i < count && rv == YOMO_OK; i++) {
        rv = yo_buf_append(&bytes, vecs[i].base, vecs[i].len);
    }
    if (rv == YOMO_OK && !h3->spliced) {
        rv = yo_settings_splice(&spliced, yo_buf_span(&bytes));
    }
    if (rv == YOMO_OK) {
        rv = yo_sendqueue_push_bytes(&h3->control_out,
                                     yo_buf_span(h3->spliced ? &bytes : &spliced));
    }
    yo_buf_finish(&bytes);
    yo_buf_finish(&spliced);
    if (rv != YOMO_OK) {
        return rv;
    }
    h3->spliced = true;
    if (nghttp3_conn_add_write_offset(h3->http, h3->control, size) != 0 ||
        nghttp3_conn_add_ack_offset(h3->http, h3->control, size) != 0) {
        return YOMO_ERR_NOMEM;
    }
    return YOMO_OK;
}

int yo_h3_pull(struct yo_h3 *h3, int64_t *id, bool *end, struct yo_span *spans,
               size_t count)
{
    nghttp3_vec vecs[VECS_MAX];
    nghttp3_ssize n;
    bool again = true;

    assert(count <= VECS_MAX);
    if (h3->quiet) { /* asked for each packet; asking nghttp3 costs as much as one */
        *id = -1;
        return 0;
    }
    for (;;) {
        int fin = 0;
        n = nghttp3_conn_writev_stream(h3->http, id, &fin, vecs, count);
        *end = fin;
        if (n < 0) {
            return fail(h3, (int)n);
        }
        if (*id >= 0 && *id == h3->control) {
            int rv = take_control(h3, vecs, (size_t)n);
            if (rv != YOMO_OK) {
                return rv;
            }
        } else if (*id < 0 && again) {
            again = false; /* a stream without data may have hidden one that has some */
        } else {
            break;
        }
    }
    if (!h3->control_blocked && yo_sendqueue_ready(&h3->control_out)) {
        bool last;
        *id = h3->control;
        *end = false;
        return (int)yo_sendqueue_peek(&h3->control_out, spans, count, &last);
    }
    h3->quiet = *id < 0;
    for (nghttp3_ssize i = 0; i < n; i++) {
        spans[i] = yo_span(vecs[i].base, vecs[i].len);
    }
    return (int)n;
}

int yo_h3_took(struct yo_h3 *h3, int64_t id, size_t size)
{
    if (id == h3->control) {
        yo_sendqueue_sent(&h3->control_out, size);
        return YOMO_OK;
    }
    int rv = nghttp3_conn_add_write_offset(h3->http, id, size);
    return rv == 0 ? YOMO_OK : fail(h3, rv);
}

void yo_h3_acked(struct yo_h3 *h3, int64_t id, uint64_t size)
{
    if (id == h3->control) {
        yo_sendqueue_acked(&h3->control_out, (size_t)size);
    } else {
        nghttp3_conn_add_ack_offset(h3->http, id, size);
        h3->quiet = false;
    }
}

void yo_h3_block(struct yo_h3 *h3, int64_t id)
{
    if (id == h3->control) {
        h3->control_blocked = true;
    } else {
        nghttp3_conn_block_stream(h3->http, id);
    }
}

void yo_h3_unblock(struct yo_h3 *h3, int64_t id)
{
    h3->quiet = false;
    if (id == h3->control) {
        h3->control_blocked = false;
    } else {
        nghttp3_conn_unblock_stream(h3->http, id);
    }
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

int yo_h3_connect(struct yo_h3 *h3, int64_t id, const struct yo_h3_ask *ask)
{
    nghttp3_nv fields[7];
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
    if (ask->origin.data) {
        fields[n++] = pair(yo_span_of("origin"), ask->origin);
    }
    struct h3_stream *stream = add_stream(h3, id);
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
    struct h3_stream *stream = find_stream(h3, id);

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
    if (status != 200) {
        if (text.size > YO_H3_CAPSULES_MAX) {
            text.size = YO_H3_CAPSULES_MAX;
        }
        snprintf(length, sizeof(length), "%zu", text.size);
        fields[n++] = text_pair("content-length", length);
        if (text.size > 0) {
            fields[n++] = text_pair("content-type", "text/plain; charset=utf-8");
            stream->out = yo_malloc(h3->mem, YO_H3_CAPSULES_MAX);
            if (!stream->out) {
                return YOMO_ERR_NOMEM;
            }
            memcpy(stream->out, text.data, text.size);
            stream->out_size = text.size;
        }
        stream->end = true;
    }
    nghttp3_data_reader reader = {on_read_data};
    int rv = nghttp3_conn_submit_response(h3->http, id, fields, n,
                                          stream->end && !stream->out ? NULL : &reader);
    if (rv == NGHTTP3_ERR_STREAM_NOT_FOUND) {
        return YOMO_ERR_NOT_FOUND;
    }
    stream->answered = rv == 0;
    h3->quiet = false;
    return rv == 0 ? YOMO_OK : YOMO_ERR_NOMEM;
}

int yo_h3_capsules(struct yo_h3 *h3, int64_t id, struct yo_span bytes)
{
    struct h3_stream *stream = find_stream(h3, id);
    if (!stream || stream->end) {
        return YOMO_ERR_NOT_FOUND;
    }
    if (bytes.size > YO_H3_CAPSULES_MAX - stream->out_size) {
        return YOMO_ERR_FULL;
    }
    if (!stream->out) {
        stream->out = yo_malloc(h3->mem, YO_H3_CAPSULES_MAX);
        if (!stream->out) {
            return YOMO_ERR_NOMEM;
        }
    }
    memcpy(stream->out + stream->out_size, bytes.data, bytes.size);
    stream->out_size += bytes.size;
    nghttp3_conn_resume_stream(h3->http, id);
    h3->quiet = false;
    return YOMO_OK;
}

int yo_h3_end(struct yo_h3 *h3, int64_t id)
{
    struct h3_stream *stream = find_stream(h3, id);
    if (!stream) {
        return YOMO_ERR_NOT_FOUND;
    }
    stream->end = true;
    nghttp3_conn_resume_stream(h3->http, id);
    h3->quiet = false;
    return YOMO_OK;
}

int yo_h3_goaway(struct yo_h3 *h3)
{
    h3->quiet = false;
    return nghttp3_conn_shutdown(h3->http) == 0 ? YOMO_OK : YOMO_ERR_NOMEM;
}
