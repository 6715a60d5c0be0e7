/* SPDX-License-Identifier: MIT */
/* reader.c - invariants:
 *  1. `text` holds the target and then names and values; headers are offsets into it;
 *  2. `text` never passes YO_HTTP_HEAD_MAX, `body` never YO_HTTP_BODY_MAX;
 *  3. once `state` is BAD, `status` says how to answer. */
#include "transport/http/reader.h"

#include <llhttp.h>
#include <yomo/error.h>

#include "base/buf.h"
#include "base/text.h"

struct header {
    uint32_t name_at, name_size, value_at, value_size;
};

enum state { STATE_IDLE, STATE_HEAD, STATE_BODY, STATE_DONE, STATE_BAD };

struct yo_http_reader {
    const struct yomo_mem *mem;
    llhttp_t parser;
    bool responses;
    enum state state;
    int status;
    bool keep_alive, upgrade;
    size_t head_size; /* bytes of the head taken so far */
    struct yo_buf text, body;
    uint32_t target_size;
    struct yo_span path, query;
    size_t header_count;
    struct header headers[YO_HTTP_HEADERS_MAX];
};

static int refuse(struct yo_http_reader *reader, int status)
{
    reader->status = status;
    return HPE_USER;
}

static int keep(struct yo_http_reader *reader, const char *data, size_t size,
                int status)
{
    if (reader->text.size + size > YO_HTTP_HEAD_MAX) {
        return refuse(reader, status);
    }
    if (yo_buf_append(&reader->text, data, size) != YOMO_OK) {
        return refuse(reader, 503);
    }
    return 0;
}

/* --- What llhttp calls ------------------------------------------------------------ */

static int on_message_begin(llhttp_t *parser)
{
    struct yo_http_reader *reader = parser->data;
    reader->state = STATE_HEAD;
    return 0;
}

static int on_url(llhttp_t *parser, const char *data, size_t size)
{
    struct yo_http_reader *reader = parser->data;
    int rv = keep(reader, data, size, 414);
    reader->target_size = (uint32_t)reader->text.size;
    return rv;
}

static int on_header_field(llhttp_t *parser, const char *data, size_t size)
{
    struct yo_http_reader *reader = parser->data;
    if (reader->state != STATE_HEAD) {
        return 0; /* a trailer */
    }
    if (reader->header_count == YO_HTTP_HEADERS_MAX) {
        return refuse(reader, 431);
    }
    struct header *header = &reader->headers[reader->header_count];
    if (header->name_size == 0) {
        header->name_at = (uint32_t)reader->text.size;
    }
    header->name_size += (uint32_t)size;
    return keep(reader, data, size, 431);
}

static int on_header_value(llhttp_t *parser, const char *data, size_t size)
{
    struct yo_http_reader *reader = parser->data;
    if (reader->state != STATE_HEAD) {
        return 0;
    }
    struct header *header = &reader->headers[reader->header_count];
    if (header->value_size == 0) {
        header->value_at = (uint32_t)reader->text.size;
    }
    header->value_size += (uint32_t)size;
    return keep(reader, data, size, 431);
}

static int on_header_value_complete(llhttp_t *parser)
{
    struct yo_http_reader *reader = parser->data;
    reader->header_count += reader->state == STATE_HEAD;
    return 0;
}

/* "/path?query", or "http://host/path?query" as a proxy gets it (RFC 9112 3.2). */
static bool split_target(struct yo_http_reader *reader)
{
    struct yo_span target = yo_span(reader->text.data, reader->target_size);
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < 2; i++) {
        size_t size = strlen(schemes[i]);
        if (target.size > size &&
            yo_span_equal_nocase(yo_span(target.data, size), yo_span_of(schemes[i]))) {
            const uint8_t *slash = memchr(target.data + size, '/', target.size - size);
            if (!slash) {
                return false;
            }
            target = yo_span_skip(target, (size_t)(slash - target.data));
        }
    }
    if (target.size == 0 || target.data[0] != '/') {
        return false;
    }
    const uint8_t *mark = memchr(target.data, '?', target.size);
    size_t path_size = mark ? (size_t)(mark - target.data) : target.size;
    reader->path = yo_span(target.data, path_size);
    reader->query = mark ? yo_span_skip(target, path_size + 1) : YO_SPAN_NONE;
    return true;
}

