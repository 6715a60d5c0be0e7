/* SPDX-License-Identifier: MIT */
/* event.h - what a room's home tells of: who came and left, rooms that opened and
 * closed, shared values that changed.
 *
 * The narrow interface between rooms and whoever wants to hear of them; what is lent is
 * lent for the call. */
#ifndef YO_WEBHOOKS_EVENT_H
#define YO_WEBHOOKS_EVENT_H

#include "base/buf.h"

enum yo_event_kind {
    YO_EVENT_JOINED,
    YO_EVENT_LEFT,
    YO_EVENT_OPENED,
    YO_EVENT_CLOSED,
    YO_EVENT_VALUE, /* a shared value was set or taken away */
    YO_EVENT_KINDS
};

#define YO_EVENTS_ALL ((1u << YO_EVENT_KINDS) - 1)

struct yo_event {
    enum yo_event_kind kind;
    struct yo_span app, room;
    struct yo_span id;  /* of a member, or the author; absent for a room */
    uint64_t session;   /* the same; 0 */
    uint64_t at_ms;     /* since 1970 */
    const char *reason; /* LEFT, CLOSED; else NULL */
    struct yo_span key; /* VALUE */
    uint64_t version;
    struct yo_span data; /* VALUE: JSON text, or bytes; absent: it was taken away */
    bool bytes;
};

/* "member_joined", ... */
const char *yo_event_name(enum yo_event_kind kind);
/* The kind of that name, or -1. */
int yo_event_kind_of(struct yo_span name);

/* Append `,"value":...` or `,"base64":"..."`; nothing when it is absent. What calls itself
 * JSON and is none is told as a text. YOMO_ERR_NOMEM, YOMO_ERR_INVALID. */
int yo_event_write_data(struct yo_buf *out, struct yo_span data, bool bytes);

/* Append it as a JSON object. YOMO_ERR_NOMEM; YOMO_ERR_INVALID when a text of it is not
 * UTF-8. */
int yo_event_write(struct yo_buf *out, const struct yo_event *event);

#endif
