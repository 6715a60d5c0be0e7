/* SPDX-License-Identifier: MIT */
/* What the members of a room are told of each other, and when: a home alone, on a
 * virtual clock, between two workers whose notes are read here. What each worker is to
 * deliver is written down as "time worker message" (workers 0 and 1; the home is on 0),
 * times in milliseconds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rand.h"
#include "server/home.h"
#include "support/bytes.h"
#include "support/fault.h"
#include "unit/session/story.h"
#include "wire/decode.h"
#include "wire/json.h"

#define WORKERS 2

static struct fault memory;
static struct yo_config config;
static struct yo_metrics metrics;
static struct yo_desk desks[WORKERS];
static struct yo_office office;
static struct yo_home home;
static struct yo_blob *key;
static yo_time now, since; /* of the story */
static struct yo_buf story;
static size_t lost, delivered; /* notes */

/* Called with what each worker is to do, besides the story; NULL: nobody. */
static void (*on_note)(uint32_t worker, const struct yo_note *note);
static bool quiet; /* no story */

static void on_due(void *user)
{
    (void)user;
}

static void begin(const struct yomo_mem *mem, yo_time interval)
{
    config = (struct yo_config){.mem = mem,
                                .rooms_max = 10,
                                .members_max = 20000,
                                .legacy_members_max = 200,
                                .mesh = NULL,
                                .presence_interval = interval};
    memset(&metrics, 0, sizeof(metrics));
    memset(desks, 0, sizeof(desks));
    now = since = 1000 * YO_SECOND;
    lost = delivered = 0;
    quiet = false;
    on_note = NULL;
    assert_int_equal(
        yo_office_init(&office, &yo_mem_libc, 0, WORKERS, desks, on_due, NULL),
        YOMO_OK);
    yo_home_init(&home, mem, &config, &office, &metrics);
    key = yo_room_key(&yo_mem_libc, yo_span("\0r", 2));
    yo_buf_init(&story, &yo_mem_libc);
}

static void finish(void)
{
    yo_home_finish(&home);
    yo_office_finish(&office, &yo_mem_libc);
    yo_blob_unref(key);
    yo_buf_finish(&story);
}

static void write_down(uint32_t worker, const struct yo_note *note)
{
    for (int d = 0; d < YO_DIALECTS; d++) {
        struct yo_message message;
        if (!note->encoded[d]) {
            continue;
        }
        assert_int_equal(yo_decode(yo_blob_span(note->encoded[d]), &message), YOMO_OK);
        yo_buf_printf(&story, "%u %u %s", (unsigned)((now - since) / YO_MS), worker,
                      d == YO_DIALECT_PRESENCEJS ? "page: " : "");
        story_message(&story, &message);
        yo_buf_append_text(&story, "\n");
    }
}

/* Read what the home wrote. */
static void read_notes(void)
{
    for (uint32_t w = 0; w < WORKERS; w++) {
        struct yo_link *link;
        while ((link = yo_list_pop_front(&office.out[w])) != NULL) {
            struct yo_note *note = YO_CONTAINER(link, struct yo_note, letter.link);
            if (on_note) {
                on_note(w, note);
            }
            if (note->kind == YO_NOTE_DELIVER) {
                delivered++;
                if (!quiet) {
                    write_down(w, note);
                }
            }
            lost += note->kind == YO_NOTE_LOST;
            yo_note_free(note);
        }
    }
    office.due = false;
}

static void expect(const char *lines)
{
    yo_buf_append_byte(&story, 0);
    assert_string_equal((const char *)story.data, lines);
    yo_buf_clear(&story);
}

/* Let time pass, with what falls due. */
static void pass(unsigned ms)
{
    yo_time until = now + ms * YO_MS;

    while (yo_home_changes_deadline(&home) <= until) {
        now = yo_home_changes_deadline(&home);
        yo_home_changes_tick(&home, now);
        read_notes();
    }
    now = until;
}