static size_t count_of(const struct yo_http_reader *reader, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < reader->header_count; i++) {
        const struct header *header = &reader->headers[i];
        struct yo_span text =
            yo_span(reader->text.data + header->name_at, header->name_size);
        count += yo_span_equal_nocase(text, yo_span_of(name));
    }
    return count;
}

static int on_headers_complete(llhttp_t *parser)
{
    struct yo_http_reader *reader = parser->data;
    if (reader->responses) {
        reader->status = llhttp_get_status_code(parser);
        reader->state = STATE_DONE;
        return HPE_PAUSED;
    }
    if (llhttp_get_http_major(parser) != 1) {
        return refuse(reader, 505);
    }
    /* RFC 9112 3.2: one Host, or none in HTTP/1.0. */
    size_t hosts = count_of(reader, "host");
    if (hosts > 1 || (hosts == 0 && llhttp_get_http_minor(parser) > 0)) {
        return refuse(reader, 400);
    }
    if (!split_target(reader)) {
        return refuse(reader, 400);
    }
    if (parser->content_length > YO_HTTP_BODY_MAX) {
        return refuse(reader, 413);
    }
    reader->state = STATE_BODY;
    return 0;
}

static int on_body(llhttp_t *parser, const char *data, size_t size)
{
    struct yo_http_reader *reader = parser->data;
    if (reader->body.size + size > YO_HTTP_BODY_MAX) {
        return refuse(reader, 413);
    }
    return yo_buf_append(&reader->body, data, size) == YOMO_OK ? 0
                                                               : refuse(reader, 503);
}

static int on_message_complete(llhttp_t *parser)
{
    struct yo_http_reader *reader = parser->data;
    reader->keep_alive = llhttp_should_keep_alive(parser) != 0;
    reader->upgrade = parser->upgrade != 0;
    reader->state = STATE_DONE;
    return HPE_PAUSED;
}

