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
#include "loop/loop.h"
#include "wire/encode.h"

enum { YOMO = YO_DIALECT_YOMO, PRESENCEJS = YO_DIALECT_PRESENCEJS };

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

static struct yo_home_room *room_find(struct yo_home *home, const struct yo_blob *key)
{
    struct yo_map_node *node = yo_map_get(&home->rooms, yo_blob_span(key));

    return node ? YO_CONTAINER(node, struct yo_home_room, node) : NULL;
}

static int room_make(struct yo_home *home, struct yo_blob *key,
                     struct yo_home_room **out)
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

static void room_drop_if_empty(struct yo_home *home, struct yo_home_room *hr)
{
    if (hr->room.count > 0) {
        return;
    }
    yo_map_remove(&home->rooms, &hr->node);
    room_free(home, hr);
    yo_metric_set(&home->metrics->rooms, home->rooms.count);
}

/* The note goes back to the worker that wrote it. */
static void answer(struct yo_home *home, struct yo_note *note, enum yo_note_kind kind,
                   int error, uint64_t sequence)
{
    yo_note_turn(note, kind, error, sequence);
    yo_office_put(home->office, note->from, note);
}

/* --- joining and leaving --------------------------------------------------------- */

static int let_in(struct yo_home *home, struct yo_home_room *hr, struct yo_note *note,
                  struct yo_member **member, struct yo_changes *changes)
{
    struct yo_presence_at *at = &hr->at[note->from];
    struct yo_room_entry entry = {.session = note->session,
                                  .id = note->id,
                                  .label = note->label,
                                  .state = note->payload,
                                  .since_ms = note->since_ms,
                                  .presencejs = note->presencejs,
                                  .seat = (void *)(uintptr_t)note->from};
    int rv;

    if (!at->lost) {
        at->lost = yo_note_create(home->mem, YO_NOTE_LOST, hr->key, YO_SPAN_NONE,
                                  YO_SPAN_NONE, YO_SPAN_NONE, YO_SPAN_NONE);
    }
    rv = at->lost ? yo_home_snapshot(home, hr, note) : YOMO_ERR_NOMEM;
    if (rv == YOMO_OK) {
        rv = yo_room_join(&hr->room, &entry, member, changes);
    }
    if (rv == YOMO_OK) {
        at->members[note->presencejs ? PRESENCEJS : YOMO]++;
    }
    return rv;
}

static void join(struct yo_home *home, struct yo_note *note)
{
    struct yo_home_room *hr = room_find(home, note->room);
    struct yo_changes changes = {0};
    struct yo_member *member = NULL;
    int rv = hr ? YOMO_OK : room_make(home, note->room, &hr);

    if (rv == YOMO_OK) {
        rv = let_in(home, hr, note, &member, &changes);
    }
    if (rv == YOMO_OK) {
        yo_metric_add(&home->metrics->joins, 1);
        answer(home, note, YO_NOTE_JOINED, YOMO_OK, hr->room.sequence);
        yo_home_tell_changes(home, hr, &changes, member);
        yo_changes_finish(&changes);
        return;
    }
    if (hr) {
        room_drop_if_empty(home, hr);
    }
    yo_metric_add(&home->metrics->joins_refused, 1);
    answer(home, note, YO_NOTE_REFUSED, rv, 0);
}

static void leave(struct yo_home *home, struct yo_note *note)
{
    struct yo_home_room *hr = room_find(home, note->room);
    struct yo_member *member = hr ? yo_room_find(&hr->room, note->session) : NULL;
    struct yo_changes changes = {0};
    struct yo_presence_at *at;

    if (member) { /* else it was refused */
        at = &hr->at[yo_home_worker_of(member)];
        at->members[member->presencejs ? PRESENCEJS : YOMO]--;
        (void)yo_room_leave(&hr->room, note->session, &changes);
        yo_home_tell_changes(home, hr, &changes, NULL);
        yo_changes_finish(&changes);
        if (at->members[YOMO] + at->members[PRESENCEJS] == 0) {
            yo_note_free(at->lost);
            at->lost = NULL;
        }
        room_drop_if_empty(home, hr);
    }
    answer(home, note, YO_NOTE_LEFT, YOMO_OK, 0);
}

