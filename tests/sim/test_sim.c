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

int main(int argc, char **argv)
{
    const struct CMUnitTest storms[] = {
        cmocka_unit_test(promises_hold_in_every_storm),
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
    return 2;
}
