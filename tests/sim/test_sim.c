/* SPDX-License-Identifier: MIT */
/* Sessions, rooms and outboxes on a virtual clock.
 *
 * test_sim storm [SEED [COUNT]]   random acts over bad links; all promises at the end
 * test_sim stories                a few short ones, word for word */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "session/numbers.h"
#include "sim/program.h"
#include "support/bytes.h"

#define PROGRAMS 7
#define STORM (6 * YO_SECOND)
#define CALM (8 * YO_SECOND) /* all repetitions are through by then */

static struct sim sim;
static struct sim_backend backend;
static struct sim_program programs[PROGRAMS];

static void run_until(yo_time end)
{
    while (sim_step(&sim, end)) {
    }
}

/* --- storms --- */

static const struct {
    const char *user, *name;
    bool presencejs;
    enum sim_transport transport;
} cast[PROGRAMS] = {
    {"alice", "alice-quic", false, SIM_WEBTRANSPORT},
    {"alice", "alice-tcp", false, SIM_WEBSOCKET},
    {"bob", "bob-quic", false, SIM_WEBTRANSPORT},
    {"carol", "carol-tcp", false, SIM_WEBSOCKET},
    {"dave", "dave-page-quic", true, SIM_WEBTRANSPORT},
    {"erin", "erin-page-quic", true, SIM_WEBTRANSPORT},
    {"frank", "frank-page-tcp", true, SIM_WEBSOCKET},
};

static unsigned long long first_seed = 1;
static unsigned long seed_count = 12;

static void storm(uint64_t seed)
{
    sim_init(&sim, seed);
    sim.delay_min = (1 + sim_below(&sim, 20)) * YO_MS;
    sim.delay_max = sim.delay_min + sim_below(&sim, 60) * YO_MS;
    sim.loss_percent = (unsigned)sim_below(&sim, 25);
    sim.spurious_percent = (unsigned)sim_below(&sim, 10);
    sim.storming = true;
    sim_backend_init(&backend, &sim);
    for (size_t i = 0; i < PROGRAMS; i++) {
        sim_program_init(&programs[i], &backend, cast[i].user, cast[i].name,
                         cast[i].presencejs, cast[i].transport);
        sim_program_connect(&programs[i]);
        sim_program_storm(&programs[i]);
    }
    run_until(sim.now + STORM);
    sim.storming = false;
    run_until(sim.now + CALM);
    for (size_t i = 0; i < PROGRAMS; i++) {
        sim_promises_check(&programs[i]);
    }
    for (size_t i = 0; i < PROGRAMS; i++) {
        sim_program_finish(&programs[i]);
    }
    sim_drop_events(&sim);
    sim_backend_finish(&backend);
    sim_finish(&sim);
}

static void promises_hold_in_every_storm(void **state)
{
    (void)state;
    for (unsigned long i = 0; i < seed_count; i++) {
        storm(first_seed + i);
    }
}

/* --- stories --- */

static void begin(const size_t *who, size_t count)
{
    sim_init(&sim, 1);
    sim_backend_init(&backend, &sim);
    for (size_t i = 0; i < count; i++) {
        sim_program_init(&programs[i], &backend, cast[who[i]].user, cast[who[i]].name,
                         cast[who[i]].presencejs, cast[who[i]].transport);
        sim_program_connect(&programs[i]);
    }
}

static void pass(unsigned ms)
{
    run_until(sim.now + ms * YO_MS);
}

/* Forget what was told so far. */
static void skip_story(void)
{
    yo_buf_clear(&sim.story);
}

static void end(size_t count, const char *story)
{
    pass(500);
    for (size_t i = 0; i < count; i++) {
        sim_promises_check(&programs[i]);
        sim_program_finish(&programs[i]);
    }
    assert_text(yo_buf_span(&sim.story), story);
    sim_drop_events(&sim);
    sim_backend_finish(&backend);
    sim_finish(&sim);
}