/* Trailers of a chunked body are read and forgotten. */
static const llhttp_settings_t settings = {
    .on_message_begin = on_message_begin,
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_header_value_complete = on_header_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* --- Life ------------------------------------------------------------------------- */

static void begin(struct yo_http_reader *reader)
{
    llhttp_init(&reader->parser, reader->responses ? HTTP_RESPONSE : HTTP_REQUEST,
                &settings);
    reader->parser.data = reader;
}

int yo_http_reader_create(struct yo_http_reader **out, const struct yomo_mem *mem,
                          bool responses)
{
    struct yo_http_reader *reader = yo_calloc(mem, 1, sizeof(*reader));
    if (!reader) {
        return YOMO_ERR_NOMEM;
    }
    reader->mem = mem;
    reader->responses = responses;
    yo_buf_init(&reader->text, mem);
    yo_buf_init(&reader->body, mem);
    begin(reader);
    *out = reader;
    return YOMO_OK;
}

void yo_http_reader_destroy(struct yo_http_reader *reader)
{
    if (reader) {
        yo_buf_finish(&reader->text);
        yo_buf_finish(&reader->body);
        yo_free(reader->mem, reader);
    }
}

void yo_http_reader_next(struct yo_http_reader *reader)
{
    yo_buf_clear(&reader->text);
    yo_buf_clear(&reader->body);
    yo_buf_shrink(&reader->text, 0);
    yo_buf_shrink(&reader->body, 0);
    memset(reader->headers, 0, sizeof(reader->headers));
    reader->header_count = 0;
    reader->head_size = 0;
    reader->target_size = 0;
    reader->status = 0;
    reader->state = STATE_IDLE;
    begin(reader);
}

static int status_of(const struct yo_http_reader *reader, llhttp_errno_t error)
{
    if (reader->status) {
        return reader->status;
    }
    switch (error) {
    case HPE_INVALID_VERSION:
    case HPE_PAUSED_H2_UPGRADE:
        return 505;
    case HPE_INVALID_METHOD:
        return 501;
    default:
        return 400;
    }
}

/* Give llhttp the front of `*in`: of a head no more than may still come, so that its
 * limit is the same whatever the pieces are, and counts what is not kept, too. */
static llhttp_errno_t execute(struct yo_http_reader *reader, struct yo_span *in)
{
    const char *data = (const char *)in->data;
    size_t size = in->size;
    bool head = reader->state < STATE_BODY;
    if (head && size > YO_HTTP_HEAD_MAX - reader->head_size) {
        size = YO_HTTP_HEAD_MAX - reader->head_size;
    }
    llhttp_errno_t error = llhttp_execute(&reader->parser, data, size);
    if (error != HPE_OK) {
        size = (size_t)(llhttp_get_error_pos(&reader->parser) - data);
    } else if (head) {
        reader->head_size += size;
    }
    *in = yo_span_skip(*in, size);
    return error;
}

enum yo_http_progress yo_http_reader_feed(struct yo_http_reader *reader,
                                          struct yo_span *in)
{
    llhttp_errno_t error = HPE_OK;
    if (reader->state == STATE_BAD) {
        return YO_HTTP_BAD;
    }
    while (in->size > 0 && error == HPE_OK) {
        error = execute(reader, in);
        if (error == HPE_OK && reader->state < STATE_BODY &&
            reader->head_size == YO_HTTP_HEAD_MAX) {
            bool in_target =
                reader->target_size > 0 && reader->headers[0].name_size == 0;
            reader->status = in_target ? 414 : 431;
            error = HPE_USER;
        }
    }
    if (error == HPE_OK) {
        return YO_HTTP_MORE;
    }
    if (reader->state == STATE_DONE &&
        (error == HPE_PAUSED || error == HPE_PAUSED_UPGRADE)) {
        return YO_HTTP_DONE;
    }
    reader->status = status_of(reader, error);
    reader->state = STATE_BAD;
    return YO_HTTP_BAD;
}

bool yo_http_reader_idle(const struct yo_http_reader *reader)
{
    return reader->state == STATE_IDLE;
}

int yo_http_reader_status(const struct yo_http_reader *reader)
{
    return reader->status;
}

struct yo_span yo_http_reader_method(const struct yo_http_reader *reader)
{
    return yo_span_of(
        llhttp_method_name(llhttp_get_method((llhttp_t *)&reader->parser)));
}

struct yo_span yo_http_reader_path(const struct yo_http_reader *reader)
{
    return reader->path;
}

struct yo_span yo_http_reader_query(const struct yo_http_reader *reader)
{
    return reader->query;
}

/* llhttp has taken the blanks before a value, but not those behind it. */
static struct yo_span trimmed(const struct yo_http_reader *reader,
                              const struct header *header)
{
    struct yo_span value = yo_span(reader->text.data, 0);
    if (header->value_size > 0) {
        value = yo_span(reader->text.data + header->value_at, header->value_size);
    }
    while (value.size > 0 &&
           (value.data[value.size - 1] == ' ' || value.data[value.size - 1] == '\t')) {
        value.size--;
    }
    return value;
}

struct yo_span yo_http_reader_header(const struct yo_http_reader *reader,
                                     const char *name)
{
    return yo_http_reader_header_at(reader, name, 0);
}

struct yo_span yo_http_reader_header_at(const struct yo_http_reader *reader,
                                        const char *name, size_t index)
{
    for (size_t i = 0; i < reader->header_count; i++) {
        const struct header *header = &reader->headers[i];
        struct yo_span text =
            yo_span(reader->text.data + header->name_at, header->name_size);
        if (yo_span_equal_nocase(text, yo_span_of(name)) && index-- == 0) {
            return trimmed(reader, header);
        }
    }
    return YO_SPAN_NONE;
}

struct yo_span yo_http_reader_body(const struct yo_http_reader *reader)
{
    return yo_buf_span(&reader->body);
}

bool yo_http_reader_keep_alive(const struct yo_http_reader *reader)
{
    return reader->keep_alive;
}

bool yo_http_reader_upgrade(const struct yo_http_reader *reader)
{
    return reader->upgrade;
}
