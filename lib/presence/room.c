/* SPDX-License-Identifier: MIT */
/* room.c - invariants, asserted by yo_room_check():
 *  1. `members`, `by_activity` and `by_age` hold each member once; `count` is how many,
 *     and it never passes `members_max`; observers are in `members` only, counted in
 *     count_observers;
 *  2. `by_age` is in the order of joining;
 *  3. each member is in the list of one label, whose text it has; no label is empty;
 *  4. in a label's list those without a state come last; the first one is what
 * presencejs is shown;
 *  5. a member with a state has a version, one that never had any has 0;
 *  6. count_presencejs is how many members are presencejs;
 *  7. those of untold.c.
 *
 * What presencejs must be told follows from comparing what a label showed before a call
 * with what it shows after it. */
#include "presence/room.h"

#include "base/check.h"
#include "base/mem.h"
#include "presence/named.h"

/* All sessions that presencejs takes for one peer. */
struct yo_label {
    struct yo_map_node by_name;
    char *name;
    struct yo_link members; /* of yo_member.same_label */
    uint64_t mark;          /* yo_room.mark when it was named last */
};

static struct yo_member *of_session(struct yo_map_node *node)
{
    return YO_CONTAINER(node, struct yo_member, by_session);
}

static struct yo_member *of_activity(const struct yo_link *link)
{
    return YO_CONTAINER(link, struct yo_member, by_activity);
}

static struct yo_member *of_label(const struct yo_link *link)
{
    return YO_CONTAINER(link, struct yo_member, same_label);
}

/* Names are C strings here; whoever lets names in refuses those with a NUL inside. */
static struct yo_span until_nul(struct yo_span text)
{
    const uint8_t *nul = text.size > 0 ? memchr(text.data, 0, text.size) : NULL;

    return nul ? yo_span(text.data, (size_t)(nul - text.data)) : text;
}

static struct yo_span session_key(const uint64_t *session)
{
    return yo_span(session, sizeof(*session));
}

/* --- changes --- */

static void changes_init(struct yo_changes *changes, const struct yo_room *room)
{
    *changes = (struct yo_changes){.mem = room->mem};
}

void yo_changes_finish(struct yo_changes *changes)
{
    if (!changes || !changes->mem) {
        return;
    }
    yo_free(changes->mem, changes->gone_label);
    yo_blob_unref(changes->gone_state);
    *changes = (struct yo_changes){0};
}

static void change_add(struct yo_changes *changes, enum yo_change_kind kind,
                       const struct yo_member *member)
{
    assert(changes->count < YO_CHANGES_MAX);
    changes->list[changes->count++] = (struct yo_change){
        .kind = kind,
        .session = member->session,
        .peer = member->label,
        .state = kind == YO_CHANGE_OFFLINE ? NULL : member->state,
        .version = member->version,
        .since_ms = member->since_ms,
    };
}

static bool same_state(const struct yo_blob *a, const struct yo_blob *b)
{
    if (!a || !b) {
        return a == b;
    }
    return a == b || yo_span_equal(yo_blob_span(a), yo_blob_span(b));
}

/* --- labels --- */

static struct yo_member *label_front(const struct yo_label *label)
{
    return yo_list_empty(&label->members) ? NULL : of_label(label->members.next);
}

static struct yo_label *label_find(const struct yo_room *room, struct yo_span name)
{
    struct yo_map_node *node = yo_map_get(&room->labels, name);

    return node ? YO_CONTAINER(node, struct yo_label, by_name) : NULL;
}

/* Find or make the label; a new one is in the map already, with nobody in it. NULL: out
 * of memory. */
static struct yo_label *label_take(struct yo_room *room, struct yo_span name)
{
    struct yo_label *label = label_find(room, name);

