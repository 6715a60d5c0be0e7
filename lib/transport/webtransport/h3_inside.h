/* SPDX-License-Identifier: MIT */
/* h3_inside.h - the inside of yo_h3; for the h3*.c files. */
#ifndef YO_WEBTRANSPORT_H3_INSIDE_H
#define YO_WEBTRANSPORT_H3_INSIDE_H

#include "base/list.h"
#include "transport/webtransport/h3.h"
#include "transport/webtransport/sendqueue.h"

enum { /* frames (RFC 9114 7.2, RFC 9218 7.2) */
       YO_H3_DATA = 0x00,
       YO_H3_HEADERS = 0x01,
       YO_H3_CANCEL_PUSH = 0x03,
       YO_H3_SETTINGS = 0x04,
       YO_H3_PUSH_PROMISE = 0x05,
       YO_H3_GOAWAY = 0x07,
       YO_H3_MAX_PUSH_ID = 0x0d,
       YO_H3_PRIORITY_REQUEST = 0xf0700,
       YO_H3_PRIORITY_PUSH = 0xf0701
};

/* A peer's stream as it is read: varints and frames in pieces of any size. */
struct yo_h3_stream {
    struct yo_link link;
    int64_t id;
    enum {
        YO_H3_NEW, /* unidirectional, and has not said what it is */
        YO_H3_CONTROL,
        YO_H3_ENCODER,
        YO_H3_DECODER,
        YO_H3_IGNORED,
        YO_H3_REQUEST
    } kind;
    enum { YO_H3_TYPE, YO_H3_LENGTH, YO_H3_PAYLOAD } at;
    uint8_t partial_size;
    bool has_value;
    uint8_t partial[8];  /* of a varint */
    uint64_t type, left; /* of the frame; left: not read yet */
    uint64_t value;      /* the number in a frame that is one */
};

struct yo_h3_section; /* h3_fields.c: fields that are being read */

struct yo_h3_request {                                   /* and its response */
    struct yo_h3_stream in;                              /* first */
    enum { YO_H3_HEAD, YO_H3_BODY, YO_H3_TRAILED } part; /* what may come now */
    struct yo_h3_section *section;                       /* NULL: none */
    bool tunnel; /* CONNECT: nothing but DATA follows (4.4) */
    bool has_length;
    bool deaf; /* what comes is not looked at any more */
    bool answered;
    bool blocked;     /* by flow control */
    bool stopped;     /* the peer reads no more */
    uint64_t length;  /* of the body, as far as it has not come */
    size_t head_left; /* of `out`: the head's bytes that are not acknowledged */
    struct yo_sendqueue out;
};

struct yo_h3_own {      /* a unidirectional stream of ours */
    int64_t id;         /* -1: not bound yet */
    bool blocked, said; /* said: QPACK's have sent their type, and say nothing else */
};

struct yo_h3 {
    const struct yomo_mem *mem;
    const nghttp3_mem *qpack_mem;
    const struct yo_h3_events *events;
    void *user;
    bool server;
    bool going; /* GOAWAY was sent */
    bool quiet; /* nothing to send was found, and nothing has happened since */
    uint64_t error;
    struct yo_link streams;
    /* Out. */
    struct yo_h3_own control, encoder, decoder;
    struct yo_sendqueue control_out;
    /* In. */
    unsigned critical; /* bits: kinds of streams that the peer has opened */
    bool settled;      /* its SETTINGS have come */
    struct yo_settings_tee tee;
    struct yo_peer_settings peer;
    struct yo_own_settings own;
    uint64_t streams_max;      /* requests that it may make in all */
    int64_t last_request;      /* the highest that it has made, or -4 */
    uint64_t goaway, max_push; /* as it said last */
    uint64_t oddities; /* what it may still say that means nothing, in thousandths */
    yo_time odd_time;
};

/* h3.c */
int yo_h3_fail(struct yo_h3 *h3, uint64_t code); /* YOMO_ERR_PROTO */
/* Something that means nothing has come: too much of it ends the connection. */
int yo_h3_odd(struct yo_h3 *h3, uint64_t code, yo_time now);

/* h3_frames.c: what came on a stream. */
int yo_h3_read_stream(struct yo_h3 *h3, struct yo_h3_stream *stream,
                      struct yo_span bytes, bool end, yo_time now);

/* h3_request.c */
struct yo_h3_request *yo_h3_request_new(struct yo_h3 *h3, int64_t id);
void yo_h3_stream_free(struct yo_h3 *h3, struct yo_h3_stream *stream);
struct yo_h3_request *yo_h3_request_find(const struct yo_h3 *h3, int64_t id);
/* A piece of a HEADERS frame; `last`: it ends with it, and is handed up. */
int yo_h3_read_fields(struct yo_h3 *h3, struct yo_h3_request *request,
                      struct yo_span bytes, bool last);

/* h3_fields.c: QPACK, and what RFC 9114 4 demands of fields. */
struct yo_h3_section {
    nghttp3_qpack_decoder *decoder;
    nghttp3_qpack_stream_context *context;
    struct yo_buf fields; /* base/pairs.h; none past YO_H3_HEAD_MAX */
    size_t size;          /* RFC 9114 4.2.2 */
    bool trailers, has_length, host, regular;
    unsigned pseudo; /* bits: those that have come */
    uint64_t length; /* content-length */
};
int yo_h3_section_new(struct yo_h3_section **out, const struct yo_h3 *h3,
                      bool trailers);
void yo_h3_section_free(const struct yo_h3 *h3, struct yo_h3_section *section);
/* YOMO_ERR_PROTO: h3->error says why. */
int yo_h3_section_read(struct yo_h3 *h3, struct yo_h3_section *section,
                       struct yo_span bytes, bool last);
/* All of it has come: is it a head of its side? */
bool yo_h3_section_whole(const struct yo_h3 *h3, const struct yo_h3_section *section);
/* Append a HEADERS frame; names may have capitals, and their pointers are used up.
 * YOMO_ERR_NOMEM. */
int yo_h3_fields_write(const struct yo_h3 *h3, struct yo_buf *out, int64_t id,
                       nghttp3_nv *fields, size_t count);

#endif
