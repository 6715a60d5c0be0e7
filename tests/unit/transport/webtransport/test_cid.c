/* SPDX-License-Identifier: MIT */
/* Connection IDs, the map of them, and the stubs that inherit them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <yomo/error.h>

#include <netinet/in.h>

#include "support/fault.h"
#include "transport/webtransport/address.h"
#include "transport/webtransport/cid.h"
#include "transport/webtransport/cid_map.h"
#include "transport/webtransport/stub.h"

static const uint8_t secret[YO_SECRET_SIZE] = {9, 8, 7};

static void an_id_names_its_worker_to_those_who_know_the_key(void **state)
{
    struct yo_secrets a, same, other;
    uint8_t other_secret[YO_SECRET_SIZE] = {1};
    (void)state;
    assert_int_equal(yo_secrets_init(&a, secret), YOMO_OK);
    assert_int_equal(yo_secrets_init(&same, secret), YOMO_OK);
    assert_int_equal(yo_secrets_init(&other, other_secret), YOMO_OK);
    for (unsigned worker = 0; worker < 65536; worker += 257) {
        uint8_t cid[YO_CID_SIZE], again[YO_CID_SIZE];
        uint16_t read = 0;
        assert_int_equal(yo_cid_make(&a, (uint16_t)worker, cid), YOMO_OK);
        assert_int_equal(yo_cid_make(&a, (uint16_t)worker, again), YOMO_OK);
        assert_memory_not_equal(cid, again, YO_CID_SIZE);
        assert_true(yo_cid_read(&same, yo_span(cid, YO_CID_SIZE), &read));
        assert_int_equal(read, worker);
        assert_false(yo_cid_read(&other, yo_span(cid, YO_CID_SIZE), &read));
        assert_false(yo_cid_read(&a, yo_span(cid, YO_CID_SIZE - 1), &read));
        cid[worker % YO_CID_SIZE] ^= 1;
        assert_false(yo_cid_read(&a, yo_span(cid, YO_CID_SIZE), &read));
    }
    assert_memory_not_equal(a.reset, a.token, 32);
    assert_memory_equal(a.token, same.token, 32); /* also after a restart */
    yo_secrets_finish(&a);
    yo_secrets_finish(&same);
    yo_secrets_finish(&other);
}

static void ids_lead_to_their_owner_and_can_be_inherited(void **state)
{
    struct yo_cid_map map;
    struct yo_cid_owner a = {0}, b = {0}, heir = {0};
    (void)state;
    yo_cid_map_init(&map, &yo_mem_libc);
    yo_list_init(&a.ids);
    yo_list_init(&b.ids);
    yo_list_init(&heir.ids);
    assert_int_equal(yo_cid_map_add(&map, &a, yo_span_of("one")), YOMO_OK);
    assert_int_equal(yo_cid_map_add(&map, &a, yo_span_of("two")), YOMO_OK);
    assert_int_equal(yo_cid_map_add(&map, &b, yo_span_of("two")), YOMO_ERR_EXISTS);
    assert_int_equal(yo_cid_map_add(&map, &b, yo_span_of("")), YOMO_OK);
    assert_ptr_equal(yo_cid_map_find(&map, yo_span_of("two")), &a);
    assert_ptr_equal(yo_cid_map_find(&map, yo_span_of("")), &b);
    assert_null(yo_cid_map_find(&map, yo_span_of("three")));
    yo_cid_map_remove(&map, &b, yo_span_of("one")); /* not its own */
    assert_ptr_equal(yo_cid_map_find(&map, yo_span_of("one")), &a);
    yo_cid_map_hand_over(&a, &heir);
    assert_ptr_equal(yo_cid_map_find(&map, yo_span_of("one")), &heir);
    yo_cid_map_remove(&map, &heir, yo_span_of("one")); /* which was found last */
    assert_null(yo_cid_map_find(&map, yo_span_of("one")));
    assert_ptr_equal(yo_cid_map_find(&map, yo_span_of("two")), &heir);
    yo_cid_map_forget(&map, &heir);
    yo_cid_map_forget(&map, &b);
    yo_cid_map_finish(&map);
}