    if (label) {
        return label;
    }
    label = yo_calloc(room->mem, 1, sizeof(*label));
    if (!label) {
        return NULL;
    }
    yo_list_init(&label->members);
    label->name = yo_strndup(room->mem, name.data, name.size);
    if (!label->name || yo_map_put(&room->labels, &label->by_name,
                                   yo_span_of(label->name)) != YOMO_OK) {
        yo_free(room->mem, label->name);
        yo_free(room->mem, label);
        return NULL;
    }
    return label;
}

/* Give the label up if nobody is in it. Its text goes to `*name` if that is wanted. */
static void label_drop(struct yo_room *room, struct yo_label *label, char **name)
{
    if (!yo_list_empty(&label->members)) {
        return;
    }
    yo_map_remove(&room->labels, &label->by_name);
    if (name) {
        *name = label->name;
    } else {
        yo_free(room->mem, label->name);
    }
    yo_free(room->mem, label);
}

/* Its state is the newest of the label; without one it goes to the end. */
static void label_enter(struct yo_label *label, struct yo_member *member)
{
    member->group = label;
    member->label = label->name;
    if (member->state) {
        yo_list_push_front(&label->members, &member->same_label);
    } else {
        yo_list_push_back(&label->members, &member->same_label);
    }
}

/* What a label shows, kept over a change of the room. The member may be gone by then,
 * so it is only compared; the state is held. */
struct shown {
    bool any;
    struct yo_blob *state;
};

static struct shown shown_of(const struct yo_label *label)
{
    struct yo_member *front = label_front(label);

    if (!front) {
        return (struct shown){false, NULL};
    }
    return (struct shown){true, front->state ? yo_blob_ref(front->state) : NULL};
}

/* Tell presencejs what `label` shows now if that is something else. Lets go of
 * `before`. */
static void tell_shown(struct yo_changes *changes, const struct yo_label *label,
                       struct shown before)
{
    struct yo_member *front = label_front(label);

    if (front && !(before.any && same_state(before.state, front->state))) {
        change_add(changes, YO_CHANGE_STATE, front);
    }
    yo_blob_unref(before.state);
}

/* --- the room --- */

int yo_room_init(struct yo_room *room, const struct yomo_mem *mem, struct yo_span app,
                 struct yo_span name, size_t members_max)
{
    *room = (struct yo_room){.mem = mem, .members_max = members_max};
    yo_map_init(&room->members, mem);
    yo_map_init(&room->labels, mem);
    yo_map_init(&room->users, mem);
    yo_list_init(&room->by_activity);
    yo_list_init(&room->by_age);
    yo_list_init(&room->untold);
    yo_list_init(&room->sheets);
    room->app = yo_strndup(mem, app.data, app.size);
    room->name = yo_strndup(mem, name.data, name.size);
    if (!room->app || !room->name) {
        yo_room_finish(room);
        return YOMO_ERR_NOMEM;
    }
    return YOMO_OK;
}

void yo_member_free(struct yo_room *room, struct yo_member *member)
{
    yo_free(room->mem, member->id);
    yo_blob_unref(member->state);
    yo_blob_unref(member->data);
    yo_free(room->mem, member);
}

void yo_room_finish(struct yo_room *room)
{
    struct yo_map_node *node, *next;

    if (!room || !room->mem) {
        return;
    }
    yo_room_told(room, 0);
    for (node = yo_map_next(&room->members, NULL); node; node = next) {
        struct yo_member *member = of_session(node);
        next = yo_map_next(&room->members, node);
        yo_map_remove(&room->members, node);
        yo_list_remove(&member->same_label);
        yo_list_remove(&member->on_sheet);
        if (member->group) {
            label_drop(room, member->group, NULL);
        }
        yo_user_leave(room, member);
        yo_member_free(room, member);
    }
    yo_sheets_finish(room);
    yo_map_finish(&room->members);
    yo_map_finish(&room->labels);
    yo_map_finish(&room->users);
    yo_free(room->mem, room->app);
    yo_free(room->mem, room->name);
    *room = (struct yo_room){0};
}

