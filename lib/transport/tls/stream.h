/* SPDX-License-Identifier: MIT */
/* stream.h - TLS over any stream of bytes: bytes in, bytes out, no socket.
 *
 * Between calls an idle stream holds no buffers: what comes in is read out of the
 * caller's memory and what goes out is appended to the caller's buffer. After an error
 * a stream is good for nothing but yo_tls_stream_failure and destroy; `out` may then
 * hold an alert that is worth sending. */
#ifndef YO_TLS_STREAM_H
#define YO_TLS_STREAM_H

#include "base/buf.h"
#include "base/mem.h"
#include "base/span.h"
#include "transport/tls/context.h"

struct yo_tls_stream;

/* YOMO_ERR_NOMEM, YOMO_ERR_TLS_SETUP. The contexts must outlive the call only. */
int yo_tls_stream_accept(struct yo_tls_stream **out, const struct yomo_mem *mem,
                         struct yo_tls_server *tls);
int yo_tls_stream_connect(struct yo_tls_stream **out, const struct yomo_mem *mem,
                          struct yo_tls_client *tls, const struct yo_tls_peer *peer);
void yo_tls_stream_destroy(struct yo_tls_stream *stream); /* accepts NULL */

/* Take `in` from the peer (all of it); append what it said to `plain` and what has to
 * be sent to `out`. A client begins with an empty `in`. YOMO_ERR_TLS, YOMO_ERR_CERT,
 * YOMO_ERR_NOMEM. */
int yo_tls_stream_feed(struct yo_tls_stream *stream, struct yo_span in,
                       struct yo_buf *plain, struct yo_buf *out);

/* Encrypt `plain` into `out`; the handshake is over. YOMO_ERR_TLS, YOMO_ERR_NOMEM. */
int yo_tls_stream_write(struct yo_tls_stream *stream, struct yo_span plain,
                        struct yo_buf *out);

/* Say that nothing more will be written (close_notify). */
void yo_tls_stream_end(struct yo_tls_stream *stream, struct yo_buf *out);

bool yo_tls_stream_open(const struct yo_tls_stream *stream); /* the handshake is over */
bool yo_tls_stream_resumed(const struct yo_tls_stream *stream); /* with a ticket */
bool yo_tls_stream_ended(
    const struct yo_tls_stream *stream); /* the peer's close_notify */

/* What went wrong; see yo_tls_failure. */
int yo_tls_stream_failure(const struct yo_tls_stream *stream, struct yo_buf *why);

#endif
