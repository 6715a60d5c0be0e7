/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <yomo/error.h>

#include "fake.h"
#include "support/fault.h"

#define WT YOMO_TRANSPORT_WEBTRANSPORT
#define WS YOMO_TRANSPORT_WEBSOCKET
#define NONE YOMO_TRANSPORT_NONE

/* A race, and its story as text. */
struct fixture {
    struct fake_dialer fake;
    struct yo_connect race;
    struct yo_conn *winner;
    char story[512];
};

__attribute__((format(printf, 2, 3))) static void tell(struct fixture *f,
                                                       const char *format, ...)
{
    size_t size = strlen(f->story);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(f->story + size, sizeof(f->story) - size, format, arguments);
    va_end(arguments);
}

static void on_won(void *user, struct yo_conn *conn, enum yomo_transport_kind kind,
                   bool beaten, yo_time now)
{
    struct fixture *f = user;
    (void)now;
    f->winner = conn;
    tell(f, "won %d %s", kind, beaten ? "(beaten) " : "");
}

static void on_failed(void *user, enum yomo_transport_kind kind,
                      const struct yo_reason *why, yo_time now)
{
    (void)now;
    tell(user, "failed %d %d ", kind, why->error);
}

static void on_lost(void *user, const struct yo_reason *why, yo_time now)
{
    (void)now;
    tell(user, "lost %d %d ", why->kind, why->error);
}

static void on_idle(void *user, yo_time now)
{
    (void)now;
    tell(user, "idle ");
}

static const struct yo_connect_events events = {on_won, on_failed, on_lost, on_idle};

static void begin_with(struct fixture *f, const struct yomo_mem *mem)
{
    *f = (struct fixture){0};
    fake_init(&f->fake, mem);
    yo_connect_init(&f->race, mem, &f->fake.dialer, &events, f);
}

static void begin(struct fixture *f)
{
    begin_with(f, &yo_mem_libc);
}

static void start(struct fixture *f, enum yomo_transport_kind first,
                  enum yomo_transport_kind second, yo_time delay)
{
    const struct yo_connect_plan plan = {first, second, delay, 10 * YO_SECOND};
    yo_connect_start(&f->race, &plan, 0);
}

/* Everything ends: the winner closes, the rest settles. */
static void end(struct fixture *f)
{
    if (f->winner) {
        ((struct fake_conn *)f->winner)->ended = true;
    }
    fake_settle(&f->fake, 0);
    assert_true(yo_connect_idle(&f->race));
    fake_finish(&f->fake);
}

static void webtransport_alone_wins_when_it_is_quick(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    start(&f, WT, WS, 250 * YO_MS);
    assert_int_equal(f.fake.count, 1);
    assert_int_equal(yo_connect_deadline(&f.race), 250 * YO_MS);
    fake_open(fake_last(&f.fake, WT), 100 * YO_MS);
    assert_int_equal(f.fake.count, 1);
    assert_string_equal(f.story, "won 1 ");
    assert_int_equal(yo_connect_deadline(&f.race), YO_NEVER);
    end(&f);
}

static void websocket_joins_after_the_delay(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    start(&f, WT, WS, 250 * YO_MS);
    yo_connect_tick(&f.race, 249 * YO_MS);
    assert_int_equal(f.fake.count, 1);
    yo_connect_tick(&f.race, 250 * YO_MS);
    assert_int_equal(f.fake.count, 2);
    struct fake_conn *wt = fake_last(&f.fake, WT);
    fake_open(fake_last(&f.fake, WS), 300 * YO_MS);
    assert_true(wt->aborted);
    assert_string_equal(f.story, "won 2 (beaten) ");
    assert_false(yo_connect_idle(&f.race));
    fake_settle(&f.fake, 0);
    assert_string_equal(f.story, "won 2 (beaten) idle ");
    end(&f);
}

static void webtransport_may_still_win_after_the_delay(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    start(&f, WT, WS, 250 * YO_MS);
    yo_connect_tick(&f.race, 250 * YO_MS);
    fake_open(fake_last(&f.fake, WT), 300 * YO_MS);
    assert_true(fake_last(&f.fake, WS)->aborted);
    assert_string_equal(f.story, "won 1 ");
    end(&f);
}

static void without_a_delay_both_start_at_once(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    start(&f, WT, WS, 0);
    assert_int_equal(f.fake.count, 2);
    fake_open(fake_last(&f.fake, WS), 1);
    end(&f);
}

static void a_failure_starts_the_second_at_once(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    start(&f, WT, WS, 250 * YO_MS);
    fake_closed(fake_last(&f.fake, WT), YO_CLOSE_RETRY, YOMO_ERR_UNREACHABLE, "", 1);
    assert_int_equal(f.fake.count, 2);
    fake_open(fake_last(&f.fake, WS), 2);
    assert_string_equal(f.story, "failed 1 -301 won 2 ");
    end(&f);
}