static void mark_active(struct yo_room *room, struct yo_member *member)
{
    if (member->observer) {
        return;
    }
    yo_list_remove(&member->by_activity);
    yo_list_push_front(&room->by_activity, &member->by_activity);
}

static struct yo_member *member_create(struct yo_room *room,
                                       const struct yo_room_entry *entry)
{
    struct yo_member *member = yo_calloc(room->mem, 1, sizeof(*member));

    if (!member) {
        return NULL;
    }
    member->id = yo_strndup(room->mem, entry->id.data, entry->id.size);
    if (!member->id) {
        yo_free(room->mem, member);
        return NULL;
    }
    yo_list_init(&member->by_activity);
    yo_list_init(&member->by_age);
    yo_list_init(&member->same_label);
    yo_list_init(&member->same_user);
    yo_list_init(&member->untold.link);
    yo_list_init(&member->on_sheet);
    member->session = entry->session;
    member->since_ms = entry->since_ms;
    member->presencejs = entry->presencejs;
    member->seat = entry->seat;
    member->observer = entry->observer;
    member->data = entry->data ? yo_blob_ref(entry->data) : NULL;
    if (entry->state && !entry->observer) {
        member->state = yo_blob_ref(entry->state);
        member->version = 1;
    }
    return member;
}

static bool is_full(const struct yo_room *room, bool observer)
{
    size_t count = observer ? room->count_observers : room->count;
    size_t max = observer ? room->observers_max : room->members_max;

    return max > 0 && count >= max;
}

/* It is told of everything, and nobody of it. */
static void observe(struct yo_room *room, struct yo_member *member)
{
    member->label = member->id; /* of what it says */
    yo_map_put(&room->members, &member->by_session, session_key(&member->session));
    room->count_observers++;
}

int yo_room_join(struct yo_room *room, const struct yo_room_entry *entry,
                 struct yo_member **out, struct yo_changes *changes)
{
    struct yo_span name = until_nul(entry->label.size > 0 ? entry->label : entry->id);
    struct yo_member *member;
    struct yo_label *label;
    struct yo_user *user;
    struct shown before;

    changes_init(changes, room);
    if (yo_room_find(room, entry->session)) {
        return YOMO_ERR_EXISTS;
    }
    if (is_full(room, entry->observer)) {
        return YOMO_ERR_FULL;
    }

    /* Reserve: all that can fail comes before anything changes. */
    if (yo_map_reserve(&room->members, 1) != YOMO_OK ||
        (!entry->observer && yo_sheets_reserve(room) != YOMO_OK)) {
        return YOMO_ERR_NOMEM;
    }
    member = member_create(room, entry);
    if (!member) {
        return YOMO_ERR_NOMEM;
    }
    user = yo_user_take(room, until_nul(entry->id));
    label = user && !entry->observer ? label_take(room, name) : NULL;
    if (!user || (!label && !entry->observer)) {
        if (user) {
            yo_user_drop_if_empty(room, user);
        }
        yo_member_free(room, member);
        return YOMO_ERR_NOMEM;
    }

    /* Commit. */
    yo_user_enter(user, member);
    if (out) {
        *out = member;
    }
    if (entry->observer) {
        observe(room, member);
        YO_CHECK(yo_room_check(room));
        return YOMO_OK;
    }
    before = shown_of(label);
    yo_map_put(&room->members, &member->by_session, session_key(&member->session));
    yo_list_push_front(&room->by_activity, &member->by_activity);
    yo_list_push_back(&room->by_age, &member->by_age);
    yo_sheet_enter(room, member);
    label_enter(label, member);
    room->count++;
    room->count_presencejs += member->presencejs;
    yo_untold_came(room, member);
    tell_shown(changes, label, before);
    YO_CHECK(yo_room_check(room));
    return YOMO_OK;
}