static void two_programs_meet(void **state)
{
    (void)state;
    begin((size_t[]){0, 3}, 2);
    pass(50);
    sim_program_join(&programs[0], 0, "alice");
    pass(50);
    sim_program_join(&programs[1], 0, "carol");
    pass(50);
    sim_program_state(&programs[1], 0, "carol");
    sim_program_send(&programs[0], 0, YOMO_RELIABLE, 0, true);
    sim_program_send(&programs[0], 0, YOMO_LATEST, 4, false);
    pass(50);
    sim_program_leave(&programs[1], 0);
    end(2,
        "    0.0 alice-quic connects as [1]\n"
        "    0.0 [1] send 1: hello p=alice sid=1 ver=1 epoch=1 lim.msg=4096 lim.rooms=2 "
        "lim.silence=15000\n"
        "    0.0 carol-tcp connects as [2]\n"
        "    0.0 [2] send 1: hello p=carol sid=2 ver=1 epoch=1 lim.msg=4096 lim.rooms=2 "
        "lim.silence=15000\n"
        "   10.0 alice-quic ready p=alice sid=1 epoch=1 extension\n"
        "   10.0 carol-tcp ready p=carol sid=2 epoch=1 extension\n"
        "   50.0 alice-quic send 1: channel_join c=a pl={\"id\":\"alice\",\"s\":1}\n"
        "   60.0 [1] join a pl={\"id\":\"alice\",\"s\":1} label=alice\n"
        "   60.2 [1] send 1: channel_join c=a p= q=1\n"
        "   70.3 alice-quic joined a q=1\n"
        "  100.0 carol-tcp send 1: channel_join c=a pl={\"id\":\"carol\",\"s\":1}\n"
        "  110.0 [2] join a pl={\"id\":\"carol\",\"s\":1} label=carol\n"
        "  110.2 [2] send 1: channel_join c=a p= q=2\n"
        "  120.2 alice-quic peer a joined p=carol sid=2 "
        "pl={\"id\":\"carol\",\"s\":1} v=1 q=2\n"
        "  120.3 carol-tcp peer a present p=alice sid=1 "
        "pl={\"id\":\"alice\",\"s\":1} v=1 q=2\n"
        "  120.3 carol-tcp joined a q=2\n"
        "  150.0 carol-tcp send 2: peer_state c=a pl={\"id\":\"carol\",\"s\":2}\n"
        "  150.0 alice-quic sends a 3\n"
        "  150.0 alice-quic sends a 8 latest\n"
        "  160.0 [2] state a pl={\"id\":\"carol\",\"s\":2} label=carol\n"
        "  160.0 [1] publish a pl={\"event\":\"e0\",\"data\":\"3\"} event=e0 n=3\n"
        "  160.1 [1] publish a latest pl={\"event\":\"e1\",\"data\":\"8\"} event=e1 "
        "k=k1 v=2\n"
        "  160.2 [1] send 1: ack c=a n=3 q=4\n"
        "  170.1 carol-tcp message a p=alice sid=1 "
        "pl={\"event\":\"e0\",\"data\":\"3\"} event=e0 q=4\n"
        "  170.2 alice-quic peer a state p=carol sid=2 pl={\"id\":\"carol\",\"s\":2} "
        "v=2 q=3\n"
        "  170.3 alice-quic confirmed a n=3 q=4\n"
        "  170.4 carol-tcp message a latest p=alice sid=1 "
        "pl={\"event\":\"e1\",\"data\":\"8\"} event=e1 k=k1 v=2\n"
        "  200.0 carol-tcp send 2: peer_offline c=a\n"
        "  210.0 [2] leave a\n"
        "  210.2 [2] send 1: channel_leave c=a\n"
        "  220.2 carol-tcp left a\n"
        "  220.2 alice-quic peer a left p=carol sid=2 v=2 q=5\n");
}

static void a_page_whose_ack_is_lost_gets_another(void **state)
{
    (void)state;
    begin((size_t[]){0, 4}, 2);
    pass(1000);
    sim_program_join(&programs[0], 0, "alice");
    pass(50);
    skip_story();
    sim_program_join(&programs[1], 0, "dave");
    sim_link_lose_next(programs[1].link, 1);
    end(2,
        " 1050.0 dave-page-quic send 0: channel_join c=a "
        "pl={\"id\":\"dave\",\"s\":1}\n"
        " 1060.0 [2] join a pl={\"id\":\"dave\",\"s\":1} label=dave\n"
        " 1060.1 [2] send 0: channel_join c=a p=\n"
        " 1070.1 alice-quic peer a joined p=dave sid=2 pl={\"id\":\"dave\",\"s\":1} "
        "v=1 q=2\n"
        " 1070.2 dave-page-quic peer a present p=alice "
        "pl={\"id\":\"alice\",\"s\":1}\n"
        " 1310.1 [2] send 0: channel_join c=a p=\n"
        " 1320.1 dave-page-quic send 0: peer_online c=a\n"
        " 1320.1 dave-page-quic send 0: peer_state c=a pl={\"id\":\"dave\",\"s\":1}\n"
        " 1320.1 dave-page-quic joined a\n"
        " 1330.2 [2] state a pl={\"id\":\"dave\",\"s\":1} label=dave\n");
}