static struct yo_note *note_of(enum yo_note_kind kind, uint64_t session,
                               const char *state)
{
    char id[24];
    struct yo_note *note;

    snprintf(id, sizeof(id), "m%u", (unsigned)session);
    note = yo_note_create(home.mem, kind, key, yo_span_of(id), YO_SPAN_NONE,
                          YO_SPAN_NONE, YO_SPAN_NONE);
    if (!note) {
        return NULL;
    }
    note->session = session;
    note->from = (uint32_t)(session % WORKERS);
    if (state) {
        struct yo_buf payload;
        yo_buf_init(&payload, &yo_mem_libc);
        assert_int_equal(yo_json_to_mp(&payload, yo_span_of(state)), YOMO_OK);
        note->payload = yo_blob_create(&yo_mem_libc, yo_buf_span(&payload));
        yo_buf_finish(&payload);
    }
    return note;
}

static bool take(struct yo_note *note)
{
    if (note) {
        yo_home_take(&home, note, now);
    }
    read_notes();
    return note != NULL;
}

static void join(uint64_t session, const char *state)
{
    take(note_of(YO_NOTE_JOIN, session, state));
}

static void join_page(uint64_t session)
{
    struct yo_note *note = note_of(YO_NOTE_JOIN, session, NULL);

    note->presencejs = true;
    take(note);
}

static void leave(uint64_t session)
{
    take(note_of(YO_NOTE_LEAVE, session, NULL));
}

static void set_state(uint64_t session, const char *state)
{
    take(note_of(YO_NOTE_STATE, session, state));
}

static void say(uint64_t session, enum yomo_delivery delivery)
{
    struct yo_note *note =
        note_of(YO_NOTE_PUBLISH, session, "{\"event\":\"e\",\"data\":\"1\"}");

    note->delivery = delivery;
    take(note);
}

static void forget(void)
{
    yo_buf_clear(&story);
}

/* --- when --------------------------------------------------------------------------
 */

/* Members 1 and 2 are there, and it has been quiet for long. */
static void begin_with_two(void)
{
    begin(&yo_mem_libc, 50 * YO_MS);
    join(1, NULL);
    join(2, NULL);
    pass(1000);
    since = now;
    forget();
}

static void the_first_is_told_at_once_and_what_follows_together(void **state)
{
    (void)state;
    begin_with_two();
    join(3, "{\"x\":1}"); /* worker 1 has members 1 and 3, worker 0 member 2 */
    expect("0 0 peer_online c=r pl={\"x\":1} p=m3 sid=3 v=1 q=3\n"
           "0 1 peer_online c=r pl={\"x\":1} p=m3 sid=3 v=1 q=3\n");
    pass(10);
    join(4, NULL);
    set_state(1, "{\"y\":1}");
    pass(10);
    leave(2);
    set_state(1, "{\"y\":2}");
    expect("");
    pass(100);
    expect("50 0 changes c=r q=6 m=[came m4/4, state m1/1 pl={\"y\":2}, left m2/2]\n"
           "50 1 changes c=r q=6 m=[came m4/4, state m1/1 pl={\"y\":2}, left m2/2]\n");
    leave(4); /* it was quiet for 70 ms */
    expect("120 1 peer_offline c=r p=m4 sid=4 q=7\n");
    pass(20);
    leave(3);
    pass(100);
    expect("170 1 peer_offline c=r p=m3 sid=3 q=8\n");
    finish();
}

/* One change is not told to the one that it is about, whenever it is told. */
static void nobody_is_told_of_itself_alone(void **state)
{
    (void)state;
    begin_with_two();
    set_state(1, "{}");
    set_state(2, "{}");
    pass(1000);
    expect("0 0 peer_state c=r pl={} p=m1 sid=1 v=1 q=3\n"
           "50 1 peer_state c=r pl={} p=m2 sid=2 v=1 q=4\n");
    finish();
}

static void who_is_alone_makes_nobody_wait(void **state)
{
    (void)state;
    begin(&yo_mem_libc, 50 * YO_MS);
    join(1, NULL);
    set_state(1, "{}");
    assert_true(yo_home_changes_deadline(&home) == YO_NEVER);
    join(2, NULL);
    expect("0 1 peer_online c=r p=m2 sid=2 q=2\n");
    finish();
}

