/* SPDX-License-Identifier: MIT */
/* home.c
 *
 * The happy path: a note arrives, the room changes (presence/room.h says what follows),
 * what follows is encoded, and each worker with somebody to tell gets a note. What
 * arrived goes back as the answer: every JOIN and LEAVE has exactly one, in their
 * order.
 *
 * Possible failures: no memory. A join, a state or a broadcast that cannot be told to
 * everybody is refused before anything changed where that is possible. Where it is not
 * (somebody left, and the others must hear it) the workers that cannot be told get the
 * note `lost`, made when their first member came; they send their members away to come
 * again, which repairs everything.
 *
 * Invariants:
 *  1. a room is in `rooms` while it has members, and lingers there for a while after;
 *     it is in `lingering` exactly then;
 *  2. the sum of at[].members is all members of the room, observers too;
 *  3. at[w].lost is there, or under way, while worker w has members;
 *  4. a room that has members is counted in its application, `app`. */
#include "server/home.h"

#include "base/check.h"
#include "base/rand.h"
#include "server/apps.h"
#include "server/events.h"

#define SWEEP_MAX 1000 /* rooms that one tick looks at for what is too old */

void yo_home_init(struct yo_home *home, const struct yomo_mem *mem,
                  const struct yo_config *config, struct yo_office *office,
                  struct yo_metrics *metrics)
{
    home->mem = mem;
    home->config = config;
    home->office = office;
    home->metrics = metrics;
    yo_map_init(&home->rooms, mem);
    yo_buf_init(&home->slot, mem);
    yo_buf_init(&home->named, mem);
    yo_buf_init(&home->sessions, mem);
    yo_list_init(&home->lingering);
    yo_list_init(&home->keeping);
    yo_list_init(&home->cooling);
    home->uneasy = 0;
    yo_heap_init(&home->leases, mem);
    yo_list_init(&home->loading);
    home->lingering_count = 0;
    home->store = NULL;
    home->apps = NULL;
    home->events = NULL;
    home->loads = 0;
    home->now = 0;
}

int yo_home_take_share(struct yo_home *home, const struct yo_blob *key,
                       struct yo_app **share)
{
    *share = NULL;
    return home->apps
               ? yo_apps_more(home->apps, yo_room_key_app(key), YO_APP_ROOMS, share)
               : YOMO_OK;
}

void yo_home_give_share(struct yo_home *home, struct yo_app *share)
{
    if (share) {
        yo_apps_less(home->apps, share, YO_APP_ROOMS);
        yo_apps_unref(home->apps, share);
    }
}

static void room_free(struct yo_home *home, struct yo_home_room *hr)
{
    struct yo_link *link;

    yo_home_give_share(home, hr->app);
    yo_home_store_rest(home, hr);
    while ((link = yo_list_pop_front(&hr->waiting)) != NULL) { /* all ends */
        yo_note_free(YO_CONTAINER(YO_CONTAINER(link, struct yo_letter, link),
                                  struct yo_note, letter));
    }
    yo_list_remove(&hr->load);
    yo_list_remove(&hr->linger);
    yo_list_remove(&hr->keep);
    yo_home_changes_forget(home, hr);
    yo_history_finish(&hr->history);
    yo_absent_finish(&hr->absent);
    yo_heap_remove(&home->leases, &hr->lease);
    yo_values_finish(&hr->values);
    for (uint32_t w = 0; w < home->office->count; w++) {
        yo_note_free(hr->at[w].lost);
    }
    yo_room_finish(&hr->room);
    yo_blob_unref(hr->key);
    yo_free(home->mem, hr);
}

void yo_home_finish(struct yo_home *home)
{
    struct yo_map_node *node, *next;

    for (node = yo_map_next(&home->rooms, NULL); node; node = next) {
        next = yo_map_next(&home->rooms, node);
        yo_map_remove(&home->rooms, node);
        yo_home_tell_gone(home, YO_CONTAINER(node, struct yo_home_room, node), true);
        room_free(home, YO_CONTAINER(node, struct yo_home_room, node));
    }
    yo_map_finish(&home->rooms);
    yo_heap_finish(&home->leases);
    yo_buf_finish(&home->slot);
    yo_buf_finish(&home->named);
    yo_buf_finish(&home->sessions);
}

