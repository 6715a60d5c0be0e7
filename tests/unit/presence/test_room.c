/* SPDX-License-Identifier: MIT */
/* What a room tells is compared as text: one line for each change, such as
 *     yomo online alice/1 q1 v1 "A"        presencejs state alice "A" */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/rand.h"
#include "presence/room.h"
#include "support/fault.h"

static struct fault fault;
static struct yo_room room;
static char story[4096];

/* With it, what the extension is to be told waits until told() is asked. */
static bool waits;

static int setup(void **state)
{
    (void)state;
    waits = false;
    fault_init(&fault, 0, FAULT_ONCE);
    assert_int_equal(
        yo_room_init(&room, &fault.mem, yo_span_of("app"), yo_span_of("room-1"), 100),
        YOMO_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    yo_room_check(&room);
    yo_room_finish(&room);
    yo_room_finish(&room);
    fault_assert_no_leak(&fault);
    return 0;
}

static const char *const kinds[] = {"online", "state", "offline", "stale", "back"};

static void add(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void add(const char *format, ...)
{
    size_t used = strlen(story);
    va_list args;

    va_start(args, format);
    vsnprintf(story + used, sizeof(story) - used, format, args);
    va_end(args);
}

static const char *text_of(const struct yo_change *change)
{
    static char text[64];

    snprintf(text, sizeof(text), "-");
    if (change->state) {
        snprintf(text, sizeof(text), "\"%.*s\"", (int)change->state->size,
                 (const char *)change->state->data);
    }
    return text;
}

/* What waits, without telling it. */
static void add_untold(void)
{
    uint64_t place = room.sequence;

    for (struct yo_member *m = yo_room_untold(&room, NULL); m;
         m = yo_room_untold(&room, m)) {
        struct yo_change changes[YO_UNTOLD_MAX];
        size_t count = yo_member_untold(m, changes);
        assert_true(count > 0);
        for (size_t i = 0; i < count; i++) {
            add("yomo %s %s/%u q%u v%u %s\n", kinds[changes[i].kind], changes[i].peer,
                (unsigned)changes[i].session, (unsigned)++place,
                (unsigned)changes[i].version, text_of(&changes[i]));
        }
    }
}

static const char *untold(void)
{
    story[0] = 0;
    add_untold();
    return story;
}

/* Tell what waits. */
static const char *told(void)
{
    size_t lines = 0;

    for (const char *at = untold(); (at = strchr(at, '\n')); at++) {
        lines++;
    }
    yo_room_told(&room, lines);
    assert_null(yo_room_untold(&room, NULL));
    yo_room_check(&room);
    return story;
}

static void tell(const struct yo_changes *changes)
{
    story[0] = 0;
    if (!waits) {
        told();
    }
    for (size_t i = 0; i < changes->count; i++) {
        const struct yo_change *change = &changes->list[i];
        add("presencejs %s %s by %u %s\n", kinds[change->kind], change->peer,
            (unsigned)change->session, text_of(change));
    }
}

static struct yo_blob *blob(const char *text)
{
    struct yo_blob *made;

    if (!text) {
        return NULL;
    }
    made = yo_blob_create(&fault.mem, yo_span_of(text));
    assert_non_null(made);
    return made;
}

static int join_as(uint64_t session, const char *id, const char *label,
                   const char *text, bool presencejs)
{
    struct yo_blob *state = blob(text);
    const struct yo_room_entry entry = {.session = session,
                                        .id = yo_span_of(id),
                                        .label = yo_span_of(label),
                                        .state = state,
                                        .since_ms = 1000 + session,
                                        .presencejs = presencejs};
    struct yo_member *member = NULL;
    struct yo_changes changes;
    int rv = yo_room_join(&room, &entry, &member, &changes);

    tell(&changes);
    assert_true(rv == YOMO_OK ? member == yo_room_find(&room, session) : !member);
    yo_changes_finish(&changes);
    yo_blob_unref(state);
    yo_room_check(&room);
    return rv;
}

static int join(uint64_t session, const char *id, const char *text)
{
    return join_as(session, id, NULL, text, false);
}

static int set_state(uint64_t session, const char *text, const char *label)
{
    struct yo_blob *state = blob(text);
    struct yo_changes changes;
    int rv = yo_room_set_state(&room, session, state, yo_span_of(label), &changes);

    tell(&changes);
    yo_changes_finish(&changes);
    yo_blob_unref(state);
    yo_room_check(&room);
    return rv;
}

static int leave(uint64_t session)
{
    struct yo_changes changes;
    int rv = yo_room_leave(&room, session, &changes);

    tell(&changes);
    yo_changes_finish(&changes);
    yo_changes_finish(&changes);
    yo_room_check(&room);
    return rv;
}

static const char *labels(uint64_t except)
{
    static char text[256];

    text[0] = 0;
    for (struct yo_member *m = yo_room_next_label(&room, NULL, except); m;
         m = yo_room_next_label(&room, m, except)) {
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s/%u ", m->label,
                 (unsigned)m->session);
    }
    return text;
}

static void who_comes_is_told_to_both_kinds(void **state)
{
    (void)state;
    assert_int_equal(join(1, "alice", "A"), YOMO_OK);
    assert_string_equal(story, "yomo online alice/1 q1 v1 \"A\"\n"
                               "presencejs state alice by 1 \"A\"\n");
    assert_int_equal(join(2, "bob", NULL), YOMO_OK);
    assert_string_equal(story, "yomo online bob/2 q2 v0 -\n"
                               "presencejs state bob by 2 -\n");
    assert_int_equal(room.count, 2);
    assert_int_equal(room.sequence, 2);
}

static void a_session_is_in_a_room_once(void **state)
{
    (void)state;
    join(1, "alice", "A");
    assert_int_equal(join(1, "bob", "B"), YOMO_ERR_EXISTS);
    assert_string_equal(story, "");
    assert_int_equal(room.count, 1);
    assert_string_equal(yo_room_find(&room, 1)->id, "alice");
}

static void a_full_room_lets_nobody_in(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 100; i++) {
        assert_int_equal(join(i, "x", NULL), YOMO_OK);
    }
    assert_int_equal(join(101, "y", NULL), YOMO_ERR_FULL);
    assert_string_equal(story, "");
    leave(7);
    assert_int_equal(join(101, "y", NULL), YOMO_OK);
}

