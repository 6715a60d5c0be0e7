/* SPDX-License-Identifier: MIT */
#include "server/events.h"

#include "loop/loop.h"
#include "server/handle.h"

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