/* The member leaves its label. Presencejs is told; the text of a label that is no more
 * stays with `changes`. */
static void leave_label(struct yo_room *room, struct yo_member *member,
                        struct yo_changes *changes)
{
    struct yo_label *label = member->group;
    struct shown before = shown_of(label);

    yo_list_remove(&member->same_label);
    if (yo_list_empty(&label->members)) {
        change_add(changes, YO_CHANGE_OFFLINE, member);
    }
    tell_shown(changes, label, before);
    label_drop(room, label, &changes->gone_label);
    member->group = NULL;
    member->label = NULL;
}

int yo_room_set_state(struct yo_room *room, uint64_t session, struct yo_blob *state,
                      struct yo_span label, struct yo_changes *changes)
{
    struct yo_member *member = yo_room_find(room, session);
    struct yo_label *to;
    struct shown before;
    bool same;

    changes_init(changes, room);
    if (!member || member->observer) {
        return YOMO_ERR_NOT_FOUND;
    }
    same = same_state(member->state, state);
    label = label.size > 0 ? until_nul(label) : yo_span_of(member->id);
    if (same && yo_span_is(label, member->label)) {
        return YOMO_OK;
    }
    to = label_take(room, label);
    if (!to) {
        return YOMO_ERR_NOMEM;
    }

    if (to != member->group) {
        leave_label(room, member, changes);
    }
    before = shown_of(to);
    yo_list_remove(&member->same_label);
    if (!same) {
        changes->gone_state = member->state;
        member->state = state ? yo_blob_ref(state) : NULL;
        member->version++;
        yo_untold_state(room, member);
        yo_sheet_changed(room, member);
    }
    label_enter(to, member);
    mark_active(room, member);
    tell_shown(changes, to, before);
    YO_CHECK(yo_room_check(room));
    return YOMO_OK;
}

int yo_room_set_data(struct yo_room *room, uint64_t session, struct yo_blob *data)
{
    struct yo_member *member = yo_room_find(room, session);

    if (!member) {
        return YOMO_ERR_NOT_FOUND;
    }
    if (!same_state(member->data, data)) {
        yo_blob_unref(member->data);
        member->data = data ? yo_blob_ref(data) : NULL;
        if (!member->observer) {
            yo_untold_data(room, member);
            yo_sheet_changed(room, member);
        }
    }
    return YOMO_OK;
}

int yo_room_set_stale(struct yo_room *room, uint64_t session, bool stale,
                      struct yo_changes *changes)
{
    struct yo_member *member = yo_room_find(room, session);

    changes_init(changes, room);
    if (!member) {
        return YOMO_ERR_NOT_FOUND;
    }
    if (member->stale != stale) {
        member->stale = stale;
        if (!member->observer) {
            yo_untold_stale(room, member);
            yo_sheet_changed(room, member);
        }
    }
    return YOMO_OK;
}

int yo_room_leave(struct yo_room *room, uint64_t session, struct yo_changes *changes)
{
    struct yo_member *member = yo_room_find(room, session);

    changes_init(changes, room);
    if (!member) {
        return YOMO_ERR_NOT_FOUND;
    }
    yo_user_leave(room, member);
    yo_map_remove(&room->members, &member->by_session);
    if (member->observer) {
        room->count_observers--;
        yo_member_free(room, member);
        YO_CHECK(yo_room_check(room));
        return YOMO_OK;
    }
    leave_label(room, member, changes);
    yo_sheet_leave(room, member);
    yo_list_remove(&member->by_activity);
    yo_list_remove(&member->by_age);
    room->count--;
    room->count_presencejs -= member->presencejs;
    changes->gone_state = member->state;
    member->state = NULL;
    if (!yo_untold_left(room, member)) {
        yo_member_free(room, member);
    }
    YO_CHECK(yo_room_check(room));
    return YOMO_OK;
}