static void a_new_state_counts_its_version_up(void **state)
{
    (void)state;
    join(1, "alice", "A");
    assert_int_equal(set_state(1, "B", NULL), YOMO_OK);
    assert_string_equal(story, "yomo state alice/1 q2 v2 \"B\"\n"
                               "presencejs state alice by 1 \"B\"\n");
    assert_int_equal(set_state(1, NULL, NULL), YOMO_OK);
    assert_string_equal(story, "yomo state alice/1 q3 v3 -\n"
                               "presencejs state alice by 1 -\n");
}

static void the_same_state_again_changes_nothing(void **state)
{
    (void)state;
    join(1, "alice", "A");
    assert_int_equal(set_state(1, "A", NULL), YOMO_OK);
    assert_string_equal(story, "");
    assert_int_equal(set_state(1, "A", "alice"), YOMO_OK);
    assert_string_equal(story, "");
    assert_int_equal(room.sequence, 1);
    assert_int_equal(yo_room_find(&room, 1)->version, 1);
}

static void a_state_of_nobody_is_not_found(void **state)
{
    (void)state;
    assert_int_equal(set_state(9, "A", NULL), YOMO_ERR_NOT_FOUND);
    assert_int_equal(leave(9), YOMO_ERR_NOT_FOUND);
    assert_string_equal(story, "");
}

