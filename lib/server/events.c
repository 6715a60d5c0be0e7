/* SPDX-License-Identifier: MIT */
#include "server/events.h"

#include "loop/loop.h"
#include "server/handle.h"
#include "wire/decode.h"
#include "wire/json.h"

/* What the error that ended a seat is called outside. */
static const char *reason_of(int error)
{
    switch (error) {
    case YOMO_OK:
        return "left";
    case YOMO_ERR_KICKED:
        return "kicked";
    case YOMO_ERR_AUTH:
        return "expired";
    case YOMO_ERR_DENIED:
        return "denied";
    case YOMO_ERR_SLOW:
        return "slow";
    case YOMO_ERR_DRAINING:
        return "draining";
    case YOMO_ERR_PROTO:
    case YOMO_ERR_MALFORMED:
    case YOMO_ERR_TOO_BIG:
        return "protocol";
    case YOMO_ERR_CLOSED:
    case YOMO_ERR_TIMEOUT:
        return "lost";
    default:
        return "closed";
    }
}

static void tell(struct yo_home *home, struct yo_home_room *hr, enum yo_event_kind kind,
                 const struct yo_member *member, const char *reason)
{
    const struct yo_event event = {.kind = kind,
                                   .app = yo_room_key_app(hr->key),
                                   .room = hr->name,
                                   .id = member ? yo_span_of(member->id) : YO_SPAN_NONE,
                                   .session = member ? member->session : 0,
                                   .at_ms = yo_wall_ms(),
                                   .reason = reason};

    home->events->tell(home->events->user, &event, home->now);
}

void yo_home_tell_came(struct yo_home *home, struct yo_home_room *hr,
                       const struct yo_member *member)
{
    if (!home->events) {
        return;
    }
    if (!hr->told_open) {
        hr->told_open = true;
        tell(home, hr, YO_EVENT_OPENED, NULL, NULL);
    }
    if (!member->observer) {
        tell(home, hr, YO_EVENT_JOINED, member, NULL);
    }
}

void yo_home_tell_left(struct yo_home *home, struct yo_home_room *hr,
                       const struct yo_member *member, int error)
{
    if (home->events && !member->observer) {
        tell(home, hr, YO_EVENT_LEFT, member, reason_of(error));
    }
}

void yo_home_tell_gone(struct yo_home *home, struct yo_home_room *hr, bool ending)
{
    if (home->events && hr->told_open) {
        tell(home, hr, YO_EVENT_CLOSED, NULL,
             hr->closing ? "closed"
             : ending    ? "draining"
                         : "empty");
    }
}

int yo_event_content(struct yo_span payload, struct yo_buf *scratch,
                     struct yo_span *data, bool *bytes)
{
    struct yo_content content;
    int rv = yo_content_read(payload, &content);

    if (rv == YOMO_OK && content.in_mp) {
        rv = yo_mp_to_json(scratch, content.bytes);
        content.bytes = yo_buf_span(scratch);
    }
    if (rv == YOMO_OK) {
        *data = content.bytes.data ? content.bytes : yo_span("", 0);
        *bytes = content.encoding == YOMO_BYTES;
    }
    return rv;
}

void yo_home_tell_value(struct yo_home *home, const struct yo_home_room *hr,
                        const struct yo_value_wish *wish, struct yo_span who,
                        uint64_t version)
{
    struct yo_event event = {.kind = YO_EVENT_VALUE,
                             .app = yo_room_key_app(hr->key),
                             .room = hr->name,
                             .id = who,
                             .session = wish->session,
                             .key = wish->key,
                             .version = version};
    struct yo_buf scratch;

    if (!home->events || !(home->events->wants & 1u << YO_EVENT_VALUE)) {
        return;
    }
    event.at_ms = yo_wall_ms();
    yo_buf_init(&scratch, home->mem);
    if (wish->data && yo_event_content(yo_blob_span(wish->data), &scratch, &event.data,
                                       &event.bytes) != YOMO_OK) {
        event.data = yo_span("null", 4); /* there is one, and no memory to say which */
    }
    home->events->tell(home->events->user, &event, home->now);
    yo_buf_finish(&scratch);
}