static int move(struct yo_home *home, struct yo_note *note)
{
    struct yo_home_room *hr = room_find(home, note->room);
    struct yo_member *member = hr ? yo_room_find(&hr->room, note->session) : NULL;
    struct yo_presence_at *from, *to;

    if (!member) {
        return YOMO_ERR_NOT_FOUND; /* it was refused */
    }
    from = &hr->at[yo_home_worker_of(member)];
    to = &hr->at[note->to];
    if (!to->lost) {
        to->lost = yo_note_create(home->mem, YO_NOTE_LOST, hr->key, YO_SPAN_NONE,
                                  YO_SPAN_NONE, YO_SPAN_NONE, YO_SPAN_NONE);
    }
    if (!to->lost) {
        return YOMO_ERR_NOMEM;
    }
    to->members[YOMO]++; /* presencejs does not move */
    from->members[YOMO]--;
    member->seat = (void *)(uintptr_t)note->to;
    if (from->members[YOMO] + from->members[PRESENCEJS] == 0) {
        yo_note_free(from->lost);
        from->lost = NULL;
    }
    note->twin->kind = YO_NOTE_ARRIVED;
    yo_office_put(home->office, note->to, note->twin);
    note->twin = NULL;
    return YOMO_OK;
}

static void state(struct yo_home *home, struct yo_note *note)
{
    struct yo_home_room *hr = room_find(home, note->room);
    struct yo_member *member = hr ? yo_room_find(&hr->room, note->session) : NULL;
    struct yo_changes changes = {0};
    int rv = YOMO_ERR_NOT_FOUND;

    if (member && note->payload) {
        rv = yo_room_set_state(&hr->room, note->session, note->payload, note->label,
                               &changes);
    }
    if (rv == YOMO_OK) {
        yo_home_tell_changes(home, hr, &changes, member);
        yo_changes_finish(&changes);
    } else {
        yo_metric_add(rv == YOMO_ERR_NOMEM ? &home->metrics->dropped_memory
                                           : &home->metrics->dropped_not_joined,
                      1);
    }
    if (note->number != 0) {
        answer(home, note, YO_NOTE_CONFIRM, rv, hr ? hr->room.sequence : 0);
    } else {
        yo_note_free(note);
    }
}

/* --- broadcasts ------------------------------------------------------------------ */

static int encode_data(struct yo_home *home, struct yo_home_room *hr,
                       const struct yo_note *note, const struct yo_member *author,
                       uint64_t sequence, int dialect, struct yo_blob **out)
{
    struct yo_message message = {.op = YO_OP_DATA,
                                 .channel = hr->name,
                                 .payload = yo_blob_span(note->payload),
                                 .mesh = yo_span_of(home->config->mesh)};

    if (dialect == PRESENCEJS) {
        /* By the name under which presencejs has the sender among its peers. */
        message.peer = author ? yo_span_of(author->label) : note->id;
        return yo_encode_blob(out, home->mem, YO_DIALECT_PRESENCEJS, &message);
    }
    message.peer = author ? yo_span_of(author->id) : note->id;
    message.session = note->session;
    message.delivery = note->delivery;
    message.sequence = sequence;
    if (note->delivery == YOMO_LATEST) {
        message.key = note->key.size > 0 ? note->key : YO_SPAN_NONE;
        message.version = note->version;
    }
    return yo_encode_blob(out, home->mem, YO_DIALECT_YOMO, &message);
}

/* Is some worker that would have to hear this so far behind that it must not get more?
 */
static bool overloaded(struct yo_home *home, const struct yo_home_room *hr,
                       const struct yo_member *author)
{
    for (uint32_t w = 0; w < home->office->count; w++) {
        if (yo_home_listeners(hr, w, YOMO, author) +
                    yo_home_listeners(hr, w, PRESENCEJS, author) >
                0 &&
            yo_desk_full(&home->office->desks[w])) {
            return true;
        }
    }
    return false;
}

