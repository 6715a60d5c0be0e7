/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/check.h"
#include "session/effects.h"
#include "support/fault.h"
#include "unit/session/story.h"
#include "wire/encode.h"

static void send(struct yo_effects *effects, uint64_t timestamp)
{
    const struct yo_message ping = {.op = YO_OP_PING, .timestamp = timestamp};

    yo_effects_send(effects, 1, YO_DIALECT_YOMO, &ping);
}

static void what_is_sent_is_there_after_the_seal(void **state)
{
    struct yo_effects effects;
    char lines[4096];
    size_t used = 0;

    (void)state;
    yo_effects_init(&effects, &yo_mem_libc);
    for (unsigned i = 1; i <= 100; i++) { /* the buffer moves meanwhile */
        send(&effects, i);
        used += (size_t)snprintf(lines + used, sizeof(lines) - used,
                                 "send 1: ping ts=%u\n", i);
    }
    yo_effects_seal(&effects);
    yo_effects_seal(&effects);
    assert_effects(&effects, lines);
    yo_effects_clear(&effects);
    assert_effects(&effects, "");
    yo_effects_finish(&effects);
}

static void a_cut_takes_the_last_ones_back(void **state)
{
    struct yo_effects effects;

    (void)state;
    yo_effects_init(&effects, &yo_mem_libc);
    send(&effects, 1);
    yo_effects_add(&effects, YO_EFFECT_JOINED);
    send(&effects, 2);
    send(&effects, 3);
    yo_effects_cut(&effects, 2);
    send(&effects, 4);
    yo_effects_seal(&effects);
    assert_effects(&effects, "send 1: ping ts=1\njoined\nsend 1: ping ts=4\n");
    yo_effects_finish(&effects);
}

static void fill(struct fault *fault, void *user)
{
    struct yo_effects effects;
    size_t before;

    (void)user;
    yo_effects_init(&effects, &fault->mem);
    for (uint64_t i = 1; i < 20; i++) {
        before = effects.count;
        send(&effects, i);
        assert_int_equal(effects.count, before + !effects.failed);
        if (effects.failed) {
            break;
        }
        if (!yo_effects_add(&effects, YO_EFFECT_LEFT)) {
            assert_true(effects.failed);
            break;
        }
    }
    yo_effects_seal(&effects);
    yo_effects_clear(&effects);
    assert_false(effects.failed);
    yo_effects_finish(&effects);
}

static void effects_survive_every_failing_allocation(void **state)
{
    (void)state;
    assert_true(fault_each(fill, NULL) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sent_is_there_after_the_seal),
        cmocka_unit_test(a_cut_takes_the_last_ones_back),
        cmocka_unit_test(effects_survive_every_failing_allocation),
    };

    return cmocka_run_group_tests_name("session/effects", tests, NULL, NULL);
}
