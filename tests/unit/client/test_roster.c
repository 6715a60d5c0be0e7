/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <yomo/error.h>

#include "client/peer.h"
#include "support/fault.h"
#include "wire/encode.h"

static int make(struct yo_roster *roster, struct yo_roster_entry **entry,
                uint64_t session, const char *id, const char *json)
{
    struct yo_buf payload;
    yo_buf_init(&payload, roster->mem);
    int rv =
        json ? yo_state_from_json(&payload, yo_span_of(id), yo_span_of(json)) : YOMO_OK;
    if (rv == YOMO_OK) {
        rv = yo_roster_entry_create(roster, entry, session, yo_span_of(id),
                                    json ? yo_buf_span(&payload) : YO_SPAN_NONE,
                                    YO_SPAN_NONE, NULL, 1000);
    }
    yo_buf_finish(&payload);
    return rv;
}

static struct yo_roster_entry *put(struct yo_roster *roster, uint64_t session,
                                   const char *id, const char *json)
{
    struct yo_roster_entry *entry;
    struct yo_roster_entry *old = yo_roster_find(roster, session, yo_span_of(id));
    assert_int_equal(make(roster, &entry, session, id, json), YOMO_OK);
    assert_int_equal(yo_roster_put(roster, old, entry), YOMO_OK);
    if (old) {
        yo_roster_entry_destroy(roster, old);
    }
    return entry;
}

static void a_member_is_found_by_its_session(void **state)
{
    (void)state;
    struct yo_roster roster;
    yo_roster_init(&roster, &yo_mem_libc);
    struct yo_roster_entry *entry = put(&roster, 7, "alice", "{\"x\":1}");
    assert_ptr_equal(yo_roster_find(&roster, 7, yo_span_of("whoever")), entry);
    assert_null(yo_roster_find(&roster, 8, yo_span_of("alice")));
    assert_null(yo_roster_find(&roster, 0, yo_span_of("alice")));
    assert_string_equal(yomo_peer_id(&entry->peer), "alice");
    assert_string_equal(yomo_peer_state(&entry->peer, NULL),
                        "{\"id\":\"alice\",\"x\":1}");
    assert_int_equal(yomo_peer_since_ms(&entry->peer), 1000);
    assert_null(yomo_peer_state_bytes(&entry->peer, NULL));
    yo_roster_finish(&roster);
}

static void without_sessions_the_id_is_the_key(void **state)
{
    (void)state;
    struct yo_roster roster;
    yo_roster_init(&roster, &yo_mem_libc);
    struct yo_roster_entry *entry = put(&roster, 0, "alice", NULL);
    assert_ptr_equal(yo_roster_find(&roster, 0, yo_span_of("alice")), entry);
    assert_string_equal(yomo_peer_state(&entry->peer, NULL), "{}");
    /* A session that is spelled like an id is another member. */
    uint64_t session;
    memcpy(&session, "eightbyt", 8);
    struct yo_roster_entry *a = put(&roster, session, "x", NULL);
    struct yo_roster_entry *b = put(&roster, 0, "eightbyt", NULL);
    assert_ptr_not_equal(a, b);
    assert_int_equal(roster.members.count, 3);
    yo_roster_finish(&roster);
}

static void a_new_state_keeps_the_place_in_the_order(void **state)
{
    (void)state;
    struct yo_roster roster;
    yo_roster_init(&roster, &yo_mem_libc);
    put(&roster, 1, "a", NULL);
    put(&roster, 2, "b", NULL);
    put(&roster, 1, "a", "{\"x\":2}");
    struct yo_roster_entry *first =
        YO_CONTAINER(roster.order.next, struct yo_roster_entry, order);
    assert_int_equal(first->peer.session, 1);
    assert_string_equal(first->peer.state, "{\"id\":\"a\",\"x\":2}");
    yo_roster_finish(&roster);
}

static void the_same_state_again_is_nothing_new(void **state)
{
    (void)state;
    struct yo_roster roster;
    struct yo_roster_entry *same, *other;
    yo_roster_init(&roster, &yo_mem_libc);
    struct yo_roster_entry *entry = put(&roster, 1, "a", "{\"x\":2}");
    assert_int_equal(make(&roster, &same, 1, "a", "{ \"x\" : 2 }"), YOMO_OK);
    assert_int_equal(make(&roster, &other, 1, "a", "{\"x\":3}"), YOMO_OK);
    assert_true(yo_roster_same(entry, same));
    assert_false(yo_roster_same(entry, other));
    assert_false(yo_roster_same(NULL, same));
    yo_roster_entry_destroy(&roster, same);
    yo_roster_entry_destroy(&roster, other);
    yo_roster_finish(&roster);
}

