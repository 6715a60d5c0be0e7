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
 *  1. a room is in `rooms` while it has members, and no longer;
 *  2. the sums of at[].members are room.count and room.count_presencejs;
 *  3. at[w].lost is there, or under way, while worker w has members. */
#include "server/home.h"

#include "base/check.h"

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
}

static void room_free(struct yo_home *home, struct yo_home_room *hr)
{
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
        room_free(home, YO_CONTAINER(node, struct yo_home_room, node));
    }
    yo_map_finish(&home->rooms);
    yo_buf_finish(&home->slot);
}

struct yo_home_room *yo_home_find(struct yo_home *home, const struct yo_blob *key)
{
    struct yo_map_node *node = yo_map_get(&home->rooms, yo_blob_span(key));

    return node ? YO_CONTAINER(node, struct yo_home_room, node) : NULL;
}

int yo_home_open(struct yo_home *home, struct yo_blob *key, struct yo_home_room **out)
{
    struct yo_home_room *hr;
    int rv;

    if (home->rooms.count >= home->config->rooms_max) {
        return YOMO_ERR_FULL;
    }
    hr = yo_calloc(home->mem, 1, sizeof(*hr) + home->office->count * sizeof(hr->at[0]));
    if (!hr) {
        return YOMO_ERR_NOMEM;
    }
    rv = yo_room_init(&hr->room, home->mem, yo_room_key_app(key), yo_room_key_name(key),
                      home->config->members_max);
    if (rv != YOMO_OK) {
        yo_free(home->mem, hr);
        return rv;
    }
    hr->key = yo_blob_ref(key);
    hr->name = yo_room_key_name(key);
    rv = yo_map_put(&home->rooms, &hr->node, yo_blob_span(key));
    if (rv != YOMO_OK) {
        room_free(home, hr);
        return rv;
    }
    yo_metric_set(&home->metrics->rooms, home->rooms.count);
    *out = hr;
    return YOMO_OK;
}

void yo_home_drop_if_empty(struct yo_home *home, struct yo_home_room *hr)
{
    if (hr->room.count > 0) {
        return;
    }
    yo_map_remove(&home->rooms, &hr->node);
    room_free(home, hr);
    yo_metric_set(&home->metrics->rooms, home->rooms.count);
}

void yo_home_answer(struct yo_home *home, struct yo_note *note, enum yo_note_kind kind,
                    int error, uint64_t sequence)
{
    yo_note_turn(note, kind, error, sequence);
    yo_office_put(home->office, note->from, note);
}

void yo_home_take(struct yo_home *home, struct yo_note *note, yo_time now)
{
    (void)now;
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
    case YO_NOTE_MOVE:
        yo_home_answer(home, note, YO_NOTE_DEPARTED, yo_home_move(home, note), 0);
        break;
    case YO_NOTE_PUBLISH:
        yo_home_publish(home, note);
        break;
    default:
        assert(!"a note for members came to a home");
    }
}
