/* SPDX-License-Identifier: MIT */
/* values.c - what the members of a room share, at its home: values with their versions,
 * and locks (presence/values.h).
 *
 * Each change takes a place in the room's order, which is its version, and is told to
 * all who speak the extension, its author too, among the room's reliable messages. What
 * can fail comes before the change; where a lock changes hands because its holder is
 * gone, and there is no memory to tell of it, members come again (home.c). Leases are
 * measured by the loop's clock, which does not jump. */
#include "base/check.h"
#include "server/events.h"
#include "server/home.h"
#include "session/told.h"
#include "wire/encode.h"
#include "wire/msgpack.h"

#define PAGE_VALUES_MAX 100u
#define PAGE_SIZE_MAX 16384u

enum { YOMO = YO_DIALECT_YOMO };

static int encode(struct yo_home *home, const struct yo_home_room *hr, enum yo_op op,
                  struct yo_span key, struct yo_span payload, uint64_t session,
                  struct yo_span who, struct yo_telling *telling)
{
    const struct yo_message message = {.op = op,
                                       .channel = hr->name,
                                       .key = key,
                                       .payload = payload,
                                       .session = session,
                                       .peer = who,
                                       .sequence = hr->room.sequence + 1};

    *telling = (struct yo_telling){.delivery = YOMO_RELIABLE, .expires = YO_NEVER};
    return yo_encode_blob(&telling->encoded[YOMO], home->mem, YO_DIALECT_YOMO,
                          &message);
}

/* It has happened. */
static uint64_t tell(struct yo_home *home, struct yo_home_room *hr, uint64_t session,
                     const struct yo_telling *telling)
{
    uint64_t place = yo_room_place(&hr->room, session, true);

    hr->shares = true;
    yo_home_tell(home, hr, telling);
    return place;
}

/* Is some worker that would have to hear this too far behind? */
static bool overloaded(const struct yo_home *home, const struct yo_home_room *hr)
{
    for (uint32_t w = 0; w < home->office->count; w++) {
        if (hr->at[w].members[YOMO] > 0 && yo_desk_full(&home->office->desks[w])) {
            return true;
        }
    }
    return false;
}

/* When the first lease of this room is over; there is room for that. */
static void time_leases(struct yo_home *home, struct yo_home_room *hr)
{
    yo_time due = yo_values_deadline(&hr->values);
    int rv = YOMO_OK;

    if (due == YO_NEVER) {
        yo_heap_remove(&home->leases, &hr->lease);
    } else {
        rv = yo_heap_set(&home->leases, &hr->lease, due);
    }
    assert(rv == YOMO_OK);
    (void)rv;
}

/* --- values --- */

/* `*place`: of the change, or the version that is there. */
static int set(struct yo_home *home, struct yo_home_room *hr, struct yo_value_wish wish,
               struct yo_span who, uint64_t *place)
{
    struct yo_telling telling = {0};
    int rv = overloaded(home, hr) ? YOMO_ERR_FULL : YOMO_OK;

    if (rv == YOMO_OK) {
        wish.who = yo_blob_create(home->mem, who);
        rv = wish.who ? encode(home, hr, YO_OP_VALUE, wish.key,
                               wish.data ? yo_blob_span(wish.data) : YO_SPAN_NONE,
                               wish.session, who, &telling)
                      : YOMO_ERR_NOMEM;
    }
    if (rv == YOMO_OK) {
        rv = yo_values_set(&hr->values, &wish, hr->room.sequence + 1, place);
    }
    if (rv == YOMO_OK) {
        *place = tell(home, hr, wish.session, &telling);
        yo_metric_add(&home->metrics->value_changes, 1);
        yo_home_tell_value(home, hr, &wish, who, *place);
    } else if (rv == YOMO_ERR_CONFLICT) {
        yo_metric_add(&home->metrics->value_conflicts, 1);
    }
    yo_telling_finish(&telling);
    yo_blob_unref(wish.who);
    return rv;
}

