/* SPDX-License-Identifier: MIT */
/* lanes.h - the streams of a connection that carries messages, and what both files of
 * it know; for messages.c and lanes.c. */
#ifndef YO_MESSAGES_LANES_H
#define YO_MESSAGES_LANES_H

#include "base/list.h"
#include "transport/messages/frames.h"
#include "transport/messages/messages.h"

#define YO_MESSAGES_TEXT_MAX 123 /* bytes of a reason, as WebSocket has them */

struct yo_lane {         /* one stream, one or both directions */
    struct yo_link link; /* in messages->lanes */
    struct yo_messages *messages;
    struct yo_wt_stream *stream;
    uint32_t number; /* YO_LANE_CONTROL, or that of an outgoing lane; 0: incoming */
    bool ended;      /* end_lane was called: the next message opens another stream */
    bool held;       /* did not take what was offered, lanes.c */
    size_t kept;     /* its part of messages->partial */
    uint64_t pushed; /* messages sent on it, ever */
    struct yo_frames frames;
};

struct yo_messages {
    struct yo_conn base; /* first */
    struct yo_wt_session *session;
    struct yo_messages_options options;
    struct yo_link lanes;
    struct yo_lane *control; /* NULL: the client has not opened it yet, or it is gone */
    bool had_control;
    struct yo_link waiting; /* a server's, for the control stream: struct early */
    size_t queued; /* bytes on streams that were not acknowledged, `waiting` included */
    size_t partial;               /* bytes of messages that are cut */
    struct yo_lane *first_served; /* the one that goes on while `partial` is too much */
    bool open, want_writable;
    enum { YO_RUNNING, YO_CLOSING, YO_FLUSHING, YO_SAID } phase;
    struct yo_close how; /* from CLOSING on */
    char text[YO_MESSAGES_TEXT_MAX];
};

/* lanes.c */
void yo_lanes_on_stream(void *user, struct yo_wt_stream *stream, yo_time now);
/* NULL, and `rv` says why. */
struct yo_lane *yo_lane_open(struct yo_messages *m, uint32_t number, bool bidirectional,
                             int *rv);
struct yo_lane *yo_lane_find(struct yo_messages *m, uint32_t number); /* NULL: none */
int yo_lane_send(struct yo_messages *m, uint32_t number, struct yo_blob *message);
void yo_lanes_free_waiting(struct yo_messages *m);
void yo_lanes_reclaim(struct yo_messages *m, yo_reclaimed_fn fn, void *user);

/* messages.c */
void yo_messages_deliver(struct yo_messages *m, uint32_t lane, struct yo_span message,
                         yo_time now);
void yo_messages_reject(struct yo_messages *m, uint32_t code, const char *text);
int yo_messages_again(struct yo_messages *m); /* YOMO_ERR_AGAIN; on_writable follows */

#endif
