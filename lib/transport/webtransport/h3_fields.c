/* SPDX-License-Identifier: MIT */
/* h3_fields.c - sections of fields: QPACK by nghttp3, and whether a head is one.
 *
 * A decoder is made for each section and freed with it: without a dynamic table nothing
 * is to be remembered from one to the next. Fields count towards YO_H3_HEAD_MAX as they
 * are decoded; what is over it is not kept, and far over it nothing more is read. */
#include <yomo/error.h>

#include "base/pairs.h"
#include "base/rand.h"
#include "base/text.h"
#include "base/varint.h"
#include "transport/webtransport/codes.h"
#include "transport/webtransport/h3_inside.h"

enum { METHOD = 1, SCHEME = 2, AUTHORITY = 4, PATH = 8, PROTOCOL = 16, STATUS = 32 };

static const struct {
    const char *name;
    unsigned bit;
    bool of_request;
} pseudos[] = {{":method", METHOD, true},       {":scheme", SCHEME, true},
               {":authority", AUTHORITY, true}, {":path", PATH, true},
               {":protocol", PROTOCOL, true},   {":status", STATUS, false}};

int yo_h3_section_new(struct yo_h3_section **out, const struct yo_h3 *h3, bool trailers)
{
    struct yo_h3_section *section = yo_calloc(h3->mem, 1, sizeof(*section));
    *out = section;
    if (!section) {
        return YOMO_ERR_NOMEM;
    }
    section->trailers = trailers;
    yo_buf_init(&section->fields, h3->mem);
    if (nghttp3_qpack_decoder_new(&section->decoder, 0, 0, h3->qpack_mem) != 0) {
        section->decoder = NULL;
    } else if (nghttp3_qpack_stream_context_new(&section->context, 0, h3->qpack_mem) !=
               0) {
        section->context = NULL;
    } else {
        return YOMO_OK;
    }
    yo_h3_section_free(h3, section);
    *out = NULL;
    return YOMO_ERR_NOMEM;
}

void yo_h3_section_free(const struct yo_h3 *h3, struct yo_h3_section *section)
{
    if (section) {
        nghttp3_qpack_stream_context_del(section->context);
        nghttp3_qpack_decoder_del(section->decoder);
        yo_buf_finish(&section->fields);
        yo_free(h3->mem, section);
    }
}

/* --- Rules: RFC 9114 4.1.2, 4.2, 4.3 ---------------------------------------------- */

static bool pseudo_may_be(const struct yo_h3 *h3, struct yo_h3_section *section,
                          struct yo_span name, struct yo_span value)
{
    if (section->trailers || section->regular || value.size == 0) {
        return false;
    }
    for (size_t i = 0; i < sizeof(pseudos) / sizeof(pseudos[0]); i++) {
        if (pseudos[i].of_request == h3->server && yo_span_is(name, pseudos[i].name)) {
            bool twice = (section->pseudo & pseudos[i].bit) != 0;
            section->pseudo |= pseudos[i].bit;
            if (pseudos[i].bit == PATH && value.data[0] != '/' &&
                value.data[0] != '*') {
                return false;
            }
            return !twice && nghttp3_check_header_value(value.data, value.size);
        }
    }
    return false;
}

/* A token in lower case (RFC 9114 4.2). */
static bool name_may_be(struct yo_span name)
{
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] >= 'A' && name.data[i] <= 'Z') {
            return false;
        }
    }
    return nghttp3_check_header_name(name.data, name.size);
}

static bool regular_may_be(struct yo_h3_section *section, struct yo_span name,
                           struct yo_span value)
{
    static const char *const of_connections[] = {
        "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"};
    section->regular = true;
    if (!name_may_be(name) ||
        (value.size > 0 && !nghttp3_check_header_value(value.data, value.size))) {
        return false;
    }
    for (size_t i = 0; i < sizeof(of_connections) / sizeof(of_connections[0]); i++) {
        if (yo_span_is(name, of_connections[i])) {
            return false;
        }
    }
    if (yo_span_is(name, "te")) {
        return yo_span_is(value, "trailers");
    }
    if (yo_span_is(name, "host")) {
        bool twice = section->host;
        section->host = true;
        return !twice;
    }
    if (yo_span_is(name, "content-length")) {
        bool twice = section->has_length;
        section->has_length = true;
        return !twice && yo_parse_u64(value, &section->length) == YOMO_OK;
    }
    return true;
}

bool yo_h3_section_whole(const struct yo_h3 *h3, const struct yo_h3_section *section)
{
    unsigned has = section->pseudo;
    struct yo_span fields = yo_buf_span(&section->fields);
    uint64_t status;

    if (section->trailers) {
        return true;
    }
    if (!h3->server) {
        struct yo_span text = yo_pairs_get(fields, ":status");
        return has == STATUS && text.size == 3 &&
               yo_parse_u64(text, &status) == YOMO_OK && status >= 100 && status != 101;
    }
    if ((has & METHOD) && yo_span_is(yo_pairs_get(fields, ":method"), "CONNECT")) {
        /* RFC 9114 4.4, RFC 9220 3 (RFC 8441 4) */
        return has == (METHOD | AUTHORITY) ||
               has == (METHOD | SCHEME | AUTHORITY | PATH | PROTOCOL);
    }
    return (has & ~(unsigned)AUTHORITY) == (METHOD | SCHEME | PATH) &&
           ((has & AUTHORITY) || section->host);
}

/* --- In --------------------------------------------------------------------------- */

