/* SPDX-License-Identifier: MIT */
/* reader.h - HTTP/1.1 messages out of bytes, one after the other.
 *
 * A reader of requests takes whole ones, body included, and stops behind each, so that
 * what a client has sent ahead stays with the caller. A reader of responses takes the
 * head only: it is there for handshakes (WebSocket, CONNECT), which have no body. */
#ifndef YO_HTTP_READER_H
#define YO_HTTP_READER_H

#include "base/mem.h"
#include "base/span.h"
#include "transport/http/exchange.h"

#define YO_HTTP_HEADERS_MAX 64

struct yo_http_reader;

/* YOMO_ERR_NOMEM. */
int yo_http_reader_create(struct yo_http_reader **out, const struct yomo_mem *mem,
                          bool responses);
void yo_http_reader_destroy(struct yo_http_reader *reader); /* accepts NULL */

enum yo_http_progress { YO_HTTP_MORE, YO_HTTP_DONE, YO_HTTP_BAD };

/* Take bytes from the front of `*in`, which is then what was not taken. After DONE the
 * functions below tell what came, until yo_http_reader_next. After BAD the reader takes
 * nothing more. */
enum yo_http_progress yo_http_reader_feed(struct yo_http_reader *reader,
                                          struct yo_span *in);

/* Forget the message, be ready for the next one. */
void yo_http_reader_next(struct yo_http_reader *reader);

/* Nothing of a message has come yet. */
bool yo_http_reader_idle(const struct yo_http_reader *reader);

/* DONE for a response: its status. BAD for a request: the status to answer with. */
int yo_http_reader_status(const struct yo_http_reader *reader);

struct yo_span yo_http_reader_method(const struct yo_http_reader *reader);
struct yo_span yo_http_reader_path(const struct yo_http_reader *reader);
struct yo_span
yo_http_reader_query(const struct yo_http_reader *reader); /* may be absent */
/* The first header of that name, in any case; absent when there is none. */
struct yo_span yo_http_reader_header(const struct yo_http_reader *reader,
                                     const char *name);
/* The one with that number among several of one name. */
struct yo_span yo_http_reader_header_at(const struct yo_http_reader *reader,
                                        const char *name, size_t index);
struct yo_span yo_http_reader_body(const struct yo_http_reader *reader);
bool yo_http_reader_keep_alive(const struct yo_http_reader *reader);
/* "Connection: upgrade" with an Upgrade header. */
bool yo_http_reader_upgrade(const struct yo_http_reader *reader);

#endif