static void when_both_fail_the_weightier_reason_counts(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    start(&f, WT, WS, 0);
    fake_closed(fake_last(&f.fake, WS), YO_CLOSE_FINAL, YOMO_ERR_CERT, "expired", 1);
    fake_closed(fake_last(&f.fake, WT), YO_CLOSE_RETRY, YOMO_ERR_TIMEOUT, "", 2);
    assert_string_equal(f.story, "failed 2 -305 failed 1 -302 lost 0 -305 ");
    end(&f);
}

static void an_end_before_the_opening_is_a_failure_whatever_it_says(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    start(&f, WS, NONE, 0);
    fake_closed(fake_last(&f.fake, WS), YO_CLOSE_DONE, YOMO_OK, "", 1);
    assert_string_equal(f.story, "failed 2 -300 lost 2 -300 ");
    end(&f);
}

static void a_final_refusal_ends_the_race_at_once(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    start(&f, WT, WS, 0);
    fake_closed(fake_last(&f.fake, WS), YO_CLOSE_FINAL, YOMO_ERR_AUTH, "no", 1);
    assert_true(fake_last(&f.fake, WT)->aborted);
    assert_string_equal(f.story, "failed 2 -402 lost 1 -402 ");
    fake_settle(&f.fake, 2);
    assert_string_equal(f.story, "failed 2 -402 lost 1 -402 idle ");
    end(&f);
}

static void who_does_not_open_in_time_is_given_up(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    start(&f, WT, WS, 250 * YO_MS);
    yo_connect_tick(&f.race, 250 * YO_MS);
    yo_connect_tick(&f.race, 10 * YO_SECOND);
    assert_string_equal(f.story, "failed 1 -302 ");
    yo_connect_tick(&f.race, yo_connect_deadline(&f.race));
    assert_string_equal(f.story, "failed 1 -302 failed 2 -302 lost 0 -302 ");
    end(&f);
}

static void nothing_comes_after_an_abort(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    start(&f, WT, WS, 0);
    yo_connect_abort(&f.race);
    fake_settle(&f.fake, 1);
    assert_string_equal(f.story, "idle ");
    end(&f);
}

static void a_dial_that_fails_is_told_later(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    f.fake.dial_result = YOMO_ERR_INVALID;
    start(&f, WT, WS, 250 * YO_MS);
    assert_string_equal(f.story, "");
    assert_int_equal(yo_connect_deadline(&f.race), 0);
    yo_connect_tick(&f.race, 0);
    assert_string_equal(f.story, "lost 0 -100 ");
    end(&f);
}

static void one_race_may_follow_the_other_while_it_still_ends(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    start(&f, WT, NONE, 0);
    yo_connect_abort(&f.race);
    start(&f, WT, NONE, 0);
    fake_settle(&f.fake, 1); /* the first */
    assert_string_equal(f.story, "");
    fake_open(fake_last(&f.fake, WT), 2);
    assert_string_equal(f.story, "won 1 ");
    end(&f);
}

static void run_one(struct fault *fault, void *user)
{
    struct fixture f;
    (void)user;
    begin_with(&f, &fault->mem);
    start(&f, WT, WS, 0);
    while (f.race.failing) {
        yo_connect_tick(&f.race, 0);
    }
    if (f.fake.count > 0) {
        fake_open(f.fake.conns[f.fake.count - 1], 1);
        assert_non_null(f.winner);
    } else {
        assert_string_equal(f.story, "lost 0 -1 ");
    }
    end(&f);
}

static void memory_that_runs_out_is_a_failure_like_others(void **state)
{
    (void)state;
    fault_each(run_one, NULL);
}

static void a_reason_is_cut_between_characters(void **state)
{
    (void)state;
    char text[400];
    struct yo_reason why;
    for (size_t i = 0; i + 1 < sizeof(text); i += 2) {
        memcpy(text + i, "\xc3\xa4", 2);
    }
    yo_reason_set(&why, YO_CLOSE_RETRY, 0, yo_span(text, sizeof(text)));
    assert_int_equal(strlen(why.text), YO_REASON_SIZE - 2);
    yo_reason_set(&why, YO_CLOSE_RETRY, 0, YO_SPAN_NONE);
    assert_string_equal(why.text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(webtransport_alone_wins_when_it_is_quick),
        cmocka_unit_test(websocket_joins_after_the_delay),
        cmocka_unit_test(webtransport_may_still_win_after_the_delay),
        cmocka_unit_test(without_a_delay_both_start_at_once),
        cmocka_unit_test(a_failure_starts_the_second_at_once),
        cmocka_unit_test(when_both_fail_the_weightier_reason_counts),
        cmocka_unit_test(an_end_before_the_opening_is_a_failure_whatever_it_says),
        cmocka_unit_test(a_final_refusal_ends_the_race_at_once),
        cmocka_unit_test(who_does_not_open_in_time_is_given_up),
        cmocka_unit_test(nothing_comes_after_an_abort),
        cmocka_unit_test(a_dial_that_fails_is_told_later),
        cmocka_unit_test(one_race_may_follow_the_other_while_it_still_ends),
        cmocka_unit_test(memory_that_runs_out_is_a_failure_like_others),
        cmocka_unit_test(a_reason_is_cut_between_characters),
    };
    return cmocka_run_group_tests_name("client/connect", tests, NULL, NULL);
}
