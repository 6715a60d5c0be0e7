/* SPDX-License-Identifier: MIT */
/* How what other threads ask for reaches a loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sessions/hub.h"
#include "support/fault.h"
#include "support/until.h"

struct thing {
    struct yo_slip slip;
    struct yo_hub *hub;
    size_t runs;
    char name;
    char *story;
    struct thing *also; /* posted while this one runs */
};

static void run(struct yo_slip *slip, yo_time now)
{
    struct thing *thing = YO_CONTAINER(slip, struct thing, slip);
    (void)now;
    thing->runs++;
    if (thing->story) {
        thing->story[strlen(thing->story)] = thing->name;
    }
    if (thing->also) {
        struct thing *also = thing->also;
        thing->also = NULL;
        yo_hub_lock(thing->hub);
        (void)yo_hub_post(thing->hub, &also->slip);
        yo_hub_leave(thing->hub);
    }
}

static void post(struct thing *thing)
{
    yo_hub_lock(thing->hub);
    (void)yo_hub_post(thing->hub, &thing->slip);
    yo_hub_leave(thing->hub);
}

struct stage {
    struct yo_loop *loop;
    struct yo_mailbox *box;
    struct yo_hub *hub;
    char story[16];
    struct thing a, b;
};

static void open_stage(struct stage *stage)
{
    memset(stage, 0, sizeof(*stage));
    assert_int_equal(yo_loop_create(&stage->loop, &yo_mem_libc, NULL, NULL), YOMO_OK);
    assert_int_equal(yo_mailbox_open(&stage->box, stage->loop, NULL), YOMO_OK);
    assert_int_equal(yo_hub_create(&stage->hub, &yo_mem_libc), YOMO_OK);
    stage->a = (struct thing){.hub = stage->hub, .name = 'a', .story = stage->story};
    stage->b = (struct thing){.hub = stage->hub, .name = 'b', .story = stage->story};
    yo_slip_init(&stage->a.slip, run);
    yo_slip_init(&stage->b.slip, run);
}

static void close_stage(struct stage *stage)
{
    yo_hub_close(stage->hub);
    yo_mailbox_close(stage->box);
    yo_mailbox_unref(stage->box);
    until_closed(stage->loop);
    yo_hub_unref(stage->hub);
}

static void what_is_posted_before_the_loop_runs_is_done_then(void **state)
{
    struct stage stage;
    (void)state;
    open_stage(&stage);
    post(&stage.b);
    post(&stage.a);
    post(&stage.b); /* once is enough */
    yo_hub_begin(stage.hub, stage.loop, stage.box);
    UNTIL(stage.loop, stage.a.runs == 1);
    assert_string_equal(stage.story, "ba");
    close_stage(&stage);
}

static void one_that_is_posted_last_goes_behind_the_others(void **state)
{
    struct stage stage;
    (void)state;
    open_stage(&stage);
    yo_hub_begin(stage.hub, stage.loop, stage.box);
    post(&stage.a);
    post(&stage.b);
    yo_hub_lock(stage.hub);
    assert_false(yo_hub_post_last(stage.hub, &stage.a.slip)); /* it was in the list */
    yo_hub_leave(stage.hub);
    UNTIL(stage.loop, stage.a.runs == 1);
    assert_string_equal(stage.story, "ba");
    close_stage(&stage);
}

static void what_is_posted_meanwhile_is_done_in_a_later_round(void **state)
{
    struct stage stage;
    (void)state;
    open_stage(&stage);
    yo_hub_begin(stage.hub, stage.loop, stage.box);
    stage.a.also = &stage.a; /* as one that never rests would */
    post(&stage.a);
    yo_hub_run(stage.hub, 1);
    assert_int_equal(stage.a.runs, 1);
    UNTIL(stage.loop, stage.a.runs == 2);
    close_stage(&stage);
}

