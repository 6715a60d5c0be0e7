/* SPDX-License-Identifier: MIT */
/* client_changes.c - several members came, changed or left, told in one message.
 *
 * It has one place in the room's order, and is before or after a snapshot as a whole. A
 * change of a kind that is not known is passed over, so that there may be new ones. */
#include <yomo/client.h>
#include <yomo/error.h>

#include "session/client_inside.h"
#include "session/pages.h"

/* Which of them the program is told, or -1. */
static int peer_change_of(const struct yo_client_session *session,
                          const struct yo_wire_member *member)
{
    if (member->session == session->session) {
        return -1; /* this very client */
    }
    switch (member->change) {
    case YO_WIRE_CAME:
        return YOMO_PEER_JOINED;
    case YO_WIRE_STATE:
        return YOMO_PEER_STATE;
    case YO_WIRE_LEFT:
        return YOMO_PEER_LEFT;
    case YO_WIRE_STALE:
        return YOMO_PEER_STALE;
    case YO_WIRE_BACK:
        return YOMO_PEER_BACK;
    default:
        return -1;
    }
}

int yo_client_check_members(struct yo_span members, uint32_t *count)
{
    struct yo_wire_member member;
    struct yo_mp_reader reader;

    if (!members.data || yo_members_init(&reader, members, count) != YOMO_OK) {
        return YOMO_ERR_MALFORMED;
    }
    for (uint32_t i = 0; i < *count; i++) {
        if (yo_members_next(&reader, &member) != YOMO_OK || member.session == 0 ||
            (member.state.data && yo_check_state(member.state) != YOMO_OK) ||
            (member.data.data && yo_check_state(member.data) != YOMO_OK)) {
            return YOMO_ERR_MALFORMED;
        }
    }
    return YOMO_OK;
}

void yo_client_tell_changes(const struct yo_client_session *session,
                            const struct yo_message *changes,
                            struct yo_effects *effects)
{
    struct yo_mp_reader reader;
    uint32_t count = 0;

    yo_members_init(&reader, changes->members, &count);
    for (uint32_t i = 0; i < count; i++) {
        struct yo_wire_member member = {0};
        yo_members_next(&reader, &member);
        const struct yo_message one = {.channel = changes->channel,
                                       .session = member.session,
                                       .peer = member.peer,
                                       .payload = member.state,
                                       .data = member.data,
                                       .version = member.version,
                                       .sequence = changes->sequence,
                                       .timestamp = member.since_ms};
        int change = peer_change_of(session, &member);
        if (change >= 0) {
            yo_client_tell_peer(&one, change, effects);
        }
    }
}

void yo_client_on_changes(struct yo_client_session *session,
                          struct yo_client_room *room, const struct yo_arrival *in)
{
    const struct yo_message *message = in->message;
    uint32_t count;

    if (yo_client_check_members(message->members, &count) != YOMO_OK ||
        count > YO_PAGE_MEMBERS_MAX) {
        yo_client_broken(session, in, "broken changes");
    } else if (room->phase == ROOM_JOINING) {
        yo_client_hold_promised(session, room, in, count);
    } else if (yo_client_is_news(room, message) &&
               yo_effects_reserve(in->effects, count) == YOMO_OK) {
        yo_client_tell_changes(session, message, in->effects);
        yo_client_tell_once(room, message);
    }
}
