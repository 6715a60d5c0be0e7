/* SPDX-License-Identifier: MIT */
/* stream.c - invariants:
 *  1. `in` and `out` point to a caller's memory only during a call;
 *  2. what OpenSSL has taken it has taken: `in` is empty at the end of each feed that
 *     succeeds, a part of a record waits inside OpenSSL. */
#include "transport/tls/stream.h"

#include <assert.h>
#include <openssl/err.h>
#include <pthread.h>
#include <string.h>
#include <yomo/error.h>

#include "transport/tls/setup.h"

#define REASON_MAX 119
#define RECORD_SIZE 16384 /* the most that one record holds (RFC 8446 5.1) */

struct yo_tls_stream {
    const struct yomo_mem *mem;
    SSL *ssl;
    struct yo_span in;
    struct yo_buf *out;
    int error;        /* the first one; it stays */
    bool open, ended; /* the handshake is over; the peer said close_notify */
    bool no_memory;   /* `out` could not grow */
    char *reason;     /* of `error`; may be NULL */
};

/* --- The BIO between OpenSSL and the caller's memory ------------------------------ */

static BIO_METHOD *method;

static int bio_read(BIO *bio, char *data, size_t size, size_t *taken)
{
    struct yo_tls_stream *stream = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (stream->in.size == 0) {
        BIO_set_retry_read(bio);
        *taken = 0;
        return 0;
    }
    *taken = size < stream->in.size ? size : stream->in.size;
    memcpy(data, stream->in.data, *taken);
    stream->in = yo_span_skip(stream->in, *taken);
    return 1;
}

static int bio_write(BIO *bio, const char *data, size_t size, size_t *taken)
{
    struct yo_tls_stream *stream = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    *taken = 0;
    if (!stream->out || yo_buf_append(stream->out, data, size) != YOMO_OK) {
        stream->no_memory = true;
        return 0;
    }
    *taken = size;
    return 1;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static void make_method(void)
{
    BIO_METHOD *made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "yomo");
    if (made && BIO_meth_set_read_ex(made, bio_read) == 1 &&
        BIO_meth_set_write_ex(made, bio_write) == 1 &&
        BIO_meth_set_ctrl(made, bio_ctrl) == 1) {
        method = made;
    } else {
        BIO_meth_free(made);
    }
}

/* --- Life ------------------------------------------------------------------------- */

static int create(struct yo_tls_stream **out, const struct yomo_mem *mem, SSL_CTX *ctx)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_method);
    struct yo_tls_stream *stream = yo_calloc(mem, 1, sizeof(*stream));
    SSL *ssl = SSL_new(ctx);
    BIO *bio = method ? BIO_new(method) : NULL;
    if (!stream || !ssl || !bio) {
        BIO_free(bio);
        SSL_free(ssl);
        yo_free(mem, stream);
        ERR_clear_error();
        return YOMO_ERR_NOMEM;
    }
    BIO_set_data(bio, stream);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    stream->mem = mem;
    stream->ssl = ssl;
    *out = stream;
    return YOMO_OK;
}

int yo_tls_stream_accept(struct yo_tls_stream **out, const struct yomo_mem *mem,
                         struct yo_tls_server *tls)
{
    int rv = create(out, mem, yo_tls_server_tcp(tls));
    if (rv == YOMO_OK) {
        SSL_set_accept_state((*out)->ssl);
    }
    return rv;
}

int yo_tls_stream_connect(struct yo_tls_stream **out, const struct yomo_mem *mem,
                          struct yo_tls_client *tls, const struct yo_tls_peer *peer)
{
    struct yo_tls_stream *stream;
    int rv = create(&stream, mem, yo_tls_client_tcp(tls));
    if (rv != YOMO_OK) {
        return rv;
    }
    SSL_set_connect_state(stream->ssl);
    rv = yo_tls_client_expect(tls, stream->ssl, peer);
    if (rv != YOMO_OK) {
        yo_tls_stream_destroy(stream);
        return rv;
    }
    *out = stream;
    return YOMO_OK;
}

void yo_tls_stream_destroy(struct yo_tls_stream *stream)
{
    if (stream) {
        SSL_free(stream->ssl);
        yo_free(stream->mem, stream->reason);
        yo_free(stream->mem, stream);
    }
}

