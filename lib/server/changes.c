/* SPDX-License-Identifier: MIT */
/* changes.c - what the members of a room are told of each other.
 *
 * presencejs is told at once, one message for each change. For the extension changes
 * wait in the room (presence/untold.h). The first one after some quiet is told at once;
 * after a telling the room cools for `presence-interval`, and what comes meanwhile is
 * told together when that is over. So whoever listens gets one message in that time
 * (or a few, when it is large), however many come and go. In a room of thousands each
 * telling is thousands of messages: there the time grows with those who listen.
 *
 * Places in the room's order are given here, when something is told. Nobody is heard
 * before it came: RELIABLE data of a member of whom something waits goes behind it.
 *
 * Possible failures: no memory. Who cannot be told is sent away to come again (home.c).
 *
 * Invariants:
 *  1. a room is in `cooling` since it was last told something, for the interval, and
 *     longer by no more than a tick; the list is in the order of their ends;
 *  2. `uneasy` counts the rooms in it of which something waits. */
#include "base/check.h"
#include "server/home.h"
#include "session/pages.h"
#include "wire/encode.h"

#define CROWD 1000u            /* members, from which on the time grows */
#define INTERVAL_MAX YO_SECOND /* but no further than this */

enum { YOMO = YO_DIALECT_YOMO, PRESENCEJS = YO_DIALECT_PRESENCEJS };

/* --- presencejs ------------------------------------------------------------------ */

static int encode_shown(struct yo_home *home, struct yo_home_room *hr,
                        const struct yo_change *change, struct yo_blob **out)
{
    const struct yo_message gone = {.op = YO_OP_PEER_OFFLINE,
                                    .channel = hr->name,
                                    .peer = yo_span_of(change->peer),
                                    .mesh = yo_span_of(home->config->mesh)};

    return change->kind == YO_CHANGE_OFFLINE
               ? yo_encode_blob(out, home->mem, YO_DIALECT_PRESENCEJS, &gone)
               : yo_home_peer_state(home, hr, change->peer, change->state, out);
}

void yo_home_tell_changes(struct yo_home *home, struct yo_home_room *hr,
                          const struct yo_changes *changes,
                          const struct yo_member *author)
{
    for (size_t i = 0; i < changes->count; i++) {
        struct yo_telling telling = {.author = author,
                                     .expires = YO_NEVER,
                                     .delivery = YOMO_RELIABLE,
                                     .insist = true,
                                     .control = true};

        if (!yo_home_anybody(home, hr, PRESENCEJS, author)) {
            break;
        }
        if (encode_shown(home, hr, &changes->list[i], &telling.encoded[PRESENCEJS]) ==
            YOMO_OK) {
            yo_home_tell(home, hr, &telling);
            yo_telling_finish(&telling);
        } else {
            yo_home_lose(home, hr, PRESENCEJS, author);
        }
    }
    yo_home_changed(home, hr);
}

/* --- the extension: telling ------------------------------------------------------- */

static void tell_blob(struct yo_home *home, struct yo_home_room *hr,
                      struct yo_blob *blob, const struct yo_member *author)
{
    struct yo_telling telling = {.author = author,
                                 .expires = YO_NEVER,
                                 .delivery = YOMO_RELIABLE,
                                 .control = true,
                                 .encoded = {[YOMO] = blob}};

    yo_home_tell(home, hr, &telling);
}

static bool tells_state(const struct yo_change *change)
{
    return change->kind == YO_CHANGE_ONLINE || change->kind == YO_CHANGE_STATE;
}