static void who_goes_is_told_to_both_kinds(void **state)
{
    (void)state;
    join_as(1, "alice", "ali", "A", true);
    assert_int_equal(room.count_presencejs, 1);
    assert_int_equal(leave(1), YOMO_OK);
    assert_string_equal(story, "yomo offline alice/1 q2 v1 -\n"
                               "presencejs offline ali by 1 -\n");
    assert_int_equal(room.count_presencejs, 0);
    assert_null(yo_room_find(&room, 1));
}

static void what_a_leave_names_outlives_the_member(void **state)
{
    struct yo_changes changes;

    (void)state;
    join_as(1, "alice", "ali", "A", false);
    assert_int_equal(yo_room_leave(&room, 1, &changes), YOMO_OK);
    join(2, "bob", "B");
    assert_int_equal(changes.count, 1);
    assert_string_equal(changes.list[0].peer, "ali");
    yo_changes_finish(&changes);
}

/* --- several devices of one user --- */

static void two_devices_are_one_peer_to_presencejs(void **state)
{
    (void)state;
    join(1, "alice", "desk");
    join(2, "alice", "desk");
    assert_string_equal(story, "yomo online alice/2 q2 v1 \"desk\"\n");
    join(3, "alice", "phone");
    assert_string_equal(story, "yomo online alice/3 q3 v1 \"phone\"\n"
                               "presencejs state alice by 3 \"phone\"\n");
    assert_string_equal(labels(0), "alice/3 ");
}

static void the_newest_state_is_shown(void **state)
{
    (void)state;
    join(1, "alice", "desk");
    join(2, "alice", "phone");
    set_state(1, "desk 2", NULL);
    assert_string_equal(story, "yomo state alice/1 q3 v2 \"desk 2\"\n"
                               "presencejs state alice by 1 \"desk 2\"\n");
    set_state(2, "desk 2", NULL);
    assert_string_equal(story, "yomo state alice/2 q4 v2 \"desk 2\"\n");
}

static void the_last_device_takes_the_peer_along(void **state)
{
    (void)state;
    join(1, "alice", "desk");
    join(2, "alice", "phone");
    leave(2);
    assert_string_equal(story, "yomo offline alice/2 q3 v1 -\n"
                               "presencejs state alice by 1 \"desk\"\n");
    leave(1);
    assert_string_equal(story, "yomo offline alice/1 q4 v1 -\n"
                               "presencejs offline alice by 1 -\n");
}

static void a_device_that_was_not_shown_goes_unseen(void **state)
{
    (void)state;
    join(1, "alice", "desk");
    join(2, "alice", "phone");
    leave(1);
    assert_string_equal(story, "yomo offline alice/1 q3 v1 -\n");
}

static void a_device_without_a_state_hides_none(void **state)
{
    (void)state;
    join(1, "alice", "desk");
    join(2, "alice", NULL);
    assert_string_equal(story, "yomo online alice/2 q2 v0 -\n");
    set_state(1, NULL, NULL);
    assert_string_equal(story, "yomo state alice/1 q3 v2 -\n"
                               "presencejs state alice by 2 -\n");
    set_state(2, "phone", NULL);
    assert_string_equal(story, "yomo state alice/2 q4 v1 \"phone\"\n"
                               "presencejs state alice by 2 \"phone\"\n");
}

/* --- labels --- */

static void another_label_is_one_who_goes_and_one_who_comes(void **state)
{
    (void)state;
    join_as(1, "u1", "alice", "A", true);
    assert_int_equal(set_state(1, "B", "bob"), YOMO_OK);
    assert_string_equal(story, "yomo state u1/1 q2 v2 \"B\"\n"
                               "presencejs offline alice by 1 -\n"
                               "presencejs state bob by 1 \"B\"\n");
}

static void a_label_alone_is_no_change_to_the_extension(void **state)
{
    (void)state;
    join_as(1, "u1", "alice", "A", true);
    assert_int_equal(set_state(1, "A", "bob"), YOMO_OK);
    assert_string_equal(story, "presencejs offline alice by 1 -\n"
                               "presencejs state bob by 1 \"A\"\n");
    assert_int_equal(set_state(1, "A", NULL), YOMO_OK);
    assert_string_equal(story, "presencejs offline bob by 1 -\n"
                               "presencejs state u1 by 1 \"A\"\n");
}