struct yo_member *yo_room_find(const struct yo_room *room, uint64_t session)
{
    struct yo_map_node *node = yo_map_get(&room->members, session_key(&session));

    return node ? of_session(node) : NULL;
}

uint64_t yo_room_place(struct yo_room *room, uint64_t session, bool numbered)
{
    struct yo_member *member = session ? yo_room_find(room, session) : NULL;

    if (member) {
        mark_active(room, member);
    }
    return numbered ? ++room->sequence : 0;
}

struct yo_member *yo_room_next_label(const struct yo_room *room,
                                     const struct yo_member *after, uint64_t except)
{
    const struct yo_member *self = yo_room_find(room, except);
    const struct yo_link *link =
        after ? after->by_activity.next : room->by_activity.next;

    for (; link != &room->by_activity; link = link->next) {
        struct yo_member *member = of_activity(link);
        if (label_front(member->group) == member &&
            !(self && self->group == member->group)) {
            return member;
        }
    }
    return NULL;
}

struct yo_member *yo_room_next_same_label(const struct yo_room *room,
                                          struct yo_span name,
                                          const struct yo_member *after)
{
    struct yo_label *label = after ? after->group : label_find(room, name);
    const struct yo_link *link;

    if (!label || (!after && label->mark == room->mark)) {
        return NULL;
    }
    label->mark = room->mark;
    link = after ? after->same_label.next : label->members.next;
    return link == &label->members ? NULL : of_label(link);
}

/* --- checks --- */

static size_t check_label(const struct yo_label *label)
{
    bool stateless = false;
    size_t count = 0;

    assert(!yo_list_empty(&label->members));
    YO_LIST_EACH(link, next_link, &label->members)
    {
        const struct yo_member *member = of_label(link);
        assert(member->group == label && member->label == label->name);
        assert(!(stateless && member->state));
        stateless = member->state == NULL;
        count++;
    }
    return count;
}

static void check_untold(const struct yo_room *room)
{
    size_t count = 0;

    for (struct yo_member *member = yo_room_untold(room, NULL); member;
         member = yo_room_untold(room, member)) {
        unsigned what = member->untold.what;
        bool gone = what & YO_UNTOLD_LEFT;
        assert(what != 0 && (!gone || what == YO_UNTOLD_LEFT));
        assert(!((what & YO_UNTOLD_CAME) && (what & YO_UNTOLD_STATE)));
        assert(gone != (yo_room_find(room, member->session) == member));
        count++;
    }
    assert(count == room->untold_count);
    (void)count;
}

void yo_room_check(const struct yo_room *room)
{
    size_t active = 0, aged = 0, labelled = 0, presencejs = 0;

    assert(room->count + room->count_observers == room->members.count);
    assert(room->observers_max == 0 || room->count_observers <= room->observers_max);
    assert(room->members_max == 0 || room->count <= room->members_max);
    YO_LIST_EACH(link, next_link, &room->by_activity)
    {
        const struct yo_member *member = of_activity(link);
        assert(yo_room_find(room, member->session) == member);
        assert(!(member->state && member->version == 0));
        assert(label_find(room, yo_span_of(member->label)) == member->group);
        assert(yo_user_find(room, yo_span_of(member->id)) == member->user);
        assert(!(member->untold.what & YO_UNTOLD_LEFT));
        presencejs += member->presencejs;
        active++;
    }
    YO_LIST_EACH(link, next_link, &room->by_age)
    {
        aged++;
    }
    for (struct yo_map_node *node = yo_map_next(&room->labels, NULL); node;
         node = yo_map_next(&room->labels, node)) {
        labelled += check_label(YO_CONTAINER(node, struct yo_label, by_name));
    }
    assert(active == room->count && aged == room->count && labelled == room->count);
    assert(presencejs == room->count_presencejs);
    check_untold(room);
    yo_sheets_check(room);
    (void)active;
    (void)aged;
    (void)labelled;
    (void)presencejs;
}