/* One change alone, to everybody but the one it is about. */
static int tell_one(struct yo_home *home, struct yo_home_room *hr,
                    const struct yo_change *change)
{
    static const enum yo_op ops[] = {[YO_CHANGE_ONLINE] = YO_OP_PEER_ONLINE,
                                     [YO_CHANGE_STATE] = YO_OP_PEER_STATE,
                                     [YO_CHANGE_OFFLINE] = YO_OP_PEER_OFFLINE,
                                     [YO_CHANGE_STALE] = YO_OP_PEER_STALE,
                                     [YO_CHANGE_BACK] = YO_OP_PEER_BACK};
    const struct yo_member *author = yo_room_find(&hr->room, change->session);
    struct yo_message message = {.op = ops[change->kind],
                                 .channel = hr->name,
                                 .peer = yo_span_of(change->peer),
                                 .mesh = yo_span_of(home->config->mesh),
                                 .session = change->session,
                                 .sequence = hr->room.sequence + 1};
    struct yo_blob *blob;
    int rv;

    if (!yo_home_anybody(home, hr, YOMO, author)) {
        return YOMO_OK;
    }
    if (tells_state(change)) {
        message.payload = change->state ? yo_blob_span(change->state) : YO_SPAN_NONE;
        message.version = change->version;
        message.timestamp = change->since_ms;
        message.data = change->data;
    }
    rv = yo_encode_blob(&blob, home->mem, YO_DIALECT_YOMO, &message);
    if (rv == YOMO_OK) {
        tell_blob(home, hr, blob, author);
        yo_blob_unref(blob);
    }
    return rv;
}

static int add_to(struct yo_pages *pages, const struct yo_change *change)
{
    static const enum yo_wire_change kinds[] = {[YO_CHANGE_ONLINE] = YO_WIRE_CAME,
                                                [YO_CHANGE_STATE] = YO_WIRE_STATE,
                                                [YO_CHANGE_OFFLINE] = YO_WIRE_LEFT,
                                                [YO_CHANGE_STALE] = YO_WIRE_STALE,
                                                [YO_CHANGE_BACK] = YO_WIRE_BACK};
    struct yo_wire_member entry = {.change = kinds[change->kind],
                                   .session = change->session,
                                   .peer = yo_span_of(change->peer)};

    if (tells_state(change)) {
        entry.state = change->state ? yo_blob_span(change->state) : YO_SPAN_NONE;
        entry.version = change->version;
        entry.since_ms = change->since_ms;
        entry.data = change->data;
    }
    return yo_pages_add(pages, &entry);
}

/* All of them together, to everybody: one finds its own among them, and knows it. */
static int tell_many(struct yo_home *home, struct yo_home_room *hr)
{
    struct yo_change changes[YO_UNTOLD_MAX];
    struct yo_pages pages;
    int rv = YOMO_OK;

    yo_pages_begin_changes(&pages, home->mem, hr->name, hr->room.sequence);
    for (const struct yo_member *member = yo_room_untold(&hr->room, NULL);
         member && rv == YOMO_OK; member = yo_room_untold(&hr->room, member)) {
        size_t count = yo_member_untold(member, changes);
        for (size_t i = 0; i < count && rv == YOMO_OK; i++) {
            rv = add_to(&pages, &changes[i]);
        }
    }
    rv = rv == YOMO_OK ? yo_pages_end(&pages) : rv;
    for (size_t i = 0; rv == YOMO_OK && i < pages.count; i++) {
        tell_blob(home, hr, pages.list[i], NULL);
    }
    yo_pages_finish(&pages);
    return rv;
}

/* A crowd is told no more messages in a second, all its members together, than CROWD of
 * them would be. */
static yo_time interval_of(const struct yo_home *home, const struct yo_home_room *hr)
{
    yo_time interval = home->config->presence_interval;
    uint64_t ears = 0;

    for (uint32_t w = 0; w < home->office->count; w++) {
        ears += hr->at[w].members[YOMO];
    }
    return ears <= CROWD || interval >= INTERVAL_MAX
               ? interval
               : yo_time_min(interval * ears / CROWD, INTERVAL_MAX);
}

