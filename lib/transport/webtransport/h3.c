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
#include <yomo/error.h>

#include "base/rand.h"
#include "transport/webtransport/codes.h"
#include "transport/webtransport/h3_inside.h"

#define VECS_MAX 16

/* nghttp3's codes, but where it would blame us for a string that is longer than it
 * takes. */
static uint64_t code_of(int rv, bool unidirectional)
{
    if (rv == NGHTTP3_ERR_QPACK_HEADER_TOO_LARGE) {
        return unidirectional ? NGHTTP3_QPACK_ENCODER_STREAM_ERROR
                              : YO_H3_EXCESSIVE_LOAD;
    }
    return nghttp3_err_infer_quic_app_error_code(rv);
}

static int fail(struct yo_h3 *h3, int64_t id, int rv)
{
    if (rv == NGHTTP3_ERR_NOMEM) {
        return YOMO_ERR_NOMEM;
    }
    if (rv != NGHTTP3_ERR_CALLBACK_FAILURE || h3->error == 0) { /* else we said why */
        h3->error = code_of(rv, (id & 2) != 0);
    }
    return YOMO_ERR_PROTO;
}

/* --- nghttp3's callbacks ---------------------------------------------------------- */

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

/* --- Life ------------------------------------------------------------------------- */

int yo_h3_create(struct yo_h3 **out, const struct yomo_mem *mem,
                 const struct yo_quic_mem *quic_mem, bool server,
                 const struct yo_own_settings *own, const struct yo_h3_events *events,
                 void *user)
{
    static const nghttp3_callbacks callbacks = {
        .begin_headers = yo_h3_on_begin_headers,
        .recv_header = yo_h3_on_header,
        .end_headers = yo_h3_on_end_headers,
        .acked_stream_data = yo_h3_on_acked,
        .recv_data = on_data,
        .deferred_consume = on_deferred_consume,
        .end_stream = on_end_stream,
        .stop_sending = on_stop_sending,
        .reset_stream = on_reset_stream,
        .stream_close = yo_h3_on_stream_close,
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
    h3->own = *own;
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
    yo_h3_free_streams(h3);
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
        return fail(h3, id, (int)n);
    }
    if (id == h3->peer_control) {
        yo_settings_tee_read(&h3->tee, bytes, &h3->peer);
        if (h3->peer.wrong) {
            h3->error = YO_H3_SETTINGS_ERROR;
            return YOMO_ERR_PROTO;
        }
    }
    *consumed = (size_t)n + h3->consumed;
    return YOMO_OK;
}

int yo_h3_closed(struct yo_h3 *h3, int64_t id, uint64_t code)
{
    int rv = nghttp3_conn_close_stream(h3->http, id, code);
    h3->quiet = false;
    return rv == 0 || rv == NGHTTP3_ERR_STREAM_NOT_FOUND ? YOMO_OK : fail(h3, id, rv);
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
        rv = yo_settings_splice(&spliced, yo_buf_span(&bytes), &h3->own);
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
            return fail(h3, *id, (int)n);
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
        return (int)yo_sendqueue_peek(&h3->control_out, spans, count, SIZE_MAX, &last);
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
    return rv == 0 ? YOMO_OK : fail(h3, id, rv);
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

int yo_h3_goaway(struct yo_h3 *h3)
{
    h3->quiet = false;
    return nghttp3_conn_shutdown(h3->http) == 0 ? YOMO_OK : YOMO_ERR_NOMEM;
}