static void without_an_interval_each_is_told_at_once(void **state)
{
    (void)state;
    begin(&yo_mem_libc, 0);
    join(1, NULL);
    join(2, NULL);
    set_state(2, "{}");
    leave(2);
    expect("0 1 peer_online c=r p=m2 sid=2 q=2\n"
           "0 1 peer_state c=r pl={} p=m2 sid=2 v=1 q=3\n"
           "0 1 peer_offline c=r p=m2 sid=2 q=4\n");
    assert_true(yo_home_changes_deadline(&home) == YO_NEVER);
    finish();
}

static void who_came_and_left_within_the_time_is_not_told(void **state)
{
    (void)state;
    begin_with_two();
    set_state(1, "{}");
    forget();
    join(3, NULL);
    leave(3);
    assert_true(yo_home_changes_deadline(&home) == YO_NEVER);
    pass(1000);
    expect("");
    finish();
}

/* Its snapshot showed member 3, so that member 5 must hear that it left. */
static void who_was_in_a_snapshot_is_told_as_left(void **state)
{
    (void)state;
    begin_with_two();
    set_state(1, "{}");
    forget();
    join(3, NULL);
    join(5, NULL);
    leave(3);
    pass(1000);
    expect("50 0 changes c=r q=5 m=[left m3/3, came m5/5]\n"
           "50 1 changes c=r q=5 m=[left m3/3, came m5/5]\n");
    finish();
}

static void nobody_is_heard_before_it_came(void **state)
{
    (void)state;
    begin_with_two();
    set_state(1, "{}");
    forget();
    join(3, NULL);
    join(5, NULL);
    say(1, YOMO_RELIABLE); /* nothing of it waits */
    expect("0 0 data c=r pl={\"event\":\"e\",\"data\":\"1\"} p=m1 sid=1 q=4\n"
           "0 1 data c=r pl={\"event\":\"e\",\"data\":\"1\"} p=m1 sid=1 q=4\n");
    say(3, YOMO_UNRELIABLE); /* is promised no order */
    expect("0 0 data c=r pl={\"event\":\"e\",\"data\":\"1\"} p=m3 sid=3 d=1\n"
           "0 1 data c=r pl={\"event\":\"e\",\"data\":\"1\"} p=m3 sid=3 d=1\n");
    pass(20);
    say(3, YOMO_RELIABLE);
    expect("20 0 changes c=r q=6 m=[came m3/3, came m5/5]\n"
           "20 0 data c=r pl={\"event\":\"e\",\"data\":\"1\"} p=m3 sid=3 q=7\n"
           "20 1 changes c=r q=6 m=[came m3/3, came m5/5]\n"
           "20 1 data c=r pl={\"event\":\"e\",\"data\":\"1\"} p=m3 sid=3 q=7\n");
    leave(5); /* the time begins anew with a telling */
    pass(100);
    expect("70 0 peer_offline c=r p=m5 sid=5 q=8\n"
           "70 1 peer_offline c=r p=m5 sid=5 q=8\n");
    finish();
}

static void pages_are_told_one_by_one_at_once(void **state)
{
    (void)state;
    begin(&yo_mem_libc, 50 * YO_MS);
    join_page(1);
    join(2, NULL);
    join(4, NULL);
    set_state(2, "{\"id\":\"m2\",\"x\":1}");
    leave(4);
    expect("0 1 page: peer_state c=r pl={\"id\":\"m2\"} p=m2\n"
           "0 0 peer_online c=r p=m4 sid=4 q=2\n"
           "0 1 page: peer_state c=r pl={\"id\":\"m4\"} p=m4\n"
           "0 1 page: peer_state c=r pl={\"id\":\"m2\",\"x\":1} p=m2\n"
           "0 1 page: peer_offline c=r p=m4\n");
    pass(1000);
    expect(
        "50 0 changes c=r q=4 m=[state m2/2 pl={\"id\":\"m2\",\"x\":1}, left m4/4]\n");
    finish();
}

