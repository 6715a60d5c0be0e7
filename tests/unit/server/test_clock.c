/* SPDX-License-Identifier: MIT */
/* test_clock.c - somebody sets the wall clock while a server runs. The clocks are the
 * test's: `wall` may leap, `steady` (of loops and of bans) only goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "auth/sign.h"
#include "rig.h"
#include "support/bytes.h"
#include "wire/decode.h"
#include <yomo/admin.h>

#define WS YOMO_TRANSPORT_WEBSOCKET
#define BAN_MS (UINT64_C(1800) * 1000)
#define HOUR_MS (UINT64_C(3600) * 1000)

static uint64_t wall, steady; /* milliseconds */

uint64_t __wrap_yo_wall_ms(void);
uint64_t __wrap_yo_steady_ms(void);
uint64_t __wrap_uv_hrtime(void);

uint64_t __wrap_yo_wall_ms(void)
{
    return wall;
}

uint64_t __wrap_yo_steady_ms(void)
{
    return steady;
}

uint64_t __wrap_uv_hrtime(void)
{
    return steady * YO_MS;
}

static const char secret[] = "0123456789abcdef0123456789abcdef";
static char key_file[] = "/tmp/yomo-clock-keys-XXXXXX";
static char bans_file[] = "/tmp/yomo-clock-bans-XXXXXX";

static int make_files(void **unused)
{
    int fd = mkstemp(key_file);

    (void)unused;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, secret, strlen(secret)), strlen(secret));
    close(fd);
    fd = mkstemp(bans_file);
    assert_true(fd >= 0);
    close(fd);
    return 0;
}

static int drop_files(void **unused)
{
    (void)unused;
    unlink(key_file);
    unlink(bans_file);
    return 0;
}

static int set_clocks(void **unused)
{
    (void)unused;
    wall = UINT64_C(1800000000) * 1000;
    steady = 1000000;
    return 0;
}

/* Time goes on, as it should; and a second is long enough to notice what was set. */
static void pass(struct rig *rig, uint64_t ms)
{
    wall += ms;
    steady += ms;
    rig_settle(rig);
}

static void leap(struct rig *rig, int64_t ms)
{
    wall += (uint64_t)ms;
    pass(rig, 1000);
}

static void open_rig(struct rig *rig)
{
    rig_open(rig, 1, NULL, "token-keys", key_file, "token-leeway", "0", "bans-file",
             bans_file, "silence-timeout", "1h", NULL);
    pass(rig, 1000); /* the first look */
}

/* With a token of `ms` from now on. */
static struct client *knock(struct rig *rig, const char *query, uint64_t ms)
{
    char payload[256], text[1024];
    struct yo_buf token;

    snprintf(payload, sizeof(payload), "{\"exp\":%llu,\"nbf\":%llu}",
             (unsigned long long)((wall + ms) / 1000),
             (unsigned long long)(wall / 1000));
    sign_hs256(&token, "{\"alg\":\"HS256\"}", payload, secret);
    snprintf(text, sizeof(text), "%s&token=%.*s", query, (int)token.size,
             (const char *)token.data);
    yo_buf_finish(&token);
    return rig_knock(rig, 0, WS, "/v1", text, NULL);
}

static void expect_left(struct client *client, uint64_t ms)
{
    const struct heard *heard = expect_op(client, YO_OP_TOKEN);

    assert_int_equal(heard->message.code, 0);
    assert_in_range(heard->message.timestamp, ms > 5000 ? ms - 5000 : 1, ms);
}

static void small_steps_are_no_leap(void **unused)
{
    struct rig rig;
    struct client *a;

    (void)unused;
    open_rig(&rig);
    a = knock(&rig, "yomo=1&id=a", 3 * HOUR_MS);
    client_forget(a);
    for (int i = 0; i < 5; i++) {
        wall += 300; /* that is a clock which is put right little by little */
        pass(&rig, 200);
        wall -= 300;
        pass(&rig, 1000);
    }
    expect_nothing(a);
    assert_int_equal(rig_count(&rig, clock_jumps), 0);
    rig_close(&rig);
}

static void a_tokens_end_is_a_date(void **unused)
{
    struct rig rig;
    struct client *a, *page;

    (void)unused;
    open_rig(&rig);
    a = knock(&rig, "yomo=1&id=a", 3 * HOUR_MS);
    page = knock(&rig, "id=page", 3 * HOUR_MS);
    client_forget(a);
    leap(&rig, (int64_t)(2 * HOUR_MS));
    expect_left(a, HOUR_MS);
    assert_int_equal(rig_count(&rig, clock_jumps), 1);
    assert_non_null(strstr(rig.log, "forward by 7200 s"));
    /* Long past, says the clock: there is time for another one, but no more. */
    leap(&rig, (int64_t)(5 * HOUR_MS));
    expect_left(a, 30000);
    assert_int_equal(knock(&rig, "id=b", 60000)->status, 200);
    /* It was wrong. */
    leap(&rig, -(int64_t)(7 * HOUR_MS));
    assert_non_null(strstr(rig.log, "back by 25200 s"));
    expect_left(a, 3 * HOUR_MS);
    pass(&rig, 60000);
    client_say(a, YO_LANE_CONTROL, yo_span("", 0)); /* it is there */
    assert_false(a->closing || page->closing);
    /* And now it is right. */
    leap(&rig, (int64_t)(5 * HOUR_MS));
    expect_left(a, 30000);
    assert_false(a->closing || page->closing);
    pass(&rig, 28000);
    assert_false(a->closing || page->closing);
    pass(&rig, 2100);
    assert_int_equal(a->why.code, YO_CODE_AUTH);
    assert_int_equal(page->why.code, YO_CODE_AUTH);
    rig_close(&rig);
}

