/* SPDX-License-Identifier: MIT */
/* h3_inside.h - the inside of yo_h3; for h3.c and h3_request.c. */
#ifndef YO_WEBTRANSPORT_H3_INSIDE_H
#define YO_WEBTRANSPORT_H3_INSIDE_H

#include "base/list.h"
#include "transport/webtransport/h3.h"
#include "transport/webtransport/sendqueue.h"

struct yo_h3_stream { /* of a request and its response */
    struct yo_link link;
    int64_t id;
    struct yo_buf fields; /* until the head is handed up: base/pairs.h */
    size_t head_size;     /* RFC 9114 4.2.2 */
    bool answered;
    struct yo_sendqueue out; /* behind the head: capsules, or a text; its end is FIN */
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
    struct yo_own_settings own;
    size_t consumed; /* by the callbacks of one read */
};

/* nghttp3's callbacks that h3_request.c has. */
int yo_h3_on_begin_headers(nghttp3_conn *http, int64_t id, void *user,
                           void *stream_user);
int yo_h3_on_header(nghttp3_conn *http, int64_t id, int32_t token, nghttp3_rcbuf *name,
                    nghttp3_rcbuf *value, uint8_t flags, void *user, void *stream_user);
int yo_h3_on_end_headers(nghttp3_conn *http, int64_t id, int fin, void *user,
                         void *stream_user);
int yo_h3_on_stream_close(nghttp3_conn *http, int64_t id, uint64_t code, void *user,
                          void *stream_user);

int yo_h3_on_acked(nghttp3_conn *http, int64_t id, uint64_t size, void *user,
                   void *stream_user);

void yo_h3_free_streams(struct yo_h3 *h3);

#endif