static void bytes_are_given_as_they_were_set(void **state)
{
    (void)state;
    struct yo_roster roster;
    struct yo_roster_entry *entry;
    struct yo_buf payload;
    size_t size;
    yo_roster_init(&roster, &yo_mem_libc);
    yo_buf_init(&payload, &yo_mem_libc);
    assert_int_equal(
        yo_state_from_bytes(&payload, yo_span_of("a"), yo_span("\0\xff", 2)), YOMO_OK);
    assert_int_equal(yo_roster_entry_create(&roster, &entry, 1, yo_span_of("a"),
                                            yo_buf_span(&payload), YO_SPAN_NONE, NULL, 0),
                     YOMO_OK);
    const void *bytes = yomo_peer_state_bytes(&entry->peer, &size);
    assert_int_equal(size, 2);
    assert_memory_equal(bytes, "\0\xff", 2);
    yo_roster_entry_destroy(&roster, entry);
    yo_buf_finish(&payload);
    yo_roster_finish(&roster);
}

static void a_state_that_is_broken_is_refused(void **state)
{
    (void)state;
    struct yo_roster roster;
    struct yo_roster_entry *entry;
    yo_roster_init(&roster, &yo_mem_libc);
    assert_int_equal(yo_roster_entry_create(&roster, &entry, 1, yo_span_of("a"),
                                            yo_span("\x81", 1), YO_SPAN_NONE, NULL, 0),
                     YOMO_ERR_MALFORMED);
    yo_roster_finish(&roster);
}

static void a_copy_stands_by_itself(void **state)
{
    (void)state;
    struct yo_roster roster;
    yo_roster_init(&roster, &yo_mem_libc);
    put(&roster, 1, "a", "{\"x\":1}");
    put(&roster, 2, "b", NULL);
    void *memory = yo_malloc(&yo_mem_libc, yo_roster_copy_size(&roster));
    yomo_peers *peers = yo_roster_copy(&roster, &yo_mem_libc, memory);
    yo_roster_finish(&roster);
    assert_int_equal(yomo_peers_count(peers), 2);
    assert_string_equal(yomo_peer_id(yomo_peers_at(peers, 0)), "a");
    assert_string_equal(yomo_peer_state(yomo_peers_at(peers, 0), NULL),
                        "{\"id\":\"a\",\"x\":1}");
    assert_string_equal(yomo_peer_id(yomo_peers_at(peers, 1)), "b");
    assert_int_equal(yomo_peer_session(yomo_peers_at(peers, 1)), 2);
    assert_null(yomo_peers_at(peers, 2));
    yomo_peers_free(peers);
    yomo_peers_free(NULL);
    assert_int_equal(yomo_peers_count(NULL), 0);
}

static void fill(struct fault *fault, void *user)
{
    struct yo_roster roster;
    (void)user;
    yo_roster_init(&roster, &fault->mem);
    for (uint64_t session = 1; session < 20; session++) {
        struct yo_roster_entry *entry;
        int rv = make(&roster, &entry, session, "a", "{\"x\":1}");
        if (rv == YOMO_OK) {
            rv = yo_roster_put(&roster, NULL, entry);
            if (rv != YOMO_OK) {
                yo_roster_entry_destroy(&roster, entry);
            }
        }
        assert_true(rv == YOMO_OK || (rv == YOMO_ERR_NOMEM && fault->failed));
    }
    yo_roster_finish(&roster);
}

static void memory_that_runs_out_leaves_the_roster_as_it_was(void **state)
{
    (void)state;
    fault_each(fill, NULL);
}

static void devices_of_one_id_are_one_user(void **state)
{
    (void)state;
    struct yo_roster roster;
    yo_roster_init(&roster, &yo_mem_libc);
    struct yo_roster_entry *laptop = put(&roster, 1, "ada", "{\"at\":\"desk\"}");
    struct yo_roster_entry *phone = put(&roster, 2, "ada", NULL);
    struct yo_roster_entry *bob = put(&roster, 3, "bob", NULL);
    assert_ptr_equal(laptop->user, phone->user);
    assert_int_equal(laptop->user->count, 2);
    assert_int_equal(roster.users.count, 2);
    assert_ptr_equal(laptop->user->devices.next, &phone->of_user); /* the newest */
    laptop = put(&roster, 1, "ada", "{\"at\":\"home\"}");
    assert_int_equal(phone->user->count, 2);
    assert_ptr_equal(phone->user->devices.next, &laptop->of_user);
    yo_roster_remove(&roster, laptop);
    yo_roster_entry_destroy(&roster, laptop);
    assert_int_equal(phone->user->count, 1);
    yo_roster_remove(&roster, phone);
    yo_roster_entry_destroy(&roster, phone);
    assert_int_equal(roster.users.count, 1);
    assert_int_equal(bob->user->count, 1);
    yo_roster_finish(&roster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_of_one_id_are_one_user),
        cmocka_unit_test(a_member_is_found_by_its_session),
        cmocka_unit_test(without_sessions_the_id_is_the_key),
        cmocka_unit_test(a_new_state_keeps_the_place_in_the_order),
        cmocka_unit_test(the_same_state_again_is_nothing_new),
        cmocka_unit_test(bytes_are_given_as_they_were_set),
        cmocka_unit_test(a_state_that_is_broken_is_refused),
        cmocka_unit_test(a_copy_stands_by_itself),
        cmocka_unit_test(memory_that_runs_out_leaves_the_roster_as_it_was),
    };
    return cmocka_run_group_tests_name("client/roster", tests, NULL, NULL);
}