int yo_home_take_quota(struct yo_home *home, struct yo_home_room *hr,
                       struct yo_quota *quota)
{
    struct yo_span app = yo_room_key_app(hr->key);
    uint32_t left_out;

    if (yo_quota_take(quota, home->now)) {
        return YOMO_OK;
    }
    if (yo_log_may(&hr->complaint, &left_out, home->now)) {
        YO_LOG_WITH(home->config->log, YOMO_LOG_WARN, "server",
                    yo_log_text(yo_log_text(YO_LOG_NONE, "app", app), "room", hr->name),
                    "more %s than %s in a second; %u refused since the last line",
                    quota == &hr->joins ? "joins" : "messages",
                    quota == &hr->joins ? "room-join-rate" : "room-message-rate",
                    left_out);
    }
    return YOMO_ERR_RATE;
}

struct yo_home_room *yo_home_find_named(const struct yo_home *home, struct yo_span key)
{
    struct yo_map_node *node = yo_map_get(&home->rooms, key);

    return node ? YO_CONTAINER(node, struct yo_home_room, node) : NULL;
}

struct yo_home_room *yo_home_find(struct yo_home *home, const struct yo_blob *key)
{
    return yo_home_find_named(home, yo_blob_span(key));
}

static void count_rooms(struct yo_home *home)
{
    yo_metric_set(&home->metrics->rooms, home->rooms.count - home->lingering_count);
    yo_metric_set(&home->metrics->rooms_lingering, home->lingering_count);
}

static void drop(struct yo_home *home, struct yo_home_room *hr)
{
    assert(hr->room.members.count == 0);
    yo_home_tell_gone(home, hr, false);
    home->lingering_count -= hr->lingers;
    yo_map_remove(&home->rooms, &hr->node);
    room_free(home, hr);
    count_rooms(home);
}

static struct yo_home_room *room_make(struct yo_home *home, struct yo_blob *key)
{
    struct yo_home_room *hr =
        yo_calloc(home->mem, 1, sizeof(*hr) + home->office->count * sizeof(hr->at[0]));

    if (!hr) {
        return NULL;
    }
    if (yo_room_init(&hr->room, home->mem, yo_room_key_app(key), yo_room_key_name(key),
                     home->config->members_max) != YOMO_OK) {
        yo_free(home->mem, hr);
        return NULL;
    }
    yo_list_init(&hr->linger);
    yo_list_init(&hr->load);
    yo_list_init(&hr->waiting);
    yo_list_init(&hr->keep);
    yo_list_init(&hr->cooling);
    hr->room.observers_max = home->config->observers_max;
    yo_quota_init(&hr->messages, home->config->room_message_rate,
                  home->config->room_message_rate);
    yo_quota_init(&hr->joins, home->config->room_join_rate,
                  2 * home->config->room_join_rate);
    yo_absent_init(&hr->absent, home->mem);
    yo_history_init(&hr->history, home->mem, &home->config->shown,
                    &home->config->recent);
    hr->history.recent.on_gone = yo_home_gone;
    hr->history.recent.user = hr;
    yo_values_init(&hr->values, home->mem, &home->config->values);
    hr->key = yo_blob_ref(key);
    hr->name = yo_room_key_name(key);
    hr->epoch = yo_rand_session();
    return hr;
}

int yo_home_open(struct yo_home *home, struct yo_blob *key, struct yo_home_room **out)
{
    struct yo_home_room *hr;

    /* Those that nobody is in give way. */
    while (home->rooms.count >= home->config->rooms_max &&
           !yo_list_empty(&home->lingering)) {
        drop(home, YO_CONTAINER(home->lingering.next, struct yo_home_room, linger));
    }
    if (home->rooms.count >= home->config->rooms_max) {
        return YOMO_ERR_FULL;
    }
    hr = room_make(home, key);
    if (!hr) {
        return YOMO_ERR_NOMEM;
    }
    if (yo_map_put(&home->rooms, &hr->node, yo_blob_span(hr->key)) != YOMO_OK) {
        room_free(home, hr);
        return YOMO_ERR_NOMEM;
    }
    yo_home_load(home, hr);
    count_rooms(home);
    *out = hr;
    return YOMO_OK;
}

