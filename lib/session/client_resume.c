/* SPDX-License-Identifier: MIT */
/* client_resume.c - a session whose connection broke goes on over another one.
 *
 * The happy path: the session is kept while there is no connection; the next one's
 * hello comes to a session of its own, from which this one takes what was said. Each
 * room is claimed with the places that were told, then the session asked for by its
 * token. For each room RESUMED takes the place of a join's ACK: a snapshot follows, and
 * JOINED when it is complete, with what was held meanwhile. The last RESUMED tells the
 * end of it.
 *
 * Possible failure modes: the server refuses, or does not name a room: what was claimed
 * and not given back is forgotten, and to be joined anew. It may still know how much it
 * had read. */
#include "base/check.h"
#include "base/mem.h"
#include "session/client_inside.h"

static struct yo_client_room *of_name(struct yo_map_node *node)
{
    return YO_CONTAINER(node, struct yo_client_room, by_name);
}

uint64_t yo_client_session_grace(const struct yo_client_session *session)
{
    return session->limits.grace_ms; /* hello said so; there is none without it */
}

bool yo_client_session_may_resume(const struct yo_client_session *session)
{
    if (session->limits.grace_ms == 0 || session->broken) {
        return false;
    }
    for (struct yo_map_node *node = yo_map_next(&session->rooms, NULL); node;
         node = yo_map_next(&session->rooms, node)) {
        if (of_name(node)->phase == ROOM_IN || of_name(node)->resuming) {
            return true;
        }
    }
    return false;
}

void yo_client_resume_begin(struct yo_client_session *session,
                            const struct yo_client_session *hello, bool datagrams,
                            yo_time now)
{
    session->mode = CLIENT_YOMO;
    session->datagrams = datagrams;
    session->limits = hello->limits;
    session->fresh = hello->session;
    session->skip = 0;
    session->errors = 0;
    session->resuming = false;
    yo_client_heard(session, now);
}

int yo_client_resume_room(struct yo_client_session *session, struct yo_span name,
                          struct yo_effects *effects)
{
    struct yo_client_room *room = yo_client_find(session, name);
    struct yo_message claim = {.op = YO_OP_RESUME, .channel = name};

    yo_client_spent_free(session);
    if (!room || (room->phase != ROOM_IN && !room->resuming)) {
        return YOMO_ERR_NOT_FOUND;
    }
    for (int p = 0; p <= YOMO_BULK; p++) {
        uint64_t place =
            room->heard[p] > room->sequence ? room->heard[p] : room->sequence;
        *(p == YOMO_NORMAL   ? &claim.sequence
          : p == YOMO_URGENT ? &claim.urgent
                             : &claim.bulk) = place;
    }
    claim.urgent = claim.urgent == claim.sequence ? 0 : claim.urgent;
    claim.bulk = claim.bulk == claim.sequence ? 0 : claim.bulk;
    yo_client_send(session, effects, LANE_CONTROL, &claim);
    if (!effects->failed) {
        yo_client_release_held(session, room);
        room->phase = ROOM_JOINING;
        room->resuming = true;
        room->paging = false;
        room->acked = room->complete = room->rejoin = room->state_waits = false;
    }
    return yo_client_done(effects);
}

/* Of the rooms that were claimed: those that the server has not given back; or, when
 * `claimed` is false, those that were not claimed. */
static void forget(struct yo_client_session *session, bool claimed)
{
    struct yo_map_node *node, *next;

    for (node = yo_map_next(&session->rooms, NULL); node; node = next) {
        next = yo_map_next(&session->rooms, node);
        if (of_name(node)->resuming == claimed) {
            yo_client_forget(session, of_name(node));
        }
    }
}

int yo_client_resume(struct yo_client_session *session, struct yo_span token,
                     struct yo_effects *effects)
{
    const struct yo_message ask = {.op = YO_OP_RESUME, .token = token};

    yo_client_spent_free(session);
    yo_client_send(session, effects, LANE_CONTROL, &ask);
    if (!effects->failed) {
        session->resuming = true;
        forget(session, false);
    }
    return yo_client_done(effects);
}

/* A room is as it was; or its seat is gone, and so much had been read. */
static void on_room(struct yo_client_session *session, const struct yo_arrival *in)
{
    struct yo_client_room *room = yo_client_find(session, in->message->channel);

    if (room && room->resuming && !room->acked && in->message->code != 0) {
        struct yo_effect *read = yo_effects_add(in->effects, YO_EFFECT_READ);
        if (read) {
            read->room = in->message->channel;
            read->number = in->message->number;
            read->error = yo_client_error_of(in->message);
        }
    } else if (room && room->resuming && !room->acked) {
        room->acked = true;
        room->read = in->message->number;
    }
}

void yo_client_on_resumed(struct yo_client_session *session,
                          const struct yo_arrival *in)
{
    struct yo_effect *resumed;

    if (!session->resuming) {
        yo_client_drop(in, YOMO_ERR_PROTO, "nobody asked for a session");
        return;
    }
    if (in->message->channel.data) {
        on_room(session, in);
        return;
    }
    resumed = yo_effects_add(in->effects, YO_EFFECT_RESUMED);
    if (!resumed) {
        return;
    }
    session->resuming = false;
    forget(session, true);
    if (in->message->code != 0) {
        session->session = session->fresh;
        resumed->error = yo_client_error_of(in->message);
    }
    resumed->session = session->session;
    resumed->token = in->message->token;
}