static void who_comes_back_at_once_waits_for_the_answer(void **state)
{
    (void)state;
    begin((size_t[]){0, 3}, 2);
    pass(50);
    sim_program_join(&programs[0], 0, "alice");
    sim_program_join(&programs[1], 0, "carol");
    pass(50);
    skip_story();
    sim_program_send(&programs[0], 0, YOMO_RELIABLE, 0, false);
    sim_program_leave(&programs[0], 0);
    sim_program_join(&programs[0], 0, "alice");
    end(2,
        "  100.0 alice-quic sends a 3\n"
        "  100.0 alice-quic send 2: peer_offline c=a\n"
        "  110.0 [1] publish a pl={\"event\":\"e0\",\"data\":\"3\"} event=e0\n"
        "  110.1 [1] leave a\n"
        "  110.3 [1] send 1: channel_leave c=a\n"
        "  120.2 carol-tcp message a p=alice sid=1 "
        "pl={\"event\":\"e0\",\"data\":\"3\"} event=e0 q=3\n"
        "  120.3 alice-quic send 1: channel_join c=a pl={\"id\":\"alice\",\"s\":2}\n"
        "  120.3 carol-tcp peer a left p=alice sid=1 v=1 q=4\n"
        "  130.3 [1] join a pl={\"id\":\"alice\",\"s\":2} label=alice\n"
        "  130.5 [1] send 1: channel_join c=a p= q=5\n"
        "  140.5 carol-tcp peer a joined p=alice sid=1 pl={\"id\":\"alice\",\"s\":2} "
        "v=1 q=5\n"
        "  140.6 alice-quic peer a present p=carol sid=2 "
        "pl={\"id\":\"carol\",\"s\":1} v=1 q=5\n"
        "  140.6 alice-quic joined a q=5\n");
}

static void a_goodbye_does_not_overtake_the_last_state(void **state)
{
    (void)state;
    begin((size_t[]){0, 4}, 2);
    pass(1000);
    sim_program_join(&programs[0], 0, "alice");
    pass(50);
    sim_program_join(&programs[1], 0, "dave");
    pass(100);
    skip_story();
    sim_link_lose_next(programs[1].link, 1);
    sim_program_state(&programs[0], 0, "alice");
    sim_program_leave(&programs[0], 0);
    end(2, " 1150.0 alice-quic send 2: peer_state c=a pl={\"id\":\"alice\",\"s\":2}\n"
           " 1150.0 alice-quic send 2: peer_offline c=a\n"
           " 1160.0 [1] state a pl={\"id\":\"alice\",\"s\":2} label=alice\n"
           " 1160.1 [1] leave a\n"
           " 1160.4 [1] send 1: channel_leave c=a\n"
           " 1170.4 alice-quic left a\n"
           " 1210.2 dave-page-quic peer a left p=alice\n");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest storms[] = {
        cmocka_unit_test(promises_hold_in_every_storm),
    };
    const struct CMUnitTest stories[] = {
        cmocka_unit_test(two_programs_meet),
        cmocka_unit_test(a_page_whose_ack_is_lost_gets_another),
        cmocka_unit_test(who_comes_back_at_once_waits_for_the_answer),
        cmocka_unit_test(a_goodbye_does_not_overtake_the_last_state),
    };

    if (argc > 2) {
        first_seed = strtoull(argv[2], NULL, 10);
        seed_count = 1;
    }
    if (argc > 3) {
        seed_count = strtoul(argv[3], NULL, 10);
    }
    if (argc > 1 && strcmp(argv[1], "storm") == 0) {
        return cmocka_run_group_tests_name("sim/storm", storms, NULL, NULL);
    }
    if (argc > 1 && strcmp(argv[1], "stories") == 0) {
        return cmocka_run_group_tests_name("sim/stories", stories, NULL, NULL);
    }
    fprintf(stderr, "usage: test_sim storm [SEED [COUNT]] | stories\n");
    return 2;
}