static void cool(struct yo_home *home, struct yo_home_room *hr)
{
    struct yo_link *before;

    yo_list_remove(&hr->cooling);
    if (home->config->presence_interval == 0) {
        return;
    }
    hr->cool_at = yo_time_after(home->now, interval_of(home, hr));
    /* Only crowds, and there are never many, have to be passed. */
    for (before = home->cooling.prev; before != &home->cooling; before = before->prev) {
        if (YO_CONTAINER(before, struct yo_home_room, cooling)->cool_at <= hr->cool_at) {
            break;
        }
    }
    yo_list_push_back(before->next, &hr->cooling); /* in front of the next one */
}

/* How many changes wait, and the first of them. */
static size_t count_untold(const struct yo_home_room *hr, struct yo_change *first)
{
    struct yo_change changes[YO_UNTOLD_MAX];
    size_t count = 0;

    *first = (struct yo_change){0};
    for (const struct yo_member *member = yo_room_untold(&hr->room, NULL); member;
         member = yo_room_untold(&hr->room, member)) {
        size_t more = yo_member_untold(member, changes);
        if (count == 0) {
            *first = changes[0];
        }
        count += more;
    }
    return count;
}

static bool anybody_else(const struct yo_home *home, const struct yo_home_room *hr,
                         const struct yo_change *only)
{
    return yo_home_anybody(home, hr, YOMO,
                           only ? yo_room_find(&hr->room, only->session) : NULL);
}

void yo_home_tell_untold(struct yo_home *home, struct yo_home_room *hr)
{
    struct yo_change first;
    size_t count = count_untold(hr, &first);
    int rv;

    if (count == 0) {
        return;
    }
    home->uneasy -= hr->uneasy;
    hr->uneasy = false;
    if (!anybody_else(home, hr, count == 1 ? &first : NULL)) {
        yo_room_told(&hr->room, 0);
        return; /* nobody was told anything: the next one is at once again */
    }
    rv = count == 1 ? tell_one(home, hr, &first) : tell_many(home, hr);
    if (rv != YOMO_OK) {
        yo_home_lose(home, hr, YOMO, NULL);
    }
    yo_metric_add(&home->metrics->changes, count);
    yo_metric_add(&home->metrics->change_batches, 1);
    yo_room_told(&hr->room, count);
    cool(home, hr);
}

/* --- the extension: when -----------------------------------------------------------
 */

static bool is_cooling(const struct yo_home *home, const struct yo_home_room *hr)
{
    return !yo_list_empty(&hr->cooling) && home->now < hr->cool_at;
}

void yo_home_changed(struct yo_home *home, struct yo_home_room *hr)
{
    if (hr->room.untold_count == 0) {
        home->uneasy -= hr->uneasy; /* who came has left again */
        hr->uneasy = false;
    } else if (!is_cooling(home, hr)) {
        yo_home_tell_untold(home, hr);
    } else if (!hr->uneasy) {
        hr->uneasy = true;
        home->uneasy++;
    }
}

void yo_home_tell_before(struct yo_home *home, struct yo_home_room *hr,
                         const struct yo_member *member)
{
    if (member && member->untold.what != 0) {
        yo_home_tell_untold(home, hr);
    }
}

yo_time yo_home_changes_deadline(const struct yo_home *home)
{
    return home->uneasy > 0
               ? YO_CONTAINER(home->cooling.next, struct yo_home_room, cooling)->cool_at
               : YO_NEVER;
}

void yo_home_changes_tick(struct yo_home *home, yo_time now)
{
    home->now = now;
    while (!yo_list_empty(&home->cooling)) {
        struct yo_home_room *hr =
            YO_CONTAINER(home->cooling.next, struct yo_home_room, cooling);
        if (hr->cool_at > now) {
            break;
        }
        yo_list_remove(&hr->cooling);
        yo_home_changed(home, hr);
    }
}

void yo_home_changes_forget(struct yo_home *home, struct yo_home_room *hr)
{
    home->uneasy -= hr->uneasy;
    hr->uneasy = false;
    yo_list_remove(&hr->cooling);
}