static void a_label_left_to_another_device_shows_that_one(void **state)
{
    (void)state;
    join_as(1, "u1", "alice", "one", true);
    join_as(2, "u2", "alice", "two", true);
    set_state(2, "two", "bob");
    assert_string_equal(story, "presencejs state alice by 1 \"one\"\n"
                               "presencejs state bob by 2 \"two\"\n");
    set_state(2, "three", "alice");
    assert_string_equal(story, "yomo state u2/2 q3 v2 \"three\"\n"
                               "presencejs offline bob by 2 -\n"
                               "presencejs state alice by 2 \"three\"\n");
}

static void an_empty_label_is_the_id(void **state)
{
    (void)state;
    join_as(1, "u1", "", "A", true);
    assert_string_equal(yo_room_find(&room, 1)->label, "u1");
    join_as(2, "", "", NULL, true);
    assert_string_equal(yo_room_find(&room, 2)->label, "");
}

static void a_name_ends_at_a_nul(void **state)
{
    const struct yo_room_entry entry = {
        .session = 1, .id = yo_span("a\0b", 3), .label = yo_span("l\0m", 3)};
    struct yo_changes changes;

    (void)state;
    join_as(2, "l", NULL, NULL, false);
    assert_int_equal(yo_room_join(&room, &entry, NULL, &changes), YOMO_OK);
    yo_changes_finish(&changes);
    assert_string_equal(yo_room_find(&room, 1)->label, "l");
    assert_int_equal(room.labels.count, 1);
}

/* --- what waits --- */

static void states_that_wait_are_one(void **state)
{
    (void)state;
    join(1, "alice", "A");
    join(2, "bob", "B");
    waits = true;
    set_state(2, "B2", NULL);
    set_state(1, "A2", NULL);
    set_state(2, "B3", NULL);
    assert_string_equal(told(), "yomo state bob/2 q3 v3 \"B3\"\n"
                                "yomo state alice/1 q4 v2 \"A2\"\n");
    assert_int_equal(room.sequence, 4);
    assert_string_equal(told(), "");
}

static void who_comes_is_told_with_its_newest_state(void **state)
{
    (void)state;
    waits = true;
    join(1, "alice", NULL);
    set_state(1, "A", NULL);
    join(2, "bob", "B");
    assert_string_equal(told(), "yomo online alice/1 q1 v1 \"A\"\n"
                                "yomo online bob/2 q2 v1 \"B\"\n");
}

static void who_came_and_left_was_never_there(void **state)
{
    (void)state;
    waits = true;
    join(1, "alice", "A");
    set_state(1, "A2", NULL);
    leave(1);
    assert_string_equal(untold(), "");
    join(1, "alice", "A"); /* the same session anew */
    assert_string_equal(told(), "yomo online alice/1 q1 v1 \"A\"\n");
}

static void who_was_shown_before_it_was_told_is_told_as_left(void **state)
{
    (void)state;
    waits = true;
    join(1, "alice", "A");
    yo_room_show(&room);
    join(2, "bob", "B");
    leave(2); /* nobody was shown bob */
    leave(1);
    assert_string_equal(told(), "yomo offline alice/1 q1 v1 -\n");
}

static void who_left_and_came_back_is_told_so(void **state)
{
    (void)state;
    join(1, "alice", "A");
    waits = true;
    set_state(1, "A2", NULL);
    leave(1);
    join(1, "alice", "B");
    assert_int_equal(room.count, 1);
    assert_int_equal(room.untold_count, 2);
    assert_string_equal(told(), "yomo offline alice/1 q2 v2 -\n"
                                "yomo online alice/1 q3 v1 \"B\"\n");
    join(2, "bob", NULL);
    leave(1);
    leave(2); /* what is never told is given back with the room */
}

