/* SPDX-License-Identifier: MIT */
/* writer.h - HTTP/1.1 answers to bytes, and small things about HTTP. */
#ifndef YO_HTTP_WRITER_H
#define YO_HTTP_WRITER_H

#include "base/buf.h"
#include "base/span.h"

struct yo_http_answer {
    int status;
    const char *const *headers; /* name, value, ..., NULL; may be NULL */
    struct yo_span body;
    bool head_only; /* the request was HEAD: its length is told, its bytes are not sent
                     */
    bool keep_alive;
    uint64_t wall_ms; /* for Date */
};

/* Append the whole answer. Content-Length, Date and Connection are added; a header with
 * a control character in its value is left out. YOMO_ERR_NOMEM: nothing was appended.
 */
int yo_http_answer_write(struct yo_buf *out, const struct yo_http_answer *answer);

/* Append "Name: value\r\n" for each pair. */
int yo_http_headers_write(struct yo_buf *out, const char *const *headers);

/* "Not Found" for 404. */
const char *yo_http_reason(int status);

/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 5.6.7); `out` has 30 bytes. */
void yo_http_date(char out[30], uint64_t wall_ms);

/* Is the Host header that of this machine alone: localhost, a name below it,
 * 127.0.0.0/8 or ::1, with or without a port? What a page elsewhere cannot have in it,
 * even when its name resolves to us (DNS rebinding). */
bool yo_http_host_loopback(struct yo_span host);

#endif