void yo_home_rest_if_empty(struct yo_home *home, struct yo_home_room *hr)
{
    if (hr->room.members.count > 0 || hr->loading) {
        return;
    }
    yo_home_give_share(home, hr->app);
    hr->app = NULL;
    if (hr->lingers) {
        return;
    }
    if (home->config->room_linger == 0 || hr->room.sequence == 0 || hr->closing) {
        drop(home, hr);
        return;
    }
    hr->lingers = true;
    hr->linger_until = yo_time_after(home->now, home->config->room_linger);
    yo_list_push_back(&home->lingering, &hr->linger);
    home->lingering_count++;
    count_rooms(home);
}

void yo_home_wake(struct yo_home *home, struct yo_home_room *hr)
{
    if (hr->lingers) {
        hr->lingers = false;
        yo_list_remove(&hr->linger);
        home->lingering_count--;
        count_rooms(home);
    }
}

void yo_home_tick(struct yo_home *home, yo_time now)
{
    struct yo_link looked_at;

    home->now = now;
    yo_home_store_tick(home, now);
    while (!yo_list_empty(&home->lingering)) {
        struct yo_home_room *hr =
            YO_CONTAINER(home->lingering.next, struct yo_home_room, linger);
        if (hr->linger_until > now) {
            break;
        }
        drop(home, hr);
    }
    /* Whoever reads a history lets go first of what is too old. This is about the
     * memory of rooms in which nobody speaks or reads. */
    yo_list_init(&looked_at);
    for (int i = 0; i < SWEEP_MAX && !yo_list_empty(&home->keeping); i++) {
        struct yo_home_room *hr =
            YO_CONTAINER(yo_list_pop_front(&home->keeping), struct yo_home_room, keep);
        yo_history_expire(&hr->history, now);
        if (yo_history_deadline(&hr->history) != YO_NEVER) {
            yo_list_push_back(&looked_at, &hr->keep);
        }
    }
    yo_list_splice(&home->keeping, &looked_at);
}

/* One that nobody is in may be known to the store: it is opened to be forgotten there.
 */
static struct yo_home_room *find_to_close(struct yo_home *home, struct yo_span key)
{
    struct yo_map_node *node = yo_map_get(&home->rooms, key);
    struct yo_home_room *hr = NULL;
    struct yo_blob *blob;

    if (node || !home->store) {
        return node ? YO_CONTAINER(node, struct yo_home_room, node) : NULL;
    }
    blob = yo_room_key(home->mem, key);
    if (!blob || yo_home_open(home, blob, &hr) != YOMO_OK) {
        hr = NULL;
    }
    yo_blob_unref(blob);
    return hr;
}

void yo_home_close(struct yo_home *home, struct yo_span key)
{
    struct yo_home_room *hr = find_to_close(home, key);

    if (hr) {
        hr->closing = true;
        if (hr->room.members.count == 0 && !hr->loading) {
            drop(home, hr);
        }
    }
}

void yo_home_answer(struct yo_home *home, struct yo_note *note, enum yo_note_kind kind,
                    int error, uint64_t sequence)
{
    yo_note_turn(note, kind, error, sequence);
    yo_office_put(home->office, note->from, note);
}

void yo_home_take(struct yo_home *home, struct yo_note *note, yo_time now)
{
    home->now = now;
    if (yo_home_waits(home, note)) {
        return;
    }
    switch (note->kind) {
    case YO_NOTE_JOIN:
        yo_home_join(home, note);
        break;
    case YO_NOTE_BOUNCE:
        yo_home_answer(home, note, YO_NOTE_REFUSED, note->error, 0);
        break;
    case YO_NOTE_LEAVE:
        yo_home_leave(home, note);
        break;
    case YO_NOTE_STATE:
        yo_home_state(home, note);
        break;
    case YO_NOTE_DATA:
        yo_home_data(home, note);
        break;
    case YO_NOTE_STALE:
        yo_home_stale(home, note);
        break;
    case YO_NOTE_MOVE:
        yo_home_answer(home, note, YO_NOTE_DEPARTED, yo_home_move(home, note), 0);
        break;
    case YO_NOTE_HISTORY:
        yo_home_history(home, note);
        break;
    case YO_NOTE_VALUE:
        yo_home_value(home, note);
        break;
    case YO_NOTE_LOCK:
        yo_home_lock(home, note);
        break;
    case YO_NOTE_PUBLISH:
        yo_home_publish(home, note);
        break;
    default:
        assert(!"a note for members came to a home");
    }
}