static void many_go_in_pages(void **state)
{
    uint64_t place = 0;
    size_t count = 0;
    const char *at;

    (void)state;
    begin_with_two();
    set_state(1, "{}");
    for (uint64_t i = 10; i < 260; i++) {
        join(i, NULL);
    }
    forget();
    pass(50);
    yo_buf_append_byte(&story, 0);
    for (at = (const char *)story.data; (at = strstr(at, "50 0 changes c=r q="));) {
        at += strlen("50 0 changes c=r q=");
        place = strtoull(at, NULL, 10);
        assert_int_equal(place, count == 0 ? 103 : count == 1 ? 203 : 253);
        count++;
    }
    assert_int_equal(count, 3);
    finish();
}

/* A room goes while something waits in it: with its last member, or with the home. */
static void what_waits_goes_with_its_room(void **state)
{
    (void)state;
    begin_with_two();
    set_state(1, "{}");
    join(3, NULL);
    leave(1);
    leave(2);
    leave(3);
    assert_int_equal(home.rooms.count, 0);
    assert_int_equal(home.uneasy, 0);
    assert_true(yo_home_changes_deadline(&home) == YO_NEVER);
    pass(1000);
    join(1, NULL);
    join(2, NULL);
    set_state(1, "{}");
    assert_true(yo_home_changes_deadline(&home) != YO_NEVER);
    finish();
}

/* --- how much ----------------------------------------------------------------------
 */

/* N members join within some seconds: what each listener is told grows as N, in few
 * messages. */
static size_t storm_of(uint64_t members)
{
    begin(&yo_mem_libc, 50 * YO_MS);
    quiet = true;
    for (uint64_t i = 1; i <= members; i++) {
        join(i, NULL);
        if (i % 10 == 0) {
            pass(1);
        }
    }
    pass(1000);
    assert_int_equal(yo_home_changes_deadline(&home), YO_NEVER);
    finish();
    return delivered / WORKERS;
}

static void told_messages_do_not_grow_with_the_square(void **state)
{
    (void)state;
    /* 50 ms are 500 joins: a telling of five or six messages. */
    assert_true(storm_of(500) <= 8);
    assert_true(storm_of(2000) <= 30);
}

/* Where thousands listen, the time between two tellings grows with them; a small room
 * beside it has its own. */
static void a_crowd_is_told_less_often(void **state)
{
    struct yo_blob *small = yo_room_key(&yo_mem_libc, yo_span("\0s", 2)), *large;

    (void)state;
    begin(&yo_mem_libc, 50 * YO_MS);
    quiet = true;
    large = key;
    for (uint64_t i = 1; i <= 4000; i++) {
        join(i, NULL);
    }
    pass(1000);
    quiet = false;
    since = now;
    delivered = 0;
    set_state(1, "{}"); /* at once, and then 200 ms for 4,000 */
    assert_int_equal(delivered, WORKERS);
    set_state(2, "{}");
    key = small;
    join(5001, NULL);
    join(5002, NULL);
    set_state(5001, "{}");
    forget();
    pass(50);
    expect("50 0 peer_state c=s pl={} p=m5001 sid=5001 v=1 q=3\n");
    pass(149);
    expect("");
    delivered = 0;
    pass(1);
    assert_int_equal(delivered, WORKERS);
    key = large;
    yo_blob_unref(small);
    finish();
}

static size_t pages, shared, page_bytes;
static uint64_t shown;

static void count_pages(uint32_t worker, const struct yo_note *note)
{
    struct yo_message message;
    uint32_t count;
    struct yo_mp_reader reader;

    (void)worker;
    if (note->kind != YO_NOTE_JOINED || note->session < 2000) {
        return;
    }
    for (size_t i = 0; i < note->parcel_count; i++) {
        assert_int_equal(yo_decode(yo_blob_span(note->parcels[i]), &message), YOMO_OK);
        assert_int_equal(yo_members_init(&reader, message.members, &count), YOMO_OK);
        assert_int_equal(message.more, i + 1 < note->parcel_count);
        shown += count;
        pages++;
        page_bytes += note->parcels[i]->size;
        shared += atomic_load(&note->parcels[i]->refs) > 1;
    }
}