static void nobody_gains_time_by_a_leap_forward(void **unused)
{
    struct rig rig;
    struct client *a;

    (void)unused;
    open_rig(&rig);
    a = knock(&rig, "yomo=1&id=a", 5000);
    client_forget(a);
    leap(&rig, (int64_t)HOUR_MS);
    expect_left(a, 4000);
    pass(&rig, 4000);
    assert_int_equal(a->why.code, YO_CODE_AUTH);
    rig_close(&rig);
}

static void another_token_counts_after_a_leap(void **unused)
{
    struct rig rig;
    struct client *a;
    struct yo_buf token;
    char payload[128];

    (void)unused;
    open_rig(&rig);
    a = knock(&rig, "yomo=1&id=a", 3 * HOUR_MS);
    client_forget(a);
    leap(&rig, (int64_t)(4 * HOUR_MS));
    expect_left(a, 30000);
    snprintf(payload, sizeof(payload), "{\"exp\":%llu}",
             (unsigned long long)((wall + HOUR_MS) / 1000));
    sign_hs256(&token, "{\"alg\":\"HS256\"}", payload, secret);
    client_send(a,
                &(struct yo_message){.op = YO_OP_TOKEN, .token = yo_buf_span(&token)});
    yo_buf_finish(&token);
    expect_left(a, HOUR_MS);
    pass(&rig, 60000);
    assert_false(a->closing);
    rig_close(&rig);
}

/* What is not good yet, or no more, by the clock as it stands is refused; who is in
 * stays. */
static void who_comes_is_judged_by_the_clock_as_it_stands(void **unused)
{
    struct rig rig;
    struct client *a;

    (void)unused;
    open_rig(&rig);
    a = knock(&rig, "yomo=1&id=a", HOUR_MS);
    wall -= HOUR_MS;
    assert_int_equal(knock(&rig, "id=b", HOUR_MS)->status, 200);
    wall += HOUR_MS;
    assert_false(knock(&rig, "id=c", 60000)->closing);
    wall += 2 * HOUR_MS;
    assert_true(knock(&rig, "id=d", 0)->closing);
    assert_false(a->closing);
    rig_close(&rig);
}

static void seats_that_are_kept_end_with_their_token(void **unused)
{
    struct rig rig;
    struct client *a, *b;

    (void)unused;
    open_rig(&rig);
    a = knock(&rig, "yomo=1&id=a", HOUR_MS);
    b = knock(&rig, "yomo=1&id=b", 24 * HOUR_MS);
    client_join(b, "r", NULL);
    client_join(a, "r", NULL);
    client_forget(b);
    client_break(a);
    expect_from(b, YO_OP_PEER_STALE, "a");
    leap(&rig, (int64_t)(2 * HOUR_MS));
    expect_left(b, 22 * HOUR_MS);
    expect_nothing(b); /* its grace time is shorter than what a token is left */
    leap(&rig, -(int64_t)(2 * HOUR_MS));
    expect_left(b, 24 * HOUR_MS);
    expect_nothing(b);
    pass(&rig, 15000);
    expect_from(b, YO_OP_PEER_OFFLINE, "a");
    rig_close(&rig);
}

static void what_lasts_a_time_does_not_notice(void **unused)
{
    struct rig rig;
    struct client *a, *b;
    struct heard *heard;

    (void)unused;
    open_rig(&rig);
    a = knock(&rig, "yomo=1&id=a", 24 * HOUR_MS);
    b = knock(&rig, "yomo=1&id=b", 24 * HOUR_MS);
    client_join(a, "r", NULL);
    client_join(b, "r", NULL);
    client_forget(b);
    b->room = 0; /* it waits */
    client_send(a, &(struct yo_message){.op = YO_OP_DATA,
                                        .channel = yo_span_of("r"),
                                        .payload = yo_span("\x81\xa5"
                                                           "event\xa1"
                                                           "e",
                                                           9),
                                        .ttl_ms = 5000});
    leap(&rig, (int64_t)(2 * HOUR_MS));
    client_unblock(b, SIZE_MAX);
    do {
        heard = client_next(b);
        assert_non_null(heard);
    } while (heard->message.op != YO_OP_DATA);
    rig_close(&rig);
}

/* --- bans ------------------------------------------------------------------------ */

static int status(struct rig *rig, const char *id)
{
    char query[64];
    struct client *client;

    snprintf(query, sizeof(query), "yomo=1&id=%s", id);
    client = knock(rig, query, HOUR_MS);
    return client->closing ? (int)client->why.code : client->status;
}