/* --- Bytes ------------------------------------------------------------------------ */

static int fail(struct yo_tls_stream *stream)
{
    if (stream->error) {
        return stream->error;
    }
    if (stream->no_memory) {
        ERR_clear_error();
        stream->error = YOMO_ERR_NOMEM;
        return stream->error;
    }
    struct yo_buf why;
    yo_buf_init(&why, stream->mem);
    stream->error = yo_tls_failure(stream->ssl, &why);
    if (why.size > 0) { /* without memory there is the error alone */
        size_t size = why.size < REASON_MAX ? why.size : REASON_MAX;
        stream->reason = yo_strndup(stream->mem, why.data, size);
    }
    yo_buf_finish(&why);
    return stream->error;
}

/* Read until OpenSSL wants more than there is. */
static int read_all(struct yo_tls_stream *stream, struct yo_buf *plain)
{
    for (;;) {
        int rv = yo_buf_reserve(plain, RECORD_SIZE);
        if (rv != YOMO_OK) {
            stream->no_memory = true;
            return fail(stream);
        }
        size_t count = 0;
        rv = SSL_read_ex(stream->ssl, plain->data + plain->size, RECORD_SIZE, &count);
        if (rv == 1) {
            plain->size += count;
            continue;
        }
        switch (SSL_get_error(stream->ssl, rv)) {
        case SSL_ERROR_WANT_READ:
            return YOMO_OK;
        case SSL_ERROR_ZERO_RETURN:
            stream->ended = true;
            return YOMO_OK;
        default:
            return fail(stream);
        }
    }
}

static int shake_hands(struct yo_tls_stream *stream)
{
    int rv = SSL_do_handshake(stream->ssl);
    if (rv == 1) {
        stream->open = true;
        if (!SSL_is_server(stream->ssl)) {
            yo_tls_client_done(stream->ssl);
        }
        return YOMO_OK;
    }
    return SSL_get_error(stream->ssl, rv) == SSL_ERROR_WANT_READ ? YOMO_OK
                                                                 : fail(stream);
}

int yo_tls_stream_feed(struct yo_tls_stream *stream, struct yo_span in,
                       struct yo_buf *plain, struct yo_buf *out)
{
    if (stream->error) {
        return stream->error;
    }
    ERR_clear_error();
    stream->in = in;
    stream->out = out;
    int rv = YOMO_OK;
    if (!stream->open) {
        rv = shake_hands(stream);
    }
    if (rv == YOMO_OK && stream->open && !stream->ended && in.size > 0) {
        rv = read_all(stream, plain);
    }
    stream->in = YO_SPAN_NONE;
    stream->out = NULL;
    return rv;
}

int yo_tls_stream_write(struct yo_tls_stream *stream, struct yo_span plain,
                        struct yo_buf *out)
{
    assert(stream->open);
    if (stream->error) {
        return stream->error;
    }
    if (plain.size == 0) {
        return YOMO_OK;
    }
    ERR_clear_error();
    stream->out = out;
    size_t count = 0;
    int rv = SSL_write_ex(stream->ssl, plain.data, plain.size, &count);
    stream->out = NULL;
    return rv == 1 && count == plain.size ? YOMO_OK : fail(stream);
}

void yo_tls_stream_end(struct yo_tls_stream *stream, struct yo_buf *out)
{
    if (!stream->open || stream->error) {
        return;
    }
    ERR_clear_error();
    stream->out = out;
    (void)SSL_shutdown(stream->ssl);
    stream->out = NULL;
    ERR_clear_error();
}

bool yo_tls_stream_open(const struct yo_tls_stream *stream)
{
    return stream->open;
}

bool yo_tls_stream_resumed(const struct yo_tls_stream *stream)
{
    return SSL_session_reused(stream->ssl) == 1;
}

bool yo_tls_stream_ended(const struct yo_tls_stream *stream)
{
    return stream->ended;
}

int yo_tls_stream_failure(const struct yo_tls_stream *stream, struct yo_buf *why)
{
    if (why && stream->reason) {
        yo_buf_append_text(why, stream->reason);
    }
    return stream->error;
}
