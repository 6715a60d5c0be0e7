/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <uv.h>

#include "loop/loop.h"
#include "support/fault.h"
#include "support/until.h"

static char story[64];

static void tell(char event)
{
    size_t length = strlen(story);
    assert_true(length + 1 < sizeof(story));
    story[length] = event;
    story[length + 1] = 0;
}

struct named_timer {
    struct yo_timer timer;
    char name;
};

static void on_timer(struct yo_timer *timer, yo_time now)
{
    assert_true(now >= timer->node.when);
    tell(YO_CONTAINER(timer, struct named_timer, timer)->name);
}

struct named_task {
    struct yo_task task;
    struct yo_loop *loop;
    char name;
    int again;
};

static void on_task(struct yo_task *task, yo_time now)
{
    struct named_task *named = YO_CONTAINER(task, struct named_task, task);
    (void)now;
    tell(named->name);
    if (named->again-- > 0) {
        yo_loop_defer(named->loop, task);
    }
}

static struct yo_loop *new_loop(const struct yomo_mem *mem)
{
    struct yo_loop *loop = NULL;
    story[0] = 0;
    assert_int_equal(yo_loop_create(&loop, mem, NULL, NULL), YOMO_OK);
    return loop;
}

static void timers_fire_in_the_order_of_their_time(void **state)
{
    (void)state;
    struct yo_loop *loop = new_loop(&yo_mem_libc);
    struct named_timer timers[3];
    yo_time now = yo_loop_now(loop);
    for (int i = 0; i < 3; i++) {
        timers[i].name = (char)('c' - i);
        yo_timer_init(&timers[i].timer, loop, on_timer);
        assert_int_equal(
            yo_timer_set(&timers[i].timer, now + (yo_time)(30 - 10 * i) * YO_MS),
            YOMO_OK);
    }
    assert_true(yo_loop_timeout_ms(loop) <= 11);
    UNTIL(loop, strlen(story) == 3);
    assert_string_equal(story, "abc");
    until_closed(loop);
}

static void a_stopped_timer_does_not_fire_and_a_moved_one_fires_once(void **state)
{
    (void)state;
    struct yo_loop *loop = new_loop(&yo_mem_libc);
    struct named_timer a = {.name = 'a'}, b = {.name = 'b'}, c = {.name = 'c'};
    yo_time now = yo_loop_now(loop);
    yo_timer_init(&a.timer, loop, on_timer);
    yo_timer_init(&b.timer, loop, on_timer);
    yo_timer_init(&c.timer, loop, on_timer);
    yo_timer_set(&a.timer, now + YO_MS);
    yo_timer_set(&b.timer, now + YO_MS);
    yo_timer_set(&b.timer, now + 4 * YO_MS);
    yo_timer_set(&c.timer, now + 8 * YO_MS);
    yo_timer_stop(&a.timer);
    yo_timer_stop(&a.timer);
    UNTIL(loop, strchr(story, 'c') != NULL);
    assert_string_equal(story, "bc");
    until_closed(loop);
}

static struct named_timer *again;

static void set_again_in_the_past(struct yo_timer *timer, yo_time now)
{
    (void)timer;
    tell('x');
    if (strlen(story) < 3) {
        yo_timer_set(&again->timer, now - YO_SECOND);
    }
}

static void a_timer_set_to_the_past_in_a_timer_waits_for_the_next_turn(void **state)
{
    (void)state;
    struct yo_loop *loop = new_loop(&yo_mem_libc);
    struct named_timer timer;
    again = &timer;
    yo_timer_init(&timer.timer, loop, set_again_in_the_past);
    yo_timer_set(&timer.timer, 1);
    for (size_t turns = 0; strlen(story) < 3; turns++) {
        assert_true(turns < 100);
        assert_int_equal(yo_loop_timeout_ms(loop), 0);
        size_t before = strlen(story);
        yo_loop_turn(loop);
        /* A turn has two ends, so two may come in it; never more. */
        assert_true(strlen(story) - before <= 2);
    }
    assert_string_equal(story, "xxx");
    until_closed(loop);
}

static void a_deferred_task_runs_once_at_the_end_of_the_turn(void **state)
{
    (void)state;
    struct yo_loop *loop = new_loop(&yo_mem_libc);
    struct named_task a = {.loop = loop, .name = 'a'}, b = {.loop = loop, .name = 'b'};
    yo_task_init(&a.task, on_task);
    yo_task_init(&b.task, on_task);
    yo_loop_defer(loop, &a.task);
    yo_loop_defer(loop, &a.task);
    yo_loop_defer(loop, &b.task);
    assert_string_equal(story, "");
    assert_int_equal(yo_loop_timeout_ms(loop), 0);
    yo_loop_turn(loop);
    assert_string_equal(story, "ab");
    assert_int_equal(yo_loop_timeout_ms(loop), -1);
    yo_loop_defer(loop, &a.task);
    yo_task_cancel(&a.task);
    yo_loop_turn(loop);
    assert_string_equal(story, "ab");
    assert_int_equal(yo_loop_timeout_ms(loop), -1);
    until_closed(loop);
}