static void set_stale(uint64_t session, bool stale)
{
    struct yo_changes changes;

    assert_int_equal(yo_room_set_stale(&room, session, stale, &changes), YOMO_OK);
    assert_int_equal(changes.count, 0);
    yo_changes_finish(&changes);
    yo_room_check(&room);
}

static void a_broken_connection_waits_too(void **state)
{
    (void)state;
    join(1, "alice", "A");
    join(2, "bob", "B");
    waits = true;
    set_state(1, "A2", NULL);
    set_stale(1, true);
    join(3, "carol", NULL);
    set_stale(3, true);
    assert_string_equal(told(), "yomo state alice/1 q3 v2 \"A2\"\n"
                                "yomo stale alice/1 q4 v2 \"A2\"\n"
                                "yomo online carol/3 q5 v0 -\n"
                                "yomo stale carol/3 q6 v0 -\n");
    set_stale(1, false);
    set_stale(1, true);
    set_stale(1, false);
    set_stale(1, false);
    assert_string_equal(told(), "yomo back alice/1 q7 v2 \"A2\"\n");
    set_stale(3, false);
    leave(3);
    assert_string_equal(told(), "yomo offline carol/3 q8 v0 -\n");
}

static int observe(uint64_t session, const char *id)
{
    const struct yo_room_entry entry = {
        .session = session, .id = yo_span_of(id), .observer = true};
    struct yo_changes changes;
    int rv = yo_room_join(&room, &entry, NULL, &changes);

    assert_int_equal(changes.count, 0);
    yo_changes_finish(&changes);
    yo_room_check(&room);
    return rv;
}

static void nobody_is_told_of_observers(void **state)
{
    (void)state;
    waits = true;
    room.observers_max = 2;
    assert_int_equal(observe(1, "olga"), YOMO_OK);
    assert_int_equal(observe(2, "otto"), YOMO_OK);
    assert_int_equal(observe(2, "otto"), YOMO_ERR_EXISTS);
    assert_int_equal(observe(3, "oscar"), YOMO_ERR_FULL);
    join(4, "alice", "A");
    assert_int_equal(room.count, 1);
    assert_int_equal(room.count_observers, 2);
    assert_string_equal(labels(0), "alice/4 ");
    assert_string_equal(labels(1), "alice/4 ");
    assert_int_equal(set_state(1, "S", NULL), YOMO_ERR_NOT_FOUND);
    set_stale(1, true);
    set_stale(1, false);
    assert_int_equal(yo_room_place(&room, 1, true), 1);
    assert_string_equal(yo_room_find(&room, 1)->label, "olga");
    assert_int_equal(leave(2), YOMO_OK);
    assert_string_equal(told(), "yomo online alice/4 q2 v1 \"A\"\n");
    assert_int_equal(room.count_observers, 1);
}

/* --- sheets --- */

static void all_members_lie_on_sheets(void **state)
{
    struct yo_rand rand;
    uint64_t next = 1, first = 1;
    size_t sheets = 0;

    (void)state;
    waits = true;
    room.members_max = 2000;
    yo_rand_seed(&rand, 3);
    for (int i = 0; i < 6000; i++) {
        if (room.count < 1500 && yo_rand_below(&rand, 2) == 0) {
            const struct yo_room_entry entry = {.session = next++,
                                                .id = yo_span_of("x")};
            struct yo_changes changes;
            assert_int_equal(yo_room_join(&room, &entry, NULL, &changes), YOMO_OK);
            yo_changes_finish(&changes);
        } else if (next > first) {
            struct yo_changes changes;
            uint64_t who = first + yo_rand_below(&rand, next - first);
            (void)yo_room_leave(&room, who, &changes);
            yo_changes_finish(&changes);
        }
        yo_room_told(&room, 0);
        if (i % 50 == 0) {
            yo_room_check(&room);
        }
    }
    for (struct yo_sheet *sheet = yo_room_next_sheet(&room, NULL); sheet;
         sheet = yo_room_next_sheet(&room, sheet)) {
        sheets++;
    }
    assert_true(sheets <= 4 * room.count / YO_SHEET_MEMBERS_MAX + 1);
}