static void see_until(void *user, int32_t error, const yomo_listing *page)
{
    uint64_t *until = user;

    assert_int_equal(error, YOMO_OK);
    *until = yomo_listing_count(page) == 1 ? yomo_listing_until(page, 0) : 0;
}

static uint64_t until(struct rig *rig)
{
    uint64_t end = 0;

    assert_int_equal(yomo_server_list_bans(rig->server, NULL, NULL, 0, see_until, &end),
                     YOMO_OK);
    return end;
}

static void read_bans(struct rig *rig)
{
    struct yo_buf why;

    yo_buf_init(&why, &yo_mem_libc);
    if (yo_server_read_bans(rig->server, &why) != YOMO_OK) {
        fail_msg("%.*s", (int)why.size, (const char *)why.data);
    }
    yo_buf_finish(&why);
}

static void write_file(const char *text)
{
    FILE *file = fopen(bans_file, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void a_ban_lasts_as_long_as_it_was_made_for(void **unused)
{
    struct rig rig;

    (void)unused;
    write_file("");
    open_rig(&rig);
    rig.server->state = YO_SERVER_SERVING;
    assert_int_equal(yomo_server_ban(rig.server, NULL, NULL, "mallory", NULL, BAN_MS,
                                     NULL, NULL, NULL),
                     YOMO_OK);
    rig_settle(&rig);
    assert_int_equal(until(&rig), wall + BAN_MS);
    leap(&rig, (int64_t)(5 * HOUR_MS));
    assert_int_equal(status(&rig, "mallory"), YO_CODE_KICKED);
    assert_int_equal(until(&rig), wall + BAN_MS - 1000);
    leap(&rig, -(int64_t)(9 * HOUR_MS));
    assert_int_equal(status(&rig, "mallory"), YO_CODE_KICKED);
    assert_int_equal(until(&rig), wall + BAN_MS - 2000);
    pass(&rig, BAN_MS - 3000);
    assert_int_equal(status(&rig, "mallory"), YO_CODE_KICKED);
    pass(&rig, 1000);
    assert_int_equal(status(&rig, "mallory"), 200);
    assert_int_equal(until(&rig), 0);
    rig.server->state = YO_SERVER_NEW;
    rig_close(&rig);
}

static void a_restart_after_a_leap_finds_the_same_bans(void **unused)
{
    struct rig rig;

    (void)unused;
    write_file("");
    open_rig(&rig);
    rig.server->state = YO_SERVER_SERVING;
    assert_int_equal(yomo_server_ban(rig.server, NULL, NULL, "mallory", NULL, BAN_MS,
                                     NULL, NULL, NULL),
                     YOMO_OK);
    leap(&rig, (int64_t)(5 * HOUR_MS)); /* the file is written anew */
    rig.server->state = YO_SERVER_NEW;
    rig_close(&rig);
    open_rig(&rig);
    read_bans(&rig);
    rig.server->state = YO_SERVER_SERVING;
    assert_in_range(until(&rig), wall + BAN_MS - 3000, wall + BAN_MS);
    rig.server->state = YO_SERVER_NEW;
    rig_close(&rig);

    /* The machine starts with a clock that is years behind: a length is a length. */
    wall -= 20000 * HOUR_MS;
    open_rig(&rig);
    read_bans(&rig);
    rig.server->state = YO_SERVER_SERVING;
    assert_in_range(until(&rig), wall + BAN_MS - 3000, wall + BAN_MS);
    rig.server->state = YO_SERVER_NEW;
    rig_close(&rig);
}

static void a_ban_that_a_person_wrote_needs_no_length(void **unused)
{
    struct rig rig;
    char line[128];

    (void)unused;
    snprintf(line, sizeof(line),
             "{\"app\":\"default\",\"id\":\"eve\",\"until\":%llu}\n",
             (unsigned long long)(wall + BAN_MS));
    write_file(line);
    open_rig(&rig);
    read_bans(&rig);
    assert_int_equal(status(&rig, "eve"), YO_CODE_KICKED);
    pass(&rig, BAN_MS);
    assert_int_equal(status(&rig, "eve"), 200);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(small_steps_are_no_leap, set_clocks),
        cmocka_unit_test_setup(a_tokens_end_is_a_date, set_clocks),
        cmocka_unit_test_setup(nobody_gains_time_by_a_leap_forward, set_clocks),
        cmocka_unit_test_setup(another_token_counts_after_a_leap, set_clocks),
        cmocka_unit_test_setup(who_comes_is_judged_by_the_clock_as_it_stands,
                               set_clocks),
        cmocka_unit_test_setup(seats_that_are_kept_end_with_their_token, set_clocks),
        cmocka_unit_test_setup(what_lasts_a_time_does_not_notice, set_clocks),
        cmocka_unit_test_setup(a_ban_lasts_as_long_as_it_was_made_for, set_clocks),
        cmocka_unit_test_setup(a_restart_after_a_leap_finds_the_same_bans, set_clocks),
        cmocka_unit_test_setup(a_ban_that_a_person_wrote_needs_no_length, set_clocks),
    };

    return cmocka_run_group_tests(tests, make_files, drop_files);
}
