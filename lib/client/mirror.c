/* SPDX-License-Identifier: MIT */
/* mirror.c - what a server tells of the others in a room, told on to the program.
 *
 * The roster belongs to the engine's thread; it changes with the lock held, since
 * yomo_room_peers copies it from any thread. */
#include "client/inside.h"

static void tell(struct yomo_room *room, const struct yo_roster_entry *entry,
                 int32_t change)
{
    struct yomo_client *client = room->client;
    if (client->on.on_peer) {
        client->on.on_peer(client->user, room, &entry->peer, change);
    }
}

/* The first device of a user came (or was there), or the last one went. */
static void tell_user(struct yomo_room *room, const struct yo_roster_entry *entry,
                      int32_t change)
{
    struct yomo_client *client = room->client;
    const struct yomo_user user = {.devices = change != YOMO_PEER_LEFT,
                                   .id = entry->peer.id,
                                   .state = entry->peer.state,
                                   .state_size = entry->peer.state_size};
    if (client->on.on_user) {
        client->on.on_user(client->user, room, &user, change);
    }
}

static bool is_self(const struct yomo_room *room, const struct yo_effect *effect)
{
    const struct yomo_client *client = room->client;
    if (effect->session) {
        return effect->session == client->session_id; /* set by this thread only */
    }
    return yo_span_is(effect->peer, client->settings.id);
}

static void left(struct yomo_room *room, struct yo_roster_entry *entry)
{
    bool last = entry->user->count == 1;
    yo_client_lock(room->client);
    yo_roster_remove(&room->roster, entry);
    yo_client_unlock(room->client);
    tell(room, entry, YOMO_PEER_LEFT);
    if (last) {
        tell_user(room, entry, YOMO_PEER_LEFT);
    }
    yo_asking_left(room, entry->peer.session,
                   last ? yo_span(entry->peer.id, entry->peer.id_size) : YO_SPAN_NONE);
    yo_roster_entry_destroy(&room->roster, entry);
}

/* What to call it that `entry` is there now and `old` (or nobody) was before. */
static int32_t change_of(const struct yomo_room *room,
                         const struct yo_roster_entry *old,
                         const struct yo_effect *effect)
{
    if (old) {
        return YOMO_PEER_STATE;
    }
    return effect->change == YOMO_PEER_PRESENT && !room->known ? YOMO_PEER_PRESENT
                                                               : YOMO_PEER_JOINED;
}

static void there(struct yomo_room *room, struct yo_roster_entry *old,
                  const struct yo_effect *effect)
{
    struct yomo_client *client = room->client;
    struct yo_roster *roster = &room->roster;
    struct yo_roster_entry *entry;
    /* Who comes, or is in a snapshot, is told of with its data. */
    bool whole =
        effect->change == YOMO_PEER_PRESENT || effect->change == YOMO_PEER_JOINED;
    int rv = yo_roster_entry_create(roster, &entry, effect->session, effect->peer,
                                    effect->payload, effect->data, whole ? NULL : old,
                                    effect->since_ms);
    if (rv == YOMO_ERR_NOMEM) {
        yo_link_drop(client, rv, ""); /* the next connection tells it anew */
        return;
    }
    if (rv != YOMO_OK) {
        YO_LOG(&client->log, YOMO_LOG_WARN, "client",
               "the state of a peer is malformed");
        return;
    }
    if (yo_roster_same(old, entry)) {
        yo_roster_touch(roster, old);
        yo_roster_entry_destroy(roster, entry);
        return;
    }
    int32_t change = change_of(room, old, effect);
    yo_client_lock(client);
    rv = yo_roster_put(roster, old, entry);
    yo_client_unlock(client);
    if (rv != YOMO_OK) {
        yo_roster_entry_destroy(roster, entry);
        if (rv == YOMO_ERR_NOMEM) {
            yo_link_drop(client, rv, "");
        }
        return;
    }
    bool first = !old && entry->user->count == 1;
    if (old) {
        yo_roster_entry_destroy(roster, old);
    }
    tell(room, entry, change);
    if (first) {
        tell_user(room, entry, change);
    }
}

/* Its connection broke, or is there again. */
static void set_stale(struct yomo_room *room, struct yo_roster_entry *entry, bool stale)
{
    if (entry && entry->peer.stale != stale) {
        yo_client_lock(room->client);
        entry->peer.stale = stale;
        yo_client_unlock(room->client);
        tell(room, entry, stale ? YOMO_PEER_STALE : YOMO_PEER_BACK);
    }
}

/* A change that tells no state leaves the one that is known. */
static bool tells_nothing(const struct yo_roster_entry *old,
                          const struct yo_effect *effect)
{
    return old && !effect->payload.data && !effect->data.data;
}

void yo_mirror_peer(struct yomo_room *room, const struct yo_effect *effect)
{
    if (is_self(room, effect)) {
        return;
    }
    struct yo_roster_entry *old =
        yo_roster_find(&room->roster, effect->session, effect->peer);
    if (old && effect->change != YOMO_PEER_LEFT && effect->peer.data &&
        !yo_span_is(effect->peer, old->peer.id)) {
        left(room, old); /* another person with its session: no server does that */
        old = NULL;
    }
    if (effect->change == YOMO_PEER_LEFT) {
        if (old) {
            left(room, old);
        }
    } else if (effect->change == YOMO_PEER_STALE || effect->change == YOMO_PEER_BACK) {
        set_stale(room, old, effect->change == YOMO_PEER_STALE);
    } else if (tells_nothing(old, effect)) {
        yo_roster_touch(&room->roster, old);
    } else {
        there(room, old, effect);
    }
    if (effect->change == YOMO_PEER_PRESENT &&
        room->client->extension) { /* a snapshot tells all */
        set_stale(room, yo_roster_find(&room->roster, effect->session, effect->peer),
                  effect->stale);
    }
}

void yo_mirror_sweep(struct yomo_room *room)
{
    struct yo_roster *roster = &room->roster;
    room->sweep_at = YO_NEVER;
    YO_LIST_EACH(link, next, &roster->order)
    {
        struct yo_roster_entry *entry =
            YO_CONTAINER(link, struct yo_roster_entry, order);
        if (entry->seen != roster->round) {
            left(room, entry);
        }
    }
}