static void a_sheet_keeps_its_text_until_something_changes(void **state)
{
    struct yo_sheet *sheet;
    struct yo_blob **text;

    (void)state;
    room.members_max = 0;
    for (uint64_t i = 1; i <= 150; i++) {
        join(i, "x", "A");
    }
    sheet = yo_room_next_sheet(&room, NULL);
    assert_int_equal(sheet->count, 100);
    assert_false(yo_sheet_is_last(&room, sheet));
    for (int what = 0; what < 4; what++) {
        struct yo_changes changes;
        text = yo_malloc(&fault.mem, sizeof(*text));
        assert_non_null(text);
        text[0] = blob("text");
        yo_sheet_keep(&room, sheet, text, 1);
        join(200 + (uint64_t)what, "y", NULL); /* lies on another */
        set_state(120, what & 1 ? "B" : "C", NULL);
        set_state(7, "A", NULL); /* the same as before */
        assert_ptr_equal(sheet->text, text);
        if (what == 0) {
            set_state(7, "A2", NULL);
        } else if (what == 1) {
            set_stale(7, true);
        } else if (what == 2) {
            struct yo_blob *data = blob("D");
            assert_int_equal(yo_room_set_data(&room, 7, data), YOMO_OK);
            yo_blob_unref(data);
        } else {
            assert_int_equal(yo_room_leave(&room, 7, &changes), YOMO_OK);
            yo_changes_finish(&changes);
        }
        assert_null(sheet->text);
        set_state(7, "A", NULL);
    }
}

/* --- activity --- */

static void labels_are_walked_by_activity(void **state)
{
    (void)state;
    join(1, "a", "A");
    join(2, "b", "B");
    join(3, "c", "C");
    assert_string_equal(labels(0), "c/3 b/2 a/1 ");
    assert_int_equal(yo_room_place(&room, 1, true), 4);
    assert_int_equal(yo_room_place(&room, 1, false), 0);
    assert_int_equal(yo_room_place(&room, 0, true), 5);
    assert_int_equal(yo_room_place(&room, 99, true), 6);
    assert_string_equal(labels(0), "a/1 c/3 b/2 ");
    set_state(2, "B2", NULL);
    assert_string_equal(labels(0), "b/2 a/1 c/3 ");
    assert_string_equal(labels(2), "a/1 c/3 ");
}

static void one_does_not_see_its_own_other_devices(void **state)
{
    (void)state;
    join(1, "alice", "desk");
    join(2, "alice", "phone");
    join(3, "bob", "B");
    assert_string_equal(labels(1), "bob/3 ");
    assert_string_equal(labels(3), "alice/2 ");
}

static void age_is_the_order_of_joining(void **state)
{
    struct yo_link *link;

    (void)state;
    join(3, "c", NULL);
    join(1, "a", NULL);
    join(2, "b", NULL);
    yo_room_place(&room, 3, false);
    leave(1);
    link = room.by_age.next;
    assert_int_equal(YO_CONTAINER(link, struct yo_member, by_age)->session, 3);
    link = link->next;
    assert_int_equal(YO_CONTAINER(link, struct yo_member, by_age)->session, 2);
    assert_ptr_equal(link->next, &room.by_age);
}

/* --- what presencejs sees is what there is --- */

#define SESSIONS 8
#define NAMES 4

struct view {
    char label[8], state[8];
    bool there;
};

/* A presencejs member that believes what it is told. */
static struct view view[NAMES];

static struct view *view_of(const char *label)
{
    return &view[label[1] - '0'];
}