/* What the 2,000th member is told, and that its memory is that of those before it. */
static void a_large_snapshot_is_shared(void **state)
{
    (void)state;
    begin(&yo_mem_libc, 50 * YO_MS);
    quiet = true;
    on_note = count_pages;
    pages = shared = page_bytes = 0;
    shown = 0;
    for (uint64_t i = 1; i < 2000; i++) {
        join(i, "{\"name\":\"somebody\"}");
    }
    join(2000, NULL);
    assert_int_equal(shown, 1999);
    assert_int_equal(pages, 20);
    assert_int_equal(shared, 19);
    assert_true(page_bytes < 140000);
    finish();
}

/* --- what is told is what there is --------------------------------------------------
 */

#define SESSIONS 24

/* Members as their programs know them: what each has been told. */
static struct mirror {
    bool in;
    bool knows[SESSIONS];
    uint64_t version[SESSIONS];
} mirrors[SESSIONS];

static void show(struct mirror *mirror, const struct yo_message *page)
{
    struct yo_wire_member member;
    struct yo_mp_reader reader;
    uint32_t count;

    assert_int_equal(yo_members_init(&reader, page->members, &count), YOMO_OK);
    while (count-- > 0) {
        assert_int_equal(yo_members_next(&reader, &member), YOMO_OK);
        assert_true(member.session < SESSIONS);
        mirror->knows[member.session] = member.change != YO_WIRE_LEFT;
        mirror->version[member.session] = member.version;
    }
}

static void mirror_hears(uint64_t session, const struct yo_message *message)
{
    struct mirror *mirror = &mirrors[session];

    if (message->op == YO_OP_CHANGES) {
        show(mirror, message);
    } else if (message->op != YO_OP_DATA) {
        assert_int_not_equal(message->session, session);
        mirror->knows[message->session] = message->op != YO_OP_PEER_OFFLINE;
        mirror->version[message->session] = message->version;
    } else if (message->delivery == YOMO_RELIABLE) {
        assert_true(mirror->knows[message->session]);
    }
}

static void mirrors_hear(uint32_t worker, const struct yo_note *note)
{
    struct yo_message message;

    if (note->kind == YO_NOTE_JOINED) {
        struct mirror *mirror = &mirrors[note->session];
        memset(mirror, 0, sizeof(*mirror));
        mirror->in = true;
        for (size_t i = 0; i < note->parcel_count; i++) {
            assert_int_equal(yo_decode(yo_blob_span(note->parcels[i]), &message),
                             YOMO_OK);
            show(mirror, &message);
        }
    } else if (note->kind == YO_NOTE_DELIVER) {
        assert_int_equal(
            yo_decode(yo_blob_span(note->encoded[YO_DIALECT_YOMO]), &message), YOMO_OK);
        for (uint64_t i = 1; i < SESSIONS; i++) {
            if (mirrors[i].in && i % WORKERS == worker && i != note->session) {
                mirror_hears(i, &message);
            }
        }
    }
}

static void compare_mirrors(const bool *in)
{
    struct yo_home_room *hr = yo_home_find(&home, key);

    for (uint64_t i = 1; i < SESSIONS; i++) {
        assert_int_equal(mirrors[i].in, in[i]);
        for (uint64_t j = 1; in[i] && j < SESSIONS; j++) {
            if (i == j) {
                continue;
            }
            assert_int_equal(mirrors[i].knows[j], in[j]);
            if (in[j]) {
                assert_int_equal(mirrors[i].version[j],
                                 yo_room_find(&hr->room, j)->version);
            }
        }
    }
}