/* The option that a change of `key` was refused by. */
static const char *limit_of(const struct yo_home *home, const struct yo_home_room *hr,
                            const struct yo_note *note, int rv)
{
    const struct yo_values *values = &hr->values;
    const struct yo_value *there = note->kind == YO_NOTE_LOCK
                                       ? yo_values_get_lock(values, note->key)
                                       : yo_values_get(values, note->key);

    if (rv == YOMO_ERR_TOO_BIG) {
        return "value-size-max";
    }
    if (rv != YOMO_ERR_FULL || overloaded(home, hr)) {
        return NULL;
    }
    if (there && note->kind == YO_NOTE_LOCK && there->waiting >= values->bounds.line) {
        return "lock-line-max";
    }
    return !there && values->count >= values->bounds.count ? "values-max"
                                                           : "values-memory";
}

static void done(struct yo_home *home, const struct yo_home_room *hr,
                 struct yo_note *note, int rv, uint64_t place)
{
    note->limit = hr && rv != YOMO_OK ? limit_of(home, hr, note, rv) : NULL;
    if (rv == YOMO_ERR_NOMEM || rv == YOMO_ERR_NOT_FOUND) {
        yo_metric_add(rv == YOMO_ERR_NOMEM ? &home->metrics->dropped_memory
                                           : &home->metrics->dropped_not_joined,
                      1);
    } else if (rv == YOMO_ERR_FULL || rv == YOMO_ERR_TOO_BIG) {
        yo_metric_add(&home->metrics->dropped_limit, 1);
    } else if (rv == YOMO_ERR_RATE) {
        yo_metric_add(&home->metrics->dropped_rate, 1);
    }
    if (note->number != 0) {
        yo_home_answer(home, note, YO_NOTE_CONFIRM, rv, place);
    } else {
        yo_note_free(note);
    }
}

void yo_home_value(struct yo_home *home, struct yo_note *note)
{
    struct yo_home_room *hr = yo_home_find(home, note->room);
    struct yo_member *member = hr ? yo_room_find(&hr->room, note->session) : NULL;
    uint64_t place = 0;
    int rv = YOMO_ERR_NOT_FOUND;

    if (member) {
        rv = yo_home_take_quota(home, hr, &hr->messages);
    }
    if (rv == YOMO_OK) {
        yo_home_tell_before(home, hr, member);
        rv = set(home, hr,
                 (struct yo_value_wish){.key = note->key,
                                        .data = note->payload,
                                        .conditional = note->versioned,
                                        .expected = note->version,
                                        .session = note->session},
                 yo_span_of(member->id), &place);
    }
    done(home, hr, note, rv, place);
}

int yo_home_host_value(struct yo_home *home, struct yo_span room,
                       const struct yo_value_wish *wish, struct yo_span who,
                       uint64_t *version, yo_time now)
{
    struct yo_home_room *hr = yo_home_find_named(home, room);

    *version = 0;
    home->now = now;
    if (!hr || hr->loading || hr->closing) {
        return YOMO_ERR_NOT_FOUND;
    }
    return set(home, hr, *wish, who, version);
}

const struct yo_value *yo_home_look_up(const struct yo_home *home, struct yo_span room,
                                       struct yo_span key)
{
    const struct yo_home_room *hr = yo_home_find_named(home, room);

    return hr && !hr->loading ? yo_values_get(&hr->values, key) : NULL;
}

/* --- locks --- */

/* Its holder is gone, gives it back or has had its time: to the next in line. */
static uint64_t pass_on(struct yo_home *home, struct yo_home_room *hr,
                        struct yo_value *lock)
{
    uint8_t name[YO_VALUE_KEY_MAX];
    struct yo_span key = yo_value_key(lock);
    struct yo_span who = YO_SPAN_NONE;
    struct yo_telling telling = {0};
    uint64_t session = 0, place;

    memcpy(name, key.data, key.size);
    key.data = name;
    if (lock->waiting > 0) {
        session = yo_lock_next(lock);
        yo_home_tell_before(home, hr, yo_room_find(&hr->room, session));
    }
    if (yo_values_pass(&hr->values, lock, hr->room.sequence + 1, home->now)) {
        who = lock->who ? yo_blob_span(lock->who) : YO_SPAN_NONE;
        yo_metric_add(&home->metrics->locks_taken, 1);
    }
    if (encode(home, hr, YO_OP_LOCK, key, YO_SPAN_NONE, session, who, &telling) !=
        YOMO_OK) {
        yo_home_lose(home, hr, YOMO, NULL);
    }
    place = tell(home, hr, session, &telling);
    yo_telling_finish(&telling);
    time_leases(home, hr);
    return place;
}