static int take_field(struct yo_h3 *h3, struct yo_h3_section *section,
                      struct yo_span name, struct yo_span value)
{
    section->size += name.size + value.size + 32;
    if (section->size > YO_H3_HEAD_HARD) { /* RFC 9114 10.5.1 */
        return yo_h3_fail(h3, YO_H3_EXCESSIVE_LOAD);
    }
    bool good =
        name.size > 0 && (name.data[0] == ':' ? pseudo_may_be(h3, section, name, value)
                                              : regular_may_be(section, name, value));
    if (!good) {
        return yo_h3_fail(h3, YO_H3_MESSAGE_ERROR);
    }
    if (section->size > YO_H3_HEAD_MAX || section->trailers) {
        return YOMO_OK; /* answered when all of it has come; trailers say nothing */
    }
    return yo_pairs_append(&section->fields, name, value);
}

static int decode_failed(struct yo_h3 *h3, int rv)
{
    return rv == NGHTTP3_ERR_NOMEM ? YOMO_ERR_NOMEM
           : rv == NGHTTP3_ERR_QPACK_HEADER_TOO_LARGE
               ? yo_h3_fail(h3, YO_H3_EXCESSIVE_LOAD)
               : yo_h3_fail(h3, YO_H3_QPACK_DECOMPRESSION_FAILED);
}

int yo_h3_section_read(struct yo_h3 *h3, struct yo_h3_section *section,
                       struct yo_span bytes, bool last)
{
    static const uint8_t nothing;
    const uint8_t *at = bytes.data ? bytes.data : &nothing;
    size_t left = bytes.size;
    for (;;) {
        nghttp3_qpack_nv field;
        uint8_t flags = 0;
        int rv = YOMO_OK;
        nghttp3_ssize n = nghttp3_qpack_decoder_read_request(
            section->decoder, section->context, &field, &flags, at, left, last);
        if (n < 0) {
            return decode_failed(h3, (int)n);
        }
        at += n;
        left -= (size_t)n;
        if (flags & NGHTTP3_QPACK_DECODE_FLAG_EMIT) {
            nghttp3_vec name = nghttp3_rcbuf_get_buf(field.name);
            nghttp3_vec value = nghttp3_rcbuf_get_buf(field.value);
            rv = take_field(h3, section, yo_span(name.base, name.len),
                            yo_span(value.base, value.len));
            nghttp3_rcbuf_decref(field.name);
            nghttp3_rcbuf_decref(field.value);
        }
        if (flags & NGHTTP3_QPACK_DECODE_FLAG_BLOCKED) { /* for what we never allow */
            rv = yo_h3_fail(h3, YO_H3_QPACK_DECOMPRESSION_FAILED);
        }
        if (rv != YOMO_OK || (flags & NGHTTP3_QPACK_DECODE_FLAG_FINAL) ||
            (n == 0 && !(flags & NGHTTP3_QPACK_DECODE_FLAG_EMIT))) {
            return rv;
        }
    }
}

/* --- Out -------------------------------------------------------------------------- */

/* Names as HTTP/3 wants them, in `names`, where `fields` then point. */
static int lower_names(struct yo_buf *names, nghttp3_nv *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t at = 0; at < fields[i].namelen; at++) {
            uint8_t byte = fields[i].name[at];
            bool upper = byte >= 'A' && byte <= 'Z';
            yo_buf_append_byte(names, upper ? (uint8_t)(byte | 0x20) : byte);
        }
    }
    size_t offset = 0;
    for (size_t i = 0; i < count && !names->failed; i++) {
        fields[i].name = names->data + offset;
        offset += fields[i].namelen;
    }
    return names->failed ? YOMO_ERR_NOMEM : YOMO_OK;
}

int yo_h3_fields_write(const struct yo_h3 *h3, struct yo_buf *out, int64_t id,
                       nghttp3_nv *fields, size_t count)
{
    uint8_t head[1 + YO_VARINT_SIZE_MAX] = {YO_H3_HEADERS};
    nghttp3_qpack_encoder *encoder;
    nghttp3_buf prefix, lines, table;
    struct yo_buf names;
    uint64_t seed;

    yo_rand_bytes(&seed, sizeof(seed));
    if (nghttp3_qpack_encoder_new2(&encoder, 0, seed, h3->qpack_mem) != 0) {
        return YOMO_ERR_NOMEM;
    }
    nghttp3_buf_init(&prefix);
    nghttp3_buf_init(&lines);
    nghttp3_buf_init(&table); /* stays empty */
    yo_buf_init(&names, h3->mem);
    int rv = lower_names(&names, fields, count);
    if (rv == YOMO_OK && nghttp3_qpack_encoder_encode(encoder, &prefix, &lines, &table,
                                                      id, fields, count) != 0) {
        rv = YOMO_ERR_NOMEM;
    }
    if (rv == YOMO_OK) {
        size_t prefix_size = nghttp3_buf_len(&prefix), size = nghttp3_buf_len(&lines);
        size_t n = 1 + yo_varint_write(head + 1, prefix_size + size);
        yo_buf_append(out, head, n);
        yo_buf_append(out, prefix.pos, prefix_size);
        yo_buf_append(out, lines.pos, size);
        rv = out->failed ? YOMO_ERR_NOMEM : YOMO_OK;
    }
    yo_buf_finish(&names);
    nghttp3_buf_free(&prefix, h3->qpack_mem);
    nghttp3_buf_free(&lines, h3->qpack_mem);
    nghttp3_buf_free(&table, h3->qpack_mem);
    nghttp3_qpack_encoder_del(encoder);
    return rv;
}