static void a_stub_answers_ever_less_often_and_goes(void **state)
{
    struct yo_cid_map map;
    struct yo_stubs stubs;
    struct yo_cid_owner owner = {0};
    (void)state;
    yo_cid_map_init(&map, &yo_mem_libc);
    yo_stubs_init(&stubs, &yo_mem_libc, &map);
    yo_list_init(&owner.ids);
    assert_int_equal(yo_cid_map_add(&map, &owner, yo_span_of("id")), YOMO_OK);
    yo_stubs_add(&stubs, &owner, yo_span_of("bye"), 100);
    struct yo_cid_owner *found = yo_cid_map_find(&map, yo_span_of("id"));
    assert_true(found->stub);
    int answers = 0;
    assert_int_equal(yo_stub_packet((struct yo_stub *)found, 0).size,
                     0); /* too small */
    for (int i = 0; i < 1000; i++) {
        answers += yo_stub_packet((struct yo_stub *)found, 30).size == 3;
    }
    assert_int_equal(answers, 10); /* the 1st, 2nd, 4th, ... 512th */
    assert_int_equal(yo_stubs_deadline(&stubs), 100);
    yo_stubs_tick(&stubs, 99);
    assert_non_null(yo_cid_map_find(&map, yo_span_of("id")));
    yo_stubs_tick(&stubs, 100);
    assert_null(yo_cid_map_find(&map, yo_span_of("id")));
    assert_int_equal(yo_stubs_deadline(&stubs), YO_NEVER);
    yo_stubs_finish(&stubs);
    yo_cid_map_finish(&map);
}

static void a_stub_without_memory_lets_the_ids_go(struct fault *fault, void *user)
{
    struct yo_cid_map map;
    struct yo_stubs stubs;
    struct yo_cid_owner owner = {0};
    (void)user;
    yo_cid_map_init(&map, &fault->mem);
    yo_stubs_init(&stubs, &fault->mem, &map);
    yo_list_init(&owner.ids);
    if (yo_cid_map_add(&map, &owner, yo_span_of("id")) == YOMO_OK) {
        yo_stubs_add(&stubs, &owner, yo_span_of("bye"), 100);
        struct yo_cid_owner *found = yo_cid_map_find(&map, yo_span_of("id"));
        assert_true(found ? found->stub : fault->failed);
    } else {
        assert_true(fault->failed);
    }
    yo_stubs_finish(&stubs);
    yo_cid_map_finish(&map);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    fault_each(a_stub_without_memory_lets_the_ids_go, NULL);
}

static void addresses_are_counted_by_who_can_have_them(void **state)
{
    uint8_t key[9], other[9];
    struct sockaddr_in ip4 = {.sin_family = AF_INET, .sin_port = htons(1)};
    struct sockaddr_in6 mapped = {.sin6_family = AF_INET6},
                        ip6 = {.sin6_family = AF_INET6};
    const struct sockaddr *a = (const struct sockaddr *)&ip4;
    const struct sockaddr *b = (const struct sockaddr *)&mapped;
    const struct sockaddr *c = (const struct sockaddr *)&ip6;
    char text[64];
    (void)state;
    ip4.sin_addr.s_addr = htonl(0xc0000201);
    memcpy(mapped.sin6_addr.s6_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1", 16);
    memcpy(ip6.sin6_addr.s6_addr, "\x20\x01\x0d\xb8", 4);
    yo_sockaddr_print(a, text);
    assert_string_equal(text, "192.0.2.1:1");
    yo_sockaddr_print(b, text);
    assert_string_equal(text, "192.0.2.1:0");
    yo_sockaddr_print(c, text);
    assert_string_equal(text, "[2001:db8::]:0");
    assert_true(yo_span_equal(yo_sockaddr_key(a, key), yo_sockaddr_key(b, other)));
    assert_false(yo_span_equal(yo_sockaddr_key(a, key), yo_sockaddr_key(c, other)));
    ip6.sin6_addr.s6_addr[15] = 7; /* the same /64 */
    assert_true(yo_span_equal(yo_sockaddr_key(c, key), yo_span(other, 9)));
    ip6.sin6_addr.s6_addr[7] = 1; /* another */
    assert_false(yo_span_equal(yo_sockaddr_key(c, key), yo_span(other, 9)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_names_its_worker_to_those_who_know_the_key),
        cmocka_unit_test(ids_lead_to_their_owner_and_can_be_inherited),
        cmocka_unit_test(a_stub_answers_ever_less_often_and_goes),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(addresses_are_counted_by_who_can_have_them),
    };
    return cmocka_run_group_tests_name("transport/webtransport/cid", tests, NULL, NULL);
}