static int publish_in(struct yo_home *home, struct yo_home_room *hr,
                      struct yo_note *note, const struct yo_member *author,
                      uint64_t *sequence)
{
    struct yo_telling telling = {.author = author,
                                 .delivery = note->delivery,
                                 .version = note->version,
                                 /* What a program sent as reliable is repeated towards
                                  * presencejs too; a page expects of its own datagrams,
                                  * and of those of other pages, what datagrams do. */
                                 .insist = note->delivery == YOMO_RELIABLE &&
                                           !note->presencejs};
    int rv = YOMO_OK;

    if (overloaded(home, hr, author)) {
        return YOMO_ERR_FULL;
    }
    if (note->delivery == YOMO_LATEST) {
        yo_buf_clear(&home->slot);
        rv = yo_outbox_slot(&home->slot, note->session, hr->name, note->event,
                            note->key);
        telling.slot = yo_buf_span(&home->slot);
    }
    /* The number is given last, so that what failed leaves no gap. */
    *sequence = note->delivery == YOMO_RELIABLE ? hr->room.sequence + 1 : 0;
    for (int d = 0; d < YO_DIALECTS && rv == YOMO_OK; d++) {
        if (yo_home_anybody(home, hr, d, author)) {
            rv = encode_data(home, hr, note, author, *sequence, d, &telling.encoded[d]);
        }
    }
    if (rv == YOMO_OK) {
        uint64_t given =
            yo_room_place(&hr->room, note->session, note->delivery == YOMO_RELIABLE);
        assert(given == *sequence);
        (void)given;
        yo_home_tell(home, hr, &telling);
    }
    yo_telling_finish(&telling);
    return rv;
}

static void publish(struct yo_home *home, struct yo_note *note)
{
    struct yo_home_room *hr = room_find(home, note->room);
    const struct yo_member *author = NULL;
    uint64_t sequence = 0;
    int rv = YOMO_ERR_NOT_FOUND;
    bool broken;

    if (hr && note->session != 0) {
        author = yo_room_find(&hr->room, note->session);
    }
    if (hr && (author || note->session == 0)) {
        rv = publish_in(home, hr, note, author, &sequence);
    } else if (note->session == 0) {
        yo_note_free(note); /* the host speaks to a room that is not there */
        return;
    }
    if (rv != YOMO_OK) {
        yo_metric_add(rv == YOMO_ERR_FULL    ? &home->metrics->dropped_overload
                      : rv == YOMO_ERR_NOMEM ? &home->metrics->dropped_memory
                                             : &home->metrics->dropped_not_joined,
                      1);
    }
    /* A RELIABLE message that is lost without a word would break its promise, so its
     * sender is told in any case: the local side closes it when it cannot say more. */
    broken = note->delivery == YOMO_RELIABLE &&
             (rv == YOMO_ERR_FULL || rv == YOMO_ERR_NOMEM);
    if (note->session != 0 && (note->number != 0 || broken)) {
        answer(home, note, YO_NOTE_CONFIRM, rv, sequence);
    } else {
        yo_note_free(note);
    }
}

void yo_home_take(struct yo_home *home, struct yo_note *note, yo_time now)
{
    (void)now;
    switch (note->kind) {
    case YO_NOTE_JOIN:
        join(home, note);
        break;
    case YO_NOTE_BOUNCE:
        answer(home, note, YO_NOTE_REFUSED, note->error, 0);
        break;
    case YO_NOTE_LEAVE:
        leave(home, note);
        break;
    case YO_NOTE_STATE:
        state(home, note);
        break;
    case YO_NOTE_MOVE:
        answer(home, note, YO_NOTE_DEPARTED, move(home, note), 0);
        break;
    case YO_NOTE_PUBLISH:
        publish(home, note);
        break;
    default:
        assert(!"a note for members came to a home");
    }
}