static void a_task_deferred_by_a_task_does_not_let_the_loop_sleep(void **state)
{
    (void)state;
    struct yo_loop *loop = new_loop(&yo_mem_libc);
    struct named_task a = {.loop = loop, .name = 'a', .again = 5};
    yo_task_init(&a.task, on_task);
    yo_loop_defer(loop, &a.task);
    while (strlen(story) < 6) {
        assert_int_equal(yo_loop_timeout_ms(loop), 0);
        yo_loop_turn(loop);
    }
    until_closed(loop);
}

static void a_reserved_timer_is_set_without_memory(void **state)
{
    (void)state;
    struct fault fault;
    fault_init(&fault, 0, FAULT_ONCE);
    struct yo_loop *loop = new_loop(&fault.mem);
    struct named_timer timers[100];
    for (int i = 0; i < 100; i++) {
        yo_timer_init(&timers[i].timer, loop, on_timer);
        assert_int_equal(yo_loop_reserve_timer(loop), YOMO_OK);
    }
    fault_arm(&fault, 1, FAULT_FROM);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(yo_timer_set(&timers[i].timer, YO_NEVER - 1), YOMO_OK);
    }
    fault_arm(&fault, 0, FAULT_ONCE);
    for (int i = 0; i < 100; i++) {
        yo_timer_stop(&timers[i].timer);
        yo_loop_release_timer(loop);
    }
    until_closed(loop);
    fault_assert_no_leak(&fault);
}

static void on_host_closed(void *user)
{
    *(bool *)user = true;
}

static void a_loop_lives_in_the_hosts_and_leaves_nothing_behind(void **state)
{
    (void)state;
    uv_loop_t host;
    struct fault fault;
    fault_init(&fault, 0, FAULT_ONCE);
    assert_int_equal(uv_loop_init(&host), 0);
    struct yo_loop *loop;
    story[0] = 0;
    assert_int_equal(yo_loop_create(&loop, &fault.mem, &host, NULL), YOMO_OK);
    assert_ptr_equal(yo_loop_uv(loop), &host);
    struct named_timer timer = {.name = 't'};
    yo_timer_init(&timer.timer, loop, on_timer);
    yo_timer_set(&timer.timer, yo_loop_now(loop) + YO_MS);
    while (strlen(story) == 0) {
        uv_run(&host, UV_RUN_ONCE);
    }
    bool closed = false;
    yo_loop_close(loop, on_host_closed, &closed);
    assert_false(closed);
    assert_int_equal(uv_run(&host, UV_RUN_DEFAULT), 0);
    assert_true(closed);
    assert_int_equal(uv_loop_close(&host), 0);
    fault_assert_no_leak(&fault);
}

static yo_time seen[2];

static void see_now(struct yo_task *task, yo_time now)
{
    (void)task;
    seen[seen[0] ? 1 : 0] = now;
}

static void the_clock_stands_within_a_turn_and_goes_on_after_it(void **state)
{
    (void)state;
    struct yo_loop *loop = new_loop(&yo_mem_libc);
    struct yo_task a, b;
    seen[0] = seen[1] = 0;
    yo_task_init(&a, see_now);
    yo_task_init(&b, see_now);
    yo_loop_defer(loop, &a);
    yo_loop_defer(loop, &b);
    yo_loop_turn(loop);
    assert_true(seen[0] != 0);
    assert_true(seen[0] == seen[1]);
    assert_true(yo_loop_now(loop) > seen[0]);
    until_closed(loop);
}

static void a_closed_loop_ends_its_last_turn(void **state)
{
    (void)state;
    struct yo_loop *loop = new_loop(&yo_mem_libc);
    bool closed = false;
    yo_loop_close(loop, on_host_closed, &closed);
    while (yo_loop_turn(loop)) {
    }
    assert_true(closed);
}

static void create_and_close(struct fault *fault, void *user)
{
    (void)user;
    struct yo_loop *loop;
    if (yo_loop_create(&loop, &fault->mem, NULL, NULL) == YOMO_OK) {
        until_closed(loop);
    }
}

static void creation_survives_every_failing_allocation(void **state)
{
    (void)state;
    fault_each(create_and_close, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_in_the_order_of_their_time),
        cmocka_unit_test(a_stopped_timer_does_not_fire_and_a_moved_one_fires_once),
        cmocka_unit_test(a_timer_set_to_the_past_in_a_timer_waits_for_the_next_turn),
        cmocka_unit_test(a_deferred_task_runs_once_at_the_end_of_the_turn),
        cmocka_unit_test(a_task_deferred_by_a_task_does_not_let_the_loop_sleep),
        cmocka_unit_test(a_reserved_timer_is_set_without_memory),
        cmocka_unit_test(a_loop_lives_in_the_hosts_and_leaves_nothing_behind),
        cmocka_unit_test(the_clock_stands_within_a_turn_and_goes_on_after_it),
        cmocka_unit_test(a_closed_loop_ends_its_last_turn),
        cmocka_unit_test(creation_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