static int lock(struct yo_home *home, struct yo_home_room *hr,
                const struct yo_note *note, const struct yo_member *member,
                uint64_t *place)
{
    struct yo_span who = yo_span_of(member->id);
    uint64_t ms = note->lease_ms < home->config->lease_max_ms
                      ? note->lease_ms
                      : home->config->lease_max_ms;
    struct yo_lock_wish wish = {.key = note->key,
                                .session = note->session,
                                .lease = ms * YO_MS,
                                .wait = note->wait};
    enum yo_lock_outcome outcome = YO_LOCK_RENEWED;
    struct yo_telling telling = {0};
    int rv = overloaded(home, hr)
                 ? YOMO_ERR_FULL
                 : yo_heap_reserve(&home->leases, home->leases.count + 1);

    if (rv == YOMO_OK && !(wish.who = yo_blob_create(home->mem, who))) {
        rv = YOMO_ERR_NOMEM;
    }
    if (rv == YOMO_OK && !yo_values_get_lock(&hr->values, note->key)) {
        rv = encode(home, hr, YO_OP_LOCK, note->key, YO_SPAN_NONE, note->session, who,
                    &telling);
    }
    if (rv == YOMO_OK) {
        rv = yo_values_lock(&hr->values, &wish, hr->room.sequence + 1, home->now,
                            &outcome, place);
    }
    if (rv == YOMO_OK && outcome == YO_LOCK_TAKEN) {
        *place = tell(home, hr, note->session, &telling);
        yo_metric_add(&home->metrics->locks_taken, 1);
    } else if (rv == YOMO_OK && outcome == YO_LOCK_WAITS) {
        *place = 0;
    }
    if (rv == YOMO_OK) {
        time_leases(home, hr);
    }
    yo_telling_finish(&telling);
    yo_blob_unref(wish.who);
    return rv;
}

static int unlock(struct yo_home *home, struct yo_home_room *hr,
                  const struct yo_note *note, uint64_t *place)
{
    struct yo_value *found = yo_values_get_lock(&hr->values, note->key);

    if (found && found->session == note->session) {
        *place = pass_on(home, hr, found);
        return YOMO_OK;
    }
    return found && yo_values_step_out(&hr->values, found, note->session)
               ? YOMO_OK
               : YOMO_ERR_NOT_FOUND;
}

void yo_home_lock(struct yo_home *home, struct yo_note *note)
{
    struct yo_home_room *hr = yo_home_find(home, note->room);
    struct yo_member *member = hr ? yo_room_find(&hr->room, note->session) : NULL;
    const struct yo_value *held;
    uint64_t place = 0;
    int rv = YOMO_ERR_NOT_FOUND;

    if (member) {
        held = yo_values_get_lock(&hr->values, note->key);
        /* Who holds it is not kept from beginning the lease anew, or giving it back. */
        rv = note->lease_ms == 0 || (held && held->session == note->session)
                 ? YOMO_OK
                 : yo_home_take_quota(home, hr, &hr->messages);
    }
    if (rv == YOMO_OK) {
        yo_home_tell_before(home, hr, member);
        rv = note->lease_ms > 0 ? lock(home, hr, note, member, &place)
                                : unlock(home, hr, note, &place);
    }
    done(home, hr, note, rv, place);
}

void yo_home_locks_leave(struct yo_home *home, struct yo_home_room *hr,
                         uint64_t session, bool broke)
{
    struct yo_value *held;

    if (hr->values.lock_count == 0) {
        return;
    }
    yo_values_step_out_all(&hr->values, session);
    while (!broke && (held = yo_values_held_by(&hr->values, session)) != NULL) {
        (void)pass_on(home, hr, held);
    }
}