static void whoever_listens_knows_who_is_there(void **state)
{
    struct yo_rand rand;
    bool in[SESSIONS] = {false};
    char text[32];

    (void)state;
    yo_rand_seed(&rand, 5);
    begin(&yo_mem_libc, 50 * YO_MS);
    memset(mirrors, 0, sizeof(mirrors));
    on_note = mirrors_hear;
    quiet = true;
    for (int i = 0; i < 6000; i++) {
        uint64_t session = 1 + yo_rand_below(&rand, SESSIONS - 1);
        unsigned what = (unsigned)yo_rand_below(&rand, 6);
        if (!in[session]) {
            join(session, what & 1 ? "{\"x\":0}" : NULL);
            in[session] = true;
        } else if (what == 0) {
            mirrors[session].in = in[session] = false; /* its seat went first */
            leave(session);
        } else if (what == 1) {
            say(session, YOMO_RELIABLE);
        } else {
            snprintf(text, sizeof(text), "{\"x\":%u}",
                     (unsigned)yo_rand_below(&rand, 4));
            set_state(session, text);
        }
        pass((unsigned)yo_rand_below(&rand, 20));
        if (yo_rand_below(&rand, 20) == 0) {
            pass(60);
            compare_mirrors(in);
        }
    }
    assert_true(yo_metric_get(&metrics.change_batches) * 2 <
                yo_metric_get(&metrics.changes));
    finish();
}

/* --- memory --------------------------------------------------------------------------
 */

static void one_life(struct fault *fault, void *user)
{
    bool ok;

    (void)user;
    begin(&fault->mem, 50 * YO_MS);
    quiet = true;
    ok = take(note_of(YO_NOTE_JOIN, 1, NULL));
    ok &= take(note_of(YO_NOTE_JOIN, 2, NULL));
    ok &= take(note_of(YO_NOTE_JOIN, 3, "{}"));
    ok &= take(note_of(YO_NOTE_STATE, 1, "{}"));
    ok &= take(note_of(YO_NOTE_LEAVE, 2, NULL));
    pass(1000);
    assert_true(ok || fault->failed);
    assert_true(fault->failed || (lost == 0 && delivered == 2));
    assert_true(yo_home_changes_deadline(&home) == YO_NEVER);
    finish();
}

static void who_cannot_be_told_comes_again(void **state)
{
    struct yo_note *note;

    (void)state;
    assert_true(fault_each(one_life, NULL) > 10);

    fault_init(&memory, 0, FAULT_ONCE);
    begin(&memory.mem, 50 * YO_MS);
    join(1, NULL);
    join(2, NULL);
    join(3, NULL);
    note = note_of(YO_NOTE_LEAVE, 2, NULL);
    assert_int_equal(lost, 0);
    take(note);
    fault_arm(&memory, 1, FAULT_FROM);
    pass(50);
    fault_arm(&memory, 0, FAULT_ONCE);
    assert_int_equal(lost, 1); /* nobody is left at worker 0 */
    finish();
    fault_assert_no_leak(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_is_told_at_once_and_what_follows_together),
        cmocka_unit_test(nobody_is_told_of_itself_alone),
        cmocka_unit_test(who_is_alone_makes_nobody_wait),
        cmocka_unit_test(without_an_interval_each_is_told_at_once),
        cmocka_unit_test(who_came_and_left_within_the_time_is_not_told),
        cmocka_unit_test(who_was_in_a_snapshot_is_told_as_left),
        cmocka_unit_test(nobody_is_heard_before_it_came),
        cmocka_unit_test(pages_are_told_one_by_one_at_once),
        cmocka_unit_test(many_go_in_pages),
        cmocka_unit_test(what_waits_goes_with_its_room),
        cmocka_unit_test(told_messages_do_not_grow_with_the_square),
        cmocka_unit_test(a_crowd_is_told_less_often),
        cmocka_unit_test(a_large_snapshot_is_shared),
        cmocka_unit_test(whoever_listens_knows_who_is_there),
        cmocka_unit_test(who_cannot_be_told_comes_again),
    };
    return cmocka_run_group_tests_name("server/changes", tests, NULL, NULL);
}