static void believe(const struct yo_changes *changes)
{
    for (size_t i = 0; i < changes->count; i++) {
        const struct yo_change *change = &changes->list[i];
        struct view *seen;
        seen = view_of(change->peer);
        seen->there = change->kind != YO_CHANGE_OFFLINE;
        snprintf(seen->state, sizeof(seen->state), "%.*s",
                 change->state ? (int)change->state->size : 0,
                 change->state ? (const char *)change->state->data : "");
    }
}

static void compare_view(void)
{
    bool found[NAMES] = {false};

    for (struct yo_member *m = yo_room_next_label(&room, NULL, 0); m;
         m = yo_room_next_label(&room, m, 0)) {
        struct view *seen = view_of(m->label);
        assert_false(found[seen - view]);
        found[seen - view] = true;
        assert_true(seen->there);
        assert_true(yo_span_equal(m->state ? yo_blob_span(m->state) : yo_span("", 0),
                                  yo_span_of(seen->state)));
    }
    for (size_t i = 0; i < NAMES; i++) {
        assert_int_equal(found[i], view[i].there);
    }
}

static void random_step(struct yo_rand *rand)
{
    uint64_t session = 1 + yo_rand_below(rand, SESSIONS);
    char label[3] = {'n', (char)('0' + yo_rand_below(rand, NAMES)), 0};
    char text[2] = {(char)('A' + yo_rand_below(rand, 3)), 0};
    struct yo_blob *state = yo_rand_below(rand, 4) ? blob(text) : NULL;
    const struct yo_room_entry entry = {
        .session = session, .id = yo_span_of(label), .state = state};
    struct yo_changes changes;

    switch (yo_rand_below(rand, 4)) {
    case 0:
        yo_room_leave(&room, session, &changes);
        break;
    case 1:
        yo_room_join(&room, &entry, NULL, &changes);
        break;
    default:
        yo_room_set_state(&room, session, state, yo_span_of(label), &changes);
        break;
    }
    believe(&changes);
    yo_changes_finish(&changes);
    yo_blob_unref(state);
    yo_room_check(&room);
    compare_view();
}

static void who_believes_the_changes_knows_the_room(void **state)
{
    struct yo_rand rand;

    (void)state;
    memset(view, 0, sizeof(view));
    yo_rand_seed(&rand, 11);
    for (int i = 0; i < 20000; i++) {
        random_step(&rand);
    }
}

/* --- memory --- */

/* A room with two members, in which one thing is then done. */
struct trial {
    int (*act)(struct yo_room *room, struct yo_blob *state, struct yo_changes *changes);
};

static int act_join(struct yo_room *in, struct yo_blob *blob_,
                    struct yo_changes *changes)
{
    const struct yo_room_entry entry = {.session = 3,
                                        .id = yo_span_of("carol"),
                                        .label = yo_span_of("caz"),
                                        .state = blob_};

    return yo_room_join(in, &entry, NULL, changes);
}

static int act_observe(struct yo_room *in, struct yo_blob *blob_,
                       struct yo_changes *changes)
{
    const struct yo_room_entry entry = {
        .session = 3, .id = yo_span_of("carol"), .state = blob_, .observer = true};
    int rv = yo_room_join(in, &entry, NULL, changes);

    if (rv == YOMO_OK) { /* as the others: somebody is told something */
        yo_changes_finish(changes);
        rv = yo_room_leave(in, 2, changes);
    }
    return rv;
}

static int act_state(struct yo_room *in, struct yo_blob *blob_,
                     struct yo_changes *changes)
{
    return yo_room_set_state(in, 1, blob_, yo_span_of("another"), changes);
}

static int act_leave(struct yo_room *in, struct yo_blob *blob_,
                     struct yo_changes *changes)
{
    (void)blob_;
    return yo_room_leave(in, 1, changes);
}