static void a_closed_hub_takes_nothing(void **state)
{
    struct stage stage;
    (void)state;
    open_stage(&stage);
    yo_hub_begin(stage.hub, stage.loop, stage.box);
    post(&stage.a);
    yo_hub_close(stage.hub); /* what was due is run, to give its reference back */
    assert_int_equal(stage.a.runs, 1);
    post(&stage.b);
    assert_int_equal(stage.b.runs, 0);
    yo_mailbox_close(stage.box);
    yo_mailbox_unref(stage.box);
    until_closed(stage.loop);
    post(&stage.b); /* nor later, when there is no loop any more */
    yo_hub_unref(stage.hub);
    assert_int_equal(stage.b.runs, 0);
}

struct inside {
    struct yo_task task;
    struct stage *stage;
    bool was_inside;
    size_t runs;
};

static void enter(struct yo_task *task, yo_time now)
{
    struct inside *inside = YO_CONTAINER(task, struct inside, task);
    (void)now;
    inside->was_inside = yo_hub_enter(inside->stage->hub);
    inside->runs = inside->stage->a.runs; /* nobody is overtaken */
    yo_hub_leave(inside->stage->hub);
}

static void a_call_on_the_loop_comes_behind_those_of_others(void **state)
{
    struct stage stage;
    struct inside inside = {.stage = &stage};
    (void)state;
    open_stage(&stage);
    yo_hub_begin(stage.hub, stage.loop, stage.box);
    assert_false(yo_hub_enter(stage.hub)); /* not inside a turn */
    yo_hub_leave(stage.hub);
    yo_task_init(&inside.task, enter);
    yo_loop_defer(stage.loop, &inside.task);
    post(&stage.a);
    UNTIL(stage.loop, inside.runs == 1);
    assert_true(inside.was_inside);
    close_stage(&stage);
}

enum { THREADS = 4, POSTS = 20000 };

struct counter {
    struct thing thing;
    size_t asked, seen; /* with the hub's lock */
};

static void count(struct yo_slip *slip, yo_time now)
{
    struct counter *counter = YO_CONTAINER(slip, struct counter, thing.slip);
    (void)now;
    yo_hub_lock(counter->thing.hub);
    counter->seen = counter->asked;
    yo_hub_leave(counter->thing.hub);
}

static void *ask(void *user)
{
    struct counter *counter = user;
    for (size_t i = 0; i < POSTS; i++) {
        (void)yo_hub_enter(counter->thing.hub);
        counter->asked++;
        (void)yo_hub_post(counter->thing.hub, &counter->thing.slip);
        yo_hub_leave(counter->thing.hub);
    }
    return NULL;
}

static size_t seen_of(struct counter *counter)
{
    yo_hub_lock(counter->thing.hub);
    size_t seen = counter->seen;
    yo_hub_leave(counter->thing.hub);
    return seen;
}

static void nothing_that_threads_ask_for_is_lost(void **state)
{
    struct stage stage;
    struct counter counter = {.asked = 0};
    pthread_t threads[THREADS];
    (void)state;
    open_stage(&stage);
    yo_hub_begin(stage.hub, stage.loop, stage.box);
    counter.thing.hub = stage.hub;
    yo_slip_init(&counter.thing.slip, count);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, ask, &counter), 0);
    }
    UNTIL(stage.loop, seen_of(&counter) == (size_t)THREADS * POSTS);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    close_stage(&stage);
}

static void make(struct fault *fault, void *user)
{
    struct yo_hub *hub;
    (void)user;
    if (yo_hub_create(&hub, &fault->mem) != YOMO_OK) {
        assert_true(fault->failed);
        return;
    }
    yo_hub_unref(yo_hub_ref(hub));
    yo_hub_unref(hub);
}

static void memory_runs_out(void **state)
{
    (void)state;
    assert_int_equal(fault_each(make, NULL), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_posted_before_the_loop_runs_is_done_then),
        cmocka_unit_test(one_that_is_posted_last_goes_behind_the_others),
        cmocka_unit_test(what_is_posted_meanwhile_is_done_in_a_later_round),
        cmocka_unit_test(a_closed_hub_takes_nothing),
        cmocka_unit_test(a_call_on_the_loop_comes_behind_those_of_others),
        cmocka_unit_test(nothing_that_threads_ask_for_is_lost),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests_name("hub", tests, NULL, NULL);
}