void yo_home_leases_tick(struct yo_home *home, yo_time now)
{
    struct yo_heap_node *node;

    home->now = now;
    while ((node = yo_heap_first(&home->leases)) != NULL && node->when <= now) {
        struct yo_home_room *hr = YO_CONTAINER(node, struct yo_home_room, lease);
        struct yo_value *expired;
        while ((expired = yo_values_expired(&hr->values, now)) != NULL) {
            yo_metric_add(&home->metrics->leases_expired, 1);
            (void)pass_on(home, hr, expired);
        }
        time_leases(home, hr);
    }
}

yo_time yo_home_leases_deadline(const struct yo_home *home)
{
    const struct yo_heap_node *node = yo_heap_first(&home->leases);

    return node ? node->when : YO_NEVER;
}

/* --- pages --- */

struct pages {
    struct yo_home *home;
    struct yo_home_room *hr;
    struct yo_note *note;  /* gets them as parcels, or ... */
    struct yo_told *told;  /* ... this one */
    struct yo_buf entries; /* of the page in the making */
    uint32_t count;
};

static int put_page(struct pages *pages, size_t size, bool more)
{
    struct yo_message page = {.op = YO_OP_VALUES,
                              .channel = pages->hr->name,
                              .sequence = pages->told ? pages->hr->room.sequence : 0,
                              .more = more};
    struct yo_blob *blob = NULL;
    struct yo_buf array;
    int rv;

    yo_buf_init(&array, pages->home->mem);
    yo_mp_put_array(&array, pages->count);
    yo_mp_put_raw(&array, yo_span(pages->entries.data, size));
    page.members = yo_buf_span(&array);
    rv = array.failed ? YOMO_ERR_NOMEM
                      : yo_encode_blob(&blob, pages->home->mem, YO_DIALECT_YOMO, &page);
    yo_buf_finish(&array);
    if (rv == YOMO_OK && pages->told) {
        rv = yo_told_add_other(pages->told, blob);
        yo_blob_unref(blob);
    } else if (rv == YOMO_OK) {
        rv = yo_home_add_parcel(pages->home, pages->note, blob);
    }
    return rv;
}

static int put_value(struct pages *pages, const struct yo_value *value)
{
    const struct yo_wire_value entry = {
        .key = yo_value_key(value),
        .payload = value->data ? yo_blob_span(value->data) : YO_SPAN_NONE,
        .version = value->version,
        .session = value->session,
        .peer = value->who ? yo_blob_span(value->who) : YO_SPAN_NONE,
        .lock = value->data == NULL};
    size_t before = pages->entries.size;
    int rv = yo_value_write(&pages->entries, &entry);

    if (rv == YOMO_OK && pages->count > 0 &&
        (pages->count == PAGE_VALUES_MAX || pages->entries.size > PAGE_SIZE_MAX)) {
        rv = put_page(pages, before, true);
        yo_buf_consume(&pages->entries, before);
        pages->count = 0;
    }
    pages->count++;
    return rv;
}

static int put_pages(struct pages *pages)
{
    int rv = YOMO_OK;

    yo_buf_init(&pages->entries, pages->home->mem);
    YO_LIST_EACH(link, next, &pages->hr->values.values)
    {
        rv = rv == YOMO_OK ? put_value(pages, YO_CONTAINER(link, struct yo_value, link))
                           : rv;
    }
    YO_LIST_EACH(lock_link, next_lock, &pages->hr->values.locks)
    {
        rv = rv == YOMO_OK
                 ? put_value(pages, YO_CONTAINER(lock_link, struct yo_value, link))
                 : rv;
    }
    rv = rv == YOMO_OK ? put_page(pages, pages->entries.size, false) : rv;
    yo_buf_finish(&pages->entries);
    return rv;
}

int yo_home_show_values(struct yo_home *home, struct yo_home_room *hr,
                        struct yo_note *join)
{
    struct pages pages = {.home = home, .hr = hr, .note = join};

    return hr->values.count > 0 ? put_pages(&pages) : YOMO_OK;
}

int yo_home_tell_values(struct yo_home *home, struct yo_home_room *hr,
                        struct yo_told *told)
{
    struct pages pages = {.home = home, .hr = hr, .told = told};

    return hr->shares ? put_pages(&pages) : YOMO_OK;
}