static void try_act(struct fault *memory, void *user)
{
    const struct trial *trial = user;
    const struct yo_room_entry entries[] = {
        {.session = 1, .id = yo_span_of("alice")},
        {.session = 2, .id = yo_span_of("bob")},
    };
    struct yo_room in;
    struct yo_changes changes;
    struct yo_blob *text = NULL;
    bool ok = yo_room_init(&in, &memory->mem, yo_span_of("app"), yo_span_of("r"), 10) ==
              YOMO_OK;
    uint64_t sequence;
    size_t count;

    if (!ok) {
        return;
    }
    for (size_t i = 0; ok && i < 2; i++) {
        ok = yo_room_join(&in, &entries[i], NULL, &changes) == YOMO_OK;
        yo_changes_finish(&changes);
    }
    text = ok ? yo_blob_create(&memory->mem, yo_span_of("T")) : NULL;
    if (text) {
        yo_room_told(&in, 2);
        sequence = in.sequence;
        count = in.count;
        if (trial->act(&in, text, &changes) == YOMO_OK) {
            assert_true(changes.count > 0);
            assert_int_equal(in.untold_count, 1);
        } else {
            assert_int_equal(changes.count, 0);
            assert_int_equal(in.untold_count, 0);
            assert_int_equal(in.sequence, sequence);
            assert_int_equal(in.count, count);
            assert_string_equal(yo_room_find(&in, 1)->label, "alice");
            assert_int_equal(in.labels.count, 2);
        }
        yo_changes_finish(&changes);
    }
    yo_room_check(&in);
    yo_room_finish(&in);
    yo_blob_unref(text);
}

static void a_room_survives_every_failing_allocation(void **state)
{
    struct trial trials[] = {{act_join}, {act_observe}, {act_state}, {act_leave}};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        assert_true(fault_each(try_act, &trials[i]) > 5);
    }
}

static void a_leave_needs_no_memory(void **state)
{
    (void)state;
    join(1, "alice", "desk");
    join(2, "alice", "phone");
    fault_arm(&fault, 1, FAULT_FROM);
    assert_int_equal(leave(2), YOMO_OK);
    assert_int_equal(leave(1), YOMO_OK);
    assert_false(fault.failed);
    fault_arm(&fault, 0, FAULT_ONCE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(who_comes_is_told_to_both_kinds),
        TEST(a_session_is_in_a_room_once),
        TEST(a_full_room_lets_nobody_in),
        TEST(a_new_state_counts_its_version_up),
        TEST(the_same_state_again_changes_nothing),
        TEST(a_state_of_nobody_is_not_found),
        TEST(who_goes_is_told_to_both_kinds),
        TEST(what_a_leave_names_outlives_the_member),
        TEST(two_devices_are_one_peer_to_presencejs),
        TEST(the_newest_state_is_shown),
        TEST(the_last_device_takes_the_peer_along),
        TEST(a_device_that_was_not_shown_goes_unseen),
        TEST(a_device_without_a_state_hides_none),
        TEST(another_label_is_one_who_goes_and_one_who_comes),
        TEST(a_label_alone_is_no_change_to_the_extension),
        TEST(a_label_left_to_another_device_shows_that_one),
        TEST(an_empty_label_is_the_id),
        TEST(a_name_ends_at_a_nul),
        TEST(states_that_wait_are_one),
        TEST(who_comes_is_told_with_its_newest_state),
        TEST(who_came_and_left_was_never_there),
        TEST(who_was_shown_before_it_was_told_is_told_as_left),
        TEST(who_left_and_came_back_is_told_so),
        TEST(a_broken_connection_waits_too),
        TEST(nobody_is_told_of_observers),
        TEST(all_members_lie_on_sheets),
        TEST(a_sheet_keeps_its_text_until_something_changes),
        TEST(labels_are_walked_by_activity),
        TEST(one_does_not_see_its_own_other_devices),
        TEST(age_is_the_order_of_joining),
        TEST(who_believes_the_changes_knows_the_room),
        TEST(a_room_survives_every_failing_allocation),
        TEST(a_leave_needs_no_memory),
    };

    return cmocka_run_group_tests_name("presence/room", tests, NULL, NULL);
}
