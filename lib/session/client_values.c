/* SPDX-License-Identifier: MIT */
/* client_values.c - what a room shares: asking for changes of it, and being told.
 *
 * Happy path: while a room is joined, pages of values come on control, before the last
 * page of the snapshot; then each change among the room's reliable messages. After a
 * break the pages come there, too, with the place as of which they are. */
#include "base/check.h"
#include "session/client_inside.h"

int yo_client_share(struct yo_client_session *session, const struct yo_message *wish,
                    struct yo_effects *effects)
{
    const struct yo_client_room *room = yo_client_find(session, wish->channel);
    int rv;

    yo_client_spent_free(session);
    if (session->mode != CLIENT_YOMO) {
        return YOMO_ERR_STATE;
    }
    if (!room || room->phase != ROOM_IN) {
        return YOMO_ERR_NOT_FOUND;
    }
    yo_client_send(session, effects, LANE_CONTROL, wish);
    rv = yo_client_done(effects);
    if (rv == YOMO_OK &&
        effects->list[0].bytes.size > yo_client_session_message_max(session)) {
        yo_effects_clear(effects);
        rv = YOMO_ERR_TOO_BIG;
    }
    return rv;
}

void yo_client_tell_value(struct yo_client_room *room, const struct yo_message *message,
                          struct yo_effects *effects)
{
    struct yo_effect *value = yo_effects_add(
        effects, message->op == YO_OP_LOCK ? YO_EFFECT_LOCK : YO_EFFECT_VALUE);

    if (value) {
        value->room = yo_client_room_name(room);
        value->key = message->key;
        value->payload = message->payload;
        value->version = value->sequence = message->sequence;
        value->session = message->session;
        value->peer = message->peer;
        room->valued = message->sequence;
    }
}

bool yo_client_is_valued(const struct yo_client_room *room,
                         const struct yo_message *message)
{
    return message->sequence <= room->valued || message->sequence <= room->sequence;
}

void yo_client_on_value(struct yo_client_session *session, struct yo_client_room *room,
                        const struct yo_arrival *in)
{
    const struct yo_message *message = in->message;
    bool lock = message->op == YO_OP_LOCK;
    struct yo_span event;

    if (message->sequence == 0 || message->key.size == 0 ||
        (lock ? message->payload.data != NULL
              : message->payload.data &&
                    yo_check_data(message->payload, &event) != YOMO_OK)) {
        yo_client_broken(session, in, "a broken shared value");
    } else if (room->phase == ROOM_JOINING) {
        yo_client_hold_promised(session, room, in, 1);
    } else if (!yo_client_is_valued(room, message)) {
        yo_client_tell_value(room, message, in->effects);
    }
}

/* How many; YOMO_ERR_MALFORMED unless each can be read. */
static int check_page(const struct yo_message *page, uint32_t *count)
{
    struct yo_mp_reader reader;
    struct yo_wire_value value;
    int rv = page->members.data ? yo_members_init(&reader, page->members, count)
                                : YOMO_ERR_MALFORMED;

    for (uint32_t i = 0; rv == YOMO_OK && i < *count; i++) {
        rv = yo_values_next(&reader, &value);
    }
    return rv;
}

static void add_mark(struct yo_client_room *room, uint64_t place, bool begins,
                     struct yo_effects *effects)
{
    struct yo_effect *mark = yo_effects_add(effects, YO_EFFECT_VALUES);

    assert(mark); /* its place was reserved */
    mark->room = yo_client_room_name(room);
    mark->sequence = place;
    mark->more = begins;
}

void yo_client_tell_values(struct yo_client_room *room, const struct yo_message *page,
                           struct yo_effects *effects)
{
    struct yo_mp_reader reader;
    struct yo_wire_value value;
    uint32_t count;

    yo_members_init(&reader, page->members, &count);
    if (page->sequence != 0 && !room->paging) {
        add_mark(room, page->sequence, true, effects);
    }
    while (count-- > 0 && yo_values_next(&reader, &value) == YOMO_OK) {
        struct yo_effect *effect =
            yo_effects_add(effects, value.lock ? YO_EFFECT_LOCK : YO_EFFECT_VALUE);
        assert(effect);
        effect->room = yo_client_room_name(room);
        effect->key = value.key;
        effect->payload = value.payload;
        effect->version = value.version;
        effect->session = value.session;
        effect->peer = value.peer;
    }
    if (page->sequence != 0) {
        room->paging = page->more;
        if (!page->more) {
            add_mark(room, page->sequence, false, effects);
            room->valued =
                page->sequence > room->valued ? page->sequence : room->valued;
        }
    }
}

void yo_client_on_values(struct yo_client_session *session, struct yo_client_room *room,
                         const struct yo_arrival *in)
{
    uint32_t count = 0;

    if (check_page(in->message, &count) != YOMO_OK) {
        yo_client_broken(session, in, "a broken page of shared values");
    } else if (room->phase == ROOM_JOINING && in->message->sequence != 0) {
        yo_client_hold_promised(session, room, in, (size_t)count + 2);
    } else if (room->phase == ROOM_JOINING || in->message->sequence != 0) {
        if (yo_effects_reserve(in->effects, (size_t)count + 2) == YOMO_OK) {
            yo_client_tell_values(room, in->message, in->effects);
        }
    }
}
